/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the benchmark share; see wq_bench.c. */
#ifndef WATCH_QUEUE_BENCH_H
#define WATCH_QUEUE_BENCH_H

/* pipe2(), splice() and the like; before any other header. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include "../../kselftest.h"
#include "watch_queue_util.h"

/* How many key records are queued where it matters how many. */
#define BENCH_RECORDS	512

/* The depth that an unpatched kernel needs for that; its largest one. */
#define BENCH_DEPTH	512

/* ---- measure.c ---- */

/**
 * struct work - something to be timed
 * @op: What is timed, once in each place.
 * @before: Untimed, before each round, or NULL.
 * @after: Untimed, after each round, or NULL.
 * @arg: Handed to the three of them.
 * @places: How many times @op runs in a round, one after the other.
 * @rounds: How many rounds; odd, so that there is a median.
 */
struct work {
	void		(*op)(void *arg);
	void		(*before)(void *arg);
	void		(*after)(void *arg);
	void		*arg;
	unsigned int	places;
	unsigned int	rounds;
};

/* How many values of each row are taken. */
extern unsigned int repeats;

/*
 * Says what is wrong, with the error that a negative @ret is, and ends the
 * program: what could not be done was not measured either.
 */
void __noreturn die(const char *what, long ret);

/* Insists on @ret being @want; cheap enough to be inside of what is timed. */
static inline void expect(const char *what, long ret, long want)
{
	if (__builtin_expect(ret != want, 0))
		die(what, ret);
}

/* Insists on @ret being no error, and returns it. */
static inline long no_error(const char *what, long ret)
{
	if (ret < 0)
		die(what, ret);
	return ret;
}

/* Lets this process have @nr files open, and its user as many watches. */
void allow_files(unsigned int nr);

/* Finds out what the clock counts and what reading it costs. */
void clock_init(void);

/* The clock. */
unsigned long long clock_now(void);

/* How much it counts in a second; takes a while. */
double clock_per_second(void);

/* What the clock counts: "insn" if instructions, else "tick". */
const char *clock_unit(void);

/* Whether it is instructions. */
bool clock_is_icount(void);

/* The least first. */
void sort_values(double *v, unsigned int nr);

/*
 * The cost of one op().  Each call is timed by itself; for each place in the
 * round its median over the rounds is taken, which leaves out interrupts, and
 * of these the mean, which leaves in what comes round only now and then, as
 * the opening of a page does.
 */
double measure(const struct work *work);

/* Adds a value to the row called @name. */
void add(const char *name, const char *unit, double value);

/* Prints the rows that have been added; once in a process. */
void print_rows(void);

/* ---- disk.c ---- */

/* A disk of null_blk's that answers each read in the caller's context. */
#define DISK_NAME	"bench"

/* Makes and opens the disk; returns whether there is a null_blk. */
bool disk_make(void);
void disk_remove(void);

/* A read that fails; an op(), so @arg is not looked at. */
void op_disk_fail(void *arg);

/* Whether such reads are told of, which an unpatched kernel does not. */
bool disk_is_told_of(void);

/* ---- bpf.c ---- */

/* The rows of the BPF ring buffer, which belong to the part rivals. */
void bench_bpf(void);

/* ---- The rows, see wq_bench.c ---- */

void bench_memory(void);
void bench_keys(void);
void bench_loops(void);
void bench_devices(void);
void bench_pipes(void);
void bench_tasks(void);
void bench_rivals(void);
void bench_refused(void);
void bench_scaling(void);

#endif /* WATCH_QUEUE_BENCH_H */
