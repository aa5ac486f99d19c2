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

# build_program FILE: for the guest, into OUT.
build_program()
{
	gcc -O2 -Wall -static -isystem "$OBJ/usr/include" \
		-o "$OUT/$(basename "$1" .c)" "$1"
}

# Test programs and the sample, which do not depend on the kernel's options.
build_tests()
{
	install_headers
	mkdir -p "$OUT/tests"
	make -s -C "$HERE/.." OUTPUT="$OUT/tests" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$OUT/tests.log" 2>&1 ||
		{ cat "$OUT/tests.log" >&2; exit 1; }
	build_program "$KSRC/samples/watch_queue/watch_test.c"
	build_program "$HERE/usb_reset.c"
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

# Those of /lsm want a boot of their own, those of /last to come after all others.
list_tests()
{
	local prog dir policy

	for prog in ${TESTS-$(cd "$OUT/tests" && echo *_test *_test_32)}; do
		[ -x "$OUT/tests/$prog" ] || die "there is no test program $prog"
		case $prog in
		selinux_test | smack_test) dir=lsm ;;
		dead_test) dir=last ;;
		*) dir=tests ;;
		esac
		echo "file /$dir/$prog $OUT/tests/$prog 755 0 0"
	done
	for policy in "$OUT"/tests/selinux-*.policy; do
		[ ! -e "$policy" ] || echo "file /lsm/${policy##*/} $policy 644 0 0"
	done
}

# build_initramfs FILE [INIT]: also has the lines of gen_init_cpio on standard input.
build_initramfs()
{
	local dir

	{
		for dir in bin dev last lib lib/x86_64-linux-gnu lib64 lsm proc sys tests; do
			echo "dir /$dir 755 0 0"
		done
		echo "dir /tmp 1777 0 0"
		echo "nod /dev/console 600 0 0 c 5 1"
		echo "slink /bin/sh busybox 777 0 0"
		list_program "$(command -v busybox)"
		list_program "$(command -v keyctl)"
		echo "file /init ${2:-$HERE/init.sh} 755 0 0"
		cat
	} > "$1.list"
	"$OBJ/usr/gen_init_cpio" "$1.list" > "$1"
}

# disk NAME RULE...: a disk of 64 MiB that reads as zeroes and fails as the rules of
# QEMU's blkdebug say.
disk()
{
	local name=$1 rules

	shift
	rules=$(printf '{"event":"none",%s},' "$@")
	DISKS+=(-blockdev '{"driver":"blkdebug","node-name":"'"$name"'",
		"image":{"driver":"null-co","size":67108864,"read-zeroes":true},
		"inject-error":['"${rules%,}"']}')
}

# What the guest has to lose: disks that fail, and a USB bus to plug things into.
use_devices()
{
	local read='"iotype":"read","errno":5,"sector":2048'
	local write='"iotype":"write","errno":28,"sector":4096'
	local flush='"iotype":"flush","errno":5'
	local report="rerror=report,werror=report"

	DISKS=()
	disk wq-virtio "$read" "$write" "$flush"
	disk wq-nvme "$read" "$write" "$flush"
	disk wq-paths "$read"
	DEVICES=("${DISKS[@]}"
		-blockdev "driver=null-co,node-name=stick,size=1048576,read-zeroes=on"
		-device "virtio-blk-pci,drive=wq-virtio,serial=wq-virtio,$report"
		-device "nvme,id=wq-nvme,drive=wq-nvme,serial=wq-nvme"
		-device "nvme-subsys,id=wq-subsys,nqn=wq-subsys"
		-device "nvme,id=wq-path0,serial=wq-paths,subsys=wq-subsys"
		-device "nvme,id=wq-path1,serial=wq-paths,subsys=wq-subsys"
		-device "nvme-ns,drive=wq-paths,bus=wq-path0,nsid=1,shared=on"
		-device "qemu-xhci,id=xhci")
}

# The guest has no ACPI.  So it finds only the first CPU of each socket, and may find
# nothing that tells how fast its time stamp counter is, which under emulation is the
# host's; without, it has a tick and no finer timers.
SMP=2,sockets=2

clock_options()
{
	awk '/^cpu MHz/ {
		printf "tsc=reliable tsc_early_khz=%d", $4 * 1000
		exit
	}' /proc/cpuinfo
}

# boot MODE SECONDS [NAME=VALUE...]: the console is standard output, what the
# guest tells on the second channel is in DIR/channel, and its third serial line is
# QEMU's own monitor, by which it can plug and unplug.  INITRAMFS is the file.
boot()
{
	local mode=$1 seconds=$2
	local cmdline="console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic"

	shift 2
	cmdline+=" scsi_debug.add_host=0 null_blk.nr_devices=0 $(clock_options)"
	use_devices
	# A socket's path must be short.
	(
		cd "$DIR" || exit
		rm -f channel qmp
		exec timeout --foreground "$seconds" qemu-system-x86_64 \
			-accel "$ACCEL" -cpu max -smp "$SMP" -m "${MEMORY:-512M}" \
			-nodefaults -display none -no-reboot \
			-serial stdio -serial file:channel \
			-chardev socket,id=monitor,path=qmp,server=on,wait=off \
			-mon chardev=monitor,mode=control \
			-chardev socket,id=qmp,path=qmp -serial chardev:qmp \
			"${DEVICES[@]}" -kernel "$IMAGE" -initrd "$INITRAMFS" \
			-append "$cmdline MODE=$mode $*"
	)
}

SPLAT='WARNING:|BUG:|Oops|Kernel panic|KASAN|UBSAN|INFO: task'
SPLAT+='|possible circular|inconsistent lock|rcu.*stall'

# But for what lockdep has to say of the base's own nvme_reset_work(), which leaves the
# queues of a controller that died frozen.
log_is_clean()
{
	! sed '/BUG: workqueue leaked atomic, lock or RCU/{N;/workfn=nvme_reset_work/d}' "$1" |
		grep -qE "$SPLAT"
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
