// SPDX-License-Identifier: GPL-2.0
/* How the benchmark takes times and what it makes of them. */

#include "bench.h"
#include <time.h>

#if __has_builtin(__builtin_ia32_rdtsc)
#define HAVE_TSC
#endif

#define ROWS_MAX	64

struct row {
	const char	*name;
	const char	*unit;
	double		*values;	/* repeats of them */
	unsigned int	nr;
};

unsigned int repeats = 5;

static struct row rows[ROWS_MAX];
static unsigned int nr_rows;

static double clock_cost;
static bool counts_instructions;

void die(const char *what, long ret)
{
	fflush(stdout);
	if (ret < 0)
		fprintf(stderr, "wq_bench: %s: %s\n", what, strerror(-ret));
	else
		fprintf(stderr, "wq_bench: %s: unexpected result %ld\n", what, ret);
	exit(EXIT_FAILURE);
}

/*
 * The time stamp counter, where there is one, has no scale that the kernel
 * adjusts: in a machine that counts instructions it is their number.
 */
static inline unsigned long long now(void)
{
#ifdef HAVE_TSC
	return __builtin_ia32_rdtsc();
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
#endif
}

static int compare(const void *_a, const void *_b)
{
	const double a = *(const double *)_a, b = *(const double *)_b;

	return (a > b) - (a < b);
}

void sort_values(double *v, unsigned int nr)
{
	qsort(v, nr, sizeof(*v), compare);
}

/* Sorts @v; @nr is odd. */
static double median(double *v, unsigned int nr)
{
	sort_values(v, nr);
	return v[nr / 2];
}

static double *alloc_values(size_t nr)
{
	double *v = calloc(nr, sizeof(*v));

	if (!v)
		die("out of memory", -ENOMEM);
	return v;
}

double measure(const struct work *work)
{
	/* [place][round]; written once now, not for the first time in a round */
	double *v = alloc_values((size_t)work->places * work->rounds);
	unsigned int place, round;
	double sum = 0;
	unsigned long long start;

	for (place = 0; place < work->places * work->rounds; place++)
		v[place] = -1;

	for (round = 0; round < work->rounds; round++) {
		if (work->before)
			work->before(work->arg);
		for (place = 0; place < work->places; place++) {
			start = now();
			work->op(work->arg);
			v[place * work->rounds + round] = now() - start;
		}
		if (work->after)
			work->after(work->arg);
	}

	for (place = 0; place < work->places; place++)
		sum += median(v + place * work->rounds, work->rounds);
	free(v);
	return sum / work->places - clock_cost;
}

static void op_nothing(void *arg)
{
}

#define LOOPS	10000

/* 2 * LOOPS instructions and a few to begin and to end with. */
static void op_loop(void *arg)
{
#ifdef HAVE_TSC
	unsigned long n = LOOPS;

	asm volatile("1: dec %0\n\tjnz 1b" : "+r" (n) : : "cc");
#endif
}

void clock_init(void)
{
	struct work work = { .op = op_nothing, .places = 64, .rounds = 15 };
	double loop;

	clock_cost = measure(&work);

	work.op = op_loop;
	loop = measure(&work);
	counts_instructions = loop >= 2 * LOOPS && loop < 2 * LOOPS + 10;

	printf("# clock: reading it costs %.2f, %d instructions take %.2f\n",
	       clock_cost, 2 * LOOPS, loop);
	if (!counts_instructions)
		printf("# clock: does not count instructions, see -icount of QEMU\n");
}

unsigned long long clock_now(void)
{
	return now();
}

static long long monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

#define TICKS		51
#define TICK_NS		10000000

/*
 * Also where the kernel's own clock does not know more than the timer's interrupts
 * tell it, and some come late: what counts is from one to the next, as a rule.
 */
double clock_per_second(void)
{
	unsigned long long start = 0, end;
	long long start_ns = 0, end_ns;
	double v[TICKS];
	int i;

	/* What comes before the first tick is not a whole one. */
	for (i = -1; i < TICKS; i++) {
		end_ns = monotonic_ns();
		while (monotonic_ns() - end_ns < TICK_NS)
			;
		end = now();
		end_ns = monotonic_ns();
		if (i >= 0)
			v[i] = (double)(end - start) / (end_ns - start_ns) * 1e9;
		start = end;
		start_ns = end_ns;
	}
	return median(v, TICKS);
}

bool clock_is_icount(void)
{
	return counts_instructions;
}

const char *clock_unit(void)
{
	return counts_instructions ? "insn" : "tick";
}

void add(const char *name, const char *unit, double value)
{
	struct row *row;

	for (row = rows; row < rows + nr_rows; row++)
		if (!strcmp(row->name, name))
			break;
	if (row == rows + nr_rows) {
		if (nr_rows++ == ROWS_MAX)
			die("too many rows", -ENOSPC);
		row->name = strdup(name);
		row->unit = unit;
		row->values = alloc_values(repeats);
		if (!row->name)
			die("out of memory", -ENOMEM);
	}
	if (row->nr == repeats)
		die("two values for one row", row->nr);
	row->values[row->nr++] = value;
}

void print_rows(void)
{
	double mid, spread;
	struct row *row;

	for (row = rows; row < rows + nr_rows; row++) {
		mid = median(row->values, row->nr);
		spread = row->values[row->nr - 1] - row->values[0];
		printf("%s %.2f %s %.2f %.2f %.2f\n", row->name, mid, row->unit,
		       mid ? 100 * spread / mid : spread,
		       row->values[0], row->values[row->nr - 1]);
	}
	fflush(stdout);
}
