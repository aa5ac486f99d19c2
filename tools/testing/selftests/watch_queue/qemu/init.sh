#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PID 1 of the guest: runs what the kernel's command line asks for and tells the
# outcome on the second channel, /dev/vport0p1.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
mount -t tmpfs tmp /tmp
mkdir -p /dev/shm
ulimit -c 0

for port in /dev/vport*; do
	RESULT=$port
done

# KUnit's cases, then those of every test program, each as a line of its own.
check()
{
	echo "# KUnit"
	# A suite that did not run must not go unnoticed.
	cat /sys/kernel/debug/kunit/watch_queue/results ||
		echo "    not ok KUnit: the suite watch_queue did not run"
	for prog in /tests/*; do
		echo "# program ${prog##*/}"
		timeout 600 "$prog"
		code=$?
		[ $code = 0 ] || [ $code = 4 ] || echo "not ok ${prog##*/} exited with $code"
	done
}

demo()
{
	keyctl session demo /bin/sh /demo.sh
}

case $(cat /proc/cmdline) in
*wq.mode=check*)
	check 2>&1 | tee "$RESULT"
	echo "wq-finished" > "$RESULT"
	;;
*wq.mode=panic*)
	echo c > /proc/sysrq-trigger
	;;
*wq.mode=warn*)
	# As lockdep does: a warning that is no WARN() and so no panic.
	echo "<4>WARNING: possible circular locking dependency detected" > /dev/kmsg
	echo "wq-finished" > "$RESULT"
	;;
*wq.mode=hang*)
	while :; do sleep 1000; done
	;;
*wq.mode=demo*)
	demo
	;;
*wq.mode=shell*)
	keyctl session shell /bin/sh -l
	;;
esac
poweroff -f
