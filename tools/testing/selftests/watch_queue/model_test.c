// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can be done with queues, by one thread and in an order that chance
 * chooses, against a model that knows exactly what has to come of it: every byte that
 * is read, what every call returns, and everything that can be seen of a queue.
 *
 * A run consists of rounds, of which each has the next seed.  Nobody else should make
 * events of devices meanwhile.
 *
 *   WQ_SEED          the seed of the first round
 *   WQ_FUZZ_SECONDS  how long the test lasts; WQ_SECONDS if that is not set, or 3
 */
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "../kselftest_harness.h"
#include "watch_queue_block.h"
#include "watch_queue_model.h"
#include "watch_queue_fuzz.h"

#define DISK_INDEX	29
#define DISK_NAME	"nullb29"

#define QUEUES		3
#define KEYS		6
#define RINGS		3
#define DEVICES		(KEYS + RINGS)
#define OBJECTS		(DEVICES + 1)
#define NO_TAG		(-1)

/* A queue, what it has to be like, and the tags of its watches. */
struct queue {
	int fds[2];
	int epoll;
	int tags[OBJECTS];
	struct wq_model model;
};

/*
 * @linked are the keys that are in each of the rings.  Where something is not as it
 * has to be, @wrong says so.
 */
struct world {
	unsigned int random;
	struct queue queues[QUEUES];
	int objects[DEVICES];
	unsigned int linked[RINGS];
	unsigned int generation;
	bool sips;		/* reads so little that queues stay full */
	struct wq_disk disk;		/* fd < 0: there is none */
	char *edge;
	unsigned int step;
	const char *op;
	char wrong[256];
};

static unsigned int chance(struct world *x, unsigned int below)
{
	return wq_random(&x->random, below);
}

static struct queue *some_queue(struct world *x)
{
	return &x->queues[chance(x, QUEUES)];
}

/* Says what is wrong, if it is. */
static void must_be(struct world *x, const char *what, long long expected, long long seen)
{
	if (expected != seen && !x->wrong[0])
		snprintf(x->wrong, sizeof(x->wrong), "%s is %lld instead of %lld", what,
			 seen, expected);
}

/* What has happened to the object, for all who watch it. */
static void expect_record(struct world *x, unsigned int object, union wq_any_record *r)
{
	struct queue *q;

	for (q = x->queues; q < x->queues + QUEUES; q++) {
		if (q->tags[object] == NO_TAG)
			continue;
		r->watch.info &= ~WATCH_INFO_ID;
		r->watch.info |= q->tags[object] << WATCH_INFO_ID__SHIFT;
		wq_model_post(&q->model, r);
	}
}

static void expect_key_record(struct world *x, unsigned int object, unsigned int subtype,
			      unsigned int aux)
{
	union wq_any_record r = {};
	struct key_notification k = {
		.watch.type	= WATCH_TYPE_KEY_NOTIFY,
		.watch.subtype	= subtype,
		.watch.info	= sizeof(k),
		.key_id		= x->objects[object],
		.aux		= aux,
	};

	memcpy(&r, &k, sizeof(k));
	expect_record(x, object, &r);
}

static void expect_removal(struct queue *q, unsigned int object, unsigned int id)
{
	union wq_any_record r = {};
	struct watch_notification_removal n = {
		.watch.type	= WATCH_TYPE_META,
		.watch.subtype	= WATCH_META_REMOVAL_NOTIFICATION,
		.watch.info	= id ? sizeof(n) : sizeof(n.watch),
		.id		= id,
	};

	n.watch.info |= q->tags[object] << WATCH_INFO_ID__SHIFT;
	memcpy(&r, &n, sizeof(n));
	wq_model_post(&q->model, &r);
	q->tags[object] = NO_TAG;
}

/*
 * Some file descriptor of the queue: one of the ends, or, only to be looked at and to
 * be given back, one that was opened of it again.
 */
static int take_end(struct world *x, struct queue *q)
{
	unsigned int which = chance(x, 4);

	if (which == 3)
		return wq_reopen(q->fds[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return which == 2 && q->fds[1] >= 0 ? q->fds[1] : q->fds[0];
}

static void give_back_end(struct queue *q, int fd)
{
	if (fd == q->fds[0] || fd == q->fds[1])
		return;
	close(fd);
	/* Whoever waits is woken when only one kind of ends is left. */
	if (q->fds[1] < 0)
		q->model.news = true;
}

/* ---- Operations that make events ---- */

static void do_touch(struct world *x)
{
	unsigned int object = chance(x, DEVICES);
	unsigned int n = 1 + chance(x, chance(x, 4) ? 3 : 100);

	for (; n; n--) {
		must_be(x, "setperm", 0, wq_touch(x->objects[object]));
		expect_key_record(x, object, NOTIFY_KEY_SETATTR, 0);
	}
}

static void do_update(struct world *x)
{
	unsigned int key = chance(x, KEYS);

	must_be(x, "update", 0, wq_update_key(x->objects[key]));
	expect_key_record(x, key, NOTIFY_KEY_UPDATED, 0);
}

static void do_link(struct world *x)
{
	unsigned int key = chance(x, KEYS), ring = chance(x, RINGS);

	must_be(x, "link", 0, wq_link_key(x->objects[key], x->objects[KEYS + ring]));
	x->linked[ring] |= 1 << key;
	expect_key_record(x, KEYS + ring, NOTIFY_KEY_LINKED, x->objects[key]);
}

static void do_unlink(struct world *x)
{
	unsigned int key = chance(x, KEYS), ring = chance(x, RINGS);
	bool linked = x->linked[ring] >> key & 1;

	must_be(x, "unlink", linked ? 0 : -ENOENT,
		wq_unlink_key(x->objects[key], x->objects[KEYS + ring]));
	x->linked[ring] &= ~(1 << key);
	if (linked)
		expect_key_record(x, KEYS + ring, NOTIFY_KEY_UNLINKED, x->objects[key]);
}

static void do_move(struct world *x)
{
	unsigned int key = chance(x, KEYS), from = chance(x, RINGS), to = chance(x, RINGS);
	bool linked = x->linked[from] >> key & 1;

	must_be(x, "move", linked || from == to ? 0 : -ENOENT,
		wq_keyctl(KEYCTL_MOVE, x->objects[key], x->objects[KEYS + from],
			  x->objects[KEYS + to], 0));
	if (!linked || from == to)
		return;
	x->linked[from] &= ~(1 << key);
	x->linked[to] |= 1 << key;
	expect_key_record(x, KEYS + from, NOTIFY_KEY_UNLINKED, x->objects[key]);
	expect_key_record(x, KEYS + to, NOTIFY_KEY_LINKED, x->objects[key]);
}

static void do_clear(struct world *x)
{
	unsigned int ring = chance(x, RINGS);

	must_be(x, "clear", 0, wq_clear_keyring(x->objects[KEYS + ring]));
	x->linked[ring] = 0;
	expect_key_record(x, KEYS + ring, NOTIFY_KEY_CLEARED, 0);
}

static void make_key(struct world *x, unsigned int object)
{
	char desc[32];

	snprintf(desc, sizeof(desc), "wq:%u", x->generation++);
	x->objects[object] = fz_add_object(desc, object >= KEYS);
	must_be(x, "add_key", true, x->objects[object] > 0);
}

/* Waits until no watch of the key is left, since that is not done at once. */
static long await_end(struct queue *q, unsigned int id)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	struct wq_fdinfo info;
	int i, ret;

	do {
		ret = wq_fdinfo(0, q->fds[0], &info);
		for (i = 0; !ret && i < info.nr_watches; i++)
			if (info.watches[i].id == id)
				ret = -ETIMEDOUT;
	} while (ret == -ETIMEDOUT && wq_now_ms() < end && !usleep(1000));
	return ret;
}

/* A key goes, and another one takes its place. */
static void do_die(struct world *x)
{
	unsigned int key = chance(x, KEYS), ring;
	struct queue *q;

	must_be(x, "invalidate", 0, wq_invalidate_key(x->objects[key]));
	expect_key_record(x, key, NOTIFY_KEY_INVALIDATED, 0);
	for (q = x->queues; q < x->queues + QUEUES; q++) {
		if (q->tags[key] == NO_TAG)
			continue;
		must_be(x, "wait for removal", 0, await_end(q, x->objects[key]));
		expect_removal(q, key, x->objects[key]);
	}
	for (ring = 0; ring < RINGS; ring++)
		x->linked[ring] &= ~(1 << key);
	make_key(x, key);
}

static void do_disk_error(struct world *x)
{
	union wq_any_record r = {};

	if (x->disk.fd < 0)
		return;
	r.block = (struct block_notification){
		.watch.type	= WATCH_TYPE_BLOCK_NOTIFY,
		.watch.subtype	= NOTIFY_BLOCK_ERROR_IO,
		.watch.info	= sizeof(r.block),
		.dev		= x->disk.dev,
		.sector		= WQ_NULL_BAD,
		.operation	= NOTIFY_BLOCK_OP_READ,
		.sectors	= WQ_IO_SECTORS,
		.status		= -EIO,
		.diskseq	= x->disk.seq,
	};
	must_be(x, "read from disk", -EIO,
		wq_disk_read(x->disk.fd, WQ_NULL_BAD, WQ_IO_SECTORS));
	expect_record(x, DEVICES, &r);
}

/* ---- Operations on queues ---- */

static void do_read(struct world *x)
{
	static char expected[FZ_BUF];
	struct queue *q = some_queue(x);
	size_t size = x->sips || chance(x, 2) ? chance(x, 200) : fz_random_size(&x->random);
	size_t good = chance(x, 4) ? size : chance(x, size + 1);
	ssize_t len, ret;

	len = wq_model_read(&q->model, expected, size, good);
	/* Without a write end, that is the end. */
	if (len == -EAGAIN && q->fds[1] < 0)
		len = 0;
	ret = wq_read(q->fds[0], x->edge - good, size);
	must_be(x, "read", len, ret);
	if (len > 0 && len == ret && memcmp(expected, x->edge - good, len))
		must_be(x, "contents of read", 0, 1);
}

static void do_size(struct world *x)
{
	struct queue *q = some_queue(x);
	unsigned int depth = 1 + chance(x, WQ_MODEL_DEPTH);
	int fd = take_end(x, q);

	must_be(x, "set_size", wq_model_set_size(&q->model, depth),
		wq_set_size(fd, depth));
	give_back_end(q, fd);
}

static void do_filter(struct world *x)
{
	struct queue *q = some_queue(x);
	int fd = take_end(x, q);
	struct fz_filter f;

	fz_make_filter(&f, &x->random);
	if (chance(x, 3)) {
		must_be(x, "set_filter", 0, wq_set_filter(fd, NULL));
		wq_model_set_filter(&q->model, NULL);
	} else {
		must_be(x, "set_filter", 0, wq_set_filter(fd, &f));
		wq_model_set_filter(&q->model, &f.head);
	}
	give_back_end(q, fd);
}

static long watch_object(struct world *x, unsigned int object, int fd, int tag)
{
	if (object == DEVICES)
		return wq_watch_devices(fd, tag, 0);
	return wq_watch_key(x->objects[object], fd, tag);
}

static void do_watch(struct world *x)
{
	struct queue *q = some_queue(x);
	unsigned int object = chance(x, x->disk.fd < 0 ? DEVICES : OBJECTS);
	int fd = take_end(x, q), tag = chance(x, 256);
	bool watching = q->tags[object] != NO_TAG;

	must_be(x, "watch", watching ? -EBUSY : 0, watch_object(x, object, fd, tag));
	if (!watching)
		q->tags[object] = tag;
	give_back_end(q, fd);
}

static void do_unwatch(struct world *x)
{
	struct queue *q = some_queue(x);
	unsigned int object = chance(x, x->disk.fd < 0 ? DEVICES : OBJECTS);
	bool watching = q->tags[object] != NO_TAG;
	int fd = take_end(x, q);

	must_be(x, "unwatch", watching ? 0 : -EBADSLT, watch_object(x, object, fd, -1));
	if (watching)
		expect_removal(q, object, object == DEVICES ? 0 : x->objects[object]);
	give_back_end(q, fd);
}

static void make_queue(struct world *x, struct queue *q)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	unsigned int i;

	wq_model_init(&q->model);
	for (i = 0; i < OBJECTS; i++)
		q->tags[i] = NO_TAG;
	must_be(x, "pipe2", 0, wq_pipe(q->fds, O_NONBLOCK | O_CLOEXEC));
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	must_be(x, "epoll_ctl", 0,
		wq_errno(epoll_ctl(q->epoll, EPOLL_CTL_ADD, q->fds[0], &event)));
}

static void close_queue(struct queue *q)
{
	wq_close(q->fds);
	close(q->epoll);
}

static void do_remake(struct world *x)
{
	struct queue *q = some_queue(x);

	close_queue(q);
	make_queue(x, q);
}

static void do_close_write_end(struct world *x)
{
	struct queue *q = some_queue(x);

	if (q->fds[1] < 0)
		return;
	wq_close_end(&q->fds[1]);
	q->model.news = true;
}

/* Who waits for an edge is told once for all that came since. */
static void do_epoll(struct world *x)
{
	struct queue *q = some_queue(x);
	struct epoll_event event = {};
	unsigned int events = 0;

	if (q->model.news && wq_model_readable(&q->model))
		events |= EPOLLIN;
	if (q->model.news && q->fds[1] < 0)
		events |= EPOLLHUP;
	q->model.news = false;
	must_be(x, "epoll_wait", !!events, wq_errno(epoll_wait(q->epoll, &event, 1, 0)));
	must_be(x, "epoll event", events, event.events);
}

/* What is refused changes nothing. */
static void do_refused(struct world *x)
{
	struct queue *q = some_queue(x);
	struct watch_queue_info info = {};
	int fd = take_end(x, q);
	struct fz_filter f;

	fz_make_filter(&f, &x->random);
	memcpy(x->edge - 20, &f, 20);
	must_be(x, "filter that ends", -EFAULT, wq_set_filter(fd, x->edge - 20));
	must_be(x, "filter nowhere", -EFAULT, wq_set_filter(fd, x->edge));
	fz_spoil_filter(&f, &x->random);
	must_be(x, "bad filter", -EINVAL, wq_set_filter(fd, &f));
	must_be(x, "size 0", -EINVAL, wq_set_size(fd, 0));
	must_be(x, "size too large", -EINVAL, wq_set_size(fd, WQ_MAX_DEPTH + 1));
	must_be(x, "unassigned ioctl", -ENOTTY, wq_ioctl(fd, _IO('W', 0x62), 0));
	info.size = chance(x, 8);
	must_be(x, "info too small", -EINVAL,
		wq_ioctl(fd, IOC_WATCH_QUEUE_GET_INFO, (unsigned long)&info));
	must_be(x, "tag too large", -EINVAL, wq_watch_key(x->objects[0], fd, 256));
	must_be(x, "F_SETPIPE_SZ", -EBUSY, wq_errno(fcntl(fd, F_SETPIPE_SZ, 4096)));
	if (q->fds[1] >= 0)
		must_be(x, "write", -EXDEV, wq_errno(write(q->fds[1], x, 8)));
	give_back_end(q, fd);
}

/* ---- What can be seen of a queue ---- */

static void check_fdinfo(struct world *x, const struct queue *q)
{
	struct wq_fdinfo info;
	int i, object, watches = 0;

	must_be(x, "fdinfo", 0, wq_fdinfo(0, q->fds[0], &info));
	must_be(x, "fdinfo's figures", 4, info.found);
	must_be(x, "depth in fdinfo", q->model.depth, info.depth);
	must_be(x, "capacity in fdinfo", wq_model_capacity(&q->model), info.capacity);
	must_be(x, "queued in fdinfo", wq_model_readable(&q->model), info.queued);
	must_be(x, "lost in fdinfo", q->model.lost_total, info.lost);
	must_be(x, "filters in fdinfo", q->model.nr_filters, info.nr_filters);
	must_be(x, "filter in fdinfo", 0, memcmp(q->model.filters, info.filters,
						 info.nr_filters * sizeof(*info.filters)));

	for (object = 0; object < OBJECTS; object++) {
		const unsigned int id = object == DEVICES ? 0 : x->objects[object];

		if (q->tags[object] == NO_TAG)
			continue;
		watches++;
		for (i = 0; i < info.nr_watches; i++)
			if (info.watches[i].id == id &&
			    info.watches[i].tag == (unsigned int)q->tags[object])
				break;
		must_be(x, "watch in fdinfo", true, i < info.nr_watches);
	}
	must_be(x, "watches in fdinfo", watches, info.nr_watches);
}

static void check_queue(struct world *x, const struct queue *q)
{
	const unsigned int readable = wq_model_readable(&q->model);
	struct watch_queue_info info;
	int events = 0;

	if (readable)
		events |= POLLIN | POLLRDNORM;
	if (q->fds[1] < 0)
		events |= POLLHUP;
	must_be(x, "poll", events, wq_poll(q->fds[0], POLLIN | POLLRDNORM | POLLOUT, 0));
	must_be(x, "FIONREAD", readable, wq_fionread(q->fds[0]));
	must_be(x, "get_info", 0, wq_get_info(q->fds[0], &info));
	must_be(x, "depth", q->model.depth, info.depth);
	must_be(x, "capacity", wq_model_capacity(&q->model), info.capacity);
	must_be(x, "queued", readable, info.queued);
	must_be(x, "lost", q->model.lost_total, info.lost);
	must_be(x, "F_GETPIPE_SZ", wq_pipe_size(q->model.depth),
		fcntl(q->fds[0], F_GETPIPE_SZ));
}

static const struct {
	const char *name;
	unsigned int weight;
	void (*fn)(struct world *x);
} ops[] = {
	{ "touch",		30,	do_touch },
	{ "update",		10,	do_update },
	{ "link",		10,	do_link },
	{ "unlink",		10,	do_unlink },
	{ "move",		10,	do_move },
	{ "clear",		3,	do_clear },
	{ "die",		1,	do_die },
	{ "disk",		20,	do_disk_error },
	{ "read",		60,	do_read },
	{ "set_size",		8,	do_size },
	{ "set_filter",		4,	do_filter },
	{ "watch",		25,	do_watch },
	{ "unwatch",		8,	do_unwatch },
	{ "remake",		1,	do_remake },
	{ "close_write_end",	1,	do_close_write_end },
	{ "epoll",		10,	do_epoll },
	{ "refused",		4,	do_refused },
};

#define STEPS	400

static unsigned int some_op(struct world *x)
{
	unsigned int i, all = 0, nr;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		all += ops[i].weight;
	nr = chance(x, all);
	for (i = 0; nr >= ops[i].weight; i++)
		nr -= ops[i].weight;
	return i;
}

/* One round.  Returns whether all was as it has to be; else it says what was not. */
static bool do_round(struct world *x, unsigned int seed)
{
	unsigned int i, step, op = 0;

	x->random = seed * 2654435761u;
	x->wrong[0] = 0;
	memset(x->linked, 0, sizeof(x->linked));
	must_be(x, "new session", true, wq_join_session() > 0);
	for (i = 0; i < DEVICES; i++)
		make_key(x, i);
	for (i = 0; i < QUEUES; i++)
		make_queue(x, &x->queues[i]);
	x->sips = seed % 2;
	for (i = 0; i < QUEUES * DEVICES / 2; i++)
		do_watch(x);

	for (step = 0; step < STEPS && !x->wrong[0]; step++) {
		op = some_op(x);
		ops[op].fn(x);
		for (i = 0; i < QUEUES; i++)
			check_queue(x, &x->queues[i]);
		check_fdinfo(x, some_queue(x));
	}
	for (i = 0; i < QUEUES; i++)
		close_queue(&x->queues[i]);
	x->step = step;
	x->op = ops[op].name;
	return !x->wrong[0];
}

FIXTURE(model)
{
	bool has_disk;
};

FIXTURE_SETUP(model)
{
	WQ_REQUIRE_KEYS();
	wq_mount("configfs", WQ_CONFIGFS);
	self->has_disk = !wq_null_begin(DISK_INDEX, "0", true);
}

FIXTURE_TEARDOWN_PARENT(model)
{
	if (self->has_disk)
		wq_null_remove(DISK_INDEX);
}

TEST_F_TIMEOUT(model, agrees, FZ_NO_TIMEOUT)
{
	const unsigned int first = wq_env("WQ_SEED", 1);
	unsigned int seed = first;
	static struct world x;
	long end = fz_end_of_test();

	x.disk.fd = -1;
	if (self->has_disk)
		ASSERT_EQ(0, wq_disk_open(&x.disk, DISK_NAME));
	x.edge = wq_map_edge(FZ_BUF / 4096 + 1, 17);
	ASSERT_FALSE(!x.edge);

	do {
		fz_announce(seed);
		ASSERT_TRUE(do_round(&x, seed)) {
			TH_LOG("step %u, %s: %s", x.step, x.op, x.wrong);
			TH_LOG("WQ_SEED=%u WQ_FUZZ_SECONDS=0 reproduces it", seed);
		}
		seed++;
	} while (wq_now_ms() < end);
	TH_LOG("%u rounds", seed - first);
}

TEST_HARNESS_MAIN
