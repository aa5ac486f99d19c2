/* SPDX-License-Identifier: GPL-2.0 */
/*
 * General notification queue: what a source of records needs.
 *
 * A source keeps one struct watch_list for each object that can be watched, or
 * one for all of them, hangs a struct watch on it when a program asks, and
 * posts records to it.  It sees neither pipes nor queues.
 *
 * See Documentation/core-api/watch_queue.rst.
 */
#ifndef _LINUX_WATCH_QUEUE_H
#define _LINUX_WATCH_QUEUE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/rculist.h>
#include <linux/spinlock.h>
#include <uapi/linux/watch_queue.h>

struct cred;
struct file;
struct pipe_inode_info;
struct watch;
struct watch_queue;

/* The longest record, in bytes: the largest multiple of 8 that fits the length field. */
#define WATCH_RECORD_MAX	120

/* The types that this kernel has sources for, as struct watch_queue_info tells them. */
#define WATCH_TYPES_POSTED						\
	(BIT_ULL(WATCH_TYPE_META) |					\
	 (u64)IS_ENABLED(CONFIG_KEY_NOTIFICATIONS) << WATCH_TYPE_KEY_NOTIFY |	\
	 (u64)IS_ENABLED(CONFIG_BLK_NOTIFICATIONS) << WATCH_TYPE_BLOCK_NOTIFY |	\
	 (u64)IS_ENABLED(CONFIG_USB_NOTIFICATIONS) << WATCH_TYPE_USB_NOTIFY)

/**
 * watch_sizeof - the length bits of a record's info word
 * @STRUCT: The record, or its type.
 *
 * A record that cannot be posted does not compile: its length has to be a
 * multiple of 8 and at most WATCH_RECORD_MAX bytes.
 */
#define watch_sizeof(STRUCT)						\
	((u32)(sizeof(STRUCT) +						\
	       BUILD_BUG_ON_ZERO(sizeof(STRUCT) % 8) +			\
	       BUILD_BUG_ON_ZERO(sizeof(STRUCT) > WATCH_RECORD_MAX)))

/**
 * struct watch_list - the watches on one object
 * @watchers: The watches. [written under @lock, read under RCU]
 * @lock: Process context only.  Nests inside the object's own locks and outside
 *	the queues'.
 * @release_watch: Called once for each watch that leaves, or NULL. [const]
 * @rcu: Frees a list that remove_watch_list() was given.
 */
struct watch_list {
	struct hlist_head	watchers;
	spinlock_t		lock;		/* of watchers */
	void			(*release_watch)(struct watch *watch);
	struct rcu_head		rcu;
};

/**
 * struct watch - one queue's interest in one object
 * @list_node: Link in @list.  Who takes it out owns the watch from there on.
 *	[written under list->lock, read under RCU]
 * @queue: Where the records go; counted once the watch is added. [const]
 * @id: Which object it is, where several share a list. [const]
 * @cred: Whoever set the watch; counted. [const once added]
 * @info_id: The tag, in its place in a record's info word. [const]
 * @queue_node: Link in the queue's own list.  Once it is out, no record comes
 *	through this watch. [written under the queue's lock, read under RCU]
 * @list: What it hangs on.  Whoever claimed the watch must not look at it any
 *	more, unless it pins the object. [const once added]
 * @release: The list's release_watch, kept here because the list may be freed
 *	as soon as the watch is out of it. [const once added]
 * @private: The source's own, for release_watch. [source]
 * @rcu: Frees the watch; shares its memory with nothing.
 *
 * Allocated by the source with kmalloc(), handed over to the queue by
 * add_watch_to_object() and freed after a grace period.
 */
struct watch {
	struct hlist_node	list_node;
	struct watch_queue	*queue;
	u64			id;
	const struct cred	*cred;
	u32			info_id;
	struct hlist_node	queue_node;
	struct watch_list	*list;
	void			(*release)(struct watch *watch);
	void			*private;
	struct rcu_head		rcu;
};

/*
 * For fs/pipe.c alone.  Declared in any case: without CONFIG_WATCH_QUEUE its use
 * is behind watch_queue_init(), which always fails, and is dropped.
 */
extern const struct file_operations watch_queue_fops;

#ifdef CONFIG_WATCH_QUEUE

struct watch_queue *get_watch_queue(int fd);
void put_watch_queue(struct watch_queue *queue);

void init_watch_list(struct watch_list *wlist,
		     void (*release_watch)(struct watch *watch));
void init_watch(struct watch *watch, struct watch_queue *queue, u64 id, u8 tag);
int add_watch_to_object(struct watch *watch, struct watch_list *wlist);
int remove_watch_from_object(struct watch_list *wlist,
			     struct watch_queue *queue, u64 id);
void remove_watch_list(struct watch_list *wlist, u64 id);

void __post_watch_notification(struct watch_list *wlist,
			       const struct watch_notification *n,
			       const struct cred *cred, u64 id);
void refuse_watch_notification(void);

/*
 * Whether a record may be posted; what is constant of it costs nothing.  As many
 * bits as there are for the length hold no multiple of 8 that is too large.
 */
static inline bool watch_notification_valid(const struct watch_notification *n)
{
	unsigned int len = n->info & WATCH_INFO_LENGTH;

	return n->type < WATCH_TYPE__NR && len && len % 8 == 0;
}

/**
 * post_watch_notification - post a record to everybody who watches an object
 * @wlist: The object's watches, or NULL if nobody ever watched it.
 * @n: The record, with type, subtype, watch_sizeof() in info and the type's
 *	own info bits; not changed.
 * @cred: Who caused the event, for the LSMs; NULL if nobody in particular.
 * @id: The object, as given to init_watch().
 *
 * The record goes to each queue that watches the object, unless its filter or
 * an LSM refuses it; where there is no room, the loss is counted and told to
 * the reader in place.  A record of an unknown type or an impossible length is
 * warned of, once, and dropped.
 *
 * Context: Any but NMI in which a task may be woken: hard interrupt and
 *	interrupts off are fine, locks that a wake-up takes must not be held.
 *	On PREEMPT_RT, any in which a spinlock_t may be taken.  The caller keeps
 *	@wlist from being freed.
 */
static inline void post_watch_notification(struct watch_list *wlist,
					   const struct watch_notification *n,
					   const struct cred *cred, u64 id)
{
	if (likely(!wlist))
		return;

	if (likely(watch_notification_valid(n)))
		__post_watch_notification(wlist, n, cred, id);
	else
		refuse_watch_notification();
}

/* For fs/pipe.c alone. */
int watch_queue_init(struct pipe_inode_info *pipe);
void watch_queue_free_pipe(struct pipe_inode_info *pipe);
bool file_is_watch_queue(const struct file *file);

#else /* !CONFIG_WATCH_QUEUE */

static inline int watch_queue_init(struct pipe_inode_info *pipe)
{
	return -ENOPKG;
}

static inline void watch_queue_free_pipe(struct pipe_inode_info *pipe)
{
}

static inline bool file_is_watch_queue(const struct file *file)
{
	return false;
}

#endif /* CONFIG_WATCH_QUEUE */

#endif /* _LINUX_WATCH_QUEUE_H */
