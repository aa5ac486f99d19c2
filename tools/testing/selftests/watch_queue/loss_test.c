// SPDX-License-Identifier: GPL-2.0
/*
 * What a full queue does: it counts what it loses and tells so exactly where the
 * records are missing.  Whether a loss wakes whoever waits is in wait_test.c.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

/* The key records that a queue of depth 1 holds. */
#define FULL		8

/*
 * @next is the number of the event whose record or loss is to be read next, and
 * @posted that of the one to be made next.
 */
FIXTURE(loss)
{
	int fds[2];
	struct wq_seq seq;
	uint64_t posted;
	uint64_t next;
	char buf[4096];
};

FIXTURE_SETUP(loss)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	ASSERT_EQ(0, wq_seq_make(&self->seq, KEY_SPEC_SESSION_KEYRING));
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, self->fds[0]));
}

FIXTURE_TEARDOWN(loss)
{
	wq_close(self->fds);
}

static int post(FIXTURE_DATA(loss) *self, unsigned long n)
{
	int ret = wq_seq_post(&self->seq, self->posted, n);

	self->posted += n;
	return ret;
}

/* What FIONREAD says, in records; -1 if it is not a whole number of them. */
static int queued(FIXTURE_DATA(loss) *self)
{
	int bytes = wq_fionread(self->fds[0]);

	return bytes < 0 || bytes % WQ_KEY_RECORD ? -1 :
		bytes / (int)WQ_KEY_RECORD;
}

/* Reads exactly one record; whether it is the next event's. */
static bool read_event(FIXTURE_DATA(loss) *self)
{
	struct wq_record r;

	return wq_read(self->fds[0], self->buf, 16) == 16 &&
	       wq_decode(self->buf, 16, &r) == 16 &&
	       wq_seq_is(&self->seq, &r, self->next++);
}

static bool read_events(FIXTURE_DATA(loss) *self, unsigned int n)
{
	while (n && read_event(self))
		n--;
	return !n;
}

/* Reads exactly one record; whether it says that @lost are missing here. */
static bool read_loss(FIXTURE_DATA(loss) *self, uint64_t lost)
{
	struct wq_record r;

	self->next += lost;
	return wq_read(self->fds[0], self->buf, 16) == 16 &&
	       wq_decode(self->buf, 16, &r) == 16 &&
	       wq_is_loss_of(&r, lost);
}

/* Whether there is nothing at all, in the opinion of everybody. */
static bool is_empty(FIXTURE_DATA(loss) *self)
{
	return !wq_readable(self->fds[0]) && !queued(self) &&
	       wq_read(self->fds[0], self->buf, sizeof(self->buf)) == -EAGAIN &&
	       self->next == self->posted;
}

/* The capacity is exact: as many records as fit into it are not lost. */
TEST_F(loss, none_while_there_is_room)
{
	ASSERT_EQ(0, post(self, FULL));
	EXPECT_EQ(FULL, queued(self));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(is_empty(self));
}

/* One record too many is a loss of 1, behind what had room. */
TEST_F(loss, of_one)
{
	ASSERT_EQ(0, post(self, FULL + 1));
	EXPECT_EQ(FULL + 1, queued(self));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 1));
	EXPECT_TRUE(is_empty(self));
}

/* Size 1 and 64 changes lead to LOSS; existing consumers rely on it. */
TEST_F(loss, of_64_updates_at_size_1)
{
	struct wq_record r[16];
	int fds[2], i, key = self->seq.keys[0];

	ASSERT_EQ(0, wq_pipe(fds, 0));
	ASSERT_EQ(0, wq_set_size(fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(key, fds[0], 7));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, wq_update_key(key));

	ASSERT_EQ(FULL + 1, wq_read_all(fds[0], r, 16));
	for (i = 0; i < FULL; i++) {
		EXPECT_TRUE(wq_is_key(&r[i], NOTIFY_KEY_UPDATED, key));
		EXPECT_EQ(7, r[i].tag);
	}
	EXPECT_TRUE(wq_is_loss_of(&r[FULL], 64 - FULL));
	wq_close(fds);
}

/* A LOSS record is of 16 bytes: a header without tag or flags, and the count. */
TEST_F(loss, record_format)
{
	struct watch_notification_loss l;

	ASSERT_EQ(0, post(self, FULL + 5));
	ASSERT_TRUE(read_events(self, FULL));
	ASSERT_EQ(16, wq_read(self->fds[0], &l, sizeof(l)));
	EXPECT_EQ(WATCH_TYPE_META, +l.watch.type);
	EXPECT_EQ(WATCH_META_LOSS_NOTIFICATION, +l.watch.subtype);
	EXPECT_EQ(16, l.watch.info);
	EXPECT_EQ(5, l.lost);
}

/* It comes in the same read() as what is before it, if there is room. */
TEST_F(loss, in_the_same_read)
{
	uint64_t lost = 0;

	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_EQ((FULL + 1) * 16,
		  wq_read(self->fds[0], self->buf, sizeof(self->buf)));
	EXPECT_EQ(FULL, wq_seq_check(&self->seq, self->buf, (FULL + 1) * 16,
				     &self->next, &lost));
	EXPECT_EQ(3, lost);
	EXPECT_TRUE(is_empty(self));
}

/* If not, it is ready by itself, without a further event. */
TEST_F(loss, in_a_read_of_its_own)
{
	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_EQ(FULL * 16, wq_read(self->fds[0], self->buf, FULL * 16 + 15));
	ASSERT_EQ(FULL, wq_seq_check(&self->seq, self->buf, FULL * 16,
				     &self->next, NULL));

	EXPECT_TRUE(wq_readable(self->fds[0]));
	EXPECT_EQ(1, queued(self));
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_TRUE(is_empty(self));
}

/* A buffer too small for it is ENOBUFS, and it stays. */
TEST_F(loss, survives_small_buffer)
{
	unsigned int size;

	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_TRUE(read_events(self, FULL));
	for (size = 1; size < 16; size++) {
		EXPECT_EQ(-ENOBUFS, wq_read(self->fds[0], self->buf, size));
		EXPECT_EQ(1, queued(self));
		EXPECT_TRUE(wq_readable(self->fds[0]));
	}
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_TRUE(is_empty(self));
}

/* A fault neither loses it nor tells it twice, with records before it or not. */
TEST_F(loss, survives_fault)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t lost = 0;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	ASSERT_EQ(0, mprotect(map + page, page, PROT_NONE));
	ASSERT_EQ(0, post(self, FULL + 3));

	/* In the middle of the record before the loss, then of the loss. */
	ASSERT_EQ(7 * 16, wq_read(self->fds[0], map + page - 7 * 16 - 8, page));
	EXPECT_EQ(7, wq_seq_check(&self->seq, map + page - 7 * 16 - 8, 7 * 16,
				  &self->next, NULL));
	ASSERT_EQ(16, wq_read(self->fds[0], map + page - 16 - 8, page));
	EXPECT_EQ(1, wq_seq_check(&self->seq, map + page - 16 - 8, 16,
				  &self->next, NULL));

	EXPECT_EQ(-EFAULT, wq_read(self->fds[0], map + page - 8, page));
	EXPECT_EQ(-EFAULT, wq_read(self->fds[0], map + page, page));
	EXPECT_EQ(-EFAULT, wq_read(self->fds[0], map + page - 15, page));
	EXPECT_EQ(1, queued(self));

	ASSERT_EQ(16, wq_read(self->fds[0], map + page - 16, page));
	EXPECT_EQ(0, wq_seq_check(&self->seq, map + page - 16, 16, &self->next,
				  &lost));
	EXPECT_EQ(3, lost);
	EXPECT_TRUE(is_empty(self));
}

/*
 * A record behind a loss needs room for both.
 *
 *	full, 3 lost     |0 1 2 3 4 5 6 7| 3
 *	one read         |1 2 3 4 5 6 7 .| 3	room for one of the two: lost
 *	one more event   |1 2 3 4 5 6 7 .| 4
 *	one more read    |2 3 4 5 6 7 . .| 4	room for both: both
 *	one more event   |2 3 4 5 6 7 L 12|
 */
TEST_F(loss, is_queued_with_the_next_record_or_neither)
{
	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_TRUE(read_event(self));
	ASSERT_EQ(FULL - 1 + 1, queued(self));

	ASSERT_EQ(0, post(self, 1));
	EXPECT_EQ(FULL - 1 + 1, queued(self));
	ASSERT_TRUE(read_event(self));

	ASSERT_EQ(0, post(self, 1));
	EXPECT_EQ(FULL, queued(self));
	EXPECT_TRUE(read_events(self, FULL - 2));
	EXPECT_TRUE(read_loss(self, 4));
	EXPECT_TRUE(read_event(self));
	EXPECT_TRUE(is_empty(self));
}

/* Each gap has its own record, in its own place. */
TEST_F(loss, each_in_its_place)
{
	unsigned int i, tail = FULL;

	ASSERT_EQ(0, post(self, FULL));
	for (i = 1; i < 50; i++) {
		/* What makes room, the loss before the next event. */
		ASSERT_EQ(0, post(self, i));
		ASSERT_TRUE(read_events(self, tail));
		ASSERT_TRUE(read_loss(self, i));
		tail = FULL;
		ASSERT_EQ(0, post(self, tail));
	}
	EXPECT_TRUE(read_events(self, tail));
	EXPECT_TRUE(is_empty(self));
}

/*
 * One that was looked at already is a record like any other: later events and
 * losses are behind it.
 */
TEST_F(loss, does_not_grow_once_it_was_first)
{
	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_TRUE(read_events(self, FULL));
	ASSERT_EQ(-ENOBUFS, wq_read(self->fds[0], self->buf, 8));

	ASSERT_EQ(0, post(self, FULL - 1 + 2));
	EXPECT_EQ(FULL + 1, queued(self));
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_TRUE(read_events(self, FULL - 1));
	EXPECT_TRUE(read_loss(self, 2));
	EXPECT_TRUE(is_empty(self));
}

/* What happened before SET_SIZE is not lost. */
TEST_F(loss, none_before_set_size)
{
	int fds[2];

	ASSERT_EQ(0, wq_pipe(fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, fds[0]));
	wq_close(self->fds);
	self->fds[0] = fds[0];
	self->fds[1] = fds[1];

	ASSERT_EQ(0, post(self, 10));
	ASSERT_EQ(0, wq_set_size(fds[0], 4));
	EXPECT_TRUE(read_events(self, 5));
	ASSERT_EQ(0, post(self, 30));
	EXPECT_TRUE(read_events(self, 5 + 27));
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_TRUE(is_empty(self));
}

/* A queue that was never given a size counts its losses like any other. */
TEST_F(loss, at_default_depth)
{
	const unsigned int n = wq_key_records(WQ_DEFAULT_DEPTH);
	int fds[2];

	ASSERT_EQ(0, wq_pipe(fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, fds[0]));
	wq_close(self->fds);
	self->fds[0] = fds[0];
	self->fds[1] = fds[1];

	ASSERT_EQ(0, post(self, n + 17));
	EXPECT_TRUE(read_events(self, n));
	EXPECT_TRUE(read_loss(self, 17));
	EXPECT_TRUE(is_empty(self));
}

/* A larger size makes room; the loss stays where it is. */
TEST_F(loss, stays_in_place_when_resized)
{
	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 2));
	ASSERT_EQ(0, post(self, 4));
	EXPECT_EQ(FULL + 1 + 4, queued(self));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_TRUE(read_events(self, 4));
	EXPECT_TRUE(is_empty(self));
}

/* A filter refuses before anything is posted: what it refuses is not lost. */
TEST_F(loss, not_of_what_a_filter_refuses)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters = 1,
		.rule.type = WATCH_TYPE_KEY_NOTIFY,
		.rule.subtype_filter[0] = 1 << NOTIFY_KEY_SETATTR,
	};
	int i;

	ASSERT_EQ(0, wq_set_filter(self->fds[0], &filter));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, wq_update_key(self->seq.keys[0]));
	ASSERT_EQ(0, post(self, FULL + 2));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, wq_update_key(self->seq.keys[0]));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 2));
	EXPECT_TRUE(is_empty(self));
}

/* A LOSS record passes any filter. */
TEST_F(loss, passes_any_filter)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters = 1,
		.rule.type = WATCH_TYPE_KEY_NOTIFY,
	};

	ASSERT_EQ(0, post(self, FULL + 2));
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &filter));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 2));
	EXPECT_TRUE(is_empty(self));
}

/* A REMOVAL that finds no room is lost and counted like any other record. */
TEST_F(loss, of_removal)
{
	ASSERT_EQ(0, post(self, FULL));
	ASSERT_EQ(0, wq_watch_key(self->seq.keys[50], self->fds[0], -1));
	self->posted++;
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 1));
	EXPECT_TRUE(is_empty(self));
}

/* Each queue has its own losses. */
TEST_F(loss, is_of_one_queue)
{
	struct wq_record r[64];
	int fds[2], i;

	ASSERT_EQ(0, wq_pipe(fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_seq_watch(&self->seq, fds[0]));
	ASSERT_EQ(0, post(self, 40));

	ASSERT_EQ(40, wq_read_all(fds[0], r, 64));
	for (i = 0; i < 40; i++)
		EXPECT_TRUE(wq_seq_is(&self->seq, &r[i], i));
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_TRUE(read_loss(self, 32));
	wq_close(fds);
}

/* After the last write end is closed a loss is still read before the end. */
TEST_F(loss, before_the_end)
{
	ASSERT_EQ(0, post(self, FULL + 3));
	ASSERT_EQ(0, close(self->fds[1]));
	self->fds[1] = -EBADF;
	EXPECT_TRUE(read_events(self, FULL));
	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(self->fds[0], POLLIN, 0));
	EXPECT_TRUE(read_loss(self, 3));
	EXPECT_EQ(POLLHUP, wq_poll(self->fds[0], POLLIN, 0));
	EXPECT_EQ(0, wq_read(self->fds[0], self->buf, 16));
}

/* GET_INFO and fdinfo tell all losses since the start, and what can be read. */
TEST_F(loss, is_in_info_and_fdinfo)
{
	static const unsigned int lose[] = { 0, 1, 0, 12, 3 };
	struct watch_queue_info info;
	struct wq_fdinfo fdinfo;
	uint64_t total = 0;
	unsigned int i;
	int end;

	for (i = 0; i < sizeof(lose) / sizeof(lose[0]); i++) {
		ASSERT_EQ(0, post(self, FULL + lose[i]));
		total += lose[i];

		for (end = 0; end < 2; end++) {
			ASSERT_EQ(0, wq_get_info(self->fds[end], &info));
			EXPECT_EQ(total, info.lost);
			EXPECT_EQ((FULL + !!lose[i]) * 16, info.queued);

			ASSERT_EQ(0, wq_fdinfo(0, self->fds[end], &fdinfo));
			EXPECT_EQ(4, fdinfo.found);
			EXPECT_EQ(total, fdinfo.lost);
			EXPECT_EQ(info.queued, fdinfo.queued);
		}

		/* Being told does not make it less. */
		ASSERT_TRUE(read_events(self, FULL));
		if (lose[i])
			ASSERT_TRUE(read_loss(self, lose[i]));
		ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
		EXPECT_EQ(total, info.lost);
		EXPECT_EQ(0, info.queued);
	}
}

/* ---- Exact at every depth ---- */

FIXTURE(depth)
{
	FIXTURE_DATA(loss) loss;
};

FIXTURE_VARIANT(depth)
{
	unsigned int depth;
	unsigned int lose;
};

#define DEPTH_VARIANT(_depth, _lose)					\
	FIXTURE_VARIANT_ADD(depth, size_##_depth##_lose_##_lose) {	\
		.depth = _depth, .lose = _lose,				\
	}

DEPTH_VARIANT(1, 1);
DEPTH_VARIANT(1, 1000);
DEPTH_VARIANT(2, 1);
DEPTH_VARIANT(3, 7);
DEPTH_VARIANT(31, 1);
DEPTH_VARIANT(32, 1);
DEPTH_VARIANT(33, 193);
DEPTH_VARIANT(63, 2);
DEPTH_VARIANT(64, 2);
DEPTH_VARIANT(65, 2);
DEPTH_VARIANT(512, 5);

FIXTURE_SETUP(depth)
{
	loss_setup(_metadata, &self->loss, NULL);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, wq_set_size(self->loss.fds[0], variant->depth));
}

FIXTURE_TEARDOWN(depth)
{
	wq_close(self->loss.fds);
}

/* A queue of depth n holds n * 128 bytes, to the byte, wherever its ring starts. */
TEST_F(depth, loses_what_is_beyond_capacity)
{
	unsigned int n = wq_key_records(variant->depth), round;

	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, post(&self->loss, n + variant->lose));
		ASSERT_EQ((int)n + 1, queued(&self->loss));
		ASSERT_TRUE(read_events(&self->loss, n));
		ASSERT_TRUE(read_loss(&self->loss, variant->lose));
		ASSERT_TRUE(is_empty(&self->loss));

		/* Let the next round start somewhere else. */
		ASSERT_EQ(0, post(&self->loss, round + 1));
		ASSERT_TRUE(read_events(&self->loss, round + 1));
	}
}

/* ---- Against a plain model ---- */

/*
 * The same operations, in random order, on a queue and on a model of it that is
 * too simple to be wrong: an array of what is queued, and a count of what is lost.
 */
#define MODEL_DEPTH	24

struct model {
	struct {
		bool		loss;
		uint64_t	nr;	/* the event's number, or how many */
	} queue[MODEL_DEPTH * FULL];
	unsigned int	len;
	unsigned int	depth;
	uint64_t	lost;
	uint64_t	lost_total;
};

static void model_post(struct model *m, uint64_t nr)
{
	if (m->len + 1 + !!m->lost > m->depth * FULL) {
		m->lost++;
		m->lost_total++;
		return;
	}
	if (m->lost) {
		m->queue[m->len].loss = true;
		m->queue[m->len++].nr = m->lost;
		m->lost = 0;
	}
	m->queue[m->len].loss = false;
	m->queue[m->len++].nr = nr;
}

/* A reader that finds no record and a loss makes a record of it. */
static void model_look(struct model *m)
{
	if (!m->len && m->lost) {
		m->queue[0].loss = true;
		m->queue[0].nr = m->lost;
		m->lost = 0;
		m->len = 1;
	}
}

static void model_take(struct model *m)
{
	m->len--;
	memmove(&m->queue[0], &m->queue[1], m->len * sizeof(m->queue[0]));
}

FIXTURE(model)
{
	FIXTURE_DATA(loss) loss;
	struct model m;
	unsigned int random;
	char *hole;
};

FIXTURE_VARIANT(model)
{
	unsigned int depth;
	unsigned int seed;
};

#define MODEL_VARIANT(_depth, _seed)					\
	FIXTURE_VARIANT_ADD(model, depth_##_depth##_seed_##_seed) {	\
		.depth = _depth, .seed = _seed,				\
	}

MODEL_VARIANT(1, 1);
MODEL_VARIANT(1, 2);
MODEL_VARIANT(2, 3);
MODEL_VARIANT(3, 4);
MODEL_VARIANT(5, 5);
MODEL_VARIANT(24, 6);

FIXTURE_SETUP(model)
{
	loss_setup(_metadata, &self->loss, NULL);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, wq_set_size(self->loss.fds[0], variant->depth));
	self->m.depth = variant->depth;
	self->random = variant->seed;
	self->hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->hole != MAP_FAILED);
	ASSERT_EQ(0, mprotect(self->hole + 4096, 4096, PROT_NONE));
}

FIXTURE_TEARDOWN(model)
{
	wq_close(self->loss.fds);
}

static unsigned int model_random(FIXTURE_DATA(model) *self, unsigned int below)
{
	self->random = self->random * 1103515245 + 12345;
	return (self->random >> 16) % below;
}

static int model_do_post(FIXTURE_DATA(model) *self)
{
	unsigned int n = 1 + model_random(self, 2 * FULL), i;

	for (i = 0; i < n; i++)
		model_post(&self->m, self->loss.posted + i);
	return post(&self->loss, n);
}

/* A read of up to @size bytes, of which the first @mapped are there. */
static int model_do_read(FIXTURE_DATA(model) *self, size_t size, size_t mapped)
{
	struct model *m = &self->m;
	char *buf = self->hole + 4096 - mapped;
	size_t done = 0;
	struct wq_record r;
	ssize_t len;

	len = wq_read(self->loss.fds[0], buf, size);

	model_look(m);
	if (!m->len)
		return len == -EAGAIN ? 0 : 1;
	if (size < 16)
		return len == -ENOBUFS ? 0 : 2;
	if (mapped < 16)
		return len == -EFAULT ? 0 : 3;

	while (m->len && done + 16 <= mapped && done + 16 <= size) {
		if (len < (ssize_t)done + 16 ||
		    wq_decode(buf + done, 16, &r) != 16)
			return 4;
		if (m->queue[0].loss ? !wq_is_loss_of(&r, m->queue[0].nr) :
		    !wq_seq_is(&self->loss.seq, &r, m->queue[0].nr))
			return 5;
		model_take(m);
		done += 16;
		model_look(m);
	}
	return len == (ssize_t)done ? 0 : 6;
}

static int model_do_resize(FIXTURE_DATA(model) *self)
{
	unsigned int depth = 1 + model_random(self, MODEL_DEPTH);
	int ret = wq_set_size(self->loss.fds[0], depth);

	if (depth * FULL < self->m.len)
		return ret == -EBUSY ? 0 : 7;
	self->m.depth = depth;
	return ret;
}

static int model_compare(FIXTURE_DATA(model) *self)
{
	const struct model *m = &self->m;
	unsigned int records = m->len + !!m->lost;
	struct watch_queue_info info;

	if (wq_readable(self->loss.fds[0]) != !!records)
		return 8;
	if (queued(&self->loss) != (int)records)
		return 9;
	if (wq_get_info(self->loss.fds[0], &info) ||
	    info.queued != records * 16 || info.lost != m->lost_total ||
	    info.depth != m->depth || info.capacity != m->depth * 128)
		return 10;
	return 0;
}

/* Whatever happens in whatever order, the queue is what the model is. */
TEST_F_TIMEOUT(model, agrees, 120)
{
	unsigned long i, steps = wq_env("WQ_STEPS", 10000);

	for (i = 0; i < steps; i++) {
		unsigned int what = model_random(self, 100), size;
		int ret;

		if (what < 50) {
			ret = model_do_post(self);
		} else if (what < 90) {
			size = model_random(self, 500);
			ret = model_do_read(self, size + 1, 4096);
		} else if (what < 97) {
			size = model_random(self, 400);
			ret = model_do_read(self, 4096, size);
		} else {
			ret = model_do_resize(self);
		}
		ASSERT_EQ(0, ret)
			TH_LOG("step %lu, operation %u", i, what);
		ret = model_compare(self);
		ASSERT_EQ(0, ret)
			TH_LOG("after step %lu, operation %u", i, what);
	}
}

TEST_HARNESS_MAIN
