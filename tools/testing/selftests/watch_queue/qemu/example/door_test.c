// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the documentation's example of a source does what it says there, tried with the
 * door of hw.c.
 */
#define _GNU_SOURCE
#include "../../../kselftest_harness.h"
#include "../../watch_queue_util.h"

#define PARAMETERS	"/sys/module/door/parameters/"
#define NUMBER		7
#define TAG		5
#define TURNS		2000

/* As the page has it, which gives programs no header of its own. */
struct door_watch_arg {
	__s32	fd;
	__s32	tag;
};

#define DOOR_IOC_WATCH	_IOW('d', 0xd0, struct door_watch_arg)

static int set_present(bool present)
{
	return wq_file_write(PARAMETERS "present", present ? "1" : "0");
}

static int set_open(bool open)
{
	return wq_file_write(PARAMETERS "open", open ? "1" : "0");
}

static int set_locked(bool locked)
{
	return wq_file_write(PARAMETERS "locked", locked ? "1" : "0");
}

static int open_file(void)
{
	return wq_errno(open("/dev/door", O_RDONLY | O_CLOEXEC));
}

static int watch_door(int door, int fd, int tag)
{
	struct door_watch_arg arg = { .fd = fd, .tag = tag };

	return wq_ioctl(door, DOOR_IOC_WATCH, (unsigned long)&arg);
}

/* The next record, which is to come soon; all its bytes. */
static ssize_t next_record(int fd, void *buf, size_t size)
{
	int events = wq_poll(fd, POLLIN, WQ_PATIENCE_MS);

	if (events < 0)
		return events;
	return events & POLLIN ? wq_read(fd, buf, size) : -ETIME;
}

/* A door, shut and unlocked, and a pipe that watches it. */
FIXTURE(door)
{
	int fds[2];
	int file;
};

FIXTURE_SETUP(door)
{
	ASSERT_EQ(0, set_locked(false));
	ASSERT_EQ(0, set_present(true));
	ASSERT_EQ(0, wq_pipe(self->fds, O_CLOEXEC));
	self->file = open_file();
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, watch_door(self->file, self->fds[0], TAG));
}

FIXTURE_TEARDOWN(door)
{
	wq_close(self->fds);
	if (self->file >= 0)
		close(self->file);
	EXPECT_EQ(0, set_present(false));
}

static void expect_record(struct __test_metadata *_metadata, int fd,
			  unsigned int subtype, unsigned int flags)
{
	struct door_notification n = {};
	struct wq_record r;

	ASSERT_EQ(sizeof(n), next_record(fd, &n, sizeof(n)));
	ASSERT_EQ(sizeof(n), wq_decode(&n, sizeof(n), &r));
	EXPECT_EQ(WATCH_TYPE_DOOR_NOTIFY, r.type);
	EXPECT_EQ(subtype, r.subtype);
	EXPECT_EQ(TAG, r.tag);
	EXPECT_EQ(flags, r.type_info << WATCH_INFO_TYPE_INFO__SHIFT);
	EXPECT_EQ(NUMBER, n.door);
	EXPECT_EQ(0, n.__reserved);
}

static void expect_removal(struct __test_metadata *_metadata, int fd)
{
	struct wq_record r;

	ASSERT_EQ(0, wq_read_one(fd, &r));
	EXPECT_TRUE(wq_is_removal(&r));
	EXPECT_EQ(TAG, r.tag);
	EXPECT_EQ(NUMBER, r.id);
}

TEST_F(door, tells_what_happens)
{
	ASSERT_EQ(0, set_open(true));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_OPENED, 0);
	ASSERT_EQ(0, set_open(false));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_CLOSED, 0);
	ASSERT_EQ(0, set_locked(true));
	ASSERT_EQ(0, set_open(true));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_OPENED, NOTIFY_DOOR_FORCED);
	EXPECT_FALSE(wq_readable(self->fds[0]));
}

/* Only what is forced. */
TEST_F(door, can_be_filtered)
{
	const struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters	= 1,
		.rule.type		= WATCH_TYPE_DOOR_NOTIFY,
		.rule.info_filter	= NOTIFY_DOOR_FORCED,
		.rule.info_mask		= NOTIFY_DOOR_FORCED,
		.rule.subtype_filter[0]	= 1 << NOTIFY_DOOR_OPENED,
	};

	ASSERT_EQ(0, wq_set_filter(self->fds[0], &filter));
	ASSERT_EQ(0, set_open(true));
	ASSERT_EQ(0, set_open(false));
	ASSERT_EQ(0, set_locked(true));
	ASSERT_EQ(0, set_open(true));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_OPENED, NOTIFY_DOOR_FORCED);
	EXPECT_FALSE(wq_readable(self->fds[0]));
}

TEST_F(door, counts_what_is_lost)
{
	struct wq_tally tally = {};
	int i;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	for (i = 0; i < TURNS; i++)
		ASSERT_EQ(0, set_open(i % 2));
	ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	EXPECT_EQ(TURNS, tally.records + tally.lost);
	EXPECT_NE(0, tally.lost);
}

TEST_F(door, is_known_to_the_queue)
{
	struct watch_queue_info info;
	struct wq_fdinfo fdinfo;

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_TRUE(info.types & 1 << WATCH_TYPE_DOOR_NOTIFY);
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &fdinfo));
	ASSERT_EQ(1, fdinfo.nr_watches);
	EXPECT_EQ(TAG, fdinfo.watches[0].tag);
	EXPECT_EQ(NUMBER, fdinfo.watches[0].id);
}

TEST_F(door, refuses_as_documented)
{
	int plain[2];

	ASSERT_EQ(0, pipe2(plain, O_CLOEXEC));
	EXPECT_EQ(-EINVAL, watch_door(self->file, self->fds[0], -2));
	EXPECT_EQ(-EINVAL, watch_door(self->file, self->fds[0], 256));
	EXPECT_EQ(-EINVAL, watch_door(self->file, plain[0], TAG));
	EXPECT_EQ(-EBADF, watch_door(self->file, -1, TAG));
	EXPECT_EQ(-EBUSY, watch_door(self->file, self->fds[1], TAG + 1));
	EXPECT_EQ(-EFAULT, wq_ioctl(self->file, DOOR_IOC_WATCH, 1));
	EXPECT_EQ(-ENOTTY, wq_ioctl(self->file, _IO('d', 0xd1), 0));

	ASSERT_EQ(0, set_open(true));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_OPENED, 0);
}

TEST_F(door, can_be_watched_no_more)
{
	ASSERT_EQ(0, watch_door(self->file, self->fds[0], -1));
	ASSERT_EQ(0, set_open(true));
	expect_removal(_metadata, self->fds[0]);
	EXPECT_FALSE(wq_readable(self->fds[0]));
	EXPECT_EQ(-EBADSLT, watch_door(self->file, self->fds[0], -1));
}

TEST_F(door, goes_while_it_is_open)
{
	ASSERT_EQ(0, set_present(false));
	expect_removal(_metadata, self->fds[0]);
	EXPECT_EQ(-ENODEV, watch_door(self->file, self->fds[0], TAG));
	EXPECT_EQ(-ENODEV, open_file());
}

TEST_F(door, outlives_its_pipe)
{
	wq_close(self->fds);
	ASSERT_EQ(0, set_open(true));
	ASSERT_EQ(0, wq_pipe(self->fds, O_CLOEXEC));
	ASSERT_EQ(0, watch_door(self->file, self->fds[1], TAG));
	ASSERT_EQ(0, set_open(false));
	expect_record(_metadata, self->fds[0], NOTIFY_DOOR_CLOSED, 0);
}

TEST_HARNESS_MAIN
