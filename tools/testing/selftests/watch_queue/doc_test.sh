#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the programs and commands that the documentation shows, which qemu/doc_blocks.py took
# out of it and put into the directory DOCS, and looks at what they say.  keyctl, wqmon
# and sysctl have to be in PATH, and the tester has to be root.

# shellcheck disable=SC2317 # tests are called by their names
# shellcheck disable=SC3043 # the shell is busybox, or does as much
DIR=$(dirname "$0")
DOCS=${DOCS:-/docs}
# shellcheck disable=SC1091 # it is another's
. "$DIR/../kselftest/ktap_helpers.sh"
. "$DIR/watch_queue_guest.sh"

# A session keyring of its own.
if [ -z "$DOC_TEST" ]; then
	export DOC_TEST=1
	exec keyctl session doc_test "$0" "$@"
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# ---- What the tests have in common ----

# try_block NAME: the test of a program or of commands.
try_block()
{
	tested="$tested $1 "
	try "test_$(echo "$1" | tr - _)" "$1"
}

leave_nothing()
{
	[ -z "$pid" ] || end
	[ -z "$session" ] || kill -KILL -- "-$session"
	session=
	[ -z "$scsi" ] || remove_scsi_disk "$scsi"
	scsi=
	[ ! -d "$NULL_BLK/nulldoc" ] || remove_null_disk nulldoc
	close_monitor
}

# The monitor has the last word of that, too.
take_stick()
{
	unplug_stick && wait_for grep -q DEVICE_DELETED /tmp/monitor
}

# start COMMAND...: in the background, until it watches something.
start()
{
	"$@" > "$WORK/out" 2>&1 &
	pid=$!
	wait_for watches_or_gone $pid
	watches $pid "" || {
		cat "$WORK/out"
		return 1
	}
}

# The command of the documentation becomes the process that is started.
start_command()
{
	start sh -c "exec $(cat "$DOCS/$1.sh")"
}

end()
{
	kill "$pid"
	wait "$pid"
	pid=
}

# says PATTERN: it comes soon.
says()
{
	wait_for grep -q -- "$1" "$WORK/out" || {
		cat "$WORK/out"
		return 1
	}
}

# prints NAME PATTERN: commands do, at once.
prints()
{
	sh "$DOCS/$1.sh" > "$WORK/out" 2>&1
	grep -q -- "$2" "$WORK/out" || {
		cat "$WORK/out"
		return 1
	}
}

session_watches()
{
	grep -ls "^[^)]*) . [0-9]* [0-9]* $session " /proc/[0-9]*/stat |
		while read -r stat; do
			cat "${stat%stat}"fdinfo/*
		done 2> /dev/null | grep -q "^watch_queue-watch:"
}

# hears FILE EVENT: commands are run, something is made to happen, and wqmon, which they
# run, is ended when it has told of it; what they say is in WORK/out.
hears()
{
	start_session "$1" && "$2" && killall -TERM wqmon
}

# start_session FILE: commands, which can be ended as one; they watch when this returns.
start_session()
{
	setsid sh "$1" > "$WORK/out" 2>&1 &
	session=$!
	wait_for session_watches
}

need_jq()
{
	command -v jq > /dev/null || {
		echo "there is no jq"
		return "$SKIP"
	}
}

add_key()
{
	key=$(keyctl add user doc_test:"$1" secret @s)
}

# Of eight sectors from 2048 on, which are bad.
read_bad_disk()
{
	[ -d "$NULL_BLK/nulldoc" ] || add_null_disk nulldoc || return
	! read_disk nulldoc 256
}

# Of eight sectors from 4656 on.
read_bad_medium()
{
	# shellcheck disable=SC2154 # add_scsi_disk() has set it
	add_scsi_disk && scsi=$disk && scsi_disk_is_bad && ! read_disk "$scsi" 582
}

clear_keyring()
{
	keyctl clear @s
}

# ---- Programs ----

test_keys()
{
	start "$DOCS/keys" && add_key keys &&
		says "^tag 1: key $(keyctl id @s): event 2, aux $key$"
}

test_devices()
{
	need_null_blk || return
	start "$DOCS/devices" && read_bad_disk &&
		says "^disk [0-9:]*: error 10, operation 1, sectors 2048+8: Input/output error$"
}

# As often as it takes: what a program prints may be kept until there is more of it.
clear_and_hear()
{
	keyctl clear @s
	grep -q '^type 1 subtype 4$' "$WORK/out"
}

test_readme()
{
	start "$DOCS/readme" && wait_for clear_and_hear
}

# An attribute is none of the keyring's links, a key is.
test_filter()
{
	start "$DOCS/filter" && keyctl setperm @s 0x3f3f0000 && add_key filter &&
		says "^type 1 subtype 2$" && [ "$(wc -l < "$WORK/out")" = 1 ]
}

test_watch_queue()
{
	"$DOCS/watch_queue" > "$WORK/out" 2>&1
	says "^depth 64, at most [0-9]*; keys: yes, disks: [a-z]*, USB: [a-z]*$"
}

test_keyctl_watch_key()
{
	start "$DOCS/keyctl_watch_key" && add_key man &&
		says "^key $(keyctl id @s): event 2, aux $key$"
}

test_watch_devices()
{
	need_null_blk || return
	start "$DOCS/watch_devices" && read_bad_disk &&
		says "^disk [0-9:]*: sectors 2048+8: Input/output error$"
}

# ---- Commands ----

test_dmesg_restrict()
{
	prints dmesg_restrict '^kernel.dmesg_restrict = [01]$'
}

# And a queue can be as large then as the page says.
test_pipe_max_size()
{
	local before

	before=$(cat /proc/sys/fs/pipe-max-size)
	prints pipe-max-size '^fs.pipe-max-size = 4194304$' &&
		as_nobody "$DOCS/watch_queue" | grep '^depth 64, at most 32768;'
	set -- $?
	echo "$before" > /proc/sys/fs/pipe-max-size
	return "$1"
}

test_who_watches()
{
	start "$DOCS/keys" || return
	prints who-watches "^/proc/$pid/fdinfo/[0-9]*:watch_queue-watch:.*tag:1 id:$(
		printf %x "$(keyctl id @s)")$"
}

# A reader that does not read, with a queue that is soon full.
test_who_loses()
{
	start wqmon -k @s --depth 1 || return
	! prints who-loses "^/proc/$pid/" > /dev/null || return
	stop "$pid"
	for _ in 1 2 3 4 5 6 7 8 9; do
		keyctl clear @s
	done
	prints who-loses "^/proc/$pid/fdinfo/[0-9]*:watch_queue-lost:.1$"
	set -- $?
	kill -CONT "$pid"
	return "$1"
}

# It goes on when it watches; that is enough.
test_wqmon_errors()
{
	start_command wqmon-errors
}

test_wqmon_stick()
{
	start_command wqmon-stick
}

test_wqmon_keys()
{
	keyctl add user demo secret @s && start_command wqmon-keys
}

# readme_hears LINE EVENT PATTERN: one of the commands that are shown together.
readme_hears()
{
	sed -n "$1p" "$DOCS/readme-wqmon.sh" > "$WORK/line.sh"
	hears "$WORK/line.sh" "$2" && says "$3"
}

test_readme_wqmon()
{
	local error="block nulldoc: I/O error: read of sectors 2048 to 2055"

	need_jq && need_null_blk || return
	keyctl add user demo secret @s &&
		readme_hears 1 read_bad_disk "$error" &&
		readme_hears 2 clear_keyring "(@s): cleared" &&
		readme_hears 3 read_bad_disk "$error" &&
		readme_hears 4 read_bad_disk "^$error" || return
	open_monitor || {
		echo "the machine has no monitor"
		return "$SKIP"
	}
	sed -n 5p "$DOCS/readme-wqmon.sh" > "$WORK/line.sh"
	start_session "$WORK/line.sh" && plug_stick && ends "$session" 0
	set -- $?
	take_stick
	return "$1"
}

# tells_media NAME: commands that print a disk's identifier, the first of its bad sectors,
# and how many there are.
tells_media()
{
	need_jq && need_scsi_debug || return
	hears "$DOCS/$1.sh" read_bad_medium && says "^[^ ][^ ]* 4656 8$"
}

test_jq_media()
{
	tells_media jq-media
}

test_man_media()
{
	tells_media man-media
}

# The minute is over when wqmon is.
test_jq_counts()
{
	need_jq && need_null_blk || return
	hears "$DOCS/jq-counts.sh" read_bad_disk && says '"n": 1$'
}

test_exec_logger()
{
	syslogd -n -O "$WORK/syslog" &
	wait_for [ -S /dev/log ] && open_monitor && start_session "$DOCS/exec-logger.sh" &&
		plug_stick && wait_for grep -q "usb: .*HARDDRIVE\]: added" "$WORK/syslog"
	set -- $?
	take_stick
	killall syslogd
	return "$1"
}

# There is no mail here, but what it would get.
test_man_mail()
{
	need_null_blk || return
	mkdir -p "$WORK/bin"
	# shellcheck disable=SC2016 # its shell expands it
	printf '#!/bin/sh\n{ echo "$@"; cat; } >> %s\n' "$WORK/mail" > "$WORK/bin/mail"
	chmod +x "$WORK/bin/mail"
	PATH=$WORK/bin:$PATH start_session "$DOCS/man-mail.sh" && read_bad_disk &&
		wait_for grep -q "block nulldoc: I/O error" "$WORK/mail" &&
		grep -x -- "-s disk nulldoc fails root" "$WORK/mail"
}

# ---- All of them ----

# What the documentation has and nobody tests.
untested()
{
	local file name

	for file in "$DOCS"/*; do
		name=${file##*/}
		name=${name%.sh}
		case $tested in
		*" $name "*) ;;
		*) [ -d "$file" ] || echo "$name" ;;
		esac
	done
}

all_tested()
{
	untested > "$WORK/untested"
	if [ -s "$WORK/untested" ]; then
		ktap_print_msg "without a test: $(tr '\n' ' ' < "$WORK/untested")"
		ktap_test_fail "everything is tested"
	else
		ktap_test_pass "everything is tested"
	fi
}

ktap_print_header
for program in keyctl sysctl wqmon; do
	command -v $program > /dev/null || {
		ktap_skip_all "there is no $program"
		exit "$SKIP"
	}
done
if [ ! -e "$DOCS/keys" ]; then
	ktap_skip_all "there is nothing in $DOCS: qemu/doc_blocks.py makes it"
	exit "$SKIP"
fi
if ! start "$DOCS/keys" > /dev/null; then
	ktap_skip_all "$(head -n 1 "$WORK/out")"
	exit "$SKIP"
fi
end 2> /dev/null
ktap_set_plan $(($(grep -c '^try_block [a-z]' "$0") + 1))

tested=
try_block keys
try_block devices
try_block readme
try_block filter
try_block watch_queue
try_block keyctl_watch_key
try_block watch_devices
try_block dmesg_restrict
try_block pipe-max-size
try_block who-watches
try_block who-loses
try_block wqmon-errors
try_block wqmon-stick
try_block wqmon-keys
try_block readme-wqmon
try_block jq-media
try_block man-media
try_block jq-counts
try_block exec-logger
try_block man-mail
all_tested

ktap_finished
