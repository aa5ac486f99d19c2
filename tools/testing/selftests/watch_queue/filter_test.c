// SPDX-License-Identifier: GPL-2.0
/*
 * IOC_WATCH_QUEUE_SET_FILTER: what a filter lets through and which filters are
 * refused.
 */
#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "watch_queue_util.h"

#define TAG	0xa5u

struct filter {
	struct watch_notification_filter head;
	struct watch_notification_type_filter rules[WQ_FILTER_MAX + 1];
};

/* Every key event that can be made of an instantiated key or keyring. */
#define ALL_EVENTS	((1 << NOTIFY_KEY_UPDATED) |	\
			 (1 << NOTIFY_KEY_LINKED) |	\
			 (1 << NOTIFY_KEY_UNLINKED) |	\
			 (1 << NOTIFY_KEY_CLEARED) |	\
			 (1 << NOTIFY_KEY_REVOKED) |	\
			 (1 << NOTIFY_KEY_INVALIDATED) |\
			 (1 << NOTIFY_KEY_SETATTR))

FIXTURE(filter)
{
	int fds[2];
	int key;
	int ring;
	struct filter filter;
};

FIXTURE_SETUP(filter)
{
	WQ_REQUIRE_KEYS();
	self->key = wq_pipe_with_key(self->fds, O_NONBLOCK, TAG);
	ASSERT_LT(0, self->key);
	ASSERT_EQ(0, wq_set_size(self->fds[0], 64));
	self->ring = wq_add_keyring("ring", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->ring);
}

FIXTURE_TEARDOWN(filter)
{
	wq_close(self->fds);
}

/* One rule that lets all key events through. */
static void filter_all_keys(struct filter *f)
{
	memset(f, 0, sizeof(*f));
	f->head.nr_filters = 1;
	f->rules[0].type = WATCH_TYPE_KEY_NOTIFY;
	memset(f->rules[0].subtype_filter, 0xff,
	       sizeof(f->rules[0].subtype_filter));
}

/* One rule that lets key events of one subtype through. */
static void filter_subtype(struct filter *f, unsigned int subtype)
{
	memset(f, 0, sizeof(*f));
	f->head.nr_filters = 1;
	f->rules[0].type = WATCH_TYPE_KEY_NOTIFY;
	f->rules[0].subtype_filter[subtype / 32] = 1u << (subtype % 32);
}

/*
 * Makes one event of each subtype in ALL_EVENTS, on new keys that are watched,
 * and returns the set of those that came through, -EBADMSG if one came twice.
 */
static int events_through(FIXTURE_DATA(filter) * const self)
{
	struct wq_record rec;
	int ring, key, child, ret, through = 0;

	ring = wq_add_keyring("events", self->ring);
	if (ring < 0)
		return ring;
	key = wq_add_user_key("event", self->ring);
	if (key < 0)
		return key;
	ret = wq_watch_key(ring, self->fds[0], TAG);
	if (!ret)
		ret = wq_watch_key(key, self->fds[0], TAG);
	if (ret)
		return ret;

	child = wq_add_user_key("child", ring);			/* LINKED */
	if (child < 0)
		return child;
	ret = wq_unlink_key(child, ring);			/* UNLINKED */
	if (!ret)
		ret = wq_clear_keyring(ring);			/* CLEARED */
	if (!ret)
		ret = wq_update_key(key);			/* UPDATED */
	if (!ret)
		ret = wq_touch(key);				/* SETATTR */
	if (!ret)
		ret = wq_revoke_key(key);			/* REVOKED */
	if (!ret)
		ret = wq_invalidate_key(ring);			/* INVALIDATED */
	if (ret)
		return ret;

	while (!(ret = wq_read_one(self->fds[0], &rec))) {
		if (rec.type == WATCH_TYPE_META)
			continue;
		if (rec.type != WATCH_TYPE_KEY_NOTIFY || rec.tag != TAG ||
		    through & (1 << rec.subtype))
			return -EBADMSG;
		through |= 1 << rec.subtype;
	}
	return ret == -EAGAIN ? through : ret;
}

/* Whether an event of the watched key comes through: 1, 0, or an error. */
static int touch_through(FIXTURE_DATA(filter) * const self)
{
	struct wq_record recs[3];
	int ret;

	ret = wq_touch(self->key);
	if (ret)
		return ret;
	return wq_read_all(self->fds[0], recs, 3);
}

/* ---- What comes through ---- */

/* Without a filter everything does. */
TEST_F(filter, none)
{
	EXPECT_EQ(ALL_EVENTS, events_through(self));
}

/* A rule with all subtypes and no mask lets all of its type through. */
TEST_F(filter, all_of_a_type)
{
	filter_all_keys(&self->filter);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(ALL_EVENTS, events_through(self));
}

/* A rule without any subtype lets nothing through. */
TEST_F(filter, no_subtype)
{
	filter_all_keys(&self->filter);
	memset(self->filter.rules[0].subtype_filter, 0,
	       sizeof(self->filter.rules[0].subtype_filter));
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(0, events_through(self));
}

/* Bit s % 32 of word s / 32 lets subtype s through and no other, for all 256. */
TEST_F_TIMEOUT(filter, each_subtype_alone, 120)
{
	unsigned int subtype;

	for (subtype = 0; subtype < 256; subtype++) {
		int expected = subtype < 8 ? (1 << subtype) & ALL_EVENTS : 0;

		filter_subtype(&self->filter, subtype);
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(expected, events_through(self))
			TH_LOG("subtype %u", subtype);
	}
}

/* The bits are kept in all eight words, as fdinfo tells. */
TEST_F(filter, each_subtype_is_kept)
{
	struct wq_fdinfo info;
	unsigned int subtype;

	for (subtype = 0; subtype < 256; subtype++) {
		filter_subtype(&self->filter, subtype);
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
		ASSERT_EQ(1, info.nr_filters);
		EXPECT_EQ(0, memcmp(&self->filter.rules[0], &info.filters[0],
				    sizeof(info.filters[0])))
			TH_LOG("subtype %u", subtype);
	}
}

/* All but one subtype: what is not set does not come through. */
TEST_F(filter, each_subtype_missing)
{
	unsigned int subtype;

	for (subtype = 0; subtype < 8; subtype++) {
		filter_all_keys(&self->filter);
		self->filter.rules[0].subtype_filter[0] &= ~(1u << subtype);
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(ALL_EVENTS & ~(1 << subtype), events_through(self));
	}
}

/* Another type's rule does not let key events through. */
TEST_F(filter, other_type)
{
	static const unsigned int types[] = { WATCH_TYPE_META,
					      WATCH_TYPE_BLOCK_NOTIFY,
					      WATCH_TYPE_USB_NOTIFY };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		filter_all_keys(&self->filter);
		self->filter.rules[0].type = types[i];
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(0, events_through(self))
			TH_LOG("type %u", types[i]);
	}
}

/* A record passes if any of the rules accepts it, whichever of up to 16. */
TEST_F(filter, any_of_16_rules)
{
	struct watch_notification_type_filter *rules = self->filter.rules;
	int which, i;

	for (which = 0; which < WQ_FILTER_MAX; which++) {
		const int subtype = which % 8;

		/* The others are of all types, for subtypes that never come. */
		filter_all_keys(&self->filter);
		self->filter.head.nr_filters = WQ_FILTER_MAX;
		for (i = 0; i < WQ_FILTER_MAX; i++) {
			rules[i].type = i % WATCH_TYPE__NR;
			memset(rules[i].subtype_filter, 0,
			       sizeof(rules[i].subtype_filter));
			rules[i].subtype_filter[0] = 0x100 << i;
		}
		rules[which].type = WATCH_TYPE_KEY_NOTIFY;
		rules[which].subtype_filter[0] = 1 << subtype;

		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(ALL_EVENTS & (1 << subtype), events_through(self))
			TH_LOG("rule %d", which);
	}
}

/* Two rules for one type do not mix their subtypes and masks. */
TEST_F(filter, rules_do_not_mix)
{
	struct watch_notification_type_filter *rules = self->filter.rules;

	/* SETATTR with a tag that nobody has, or UPDATED with ours. */
	filter_subtype(&self->filter, NOTIFY_KEY_SETATTR);
	self->filter.head.nr_filters = 2;
	rules[1] = rules[0];
	rules[0].info_mask = WATCH_INFO_ID;
	rules[0].info_filter = (TAG ^ 1) << WATCH_INFO_ID__SHIFT;
	rules[1].info_mask = WATCH_INFO_ID;
	rules[1].info_filter = TAG << WATCH_INFO_ID__SHIFT;
	rules[1].subtype_filter[0] = 1 << NOTIFY_KEY_UPDATED;

	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(1 << NOTIFY_KEY_UPDATED, events_through(self));
}

/* ---- The info mask ---- */

/* The tag can be filtered by: all of it, bit by bit, and not at all. */
TEST_F(filter, mask_of_tag)
{
	struct watch_notification_type_filter *rule = &self->filter.rules[0];
	int bit;

	filter_all_keys(&self->filter);

	rule->info_mask = WATCH_INFO_ID;
	rule->info_filter = TAG << WATCH_INFO_ID__SHIFT;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(1, touch_through(self));

	rule->info_filter = (TAG ^ 0x40) << WATCH_INFO_ID__SHIFT;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(0, touch_through(self));

	for (bit = 0; bit < 8; bit++) {
		unsigned int set = TAG & (1 << bit);

		rule->info_mask = 1 << bit << WATCH_INFO_ID__SHIFT;
		rule->info_filter = rule->info_mask;
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(set ? 1 : 0, touch_through(self));

		rule->info_filter = 0;
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(set ? 0 : 1, touch_through(self));
	}
}

/* Two watches of one queue are told apart by their tags. */
TEST_F(filter, mask_tells_watches_apart)
{
	struct watch_notification_type_filter *rule = &self->filter.rules[0];
	struct wq_record recs[3];

	ASSERT_EQ(0, wq_watch_key(self->ring, self->fds[0], 9));
	filter_all_keys(&self->filter);
	rule->info_mask = WATCH_INFO_ID;
	rule->info_filter = 9 << WATCH_INFO_ID__SHIFT;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));

	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, wq_touch(self->ring));
	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
	EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_SETATTR, self->ring));
	EXPECT_EQ(9U, recs[0].tag);
}

/* Key records have none of the type's own bits set. */
TEST_F(filter, mask_of_type_info)
{
	struct watch_notification_type_filter *rule = &self->filter.rules[0];
	int bit;

	filter_all_keys(&self->filter);
	rule->info_mask = WATCH_INFO_TYPE_INFO;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(1, touch_through(self));

	for (bit = 16; bit < 32; bit++) {
		rule->info_filter = 1u << bit;
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
		EXPECT_EQ(0, touch_through(self));
	}
}

/* ---- META records, loss, and what was refused ---- */

/* META records are never hidden: removal. */
TEST_F(filter, shows_removal)
{
	struct wq_record recs[3];

	filter_all_keys(&self->filter);
	memset(self->filter.rules[0].subtype_filter, 0,
	       sizeof(self->filter.rules[0].subtype_filter));
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));

	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
	EXPECT_TRUE(wq_is_removal(&recs[0]));
	EXPECT_EQ(TAG, recs[0].tag);
	EXPECT_EQ((__u64)self->key, recs[0].id);
}

/* Not even by a rule for META that lets none of its subtypes through. */
TEST_F(filter, shows_meta_against_its_own_rule)
{
	struct wq_record recs[20];
	int nr;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	memset(&self->filter, 0, sizeof(self->filter));
	self->filter.head.nr_filters = 2;
	self->filter.rules[0].type = WATCH_TYPE_META;
	self->filter.rules[0].info_mask = WATCH_INFO_ID;
	self->filter.rules[1].type = WATCH_TYPE_KEY_NOTIFY;
	self->filter.rules[1].subtype_filter[0] = 1 << NOTIFY_KEY_SETATTR;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));

	ASSERT_EQ(0, wq_touch_n(self->key, 10));
	nr = wq_read_all(self->fds[0], recs, 20);
	ASSERT_EQ(9, nr);
	EXPECT_TRUE(wq_is_loss(&recs[8]));
	EXPECT_EQ(2U, recs[8].lost);

	ASSERT_EQ(0, wq_watch_key(self->key, self->fds[0], -1));
	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 20));
	EXPECT_TRUE(wq_is_removal(&recs[0]));
}

/* What a filter refused was not posted: it is neither queued nor lost. */
TEST_F(filter, refused_is_not_lost)
{
	struct watch_queue_info info;
	struct wq_tally tally = {};
	int i;

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));

	ASSERT_EQ(0, wq_touch_n(self->key, 20));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(0U, info.queued);
	EXPECT_EQ(0U, info.lost);
	EXPECT_FALSE(wq_readable(self->fds[0]));

	/* Nor is it when the queue is full of others. */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, wq_update_key(self->key))
			TH_LOG("update %d", i);
	}
	ASSERT_EQ(0, wq_touch_n(self->key, 20));
	ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	EXPECT_EQ(8U, tally.records);
	EXPECT_EQ(0U, tally.losses);
}

/* A filter is for what comes; what is queued stays. */
TEST_F(filter, leaves_what_is_queued)
{
	struct wq_record recs[3];

	ASSERT_EQ(0, wq_touch(self->key));
	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
	EXPECT_TRUE(wq_is_key(&recs[0], NOTIFY_KEY_SETATTR, self->key));
}

/* NULL removes the filter, also where there is none. */
TEST_F(filter, null_removes)
{
	EXPECT_EQ(0, wq_set_filter(self->fds[0], NULL));
	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(0, touch_through(self));
	EXPECT_EQ(0, wq_set_filter(self->fds[0], NULL));
	EXPECT_EQ(1, touch_through(self));
	EXPECT_EQ(0, wq_set_filter(self->fds[0], NULL));
	EXPECT_EQ(1, touch_through(self));
}

/* A new filter replaces the old one, all of it. */
TEST_F(filter, replaces)
{
	filter_subtype(&self->filter, NOTIFY_KEY_SETATTR);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(1 << NOTIFY_KEY_UPDATED, events_through(self));
}

/* Each queue has its own. */
TEST_F(filter, is_the_queue_s_own)
{
	struct wq_record recs[3];
	int fds[2];

	ASSERT_EQ(0, wq_pipe(fds, 0));
	ASSERT_EQ(0, wq_watch_key(self->key, fds[0], 1));
	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	EXPECT_EQ(0, touch_through(self));
	EXPECT_EQ(1, wq_read_all(fds[0], recs, 3));
	wq_close(fds);
}

/* ---- Types that the kernel does not know ---- */

FIXTURE(unknown)
{
	int fds[2];
	int key;
	struct filter filter;
};

FIXTURE_VARIANT(unknown)
{
	unsigned int type;
};

FIXTURE_VARIANT_ADD(unknown, next) { .type = WATCH_TYPE__NR };
FIXTURE_VARIANT_ADD(unknown, t31) { .type = 31 };
FIXTURE_VARIANT_ADD(unknown, t64) { .type = 64 };
FIXTURE_VARIANT_ADD(unknown, t256_key) { .type = 0x100 + WATCH_TYPE_KEY_NOTIFY };
FIXTURE_VARIANT_ADD(unknown, largest) { .type = 0xffffff };
/* No record has such a type, whatever its lower 24 bits are. */
FIXTURE_VARIANT_ADD(unknown, too_wide_meta) { .type = 0x1000000 };
FIXTURE_VARIANT_ADD(unknown, too_wide_key) { .type = 0x1000001 };
FIXTURE_VARIANT_ADD(unknown, minus_1) { .type = 0xffffffff };

FIXTURE_SETUP(unknown)
{
	WQ_REQUIRE_KEYS();
	self->key = wq_pipe_with_key(self->fds, 0, TAG);
	ASSERT_LT(0, self->key);
	filter_all_keys(&self->filter);
	self->filter.rules[0].type = variant->type;
}

FIXTURE_TEARDOWN(unknown)
{
	wq_close(self->fds);
}

/* A filter of nothing but unknown types is EINVAL. */
TEST_F(unknown, alone)
{
	struct wq_record recs[3];
	int i;

	EXPECT_EQ(-EINVAL, wq_set_filter(self->fds[0], &self->filter));
	for (i = 1; i < WQ_FILTER_MAX; i++)
		self->filter.rules[i] = self->filter.rules[0];
	self->filter.head.nr_filters = WQ_FILTER_MAX;
	EXPECT_EQ(-EINVAL, wq_set_filter(self->fds[0], &self->filter));

	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(1, wq_read_all(self->fds[0], recs, 3));
}

/* Beside a known type it is passed over, wherever it stands. */
TEST_F(unknown, beside_a_known_one)
{
	struct wq_record recs[3];
	unsigned int where, i;

	for (where = 0; where < WQ_FILTER_MAX; where++) {
		filter_all_keys(&self->filter);
		self->filter.head.nr_filters = WQ_FILTER_MAX;
		for (i = 0; i < WQ_FILTER_MAX; i++) {
			self->filter.rules[i] = self->filter.rules[0];
			self->filter.rules[i].type = variant->type;
		}
		self->filter.rules[where].type = WATCH_TYPE_KEY_NOTIFY;
		self->filter.rules[where].subtype_filter[0] =
			1 << NOTIFY_KEY_UPDATED;
		ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));

		ASSERT_EQ(0, wq_touch(self->key));
		ASSERT_EQ(0, wq_update_key(self->key));
		ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
		EXPECT_EQ((unsigned int)NOTIFY_KEY_UPDATED, recs[0].subtype);
	}
}

/* It has to be well-formed all the same. */
TEST_F(unknown, malformed)
{
	self->filter.head.nr_filters = 2;
	self->filter.rules[1] = self->filter.rules[0];
	self->filter.rules[1].type = WATCH_TYPE_KEY_NOTIFY;
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	self->filter.rules[0].info_mask = WATCH_INFO_LENGTH;
	EXPECT_EQ(-EINVAL, wq_set_filter(self->fds[0], &self->filter));
}

/* ---- Filters that are refused ---- */

FIXTURE(bad)
{
	int fds[2];
	int key;
	struct filter filter;
	char *edge;	/* the end of what can be read */
};

/* Where in memory the filter stands. */
enum place {
	WHERE_ALL_IS,
	WHERE_NOTHING_IS,
	WHERE_HEAD_ENDS,	/* only half the head can be read */
	WHERE_RULES_END,	/* only the head can be read */
	WHERE_LAST_ENDS,	/* all but the last byte can be read */
};

FIXTURE_VARIANT(bad)
{
	int error;
	unsigned int nr_filters;
	unsigned int reserved;
	unsigned int info_filter;
	unsigned int info_mask;
	enum place place;
};

FIXTURE_VARIANT_ADD(bad, no_rule) {
	.error = -EINVAL, .nr_filters = 0,
};

FIXTURE_VARIANT_ADD(bad, 17_rules) {
	.error = -EINVAL, .nr_filters = 17,
};

FIXTURE_VARIANT_ADD(bad, 4g_rules) {
	.error = -EINVAL, .nr_filters = 0xffffffff,
};

FIXTURE_VARIANT_ADD(bad, overflowing_rules) {
	.error = -EINVAL, .nr_filters = 0x10000001,
};

FIXTURE_VARIANT_ADD(bad, reserved) {
	.error = -EINVAL, .nr_filters = 1, .reserved = 1,
};

FIXTURE_VARIANT_ADD(bad, reserved_high_bit) {
	.error = -EINVAL, .nr_filters = 1, .reserved = 0x80000000,
};

FIXTURE_VARIANT_ADD(bad, filter_without_mask) {
	.error = -EINVAL, .nr_filters = 1,
	.info_filter = 0x00000100, .info_mask = 0,
};

FIXTURE_VARIANT_ADD(bad, filter_beyond_mask) {
	.error = -EINVAL, .nr_filters = 1,
	.info_filter = 0x80000100, .info_mask = 0x00000100,
};

FIXTURE_VARIANT_ADD(bad, mask_of_length) {
	.error = -EINVAL, .nr_filters = 1,
	.info_filter = 0, .info_mask = WATCH_INFO_LENGTH,
};

FIXTURE_VARIANT_ADD(bad, mask_touches_length_low) {
	.error = -EINVAL, .nr_filters = 1,
	.info_filter = 0, .info_mask = 0x0000ff01,
};

FIXTURE_VARIANT_ADD(bad, mask_touches_length_high) {
	.error = -EINVAL, .nr_filters = 1,
	.info_filter = 0, .info_mask = 0x00000040,
};

FIXTURE_VARIANT_ADD(bad, pointer) {
	.error = -EFAULT, .nr_filters = 1, .place = WHERE_NOTHING_IS,
};

FIXTURE_VARIANT_ADD(bad, half_a_head) {
	.error = -EFAULT, .nr_filters = 1, .place = WHERE_HEAD_ENDS,
};

FIXTURE_VARIANT_ADD(bad, head_alone) {
	.error = -EFAULT, .nr_filters = 1, .place = WHERE_RULES_END,
};

FIXTURE_VARIANT_ADD(bad, all_but_a_byte) {
	.error = -EFAULT, .nr_filters = 16, .place = WHERE_LAST_ENDS,
};

/* The head is judged before the rules are read. */
FIXTURE_VARIANT_ADD(bad, no_rule_and_no_rules) {
	.error = -EINVAL, .nr_filters = 0, .place = WHERE_RULES_END,
};

FIXTURE_VARIANT_ADD(bad, 17_rules_and_no_rules) {
	.error = -EINVAL, .nr_filters = 17, .place = WHERE_RULES_END,
};

FIXTURE_VARIANT_ADD(bad, reserved_and_no_rules) {
	.error = -EINVAL, .nr_filters = 1, .reserved = 1,
	.place = WHERE_RULES_END,
};

FIXTURE_SETUP(bad)
{
	WQ_REQUIRE_KEYS();
	self->key = wq_pipe_with_key(self->fds, 0, TAG);
	ASSERT_LT(0, self->key);
	self->edge = wq_map_edge(1, 1);
	ASSERT_FALSE(!self->edge);
}

FIXTURE_TEARDOWN(bad)
{
	wq_close(self->fds);
}

/* The variant's fault put where it stands, in the last of @nr rules. */
static const void *bad_filter(FIXTURE_DATA(bad) * const self,
			      const FIXTURE_VARIANT(bad) * const variant,
			      unsigned int nr)
{
	struct filter *f = &self->filter;
	size_t size, i;

	filter_all_keys(f);
	for (i = 1; i <= WQ_FILTER_MAX; i++)
		f->rules[i] = f->rules[0];
	f->head.nr_filters = variant->nr_filters == 1 ? nr : variant->nr_filters;
	f->head.__reserved = variant->reserved;
	f->rules[nr - 1].info_filter = variant->info_filter;
	f->rules[nr - 1].info_mask = variant->info_mask;

	switch (variant->place) {
	case WHERE_NOTHING_IS:
		return self->edge;
	case WHERE_HEAD_ENDS:
		size = sizeof(f->head) / 2;
		break;
	case WHERE_RULES_END:
		size = sizeof(f->head);
		break;
	case WHERE_LAST_ENDS:
		size = sizeof(f->head) +
		       f->head.nr_filters * sizeof(f->rules[0]) - 1;
		break;
	case WHERE_ALL_IS:
	default:
		size = sizeof(*f);
		break;
	}
	memcpy(self->edge - size, f, size);
	return self->edge - size;
}

/* Each fault has its error, be it in the first rule or in the last of 16. */
TEST_F(bad, is_refused)
{
	EXPECT_EQ(variant->error,
		  wq_set_filter(self->fds[0], bad_filter(self, variant, 1)));
	EXPECT_EQ(variant->error,
		  wq_set_filter(self->fds[0],
				bad_filter(self, variant, WQ_FILTER_MAX)));
	EXPECT_EQ(variant->error,
		  wq_set_filter(self->fds[1], bad_filter(self, variant, 1)));
}

/* A call that fails leaves the filter that there was. */
TEST_F(bad, leaves_the_old_filter)
{
	struct wq_fdinfo before, after;
	struct wq_record recs[3];

	filter_subtype(&self->filter, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, wq_set_filter(self->fds[0], &self->filter));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &before));

	ASSERT_EQ(variant->error,
		  wq_set_filter(self->fds[0],
				bad_filter(self, variant, WQ_FILTER_MAX)));

	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &after));
	EXPECT_EQ(1, after.nr_filters);
	EXPECT_EQ(0, memcmp(before.filters, after.filters,
			    sizeof(before.filters)));
	ASSERT_EQ(0, wq_touch(self->key));
	ASSERT_EQ(0, wq_update_key(self->key));
	ASSERT_EQ(1, wq_read_all(self->fds[0], recs, 3));
	EXPECT_EQ((unsigned int)NOTIFY_KEY_UPDATED, recs[0].subtype);
}

/* Where there was none, there is none. */
TEST_F(bad, leaves_no_filter)
{
	struct wq_record recs[3];

	ASSERT_EQ(variant->error,
		  wq_set_filter(self->fds[0],
				bad_filter(self, variant, WQ_FILTER_MAX)));
	ASSERT_EQ(0, wq_touch(self->key));
	EXPECT_EQ(1, wq_read_all(self->fds[0], recs, 3));
}

TEST_HARNESS_MAIN
