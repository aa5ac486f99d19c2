/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the notification queue share: pipes, keys, records, fdinfo
 * and privileges.  Include it after kselftest_harness.h.
 *
 * Everything that can fail returns what the kernel returned, or the negative
 * error, so that an assertion shows both its own line and the errno.  System
 * calls on keys are made directly: a 32-bit test needs no library for them.
 */
#ifndef WATCH_QUEUE_UTIL_H
#define WATCH_QUEUE_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <linux/keyctl.h>
#include <linux/watch_queue.h>

/* The user that unprivileged tests become. */
#define WQ_NOBODY		65534

/* Bytes of capacity for each record of depth. */
#define WQ_BYTES_PER_RECORD	128

#define WQ_DEFAULT_DEPTH	32
#define WQ_MAX_DEPTH		0x1000000u

#define WQ_HEADER		sizeof(struct watch_notification)
#define WQ_KEY_RECORD		sizeof(struct key_notification)
#define WQ_LOSS_RECORD		sizeof(struct watch_notification_loss)
#define WQ_REMOVAL_RECORD	sizeof(struct watch_notification_removal)
#define WQ_RECORD_MAX		120

/* Possessor and owner may do everything. */
#define WQ_KEY_PERM		0x3f3f0000u

/* View permission, for everybody. */
#define WQ_KEY_VIEW		0x01010101u

#define WQ_FILTER_MAX		16

/*
 * Leave the test where the kernel has no notification pipes, or none for keys.
 * For use in a test's or a fixture's set-up, which has to be able to return.
 */
#define WQ_REQUIRE_PIPE() do {						\
	int __wq_fds[2];						\
	int __wq_ret = wq_pipe(__wq_fds, 0);				\
									\
	if (__wq_ret == -ENOPKG)					\
		SKIP(return, "CONFIG_WATCH_QUEUE is not set");		\
	ASSERT_EQ(0, __wq_ret);						\
	wq_close(__wq_fds);						\
} while (0)

#define WQ_REQUIRE_KEYS() do {						\
	WQ_REQUIRE_PIPE();						\
	if (wq_keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING,	\
		      1, 0, 0) < 0)					\
		SKIP(return, "CONFIG_KEYS is not set");			\
	if (wq_watch_key(KEY_SPEC_PROCESS_KEYRING, -1, 0) == -EOPNOTSUPP) \
		SKIP(return, "CONFIG_KEY_NOTIFICATIONS is not set");	\
} while (0)

/* Leave the test unless it has been started by root. */
#define WQ_REQUIRE_ROOT() do {						\
	if (geteuid() != 0)						\
		SKIP(return, "has to be started by root");		\
} while (0)

/* Leave the test unless @path is there; @option is what makes it. */
#define WQ_REQUIRE_PATH(path, option) do {				\
	if (access(path, F_OK))						\
		SKIP(return, option " is not set");			\
} while (0)

/* ---- Pipes ---- */

static inline int wq_errno(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

/* Makes a notification pipe; @flags are more flags for pipe2(). */
static inline int wq_pipe(int fds[2], int flags)
{
	return wq_errno(pipe2(fds, O_NOTIFICATION_PIPE | flags));
}

/* Closes one end, so that wq_close() does not do it once more. */
static inline int wq_close_end(int *fd)
{
	int ret = wq_errno(close(*fd));

	*fd = -EBADF;
	return ret;
}

static inline void wq_close(int fds[2])
{
	if (fds[0] >= 0)
		wq_close_end(&fds[0]);
	if (fds[1] >= 0)
		wq_close_end(&fds[1]);
}

static inline int wq_ioctl(int fd, unsigned long cmd, unsigned long arg)
{
	return wq_errno(ioctl(fd, cmd, arg));
}

static inline int wq_set_size(int fd, unsigned long depth)
{
	return wq_ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, depth);
}

static inline int wq_set_filter(int fd, const void *filter)
{
	return wq_ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, (unsigned long)filter);
}

/* Asks for everything that this test's header knows. */
static inline int wq_get_info(int fd, struct watch_queue_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return wq_ioctl(fd, IOC_WATCH_QUEUE_GET_INFO, (unsigned long)info);
}

/* The pages that a queue of @depth has: see the core's text on packing. */
static inline unsigned long wq_pages(unsigned long depth)
{
	unsigned long page_size = sysconf(_SC_PAGESIZE);

	return (WQ_BYTES_PER_RECORD * depth - WQ_LOSS_RECORD) /
	       (page_size - (WQ_RECORD_MAX - WQ_HEADER)) + 2;
}

/* What F_GETPIPE_SZ says of a queue of @depth. */
static inline int wq_pipe_size(unsigned long depth)
{
	return wq_pages(depth) * sysconf(_SC_PAGESIZE);
}

/* The key records without any other that fit into a queue of @depth. */
static inline unsigned long wq_key_records(unsigned long depth)
{
	return depth * WQ_BYTES_PER_RECORD / WQ_KEY_RECORD;
}

/* What poll() says now of @events; POLLERR, POLLHUP, POLLNVAL always count. */
static inline int wq_poll(int fd, int events, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int ret = wq_errno(poll(&pfd, 1, timeout_ms));

	return ret < 0 ? ret : pfd.revents;
}

static inline bool wq_readable(int fd)
{
	return wq_poll(fd, POLLIN, 0) & POLLIN;
}

static inline int wq_fionread(int fd)
{
	int queued = -1;
	int ret = wq_ioctl(fd, FIONREAD, (unsigned long)&queued);

	return ret < 0 ? ret : queued;
}

static inline ssize_t wq_read(int fd, void *buf, size_t size)
{
	return wq_errno(read(fd, buf, size));
}

static inline int wq_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return wq_errno(fcntl(fd, F_SETFL, flags));
}

/* Lets only the key events pass whose bits are set in @subtypes. */
static inline int wq_filter_keys(int fd, __u32 subtypes)
{
	const struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters	= 1,
		.rule.type		= WATCH_TYPE_KEY_NOTIFY,
		.rule.subtype_filter[0]	= subtypes,
	};

	return wq_set_filter(fd, &filter);
}

/* Opens again what @fd refers to. */
static inline int wq_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return wq_errno(open(path, flags));
}

/* ---- Keys ---- */

static inline long wq_keyctl(int op, unsigned long a, unsigned long b,
			     unsigned long c, unsigned long d)
{
	long ret = syscall(__NR_keyctl, op, a, b, c, d);

	return ret < 0 ? -errno : ret;
}

static inline int wq_add_key(const char *type, const char *desc,
			     const void *payload, size_t len, int ring)
{
	return wq_errno(syscall(__NR_add_key, type, desc, payload, len, ring));
}

static inline int wq_add_user_key(const char *desc, int ring)
{
	return wq_add_key("user", desc, "payload", 7, ring);
}

static inline int wq_add_keyring(const char *desc, int ring)
{
	return wq_add_key("keyring", desc, NULL, 0, ring);
}

/* A session keyring of the test's own, gone with the test's last process. */
static inline int wq_join_session(void)
{
	return wq_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
}

/* @tag -1 removes the watch. */
static inline int wq_watch_key(int key, int fd, int tag)
{
	return wq_keyctl(KEYCTL_WATCH_KEY, key, fd, tag, 0);
}

/* Makes one NOTIFY_KEY_SETATTR event, the cheapest of all. */
static inline int wq_touch(int key)
{
	return wq_keyctl(KEYCTL_SETPERM, key, WQ_KEY_PERM, 0, 0);
}

static inline int wq_touch_n(int key, unsigned long n)
{
	int ret = 0;

	while (!ret && n--)
		ret = wq_touch(key);
	return ret;
}

static inline int wq_update_key(int key)
{
	return wq_keyctl(KEYCTL_UPDATE, key, (unsigned long)"updated", 7, 0);
}

static inline int wq_link_key(int key, int ring)
{
	return wq_keyctl(KEYCTL_LINK, key, ring, 0, 0);
}

static inline int wq_unlink_key(int key, int ring)
{
	return wq_keyctl(KEYCTL_UNLINK, key, ring, 0, 0);
}

static inline int wq_clear_keyring(int ring)
{
	return wq_keyctl(KEYCTL_CLEAR, ring, 0, 0, 0);
}

static inline int wq_revoke_key(int key)
{
	return wq_keyctl(KEYCTL_REVOKE, key, 0, 0, 0);
}

static inline int wq_invalidate_key(int key)
{
	return wq_keyctl(KEYCTL_INVALIDATE, key, 0, 0, 0);
}

/*
 * Makes a notification pipe that watches a new key of a new session keyring.
 * Returns the key or the error.
 */
static inline int wq_pipe_with_key(int fds[2], int flags, int tag)
{
	int key, ret;

	ret = wq_pipe(fds, flags);
	if (!ret)
		ret = wq_join_session();
	if (ret < 0)
		return ret;
	key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	ret = wq_watch_key(key, fds[0], tag);
	return ret ? ret : key;
}

/* ---- Records ---- */

/* A record taken apart; what its type does not have is 0. */
struct wq_record {
	unsigned int	type;
	unsigned int	subtype;
	unsigned int	len;		/* all of it, in bytes */
	unsigned int	tag;
	unsigned int	type_info;	/* info >> WATCH_INFO_TYPE_INFO__SHIFT */
	unsigned int	key_id;		/* key records */
	unsigned int	aux;		/* key records */
	__u64	id;		/* long removal records */
	__u64	lost;		/* loss records */
};

/*
 * Takes apart the record at @buf, of whose batch @avail bytes are left.
 * Returns its length, or -EBADMSG where no well-formed record stands.
 */
static inline int wq_decode(const void *buf, size_t avail, struct wq_record *r)
{
	struct watch_notification n;

	memset(r, 0, sizeof(*r));
	if (avail < sizeof(n))
		return -EBADMSG;
	memcpy(&n, buf, sizeof(n));

	r->type = n.type;
	r->subtype = n.subtype;
	r->len = (n.info & WATCH_INFO_LENGTH) >> WATCH_INFO_LENGTH__SHIFT;
	r->tag = (n.info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
	r->type_info = n.info >> WATCH_INFO_TYPE_INFO__SHIFT;

	if (r->len < sizeof(n) || r->len > WQ_RECORD_MAX || r->len % 8 ||
	    r->len > avail)
		return -EBADMSG;

	if (r->type == WATCH_TYPE_KEY_NOTIFY) {
		struct key_notification k;

		if (r->len != sizeof(k))
			return -EBADMSG;
		memcpy(&k, buf, sizeof(k));
		r->key_id = k.key_id;
		r->aux = k.aux;
	} else if (r->type == WATCH_TYPE_META &&
		   r->subtype == WATCH_META_LOSS_NOTIFICATION) {
		struct watch_notification_loss l;

		if (r->len != sizeof(l))
			return -EBADMSG;
		memcpy(&l, buf, sizeof(l));
		r->lost = l.lost;
		if (!r->lost)
			return -EBADMSG;
	} else if (r->type == WATCH_TYPE_META &&
		   r->subtype == WATCH_META_REMOVAL_NOTIFICATION) {
		struct watch_notification_removal m;

		if (r->len != sizeof(n) && r->len != sizeof(m))
			return -EBADMSG;
		if (r->len == sizeof(m)) {
			memcpy(&m, buf, sizeof(m));
			r->id = m.id;
		}
	}
	return r->len;
}

/*
 * Goes through the @nbytes that a read() put into @buf.  @pos (size_t) and @rec
 * (struct wq_record) are the caller's; a malformed record ends the loop with
 * @pos before @nbytes.
 */
#define wq_for_each_record(rec, pos, buf, nbytes)			\
	for ((pos) = 0;							\
	     (pos) < (size_t)(nbytes) &&				\
	     wq_decode((const char *)(buf) + (pos),			\
		       (size_t)(nbytes) - (pos), &(rec)) > 0;		\
	     (pos) += (rec).len)

static inline bool wq_is_loss(const struct wq_record *r)
{
	return r->type == WATCH_TYPE_META &&
	       r->subtype == WATCH_META_LOSS_NOTIFICATION;
}

static inline bool wq_is_removal(const struct wq_record *r)
{
	return r->type == WATCH_TYPE_META &&
	       r->subtype == WATCH_META_REMOVAL_NOTIFICATION;
}

static inline bool wq_is_key(const struct wq_record *r, unsigned int subtype,
			     unsigned int key_id)
{
	return r->type == WATCH_TYPE_KEY_NOTIFY && r->subtype == subtype &&
	       r->key_id == key_id;
}

/*
 * Reads exactly one record, through a buffer that has no room for another one
 * of its own length or longer.  Returns 0 or the error; -EPIPE at the end.
 */
static inline int wq_read_one(int fd, struct wq_record *r)
{
	char buf[WQ_RECORD_MAX];
	size_t size;
	ssize_t len;

	for (size = WQ_HEADER; size <= sizeof(buf); size += 8) {
		len = wq_read(fd, buf, size);
		if (len == -ENOBUFS)
			continue;
		if (len < 0)
			return len;
		if (len == 0)
			return -EPIPE;
		len -= wq_decode(buf, len, r);
		return len ? -EBADMSG : 0;
	}
	return -ENOBUFS;
}

/*
 * Reads all that is there now, at most @max records, without blocking.
 * Returns how many there were, or an error that is not EAGAIN.
 */
static inline int wq_read_all(int fd, struct wq_record *recs, int max)
{
	int n, ret;

	ret = wq_set_nonblock(fd, true);
	if (ret < 0)
		return ret;
	for (n = 0; n < max; n++) {
		ret = wq_read_one(fd, &recs[n]);
		if (ret == -EAGAIN || ret == -EPIPE)
			break;
		if (ret < 0)
			return ret;
	}
	return n;
}

/* What a drain saw. */
struct wq_tally {
	__u64	records;	/* all but loss records */
	__u64	lost;		/* the sum of the loss records */
	__u64	losses;		/* how many loss records */
	__u64	bytes;
};

/* Reads until nothing is left, without blocking, and adds to @tally. */
static inline int wq_drain(int fd, struct wq_tally *tally)
{
	struct wq_record r;
	char buf[4096];
	ssize_t len;
	size_t pos;
	int ret;

	ret = wq_set_nonblock(fd, true);
	if (ret < 0)
		return ret;
	while ((len = wq_read(fd, buf, sizeof(buf))) > 0) {
		wq_for_each_record(r, pos, buf, len) {
			if (wq_is_loss(&r)) {
				tally->lost += r.lost;
				tally->losses++;
			} else {
				tally->records++;
			}
		}
		if (pos != (size_t)len)
			return -EBADMSG;
		tally->bytes += len;
	}
	return len == -EAGAIN ? 0 : len;
}

/* ---- /proc ---- */

struct wq_fdinfo {
	int		found;		/* how many of the four figures */
	unsigned int	depth;
	unsigned int	capacity;
	unsigned int	queued;
	__u64	lost;
	int		nr_filters;
	struct watch_notification_type_filter filters[WQ_FILTER_MAX];
	int		nr_watches;
	struct {
		unsigned int	tag;
		__u64	id;
	} watches[256];
};

/* Takes apart one rule's line; returns its length, or 0 if it is not one. */
static inline int wq_fdinfo_filter(const char *line,
				   struct watch_notification_type_filter *tf)
{
	int pos = 0, len, i;

	if (sscanf(line, "filter:\ttype:%u info:%8x mask:%8x subtypes:%n",
		   &tf->type, &tf->info_filter, &tf->info_mask, &pos) != 3)
		return 0;
	if (!pos)
		return 0;
	for (i = 0; i < 8; i++) {
		if (sscanf(line + pos, i ? ",%8x%n" : "%8x%n",
			   &tf->subtype_filter[i], &len) != 1)
			return 0;
		pos += len;
	}
	return pos;
}

/*
 * Reads the queue's lines of /proc/@pid/fdinfo/@fd; @pid 0 is this process.
 * A line of the queue's that is not as documented is -EBADMSG.
 */
static inline int wq_fdinfo(pid_t pid, int fd, struct wq_fdinfo *info)
{
	static const char prefix[] = "watch_queue-";
	unsigned long long llval;
	char path[64], line[256], *p;
	unsigned int val;
	int end, ret = 0;
	FILE *f;

	memset(info, 0, sizeof(*info));
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d",
		 pid ? pid : getpid(), fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;

	while (!ret && fgets(line, sizeof(line), f)) {
		if (strncmp(line, prefix, strlen(prefix)))
			continue;
		p = line + strlen(prefix);
		ret = -EBADMSG;
		end = 0;

		if (sscanf(p, "depth:\t%u%n", &val, &end) == 1) {
			info->depth = val;
			info->found++;
		} else if (sscanf(p, "capacity:\t%u%n", &val, &end) == 1) {
			info->capacity = val;
			info->found++;
		} else if (sscanf(p, "queued:\t%u%n", &val, &end) == 1) {
			info->queued = val;
			info->found++;
		} else if (sscanf(p, "lost:\t%llu%n", &llval, &end) == 1) {
			info->lost = llval;
			info->found++;
		} else if (!strncmp(p, "filter:", 7)) {
			if (info->nr_filters == WQ_FILTER_MAX)
				break;
			end = wq_fdinfo_filter(p, &info->filters[info->nr_filters++]);
		} else if (sscanf(p, "watch:\ttag:%u id:%llx%n", &val, &llval,
				  &end) == 2) {
			if (info->nr_watches == 256)
				break;
			info->watches[info->nr_watches].tag = val;
			info->watches[info->nr_watches++].id = llval;
		}
		if (end && !strcmp(p + end, "\n"))
			ret = 0;
	}
	fclose(f);
	return ret;
}

static inline int wq_file_read_u64(const char *path, __u64 *val)
{
	unsigned long long v;
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "%llu", &v);
	fclose(f);
	if (n != 1)
		return -EBADMSG;
	*val = v;
	return 0;
}

static inline int wq_file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = wq_errno(write(fd, text, strlen(text)));
	close(fd);
	return ret < 0 ? ret : 0;
}

/* @name is as below /proc/sys, for instance "fs/pipe-max-size". */
static inline int wq_sysctl_read(const char *name, __u64 *val)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return wq_file_read_u64(path, val);
}

static inline int wq_sysctl_write(const char *name, __u64 val)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)val);
	return wq_file_write(path, text);
}

/* ---- Time ---- */

/*
 * How long something that has to happen may take in a slow guest.  Only a test that
 * fails waits that long.
 */
#define WQ_PATIENCE_MS		60000

static inline long wq_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000l + now.tv_nsec / 1000000;
}

/* What the environment says of how much a test has to do. */
static inline unsigned long wq_env(const char *name, unsigned long or_else)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : or_else;
}

/* When a stress test that starts now is to end. */
static inline long wq_stress_end(void)
{
	return wq_now_ms() + 1000 * wq_env("WQ_SECONDS", 3);
}

/* ---- Memory and chance ---- */

/*
 * Maps @before pages, and @behind more that can be neither read nor written.
 * Returns where these begin, or NULL.
 */
static inline char *wq_map_edge(unsigned int before, unsigned int behind)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *map, *edge;

	map = mmap(NULL, (before + behind) * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	edge = map + before * page;
	return mprotect(edge, behind * page, PROT_NONE) ? NULL : edge;
}

/* The next of a series of numbers below @below, the same one for each @state. */
static inline unsigned int wq_random(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 16) % below;
}

/* ---- Privileges ---- */

/*
 * Becomes @uid for good, with no capabilities: the kernel drops them with the
 * last user ID that is 0.  Make keys afterwards, they belong to the user.
 */
static inline int wq_become(uid_t uid)
{
	if (setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return -errno;
	/* A change of user takes away one's own /proc/self/fd. */
	return wq_errno(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static inline int wq_drop_privileges(void)
{
	return wq_become(WQ_NOBODY);
}

#endif /* WATCH_QUEUE_UTIL_H */
