/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of block devices share: disks that can be made to fail, and the
 * records that come of it.  Include it after kselftest_harness.h.
 *
 * The I/O is direct and of one request, and a request is told of before it is
 * answered: when a read has failed, its records can be read, and no more will come.
 *
 * As elsewhere, what can fail returns the negative error.
 */
#ifndef WATCH_QUEUE_BLOCK_H
#define WATCH_QUEUE_BLOCK_H

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/ublk_cmd.h>

#include "watch_queue_devices.h"

#define WQ_SECTOR	512
#define WQ_TAG		0xb1
#define WQ_IO_SIZE	4096
#define WQ_IO_SECTORS	(WQ_IO_SIZE / WQ_SECTOR)
#define WQ_IO_MAX	(64 * WQ_IO_SIZE)

#define WQ_DISK_NAME	(NAME_MAX + 1)
#define WQ_PATH		(NAME_MAX + 128)

#define WQ_CONFIGFS	"/sys/kernel/config"
#define WQ_TRACEFS	"/sys/kernel/tracing"
#define WQ_SCSI		"/sys/bus/pseudo/drivers/scsi_debug"

/* Leave the test where block devices tell nothing, or the tester may not. */
#define WQ_REQUIRE_BLOCK() do {						\
	WQ_REQUIRE_ROOT();						\
	WQ_REQUIRE_TYPE(WATCH_TYPE_BLOCK_NOTIFY,			\
			"CONFIG_BLK_NOTIFICATIONS");			\
	wq_mount("configfs", WQ_CONFIGFS);				\
	wq_mount("tracefs", WQ_TRACEFS);				\
	wq_mount("debugfs", "/sys/kernel/debug");			\
} while (0)

/* Whether it is there, is mounted already or cannot be is seen when it is used. */
static inline void wq_mount(const char *type, const char *where)
{
	mount(type, where, type, 0, NULL);
}

/* Waits until @path is there. */
static inline int wq_await_path(const char *path)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (access(path, F_OK)) {
		if (wq_now_ms() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

/* As printf(), into a file. */
static inline __printf(2, 3)
int wq_write_to(const char *path, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return wq_file_write(path, text);
}

static inline int wq_read_from(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return len;
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	text[len] = 0;
	return len;
}

/* ---- Disks ---- */

/* A disk that is open. */
struct wq_disk {
	char	name[WQ_DISK_NAME];	/* as in /sys/block */
	int	fd;		/* for direct I/O */
	dev_t	dev;		/* its device file's */
	__u64	seq;		/* its sequence number */
};

static inline int wq_disk_seq(const char *name, __u64 *seq)
{
	char path[WQ_PATH];

	*seq = 0;
	snprintf(path, sizeof(path), "/sys/block/%s/diskseq", name);
	return wq_file_read_u64(path, seq);
}

/*
 * @name is as in /sys/block, and the disk's file comes any moment now.  It comes a
 * moment before the disk can be opened (ENXIO).
 */
static inline int wq_disk_open_flags(struct wq_disk *disk, const char *name, int flags)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	struct stat st;
	char path[WQ_PATH];

	snprintf(disk->name, sizeof(disk->name), "%s", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	while ((disk->fd = open(path, flags | O_DIRECT | O_CLOEXEC)) < 0) {
		if ((errno != ENOENT && errno != ENXIO) || wq_now_ms() > end)
			return -errno;
		usleep(1000);
	}
	if (fstat(disk->fd, &st))
		return -errno;
	disk->dev = st.st_rdev;
	return wq_disk_seq(name, &disk->seq);
}

static inline int wq_disk_open(struct wq_disk *disk, const char *name)
{
	return wq_disk_open_flags(disk, name, O_RDWR);
}

static inline void wq_disk_close(struct wq_disk *disk)
{
	if (disk->fd >= 0)
		wq_close_end(&disk->fd);
}

/* Finds a disk of which @is_it says so, and puts its name into @name. */
static inline int wq_disk_find(bool (*is_it)(const char *name, const void *arg),
			       const void *arg, char *name, size_t size)
{
	struct dirent *entry;
	int ret = -ENOENT;
	DIR *dir;

	dir = opendir("/sys/block");
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !is_it(entry->d_name, arg))
			continue;
		snprintf(name, size, "%s", entry->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

/* Whether the disk's @attr has that text. */
static inline bool wq_disk_attr_is(const char *name, const char *attr, const char *want)
{
	char path[WQ_PATH], text[64];

	snprintf(path, sizeof(path), "/sys/block/%s/%s", name, attr);
	return wq_read_from(path, text, sizeof(text)) >= 0 && !strcmp(text, want);
}

static inline bool wq_disk_has_serial(const char *name, const void *serial)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), "/dev/%s", name);
	return !access(path, F_OK) && (wq_disk_attr_is(name, "serial", serial) ||
				       wq_disk_attr_is(name, "device/serial", serial));
}

/* Finds the disk of that serial number, which the machine has been given. */
static inline int wq_disk_by_serial(const char *serial, char *name, size_t size)
{
	return wq_disk_find(wq_disk_has_serial, serial, name, size);
}

static inline int wq_queue_set(const char *disk, const char *attr, const char *text)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), "/sys/block/%s/queue/%s", disk, attr);
	return wq_file_write(path, text);
}

/* What direct I/O needs, WQ_IO_MAX bytes; one for each thread that does any. */
static inline void *wq_io_buffer(void)
{
	static __thread void *buffer;

	if (!buffer)
		buffer = aligned_alloc(WQ_IO_SIZE, WQ_IO_MAX);
	return buffer;
}

static inline ssize_t wq_disk_read(int fd, __u64 sector, size_t sectors)
{
	return wq_errno(pread(fd, wq_io_buffer(), sectors * WQ_SECTOR,
			      sector * WQ_SECTOR));
}

static inline ssize_t wq_disk_write(int fd, __u64 sector, size_t sectors)
{
	return wq_errno(pwrite(fd, wq_io_buffer(), sectors * WQ_SECTOR,
			       sector * WQ_SECTOR));
}

/* ioctl() with the range that BLKDISCARD and its like take. */
static inline int wq_disk_range(int fd, unsigned long cmd, __u64 sector,
				__u64 sectors)
{
	__u64 range[2] = { sector * WQ_SECTOR, sectors * WQ_SECTOR };

	return wq_ioctl(fd, cmd, (unsigned long)range);
}

/* ---- Records ---- */

/* Hears of no others than disks, and of these nothing that has one of @flags. */
static inline int wq_filter_disks(int fd, __u32 flags)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters	= 1,
		.rule.type		= WATCH_TYPE_BLOCK_NOTIFY,
		.rule.info_filter	= 0,
		.rule.info_mask		= flags,
	};

	memset(filter.rule.subtype_filter, 0xff, sizeof(filter.rule.subtype_filter));
	return wq_set_filter(fd, &filter);
}

/* Makes a pipe that watches devices, and hears of no others than disks. */
static inline int wq_pipe_with_disks(int fds[2], unsigned long depth)
{
	int ret;

	ret = wq_pipe_with_devices(fds, depth, WQ_TAG);
	if (!ret)
		ret = wq_filter_disks(fds[0], 0);
	return ret;
}

/* Hears no more of what is the echo of another disk's error. */
static inline int wq_filter_echo(int fd)
{
	return wq_filter_disks(fd, NOTIFY_BLOCK_STACKED);
}

/* Reads what is there now; returns how many. */
static inline int wq_collect(int fd, union wq_any_record *recs, int max)
{
	int n, ret;

	for (n = 0; n < max; n++) {
		ret = wq_next_record(fd, &recs[n], 0);
		if (ret == -ETIMEDOUT)
			break;
		if (ret)
			return ret;
	}
	return n;
}

/* Reads away what is there now. */
static inline int wq_forget(int fd)
{
	union wq_any_record r;
	int ret;

	while (!(ret = wq_next_record(fd, &r, 0)))
		;
	return ret == -ETIMEDOUT ? 0 : ret;
}

/* A record as it has to be. */
struct wq_expected {
	const struct wq_disk	*disk;
	unsigned int		subtype;
	unsigned int		flags;		/* NOTIFY_BLOCK_STACKED or 0 */
	unsigned int		operation;
	__u64			sector;
	unsigned int		sectors;
	int			status;
};

/* The first field in which the record is another, or NULL. */
static inline
const char *wq_differs(const union wq_any_record *r, const struct wq_expected *e)
{
	if (r->watch.type != WATCH_TYPE_BLOCK_NOTIFY)
		return "type";
	if (r->watch.subtype != e->subtype)
		return "subtype";
	if (r->watch.info != (sizeof(r->block) << WATCH_INFO_LENGTH__SHIFT |
			      WQ_TAG << WATCH_INFO_ID__SHIFT | e->flags))
		return "info";
	if (r->block.dev != e->disk->dev ||
	    major(r->block.dev) != major(e->disk->dev) ||
	    minor(r->block.dev) != minor(e->disk->dev))
		return "dev";
	if (r->block.operation != e->operation)
		return "operation";
	if (r->block.sector != e->sector)
		return "sector";
	if (r->block.sectors != e->sectors)
		return "sectors";
	if (r->block.status != e->status)
		return "status";
	if (r->block.__reserved)
		return "__reserved";
	if (r->block.diskseq != e->disk->seq)
		return "diskseq";
	return NULL;
}

static inline void wq_show_block(const union wq_any_record *r)
{
	fprintf(stderr, "#   type %u subtype %u info %#x dev %u:%u sector %llu+%u",
		r->watch.type, r->watch.subtype, r->watch.info,
		major(r->block.dev), minor(r->block.dev),
		(unsigned long long)r->block.sector, r->block.sectors);
	fprintf(stderr, " operation %u status %d diskseq %llu\n",
		r->block.operation, r->block.status,
		(unsigned long long)r->block.diskseq);
}

/*
 * Reads all there is, which has to be these @nr records in this order.  Returns
 * NULL or says what is wrong.
 */
static inline
const char *wq_unlike(int fd, const struct wq_expected *e, int nr)
{
	union wq_any_record recs[32];
	const char *wrong = NULL;
	int i, n;

	n = wq_collect(fd, recs, 32);
	if (n < 0)
		return "they cannot be read";
	if (n != nr)
		wrong = n < nr ? "too few records" : "too many records";
	for (i = 0; i < nr && !wrong; i++)
		wrong = wq_differs(&recs[i], &e[i]);
	if (wrong)
		for (i = 0; i < n; i++)
			wq_show_block(&recs[i]);
	return wrong;
}

/* The records that are there, all and in order; for use in a test. */
#define WQ_EXPECT_RECORDS(fd, ...) do {					\
	const struct wq_expected __e[] = { __VA_ARGS__ };		\
	const char *__wrong = wq_unlike(fd, __e,			\
					ARRAY_SIZE(__e));	\
									\
	EXPECT_EQ(NULL, __wrong) {					\
		TH_LOG("wrong: %s", __wrong);				\
	}								\
} while (0)

#define WQ_EXPECT_NO_RECORDS(fd) do {					\
	const char *__wrong = wq_unlike(fd, NULL, 0);			\
									\
	EXPECT_EQ(NULL, __wrong) {					\
		TH_LOG("wrong: %s", __wrong);				\
	}								\
} while (0)

/* Which disk, and what of it; for wq_await(). */
struct wq_disk_event {
	__u64		dev;
	unsigned int	subtype;
};

static inline bool wq_is_disk_event(const union wq_any_record *r, const void *arg)
{
	const struct wq_disk_event *event = arg;

	return r->watch.type == WATCH_TYPE_BLOCK_NOTIFY &&
	       r->watch.subtype == event->subtype && r->block.dev == event->dev;
}

static inline int wq_await_disk(int fd, union wq_any_record *r, dev_t dev,
				unsigned int subtype)
{
	struct wq_disk_event event = { dev, subtype };

	return wq_await(fd, r, wq_is_disk_event, &event);
}

/* ---- null_blk: a disk that is not there ---- */

static inline int wq_null_remove(unsigned int index)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), WQ_CONFIGFS "/nullb/nullb%u", index);
	return wq_errno(rmdir(path));
}

/*
 * Makes the directory that becomes the disk nullb<@index>, of which a test that was
 * aborted may have left one.
 */
static inline int wq_null_make(unsigned int index)
{
	char path[WQ_PATH];

	wq_null_remove(index);
	snprintf(path, sizeof(path), WQ_CONFIGFS "/nullb/nullb%u", index);
	return wq_errno(mkdir(path, 0755));
}

static inline int wq_null_set(unsigned int index, const char *attr, const char *text)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), WQ_CONFIGFS "/nullb/nullb%u/%s", index, attr);
	return wq_file_write(path, text);
}

/* The first of the sectors that fail where there are any. */
#define WQ_NULL_BAD	2048

/*
 * Makes the disk nullb<@index>, of 64 MiB, which completes requests as @irqmode
 * says: "0" at once, "1" in soft interrupts, "2" in hard ones.  If @bad, some of its
 * sectors fail.
 */
static inline int wq_null_begin(unsigned int index, const char *irqmode, bool bad)
{
	int ret = wq_null_make(index);

	if (!ret)
		ret = wq_null_set(index, "size", "64");
	if (!ret)
		ret = wq_null_set(index, "irqmode", irqmode);
	if (!ret && bad)
		ret = wq_null_set(index, "badblocks", "+2048-2111");
	if (!ret)
		ret = wq_null_set(index, "power", "1");
	return ret;
}

/* ---- loop: a disk that is a file ---- */

/*
 * Makes @file, of @size bytes, a disk, whose name is put in @name; @flags are
 * LO_FLAGS_*.
 */
static inline int wq_loop_attach(const char *file, off_t size, __u32 flags,
				 char *name, size_t len)
{
	struct loop_config config = { .info.lo_flags = flags };
	int control, loop, fd, nr, ret;
	char path[WQ_PATH];

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return -errno;
	nr = wq_ioctl(control, LOOP_CTL_GET_FREE, 0);
	close(control);
	if (nr < 0)
		return nr;
	snprintf(name, len, "loop%d", nr);
	snprintf(path, sizeof(path), "/dev/%s", name);
	ret = wq_await_path(path);
	if (ret)
		return ret;

	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (loop < 0 || ftruncate(fd, size)) {
		ret = -errno;
	} else {
		config.fd = fd;
		config.block_size = WQ_SECTOR;
		ret = wq_ioctl(loop, LOOP_CONFIGURE, (unsigned long)&config);
	}
	close(fd);
	if (loop >= 0)
		close(loop);
	return ret;
}

static inline int wq_loop_detach(const char *name)
{
	char path[WQ_PATH];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = wq_ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
	return ret;
}

/* ---- device mapper: a disk that is made of others ---- */

struct wq_dm {
	char	name[32];	/* the device mapper's own */
	char	disk[WQ_DISK_NAME];	/* as in /sys/block */
	__u64	dev;
};

struct wq_dm_target {
	__u64		start;
	__u64		length;
	const char	*type;
	const char	*params;
};

static inline int wq_dm_ioctl(unsigned long cmd, struct wq_dm *dm, __u32 flags,
			      const struct wq_dm_target *targets, int nr)
{
	union {
		struct dm_ioctl	io;
		char		bytes[4096];
	} arg;
	struct dm_target_spec *spec;
	size_t at = sizeof(arg.io);
	int fd, i, ret;

	memset(&arg, 0, sizeof(arg));
	arg.io.version[0] = DM_VERSION_MAJOR;
	arg.io.data_size = sizeof(arg);
	arg.io.data_start = sizeof(arg.io);
	arg.io.flags = flags;
	arg.io.target_count = nr;
	snprintf(arg.io.name, sizeof(arg.io.name), "%s", dm->name);
	for (i = 0; i < nr; i++) {
		spec = (void *)(arg.bytes + at);
		spec->sector_start = targets[i].start;
		spec->length = targets[i].length;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s",
			 targets[i].type);
		at += sizeof(*spec);
		at += snprintf(arg.bytes + at, sizeof(arg) - at, "%s",
			       targets[i].params) + 1;
		at = (at + 7) & ~7UL;
		spec->next = arg.bytes + at - (char *)spec;
	}

	fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = wq_ioctl(fd, cmd, (unsigned long)&arg);
	close(fd);
	if (!ret)
		dm->dev = arg.io.dev;
	return ret;
}

static inline int wq_dm_remove(struct wq_dm *dm)
{
	return wq_dm_ioctl(DM_DEV_REMOVE, dm, 0, NULL, 0);
}

/* Makes a disk that has no table yet and so is not there. */
static inline int wq_dm_create(struct wq_dm *dm, const char *name)
{
	memset(dm, 0, sizeof(*dm));
	snprintf(dm->name, sizeof(dm->name), "%s", name);
	return wq_dm_ioctl(DM_DEV_CREATE, dm, 0, NULL, 0);
}

/* Makes a disk of the @nr @targets; dm->disk is its name. */
static inline int wq_dm_make(struct wq_dm *dm, const char *name,
			     const struct wq_dm_target *targets, int nr)
{
	int ret;

	ret = wq_dm_create(dm, name);
	if (ret)
		return ret;
	snprintf(dm->disk, sizeof(dm->disk), "dm-%u", minor(dm->dev));
	ret = wq_dm_ioctl(DM_TABLE_LOAD, dm, 0, targets, nr);
	if (!ret)
		ret = wq_dm_ioctl(DM_DEV_SUSPEND, dm, 0, NULL, 0);
	if (ret)
		wq_dm_remove(dm);
	return ret;
}

/* ---- scsi_debug: a SCSI disk whose every command can be made to fail ---- */

static inline bool wq_scsi_is_debug(const char *name, const void *unused)
{
	return wq_disk_attr_is(name, "device/model", "scsi_debug");
}

/* Finds the disk of scsi_debug's only host. */
static inline int wq_scsi_find(char *name, size_t size, char *address, size_t len)
{
	char path[WQ_PATH];
	char *link;
	int ret;

	ret = wq_disk_find(wq_scsi_is_debug, NULL, name, size);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/block/%s/device", name);
	link = realpath(path, NULL);
	if (!link)
		return -errno;
	snprintf(address, len, "%s", strrchr(link, '/') + 1);
	free(link);
	return 0;
}

/* Writes to @attr of the SCSI device. */
static inline int wq_scsi_set(const char *address, const char *attr, const char *text)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), "/sys/bus/scsi/devices/%s/%s", address, attr);
	return wq_file_write(path, text);
}

/* Removes all hosts that there are. */
static inline int wq_scsi_remove(void)
{
	__u64 hosts = 0;
	int ret;

	ret = wq_file_read_u64(WQ_SCSI "/add_host", &hosts);
	if (ret || !hosts)
		return ret;
	return wq_write_to(WQ_SCSI "/add_host", "-%llu", (unsigned long long)hosts);
}

/* Adds a host, whose disk is then @name, and @address its SCSI address. */
static inline int wq_scsi_add(char *name, size_t size, char *address, size_t len)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int ret;

	ret = wq_scsi_remove();
	if (!ret)
		ret = wq_write_to(WQ_SCSI "/add_host", "1");
	if (ret)
		return ret;
	while ((ret = wq_scsi_find(name, size, address, len)) == -ENOENT) {
		if (wq_now_ms() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	/* This waits for the driver's probing, which reads the partition table. */
	return ret ? ret : wq_scsi_set(address, "rescan", "1");
}

/*
 * Has all further commands of that code answered so, until wq_scsi_heal(): host
 * byte, status byte, and the sense.
 */
struct wq_scsi_answer {
	unsigned int	command;
	unsigned int	host;
	unsigned int	status;
	unsigned int	key;
	unsigned int	asc;
	unsigned int	ascq;
};

static inline int wq_scsi_hurt(const char *address, const struct wq_scsi_answer *a)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), "/sys/kernel/debug/scsi_debug/%s/error", address);
	return wq_write_to(path, "2 -100 0x%x 0x%x 0 0x%x 0x%x 0x%x 0x%x", a->command,
			   a->host, a->status, a->key, a->asc, a->ascq);
}

static inline int wq_scsi_heal(const char *address, unsigned int command)
{
	char path[WQ_PATH];

	snprintf(path, sizeof(path), "/sys/kernel/debug/scsi_debug/%s/error", address);
	return wq_write_to(path, "- 2 0x%x", command);
}

/* ---- io_uring, as little as ublk takes ---- */

struct wq_uring {
	int			fd;
	unsigned int		entries;
	unsigned int		sqe_size;
	unsigned int		*sq_tail, *sq_mask, *sq_array;
	unsigned int		*cq_head, *cq_tail, *cq_mask;
	char			*sqes;
	struct io_uring_cqe	*cqes;
};

static inline int wq_uring_open(struct wq_uring *ring, unsigned int entries,
				unsigned int flags)
{
	struct io_uring_params p = { .flags = flags };
	size_t sq_size, cq_size;
	char *sq, *cq;

	ring->fd = syscall(__NR_io_uring_setup, entries, &p);
	if (ring->fd < 0)
		return -errno;
	ring->entries = p.sq_entries;
	ring->sqe_size = flags & IORING_SETUP_SQE128 ? 128 : 64;
	sq_size = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	sq = mmap(NULL, sq_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		  ring->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		  ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p.sq_entries * ring->sqe_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -errno;
	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
	return 0;
}

/* Queues a command to the driver of @fd; there is always room. */
static inline void wq_uring_command(struct wq_uring *ring, int fd, unsigned int op,
				    const void *cmd, size_t size, __u64 data)
{
	unsigned int tail = *ring->sq_tail, at = tail & *ring->sq_mask;
	struct io_uring_sqe *sqe = (void *)(ring->sqes + at * ring->sqe_size);

	memset(sqe, 0, ring->sqe_size);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = op;
	sqe->user_data = data;
	memcpy(sqe->cmd, cmd, size);
	ring->sq_array[at] = at;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

static inline int wq_uring_enter(struct wq_uring *ring, unsigned int submit,
				 unsigned int wait)
{
	return wq_errno(syscall(__NR_io_uring_enter, ring->fd, submit, wait,
				IORING_ENTER_GETEVENTS, NULL, 0));
}

static inline bool wq_uring_reap(struct wq_uring *ring, struct io_uring_cqe *cqe)
{
	unsigned int head = *ring->cq_head;

	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = ring->cqes[head & *ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* ---- ublk: a disk whose requests this program answers ---- */

#define WQ_UBLK_DEPTH	4
#define WQ_UBLK_SECTORS	(16 << 11)	/* 16 MiB */
#define WQ_UBLK_BUFFER	(512 << 10)

struct wq_ublk {
	int		id;
	char		disk[WQ_DISK_NAME];
	struct wq_uring	control;
	int		control_fd;
	pthread_t	server;
	int		server_ret;
	int		ready;
	/*
	 * What requests that touch this range are answered with, if it is not 0;
	 * set while there are none.
	 */
	int		error;
	__u64		from, to;
};

static inline int wq_ublk_control(struct wq_ublk *u, unsigned int op,
				  void *buf, unsigned int len, __u64 data)
{
	struct ublksrv_ctrl_cmd cmd = {
		.dev_id		= u->id,
		.queue_id	= (__u16)-1,
		.addr		= (unsigned long)buf,
		.len		= len,
		.data		= { data },
	};
	struct io_uring_cqe cqe;
	int ret;

	wq_uring_command(&u->control, u->control_fd, op, &cmd, sizeof(cmd), 0);
	do {
		ret = wq_uring_enter(&u->control, 1, 1);
	} while (ret == -EINTR);
	if (ret < 0)
		return ret;
	return wq_uring_reap(&u->control, &cqe) ? cqe.res : -EIO;
}

static inline int wq_ublk_answer(struct wq_ublk *u, const struct ublksrv_io_desc *d)
{
	int error = __atomic_load_n(&u->error, __ATOMIC_ACQUIRE);

	if (ublksrv_get_op(d) == UBLK_IO_OP_FLUSH)
		return -error;
	if (error && d->start_sector < u->to &&
	    d->start_sector + d->nr_sectors > u->from) {
		/* What comes before is good; the rest will be asked for again. */
		if (d->start_sector < u->from)
			return (u->from - d->start_sector) * WQ_SECTOR;
		return -error;
	}
	return d->nr_sectors * WQ_SECTOR;
}

static inline void *wq_ublk_serve(void *arg)
{
	char *buffers = aligned_alloc(WQ_IO_SIZE, WQ_UBLK_DEPTH * WQ_UBLK_BUFFER);
	struct wq_ublk *u = arg;
	const struct ublksrv_io_desc *descs;
	struct ublksrv_io_cmd cmd;
	struct io_uring_cqe cqe;
	unsigned int tag, submit;
	struct wq_uring ring;
	char path[32];
	int fd, live = WQ_UBLK_DEPTH;
	size_t size;

	snprintf(path, sizeof(path), "/dev/ublkc%d", u->id);
	u->server_ret = wq_await_path(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		u->server_ret = -errno;
	size = WQ_UBLK_DEPTH * sizeof(*descs);
	size = (size + 4095) & ~4095UL;
	descs = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd,
		     UBLKSRV_CMD_BUF_OFFSET);
	if (descs == MAP_FAILED)
		u->server_ret = -errno;
	if (!u->server_ret)
		u->server_ret = wq_uring_open(&ring, WQ_UBLK_DEPTH, 0);
	if (u->server_ret) {
		__atomic_store_n(&u->ready, 1, __ATOMIC_RELEASE);
		return NULL;
	}

	for (tag = 0; tag < WQ_UBLK_DEPTH; tag++) {
		cmd = (struct ublksrv_io_cmd){
			.tag	= tag,
			.addr	= (unsigned long)(buffers + tag * WQ_UBLK_BUFFER),
		};
		wq_uring_command(&ring, fd, UBLK_U_IO_FETCH_REQ, &cmd, sizeof(cmd), tag);
	}
	submit = WQ_UBLK_DEPTH;
	__atomic_store_n(&u->ready, 1, __ATOMIC_RELEASE);
	/* Each command comes back with a request, or for good. */
	while (live) {
		if (wq_uring_enter(&ring, submit, 1) < 0 && errno != EINTR)
			break;
		submit = 0;
		while (wq_uring_reap(&ring, &cqe)) {
			if (cqe.res != UBLK_IO_RES_OK) {
				live--;
				continue;
			}
			tag = cqe.user_data;
			cmd = (struct ublksrv_io_cmd){
				.tag	= tag,
				.result	= wq_ublk_answer(u, &descs[tag]),
				.addr	= (unsigned long)(buffers + tag * WQ_UBLK_BUFFER),
			};
			wq_uring_command(&ring, fd, UBLK_U_IO_COMMIT_AND_FETCH_REQ,
					 &cmd, sizeof(cmd), tag);
			submit++;
		}
	}
	close(ring.fd);
	munmap((void *)descs, size);
	close(fd);
	free(buffers);
	return NULL;
}

static inline int wq_ublk_stop(struct wq_ublk *u)
{
	int ret = wq_ublk_control(u, UBLK_U_CMD_STOP_DEV, NULL, 0, 0);

	pthread_join(u->server, NULL);
	if (!ret)
		ret = wq_ublk_control(u, UBLK_U_CMD_DEL_DEV, NULL, 0, 0);
	close(u->control.fd);
	close(u->control_fd);
	return ret;
}

/* Makes the disk, whose name is u->disk, and answers its requests from now on. */
static inline int wq_ublk_start(struct wq_ublk *u)
{
	struct ublksrv_ctrl_dev_info info = {
		.nr_hw_queues		= 1,
		.queue_depth		= WQ_UBLK_DEPTH,
		.max_io_buf_bytes	= WQ_UBLK_BUFFER,
		.dev_id			= -1,
	};
	struct ublk_params params = {
		.len	= sizeof(params),
		.types	= UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD,
		.basic = {
			.attrs			= UBLK_ATTR_VOLATILE_CACHE,
			.logical_bs_shift	= 9,
			.physical_bs_shift	= 9,
			.io_opt_shift		= 9,
			.io_min_shift		= 9,
			.max_sectors		= WQ_UBLK_BUFFER / WQ_SECTOR,
			.dev_sectors		= WQ_UBLK_SECTORS,
		},
		.discard = {
			.discard_granularity		= WQ_SECTOR,
			.max_discard_sectors		= 1 << 11,
			.max_write_zeroes_sectors	= 1 << 11,
			.max_discard_segments		= 1,
		},
	};
	int ret;

	memset(u, 0, sizeof(*u));
	u->id = -1;
	u->control_fd = open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
	if (u->control_fd < 0)
		return -errno;
	ret = wq_uring_open(&u->control, 4, IORING_SETUP_SQE128);
	if (ret)
		return ret;
	ret = wq_ublk_control(u, UBLK_U_CMD_ADD_DEV, &info, sizeof(info), 0);
	if (ret)
		return ret;
	u->id = info.dev_id;
	snprintf(u->disk, sizeof(u->disk), "ublkb%d", u->id);
	ret = wq_ublk_control(u, UBLK_U_CMD_SET_PARAMS, &params, sizeof(params), 0);
	if (ret)
		return ret;
	ret = -pthread_create(&u->server, NULL, wq_ublk_serve, u);
	if (ret)
		return ret;
	while (!__atomic_load_n(&u->ready, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (u->server_ret)
		return u->server_ret;
	return wq_ublk_control(u, UBLK_U_CMD_START_DEV, NULL, 0, getpid());
}

/* Has requests that touch these sectors answered with @error; all flushes too. */
static inline void wq_ublk_fail(struct wq_ublk *u, int error, __u64 from, __u64 to)
{
	u->from = from;
	u->to = to;
	__atomic_store_n(&u->error, error, __ATOMIC_RELEASE);
}

#endif /* WATCH_QUEUE_BLOCK_H */
