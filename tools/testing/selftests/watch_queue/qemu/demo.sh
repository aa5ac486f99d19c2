#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Keys change, a USB stick comes and goes, a disk fails, and a reader sleeps: on the left
# stands what is done, beside it what wqmon hears of it.  The distribution's keyctl
# listens, too.  Fails if they do not hear what they must.

# shellcheck source=../watch_queue_guest.sh
. /tests/watch_queue_guest.sh

# must COMMAND...: there is no use in going on without it.
must()
{
	"$@" || exit 1
}

# row LEFT RIGHT: a line, or more if there is not enough room.
# shellcheck disable=SC3043 # the shell is busybox
row()
{
	local left="$1" line

	if [ ${#left} -gt 38 ]; then
		echo "  $left"
		left=
	fi
	echo "$2" | fold -s -w 58 | sed 's/ $//' | while IFS= read -r line; do
		printf '  %-38s  %s\n' "$left" "$line"
		left=
	done
}

title()
{
	printf '\n%s\n' "$*"
}

# lines NAME: how many there are.
lines()
{
	wc -l < "/tmp/$1"
}

# do_it TEXT COMMAND...: what has been heard before does not count any more.
do_it()
{
	cause=$1
	shift
	done=$((done + 1))
	for name in $LISTENERS; do
		lines "$name" > "/tmp/$name.before"
	done
	"$@" > /tmp/out || cat /tmp/out
}

# news NAME: what has been heard since, without date and time.
news()
{
	tail -n +$(($(cat "/tmp/$1.before") + 1)) "/tmp/$1" |
		sed 's/^[0-9-]* [0-9:.]* //'
}

told()
{
	news "$1" | grep -q -- "$2"
}

# keyctl_told PATTERN: keyctl has to hear of it as well, in its own words.
keyctl_told()
{
	must wait_for told keyctl "$1"
}

# heard PATTERN...: all of it has to come; then what came is shown.
heard()
{
	for pattern; do
		must wait_for told wqmon "$pattern"
	done
	show_news
}

show_news()
{
	news wqmon > /tmp/news
	while IFS= read -r line; do
		row "$cause" "$line"
		cause=
	done < /tmp/news
}

# change ARGUMENT...: by keyctl.
change()
{
	do_it "keyctl $*" keyctl "$@"
}

# listen OPTION...: the reader, whose process is in $watcher.
listen()
{
	wqmon --quiet "$@" >> /tmp/wqmon &
	watcher=$!
}

show_keys()
{
	title "Keys, in the session keyring $(keyctl id @s)"
	change newring ring @s
	heard linked
	keyctl_told link
	ring=$(cat /tmp/out)
	change update %user:demo better-secret
	heard updated
	change timeout %user:demo 1000
	heard "attributes changed"
	change unlink "$ring" @s
	heard unlinked
	keyctl_told unl
	change revoke %user:demo
	heard revoked
	change clear @s
	heard cleared "no longer watched"
	keyctl_told clr
}

show_usb()
{
	title "A USB stick"
	must open_monitor
	do_it "it is plugged in" plug_stick
	must wait_for stick_is_there
	must wait_for disk_below "$stick"
	heard "HARDDRIVE\]: added"
	do_it "a program resets it" reset_stick
	heard "HARDDRIVE\]: reset"
	do_it "it is pulled out" unplug_stick
	heard "HARDDRIVE\]: removed"
}

show_disk()
{
	title "A disk with bad sectors"
	must add_scsi_disk
	scsi_disk_is_bad
	do_it "dd if=/dev/$disk bs=4k skip=582 count=1" read_disk "$disk" 582
	heard "medium error: read of sectors 4656 to 4663"
}

touch_key()
{
	for _ in $(seq "$2"); do
		keyctl setperm "$1" 0x3f3f0000
	done
}

# A queue of one page is full after a few records.
show_loss()
{
	title "A reader that sleeps, with a queue that is small"
	key=$(keyctl add user demo2 secret @s)
	listen --depth 1 --key "$key"
	must wait_for watches $watcher ""
	stop $watcher
	do_it "keyctl setperm, 30 times; it wakes up" touch_key "$key" 30
	kill -CONT $watcher
	must wait_for told wqmon LOST
	kept=$(news wqmon | grep -c "attributes changed")
	lost=$(news wqmon | sed -n 's/.*LOST \([0-9]*\) .*/\1/p')
	row "$cause" "key $key [user demo2]: attributes changed, $kept times"
	row "" "$(news wqmon | grep LOST)"
	must [ $((kept + lost)) = 30 ]
}

# What the kernel logs of all this is not shown, unless it is a catastrophe.
dmesg -n 3

LISTENERS="wqmon keyctl"
done=0
touch /tmp/wqmon /tmp/keyctl
keyctl add user demo secret @s > /dev/null
listen --key @s --key %user:demo --devices
keyctl watch @s > /tmp/keyctl &
must wait_for watches $watcher "id:0$"
must wait_for watches $! ""
since=$(date +%s)

row "what is done" "what wqmon prints"
show_keys
show_usb
show_disk
kill $watcher
show_loss

title "In $(($(date +%s) - since)) seconds $done things were done. wqmon told of" \
	"$(grep -vc 'LOST\|no longer watched' /tmp/wqmon) events, and of $lost for which there"
echo "was no room; the distribution's own \"keyctl watch\" heard of $(lines keyctl) as well."
echo "\"make shell\" is for your own hands."
