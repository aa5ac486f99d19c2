// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the notification queue, from the side of a source.
 *
 * What needs the kernel's side to be seen is here: the contexts that may post,
 * that records are left as they are, and the ring against a naive model of it.
 * What programs see is in tools/testing/selftests/watch_queue/.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/pipe_fs_i.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/watch_queue.h>

#define OBJECT_ID	0x5eed
#define BUFFER_SIZE	(2 * PAGE_SIZE)

/**
 * struct queue_under_test - a notification pipe that watches one object
 * @files: The read end and the write end, non-blocking.
 * @wlist: The object's watches, this pipe's among them.
 */
struct queue_under_test {
	struct file *files[2];
	struct watch_list *wlist;
};

/**
 * struct test_record - a record of the greatest length
 * @watch: The header.
 * @payload: Filled with a pattern that tells which record it is.
 */
struct test_record {
	struct watch_notification watch;
	u64 payload[(WATCH_RECORD_MAX - sizeof(struct watch_notification)) / 8];
};

/* KUnit's macros cannot take bit-fields. */
static unsigned int record_type(const struct watch_notification *n)
{
	return n->type;
}

static unsigned int record_subtype(const struct watch_notification *n)
{
	return n->subtype;
}

static unsigned int record_length(const struct watch_notification *n)
{
	return n->info & WATCH_INFO_LENGTH;
}

static unsigned int record_tag(const struct watch_notification *n)
{
	return (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
}

/* Record number @seq, @len bytes long. */
static void record_make(struct test_record *rec, u64 seq, unsigned int len)
{
	unsigned int i;

	memset(rec, 0, sizeof(*rec));
	rec->watch.type = WATCH_TYPE_KEY_NOTIFY;
	rec->watch.subtype = seq;
	rec->watch.info = len;
	for (i = 0; i < len / 8 - 1; i++)
		rec->payload[i] = seq + ((u64)i << 32);
}

static void post(struct queue_under_test *q, const struct watch_notification *n)
{
	post_watch_notification(q->wlist, n, NULL, OBJECT_ID);
}

static int stop_watching(struct queue_under_test *q)
{
	struct pipe_inode_info *pipe = q->files[0]->private_data;

	return remove_watch_from_object(q->wlist, pipe->watch_queue, OBJECT_ID);
}

static void close_files(void *data)
{
	struct queue_under_test *q = data;

	fput(q->files[0]);
	fput(q->files[1]);
	remove_watch_list(q->wlist, OBJECT_ID);
}

/* Have @wlist's object watched by a new pipe, all of which goes with the test. */
static struct queue_under_test *queue_open(struct kunit *test, u8 tag)
{
	struct queue_under_test *q;
	struct pipe_inode_info *pipe;
	struct watch *watch;

	q = kunit_kzalloc(test, sizeof(*q), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	q->wlist = kzalloc(sizeof(*q->wlist), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q->wlist);
	init_watch_list(q->wlist, NULL);

	KUNIT_ASSERT_EQ(test, 0, create_pipe_files(q->files, O_NOTIFICATION_PIPE |
						   O_NONBLOCK));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, close_files, q));

	watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, watch);
	pipe = q->files[0]->private_data;
	init_watch(watch, pipe->watch_queue, OBJECT_ID, tag);
	KUNIT_ASSERT_EQ(test, 0, add_watch_to_object(watch, q->wlist));
	return q;
}

static void set_depth(struct kunit *test, struct queue_under_test *q,
		      unsigned int depth)
{
	KUNIT_ASSERT_EQ(test, 0, vfs_ioctl(q->files[0], IOC_WATCH_QUEUE_SET_SIZE,
					   depth));
}

static ssize_t read_queue(struct queue_under_test *q, void *buffer, size_t size)
{
	return kernel_read(q->files[0], buffer, size, NULL);
}

static void *buffer_alloc(struct kunit *test)
{
	void *buffer = kunit_kzalloc(test, BUFFER_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	return buffer;
}

/* One record of every length comes out as it went in, but for tag and length. */
static void record_every_length(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 0xa5);
	struct test_record in, *out = buffer_alloc(test);
	unsigned int len;

	for (len = 8; len <= WATCH_RECORD_MAX; len += 8) {
		record_make(&in, len, len);
		in.watch.info |= WATCH_INFO_FLAG_3;
		post(q, &in.watch);

		KUNIT_ASSERT_EQ(test, len, read_queue(q, out, BUFFER_SIZE));
		KUNIT_EXPECT_EQ(test, WATCH_TYPE_KEY_NOTIFY,
				record_type(&out->watch));
		KUNIT_EXPECT_EQ(test, len, record_subtype(&out->watch));
		KUNIT_EXPECT_EQ(test, out->watch.info,
				len | 0xa5 << WATCH_INFO_ID__SHIFT |
				WATCH_INFO_FLAG_3);
		KUNIT_EXPECT_MEMEQ(test, in.payload, out->payload, len - 8);
	}
}

/* A caller's record may stand in read-only memory and serve many watchers. */
static void record_const_many_watchers(struct kunit *test)
{
	static const struct key_notification rec = {
		.watch.type	= WATCH_TYPE_KEY_NOTIFY,
		.watch.subtype	= NOTIFY_KEY_UPDATED,
		.watch.info	= watch_sizeof(rec) |
				  0x77 << WATCH_INFO_ID__SHIFT,
		.key_id		= 1,
		.aux		= 2,
	};
	struct queue_under_test *q = queue_open(test, 1);
	struct queue_under_test *other = queue_open(test, 2);
	struct pipe_inode_info *pipe = other->files[0]->private_data;
	struct key_notification *out = buffer_alloc(test);
	struct watch *watch;

	watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, watch);
	init_watch(watch, pipe->watch_queue, OBJECT_ID, 3);
	KUNIT_ASSERT_EQ(test, 0, add_watch_to_object(watch, q->wlist));

	post(q, &rec.watch);

	KUNIT_ASSERT_EQ(test, 16, read_queue(q, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, 1, record_tag(&out->watch));
	KUNIT_ASSERT_EQ(test, 16, read_queue(other, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, 3, record_tag(&out->watch));
	KUNIT_EXPECT_EQ(test, 2, out->aux);
}

/* Interrupts that were off when a record was posted stay off. */
static void post_irqs_off_stay_off(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 1);
	struct test_record in, *out = buffer_alloc(test);
	unsigned long flags;
	bool off;

	record_make(&in, 1, 16);
	local_irq_save(flags);
	post(q, &in.watch);
	off = irqs_disabled();
	local_irq_restore(flags);

	KUNIT_EXPECT_TRUE(test, off);
	KUNIT_EXPECT_EQ(test, 16, read_queue(q, out, BUFFER_SIZE));
}

/**
 * struct context_test - a post from a timer
 * @timer: Runs in softirq.
 * @hrtimer: Runs in hard interrupt context; on PREEMPT_RT, where a spinlock_t cannot
 *	be taken there, in softirq.
 * @q: Where to.
 * @rec: What.
 * @done: The post returned.
 * @in_context: The post was where it was meant to be.
 */
struct context_test {
	struct timer_list timer;
	struct hrtimer hrtimer;
	struct queue_under_test *q;
	struct test_record rec;
	struct completion done;
	bool in_context;
};

static void post_from_timer(struct timer_list *timer)
{
	struct context_test *ctx = from_timer(ctx, timer, timer);

	ctx->in_context = in_serving_softirq() && !in_hardirq();
	post(ctx->q, &ctx->rec.watch);
	complete(&ctx->done);
}

static enum hrtimer_restart post_from_hrtimer(struct hrtimer *timer)
{
	struct context_test *ctx = container_of(timer, struct context_test,
						hrtimer);

	ctx->in_context = IS_ENABLED(CONFIG_PREEMPT_RT) ||
			  (in_hardirq() && irqs_disabled());
	post(ctx->q, &ctx->rec.watch);
	complete(&ctx->done);
	return HRTIMER_NORESTART;
}

static struct context_test *context_test_new(struct kunit *test)
{
	struct context_test *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	ctx->q = queue_open(test, 1);
	record_make(&ctx->rec, 1, 16);
	init_completion(&ctx->done);
	return ctx;
}

/* A record may be posted from softirq... */
static void post_softirq_arrives(struct kunit *test)
{
	struct context_test *ctx = context_test_new(test);
	void *out = buffer_alloc(test);

	timer_setup(&ctx->timer, post_from_timer, 0);
	mod_timer(&ctx->timer, jiffies + 1);
	wait_for_completion(&ctx->done);
	timer_shutdown_sync(&ctx->timer);

	KUNIT_EXPECT_TRUE(test, ctx->in_context);
	KUNIT_EXPECT_EQ(test, 16, read_queue(ctx->q, out, BUFFER_SIZE));
}

/* ... and from a hard interrupt. */
static void post_hardirq_arrives(struct kunit *test)
{
	struct context_test *ctx = context_test_new(test);
	void *out = buffer_alloc(test);

	hrtimer_init(&ctx->hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	ctx->hrtimer.function = post_from_hrtimer;
	hrtimer_start(&ctx->hrtimer, ns_to_ktime(NSEC_PER_MSEC), HRTIMER_MODE_REL);
	wait_for_completion(&ctx->done);
	hrtimer_cancel(&ctx->hrtimer);

	KUNIT_EXPECT_TRUE(test, ctx->in_context);
	KUNIT_EXPECT_EQ(test, 16, read_queue(ctx->q, out, BUFFER_SIZE));
}

/*
 * The model: a plain list of what is queued.
 */

#define MODEL_MAX	(256 * 128 / 8)

/**
 * struct model - what the queue should be
 * @len: Length of each queued record, from @tail to @head.
 * @value: Its number, or the count of a LOSS record.
 * @loss: Whether it is a LOSS record.
 * @head: Where the next record goes; the arrays wrap around.
 * @tail: Where the oldest record is.
 * @queued: Bytes from @tail to @head.
 * @capacity: At most as many.
 * @lost: Records lost since.
 * @posted: Records posted so far.
 */
struct model {
	u8 len[MODEL_MAX];
	u64 value[MODEL_MAX];
	bool loss[MODEL_MAX];
	unsigned int head, tail;
	unsigned int queued, capacity;
	u64 lost, posted;
};

static void free_model(void *m)
{
	kvfree(m);
}

static void model_put(struct model *m, unsigned int len, u64 value, bool loss)
{
	unsigned int at = m->head++ % MODEL_MAX;

	m->len[at] = len;
	m->value[at] = value;
	m->loss[at] = loss;
	m->queued += len;
}

static void model_put_loss(struct model *m)
{
	model_put(m, 16, m->lost, true);
	m->lost = 0;
}

static void model_post(struct model *m, unsigned int len)
{
	m->posted++;
	if (m->queued + len + (m->lost ? 16 : 0) > m->capacity) {
		m->lost++;
		return;
	}
	if (m->lost)
		model_put_loss(m);
	model_put(m, len, m->posted, false);
}

/* The next record that a read with @room bytes left must return, if any. */
static bool model_next(struct model *m, size_t room, unsigned int *at)
{
	if (m->head == m->tail && m->lost)
		model_put_loss(m);
	*at = m->tail % MODEL_MAX;
	if (m->head == m->tail || m->len[*at] > room)
		return false;
	m->queued -= m->len[*at];
	m->tail++;
	return true;
}

static void model_check(struct kunit *test, const struct model *m,
			unsigned int at, const struct watch_notification *n)
{
	struct test_record want;

	KUNIT_ASSERT_EQ(test, record_length(n), m->len[at]);
	if (m->loss[at]) {
		const struct watch_notification_loss *loss = (const void *)n;

		KUNIT_ASSERT_EQ(test, record_type(n), WATCH_TYPE_META);
		KUNIT_ASSERT_EQ(test, record_subtype(n),
				WATCH_META_LOSS_NOTIFICATION);
		KUNIT_ASSERT_EQ(test, record_tag(n), 0);
		KUNIT_ASSERT_EQ(test, loss->lost, m->value[at]);
		return;
	}
	record_make(&want, m->value[at], m->len[at]);
	KUNIT_ASSERT_EQ(test, record_type(n), WATCH_TYPE_KEY_NOTIFY);
	KUNIT_ASSERT_EQ(test, record_subtype(n),
			record_subtype(&want.watch));
	KUNIT_ASSERT_EQ(test, record_tag(n), 1);
	KUNIT_ASSERT_MEMEQ(test, (const void *)(n + 1), (const void *)want.payload,
			   m->len[at] - sizeof(*n));
}

/* Read with a buffer of @size bytes and hold the outcome against the model. */
static void model_read(struct kunit *test, struct model *m,
		       struct queue_under_test *q, void *buffer, size_t size)
{
	ssize_t len = read_queue(q, buffer, size);
	unsigned int at;
	ssize_t done = 0;

	while (model_next(m, size - done, &at)) {
		KUNIT_ASSERT_LT(test, done, len);
		model_check(test, m, at, buffer + done);
		done += m->len[at];
	}
	if (!done)
		done = m->queued ? -ENOBUFS : -EAGAIN;
	KUNIT_ASSERT_EQ(test, done, len);
}

static unsigned int random_length(struct rnd_state *rnd)
{
	return 8 * (1 + prandom_u32_state(rnd) % (WATCH_RECORD_MAX / 8));
}

/* A resize is refused if what is queued does not fit, and else loses nothing. */
static void model_resize(struct kunit *test, struct model *m,
			 struct queue_under_test *q, unsigned int depth)
{
	int want = m->queued > depth * 128 ? -EBUSY : 0;

	KUNIT_ASSERT_EQ(test, want, vfs_ioctl(q->files[0],
					      IOC_WATCH_QUEUE_SET_SIZE, depth));
	if (!want)
		m->capacity = depth * 128;
}

static const unsigned int model_depths[] = { 1, 2, 31, 32, 33, 64, 255, 256 };
KUNIT_ARRAY_PARAM(model_depth, model_depths, NULL);

/* The ring behaves as a plain list would, whatever is posted, read and resized. */
static void ring_random_as_model(struct kunit *test)
{
	unsigned int depth = *(const unsigned int *)test->param_value;
	struct queue_under_test *q = queue_open(test, 1);
	void *buffer = buffer_alloc(test);
	struct test_record rec;
	struct rnd_state rnd;
	unsigned int step, burst, len;
	struct model *m;

	m = kvzalloc(sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_model, m));
	prandom_seed_state(&rnd, depth);
	set_depth(test, q, depth);
	m->capacity = depth * 128;

	for (step = 0; step < 2000; step++) {
		burst = prandom_u32_state(&rnd) % (depth + 2);
		while (burst--) {
			len = random_length(&rnd);
			model_post(m, len);
			record_make(&rec, m->posted, len);
			post(q, &rec.watch);
		}
		model_read(test, m, q, buffer,
			   1 + (prandom_u32_state(&rnd) % BUFFER_SIZE >>
				prandom_u32_state(&rnd) % 12));
		if (step % 16 == 15)
			model_resize(test, m, q, 1 + prandom_u32_state(&rnd) % 256);
	}

	while (m->queued || m->lost)
		model_read(test, m, q, buffer, BUFFER_SIZE);
}

/* A queue of depth n holds exactly n * 128 bytes, in pages filled to any degree. */
static void ring_capacity_exact(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 1);
	void *buffer = buffer_alloc(test);
	unsigned int depth, len, n, left;
	struct test_record rec;
	ssize_t got, sum;

	for (depth = 1; depth <= 96; depth += 5) {
		set_depth(test, q, depth);
		for (len = 8; len <= WATCH_RECORD_MAX; len += 8) {
			record_make(&rec, 1, len);
			left = depth * 128 / len;
			for (n = 0; n < left; n++)
				post(q, &rec.watch);
			for (sum = 0; ; sum += got) {
				got = read_queue(q, buffer, BUFFER_SIZE);
				if (got < 0)
					break;
			}
			KUNIT_ASSERT_EQ(test, -EAGAIN, got);
			KUNIT_ASSERT_EQ(test, left * len, sum);
		}
	}
}

/* Behind a REMOVAL record nothing comes, and there is just one. */
static void removal_is_last(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 9);
	struct watch_notification_removal *out = buffer_alloc(test);
	struct test_record rec;

	record_make(&rec, 1, 8);
	KUNIT_EXPECT_EQ(test, 0, stop_watching(q));
	KUNIT_EXPECT_EQ(test, -EBADSLT, stop_watching(q));
	post(q, &rec.watch);

	KUNIT_ASSERT_EQ(test, 16, read_queue(q, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, WATCH_TYPE_META, record_type(&out->watch));
	KUNIT_EXPECT_EQ(test, WATCH_META_REMOVAL_NOTIFICATION,
			record_subtype(&out->watch));
	KUNIT_EXPECT_EQ(test, 9, record_tag(&out->watch));
	KUNIT_EXPECT_EQ(test, OBJECT_ID, out->id);
}

static struct kunit_case watch_queue_cases[] = {
	KUNIT_CASE(record_every_length),
	KUNIT_CASE(record_const_many_watchers),
	KUNIT_CASE(post_irqs_off_stay_off),
	KUNIT_CASE(post_softirq_arrives),
	KUNIT_CASE(post_hardirq_arrives),
	KUNIT_CASE_PARAM(ring_random_as_model, model_depth_gen_params),
	KUNIT_CASE(ring_capacity_exact),
	KUNIT_CASE(removal_is_last),
	{}
};

static struct kunit_suite watch_queue_suite = {
	.name = "watch_queue",
	.test_cases = watch_queue_cases,
};

kunit_test_suite(watch_queue_suite);
