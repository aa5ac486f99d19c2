/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests that leave it to chance what to do stand on, and then the world
 * that the threads of fuzz_test share, and the rules that whatever they read has to
 * keep.  Include it after watch_queue_block.h.
 *
 * In that world file descriptors that may be closed and replaced at any time have
 * fixed numbers, from FZ_FIRST on, and the kernel hands out lower ones.  So a number
 * that was looked at by one thread never becomes another kind of file by the next
 * moment, though it may be another queue, or none.
 */
#ifndef WATCH_QUEUE_FUZZ_H
#define WATCH_QUEUE_FUZZ_H

#include <stdarg.h>

/*
 * ---- What comes of a seed ----
 */

/* Tests end by themselves, however long they were told to last. */
#define FZ_NO_TIMEOUT	1000000

static inline long fz_end_of_test(void)
{
	return wq_now_ms() + 1000 * wq_env("WQ_FUZZ_SECONDS", wq_env("WQ_SECONDS", 3));
}

/* Whatever the kernel has to say of the round, it says it behind this line. */
static inline void fz_announce(unsigned int seed)
{
	char text[64];

	snprintf(text, sizeof(text), "<4>watch_queue: WQ_SEED=%u\n", seed);
	wq_file_write("/dev/kmsg", text);
}

static const size_t fz_sizes[] = {
	0, 1, 7, 8, 9, 15, 16, 17, 24, 40, 48, 56, 100, 120, 433, 4096, 65536,
};

static inline size_t fz_random_size(unsigned int *random)
{
	return fz_sizes[wq_random(random, ARRAY_SIZE(fz_sizes))];
}

/* ---- Filters ---- */

struct fz_filter {
	struct watch_notification_filter head;
	struct watch_notification_type_filter rules[WQ_FILTER_MAX];
};

/* One that the kernel takes: it has a rule of a known type. */
static inline void fz_make_filter(struct fz_filter *f, unsigned int *random)
{
	unsigned int i, word;

	memset(f, 0, sizeof(*f));
	f->head.nr_filters = 1 + wq_random(random, wq_random(random, 4) ? 3 : 16);
	for (i = 0; i < f->head.nr_filters; i++) {
		struct watch_notification_type_filter *rule = &f->rules[i];

		rule->type = wq_random(random, i ? 6 : WATCH_TYPE__NR);
		if (!wq_random(random, 3))
			rule->info_mask = 1 << (8 + wq_random(random, 24));
		if (wq_random(random, 2))
			rule->info_filter = rule->info_mask;
		for (word = 0; word < 8; word++)
			rule->subtype_filter[word] = wq_random(random, 65536);
	}
}

/* One that it does not. */
static inline void fz_spoil_filter(struct fz_filter *f, unsigned int *random)
{
	switch (wq_random(random, 5)) {
	case 0:
		f->head.nr_filters = 0;
		break;
	case 1:
		f->head.nr_filters = WQ_FILTER_MAX + 1 + wq_random(random, 65535);
		break;
	case 2:
		f->head.__reserved = 1 << wq_random(random, 32);
		break;
	case 3:
		f->rules[f->head.nr_filters - 1].info_mask |= 1 << wq_random(random, 7);
		break;
	default:
		f->rules[0].info_filter = ~f->rules[0].info_mask;
		break;
	}
}

/* ---- Keys ---- */

/*
 * Adds a key or keyring to the session's.  The limit that there is for them includes
 * those that are on their way out, from the round before.
 */
static inline int fz_add_object(const char *desc, bool ring)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int ret;

	do {
		ret = ring ? wq_add_keyring(desc, KEY_SPEC_SESSION_KEYRING) :
			wq_add_user_key(desc, KEY_SPEC_SESSION_KEYRING);
	} while (ret == -EDQUOT && wq_now_ms() < end && !usleep(1000));
	return ret;
}

/*
 * ---- The world of a round ----
 */

#define FZ_THREADS_MAX	16
#define FZ_THREADS	4

/* Queues that all share; the ordinary pipes and the file are to splice with. */
#define FZ_FIRST	200
#define FZ_QUEUES	4
#define FZ_ENDS		(2 * FZ_QUEUES)
#define FZ_PLAIN	(FZ_FIRST + FZ_ENDS)
#define FZ_PLAINS	4
#define FZ_FILE		(FZ_PLAIN + FZ_PLAINS)
#define FZ_EPOLL	(FZ_FILE + 1)
#define FZ_EPOLLS	2
/* A queue that only one thread reads, and that thread's fail-nth. */
#define FZ_OWN		(FZ_EPOLL + FZ_EPOLLS)
#define FZ_FAIL		(FZ_OWN + 2 * FZ_THREADS_MAX)
#define FZ_LAST		(FZ_FAIL + FZ_THREADS_MAX)
#define FZ_NOFILE	1024

/* Objects to be watched; each one's watches have its number for their tag. */
#define FZ_KEYS		10
#define FZ_RINGS	4
#define FZ_SESSION	(FZ_KEYS + FZ_RINGS)
#define FZ_OBJECTS	(FZ_SESSION + 1)
#define FZ_DEVICES	0xd0

/* Every key that there ever was in a round. */
#define FZ_SERIALS	16384

#define FZ_BUF		65536
#define FZ_OPS_MAX	64

/* Who the rounds are, with and without capabilities; who children become. */
#define FZ_UID		51966
#define FZ_UID_CHILD	51967

struct fz_count {
	__u64		tried;
	__u64		succeeded;
};

/* Shared by all threads and processes of a run. */
struct fz_world {
	unsigned int	seed;		/* of this round */
	unsigned int	threads;
	bool		faults;
	bool		privileged;
	bool		failed;
	char		failure[256];
	int		running;
	pthread_barrier_t start;	/* of the threads of a round */
	int		keys[FZ_OBJECTS];
	__u64		serials[FZ_SERIALS];	/* and which object each was */
	struct fz_count	counts[FZ_OPS_MAX];	/* by operation */
	char		*shared;	/* memory whose protection changes */
	struct wq_disk	disk;		/* fd < 0: there is none */
};

/* A watch of a thread's own queue, which is told of until its REMOVAL is read. */
struct fz_watch {
	unsigned int	object;
	unsigned int	serial;
	unsigned int	watches;
};

struct fz_own {
	int		fds[2];
	__u64		lost;		/* in the LOSS records that were read */
	unsigned int	nr;
	struct fz_watch	watches[256];
};

struct fz_thread {
	struct fz_world	*world;
	pthread_t	thread;
	unsigned int	nr;
	unsigned int	random;
	unsigned int	op;
	bool		child;
	bool		injected;
	int		fail_fd;
	char		*edge;		/* FZ_BUF bytes before, a hole behind */
	char		*constant;	/* FZ_BUF bytes that can only be read */
	struct fz_own	own;
};

/* ---- Chance ---- */

static inline unsigned int fz(struct fz_thread *t, unsigned int below)
{
	return wq_random(&t->random, below);
}

/* Each operation has a series of its own, whatever the ones before it found. */
static inline void fz_reseed(struct fz_thread *t, unsigned int nr)
{
	unsigned int x = t->world->seed * 2654435761u + t->nr * 40503u + nr;

	x = (x ^ x >> 16) * 0x45d9f3bu;
	x = (x ^ x >> 16) * 0x45d9f3bu;
	t->random = x ^ x >> 16;
}

#define fz_pick(t, array)	((array)[fz(t, ARRAY_SIZE(array))])

/* ---- Failure ---- */

/* The first one counts. */
static inline __printf(2, 3)
void fz_fail(struct fz_thread *t, const char *format, ...)
{
	struct fz_world *world = t->world;
	va_list args;

	if (__atomic_exchange_n(&world->failed, true, __ATOMIC_SEQ_CST))
		return;
	va_start(args, format);
	vsnprintf(world->failure, sizeof(world->failure), format, args);
	va_end(args);
}

static inline bool fz_failed(const struct fz_world *world)
{
	return __atomic_load_n(&world->failed, __ATOMIC_RELAXED);
}

/* ---- Files ---- */

/* Either end of any of the queues, if it is open. */
static inline int fz_end(struct fz_thread *t)
{
	return FZ_FIRST + fz(t, FZ_ENDS);
}

/* Something else, or nothing. */
static inline int fz_wrong_fd(struct fz_thread *t)
{
	const int fds[] = { -1, FZ_LAST, FZ_PLAIN, FZ_PLAIN + 1, FZ_FILE, FZ_EPOLL };

	return fz_pick(t, fds);
}

/* Now and then another one than is right. */
static inline int fz_some_fd(struct fz_thread *t)
{
	return fz(t, 16) ? fz_end(t) : fz_wrong_fd(t);
}

/* Moves @fd to the number @to, or to nowhere if it is one of the first. */
static inline long fz_install(int fd, int to)
{
	int ret;

	if (fd < 0)
		return -errno;
	ret = wq_errno(dup3(fd, to, O_CLOEXEC));
	close(fd);
	return ret;
}

/* ---- Keys ---- */

/* Enters a key, before anybody watches it. */
static inline void fz_serial_add(struct fz_world *world, unsigned int serial,
				 unsigned int object)
{
	const __u64 entry = (__u64)serial << 32 | object;
	unsigned int i;

	for (i = serial; ; i++) {
		__u64 old = 0;

		if (__atomic_compare_exchange_n(&world->serials[i % FZ_SERIALS], &old,
						entry, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST) || old == entry)
			return;
	}
}

static inline bool fz_serial_is(const struct fz_world *world, unsigned int serial,
				unsigned int object)
{
	const __u64 entry = (__u64)serial << 32 | object;
	unsigned int i;
	__u64 e;

	for (i = serial; ; i++) {
		e = __atomic_load_n(&world->serials[i % FZ_SERIALS], __ATOMIC_SEQ_CST);
		if (!e || e == entry)
			return e;
	}
}

static inline int fz_key(const struct fz_world *world, unsigned int object)
{
	return __atomic_load_n(&world->keys[object], __ATOMIC_ACQUIRE);
}

/* Lets @ret, a new key or an error, be the object.  Returns it. */
static inline long fz_set_key(struct fz_world *world, unsigned int object, long ret)
{
	if (ret > 0) {
		fz_serial_add(world, ret, object);
		__atomic_store_n(&world->keys[object], ret, __ATOMIC_RELEASE);
	}
	return ret;
}

/* ---- Records ---- */

/* Whether a key record can be one of that object: see the hooks in security/keys. */
static inline bool fz_key_record_ok(const struct fz_world *world,
				    const struct wq_record *r)
{
	const unsigned int both = 1 << NOTIFY_KEY_REVOKED | 1 << NOTIFY_KEY_SETATTR |
				  1 << NOTIFY_KEY_INVALIDATED;
	const unsigned int link = 1 << NOTIFY_KEY_LINKED | 1 << NOTIFY_KEY_UNLINKED;
	const unsigned int ring = both | link | 1 << NOTIFY_KEY_CLEARED;
	const unsigned int key = both | 1 << NOTIFY_KEY_UPDATED;
	const unsigned int subtype = 1 << (r->subtype & 31);

	return r->tag < FZ_OBJECTS && !r->type_info && r->subtype < 32 &&
	       subtype & (r->tag < FZ_KEYS ? key : ring) &&
	       fz_serial_is(world, r->key_id, r->tag) &&
	       !(subtype & link) == !r->aux;
}

static inline bool fz_block_record_ok(const struct fz_world *world,
				      const struct block_notification *b)
{
	if (b->__reserved || (b->watch.info & WATCH_INFO_TYPE_INFO &
			      ~NOTIFY_BLOCK_STACKED))
		return false;
	/* Of our own disk's errors everything is known. */
	return b->dev != world->disk.dev ||
	       (b->watch.subtype == NOTIFY_BLOCK_ERROR_IO &&
		b->sector == WQ_NULL_BAD && b->sectors == WQ_IO_SECTORS &&
		b->operation == NOTIFY_BLOCK_OP_READ && b->status == -EIO &&
		b->diskseq == world->disk.seq);
}

static inline bool fz_device_record_ok(const struct fz_world *world,
				       const union wq_any_record *any,
				       const struct wq_record *r)
{
	if (r->tag != FZ_DEVICES)
		return false;
	if (r->type == WATCH_TYPE_BLOCK_NOTIFY)
		return r->len == sizeof(any->block) &&
		       fz_block_record_ok(world, &any->block);
	return r->type == WATCH_TYPE_USB_NOTIFY && r->subtype <= NOTIFY_USB_BUS_REMOVE &&
	       r->len >= sizeof(any->usb) &&
	       any->usb.name_len <= USB_NOTIFICATION_MAX_NAME_LEN &&
	       wq_usb_padding_is_zero(any);
}

/* Whether the record, which is well-formed, is one that can have been posted. */
static inline bool fz_record_ok(const struct fz_world *world, const void *at,
				const struct wq_record *r)
{
	union wq_any_record any = {};

	if (wq_is_loss(r))
		return !r->tag && !r->type_info;
	if (wq_is_removal(r) && r->tag == FZ_DEVICES)
		return r->len == WQ_HEADER && !r->type_info;
	if (wq_is_removal(r))
		return r->len == WQ_REMOVAL_RECORD && !r->type_info &&
		       fz_serial_is(world, r->id, r->tag);
	if (r->type == WATCH_TYPE_KEY_NOTIFY)
		return fz_key_record_ok(world, r);

	memcpy(&any, at, r->len);
	return fz_device_record_ok(world, &any, r);
}

/* Keeps account of the watches of a thread's own queue. */
static inline struct fz_watch *fz_own_watch(struct fz_own *own, unsigned int object,
					    unsigned int serial)
{
	unsigned int i;

	for (i = 0; i < own->nr; i++)
		if (own->watches[i].object == object && own->watches[i].serial == serial)
			break;
	if (i == ARRAY_SIZE(own->watches))
		return NULL;
	if (i == own->nr)
		own->watches[own->nr++] = (struct fz_watch){ object, serial, 0 };
	return &own->watches[i];
}

/* Each record is of a watch that there is, and a REMOVAL is the end of one. */
static inline bool fz_own_record_ok(struct fz_own *own, const struct wq_record *r)
{
	struct fz_watch *watch;

	if (wq_is_loss(r)) {
		own->lost += r->lost;
		return true;
	}
	watch = fz_own_watch(own, r->tag, wq_is_removal(r) ? r->id : r->key_id);
	if (!watch)
		return true;
	if (!watch->watches)
		return false;
	if (wq_is_removal(r))
		watch->watches--;
	return true;
}

/* Goes through a batch; @own is the thread's own queue if it is of that. */
static inline void fz_check_batch(struct fz_thread *t, const char *buf, size_t len,
				  struct fz_own *own)
{
	struct wq_record r;
	size_t pos;

	wq_for_each_record(r, pos, buf, len) {
		if (fz_record_ok(t->world, buf + pos, &r) &&
		    (!own || fz_own_record_ok(own, &r)))
			continue;
		fz_fail(t, "%s: type %u.%u length %u tag %#x info %#x key %x aux %x id %llx at %zu",
			own ? "own queue" : "queue", r.type, r.subtype, r.len, r.tag,
			r.type_info, r.key_id, r.aux, (unsigned long long)r.id, pos);
		return;
	}
	if (pos != len)
		fz_fail(t, "malformed record at %zu of %zu bytes: %08x %08x", pos, len,
			((const unsigned int *)(buf + pos))[0],
			((const unsigned int *)(buf + pos))[1]);
}

#endif /* WATCH_QUEUE_FUZZ_H */
