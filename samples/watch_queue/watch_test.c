// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest useful reader of a notification pipe: watches the session keyring,
 * and devices where the kernel can, and prints what comes.
 *
 * Usage: watch_test [KEY...]	KEY is a serial number; default: the session keyring
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/keyctl.h>
#include <linux/watch_queue.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Tags tell one watch from another; which value means what is up to us. */
enum { TAG_KEYS = 1, TAG_DEVICES = 2 };

static const char * const key_events[] = {
	[NOTIFY_KEY_INSTANTIATED]	= "instantiated",
	[NOTIFY_KEY_UPDATED]		= "updated",
	[NOTIFY_KEY_LINKED]		= "linked",
	[NOTIFY_KEY_UNLINKED]		= "unlinked",
	[NOTIFY_KEY_CLEARED]		= "cleared",
	[NOTIFY_KEY_REVOKED]		= "revoked",
	[NOTIFY_KEY_INVALIDATED]	= "invalidated",
	[NOTIFY_KEY_SETATTR]		= "setattr",
};

static void die(const char *what, const char *hint)
{
	fprintf(stderr, "watch_test: %s: %s%s\n", what, strerror(errno), hint);
	exit(EXIT_FAILURE);
}

/* A record may be longer than the structure we know, never shorter. */
static bool holds(const struct watch_notification *n, size_t size)
{
	return (n->info & WATCH_INFO_LENGTH) >= size;
}

static void print_meta(const struct watch_notification *n)
{
	const struct watch_notification_removal *r = (const void *)n;
	const struct watch_notification_loss *l = (const void *)n;

	if (n->subtype == WATCH_META_LOSS_NOTIFICATION && holds(n, sizeof(*l)))
		printf("LOST %llu records here\n", (unsigned long long)l->lost);
	else if (n->subtype == WATCH_META_REMOVAL_NOTIFICATION &&
		 holds(n, sizeof(*r)))
		printf("watch on %llu removed\n", (unsigned long long)r->id);
	else if (n->subtype == WATCH_META_REMOVAL_NOTIFICATION)
		printf("watch removed\n");
	else
		printf("meta subtype %u\n", n->subtype);
}

static void print_key(const struct watch_notification *n)
{
	const struct key_notification *k = (const void *)n;

	if (!holds(n, sizeof(*k)) || n->subtype >= ARRAY_SIZE(key_events))
		printf("key subtype %u\n", n->subtype);
	else
		printf("key %d %s aux=%d\n", (int)k->key_id,
		       key_events[n->subtype], (int)k->aux);
}

static void print_record(const struct watch_notification *n)
{
	printf("[%u] ", (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT);

	switch (n->type) {
	case WATCH_TYPE_META:
		print_meta(n);
		break;
	case WATCH_TYPE_KEY_NOTIFY:
		print_key(n);
		break;
	default:
		/* Whatever a later kernel posts: the length lets us pass over it. */
		printf("type %u subtype %u, %u bytes\n", n->type, n->subtype,
		       n->info & WATCH_INFO_LENGTH);
	}
}

/* Read until the write end is closed; each read() returns whole records. */
static void consume(int fd)
{
	__u64 buffer[512];
	const struct watch_notification *n;
	ssize_t len, at;

	while ((len = read(fd, buffer, sizeof(buffer))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			die("read", "");
		for (at = 0; at < len; at += n->info & WATCH_INFO_LENGTH) {
			n = (const void *)((char *)buffer + at);
			print_record(n);
		}
		fflush(stdout);
	}
}

/* A user who may not have so much still has the default depth. */
static void set_size(int fd)
{
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, 256) < 0)
		fprintf(stderr, "watch_test: going on with the default size: %s\n",
			strerror(errno));
}

/* All key events, and all that devices report. */
static void set_filter(int fd)
{
	static const __u32 types[] = {
		WATCH_TYPE_KEY_NOTIFY,
		WATCH_TYPE_BLOCK_NOTIFY,
		WATCH_TYPE_USB_NOTIFY,
	};
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rules[ARRAY_SIZE(types)];
	} filter = { .head.nr_filters = ARRAY_SIZE(types) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		filter.rules[i].type = types[i];
		memset(filter.rules[i].subtype_filter, 0xff,
		       sizeof(filter.rules[i].subtype_filter));
	}
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, &filter) < 0)
		die("IOC_WATCH_QUEUE_SET_FILTER", "");
}

static void watch_key(int fd, int key)
{
	if (syscall(__NR_keyctl, KEYCTL_WATCH_KEY, key, fd, TAG_KEYS) < 0)
		die("KEYCTL_WATCH_KEY",
		    errno == EOPNOTSUPP ?
		    "; the kernel lacks CONFIG_KEY_NOTIFICATIONS" : "");
}

#ifdef __NR_watch_devices
static void watch_all_devices(int fd)
{
	if (syscall(__NR_watch_devices, fd, TAG_DEVICES, 0) < 0)
		fprintf(stderr, "watch_test: not watching devices: %s\n",
			strerror(errno));
}
#else
static void watch_all_devices(int fd)
{
}
#endif

int main(int argc, char **argv)
{
	char *end;
	int fds[2], i;

	if (pipe2(fds, O_CLOEXEC | O_NOTIFICATION_PIPE) < 0)
		die("pipe2",
		    errno == ENOPKG ? "; the kernel lacks CONFIG_WATCH_QUEUE" : "");
	set_size(fds[0]);
	set_filter(fds[0]);

	if (argc < 2)
		watch_key(fds[0], KEY_SPEC_SESSION_KEYRING);
	for (i = 1; i < argc; i++) {
		int key = strtol(argv[i], &end, 0);

		if (*end || end == argv[i]) {
			fprintf(stderr,
				"watch_test: '%s' is no key's serial number; see 'keyctl show'\n",
				argv[i]);
			return EXIT_FAILURE;
		}
		watch_key(fds[0], key);
	}
	watch_all_devices(fds[0]);

	consume(fds[0]);
	return EXIT_SUCCESS;
}
