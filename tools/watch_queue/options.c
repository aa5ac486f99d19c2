// SPDX-License-Identifier: GPL-2.0
/* What the command line asks for. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "wqmon.h"

#define WQMON_VERSION	"1.0"

#define FIRST_TAG	1
#define LAST_TAG	255
#define MAX_SECONDS	1e9

/* Types that watch_devices() gives, those of kernels to come included. */
#define DEVICE_TYPES	(((1u << NR_TYPES) - 1) & \
			 ~(1u << WATCH_TYPE_META | 1u << WATCH_TYPE_KEY_NOTIFY))

/* Long options that have no short form. */
enum {
	OPTION_COLOUR = UCHAR_MAX + 1,
	OPTION_DEPTH,
	OPTION_EXEC,
	OPTION_LEVEL_PREFIX,
	OPTION_TAG,
};

static const struct option long_options[] = {
	{ "key",		required_argument,	NULL, 'k' },
	{ "devices",		no_argument,		NULL, 'd' },
	{ "block",		no_argument,		NULL, 'b' },
	{ "usb",		no_argument,		NULL, 'u' },
	{ "event",		required_argument,	NULL, 'e' },
	{ "exclude",		required_argument,	NULL, 'x' },
	{ "name",		required_argument,	NULL, 'n' },
	{ "no-stacked",		no_argument,		NULL, 'S' },
	{ "list",		no_argument,		NULL, 'l' },
	{ "json",		no_argument,		NULL, 'j' },
	{ "color",		required_argument,	NULL, OPTION_COLOUR },
	{ "colour",		required_argument,	NULL, OPTION_COLOUR },
	{ "level-prefix",	no_argument,		NULL, OPTION_LEVEL_PREFIX },
	{ "quiet",		no_argument,		NULL, 'q' },
	{ "exec",		required_argument,	NULL, OPTION_EXEC },
	{ "count",		required_argument,	NULL, 'c' },
	{ "timeout",		required_argument,	NULL, 't' },
	{ "depth",		required_argument,	NULL, OPTION_DEPTH },
	{ "tag",		required_argument,	NULL, OPTION_TAG },
	{ "help",		no_argument,		NULL, 'h' },
	{ "version",		no_argument,		NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

static const char help[] =
"Usage: wqmon [OPTION]...\n"
"Print what the kernel tells of keys and devices, as it happens.\n"
"What to watch; without any of these, --devices:\n"
"  -k, --key KEY          a key or keyring: @s, @u, 1234, %user:NAME, %:RING ...\n"
"  -d, --devices          all devices that have something to tell; or only\n"
"  -b, --block, -u, --usb    disks, or USB devices, ports and buses\n"
"What to tell of it:\n"
"  -e, --event LIST       only these events: usb,linked,'block.error_*' ...\n"
"  -x, --exclude LIST     not these; -l, --list prints the names of all\n"
"  -n, --name PATTERN     only this device: sda, 'nvme*', 46f4:0001, /dev/...\n"
"  -S, --no-stacked       no disk that only echoes the error of one below it\n"
"How:\n"
"  -j, --json             as JSON, an object a line; wqmon(1) describes it\n"
"      --color WHEN       auto, always or never\n"
"      --level-prefix     <3> and so on before each line, for journald\n"
"      --exec COMMAND     also run it by sh, with the event in WQ_... variables\n"
"  -q, --quiet            no other words on standard error than of errors\n"
"  -c, --count N          end after N events\n"
"  -t, --timeout SECONDS  end after that time\n"
"      --depth N          room for N records of any size, 256 by default\n"
"      --tag N            the first watch's tag, 1 by default; the next has 2 ...\n"
"  -h, --help, -V, --version\n"
"Exits with 0, 1 failed, 2 usage, 3 too few events, 4 not in this kernel.\n";

static unsigned long long parse_number(const char *option, const char *text,
				       unsigned long long least,
				       unsigned long long most)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || n < least || n > most)
		die(EXIT_USAGE, "%s takes a number from %llu to %llu, not '%s'", option,
		    least, most, text);
	return n;
}

static double parse_seconds(const char *text)
{
	double seconds;
	char *end;

	seconds = strtod(text, &end);
	if (*end || end == text || !(seconds > 0 && seconds <= MAX_SECONDS))
		die(EXIT_USAGE, "--timeout takes seconds, such as 10 or 0.5, not '%s'",
		    text);
	return seconds;
}

static enum colour parse_colour(const char *text)
{
	if (!strcmp(text, "always"))
		return COLOUR_ALWAYS;
	if (!strcmp(text, "never"))
		return COLOUR_NEVER;
	if (strcmp(text, "auto"))
		die(EXIT_USAGE, "--color takes auto, always or never, not '%s'", text);
	return COLOUR_AUTO;
}

static void add_watch(struct options *o, const char *name, key_serial_t key)
{
	if (o->nr_watches == MAX_WATCHES)
		die(EXIT_USAGE, "cannot watch more than %d things at once", MAX_WATCHES);
	o->watches[o->nr_watches++] = (struct watch){ .name = name, .key = key };
}

/* A list of patterns with commas between. */
static void add_events(struct options *o, const char *list, bool let_in)
{
	char *copy = must(strdup(list)), *rest = copy, *pattern;

	while ((pattern = strsep(&rest, ","))) {
		if (!select_events(&o->selection, pattern, let_in))
			die(EXIT_USAGE,
			    "no event is called '%s'; 'wqmon --list' prints the names",
			    pattern);
	}
	free(copy);
}

static void add_name(struct options *o, const char *name)
{
	char *copy;

	if (o->nr_names == MAX_NAMES)
		die(EXIT_USAGE, "--name can be given %d times at most", MAX_NAMES);
	copy = name[0] == '/' ? device_name_of(name) : must(strdup(name));
	if (!copy)
		die(EXIT_FAILED,
		    "%s is no device file and no directory in /sys of a disk or a USB device",
		    name);
	o->names[o->nr_names++] = copy;
}

static void print_and_exit(void (*print)(FILE *f))
{
	print(stdout);
	if (fflush(stdout))
		die(EXIT_FAILED, "cannot write to standard output: %s", strerror(errno));
	exit(EXIT_AS_ASKED);
}

static void print_help(FILE *f)
{
	fputs(help, f);
}

static void print_version(FILE *f)
{
	fprintf(f, "wqmon %s\n", WQMON_VERSION);
}

/* Takes one option; @tag is that of the first watch. */
static void take_option(struct options *o, int option, const char *arg,
			unsigned int *tag)
{
	switch (option) {
	case 'k':
		add_watch(o, arg, find_key(arg));
		break;
	case 'd':
		o->device_types |= DEVICE_TYPES;
		break;
	case 'b':
		o->device_types |= 1u << WATCH_TYPE_BLOCK_NOTIFY;
		break;
	case 'u':
		o->device_types |= 1u << WATCH_TYPE_USB_NOTIFY;
		break;
	case 'n':
		add_name(o, arg);
		break;
	case 'S':
		o->no_stacked = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'c':
		o->count = parse_number("--count", arg, 1, ULLONG_MAX);
		break;
	case 't':
		o->timeout = parse_seconds(arg);
		break;
	case OPTION_COLOUR:
		o->colour = parse_colour(arg);
		break;
	case OPTION_DEPTH:
		o->depth = parse_number("--depth", arg, 1, UINT_MAX);
		break;
	case OPTION_EXEC:
		o->command = arg;
		break;
	case OPTION_LEVEL_PREFIX:
		o->level_prefix = true;
		break;
	case OPTION_TAG:
		*tag = parse_number("--tag", arg, 0, LAST_TAG);
		break;
	case 'l':
		print_and_exit(list_events);
		break;
	case 'h':
		print_and_exit(print_help);
		break;
	case 'V':
		print_and_exit(print_version);
		break;
	default:
		/* getopt_long() has said what is wrong. */
		exit(EXIT_USAGE);
	}
}

static const char *devices_name(__u32 types)
{
	if (types == 1u << WATCH_TYPE_BLOCK_NOTIFY)
		return "block";
	if (types == 1u << WATCH_TYPE_USB_NOTIFY)
		return "usb";
	return "devices";
}

/* Devices are watched if they are asked for, or nothing is. */
static void add_devices(struct options *o)
{
	if (!o->device_types && !o->nr_watches)
		o->device_types = DEVICE_TYPES;
	o->devices = o->device_types;
	if (o->devices)
		add_watch(o, devices_name(o->device_types), 0);
}

/* Each watch a tag of its own. */
static void set_tags(struct options *o, unsigned int tag)
{
	unsigned int i;

	if (tag + o->nr_watches - 1 > LAST_TAG)
		die(EXIT_USAGE,
		    "there are not enough tags: %u are needed from %u on, and the last is %d",
		    o->nr_watches, tag, LAST_TAG);
	for (i = 0; i < o->nr_watches; i++)
		o->watches[i].tag = tag + i;
}

/* Who asks for events that cannot come would wait for ever. */
static void check_selection(struct options *o)
{
	bool keys = o->nr_watches > o->devices;

	select_types(&o->selection,
		     o->device_types | (keys ? 1u << WATCH_TYPE_KEY_NOTIFY : 0));
	if (keys && !selected_types(&o->selection, 1u << WATCH_TYPE_KEY_NOTIFY))
		die(EXIT_USAGE, "keys are watched, and none of their events is let through");
	o->device_types = selected_types(&o->selection, o->device_types);
	if (o->devices && !o->device_types)
		die(EXIT_USAGE,
		    "devices are watched, and none of their events is let through; keys are watched with --key");
	if (o->nr_names && !o->devices)
		die(EXIT_USAGE,
		    "--name is for devices, which are not watched; keys are chosen by --key");
}

/**
 * parse_options - what the command line asks for
 * @argc: As main() has it.
 * @argv: As main() has it.
 * @o: Where to put it.
 *
 * Does not return if there is something wrong, or nothing to be watched.
 */
void parse_options(int argc, char **argv, struct options *o)
{
	static const char short_options[] = "k:dbue:x:n:Sljqc:t:hV";
	unsigned int tag = FIRST_TAG;
	bool chosen = false;
	int option;

	memset(o, 0, sizeof(*o));
	select_all(&o->selection);
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == 'e') {
			/* The first one begins with nothing. */
			if (!chosen)
				select_none(&o->selection);
			chosen = true;
			add_events(o, optarg, true);
		} else if (option == 'x') {
			chosen = true;
			add_events(o, optarg, false);
		} else {
			take_option(o, option, optarg, &tag);
		}
	}
	if (optind < argc)
		die(EXIT_USAGE, "do not know what to do with '%s'; a key is watched with --key",
		    argv[optind]);
	add_devices(o);
	set_tags(o, tag);
	check_selection(o);
}
