#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compiles the files that differ from the base with more warnings, by gcc and by
# clang, and for other architectures, and has sparse and coccinelle look at them.
# Prints a line of TAP for each file, headers included, and check; for each table of
# system calls; for each way to include <linux/watch_queue.h>; and for Kconfig.
#
#   static.sh [BASE]    the base is a commit of KSRC; default: base
#
# In a file that is new or in large part rewritten any warning is a failure, in
# others one about a line that is new.  A file that the kernel's configuration
# leaves out is not looked at.  What has been said of the same sources, with the same
# options and tools, is not found out again.  See lib.sh for the variables.

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

# All that a log of COMMAND... depends on; nothing if the tree is not that of a commit.
state_of()
{
	local tool

	[ -z "$(git -C "$KSRC" status --porcelain)" ] || return 0
	git -C "$KSRC" rev-parse 'HEAD^{tree}' "$BASE^{tree}"
	echo "$*"
	sha256sum "$OBJ/.config" "$HERE/static.sh" "$HERE/lib.sh"
	for tool in gcc "$CLANG" aarch64-linux-gnu-gcc sparse spatch; do
		$tool --version | sed -n 1p
	done
}

# log_of LOG COMMAND...: LOG is what the command says, now or when it succeeded before.
log_of()
{
	local log=$1 state

	state=$(state_of "${@:2}")
	if [ -n "$state" ] && [ "$state" = "$(cat "$log.of" 2>/dev/null)" ]; then
		echo "nothing has changed since $log" >&2
		return
	fi
	rm -f "$log.of"
	! "${@:2}" >"$log" 2>&1 || echo "$state" >"$log.of"
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

# new_lines FILE [OPTION]: the numbers of the lines of FILE that differ from the base.
new_lines()
{
	git -C "$KSRC" diff -U0 "${@:2}" "$BASE" -- "$1" | awk '
		/^@@/ {
			split(substr($3, 2), at, ",")
			n = at[2] == "" ? 1 : at[2]
			for (i = 0; i < n; i++)
				print at[1] + i
		}'
}

# The numbers of the lines of FILE that answer for: all, or those that are new.
own_lines()
{
	local lines

	lines=$(new_lines "$1")
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

# verdict NAME SAID: a line of TAP, which is bad if anything was said.
verdict()
{
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		printf '# %s\n' "${2//$'\n'/$'\n'# }"
	fi
}

# check NAME VARIABLE=VALUE...: all files, by make with these variables; CC is that
# of a directory of its own.
check()
{
	local name=$1 dir=$OUT/static/${2##*[ =]} file
	local log=$OUT/static/$name.log

	shift
	mkdir -p "$OUT/static"
	echo "compiling what differs from the base: $name; the log is $log" >&2
	log_of "$log" compile "$dir" "$@"
	for file in "${CHANGED[@]}"; do
		if [[ $file == *.c ]]; then
			[ -e "$OBJ/${file%.c}.o" ] || continue
			if [ ! -e "$dir/${file%.c}.o" ]; then
				echo "not ok $name: $file compiles"
				continue
			fi
		fi
		verdict "$name: $file" "$(said_of "$file" "$log")"
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

# A source may be a module: what the headers have for it is exported.  The last of them
# are for pipes.
check_exports()
{
	local name pipes='watch_queue_init|watch_queue_free_pipe|file_is_watch_queue'

	sed -nE "/^static|$pipes/d; s/^[a-z].*[ *](\w+)\(.*/\1/p" \
		"$KSRC"/include/linux/watch_{queue,devices}.h | while read -r name; do
		result "$(status_of git -C "$KSRC" grep -qF "EXPORT_SYMBOL_GPL($name);" -- \
			kernel drivers/base)" "exported: $name"
	done
}

# check_header NAME CC CXX [DIRECTORY]: header_check.sh with another compiler; the header
# is in the directory.
check_header()
{
	local log=$OUT/static/header-$1.log status=0

	CC=$2 CXX=$3 "$HERE/../header_check.sh" -isystem "${4:-$OBJ/usr/include}" \
		>"$log" 2>&1 || status=$?
	sed -n "s/^\(not ok\|ok\) [0-9]* /\1 header, $1: /p; /^#/p" "$log"
	result $status "header, $1: all can be included"
}

# The header in use, but for what check.sh tells of gcc.  There is no s390x of the
# kernel's headers here, hence ours goes among those of its C library; and no 32 bits.
check_headers()
{
	local include=$OUT/static/include header=linux/watch_queue.h

	mkdir -p "$include/linux"
	cp "$OBJ/usr/include/$header" "$include/linux/"
	check_header clang "$CLANG" "${CLANG/clang/clang++}"
	check_header big-endian s390x-linux-gnu-gcc "" "$include" |
		grep -v ' -m32 # SKIP'
	# What usr/include/Makefile does with each header besides.
	verdict "header: headers_check.pl" "$(perl "$KSRC/usr/include/headers_check.pl" \
		"$OBJ/usr/include" x86 "$OBJ/usr/include/$header" 2>&1)"
}

# What Kconfig has to say of its files, all of which it reads.
check_kconfig()
{
	local log=$OUT/static/kconfig.log dir=$OUT/static/kconfig status=0

	mkdir -p "$dir"
	cp "$OBJ/.config" "$dir/.config"
	make -C "$KSRC" O="$dir" CC="$CC" olddefconfig >"$log" 2>&1 || status=$?
	result $status "Kconfig: all is read"
	verdict "Kconfig: no warnings" "$(grep -i 'warning' "$log" || :)"
}

# copy_sources DIRECTORY FILE...: for coccinelle; of a file that is the base's but for a
# few lines only the functions that these are in, which takes far less time.  The rest is
# blank.
copy_sources()
{
	local dir=$1 file lines

	for file in "${@:2}"; do
		mkdir -p "$dir/$(dirname "$file")"
		lines=$(own_lines "$file")
		[ "$(wc -l <<<"$lines")" = "$(wc -l <"$KSRC/$file")" ] ||
			lines=$(new_lines "$file" -W)
		awk 'NR == FNR { wanted[$1]; next } { print FNR in wanted ? $0 : "" }' \
			<(echo "$lines") "$KSRC/$file" >"$dir/$file"
	done
}

# use_patch DIRECTORY FILE: one semantic patch; its failure is that of all, lest what was
# said then is used again.  A program has nothing of what api/ is about, nor min().
use_patch()
{
	local dir=$1 options

	case $2 in
	*/api/* | */minmax.cocci)
		dir+=/kernel
		;;
	esac
	options=$(sed -n 's/.*Options: *//p' "$2")
	# shellcheck disable=SC2086 # options are words
	spatch -D report --no-show-diff --very-quiet $options --cocci-file "$2" \
		--dir "$dir" || {
		echo "$2: failed"
		return 1
	}
}

# use_patches DIRECTORY PROGRAM...: all but those that are partly written in OCaml, which
# would need its compiler.
use_patches()
{
	local dir=$1

	rm -rf "$dir"
	copy_sources "$dir/kernel" "${CHANGED[@]}"
	copy_sources "$dir/programs" "${@:2}"
	export -f use_patch
	find "$KSRC/scripts/coccinelle" -name '*.cocci' -exec grep -L 'ocaml' {} + | sort |
		xargs -P "$JOBS" -I {} bash -c 'use_patch "$@"' - "$dir" {}
}

check_coccinelle()
{
	local dir=$OUT/static/coccinelle log=$OUT/static/coccinelle.log file programs
	local start="^$OUT/static/coccinelle/(kernel|programs)/"

	echo "looking for what semantic patches find; the log is $log" >&2
	mapfile -t programs < <(git -C "$KSRC" diff --name-only --diff-filter=d "$BASE" -- \
		'tools/*.[ch]' 'samples/*.[ch]')
	log_of "$log" use_patches "$dir" "${programs[@]}"
	verdict "coccinelle: all semantic patches can be used" \
		"$(grep ': failed$' "$log" || :)"
	for file in "${CHANGED[@]}" "${programs[@]}"; do
		verdict "coccinelle: $file" "$(sed -nE "s,$start,,p" "$log" |
			awk -F: -v file="$file" 'NR == FNR { own[$1]; next }
				$1 == file && $2 in own' <(own_lines "$file") -)"
	done
}

the_kernel
find_changed
check_tables
check_exports
check_kconfig
check_headers
check_coccinelle
check warnings CC="$CC" W=1
check sparse CC="$CC" C=2
check clang CC="${CCACHE:+$CCACHE }$CLANG" W=1
check i386 ARCH=i386 CC="$CC"
check arm64 ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
	CC="${CCACHE:+$CCACHE }aarch64-linux-gnu-gcc"
