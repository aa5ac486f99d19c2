#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel that this stands in, boots it in QEMU and uses it:
#
#   run.sh kernel    build OUT/bzImage
#   run.sh run       show events as they come
#   run.sh shell     a shell in the guest
#
# See lib.sh for the variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

prepare()
{
	build_kernel
	build_tests
	INITRAMFS=$OUT/initramfs.cpio
	{
		list_programs
		list_tests
	} | build_initramfs "$INITRAMFS"
}

run()
{
	boot demo 120 < /dev/null | tee "$OUT/demo.log" |
		sed -u '/^reboot: /d; /^Joined session/d' || :
	if ! guest_finished || ! log_is_clean "$OUT/demo.log"; then
		die "the demonstration did not come to its end; see $OUT/demo.log"
	fi
}

the_kernel
case ${1-} in
kernel)
	build_kernel
	;;
run)
	prepare
	run
	;;
shell)
	prepare
	boot shell 1000000
	;;
*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit 2
	;;
esac
