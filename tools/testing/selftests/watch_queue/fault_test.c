// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever can fail in a call does, once each: every allocation, and every copy from
 * or to user space.
 *
 * A path is a call and what goes before and after it.  It is made again and again,
 * with the first thing failing that the kernel asks for, the second, and so on until
 * nothing is left to fail.  Each time:
 *
 *  - it fails with ENOMEM or EFAULT, whichever is due, or with what the path names; or
 *    it succeeds, where the kernel can do without;
 *  - if it fails, all is as before: the queue, its filter, its watches and the records
 *    in it, the open files, and what the user is charged for pages and watches;
 *  - then the call succeeds if nothing fails;
 *  - then all records that were posted are there to be read or told as lost.
 *
 * Leaks, and accesses to what is freed, are for kmemleak and KASAN to see.  Needs root,
 * and a kernel with fault injection.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <linux/io_uring.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"
#include "watch_queue_source.h"
#include "watch_queue_fault.h"

/* More than any path's faults. */
#define FAULTS_MAX	1000

/* How often they are all tried, if not twice. */
#define ROUNDS		10

#define DEPTH		64

/* The records of nearly two pages. */
#define MANY		450

/* Into how many parts something is read at most. */
#define PARTS_MAX	64

/* Limits that only count, and never refuse: what is charged can be seen. */
#define PIPE_MAX_SIZE	(64UL << 20)
#define USER_PAGES	4096

/* A user for each process that wants one, with keys, pages and watches of its own. */
#define UID_BASE	100000

/* What has to have failed for want of it. */
#define BY_MEMORY	1
#define BY_COPY		2
#define BY_BOTH		(BY_MEMORY | BY_COPY)

struct state;

/* A path. */
FIXTURE_VARIANT(fault)
{
	/* What may fail it; a path that has neither never fails. */
	unsigned int	fails;
	/* An error that is to be had instead of ENOMEM, or 0. */
	int		instead;
	/*
	 * How many faults of copies fail it, or 0 where that is not known: what is
	 * allocated allocates something else now and then, and so moves the others.
	 */
	unsigned int	copies;
	/* Made by a user without privileges. */
	bool		unprivileged;
	/* The queue's depth and how many records are posted before, if not DEPTH and 0. */
	unsigned int	depth;
	unsigned int	posted;

	long	(*prepare)(struct state *s);
	/* The call: a negative error, or anything else. */
	long	(*call)(struct state *s);
	/* It has failed, or has succeeded with @ret: whether that shows. */
	int	(*failed)(struct state *s);
	int	(*done)(struct state *s, long ret);
	/* Undoes it, after all records have been read. */
	int	(*undo)(struct state *s);

	/* For these functions. */
	unsigned long	arg;
	int		flags;
};

/* What is counted, and must not change. */
struct counts {
	struct wq_fdinfo	info;
	unsigned int		files;
	long			room;
	int			watches;
	int			key_usage;
};

struct state {
	const FIXTURE_VARIANT(fault) * path;
	uid_t			uid;
	unsigned int		depth;
	struct wq_faults	faults;
	bool			copies;		/* can fail */
	/* The queue that is there all the time. */
	struct wq_source	src;
	/* Another of the same user's, which tells what others have. */
	int			witness[2];
	int			spare;		/* a key for it to watch */
	int			watches;	/* how many there were last time */

	/* The path's own. */
	int			fds[2];
	int			key, ring, elsewhere, out;
	int			counted;	/* a key whose references are, or 0 */
	unsigned int		made;		/* keys, for their names */
	struct watch_queue_info	info;
	struct {
		struct watch_notification_filter	head;
		struct watch_notification_type_filter	rules[WQ_FILTER_MAX];
	}			filter;
	struct pollfd		polls[300];
	struct iovec		parts[PARTS_MAX];
	char			text[16384], text_before[16384];
	ssize_t			text_len;
	char			buf[65536];
	/* io_uring */
	unsigned int		*sq_tail, *cq_tail;
	struct io_uring_sqe	*sqes;
	struct io_uring_cqe	*cqes;
};

/* ---- What is counted ---- */

/* Becomes a user who can become root again. */
static int become(uid_t uid)
{
	int ret = wq_errno(setresuid(uid, uid, 0));

	/* A change of user takes away one's own /proc/self/fd. */
	return ret ? ret : wq_errno(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int sysctl_as_root(struct state *s, const char *name, unsigned long val)
{
	int ret = become(0);

	if (!ret)
		ret = wq_sysctl_write(name, val);
	return ret ? ret : become(s->uid);
}

/* What a queue of the user's may grow to, as it is for who has no privileges. */
static long user_room(struct state *s)
{
	struct watch_queue_info info;
	int ret = 0;

	if (!s->uid)
		ret = wq_errno(seteuid(WQ_NOBODY));
	if (!ret)
		ret = wq_get_info(s->witness[0], &info);
	if (!s->uid && seteuid(0))
		return -errno;
	return ret ? ret : info.max_depth;
}

/* Whether the user may have one watch more if @limit are allowed; or an error. */
static int may_watch(struct state *s, unsigned int limit)
{
	struct wq_tally tally = {};
	struct rlimit before, lim;
	int ret, may;

	if (getrlimit(RLIMIT_NOFILE, &before))
		return -errno;
	lim = before;
	lim.rlim_cur = limit;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		return -errno;
	may = wq_watch_key(s->spare, s->witness[0], 0);
	if (setrlimit(RLIMIT_NOFILE, &before))
		return -errno;
	if (may)
		return may == -EAGAIN ? 0 : may;
	ret = wq_watch_key(s->spare, s->witness[0], -1);
	if (!ret)
		ret = wq_drain(s->witness[0], &tally);
	return ret ? ret : 1;
}

/* How many watches the user has: as many as are refused one more. */
static int user_watches(struct state *s)
{
	int n = s->watches, ret;

	while ((ret = may_watch(s, n)) > 0 && n)
		n--;
	while (!ret && !(ret = may_watch(s, n + 1)))
		n++;
	if (ret < 0)
		return ret;
	s->watches = n;
	return n;
}

static unsigned int open_files(void)
{
	unsigned int files = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		files += fcntl(fd, F_GETFD) >= 0;
	return files;
}

/* How many references there are to a key, or the error. */
static int key_usage(int key)
{
	unsigned int serial;
	int usage, ret = -ENOKEY;
	char line[256];
	FILE *f;

	f = fopen("/proc/keys", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%x %*s %d", &serial, &usage) == 2 &&
		    serial == (unsigned int)key)
			ret = usage;
	}
	fclose(f);
	return ret;
}

static int count(struct state *s, struct counts *c)
{
	int ret;

	memset(c, 0, sizeof(*c));
	ret = wq_fdinfo(0, s->src.fds[0], &c->info);
	if (ret)
		return ret;
	c->files = open_files();
	c->room = user_room(s);
	if (c->room < 0)
		return c->room;
	c->watches = user_watches(s);
	if (c->watches < 0)
		return c->watches;
	if (s->counted)
		c->key_usage = key_usage(s->counted);
	return 0;
}

/* What is no longer the same, or NULL. */
static const char *changed(const struct counts *before, const struct counts *now)
{
	if (before->info.depth != now->info.depth)
		return "the queue's depth";
	if (before->info.capacity != now->info.capacity)
		return "the queue's capacity";
	if (before->info.queued != now->info.queued)
		return "the bytes queued";
	if (before->info.nr_filters != now->info.nr_filters ||
	    memcmp(before->info.filters, now->info.filters, sizeof(now->info.filters)))
		return "the queue's filter";
	if (before->info.nr_watches != now->info.nr_watches ||
	    memcmp(before->info.watches, now->info.watches, sizeof(now->info.watches)))
		return "the queue's watches";
	if (before->files != now->files)
		return "the number of open files";
	if (before->room != now->room)
		return "the pages that the user is charged";
	if (before->watches != now->watches)
		return "the watches that the user is charged";
	if (before->key_usage != now->key_usage)
		return "the key's references";
	return NULL;
}

/* As changed(); what keys leave behind takes its time. */
static const char *changed_for_good(struct state *s, const struct counts *before)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	struct counts now;
	const char *what;

	do {
		if (count(s, &now))
			return "what can be counted";
		what = changed(before, &now);
	} while (what && wq_now_ms() < end);
	return what;
}

/* Reads all there is, which has to go on where it was left, up to the last one posted. */
static int read_rest(struct state *s)
{
	ssize_t len;

	while ((len = wq_read(s->src.fds[0], s->buf, sizeof(s->buf))) > 0)
		if (wq_seq_check(&s->src.seq, s->buf, len, &s->src.next, NULL) < 0)
			return -EBADMSG;
	if (len != -EAGAIN)
		return len;
	return s->src.next == s->src.posted ? 0 : -ENODATA;
}

/* A further event is there to be read, and whoever waits is told. */
static int queue_lives(struct state *s)
{
	int ret = wq_source_post(&s->src, 1);

	if (ret)
		return ret;
	return wq_readable(s->src.fds[0]) ? 0 : -ENODATA;
}

/* ---- The paths: what a queue is made of ---- */

static long make_pipe(struct state *s)
{
	return wq_pipe(s->fds, O_CLOEXEC | O_NONBLOCK);
}

/* It has the depth that it has to have, and works. */
static int pipe_made(struct state *s, long ret)
{
	struct wq_record r;

	ret = wq_get_info(s->fds[0], &s->info);
	if (!ret)
		ret = wq_watch_key(s->spare, s->fds[1], 7);
	if (!ret)
		ret = wq_touch(s->spare);
	if (!ret)
		ret = wq_read_one(s->fds[0], &r);
	if (ret)
		return ret;
	return s->info.depth == s->path->arg && r.tag == 7 &&
	       wq_is_key(&r, NOTIFY_KEY_SETATTR, s->spare) ? 0 : -EBADMSG;
}

static int close_pipe(struct state *s)
{
	wq_close(s->fds);
	return 0;
}

static long lower_soft_limit(struct state *s)
{
	return sysctl_as_root(s, "fs/pipe-user-pages-soft", 1);
}

static int close_pipe_raise_limit(struct state *s)
{
	wq_close(s->fds);
	return sysctl_as_root(s, "fs/pipe-user-pages-soft", USER_PAGES);
}

/* All that a queue can have, to be closed. */
static long make_full_pipe(struct state *s)
{
	int i, ret = make_pipe(s);

	if (!ret)
		ret = wq_filter_keys(s->fds[0], ~0);
	for (i = 0; !ret && i < 5; i++)
		ret = wq_watch_key(s->src.seq.keys[i], s->fds[0], i);
	if (!ret)
		ret = wq_source_post(&s->src, 10);
	return ret;
}

static long close_both(struct state *s)
{
	int ret = wq_close_end(&s->fds[0]);

	return ret ? ret : wq_close_end(&s->fds[1]);
}

static long set_size(struct state *s)
{
	return wq_set_size(s->src.fds[0], s->path->arg);
}

static int size_set(struct state *s, long ret)
{
	const unsigned int depth = s->path->arg;

	ret = wq_get_info(s->src.fds[1], &s->info);
	if (ret)
		return ret;
	return s->info.depth == depth &&
	       s->info.capacity == depth * WQ_BYTES_PER_RECORD &&
	       fcntl(s->src.fds[0], F_GETPIPE_SZ) == wq_pipe_size(depth) ?
	       0 : -EBADMSG;
}

static int set_size_back(struct state *s)
{
	return wq_set_size(s->src.fds[0], s->depth);
}

/* All rules differ. */
static void make_rules(struct state *s, unsigned int nr)
{
	struct watch_notification_type_filter *rule = s->filter.rules;
	unsigned int i;

	memset(&s->filter, 0, sizeof(s->filter));
	s->filter.head.nr_filters = nr;
	for (i = 0; i < nr; i++, rule++) {
		rule->type = WATCH_TYPE_KEY_NOTIFY;
		rule->info_mask = WATCH_INFO_ID;
		rule->info_filter = i << WATCH_INFO_ID__SHIFT;
		rule->subtype_filter[i % 8] = 1U << i;
	}
}

static long make_filter(struct state *s)
{
	make_rules(s, s->path->arg);
	return 0;
}

/* Another one is there already. */
static long make_filters(struct state *s)
{
	int ret;

	make_rules(s, 3);
	ret = wq_set_filter(s->src.fds[0], &s->filter);
	make_rules(s, s->path->arg);
	return ret;
}

static long set_filter(struct state *s)
{
	return wq_set_filter(s->src.fds[0],
			     s->filter.head.nr_filters ? &s->filter : NULL);
}

static int filter_set(struct state *s, long ret)
{
	const int nr = s->filter.head.nr_filters;
	struct wq_fdinfo info;

	ret = wq_fdinfo(0, s->src.fds[0], &info);
	if (ret)
		return ret;
	return info.nr_filters == nr &&
	       !memcmp(info.filters, s->filter.rules, nr * sizeof(*info.filters)) ?
	       0 : -EBADMSG;
}

static int remove_filter(struct state *s)
{
	return wq_set_filter(s->src.fds[0], NULL);
}

/* ---- The paths: what can be asked ---- */

static long get_info(struct state *s)
{
	return wq_get_info(s->src.fds[0], &s->info);
}

static int info_got(struct state *s, long ret)
{
	return s->info.depth == s->depth &&
	       s->info.queued == s->path->posted * WQ_KEY_RECORD ? 0 : -EBADMSG;
}

static long open_fdinfo(struct state *s)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->src.fds[0]);
	fd = wq_errno(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd;
	s->text_len = wq_read(fd, s->text_before, sizeof(s->text));
	close(fd);
	if (s->text_len < 0)
		return s->text_len;

	/* Whatever is allocated for it is allocated when it is read. */
	s->fds[0] = wq_errno(open(path, O_RDONLY | O_CLOEXEC));
	return s->fds[0] < 0 ? s->fds[0] : 0;
}

static long read_fdinfo(struct state *s)
{
	return wq_errno(pread(s->fds[0], s->text, sizeof(s->text), 0));
}

static int fdinfo_read(struct state *s, long ret)
{
	return ret == s->text_len && !memcmp(s->text, s->text_before, ret) ?
		0 : -EBADMSG;
}

static int close_first(struct state *s)
{
	return wq_close_end(&s->fds[0]);
}

/* ---- The paths: watching ---- */

static int make_key(struct state *s, const char *what, int ring)
{
	char desc[32];

	snprintf(desc, sizeof(desc), "%s:%u", what, s->made++);
	return wq_add_user_key(desc, ring);
}

static long make_pipe_and_key(struct state *s)
{
	int ret = make_pipe(s);

	if (ret)
		return ret;
	s->key = make_key(s, "watched", KEY_SPEC_SESSION_KEYRING);
	if (s->key < 0)
		return s->key;
	s->counted = s->key;
	return 0;
}

/* Somebody else watches the key already. */
static long make_watched_key(struct state *s)
{
	int ret = make_pipe_and_key(s);

	return ret ? ret : wq_watch_key(s->key, s->witness[0], 1);
}

static long make_key_watch(struct state *s)
{
	int ret = make_pipe_and_key(s);

	return ret ? ret : wq_watch_key(s->key, s->fds[0], 200);
}

static long watch_key(struct state *s)
{
	return wq_watch_key(s->key, s->fds[0], 200);
}

static long unwatch_key(struct state *s)
{
	return wq_watch_key(s->key, s->fds[0], -1);
}

/* There is one watch, and it is this one. */
static int key_watched(struct state *s, long ret)
{
	struct wq_fdinfo info;
	struct wq_record r;

	ret = wq_touch(s->key);
	if (!ret)
		ret = wq_read_one(s->fds[0], &r);
	if (!ret)
		ret = wq_fdinfo(0, s->fds[0], &info);
	if (ret)
		return ret;
	return wq_is_key(&r, NOTIFY_KEY_SETATTR, s->key) && r.tag == 200 &&
	       info.nr_watches == 1 ? 0 : -EBADMSG;
}

/* An event of the key tells nobody, be it the watcher that there is or the queue. */
static int key_not_watched(struct state *s)
{
	struct wq_record r;
	int ret = wq_touch(s->key);

	if (ret)
		return ret;
	return wq_read_one(s->fds[0], &r) == -EAGAIN ? 0 : -EBADMSG;
}

static int key_unwatched(struct state *s, long ret)
{
	struct wq_record r;

	ret = wq_read_one(s->fds[0], &r);
	if (ret)
		return ret;
	return wq_is_removal(&r) && r.tag == 200 && r.id == (unsigned int)s->key ?
		key_not_watched(s) : -EBADMSG;
}

static int close_pipe_and_key(struct state *s)
{
	struct wq_tally tally = {};
	int ret;

	wq_close(s->fds);
	ret = wq_watch_key(s->key, s->witness[0], -1);
	if (!ret || ret == -EBADSLT)
		ret = wq_drain(s->witness[0], &tally);
	if (!ret)
		ret = wq_unlink_key(s->key, KEY_SPEC_SESSION_KEYRING);
	s->counted = 0;
	return ret;
}

static long watch_devices(struct state *s)
{
	return wq_errno(syscall(__NR_watch_devices, s->fds[0], 201, 0));
}

static long unwatch_devices(struct state *s)
{
	return wq_errno(syscall(__NR_watch_devices, s->fds[0], -1, 0));
}

static long make_device_watch(struct state *s)
{
	int ret = make_pipe(s);

	return ret ? ret : watch_devices(s);
}

static int devices_watched(struct state *s, long ret)
{
	struct wq_fdinfo info;

	ret = wq_fdinfo(0, s->fds[0], &info);
	if (ret)
		return ret;
	return info.nr_watches == 1 && info.watches[0].tag == 201 ? 0 : -EBADMSG;
}

static int devices_unwatched(struct state *s, long ret)
{
	struct wq_fdinfo info;

	ret = wq_fdinfo(0, s->fds[0], &info);
	if (ret)
		return ret;
	return info.nr_watches == 0 ? 0 : -EBADMSG;
}

/* ---- The paths: reading and waiting ---- */

static long read_all(struct state *s)
{
	return wq_read(s->src.fds[0], s->buf, sizeof(s->buf));
}

/* @flags parts of a size that few records end with. */
static long make_parts(struct state *s)
{
	const size_t size = s->path->arg;
	unsigned int i;

	for (i = 0; i < PARTS_MAX; i++) {
		s->parts[i].iov_base = s->buf + i * size;
		s->parts[i].iov_len = size;
	}
	return 0;
}

static long read_parts(struct state *s)
{
	return wq_errno(readv(s->src.fds[0], s->parts, s->path->flags));
}

/* Whole records, which are the next ones; at least one. */
static int records_read(struct state *s, long ret)
{
	return ret > 0 && wq_seq_check(&s->src.seq, s->buf, ret, &s->src.next,
				       NULL) >= 0 ? 0 : -EBADMSG;
}

/* More files than are waited for without allocating anything. */
static long make_polls(struct state *s)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(s->polls); i++)
		s->polls[i] = (struct pollfd){ s->src.fds[0], POLLIN };
	return 0;
}

static long poll_many(struct state *s)
{
	return wq_errno(poll(s->polls, ARRAY_SIZE(s->polls), 1));
}

static int polled(struct state *s, long ret)
{
	return ret ? -EBADMSG : queue_lives(s);
}

static long make_epoll(struct state *s)
{
	s->fds[0] = wq_errno(epoll_create1(EPOLL_CLOEXEC));
	return s->fds[0] < 0 ? s->fds[0] : 0;
}

static long epoll_add(struct state *s)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	return wq_errno(epoll_ctl(s->fds[0], EPOLL_CTL_ADD, s->src.fds[0], &event));
}

static int epoll_added(struct state *s, long ret)
{
	struct epoll_event event;

	ret = queue_lives(s);
	if (ret)
		return ret;
	return epoll_wait(s->fds[0], &event, 1, 0) == 1 ? 0 : -ENODATA;
}

/* Somebody waits nowhere for the queue, and is not told. */
static int epoll_not_added(struct state *s)
{
	return wq_errno(epoll_ctl(s->fds[0], EPOLL_CTL_DEL, s->src.fds[0], NULL)) ==
	       -ENOENT ? 0 : -EBADMSG;
}

static long open_again(struct state *s)
{
	s->fds[0] = wq_reopen(s->src.fds[0], s->path->flags | O_NONBLOCK | O_CLOEXEC);
	if (s->fds[0] < 0)
		return s->fds[0];
	return wq_errno(fcntl(s->fds[0], F_SETOWN, getpid()));
}

static long set_async(struct state *s)
{
	return wq_errno(fcntl(s->fds[0], F_SETFL, O_ASYNC | O_NONBLOCK));
}

/* Whether an event makes a SIGIO, as it should: @want. */
static int event_signals(struct state *s, bool want)
{
	const struct timespec now = {};
	sigset_t set;
	int ret;

	ret = queue_lives(s);
	if (ret)
		return ret;
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ret = wq_errno(sigtimedwait(&set, NULL, &now));
	if (!!(fcntl(s->fds[0], F_GETFL) & O_ASYNC) != want)
		return -EBADF;
	return ret == (want ? SIGIO : -EAGAIN) ? 0 : -EBADMSG;
}

static int async_set(struct state *s, long ret)
{
	return event_signals(s, true);
}

static int async_not_set(struct state *s)
{
	return event_signals(s, false);
}

static long reopen(struct state *s)
{
	s->fds[0] = wq_reopen(s->src.fds[0], s->path->flags | O_NONBLOCK | O_CLOEXEC);
	return s->fds[0];
}

static int reopened(struct state *s, long ret)
{
	ret = wq_get_info(s->fds[0], &s->info);
	if (ret)
		return ret;
	return s->info.depth == s->depth ? 0 : -EBADMSG;
}

/* A child that has all files and does nothing with them. */
static long make_child(struct state *s)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(0);
	return wq_errno(pid);
}

static int child_made(struct state *s, long ret)
{
	int status;

	if (waitpid(ret, &status, 0) != ret)
		return -errno;
	return status ? -ECHILD : 0;
}

/* ---- The paths: io_uring ---- */

#define RING_ENTRIES	4

static long make_ring(struct state *s)
{
	struct io_uring_params p = {};
	char *rings;

	s->fds[0] = wq_errno(syscall(__NR_io_uring_setup, RING_ENTRIES, &p));
	if (s->fds[0] < 0)
		return s->fds[0];
	/* Both are in one mapping, of less than a page. */
	rings = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, s->fds[0], IORING_OFF_SQ_RING);
	s->sqes = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, s->fds[0], IORING_OFF_SQES);
	if (rings == MAP_FAILED || s->sqes == MAP_FAILED)
		return -errno;
	s->sq_tail = (void *)(rings + p.sq_off.tail);
	s->cq_tail = (void *)(rings + p.cq_off.tail);
	s->cqes = (void *)(rings + p.cq_off.cqes);
	s->sqes[0] = (struct io_uring_sqe){
		.opcode		= IORING_OP_POLL_ADD,
		.fd		= s->src.fds[0],
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		.poll32_events	= POLLIN << 16,
#else
		.poll32_events	= POLLIN,
#endif
	};
	*(unsigned int *)(rings + p.sq_off.array) = 0;
	__atomic_store_n(s->sq_tail, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Hands it in, the first time or once more. */
static long ring_poll(struct state *s)
{
	int ret = wq_errno(syscall(__NR_io_uring_enter, s->fds[0], 1, 0, 0, NULL, 0));

	return ret ? ret : -ENOENT;
}

static int ring_polled(struct state *s, long ret)
{
	ret = queue_lives(s);
	if (!ret)
		ret = wq_errno(syscall(__NR_io_uring_enter, s->fds[0], 0, 1,
				       IORING_ENTER_GETEVENTS, NULL, 0));
	if (ret)
		return ret;
	return __atomic_load_n(s->cq_tail, __ATOMIC_ACQUIRE) == 1 &&
	       s->cqes[0].res == POLLIN ? 0 : -EBADMSG;
}

static int close_ring(struct state *s)
{
	munmap((void *)((unsigned long)s->sq_tail & ~(getpagesize() - 1UL)),
	       getpagesize());
	munmap(s->sqes, getpagesize());
	return wq_close_end(&s->fds[0]);
}

/* ---- The paths: events ---- */

/*
 * A keyring and a key in it, both watched; and a key that is not in it, and a keyring
 * elsewhere.  The session keyring keeps them all.
 */
static long make_watched_ring(struct state *s)
{
	int ret = make_pipe(s);

	if (ret)
		return ret;
	s->ring = wq_add_keyring("ring", KEY_SPEC_SESSION_KEYRING);
	s->elsewhere = wq_add_keyring("elsewhere", KEY_SPEC_SESSION_KEYRING);
	s->out = wq_add_user_key("out", KEY_SPEC_SESSION_KEYRING);
	s->key = wq_add_user_key("in", KEY_SPEC_SESSION_KEYRING);
	if (s->ring < 0 || s->elsewhere < 0 || s->out < 0 || s->key < 0)
		return -ENOKEY;
	ret = wq_link_key(s->key, s->ring);
	if (!ret)
		ret = wq_watch_key(s->ring, s->fds[0], 1);
	if (!ret)
		ret = wq_watch_key(s->key, s->fds[0], 2);
	return ret;
}

/* How many records of keys there are; if one, it is put in @*r. */
static int key_records(struct state *s, struct wq_record *r)
{
	struct wq_record recs[16];
	int i, n, found = 0;

	n = wq_read_all(s->fds[0], recs, 16);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		if (recs[i].type == WATCH_TYPE_KEY_NOTIFY && !found++)
			*r = recs[i];
	return found;
}

/* What did not happen is not told. */
static int event_failed(struct state *s)
{
	struct wq_record r;

	return key_records(s, &r) ? -EBADMSG : 0;
}

/* What happened is told once; of which of the two is in @flags. */
static int event_happened(struct state *s, long ret)
{
	struct wq_record r;

	return key_records(s, &r) == 1 && r.tag == (unsigned int)s->path->flags &&
	       wq_is_key(&r, s->path->arg, r.tag == 1 ? s->ring : s->key) ?
	       0 : -EBADMSG;
}

static int close_ring_of_keys(struct state *s)
{
	int ret;

	wq_close(s->fds);
	/* What is invalid or revoked goes with the keyring's next change. */
	wq_unlink_key(s->key, KEY_SPEC_SESSION_KEYRING);
	wq_unlink_key(s->ring, KEY_SPEC_SESSION_KEYRING);
	ret = wq_unlink_key(s->out, KEY_SPEC_SESSION_KEYRING);
	if (!ret)
		ret = wq_unlink_key(s->elsewhere, KEY_SPEC_SESSION_KEYRING);
	return ret;
}

static long event_update(struct state *s)
{
	return wq_update_key(s->key);
}

static long event_add_again(struct state *s)
{
	return wq_add_key("user", "in", "once more", 9, s->ring);
}

static long event_add(struct state *s)
{
	return wq_add_user_key("new", s->ring);
}

static long event_add_keyring(struct state *s)
{
	return wq_add_keyring("new", s->ring);
}

static long event_link(struct state *s)
{
	return wq_link_key(s->out, s->ring);
}

static long event_unlink(struct state *s)
{
	return wq_unlink_key(s->key, s->ring);
}

static long event_move(struct state *s)
{
	return wq_keyctl(KEYCTL_MOVE, s->key, s->ring, s->elsewhere, 0);
}

static long event_clear(struct state *s)
{
	return wq_clear_keyring(s->ring);
}

static long event_setperm(struct state *s)
{
	return wq_touch(s->key);
}

static long event_chown(struct state *s)
{
	return wq_keyctl(KEYCTL_CHOWN, s->key, UID_BASE + getpid(), -1, 0);
}

static long event_timeout(struct state *s)
{
	return wq_keyctl(KEYCTL_SET_TIMEOUT, s->key, 1000, 0, 0);
}

static long event_restrict(struct state *s)
{
	return wq_keyctl(KEYCTL_RESTRICT_KEYRING, s->ring, 0, 0, 0);
}

static long event_revoke(struct state *s)
{
	return wq_revoke_key(s->key);
}

static long event_revoke_ring(struct state *s)
{
	return wq_revoke_key(s->ring);
}

static long event_invalidate(struct state *s)
{
	return wq_invalidate_key(s->key);
}

/* ---- The table ---- */

FIXTURE(fault)
{
	struct state *s;
};

/* As pipe2() does for every pipe, without memory for its inode it says ENFILE. */
#define PIPE								\
	.fails = BY_BOTH, .instead = ENFILE,		\
	.call = make_pipe, .done = pipe_made

FIXTURE_VARIANT_ADD(fault, pipe2) {
	PIPE, .undo = close_pipe, .arg = WQ_DEFAULT_DEPTH,
};

FIXTURE_VARIANT_ADD(fault, pipe2_unprivileged) {
	PIPE, .undo = close_pipe, .arg = WQ_DEFAULT_DEPTH,
	.unprivileged = true,
};

FIXTURE_VARIANT_ADD(fault, pipe2_over_soft_limit) {
	PIPE, .prepare = lower_soft_limit, .arg = 1,
	.undo = close_pipe_raise_limit, .unprivileged = true,
};

FIXTURE_VARIANT_ADD(fault, close) {
	.prepare = make_full_pipe, .call = close_both, .unprivileged = true,
};

#define SIZE								\
	.fails = BY_MEMORY, .unprivileged = true,			\
	.call = set_size, .done = size_set, .undo = set_size_back

FIXTURE_VARIANT_ADD(fault, size_grows_empty) { SIZE, .arg = 512 };
FIXTURE_VARIANT_ADD(fault, size_grows_filled) { SIZE, .arg = 512, .posted = MANY };

FIXTURE_VARIANT_ADD(fault, size_grows_with_loss) {
	SIZE, .depth = 4, .arg = 64, .posted = 100,
};

/* Of more slots than are allocated in one piece. */
FIXTURE_VARIANT_ADD(fault, size_grows_large) { SIZE, .arg = 3300, .posted = 10 };
FIXTURE_VARIANT_ADD(fault, size_shrinks_empty) { SIZE, .depth = 512, .arg = 1 };

FIXTURE_VARIANT_ADD(fault, size_shrinks_filled) {
	SIZE, .depth = 512, .arg = DEPTH, .posted = MANY,
};

FIXTURE_VARIANT_ADD(fault, size_stays) { SIZE, .arg = DEPTH, .posted = MANY };

FIXTURE_VARIANT_ADD(fault, size_by_root) {
	.fails = BY_MEMORY, .call = set_size, .done = size_set,
	.undo = set_size_back, .arg = 512, .posted = 10,
};

#define FILTER								\
	.unprivileged = true, .posted = 10,				\
	.call = set_filter, .done = filter_set, .undo = remove_filter

FIXTURE_VARIANT_ADD(fault, filter_of_1) {
	FILTER, .fails = BY_BOTH, .prepare = make_filter, .arg = 1,
};

FIXTURE_VARIANT_ADD(fault, filter_of_16) {
	FILTER, .fails = BY_BOTH, .prepare = make_filter, .arg = 16,
};

FIXTURE_VARIANT_ADD(fault, filter_replaced) {
	FILTER, .fails = BY_BOTH, .prepare = make_filters, .arg = 16,
};

FIXTURE_VARIANT_ADD(fault, filter_removed) { FILTER, .prepare = make_filters };

FIXTURE_VARIANT_ADD(fault, get_info) {
	.fails = BY_COPY, .copies = 1, .call = get_info, .done = info_got,
	.posted = 10,
};

FIXTURE_VARIANT_ADD(fault, fdinfo) {
	.fails = BY_BOTH, .prepare = open_fdinfo, .call = read_fdinfo,
	.done = fdinfo_read, .undo = close_first, .posted = 10,
};

#define WATCH								\
	.unprivileged = true, .fails = BY_MEMORY, .posted = 10,		\
	.call = watch_key, .failed = key_not_watched,			\
	.done = key_watched, .undo = close_pipe_and_key

FIXTURE_VARIANT_ADD(fault, watch_key_first) { WATCH, .prepare = make_pipe_and_key };
FIXTURE_VARIANT_ADD(fault, watch_key_second) { WATCH, .prepare = make_watched_key };

FIXTURE_VARIANT_ADD(fault, unwatch_key) {
	.unprivileged = true, .posted = 10, .prepare = make_key_watch,
	.call = unwatch_key, .done = key_unwatched, .undo = close_pipe_and_key,
};

FIXTURE_VARIANT_ADD(fault, watch_devices) {
	.fails = BY_MEMORY, .posted = 10, .prepare = make_pipe,
	.call = watch_devices, .done = devices_watched, .undo = close_pipe,
};

FIXTURE_VARIANT_ADD(fault, unwatch_devices) {
	.posted = 10, .prepare = make_device_watch, .call = unwatch_devices,
	.done = devices_unwatched, .undo = close_pipe,
};

/* Only the first copy can fail it: what was delivered before another is returned. */
#define READ								\
	.unprivileged = true, .fails = BY_COPY, .copies = 1,		\
	.call = read_all, .done = records_read

FIXTURE_VARIANT_ADD(fault, read_one_page) { READ, .posted = 10 };
FIXTURE_VARIANT_ADD(fault, read_pages) { READ, .posted = MANY };
FIXTURE_VARIANT_ADD(fault, read_loss) { READ, .depth = 8, .posted = 100 };

/* As many copies can fail it as it takes to deliver a record. */
#define READ_PARTS							\
	.unprivileged = true, .posted = 100,				\
	.prepare = make_parts, .call = read_parts, .done = records_read

FIXTURE_VARIANT_ADD(fault, read_parts) {
	READ_PARTS, .fails = BY_COPY, .copies = 1, .arg = 20, .flags = 8,
};

FIXTURE_VARIANT_ADD(fault, read_small_parts) {
	READ_PARTS, .fails = BY_COPY, .copies = 3, .arg = 7, .flags = 8,
};

FIXTURE_VARIANT_ADD(fault, read_parts_loss) {
	READ_PARTS, .fails = BY_COPY, .copies = 1, .arg = 20, .flags = 8, .depth = 1,
};

/* More parts than there is a place for on the stack. */
FIXTURE_VARIANT_ADD(fault, read_many_parts) {
	READ_PARTS, .fails = BY_BOTH, .arg = 20, .flags = PARTS_MAX,
};

FIXTURE_VARIANT_ADD(fault, poll) {
	.unprivileged = true, .fails = BY_BOTH, .prepare = make_polls,
	.call = poll_many, .done = polled,
};

FIXTURE_VARIANT_ADD(fault, epoll) {
	.unprivileged = true, .fails = BY_BOTH, .prepare = make_epoll,
	.call = epoll_add, .failed = epoll_not_added, .done = epoll_added,
	.undo = close_first,
};

/* Where there is no memory for many requests there is for one. */
FIXTURE_VARIANT_ADD(fault, io_uring_poll) {
	.unprivileged = true, .prepare = make_ring, .call = ring_poll, .done = ring_polled,
	.undo = close_ring,
};

#define ASYNC								\
	.unprivileged = true, .fails = BY_MEMORY,			\
	.prepare = open_again, .call = set_async, .failed = async_not_set, \
	.done = async_set, .undo = close_first

FIXTURE_VARIANT_ADD(fault, async) { ASYNC, .flags = O_RDONLY };
/* One signal more, of an end that can be written to as well. */
FIXTURE_VARIANT_ADD(fault, async_both) { ASYNC, .flags = O_RDWR };

#define REOPEN								\
	.unprivileged = true, .fails = BY_BOTH, .posted = 10,		\
	.call = reopen, .done = reopened, .undo = close_first

FIXTURE_VARIANT_ADD(fault, reopen_read) { REOPEN, .flags = O_RDONLY };
FIXTURE_VARIANT_ADD(fault, reopen_write) { REOPEN, .flags = O_WRONLY };
FIXTURE_VARIANT_ADD(fault, reopen_both) { REOPEN, .flags = O_RDWR };

/* Without memory for a number it says EAGAIN. */
FIXTURE_VARIANT_ADD(fault, fork) {
	.unprivileged = true, .fails = BY_MEMORY, .instead = EAGAIN,
	.posted = 10, .call = make_child, .done = child_made,
};

/* Nothing is allocated for a record, so it is there if and only if there is news. */
#define EVENT(what, subtype, tag)					\
	.prepare = make_watched_ring, .call = event_##what,		\
	.failed = event_failed, .done = event_happened,			\
	.undo = close_ring_of_keys, .posted = 10,			\
	.arg = NOTIFY_KEY_##subtype, .flags = (tag)

FIXTURE_VARIANT_ADD(fault, key_update) {
	EVENT(update, UPDATED, 2), .fails = BY_BOTH,
};

FIXTURE_VARIANT_ADD(fault, key_add_again) {
	EVENT(add_again, UPDATED, 2), .fails = BY_BOTH,
};

FIXTURE_VARIANT_ADD(fault, key_add) { EVENT(add, LINKED, 1), .fails = BY_BOTH };

FIXTURE_VARIANT_ADD(fault, key_add_keyring) {
	EVENT(add_keyring, LINKED, 1), .fails = BY_BOTH,
};

FIXTURE_VARIANT_ADD(fault, key_link) { EVENT(link, LINKED, 1), .fails = BY_MEMORY };

FIXTURE_VARIANT_ADD(fault, key_unlink) {
	EVENT(unlink, UNLINKED, 1), .fails = BY_MEMORY,
};

FIXTURE_VARIANT_ADD(fault, key_move) {
	EVENT(move, UNLINKED, 1), .fails = BY_MEMORY,
};

FIXTURE_VARIANT_ADD(fault, key_clear) {
	EVENT(clear, CLEARED, 1), .fails = BY_MEMORY,
};

FIXTURE_VARIANT_ADD(fault, key_setperm) { EVENT(setperm, SETATTR, 2) };
FIXTURE_VARIANT_ADD(fault, key_chown) { EVENT(chown, SETATTR, 2) };
FIXTURE_VARIANT_ADD(fault, key_timeout) { EVENT(timeout, SETATTR, 2) };

FIXTURE_VARIANT_ADD(fault, key_restrict) {
	EVENT(restrict, SETATTR, 1), .fails = BY_MEMORY,
};

FIXTURE_VARIANT_ADD(fault, key_revoke) { EVENT(revoke, REVOKED, 2) };
FIXTURE_VARIANT_ADD(fault, key_revoke_ring) { EVENT(revoke_ring, REVOKED, 1) };
FIXTURE_VARIANT_ADD(fault, key_invalidate) { EVENT(invalidate, INVALIDATED, 2) };

/* ---- The sweep ---- */

static const char *missing = "CONFIG_FAULT_INJECTION";

static int set_limits(void)
{
	int ret = wq_sysctl_write("fs/pipe-max-size", PIPE_MAX_SIZE);

	return ret ? ret : wq_sysctl_write("fs/pipe-user-pages-soft", USER_PAGES);
}

FIXTURE_SETUP(fault)
{
	struct state *s;
	sigset_t set;

	WQ_REQUIRE_ROOT();
	if (missing)
		SKIP(return, "%s is not set", missing);
	WQ_REQUIRE_KEYS();

	/* Shared, so that nothing is allocated for it when it is written to. */
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	self->s = s;
	s->path = variant;
	s->depth = variant->depth ? variant->depth : DEPTH;
	s->uid = variant->unprivileged ? UID_BASE + getpid() : 0;
	s->fds[0] = -EBADF;
	s->fds[1] = -EBADF;

	ASSERT_EQ(0, wq_faults_open(&s->faults));
	s->copies = wq_faults_copies();
	if (variant->fails == BY_COPY && !s->copies)
		SKIP(return, "CONFIG_FAULT_INJECTION_USERCOPY is not set");
	if (variant->done == devices_watched && watch_devices(s) == -ENOSYS)
		SKIP(return, "CONFIG_DEVICE_NOTIFICATIONS is not set");

	ASSERT_EQ(0, set_limits());
	ASSERT_EQ(0, become(s->uid));
	ASSERT_EQ(0, wq_source_make(&s->src, s->depth));
	ASSERT_EQ(0, wq_pipe(s->witness, O_NONBLOCK));
	s->spare = wq_add_user_key("spare", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, s->spare);

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
}

FIXTURE_TEARDOWN(fault)
{
}

/* Whether the call may fail so after that fault. */
static bool error_is_due(const FIXTURE_VARIANT(fault) * path, enum wq_fault fault, long error)
{
	if (fault == WQ_FAULT_COPY)
		return path->fails & BY_COPY && error == -EFAULT;
	if (fault == WQ_FAULT_MEMORY)
		return path->fails & BY_MEMORY &&
		       (error == -ENOMEM || (path->instead && error == -path->instead));
	return false;
}

/* Makes the call with its @n-th fault, or none; returns which that was. */
static enum wq_fault try_fault(struct __test_metadata *_metadata, struct state *s,
			       unsigned int n, unsigned int failures[])
{
	const FIXTURE_VARIANT(fault) * path = s->path;
	struct counts before, ready, now;
	enum wq_fault fault;
	const char *what;
	long ret;

	ASSERT_EQ(0, count(s, &before));
	ASSERT_EQ(0, wq_source_post(&s->src, path->posted));
	if (path->prepare)
		ASSERT_EQ(0, path->prepare(s));
	ASSERT_EQ(0, count(s, &ready));

	ASSERT_EQ(0, wq_fault_arm(&s->faults, n));
	ret = path->call(s);
	fault = wq_fault_disarm(&s->faults);

	if (ret < 0) {
		EXPECT_TRUE(error_is_due(path, fault, ret)) {
			TH_LOG("fault %u, of kind %d: error %ld", n, fault, ret);
		}
		failures[fault]++;
		ASSERT_EQ(0, count(s, &now));
		what = changed(&ready, &now);
		ASSERT_EQ(NULL, what) {
			TH_LOG("fault %u, error %ld: changed %s", n, ret, what);
		}
		EXPECT_EQ(ready.info.lost, now.info.lost);
		if (path->failed)
			EXPECT_EQ(0, path->failed(s)) {
				TH_LOG("fault %u, error %ld", n, ret);
			}
		ret = path->call(s);
		ASSERT_LE(0, ret) {
			TH_LOG("after fault %u it does not work any more", n);
		}
	}
	if (path->done)
		EXPECT_EQ(0, path->done(s, ret)) {
			TH_LOG("fault %u, of kind %d", n, fault);
		}

	ASSERT_EQ(0, read_rest(s)) {
		TH_LOG("fault %u: not the records that were posted", n);
	}
	if (path->undo)
		ASSERT_EQ(0, path->undo(s));
	what = changed_for_good(s, &before);
	ASSERT_EQ(NULL, what) {
		TH_LOG("fault %u: changed in the end %s", n, what);
	}
	return fault;
}

/* Nobody holds on to an end of the queue: without writers, reading comes to its end. */
static void expect_end(struct __test_metadata *_metadata, struct state *s)
{
	EXPECT_EQ(0, wq_close_end(&s->src.fds[1]));
	EXPECT_EQ(POLLHUP, wq_poll(s->src.fds[0], POLLIN, WQ_PATIENCE_MS));
	EXPECT_EQ(0, wq_read(s->src.fds[0], s->buf, sizeof(s->buf)));
}

/* Whether all that has to has failed. */
static bool all_failed(const struct state *s, const unsigned int failures[])
{
	if (s->path->fails & BY_MEMORY && !failures[WQ_FAULT_MEMORY])
		return false;
	return !(s->path->fails & BY_COPY && s->copies) || failures[WQ_FAULT_COPY];
}

TEST_F_TIMEOUT(fault, sweep, 600)
{
	unsigned int failures[WQ_FAULT_OTHER + 1] = {};
	struct state *s = self->s;
	unsigned int n, round;

	/* First with none, so that what is loaded on demand is there. */
	ASSERT_EQ(WQ_FAULT_NONE, try_fault(_metadata, s, 0, failures));

	/*
	 * Not once only: an allocator that now and then asks for pages moves the
	 * faults, so that one is passed over.
	 */
	for (round = 1; round <= 2 || (round <= ROUNDS && !all_failed(s, failures));
	     round++) {
		for (n = 1; try_fault(_metadata, s, n, failures); n++)
			ASSERT_GT(FAULTS_MAX, n);
		if (variant->copies && s->copies)
			EXPECT_EQ(round * variant->copies, failures[WQ_FAULT_COPY]);
	}
	EXPECT_TRUE(all_failed(s, failures));
	TH_LOG("%u faults, %u rounds: %u failed for memory, %u for a copy", n - 1,
	       round - 1, failures[WQ_FAULT_MEMORY], failures[WQ_FAULT_COPY]);
	expect_end(_metadata, s);
}

int main(int argc, char **argv)
{
	__u64 max = 0, soft = 0;
	int ret;

	if (!geteuid())
		wq_faults_set(&missing);
	wq_sysctl_read("fs/pipe-max-size", &max);
	wq_sysctl_read("fs/pipe-user-pages-soft", &soft);
	ret = test_harness_run(argc, argv);
	if (!geteuid()) {
		wq_sysctl_write("fs/pipe-max-size", max);
		wq_sysctl_write("fs/pipe-user-pages-soft", soft);
		wq_faults_reset();
	}
	return ret;
}
