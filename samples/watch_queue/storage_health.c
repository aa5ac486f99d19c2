// SPDX-License-Identifier: GPL-2.0
/*
 * Judges disks by what they tell: counts each disk's errors by class, within a window of
 * time, and says what is to be done when there are too many; policy[] has what that is.
 *
 * Usage: storage_health [SECONDS]	how long the window is; default: an hour
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/watch_queue.h>

#ifndef __NR_watch_devices
/* All architectures have these numbers of system calls at the same distance. */
#define __NR_watch_devices	(__NR_pidfd_send_signal + 56)
#endif

enum class { OTHER, HARMLESS, MEDIUM, DEVICE, PATH, DATA, SPACE, GONE, CLASSES };

static const struct { unsigned int limit; const char *decision, *why; } policy[] = {
	[OTHER]  = { 10, "look into the kernel's log", "errors of unknown kind" },
	[MEDIUM] = { 3, "replace", "medium errors" },
	[DEVICE] = { 5, "replace", "errors of the device itself" },
	[PATH]   = { 5, "check cable or path", "transport errors or timeouts" },
	[DATA]   = { 1, "check controller and memory", "checksum does not match" },
	[SPACE]  = { 1, "add space", "no space is left for the data" },
	[GONE]   = { 1, "plug in or replace", "does not answer or is gone" },
};

/* By subtype; errors that this program does not know are OTHER. */
static const unsigned char classes[256] = {
	[NOTIFY_BLOCK_ERROR_TIMEOUT]			= PATH,
	[NOTIFY_BLOCK_ERROR_NO_SPACE]			= SPACE,
	[NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT]	= PATH,
	[NOTIFY_BLOCK_ERROR_CRITICAL_TARGET]		= DEVICE,
	[NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS]		= HARMLESS,
	[NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM]		= MEDIUM,
	[NOTIFY_BLOCK_ERROR_PROTECTION]			= DATA,
	[NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE]		= HARMLESS,
	[NOTIFY_BLOCK_ERROR_NOT_SUPPORTED]		= HARMLESS,
	[NOTIFY_BLOCK_ERROR_AGAIN]			= HARMLESS,
	[NOTIFY_BLOCK_ERROR_OFFLINE]			= GONE,
	[NOTIFY_BLOCK_DEAD]				= GONE,
};

/* Another disk may get the same name, but never the same diskseq. */
static struct disk {
	struct disk *next;
	char name[256];
	unsigned long long diskseq;
	unsigned int errors[CLASSES];
	time_t since[CLASSES];
	bool is_dead;
} *disks;

static time_t window = 3600;

/* The first word of a file in sysfs, or nothing. */
static const char *attribute(const char *name, const char *what)
{
	static char word[32];
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/%s", name, what);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%31s", word) != 1)
		word[0] = '\0';
	if (f)
		fclose(f);
	return word;
}

static void count(struct disk *disk, enum class class)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	if (now.tv_sec - disk->since[class] >= window)
		disk->errors[class] = 0;
	if (!disk->errors[class]++)
		disk->since[class] = now.tv_sec;
	if (disk->errors[class] == policy[class].limit)
		printf("%s: %s: %s\n", disk->name, policy[class].decision, policy[class].why);
}

static struct disk *find_disk(unsigned long long diskseq)
{
	struct disk *disk = disks;

	while (disk && disk->diskseq != diskseq)
		disk = disk->next;
	return disk;
}

/* Learns what disks there are, and says which have gone. */
static void look_at_disks(void)
{
	struct disk *disk, **link = &disks;
	unsigned long long diskseq;
	struct dirent *entry;
	DIR *dir;

	while ((disk = *link)) {
		diskseq = strtoull(attribute(disk->name, "diskseq"), NULL, 10);
		if (diskseq == disk->diskseq) {
			link = &disk->next;
			continue;
		}
		/* Otherwise it has another medium, or another disk has its name. */
		if (!diskseq && !disk->is_dead)
			count(disk, GONE);
		*link = disk->next;
		free(disk);
	}

	dir = opendir("/sys/block");
	if (!dir)
		err(1, "/sys/block");
	while ((entry = readdir(dir))) {
		diskseq = strtoull(attribute(entry->d_name, "diskseq"), NULL, 10);
		if (!diskseq || find_disk(diskseq))
			continue;
		disk = calloc(1, sizeof(*disk));
		if (!disk)
			err(1, "a disk");
		snprintf(disk->name, sizeof(disk->name), "%s", entry->d_name);
		disk->diskseq = diskseq;
		disk->next = disks;
		disks = disk;
	}
	closedir(dir);
}

static void handle_block(const struct block_notification *b)
{
	unsigned int subtype = b->watch.subtype;
	struct disk *disk;
	enum class class;

	if (!find_disk(b->diskseq))
		look_at_disks();
	disk = find_disk(b->diskseq);
	if (!disk || (subtype >= 64 && subtype != NOTIFY_BLOCK_DEAD))
		return;
	class = classes[subtype];
	/* It can be in sysfs for as long as it likes, and is not told again when it goes. */
	if (subtype == NOTIFY_BLOCK_DEAD)
		disk->is_dead = true;
	/* SCSI has no error of its own for a disk that it has given up. */
	if (class == OTHER && !strcmp(attribute(disk->name, "device/state"), "offline"))
		class = GONE;
	count(disk, class);
}

static void handle(const struct watch_notification *n, size_t len)
{
	if (n->type == WATCH_TYPE_BLOCK_NOTIFY && len >= sizeof(struct block_notification))
		handle_block((const void *)n);
	/* Which errors were lost nobody knows, but what has become of the disks one sees. */
	if (n->type == WATCH_TYPE_META && n->subtype == WATCH_META_LOSS_NOTIFICATION) {
		printf("%llu records were lost: looking at all disks\n",
		       (unsigned long long)((const struct watch_notification_loss *)n)->lost);
		look_at_disks();
	}
}

/* All about disks, but not the echo of those that are made of others. */
static int watch_disks(void)
{
	static union {
		struct watch_notification_filter filter;
		char room[sizeof(struct watch_notification_filter) +
			  sizeof(struct watch_notification_type_filter)];
	} u = { .filter.nr_filters = 1 };
	struct watch_notification_type_filter *rule = u.filter.filters;
	struct watch_queue_info info = { .size = sizeof(info) };
	int fds[2];

	rule->type = WATCH_TYPE_BLOCK_NOTIFY;
	rule->info_mask = NOTIFY_BLOCK_STACKED;	/* has to be 0 */
	memset(rule->subtype_filter, 0xff, sizeof(rule->subtype_filter));
	if (pipe2(fds, O_CLOEXEC | O_NOTIFICATION_PIPE) < 0)
		err(1, "pipe2, which takes CONFIG_WATCH_QUEUE");
	if (ioctl(fds[0], IOC_WATCH_QUEUE_SET_FILTER, &u.filter) < 0)
		err(1, "the filter");
	if (syscall(__NR_watch_devices, fds[0], 0, 0) < 0)
		err(1, "watch_devices, which takes CONFIG_DEVICE_NOTIFICATIONS and CAP_SYSLOG");
	if (ioctl(fds[0], IOC_WATCH_QUEUE_GET_INFO, &info) < 0)
		err(1, "what there is to watch");
	if (!(info.types & 1 << WATCH_TYPE_BLOCK_NOTIFY))
		errx(1, "disks tell nothing, which takes CONFIG_BLK_NOTIFICATIONS");
	return fds[0];
}

int main(int argc, char **argv)
{
	__u64 buffer[512];	/* aligned as records are */
	ssize_t got, at, len;
	int fd;

	if (argc > 1)
		window = atoi(argv[1]);
	if (argc > 2 || window <= 0) {
		fprintf(stderr, "usage: storage_health [SECONDS]\n");
		return 2;
	}
	/* First watch, then look, and nothing is missed in between. */
	fd = watch_disks();
	look_at_disks();
	printf("watching\n");
	do {
		fflush(stdout);
		got = read(fd, buffer, sizeof(buffer));
		for (at = 0; at < got; at += len) {
			const struct watch_notification *n = (void *)((char *)buffer + at);

			len = n->info & WATCH_INFO_LENGTH;
			handle(n, len);
		}
	} while (got > 0);
	err(1, "read");
}
