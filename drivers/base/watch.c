// SPDX-License-Identifier: GPL-2.0
/*
 * Watching devices: one list of watches for all devices there are.
 *
 * The list is never freed, so it can be posted to at any time.  What is posted is
 * the kernel's own doing, of which nobody is to blame but init_cred.
 */

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init_task.h>
#include <linux/printk.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/user_namespace.h>
#include <linux/watch_devices.h>

/* Devices have no identifier: what a record is about is said in the record. */
#define DEVICES_ID	0

/*
 * How many watches there may be of those who lack CAP_SYSLOG, all together: each adds to
 * what is done for every record, often in an interrupt.
 */
#define UNPRIVILEGED_MAX	256

/* How many there are; their private points here. */
static atomic_t nr_unprivileged = ATOMIC_INIT(0);

/* Once for each watch that has ended, in process context; or for one never added. */
static void release_device_watch(struct watch *watch)
{
	if (watch->private)
		atomic_dec(&nr_unprivileged);
}

struct watch_list device_watchers = {
	.watchers	= HLIST_HEAD_INIT,
	.lock		= __SPIN_LOCK_UNLOCKED(device_watchers.lock),
	.release_watch	= release_device_watch,
};
EXPORT_SYMBOL_GPL(device_watchers);

/**
 * post_device_notification - tell whoever watches devices
 * @n: The record, as for post_watch_notification().
 *
 * Context: As post_watch_notification(): any but NMI in which a task may be woken.
 */
void post_device_notification(const struct watch_notification *n)
{
	post_watch_notification(&device_watchers, n, &init_cred, DEVICES_ID);
}
EXPORT_SYMBOL_GPL(post_device_notification);

/* Whether there is a kernel log, and everybody may read it. */
#ifdef CONFIG_PRINTK
static bool log_is_public(void)
{
	return !READ_ONCE(dmesg_restrict);
}
#else
static bool log_is_public(void)
{
	return false;
}
#endif

/* Device records tell what the kernel log tells, or might. */
static int may_watch_devices(void)
{
	if (current_user_ns() != &init_user_ns)
		return -EPERM;
	if (!log_is_public() && !capable(CAP_SYSLOG))
		return -EPERM;
	return security_watch_devices();
}

/* Counts the watch if it is of somebody who may have few. */
static int count_device_watch(struct watch *watch)
{
	if (ns_capable_noaudit(&init_user_ns, CAP_SYSLOG))
		return 0;
	if (!atomic_add_unless(&nr_unprivileged, 1, UNPRIVILEGED_MAX))
		return -EAGAIN;
	watch->private = &nr_unprivileged;
	return 0;
}

static int add_device_watch(struct watch_queue *queue, u8 tag)
{
	struct watch *watch;
	int ret;

	ret = may_watch_devices();
	if (ret)
		return ret;

	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;

	ret = count_device_watch(watch);
	if (ret)
		goto out_free;

	init_watch(watch, queue, DEVICES_ID, tag);
	ret = add_watch_to_object(watch, &device_watchers);
	if (ret)
		goto out_release;
	return 0;

out_release:
	release_device_watch(watch);
out_free:
	kfree(watch);
	return ret;
}

/**
 * sys_watch_devices - have a notification pipe told of all devices, or no more
 * @watch_fd: Either end of the pipe.
 * @watch_id: What the records are to be tagged with, 0 to 255; or -1 to stop.
 * @flags: 0.
 *
 * Who may read the kernel log may watch devices, unless an LSM objects; to stop
 * takes no permission.
 *
 * Return: 0, or one of these:
 *
 * - -EINVAL: @watch_id is out of range, there are unknown @flags, or the file is
 *   no notification pipe;
 * - -EBADF: there is no such file;
 * - -EPERM: the caller is not in the initial user namespace, or has no CAP_SYSLOG
 *   and the kernel log is not for everybody (kernel.dmesg_restrict);
 * - -EBUSY: the pipe watches devices already;
 * - -EBADSLT: there is nothing to stop;
 * - -EAGAIN: the user has too many watches, or has no CAP_SYSLOG and there are too
 *   many of such;
 * - -ENOMEM: out of memory;
 * - whatever an LSM refuses with.
 */
SYSCALL_DEFINE3(watch_devices, int, watch_fd, int, watch_id, unsigned int, flags)
{
	struct watch_queue *queue;
	int ret;

	if (watch_id < -1 || watch_id > 0xff || flags)
		return -EINVAL;

	queue = get_watch_queue(watch_fd);
	if (IS_ERR(queue))
		return PTR_ERR(queue);

	if (watch_id < 0)
		ret = remove_watch_from_object(&device_watchers, queue, DEVICES_ID);
	else
		ret = add_device_watch(queue, watch_id);

	put_watch_queue(queue);
	return ret;
}
