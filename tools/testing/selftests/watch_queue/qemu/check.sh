#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the tests that need a kernel: builds it in several configurations, boots them and
# has the test programs run there.
#
#   check.sh PART...
#
#   kernel       no test: the kernel that everybody gets, and a guest for it
#   kunit        KUnit alone, in the kernel that everybody gets
#   plain        all tests, in that kernel
#   harness      after one of these: the demonstration, and guests that go wrong
#   sources      after one of these: what compilers and sparse say of the sources
#   debug        all tests and the fuzzer, in a kernel with KASAN, lockdep and kmemleak
#   without      after one of these: kernels that lack one of the options
#   faults       of "debug", only the test that lets allocations fail
#   races        of "debug", only the tests of races, for longer
#   fuzz         of "debug", only the fuzzer, for FUZZ_SECONDS from WQ_SEED on
#   kcsan        tests of races and the fuzzer, in a kernel with KCSAN
#   big-endian   tests of the ABI, on s390x
#   shipping     what systemd, journald and rsyslog make of what wqmon tells
#   example      the documentation's example of a source, in a kernel that has it
#   coverage     how many lines of ours the tests run, see coverage.sh
#
# Ends with a line
#
#   N passed, N failed, N skipped
#
# which counts the lines "ok" and "not ok" of all OUT/results/*.tap, those that were
# there before included.
#
# ALSO=COMMAND     one more test that is to run beside them, whose output is TAP
#
# See lib.sh for the other variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# check_guest MODE SECONDS [NAME=VALUE...]: a boot and its verdict.
check_guest()
{
	local what=$1${PART:+, $PART} log=$DIR/console-$1.log
	local tap=$RESULTS/${NAME:-kernel}-$1${PART:+-$PART}.tap

	say "booting${NAME:+ \"$NAME\"} to $what; the console is in $log"
	boot "$@" < /dev/null > "$log" 2>&1 || :
	guest_tap "$log" ${NAME:+"$NAME: "}"$what" > "$tap"
	say "${NAME:+\"$NAME\", }$what: $(count "$tap")"
}

# For a guest whose processors may take turns: it keeps one of ours busy, not two.
BY_TURNS=${ACCEL/multi/single}

# What later() has been given: processes, and where they tell how far they are.
PENDING=()
CHANNELS=()

# later PART COMMAND...: with the kernel that it is about now, in the background and in a
# directory of its own.  Of these, three run at a time: most keep one processor busy, or a
# little more, but have to wait now and then.
later()
{
	local PART=$1 DIR=$DIR${1:+/$1}

	mkdir -p "$DIR"
	rm -f "$DIR/channel"
	CHANNELS+=("$DIR/channel")
	(
		while (($(count_running "${PENDING[@]}") > 2)); do
			sleep 1
		done
		"${@:2}" || :
	) &
	PENDING+=($!)
}

count_running()
{
	local pid running=0

	for pid; do
		! kill -0 "$pid" 2> /dev/null || running=$((running + 1))
	done
	echo $running
}

# Waits for all of it.
finish()
{
	((${#PENDING[@]} == 0)) ||
		with_progress '^ *\(not \)\?ok ' tests "${CHANNELS[@]}" -- wait "${PENDING[@]}"
}

# The harness must not take a guest that went wrong for one that passed.
check_failures()
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

# Lines that wqmon has printed in the guest that was last.
check_json()
{
	[[ " ${TESTS-wqmon_test.sh} " = *" wqmon_test.sh "* ]] || return 0
	result "$(status_of lines_fit)" "wqmon: its lines fit the schema" \
		> "$RESULTS/${NAME:-kernel}-json.tap"
}

# A text word by word, without what is another each time.
words_of()
{
	sed 's/[0-9]\{6,\}/ID/g; s/In [0-9]* seconds/In N seconds/' "$@" | tr -s ' \r\n' '\n'
}

recording_is_true()
{
	[[ $(words_of "$README") = *"$(words_of "$DIR/demo.txt")"* ]]
}

check_demo()
{
	local log=$DIR/console-demo.log

	boot demo 120 < /dev/null > "$log" 2>&1 || :
	sed -n '/what is done/,/your own hands/p' "$log" > "$DIR/demo.txt"
	{
		guest_tap "$log" "demonstration"
		[ -z "${README-}" ] ||
			result "$(status_of recording_is_true)" \
				"demonstration: prints what $(basename "$README") says"
	} > "$RESULTS/demonstration.tap"
}

# check_lsms SECONDS [NAME=VALUE...]: what takes an LSM takes a boot with it.
check_lsms()
{
	local lsm

	for lsm in selinux smack; do
		if [[ " ${TESTS-${lsm}_test} " = *" ${lsm}_test "* ]]; then
			check_guest $lsm "$@" lsm=$lsm
		fi
	done
}

# Test programs and a guest to run them, once for all kernels.
prepare_guest()
{
	[ -z "${INITRAMFS-}" ] || return 0
	build_tests
	build_docs
	INITRAMFS=$OUT/check.cpio
	{
		list_programs
		list_tests
	} | build_initramfs "$INITRAMFS"
}

check_kernel()
{
	the_kernel
	build_kernel
	prepare_guest
}

# only PROGRAM...: an argument for the guest, unless TESTS names the programs.
only()
{
	local IFS=,

	[ -n "${TESTS-}" ] || echo "PROGRAMS=$*"
}

# tests_that_are [OPTION] REGEX: an argument for the guest, as grep picks them; not those
# that take an LSM.
tests_that_are()
{
	local tests

	tests=$(tr ' ' '\n' <<< "${TESTS-$(all_tests)}" | grep -x "$@" |
		grep -xv 'selinux_test\|smack_test' | paste -sd ,)
	echo "PROGRAMS=${tests:-none}"
}

check_kunit()
{
	check_kernel
	later "" check_guest check 300 PROGRAMS=none
}

# The kernel that everybody gets, with all tests.
check_plain()
{
	check_kernel
	later "" plain_guest
	ACCEL=$BY_TURNS later lsm check_lsms 900
}

# With the 2000 turns that pipe_test has by itself it takes two minutes.
plain_guest()
{
	check_guest check "${LIMIT:-1500}" WQ_SECONDS=2 WQ_TURNS=500
	check_json
}

# What may wait until longer guests run: the kernel has been built.
check_harness()
{
	the_kernel
	ACCEL=$BY_TURNS later demonstration check_demo
	ACCEL=$BY_TURNS later harness check_failures
}

debug_kernel()
{
	use_kernel debug "$HERE/kernel.config" "$HERE/../config" "$HERE/debug.config"
	use_compiler "$CLANG"
	build_kernel
	prepare_guest
}

# For kernels in which everything is slower, and shows sooner.
FEWER=(WQ_ERRORS=5000 WQ_EVENTS=300000 WQ_LOAD=5000 WQ_PIPES=200 WQ_ROUNDS=100 WQ_SIZES=50
	WQ_STEPS=1000 WQ_TURNS=200)

# SMAP takes QEMU a seventh more time; the other kernels have it.
CHECKED_CPU=max,-smap

# What was freed is overwritten.
POISON=(page_poison=1 slab_debug=P)

debug_guest()
{
	CPU=$CHECKED_CPU MEMORY=${MEMORY:-2G} check_guest "$@" "${POISON[@]}" "${FEWER[@]}" \
		CHECKED=1
}

# The same tests where locks, lifetimes and memory accesses are checked, by two guests
# that share them; in one the processors take turns.  Three tests have random calls made,
# for a minute in all.
check_debug()
{
	local seconds=${FUZZ_SECONDS:-20} by_turns='fault_test\|.*_test\(_32\|\.sh\)'

	debug_kernel
	later "" debug_guest check "${LIMIT:-$((2 * seconds + 3600))}" \
		"WQ_FUZZ_SECONDS=$seconds" WQ_SECONDS=2 LIMIT=$((2 * seconds + 900)) \
		"$(tests_that_are -v "$by_turns")"
	ACCEL=$BY_TURNS MEMORY=1G later other debug_guest programs 3600 \
		"$(tests_that_are "$by_turns")"
	ACCEL=$BY_TURNS later lsm debug_lsms
}

debug_lsms()
{
	CPU=$CHECKED_CPU check_lsms 1800 "${POISON[@]}"
}

check_faults()
{
	debug_kernel
	later faults debug_guest check 1800 LIMIT=1700 "$(only fault_test)"
}

check_races()
{
	debug_kernel
	later races debug_guest check 7200 LIMIT=3600 WQ_SECONDS=60 \
		"$(only race_test conservation_test wait_test)"
}

check_fuzz()
{
	local seconds=${FUZZ_SECONDS:-60}

	debug_kernel
	later fuzz debug_guest check $((2 * seconds + 600)) LIMIT=$((2 * seconds + 300)) \
		"WQ_FUZZ_SECONDS=$seconds" ${WQ_SEED:+"WQ_SEED=$WQ_SEED"} \
		"$(only fuzz_test)"
}

# A report of KCSAN is no failure unless it is about us, see drop_what_is_known().
check_kcsan()
{
	local seconds=${FUZZ_SECONDS:-60}

	use_kernel kcsan "$HERE/kernel.config" "$HERE/../config" "$HERE/kcsan.config"
	use_compiler "$CLANG"
	build_kernel
	prepare_guest
	MEMORY=1G later "" check_guest check "${LIMIT:-$((2 * seconds + 3600))}" panic_on_warn=0 \
		CHECKED=1 WQ_SECONDS=20 "${FEWER[@]}" \
		"WQ_FUZZ_SECONDS=$seconds" LIMIT=$((2 * seconds + 900)) \
		"$(only race_test conservation_test wait_test loss_test size_test key_test \
			filter_test devices_test blockload_test fuzz_test)"
}

# Without the option there has to be a kernel that works and says so.
check_without()
{
	local option programs

	for option in WATCH_QUEUE {KEY,DEVICE,BLK}_NOTIFICATIONS; do
		use_kernel "without-$option" "$HERE/tiny.config" \
			"$HERE/without-$option.config"
		build_kernel
		# What the others do without these has been tested.
		programs=
		[[ $option != @(DEVICE|BLK)_NOTIFICATIONS ]] ||
			programs=devices_test,block_test,blockload_test,usb_test
		ACCEL=$BY_TURNS later "" check_guest without 300 OPTION="CONFIG_$option" \
			PROGRAMS=$programs
	done
}

check_sources()
{
	the_kernel
	later sources run_checkers
}

run_checkers()
{
	say "checking the sources; what compilers say is in $OUT/static"
	make -s -C "$HERE/.." header-check \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$RESULTS/headers.tap" ||
		result 1 "headers: all can be included" >> "$RESULTS/headers.tap"
	mkdir -p "$OUT/wqmon-host"
	make -s -C "$KSRC/tools/watch_queue" O="$OUT/wqmon-host" check \
		> "$RESULTS/wqmon.tap" || result 1 "wqmon: its tests run to their end" \
		>> "$RESULTS/wqmon.tap"
	"$HERE/static.sh" > "$RESULTS/static.tap" 2> "$DIR/log" ||
		result 1 "static.sh: ran to its end" >> "$RESULTS/static.tap"
	say "the sources: $(count "$RESULTS"/{headers,wqmon,static}.tap)"
}

# It takes its turn with the guests.
check_also()
{
	the_kernel
	later also run_also
}

run_also()
{
	say "running $ALSO"
	$ALSO > "$RESULTS/also.tap" 2> "$DIR/log" ||
		result 1 "$ALSO: runs to its end, see $DIR/log" >> "$RESULTS/also.tap"
	say "$ALSO: $(count "$RESULTS/also.tap")"
}

for part; do
	case $part in
	big-endian | coverage | example | shipping)
		"$HERE/$part.sh"
		;;
	debug | faults | fuzz | harness | kcsan | kernel | kunit | plain | \
		races | sources | without)
		"check_$part"
		;;
	*)
		die "there is no part $part; see the head of $0"
		;;
	esac
done
[ -z "${ALSO-}" ] || check_also
finish

echo
grep -h '^#\|^not ok\|^ok.*# SKIP' "$RESULTS"/*.tap || :
count "$RESULTS"/*.tap
