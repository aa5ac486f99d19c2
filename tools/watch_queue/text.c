// SPDX-License-Identifier: GPL-2.0
/* Events as text, one line each, with colour on a terminal. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wqmon.h"

#define BOLD	"\033[1m"
#define DIM	"\033[2m"
#define RED	"\033[31m"
#define YELLOW	"\033[33m"
#define PLAIN	"\033[0m"

static bool coloured;

/* NO_COLOR is what many programs heed, see https://no-color.org. */
static bool terminal_has_colour(void)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") &&
	       !(no_color && no_color[0]);
}

void text_setup(enum colour colour)
{
	coloured = colour == COLOUR_ALWAYS ||
		   (colour == COLOUR_AUTO && terminal_has_colour());
}

static void paint(FILE *f, const char *colour)
{
	if (coloured)
		fputs(colour, f);
}

static void put_time(FILE *f, const struct timespec *time)
{
	char text[32];
	struct tm tm;

	localtime_r(&time->tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(f, "%s.%03ld", text, time->tv_nsec / 1000000);
}

static const char *colour_of(const struct event *e)
{
	switch (event_level(e)) {
	case LEVEL_ERROR:
		return RED;
	case LEVEL_WARNING:
	case LEVEL_NOTICE:
		return YELLOW;
	case LEVEL_INFO:
		break;
	}
	return PLAIN;
}

void put_text_line(FILE *f, const struct event *e)
{
	paint(f, DIM);
	put_time(f, &e->time);
	paint(f, PLAIN);
	fputc(' ', f);
	paint(f, BOLD);
	put_subject(f, e);
	paint(f, PLAIN);
	fputs(": ", f);
	paint(f, colour_of(e));
	put_words(f, e);
	paint(f, PLAIN);
	fputc('\n', f);
}
