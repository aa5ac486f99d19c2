// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices tell whoever watches devices of I/O that failed, and of disks
 * whose capacity or medium changed or that died.
 *
 * Each disk tells of its own failures, once each:
 *
 * - Requests, where the error is printed and traced: blk_update_request().  What
 *   is not printed because it was asked to be quiet, or is not the file systems'
 *   I/O (passthrough), or comes from a disk that is already dead, is not told
 *   either.
 *
 * - Bios that their disk completes without making requests of them (device mapper,
 *   md, zram, brd, pmem), where their completion is traced: bio_endio().  That
 *   happens once for every bio that was submitted to such a disk.  It does not
 *   happen for the clones that such a disk makes for itself, nor for a bio that it
 *   passed on as it is, of which the disk below tells.  A bio that is refused at
 *   submission, because it lies beyond the disk's end for instance, is its
 *   submitter's fault and not told.
 *
 * So an error that travels up through a stack of disks is told by each of them,
 * the lowest first.  Disks that are made of others mark theirs with
 * NOTIFY_BLOCK_STACKED, by which a program can do without the echo.  They also
 * mark what is no echo, the failures of their own: a checksum that does not match,
 * an array with too few disks left.
 *
 * A disk that completes bios may take one in several parts, and nobody knows in the
 * end which of them failed.  The last part's record then covers the bio in whole.
 * Parts that are bios of their own (bio_split()) also have their own records.  Where
 * the bio is itself a clone, as in a stack of three, its beginning cannot be found
 * again and the record covers the last part alone.
 *
 * The disk of one path of a multipath NVMe namespace is hidden and has no device
 * file, but its errors are told by nobody else: such a record's diskseq finds it in
 * /sys/block.
 */

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/build_bug.h>
#include <linux/kdev_t.h>
#include "blk.h"

static_assert(sizeof(struct block_notification) == 48);
static_assert(offsetof(struct block_notification, dev) == 8);
static_assert(offsetof(struct block_notification, sector) == 16);
static_assert(offsetof(struct block_notification, diskseq) == 40);
static_assert(offsetof(struct block_notification, diskseq) + sizeof(u64) ==
	      sizeof(struct block_notification));

/*
 * What each status is to user space.  The numbers of enum
 * block_notification_subtype never change, those of blk_status_t may.
 */
static const u8 subtypes[] = {
	[BLK_STS_NOTSUPP]	= NOTIFY_BLOCK_ERROR_NOT_SUPPORTED,
	[BLK_STS_TIMEOUT]	= NOTIFY_BLOCK_ERROR_TIMEOUT,
	[BLK_STS_NOSPC]		= NOTIFY_BLOCK_ERROR_NO_SPACE,
	[BLK_STS_TRANSPORT]	= NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT,
	[BLK_STS_TARGET]	= NOTIFY_BLOCK_ERROR_CRITICAL_TARGET,
	[BLK_STS_RESV_CONFLICT]	= NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS,
	[BLK_STS_MEDIUM]	= NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
	[BLK_STS_PROTECTION]	= NOTIFY_BLOCK_ERROR_PROTECTION,
	[BLK_STS_RESOURCE]	= NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE,
	[BLK_STS_IOERR]		= NOTIFY_BLOCK_ERROR_IO,
	[BLK_STS_DM_REQUEUE]	= NOTIFY_BLOCK_ERROR_DM_REQUEUE,
	[BLK_STS_AGAIN]		= NOTIFY_BLOCK_ERROR_AGAIN,
	[BLK_STS_DEV_RESOURCE]	= NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE,
	[BLK_STS_ZONE_OPEN_RESOURCE]	= NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE,
	[BLK_STS_ZONE_ACTIVE_RESOURCE]	= NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE,
	[BLK_STS_OFFLINE]	= NOTIFY_BLOCK_ERROR_OFFLINE,
	[BLK_STS_DURATION_LIMIT]	= NOTIFY_BLOCK_ERROR_DURATION_LIMIT,
	[BLK_STS_INVAL]		= NOTIFY_BLOCK_ERROR_INVALID,
};

/* The last status there is; the KUnit test finds one that was added after it. */
static_assert(ARRAY_SIZE(subtypes) == (__force u8)BLK_STS_INVAL + 1);

static unsigned int status_to_subtype(blk_status_t status)
{
	unsigned int i = (__force u8)status;

	return i < ARRAY_SIZE(subtypes) && subtypes[i] ? subtypes[i] :
							 NOTIFY_BLOCK_ERROR_IO;
}

/* A flush is a write of nothing, until its driver gets it. */
static unsigned int opf_to_operation(blk_opf_t opf, unsigned int sectors)
{
	switch (opf & REQ_OP_MASK) {
	case REQ_OP_READ:
		return NOTIFY_BLOCK_OP_READ;
	case REQ_OP_WRITE:
		return sectors ? NOTIFY_BLOCK_OP_WRITE : NOTIFY_BLOCK_OP_FLUSH;
	case REQ_OP_FLUSH:
		return NOTIFY_BLOCK_OP_FLUSH;
	case REQ_OP_DISCARD:
		return NOTIFY_BLOCK_OP_DISCARD;
	case REQ_OP_SECURE_ERASE:
		return NOTIFY_BLOCK_OP_SECURE_ERASE;
	case REQ_OP_WRITE_ZEROES:
		return NOTIFY_BLOCK_OP_WRITE_ZEROES;
	case REQ_OP_ZONE_APPEND:
		return NOTIFY_BLOCK_OP_ZONE_APPEND;
	case REQ_OP_ZONE_OPEN:
		return NOTIFY_BLOCK_OP_ZONE_OPEN;
	case REQ_OP_ZONE_CLOSE:
		return NOTIFY_BLOCK_OP_ZONE_CLOSE;
	case REQ_OP_ZONE_FINISH:
		return NOTIFY_BLOCK_OP_ZONE_FINISH;
	case REQ_OP_ZONE_RESET:
		return NOTIFY_BLOCK_OP_ZONE_RESET;
	case REQ_OP_ZONE_RESET_ALL:
		return NOTIFY_BLOCK_OP_ZONE_RESET_ALL;
	default:
		return NOTIFY_BLOCK_OP_OTHER;
	}
}

/*
 * Whether the disk is made of others.  They come and go under a lock of their own,
 * which interrupts cannot take; nobody here looks further than at the list's head.
 */
#ifdef CONFIG_BLOCK_HOLDER_DEPRECATED
static inline bool disk_has_slaves(struct gendisk *disk)
{
	return !list_empty(&disk->slave_bdevs);
}
#else
static inline bool disk_has_slaves(struct gendisk *disk)
{
	return false;
}
#endif

/* Makes what every record of a disk has; the rest of it is zero. */
static inline void disk_record(struct block_notification *n, struct gendisk *disk,
			       unsigned int subtype)
{
	*n = (struct block_notification) {
		.watch.type	= WATCH_TYPE_BLOCK_NOTIFY,
		.watch.subtype	= subtype,
		.watch.info	= watch_sizeof(*n),
		.dev		= huge_encode_dev(disk_devt(disk)),
		.diskseq	= disk->diskseq,
	};
	if (disk_has_slaves(disk))
		n->watch.info |= NOTIFY_BLOCK_STACKED;
}

/* Inline, so that nothing is written twice. */
static inline void error_record(struct block_notification *n, struct gendisk *disk,
				blk_opf_t opf, blk_status_t status, sector_t sector,
				unsigned int sectors)
{
	disk_record(n, disk, status_to_subtype(status));
	n->operation = opf_to_operation(opf, sectors);
	n->sector = n->operation == NOTIFY_BLOCK_OP_FLUSH ? 0 : sector;
	n->sectors = sectors;
	n->status = blk_status_to_errno(status);
}

static void post_error(struct gendisk *disk, blk_opf_t opf, blk_status_t status,
		       sector_t sector, unsigned int sectors)
{
	struct block_notification n;

	error_record(&n, disk, opf, status, sector, sectors);
	post_device_notification(&n.watch);
}

/**
 * __blk_notify_request_error - tell of a request that failed, or part of one
 * @req: The request, of a queue that has a disk.
 * @status: What went wrong.
 * @nr_bytes: How much failed, from where the request now begins.
 *
 * Context: Any but NMI in which a task may be woken.
 */
void __blk_notify_request_error(struct request *req, blk_status_t status,
				unsigned int nr_bytes)
{
	post_error(req->q->disk, req->cmd_flags, status, blk_rq_pos(req),
		   nr_bytes >> SECTOR_SHIFT);
}

/*
 * How much of the bio lies before its iterator, because it was taken in parts.  It
 * began with its first vector, unless its vectors are another bio's.  Bios without
 * vectors never move on in them.
 */
static unsigned int bio_bytes_before(struct bio *bio)
{
	unsigned int bytes = bio->bi_iter.bi_bvec_done;
	unsigned int i;

	if (bio_flagged(bio, BIO_CLONED))
		return 0;
	for (i = 0; i < bio->bi_iter.bi_idx; i++)
		bytes += bio->bi_io_vec[i].bv_len;
	return bytes;
}

/* Whether this failure is the bio's disk's to tell, and news. */
static bool bio_error_is_told(struct bio *bio)
{
	/* Not if requests were made of it, or it never got there. */
	if (!bdev_test_flag(bio->bi_bdev, BD_HAS_SUBMIT_BIO))
		return false;
	/* Nor if this is the answer that was asked for. */
	if (bio->bi_status == BLK_STS_AGAIN && (bio->bi_opf & REQ_NOWAIT))
		return false;
	if (bio_flagged(bio, BIO_QUIET))
		return false;
	return !test_bit(GD_DEAD, &bio->bi_bdev->bd_disk->state);
}

/**
 * __blk_notify_bio_error - tell of a bio that failed, if its disk takes bios
 * @bio: The bio, with its status; it was submitted and is about to be completed.
 *
 * Context: Any but NMI in which a task may be woken.
 */
void __blk_notify_bio_error(struct bio *bio)
{
	unsigned int before;

	if (!bio_error_is_told(bio))
		return;

	before = bio_bytes_before(bio) >> SECTOR_SHIFT;
	post_error(bio->bi_bdev->bd_disk, bio->bi_opf, bio->bi_status,
		   bio->bi_iter.bi_sector - before, bio_sectors(bio) + before);
}

/**
 * blk_notify_capacity - tell that a disk's capacity changed
 * @disk: The disk.
 * @sectors: Its new capacity.
 *
 * Drivers that do not use set_capacity_and_notify(), such as the device mapper, do
 * not tell.
 */
void blk_notify_capacity(struct gendisk *disk, sector_t sectors)
{
	struct block_notification n;

	disk_record(&n, disk, NOTIFY_BLOCK_CAPACITY);
	n.sector = sectors;
	post_device_notification(&n.watch);
}

/**
 * blk_notify_medium - tell that a disk's medium is another, or none
 * @disk: The disk, which may not have been added yet: then there is nothing to tell.
 */
void blk_notify_medium(struct gendisk *disk)
{
	struct block_notification n;

	if (!disk_live(disk))
		return;

	disk_record(&n, disk, NOTIFY_BLOCK_MEDIUM);
	post_device_notification(&n.watch);
}

/**
 * blk_notify_dead - tell that a disk is about to be marked dead
 * @disk: The disk.
 *
 * It is marked once; should two callers be about to, each may tell.  The device mapper
 * marks its disks when they are taken down in order, which is no news, and even those
 * that never got a table; so only disks that are devices and have been added tell.
 */
void blk_notify_dead(struct gendisk *disk)
{
	struct block_notification n;

	if (!test_bit(GD_ADDED, &disk->state) || test_bit(GD_DEAD, &disk->state) ||
	    disk_has_slaves(disk) || bdev_test_flag(disk->part0, BD_HAS_SUBMIT_BIO))
		return;

	disk_record(&n, disk, NOTIFY_BLOCK_DEAD);
	post_device_notification(&n.watch);
}

#if IS_ENABLED(CONFIG_BLK_WATCH_KUNIT_TEST)
#include "blk-watch_kunit.c"
#endif
