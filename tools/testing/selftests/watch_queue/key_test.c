// SPDX-License-Identifier: GPL-2.0
/*
 * Keys and keyrings as a source: what is told of which change, to whom, under
 * which tag, and when a watch ends.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

#define TAG		7
#define OTHER_TAG	8

#define DEPTH		32

/* The View bit of each class of a key's permissions, and what else is needed. */
#define POS_VIEW	0x01000000u
#define POS_SEARCH	0x08000000u
#define USR_VIEW	0x00010000u
#define GRP_VIEW	0x00000100u
#define GRP_ALL		0x00003f00u
#define OTH_VIEW	0x00000001u
#define ALL_BUT_VIEW	(0x3f3f3f3f & ~(POS_VIEW | USR_VIEW | GRP_VIEW | OTH_VIEW))

/*
 * What every test plays with:
 *
 *	session keyring
 *	+-- ring
 *	|   `-- key
 *	+-- key		so that it outlives the ring
 *	+-- other
 *	`-- spare
 *	    `-- other
 */
struct keys {
	int ring;
	int key;
	int other;
	int spare;
	int added;	/* by change_ring_add() */
	int none;	/* 0 */
};

/* Which of them, as an offset. */
#define KEYS(member)	offsetof(struct keys, member)

static int key_at(const struct keys *k, size_t offset)
{
	return *(const int *)((const char *)k + offset);
}

/* A pipe with room for all that a test does. */
static int make_pipe(int fds[2])
{
	int ret = wq_pipe(fds, O_NONBLOCK);

	return ret ? ret : wq_set_size(fds[0], DEPTH);
}

/* Makes the keys, and a pipe that watches none of them. */
static int make_keys(struct keys *k, int fds[2])
{
	int ret = wq_join_session();

	if (ret < 0)
		return ret;
	k->ring = wq_add_keyring("wq:ring", KEY_SPEC_SESSION_KEYRING);
	k->spare = wq_add_keyring("wq:spare", KEY_SPEC_SESSION_KEYRING);
	if (k->ring < 0 || k->spare < 0)
		return k->ring < 0 ? k->ring : k->spare;
	k->key = wq_add_user_key("wq:key", k->ring);
	k->other = wq_add_user_key("wq:other", k->spare);
	if (k->key < 0 || k->other < 0)
		return k->key < 0 ? k->key : k->other;
	ret = wq_link_key(k->key, KEY_SPEC_SESSION_KEYRING);
	if (!ret)
		ret = wq_link_key(k->other, KEY_SPEC_SESSION_KEYRING);
	return ret ? ret : make_pipe(fds);
}

/* Waits for a record and takes it.  Returns 0, or -ETIMEDOUT if none comes. */
static int await_record(int fd, struct wq_record *r)
{
	if (wq_poll(fd, POLLIN, WQ_PATIENCE_MS) != POLLIN)
		return -ETIMEDOUT;
	return wq_read_one(fd, r);
}

static bool is_removal_of(const struct wq_record *r, unsigned int tag, int key)
{
	return wq_is_removal(r) && r->len == WQ_REMOVAL_RECORD &&
	       r->tag == tag && !r->type_info && r->id == (unsigned int)key;
}

/* ---- Each change ---- */

static int change_update(struct keys *k)
{
	return wq_update_key(k->key);
}

/* Adding a key where one of its name is replaces that one's payload. */
static int change_add_over(struct keys *k)
{
	int ret = wq_add_key("user", "wq:key", "new", 3, k->ring);

	return ret == k->key ? 0 : -EPROTO;
}

static int change_setperm(struct keys *k)
{
	return wq_keyctl(KEYCTL_SETPERM, k->key, WQ_KEY_PERM | 0x3f3f, 0, 0);
}

static int change_setperm_same(struct keys *k)
{
	return wq_touch(k->key);
}

static int change_chown_group(struct keys *k)
{
	return wq_keyctl(KEYCTL_CHOWN, k->key, -1, getegid(), 0);
}

static int change_chown_user(struct keys *k)
{
	return wq_keyctl(KEYCTL_CHOWN, k->key, WQ_NOBODY, -1, 0);
}

static int change_timeout(struct keys *k)
{
	return wq_keyctl(KEYCTL_SET_TIMEOUT, k->key, 1000, 0, 0);
}

static int change_timeout_off(struct keys *k)
{
	return wq_keyctl(KEYCTL_SET_TIMEOUT, k->key, 0, 0, 0);
}

static int change_revoke(struct keys *k)
{
	return wq_revoke_key(k->key);
}

static int change_invalidate(struct keys *k)
{
	return wq_invalidate_key(k->key);
}

static int change_ring_link(struct keys *k)
{
	return wq_link_key(k->other, k->ring);
}

static int change_ring_link_ring(struct keys *k)
{
	return wq_link_key(k->spare, k->ring);
}

static int change_ring_add(struct keys *k)
{
	k->added = wq_add_user_key("wq:new", k->ring);
	return k->added < 0 ? k->added : 0;
}

static int change_ring_unlink(struct keys *k)
{
	return wq_unlink_key(k->key, k->ring);
}

static int change_ring_clear(struct keys *k)
{
	return wq_clear_keyring(k->ring);
}

static int change_ring_move_in(struct keys *k)
{
	return wq_keyctl(KEYCTL_MOVE, k->other, k->spare, k->ring, 0);
}

static int change_ring_move_out(struct keys *k)
{
	return wq_keyctl(KEYCTL_MOVE, k->key, k->ring, k->spare, 0);
}

static int change_ring_restrict(struct keys *k)
{
	return wq_keyctl(KEYCTL_RESTRICT_KEYRING, k->ring, 0, 0, 0);
}

static int change_ring_setperm(struct keys *k)
{
	return wq_touch(k->ring);
}

static int change_ring_chown(struct keys *k)
{
	return wq_keyctl(KEYCTL_CHOWN, k->ring, geteuid(), getegid(), 0);
}

static int change_ring_timeout(struct keys *k)
{
	return wq_keyctl(KEYCTL_SET_TIMEOUT, k->ring, 1000, 0, 0);
}

static int change_ring_revoke(struct keys *k)
{
	return wq_revoke_key(k->ring);
}

static int change_ring_invalidate(struct keys *k)
{
	return wq_invalidate_key(k->ring);
}

FIXTURE(change)
{
	int fds[2];
	struct keys k;
	int watched;
};

FIXTURE_VARIANT(change)
{
	int (*make)(struct keys *k);
	unsigned int subtype;
	size_t of;		/* which of the keys is watched */
	size_t aux;		/* which of them aux names */
};

#define CHANGE(name, watched, sub, about)				\
{									\
	.make = change_##name,						\
	.subtype = NOTIFY_KEY_##sub,					\
	.of = KEYS(watched),						\
	.aux = KEYS(about),						\
}

FIXTURE_VARIANT_ADD(change, update) CHANGE(update, key, UPDATED, none);
FIXTURE_VARIANT_ADD(change, add_over) CHANGE(add_over, key, UPDATED, none);
FIXTURE_VARIANT_ADD(change, setperm) CHANGE(setperm, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, setperm_same) CHANGE(setperm_same, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, chown_group) CHANGE(chown_group, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, chown_user) CHANGE(chown_user, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, timeout) CHANGE(timeout, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, timeout_off) CHANGE(timeout_off, key, SETATTR, none);
FIXTURE_VARIANT_ADD(change, revoke) CHANGE(revoke, key, REVOKED, none);
FIXTURE_VARIANT_ADD(change, invalidate) CHANGE(invalidate, key, INVALIDATED, none);
FIXTURE_VARIANT_ADD(change, ring_link) CHANGE(ring_link, ring, LINKED, other);
FIXTURE_VARIANT_ADD(change, ring_link_ring) CHANGE(ring_link_ring, ring, LINKED, spare);
FIXTURE_VARIANT_ADD(change, ring_add) CHANGE(ring_add, ring, LINKED, added);
FIXTURE_VARIANT_ADD(change, ring_move_in) CHANGE(ring_move_in, ring, LINKED, other);
FIXTURE_VARIANT_ADD(change, ring_unlink) CHANGE(ring_unlink, ring, UNLINKED, key);
FIXTURE_VARIANT_ADD(change, ring_move_out) CHANGE(ring_move_out, ring, UNLINKED, key);
FIXTURE_VARIANT_ADD(change, ring_clear) CHANGE(ring_clear, ring, CLEARED, none);
FIXTURE_VARIANT_ADD(change, ring_restrict) CHANGE(ring_restrict, ring, SETATTR, none);
FIXTURE_VARIANT_ADD(change, ring_setperm) CHANGE(ring_setperm, ring, SETATTR, none);
FIXTURE_VARIANT_ADD(change, ring_chown) CHANGE(ring_chown, ring, SETATTR, none);
FIXTURE_VARIANT_ADD(change, ring_timeout) CHANGE(ring_timeout, ring, SETATTR, none);
FIXTURE_VARIANT_ADD(change, ring_revoke) CHANGE(ring_revoke, ring, REVOKED, none);
FIXTURE_VARIANT_ADD(change, ring_invalidate) CHANGE(ring_invalidate, ring, INVALIDATED, none);

FIXTURE_SETUP(change)
{
	WQ_REQUIRE_KEYS();
	if (variant->make == change_chown_user)
		WQ_REQUIRE_ROOT();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
	self->watched = key_at(&self->k, variant->of);
}

FIXTURE_TEARDOWN(change)
{
	wq_close(self->fds);
}

/*
 * A change posts one record of 16 bytes with its subtype, the tag, the key's id
 * and aux, and with nothing in the bits of info that are the type's own.
 */
TEST_F(change, posts_one_record)
{
	struct key_notification n;
	struct wq_record r;

	ASSERT_EQ(0, wq_watch_key(self->watched, self->fds[0], TAG));
	ASSERT_EQ(0, variant->make(&self->k));

	ASSERT_EQ(16, wq_read(self->fds[0], &n, sizeof(n)));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, (int)n.watch.type);
	EXPECT_EQ(variant->subtype, (unsigned int)n.watch.subtype);
	EXPECT_EQ(TAG << WATCH_INFO_ID__SHIFT | 16, n.watch.info);
	EXPECT_EQ(self->watched, (int)n.key_id);
	EXPECT_EQ(key_at(&self->k, variant->aux), (int)n.aux);

	if (variant->subtype == NOTIFY_KEY_INVALIDATED) {
		/* The key goes away by itself and takes its watch with it. */
		ASSERT_EQ(0, await_record(self->fds[0], &r));
		EXPECT_TRUE(is_removal_of(&r, TAG, self->watched));
	}
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* Who watches something else hears nothing of it. */
TEST_F(change, is_nobody_elses)
{
	struct wq_record r[2];
	int untouched;

	untouched = wq_add_user_key("wq:untouched", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, untouched);
	ASSERT_EQ(0, wq_watch_key(untouched, self->fds[0], TAG));
	ASSERT_EQ(0, variant->make(&self->k));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));

	/* And it does hear of its own key. */
	ASSERT_EQ(0, wq_touch(untouched));
	EXPECT_EQ(1, wq_read_all(self->fds[0], r, 2));
}

/* Every queue that watches the key is told, each with the tag that it gave. */
TEST_F(change, is_told_to_each_queue)
{
	struct wq_record r;
	int fds[3][2], i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, make_pipe(fds[i]));
		ASSERT_EQ(0, wq_watch_key(self->watched, fds[i][0], 100 + i));
	}
	ASSERT_EQ(0, variant->make(&self->k));

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, wq_read_one(fds[i][0], &r));
		EXPECT_TRUE(wq_is_key(&r, variant->subtype, self->watched));
		EXPECT_EQ(100 + i, r.tag);
		EXPECT_EQ(key_at(&self->k, variant->aux), (int)r.aux);
		wq_close(fds[i]);
	}
}

/* After the watch was removed nothing is told any more. */
TEST_F(change, is_not_told_after_removal)
{
	struct wq_record r;

	ASSERT_EQ(0, wq_watch_key(self->watched, self->fds[0], TAG));
	ASSERT_EQ(0, wq_watch_key(self->watched, self->fds[0], -1));
	ASSERT_EQ(0, wq_read_one(self->fds[0], &r));
	EXPECT_TRUE(is_removal_of(&r, TAG, self->watched));

	ASSERT_EQ(0, variant->make(&self->k));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* ---- What is no change ---- */

static long none_read(struct keys *k)
{
	char buf[64];

	return wq_keyctl(KEYCTL_READ, k->key, (unsigned long)buf, sizeof(buf), 0);
}

static long none_describe(struct keys *k)
{
	return wq_keyctl(KEYCTL_DESCRIBE, k->ring, 0, 0, 0) > 0 ? 0 : -EPROTO;
}

static long none_search(struct keys *k)
{
	return wq_keyctl(KEYCTL_SEARCH, k->ring, (unsigned long)"user",
			 (unsigned long)"wq:key", 0) == k->key ? 0 : -EPROTO;
}

/* The key is in a second keyring from here on; it is not the one that changed. */
static long none_link_elsewhere(struct keys *k)
{
	return wq_link_key(k->key, k->spare);
}

static long none_unlink_elsewhere(struct keys *k)
{
	return wq_unlink_key(k->key, KEY_SPEC_SESSION_KEYRING);
}

static long none_change_of_child(struct keys *k)
{
	return wq_keyctl(KEYCTL_SET_TIMEOUT, k->other, 1000, 0, 0);
}

static long none_unlink_what_is_not_there(struct keys *k)
{
	return wq_unlink_key(k->other, k->ring);
}

/* A keyring has no payload to be updated. */
static long none_update_keyring(struct keys *k)
{
	return wq_update_key(k->ring);
}

static long none_bad_update(struct keys *k)
{
	return wq_keyctl(KEYCTL_UPDATE, k->key, 0, 16, 0);
}

static long none_bad_setperm(struct keys *k)
{
	return wq_keyctl(KEYCTL_SETPERM, k->key, ~0u, 0, 0);
}

static long none_move_to_nowhere(struct keys *k)
{
	return wq_keyctl(KEYCTL_MOVE, k->key, k->ring, k->key, 0);
}

static long none_clear_key(struct keys *k)
{
	return wq_clear_keyring(k->key);
}

FIXTURE(no_change)
{
	int fds[2];
	struct keys k;
};

FIXTURE_VARIANT(no_change)
{
	long (*make)(struct keys *k);
	long ret;
};

FIXTURE_VARIANT_ADD(no_change, read) { none_read, 7 };
FIXTURE_VARIANT_ADD(no_change, describe) { none_describe, 0 };
FIXTURE_VARIANT_ADD(no_change, search) { none_search, 0 };
FIXTURE_VARIANT_ADD(no_change, link_elsewhere) { none_link_elsewhere, 0 };
FIXTURE_VARIANT_ADD(no_change, unlink_elsewhere) { none_unlink_elsewhere, 0 };
FIXTURE_VARIANT_ADD(no_change, change_of_child) { none_change_of_child, 0 };
FIXTURE_VARIANT_ADD(no_change, unlink_what_is_not_there) { none_unlink_what_is_not_there, -ENOENT };
FIXTURE_VARIANT_ADD(no_change, update_keyring) { none_update_keyring, -EOPNOTSUPP };
FIXTURE_VARIANT_ADD(no_change, bad_update) { none_bad_update, -EFAULT };
FIXTURE_VARIANT_ADD(no_change, bad_setperm) { none_bad_setperm, -EINVAL };
FIXTURE_VARIANT_ADD(no_change, move_to_nowhere) { none_move_to_nowhere, -ENOTDIR };
FIXTURE_VARIANT_ADD(no_change, clear_key) { none_clear_key, -ENOTDIR };

FIXTURE_SETUP(no_change)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], TAG));
	ASSERT_EQ(0, wq_watch_key(self->k.ring, self->fds[0], OTHER_TAG));
}

FIXTURE_TEARDOWN(no_change)
{
	wq_close(self->fds);
}

/* What changes neither the key nor the keyring, or fails, posts nothing. */
TEST_F(no_change, posts_nothing)
{
	struct wq_record r;

	ASSERT_EQ(variant->ret, variant->make(&self->k));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));

	/* The queue is all right. */
	ASSERT_EQ(0, wq_touch(self->k.ring));
	ASSERT_EQ(0, wq_read_one(self->fds[0], &r));
	EXPECT_EQ(OTHER_TAG, r.tag);
	EXPECT_TRUE(wq_is_key(&r, NOTIFY_KEY_SETATTR, self->k.ring));
}

/* ---- Which key it was ---- */

FIXTURE(special)
{
	int fds[2];
};

FIXTURE_VARIANT(special)
{
	int id;
};

FIXTURE_VARIANT_ADD(special, thread) { KEY_SPEC_THREAD_KEYRING };
FIXTURE_VARIANT_ADD(special, process) { KEY_SPEC_PROCESS_KEYRING };
FIXTURE_VARIANT_ADD(special, session) { KEY_SPEC_SESSION_KEYRING };
FIXTURE_VARIANT_ADD(special, user) { KEY_SPEC_USER_KEYRING };
FIXTURE_VARIANT_ADD(special, user_session) { KEY_SPEC_USER_SESSION_KEYRING };

FIXTURE_SETUP(special)
{
	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	ASSERT_EQ(0, make_pipe(self->fds));
}

FIXTURE_TEARDOWN(special)
{
	wq_close(self->fds);
}

/* A keyring that was named by a special id is told by its serial number. */
TEST_F(special, is_told_by_serial)
{
	struct wq_record r[2];
	int serial, key;
	char desc[32];

	snprintf(desc, sizeof(desc), "wq:%d", getpid());
	ASSERT_EQ(0, wq_watch_key(variant->id, self->fds[0], TAG));
	serial = wq_keyctl(KEYCTL_GET_KEYRING_ID, variant->id, 0, 0, 0);
	ASSERT_LT(0, serial);

	key = wq_add_user_key(desc, variant->id);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_unlink_key(key, variant->id));

	ASSERT_EQ(2, wq_read_all(self->fds[0], r, 2));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_LINKED, serial));
	EXPECT_EQ(key, r[0].aux);
	EXPECT_TRUE(wq_is_key(&r[1], NOTIFY_KEY_UNLINKED, serial));
	EXPECT_EQ(key, r[1].aux);
}

/* It is the same watch, whichever way the key is named. */
TEST_F(special, is_the_same_watch)
{
	int serial;

	ASSERT_EQ(0, wq_watch_key(variant->id, self->fds[0], TAG));
	serial = wq_keyctl(KEYCTL_GET_KEYRING_ID, variant->id, 0, 0, 0);
	EXPECT_EQ(-EBUSY, wq_watch_key(serial, self->fds[0], OTHER_TAG));
	EXPECT_EQ(0, wq_watch_key(serial, self->fds[0], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(variant->id, self->fds[0], -1));
}

/* ---- Tags ---- */

FIXTURE(tag)
{
	int fds[2];
	struct keys k;
};

FIXTURE_VARIANT(tag)
{
	unsigned int tag;
};

FIXTURE_VARIANT_ADD(tag, 0) { 0 };
FIXTURE_VARIANT_ADD(tag, 1) { 1 };
FIXTURE_VARIANT_ADD(tag, 127) { 127 };
FIXTURE_VARIANT_ADD(tag, 128) { 128 };
FIXTURE_VARIANT_ADD(tag, 255) { 255 };

FIXTURE_SETUP(tag)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
}

FIXTURE_TEARDOWN(tag)
{
	wq_close(self->fds);
}

/* A watch's records carry its tag, from the first to the REMOVAL. */
TEST_F(tag, is_in_every_record)
{
	struct wq_record r[8];
	int i;

	ASSERT_EQ(0, wq_watch_key(self->k.ring, self->fds[0], variant->tag));
	ASSERT_EQ(0, wq_touch(self->k.ring));
	ASSERT_EQ(0, wq_link_key(self->k.other, self->k.ring));
	ASSERT_EQ(0, wq_unlink_key(self->k.other, self->k.ring));
	ASSERT_EQ(0, wq_watch_key(self->k.ring, self->fds[0], -1));

	ASSERT_EQ(4, wq_read_all(self->fds[0], r, 8));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(variant->tag, r[i].tag);
	EXPECT_TRUE(is_removal_of(&r[3], variant->tag, self->k.ring));
}

/* The key may be watched again, under any tag. */
TEST_F(tag, can_be_changed)
{
	struct wq_record r[8];

	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], TAG));
	EXPECT_EQ(-EBUSY, wq_watch_key(self->k.key, self->fds[0], variant->tag));
	ASSERT_EQ(0, wq_touch(self->k.key));
	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], -1));
	ASSERT_EQ(0, wq_touch(self->k.key));
	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], variant->tag));
	ASSERT_EQ(0, wq_touch(self->k.key));

	ASSERT_EQ(3, wq_read_all(self->fds[0], r, 8));
	EXPECT_EQ(TAG, r[0].tag);
	EXPECT_TRUE(is_removal_of(&r[1], TAG, self->k.key));
	EXPECT_EQ(variant->tag, r[2].tag);
}

/* Several watches may have the same tag; the key's id tells them apart. */
TEST_F(tag, may_be_shared)
{
	struct wq_record r[8];

	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], variant->tag));
	ASSERT_EQ(0, wq_watch_key(self->k.other, self->fds[0], variant->tag));
	ASSERT_EQ(0, wq_touch(self->k.other));
	ASSERT_EQ(0, wq_watch_key(self->k.other, self->fds[0], -1));
	ASSERT_EQ(0, wq_touch(self->k.key));

	ASSERT_EQ(3, wq_read_all(self->fds[0], r, 8));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_SETATTR, self->k.other));
	EXPECT_TRUE(is_removal_of(&r[1], variant->tag, self->k.other));
	EXPECT_TRUE(wq_is_key(&r[2], NOTIFY_KEY_SETATTR, self->k.key));
}

/* ---- Many ---- */

FIXTURE(many)
{
	int fds[2];
	struct keys k;
};

FIXTURE_SETUP(many)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
}

FIXTURE_TEARDOWN(many)
{
	wq_close(self->fds);
}

/* 256 queues on one key, one for each tag: each gets every event, with its own. */
TEST_F(many, queues_on_one_key)
{
	enum { QUEUES = 256, EVENTS = 5 };
	struct wq_record r[EVENTS + 1];
	int fds[QUEUES][2], i, j;
	struct rlimit lim;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
	lim.rlim_cur = lim.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
	for (i = 0; i < QUEUES; i++) {
		ASSERT_EQ(0, make_pipe(fds[i]));
		ASSERT_EQ(0, wq_watch_key(self->k.key, fds[i][0], i));
	}
	ASSERT_EQ(0, wq_touch_n(self->k.key, EVENTS));
	for (i = 0; i < QUEUES; i++) {
		ASSERT_EQ(EVENTS, wq_read_all(fds[i][0], r, EVENTS + 1));
		for (j = 0; j < EVENTS; j++) {
			EXPECT_TRUE(wq_is_key(&r[j], NOTIFY_KEY_SETATTR,
					      self->k.key));
			EXPECT_EQ(i, r[j].tag);
		}
	}

	/* Every other one goes, in one way or another; the rest stays. */
	for (i = 0; i < QUEUES; i += 2) {
		if (i % 4 == 0) {
			wq_close(fds[i]);
			continue;
		}
		ASSERT_EQ(0, wq_watch_key(self->k.key, fds[i][0], -1));
	}
	ASSERT_EQ(0, wq_touch_n(self->k.key, EVENTS));
	for (i = 1; i < QUEUES; i += 2)
		ASSERT_EQ(EVENTS * 16, wq_fionread(fds[i][0]));
	for (i = 2; i < QUEUES; i += 4)
		ASSERT_EQ(16, wq_fionread(fds[i][0]));
	for (i = 0; i < QUEUES; i++)
		wq_close(fds[i]);
}

/* One queue on many keys: each event is told with its own key and tag. */
TEST_F(many, keys_on_one_queue)
{
	struct wq_seq seq;
	struct wq_record r;
	int i;

	ASSERT_EQ(0, wq_seq_make(&seq, KEY_SPEC_SESSION_KEYRING));
	ASSERT_EQ(0, wq_seq_watch(&seq, self->fds[0]));
	ASSERT_EQ(0, wq_seq_post(&seq, 0, WQ_SEQ_PERIOD));
	for (i = 0; i < WQ_SEQ_PERIOD; i++) {
		ASSERT_EQ(0, wq_read_one(self->fds[0], &r));
		ASSERT_TRUE(wq_seq_is(&seq, &r, i));
	}

	/* Half of them go; the others are still told. */
	for (i = 0; i < WQ_SEQ_KEYS; i += 2) {
		ASSERT_EQ(0, wq_watch_key(seq.keys[i], self->fds[0], -1));
		ASSERT_EQ(0, wq_read_one(self->fds[0], &r));
		ASSERT_TRUE(is_removal_of(&r, i, seq.keys[i]));
	}
	ASSERT_EQ(0, wq_seq_post(&seq, 0, WQ_SEQ_KEYS));
	for (i = 1; i < WQ_SEQ_KEYS; i += 2) {
		ASSERT_EQ(0, wq_read_one(self->fds[0], &r));
		ASSERT_TRUE(wq_seq_is(&seq, &r, i));
	}
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* Events of different keys come in the order in which they happened. */
TEST_F(many, events_in_order)
{
	struct keys *k = &self->k;
	struct wq_record r[8];

	ASSERT_EQ(0, wq_watch_key(k->ring, self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(k->spare, self->fds[0], 2));
	ASSERT_EQ(0, wq_watch_key(k->key, self->fds[0], 3));
	ASSERT_EQ(0, change_ring_move_out(k));
	ASSERT_EQ(0, wq_update_key(k->key));
	ASSERT_EQ(0, wq_clear_keyring(k->spare));
	ASSERT_EQ(0, wq_link_key(k->key, k->ring));

	ASSERT_EQ(5, wq_read_all(self->fds[0], r, 8));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_UNLINKED, k->ring));
	EXPECT_EQ(k->key, r[0].aux);
	EXPECT_TRUE(wq_is_key(&r[1], NOTIFY_KEY_LINKED, k->spare));
	EXPECT_EQ(k->key, r[1].aux);
	EXPECT_TRUE(wq_is_key(&r[2], NOTIFY_KEY_UPDATED, k->key));
	EXPECT_TRUE(wq_is_key(&r[3], NOTIFY_KEY_CLEARED, k->spare));
	EXPECT_TRUE(wq_is_key(&r[4], NOTIFY_KEY_LINKED, k->ring));
	EXPECT_EQ(k->key, r[4].aux);
}

/* ---- The end of a watch ---- */

FIXTURE(removal)
{
	int fds[2];
	struct keys k;
};

FIXTURE_SETUP(removal)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
}

FIXTURE_TEARDOWN(removal)
{
	wq_close(self->fds);
}

/* When the key is destroyed the queue is told so, once, with tag and id. */
TEST_F(removal, when_key_is_destroyed)
{
	struct wq_record r;
	int key;

	key = wq_add_user_key("wq:mortal", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_watch_key(key, self->fds[0], TAG));
	ASSERT_EQ(0, wq_touch(key));
	ASSERT_EQ(0, wq_unlink_key(key, KEY_SPEC_SESSION_KEYRING));

	ASSERT_EQ(0, await_record(self->fds[0], &r));
	EXPECT_TRUE(wq_is_key(&r, NOTIFY_KEY_SETATTR, key));
	ASSERT_EQ(0, await_record(self->fds[0], &r));
	EXPECT_TRUE(is_removal_of(&r, TAG, key));

	/* The queue can go on with another key. */
	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], TAG));
	ASSERT_EQ(0, wq_touch(self->k.key));
	ASSERT_EQ(0, await_record(self->fds[0], &r));
	EXPECT_TRUE(wq_is_key(&r, NOTIFY_KEY_SETATTR, self->k.key));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* Each queue is told, and each watch of the things that go together. */
TEST_F(removal, of_a_tree)
{
	enum { CHILDREN = 10, QUEUES = 3 };
	int fds[QUEUES][2], ids[CHILDREN + 1], i, j;
	bool seen[CHILDREN + 1];
	struct wq_record r;
	char desc[16];

	ids[0] = wq_add_keyring("wq:tree", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, ids[0]);
	for (i = 1; i <= CHILDREN; i++) {
		snprintf(desc, sizeof(desc), "wq:%d", i);
		ids[i] = wq_add_user_key(desc, ids[0]);
		ASSERT_LT(0, ids[i]);
	}
	for (j = 0; j < QUEUES; j++) {
		ASSERT_EQ(0, make_pipe(fds[j]));
		for (i = 0; i <= CHILDREN; i++)
			ASSERT_EQ(0, wq_watch_key(ids[i], fds[j][0], 20 * j + i));
	}
	ASSERT_EQ(0, wq_unlink_key(ids[0], KEY_SPEC_SESSION_KEYRING));

	for (j = 0; j < QUEUES; j++) {
		memset(seen, 0, sizeof(seen));
		for (i = 0; i <= CHILDREN; i++) {
			ASSERT_EQ(0, await_record(fds[j][0], &r));
			ASSERT_LE(20 * j, r.tag);
			ASSERT_GE(20 * j + CHILDREN, r.tag);
			EXPECT_TRUE(is_removal_of(&r, r.tag,
						  ids[r.tag - 20 * j]));
			EXPECT_FALSE(seen[r.tag - 20 * j]);
			seen[r.tag - 20 * j] = true;
		}
		EXPECT_EQ(0, wq_fionread(fds[j][0]));
		wq_close(fds[j]);
	}
}

/*
 * A process that ends takes its session keyring with it, unless it is the one
 * that watches: a watch keeps the credentials of whoever set it.
 */
TEST_F(removal, when_session_ends)
{
	int ask[2], answer[2], status, serial;
	struct wq_record r;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ask));
	ASSERT_EQ(0, pipe(answer));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		close(ask[1]);
		serial = wq_join_session();
		if (write(answer[1], &serial, sizeof(serial)) != sizeof(serial))
			_exit(1);
		_exit(read(ask[0], &c, 1) != 0);
	}
	ASSERT_EQ(sizeof(serial), read(answer[0], &serial, sizeof(serial)));
	ASSERT_LT(0, serial);
	ASSERT_EQ(0, wq_watch_key(serial, self->fds[0], TAG));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
	close(ask[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	ASSERT_EQ(0, await_record(self->fds[0], &r));
	EXPECT_TRUE(is_removal_of(&r, TAG, serial));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

/* On request only the watch of the one key and the one queue goes. */
TEST_F(removal, on_request)
{
	struct keys *k = &self->k;
	struct wq_record r[4];
	int fds[2];

	ASSERT_EQ(0, make_pipe(fds));
	ASSERT_EQ(0, wq_watch_key(k->key, self->fds[0], 1));
	ASSERT_EQ(0, wq_watch_key(k->other, self->fds[0], 2));
	ASSERT_EQ(0, wq_watch_key(k->key, fds[0], 3));

	/* Either end will do. */
	ASSERT_EQ(0, wq_watch_key(k->key, self->fds[1], -1));
	EXPECT_EQ(-EBADSLT, wq_watch_key(k->key, self->fds[0], -1));
	ASSERT_EQ(0, wq_touch(k->key));
	ASSERT_EQ(0, wq_touch(k->other));

	ASSERT_EQ(2, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(is_removal_of(&r[0], 1, k->key));
	EXPECT_TRUE(wq_is_key(&r[1], NOTIFY_KEY_SETATTR, k->other));
	EXPECT_EQ(2, r[1].tag);
	ASSERT_EQ(1, wq_read_all(fds[0], r, 4));
	EXPECT_EQ(3, r[0].tag);
	wq_close(fds);
}

/* ---- Keys that can no longer be used ---- */

static int spoil_by_revocation(int key)
{
	return wq_revoke_key(key);
}

/* It takes a second, for that is what time-outs are counted in. */
static int spoil_by_expiry(int key)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int ret;

	ret = wq_keyctl(KEYCTL_SET_TIMEOUT, key, 1, 0, 0);
	if (ret)
		return ret;
	do {
		ret = wq_keyctl(KEYCTL_READ, key, 0, 0, 0);
	} while (ret >= 0 && wq_now_ms() < end);
	return ret == -EKEYEXPIRED ? 0 : -ETIMEDOUT;
}

static int spoil_by_permission(int key)
{
	return wq_keyctl(KEYCTL_SETPERM, key, 0, 0, 0);
}

FIXTURE(spoilt)
{
	int fds[2];
	struct keys k;
};

FIXTURE_VARIANT(spoilt)
{
	int (*spoil)(int key);
	unsigned int subtype;	/* what that posts */
	int ret;		/* of who wants to watch it now */
};

FIXTURE_VARIANT_ADD(spoilt, revoked) {
	spoil_by_revocation, NOTIFY_KEY_REVOKED, -EKEYREVOKED
};

FIXTURE_VARIANT_ADD(spoilt, expired) {
	spoil_by_expiry, NOTIFY_KEY_SETATTR, -EKEYEXPIRED
};

FIXTURE_VARIANT_ADD(spoilt, forbidden) {
	spoil_by_permission, NOTIFY_KEY_SETATTR, -EACCES
};

FIXTURE_SETUP(spoilt)
{
	WQ_REQUIRE_KEYS();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], TAG));
	ASSERT_EQ(0, variant->spoil(self->k.key));
}

FIXTURE_TEARDOWN(spoilt)
{
	wq_close(self->fds);
}

/* The key is not gone and its watch stays, but nobody can watch it anew. */
TEST_F(spoilt, stays_watched)
{
	struct wq_record r[4];
	int fds[2];

	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(wq_is_key(&r[0], variant->subtype, self->k.key));

	ASSERT_EQ(0, make_pipe(fds));
	EXPECT_EQ(variant->ret, wq_watch_key(self->k.key, fds[0], OTHER_TAG));
	wq_close(fds);
}

/* Who watches it can let it go. */
TEST_F(spoilt, can_be_let_go)
{
	struct wq_record r[4];

	ASSERT_EQ(0, wq_watch_key(self->k.key, self->fds[0], -1));
	ASSERT_EQ(2, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(is_removal_of(&r[1], TAG, self->k.key));
	EXPECT_EQ(-EBADSLT, wq_watch_key(self->k.key, self->fds[0], -1));
}

/* ---- Who may watch ---- */

/*
 * The key belongs to this process, root; another one asks, which may be the
 * key's owner, a member of its group, or possess it.  Possession is found out by
 * a search, so it takes that permission, too.
 */
FIXTURE(view)
{
	int fds[2];
	struct keys k;
};

FIXTURE_VARIANT(view)
{
	bool owner;
	bool member;
	bool possessor;
};

FIXTURE_VARIANT_ADD(view, stranger) { .owner = false };
FIXTURE_VARIANT_ADD(view, owner) { .owner = true };
FIXTURE_VARIANT_ADD(view, member) { .member = true };
FIXTURE_VARIANT_ADD(view, possessor) { .possessor = true };
FIXTURE_VARIANT_ADD(view, possessing_owner) { .owner = true, .possessor = true };

FIXTURE_SETUP(view)
{
	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_ROOT();
	ASSERT_EQ(0, make_keys(&self->k, self->fds));
}

FIXTURE_TEARDOWN(view)
{
	wq_close(self->fds);
}

/* Makes a key with these permissions and this owner and group. */
static int make_key_of(unsigned int perm, uid_t uid, gid_t gid)
{
	char desc[32];
	int key, ret;

	snprintf(desc, sizeof(desc), "wq:%x", perm);
	key = wq_add_user_key(desc, KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	ret = wq_keyctl(KEYCTL_CHOWN, key, uid, gid, 0);
	if (!ret)
		ret = wq_keyctl(KEYCTL_SETPERM, key, perm, 0, 0);
	return ret ? ret : key;
}

/* What watching @key is for a user without privileges, in a process of its own. */
static int watch_as_nobody(int key, int fd, bool possessor)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		/* Whose session keyring leads to a key possesses it. */
		if (!possessor && wq_join_session() < 0)
			_exit(255);
		if (wq_become(WQ_NOBODY))
			_exit(254);
		_exit(-wq_watch_key(key, fd, TAG));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

/* Watching a key takes View permission on it, else it is EACCES. */
TEST_F(view, is_needed_to_watch)
{
	static const unsigned int perms[] = {
		0, POS_VIEW | POS_SEARCH, USR_VIEW, GRP_VIEW, OTH_VIEW,
		ALL_BUT_VIEW,
	};
	unsigned int perm, view;
	size_t i;
	int key;

	for (i = 0; i < ARRAY_SIZE(perms); i++) {
		perm = perms[i];
		if (variant->owner)
			view = perm & USR_VIEW;
		else if (variant->member && perm & GRP_ALL)
			view = perm & GRP_VIEW;
		else
			view = perm & OTH_VIEW;
		if (variant->possessor)
			view |= perm & POS_VIEW;

		key = make_key_of(perm, variant->owner ? WQ_NOBODY : 0,
				  variant->member ? WQ_NOBODY : 0);
		ASSERT_LT(0, key);
		EXPECT_EQ(view ? 0 : -EACCES,
			  watch_as_nobody(key, self->fds[0], variant->possessor))
			TH_LOG("permissions %08x", perm);
	}
}

/* ---- Construction ---- */

/*
 * The kernel constructs a key by starting /sbin/request-key, which is this
 * program for as long as the test lasts.  It asks the test what to do:
 *
 *	request_key()  ->  kernel  ->  /sbin/request-key create KEY ...
 *	                                 |  KEY
 *	                     test  <----'
 *	                      watch KEY
 *	                           ---->  instantiate, negate or reject KEY
 */
#define UPCALL		"/sbin/request-key"

struct order {
	int op;
	int error;
	int timeout;
};

static socklen_t upcall_address(struct sockaddr_un *addr, const char *name)
{
	const size_t len = strlen(name);	/* it is short */

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	/* Abstract: begins with a zero, needs no file system. */
	memcpy(addr->sun_path + 1, name, len);
	return offsetof(struct sockaddr_un, sun_path) + 1 + len;
}

/* The upcall: the socket's name is in what request_key() handed over. */
static int upcall_main(int key)
{
	struct sockaddr_un addr;
	struct order order;
	char name[64] = "";
	const struct timeval patience = { .tv_sec = 2 * WQ_PATIENCE_MS / 1000 };
	int sock, ret;

	if (wq_keyctl(KEYCTL_ASSUME_AUTHORITY, key, 0, 0, 0) < 0 ||
	    wq_keyctl(KEYCTL_READ, KEY_SPEC_REQKEY_AUTH_KEY, (unsigned long)name,
		      sizeof(name) - 1, 0) <= 0)
		return 1;

	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr,
				upcall_address(&addr, name)))
		return 2;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    send(sock, &key, sizeof(key), 0) != sizeof(key) ||
	    recv(sock, &order, sizeof(order), 0) != sizeof(order))
		return 3;

	switch (order.op) {
	case KEYCTL_INSTANTIATE:
		ret = wq_keyctl(KEYCTL_INSTANTIATE, key, (unsigned long)"made",
				4, 0);
		break;
	case KEYCTL_NEGATE:
		ret = wq_keyctl(KEYCTL_NEGATE, key, order.timeout, 0, 0);
		break;
	default:
		ret = wq_keyctl(KEYCTL_REJECT, key, order.timeout, order.error,
				0);
		break;
	}
	if (send(sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return 4;
	return ret < 0 ? 5 : 0;
}

FIXTURE(construct)
{
	int fds[2];
	int listener;
	char name[64];
	bool mounted;
	bool linked;
};

FIXTURE_VARIANT(construct)
{
	int op;
	int error;
};

FIXTURE_VARIANT_ADD(construct, instantiate) { KEYCTL_INSTANTIATE, 0 };
FIXTURE_VARIANT_ADD(construct, negate) { KEYCTL_NEGATE, ENOKEY };
FIXTURE_VARIANT_ADD(construct, reject_keyrejected) { KEYCTL_REJECT, EKEYREJECTED };
FIXTURE_VARIANT_ADD(construct, reject_keyexpired) { KEYCTL_REJECT, EKEYEXPIRED };
FIXTURE_VARIANT_ADD(construct, reject_acces) { KEYCTL_REJECT, EACCES };

FIXTURE_SETUP(construct)
{
	struct sockaddr_un addr;
	char self_path[4096];
	struct stat st;
	socklen_t len;
	ssize_t n;

	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_ROOT();

	snprintf(self->name, sizeof(self->name), "wq-key-test-%d", getpid());
	self->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (self->listener < 0 && errno == EAFNOSUPPORT)
		SKIP(return, "CONFIG_UNIX is not set");
	ASSERT_LE(0, self->listener);
	len = upcall_address(&addr, self->name);
	ASSERT_EQ(0, bind(self->listener, (struct sockaddr *)&addr, len));
	ASSERT_EQ(0, listen(self->listener, 1));

	n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	ASSERT_LT(0, n);
	self_path[n] = 0;
	if (lstat(UPCALL, &st) == 0) {
		if (mount(self_path, UPCALL, NULL, MS_BIND, NULL))
			SKIP(return, "no test can stand in for " UPCALL);
		self->mounted = true;
	} else {
		mkdir("/sbin", 0755);
		if (symlink(self_path, UPCALL))
			SKIP(return, "no test can stand in for " UPCALL);
		self->linked = true;
	}

	ASSERT_LE(0, wq_join_session());
	ASSERT_EQ(0, make_pipe(self->fds));
}

FIXTURE_TEARDOWN_PARENT(construct)
{
	if (self->mounted)
		umount(UPCALL);
	if (self->linked)
		unlink(UPCALL);
}

/* A construction that has come as far as the upcall. */
struct construction {
	struct order order;
	const char *callout;
	int ring;
	struct wq_call request;
	int key;
	int sock;
	struct watch_call {
		int key;
		int fd;
	} watch;
};

static long request_key(void *arg)
{
	const struct construction *c = arg;

	return wq_errno(syscall(__NR_request_key, "user", "wq:constructed",
				c->callout, c->ring));
}

/* Has a key requested, and waits until the upcall asks what to do. */
static int construct_begin(const FIXTURE_DATA(construct) * const self,
			   const FIXTURE_VARIANT(construct) * const variant,
			   struct construction *c)
{
	int ret;

	memset(c, 0, sizeof(*c));
	c->order.op = variant->op;
	c->order.error = variant->error;
	c->order.timeout = 600;
	c->callout = self->name;
	c->ring = wq_keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0,
			    0, 0);
	if (c->ring < 0)
		return c->ring;

	ret = wq_call_start(&c->request, request_key, c);
	if (ret)
		return ret;
	if (wq_poll(self->listener, POLLIN, WQ_PATIENCE_MS) != POLLIN)
		return -ETIMEDOUT;
	c->sock = wq_errno(accept(self->listener, NULL, NULL));
	if (c->sock < 0)
		return c->sock;
	if (recv(c->sock, &c->key, sizeof(c->key), 0) != sizeof(c->key))
		return -EPROTO;
	return 0;
}

/* Lets the upcall do it.  Returns what request_key() does. */
static long construct_end(struct construction *c)
{
	int ret;

	if (send(c->sock, &c->order, sizeof(c->order), 0) != sizeof(c->order) ||
	    recv(c->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPROTO;
	close(c->sock);
	return ret < 0 ? ret : wq_call_end(&c->request);
}

static long watch_key(void *arg)
{
	const struct watch_call *watch = arg;

	return wq_watch_key(watch->key, watch->fd, TAG);
}

/* Watches the key, which must not have to wait for what the test does next. */
static long construct_watch(struct construction *c, int fd)
{
	struct wq_call call;
	int ret;

	c->watch.key = c->key;
	c->watch.fd = fd;
	ret = wq_call_start(&call, watch_key, &c->watch);
	return ret ? ret : wq_call_end(&call);
}

/*
 * The whole of it, with the key watched from before the end.  The upcall is let
 * go in any case: the kernel waits for it, and so does the end of this process.
 */
static int construct_watched(const FIXTURE_DATA(construct) * const self,
			     const FIXTURE_VARIANT(construct) * const variant,
			     struct construction *c)
{
	long ret, watched;
	int queued;

	ret = construct_begin(self, variant, c);
	if (ret)
		return ret;
	watched = construct_watch(c, self->fds[0]);
	queued = wq_fionread(self->fds[0]);
	ret = construct_end(c);
	if (watched)
		return watched;
	if (queued || ret != (variant->error ? -variant->error : c->key))
		return -EPROTO;
	return 0;
}

/*
 * A key can be watched while it is under construction.  It is told when that is
 * over: aux is 0, or the negative error that whoever wants the key will get.
 */
TEST_F_TIMEOUT(construct, posts_instantiated, 60)
{
	struct construction c;
	struct wq_record r[4];

	ASSERT_EQ(0, construct_watched(self, variant, &c));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_INSTANTIATED, c.key));
	EXPECT_EQ(WQ_KEY_RECORD, r[0].len);
	EXPECT_EQ(TAG, r[0].tag);
	EXPECT_EQ(0, r[0].type_info);
	EXPECT_EQ(-variant->error, (int)r[0].aux);

	/* A rejected key is a key; it can be let go like any other. */
	EXPECT_EQ(0, wq_watch_key(c.key, self->fds[0], -1));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(is_removal_of(&r[0], TAG, c.key));
}

/* A rejected key is updated by the next add_key() of its name: that is told. */
TEST_F_TIMEOUT(construct, posts_update_afterwards, 60)
{
	struct construction c;
	struct wq_record r[4];

	ASSERT_EQ(0, construct_watched(self, variant, &c));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));

	ASSERT_EQ(c.key, wq_add_user_key("wq:constructed", c.ring));
	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_UPDATED, c.key));
	EXPECT_EQ(0, r[0].aux);
}

/* A watched keyring is told of the key as soon as it is under construction. */
TEST_F_TIMEOUT(construct, is_told_to_the_keyring_before, 60)
{
	struct construction c;
	struct wq_record r[4];

	ASSERT_EQ(0, wq_watch_key(KEY_SPEC_SESSION_KEYRING, self->fds[0], TAG));
	ASSERT_EQ(0, construct_begin(self, variant, &c));

	ASSERT_EQ(1, wq_read_all(self->fds[0], r, 4));
	EXPECT_TRUE(wq_is_key(&r[0], NOTIFY_KEY_LINKED, c.ring));
	EXPECT_EQ(c.key, (int)r[0].aux);

	EXPECT_EQ(variant->error ? -variant->error : c.key, construct_end(&c));
	EXPECT_EQ(0, wq_fionread(self->fds[0]));
}

int main(int argc, char **argv)
{
	/* As the kernel calls it: create KEY UID GID KEYRING KEYRING KEYRING. */
	if (argc > 2 && !strcmp(argv[1], "create"))
		return upcall_main(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
