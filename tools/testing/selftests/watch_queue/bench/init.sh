#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PID 1 of the guest that measures: wq_bench's results go out on the second channel,
# a serial line of its own; all at once, for sending them takes interrupts.

/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

# The arguments, which may be several, are on the kernel's command line.
# shellcheck disable=SC2086
wq_bench $BENCH > /results
# Line ends as they are: the results are for a program.
stty -F /dev/ttyS1 raw
cat /results > /dev/ttyS1
# Without ACPI this is how QEMU ends, as it is told not to reboot.
reboot -f
