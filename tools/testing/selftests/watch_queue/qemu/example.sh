#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The documentation's example of a source, which doc_blocks.py took out of it, at work:
# builds a kernel that has it, with a door in place of hardware, and runs door_test there.
# Leaves TAP in OUT/results/example.tap; see lib.sh for the variables.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DOCS=$OUT/docs

# A tree of symbolic links to what KSRC has, to add to.
make_tree()
{
	say "making a tree of links, $1"
	rm -rf "$1"
	mkdir -p "$1"
	find "$KSRC" -mindepth 1 -maxdepth 1 ! -name .git -exec cp -as -t "$1" {} +
}

# add_line FILE LINE: in place of a link, a file that has one line more.
add_line()
{
	{
		cat "$1"
		echo "$2"
	} > "$1.new"
	mv "$1.new" "$1"
}

# The example's files go where the page says, its additions to headers into these.
add_example()
{
	local door=$1/drivers/door

	cp -r --remove-destination "$DOCS/module/include" "$1"
	mkdir "$door"
	cp "$DOCS"/module/{Makefile,core.c,door.h,hw.h,watch.c} "$HERE"/example/{Kconfig,hw.c} \
		"$door"
	sed -n '/^config DOOR_NOTIFICATIONS$/,$p' "$DOCS/kconfig/Kconfig" >> "$door/Kconfig"
	echo "door-y += hw.o" >> "$door/Makefile"
	add_line "$1/drivers/Makefile" "obj-y += door/"
	add_line "$1/init/Kconfig" 'source "drivers/door/Kconfig"'
}

# build_test NAME OPTION...
build_test()
{
	gcc -O2 -Wall -static -isystem "$OBJ/usr/include" "${@:2}" \
		-o "$DIR/$1" "$HERE/example/door_test.c"
	echo "file /tests/$1 $DIR/$1 755 0 0"
}

# The page is about the kernel that everybody gets, if its test is.
the_kernel
build_kernel
install_headers
build_docs
if grep -q '^not ok.*example of a source' "$RESULTS/docs.tap"; then
	die "the example does not compile; see $RESULTS/docs.tap"
fi

use_kernel example "$HERE/tiny.config" "$HERE/example.config"
make_tree "$DIR/linux"
add_example "$DIR/linux"
KSRC=$DIR/linux
build_kernel
install_headers
INITRAMFS=$OUT/example.cpio
{
	build_test door_test
	build_test door_test_32 -m32
} > "$DIR/tests.list"
build_initramfs "$INITRAMFS" < "$DIR/tests.list"
log=$DIR/console.log
say "booting \"$NAME\"; the console is in $log"
boot programs 300 < /dev/null > "$log" 2>&1 || :
guest_tap "$log" > "$RESULTS/$NAME.tap"
