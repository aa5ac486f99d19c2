/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail, and copies from and to user space.  The kernel counts a
 * task's and fails the one whose number was written to the task's fail-nth.  Include
 * it after watch_queue_util.h.
 */
#ifndef WATCH_QUEUE_FAULT_H
#define WATCH_QUEUE_FAULT_H

#include <sys/mount.h>

#define WQ_DEBUGFS		"/sys/kernel/debug/"

/* What failed, if anything did. */
enum wq_fault {
	WQ_FAULT_NONE,
	WQ_FAULT_MEMORY,	/* an allocation, of an object or of pages */
	WQ_FAULT_COPY,		/* a copy from or to user space */
	WQ_FAULT_OTHER,
};

/* Each attribute counts down how often it may yet fail something; from here. */
#define WQ_FAULT_TIMES		"1000000000"

/*
 * All kinds of allocations, and no word of it in the log.  Nothing fails but for
 * fail-nth, for the probability remains 0.
 */
struct wq_fault_setting {
	const char	*path;
	const char	*option;	/* without which it is not there */
	const char	*text;
	char		before[32];
};

static struct wq_fault_setting wq_fault_settings[] = {
	{ "failslab/ignore-gfp-wait", "CONFIG_FAILSLAB", "N" },
	{ "failslab/verbose", "CONFIG_FAILSLAB", "0" },
	{ "failslab/times", "CONFIG_FAILSLAB", WQ_FAULT_TIMES },
	{ "fail_page_alloc/ignore-gfp-wait", "CONFIG_FAIL_PAGE_ALLOC", "N" },
	{ "fail_page_alloc/ignore-gfp-highmem", "CONFIG_FAIL_PAGE_ALLOC", "N" },
	{ "fail_page_alloc/min-order", "CONFIG_FAIL_PAGE_ALLOC", "0" },
	{ "fail_page_alloc/verbose", "CONFIG_FAIL_PAGE_ALLOC", "0" },
	{ "fail_page_alloc/times", "CONFIG_FAIL_PAGE_ALLOC", WQ_FAULT_TIMES },
	{ "fail_usercopy/verbose", NULL, "0" },
	{ "fail_usercopy/times", NULL, WQ_FAULT_TIMES },
};

#define wq_for_each_fault_setting(s)					\
	for ((s) = wq_fault_settings;					\
	     (s) < wq_fault_settings + ARRAY_SIZE(wq_fault_settings); (s)++)

static inline int wq_fault_open(const char *path, int flags)
{
	char full[128];

	snprintf(full, sizeof(full), WQ_DEBUGFS "%s", path);
	return wq_errno(open(full, flags | O_CLOEXEC));
}

static inline int wq_fault_setting_write(const char *path, const char *text)
{
	int fd = wq_fault_open(path, O_WRONLY);
	int ret;

	if (fd < 0)
		return fd;
	ret = wq_errno(write(fd, text, strlen(text)));
	close(fd);
	return ret < 0 ? ret : 0;
}

static inline int wq_fault_setting_save(struct wq_fault_setting *s)
{
	int fd = wq_fault_open(s->path, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = wq_read(fd, s->before, sizeof(s->before) - 1);
	close(fd);
	if (len < 0)
		return len;
	s->before[len] = 0;
	return 0;
}

/*
 * Makes the settings.  @missing is NULL then, or the option that is missing.  Without
 * CONFIG_FAULT_INJECTION_USERCOPY they can be made, but no copy fails.
 */
static inline void wq_faults_set(const char **missing)
{
	struct wq_fault_setting *s;
	int ret;

	*missing = "CONFIG_FAULT_INJECTION";
	if (access("/proc/self/fail-nth", F_OK))
		return;
	/* Whether it is mounted already or cannot be is seen when it is used. */
	mount("debugfs", WQ_DEBUGFS, "debugfs", 0, NULL);
	wq_for_each_fault_setting(s) {
		ret = wq_fault_setting_save(s);
		if (!ret)
			ret = wq_fault_setting_write(s->path, s->text);
		*missing = s->option;
		if (ret && s->option)
			return;
	}
	*missing = NULL;
}

/* Lets the settings be as they were. */
static inline void wq_faults_reset(void)
{
	struct wq_fault_setting *s;

	wq_for_each_fault_setting(s)
		if (s->before[0])
			wq_fault_setting_write(s->path, s->before);
}

/* Who keep count of what they have failed. */
enum wq_fault_by { WQ_FAULT_SLAB, WQ_FAULT_PAGE, WQ_FAULT_USERCOPY, WQ_FAULT_NR };

/* One task's faults. */
struct wq_faults {
	int	nth;
	bool	armed;
	long	times[WQ_FAULT_NR];
};

/* To be called by the task whose calls are to fail, and by root. */
static inline int wq_faults_open(struct wq_faults *f)
{
	f->nth = wq_errno(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
	return f->nth < 0 ? f->nth : 0;
}

/* Whether copies can fail; asked by root. */
static inline bool wq_faults_copies(void)
{
	return !access(WQ_DEBUGFS "fail_usercopy", F_OK);
}

static inline long wq_fault_times(const char *path)
{
	char text[32] = {};
	int fd = wq_fault_open(path, O_RDONLY);

	if (fd < 0)
		return 0;
	if (wq_read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return atol(text);
}

/* Only root may look, or who can become it. */
static inline int wq_faults_count(long times[WQ_FAULT_NR])
{
	uid_t euid = geteuid();

	if (euid && seteuid(0))
		return -errno;
	times[WQ_FAULT_SLAB] = wq_fault_times("failslab/times");
	times[WQ_FAULT_PAGE] = wq_fault_times("fail_page_alloc/times");
	times[WQ_FAULT_USERCOPY] = wq_fault_times("fail_usercopy/times");
	if (!euid)
		return 0;
	if (seteuid(euid))
		return -errno;
	/* A change of user takes away one's own /proc/self/fd. */
	return wq_errno(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/* Has the @n-th from now on fail, or nothing if @n is 0. */
static inline int wq_fault_arm(struct wq_faults *f, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);
	int ret = wq_faults_count(f->times);

	if (ret)
		return ret;
	f->armed = n;
	return wq_errno(pwrite(f->nth, text, len, 0)) == len ? 0 : -EIO;
}

/*
 * Ends it.  Returns whether something has failed.  To ask and to end it are calls that
 * copy themselves; what they run into is nothing that failed before.
 */
static inline bool wq_fault_end(struct wq_faults *f)
{
	char text[16] = {};

	if (!f->armed || pread(f->nth, text, sizeof(text) - 1, 0) < 0)
		return false;
	if (!atol(text))
		return true;
	while (pwrite(f->nth, "0", 1, 0) < 0)
		;
	return false;
}

/* As wq_fault_end(), and tells what failed. */
static inline enum wq_fault wq_fault_disarm(struct wq_faults *f)
{
	long times[WQ_FAULT_NR];

	if (!wq_fault_end(f))
		return WQ_FAULT_NONE;
	if (wq_faults_count(times))
		return WQ_FAULT_OTHER;
	if (times[WQ_FAULT_SLAB] != f->times[WQ_FAULT_SLAB] ||
	    times[WQ_FAULT_PAGE] != f->times[WQ_FAULT_PAGE])
		return WQ_FAULT_MEMORY;
	if (times[WQ_FAULT_USERCOPY] != f->times[WQ_FAULT_USERCOPY])
		return WQ_FAULT_COPY;
	return WQ_FAULT_OTHER;
}

#endif /* WATCH_QUEUE_FAULT_H */
