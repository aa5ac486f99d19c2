// SPDX-License-Identifier: GPL-2.0
/*
 * What a notification pipe refuses, though an ordinary one takes it: writing,
 * splicing in whatever way, the pipe's own size; and that it never pretends
 * otherwise to poll().
 *
 * Nothing that is refused may consume or change anything: each test ends by
 * checking that the queue's records, the ordinary pipe's bytes and the file are
 * what they were.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"

#define PLAIN_BYTES	24
#define FILE_BYTES	4096
#define NR_RECORDS	3
#define DEPTH		16

/*
 * @r and @w are the descriptors to try with:
 *
 *   ends       what pipe2() gave
 *   again      what was opened of it, one for reading and one for writing
 *   both       what was opened of it, one for both
 */
FIXTURE(refused)
{
	int fds[2];
	int r;
	int w;
	int second[2];	/* another notification pipe */
	int plain[2];	/* an ordinary one, with PLAIN_BYTES in it */
	int file;	/* of FILE_BYTES */
	int key;
};

enum reopen {
	REOPEN_NONE,
	REOPEN_EACH,
	REOPEN_BOTH,
};

FIXTURE_VARIANT(refused)
{
	enum reopen reopen;
	unsigned int nr_records;
};

FIXTURE_VARIANT_ADD(refused, ends) { REOPEN_NONE, NR_RECORDS };
FIXTURE_VARIANT_ADD(refused, ends_empty) { REOPEN_NONE, 0 };
FIXTURE_VARIANT_ADD(refused, again) { REOPEN_EACH, NR_RECORDS };
FIXTURE_VARIANT_ADD(refused, again_empty) { REOPEN_EACH, 0 };
FIXTURE_VARIANT_ADD(refused, both) { REOPEN_BOTH, NR_RECORDS };
FIXTURE_VARIANT_ADD(refused, both_empty) { REOPEN_BOTH, 0 };

FIXTURE_SETUP(refused)
{
	char buf[FILE_BYTES] = "ordinary";

	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_pipe(self->fds, O_CLOEXEC));
	ASSERT_EQ(0, wq_pipe(self->second, O_CLOEXEC));
	ASSERT_EQ(0, wq_set_size(self->fds[0], DEPTH));
	ASSERT_EQ(0, wq_set_size(self->second[0], DEPTH));
	ASSERT_EQ(0, pipe2(self->plain, O_CLOEXEC));
	ASSERT_EQ(PLAIN_BYTES, write(self->plain[1], buf, PLAIN_BYTES));
	self->file = memfd_create("wq", MFD_CLOEXEC);
	if (self->file < 0)
		SKIP(return, "CONFIG_MEMFD_CREATE is not set");
	ASSERT_EQ(FILE_BYTES, write(self->file, buf, FILE_BYTES));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));

	switch (variant->reopen) {
	case REOPEN_NONE:
		self->r = self->fds[0];
		self->w = self->fds[1];
		break;
	case REOPEN_EACH:
		self->r = wq_reopen(self->fds[1], O_RDONLY | O_CLOEXEC);
		self->w = wq_reopen(self->fds[0], O_WRONLY | O_CLOEXEC);
		break;
	case REOPEN_BOTH:
		self->r = wq_reopen(self->fds[0], O_RDWR | O_CLOEXEC);
		self->w = self->r;
		break;
	}
	ASSERT_LE(0, self->r);
	ASSERT_LE(0, self->w);

	ASSERT_LE(0, wq_join_session());
	self->key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(self->key, self->second[0], 2));
	ASSERT_EQ(0, wq_touch_n(self->key, variant->nr_records));
}

/* Nothing was consumed and nothing was added; and the queue works. */
FIXTURE_TEARDOWN(refused)
{
	struct wq_record recs[NR_RECORDS + 2];
	int bytes = -1, nr, i;
	struct stat st;

	EXPECT_EQ(0, ioctl(self->plain[0], FIONREAD, &bytes));
	EXPECT_EQ(PLAIN_BYTES, bytes);
	EXPECT_EQ(0, fstat(self->file, &st));
	EXPECT_EQ(FILE_BYTES, st.st_size);
	EXPECT_EQ(0, lseek(self->file, 0, SEEK_CUR));

	EXPECT_EQ(0, wq_touch(self->key));
	nr = wq_read_all(self->fds[0], recs, NR_RECORDS + 2);
	EXPECT_EQ(variant->nr_records + 1, nr);
	for (i = 0; i < nr; i++) {
		EXPECT_TRUE(wq_is_key(&recs[i], NOTIFY_KEY_SETATTR, self->key));
		EXPECT_EQ(1, recs[i].tag);
	}
	EXPECT_EQ((variant->nr_records + 1) * WQ_KEY_RECORD,
		  wq_fionread(self->second[0]));

	close(self->file);
	wq_close(self->plain);
	wq_close(self->second);
	wq_close(self->fds);
}

/* ---- Writing ---- */

/* write() is EXDEV, whatever the length, 0 as well. */
TEST_F(refused, write)
{
	static const size_t sizes[] = { 0, 1, 8, 16, 4096, 65536 };
	static char buf[65536];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-EXDEV, wq_errno(write(self->w, buf, sizes[i])))
			TH_LOG("%zu bytes", sizes[i]);
	}
}

/* So is writev(); there is no position to pwrite() to. */
TEST_F(refused, writev_and_pwrite)
{
	char buf[16] = {};
	struct iovec iov[2] = { { buf, 8 }, { buf + 8, 8 } };

	EXPECT_EQ(-EXDEV, wq_errno(writev(self->w, iov, 2)));
	EXPECT_EQ(-ESPIPE, wq_errno(pwrite(self->w, buf, 8, 0)));
}

/* Not even when nobody reads: EXDEV, and no SIGPIPE. */
TEST(write_without_reader)
{
	char buf[16] = {};
	int fds[2];

	WQ_REQUIRE_PIPE();
	ASSERT_EQ(0, wq_pipe(fds, 0));
	close(fds[0]);
	EXPECT_EQ(-EXDEV, wq_errno(write(fds[1], buf, sizeof(buf))));
	close(fds[1]);
}

/* ---- splice() and its kin, each way ---- */

/* splice() from a notification pipe is EINVAL, whereto ever. */
TEST_F(refused, splice_from)
{
	const int flags[] = { 0, SPLICE_F_MOVE, SPLICE_F_NONBLOCK };
	loff_t off = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, NULL, self->plain[1],
						   NULL, 16, flags[i])));
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, NULL, self->file,
						   NULL, 16, flags[i])));
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, NULL, self->second[1],
						   NULL, 16, flags[i])));
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, NULL, self->w,
						   NULL, 16, flags[i])));
	}
	EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, NULL, self->file, &off, 16,
					   0)));
	EXPECT_EQ(-EINVAL, wq_errno(splice(self->r, &off, self->plain[1], NULL,
					   16, 0)));
}

/* splice() to one is EXDEV from a pipe, as a write is, and EINVAL from a file. */
TEST_F(refused, splice_to)
{
	const int flags[] = { 0, SPLICE_F_MOVE, SPLICE_F_NONBLOCK };
	loff_t off = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-EXDEV, wq_errno(splice(self->plain[0], NULL, self->w,
						  NULL, 16, flags[i])));
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->file, NULL, self->w,
						   NULL, 16, flags[i])));
		EXPECT_EQ(-EINVAL, wq_errno(splice(self->file, &off, self->w,
						   NULL, 16, flags[i])));
	}
}

/* tee() is EINVAL each way. */
TEST_F(refused, tee)
{
	EXPECT_EQ(-EINVAL, wq_errno(tee(self->r, self->plain[1], 16, 0)));
	EXPECT_EQ(-EINVAL, wq_errno(tee(self->plain[0], self->w, 16, 0)));
	EXPECT_EQ(-EINVAL, wq_errno(tee(self->r, self->second[1], 16, 0)));
	EXPECT_EQ(-EINVAL, wq_errno(tee(self->r, self->w, 16, 0)));
}

/* vmsplice() is EBADF each way. */
TEST_F(refused, vmsplice)
{
	static char buf[4096];
	struct iovec iov = { buf, sizeof(buf) };

	EXPECT_EQ(-EBADF, wq_errno(vmsplice(self->r, &iov, 1, 0)));
	EXPECT_EQ(-EBADF, wq_errno(vmsplice(self->w, &iov, 1, 0)));
	EXPECT_EQ(-EBADF, wq_errno(vmsplice(self->w, &iov, 1,
					    SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EBADF, wq_errno(vmsplice(self->w, &iov, 1, SPLICE_F_GIFT)));
}

/* sendfile() from one is EINVAL, ESPIPE with an offset. */
TEST_F(refused, sendfile_from)
{
	off_t off = 0;

	EXPECT_EQ(-EINVAL, wq_errno(sendfile(self->file, self->r, NULL, 16)));
	EXPECT_EQ(-EINVAL, wq_errno(sendfile(self->plain[1], self->r, NULL, 16)));
	EXPECT_EQ(-EINVAL, wq_errno(sendfile(self->second[1], self->r, NULL, 16)));
	EXPECT_EQ(-ESPIPE, wq_errno(sendfile(self->file, self->r, &off, 16)));
}

/* sendfile() to one is EXDEV, as a write is; from an ordinary pipe EINVAL. */
TEST_F(refused, sendfile_to)
{
	off_t off = 0;

	EXPECT_EQ(-EXDEV, wq_errno(sendfile(self->w, self->file, &off, 16)));
	EXPECT_EQ(0, off);
	EXPECT_EQ(-EXDEV, wq_errno(sendfile(self->w, self->file, NULL, 16)));
	EXPECT_EQ(-EINVAL, wq_errno(sendfile(self->w, self->plain[0], NULL, 16)));
}

/* copy_file_range() is EINVAL each way. */
TEST_F(refused, copy_file_range)
{
	EXPECT_EQ(-EINVAL, wq_errno(syscall(__NR_copy_file_range, self->r, NULL,
					    self->file, NULL, 16, 0)));
	EXPECT_EQ(-EINVAL, wq_errno(syscall(__NR_copy_file_range, self->file,
					    NULL, self->w, NULL, 16, 0)));
}

/* ---- What no pipe has ---- */

/* A position, a mapping, a size. */
TEST_F(refused, what_no_pipe_has)
{
	char buf[64];

	EXPECT_EQ(-ESPIPE, wq_errno(lseek(self->r, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, wq_errno(lseek(self->w, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, wq_errno(pread(self->r, buf, sizeof(buf), 0)));
	EXPECT_TRUE(mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->r, 0) ==
		    MAP_FAILED);
	EXPECT_EQ(-EINVAL, wq_errno(ftruncate(self->w, 0)));
	EXPECT_EQ(-EINVAL, wq_errno(fsync(self->w)));
}

/* ---- The pipe's size ---- */

/* F_SETPIPE_SZ is EBUSY, whatever the size, and changes nothing. */
TEST_F(refused, setpipe_sz)
{
	const unsigned int now = fcntl(self->fds[0], F_GETPIPE_SZ);
	static const unsigned int sizes[] = { 0, 1, 4096, 65536, 1 << 20,
					      1u << 31, 0xffffffff };
	const int fds[] = { self->r, self->w };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			EXPECT_EQ(-EBUSY, wq_errno(fcntl(fds[i], F_SETPIPE_SZ,
							 sizes[j])))
				TH_LOG("size number %zu", j);
		}
		EXPECT_EQ(-EBUSY, wq_errno(fcntl(fds[i], F_SETPIPE_SZ, now)));
		EXPECT_EQ(now, wq_errno(fcntl(fds[i], F_GETPIPE_SZ)));
	}
}

/* F_GETPIPE_SZ works, on either end, and tells the pages. */
TEST_F(refused, getpipe_sz)
{
	const unsigned int now = wq_pages(DEPTH) * getpagesize();

	EXPECT_EQ(now, wq_errno(fcntl(self->r, F_GETPIPE_SZ)));
	EXPECT_EQ(now, wq_errno(fcntl(self->w, F_GETPIPE_SZ)));
}

/* ---- poll() ---- */

/* poll() never offers POLLOUT, be there room or not. */
TEST_F(refused, poll_offers_no_writing)
{
	const int all = POLLIN | POLLRDNORM | POLLPRI | POLLOUT | POLLWRNORM |
			POLLRDHUP;
	const int readable = variant->nr_records && self->r == self->w ?
			     POLLIN | POLLRDNORM : 0;

	EXPECT_EQ(readable, wq_poll(self->w, all, 0));
	EXPECT_EQ(variant->nr_records ? POLLIN | POLLRDNORM : 0,
		  wq_poll(self->r, all, 0));
}

/* epoll says the same, to those who wait for an edge as well. */
TEST_F(refused, epoll_offers_no_writing)
{
	const unsigned int out = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	const unsigned int modes[] = { 0, EPOLLET, EPOLLONESHOT };
	struct epoll_event event;
	size_t i;
	int ep;

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		SKIP(return, "CONFIG_EPOLL is not set");
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		event.events = out | modes[i];
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->w, &event));
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_DEL, self->w, &event));
	}
	close(ep);
}

/* select() does not call the write end writable. */
TEST_F(refused, select_offers_no_writing)
{
	struct timeval now = {};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(self->w, &set);
	EXPECT_EQ(0, select(self->w + 1, NULL, &set, NULL, &now));
}

FIXTURE(poll)
{
	int fds[2];
	int key;
};

FIXTURE_SETUP(poll)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
	ASSERT_LE(0, wq_join_session());
	self->key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
}

FIXTURE_TEARDOWN(poll)
{
	wq_close(self->fds);
}

/* Neither an empty, nor a filling, nor a full queue, nor one just read. */
TEST_F(poll, write_end_is_never_ready)
{
	struct wq_record rec;
	int i;

	EXPECT_EQ(0, wq_poll(self->fds[1], POLLOUT | POLLWRNORM, 0));
	for (i = 0; i < 12; i++) {
		ASSERT_EQ(0, wq_touch(self->key));
		EXPECT_EQ(0, wq_poll(self->fds[1], POLLOUT | POLLWRNORM, 0));
	}
	for (i = 0; !wq_read_one(self->fds[0], &rec); i++) {
		EXPECT_EQ(0, wq_poll(self->fds[1], POLLOUT | POLLWRNORM, 0))
			TH_LOG("after %d records", i + 1);
	}
}

/* With the read end closed, the write end has POLLERR and still no POLLOUT. */
TEST_F(poll, read_end_closed)
{
	ASSERT_EQ(0, wq_touch(self->key));
	close(self->fds[0]);
	self->fds[0] = -EBADF;
	EXPECT_EQ(POLLERR, wq_poll(self->fds[1], POLLOUT | POLLIN, 0));
	EXPECT_EQ(POLLERR, wq_poll(self->fds[1], 0, 0));
}

/* With the write end closed, the read end has POLLHUP, and POLLIN while it has. */
TEST_F(poll, write_end_closed)
{
	struct wq_tally tally = {};

	ASSERT_EQ(0, wq_touch(self->key));
	close(self->fds[1]);
	self->fds[1] = -EBADF;
	EXPECT_EQ(POLLIN | POLLHUP, wq_poll(self->fds[0], POLLIN, 0));
	ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	EXPECT_EQ(1, tally.records);
	EXPECT_EQ(POLLHUP, wq_poll(self->fds[0], POLLIN, 0));
}

TEST_HARNESS_MAIN
