# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# shellcheck disable=SC3043 # the shell is busybox
#
# What scripts in the guest share: tests, waiting, and devices to make events with.  The
# shell may be busybox's.  What can fail returns the failure.

# ---- Tests ----

# What a test returns that something is missing for, which its last line names.
SKIP=4

# try TEST WHAT: what it said, to us and into files NAME.out of the directory WORK, is
# shown if it fails.  What it left is then ended by leave_nothing(), the script's own, as
# is ktap_helpers.sh.
try()
{
	"$1" > "$WORK/log" 2>&1
	case $? in
	0)
		ktap_test_pass "$2"
		;;
	"$SKIP")
		ktap_test_skip "$2, $(tail -n 1 "$WORK/log")"
		;;
	*)
		cat "$WORK/log" "$WORK"/*.out 2> /dev/null | sed 's/^/# /'
		ktap_test_fail "$2"
		;;
	esac
	leave_nothing 2> /dev/null
}

# ---- Waiting ----

# wait_for COMMAND...: until it succeeds, half a minute at most.
wait_for()
{
	local tries=300

	until "$@"; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			echo "waited in vain: $*" >&2
			return 1
		fi
		sleep 0.1
	done
}

# watches PID PATTERN: whether a program has set a watch.
watches()
{
	grep -qs "^watch_queue-watch:.*$2" /proc/"$1"/fdinfo/*
}

# as_nobody COMMAND [ARGUMENT...]: by somebody without privileges.
as_nobody()
{
	local made='' program status

	program=$(command -v "$1")
	shift
	if [ ! -e /etc/passwd ]; then
		mkdir -p /etc
		made=/etc/passwd
		echo "nobody:x:65534:65534::/:/bin/sh" > "$made"
	fi
	start-stop-daemon -S -c nobody -x "$program" -- "$@"
	status=$?
	[ -z "$made" ] || rm "$made"
	return "$status"
}

has_ended()
{
	[ ! -e "/proc/$1" ] || grep -q ') Z ' "/proc/$1/stat"
}

# watches_or_gone PID: to wait for; which of the two has to be asked then.
watches_or_gone()
{
	watches "$1" "" || has_ended "$1"
}

# ends PID STATUS: by itself.
ends()
{
	local status

	wait_for has_ended "$1" || kill -KILL "$1"
	wait "$1"
	status=$?
	[ "$status" = "$2" ] || {
		echo "exited with $status, not with $2"
		return 1
	}
}

is_stopped()
{
	grep -q ') T ' "/proc/$1/stat"
}

# stop PID: which is nothing that has happened when kill returns.
stop()
{
	kill -STOP "$1" && wait_for is_stopped "$1"
}

# ---- QEMU, which can plug and unplug ----

# It listens at the other end of a serial line.  Before the line was raw, some of QEMU's
# greeting may have gone back to it: a byte that can be in no command puts an end to
# that.
open_monitor()
{
	exec 3<> "${WQ_QMP:-/dev/ttyS2}" || return
	stty raw -echo <&3
	: > /tmp/monitor
	cat <&3 >> /tmp/monitor &
	monitor=$!
	asked=0
	printf '\377\n' >&3
	# Only who comes first may and must do this; who comes later is refused.
	ask qmp_capabilities > /dev/null || grep -q CommandNotFound /tmp/monitor
}

# Or whoever opens it next hears half of what it says.
close_monitor()
{
	[ -n "$monitor" ] || return 0
	kill "$monitor"
	wait "$monitor"
	exec 3>&-
	monitor=
}

# ask COMMAND [ARGUMENTS]: and wait for the answer; fails if that is an error.
ask()
{
	asked=$((asked + 1))
	echo "{ \"execute\": \"$1\", \"arguments\": { ${2-} }, \"id\": $asked }" >&3
	wait_for grep -q "\"id\": ${asked}[,}]" /tmp/monitor || return
	! grep "\"id\": $asked, \"error\"" /tmp/monitor
}

# ---- A USB stick ----

plug_stick()
{
	ask device_add '"driver": "usb-storage", "id": "stick", "drive": "stick"'
}

unplug_stick()
{
	ask device_del '"id": "stick"'
}

# stick_is_there: and its directory in sysfs is in $stick.
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

# ---- Disks ----

# disk_below DEVICE: whether it has become a disk, whose name is in $disk.
disk_below()
{
	for disk in "$1"/*/host*/target*/*/block/* "$1"/target*/*/block/*; do
		[ ! -e "$disk" ] || break
	done
	[ -e "$disk" ] && disk=${disk##*/}
}

# A disk in memory.
SCSI_DEBUG=/sys/bus/pseudo/drivers/scsi_debug

need_scsi_debug()
{
	[ -d $SCSI_DEBUG ] || {
		echo "there is no scsi_debug"
		return "$SKIP"
	}
}

scsi_disk_is_there()
{
	disk_below "$(echo /sys/devices/pseudo_0/adapter*/host*)" && [ -b "/dev/$disk" ]
}

# Its driver is not done with it when there is a file: it is about to look for partitions,
# and before that for the capacity, which is none if the disk fails just then.  Who asks for
# a rescan waits for that.
add_scsi_disk()
{
	echo 1 > $SCSI_DEBUG/add_host && wait_for scsi_disk_is_there &&
		echo 1 > "/sys/block/$disk/device/rescan"
}

# remove_scsi_disk NAME: whatever it was told to be.
remove_scsi_disk()
{
	scsi_disk_is_good
	echo -1 > $SCSI_DEBUG/add_host
	wait_for [ ! -e "/sys/block/$1" ]
}

# Its sectors from 0x1234 on cannot be read if it is told so.
scsi_disk_is_bad()
{
	echo 2 > $SCSI_DEBUG/opts
}

scsi_disk_is_good()
{
	echo 0 > $SCSI_DEBUG/opts
}

# read_disk NAME BLOCK: one block of 4 KiB, and nothing but it.
read_disk()
{
	dd if="/dev/$1" of=/dev/null bs=4096 skip="$2" count=1 iflag=direct 2> /dev/null
}

NULL_BLK=/sys/kernel/config/nullb

need_null_blk()
{
	[ -d $NULL_BLK ] || mount -t configfs none /sys/kernel/config
	[ -d $NULL_BLK ] || {
		echo "there is no null_blk"
		return "$SKIP"
	}
}

# add_null_disk NAME: a disk that is not there, whose sectors 2048 to 2111 are bad.
add_null_disk()
{
	mkdir "$NULL_BLK/$1" || return
	echo 64 > "$NULL_BLK/$1/size"
	echo +2048-2111 > "$NULL_BLK/$1/badblocks"
	echo 1 > "$NULL_BLK/$1/power"
	wait_for [ -b "/dev/$1" ]
}

remove_null_disk()
{
	rmdir "$NULL_BLK/$1"
}
