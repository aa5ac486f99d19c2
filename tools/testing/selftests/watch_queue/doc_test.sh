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

add_key()
{
	key=$(keyctl add user doc_test:"$1" secret @s)
}

need_null_blk()
{
	null_blk_is_there || {
		echo "there is no null_blk"
		return "$SKIP"
	}
}

# Of eight sectors from 2048 on, which are bad.
read_bad_disk()
{
	add_null_disk nulldoc && ! read_disk nulldoc 256 && remove_null_disk nulldoc
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
all_tested

ktap_finished
