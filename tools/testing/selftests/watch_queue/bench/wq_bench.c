// SPDX-License-Identifier: GPL-2.0
/*
 * What notification queues and pipes cost in the kernel that this runs on: an
 * unpatched one or ours.  ./report.sh puts the results of two kernels side by side.
 *
 * Usage: wq_bench [-r REPEATS] [PART]...
 *
 * The parts are memory, keys, loops, devices, pipes, tasks and rivals, which are
 * what is run if none is named; and refused and scaling, which want a kernel that
 * was booted for them.
 *
 * Run it in QEMU with one CPU, "-cpu max" and "-icount shift=0,sleep=off": one
 * tick of the time stamp counter is one instruction there, user space and kernel
 * together, and the figures repeat from run to run.  A string instruction counts
 * once for each byte or word that it copies.  It has to be root.
 *
 * Each line of output is one row::
 *
 *	NAME VALUE UNIT SPREAD MIN MAX
 *
 * VALUE is the median of REPEATS values, 5 unless told otherwise, MIN and MAX are
 * the least and the greatest of them, and SPREAD is how far apart these lie, in
 * percent of VALUE.  UNIT is "insn" (instructions), "bytes", "records" or
 * "posts/s"; "tick" where the clock does not count instructions.
 * Lines that begin with # are remarks, and the last is "# complete" unless
 * something failed.
 *
 * Key records are 16 bytes and made by KEYCTL_SETPERM on the session keyring::
 *
 *	key.post.unwatched	the call, on a keyring that was never watched
 *	key.post.watched	the same with one watch, while an empty queue takes in
 *				512 records
 *	key.post		the difference: posting one record to one watcher
 *	key.post.10, .100, .1000
 *				the same difference with as many watchers
 *	key.post.full		the difference where the queue is full
 *	key.post.filtered	the difference where the filter refuses the record
 *	key.read.SIZE		reading one of 512 queued records, all of them with a buffer
 *				of SIZE bytes
 *	key.read.bulk		the same as key.read.65536: all in one read()
 *	key.post_read.single	the call and a read() of the one record
 *	key.wake		the call and the reader that was blocked in read()
 *	key.poll, .empty	poll() of a queue with and without records
 *	key.fionread		FIONREAD of a queue
 *	key.create		making a queue of depth 512 and closing it
 *	key.epoll, .empty	epoll_wait() on a queue with and without records
 *	key.loop.poll, .epoll	a turn of an event loop: the call, poll() or epoll_wait(),
 *				and a read() of the one record
 *	pipe.rw.SIZE		write() and read() of an ordinary pipe
 *	pipe.vmsplice.SIZE	vmsplice() and read()
 *	pipe.splice.SIZE	write(), splice() to another pipe and read()
 *	pipe.tee.SIZE		write(), tee() to another pipe and read() of both
 *	pipe.wake		write() to a reader that was blocked, and its answer
 *	pipe.poll, .empty	poll() of a pipe with and without data
 *	pipe.fionread		FIONREAD of a pipe
 *	pipe.create		making a pipe and closing it
 *	pipe.epoll, .empty	epoll_wait() on a pipe with and without data
 *	pipe.loop.poll, .epoll	write() of 16 bytes, poll() or epoll_wait(), and read()
 *	pipe.pingpong		one byte there and back between two processes
 *	pipe.hackbench		one message of 100 bytes, sent and received, where 2 groups of
 *				4 senders and 4 receivers are at it, a pipe to each receiver
 *	mem.queue.DEPTH		all memory that the making of a queue of that depth takes; 8192
 *				is more than an unpatched kernel allows
 *	mem.queue.DEPTH.records	key records that such a queue holds before it loses one
 *	mem.queue.default	a queue of the depth that new ones have
 *	mem.pipe		an ordinary pipe, for comparison
 *
 * Device records are 48 bytes and made by a read() of null_blk's that fails, which
 * an unpatched kernel can do as well, without a record::
 *
 *	device.post.0		the read() itself, while nobody watches: it takes longer
 *				than on an unpatched kernel by what it costs to post to
 *				nobody
 *	device.post.1, .10, .1000
 *				how much longer the read() takes with as many watchers
 *	device.event.single	one device event, made, posted to one watcher and read by
 *				itself: the failing read() with one watcher and a read() of
 *				the record, less device.post.0
 *	uevent.single		one uevent, made, sent to one listener and received: writing
 *				"change" to the same disk's uevent file and recv(), less
 *				writing nothing to that file
 *
 * Other ways to be told of something, on the same kernel.  For inotify and fanotify
 * it is that the attributes of a file on a tmpfs changed, by fchmod(); for the trace
 * point block_rq_error it is the read() that device records are made by::
 *
 *	inotify.post		how much longer fchmod() takes with one listener
 *	inotify.read.bulk	reading one of 512 queued events, all in one read()
 *	inotify.post_read.single
 *				fchmod() and a read() of the one event
 *	fanotify.*		the same; of a whole file system, by file handle
 *	eventfd.write, .write_read
 *				write() to an eventfd, without and with a read()
 *	trace.post		how much longer the failing read() takes with the trace point on
 *	trace.read.bulk		reading one of 512 traced events, by pages (trace_pipe_raw)
 *	trace.event.single	as device.event.single, by trace_pipe_raw: a page each time
 *	trace.event.text	the same, by trace_pipe
 *	bpf.post		how much longer a BPF program runs, by BPF_PROG_TEST_RUN,
 *				for calling bpf_ringbuf_output() with 16 bytes, while an
 *				empty ring buffer takes in 512 records; neither what the
 *				program is run for nor filling in the record is in it
 *	bpf.read.bulk		copying one of 512 records out of the mapped ring buffer,
 *				one after the other; without any system call
 *	bpf.post_read.single	posting one record, epoll_wait() and copying it, as libbpf
 *				reads: the system call that runs the program is taken off,
 *				but not the interrupt by which the ring buffer wakes, which
 *				in bpf.post is one for 512 records.  To compare with
 *				key.loop.epoll, less key.post.unwatched
 *
 * The part refused wants a kernel with lsm=smack and has no rows elsewhere.  Records
 * are posted to a watcher that has another label::
 *
 *	key.post.allowed	as key.post, but in half-filled queues: there is a rule for it
 *	key.post.refused	there is none, and nothing is audited (smackfs/logging is 0)
 *	device.post.allowed, .refused
 *				the same for device records, as device.post.1
 *	device.post.refused.audited
 *				it is audited, as is the default: few records for many posts
 *
 * The part scaling wants two processors and a clock that goes by time, not by
 * instructions, on a machine that has two processors for nothing else; and -r 11 or
 * more.  Each value comes of 0.2 s, see scaling.c::
 *
 *	scaling.post.1		key records per second from one poster
 *	scaling.post.2.same	from two, with a keyring each, to the same queue
 *	scaling.post.2.own	from two to a queue of their own each
 *	scaling.post_read	from one, as a reader on the other processor gets them, that
 *				sleeps in poll() when there are none
 *	scaling.post_read.awake	the same, but it tries again at once
 */

#include "bench.h"
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static const struct {
	const char	*name;
	void		(*run)(void);
	bool		by_name;	/* only if it is named */
} parts[] = {
	/* First, for it looks at how much memory is free. */
	{ "memory", bench_memory, false },
	{ "keys", bench_keys, false },
	{ "loops", bench_loops, false },
	{ "devices", bench_devices, false },
	{ "pipes", bench_pipes, false },
	{ "tasks", bench_tasks, false },
	{ "rivals", bench_rivals, false },
	{ "refused", bench_refused, true },
	{ "scaling", bench_scaling, true },
};

#define NR_PARTS	ARRAY_SIZE(parts)

static void __noreturn die_usage(void)
{
	unsigned int i;

	fprintf(stderr, "usage: wq_bench [-r REPEATS] [PART]...\nparts:");
	for (i = 0; i < NR_PARTS; i++)
		fprintf(stderr, " %s", parts[i].name);
	fprintf(stderr, "\n");
	exit(EXIT_FAILURE);
}

void allow_files(unsigned int nr)
{
	struct rlimit lim = { nr, nr };

	no_error("RLIMIT_NOFILE", wq_errno(setrlimit(RLIMIT_NOFILE, &lim)));
}

/* What the kernel lacks, if anything. */
static const char *missing(void)
{
	int fds[2], ret;

	ret = wq_pipe(fds, 0);
	if (ret == -ENOPKG)
		return "CONFIG_WATCH_QUEUE";
	no_error("pipe2(O_NOTIFICATION_PIPE)", ret);
	wq_close(fds);

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	if (wq_watch_key(KEY_SPEC_SESSION_KEYRING, -1, 0) == -EOPNOTSUPP)
		return "CONFIG_KEY_NOTIFICATIONS";
	return NULL;
}

/*
 * All repeats of one part, in a process of its own that leaves no files and no
 * keyrings to the next.
 */
static void run_part(void (*run)(void))
{
	unsigned int n;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = no_error("fork", wq_errno(fork()));
	if (!pid) {
		for (n = 0; n < repeats; n++)
			run();
		print_rows();
		exit(EXIT_SUCCESS);
	}
	no_error("waitpid", wq_errno(waitpid(pid, &status, 0)));
	if (status)
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	bool wanted[NR_PARTS] = { 0 };
	const char *lacks;
	struct utsname u;
	unsigned int i;
	int opt;

	while ((opt = getopt(argc, argv, "r:")) != -1) {
		if (opt != 'r')
			die_usage();
		repeats = atoi(optarg);
		if (repeats < 1 || repeats % 2 == 0) {
			fprintf(stderr, "wq_bench: REPEATS has to be odd\n");
			exit(EXIT_FAILURE);
		}
	}
	for (i = 0; i < NR_PARTS; i++)
		wanted[i] = optind == argc && !parts[i].by_name;
	for (; optind < argc; optind++) {
		for (i = 0; i < NR_PARTS; i++)
			if (!strcmp(argv[optind], parts[i].name))
				break;
		if (i == NR_PARTS)
			die_usage();
		wanted[i] = true;
	}

	lacks = missing();
	if (lacks) {
		printf("# skipped: %s is not set\n", lacks);
		return KSFT_SKIP;
	}

	uname(&u);
	printf("# kernel: %s %s %s\n", u.release, u.version, u.machine);
	clock_init();

	for (i = 0; i < NR_PARTS; i++)
		if (wanted[i])
			run_part(parts[i].run);
	printf("# complete\n");
	return 0;
}
