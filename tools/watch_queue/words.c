// SPDX-License-Identifier: GPL-2.0
/* What an event says, in words for people. */

#include <string.h>
#include <sys/sysmacros.h>

#include "wqmon.h"

/**
 * utf8_length - how long a character is
 * @s: Where it begins.
 *
 * Return: Its length in bytes, 0 if what is there is not UTF-8.
 */
size_t utf8_length(const char *s)
{
	static const struct {
		unsigned char	mask;
		unsigned char	lead;
		unsigned int	least;
	} forms[] = {
		{ 0x80, 0x00, 0x00 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	const unsigned char *c = (const unsigned char *)s;
	unsigned int code;
	size_t len, i;

	for (len = 1; len <= ARRAY_SIZE(forms); len++) {
		if ((c[0] & forms[len - 1].mask) == forms[len - 1].lead)
			break;
	}
	if (len > ARRAY_SIZE(forms))
		return 0;
	code = c[0] & ~forms[len - 1].mask;
	for (i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	if (code < forms[len - 1].least || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

/* Control characters, of which U+0080 to U+009f are the others in UTF-8. */
bool is_control(const char *s, size_t len)
{
	const unsigned char *c = (const unsigned char *)s;

	if (len == 1)
		return c[0] < 0x20 || c[0] == 0x7f;
	return len == 2 && c[0] == 0xc2 && c[1] < 0xa0;
}

/**
 * put_printable - print text that may have been made by anybody
 * @f: Where to.
 * @s: The text.
 *
 * What a terminal might obey is written as "\x1b".
 */
void put_printable(FILE *f, const char *s)
{
	size_t len, i;

	for (; *s; s += len) {
		len = utf8_length(s);
		if (len && !is_control(s, len)) {
			fwrite(s, 1, len, f);
			continue;
		}
		if (!len)
			len = 1;
		for (i = 0; i < len; i++)
			fprintf(f, "\\x%02x", (unsigned char)s[i]);
	}
}

static void put_key(FILE *f, const struct key_name *key)
{
	fprintf(f, "key %d", key->id);
	if (!key->type[0])
		return;
	fputs(" [", f);
	put_printable(f, key->type);
	fputc(' ', f);
	put_printable(f, key->description);
	fputc(']', f);
}

/* What the user calls it, unless that is the number again. */
static void put_watched_key(FILE *f, const struct event *e)
{
	put_key(f, &e->key);
	if (!e->watch || !strchr("@%", e->watch->name[0]))
		return;
	fputs(" (", f);
	put_printable(f, e->watch->name);
	fputc(')', f);
}

static void put_disk(FILE *f, const struct event *e)
{
	fputs("block ", f);
	if (!e->disk) {
		fprintf(f, "%u:%u", major(e->block.dev), minor(e->block.dev));
		return;
	}
	put_printable(f, e->disk->name);
	if (e->disk->model[0]) {
		fputs(" [", f);
		put_printable(f, e->disk->model);
		fputc(']', f);
	}
}

static void put_usb(FILE *f, const struct event *e)
{
	fputs(e->flags & NOTIFY_USB_PORT ? "usb port " : "usb ", f);
	put_printable(f, e->usb_name);
	if (!e->vendor && !e->product)
		return;
	fprintf(f, " [%04x:%04x", e->vendor, e->product);
	if (e->usb && e->usb->model[0]) {
		fputc(' ', f);
		put_printable(f, e->usb->model);
	}
	fputc(']', f);
}

/* Who did it happen to? */
void put_subject(FILE *f, const struct event *e)
{
	if (e->known && e->type == WATCH_TYPE_KEY_NOTIFY)
		put_watched_key(f, e);
	else if (e->known && e->type == WATCH_TYPE_BLOCK_NOTIFY)
		put_disk(f, e);
	else if (e->known && e->type == WATCH_TYPE_USB_NOTIFY)
		put_usb(f, e);
	else if (e->known && is_loss(e))
		fputs("queue", f);
	else if (e->known && e->key.id)
		put_watched_key(f, e);
	else if (e->known && e->watch)
		fputs(e->watch->name, f);
	else if (e->type < WATCH_TYPE__NR)
		fputs(type_name(e->type), f);
	else
		fprintf(f, "type %u", e->type);
}

static void put_error(FILE *f, int error)
{
	if (error)
		fprintf(f, ": %s", strerror(-error));
}

static void put_key_words(FILE *f, const struct event *e)
{
	if (!subtype_words(e->type, e->subtype))
		fprintf(f, ", aux %u", e->aux);
	if (e->target.id) {
		fputc(' ', f);
		put_key(f, &e->target);
	}
	put_error(f, e->error);
}

/* The names of operations have underscores, as programs like them. */
static void put_operation(FILE *f, unsigned int operation)
{
	const char *name = operation_name(operation), *c;

	fputs(": ", f);
	if (name[0] >= '0' && name[0] <= '9')
		fputs("operation ", f);
	for (c = name; *c; c++)
		fputc(*c == '_' ? ' ' : *c, f);
	if (operation == NOTIFY_BLOCK_OP_OTHER)
		fputs(" operation", f);
}

static void put_block_words(FILE *f, const struct event *e)
{
	const struct block_notification *b = &e->block;

	if (e->subtype == NOTIFY_BLOCK_CAPACITY)
		fprintf(f, ": %llu sectors", (unsigned long long)b->sector);
	if (b->operation != NOTIFY_BLOCK_OP_NONE)
		put_operation(f, b->operation);
	if (b->sectors == 1)
		fprintf(f, " of sector %llu", (unsigned long long)b->sector);
	else if (b->sectors)
		fprintf(f, " of sectors %llu to %llu", (unsigned long long)b->sector,
			(unsigned long long)b->sector + b->sectors - 1);
	put_error(f, b->status);
	if (e->flags & NOTIFY_BLOCK_STACKED)
		fputs(" (stacked)", f);
}

static void put_loss_words(FILE *f, const struct event *e)
{
	if (e->lost)
		fprintf(f, "LOST %llu record%s here", e->lost, e->lost == 1 ? "" : "s");
	else
		fputs("LOST records here", f);
}

static void put_unknown_words(FILE *f, const struct event *e)
{
	size_t i;

	if (e->type < WATCH_TYPE__NR && subtype_words(e->type, e->subtype))
		fputs(subtype_words(e->type, e->subtype), f);
	else
		fprintf(f, "subtype %u", e->subtype);
	fprintf(f, ", flags %#x", e->flags >> WATCH_INFO_TYPE_INFO__SHIFT);
	if (e->data_len)
		fputs(", data ", f);
	for (i = 0; i < e->data_len; i++)
		fprintf(f, "%02x", e->data[i]);
}

/* What happened? */
void put_words(FILE *f, const struct event *e)
{
	const char *words = subtype_words(e->type, e->subtype);

	if (!e->known) {
		put_unknown_words(f, e);
		return;
	}
	if (is_loss(e)) {
		put_loss_words(f, e);
		return;
	}
	if (e->type == WATCH_TYPE_USB_NOTIFY && e->flags & NOTIFY_USB_OVER_CURRENT) {
		fputs("over-current began or ended", f);
		return;
	}
	if (e->type == WATCH_TYPE_KEY_NOTIFY && e->error)
		fputs("rejected", f);
	else if (words)
		fputs(words, f);
	else
		fprintf(f, "subtype %u", e->subtype);

	if (e->type == WATCH_TYPE_KEY_NOTIFY)
		put_key_words(f, e);
	else if (e->type == WATCH_TYPE_BLOCK_NOTIFY)
		put_block_words(f, e);
	else
		put_error(f, e->error);
}
