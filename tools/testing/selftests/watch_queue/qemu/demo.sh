#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Keys change; the sample and the distribution's keyctl say what they hear.
# Fails if either did not hear of the last change.

do_it()
{
	echo "> keyctl $*"
	keyctl "$@" > /tmp/out 2>&1 || cat /tmp/out
	sleep 1
}

# show NAME: prints what comes, with the name before it, and keeps it.
show()
{
	while IFS= read -r line; do
		echo "$line" >> "/tmp/$1"
		echo "    $1: $line"
	done
}

heard()
{
	tries=30
	until grep -q "cleared\|clr" "/tmp/$1"; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			echo "$1 did not say that the keyring was cleared." >&2
			return 1
		fi
		sleep 1
	done
}

echo "The session keyring is $(keyctl id @s)."
watch_test | show watch_test &
keyctl watch @s | show keyctl-watch &
sleep 1

do_it add user demo secret @s
key=$(cat /tmp/out)
watch_test "$key" | show watch_test &
sleep 1
do_it update "$key" better-secret
do_it setperm "$key" 0x3f3f0000
do_it timeout "$key" 1000
do_it newring ring @s
ring=$(cat /tmp/out)
do_it link "$key" "$ring"
do_it unlink "$ring" @s
do_it revoke "$key"
do_it clear @s
heard watch_test && heard keyctl-watch || exit 1
echo "That was the demonstration; make shell is for your own hands."
