/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of LSMs share: a disk that fails from a hard interrupt, doing a
 * thing as somebody else, and what each of them starts with.  Include it after
 * kselftest_harness.h.
 */
#ifndef WATCH_QUEUE_LSM_H
#define WATCH_QUEUE_LSM_H

#include <sys/wait.h>

#include "watch_queue_audit.h"
#include "watch_queue_block.h"
#include "watch_queue_gadget.h"

/* ---- A disk that fails ---- */

#define WQ_FAILING_INDEX	50
#define WQ_FAILING_NAME		"nullb50"

/* Each read of it fails, and says so in a hard interrupt. */
static inline int wq_failing_make(struct wq_disk *disk)
{
	int ret;

	disk->fd = -EBADF;
	ret = wq_null_begin(WQ_FAILING_INDEX, "2", true);
	if (!ret)
		ret = wq_disk_open(disk, WQ_FAILING_NAME);
	return ret;
}

static inline int wq_failing_remove(struct wq_disk *disk)
{
	if (disk->fd < 0)
		return 0;
	wq_disk_close(disk);
	return wq_null_remove(WQ_FAILING_INDEX);
}

/* Makes @n events, each of which has been posted on return. */
static inline int wq_fail(const struct wq_disk *disk, unsigned long n)
{
	int ret = 0;

	while (!ret && n--) {
		ret = wq_disk_read(disk->fd, WQ_NULL_BAD, WQ_IO_SECTORS);
		ret = ret == -EIO ? 0 : ret < 0 ? ret : -EINVAL;
	}
	return ret;
}

/* How many records of that disk's errors are there; reads everything. */
static inline int wq_failures_heard(int fd, const struct wq_disk *disk)
{
	union wq_any_record r;
	int ret, n = 0;

	while (!(ret = wq_next_record(fd, &r, 0))) {
		struct wq_disk_event event = { disk->dev, NOTIFY_BLOCK_ERROR_IO };

		n += wq_is_disk_event(&r, &event);
	}
	return ret == -ETIMEDOUT ? n : ret;
}

/*
 * Whether nothing came of any kind: no record, no loss, in no place that tells
 * of either.
 */
static inline bool wq_heard_nothing(int fd)
{
	struct watch_queue_info info;
	struct wq_fdinfo fdinfo;

	return !wq_readable(fd) && wq_fionread(fd) == 0 &&
	       !wq_get_info(fd, &info) && !info.lost && !info.queued &&
	       !wq_fdinfo(0, fd, &fdinfo) && !fdinfo.lost && !fdinfo.queued;
}

/* ---- Somebody else ---- */

/*
 * In a process of its own, does @become(arg), then sets the watch: of @key, or, if
 * that is 0, of devices.  It is this process's credentials that the watch has, also
 * when it has gone.  Returns what setting the watch did, or -ENOEXEC if it did not
 * come to that; @pid is the process, as audit may name it.
 */
static inline int wq_watch_as(int (*become)(const char *who), const char *who,
			      int fd, int tag, int key, pid_t *pid)
{
	pid_t child = fork();
	int status, ret;

	*pid = child;
	if (child < 0)
		return -errno;
	if (!child) {
		if (become(who))
			_exit(ENOEXEC);
		ret = key ? wq_watch_key(key, fd, tag) : wq_watch_devices(fd, tag, 0);
		_exit(-ret);
	}
	if (waitpid(child, &status, 0) != child)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOEXEC;
}

/* ---- Where each test starts ---- */

/**
 * struct wq_lsm - what every test of an LSM has
 * @fds: A notification pipe that watches nothing yet.
 * @all: One that hears of all disks, as the tester is allowed to.
 * @disk: A disk that fails.
 * @audit: See wq_audit_open().
 */
struct wq_lsm {
	int		fds[2];
	int		all[2];
	struct wq_disk	disk;
	int		audit;
};

/* Whether the kernel has the file system, which an LSM that is active registers. */
static inline bool wq_knows_filesystem(const char *name)
{
	char line[64], word[64];
	bool found = false;
	FILE *f;

	f = fopen("/proc/filesystems", "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		found |= sscanf(line, "nodev %63s", word) == 1 && !strcmp(word, name);
	fclose(f);
	return found;
}

static inline int wq_lsm_begin(struct wq_lsm *t)
{
	int ret = wq_join_session();

	if (ret >= 0)
		ret = wq_failing_make(&t->disk);
	if (!ret)
		ret = wq_pipe(t->fds, O_CLOEXEC);
	if (!ret)
		ret = wq_set_size(t->fds[0], 256);
	if (!ret)
		ret = wq_pipe_with_disks(t->all, 256);
	if (ret)
		return ret;
	t->audit = wq_audit_open();
	return t->audit < 0 ? t->audit : 0;
}

/* What is not open is negative. */
static inline int wq_lsm_end(struct wq_lsm *t)
{
	wq_close(t->fds);
	wq_close(t->all);
	if (t->audit >= 0)
		close(t->audit);
	return wq_failing_remove(&t->disk);
}

/* ---- A USB device that comes and goes ---- */

static inline bool wq_is_usb_event(const union wq_any_record *r, const void *arg)
{
	return r->watch.type == WATCH_TYPE_USB_NOTIFY &&
	       r->watch.subtype == *(const unsigned int *)arg &&
	       r->usb.vendor == WQ_GADGET_VENDOR;
}

/* Plugs it in and out; both have been posted, and heard at @fd, on return. */
static inline int wq_plug_in_and_out(int fd)
{
	static const unsigned int in = NOTIFY_USB_DEVICE_ADD;
	static const unsigned int out = NOTIFY_USB_DEVICE_REMOVE;
	union wq_any_record r;
	struct wq_gadget g;
	int ret;

	ret = wq_gadget_init(&g);
	if (!ret)
		ret = wq_gadget_start(&g);
	if (!ret)
		ret = wq_await(fd, &r, wq_is_usb_event, &in);
	wq_gadget_stop(&g);
	return ret ? ret : wq_await(fd, &r, wq_is_usb_event, &out);
}

#endif /* WATCH_QUEUE_LSM_H */
