// SPDX-License-Identifier: GPL-2.0
/*
 * A disk on which reads fail, made by null_blk.
 *
 * It answers in the caller's context, without an interrupt, and what it is told
 * to fail fails, so each read costs the same.
 */

#include "bench.h"
#include "watch_queue_devices.h"
#include <stdalign.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CONFIGFS	"/sys/kernel/config"
#define DISK		CONFIGFS "/nullb/" DISK_NAME

#define SECTOR		512
#define BAD_SECTOR	8

static int disk;

static void configure(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DISK "/%s", name);
	no_error(path, wq_file_write(path, value));
}

bool disk_make(void)
{
	int ret;

	ret = wq_errno(mount("none", CONFIGFS, "configfs", 0, NULL));
	if (ret == -ENOENT || ret == -ENODEV)
		return false;
	if (ret != -EBUSY)
		no_error(CONFIGFS, ret);
	ret = wq_errno(mkdir(DISK, 0700));
	if (ret == -ENOENT || ret == -EPERM)
		return false;
	no_error(DISK, ret);

	configure("size", "1");
	configure("blocksize", "512");
	configure("irqmode", "0");
	configure("power", "1");
	/* Not before there is the disk, which is looked at for partitions. */
	configure("badblocks", "+8-8");

	disk = no_error("/dev/" DISK_NAME,
			wq_errno(open("/dev/" DISK_NAME, O_RDONLY | O_DIRECT)));
	return true;
}

void disk_remove(void)
{
	close(disk);
	configure("power", "0");
	no_error(DISK, wq_errno(rmdir(DISK)));
}

void op_disk_fail(void *arg)
{
	/* Aligned for O_DIRECT. */
	static alignas(SECTOR) char buffer[SECTOR];

	expect("pread of a bad sector",
	       wq_errno(pread(disk, buffer, SECTOR, BAD_SECTOR * SECTOR)), -EIO);
}

bool disk_is_told_of(void)
{
	struct watch_queue_info info = { .size = sizeof(info) };
	int fds[2], ret;

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, 0));
	ret = wq_get_info(fds[0], &info);
	wq_close(fds);
	return !ret && info.types >> WATCH_TYPE_BLOCK_NOTIFY & 1;
}
