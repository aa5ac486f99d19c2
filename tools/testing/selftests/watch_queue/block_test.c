// SPDX-License-Identifier: GPL-2.0
/*
 * What block devices tell of: each class of error, each operation, disks made of
 * others, and changes of capacity and medium; of disks that really fail.  How a disk
 * dies is for dead_test.
 *
 * Which device fails how:
 *
 *   every class		ublk, whose requests this program answers
 *   TIMEOUT			null_blk that drops a request
 *   NO_SPACE			loop on a full file system, scsi_debug
 *   RECOVERABLE_TRANSPORT	scsi_debug
 *   CRITICAL_TARGET		scsi_debug
 *   CRITICAL_NEXUS		scsi_debug
 *   CRITICAL_MEDIUM		scsi_debug, NVMe
 *   PROTECTION			scsi_debug
 *   IO				null_blk, virtio-blk, loop, zram, device mapper, md
 *   ZONE_OPEN_RESOURCE		null_blk with zones
 *   ZONE_ACTIVE_RESOURCE	null_blk with zones
 *
 * Only ublk has the others: KERNEL_RESOURCE, DEVICE_RESOURCE, NOT_SUPPORTED, AGAIN,
 * OFFLINE (SCSI disks have it for a moment while they go), DURATION_LIMIT (SCSI disks
 * keep it quiet), INVALID and DM_REQUEUE.  No disk here takes a secure erase, and only
 * file systems append to zones: KUnit has how these are told (blk_watch).
 */

#include "../kselftest_harness.h"
#include "watch_queue_block.h"

#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>

/* A disk's first sector that fails here, unless it is scsi_debug's own. */
#define BAD		WQ_NULL_BAD
#define SCSI_BAD	0x1234

/* Seconds for one test, of which most take less than one. */
#define PATIENCE	120

#define READ_10		0x28
#define TEST_UNIT_READY	0x00

/* An error of @disk, of WQ_IO_SECTORS at @where unless more is said. */
#define ERROR(d, class, op, where, err, ...) {				\
	.disk		= (d),						\
	.subtype	= NOTIFY_BLOCK_ERROR_##class,			\
	.operation	= NOTIFY_BLOCK_OP_##op,				\
	.sector		= (where),					\
	.sectors	= WQ_IO_SECTORS,				\
	.status		= -(err),					\
	##__VA_ARGS__							\
}

FIXTURE(block)
{
	int fds[2];
};

FIXTURE_SETUP(block)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	WQ_REQUIRE_BLOCK();
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(block)
{
	wq_close(self->fds);
}

/* ---- ublk ---- */

/* A disk whose requests this program answers, and who hears of it. */
struct answered {
	int		fds[2];
	struct wq_ublk	ublk;
	struct wq_disk	disk;
};

static int answered_begin(struct answered *a)
{
	int ret;

	a->fds[0] = -EBADF;
	a->fds[1] = -EBADF;
	a->disk.fd = -EBADF;
	ret = wq_ublk_start(&a->ublk);
	if (!ret)
		ret = wq_disk_open(&a->disk, a->ublk.disk);
	if (!ret)
		ret = wq_pipe_with_disks(a->fds, 256);
	return ret;
}

static int answered_end(struct answered *a)
{
	wq_close(a->fds);
	wq_disk_close(&a->disk);
	return wq_ublk_stop(&a->ublk);
}

FIXTURE(class)
{
	bool begun;
	struct answered a;
};

FIXTURE_VARIANT(class)
{
	unsigned int subtype;
	int error;
};

FIXTURE_SETUP(class)
{
	self->begun = false;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH("/dev/ublk-control", "CONFIG_BLK_DEV_UBLK");
	ASSERT_EQ(0, answered_begin(&self->a));
	self->begun = true;
}

FIXTURE_TEARDOWN(class)
{
	if (self->begun)
		EXPECT_EQ(0, answered_end(&self->a));
}

#define CLASS(name, err) { NOTIFY_BLOCK_ERROR_##name, err }

FIXTURE_VARIANT_ADD(class, TIMEOUT) CLASS(TIMEOUT, ETIMEDOUT);
FIXTURE_VARIANT_ADD(class, NO_SPACE) CLASS(NO_SPACE, ENOSPC);
FIXTURE_VARIANT_ADD(class, RECOVERABLE_TRANSPORT) CLASS(RECOVERABLE_TRANSPORT, ENOLINK);
FIXTURE_VARIANT_ADD(class, CRITICAL_TARGET) CLASS(CRITICAL_TARGET, EREMOTEIO);
FIXTURE_VARIANT_ADD(class, CRITICAL_NEXUS) CLASS(CRITICAL_NEXUS, EBADE);
FIXTURE_VARIANT_ADD(class, CRITICAL_MEDIUM) CLASS(CRITICAL_MEDIUM, ENODATA);
FIXTURE_VARIANT_ADD(class, PROTECTION) CLASS(PROTECTION, EILSEQ);
FIXTURE_VARIANT_ADD(class, KERNEL_RESOURCE) CLASS(KERNEL_RESOURCE, ENOMEM);
FIXTURE_VARIANT_ADD(class, DEVICE_RESOURCE) CLASS(DEVICE_RESOURCE, EBUSY);
FIXTURE_VARIANT_ADD(class, IO) CLASS(IO, EIO);
FIXTURE_VARIANT_ADD(class, NOT_SUPPORTED) CLASS(NOT_SUPPORTED, EOPNOTSUPP);
FIXTURE_VARIANT_ADD(class, AGAIN) CLASS(AGAIN, EAGAIN);
FIXTURE_VARIANT_ADD(class, ZONE_OPEN_RESOURCE) CLASS(ZONE_OPEN_RESOURCE, ETOOMANYREFS);
FIXTURE_VARIANT_ADD(class, ZONE_ACTIVE_RESOURCE) CLASS(ZONE_ACTIVE_RESOURCE, EOVERFLOW);
FIXTURE_VARIANT_ADD(class, OFFLINE) CLASS(OFFLINE, ENODEV);
FIXTURE_VARIANT_ADD(class, DURATION_LIMIT) CLASS(DURATION_LIMIT, ETIME);
FIXTURE_VARIANT_ADD(class, INVALID) CLASS(INVALID, EINVAL);
FIXTURE_VARIANT_ADD(class, DM_REQUEUE) CLASS(DM_REQUEUE, EREMCHG);

/* One record, of this class, for each request that fails, and none for others. */
TEST_F_TIMEOUT(class, told_once, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;
	int fd = self->a.fds[0];
	const struct wq_expected error = {
		.disk		= disk,
		.subtype	= variant->subtype,
		.operation	= NOTIFY_BLOCK_OP_READ,
		.sector		= BAD,
		.sectors	= WQ_IO_SECTORS,
		.status		= -variant->error,
	};

	wq_ublk_fail(&self->a.ublk, variant->error, BAD, BAD + WQ_IO_SECTORS);
	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(disk->fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(fd);
	EXPECT_EQ(-variant->error, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(fd, error);
	EXPECT_EQ(-variant->error, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
	EXPECT_EQ(-variant->error, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(fd, error, error);
}

FIXTURE(ublk)
{
	bool begun;
	struct answered a;
};

FIXTURE_SETUP(ublk)
{
	self->begun = false;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH("/dev/ublk-control", "CONFIG_BLK_DEV_UBLK");
	ASSERT_EQ(0, answered_begin(&self->a));
	self->begun = true;
	wq_ublk_fail(&self->a.ublk, EIO, BAD, BAD + 64);
}

FIXTURE_TEARDOWN(ublk)
{
	if (self->begun)
		EXPECT_EQ(0, answered_end(&self->a));
}

/* What was to be done, and with how much of the disk. */
TEST_F_TIMEOUT(ublk, operations, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;
	int fd = self->a.fds[0];

	EXPECT_EQ(-EIO, wq_disk_read(disk->fd, BAD, 1));
	WQ_EXPECT_RECORDS(fd, ERROR(disk, IO, READ, BAD, EIO, .sectors = 1));
	EXPECT_EQ(-EIO, wq_disk_write(disk->fd, BAD, 64));
	WQ_EXPECT_RECORDS(fd, ERROR(disk, IO, WRITE, BAD, EIO, .sectors = 64));
	EXPECT_EQ(-EIO, wq_errno(fdatasync(disk->fd)));
	WQ_EXPECT_RECORDS(fd, ERROR(disk, IO, FLUSH, 0, EIO, .sectors = 0));
	EXPECT_EQ(-EIO, wq_disk_range(disk->fd, BLKDISCARD, BAD, 32));
	WQ_EXPECT_RECORDS(fd, ERROR(disk, IO, DISCARD, BAD, EIO, .sectors = 32));
	EXPECT_EQ(-EIO, wq_disk_range(disk->fd, BLKZEROOUT, BAD, 16));
	WQ_EXPECT_RECORDS(fd, ERROR(disk, IO, WRITE_ZEROES, BAD, EIO, .sectors = 16));
}

/* What was done before the disk failed is no part of the failure. */
TEST_F_TIMEOUT(ublk, part_of_request, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;

	EXPECT_EQ(-EIO, wq_disk_read(disk->fd, BAD - 24, 32));
	WQ_EXPECT_RECORDS(self->a.fds[0], ERROR(disk, IO, READ, BAD, EIO));
}

/* A partition's sectors are told as the whole disk's. */
TEST_F_TIMEOUT(ublk, partition, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;
	struct blkpg_partition partition = {
		.start	= 1024 * WQ_SECTOR,
		.length	= 4096 * WQ_SECTOR,
		.pno	= 1,
	};
	struct blkpg_ioctl_arg arg = {
		.op	= BLKPG_ADD_PARTITION,
		.datalen = sizeof(partition),
		.data	= &partition,
	};
	char path[WQ_PATH];
	int part;

	ASSERT_EQ(0, wq_ioctl(disk->fd, BLKPG, (unsigned long)&arg));
	snprintf(path, sizeof(path), "/dev/%sp1", disk->name);
	ASSERT_EQ(0, wq_await_path(path));
	part = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, part);
	EXPECT_EQ(-EIO, wq_disk_read(part, BAD - 1024, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->a.fds[0], ERROR(disk, IO, READ, BAD, EIO));
	close(part);
}

/* Subtypes can be filtered, those that are no errors too. */
TEST_F_TIMEOUT(ublk, filter, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters	= 1,
		.rule.type		= WATCH_TYPE_BLOCK_NOTIFY,
		.rule.subtype_filter[0]	= 1 << NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
	};

	ASSERT_EQ(0, wq_set_filter(self->a.fds[0], &filter));
	EXPECT_EQ(-EIO, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
	wq_ublk_fail(&self->a.ublk, ENODATA, BAD, BAD + 64);
	EXPECT_EQ(-ENODATA, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->a.fds[0],
			  ERROR(disk, CRITICAL_MEDIUM, READ, BAD, ENODATA));
}

/* What is wrong with the program's own request is no failure of the disk. */
TEST_F_TIMEOUT(ublk, mistakes_are_not_told, PATIENCE)
{
	const struct wq_disk *disk = &self->a.disk;

	EXPECT_EQ(0, wq_disk_read(disk->fd, WQ_UBLK_SECTORS, WQ_IO_SECTORS));
	EXPECT_EQ(-ENOSPC, wq_disk_write(disk->fd, WQ_UBLK_SECTORS, WQ_IO_SECTORS));
	EXPECT_EQ(-EINVAL, wq_errno(pread(disk->fd, wq_io_buffer(), 100, 0)));
	EXPECT_GT(0, wq_disk_range(disk->fd, BLKSECDISCARD, BAD, 8));
	WQ_EXPECT_NO_RECORDS(self->a.fds[0]);
}

/* ---- null_blk ---- */

/* One that fails at BAD. */
#define NULL_INDEX	20
#define NULL_DISK	"nullb20"

FIXTURE(null)
{
	int fds[2];
	struct wq_disk disk;
};

FIXTURE_VARIANT(null)
{
	const char *irqmode;
};

FIXTURE_VARIANT_ADD(null, completed_at_once)
{
	.irqmode = "0",
};

FIXTURE_VARIANT_ADD(null, completed_in_soft_interrupt)
{
	.irqmode = "1",
};

FIXTURE_VARIANT_ADD(null, completed_in_hard_interrupt)
{
	.irqmode = "2",
};

FIXTURE_SETUP(null)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->disk.fd = -EBADF;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	ASSERT_EQ(0, wq_null_begin(NULL_INDEX, variant->irqmode, true));
	ASSERT_EQ(0, wq_disk_open(&self->disk, NULL_DISK));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(null)
{
	wq_close(self->fds);
	if (self->disk.fd >= 0) {
		wq_disk_close(&self->disk);
		EXPECT_EQ(0, wq_null_remove(NULL_INDEX));
	}
}

TEST_F_TIMEOUT(null, told_once, PATIENCE)
{
	const struct wq_disk *disk = &self->disk;
	int i;

	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(disk->fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(-EIO, wq_disk_read(disk->fd, BAD, WQ_IO_SECTORS));
		EXPECT_EQ(-EIO, wq_disk_write(disk->fd, BAD + 8, WQ_IO_SECTORS));
		WQ_EXPECT_RECORDS(self->fds[0],
				  ERROR(disk, IO, READ, BAD, EIO),
				  ERROR(disk, IO, WRITE, BAD + 8, EIO));
	}
}

/* A blocked reader is woken from wherever the request is completed. */
struct blocked_reader {
	int			fd;
	int			ret;
	union wq_any_record	r;
};

static void *read_blocked(void *arg)
{
	struct blocked_reader *b = arg;

	b->ret = wq_errno(read(b->fd, &b->r, sizeof(b->r)));
	return NULL;
}

TEST_F_TIMEOUT(null, wakes_reader, PATIENCE)
{
	struct blocked_reader b = { .fd = self->fds[0] };
	const struct wq_expected e = ERROR(&self->disk, IO, READ, BAD, EIO);
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_blocked, &b));
	EXPECT_EQ(-EIO, wq_disk_read(self->disk.fd, BAD, WQ_IO_SECTORS));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ((int)sizeof(b.r.block), b.ret);
	EXPECT_EQ(NULL, wq_differs(&b.r, &e));
}

/* A request that the device drops: the block layer's time-out tells. */
TEST_F_TIMEOUT(null, timeout, PATIENCE)
{
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb/" NULL_DISK "/timeout_inject",
			"CONFIG_BLK_DEV_NULL_BLK_FAULT_INJECTION");
	ASSERT_EQ(0, wq_queue_set(NULL_DISK, "io_timeout", "200"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "timeout_inject/verbose", "0"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "timeout_inject/times", "1"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "timeout_inject/probability", "100"));
	EXPECT_EQ(-ETIMEDOUT, wq_disk_read(self->disk.fd, 512, WQ_IO_SECTORS));
	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(self->disk.fd, 512, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->disk, TIMEOUT, READ, 512, ETIMEDOUT));
}

/* ---- Zones ---- */

#define ZONE_SECTORS	(4 << 11)	/* 4 MiB */

FIXTURE(zoned)
{
	int fds[2];
	struct wq_disk disk;
};

FIXTURE_VARIANT(zoned)
{
	const char *max_open;
	const char *max_active;
};

FIXTURE_VARIANT_ADD(zoned, one_open)
{
	.max_open = "1",
	.max_active = "0",
};

FIXTURE_VARIANT_ADD(zoned, one_active)
{
	.max_open = "1",
	.max_active = "1",
};

FIXTURE_SETUP(zoned)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->disk.fd = -EBADF;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	ASSERT_EQ(0, wq_null_make(NULL_INDEX));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "size", "32"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "zoned", "1"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "zone_size", "4"));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "zone_max_open", variant->max_open));
	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "zone_max_active", variant->max_active));
	if (wq_null_set(NULL_INDEX, "power", "1")) {
		wq_null_remove(NULL_INDEX);
		SKIP(return, "CONFIG_BLK_DEV_ZONED is not set");
	}
	ASSERT_EQ(0, wq_disk_open(&self->disk, NULL_DISK));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(zoned)
{
	wq_close(self->fds);
	if (self->disk.fd >= 0) {
		wq_disk_close(&self->disk);
		EXPECT_EQ(0, wq_null_remove(NULL_INDEX));
	}
}

/* The first zone takes all that there is, and what the second gets is told. */
TEST_F_TIMEOUT(zoned, resources, PATIENCE)
{
	const struct wq_disk *disk = &self->disk;
	bool active = variant->max_active[0] != '0';
	const struct wq_expected open = {
		.disk		= disk,
		.subtype	= active ? NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE :
					   NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE,
		.operation	= NOTIFY_BLOCK_OP_ZONE_OPEN,
		.sector		= ZONE_SECTORS,
		.status		= active ? -EOVERFLOW : -ETOOMANYREFS,
	};
	struct blk_zone_range first = { 0, ZONE_SECTORS };
	struct blk_zone_range second = { ZONE_SECTORS, ZONE_SECTORS };

	ASSERT_EQ(0, wq_ioctl(disk->fd, BLKOPENZONE, (unsigned long)&first));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	EXPECT_GT(0, wq_ioctl(disk->fd, BLKOPENZONE, (unsigned long)&second));
	WQ_EXPECT_RECORDS(self->fds[0], open);
}

/* Operations on a zone that does not work. */
TEST_F_TIMEOUT(zoned, operations, PATIENCE)
{
	static const struct {
		unsigned long cmd;
		unsigned int operation;
	} ops[] = {
		{ BLKOPENZONE,		NOTIFY_BLOCK_OP_ZONE_OPEN },
		{ BLKCLOSEZONE,		NOTIFY_BLOCK_OP_ZONE_CLOSE },
		{ BLKFINISHZONE,	NOTIFY_BLOCK_OP_ZONE_FINISH },
		{ BLKRESETZONE,		NOTIFY_BLOCK_OP_ZONE_RESET },
	};
	struct blk_zone_range range = { 2 * ZONE_SECTORS, ZONE_SECTORS };
	unsigned int i;

	ASSERT_EQ(0, wq_null_set(NULL_INDEX, "zone_offline", "16384"));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct wq_expected e = {
			.disk		= &self->disk,
			.subtype	= NOTIFY_BLOCK_ERROR_IO,
			.operation	= ops[i].operation,
			.sector		= 2 * ZONE_SECTORS,
			.status		= -EIO,
		};

		EXPECT_EQ(-EIO, wq_ioctl(self->disk.fd, ops[i].cmd,
					 (unsigned long)&range));
		WQ_EXPECT_RECORDS(self->fds[0], e);
	}
}

/* ---- scsi_debug ---- */

FIXTURE(scsi)
{
	int fds[2];
	struct wq_disk disk;
	bool added;
	char address[32];
};

FIXTURE_SETUP(scsi)
{
	char name[WQ_DISK_NAME];

	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->disk.fd = -EBADF;
	self->added = false;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH(WQ_SCSI, "CONFIG_SCSI_DEBUG");
	ASSERT_EQ(0, wq_write_to(WQ_SCSI "/removable", "1"));
	ASSERT_EQ(0, wq_scsi_add(name, sizeof(name), self->address,
				 sizeof(self->address)));
	self->added = true;
	ASSERT_EQ(0, wq_disk_open(&self->disk, name));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(scsi)
{
	wq_close(self->fds);
	wq_disk_close(&self->disk);
	wq_write_to(WQ_SCSI "/opts", "0");
	if (self->added)
		EXPECT_EQ(0, wq_scsi_remove());
}

TEST_F_TIMEOUT(scsi, medium, PATIENCE)
{
	ASSERT_EQ(0, wq_write_to(WQ_SCSI "/opts", "2"));
	EXPECT_EQ(-ENODATA, wq_disk_read(self->disk.fd, SCSI_BAD - 4, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->disk, CRITICAL_MEDIUM, READ, SCSI_BAD - 4,
				ENODATA));
}

TEST_F_TIMEOUT(scsi, answers, PATIENCE)
{
	static const struct {
		struct wq_scsi_answer answer;
		unsigned int subtype;
		int error;
	} cases[] = {
		/* A transport that fails fast */
		{ { READ_10, .host = 0x0f },
		  NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT, ENOLINK },
		/* Internal target failure */
		{ { READ_10, .status = 2, .key = 0x4, .asc = 0x44 },
		  NOTIFY_BLOCK_ERROR_CRITICAL_TARGET, EREMOTEIO },
		/* Reservation conflict */
		{ { READ_10, .status = 0x18 },
		  NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS, EBADE },
		/* Logical block guard check failed */
		{ { READ_10, .status = 2, .key = 0x5, .asc = 0x10, .ascq = 1 },
		  NOTIFY_BLOCK_ERROR_PROTECTION, EILSEQ },
		/* Space allocation failed, write protect */
		{ { READ_10, .status = 2, .key = 0x7, .asc = 0x27, .ascq = 7 },
		  NOTIFY_BLOCK_ERROR_NO_SPACE, ENOSPC },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct wq_expected e = {
			.disk		= &self->disk,
			.subtype	= cases[i].subtype,
			.operation	= NOTIFY_BLOCK_OP_READ,
			.sector		= 64,
			.sectors	= WQ_IO_SECTORS,
			.status		= -cases[i].error,
		};

		ASSERT_EQ(0, wq_scsi_hurt(self->address, &cases[i].answer));
		EXPECT_EQ(-cases[i].error,
			  wq_disk_read(self->disk.fd, 64, WQ_IO_SECTORS));
		ASSERT_EQ(0, wq_scsi_heal(self->address, READ_10));
		WQ_EXPECT_RECORDS(self->fds[0], e);
	}
}

/* Whoever sets a limit expects it to be exceeded: the driver keeps it quiet. */
TEST_F_TIMEOUT(scsi, duration_limit_is_quiet, PATIENCE)
{
	const struct wq_scsi_answer answer = {
		READ_10, .status = 2, .key = 0xf, .asc = 0x55, .ascq = 0xa,
	};

	ASSERT_EQ(0, wq_scsi_hurt(self->address, &answer));
	EXPECT_EQ(-ETIME, wq_disk_read(self->disk.fd, 64, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
}

/* Somebody says that the device is offline: that is an I/O error for SCSI. */
TEST_F_TIMEOUT(scsi, offline, PATIENCE)
{
	ASSERT_EQ(0, wq_scsi_set(self->address, "state", "offline\n"));
	EXPECT_EQ(-EIO, wq_disk_read(self->disk.fd, 64, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], ERROR(&self->disk, IO, READ, 64, EIO));
	ASSERT_EQ(0, wq_scsi_set(self->address, "state", "running\n"));
}

/* A virtual disk of 1 GiB, then of 2. */
TEST_F_TIMEOUT(scsi, capacity, PATIENCE)
{
	const __u64 sectors[] = { 1 << 21, 2 << 21 };
	union wq_any_record r;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, wq_write_to(WQ_SCSI "/virtual_gb", "%d", i + 1));
		ASSERT_EQ(0, wq_scsi_set(self->address, "rescan", "1"));
		ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
					   NOTIFY_BLOCK_CAPACITY));
		EXPECT_EQ(sectors[i], r.block.sector);
		EXPECT_EQ(0, r.block.sectors);
		EXPECT_EQ(NOTIFY_BLOCK_OP_NONE, r.block.operation);
		EXPECT_EQ(0, r.block.status);
		EXPECT_EQ(0, r.block.__reserved);
		EXPECT_EQ(self->disk.seq, r.block.diskseq);
	}
	EXPECT_EQ(0, wq_write_to(WQ_SCSI "/virtual_gb", "0"));
}

/* Taken out, and put in again; noticed when the disk is next opened. */
TEST_F_TIMEOUT(scsi, medium_change, PATIENCE)
{
	const struct wq_scsi_answer gone = {
		TEST_UNIT_READY, .status = 2, .key = 2, .asc = 0x3a,
	};
	union wq_any_record r;
	char path[WQ_PATH];
	__u64 seq;
	int i, fd;

	snprintf(path, sizeof(path), "/dev/%s", self->disk.name);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, i ? wq_scsi_heal(self->address, TEST_UNIT_READY) :
				 wq_scsi_hurt(self->address, &gone));
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
					   NOTIFY_BLOCK_MEDIUM));
		ASSERT_EQ(0, wq_disk_seq(self->disk.name, &seq));
		EXPECT_EQ(seq, r.block.diskseq);
		EXPECT_LT(self->disk.seq, seq);
		self->disk.seq = seq;
	}
}

/* Reads until the disk is no more. */
static void *read_to_the_end(void *arg)
{
	struct wq_disk *disk = arg;
	long n = 0;

	while (wq_disk_read(disk->fd, n % 1024 * 8, WQ_IO_SECTORS) == WQ_IO_SIZE)
		n++;
	return (void *)n;
}

/* A disk that is pulled out in use, whatever it says of that is well-formed. */
TEST_F_TIMEOUT(scsi, pulled_in_use, PATIENCE)
{
	union wq_any_record r;
	struct stat st;
	pthread_t thread;
	void *reads;
	char path[WQ_PATH];
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_to_the_end, &self->disk));
	ASSERT_EQ(0, wq_scsi_set(self->address, "delete", "1"));
	ASSERT_EQ(0, pthread_join(thread, &reads));
	EXPECT_GE(0, wq_disk_read(self->disk.fd, 0, WQ_IO_SECTORS));
	while (!(ret = wq_next_record(self->fds[0], &r, 0))) {
		EXPECT_EQ(self->disk.dev, r.block.dev);
		EXPECT_EQ(self->disk.seq, r.block.diskseq);
		EXPECT_EQ(0, r.block.__reserved);
	}
	EXPECT_EQ(-ETIMEDOUT, ret);
	snprintf(path, sizeof(path), "/dev/%s", self->disk.name);
	EXPECT_EQ(-1, stat(path, &st));
}

/* ---- loop ---- */

#define FULL		"/tmp/wq-full"

FIXTURE(loop)
{
	int fds[2];
	struct wq_disk disk;
	bool attached;
	char name[WQ_DISK_NAME];
};

FIXTURE_SETUP(loop)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->disk.fd = -EBADF;
	self->attached = false;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH("/dev/loop-control", "CONFIG_BLK_DEV_LOOP");
	mkdir(FULL, 0700);
	ASSERT_EQ(0, mount("tmpfs", FULL, "tmpfs", 0, "size=1m"));
	ASSERT_EQ(0, wq_loop_attach(FULL "/image", 8 << 20, 0, self->name,
				    sizeof(self->name)));
	self->attached = true;
	ASSERT_EQ(0, wq_disk_open(&self->disk, self->name));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(loop)
{
	wq_close(self->fds);
	wq_disk_close(&self->disk);
	if (self->attached)
		EXPECT_EQ(0, wq_loop_detach(self->name));
	umount2(FULL, MNT_DETACH);
	rmdir(FULL);
}

/* The file system below is full. */
TEST_F_TIMEOUT(loop, no_space, PATIENCE)
{
	static char block[4096];
	int fd;

	fd = open(FULL "/rest", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	while (write(fd, block, sizeof(block)) > 0)
		;
	EXPECT_EQ(ENOSPC, errno);
	close(fd);
	EXPECT_EQ(-ENOSPC, wq_disk_write(self->disk.fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->disk, NO_SPACE, WRITE, BAD, ENOSPC));
}

/* The file below has become shorter. */
TEST_F_TIMEOUT(loop, truncated, PATIENCE)
{
	ASSERT_EQ(0, truncate(FULL "/image", BAD * WQ_SECTOR));
	EXPECT_EQ(-EIO, wq_disk_read(self->disk.fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], ERROR(&self->disk, IO, READ, BAD, EIO));
}

TEST_F_TIMEOUT(loop, capacity, PATIENCE)
{
	const struct wq_expected e = {
		.disk		= &self->disk,
		.subtype	= NOTIFY_BLOCK_CAPACITY,
		.sector		= (4 << 20) / WQ_SECTOR,
	};

	ASSERT_EQ(0, truncate(FULL "/image", 4 << 20));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	ASSERT_EQ(0, wq_ioctl(self->disk.fd, LOOP_SET_CAPACITY, 0));
	WQ_EXPECT_RECORDS(self->fds[0], e);
	ASSERT_EQ(0, wq_ioctl(self->disk.fd, LOOP_SET_CAPACITY, 0));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
}

/* The file is the medium: it is taken out, one is put in, and it is exchanged. */
TEST_F_TIMEOUT(loop, medium_change, PATIENCE)
{
	union wq_any_record r;
	__u64 seq;
	int fd;

	wq_disk_close(&self->disk);
	ASSERT_EQ(0, wq_loop_detach(self->name));
	self->attached = false;
	ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
				   NOTIFY_BLOCK_MEDIUM));
	EXPECT_LT(self->disk.seq, r.block.diskseq);

	/* Only what is read-only can be exchanged. */
	ASSERT_EQ(0, wq_loop_attach(FULL "/image", 8 << 20, LO_FLAGS_READ_ONLY,
				    self->name, sizeof(self->name)));
	self->attached = true;
	ASSERT_EQ(0, wq_disk_open_flags(&self->disk, self->name, O_RDONLY));
	ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
				   NOTIFY_BLOCK_MEDIUM));
	EXPECT_EQ(self->disk.seq, r.block.diskseq);
	EXPECT_EQ(0, r.block.sector);
	EXPECT_EQ(0, r.block.sectors);
	EXPECT_EQ(NOTIFY_BLOCK_OP_NONE, r.block.operation);
	EXPECT_EQ(0, r.block.status);
	EXPECT_EQ(0, r.block.__reserved);
	ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
				   NOTIFY_BLOCK_CAPACITY));
	EXPECT_EQ((8 << 20) / WQ_SECTOR, r.block.sector);

	fd = open(FULL "/other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 8 << 20));
	ASSERT_EQ(0, wq_ioctl(self->disk.fd, LOOP_CHANGE_FD, fd));
	close(fd);
	ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, self->disk.dev,
				   NOTIFY_BLOCK_MEDIUM));
	ASSERT_EQ(0, wq_disk_seq(self->name, &seq));
	EXPECT_EQ(seq, r.block.diskseq);
	EXPECT_LT(self->disk.seq, seq);
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
}

/* ---- zram ---- */

/* A disk that takes bios, not requests, and has no more memory to put them. */
TEST_F_TIMEOUT(block, zram, PATIENCE)
{
	unsigned int state = 1;
	struct wq_disk disk;
	char *buf = wq_io_buffer();
	ssize_t ret;
	int i, n;

	WQ_REQUIRE_PATH("/sys/block/zram0", "CONFIG_ZRAM");
	ASSERT_EQ(0, wq_write_to("/sys/block/zram0/disksize", "1048576"));
	ASSERT_EQ(0, wq_write_to("/sys/block/zram0/mem_limit", "4096"));
	ASSERT_EQ(0, wq_disk_open(&disk, "zram0"));
	ASSERT_EQ(0, wq_forget(self->fds[0]));
	for (i = 0; i < WQ_IO_SIZE; i++)
		buf[i] = wq_random(&state, 256);
	/* A limit is not for the first page. */
	for (n = 0; n < 64; n++) {
		ret = wq_disk_write(disk.fd, n * WQ_IO_SECTORS, WQ_IO_SECTORS);
		if (ret < 0)
			break;
	}
	EXPECT_EQ(-EIO, ret);
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&disk, IO, WRITE, n * WQ_IO_SECTORS, EIO));
	wq_disk_close(&disk);
	EXPECT_EQ(0, wq_write_to("/sys/block/zram0/reset", "1"));
}

/* ---- Disks made of others ---- */

FIXTURE(stacked)
{
	int fds[2];
	struct wq_disk low;
	struct wq_disk high;
	struct wq_dm dm;
	bool made;
};

FIXTURE_SETUP(stacked)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->low.fd = -EBADF;
	self->high.fd = -EBADF;
	self->made = false;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH("/dev/mapper/control", "CONFIG_BLK_DEV_DM");
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	ASSERT_EQ(0, wq_null_begin(NULL_INDEX, "2", true));
	ASSERT_EQ(0, wq_disk_open(&self->low, NULL_DISK));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(stacked)
{
	wq_close(self->fds);
	wq_disk_close(&self->high);
	if (self->made)
		EXPECT_EQ(0, wq_dm_remove(&self->dm));
	if (self->low.fd >= 0) {
		wq_disk_close(&self->low);
		EXPECT_EQ(0, wq_null_remove(NULL_INDEX));
	}
}

/* Puts a disk on top; %s in a target's parameters is the disk below. */
static int stack(struct wq_dm *dm, struct wq_disk *high, const char *type,
		 const char *format, __u64 sectors)
{
	struct wq_dm_target target = { 0, sectors, type };
	char params[WQ_PATH];
	int ret;

	snprintf(params, sizeof(params), format, "/dev/" NULL_DISK);
	target.params = params;
	ret = wq_dm_make(dm, "wq", &target, 1);
	return ret ? ret : wq_disk_open(high, dm->disk);
}

/* Both tell, the lower one first, each with its own sector. */
TEST_F_TIMEOUT(stacked, echo, PATIENCE)
{
	const struct wq_expected low = ERROR(&self->low, IO, READ, BAD, EIO);
	const struct wq_expected high = ERROR(&self->high, IO, READ, BAD - 1024, EIO,
					      .flags = NOTIFY_BLOCK_STACKED);

	ASSERT_EQ(0, stack(&self->dm, &self->high, "linear", "%s 1024", 8192));
	self->made = true;
	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(self->high.fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, BAD - 1024, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], low, high);

	ASSERT_EQ(0, wq_filter_echo(self->fds[0]));
	EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, BAD - 1024, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], low);
}

/* A disk that is made of nothing has nobody to blame. */
TEST_F_TIMEOUT(stacked, error_target, PATIENCE)
{
	ASSERT_EQ(0, stack(&self->dm, &self->high, "error", "", 8192));
	self->made = true;
	ASSERT_EQ(0, wq_filter_echo(self->fds[0]));
	EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, 16, WQ_IO_SECTORS));
	EXPECT_EQ(-EIO, wq_disk_write(self->high.fd, 24, 2));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->high, IO, READ, 16, EIO),
			  ERROR(&self->high, IO, WRITE, 24, EIO, .sectors = 2));
}

/* The disk below works, the one above says so. */
TEST_F_TIMEOUT(stacked, own_error, PATIENCE)
{
	if (stack(&self->dm, &self->high, "flakey", "%s 0 0 600 1 error_reads", 8192))
		SKIP(return, "CONFIG_DM_FLAKEY is not set");
	self->made = true;
	EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, 16, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->high, IO, READ, 16, EIO,
				.flags = NOTIFY_BLOCK_STACKED));
}

/*
 * A request over both halves of a disk, one of which fails:
 *
 *	 0         1024                       0         1024
 *	|  error  |  null_blk  |     and     |  null_blk  |  error  |
 *	     ^^^^^^^^^                            ^^^^^^^^^^^^^
 *
 * Either way one record covers it in whole.
 */
TEST_F_TIMEOUT(stacked, taken_in_parts, PATIENCE)
{
	struct wq_dm_target targets[2] = {
		{ .start = 0, .length = 1024 }, { .start = 1024, .length = 1024 },
	};
	int bad;

	for (bad = 0; bad < 2; bad++) {
		targets[bad].type = "error";
		targets[bad].params = "";
		targets[!bad].type = "linear";
		targets[!bad].params = "/dev/" NULL_DISK " 0";
		ASSERT_EQ(0, wq_dm_make(&self->dm, "wq", targets, 2));
		self->made = true;
		ASSERT_EQ(0, wq_disk_open(&self->high, self->dm.disk));
		EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, 1016, 16));
		WQ_EXPECT_RECORDS(self->fds[0],
				  ERROR(&self->high, IO, READ, 1016, EIO,
					.sectors = 16,
					.flags = NOTIFY_BLOCK_STACKED));
		wq_disk_close(&self->high);
		ASSERT_EQ(0, wq_dm_remove(&self->dm));
		self->made = false;
		WQ_EXPECT_NO_RECORDS(self->fds[0]);
	}
}

/* Three high: each tells once. */
TEST_F_TIMEOUT(stacked, three, PATIENCE)
{
	struct wq_dm_target target = { 0, 4096, "linear" };
	struct wq_disk top;
	struct wq_dm dm;
	char params[WQ_PATH];

	ASSERT_EQ(0, stack(&self->dm, &self->high, "linear", "%s 1024", 8192));
	self->made = true;
	snprintf(params, sizeof(params), "/dev/%s 512", self->high.name);
	target.params = params;
	ASSERT_EQ(0, wq_dm_make(&dm, "wq-top", &target, 1));
	ASSERT_EQ(0, wq_disk_open(&top, dm.disk));
	EXPECT_EQ(-EIO, wq_disk_read(top.fd, BAD - 1536, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->low, IO, READ, BAD, EIO),
			  ERROR(&self->high, IO, READ, BAD - 1024, EIO,
				.flags = NOTIFY_BLOCK_STACKED),
			  ERROR(&top, IO, READ, BAD - 1536, EIO,
				.flags = NOTIFY_BLOCK_STACKED));
	wq_disk_close(&top);
	EXPECT_EQ(0, wq_dm_remove(&dm));
}

/* Requests that are passed on as requests. */
TEST_F_TIMEOUT(stacked, multipath, PATIENCE)
{
	if (stack(&self->dm, &self->high, "multipath",
		  "0 0 1 1 round-robin 0 1 0 %s", 8192))
		SKIP(return, "CONFIG_DM_MULTIPATH is not set");
	self->made = true;
	/* A bad medium is no reason to try another path, but this is no such. */
	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(self->high.fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	EXPECT_EQ(-EIO, wq_disk_read(self->high.fd, BAD, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->low, IO, READ, BAD, EIO),
			  ERROR(&self->high, IO, READ, BAD, EIO,
				.flags = NOTIFY_BLOCK_STACKED));
}

/* Nor can one die that never was. */
TEST_F_TIMEOUT(stacked, without_a_table, PATIENCE)
{
	ASSERT_EQ(0, wq_dm_create(&self->dm, "wq-without"));
	EXPECT_EQ(0, wq_dm_remove(&self->dm));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
}

/* A disk that is taken down in order is not dead. */
TEST_F_TIMEOUT(stacked, removal_is_no_death, PATIENCE)
{
	ASSERT_EQ(0, stack(&self->dm, &self->high, "error", "", 8192));
	wq_disk_close(&self->high);
	EXPECT_EQ(0, wq_dm_remove(&self->dm));
	ASSERT_EQ(0, stack(&self->dm, &self->high, "linear", "%s 0", 8192));
	wq_disk_close(&self->high);
	EXPECT_EQ(0, wq_dm_remove(&self->dm));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
}

/* ---- md ---- */

#define MD_CHUNK	(64 << 10)
#define GOOD_INDEX	21
#define GOOD_DISK	"nullb21"

FIXTURE(md)
{
	int fds[2];
	struct wq_disk bad;
	struct wq_disk good;
	struct wq_disk array;
};

FIXTURE_SETUP(md)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->bad.fd = -EBADF;
	self->good.fd = -EBADF;
	self->array.fd = -EBADF;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH("/sys/module/md_mod", "CONFIG_BLK_DEV_MD");
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	ASSERT_EQ(0, wq_null_begin(NULL_INDEX, "1", true));
	ASSERT_EQ(0, wq_disk_open(&self->bad, NULL_DISK));
	ASSERT_EQ(0, wq_null_begin(GOOD_INDEX, "1", false));
	ASSERT_EQ(0, wq_disk_open(&self->good, GOOD_DISK));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(md)
{
	wq_close(self->fds);
	if (self->array.fd >= 0) {
		EXPECT_EQ(0, wq_ioctl(self->array.fd, STOP_ARRAY, 0));
		wq_disk_close(&self->array);
	}
	if (self->good.fd >= 0) {
		wq_disk_close(&self->good);
		EXPECT_EQ(0, wq_null_remove(GOOD_INDEX));
	}
	if (self->bad.fd >= 0) {
		wq_disk_close(&self->bad);
		EXPECT_EQ(0, wq_null_remove(NULL_INDEX));
	}
}

/* Makes the array of the bad disk and the good one, without superblocks. */
static int md_make(struct wq_disk *array, int level, dev_t bad, dev_t good)
{
	mdu_array_info_t info = {
		.major_version	= 0,
		.minor_version	= 90,
		.level		= level,
		.size		= 32 << 10,
		.nr_disks	= 2,
		.raid_disks	= 2,
		.not_persistent	= 1,
		.state		= 1 << MD_SB_CLEAN,
		.active_disks	= 2,
		.working_disks	= 2,
		.chunk_size	= level ? 0 : MD_CHUNK,
	};
	const dev_t devs[] = { bad, good };
	int i, ret;

	ret = wq_write_to("/sys/module/md_mod/parameters/new_array", "md_wq");
	if (!ret)
		ret = wq_disk_open(array, "md_wq");
	if (!ret)
		ret = wq_ioctl(array->fd, SET_ARRAY_INFO, (unsigned long)&info);
	for (i = 0; i < 2 && !ret; i++) {
		mdu_disk_info_t disk = {
			.number		= i,
			.major		= major(devs[i]),
			.minor		= minor(devs[i]),
			.raid_disk	= i,
			.state		= 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC,
		};

		ret = wq_ioctl(array->fd, ADD_NEW_DISK, (unsigned long)&disk);
	}
	return ret ? ret : wq_ioctl(array->fd, RUN_ARRAY, 0);
}

/*
 * Stripes: the array's sector is elsewhere than the disk's.  What lies over two
 * stripes is two bios, of which the first has failed and the second is fine; but
 * that is the rest of the one that was asked for, which failed.
 */
TEST_F_TIMEOUT(md, stripes, PATIENCE)
{
	const __u64 chunk = MD_CHUNK / WQ_SECTOR;
	/* The first disk has every other chunk. */
	const __u64 bad = BAD * 2;
	int ret;

	ret = md_make(&self->array, 0, self->bad.dev, self->good.dev);
	if (ret == -EINVAL)
		SKIP(return, "CONFIG_MD_RAID0 is not set");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, wq_disk_seq("md_wq", &self->array.seq));
	ASSERT_EQ(0, wq_forget(self->fds[0]));

	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(self->array.fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	EXPECT_EQ(-EIO, wq_disk_read(self->array.fd, bad, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->bad, IO, READ, BAD, EIO),
			  ERROR(&self->array, IO, READ, bad, EIO,
				.flags = NOTIFY_BLOCK_STACKED));

	/* BAD + 56 is still bad, and the last of its chunk is beyond. */
	EXPECT_EQ(-EIO, wq_disk_read(self->array.fd, bad + 56, chunk));
	WQ_EXPECT_RECORDS(self->fds[0],
			  ERROR(&self->bad, IO, READ, BAD + 56, EIO,
				.sectors = chunk - 56),
			  ERROR(&self->array, IO, READ, bad + 56, EIO,
				.sectors = chunk - 56,
				.flags = NOTIFY_BLOCK_STACKED),
			  ERROR(&self->array, IO, READ, bad + 56, EIO,
				.sectors = chunk,
				.flags = NOTIFY_BLOCK_STACKED));
}

/* Mirrors: the array helps itself, and has nothing to tell. */
TEST_F_TIMEOUT(md, mirrors, PATIENCE)
{
	union wq_any_record r;
	int i, ret, told = 0;

	ret = md_make(&self->array, 1, self->bad.dev, self->good.dev);
	if (ret == -EINVAL)
		SKIP(return, "CONFIG_MD_RAID1 is not set");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, wq_forget(self->fds[0]));

	/* Which disk is read is the array's choice, but all are written. */
	for (i = 0; i < 8; i++)
		EXPECT_EQ(WQ_IO_SIZE,
			  wq_disk_write(self->array.fd, BAD, WQ_IO_SECTORS));
	while (!(ret = wq_next_record(self->fds[0], &r, 0))) {
		if (r.watch.subtype != NOTIFY_BLOCK_ERROR_IO)
			continue;
		EXPECT_EQ(self->bad.dev, r.block.dev);
		EXPECT_EQ(BAD, r.block.sector);
		told++;
	}
	EXPECT_EQ(-ETIMEDOUT, ret);
	EXPECT_LE(1, told);
}

/* ---- The machine's disks, which QEMU's blkdebug makes fail ---- */

/*
 * Disks of QEMU's that fail to read sector 2048 (EIO), to write sector 4096 (ENOSPC),
 * and to flush; see qemu/lib.sh.
 */
#define HOST_BAD_READ	2048
#define HOST_BAD_WRITE	4096

FIXTURE(host)
{
	int fds[2];
	struct wq_disk disk;
};

FIXTURE_VARIANT(host)
{
	const char *serial;
	unsigned int read;
	int read_error;
	unsigned int write;
	int write_error;
};

/* virtio knows one error. */
FIXTURE_VARIANT_ADD(host, virtio)
{
	.serial		= "wq-virtio",
	.read		= NOTIFY_BLOCK_ERROR_IO,
	.read_error	= EIO,
	.write		= NOTIFY_BLOCK_ERROR_IO,
	.write_error	= EIO,
};

/* NVMe has an unrecovered read error and a write fault. */
FIXTURE_VARIANT_ADD(host, nvme)
{
	.serial		= "wq-nvme",
	.read		= NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
	.read_error	= ENODATA,
	.write		= NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
	.write_error	= ENODATA,
};

FIXTURE_SETUP(host)
{
	char name[WQ_DISK_NAME];

	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	self->disk.fd = -EBADF;
	WQ_REQUIRE_BLOCK();
	if (wq_disk_by_serial(variant->serial, name, sizeof(name)))
		SKIP(return, "the machine has no disk %s", variant->serial);
	ASSERT_EQ(0, wq_disk_open(&self->disk, name));
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(host)
{
	wq_close(self->fds);
	wq_disk_close(&self->disk);
}

TEST_F_TIMEOUT(host, told_once, PATIENCE)
{
	const struct wq_expected read = {
		.disk		= &self->disk,
		.subtype	= variant->read,
		.operation	= NOTIFY_BLOCK_OP_READ,
		.sector		= HOST_BAD_READ,
		.sectors	= WQ_IO_SECTORS,
		.status		= -variant->read_error,
	};
	const struct wq_expected write = {
		.disk		= &self->disk,
		.subtype	= variant->write,
		.operation	= NOTIFY_BLOCK_OP_WRITE,
		.sector		= HOST_BAD_WRITE,
		.sectors	= WQ_IO_SECTORS,
		.status		= -variant->write_error,
	};
	int fd = self->disk.fd;

	EXPECT_EQ(WQ_IO_SIZE, wq_disk_read(fd, 0, WQ_IO_SECTORS));
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	EXPECT_EQ(-variant->read_error,
		  wq_disk_read(fd, HOST_BAD_READ, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], read);
	EXPECT_EQ(-variant->write_error,
		  wq_disk_write(fd, HOST_BAD_WRITE, WQ_IO_SECTORS));
	WQ_EXPECT_RECORDS(self->fds[0], write);
}

TEST_F_TIMEOUT(host, flush, PATIENCE)
{
	union wq_any_record recs[4];

	EXPECT_GT(0, wq_errno(fdatasync(self->disk.fd)));
	ASSERT_EQ(1, wq_collect(self->fds[0], recs, 4));
	EXPECT_EQ(self->disk.dev, recs[0].block.dev);
	EXPECT_EQ(NOTIFY_BLOCK_OP_FLUSH, recs[0].block.operation);
	EXPECT_EQ(0, recs[0].block.sector);
	EXPECT_EQ(0, recs[0].block.sectors);
}

static bool has_seq(const char *name, const void *seq)
{
	__u64 found;

	return !wq_disk_seq(name, &found) && found == *(const __u64 *)seq;
}

/*
 * A namespace with two paths: the path's disk is hidden and has no device file, but
 * it is the one that fails, and diskseq finds it.
 */
TEST_F_TIMEOUT(block, hidden_path, PATIENCE)
{
	char name[WQ_DISK_NAME], path[WQ_PATH];
	union wq_any_record recs[4];
	struct wq_disk disk;
	__u64 seq;

	WQ_REQUIRE_PATH("/sys/module/nvme_core/parameters/multipath",
			"CONFIG_NVME_MULTIPATH");
	if (wq_disk_by_serial("wq-paths", name, sizeof(name)))
		SKIP(return, "the machine has no disk wq-paths");
	ASSERT_EQ(0, wq_disk_open(&disk, name));
	EXPECT_EQ(-ENODATA, wq_disk_read(disk.fd, HOST_BAD_READ, WQ_IO_SECTORS));
	ASSERT_EQ(1, wq_collect(self->fds[0], recs, 4));
	EXPECT_EQ(NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM, (int)recs[0].watch.subtype);
	EXPECT_EQ(HOST_BAD_READ, recs[0].block.sector);
	EXPECT_EQ(WQ_IO_SECTORS, recs[0].block.sectors);
	EXPECT_EQ(-ENODATA, recs[0].block.status);
	EXPECT_NE(disk.seq, recs[0].block.diskseq);

	seq = recs[0].block.diskseq;
	ASSERT_EQ(0, wq_disk_find(has_seq, &seq, name, sizeof(name)));
	snprintf(path, sizeof(path), "/dev/%s", name);
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(0, strncmp(name, "nvme", 4));
	wq_disk_close(&disk);
}

TEST_HARNESS_MAIN
