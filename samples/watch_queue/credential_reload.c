// SPDX-License-Identifier: GPL-2.0
/*
 * A program that holds a credential, a key of type "user" in its session keyring, and
 * always has the one that is valid now: reloads it when it is updated or replaced,
 * and drops it when it is revoked, invalidated, expired or gone, until there is
 * another.
 *
 * Usage: credential_reload [-c SECONDS] DESCRIPTION
 *
 *	-c SECONDS	how often to see whether it has expired; default: 10
 *
 * What it does is always the same, whatever the record says: look.  Records say
 * when.  So none can be misunderstood, many at once are one occasion, and a loss is
 * one more.  What makes it safe is the order: first watch, then look.  Whatever
 * changes after the look comes as a record.
 *
 * A keyring tells only of its own links: if the key may be in a keyring that is linked
 * into the session keyring, that one has to be watched as well.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/keyctl.h>
#include <linux/watch_queue.h>

#define KEYRING	KEY_SPEC_SESSION_KEYRING

/* Tags tell one watch from another; which value means what is up to us. */
enum { TAG_KEYRING = 1, TAG_KEY = 2 };

/* A key of type "user" is shorter than this. */
#define PAYLOAD_MAX	32768

/* The key that is watched, if not 0, and what it holds, if it is valid. */
static struct {
	int key;
	bool valid;
	long len;
	char payload[PAYLOAD_MAX];
} credential;

static void die(const char *what, const char *hint)
{
	fprintf(stderr, "credential_reload: %s: %s%s\n", what, strerror(errno), hint);
	exit(EXIT_FAILURE);
}

/* ---- The credential ---- */

static void use(const char *payload, long len)
{
	explicit_bzero(credential.payload, sizeof(credential.payload));
	memcpy(credential.payload, payload, len);
	credential.len = len;
	credential.valid = true;
	/* Here a real program would log in again.  A secret is not for printing. */
	printf("key %d: loaded, %ld bytes\n", credential.key, len);
}

static void drop(void)
{
	int why = errno;

	if (!credential.valid)
		return;
	explicit_bzero(credential.payload, sizeof(credential.payload));
	credential.valid = false;
	printf("key %d: dropped: %s; waiting for another\n", credential.key,
	       strerror(why));
}

/* Whether errno says that there is no such key now, but may be later. */
static bool is_no_key(void)
{
	return errno == ENOKEY || errno == EKEYREVOKED || errno == EKEYEXPIRED ||
	       errno == EKEYREJECTED || errno == EACCES;
}

/*
 * A key that has been dropped stays watched until there is another: one that expired
 * can be updated, and is good again.
 */
static bool watch_key(int fd, int key)
{
	if (credential.key == key)
		return true;
	if (syscall(__NR_keyctl, KEYCTL_WATCH_KEY, key, fd, TAG_KEY) < 0) {
		if (is_no_key())
			return false;
		die("watching the key",
		    errno == EAGAIN ? "; too many watches, see 'ulimit -n'" : "");
	}
	/* This fails if it is gone, and then so is the watch. */
	if (credential.key)
		syscall(__NR_keyctl, KEYCTL_WATCH_KEY, credential.key, fd, -1);
	credential.key = key;
	return true;
}

/* There is nothing to wait for any more. */
static void keyring_is_gone(void)
{
	fprintf(stderr, "credential_reload: the session keyring is gone\n");
	exit(EXIT_FAILURE);
}

/* That it may not be viewed, which is EACCES, does not mean that it is gone. */
static void check_keyring(void)
{
	if (syscall(__NR_keyctl, KEYCTL_DESCRIBE, KEYRING, NULL, 0L) < 0 && errno != EACCES)
		keyring_is_gone();
}

/* Find, watch, read, in this order.  Returns the length of the payload, or -1. */
static long load(int fd, const char *description, char *payload)
{
	long key, len;

	check_keyring();
	key = syscall(__NR_keyctl, KEYCTL_SEARCH, KEYRING, "user", description, 0L);
	if (key < 0 && is_no_key())
		return -1;
	if (key < 0)
		die("searching the session keyring", "");
	if (!watch_key(fd, key))
		return -1;
	len = syscall(__NR_keyctl, KEYCTL_READ, key, payload, (long)PAYLOAD_MAX);
	if (len < 0 && !is_no_key())
		die("reading the key", "");
	return len;
}

static void look(int fd, const char *description)
{
	static char payload[PAYLOAD_MAX];
	int before = credential.key;
	long len;

	len = load(fd, description, payload);
	if (len < 0)
		drop();
	else if (!credential.valid || credential.key != before ||
		 credential.len != len || memcmp(credential.payload, payload, len))
		use(payload, len);
	explicit_bzero(payload, sizeof(payload));
}

/* ---- Records ---- */

/* Whether it is a reason to look; what this program does not know is none. */
static bool handle_key(const struct key_notification *k)
{
	switch (k->watch.subtype) {
	case NOTIFY_KEY_INSTANTIATED:
	case NOTIFY_KEY_UPDATED:
	case NOTIFY_KEY_LINKED:
	case NOTIFY_KEY_UNLINKED:
	case NOTIFY_KEY_CLEARED:
	case NOTIFY_KEY_REVOKED:
	case NOTIFY_KEY_INVALIDATED:
	case NOTIFY_KEY_SETATTR:
		return true;
	default:
		return false;
	}
}

/* A watch that is gone is that of the key, or of one that was watched before it. */
static bool handle_removal(const struct watch_notification_removal *r, unsigned int tag)
{
	if (tag == TAG_KEYRING)
		keyring_is_gone();
	if ((int)r->id != credential.key)
		return false;
	errno = ENOKEY;
	drop();
	credential.key = 0;
	return true;
}

static bool handle_loss(const struct watch_notification_loss *loss)
{
	printf("%llu records were lost: looking again\n",
	       (unsigned long long)loss->lost);
	return true;
}

static bool handle(const struct watch_notification *n, size_t len)
{
	unsigned int tag = (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;

	if (n->type == WATCH_TYPE_KEY_NOTIFY && len >= sizeof(struct key_notification))
		return handle_key((const void *)n);
	if (n->type == WATCH_TYPE_META &&
	    n->subtype == WATCH_META_REMOVAL_NOTIFICATION &&
	    len >= sizeof(struct watch_notification_removal))
		return handle_removal((const void *)n, tag);
	if (n->type == WATCH_TYPE_META && n->subtype == WATCH_META_LOSS_NOTIFICATION &&
	    len >= sizeof(struct watch_notification_loss))
		return handle_loss((const void *)n);
	return false;
}

/*
 * Each read() returns whole records; their lengths are multiples of 8, so in a buffer
 * that is aligned to 8 bytes they all are.  It is all of them that decide.
 */
static bool read_records(int fd)
{
	const struct watch_notification *n;
	__u64 buffer[512];
	ssize_t got, at, len;
	bool reason = false;

	do {
		got = read(fd, buffer, sizeof(buffer));
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		die("read", "");
	for (at = 0; at < got; at += len) {
		n = (const void *)((char *)buffer + at);
		len = n->info & WATCH_INFO_LENGTH;
		if (handle(n, len))
			reason = true;
	}
	return reason;
}

/* ---- Setting up ---- */

static int watch_keyring(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NOTIFICATION_PIPE) < 0)
		die("pipe2",
		    errno == ENOPKG ? "; the kernel lacks CONFIG_WATCH_QUEUE" : "");
	if (syscall(__NR_keyctl, KEYCTL_WATCH_KEY, KEYRING, fds[0], TAG_KEYRING) < 0)
		die("KEYCTL_WATCH_KEY",
		    errno == EOPNOTSUPP ?
		    "; the kernel lacks CONFIG_KEY_NOTIFICATIONS" : "");
	return fds[0];
}

static int parse_number(const char *arg, int most)
{
	char *end;
	long value;

	value = strtol(arg, &end, 10);
	if (*end || end == arg || value < 1 || value > most) {
		fprintf(stderr, "credential_reload: '%s' is no number from 1 to %d\n",
			arg, most);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	int opt, ready, interval = 10;
	struct pollfd p = { .events = POLLIN };

	while ((opt = getopt(argc, argv, "c:")) != -1) {
		if (opt != 'c')
			return 2;	/* getopt() has said what is wrong. */
		interval = parse_number(optarg, 1000000);
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: credential_reload [-c SECONDS] DESCRIPTION\n");
		return 2;
	}

	p.fd = watch_keyring();
	look(p.fd, argv[optind]);
	if (!credential.valid)
		printf("there is no key '%s' yet: waiting\n", argv[optind]);
	for (;;) {
		fflush(stdout);
		/* No record tells that a key has expired; that has to be looked for. */
		ready = poll(&p, 1, interval * 1000);
		if (ready < 0 && errno != EINTR)
			die("poll", "");
		if (!ready || (ready > 0 && read_records(p.fd)))
			look(p.fd, argv[optind]);
	}
}
