/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * General notification queue: what a program reads from a notification pipe.
 *
 * A program creates the pipe, attaches it to what it wants to watch, and reads
 * records::
 *
 *	pipe2(fds, O_NOTIFICATION_PIPE);
 *	ioctl(fds[0], IOC_WATCH_QUEUE_SET_SIZE, depth);		(optional)
 *	ioctl(fds[0], IOC_WATCH_QUEUE_SET_FILTER, &filter);	(optional)
 *	keyctl(KEYCTL_WATCH_KEY, KEY_SPEC_SESSION_KEYRING, fds[0], tag);
 *	read(fds[0], buffer, size);
 *
 * read() returns whole records only.  Each begins with struct
 * watch_notification, whose info word holds the record's length; a record whose
 * type or subtype is not known is passed over by that length.
 *
 * See Documentation/core-api/watch_queue.rst.
 */
#ifndef _UAPI_LINUX_WATCH_QUEUE_H
#define _UAPI_LINUX_WATCH_QUEUE_H

#include <linux/types.h>
#include <linux/ioctl.h>

/*
 * Flag to pipe2() that asks for a notification pipe.  O_EXCL is <fcntl.h>'s,
 * which this header leaves to the program to include: the kernel's own
 * <linux/fcntl.h> cannot stand beside the C library's.
 */
#define O_NOTIFICATION_PIPE	O_EXCL

/*
 * Either end of a notification pipe takes these.  0x62 stays unassigned:
 * existing programs probe it and rely on ENOTTY.
 */
#define IOC_WATCH_QUEUE_SET_SIZE	_IO('W', 0x60)
#define IOC_WATCH_QUEUE_SET_FILTER	_IO('W', 0x61)
#define IOC_WATCH_QUEUE_GET_INFO	_IOWR('W', 0x63, struct watch_queue_info)

/**
 * enum watch_notification_type - who posted a record
 * @WATCH_TYPE_META: The queue itself; never filtered out.
 * @WATCH_TYPE_KEY_NOTIFY: A watched key or keyring changed.
 * @WATCH_TYPE_BLOCK_NOTIFY: A block device.
 * @WATCH_TYPE_USB_NOTIFY: The USB subsystem.
 * @WATCH_TYPE__NR: One more than the last type of this header.
 */
enum watch_notification_type {
	WATCH_TYPE_META		= 0,
	WATCH_TYPE_KEY_NOTIFY	= 1,
	WATCH_TYPE_BLOCK_NOTIFY	= 2,
	WATCH_TYPE_USB_NOTIFY	= 3,
	WATCH_TYPE__NR		= 4,
};

/**
 * enum watch_meta_notification_subtype - subtypes of WATCH_TYPE_META
 * @WATCH_META_REMOVAL_NOTIFICATION: The watch with this record's tag is gone:
 *	removed by request, or with the object that it watched.  The record is
 *	struct watch_notification_removal where the object has an identifier,
 *	else the header alone.
 * @WATCH_META_LOSS_NOTIFICATION: Records are missing at exactly this place.
 *	The record is struct watch_notification_loss.
 */
enum watch_meta_notification_subtype {
	WATCH_META_REMOVAL_NOTIFICATION	= 0,
	WATCH_META_LOSS_NOTIFICATION	= 1,
};

/**
 * struct watch_notification - the header of every record
 * @type: enum watch_notification_type.
 * @subtype: What happened; each type has its own values.
 * @info: WATCH_INFO_LENGTH: the whole record's length in bytes, a multiple of 8
 *	between 8 and 120.  WATCH_INFO_ID: the tag given when the watch was set.
 *	WATCH_INFO_TYPE_INFO: each type's own.
 */
struct watch_notification {
	__u32	type:24;
	__u32	subtype:8;
	__u32	info;
#define WATCH_INFO_LENGTH		0x0000007f
#define WATCH_INFO_LENGTH__SHIFT	0
#define WATCH_INFO_ID			0x0000ff00
#define WATCH_INFO_ID__SHIFT		8
#define WATCH_INFO_TYPE_INFO		0xffff0000
#define WATCH_INFO_TYPE_INFO__SHIFT	16
#define WATCH_INFO_FLAG_0		0x00010000
#define WATCH_INFO_FLAG_1		0x00020000
#define WATCH_INFO_FLAG_2		0x00040000
#define WATCH_INFO_FLAG_3		0x00080000
#define WATCH_INFO_FLAG_4		0x00100000
#define WATCH_INFO_FLAG_5		0x00200000
#define WATCH_INFO_FLAG_6		0x00400000
#define WATCH_INFO_FLAG_7		0x00800000
};

/**
 * struct watch_notification_removal - a watch is gone
 * @watch: WATCH_TYPE_META, WATCH_META_REMOVAL_NOTIFICATION and the watch's tag.
 * @id: The object's identifier, for instance a key's serial number.
 */
struct watch_notification_removal {
	struct watch_notification watch;
	__u64	id;
};

/**
 * struct watch_notification_loss - records are missing here
 * @watch: WATCH_TYPE_META, WATCH_META_LOSS_NOTIFICATION.
 * @lost: How many records are missing, at least 1.
 *
 * The records read, without these, and the sum of @lost are together as many
 * as were posted to the queue.
 */
struct watch_notification_loss {
	struct watch_notification watch;
	__u64	lost;
};

/**
 * struct watch_notification_type_filter - one rule of a filter
 * @type: The type that the rule is for.
 * @info_filter: What the bits of @info_mask have to be in a record's info word.
 * @info_mask: The bits of the info word to look at; none of WATCH_INFO_LENGTH.
 * @subtype_filter: Bit (s % 32) of word (s / 32) lets subtype s through.
 */
struct watch_notification_type_filter {
	__u32	type;
	__u32	info_filter;
	__u32	info_mask;
	__u32	subtype_filter[8];
};

/**
 * struct watch_notification_filter - argument of IOC_WATCH_QUEUE_SET_FILTER
 * @nr_filters: Number of rules, 1 to 16.
 * @__reserved: Must be 0.
 * @filters: The rules.  A record passes if any of them accepts it; META
 *	records always do.  Rules for types that the kernel does not know are
 *	passed over, but one of a known type is needed.
 */
struct watch_notification_filter {
	__u32	nr_filters;
	__u32	__reserved;
	struct watch_notification_type_filter filters[];
};

/**
 * struct watch_queue_info - argument of IOC_WATCH_QUEUE_GET_INFO
 * @size: In: the size of the caller's structure, at least 8.  Out: the size
 *	of the structure as this kernel knows it.  What the caller has room for
 *	is filled in, and what the kernel does not know is zeroed.
 * @version: WATCH_QUEUE_ABI_VERSION of this kernel.
 * @types: Bit t is set if this kernel can post records of type t.
 * @capacity: Bytes of records that the queue can hold.
 * @queued: Bytes that can be read now.
 * @lost: Records lost since the queue was made.
 * @depth: What IOC_WATCH_QUEUE_SET_SIZE set, or the default.
 * @max_depth: The largest depth that the caller may set now.
 */
struct watch_queue_info {
	__u32	size;
	__u32	version;
#define WATCH_QUEUE_ABI_VERSION	1
	__u64	types;
	__u64	capacity;
	__u64	queued;
	__u64	lost;
	__u32	depth;
	__u32	max_depth;
};

/**
 * enum key_notification_subtype - subtypes of WATCH_TYPE_KEY_NOTIFY
 * @NOTIFY_KEY_INSTANTIATED: The key was instantiated; aux is 0, or the negative
 *	error with which it was rejected.
 * @NOTIFY_KEY_UPDATED: The key's payload was replaced.
 * @NOTIFY_KEY_LINKED: Key aux was linked into the watched keyring.
 * @NOTIFY_KEY_UNLINKED: Key aux was unlinked from the watched keyring.
 * @NOTIFY_KEY_CLEARED: The keyring was cleared.
 * @NOTIFY_KEY_REVOKED: The key was revoked.
 * @NOTIFY_KEY_INVALIDATED: The key was invalidated.
 * @NOTIFY_KEY_SETATTR: Owner, permissions, time-out or restriction changed.
 */
enum key_notification_subtype {
	NOTIFY_KEY_INSTANTIATED	= 0,
	NOTIFY_KEY_UPDATED	= 1,
	NOTIFY_KEY_LINKED	= 2,
	NOTIFY_KEY_UNLINKED	= 3,
	NOTIFY_KEY_CLEARED	= 4,
	NOTIFY_KEY_REVOKED	= 5,
	NOTIFY_KEY_INVALIDATED	= 6,
	NOTIFY_KEY_SETATTR	= 7,
};

/**
 * struct key_notification - a key or keyring changed
 * @watch: WATCH_TYPE_KEY_NOTIFY and enum key_notification_subtype.
 * @key_id: Serial number of the key that is watched.
 * @aux: As the subtype says, else 0.
 */
struct key_notification {
	struct watch_notification watch;
	__u32	key_id;
	__u32	aux;
};

#endif /* _UAPI_LINUX_WATCH_QUEUE_H */
