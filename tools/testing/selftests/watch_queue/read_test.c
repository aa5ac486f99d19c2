// SPDX-License-Identifier: GPL-2.0
/*
 * What read() takes from a notification pipe: whole records, in order, none
 * twice and none lost, whatever the buffer is like.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* What a buffer is filled with, to see what read() has written. */
#define FILL		0xa5

/* Whole key records in so many bytes. */
#define WHOLE(size)	((size) / WQ_KEY_RECORD)

/*
 * A pipe that watches the keys of @seq, with what is shared by all fixtures:
 * events from number 0 on are made by post(), and expected from @next on.
 */
struct source {
	int fds[2];
	struct wq_seq seq;
	uint64_t posted;
	uint64_t next;
};

static int source_make(struct source *src, unsigned long depth)
{
	int ret;

	ret = wq_join_session();
	if (ret < 0)
		return ret;
	ret = wq_seq_make(&src->seq, KEY_SPEC_SESSION_KEYRING);
	if (!ret)
		ret = wq_pipe(src->fds, 0);
	if (!ret)
		ret = wq_set_size(src->fds[0], depth);
	if (!ret)
		ret = wq_seq_watch(&src->seq, src->fds[0]);
	if (!ret)
		ret = wq_set_nonblock(src->fds[0], true);
	return ret;
}

static int post(struct source *src, unsigned long n)
{
	int ret = wq_seq_post(&src->seq, src->posted, n);

	src->posted += n;
	return ret;
}

/* Whether the @nbytes at @buf are the records that are next. */
static bool are_next(struct source *src, const void *buf, size_t nbytes)
{
	return wq_seq_check(&src->seq, buf, nbytes, &src->next, NULL) ==
	       (long)WHOLE(nbytes);
}

/* Whether all that was posted and not yet read is there, and nothing else. */
static bool rest_is_there(struct source *src)
{
	size_t left = (src->posted - src->next) * WQ_KEY_RECORD;
	char buf[4096];
	ssize_t len;

	if (wq_fionread(src->fds[0]) != (int)left)
		return false;
	while ((len = wq_read(src->fds[0], buf, sizeof(buf))) > 0)
		if (!are_next(src, buf, len))
			return false;
	return len == -EAGAIN && src->next == src->posted &&
	       wq_fionread(src->fds[0]) == 0;
}

/* ---- Sizes ---- */

FIXTURE(buffer)
{
	struct source src;
	unsigned char *buf;
};

FIXTURE_VARIANT(buffer)
{
	size_t size;
	unsigned int queued;
};

#define BUFFER_VARIANT(_size, _queued)					\
	FIXTURE_VARIANT_ADD(buffer, size_##_size##_queued_##_queued) {	\
		.size = _size, .queued = _queued,			\
	}

BUFFER_VARIANT(1, 3);
BUFFER_VARIANT(2, 3);
BUFFER_VARIANT(3, 3);
BUFFER_VARIANT(4, 3);
BUFFER_VARIANT(5, 3);
BUFFER_VARIANT(6, 3);
BUFFER_VARIANT(7, 3);
BUFFER_VARIANT(8, 3);
BUFFER_VARIANT(9, 3);
BUFFER_VARIANT(15, 3);
BUFFER_VARIANT(16, 1);
BUFFER_VARIANT(16, 3);
BUFFER_VARIANT(17, 3);
BUFFER_VARIANT(31, 3);
BUFFER_VARIANT(32, 3);
BUFFER_VARIANT(33, 1);
BUFFER_VARIANT(47, 3);
BUFFER_VARIANT(48, 3);
BUFFER_VARIANT(49, 3);
/* What existing consumers have. */
BUFFER_VARIANT(433, 26);
BUFFER_VARIANT(433, 27);
BUFFER_VARIANT(433, 28);
BUFFER_VARIANT(433, 600);
/* Beyond one page of the ring, and of the buffer. */
BUFFER_VARIANT(4095, 600);
BUFFER_VARIANT(4096, 600);
BUFFER_VARIANT(4112, 600);
BUFFER_VARIANT(8191, 600);
BUFFER_VARIANT(65536, 1);
BUFFER_VARIANT(65536, 600);

FIXTURE_SETUP(buffer)
{
	self->src.fds[0] = -EBADF;
	self->src.fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	self->buf = malloc(variant->size + 64);
	ASSERT_TRUE(self->buf != NULL);
	memset(self->buf, FILL, variant->size + 64);
	ASSERT_EQ(0, source_make(&self->src, 256));
	ASSERT_EQ(0, post(&self->src, variant->queued));
}

FIXTURE_TEARDOWN(buffer)
{
	wq_close(self->src.fds);
	free(self->buf);
}

/*
 * read() returns as many whole records as there are and as fit, or ENOBUFS if
 * the first does not fit.  Nothing else is consumed, and nothing is written
 * behind the records.
 */
TEST_F(buffer, takes_whole_records)
{
	size_t fit = WHOLE(variant->size), n, i;
	ssize_t expected;

	n = fit < variant->queued ? fit : variant->queued;
	expected = n ? (ssize_t)(n * WQ_KEY_RECORD) : -ENOBUFS;

	ASSERT_EQ(expected,
		  wq_read(self->src.fds[0], self->buf, variant->size));
	if (expected < 0)
		expected = 0;
	EXPECT_TRUE(are_next(&self->src, self->buf, expected));
	for (i = expected; i < variant->size + 64; i++)
		if (self->buf[i] != FILL)
			break;
	EXPECT_EQ(variant->size + 64, i);
	EXPECT_TRUE(rest_is_there(&self->src));
}

/*
 * Read after read, everything comes once and in order, also across the pages of
 * the ring; then there is EAGAIN.  ENOBUFS comes as often as one asks.
 */
TEST_F(buffer, drains_in_order)
{
	size_t fit = WHOLE(variant->size), left = variant->queued, n;
	int i;

	if (!fit) {
		for (i = 0; i < 3; i++)
			EXPECT_EQ(-ENOBUFS, wq_read(self->src.fds[0], self->buf,
						    variant->size));
		EXPECT_TRUE(rest_is_there(&self->src));
		return;
	}

	while (left) {
		n = fit < left ? fit : left;
		ASSERT_EQ((ssize_t)(n * WQ_KEY_RECORD),
			  wq_read(self->src.fds[0], self->buf, variant->size));
		ASSERT_TRUE(are_next(&self->src, self->buf, n * WQ_KEY_RECORD));
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
	size_t fit = WHOLE(variant->size);
	ssize_t len;
	int i;

	if (!fit)
		return;

	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, post(&self->src, 7));
		len = wq_read(self->src.fds[0], self->buf, variant->size);
		ASSERT_LT(0, len);
		ASSERT_TRUE(are_next(&self->src, self->buf, len));
	}
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Faults ---- */

/*
 * A buffer that is not all there:
 *
 *	|<- whole records ->|<- rest ->|<- not mapped ...
 *	^ buf                          ^ a page's boundary
 */
FIXTURE(fault)
{
	struct source src;
	char *map;
	char *end;
	char *buf;
	size_t page;
};

#define FAULT_QUEUED	600
#define FAULT_SIZE	(FAULT_QUEUED * WQ_KEY_RECORD)

FIXTURE_VARIANT(fault)
{
	unsigned int whole;
	unsigned int rest;
	bool protected;		/* mapped after all, but not to be written */
};

#define FAULT_VARIANT(_whole, _rest)					\
	FIXTURE_VARIANT_ADD(fault, after_##_whole##_records_and_##_rest) { \
		.whole = _whole, .rest = _rest,				\
	};								\
	FIXTURE_VARIANT_ADD(fault, readonly_after_##_whole##_records_and_##_rest) { \
		.whole = _whole, .rest = _rest, .protected = true,	\
	}

FAULT_VARIANT(0, 0);
FAULT_VARIANT(0, 1);
FAULT_VARIANT(0, 8);
FAULT_VARIANT(0, 15);
FAULT_VARIANT(1, 0);
FAULT_VARIANT(1, 1);
FAULT_VARIANT(2, 7);
FAULT_VARIANT(3, 15);
FAULT_VARIANT(255, 0);
FAULT_VARIANT(255, 8);
/* The first page of the ring is delivered, the second not or in part. */
FAULT_VARIANT(256, 0);
FAULT_VARIANT(256, 8);
FAULT_VARIANT(257, 3);
FAULT_VARIANT(511, 15);
FAULT_VARIANT(512, 0);
FAULT_VARIANT(513, 0);
FAULT_VARIANT(599, 15);

FIXTURE_SETUP(fault)
{
	const unsigned int pages = 16;
	char *limit;

	self->src.fds[0] = -EBADF;
	self->src.fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	self->page = sysconf(_SC_PAGESIZE);
	ASSERT_GE((pages / 2) * self->page, FAULT_SIZE);
	self->map = mmap(NULL, pages * self->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->map != MAP_FAILED);
	self->end = self->map + pages * self->page;

	limit = self->map + pages / 2 * self->page;
	self->buf = limit - variant->whole * WQ_KEY_RECORD - variant->rest;

	ASSERT_EQ(0, source_make(&self->src, 256));
	ASSERT_EQ(0, post(&self->src, FAULT_QUEUED));

	ASSERT_EQ(0, variant->protected ?
		  mprotect(limit, self->end - limit, PROT_READ) :
		  munmap(limit, self->end - limit));
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
	EXPECT_TRUE(are_next(&self->src, self->buf, len));
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
			ASSERT_TRUE(are_next(&self->src, self->buf, expected));
		}
	}
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Several segments ---- */

FIXTURE(vector)
{
	struct source src;
	char *buf;
	char *hole;
};

#define VECTOR_QUEUED	20

FIXTURE_VARIANT(vector)
{
	unsigned int lens[16];
	int hole;		/* which segment is not mapped, from 1 */
};

FIXTURE_VARIANT_ADD(vector, one_record_each) {
	.lens = { 16, 16, 16 },
};

FIXTURE_VARIANT_ADD(vector, records_across_segments) {
	.lens = { 5, 11, 16, 3, 29 },
};

FIXTURE_VARIANT_ADD(vector, single_bytes) {
	.lens = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
};

FIXTURE_VARIANT_ADD(vector, empty_segments) {
	.lens = { 0, 16, 0, 0, 16 },
};

FIXTURE_VARIANT_ADD(vector, not_a_multiple) {
	.lens = { 20, 20, 20 },
};

FIXTURE_VARIANT_ADD(vector, too_small) {
	.lens = { 4, 4, 7 },
};

FIXTURE_VARIANT_ADD(vector, more_than_queued) {
	.lens = { 100, 100, 100, 100 },
};

FIXTURE_VARIANT_ADD(vector, hole_first) {
	.lens = { 16, 16 }, .hole = 1,
};

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
	self->src.fds[0] = -EBADF;
	self->src.fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	self->buf = calloc(1, 1024);
	ASSERT_TRUE(self->buf != NULL);
	self->hole = wq_hole();
	ASSERT_TRUE(self->hole != NULL);
	ASSERT_EQ(0, source_make(&self->src, 32));
	ASSERT_EQ(0, post(&self->src, VECTOR_QUEUED));
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
	struct iovec iov[ARRAY_LEN(variant->lens)];
	ssize_t expected;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(iov); i++) {
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
					   ARRAY_LEN(iov))));
	if (expected < 0)
		expected = 0;
	EXPECT_TRUE(are_next(&self->src, self->buf, expected));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* ---- Nothing to be read, and the end ---- */

FIXTURE(end)
{
	struct source src;
	char buf[4096];
};

FIXTURE_SETUP(end)
{
	self->src.fds[0] = -EBADF;
	self->src.fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, source_make(&self->src, 32));
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

	ASSERT_TRUE(hole != NULL);
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], self->buf, 4096));
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], self->buf, 1));
	EXPECT_EQ(-EAGAIN, wq_read(self->src.fds[0], hole, 16));
	EXPECT_EQ(0, wq_fionread(self->src.fds[0]));
	EXPECT_EQ(0, wq_poll(self->src.fds[0], POLLIN, 0));
}

/* RWF_NOWAIT does the same for one call, and reads what there is. */
TEST_F(end, empty_nowait)
{
	int fd = self->src.fds[0];

	ASSERT_LE(0, wq_set_nonblock(fd, false));
	EXPECT_EQ(-EAGAIN, read_nowait(fd, self->buf, sizeof(self->buf)));

	ASSERT_EQ(0, post(&self->src, 2));
	EXPECT_EQ(-ENOBUFS, read_nowait(fd, self->buf, 15));
	ASSERT_EQ(32, read_nowait(fd, self->buf, sizeof(self->buf)));
	EXPECT_TRUE(are_next(&self->src, self->buf, 32));
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

	ASSERT_EQ(0, post(&self->src, 2));
	EXPECT_EQ(0, wq_read(fd, self->buf, 0));
	ASSERT_LE(0, wq_set_nonblock(fd, true));
	EXPECT_TRUE(rest_is_there(&self->src));
}

/* FIONREAD is what a large enough read() returns. */
TEST_F(end, fionread_is_what_read_returns)
{
	unsigned int n;

	for (n = 1; n < 30; n++) {
		ASSERT_EQ(0, post(&self->src, n));
		ASSERT_EQ((int)(n * WQ_KEY_RECORD),
			  wq_fionread(self->src.fds[0]));
		ASSERT_EQ((int)(n * WQ_KEY_RECORD),
			  wq_fionread(self->src.fds[1]));
		ASSERT_EQ((ssize_t)(n * WQ_KEY_RECORD),
			  wq_read(self->src.fds[0], self->buf,
				  sizeof(self->buf)));
		ASSERT_TRUE(are_next(&self->src, self->buf, n * WQ_KEY_RECORD));
	}
}

/* Once the last write end is closed, read() drains and then returns 0. */
TEST_F(end, writers_gone)
{
	int fd = self->src.fds[0];

	ASSERT_LE(0, wq_set_nonblock(fd, false));
	ASSERT_EQ(0, post(&self->src, 3));
	EXPECT_EQ(POLLIN, wq_poll(fd, POLLIN, 0));

	ASSERT_EQ(0, close(self->src.fds[1]));
	self->src.fds[1] = -EBADF;

	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
	EXPECT_EQ(-ENOBUFS, wq_read(fd, self->buf, 15));
	ASSERT_EQ(32, wq_read(fd, self->buf, 32));
	EXPECT_TRUE(are_next(&self->src, self->buf, 32));
	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
	ASSERT_EQ(16, wq_read(fd, self->buf, sizeof(self->buf)));
	EXPECT_TRUE(are_next(&self->src, self->buf, 16));

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
	ASSERT_EQ(0, close(self->src.fds[1]));
	self->src.fds[1] = -EBADF;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
		ASSERT_EQ(0, post(&self->src, 2));
		EXPECT_EQ(POLLIN | POLLHUP, wq_poll(fd, POLLIN, 0));
		ASSERT_EQ(32, wq_read(fd, self->buf, sizeof(self->buf)));
		EXPECT_TRUE(are_next(&self->src, self->buf, 32));
	}
	EXPECT_EQ(0, wq_read(fd, self->buf, sizeof(self->buf)));
}

/* As long as one write end is left, be it a duplicate, there is no end. */
TEST_F(end, one_writer_left)
{
	int other = dup(self->src.fds[1]);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, close(self->src.fds[1]));
	self->src.fds[1] = -EBADF;
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

	ASSERT_EQ(0, post(&self->src, 30));
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(16, wq_read(fd[i % 3], self->buf, 16));
		ASSERT_TRUE(are_next(&self->src, self->buf, 16));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EAGAIN, wq_read(fd[i], self->buf, 16));
	close(fd[1]);
	close(fd[2]);
}

/*
 * However many records go through a queue, what it holds in the end is what it
 * held in the beginning.
 */
FIXTURE(load)
{
	struct source src;
	char buf[65536];
};

FIXTURE_VARIANT(load)
{
	unsigned int depth;
};

FIXTURE_VARIANT_ADD(load, depth_1) {
	.depth = 1,
};

FIXTURE_VARIANT_ADD(load, depth_3) {
	.depth = 3,
};

FIXTURE_VARIANT_ADD(load, depth_32) {
	.depth = 32,
};

FIXTURE_VARIANT_ADD(load, depth_512) {
	.depth = 512,
};

FIXTURE_SETUP(load)
{
	self->src.fds[0] = -EBADF;
	self->src.fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, source_make(&self->src, variant->depth));
}

FIXTURE_TEARDOWN(load)
{
	wq_close(self->src.fds);
}

static int load_read(void *arg)
{
	struct source *src = arg;
	char buf[433];
	ssize_t len;

	len = wq_read(src->fds[0], buf, sizeof(buf));
	if (len == -EAGAIN)
		return 0;
	if (len < 0)
		return len;
	return wq_seq_check(&src->seq, buf, len, &src->next, NULL) < 0 ?
	       -EBADMSG : 0;
}

TEST_F_TIMEOUT(load, leaves_capacity_as_it_was, 300)
{
	unsigned long events = wq_env("WQ_LOAD", 300000) / 4;
	unsigned long n = wq_key_records(variant->depth);
	struct wq_worker reader;
	bool stop = false;

	ASSERT_EQ(0, wq_worker_start(&reader, load_read, &self->src, &stop));
	EXPECT_EQ(0, post(&self->src, events));
	wq_stop(&stop);
	ASSERT_EQ(0, wq_worker_end(&reader));

	/* The rest: records, and the losses wherever they belong. */
	while (wq_fionread(self->src.fds[0]) > 0)
		ASSERT_EQ(0, load_read(&self->src));
	ASSERT_EQ(self->src.posted, self->src.next);

	/* As many as fit do fit, and are not fewer than before the load. */
	ASSERT_EQ(0, post(&self->src, n));
	EXPECT_EQ((int)(n * WQ_KEY_RECORD), wq_fionread(self->src.fds[0]));
	EXPECT_TRUE(rest_is_there(&self->src));

	/* And one more does not. */
	ASSERT_EQ(0, post(&self->src, n + 1));
	EXPECT_EQ((int)(n * WQ_KEY_RECORD + WQ_LOSS_RECORD),
		  wq_fionread(self->src.fds[0]));
	while (wq_fionread(self->src.fds[0]) > 0)
		ASSERT_EQ(0, load_read(&self->src));
	EXPECT_EQ(self->src.posted, self->src.next);
}

TEST_HARNESS_MAIN
