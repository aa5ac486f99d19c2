// SPDX-License-Identifier: GPL-2.0
/*
 * What device records cost, by way of reads that fail, beside uevents.
 *
 * The disk is made by null_blk.  It answers in the caller's context, without an
 * interrupt, and what it is told to fail fails, so each read costs the same.
 */

#include "bench.h"
#include "watch_queue_devices.h"
#include <linux/netlink.h>
#include <stdalign.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CONFIGFS	"/sys/kernel/config"
#define DISK		CONFIGFS "/nullb/bench"

#define SECTOR		512
#define BAD_SECTOR	8

/* Where the number of events does not matter. */
#define PLACES		64

#define WATCHERS_MAX	1000

/* Room for PLACES records in each of many queues. */
#define MANY_DEPTH	WQ_DEFAULT_DEPTH

struct device_bench {
	int			disk;
	int			uevent;		/* the disk's, in sysfs */
	int			listener;	/* to uevents */
	unsigned int		nr;
	struct {
		int		fds[2];
	} queues[WATCHERS_MAX];
};

/* Aligned for O_DIRECT. */
static alignas(SECTOR) char buffer[65536];

/* ---- The disk ---- */

static void configure_disk(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DISK "/%s", name);
	no_error(path, wq_file_write(path, value));
}

/* Whether there is a null_blk. */
static bool make_disk(void)
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

	configure_disk("size", "1");
	configure_disk("blocksize", "512");
	configure_disk("irqmode", "0");
	configure_disk("power", "1");
	/* Not before there is the disk, which is looked at for partitions. */
	configure_disk("badblocks", "+8-8");
	return true;
}

static void remove_disk(void)
{
	configure_disk("power", "0");
	no_error(DISK, wq_errno(rmdir(DISK)));
}

/* ---- Watching ---- */

/* An unpatched kernel does not. */
static bool posts_block_records(void)
{
	struct watch_queue_info info = { .size = sizeof(info) };
	int fds[2], ret;

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, 0));
	ret = wq_get_info(fds[0], &info);
	wq_close(fds);
	return !ret && info.types >> WATCH_TYPE_BLOCK_NOTIFY & 1;
}

/* Both ends of each queue; and it is also how many watches a user may have. */
static void allow_files(void)
{
	const rlim_t max = 2 * WATCHERS_MAX + 64;
	struct rlimit lim = { max, max };

	no_error("RLIMIT_NOFILE", wq_errno(setrlimit(RLIMIT_NOFILE, &lim)));
}

static void watch(struct device_bench *b, unsigned int nr, unsigned int depth)
{
	for (b->nr = 0; b->nr < nr; b->nr++) {
		int *fds = b->queues[b->nr].fds;

		no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(fds, O_NONBLOCK));
		no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(fds[0], depth));
		no_error("watch_devices", wq_watch_devices(fds[0], 1, 0));
	}
}

static void unwatch(struct device_bench *b)
{
	while (b->nr)
		wq_close(b->queues[--b->nr].fds);
}

/* Each queue must have got a record from each place. */
static void drain_all(void *arg)
{
	struct device_bench *b = arg;
	unsigned int i;
	int fd;

	for (i = 0; i < b->nr; i++) {
		fd = b->queues[i].fds[0];
		expect("bytes queued", wq_read(fd, buffer, sizeof(buffer)),
		       PLACES * sizeof(struct block_notification));
		expect("read", wq_read(fd, buffer, sizeof(buffer)), -EAGAIN);
	}
}

/* ---- What is timed ---- */

static void op_fail(void *arg)
{
	struct device_bench *b = arg;

	expect("pread of a bad sector",
	       wq_errno(pread(b->disk, buffer, SECTOR, BAD_SECTOR * SECTOR)), -EIO);
}

static void op_fail_read(void *arg)
{
	struct device_bench *b = arg;

	op_fail(b);
	expect("read", read(b->queues[0].fds[0], buffer, 433),
	       sizeof(struct block_notification));
}

static void op_write_nothing(void *arg)
{
	struct device_bench *b = arg;

	expect("write", write(b->uevent, "", 0), 0);
}

static void op_uevent_recv(void *arg)
{
	struct device_bench *b = arg;

	expect("write", write(b->uevent, "change", 6), 6);
	no_error("recv", recv(b->listener, buffer, sizeof(buffer), 0));
}

/* ---- The rows ---- */

static double cost(struct device_bench *b, void (*op)(void *))
{
	struct work work = { .op = op, .arg = b, .places = PLACES, .rounds = 15 };

	return measure(&work);
}

static void post(struct device_bench *b, const char *name, unsigned int nr,
		 double unwatched)
{
	struct work work = {
		.op = op_fail, .after = drain_all, .arg = b,
		.places = PLACES, .rounds = 9,
	};

	watch(b, nr, MANY_DEPTH);
	add(name, clock_unit(), measure(&work) - unwatched);
	unwatch(b);
}

static void device_events(struct device_bench *b)
{
	double unwatched = cost(b, op_fail);

	add("device.post.0", clock_unit(), unwatched);
	if (!posts_block_records())
		return;
	post(b, "device.post.1", 1, unwatched);
	post(b, "device.post.10", 10, unwatched);
	post(b, "device.post.1000", 1000, unwatched);

	watch(b, 1, BENCH_DEPTH);
	add("device.event.single", clock_unit(),
	    cost(b, op_fail_read) - unwatched);
	unwatch(b);
}

static void uevents(struct device_bench *b)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	double nothing = cost(b, op_write_nothing);

	b->listener = no_error("socket(NETLINK_KOBJECT_UEVENT)",
			       wq_errno(socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK,
					       NETLINK_KOBJECT_UEVENT)));
	no_error("bind", wq_errno(bind(b->listener, (void *)&addr, sizeof(addr))));
	add("uevent.single", clock_unit(), cost(b, op_uevent_recv) - nothing);
	close(b->listener);
}

void bench_devices(void)
{
	static struct device_bench b;

	if (!make_disk()) {
		printf("# devices: CONFIG_BLK_DEV_NULL_BLK is not set\n");
		return;
	}
	allow_files();
	b.disk = no_error("/dev/bench", wq_errno(open("/dev/bench", O_RDONLY | O_DIRECT)));
	b.uevent = no_error("/sys/block/bench/uevent",
			    wq_errno(open("/sys/block/bench/uevent", O_WRONLY)));
	memset(buffer, 'b', sizeof(buffer));

	device_events(&b);
	uevents(&b);

	close(b.uevent);
	close(b.disk);
	remove_disk();
}
