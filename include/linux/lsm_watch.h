/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What LSMs share that rule on who is told of devices: which records that is
 * about, and auditing what was said of them.
 */
#ifndef _LINUX_LSM_WATCH_H
#define _LINUX_LSM_WATCH_H

#include <linux/build_bug.h>
#include <linux/types.h>
#include <uapi/linux/watch_queue.h>

struct audit_buffer;

/**
 * struct lsm_watch_verdict - what an LSM said of a device record
 * @log: Writes the LSM's part of an audit record; may sleep.
 * @subject: The security ID of who was to be allowed something.
 * @object: The security ID of what it was to be allowed.
 * @type: The record's type.
 * @subtype: The record's subtype.
 * @denied: It was not allowed.
 * @permissive: It was not allowed, but let pass.
 */
struct lsm_watch_verdict {
	void (*log)(struct audit_buffer *ab,
		    const struct lsm_watch_verdict *verdict);
	u32 subject;
	u32 object;
	u32 type;
	u8 subtype;
	bool denied;
	bool permissive;
};

void lsm_watch_audit(const struct lsm_watch_verdict *verdict);

/**
 * lsm_watch_of_devices - whether a record is one that watch_devices() is for
 * @n: The record.
 *
 * Return: whether it is.
 */
static inline bool lsm_watch_of_devices(const struct watch_notification *n)
{
	/* Who adds a type has to say here what it is. */
	static_assert(WATCH_TYPE__NR == 4);

	return n->type == WATCH_TYPE_BLOCK_NOTIFY ||
	       n->type == WATCH_TYPE_USB_NOTIFY;
}

#endif /* _LINUX_LSM_WATCH_H */
