/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wqmon: what its parts have in common.
 *
 * A record goes this way: queue_read() gets it, decode() makes a struct event of
 * it, identify() looks up what the device or the key is called, and then it is
 * told as text, as JSON or to a command.
 */
#ifndef WQMON_H
#define WQMON_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include <keyutils.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/watch_queue.h>

/* Of types and subtypes, known or not; a filter has rules for as many types. */
#define NR_TYPES	16
#define NR_SUBTYPES	256

/* Tags are 0 to 255. */
#define MAX_WATCHES	256
#define MAX_NAMES	64

/* Exit codes, as in the manual page. */
enum {
	EXIT_AS_ASKED	= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	EXIT_TOO_FEW	= 3,
	EXIT_NO_KERNEL	= 4,
};

/* How grave an event is, in the numbers of syslog(3). */
enum level {
	LEVEL_ERROR	= 3,
	LEVEL_WARNING	= 4,
	LEVEL_NOTICE	= 5,
	LEVEL_INFO	= 6,
};

enum colour {
	COLOUR_AUTO,
	COLOUR_ALWAYS,
	COLOUR_NEVER,
};

/**
 * struct watch - what is watched
 * @name: As the user calls it, "@s" for instance, or "devices".
 * @key: The key's serial number, 0 for devices.
 * @tag: What the kernel puts into its records.
 */
struct watch {
	const char	*name;
	key_serial_t	key;
	__u8		tag;
};

/**
 * struct selection - which events are let through
 * @subtypes: For each type a bitmap of its subtypes, as the kernel's filter has it.
 */
struct selection {
	__u32	subtypes[NR_TYPES][NR_SUBTYPES / 32];
};

/**
 * struct options - what the command line asks for
 * @watches: The keys, then devices if @devices.
 * @nr_watches: How many there are.
 * @devices: Devices are watched, too.
 * @device_types: Bit t is set if the user wants any of devices' records of type t.
 * @selection: Which events to let through.
 * @no_stacked: Not those of disks made of others.
 * @names: Patterns, one of which a device has to match if there are any.
 * @nr_names: How many there are.
 * @json: Print JSON, not text.
 * @level_prefix: Begin lines with the level, for journald.
 * @quiet: Say nothing on standard error but what went wrong.
 * @colour: When text is coloured.
 * @command: What to run for each event, or NULL.
 * @count: End after so many events, 0 for never.
 * @timeout: End after so many seconds, 0 for never.
 * @depth: The queue's depth, 0 for the default.
 */
struct options {
	struct watch		watches[MAX_WATCHES];
	unsigned int		nr_watches;
	bool			devices;
	__u32			device_types;
	struct selection	selection;
	bool			no_stacked;
	char			*names[MAX_NAMES];
	unsigned int		nr_names;
	bool			json;
	bool			level_prefix;
	bool			quiet;
	enum colour		colour;
	const char		*command;
	unsigned long long	count;
	double			timeout;
	unsigned int		depth;
};

/**
 * struct key_name - what a key is called
 * @id: Its serial number.
 * @type: Its type, "user" for instance; empty if we may not know.
 * @description: Its description.
 */
struct key_name {
	key_serial_t	id;
	char		type[32];
	char		description[256];
};

/**
 * struct disk - what sysfs says of a disk
 * @diskseq: Its sequence number, by which it is known.
 * @name: As in /sys/block.
 * @model: What it is, in words; any of these may be empty.
 * @serial: Its serial number.
 * @wwid: Its identifier, unique in the world.
 */
struct disk {
	__u64	diskseq;
	char	name[256];
	char	model[256];
	char	serial[128];
	char	wwid[256];
};

/**
 * struct usb_device - what sysfs says of a USB device
 * @name: As in /sys/bus/usb/devices.
 * @vendor: Vendor and
 * @product: product, which have to be a record's for it to be of this device.
 * @model: Manufacturer and product in words; these may be empty.
 * @serial: Its serial number.
 */
struct usb_device {
	char	name[USB_NOTIFICATION_MAX_NAME_LEN + 1];
	__u16	vendor;
	__u16	product;
	char	model[256];
	char	serial[128];
};

/**
 * struct event - a record, taken apart
 * @seq: The number of the line that it makes.
 * @time: When it was read; records have no time of their own.
 * @type: The record's type,
 * @subtype: subtype,
 * @tag: tag,
 * @flags: and its type's own part of the info word, not shifted.
 * @known: The fields of the type are filled in; if not, there is only @data.
 * @watch: What it came through, NULL if it does not say.
 * @data: What is behind the header,
 * @data_len: and how much.
 * @lost: LOSS: how many; 0 if the kernel does not say.
 * @id: REMOVAL: of what, 0 if it has no number.
 * @key: Keys and REMOVAL: which; by identify().
 * @target: Keys: the one that was linked or unlinked; by identify().
 * @error: 0, or a negative errno.
 * @aux: Keys: the record's.
 * @block: Block devices: the record.
 * @disk: What sysfs says, NULL if nothing; by identify().
 * @usb_name: USB: the name.
 * @vendor: USB: vendor,
 * @product: and product.
 * @usb: What sysfs says, NULL if nothing; by identify().
 */
struct event {
	unsigned long long		seq;
	struct timespec			time;
	unsigned int			type;
	unsigned int			subtype;
	unsigned int			tag;
	__u32				flags;
	bool				known;
	const struct watch		*watch;
	const unsigned char		*data;
	size_t				data_len;
	unsigned long long		lost;
	unsigned long long		id;
	struct key_name			key;
	struct key_name			target;
	int				error;
	__u32				aux;
	struct block_notification	block;
	const struct disk		*disk;
	char				usb_name[USB_NOTIFICATION_MAX_NAME_LEN + 1];
	__u16				vendor;
	__u16				product;
	const struct usb_device		*usb;
};

static inline bool is_loss(const struct event *e)
{
	return e->type == WATCH_TYPE_META &&
	       e->subtype == WATCH_META_LOSS_NOTIFICATION;
}

static inline bool is_removal(const struct event *e)
{
	return e->type == WATCH_TYPE_META &&
	       e->subtype == WATCH_META_REMOVAL_NOTIFICATION;
}

/**
 * struct sink - where an event's fields go
 * @text: Takes one that is text,
 * @literal: and one that is a number or a truth value, as JSON has it.
 */
struct sink {
	void (*text)(struct sink *sink, const char *name, const char *value);
	void (*literal)(struct sink *sink, const char *name, const char *value);
};

/* options.c */
void parse_options(int argc, char **argv, struct options *o);

/* report.c */
__noreturn __printf(2, 3) void die(int code, const char *format, ...);
__printf(1, 2) void warn(const char *format, ...);
void *must(void *memory);

/* names.c */
const char *type_name(unsigned int type);
const char *subtype_name(unsigned int type, unsigned int subtype);
const char *subtype_words(unsigned int type, unsigned int subtype);
enum level event_level(const struct event *e);
const char *level_name(enum level level);
const char *operation_name(unsigned int operation);
bool is_block_error(const struct event *e);
void list_events(FILE *f);

/* select.c */
void select_all(struct selection *s);
void select_none(struct selection *s);
bool select_events(struct selection *s, const char *pattern, bool let_in);
void select_types(struct selection *s, __u32 types);
__u32 selected_types(const struct selection *s, __u32 types);
int select_in_kernel(int fd, const struct options *o);

/* queue.c */
int queue_open(const struct options *o);
ssize_t queue_read(int fd, void *buffer, size_t size);
int queue_watches(int fd);
size_t queue_bytes(int fd);

/* decode.c */
size_t decode(const void *record, size_t left, const struct options *o,
	      struct event *e);
void identify(struct event *e);
bool is_wanted(const struct event *e, const struct options *o);

/* keys.c */
key_serial_t find_key(const char *name);
void name_key(key_serial_t id, struct key_name *name);
void remember_keys(key_serial_t ring);

/* sysfs.c */
const struct disk *find_disk(const struct block_notification *b);
const struct usb_device *find_usb(const struct event *e);
void remember_devices(void);
char *device_name_of(const char *path);

/* words.c */
void put_printable(FILE *f, const char *s);
size_t utf8_length(const char *s);
bool is_control(const char *s, size_t len);
void put_subject(FILE *f, const struct event *e);
void put_words(FILE *f, const struct event *e);

/* fields.c */
void put_fields(struct sink *sink, const struct event *e);

/* text.c */
void text_setup(enum colour colour);
void put_text_line(FILE *f, const struct event *e);

/* json.c */
void put_json_line(FILE *f, const struct event *e);

/* command.c */
pid_t command_start(const char *command, const struct event *e);
void command_stop(pid_t pid, bool at_once);
void command_ended(int status, unsigned long long seq);

#endif /* WQMON_H */
