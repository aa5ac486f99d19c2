#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compiles the files that differ from the base with more warnings, by gcc and by
# clang, and for other architectures, and has sparse look at them.  Prints a line of
# TAP for each file, headers included, and check; and for each table of system calls.
#
#   static.sh [BASE]    the base is a commit of KSRC; default: base
#
# In a file that is new or in large part rewritten any warning is a failure, in
# others one about a line that is new.  A file that the kernel's configuration
# leaves out is not looked at.  See lib.sh for the variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BASE=${1:-base}

# What differs; and of it, what has an object.
find_changed()
{
	local file

	git -C "$KSRC" rev-parse --verify --quiet "$BASE^{commit}" >/dev/null ||
		die "$KSRC has no commit '$BASE'"
	mapfile -t CHANGED < <(git -C "$KSRC" diff --name-only --diff-filter=d "$BASE" -- \
		'*.c' '*.h' ':!tools' ':!samples')
	OBJECTS=()
	for file in "${CHANGED[@]}"; do
		[[ $file != *.c || ! -e $OBJ/${file%.c}.o ]] || OBJECTS+=("${file%.c}.o")
	done
	[ ${#OBJECTS[@]} != 0 ] ||
		die "nothing that differs from '$BASE' is in $OBJ"
}

# configure_like DIRECTORY ARGUMENT...: as the kernel is, as far as there are the same
# options on another architecture.
configure_like()
{
	local dir=$1

	shift
	if [[ $* == *ARCH=* ]]; then
		make -C "$KSRC" O="$dir" "$@" KCONFIG_ALLCONFIG="$OBJ/wanted" allnoconfig
	else
		cp "$OBJ/.config" "$dir/.config"
		make -C "$KSRC" O="$dir" "$@" olddefconfig
	fi
}

# compile DIRECTORY ARGUMENT...: all objects, in a directory of their own so that
# those of the kernel stay as they are.
compile()
{
	local dir=$1

	shift
	mkdir -p "$dir"
	if ! cmp -s "$OBJ/.config" "$dir/config.of"; then
		configure_like "$dir" "$@"
		make -C "$KSRC" O="$dir" -j"$JOBS" "$@" prepare
		cp "$OBJ/.config" "$dir/config.of"
	fi
	# What has been compiled before would say nothing any more.
	(cd "$dir" && rm -f "${OBJECTS[@]}")
	make -k -C "$KSRC" O="$dir" -j"$JOBS" "$@" "${OBJECTS[@]}"
}

# The numbers of the lines of FILE that answer for: all, or those that are new.
own_lines()
{
	local lines

	lines=$(git -C "$KSRC" diff -U0 "$BASE" -- "$1" | awk '
		/^@@/ {
			split(substr($3, 2), at, ",")
			n = at[2] == "" ? 1 : at[2]
			for (i = 0; i < n; i++)
				print at[1] + i
		}')
	if [ "$(wc -l <<<"$lines")" -gt $(($(wc -l <"$KSRC/$1") / 3)) ]; then
		seq "$(wc -l <"$KSRC/$1")"
	else
		echo "$lines"
	fi
}

# Warnings and errors about FILE's own lines in LOG.
said_of()
{
	local file=$1 log=$2

	grep -E "(^|/)$file:[0-9]+:([0-9]+:)? (warning|error):" "$log" |
		sed -E "s|^.*$file:|$file:|" | sort -u |
		awk -F: 'NR == FNR { own[$1]; next } $2 in own' \
			<(own_lines "$file") - || :
}

# check NAME VARIABLE=VALUE...: all files, by make with these variables; CC is that
# of a directory of its own.
check()
{
	local name=$1 dir=$OUT/static/${2##*[ =]} file said
	local log=$OUT/static/$name.log

	shift
	mkdir -p "$OUT/static"
	echo "compiling what differs from the base: $name; the log is $log" >&2
	compile "$dir" "$@" >"$log" 2>&1 || :
	for file in "${CHANGED[@]}"; do
		if [[ $file == *.c ]]; then
			[ -e "$OBJ/${file%.c}.o" ] || continue
			if [ ! -e "$dir/${file%.c}.o" ]; then
				echo "not ok $name: $file compiles"
				continue
			fi
		fi
		said=$(said_of "$file" "$log")
		if [ -z "$said" ]; then
			echo "ok $name: $file"
		else
			echo "not ok $name: $file"
			printf '# %s\n' "${said//$'\n'/$'\n'# }"
		fi
	done
}

# A table that is forgotten builds, and leaves an architecture without the call.
check_tables()
{
	local table number found

	for table in $(git -C "$KSRC" grep -lw mseal "$BASE" -- '*.tbl' ':!tools'); do
		table=${table#*:}
		number=480
		[[ $table != arch/alpha/* ]] || number=590
		found=$(grep -cP "^$number\s+\w+\s+watch_devices\s+sys_watch_devices" \
			"$KSRC/$table" || :)
		if [ "$found" = 1 ]; then
			echo "ok system calls: $table"
		else
			echo "not ok system calls: $table"
		fi
	done
}

the_kernel
find_changed
check_tables
check warnings CC="$CC" W=1
check sparse CC="$CC" C=2
check clang CC=clang W=1
check i386 ARCH=i386 CC="$CC"
check arm64 ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-
