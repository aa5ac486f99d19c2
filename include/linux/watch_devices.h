/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a subsystem needs that tells of its devices: watch_devices(2).
 */
#ifndef _LINUX_WATCH_DEVICES_H
#define _LINUX_WATCH_DEVICES_H

#include <linux/watch_queue.h>

#ifdef CONFIG_DEVICE_NOTIFICATIONS
bool devices_are_watched(void);
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
