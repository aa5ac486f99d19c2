// SPDX-License-Identifier: GPL-2.0
/*
 * Makes an event of a record.
 *
 * A later kernel may post records of types and subtypes that we do not know, and
 * longer ones of those we do.  None of them is passed over.
 */

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "wqmon.h"

/* An older kernel's LOSS and a watch without a number's REMOVAL are headers only. */
static bool decode_meta(const void *record, size_t len, struct event *e)
{
	const struct watch_notification_removal *removal = record;
	const struct watch_notification_loss *loss = record;

	if (is_loss(e)) {
		if (len >= sizeof(*loss))
			e->lost = loss->lost;
		return true;
	}
	if (is_removal(e)) {
		if (len >= sizeof(*removal))
			e->id = removal->id;
		return true;
	}
	return false;
}

static bool decode_key(const void *record, size_t len, struct event *e)
{
	const struct key_notification *key = record;

	if (len < sizeof(*key))
		return false;
	e->key.id = key->key_id;
	e->aux = key->aux;
	switch (e->subtype) {
	case NOTIFY_KEY_LINKED:
	case NOTIFY_KEY_UNLINKED:
		e->target.id = key->aux;
		break;
	case NOTIFY_KEY_INSTANTIATED:
		e->error = key->aux;
		break;
	}
	return true;
}

static bool decode_block(const void *record, size_t len, struct event *e)
{
	const struct block_notification *block = record;

	if (len < sizeof(*block))
		return false;
	e->block = *block;
	e->error = block->status;
	return true;
}

static bool decode_usb(const void *record, size_t len, struct event *e)
{
	const struct usb_notification *usb = record;

	if (len < offsetof(struct usb_notification, name) ||
	    usb->name_len > USB_NOTIFICATION_MAX_NAME_LEN ||
	    len < offsetof(struct usb_notification, name) + usb->name_len)
		return false;
	memcpy(e->usb_name, usb->name, usb->name_len);
	e->error = usb->error;
	e->vendor = usb->vendor;
	e->product = usb->product;
	return true;
}

static const struct watch *find_watch(const struct event *e, const struct options *o)
{
	unsigned int i;

	for (i = 0; i < o->nr_watches; i++) {
		if (!is_loss(e) && o->watches[i].tag == e->tag)
			return &o->watches[i];
	}
	return NULL;
}

/**
 * decode - take a record apart
 * @record: The record, aligned to 8 bytes.
 * @left: How many bytes there are from here on.
 * @o: The options.
 * @e: Where to put it.
 *
 * Return: The record's length, 0 if there is no record here.
 */
size_t decode(const void *record, size_t left, const struct options *o,
	      struct event *e)
{
	const struct watch_notification *n = record;
	size_t len;

	memset(e, 0, sizeof(*e));
	if (left < sizeof(*n))
		return 0;
	len = n->info & WATCH_INFO_LENGTH;
	if (len < sizeof(*n) || len > left)
		return 0;

	e->type = n->type;
	e->subtype = n->subtype;
	e->tag = (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
	e->flags = n->info & WATCH_INFO_TYPE_INFO;
	e->watch = find_watch(e, o);
	e->data = (const unsigned char *)(n + 1);
	e->data_len = len - sizeof(*n);

	switch (e->type) {
	case WATCH_TYPE_META:
		e->known = decode_meta(record, len, e);
		break;
	case WATCH_TYPE_KEY_NOTIFY:
		e->known = decode_key(record, len, e);
		break;
	case WATCH_TYPE_BLOCK_NOTIFY:
		e->known = decode_block(record, len, e);
		break;
	case WATCH_TYPE_USB_NOTIFY:
		e->known = decode_usb(record, len, e);
		break;
	}
	return len;
}

/**
 * identify - look up what the event is about
 * @e: The event, which was decoded.
 */
void identify(struct event *e)
{
	if (!e->known)
		return;
	switch (e->type) {
	case WATCH_TYPE_META:
		if (e->watch && e->watch->key)
			name_key(e->watch->key, &e->key);
		break;
	case WATCH_TYPE_KEY_NOTIFY:
		name_key(e->key.id, &e->key);
		if (e->target.id)
			name_key(e->target.id, &e->target);
		break;
	case WATCH_TYPE_BLOCK_NOTIFY:
		e->disk = find_disk(&e->block);
		break;
	case WATCH_TYPE_USB_NOTIFY:
		e->usb = find_usb(e);
		break;
	}
}

static bool has_name(const struct event *e, const char *pattern)
{
	char number[32];

	if (e->type == WATCH_TYPE_BLOCK_NOTIFY) {
		snprintf(number, sizeof(number), "%u:%u", major(e->block.dev),
			 minor(e->block.dev));
		if (e->disk && !fnmatch(pattern, e->disk->name, 0))
			return true;
	} else {
		snprintf(number, sizeof(number), "%04x:%04x", e->vendor, e->product);
		if (!fnmatch(pattern, e->usb_name, 0))
			return true;
	}
	return !fnmatch(pattern, number, 0);
}

/**
 * is_wanted - whether an event is about a device that the user has named
 * @e: The event, which was identified.
 * @o: The options.
 *
 * Return: true also for what is about no device, or in a form that we do not know.
 */
bool is_wanted(const struct event *e, const struct options *o)
{
	unsigned int i;

	if (!o->nr_names || !e->known ||
	    (e->type != WATCH_TYPE_BLOCK_NOTIFY && e->type != WATCH_TYPE_USB_NOTIFY))
		return true;
	for (i = 0; i < o->nr_names; i++) {
		if (has_name(e, o->names[i]))
			return true;
	}
	return false;
}
