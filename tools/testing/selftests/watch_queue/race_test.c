// SPDX-License-Identifier: GPL-2.0
/*
 * Everything against everything: posting, reading, closing, resizing, filtering,
 * watching and letting go, the destruction of keys, and a CPU that is taken off-line,
 * at the same time.  And what becomes of a queue that is handed over by fork, exec or
 * a socket.
 *
 * Whatever happens, every record read has exactly the length, type and tag that
 * it was posted with, none comes behind the REMOVAL of its watch, and each watch
 * goes exactly once.  Run it with all the kernel's checks, too.
 *
 * WQ_SECONDS in the environment changes how long each test lasts; with WQ_HOTPLUG=0
 * no CPU is taken off-line.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

/*
 * How many watches and files this test may have.  It makes and drops many more,
 * so that one that is not given back each time is noticed as EAGAIN or EMFILE.
 */
#define FEW		128

/* The CPU that is taken off-line and put back. */
#define CPU		1
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"

FIXTURE(race)
{
	int cpu_online;			/* open, or the error */
	int fds[2];
	int ring;
	struct wq_seq seq;
	int watches_left;
	uint64_t posted;
	uint64_t next;
	bool stop;
};

/* The keys of the last test may be on their way out, but count still. */
static int make_seq(struct wq_seq *seq)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int ret;

	do {
		ret = wq_seq_make(seq, KEY_SPEC_SESSION_KEYRING);
		if (ret == -EDQUOT)
			sched_yield();
	} while (ret == -EDQUOT && wq_now_ms() < end);
	return ret;
}

/* How many more watches this user may have; for this, @seq is watched. */
static int watches_left(const struct wq_seq *seq)
{
	int fds[2][2], pipe, i, ret = 0, n = 0;

	for (pipe = 0; pipe < 2; pipe++)
		if (wq_pipe(fds[pipe], 0))
			return -errno;
	for (i = 0; !ret && i < 2 * WQ_SEQ_KEYS; i++) {
		ret = wq_watch_key(seq->keys[i / 2], fds[i % 2][0], 0);
		if (!ret)
			n++;
	}
	for (pipe = 0; pipe < 2; pipe++)
		wq_close(fds[pipe]);
	return ret == -EAGAIN ? n : -EINVAL;
}

/* As a REMOVAL is told just before the watch is gone, that may take a moment. */
static int await_watches_left(const struct wq_seq *seq, int expected)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int n;

	do {
		n = watches_left(seq);
	} while (n != expected && wq_now_ms() < end);
	return n;
}

FIXTURE_SETUP(race)
{
	struct rlimit lim;
	sigset_t set;

	WQ_REQUIRE_KEYS();
	self->cpu_online = wq_errno(open(CPU_ONLINE, O_WRONLY | O_CLOEXEC));
	/* Root may have other watches, and more keys than others. */
	if (geteuid() == 0)
		ASSERT_EQ(0, wq_drop_privileges());
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
	lim.rlim_cur = FEW;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));

	/* Some queues ask for signals that nobody takes. */
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));

	self->ring = wq_join_session();
	ASSERT_LT(0, self->ring);
	ASSERT_EQ(0, make_seq(&self->seq));
	self->watches_left = watches_left(&self->seq);
	ASSERT_LT(0, self->watches_left);
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
}

/* Whatever became of the watches, each has been given back, and only once. */
FIXTURE_TEARDOWN(race)
{
	wq_close(self->fds);
	EXPECT_EQ(self->watches_left,
		  await_watches_left(&self->seq, self->watches_left));
}

/* A worker that makes the numbered events. */
static int post_next(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;

	return wq_seq_post(&self->seq, self->posted++, 1);
}

/* A worker that makes events of the first keys, so that they are frequent. */
static int touch_few(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;
	int i, ret = 0;

	for (i = 0; !ret && i < 4; i++)
		ret = wq_touch(self->seq.keys[i]);
	return ret;
}

/* Reads once and checks that the numbers go on from @next. */
static int read_next(FIXTURE_DATA(race) * const self, size_t size)
{
	char buf[4096];
	ssize_t len;

	len = wq_read(self->fds[0], buf, size);
	if (len == -EAGAIN)
		return 0;
	if (len < 0)
		return len;
	return wq_seq_check(&self->seq, buf, len, &self->next, NULL) < 0 ?
		-EBADMSG : 0;
}

/* As wq_stress_end(), for what takes longer to go wrong. */
static long long_stress_end(void)
{
	long now = wq_now_ms();

	return now + 3 * (wq_stress_end() - now);
}

/* Whether the time is not over, or the worker has not done anything yet. */
static bool goes_on(const struct wq_worker *w, long end)
{
	if (__atomic_load_n(&w->ret, __ATOMIC_RELAXED))
		return false;
	return wq_now_ms() < end || !__atomic_load_n(&w->rounds, __ATOMIC_RELAXED);
}

/* Waits until the time is over and each worker has done more than it could leak. */
static void await_workers(const struct wq_worker *workers, int nr, long end)
{
	const struct wq_worker *w;

	for (w = workers; w < workers + nr; w++)
		while (!__atomic_load_n(&w->ret, __ATOMIC_RELAXED) &&
		       (__atomic_load_n(&w->rounds, __ATOMIC_RELAXED) <= FEW ||
			wq_now_ms() < end))
			sched_yield();
}

/* ---- Against posting ---- */

/* A record can be seen only when all of it is there. */
TEST_F_TIMEOUT(race, read_against_post, 120)
{
	long end = wq_stress_end();
	struct wq_worker poster;

	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	while (wq_now_ms() < end)
		ASSERT_EQ(0, read_next(self, 4096));
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	while (wq_readable(self->fds[0]))
		ASSERT_EQ(0, read_next(self, 4096));
	EXPECT_EQ(self->posted, self->next);
}

struct resizer {
	int fd;
	unsigned int random;
};

static int resize(void *arg)
{
	struct resizer *r = arg;
	int ret = wq_set_size(r->fd, 1 + wq_random(&r->random, 100));

	return ret == -EBUSY ? 0 : ret;
}

/* Resizing loses nothing, nor does it change the order, while others post and read. */
TEST_F_TIMEOUT(race, resize_against_post_and_read, 120)
{
	struct resizer r = { .fd = self->fds[0], .random = 1 };
	struct wq_worker poster, resizer;
	long end = wq_stress_end();
	unsigned int random = 2;

	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&resizer, resize, &r, &self->stop));
	while (goes_on(&resizer, end))
		ASSERT_EQ(0, read_next(self, 16 + wq_random(&random, 1000)));
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&resizer));

	while (wq_readable(self->fds[0]))
		ASSERT_EQ(0, read_next(self, 4096));
	EXPECT_EQ(self->posted, self->next);
}

struct filterer {
	int fd;
	unsigned int turn;
};

static int change_filter(void *arg)
{
	struct filterer *f = arg;
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rules[2];
	} filter = {
		.head.nr_filters = 1 + f->turn % 2,
		.rules[0].type = WATCH_TYPE_KEY_NOTIFY,
		.rules[1].type = WATCH_TYPE_KEY_NOTIFY,
	};

	filter.rules[0].subtype_filter[0] = 1 << wq_seq_subtype(f->turn / 2);
	filter.rules[1].subtype_filter[0] = 1 << NOTIFY_KEY_UPDATED;
	return wq_set_filter(f->fd, f->turn++ % 3 ? &filter : NULL);
}

/* A change of filter hides events, but spoils none. */
TEST_F_TIMEOUT(race, filter_against_post, 120)
{
	struct filterer f = { .fd = self->fds[0] };
	struct wq_worker poster, filterer;
	long end = wq_stress_end();
	struct wq_record r;
	char buf[1024];
	ssize_t len;
	size_t pos;

	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&filterer, change_filter, &f, &self->stop));
	while (goes_on(&filterer, end)) {
		len = wq_read(self->fds[0], buf, sizeof(buf));
		if (len == -EAGAIN)
			continue;
		ASSERT_LT(0, len);
		wq_for_each_record(r, pos, buf, len) {
			if (wq_is_loss_of(&r, r.lost))
				continue;
			/* One of the two events that the tag stands for. */
			if (!wq_seq_is(&self->seq, &r, r.tag) &&
			    !wq_seq_is(&self->seq, &r, r.tag + WQ_SEQ_KEYS))
				break;
		}
		ASSERT_EQ((size_t)len, pos);
	}
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&filterer));

	/* Without a filter everything comes again. */
	ASSERT_EQ(0, wq_set_filter(self->fds[0], NULL));
	while (wq_readable(self->fds[0]))
		ASSERT_LT(0, wq_read(self->fds[0], buf, sizeof(buf)));
	self->next = self->posted;
	ASSERT_EQ(0, wq_seq_post(&self->seq, self->posted, 100));
	while (wq_readable(self->fds[0]))
		ASSERT_EQ(0, read_next(self, 4096));
	EXPECT_EQ(self->posted + 100, self->next);
}

/* A filter of @nr rules, of which the last lets all pass; 0 is no filter. */
static int set_rules(int fd, unsigned int nr)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rules[WQ_FILTER_MAX];
	} filter = {
		.head.nr_filters = nr,
	};
	unsigned int i;

	for (i = 0; i < nr; i++)
		filter.rules[i].type = WATCH_TYPE_KEY_NOTIFY;
	if (nr)
		filter.rules[nr - 1].subtype_filter[0] = -1;
	return wq_set_filter(fd, nr ? &filter : NULL);
}

static int change_rules(void *arg)
{
	struct filterer *f = arg;

	return set_rules(f->fd, f->turn++ % (WQ_FILTER_MAX + 1));
}

/* Where the old filter and the new one let an event pass, it does pass. */
TEST_F_TIMEOUT(race, filters_that_agree_against_post, 120)
{
	struct filterer f = { .fd = self->fds[0] };
	struct wq_worker poster, filterer;
	long end = wq_stress_end();

	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&filterer, change_rules, &f, &self->stop));
	while (goes_on(&filterer, end))
		ASSERT_EQ(0, read_next(self, 4096));
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&filterer));
	while (wq_readable(self->fds[0]))
		ASSERT_EQ(0, read_next(self, 4096));
	EXPECT_EQ(self->posted, self->next);
}

/*
 * Each watch has another tag than the one before it.  Between the watch and its
 * end there are only records with its tag, behind them one REMOVAL, and then
 * nothing, though others post all the time.
 */
TEST_F_TIMEOUT(race, unwatch_against_post, 120)
{
	struct wq_worker poster[2];
	long end = wq_stress_end();
	uint64_t records = 0;
	unsigned int random = 1, i, n;
	int key = self->seq.keys[0];
	struct wq_record r;
	char buf[4096];
	ssize_t len;
	size_t pos;

	/* Large enough for the REMOVAL not to be lost. */
	ASSERT_EQ(0, wq_set_size(self->fds[0], 4096));
	/* The longer a filter takes, the more posts find a watch that then ends. */
	ASSERT_EQ(0, set_rules(self->fds[0], WQ_FILTER_MAX));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, wq_worker_start(&poster[i], touch_few, self,
					     &self->stop));

	for (i = 0; wq_now_ms() < end; i++) {
		unsigned int tag = i % 256, removals = 0;

		ASSERT_EQ(0, wq_watch_key(key, self->fds[0], tag));
		for (n = wq_random(&random, 20); n; n--)
			sched_yield();
		ASSERT_EQ(0, wq_watch_key(key, self->fds[0], -1));

		while ((len = wq_read(self->fds[0], buf, sizeof(buf))) > 0) {
			wq_for_each_record(r, pos, buf, len) {
				if (r.tag != tag || r.type_info || removals)
					break;
				if (wq_is_removal(&r) && r.len == 16 &&
				    r.id == (unsigned int)key)
					removals++;
				else if (wq_is_key(&r, NOTIFY_KEY_SETATTR, key))
					records++;
				else
					break;
			}
			ASSERT_EQ((size_t)len, pos)
				TH_LOG("type %u subtype %u length %u tag %u instead of %u",
				       r.type, r.subtype, r.len, r.tag, tag);
		}
		ASSERT_EQ(-EAGAIN, len);
		ASSERT_EQ(1U, removals);
	}
	wq_stop(&self->stop);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, wq_worker_end(&poster[i]));
	EXPECT_LT(0U, records);
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/*
 * A queue that comes and goes: sized, filtered, watching some keys, waited for in
 * this way and that, and closed in the middle of it all.
 */
struct visitor {
	const struct wq_seq *seq;
	unsigned int random;
	uint64_t records;
};

static int visit_read(struct visitor *v, int fd, unsigned int tag)
{
	struct wq_record r;
	char buf[433];
	ssize_t len;
	size_t pos;

	len = wq_read(fd, buf, sizeof(buf));
	if (len == -EAGAIN)
		return 0;
	if (len < 0)
		return len;
	wq_for_each_record(r, pos, buf, len) {
		if (wq_is_loss_of(&r, r.lost))
			continue;
		if (r.tag < tag || r.tag >= tag + 4 || r.type_info || r.aux)
			break;
		if (!wq_is_removal(&r) &&
		    !wq_is_key(&r, NOTIFY_KEY_SETATTR, v->seq->keys[r.tag - tag]) &&
		    !wq_is_key(&r, NOTIFY_KEY_UPDATED, v->seq->keys[r.tag - tag]))
			break;
		v->records++;
	}
	return pos == (size_t)len ? 0 : -EBADMSG;
}

static int visit(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct visitor *v = arg;
	unsigned int tag = wq_random(&v->random, 250);
	int fds[2], epoll = -EBADF, i, ret;

	ret = wq_pipe(fds, O_NONBLOCK | O_CLOEXEC);
	if (ret)
		return ret;
	if (wq_random(&v->random, 2))
		ret = wq_set_size(fds[0], 1 + wq_random(&v->random, 8));
	for (i = 0; !ret && i < 4; i++)
		ret = wq_watch_key(v->seq->keys[i], fds[i % 2], tag + i);
	if (!ret && wq_random(&v->random, 2)) {
		epoll = epoll_create1(EPOLL_CLOEXEC);
		ret = wq_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &ev));
	}
	if (!ret && wq_random(&v->random, 2) &&
	    (fcntl(fds[0], F_SETOWN, getpid()) ||
	     fcntl(fds[0], F_SETFL, O_NONBLOCK | O_ASYNC)))
		ret = -errno;

	for (i = wq_random(&v->random, 4); !ret && i; i--)
		ret = visit_read(v, fds[0], tag);
	if (!ret && wq_random(&v->random, 2))
		ret = wq_watch_key(v->seq->keys[1], fds[0], -1);
	if (!ret && wq_random(&v->random, 2)) {
		/* The end that is left is closed in its turn. */
		wq_close_end(&fds[1]);
		ret = visit_read(v, fds[0], tag);
	}
	if (wq_random(&v->random, 2) && epoll >= 0) {
		close(epoll);
		epoll = -EBADF;
	}
	wq_close(fds);
	if (epoll >= 0)
		close(epoll);
	return ret;
}

TEST_F_TIMEOUT(race, close_against_post, 240)
{
	struct wq_worker poster, visitor[3];
	long end = wq_stress_end();
	uint64_t records = 0;
	struct visitor v[3];
	int i;

	ASSERT_EQ(0, wq_worker_start(&poster, touch_few, self, &self->stop));
	for (i = 0; i < 3; i++) {
		v[i].seq = &self->seq;
		v[i].random = i;
		v[i].records = 0;
		ASSERT_EQ(0, wq_worker_start(&visitor[i], visit, &v[i],
					     &self->stop));
	}
	await_workers(visitor, 3, end);
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, wq_worker_end(&visitor[i]));
		records += v[i].records;
	}
	EXPECT_LT(0U, records);
}

#define QUEUES	24

static int touch_first(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;

	return wq_touch(self->seq.keys[0]);
}

/* One of many queues, which are of all sizes. */
struct watcher {
	int fds[2];
	unsigned int tag;
	uint64_t records;
	uint64_t lost;
};

/* Reads once and counts what may be there: events of @key, and losses. */
static int watcher_read(struct watcher *w, int key)
{
	struct wq_record r;
	char buf[4096];
	ssize_t len;
	size_t pos;

	len = wq_read(w->fds[0], buf, sizeof(buf));
	if (len < 0)
		return len;
	wq_for_each_record(r, pos, buf, len) {
		if (wq_is_loss_of(&r, r.lost))
			w->lost += r.lost;
		else if (wq_is_key(&r, NOTIFY_KEY_SETATTR, key) &&
			 r.tag == w->tag && !r.type_info && !r.aux)
			w->records++;
		else
			break;
	}
	return pos == (size_t)len ? 0 : -EBADMSG;
}

/* Each of many queues on one key has all events, while others come and go there. */
TEST_F_TIMEOUT(race, many_queues_on_one_key, 120)
{
	struct visitor v = { .seq = &self->seq, .random = 5 };
	struct wq_worker poster[2], visitor;
	long end = wq_stress_end();
	struct watcher w[QUEUES] = {};
	int key = self->seq.keys[0], i, ret;

	for (i = 0; i < QUEUES; i++) {
		w[i].tag = i;
		ASSERT_EQ(0, wq_pipe(w[i].fds, O_NONBLOCK));
		ASSERT_EQ(0, wq_set_size(w[i].fds[0], 1 + 3 * i));
		ASSERT_EQ(0, wq_watch_key(key, w[i].fds[0], i));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, wq_worker_start(&poster[i], touch_first, self,
					     &self->stop));
	ASSERT_EQ(0, wq_worker_start(&visitor, visit, &v, &self->stop));
	for (i = 0; goes_on(&visitor, end); i = (i + 1) % QUEUES) {
		ret = watcher_read(&w[i], key);
		if (ret != -EAGAIN)
			ASSERT_EQ(0, ret);
	}
	wq_stop(&self->stop);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, wq_worker_end(&poster[i]));
	ASSERT_EQ(0, wq_worker_end(&visitor));

	for (i = 0; i < QUEUES; i++) {
		while (wq_readable(w[i].fds[0]))
			ASSERT_EQ(0, watcher_read(&w[i], key));
		EXPECT_EQ(poster[0].rounds + poster[1].rounds,
			  w[i].records + w[i].lost);
		wq_close(w[i].fds);
	}
}

/* A queue that starts and stops watching a key that others watch and stop watching. */
struct joiner {
	int fds[2];
	int key;
	unsigned int tag;
};

/*
 * What happens from the watch on is told, and then its end.  Where the others have the
 * processors for long in between, some of it is lost.
 */
static int join_and_leave(void *arg)
{
	struct joiner *j = arg;
	uint64_t records = 0, removals = 0, lost = 0;
	struct wq_record r;
	char buf[4096];
	ssize_t len;
	size_t pos;
	int ret;

	ret = wq_watch_key(j->key, j->fds[0], ++j->tag % 256);
	if (!ret)
		ret = wq_touch(j->key);
	if (!ret)
		ret = wq_watch_key(j->key, j->fds[0], -1);
	if (ret)
		return ret;
	while ((len = wq_read(j->fds[0], buf, sizeof(buf))) > 0) {
		wq_for_each_record(r, pos, buf, len) {
			if (wq_is_loss_of(&r, r.lost))
				lost += r.lost;
			else if (r.tag != j->tag % 256 || removals)
				break;
			else if (wq_is_removal(&r))
				removals++;
			else if (wq_is_key(&r, NOTIFY_KEY_SETATTR, j->key))
				records++;
			else
				break;
		}
		if (pos != (size_t)len)
			return -EBADMSG;
	}
	if (len != -EAGAIN)
		return len;
	return records && (removals || lost) ? 0 : -ENODATA;
}

/* Several queues start and stop watching one key at once: each is told its part. */
TEST_F_TIMEOUT(race, watch_against_watch, 240)
{
	enum { JOINERS = 3 };
	struct wq_worker joiner[JOINERS];
	long end = long_stress_end();
	struct joiner j[JOINERS];
	int i;

	for (i = 0; i < JOINERS; i++) {
		j[i].key = self->seq.keys[0];
		j[i].tag = i;
		ASSERT_EQ(0, wq_pipe(j[i].fds, O_NONBLOCK));
		ASSERT_EQ(0, wq_set_size(j[i].fds[0], 4096));
		ASSERT_EQ(0, wq_worker_start(&joiner[i], join_and_leave, &j[i],
					     &self->stop));
	}
	await_workers(joiner, JOINERS, end);
	wq_stop(&self->stop);
	for (i = 0; i < JOINERS; i++) {
		EXPECT_EQ(0, wq_worker_end(&joiner[i]));
		wq_close(j[i].fds);
	}
}

/* A pipe that is made and closed all the time, known to others by its number. */
struct passer_by {
	int fd;
};

static int pass_by(void *arg)
{
	struct passer_by *p = arg;
	int fds[2], ret;

	ret = wq_pipe(fds, O_NONBLOCK);
	if (ret)
		return ret;
	__atomic_store_n(&p->fd, fds[0], __ATOMIC_RELAXED);
	sched_yield();
	wq_close(fds);
	return 0;
}

/*
 * Whoever sets a watch finds the queue open, or too late: no watch is left on a
 * queue that is closed already.
 */
TEST_F_TIMEOUT(race, watch_against_close_and_post, 240)
{
	struct passer_by p = { .fd = -1 };
	struct wq_worker poster, passer;
	long end = long_stress_end();
	uint64_t watches = 0, late = 0;
	int i, ret;

	ASSERT_EQ(0, wq_worker_start(&poster, touch_few, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&passer, pass_by, &p, &self->stop));
	for (i = 0; wq_now_ms() < end || !watches || !late; i++) {
		ret = wq_watch_key(self->seq.keys[i % 4],
				   __atomic_load_n(&p.fd, __ATOMIC_RELAXED), i % 256);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY || ret == -EBADF)
			TH_LOG("%d", ret);
		watches += ret == 0;
		late += ret == -EBADF;
	}
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&passer));
}

/* ---- Against the end of a key ---- */

#define KEYS	6
#define PIPES	8

/* Keys that end together, in rounds in which all threads take part. */
struct destruction {
	pthread_barrier_t barrier;
	unsigned int round;
	bool over;
	int ring;			/* holds the keys, and nothing else does */
	int keys[KEYS];
	int first[2];			/* told of the keys' end before others */
	int closed[PIPES][2];		/* to be closed by then */
	int kept[PIPES][2];
};

/* What one of the threads does in each round. */
struct role {
	pthread_t thread;
	void (*fn)(struct destruction *d);
	struct destruction *d;
};

static void *play(void *arg)
{
	struct role *role = arg;

	for (;;) {
		pthread_barrier_wait(&role->d->barrier);
		if (role->d->over)
			return NULL;
		role->fn(role->d);
		pthread_barrier_wait(&role->d->barrier);
	}
}

static int role_start(struct role *role, void (*fn)(struct destruction *d),
		      struct destruction *d)
{
	role->fn = fn;
	role->d = d;
	return -pthread_create(&role->thread, NULL, play, role);
}

/* Makes a key; those of the rounds before may still count. */
static int make_key(const char *desc, int ring)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int key;

	do {
		key = wq_add_user_key(desc, ring);
		if (key == -EDQUOT)
			sched_yield();
	} while (key == -EDQUOT && wq_now_ms() < end);
	return key;
}

/* Makes the keys of one round. */
static int make_keys(struct destruction *d)
{
	char desc[16];
	int i;

	for (i = 0; i < KEYS; i++) {
		snprintf(desc, sizeof(desc), "mortal%d", i);
		d->keys[i] = make_key(desc, d->ring);
		if (d->keys[i] < 0)
			return d->keys[i];
	}
	return 0;
}

/* The watch of key number i gets the tag @tag + i. */
static int watch_keys(const struct destruction *d, int fd, int tag)
{
	int i, ret = 0;

	for (i = 0; !ret && i < KEYS; i++)
		ret = wq_watch_key(d->keys[i], fd, tag + i);
	return ret;
}

static int make_watching(const struct destruction *d, int fds[2], int tag)
{
	int ret = wq_pipe(fds, O_NONBLOCK);

	return ret ? ret : watch_keys(d, fds[0], tag);
}

/*
 * Waits for a REMOVAL of each key, which has to be the last record with its tag
 * that there ever is; before it there may be those of touch_keys().  Returns 0 or
 * an error.
 */
static int await_removals(const struct destruction *d, int fd, unsigned int tag)
{
	bool removed[KEYS] = {};
	struct wq_record r;
	int left, ret;

	for (left = KEYS; left; ) {
		if (wq_poll(fd, POLLIN, WQ_PATIENCE_MS) != POLLIN)
			return -ETIMEDOUT;
		ret = wq_read_one(fd, &r);
		if (ret)
			return ret;
		if (r.tag < tag || r.tag >= tag + KEYS || r.type_info ||
		    removed[r.tag - tag])
			return -EBADMSG;
		if (wq_is_key(&r, NOTIFY_KEY_SETATTR, d->keys[r.tag - tag]))
			continue;
		if (!wq_is_removal(&r) || r.len != WQ_REMOVAL_RECORD ||
		    r.id != (unsigned int)d->keys[r.tag - tag])
			return -EBADMSG;
		removed[r.tag - tag] = true;
		left--;
	}
	return wq_fionread(fd);
}

static void destroy_keys(struct destruction *d)
{
	wq_clear_keyring(d->ring);
}

/* Not so often that a REMOVAL could be lost. */
static void touch_keys(struct destruction *d)
{
	int i;

	for (i = 0; i < 15 * KEYS; i++)
		wq_touch(d->keys[i % KEYS]);
}

/* By turns at once, or when the kernel has begun to go through the watches. */
static void close_queues(struct destruction *d)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int i;

	if (d->round % 3)
		while (!wq_fionread(d->first[0]) && wq_now_ms() < end)
			;
	for (i = 0; i < PIPES; i++)
		wq_close(d->closed[d->round % 2 ? i : PIPES - 1 - i]);
}

/*
 * Keys go while they are touched and while some of their watchers close: each of
 * the others is told once, and no watch is left over.
 */
TEST_F_TIMEOUT(race, close_against_post_and_destruction, 120)
{
	struct role destroyer, closer, toucher;
	long end = wq_stress_end();
	struct destruction d = {};
	int i;

	d.ring = wq_add_keyring("mortals", self->ring);
	ASSERT_LT(0, d.ring);
	ASSERT_EQ(0, pthread_barrier_init(&d.barrier, NULL, 4));
	ASSERT_EQ(0, role_start(&destroyer, destroy_keys, &d));
	ASSERT_EQ(0, role_start(&closer, close_queues, &d));
	ASSERT_EQ(0, role_start(&toucher, touch_keys, &d));

	for (; wq_now_ms() < end || d.round < 10; d.round++) {
		ASSERT_EQ(0, make_keys(&d));
		for (i = 0; i < PIPES; i++) {
			ASSERT_EQ(0, make_watching(&d, d.closed[i], 0));
			ASSERT_EQ(0, make_watching(&d, d.kept[i], 100));
		}
		/* The watch that is the last to be set is the first to go. */
		ASSERT_EQ(0, make_watching(&d, d.first, 200));
		ASSERT_EQ(0, wq_filter_keys(d.first[0], 0));

		pthread_barrier_wait(&d.barrier);
		pthread_barrier_wait(&d.barrier);
		for (i = 0; i < PIPES; i++) {
			ASSERT_EQ(0, await_removals(&d, d.kept[i][0], 100));
			wq_close(d.kept[i]);
		}
		ASSERT_EQ(0, await_removals(&d, d.first[0], 200));
		wq_close(d.first);
	}

	d.over = true;
	pthread_barrier_wait(&d.barrier);
	pthread_join(destroyer.thread, NULL);
	pthread_join(closer.thread, NULL);
	pthread_join(toucher.thread, NULL);
	TH_LOG("%u keys gone", d.round * KEYS);
}

/* Keys go while their watches are removed on request: one of the two tells. */
TEST_F_TIMEOUT(race, unwatch_against_destruction, 120)
{
	long end = wq_stress_end();
	struct destruction d = {};
	struct role destroyer;
	int i, ret;

	d.ring = wq_add_keyring("mortals", self->ring);
	ASSERT_LT(0, d.ring);
	ASSERT_EQ(0, pthread_barrier_init(&d.barrier, NULL, 2));
	ASSERT_EQ(0, role_start(&destroyer, destroy_keys, &d));

	for (; wq_now_ms() < end || d.round < 10; d.round++) {
		unsigned int tag = d.round % 250;

		ASSERT_EQ(0, make_keys(&d));
		ASSERT_EQ(0, watch_keys(&d, self->fds[0], tag));
		pthread_barrier_wait(&d.barrier);
		for (i = 0; i < KEYS; i++) {
			ret = wq_watch_key(d.keys[i], self->fds[0], -1);
			ASSERT_TRUE(ret == 0 || ret == -ENOKEY)
				TH_LOG("%d", ret);
		}
		pthread_barrier_wait(&d.barrier);
		ASSERT_EQ(0, await_removals(&d, self->fds[0], tag));
	}
	d.over = true;
	pthread_barrier_wait(&d.barrier);
	pthread_join(destroyer.thread, NULL);
}

/* The queue closes first, then the keys go: nothing is left that could tell. */
TEST_F_TIMEOUT(race, destruction_after_close, 120)
{
	long end = wq_stress_end();
	struct destruction d = {};
	int fds[2];

	d.ring = wq_add_keyring("mortals", self->ring);
	ASSERT_LT(0, d.ring);
	for (; wq_now_ms() < end || d.round < FEW + 10; d.round++) {
		ASSERT_EQ(0, make_keys(&d));
		ASSERT_EQ(0, make_watching(&d, fds, 100));
		ASSERT_EQ(0, watch_keys(&d, self->fds[0], 200));
		wq_close(fds);
		destroy_keys(&d);
		ASSERT_EQ(0, await_removals(&d, self->fds[0], 200));
	}
}

/* Keys that two queues are the first to watch. */
#define NEW_KEYS	48

struct first {
	int fds[2];
	const int *keys;
	int *arrived;			/* at how many keys, both together */
};

/* Both watch each key at the same moment, as far as that can be had. */
static long watch_together(void *arg)
{
	struct first *f = arg;
	int i, spins, ret = 0;

	for (i = 0; !ret && i < NEW_KEYS; i++) {
		__atomic_fetch_add(f->arrived, 1, __ATOMIC_RELAXED);
		for (spins = 0; __atomic_load_n(f->arrived, __ATOMIC_RELAXED) <
				2 * (i + 1); spins++)
			if (spins > 100000)
				sched_yield();
		ret = wq_watch_key(f->keys[i], f->fds[0], i);
	}
	/* Should this one have failed, the other need not wait. */
	__atomic_fetch_add(f->arrived, 2 * NEW_KEYS, __ATOMIC_RELAXED);
	return ret;
}

/* Two queues are the first to watch a key, at the same time: both are told. */
TEST_F_TIMEOUT(race, first_watch_against_first_watch, 240)
{
	long end = long_stress_end();
	int keys[NEW_KEYS], arrived, ring, i;
	struct wq_call call[2];
	unsigned int rounds;
	struct first f[2];
	char desc[16];

	ring = wq_add_keyring("new", self->ring);
	ASSERT_LT(0, ring);
	for (rounds = 0; wq_now_ms() < end || !rounds; rounds++) {
		for (i = 0; i < NEW_KEYS; i++) {
			snprintf(desc, sizeof(desc), "new%d", i);
			keys[i] = make_key(desc, ring);
			ASSERT_LT(0, keys[i]);
		}
		arrived = 0;
		for (i = 0; i < 2; i++) {
			f[i].keys = keys;
			f[i].arrived = &arrived;
			ASSERT_EQ(0, wq_pipe(f[i].fds, O_NONBLOCK));
			ASSERT_EQ(0, wq_call_start(&call[i], watch_together, &f[i]));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, pthread_join(call[i].thread, NULL));
			ASSERT_EQ(0, call[i].ret);
		}
		for (i = 0; i < NEW_KEYS; i++)
			ASSERT_EQ(0, wq_touch(keys[i]));
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(NEW_KEYS * WQ_KEY_RECORD,
				  (unsigned int)wq_fionread(f[i].fds[0]));
			wq_close(f[i].fds);
		}
		ASSERT_EQ(0, wq_clear_keyring(ring));
	}
	TH_LOG("%u keys watched first by both", rounds * NEW_KEYS);
}

/* ---- Readers ---- */

/* Takes the number that a record of the sequence may have, below its period. */
static uint64_t number_of(const struct wq_record *r)
{
	return wq_seq_subtype(0) == r->subtype ? r->tag : r->tag + WQ_SEQ_KEYS;
}

struct sharer {
	int fd;
	const struct wq_seq *seq;
	size_t size;
	uint64_t records;
	uint64_t lost;
};

/* One of several readers.  What one read() gets is without a gap. */
static long share(void *arg)
{
	struct sharer *s = arg;
	struct wq_record r;
	uint64_t next;
	char buf[1024];
	ssize_t len;
	long ret;
	int at;

	while ((len = wq_read(s->fd, buf, s->size)) != 0) {
		if (len == -EINTR)
			continue;
		if (len < 0)
			return len;
		at = 0;
		ret = wq_decode(buf, len, &r);
		if (ret > 0 && wq_is_loss_of(&r, r.lost)) {
			s->lost += r.lost;
			at = ret;
			if (at == len)
				continue;
			ret = wq_decode(buf + at, len - at, &r);
		}
		if (ret < 0)
			return ret;
		next = number_of(&r);
		ret = wq_seq_check(s->seq, buf + at, len - at, &next,
				   &s->lost);
		if (ret < 0)
			return ret;
		s->records += ret;
	}
	return 0;
}

/* Several readers of one queue take each record and each loss once. */
TEST_F_TIMEOUT(race, readers_share, 120)
{
	enum { READERS = 3 };
	static const size_t sizes[READERS] = { 16, 433, 1024 };
	long end = wq_stress_end();
	uint64_t records = 0, lost = 0;
	struct watch_queue_info info;
	struct wq_call call[READERS];
	struct sharer s[READERS];
	struct wq_worker poster;
	int i;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 4));
	ASSERT_LE(0, wq_set_nonblock(self->fds[0], false));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	for (i = 0; i < READERS; i++) {
		s[i] = (struct sharer) {
			.fd = self->fds[0], .seq = &self->seq, .size = sizes[i],
		};
		ASSERT_EQ(0, wq_call_start(&call[i], share, &s[i]));
	}
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	while (wq_now_ms() < end)
		sched_yield();
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));

	ASSERT_EQ(0, wq_close_end(&self->fds[1]));
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(0, wq_call_end(&call[i]));
		records += s[i].records;
		lost += s[i].lost;
	}
	EXPECT_EQ(self->posted, records + lost);
	EXPECT_EQ(info.lost, lost);
}

/* Signals that interrupt a reader all the time cost no record. */
TEST_F_TIMEOUT(race, interrupted_reader, 120)
{
	long end = wq_stress_end();
	struct wq_worker poster;
	struct wq_call call;
	struct sharer s = {
		.fd = self->fds[0], .seq = &self->seq, .size = 433,
	};

	ASSERT_LE(0, wq_set_nonblock(self->fds[0], false));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_call_start(&call, share, &s));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	while (wq_now_ms() < end) {
		ASSERT_EQ(0, pthread_kill(call.thread, SIGUSR2));
		sched_yield();
	}
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_close_end(&self->fds[1]));
	ASSERT_EQ(0, wq_call_end(&call));
	EXPECT_EQ(self->posted, s.records + s.lost);
}

/* Whoever only looks sees sense, and disturbs nobody. */
TEST_F_TIMEOUT(race, looking_against_everything, 120)
{
	struct visitor v = { .seq = &self->seq, .random = 3 };
	struct resizer r = { .fd = self->fds[0], .random = 4 };
	struct wq_worker poster, visitor, resizer;
	long end = wq_stress_end();
	uint64_t lost = 0;
	struct watch_queue_info info;
	struct wq_fdinfo *fdinfo;
	int avail, i;

	fdinfo = malloc(sizeof(*fdinfo));
	ASSERT_FALSE(!fdinfo);
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_worker_start(&poster, post_next, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&visitor, visit, &v, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&resizer, resize, &r, &self->stop));
	for (i = 0; wq_now_ms() < end; i++) {
		ASSERT_EQ(0, wq_get_info(self->fds[i % 2], &info));
		ASSERT_EQ(info.depth * 128, info.capacity);
		ASSERT_LE(info.queued, info.capacity + 16);
		ASSERT_LE(lost, info.lost);
		lost = info.lost;

		ASSERT_EQ(0, wq_fdinfo(0, self->fds[i % 2], fdinfo));
		ASSERT_EQ(4, fdinfo->found);
		ASSERT_EQ(fdinfo->depth * 128, fdinfo->capacity);
		ASSERT_LE(fdinfo->queued, fdinfo->capacity + 16);
		ASSERT_LE(lost, fdinfo->lost);
		ASSERT_EQ(WQ_SEQ_KEYS, fdinfo->nr_watches);
		lost = fdinfo->lost;

		/* Only this thread reads: what there was is still there. */
		avail = wq_fionread(self->fds[0]);
		ASSERT_LE(0, avail);
		ASSERT_EQ(0, avail % 16);
		if (avail)
			ASSERT_TRUE(wq_readable(self->fds[0]));
		if (i % 3 == 0)
			ASSERT_EQ(0, read_next(self, 4096));
	}
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&visitor));
	ASSERT_EQ(0, wq_worker_end(&resizer));
	while (wq_readable(self->fds[0]))
		ASSERT_EQ(0, read_next(self, 4096));
	EXPECT_EQ(self->posted, self->next);
	free(fdinfo);
}

/* ---- A CPU that goes ---- */

static int set_cpu(int cpu_online, bool on)
{
	int ret = wq_errno(pwrite(cpu_online, on ? "1" : "0", 1, 0));

	return ret < 0 ? ret : 0;
}

/* Puts the CPU back when the test ends, in whatever way. */
struct guard {
	pid_t pid;
	int alive;			/* open as long as the test lives */
};

static int guard_start(struct guard *guard, FIXTURE_DATA(race) * self)
{
	int fds[2];
	char c;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	guard->pid = fork();
	if (guard->pid < 0)
		return -errno;
	if (guard->pid == 0) {
		/* A test that takes too long is killed with its process group. */
		setsid();
		close(fds[1]);
		/* The test is to be the last to have these. */
		wq_close(self->fds);
		_exit(read(fds[0], &c, 1) != 0 || set_cpu(self->cpu_online, true));
	}
	close(fds[0]);
	guard->alive = fds[1];
	return 0;
}

static int guard_end(struct guard *guard)
{
	int status;

	close(guard->alive);
	if (waitpid(guard->pid, &status, 0) != guard->pid)
		return -errno;
	return status;
}

/* To the CPU that comes and goes; if it is off-line just now, anywhere. */
static void move_there(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(CPU, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int post_there(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;
	int ret;

	move_there();
	ret = wq_seq_post(&self->seq, self->posted, 50);
	self->posted += 50;
	return ret;
}

static int visit_there(void *arg)
{
	move_there();
	return visit(arg);
}

/* Blocks in read() until the end, and checks that the numbers go on from @next. */
static long follow(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;
	char buf[433];
	ssize_t len;

	while ((len = wq_read(self->fds[0], buf, sizeof(buf))) > 0)
		if (wq_seq_check(&self->seq, buf, len, &self->next, NULL) < 0)
			return -EBADMSG;
	return len;
}

/*
 * A CPU goes and comes back while it posts, and makes and closes queues: nothing is
 * lost with it, and whoever waits is woken.
 */
TEST_F_TIMEOUT(race, cpu_off_and_on_against_everything, 240)
{
	struct visitor v = { .seq = &self->seq, .random = 6 };
	struct wq_worker poster, visitor;
	unsigned int i;
	struct guard guard = {};
	struct wq_call call;
	long end;

	if (self->cpu_online < 0)
		SKIP(return, "cannot take CPU 1 off-line: needs root, and two CPUs");
	if (!wq_env("WQ_HOTPLUG", 1))
		SKIP(return, "WQ_HOTPLUG is 0");
	ASSERT_EQ(0, guard_start(&guard, self));
	ASSERT_LE(0, wq_set_nonblock(self->fds[0], false));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, wq_call_start(&call, follow, self));
	ASSERT_EQ(0, wq_worker_start(&poster, post_there, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&visitor, visit_there, &v, &self->stop));

	end = wq_stress_end();
	for (i = 0; goes_on(&visitor, end) || i < 3; i++) {
		ASSERT_EQ(0, set_cpu(self->cpu_online, false));
		sched_yield();
		ASSERT_EQ(0, set_cpu(self->cpu_online, true));
		sched_yield();
	}
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&visitor));
	ASSERT_EQ(0, wq_close_end(&self->fds[1]));
	ASSERT_EQ(0, wq_call_end(&call));
	EXPECT_EQ(self->posted, self->next);
	EXPECT_EQ(0, guard_end(&guard));
	TH_LOG("%u times off and on, %llu events", i, (unsigned long long)self->posted);
}

/* ---- Handed over ---- */

/* A queue lives as long as some process has an end of it. */
TEST_F(race, fork_shares_queue)
{
	struct wq_record r;
	int status, done[2];
	char buf[433], c;
	ssize_t len;
	pid_t pid;

	ASSERT_LE(0, wq_set_nonblock(self->fds[0], false));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		uint64_t next = 0;

		close(done[1]);
		while (next < 1000) {
			len = wq_read(self->fds[0], buf, sizeof(buf));
			if (len <= 0 || wq_seq_check(&self->seq, buf, len, &next,
						     NULL) < 0)
				_exit(1);
		}
		/* Then the last one to have it takes a REMOVAL, too. */
		_exit(read(done[0], &c, 1) != 0 ||
		      wq_watch_key(self->seq.keys[0], self->fds[0], -1) ||
		      wq_read_one(self->fds[0], &r) || !wq_is_removal(&r));
	}
	wq_close(self->fds);
	ASSERT_EQ(0, wq_seq_post(&self->seq, 0, 1000));
	ASSERT_EQ(0, close(done[1]));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* A message with room for one file descriptor. */
struct fd_message {
	struct msghdr msg;
	struct iovec iov;
	char c;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
};

static void fd_message_init(struct fd_message *m)
{
	memset(m, 0, sizeof(*m));
	m->iov.iov_base = &m->c;
	m->iov.iov_len = 1;
	m->msg.msg_iov = &m->iov;
	m->msg.msg_iovlen = 1;
	m->msg.msg_control = m->control.buf;
	m->msg.msg_controllen = sizeof(m->control.buf);
}

static int send_fd(int sock, int fd)
{
	struct fd_message m;
	struct cmsghdr *cmsg;

	fd_message_init(&m);
	cmsg = CMSG_FIRSTHDR(&m.msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return wq_errno(sendmsg(sock, &m.msg, 0));
}

static int recv_fd(int sock)
{
	struct fd_message m;
	struct cmsghdr *cmsg;
	int fd;

	fd_message_init(&m);
	if (recvmsg(sock, &m.msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&m.msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/*
 * An end may be sent over a socket, and goes on receiving on the way: here no
 * process has the queue while the events happen.
 */
TEST_F(race, end_sent_over_socket)
{
	int sock[2], fd, ret, status;
	char buf[433];
	ssize_t len;
	pid_t pid;

	ret = wq_errno(socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	if (ret == -EAFNOSUPPORT)
		SKIP(return, "CONFIG_UNIX is not set");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
	ASSERT_EQ(1, send_fd(sock[0], self->fds[0]));
	wq_close(self->fds);
	ASSERT_EQ(0, wq_seq_post(&self->seq, 0, 200));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		uint64_t next = 0;

		fd = recv_fd(sock[1]);
		if (fd < 0)
			_exit(1);
		/* Nobody has a write end any more. */
		while ((len = wq_read(fd, buf, sizeof(buf))) > 0)
			if (wq_seq_check(&self->seq, buf, len, &next, NULL) < 0)
				_exit(2);
		if (len || next != 200)
			_exit(3);
		_exit(wq_seq_post(&self->seq, 200, 1) ||
		      wq_fionread(fd) != 16);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(sock[0]);
	close(sock[1]);
}

static int send_and_drop(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;
	int sock[2], fds[2], i, ret;

	ret = wq_errno(socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	if (ret)
		return ret;
	ret = wq_pipe(fds, 0);
	for (i = 0; !ret && i < 4; i++)
		ret = wq_watch_key(self->seq.keys[i], fds[0], i);
	if (!ret)
		ret = send_fd(sock[0], fds[i % 2]) == 1 ? 0 : -EPROTO;
	wq_close(fds);
	close(sock[0]);
	close(sock[1]);
	return ret;
}

/* One that is never received is closed with the socket. */
TEST_F_TIMEOUT(race, end_lost_in_socket_against_post, 240)
{
	struct wq_worker poster, sender;
	long end = wq_stress_end();
	int sock[2], ret;

	ret = wq_errno(socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	if (ret == -EAFNOSUPPORT)
		SKIP(return, "CONFIG_UNIX is not set");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, wq_worker_start(&poster, touch_few, self, &self->stop));
	ASSERT_EQ(0, wq_worker_start(&sender, send_and_drop, self, &self->stop));
	await_workers(&sender, 1, end);
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
	ASSERT_EQ(0, wq_worker_end(&sender));
}

/* What the program does that a test starts: see main(). */
enum { EXEC_CLOSED = 'c', EXEC_READS = 'r' };

static int exec_self(int what, int fd, int key)
{
	char args[3][16];
	int status;
	pid_t pid;

	snprintf(args[0], sizeof(args[0]), "--exec=%c", what);
	snprintf(args[1], sizeof(args[1]), "%d", fd);
	snprintf(args[2], sizeof(args[2]), "%d", key);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execl("/proc/self/exe", "race_test", args[0], args[1], args[2],
		      NULL);
		_exit(126);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
}

static int exec_main(int what, int fd, int key)
{
	struct wq_record r;

	if (what == EXEC_CLOSED)
		return fcntl(fd, F_GETFL) == -1 && errno == EBADF ? 0 : 1;
	if (wq_read_one(fd, &r) || !wq_is_key(&r, NOTIFY_KEY_SETATTR, key))
		return 2;
	if (wq_touch(key) || wq_read_one(fd, &r) ||
	    !wq_is_key(&r, NOTIFY_KEY_SETATTR, key))
		return 3;
	return 0;
}

/* exec() leaves the queue to the new program, unless O_CLOEXEC closes it. */
TEST_F(race, exec_inherits_or_closes)
{
	int key = self->seq.keys[0], fds[2], i;

	ASSERT_EQ(0, wq_pipe(fds, O_CLOEXEC));
	ASSERT_EQ(0, wq_watch_key(key, fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(key, self->fds[0], 2));
	ASSERT_EQ(0, wq_touch(key));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, exec_self(EXEC_CLOSED, fds[i], key));
	EXPECT_EQ(0, exec_self(EXEC_READS, self->fds[0], key));
	EXPECT_EQ(32, wq_fionread(fds[0]));
	wq_close(fds);
}

static int fork_and_exit(void *arg)
{
	FIXTURE_DATA(race) * const self = arg;
	int fds[2], status, i;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int ret = wq_pipe(fds, O_CLOEXEC);

		for (i = 0; !ret && i < 4; i++)
			ret = wq_watch_key(self->seq.keys[i], fds[0], i);
		if (ret)
			_exit(-ret);
		execl("/proc/self/exe", "race_test", "--exec=c", "1000", "0",
		      NULL);
		_exit(126);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EPROTO : 0;
}

/* exec() may close the last end while others post. */
TEST_F_TIMEOUT(race, exec_against_post, 120)
{
	struct wq_worker poster;
	long end = wq_stress_end();

	ASSERT_EQ(0, wq_worker_start(&poster, touch_few, self, &self->stop));
	while (wq_now_ms() < end)
		ASSERT_EQ(0, fork_and_exit(self));
	wq_stop(&self->stop);
	ASSERT_EQ(0, wq_worker_end(&poster));
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strncmp(argv[1], "--exec=", 7))
		return exec_main(argv[1][7], atoi(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
