#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How much of the sources the tests run: builds a kernel in which gcc counts how often
# each line of them is run, has all tests run there, those for an LSM in boots of their
# own, and adds up.  Prints a table, then the lines that nothing ran; OUT/coverage has
# the listings.  Fails if a file is covered by less than ENOUGH percent.
#
# See lib.sh for the variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ENOUGH=95
SOURCES=(kernel/watch_queue.c security/keys/watch.c drivers/base/watch.c block/blk-watch.c
	drivers/usb/core/watch.c)

# The guest's counts, which it sends as an archive, into DIR/$1.
receive_counts()
{
	rm -rf "${DIR:?}/$1"
	mkdir -p "$DIR/$1"
	sed -n '/^# counts begin/,/^# counts end/{/^#/!p}' "$DIR/channel" | tr -d '\r' |
		base64 -d | tar -xz -C "$DIR/$1" ||
		die "the guest told no counts; see $DIR/console-$1.log"
}

# run_guest MODE SECONDS [NAME=VALUE...]
run_guest()
{
	local log=$DIR/console-$1.log

	say "booting \"$NAME\" to $1; the console is in $log"
	with_progress '^ *\(not \)\?ok ' tests "$DIR/channel" -- boot_to "$log" "$@" || :
	guest_tap "$log" "$NAME: $1" > "$RESULTS/$NAME-$1.tap"
	receive_counts "$1"
}

boot_to()
{
	boot "${@:2}" COUNTS=1 < /dev/null > "$1" 2>&1
}

# merge_counts MODE...: into DIR/check.
merge_counts()
{
	local mode

	for mode; do
		gcov-tool merge -o "$DIR/merged" "$DIR/check" "$DIR/$mode" \
			> "$DIR/merge.log" 2>&1 || die "$(cat "$DIR/merge.log")"
		rm -rf "$DIR/check"
		mv "$DIR/merged" "$DIR/check"
	done
}

# list_lines FILE: each line, how often it was run before it.
list_lines()
{
	local data

	data=$(find "$DIR/check" -path "*/${1%.c}.gcda" | head -n 1)
	[ -n "$data" ] || die "nothing was counted in $1"
	cp "$OBJ/${1%.c}.gcno" "${data%.gcda}.gcno"
	(cd "$(dirname "$data")" && gcov -t "$(basename "$data")" 2> /dev/null) |
		awk -v file="$1" -F: '
		$3 == "Source" { ours = substr($0, length($0) - length(file) + 1) == file }
		ours'
}

# What became of one file: its line of the table.
tell_file()
{
	local list=$DIR/list/${1//\//-}

	list_lines "$1" > "$list"
	awk -F: -v file="$1" -v enough="$ENOUGH" '
	{ sub(/^ +/, "", $1) }
	$1 ~ /^[0-9]/ { run++ }
	$1 ~ /^[#=]+$/ { not_run++ }
	END {
		share = 100 * run / (run + not_run)
		printf "%s %-28s %4d of %4d lines, %5.1f %%\n",
			(share >= enough ? "ok" : "not ok"), file, run, run + not_run,
			share
	}' "$list"
}

# The lines that nothing ran.
tell_missing()
{
	awk -F: -v file="$1" '
	$1 ~ /[#=]$/ {
		line = $0
		sub(/^[^:]*: *[0-9]+:/, "", line)
		printf "# %s:%d:%s\n", file, $2, line
	}' "$DIR/list/${1//\//-}"
}

use_kernel coverage "$HERE/kernel.config" "$HERE/../config" "$HERE/coverage.config"
for source in "${SOURCES[@]}"; do
	BUILD_WITH+=("GCOV_PROFILE_$(basename "${source%.c}").o=y")
done
build_kernel
build_tests
INITRAMFS=$DIR/initramfs
{
	list_programs
	list_tests
} | build_initramfs "$INITRAMFS"

run_guest check 3600 CHECKED=1
run_guest selinux 900 lsm=selinux
run_guest smack 900 lsm=smack
merge_counts selinux smack

mkdir -p "$DIR/list"
for source in "${SOURCES[@]}"; do
	tell_file "$source"
done | tee "$RESULTS/$NAME.tap"
for source in "${SOURCES[@]}"; do
	tell_missing "$source"
done
! grep -q '^not ok' "$RESULTS/$NAME.tap"
