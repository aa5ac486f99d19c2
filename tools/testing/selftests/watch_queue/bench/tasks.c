// SPDX-License-Identifier: GPL-2.0
/* What ordinary pipes cost between processes that wait for each other. */

#include "bench.h"
#include <sys/wait.h>

/* ---- Two processes ---- */

struct pingpong {
	int	there[2];
	int	back[2];
};

static void op_pingpong(void *arg)
{
	struct pingpong *p = arg;
	char byte = 'p';

	expect("write", write(p->there[1], &byte, 1), 1);
	expect("read", read(p->back[0], &byte, 1), 1);
}

static void two_processes(void)
{
	struct pingpong p;
	struct work work = {
		.op = op_pingpong, .arg = &p, .places = 256, .rounds = 15,
	};
	char byte;
	pid_t pid;

	no_error("pipe2", wq_errno(pipe2(p.there, 0)));
	no_error("pipe2", wq_errno(pipe2(p.back, 0)));
	pid = no_error("fork", wq_errno(fork()));
	if (!pid) {
		wq_close_end(&p.there[1]);
		while (read(p.there[0], &byte, 1) == 1)
			if (write(p.back[1], &byte, 1) != 1)
				break;
		_exit(0);
	}

	add("pipe.pingpong", clock_unit(), measure(&work));

	/* The last write end closed ends the child's loop. */
	wq_close(p.there);
	wq_close(p.back);
	expect("waitpid", wq_errno(waitpid(pid, NULL, 0)), pid);
}

/* ---- Groups of senders and receivers ---- */

#define GROUPS		2
#define SENDERS		4	/* in each group */
#define RECEIVERS	4
#define LOOPS		250	/* messages from each sender to each receiver */
#define MESSAGE		100

#define TASKS		(GROUPS * (SENDERS + RECEIVERS))
#define MESSAGES	(GROUPS * SENDERS * RECEIVERS * LOOPS)

/**
 * struct crowd - all groups
 * @ready: Each task writes a byte before it begins.
 * @go: Each sender waits for a byte.
 * @done: Each task writes a byte when it has sent or received all.
 * @bye: Then it waits for the end of this, so that its exit is not timed.
 * @pids: The tasks.
 * @nr: How many there are already.
 */
struct crowd {
	int		ready[2];
	int		go[2];
	int		done[2];
	int		bye[2];
	pid_t		pids[TASKS];
	unsigned int	nr;
};

static void tell(int fd, unsigned int nr)
{
	char byte = 't';

	while (nr--)
		expect("write", write(fd, &byte, 1), 1);
}

static void await(int fd, unsigned int nr)
{
	char byte;

	while (nr--)
		expect("read", read(fd, &byte, 1), 1);
}

static void send_all(struct crowd *c, int (*pipes)[2])
{
	char message[MESSAGE] = { 0 };
	unsigned int i, n;

	await(c->go[0], 1);
	for (n = 0; n < LOOPS; n++)
		for (i = 0; i < RECEIVERS; i++)
			expect("write", write(pipes[i][1], message, MESSAGE), MESSAGE);
}

static void receive_all(struct crowd *c, int fd)
{
	char message[MESSAGE];
	unsigned int n;

	for (n = 0; n < SENDERS * LOOPS; n++)
		expect("read", read(fd, message, MESSAGE), MESSAGE);
}

/* In a group a task is a receiver, if its number is that of one, or a sender. */
static void start_task(struct crowd *c, int (*pipes)[2], unsigned int nr)
{
	pid_t pid = no_error("fork", wq_errno(fork()));
	char byte;

	if (pid) {
		c->pids[c->nr++] = pid;
		return;
	}
	wq_close_end(&c->bye[1]);
	tell(c->ready[1], 1);
	if (nr < RECEIVERS)
		receive_all(c, pipes[nr][0]);
	else
		send_all(c, pipes);
	tell(c->done[1], 1);
	expect("read", read(c->bye[0], &byte, 1), 0);
	_exit(0);
}

static void gather(void *arg)
{
	int pipes[RECEIVERS][2];
	struct crowd *c = arg;
	unsigned int group, i;

	c->nr = 0;
	no_error("pipe2", wq_errno(pipe2(c->ready, 0)));
	no_error("pipe2", wq_errno(pipe2(c->go, 0)));
	no_error("pipe2", wq_errno(pipe2(c->done, 0)));
	no_error("pipe2", wq_errno(pipe2(c->bye, 0)));
	for (group = 0; group < GROUPS; group++) {
		for (i = 0; i < RECEIVERS; i++)
			no_error("pipe2", wq_errno(pipe2(pipes[i], 0)));
		for (i = 0; i < RECEIVERS + SENDERS; i++)
			start_task(c, pipes, i);
		for (i = 0; i < RECEIVERS; i++)
			wq_close(pipes[i]);
	}
	await(c->ready[0], TASKS);
}

static void op_crowd(void *arg)
{
	struct crowd *c = arg;

	tell(c->go[1], GROUPS * SENDERS);
	await(c->done[0], TASKS);
}

static void disperse(void *arg)
{
	struct crowd *c = arg;

	wq_close(c->bye);
	while (c->nr--)
		expect("waitpid", wq_errno(waitpid(c->pids[c->nr], NULL, 0)),
		       c->pids[c->nr]);
	wq_close(c->ready);
	wq_close(c->go);
	wq_close(c->done);
}

static void groups(void)
{
	struct crowd c;
	struct work work = {
		.op = op_crowd, .before = gather, .after = disperse, .arg = &c,
		.places = 1, .rounds = 5,
	};

	add("pipe.hackbench", clock_unit(), measure(&work) / MESSAGES);
}

void bench_tasks(void)
{
	two_processes();
	groups();
}
