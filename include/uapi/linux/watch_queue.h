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
 *	watch_devices(fds[0], tag, 0);
 *	read(fds[0], buffer, size);
 *
 * read() returns whole records only.  Each begins with struct
 * watch_notification, whose info word holds the record's length; a record whose
 * type or subtype is not known is passed over by that length.
 *
 * See Documentation/userspace-api/watch_queue.rst.
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
 * @WATCH_TYPE_BLOCK_NOTIFY: A block device failed or changed.
 * @WATCH_TYPE_USB_NOTIFY: A USB device came, went, was reset or went wrong.
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

/**
 * enum block_notification_subtype - subtypes of WATCH_TYPE_BLOCK_NOTIFY
 * @NOTIFY_BLOCK_ERROR_TIMEOUT: No answer in time (ETIMEDOUT).
 * @NOTIFY_BLOCK_ERROR_NO_SPACE: No space left for the data (ENOSPC).
 * @NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT: The way to the device failed;
 *	another way may do (ENOLINK).
 * @NOTIFY_BLOCK_ERROR_CRITICAL_TARGET: The device failed (EREMOTEIO).
 * @NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS: Somebody else has reserved the device
 *	(EBADE).
 * @NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM: The medium failed at this place
 *	(ENODATA).
 * @NOTIFY_BLOCK_ERROR_PROTECTION: Data and their integrity information do not
 *	match (EILSEQ).
 * @NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE: The kernel lacks something (ENOMEM).
 * @NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE: The device lacks something (EBUSY).
 * @NOTIFY_BLOCK_ERROR_IO: Anything else (EIO).
 * @NOTIFY_BLOCK_ERROR_NOT_SUPPORTED: The device cannot do that (EOPNOTSUPP).
 * @NOTIFY_BLOCK_ERROR_AGAIN: It would have had to wait (EAGAIN).
 * @NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE: Too many open zones (ETOOMANYREFS).
 * @NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE: Too many active zones (EOVERFLOW).
 * @NOTIFY_BLOCK_ERROR_OFFLINE: The device is offline (ENODEV).
 * @NOTIFY_BLOCK_ERROR_DURATION_LIMIT: The command's duration limit was
 *	exceeded (ETIME).
 * @NOTIFY_BLOCK_ERROR_INVALID: The request makes no sense (EINVAL).
 * @NOTIFY_BLOCK_ERROR_DM_REQUEUE: The device mapper is to repeat it; should
 *	not be seen (EREMCHG).
 * @NOTIFY_BLOCK_CAPACITY: The disk's size changed; @sector is the new one.
 * @NOTIFY_BLOCK_MEDIUM: The medium was changed, taken out or put in.
 * @NOTIFY_BLOCK_DEAD: The disk does not answer any more, or was pulled out;
 *	nothing more is read from it or written to it.
 *
 * Those below 64 tell of I/O that failed, in the errors that the block layer knows;
 * status has the errno given here.  The others are about the disk.
 */
enum block_notification_subtype {
	NOTIFY_BLOCK_ERROR_TIMEOUT			= 1,
	NOTIFY_BLOCK_ERROR_NO_SPACE			= 2,
	NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT	= 3,
	NOTIFY_BLOCK_ERROR_CRITICAL_TARGET		= 4,
	NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS		= 5,
	NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM		= 6,
	NOTIFY_BLOCK_ERROR_PROTECTION			= 7,
	NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE		= 8,
	NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE		= 9,
	NOTIFY_BLOCK_ERROR_IO				= 10,
	NOTIFY_BLOCK_ERROR_NOT_SUPPORTED		= 11,
	NOTIFY_BLOCK_ERROR_AGAIN			= 12,
	NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE		= 13,
	NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE		= 14,
	NOTIFY_BLOCK_ERROR_OFFLINE			= 15,
	NOTIFY_BLOCK_ERROR_DURATION_LIMIT		= 16,
	NOTIFY_BLOCK_ERROR_INVALID			= 17,
	NOTIFY_BLOCK_ERROR_DM_REQUEUE			= 18,

	NOTIFY_BLOCK_CAPACITY				= 64,
	NOTIFY_BLOCK_MEDIUM				= 65,
	NOTIFY_BLOCK_DEAD				= 66,
};

/**
 * enum block_notification_operation - what was to be done
 * @NOTIFY_BLOCK_OP_NONE: The record is not about I/O.
 * @NOTIFY_BLOCK_OP_READ: Read.
 * @NOTIFY_BLOCK_OP_WRITE: Write.
 * @NOTIFY_BLOCK_OP_FLUSH: Write out the device's cache; has no range.
 * @NOTIFY_BLOCK_OP_DISCARD: Discard.
 * @NOTIFY_BLOCK_OP_SECURE_ERASE: Erase securely.
 * @NOTIFY_BLOCK_OP_WRITE_ZEROES: Write zeroes.
 * @NOTIFY_BLOCK_OP_ZONE_APPEND: Write where the zone's write pointer is.
 * @NOTIFY_BLOCK_OP_ZONE_OPEN: Open a zone.
 * @NOTIFY_BLOCK_OP_ZONE_CLOSE: Close a zone.
 * @NOTIFY_BLOCK_OP_ZONE_FINISH: Finish a zone.
 * @NOTIFY_BLOCK_OP_ZONE_RESET: Reset a zone.
 * @NOTIFY_BLOCK_OP_ZONE_RESET_ALL: Reset all zones.
 * @NOTIFY_BLOCK_OP_OTHER: Something else.
 */
enum block_notification_operation {
	NOTIFY_BLOCK_OP_NONE		= 0,
	NOTIFY_BLOCK_OP_READ		= 1,
	NOTIFY_BLOCK_OP_WRITE		= 2,
	NOTIFY_BLOCK_OP_FLUSH		= 3,
	NOTIFY_BLOCK_OP_DISCARD		= 4,
	NOTIFY_BLOCK_OP_SECURE_ERASE	= 5,
	NOTIFY_BLOCK_OP_WRITE_ZEROES	= 6,
	NOTIFY_BLOCK_OP_ZONE_APPEND	= 7,
	NOTIFY_BLOCK_OP_ZONE_OPEN	= 8,
	NOTIFY_BLOCK_OP_ZONE_CLOSE	= 9,
	NOTIFY_BLOCK_OP_ZONE_FINISH	= 10,
	NOTIFY_BLOCK_OP_ZONE_RESET	= 11,
	NOTIFY_BLOCK_OP_ZONE_RESET_ALL	= 12,
	NOTIFY_BLOCK_OP_OTHER		= 255,
};

/**
 * struct block_notification - I/O failed, or something happened to a disk
 * @watch: WATCH_TYPE_BLOCK_NOTIFY and enum block_notification_subtype; of the
 *	info word NOTIFY_BLOCK_STACKED.
 * @dev: The whole disk, for the C library's major() and minor().
 * @sector: Where it begins, in units of 512 bytes from the disk's beginning.
 * @operation: enum block_notification_operation.
 * @sectors: How many units of 512 bytes it is about.
 * @status: 0, or the negative errno of what failed.
 * @__reserved: 0.
 * @diskseq: The disk's sequence number, which is never used again, as in
 *	/sys/block/DISK/diskseq.  @dev may be some other disk's by now.
 */
struct block_notification {
	struct watch_notification watch;
	__u64	dev;
	__u64	sector;
	__u32	operation;
	__u32	sectors;
	__s32	status;
	__u32	__reserved;
	__u64	diskseq;
/*
 * The disk is made of others, such as an array or an encrypted disk.  If one of
 * those is the cause, it has had its own record before.
 */
#define NOTIFY_BLOCK_STACKED	WATCH_INFO_FLAG_0
};

/**
 * enum usb_notification_subtype - subtypes of WATCH_TYPE_USB_NOTIFY
 * @NOTIFY_USB_DEVICE_ADD: A device is there, whether a driver takes it or not.
 * @NOTIFY_USB_DEVICE_REMOVE: A device is gone.
 * @NOTIFY_USB_DEVICE_RESET: A device was reset, whoever asked for it; error is 0.
 * @NOTIFY_USB_DEVICE_ERROR: A device or a port went wrong; error says how.
 * @NOTIFY_USB_BUS_ADD: A bus is there; name is its root hub's.
 * @NOTIFY_USB_BUS_REMOVE: A bus is gone.
 */
enum usb_notification_subtype {
	NOTIFY_USB_DEVICE_ADD		= 0,
	NOTIFY_USB_DEVICE_REMOVE	= 1,
	NOTIFY_USB_DEVICE_RESET		= 2,
	NOTIFY_USB_DEVICE_ERROR		= 3,
	NOTIFY_USB_BUS_ADD		= 4,
	NOTIFY_USB_BUS_REMOVE		= 5,
};

/**
 * struct usb_notification - something happened to a USB device, port or bus
 * @watch: WATCH_TYPE_USB_NOTIFY and enum usb_notification_subtype; of the info
 *	word NOTIFY_USB_PORT and NOTIFY_USB_OVER_CURRENT.
 * @error: 0, or a negative errno.
 * @vendor: The device's vendor, 0 if it has not told it.
 * @product: The device's product, 0 if it has not told it.
 * @name_len: Length of @name, at most USB_NOTIFICATION_MAX_NAME_LEN.
 * @name: As in /sys/bus/usb/devices, for instance "1-1.4"; a port's is, for
 *	instance, "usb1-port2".  The record is filled up with zeroes.
 */
struct usb_notification {
	struct watch_notification watch;
	__s32	error;
	__u16	vendor;
	__u16	product;
	__u8	name_len;
	__u8	name[];
#define USB_NOTIFICATION_MAX_NAME_LEN	63
/* It is about a hub's port, and name is the port's. */
#define NOTIFY_USB_PORT			WATCH_INFO_FLAG_0
/* Too much current is or was drawn: from the port, or else from the hub's ports. */
#define NOTIFY_USB_OVER_CURRENT		WATCH_INFO_FLAG_1
};

#endif /* _UAPI_LINUX_WATCH_QUEUE_H */
