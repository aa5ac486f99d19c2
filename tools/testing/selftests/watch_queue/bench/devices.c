// SPDX-License-Identifier: GPL-2.0
/* What device records cost, by way of reads that fail, beside uevents. */

#include "bench.h"
#include "watch_queue_devices.h"
#include <linux/netlink.h>
#include <sys/socket.h>

/* Where the number of events does not matter. */
#define PLACES		64

#define WATCHERS_MAX	1000

#define UEVENT		"/sys/block/" DISK_NAME "/uevent"

/* Room for PLACES records in each of many queues. */
#define MANY_DEPTH	WQ_DEFAULT_DEPTH

struct device_bench {
	int			uevent;		/* the disk's, in sysfs */
	int			listener;	/* to uevents */
	unsigned int		nr;
	struct {
		int		fds[2];
	} queues[WATCHERS_MAX];
};

static char buffer[65536];

/* ---- Watching ---- */

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

static void op_fail_read(void *arg)
{
	struct device_bench *b = arg;

	op_disk_fail(NULL);
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
		.op = op_disk_fail, .after = drain_all, .arg = b,
		.places = PLACES, .rounds = 9,
	};

	watch(b, nr, MANY_DEPTH);
	add(name, clock_unit(), measure(&work) - unwatched);
	unwatch(b);
}

static void device_events(struct device_bench *b)
{
	double unwatched = cost(b, op_disk_fail);

	add("device.post.0", clock_unit(), unwatched);
	if (!disk_is_told_of())
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

	if (!disk_make()) {
		printf("# devices: CONFIG_BLK_DEV_NULL_BLK is not set\n");
		return;
	}
	/* Both ends of each queue. */
	allow_files(2 * WATCHERS_MAX + 64);
	b.uevent = no_error(UEVENT, wq_errno(open(UEVENT, O_WRONLY)));
	memset(buffer, 'b', sizeof(buffer));

	device_events(&b);
	uevents(&b);

	close(b.uevent);
	disk_remove();
}
