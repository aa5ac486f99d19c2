// SPDX-License-Identifier: GPL-2.0
/* The queue: makes it, attaches it to what is to be watched, and reads it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wqmon.h"

/* The C library's headers may be older than the system call. */
#ifndef __NR_watch_devices
/* All architectures have these numbers of system calls at the same distance. */
#define __NR_watch_devices	(__NR_pidfd_send_signal + 56)
#endif

#define DEFAULT_DEPTH		256

static int make_queue(void)
{
	int fds[2];

	if (!pipe2(fds, O_CLOEXEC | O_NONBLOCK | O_NOTIFICATION_PIPE)) {
		/* The other end stays open: without it, read() would say "end". */
		return fds[0];
	}
	switch (errno) {
	case ENOPKG:
	case EINVAL:
		die(EXIT_NO_KERNEL,
		    "the kernel has no notification pipes: it lacks CONFIG_WATCH_QUEUE");
	case EMFILE:
		die(EXIT_FAILED,
		    "cannot make a notification pipe: too many files are open; raise RLIMIT_NOFILE (ulimit -n)");
	case ENFILE:
		die(EXIT_FAILED,
		    "cannot make a notification pipe: the system has too many files open, or this user's pipes too many pages; raise fs.file-max or fs.pipe-user-pages-hard");
	default:
		die(EXIT_FAILED, "cannot make a notification pipe: %s", strerror(errno));
	}
}

/* What the kernel says of the queue; a kernel before GET_INFO says nothing. */
static struct watch_queue_info get_info(int fd)
{
	struct watch_queue_info info = { .size = sizeof(info) };

	if (ioctl(fd, IOC_WATCH_QUEUE_GET_INFO, &info) < 0)
		memset(&info, 0, sizeof(info));
	return info;
}

/* Who has not asked for a depth gets what there is. */
static void set_depth(int fd, unsigned int depth)
{
	struct watch_queue_info info = get_info(fd);
	unsigned int want = depth ? depth : DEFAULT_DEPTH;

	if (!depth && info.max_depth && info.max_depth < want)
		want = info.max_depth;
	if (!ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, want))
		return;
	if (!depth && info.depth)
		return;
	switch (errno) {
	case EPERM:
		die(EXIT_FAILED,
		    "a depth of %u is more than this user may have (%u at most); raise fs.pipe-max-size or fs.pipe-user-pages-soft, or run it with CAP_SYS_RESOURCE",
		    want, info.version ? info.max_depth : want - 1);
	case EINVAL:
		die(EXIT_FAILED, "a depth of %u is more than this kernel can do%s", want,
		    info.version ? "" : ", which is 512");
	default:
		die(EXIT_FAILED, "cannot make the queue %u deep: %s", want,
		    strerror(errno));
	}
}

static __noreturn void die_of_no_events(void)
{
	die(EXIT_NO_KERNEL, "this kernel knows none of the events asked for");
}

static void set_filter(int fd, const struct options *o)
{
	int ret = select_in_kernel(fd, o);

	if (ret == -EINVAL)
		die_of_no_events();
	if (ret)
		die(EXIT_FAILED, "cannot set the filter: %s", strerror(-ret));
}

static unsigned long max_watches(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : limit.rlim_cur;
}

static __noreturn void die_of_too_many_watches(const char *what)
{
	die(EXIT_FAILED,
	    "cannot watch %s: this user has as many watches as RLIMIT_NOFILE allows, %lu; raise it (ulimit -n) or end another program that watches",
	    what, max_watches());
}

/* ---- Keys ---- */

static void watch_key(int fd, const struct watch *w)
{
	if (!keyctl_watch_key(w->key, fd, w->tag))
		return;
	switch (errno) {
	case EOPNOTSUPP:
		die(EXIT_NO_KERNEL,
		    "cannot watch keys: the kernel lacks CONFIG_KEY_NOTIFICATIONS");
	case ENOSYS:
		die(EXIT_NO_KERNEL, "cannot watch keys: the kernel lacks CONFIG_KEYS");
	case ENOKEY:
		die(EXIT_FAILED, "there is no key %s; see 'keyctl show' and /proc/keys",
		    w->name);
	case EKEYREVOKED:
	case EKEYEXPIRED:
		die(EXIT_FAILED,
		    "the key %s cannot be watched any more: it was revoked or has expired",
		    w->name);
	case EACCES:
		die(EXIT_FAILED,
		    "may not watch the key %s: it takes View permission, see 'keyctl describe'",
		    w->name);
	case EBUSY:
		die(EXIT_USAGE, "the key %s is given twice", w->name);
	case EAGAIN:
		die_of_too_many_watches(w->name);
	default:
		die(EXIT_FAILED, "cannot watch the key %s: %s", w->name,
		    strerror(errno));
	}
}

/* ---- Devices ---- */

static const struct {
	unsigned int	type;
	const char	*what;
	const char	*option;
} device_types[] = {
	{ WATCH_TYPE_BLOCK_NOTIFY, "block devices", "CONFIG_BLK_NOTIFICATIONS" },
	{ WATCH_TYPE_USB_NOTIFY, "USB", "CONFIG_USB_NOTIFICATIONS" },
};

/* A source may be missing as long as another has events that are let through. */
static void check_sources(int fd, const struct options *o)
{
	__u64 posted = get_info(fd).types;
	bool none = !(o->device_types & posted), told = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(device_types); i++) {
		__u32 bit = 1u << device_types[i].type;

		if (!(o->device_types & bit) || posted & bit)
			continue;
		if (none || !o->quiet)
			warn("nothing is told of %s: the kernel lacks %s",
			     device_types[i].what, device_types[i].option);
		told = true;
	}
	if (!none)
		return;
	if (!told)
		die_of_no_events();
	exit(EXIT_NO_KERNEL);
}

static bool log_is_restricted(void)
{
	FILE *f = fopen("/proc/sys/kernel/dmesg_restrict", "re");
	int restricted = 0;

	if (f) {
		if (fscanf(f, "%d", &restricted) != 1)
			restricted = 0;
		fclose(f);
	}
	return restricted;
}

static void watch_devices(int fd, const struct watch *w, const struct options *o)
{
	if (!syscall(__NR_watch_devices, fd, w->tag, 0)) {
		check_sources(fd, o);
		return;
	}
	switch (errno) {
	case ENOSYS:
		die(EXIT_NO_KERNEL,
		    "cannot watch devices: the kernel lacks CONFIG_DEVICE_NOTIFICATIONS");
	case EPERM:
		if (log_is_restricted())
			die(EXIT_FAILED,
			    "may not watch devices: kernel.dmesg_restrict is set, so run it as root or with CAP_SYSLOG, and outside of user namespaces");
		die(EXIT_FAILED,
		    "may not watch devices: run it outside of user namespaces and with CAP_SYSLOG");
	case EACCES:
		die(EXIT_FAILED,
		    "may not watch devices: a security module refuses it; see the audit log");
	case EAGAIN:
		die_of_too_many_watches("devices");
	default:
		die(EXIT_FAILED, "cannot watch devices: %s", strerror(errno));
	}
}

/**
 * queue_open - make a queue and attach it to what is to be watched
 * @o: The options.
 *
 * The state of things is looked at after that, so that nothing is missed.
 *
 * Return: The queue, which does not block; does not return if it cannot be done.
 */
int queue_open(const struct options *o)
{
	const struct watch *w;
	int fd = make_queue();

	set_depth(fd, o->depth);
	set_filter(fd, o);
	for (w = o->watches; w < o->watches + o->nr_watches; w++) {
		if (w->key)
			watch_key(fd, w);
		else
			watch_devices(fd, w, o);
	}
	for (w = o->watches; w < o->watches + o->nr_watches; w++) {
		if (w->key)
			remember_keys(w->key);
		else
			remember_devices();
	}
	return fd;
}

/**
 * queue_read - read whole records
 * @fd: The queue.
 * @buffer: Where to.
 * @size: How many bytes there are, at least as many as the longest record has.
 *
 * Return: How many bytes were read, 0 if there is nothing to be read now.
 */
ssize_t queue_read(int fd, void *buffer, size_t size)
{
	ssize_t len = read(fd, buffer, size);

	if (len >= 0)
		return len;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	die(EXIT_FAILED, "cannot read the queue: %s", strerror(errno));
}

/**
 * queue_watches - how many watches are left
 * @fd: The queue.
 *
 * Return: The number; -1 if neither /proc nor the kernel says it.
 */
int queue_watches(int fd)
{
	bool told = false;
	char path[64], line[512];
	int watches = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "watch_queue-depth:", 18))
			told = true;
		if (!strncmp(line, "watch_queue-watch:", 18))
			watches++;
	}
	fclose(f);
	return told ? watches : -1;
}

/* How much can be read now. */
size_t queue_bytes(int fd)
{
	int bytes;

	return ioctl(fd, FIONREAD, &bytes) ? 0 : bytes;
}
