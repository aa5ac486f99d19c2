// SPDX-License-Identifier: GPL-2.0
/*
 * Ordinary pipes: nobody is woken for nothing, and nobody who waits is left asleep.
 *
 * A wake-up that gets lost leaves both sides waiting for each other, which ends with
 * the test's time.  To lose one takes two processors.
 *
 * WQ_TURNS in the environment changes how often they wait for each other.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

#define PIECE		16

/* ---- Waking for nothing ---- */

/* How often the thread of this process has gone to sleep by itself. */
static long slept(pid_t tid)
{
	char path[64], line[128];
	long n = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			break;
	fclose(f);
	return n;
}

struct writer {
	pthread_t	thread;
	int		fd;
	pid_t		tid;
	ssize_t		ret;
};

static void *write_page(void *arg)
{
	static const char page[4096];
	struct writer *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = wq_errno(write(w->fd, page, sizeof(page)));
	return NULL;
}

/* Waits until the thread has told its number and sleeps in the kernel. */
static void await_sleep(const pid_t *tid)
{
	char path[64], state = 0;
	FILE *f;

	while (!__atomic_load_n(tid, __ATOMIC_ACQUIRE))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", *tid);
	while (state != 'S') {
		f = fopen(path, "re");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		if (f)
			fclose(f);
	}
}

/* A full pipe, of which a page is read in small pieces. */
TEST(writer_sleeps_while_there_is_no_room)
{
	struct writer w = { 0 };
	char piece[PIECE];
	long before;
	int fds[2], i;

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_EQ(8192, fcntl(fds[1], F_SETPIPE_SZ, 8192));
	w.fd = fds[1];
	for (i = 0; i < 2; i++) {
		write_page(&w);
		ASSERT_EQ(4096, w.ret);
	}
	w.tid = 0;
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, write_page, &w));
	await_sleep(&w.tid);

	before = slept(w.tid);
	ASSERT_LT(0, before);
	for (i = 0; i < 4096 / PIECE - 1; i++) {
		ASSERT_EQ(PIECE, read(fds[0], piece, PIECE));
		/* Time enough to be woken. */
		sched_yield();
	}
	await_sleep(&w.tid);
	EXPECT_EQ(before, slept(w.tid));

	/* With the last piece there is room. */
	ASSERT_EQ(PIECE, read(fds[0], piece, PIECE));
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	EXPECT_EQ(4096, w.ret);
	wq_close(fds);
}

/* ---- Not waking ---- */

/* How one waits for an end of a pipe before it is used. */
enum way { BLOCKING, POLL, EPOLL, EPOLL_EDGE };

/**
 * struct side - one of two that wait for each other
 * @thread: Its thread.
 * @cpu: Where it runs.
 * @way: How it waits.
 * @in: What it reads from.
 * @out: What it writes to.
 * @size: How much at a time.
 * @first: It begins.
 * @tid: The thread, once it runs.
 * @turns: How many rounds there are.
 * @rounds: How many it has done.
 * @ret: What went wrong, if anything.
 */
struct side {
	pthread_t	thread;
	int		cpu;
	enum way	way;
	int		in;
	int		out;
	size_t		size;
	bool		first;
	pid_t		tid;
	unsigned long	turns;
	unsigned long	rounds;
	int		ret;
};

static int make_epoll(int fd, int events, bool edge)
{
	struct epoll_event event = { .events = events | (edge ? EPOLLET : 0) };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll >= 0)
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	return epoll;
}

/* Waits until the end can be used; with edges, if it could not be just now. */
static void wait_for(enum way way, int fd, int epoll, int events)
{
	struct epoll_event event;
	struct pollfd p = { .fd = fd, .events = events };

	if (way == POLL)
		poll(&p, 1, -1);
	else if (way != BLOCKING)
		epoll_wait(epoll, &event, 1, -1);
}

/* Moves all of @size bytes, as they can be moved. */
static int move(struct side *s, char *buf, bool in, int epoll)
{
	int fd = in ? s->in : s->out;
	size_t done = 0;
	ssize_t len;

	while (done < s->size) {
		len = in ? read(fd, buf, s->size - done) : write(fd, buf, s->size - done);
		if (len < 0 && errno != EAGAIN)
			return -errno;
		if (!len)
			return -EPIPE;
		if (len > 0)
			done += len;
		else
			wait_for(s->way, fd, epoll, in ? POLLIN : POLLOUT);
	}
	return 0;
}

static void *play(void *arg)
{
	struct side *s = arg;
	int in, out;
	char *buf = calloc(1, s->size);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(s->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	in = make_epoll(s->in, EPOLLIN, s->way == EPOLL_EDGE);
	out = make_epoll(s->out, EPOLLOUT, s->way == EPOLL_EDGE);
	if (s->first)
		s->ret = move(s, buf, false, out);
	while (!s->ret && s->rounds < s->turns) {
		s->ret = move(s, buf, true, in);
		s->rounds++;
		if (!s->ret && (!s->first || s->rounds < s->turns))
			s->ret = move(s, buf, false, out);
	}
	close(in);
	close(out);
	free(buf);
	return NULL;
}

FIXTURE(ways)
{
	int there[2];
	int back[2];
};

FIXTURE_VARIANT(ways)
{
	enum way way;
};

FIXTURE_VARIANT_ADD(ways, blocking) { .way = BLOCKING };
FIXTURE_VARIANT_ADD(ways, poll) { .way = POLL };
FIXTURE_VARIANT_ADD(ways, epoll) { .way = EPOLL };
FIXTURE_VARIANT_ADD(ways, epoll_edge) { .way = EPOLL_EDGE };

FIXTURE_SETUP(ways)
{
	int flags = O_CLOEXEC | (variant->way == BLOCKING ? 0 : O_NONBLOCK);

	ASSERT_EQ(0, pipe2(self->there, flags));
	ASSERT_EQ(0, pipe2(self->back, flags));
	ASSERT_EQ(4096, fcntl(self->there[1], F_SETPIPE_SZ, 4096));
	ASSERT_EQ(4096, fcntl(self->back[1], F_SETPIPE_SZ, 4096));
}

FIXTURE_TEARDOWN(ways)
{
	wq_close(self->there);
	wq_close(self->back);
}

static void play_both(struct __test_metadata *_metadata, FIXTURE_DATA(ways) * self,
		      enum way way, size_t size)
{
	int last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	struct side sides[2] = {
		{ .cpu = 0, .in = self->back[0], .out = self->there[1], .first = true },
		{ .cpu = last, .in = self->there[0], .out = self->back[1] },
	};
	int i;

	for (i = 0; i < 2; i++) {
		sides[i].way = way;
		sides[i].size = size;
		sides[i].turns = wq_env("WQ_TURNS", 2000);
		ASSERT_EQ(0, pthread_create(&sides[i].thread, NULL, play, &sides[i]));
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(sides[i].thread, NULL));
		EXPECT_EQ(0, sides[i].ret);
		EXPECT_EQ(sides[i].turns, sides[i].rounds);
	}
}

/* Readers wait: a byte goes there and back. */
TEST_F_TIMEOUT(ways, reader_is_woken, 240)
{
	play_both(_metadata, self, variant->way, 1);
}

/* So do writers: it is more than goes into a pipe. */
TEST_F_TIMEOUT(ways, writer_is_woken, 240)
{
	play_both(_metadata, self, variant->way, 3 * 4096);
}

static void *move_out(void *arg)
{
	struct side *s = arg;
	int out = make_epoll(s->out, EPOLLOUT, s->way == EPOLL_EDGE);
	char byte = 0;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->ret = move(s, &byte, false, out);
	close(out);
	return NULL;
}

/* A full pipe gets room by being made larger, without a reader. */
TEST_F(ways, growing_wakes_writer)
{
	static const char page[4096];
	struct side s = {
		.way = variant->way, .out = self->there[1], .size = 1,
	};

	ASSERT_EQ(4096, write(self->there[1], page, sizeof(page)));
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, move_out, &s));
	await_sleep(&s.tid);
	ASSERT_EQ(8192, fcntl(self->there[1], F_SETPIPE_SZ, 8192));
	ASSERT_EQ(0, pthread_join(s.thread, NULL));
	EXPECT_EQ(0, s.ret);
}

TEST_HARNESS_MAIN
