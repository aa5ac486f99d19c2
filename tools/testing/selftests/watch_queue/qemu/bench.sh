#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the series costs: builds the unpatched base with the same options, runs the
# same wq_bench on both kernels, and compares the figures with their limits.
# Exits with 0 only if every limit is kept and two processors are not slower.  In
# OUT/results are then
#
#   bench.tsv, bench.json   what the table says; see bench/report.sh
#   bench.svg               a drawing of it; see bench/plot.sh
#   bench-scaling.json      two processors, by the clock; see bench/scaling.sh
#
# What is counted is instructions, and those of one CPU: ACCEL of lib.sh does not matter.
# Nothing is left to chance, so the figures are the same each time; but for those of
# two processors, which depend on the machine and on what else it does.

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

# measure RESULT OPTIONS ARGUMENTS QEMU-OPTION...: what wq_bench says in a guest whose
# kernel has these options.  Whether it came to its end is for the report to see.
measure()
{
	local result=$1 options=$2 arguments=$3 log=$1.log
	local cmdline="console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic"

	shift 3
	# Everything in the same place each time.
	cmdline+=" $options nokaslr scsi_debug.add_host=0 null_blk.nr_devices=0"
	cmdline+=" BENCH=\"$arguments\""
	echo "measuring${NAME:+ \"$NAME\"}${arguments:+, $arguments}; the console is in $log"
	rm -f "$result"
	timeout --foreground 300 qemu-system-x86_64 "$@" -cpu max -m 512M \
		-nodefaults -display none -no-reboot \
		-serial stdio -serial "file:$result" \
		-kernel "$IMAGE" -initrd "$INITRAMFS" \
		-append "$cmdline" < /dev/null > "$log" 2>&1 || :
	log_is_clean "$log" || die "something is wrong, see $log"
}

# Where one tick of the clock is one instruction.
COUNTED=(-accel tcg -icount "shift=0,sleep=off" -seed 1 -rtc "base=2026-01-01,clock=vm"
	-smp 1)

# Two CPUs, by the clock; see lib.sh for why it is said like that.
TIMED=(-accel "tcg,thread=multi" -smp "$SMP")

# count NAME: all instructions that there are to count.
count()
{
	measure "$RESULTS/bench.$1" "lsm=" "" "${COUNTED[@]}"
	measure "$RESULTS/bench.$1.smack" "lsm=smack" "refused" "${COUNTED[@]}"
}

# clock NAME TURN: one processor more, and by the clock.
clock()
{
	measure "$RESULTS/bench.$1.scaling-$2" "lsm=" "-r 11 scaling" "${TIMED[@]}"
}

use_kernel bench/ours "$HERE/kernel.config" "$HERE/../config" "$HERE/bench.config"
build_kernel
build_bench
list_program "$BENCH/wq_bench" | build_initramfs "$INITRAMFS" "$HERE/../bench/init.sh"
count ours

build_stock "$HERE/bench.config"
count base

# By turns, for what else the machine does changes with time.
for turn in 1 2 3; do
	use_kernel stock
	clock base $turn
	use_kernel bench/ours
	clock ours $turn
done

echo
scaling=0
"$HERE/../bench/scaling.sh" "$RESULTS/bench-scaling.json" \
	"$RESULTS"/bench.base.scaling-? vs "$RESULTS"/bench.ours.scaling-? || scaling=$?

echo
status=0
"$HERE/../bench/report.sh" "$RESULTS/bench" \
	"$RESULTS/bench.base" "$RESULTS/bench.base.smack" vs \
	"$RESULTS/bench.ours" "$RESULTS/bench.ours.smack" || status=$?
[ $status -gt 1 ] || "$HERE/../bench/plot.sh" "$RESULTS/bench.tsv" > "$RESULTS/bench.svg"
exit $((scaling > status ? scaling : status))
