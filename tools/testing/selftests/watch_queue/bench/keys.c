// SPDX-License-Identifier: GPL-2.0
/*
 * What notification queues cost, by way of key records.
 *
 * The key is always the session keyring by its special name, so that the call
 * does not look it up among all keys, which takes as long as chance has it.
 */

#include "bench.h"
#include <sys/wait.h>

#define KEY		KEY_SPEC_SESSION_KEYRING
#define WATCHERS_MAX	1000

/* Room for all BENCH_RECORDS in one read(). */
#define BULK		65536

struct queue {
	int	fds[2];
	size_t	size;		/* of the read buffer */
	size_t	got;		/* bytes read in this round */
	int	reply;		/* where a woken reader answers */
};

static char buffer[1 << 20];

/* ---- Queues ---- */

static void queue_open(struct queue *q, unsigned int depth)
{
	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(q->fds, O_NONBLOCK));
	no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(q->fds[0], depth));
}

static void queue_watch(struct queue *q)
{
	no_error("KEYCTL_WATCH_KEY", wq_watch_key(KEY, q->fds[0], 1));
}

static void touch(void)
{
	expect("KEYCTL_SETPERM", wq_touch(KEY), 0);
}

/*
 * Empties the queue.  Returns how many key records there were before the first
 * LOSS record, which older kernels have without a count.
 */
static unsigned int queue_drain(struct queue *q)
{
	const struct watch_notification *n;
	unsigned int records = 0;
	bool loss = false;
	ssize_t len, pos;

	while ((len = wq_read(q->fds[0], buffer, sizeof(buffer))) > 0) {
		for (pos = 0; pos < len; pos += n->info & WATCH_INFO_LENGTH) {
			n = (void *)(buffer + pos);
			if (n->type == WATCH_TYPE_META)
				loss = true;
			else if (!loss)
				records++;
		}
	}
	expect("read", len, -EAGAIN);
	return records;
}

/* Posts until nothing more goes in. */
static void queue_fill(struct queue *q)
{
	long before, now = -1;
	unsigned int i;

	/* The first that is lost may be told of, the others change nothing. */
	do {
		before = now;
		for (i = 0; i < 64; i++)
			touch();
		now = no_error("FIONREAD", wq_fionread(q->fds[0]));
	} while (now != before);
}

/* ---- What is timed ---- */

static void op_touch(void *arg)
{
	touch();
}

static void op_read(void *arg)
{
	struct queue *q = arg;

	q->got += no_error("read", wq_read(q->fds[0], buffer, q->size));
}

static void op_touch_read(void *arg)
{
	struct queue *q = arg;

	touch();
	expect("read", read(q->fds[0], buffer, 433), WQ_KEY_RECORD);
}

static void op_touch_reply(void *arg)
{
	struct queue *q = arg;

	touch();
	expect("read", read(q->reply, buffer, 16), 16);
}

static void op_poll(void *arg)
{
	struct queue *q = arg;

	expect("poll", wq_poll(q->fds[0], POLLIN, 0), POLLIN);
}

static void op_poll_empty(void *arg)
{
	struct queue *q = arg;

	expect("poll", wq_poll(q->fds[0], POLLIN, 0), 0);
}

static void op_fionread(void *arg)
{
	struct queue *q = arg;

	expect("FIONREAD", wq_fionread(q->fds[0]), BENCH_RECORDS * WQ_KEY_RECORD);
}

static void op_create(void *arg)
{
	struct queue q;

	queue_open(&q, BENCH_DEPTH);
	wq_close(q.fds);
}

/* ---- Before and after ---- */

static void fill_records(void *arg)
{
	struct queue *q = arg;
	unsigned int i;

	for (i = 0; i < BENCH_RECORDS; i++)
		touch();
	q->got = 0;
}

static void check_read(void *arg)
{
	struct queue *q = arg;

	expect("bytes read", q->got, BENCH_RECORDS * WQ_KEY_RECORD);
	expect("read", wq_read(q->fds[0], buffer, sizeof(buffer)), -EAGAIN);
}

static void check_records(void *arg)
{
	expect("records queued", queue_drain(arg), BENCH_RECORDS);
}

static void drain_all(void *arg)
{
	struct queue *q = arg;

	for (; q->fds[0] >= 0; q++)
		if (!queue_drain(q))
			die("a watcher without records", 0);
}

/* ---- The rows ---- */

static double cost(struct queue *q, void (*op)(void *), unsigned int places)
{
	struct work work = {
		.op = op, .arg = q, .places = places, .rounds = 15,
	};

	return measure(&work);
}

static void key_read(struct queue *q, size_t size)
{
	unsigned int reads, per_read = size / WQ_KEY_RECORD;
	struct work work = {
		.op = op_read, .before = fill_records, .after = check_read,
		.arg = q, .rounds = 9,
	};
	char row[64];
	double each;

	reads = (BENCH_RECORDS + per_read - 1) / per_read;
	work.places = reads;
	q->size = size;
	snprintf(row, sizeof(row), "key.read.%zu", size);
	each = measure(&work) * reads / BENCH_RECORDS;
	add(row, clock_unit(), each);
	if (size == BULK)
		add("key.read.bulk", clock_unit(), each);
}

/* One queue on a keyring that nobody has watched before. */
static double key_one_watcher(struct queue *q)
{
	struct work work = {
		.op = op_touch, .after = check_records, .arg = q,
		.places = BENCH_RECORDS, .rounds = 9,
	};
	double unwatched, watched;

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	unwatched = cost(q, op_touch, 64);
	queue_watch(q);
	watched = measure(&work);

	add("key.post.unwatched", clock_unit(), unwatched);
	add("key.post.watched", clock_unit(), watched);
	add("key.post", clock_unit(), watched - unwatched);
	return unwatched;
}

static void key_many_watchers(const char *name, unsigned int nr)
{
	static struct queue q[WATCHERS_MAX + 1];
	struct work work = {
		.op = op_touch, .after = drain_all, .arg = q,
		.places = 64, .rounds = 9,
	};
	double unwatched;
	unsigned int i;

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	unwatched = cost(q, op_touch, 64);
	for (i = 0; i < nr; i++) {
		queue_open(&q[i], BENCH_DEPTH);
		queue_watch(&q[i]);
	}
	q[nr].fds[0] = -1;
	add(name, clock_unit(), measure(&work) - unwatched);
	for (i = 0; i < nr; i++)
		wq_close(q[i].fds);
}

static void key_full(struct queue *q, double unwatched)
{
	queue_fill(q);
	add("key.post.full", clock_unit(), cost(q, op_touch, 128) - unwatched);
	add("mem.queue.512.records", "records", queue_drain(q));
}

/* What a queue of another depth holds, where there may be such a one. */
static void key_records(unsigned int depth)
{
	struct queue q;
	char row[64];
	int ret;

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(q.fds, O_NONBLOCK));
	ret = wq_set_size(q.fds[0], depth);
	if (ret != -EINVAL) {
		no_error("IOC_WATCH_QUEUE_SET_SIZE", ret);
		queue_watch(&q);
		queue_fill(&q);
		snprintf(row, sizeof(row), "mem.queue.%u.records", depth);
		add(row, "records", queue_drain(&q));
	}
	wq_close(q.fds);
}

static void key_filtered(struct queue *q, double unwatched)
{
	struct {
		struct watch_notification_filter		head;
		struct watch_notification_type_filter	rule;
	} filter = {
		.head.nr_filters = 1,
		.rule.type = WATCH_TYPE_KEY_NOTIFY,
		.rule.subtype_filter[0] = ~(1u << NOTIFY_KEY_SETATTR),
	};

	no_error("IOC_WATCH_QUEUE_SET_FILTER", wq_set_filter(q->fds[0], &filter));
	add("key.post.filtered", clock_unit(), cost(q, op_touch, 64) - unwatched);
	expect("records let through", queue_drain(q), 0);
	no_error("IOC_WATCH_QUEUE_SET_FILTER", wq_set_filter(q->fds[0], NULL));
}

/* A child blocks in read() and answers each record through an ordinary pipe. */
static void key_wake(struct queue *q)
{
	int answer[2], status;
	pid_t pid;

	no_error("pipe2", wq_errno(pipe2(answer, 0)));
	no_error("fcntl", wq_set_nonblock(q->fds[0], false));

	pid = no_error("fork", wq_errno(fork()));
	if (!pid) {
		close(q->fds[1]);
		while (read(q->fds[0], buffer, 433) == WQ_KEY_RECORD)
			if (write(answer[1], buffer, 16) != 16)
				break;
		_exit(0);
	}

	q->reply = answer[0];
	add("key.wake", clock_unit(), cost(q, op_touch_reply, 256));

	/* The last write end closed ends the child's loop. */
	wq_close(q->fds);
	expect("waitpid", wq_errno(waitpid(pid, &status, 0)), pid);
	wq_close(answer);
}

void bench_keys(void)
{
	static const size_t sizes[] = { 16, 128, 433, 4096, BULK, sizeof(buffer) };
	double unwatched;
	unsigned int i;
	struct queue q;

	/* Both ends of each queue. */
	allow_files(2 * WATCHERS_MAX + 64);
	queue_open(&q, BENCH_DEPTH);
	memset(buffer, 'b', sizeof(buffer));

	unwatched = key_one_watcher(&q);
	key_many_watchers("key.post.10", 10);
	key_many_watchers("key.post.100", 100);
	key_many_watchers("key.post.1000", 1000);
	key_records(1);
	key_records(32);
	key_records(8192);

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	queue_watch(&q);
	key_full(&q, unwatched);
	key_filtered(&q, unwatched);

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		key_read(&q, sizes[i]);
	add("key.post_read.single", clock_unit(), cost(&q, op_touch_read, 64));

	add("key.poll.empty", clock_unit(), cost(&q, op_poll_empty, 64));
	fill_records(&q);
	add("key.poll", clock_unit(), cost(&q, op_poll, 64));
	add("key.fionread", clock_unit(), cost(&q, op_fionread, 64));
	check_records(&q);

	add("key.create", clock_unit(), cost(NULL, op_create, 16));

	key_wake(&q);
}
