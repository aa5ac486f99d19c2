/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a subsystem needs that tells of its devices: watch_devices(2).
 */
#ifndef _LINUX_WATCH_DEVICES_H
#define _LINUX_WATCH_DEVICES_H

#include <linux/watch_queue.h>

#ifdef CONFIG_DEVICE_NOTIFICATIONS
/* For devices_are_watched() alone. */
extern struct watch_list device_watchers;

/**
 * devices_are_watched - ask before a record is made for nobody
 *
 * The answer may be out of date at once; who begins to watch meanwhile is told of
 * what happens from then on.
 *
 * Context: Any.
 * Return: Whether anybody would be told.
 */
static inline bool devices_are_watched(void)
{
	return !hlist_empty(&device_watchers.watchers);
}

void post_device_notification(const struct watch_notification *n);
#else
static inline bool devices_are_watched(void)
{
	return false;
}

static inline void post_device_notification(const struct watch_notification *n)
{
}
#endif

#endif /* _LINUX_WATCH_DEVICES_H */
