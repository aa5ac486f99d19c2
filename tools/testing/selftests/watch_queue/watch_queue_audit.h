/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Audit records, as the tests of LSMs look for them.  Include it after
 * kselftest_harness.h.
 */
#ifndef WATCH_QUEUE_AUDIT_H
#define WATCH_QUEUE_AUDIT_H

#include <sys/socket.h>

#include <linux/audit.h>
#include <linux/netlink.h>

#include "watch_queue_devices.h"

/* ---- Audit records ---- */

/* Longer than any. */
#define WQ_AUDIT_MAX		8192

/* How long a second report of refused posts may take: see security/lsm_watch.c. */
#define WQ_AUDIT_INTERVAL_MS	5000

/* A socket that gets a copy of each audit record from now on. */
static inline int wq_audit_open(void)
{
	struct sockaddr_nl addr = {
		.nl_family	= AF_NETLINK,
		.nl_groups	= 1 << (AUDIT_NLGRP_READLOG - 1),
	};
	int size = 16 << 20, ret;
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (fd < 0)
		return -errno;
	ret = setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (!ret)
		ret = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	if (ret) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Puts the next record of an LSM into @text, waiting for it at most @timeout_ms.
 * Returns 0 or an error; -ETIMEDOUT, and -ENOBUFS where records were lost.
 */
static inline int wq_audit_next(int fd, char text[WQ_AUDIT_MAX], int timeout_ms)
{
	union {
		struct nlmsghdr	head;
		char		bytes[WQ_AUDIT_MAX];
	} msg;
	long end = wq_now_ms() + timeout_ms;
	long left;
	ssize_t len;
	int ret;

	for (;;) {
		left = end - wq_now_ms();
		ret = wq_poll(fd, POLLIN, left > 0 ? left : 0);
		if (ret < 0)
			return ret;
		if (!(ret & (POLLIN | POLLERR)))
			return -ETIMEDOUT;
		len = wq_errno(recv(fd, &msg, sizeof(msg) - 1, 0));
		if (len < 0)
			return len;
		if (len < NLMSG_HDRLEN)
			return -EBADMSG;
		if (msg.head.nlmsg_type != AUDIT_AVC)
			continue;
		msg.bytes[len] = 0;
		snprintf(text, WQ_AUDIT_MAX, "%s", (char *)NLMSG_DATA(&msg));
		return 0;
	}
}

/* The number after @name, for instance "posts=", or 0. */
static inline unsigned long wq_audit_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* Whether it is about a post, which names the event, and not the watcher's doing. */
static inline bool wq_audit_is_post(const char *text)
{
	return strstr(text, " posts=");
}

/* Whether a task is named. */
static inline bool wq_audit_blames(const char *text)
{
	return strstr(text, "pid=") || strstr(text, "comm=") ||
	       strstr(text, "exe=") || strstr(text, "uid=");
}

/*
 * Reads on until a record comes in which all the @nr strings of @parts are, and
 * passes over the others.  Returns 0 or an error as above.
 */
static inline int wq_audit_await(int fd, char text[WQ_AUDIT_MAX],
				 const char *const *parts, int nr)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	long left;
	int i, ret;

	while ((left = end - wq_now_ms()) > 0) {
		ret = wq_audit_next(fd, text, left);
		if (ret)
			return ret;
		for (i = 0; i < nr && strstr(text, parts[i]); i++)
			;
		if (i == nr)
			return 0;
	}
	return -ETIMEDOUT;
}

/* For use in a test. */
#define WQ_AUDIT_AWAIT(fd, text, ...) do {				\
	static const char *const __parts[] = { __VA_ARGS__ };		\
									\
	ASSERT_EQ(0, wq_audit_await(fd, text, __parts,			\
				    sizeof(__parts) / sizeof(*__parts))) { \
		TH_LOG("no audit record with %s", __parts[0]);		\
	}								\
} while (0)

/* What the records of posts say of all of one kind. */
struct wq_audit_tally {
	unsigned long	posts;
	unsigned int	records;
	unsigned int	wrong;		/* that blame a task, or whose event is another */
};

/*
 * Reads records of posts in which @part is until they are about @posts of them.
 * Returns 0 or an error as above.
 */
static inline int wq_audit_count(int fd, const char *part, unsigned long posts,
				 struct wq_audit_tally *tally)
{
	char text[WQ_AUDIT_MAX];
	int ret;

	while (tally->posts < posts) {
		ret = wq_audit_next(fd, text, WQ_PATIENCE_MS);
		if (ret)
			return ret;
		if (!strstr(text, part) || !wq_audit_is_post(text))
			continue;
		tally->records++;
		tally->posts += wq_audit_number(text, " posts=");
		if (wq_audit_blames(text) ||
		    wq_audit_number(text, " watch_type=") != WATCH_TYPE_BLOCK_NOTIFY ||
		    wq_audit_number(text, " watch_subtype=") != NOTIFY_BLOCK_ERROR_IO)
			tally->wrong++;
	}
	return 0;
}

#endif /* WATCH_QUEUE_AUDIT_H */
