// SPDX-License-Identifier: GPL-2.0
/*
 * What a full queue does: it counts what it loses and tells so exactly where the
 * records are missing, to whoever reads or waits, without a further event.
 *
 * WQ_STEPS in the environment changes how long the random tests are.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"
#include "watch_queue_source.h"

/* The key records that a queue of depth 1 holds. */
#define FULL		8

FIXTURE(loss)
{
	struct wq_source src;
	char buf[4096];
};

FIXTURE_SETUP(loss)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, 1));
}

FIXTURE_TEARDOWN(loss)
{
	wq_close(self->src.fds);
}

/* What FIONREAD says, in records; -1 if it is not a whole number of them. */
static int queued(const struct wq_source *src)
{
	int bytes = wq_fionread(src->fds[0]);

	return bytes < 0 || bytes % WQ_KEY_RECORD ? -1 :
		bytes / (int)WQ_KEY_RECORD;
}

/* Reads exactly one record.  Returns 0 or an error. */
static int read_one(const struct wq_source *src, struct wq_record *r)
{
	char buf[WQ_KEY_RECORD];
	ssize_t len = wq_read(src->fds[0], buf, sizeof(buf));

	if (len < 0)
		return len;
	return wq_decode(buf, len, r) == sizeof(buf) ? 0 : -EBADMSG;
}

/* Reads the next @n records; whether they are those of the next events. */
static bool read_events(struct wq_source *src, unsigned int n)
{
	struct wq_record r;

	for (; n; n--)
		if (read_one(src, &r) || !wq_seq_is(&src->seq, &r, src->next++))
			return false;
	return true;
}

/* Reads the next record; whether it says that @lost are missing here. */
static bool read_loss(struct wq_source *src, uint64_t lost)
{
	struct wq_record r;

	src->next += lost;
	return !read_one(src, &r) && wq_is_loss_of(&r, lost);
}

/* Makes events that are no numbered ones. */
static int update(const struct wq_source *src, unsigned int n)
{
	int ret = 0;

	while (!ret && n--)
		ret = wq_update_key(src->seq.keys[0]);
	return ret;
}

/* Whether there is nothing at all, in the opinion of everybody. */
static bool is_empty(const struct wq_source *src)
{
	struct wq_record r;

	return !wq_readable(src->fds[0]) && !queued(src) &&
	       read_one(src, &r) == -EAGAIN && src->next == src->posted;
}

/* The capacity is exact: as many records as fit into it are not lost. */
TEST_F(loss, none_while_there_is_room)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL));
	EXPECT_EQ(FULL, queued(&self->src));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(is_empty(&self->src));
}

/* poll() and FIONREAD know of a loss that is no record yet. */
TEST_F(loss, can_be_seen_before_it_is_read)
{
	int room = wq_source_room(&self->src);

	ASSERT_LT(0, room);
	ASSERT_EQ(0, wq_source_post(&self->src, room + 3));
	ASSERT_TRUE(read_events(&self->src, room));
	EXPECT_EQ(POLLIN, wq_poll(self->src.fds[0], POLLIN, 0));
	EXPECT_EQ((int)WQ_LOSS_RECORD, wq_fionread(self->src.fds[0]));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(is_empty(&self->src));
}

/* One record too many is a loss of 1, behind what had room. */
TEST_F(loss, of_one)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 1));
	EXPECT_EQ(FULL + 1, queued(&self->src));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 1));
	EXPECT_TRUE(is_empty(&self->src));
}

/* Size 1 and 64 changes lead to LOSS; existing consumers rely on it. */
TEST_F(loss, of_64_updates_at_size_1)
{
	int key = self->src.seq.keys[0], i;
	struct wq_record r[16];

	ASSERT_EQ(0, update(&self->src, 64));
	ASSERT_EQ(FULL + 1, wq_read_all(self->src.fds[0], r, 16));
	for (i = 0; i < FULL; i++)
		EXPECT_TRUE(wq_is_key(&r[i], NOTIFY_KEY_UPDATED, key));
	EXPECT_TRUE(wq_is_loss_of(&r[FULL], 64 - FULL));
}

/* A LOSS record is of 16 bytes: a header without tag or flags, and the count. */
TEST_F(loss, record_format)
{
	const struct watch_notification_loss expected = {
		.watch.type	= WATCH_TYPE_META,
		.watch.subtype	= WATCH_META_LOSS_NOTIFICATION,
		.watch.info	= 16,
		.lost		= 5,
	};
	struct watch_notification_loss l;

	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 5));
	ASSERT_TRUE(read_events(&self->src, FULL));
	ASSERT_EQ(16, wq_read(self->src.fds[0], &l, sizeof(l)));
	EXPECT_EQ(0, memcmp(&expected, &l, sizeof(l)));
}

/* It comes in the same read() as what is before it, if there is room. */
TEST_F(loss, in_the_same_read)
{
	uint64_t lost = 0;

	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_EQ((FULL + 1) * 16,
		  wq_read(self->src.fds[0], self->buf, sizeof(self->buf)));
	EXPECT_EQ(FULL, wq_seq_check(&self->src.seq, self->buf, (FULL + 1) * 16,
				     &self->src.next, &lost));
	EXPECT_EQ(3U, lost);
	EXPECT_TRUE(is_empty(&self->src));
}

/* If not, it is ready by itself, without a further event. */
TEST_F(loss, in_a_read_of_its_own)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_EQ(FULL * 16,
		  wq_read(self->src.fds[0], self->buf, FULL * 16 + 15));
	ASSERT_TRUE(wq_source_next(&self->src, self->buf, FULL * 16));

	EXPECT_TRUE(wq_readable(self->src.fds[0]));
	EXPECT_EQ(1, queued(&self->src));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A buffer too small for it is ENOBUFS, and it stays. */
TEST_F(loss, survives_small_buffer)
{
	unsigned int size;

	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_TRUE(read_events(&self->src, FULL));
	for (size = 1; size < 16; size++) {
		EXPECT_EQ(-ENOBUFS, wq_read(self->src.fds[0], self->buf, size));
		EXPECT_EQ(1, queued(&self->src));
		EXPECT_TRUE(wq_readable(self->src.fds[0]));
	}
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A fault neither loses it nor tells it twice, with records before it or not. */
TEST_F(loss, survives_fault)
{
	char *edge = wq_map_edge(1, 1);
	int fd = self->src.fds[0];
	uint64_t lost = 0;

	ASSERT_FALSE(!edge);
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));

	/* In the middle of the record before the loss, then of the loss. */
	ASSERT_EQ(7 * 16, wq_read(fd, edge - 7 * 16 - 8, 4096));
	EXPECT_TRUE(wq_source_next(&self->src, edge - 7 * 16 - 8, 7 * 16));
	ASSERT_EQ(16, wq_read(fd, edge - 16 - 8, 4096));
	EXPECT_TRUE(wq_source_next(&self->src, edge - 16 - 8, 16));

	EXPECT_EQ(-EFAULT, wq_read(fd, edge - 8, 4096));
	EXPECT_EQ(-EFAULT, wq_read(fd, edge, 4096));
	EXPECT_EQ(-EFAULT, wq_read(fd, edge - 15, 4096));
	EXPECT_EQ(1, queued(&self->src));

	ASSERT_EQ(16, wq_read(fd, edge - 16, 4096));
	EXPECT_EQ(0, wq_seq_check(&self->src.seq, edge - 16, 16,
				  &self->src.next, &lost));
	EXPECT_EQ(3U, lost);
	EXPECT_TRUE(is_empty(&self->src));
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
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_TRUE(read_events(&self->src, 1));
	ASSERT_EQ(FULL - 1 + 1, queued(&self->src));

	ASSERT_EQ(0, wq_source_post(&self->src, 1));
	EXPECT_EQ(FULL - 1 + 1, queued(&self->src));
	ASSERT_TRUE(read_events(&self->src, 1));

	ASSERT_EQ(0, wq_source_post(&self->src, 1));
	EXPECT_EQ(FULL, queued(&self->src));
	EXPECT_TRUE(read_events(&self->src, FULL - 2));
	EXPECT_TRUE(read_loss(&self->src, 4));
	EXPECT_TRUE(read_events(&self->src, 1));
	EXPECT_TRUE(is_empty(&self->src));
}

/* Each gap has its own record, in its own place. */
TEST_F(loss, each_in_its_place)
{
	unsigned int i, tail = FULL;

	ASSERT_EQ(0, wq_source_post(&self->src, FULL));
	for (i = 1; i < 50; i++) {
		/* What makes room, the loss before the next event. */
		ASSERT_EQ(0, wq_source_post(&self->src, i));
		ASSERT_TRUE(read_events(&self->src, tail));
		ASSERT_TRUE(read_loss(&self->src, i));
		tail = FULL;
		ASSERT_EQ(0, wq_source_post(&self->src, tail));
	}
	EXPECT_TRUE(read_events(&self->src, tail));
	EXPECT_TRUE(is_empty(&self->src));
}

/*
 * One that was looked at already is a record like any other: later events and
 * losses are behind it.
 */
TEST_F(loss, does_not_grow_once_it_was_first)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_TRUE(read_events(&self->src, FULL));
	ASSERT_EQ(-ENOBUFS, wq_read(self->src.fds[0], self->buf, 8));

	ASSERT_EQ(0, wq_source_post(&self->src, FULL - 1 + 2));
	EXPECT_EQ(FULL + 1, queued(&self->src));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(read_events(&self->src, FULL - 1));
	EXPECT_TRUE(read_loss(&self->src, 2));
	EXPECT_TRUE(is_empty(&self->src));
}

/* What happened before SET_SIZE is not lost. */
TEST_F(loss, none_before_set_size)
{
	ASSERT_EQ(0, wq_source_remake(&self->src));
	ASSERT_EQ(0, wq_source_post(&self->src, 10));
	ASSERT_EQ(0, wq_set_size(self->src.fds[0], 4));
	EXPECT_TRUE(read_events(&self->src, 5));
	ASSERT_EQ(0, wq_source_post(&self->src, 30));
	EXPECT_TRUE(read_events(&self->src, 5 + 27));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A loss before SET_SIZE is not lost, either. */
TEST_F(loss, before_set_size)
{
	const unsigned int n = wq_key_records(WQ_DEFAULT_DEPTH);

	ASSERT_EQ(0, wq_source_remake(&self->src));
	ASSERT_EQ(0, wq_source_post(&self->src, n + 17));
	ASSERT_EQ(0, wq_set_size(self->src.fds[0], 2 * WQ_DEFAULT_DEPTH));
	ASSERT_EQ(0, wq_source_post(&self->src, 5));
	EXPECT_TRUE(read_events(&self->src, n));
	EXPECT_TRUE(read_loss(&self->src, 17));
	EXPECT_TRUE(read_events(&self->src, 5));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A queue that was never given a size counts its losses like any other. */
TEST_F(loss, at_default_depth)
{
	const unsigned int n = wq_key_records(WQ_DEFAULT_DEPTH);

	ASSERT_EQ(0, wq_source_remake(&self->src));
	ASSERT_EQ(0, wq_source_post(&self->src, n + 17));
	EXPECT_TRUE(read_events(&self->src, n));
	EXPECT_TRUE(read_loss(&self->src, 17));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A larger size makes room; the loss stays where it is. */
TEST_F(loss, stays_in_place_when_resized)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_EQ(0, wq_set_size(self->src.fds[0], 2));
	ASSERT_EQ(0, wq_source_post(&self->src, 4));
	EXPECT_EQ(FULL + 1 + 4, queued(&self->src));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_TRUE(read_events(&self->src, 4));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A filter refuses before anything is posted: what it refuses is not lost. */
TEST_F(loss, not_of_what_a_filter_refuses)
{
	ASSERT_EQ(0, wq_filter_keys(self->src.fds[0], 1 << NOTIFY_KEY_SETATTR));
	ASSERT_EQ(0, update(&self->src, 50));
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 2));
	ASSERT_EQ(0, update(&self->src, 50));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 2));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A LOSS record passes any filter. */
TEST_F(loss, passes_any_filter)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 2));
	ASSERT_EQ(0, wq_filter_keys(self->src.fds[0], 0));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 2));
	EXPECT_TRUE(is_empty(&self->src));
}

/* A REMOVAL that finds no room is lost and counted like any other record. */
TEST_F(loss, of_removal)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL));
	ASSERT_EQ(0, wq_watch_key(self->src.seq.keys[50], self->src.fds[0], -1));
	self->src.posted++;
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 1));
	EXPECT_TRUE(is_empty(&self->src));
}

/* Each queue has its own losses. */
TEST_F(loss, is_of_one_queue)
{
	struct wq_record r[64];
	int fds[2], i;

	ASSERT_EQ(0, wq_pipe(fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_seq_watch(&self->src.seq, fds[0]));
	ASSERT_EQ(0, wq_source_post(&self->src, 40));

	ASSERT_EQ(40, wq_read_all(fds[0], r, 64));
	for (i = 0; i < 40; i++)
		EXPECT_TRUE(wq_seq_is(&self->src.seq, &r[i], i));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_TRUE(read_loss(&self->src, 32));
	wq_close(fds);
}

/* After the last write end is closed a loss is still read before the end. */
TEST_F(loss, before_the_end)
{
	ASSERT_EQ(0, wq_source_post(&self->src, FULL + 3));
	ASSERT_EQ(0, wq_close_end(&self->src.fds[1]));
	EXPECT_TRUE(read_events(&self->src, FULL));
	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(self->src.fds[0], POLLIN, 0));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_EQ(POLLHUP, wq_poll(self->src.fds[0], POLLIN, 0));
	EXPECT_EQ(0, wq_read(self->src.fds[0], self->buf, 16));
}

/*
 * GET_INFO and fdinfo of either end tell the losses since the start, which do not
 * become fewer by being read, and what can be read.
 */
static void expect_figures(struct __test_metadata *_metadata,
			   const struct wq_source *src, uint64_t lost,
			   unsigned int records)
{
	struct watch_queue_info info;
	struct wq_fdinfo fdinfo;
	int end;

	for (end = 0; end < 2; end++) {
		ASSERT_EQ(0, wq_get_info(src->fds[end], &info));
		EXPECT_EQ(lost, info.lost);
		EXPECT_EQ(records * WQ_KEY_RECORD, info.queued);

		ASSERT_EQ(0, wq_fdinfo(0, src->fds[end], &fdinfo));
		EXPECT_EQ(4, fdinfo.found);
		EXPECT_EQ(lost, fdinfo.lost);
		EXPECT_EQ(records * WQ_KEY_RECORD, fdinfo.queued);
	}
}

TEST_F(loss, is_in_info_and_fdinfo)
{
	static const unsigned int lose[] = { 0, 1, 0, 12, 3 };
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lose); i++) {
		ASSERT_EQ(0, wq_source_post(&self->src, FULL + lose[i]));
		total += lose[i];
		expect_figures(_metadata, &self->src, total,
			       lose[i] ? FULL + 1 : FULL);

		ASSERT_TRUE(read_events(&self->src, FULL));
		if (lose[i])
			ASSERT_TRUE(read_loss(&self->src, lose[i]));
		expect_figures(_metadata, &self->src, total, 0);
	}
}

/* ---- Who waits ---- */

/* A loss alone ends a read() that would wait for a record. */
TEST_F(loss, does_not_block_read)
{
	struct wq_reader reader = {
		.fd = self->src.fds[0], .buf = self->buf, .size = 16,
	};
	int room = wq_source_room(&self->src);
	struct wq_call call;
	struct wq_record r;

	ASSERT_LT(0, room);
	ASSERT_LE(0, wq_set_nonblock(self->src.fds[0], false));
	ASSERT_EQ(0, wq_source_post(&self->src, room + 3));
	ASSERT_TRUE(read_events(&self->src, room));

	ASSERT_EQ(0, wq_call_start(&call, wq_reader_read, &reader));
	ASSERT_EQ(16, wq_call_end(&call));
	ASSERT_EQ(16, wq_decode(self->buf, 16, &r));
	EXPECT_TRUE(wq_is_loss_of(&r, 3));
}

FIXTURE(epoll)
{
	struct wq_source src;
	int room;
	int epoll;
};

FIXTURE_VARIANT(epoll)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(epoll, level) { .flags = 0 };
FIXTURE_VARIANT_ADD(epoll, edge) { .flags = EPOLLET };

FIXTURE_SETUP(epoll)
{
	struct epoll_event ev = { .events = EPOLLIN | variant->flags };

	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, 1));
	self->room = wq_source_room(&self->src);
	ASSERT_LT(0, self->room);
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->epoll);
	ASSERT_EQ(0, epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->src.fds[0], &ev));
}

FIXTURE_TEARDOWN(epoll)
{
	close(self->epoll);
	wq_close(self->src.fds);
}

static long epoll_waits(void *epoll)
{
	struct epoll_event ev;

	return wq_errno(epoll_wait(*(int *)epoll, &ev, 1, -1));
}

static bool epoll_tells(int epoll)
{
	struct epoll_event ev;

	return epoll_wait(epoll, &ev, 1, 0) == 1;
}

/*
 * Who was told of the records and has read them is told of the loss, though
 * nothing happens any more.
 */
TEST_F(epoll, tells_of_loss_alone)
{
	ASSERT_EQ(0, wq_source_post(&self->src, self->room));
	ASSERT_TRUE(epoll_tells(self->epoll));
	ASSERT_EQ(0, wq_source_post(&self->src, 3));
	ASSERT_TRUE(read_events(&self->src, self->room));

	EXPECT_TRUE(epoll_tells(self->epoll));
	EXPECT_TRUE(read_loss(&self->src, 3));
	EXPECT_FALSE(epoll_tells(self->epoll));
}

/* Who reads all that there is, each time that it is told, gets every loss. */
TEST_F(epoll, reader_gets_every_loss)
{
	uint64_t lost = 0;
	unsigned int i;
	char buf[48];
	ssize_t len;

	for (i = 1; i < 50; i++) {
		ASSERT_EQ(0, wq_source_post(&self->src, self->room + i));
		ASSERT_TRUE(epoll_tells(self->epoll));
		while ((len = wq_read(self->src.fds[0], buf, sizeof(buf))) > 0)
			ASSERT_LE(0, wq_seq_check(&self->src.seq, buf, len,
						  &self->src.next, &lost));
		ASSERT_EQ(-EAGAIN, len);
		ASSERT_TRUE(is_empty(&self->src));
		ASSERT_FALSE(epoll_tells(self->epoll));
	}
	EXPECT_EQ(49U * 50 / 2, lost);
}

/* The first loss wakes who waits, be it that the records did so before. */
TEST_F(epoll, first_loss_wakes)
{
	struct wq_call call;

	ASSERT_EQ(0, wq_source_post(&self->src, self->room));
	ASSERT_TRUE(epoll_tells(self->epoll));

	/* On an edge it waits for news; else the records are reason enough. */
	ASSERT_EQ(0, wq_call_start(&call, epoll_waits, &self->epoll));
	ASSERT_EQ(variant->flags ? 0 : -EALREADY, wq_call_blocked(&call));
	ASSERT_EQ(0, wq_source_post(&self->src, 1));
	ASSERT_EQ(1, wq_call_end(&call));
	EXPECT_TRUE(read_events(&self->src, self->room));
	EXPECT_TRUE(read_loss(&self->src, 1));
}

/* ---- Exact at every depth ---- */

FIXTURE(depth)
{
	struct wq_source src;
};

FIXTURE_VARIANT(depth)
{
	unsigned int depth;
	unsigned int lose;
};

FIXTURE_VARIANT_ADD(depth, n1_and_1) { .depth = 1, .lose = 1 };
FIXTURE_VARIANT_ADD(depth, n1_and_1000) { .depth = 1, .lose = 1000 };
FIXTURE_VARIANT_ADD(depth, n2_and_1) { .depth = 2, .lose = 1 };
FIXTURE_VARIANT_ADD(depth, n3_and_7) { .depth = 3, .lose = 7 };
FIXTURE_VARIANT_ADD(depth, n31_and_1) { .depth = 31, .lose = 1 };
FIXTURE_VARIANT_ADD(depth, n32_and_1) { .depth = 32, .lose = 1 };
FIXTURE_VARIANT_ADD(depth, n33_and_193) { .depth = 33, .lose = 193 };
FIXTURE_VARIANT_ADD(depth, n63_and_2) { .depth = 63, .lose = 2 };
FIXTURE_VARIANT_ADD(depth, n64_and_2) { .depth = 64, .lose = 2 };
FIXTURE_VARIANT_ADD(depth, n65_and_2) { .depth = 65, .lose = 2 };
FIXTURE_VARIANT_ADD(depth, n512_and_5) { .depth = 512, .lose = 5 };

FIXTURE_SETUP(depth)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, variant->depth));
}

FIXTURE_TEARDOWN(depth)
{
	wq_close(self->src.fds);
}

/* A queue of depth n holds n * 128 bytes, to the byte, wherever its ring starts. */
TEST_F(depth, loses_what_is_beyond_capacity)
{
	unsigned int n = wq_key_records(variant->depth), round;

	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, wq_source_post(&self->src, n + variant->lose));
		ASSERT_EQ((int)n + 1, queued(&self->src));
		ASSERT_TRUE(read_events(&self->src, n));
		ASSERT_TRUE(read_loss(&self->src, variant->lose));
		ASSERT_TRUE(is_empty(&self->src));

		/* Let the next round start somewhere else. */
		ASSERT_EQ(0, wq_source_post(&self->src, round + 1));
		ASSERT_TRUE(read_events(&self->src, round + 1));
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
	struct wq_source src;
	struct model m;
	unsigned int random;
	char *edge;	/* behind it a read() faults */
};

FIXTURE_VARIANT(model)
{
	unsigned int depth;
	unsigned int seed;
};

FIXTURE_VARIANT_ADD(model, n1) { .depth = 1, .seed = 1 };
FIXTURE_VARIANT_ADD(model, n1_again) { .depth = 1, .seed = 2 };
FIXTURE_VARIANT_ADD(model, n2) { .depth = 2, .seed = 3 };
FIXTURE_VARIANT_ADD(model, n3) { .depth = 3, .seed = 4 };
FIXTURE_VARIANT_ADD(model, n5) { .depth = 5, .seed = 5 };
FIXTURE_VARIANT_ADD(model, n24) { .depth = MODEL_DEPTH, .seed = 6 };

FIXTURE_SETUP(model)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, variant->depth));
	self->m.depth = variant->depth;
	self->random = variant->seed;
	self->edge = wq_map_edge(1, 1);
	ASSERT_FALSE(!self->edge);
}

FIXTURE_TEARDOWN(model)
{
	wq_close(self->src.fds);
}

/* Each step returns 0, or a number that tells what is not as in the model. */
static int model_do_post(FIXTURE_DATA(model) * const self)
{
	unsigned int n = 1 + wq_random(&self->random, 2 * FULL), i;

	for (i = 0; i < n; i++)
		model_post(&self->m, self->src.posted + i);
	return wq_source_post(&self->src, n);
}

/* A read of up to @size bytes, of which the first @mapped are there. */
static int model_do_read(FIXTURE_DATA(model) * const self, size_t size, size_t mapped)
{
	struct model *m = &self->m;
	char *buf = self->edge - mapped;
	size_t done = 0;
	struct wq_record r;
	ssize_t len;

	len = wq_read(self->src.fds[0], buf, size);

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
		    !wq_seq_is(&self->src.seq, &r, m->queue[0].nr))
			return 5;
		model_take(m);
		done += 16;
		model_look(m);
	}
	return len == (ssize_t)done ? 0 : 6;
}

static int model_do_resize(FIXTURE_DATA(model) * const self)
{
	unsigned int depth = 1 + wq_random(&self->random, MODEL_DEPTH);
	int ret = wq_set_size(self->src.fds[0], depth);

	if (depth * FULL < self->m.len)
		return ret == -EBUSY ? 0 : 7;
	self->m.depth = depth;
	return ret;
}

static int model_compare(FIXTURE_DATA(model) * const self)
{
	const struct model *m = &self->m;
	unsigned int records = m->len + !!m->lost;
	struct watch_queue_info info;

	if (wq_readable(self->src.fds[0]) != !!records)
		return 8;
	if (queued(&self->src) != (int)records)
		return 9;
	if (wq_get_info(self->src.fds[0], &info) ||
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
		unsigned int what = wq_random(&self->random, 100), size;
		int ret;

		if (what < 50) {
			ret = model_do_post(self);
		} else if (what < 90) {
			size = wq_random(&self->random, 500);
			ret = model_do_read(self, size + 1, 4096);
		} else if (what < 97) {
			size = wq_random(&self->random, 400);
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
