// SPDX-License-Identifier: GPL-2.0
/*
 * The user ABI of notification pipes: how they are made, what their ioctls and
 * KEYCTL_WATCH_KEY answer, what fdinfo says.  Reading is left to read_test.c,
 * sizes to size_test.c and limit_test.c, filters to filter_test.c, and what is
 * not allowed to refused_test.c.
 *
 * abi_test_32 is the same as a 32-bit program.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"

/* ---- Layout ---- */

#define EXPECT_OFFSET(offset, type, member) \
	EXPECT_EQ((size_t)(offset), offsetof(struct type, member))

/* Every structure has the same layout in 32-bit and 64-bit programs. */
TEST(structures_have_fixed_layout)
{
	EXPECT_EQ((size_t)8, sizeof(struct watch_notification));
	EXPECT_OFFSET(4, watch_notification, info);

	EXPECT_EQ((size_t)16, sizeof(struct watch_notification_removal));
	EXPECT_OFFSET(8, watch_notification_removal, id);

	EXPECT_EQ((size_t)16, sizeof(struct watch_notification_loss));
	EXPECT_OFFSET(8, watch_notification_loss, lost);

	EXPECT_EQ((size_t)16, sizeof(struct key_notification));
	EXPECT_OFFSET(8, key_notification, key_id);
	EXPECT_OFFSET(12, key_notification, aux);

	EXPECT_EQ((size_t)44, sizeof(struct watch_notification_type_filter));
	EXPECT_OFFSET(4, watch_notification_type_filter, info_filter);
	EXPECT_OFFSET(8, watch_notification_type_filter, info_mask);
	EXPECT_OFFSET(12, watch_notification_type_filter, subtype_filter);

	EXPECT_EQ((size_t)8, sizeof(struct watch_notification_filter));
	EXPECT_OFFSET(8, watch_notification_filter, filters);

	EXPECT_EQ((size_t)48, sizeof(struct watch_queue_info));
	EXPECT_OFFSET(4, watch_queue_info, version);
	EXPECT_OFFSET(8, watch_queue_info, types);
	EXPECT_OFFSET(16, watch_queue_info, capacity);
	EXPECT_OFFSET(24, watch_queue_info, queued);
	EXPECT_OFFSET(32, watch_queue_info, lost);
	EXPECT_OFFSET(40, watch_queue_info, depth);
	EXPECT_OFFSET(44, watch_queue_info, max_depth);
}

/* Existing programs were compiled with these values. */
TEST(constants_have_their_values)
{
	EXPECT_EQ(O_EXCL, O_NOTIFICATION_PIPE);
	EXPECT_EQ(_IO('W', 0x60), IOC_WATCH_QUEUE_SET_SIZE);
	EXPECT_EQ(_IO('W', 0x61), IOC_WATCH_QUEUE_SET_FILTER);
	EXPECT_EQ(_IOC(_IOC_READ | _IOC_WRITE, 'W', 0x63, 48),
		  IOC_WATCH_QUEUE_GET_INFO);

	EXPECT_EQ(0, WATCH_TYPE_META);
	EXPECT_EQ(1, WATCH_TYPE_KEY_NOTIFY);
	EXPECT_EQ(2, WATCH_TYPE_BLOCK_NOTIFY);
	EXPECT_EQ(3, WATCH_TYPE_USB_NOTIFY);

	EXPECT_EQ(0, WATCH_META_REMOVAL_NOTIFICATION);
	EXPECT_EQ(1, WATCH_META_LOSS_NOTIFICATION);

	EXPECT_EQ(0, NOTIFY_KEY_INSTANTIATED);
	EXPECT_EQ(1, NOTIFY_KEY_UPDATED);
	EXPECT_EQ(2, NOTIFY_KEY_LINKED);
	EXPECT_EQ(3, NOTIFY_KEY_UNLINKED);
	EXPECT_EQ(4, NOTIFY_KEY_CLEARED);
	EXPECT_EQ(5, NOTIFY_KEY_REVOKED);
	EXPECT_EQ(6, NOTIFY_KEY_INVALIDATED);
	EXPECT_EQ(7, NOTIFY_KEY_SETATTR);

	EXPECT_EQ(0x0000007f, WATCH_INFO_LENGTH);
	EXPECT_EQ(0, WATCH_INFO_LENGTH__SHIFT);
	EXPECT_EQ(0x0000ff00, WATCH_INFO_ID);
	EXPECT_EQ(8, WATCH_INFO_ID__SHIFT);
	EXPECT_EQ(0xffff0000, WATCH_INFO_TYPE_INFO);
	EXPECT_EQ(16, WATCH_INFO_TYPE_INFO__SHIFT);
	EXPECT_EQ(0x00010000, WATCH_INFO_FLAG_0);
	EXPECT_EQ(0x00800000, WATCH_INFO_FLAG_7);
}

/* ---- Making a pipe ---- */

FIXTURE(create)
{
	int fds[2];
};

FIXTURE_VARIANT(create)
{
	int flags;
};

FIXTURE_VARIANT_ADD(create, plain) {
	.flags = 0,
};

FIXTURE_VARIANT_ADD(create, cloexec) {
	.flags = O_CLOEXEC,
};

FIXTURE_VARIANT_ADD(create, nonblock) {
	.flags = O_NONBLOCK,
};

FIXTURE_VARIANT_ADD(create, cloexec_nonblock) {
	.flags = O_CLOEXEC | O_NONBLOCK,
};

FIXTURE_VARIANT_ADD(create, direct) {
	.flags = O_DIRECT,
};

FIXTURE_VARIANT_ADD(create, all) {
	.flags = O_CLOEXEC | O_NONBLOCK | O_DIRECT,
};

FIXTURE_SETUP(create)
{
	WQ_REQUIRE_PIPE();
	ASSERT_EQ(0, wq_pipe(self->fds, variant->flags));
}

FIXTURE_TEARDOWN(create)
{
	wq_close(self->fds);
}

/* The flags go where pipe2() puts them for any pipe. */
TEST_F(create, flags_are_those_of_a_pipe)
{
	int nonblock = variant->flags & O_NONBLOCK;
	int direct = variant->flags & O_DIRECT;
	int cloexec = variant->flags & O_CLOEXEC ? FD_CLOEXEC : 0;
	const int mask = O_ACCMODE | O_NONBLOCK | O_DIRECT | O_EXCL;

	EXPECT_EQ(cloexec, fcntl(self->fds[0], F_GETFD));
	EXPECT_EQ(cloexec, fcntl(self->fds[1], F_GETFD));
	EXPECT_EQ(O_RDONLY | nonblock, fcntl(self->fds[0], F_GETFL) & mask);
	EXPECT_EQ(O_WRONLY | nonblock | direct,
		  fcntl(self->fds[1], F_GETFL) & mask);
}

/* Both ends are a FIFO, the same one. */
TEST_F(create, ends_are_one_fifo)
{
	struct stat st[2];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, fstat(self->fds[i], &st[i]));
		EXPECT_TRUE(S_ISFIFO(st[i].st_mode));
	}
	EXPECT_EQ(st[0].st_ino, st[1].st_ino);
	EXPECT_EQ(st[0].st_dev, st[1].st_dev);
}

/* A new pipe has the default depth, holds nothing and has lost nothing. */
TEST_F(create, is_usable_at_once)
{
	struct watch_queue_info info;

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ((__u32)WQ_DEFAULT_DEPTH, info.depth);
	EXPECT_EQ((__u64)WQ_DEFAULT_DEPTH * WQ_BYTES_PER_RECORD, info.capacity);
	EXPECT_EQ(0U, info.queued);
	EXPECT_EQ(0U, info.lost);
	EXPECT_EQ(wq_pipe_size(WQ_DEFAULT_DEPTH),
		  fcntl(self->fds[0], F_GETPIPE_SZ));
}

/* An event before any ioctl is kept and read. */
TEST_F(create, needs_no_size_to_receive)
{
	struct wq_record rec;
	int key;

	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_watch_key(key, self->fds[0], 1));
	ASSERT_EQ(0, wq_touch(key));

	EXPECT_TRUE(wq_readable(self->fds[0]));
	ASSERT_EQ(1, wq_read_all(self->fds[0], &rec, 1));
	EXPECT_TRUE(wq_is_key(&rec, NOTIFY_KEY_SETATTR, key));
}

/* Flags that pipe2() does not know are EINVAL, with the notification flag too. */
TEST(create_unknown_flag)
{
	const int known = O_CLOEXEC | O_NONBLOCK | O_DIRECT |
			  O_NOTIFICATION_PIPE;
	int fds[2], bit, ret;

	WQ_REQUIRE_PIPE();
	for (bit = 0; bit < 31; bit++) {
		int flag = 1 << bit;

		if (flag & known)
			continue;
		ret = wq_pipe(fds, flag);
		EXPECT_EQ(-EINVAL, ret)
			TH_LOG("flag %#x", flag);
		if (!ret)
			wq_close(fds);
	}
}

/* Where the descriptors cannot be delivered there are none. */
TEST(create_bad_pointer)
{
	int fd = dup(0);

	WQ_REQUIRE_PIPE();
	ASSERT_LE(0, fd);
	close(fd);

	EXPECT_EQ(-1, syscall(__NR_pipe2, NULL, O_NOTIFICATION_PIPE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	EXPECT_EQ(-1, fcntl(fd + 1, F_GETFD));
}

/* Out of file descriptors is EMFILE, be it for the first or the second end. */
TEST(create_no_descriptor_left)
{
	struct rlimit lim;
	int fds[2], fd, left;

	WQ_REQUIRE_PIPE();
	fd = dup(0);
	ASSERT_LE(0, fd);
	close(fd);

	for (left = 0; left < 2; left++) {
		ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
		lim.rlim_cur = fd + left;
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
		EXPECT_EQ(-EMFILE, wq_pipe(fds, 0));
		EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	}
	lim.rlim_cur = fd + 2;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
	EXPECT_EQ(0, wq_pipe(fds, 0));
}

/* ---- Both ends, and what is opened again of them ---- */

/*
 * @fd is what a variant is about, @in is where records are read: the same, if it
 * can be read.
 *
 *                 pipe2()                   open("/proc/self/fd/...")
 *              fds[0]  fds[1]               of fds[0]      of fds[1]
 *   r           fd,in                        fd,in          fd,in
 *   w                    fd                  fd             fd
 *   rw                                       fd,in          fd,in
 */
FIXTURE(end)
{
	int fds[2];
	int fd;
	int in;
	int key;
	int ring;
};

FIXTURE_VARIANT(end)
{
	int of;
	bool reopen;
	int mode;
};

FIXTURE_VARIANT_ADD(end, read) {
	.of = 0, .reopen = false, .mode = O_RDONLY,
};

FIXTURE_VARIANT_ADD(end, write) {
	.of = 1, .reopen = false, .mode = O_WRONLY,
};

FIXTURE_VARIANT_ADD(end, read_again_r) {
	.of = 0, .reopen = true, .mode = O_RDONLY,
};

FIXTURE_VARIANT_ADD(end, read_again_w) {
	.of = 0, .reopen = true, .mode = O_WRONLY,
};

FIXTURE_VARIANT_ADD(end, read_again_rw) {
	.of = 0, .reopen = true, .mode = O_RDWR,
};

FIXTURE_VARIANT_ADD(end, write_again_r) {
	.of = 1, .reopen = true, .mode = O_RDONLY,
};

FIXTURE_VARIANT_ADD(end, write_again_w) {
	.of = 1, .reopen = true, .mode = O_WRONLY,
};

FIXTURE_VARIANT_ADD(end, write_again_rw) {
	.of = 1, .reopen = true, .mode = O_RDWR,
};

FIXTURE_SETUP(end)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	self->fd = self->fds[variant->of];
	if (variant->reopen)
		self->fd = wq_reopen(self->fd, variant->mode | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->in = variant->mode == O_WRONLY ? self->fds[0] : self->fd;

	ASSERT_LE(0, wq_join_session());
	self->ring = wq_add_keyring("ring", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->ring);
	self->key = wq_add_user_key("wq", self->ring);
	ASSERT_LT(0, self->key);
}

FIXTURE_TEARDOWN(end)
{
	if (variant->reopen)
		close(self->fd);
	wq_close(self->fds);
}

/* IOC_WATCH_QUEUE_GET_INFO tells version, types, depth, capacity and counts. */
TEST_F(end, get_info)
{
	struct watch_queue_info info;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 0));
	ASSERT_EQ(0, wq_touch_n(self->key, 10));

	ASSERT_EQ(0, wq_get_info(self->fd, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(1U, info.version);
	EXPECT_EQ(1, WATCH_QUEUE_ABI_VERSION);
	EXPECT_NE(0U, info.types & (1 << WATCH_TYPE_META));
	EXPECT_NE(0U, info.types & (1 << WATCH_TYPE_KEY_NOTIFY));
	EXPECT_EQ(0U, info.types >> WATCH_TYPE__NR);
	EXPECT_EQ(1U, info.depth);
	EXPECT_EQ((__u64)WQ_BYTES_PER_RECORD, info.capacity);
	/* Eight records, and the loss of two, which is no record yet. */
	EXPECT_EQ(8 * WQ_KEY_RECORD + WQ_LOSS_RECORD, info.queued);
	EXPECT_EQ(2U, info.lost);
	EXPECT_LE(info.depth, info.max_depth);
	EXPECT_GE(WQ_MAX_DEPTH, info.max_depth);
}

/* Lost records are counted since the start, also those already told. */
TEST_F(end, get_info_counts_all_lost)
{
	struct watch_queue_info info;
	struct wq_tally tally = {};
	unsigned int i;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 0));
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, wq_touch_n(self->key, wq_key_records(1) + i));
		ASSERT_EQ(0, wq_drain(self->in, &tally));
		ASSERT_EQ(0, wq_get_info(self->fd, &info));
		EXPECT_EQ(0U, info.queued);
		EXPECT_EQ(tally.lost, info.lost);
		EXPECT_EQ(i, tally.losses);
	}
	EXPECT_EQ(1U + 2 + 3, tally.lost);
}

/* Either end sets the size, and both then tell the same. */
TEST_F(end, set_size)
{
	struct watch_queue_info info;
	int i;

	ASSERT_EQ(0, wq_set_size(self->fd, 7));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, wq_get_info(self->fds[i], &info));
		EXPECT_EQ(7U, info.depth);
		EXPECT_EQ(7ULL * WQ_BYTES_PER_RECORD, info.capacity);
		EXPECT_EQ(wq_pipe_size(7),
			  fcntl(self->fds[i], F_GETPIPE_SZ));
	}
	EXPECT_EQ(wq_pipe_size(7), fcntl(self->fd, F_GETPIPE_SZ));
}

/* Either end sets the filter of the queue. */
TEST_F(end, set_filter)
{
	struct wq_record recs[3];

	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 3));
	EXPECT_EQ(0, wq_filter_keys(self->fd, 1 << NOTIFY_KEY_UPDATED));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, wq_update_key(self->key));
	ASSERT_EQ(1, wq_read_all(self->in, recs, 3));
	EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_UPDATED, self->key));

	EXPECT_EQ(0, wq_set_filter(self->fd, NULL));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(1, wq_read_all(self->in, recs, 3));
	EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_SETATTR, self->key));
}

/* FIONREAD answers on either end, and says EFAULT where it cannot. */
TEST_F(end, fionread)
{
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 3));
	EXPECT_EQ(0, wq_fionread(self->fd));
	ASSERT_EQ(0, wq_touch_n(self->key, 3));
	EXPECT_EQ(3 * (int)WQ_KEY_RECORD, wq_fionread(self->fd));
	EXPECT_EQ(-EFAULT, wq_ioctl(self->fd, FIONREAD, 0));
}

/* keyctl probes 0x62 and takes ENOTTY; what nobody assigned is ENOTTY as well. */
TEST_F(end, unassigned_ioctls)
{
	static const unsigned long cmds[] = {
		_IO('W', 0x62), _IO('W', 0x00), _IO('W', 0x5f), _IO('W', 0x64),
		_IO('W', 0xff), _IOR('W', 0x62, int), _IOW('W', 0x60, int),
		_IOW('W', 0x61, struct watch_notification_filter),
		_IOR('V', 0x63, struct watch_queue_info),
		_IO('w', 0x60), 0, 0xffffffff,
	};
	char arg[sizeof(struct watch_queue_info)] = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		EXPECT_EQ(-ENOTTY, wq_ioctl(self->fd, cmds[i], (unsigned long)arg))
			TH_LOG("command %#lx", cmds[i]);
	}
}

/* Either end names the queue to KEYCTL_WATCH_KEY; it is the same queue. */
TEST_F(end, watch_key)
{
	struct wq_record recs[3];

	ASSERT_EQ(0, wq_watch_key(self->key, self->fd, 77));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->key, self->fds[0], 78));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->key, self->fds[1], 78));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(0, wq_watch_key(self->key, self->fd, -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));

	ASSERT_EQ(2, wq_read_all(self->in, recs, 3));
	EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_SETATTR, self->key));
	EXPECT_EQ(77U, recs[0].tag);
	EXPECT_TRUE(wq_is_removal(&recs[1]));
	EXPECT_EQ(77U, recs[1].tag);
	EXPECT_EQ((__u64)self->key, recs[1].id);
}

/* read() wants a descriptor open for reading, write() is EXDEV on the others. */
TEST_F(end, read_and_write)
{
	struct wq_record rec;
	char buf[64] = {};

	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_touch(self->key));

	EXPECT_EQ(variant->mode == O_RDONLY ? -EBADF : -EXDEV,
		  wq_errno(write(self->fd, buf, sizeof(buf))));
	EXPECT_EQ(variant->mode == O_RDONLY ? -EBADF : -EXDEV,
		  wq_errno(write(self->fd, buf, 0)));
	if (variant->mode == O_WRONLY) {
		EXPECT_EQ(-EBADF, wq_read(self->fd, buf, sizeof(buf)));
	} else {
		ASSERT_EQ((int)WQ_KEY_RECORD,
			  wq_read(self->fd, buf, sizeof(buf)));
		ASSERT_EQ((int)WQ_KEY_RECORD,
			  wq_decode(buf, WQ_KEY_RECORD, &rec));
		EXPECT_TRUE(wq_is_key(&rec, NOTIFY_KEY_SETATTR, self->key));
		/* What one end has read, no other finds again. */
		EXPECT_EQ(0, wq_fionread(self->fds[0]));
	}
}

/*
 * An end opened again keeps the queue: with both first ends closed it still
 * receives, and what is opened for reading alone reads the end after that.
 */
TEST_F(end, outlives_the_others)
{
	char buf[64];
	int i;

	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	for (i = 0; i < 2; i++) {
		if (self->fds[i] != self->fd)
			ASSERT_EQ(0, wq_close_end(&self->fds[i]));
	}
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ((int)WQ_KEY_RECORD, wq_fionread(self->fd));

	if (variant->mode != O_WRONLY) {
		ASSERT_EQ(0, wq_set_nonblock(self->fd, true));
		EXPECT_EQ((int)WQ_KEY_RECORD,
			  wq_read(self->fd, buf, sizeof(buf)));
		EXPECT_EQ(variant->mode == O_RDONLY ? 0 : -EAGAIN,
			  wq_read(self->fd, buf, sizeof(buf)));
	}
	EXPECT_EQ(0, wq_watch_key(self->key, self->fd, -1));
}

/* ---- GET_INFO's structure ---- */

#define GUARD	0xa5

FIXTURE(info)
{
	int fds[2];
	unsigned char *buf;
	size_t buf_size;
	struct watch_queue_info expected;
};

FIXTURE_VARIANT(info)
{
	long pages;		/* the size given is this many pages */
	long bytes;		/* and so many bytes */
};

/* Nothing at all, and less than size and version. */
FIXTURE_VARIANT_ADD(info, size_0) { .bytes = 0 };
FIXTURE_VARIANT_ADD(info, size_1) { .bytes = 1 };
FIXTURE_VARIANT_ADD(info, size_4) { .bytes = 4 };
FIXTURE_VARIANT_ADD(info, size_7) { .bytes = 7 };
/* Shorter than the kernel's: cut, at whatever byte. */
FIXTURE_VARIANT_ADD(info, size_8) { .bytes = 8 };
FIXTURE_VARIANT_ADD(info, size_9) { .bytes = 9 };
FIXTURE_VARIANT_ADD(info, size_16) { .bytes = 16 };
FIXTURE_VARIANT_ADD(info, size_20) { .bytes = 20 };
FIXTURE_VARIANT_ADD(info, size_40) { .bytes = 40 };
FIXTURE_VARIANT_ADD(info, size_47) { .bytes = 47 };
/* The kernel's own. */
FIXTURE_VARIANT_ADD(info, size_48) { .bytes = 48 };
/* Longer: zeroed. */
FIXTURE_VARIANT_ADD(info, size_49) { .bytes = 49 };
FIXTURE_VARIANT_ADD(info, size_64) { .bytes = 64 };
FIXTURE_VARIANT_ADD(info, size_1000) { .bytes = 1000 };
FIXTURE_VARIANT_ADD(info, size_page_less_1) { .pages = 1, .bytes = -1 };
FIXTURE_VARIANT_ADD(info, size_page) { .pages = 1 };
/* Beyond reason. */
FIXTURE_VARIANT_ADD(info, size_page_and_1) { .pages = 1, .bytes = 1 };
FIXTURE_VARIANT_ADD(info, size_2_pages) { .pages = 2 };
FIXTURE_VARIANT_ADD(info, size_2g) { .bytes = 0x7fffffff };
FIXTURE_VARIANT_ADD(info, size_4g) { .bytes = -1 };

static __u32 given_size(const FIXTURE_VARIANT(info) * const variant)
{
	return variant->pages * getpagesize() + variant->bytes;
}

static int expected_result(const FIXTURE_VARIANT(info) * const variant)
{
	if (given_size(variant) < 8)
		return -EINVAL;
	if (given_size(variant) > (__u32)getpagesize())
		return -E2BIG;
	return 0;
}

FIXTURE_SETUP(info)
{
	__u32 size = given_size(variant);

	WQ_REQUIRE_PIPE();
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_EQ(0, wq_set_size(self->fds[0], 3));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &self->expected));

	self->buf_size = 3 * getpagesize();
	self->buf = malloc(self->buf_size);
	ASSERT_FALSE(!self->buf);
	memset(self->buf, GUARD, self->buf_size);
	memcpy(self->buf, &size, sizeof(size));
}

FIXTURE_TEARDOWN(info)
{
	free(self->buf);
	wq_close(self->fds);
}

/*
 * The structure's size is at least 8, else EINVAL, and at most a page, else
 * E2BIG.  What the caller has room for is filled in, the rest of what it has
 * room for is zeroed, nothing behind that is touched; the size comes back as
 * that of the kernel's structure.
 */
TEST_F(info, size)
{
	size_t size = given_size(variant), i;
	unsigned char expected;

	EXPECT_EQ(expected_result(variant),
		  wq_ioctl(self->fds[0], IOC_WATCH_QUEUE_GET_INFO,
			   (unsigned long)self->buf));

	for (i = 0; i < self->buf_size; i++) {
		if (expected_result(variant) && i < sizeof(__u32))
			continue;	/* the size that was asked with */
		if (expected_result(variant) || i >= size)
			expected = GUARD;
		else if (i < sizeof(self->expected))
			expected = ((unsigned char *)&self->expected)[i];
		else
			expected = 0;
		ASSERT_EQ(expected, self->buf[i])
			TH_LOG("byte %zu", i);
	}
	if (!expected_result(variant)) {
		__u32 out;

		memcpy(&out, self->buf, sizeof(out));
		EXPECT_EQ(48U, out);
	}
}

/* The ioctl is told by its type and number, whatever size is encoded in it. */
TEST_F(info, encoded_size_does_not_matter)
{
	static const unsigned int encoded[] = { 0, 8, 40, 47, 49, 64, 0x3fff };
	__u32 size = given_size(variant), out;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(encoded); i++) {
		memcpy(self->buf, &size, sizeof(size));
		EXPECT_EQ(expected_result(variant),
			  wq_ioctl(self->fds[0],
				   _IOC(_IOC_READ | _IOC_WRITE, 'W', 0x63,
					encoded[i]),
				   (unsigned long)self->buf))
			TH_LOG("encoded size %u", encoded[i]);
		memcpy(&out, self->buf, sizeof(out));
		EXPECT_EQ(expected_result(variant) ? size : 48, out);
	}
}

/* Where the structure cannot be read or written, or not all of it: EFAULT. */
TEST(get_info_fault)
{
	char *edge = wq_map_edge(1, 1);
	struct watch_queue_info *info;
	int fds[2];

	WQ_REQUIRE_PIPE();
	ASSERT_FALSE(!edge);
	ASSERT_EQ(0, wq_pipe(fds, 0));

	EXPECT_EQ(-EFAULT, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO, 0));
	EXPECT_EQ(-EFAULT, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO,
				    (unsigned long)edge));

	/* Eight bytes of it are there. */
	info = (void *)(edge - 8);
	info->size = sizeof(*info);
	EXPECT_EQ(-EFAULT, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO,
				    (unsigned long)info));
	info->size = 8;
	EXPECT_EQ(0, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO,
			      (unsigned long)info));

	/* All that the kernel knows is there, but not what it should zero. */
	info = (void *)(edge - sizeof(*info));
	info->size = sizeof(*info) + 8;
	EXPECT_EQ(-EFAULT, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO,
				    (unsigned long)info));

	/* It can be read, not written. */
	info->size = sizeof(*info);
	ASSERT_EQ(0, mprotect(edge - getpagesize(), getpagesize(),
			      PROT_READ));
	EXPECT_EQ(-EFAULT, wq_ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO,
				    (unsigned long)info));
	wq_close(fds);
}

/* ---- What is no notification pipe ---- */

enum other_kind {
	OTHER_PIPE,
	OTHER_FIFO_REOPENED,
	OTHER_MEMFD,
	OTHER_SOCKET,
	OTHER_DIRECTORY,
};

FIXTURE(other)
{
	int fds[2];
	int key;
};

FIXTURE_VARIANT(other)
{
	enum other_kind kind;
};

FIXTURE_VARIANT_ADD(other, pipe) {
	.kind = OTHER_PIPE,
};

FIXTURE_VARIANT_ADD(other, pipe_reopened) {
	.kind = OTHER_FIFO_REOPENED,
};

FIXTURE_VARIANT_ADD(other, regular_file) {
	.kind = OTHER_MEMFD,
};

FIXTURE_VARIANT_ADD(other, socket) {
	.kind = OTHER_SOCKET,
};

FIXTURE_VARIANT_ADD(other, directory) {
	.kind = OTHER_DIRECTORY,
};

FIXTURE_SETUP(other)
{
	self->fds[1] = -EBADF;

	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	self->key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);

	switch (variant->kind) {
	case OTHER_PIPE:
	case OTHER_FIFO_REOPENED:
		ASSERT_EQ(0, pipe2(self->fds, O_CLOEXEC));
		if (variant->kind == OTHER_FIFO_REOPENED) {
			int fd = wq_reopen(self->fds[0], O_RDWR);

			ASSERT_LE(0, fd);
			wq_close(self->fds);
			self->fds[0] = fd;
		}
		break;
	case OTHER_MEMFD:
		self->fds[0] = memfd_create("wq", MFD_CLOEXEC);
		break;
	case OTHER_SOCKET:
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, self->fds))
			SKIP(return, "CONFIG_UNIX is not set");
		break;
	case OTHER_DIRECTORY:
		self->fds[0] = open("/", O_RDONLY | O_DIRECTORY);
		break;
	}
	ASSERT_LE(0, self->fds[0]);
}

FIXTURE_TEARDOWN(other)
{
	wq_close(self->fds);
}

/* The three ioctls are ENOTTY on anything else, an ordinary pipe included. */
TEST_F(other, ioctls)
{
	struct watch_queue_info info = { .size = sizeof(info) };
	struct watch_notification_filter filter = {};
	int i;

	for (i = 0; i < 2; i++) {
		int fd = self->fds[i];

		if (fd < 0)
			continue;
		EXPECT_EQ(-ENOTTY, wq_set_size(fd, 1));
		EXPECT_EQ(-ENOTTY, wq_set_filter(fd, NULL));
		EXPECT_EQ(-ENOTTY, wq_set_filter(fd, &filter));
		EXPECT_EQ(-ENOTTY, wq_get_info(fd, &info));
		EXPECT_EQ(-ENOTTY, wq_ioctl(fd, _IO('W', 0x62), 0));
	}
}

/* KEYCTL_WATCH_KEY tells a wrong file, EINVAL, from none. */
TEST_F(other, watch_key)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->fds[i] < 0)
			continue;
		EXPECT_EQ(-EINVAL, wq_watch_key(self->key, self->fds[i], 1));
		EXPECT_EQ(-EINVAL, wq_watch_key(self->key, self->fds[i], -1));
	}
}

/* Its fdinfo says nothing of a queue. */
TEST_F(other, fdinfo)
{
	struct wq_fdinfo info;

	EXPECT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
	EXPECT_EQ(0, info.found);
}

/* ---- KEYCTL_WATCH_KEY ---- */

FIXTURE(keys)
{
	int fds[2];
	int other[2];
	int ring;
	int key;
	int hidden;	/* no View permission for anybody */
};

FIXTURE_SETUP(keys)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_EQ(0, wq_pipe(self->other, 0));
	ASSERT_LE(0, wq_join_session());
	self->ring = wq_add_keyring("ring", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->ring);
	self->key = wq_add_user_key("wq", self->ring);
	ASSERT_LT(0, self->key);
	self->hidden = wq_add_user_key("hidden", self->ring);
	ASSERT_LT(0, self->hidden);
	ASSERT_EQ(0, wq_keyctl(KEYCTL_SETPERM, self->hidden,
			       WQ_KEY_PERM & ~WQ_KEY_VIEW, 0, 0));
}

FIXTURE_TEARDOWN(keys)
{
	wq_close(self->fds);
	wq_close(self->other);
}

/* No such file descriptor is EBADF; one that only names a file is none. */
TEST_F(keys, no_such_fd)
{
	int fd = dup(self->fds[0]);

	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, fd, 1));
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, fd, -1));
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, -1, 1));
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, 0x7fffffff, 1));

	fd = wq_reopen(self->fds[0], O_PATH);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, fd, 1));
	close(fd);
}

/* When both ends were closed, what a path still leads to is a new queue. */
TEST_F(keys, reopened_after_close)
{
	struct wq_fdinfo info;
	struct wq_record r;
	int path, fd;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_touch(self->key));
	path = wq_reopen(self->fds[0], O_PATH);
	ASSERT_LE(0, path);
	wq_close(self->fds);

	fd = wq_reopen(path, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	close(path);
	ASSERT_EQ(0, wq_fdinfo(0, fd, &info));
	EXPECT_EQ(32, info.depth);
	EXPECT_EQ(0, info.nr_watches);
	EXPECT_EQ(-EAGAIN, wq_read_one(fd, &r));
	EXPECT_EQ(-EXDEV, wq_errno(write(fd, "", 1)));

	EXPECT_EQ(0, wq_watch_key(self->key, fd, 2));
	EXPECT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(0, wq_read_one(fd, &r));
	EXPECT_EQ(2, r.tag);
	close(fd);
}

/* The tag is -1, which removes, or 0 to 255; anything else is EINVAL. */
TEST_F(keys, tag_out_of_range)
{
	static const int tags[] = { -2, -256, 256, 257, 0x7fffffff,
				    -0x7fffffff - 1, 0x10000, 0x10001 };
	struct wq_fdinfo info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tags); i++) {
		EXPECT_EQ(-EINVAL, wq_watch_key(self->key, self->fds[0], tags[i]))
			TH_LOG("tag %d", tags[i]);
	}

	/* None of them has set a watch. */
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
	EXPECT_EQ(0, info.nr_watches);
}

/* Each tag from 0 to 255 comes back in the records, those of removal included. */
TEST_F(keys, every_tag)
{
	struct wq_record recs[3];
	unsigned int tag;

	for (tag = 0; tag <= 255; tag++) {
		ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], tag));
		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));
		ASSERT_EQ(2, wq_read_all(self->fds[0], recs, 3));
		EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_SETATTR, self->key));
		EXPECT_EQ(tag, recs[0].tag);
		EXPECT_TRUE(wq_is_removal(&recs[1]));
		EXPECT_EQ(tag, recs[1].tag);
	}
}

/* One watch for each key and queue: a second is EBUSY and changes nothing. */
TEST_F(keys, already_watching)
{
	struct wq_record recs[3];

	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 4));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->key, self->fds[0], 5));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->key, self->fds[0], 4));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->key, self->fds[1], 4));
	/* Neither another queue nor another key stands in the way. */
	EXPECT_EQ(0, wq_watch_key(self->key, self->other[0], 6));
	EXPECT_EQ(0, wq_watch_key(self->ring, self->fds[0], 7));

	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
	EXPECT_EQ(4U, recs[0].tag);
	ASSERT_EQ(1, wq_read_all(self->other[0], recs, 3));
	EXPECT_EQ(6U, recs[0].tag);
}

/* Nothing to remove is EBADSLT: never watched, by this queue, or no longer. */
TEST_F(keys, nothing_to_remove)
{
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->other[0], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->ring, self->fds[0], -1));
	EXPECT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));
	/* It can be watched again. */
	EXPECT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
}

/* Watching takes View permission on the key: EACCES without. */
TEST_F(keys, no_view_permission)
{
	EXPECT_EQ(-EACCES, wq_watch_key(self->hidden, self->fds[0], 1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));

	/* Giving up a watch that there is not is no matter of permission. */
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->hidden, self->fds[0], -1));
}

/* Nor is giving up one that there is, of a key that may no longer be viewed. */
TEST_F(keys, view_permission_taken_away)
{
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_keyctl(KEYCTL_SETPERM, self->key,
			       WQ_KEY_PERM & ~WQ_KEY_VIEW, 0, 0));
	EXPECT_EQ(-EACCES, wq_watch_key(self->key, self->other[0], 1));
	EXPECT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));
}

/* No such key is ENOKEY. */
TEST_F(keys, no_such_key)
{
	EXPECT_EQ(-ENOKEY, wq_watch_key(0x7fffffff, self->fds[0], 1));
	EXPECT_EQ(-EINVAL, wq_watch_key(0, self->fds[0], 1));
}

/* The fifth argument means nothing; existing programs leave garbage in it. */
TEST_F(keys, further_arguments_are_not_looked_at)
{
	EXPECT_EQ(0, wq_keyctl(KEYCTL_WATCH_KEY, self->key, self->fds[0], 1,
			       ~0UL));
}

/*
 * Which error comes first when there are several: the tag, then the key, then
 * the permission, then the descriptor, then the kind of file, then the watch.
 */
TEST_F(keys, order_of_checks)
{
	const int no_key = 0x7fffffff;
	int plain[2];

	ASSERT_EQ(0, pipe2(plain, O_CLOEXEC));
	EXPECT_EQ(-EINVAL, wq_watch_key(no_key, -1, 256));
	EXPECT_EQ(-EINVAL, wq_watch_key(self->hidden, -1, -2));
	EXPECT_EQ(-EINVAL, wq_watch_key(self->key, -1, 256));

	EXPECT_EQ(-ENOKEY, wq_watch_key(no_key, -1, 255));
	EXPECT_EQ(-ENOKEY, wq_watch_key(no_key, plain[0], 255));
	EXPECT_EQ(-ENOKEY, wq_watch_key(no_key, -1, -1));

	EXPECT_EQ(-EACCES, wq_watch_key(self->hidden, -1, 255));
	EXPECT_EQ(-EACCES, wq_watch_key(self->hidden, plain[0], 255));
	EXPECT_EQ(-EBADF, wq_watch_key(self->hidden, -1, -1));

	EXPECT_EQ(-EBADF, wq_watch_key(self->key, -1, 255));
	EXPECT_EQ(-EBADF, wq_watch_key(self->key, -1, -1));
	EXPECT_EQ(-EINVAL, wq_watch_key(self->key, plain[0], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->key, self->fds[0], -1));
	wq_close(plain);
}

/* ---- fdinfo ---- */

/* The text of /proc/self/fdinfo/@fd from the queue's first line on. */
static int fdinfo_text(int fd, char *text, size_t size)
{
	char path[64], *start;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	len = fread(text, 1, size - 1, f);
	fclose(f);
	text[len] = '\0';
	start = strstr(text, "watch_queue-");
	if (!start)
		return -ENODATA;
	memmove(text, start, strlen(start) + 1);
	return 0;
}

/*
 * fdinfo of either end has, after the lines of any file, depth, capacity, bytes
 * queued, records lost, a line for each rule of the filter and for each watch.
 */
TEST_F(end, fdinfo_format)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rules[2];
	} filter = {
		.head.nr_filters = 2,
		.rules[0] = {
			.type		= WATCH_TYPE_KEY_NOTIFY,
			.info_filter	= 0x00000500,
			.info_mask	= 0x0001ff00,
			.subtype_filter	= { 0x00000080, 2, 3, 4, 5, 6, 7, 0x80000000 },
		},
		.rules[1] = {
			.type		= WATCH_TYPE_META,
			.subtype_filter	= { 0xffffffff },
		},
	};
	char expected[1024], text[4096];

	ASSERT_EQ(0, fdinfo_text(self->fd, text, sizeof(text)));
	EXPECT_STREQ("watch_queue-depth:\t32\n"
		     "watch_queue-capacity:\t4096\n"
		     "watch_queue-queued:\t0\n"
		     "watch_queue-lost:\t0\n", text);

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &filter));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 5));
	ASSERT_EQ(0, wq_touch_n(self->key, 11));

	snprintf(expected, sizeof(expected),
		 "watch_queue-depth:\t1\n"
		 "watch_queue-capacity:\t128\n"
		 "watch_queue-queued:\t144\n"
		 "watch_queue-lost:\t3\n"
		 "watch_queue-filter:\ttype:1 info:00000500 mask:0001ff00 subtypes:00000080,00000002,00000003,00000004,00000005,00000006,00000007,80000000\n"
		 "watch_queue-filter:\ttype:0 info:00000000 mask:00000000 subtypes:ffffffff,00000000,00000000,00000000,00000000,00000000,00000000,00000000\n"
		 "watch_queue-watch:\ttag:5 id:%x\n", self->key);
	ASSERT_EQ(0, fdinfo_text(self->fd, text, sizeof(text)));
	EXPECT_STREQ(expected, text);
}

/* The figures follow what happens: queued what is read, lost what is not. */
TEST_F(end, fdinfo_follows)
{
	struct wq_tally tally = {};
	struct wq_fdinfo info;
	struct wq_record rec;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 2));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], 5));
	ASSERT_EQ(0, wq_touch_n(self->key, 17));

	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	EXPECT_EQ(4, info.found);
	EXPECT_EQ(2U, info.depth);
	EXPECT_EQ(256U, info.capacity);
	EXPECT_EQ(256U + 16, info.queued);
	EXPECT_EQ(1U, info.lost);
	EXPECT_EQ((int)info.queued, wq_fionread(self->fd));

	ASSERT_EQ(0, wq_read_one(self->in, &rec));
	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	EXPECT_EQ(256U, info.queued);

	ASSERT_EQ(0, wq_drain(self->in, &tally));
	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	EXPECT_EQ(0U, info.queued);
	EXPECT_EQ(1U, info.lost);
}

/* There is a line for each watch, as long as it is one. */
TEST_F(end, fdinfo_lists_watches)
{
	struct wq_fdinfo info;
	int keys[40], i, j;
	char desc[16];

	for (i = 0; i < 40; i++) {
		snprintf(desc, sizeof(desc), "key%d", i);
		keys[i] = wq_add_user_key(desc, self->ring);
		ASSERT_LT(0, keys[i]);
		ASSERT_EQ(0, wq_watch_key(keys[i], self->fds[0], 255 - i));
	}
	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	ASSERT_EQ(40, info.nr_watches);
	for (i = 0; i < 40; i++) {
		int seen = 0;

		for (j = 0; j < info.nr_watches; j++)
			seen += info.watches[j].tag == (unsigned int)(255 - i) &&
				info.watches[j].id == (__u64)keys[i];
		EXPECT_EQ(1, seen);
	}

	for (i = 0; i < 40; i++) {
		if (i == 13)
			continue;
		ASSERT_EQ(0, wq_watch_key(keys[i], self->fds[0], -1));
	}
	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ(255U - 13, info.watches[0].tag);
	EXPECT_EQ((__u64)keys[13], info.watches[0].id);

	/* A key that is destroyed takes its line along. */
	ASSERT_EQ(0, wq_unlink_key(keys[13], self->ring));
	for (i = 0; i < 40; i++) {
		struct wq_record rec;

		ASSERT_EQ(0, wq_read_one(self->in, &rec));
		if (wq_is_removal(&rec) && rec.id == (__u64)keys[13])
			break;
	}
	ASSERT_EQ(0, wq_fdinfo(0, self->fd, &info));
	EXPECT_EQ(0, info.nr_watches);
}

TEST_HARNESS_MAIN
