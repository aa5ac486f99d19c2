#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the tests that no hardware is needed for on a big-endian machine, s390x: the
# header has bit-fields.  Leaves TAP in OUT/results/big-endian.tap; see lib.sh for the
# variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PREFIX=s390x-linux-gnu-
# block_test and usb_test go as far as scsi_debug, null_blk and gadgets take them.
PROGRAMS=${TESTS-abi_test block_test conservation_test devices_test filter_test key_test \
	limit_test loss_test race_test read_test refused_test size_test usb_test wait_test}

build_guest()
{
	local dir prog

	install_headers
	mkdir -p "$DIR/tests"
	make -s -C "$HERE/.." OUTPUT="$DIR/tests" CC="${PREFIX}gcc" CROSS_COMPILE="$PREFIX" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$DIR/tests.log" 2>&1 ||
		{ cat "$DIR/tests.log" >&2; exit 1; }
	"${PREFIX}gcc" -O2 -Wall -static -o "$DIR/init" "$HERE/init.c"
	{
		for dir in dev proc sys tests tmp; do
			echo "dir /$dir 755 0 0"
		done
		echo "nod /dev/console 600 0 0 c 5 1"
		echo "file /init $DIR/init 755 0 0"
		for prog in $PROGRAMS; do
			echo "file /tests/$prog $DIR/tests/$prog 755 0 0"
		done
	} > "$DIR/initramfs.list"
	"$OBJ/usr/gen_init_cpio" "$DIR/initramfs.list" > "$DIR/initramfs"
}

boot_guest()
{
	timeout --foreground 3600 qemu-system-s390x -accel "$ACCEL" -cpu max -smp 2 -m 512M \
		-nodefaults -nographic -no-reboot \
		-chardev stdio,id=console -device sclpconsole,chardev=console \
		-chardev "file,id=channel,path=$DIR/channel" -device virtio-serial-ccw \
		-device virtserialport,nr=1,chardev=channel \
		-kernel "$IMAGE" -initrd "$DIR/initramfs" \
		-append "loglevel=5 panic=-1 panic_on_warn=1 oops=panic \
			scsi_debug.add_host=0 null_blk.nr_devices=0" \
		< /dev/null > "$DIR/console.log" 2>&1
}

use_kernel big-endian "$HERE/tiny.config" "$HERE/../config" "$HERE/big-endian.config"
use_compiler "${PREFIX}gcc"
BUILT=$OBJ/arch/s390/boot/bzImage
BUILD_WITH=(ARCH=s390 "CROSS_COMPILE=$PREFIX")
build_kernel
build_guest
rm -f "$DIR/channel"
say "booting \"$NAME\"; the console is in $DIR/console.log"
with_progress '^ *\(not \)\?ok ' tests "$DIR/channel" -- boot_guest || :
guest_tap "$DIR/console.log" > "$RESULTS/$NAME.tap"
