/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests that watch devices share: setting the watch, and waiting for
 * the record of one thing among all the others that happen in a machine.
 */
#ifndef WATCH_QUEUE_DEVICES_H
#define WATCH_QUEUE_DEVICES_H

#include <stddef.h>
#include "watch_queue_util.h"

#ifndef __NR_watch_devices
/* All architectures have these numbers of system calls at the same distance. */
#define __NR_watch_devices	(__NR_pidfd_send_signal + 56)
#endif

/* Any record, for those who look at more than struct wq_record has. */
union wq_any_record {
	struct watch_notification	watch;
	struct watch_notification_loss	loss;
	struct block_notification	block;
	struct usb_notification		usb;
	unsigned char			bytes[WQ_RECORD_MAX];
};

/* @tag -1 removes the watch. */
static inline int wq_watch_devices(int fd, int tag, unsigned int flags)
{
	return wq_errno(syscall(__NR_watch_devices, fd, tag, flags));
}

/* Leave the test where the kernel tells nothing of devices. */
#define WQ_REQUIRE_DEVICES() do {					\
	WQ_REQUIRE_PIPE();						\
	if (wq_watch_devices(-1, 0, 0) == -ENOSYS)			\
		SKIP(return, "CONFIG_DEVICE_NOTIFICATIONS is not set");	\
} while (0)

/* Leave the test where no record of @type is ever posted; @option is why. */
#define WQ_REQUIRE_TYPE(type, option) do {				\
	struct watch_queue_info __wq_info;				\
	int __wq_fds[2];						\
									\
	WQ_REQUIRE_DEVICES();						\
	ASSERT_EQ(0, wq_pipe(__wq_fds, 0));				\
	ASSERT_EQ(0, wq_get_info(__wq_fds[0], &__wq_info));		\
	wq_close(__wq_fds);						\
	if (!(__wq_info.types >> (type) & 1))				\
		SKIP(return, option " is not set");			\
} while (0)

/* Makes a pipe, of @depth records, that watches devices. */
static inline int wq_pipe_with_devices(int fds[2], unsigned long depth, int tag)
{
	int ret;

	ret = wq_pipe(fds, O_CLOEXEC);
	if (!ret)
		ret = wq_set_size(fds[0], depth);
	if (!ret)
		ret = wq_watch_devices(fds[0], tag, 0);
	return ret;
}

/*
 * Reads the next record whole, waiting for it at most @timeout_ms.  What the
 * record does not have of *@r is zeroed.  Returns 0 or an error; -ETIMEDOUT,
 * -EBADMSG where the record is not well-formed.
 */
static inline int wq_next_record(int fd, union wq_any_record *r, int timeout_ms)
{
	struct wq_record checked;
	size_t size;
	ssize_t len;
	int ret;

	ret = wq_poll(fd, POLLIN, timeout_ms);
	if (ret < 0)
		return ret;
	if (!(ret & POLLIN))
		return -ETIMEDOUT;

	for (size = WQ_HEADER; size <= sizeof(*r); size += 8) {
		memset(r, 0, sizeof(*r));
		len = wq_read(fd, r, size);
		if (len == -ENOBUFS)
			continue;
		if (len <= 0)
			return len ? len : -EPIPE;
		return wq_decode(r, len, &checked) == len ? 0 : -EBADMSG;
	}
	return -ENOBUFS;
}

/*
 * Reads on until a record comes for which @wanted says so, and passes over the
 * others.  Returns 0 or an error as above.
 */
static inline int wq_await(int fd, union wq_any_record *r,
			   bool (*wanted)(const union wq_any_record *r,
					  const void *arg),
			   const void *arg)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	long left;
	int ret;

	while ((left = end - wq_now_ms()) > 0) {
		ret = wq_next_record(fd, r, left);
		if (ret)
			return ret;
		if (wanted(r, arg))
			return 0;
	}
	return -ETIMEDOUT;
}

/* Whether the rest of a USB record after its name is zero, as it has to be. */
static inline bool wq_usb_padding_is_zero(const union wq_any_record *r)
{
	size_t at = offsetof(struct usb_notification, name) + r->usb.name_len;
	size_t end = r->watch.info & WATCH_INFO_LENGTH;

	for (; at < end; at++)
		if (r->bytes[at])
			return false;
	return true;
}

#endif /* WATCH_QUEUE_DEVICES_H */
