#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of wqmon and its manual pages that need no kernel.  Prints TAP; "make check"
# runs it.  The others are in ../testing/selftests/watch_queue/wqmon_test.sh.
#
# OUTPUT=DIR/    where the programs are

# shellcheck disable=SC2317 # tests are called by their names
set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
OUTPUT=${OUTPUT:-$PWD/}
# The one that the system's packages are for.
PYTHON=${PYTHON:-/usr/bin/python3}
PAGES=(*.[1-8])

number=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# result STATUS WHAT: a line of TAP; 4 is for what could not be tested, and a file
# says why.
result()
{
	number=$((number + 1))
	case $1 in
	0)
		echo "ok $number - $2"
		;;
	4)
		echo "ok $number - $2 # SKIP $(head -n 1 "$work/log")"
		;;
	*)
		failed=1
		sed 's/^/# /' "$work/log"
		echo "not ok $number - $2"
		;;
	esac
}

# try WHAT COMMAND...: one test.
try()
{
	local what=$1

	shift
	"$@" > "$work/log" 2>&1
	result $? "$what"
}

# need PROGRAM
need()
{
	command -v "$1" > /dev/null || {
		echo "there is no $1"
		return 4
	}
}

unit_tests()
{
	local line

	while IFS= read -r line; do
		case $line in
		'ok '*)
			result 0 "${line#*- }"
			;;
		'not ok '*)
			result 1 "${line#*- }"
			;;
		'# '*)
			echo "${line#\# }" >> "$work/log"
			continue
			;;
		1..*)
			ended=1
			;;
		esac
		: > "$work/log"
	done
	[ -n "${ended-}" ]
}

lines_fit()
{
	"$OUTPUT"wqmon_unit --json > "$work/lines" || return
	"$PYTHON" check_lines.py wqmon.schema.json < "$work/lines"
}

schema_refuses()
{
	"$OUTPUT"wqmon_unit --json | head -n 1 | sed "$1" > "$work/lines" || return
	"$PYTHON" check_lines.py wqmon.schema.json < "$work/lines"
	case $? in
	1) return 0 ;;
	4) return 4 ;;
	*) return 1 ;;
	esac
}

# Pages that are not installed here are not found.
page_is_clean()
{
	need mandoc || return
	mandoc -Tlint "$1" | grep -v "referenced manual not found\|outdated mandoc.db" |
		tee "$work/lint"
	[ ! -s "$work/lint" ]
}

# Long options of --help, one a line.
options()
{
	"$OUTPUT"wqmon --help | grep -o -- '--[a-z-]\+' | sort -u
}

page_has_options()
{
	local option missing=0

	for option in $(options); do
		grep -q "^\.It.* Fl -${option#--}\b" wqmon.1 || {
			echo "$option is not described"
			missing=1
		}
	done
	return "$missing"
}

help_fits()
{
	"$OUTPUT"wqmon --help > "$work/help" || return
	[ "$(wc -l < "$work/help")" -le 24 ] && [ "$(wc -L < "$work/help")" -le 80 ]
}

# completed WORD...: what can stand for the last one.
completed()
{
	PATH=$OUTPUT:$PATH bash -c '
		. ./wqmon.bash-completion
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_wqmon 2> /dev/null
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

completes()
{
	local wanted=$1

	shift
	completed "$@" | tee "$work/completed"
	grep -qxF -- "$wanted" "$work/completed"
}

completes_options()
{
	diff <(completed wqmon -- | grep -- -- | sort) \
		<(options)
}

# refuses WORDS STATUS ARGUMENT...: the error has these words, and is one line.
refuses()
{
	local words=$1 status=$2

	shift 2
	"$OUTPUT"wqmon "$@" > "$work/out" 2> "$work/err"
	[ $? = "$status" ] && grep -q -- "$words" "$work/err" &&
		[ "$(wc -l < "$work/err")" = 1 ] && [ ! -s "$work/out" ] && return
	cat "$work/err"
	return 1
}

installs()
{
	local file

	make -s install DESTDIR="$work/root" prefix=/opt/wq OUTPUT="$OUTPUT" || return
	for file in bin/wqmon share/man/man1/wqmon.1 share/man/man2/watch_devices.2 \
		share/man/man2/keyctl_watch_key.2 share/man/man7/watch_queue.7 \
		share/bash-completion/completions/wqmon share/wqmon/wqmon.schema.json \
		lib/systemd/system/wqmon.service; do
		[ -s "$work/root/opt/wq/$file" ] || {
			echo "$file is missing"
			return 1
		}
	done
	grep -q '^ExecStart=/opt/wq/bin/wqmon ' \
		"$work/root/opt/wq/lib/systemd/system/wqmon.service"
}

# What it opens later must not take its place.
refuses_no_output()
{
	"$OUTPUT"wqmon -k 1 >&- 2> "$work/err"
	[ $? = 1 ] && grep -qx "wqmon: standard output is closed" "$work/err"
}

# It wants the program to be there.
service_is_sound()
{
	need systemd-analyze || return
	sed "s|@bindir@|${OUTPUT%/}|" wqmon.service > "$work/wqmon.service"
	systemd-analyze verify --man=no "$work/wqmon.service"
}

echo "TAP version 13"
: > "$work/log"
unit_tests < <("$OUTPUT"wqmon_unit)
result $? "wqmon_unit ran to its end"
try "lines fit the schema" lines_fit
try "the schema refuses another type" schema_refuses 's/"type":"[a-z]*"/"type":"foo"/'
try "the schema refuses a member that is missing" schema_refuses 's/"seq":1,//'
try "the schema refuses a member too many" schema_refuses 's/}$/,"more":1}/'
try "the schema refuses another type's member" schema_refuses 's/}$/,"sector":1}/'
for page in "${PAGES[@]}"; do
	try "$page is clean" page_is_clean "$page"
done
try "--help fits a screen" help_fits
try "wqmon.1 has all options" page_has_options
try "completion has all options" completes_options
try "completion of an event" completes linked wqmon -e lin
try "completion of a second event" completes linked,block.dead wqmon --event = linked,block.de
try "completion of a key" completes @us wqmon -k @u
try "completion of a colour" completes never wqmon --color = n
try "completion of the same" completes never wqmon --colour = n
try "no such option" refuses "unrecognized option '--foo'" 2 --foo
try "no such event" refuses "no event is called 'foo'" 2 -e foo
try "no such key" refuses "'foo' is no key" 2 -k foo
try "no such special key" refuses "there is no key '@x'" 2 -k @x
try "half a key's name" refuses "'%user' names no key" 2 -k %user
try "no argument is taken" refuses "do not know what to do with 'sda'" 2 sda
try "no such device" refuses "/dev/null/x is no device file" 1 -n /dev/null/x
try "no device, but a file" refuses "/etc/passwd is no device file" 1 -n /etc/passwd
for file in /dev/null /sys/block/*/size /sys/block; do
	[ ! -e "$file" ] ||
		try "$file, no device" refuses "$file is no device file" 1 -n "$file"
done
try "count of nothing" refuses "--count takes a number from 1" 2 -c 0
try "count that is none" refuses "not '5x'" 2 -c 5x
try "negative depth" refuses "--depth takes a number" 2 --depth -1
try "timeout of nothing" refuses "--timeout takes seconds" 2 -t 0
try "timeout that is none" refuses "not 'nan'" 2 -t nan
try "tag out of range" refuses "--tag takes a number from 0 to 255" 2 --tag 256
try "colour that is none" refuses "--color takes auto, always or never" 2 --color red
try "keys' events of devices" refuses "none of their events is let through" 2 -d -e linked
try "no standard output" refuses_no_output
try "all events excluded" refuses "none of their events is let through" 2 -x '*'
try "make install" installs
try "wqmon.service is sound" service_is_sound
echo "1..$number"
exit $failed
