// SPDX-License-Identifier: GPL-2.0
/*
 * An event's fields, by name, for programs.
 *
 * These are what JSON has and what a command finds in its environment, and are
 * described in wqmon(1) and wqmon.schema.json: they stay, and others may join them.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "wqmon.h"

/* What has no value is left out. */
static void put_text(struct sink *sink, const char *name, const char *value)
{
	if (value && value[0])
		sink->text(sink, name, value);
}

static __printf(3, 4)
void put_number(struct sink *sink, const char *name, const char *format, ...)
{
	char text[32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->literal(sink, name, text);
}

static void put_flag(struct sink *sink, const char *name, bool value)
{
	sink->literal(sink, name, value ? "true" : "false");
}

/* As RFC 3339 has it; strftime() knows no colon in the offset. */
static void put_time(struct sink *sink, const struct timespec *time)
{
	char date[32], offset[8], text[64];
	struct tm tm;

	localtime_r(&time->tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(offset, sizeof(offset), "%z", &tm);
	snprintf(text, sizeof(text), "%s.%06ld%.3s:%s", date, time->tv_nsec / 1000,
		 offset, offset + 3);
	put_text(sink, "time", text);
}

/* The subject and the words: what text has behind the time. */
static void put_message(struct sink *sink, const struct event *e)
{
	char *text;
	size_t size;
	FILE *f = must(open_memstream(&text, &size));

	put_subject(f, e);
	fputs(": ", f);
	put_words(f, e);
	fclose(f);
	put_text(sink, "message", must(text));
	free(text);
}

static const char *error_name(int error)
{
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
	return strerrorname_np(-error);
#endif
#endif
	return NULL;
}

static void put_error(struct sink *sink, int error)
{
	if (!error)
		return;
	put_number(sink, "error", "%d", error);
	put_text(sink, "error_name", error_name(error));
}

static void put_key(struct sink *sink, const struct key_name *key)
{
	put_number(sink, "key", "%d", key->id);
	put_text(sink, "key_type", key->type);
	put_text(sink, "key_description", key->description);
}

static void put_meta_fields(struct sink *sink, const struct event *e)
{
	if (e->lost)
		put_number(sink, "lost", "%llu", e->lost);
	if (e->key.id)
		put_key(sink, &e->key);
}

static void put_key_fields(struct sink *sink, const struct event *e)
{
	put_key(sink, &e->key);
	put_number(sink, "aux", "%u", e->aux);
	if (e->target.id) {
		put_number(sink, "target", "%d", e->target.id);
		put_text(sink, "target_type", e->target.type);
		put_text(sink, "target_description", e->target.description);
	}
	put_error(sink, e->error);
}

static void put_block_fields(struct sink *sink, const struct event *e)
{
	const struct block_notification *b = &e->block;

	if (e->disk) {
		put_text(sink, "device", e->disk->name);
		put_text(sink, "model", e->disk->model);
		put_text(sink, "serial", e->disk->serial);
		put_text(sink, "wwid", e->disk->wwid);
	}
	put_number(sink, "major", "%u", major(b->dev));
	put_number(sink, "minor", "%u", minor(b->dev));
	put_number(sink, "diskseq", "%llu", (unsigned long long)b->diskseq);
	put_text(sink, "operation", operation_name(b->operation));
	put_number(sink, "sector", "%llu", (unsigned long long)b->sector);
	put_number(sink, "sectors", "%u", b->sectors);
	put_flag(sink, "stacked", e->flags & NOTIFY_BLOCK_STACKED);
	put_error(sink, e->error);
}

static void put_usb_fields(struct sink *sink, const struct event *e)
{
	char id[8];

	put_text(sink, "device", e->usb_name);
	if (e->usb) {
		put_text(sink, "model", e->usb->model);
		put_text(sink, "serial", e->usb->serial);
	}
	if (e->vendor || e->product) {
		snprintf(id, sizeof(id), "%04x", e->vendor);
		put_text(sink, "vendor_id", id);
		snprintf(id, sizeof(id), "%04x", e->product);
		put_text(sink, "product_id", id);
	}
	put_flag(sink, "port", e->flags & NOTIFY_USB_PORT);
	put_flag(sink, "over_current", e->flags & NOTIFY_USB_OVER_CURRENT);
	put_error(sink, e->error);
}

/* What we do not know can be looked at by somebody who does. */
static void put_unknown_fields(struct sink *sink, const struct event *e)
{
	char hex[2 * 128 + 1] = "";
	size_t i;

	for (i = 0; i < e->data_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", e->data[i]);
	put_number(sink, "flags", "%u", e->flags >> WATCH_INFO_TYPE_INFO__SHIFT);
	put_text(sink, "data", hex);
}

/**
 * put_fields - tell all fields of an event
 * @sink: Who is told.
 * @e: The event, which was identified.
 */
void put_fields(struct sink *sink, const struct event *e)
{
	put_number(sink, "seq", "%llu", e->seq);
	put_time(sink, &e->time);
	put_text(sink, "type", type_name(e->type));
	put_number(sink, "type_id", "%u", e->type);
	put_text(sink, "subtype", subtype_name(e->type, e->subtype));
	put_number(sink, "subtype_id", "%u", e->subtype);
	put_text(sink, "level", level_name(event_level(e)));
	put_number(sink, "tag", "%u", e->tag);
	if (e->watch)
		put_text(sink, "watch", e->watch->name);
	put_message(sink, e);

	if (!e->known)
		put_unknown_fields(sink, e);
	else if (e->type == WATCH_TYPE_META)
		put_meta_fields(sink, e);
	else if (e->type == WATCH_TYPE_KEY_NOTIFY)
		put_key_fields(sink, e);
	else if (e->type == WATCH_TYPE_BLOCK_NOTIFY)
		put_block_fields(sink, e);
	else if (e->type == WATCH_TYPE_USB_NOTIFY)
		put_usb_fields(sink, e);
}
