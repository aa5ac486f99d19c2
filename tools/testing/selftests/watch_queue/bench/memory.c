// SPDX-License-Identifier: GPL-2.0
/*
 * What memory a queue takes.
 *
 * Nothing in the kernel says it, and not all of it is charged to anybody on
 * every kernel.  So make many and see what is free before and after: pages,
 * slabs, inodes, files and all.  Nothing is closed before the end of the
 * program, for what was freed would come in handy for the next ones.
 */

#include "bench.h"

/* Enough of each that a few half-used slabs do not matter. */
#define QUEUES		512
#define PIPES		1024

static const struct {
	unsigned int	depth;
	unsigned int	many;
} sized[] = {
	{ 1, QUEUES },
	{ 32, QUEUES },
	{ 512, 128 },
	{ 8192, 8 },
};

/* Of the next queue that make_sized_queue() makes. */
static unsigned int depth;

/*
 * The pages that nobody has: those that are free in the zones, and those that
 * the processors keep at hand.
 */
static long free_pages(void)
{
	static char text[65536];
	long val, pages = 0;
	char *line, *save;
	ssize_t len;
	int fd;

	/* Makes the counters add up. */
	fd = no_error("/proc/sys/vm/stat_refresh",
		      wq_errno(open("/proc/sys/vm/stat_refresh", O_WRONLY)));
	no_error("/proc/sys/vm/stat_refresh", wq_errno(write(fd, "1", 1)));
	close(fd);

	fd = no_error("/proc/zoneinfo",
		      wq_errno(open("/proc/zoneinfo", O_RDONLY)));
	len = 0;
	do {
		val = no_error("/proc/zoneinfo",
			       wq_read(fd, text + len, sizeof(text) - 1 - len));
		len += val;
	} while (val);
	close(fd);
	if (len == sizeof(text) - 1)
		die("/proc/zoneinfo", -EFBIG);
	text[len] = 0;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, " pages free %ld", &val) == 1 ||
		    sscanf(line, " count: %ld", &val) == 1)
			pages += val;
	if (!pages)
		die("/proc/zoneinfo: no free pages", 0);
	return pages;
}

static void make_pipe(void)
{
	int fds[2];

	no_error("pipe2", wq_errno(pipe2(fds, 0)));
}

static void make_queue(void)
{
	int fds[2];

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, 0));
}

static void make_sized_queue(void)
{
	int fds[2];

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, 0));
	no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(fds[0], depth));
}

/* Unpatched kernels have a largest depth, whoever asks. */
static bool depth_is_allowed(void)
{
	int fds[2], ret;

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, 0));
	ret = wq_set_size(fds[0], depth);
	wq_close(fds);
	if (ret == -EINVAL)
		return false;
	no_error("IOC_WATCH_QUEUE_SET_SIZE", ret);
	return true;
}

static void memory_of(const char *name, void (*make)(void), unsigned int many)
{
	unsigned int i;
	long before;

	/* So that each cache that is needed is there. */
	for (i = 0; i < many / 8; i++)
		make();
	before = free_pages();
	for (i = 0; i < many; i++)
		make();
	add(name, "bytes", (double)(before - free_pages()) *
	    sysconf(_SC_PAGESIZE) / many);
}

/* Room for all that is made here, the table of files itself included. */
static void many_files(void)
{
	unsigned int i, max, pipes = QUEUES + PIPES;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sized); i++)
		pipes += sized[i].many;
	max = repeats * 2 * (pipes + pipes / 8) + 64;
	allow_files(max);
	fd = no_error("fcntl", wq_errno(fcntl(0, F_DUPFD, max - 1)));
	close(fd);
}

void bench_memory(void)
{
	unsigned int i;
	char row[64];

	many_files();
	for (i = 0; i < ARRAY_SIZE(sized); i++) {
		depth = sized[i].depth;
		if (!depth_is_allowed())
			continue;
		snprintf(row, sizeof(row), "mem.queue.%u", depth);
		memory_of(row, make_sized_queue, sized[i].many);
	}
	memory_of("mem.queue.default", make_queue, QUEUES);
	memory_of("mem.pipe", make_pipe, PIPES);
}
