#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs all tests that need a kernel: builds it in several configurations, boots
# them and has the test programs run there.  Ends with a line
#
#   N passed, N failed, N skipped
#
# which counts the lines "ok" and "not ok" of all OUT/results/*.tap, those that
# were there before included.
#
# DEBUG=1    also run them in a kernel with lockdep and KASAN, which takes longer
#
# See lib.sh for the other variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# result STATUS NAME: a line of TAP.
result()
{
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
	fi
}

# status_of COMMAND...: its status as a number.
status_of()
{
	local status=0

	"$@" || status=$?
	echo "$status"
}

# What the guest said, with one line a case, flat, so that each counts once;
# summaries of suites do not count.
flatten()
{
	[ -f "$DIR/channel" ] || return 0
	tr -d '\r' < "$DIR/channel" | awk -v kernel="${NAME:+$NAME: }" '
	function tell(verdict, name) { print verdict " " kernel name }
	function strip(line) { sub(/^ *(not )?ok ([0-9]+ )?(- )?/, "", line); return line }
	/^# KUnit/	{ kunit = 1; next }
	/^# program/	{ kunit = 0; prog = $3 " "; next }
	!/^ *(not )?ok /{ next }
	kunit && (!/^ / || / [0-9]+ param-/) { next }
	{ tell(/^ *not/ ? "not ok" : "ok", kunit ? "kunit " strip($0) : prog strip($0)) }'
}

# check_guest MODE SECONDS [NAME=VALUE...]: a boot and its verdict.
check_guest()
{
	local tap=$RESULTS/${NAME:-kernel}-$1.tap log=$DIR/console-$1.log

	echo "booting${NAME:+ \"$NAME\"} to $1; the console is in $log"
	boot "$@" < /dev/null > "$log" 2>&1 || :
	{
		flatten
		result "$(status_of guest_finished)" "${NAME:+$NAME: }$1: guest ran to its end"
		result "$(status_of log_is_clean "$log")" \
			"${NAME:+$NAME: }$1: the kernel log is clean"
	} > "$tap"
	count "$tap"
}

# The harness must not take a guest that went wrong for one that passed.
check_harness()
{
	local mode

	for mode in panic warn oops reset hang; do
		boot $mode 20 > "$DIR/$mode.log" 2>&1 < /dev/null || :
		if guest_finished && log_is_clean "$DIR/$mode.log"; then
			result 1 "harness: $mode is a failure"
		else
			result 0 "harness: $mode is a failure"
		fi
	done > "$RESULTS/harness.tap"
}

# count FILE...: prints the sum; fails if there is a failure, or nothing at all.
count()
{
	awk '
	/^ok.*# SKIP/ { skipped++; next }
	/^ok/ { passed++ }
	/^not ok/ { failed++ }
	END {
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed || !passed
	}' "$@"
}

# check_lsms SECONDS [NAME=VALUE...]: what takes an LSM takes a boot with it.
check_lsms()
{
	local lsm

	for lsm in selinux smack; do
		if [[ " ${TESTS-${lsm}_test} " = *" ${lsm}_test "* ]]; then
			check_guest $lsm "$@" lsm=$lsm || :
		fi
	done
}

# The kernel that everybody gets, with all tests.
check_kernel()
{
	the_kernel
	build_kernel
	build_tests
	INITRAMFS=$OUT/check.cpio
	{
		echo "file /bin/watch_test $OUT/watch_test 755 0 0"
		list_tests
	} | build_initramfs "$INITRAMFS"
	check_harness
	check_guest check "${LIMIT:-1500}" || :
	check_lsms 900
}

# The same tests where locks, lifetimes and memory accesses are checked.
check_debug()
{
	use_kernel debug "$HERE/kernel.config" "$HERE/../config" "$HERE/debug.config"
	build_kernel
	export MEMORY=2G
	check_guest check "${LIMIT:-3600}" WQ_EVENTS=300000 WQ_LOAD=20000 \
		WQ_ERRORS=10000 || :
	check_lsms 1800
}

# Without the option there has to be a kernel that works and says so.
check_without()
{
	local option programs

	for option in WATCH_QUEUE KEY_NOTIFICATIONS DEVICE_NOTIFICATIONS; do
		use_kernel "without-$option" "$HERE/tiny.config" \
			"$HERE/without-$option.config"
		build_kernel
		# What keys alone do has been tested.
		programs=
		[ $option != DEVICE_NOTIFICATIONS ] ||
			programs=devices_test,block_test,blockload_test,usb_test
		check_guest without 300 OPTION=CONFIG_$option PROGRAMS=$programs || :
	done
}

check_sources()
{
	the_kernel
	make -s -C "$HERE/.." header-check \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$RESULTS/headers.tap" ||
		result 1 "headers: all can be included" >> "$RESULTS/headers.tap"
	"$HERE/static.sh" > "$RESULTS/static.tap" ||
		result 1 "static.sh: ran to its end" >> "$RESULTS/static.tap"
}

check_kernel
[ -z "${DEBUG-}" ] || check_debug
if [ -z "${TESTS-}" ]; then
	check_sources
	check_without
fi

echo
grep -h '^not ok\|^ok.*# SKIP' "$RESULTS"/*.tap || :
count "$RESULTS"/*.tap
