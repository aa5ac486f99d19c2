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
 * @prepare is called in advance, @wait may block.  It returns 0 as soon as the
 * pipe is said to be readable.
 */
struct way {
	int	(*prepare)(struct waiter *w);
	long	(*wait)(void *waiter);
	bool	reads;		/* waiting and reading are one */
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

static long wait_poll(void *arg)
{
	struct waiter *w = arg;
	int ret = wq_poll(w->fd, POLLIN | POLLOUT, -1);

	return ret < 0 || ret & POLLIN ? (ret < 0 ? ret : 0) : -EPROTO;
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

	if (ret < 0)
		return ret;
	return ret == 1 && ev.events & EPOLLIN ? 0 : -EPROTO;
}

/* The signal has to be blocked by all threads. */
static int prepare_sigio(struct waiter *w)
{
	int flags = fcntl(w->fd, F_GETFL);

	if (flags < 0 || fcntl(w->fd, F_SETOWN, getpid()) ||
	    fcntl(w->fd, F_SETFL, flags | O_ASYNC))
		return -errno;
	return 0;
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
	struct io_uring_cqe cqe;
	int ret;

	ret = ring_submit_read(&w->ring, w->fd, w->buf, sizeof(w->buf), 0);
	if (!ret)
		ret = ring_wait(&w->ring, &cqe);
	if (ret)
		return ret;
	if (cqe.res < 0)
		return cqe.res;
	w->got = cqe.res;
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
	if (ret)
		return ret;
	if (cqe.res < 0)
		return cqe.res;
	return cqe.res & POLLIN ? 0 : -EPROTO;
}

FIXTURE(way)
{
	int fds[2];
	int key;
	struct waiter w;
	bool prepared;
};

FIXTURE_VARIANT(way)
{
	struct way way;
};

FIXTURE_VARIANT_ADD(way, read) {
	.way = { prepare_nothing, wait_read, .reads = true },
};

FIXTURE_VARIANT_ADD(way, readv) {
	.way = { prepare_nothing, wait_readv, .reads = true },
};

FIXTURE_VARIANT_ADD(way, poll) {
	.way = { prepare_nothing, wait_poll },
};

FIXTURE_VARIANT_ADD(way, select) {
	.way = { prepare_nothing, wait_select },
};

FIXTURE_VARIANT_ADD(way, epoll) {
	.way = { prepare_epoll, wait_epoll },
};

FIXTURE_VARIANT_ADD(way, epoll_edge) {
	.way = { prepare_epoll_edge, wait_epoll },
};

FIXTURE_VARIANT_ADD(way, epoll_oneshot) {
	.way = { prepare_epoll_once, wait_epoll },
};

FIXTURE_VARIANT_ADD(way, epoll_exclusive) {
	.way = { prepare_epoll_exclusive, wait_epoll },
};

FIXTURE_VARIANT_ADD(way, sigio) {
	.way = { prepare_sigio, wait_sigio, .edge = true },
};

FIXTURE_VARIANT_ADD(way, io_uring_read) {
	.way = { prepare_ring, wait_ring_read, .reads = true },
};

FIXTURE_VARIANT_ADD(way, io_uring_poll) {
	.way = { prepare_ring, wait_ring_poll },
};

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

static void block_sigio(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

FIXTURE_SETUP(way)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	if (variant->way.prepare == prepare_ring) {
		struct ring ring;

		REQUIRE_RING(&ring);
		close(ring.fd);
	}
	block_sigio();
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

static bool is_touch(const struct wq_record *r, int key)
{
	return wq_is_key(r, NOTIFY_KEY_SETATTR, key) && r->tag == TAG;
}

/* Who waits is woken by the first event, each time anew. */
TEST_F(way, event_wakes)
{
	struct wq_record r[4];
	struct wq_call call;
	int i;

	for (i = 0; i < 5; i++) {
		/* Each time from the beginning, as oneshot needs it. */
		ASSERT_EQ(0, variant->way.prepare(&self->w));
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

	if (variant->way.edge)
		ASSERT_EQ(0, variant->way.prepare(&self->w));
	ASSERT_EQ(0, wq_touch(self->key));
	if (!variant->way.edge)
		ASSERT_EQ(0, variant->way.prepare(&self->w));

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

	if (variant->way.edge)
		ASSERT_EQ(0, variant->way.prepare(&self->w));
	ASSERT_EQ(0, wq_touch_n(self->key, FULL + 3));
	ASSERT_EQ(FULL * 16, wq_read(self->fds[0], self->w.buf, FULL * 16));
	if (!variant->way.edge)
		ASSERT_EQ(0, variant->way.prepare(&self->w));

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

	/* A hang-up is no POLLIN. */
	EXPECT_EQ(variant->way.reads || variant->way.wait == wait_select ||
		  variant->way.edge ? 0 : -EPROTO, wq_call_end(&call));
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

/* ---- Every event, not only the first ---- */

FIXTURE(wait)
{
	int fds[2];
	int key;
	char buf[4096];
};

FIXTURE_SETUP(wait)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	block_sigio();
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
	int round, records, losses;
	struct wq_record r;

	ASSERT_EQ(0, prepare_epoll_edge(&w));
	ASSERT_LE(0, wq_set_nonblock(self->fds[0], true));
	for (round = 1; round < 20; round++) {
		ASSERT_EQ(0, wq_touch_n(self->key, FULL + round));
		ASSERT_EQ(1, epoll_ready(w.epoll));
		records = losses = 0;
		while (wq_read(self->fds[0], self->buf, 16) == 16) {
			ASSERT_EQ(16, wq_decode(self->buf, 16, &r));
			if (wq_is_loss_of(&r, round))
				losses++;
			else if (is_touch(&r, self->key))
				records++;
		}
		EXPECT_EQ(FULL, records);
		EXPECT_EQ(1, losses);
		EXPECT_EQ(0, epoll_ready(w.epoll));
	}
}

/*
 * Each event sends its signal, and so does the first loss after a record; the
 * losses after that one are no news.
 */
TEST_F(wait, signal_for_each)
{
	const int sig = SIGRTMIN + 1;
	const struct timespec now = {};
	struct waiter w = { .fd = self->fds[0] };
	siginfo_t si;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, sig);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETSIG, sig));
	ASSERT_EQ(0, prepare_sigio(&w));

	ASSERT_EQ(0, wq_touch_n(self->key, FULL + 5));
	for (i = 0; i < FULL + 1; i++) {
		ASSERT_EQ(sig, sigtimedwait(&set, &si, &now));
		EXPECT_EQ(self->fds[0], si.si_fd);
		EXPECT_EQ(POLL_IN, si.si_code);
		EXPECT_TRUE(si.si_band & POLLIN);
	}
	EXPECT_EQ(-1, sigtimedwait(&set, &si, &now));
	EXPECT_EQ(EAGAIN, errno);

	/* No signal without O_ASYNC. */
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETFL, O_RDONLY));
	ASSERT_EQ((FULL + 1) * 16,
		  wq_read(self->fds[0], self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(-1, sigtimedwait(&set, &si, &now));
}

/* SIGIO comes again after each read. */
TEST_F(wait, sigio_each_time)
{
	const struct timespec now = {};
	struct waiter w = { .fd = self->fds[0] };
	siginfo_t si;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, prepare_sigio(&w));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, wq_touch(self->key));
		EXPECT_EQ(SIGIO, sigtimedwait(&set, &si, &now));
		EXPECT_EQ(-1, sigtimedwait(&set, &si, &now));
		ASSERT_EQ(16, wq_read(self->fds[0], self->buf, 16));
	}
}

/* One multishot poll of io_uring completes once for each event. */
TEST_F(wait, io_uring_poll_multishot)
{
	struct io_uring_cqe cqe;
	struct ring ring;
	int i;

	REQUIRE_RING(&ring);
	ASSERT_EQ(0, ring_submit_poll(&ring, self->fds[0], IORING_POLL_ADD_MULTI));
	for (i = 0; i < FULL + 1; i++) {
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		EXPECT_TRUE(cqe.res > 0 && cqe.res & POLLIN);
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_MORE);
	}
	EXPECT_FALSE(ring_take(&ring, &cqe));
	close(ring.fd);
}

/* A read of io_uring waits for an event; another thread need not be there. */
TEST_F(wait, io_uring_read_waits)
{
	struct io_uring_cqe cqe;
	struct wq_record r;
	struct ring ring;
	int i;

	REQUIRE_RING(&ring);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ring_submit_read(&ring, self->fds[0], self->buf,
					      sizeof(self->buf), 0));
		EXPECT_EQ(0, ring_enter(&ring, 0, 0));
		EXPECT_FALSE(ring_take(&ring, &cqe));
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		ASSERT_EQ(16, cqe.res);
		ASSERT_EQ(16, wq_decode(self->buf, 16, &r));
		EXPECT_TRUE(is_touch(&r, self->key));
	}
	close(ring.fd);
}

/* Several waiting reads share the events, each gets a record of its own. */
TEST_F(wait, io_uring_reads_share)
{
	struct io_uring_cqe cqe;
	struct ring ring;
	char buf[4][16];
	int i;

	REQUIRE_RING(&ring);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_submit_read(&ring, self->fds[0], buf[i],
					      sizeof(buf[i]), 0));
	ASSERT_EQ(0, wq_touch_n(self->key, 4));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		EXPECT_EQ(16, cqe.res);
	}
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
	close(ring.fd);
}

/* RWF_NOWAIT and O_NONBLOCK are EAGAIN at once for io_uring too. */
TEST_F(wait, io_uring_read_nowait)
{
	struct io_uring_cqe cqe;
	struct ring ring;
	int nonblock;

	REQUIRE_RING(&ring);
	for (nonblock = 0; nonblock < 2; nonblock++) {
		const int flags = nonblock ? 0 : RWF_NOWAIT;

		ASSERT_LE(0, wq_set_nonblock(self->fds[0], nonblock));
		ASSERT_EQ(0, ring_submit_read(&ring, self->fds[0], self->buf,
					      sizeof(self->buf), flags));
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		EXPECT_EQ(-EAGAIN, cqe.res);

		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, ring_submit_read(&ring, self->fds[0], self->buf,
					      15, flags));
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		EXPECT_EQ(-ENOBUFS, cqe.res);
		ASSERT_EQ(0, ring_submit_read(&ring, self->fds[0], self->buf,
					      sizeof(self->buf), flags));
		ASSERT_EQ(0, ring_wait(&ring, &cqe));
		EXPECT_EQ(16, cqe.res);
	}
	close(ring.fd);
}

/* ---- Several waiters ---- */

/* Two events wake two readers, each of which takes one. */
TEST_F(wait, two_events_wake_two_readers)
{
	char buf[2][16];
	struct wq_reader reader[2] = {
		{ .fd = self->fds[0], .buf = buf[0], .size = 16 },
		{ .fd = self->fds[0], .buf = buf[1], .size = 16 },
	};
	struct wq_call call[2];
	int round, i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, wq_call_start_blocked(&call[i],
							   wq_reader_read,
							   &reader[i]));
		ASSERT_EQ(0, wq_touch_n(self->key, 2));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(16, wq_call_end(&call[i]));
		ASSERT_EQ(0, wq_fionread(self->fds[0]));
	}
}

/*
 * The reader that an event wakes may be unable to take it.  It passes the
 * wake-up on to the one that waits behind it.
 */
FIXTURE(pass_on)
{
	FIXTURE_DATA(wait) wait;
};

FIXTURE_VARIANT(pass_on)
{
	size_t size;		/* the first reader's buffer */
	bool mapped;
	long expected;		/* what it gets, if it is the one to be woken */
};

FIXTURE_VARIANT_ADD(pass_on, buffer_too_small) {
	.size = 8, .mapped = true, .expected = -ENOBUFS,
};

FIXTURE_VARIANT_ADD(pass_on, fault) {
	.size = 16, .mapped = false, .expected = -EFAULT,
};

FIXTURE_SETUP(pass_on)
{
	wait_setup(_metadata, &self->wait, NULL);
}

FIXTURE_TEARDOWN(pass_on)
{
	wq_close(self->wait.fds);
}

TEST_F(pass_on, to_the_next_reader)
{
	char small[16], large[16];
	struct wq_reader reader[2] = {
		{
			.fd = self->wait.fds[0],
			.buf = variant->mapped ? small : wq_hole(),
			.size = variant->size,
		}, {
			.fd = self->wait.fds[0],
			.buf = large,
			.size = sizeof(large),
		},
	};
	struct wq_call call[2];
	long ret;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, wq_call_start_blocked(&call[i], wq_reader_read,
						   &reader[i]));
	ASSERT_EQ(0, wq_touch(self->wait.key));

	EXPECT_EQ(16, wq_call_end(&call[1]));

	/* Lets the first one go where the second was woken instead of it. */
	wq_close(self->wait.fds);
	ret = wq_call_end(&call[0]);
	EXPECT_TRUE(ret == variant->expected || ret == 0)
		TH_LOG("%ld", ret);
}

/* A reader that a signal takes away leaves the event to the other. */
TEST_F(wait, interrupted_reader_leaves_event_to_other)
{
	char buf[2][16];
	struct wq_reader reader[2] = {
		{ .fd = self->fds[0], .buf = buf[0], .size = 16 },
		{ .fd = self->fds[0], .buf = buf[1], .size = 16 },
	};
	struct wq_call call[2];
	long ret[2];
	int round, i;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, wq_call_start_blocked(&call[i],
							   wq_reader_read,
							   &reader[i]));
		/* Both at once: either may be first. */
		pthread_kill(call[0].thread, SIGUSR2);
		ASSERT_EQ(0, wq_touch(self->key));

		ret[0] = wq_call_end(&call[0]);
		ASSERT_TRUE(ret[0] == -EINTR || ret[0] == 16);
		if (ret[0] == 16)
			ASSERT_EQ(0, wq_touch(self->key));
		ret[1] = wq_call_end(&call[1]);
		ASSERT_EQ(16, ret[1]);
		ASSERT_EQ(0, wq_fionread(self->fds[0]));
	}
}

/* poll() does not take the event away from a reader, nor the reader from poll(). */
TEST_F(wait, poll_and_reader_both_wake)
{
	struct waiter w = { .fd = self->fds[0] };
	struct wq_reader reader = {
		.fd = self->fds[0], .buf = self->buf, .size = 16,
	};
	struct wq_call call[3];
	int epoll;

	ASSERT_EQ(0, prepare_epoll(&w));
	epoll = w.epoll;
	ASSERT_EQ(0, wq_call_start_blocked(&call[0], wq_reader_read, &reader));
	ASSERT_EQ(0, wq_call_start_blocked(&call[1], wait_epoll, &w));
	ASSERT_EQ(0, wq_touch_n(self->key, 2));
	EXPECT_EQ(16, wq_call_end(&call[0]));
	EXPECT_EQ(0, wq_call_end(&call[1]));
	EXPECT_EQ(1, epoll_ready(epoll));
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

/* A crowd of readers takes as many events as it is, and nobody is left behind. */
TEST_F(wait, crowd_of_readers)
{
	enum { CROWD = FULL };
	struct wq_reader reader[CROWD];
	struct wq_call call[CROWD];
	char buf[CROWD][16];
	int round, i;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < CROWD; i++) {
			reader[i].fd = self->fds[0];
			reader[i].buf = buf[i];
			reader[i].size = 16;
			ASSERT_EQ(0, wq_call_start_blocked(&call[i],
							   wq_reader_read,
							   &reader[i]));
		}
		ASSERT_EQ(0, wq_touch_n(self->key, CROWD));
		for (i = 0; i < CROWD; i++)
			ASSERT_EQ(16, wq_call_end(&call[i]));
	}
}

/* The end is for all readers. */
TEST_F(wait, end_wakes_all_readers)
{
	char buf[3][16];
	struct wq_reader reader[3];
	struct wq_call call[3];
	int i;

	for (i = 0; i < 3; i++) {
		reader[i].fd = self->fds[0];
		reader[i].buf = buf[i];
		reader[i].size = 16;
		ASSERT_EQ(0, wq_call_start_blocked(&call[i], wq_reader_read,
						   &reader[i]));
	}
	ASSERT_EQ(0, close(self->fds[1]));
	self->fds[1] = -EBADF;
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, wq_call_end(&call[i]));
}

/* ---- Signals and waiting ---- */

/* A signal interrupts a waiting read(): EINTR, and nothing is lost by it. */
TEST_F(wait, signal_interrupts_read)
{
	struct wq_reader reader = {
		.fd = self->fds[0], .buf = self->buf, .size = sizeof(self->buf),
	};
	struct wq_call call;

	ASSERT_EQ(0, wq_call_start_blocked(&call, wq_reader_read, &reader));
	ASSERT_EQ(0, pthread_kill(call.thread, SIGUSR2));
	EXPECT_EQ(-EINTR, wq_call_end(&call));

	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(16, wq_read(self->fds[0], self->buf, sizeof(self->buf)));
}

static volatile sig_atomic_t restarted;

static void restart_handler(int sig)
{
	restarted = 1;
}

/* With SA_RESTART it goes on waiting. */
TEST_F(wait, signal_restarts_read)
{
	const struct sigaction sa = {
		.sa_handler = restart_handler,
		.sa_flags = SA_RESTART,
	};
	struct wq_reader reader = {
		.fd = self->fds[0], .buf = self->buf, .size = sizeof(self->buf),
	};
	struct wq_call call;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, wq_call_start_blocked(&call, wq_reader_read, &reader));
	ASSERT_EQ(0, pthread_kill(call.thread, SIGUSR1));
	while (!restarted)
		sched_yield();
	ASSERT_EQ(0, wq_call_blocked(&call));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(16, wq_call_end(&call));
}

/* ---- All agree ---- */

/*
 * A single reader that is told POLLIN never gets EAGAIN, and FIONREAD promises
 * no more than there is, while another CPU posts.
 */
FIXTURE(agree)
{
	FIXTURE_DATA(wait) wait;
};

FIXTURE_VARIANT(agree)
{
	unsigned int depth;
	size_t size;
	bool edge;
};

FIXTURE_VARIANT_ADD(agree, depth_1_one_record) {
	.depth = 1, .size = 16,
};

FIXTURE_VARIANT_ADD(agree, depth_1_full) {
	.depth = 1, .size = FULL * 16,
};

FIXTURE_VARIANT_ADD(agree, depth_1_all) {
	.depth = 1, .size = 4096,
};

FIXTURE_VARIANT_ADD(agree, depth_64_433) {
	.depth = 64, .size = 433,
};

FIXTURE_SETUP(agree)
{
	wait_setup(_metadata, &self->wait, NULL);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, wq_set_size(self->wait.fds[0], variant->depth));
	ASSERT_LE(0, wq_set_nonblock(self->wait.fds[0], true));
}

FIXTURE_TEARDOWN(agree)
{
	wq_close(self->wait.fds);
}

static int agree_post(void *arg)
{
	return wq_touch(*(int *)arg);
}

TEST_F_TIMEOUT(agree, on_whether_there_is_something, 120)
{
	uint64_t end = wq_stress_end();
	const int fd = self->wait.fds[0];
	struct wq_tally tally = {};
	struct wq_worker poster;
	struct wq_record r;
	bool stop = false;
	size_t pos;

	ASSERT_EQ(0, wq_worker_start(&poster, agree_post, &self->wait.key,
				     &stop));
	while (wq_now_ms() < end) {
		ssize_t len;
		int avail;

		ASSERT_EQ(POLLIN, wq_poll(fd, POLLIN, WQ_PATIENCE_MS));
		avail = wq_fionread(fd);
		ASSERT_LE(16, avail);
		len = wq_read(fd, self->wait.buf, variant->size);
		ASSERT_LE(16, len);
		ASSERT_LE(avail < (int)variant->size ? avail :
			  (int)(variant->size / 16 * 16), len);

		wq_for_each_record(r, pos, self->wait.buf, len) {
			if (wq_is_loss(&r))
				tally.lost += r.lost;
			else if (is_touch(&r, self->wait.key))
				tally.records++;
			else
				break;
		}
		ASSERT_EQ((size_t)len, pos);
	}
	wq_stop(&stop);
	ASSERT_EQ(0, wq_worker_end(&poster));

	ASSERT_EQ(0, wq_drain(fd, &tally));
	EXPECT_EQ(poster.rounds, tally.records + tally.lost);
}

/* Blocking readers miss no wake-up: each event is answered before the next. */
FIXTURE(ping_pong)
{
	FIXTURE_DATA(way) way;
};

FIXTURE_VARIANT(ping_pong)
{
	struct way way;
	bool again;		/* prepare before each */
};

FIXTURE_VARIANT_ADD(ping_pong, read) {
	.way = { prepare_nothing, wait_read, .reads = true },
};

FIXTURE_VARIANT_ADD(ping_pong, poll) {
	.way = { prepare_nothing, wait_poll },
};

FIXTURE_VARIANT_ADD(ping_pong, epoll) {
	.way = { prepare_epoll, wait_epoll },
};

FIXTURE_VARIANT_ADD(ping_pong, epoll_edge) {
	.way = { prepare_epoll_edge, wait_epoll },
};

FIXTURE_VARIANT_ADD(ping_pong, sigio) {
	.way = { prepare_sigio, wait_sigio },
};

FIXTURE_VARIANT_ADD(ping_pong, io_uring_read) {
	.way = { prepare_ring, wait_ring_read, .reads = true },
};

FIXTURE_VARIANT_ADD(ping_pong, io_uring_poll) {
	.way = { prepare_ring, wait_ring_poll },
};

FIXTURE_SETUP(ping_pong)
{
	const FIXTURE_VARIANT(way) v = { .way = variant->way };

	way_setup(_metadata, &self->way, &v);
}

FIXTURE_TEARDOWN(ping_pong)
{
	wq_close(self->way.fds);
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

TEST_F_TIMEOUT(ping_pong, misses_no_wakeup, 120)
{
	struct ping_pong p = {
		.w = &self->way.w,
		.way = &variant->way,
		.rounds = wq_env("WQ_ROUNDS", 3000),
	};
	uint64_t limit;
	struct wq_call call;
	int i;

	ASSERT_EQ(0, variant->way.prepare(&self->way.w));
	ASSERT_EQ(0, wq_call_start(&call, ping_pong_answer, &p));
	for (i = 0; i < p.rounds; i++) {
		ASSERT_EQ(0, wq_touch(self->way.key));
		limit = wq_now_ms() + WQ_PATIENCE_MS;
		while (__atomic_load_n(&p.answered, __ATOMIC_ACQUIRE) != i + 1) {
			if (wq_now_ms() > limit)
				break;
			sched_yield();
		}
		if (__atomic_load_n(&p.answered, __ATOMIC_ACQUIRE) != i + 1)
			break;
	}
	EXPECT_EQ(p.rounds, i)
		TH_LOG("no answer to event %d", i);
	EXPECT_EQ(0, wq_call_end(&call));
}

TEST_HARNESS_MAIN
