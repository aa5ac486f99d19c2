// SPDX-License-Identifier: GPL-2.0
/* Which events are let through: by type and subtype, in the kernel. */

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "wqmon.h"

#define ALL_SUBTYPES	0xff

void select_all(struct selection *s)
{
	memset(s, ALL_SUBTYPES, sizeof(*s));
}

void select_none(struct selection *s)
{
	memset(s, 0, sizeof(*s));
}

static void let(struct selection *s, unsigned int type, unsigned int subtype, bool in)
{
	__u32 bit = 1u << subtype % 32;

	if (in)
		s->subtypes[type][subtype / 32] |= bit;
	else
		s->subtypes[type][subtype / 32] &= ~bit;
}

/*
 * "TYPE.SUBTYPE", where either may be a number; or one word, which is a type or a
 * subtype's name.
 */
static bool matches(const char *pattern, unsigned int type, unsigned int subtype)
{
	char name[64];

	if (!strchr(pattern, '.'))
		return !fnmatch(pattern, type_name(type), 0) ||
		       (subtype_words(type, subtype) &&
			!fnmatch(pattern, subtype_name(type, subtype), 0));

	snprintf(name, sizeof(name), "%s.%s", type_name(type),
		 subtype_name(type, subtype));
	if (!fnmatch(pattern, name, 0))
		return true;
	snprintf(name, sizeof(name), "%s.%u", type_name(type), subtype);
	if (!fnmatch(pattern, name, 0))
		return true;
	snprintf(name, sizeof(name), "%u.%u", type, subtype);
	return !fnmatch(pattern, name, 0);
}

/**
 * select_events - let events in, or keep them out
 * @s: The selection.
 * @pattern: Of the events' names.
 * @let_in: Whether in or out.
 *
 * Return: Whether there are such events.
 */
bool select_events(struct selection *s, const char *pattern, bool let_in)
{
	unsigned int type, subtype;
	bool found = false;

	for (type = WATCH_TYPE_META + 1; type < NR_TYPES; type++) {
		for (subtype = 0; subtype < NR_SUBTYPES; subtype++) {
			if (!matches(pattern, type, subtype))
				continue;
			let(s, type, subtype, let_in);
			found = true;
		}
	}
	return found;
}

/* Keeps out all types but those whose bits are set. */
void select_types(struct selection *s, __u32 types)
{
	unsigned int type;

	for (type = 0; type < NR_TYPES; type++) {
		if (!(types & 1u << type))
			memset(s->subtypes[type], 0, sizeof(s->subtypes[type]));
	}
}

static bool has_subtypes(const struct selection *s, unsigned int type)
{
	static const __u32 none[NR_SUBTYPES / 32];

	return memcmp(s->subtypes[type], none, sizeof(none));
}

/* Those of the types whose bits are set of which anything is let in. */
__u32 selected_types(const struct selection *s, __u32 types)
{
	unsigned int type;

	for (type = 0; type < NR_TYPES; type++) {
		if (!has_subtypes(s, type))
			types &= ~(1u << type);
	}
	return types;
}

/**
 * select_in_kernel - have the kernel let through what is selected
 * @fd: The queue.
 * @o: The options.
 *
 * Types that the kernel does not know do not matter to it.
 *
 * Return: 0 or the error.
 */
int select_in_kernel(int fd, const struct options *o)
{
	struct watch_notification_filter *filter;
	struct watch_notification_type_filter *rule;
	unsigned int type;
	int ret;

	filter = must(calloc(1, sizeof(*filter) + NR_TYPES * sizeof(*rule)));
	for (type = WATCH_TYPE_META + 1; type < NR_TYPES; type++) {
		if (!has_subtypes(&o->selection, type))
			continue;
		rule = &filter->filters[filter->nr_filters++];
		rule->type = type;
		memcpy(rule->subtype_filter, o->selection.subtypes[type],
		       sizeof(rule->subtype_filter));
		if (type == WATCH_TYPE_BLOCK_NOTIFY && o->no_stacked)
			rule->info_mask = NOTIFY_BLOCK_STACKED;
	}
	ret = ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, filter) < 0 ? -errno : 0;
	free(filter);
	return ret;
}
