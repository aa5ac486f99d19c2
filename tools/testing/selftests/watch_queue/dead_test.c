// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that dies is told of once.
 *
 * The disk cannot be brought back, and the base's NVMe driver leaves its queues frozen
 * by a worker that has gone on to other work, which lockdep minds from then on.  So
 * run this last.
 */

#include "../kselftest_harness.h"
#include "watch_queue_block.h"

FIXTURE(dead)
{
	int fds[2];
};

FIXTURE_SETUP(dead)
{
	self->fds[0] = -EBADF;
	self->fds[1] = -EBADF;
	WQ_REQUIRE_BLOCK();
	ASSERT_EQ(0, wq_pipe_with_disks(self->fds, 256));
}

FIXTURE_TEARDOWN(dead)
{
	wq_close(self->fds);
}

/*
 * A controller that does not answer any more.  Its registers are moved away under
 * the driver's feet, so that the reset which is asked for then fails.
 */
TEST_F_TIMEOUT(dead, nvme, 120)
{
	/* Where there is neither memory nor a device. */
	__u32 nowhere = 0xd0000000;
	union wq_any_record r;
	char name[WQ_DISK_NAME], path[WQ_PATH];
	struct wq_disk disk;
	int fd;

	if (wq_disk_by_serial("wq-nvme", name, sizeof(name)))
		SKIP(return, "the machine has no disk wq-nvme");
	ASSERT_EQ(0, wq_disk_open(&disk, name));
	snprintf(path, sizeof(path), "/sys/block/%s/device/device/config", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, pwrite(fd, &nowhere, 4, 0x10));
	close(fd);
	snprintf(path, sizeof(path), "/sys/block/%s/device/reset_controller", name);
	wq_file_write(path, "1");

	ASSERT_EQ(0, wq_await_disk(self->fds[0], &r, disk.dev, NOTIFY_BLOCK_DEAD));
	EXPECT_EQ(disk.seq, r.block.diskseq);
	EXPECT_EQ(0, r.watch.info & NOTIFY_BLOCK_STACKED);
	EXPECT_EQ(0, r.block.sector);
	EXPECT_EQ(0, r.block.sectors);
	EXPECT_EQ(NOTIFY_BLOCK_OP_NONE, r.block.operation);
	EXPECT_EQ(0, r.block.status);
	EXPECT_EQ(0, r.block.__reserved);
	EXPECT_GE(0, wq_disk_read(disk.fd, 0, WQ_IO_SECTORS));
	/* It is dead once, and of the dead nothing more is told. */
	WQ_EXPECT_NO_RECORDS(self->fds[0]);
	wq_disk_close(&disk);
}

TEST_HARNESS_MAIN
