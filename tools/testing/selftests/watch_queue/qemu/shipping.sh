#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Events on their way to where an operator reads them: a guest in which systemd runs the
# installed wqmon.service, journald keeps what it says, and rsyslogd forwards that to a
# second rsyslogd, which stands for another machine.  systemd and rsyslogd are those of
# this machine, which has to be Debian's or alike.  Leaves TAP in
# OUT/results/shipping.tap; see lib.sh for the variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROOT=$OUT/shipping/root
LIBS=/usr/lib/x86_64-linux-gnu
UNITS=/usr/lib/systemd/system

TOOL=$KSRC/tools/watch_queue

# take FILE...: into the guest, at the same place, with the libraries it needs.
take()
{
	local file lib

	for file; do
		for lib in "$file" $(ldd "$file" 2> /dev/null | grep -o '/[^ ]*' || :); do
			cp -L --parents --update "$lib" "$ROOT"
		done
	done
}

take_units()
{
	local unit

	for unit; do
		cp -P --parents "$UNITS/$unit" "$ROOT"
	done
}

take_systemd()
{
	take /usr/lib/systemd/systemd{,-journald,-shutdown} /usr/bin/{systemctl,journalctl}
	take_units {basic,local-fs,multi-user,network,shutdown,slices,sockets}.target \
		{sysinit,umount}.target \
		systemd-journald{,-dev-log}.socket systemd-journald.service \
		sockets.target.wants/systemd-journald{,-dev-log}.socket \
		sysinit.target.wants/systemd-journald.service
	ln -s multi-user.target "$ROOT$UNITS/default.target"
	echo "root:x:0:0:root:/root:/bin/sh" > "$ROOT/etc/passwd"
	printf '%s\n' root:x:0: adm:x:4: tty:x:5: systemd-journal:x:101: \
		> "$ROOT/etc/group"
	echo "sender" > "$ROOT/etc/hostname"
	echo "0123456789abcdef0123456789abcdef" > "$ROOT/etc/machine-id"
}

take_rsyslog()
{
	local module

	# The library is loaded when a thread is ended, and not before.
	take /usr/sbin/rsyslogd "$LIBS/libgcc_s.so.1"
	for module in imjournal imklog imtcp imuxsock lmnet lmnetstrms lmnsd_ptcp lmtcpclt \
		lmtcpsrv mmjsonparse; do
		take "$LIBS/rsyslog/$module.so"
	done
	take_units rsyslog.service syslog.socket
	mkdir -p "$ROOT"/var/{log,spool/rsyslog} "$ROOT/etc/rsyslog.d"
	cp /etc/rsyslog.conf "$ROOT/etc"
	cp "$HERE/shipping/wqmon.conf" "$ROOT/etc/rsyslog.d"
	cp "$HERE/shipping/collector.conf" "$ROOT/etc/rsyslog-collector.conf"
	cp "$HERE"/shipping/{collector,test}.service "$ROOT/etc/systemd/system"
}

take_wqmon()
{
	build_wqmon
	make -s -C "$TOOL" O="$OUT/wqmon" STATIC=1 install DESTDIR="$ROOT" \
		> "$OUT/wqmon.log" 2>&1 || { cat "$OUT/wqmon.log" >&2; exit 1; }
}

# All that is below ROOT, for the list of gen_init_cpio.
list_root()
{
	find "$ROOT" -mindepth 1 \
		-type d -printf 'dir /%P %m 0 0\n' -o \
		-type l -printf 'slink /%P %l 777 0 0\n' -o \
		-type f -printf 'file /%P %p %m 0 0\n'
	echo "file /tests/shipping_test.sh $HERE/shipping/shipping_test.sh 755 0 0"
	echo "file /tests/watch_queue_guest.sh $HERE/../watch_queue_guest.sh 644 0 0"
	echo "file /kselftest/ktap_helpers.sh $HERE/../../kselftest/ktap_helpers.sh 644 0 0"
}

prepare_guest()
{
	rm -rf "$ROOT"
	mkdir -p "$ROOT"/{bin,etc/systemd/system,lib,root,run,var}
	ln -s . "$ROOT/usr"
	ln -s bin "$ROOT/sbin"
	take_systemd
	take_rsyslog
	take_wqmon
	mkdir -p "$ROOT/shown"
	cp "$HERE"/shipping/{enable.sh,errors.sh,override.conf} "$ROOT/shown"
	take "$(command -v jq)"
	systemctl --root="$ROOT" enable rsyslog collector test 2> "$DIR/enable.log" ||
		{ cat "$DIR/enable.log" >&2; exit 1; }
	INITRAMFS=$OUT/shipping.cpio
	list_root | build_initramfs "$INITRAMFS" "$HERE/shipping/init.sh"
}

tell()
{
	guest_tap "$1"
	result "$(status_of lines_fit)" "$NAME: the collector's lines fit the schema"
}

use_kernel shipping "$HERE/kernel.config" "$HERE/../config" "$HERE/shipping.config"
if [ ! -x /usr/sbin/rsyslogd ] || [ ! -x /usr/lib/systemd/systemd ]; then
	echo "ok $NAME: events arrive # SKIP there is no systemd and rsyslogd to try it with" \
		> "$RESULTS/$NAME.tap"
	exit
fi
build_kernel
install_headers
prepare_guest
log=$DIR/console.log
say "booting \"$NAME\"; the console is in $log"
with_progress '^ *\(not \)\?ok ' tests "$DIR/channel" -- \
	boot shipping "${LIMIT:-300}" < /dev/null > "$log" 2>&1 || :
tell "$log" > "$RESULTS/$NAME.tap"
