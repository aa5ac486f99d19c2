#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PID 1 of the guest: does what MODE on the kernel's command line asks for and
# tells the outcome on the second channel, a serial line of its own.

/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
[ ! -d /sys/kernel/debug ] || mount -t debugfs debug /sys/kernel/debug
mount -t tmpfs tmp /tmp
mkdir -p /dev/shm
# shellcheck disable=SC3045 # the shell is busybox
ulimit -c 0

channel=/dev/ttyS1
# QEMU's monitor, for the tests that plug and unplug.
export WQ_QMP=/dev/ttyS2

tell()
{
	tee "$channel"
}

# run PROGRAM: its lines of TAP, and how long it took.
run()
{
	echo "# program ${1##*/}"
	since=$(date +%s)
	timeout "${LIMIT:-900}" "$1"
	code=$?
	[ $code = 0 ] || [ $code = 4 ] || echo "not ok exited with $code"
	echo "# took $(($(date +%s) - since)) s"
}

# The programs that PROGRAMS names, with commas between, or else all.
chosen()
{
	if [ -n "$PROGRAMS" ]; then
		for dir in lsm tests checked last; do
			for prog in $(echo "$PROGRAMS" | tr , ' '); do
				[ ! -e "/$dir/$prog" ] || echo "/$dir/$prog"
			done
		done
	else
		# What of these is not there keeps its asterisk.
		printf '%s\n' /tests/*_test* ${CHECKED:+/checked/*} /last/* | grep -v '\*'
	fi
}

leaks=/sys/kernel/debug/kmemleak

# What is younger than five seconds is not taken for a leak, nor what has changed since
# the scan before.
nothing_leaked()
{
	sleep 6
	echo scan > $leaks
	echo scan > $leaks
	[ -z "$(cat $leaks)" ] || ! sed 's/^/# /' $leaks
}

# Whether KCSAN works at all, for where it reports nothing that is what it says.
kcsan=/sys/kernel/debug/kcsan

kcsan_watches()
{
	grep -q '^enabled: 1' $kcsan && ! grep -q '^setup_watchpoints: 0' $kcsan &&
		dmesg | grep -q 'kcsan: selftest: \([0-9]*\)/\1 tests passed'
}

check_leaks()
{
	[ ! -e $leaks ] || verdict "no memory has leaked" nothing_leaked
}

# KUnit's cases, then those of every test program, each as a line of its own.
check()
{
	# What runs on one alone races nobody.
	echo "# program init"
	verdict "two processors run" [ "$(nproc)" = 2 ]
	[ ! -e $kcsan ] || verdict "KCSAN watches" kcsan_watches
	echo "# KUnit"
	# A suite that did not run must not go unnoticed.
	for suite in watch_queue blk_watch usb_watch; do
		cat /sys/kernel/debug/kunit/$suite/results ||
			echo "    not ok the suite $suite did not run"
	done
	programs
}

programs()
{
	for prog in $(chosen); do
		run "$prog"
	done
	echo "# program init"
	check_leaks
}

# The one program for the LSM that was booted, which MODE names.
lsm_check()
{
	run "/lsm/${MODE}_test"
	echo "# program init"
	check_leaks
}

# verdict NAME COMMAND...
verdict()
{
	name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
	fi
}

keys_work()
{
	# shellcheck disable=SC2016 # the shell inside expands it
	keyctl session without sh -c \
		'[ "$(keyctl pipe "$(keyctl add user name secret @s)")" = secret ]'
}

# It goes on if there is something else to watch.
sample_names_option()
{
	timeout 5 watch_test 2>&1 | grep -q "$OPTION"
}

wqmon_names_option()
{
	{
		timeout 5 wqmon -k @s -t 1
		timeout 5 wqmon -t 1
	} 2>&1 | grep -q "$OPTION"
}

# wqmon_says STATUS WORDS OPTION...: these are all that it says of the kernel.
wqmon_says()
{
	status=$1
	words=$2
	shift 2
	said=$(timeout 5 wqmon -t 0.2 "$@" 2>&1 > /dev/null)
	[ $? = "$status" ] && [ "$(echo "$said" | grep kernel)" = "$words" ] && return
	echo "$said" | sed 's/^/# /'
	return 1
}

# Of two sources there is one: wqmon goes on with it, unless only the other is asked for.
without_blocks()
{
	lacks="wqmon: nothing is told of block devices: the kernel lacks $OPTION"
	knows="wqmon: this kernel knows none of the events asked for"
	verdict "wqmon: disks" wqmon_says 4 "$lacks" -b
	verdict "wqmon: disks, quietly" wqmon_says 4 "$lacks" -q -b
	verdict "wqmon: an event of disks" wqmon_says 4 "$lacks" -e 'block.error_*'
	verdict "wqmon: all but USB" wqmon_says 4 "$lacks" -x usb
	verdict "wqmon: disks and a later type" wqmon_says 4 "$lacks" -e 'block,9.*'
	verdict "wqmon: a later type" wqmon_says 4 "$knows" -e '9.*'
	verdict "wqmon: a later type, and keys" wqmon_says 4 "$knows" -k @u -d -e 'key,9.*'
	verdict "wqmon: disks and USB" wqmon_says 3 "$lacks" -d
	verdict "wqmon: disks and USB, quietly" wqmon_says 3 "" -q -d
	verdict "wqmon: USB" wqmon_says 3 "" -u
}

# A program that finds something missing skips, or passes; it does not fail.
no_failure()
{
	timeout 300 "$1" > /tmp/out
	code=$?
	[ $code = 0 ] || [ $code = 4 ] || ! cat /tmp/out
}

# All programs, or those that PROGRAMS names, with commas between.
without()
{
	echo "# program init"
	verdict "keys work" keys_work
	if [ "$OPTION" = CONFIG_BLK_NOTIFICATIONS ]; then
		without_blocks
	else
		verdict "watch_test names the option" sample_names_option
		verdict "wqmon names the option" wqmon_names_option
	fi
	cd /tests || exit
	# shellcheck disable=SC2046 # they are words
	for prog in $(echo "${PROGRAMS:-$(echo *_test *_test.sh)}" | tr , ' '); do
		prog=/tests/$prog
		verdict "${prog##*/} does not fail" no_failure "$prog"
	done
}

# What gcov counted, for the other side to add up; the files have to be copied, for they
# look empty until they are read.
tell_counts()
{
	cd /sys/kernel/debug/gcov || return
	find . -name '*.gcda' | while read -r file; do
		mkdir -p "/tmp/counts/$(dirname "$file")"
		cat "$file" > "/tmp/counts/$file"
	done
	{
		echo "# counts begin"
		tar -cz -C /tmp/counts . | base64
		echo "# counts end"
	} > "$channel"
}

# The word that tells success.  On a busy machine closing the serial line gives up before
# everything has been sent; as long as it is open, it goes on.
finished()
{
	{
		echo "wq-finished"
		sleep 1
	} > "$channel"
}

case $MODE in
check)
	check 2>&1 | tell
	[ -z "$COUNTS" ] || tell_counts
	finished
	;;
selinux | smack)
	lsm_check 2>&1 | tell
	[ -z "$COUNTS" ] || tell_counts
	finished
	;;
without)
	without 2>&1 | tell
	finished
	;;
programs)
	programs 2>&1 | tell
	finished
	;;
boot)
	verdict "keys work" keys_work 2>&1 | tell
	finished
	;;
panic)
	echo c > /proc/sysrq-trigger
	;;
warn)
	# As lockdep does: a warning that is no WARN() and so no panic.
	echo "<4>WARNING: possible circular locking dependency detected" > /dev/kmsg
	finished
	;;
oops)
	echo "<1>BUG: kernel NULL pointer dereference, address: 0000000000000000" > /dev/kmsg
	# However much comes after it.
	yes "and what is said later does not hide it" | head -n 5000 > /dev/console
	finished
	;;
reset)
	echo "ok 1 all is well" > "$channel"
	echo b > /proc/sysrq-trigger
	;;
hang)
	while :; do sleep 1000; done
	;;
demo)
	keyctl session demo /bin/sh /demo.sh && finished
	;;
shell)
	keyctl session shell /bin/sh -l
	;;
esac
# Without ACPI this is how QEMU ends, as it is told not to reboot.
reboot -f
