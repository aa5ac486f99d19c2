// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that fails all the time: nothing is lost without being counted, and other
 * disks do not suffer from it.
 *
 * WQ_ERRORS in the environment is how many requests are to fail, 100,000 otherwise.
 */

#include "../kselftest_harness.h"
#include "watch_queue_block.h"

#include <sched.h>

#define BAD_INDEX	30
#define BAD_DISK	"nullb30"
#define GOOD_INDEX	31
#define GOOD_DISK	"nullb31"
#define DISK_SECTORS	(64 << 11)	/* 64 MiB */

#define JOBS		4
#define DEPTH		32
#define ROUNDS		11
#define ROUND_MS	500

#define TRIGGER		WQ_TRACEFS "/events/block/block_rq_error/trigger"
#define HISTOGRAM	WQ_TRACEFS "/events/block/block_rq_error/hist"

static unsigned long nr_errors(void)
{
	const char *text = getenv("WQ_ERRORS");
	unsigned long n = text ? strtoul(text, NULL, 0) : 0;

	return n ? n : 100000;
}

/* ---- What is counted without us ---- */

/*
 * The trace point's hits of that disk, which a histogram counts; with those that it
 * dropped, as it does when two of them race to be its first.
 */
static long traced_errors(dev_t dev)
{
	unsigned long want = (unsigned long)major(dev) << 20 | minor(dev);
	unsigned long key, hits, dropped;
	char line[256];
	long found = 0;
	FILE *f;

	f = fopen(HISTOGRAM, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "{ dev: %lu } hitcount: %lu", &key, &hits) == 2 &&
		    key == want)
			found += hits;
		else if (sscanf(line, " Dropped: %lu", &dropped) == 1)
			found += dropped;
	}
	fclose(f);
	return found;
}

/* The disk's own statistics: the reads that came to an end. */
static long completed_reads(const char *disk)
{
	unsigned long long reads = 0;
	char path[WQ_PATH];
	int ret;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	ret = wq_file_read_u64(path, &reads);
	return ret ? ret : (long)reads;
}

/* ---- Those who make errors, and who reads of them ---- */

struct job {
	pthread_t	thread;
	int		fd;
	int		cpu;		/* or -1 */
	unsigned long	nr;		/* at most */
	bool		*stop;
	unsigned long	done;		/* requests that were answered */
	unsigned long	failed;		/* those with EIO */
};

static void stay_on(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *do_job(void *arg)
{
	struct job *job = arg;
	unsigned long i;

	stay_on(job->cpu);
	for (i = 0; i < job->nr; i++) {
		if (job->stop && __atomic_load_n(job->stop, __ATOMIC_RELAXED))
			break;
		if (wq_disk_read(job->fd, i * WQ_IO_SECTORS % DISK_SECTORS,
				 WQ_IO_SECTORS) == -EIO)
			job->failed++;
		__atomic_store_n(&job->done, job->done + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

struct listener {
	pthread_t	thread;
	int		fd;
	int		cpu;
	dev_t		dev;
	unsigned long	records;	/* of the disk's errors */
	unsigned long	others;		/* that should not be */
	unsigned long	lost;
	unsigned long	losses;
	unsigned long	removals;
	int		ret;
};

/* Reads until the other end is closed. */
static void *listen(void *arg)
{
	struct listener *l = arg;
	union wq_any_record r;
	struct wq_record rec;
	char buf[8192];
	ssize_t len;
	size_t pos;

	stay_on(l->cpu);
	for (;;) {
		len = wq_read(l->fd, buf, sizeof(buf));
		if (len <= 0) {
			l->ret = len;
			return NULL;
		}
		wq_for_each_record(rec, pos, buf, len) {
			memset(&r, 0, sizeof(r));
			memcpy(&r, buf + pos, rec.len);
			if (wq_is_removal(&rec)) {
				l->removals++;
			} else if (wq_is_loss(&rec)) {
				l->lost += rec.lost;
				l->losses++;
			} else if (rec.type == WATCH_TYPE_BLOCK_NOTIFY &&
				   rec.subtype == NOTIFY_BLOCK_ERROR_IO &&
				   rec.len == sizeof(r.block) &&
				   r.block.dev == l->dev &&
				   r.block.status == -EIO &&
				   r.block.sectors == WQ_IO_SECTORS &&
				   r.block.operation == NOTIFY_BLOCK_OP_READ &&
				   !r.block.__reserved) {
				l->records++;
			} else {
				l->others++;
			}
		}
		if (pos != (size_t)len) {
			l->ret = -EBADMSG;
			return NULL;
		}
	}
}

static int begin_listening(struct listener *l, int fds[2], dev_t dev, int cpu)
{
	*l = (struct listener){ .dev = dev, .cpu = cpu };
	l->ret = wq_pipe_with_disks(fds, DEPTH);
	l->fd = fds[0];
	if (!l->ret)
		l->ret = -pthread_create(&l->thread, NULL, listen, l);
	return l->ret;
}

/* The record of the removal is read or, where there is no room for it, lost. */
static int end_listening(struct listener *l, int fds[2])
{
	int ret = wq_watch_devices(fds[1], -1, 0);

	wq_close_end(&fds[1]);
	if (!ret)
		ret = -pthread_join(l->thread, NULL);
	wq_close_end(&fds[0]);
	return ret ? ret : l->ret;
}

/* ---- The disks ---- */

FIXTURE(load)
{
	struct wq_disk bad;
	struct wq_disk good;
};

FIXTURE_VARIANT(load)
{
	const char *irqmode;
};

FIXTURE_VARIANT_ADD(load, completed_in_soft_interrupt)
{
	.irqmode = "1",
};

FIXTURE_VARIANT_ADD(load, completed_in_hard_interrupt)
{
	.irqmode = "2",
};

FIXTURE_SETUP(load)
{
	self->bad.fd = -EBADF;
	self->good.fd = -EBADF;
	WQ_REQUIRE_BLOCK();
	WQ_REQUIRE_PATH(WQ_CONFIGFS "/nullb", "CONFIG_BLK_DEV_NULL_BLK");
	WQ_REQUIRE_PATH(HISTOGRAM, "CONFIG_HIST_TRIGGERS");
	ASSERT_EQ(0, wq_null_begin(BAD_INDEX, variant->irqmode, false));
	ASSERT_EQ(0, wq_disk_open(&self->bad, BAD_DISK));
	ASSERT_EQ(0, wq_null_set(BAD_INDEX, "badblocks", "+0-131071"));
	/* What each job asks for is a request of its own. */
	ASSERT_EQ(0, wq_queue_set(BAD_DISK, "nomerges", "2"));
	ASSERT_EQ(0, wq_null_begin(GOOD_INDEX, variant->irqmode, false));
	ASSERT_EQ(0, wq_disk_open(&self->good, GOOD_DISK));
}

FIXTURE_TEARDOWN(load)
{
	if (self->good.fd >= 0) {
		wq_disk_close(&self->good);
		EXPECT_EQ(0, wq_null_remove(GOOD_INDEX));
	}
	if (self->bad.fd >= 0) {
		wq_disk_close(&self->bad);
		EXPECT_EQ(0, wq_null_remove(BAD_INDEX));
	}
}

/*
 * Several jobs on the bad disk, one on the good one: what the listener read and what
 * it was told that it missed is what failed, by three counts that are not ours.
 */
TEST_F_TIMEOUT(load, all_are_counted, 600)
{
	unsigned long nr = nr_errors(), failed = 0;
	struct job jobs[JOBS], fine;
	bool stop = false;
	struct listener l;
	long reads;
	int fds[2], i;

	ASSERT_EQ(0, wq_file_write(TRIGGER, "hist:keys=dev"));
	ASSERT_EQ(0, begin_listening(&l, fds, self->bad.dev, -1));
	reads = completed_reads(BAD_DISK);

	fine = (struct job){
		.fd = self->good.fd, .cpu = -1, .nr = -1UL, .stop = &stop,
	};
	ASSERT_EQ(0, pthread_create(&fine.thread, NULL, do_job, &fine));
	for (i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){
			.fd = self->bad.fd, .cpu = -1, .nr = (nr + i) / JOBS,
		};
		ASSERT_EQ(0, pthread_create(&jobs[i].thread, NULL, do_job, &jobs[i]));
	}
	for (i = 0; i < JOBS; i++) {
		ASSERT_EQ(0, pthread_join(jobs[i].thread, NULL));
		failed += jobs[i].failed;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(fine.thread, NULL));
	EXPECT_EQ(0, end_listening(&l, fds));

	TH_LOG("%lu failed: %lu read, %lu lost in %lu places", failed, l.records,
	       l.lost, l.losses);
	EXPECT_EQ(nr, failed);
	EXPECT_EQ(0, fine.failed);
	EXPECT_LT(0, fine.done);
	EXPECT_EQ(0, l.others);
	/* That the watch was removed is one record more, read or lost. */
	EXPECT_EQ(failed + 1, l.records + l.lost + l.removals);
	EXPECT_EQ((long)failed, traced_errors(self->bad.dev));
	EXPECT_EQ((long)failed, completed_reads(BAD_DISK) - reads);
	EXPECT_EQ(0, wq_file_write(TRIGGER, "!hist:keys=dev"));
}

/* The same where nobody reads until all is over: a full queue, and one loss. */
TEST_F_TIMEOUT(load, nobody_reads, 600)
{
	unsigned long nr = nr_errors() / 10;
	struct job job = { .fd = self->bad.fd, .cpu = -1, .nr = nr };
	struct wq_tally tally = { };
	int fds[2];

	ASSERT_EQ(0, wq_pipe_with_disks(fds, DEPTH));
	do_job(&job);
	EXPECT_EQ(nr, job.failed);
	ASSERT_EQ(0, wq_drain(fds[0], &tally));
	EXPECT_EQ(DEPTH * WQ_BYTES_PER_RECORD / sizeof(struct block_notification),
		  tally.records);
	EXPECT_EQ(1, tally.losses);
	EXPECT_EQ(nr, tally.records + tally.lost);
	wq_close(fds);
}

static int compare(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* How many requests a second that job does now. */
static unsigned long rate_of(const struct job *job)
{
	unsigned long before = __atomic_load_n(&job->done, __ATOMIC_RELAXED);
	long begun = wq_now_ms();

	usleep(ROUND_MS * 1000);
	return 1000 * (__atomic_load_n(&job->done, __ATOMIC_RELAXED) - before) /
	       (wq_now_ms() - begun);
}

/*
 * The good disk's throughput beside the bad one, listened to or not.  The good disk's
 * job has a CPU of its own; the other has the bad disk's job and the listener.
 */
TEST_F_TIMEOUT(load, others_do_not_suffer, 600)
{
	unsigned long rates[2][ROUNDS];
	struct job bad, good;
	bool stop = false;
	struct listener l;
	int fds[2], i, heard;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "takes two processors");
	bad = (struct job){ .fd = self->bad.fd, .cpu = 0, .nr = -1UL, .stop = &stop };
	good = (struct job){ .fd = self->good.fd, .cpu = 1, .nr = -1UL, .stop = &stop };
	ASSERT_EQ(0, pthread_create(&bad.thread, NULL, do_job, &bad));
	ASSERT_EQ(0, pthread_create(&good.thread, NULL, do_job, &good));
	for (i = 0; i < 2 * ROUNDS; i++) {
		heard = i % 2;
		if (heard)
			ASSERT_EQ(0, begin_listening(&l, fds, self->bad.dev, bad.cpu));
		rates[heard][i / 2] = rate_of(&good);
		if (heard) {
			EXPECT_EQ(0, end_listening(&l, fds));
			EXPECT_LT(0, l.records);
			EXPECT_EQ(0, l.others);
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(bad.thread, NULL));
	ASSERT_EQ(0, pthread_join(good.thread, NULL));
	EXPECT_EQ(bad.done, bad.failed);
	EXPECT_EQ(0, good.failed);

	for (i = 0; i < 2; i++)
		qsort(rates[i], ROUNDS, sizeof(rates[i][0]), compare);
	TH_LOG("good requests a second: %lu (%lu to %lu) unheard, %lu (%lu to %lu) heard: %.2f",
	       rates[0][ROUNDS / 2], rates[0][0], rates[0][ROUNDS - 1],
	       rates[1][ROUNDS / 2], rates[1][0], rates[1][ROUNDS - 1],
	       (double)rates[1][ROUNDS / 2] / rates[0][ROUNDS / 2]);
	/* Not less than what lies within the noise where nobody listens. */
	EXPECT_LE(rates[0][0], rates[1][ROUNDS / 2]);
}

TEST_HARNESS_MAIN
