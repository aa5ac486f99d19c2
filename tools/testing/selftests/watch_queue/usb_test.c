// SPDX-License-Identifier: GPL-2.0
/*
 * USB notifications: devices and buses that come and go, resets and errors.
 *
 * Devices that work are QEMU's, plugged in and out over its monitor, at the
 * controller with the identifier "xhci"; see watch_queue_qmp.h.  Those that do
 * not work are processes, see watch_queue_gadget.h.
 *
 * The tests expect that nothing else happens on USB meanwhile, so that what they
 * read is all that there is, in this order.  No device here can refuse its
 * address, for every host controller here assigns it without asking the device;
 * a failure to do so is told where any failure to enumerate is.
 */
#define _GNU_SOURCE
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <time.h>

#include <linux/pci_regs.h>
#include <linux/usbdevice_fs.h>
#include <scsi/sg.h>

#include "../kselftest_harness.h"
#include "watch_queue_util.h"
#include "watch_queue_devices.h"
#include "watch_queue_qmp.h"
#include "watch_queue_gadget.h"

#ifndef SG_SCSI_RESET_BUS
#define SG_SCSI_RESET_BUS	2
#endif

#define DEVICES		"/sys/bus/usb/devices"
#define DRIVERS		"/sys/bus/usb/drivers"

#define TAG		0x5a
#define DEPTH		256
#define BUSES		64

/* A device that does not work takes its time. */
#define SECONDS		240

/* How often a port tries, unless CONFIG_USB_FEW_INIT_RETRIES is set. */
#define ATTEMPTS	4

/* What QEMU's devices are. */
#define STICK		"46f4:0001"
#define KEYBOARD	"0627:0001"
#define HUB		"0409:55aa"
#define ROOT_HUB_2	"1d6b:0002"
#define ROOT_HUB_3	"1d6b:0003"

/* What ours is. */
#define GADGET		"f055:1234"
#define NOBODY		"0000:0000"

/* ---- Records, as text ---- */

static const char *const happened[] = {
	[NOTIFY_USB_DEVICE_ADD]		= "add",
	[NOTIFY_USB_DEVICE_REMOVE]	= "remove",
	[NOTIFY_USB_DEVICE_RESET]	= "reset",
	[NOTIFY_USB_DEVICE_ERROR]	= "error",
	[NOTIFY_USB_BUS_ADD]		= "bus add",
	[NOTIFY_USB_BUS_REMOVE]		= "bus remove",
};

#define TEXT_SIZE	128

/* What is wrong with the form of a record, or NULL. */
static const char *fault(const union wq_any_record *r)
{
	const size_t prefix = offsetof(struct usb_notification, name);
	unsigned int len = r->watch.info & WATCH_INFO_LENGTH;
	unsigned int known = WATCH_INFO_LENGTH | WATCH_INFO_ID;
	unsigned int i;

	if (r->watch.subtype >= ARRAY_SIZE(happened))
		return "subtype";
	if ((r->watch.info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT != TAG)
		return "tag";
	if (r->watch.subtype == NOTIFY_USB_DEVICE_ERROR) {
		known |= NOTIFY_USB_PORT | NOTIFY_USB_OVER_CURRENT;
		if (r->usb.error >= 0 || r->usb.error < -4095)
			return "no errno";
	} else if (r->usb.error) {
		return "error";
	}
	if (r->watch.info & ~known)
		return "info";
	if (!r->usb.name_len || r->usb.name_len > USB_NOTIFICATION_MAX_NAME_LEN)
		return "name_len";
	if (len != (prefix + r->usb.name_len + 7) / 8 * 8)
		return "length";
	if (!wq_usb_padding_is_zero(r))
		return "padding";
	for (i = 0; i < r->usb.name_len; i++)
		if (r->usb.name[i] <= ' ' || r->usb.name[i] > '~')
			return "name";
	return NULL;
}

static const char *describe(const union wq_any_record *r, char text[TEXT_SIZE])
{
	const char *bad;

	if (r->watch.type == WATCH_TYPE_META)
		return r->watch.subtype == WATCH_META_REMOVAL_NOTIFICATION ?
			"end" : "loss";
	bad = r->watch.type == WATCH_TYPE_USB_NOTIFY ? fault(r) : "type";
	if (bad) {
		snprintf(text, TEXT_SIZE, "a record with a bad %s", bad);
		return text;
	}
	snprintf(text, TEXT_SIZE, "%s %.*s %04x:%04x %d%s%s",
		 happened[r->watch.subtype], r->usb.name_len, r->usb.name,
		 r->usb.vendor, r->usb.product, r->usb.error,
		 r->watch.info & NOTIFY_USB_PORT ? " port" : "",
		 r->watch.info & NOTIFY_USB_OVER_CURRENT ? " over-current" : "");
	return text;
}

/* Waits for the next record; the text holds until the next call. */
static const char *next(int fd)
{
	static char text[TEXT_SIZE];
	union wq_any_record r;
	int ret = wq_next_record(fd, &r, WQ_PATIENCE_MS);

	if (ret) {
		snprintf(text, sizeof(text), "no record, error %d", ret);
		return text;
	}
	return describe(&r, text);
}

static __printf(1, 2)
const char *format(const char *fmt, ...)
{
	static char text[TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* The next record is this one. */
#define ASSERT_NEXT(...)	ASSERT_STREQ(format(__VA_ARGS__), next(self->fds[0]))

/* Until now there was no record: what stops the watch is the next one. */
#define ASSERT_QUIET() do {						\
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], -1, 0));		\
	ASSERT_STREQ("end", next(self->fds[0]));			\
	ASSERT_EQ(0, wq_watch_devices(self->fds[0], TAG, 0));		\
} while (0)

/* Pulled out before it is configured, a device may have failed to be. */
#define AWAIT_CONFIGURED(device)					\
	ASSERT_TRUE(await_file(format(DEVICES "/%s:1.0", device), true))

/*
 * Pulled out before its driver has taken it, a device keeps that waiting for answers,
 * five seconds for each.  It is not until then that its endpoints are there.
 */
#define AWAIT_PROBED(device)						\
	ASSERT_TRUE(await_file(format(DEVICES "/%s:1.0/ep_81", device), true))

#define ASSERT_ADDED(device, ids) do {					\
	const char *__device = device;					\
									\
	ASSERT_NEXT("add %s %s 0", __device, ids);			\
	AWAIT_PROBED(__device);						\
} while (0)

static int watch_usb(int fds[2])
{
	const struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter rule;
	} filter = {
		.head.nr_filters	= 1,
		.rule.type		= WATCH_TYPE_USB_NOTIFY,
		.rule.subtype_filter	= { [0 ... 7] = ~0U },
	};
	int ret;

	ret = wq_pipe(fds, O_CLOEXEC);
	if (!ret)
		ret = wq_set_size(fds[0], DEPTH);
	if (!ret)
		ret = wq_set_filter(fds[0], &filter);
	if (!ret)
		ret = wq_watch_devices(fds[0], TAG, 0);
	return ret;
}

/* ---- sysfs ---- */

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* Waits until there is a file, or there is none any more. */
static bool await_file(const char *path, bool there)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (exists(path) != there) {
		if (wq_now_ms() > end)
			return false;
		usleep(10000);
	}
	return true;
}

static long long read_number(const char *path)
{
	__u64 val = 0;
	int ret = wq_file_read_u64(path, &val);

	return ret ? ret : (long long)val;
}

/* The number of the bus whose controller has this driver, of such a speed. */
static int find_bus(const char *driver, bool super)
{
	char path[PATH_MAX], target[PATH_MAX];
	int bus;

	for (bus = 1; bus < BUSES; bus++) {
		snprintf(path, sizeof(path), DEVICES "/usb%d/../driver", bus);
		if (!realpath(path, target) || !strstr(target, driver))
			continue;
		snprintf(path, sizeof(path), DEVICES "/usb%d/speed", bus);
		if ((read_number(path) >= 5000) == super)
			return bus;
	}
	return -ENOENT;
}

/* The name by which a bus' controller is known to its driver. */
static int find_controller(int bus, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/usb%d/..", bus);
	if (!realpath(path, target))
		return -errno;
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
	return 0;
}

static __printf(1, 3)
int write_sysfs(const char *fmt, const char *text, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, text);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return wq_file_write(path, text);
}

/* Opens what programs reset a device by. */
static int open_device(const char *name)
{
	char path[PATH_MAX];
	long long bus, dev;

	snprintf(path, sizeof(path), DEVICES "/%s/busnum", name);
	bus = read_number(path);
	snprintf(path, sizeof(path), DEVICES "/%s/devnum", name);
	dev = read_number(path);
	snprintf(path, sizeof(path), "/dev/bus/usb/%03lld/%03lld", bus, dev);
	return wq_errno(open(path, O_RDWR | O_CLOEXEC));
}

static int reset_device(const char *name)
{
	int fd = open_device(name);
	int ret;

	if (fd < 0)
		return fd;
	ret = wq_ioctl(fd, USBDEVFS_RESET, 0);
	close(fd);
	return ret;
}

/* ---- Devices that work ---- */

FIXTURE(plug)
{
	int fds[2];
	struct wq_qmp qmp;
	int high, super;	/* the buses that the controller has */
	char kbd[32], hub[32], behind[32], stick[32];
};

FIXTURE_SETUP(plug)
{
	WQ_REQUIRE_ROOT();
	WQ_REQUIRE_TYPE(WATCH_TYPE_USB_NOTIFY, "CONFIG_USB_NOTIFICATIONS");
	WQ_REQUIRE_QMP(&self->qmp);
	self->high = find_bus("xhci_hcd", false);
	self->super = find_bus("xhci_hcd", true);
	if (self->high < 0 || self->super < 0)
		SKIP(return, "no xHCI controller, or CONFIG_USB_XHCI_PCI is not set");

	/* SuperSpeed is for the stick alone, which is at port 3. */
	snprintf(self->kbd, sizeof(self->kbd), "%d-1", self->high);
	snprintf(self->hub, sizeof(self->hub), "%d-2", self->high);
	snprintf(self->behind, sizeof(self->behind), "%d-2.1", self->high);
	snprintf(self->stick, sizeof(self->stick), "%d-3", self->super);
	ASSERT_EQ(0, watch_usb(self->fds));
}

/* What a test that failed left plugged in, the next one could not plug in. */
static void unplug(struct wq_qmp *qmp, const char *id)
{
	if (!wq_qmp_execute(qmp, "device_del", format("'id': '%s'", id)))
		wq_qmp_await(qmp, "DEVICE_DELETED", id);
}

FIXTURE_TEARDOWN(plug)
{
	unplug(&self->qmp, "kbd");
	unplug(&self->qmp, "hub");
	unplug(&self->qmp, "stick");
	wq_qmp_execute(&self->qmp, "blockdev-del", "'node-name': 'wq-usb'");
	EXPECT_TRUE(await_file(format(DEVICES "/%s", self->kbd), false));
	EXPECT_TRUE(await_file(format(DEVICES "/%s", self->hub), false));
	EXPECT_TRUE(await_file(format(DEVICES "/%s", self->stick), false));
	wq_qmp_close(&self->qmp);
	wq_close(self->fds);
}

#define PLUG(driver, id, port)						\
	ASSERT_EQ(0, wq_qmp(&self->qmp, "device_add",			\
		"'driver': '%s', 'id': '%s', 'bus': 'xhci.0', 'port': '%s'", \
		driver, id, port))

#define PLUG_STICK() do {						\
	ASSERT_EQ(0, wq_qmp(&self->qmp, "blockdev-add",			\
		"'driver': 'null-co', 'node-name': 'wq-usb', 'read-zeroes': true")); \
	ASSERT_EQ(0, wq_qmp(&self->qmp, "device_add",			\
		"'driver': 'usb-storage', 'id': 'stick', 'drive': 'wq-usb', " \
		"'bus': 'xhci.0', 'port': '3'"));			\
} while (0)

#define UNPLUG(id) do {							\
	const char *__id = id;						\
									\
	ASSERT_EQ(0, wq_qmp(&self->qmp, "device_del", "'id': '%s'", __id)); \
	ASSERT_EQ(0, wq_qmp_await(&self->qmp, "DEVICE_DELETED", __id));	\
} while (0)

#define UNPLUG_STICK() do {						\
	UNPLUG("stick");						\
	ASSERT_EQ(0, wq_qmp(&self->qmp, "blockdev-del", "'node-name': 'wq-usb'")); \
} while (0)

/* Waits until a driver has taken an interface, for instance "1-1:1.0". */
#define AWAIT_DRIVER(driver, device)					\
	ASSERT_TRUE(await_file(format(DRIVERS "/%s/%s:1.0", driver, device), true))

#define REQUIRE_DRIVER(driver, option) do {				\
	if (!exists(DRIVERS "/" driver))				\
		SKIP(return, option " is not set");			\
} while (0)

TEST_F_TIMEOUT(plug, keyboard_comes_and_goes, SECONDS)
{
	int i;

	for (i = 0; i < 3; i++) {
		PLUG("usb-kbd", "kbd", "1");
		ASSERT_ADDED(self->kbd, KEYBOARD);
		UNPLUG("kbd");
		ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	}
	ASSERT_QUIET();
}

TEST_F_TIMEOUT(plug, stick_comes_and_goes, SECONDS)
{
	int i;

	for (i = 0; i < 3; i++) {
		PLUG_STICK();
		ASSERT_ADDED(self->stick, STICK);
		UNPLUG_STICK();
		ASSERT_NEXT("remove %s %s 0", self->stick, STICK);
	}
	ASSERT_QUIET();
}

/* When it is told of, the device can be found and opened. */
TEST_F_TIMEOUT(plug, what_is_added_is_there, SECONDS)
{
	char path[PATH_MAX];
	int fd;

	PLUG("usb-kbd", "kbd", "1");
	ASSERT_NEXT("add %s %s 0", self->kbd, KEYBOARD);
	snprintf(path, sizeof(path), DEVICES "/%s", self->kbd);
	EXPECT_TRUE(exists(path));
	fd = open_device(self->kbd);
	EXPECT_LE(0, fd);
	close(fd);

	AWAIT_PROBED(self->kbd);
	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	EXPECT_FALSE(exists(path));
}

/* What is behind a hub comes after it and goes before it. */
TEST_F_TIMEOUT(plug, hub_goes_with_what_is_behind, SECONDS)
{
	PLUG("usb-hub", "hub", "2");
	ASSERT_ADDED(self->hub, HUB);
	PLUG("usb-kbd", "kbd", "2.1");
	ASSERT_ADDED(self->behind, KEYBOARD);
	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->behind, KEYBOARD);
	PLUG("usb-kbd", "kbd", "2.1");
	ASSERT_ADDED(self->behind, KEYBOARD);

	UNPLUG("hub");
	ASSERT_NEXT("remove %s %s 0", self->behind, KEYBOARD);
	ASSERT_NEXT("remove %s %s 0", self->hub, HUB);
	ASSERT_QUIET();
}

/* Drivers come and go; the device stays. */
TEST_F_TIMEOUT(plug, drivers_are_no_devices, SECONDS)
{
	char interface[40];

	REQUIRE_DRIVER("usbhid", "CONFIG_USB_HID");
	snprintf(interface, sizeof(interface), "%s:1.0", self->kbd);
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);
	AWAIT_DRIVER("usbhid", self->kbd);

	ASSERT_EQ(0, write_sysfs(DRIVERS "/usbhid/unbind", interface));
	EXPECT_FALSE(exists(format(DRIVERS "/usbhid/%s", interface)));
	ASSERT_QUIET();
	ASSERT_EQ(0, write_sysfs(DRIVERS "/usbhid/bind", interface));
	AWAIT_DRIVER("usbhid", self->kbd);
	ASSERT_QUIET();

	/* The driver of the whole device configures it. */
	ASSERT_EQ(0, write_sysfs(DRIVERS "/usb/unbind", self->kbd));
	EXPECT_FALSE(exists(format(DRIVERS "/usb/%s", self->kbd)));
	EXPECT_FALSE(exists(format(DRIVERS "/usbhid/%s", interface)));
	ASSERT_QUIET();
	ASSERT_EQ(0, write_sysfs(DRIVERS "/usb/bind", self->kbd));
	AWAIT_DRIVER("usbhid", self->kbd);
	ASSERT_QUIET();

	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
}

/* Without the hub's driver there is nothing behind the hub. */
TEST_F_TIMEOUT(plug, driver_of_hub_takes_devices_along, SECONDS)
{
	char interface[40];

	snprintf(interface, sizeof(interface), "%s:1.0", self->hub);
	PLUG("usb-hub", "hub", "2");
	ASSERT_ADDED(self->hub, HUB);
	PLUG("usb-kbd", "kbd", "2.1");
	ASSERT_ADDED(self->behind, KEYBOARD);

	ASSERT_EQ(0, write_sysfs(DRIVERS "/hub/unbind", interface));
	ASSERT_NEXT("remove %s %s 0", self->behind, KEYBOARD);
	ASSERT_QUIET();
	ASSERT_EQ(0, write_sysfs(DRIVERS "/hub/bind", interface));
	ASSERT_ADDED(self->behind, KEYBOARD);

	UNPLUG("hub");
	ASSERT_NEXT("remove %s %s 0", self->behind, KEYBOARD);
	ASSERT_NEXT("remove %s %s 0", self->hub, HUB);
	ASSERT_QUIET();
}

TEST_F_TIMEOUT(plug, unauthorized_is_added, SECONDS)
{
	char policy[64], path[PATH_MAX];

	snprintf(policy, sizeof(policy), DEVICES "/usb%d/authorized_default",
		 self->high);
	ASSERT_EQ(0, wq_file_write(policy, "0"));
	PLUG("usb-kbd", "kbd", "1");
	EXPECT_STREQ(format("add %s %s 0", self->kbd, KEYBOARD),
		     next(self->fds[0]));
	ASSERT_EQ(0, wq_file_write(policy, "1"));
	snprintf(path, sizeof(path), DEVICES "/%s/authorized", self->kbd);
	ASSERT_EQ(0, read_number(path));
	ASSERT_QUIET();

	ASSERT_EQ(0, wq_file_write(path, "1"));
	ASSERT_TRUE(await_file(format(DEVICES "/%s:1.0", self->kbd), true));
	ASSERT_EQ(0, wq_file_write(path, "0"));
	ASSERT_TRUE(await_file(format(DEVICES "/%s:1.0", self->kbd), false));
	ASSERT_QUIET();

	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	ASSERT_QUIET();
}

/* Removed by request: it is plugged in and yet gone. */
TEST_F_TIMEOUT(plug, removed_by_request, SECONDS)
{
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);
	ASSERT_EQ(0, write_sysfs(DEVICES "/%s/remove", "1", self->kbd));
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	UNPLUG("kbd");
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);
	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	ASSERT_QUIET();
}

TEST_F_TIMEOUT(plug, reset_by_program, SECONDS)
{
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);

	/* With its driver and, configured to be nothing, without. */
	ASSERT_EQ(0, reset_device(self->kbd));
	ASSERT_NEXT("reset %s %s 0", self->kbd, KEYBOARD);
	ASSERT_QUIET();
	ASSERT_EQ(0, write_sysfs(DEVICES "/%s/bConfigurationValue", "0", self->kbd));
	ASSERT_EQ(0, reset_device(self->kbd));
	ASSERT_NEXT("reset %s %s 0", self->kbd, KEYBOARD);
	ASSERT_QUIET();

	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
}

/* Opens the disk that a USB device is. */
static int open_disk(const char *device)
{
	const char *pattern = DEVICES "/%s:1.0/host*/target*/*:*/block/*";
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	char path[PATH_MAX], *name;
	int ret = -ETIMEDOUT;
	glob_t found;

	snprintf(path, sizeof(path), pattern, device);
	while (ret < 0 && wq_now_ms() < end) {
		if (!glob(path, 0, NULL, &found)) {
			name = strrchr(found.gl_pathv[0], '/') + 1;
			ret = wq_errno(open(format("/dev/%s", name),
					    O_RDONLY | O_NONBLOCK | O_CLOEXEC));
			globfree(&found);
		}
		if (ret < 0)
			usleep(10000);
	}
	return ret;
}

/* As the error handling of SCSI does it, when nothing else helps any more. */
TEST_F_TIMEOUT(plug, reset_by_storage, SECONDS)
{
	int how = SG_SCSI_RESET_BUS;
	int disk;

	REQUIRE_DRIVER("usb-storage", "CONFIG_USB_STORAGE");
	if (!exists("/sys/bus/scsi/drivers/sd"))
		SKIP(return, "CONFIG_BLK_DEV_SD is not set");

	PLUG_STICK();
	ASSERT_ADDED(self->stick, STICK);
	disk = open_disk(self->stick);
	ASSERT_LE(0, disk);
	ASSERT_EQ(0, wq_ioctl(disk, SG_SCSI_RESET, (unsigned long)&how));
	ASSERT_NEXT("reset %s %s 0", self->stick, STICK);
	ASSERT_QUIET();
	close(disk);

	UNPLUG_STICK();
	ASSERT_NEXT("remove %s %s 0", self->stick, STICK);
}

/* Each bus encloses its root hub, and that what is plugged in. */
TEST_F_TIMEOUT(plug, buses_come_and_go, SECONDS)
{
	static const char *const dir = "/sys/bus/pci/drivers/xhci_hcd";
	char controller[64], seen[5][TEXT_SIZE];
	int at[5], i, k;

	ASSERT_EQ(0, find_controller(self->high, controller, sizeof(controller)));
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);

	ASSERT_EQ(0, write_sysfs("%s/unbind", controller, dir));
	ASSERT_NEXT("remove usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_NEXT("bus remove usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	ASSERT_NEXT("remove usb%d %s 0", self->high, ROOT_HUB_2);
	ASSERT_NEXT("bus remove usb%d %s 0", self->high, ROOT_HUB_2);
	ASSERT_QUIET();

	/* The second bus may come before or after what is at the first. */
	ASSERT_EQ(0, write_sysfs("%s/bind", controller, dir));
	for (i = 0; i < 5; i++)
		snprintf(seen[i], sizeof(seen[i]), "%s", next(self->fds[0]));
	for (i = 0; i < 5; i++) {
		const char *wanted =
			i == 0 ? format("bus add usb%d %s 0", self->high, ROOT_HUB_2) :
			i == 1 ? format("add usb%d %s 0", self->high, ROOT_HUB_2) :
			i == 2 ? format("add %s %s 0", self->kbd, KEYBOARD) :
			i == 3 ? format("bus add usb%d %s 0", self->super, ROOT_HUB_3) :
				 format("add usb%d %s 0", self->super, ROOT_HUB_3);

		for (k = 0; k < 5 && strcmp(seen[k], wanted); k++)
			;
		ASSERT_GT(5, k) TH_LOG("there is no \"%s\"", wanted);
		at[i] = k;
	}
	EXPECT_LT(at[0], at[1]);
	EXPECT_LT(at[1], at[2]);
	EXPECT_LT(at[3], at[4]);

	AWAIT_PROBED(self->kbd);
	UNPLUG("kbd");
	ASSERT_NEXT("remove %s %s 0", self->kbd, KEYBOARD);
	ASSERT_QUIET();
}

/* Has a PCI device answer to its memory, or not. */
static int set_pci_memory(int bus, bool on)
{
	char path[PATH_MAX];
	__u16 command;
	int fd, ret;

	snprintf(path, sizeof(path), DEVICES "/usb%d/../config", bus);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = wq_errno(pread(fd, &command, sizeof(command), PCI_COMMAND));
	if (on)
		command |= PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MEMORY;
	if (ret >= 0)
		ret = wq_errno(pwrite(fd, &command, sizeof(command), PCI_COMMAND));
	close(fd);
	return ret < 0 ? ret : 0;
}

/*
 * A controller that does not answer any more is given up, and with it what is
 * plugged in.  It is noticed when the keyboard's driver stops listening.
 */
TEST_F_TIMEOUT(plug, controller_dies, SECONDS)
{
	static const char *const dir = "/sys/bus/pci/drivers/xhci_hcd";
	char controller[64], interface[40], seen[2][TEXT_SIZE];
	const char *wanted;
	int i;

	REQUIRE_DRIVER("usbhid", "CONFIG_USB_HID");
	snprintf(interface, sizeof(interface), "%s:1.0", self->kbd);
	ASSERT_EQ(0, find_controller(self->high, controller, sizeof(controller)));
	PLUG("usb-kbd", "kbd", "1");
	ASSERT_ADDED(self->kbd, KEYBOARD);
	AWAIT_DRIVER("usbhid", self->kbd);

	ASSERT_EQ(0, set_pci_memory(self->high, false));
	write_sysfs(DRIVERS "/usbhid/unbind", interface);
	for (i = 0; i < 2; i++)
		snprintf(seen[i], sizeof(seen[i]), "%s", next(self->fds[0]));
	EXPECT_EQ(0, set_pci_memory(self->high, true));

	/* The two are each other's contemporaries. */
	i = !strncmp(seen[0], "error", 5) ? 0 : 1;
	wanted = format("error usb%d %s %d", self->high, ROOT_HUB_2, -ESHUTDOWN);
	EXPECT_STREQ(wanted, seen[i]);
	wanted = format("remove %s %s 0", self->kbd, KEYBOARD);
	EXPECT_STREQ(wanted, seen[!i]);
	ASSERT_QUIET();

	ASSERT_EQ(0, write_sysfs("%s/unbind", controller, dir));
	ASSERT_NEXT("remove usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_NEXT("bus remove usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_NEXT("remove usb%d %s 0", self->high, ROOT_HUB_2);
	ASSERT_NEXT("bus remove usb%d %s 0", self->high, ROOT_HUB_2);
	UNPLUG("kbd");
	ASSERT_EQ(0, write_sysfs("%s/bind", controller, dir));
	ASSERT_NEXT("bus add usb%d %s 0", self->high, ROOT_HUB_2);
	ASSERT_NEXT("add usb%d %s 0", self->high, ROOT_HUB_2);
	ASSERT_NEXT("bus add usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_NEXT("add usb%d %s 0", self->super, ROOT_HUB_3);
	ASSERT_QUIET();
}

/* ---- Devices that do not ---- */

FIXTURE(gadget)
{
	int fds[2];
	struct wq_gadget gadget;
	struct wq_gadget_face *face;
	int bus;
	char name[32], port[32];
};

FIXTURE_SETUP(gadget)
{
	WQ_REQUIRE_ROOT();
	WQ_REQUIRE_TYPE(WATCH_TYPE_USB_NOTIFY, "CONFIG_USB_NOTIFICATIONS");
	if (!exists("/dev/raw-gadget"))
		SKIP(return, "CONFIG_USB_RAW_GADGET is not set");
	self->bus = find_bus("dummy_hcd", false);
	if (self->bus < 0)
		SKIP(return, "CONFIG_USB_DUMMY_HCD is not set");

	snprintf(self->name, sizeof(self->name), "%d-1", self->bus);
	snprintf(self->port, sizeof(self->port), "usb%d-port1", self->bus);
	ASSERT_EQ(0, wq_gadget_init(&self->gadget));
	self->face = self->gadget.face;
	ASSERT_EQ(0, watch_usb(self->fds));
}

FIXTURE_TEARDOWN(gadget)
{
	wq_gadget_stop(&self->gadget);
	/* The next test's device is to find an empty port. */
	EXPECT_TRUE(await_file(format(DEVICES "/%s", self->name), false));
	wq_close(self->fds);
}

/* So many records are each this one, then comes another. */
#define ASSERT_TIMES(times, ...) do {					\
	int __i;							\
									\
	for (__i = 0; __i < (times); __i++)				\
		ASSERT_NEXT(__VA_ARGS__);				\
} while (0)

TEST_F_TIMEOUT(gadget, without_driver_is_added, SECONDS)
{
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	AWAIT_CONFIGURED(self->name);
	EXPECT_FALSE(exists(format(DEVICES "/%s:1.0/driver", self->name)));
	ASSERT_QUIET();
	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
	ASSERT_QUIET();
}

/* Nothing is known of a device that does not say what it is. */
TEST_F_TIMEOUT(gadget, refuses_to_say_what_it_is, SECONDS)
{
	self->face->refuse = WQ_REFUSE_DEVICE;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_TIMES(ATTEMPTS, "error %s %s %d", self->name, NOBODY, -EPIPE);
	ASSERT_NEXT("error %s %s %d port", self->port, NOBODY, -EPIPE);
	ASSERT_QUIET();
}

TEST_F_TIMEOUT(gadget, says_nonsense, SECONDS)
{
	self->face->device.bMaxPacketSize0 = 7;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_TIMES(ATTEMPTS, "error %s %s %d", self->name, NOBODY, -EPROTO);
	ASSERT_NEXT("error %s %s %d port", self->port, NOBODY, -EPROTO);
	ASSERT_QUIET();
}

/* It was not added, but it has said what it is. */
TEST_F_TIMEOUT(gadget, refuses_its_configurations, SECONDS)
{
	self->face->refuse = WQ_REFUSE_CONFIG;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_TIMES(ATTEMPTS, "error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_NEXT("error %s %s %d port", self->port, NOBODY, -EPIPE);
	ASSERT_QUIET();
}

/* The port does not give up a device that comes to its senses. */
TEST_F_TIMEOUT(gadget, recovers, SECONDS)
{
	self->face->refuse = WQ_REFUSE_DEVICE;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("error %s %s %d", self->name, NOBODY, -EPIPE);
	self->face->refuse = 0;
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	AWAIT_CONFIGURED(self->name);
	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
	ASSERT_QUIET();
}

/* It is there, and of no use. */
TEST_F_TIMEOUT(gadget, refuses_to_be_configured, SECONDS)
{
	self->face->refuse = WQ_REFUSE_CONFIGURE;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_QUIET();

	/* Also when a program asks it to be. */
	ASSERT_EQ(-EPIPE, write_sysfs(DEVICES "/%s/bConfigurationValue", "1",
				      self->name));
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_QUIET();
	self->face->refuse = 0;
	ASSERT_EQ(0, write_sysfs(DEVICES "/%s/bConfigurationValue", "1", self->name));
	ASSERT_QUIET();

	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
}

/* A port has 500 mA. */
TEST_F_TIMEOUT(gadget, wants_too_much_power, SECONDS)
{
	self->face->config.config.bMaxPower = 510 / 2;
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -ENOSPC);
	ASSERT_QUIET();
	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
}

TEST_F_TIMEOUT(gadget, is_reset, SECONDS)
{
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	ASSERT_EQ(0, reset_device(self->name));
	ASSERT_NEXT("reset %s %s 0", self->name, GADGET);
	ASSERT_QUIET();
}

/* The reset fails; the device is taken out, and does not come back. */
TEST_F_TIMEOUT(gadget, does_not_survive_reset, SECONDS)
{
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	self->face->refuse = WQ_REFUSE_DEVICE;
	ASSERT_EQ(-ENODEV, reset_device(self->name));
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
	ASSERT_TIMES(ATTEMPTS, "error %s %s %d", self->name, NOBODY, -EPIPE);
	ASSERT_NEXT("error %s %s %d port", self->port, NOBODY, -EPIPE);
	ASSERT_QUIET();
}

/* As when it got other firmware: not an error, but another device. */
TEST_F_TIMEOUT(gadget, is_another_after_reset, SECONDS)
{
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	self->face->device.idProduct = htole16(WQ_GADGET_PRODUCT + 1);
	ASSERT_EQ(-ENODEV, reset_device(self->name));
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
	ASSERT_NEXT("add %s f055:1235 0", self->name);
	AWAIT_CONFIGURED(self->name);
	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s f055:1235 0", self->name);
	ASSERT_QUIET();
}

/* The reset works, but being configured again is refused. */
TEST_F_TIMEOUT(gadget, is_unconfigured_by_reset, SECONDS)
{
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	AWAIT_CONFIGURED(self->name);
	self->face->refuse = WQ_REFUSE_CONFIGURE;
	ASSERT_EQ(-ENODEV, reset_device(self->name));
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);
	ASSERT_NEXT("error %s %s %d", self->name, GADGET, -EPIPE);
	ASSERT_QUIET();
}

/* ---- Over-current ---- */

/* Waits until the kernel has asked a hub of ours for something so often. */
static bool await_count(const int *count, int wanted)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted) {
		if (wq_now_ms() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/* Plugs in a hub of ours and waits until it works. */
#define START_HUB() do {						\
	wq_gadget_describe_hub(self->face);				\
	ASSERT_EQ(0, wq_gadget_start(&self->gadget));			\
	ASSERT_NEXT("add %s %s 0", self->name, GADGET);			\
	AWAIT_DRIVER("hub", self->name);				\
	ASSERT_TRUE(await_count(&self->face->powered, 1));		\
} while (0)

/* A record for each that is counted, however fast the hub forgets it. */
TEST_F_TIMEOUT(gadget, port_over_current, SECONDS)
{
	char count[PATH_MAX];
	int i;

	START_HUB();
	snprintf(count, sizeof(count), DEVICES "/%s:1.0/%s-port1/over_current_count",
		 self->name, self->name);
	ASSERT_EQ(0, read_number(count));

	for (i = 1; i <= 4; i++) {
		self->face->port.wPortStatus =
			htole16(i % 2 ? USB_PORT_STAT_OVERCURRENT : 0);
		self->face->port.wPortChange = htole16(USB_PORT_STAT_C_OVERCURRENT);
		ASSERT_EQ(0, wq_gadget_tell_change(&self->gadget, 1));
		ASSERT_NEXT("error %s-port1 %s %d port over-current",
			    self->name, NOBODY, -EOVERFLOW);
		EXPECT_EQ(i, read_number(count));
		/* What comes before this would be taken for the same. */
		ASSERT_TRUE(await_count(&self->face->forgotten, i));
	}
	ASSERT_QUIET();

	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
}

TEST_F_TIMEOUT(gadget, hub_over_current, SECONDS)
{
	START_HUB();
	self->face->hub.wHubStatus = htole16(HUB_STATUS_OVERCURRENT);
	self->face->hub.wHubChange = htole16(HUB_CHANGE_OVERCURRENT);
	ASSERT_EQ(0, wq_gadget_tell_change(&self->gadget, 0));
	ASSERT_NEXT("error %s %s %d over-current", self->name, GADGET, -EOVERFLOW);
	ASSERT_TRUE(await_count(&self->face->forgotten, 1));
	ASSERT_TRUE(await_count(&self->face->powered, 2));
	ASSERT_QUIET();

	wq_gadget_stop(&self->gadget);
	ASSERT_NEXT("remove %s %s 0", self->name, GADGET);
}

TEST_HARNESS_MAIN
