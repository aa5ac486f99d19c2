// SPDX-License-Identifier: GPL-2.0
/*
 * SELinux on watches: who may set one on devices, what is posted to whom, what of
 * that is audited and how, and that keys are none of this.
 *
 * Runs where SELinux is active (lsm=selinux).  The policies are in lsm/policy.conf
 * and are loaded here, so whatever was loaded before is gone.
 *
 * The disk reports its errors in hard interrupts, while the tester waits.
 */
#define _GNU_SOURCE
#include <libgen.h>

#include "../kselftest_harness.h"
#include "watch_queue_lsm.h"

#define SELINUXFS	"/sys/fs/selinux"
#define TAG		0x5e

/* How many posts are refused in a storm. */
#define STORM		5000

/* A type's name in an audit record. */
#define SUBJECT(type)	" scontext=test_u:test_r:" type " "
#define OBJECT		" tcontext=test_u:test_r:kernel_t tclass=system"
#define DENIED		"avc:  denied  { watch_devices } for "
#define GRANTED		"avc:  granted  { watch_devices } for "

FIXTURE(selinux)
{
	struct wq_lsm t;
};

/* ---- The policy ---- */

/* Opens the file beside this program. */
static int open_policy(const char *name)
{
	char path[PATH_MAX], exe[PATH_MAX - 64];
	ssize_t len;

	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return -errno;
	exe[len] = 0;
	snprintf(path, sizeof(path), "%s/selinux-%s.policy", dirname(exe), name);
	return wq_errno(open(path, O_RDONLY | O_CLOEXEC));
}

static int load_policy(const char *name)
{
	char policy[65536];
	ssize_t len;
	int fd;

	fd = open_policy(name);
	if (fd < 0)
		return fd;
	len = wq_errno(read(fd, policy, sizeof(policy)));
	close(fd);
	if (len < 0)
		return len;

	fd = open(SELINUXFS "/load", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = write(fd, policy, len) == len ? 0 : -errno;
	close(fd);
	return len;
}

/* Fails if this is not how it is then, whether it can be changed or not. */
static int set_enforcing(bool on)
{
	__u64 now = 0;
	int ret;

	wq_file_write(SELINUXFS "/enforce", on ? "1" : "0");
	ret = wq_file_read_u64(SELINUXFS "/enforce", &now);
	if (!ret && now != on)
		ret = -EPERM;
	return ret;
}

/* The boolean of the policy; also makes everything be decided anew. */
static int set_may_hear(bool on)
{
	int ret = wq_file_write(SELINUXFS "/booleans/may_hear", on ? "1" : "0");

	if (!ret)
		ret = wq_file_write(SELINUXFS "/commit_pending_bools", "1");
	return ret;
}

static int become(const char *type)
{
	char context[64];

	snprintf(context, sizeof(context), "test_u:test_r:%s", type);
	return wq_file_write("/proc/self/attr/current", context);
}

FIXTURE_SETUP(selinux)
{
	int policy;

	memset(self, -1, sizeof(*self));
	if (!wq_knows_filesystem("selinuxfs"))
		SKIP(return, "SELinux is not active, lsm=selinux is needed");
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	wq_mount("selinuxfs", SELINUXFS);

	policy = open_policy("knows");
	if (policy == -ENOENT)
		SKIP(return, "there was no checkpolicy when this was built");
	ASSERT_LE(0, policy);
	close(policy);
	ASSERT_EQ(0, load_policy("knows"));
	ASSERT_EQ(0, set_may_hear(true));
	ASSERT_EQ(0, set_enforcing(true));
	ASSERT_EQ(0, wq_lsm_begin(&self->t));
}

FIXTURE_TEARDOWN(selinux)
{
	EXPECT_EQ(0, wq_lsm_end(&self->t));
}

/* Sets the watch of self->t.fds as a process of that type. */
static int watch_as(FIXTURE_DATA(selinux) * const self, const char *type)
{
	pid_t pid;

	return wq_watch_as(become, type, self->t.fds[0], TAG, 0, &pid);
}

/* ---- To watch ---- */

TEST_F(selinux, allowed)
{
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, "allowed_t"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	EXPECT_EQ(3, wq_failures_heard(self->t.all[0], &self->t.disk));

	/* Nothing is said of it: what comes is about the next one, who may not. */
	EXPECT_EQ(-EBUSY, watch_as(self, "allowed_t"));
	EXPECT_EQ(-EACCES, watch_as(self, "denied_t"));
	do {
		ASSERT_EQ(0, wq_audit_next(self->t.audit, text, WQ_PATIENCE_MS));
		EXPECT_EQ(NULL, strstr(text, SUBJECT("allowed_t"))) {
			TH_LOG("%s", text);
		}
	} while (!strstr(text, SUBJECT("denied_t")));
}

/* By the rule that the documentation shows. */
TEST_F(selinux, allowed_as_shown)
{
	ASSERT_EQ(0, watch_as(self, "diskmon_t"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

TEST_F(selinux, denied)
{
	char text[WQ_AUDIT_MAX], task[32];
	pid_t pid;

	ASSERT_EQ(-EACCES, wq_watch_as(become, "denied_t", self->t.fds[0], TAG, 0,
				       &pid));
	/* Here it is the task that is to blame. */
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("denied_t"), OBJECT,
		       " permissive=0", " comm=\"selinux_test\"");
	snprintf(task, sizeof(task), " pid=%d ", pid);
	EXPECT_NE(NULL, strstr(text, task)) {
		TH_LOG("no%sin %s", task, text);
	}
	EXPECT_FALSE(wq_audit_is_post(text));

	/* No watch was left behind. */
	EXPECT_EQ(-EBADSLT, wq_watch_devices(self->t.fds[0], -1, 0));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_EQ(1, wq_failures_heard(self->t.all[0], &self->t.disk));
}

/* Each refusal is audited, however many there are. */
TEST_F(selinux, denied_each_time)
{
	char text[WQ_AUDIT_MAX];
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(-EACCES, watch_as(self, "denied_t"));
	for (i = 0; i < 20; i++)
		WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("denied_t"),
			       OBJECT, " pid=");
}

TEST_F(selinux, denied_quietly)
{
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(-EACCES, watch_as(self, "quiet_t"));
	ASSERT_EQ(-EACCES, watch_as(self, "denied_t"));
	do {
		ASSERT_EQ(0, wq_audit_next(self->t.audit, text, WQ_PATIENCE_MS));
		EXPECT_EQ(NULL, strstr(text, SUBJECT("quiet_t"))) {
			TH_LOG("%s", text);
		}
	} while (!strstr(text, SUBJECT("denied_t")));
}

/* To stop takes no permission. */
TEST_F(selinux, stop)
{
	ASSERT_EQ(0, watch_as(self, "losing_t"));
	ASSERT_EQ(0, set_may_hear(false));
	EXPECT_EQ(0, wq_watch_devices(self->t.fds[0], -1, 0));
}

/* ---- To be told ---- */

/* What cannot be heard has not been lost; and it can be heard again. */
TEST_F(selinux, post_denied)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, "losing_t"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 2));
	EXPECT_EQ(2, wq_failures_heard(self->t.fds[0], &self->t.disk));

	ASSERT_EQ(0, set_may_hear(false));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("losing_t"), OBJECT,
		       " permissive=0", " watch_type=2 watch_subtype=10 posts=1");
	EXPECT_FALSE(wq_audit_blames(text)) {
		TH_LOG("%s", text);
	}

	/* The tester does hear it; so the posts have been made. */
	ASSERT_EQ(0, wq_fail(&self->t.disk, 4));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_EQ(7, wq_failures_heard(self->t.all[0], &self->t.disk));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, SUBJECT("losing_t"), 4, &tally));
	EXPECT_EQ(4, tally.posts);
	EXPECT_EQ(0, tally.wrong);

	ASSERT_EQ(0, set_may_hear(true));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_EQ(1, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

/* Each post is accounted for, in few records. */
TEST_F_TIMEOUT(selinux, post_denied_storm, 300)
{
	struct wq_audit_tally tally = { 0 };
	long begin;
	int i;

	ASSERT_EQ(0, watch_as(self, "losing_t"));
	ASSERT_EQ(0, set_may_hear(false));
	begin = wq_now_ms();
	for (i = 0; i < STORM; i += 100) {
		ASSERT_EQ(0, wq_fail(&self->t.disk, 100));
		ASSERT_EQ(100, wq_failures_heard(self->t.all[0], &self->t.disk));
	}
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));

	ASSERT_EQ(0, wq_audit_count(self->t.audit, SUBJECT("losing_t"), STORM, &tally));
	EXPECT_EQ(STORM, tally.posts);
	EXPECT_EQ(0, tally.wrong);
	EXPECT_GE(2 + (wq_now_ms() - begin) / WQ_AUDIT_INTERVAL_MS, tally.records);
}

TEST_F(selinux, post_denied_quietly)
{
	char text[WQ_AUDIT_MAX];
	unsigned long posts = 0;
	int loud[2];
	pid_t pid;

	ASSERT_EQ(0, wq_pipe(loud, O_CLOEXEC));
	ASSERT_EQ(0, watch_as(self, "quietly_losing_t"));
	ASSERT_EQ(0, wq_watch_as(become, "losing_t", loud[0], TAG, 0, &pid));
	ASSERT_EQ(0, set_may_hear(false));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 5));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_TRUE(wq_heard_nothing(loud[0]));
	while (posts < 5) {
		ASSERT_EQ(0, wq_audit_next(self->t.audit, text, WQ_PATIENCE_MS));
		EXPECT_EQ(NULL, strstr(text, SUBJECT("quietly_losing_t"))) {
			TH_LOG("%s", text);
		}
		if (strstr(text, SUBJECT("losing_t")))
			posts += wq_audit_number(text, " posts=");
	}
	EXPECT_EQ(5, posts);
	wq_close(loud);
}

/* What is told of USB is ruled on as well. */
TEST_F_TIMEOUT(selinux, post_of_usb_denied, 240)
{
	char text[WQ_AUDIT_MAX];
	int usb[2];

	WQ_REQUIRE_PATH("/dev/raw-gadget", "CONFIG_USB_RAW_GADGET");
	ASSERT_EQ(0, wq_pipe_with_devices(usb, 256, TAG));
	ASSERT_EQ(0, watch_as(self, "losing_t"));
	ASSERT_EQ(0, set_may_hear(false));
	ASSERT_EQ(0, wq_plug_in_and_out(usb[0]));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("losing_t"), OBJECT,
		       " watch_type=3 watch_subtype=0 posts=1");
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("losing_t"), OBJECT,
		       " watch_type=3 watch_subtype=1 posts=1");
	wq_close(usb);
}

/* ---- What is put down without being refused ---- */

TEST_F(selinux, granted_with_a_note)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, "noted_t"));
	WQ_AUDIT_AWAIT(self->t.audit, text, GRANTED, SUBJECT("noted_t"), OBJECT, " pid=");
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, SUBJECT("noted_t"), 3, &tally));
	EXPECT_EQ(3, tally.posts);
	EXPECT_EQ(0, tally.wrong);
}

/*
 * More is said at a time than can be told apart: what is left over is told as a
 * number, and nothing is said twice.
 */
TEST_F_TIMEOUT(selinux, more_than_can_be_told_apart, 120)
{
	static const int errors[] = {
		ETIMEDOUT, ENOSPC, ENOLINK, EREMOTEIO, EBADE, ENODATA, EILSEQ, ENOMEM,
		EBUSY, EIO, EOPNOTSUPP, EAGAIN, ETOOMANYREFS, EOVERFLOW, ENODEV, ETIME,
		EINVAL, EREMCHG,
	};
	const unsigned long total = 2 * ARRAY_SIZE(errors);
	unsigned long posts = 0, others = 0;
	char text[WQ_AUDIT_MAX];
	struct wq_disk disk;
	struct wq_ublk u;
	int losing[2];
	pid_t pid;
	size_t i;

	WQ_REQUIRE_PATH("/dev/ublk-control", "CONFIG_BLK_DEV_UBLK");
	ASSERT_EQ(0, wq_ublk_start(&u));
	ASSERT_EQ(0, wq_disk_open(&disk, u.disk));
	ASSERT_EQ(0, wq_pipe(losing, O_CLOEXEC));
	ASSERT_EQ(0, wq_watch_as(become, "losing_t", losing[0], TAG, 0, &pid));
	ASSERT_EQ(0, watch_as(self, "noted_t"));
	ASSERT_EQ(0, set_may_hear(false));
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		wq_ublk_fail(&u, errors[i], WQ_NULL_BAD, WQ_NULL_BAD + WQ_IO_SECTORS);
		EXPECT_EQ(-errors[i],
			  wq_disk_read(disk.fd, WQ_NULL_BAD, WQ_IO_SECTORS));
	}
	while (posts + others < total) {
		ASSERT_EQ(0, wq_audit_next(self->t.audit, text, WQ_PATIENCE_MS)) {
			TH_LOG("%lu and %lu posts were told", posts, others);
		}
		posts += wq_audit_number(text, " posts=");
		others += wq_audit_number(text, " other_posts=");
		EXPECT_TRUE(!wq_audit_is_post(text) || !wq_audit_blames(text));
	}
	EXPECT_EQ(total, posts + others);
	EXPECT_LT(0, others);
	EXPECT_TRUE(wq_heard_nothing(losing[0]));
	wq_close(losing);
	wq_disk_close(&disk);
	EXPECT_EQ(0, wq_ublk_stop(&u));
}

TEST_F(selinux, permissive_domain)
{
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, "permissive_t"));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("permissive_t"), OBJECT,
		       " pid=", " permissive=1");

	/* What was let pass once is, until everything is decided anew. */
	ASSERT_EQ(0, set_may_hear(true));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("permissive_t"), OBJECT,
		       " permissive=1", " posts=1");
	EXPECT_FALSE(wq_audit_blames(text)) {
		TH_LOG("%s", text);
	}
}

TEST_F(selinux, permissive_mode)
{
	char text[WQ_AUDIT_MAX];

	if (set_enforcing(false))
		SKIP(return, "CONFIG_SECURITY_SELINUX_DEVELOP is not set");
	ASSERT_EQ(0, watch_as(self, "denied_t"));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("denied_t"), OBJECT,
		       " pid=", " permissive=1");

	ASSERT_EQ(0, set_may_hear(false));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("denied_t"), OBJECT,
		       " permissive=1", " posts=1");

	/* Enforcing again, it hears no more. */
	ASSERT_EQ(0, set_enforcing(true));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("denied_t"), OBJECT,
		       " permissive=0", " posts=1");
}

/* ---- Keys, and policies that know nothing of devices ---- */

/* Watches a new key as a process of that type; returns the key. */
static int watch_key_as(FIXTURE_DATA(selinux) * const self, const char *type)
{
	static unsigned int number;
	char name[32];
	int key, ret;
	pid_t pid;

	snprintf(name, sizeof(name), "key %u", number++);
	key = wq_add_user_key(name, KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	/* Afterwards that process has what permissions it takes, but SELinux'. */
	ret = wq_touch(key);
	if (!ret)
		ret = wq_watch_as(become, type, self->t.fds[0], TAG, key, &pid);
	return ret ? ret : key;
}

/* Changes the key; whether the next record tells of it. */
static bool told_of_key(FIXTURE_DATA(selinux) * const self, int key)
{
	struct wq_record r;

	return key > 0 && !wq_touch(key) && wq_readable(self->t.fds[0]) &&
	       !wq_read_one(self->t.fds[0], &r) &&
	       wq_is_key(&r, NOTIFY_KEY_SETATTR, key);
}

TEST_F(selinux, keys_need_view)
{
	char text[WQ_AUDIT_MAX];

	EXPECT_EQ(-EACCES, watch_key_as(self, "keyless_t"));
	WQ_AUDIT_AWAIT(self->t.audit, text, "avc:  denied  { view } for ",
		       SUBJECT("keyless_t"), " tclass=key permissive=0");
}

/* Who may not watch devices may be told of keys. */
TEST_F(selinux, keys_need_no_devices)
{
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "denied_t")));
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "allowed_t")));
	ASSERT_EQ(0, watch_as(self, "losing_t"));
	ASSERT_EQ(0, set_may_hear(false));
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "losing_t")));
}

TEST_F(selinux, unknown_denied)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];
	int key;

	ASSERT_EQ(0, watch_as(self, "allowed_t"));
	key = watch_key_as(self, "denied_t");
	EXPECT_TRUE(told_of_key(self, key));
	ASSERT_EQ(0, load_policy("lacks-deny"));

	EXPECT_TRUE(told_of_key(self, key));
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "denied_t")));
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "allowed_t")));

	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, SUBJECT("allowed_t"), 3, &tally));
	EXPECT_EQ(3, tally.posts);
	EXPECT_EQ(0, tally.wrong);

	ASSERT_EQ(0, wq_watch_devices(self->t.fds[0], -1, 0));
	EXPECT_EQ(-EACCES, watch_as(self, "allowed_t"));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED, SUBJECT("allowed_t"), OBJECT,
		       " pid=", " permissive=0");
}

TEST_F(selinux, unknown_allowed)
{
	ASSERT_EQ(0, load_policy("lacks-allow"));
	EXPECT_TRUE(told_of_key(self, watch_key_as(self, "denied_t")));
	ASSERT_EQ(0, watch_as(self, "denied_t"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

TEST_HARNESS_MAIN
