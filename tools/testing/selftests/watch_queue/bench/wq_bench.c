// SPDX-License-Identifier: GPL-2.0
/*
 * What notification queues and pipes cost in the kernel that this runs on: an
 * unpatched one or ours.  ./report.sh puts the results of two kernels side by side.
 *
 * Usage: wq_bench [-r REPEATS] [keys] [devices] [pipes] [memory]	(default: all of them)
 *
 * Run it in QEMU with one CPU, "-cpu max" and "-icount shift=0,sleep=off": one
 * tick of the time stamp counter is one instruction there, user space and kernel
 * together, and the figures repeat from run to run.  It has to be root.
 *
 * Each line of output is one row::
 *
 *	NAME VALUE UNIT SPREAD
 *
 * VALUE is the median of REPEATS values, 5 unless told otherwise, and SPREAD is
 * how far apart they lie, in percent of it.  UNIT is "insn" (instructions),
 * "bytes" or "records"; "tick" where the clock does not count instructions.
 * Lines that begin with # are remarks, and the last is "# complete" unless
 * something failed.
 *
 * Key records are 16 bytes and made by KEYCTL_SETPERM on the session keyring::
 *
 *	key.post.unwatched	the call, on a keyring that was never watched
 *	key.post.watched	the same with one watch, while an empty queue takes in
 *				512 records
 *	key.post		the difference: posting one record to one watcher
 *	key.post.10, .100	the same difference with as many watchers
 *	key.post.full		the difference where the queue is full
 *	key.post.filtered	the difference where the filter refuses the record
 *	key.read.bulk		reading one of 512 queued records, all in one read()
 *	key.read.SIZE		reading one of them with a buffer of SIZE bytes
 *	key.post_read.single	the call and a read() of the one record
 *	key.wake		the call and the reader that was blocked in read()
 *	key.poll, .empty	poll() of a queue with and without records
 *	key.fionread		FIONREAD of a queue
 *	key.create		making a queue of depth 512 and closing it
 *	pipe.rw.SIZE		write() and read() of an ordinary pipe
 *	pipe.vmsplice.SIZE	vmsplice() and read()
 *	pipe.splice.SIZE	write(), splice() to another pipe and read()
 *	pipe.tee.SIZE		write(), tee() to another pipe and read() of both
 *	pipe.wake		write() to a reader that was blocked, and its answer
 *	pipe.poll, .empty	poll() of a pipe with and without data
 *	pipe.fionread		FIONREAD of a pipe
 *	pipe.create		making a pipe and closing it
 *	mem.queue.512		all memory that the making of a queue of depth 512 takes
 *	mem.queue.512.records	key records that such a queue holds before it loses one
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
 */

#include "bench.h"
#include <sys/utsname.h>
#include <sys/wait.h>

static const struct {
	const char	*name;
	void		(*run)(void);
} parts[] = {
	/* First, for it looks at how much memory is free. */
	{ "memory", bench_memory },
	{ "keys", bench_keys },
	{ "devices", bench_devices },
	{ "pipes", bench_pipes },
};

#define NR_PARTS	ARRAY_SIZE(parts)

static void __noreturn die_usage(void)
{
	fprintf(stderr, "usage: wq_bench [-r REPEATS] [keys] [devices] [pipes] [memory]\n");
	exit(EXIT_FAILURE);
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
		wanted[i] = optind == argc;
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
