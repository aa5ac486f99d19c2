#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of wqmon.service under systemd, and of rsyslogd as what ships its lines.  What
# the collector has comes as "# json LINE" at the end, for somebody with more tools to
# hold it against the schema.

# shellcheck disable=SC2317 # tests are called by their names
# shellcheck disable=SC1091 # it is another's
. /kselftest/ktap_helpers.sh
# shellcheck source=../../watch_queue_guest.sh disable=SC2154 # $disk comes from there
. /tests/watch_queue_guest.sh

COLLECTED=/var/log/wqmon/sender.json
UNIT=/run/systemd/system/wqmon.service.d
LOG=/tmp/log
SHOWN=/shown

# ---- What the tests have in common ----

# try TEST WHAT: what it said is shown if it fails.
try()
{
	if "$1" > $LOG 2>&1; then
		ktap_test_pass "$2"
	else
		sed 's/^/# /' $LOG
		ktap_test_fail "$2"
	fi
}

# is PROPERTY VALUE: of the service.
is()
{
	value=$(systemctl show -P "$1" wqmon)
	[ "$value" = "$2" ] || {
		echo "$1 is $value, not $2"
		return 1
	}
}

# is_watching: and its process is in $pid.
is_watching()
{
	pid=$(systemctl show -P MainPID wqmon)
	watches "$pid" ""
}

# Lines of JSON in the journal, of those that the options select.
journal()
{
	journalctl -q -u wqmon -o cat "$@" | grep '^{'
}

# how_many PATTERN: lines at the collector.
how_many()
{
	grep -cs -- "$1" $COLLECTED || :
}

# arrive COUNT PATTERN: so many lines at the collector, in the end.
arrived()
{
	[ "$(how_many "$2")" = "$1" ]
}

arrive()
{
	wait_for arrived "$@" || {
		tail $COLLECTED
		return 1
	}
}

# ---- Tests ----

# The commands and the configuration of SHOWN are what the documentation shows.
service_watches()
{
	sh $SHOWN/enable.sh || return
	wait_for is_watching || {
		systemctl --no-pager -l status wqmon
		return 1
	}
}

# status_says LINE...: of its process.
status_says()
{
	for line; do
		grep -qx "$line" "/proc/$pid/status" || {
			echo "there is no $line in"
			cat "/proc/$pid/status"
			return 1
		}
	done
}

# The range is what systemd has for users that come and go with a service.
service_has_own_user()
{
	uid=$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")
	echo "its user is $uid"
	[ "$uid" -ge 61184 ] && [ "$uid" -le 65519 ] &&
		status_says "Uid:	$uid	$uid	$uid	$uid"
}

service_has_one_capability()
{
	status_says "CapInh:	0000000400000000" "CapPrm:	0000000400000000" \
		"CapEff:	0000000400000000" "CapBnd:	0000000400000000" \
		"CapAmb:	0000000400000000"
}

service_is_confined()
{
	status_says "NoNewPrivs:	1" "Seccomp:	2"
}

disk_fails()
{
	add_scsi_disk || return
	scsi_disk_is_bad
	read_disk "$disk" 582
	arrive 1 '"error_critical_medium".*"device":"'"$disk"'".*"sector":4656,'
}

# What identifies a disk is in sysfs, of which the service sees enough.
disk_is_identified()
{
	arrive 1 '"error_critical_medium".*"wwid":"[^"]'
}

stick_comes()
{
	open_monitor || return
	plug_stick || return
	wait_for stick_is_there || return
	arrive 1 '"subtype":"device_add".*"product_id":"0001"'
}

journal_has_level()
{
	journal -p err > /tmp/errors
	cat /tmp/errors
	grep -q '"sector":4656,' /tmp/errors && ! grep -v '"level":"error"' /tmp/errors &&
		journal | grep -q device_add
}

restarted()
{
	is_watching && [ "$pid" != "$before" ]
}

service_restarts()
{
	before=$pid
	systemctl restart wqmon || return
	wait_for restarted || return
	unplug_stick || return
	arrive 1 '"subtype":"device_remove".*"product_id":"0001"'
}

# Who sleeps is told how much was missed: the queue has room for less than this.
flood()
{
	for _ in $(seq 14); do
		dd if=/dev/wq of=/dev/null bs=512 skip=2048 count=64 conv=noerror 2> /dev/null
	done
}

loss_arrives()
{
	need_null_blk && add_null_disk wq || return
	systemctl kill -s STOP wqmon || return
	flood
	systemctl kill -s CONT wqmon || return
	arrive 1 '"subtype":"loss".*"lost":[1-9]'
}

# refusals: how often rsyslogd says that there is no collector.
refusals()
{
	grep -c "cannot connect" /var/log/syslog
}

was_refused()
{
	[ "$(refusals)" -gt "$before" ]
}

# What comes while nobody collects waits.
queue_keeps()
{
	before=$(refusals)
	systemctl stop collector || return
	read_disk "$disk" 582
	wait_for was_refused || return
	systemctl start collector || return
	arrive 2 '"error_critical_medium".*"sector":4656,'
}

same_as_journal()
{
	journal | cmp - $COLLECTED
}

errors_are_shown()
{
	sh $SHOWN/errors.sh > /tmp/errors || return
	cat /tmp/errors
	grep -q "medium error: read of sectors 4656 to 4663" /tmp/errors &&
		! grep -q "HARDDRIVE\]: added" /tmp/errors
}

# has_option OPTION: the process of the service.
has_option()
{
	is_watching && tr '\0' '\n' < "/proc/$pid/cmdline" | grep -qx -- "$1"
}

options_are_others()
{
	mkdir -p $UNIT
	cp $SHOWN/override.conf $UNIT
	systemctl daemon-reload && systemctl restart wqmon && wait_for has_option --no-stacked
	set -- $?
	rm $UNIT/override.conf
	return "$1"
}

nothing_is_missing()
{
	wait_for same_as_journal
}

# run_instead COMMAND: of wqmon, by the service.
run_instead()
{
	mkdir -p $UNIT
	printf '[Service]\nExecStart=\nExecStart=%s\n' "$1" > $UNIT/instead.conf
	systemctl daemon-reload && systemctl restart wqmon
}

lacking_kernel_ends_it()
{
	run_instead '/bin/sh -c "exit 4"'
	wait_for is SubState failed && is ExecMainStatus 4 && is NRestarts 0
}

failure_restarts_it()
{
	run_instead '/bin/sh -c "exit 1"'
	wait_for is SubState auto-restart && is ExecMainStatus 1
}

# What the kernel logs of all this is not shown, unless it is a catastrophe.
dmesg -n 3

echo "# program shipping_test.sh"
ktap_print_header
ktap_set_plan 16
try service_watches "systemd starts the service, and it watches"
try service_has_own_user "it has a user of its own"
try service_has_one_capability "it has CAP_SYSLOG and nothing else"
try service_is_confined "it is confined"
try disk_fails "the error of a disk arrives at the collector"
try disk_is_identified "it says which disk that is"
try stick_comes "a USB stick arrives at the collector"
try journal_has_level "the journal has the level"
try service_restarts "the service can be restarted"
try loss_arrives "loss arrives at the collector"
try queue_keeps "what comes while there is no collector arrives later"
try nothing_is_missing "the collector has what the journal has"
try errors_are_shown "the journal's errors are shown"
try options_are_others "it can have other options"
try lacking_kernel_ends_it "exit status 4 is no reason to start it again"
try failure_restarts_it "exit status 1 is"
# Of the flood one line will do.
awk '!/"device":"wq"/ || !told++ { print "# json " $0 }' $COLLECTED
echo wq-finished
reboot -f
