// SPDX-License-Identifier: GPL-2.0
/*
 * What a user may have: the largest depth and the pages of all pipes, which are
 * bounded like those of ordinary pipes; the number of watches; and what it is
 * charged to and given back.
 *
 * Needs root, to change the limits and to become somebody else.  WQ_PIPES in the
 * environment changes how many pipes are made, WQ_SIZES how often one gets its largest
 * size.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_keys.h"

/* What an ordinary new pipe is charged, and one of a user above the soft limit. */
#define PIPE_PAGES	16
#define PIPE_PAGES_SOFT	2

/*
 * Somebody without capabilities and without pipes, who can become root again.
 * The pipe's user is the one by the real user ID.
 */
static int become(uid_t uid)
{
	return wq_errno(setresuid(uid, uid, 0));
}

/* The largest depth that @pages are enough for. */
static unsigned long depth_of_pages(unsigned long pages)
{
	unsigned long low = 0, high = WQ_MAX_DEPTH;

	while (low < high) {
		unsigned long mid = (low + high + 1) / 2;

		if (wq_pages(mid) <= pages)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static unsigned long min_of(unsigned long a, unsigned long b)
{
	return a < b ? a : b;
}

static unsigned long max_of(unsigned long a, unsigned long b)
{
	return a > b ? a : b;
}

/* What GET_INFO says of a queue, or the error. */
static long depth_of(int fd)
{
	struct watch_queue_info info;
	int ret = wq_get_info(fd, &info);

	if (ret)
		return ret;
	return info.depth;
}

static long max_depth_of(int fd)
{
	struct watch_queue_info info;
	int ret = wq_get_info(fd, &info);

	if (ret)
		return ret;
	return info.max_depth;
}

static long pages_of(int fd)
{
	int bytes = wq_errno(fcntl(fd, F_GETPIPE_SZ));

	return bytes < 0 ? bytes : bytes / getpagesize();
}

/* ---- Limits of pages ---- */

struct limits {
	unsigned long max;	/* fs.pipe-max-size, in pages */
	unsigned long soft;	/* fs.pipe-user-pages-soft, 0 is none */
	unsigned long hard;	/* fs.pipe-user-pages-hard, 0 is none */
};

/* As they were before the first test. */
static struct limits original;
static int original_ret = -ENOENT;

static int limits_get(struct limits *l)
{
	__u64 max, soft, hard;
	int ret;

	ret = wq_sysctl_read("fs/pipe-max-size", &max);
	if (!ret)
		ret = wq_sysctl_read("fs/pipe-user-pages-soft", &soft);
	if (!ret)
		ret = wq_sysctl_read("fs/pipe-user-pages-hard", &hard);
	if (ret)
		return ret;
	*l = (struct limits){ max / getpagesize(), soft, hard };
	return 0;
}

static int limits_set(const struct limits *l)
{
	int ret;

	ret = wq_sysctl_write("fs/pipe-max-size", l->max * getpagesize());
	if (!ret)
		ret = wq_sysctl_write("fs/pipe-user-pages-soft", l->soft);
	if (!ret)
		ret = wq_sysctl_write("fs/pipe-user-pages-hard", l->hard);
	return ret;
}

/* As limits_set(), while the test is somebody else. */
static int limits_set_as_root(const struct limits *l)
{
	int ret = become(0);

	if (!ret)
		ret = limits_set(l);
	return ret ? ret : become(WQ_NOBODY);
}

/* A test that failed may be somebody else still. */
static int limits_restore(void)
{
	int ret = become(0);

	return ret ? ret : limits_set(&original);
}

/* The pages of all pipes that a user without privileges may have by growing. */
static unsigned long pages_allowed(const struct limits *l)
{
	unsigned long pages = wq_pages(WQ_MAX_DEPTH);

	if (l->soft)
		pages = min_of(pages, l->soft);
	if (l->hard)
		pages = min_of(pages, l->hard);
	return pages;
}

/* What a user's first queue gets: 32, unless that is above the soft limit. */
static unsigned int default_depth(const struct limits *l)
{
	return l->soft && l->soft < wq_pages(WQ_DEFAULT_DEPTH) ?
		1 : WQ_DEFAULT_DEPTH;
}

/* What a user's only queue may have; the pages that it has need no leave. */
static unsigned long largest_depth(const struct limits *l)
{
	unsigned long pages = max_of(pages_allowed(l), wq_pages(default_depth(l)));

	return min_of(l->max * getpagesize() / WQ_BYTES_PER_RECORD,
		      depth_of_pages(pages));
}

#define REQUIRE_LIMITS() do {						\
	WQ_REQUIRE_PIPE();						\
	WQ_REQUIRE_ROOT();						\
	if (original_ret == -ENOENT)					\
		SKIP(return, "CONFIG_PROC_SYSCTL is not set");		\
	ASSERT_EQ(0, original_ret);					\
} while (0)

/* ---- A user's only queue ---- */

FIXTURE(limits)
{
	int fds[2];
};

FIXTURE_VARIANT(limits)
{
	struct limits l;
};

/* The kernel's defaults. */
FIXTURE_VARIANT_ADD(limits, defaults) { .l = { .max = 256, .soft = 1024 } };

/* Only the size of one pipe is bounded; a depth of 32 is 4096 bytes. */
FIXTURE_VARIANT_ADD(limits, max_size) { .l = { .max = 256 } };
FIXTURE_VARIANT_ADD(limits, small_max_size) { .l = { .max = 16 } };
FIXTURE_VARIANT_ADD(limits, least_max_size) { .l = { .max = 1 } };

/* The pages are what counts. */
FIXTURE_VARIANT_ADD(limits, soft) { .l = { .max = 256, .soft = 100 } };
FIXTURE_VARIANT_ADD(limits, hard) { .l = { .max = 256, .hard = 100 } };

FIXTURE_VARIANT_ADD(limits, soft_below_hard) {
	.l = { .max = 256, .soft = 50, .hard = 100 },
};

FIXTURE_VARIANT_ADD(limits, hard_below_soft) {
	.l = { .max = 256, .soft = 100, .hard = 50 },
};

/* Enough for an ordinary pipe, and not; for a queue of depth 32, and not. */
FIXTURE_VARIANT_ADD(limits, soft_16) { .l = { .max = 256, .soft = 16 } };
FIXTURE_VARIANT_ADD(limits, soft_15) { .l = { .max = 256, .soft = 15 } };
FIXTURE_VARIANT_ADD(limits, soft_3) { .l = { .max = 256, .soft = 3 } };
FIXTURE_VARIANT_ADD(limits, soft_2) { .l = { .max = 256, .soft = 2 } };

/* Above the soft limit from the start. */
FIXTURE_VARIANT_ADD(limits, soft_1) { .l = { .max = 256, .soft = 1 } };

FIXTURE_VARIANT_ADD(limits, soft_1_hard_200) {
	.l = { .max = 256, .soft = 1, .hard = 200 },
};

FIXTURE_SETUP(limits)
{
	REQUIRE_LIMITS();
	ASSERT_EQ(0, limits_set(&variant->l));
	ASSERT_EQ(0, become(WQ_NOBODY));
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
}

FIXTURE_TEARDOWN_PARENT(limits)
{
	EXPECT_EQ(0, limits_restore());
}

/* A new queue has depth 32, or 1 where that is above the soft limit. */
TEST_F(limits, default_depth)
{
	const unsigned int depth = default_depth(&variant->l);
	struct watch_queue_info info;

	ASSERT_EQ(0, wq_get_info(self->fds[0], &info));
	EXPECT_EQ(depth, info.depth);
	EXPECT_EQ(depth * WQ_BYTES_PER_RECORD, info.capacity);
	EXPECT_EQ(wq_pages(depth), pages_of(self->fds[0]));
}

/* GET_INFO tells the largest depth: it can be set, and one more is EPERM. */
TEST_F(limits, max_depth_is_true)
{
	const unsigned long largest = largest_depth(&variant->l);

	EXPECT_EQ(largest, max_depth_of(self->fds[0]));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1));
	EXPECT_EQ(0, wq_set_size(self->fds[0], largest));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], WQ_MAX_DEPTH));

	/* It is the same seen from there, and from below. */
	EXPECT_EQ(largest, depth_of(self->fds[0]));
	EXPECT_EQ(largest, max_depth_of(self->fds[0]));
}

/* A depth that is refused changes nothing. */
TEST_F(limits, refused_changes_nothing)
{
	struct watch_queue_info before, after;
	int i;

	ASSERT_EQ(0, wq_get_info(self->fds[0], &before));
	for (i = 1; i <= 1000; i++)
		ASSERT_EQ(-EPERM, wq_set_size(self->fds[0], before.max_depth + i));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

/* Shrinking is always allowed, also for who is over a limit by now. */
TEST_F(limits, shrinking_is_always_allowed)
{
	const unsigned long largest = largest_depth(&variant->l);
	unsigned long depth;

	ASSERT_EQ(0, wq_set_size(self->fds[0], largest));
	ASSERT_EQ(0, limits_set_as_root(&(struct limits){ 1, 1, 1 }));

	EXPECT_EQ(largest, max_depth_of(self->fds[0]));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1));
	/* To leave it as it is, is no growth. */
	EXPECT_EQ(0, wq_set_size(self->fds[0], largest));
	for (depth = largest / 2; depth; depth /= 2) {
		EXPECT_EQ(0, wq_set_size(self->fds[0], depth));
		EXPECT_EQ(depth, depth_of(self->fds[0]));
		EXPECT_LE(depth, max_depth_of(self->fds[0]));
	}
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1));
}

/* Closing gives everything back: it can be had as often as one likes. */
TEST_F(limits, closing_gives_back)
{
	const unsigned long largest = largest_depth(&variant->l);
	unsigned long i, sizes = wq_env("WQ_SIZES", 300);

	wq_close(self->fds);
	for (i = 0; i < sizes; i++) {
		ASSERT_EQ(0, wq_pipe(self->fds, 0));
		ASSERT_EQ(default_depth(&variant->l), depth_of(self->fds[0]));
		ASSERT_EQ(largest, max_depth_of(self->fds[0]));
		ASSERT_EQ(0, wq_set_size(self->fds[i & 1], largest));
		wq_close(self->fds);
	}
}

/* Making and closing pipes, 10000 of them, leaves nothing behind. */
TEST_F_TIMEOUT(limits, pipes_leave_nothing_behind, 120)
{
	unsigned long i, pipes = wq_env("WQ_PIPES", 10000);

	wq_close(self->fds);
	for (i = 0; i < pipes; i++) {
		ASSERT_EQ(0, wq_pipe(self->fds, 0));
		wq_close(self->fds);
	}
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	EXPECT_EQ(default_depth(&variant->l), depth_of(self->fds[0]));
	EXPECT_EQ(largest_depth(&variant->l), max_depth_of(self->fds[0]));
}

/* Neither do sizes set again and again, those that fail included. */
TEST_F(limits, sizes_leave_nothing_behind)
{
	const unsigned long largest = largest_depth(&variant->l);
	unsigned long i, sizes = wq_env("WQ_SIZES", 300);

	for (i = 0; i < sizes; i++) {
		ASSERT_EQ(0, wq_set_size(self->fds[0], 1 + i % largest));
		ASSERT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1 + i));
		ASSERT_EQ(0, wq_set_size(self->fds[0], largest));
	}
	EXPECT_EQ(largest, max_depth_of(self->fds[0]));
}

/* A size that fails with EBUSY does not keep what it was charged for. */
TEST_F(limits, busy_leaves_nothing_behind)
{
	int key, i;

	WQ_REQUIRE_KEYS();
	ASSERT_LE(0, wq_join_session());
	key = wq_add_user_key("wq", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_set_size(self->fds[0], 3));
	ASSERT_EQ(0, wq_watch_key(key, self->fds[0], 1));
	ASSERT_EQ(0, wq_touch_n(key, wq_key_records(2) + 1));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(-EBUSY, wq_set_size(self->fds[0], 1 + i % 2));
	EXPECT_EQ(3, depth_of(self->fds[0]));
	EXPECT_EQ(largest_depth(&variant->l), max_depth_of(self->fds[0]));
}

/* The limits are not for who has CAP_SYS_RESOURCE. */
TEST_F(limits, root_is_not_limited)
{
	const unsigned long largest = largest_depth(&variant->l);
	const unsigned long more = depth_of_pages(wq_pages(largest + 1));
	int fds[2];

	ASSERT_EQ(0, become(0));
	ASSERT_EQ(0, wq_pipe(fds, 0));
	EXPECT_EQ(WQ_DEFAULT_DEPTH, depth_of(fds[0]));
	EXPECT_EQ(WQ_MAX_DEPTH, max_depth_of(fds[0]));
	EXPECT_EQ(0, wq_set_size(fds[0], 20000));
	EXPECT_EQ(-EINVAL, wq_set_size(fds[0], WQ_MAX_DEPTH + 1));
	wq_close(fds);

	/* Whose pipe it is does not matter, but who asks. */
	EXPECT_EQ(0, wq_set_size(self->fds[0], more));
	ASSERT_EQ(0, become(WQ_NOBODY));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], more + 1));
	EXPECT_EQ(0, wq_set_size(self->fds[0], largest));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], more));
}

/* Being root in a user namespace of one's own does not help. */
TEST_F(limits, namespace_root_is_limited)
{
	const unsigned long largest = largest_depth(&variant->l);

	ASSERT_EQ(0, become(0));
	ASSERT_EQ(0, wq_drop_privileges());
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "CONFIG_USER_NS is not set");
	EXPECT_EQ(largest, max_depth_of(self->fds[0]));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], largest + 1));
	EXPECT_EQ(0, wq_set_size(self->fds[0], largest));
}

/* ---- What pipes share ---- */

/* The pages of the queue that a test begins with. */
#define SHARING_DEPTH	200

FIXTURE(sharing)
{
	int fds[2];
};

FIXTURE_VARIANT(sharing)
{
	struct limits l;
};

FIXTURE_VARIANT_ADD(sharing, soft) { .l = { .max = 256, .soft = 100 } };
FIXTURE_VARIANT_ADD(sharing, hard) { .l = { .max = 256, .hard = 100 } };

FIXTURE_VARIANT_ADD(sharing, soft_below_hard) {
	.l = { .max = 256, .soft = 50, .hard = 100 },
};

FIXTURE_VARIANT_ADD(sharing, hard_below_soft) {
	.l = { .max = 256, .soft = 100, .hard = 50 },
};

FIXTURE_SETUP(sharing)
{
	REQUIRE_LIMITS();
	ASSERT_EQ(0, limits_set(&variant->l));
	ASSERT_EQ(0, become(WQ_NOBODY));
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_EQ(0, wq_set_size(self->fds[0], SHARING_DEPTH));
}

FIXTURE_TEARDOWN_PARENT(sharing)
{
	EXPECT_EQ(0, limits_restore());
}

/* A queue may have the pages that the user's others leave. */
TEST_F(sharing, queues)
{
	const unsigned long limit = pages_allowed(&variant->l);
	const unsigned long pages = wq_pages(SHARING_DEPTH);
	unsigned long depth = depth_of_pages(limit - pages);
	int fds[2];

	ASSERT_EQ(0, wq_pipe(fds, 0));
	EXPECT_EQ(depth, max_depth_of(fds[0]));
	EXPECT_EQ(-EPERM, wq_set_size(fds[0], depth + 1));
	EXPECT_EQ(0, wq_set_size(fds[0], depth));
	EXPECT_EQ(-EPERM, wq_set_size(self->fds[0], depth_of_pages(pages) + 1));

	/* What one gives back, the other may have. */
	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	depth = depth_of_pages(limit - wq_pages(1));
	EXPECT_EQ(depth, max_depth_of(fds[0]));
	EXPECT_EQ(0, wq_set_size(fds[0], depth));

	wq_close(self->fds);
	depth = depth_of_pages(limit);
	EXPECT_EQ(depth, max_depth_of(fds[0]));
	EXPECT_EQ(0, wq_set_size(fds[0], depth));
}

/* Ordinary pipes count as well, and are refused or cut in their turn. */
TEST_F(sharing, ordinary_pipes)
{
	const unsigned long limit = pages_allowed(&variant->l);
	const int refused = variant->l.hard == limit ? -ENFILE : 0;
	int fds[2];

	ASSERT_EQ(0, pipe2(fds, 0));
	EXPECT_EQ(depth_of_pages(limit - PIPE_PAGES), max_depth_of(self->fds[0]));
	EXPECT_EQ(0, wq_set_size(self->fds[0], depth_of_pages(limit - PIPE_PAGES)));
	EXPECT_EQ(-EPERM, wq_errno(fcntl(fds[0], F_SETPIPE_SZ,
					 2 * PIPE_PAGES * getpagesize())));
	wq_close(fds);
	ASSERT_EQ(0, wq_set_size(self->fds[0], depth_of_pages(limit)));

	/* Above the soft limit a pipe is small; above the hard one it is none. */
	ASSERT_EQ(refused, wq_errno(pipe2(fds, 0)));
	if (!refused) {
		EXPECT_EQ(PIPE_PAGES_SOFT, pages_of(fds[0]));
		wq_close(fds);
	}

	/* The same for queues. */
	ASSERT_EQ(refused, wq_pipe(fds, 0));
	if (!refused) {
		EXPECT_EQ(1, depth_of(fds[0]));
		wq_close(fds);
	}
}

/* Another user's pipes do not count. */
TEST_F(sharing, not_between_users)
{
	int fds[2];

	ASSERT_EQ(0, become(0));
	ASSERT_EQ(0, become(WQ_NOBODY - 1));
	ASSERT_EQ(0, wq_pipe(fds, 0));
	EXPECT_EQ(depth_of_pages(pages_allowed(&variant->l)), max_depth_of(fds[0]));
	EXPECT_EQ(0, wq_set_size(fds[0], max_depth_of(fds[0])));
	wq_close(fds);
}

/* ---- How many queues ---- */

#define NR_QUEUES	100

FIXTURE(number)
{
	int fds[NR_QUEUES][2];
};

FIXTURE_VARIANT(number)
{
	struct limits l;
};

FIXTURE_VARIANT_ADD(number, hard) { .l = { .max = 256, .hard = 100 } };
FIXTURE_VARIANT_ADD(number, soft) { .l = { .max = 256, .soft = 50, .hard = 100 } };

/* An ordinary pipe would have one page here, a queue takes more. */
FIXTURE_VARIANT_ADD(number, hard_6) { .l = { .max = 1, .hard = 6 } };
FIXTURE_VARIANT_ADD(number, hard_7) { .l = { .max = 1, .hard = 7 } };
FIXTURE_VARIANT_ADD(number, hard_8) { .l = { .max = 1, .hard = 8 } };
FIXTURE_VARIANT_ADD(number, soft_1) { .l = { .max = 1, .soft = 1, .hard = 7 } };
FIXTURE_VARIANT_ADD(number, soft_5) { .l = { .max = 1, .soft = 5, .hard = 8 } };

FIXTURE_SETUP(number)
{
	REQUIRE_LIMITS();
	ASSERT_EQ(0, limits_set(&variant->l));
	ASSERT_EQ(0, become(WQ_NOBODY));
}

FIXTURE_TEARDOWN_PARENT(number)
{
	EXPECT_EQ(0, limits_restore());
}

/*
 * New queues are to be had until the hard limit refuses one.  All their pages
 * count, and what was refused was not charged.
 */
TEST_F(number, ends_at_the_hard_limit)
{
	/* What pipe2() has to be able to charge, be it for a while. */
	const unsigned long most = max_of(min_of(PIPE_PAGES, variant->l.max),
					  wq_pages(WQ_DEFAULT_DEPTH));
	unsigned long pages;
	int nr, had = 0, round, ret;

	for (round = 0; round < 3; round++) {
		pages = 0;
		for (nr = 0; nr < NR_QUEUES; nr++) {
			ret = wq_pipe(self->fds[nr], 0);
			if (ret)
				break;
			pages += pages_of(self->fds[nr][0]);
		}
		ASSERT_EQ(-ENFILE, ret);
		EXPECT_LT(0, nr);
		EXPECT_LE(pages, variant->l.hard);
		EXPECT_GT(pages + most, variant->l.hard);

		if (round)
			EXPECT_EQ(had, nr);
		had = nr;
		while (nr)
			wq_close(self->fds[--nr]);
	}
}

/* ---- Watches ---- */

#define NR_WATCHES	20

/* Users whose number of watches nobody else counts on. */
#define UID_WATCHES	(WQ_NOBODY - 100)

FIXTURE(watches)
{
	int fds[2];
	int keys[NR_WATCHES + 1];
};

FIXTURE_SETUP(watches)
{
	struct rlimit lim;
	char desc[16];
	int i;

	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_ROOT();
	ASSERT_EQ(0, wq_become(UID_WATCHES));
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_LE(0, wq_join_session());
	for (i = 0; i <= NR_WATCHES; i++) {
		snprintf(desc, sizeof(desc), "key%d", i);
		self->keys[i] = wq_add_user_key(desc, KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, self->keys[i]);
	}
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
	lim.rlim_cur = NR_WATCHES;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
}

FIXTURE_TEARDOWN(watches)
{
	wq_close(self->fds);
}

/* Has @fd watch keys @from to @to - 1, with their number as tag; or an error. */
static int watch_keys(FIXTURE_DATA(watches) * const self, int fd, int from,
		      int to)
{
	int i, ret = 0;

	for (i = from; !ret && i < to; i++)
		ret = wq_watch_key(self->keys[i], fd, i);
	return ret;
}

/* A user may have as many watches as files, RLIMIT_NOFILE; one more is EAGAIN. */
TEST_F(watches, as_many_as_files)
{
	const int i = NR_WATCHES;
	struct wq_fdinfo info;

	ASSERT_EQ(0, watch_keys(self, self->fds[0], 0, NR_WATCHES));
	EXPECT_EQ(-EAGAIN, wq_watch_key(self->keys[i], self->fds[0], i));
	ASSERT_EQ(0, wq_fdinfo(0, self->fds[0], &info));
	EXPECT_EQ(NR_WATCHES, info.nr_watches);

	/* Already watching comes first. */
	EXPECT_EQ(-EBUSY, wq_watch_key(self->keys[0], self->fds[0], 0));
	/* A refusal is not counted. */
	EXPECT_EQ(0, wq_watch_key(self->keys[3], self->fds[0], -1));
	EXPECT_EQ(0, wq_watch_key(self->keys[i], self->fds[0], i));
	EXPECT_EQ(-EAGAIN, wq_watch_key(self->keys[3], self->fds[0], 3));
}

/* All queues of the user count. */
TEST_F(watches, of_all_queues)
{
	const int half = NR_WATCHES / 2;
	int fds[2];

	ASSERT_EQ(0, wq_pipe(fds, 0));
	ASSERT_EQ(0, watch_keys(self, fds[0], 0, half));
	ASSERT_EQ(0, watch_keys(self, self->fds[0], half, NR_WATCHES));
	EXPECT_EQ(-EAGAIN, wq_watch_key(self->keys[0], self->fds[0], 0));
	EXPECT_EQ(-EAGAIN, wq_watch_key(self->keys[half], fds[0], 0));

	/* Closing a queue gives its watches back. */
	wq_close(fds);
	EXPECT_EQ(0, watch_keys(self, self->fds[0], 0, half));
	EXPECT_EQ(-EAGAIN, wq_watch_key(self->keys[NR_WATCHES], self->fds[0], 0));
}

/* Neither removing, nor closing, nor failing leaves any behind. */
TEST_F(watches, leave_nothing_behind)
{
	int i, j;

	wq_close(self->fds);
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, wq_pipe(self->fds, 0));
		ASSERT_EQ(0, watch_keys(self, self->fds[0], 0, NR_WATCHES));
		ASSERT_EQ(-EAGAIN, wq_watch_key(self->keys[NR_WATCHES],
						self->fds[0], 0));
		ASSERT_EQ(-EBUSY, wq_watch_key(self->keys[0], self->fds[0], 0));
		for (j = 0; j < i % NR_WATCHES; j++) {
			ASSERT_EQ(0, wq_watch_key(self->keys[j], self->fds[0],
						  -1));
		}
		wq_close(self->fds);
	}
}

/* A key that is destroyed gives the watch on it back. */
TEST_F(watches, key_gone)
{
	const int i = NR_WATCHES;
	struct wq_record rec;

	ASSERT_EQ(0, watch_keys(self, self->fds[0], 0, NR_WATCHES));
	ASSERT_EQ(-EAGAIN, wq_watch_key(self->keys[i], self->fds[0], i));
	ASSERT_EQ(0, wq_unlink_key(self->keys[7], KEY_SPEC_SESSION_KEYRING));
	do {
		ASSERT_EQ(0, wq_read_one(self->fds[0], &rec));
	} while (!wq_is_removal(&rec));
	EXPECT_EQ(7, rec.tag);
	EXPECT_EQ(self->keys[7], rec.id);
	/* The record is there a moment before the user gets the watch back. */
	while (wq_watch_key(self->keys[i], self->fds[0], i) == -EAGAIN)
		sched_yield();
	EXPECT_EQ(-EBUSY, wq_watch_key(self->keys[i], self->fds[0], i));
}

/* ---- The memory cgroup ---- */

/* Far more pages than a processor keeps charged in advance. */
#define CGROUP_DEPTH	65536UL

FIXTURE(cgroup)
{
	int root;
	int child;
	int fds[2];
};

/* cgroup2 without a place in the file system, which may have none to mount on. */
static int cgroup2_root(void)
{
	int fs, root;

	fs = syscall(__NR_fsopen, "cgroup2", 1 /* FSOPEN_CLOEXEC */);
	if (fs < 0)
		return -errno;
	if (syscall(__NR_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL,
		    0)) {
		root = -errno;
	} else {
		root = syscall(__NR_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
		if (root < 0)
			root = -errno;
	}
	close(fs);
	return root;
}

static int cgroup_write(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = wq_errno(write(fd, text, strlen(text)));
	close(fd);
	return ret < 0 ? ret : 0;
}

static long cgroup_memory(int dir)
{
	char text[32] = {};
	int fd = openat(dir, "memory.current", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) < 0) {
		close(fd);
		return -errno;
	}
	close(fd);
	return atol(text);
}

FIXTURE_SETUP(cgroup)
{
	int ret;

	WQ_REQUIRE_PIPE();
	WQ_REQUIRE_ROOT();
	self->root = cgroup2_root();
	if (self->root == -ENODEV)
		SKIP(return, "CONFIG_CGROUPS is not set");
	ASSERT_LE(0, self->root);

	ret = cgroup_write(self->root, "cgroup.subtree_control", "+memory");
	if (ret == -EINVAL || ret == -ENOENT)
		SKIP(return, "CONFIG_MEMCG is not set or cgroup v1 has it");
	ASSERT_EQ(0, ret);
	ret = wq_errno(mkdirat(self->root, "watch_queue_test", 0700));
	if (ret != -EEXIST)
		ASSERT_EQ(0, ret);
	self->child = openat(self->root, "watch_queue_test",
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->child);
	ASSERT_EQ(0, cgroup_write(self->child, "cgroup.procs", "0"));
	ASSERT_LE(0, cgroup_memory(self->child));
}

FIXTURE_TEARDOWN(cgroup)
{
	wq_close(self->fds);
	EXPECT_EQ(0, cgroup_write(self->root, "cgroup.procs", "0"));
	EXPECT_EQ(0, unlinkat(self->root, "watch_queue_test", AT_REMOVEDIR));
}

/* A queue's pages are charged to the memory cgroup of who sets its size. */
TEST_F(cgroup, pages_are_charged)
{
	const long bytes = wq_pages(CGROUP_DEPTH) * getpagesize();
	/* What each processor may have charged but not yet used. */
	const long slack = 64L * getpagesize() * sysconf(_SC_NPROCESSORS_CONF);
	long before, during, after;

	ASSERT_LT(4 * slack, bytes);
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	before = cgroup_memory(self->child);
	ASSERT_EQ(0, wq_set_size(self->fds[0], CGROUP_DEPTH));
	during = cgroup_memory(self->child);
	EXPECT_LE(bytes - slack, during - before);
	EXPECT_GE(bytes + bytes / 4 + slack, during - before);

	ASSERT_EQ(0, wq_set_size(self->fds[0], 1));
	after = cgroup_memory(self->child);
	EXPECT_GE(before + slack, after);

	ASSERT_EQ(0, wq_set_size(self->fds[0], CGROUP_DEPTH));
	wq_close(self->fds);
	after = cgroup_memory(self->child);
	EXPECT_GE(before + slack, after);
}

/* Whether no more than @bytes are charged, once RCU has freed what it still has. */
static bool await_memory(int dir, long bytes)
{
	const long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (cgroup_memory(dir) > bytes && wq_now_ms() < end)
		sched_yield();
	return cgroup_memory(dir) <= bytes;
}

/* What passes through a queue leaves nothing behind, however much it is. */
TEST_F(cgroup, reading_leaves_nothing_behind)
{
	const long slack = 64L * getpagesize() * sysconf(_SC_NPROCESSORS_CONF);
	const unsigned long pages = 4 * slack / getpagesize();
	unsigned long records = 0;
	struct wq_tally tally = {};
	long before;
	int key;

	WQ_REQUIRE_KEYS();
	key = wq_pipe_with_key(self->fds, 0, 0);
	ASSERT_LT(0, key);
	/* Several pages at a time: one that is never full is never done with. */
	ASSERT_EQ(0, wq_set_size(self->fds[0], 512));
	before = cgroup_memory(self->child);
	while (records < pages * getpagesize() / WQ_KEY_RECORD) {
		ASSERT_EQ(0, wq_touch_n(key, 4000));
		records += 4000;
		ASSERT_EQ(0, wq_drain(self->fds[0], &tally));
	}
	EXPECT_EQ(records, tally.records);
	EXPECT_TRUE(await_memory(self->child, before + slack));
}

/* Nor does a new size that is refused, for what is queued does not fit. */
TEST_F(cgroup, busy_leaves_no_memory_behind)
{
	const long slack = 64L * getpagesize() * sysconf(_SC_NPROCESSORS_CONF);
	const long tries = 4 * slack / (wq_pages(499) * getpagesize());
	long before;
	int key, i;

	WQ_REQUIRE_KEYS();
	key = wq_pipe_with_key(self->fds, 0, 0);
	ASSERT_LT(0, key);
	ASSERT_EQ(0, wq_set_size(self->fds[0], 512));
	ASSERT_EQ(0, wq_touch_n(key, wq_key_records(500)));
	before = cgroup_memory(self->child);
	for (i = 0; i < tries; i++)
		ASSERT_EQ(-EBUSY, wq_set_size(self->fds[0], 499));
	EXPECT_TRUE(await_memory(self->child, before + slack));
}

/* So are those of pipes that nobody has set a size for. */
TEST_F(cgroup, default_pages_are_charged)
{
	enum { NR = 400 };
	const long bytes = NR * wq_pages(WQ_DEFAULT_DEPTH) * getpagesize();
	const long slack = 64L * getpagesize() * sysconf(_SC_NPROCESSORS_CONF);
	struct rlimit lim = { 2 * NR + 100, 2 * NR + 100 };
	long before, during;
	int (*fds)[2];
	int i;

	ASSERT_LT(2 * slack, bytes);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
	fds = calloc(NR, sizeof(*fds));
	ASSERT_FALSE(!fds);

	before = cgroup_memory(self->child);
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, wq_pipe(fds[i], 0))
			TH_LOG("pipe %d", i);
	}
	during = cgroup_memory(self->child);
	EXPECT_LE(bytes - slack, during - before);
	for (i = 0; i < NR; i++)
		wq_close(fds[i]);
	EXPECT_TRUE(await_memory(self->child, before + slack));
	free(fds);
}

/* Where the cgroup has no room left, SET_SIZE is ENOMEM and changes nothing. */
TEST_F(cgroup, no_room)
{
	const long slack = 64L * getpagesize() * sysconf(_SC_NPROCESSORS_CONF);
	struct watch_queue_info before, after;
	char text[32];
	long memory;

	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &before));
	memory = cgroup_memory(self->child);
	snprintf(text, sizeof(text), "%ld", memory + 4 * slack);
	ASSERT_EQ(0, cgroup_write(self->child, "memory.max", text));

	EXPECT_EQ(-ENOMEM, wq_set_size(self->fds[0], CGROUP_DEPTH));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(wq_pages(WQ_DEFAULT_DEPTH), pages_of(self->fds[0]));
	EXPECT_TRUE(await_memory(self->child, memory + slack));
	ASSERT_EQ(0, cgroup_write(self->child, "memory.max", "max"));
	EXPECT_EQ(0, wq_set_size(self->fds[0], CGROUP_DEPTH));
}

/* Nor does it keep what the user was charged for, so as much is left as before. */
TEST_F(cgroup, no_room_for_a_user)
{
	struct watch_queue_info before, after;
	unsigned long largest;
	char text[32];
	int i;

	REQUIRE_LIMITS();
	ASSERT_EQ(0, limits_set(&(struct limits){ .max = 256, .soft = 300 }));
	ASSERT_EQ(0, become(WQ_NOBODY));
	ASSERT_EQ(0, wq_pipe(self->fds, 0));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &before));
	largest = before.max_depth;
	ASSERT_EQ(0, become(0));
	snprintf(text, sizeof(text), "%ld", cgroup_memory(self->child) +
		 largest * WQ_BYTES_PER_RECORD / 2);
	ASSERT_EQ(0, cgroup_write(self->child, "memory.max", text));
	ASSERT_EQ(0, become(WQ_NOBODY));

	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ENOMEM, wq_set_size(self->fds[0], largest));
	ASSERT_EQ(0, wq_get_info(self->fds[0], &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(0, limits_restore());
}

int main(int argc, char **argv)
{
	int ret;

	original_ret = limits_get(&original);
	ret = test_harness_run(argc, argv);
	/* A set-up that failed has left its own. */
	if (!original_ret)
		limits_set(&original);
	return ret;
}
