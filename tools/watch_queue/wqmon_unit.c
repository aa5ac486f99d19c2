// SPDX-License-Identifier: GPL-2.0
/*
 * Tests what wqmon makes of records, those included that no kernel posts yet.  Prints
 * TAP; or with --json the lines that it makes of them, for check.sh to hold against
 * the schema.
 */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "wqmon.h"

#define TAG		5
#define NO_KEY		0x7ffffff0
#define NO_DISK		0xfffffffffffffff0ull
#define DISK		(250 << 8 | 17)	/* as makedev(), which is no constant */

static unsigned int tests, failures;

static void result(bool ok, const char *what)
{
	tests++;
	failures += !ok;
	printf("%s %u - %s\n", ok ? "ok" : "not ok", tests, what);
}

/* What @got is has to be @wanted, which may be only a part of it if @part. */
static void expect(const char *what, const char *got, const char *wanted, bool part)
{
	bool ok = part ? !!strstr(got, wanted) : !strcmp(got, wanted);

	if (!ok)
		printf("# got:    %s\n# wanted: %s\n", got, wanted);
	result(ok, what);
}

/* ---- Records ---- */

/**
 * struct sample - a record, and what is to be said of it
 * @what: The test's name.
 * @record: The record.
 * @message: What text says.
 * @json: What has to be among what JSON says.
 */
struct sample {
	const char	*what;
	union {
		struct watch_notification		watch;
		struct watch_notification_removal	removal;
		struct watch_notification_loss		loss;
		struct key_notification			key;
		struct block_notification		block;
		struct usb_notification			usb;
		unsigned char				bytes[120];
	} record;
	const char	*message;
	const char	*json;
};

#define INFO(len)	((len) | TAG << WATCH_INFO_ID__SHIFT)

#define HEADER(t, s, len, flags)						\
	.record.watch = { .type = (t), .subtype = (s), .info = INFO(len) | (flags) }

#define KEY(s, a)								\
	.record.key = {								\
		.watch = { WATCH_TYPE_KEY_NOTIFY, s, INFO(16) },		\
		.key_id = NO_KEY, .aux = (a) }

#define BLOCK(s, op, at, nr, error, flags)					\
	.record.block = {							\
		.watch = { WATCH_TYPE_BLOCK_NOTIFY, s, INFO(48) | (flags) },	\
		.dev = DISK, .diskseq = NO_DISK, .operation = (op),		\
		.sector = (at), .sectors = (nr), .status = (error) }

/* The name is put in by put_name(), for it has no place of its own here. */
#define USB(s, err, v, p, len, flags)						\
	.record.usb = {								\
		.watch = { WATCH_TYPE_USB_NOTIFY, s, INFO(24) | (flags) },	\
		.error = (err), .vendor = (v), .product = (p), .name_len = (len) }

static struct sample samples[] = {
	{
		.what = "loss",
		.record.loss = { { WATCH_TYPE_META, WATCH_META_LOSS_NOTIFICATION, 16 }, 17 },
		.message = "queue: LOST 17 records here",
		.json = "\"level\":\"warning\",\"tag\":0,\"message\"",
	}, {
		.what = "loss of one",
		.record.loss = { { WATCH_TYPE_META, WATCH_META_LOSS_NOTIFICATION, 16 }, 1 },
		.message = "queue: LOST 1 record here",
		.json = "\"lost\":1}",
	}, {
		.what = "loss of 2^64 - 1",
		.record.loss = { { WATCH_TYPE_META, WATCH_META_LOSS_NOTIFICATION, 16 }, ~0ull },
		.message = "queue: LOST 18446744073709551615 records here",
		.json = "\"lost\":18446744073709551615}",
	}, {
		.what = "loss, without a number",
		.record.watch = { WATCH_TYPE_META, WATCH_META_LOSS_NOTIFICATION, 8 },
		.message = "queue: LOST records here",
		.json = "\"message\":\"queue: LOST records here\"}",
	}, {
		.what = "removal of devices",
		HEADER(WATCH_TYPE_META, WATCH_META_REMOVAL_NOTIFICATION, 8, 0),
		.message = "devices: no longer watched",
		.json = "\"watch\":\"devices\"",
	}, {
		.what = "later subtype of META",
		HEADER(WATCH_TYPE_META, 9, 16, 0),
		.message = "meta: subtype 9, flags 0, data 0000000000000000",
		.json = "\"subtype\":\"9\",\"subtype_id\":9,",
	},

	{
		.what = "key instantiated",
		KEY(NOTIFY_KEY_INSTANTIATED, 0),
		.message = "key 2147483632: instantiated",
		.json = "\"key\":2147483632,\"aux\":0}",
	}, {
		.what = "key rejected",
		KEY(NOTIFY_KEY_INSTANTIATED, -129),
		.message = "key 2147483632: rejected: Key was rejected by service",
		.json = "\"error\":-129,\"error_name\":\"EKEYREJECTED\"}",
	}, {
		.what = "key updated",
		KEY(NOTIFY_KEY_UPDATED, 0),
		.message = "key 2147483632: updated",
		.json = "\"subtype\":\"updated\",\"subtype_id\":1,",
	}, {
		.what = "key linked",
		KEY(NOTIFY_KEY_LINKED, NO_KEY + 1),
		.message = "key 2147483632: linked key 2147483633",
		.json = "\"aux\":2147483633,\"target\":2147483633}",
	}, {
		.what = "key unlinked",
		KEY(NOTIFY_KEY_UNLINKED, NO_KEY + 2),
		.message = "key 2147483632: unlinked key 2147483634",
		.json = "\"target\":2147483634}",
	}, {
		.what = "keyring cleared",
		KEY(NOTIFY_KEY_CLEARED, 0),
		.message = "key 2147483632: cleared",
		.json = "\"subtype\":\"cleared\"",
	}, {
		.what = "key revoked",
		KEY(NOTIFY_KEY_REVOKED, 0),
		.message = "key 2147483632: revoked",
		.json = "\"level\":\"notice\"",
	}, {
		.what = "key invalidated",
		KEY(NOTIFY_KEY_INVALIDATED, 0),
		.message = "key 2147483632: invalidated",
		.json = "\"subtype\":\"invalidated\"",
	}, {
		.what = "key's attributes",
		KEY(NOTIFY_KEY_SETATTR, 0),
		.message = "key 2147483632: attributes changed",
		.json = "\"subtype\":\"setattr\"",
	}, {
		.what = "later subtype of keys",
		KEY(200, 7),
		.message = "key 2147483632: subtype 200, aux 7",
		.json = "\"type\":\"key\",\"type_id\":1,\"subtype\":\"200\",\"subtype_id\":200,",
	}, {
		.what = "key, too short",
		HEADER(WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED, 8, 0),
		.message = "key: updated, flags 0",
		.json = "\"flags\":0}",
	},

	{
		.what = "medium error",
		BLOCK(NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM, NOTIFY_BLOCK_OP_READ, 4656, 8,
		      -61, 0),
		.message =
			"block 250:17: medium error: read of sectors 4656 to 4663: No data available",
		.json =
			"\"operation\":\"read\",\"sector\":4656,\"sectors\":8,\"stacked\":false,\"error\":-61,\"error_name\":\"ENODATA\"}",
	}, {
		.what = "one sector, stacked",
		BLOCK(NOTIFY_BLOCK_ERROR_IO, NOTIFY_BLOCK_OP_WRITE, 1, 1, -5,
		      NOTIFY_BLOCK_STACKED),
		.message =
			"block 250:17: I/O error: write of sector 1: Input/output error (stacked)",
		.json = "\"stacked\":true",
	}, {
		.what = "flush, which has no range",
		BLOCK(NOTIFY_BLOCK_ERROR_TIMEOUT, NOTIFY_BLOCK_OP_FLUSH, 0, 0, -110, 0),
		.message = "block 250:17: timed out: flush: Connection timed out",
		.json = "\"error_name\":\"ETIMEDOUT\"",
	}, {
		.what = "operation of two words",
		BLOCK(NOTIFY_BLOCK_ERROR_NOT_SUPPORTED, NOTIFY_BLOCK_OP_ZONE_RESET_ALL, 0, 0,
		      -95, 0),
		.message = "block 250:17: not supported: zone reset all: Operation not supported",
		.json = "\"operation\":\"zone_reset_all\"",
	}, {
		.what = "other operation",
		BLOCK(NOTIFY_BLOCK_ERROR_INVALID, NOTIFY_BLOCK_OP_OTHER, 8, 8, -22, 0),
		.message =
			"block 250:17: invalid request: other operation of sectors 8 to 15: Invalid argument",
		.json = "\"operation\":\"other\"",
	}, {
		.what = "later operation",
		BLOCK(NOTIFY_BLOCK_ERROR_IO, 99, 8, 8, -5, 0),
		.message =
			"block 250:17: I/O error: operation 99 of sectors 8 to 15: Input/output error",
		.json = "\"operation\":\"99\"",
	}, {
		.what = "capacity, of as many sectors as there can be",
		BLOCK(NOTIFY_BLOCK_CAPACITY, NOTIFY_BLOCK_OP_NONE, 1ull << 54, 0, 0, 0),
		.message = "block 250:17: capacity changed: 18014398509481984 sectors",
		.json =
			"\"diskseq\":18446744073709551600,\"operation\":\"none\",\"sector\":18014398509481984,\"sectors\":0,\"stacked\":false}",
	}, {
		.what = "medium changed",
		BLOCK(NOTIFY_BLOCK_MEDIUM, NOTIFY_BLOCK_OP_NONE, 0, 0, 0, 0),
		.message = "block 250:17: medium changed",
		.json = "\"subtype\":\"medium\"",
	}, {
		.what = "dead disk",
		BLOCK(NOTIFY_BLOCK_DEAD, NOTIFY_BLOCK_OP_NONE, 0, 0, -19, 0),
		.message = "block 250:17: dead: No such device",
		.json = "\"level\":\"error\"",
	}, {
		.what = "later subtype of disks",
		BLOCK(77, NOTIFY_BLOCK_OP_NONE, 0, 0, 0, 0),
		.message = "block 250:17: subtype 77",
		.json = "\"subtype\":\"77\"",
	}, {
		.what = "disk, as it was before operations",
		HEADER(WATCH_TYPE_BLOCK_NOTIFY, NOTIFY_BLOCK_ERROR_IO, 24, WATCH_INFO_FLAG_2),
		.message = "block: I/O error, flags 0x4, data 00000000000000000000000000000000",
		.json = "\"flags\":4,\"data\":\"00000000000000000000000000000000\"}",
	}, {
		.what = "disk, longer than we know",
		.record.block = {
			.watch = { WATCH_TYPE_BLOCK_NOTIFY, NOTIFY_BLOCK_MEDIUM, INFO(64) },
			.dev = DISK, .diskseq = NO_DISK },
		.message = "block 250:17: medium changed",
		.json = "\"major\":250,\"minor\":17,",
	},

	{
		.what = "USB device added",
		USB(NOTIFY_USB_DEVICE_ADD, 0, 0x46f4, 0x0001, 5, 0),
		.message = "usb 9-1.4 [46f4:0001]: added",
		.json =
			"\"device\":\"9-1.4\",\"vendor_id\":\"46f4\",\"product_id\":\"0001\",\"port\":false,\"over_current\":false}",
	}, {
		.what = "USB device removed",
		USB(NOTIFY_USB_DEVICE_REMOVE, 0, 0x46f4, 0x0001, 5, 0),
		.message = "usb 9-1.4 [46f4:0001]: removed",
		.json = "\"subtype\":\"device_remove\"",
	}, {
		.what = "USB device reset",
		USB(NOTIFY_USB_DEVICE_RESET, 0, 0x0781, 0x5567, 5, 0),
		.message = "usb 9-1.4 [0781:5567]: reset",
		.json = "\"vendor_id\":\"0781\",\"product_id\":\"5567\",",
	}, {
		.what = "USB device in error",
		USB(NOTIFY_USB_DEVICE_ERROR, -71, 0, 0, 5, 0),
		.message = "usb 9-1.4: error: Protocol error",
		.json =
			"\"port\":false,\"over_current\":false,\"error\":-71,\"error_name\":\"EPROTO\"}",
	}, {
		.what = "USB port in error",
		USB(NOTIFY_USB_DEVICE_ERROR, -107, 0, 0, 5, NOTIFY_USB_PORT),
		.message = "usb port 9-1.4: error: Transport endpoint is not connected",
		.json = "\"port\":true",
	}, {
		.what = "over-current",
		USB(NOTIFY_USB_DEVICE_ERROR, -75, 0, 0, 5,
		    NOTIFY_USB_PORT | NOTIFY_USB_OVER_CURRENT),
		.message = "usb port 9-1.4: over-current began or ended",
		.json = "\"port\":true,\"over_current\":true",
	}, {
		.what = "USB bus added",
		USB(NOTIFY_USB_BUS_ADD, 0, 0x1d6b, 0x0002, 5, 0),
		.message = "usb 9-1.4 [1d6b:0002]: bus added",
		.json = "\"subtype\":\"bus_add\"",
	}, {
		.what = "USB bus removed",
		USB(NOTIFY_USB_BUS_REMOVE, 0, 0x1d6b, 0x0002, 5, 0),
		.message = "usb 9-1.4 [1d6b:0002]: bus removed",
		.json = "\"subtype\":\"bus_remove\"",
	}, {
		.what = "later subtype of USB",
		USB(100, 0, 0, 0, 5, 0),
		.message = "usb 9-1.4: subtype 100",
		.json = "\"subtype\":\"100\"",
	}, {
		.what = "USB, whose name is longer than the record",
		USB(NOTIFY_USB_DEVICE_ADD, 0, 0, 0, 60, 0),
		.message = "usb: added, flags 0, data 00000000000000003c392d312e340000",
		.json = "\"data\":\"00000000000000003c392d312e340000\"}",
	},

	{
		.what = "later type",
		HEADER(77, 3, 16, WATCH_INFO_FLAG_0 | WATCH_INFO_FLAG_7),
		.message = "type 77: subtype 3, flags 0x81, data 0000000000000000",
		.json =
			"\"type\":\"77\",\"type_id\":77,\"subtype\":\"3\",\"subtype_id\":3,\"level\":\"notice\"",
	}, {
		.what = "type of 24 bits, the longest record",
		HEADER(0xffffff, 255, 120, 0),
		.message = NULL,
		.json = "\"type\":\"16777215\",\"type_id\":16777215,\"subtype\":\"255\"",
	},
};

static void put_name(struct sample *s)
{
	size_t at = offsetof(struct usb_notification, name);

	if (s->record.watch.type == WATCH_TYPE_USB_NOTIFY)
		memcpy(s->record.bytes + at, "9-1.4", 5);
}

static struct options options = {
	.watches	= { { .name = "@s", .tag = 0 }, { .name = "devices", .tag = TAG } },
	.nr_watches	= 2,
};

/* The event that the record makes. */
static bool make_event(struct sample *s, struct event *e)
{
	size_t len = s->record.watch.info & WATCH_INFO_LENGTH;

	put_name(s);
	if (decode(&s->record, sizeof(s->record), &options, e) != len)
		return false;
	identify(e);
	e->seq = 1;
	e->time = (struct timespec){ 1000000000, 123456789 };
	return true;
}

/* What @put writes, to be freed. */
static char *written(void (*put)(FILE *f, const struct event *e), const struct event *e)
{
	char *text;
	size_t size;
	FILE *f = must(open_memstream(&text, &size));

	put(f, e);
	fclose(f);
	return must(text);
}

static void put_message(FILE *f, const struct event *e)
{
	put_subject(f, e);
	fputs(": ", f);
	put_words(f, e);
}

static void test_sample(struct sample *s)
{
	struct event e;
	char name[128], *text;

	if (!make_event(s, &e)) {
		result(false, s->what);
		return;
	}
	if (s->message) {
		text = written(put_message, &e);
		snprintf(name, sizeof(name), "text of %s", s->what);
		expect(name, text, s->message, false);
		free(text);
	}
	text = written(put_json_line, &e);
	snprintf(name, sizeof(name), "JSON of %s", s->what);
	expect(name, text, s->json, true);
	free(text);
}

/* ---- Others ---- */

static void test_malformed(void)
{
	static const struct {
		const char	*what;
		__u32		info;
		size_t		left;
	} bad[] = {
		{ "a length of 0 is no record", 0, 16 },
		{ "a length of 4 is no record", 4, 16 },
		{ "a record longer than what was read is none", 24, 16 },
		{ "half a header is no record", 8, 4 },
		{ "nothing is no record", 8, 0 },
	};
	struct key_notification record = { .watch.type = WATCH_TYPE_KEY_NOTIFY };
	struct event e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		record.watch.info = bad[i].info;
		result(!decode(&record, bad[i].left, &options, &e), bad[i].what);
	}
}

static char strange[128];

static void put_strange(FILE *f, const struct event *e)
{
	(void)e;
	put_printable(f, strange);
}

/* The strings of others, as a terminal and as JSON gets them. */
static void test_strings(void)
{
	static const struct {
		const char	*what;
		const char	*string;
		const char	*text;
		const char	*json;
	} strings[] = {
		{ "quotes", "a\"b\\c", "a\"b\\c", "a\\\"b\\\\c" },
		{ "escape sequence", "a\033[31mb", "a\\x1b[31mb", "a\\u001b[31mb" },
		{ "end of line", "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f", "a\\u000ab\\u0009c\\u007f" },
		{ "UTF-8", "\u00e9\u20ac\U0001f600", "\u00e9\u20ac\U0001f600",
		  "\u00e9\u20ac\U0001f600" },
		{ "control character in UTF-8", "\302\23331m", "\\xc2\\x9b31m",
		  "\\u009b31m" },
		{ "last control character", "\302\237\302\240", "\\xc2\\x9f\302\240",
		  "\\u009f\302\240" },
		{ "no UTF-8", "a\377b", "a\\xffb", "a\\ufffdb" },
		{ "UTF-8 cut off", "a\xe2\x82", "a\\xe2\\x82", "a\\ufffd\\ufffd" },
		{ "UTF-8 longer than need be", "\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd" },
		{ "UTF-8 of a surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80",
		  "\\ufffd\\ufffd\\ufffd" },
		{ "UTF-8 beyond the last character", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
		  "\\ufffd\\ufffd\\ufffd\\ufffd" },
	};
	struct watch watch = { .name = strange, .tag = TAG };
	struct event e = { .known = true, .watch = &watch };
	char name[128], wanted[160], *text;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		snprintf(strange, sizeof(strange), "%s", strings[i].string);
		text = written(put_strange, &e);
		snprintf(name, sizeof(name), "text of a string: %s", strings[i].what);
		expect(name, text, strings[i].text, false);
		free(text);

		text = written(put_json_line, &e);
		snprintf(name, sizeof(name), "JSON of a string: %s", strings[i].what);
		snprintf(wanted, sizeof(wanted), "\"watch\":\"%s\"", strings[i].json);
		expect(name, text, wanted, true);
		free(text);
	}
}

static void test_time(void)
{
	static const struct {
		const char	*zone;
		const char	*wanted;
	} zones[] = {
		{ "UTC0", "\"time\":\"2001-09-09T01:46:40.123456+00:00\"" },
		{ "IST-5:30", "\"time\":\"2001-09-09T07:16:40.123456+05:30\"" },
		{ "NST3:30", "\"time\":\"2001-09-08T22:16:40.123456-03:30\"" },
	};
	char name[64], *text;
	struct event e;
	size_t i;

	make_event(&samples[0], &e);
	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		setenv("TZ", zones[i].zone, 1);
		tzset();
		text = written(put_json_line, &e);
		snprintf(name, sizeof(name), "time in zone %s", zones[i].zone);
		expect(name, text, zones[i].wanted, true);
		free(text);
	}
}

static unsigned int selected(const struct selection *s, unsigned int type)
{
	unsigned int i, n = 0;

	for (i = 0; i < NR_SUBTYPES; i++)
		n += s->subtypes[type][i / 32] >> i % 32 & 1;
	return n;
}

static void test_selection(void)
{
	static const struct {
		const char	*pattern;
		unsigned int	keys;
		unsigned int	blocks;
		unsigned int	usbs;
		unsigned int	others;		/* of type 9 */
	} patterns[] = {
		{ "linked", 1, 0, 0, 0 },
		{ "key", 256, 0, 0, 0 },
		{ "block.error_*", 0, 18, 0, 0 },
		{ "error_*", 0, 18, 0, 0 },
		{ "*.medium", 0, 1, 0, 0 },
		{ "usb.*", 0, 0, 256, 0 },
		{ "block.19", 0, 1, 0, 0 },
		{ "2.10", 0, 1, 0, 0 },
		{ "block.10", 0, 1, 0, 0 },
		{ "9.*", 0, 0, 0, 256 },
		{ "9", 0, 0, 0, 256 },
		{ "*", 256, 256, 256, 256 },
		{ "blok", 0, 0, 0, 0 },
		{ "meta.loss", 0, 0, 0, 0 },
		{ "block.256", 0, 0, 0, 0 },
		{ "", 0, 0, 0, 0 },
	};
	struct selection in, out;
	char name[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++) {
		bool any = patterns[i].keys || patterns[i].blocks || patterns[i].usbs ||
			   patterns[i].others;
		bool ok;

		select_none(&in);
		select_all(&out);
		ok = select_events(&in, patterns[i].pattern, true) == any &&
		     select_events(&out, patterns[i].pattern, false) == any &&
		     selected(&in, WATCH_TYPE_KEY_NOTIFY) == patterns[i].keys &&
		     selected(&in, WATCH_TYPE_BLOCK_NOTIFY) == patterns[i].blocks &&
		     selected(&in, WATCH_TYPE_USB_NOTIFY) == patterns[i].usbs &&
		     selected(&in, 9) == patterns[i].others &&
		     selected(&out, WATCH_TYPE_KEY_NOTIFY) == 256 - patterns[i].keys &&
		     selected(&out, WATCH_TYPE_BLOCK_NOTIFY) == 256 - patterns[i].blocks;
		snprintf(name, sizeof(name), "selection of '%s'", patterns[i].pattern);
		result(ok, name);
	}
}

static void test_names(void)
{
	static const struct {
		const char	*pattern;
		bool		disk;
		bool		stick;
	} names[] = {
		{ "250:17", true, false },
		{ "250:*", true, false },
		{ "9-1.*", false, true },
		{ "46f4:0001", false, true },
		{ "46F4:0001", false, false },
		{ "*", true, true },
		{ "sda", false, false },
	};
	struct sample disk = { BLOCK(NOTIFY_BLOCK_MEDIUM, 0, 0, 0, 0, 0) };
	struct sample stick = { USB(NOTIFY_USB_DEVICE_RESET, 0, 0x46f4, 1, 5, 0) };
	struct options o = { .nr_names = 1 };
	struct event on_disk, on_stick;
	char name[64];
	size_t i;

	make_event(&disk, &on_disk);
	make_event(&stick, &on_stick);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		o.names[0] = (char *)names[i].pattern;
		snprintf(name, sizeof(name), "name '%s'", names[i].pattern);
		result(is_wanted(&on_disk, &o) == names[i].disk &&
		       is_wanted(&on_stick, &o) == names[i].stick, name);
	}
}

/* Every subtype that has a name. */
static void print_json(void)
{
	struct event e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		if (make_event(&samples[i], &e))
			put_json_line(stdout, &e);
	}
	for (i = 1; i < NR_SUBTYPES; i++) {
		struct sample s = { BLOCK(i, NOTIFY_BLOCK_OP_READ, 0, 8, -5, 0) };

		if (make_event(&s, &e))
			put_json_line(stdout, &e);
	}
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "--json")) {
		print_json();
		return EXIT_SUCCESS;
	}
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		test_sample(&samples[i]);
	test_malformed();
	test_strings();
	test_time();
	test_selection();
	test_names();
	printf("1..%u\n", tests);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
