#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Draws what report.sh has found out, as SVG on standard output: a bar for each goal
# of the design, as long as ours / base, with a mark where the limit is.  Of the other
# rows that have a limit, only those are drawn that do not keep it.
#
# Shorter is better: where more is, the bar is base / ours.
#
# Usage: plot TSV
#
# Exits with 2 if there is nothing to draw.
set -eu

if [ $# -ne 1 ]; then
	sed -n 's/^# Usage/usage/p' "$0" >&2
	exit 2
fi

exec awk -F '\t' '
function escape(text)
{
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	return text
}

function x_of(ratio)
{
	return LEFT + WIDTH * (ratio > MAX ? MAX : ratio) / MAX
}

function text(x, y, anchor, what)
{
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
		escape(what)
}

function line(class, x, y1, y2)
{
	printf "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		class, x, x, y1, y2
}

function bar(i,    y, fits)
{
	y = TOP + (i - 1) * STEP
	text(LEFT - 8, y + 15, "end", label[i])
	printf "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"14\"/>\n",
		ok[i] ? "ok" : "bad", LEFT, y + 4, x_of(ratio[i]) - LEFT
	line("limit", x_of(limit[i]), y + 1, y + STEP - 1)
	# Beside the bar and the mark, whichever is longer.
	text(x_of(ratio[i] > limit[i] ? ratio[i] : limit[i]) + 6, y + 15, "start",
		(verdict[i] == "MISSING" ? "" : sprintf("%.2f ", ratio[i])) \
		(ok[i] ? "" : verdict[i]))
}

BEGIN {
	LEFT = 330; WIDTH = 400; RIGHT = 110; TOP = 46; STEP = 22; MAX = 1.25
}

NR == 1 {
	for (i = 1; i <= NF; i++)
		at[$i] = i
	next
}

$at["class"] == "guard" && $at["verdict"] == "ok" {
	kept++
}

$at["class"] == "-" || ($at["class"] == "guard" && $at["verdict"] == "ok") {
	next
}

{
	nr++
	label[nr] = $at["what"]
	verdict[nr] = $at["verdict"]
	ok[nr] = verdict[nr] == "ok"
	ratio[nr] = $at["ratio"] + 0
	limit[nr] = substr($at["limit"], 3) + 0
	if ($at["limit"] ~ /^>=/) {
		label[nr] = label[nr] " (base / ours)"
		if (ratio[nr])
			ratio[nr] = 1 / ratio[nr]
		limit[nr] = 1 / limit[nr]
	}
}

END {
	if (!nr) {
		print "plot: there is no row with a limit" > "/dev/stderr"
		exit 2
	}
	bottom = TOP + nr * STEP
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" " \
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		LEFT + WIDTH + RIGHT, bottom + 50, LEFT + WIDTH + RIGHT, bottom + 50
	print "<title>Cost on the patched kernel / on the unpatched one</title>"
	print "<style>"
	print ".ok { fill: #3b7dd8 } .bad { fill: #d0342c }"
	print ".grid { stroke: #ccc } .base { stroke: #888 }"
	print ".limit { stroke: #000; stroke-width: 2 }"
	print "</style>"
	print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
	text(LEFT, 18, "start", "Cost on the patched kernel / on the unpatched one")
	for (r = 0; r <= MAX; r += 0.25) {
		line(r == 1 ? "base" : "grid", x_of(r), TOP, bottom)
		text(x_of(r), TOP - 8, "middle", sprintf("%.2f", r))
	}
	for (i = 1; i <= nr; i++)
		bar(i)
	line("limit", LEFT + 2, bottom + 12, bottom + 28)
	text(LEFT + 10, bottom + 25, "start", "at most this; shorter is better")
	text(LEFT, bottom + 43, "start",
		sprintf("%d other rows cost no more than on the unpatched kernel", kept))
	print "</svg>"
}' "$1"
