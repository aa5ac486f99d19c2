#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the series costs: builds the unpatched base with the same options, runs the
# same wq_bench on both kernels, and compares the figures with their limits.
# Exits with 0 only if every limit is kept; see bench/report.sh, which also says what is
# in OUT/results/bench.tsv.
#
# What is counted is instructions, and those of one CPU: ACCEL of lib.sh does not matter.
# Nothing is left to chance, so the figures are the same each time.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BENCH=$OUT/bench
INITRAMFS=$BENCH/initramfs.cpio

build_bench()
{
	install_headers
	mkdir -p "$BENCH"
	make -s -C "$HERE/../bench" OUTPUT="$BENCH" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$BENCH/build.log" 2>&1 ||
		{ cat "$BENCH/build.log" >&2; exit 1; }
}

# measure RESULT: what wq_bench says in a guest where one tick of the clock is one
# instruction.  Whether it came to its end is for the report to see.
measure()
{
	local cmdline="console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic"

	# No LSM, and everything in the same place each time.
	cmdline+=" lsm= nokaslr scsi_debug.add_host=0 null_blk.nr_devices=0"
	echo "measuring${NAME:+ \"$NAME\"}; the console is in $DIR/bench.log"
	rm -f "$1"
	timeout --foreground 300 qemu-system-x86_64 -accel tcg \
		-icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01,clock=vm \
		-cpu max -smp 1 -m 512M \
		-nodefaults -display none -no-reboot \
		-serial stdio -serial "file:$1" \
		-kernel "$IMAGE" -initrd "$INITRAMFS" \
		-append "$cmdline" < /dev/null > "$DIR/bench.log" 2>&1 || :
	log_is_clean "$DIR/bench.log" || die "something is wrong, see $DIR/bench.log"
}

the_kernel
build_kernel
build_bench
list_program "$BENCH/wq_bench" | build_initramfs "$INITRAMFS" "$HERE/../bench/init.sh"
measure "$RESULTS/bench.ours"

build_stock
measure "$RESULTS/bench.base"

echo
"$HERE/../bench/report.sh" "$RESULTS/bench.base" "$RESULTS/bench.ours" "$RESULTS/bench.tsv"
