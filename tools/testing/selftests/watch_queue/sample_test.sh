#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of the programs of samples/watch_queue, which people copy from: they have to do
# what they say.  They and keyctl have to be in PATH, and the tester has to be root.

# shellcheck disable=SC2317 # tests are called by their names
# shellcheck disable=SC3043,SC3045 # the shell is busybox, or does as much
DIR=$(dirname "$0")
# shellcheck disable=SC1091 # it is another's
. "$DIR/../kselftest/ktap_helpers.sh"
. "$DIR/watch_queue_guest.sh"

# A session keyring of its own.
if [ -z "$SAMPLE_TEST" ]; then
	export SAMPLE_TEST=1
	exec keyctl session sample_test "$0" "$@"
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# ---- What the tests have in common ----

leave_nothing()
{
	local dir

	# shellcheck disable=SC2046 # they are numbers
	kill -KILL $(jobs -p)
	wait
	for dir in "$NULL_BLK"/null-*; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
	[ -z "$scsi" ] || remove_scsi_disk "$scsi"
	scsi=
	[ -z "$nvme" ] || revive_nvme_disk
	keyctl clear @s
	rm -f "$WORK"/*
}

# start PROGRAM OPTION...: what it says is in PROGRAM.out, its process in $pid; it
# watches when this returns.
start()
{
	# What one before it has said is not what is waited for.
	rm -f "$WORK/$1.out"
	"$@" > "$WORK/$1.out" 2>&1 &
	pid=$!
	wait_for is_ready_or_gone "$WORK/$1.out" "$pid" && ! has_ended "$pid"
}

is_ready_or_gone()
{
	grep -qs "watching\|^there is no key\|loaded" "$1" || has_ended "$2"
}

# says PROGRAM PATTERN [TIMES]: it comes soon, so often.
says()
{
	wait_for has_said "$@"
}

has_said()
{
	[ "$(grep -c -- "$2" "$WORK/$1.out")" = "${3-1}" ]
}

# has_said_no PROGRAM PATTERN: although it has read all that there is.
has_said_no()
{
	wait_for is_idle "$pid" && has_said "$1" "$2" 0
}

is_idle()
{
	! grep -hs "^watch_queue-queued:" "/proc/$1"/fdinfo/* | grep -qv "	0$" &&
		grep -q ') S ' "/proc/$1/stat"
}

# refuses STATUS PATTERN COMMAND...: it says why in one sentence.
refuses()
{
	local wanted="$1" pattern="$2"

	shift 2
	"$@" > "$WORK/refused.out" 2>&1 &
	ends $! "$wanted" && grep -q -- "$pattern" "$WORK/refused.out" &&
		[ "$(wc -l < "$WORK/refused.out")" = 1 ]
}

# flood N: links as many keyrings into the session keyring, and then takes them out, which
# are as many events again.
flood()
{
	many_queues -n "$1" > "$WORK/flood.out" &
	wait_for grep -q watching "$WORK/flood.out" && kill $! && ends $! 0
}

# ---- storage_health ----

# start_health OPTION...
start_health()
{
	start storage_health "$@" && return
	grep "CONFIG_" "$WORK/storage_health.out" && return "$SKIP"
}

# give_scsi_disk: its name is in $scsi.
give_scsi_disk()
{
	need_scsi_debug || return
	# shellcheck disable=SC2154 # add_scsi_disk() has set it
	add_scsi_disk && scsi=$disk
}

# find_nvme_disk: its name is in $nvme, its controller's directory in $controller.
find_nvme_disk()
{
	nvme=$(grep -ls "^wq-nvme *$" /sys/block/*/device/serial | cut -d / -f 4)
	[ -n "$nvme" ] || {
		echo "the machine has no disk wq-nvme"
		return "$SKIP"
	}
	controller=$(readlink -f "/sys/block/$nvme/device/device")
}

# kill_nvme_disk: it dies, and stays in sysfs.  Its controller's registers are moved to
# where nothing is, so that the reset that is asked for fails.
kill_nvme_disk()
{
	dd if="$controller/config" of="$WORK/bar" bs=4 skip=4 count=1 &&
		printf '\0\0\0\320' | set_nvme_bar || return
	echo 1 > "$controller/nvme/${nvme%n*}/reset_controller"
	wait_for grep -q dead "$controller/nvme/${nvme%n*}/state" && set_nvme_bar < "$WORK/bar"
}

set_nvme_bar()
{
	dd of="$controller/config" bs=4 seek=4 conv=notrunc
}

unplug_nvme_disk()
{
	[ ! -e "$controller" ] || echo 1 > "$controller/remove"
}

# Another driver's instance has it then.
revive_nvme_disk()
{
	unplug_nvme_disk
	echo 1 > /sys/bus/pci/rescan
	wait_for find_nvme_disk
	nvme=
}

# errors N: of the medium of the disk that scsi_debug makes.
errors()
{
	local n="$1"

	while [ "$n" -gt 0 ]; do
		! read_disk "$scsi" 582 || return
		n=$((n - 1))
	done
}

# null_errors NAME N: as many, up to 128, all of them by one process.
null_errors()
{
	dd if="/dev/$1" of=/dev/null bs=4096 skip=1024 count="$2" iflag=direct \
		conv=noerror 2> /dev/null
}

give_null_disk()
{
	add_null_disk "$1" && echo +8192-9215 > "$NULL_BLK/$1/badblocks"
}

give_null_disks()
{
	local name

	need_null_blk || return
	for name; do
		give_null_disk "$name" || return
	done
}

# Three are too many, and four are told once.
medium_is_replaced()
{
	give_scsi_disk || return
	start_health || return
	scsi_disk_is_bad
	errors 2 && has_said_no storage_health replace || return
	errors 1 && says storage_health "^$scsi: replace: medium errors$" || return
	errors 2 && wait_for is_idle "$pid" && has_said storage_health replace
}

# write_errors N: of the path to the disk.
write_errors()
{
	local n="$1"

	while [ "$n" -gt 0 ]; do
		! dd if=/dev/zero of="/dev/$scsi" bs=4096 count=1 oflag=direct || return
		n=$((n - 1))
	done
}

# Of the commands to write, the transport gives up five.  Who looks for partitions
# does not write.
path_is_checked()
{
	local error

	give_scsi_disk || return
	error=$(readlink -f "/sys/block/$scsi/device")
	error=/sys/kernel/debug/scsi_debug/${error##*/}/error
	[ -e "$error" ] || {
		echo "scsi_debug cannot do that"
		return "$SKIP"
	}
	start_health || return
	echo "2 -5 0x2a 0x0f 0 0 0 0 0" > "$error"
	write_errors 4 && has_said_no storage_health check || return
	write_errors 1 && says storage_health \
		"^$scsi: check cable or path: transport errors or timeouts$"
}

# What is older than the window does not count.
window_slides()
{
	give_scsi_disk && start_health 6 || return
	scsi_disk_is_bad
	errors 2 && wait_for is_idle "$pid" && sleep 7 || return
	errors 1 && has_said_no storage_health replace || return
	errors 2 && says storage_health replace
}

# Who opens a disk that is offline is refused without any I/O.
offline_is_told()
{
	give_scsi_disk && start_health || return
	exec 4< "/dev/$scsi"
	echo offline > "/sys/block/$scsi/device/state"
	dd bs=4096 skip=1000 count=1 <&4 > /dev/null
	exec 4<&-
	says storage_health "^$scsi: plug in or replace: does not answer or is gone$"
}

# Once: neither when it is taken out at last, nor when it is looked for after that, although
# what was said is no longer within the window by then.
death_is_told()
{
	local name

	find_nvme_disk && give_null_disks null-a && start_health 1 || return
	name=$nvme
	kill_nvme_disk && [ -e "/sys/block/$name" ] || return
	says storage_health "^$name: plug in or replace: does not answer or is gone$" &&
		sleep 2 && unplug_nvme_disk && give_null_disk null-b &&
		null_errors null-b 10 && says storage_health "^null-b: look" || return
	has_said storage_health "^$name: "
}

# One of the same name is another, and begins without errors; unless it is one whose
# errors are read when it has gone.
disks_are_not_confused()
{
	give_null_disks null-a && start_health || return
	null_errors null-a 9
	wait_for is_idle "$pid" || return
	remove_null_disk null-a && give_null_disk null-a || return
	null_errors null-a 9
	has_said_no storage_health look || return
	stop "$pid"
	null_errors null-a 1
	remove_null_disk null-a && give_null_disk null-a && null_errors null-a 9
	kill -CONT "$pid"
	says storage_health "^null-a: look into the kernel's log: " || return
	stop "$pid"
	null_errors null-a 1
	remove_null_disk null-a
	give_null_disk null-b && null_errors null-b 1
	kill -CONT "$pid"
	says storage_health "^null-a: plug in or replace: does not answer or is gone$"
}

# The queue holds 85 of them.  What happened meanwhile is found, and it goes on.
health_survives_loss()
{
	give_null_disks null-a null-b null-c && start_health || return
	stop "$pid"
	null_errors null-a 128
	remove_null_disk null-c
	kill -CONT "$pid"
	says storage_health "^43 records were lost: looking at all disks$" &&
		says storage_health "^null-c: plug in or replace" || return
	null_errors null-b 10
	says storage_health "^null-b: look into the kernel's log: "
}

# ---- credential_reload ----

# It looks by itself hardly ever, so it is records that make it look.
start_reload()
{
	start credential_reload -c 1000 sample-credential
}

new_credential()
{
	key=$(keyctl add user sample-credential "$1" @s)
}

credential_is()
{
	says credential_reload "^key $key: loaded, $1 bytes$"
}

credential_is_dropped()
{
	says credential_reload "^key $key: dropped: $1; waiting for another$"
}

credential_is_reloaded()
{
	start_reload || return
	says credential_reload "^there is no key 'sample-credential' yet: waiting$" &&
		new_credential four && credential_is 4 &&
		keyctl update "$key" secret && credential_is 6 || return
	# Neither another key, nor the same once more, is news.
	keyctl add user sample-other other @s && keyctl update "$key" secret &&
		has_said_no credential_reload dropped &&
		has_said credential_reload loaded 2
}

credential_is_replaced()
{
	new_credential four
	start_reload && credential_is 4 || return
	ring=$(keyctl newring sample-ring @s)
	key=$(keyctl add user sample-credential newer "$ring")
	keyctl link "$key" @s
	keyctl unlink "$ring" @s
	credential_is 5 && keyctl update "$key" newest! && credential_is 7 &&
		has_said_no credential_reload dropped
}

credential_is_let_go()
{
	new_credential four
	start_reload && credential_is 4 || return
	keyctl revoke "$key"
	credential_is_dropped "Key has been revoked" && new_credential seconds &&
		credential_is 7 || return
	# It may still be found, and be as good as revoked.
	keyctl invalidate "$key"
	credential_is_dropped ".*" && new_credential third &&
		credential_is 5 || return
	keyctl unlink "$key" @s
	credential_is_dropped "Required key not available" && new_credential fourth &&
		credential_is 6 || return
	keyctl setperm "$key" 0x35350000
	credential_is_dropped "Permission denied" && keyctl setperm "$key" 0x3f3f0000 &&
		says credential_reload "^key $key: loaded, 6 bytes$" 2 || return
	keyctl clear @s
	credential_is_dropped "Required key not available"
}

# Of which no record tells; and then it is as good as new.
credential_expires()
{
	new_credential four
	start credential_reload -c 1 sample-credential && credential_is 4 || return
	keyctl timeout "$key" 1
	credential_is_dropped "Key has expired" && new_credential fifth &&
		credential_is 5
}

# The queue holds 256 records; the last thing that happens is lost.
credential_survives_loss()
{
	new_credential four
	start_reload && credential_is 4 || return
	stop "$pid"
	flood 130
	keyctl update "$key" newest
	kill -CONT "$pid"
	credential_is 6 && says credential_reload "^[1-9][0-9]* records were lost" ||
		return
	keyctl revoke "$key"
	credential_is_dropped "Key has been revoked"
}

keyring_goes()
{
	keyctl session - sh -c "
		timeout 60 credential_reload sample-credential > $WORK/revoked.out 2>&1 &
		pid=\$!
		until grep -q 'no key' $WORK/revoked.out; do sleep 0.1; done
		keyctl revoke @s
		wait \$pid"
	[ $? = 1 ] && grep -q "the session keyring is gone" "$WORK/revoked.out"
}

# The same, when the record of it is lost.
keyring_goes_unheard()
{
	keyctl session - sh -c "
		. $DIR/watch_queue_guest.sh
		credential_reload -c 1000 sample-credential > $WORK/unheard.out 2>&1 &
		pid=\$!
		wait_for grep -q 'no key' $WORK/unheard.out && stop \$pid || exit
		many_queues -n 130 > $WORK/flood.out &
		wait_for grep -q watching $WORK/flood.out && kill \$! && ends \$! 0 || exit
		grep -q '^watch_queue-lost:	[1-9]' /proc/\$pid/fdinfo/* || exit
		keyctl revoke @s
		kill -CONT \$pid
		ends \$pid 1" &&
		grep -q "the session keyring is gone" "$WORK/unheard.out"
}

# ---- many_queues ----

# queued PID N: whether something can be read from so many of its queues; each has two
# ends.
queued()
{
	[ "$(cat /proc/"$1"/fdinfo/* | grep -c "^watch_queue-queued:	[1-9]")" = $((2 * $2)) ]
}

# A session keyring that is flooded, and 299 other keyrings, of which five get a key and
# all go, while nobody reads.  All others have had their turn before the second one of
# the flooded.  Of 439 records about that its queue holds 256.
many_are_served()
{
	local maker ring flooded turns

	start many_queues -n 299 || return
	maker=$pid
	keyctl rlist @s > "$WORK/rings"
	flooded=$(keyctl id @s)
	# shellcheck disable=SC2046 # they are words
	start many_queues -v "$flooded" $(cat "$WORK/rings") || return
	stop "$pid"
	flood 70
	tr ' ' '\n' < "$WORK/rings" | head -n 5 | while read -r ring; do
		keyctl add user sample secret "$ring"
	done
	kill "$maker"
	wait_for queued "$pid" 300 || return
	kill -CONT "$pid"
	wait_for is_idle "$pid" || return
	turns=$(awk -v key="$flooded:" '/a turn/ && $2 == key { n++; next }
		/a turn/ && n == 1 { others++ }
		END { print others }' "$WORK/many_queues.out")
	[ "$turns" = 299 ] || {
		echo "$turns had their turn before the second of the one that was flooded"
		return 1
	}
	kill "$pid" && ends "$pid" 0 &&
		has_said many_queues "^key [0-9]*: no longer watched$" 299 &&
		has_said many_queues "^key $flooded: 256 events, 183 lost$" &&
		has_said many_queues "^key [0-9]*: 1 events, 0 lost$" 5 &&
		has_said many_queues "^300 queues, 299 closed: 261 events, 183 lost$"
}

last_queue_ends_it()
{
	local key

	key=$(keyctl add user sample-last secret @s)
	start many_queues -d 1 "$key" "$(keyctl newring sample-ring @s)" || return
	keyctl update "$key" better
	keyctl clear @s
	ends "$pid" 0 && has_said many_queues "^key $key: 1 events, 0 lost$" &&
		has_said many_queues "^2 queues, 2 closed: 1 events, 0 lost$"
}

# Each queue holds 8 records.  One key goes, and the record of it is lost, but what was
# queued is read; the other is only revoked, and stays.
removal_is_lost()
{
	local key ring

	key=$(keyctl add user sample-lost secret @s)
	ring=$(keyctl newring sample-ring @s)
	start many_queues -d 1 "$key" "$ring" || return
	stop "$pid"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		keyctl update "$key" "$i" && keyctl clear "$ring" || return
	done
	keyctl revoke "$ring"
	keyctl unlink "$key" @s
	wait_for lost "$pid" 3 || return
	kill -CONT "$pid"
	says many_queues "^key $key: no longer watched$" && wait_for is_idle "$pid" &&
		kill "$pid" && ends "$pid" 0 &&
		has_said many_queues "^key $key: 8 events, 3 lost$" &&
		has_said many_queues "^key $ring: 8 events, 3 lost$" &&
		has_said many_queues "^2 queues, 1 closed: 16 events, 6 lost$"
}

# lost PID N: whether each of its two queues has lost as many.
lost()
{
	[ "$(cat /proc/"$1"/fdinfo/* | grep -c "^watch_queue-lost:	$2$")" = 4 ]
}

interrupt_ends_it()
{
	# In the background a shell has SIGINT ignored, which a signalfd does not mind.
	start many_queues -n 2 && kill -INT "$pid" && ends "$pid" 0 &&
		has_said many_queues "^2 queues, 0 closed: 0 events, 0 lost$"
}

# with_files N OPTION...: many_queues, which may have so many files open.
with_files()
{
	sh -c 'ulimit -n "$0" && exec many_queues "$@"' "$@"
}

start_with_files()
{
	sh -c 'ulimit -n "$0" && exec many_queues "$@"' "$@" > "$WORK/many_queues.out" 2>&1 &
	pid=$!
}

# What it is advised to, helps.
files_are_too_few()
{
	refuses 1 "is 30, and 1[0-9] of 25 queues have no files; try 'ulimit -n" \
		with_files 30 -n 25 || return
	start_with_files \
		"$(sed "s/.*ulimit -n \([0-9]*\).*/\1/" "$WORK/refused.out")" -n 25 &&
		says many_queues "^watching 25 keys$" && kill "$pid" && ends "$pid" 0
}

watches_are_too_few()
{
	local first

	start many_queues -n 100 || return
	first=$pid
	refuses 1 "is 110, and 15 of 25 queues have no watch; try 'ulimit -n 125'" \
		with_files 110 -n 25 || return
	start_with_files 125 -n 25 &&
		says many_queues "^watching 25 keys$" && kill "$pid" && ends "$pid" 0 &&
		kill "$first" && ends "$first" 0
}

# ---- watch_test ----

watch_test_tells()
{
	local key

	key=$(keyctl add user sample-watch secret @s)
	watch_test "$key" > "$WORK/watch_test.out" 2>&1 &
	pid=$!
	wait_for watches "$pid" "id:[1-9a-f]" || return
	keyctl update "$key" better
	says watch_test "^\[1\] key $key updated aux=0$" || return
	keyctl invalidate "$key"
	says watch_test "^\[1\] key $key invalidated aux=0$" &&
		says watch_test "^\[1\] watch on $key removed$"
}

# ---- What is refused ----

arguments_are_checked()
{
	refuses 2 "^usage: storage_health" storage_health 0 &&
		refuses 2 "^usage: storage_health" storage_health 1 2 &&
		refuses 2 "^usage: credential_reload" credential_reload &&
		refuses 2 "^usage: credential_reload" credential_reload a b &&
		refuses 2 "'0' is no number from 1 to" credential_reload -c 0 a &&
		refuses 2 "option" credential_reload -x a &&
		refuses 2 "^usage: many_queues" many_queues &&
		refuses 2 "^usage: many_queues" many_queues -n 1 1 &&
		refuses 2 "'1x' is no number from 1 to" many_queues -n 1x &&
		refuses 2 "'-3' is no number from 1 to" many_queues -- -3 &&
		refuses 2 "option" many_queues -x &&
		refuses 1 "Required key not available; see 'keyctl show'$" many_queues 1 &&
		refuses 1 "'a' is no key's serial number" watch_test a
}

# ---- All of them ----

ktap_print_header
for program in credential_reload many_queues storage_health watch_test keyctl; do
	if ! command -v $program > /dev/null; then
		ktap_skip_all "there is no $program"
		exit "$SKIP"
	fi
done
timeout 1 many_queues -n 1 > "$WORK/log" 2>&1
if [ $? = 1 ]; then
	ktap_skip_all "$(head -n 1 "$WORK/log")"
	exit "$SKIP"
fi
# lockdep minds how the base's NVMe driver leaves a controller that died, see dead_test.c, and
# all that come after would have to bear it.
if [ -e /proc/lockdep ]; then
	ktap_set_plan "$(grep -c '^try [a-z]' "$0")"
else
	ktap_set_plan $(($(grep -c '^try [a-z]' "$0") + 1))
	try death_is_told "a disk that dies is told"
fi

try medium_is_replaced "a disk with medium errors is to be replaced"
try path_is_checked "transport errors are the path's"
try window_slides "the window slides"
try offline_is_told "a disk that is offline is told"
try disks_are_not_confused "a disk's errors are not another's"
try health_survives_loss "a loss is made good"
try credential_is_reloaded "a credential is reloaded"
try credential_is_replaced "a credential is replaced"
try credential_is_let_go "a credential is dropped"
try credential_expires "a credential expires"
try credential_survives_loss "a credential survives a loss"
try keyring_goes "the keyring goes"
try keyring_goes_unheard "the keyring goes unheard"
try many_are_served "many queues are served"
try last_queue_ends_it "the last queue ends it"
try removal_is_lost "a removal is lost"
try interrupt_ends_it "an interrupt ends it"
try files_are_too_few "files are too few"
try watches_are_too_few "watches are too few"
try watch_test_tells "watch_test tells"
try arguments_are_checked "arguments are checked"

ktap_finished
