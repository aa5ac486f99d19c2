// SPDX-License-Identifier: GPL-2.0
/*
 * How many key records per second two processors post, by the clock on the wall.
 *
 * A poster has a keyring of its own, so that posters meet in the queue and in
 * nothing else.  They post in bursts that a queue has room for; between bursts,
 * while the clock is stopped, the queues are emptied.  So what is timed is records
 * that are queued, never ones that are lost, which costs less.  What counts is the
 * time that the fastest tenth of the bursts took at most: in the others the machine
 * that the guest runs in may have had something else to do.
 */

#include "bench.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KEY		KEY_SPEC_SESSION_KEYRING

/* Two of them fit into a queue of BENCH_DEPTH on an unpatched kernel. */
#define BURST		(BENCH_RECORDS / 2)

/* How much time each value is the result of, in seconds. */
#define ROUND		0.2

/* More than there is time for. */
#define BURSTS_MAX	8192

/* A reader that hears nothing for that long has a queue that is broken. */
#define PATIENCE_MS	2000

/**
 * struct other - the poster that runs on the second processor
 * @pid: Its process.
 * @shared: What it shares with the first one.
 * @shared.go: The number of the burst that it is to post; STOP to end, and
 *	FOREVER to post until that is no longer there.
 * @shared.done: The number of the burst that it has posted; 0 when it is ready.
 */
struct other {
	pid_t		pid;
	struct {
		unsigned int	go;
		unsigned int	done;
	} *shared;
};

#define STOP		(~0u)
#define FOREVER		(~0u - 1)

static char buffer[65536];

/* As clock_now() counts. */
static double second;

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	no_error("sched_setaffinity", wq_errno(sched_setaffinity(0, sizeof(set), &set)));
}

static void queue_open(int fds[2])
{
	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, O_NONBLOCK));
	no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(fds[0], BENCH_DEPTH));
}

/* A keyring of the caller's own, watched by the queue. */
static void watch_own_keyring(int fds[2])
{
	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	no_error("KEYCTL_WATCH_KEY", wq_watch_key(KEY, fds[0], 1));
}

static void post_burst(void)
{
	no_error("KEYCTL_SETPERM", wq_touch_n(KEY, BURST));
}

/* Counts the key records among the @len bytes of the buffer. */
static unsigned int count(ssize_t len)
{
	const struct watch_notification *n;
	unsigned int records = 0;
	ssize_t pos;

	for (pos = 0; pos < len; pos += n->info & WATCH_INFO_LENGTH) {
		n = (void *)(buffer + pos);
		records += n->type == WATCH_TYPE_KEY_NOTIFY;
	}
	return records;
}

static unsigned int drain(int fds[2])
{
	unsigned int records = 0;
	ssize_t len;

	while ((len = wq_read(fds[0], buffer, sizeof(buffer))) > 0)
		records += count(len);
	expect("read", len, -EAGAIN);
	return records;
}

/* ---- The other poster ---- */

static unsigned int load(unsigned int *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void store(unsigned int *to, unsigned int value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static void __noreturn other_main(struct other *other, int fds[2])
{
	unsigned int last = 0, go;

	pin(1);
	watch_own_keyring(fds);
	store(&other->shared->done, 0);
	while ((go = load(&other->shared->go)) != STOP) {
		if (go == FOREVER) {
			no_error("KEYCTL_SETPERM", wq_touch(KEY));
		} else if (go != last) {
			post_burst();
			last = go;
			store(&other->shared->done, go);
		}
	}
	_exit(0);
}

/* Whoever waits for the other one also wants to know whether it is still there. */
static void await_other(struct other *other, unsigned int done)
{
	unsigned int n = 0;

	while (load(&other->shared->done) != done)
		if (!(++n & 0xfffff) && waitpid(other->pid, NULL, WNOHANG))
			die("the other poster has ended", 0);
}

/* Starts it; it posts to @fds. */
static void start_other(struct other *other, int fds[2])
{
	void *map = mmap(NULL, sizeof(*other->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("mmap", -errno);
	other->shared = map;
	store(&other->shared->done, STOP);
	other->pid = no_error("fork", wq_errno(fork()));
	if (!other->pid)
		other_main(other, fds);
	await_other(other, 0);
}

static void end_other(struct other *other)
{
	int status;

	store(&other->shared->go, STOP);
	expect("waitpid", wq_errno(waitpid(other->pid, &status, 0)), other->pid);
	expect("the other poster's status", status, 0);
	munmap(other->shared, sizeof(*other->shared));
}

/* ---- The rows ---- */

/*
 * Posts bursts, together with the other one if there is one, and adds how many
 * records per second came into the queues.
 */
static void bursts(const char *name, struct other *other, int (*queues)[2],
		   unsigned int nr)
{
	const unsigned int burst = other ? 2 * BURST : BURST;
	static double took[BURSTS_MAX];
	unsigned long long records = 0;
	unsigned long long start;
	unsigned int n = 0, i;
	double sum = 0;

	while (sum < ROUND * second && n < BURSTS_MAX) {
		start = clock_now();
		if (other)
			store(&other->shared->go, n + 1);
		post_burst();
		if (other)
			await_other(other, n + 1);
		took[n] = clock_now() - start;
		sum += took[n++];

		for (i = 0; i < nr; i++)
			records += drain(queues[i]);
	}
	if (records != n * burst)
		printf("# %s: of %u records %llu came\n", name, n * burst, records);
	sort_values(took, n);
	add(name, "posts/s", records * second / n / took[n / 10]);
}

static void one_poster(void)
{
	int queue[1][2];

	queue_open(queue[0]);
	watch_own_keyring(queue[0]);
	bursts("scaling.post.1", NULL, queue, 1);
	wq_close(queue[0]);
}

static void two_posters_one_queue(void)
{
	struct other other;
	int queue[1][2];

	queue_open(queue[0]);
	watch_own_keyring(queue[0]);
	start_other(&other, queue[0]);
	bursts("scaling.post.2.same", &other, queue, 1);
	end_other(&other);
	wq_close(queue[0]);
}

static void two_posters_two_queues(void)
{
	struct other other;
	int queues[2][2];

	queue_open(queues[0]);
	queue_open(queues[1]);
	watch_own_keyring(queues[0]);
	start_other(&other, queues[1]);
	bursts("scaling.post.2.own", &other, queues, 2);
	end_other(&other);
	wq_close(queues[0]);
	wq_close(queues[1]);
}

/*
 * These are different: the other one posts without end, and what counts is what the
 * reader gets, which sleeps whenever it has read all, or does not.
 */
static void poster_and_reader(const char *name, bool sleeps)
{
	unsigned long long records = 0;
	struct other other;
	unsigned long long start;
	ssize_t len;
	int queue[2];

	queue_open(queue);
	start_other(&other, queue);
	store(&other.shared->go, FOREVER);
	start = clock_now();
	while (clock_now() - start < ROUND * second) {
		if (sleeps && !wq_poll(queue[0], POLLIN, PATIENCE_MS)) {
			printf("# %s: the queue has gone deaf\n", name);
			break;
		}
		len = wq_read(queue[0], buffer, 4096);
		if (len != -EAGAIN)
			records += count(no_error("read", len));
	}
	add(name, "posts/s", records * second / (clock_now() - start));
	end_other(&other);
	wq_close(queue);
}

void bench_scaling(void)
{
	if (clock_is_icount())
		die("scaling: time is a count of instructions here, see wq_bench.c", -EINVAL);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		die("scaling: it takes two processors", -ENODEV);

	pin(0);
	if (!second) {
		second = clock_per_second();
		printf("# clock: %.0f in a second\n", second);
	}
	one_poster();
	two_posters_one_queue();
	two_posters_two_queues();
	poster_and_reader("scaling.post_read", true);
	poster_and_reader("scaling.post_read.awake", false);
}
