// SPDX-License-Identifier: GPL-2.0
/*
 * The door that the documentation's example of a source is a driver of, and that it does
 * not show: whoever writes to the parameters of "door" opens it, locks it, makes it and
 * takes it away.  Its interrupt is one that the kernel simulates, in hard interrupt
 * context as a real one.
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq_sim.h>
#include <linux/irqdomain.h>
#include <linux/lsm_watch.h>	/* has to know how many types there are */
#include <linux/miscdevice.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include "door.h"
#include "hw.h"

#define HW_NUMBER	7

static DEFINE_MUTEX(hw_lock);
/* Whether it is there: NULL if not. [hw_lock] */
static struct door *hw_door;
/* How it stands; its interrupt reads that. */
static bool hw_is_open;
static bool hw_is_locked;
static int hw_irq;

bool door_hw_is_open(struct door *door)
{
	return READ_ONCE(hw_is_open);
}

bool door_hw_is_locked(struct door *door)
{
	return READ_ONCE(hw_is_locked);
}

/* Opens or closes it, of which its interrupt tells. */
static int hw_set_open(const char *val, const struct kernel_param *kp)
{
	bool open;
	int ret;

	ret = kstrtobool(val, &open);
	if (ret)
		return ret;
	WRITE_ONCE(hw_is_open, open);
	return irq_set_irqchip_state(hw_irq, IRQCHIP_STATE_PENDING, true);
}

/* The driver finds it, or loses it. */
static int hw_set_present(const char *val, const struct kernel_param *kp)
{
	struct door *door;
	bool present;
	int ret;

	ret = kstrtobool(val, &present);
	if (ret)
		return ret;

	guard(mutex)(&hw_lock);
	if (present == !!hw_door)
		return 0;
	if (!present) {
		door_destroy(hw_door);
		hw_door = NULL;
		return 0;
	}
	door = door_create(HW_NUMBER, hw_irq);
	if (IS_ERR(door))
		return PTR_ERR(door);
	hw_door = door;
	return 0;
}

static const struct kernel_param_ops hw_open_ops = {
	.set = hw_set_open,
};
module_param_cb(open, &hw_open_ops, NULL, 0200);

static const struct kernel_param_ops hw_present_ops = {
	.set = hw_set_present,
};
module_param_cb(present, &hw_present_ops, NULL, 0200);

module_param_named(locked, hw_is_locked, bool, 0600);

static int hw_open(struct inode *inode, struct file *file)
{
	guard(mutex)(&hw_lock);
	if (!hw_door)
		return -ENODEV;
	kref_get(&hw_door->ref);
	file->private_data = hw_door;
	replace_fops(file, fops_get(&door_fops));
	return 0;
}

static const struct file_operations hw_fops = {
	.open = hw_open,
};

static struct miscdevice hw_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "door",
	.fops	= &hw_fops,
};

static int __init hw_init(void)
{
	struct irq_domain *domain = irq_domain_create_sim(NULL, 1);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hw_irq = irq_create_mapping(domain, 0);
	if (!hw_irq) {
		irq_domain_remove_sim(domain);
		return -ENOMEM;
	}
	return misc_register(&hw_device);
}
device_initcall(hw_init);
