// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for a notification pipe: a blocking read(), poll, select, epoll in all
 * its forms, SIGIO and io_uring, and that they agree on whether something can be
 * read.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/select.h>
#include <linux/io_uring.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

/* The key records that a queue of depth 1 holds. */
#define FULL		8

#define TAG		42

/* Makes a pipe of depth 1 that watches a key. */
static int make_watched(int fds[2], int *key)
{
	int ret;

	ret = wq_join_session();
	if (ret < 0)
		return ret;
	*key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	if (*key < 0)
		return *key;
	ret = wq_pipe(fds, 0);
	if (!ret)
		ret = wq_set_size(fds[0], 1);
	if (!ret)
		ret = wq_watch_key(*key, fds[0], TAG);
	return ret;
}

static bool is_touch(const struct wq_record *r, int key)
{
	return wq_is_key(r, NOTIFY_KEY_SETATTR, key) && r->tag == TAG;
}

/* ---- io_uring, without a library ---- */

struct ring {
	int		fd;
	unsigned int	*sq_tail;
	unsigned int	*sq_array;
	unsigned int	sq_mask;
	struct io_uring_sqe *sqes;
	unsigned int	*cq_head;
	unsigned int	*cq_tail;
	unsigned int	cq_mask;
	struct io_uring_cqe *cqes;
};

#define RING_ENTRIES	8

static int ring_make(struct ring *ring)
{
	struct io_uring_params p = {};
	size_t sq_len, cq_len;
	char *sq, *cq;

	ring->fd = wq_errno(syscall(__NR_io_uring_setup, RING_ENTRIES, &p));
	if (ring->fd < 0)
		return ring->fd;

	sq_len = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	cq_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
		  IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe),
			  PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			  IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;

	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->sq_mask = *(unsigned int *)(sq + p.sq_off.ring_mask);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = *(unsigned int *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
	return 0;
}

static int ring_enter(struct ring *ring, unsigned int submit, unsigned int wait)
{
	return wq_errno(syscall(__NR_io_uring_enter, ring->fd, submit, wait,
				wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0));
}

/* Hands in @sqe.  Returns 0 or the error. */
static int ring_submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring->sq_tail, index = tail & ring->sq_mask;
	int ret;

	ring->sqes[index] = *sqe;
	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	ret = ring_enter(ring, 1, 0);
	if (ret < 0)
		return ret;
	return ret == 1 ? 0 : -EAGAIN;
}

/* Takes one completion if there is one; whether there was. */
static bool ring_take(struct ring *ring, struct io_uring_cqe *cqe)
{
	unsigned int head = *ring->cq_head;

	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = ring->cqes[head & ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Waits for one completion and takes it.  Returns 0 or the error. */
static int ring_wait(struct ring *ring, struct io_uring_cqe *cqe)
{
	int ret;

	while (!ring_take(ring, cqe)) {
		ret = ring_enter(ring, 0, 1);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int ring_submit_read(struct ring *ring, int fd, void *buf, size_t size,
			    int rw_flags)
{
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ,
		.fd = fd,
		.off = -1,
		.addr = (unsigned long)buf,
		.len = size,
		.rw_flags = rw_flags,
	};

	return ring_submit(ring, &sqe);
}

static int ring_submit_poll(struct ring *ring, int fd, unsigned int flags)
{
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.len = flags,
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		.poll32_events = POLLIN << 16,
#else
		.poll32_events = POLLIN,
#endif
	};

	return ring_submit(ring, &sqe);
}

/* Reads by way of the ring.  Returns what read() would. */
static int ring_read(struct ring *ring, int fd, void *buf, size_t size,
		     int rw_flags)
{
	struct io_uring_cqe cqe;
	int ret;

	ret = ring_submit_read(ring, fd, buf, size, rw_flags);
	if (!ret)
		ret = ring_wait(ring, &cqe);
	return ret ? ret : cqe.res;
}

/* Makes a ring, or leaves the set-up of the test. */
#define REQUIRE_RING(ring) do {						\
	int __ret = ring_make(ring);					\
									\
	if (__ret == -ENOSYS)						\
		SKIP(return, "CONFIG_IO_URING is not set");		\
	if (__ret == -EPERM)						\
		SKIP(return, "kernel.io_uring_disabled is set");	\
	ASSERT_EQ(0, __ret);						\
} while (0)

/* ---- Ways to wait ---- */

/* Somebody who waits for a pipe in one of the ways below. */
struct waiter {
	int		fd;
	int		epoll;
	struct ring	ring;
	char		buf[4096];
	size_t		got;		/* bytes that came by waiting */
};

/*
 * @prepare is called once, in advance.  @wait may block; it returns 0 as soon as
 * the pipe is said to be readable.
 */
struct way {
	int	(*prepare)(struct waiter *w);
	long	(*wait)(void *waiter);
	int	at_end;		/* what @wait returns at the end */
	bool	edge;		/* sees only what comes after @prepare */
};

static int prepare_nothing(struct waiter *w)
{
	return 0;
}

static long wait_read(void *arg)
{
	struct waiter *w = arg;
	ssize_t len = wq_read(w->fd, w->buf, sizeof(w->buf));

	if (len < 0)
		return len;
	w->got = len;
	return 0;
}

static long wait_readv(void *arg)
{
	struct waiter *w = arg;
	struct iovec iov[2] = {
		{ .iov_base = w->buf, .iov_len = 24 },
		{ .iov_base = w->buf + 24, .iov_len = sizeof(w->buf) - 24 },
	};
	ssize_t len = wq_errno(readv(w->fd, iov, 2));

	if (len < 0)
		return len;
	w->got = len;
	return 0;
}

/* What poll() and its kin have said: 0 is readable, -EPIPE a mere hang-up. */
static int judge_events(int events)
{
	if (events < 0)
		return events;
	if (events & POLLIN)
		return 0;
	return events & POLLHUP ? -EPIPE : -EPROTO;
}

static long wait_poll(void *arg)
{
	struct waiter *w = arg;

	return judge_events(wq_poll(w->fd, POLLIN | POLLOUT, -1));
}

static long wait_select(void *arg)
{
	struct waiter *w = arg;
	fd_set fds;
	int ret;

	FD_ZERO(&fds);
	FD_SET(w->fd, &fds);
	ret = wq_errno(select(w->fd + 1, &fds, NULL, NULL, NULL));
	if (ret < 0)
		return ret;
	return ret == 1 && FD_ISSET(w->fd, &fds) ? 0 : -EPROTO;
}

static int prepare_epoll_with(struct waiter *w, unsigned int flags)
{
	struct epoll_event ev = { .events = EPOLLIN | flags };

	w->epoll = wq_errno(epoll_create1(EPOLL_CLOEXEC));
	if (w->epoll < 0)
		return w->epoll;
	return wq_errno(epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->fd, &ev));
}

static int prepare_epoll(struct waiter *w)
{
	return prepare_epoll_with(w, 0);
}

static int prepare_epoll_edge(struct waiter *w)
{
	return prepare_epoll_with(w, EPOLLET);
}

static int prepare_epoll_once(struct waiter *w)
{
	return prepare_epoll_with(w, EPOLLONESHOT);
}

static int prepare_epoll_exclusive(struct waiter *w)
{
	return prepare_epoll_with(w, EPOLLEXCLUSIVE);
}

static long wait_epoll(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event ev;
	int ret = wq_errno(epoll_wait(w->epoll, &ev, 1, -1));

	if (ret != 1)
		return ret < 0 ? ret : -EPROTO;
	return judge_events(ev.events);
}

/* Arms it again before. */
static long wait_epoll_once(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	struct waiter *w = arg;

	if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->fd, &ev))
		return -errno;
	return wait_epoll(w);
}

/* The signal is blocked by the threads that are made from here on, too. */
static int prepare_signal(struct waiter *w, int sig)
{
	int flags = fcntl(w->fd, F_GETFL);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sigprocmask(SIG_BLOCK, &set, NULL) ||
	    fcntl(w->fd, F_SETSIG, sig == SIGIO ? 0 : sig) ||
	    fcntl(w->fd, F_SETOWN, getpid()) ||
	    fcntl(w->fd, F_SETFL, flags | O_ASYNC))
		return -errno;
	return 0;
}

static int prepare_sigio(struct waiter *w)
{
	return prepare_signal(w, SIGIO);
}

static long wait_sigio(void *arg)
{
	siginfo_t si;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	return sigwaitinfo(&set, &si) == SIGIO ? 0 : -errno;
}

static int prepare_ring(struct waiter *w)
{
	return ring_make(&w->ring);
}

static long wait_ring_read(void *arg)
{
	struct waiter *w = arg;
	int len = ring_read(&w->ring, w->fd, w->buf, sizeof(w->buf), 0);

	if (len < 0)
		return len;
	w->got = len;
	return 0;
}

static long wait_ring_poll(void *arg)
{
	struct waiter *w = arg;
	struct io_uring_cqe cqe;
	int ret;

	ret = ring_submit_poll(&w->ring, w->fd, 0);
	if (!ret)
		ret = ring_wait(&w->ring, &cqe);
	return ret ? ret : judge_events(cqe.res);
}

FIXTURE(way)
{
	int fds[2];
	int key;
	struct waiter w;
};

FIXTURE_VARIANT(way)
{
	struct way way;
};

FIXTURE_VARIANT_ADD(way, read) {
	.way = { prepare_nothing, wait_read },
};

FIXTURE_VARIANT_ADD(way, readv) {
	.way = { prepare_nothing, wait_readv },
};

FIXTURE_VARIANT_ADD(way, poll) {
	.way = { prepare_nothing, wait_poll, .at_end = -EPIPE },
};

FIXTURE_VARIANT_ADD(way, select) {
	.way = { prepare_nothing, wait_select },
};

FIXTURE_VARIANT_ADD(way, epoll) {
	.way = { prepare_epoll, wait_epoll, .at_end = -EPIPE },
};

FIXTURE_VARIANT_ADD(way, epoll_edge) {
	.way = { prepare_epoll_edge, wait_epoll, .at_end = -EPIPE },
};

FIXTURE_VARIANT_ADD(way, epoll_oneshot) {
	.way = { prepare_epoll_once, wait_epoll_once, .at_end = -EPIPE },
};

FIXTURE_VARIANT_ADD(way, epoll_exclusive) {
	.way = { prepare_epoll_exclusive, wait_epoll, .at_end = -EPIPE },
};

FIXTURE_VARIANT_ADD(way, sigio) {
	.way = { prepare_sigio, wait_sigio, .edge = true },
};

FIXTURE_VARIANT_ADD(way, io_uring_read) {
	.way = { prepare_ring, wait_ring_read },
};

FIXTURE_VARIANT_ADD(way, io_uring_poll) {
	.way = { prepare_ring, wait_ring_poll, .at_end = -EPIPE },
};

FIXTURE_SETUP(way)
{
	WQ_REQUIRE_KEYS();
	if (variant->way.prepare == prepare_ring)
		REQUIRE_RING(&self->w.ring);
	ASSERT_EQ(0, make_watched(self->fds, &self->key));
	self->w.fd = self->fds[0];
}

FIXTURE_TEARDOWN(way)
{
	wq_close(self->fds);
}

/* What @w got by waiting and what can be read now: how many records, or an error. */
static int collect(struct waiter *w, struct wq_record *recs, int max)
{
	struct wq_record r;
	size_t pos;
	int n = 0, ret;

	wq_for_each_record(r, pos, w->buf, w->got) {
		if (n == max)
			return -E2BIG;
		recs[n++] = r;
	}
	if (pos != w->got)
		return -EBADMSG;
	w->got = 0;

	ret = wq_read_all(w->fd, recs + n, max - n);
	if (ret < 0)
		return ret;
	wq_set_nonblock(w->fd, false);
	return n + ret;
}

/* Prepares and makes @events events, in the order that suits the way. */
static int way_events(struct waiter *w, const struct way *way, int key, int events)
{
	int ret = 0;

	if (way->edge)
		ret = way->prepare(w);
	if (!ret)
		ret = wq_touch_n(key, events);
	if (!ret && !way->edge)
		ret = way->prepare(w);
	return ret;
}

/* Who waits is woken by the first event, each time anew. */
TEST_F(way, event_wakes)
{
	struct wq_record r[4];
	struct wq_call call;
	int i;

	ASSERT_EQ(0, variant->way.prepare(&self->w));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, wq_call_start_blocked(&call, variant->way.wait,
						   &self->w));
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, wq_call_end(&call));
		ASSERT_EQ(1, collect(&self->w, r, 4));
		EXPECT_TRUE(is_touch(&r[0], self->key));
	}
}

/* What was there before does not have to be waited for. */
TEST_F(way, record_is_ready)
{
	struct wq_record r[4];
	struct wq_call call;

	ASSERT_EQ(0, way_events(&self->w, &variant->way, self->key, 1));
	ASSERT_EQ(0, wq_call_start(&call, variant->way.wait, &self->w));
	ASSERT_EQ(0, wq_call_end(&call));
	ASSERT_EQ(1, collect(&self->w, r, 4));
	EXPECT_TRUE(is_touch(&r[0], self->key));
}

/* A loss alone, with everything before it read, needs no further event. */
TEST_F(way, pending_loss_is_ready)
{
	struct wq_record r[4];
	struct wq_call call;

	ASSERT_EQ(0, wq_touch_n(self->key, FULL));
	ASSERT_EQ(0, way_events(&self->w, &variant->way, self->key, 3));
	ASSERT_EQ(FULL * 16, wq_read(self->fds[0], self->w.buf, FULL * 16));

	ASSERT_EQ(0, wq_call_start(&call, variant->way.wait, &self->w));
	ASSERT_EQ(0, wq_call_end(&call));
	ASSERT_EQ(1, collect(&self->w, r, 4));
	EXPECT_TRUE(wq_is_loss_of(&r[0], 3));
}

/* The end wakes as well: the last write end is closed, read() returns 0. */
TEST_F(way, end_wakes)
{
	struct wq_call call;
	char c;

	ASSERT_EQ(0, variant->way.prepare(&self->w));
	ASSERT_EQ(0, wq_call_start_blocked(&call, variant->way.wait, &self->w));
	ASSERT_EQ(0, close(self->fds[1]));
	self->fds[1] = -EBADF;

	EXPECT_EQ(variant->way.at_end, wq_call_end(&call));
	EXPECT_EQ(0, self->w.got);
	EXPECT_EQ(0, wq_read(self->fds[0], &c, 1));
}

/* A REMOVAL is an event like any other. */
TEST_F(way, removal_wakes)
{
	struct wq_record r[4];
	struct wq_call call;

	ASSERT_EQ(0, variant->way.prepare(&self->w));
	ASSERT_EQ(0, wq_call_start_blocked(&call, variant->way.wait, &self->w));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));
	ASSERT_EQ(0, wq_call_end(&call));
	ASSERT_EQ(1, collect(&self->w, r, 4));
	EXPECT_TRUE(wq_is_removal(&r[0]));
	EXPECT_EQ(TAG, r[0].tag);
	EXPECT_EQ(self->key, r[0].id);
}

struct ping_pong {
	struct waiter *w;
	const struct way *way;
	int rounds;
	int answered;
};

static long ping_pong_answer(void *arg)
{
	struct ping_pong *p = arg;
	struct wq_record r[2];
	long ret;
	int i;

	for (i = 0; i < p->rounds; i++) {
		ret = p->way->wait(p->w);
		if (ret)
			return ret;
		if (collect(p->w, r, 2) != 1)
			return -EBADMSG;
		__atomic_store_n(&p->answered, i + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

/* Whether the answer to the event before number @i comes. */
static bool ping_pong_await(const struct ping_pong *p, int i)
{
	const long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (__atomic_load_n(&p->answered, __ATOMIC_ACQUIRE) != i) {
		if (wq_now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* No wake-up is missed: each event is answered before there is the next. */
TEST_F_TIMEOUT(way, misses_no_wakeup, 120)
{
	struct ping_pong p = {
		.w = &self->w,
		.way = &variant->way,
		.rounds = wq_env("WQ_ROUNDS", 500),
	};
	struct wq_call call;
	int i;

	ASSERT_EQ(0, variant->way.prepare(&self->w));
	ASSERT_EQ(0, wq_call_start(&call, ping_pong_answer, &p));
	for (i = 0; i < p.rounds && ping_pong_await(&p, i); i++)
		ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(p.rounds, i)
		TH_LOG("no answer to event %d", i);
	EXPECT_EQ(0, wq_call_end(&call));
}

/* ---- Every event, not only the first ---- */

FIXTURE(wait)
{
	int fds[2];
	int key;
	char buf[4096];
};

FIXTURE_SETUP(wait)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_watched(self->fds, &self->key));
}

FIXTURE_TEARDOWN(wait)
{
	wq_close(self->fds);
}

static int epoll_ready(int epoll)
{
	struct epoll_event ev;

	return wq_errno(epoll_wait(epoll, &ev, 1, 0));
}

/* Level-triggered epoll says so as long as something is there. */
TEST_F(wait, epoll_level)
{
	struct waiter w = { .fd = self->fds[0] };
	int i;

	ASSERT_EQ(0, prepare_epoll(&w));
	EXPECT_EQ(0, epoll_ready(w.epoll));
	ASSERT_EQ(0, wq_touch_n(self->key, FULL + 1));
	for (i = 0; i < FULL + 1; i++) {
		EXPECT_EQ(1, epoll_ready(w.epoll));
		EXPECT_EQ(1, epoll_ready(w.epoll));
		ASSERT_EQ(16, wq_read(self->fds[0], self->buf, 16));
	}
	EXPECT_EQ(0, epoll_ready(w.epoll));
}

/*
 * Edge-triggered epoll says so once for each event, read or not, and for the
 * first loss after a record.
 */
TEST_F(wait, epoll_edge)
{
	struct waiter w = { .fd = self->fds[0] };
	int round, i;

	ASSERT_EQ(0, prepare_epoll_edge(&w));
	EXPECT_EQ(0, epoll_ready(w.epoll));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < FULL + 1; i++) {
			ASSERT_EQ(0, wq_touch(self->key));
			EXPECT_EQ(1, epoll_ready(w.epoll));
			EXPECT_EQ(0, epoll_ready(w.epoll));
		}
		ASSERT_EQ((FULL + 1) * 16, wq_read(self->fds[0], self->buf,
						   sizeof(self->buf)));
		EXPECT_EQ(0, epoll_ready(w.epoll));
	}
}

/* Who reads until EAGAIN after each edge gets everything, losses too. */
TEST_F(wait, epoll_edge_then_read_until_eagain)
{
	struct waiter w = { .fd = self->fds[0] };
	struct wq_record r[FULL + 2];
	int round, i;

	ASSERT_EQ(0, prepare_epoll_edge(&w));
	for (round = 1; round < 20; round++) {
		ASSERT_EQ(0, wq_touch_n(self->key, FULL + round));
		ASSERT_EQ(1, epoll_ready(w.epoll));
		ASSERT_EQ(FULL + 1, wq_read_all(self->fds[0], r, FULL + 2));
		for (i = 0; i < FULL; i++)
			EXPECT_TRUE(is_touch(&r[i], self->key));
		EXPECT_TRUE(wq_is_loss_of(&r[FULL], round));
		EXPECT_EQ(0, epoll_ready(w.epoll));
	}
}

/* Takes @sig if it is there. */
static int take_signal(int sig, siginfo_t *si)
{
	const struct timespec now = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return wq_errno(sigtimedwait(&set, si, &now));
}

/*
 * Each event sends its signal, and so does the first loss after a record; the
 * losses after that one are no news.
 */
TEST_F(wait, signal_for_each)
{
	const int sig = SIGRTMIN + 1;
	struct waiter w = { .fd = self->fds[0] };
	siginfo_t si;
	int i;

	ASSERT_EQ(0, prepare_signal(&w, sig));
	ASSERT_EQ(0, wq_touch_n(self->key, FULL + 5));
	for (i = 0; i < FULL + 1; i++) {
		ASSERT_EQ(sig, take_signal(sig, &si));
		EXPECT_EQ(self->fds[0], si.si_fd);
		EXPECT_EQ(POLL_IN, si.si_code);
		EXPECT_TRUE(si.si_band & POLLIN);
	}
	EXPECT_EQ(-EAGAIN, take_signal(sig, &si));

	/* No signal without O_ASYNC. */
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETFL, O_RDONLY));
	ASSERT_EQ((FULL + 1) * 16,
		  wq_read(self->fds[0], self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(-EAGAIN, take_signal(sig, &si));
}

/* SIGIO comes again after each read. */
TEST_F(wait, sigio_each_time)
{
	struct waiter w = { .fd = self->fds[0] };
	siginfo_t si;
	int i;

	ASSERT_EQ(0, prepare_sigio(&w));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, wq_touch(self->key));
		EXPECT_EQ(SIGIO, take_signal(SIGIO, &si));
		EXPECT_EQ(-EAGAIN, take_signal(SIGIO, &si));
		ASSERT_EQ(16, wq_read(self->fds[0], self->buf, 16));
	}
}

/* ---- io_uring ---- */

FIXTURE(io_uring)
{
	int fds[2];
	int key;
	struct ring ring;
	char buf[64];
};

FIXTURE_SETUP(io_uring)
{
	WQ_REQUIRE_KEYS();
	REQUIRE_RING(&self->ring);
	ASSERT_EQ(0, make_watched(self->fds, &self->key));
}

FIXTURE_TEARDOWN(io_uring)
{
	close(self->ring.fd);
	wq_close(self->fds);
}

/* One multishot poll of io_uring completes once for each event. */
TEST_F(io_uring, poll_multishot)
{
	struct io_uring_cqe cqe;
	int i;

	ASSERT_EQ(0, ring_submit_poll(&self->ring, self->fds[0],
				      IORING_POLL_ADD_MULTI));
	for (i = 0; i < FULL + 1; i++) {
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, ring_wait(&self->ring, &cqe));
		EXPECT_EQ(0, judge_events(cqe.res));
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_MORE);
	}
	EXPECT_FALSE(ring_take(&self->ring, &cqe));
}

/* A read waits for an event; another thread need not be there. */
TEST_F(io_uring, read_waits)
{
	struct io_uring_cqe cqe;
	struct wq_record r;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ring_submit_read(&self->ring, self->fds[0],
					      self->buf, sizeof(self->buf), 0));
		EXPECT_EQ(0, ring_enter(&self->ring, 0, 0));
		EXPECT_FALSE(ring_take(&self->ring, &cqe));
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, ring_wait(&self->ring, &cqe));
		ASSERT_EQ(16, cqe.res);
		ASSERT_EQ(16, wq_decode(self->buf, 16, &r));
		EXPECT_TRUE(is_touch(&r, self->key));
	}
}

/* Several waiting reads share the events, each gets a record of its own. */
TEST_F(io_uring, reads_share)
{
	struct io_uring_cqe cqe;
	struct wq_record r;
	char buf[4][16];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_submit_read(&self->ring, self->fds[0], buf[i],
					      sizeof(buf[i]), 0));
	ASSERT_EQ(0, wq_touch_n(self->key, 4));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(&self->ring, &cqe));
		EXPECT_EQ(16, cqe.res);
	}
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(16, wq_decode(buf[i], 16, &r));
		EXPECT_TRUE(is_touch(&r, self->key));
	}
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* RWF_NOWAIT makes an empty pipe EAGAIN at once. */
TEST_F(io_uring, read_nowait)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EAGAIN, ring_read(&self->ring, self->fds[0], self->buf,
					     sizeof(self->buf), RWF_NOWAIT));
		ASSERT_EQ(0, wq_touch(self->key));
		EXPECT_EQ(-ENOBUFS, ring_read(&self->ring, self->fds[0],
					      self->buf, 15, RWF_NOWAIT));
		EXPECT_EQ(16, ring_read(&self->ring, self->fds[0], self->buf,
					sizeof(self->buf), RWF_NOWAIT));
	}
}

/* O_NONBLOCK does not: io_uring waits for such a pipe as for any other. */
TEST_F(io_uring, read_nonblock)
{
	struct io_uring_cqe cqe;

	ASSERT_LE(0, wq_set_nonblock(self->fds[0], true));
	ASSERT_EQ(0, ring_submit_read(&self->ring, self->fds[0], self->buf,
				      sizeof(self->buf), 0));
	EXPECT_FALSE(ring_take(&self->ring, &cqe));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, ring_wait(&self->ring, &cqe));
	EXPECT_EQ(16, cqe.res);
}

/* ---- Several readers ---- */

/* A thread that sleeps in a read() that has room for one record. */
struct sleeper {
	struct wq_call call;
	struct wq_reader reader;
	char buf[WQ_KEY_RECORD];
};

static int sleeper_start(struct sleeper *s, int fd)
{
	s->reader = (struct wq_reader){ fd, s->buf, sizeof(s->buf) };
	return wq_call_start_blocked(&s->call, wq_reader_read, &s->reader);
}

static long sleeper_end(struct sleeper *s)
{
	return wq_call_end(&s->call);
}

/* Two events wake two readers, each of which takes one. */
TEST_F(wait, two_events_wake_two_readers)
{
	struct sleeper s[2];
	int round, i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, sleeper_start(&s[i], self->fds[0]));
		ASSERT_EQ(0, wq_touch_n(self->key, 2));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(16, sleeper_end(&s[i]));
		ASSERT_EQ(0, wq_fionread(self->fds[0]));
	}
}

/* A crowd of readers takes as many events as it is, and nobody is left behind. */
TEST_F(wait, crowd_of_readers)
{
	struct sleeper s[FULL];
	int round, i;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < FULL; i++)
			ASSERT_EQ(0, sleeper_start(&s[i], self->fds[0]));
		ASSERT_EQ(0, wq_touch_n(self->key, FULL));
		for (i = 0; i < FULL; i++)
			ASSERT_EQ(16, sleeper_end(&s[i]));
	}
}

/* The end is for all readers. */
TEST_F(wait, end_wakes_all_readers)
{
	struct sleeper s[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, sleeper_start(&s[i], self->fds[0]));
	ASSERT_EQ(0, close(self->fds[1]));
	self->fds[1] = -EBADF;
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, sleeper_end(&s[i]));
}

/* A reader that a signal takes away leaves the event to the other. */
TEST_F(wait, interrupted_reader_leaves_event_to_other)
{
	struct sleeper s[2];
	int round, i;
	long ret;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, sleeper_start(&s[i], self->fds[0]));
		/* Both at once: either may be first. */
		pthread_kill(s[0].call.thread, SIGUSR2);
		ASSERT_EQ(0, wq_touch(self->key));

		ret = sleeper_end(&s[0]);
		ASSERT_TRUE(ret == -EINTR || ret == 16);
		if (ret == 16)
			ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(16, sleeper_end(&s[1]));
		ASSERT_EQ(0, wq_fionread(self->fds[0]));
	}
}

/* poll() does not take the event away from a reader, nor the reader from poll(). */
TEST_F(wait, poll_and_reader_both_wake)
{
	struct waiter w = { .fd = self->fds[0] };
	struct wq_call call;
	struct sleeper s;

	ASSERT_EQ(0, prepare_epoll(&w));
	ASSERT_EQ(0, sleeper_start(&s, self->fds[0]));
	ASSERT_EQ(0, wq_call_start_blocked(&call, wait_epoll, &w));
	ASSERT_EQ(0, wq_touch_n(self->key, 2));
	EXPECT_EQ(16, sleeper_end(&s));
	EXPECT_EQ(0, wq_call_end(&call));
	EXPECT_EQ(1, epoll_ready(w.epoll));
}

/* Two EPOLLEXCLUSIVE waiters: an event wakes one at least, two wake both. */
TEST_F(wait, epoll_exclusive_two_waiters)
{
	struct waiter w[2] = {
		{ .fd = self->fds[0] },
		{ .fd = self->fds[0] },
	};
	struct wq_call call[2];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, prepare_epoll_exclusive(&w[i]));
		ASSERT_EQ(0, wq_call_start_blocked(&call[i], wait_epoll, &w[i]));
	}
	ASSERT_EQ(0, wq_touch_n(self->key, 2));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, wq_call_end(&call[i]));
	EXPECT_EQ(32, wq_fionread(self->fds[0]));
}

/*
 * The reader that an event wakes may be unable to take it.  It passes the wake-up
 * on to the one that waits behind it.
 */
FIXTURE(pass_on)
{
	int fds[2];
	int key;
};

FIXTURE_VARIANT(pass_on)
{
	size_t size;		/* the first reader's buffer */
	bool hole;		/* which may be none */
	int ret;		/* what that reader gets */
};

FIXTURE_VARIANT_ADD(pass_on, buffer_too_small) {
	.size = 8, .ret = -ENOBUFS,
};

FIXTURE_VARIANT_ADD(pass_on, fault) {
	.size = 16, .hole = true, .ret = -EFAULT,
};

FIXTURE_SETUP(pass_on)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_watched(self->fds, &self->key));
}

FIXTURE_TEARDOWN(pass_on)
{
	wq_close(self->fds);
}

/* They are woken in the order in which they came. */
TEST_F(pass_on, to_the_next_reader)
{
	struct sleeper first, second;

	first.reader = (struct wq_reader){
		self->fds[0], variant->hole ? wq_hole() : first.buf, variant->size
	};
	ASSERT_EQ(0, wq_call_start_blocked(&first.call, wq_reader_read,
					   &first.reader));
	ASSERT_EQ(0, sleeper_start(&second, self->fds[0]));
	ASSERT_EQ(0, wq_touch(self->key));

	EXPECT_EQ(variant->ret, sleeper_end(&first));
	EXPECT_EQ(16, sleeper_end(&second));
}

/* ---- Signals and waiting ---- */

/* A signal interrupts a waiting read(): EINTR, and nothing is lost by it. */
TEST_F(wait, signal_interrupts_read)
{
	struct sleeper s;

	ASSERT_EQ(0, sleeper_start(&s, self->fds[0]));
	ASSERT_EQ(0, pthread_kill(s.call.thread, SIGUSR2));
	EXPECT_EQ(-EINTR, sleeper_end(&s));

	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(16, wq_read(self->fds[0], self->buf, sizeof(self->buf)));
}

static bool restarted;

static void restart_handler(int sig)
{
	__atomic_store_n(&restarted, true, __ATOMIC_RELEASE);
}

/* With SA_RESTART it goes on waiting. */
TEST_F(wait, signal_restarts_read)
{
	const struct sigaction sa = {
		.sa_handler = restart_handler,
		.sa_flags = SA_RESTART,
	};
	struct sleeper s;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, sleeper_start(&s, self->fds[0]));
	ASSERT_EQ(0, pthread_kill(s.call.thread, SIGUSR1));
	while (!__atomic_load_n(&restarted, __ATOMIC_ACQUIRE))
		sched_yield();
	ASSERT_EQ(0, wq_call_blocked(&s.call));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(16, sleeper_end(&s));
}

/* ---- All agree ---- */

/*
 * A single reader that is told POLLIN never gets EAGAIN, and FIONREAD promises
 * no more than there is, while another CPU posts.
 */
FIXTURE(agree)
{
	int fds[2];
	int key;
	char buf[4096];
};

FIXTURE_VARIANT(agree)
{
	unsigned int depth;
	int size;		/* the reader's buffer */
};

FIXTURE_VARIANT_ADD(agree, depth_1_one_record) { .depth = 1, .size = 16 };
FIXTURE_VARIANT_ADD(agree, depth_1_full) { .depth = 1, .size = FULL * 16 };
FIXTURE_VARIANT_ADD(agree, depth_1_all) { .depth = 1, .size = 4096 };
FIXTURE_VARIANT_ADD(agree, depth_64_433) { .depth = 64, .size = 433 };

FIXTURE_SETUP(agree)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_watched(self->fds, &self->key));
	ASSERT_EQ(0, wq_set_size(self->fds[0], variant->depth));
	ASSERT_LE(0, wq_set_nonblock(self->fds[0], true));
}

FIXTURE_TEARDOWN(agree)
{
	wq_close(self->fds);
}

static int agree_post(void *arg)
{
	return wq_touch(*(int *)arg);
}

TEST_F_TIMEOUT(agree, on_whether_there_is_something, 120)
{
	const long end = wq_stress_end();
	const int whole = variant->size / 16 * 16;
	struct wq_tally tally = {};
	struct wq_worker poster;
	struct wq_record r;
	bool stop = false;
	int avail, len;
	size_t pos;

	ASSERT_EQ(0, wq_worker_start(&poster, agree_post, &self->key, &stop));
	while (wq_now_ms() < end) {
		ASSERT_EQ(POLLIN, wq_poll(self->fds[0], POLLIN, WQ_PATIENCE_MS));
		avail = wq_fionread(self->fds[0]);
		ASSERT_LE(16, avail);
		len = wq_read(self->fds[0], self->buf, variant->size);
		ASSERT_LE(avail < whole ? avail : whole, len);

		wq_for_each_record(r, pos, self->buf, len) {
			if (wq_is_loss(&r))
				tally.lost += r.lost;
			else if (is_touch(&r, self->key))
				tally.records++;
			else
				break;
		}
		ASSERT_EQ(len, (int)pos);
	}
	wq_stop(&stop);
	ASSERT_EQ(0, wq_worker_end(&poster));

	ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	EXPECT_EQ(poster.rounds, tally.records + tally.lost);
}

TEST_HARNESS_MAIN
