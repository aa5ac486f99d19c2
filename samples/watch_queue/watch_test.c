// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest useful reader of a notification pipe: watches the session keyring
 * and all devices, and prints what comes.
 *
 * Usage: watch_test [KEY...]	KEY is a serial number; default: the session keyring
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/keyctl.h>
#include <linux/watch_queue.h>

/* The C library's headers may be older than the system call. */
#ifndef __NR_watch_devices
/* All architectures have these numbers of system calls at the same distance. */
#define __NR_watch_devices	(__NR_pidfd_send_signal + 56)
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Subtypes have 8 bits; what we have no name for is from a later kernel. */
#define SUBTYPES	256

/* Tags tell one watch from another; which value means what is up to us. */
enum { TAG_KEYS = 1, TAG_DEVICES = 2 };

static const char * const key_events[SUBTYPES] = {
	[NOTIFY_KEY_INSTANTIATED]	= "instantiated",
	[NOTIFY_KEY_UPDATED]		= "updated",
	[NOTIFY_KEY_LINKED]		= "linked",
	[NOTIFY_KEY_UNLINKED]		= "unlinked",
	[NOTIFY_KEY_CLEARED]		= "cleared",
	[NOTIFY_KEY_REVOKED]		= "revoked",
	[NOTIFY_KEY_INVALIDATED]	= "invalidated",
	[NOTIFY_KEY_SETATTR]		= "setattr",
};

static const char * const block_events[SUBTYPES] = {
	[NOTIFY_BLOCK_ERROR_TIMEOUT]			= "timed out",
	[NOTIFY_BLOCK_ERROR_NO_SPACE]			= "no space",
	[NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT]	= "transport error",
	[NOTIFY_BLOCK_ERROR_CRITICAL_TARGET]		= "target error",
	[NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS]		= "reserved by another",
	[NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM]		= "medium error",
	[NOTIFY_BLOCK_ERROR_PROTECTION]			= "protection error",
	[NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE]		= "kernel out of resources",
	[NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE]		= "device out of resources",
	[NOTIFY_BLOCK_ERROR_IO]				= "I/O error",
	[NOTIFY_BLOCK_ERROR_NOT_SUPPORTED]		= "not supported",
	[NOTIFY_BLOCK_ERROR_AGAIN]			= "would have waited",
	[NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE]		= "too many open zones",
	[NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE]	= "too many active zones",
	[NOTIFY_BLOCK_ERROR_OFFLINE]			= "offline",
	[NOTIFY_BLOCK_ERROR_DURATION_LIMIT]		= "over the duration limit",
	[NOTIFY_BLOCK_ERROR_INVALID]			= "invalid request",
	[NOTIFY_BLOCK_ERROR_DM_REQUEUE]			= "to be repeated",
	[NOTIFY_BLOCK_CAPACITY]				= "capacity changed",
	[NOTIFY_BLOCK_MEDIUM]				= "medium changed",
	[NOTIFY_BLOCK_DEAD]				= "dead",
};

static const char * const block_operations[] = {
	[NOTIFY_BLOCK_OP_READ]			= "read",
	[NOTIFY_BLOCK_OP_WRITE]			= "write",
	[NOTIFY_BLOCK_OP_FLUSH]			= "flush",
	[NOTIFY_BLOCK_OP_DISCARD]		= "discard",
	[NOTIFY_BLOCK_OP_SECURE_ERASE]		= "secure erase",
	[NOTIFY_BLOCK_OP_WRITE_ZEROES]		= "write zeroes",
	[NOTIFY_BLOCK_OP_ZONE_APPEND]		= "zone append",
	[NOTIFY_BLOCK_OP_ZONE_OPEN]		= "zone open",
	[NOTIFY_BLOCK_OP_ZONE_CLOSE]		= "zone close",
	[NOTIFY_BLOCK_OP_ZONE_FINISH]		= "zone finish",
	[NOTIFY_BLOCK_OP_ZONE_RESET]		= "zone reset",
	[NOTIFY_BLOCK_OP_ZONE_RESET_ALL]	= "reset of all zones",
};

static const char * const usb_events[SUBTYPES] = {
	[NOTIFY_USB_DEVICE_ADD]		= "added",
	[NOTIFY_USB_DEVICE_REMOVE]	= "removed",
	[NOTIFY_USB_DEVICE_RESET]	= "reset",
	[NOTIFY_USB_DEVICE_ERROR]	= "error",
	[NOTIFY_USB_BUS_ADD]		= "bus added",
	[NOTIFY_USB_BUS_REMOVE]		= "bus removed",
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
	const char *event = key_events[n->subtype];

	if (!holds(n, sizeof(*k)) || !event)
		printf("key subtype %u\n", n->subtype);
	else
		printf("key %d %s aux=%d\n", (int)k->key_id, event, (int)k->aux);
}

/* The disk's name; if it is gone, its number may be another's by now. */
static const char *disk_name(const struct block_notification *b)
{
	static char target[256];
	unsigned long long diskseq = 0;
	char link[64], path[80];
	ssize_t len;
	FILE *f;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u",
		 major(b->dev), minor(b->dev));
	snprintf(path, sizeof(path), "%s/diskseq", link);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &diskseq) != 1)
		diskseq = 0;
	if (f)
		fclose(f);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0 || diskseq != b->diskseq)
		return "?";
	target[len] = '\0';
	return basename(target);
}

static void print_block(const struct watch_notification *n)
{
	const struct block_notification *b = (const void *)n;
	const char *event = block_events[n->subtype];
	const char *operation = "other operation";

	if (!holds(n, sizeof(*b)) || !event) {
		printf("block subtype %u\n", n->subtype);
		return;
	}
	printf("block %u:%u %s %s", major(b->dev), minor(b->dev), disk_name(b),
	       event);
	if (n->subtype == NOTIFY_BLOCK_CAPACITY)
		printf(": %llu sectors", (unsigned long long)b->sector);
	if (b->operation < ARRAY_SIZE(block_operations))
		operation = block_operations[b->operation];
	if (b->operation != NOTIFY_BLOCK_OP_NONE)
		printf(": %s", operation);
	if (b->sectors)
		printf(" of sectors %llu to %llu", (unsigned long long)b->sector,
		       (unsigned long long)b->sector + b->sectors - 1);
	if (b->status)
		printf(": %s", strerror(-b->status));
	printf("%s\n", n->info & NOTIFY_BLOCK_STACKED ? " (stacked)" : "");
}

static void print_usb(const struct watch_notification *n)
{
	const struct usb_notification *u = (const void *)n;
	const char *event = usb_events[n->subtype];

	if (!holds(n, sizeof(*u)) ||
	    !holds(n, offsetof(struct usb_notification, name) + u->name_len) ||
	    !event) {
		printf("usb subtype %u\n", n->subtype);
		return;
	}
	printf("usb %s%.*s %s", n->info & NOTIFY_USB_PORT ? "port " : "",
	       u->name_len, (const char *)u->name, event);
	if (u->vendor || u->product)
		printf(" %04x:%04x", u->vendor, u->product);
	if (n->info & NOTIFY_USB_OVER_CURRENT)
		printf(": over-current");
	if (u->error)
		printf(": %s", strerror(-u->error));
	putchar('\n');
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
	case WATCH_TYPE_BLOCK_NOTIFY:
		print_block(n);
		break;
	case WATCH_TYPE_USB_NOTIFY:
		print_usb(n);
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

/* Keys alone are worth reading, too. */
static void watch_devices(int fd)
{
	if (syscall(__NR_watch_devices, fd, TAG_DEVICES, 0) < 0)
		fprintf(stderr,
			"watch_test: not watching devices: %s; it takes CONFIG_DEVICE_NOTIFICATIONS and the right to read the kernel log\n",
			strerror(errno));
}

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
	watch_devices(fds[0]);

	consume(fds[0]);
	return EXIT_SUCCESS;
}
