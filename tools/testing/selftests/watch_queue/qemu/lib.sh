# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Building kernels and booting them in QEMU; sourced by the scripts beside it.
#
# KSRC=DIR         the kernel tree; default: the one around this script
# OUT=DIR          where everything goes; default: KSRC/..
# ACCEL=kvm        instead of tcg
# TESTS="a_test"   only these test programs

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
KSRC=${KSRC:-$(cd "$HERE/../../../../.." && pwd -P)}
OUT=${OUT:-$(dirname "$KSRC")}
RESULTS=$OUT/results
ACCEL=${ACCEL:-tcg,thread=multi}
JOBS=$(nproc)
CC=gcc
! command -v ccache >/dev/null || CC="ccache gcc"

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# use_kernel NAME FRAGMENT...: which kernel the functions below are about; where
# fragments differ, the last one counts.  NAME may be empty.
use_kernel()
{
	NAME=$1
	DIR=$OUT${1:+/$1}
	OBJ=$DIR/obj
	IMAGE=$DIR/bzImage
	FRAGMENTS=("${@:2}")
	mkdir -p "$OBJ" "$RESULTS"
}

the_kernel()
{
	use_kernel "" "$HERE/kernel.config" "$HERE/../config"
}

kmake()
{
	make -C "$KSRC" O="$OBJ" -j"$JOBS" CC="$CC" "$@"
}

# The options of all fragments, each once.
merge_fragments()
{
	awk -F= '/^CONFIG_/ { value[$1] = $0 } END { for (o in value) print value[o] }' \
		"${FRAGMENTS[@]}" | sort
}

# An option that Kconfig dropped would make tests skip without a word.
configure()
{
	local line dropped=

	merge_fragments > "$DIR/wanted"
	! cmp -s "$DIR/wanted" "$OBJ/wanted" || return 0
	kmake KCONFIG_ALLCONFIG="$DIR/wanted" allnoconfig > "$DIR/config.log" 2>&1 ||
		{ cat "$DIR/config.log" >&2; exit 1; }
	while read -r line; do
		case $line in
		*=n) ! grep -q "^${line%n}" "$OBJ/.config" || dropped+=" $line" ;;
		*) grep -qxF "$line" "$OBJ/.config" || dropped+=" $line" ;;
		esac
	done < "$DIR/wanted"
	[ -z "$dropped" ] || die "Kconfig did not take$dropped"
	mv "$DIR/wanted" "$OBJ/wanted"
}

# A sign of life every ten seconds, as long as this script lives.
show_progress()
{
	local log=$1 started=$SECONDS

	while sleep 10 > /dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		printf '\r  %d s, %d files done' $((SECONDS - started)) \
			"$(grep -c '^  [A-Z]' "$log" || :)" >&2
	done
}

# with_progress LOG COMMAND...: the command is in the foreground, or else it would
# not mind an interrupt.
with_progress()
{
	local log=$1 pid status=0

	shift
	: > "$log"
	show_progress "$log" &
	pid=$!
	"$@" > "$log" 2>&1 || status=$?
	kill "$pid"
	printf '\r%40s\r' '' >&2
	return "$status"
}

build_kernel()
{
	configure
	echo "building the kernel${NAME:+ \"$NAME\"}; the log is $DIR/kernel.log"
	if ! with_progress "$DIR/kernel.log" kmake bzImage; then
		grep -B2 -A8 -m3 'error:\|\*\*\*' "$DIR/kernel.log" >&2 ||
			tail "$DIR/kernel.log" >&2
		die "the kernel cannot be built"
	fi
	cp "$OBJ/arch/x86/boot/bzImage" "$IMAGE"
}

install_headers()
{
	kmake headers > "$DIR/headers.log" 2>&1 || { cat "$DIR/headers.log" >&2; exit 1; }
}

# Test programs and the sample, which do not depend on the kernel's options.
build_tests()
{
	install_headers
	mkdir -p "$OUT/tests"
	make -s -C "$HERE/.." OUTPUT="$OUT/tests" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$OUT/tests.log" 2>&1 ||
		{ cat "$OUT/tests.log" >&2; exit 1; }
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

list_tests()
{
	local prog

	for prog in ${TESTS-$(cd "$OUT/tests" && echo *_test *_test_32)}; do
		[ -x "$OUT/tests/$prog" ] || die "there is no test program $prog"
		echo "file /tests/$prog $OUT/tests/$prog 755 0 0"
	done
}

# build_initramfs FILE: also has the lines of gen_init_cpio on standard input.
build_initramfs()
{
	local dir

	{
		for dir in bin dev lib lib/x86_64-linux-gnu lib64 proc sys tests; do
			echo "dir /$dir 755 0 0"
		done
		echo "dir /tmp 1777 0 0"
		echo "nod /dev/console 600 0 0 c 5 1"
		echo "slink /bin/sh busybox 777 0 0"
		list_program "$(command -v busybox)"
		list_program "$(command -v keyctl)"
		echo "file /init $HERE/init.sh 755 0 0"
		cat
	} > "$1.list"
	"$OBJ/usr/gen_init_cpio" "$1.list" > "$1"
}

# boot MODE SECONDS [NAME=VALUE...]: the console is standard output, what the
# guest tells on the second channel is in DIR/channel.  INITRAMFS is the file.
boot()
{
	local mode=$1 seconds=$2

	shift 2
	rm -f "$DIR/channel"
	timeout --foreground "$seconds" qemu-system-x86_64 -accel "$ACCEL" -cpu max \
		-smp 2 -m "${MEMORY:-512M}" -nodefaults -display none -no-reboot -serial stdio \
		-serial "file:$DIR/channel" \
		-kernel "$IMAGE" -initrd "$INITRAMFS" \
		-append "console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic MODE=$mode $*"
}

SPLAT='WARNING:|BUG:|Oops|Kernel panic|KASAN|UBSAN|INFO: task'
SPLAT+='|possible circular|inconsistent lock|rcu.*stall'

log_is_clean()
{
	! grep -qE "$SPLAT" "$1"
}

# Success is a word on the second channel, so that a guest that hangs or resets
# never looks like one that passed.
guest_finished()
{
	[ -f "$DIR/channel" ] && grep -q '^wq-finished' "$DIR/channel"
}

# The unpatched base with the same options; git has it as the tag "base".
build_stock()
{
	local KSRC=$KSRC

	use_kernel stock "$HERE/kernel.config" "$HERE/../config" "$HERE/stock.config"
	[ -e "$DIR/linux/.git" ] ||
		git -C "$KSRC" worktree add -f --detach "$DIR/linux" base 2> "$DIR/git.log" ||
		die "$(cat "$DIR/git.log")"
	git -C "$DIR/linux" checkout -q --detach base
	KSRC=$DIR/linux
	build_kernel
}
