#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Prints what report.sh has found out as a table for the documentation, in
# reStructuredText: the rows of the classes that are named, or all.
#
# Usage: table TSV [CLASS...]
set -eu

if [ $# -lt 1 ]; then
	sed -n 's/^# Usage/usage/p' "$0" >&2
	exit 2
fi
tsv=$1
shift

exec awk -F '\t' -v classes="$*" '
function rule()
{
	print "===========================================  ==========  ==========  ======"
}

function figure(value)
{
	return value == "-" ? "" : sprintf("%.1f", value)
}

function ratio(value)
{
	return value == "-" ? "" : sprintf("%.2f", value)
}

NR == 1 {
	rule()
	printf "%-43s  %10s  %10s  %s\n", "What", "Unpatched", "Patched", "Ratio"
	rule()
	next
}
classes == "" || index(" " classes " ", " " $8 " ") {
	line = sprintf("%-43s  %10s  %10s  %6s", $9, figure($3), figure($4), ratio($5))
	sub(/ +$/, "", line)
	print line
	nr++
}
END {
	rule()
	exit !nr
}' "$tsv"
