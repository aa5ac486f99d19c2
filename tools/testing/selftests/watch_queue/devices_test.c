// SPDX-License-Identifier: GPL-2.0
/*
 * watch_devices(): its arguments, who may call it, and the life of the watch.
 * What the devices tell is in the tests of each kind of them.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <linux/capability.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_devices.h"

#define TAG	77

FIXTURE(devices)
{
	int fds[2];
};

FIXTURE_SETUP(devices)
{
	WQ_REQUIRE_DEVICES();
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
}

FIXTURE_TEARDOWN(devices)
{
	wq_close(self->fds);
}

/* ---- Arguments ---- */

TEST_F(devices, take_either_end)
{
	EXPECT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));
	EXPECT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));
	EXPECT_EQ(0, wq_watch_devices(self->fds[1], TAG, 0));
	EXPECT_EQ(0, wq_watch_devices(self->fds[1], -1, 0));
}

TEST_F(devices, take_any_tag)
{
	int tag;

	for (tag = 0; tag <= 255; tag++) {
		ASSERT_EQ(0, wq_watch_devices(self->fds[0], tag, 0));
		ASSERT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));
	}
}

TEST_F(devices, refuse_bad_tags)
{
	static const int tags[] = { -2, 256, 257, INT_MAX, INT_MIN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tags); i++)
		EXPECT_EQ(-EINVAL, wq_watch_devices(self->fds[0], tags[i], 0)) {
			TH_LOG("tag %d", tags[i]);
		}
	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->fds[0], -1, 0));
}

TEST_F(devices, refuse_unknown_flags)
{
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, wq_watch_devices(self->fds[0], TAG, 1u << bit));
		EXPECT_EQ(-EINVAL, wq_watch_devices(self->fds[0], -1, 1u << bit));
	}
	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->fds[0], -1, 0));
}

TEST_F(devices, refuse_files_that_are_no_notification_pipes)
{
	int plain[2], null;

	EXPECT_EQ(-EBADF, wq_watch_devices(-1, TAG, 0));
	EXPECT_EQ(-EBADF, wq_watch_devices(INT_MAX, TAG, 0));

	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);
	EXPECT_EQ(-EINVAL, wq_watch_devices(null, TAG, 0));
	EXPECT_EQ(-EINVAL, wq_watch_devices(null, -1, 0));

	ASSERT_EQ(0, pipe(plain));
	EXPECT_EQ(-EINVAL, wq_watch_devices(plain[0], TAG, 0));
	EXPECT_EQ(-EINVAL, wq_watch_devices(plain[1], TAG, 0));
}

/* What is wrong whatever the file is, is said first. */
TEST_F(devices, check_tag_and_flags_before_the_file)
{
	EXPECT_EQ(-EINVAL, wq_watch_devices(-1, 256, 0));
	EXPECT_EQ(-EINVAL, wq_watch_devices(-1, TAG, 1));
	EXPECT_EQ(-EBADF, wq_watch_devices(-1, -1, 0));
}

/* ---- The watch ---- */

TEST_F(devices, are_watched_once_by_a_queue)
{
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));
	EXPECT_EQ(-EBUSY, wq_watch_devices(self->fds[0], TAG, 0));
	EXPECT_EQ(-EBUSY, wq_watch_devices(self->fds[1], TAG + 1, 0));
}

TEST_F(devices, are_watched_by_many_queues)
{
	int fds[64][2], i;

	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, wq_pipe(fds[i], O_NONBLOCK));
		ASSERT_EQ(0, wq_watch_devices(fds[i][0], i, 0));
	}
	for (i = 0; i < 64; i += 2)
		EXPECT_EQ(0, wq_watch_devices(fds[i][0], -1, 0));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(i % 2 ? 0 : -EBADSLT,
			  wq_watch_devices(fds[i][0], -1, 0));
}

/* They have no identifier, so REMOVAL is the header alone. */
TEST_F(devices, tell_of_removal)
{
	struct wq_record r[2];

	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->fds[0], -1, 0));
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));
	EXPECT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));
	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->fds[0], -1, 0));

	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 2));
	EXPECT_TRUE(wq_is_removal(&r[0]));
	EXPECT_EQ(WQ_HEADER, r[0].len);
	EXPECT_EQ(TAG, r[0].tag);
}

TEST_F(devices, can_be_watched_beside_keys)
{
	struct wq_record r[2];
	int key;

	WQ_REQUIRE_KEYS();
	ASSERT_LT(0, wq_join_session());
	key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_watch_key(key, self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], 2, 0));

	ASSERT_EQ(0, wq_touch(key));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 2));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_SETATTR, key));
	EXPECT_EQ(1, r[0].tag);

	/* The one watch ends, the other goes on. */
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 2));
	EXPECT_TRUE(wq_is_removal(&r[0]));
	EXPECT_EQ(2, r[0].tag);
	ASSERT_EQ(0, wq_touch(key));
	EXPECT_EQ(1, wq_read_all(self->fds[0], r, 2));
}

TEST_F(devices, are_shown_in_fdinfo)
{
	struct wq_fdinfo info;

	ASSERT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ(TAG, info.watches[0].tag);
	EXPECT_EQ(0, info.watches[0].id);

	ASSERT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
	EXPECT_EQ(0, info.nr_watches);
}

TEST_F(devices, count_against_the_limit_of_watches)
{
	const struct rlimit none = { 0, 4096 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EAGAIN, wq_watch_devices(self->fds[0], TAG, 0));
}

/* ---- Who may watch ---- */

FIXTURE(permission)
{
	int fds[2];
	__u64 dmesg_restrict;
};

struct who {
	bool namespace;		/* in a child user namespace */
	uid_t uid;
	bool syslog;		/* has CAP_SYSLOG, in its user namespace */
};

FIXTURE_VARIANT(permission)
{
	int restricted;		/* kernel.dmesg_restrict */
	struct who who;
	int expected;
};

#define NOBODY	WQ_NOBODY

/* Where everybody may read the kernel log, everybody may watch. */
FIXTURE_VARIANT_ADD(permission, public_root) { 0, { false, 0, true }, 0 };
FIXTURE_VARIANT_ADD(permission, public_root_no_cap) { 0, { false, 0, false }, 0 };
FIXTURE_VARIANT_ADD(permission, public_user) { 0, { false, NOBODY, false }, 0 };
FIXTURE_VARIANT_ADD(permission, public_user_cap) { 0, { false, NOBODY, true }, 0 };

/* Else it is the capability that counts, not the user. */
FIXTURE_VARIANT_ADD(permission, restricted_root) { 1, { false, 0, true }, 0 };
FIXTURE_VARIANT_ADD(permission, restricted_root_no_cap) { 1, { false, 0, false }, -EPERM };
FIXTURE_VARIANT_ADD(permission, restricted_user) { 1, { false, NOBODY, false }, -EPERM };
FIXTURE_VARIANT_ADD(permission, restricted_user_cap) { 1, { false, NOBODY, true }, 0 };

/* A child user namespace has no devices, whatever one may do there. */
FIXTURE_VARIANT_ADD(permission, public_namespace) { 0, { true, 0, false }, -EPERM };
FIXTURE_VARIANT_ADD(permission, public_namespace_cap) { 0, { true, 0, true }, -EPERM };
FIXTURE_VARIANT_ADD(permission, restricted_namespace) { 1, { true, 0, false }, -EPERM };
FIXTURE_VARIANT_ADD(permission, restricted_namespace_cap) { 1, { true, 0, true }, -EPERM };

FIXTURE_SETUP(permission)
{
	WQ_REQUIRE_ROOT();
	WQ_REQUIRE_DEVICES();
	if (variant->who.namespace)
		WQ_REQUIRE_PATH("/proc/self/ns/user", "CONFIG_USER_NS");
	ASSERT_EQ(0, wq_pipe(self->fds, O_NONBLOCK));
	ASSERT_EQ(0, wq_sysctl_read("kernel/dmesg_restrict",
				    &self->dmesg_restrict));
}

FIXTURE_TEARDOWN(permission)
{
	EXPECT_EQ(0, wq_sysctl_write("kernel/dmesg_restrict",
				     self->dmesg_restrict));
	wq_close(self->fds);
}

/* Keeps no capability but, if @keep, CAP_SYSLOG. */
static int keep_syslog(bool keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (keep) {
		data[CAP_TO_INDEX(CAP_SYSLOG)].effective = CAP_TO_MASK(CAP_SYSLOG);
		data[CAP_TO_INDEX(CAP_SYSLOG)].permitted = CAP_TO_MASK(CAP_SYSLOG);
	}
	return wq_errno(syscall(__NR_capset, &head, data));
}

static int become(const struct who *who)
{
	if (who->namespace && unshare(CLONE_NEWUSER))
		return -errno;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	if (who->uid && setresuid(who->uid, who->uid, who->uid))
		return -errno;
	return keep_syslog(who->syslog);
}

/* What watch_devices() says to somebody else; 1 if nobody could be that. */
static int watch_as(const struct who *who, int fd, int tag)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (become(who))
			_exit(255);
		_exit(-wq_watch_devices(fd, tag, 0));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 255)
		return 1;
	return -WEXITSTATUS(status);
}

TEST_F(permission, to_watch)
{
	ASSERT_EQ(0, wq_sysctl_write("kernel/dmesg_restrict",
				     variant->restricted));
	EXPECT_EQ(variant->expected, watch_as(&variant->who, self->fds[0], TAG));

	/* Whoever was refused has left no watch behind. */
	EXPECT_EQ(variant->expected ? -EBADSLT : 0,
		  wq_watch_devices(self->fds[0], -1, 0));
}

TEST_F(permission, to_stop_is_not_needed)
{
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));
	ASSERT_EQ(0, wq_sysctl_write("kernel/dmesg_restrict",
				     variant->restricted));
	EXPECT_EQ(0, watch_as(&variant->who, self->fds[0], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->fds[0], -1, 0));
}

/* ---- How many may watch ---- */

#define UNPRIVILEGED_MAX	256

FIXTURE(crowd)
{
	int fds[UNPRIVILEGED_MAX + 2][2];
	__u64 dmesg_restrict;
};

FIXTURE_SETUP(crowd)
{
	const struct rlimit files = { 4096, 4096 };

	WQ_REQUIRE_ROOT();
	WQ_REQUIRE_DEVICES();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	memset(self->fds, -1, sizeof(self->fds));
	ASSERT_EQ(0, wq_sysctl_read("kernel/dmesg_restrict",
				    &self->dmesg_restrict));
	ASSERT_EQ(0, wq_sysctl_write("kernel/dmesg_restrict", 0));
}

FIXTURE_TEARDOWN(crowd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->fds); i++)
		wq_close(self->fds[i]);
	EXPECT_EQ(0, wq_sysctl_write("kernel/dmesg_restrict",
				     self->dmesg_restrict));
}

/* Gives up CAP_SYSLOG, or takes it back. */
static int use_syslog(bool use)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	__u32 *effective = &data[CAP_TO_INDEX(CAP_SYSLOG)].effective;

	if (syscall(__NR_capget, &head, data))
		return -errno;
	if (use)
		*effective |= CAP_TO_MASK(CAP_SYSLOG);
	else
		*effective &= ~CAP_TO_MASK(CAP_SYSLOG);
	return wq_errno(syscall(__NR_capset, &head, data));
}

static int join(int fds[2])
{
	int ret = wq_pipe(fds, 0);

	return ret ? ret : wq_watch_devices(fds[0], TAG, 0);
}

/* Whoever has the capability is not counted, and does not wait for who lacks it. */
TEST_F(crowd, is_bounded)
{
	unsigned int i;

	ASSERT_EQ(0, join(self->fds[UNPRIVILEGED_MAX + 1]));
	ASSERT_EQ(0, use_syslog(false));
	for (i = 0; i < UNPRIVILEGED_MAX; i++)
		ASSERT_EQ(0, join(self->fds[i]));
	EXPECT_EQ(-EAGAIN, join(self->fds[i]));
	EXPECT_EQ(-EAGAIN, wq_watch_devices(self->fds[i][0], TAG, 0));

	ASSERT_EQ(0, use_syslog(true));
	EXPECT_EQ(0, wq_watch_devices(self->fds[i][0], TAG, 0));
	EXPECT_EQ(-EBUSY, wq_watch_devices(self->fds[0][0], TAG, 0));
}

/* Nor is one counted any more that has ended, in whatever way, or never was. */
TEST_F(crowd, makes_room)
{
	unsigned int i;

	ASSERT_EQ(0, use_syslog(false));
	for (i = 0; i < UNPRIVILEGED_MAX; i++)
		ASSERT_EQ(0, join(self->fds[i]));
	EXPECT_EQ(0, wq_watch_devices(self->fds[0][0], -1, 0));
	EXPECT_EQ(-EBUSY, wq_watch_devices(self->fds[1][0], TAG, 0));
	EXPECT_EQ(0, wq_watch_devices(self->fds[0][0], TAG, 0));
	EXPECT_EQ(-EAGAIN, join(self->fds[i]));

	wq_close(self->fds[0]);
	EXPECT_EQ(0, wq_watch_devices(self->fds[i][0], TAG, 0));
	ASSERT_EQ(0, use_syslog(true));
}

TEST_HARNESS_MAIN
