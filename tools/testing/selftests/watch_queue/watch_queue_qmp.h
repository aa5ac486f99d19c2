/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Driving the virtual machine from inside: plugging devices in and out, over
 * QEMU's monitor protocol.
 *
 * WQ_QMP in the environment names the serial port that QEMU has connected to its
 * own monitor:
 *
 *	-chardev socket,id=qmp,path=DIR/qmp,server=on,wait=off
 *	-mon chardev=qmp,mode=control
 *	-chardev socket,id=qmpc,path=DIR/qmp -serial chardev:qmpc
 *
 * which is WQ_QMP=/dev/ttyS2 if it is the third -serial.  A test does::
 *
 *	struct wq_qmp qmp;
 *
 *	WQ_REQUIRE_QMP(&qmp);
 *	ASSERT_EQ(0, wq_qmp(&qmp, "blockdev-add",
 *			    "'driver': 'null-co', 'node-name': 'disk'"));
 *	ASSERT_EQ(0, wq_qmp(&qmp, "device_add",
 *			    "'driver': 'usb-storage', 'id': 'stick', 'drive': 'disk'"));
 *	...
 *	ASSERT_EQ(0, wq_qmp(&qmp, "device_del", "'id': '%s'", "stick"));
 *	ASSERT_EQ(0, wq_qmp_await(&qmp, "DEVICE_DELETED", "stick"));
 *	ASSERT_EQ(0, wq_qmp(&qmp, "blockdev-del", "'node-name': 'disk'"));
 *	wq_qmp_close(&qmp);
 *
 * One program at a time may use it.  Include it after kselftest_harness.h.
 */
#ifndef WATCH_QUEUE_QMP_H
#define WATCH_QUEUE_QMP_H

#include <stdarg.h>
#include <termios.h>
#include <time.h>
#include "watch_queue_util.h"

/* How long the monitor may take to answer, and an event to come. */
#define WQ_QMP_PATIENCE_MS	60000

#define WQ_QMP_EVENTS		32

/*
 * @fd: The serial port.
 * @id: Of the last command; what answers another one's is passed over.
 * @input: What was read and is not yet a whole line.
 * @line: The last line, a JSON object.
 * @events: Those that nobody waited for yet, the oldest first.
 */
struct wq_qmp {
	int		fd;
	unsigned int	id;
	size_t		used;
	char		input[512];
	char		line[8192];
	int		nr_events;
	char		events[WQ_QMP_EVENTS][512];
};

/* Leave the test where there is no way to QEMU. */
#define WQ_REQUIRE_QMP(qmp) do {					\
	int __wq_qmp = wq_qmp_open(qmp);				\
									\
	if (__wq_qmp == -ENXIO)						\
		SKIP(return, "WQ_QMP names no serial port to QEMU's monitor"); \
	ASSERT_EQ(0, __wq_qmp);						\
} while (0)

static inline long wq_qmp_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads one line; what is too long of it is cut.  @end is when to give up. */
static inline int wq_qmp_read_line(struct wq_qmp *qmp, long end)
{
	size_t len = 0, i;

	for (;;) {
		struct pollfd pfd = { .fd = qmp->fd, .events = POLLIN };
		long left = end - wq_qmp_now_ms();
		ssize_t got;

		for (i = 0; i < qmp->used && qmp->input[i] != '\n'; i++)
			if (len < sizeof(qmp->line) - 1)
				qmp->line[len++] = qmp->input[i];
		qmp->line[len] = '\0';
		if (i < qmp->used) {
			qmp->used -= i + 1;
			memmove(qmp->input, qmp->input + i + 1, qmp->used);
			return 0;
		}

		qmp->used = 0;
		if (left <= 0 || poll(&pfd, 1, left) == 0)
			return -ETIMEDOUT;
		got = read(qmp->fd, qmp->input, sizeof(qmp->input));
		if (got <= 0)
			return got ? -errno : -EPIPE;
		qmp->used = got;
	}
}

/* Keeps the event that is in the last line; forgets the oldest if there are many. */
static inline void wq_qmp_keep_event(struct wq_qmp *qmp)
{
	if (!strstr(qmp->line, "\"event\": "))
		return;
	if (qmp->nr_events == WQ_QMP_EVENTS)
		memmove(qmp->events[0], qmp->events[1],
			--qmp->nr_events * sizeof(qmp->events[0]));
	snprintf(qmp->events[qmp->nr_events++], sizeof(qmp->events[0]), "%.*s",
		 (int)sizeof(qmp->events[0]) - 1, qmp->line);
}

static inline int wq_qmp_write(int fd, const char *text, size_t len)
{
	ssize_t done;

	for (; len; text += done, len -= done) {
		done = write(fd, text, len);
		if (done < 0)
			return -errno;
	}
	return 0;
}

/*
 * Has QEMU execute @command, and waits until it has; its answer is in qmp->line.
 * @args is the inside of a JSON object, in which ' is as good as ".
 */
static inline int wq_qmp_execute(struct wq_qmp *qmp, const char *command,
				 const char *args)
{
	long end = wq_qmp_now_ms() + WQ_QMP_PATIENCE_MS;
	char text[1280], id[32];
	int len, ret;

	snprintf(id, sizeof(id), "\"id\": \"wq%d.%u\"", getpid(), ++qmp->id);
	len = snprintf(text, sizeof(text),
		       "{ \"execute\": \"%s\", \"arguments\": { %s }, %s }\n",
		       command, args, id);
	if (len >= (int)sizeof(text))
		return -E2BIG;

	ret = wq_qmp_write(qmp->fd, text, len);
	while (!ret) {
		ret = wq_qmp_read_line(qmp, end);
		if (ret)
			break;
		wq_qmp_keep_event(qmp);
		if (strstr(qmp->line, id))
			return strstr(qmp->line, "\"return\": ") ? 0 : -EREMOTEIO;
	}
	return ret;
}

/*
 * The same with arguments like printf()'s.  Returns 0 or an error, and shows what
 * went wrong; -EREMOTEIO where QEMU says that something did.
 */
static inline __printf(3, 4)
int wq_qmp(struct wq_qmp *qmp, const char *command, const char *fmt, ...)
{
	char args[1024];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	if (ret >= (int)sizeof(args))
		return -E2BIG;

	ret = wq_qmp_execute(qmp, command, args);
	if (ret)
		printf("# %s: %s\n", command, qmp->line);
	return ret;
}

/*
 * Waits for an event, which may have come meanwhile, that has @about somewhere
 * in its data, for instance the identifier of a device.
 */
static inline int wq_qmp_await(struct wq_qmp *qmp, const char *event,
			       const char *about)
{
	long end = wq_qmp_now_ms() + WQ_QMP_PATIENCE_MS;
	char name[64], word[64];
	int i, ret;

	snprintf(name, sizeof(name), "\"event\": \"%s\"", event);
	snprintf(word, sizeof(word), "\"%s\"", about);
	for (;;) {
		for (i = 0; i < qmp->nr_events; i++) {
			if (!strstr(qmp->events[i], name) ||
			    !strstr(qmp->events[i], word))
				continue;
			memmove(qmp->events[i], qmp->events[i + 1],
				(--qmp->nr_events - i) * sizeof(qmp->events[0]));
			return 0;
		}
		ret = wq_qmp_read_line(qmp, end);
		if (ret)
			return ret;
		wq_qmp_keep_event(qmp);
	}
}

static inline void wq_qmp_close(struct wq_qmp *qmp)
{
	if (qmp->fd >= 0)
		close(qmp->fd);
	qmp->fd = -1;
}

/* Returns 0 or an error; -ENXIO where there is no way to QEMU. */
static inline int wq_qmp_open(struct wq_qmp *qmp)
{
	const char *path = getenv("WQ_QMP");
	struct termios raw;
	int ret;

	memset(qmp, 0, sizeof(*qmp));
	qmp->fd = -1;
	if (!path || !*path)
		return -ENXIO;

	qmp->fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (qmp->fd < 0)
		return -errno;
	ret = tcgetattr(qmp->fd, &raw);
	if (!ret) {
		cfmakeraw(&raw);
		raw.c_cflag |= CLOCAL | CREAD;
		cfsetspeed(&raw, B115200);
		ret = tcsetattr(qmp->fd, TCSAFLUSH, &raw);
	}
	if (ret) {
		ret = -errno;
		wq_qmp_close(qmp);
		return ret;
	}

	/*
	 * Until a moment ago the port sent back what it received, and an earlier
	 * program may have left half a command: what no JSON can contain has
	 * QEMU start afresh.
	 */
	ret = wq_qmp_write(qmp->fd, "\377\n", 2);
	/* Only who comes first may and must do this; who comes later is refused. */
	if (!ret)
		ret = wq_qmp_execute(qmp, "qmp_capabilities", "");
	if (ret && ret != -EREMOTEIO) {
		wq_qmp_close(qmp);
		return ret;
	}
	return 0;
}

#endif /* WATCH_QUEUE_QMP_H */
