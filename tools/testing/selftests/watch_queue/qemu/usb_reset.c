// SPDX-License-Identifier: GPL-2.0
/*
 * Resets a USB device, as any program may that can write to its device file.
 *
 * Usage: usb_reset /dev/bus/usb/BUS/DEVICE
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/usbdevice_fs.h>

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: usb_reset /dev/bus/usb/BUS/DEVICE\n");
		return EXIT_FAILURE;
	}
	fd = open(argv[1], O_WRONLY);
	if (fd < 0 || ioctl(fd, USBDEVFS_RESET) < 0) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
