// SPDX-License-Identifier: GPL-2.0
/*
 * IOC_WATCH_QUEUE_SET_SIZE: what a depth means in bytes, records and pages, and
 * what becomes of the records that are queued when it changes.  For what a user
 * may set, see limit_test.c.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"

/* ---- What a depth means ---- */

FIXTURE(depth)
{
	int fds[2];
	int key;
};

FIXTURE_VARIANT(depth)
{
	unsigned int depth;
};

FIXTURE_VARIANT_ADD(depth, n1) { .depth = 1 };
FIXTURE_VARIANT_ADD(depth, n2) { .depth = 2 };
FIXTURE_VARIANT_ADD(depth, n31) { .depth = 31 };
FIXTURE_VARIANT_ADD(depth, n32) { .depth = 32 };
FIXTURE_VARIANT_ADD(depth, n33) { .depth = 33 };
FIXTURE_VARIANT_ADD(depth, n62) { .depth = 62 };
FIXTURE_VARIANT_ADD(depth, n63) { .depth = 63 };
FIXTURE_VARIANT_ADD(depth, n511) { .depth = 511 };
FIXTURE_VARIANT_ADD(depth, n512) { .depth = 512 };
FIXTURE_VARIANT_ADD(depth, n513) { .depth = 513 };
FIXTURE_VARIANT_ADD(depth, n4095) { .depth = 4095 };
FIXTURE_VARIANT_ADD(depth, n8192) { .depth = 8192 };

FIXTURE_SETUP(depth)
{
	WQ_REQUIRE_KEYS();
	self->key = wq_pipe_with_key(self->fds, 0, 1);
	ASSERT_LT(0, self->key);
	ASSERT_EQ(0, wq_set_size(self->fds[0], variant->depth));
}

FIXTURE_TEARDOWN(depth)
{
	wq_close(self->fds);
}

/* The capacity is exactly n * 128 bytes; the depth is what was set. */
TEST_F(depth, capacity_is_exact)
{
	struct watch_queue_info info;

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(variant->depth, info.depth);
	EXPECT_EQ((__u64)variant->depth * WQ_BYTES_PER_RECORD, info.capacity);
	EXPECT_LE(variant->depth, info.max_depth);
}

/* Depth n takes (128 n - 16) / (PAGE_SIZE - 112) + 2 pages, rounded down. */
TEST_F(depth, pages_by_formula)
{
	long page = getpagesize();
	long pages = (128L * variant->depth - 16) / (page - 112) + 2;

	EXPECT_EQ(pages * page, fcntl(self->fds[0], F_GETPIPE_SZ));
	EXPECT_EQ(pages * page, fcntl(self->fds[1], F_GETPIPE_SZ));
}

/*
 * Key records have 16 bytes, so 8 n of them are queued; the next is lost, and
 * stands behind them as the loss of one.
 */
TEST_F(depth, holds_what_it_says)
{
	const __u64 room = wq_key_records(variant->depth);
	struct watch_queue_info info;
	struct wq_tally tally = {};

	ASSERT_EQ(0, wq_touch_n(self->key, room));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(info.capacity, info.queued);
	EXPECT_EQ(0U, info.lost);

	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(info.capacity + WQ_LOSS_RECORD, info.queued);
	EXPECT_EQ(1U, info.lost);

	ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	EXPECT_EQ(room, tally.records);
	EXPECT_EQ(1U, tally.losses);
	EXPECT_EQ(1U, tally.lost);
}

/*
 * Bytes run out before pages do, wherever in the pages reading and posting
 * stand: as long as a record fits into the capacity, it is queued.
 */
TEST_F(depth, holds_it_wherever_it_stands)
{
	const unsigned int room = wq_key_records(variant->depth);
	unsigned int rounds = 12, i, nr, random = variant->depth;
	struct watch_queue_info info;
	struct wq_record rec;

	ASSERT_EQ(0, wq_touch_n(self->key, room));
	while (rounds--) {
		nr = wq_random(&random, room < 300 ? room : 300) + 1;
		for (i = 0; i < nr; i++) {
			ASSERT_EQ(0, wq_read_one(self->fds[0], &rec));
			ASSERT_FALSE(wq_is_loss(&rec));
		}
		ASSERT_EQ(0, wq_touch_n(self->key, nr));
		ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
		ASSERT_EQ(info.capacity, info.queued);
		ASSERT_EQ(0U, info.lost);
	}
}

/* The examples that the formula is documented with. */
TEST(pages_examples)
{
	static const struct {
		int depth, pages;
	} examples[] = { { 1, 2 }, { 32, 3 }, { 512, 18 }, { 8192, 265 } };
	int fds[2];
	size_t i;

	if (getpagesize() != 4096)
		SKIP(return, "the examples are for pages of 4096 bytes");
	WQ_REQUIRE_PIPE();
	ASSERT_EQ(0, wq_pipe(fds, 0));
	for (i = 0; i < ARRAY_SIZE(examples); i++) {
		ASSERT_EQ(0, wq_set_size(fds[0], examples[i].depth));
		EXPECT_EQ(examples[i].pages * 4096,
			  fcntl(fds[0], F_GETPIPE_SZ));
		EXPECT_EQ((unsigned long)examples[i].pages,
			  wq_pages(examples[i].depth));
	}
	wq_close(fds);
}

/* ---- What is no depth ---- */

FIXTURE(bad_depth)
{
	int fds[2];
};

FIXTURE_VARIANT(bad_depth)
{
	unsigned long depth;
};

FIXTURE_VARIANT_ADD(bad_depth, zero) { .depth = 0 };
FIXTURE_VARIANT_ADD(bad_depth, max_and_1) { .depth = WQ_MAX_DEPTH + 1UL };
FIXTURE_VARIANT_ADD(bad_depth, 1g) { .depth = 1UL << 30 };
FIXTURE_VARIANT_ADD(bad_depth, 2g) { .depth = 1UL << 31 };
FIXTURE_VARIANT_ADD(bad_depth, 4g_less_1) { .depth = 0xffffffffUL };
FIXTURE_VARIANT_ADD(bad_depth, minus_1) { .depth = -1UL };
/* Only the argument's lower half would do. */
#if __SIZEOF_LONG__ > 4
FIXTURE_VARIANT_ADD(bad_depth, 4g) { .depth = 0x100000000 };
FIXTURE_VARIANT_ADD(bad_depth, 4g_and_1) { .depth = 0x100000001 };
FIXTURE_VARIANT_ADD(bad_depth, 4g_and_32) { .depth = 0x100000020 };
#endif

FIXTURE_SETUP(bad_depth)
{
	WQ_REQUIRE_PIPE();
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
}

FIXTURE_TEARDOWN(bad_depth)
{
	wq_close(self->fds);
}

/* A depth of 0 or above 1 << 24 is EINVAL and changes nothing. */
TEST_F(bad_depth, is_refused)
{
	struct watch_queue_info before, after;
	int size = fcntl(self->fds[0], F_GETPIPE_SZ);

	ASSERT_EQ(0, wq_get_info(self->fds[0], &before));
	EXPECT_EQ(-EINVAL, wq_set_size(self->fds[0], variant->depth));
	EXPECT_EQ(-EINVAL, wq_set_size(self->fds[1], variant->depth));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(size, fcntl(self->fds[0], F_GETPIPE_SZ));
}

/* It is EINVAL for whoever may set little, too: before it is EPERM. */
TEST_F(bad_depth, is_refused_before_permission)
{
	ASSERT_EQ(0, wq_drop_privileges());
	EXPECT_EQ(-EINVAL, wq_set_size(self->fds[0], variant->depth));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], WQ_MAX_DEPTH));
}

/* ---- Changing it ---- */

#define NR_KEYS	5

/*
 * Events whose order can be told: event i is of key pattern(i), and a watch's
 * tag is its key's number.
 */
FIXTURE(resize)
{
	int fds[2];
	int keys[NR_KEYS];
	unsigned int posted;
	unsigned int seen;
};

static unsigned int pattern(unsigned int i)
{
	return (i ^ (i >> 3) ^ (i >> 7)) * 2654435761u % NR_KEYS;
}

FIXTURE_SETUP(resize)
{
	char desc[16];
	int i;

	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
	ASSERT_LE(0, wq_join_session());
	for (i = 0; i < NR_KEYS; i++) {
		snprintf(desc, sizeof(desc), "key%d", i);
		self->keys[i] = wq_add_user_key(desc, KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, self->keys[i]);
		ASSERT_EQ(0, wq_watch_key(self->keys[i], self->fds[0], i));
	}
}

FIXTURE_TEARDOWN(resize)
{
	wq_close(self->fds);
}

static int post(FIXTURE_DATA(resize) * const self, unsigned int nr)
{
	int ret;

	while (nr--) {
		ret = wq_touch(self->keys[pattern(self->posted)]);
		if (ret)
			return ret;
		self->posted++;
	}
	return 0;
}

/* Reads @nr records, which have to be the next ones: 0, or -EILSEQ. */
static int expect_next(FIXTURE_DATA(resize) * const self, unsigned int nr)
{
	struct wq_record rec;
	int ret;

	while (nr--) {
		unsigned int which = pattern(self->seen);

		ret = wq_read_one(self->fds[0], &rec);
		if (ret)
			return ret;
		if (!wq_is_key(&rec, NOTIFY_KEY_SETATTR, self->keys[which]) ||
		    rec.tag != which)
			return -EILSEQ;
		self->seen++;
	}
	return 0;
}

/* The size can be set as often as one likes. */
TEST_F(resize, again_and_again)
{
	static const unsigned int depths[] = { 1, 1, 2, 8192, 1, 512, 512, 513,
					       32, 4096, 7 };
	struct watch_queue_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		ASSERT_EQ(0, wq_set_size(self->fds[i % 2], depths[i]));
		ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
		EXPECT_EQ(depths[i], info.depth);
		EXPECT_EQ(depths[i] * WQ_BYTES_PER_RECORD, info.capacity);
		EXPECT_EQ(wq_pipe_size(depths[i]),
			  fcntl(self->fds[0], F_GETPIPE_SZ));
		/* And it works at each size. */
		ASSERT_EQ(0, post(self, 1));
		ASSERT_EQ(0, expect_next(self, 1));
	}
}

/* Records that are queued survive in order, as the queue grows and shrinks. */
TEST_F(resize, keeps_what_is_queued)
{
	struct watch_queue_info info;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 512));
	/* Let reading stand in the middle of a page, and not of the first. */
	ASSERT_EQ(0, post(self, 700));
	ASSERT_EQ(0, expect_next(self, 333));
	ASSERT_EQ(0, post(self, 833));		/* 1200 are queued */

	ASSERT_EQ(0, wq_set_size(self->fds[0], 8192));
	ASSERT_EQ(0, expect_next(self, 7));	/* 1193 */
	ASSERT_EQ(0, post(self, 5000));		/* 6193 */
	ASSERT_EQ(0, expect_next(self, 5193));	/* 1000, 125 * 128 bytes */

	EXPECT_EQ(-EBUSY, wq_set_size(self->fds[0], 124));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 125));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(125U, info.depth);
	EXPECT_EQ(info.capacity, info.queued);
	EXPECT_EQ(wq_pipe_size(125),
		  fcntl(self->fds[0], F_GETPIPE_SZ));

	ASSERT_EQ(0, expect_next(self, 600));
	ASSERT_EQ(0, post(self, 600));
	ASSERT_EQ(0, expect_next(self, 1000));

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(0U, info.queued);
	EXPECT_EQ(0U, info.lost);
}

/* The same at every fill of a small queue and at every point in its pages. */
TEST_F(resize, keeps_it_at_every_fill)
{
	struct watch_queue_info info;
	unsigned int fill, depth;

	for (fill = 0; fill <= 24; fill++) {
		/* Move on by a number of records that no page is a multiple of. */
		ASSERT_EQ(0, wq_set_size(self->fds[0], 32));
		ASSERT_EQ(0, post(self, 37));
		ASSERT_EQ(0, expect_next(self, 37));

		ASSERT_EQ(0, post(self, fill));
		depth = (fill * WQ_KEY_RECORD + 127) / WQ_BYTES_PER_RECORD;
		if (depth < 1)
			depth = 1;
		ASSERT_EQ(0, wq_set_size(self->fds[0], depth));
		ASSERT_EQ(0, wq_set_size(self->fds[0], 700));
		ASSERT_EQ(0, wq_set_size(self->fds[0], depth));
		ASSERT_EQ(0, post(self, wq_key_records(depth) - fill));
		ASSERT_EQ(0, expect_next(self, wq_key_records(depth)));
	}
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(0U, info.lost);
}

/* What is queued does not fit: EBUSY, and nothing is changed. */
TEST_F(resize, too_small_for_what_is_queued)
{
	struct watch_queue_info before, after;
	unsigned int depth;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 100));
	ASSERT_EQ(0, post(self, wq_key_records(10) + 1));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &before));

	for (depth = 1; depth <= 10; depth++) {
		EXPECT_EQ(-EBUSY, wq_set_size(self->fds[depth % 2], depth))
			TH_LOG("depth %u", depth);
	}
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(wq_pipe_size(100),
		  fcntl(self->fds[0], F_GETPIPE_SZ));

	/* There is still all the room that there was, and no more. */
	ASSERT_EQ(0, post(self, wq_key_records(100) - wq_key_records(10) - 1));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(after.capacity, after.queued);
	EXPECT_EQ(0U, after.lost);
	ASSERT_EQ(0, expect_next(self, wq_key_records(100) - 8));

	/* One record fewer than it takes, then exactly what it takes. */
	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, expect_next(self, 8));
}

/*
 * A loss keeps its place: behind what was queued before, ahead of what the
 * larger queue has room for.
 */
TEST_F(resize, keeps_the_place_of_a_loss)
{
	struct wq_record rec;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, post(self, 8 + 3));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 64));
	ASSERT_EQ(0, post(self, 20));

	ASSERT_EQ(0, expect_next(self, 8));
	ASSERT_EQ(0, wq_read_one(self->fds[0], &rec));
	ASSERT_TRUE(wq_is_loss(&rec));
	EXPECT_EQ(3U, rec.lost);
	self->seen += 3;
	ASSERT_EQ(0, expect_next(self, 20));
	EXPECT_EQ(-EAGAIN, wq_read_one(self->fds[0], &rec));
}

/* A smaller queue loses what the larger one would have kept, and says so. */
TEST_F(resize, smaller_is_really_smaller)
{
	struct wq_record rec;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 512));
	ASSERT_EQ(0, post(self, 16));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 2));
	ASSERT_EQ(0, post(self, 100));

	ASSERT_EQ(0, expect_next(self, 16));
	ASSERT_EQ(0, wq_read_one(self->fds[0], &rec));
	ASSERT_TRUE(wq_is_loss(&rec));
	EXPECT_EQ(100U, rec.lost);
}

/* Watches and filter stay as they are. */
TEST_F(resize, keeps_watches_and_filter)
{
	struct wq_fdinfo before, after;
	struct wq_record rec;

	ASSERT_EQ(0, wq_filter_keys(self->fds[0], 1 << NOTIFY_KEY_UPDATED));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &before));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 1000));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &after));
	EXPECT_EQ(1, after.nr_filters);
	EXPECT_EQ(NR_KEYS, after.nr_watches);
	EXPECT_EQ(0, memcmp(before.filters, after.filters,
			    sizeof(before.filters)));
	EXPECT_EQ(0, memcmp(before.watches, after.watches,
			    sizeof(before.watches)));

	ASSERT_EQ(0, wq_touch(self->keys[0]));
	ASSERT_EQ(0, wq_update_key(self->keys[0]));
	ASSERT_EQ(0, wq_read_one(self->fds[0], &rec));
	EXPECT_TRUE(wq_is_key(&rec, NOTIFY_KEY_UPDATED, self->keys[0]));
}

TEST_HARNESS_MAIN
