// SPDX-License-Identifier: GPL-2.0
/*
 * General notification queue, built on pipes.
 *
 * A notification pipe is a pipe whose writer is the kernel.  Sources post
 * records to whatever watches an object; each watch leads to one queue, and each
 * queue is one pipe, read with read().
 *
 * RING
 *	Each slot of the pipe's ring is a page that was allocated beforehand; its
 *	address is in pipe_buffer::private, where its unread records begin in
 *	::offset, and how long they are in ::len.  The newest slot's ::len is not
 *	kept up: its records end at watch_queue::put.
 *	Records are appended to the newest slot until one does not fit, then the
 *	next slot is opened; none straddles pages.  Unlike in an ordinary pipe,
 *	pipe->head is the index of the newest slot and pipe->tail that of the
 *	oldest, both below ring_size, which need not be a power of two.  A slot
 *	between them is never empty, and an empty ring is one empty slot.
 *
 *	The capacity is counted in bytes and is exact: a queue of depth n holds
 *	n * 128 bytes of records.  See ring_pages() for how many pages that takes.
 *
 * LOSS
 *	What finds no room is counted in watch_queue::lost.  The count becomes a
 *	LOSS record in the ring as soon as a record arrives that fits together
 *	with it, or else when a reader has emptied the ring; so it stands where
 *	the records are missing, and it can always be read without a further
 *	event.
 *
 * LOCKING, outermost first
 *	the object's own locks, e.g. key->sem
 *	    The source's business; nothing here takes them.
 *	pipe->mutex
 *	    One reader, resize, or change of filter at a time.  Held while
 *	    records are copied to user space, so nothing that a page fault may
 *	    need can be taken outside it: sources never see it.
 *	watch_list::lock
 *	    The watches of one object.  Process context.
 *	pipe->rd_wait.lock, "the queue's lock"
 *	    The ring, the counters, watch_queue::closed, the queue's list of
 *	    watches, and who waits.  Interrupts off.  This is the only lock that
 *	    a poster takes.
 *	what a wake-up takes: epoll's, the scheduler's
 *
 *	watch_queue::filter is changed under pipe->mutex and read under RCU.
 *	Both lists of watches are changed under their lock and read under RCU.
 *	watch_queue::readable is written under the queue's lock and read without.
 *
 * LIFETIME
 *	queue	Counted: by its pipe, by each of its watches until the grace
 *		period after that watch is over, and by get_watch_queue().  A
 *		poster gets at a queue only through a watch, under RCU, so it
 *		needs no reference.
 *	pipe	A notification pipe's pipe_inode_info holds the queue's lock, so
 *		it lives as long as the queue.  The ring does not: who posts
 *		finds, under that lock, the watch in the queue's list, or else
 *		leaves the ring alone.  Closing empties the list, then frees the
 *		ring at once.
 *	watch	Owned by the queue it was added to.  A watch ends when its object
 *		goes, when the queue closes, or on request, and these may race:
 *		whoever takes it out of the object's list, under the list's lock,
 *		ends it and frees it after a grace period.  Everybody else lets
 *		go.
 *		Once it is out of the queue's list, under the queue's lock, no
 *		record comes through it any more, not even from a poster that
 *		found it earlier.  The REMOVAL record is queued in the same
 *		critical section and thus is the last.
 *	list	Freed a grace period after its last watch was taken out, for a
 *		closing queue may still be about to look at it.
 *	filter	Freed a grace period after it was replaced.
 *
 * CONTEXT
 *	Posting is allowed wherever a task may be woken and kill_fasync() called:
 *	also in hard interrupts and with interrupts off, not in NMI.  It allocates
 *	nothing, except for what an LSM does.  All else is for process context.
 */

#include <linux/cache.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/watch_queue.h>
#include <asm/ioctls.h>

/* What IOC_WATCH_QUEUE_SET_SIZE counts in: room for a record of any size. */
#define DEPTH_UNIT	128U

/* As many bytes as the largest pipe has, 2 GiB. */
#define DEPTH_MAX	(BIT(31) / DEPTH_UNIT)

/*
 * What a new queue gets: three pages of 4 KiB, 256 key records; and where the
 * user is over the soft limit, no more than the two pages that such a user's
 * ordinary pipes get.
 */
#define DEPTH_DEFAULT	32U
#define DEPTH_OVER_SOFT	1U

#define FILTERS_MAX	16

/* watch_notification_valid() relies on the first. */
static_assert(WATCH_RECORD_MAX == (WATCH_INFO_LENGTH & ~7));
static_assert(WATCH_RECORD_MAX <= DEPTH_UNIT);
static_assert(sizeof(struct watch_notification) == 8);
static_assert(sizeof(struct watch_notification_removal) == 16);
static_assert(sizeof(struct watch_notification_loss) == 16);
static_assert(sizeof(struct watch_notification_type_filter) == 44);
static_assert(sizeof(struct watch_notification_filter) == 8);
static_assert(sizeof(struct watch_queue_info) == 48);
static_assert(sizeof_field(struct watch_notification_type_filter,
			   subtype_filter) * BITS_PER_BYTE == 256);

/**
 * struct watch_filter - what a queue lets in
 * @rcu: Frees a filter that was replaced.
 * @nr_rules: Number of @rules, at least 1.
 * @rules: As the user gave them, of known types only. [const]
 */
struct watch_filter {
	struct rcu_head rcu;
	unsigned int nr_rules;
	struct watch_notification_type_filter rules[] __counted_by(nr_rules);
};

/**
 * struct watch_queue - a notification pipe's other half
 * @pipe: The pipe; lives as long as the queue. [const]
 * @filter: What to let in, or NULL for everything.
 *	[written under pipe->mutex, read under RCU]
 * @put: Where the next record goes, in the newest slot. [lock]
 * @end: How far records can be put without ado, see ring_set_end(). [lock]
 * @queued: Bytes of records in the ring. [lock]
 * @capacity: As many bytes as @queued may reach. [lock]
 * @lost: Records lost since the last one in the ring. [lock]
 * @lost_total: Records lost since the queue was made. [lock]
 * @closed: The pipe is gone; no watch is added any more. [lock]
 * @readable: Either @queued or @lost is not 0. [written under lock, read without]
 * @depth: What @capacity was set as. [lock, pipe->mutex]
 * @watches: The watches that lead here. [written under lock, read under RCU]
 * @usage: References, see LIFETIME.
 *
 * [lock] is pipe->rd_wait.lock.
 *
 * What a poster touches, up to @readable, is in one cache line of 64 bytes.
 */
struct watch_queue {
	struct pipe_inode_info		*pipe;
	struct watch_filter __rcu	*filter;
	void				*put;
	void				*end;
	unsigned int			queued;
	unsigned int			capacity;
	u64				lost;
	u64				lost_total;
	bool				closed;
	bool				readable;
	unsigned int			depth;
	struct hlist_head		watches;
	struct kref			usage;
} ____cacheline_aligned_in_smp;

/*
 * The ring.
 */

/*
 * How many pages a queue of @depth needs so that bytes run out before pages do.
 *
 * A slot is closed only when a record does not fit, and records are multiples
 * of 8 no longer than 120 bytes, so a closed one holds at least PAGE_SIZE - 112
 * bytes.  With k slots in use, the oldest and the newest hold at least 8 bytes
 * each, be it because of what was read or what was not yet written, and the
 * k - 2 between them are closed and unread:
 *
 *	(k - 2) * (PAGE_SIZE - 112) + 16 <= bytes queued <= depth * 128
 */
static unsigned int ring_pages(unsigned int depth)
{
	const unsigned int closed_min = PAGE_SIZE - (WATCH_RECORD_MAX - 8);

	return (depth * DEPTH_UNIT - 16) / closed_min + 2;
}

/* The largest depth that @pages, at least 2, are enough for. */
static u64 ring_depth(u64 pages)
{
	const unsigned int closed_min = PAGE_SIZE - (WATCH_RECORD_MAX - 8);

	return div_u64((pages - 1) * closed_min + 15, DEPTH_UNIT);
}

static void ring_free(struct pipe_buffer *bufs, unsigned int nr)
{
	while (nr--)
		free_page(bufs[nr].private);
	kvfree(bufs);
}

/*
 * Allocate a ring of @nr empty slots, charged to the caller's memory cgroup.
 * Rather fails than kills: an administrator may ask for gigabytes.
 */
static struct pipe_buffer *ring_alloc(unsigned int nr)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct pipe_buffer *bufs;
	unsigned int i;

	bufs = kvcalloc(nr, sizeof(*bufs), gfp);
	if (!bufs)
		return NULL;

	for (i = 0; i < nr; i++) {
		if (!fatal_signal_pending(current))
			bufs[i].private = __get_free_page(gfp);
		if (!bufs[i].private) {
			ring_free(bufs, nr);
			return NULL;
		}
		cond_resched();
	}
	return bufs;
}

static unsigned int ring_next(const struct pipe_inode_info *pipe,
			      unsigned int slot)
{
	return slot + 1 == pipe->ring_size ? 0 : slot + 1;
}

/* Where a slot's oldest record is. */
static void *slot_start(const struct pipe_buffer *buf)
{
	return (void *)buf->private + buf->offset;
}

/* Let the newest slot be an empty one, @buf. */
static void ring_start_slot(struct watch_queue *queue, struct pipe_buffer *buf)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	buf->offset = 0;
	queue->put = slot_start(buf);
}

/* Close the newest slot and open the next, which is known to be free. */
static void ring_open_next(struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct pipe_buffer *buf = &pipe->bufs[pipe->head];

	buf->len = queue->put - slot_start(buf);
	pipe->head = ring_next(pipe, pipe->head);
	ring_start_slot(queue, &pipe->bufs[pipe->head]);
}

/* Bytes that are left in the newest slot. */
static unsigned int ring_slot_room(const struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	const struct pipe_inode_info *pipe = queue->pipe;

	return (void *)pipe->bufs[pipe->head].private + PAGE_SIZE - queue->put;
}

/*
 * Say how far records can be put before there is more to think of: the end of
 * the slot, that of the capacity, or a loss that has to be told first.
 */
static void ring_set_end(struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	queue->end = queue->put;
	if (!queue->lost)
		queue->end += min(ring_slot_room(queue),
				  queue->capacity - queue->queued);
}

/*
 * Copy a record, with @info as its info word.  Most are two or three units of 8
 * bytes, for which a loop takes less than a call of memcpy() would.
 */
static inline void record_copy(struct watch_notification *to,
			       const struct watch_notification *from, u32 info)
{
	unsigned int left = info & WATCH_INFO_LENGTH;

	*to = *from;
	to->info = info;
	while (left -= sizeof(*to))
		*++to = *++from;
}

/*
 * Append a record that is known to have room, with @info as its info word.  What
 * depends on it is brought up to date by ring_set_end(), which the caller calls.
 */
static void ring_put(struct watch_queue *queue,
		     const struct watch_notification *n, u32 info)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	unsigned int len = info & WATCH_INFO_LENGTH;

	if (len > ring_slot_room(queue))
		ring_open_next(queue);

	record_copy(queue->put, n, info);
	queue->put += len;
	queue->queued += len;
}

/* Turn the count of lost records, which has room, into a record; as ring_put(). */
static void ring_put_loss(struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	const struct watch_notification_loss n = {
		.watch.type	= WATCH_TYPE_META,
		.watch.subtype	= WATCH_META_LOSS_NOTIFICATION,
		.lost		= queue->lost,
	};

	ring_put(queue, &n.watch, watch_sizeof(n));
	queue->lost = 0;
}

/* Whether @len bytes fit, with the LOSS record that has to go before them. */
static inline bool ring_has_room(const struct watch_queue *queue,
				 unsigned int len)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	if (queue->lost)
		len += sizeof(struct watch_notification_loss);
	return len <= queue->capacity - queue->queued;
}

/* Count a record as lost.  Returns whether it is the first. */
static inline bool ring_lose(struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	queue->lost_total++;
	if (queue->lost++)
		return false;

	queue->end = queue->put;
	/* Pairs with READ_ONCE() in watch_queue_readable(). */
	WRITE_ONCE(queue->readable, true);
	return true;
}

/* Append a record behind what has to be done first; there is room for it. */
static noinline void ring_append_slow(struct watch_queue *queue,
				      const struct watch_notification *n,
				      u32 info)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	if (queue->lost)
		ring_put_loss(queue);
	ring_put(queue, n, info);
	ring_set_end(queue);
}

/*
 * Queue a record, with @info_id as its tag, or count it as lost.  Returns whether
 * that is news to a reader: a record is, and so is the first loss after one.
 */
static inline bool ring_append(struct watch_queue *queue,
			       const struct watch_notification *n, u32 info_id)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	unsigned int len = n->info & WATCH_INFO_LENGTH;
	u32 info = (n->info & ~WATCH_INFO_ID) | info_id;
	void *next = queue->put + len;

	lockdep_assert_held(&queue->pipe->rd_wait.lock);

	if (likely(next <= queue->end)) {
		record_copy(queue->put, n, info);
		queue->put = next;
		queue->queued += len;
	} else {
		if (!ring_has_room(queue, len))
			return ring_lose(queue);
		ring_append_slow(queue, n, info);
	}

	/* Pairs with READ_ONCE() in watch_queue_readable(). */
	WRITE_ONCE(queue->readable, true);
	return true;
}

/* The reader is done with @len bytes of the oldest slot. */
static void ring_retire(struct watch_queue *queue, size_t len)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct pipe_buffer *buf = &pipe->bufs[pipe->tail];

	lockdep_assert_held(&pipe->mutex);
	lockdep_assert_held(&pipe->rd_wait.lock);

	buf->offset += len;
	queue->queued -= len;

	if (pipe->tail == pipe->head) {
		if (!queue->queued)
			ring_start_slot(queue, buf);
	} else {
		buf->len -= len;
		if (!buf->len)
			pipe->tail = ring_next(pipe, pipe->tail);
	}
	ring_set_end(queue);

	/* Pairs with READ_ONCE() in watch_queue_readable(). */
	WRITE_ONCE(queue->readable, queue->queued || queue->lost);
}

/*
 * Where the oldest record is and how many bytes from there on are there to be
 * read; 0 if there is nothing.  The memory stays as it is until ring_retire(),
 * though posters may append behind it.
 */
static size_t ring_peek(struct watch_queue *queue, void **from)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct pipe_buffer *buf;

	lockdep_assert_held(&pipe->mutex);
	lockdep_assert_held(&pipe->rd_wait.lock);

	if (!queue->queued && queue->lost) {
		ring_put_loss(queue);
		ring_set_end(queue);
	}

	buf = &pipe->bufs[pipe->tail];
	*from = slot_start(buf);
	return pipe->tail == pipe->head ? queue->put - *from : buf->len;
}

/* Bytes that can be read, with the LOSS record that is not a record yet. */
static unsigned int ring_readable_bytes(const struct watch_queue *queue)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	lockdep_assert_held(&queue->pipe->rd_wait.lock);

	return queue->queued +
		(queue->lost ? sizeof(struct watch_notification_loss) : 0);
}

/*
 * Reading and waiting.
 */

/*
 * Whether read() would find something.  Without the lock this is a guess, good
 * for whoever has put itself on rd_wait before: each change for the better is
 * followed by a wake-up, under the lock that getting onto rd_wait takes.
 */
static bool watch_queue_readable(const struct watch_queue *queue)
{
	/* Pairs with WRITE_ONCE() in ring_append(), ring_lose(), ring_retire(). */
	return READ_ONCE(queue->readable);
}

/* How many of @avail bytes at @from are whole records within @limit bytes. */
static size_t whole_records(const void *from, size_t avail, size_t limit)
{
	const struct watch_notification *n;
	size_t whole = 0, len;

	if (avail <= limit)
		return avail;

	for (;;) {
		n = from + whole;
		len = n->info & WATCH_INFO_LENGTH;
		if (len > limit - whole)
			return whole;
		whole += len;
	}
}

/*
 * Read as many whole records as there are and as fit.  What is posted meanwhile is for
 * the next call: whoever posts must not keep the reader here, contending for the lock
 * with it record by record.  Returns the bytes read, 0 if there was nothing, -ENOBUFS
 * if the first record does not fit, or -EFAULT if it could not be delivered.
 */
static ssize_t watch_queue_drain(struct watch_queue *queue, struct iov_iter *to)
	__must_hold(&queue->pipe->mutex)
{
	struct pipe_inode_info *pipe = queue->pipe;
	size_t avail, len, copied, limit, done = 0;
	void *from;

	lockdep_assert_held(&pipe->mutex);

	spin_lock_irq(&pipe->rd_wait.lock);
	limit = min_t(size_t, iov_iter_count(to), ring_readable_bytes(queue));
	while (done < limit) {
		avail = ring_peek(queue, &from);
		spin_unlock_irq(&pipe->rd_wait.lock);

		len = whole_records(from, avail, limit - done);
		if (!len)
			return done ?: -ENOBUFS;

		copied = copy_to_iter(from, len, to);
		if (unlikely(copied < len)) {
			len = whole_records(from, len, copied);
			iov_iter_revert(to, copied - len);
		}
		done += len;

		spin_lock_irq(&pipe->rd_wait.lock);
		ring_retire(queue, len);

		if (unlikely(copied > len || !len)) {
			spin_unlock_irq(&pipe->rd_wait.lock);
			return done ?: -EFAULT;
		}
	}
	spin_unlock_irq(&pipe->rd_wait.lock);
	return done;
}

static ssize_t watch_queue_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct pipe_inode_info *pipe = file->private_data;
	struct watch_queue *queue = pipe->watch_queue;
	bool waited = false, pass_on;
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;

	mutex_lock(&pipe->mutex);
	for (;;) {
		ret = watch_queue_drain(queue, to);
		if (ret || !pipe->writers)
			break;
		if ((file->f_flags & O_NONBLOCK) ||
		    (iocb->ki_flags & IOCB_NOWAIT)) {
			ret = -EAGAIN;
			break;
		}

		mutex_unlock(&pipe->mutex);
		if (wait_event_interruptible_exclusive(pipe->rd_wait,
						       watch_queue_readable(queue) ||
						       !READ_ONCE(pipe->writers)))
			return -ERESTARTSYS;
		mutex_lock(&pipe->mutex);
		waited = true;
	}
	/* Our exclusive wake-up may have stood for more than we took. */
	pass_on = waited && watch_queue_readable(queue);
	mutex_unlock(&pipe->mutex);

	if (pass_on)
		wake_up_interruptible_poll(&pipe->rd_wait, EPOLLIN | EPOLLRDNORM);
	/* No access time: a tenth of the call, for what nobody looks at. */
	return ret;
}

/* Only the kernel writes. */
static ssize_t watch_queue_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return -EXDEV;
}

static __poll_t watch_queue_poll(struct file *file, poll_table *wait)
{
	struct pipe_inode_info *pipe = file->private_data;
	__poll_t mask = 0;

	if (file->f_mode & FMODE_READ) {
		poll_wait(file, &pipe->rd_wait, wait);
		if (watch_queue_readable(pipe->watch_queue))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (!READ_ONCE(pipe->writers) &&
		    file->f_pipe != READ_ONCE(pipe->w_counter))
			mask |= EPOLLHUP;
	}

	if (file->f_mode & FMODE_WRITE) {
		poll_wait(file, &pipe->wr_wait, wait);
		if (!READ_ONCE(pipe->readers))
			mask |= EPOLLERR;
	}

	return mask;
}

/*
 * Posting.
 */

/* Tell whoever waits. */
static inline void watch_queue_wake(struct pipe_inode_info *pipe)
	__must_hold(&pipe->rd_wait.lock)
{
	/* Nobody can get onto rd_wait unseen while its lock is held. */
	if (waitqueue_active(&pipe->rd_wait))
		wake_up_locked_poll(&pipe->rd_wait, EPOLLIN | EPOLLRDNORM);
}

/*
 * Tell those who asked for a signal, after the lock.  The caller's watch keeps the
 * pipe, be it by RCU or by its reference.
 */
static inline void watch_queue_signal(struct pipe_inode_info *pipe)
{
	/* As kill_fasync() looks first itself, here without the call. */
	if (unlikely(data_race(pipe->fasync_readers)))
		kill_fasync(&pipe->fasync_readers, SIGIO, POLL_IN);
}

/* Hand one watcher the record, unless the watch has ended meanwhile. */
static inline void watch_post(struct watch *watch,
			      const struct watch_notification *n)
{
	struct watch_queue *queue = watch->queue;
	struct pipe_inode_info *pipe = queue->pipe;
	unsigned long flags;
	bool news = false;

	spin_lock_irqsave(&pipe->rd_wait.lock, flags);
	if (likely(!hlist_unhashed(&watch->queue_node))) {
		news = ring_append(queue, n, watch->info_id);
		if (news)
			watch_queue_wake(pipe);
	}
	spin_unlock_irqrestore(&pipe->rd_wait.lock, flags);

	if (news)
		watch_queue_signal(pipe);
}

/* @info_id is the tag that the record is going to have. */
static bool filter_accepts(const struct watch_filter *filter,
			   const struct watch_notification *n, u32 info_id)
{
	const struct watch_notification_type_filter *rule;
	u32 info = (n->info & ~WATCH_INFO_ID) | info_id;
	unsigned int i;

	if (n->type == WATCH_TYPE_META)
		return true;

	for (i = 0; i < filter->nr_rules; i++) {
		rule = &filter->rules[i];
		if (rule->type == n->type &&
		    rule->subtype_filter[n->subtype / 32] & BIT(n->subtype % 32) &&
		    (info & rule->info_mask) == rule->info_filter)
			return true;
	}
	return false;
}

/**
 * refuse_watch_notification - drop a record that no source should have made
 *
 * Warns, the first time.  Context: as post_watch_notification().
 */
void refuse_watch_notification(void)
{
	WARN_ONCE(1, "watch_queue: a record of unknown type or impossible length\n");
}
EXPORT_SYMBOL_GPL(refuse_watch_notification);

/**
 * __post_watch_notification - post a record to everybody who watches an object
 * @wlist: The object's watches.
 * @n: The record.
 * @cred: Who caused the event, or NULL.
 * @id: The object.
 *
 * The part of post_watch_notification() for a list that is there and a record
 * that watch_notification_valid() is true of, which is not looked at again.
 *
 * Context: As post_watch_notification().
 */
void __post_watch_notification(struct watch_list *wlist,
			       const struct watch_notification *n,
			       const struct cred *cred, u64 id)
{
	const struct watch_filter *filter;
	struct watch *watch;

	lockdep_assert(!in_nmi());

	rcu_read_lock();
	hlist_for_each_entry_rcu(watch, &wlist->watchers, list_node) {
		if (watch->id != id)
			continue;

		filter = rcu_dereference(watch->queue->filter);
		if (filter && !filter_accepts(filter, n, watch->info_id))
			continue;

		if (security_post_notification(watch->cred, cred, n))
			continue;

		watch_post(watch, n);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(__post_watch_notification);

/*
 * Watches.
 */

static void watch_free_rcu(struct rcu_head *rcu)
{
	struct watch *watch = container_of(rcu, struct watch, rcu);

	put_watch_queue(watch->queue);
	put_cred(watch->cred);
	kfree(watch);
}

/*
 * Take a watch out of its object's list.  Returns whether it was there: if so,
 * the watch is the caller's to end, else somebody else is ending it.
 */
static bool watch_claim(struct watch *watch)
	__must_hold(&watch->list->lock)
{
	lockdep_assert_held(&watch->list->lock);

	if (hlist_unhashed(&watch->list_node))
		return false;
	hlist_del_init_rcu(&watch->list_node);
	return true;
}

/*
 * Dispose of a watch that was claimed and is in its queue's list no more.  Its
 * object's list may be gone: nothing keeps that once it is empty.
 */
static void watch_end(struct watch *watch)
{
	if (watch->release)
		watch->release(watch);
	atomic_dec(&watch->cred->user->nr_watches);
	call_rcu(&watch->rcu, watch_free_rcu);
}

/* End a claimed watch by telling its queue, unless that has let go of it. */
static void watch_remove(struct watch *watch, u64 id)
{
	const struct watch_notification_removal n = {
		.watch.type	= WATCH_TYPE_META,
		.watch.subtype	= WATCH_META_REMOVAL_NOTIFICATION,
		.watch.info	= id ? watch_sizeof(n) : watch_sizeof(n.watch),
		.id		= id,
	};
	struct watch_queue *queue = watch->queue;
	struct pipe_inode_info *pipe = queue->pipe;
	bool news = false;

	spin_lock_irq(&pipe->rd_wait.lock);
	if (!hlist_unhashed(&watch->queue_node)) {
		hlist_del_init_rcu(&watch->queue_node);
		news = ring_append(queue, &n.watch, watch->info_id);
		if (news)
			watch_queue_wake(pipe);
	}
	spin_unlock_irq(&pipe->rd_wait.lock);

	if (news)
		watch_queue_signal(pipe);
	watch_end(watch);
}

/**
 * init_watch_list - make a list of watches ready for use
 * @wlist: The list, allocated with kmalloc() if remove_watch_list() is to be
 *	called on it.
 * @release_watch: Called once for each watch that leaves the list, whatever the
 *	reason, without locks held and free to sleep; or NULL.
 */
void init_watch_list(struct watch_list *wlist,
		     void (*release_watch)(struct watch *watch))
{
	INIT_HLIST_HEAD(&wlist->watchers);
	spin_lock_init(&wlist->lock);
	wlist->release_watch = release_watch;
}
EXPORT_SYMBOL_GPL(init_watch_list);

/**
 * init_watch - make a watch ready to be added
 * @watch: The watch, zeroed memory from kmalloc().
 * @queue: The queue it is to lead to; the caller's reference is not taken.
 * @id: Which object of the list it is for; posts name it.
 * @tag: What its records carry in WATCH_INFO_ID.
 */
void init_watch(struct watch *watch, struct watch_queue *queue, u64 id, u8 tag)
{
	INIT_HLIST_NODE(&watch->list_node);
	INIT_HLIST_NODE(&watch->queue_node);
	watch->queue = queue;
	watch->id = id;
	watch->info_id = (u32)tag << WATCH_INFO_ID__SHIFT;
}
EXPORT_SYMBOL_GPL(init_watch);

static bool watch_list_has(const struct watch_list *wlist,
			   const struct watch *watch)
	__must_hold(&wlist->lock)
{
	const struct watch *w;

	lockdep_assert_held(&wlist->lock);

	hlist_for_each_entry(w, &wlist->watchers, list_node)
		if (w->queue == watch->queue && w->id == watch->id)
			return true;
	return false;
}

/* Charge the caller for a watch, up to as many as it may have files. */
static int watch_charge(const struct cred *cred)
{
	if (atomic_inc_return(&cred->user->nr_watches) <=
	    task_rlimit(current, RLIMIT_NOFILE))
		return 0;
	atomic_dec(&cred->user->nr_watches);
	return -EAGAIN;
}

/* Make a watch known to its queue, which then counts it as an owner. */
static int watch_queue_link(struct watch_queue *queue, struct watch *watch)
{
	struct pipe_inode_info *pipe = queue->pipe;
	int ret = 0;

	spin_lock_irq(&pipe->rd_wait.lock);
	if (queue->closed) {
		ret = -EBADF;
	} else {
		kref_get(&queue->usage);
		hlist_add_head_rcu(&watch->queue_node, &queue->watches);
	}
	spin_unlock_irq(&pipe->rd_wait.lock);
	return ret;
}

/**
 * add_watch_to_object - start watching
 * @watch: The watch, after init_watch().  On success it belongs to the queue,
 *	which takes a reference to itself and to the caller's credentials for
 *	it; on failure it remains the caller's to kfree().
 * @wlist: The object's list.  The caller makes sure that the object is not about
 *	to call remove_watch_list().
 *
 * Context: Process context.  The object's own locks may be held.
 * Return: 0; -EBUSY if the queue watches this object already; -EAGAIN if the
 *	user has as many watches as RLIMIT_NOFILE allows; -EBADF if the queue
 *	was closed meanwhile.
 */
int add_watch_to_object(struct watch *watch, struct watch_list *wlist)
{
	const struct cred *cred = current_cred();
	int ret;

	spin_lock(&wlist->lock);
	ret = watch_list_has(wlist, watch) ? -EBUSY : watch_charge(cred);
	if (ret)
		goto out;

	watch->cred = get_cred(cred);
	watch->list = wlist;
	watch->release = wlist->release_watch;

	/* In this order: what a poster can find has to be in its queue's list. */
	ret = watch_queue_link(watch->queue, watch);
	if (ret) {
		put_cred(cred);
		atomic_dec(&cred->user->nr_watches);
		goto out;
	}
	hlist_add_head_rcu(&watch->list_node, &wlist->watchers);
out:
	spin_unlock(&wlist->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(add_watch_to_object);

/**
 * remove_watch_from_object - stop watching, on request
 * @wlist: The object's list.
 * @queue: Whose watch to remove.
 * @id: On which object of the list.
 *
 * The queue gets a META/REMOVAL record, behind which nothing more comes from the
 * object.
 *
 * Context: Process context, without locks that release_watch() may take.
 * Return: 0; -EBADSLT if there is no such watch.
 */
int remove_watch_from_object(struct watch_list *wlist,
			     struct watch_queue *queue, u64 id)
{
	struct watch *watch;
	bool found = false;

	spin_lock(&wlist->lock);
	hlist_for_each_entry(watch, &wlist->watchers, list_node) {
		if (watch->queue == queue && watch->id == id) {
			found = watch_claim(watch);
			break;
		}
	}
	spin_unlock(&wlist->lock);

	if (!found)
		return -EBADSLT;
	watch_remove(watch, id);
	return 0;
}
EXPORT_SYMBOL_GPL(remove_watch_from_object);

/**
 * remove_watch_list - an object goes, and all watches on it
 * @wlist: The object's list, freed after a grace period, or NULL.
 * @id: The object, for the META/REMOVAL record that each queue gets.
 *
 * A queue that closes at the same moment may have taken its watch out first and
 * call release_watch() for it after this has returned.
 *
 * Context: Process context, without locks that release_watch() may take.  Nobody
 *	adds watches to the list any more.
 */
void remove_watch_list(struct watch_list *wlist, u64 id)
{
	struct watch *watch;

	if (!wlist)
		return;

	for (;;) {
		spin_lock(&wlist->lock);
		watch = hlist_entry_safe(wlist->watchers.first, struct watch,
					 list_node);
		if (watch)
			watch_claim(watch);
		spin_unlock(&wlist->lock);
		if (!watch)
			break;
		watch_remove(watch, id);
		cond_resched();
	}
	kfree_rcu(wlist, rcu);
}
EXPORT_SYMBOL_GPL(remove_watch_list);

/*
 * The two ioctls that configure a queue, and the one that asks.
 */

/*
 * Charge the pipe's user for @pages instead of what the pipe is charged now.
 * Growing is bounded by what bounds the size of a pipe; shrinking never is.
 */
static int watch_queue_charge(const struct watch_queue *queue,
			      unsigned int depth, unsigned int pages)
	__must_hold(&queue->pipe->mutex)
{
	struct pipe_inode_info *pipe = queue->pipe;
	unsigned long user_bufs;

	if (depth > queue->depth &&
	    depth > READ_ONCE(pipe_max_size) / DEPTH_UNIT &&
	    !capable(CAP_SYS_RESOURCE))
		return -EPERM;

	user_bufs = account_pipe_buffers(pipe->user, pipe->nr_accounted, pages);
	if (pages > pipe->nr_accounted &&
	    (too_many_pipe_buffers_hard(user_bufs) ||
	     too_many_pipe_buffers_soft(user_bufs)) &&
	    pipe_is_unprivileged_user()) {
		account_pipe_buffers(pipe->user, pages, pipe->nr_accounted);
		return -EPERM;
	}
	return 0;
}

/*
 * Exchange the ring for @bufs, an empty one of @pages slots that are enough for
 * @depth, and let @old have what is left over: the slots that were in use change
 * places with as many empty ones.
 */
static int ring_replace(struct watch_queue *queue, unsigned int depth,
			struct pipe_buffer *bufs, unsigned int pages)
	__must_hold(&queue->pipe->rd_wait.lock)
{
	struct pipe_inode_info *pipe = queue->pipe;
	unsigned int slot = pipe->tail, used = 0;

	lockdep_assert_held(&pipe->mutex);
	lockdep_assert_held(&pipe->rd_wait.lock);

	if (queue->queued > depth * DEPTH_UNIT)
		return -EBUSY;

	/* That so many bytes never use more slots is what ring_pages() is for. */
	for (;;) {
		swap(bufs[used], pipe->bufs[slot]);
		used++;
		if (slot == pipe->head)
			break;
		slot = ring_next(pipe, slot);
	}

	pipe->bufs = bufs;
	pipe->tail = 0;
	pipe->head = used - 1;
	pipe->ring_size = pages;
	pipe->max_usage = pages;
	pipe->nr_accounted = pages;
	queue->depth = depth;
	queue->capacity = depth * DEPTH_UNIT;
	ring_set_end(queue);
	return 0;
}

static long watch_queue_set_size(struct watch_queue *queue, unsigned long arg)
{
	struct pipe_inode_info *pipe = queue->pipe;
	unsigned int depth, pages, old_pages;
	struct pipe_buffer *bufs, *old;
	int ret;

	if (arg < 1 || arg > DEPTH_MAX)
		return -EINVAL;
	depth = arg;
	pages = ring_pages(depth);

	mutex_lock(&pipe->mutex);
	ret = watch_queue_charge(queue, depth, pages);
	if (ret)
		goto out;
	old_pages = pipe->nr_accounted;

	ret = -ENOMEM;
	bufs = ring_alloc(pages);
	if (!bufs)
		goto out_uncharge;

	old = pipe->bufs;
	spin_lock_irq(&pipe->rd_wait.lock);
	ret = ring_replace(queue, depth, bufs, pages);
	spin_unlock_irq(&pipe->rd_wait.lock);
	if (ret)
		ring_free(bufs, pages);
	else
		ring_free(old, old_pages);

out_uncharge:
	if (ret)
		account_pipe_buffers(pipe->user, pages, old_pages);
out:
	mutex_unlock(&pipe->mutex);
	return ret;
}

static bool filter_rule_valid(const struct watch_notification_type_filter *rule)
{
	return !(rule->info_filter & ~rule->info_mask) &&
		!(rule->info_mask & WATCH_INFO_LENGTH);
}

/* Make a filter of what the user gave; rules for unknown types are left out. */
static struct watch_filter *
filter_build(const struct watch_notification_type_filter *rules,
	     unsigned int nr)
{
	struct watch_filter *filter;
	unsigned int i, known = 0;

	for (i = 0; i < nr; i++) {
		if (!filter_rule_valid(&rules[i]))
			return ERR_PTR(-EINVAL);
		if (rules[i].type < WATCH_TYPE__NR)
			known++;
	}
	if (!known)
		return ERR_PTR(-EINVAL);

	filter = kmalloc(struct_size(filter, rules, known), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return ERR_PTR(-ENOMEM);

	filter->nr_rules = known;
	for (i = known = 0; i < nr; i++)
		if (rules[i].type < WATCH_TYPE__NR)
			filter->rules[known++] = rules[i];
	return filter;
}

static struct watch_filter *
filter_from_user(const struct watch_notification_filter __user *arg)
{
	struct watch_notification_type_filter *rules;
	struct watch_notification_filter head;
	struct watch_filter *filter;

	if (copy_from_user(&head, arg, sizeof(head)))
		return ERR_PTR(-EFAULT);
	if (head.nr_filters < 1 || head.nr_filters > FILTERS_MAX ||
	    head.__reserved)
		return ERR_PTR(-EINVAL);

	rules = memdup_array_user(arg->filters, head.nr_filters, sizeof(*rules));
	if (IS_ERR(rules))
		return ERR_CAST(rules);

	filter = filter_build(rules, head.nr_filters);
	kfree(rules);
	return filter;
}

static long
watch_queue_set_filter(struct watch_queue *queue,
		       const struct watch_notification_filter __user *arg)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct watch_filter *filter = NULL;

	if (arg) {
		filter = filter_from_user(arg);
		if (IS_ERR(filter))
			return PTR_ERR(filter);
	}

	mutex_lock(&pipe->mutex);
	filter = rcu_replace_pointer(queue->filter, filter,
				     lockdep_is_held(&pipe->mutex));
	mutex_unlock(&pipe->mutex);

	if (filter)
		kfree_rcu(filter, rcu);
	return 0;
}

/* The largest depth for which watch_queue_charge() would let the caller pass. */
static unsigned int watch_queue_max_depth(const struct watch_queue *queue)
	__must_hold(&queue->pipe->mutex)
{
	struct pipe_inode_info *pipe = queue->pipe;
	bool resource = ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	unsigned long others, soft, hard, pages;
	u64 depth = DEPTH_MAX;

	lockdep_assert_held(&pipe->mutex);

	if (!resource)
		depth = min(depth, READ_ONCE(pipe_max_size) / DEPTH_UNIT);

	if (!resource && !ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN)) {
		others = atomic_long_read(&pipe->user->pipe_bufs) -
			pipe->nr_accounted;
		soft = READ_ONCE(pipe_user_pages_soft) ?: ULONG_MAX;
		hard = READ_ONCE(pipe_user_pages_hard) ?: ULONG_MAX;
		pages = min(soft, hard);
		pages = pages > others ? pages - others : 0;
		pages = clamp(pages, pipe->nr_accounted, ring_pages(DEPTH_MAX));
		depth = min(depth, ring_depth(pages));
	}

	return max(depth, queue->depth);
}

/* A shorter structure gets what it has room for, of a longer one the rest is zeroed. */
static long watch_queue_get_info(struct watch_queue *queue,
				 struct watch_queue_info __user *arg)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct watch_queue_info info = {
		.size		= sizeof(info),
		.version	= WATCH_QUEUE_ABI_VERSION,
		.types		= WATCH_TYPES_POSTED,
	};
	u32 size;

	if (get_user(size, &arg->size))
		return -EFAULT;
	if (size < offsetofend(struct watch_queue_info, version))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;

	mutex_lock(&pipe->mutex);
	info.max_depth = watch_queue_max_depth(queue);
	spin_lock_irq(&pipe->rd_wait.lock);
	info.capacity = queue->capacity;
	info.queued = ring_readable_bytes(queue);
	info.lost = queue->lost_total;
	info.depth = queue->depth;
	spin_unlock_irq(&pipe->rd_wait.lock);
	mutex_unlock(&pipe->mutex);

	if (copy_to_user(arg, &info, min_t(size_t, size, sizeof(info))))
		return -EFAULT;
	if (size > sizeof(info) &&
	    clear_user((void __user *)arg + sizeof(info), size - sizeof(info)))
		return -EFAULT;
	return 0;
}

static long watch_queue_fionread(struct watch_queue *queue, int __user *arg)
{
	unsigned int bytes;

	spin_lock_irq(&queue->pipe->rd_wait.lock);
	bytes = ring_readable_bytes(queue);
	spin_unlock_irq(&queue->pipe->rd_wait.lock);

	/* The largest queue holds a little more than an int. */
	return put_user(min_t(unsigned int, bytes, INT_MAX), arg);
}

static long watch_queue_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	struct pipe_inode_info *pipe = file->private_data;
	struct watch_queue *queue = pipe->watch_queue;
	void __user *argp = (void __user *)arg;

	/* Its structure may grow, so the size in the number says nothing. */
	if (_IOC_TYPE(cmd) == _IOC_TYPE(IOC_WATCH_QUEUE_GET_INFO) &&
	    _IOC_NR(cmd) == _IOC_NR(IOC_WATCH_QUEUE_GET_INFO))
		return watch_queue_get_info(queue, argp);

	switch (cmd) {
	case FIONREAD:
		return watch_queue_fionread(queue, argp);
	case IOC_WATCH_QUEUE_SET_SIZE:
		return watch_queue_set_size(queue, arg);
	case IOC_WATCH_QUEUE_SET_FILTER:
		return watch_queue_set_filter(queue, argp);
	default:
		return -ENOIOCTLCMD;
	}
}

#ifdef CONFIG_COMPAT
/* The structures are the same; only a pointer has to be told from a number. */
static long watch_queue_compat_ioctl(struct file *file, unsigned int cmd,
				     unsigned long arg)
{
	if (cmd != IOC_WATCH_QUEUE_SET_SIZE)
		arg = (unsigned long)compat_ptr(arg);
	return watch_queue_ioctl(file, cmd, arg);
}
#else
#define watch_queue_compat_ioctl NULL
#endif

/*
 * What /proc/PID/fdinfo/FD says; the format is documented in
 * Documentation/filesystems/proc.rst.
 */

static void show_filter(struct seq_file *m, const struct watch_filter *filter)
{
	const struct watch_notification_type_filter *rule;
	unsigned int i, word;

	for (i = 0; i < filter->nr_rules; i++) {
		rule = &filter->rules[i];
		seq_printf(m, "watch_queue-filter:\ttype:%u info:%08x mask:%08x subtypes:",
			   rule->type, rule->info_filter, rule->info_mask);
		for (word = 0; word < ARRAY_SIZE(rule->subtype_filter); word++)
			seq_printf(m, "%s%08x", word ? "," : "",
				   rule->subtype_filter[word]);
		seq_putc(m, '\n');
	}
}

static void watch_queue_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct pipe_inode_info *pipe = file->private_data;
	struct watch_queue *queue = pipe->watch_queue;
	unsigned int depth, capacity, queued;
	const struct watch_filter *filter;
	const struct watch *watch;
	u64 lost;

	spin_lock_irq(&pipe->rd_wait.lock);
	depth = queue->depth;
	capacity = queue->capacity;
	queued = ring_readable_bytes(queue);
	lost = queue->lost_total;
	spin_unlock_irq(&pipe->rd_wait.lock);

	seq_printf(m, "watch_queue-depth:\t%u\n", depth);
	seq_printf(m, "watch_queue-capacity:\t%u\n", capacity);
	seq_printf(m, "watch_queue-queued:\t%u\n", queued);
	seq_printf(m, "watch_queue-lost:\t%llu\n", lost);

	rcu_read_lock();
	filter = rcu_dereference(queue->filter);
	if (filter)
		show_filter(m, filter);
	hlist_for_each_entry_rcu(watch, &queue->watches, queue_node) {
		seq_printf(m, "watch_queue-watch:\ttag:%u id:%llx\n",
			   watch->info_id >> WATCH_INFO_ID__SHIFT, watch->id);
		if (seq_has_overflowed(m))
			break;
	}
	rcu_read_unlock();
}

/*
 * The pipe around it.
 */

const struct file_operations watch_queue_fops = {
	.open		= fifo_open,
	.read_iter	= watch_queue_read_iter,
	.write_iter	= watch_queue_write_iter,
	.poll		= watch_queue_poll,
	.unlocked_ioctl	= watch_queue_ioctl,
	.compat_ioctl	= watch_queue_compat_ioctl,
	.release	= pipe_release,
	.fasync		= pipe_fasync,
	.splice_write	= iter_file_splice_write,
	.show_fdinfo	= watch_queue_show_fdinfo,
};

/**
 * file_is_watch_queue - tell a notification pipe from any other file
 * @file: The file.
 *
 * Return: whether @file is either end of a notification pipe.
 */
bool file_is_watch_queue(const struct file *file)
{
	return file->f_op == &watch_queue_fops;
}

/**
 * get_watch_queue - get at a notification pipe's queue
 * @fd: Either end of the pipe.
 *
 * Context: Process context.
 * Return: The queue, with a reference that is the caller's to put_watch_queue();
 *	-EBADF if there is no such file descriptor, -EINVAL if it is not a
 *	notification pipe.
 */
struct watch_queue *get_watch_queue(int fd)
{
	CLASS(fd, f)(fd);
	struct pipe_inode_info *pipe;

	if (fd_empty(f))
		return ERR_PTR(-EBADF);
	if (!file_is_watch_queue(fd_file(f)))
		return ERR_PTR(-EINVAL);

	pipe = fd_file(f)->private_data;
	kref_get(&pipe->watch_queue->usage);
	return pipe->watch_queue;
}
EXPORT_SYMBOL_GPL(get_watch_queue);

/* The last reference goes after the last watch's grace period; see LIFETIME. */
static void watch_queue_free(struct kref *usage)
{
	struct watch_queue *queue = container_of(usage, struct watch_queue, usage);

	kfree(rcu_dereference_protected(queue->filter, true));
	kfree(queue->pipe);
	kfree(queue);
}

/**
 * put_watch_queue - drop a reference to a queue
 * @queue: The queue.
 *
 * Context: Any but hard interrupt and NMI.
 */
void put_watch_queue(struct watch_queue *queue)
{
	kref_put(&queue->usage, watch_queue_free);
}
EXPORT_SYMBOL_GPL(put_watch_queue);

/*
 * Charge the user of a new pipe for a queue of the default depth, or of the least
 * one if that is over the soft limit.  Sets *@depth.
 */
static int watch_queue_charge_new(struct pipe_inode_info *pipe,
				  unsigned int *depth)
{
	unsigned int pages = ring_pages(DEPTH_DEFAULT);
	unsigned long user_bufs;

	*depth = DEPTH_DEFAULT;
	user_bufs = account_pipe_buffers(pipe->user, pipe->nr_accounted, pages);
	if (too_many_pipe_buffers_soft(user_bufs) && pipe_is_unprivileged_user()) {
		*depth = DEPTH_OVER_SOFT;
		user_bufs = account_pipe_buffers(pipe->user, pages,
						 ring_pages(DEPTH_OVER_SOFT));
		pages = ring_pages(DEPTH_OVER_SOFT);
	}
	pipe->nr_accounted = pages;

	if (too_many_pipe_buffers_hard(user_bufs) && pipe_is_unprivileged_user())
		return -ENFILE;
	return 0;
}

/**
 * watch_queue_init - make a new pipe a notification pipe
 * @pipe: The pipe, which nobody else knows yet.  On success it must be freed
 *	with watch_queue_free_pipe().
 *
 * Context: Process context.
 * Return: 0; -ENFILE if the user is over the hard limit of pages in pipes;
 *	-ENOMEM.
 */
int watch_queue_init(struct pipe_inode_info *pipe)
{
	struct pipe_buffer *bufs;
	struct watch_queue *queue;
	unsigned int depth, pages;
	int ret;

	ret = watch_queue_charge_new(pipe, &depth);
	if (ret)
		return ret;

	pages = ring_pages(depth);
	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	bufs = ring_alloc(pages);
	if (!queue || !bufs) {
		if (bufs)
			ring_free(bufs, pages);
		kfree(queue);
		return -ENOMEM;
	}

	kfree(pipe->bufs);
	pipe->bufs = bufs;
	pipe->head = 0;
	pipe->tail = 0;
	pipe->ring_size = pages;
	pipe->max_usage = pages;
	pipe->watch_queue = queue;

	kref_init(&queue->usage);
	INIT_HLIST_HEAD(&queue->watches);
	queue->pipe = pipe;
	queue->depth = depth;
	queue->capacity = depth * DEPTH_UNIT;
	ring_start_slot(queue, &bufs[pipe->head]);
	ring_set_end(queue);
	return 0;
}

/*
 * Take the next watch out of a closed queue's list, and claim it unless its
 * object or somebody's request is just ending it.  Returns whether there was
 * one; *@claimed is the watch if it has become the caller's, else NULL.
 */
static bool watch_queue_pop(struct watch_queue *queue, struct watch **claimed)
{
	struct pipe_inode_info *pipe = queue->pipe;
	struct watch *watch;

	*claimed = NULL;

	/* Whoever else ends the watch or frees its list waits for us. */
	guard(rcu)();

	spin_lock_irq(&pipe->rd_wait.lock);
	watch = hlist_entry_safe(queue->watches.first, struct watch, queue_node);
	if (watch)
		hlist_del_init_rcu(&watch->queue_node);
	spin_unlock_irq(&pipe->rd_wait.lock);
	if (!watch)
		return false;

	spin_lock(&watch->list->lock);
	if (watch_claim(watch))
		*claimed = watch;
	spin_unlock(&watch->list->lock);
	return true;
}

/**
 * watch_queue_free_pipe - a notification pipe is closed
 * @pipe: The pipe, which no file refers to any more.
 *
 * Ends all watches and frees all memory but what posters may still look at.
 *
 * Context: Process context.
 */
void watch_queue_free_pipe(struct pipe_inode_info *pipe)
{
	struct watch_queue *queue = pipe->watch_queue;
	struct watch *watch;

	spin_lock_irq(&pipe->rd_wait.lock);
	queue->closed = true;
	spin_unlock_irq(&pipe->rd_wait.lock);

	while (watch_queue_pop(queue, &watch)) {
		if (watch)
			watch_end(watch);
		cond_resched();
	}

	account_pipe_buffers(pipe->user, pipe->nr_accounted, 0);
	free_uid(pipe->user);
	ring_free(pipe->bufs, pipe->ring_size);
	put_watch_queue(queue);
}
