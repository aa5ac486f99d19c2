// SPDX-License-Identifier: GPL-2.0
/*
 * USB notifications: tells those who watch devices what happens on USB.
 *
 * COMING AND GOING
 *	A device is there from when it is in sysfs until it is there no more,
 *	whatever drivers do meanwhile: that is what the bus's notifier tells of,
 *	not the chain of usb_register_notify(), which runs when the device's driver
 *	binds and unbinds.  It does so before a driver can find what is behind a
 *	hub, and after everything behind it is gone.  So records nest: a bus, its
 *	root hub, what is behind it; and for each ADD there will be one REMOVE.
 *
 * RESET
 *	Each reset that is attempted of a device that is there makes one record:
 *	RESET if it is as before, ERROR if not.  If it does not come back, or as
 *	another device, that is a REMOVE, and maybe an ADD, and no error.
 *
 * ERROR
 *	of a device
 *	    Each time it cannot be enumerated, a few times until the port gives
 *	    up; its name is where it would have been.  If a configuration cannot
 *	    be set, or there is no power for any.  If a reset fails.  If it is a
 *	    root hub and the host controller died.
 *	of a port, with NOTIFY_USB_PORT
 *	    If it gives up.
 *	of either, with NOTIFY_USB_OVER_CURRENT
 *	    Each time that the state of over-current changed, as
 *	    over_current_count in sysfs counts it: some hubs have switched off and
 *	    forgotten before they are asked.
 *
 *	A device that is known to be unplugged has not gone wrong.  But what was
 *	being done to it when it was may fail before that is known.
 *
 * All this is process context, and the caller keeps what the record is about from
 * going away.
 */

#include <linux/device/bus.h>
#include <linux/string.h>
#include <linux/watch_devices.h>
#include "hub.h"

/**
 * union usb_record - a record with room for the longest name
 * @n: The record.
 * @bytes: All of it.
 */
union usb_record {
	struct usb_notification n;
	u8 bytes[offsetof(struct usb_notification, name) +
		 USB_NOTIFICATION_MAX_NAME_LEN];
};

/* With any name, the record can be filled up to a multiple of 8. */
static_assert(sizeof(union usb_record) % 8 == 0);
static_assert(sizeof(union usb_record) <= WATCH_RECORD_MAX);
static_assert(offsetof(struct usb_notification, name) == 17);

/*
 * Makes the record: it is about the device, port or bus of this @name, and about
 * @udev, which may be NULL.
 */
static void usb_record_init(union usb_record *r,
			    enum usb_notification_subtype subtype, u32 flags,
			    int error, const char *name,
			    const struct usb_device *udev)
{
	size_t len = strnlen(name, USB_NOTIFICATION_MAX_NAME_LEN);

	memset(r, 0, sizeof(*r));
	r->n.watch.type = WATCH_TYPE_USB_NOTIFY;
	r->n.watch.subtype = subtype;
	r->n.watch.info = flags |
		round_up(offsetof(struct usb_notification, name) + len, 8);
	r->n.error = error;
	if (udev) {
		r->n.vendor = le16_to_cpu(udev->descriptor.idVendor);
		r->n.product = le16_to_cpu(udev->descriptor.idProduct);
	}
	r->n.name_len = len;
	memcpy(r->n.name, name, len);
}

static void usb_post(enum usb_notification_subtype subtype, u32 flags, int error,
		     const struct device *dev, const struct usb_device *udev)
{
	union usb_record r;

	usb_record_init(&r, subtype, flags, error, dev_name(dev), udev);
	post_device_notification(&r.n.watch);
}

/* Whether @error is one, and not just that nothing is there any more. */
static bool usb_error_counts(int error)
{
	return error < 0 && error != -ENODEV && error != -ENOTCONN;
}

/**
 * usb_post_bus_notify - tell that a device came or went
 * @action: What usb_bus_type's notifier tells.
 * @dev: What of; passed over unless it is a USB device, not an interface.
 *
 * A bus comes before its root hub and goes after it.
 */
void usb_post_bus_notify(unsigned long action, struct device *dev)
{
	struct usb_device *udev;

	if (!is_usb_device(dev))
		return;

	udev = to_usb_device(dev);
	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		if (is_root_hub(udev))
			usb_post(NOTIFY_USB_BUS_ADD, 0, 0, dev, udev);
		usb_post(NOTIFY_USB_DEVICE_ADD, 0, 0, dev, udev);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		usb_post(NOTIFY_USB_DEVICE_REMOVE, 0, 0, dev, udev);
		if (is_root_hub(udev))
			usb_post(NOTIFY_USB_BUS_REMOVE, 0, 0, dev, udev);
		break;
	}
}

/**
 * usb_post_reset - tell that a device was reset and is as before
 * @udev: The device.
 */
void usb_post_reset(const struct usb_device *udev)
{
	usb_post(NOTIFY_USB_DEVICE_RESET, 0, 0, &udev->dev, udev);
}

/**
 * usb_post_error - tell that a device went wrong
 * @udev: The device; it need not be registered.
 * @error: How, a negative errno; if it is none, or says that the device is gone,
 *	nothing is told.
 */
void usb_post_error(const struct usb_device *udev, int error)
{
	if (usb_error_counts(error))
		usb_post(NOTIFY_USB_DEVICE_ERROR, 0, error, &udev->dev, udev);
}

/**
 * usb_post_port_error - tell that a port gave up
 * @port: The port.
 * @error: As for usb_post_error().
 */
void usb_post_port_error(const struct usb_port *port, int error)
{
	if (usb_error_counts(error))
		usb_post(NOTIFY_USB_DEVICE_ERROR, NOTIFY_USB_PORT, error,
			 &port->dev, NULL);
}

/**
 * usb_post_port_over_current - tell that too much current is or was drawn
 * @port: The port it was drawn from.
 */
void usb_post_port_over_current(const struct usb_port *port)
{
	usb_post(NOTIFY_USB_DEVICE_ERROR,
		 NOTIFY_USB_PORT | NOTIFY_USB_OVER_CURRENT, -EOVERFLOW,
		 &port->dev, NULL);
}

/**
 * usb_post_hub_over_current - tell that too much current is or was drawn
 * @hdev: The hub, which does not tell ports apart.
 */
void usb_post_hub_over_current(const struct usb_device *hdev)
{
	usb_post(NOTIFY_USB_DEVICE_ERROR, NOTIFY_USB_OVER_CURRENT, -EOVERFLOW,
		 &hdev->dev, hdev);
}

#if IS_ENABLED(CONFIG_USB_WATCH_KUNIT_TEST)
#include "watch_kunit.c"
#endif
