#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Keys change, a USB stick comes and goes, a disk fails; the sample, and of keys the
# distribution's keyctl, say what they hear.  Fails if they do not hear what they must.

# wait_for COMMAND...: until it succeeds, half a minute at most.
# shellcheck disable=SC3043 # the shell is busybox
wait_for()
{
	local tries=300

	until "$@"; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			echo "waited in vain: $*" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# show NAME: prints what comes, with the name before it, and keeps it.
show()
{
	while IFS= read -r line; do
		echo "    $1: $line"
		echo "$line" >> "/tmp/$1"
	done
}

# do_it TEXT COMMAND...: what has been heard before does not count any more.
do_it()
{
	echo "> $1"
	shift
	for name in watch_test keyctl-watch; do
		echo $(($(wc -l < "/tmp/$name") + 1)) > "/tmp/$name.from"
	done
	"$@" > /tmp/out || cat /tmp/out
}

told()
{
	tail -n +"$(cat "/tmp/$1.from")" "/tmp/$1" | grep -q "$2"
}

# heard PATTERN NAME...: each of them has to tell something like that.
heard()
{
	pattern=$1
	shift
	for name; do
		wait_for told "$name" "$pattern"
	done
}

# watches PID PATTERN: whether a program has set a watch.
watches()
{
	grep -qs "^watch_queue-watch:.*$2" /proc/"$1"/fdinfo/*
}

# ---- Keys ----

change()
{
	do_it "keyctl $*" keyctl "$@"
}

show_keys()
{
	touch /tmp/watch_test /tmp/keyctl-watch
	mkfifo /tmp/ring /tmp/keyctl /tmp/key
	show watch_test < /tmp/ring &
	show watch_test < /tmp/key &
	show keyctl-watch < /tmp/keyctl &

	echo "The session keyring is $(keyctl id @s)."
	watch_test > /tmp/ring &
	watcher=$!
	keyctl watch @s > /tmp/keyctl &
	# Devices, which have no identifier, are watched last.
	wait_for watches $watcher "id:0$"
	wait_for watches $! ""

	change add user demo secret @s
	heard link watch_test keyctl-watch
	key=$(cat /tmp/out)
	watch_test "$key" > /tmp/key &
	watcher=$!
	wait_for watches $watcher "id:0$"
	change update "$key" better-secret
	heard updated watch_test
	change setperm "$key" 0x3f3f0000
	heard setattr watch_test
	change timeout "$key" 1000
	heard setattr watch_test
	change newring ring @s
	heard link watch_test keyctl-watch
	change unlink "$(cat /tmp/out)" @s
	heard "unlinked\|unl" watch_test keyctl-watch
	change revoke "$key"
	heard revoked watch_test
	change clear @s
	heard "cleared\|clr" watch_test keyctl-watch

	# It would tell of devices, too, and one is enough for them.
	kill $watcher
}

# ---- A USB stick ----

# QEMU, which can plug and unplug, listens at the other end of a serial line.  Before
# the line was raw, some of QEMU's greeting may have gone back to it: a byte that can
# be in no command puts an end to that.
open_monitor()
{
	exec 3<> /dev/ttyS2
	stty raw -echo <&3
	cat <&3 > /tmp/monitor &
	asked=0
	printf '\377\n' >&3
	ask qmp_capabilities
}

# ask COMMAND [ARGUMENTS]: and wait for the answer; fails if that is an error.
ask()
{
	asked=$((asked + 1))
	echo "{ \"execute\": \"$1\", \"arguments\": { ${2-} }, \"id\": $asked }" >&3
	wait_for grep -q "\"id\": ${asked}[,}]" /tmp/monitor
	! grep "\"id\": $asked, \"error\"" /tmp/monitor
}

# stick_is_there: and its name in sysfs is in $stick.
stick_is_there()
{
	stick=$(grep -lsx 46f4 /sys/bus/usb/devices/*/idVendor) || return
	stick=${stick%/idVendor}
}

reset_stick()
{
	usb_reset "$(printf '/dev/bus/usb/%03d/%03d' "$(cat "$stick/busnum")" \
		"$(cat "$stick/devnum")")"
}

# disk_below DEVICE: whether it has become a disk, whose name is in $disk.
disk_below()
{
	for disk in "$1"/*/host*/target*/*/block/* "$1"/target*/*/block/*; do
		[ ! -e "$disk" ] || break
	done
	[ -e "$disk" ] && disk=${disk##*/}
}

show_usb()
{
	open_monitor

	do_it "a USB stick is plugged in" ask device_add \
		'"driver": "usb-storage", "id": "stick", "drive": "stick"'
	heard "usb .* added 46f4:" watch_test
	wait_for stick_is_there
	wait_for disk_below "$stick"

	do_it "a program resets it" reset_stick
	heard "usb .* reset 46f4:" watch_test

	do_it "the stick is pulled out" ask device_del '"id": "stick"'
	heard "usb .* removed 46f4:" watch_test
}

# ---- A disk ----

DRIVER=/sys/bus/pseudo/drivers/scsi_debug

disk_is_there()
{
	disk_below "$(echo /sys/devices/pseudo_0/adapter*/host*)"
}

show_disk()
{
	# A disk in memory, whose sectors from 0x1234 on cannot be read if it is told so.
	echo 1 > "$DRIVER/add_host"
	wait_for disk_is_there
	echo 2 > "$DRIVER/opts"

	do_it "dd if=/dev/$disk bs=4096 skip=582 count=1, where the disk is bad" \
		dd if="/dev/$disk" of=/dev/null bs=4096 skip=582 count=1 \
		iflag=direct status=none
	heard "block .* $disk medium error: read of sectors 4656 to 4663" watch_test
}

# What the kernel logs of all this is not shown, unless it is a catastrophe.
dmesg -n 3

show_keys
show_usb
show_disk
echo "That was the demonstration; make shell is for your own hands."
