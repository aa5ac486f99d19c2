// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the notification queue, from the side of a source.
 *
 * What needs the kernel's side to be seen is here: the contexts that may post,
 * that records are left as they are, the ends that a watch may come to, and ring
 * and filter against naive models of them.
 * What programs see is in tools/testing/selftests/watch_queue/.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/overflow.h>
#include <linux/pipe_fs_i.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/watch_queue.h>
#include <linux/workqueue.h>

#define OBJECT_ID	0x5eed
#define BUFFER_SIZE	(2 * PAGE_SIZE)

/**
 * struct queue_under_test - a notification pipe that watches one object
 * @files: The read end and the write end, non-blocking; NULL once closed.
 * @wlist: The object's watches, this pipe's among them; NULL once it is gone.
 * @tag: What the watch was given.
 * @released: How many of the pipe's watches have been released.
 */
struct queue_under_test {
	struct file *files[2];
	struct watch_list *wlist;
	u8 tag;
	atomic_t released;
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

static struct watch_queue *queue_of(const struct queue_under_test *q)
{
	const struct pipe_inode_info *pipe = q->files[0]->private_data;

	return pipe->watch_queue;
}

static int stop_watching(struct queue_under_test *q)
{
	return remove_watch_from_object(q->wlist, queue_of(q), OBJECT_ID);
}

static void queue_close_end(struct queue_under_test *q, unsigned int end)
{
	if (q->files[end])
		__fput_sync(q->files[end]);
	q->files[end] = NULL;
}

static void queue_close(struct queue_under_test *q)
{
	queue_close_end(q, 0);
	queue_close_end(q, 1);
}

/* The object goes. */
static void object_end(struct queue_under_test *q)
{
	struct watch_list *wlist = q->wlist;

	q->wlist = NULL;
	remove_watch_list(wlist, OBJECT_ID);
}

static void queue_end(void *data)
{
	struct queue_under_test *q = data;

	queue_close(q);
	object_end(q);
}

static void count_release(struct watch *watch)
{
	struct queue_under_test *q = watch->private;

	atomic_inc(&q->released);
}

/* Have @q watch what is @id in @wlist.  Returns what add_watch_to_object() does. */
static int watch_add(struct kunit *test, struct queue_under_test *q,
		     struct watch_list *wlist, u64 id, u8 tag)
{
	struct watch *watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, watch);
	init_watch(watch, queue_of(q), id, tag);
	watch->private = q;
	ret = add_watch_to_object(watch, wlist);
	if (ret)
		kfree(watch);
	return ret;
}

/* Have @q watch a new object. */
static void object_start(struct kunit *test, struct queue_under_test *q)
{
	q->wlist = kzalloc(sizeof(*q->wlist), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q->wlist);
	init_watch_list(q->wlist, count_release);
	KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID, q->tag));
}

/* Have a new object watched by a new pipe, all of which goes with the test. */
static struct queue_under_test *queue_open(struct kunit *test, u8 tag)
{
	struct queue_under_test *q;

	q = kunit_kzalloc(test, sizeof(*q), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	q->tag = tag;
	KUNIT_ASSERT_EQ(test, 0, create_pipe_files(q->files, O_NOTIFICATION_PIPE |
						   O_NONBLOCK));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, queue_end, q));
	object_start(test, q);
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

/* User memory of one page, behind which there is none; it goes with the test. */
static unsigned long user_page(struct kunit *test)
{
	unsigned long addr;

	if (!IS_ENABLED(CONFIG_MMU))
		kunit_skip(test, "without an MMU, no user memory is out of reach");
	addr = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, (unsigned long)TASK_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE));
	return addr;
}

/* All that can be posted, and nothing else, counts as a record. */
static void record_valid_type_and_length(struct kunit *test)
{
	static const u32 types[] = { 0, 1, WATCH_TYPE__NR - 1, WATCH_TYPE__NR,
				     0x100, 0x10000, 0xffffff };
	struct watch_notification n = {};
	unsigned int i, len;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		n.type = types[i];
		for (len = 0; len <= WATCH_INFO_LENGTH; len++) {
			bool valid = types[i] < WATCH_TYPE__NR &&
				len >= 8 && len <= 120 && len % 8 == 0;

			n.info = len;
			KUNIT_EXPECT_EQ(test, valid, watch_notification_valid(&n));
			n.subtype = ~0;
			n.info |= ~WATCH_INFO_LENGTH;
			KUNIT_EXPECT_EQ(test, valid, watch_notification_valid(&n));
		}
	}
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
	struct key_notification *out = buffer_alloc(test);

	KUNIT_ASSERT_EQ(test, 0, watch_add(test, other, q->wlist, OBJECT_ID, 3));
	post(q, &rec.watch);

	KUNIT_ASSERT_EQ(test, 16, read_queue(q, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, 1, record_tag(&out->watch));
	KUNIT_ASSERT_EQ(test, 16, read_queue(other, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, 3, record_tag(&out->watch));
	KUNIT_EXPECT_EQ(test, 2, out->aux);
	/* When built-in tests run, read-only memory can still be written. */
	KUNIT_EXPECT_EQ(test, 16 | 0x77 << WATCH_INFO_ID__SHIFT,
			READ_ONCE(rec.watch.info));
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
 * @user: A user_page().
 */
struct model {
	u8 len[MODEL_MAX];
	u64 value[MODEL_MAX];
	bool loss[MODEL_MAX];
	unsigned int head, tail;
	unsigned int queued, capacity;
	u64 lost, posted;
	unsigned long user;
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

/*
 * The next record that a read with @left bytes to go, @room of them accessible,
 * must return, if any.
 */
static bool model_next(struct model *m, size_t left, size_t room,
		       unsigned int *at)
{
	if (!left)
		return false;
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

/*
 * Read @size bytes to user memory of which only @room bytes are there; @buffer gets
 * what was read.  In two segments, for a segment that is there is always filled:
 * where a copy within one faults, architectures differ in how far it gets.
 */
static ssize_t read_to_user(struct queue_under_test *q, unsigned long user,
			    void *buffer, size_t size, size_t room)
{
	void __user *end = (void __user *)(user + PAGE_SIZE);
	const struct iovec segments[] = {
		{ .iov_base = end - room, .iov_len = room },
		{ .iov_base = end, .iov_len = size - room },
	};
	struct iov_iter to;
	ssize_t len;

	iov_iter_init(&to, ITER_DEST, segments, ARRAY_SIZE(segments), size);
	len = vfs_iter_read(q->files[0], &to, NULL, 0);
	if (len > 0 && copy_from_user(buffer, end - room, len))
		return -EIO;
	return len;
}

/*
 * Read with a buffer of @size bytes, @room of them accessible, and hold the outcome
 * against the model.
 */
static void model_read(struct kunit *test, struct model *m,
		       struct queue_under_test *q, void *buffer, size_t size,
		       size_t room)
{
	ssize_t done = 0, len;
	unsigned int at;

	if (room < size)
		len = read_to_user(q, m->user, buffer, size, room);
	else
		len = read_queue(q, buffer, size);

	while (model_next(m, size - done, room - done, &at)) {
		KUNIT_ASSERT_LT(test, done, len);
		model_check(test, m, at, buffer + done);
		done += m->len[at];
	}
	if (!done && !m->queued)
		done = -EAGAIN;
	else if (!done)
		done = m->len[at] > size ? -ENOBUFS : -EFAULT;
	KUNIT_ASSERT_EQ(test, done, len);
}

static unsigned int random_length(struct rnd_state *rnd)
{
	return 8 * (1 + prandom_u32_state(rnd) % (WATCH_RECORD_MAX / 8));
}

/* Between 1 and BUFFER_SIZE, of whatever magnitude. */
static size_t random_size(struct rnd_state *rnd)
{
	return 1 + (prandom_u32_state(rnd) % BUFFER_SIZE >>
		    prandom_u32_state(rnd) % 12);
}

/* Less than @size, and no more than a page. */
static size_t random_room(struct rnd_state *rnd, size_t size)
{
	return prandom_u32_state(rnd) % min(size, PAGE_SIZE + 1);
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

/*
 * The ring behaves as a plain list would, whatever is posted, read and resized, and
 * wherever reads end in a fault.
 */
static void ring_random_as_model(struct kunit *test)
{
	unsigned int depth = *(const unsigned int *)test->param_value;
	struct queue_under_test *q = queue_open(test, 1);
	void *buffer = buffer_alloc(test);
	struct test_record rec;
	struct rnd_state rnd;
	unsigned int step, burst, len;
	struct model *m;
	size_t size;

	m = kvzalloc(sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_model, m));
	prandom_seed_state(&rnd, depth);
	set_depth(test, q, depth);
	m->capacity = depth * 128;
	m->user = user_page(test);

	for (step = 0; step < 2000; step++) {
		burst = prandom_u32_state(&rnd) % (depth + 2);
		while (burst--) {
			len = random_length(&rnd);
			model_post(m, len);
			record_make(&rec, m->posted, len);
			post(q, &rec.watch);
		}
		size = random_size(&rnd);
		model_read(test, m, q, buffer, size,
			   step % 3 ? size : random_room(&rnd, size));
		if (step % 16 == 15)
			model_resize(test, m, q, 1 + prandom_u32_state(&rnd) % 256);
	}

	while (m->queued || m->lost)
		model_read(test, m, q, buffer, BUFFER_SIZE, BUFFER_SIZE);
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

/* A watch on an object without an identifier ends with a bare header. */
static void removal_without_id_short(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 1);
	struct watch_notification *out = buffer_alloc(test);

	KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, 0, 9));
	KUNIT_EXPECT_EQ(test, 0, remove_watch_from_object(q->wlist, queue_of(q), 0));

	KUNIT_ASSERT_EQ(test, 8, read_queue(q, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, WATCH_TYPE_META, record_type(out));
	KUNIT_EXPECT_EQ(test, WATCH_META_REMOVAL_NOTIFICATION, record_subtype(out));
	KUNIT_EXPECT_EQ(test, out->info, 8 | 9 << WATCH_INFO_ID__SHIFT);
}

/*
 * Filters.
 */

#define RULES_MAX	16

static struct watch_notification_filter *filter_alloc(struct kunit *test)
{
	struct watch_notification_filter *f;

	f = kunit_kzalloc(test, struct_size(f, filters, RULES_MAX + 1), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	return f;
}

/* Have the ioctl find the filter at a page's end, or its last @cut bytes behind it. */
static long set_filter(struct queue_under_test *q, unsigned long user,
		       const struct watch_notification_filter *f, size_t cut)
{
	size_t size = struct_size(f, filters, f->nr_filters) - cut;
	void __user *at = (void __user *)(user + PAGE_SIZE - size);

	if (copy_to_user(at, f, size))
		return -EIO;
	return vfs_ioctl(q->files[0], IOC_WATCH_QUEUE_SET_FILTER,
			 (unsigned long)at);
}

/* What <uapi/linux/watch_queue.h> promises, of a record as it is read. */
static bool filter_lets_through(const struct watch_notification_filter *f,
				const struct watch_notification *n)
{
	const struct watch_notification_type_filter *rule;
	bool accepts = n->type == WATCH_TYPE_META;
	unsigned int i, word, bit;

	for (i = 0; i < f->nr_filters; i++) {
		rule = &f->filters[i];
		word = rule->subtype_filter[n->subtype / 32];
		bit = n->subtype % 32;
		accepts |= rule->type == n->type && (word >> bit) % 2 &&
			(n->info & rule->info_mask) == rule->info_filter;
	}
	return accepts;
}

/* Of known types mostly, with few bits in the mask, so that records do match. */
static void random_rule(struct rnd_state *rnd,
			struct watch_notification_type_filter *rule)
{
	/* The second would be 1, were it cut to the 24 bits of a record's. */
	static const u32 unknown[] = { WATCH_TYPE__NR, BIT(24) + 1, U32_MAX };
	unsigned int i;

	if (prandom_u32_state(rnd) % 4)
		rule->type = prandom_u32_state(rnd) % WATCH_TYPE__NR;
	else
		rule->type = unknown[prandom_u32_state(rnd) % ARRAY_SIZE(unknown)];

	rule->info_mask = ~WATCH_INFO_LENGTH;
	for (i = 0; i < 4; i++)
		rule->info_mask &= prandom_u32_state(rnd);
	rule->info_filter = rule->info_mask & prandom_u32_state(rnd);
	for (i = 0; i < ARRAY_SIZE(rule->subtype_filter); i++)
		rule->subtype_filter[i] = prandom_u32_state(rnd);
}

static void random_filter(struct rnd_state *rnd,
			  struct watch_notification_filter *f)
{
	unsigned int i;

	f->nr_filters = 1 + prandom_u32_state(rnd) % RULES_MAX;
	for (i = 0; i < f->nr_filters; i++)
		random_rule(rnd, &f->filters[i]);
	i = prandom_u32_state(rnd) % f->nr_filters;
	f->filters[i].type = prandom_u32_state(rnd) % WATCH_TYPE__NR;
}

/* Of any known type, any subtype and with any bits in the info word. */
static void random_record(struct rnd_state *rnd, struct test_record *rec)
{
	record_make(rec, prandom_u32_state(rnd), random_length(rnd));
	rec->watch.type = prandom_u32_state(rnd) % WATCH_TYPE__NR;
	rec->watch.info |= prandom_u32_state(rnd) & ~WATCH_INFO_LENGTH;
}

/* A filter lets through just what it is documented to, whatever it is. */
static void filter_random_as_model(struct kunit *test)
{
	static const u8 tags[] = { 0x00, 0xff, 0x5a, 0x01 };
	struct queue_under_test *q = queue_open(test, tags[0]);
	struct watch_notification_filter *f = filter_alloc(test);
	struct test_record rec, *out = buffer_alloc(test);
	unsigned long user = user_page(test);
	unsigned int i, step, passed = 0, refused = 0;
	struct rnd_state rnd;
	ssize_t len;

	for (i = 1; i < ARRAY_SIZE(tags); i++)
		KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID + i,
						   tags[i]));
	prandom_seed_state(&rnd, 1);

	for (step = 0; step < 10000; step++) {
		if (step % 50 == 0) {
			random_filter(&rnd, f);
			KUNIT_ASSERT_EQ(test, 0, set_filter(q, user, f, 0));
		}

		random_record(&rnd, &rec);
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(tags);
		post_watch_notification(q->wlist, &rec.watch, NULL, OBJECT_ID + i);
		len = read_queue(q, out, BUFFER_SIZE);

		rec.watch.info &= ~WATCH_INFO_ID;
		rec.watch.info |= tags[i] << WATCH_INFO_ID__SHIFT;
		if (filter_lets_through(f, &rec.watch)) {
			KUNIT_ASSERT_EQ(test, record_length(&rec.watch), len);
			KUNIT_ASSERT_MEMEQ(test, &rec, out, len);
			passed += rec.watch.type != WATCH_TYPE_META;
		} else {
			KUNIT_ASSERT_EQ(test, -EAGAIN, len);
			refused++;
		}
	}

	KUNIT_EXPECT_GT(test, passed, 1000);
	KUNIT_EXPECT_GT(test, refused, 1000);
}

/**
 * struct refused_filter - a filter that is no good
 * @name: What is wrong with it.
 * @nr: Number of rules.
 * @reserved: What should be 0.
 * @type: The last rule's.
 * @info_mask: The last rule's.
 * @info_filter: The last rule's.
 * @cut: Bytes of it that are not there.
 * @err: What the ioctl returns.
 */
struct refused_filter {
	const char *name;
	u32 nr, reserved;
	u32 type, info_mask, info_filter;
	size_t cut;
	int err;
};

static const struct refused_filter refused_filters[] = {
	{ "no rule", .err = -EINVAL },
	{ "a rule too many", .nr = RULES_MAX + 1, .type = 1, .err = -EINVAL },
	{ "reserved field", .nr = 1, .reserved = 1, .type = 1, .err = -EINVAL },
	{ "mask has lowest bit of length", .nr = 1, .type = 1, .info_mask = 0x01,
	  .err = -EINVAL },
	{ "mask has highest bit of length", .nr = 2, .type = 1, .info_mask = 0x40,
	  .err = -EINVAL },
	{ "filter beyond mask", .nr = RULES_MAX, .type = 1,
	  .info_mask = WATCH_INFO_FLAG_0, .info_filter = WATCH_INFO_FLAG_1,
	  .err = -EINVAL },
	{ "filter beyond mask, of unknown type", .nr = 2, .type = WATCH_TYPE__NR,
	  .info_filter = WATCH_INFO_FLAG_1, .err = -EINVAL },
	{ "unknown type alone", .nr = 1, .type = WATCH_TYPE__NR, .err = -EINVAL },
	{ "type of 25 bits alone", .nr = 1, .type = BIT(24) + 1, .err = -EINVAL },
	{ "half a head", .nr = 1, .type = 1, .cut = 48, .err = -EFAULT },
	{ "half a rule", .nr = 2, .type = 1, .cut = 4, .err = -EFAULT },
};

KUNIT_ARRAY_PARAM_DESC(refused_filter, refused_filters, name);

static void filter_make_refused(struct watch_notification_filter *f,
				const struct refused_filter *bad)
{
	struct watch_notification_type_filter *rule = f->filters;
	unsigned int i;

	f->nr_filters = bad->nr;
	f->__reserved = bad->reserved;
	for (i = 0; i < bad->nr; i++) {
		rule = &f->filters[i];
		rule->type = WATCH_TYPE_KEY_NOTIFY;
		memset(rule->subtype_filter, 0xff, sizeof(rule->subtype_filter));
	}
	rule->type = bad->type;
	rule->info_mask = bad->info_mask;
	rule->info_filter = bad->info_filter;
}

/* Whether a record of this subtype arrives. */
static bool subtype_arrives(struct queue_under_test *q, void *buffer, u8 subtype)
{
	struct test_record rec;

	record_make(&rec, subtype, 8);
	post(q, &rec.watch);
	return read_queue(q, buffer, BUFFER_SIZE) == 8;
}

/* A filter that is refused leaves that which was there, or that there was none. */
static void filter_refused_changes_nothing(struct kunit *test)
{
	const struct refused_filter *bad = test->param_value;
	struct watch_notification_filter *refused = filter_alloc(test);
	struct watch_notification_filter *good = filter_alloc(test);
	struct queue_under_test *q = queue_open(test, 1);
	unsigned long user = user_page(test);
	void *buffer = buffer_alloc(test);

	filter_make_refused(refused, bad);
	KUNIT_EXPECT_EQ(test, bad->err, set_filter(q, user, refused, bad->cut));
	KUNIT_EXPECT_TRUE(test, subtype_arrives(q, buffer, 1));
	KUNIT_EXPECT_TRUE(test, subtype_arrives(q, buffer, 255));

	good->nr_filters = 1;
	good->filters[0].type = WATCH_TYPE_KEY_NOTIFY;
	good->filters[0].subtype_filter[255 / 32] = BIT(255 % 32);
	KUNIT_ASSERT_EQ(test, 0, set_filter(q, user, good, 0));
	KUNIT_EXPECT_EQ(test, bad->err, set_filter(q, user, refused, bad->cut));
	KUNIT_EXPECT_FALSE(test, subtype_arrives(q, buffer, 1));
	KUNIT_EXPECT_TRUE(test, subtype_arrives(q, buffer, 255));
}

/*
 * Watches.
 */

/* A queue watches an object once, but others beside it, and others watch it, too. */
static void watch_second_busy(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 1);
	struct queue_under_test *other = queue_open(test, 2);
	struct test_record rec, *out = buffer_alloc(test);

	KUNIT_EXPECT_EQ(test, -EBUSY, watch_add(test, q, q->wlist, OBJECT_ID, 3));
	KUNIT_EXPECT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID + 1, 4));
	KUNIT_EXPECT_EQ(test, 0, watch_add(test, q, other->wlist, OBJECT_ID, 5));
	KUNIT_EXPECT_EQ(test, 0, watch_add(test, other, q->wlist, OBJECT_ID, 6));

	/* The first one has not changed for that. */
	record_make(&rec, 1, 8);
	post(q, &rec.watch);
	KUNIT_ASSERT_EQ(test, 8, read_queue(q, out, BUFFER_SIZE));
	KUNIT_EXPECT_EQ(test, 1, record_tag(&out->watch));

	KUNIT_EXPECT_EQ(test, 0, stop_watching(q));
	KUNIT_EXPECT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID, 3));
}

/* Of several objects in a list, each is told of its own. */
static void watch_other_id_not_told(struct kunit *test)
{
	struct queue_under_test *q = queue_open(test, 1);
	struct test_record rec, *out = buffer_alloc(test);
	unsigned int i;

	/* It differs in the upper half. */
	KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID | BIT_ULL(32), 2));
	record_make(&rec, 1, 8);

	post_watch_notification(q->wlist, &rec.watch, NULL, 0);
	post_watch_notification(q->wlist, &rec.watch, NULL, OBJECT_ID + 1);
	KUNIT_EXPECT_EQ(test, -EAGAIN, read_queue(q, out, BUFFER_SIZE));

	for (i = 0; i < 2; i++) {
		post_watch_notification(q->wlist, &rec.watch, NULL,
					OBJECT_ID | (u64)i << 32);
		KUNIT_ASSERT_EQ(test, 8, read_queue(q, out, BUFFER_SIZE));
		KUNIT_EXPECT_EQ(test, 1 + i, record_tag(&out->watch));
	}
}

/*
 * For the rest of the test, be a user who has no watches yet and may have @limit of
 * them.  Each test has a task of its own, with which this goes.
 */
static void become_other_user(struct kunit *test, unsigned int limit)
{
	struct user_struct *user = alloc_uid(KUIDT_INIT(OBJECT_ID));
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, user);
	KUNIT_ASSERT_NOT_NULL(test, cred);
	free_uid(cred->user);
	cred->user = user;
	commit_creds(cred);
	WRITE_ONCE(current->signal->rlim[RLIMIT_NOFILE].rlim_cur, limit);
	KUNIT_ASSERT_EQ(test, 0, atomic_read(&user->nr_watches));
}

static int watches_charged(void)
{
	return atomic_read(&current_user()->nr_watches);
}

/* Set as many watches as are left, on the objects from @id on. */
static void watch_to_the_limit(struct kunit *test, struct queue_under_test *q,
			       u64 id)
{
	while (watches_charged() < rlimit(RLIMIT_NOFILE))
		KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, id++, 1));
}

/* The last watch that RLIMIT_NOFILE allows can be set, and no more. */
static void watch_limit_exact(struct kunit *test)
{
	struct queue_under_test *q;

	become_other_user(test, 5);
	q = queue_open(test, 1);
	KUNIT_ASSERT_EQ(test, 1, watches_charged());
	KUNIT_EXPECT_EQ(test, -EBUSY, watch_add(test, q, q->wlist, OBJECT_ID, 1));
	KUNIT_EXPECT_EQ(test, 1, watches_charged());

	watch_to_the_limit(test, q, OBJECT_ID + 1);
	KUNIT_EXPECT_EQ(test, -EAGAIN, watch_add(test, q, q->wlist, 1, 1));
	KUNIT_EXPECT_EQ(test, 5, watches_charged());
	KUNIT_EXPECT_EQ(test, -EBUSY, watch_add(test, q, q->wlist, OBJECT_ID, 1));
	KUNIT_EXPECT_EQ(test, 5, watches_charged());
	/* What was refused is not watched. */
	KUNIT_EXPECT_EQ(test, -EBADSLT,
			remove_watch_from_object(q->wlist, queue_of(q), 1));
}

/* Whichever way a watch ends, another one can take its place. */
static void watch_limit_comes_back(struct kunit *test)
{
	struct queue_under_test *q, *other;

	become_other_user(test, 5);
	q = queue_open(test, 1);
	other = queue_open(test, 2);
	watch_to_the_limit(test, q, OBJECT_ID + 1);

	KUNIT_EXPECT_EQ(test, 0, stop_watching(q));
	KUNIT_EXPECT_EQ(test, 4, watches_charged());
	KUNIT_EXPECT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID, 1));
	KUNIT_EXPECT_EQ(test, -EAGAIN, watch_add(test, q, q->wlist, 1, 1));

	object_end(other);
	KUNIT_EXPECT_EQ(test, 4, watches_charged());
	watch_to_the_limit(test, q, OBJECT_ID + 5);
	KUNIT_EXPECT_EQ(test, -EAGAIN, watch_add(test, q, q->wlist, 1, 1));

	queue_close(q);
	KUNIT_EXPECT_EQ(test, 0, watches_charged());
}

/* A watch is released once, and at once, whichever way it ends. */
static void watch_released_once(struct kunit *test)
{
	struct queue_under_test *removed = queue_open(test, 1);
	struct queue_under_test *closed = queue_open(test, 2);
	struct queue_under_test *ended = queue_open(test, 3);

	KUNIT_ASSERT_EQ(test, 0, stop_watching(removed));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&removed->released));
	KUNIT_EXPECT_EQ(test, -EBADSLT, stop_watching(removed));
	queue_end(removed);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&removed->released));

	queue_close(closed);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&closed->released));
	object_end(closed);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&closed->released));

	object_end(ended);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&ended->released));
	queue_close(ended);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&ended->released));
}

/**
 * struct stall - a task that is interrupted somewhere until the test lets it go on
 * @q: The queue it does something to.
 * @work: The task, on another processor than the test.
 * @timer: What interrupts it.
 * @rnd: When.
 * @cpu: The task's processor.
 * @stalled: The task is interrupted, or else was done before.
 * @go_on: It may go on.
 */
struct stall {
	struct queue_under_test *q;
	struct work_struct work;
	struct hrtimer timer;
	struct rnd_state rnd;
	unsigned int cpu;
	bool stalled;
	bool go_on;
};

/* Not for ever: there might be nobody left who can run and say so. */
static enum hrtimer_restart stall_timer(struct hrtimer *timer)
{
	struct stall *s = container_of(timer, struct stall, timer);
	u64 until = ktime_get_ns() + 2 * NSEC_PER_MSEC;

	/* Pairs with smp_load_acquire() in stall_begin(). */
	smp_store_release(&s->stalled, true);
	/* Pairs with smp_store_release() in stall_end(). */
	while (!smp_load_acquire(&s->go_on) && ktime_get_ns() < until)
		cpu_relax();
	return HRTIMER_NORESTART;
}

/* With this the task begins, to be interrupted soon. */
static struct stall *stall_arm(struct work_struct *work)
{
	struct stall *s = container_of(work, struct stall, work);
	unsigned int delay = prandom_u32_state(&s->rnd) % (100 * NSEC_PER_USEC);

	hrtimer_start(&s->timer, ns_to_ktime(delay), HRTIMER_MODE_REL_PINNED);
	return s;
}

/* Have the task begin, and wait until it is interrupted. */
static void stall_begin(struct stall *s, struct queue_under_test *q)
{
	s->q = q;
	s->stalled = false;
	s->go_on = false;
	queue_work_on(s->cpu, system_wq, &s->work);
	/* Pairs with smp_store_release() in stall_timer(). */
	while (!smp_load_acquire(&s->stalled))
		cond_resched();
}

/* Let the task go on, and wait until it is done. */
static void stall_end(struct stall *s)
{
	/* Pairs with smp_load_acquire() in stall_timer(). */
	smp_store_release(&s->go_on, true);
	flush_work(&s->work);
	hrtimer_cancel(&s->timer);
}

static struct stall *stall_new(struct kunit *test, work_func_t work)
{
	struct stall *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	/* The test has a task of its own, with which this goes. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	s->cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (s->cpu >= nr_cpu_ids)
		kunit_skip(test, "takes two processors");
	INIT_WORK(&s->work, work);
	hrtimer_init(&s->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
	s->timer.function = stall_timer;
	prandom_seed_state(&s->rnd, 1);
	return s;
}

static void stall_close(struct work_struct *work)
{
	struct stall *s = stall_arm(work);

	queue_close(s->q);
}

/*
 * An object may go wherever a pipe is in being closed: each watch ends once.  There
 * are so many of them for closing to take longer than the timer does.
 */
static void object_end_during_close(struct kunit *test)
{
	struct stall *s = stall_new(test, stall_close);
	struct queue_under_test *q;
	unsigned int round;

	become_other_user(test, 500);
	for (round = 0; round < 40; round++) {
		q = queue_open(test, 1);
		watch_to_the_limit(test, q, OBJECT_ID + 1);
		stall_begin(s, q);
		object_end(q);
		stall_end(s);

		KUNIT_ASSERT_EQ(test, 500, atomic_read(&q->released));
		KUNIT_ASSERT_EQ(test, 0, watches_charged());
	}
}

static void stall_post(struct work_struct *work)
{
	struct stall *s = stall_arm(work);
	struct test_record rec;

	record_make(&rec, 1, 8);
	do {
		post(s->q, &rec.watch);
	} while (!READ_ONCE(s->stalled));
}

/* Wherever posting is interrupted, nothing comes after the REMOVAL record. */
static void removal_during_post(struct kunit *test)
{
	struct stall *s = stall_new(test, stall_post);
	struct queue_under_test *q = queue_open(test, 1);
	struct watch_notification *buffer = buffer_alloc(test);
	unsigned int round, last;
	ssize_t len;

	for (round = 0; round < 100; round++) {
		stall_begin(s, q);
		/* Make room, lest the REMOVAL record gets lost. */
		KUNIT_EXPECT_NE(test, 0, read_queue(q, buffer, BUFFER_SIZE));
		KUNIT_EXPECT_EQ(test, 0, stop_watching(q));
		stall_end(s);

		/* At most the record that was about to be posted is before it. */
		len = read_queue(q, buffer, BUFFER_SIZE);
		KUNIT_ASSERT_GE(test, len, 16);
		KUNIT_ASSERT_LE(test, len, 24);
		last = len / 8 - 2;
		KUNIT_ASSERT_EQ(test, WATCH_TYPE_META, record_type(&buffer[last]));
		KUNIT_ASSERT_EQ(test, 16, record_length(&buffer[last]));
		KUNIT_ASSERT_EQ(test, 0, watch_add(test, q, q->wlist, OBJECT_ID, 1));
	}
}

/*
 * Load: several contexts post to one queue at once.
 */

enum post_context {
	POST_TASK,
	POST_SOFTIRQ,
	POST_HARDIRQ,
};

#define POSTERS		3
#define TIMER_PERIOD	(NSEC_PER_MSEC / 2)

/**
 * struct poster - posts numbered records from one context
 * @load: What it is part of.
 * @context: Where it runs.
 * @number: Which one it is; its records' subtype.
 * @work: Runs as a task.
 * @timer: Runs in softirq or in hard interrupt context; see context_test::hrtimer.
 * @rnd: How many records to post at a time.
 * @posted: As many so far. [written by the poster, read by all]
 * @seen: The number of its last record that was read. [the reader's]
 * @elsewhere: It ran in another context than meant.
 */
struct poster {
	struct load *load;
	enum post_context context;
	unsigned int number;
	struct work_struct work;
	struct hrtimer timer;
	struct rnd_state rnd;
	unsigned int posted;
	unsigned int seen;
	bool elsewhere;
};

/**
 * struct load - posters at work, and what the reader has seen of it
 * @q: Where their records are read.
 * @posters: They end by themselves.
 * @each: How many records each of them posts.
 * @paced: Tasks post no faster than timers, so that all go on as long.
 * @wlist: Where they post to; NULL if nowhere.
 * @posting: How many posters are not done yet.
 * @done: All are.
 * @write_end: What they then close, or NULL.
 * @read: Records that were read, but for META.
 * @lost: The sum of the counts of LOSS records.
 * @missing: How many records are known to be missing.
 * @may_miss: Bit n is set if the next record of poster n may leave some out, for a
 *	LOSS record has been read since its last one.
 * @removed: The REMOVAL record has been read.
 */
struct load {
	struct queue_under_test *q;
	struct poster posters[POSTERS];
	unsigned int each;
	bool paced;
	struct watch_list __rcu *wlist;
	atomic_t posting;
	struct completion done;
	struct file *write_end;
	u64 read, lost, missing;
	unsigned int may_miss;
	bool removed;
};

/* Each record has a length of its own. */
static void record_make_posted(struct test_record *rec, unsigned int number,
			       unsigned int seq)
{
	record_make(rec, seq, 16 + 8 * (hash_32(seq * POSTERS + number, 16) % 14));
	rec->watch.type = 1 + number % (WATCH_TYPE__NR - 1);
	rec->watch.subtype = number;
}

static bool is_context(enum post_context context)
{
	switch (context) {
	case POST_TASK:
		return in_task();
	case POST_SOFTIRQ:
		return in_serving_softirq() && !in_hardirq();
	case POST_HARDIRQ:
		return in_hardirq() || IS_ENABLED(CONFIG_PREEMPT_RT);
	}
	return false;
}

static void poster_post(struct poster *p)
{
	struct test_record rec;

	record_make_posted(&rec, p->number, p->posted + 1);
	rcu_read_lock();
	post_watch_notification(rcu_dereference(p->load->wlist), &rec.watch, NULL,
				OBJECT_ID);
	rcu_read_unlock();
	/* Pairs with READ_ONCE() in load_wait(). */
	WRITE_ONCE(p->posted, p->posted + 1);
}

/* Post a few records.  Returns whether there are more to come. */
static bool poster_burst(struct poster *p)
{
	unsigned int n = 1 + prandom_u32_state(&p->rnd) % 32;
	struct load *load = p->load;

	p->elsewhere |= !is_context(p->context);
	while (n-- && p->posted < load->each)
		poster_post(p);
	if (p->posted < load->each)
		return true;

	if (atomic_dec_and_test(&load->posting)) {
		if (load->write_end)
			fput(load->write_end);
		complete_all(&load->done);
	}
	return false;
}

static void post_from_work(struct work_struct *work)
{
	struct poster *p = container_of(work, struct poster, work);

	while (poster_burst(p)) {
		if (p->load->paced)
			usleep_range(200, 500);
		else
			cond_resched();
	}
}

static enum hrtimer_restart poster_timer(struct hrtimer *timer)
{
	struct poster *p = container_of(timer, struct poster, timer);

	if (!poster_burst(p))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(TIMER_PERIOD));
	return HRTIMER_RESTART;
}

static enum hrtimer_mode poster_mode(const struct poster *p)
{
	return p->context == POST_SOFTIRQ ? HRTIMER_MODE_REL_SOFT :
					    HRTIMER_MODE_REL;
}

static void load_end(void *data)
{
	struct load *load = data;
	unsigned int i;

	wait_for_completion(&load->done);
	for (i = 0; i < POSTERS; i++) {
		hrtimer_cancel(&load->posters[i].timer);
		flush_work(&load->posters[i].work);
	}
}

/* Posters for these contexts, which post @each records when they are started. */
static struct load *load_new(struct kunit *test, struct queue_under_test *q,
			     unsigned int each,
			     const enum post_context contexts[POSTERS])
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	struct poster *p;

	KUNIT_ASSERT_NOT_NULL(test, load);
	load->q = q;
	load->each = each;
	init_completion(&load->done);
	complete_all(&load->done);
	for (p = load->posters; p < load->posters + POSTERS; p++) {
		p->load = load;
		p->number = p - load->posters;
		p->context = contexts[p->number];
		prandom_seed_state(&p->rnd, p->number);
		INIT_WORK(&p->work, post_from_work);
		hrtimer_init(&p->timer, CLOCK_MONOTONIC, poster_mode(p));
		p->timer.function = poster_timer;
	}
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, load_end, load));
	return load;
}

static void load_start(struct load *load)
{
	struct poster *p;

	load->removed = false;
	reinit_completion(&load->done);
	atomic_set(&load->posting, POSTERS);
	rcu_assign_pointer(load->wlist, load->q->wlist);

	for (p = load->posters; p < load->posters + POSTERS; p++) {
		p->posted = 0;
		p->seen = 0;
		if (p->context == POST_TASK)
			queue_work(system_unbound_wq, &p->work);
		else
			hrtimer_start(&p->timer, ns_to_ktime(TIMER_PERIOD),
				      poster_mode(p));
	}
}

/* Wait until @p has posted @n records. */
static void load_wait(const struct poster *p, unsigned int n)
{
	/* Pairs with WRITE_ONCE() in poster_post(). */
	while (READ_ONCE(p->posted) < n)
		cond_resched();
}

static void load_check_loss(struct kunit *test, struct load *load,
			    const struct watch_notification_loss *n)
{
	KUNIT_ASSERT_EQ(test, sizeof(*n), n->watch.info);
	KUNIT_ASSERT_GT(test, n->lost, 0);
	load->lost += n->lost;
	load->may_miss = ~0;
}

static void load_check_removal(struct kunit *test, struct load *load,
			       const struct watch_notification_removal *n)
{
	KUNIT_ASSERT_EQ(test, WATCH_META_REMOVAL_NOTIFICATION,
			record_subtype(&n->watch));
	KUNIT_ASSERT_EQ(test, sizeof(*n) | load->q->tag << WATCH_INFO_ID__SHIFT,
			n->watch.info);
	KUNIT_ASSERT_EQ(test, OBJECT_ID, n->id);
	load->removed = true;
}

/* A record is just as it was posted, and the poster's next one. */
static void load_check_posted(struct kunit *test, struct load *load,
			      const struct test_record *rec)
{
	struct test_record want;
	struct poster *p;
	unsigned int seq = rec->payload[0];

	KUNIT_ASSERT_LT(test, record_subtype(&rec->watch), POSTERS);
	p = &load->posters[record_subtype(&rec->watch)];
	record_make_posted(&want, p->number, seq);
	want.watch.info |= load->q->tag << WATCH_INFO_ID__SHIFT;
	KUNIT_ASSERT_EQ(test, want.watch.info, rec->watch.info);
	KUNIT_ASSERT_MEMEQ(test, &want, rec, record_length(&want.watch));

	if (load->may_miss & BIT(p->number))
		KUNIT_ASSERT_GT(test, seq, p->seen);
	else
		KUNIT_ASSERT_EQ(test, seq, p->seen + 1);
	load->missing += seq - p->seen - 1;
	KUNIT_ASSERT_LE(test, load->missing, load->lost);
	load->may_miss &= ~BIT(p->number);
	p->seen = seq;
	load->read++;
}

static void load_check(struct kunit *test, struct load *load, const void *rec)
{
	const struct watch_notification *n = rec;

	KUNIT_ASSERT_FALSE(test, load->removed);
	if (n->type != WATCH_TYPE_META)
		load_check_posted(test, load, rec);
	else if (n->subtype == WATCH_META_LOSS_NOTIFICATION)
		load_check_loss(test, load, rec);
	else
		load_check_removal(test, load, rec);
}

/* One read() of random size.  Returns what it did. */
static ssize_t load_read(struct kunit *test, struct load *load, void *buffer,
			 struct rnd_state *rnd)
{
	ssize_t len = read_queue(load->q, buffer, random_size(rnd));
	ssize_t at;

	for (at = 0; at < len; at += record_length(buffer + at))
		load_check(test, load, buffer + at);
	return len;
}

/* What was read and what was lost make up what was posted. */
static void load_check_sum(struct kunit *test, const struct load *load)
{
	const struct poster *p;
	u64 posted = 0;

	for (p = load->posters; p < load->posters + POSTERS; p++) {
		KUNIT_EXPECT_FALSE(test, p->elsewhere);
		posted += p->posted;
	}
	KUNIT_EXPECT_EQ(test, posted, load->read + load->lost);
}

/*
 * Read until the posters close the pipe, waiting for them where there is nothing.
 * That some records get lost is seen to by waiting for each poster first.
 */
static void load_run(struct kunit *test, struct load *load, bool resize)
{
	struct queue_under_test *q = load->q;
	void *buffer = buffer_alloc(test);
	struct rnd_state rnd;
	unsigned int i;
	ssize_t len;
	long ret;

	prandom_seed_state(&rnd, 1);
	set_depth(test, q, 8);
	q->files[0]->f_flags &= ~O_NONBLOCK;
	swap(load->write_end, q->files[1]);

	load_start(load);
	for (i = 0; i < POSTERS; i++)
		load_wait(&load->posters[i], 100);
	do {
		len = load_read(test, load, buffer, &rnd);
		if (!resize || prandom_u32_state(&rnd) % 8)
			continue;
		ret = vfs_ioctl(q->files[0], IOC_WATCH_QUEUE_SET_SIZE,
				1 + prandom_u32_state(&rnd) % 64);
		KUNIT_ASSERT_TRUE(test, ret == 0 || ret == -EBUSY);
	} while (len > 0 || len == -ENOBUFS);

	KUNIT_ASSERT_EQ(test, 0, len);
	load_check_sum(test, load);
	KUNIT_EXPECT_GT(test, load->lost, 0);
}

/* Whatever is posted, read and resized at once, each record is read or counted. */
static void post_random_conserved(struct kunit *test)
{
	static const enum post_context contexts[POSTERS] = {
		POST_TASK, POST_TASK, POST_TASK,
	};

	struct queue_under_test *q = queue_open(test, 0xa5);

	load_run(test, load_new(test, q, 10000, contexts), true);
}

/* Each context's records arrive in order, though all of them post at once. */
static void post_all_contexts_in_order(struct kunit *test)
{
	static const enum post_context contexts[POSTERS] = {
		POST_TASK, POST_SOFTIRQ, POST_HARDIRQ,
	};
	struct queue_under_test *q = queue_open(test, 0xa5);
	struct load *load = load_new(test, q, 3000, contexts);

	load->paced = true;
	load_run(test, load, false);
}

/* While records are being posted, a watch ends with its REMOVAL record, and once. */
static void removal_against_posting(struct kunit *test)
{
	static const enum post_context contexts[POSTERS] = {
		POST_TASK, POST_TASK, POST_HARDIRQ,
	};
	struct queue_under_test *q = queue_open(test, 0);
	struct load *load = load_new(test, q, 32, contexts);
	void *buffer = buffer_alloc(test);
	struct rnd_state rnd;
	unsigned int round;
	ssize_t len;

	prandom_seed_state(&rnd, 1);
	/* Nothing gets lost, so it is certain what has to be there. */
	set_depth(test, q, POSTERS * load->each + 1);
	KUNIT_ASSERT_EQ(test, 0, stop_watching(q));
	KUNIT_ASSERT_EQ(test, 16, read_queue(q, buffer, BUFFER_SIZE));

	for (round = 1; round <= 150; round++) {
		object_end(q);
		q->tag = round;
		object_start(test, q);

		load_start(load);
		load_wait(&load->posters[round % POSTERS],
			  prandom_u32_state(&rnd) % load->each);
		if (round % 2) {
			KUNIT_ASSERT_EQ(test, 0, stop_watching(q));
		} else {
			RCU_INIT_POINTER(load->wlist, NULL);
			object_end(q);
		}
		wait_for_completion(&load->done);

		KUNIT_ASSERT_EQ(test, round + 1, atomic_read(&q->released));
		do {
			len = load_read(test, load, buffer, &rnd);
		} while (len > 0 || len == -ENOBUFS);
		KUNIT_ASSERT_EQ(test, -EAGAIN, len);
		KUNIT_ASSERT_TRUE(test, load->removed);
		KUNIT_ASSERT_EQ(test, 0, load->lost);
	}
}

static struct kunit_case watch_queue_cases[] = {
	KUNIT_CASE(record_valid_type_and_length),
	KUNIT_CASE(record_every_length),
	KUNIT_CASE(record_const_many_watchers),
	KUNIT_CASE(post_irqs_off_stay_off),
	KUNIT_CASE(post_softirq_arrives),
	KUNIT_CASE(post_hardirq_arrives),
	KUNIT_CASE_PARAM(ring_random_as_model, model_depth_gen_params),
	KUNIT_CASE(ring_capacity_exact),
	KUNIT_CASE(filter_random_as_model),
	KUNIT_CASE_PARAM(filter_refused_changes_nothing, refused_filter_gen_params),
	KUNIT_CASE(removal_is_last),
	KUNIT_CASE(removal_without_id_short),
	KUNIT_CASE(watch_second_busy),
	KUNIT_CASE(watch_other_id_not_told),
	KUNIT_CASE(watch_limit_exact),
	KUNIT_CASE(watch_limit_comes_back),
	KUNIT_CASE(watch_released_once),
	KUNIT_CASE(object_end_during_close),
	KUNIT_CASE(removal_during_post),
	KUNIT_CASE(post_random_conserved),
	KUNIT_CASE(post_all_contexts_in_order),
	KUNIT_CASE(removal_against_posting),
	{}
};

static struct kunit_suite watch_queue_suite = {
	.name = "watch_queue",
	.test_cases = watch_queue_cases,
};

kunit_test_suite(watch_queue_suite);
