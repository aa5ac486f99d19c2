/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SELinux' say in who is told of devices.
 */
#ifndef _SELINUX_WATCH_H_
#define _SELINUX_WATCH_H_

struct cred;
struct watch_notification;

int selinux_watch_devices(void);
int selinux_post_notification(const struct cred *w_cred,
			      const struct cred *cred,
			      const struct watch_notification *n);

#endif /* _SELINUX_WATCH_H_ */
