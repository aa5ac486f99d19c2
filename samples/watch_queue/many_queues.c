// SPDX-License-Identifier: GPL-2.0
/*
 * A server with a queue for each of its many objects, all of them waited for with one
 * epoll and read into one buffer.  The objects are keyrings, or other keys; what is
 * done with their records is to count them.  SIGINT or SIGTERM ends it, with a summary.
 *
 * Usage: many_queues [-v] [-d DEPTH] -n N | KEY...
 *
 *	-n N		make N keyrings in the session keyring, and watch them
 *	KEY		serial number of a key to watch
 *	-d DEPTH	depth of each queue; default: as the kernel has it
 *	-v		one line for each turn of a queue
 *
 * One queue for all would do for so little: tags tell 256 watches from one another, and
 * object identifiers more.  Who has a queue for each client has one that floods its
 * own queue lose records of its own, and can stop hearing of one by closing a file.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/keyctl.h>
#include <linux/watch_queue.h>

#define KEYRING	KEY_SPEC_SESSION_KEYRING

/* How many queues have their turn before the kernel is asked again who is ready. */
#define TURNS	64

/* The most that one can do to keep the others waiting: 64 records about keys. */
static __u64 buffer[128];

/* The write end is kept: without it, a queue that is empty would be at its end. */
struct queue {
	int key;
	bool is_open;
	int fds[2];
	unsigned long long events;
	unsigned long long lost;
};

static struct queue *queues;
static unsigned int nr_queues, nr_open;
static bool verbose;

static void die(const char *what, const char *hint)
{
	fprintf(stderr, "many_queues: %s: %s%s\n", what, strerror(errno), hint);
	exit(EXIT_FAILURE);
}

/* ---- Limits ---- */

/*
 * Raising a limit is up to whoever starts this program, and has to know which, and how
 * far.  RLIMIT_NOFILE also bounds the watches of all processes of a user together.
 */
static void too_few(const char *what, unsigned int missing)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	fprintf(stderr,
		"many_queues: RLIMIT_NOFILE is %llu, and %u of %u queues have no %s; try 'ulimit -n %llu'\n",
		(unsigned long long)limit.rlim_cur, nr_queues - nr_open, nr_queues,
		what, (unsigned long long)limit.rlim_cur + missing);
	exit(EXIT_FAILURE);
}

static const char *key_hint(void)
{
	switch (errno) {
	case EDQUOT:
		return "; see maxkeys and maxbytes in /proc/sys/kernel/keys";
	case EOPNOTSUPP:
		return "; the kernel lacks CONFIG_KEY_NOTIFICATIONS";
	case ENOKEY:
		return "; see 'keyctl show'";
	default:
		return "";
	}
}

/* ---- Queues ---- */

static void open_queue(struct queue *q, int epoll, unsigned int depth)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = q };

	if (pipe2(q->fds, O_CLOEXEC | O_NONBLOCK | O_NOTIFICATION_PIPE) < 0) {
		if (errno == EMFILE)
			too_few("files", 2 * (nr_queues - nr_open));
		die("pipe2",
		    errno == ENOPKG ? "; the kernel lacks CONFIG_WATCH_QUEUE" : "");
	}
	if (depth && ioctl(q->fds[0], IOC_WATCH_QUEUE_SET_SIZE, depth) < 0)
		die("IOC_WATCH_QUEUE_SET_SIZE",
		    errno == EPERM ?
		    "; see pipe-max-size and pipe-user-pages-soft in /proc/sys/fs" : "");
	if (syscall(__NR_keyctl, KEYCTL_WATCH_KEY, q->key, q->fds[0], 0) < 0) {
		if (errno == EAGAIN)
			too_few("watch", nr_queues - nr_open);
		die("KEYCTL_WATCH_KEY", key_hint());
	}
	/*
	 * Level-triggered: a queue of which something is left will be ready again,
	 * behind the others.  With EPOLLET this program would have to keep a list of
	 * those that it has not read to the end.
	 */
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, q->fds[0], &event) < 0)
		die("epoll_ctl",
		    errno == ENOSPC ? "; see max_user_watches in /proc/sys/fs/epoll" : "");
	q->is_open = true;
	nr_open++;
}

/* This also takes it out of the epoll. */
static void close_queue(struct queue *q)
{
	close(q->fds[0]);
	close(q->fds[1]);
	q->is_open = false;
	nr_open--;
}

/* Whether the watch is there after this record; types that are not known do nothing. */
static bool handle(struct queue *q, const struct watch_notification *n, size_t len)
{
	const struct watch_notification_loss *loss = (const void *)n;

	if (n->type == WATCH_TYPE_KEY_NOTIFY)
		q->events++;
	else if (n->type == WATCH_TYPE_META &&
		 n->subtype == WATCH_META_LOSS_NOTIFICATION && len >= sizeof(*loss))
		q->lost += loss->lost;
	else if (n->type == WATCH_TYPE_META &&
		 n->subtype == WATCH_META_REMOVAL_NOTIFICATION)
		return false;
	return true;
}

/*
 * Whether the record of the removal was lost: then there is no such key any more, and
 * nothing left to be read.  A key that is revoked or has expired is still there.
 */
static bool removal_was_lost(const struct queue *q)
{
	int left;

	return q->lost && syscall(__NR_keyctl, KEYCTL_DESCRIBE, q->key, NULL, 0L) < 0 &&
	       errno == ENOKEY && !ioctl(q->fds[0], FIONREAD, &left) && !left;
}

/* One read() and no more, lest one that is always full keep the others waiting. */
static void take_turn(struct queue *q)
{
	const struct watch_notification *n;
	bool watched = true;
	ssize_t got, at, len;

	got = read(q->fds[0], buffer, sizeof(buffer));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		die("read", "");
	for (at = 0; at < got; at += len) {
		n = (const void *)((char *)buffer + at);
		len = n->info & WATCH_INFO_LENGTH;
		watched = handle(q, n, len) && watched;
	}
	if (verbose)
		printf("key %d: a turn, %zd bytes\n", q->key, got);
	if (!watched || removal_was_lost(q)) {
		printf("key %d: no longer watched\n", q->key);
		close_queue(q);
	}
}

/* Until a signal comes, or nothing is left to be watched. */
static void serve(int epoll)
{
	struct epoll_event ready[TURNS];
	bool told_to_end = false;
	int i, n;

	while (!told_to_end && nr_open) {
		n = epoll_wait(epoll, ready, TURNS, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait", "");
		for (i = 0; i < n; i++) {
			if (ready[i].data.ptr)
				take_turn(ready[i].data.ptr);
			else
				told_to_end = true;
		}
		fflush(stdout);
	}
}

static void print_summary(void)
{
	unsigned long long events = 0, lost = 0;
	unsigned int i;

	for (i = 0; i < nr_queues; i++) {
		events += queues[i].events;
		lost += queues[i].lost;
		if (queues[i].events || queues[i].lost)
			printf("key %d: %llu events, %llu lost\n", queues[i].key,
			       queues[i].events, queues[i].lost);
	}
	printf("%u queues, %u closed: %llu events, %llu lost\n", nr_queues,
	       nr_queues - nr_open, events, lost);
}

/* ---- Setting up ---- */

static int make_keyring(unsigned int i)
{
	char name[40];
	long key;

	snprintf(name, sizeof(name), "many_queues-%d-%u", getpid(), i);
	key = syscall(__NR_add_key, "keyring", name, NULL, 0L, KEYRING);
	if (key < 0)
		die("add_key", key_hint());
	return key;
}

/* However this ends. */
static void unlink_keyrings(void)
{
	unsigned int i;

	for (i = 0; i < nr_queues && queues[i].key; i++)
		syscall(__NR_keyctl, KEYCTL_UNLINK, queues[i].key, KEYRING);
}

/* The signals come by the epoll as well, with no queue. */
static int make_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int epoll, signals;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd", "");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event) < 0)
		die("epoll", "");
	return epoll;
}

static int parse_number(const char *arg, int most)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(arg, &end, 0);
	if (*end || end == arg || errno || value < 1 || value > most) {
		fprintf(stderr, "many_queues: '%s' is no number from 1 to %d\n", arg,
			most);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	unsigned int depth = 0, made = 0, i;
	int opt, epoll;

	while ((opt = getopt(argc, argv, "n:d:v")) != -1) {
		switch (opt) {
		case 'n':
			made = parse_number(optarg, 1000000);
			break;
		case 'd':
			depth = parse_number(optarg, 16777216);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			/* getopt() has said what is wrong. */
			return 2;
		}
	}
	if (made ? optind < argc : optind == argc) {
		fprintf(stderr, "usage: many_queues [-v] [-d DEPTH] -n N | KEY...\n");
		return 2;
	}

	nr_queues = made ? made : (unsigned int)(argc - optind);
	queues = calloc(nr_queues, sizeof(*queues));
	if (!queues)
		die("the queues", "");
	if (made)
		atexit(unlink_keyrings);
	epoll = make_epoll();
	for (i = 0; i < nr_queues; i++) {
		queues[i].key = made ? make_keyring(i) :
				       parse_number(argv[optind + i], 0x7fffffff);
		open_queue(&queues[i], epoll, depth);
	}
	printf("watching %u keys\n", nr_queues);
	fflush(stdout);

	serve(epoll);
	print_summary();
	return EXIT_SUCCESS;
}
