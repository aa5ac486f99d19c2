// SPDX-License-Identifier: GPL-2.0
/*
 * What devices are called, from sysfs.
 *
 * An event may be read when its device is gone, so what has been found out is kept:
 * that of a device per slot, which another device may take.
 */

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wqmon.h"

#define BLOCK_DIR	"/sys/block"
#define USB_DIR		"/sys/bus/usb/devices"

#define NR_SLOTS	256

static struct disk disks[NR_SLOTS];
static struct usb_device usb_devices[NR_SLOTS];

/* Reads the first line of a file of sysfs; false if there is none. */
static __printf(3, 4)
bool read_line(char *line, size_t size, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *f;
	bool ok;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);

	line[0] = '\0';
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(line, size, f);
	fclose(f);
	if (!ok)
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line[0];
}

/* Takes away the spaces around the text, with which inquiry data are filled up. */
static void trim(char *text)
{
	size_t blank = strspn(text, " ");
	size_t len = strlen(text);

	while (len > blank && text[len - 1] == ' ')
		len--;
	memmove(text, text + blank, len - blank);
	text[len - blank] = '\0';
}

/* Who made it and what it is; some say the first in the second, too. */
static void join_names(char *text, size_t size, char *maker, char *what)
{
	trim(maker);
	trim(what);
	if (!maker[0] || !strncmp(maker, what, strlen(maker)))
		snprintf(text, size, "%s", what);
	else
		snprintf(text, size, "%s %s", maker, what);
	trim(text);
}

/* The last part of where a link leads to. */
static bool link_target(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *last;
	ssize_t len;

	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	return snprintf(name, size, "%s", last) < (int)size;
}

/* ---- Disks ---- */

static __u64 diskseq_of(const char *name)
{
	char line[32];

	if (!read_line(line, sizeof(line), BLOCK_DIR "/%s/diskseq", name))
		return 0;
	return strtoull(line, NULL, 10);
}

/* SCSI disks have a vendor and a model; others a model, or what they are made of. */
static void read_model(struct disk *d)
{
	static const char * const others[] = {
		"dm/name", "md/level", "loop/backing_file", "device/name",
	};
	char vendor[16] = "", model[128];
	size_t i;

	if (read_line(model, sizeof(model), BLOCK_DIR "/%s/device/model", d->name)) {
		read_line(vendor, sizeof(vendor), BLOCK_DIR "/%s/device/vendor", d->name);
		join_names(d->model, sizeof(d->model), vendor, model);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		if (read_line(d->model, sizeof(d->model), BLOCK_DIR "/%s/%s", d->name,
			      others[i]))
			return;
	}
}

static const struct disk *remember_disk(const char *name, __u64 diskseq)
{
	struct disk *d = &disks[diskseq % NR_SLOTS];

	memset(d, 0, sizeof(*d));
	d->diskseq = diskseq;
	snprintf(d->name, sizeof(d->name), "%s", name);
	read_model(d);
	if (!read_line(d->serial, sizeof(d->serial), BLOCK_DIR "/%s/serial", name))
		read_line(d->serial, sizeof(d->serial), BLOCK_DIR "/%s/device/serial",
			  name);
	if (!read_line(d->wwid, sizeof(d->wwid), BLOCK_DIR "/%s/wwid", name))
		read_line(d->wwid, sizeof(d->wwid), BLOCK_DIR "/%s/device/wwid", name);
	trim(d->serial);
	trim(d->wwid);
	return d;
}

/* Remembers all disks, or the one with that number; returns that. */
static const struct disk *scan_disks(__u64 wanted)
{
	const struct disk *found = NULL;
	struct dirent *entry;
	__u64 diskseq;
	DIR *dir;

	dir = opendir(BLOCK_DIR);
	if (!dir)
		return NULL;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		diskseq = diskseq_of(entry->d_name);
		if (!diskseq || (wanted && diskseq != wanted))
			continue;
		if (wanted)
			found = remember_disk(entry->d_name, diskseq);
		else
			remember_disk(entry->d_name, diskseq);
	}
	closedir(dir);
	return found;
}

/**
 * find_disk - what sysfs says, or said, of the disk of a record
 * @b: The record.
 *
 * Its device number may be another's by now, or have none to begin with: what is
 * hidden behind a multipath disk has a sequence number only.
 *
 * Return: The disk, good until the next call; NULL if nothing is known.
 */
const struct disk *find_disk(const struct block_notification *b)
{
	const struct disk *d = &disks[b->diskseq % NR_SLOTS];
	char link[64], name[sizeof(d->name)];

	if (!b->diskseq)
		return NULL;
	if (d->diskseq == b->diskseq)
		return d;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(b->dev),
		 minor(b->dev));
	if (link_target(link, name, sizeof(name)) && diskseq_of(name) == b->diskseq)
		return remember_disk(name, b->diskseq);
	return scan_disks(b->diskseq);
}

/* ---- USB ---- */

static struct usb_device *usb_slot(const char *name)
{
	unsigned int hash = 5381;

	while (*name)
		hash = hash * 33 + (unsigned char)*name++;
	return &usb_devices[hash % NR_SLOTS];
}

static __u16 read_usb_id(const char *name, const char *attribute)
{
	char line[16];

	if (!read_line(line, sizeof(line), USB_DIR "/%s/%s", name, attribute))
		return 0;
	return strtoul(line, NULL, 16);
}

static const struct usb_device *remember_usb(const char *name)
{
	struct usb_device *u = usb_slot(name);
	char manufacturer[128] = "", product[128] = "";

	memset(u, 0, sizeof(*u));
	snprintf(u->name, sizeof(u->name), "%s", name);
	u->vendor = read_usb_id(name, "idVendor");
	u->product = read_usb_id(name, "idProduct");
	read_line(manufacturer, sizeof(manufacturer), USB_DIR "/%s/manufacturer", name);
	read_line(product, sizeof(product), USB_DIR "/%s/product", name);
	join_names(u->model, sizeof(u->model), manufacturer, product);
	read_line(u->serial, sizeof(u->serial), USB_DIR "/%s/serial", name);
	trim(u->serial);
	return u;
}

static bool is_usb(const struct usb_device *u, const struct event *e)
{
	return !strcmp(u->name, e->usb_name) && u->vendor == e->vendor &&
	       u->product == e->product;
}

/**
 * find_usb - what sysfs says, or said, of the USB device of a record
 * @e: The event.
 *
 * One of the same name may have been another device, so vendor and product have
 * to be the same, too.
 *
 * Return: The device, good until the next call; NULL if nothing is known.
 */
const struct usb_device *find_usb(const struct event *e)
{
	const struct usb_device *u = usb_slot(e->usb_name);

	if (e->flags & NOTIFY_USB_PORT || !(e->vendor || e->product) ||
	    strchr(e->usb_name, '/'))
		return NULL;
	if (e->subtype == NOTIFY_USB_DEVICE_ADD || !is_usb(u, e))
		u = remember_usb(e->usb_name);
	return is_usb(u, e) ? u : NULL;
}

/* The interfaces, which are there, too, have a colon in their names. */
static void scan_usb(void)
{
	struct dirent *entry;
	DIR *dir;

	dir = opendir(USB_DIR);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && !strchr(entry->d_name, ':'))
			remember_usb(entry->d_name);
	}
	closedir(dir);
}

/* Looks at all devices there are; to be called when they are watched. */
void remember_devices(void)
{
	scan_disks(0);
	scan_usb();
}

/* ---- Names that the user gives ---- */

/* Whether there can be events of what is called so. */
static bool is_device(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), BLOCK_DIR "/%s", name);
	if (!access(path, F_OK))
		return true;
	snprintf(path, sizeof(path), USB_DIR "/%s", name);
	return !strchr(name, ':') && !access(path, F_OK);
}

/* Where a device file or a directory of sysfs is in sysfs; NULL if nowhere. */
static char *sysfs_path(const char *path)
{
	char link[64];
	struct stat st;

	if (stat(path, &st))
		return NULL;
	if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return realpath(path, NULL);
	snprintf(link, sizeof(link), "/sys/dev/%s/%u:%u",
		 S_ISBLK(st.st_mode) ? "block" : "char", major(st.st_rdev),
		 minor(st.st_rdev));
	return realpath(link, NULL);
}

/**
 * device_name_of - what events call the device of a file
 * @path: A device file, a link to one, or a directory of sysfs; a partition
 *	stands for its disk.
 *
 * Return: The name, to be freed; NULL if it is no disk and no USB device.
 */
char *device_name_of(const char *path)
{
	char *where = sysfs_path(path), *last, *name = NULL, part[16];

	if (!where)
		return NULL;
	if (read_line(part, sizeof(part), "%s/partition", where))
		*strrchr(where, '/') = '\0';
	last = strrchr(where, '/');
	if (!strncmp(where, "/sys/", 5) && is_device(last + 1))
		name = must(strdup(last + 1));
	free(where);
	return name;
}
