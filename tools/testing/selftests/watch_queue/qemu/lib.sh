# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Building kernels and booting them in QEMU; sourced by the scripts beside it.
#
# KSRC=DIR         the kernel tree; default: the one around this script
# OUT=DIR          where everything goes; default: KSRC/..
# ACCEL=kvm        instead of tcg
# TESTS="a_test"   only these test programs
# README=FILE      shows programs, which are to work, and what the demonstration prints
# CLANG=clang-19   a clang from 16 on, whose KASAN looks at what memcpy() does

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
KSRC=${KSRC:-$(cd "$HERE/../../../../.." && pwd -P)}
OUT=${OUT:-$(dirname "$KSRC")}
RESULTS=$OUT/results
ACCEL=${ACCEL:-tcg,thread=multi}
JOBS=$(nproc)
CLANG=${CLANG:-clang-19}
CCACHE=$(command -v ccache || :)

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# say WORD...: what is done now, and when.
say()
{
	printf '%5d s  %s\n' $SECONDS "$*"
}

# use_kernel NAME FRAGMENT...: which kernel the functions below are about; where
# fragments differ, the last one counts.  NAME may be empty.  It is compiled by gcc for
# this machine, unless use_compiler() and BUILD_WITH, more words for make, say otherwise.
use_kernel()
{
	NAME=$1
	DIR=$OUT${1:+/$1}
	OBJ=$DIR/obj
	IMAGE=$DIR/bzImage
	FRAGMENTS=("${@:2}")
	mkdir -p "$OBJ" "$RESULTS"
	BUILT=$OBJ/arch/x86/boot/bzImage
	BUILD_WITH=()
	use_compiler gcc
}

use_compiler()
{
	CC=${CCACHE:+$CCACHE }$1
}

the_kernel()
{
	use_kernel "" "$HERE/kernel.config" "$HERE/../config"
}

kmake()
{
	make -C "$KSRC" O="$OBJ" -j"$JOBS" CC="$CC" "${BUILD_WITH[@]}" "$@"
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

# show_progress PATTERN WHAT FILE...: how many lines of the files have the pattern, every
# ten seconds, as long as this script lives.
show_progress()
{
	local pattern=$1 what=$2 started=$SECONDS

	while sleep 10 > /dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		printf '\r  %d s, %d %s done' $((SECONDS - started)) \
			"$(cat "${@:3}" 2> /dev/null | grep -ac "$pattern")" "$what" >&2
	done
}

# with_progress PATTERN WHAT FILE... -- COMMAND...: the command is in the foreground, or
# else it would not mind an interrupt.
with_progress()
{
	local pid status=0 shown=()

	while [ "$1" != -- ]; do
		shown+=("$1")
		shift
	done
	shift
	show_progress "${shown[@]}" &
	pid=$!
	"$@" || status=$?
	kill "$pid"
	printf '\r%40s\r' '' >&2
	return "$status"
}

make_image()
{
	kmake "$(basename "$BUILT")" > "$DIR/kernel.log" 2>&1
}

build_kernel()
{
	configure
	say "building the kernel${NAME:+ \"$NAME\"}; the log is $DIR/kernel.log"
	: > "$DIR/kernel.log"
	if ! with_progress '^  [A-Z]' files "$DIR/kernel.log" -- make_image; then
		grep -B2 -A8 -m3 'error:\|\*\*\*' "$DIR/kernel.log" >&2 ||
			tail "$DIR/kernel.log" >&2
		die "the kernel cannot be built"
	fi
	cp "$BUILT" "$IMAGE"
}

install_headers()
{
	kmake headers > "$DIR/headers.log" 2>&1 || { cat "$DIR/headers.log" >&2; exit 1; }
}

# build_program FILE: for the guest, into OUT/bin.
build_program()
{
	gcc -O2 -Wall -static -isystem "$OBJ/usr/include" \
		-o "$OUT/bin/$(basename "$1" .c)" "$1"
}

build_wqmon()
{
	mkdir -p "$OUT/wqmon"
	make -s -C "$KSRC/tools/watch_queue" O="$OUT/wqmon" STATIC=1 > "$OUT/wqmon.log" 2>&1 ||
		{ cat "$OUT/wqmon.log" >&2; exit 1; }
}

# Test programs and what else the guest has, which do not depend on the kernel's options.
build_tests()
{
	local sample

	install_headers
	mkdir -p "$OUT/tests" "$OUT/bin"
	make -s -j"$JOBS" -C "$HERE/.." OUTPUT="$OUT/tests" \
		KHDR_INCLUDES="-isystem $OBJ/usr/include" > "$OUT/tests.log" 2>&1 ||
		{ cat "$OUT/tests.log" >&2; exit 1; }
	for sample in "$KSRC"/samples/watch_queue/*.c; do
		build_program "$sample"
	done
	build_program "$HERE/usb_reset.c"
	build_wqmon
	cp "$OUT/wqmon/wqmon" "$OUT/bin/"
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

# What the documentation shows, which is tested, too; in part by a guest.
build_docs()
{
	rm -rf "$OUT/docs"
	CC=$CC "$HERE/doc_blocks.py" "$KSRC" "$OBJ" "$OUT/docs" ${README:+"$README"} \
		> "$RESULTS/docs.tap" 2> "$DIR/docs.log" ||
		result 1 "doc_blocks.py: all is as it is shown" >> "$RESULTS/docs.tap"
}

# What the guest has in /bin besides busybox, and what its scripts read.
list_programs()
{
	local prog file

	for prog in "$OUT"/bin/* /sbin/request-key $(command -v jq); do
		list_program "$prog"
	done
	for file in "$OUT"/docs/*; do
		[ ! -f "$file" ] || echo "file /docs/${file##*/} $file 755 0 0"
	done
	echo "file /demo.sh $HERE/demo.sh 755 0 0"
	echo "file /tests/watch_queue_guest.sh $HERE/../watch_queue_guest.sh 644 0 0"
	echo "file /kselftest/ktap_helpers.sh $HERE/../../kselftest/ktap_helpers.sh 644 0 0"
}

all_tests()
{
	(cd "$OUT/tests" && echo *_test *_test_32)
	(cd "$HERE/.." && echo *_test.sh)
}

# Those of /lsm want a boot of their own, those of /checked a kernel with all checks, and
# those of /last to come after all others.
list_tests()
{
	local prog file dir policy

	for prog in ${TESTS-$(all_tests)}; do
		file=$OUT/tests/$prog
		[[ $prog != *.sh ]] || file=$HERE/../$prog
		[ -x "$file" ] || die "there is no test program $prog"
		case $prog in
		selinux_test | smack_test) dir=lsm ;;
		fault_test | fuzz_test) dir=checked ;;
		dead_test) dir=last ;;
		*) dir=tests ;;
		esac
		echo "file /$dir/$prog $file 755 0 0"
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
		for dir in bin checked dev docs kselftest last lib lib/x86_64-linux-gnu lib64 lsm \
			proc sys tests; do
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
# host's; without, it has a tick and no finer timers.  On a busy machine its tick may be
# late, which it would take for a timer that does not work.
SMP=2,sockets=2

clock_options()
{
	awk '/^cpu MHz/ {
		printf "tsc=reliable tsc_early_khz=%d no_timer_check", $4 * 1000
		exit
	}' /proc/cpuinfo
}

# boot MODE SECONDS [NAME=VALUE...]: the console is standard output, what the
# guest tells on the second channel is in DIR/channel, and its third serial line is
# QEMU's own monitor, by which it can plug and unplug.  INITRAMFS is the file, CPU may be
# another than max.
boot()
{
	local mode=$1 seconds=$2
	local cmdline="console=ttyS0 loglevel=5 panic=-1 panic_on_warn=1 oops=panic"

	shift 2
	# KUnit's tests run whenever a kernel is booted, unless it is told not to.
	[ "$mode" = check ] || cmdline+=" kunit.enable=0"
	cmdline+=" scsi_debug.add_host=0 null_blk.nr_devices=0 $(clock_options)"
	use_devices
	# A socket's path must be short.
	(
		cd "$DIR" || exit
		rm -f channel qmp
		exec timeout --foreground "$seconds" qemu-system-x86_64 \
			-accel "$ACCEL" -cpu "${CPU:-max}" -smp "$SMP" -m "${MEMORY:-512M}" \
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

# The functions of the files that the series adds, between spaces.
our_functions()
{
	nm "$OBJ"/{kernel/watch_queue,security/keys/watch,drivers/base/watch}.o \
		"$OBJ"/{block/blk-watch,drivers/usb/core/watch}.o \
		"$OBJ"/security/{lsm_watch,selinux/watch,smack/smack_watch}.o |
		awk '$2 ~ /^[tT]$/ { printf " %s", $3 } END { print " " }'
}

# A console's log without what is the base's: KCSAN's reports of two accesses neither of
# which is in a function of ours, or is in ours but of get_cred(), which clears a word of
# credentials that others have; what lockdep has to say of nvme_reset_work(), which
# leaves the queues of a controller that died frozen; and of kmemleak, which says under its
# lock that it got no memory, if it is made to fail.
drop_what_is_known()
{
	local ours=

	[[ $NAME != kcsan ]] || ours=$(our_functions)
	sed '/BUG: workqueue leaked atomic, lock or RCU/{N;/workfn=nvme_reset_work/d}' "$1" |
	awk '
	/WARNING: possible circular locking dependency/ { held = 1; known = 0; report = "" }
	!held { print; next }
	{ report = report $0 "\n" }
	/lock\){.*at: kmemleak_scan_area/ { known = 1 }
	/<\/TASK>/ { held = 0; if (!known) printf "%s", report }
	END { if (held) printf "%s", report }' |
	awk -v ours="$ours" '
	/^======/ && !inside { inside = 1; others = accesses = words = 0; report = ""; next }
	/^======/ {
		if (!others && !(get_cred && words && words == accesses))
			printf "%s", report
		inside = 0
		next
	}
	!inside { print; next }
	{ report = report $0 "\n" }
	/^BUG: KCSAN/ {
		others = 1
		for (i = 3; i <= NF; i++)
			if (index(ours, " " $i " "))
				others = 0
		get_cred = /add_watch_to_object/
	}
	/^(read|write)/ { accesses++ }
	/^write .* of 4 bytes/ { words++ }
	END { if (!others) printf "%s", report }'
}

log_is_clean()
{
	local rest

	# Not by a pipe, whose other end would fail if grep ended early.
	rest=$(drop_what_is_known "$1" | tr -d '\0') && ! grep -aqE "$SPLAT" <<< "$rest"
}

# Success is a word on the second channel, so that a guest that hangs or resets
# never looks like one that passed.
guest_finished()
{
	[ -f "$DIR/channel" ] && grep -q '^wq-finished' "$DIR/channel"
}

# result STATUS NAME: a line of TAP.
result()
{
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
	fi
}

# status_of COMMAND...: its status as a number.
status_of()
{
	local status=0

	"$@" || status=$?
	echo "$status"
}

# What the guest said, with one line a case, flat, so that each counts once; summaries of
# suites do not count.  What was said before a failure comes before it.
flatten()
{
	[ -f "$DIR/channel" ] || return 0
	tr -d '\r' < "$DIR/channel" | awk -v kernel="${NAME:+$NAME: }" '
	function tell(verdict, name) {
		if (verdict == "not ok")
			printf "%s", said
		said = ""
		print verdict " " kernel name
	}
	function strip(line) { sub(/^ *(not )?ok ([0-9]+ )?(- )?/, "", line); return line }
	/^# KUnit/	{ kunit = 1; next }
	/^# program/	{ kunit = 0; prog = $3 " "; next }
	/^ *# /		{ if (!/^# json/) said = said $0 "\n"; next }
	!/^ *(not )?ok /{ next }
	kunit && (!/^ / || / [0-9]+ param-/) { next }
	{ tell(/^ *not/ ? "not ok" : "ok", kunit ? "kunit " strip($0) : prog strip($0)) }'
}

# Whether the lines of JSON that the guest told fit the schema of wqmon.
lines_fit()
{
	local tool=$KSRC/tools/watch_queue

	tr -d '\r' < "$DIR/channel" | sed -n 's/^# json //p' |
		/usr/bin/python3 "$tool/check_lines.py" "$tool/wqmon.schema.json" \
			> "$DIR/json.log" 2>&1
}

# guest_tap LOG [WHAT]: what the guest said, and whether all went well with itself; the
# log is its console's.
guest_tap()
{
	local what=${2-$NAME}

	flatten
	result "$(status_of guest_finished)" "$what: guest ran to its end"
	result "$(status_of log_is_clean "$1")" "$what: the kernel log is clean"
}

# build_stock FRAGMENT...: the unpatched base with the same options and more; git has it as
# the tag "base".
build_stock()
{
	local KSRC=$KSRC

	use_kernel stock "$HERE/kernel.config" "$HERE/../config" "$HERE/stock.config" "$@"
	[ -e "$DIR/linux/.git" ] ||
		git -C "$KSRC" worktree add -f --detach "$DIR/linux" base 2> "$DIR/git.log" ||
		die "$(cat "$DIR/git.log")"
	git -C "$DIR/linux" checkout -q --detach base
	KSRC=$DIR/linux
	build_kernel
}
