// SPDX-License-Identifier: GPL-2.0
/*
 * Smack on watches: who may set one on devices, what is posted to whom, what of
 * that is audited and how, and that keys are asked about as ever.
 *
 * Runs where Smack is active (lsm=smack).  The tester has the floor label "_",
 * which is the system's, so what it hears is what has been posted.
 *
 * The disk reports its errors in hard interrupts, while the tester waits.
 */
#define _GNU_SOURCE
#include <linux/capability.h>

#include "../kselftest_harness.h"
#include "watch_queue_lsm.h"

#define SMACKFS		"/sys/fs/smackfs"
#define TAG		0x5a

/* How many posts are refused in a storm. */
#define STORM		5000

/* A label that each test gives a rule, and one that never has one. */
#define RULED		"Wq-Ruled"
#define UNRULED		"Wq-Unruled"

#define DENIED_WATCH	"lsm=SMACK fn=smack_watch_devices action=denied"
#define DENIED_POST	"lsm=SMACK fn=smack_post_notification action=denied"
#define GRANTED_POST	"lsm=SMACK fn=smack_post_notification action=granted"
#define TO(label)	" subject=\"_\" object=\"" label "\" requested=w"

FIXTURE(smack)
{
	struct wq_lsm t;
};

/* ---- Labels and rules ---- */

/* What the system may do to what has the label RULED: "w", or "-" for nothing. */
static int set_rule(const char *access)
{
	return wq_write_to(SMACKFS "/load2", "_ " RULED " %s", access);
}

/* Without changing anything else; CAP_MAC_OVERRIDE stays. */
static int become_privileged(const char *label)
{
	return wq_file_write("/proc/self/attr/current", label);
}

static int become(const char *label)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int ret = become_privileged(label);

	if (!ret)
		ret = wq_errno(syscall(__NR_capget, &head, data));
	if (!ret) {
		data[CAP_TO_INDEX(CAP_MAC_OVERRIDE)].effective &=
			~CAP_TO_MASK(CAP_MAC_OVERRIDE);
		ret = wq_errno(syscall(__NR_capset, &head, data));
	}
	return ret;
}

/* Has a rule of its own that it must not read what is the system's. */
static int become_blind(const char *label)
{
	int ret = become(label);

	if (!ret)
		ret = wq_write_to(SMACKFS "/load-self2", "%s _ -", label);
	return ret;
}

FIXTURE_SETUP(smack)
{
	memset(self, -1, sizeof(*self));
	if (!wq_knows_filesystem("smackfs"))
		SKIP(return, "Smack is not active, lsm=smack is needed");
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	wq_mount("smackfs", SMACKFS);
	ASSERT_EQ(0, set_rule("w"));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/onlycap", "-"));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/logging", "1"));
	ASSERT_EQ(0, wq_lsm_begin(&self->t));
}

FIXTURE_TEARDOWN(smack)
{
	EXPECT_EQ(0, wq_lsm_end(&self->t));
}

/* Sets the watch of self->t.fds as a process of that label, without privilege. */
static int watch_as(FIXTURE_DATA(smack) * const self, const char *label)
{
	pid_t pid;

	return wq_watch_as(become, label, self->t.fds[0], TAG, 0, &pid);
}

/* ---- To watch ---- */

/* What has the system's own label needs no rule. */
TEST_F(smack, floor)
{
	ASSERT_EQ(0, watch_as(self, "_"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

TEST_F(smack, allowed)
{
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	EXPECT_EQ(3, wq_failures_heard(self->t.all[0], &self->t.disk));

	/* Nothing is said of it: what comes is about the next one, who may not. */
	EXPECT_EQ(-EACCES, watch_as(self, UNRULED));
	do {
		ASSERT_EQ(0, wq_audit_next(self->t.audit, text, WQ_PATIENCE_MS));
		EXPECT_EQ(NULL, strstr(text, RULED)) {
			TH_LOG("%s", text);
		}
	} while (!strstr(text, UNRULED));
}

/* By the rule that the documentation shows. */
TEST_F(smack, allowed_as_shown)
{
	ASSERT_EQ(-EACCES, watch_as(self, "Diskmon"));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/load2", "_ Diskmon w"));
	ASSERT_EQ(0, watch_as(self, "Diskmon"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
	EXPECT_EQ(0, wq_file_write(SMACKFS "/load2", "_ Diskmon -"));
}

TEST_F(smack, denied)
{
	char text[WQ_AUDIT_MAX], task[32];
	pid_t pid;

	ASSERT_EQ(-EACCES, wq_watch_as(become, UNRULED, self->t.fds[0], TAG, 0, &pid));
	/* Here it is the task that is to blame. */
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_WATCH TO(UNRULED),
		       " comm=\"smack_test\"");
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
TEST_F(smack, denied_each_time)
{
	char text[WQ_AUDIT_MAX];
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(-EACCES, watch_as(self, UNRULED));
	for (i = 0; i < 20; i++)
		WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_WATCH TO(UNRULED), " pid=");
}

/* A rule for another kind of access does not do, and may be taken away again. */
TEST_F(smack, denied_by_rules)
{
	static const char *const access[] = { "-", "r", "x", "a", "l", "rxatl" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		ASSERT_EQ(0, set_rule(access[i]));
		EXPECT_EQ(-EACCES, watch_as(self, RULED)) {
			TH_LOG("with the rule _ " RULED " %s", access[i]);
		}
	}
	ASSERT_EQ(0, set_rule("w"));
	EXPECT_EQ(0, watch_as(self, RULED));
}

TEST_F(smack, system_must_be_readable)
{
	char text[WQ_AUDIT_MAX];
	pid_t pid;

	ASSERT_EQ(-EACCES, wq_watch_as(become_blind, RULED, self->t.fds[0], TAG, 0,
				       &pid));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_WATCH " subject=\"" RULED
		       "\" object=\"_\" requested=r", " pid=");
}

/* Who may watch for its capability is also told. */
TEST_F(smack, privileged)
{
	pid_t pid;

	ASSERT_EQ(0, wq_watch_as(become_privileged, UNRULED, self->t.fds[0], TAG, 0,
				 &pid));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_EQ(3, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

/* Nor does the capability do for either where it is only for some labels. */
TEST_F(smack, privileged_no_more)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];
	pid_t pid;

	ASSERT_EQ(0, wq_watch_as(become_privileged, UNRULED, self->t.fds[0], TAG, 0,
				 &pid));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/onlycap", "_"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, DENIED_POST TO(UNRULED), 3, &tally));
	EXPECT_EQ(3, tally.posts);
	EXPECT_EQ(0, tally.wrong);

	ASSERT_EQ(0, wq_watch_devices(self->t.fds[0], -1, 0));
	EXPECT_EQ(-EACCES, wq_watch_as(become_privileged, UNRULED, self->t.fds[0], TAG,
				       0, &pid));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_WATCH TO(UNRULED));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/onlycap", "-"));
}

/* To stop takes no permission. */
TEST_F(smack, stop)
{
	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, set_rule("-"));
	EXPECT_EQ(0, wq_watch_devices(self->t.fds[0], -1, 0));
}

/* ---- To be told ---- */

/* What cannot be heard has not been lost; and it can be heard again. */
TEST_F(smack, post_denied)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 2));
	EXPECT_EQ(2, wq_failures_heard(self->t.fds[0], &self->t.disk));

	ASSERT_EQ(0, set_rule("-"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_POST TO(RULED),
		       " watch_type=2 watch_subtype=10 posts=1");
	EXPECT_FALSE(wq_audit_blames(text)) {
		TH_LOG("%s", text);
	}

	/* The tester does hear it; so the posts have been made. */
	ASSERT_EQ(0, wq_fail(&self->t.disk, 4));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	EXPECT_EQ(7, wq_failures_heard(self->t.all[0], &self->t.disk));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, DENIED_POST TO(RULED), 4, &tally));
	EXPECT_EQ(4, tally.posts);
	EXPECT_EQ(0, tally.wrong);

	ASSERT_EQ(0, set_rule("w"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	EXPECT_EQ(1, wq_failures_heard(self->t.fds[0], &self->t.disk));
}

/* Each post is accounted for, in few records. */
TEST_F_TIMEOUT(smack, post_denied_storm, 300)
{
	struct wq_audit_tally tally = { 0 };
	long begin;
	int i;

	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, set_rule("-"));
	begin = wq_now_ms();
	for (i = 0; i < STORM; i += 100) {
		ASSERT_EQ(0, wq_fail(&self->t.disk, 100));
		ASSERT_EQ(100, wq_failures_heard(self->t.all[0], &self->t.disk));
	}
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));

	ASSERT_EQ(0, wq_audit_count(self->t.audit, DENIED_POST TO(RULED), STORM,
				    &tally));
	EXPECT_EQ(STORM, tally.posts);
	EXPECT_EQ(0, tally.wrong);
	EXPECT_GE(2 + (wq_now_ms() - begin) / WQ_AUDIT_INTERVAL_MS, tally.records);
}

/* What is told of USB is ruled on as well. */
TEST_F_TIMEOUT(smack, post_of_usb_denied, 240)
{
	char text[WQ_AUDIT_MAX];
	int usb[2];

	WQ_REQUIRE_PATH("/dev/raw-gadget", "CONFIG_USB_RAW_GADGET");
	ASSERT_EQ(0, wq_pipe_with_devices(usb, 256, TAG));
	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, set_rule("-"));
	ASSERT_EQ(0, wq_plug_in_and_out(usb[0]));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_POST TO(RULED),
		       " watch_type=3 watch_subtype=0 posts=1");
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_POST TO(RULED),
		       " watch_type=3 watch_subtype=1 posts=1");
	wq_close(usb);
}

/* What smackfs/logging says also goes for posts. */
TEST_F(smack, logging)
{
	struct wq_audit_tally tally = { 0 };
	char text[WQ_AUDIT_MAX];

	/* 2 is what is granted alone, to the tester too. */
	ASSERT_EQ(0, watch_as(self, RULED));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/logging", "2"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 3));
	ASSERT_EQ(0, set_rule("-"));
	ASSERT_EQ(0, wq_fail(&self->t.disk, 5));
	ASSERT_EQ(0, wq_file_write(SMACKFS "/logging", "1"));
	EXPECT_EQ(0, wq_audit_count(self->t.audit, GRANTED_POST TO(RULED), 3, &tally));
	EXPECT_EQ(3, tally.posts);
	EXPECT_EQ(0, tally.wrong);

	/* Of those 5 nothing is said, before or with what is said of this one. */
	ASSERT_EQ(0, wq_fail(&self->t.disk, 1));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_POST TO(RULED), " posts=");
	EXPECT_EQ(1, wq_audit_number(text, " posts="));
}

/* ---- Keys ---- */

/*
 * Here who causes the event is asked about, which is the tester, and is named in
 * the record.
 */
TEST_F(smack, keys)
{
	char text[WQ_AUDIT_MAX], task[32];
	struct wq_record r;
	pid_t pid;
	int key;

	key = wq_add_user_key("key", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_touch(key));
	ASSERT_EQ(0, wq_watch_as(become, RULED, self->t.fds[0], TAG, key, &pid));
	ASSERT_EQ(0, wq_touch(key));
	ASSERT_EQ(0, wq_set_nonblock(self->t.fds[0], true));
	ASSERT_EQ(0, wq_read_one(self->t.fds[0], &r));
	EXPECT_TRUE(wq_is_key(&r, NOTIFY_KEY_SETATTR, key));

	ASSERT_EQ(0, set_rule("-"));
	ASSERT_EQ(0, wq_touch(key));
	EXPECT_TRUE(wq_heard_nothing(self->t.fds[0]));
	WQ_AUDIT_AWAIT(self->t.audit, text, DENIED_POST TO(RULED), " pid=");
	snprintf(task, sizeof(task), " pid=%d ", getpid());
	EXPECT_NE(NULL, strstr(text, task)) {
		TH_LOG("no%sin %s", task, text);
	}
	EXPECT_FALSE(wq_audit_is_post(text));
}

/* ---- The last test, as what it sets cannot be taken back ---- */

/* Where the kernel's log is one label's, so is this. */
TEST_F(smack, syslog)
{
	char text[WQ_AUDIT_MAX];

	ASSERT_EQ(0, wq_file_write(SMACKFS "/syslog", RULED));
	EXPECT_EQ(-EACCES, watch_as(self, "_"));
	WQ_AUDIT_AWAIT(self->t.audit, text,
		       DENIED_WATCH " subject=\"_\" object=\"_\" requested=r", " pid=");
	EXPECT_EQ(0, watch_as(self, RULED));
}

TEST_HARNESS_MAIN
