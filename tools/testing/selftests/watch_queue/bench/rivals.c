// SPDX-License-Identifier: GPL-2.0
/*
 * What other ways cost in which the kernel tells a program that something
 * happened: inotify, fanotify, eventfd, and the trace point that block errors
 * have.  Uevents are in devices.c, the BPF ring buffer is in bpf.c.
 *
 * Files are told of by fchmod(), the cheapest change of a file as KEYCTL_SETPERM
 * is of a key; on a tmpfs, so that nothing has to be written back.
 */

#include "bench.h"
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* As many events as there are records elsewhere. */
#define EVENTS		BENCH_RECORDS

#define PLACES		64

static char buffer[65536];

static double cost(void *arg, void (*op)(void *))
{
	struct work work = { .op = op, .arg = arg, .places = PLACES, .rounds = 15 };

	return measure(&work);
}

/* Says so if it is not. */
static bool is_there(const char *path, const char *option)
{
	if (!access(path, F_OK))
		return true;
	printf("# rivals: %s is not set\n", option);
	return false;
}

/* ---- inotify and fanotify ---- */

/**
 * struct rival - something that tells of files
 * @name: What its rows begin with.
 * @count: How many events stand in the @len bytes of the buffer.
 * @listener: Where the events are read.
 * @fds: The files.
 * @nr: How many of them are changed by turns; an event that is like one that is
 *	queued already is merged with it, which is cheaper but tells of less.
 * @turn: The next of them.
 * @got: Bytes that have been read.
 */
struct rival {
	const char	*name;
	unsigned int	(*count)(ssize_t len);
	int		listener;
	int		fds[EVENTS];
	unsigned int	nr;
	unsigned int	turn;
	ssize_t		got;
};

static unsigned int count_inotify(ssize_t len)
{
	const struct inotify_event *event;
	unsigned int n = 0;
	ssize_t pos;

	for (pos = 0; pos < len; pos += sizeof(*event) + event->len) {
		event = (void *)(buffer + pos);
		if (event->mask != IN_ATTRIB)
			die("inotify event", event->mask);
		n++;
	}
	return n;
}

static unsigned int count_fanotify(ssize_t len)
{
	const struct fanotify_event_metadata *event = (void *)buffer;
	unsigned int n = 0;

	for (; FAN_EVENT_OK(event, len); event = FAN_EVENT_NEXT(event, len)) {
		if (event->mask != FAN_ATTRIB)
			die("fanotify event", event->mask);
		n++;
	}
	return n;
}

static void op_chmod(void *arg)
{
	struct rival *r = arg;

	expect("fchmod", fchmod(r->fds[r->turn], 0600), 0);
	if (++r->turn == r->nr)
		r->turn = 0;
}

static void op_read(void *arg)
{
	struct rival *r = arg;

	r->got = no_error("read", wq_read(r->listener, buffer, sizeof(buffer)));
}

static void op_chmod_read(void *arg)
{
	op_chmod(arg);
	op_read(arg);
}

static void make_events(void *arg)
{
	unsigned int i;

	for (i = 0; i < EVENTS; i++)
		op_chmod(arg);
}

static void check_events(void *arg)
{
	struct rival *r = arg;

	expect("events read", r->count(r->got), EVENTS);
	expect("read", wq_read(r->listener, buffer, sizeof(buffer)), -EAGAIN);
}

static void read_and_check_events(void *arg)
{
	op_read(arg);
	check_events(arg);
}

static void row(struct rival *r, const char *what, double value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%s", r->name, what);
	add(name, clock_unit(), value);
}

/* What is @unwatched is not counted, but where it is said so. */
static void rows(struct rival *r, double unwatched)
{
	struct work post = {
		.op = op_chmod, .after = read_and_check_events, .arg = r,
		.places = EVENTS, .rounds = 9,
	};
	struct work bulk = {
		.op = op_read, .before = make_events, .after = check_events, .arg = r,
		.places = 1, .rounds = 9,
	};

	row(r, "post", measure(&post) - unwatched);
	row(r, "read.bulk", measure(&bulk) / EVENTS);
	row(r, "post_read.single", cost(r, op_chmod_read));
	close(r->listener);
}

static void open_files(struct rival *r, unsigned int nr)
{
	char name[16];

	r->turn = 0;
	for (r->nr = 0; r->nr < nr; r->nr++) {
		snprintf(name, sizeof(name), "%u", r->nr);
		r->fds[r->nr] = no_error(name, wq_errno(open(name, O_RDWR | O_CREAT,
							     0600)));
	}
}

static void close_files(struct rival *r)
{
	while (r->nr)
		close(r->fds[--r->nr]);
}

/* Only the last event is looked at whether it is the same: two files are enough. */
static void inotify(struct rival *r)
{
	double unwatched;

	r->name = "inotify";
	r->count = count_inotify;
	open_files(r, 2);
	unwatched = cost(r, op_chmod);
	r->listener = no_error("inotify_init1", wq_errno(inotify_init1(IN_NONBLOCK)));
	no_error("inotify_add_watch",
		 wq_errno(inotify_add_watch(r->listener, "0", IN_ATTRIB)));
	no_error("inotify_add_watch",
		 wq_errno(inotify_add_watch(r->listener, "1", IN_ATTRIB)));
	rows(r, unwatched);
	close_files(r);
}

/* All that is queued is looked at: each event needs a file of its own. */
static void fanotify(struct rival *r)
{
	double unwatched;

	r->name = "fanotify";
	r->count = count_fanotify;
	open_files(r, EVENTS);
	unwatched = cost(r, op_chmod);
	r->listener = no_error("fanotify_init",
			       wq_errno(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID |
						      FAN_NONBLOCK, 0)));
	no_error("fanotify_mark",
		 wq_errno(fanotify_mark(r->listener, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
					FAN_ATTRIB, AT_FDCWD, ".")));
	rows(r, unwatched);
	close_files(r);
}

/* A file system of their own, which is gone again afterwards. */
static void files(void)
{
	char dir[] = "/tmp/wq_bench.XXXXXX";
	static struct rival r;

	if (!mkdtemp(dir))
		die("mkdtemp", -errno);
	no_error("mount", wq_errno(mount("tmpfs", dir, "tmpfs", 0, NULL)));
	no_error("chdir", wq_errno(chdir(dir)));

	if (is_there("/proc/sys/fs/inotify", "CONFIG_INOTIFY_USER"))
		inotify(&r);
	if (is_there("/proc/sys/fs/fanotify", "CONFIG_FANOTIFY"))
		fanotify(&r);

	no_error("chdir", wq_errno(chdir("/")));
	no_error("umount", wq_errno(umount(dir)));
	no_error("rmdir", wq_errno(rmdir(dir)));
}

/* ---- eventfd ---- */

static void op_eventfd_write(void *arg)
{
	const uint64_t one = 1;

	expect("write", write(*(int *)arg, &one, sizeof(one)), sizeof(one));
}

static void op_eventfd_write_read(void *arg)
{
	uint64_t sum;

	op_eventfd_write(arg);
	expect("read", read(*(int *)arg, &sum, sizeof(sum)), sizeof(sum));
}

static void eventfds(void)
{
	uint64_t sum;
	int fd;

	fd = no_error("eventfd", wq_errno(eventfd(0, EFD_NONBLOCK)));
	add("eventfd.write", clock_unit(), cost(&fd, op_eventfd_write));
	expect("read", read(fd, &sum, sizeof(sum)), sizeof(sum));
	expect("sum", sum, PLACES * 15);
	add("eventfd.write_read", clock_unit(), cost(&fd, op_eventfd_write_read));
	close(fd);
}

/* ---- The trace point ---- */

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/wq_bench"

/*
 * How many events stand in a page of the ring buffer as read() gives it; see
 * events/header_page and header_event.
 */
static unsigned int count_trace_events(void)
{
	const uint64_t *head = (void *)buffer;
	const uint32_t *event = (void *)(head + 2);
	const uint32_t *end = event + (uint32_t)(head[1] & 0xfffff) / sizeof(*event);
	unsigned int n = 0, type;

	while (event < end) {
		type = *event & 31;
		if (type >= 30) {
			/* A time, in two words. */
			event += 2;
		} else if (type == 29) {
			/* Room that was given back, or the rest of the page. */
			if (!(*event >> 5))
				break;
			event += 1 + event[1] / sizeof(*event);
		} else {
			n++;
			event += 1 + (type ? type : event[1] / sizeof(*event));
		}
	}
	return n;
}

static void op_fail_trace_read(void *arg)
{
	op_disk_fail(NULL);
	no_error("read", wq_read(*(int *)arg, buffer, sysconf(_SC_PAGESIZE)));
}

static void make_trace_events(void *arg)
{
	unsigned int i;

	for (i = 0; i < EVENTS; i++)
		op_disk_fail(NULL);
}

/* Reads all of them as a program does that does not care how many there are. */
static void op_trace_read_all(void *arg)
{
	ssize_t len;

	do {
		len = wq_read(*(int *)arg, buffer, sysconf(_SC_PAGESIZE));
	} while (len > 0);
	expect("read", len, -EAGAIN);
}

static void read_and_check_trace(void *arg)
{
	unsigned int n = 0;
	ssize_t len;

	while ((len = wq_read(*(int *)arg, buffer, sysconf(_SC_PAGESIZE))) > 0)
		n += count_trace_events();
	expect("read", len, -EAGAIN);
	expect("events traced", n, EVENTS);
}

static void check_trace_text(void)
{
	expect("lines of one event", !!strstr(buffer, "block_rq_error:"), true);
}

static int open_trace(const char *name)
{
	return no_error(name, wq_errno(open(name, O_RDONLY | O_NONBLOCK)));
}

static void trace_rows(double untraced)
{
	struct work post = {
		.op = op_disk_fail, .after = read_and_check_trace,
		.places = EVENTS, .rounds = 9,
	};
	struct work bulk = {
		.op = op_trace_read_all, .before = make_trace_events,
		.places = 1, .rounds = 9,
	};
	int fd;

	fd = open_trace(INSTANCE "/per_cpu/cpu0/trace_pipe_raw");
	post.arg = &fd;
	bulk.arg = &fd;
	add("trace.post", clock_unit(), measure(&post) - untraced);
	add("trace.read.bulk", clock_unit(), measure(&bulk) / EVENTS);
	add("trace.event.single", clock_unit(), cost(&fd, op_fail_trace_read) - untraced);
	expect("events read", count_trace_events(), 1);
	close(fd);

	fd = open_trace(INSTANCE "/trace_pipe");
	add("trace.event.text", clock_unit(), cost(&fd, op_fail_trace_read) - untraced);
	check_trace_text();
	close(fd);
}

static void trace(void)
{
	double untraced;

	if (!disk_make()) {
		printf("# rivals: CONFIG_BLK_DEV_NULL_BLK is not set\n");
		return;
	}
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (is_there(TRACEFS "/instances", "CONFIG_ENABLE_DEFAULT_TRACERS")) {
		no_error(INSTANCE, wq_errno(mkdir(INSTANCE, 0700)));
		untraced = cost(NULL, op_disk_fail);
		no_error("block_rq_error",
			 wq_file_write(INSTANCE "/events/block/block_rq_error/enable", "1"));
		trace_rows(untraced);
		no_error(INSTANCE, wq_errno(rmdir(INSTANCE)));
	}
	disk_remove();
}

void bench_rivals(void)
{
	allow_files(EVENTS + 64);
	memset(buffer, 'b', sizeof(buffer));
	files();
	eventfds();
	trace();
	bench_bpf();
}
