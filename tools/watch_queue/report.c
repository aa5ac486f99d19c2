// SPDX-License-Identifier: GPL-2.0
/* What is said on standard error: a sentence each. */

#include <stdarg.h>
#include <stdlib.h>

#include "wqmon.h"

static void say(const char *format, va_list args)
{
	fputs("wqmon: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

/* Ends the program with that exit code. */
void die(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(code);
}

/* For what malloc() and its like return. */
void *must(void *memory)
{
	if (!memory)
		die(EXIT_FAILED, "out of memory");
	return memory;
}
