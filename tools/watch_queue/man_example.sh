#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Prints the program of a manual page's section EXAMPLES.
#
# Usage: man_example.sh PAGE

[ $# = 1 ] || {
	echo "usage: man_example.sh PAGE" >&2
	exit 2
}
awk '
/^\.Sh/ { examples = $2 == "EXAMPLES" }
/^\.Ed/ { program = 0 }
program { gsub(/\\e/, "\\"); print }
examples && /^\.Bd -literal$/ { program = 1 }' "$1"
