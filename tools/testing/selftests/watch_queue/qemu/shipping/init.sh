#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the guest of shipping.sh runs first: makes way for systemd.

/bin/busybox --install -s /bin
# Services have file systems of their own, for which the root must not be the kernel's
# first, that cannot be moved.
mount --bind / /root
cd /root || exit
mount --move . /
exec chroot . /lib/systemd/systemd
