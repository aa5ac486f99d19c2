#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel that this stands in, boots it in QEMU and uses it:
#
#   run.sh kernel    build OUT/bzImage
#   run.sh check     run all tests; ends with "N passed, N failed, N skipped"
#   run.sh run       show events as they come
#   run.sh shell     a shell in the guest
#
# KSRC=DIR   the kernel tree; default: the one around this script
# OUT=DIR    where everything goes; default: KSRC/../
# ACCEL=kvm  instead of tcg

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
KSRC=${KSRC:-$(cd "$HERE/../../../../.." && pwd -P)}
OUT=${OUT:-$(dirname "$KSRC")}
OBJ=$OUT/obj
TESTS=$OUT/tests
RESULTS=$OUT/results
ACCEL=${ACCEL:-tcg,thread=multi}
JOBS=$(nproc)
CC=gcc
! command -v ccache >/dev/null || CC="ccache gcc"

kmake()
{
	make -C "$KSRC" O="$OBJ" -j"$JOBS" CC="$CC" "$@"
}

# An option that Kconfig dropped would make tests skip without a word.
configure()
{
	local line dropped=

	[ "$OBJ/.config" -nt "$HERE/kernel.config" ] && return
	mkdir -p "$OBJ"
	cat "$HERE/kernel.config" "$HERE/../config" > "$OBJ/fragment"
	kmake KCONFIG_ALLCONFIG="$OBJ/fragment" allnoconfig >"$OUT/config.log" 2>&1
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$OBJ/.config" || dropped+=" $line" ;;
		esac
	done < "$OBJ/fragment"
	if [ -n "$dropped" ]; then
		rm -f "$OBJ/.config"
		echo "run.sh: Kconfig dropped:$dropped" >&2
		exit 1
	fi
}

build_kernel()
{
	configure
	echo "building the kernel; the log is $OUT/kernel.log"
	if ! kmake bzImage >"$OUT/kernel.log" 2>&1; then
		grep -B2 -A8 -m3 'error:\|\*\*\*' "$OUT/kernel.log" >&2 || tail "$OUT/kernel.log" >&2
		exit 1
	fi
	cp "$OBJ/arch/x86/boot/bzImage" "$OUT/bzImage"
}

build_tests()
{
	kmake headers >"$OUT/headers.log" 2>&1
	mkdir -p "$TESTS"
	make -s -C "$HERE/.." OUTPUT="$TESTS" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" >"$OUT/tests.log" 2>&1 || {
		cat "$OUT/tests.log" >&2
		exit 1
	}
	gcc -O2 -Wall -static -isystem "$OBJ/usr/include" -o "$OUT/watch_test" \
		"$KSRC/samples/watch_queue/watch_test.c"
}

# A program and the libraries that it needs, for the list of gen_init_cpio.
list_program()
{
	local lib

	echo "file /bin/$(basename "$1") $1 755 0 0"
	# A static program has none, which is fine.
	for lib in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || :); do
		echo "file $lib $(readlink -f "$lib") 755 0 0"
	done
}

build_initramfs()
{
	local prog

	{
		for prog in bin dev lib lib/x86_64-linux-gnu lib64 proc sys tests; do
			echo "dir /$prog 755 0 0"
		done
		echo "dir /tmp 1777 0 0"
		echo "nod /dev/console 600 0 0 c 5 1"
		echo "slink /bin/sh busybox 777 0 0"
		list_program "$(command -v busybox)"
		list_program "$(command -v keyctl)"
		echo "file /bin/watch_test $OUT/watch_test 755 0 0"
		echo "file /init $HERE/init.sh 755 0 0"
		echo "file /demo.sh $HERE/demo.sh 755 0 0"
		for prog in "$TESTS"/*_test "$TESTS"/*_test_32; do
			[ ! -f "$prog" ] || echo "file /tests/${prog##*/} $prog 755 0 0"
		done
	} > "$OUT/initramfs.list"
	"$OBJ/usr/gen_init_cpio" "$OUT/initramfs.list" > "$OUT/initramfs.cpio"
}

# boot MODE SECONDS: console on standard output, second channel in OUT/channel.
boot()
{
	timeout --foreground "$2" qemu-system-x86_64 -accel "$ACCEL" -cpu max \
		-smp 2 -m 512M -nodefaults -display none -no-reboot -serial stdio \
		-device virtio-serial -chardev "file,id=channel,path=$OUT/channel" \
		-device virtserialport,chardev=channel,name=channel \
		-kernel "$OUT/bzImage" -initrd "$OUT/initramfs.cpio" \
		-append "console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic wq.mode=$1"
}

SPLAT='WARNING:|BUG:|Oops|Kernel panic|KASAN|UBSAN|INFO: task|possible circular|inconsistent lock|rcu.*stall'

# One line a case, flat, so that it counts once; summaries of suites do not.
flatten()
{
	tr -d '\r' < "$OUT/channel" | awk '
	/^# KUnit/	{ kunit = 1; next }
	/^# program/	{ kunit = 0; prog = $3; next }
	kunit && /^ +ok|^ +not ok/ && !/ [0-9]+ param-/ { sub(/^ +/, ""); print; next }
	!kunit && /^ok|^not ok/ { sub(/^ok [0-9]+ /, "ok " prog " "); sub(/^not ok [0-9]+ /, "not ok " prog " "); print }'
}

# The harness must not take a guest that died or hung for one that passed.
check_harness()
{
	local mode

	for mode in panic warn hang; do
		rm -f "$OUT/channel"
		boot $mode 20 > "$OUT/$mode.log" 2>&1 < /dev/null || :
		if guest_passed "$OUT/$mode.log"; then
			echo "not ok harness: a $mode is a failure"
		else
			echo "ok harness: a $mode is a failure"
		fi
	done
}

guest_passed()
{
	[ -f "$OUT/channel" ] && grep -q '^wq-finished' "$OUT/channel" &&
		! grep -qE "$SPLAT" "$1"
}

check()
{
	mkdir -p "$RESULTS"
	: > "$RESULTS/all.tap"
	check_harness >> "$RESULTS/all.tap"
	rm -f "$OUT/channel"
	boot check "${LIMIT:-1500}" < /dev/null 2>&1 | tee "$OUT/console.log" || :
	flatten >> "$RESULTS/all.tap"
	if grep -q '^wq-finished' "$OUT/channel"; then echo "ok"; else echo "not ok"; fi |
		sed 's/$/ guest: ran to its end/' >> "$RESULTS/all.tap"
	if grep -qE "$SPLAT" "$OUT/console.log"; then echo "not ok"; else echo "ok"; fi |
		sed 's/$/ guest: the kernel log is clean/' >> "$RESULTS/all.tap"
	echo
	cat "$RESULTS/all.tap"
	summary
}

summary()
{
	local passed failed skipped

	failed=$(grep -c '^not ok' "$RESULTS/all.tap" || :)
	skipped=$(grep -c '^ok.*# SKIP' "$RESULTS/all.tap" || :)
	passed=$(($(grep -c '^ok' "$RESULTS/all.tap" || :) - skipped))
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

prepare()
{
	build_kernel
	build_tests
	build_initramfs
}

mkdir -p "$OUT"
case ${1-} in
kernel)	build_kernel ;;
check)	prepare; check ;;
run)	prepare; boot demo 120 < /dev/null ;;
shell)	prepare; boot shell 100000 ;;
*)	sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
