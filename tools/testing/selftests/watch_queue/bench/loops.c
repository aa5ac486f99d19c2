// SPDX-License-Identifier: GPL-2.0
/*
 * What a program spends that waits for many things at once: with epoll, and in
 * whole turns of an event loop; for notification pipes and for ordinary ones.
 */

#include "bench.h"
#include <sys/epoll.h>

#define KEY	KEY_SPEC_SESSION_KEYRING

/* The bytes that make an ordinary pipe's message, like a key record's. */
#define MESSAGE	WQ_KEY_RECORD

struct loop {
	int	fds[2];
	int	epoll;
	void	(*post)(struct loop *loop);
};

static char buffer[433];

/* ---- What is timed ---- */

static void post_key(struct loop *loop)
{
	expect("KEYCTL_SETPERM", wq_touch(KEY), 0);
}

static void post_bytes(struct loop *loop)
{
	expect("write", write(loop->fds[1], buffer, MESSAGE), MESSAGE);
}

static void read_one(struct loop *loop)
{
	expect("read", read(loop->fds[0], buffer, sizeof(buffer)), MESSAGE);
}

static void op_epoll(void *arg)
{
	struct loop *loop = arg;
	struct epoll_event event;

	expect("epoll_wait", epoll_wait(loop->epoll, &event, 1, 0), 1);
}

static void op_epoll_empty(void *arg)
{
	struct loop *loop = arg;
	struct epoll_event event;

	expect("epoll_wait", epoll_wait(loop->epoll, &event, 1, 0), 0);
}

/* Both wait for as long as it takes, which here is not long. */

static void op_turn_epoll(void *arg)
{
	struct loop *loop = arg;
	struct epoll_event event;

	loop->post(loop);
	expect("epoll_wait", epoll_wait(loop->epoll, &event, 1, -1), 1);
	read_one(loop);
}

static void op_turn_poll(void *arg)
{
	struct loop *loop = arg;

	loop->post(loop);
	expect("poll", wq_poll(loop->fds[0], POLLIN, -1), POLLIN);
	read_one(loop);
}

/* ---- The rows ---- */

static void row(struct loop *loop, const char *of, const char *name,
		void (*op)(void *))
{
	struct work work = { .op = op, .arg = loop, .places = 64, .rounds = 15 };
	char text[64];

	snprintf(text, sizeof(text), "%s.%s", of, name);
	add(text, clock_unit(), measure(&work));
}

/* poll() first, for a pipe that is in an epoll costs more to post to. */
static void rows(struct loop *loop, const char *of)
{
	struct epoll_event event = { .events = EPOLLIN };

	row(loop, of, "loop.poll", op_turn_poll);

	loop->epoll = no_error("epoll_create1", wq_errno(epoll_create1(0)));
	no_error("epoll_ctl", wq_errno(epoll_ctl(loop->epoll, EPOLL_CTL_ADD,
						 loop->fds[0], &event)));
	row(loop, of, "loop.epoll", op_turn_epoll);
	row(loop, of, "epoll.empty", op_epoll_empty);
	loop->post(loop);
	row(loop, of, "epoll", op_epoll);
	read_one(loop);

	close(loop->epoll);
	wq_close(loop->fds);
}

void bench_loops(void)
{
	struct loop key = { .post = post_key };
	struct loop pipe = { .post = post_bytes };

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(key.fds, O_NONBLOCK));
	no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(key.fds[0], BENCH_DEPTH));
	no_error("KEYCTL_WATCH_KEY", wq_watch_key(KEY, key.fds[0], 1));
	rows(&key, "key");

	no_error("pipe2", wq_errno(pipe2(pipe.fds, O_NONBLOCK)));
	rows(&pipe, "pipe");
}
