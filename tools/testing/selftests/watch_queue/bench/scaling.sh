#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Puts results of "wq_bench scaling" side by side: the unpatched kernel's and ours.
#
# Usage: scaling JSON BASE_RESULT... vs OUR_RESULT...
#
# Of several results of a kernel, preferably taken by turns with those of the other,
# the median of the medians counts, and the least and the greatest value.
#
# Prints a table.  JSON is written for programs: an object with
#
#   kernels  an object: base and ours, what each kernel calls itself
#   unit     "posts/s", records per second
#   rows     an array of objects: row and what, as wq_bench calls it and in words; base
#            and ours, each an object of median, min and max; ratio, ours / base of the
#            medians; and verdict
#
# This is time, of a machine that may also do other things; if there are not two
# processors that do nothing else, whoever waits for a lock waits for a processor, and
# the figures say little.  So the verdict is "worse" only if our median lies below all
# values of the base, and by more than those of either kernel lie apart; "better" if
# it lies above them by as much; and else "same".
#
# Exits with 0 if no row is worse, 1 if one is, and 2 if there is nothing to compare.
set -eu

usage()
{
	sed -n 's/^# Usage/usage/p' "$0" >&2
	exit 2
}

[ $# -ge 4 ] || usage
case " $* " in
*" vs "*) ;;
*) usage ;;
esac

exec awk '
function words()
{
	what["scaling.post.1"] = "one poster"
	what["scaling.post.2.same"] = "two posters, one queue"
	what["scaling.post.2.own"] = "two posters, a queue each"
	what["scaling.post_read"] = "one poster, one reader"
	what["scaling.post_read.awake"] = "the same, never asleep"
}

function fail(text)
{
	print "scaling: " text > "/dev/stderr"
	exit 2
}

function load(file, side,    line, f, complete, n)
{
	while ((getline line < file) > 0) {
		if (line ~ /^# kernel: /)
			kernel[side] = substr(line, 11)
		if (line ~ /^# scaling/)
			remarks[++nr_remarks] = side ": " substr(line, 3)
		if (line == "# complete")
			complete = 1
		if (line ~ /^#/ || split(line, f, " ") != 6 || f[3] != "posts/s")
			continue
		n++
		if (!(f[1] in known)) {
			known[f[1]]
			order[++nr] = f[1]
		}
		insert(side SUBSEP f[1], f[2] + 0)
		if (count[side, f[1]] == 1 || f[5] + 0 < min[side, f[1]])
			min[side, f[1]] = f[5] + 0
		if (count[side, f[1]] == 1 || f[6] + 0 > max[side, f[1]])
			max[side, f[1]] = f[6] + 0
	}
	if (!complete || !n)
		fail(file ": not a complete result of wq_bench scaling")
}

# Puts a value among the others of its row, in order.
function insert(key, value,    i)
{
	for (i = ++count[key]; i > 1 && values[key, i - 1] > value; i--)
		values[key, i] = values[key, i - 1]
	values[key, i] = value
}

# Of an even number the lesser one of the two in the middle.
function median(side, row)
{
	return values[side, row, int((count[side, row] + 1) / 2)]
}

function verdict(row,    apart, ours)
{
	apart = max["base", row] - min["base", row]
	if (apart < max["ours", row] - min["ours", row])
		apart = max["ours", row] - min["ours", row]
	ours = median("ours", row)
	if (ours < min["base", row] - apart)
		return "worse"
	if (ours > max["base", row] + apart)
		return "better"
	return "same"
}

function string(text)
{
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\""
}

function spread(side, row)
{
	return sprintf("%9.0f (%.0f..%.0f)", median(side, row), min[side, row],
		max[side, row])
}

function object(side, row)
{
	return sprintf("{ \"median\": %.0f, \"min\": %.0f, \"max\": %.0f }",
		median(side, row), min[side, row], max[side, row])
}

function print_row(row,    v, w, r)
{
	v = verdict(row)
	w = row in what ? what[row] : row
	r = median("base", row) > 0 ? median("ours", row) / median("base", row) : 0
	worse += v == "worse"
	printf "%-26s %-28s %-28s %6.2f  %s\n", w, spread("base", row),
		spread("ours", row), r, v
	printf "%s\n\t\t{ \"row\": %s, \"what\": %s,\n\t\t  \"base\": %s,\n" \
		"\t\t  \"ours\": %s,\n\t\t  \"ratio\": %.4f, \"verdict\": %s }",
		printed++ ? "," : "", string(row), string(w), object("base", row),
		object("ours", row), r, string(v) > json
}

BEGIN {
	words()
	json = ARGV[1]
	side = "base"
	for (i = 2; i < ARGC; i++) {
		if (ARGV[i] == "vs")
			side = "ours"
		else
			load(ARGV[i], side)
	}
	for (i = 1; i <= nr; i++)
		if (count["base", order[i]] != count["ours", order[i]])
			fail("not as many values of " order[i] " of both kernels")

	printf "{\n\t\"kernels\": { \"base\": %s,\n\t\t     \"ours\": %s },\n" \
		"\t\"unit\": \"posts/s\",\n\t\"rows\": [", string(kernel["base"]),
		string(kernel["ours"]) > json
	printf "%-26s %-28s %-28s %6s\n", "posts/s on two processors",
		"base: median (min..max)", "ours", "ratio"
	for (i = 1; i <= nr; i++)
		print_row(order[i])
	print "\n\t]\n}" > json
	for (i = 1; i <= nr_remarks; i++)
		print remarks[i]
	exit worse > 0
}' "$@" < /dev/null
