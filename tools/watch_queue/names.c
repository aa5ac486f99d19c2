// SPDX-License-Identifier: GPL-2.0
/*
 * What types, subtypes and operations are called.
 *
 * The names are those of <linux/watch_queue.h> in lower case, without what is
 * before them: NOTIFY_BLOCK_ERROR_IO is "block.error_io".  What the header does
 * not know is called by its number.
 */

#include "wqmon.h"

/* The first number of a block subtype that is not about I/O that failed. */
#define BLOCK_NOT_ERRORS	64

/**
 * struct subtype_info - a subtype
 * @name: What it is called in options and in JSON.
 * @words: What it is called in text.
 * @level: How grave it is.
 */
struct subtype_info {
	const char	*name;
	const char	*words;
	enum level	level;
};

static const struct subtype_info meta_subtypes[NR_SUBTYPES] = {
	[WATCH_META_REMOVAL_NOTIFICATION] = {
		"removal", "no longer watched", LEVEL_NOTICE },
	[WATCH_META_LOSS_NOTIFICATION] = {
		"loss", "lost", LEVEL_WARNING },
};

static const struct subtype_info key_subtypes[NR_SUBTYPES] = {
	[NOTIFY_KEY_INSTANTIATED] = {
		"instantiated", "instantiated", LEVEL_INFO },
	[NOTIFY_KEY_UPDATED] = {
		"updated", "updated", LEVEL_INFO },
	[NOTIFY_KEY_LINKED] = {
		"linked", "linked", LEVEL_INFO },
	[NOTIFY_KEY_UNLINKED] = {
		"unlinked", "unlinked", LEVEL_INFO },
	[NOTIFY_KEY_CLEARED] = {
		"cleared", "cleared", LEVEL_INFO },
	[NOTIFY_KEY_REVOKED] = {
		"revoked", "revoked", LEVEL_NOTICE },
	[NOTIFY_KEY_INVALIDATED] = {
		"invalidated", "invalidated", LEVEL_NOTICE },
	[NOTIFY_KEY_SETATTR] = {
		"setattr", "attributes changed", LEVEL_INFO },
};

static const struct subtype_info block_subtypes[NR_SUBTYPES] = {
	[NOTIFY_BLOCK_ERROR_TIMEOUT] = {
		"error_timeout", "timed out", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_NO_SPACE] = {
		"error_no_space", "no space", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT] = {
		"error_recoverable_transport", "transport error", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_CRITICAL_TARGET] = {
		"error_critical_target", "target error", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS] = {
		"error_critical_nexus", "reserved by another", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM] = {
		"error_critical_medium", "medium error", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_PROTECTION] = {
		"error_protection", "protection error", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE] = {
		"error_kernel_resource", "kernel out of resources", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE] = {
		"error_device_resource", "device out of resources", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_IO] = {
		"error_io", "I/O error", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_NOT_SUPPORTED] = {
		"error_not_supported", "not supported", LEVEL_WARNING },
	[NOTIFY_BLOCK_ERROR_AGAIN] = {
		"error_again", "would have waited", LEVEL_WARNING },
	[NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE] = {
		"error_zone_open_resource", "too many open zones", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE] = {
		"error_zone_active_resource", "too many active zones", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_OFFLINE] = {
		"error_offline", "offline", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_DURATION_LIMIT] = {
		"error_duration_limit", "over the duration limit", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_INVALID] = {
		"error_invalid", "invalid request", LEVEL_ERROR },
	[NOTIFY_BLOCK_ERROR_DM_REQUEUE] = {
		"error_dm_requeue", "to be repeated", LEVEL_ERROR },
	[NOTIFY_BLOCK_CAPACITY] = {
		"capacity", "capacity changed", LEVEL_NOTICE },
	[NOTIFY_BLOCK_MEDIUM] = {
		"medium", "medium changed", LEVEL_NOTICE },
	[NOTIFY_BLOCK_DEAD] = {
		"dead", "dead", LEVEL_ERROR },
};

static const struct subtype_info usb_subtypes[NR_SUBTYPES] = {
	[NOTIFY_USB_DEVICE_ADD] = {
		"device_add", "added", LEVEL_INFO },
	[NOTIFY_USB_DEVICE_REMOVE] = {
		"device_remove", "removed", LEVEL_INFO },
	[NOTIFY_USB_DEVICE_RESET] = {
		"device_reset", "reset", LEVEL_NOTICE },
	[NOTIFY_USB_DEVICE_ERROR] = {
		"device_error", "error", LEVEL_ERROR },
	[NOTIFY_USB_BUS_ADD] = {
		"bus_add", "bus added", LEVEL_INFO },
	[NOTIFY_USB_BUS_REMOVE] = {
		"bus_remove", "bus removed", LEVEL_INFO },
};

static const struct {
	const char			*name;
	const struct subtype_info	*subtypes;
} types[] = {
	[WATCH_TYPE_META]		= { "meta", meta_subtypes },
	[WATCH_TYPE_KEY_NOTIFY]		= { "key", key_subtypes },
	[WATCH_TYPE_BLOCK_NOTIFY]	= { "block", block_subtypes },
	[WATCH_TYPE_USB_NOTIFY]		= { "usb", usb_subtypes },
};

static const char * const operations[] = {
	[NOTIFY_BLOCK_OP_NONE]			= "none",
	[NOTIFY_BLOCK_OP_READ]			= "read",
	[NOTIFY_BLOCK_OP_WRITE]			= "write",
	[NOTIFY_BLOCK_OP_FLUSH]			= "flush",
	[NOTIFY_BLOCK_OP_DISCARD]		= "discard",
	[NOTIFY_BLOCK_OP_SECURE_ERASE]		= "secure_erase",
	[NOTIFY_BLOCK_OP_WRITE_ZEROES]		= "write_zeroes",
	[NOTIFY_BLOCK_OP_ZONE_APPEND]		= "zone_append",
	[NOTIFY_BLOCK_OP_ZONE_OPEN]		= "zone_open",
	[NOTIFY_BLOCK_OP_ZONE_CLOSE]		= "zone_close",
	[NOTIFY_BLOCK_OP_ZONE_FINISH]		= "zone_finish",
	[NOTIFY_BLOCK_OP_ZONE_RESET]		= "zone_reset",
	[NOTIFY_BLOCK_OP_ZONE_RESET_ALL]	= "zone_reset_all",
	[NOTIFY_BLOCK_OP_OTHER]			= "other",
};

/* NULL for what we do not know. */
static const struct subtype_info *find_subtype(unsigned int type,
					       unsigned int subtype)
{
	const struct subtype_info *s;

	if (type >= ARRAY_SIZE(types) || subtype >= NR_SUBTYPES)
		return NULL;
	s = &types[type].subtypes[subtype];
	return s->name ? s : NULL;
}

/* The number as text, good until the next call but one. */
static const char *number(unsigned int n)
{
	static char text[2][16];
	static unsigned int turn;

	turn = !turn;
	snprintf(text[turn], sizeof(text[turn]), "%u", n);
	return text[turn];
}

const char *type_name(unsigned int type)
{
	return type < ARRAY_SIZE(types) ? types[type].name : number(type);
}

const char *subtype_name(unsigned int type, unsigned int subtype)
{
	const struct subtype_info *s = find_subtype(type, subtype);

	return s ? s->name : number(subtype);
}

const char *subtype_words(unsigned int type, unsigned int subtype)
{
	const struct subtype_info *s = find_subtype(type, subtype);

	return s ? s->words : NULL;
}

/* What we do not know may be anything. */
enum level event_level(const struct event *e)
{
	const struct subtype_info *s = find_subtype(e->type, e->subtype);

	if (!s)
		return LEVEL_NOTICE;
	if (e->type == WATCH_TYPE_KEY_NOTIFY && e->error)
		return LEVEL_NOTICE;
	return s->level;
}

const char *level_name(enum level level)
{
	switch (level) {
	case LEVEL_ERROR:
		return "error";
	case LEVEL_WARNING:
		return "warning";
	case LEVEL_NOTICE:
		return "notice";
	case LEVEL_INFO:
		break;
	}
	return "info";
}

const char *operation_name(unsigned int operation)
{
	if (operation < ARRAY_SIZE(operations) && operations[operation])
		return operations[operation];
	return number(operation);
}

bool is_block_error(const struct event *e)
{
	return e->type == WATCH_TYPE_BLOCK_NOTIFY && e->subtype < BLOCK_NOT_ERRORS;
}

/* META is always let through and so is not to be chosen. */
void list_events(FILE *f)
{
	unsigned int t, s;

	for (t = WATCH_TYPE_META + 1; t < ARRAY_SIZE(types); t++) {
		for (s = 0; s < NR_SUBTYPES; s++) {
			if (find_subtype(t, s))
				fprintf(f, "%s.%s\n", type_name(t), subtype_name(t, s));
		}
	}
}
