// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing is silently swallowed: whatever the load, the records read and the
 * numbers in the LOSS records read are together what was posted.
 *
 * WQ_EVENTS in the environment changes how many events each test makes.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

#define EVENTS		1000000
#define PRODUCERS	2

/*
 * Event number i of producer p is of that producer's keyring i % RINGS, whose
 * watch has the tag p * RINGS + i % RINGS.
 */
#define RINGS		64

struct producer {
	pthread_t	thread;
	int		cpu;
	int		rings[RINGS];
	unsigned long	events;		/* to be made */
	unsigned long	made;
	int		ret;
};

/* What the reader knows of one producer's events. */
struct seen {
	unsigned long	records;
	unsigned int	next;		/* ring of the event that is next */
	__u64		missing;	/* lost since the last record, by all */
};

FIXTURE(conservation)
{
	int fds[2];
	unsigned long room;
	struct producer producers[PRODUCERS];
	struct seen seen[PRODUCERS];
	__u64 lost;
	unsigned long losses;
};

FIXTURE_VARIANT(conservation)
{
	unsigned int depth;
};

FIXTURE_VARIANT_ADD(conservation, depth_1) { .depth = 1 };
FIXTURE_VARIANT_ADD(conservation, depth_32) { .depth = 32 };
FIXTURE_VARIANT_ADD(conservation, depth_512) { .depth = 512 };
FIXTURE_VARIANT_ADD(conservation, depth_8192) { .depth = 8192 };

/* The @nr'th of the CPUs that this process may use, as far as there are so many. */
static int choose_cpu(int nr)
{
	int cpu, found = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) || !CPU_COUNT(&set))
		return -1;
	nr %= CPU_COUNT(&set);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && found++ == nr)
			return cpu;
	return -1;
}

/* Makes the keyrings of producer number @nr, watched by @fd. */
static int make_rings(struct producer *p, int nr, int fd)
{
	char desc[32];
	int i, ret;

	for (i = 0; i < RINGS; i++) {
		snprintf(desc, sizeof(desc), "wq:%d:%d", nr, i);
		p->rings[i] = wq_add_keyring(desc, KEY_SPEC_SESSION_KEYRING);
		if (p->rings[i] < 0)
			return p->rings[i];
		ret = wq_watch_key(p->rings[i], fd, nr * RINGS + i);
		if (ret)
			return ret;
	}
	return 0;
}

FIXTURE_SETUP(conservation)
{
	unsigned long events = wq_env("WQ_EVENTS", EVENTS);
	int i;

	self->room = wq_key_records(variant->depth);
	if (events < 4 * self->room)
		SKIP(return, "WQ_EVENTS is too small for a queue of this depth");

	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_set_size(self->fds[0], variant->depth));
	for (i = 0; i < PRODUCERS; i++) {
		struct producer *p = &self->producers[i];

		ASSERT_EQ(0, make_rings(p, i, self->fds[0]));
		p->cpu = choose_cpu(i);
		ASSERT_LE(0, p->cpu);
		p->events = events / PRODUCERS;
	}
}

FIXTURE_TEARDOWN(conservation)
{
	wq_close(self->fds);
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	unsigned long made;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(p->cpu, &set);
	p->ret = wq_errno(sched_setaffinity(0, sizeof(set), &set));
	for (made = 0; !p->ret && made < p->events; made++) {
		p->ret = wq_touch(p->rings[made % RINGS]);
		__atomic_store_n(&p->made, made + 1, __ATOMIC_RELEASE);
	}
	/* The reader need not wait for what does not come. */
	if (p->ret)
		__atomic_store_n(&p->made, p->events, __ATOMIC_RELEASE);
	return NULL;
}

/* How many events there have been. */
static unsigned long all_made(FIXTURE_DATA(conservation) * const self)
{
	unsigned long made = 0;
	int i;

	for (i = 0; i < PRODUCERS; i++)
		made += __atomic_load_n(&self->producers[i].made,
					__ATOMIC_ACQUIRE);
	return made;
}

/*
 * Counts a record.  Those of a producer come in order, and where some are missing
 * there were losses in between that are at least as many.  Returns whether the
 * record is well-formed and in its place.
 */
static bool count(FIXTURE_DATA(conservation) * const self,
		  const struct wq_record *r)
{
	unsigned int nr = r->tag / RINGS, ring = r->tag % RINGS, missing;
	struct seen *seen;
	int i;

	if (wq_is_loss_of(r, r->lost)) {
		self->lost += r->lost;
		self->losses++;
		for (i = 0; i < PRODUCERS; i++)
			self->seen[i].missing += r->lost;
		return true;
	}

	if (nr >= PRODUCERS || r->type_info || r->aux ||
	    !wq_is_key(r, NOTIFY_KEY_SETATTR, self->producers[nr].rings[ring]))
		return false;

	seen = &self->seen[nr];
	missing = (ring + RINGS - seen->next) % RINGS;
	if (missing > seen->missing)
		return false;
	seen->missing = 0;
	seen->next = (ring + 1) % RINGS;
	seen->records++;
	return true;
}

/* Reads until nothing is there, through buffers of several sizes by turns. */
static int drain(FIXTURE_DATA(conservation) * const self)
{
	static const size_t sizes[] = { 16, 433, 4096, 65536, 40 };
	static unsigned int turn;
	static char buf[65536];
	struct wq_record r;
	ssize_t len;
	size_t pos;

	for (;;) {
		len = wq_read(self->fds[0], buf, sizes[turn++ % ARRAY_SIZE(sizes)]);
		if (len <= 0)
			return len == -EAGAIN ? 0 : -EPIPE;
		wq_for_each_record(r, pos, buf, len)
			if (!count(self, &r))
				break;
		if (pos != (size_t)len)
			return -EBADMSG;
	}
}

/*
 * Two CPUs post, and a reader that is slow on purpose: it waits each time until
 * more has been posted than there is room for.  So the queue is full by then, to
 * the byte, and has lost something.
 */
TEST_F_TIMEOUT(conservation, records_and_losses_are_all_events, 600)
{
	const unsigned long full = self->room * WQ_KEY_RECORD + WQ_LOSS_RECORD;
	unsigned long total = 0, drained = 0, read = 0, rounds = 0;
	struct watch_queue_info info;
	long start = wq_now_ms();
	struct producer *p;
	int i;

	for (i = 0; i < PRODUCERS; i++) {
		p = &self->producers[i];
		ASSERT_EQ(0, pthread_create(&p->thread, NULL, produce, p));
		total += p->events;
	}

	/* Of what is counted, as many as there are producers were there before. */
	while (total - drained > 2 * self->room + PRODUCERS) {
		while (all_made(self) - drained < 2 * self->room + PRODUCERS)
			sched_yield();
		ASSERT_EQ(full, (unsigned long)wq_fionread(self->fds[0]));
		ASSERT_EQ(0, drain(self));
		drained = all_made(self);
		rounds++;
	}
	for (i = 0; i < PRODUCERS; i++)
		ASSERT_EQ(0, pthread_join(self->producers[i].thread, NULL));
	ASSERT_EQ(0, drain(self));

	for (i = 0; i < PRODUCERS; i++) {
		p = &self->producers[i];
		EXPECT_EQ(0, p->ret);
		read += self->seen[i].records;
	}
	EXPECT_EQ(total, read + self->lost);

	/* Each round has found both. */
	EXPECT_LT(0U, rounds);
	EXPECT_LE(rounds, self->losses);
	EXPECT_LE(rounds, self->lost);
	EXPECT_LE(rounds * self->room, read + self->losses);

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(self->lost, info.lost);
	EXPECT_EQ(0U, info.queued);

	TH_LOG("%lu made, %lu read, %llu lost at %lu places, %lu rounds, %ld ms",
	       total, read, (unsigned long long)self->lost, self->losses, rounds,
	       wq_now_ms() - start);
}

TEST_HARNESS_MAIN
