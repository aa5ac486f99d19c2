// SPDX-License-Identifier: GPL-2.0
/* Events as JSON, one object a line. */

#include <stddef.h>

#include "wqmon.h"

struct json {
	struct sink	sink;
	FILE		*f;
	bool		begun;
};

/* The sink is the first member. */
static struct json *json_of(struct sink *sink)
{
	return (struct json *)sink;
}

/*
 * What is not UTF-8 becomes U+FFFD, for JSON has no other way to say it.  The number of
 * a control character is its last byte, and nothing is left of it for a terminal.
 */
static void put_string(FILE *f, const char *s)
{
	size_t len;

	fputc('"', f);
	for (; *s; s += len) {
		len = utf8_length(s);
		if (!len) {
			fputs("\\ufffd", f);
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(f, "\\%c", *s);
		} else if (is_control(s, len)) {
			fprintf(f, "\\u%04x", (unsigned char)s[len - 1]);
		} else {
			fwrite(s, 1, len, f);
		}
	}
	fputc('"', f);
}

static void put_name(struct json *json, const char *name)
{
	fputc(json->begun ? ',' : '{', json->f);
	json->begun = true;
	fprintf(json->f, "\"%s\":", name);
}

static void put_text(struct sink *sink, const char *name, const char *value)
{
	struct json *json = json_of(sink);

	put_name(json, name);
	put_string(json->f, value);
}

static void put_literal(struct sink *sink, const char *name, const char *value)
{
	struct json *json = json_of(sink);

	put_name(json, name);
	fputs(value, json->f);
}

void put_json_line(FILE *f, const struct event *e)
{
	struct json json = {
		.sink.text	= put_text,
		.sink.literal	= put_literal,
		.f		= f,
	};

	put_fields(&json.sink, e);
	fputs("}\n", f);
}
