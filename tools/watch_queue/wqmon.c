// SPDX-License-Identifier: GPL-2.0
/*
 * wqmon: prints what the kernel tells of keys, block devices and USB devices through
 * a notification pipe; see wqmon(1).
 *
 * While a command runs, which is one at a time, the queue is not read: what does not
 * find room there meanwhile is lost, and counted, as always.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wqmon.h"

/* No line is longer than this, so none is written before it is complete. */
#define LONGEST_LINE	65536

/* For so many milliseconds a reader is waited for when it is time to end. */
#define PATIENCE	1000

enum end {
	GO_ON,
	END_SIGNAL,
	END_COUNT,
	END_TIMEOUT,
	END_NOTHING_LEFT,
	END_NO_READER,
};

/**
 * struct monitor - the state of things
 * @options: What the user wants.
 * @queue: The notification pipe.
 * @signals: Where signals are read.
 * @timer: Where the end of the time is read, -1 without --timeout.
 * @buffer: Records that were read.
 * @len: How many bytes they are,
 * @at: and where the next begins.
 * @read: When they were read.
 * @recount: A watch may be gone.
 * @removals: How many watches are gone as far as we heard.
 * @lines: How many lines were printed.
 * @events: How many of them were events.
 * @lost: How many records were lost as far as we heard.
 * @command: The command that runs, 0 if none does.
 * @command_seq: The event for which it runs.
 * @asked: How often we were asked to end.
 * @stuck: A line could not be written.
 * @end: Why to end.
 */
struct monitor {
	struct options		options;
	int			queue;
	int			signals;
	int			timer;
	__u64			buffer[8192];
	size_t			len;
	size_t			at;
	struct timespec		read;
	bool			recount;
	unsigned int		removals;
	unsigned long long	lines;
	unsigned long long	events;
	unsigned long long	lost;
	pid_t			command;
	unsigned long long	command_seq;
	unsigned int		asked;
	bool			stuck;
	enum end		end;
};

/* A signal has the last word, unless there is nobody to be told anything more. */
static void stop(struct monitor *m, enum end why)
{
	if (m->end == GO_ON || (why == END_SIGNAL && m->end != END_NO_READER))
		m->end = why;
}

/* ---- Beginning ---- */

/* What we open must not be taken for standard input, output or error. */
static void check_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (fd == STDOUT_FILENO)
			die(EXIT_FAILED, "standard output is closed");
		if (open("/dev/null", O_RDWR) < 0)
			die(EXIT_FAILED, "cannot open /dev/null: %s", strerror(errno));
	}
}

/* What nohup or a shell has told us to ignore is ignored. */
static void add_signal(sigset_t *set, int signo)
{
	struct sigaction action;

	if (!sigaction(signo, NULL, &action) && action.sa_handler != SIG_IGN)
		sigaddset(set, signo);
}

/* Signals come when we are ready for them. */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	add_signal(&set, SIGINT);
	add_signal(&set, SIGTERM);
	add_signal(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die(EXIT_FAILED, "cannot wait for signals: %s", strerror(errno));
	return fd;
}

static int open_timer(double seconds)
{
	struct itimerspec when = { 0 };
	int fd;

	if (!seconds)
		return -1;
	when.it_value.tv_sec = seconds;
	when.it_value.tv_nsec = (seconds - when.it_value.tv_sec) * 1e9;
	if (!when.it_value.tv_sec && !when.it_value.tv_nsec)
		when.it_value.tv_nsec = 1;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL))
		die(EXIT_FAILED, "cannot measure time: %s", strerror(errno));
	return fd;
}

/* From here on whatever happens will be heard of. */
static void tell_beginning(const struct monitor *m)
{
	const struct options *o = &m->options;
	unsigned int i;

	if (o->quiet)
		return;
	fputs("wqmon: watching ", stderr);
	for (i = 0; i < o->nr_watches; i++)
		fprintf(stderr, "%s%s", i ? ", " : "", o->watches[i].name);
	fputc('\n', stderr);
}

/* ---- Waiting ---- */

static void reap_command(struct monitor *m)
{
	int status;

	if (!m->command || waitpid(m->command, &status, WNOHANG) != m->command)
		return;
	command_ended(status, m->command_seq);
	m->command = 0;
}

/* The second time it is not waited for, for it may be where no signal gets at it. */
static void stop_command(struct monitor *m)
{
	bool again = m->asked > 1;

	command_stop(m->command, again);
	if (!again)
		return;
	warn("the command was killed at event %llu", m->command_seq);
	m->command = 0;
}

/* Who asks us to end means the command as well. */
static void take_signals(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap_command(m);
			continue;
		}
		m->asked++;
		if (m->command)
			stop_command(m);
		stop(m, END_SIGNAL);
	}
}

static void fill(struct monitor *m)
{
	m->len = queue_read(m->queue, m->buffer, sizeof(m->buffer));
	m->at = 0;
	clock_gettime(CLOCK_REALTIME, &m->read);
}

/* In milliseconds, and -1 is for ever. */
static int patience(const struct monitor *m, bool writing)
{
	if (!writing || m->end == GO_ON)
		return -1;
	return m->asked > 1 ? 0 : PATIENCE;
}

/*
 * The one place where it waits: for signals and the end of the time at any rate, and
 * either to write or else to read.  Returns whether standard output takes a line.
 */
static bool wait_for_news(struct monitor *m, bool writing)
{
	bool reading = !writing && !m->command && m->end == GO_ON;
	struct pollfd fds[] = {
		{ .fd = m->signals, .events = POLLIN },
		{ .fd = m->timer, .events = POLLIN },
		{ .fd = reading || writing ? STDOUT_FILENO : -1,
		  .events = writing ? POLLOUT : 0 },
		{ .fd = reading ? m->queue : -1, .events = POLLIN },
	};
	int news = poll(fds, ARRAY_SIZE(fds), patience(m, writing));

	m->stuck = !news;
	if (news < 0) {
		if (errno == EINTR)
			return false;
		die(EXIT_FAILED, "cannot wait for events: %s", strerror(errno));
	}
	if (fds[0].revents)
		take_signals(m);
	if (fds[1].revents) {
		stop(m, END_TIMEOUT);
		m->timer = -1;
	}
	if (fds[2].revents & (POLLERR | POLLHUP))
		stop(m, END_NO_READER);
	if (fds[3].revents && m->end == GO_ON)
		fill(m);
	/* What is closed or has nobody to read it says so at once when it is tried. */
	return writing && fds[2].revents;
}

/* ---- Events ---- */

/*
 * A reader who has gone is no error, a disk that is full is.  One who does not read
 * must not keep us from ending.
 */
static void flush_output(struct monitor *m)
{
	while (!wait_for_news(m, true)) {
		if (m->stuck)
			return;
	}
	if (!fflush(stdout) && !ferror(stdout))
		return;
	if (errno != EPIPE && m->end != END_NO_READER)
		die(EXIT_FAILED, "cannot write to standard output: %s", strerror(errno));
	stop(m, END_NO_READER);
}

static void print_event(struct monitor *m, const struct event *e)
{
	const struct options *o = &m->options;

	if (o->level_prefix)
		printf("<%d>", event_level(e));
	if (o->json)
		put_json_line(stdout, e);
	else
		put_text_line(stdout, e);
	flush_output(m);
}

static bool has_enough(const struct monitor *m)
{
	return m->options.count && m->events >= m->options.count;
}

static void note_meta(struct monitor *m, const struct event *e)
{
	m->recount = true;
	m->lost += e->lost;
	if (is_removal(e))
		m->removals++;
}

static void tell_event(struct monitor *m, struct event *e)
{
	const struct options *o = &m->options;

	e->time = m->read;
	e->seq = ++m->lines;
	print_event(m, e);
	if (o->command && m->end == GO_ON) {
		m->command = command_start(o->command, e);
		m->command_seq = e->seq;
	}
	if (e->type == WATCH_TYPE_META)
		return;
	m->events++;
	if (has_enough(m))
		stop(m, END_COUNT);
}

static void take_record(struct monitor *m)
{
	struct event e;
	size_t len;

	len = decode((char *)m->buffer + m->at, m->len - m->at, &m->options, &e);
	if (!len)
		die(EXIT_FAILED, "the kernel gave a record that makes no sense; this is a bug");
	m->at += len;
	if (e.type == WATCH_TYPE_META)
		note_meta(m, &e);
	identify(&e);
	if (is_wanted(&e, &m->options))
		tell_event(m, &e);
}

/* A REMOVAL may have been lost, so the kernel is asked; an older one does not say. */
static void count_watches(struct monitor *m)
{
	int left = queue_watches(m->queue);

	m->recount = false;
	if (left < 0)
		left = m->options.nr_watches - m->removals;
	if (left <= 0)
		stop(m, END_NOTHING_LEFT);
}

static void run(struct monitor *m)
{
	while (m->command || m->end == GO_ON) {
		if (!m->command && m->at < m->len)
			take_record(m);
		else if (!m->command && m->recount && !queue_bytes(m->queue))
			count_watches(m);
		else
			wait_for_news(m, false);
	}
}

/* ---- End ---- */

/* What was queued before somebody said "end" is still told. */
static void drain(struct monitor *m)
{
	size_t queued = queue_bytes(m->queue);

	if (m->end != END_SIGNAL && m->end != END_TIMEOUT)
		return;
	for (;;) {
		while (m->at < m->len && !has_enough(m) && !m->stuck)
			take_record(m);
		if (!queued || has_enough(m) || m->stuck)
			return;
		fill(m);
		if (!m->len)
			return;
		queued -= min(m->len, queued);
	}
}

static void tell_end(const struct monitor *m)
{
	if (m->options.quiet)
		return;
	if (m->end == END_NOTHING_LEFT)
		warn("nothing is left to be watched");
	if (m->stuck)
		warn("nobody reads standard output, so the last events are not printed");
	warn("%llu event%s, %llu record%s lost", m->events, m->events == 1 ? "" : "s",
	     m->lost, m->lost == 1 ? "" : "s");
}

static int exit_code(const struct monitor *m)
{
	bool too_few = m->events < (m->options.count ? m->options.count : 1);

	switch (m->end) {
	case END_TIMEOUT:
		return too_few ? EXIT_TOO_FEW : EXIT_AS_ASKED;
	case END_NOTHING_LEFT:
		return m->options.count && too_few ? EXIT_TOO_FEW : EXIT_AS_ASKED;
	default:
		return EXIT_AS_ASKED;
	}
}

int main(int argc, char **argv)
{
	static struct monitor m;

	check_standard_files();
	setvbuf(stdout, NULL, _IOFBF, LONGEST_LINE);
	parse_options(argc, argv, &m.options);
	text_setup(m.options.colour);
	m.signals = open_signals();
	m.queue = queue_open(&m.options);
	m.timer = open_timer(m.options.timeout);
	tell_beginning(&m);
	run(&m);
	drain(&m);
	tell_end(&m);
	/* Without flushing what cannot be. */
	if (m.stuck)
		_exit(exit_code(&m));
	return exit_code(&m);
}
