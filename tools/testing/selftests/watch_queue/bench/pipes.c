// SPDX-License-Identifier: GPL-2.0
/* What ordinary pipes cost, which notification pipes must not make dearer. */

#include "bench.h"
#include <sys/uio.h>
#include <sys/wait.h>

#define PIPE_BYTES	65536

static char *data, *back;

struct pipes {
	int	a[2];
	int	b[2];
	size_t	size;
};

static void op_rw(void *arg)
{
	struct pipes *p = arg;

	expect("write", write(p->a[1], data, p->size), p->size);
	expect("read", read(p->a[0], back, p->size), p->size);
}

static void op_vmsplice(void *arg)
{
	struct pipes *p = arg;
	struct iovec iov = { .iov_base = data, .iov_len = p->size };

	expect("vmsplice", vmsplice(p->a[1], &iov, 1, 0), p->size);
	expect("read", read(p->a[0], back, p->size), p->size);
}

static void op_splice(void *arg)
{
	struct pipes *p = arg;

	expect("write", write(p->a[1], data, p->size), p->size);
	expect("splice", splice(p->a[0], NULL, p->b[1], NULL, p->size, 0), p->size);
	expect("read", read(p->b[0], back, p->size), p->size);
}

static void op_tee(void *arg)
{
	struct pipes *p = arg;

	expect("write", write(p->a[1], data, p->size), p->size);
	expect("tee", tee(p->a[0], p->b[1], p->size, 0), p->size);
	expect("read", read(p->a[0], back, p->size), p->size);
	expect("read", read(p->b[0], back, p->size), p->size);
}

static void op_wake(void *arg)
{
	struct pipes *p = arg;

	expect("write", write(p->a[1], data, 16), 16);
	expect("read", read(p->b[0], back, 16), 16);
}

static void op_poll(void *arg)
{
	expect("poll", wq_poll(*(int *)arg, POLLIN, 0), POLLIN);
}

static void op_poll_empty(void *arg)
{
	expect("poll", wq_poll(*(int *)arg, POLLIN, 0), 0);
}

static void op_fionread(void *arg)
{
	expect("FIONREAD", wq_fionread(*(int *)arg), 16);
}

static void op_create(void *arg)
{
	int fds[2];

	expect("pipe2", pipe2(fds, 0), 0);
	close(fds[0]);
	close(fds[1]);
}

static void swap_pipes(struct pipes *p)
{
	const struct pipes was = *p;

	memcpy(p->a, was.b, sizeof(p->a));
	memcpy(p->b, was.a, sizeof(p->b));
}

/*
 * Both ways round, for the one of two pipes that has the lower address is locked
 * first, and which one that is makes a difference of a few instructions.
 */
static double both_ways(const struct work *work, struct pipes *p)
{
	double one_way = measure(work);

	swap_pipes(p);
	return (one_way + measure(work)) / 2;
}

/* One row for each size, called NAME.SIZE. */
static void by_size(const char *name, void (*op)(void *), struct pipes *p)
{
	static const size_t sizes[] = { 16, 256, 4096, PIPE_BYTES };
	struct work work = { .op = op, .arg = p, .rounds = 15 };
	unsigned int i;
	char row[64];

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		p->size = sizes[i];
		work.places = p->size > 4096 ? 4 : 16;
		snprintf(row, sizeof(row), "%s.%zu", name, p->size);
		add(row, clock_unit(), both_ways(&work, p));
	}
}

/* A child answers each message on one pipe with one on the other. */
static void pipe_wake(struct pipes *p)
{
	struct work work = { .op = op_wake, .arg = p, .places = 256, .rounds = 15 };
	int status;
	pid_t pid;

	pid = no_error("fork", wq_errno(fork()));
	if (!pid) {
		close(p->a[1]);
		while (read(p->a[0], back, 16) == 16)
			if (write(p->b[1], back, 16) != 16)
				break;
		_exit(0);
	}

	add("pipe.wake", clock_unit(), measure(&work));

	wq_close(p->a);
	wq_close(p->b);
	expect("waitpid", wq_errno(waitpid(pid, &status, 0)), pid);
}

/* Aligned to pages of whatever size, for vmsplice(). */
static char *alloc_buffer(int fill)
{
	void *p = aligned_alloc(PIPE_BYTES, PIPE_BYTES);

	if (!p)
		die("out of memory", -ENOMEM);
	return memset(p, fill, PIPE_BYTES);
}

void bench_pipes(void)
{
	struct work work = { .places = 64, .rounds = 15 };
	struct pipes p;

	no_error("pipe2", wq_errno(pipe2(p.a, 0)));
	no_error("pipe2", wq_errno(pipe2(p.b, 0)));
	data = alloc_buffer('d');
	back = alloc_buffer('b');

	by_size("pipe.rw", op_rw, &p);
	by_size("pipe.vmsplice", op_vmsplice, &p);
	by_size("pipe.splice", op_splice, &p);
	by_size("pipe.tee", op_tee, &p);
	if (memcmp(data, back, PIPE_BYTES))
		die("what was read is not what was written", 0);

	work.arg = &p.a[0];
	work.op = op_poll_empty;
	add("pipe.poll.empty", clock_unit(), measure(&work));
	expect("write", write(p.a[1], data, 16), 16);
	work.op = op_poll;
	add("pipe.poll", clock_unit(), measure(&work));
	work.op = op_fionread;
	add("pipe.fionread", clock_unit(), measure(&work));
	expect("read", read(p.a[0], back, 16), 16);

	work.op = op_create;
	add("pipe.create", clock_unit(), measure(&work));

	pipe_wake(&p);
	free(data);
	free(back);
}
