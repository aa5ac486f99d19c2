// SPDX-License-Identifier: GPL-2.0
/*
 * Watching keys and keyrings for changes.
 *
 * A key gets its list of watches when it is watched for the first time and keeps
 * it until it is destroyed; by then nobody refers to the key, so whoever holds a
 * reference to the key may use the list without further ado.  key->watchers is
 * set once, under key->sem.
 */

#include <linux/cred.h>
#include <linux/key.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/watch_queue.h>
#include "internal.h"

/* The watches of a key that the caller has a reference to, or NULL. */
static struct watch_list *key_watchers(const struct key *key)
{
	/* Pairs with rcu_assign_pointer() in key_make_watchers(). */
	return rcu_dereference_check(key->watchers, true);
}

/**
 * key_remove_watches - a key is destroyed
 * @key: The key, which nobody refers to any more.
 *
 * Each queue that watches the key is told so.
 *
 * Context: Process context.
 */
void key_remove_watches(struct key *key)
{
	remove_watch_list(key_watchers(key), key_serial(key));
}

/* The watches of a key, with an empty list if there are none yet. */
static struct watch_list *key_make_watchers(struct key *key)
{
	struct watch_list *wlist = key_watchers(key);

	if (wlist)
		return wlist;

	wlist = kzalloc(sizeof(*wlist), GFP_KERNEL_ACCOUNT);
	if (!wlist)
		return NULL;
	init_watch_list(wlist, NULL);

	down_write(&key->sem);
	if (key->watchers) {
		kfree(wlist);
		wlist = key_watchers(key);
	} else {
		/* Pairs with rcu_dereference_check(), here and in notify_key(). */
		rcu_assign_pointer(key->watchers, wlist);
	}
	up_write(&key->sem);
	return wlist;
}

static int key_add_watch(struct key *key, struct watch_queue *wqueue, u8 tag)
{
	struct watch_list *wlist;
	struct watch *watch;
	int ret;

	ret = security_watch_key(key);
	if (ret)
		return ret;

	wlist = key_make_watchers(key);
	if (!wlist)
		return -ENOMEM;

	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;

	init_watch(watch, wqueue, key_serial(key), tag);
	ret = add_watch_to_object(watch, wlist);
	if (ret)
		kfree(watch);
	return ret;
}

static int key_remove_watch(struct key *key, struct watch_queue *wqueue)
{
	struct watch_list *wlist = key_watchers(key);

	if (!wlist)
		return -EBADSLT;
	return remove_watch_from_object(wlist, wqueue, key_serial(key));
}

/*
 * The key to watch, which may be under construction: its instantiation is an
 * event like others.  Whoever gives up a watch needs neither a permission nor a
 * key that is still valid.
 */
static key_ref_t key_to_watch(key_serial_t id, bool remove)
{
	if (remove)
		return lookup_user_key(id, KEY_LOOKUP_PARTIAL,
				       KEY_DEFER_PERM_CHECK);
	return lookup_user_key(id, KEY_LOOKUP_CREATE | KEY_LOOKUP_PARTIAL,
			       KEY_NEED_VIEW);
}

/**
 * keyctl_watch_key - have a notification pipe told of a key's changes, or no more
 * @id: The key, on which the caller needs View permission to start watching.
 * @watch_queue_fd: Either end of the pipe.
 * @watch_id: What the records are to be tagged with, 0 to 255; or -1 to stop.
 *
 * Return: 0, or one of the errors of lookup_user_key() and these:
 *
 * - -EINVAL: @watch_id is out of range, or the file is no notification pipe;
 * - -EBADF: there is no such file;
 * - -EBUSY: the pipe watches the key already;
 * - -EBADSLT: there is nothing to stop;
 * - -EAGAIN: the user has too many watches;
 * - -ENOMEM: out of memory;
 * - whatever an LSM refuses with.
 */
long keyctl_watch_key(key_serial_t id, int watch_queue_fd, int watch_id)
{
	struct watch_queue *wqueue;
	key_ref_t key_ref;
	struct key *key;
	long ret;

	if (watch_id < -1 || watch_id > 0xff)
		return -EINVAL;

	key_ref = key_to_watch(id, watch_id < 0);
	if (IS_ERR(key_ref))
		return PTR_ERR(key_ref);
	key = key_ref_to_ptr(key_ref);

	wqueue = get_watch_queue(watch_queue_fd);
	if (IS_ERR(wqueue)) {
		ret = PTR_ERR(wqueue);
		goto out;
	}

	if (watch_id < 0)
		ret = key_remove_watch(key, wqueue);
	else
		ret = key_add_watch(key, wqueue, watch_id);

	put_watch_queue(wqueue);
out:
	key_put(key);
	return ret;
}
