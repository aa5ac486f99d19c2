/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A USB device of our own, which may do everything wrong that a device can: a
 * process that is the device, by raw-gadget, at the one port of dummy_hcd.
 *
 * What the device says of itself and how it misbehaves is in memory that the
 * test shares with it, and may change while the device is plugged in.
 */
#ifndef WATCH_QUEUE_GADGET_H
#define WATCH_QUEUE_GADGET_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/usb/ch11.h>
#include <linux/usb/ch9.h>
#include <linux/usb/raw_gadget.h>

#define WQ_GADGET_VENDOR	0xf055
#define WQ_GADGET_PRODUCT	0x1234

/* The endpoint of dummy_hcd that sends interrupts. */
#define WQ_GADGET_INTERRUPT	0x85

/* Of a hub, and of its port: what there is beyond that is SuperSpeed's. */
#define WQ_HUB_STATUS_SIZE	4

/* What the device refuses to answer, as bits. */
#define WQ_REFUSE_DEVICE	0x1	/* its device descriptor */
#define WQ_REFUSE_CONFIG	0x2	/* its configuration descriptor */
#define WQ_REFUSE_CONFIGURE	0x4	/* being configured */

/* ---- What it says ---- */

struct wq_gadget_config {
	struct usb_config_descriptor	config;
	struct usb_interface_descriptor	interface;
	/* A hub has one, which sends what of it changed. */
	__u8	endpoint[USB_DT_ENDPOINT_SIZE];
};

static_assert(sizeof(struct wq_gadget_config) ==
	      USB_DT_CONFIG_SIZE + USB_DT_INTERFACE_SIZE + USB_DT_ENDPOINT_SIZE,
	      "it is sent as it is");

/*
 * @port, @hub: If it is a hub, their status.
 * @powered: How often it was told to switch its port on.
 * @forgotten: How often it was told to forget an over-current.
 */
struct wq_gadget_face {
	struct usb_device_descriptor	device;
	struct wq_gadget_config		config;
	unsigned int			refuse;
	struct usb_port_status		port;
	struct usb_hub_status		hub;
	int				powered, forgotten;
};

/*
 * @face: Shared with the process that is the device.
 * @pid: That process; 0 if it is not plugged in.
 * @changes: The end of a pipe into which a hub's changes are written.
 */
struct wq_gadget {
	struct wq_gadget_face	*face;
	pid_t			pid;
	int			changes[2];
};

/* A device of the vendor's own class, for which there is no driver. */
static inline void wq_gadget_describe(struct wq_gadget_face *face)
{
	memset(face, 0, sizeof(*face));
	face->device = (struct usb_device_descriptor) {
		.bLength		= USB_DT_DEVICE_SIZE,
		.bDescriptorType	= USB_DT_DEVICE,
		.bcdUSB			= htole16(0x0200),
		.bDeviceClass		= USB_CLASS_VENDOR_SPEC,
		.bMaxPacketSize0	= 64,
		.idVendor		= htole16(WQ_GADGET_VENDOR),
		.idProduct		= htole16(WQ_GADGET_PRODUCT),
		.bNumConfigurations	= 1,
	};
	face->config.config = (struct usb_config_descriptor) {
		.bLength		= USB_DT_CONFIG_SIZE,
		.bDescriptorType	= USB_DT_CONFIG,
		.wTotalLength		= htole16(USB_DT_CONFIG_SIZE +
						  USB_DT_INTERFACE_SIZE),
		.bNumInterfaces		= 1,
		.bConfigurationValue	= 1,
		.bmAttributes		= USB_CONFIG_ATT_ONE,
		.bMaxPower		= 50,
	};
	face->config.interface = (struct usb_interface_descriptor) {
		.bLength		= USB_DT_INTERFACE_SIZE,
		.bDescriptorType	= USB_DT_INTERFACE,
		.bInterfaceClass	= USB_CLASS_VENDOR_SPEC,
	};
}

/* A hub with one port. */
static inline void wq_gadget_describe_hub(struct wq_gadget_face *face)
{
	const struct usb_endpoint_descriptor changes = {
		.bLength		= USB_DT_ENDPOINT_SIZE,
		.bDescriptorType	= USB_DT_ENDPOINT,
		.bEndpointAddress	= WQ_GADGET_INTERRUPT,
		.bmAttributes		= USB_ENDPOINT_XFER_INT,
		.wMaxPacketSize		= htole16(1),
		.bInterval		= 12,
	};

	wq_gadget_describe(face);
	face->device.bDeviceClass = USB_CLASS_HUB;
	face->device.bDeviceProtocol = USB_HUB_PR_HS_SINGLE_TT;
	face->config.config.wTotalLength = htole16(sizeof(face->config));
	face->config.config.bmAttributes |= USB_CONFIG_ATT_SELFPOWER;
	face->config.interface.bInterfaceClass = USB_CLASS_HUB;
	face->config.interface.bNumEndpoints = 1;
	memcpy(face->config.endpoint, &changes, sizeof(face->config.endpoint));
}

/* ---- Being it ---- */

struct wq_gadget_io {
	struct usb_raw_ep_io	io;
	__u8			data[256];
};

/* What a device does when it is asked. */
static inline int wq_gadget_answer(int fd, const struct usb_ctrlrequest *ask,
				   const void *data, size_t len)
{
	struct wq_gadget_io out = { .io.length = le16toh(ask->wLength) };

	if (out.io.length > len)
		out.io.length = len;
	memcpy(out.data, data, out.io.length);
	return ioctl(fd, USB_RAW_IOCTL_EP0_WRITE, &out);
}

static inline int wq_gadget_acknowledge(int fd)
{
	struct wq_gadget_io in = {};

	return ioctl(fd, USB_RAW_IOCTL_EP0_READ, &in);
}

static inline int wq_gadget_refuse(int fd)
{
	return ioctl(fd, USB_RAW_IOCTL_EP0_STALL, 0);
}

struct wq_gadget_changes {
	int	fd;
	int	changes;
	int	endpoint;
};

/* A hub sends which of its ports changed, bit 0 being the hub. */
static inline void *wq_gadget_send_changes(void *arg)
{
	const struct wq_gadget_changes *c = arg;
	struct wq_gadget_io out = {
		.io.ep		= c->endpoint,
		.io.length	= 1,
	};

	while (read(c->changes, out.data, 1) == 1)
		ioctl(c->fd, USB_RAW_IOCTL_EP_WRITE, &out);
	return NULL;
}

static inline int wq_gadget_configure(struct wq_gadget *g, int fd)
{
	static struct wq_gadget_changes changes;
	struct usb_endpoint_descriptor desc = {};
	pthread_t thread;

	ioctl(fd, USB_RAW_IOCTL_CONFIGURE, 0);
	if (g->face->config.interface.bNumEndpoints && !changes.fd) {
		memcpy(&desc, g->face->config.endpoint,
		       sizeof(g->face->config.endpoint));
		changes.endpoint = ioctl(fd, USB_RAW_IOCTL_EP_ENABLE, &desc);
		changes.changes = g->changes[0];
		changes.fd = fd;
		if (changes.endpoint < 0 ||
		    pthread_create(&thread, NULL, wq_gadget_send_changes, &changes))
			return wq_gadget_refuse(fd);
	}
	return wq_gadget_acknowledge(fd);
}

static inline int wq_gadget_standard(struct wq_gadget *g, int fd,
				     const struct usb_ctrlrequest *ask)
{
	struct wq_gadget_face *face = g->face;

	if (ask->bRequest == USB_REQ_SET_CONFIGURATION)
		return face->refuse & WQ_REFUSE_CONFIGURE ?
			wq_gadget_refuse(fd) : wq_gadget_configure(g, fd);
	if (ask->bRequest != USB_REQ_GET_DESCRIPTOR)
		return wq_gadget_refuse(fd);

	switch (le16toh(ask->wValue) >> 8) {
	case USB_DT_DEVICE:
		if (face->refuse & WQ_REFUSE_DEVICE)
			break;
		return wq_gadget_answer(fd, ask, &face->device,
					sizeof(face->device));
	case USB_DT_CONFIG:
		if (face->refuse & WQ_REFUSE_CONFIG)
			break;
		return wq_gadget_answer(fd, ask, &face->config,
					le16toh(face->config.config.wTotalLength));
	}
	return wq_gadget_refuse(fd);
}

static inline int wq_gadget_hub(struct wq_gadget *g, int fd,
				const struct usb_ctrlrequest *ask)
{
	/* One port, switched and protected by itself. */
	static const __u8 desc[] = {
		9, USB_DT_HUB, 1, HUB_CHAR_INDV_PORT_LPSM | HUB_CHAR_INDV_PORT_OCPM,
		0, 50, 0, 0, 0xff,
	};
	bool port = (ask->bRequestType & USB_RECIP_MASK) == USB_RECIP_OTHER;
	unsigned int feature = le16toh(ask->wValue);
	struct wq_gadget_face *face = g->face;

	switch (ask->bRequest) {
	case USB_REQ_GET_DESCRIPTOR:
		return wq_gadget_answer(fd, ask, desc, sizeof(desc));
	case USB_REQ_GET_STATUS:
		return port ?
			wq_gadget_answer(fd, ask, &face->port, WQ_HUB_STATUS_SIZE) :
			wq_gadget_answer(fd, ask, &face->hub, WQ_HUB_STATUS_SIZE);
	case USB_REQ_CLEAR_FEATURE:
		if (port && feature == USB_PORT_FEAT_C_OVER_CURRENT)
			face->port.wPortChange = 0;
		else if (!port && feature == C_HUB_OVER_CURRENT)
			face->hub.wHubChange = 0;
		else
			return wq_gadget_acknowledge(fd);
		__atomic_add_fetch(&face->forgotten, 1, __ATOMIC_RELEASE);
		return wq_gadget_acknowledge(fd);
	case USB_REQ_SET_FEATURE:
		if (port && feature == USB_PORT_FEAT_POWER) {
			face->port.wPortStatus = htole16(USB_PORT_STAT_POWER);
			__atomic_add_fetch(&face->powered, 1, __ATOMIC_RELEASE);
		}
		return wq_gadget_acknowledge(fd);
	}
	return wq_gadget_refuse(fd);
}

/* Returns 0 once the device is plugged in, or the negative error. */
static inline int wq_gadget_plug(int fd)
{
	const struct usb_raw_init init = {
		.driver_name	= "dummy_udc",
		.device_name	= "dummy_udc.0",
		.speed		= USB_SPEED_HIGH,
	};

	if (ioctl(fd, USB_RAW_IOCTL_INIT, &init) ||
	    ioctl(fd, USB_RAW_IOCTL_RUN, 0))
		return -errno;
	return 0;
}

static inline void wq_gadget_serve(struct wq_gadget *g, int fd)
{
	struct {
		struct usb_raw_event	event;
		struct usb_ctrlrequest	ask;
	} e;

	for (;;) {
		e.event.type = 0;
		e.event.length = sizeof(e.ask);
		if (ioctl(fd, USB_RAW_IOCTL_EVENT_FETCH, &e))
			_exit(1);
		if (e.event.type != USB_RAW_EVENT_CONTROL)
			continue;
		/* Whoever asks may have given up meanwhile, which is no error. */
		if ((e.ask.bRequestType & USB_TYPE_MASK) == USB_TYPE_CLASS)
			wq_gadget_hub(g, fd, &e.ask);
		else
			wq_gadget_standard(g, fd, &e.ask);
	}
}

/* ---- Plugging it in and out ---- */

/* A device that is not yet plugged in; a vendor's own, until told otherwise. */
static inline int wq_gadget_init(struct wq_gadget *g)
{
	memset(g, 0, sizeof(*g));
	if (pipe2(g->changes, O_CLOEXEC))
		return -errno;
	g->face = mmap(NULL, sizeof(*g->face), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->face == MAP_FAILED)
		return -errno;
	wq_gadget_describe(g->face);
	return 0;
}

/* Returns 0 once it is plugged in, or the error. */
static inline int wq_gadget_start(struct wq_gadget *g)
{
	int ready[2], ret;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	g->pid = fork();
	if (g->pid < 0)
		return -errno;
	if (!g->pid) {
		int fd = open("/dev/raw-gadget", O_RDWR | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ret = fd < 0 ? -errno : wq_gadget_plug(fd);
		if (write(ready[1], &ret, sizeof(ret)) != sizeof(ret) || ret)
			_exit(1);
		wq_gadget_serve(g, fd);
	}
	close(ready[1]);
	if (read(ready[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPIPE;
	close(ready[0]);
	return ret;
}

/* Pulls it out. */
static inline void wq_gadget_stop(struct wq_gadget *g)
{
	if (g->pid <= 0)
		return;
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
	g->pid = 0;
}

/* A hub tells that a port changed; @port 0 is the hub itself. */
static inline int wq_gadget_tell_change(struct wq_gadget *g, unsigned int port)
{
	__u8 bits = 1 << port;

	return write(g->changes[1], &bits, 1) == 1 ? 0 : -errno;
}

#endif /* WATCH_QUEUE_GADGET_H */
