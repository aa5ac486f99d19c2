// SPDX-License-Identifier: GPL-2.0
/*
 * What read() takes from a notification pipe: whole records, in order, none
 * twice and none lost, whatever the buffer is like.
 *
 * WQ_LOAD in the environment changes how many events the tests under load make.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"
#include "watch_queue_source.h"

/* What a buffer is filled with, to see what read() has written. */
#define FILL		0xa5

/* Whole key records in so many bytes. */
#define WHOLE(size)	((size) / WQ_KEY_RECORD)

static bool is_filled(const unsigned char *buf, size_t from, size_t to)
{
	while (from < to && buf[from] == FILL)
		from++;
	return from == to;
}

/* Whether all that was posted and not yet read is there, and nothing else. */
static bool rest_is_there(struct wq_source *src)
{
	size_t left = (src->posted - src->next) * WQ_KEY_RECORD;
	char buf[4096];
	ssize_t len;

	if (wq_fionread(src->fds[0]) != (int)left)
		return false;
	while ((len = wq_read(src->fds[0], buf, sizeof(buf))) > 0)
		if (!wq_source_next(src, buf, len))
			return false;
	return len == -EAGAIN && src->next == src->posted &&
	       wq_fionread(src->fds[0]) == 0;
}

/* ---- Sizes ---- */

FIXTURE(buffer)
{
	struct wq_source src;
	unsigned char *buf;
};

FIXTURE_VARIANT(buffer)
{
	size_t size;
	unsigned int queued;
};

FIXTURE_VARIANT_ADD(buffer, 16_for_1) { .size = 16, .queued = 1 };
FIXTURE_VARIANT_ADD(buffer, 16_for_3) { .size = 16, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 17_for_3) { .size = 17, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 31_for_3) { .size = 31, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 32_for_3) { .size = 32, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 33_for_1) { .size = 33, .queued = 1 };
FIXTURE_VARIANT_ADD(buffer, 47_for_3) { .size = 47, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 48_for_3) { .size = 48, .queued = 3 };
FIXTURE_VARIANT_ADD(buffer, 49_for_3) { .size = 49, .queued = 3 };
/* What existing consumers have. */
FIXTURE_VARIANT_ADD(buffer, 433_for_26) { .size = 433, .queued = 26 };
FIXTURE_VARIANT_ADD(buffer, 433_for_27) { .size = 433, .queued = 27 };
FIXTURE_VARIANT_ADD(buffer, 433_for_28) { .size = 433, .queued = 28 };
FIXTURE_VARIANT_ADD(buffer, 433_for_600) { .size = 433, .queued = 600 };
/* Beyond one page of the ring, and of the buffer. */
FIXTURE_VARIANT_ADD(buffer, 4095_for_600) { .size = 4095, .queued = 600 };
FIXTURE_VARIANT_ADD(buffer, 4096_for_600) { .size = 4096, .queued = 600 };
FIXTURE_VARIANT_ADD(buffer, 4112_for_600) { .size = 4112, .queued = 600 };
FIXTURE_VARIANT_ADD(buffer, 8191_for_600) { .size = 8191, .queued = 600 };
FIXTURE_VARIANT_ADD(buffer, 65536_for_1) { .size = 65536, .queued = 1 };
FIXTURE_VARIANT_ADD(buffer, 65536_for_600) { .size = 65536, .queued = 600 };

FIXTURE_SETUP(buffer)
{
	WQ_REQUIRE_KEYS();
	self->buf = malloc(variant->size + 64);
	ASSERT_FALSE(!self->buf);
	memset(self->buf, FILL, variant->size + 64);
	ASSERT_EQ(0, wq_source_make(&self->src, 256));
	ASSERT_EQ(0, wq_source_post(&self->src, variant->queued));
}

FIXTURE_TEARDOWN(buffer)
{
	wq_close(self->src.fds);
	free(self->buf);
}

/*
 * read() returns as many whole records as there are and as fit.  Nothing else is
 * consumed, and nothing is written behind the records.
 */
TEST_F(buffer, takes_whole_records)
{
	size_t fit = WHOLE(variant->size), n, len;

	n = fit < variant->queued ? fit : variant->queued;
	len = n * WQ_KEY_RECORD;

	ASSERT_EQ((ssize_t)len,
		  wq_read(self->src.fds[0], self->buf, variant->size));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, len));
	EXPECT_TRUE(is_filled(self->buf, len, variant->size + 64));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/*
 * Read after read, everything comes once and in order, also across the pages of
 * the ring; then there is EAGAIN.
 */
TEST_F(buffer, drains_in_order)
{
	size_t fit = WHOLE(variant->size), left = variant->queued, n;

	while (left) {
		n = fit < left ? fit : left;
		ASSERT_EQ((ssize_t)(n * WQ_KEY_RECORD),
			  wq_read(self->src.fds[0], self->buf, variant->size));
		ASSERT_TRUE(wq_source_next(&self->src, self->buf,
					   n * WQ_KEY_RECORD));
		left -= n;
		ASSERT_EQ((int)(left * WQ_KEY_RECORD),
			  wq_fionread(self->src.fds[0]));
	}
	EXPECT_EQ(-EAGAIN,
		  wq_read(self->src.fds[0], self->buf, variant->size));
}

/* Reading and posting by turns does not change what comes. */
TEST_F(buffer, drains_in_order_while_more_comes)
{
	ssize_t len;
	int i;

	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, wq_source_post(&self->src, 7));
		len = wq_read(self->src.fds[0], self->buf, variant->size);
		ASSERT_LT(0, len);
		ASSERT_TRUE(wq_source_next(&self->src, self->buf, len));
	}
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Faults ---- */

/*
 * A buffer that is not all there:
 *
 *	|<- whole records ->|<- rest ->|<- not to be written ...
 *	^ buf                          ^ a page's boundary
 */
FIXTURE(fault)
{
	struct wq_source src;
	char *edge;
	char *buf;
};

#define FAULT_QUEUED	600
#define FAULT_SIZE	(FAULT_QUEUED * WQ_KEY_RECORD)
#define FAULT_PAGES	8

FIXTURE_VARIANT(fault)
{
	unsigned int whole;
	unsigned int rest;
};

FIXTURE_VARIANT_ADD(fault, after_0_and_0) { .whole = 0, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_0_and_1) { .whole = 0, .rest = 1 };
FIXTURE_VARIANT_ADD(fault, after_0_and_8) { .whole = 0, .rest = 8 };
FIXTURE_VARIANT_ADD(fault, after_0_and_15) { .whole = 0, .rest = 15 };
FIXTURE_VARIANT_ADD(fault, after_1_and_0) { .whole = 1, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_1_and_1) { .whole = 1, .rest = 1 };
FIXTURE_VARIANT_ADD(fault, after_2_and_7) { .whole = 2, .rest = 7 };
FIXTURE_VARIANT_ADD(fault, after_3_and_15) { .whole = 3, .rest = 15 };
FIXTURE_VARIANT_ADD(fault, after_255_and_0) { .whole = 255, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_255_and_8) { .whole = 255, .rest = 8 };
/* The first page of the ring is delivered, the second not or in part. */
FIXTURE_VARIANT_ADD(fault, after_256_and_0) { .whole = 256, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_256_and_8) { .whole = 256, .rest = 8 };
FIXTURE_VARIANT_ADD(fault, after_257_and_3) { .whole = 257, .rest = 3 };
FIXTURE_VARIANT_ADD(fault, after_511_and_15) { .whole = 511, .rest = 15 };
FIXTURE_VARIANT_ADD(fault, after_512_and_0) { .whole = 512, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_513_and_0) { .whole = 513, .rest = 0 };
FIXTURE_VARIANT_ADD(fault, after_599_and_15) { .whole = 599, .rest = 15 };

FIXTURE_SETUP(fault)
{
	WQ_REQUIRE_KEYS();
	ASSERT_LE(FAULT_SIZE, FAULT_PAGES * (size_t)sysconf(_SC_PAGESIZE));
	self->edge = wq_map_edge(FAULT_PAGES, FAULT_PAGES);
	ASSERT_FALSE(!self->edge);
	self->buf = self->edge - variant->whole * WQ_KEY_RECORD - variant->rest;
	ASSERT_EQ(0, wq_source_make(&self->src, 256));
	ASSERT_EQ(0, wq_source_post(&self->src, FAULT_QUEUED));
}

FIXTURE_TEARDOWN(fault)
{
	wq_close(self->src.fds);
}

/*
 * A fault loses nothing: the whole records already delivered are returned and
 * consumed, the others stay; EFAULT only if there was none.
 */
TEST_F(fault, loses_nothing)
{
	size_t len = variant->whole * WQ_KEY_RECORD;

	ASSERT_EQ(len ? (ssize_t)len : -EFAULT,
		  wq_read(self->src.fds[0], self->buf, FAULT_SIZE));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, len));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* The same where the memory may be read, but not be written. */
TEST_F(fault, loses_nothing_in_read_only_memory)
{
	size_t len = variant->whole * WQ_KEY_RECORD;

	ASSERT_EQ(0, mprotect(self->edge, FAULT_SIZE, PROT_READ));
	ASSERT_EQ(len ? (ssize_t)len : -EFAULT,
		  wq_read(self->src.fds[0], self->buf, FAULT_SIZE));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, len));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* It can happen over and over. */
TEST_F(fault, loses_nothing_however_often)
{
	size_t len = variant->whole * WQ_KEY_RECORD, left = FAULT_SIZE;
	int i;

	for (i = 0; i < 8; i++) {
		ssize_t expected = len < left ? len : left;

		if (!expected)
			expected = left ? -EFAULT : -EAGAIN;
		ASSERT_EQ(expected, wq_read(self->src.fds[0], self->buf,
					    FAULT_SIZE));
		if (expected > 0) {
			left -= expected;
			ASSERT_TRUE(wq_source_next(&self->src, self->buf, expected));
		}
	}
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Several segments ---- */

FIXTURE(vector)
{
	struct wq_source src;
	char *buf;
	char *hole;
};

#define VECTOR_QUEUED	20

FIXTURE_VARIANT(vector)
{
	unsigned int lens[16];
	int hole;		/* which segment is not mapped, from 1 */
};

FIXTURE_VARIANT_ADD(vector, one_record_each) { .lens = { 16, 16, 16 } };

FIXTURE_VARIANT_ADD(vector, records_across_segments) {
	.lens = { 5, 11, 16, 3, 29 },
};

FIXTURE_VARIANT_ADD(vector, single_bytes) {
	.lens = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
};

FIXTURE_VARIANT_ADD(vector, empty_segments) { .lens = { 0, 16, 0, 0, 16 } };

FIXTURE_VARIANT_ADD(vector, not_a_multiple) { .lens = { 20, 20, 20 } };

FIXTURE_VARIANT_ADD(vector, too_small) { .lens = { 4, 4, 7 } };

FIXTURE_VARIANT_ADD(vector, more_than_queued) {
	.lens = { 100, 100, 100, 100 },
};

FIXTURE_VARIANT_ADD(vector, hole_first) { .lens = { 16, 16 }, .hole = 1 };

FIXTURE_VARIANT_ADD(vector, hole_between_records) {
	.lens = { 16, 16, 16, 16 }, .hole = 3,
};

FIXTURE_VARIANT_ADD(vector, hole_within_record) {
	.lens = { 24, 16, 16 }, .hole = 2,
};

FIXTURE_VARIANT_ADD(vector, hole_within_first_record) {
	.lens = { 8, 8, 16 }, .hole = 2,
};

FIXTURE_VARIANT_ADD(vector, hole_behind) {
	.lens = { 200, 120, 16 }, .hole = 3,
};

FIXTURE_SETUP(vector)
{
	WQ_REQUIRE_KEYS();
	self->buf = calloc(1, 1024);
	ASSERT_FALSE(!self->buf);
	self->hole = wq_hole();
	ASSERT_FALSE(!self->hole);
	ASSERT_EQ(0, wq_source_make(&self->src, 32));
	ASSERT_EQ(0, wq_source_post(&self->src, VECTOR_QUEUED));
}

FIXTURE_TEARDOWN(vector)
{
	wq_close(self->src.fds);
	free(self->buf);
}

/*
 * Segments make one buffer of them all: records go across their boundaries, and
 * a fault in one of them is a fault there.
 */
TEST_F(vector, is_one_buffer)
{
	size_t total = 0, whole = SIZE_MAX, at = 0, n;
	struct iovec iov[ARRAY_SIZE(variant->lens)];
	ssize_t expected;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(iov); i++) {
		bool hole = variant->hole == (int)i + 1;

		if (hole)
			whole = WHOLE(total);
		iov[i].iov_base = hole ? self->hole : self->buf + at;
		iov[i].iov_len = variant->lens[i];
		total += variant->lens[i];
		if (!hole)
			at += variant->lens[i];
	}

	n = WHOLE(total);
	if (n > VECTOR_QUEUED)
		n = VECTOR_QUEUED;
	if (!n)
		expected = -ENOBUFS;
	else if (!whole)
		expected = -EFAULT;
	else
		expected = (n < whole ? n : whole) * WQ_KEY_RECORD;

	ASSERT_EQ(expected, wq_errno(readv(self->src.fds[0], iov,
					   ARRAY_SIZE(iov))));
	if (expected < 0)
		expected = 0;
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, expected));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Nothing to be read, and the end ---- */

FIXTURE(end)
{
	struct wq_source src;
	char buf[4096];
};

FIXTURE_SETUP(end)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, 32));
}

FIXTURE_TEARDOWN(end)
{
	wq_close(self->src.fds);
}

static int read_nowait(int fd, void *buf, size_t size)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };

	return wq_errno(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

/* O_NONBLOCK makes an empty pipe EAGAIN, whatever the buffer. */
TEST_F(end, empty_nonblock)
{
	void *hole = wq_hole();

	ASSERT_FALSE(!hole);
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], self->buf, 4096));
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], self->buf, 1));
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], hole, 16));
	EXPECT_EQ(0, wq_fionread(self->src.fds[0]));
	EXPECT_EQ(0, wq_poll(self->src.fds[0], POLLIN, 0));
}

/*
 * A buffer that the next record does not fit into is ENOBUFS, as often as one
 * asks; nothing is consumed and nothing written.
 */
TEST_F(end, buffer_too_small)
{
	unsigned char buf[WQ_KEY_RECORD];
	size_t size;
	int i;

	memset(buf, FILL, sizeof(buf));
	ASSERT_EQ(0, wq_source_post(&self->src, 3));
	for (size = 1; size < sizeof(buf); size++) {
		for (i = 0; i < 3; i++)
			EXPECT_EQ(-ENOBUFS, wq_read(self->src.fds[0], buf, size));
		EXPECT_TRUE(is_filled(buf, 0, sizeof(buf)));
		EXPECT_EQ(POLLIN, wq_poll(self->src.fds[0], POLLIN, 0));
	}
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* RWF_NOWAIT does the same for one call, and reads what there is. */
TEST_F(end, empty_nowait)
{
	int fd = self->src.fds[0];

	ASSERT_LE(0, wq_set_nonblock(fd, false));
	EXPECT_EQ(-EAGAIN, read_nowait(fd, self->buf, sizeof(self->buf)));

	ASSERT_EQ(0, wq_source_post(&self->src, 2));
	EXPECT_EQ(-ENOBUFS, read_nowait(fd, self->buf, 15));
	ASSERT_EQ(32, read_nowait(fd, self->buf, sizeof(self->buf)));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, 32));
	EXPECT_EQ(-EAGAIN, read_nowait(fd, self->buf, sizeof(self->buf)));
}

/* A read of nothing returns 0: it neither blocks nor fails nor consumes. */
TEST_F(end, zero_size)
{
	int fd = self->src.fds[0];

	EXPECT_EQ(0, wq_read(fd, self->buf, 0));
	ASSERT_LE(0, wq_set_nonblock(fd, false));
	EXPECT_EQ(0, wq_read(fd, self->buf, 0));
	EXPECT_EQ(0, wq_read(fd, NULL, 0));

	ASSERT_EQ(0, wq_source_post(&self->src, 2));
	EXPECT_EQ(0, wq_read(fd, self->buf, 0));
	ASSERT_LE(0, wq_set_nonblock(fd, true));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* FIONREAD is what a large enough read() returns. */
TEST_F(end, fionread_is_what_read_returns)
{
	unsigned int n;

	for (n = 1; n < 30; n++) {
		ASSERT_EQ(0, wq_source_post(&self->src, n));
		ASSERT_EQ((int)(n * WQ_KEY_RECORD),
			  wq_fionread(self->src.fds[0]));
		ASSERT_EQ((int)(n * WQ_KEY_RECORD),
			  wq_fionread(self->src.fds[1]));
		ASSERT_EQ((ssize_t)(n * WQ_KEY_RECORD),
			  wq_read(self->src.fds[0], self->buf,
				  sizeof(self->buf)));
		ASSERT_TRUE(wq_source_next(&self->src, self->buf,
					   n * WQ_KEY_RECORD));
	}
}

/* Once the last write end is closed, read() drains and then returns 0. */
TEST_F(end, writers_gone)
{
	int fd = self->src.fds[0];

	ASSERT_LE(0, wq_set_nonblock(fd, false));
	ASSERT_EQ(0, wq_source_post(&self->src, 3));
	EXPECT_EQ(POLLIN, wq_poll(fd, POLLIN, 0));

	ASSERT_EQ(0, wq_close_end(&self->src.fds[1]));

	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
	EXPECT_EQ(-ENOBUFS, wq_read(fd, self->buf, 15));
	ASSERT_EQ(32, wq_read(fd, self->buf, 32));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, 32));
	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
	ASSERT_EQ(16, wq_read(fd, self->buf, sizeof(self->buf)));
	EXPECT_TRUE(wq_source_next(&self->src, self->buf, 16));

	EXPECT_EQ(POLLHUP, wq_poll(fd, POLLIN, 0));
	EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
	EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
	EXPECT_EQ(0, read_nowait(fd, self->buf, sizeof(self->buf)));
}

/* So it does while the watches live, whose events are still queued and read. */
TEST_F(end, writers_gone_watches_alive)
{
	int fd = self->src.fds[0], i;

	ASSERT_LE(0, wq_set_nonblock(fd, false));
	ASSERT_EQ(0, wq_close_end(&self->src.fds[1]));

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
		ASSERT_EQ(0, wq_source_post(&self->src, 2));
		EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
		ASSERT_EQ(32, wq_read(fd, self->buf, sizeof(self->buf)));
		EXPECT_TRUE(wq_source_next(&self->src, self->buf, 32));
	}
	EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
}

/* As long as one write end is left, be it a duplicate, there is no end. */
TEST_F(end, one_writer_left)
{
	int other = dup(self->src.fds[1]);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, wq_close_end(&self->src.fds[1]));
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], self->buf, 16));
	EXPECT_EQ(0, wq_poll(self->src.fds[0], POLLIN, 0));

	ASSERT_EQ(0, close(other));
	EXPECT_EQ(0, wq_read(self->src.fds[0], self->buf, 16));
	EXPECT_EQ(POLLHUP, wq_poll(self->src.fds[0], POLLIN, 0));
}

/*
 * Readers of duplicates and of the pipe opened again through /proc share what
 * there is: each record goes to one of them.
 */
TEST_F(end, readers_share_records)
{
	int fd[3], i;

	fd[0] = self->src.fds[0];
	fd[1] = dup(fd[0]);
	fd[2] = wq_reopen(fd[0], O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, fd[1]);
	ASSERT_LE(0, fd[2]);

	ASSERT_EQ(0, wq_source_post(&self->src, 30));
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(16, wq_read(fd[i % 3], self->buf, 16));
		ASSERT_TRUE(wq_source_next(&self->src, self->buf, 16));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EAGAIN, wq_read(fd[i], self->buf, 16));
	close(fd[1]);
	close(fd[2]);
}

/* ---- Load ---- */

/*
 * However many records go through a queue, what it holds in the end is what it
 * held in the beginning.
 */
FIXTURE(load)
{
	struct wq_source src;
};

FIXTURE_VARIANT(load)
{
	unsigned int depth;
};

FIXTURE_VARIANT_ADD(load, depth_1) { .depth = 1 };
FIXTURE_VARIANT_ADD(load, depth_3) { .depth = 3 };
FIXTURE_VARIANT_ADD(load, depth_32) { .depth = 32 };
FIXTURE_VARIANT_ADD(load, depth_512) { .depth = 512 };

FIXTURE_SETUP(load)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_source_make(&self->src, variant->depth));
}

FIXTURE_TEARDOWN(load)
{
	wq_close(self->src.fds);
}

static int load_read(void *arg)
{
	struct wq_source *src = arg;
	char buf[433];
	ssize_t len;

	len = wq_read(src->fds[0], buf, sizeof(buf));
	return len == -EAGAIN || len > 0 ? 0 : -EIO;
}

TEST_F_TIMEOUT(load, leaves_capacity_as_it_was, 300)
{
	unsigned long events = wq_env("WQ_LOAD", 100000);
	struct wq_worker reader;
	bool stop = false;
	int room;

	room = wq_source_room(&self->src);
	ASSERT_LT(0, room);

	ASSERT_EQ(0, wq_worker_start(&reader, load_read, &self->src, &stop));
	EXPECT_EQ(0, wq_source_post(&self->src, events));
	wq_stop(&stop);
	ASSERT_EQ(0, wq_worker_end(&reader));

	while (wq_fionread(self->src.fds[0]) > 0)
		ASSERT_EQ(0, load_read(&self->src));
	ASSERT_EQ(room, wq_source_room(&self->src));
	ASSERT_EQ((unsigned long)room, wq_key_records(variant->depth));

	/* What is there by then is as good as ever. */
	ASSERT_EQ(0, wq_source_post(&self->src, room));
	EXPECT_TRUE(rest_is_there(&self->src));
}

TEST_HARNESS_MAIN
