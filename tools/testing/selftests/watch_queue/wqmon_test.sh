#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of wqmon that need a kernel: events of keys, disks and USB are made, and what it
# says of them is looked at.  wqmon and keyctl have to be in PATH, and the tester has to
# be root.  What it prints as JSON comes as "# json LINE", for somebody with more tools
# to hold it against the schema.

# shellcheck disable=SC2317 # tests are called by their names
# shellcheck disable=SC2016 # it is for others to expand
# shellcheck disable=SC3043,SC3045 # the shell is busybox, or does as much
DIR=$(dirname "$0")
# shellcheck disable=SC1091 # it is another's
. "$DIR/../kselftest/ktap_helpers.sh"
. "$DIR/watch_queue_guest.sh"

# A session keyring of its own.
if [ -z "$WQMON_TEST" ]; then
	export WQMON_TEST=1
	exec keyctl session wqmon_test "$0" "$@"
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# ---- What the tests have in common ----

leave_nothing()
{
	# shellcheck disable=SC2046 # they are numbers
	kill $(jobs -p)
	cat "$WORK"/*.json >> "$WORK/lines"
	rm -f "$WORK"/*.out "$WORK"/*.err "$WORK"/*.json
}

is_ready_or_gone()
{
	grep -qs watching "$1" || ! kill -0 "$2" 2> /dev/null
}

# start NAME OPTION...: wqmon, which watches when this returns.  Its output is in
# NAME.out and NAME.err, its process in $pid.
start()
{
	local name="$1"

	shift
	# What one before it has said is not what is waited for.
	rm -f "$WORK/$name.err"
	wqmon "$@" > "$WORK/$name.out" 2> "$WORK/$name.err" &
	pid=$!
	wait_for is_ready_or_gone "$WORK/$name.err" "$pid"
}

# start_json OPTION...: the same, with JSON in json.json.
start_json()
{
	cat "$WORK/json.json" >> "$WORK/lines" 2> /dev/null
	rm -f "$WORK/json.err"
	wqmon --json "$@" > "$WORK/json.json" 2> "$WORK/json.err" &
	json=$!
	wait_for is_ready_or_gone "$WORK/json.err" "$json"
}

# says NAME PATTERN: it comes soon.
says()
{
	wait_for grep -q -- "$2" "$WORK/$1" || {
		cat "$WORK/$1"
		return 1
	}
}

# end PID STATUS: tells it to, and with which status it has to do so.
end()
{
	kill "$1"
	ends "$1" "$2"
}

# refuses STATUS PATTERN COMMAND...: it says why in one sentence.
refuses()
{
	local wanted="$1" pattern="$2"

	shift 2
	"$@" > "$WORK/refused.out" 2> "$WORK/refused.err" &
	ends $! "$wanted" || return
	cat "$WORK/refused.err"
	grep -q -- "$pattern" "$WORK/refused.err" &&
		[ "$(wc -l < "$WORK/refused.err")" = 1 ]
}

new_key()
{
	keyctl add user "$1" secret @s
}

# touch_key KEY N: makes as many events.
touch_key()
{
	local n="$2"

	while [ "$n" -gt 0 ]; do
		keyctl setperm "$1" 0x3f3f0000 || return
		n=$((n - 1))
	done
}

need_devices()
{
	wqmon -q -t 0.1 "$@" > /dev/null 2> "$WORK/need.err"
	[ $? != 4 ] || {
		cat "$WORK/need.err"
		return "$SKIP"
	}
}

# ---- Keys ----

# The kernel starts this to construct a key; it does as it is told when it is told.
give_upcall()
{
	mkdir -p /sbin
	cp "$(command -v request-key)" /sbin/request-key || return
	mkdir -p /etc
	echo "create user wqmon:* * $WORK/upcall %k %d %S" > /etc/request-key.conf
	cat > "$WORK/upcall" <<-END
		#!/bin/sh
		echo \$1 > $WORK/wanted.tmp && mv $WORK/wanted.tmp $WORK/wanted
		until [ -e $WORK/go ]; do sleep 0.1; done
		case \$2 in
		*:made) keyctl instantiate \$1 payload \$3 ;;
		*) keyctl reject \$1 100 rejected \$3 ;;
		esac
	END
	chmod +x "$WORK/upcall"
}

take_upcall()
{
	rm -f /sbin/request-key /etc/request-key.conf "$WORK/wanted" "$WORK/go"
}

# constructed NAME PATTERN: a key is requested, and watched before it is there.
constructed()
{
	local requester

	rm -f "$WORK/wanted" "$WORK/go"
	keyctl request2 user "wqmon:$1" info @s &
	requester=$!
	wait_for [ -e "$WORK/wanted" ] || return
	start keys -k "$(cat "$WORK/wanted")" -c 1
	start_json -k "$(cat "$WORK/wanted")" -c 1
	touch "$WORK/go"
	wait "$requester"
	says keys.out "$2" && ends "$pid" 0 && ends "$json" 0
}

keys_are_constructed()
{
	local status

	if [ -e /sbin/request-key ] || ! command -v request-key > /dev/null; then
		echo "request-key is not ours to give"
		return "$SKIP"
	fi
	give_upcall && constructed made "\[user wqmon:made\]: instantiated$" &&
		constructed not ": rejected: Key was rejected by service$" &&
		grep -q '"error_name":"EKEYREJECTED"' "$WORK/json.json"
	status=$?
	take_upcall
	return "$status"
}

keys_tell()
{
	local key ring

	key=$(new_key wqmon-key)
	start keys -k @s -k "$key" || return
	start_json -k @s -k "$key" || return
	keyctl update "$key" better
	says keys.out " key $key \[user wqmon-key\]: updated$" || return
	keyctl setperm "$key" 0x3f3f0000
	says keys.out " key $key \[user wqmon-key\]: attributes changed$" || return
	ring=$(keyctl newring wqmon-ring @s)
	says keys.out \
		" \[keyring wqmon_test\] (@s): linked key $ring \[keyring wqmon-ring\]$" ||
		return
	keyctl unlink "$ring" @s
	says keys.out " (@s): unlinked key $ring \[keyring wqmon-ring\]$" || return
	keyctl revoke "$key"
	says keys.out " key $key \[user wqmon-key\]: revoked$" || return
	keyctl clear @s
	says keys.out " (@s): cleared$" || return
	says keys.out " key $key \[user wqmon-key\]: no longer watched$" || return
	says json.json '"subtype":"removal"' || return
	end "$pid" 0 && end "$json" 0 &&
		grep -q '"subtype":"linked".*"target_description":"wqmon-ring"' \
			"$WORK/json.json" &&
		grep -q '^wqmon: 6 events, 0 records lost$' "$WORK/keys.err"
}

keys_are_invalidated()
{
	local key

	key=$(new_key wqmon-invalid)
	start keys -k "$key" || return
	start_json -k "$key" || return
	keyctl invalidate "$key"
	says keys.out "\[user wqmon-invalid\]: invalidated$" &&
		says keys.out ": no longer watched$" && ends "$pid" 0 && ends "$json" 0 &&
		grep -q "nothing is left to be watched" "$WORK/keys.err"
}

last_key_ends_it()
{
	local key

	key=$(new_key wqmon-last)
	start keys -k "$key" -c 2 || return
	keyctl unlink "$key" @s
	says keys.out "\[user wqmon-last\]: no longer watched$" && ends "$pid" 3
}

keys_by_name()
{
	local key

	key=$(new_key wqmon-name)
	start keys -k %user:wqmon-name -k %:wqmon_test -c 1 || return
	touch_key "$key" 1
	says keys.out " key $key \[user wqmon-name\] (%user:wqmon-name): attributes" &&
		ends "$pid" 0
}

# What others may have chosen does nothing to the terminal, and is good JSON.
names_are_harmless()
{
	local name

	name=$(printf 'a"\\\033[31m\377b')
	start keys -k @s -c 1 || return
	start_json -k @s -c 1 || return
	new_key "$name"
	says keys.out 'linked key [0-9]* \[user a"\\\\x1b\[31m\\xffb\]$' && ends "$pid" 0 &&
		ends "$json" 0 &&
		grep -qF '"target_description":"a\"\\\u001b[31m\ufffdb"' "$WORK/json.json"
}

nameless_keys()
{
	local key

	start keys -k @s -c 2 || return
	key=$(keyctl newring wqmon-hidden @s)
	says keys.out "wqmon-hidden" || return
	keyctl setperm "$key" 0x3e3e0000
	keyctl unlink "$key" @s
	says keys.out "unlinked key $key" && ends "$pid" 0
}

keys_filter()
{
	local key

	key=$(new_key wqmon-filter)
	start only -k "$key" -e updated -c 1 || return
	local only="$pid"
	start not -k "$key" -x setattr,'key.lin*' -c 1 || return
	touch_key "$key" 3
	keyctl update "$key" better
	ends "$only" 0 && ends "$pid" 0 && grep -q updated "$WORK/only.out" &&
		grep -q updated "$WORK/not.out" && [ "$(wc -l < "$WORK/not.out")" = 1 ]
}

# ---- Its end ----

count_ends_it()
{
	local key

	key=$(new_key wqmon-count)
	start keys -k "$key" -c 2 || return
	touch_key "$key" 4
	ends "$pid" 0 && [ "$(wc -l < "$WORK/keys.out")" = 2 ] &&
		grep -q "^wqmon: 2 events, 0 records lost$" "$WORK/keys.err"
}

timeout_ends_it()
{
	wqmon -k @s -t 0.2 && return 1
	[ $? = 3 ]
}

timeout_with_events()
{
	start keys -k @s -t 10 || return
	new_key wqmon-timeout
	says keys.out linked && ends "$pid" 0 || return
	start keys -k @s -t 1 -c 2 || return
	new_key wqmon-timeout2
	ends "$pid" 3
}

# Not in the background, for there a shell has SIGINT ignored.
signals_end_it()
{
	local signal

	for signal in INT TERM HUP; do
		(
			wait_for grep -qs watching "$WORK/$signal.err"
			kill -"$signal" "$(pidof wqmon)"
		) &
		wqmon -k @s > /dev/null 2> "$WORK/$signal.err" || return
		wait $!
		grep -q "^wqmon: 0 events, 0 records lost$" "$WORK/$signal.err" || return
	done
}

# Records that are read together have the same time, whenever they are printed.
time_is_of_reading()
{
	local key

	key=$(new_key wqmon-time)
	start_json -k "$key" -c 3 || return
	stop "$json" || return
	touch_key "$key" 3
	kill -CONT "$json"
	ends "$json" 0 || return
	cat "$WORK/json.json"
	[ "$(grep -o '"time":"[^"]*"' "$WORK/json.json" | sort -u | wc -l)" = 1 ]
}

# What has been posted before is still told.
signal_loses_nothing()
{
	local key

	key=$(new_key wqmon-signal)
	start keys -k "$key" --exec "until [ -e $WORK/go ]; do sleep 0.1; done" || return
	touch_key "$key" 20
	end "$pid" 0 && [ "$(wc -l < "$WORK/keys.out")" = 20 ]
}

quiet_is_quiet()
{
	wqmon -q -k @s -t 5 > "$WORK/quiet.out" 2> "$WORK/quiet.err" &
	pid=$!
	wait_for watches "$pid" "id:[1-9a-f]" || return
	new_key wqmon-quiet
	says quiet.out linked && end "$pid" 0 && [ ! -s "$WORK/quiet.err" ]
}

reader_ends_it()
{
	mkfifo "$WORK/reader"
	wqmon -k @s > "$WORK/reader" 2> "$WORK/keys.err" &
	pid=$!
	head -n 1 < "$WORK/reader" > "$WORK/head.out" &
	says keys.err watching || return
	new_key wqmon-reader
	ends "$pid" 0 && grep -q linked "$WORK/head.out" &&
		! grep -qi "pipe\|write" "$WORK/keys.err"
}

# open_full NAME: a pipe that has no room, whose reader, descriptor 4, sleeps.
open_full()
{
	mkfifo "$WORK/$1"
	exec 4<> "$WORK/$1"
	dd if=/dev/zero of="$WORK/$1" bs=4096 count=16 2> /dev/null
}

# It does not wait for who does not read.
sleeper_does_not_keep_it()
{
	open_full sleeper || return
	wqmon -k @s > "$WORK/sleeper" 2> "$WORK/sleeper.err" &
	pid=$!
	exec 4>&-
	says sleeper.err watching || return
	new_key wqmon-sleeper
	end "$pid" 0 && grep -q "nobody reads standard output" "$WORK/sleeper.err"
}

# Nor when its time is over.
sleeper_does_not_stop_time()
{
	open_full dreamer || return
	wqmon -k @s -t 5 > "$WORK/dreamer" 2> "$WORK/dreamer.err" &
	pid=$!
	exec 4>&-
	says dreamer.err watching || return
	new_key wqmon-dreamer
	ends "$pid" 0 && grep -q "nobody reads standard output" "$WORK/dreamer.err"
}

# Nor what is still in the queue when it is told to end.
sleeper_does_not_keep_queue()
{
	local key

	key=$(new_key wqmon-snorer)
	open_full snorer || return
	wqmon -k "$key" > "$WORK/snorer" 2> "$WORK/snorer.err" &
	pid=$!
	exec 4>&-
	says snorer.err watching || return
	stop "$pid" || return
	touch_key "$key" 3
	kill "$pid"
	kill -CONT "$pid"
	ends "$pid" 0 && grep -q "nobody reads standard output" "$WORK/snorer.err"
}

time_is_over()
{
	grep -qs "^ticks: 1$" /proc/"$1"/fdinfo/*
}

# The time is over while a command runs, which is waited for; then a signal counts.
signal_counts_after_time()
{
	start keys -k @s -t 3 -c 2 --exec "sleep 1000" || return
	new_key wqmon-late
	says keys.out linked && wait_for time_is_over "$pid" || return
	end "$pid" 0
}

full_disk_ends_it()
{
	[ -c /dev/full ] || return "$SKIP"
	wqmon -k @s > /dev/full 2> "$WORK/full.err" &
	pid=$!
	wait_for grep -qs watching "$WORK/full.err" || return
	new_key wqmon-full
	ends "$pid" 1 && grep -q "cannot write to standard output: No space" "$WORK/full.err"
}

# no_file N: wqmon ends, or has /dev/null there.
no_file()
{
	case $1 in
	0) wqmon -k @s -t 60 <&- > /dev/null 2> "$WORK/closed.err" & ;;
	1) wqmon -k @s -t 60 >&- 2> "$WORK/closed.err" & ;;
	2) wqmon -k @s -t 60 > /dev/null 2>&- & ;;
	esac
	pid=$!
	wait_for watches_or_gone "$pid"
}

closed_files_are_opened()
{
	local fd

	for fd in 0 2; do
		no_file "$fd" || return
		readlink "/proc/$pid/fd/$fd" | tee "$WORK/closed.out"
		end "$pid" 0 && grep -qx /dev/null "$WORK/closed.out" || return
	done
}

closed_output_ends_it()
{
	no_file 1
	ends "$pid" 1 && grep -qx "wqmon: standard output is closed" "$WORK/closed.err"
}

# ---- Loss ----

# The queue holds 8 events while the command for the first one runs.
loss_is_in_place()
{
	local key lost

	key=$(new_key wqmon-loss)
	start_json -k "$key" --depth 1 \
		--exec "until [ -e $WORK/go ]; do sleep 0.1; done" || return
	touch_key "$key" 1
	says json.json '"seq":1,' || return
	touch_key "$key" 30
	touch "$WORK/go"
	says json.json '"subtype":"loss"' || return
	touch_key "$key" 1
	says json.json '"seq":11,' || return
	end "$json" 0
	lost=$(sed -n '10s/.*"subtype":"loss".*"lost":\([0-9]*\)}$/\1/p' "$WORK/json.json")
	cat "$WORK/json.json" "$WORK/json.err"
	rm "$WORK/go"
	[ "$lost" = 22 ] && [ "$(wc -l < "$WORK/json.json")" = 11 ] &&
		grep -q "^wqmon: 10 events, 22 records lost$" "$WORK/json.err"
}

depth_is_set()
{
	start keys -k @s --depth 3 || return
	grep -h "^watch_queue-depth:" /proc/"$pid"/fdinfo/* | tee "$WORK/depth.out"
	grep -qx "watch_queue-depth:	3" "$WORK/depth.out" && end "$pid" 0
}

tags_count_on()
{
	local key

	key=$(new_key wqmon-tag)
	start_json -k @s -k "$key" --tag 40 -c 2 || return
	touch_key "$key" 1
	new_key wqmon-tag2
	ends "$json" 0 && grep -q '"tag":41,"watch":"'"$key"'",.*"key":'"$key"',' \
		"$WORK/json.json" &&
		grep -q '"subtype":"linked".*"tag":40,"watch":"@s",' "$WORK/json.json"
}

# ---- Lines and commands ----

colours_and_levels()
{
	start colour -k @s --color always -c 1 || return
	local colour="$pid"
	start level -k @s --level-prefix -c 1 || return
	new_key wqmon-colour
	ends "$colour" 0 && ends "$pid" 0 && grep -q '^<6>20' "$WORK/level.out" &&
		grep -q "$(printf '\033')\[1mkey" "$WORK/colour.out"
}

# What is typed is not for the command.
command_knows_it()
{
	echo typed > "$WORK/typed"
	wqmon -k @s -c 1 --exec \
		"env | grep ^WQ_ > $WORK/env; read typed; echo \$typed >> $WORK/env" \
		< "$WORK/typed" > "$WORK/keys.out" 2> "$WORK/keys.err" &
	pid=$!
	says keys.err watching || return
	new_key 'wqmon $(command)'
	ends "$pid" 0 || return
	cat "$WORK/env"
	grep -qx 'WQ_TYPE=key' "$WORK/env" && grep -qx 'WQ_SUBTYPE=linked' "$WORK/env" &&
		grep -qx 'WQ_WATCH=@s' "$WORK/env" && grep -qx 'WQ_SEQ=1' "$WORK/env" &&
		grep -qx 'WQ_TARGET_DESCRIPTION=wqmon $(command)' "$WORK/env" &&
		grep -q '^WQ_MESSAGE=key ' "$WORK/env" && ! grep -q typed "$WORK/env"
}

# Variables that wqmon itself was given are not the event's.
command_knows_nothing_else()
{
	WQ_SECTOR=7 WQ_LOST=8 WQX=9 start keys -k @s -c 1 --exec "env > $WORK/env" || return
	new_key wqmon-else
	ends "$pid" 0 || return
	cat "$WORK/env"
	grep -q "^WQ_SEQ=1$" "$WORK/env" && grep -q "^WQX=9$" "$WORK/env" &&
		! grep -q "^WQ_SECTOR\|^WQ_LOST" "$WORK/env"
}

# It may have no process, and goes on without; by env, for a shell runs already.
command_without_process()
{
	as_nobody env sh -c 'ulimit -u 0; exec "$@"' sh wqmon -k @u -t 60 -c 2 --exec true \
		> "$WORK/fork.out" 2> "$WORK/fork.err" &
	pid=$!
	says fork.err watching || return
	as_nobody keyctl add user wqmon-fork secret @u &&
		as_nobody keyctl add user wqmon-fork2 secret @u || return
	ends "$pid" 0
	cat "$WORK/fork.err"
	[ "$(grep -c "^wqmon: cannot run the command at event [12]: Resource temporarily" \
		"$WORK/fork.err")" = 2 ]
}

# One at a time, and one that fails is told of.
commands_in_turn()
{
	local key

	key=$(new_key wqmon-turn)
	start keys -k "$key" -c 3 --exec \
		"mkdir $WORK/turn || exit 9; sleep 0.2; rmdir $WORK/turn; exit 7" || return
	touch_key "$key" 3
	ends "$pid" 0 || return
	cat "$WORK/keys.err"
	[ "$(grep -c "^wqmon: the command failed with status 7 at event [123]$" \
		"$WORK/keys.err")" = 3 ]
}

command_is_stopped()
{
	start keys -k @s --exec "echo \$\$ > $WORK/started; sleep 1000 | cat" || return
	new_key wqmon-stop
	wait_for [ -s "$WORK/started" ] || return
	end "$pid" 0 && ! pidof sleep &&
		grep -q "^wqmon: the command was killed by signal 15 (Terminated) at event 1$" \
			"$WORK/keys.err"
}

# One that has stopped, as it does when it wants the terminal.
stopped_command_is_stopped()
{
	start keys -k @s --exec "echo \$\$ > $WORK/stopped; kill -STOP \$\$" || return
	new_key wqmon-stopped
	wait_for [ -s "$WORK/stopped" ] && wait_for is_stopped "$(cat "$WORK/stopped")" ||
		return
	end "$pid" 0 && grep -q "^wqmon: the command was killed by signal 15" "$WORK/keys.err"
}

no_sleep_is_left()
{
	! pidof sleep
}

# It does not want to hear, and the second time it is not asked.
deaf_command_is_killed()
{
	start keys -k @s --exec \
		"trap '' TERM; echo \$\$ > $WORK/deaf; until sleep 1000; do :; done" || return
	new_key wqmon-deaf
	wait_for [ -s "$WORK/deaf" ] || return
	kill -HUP "$pid"
	end "$pid" 0 && grep -q "^wqmon: the command was killed at event 1$" "$WORK/keys.err" &&
		wait_for no_sleep_is_left
}

# ---- What is refused ----

no_such_key()
{
	refuses 1 "there is no key 1; see 'keyctl show'" wqmon -k 1 &&
		refuses 1 "there is no key '%user:wqmon-none'" wqmon -k %user:wqmon-none
}

no_view_permission()
{
	local key

	key=$(new_key wqmon-view)
	keyctl setperm "$key" 0x3e3e0000
	refuses 1 "may not watch the key $key: it takes View permission" wqmon -k "$key"
}

revoked_key()
{
	local key

	key=$(new_key wqmon-revoked)
	keyctl revoke "$key"
	refuses 1 "the key $key cannot be watched any more" wqmon -k "$key"
}

key_given_twice()
{
	refuses 2 "is given twice" wqmon -k @s -k "$(keyctl id @s)"
}

# with_files N OPTION...: wqmon, which may have so many files open.
with_files()
{
	# The shell needs more than that itself.
	sh -c 'ulimit -n "$0" && exec wqmon "$@"' "$@"
}

too_many_watches()
{
	refuses 1 "has as many watches as RLIMIT_NOFILE allows, 7" with_files 7 -k @s \
		-k "$(new_key wqmon-1)" -k "$(new_key wqmon-2)" -k "$(new_key wqmon-3)" \
		-k "$(new_key wqmon-4)" -k "$(new_key wqmon-5)" -k "$(new_key wqmon-6)" \
		-k "$(new_key wqmon-7)"
}

too_many_files()
{
	refuses 1 "cannot make a notification pipe: too many files are open" with_files 5 -k @s
}

too_many_pages()
{
	local before hard=/proc/sys/fs/pipe-user-pages-hard status

	before=$(cat $hard)
	echo 1 > $hard
	refuses 1 "raise fs.file-max or fs.pipe-user-pages-hard" as_nobody wqmon -k @u
	status=$?
	echo "$before" > $hard
	return "$status"
}

too_deep()
{
	refuses 1 "a depth of 4294967295 is more than this kernel can do" wqmon -k @s \
		--depth 4294967295
}

too_deep_for_user()
{
	refuses 1 "a depth of 1000000 is more than this user may have ([1-9][0-9]* at most)" \
		as_nobody wqmon -k @u --depth 1000000
}

restricted_log()
{
	local before status

	need_devices || return
	before=$(cat /proc/sys/kernel/dmesg_restrict)
	echo 1 > /proc/sys/kernel/dmesg_restrict
	as_nobody wqmon -t 0.1 2> "$WORK/restricted.err"
	status=$?
	echo 0 > /proc/sys/kernel/dmesg_restrict
	as_nobody wqmon -t 0.1 2> "$WORK/public.err"
	[ $? = 3 ] || status=public
	echo "$before" > /proc/sys/kernel/dmesg_restrict
	cat "$WORK/restricted.err" "$WORK/public.err"
	[ "$status" = 1 ] &&
		grep -q "kernel.dmesg_restrict is set.*outside of user namespaces" \
			"$WORK/restricted.err"
}

user_namespace()
{
	need_devices || return
	unshare -U -r true || return "$SKIP"
	unshare -U -r wqmon -t 0.1 2> "$WORK/unshared.err"
	[ $? = 1 ] && grep -q "outside of user namespaces" "$WORK/unshared.err"
}

# What no event can be about is refused, whatever else it is.
names_that_cannot_come()
{
	local file

	for file in /dev/null /sys/block/*/size /sys/bus/usb/devices/*:*; do
		[ ! -e "$file" ] || refuses 1 "is no device file" wqmon -t 5 -n "$file" || return
	done
	need_devices -u || return
	for file in /sys/bus/usb/devices/usb*; do
		[ -e "$file" ] || return "$SKIP"
		wqmon -q -u -t 0.1 -n "$file"
		[ $? = 3 ] || return 1
	done
}

# ---- Devices ----

usb_tells()
{
	local usb

	need_devices -u || return
	if [ ! -c "${WQ_QMP-}" ] || ! command -v usb_reset > /dev/null; then
		echo "nobody can plug and unplug"
		return "$SKIP"
	fi
	open_monitor || return
	start usb -u || return
	usb=$pid
	start_json -u || return
	start named -n '46f4:*' -e device_reset,device_add -c 2 || return
	plug_stick && says usb.out " usb [0-9.-]* \[46f4:0001 QEMU USB HARDDRIVE\]: added$" &&
		wait_for stick_is_there && wait_for disk_below "$stick" || return
	reset_stick && says usb.out "HARDDRIVE\]: reset$" || return
	unplug_stick && says usb.out "HARDDRIVE\]: removed$" || return
	ends "$pid" 0 && end "$usb" 0 && says json.json '"subtype":"device_remove"' &&
		end "$json" 0 && grep -q '"model":"QEMU USB HARDDRIVE",.*"vendor_id":"46f4"' \
			"$WORK/json.json"
}

# The controller's driver lets go of it, and takes it again.
usb_buses_tell()
{
	local controller

	need_devices -u || return
	controller=$(echo /sys/bus/pci/drivers/xhci_hcd/0000:*)
	[ -e "$controller" ] || {
		echo "there is no xHCI"
		return "$SKIP"
	}
	start_json -e 'bus_*' -c 4 || return
	echo "${controller##*/}" > /sys/bus/pci/drivers/xhci_hcd/unbind
	says json.json '"subtype":"bus_remove"' || return
	echo "${controller##*/}" > /sys/bus/pci/drivers/xhci_hcd/bind
	ends "$json" 0 && [ "$(grep -c '"subtype":"bus_add".*"device":"usb[0-9]' \
		"$WORK/json.json")" = 2 ]
}

disks_tell()
{
	local sd

	need_devices -b && need_scsi_debug || return
	start disks -b || return
	start_json -b || return
	add_scsi_disk && scsi_disk_is_bad || return
	sd=$disk
	read_disk "$sd" 582
	says disks.out " block $sd \[Linux scsi_debug\]: medium error: read of sectors 4656 to" ||
		return
	says json.json '"wwid":"naa.33333330.*"sector":4656,"sectors":8,.*"error_name":"ENODATA"' ||
		return
	remove_scsi_disk "$sd"
	end "$pid" 0 && end "$json" 0
}

capacity_tells()
{
	need_devices -b || return
	[ -d /sys/block/zram0 ] || {
		echo "there is no zram"
		return "$SKIP"
	}
	echo 1 > /sys/block/zram0/reset
	start_json -e capacity -n zram0 -c 1 || return
	echo 1M > /sys/block/zram0/disksize
	ends "$json" 0 || return
	echo 1 > /sys/block/zram0/reset
	grep -q '"device":"zram0",.*"operation":"none","sector":2048,' "$WORK/json.json"
}

# Of two disks one is named, in each way there is.
disks_by_name()
{
	local number name

	need_devices -b && need_null_blk || return
	add_null_disk nullb7 && add_null_disk nullb8 || return
	number=$(cat /sys/block/nullb8/dev)
	ln -s /dev/nullb8 "$WORK/link"
	for name in nullb8 'nul*8' "$number" /dev/nullb8 "$WORK/link" /sys/block/nullb8; do
		start_json -b -n "$name" -c 1 || return
		read_disk nullb7 256
		read_disk nullb8 257
		ends "$json" 0 && grep -q '"device":"nullb8",.*"sector":2056,' "$WORK/json.json" &&
			[ "$(wc -l < "$WORK/json.json")" = 1 ] || return
	done
	remove_null_disk nullb7
	remove_null_disk nullb8
}

# A disk that is gone when its event is read still has its name.
disks_are_remembered()
{
	need_devices -b && need_null_blk || return
	add_null_disk nullb9 || return
	start_json -b --exec "until [ -e $WORK/go ]; do sleep 0.1; done" || return
	read_disk nullb9 256
	says json.json '"seq":1,' || return
	read_disk nullb9 257
	remove_null_disk nullb9
	wait_for [ ! -e /sys/block/nullb9 ] || return
	touch "$WORK/go"
	says json.json '"sector":2056,' && end "$json" 0 || return
	rm "$WORK/go"
	grep -q '"device":"nullb9".*"sector":2056,' "$WORK/json.json"
}

stacked_are_left_out()
{
	need_devices -b || return
	start disks -b -S || return
	grep -h "^watch_queue-filter:" /proc/"$pid"/fdinfo/* | sort -u | tee "$WORK/filter.out"
	grep -q "type:2 info:00000000 mask:00010000 subtypes:ffffffff" "$WORK/filter.out" &&
		[ "$(wc -l < "$WORK/filter.out")" = 1 ] && end "$pid" 0
}

keys_and_devices()
{
	need_devices -b && need_null_blk || return
	add_null_disk nullb6 || return
	start_json -k @s -d || return
	new_key wqmon-both
	says json.json '"tag":1,"watch":"@s"' || return
	read_disk nullb6 256
	says json.json '"tag":2,"watch":"devices",.*"device":"nullb6"' && end "$json" 0 &&
		remove_null_disk nullb6
}

# ---- Manual pages ----

# ---- All of them ----

ktap_print_header
if ! command -v wqmon > /dev/null || ! command -v keyctl > /dev/null; then
	ktap_skip_all "there is no wqmon or no keyctl"
	exit "$SKIP"
fi
timeout 20 wqmon -q -k @s -t 0.1 > /dev/null 2> "$WORK/log"
if [ $? = 4 ]; then
	ktap_skip_all "$(head -n 1 "$WORK/log")"
	exit "$SKIP"
fi
ktap_set_plan "$(grep -c '^try [a-z]' "$0")"

try keys_tell "keys tell"
try keys_are_invalidated "keys are invalidated"
try keys_are_constructed "keys are constructed"
try last_key_ends_it "the last key's end ends it"
try keys_by_name "keys by name"
try names_are_harmless "names are harmless"
try nameless_keys "keys without a name"
try keys_filter "keys' events are chosen"
try count_ends_it "a count ends it"
try timeout_ends_it "a timeout ends it"
try timeout_with_events "a timeout ends it after events"
try signals_end_it "signals end it"
try time_is_of_reading "time is that of reading"
try signal_loses_nothing "a signal loses nothing"
try quiet_is_quiet "quiet is quiet"
try reader_ends_it "a reader who goes ends it"
try sleeper_does_not_keep_it "a reader who sleeps does not keep it"
try sleeper_does_not_stop_time "a reader who sleeps does not stop time"
try sleeper_does_not_keep_queue "a reader who sleeps does not keep the queue"
try signal_counts_after_time "a signal counts after the time is over"
try closed_files_are_opened "files that are closed are opened"
try closed_output_ends_it "output that is closed ends it"
try full_disk_ends_it "a full disk ends it"
try loss_is_in_place "loss is told in place"
try depth_is_set "depth is set"
try tags_count_on "tags count on"
try colours_and_levels "colours and levels"
try command_knows_it "a command knows the event"
try command_knows_nothing_else "a command knows nothing else"
try command_without_process "a command without a process"
try commands_in_turn "commands run in turn"
try command_is_stopped "a command is stopped"
try stopped_command_is_stopped "a command that has stopped is stopped"
try deaf_command_is_killed "a command that does not hear is killed"
try no_such_key "no such key"
try no_view_permission "no View permission"
try revoked_key "a revoked key"
try key_given_twice "a key given twice"
try too_many_watches "too many watches"
try too_many_files "too many files"
try too_many_pages "too many pages of pipes"
try too_deep "too deep for the kernel"
try too_deep_for_user "too deep for the user"
try restricted_log "a log that is restricted"
try user_namespace "a user namespace"
try names_that_cannot_come "names that cannot come"
try usb_tells "USB devices tell"
try usb_buses_tell "USB buses tell"
try disks_tell "disks tell"
try capacity_tells "capacity tells"
try disks_by_name "disks by name"
try disks_are_remembered "disks are remembered"
try stacked_are_left_out "stacked disks are left out"
try keys_and_devices "keys and devices together"

sed 's/^/# json /' "$WORK/lines"
ktap_finished
