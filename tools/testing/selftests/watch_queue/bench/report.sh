#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Puts two results of wq_bench side by side: the unpatched kernel's and ours.
#
# Usage: report BASE_RESULT OUR_RESULT TSV
#
# Prints a table; first the rows that have a limit, in the order of the limits, then
# the others.  TSV is written for programs: one line for each row, in the same order,
# the fields separated by tabs and named in the first line:
#
#   row      as wq_bench calls it, see wq_bench.c
#   unit     insn (instructions), bytes or records
#   base     the unpatched kernel's value
#   ours     our kernel's value
#   ratio    ours / base, four decimals; for a row that is held against another row of
#            ours, ours / ours of that row
#   limit    what the ratio is held to, for instance <=0.55
#   verdict  ok, OVER, UNDER, MISSING, or UNSTEADY: values lie over 1 % apart
#
# What does not exist is "-".
#
# Exits with 0 if every limit is kept, 1 if one is not, and 2 if there is nothing to
# compare: a result that is not complete, or was not counted in instructions.
set -eu

if [ $# -ne 3 ]; then
	sed -n 's/^# Usage/usage/p' "$0" >&2
	exit 2
fi

exec awk -v base="$1" -v ours="$2" -v tsv="$3" '
function limits()
{
	limit("key.post", "post a key record to one watcher", "<=", 0.55)
	limit("key.read.bulk", "read 512 queued records at once, each", "<=", 0.10)
	limit("key.post.full", "post to a full queue", "<=", 1.00)
	limit_sizes("pipe.rw", "pipe: write, read")
	limit_sizes("pipe.vmsplice", "pipe: vmsplice, read")
	limit_sizes("pipe.splice", "pipe: write, splice, read")
	limit_sizes("pipe.tee", "pipe: write, tee, read twice")
	limit("mem.queue.512", "memory of a queue of depth 512", "<=", 0.90)
	limit("mem.queue.512.records", "key records that it holds", ">=", 8.00)
	limit("device.event.single", "device event read / uevent received", "<=", 0.10)
	beside["device.event.single"] = "uevent.single"
}

function limit(row, text, kind, bound)
{
	order[++nr] = row
	what[row] = text
	kinds[row] = kind
	bounds[row] = bound
	nr_limits++
}

# Ordinary pipes, for which two decimals count.
function limit_sizes(row, text,    size, i)
{
	split("16 256 4096 65536", size)
	for (i = 1; i in size; i++) {
		limit(row "." size[i], text ", " size[i] " bytes", "<=", 1.00)
		rounded[row "." size[i]]
	}
}

function fail(text)
{
	print "report: " text > "/dev/stderr"
	exit 2
}

function load(file, side,    line, f)
{
	while ((getline line < file) > 0) {
		if (line ~ /^# kernel: /)
			kernel[side] = substr(line, 11)
		if (line == "# complete")
			complete[side]
		if (line ~ /^#/ || split(line, f, " ") != 4)
			continue
		if (f[3] == "tick")
			fail(file ": not counted in instructions, see wq_bench.c")
		if (!(f[1] in unit) && !(f[1] in bounds))
			order[++nr] = f[1]
		unit[f[1]] = f[3]
		value[side, f[1]] = f[2]
		unsteady[f[1]] += f[4] > 1
	}
	if (!(side in complete))
		fail(file ": not a complete result of wq_bench")
}

function figure(side, row, format)
{
	return (side, row) in value ? sprintf(format, value[side, row]) : "-"
}

# What the value of ours is divided by; 0 if there is no such thing.
function divisor(row,    side)
{
	side = "base"
	if (row in beside) {
		side = "ours"
		row = beside[row]
	}
	return (side, row) in value ? value[side, row] + 0 : 0
}

function ratio(row, format)
{
	if (!(("ours", row) in value) || !divisor(row))
		return "-"
	return sprintf(format, value["ours", row] / divisor(row))
}

function verdict(row,    r)
{
	if (!(row in bounds))
		return "-"
	r = ratio(row, row in rounded ? "%.2f" : "%.6f")
	if (r == "-")
		return "MISSING"
	if (unsteady[row] || (row in beside && unsteady[beside[row]]))
		return "UNSTEADY"
	if (kinds[row] == "<=")
		return r + 0 <= bounds[row] ? "ok" : "OVER"
	return r + 0 >= bounds[row] ? "ok" : "UNDER"
}

function bound(row, separator)
{
	if (!(row in bounds))
		return "-"
	return kinds[row] separator sprintf("%.2f", bounds[row])
}

function print_row(row,    v, u)
{
	v = verdict(row)
	u = row in unit ? unit[row] : "-"
	if (v == "ok")
		kept++
	printf "%-40s %10s %10s  %-7s %6s  %-7s  %s\n",
		row in what ? what[row] : row, figure("base", row, "%.1f"),
		figure("ours", row, "%.1f"), u, ratio(row, "%.2f"), bound(row, " "), v
	printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row, u, figure("base", row, "%.2f"),
		figure("ours", row, "%.2f"), ratio(row, "%.4f"), bound(row, ""), v > tsv
}

BEGIN {
	limits()
	load(base, "base")
	load(ours, "ours")

	print "row\tunit\tbase\tours\tratio\tlimit\tverdict" > tsv
	printf "base: %s\nours: %s\n\n", kernel["base"], kernel["ours"]
	printf "%-40s %10s %10s  %-7s %6s  %s\n", "what", "base", "ours", "unit",
		"ratio", "limit"
	for (i = 1; i <= nr; i++) {
		if (i == nr_limits + 1)
			print "\nwithout a limit, by the names of wq_bench"
		print_row(order[i])
	}
	printf "\n%d of %d limits kept\n", kept, nr_limits
	exit kept != nr_limits
}' < /dev/null
