#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Puts results of wq_bench side by side: those of the unpatched kernel and ours.
#
# Usage: report OUT BASE_RESULT... vs OUR_RESULT...
#
# There may be several results of a kernel, each with other rows.
#
# Prints a table: first the rows of which the design says what they may cost, in its
# order; then all others that count instructions on both kernels, none of which may be
# dearer than on the base, to two decimals; then those without a limit.
#
# OUT.tsv is for programs: one line for each row, in the same order, the fields
# separated by tabs and named in the first line:
#
#   row      as wq_bench calls it, see wq_bench.c
#   unit     insn (instructions), bytes or records
#   base     the unpatched kernel's value
#   ours     our kernel's value
#   ratio    ours / base, four decimals; for a row that is held against another row of
#            ours, ours / ours of that row
#   limit    what the ratio is held to, for instance <=0.55
#   verdict  ok, OVER, UNDER, MISSING, or UNSTEADY: values lie over 1 % apart
#   class    goal if the design has that limit, guard if it is that of all others
#   what     what is measured, in words
#
# What does not exist is "-".
#
# OUT.json has the same: an object with
#
#   kernels  an object: base and ours, what each kernel calls itself
#   unit     "insn", what costs are counted in
#   rows     an array of objects: row, class, what, unit, base, ours, ratio, limit and
#            verdict as above; base, ours and ratio are numbers; what does not exist
#            is null
#
# Exits with 0 if every limit is kept, 1 if one is not, and 2 if there is nothing to
# compare: a result that is not complete, or was not counted in instructions.
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
# What the design says, in its order.
function goals()
{
	goal("key.post", "<=", 0.55)
	goal("key.read.bulk", "<=", 0.10)
	goal("key.post.full", "<=", 1.00)
	goal_sizes("pipe.rw")
	goal_sizes("pipe.vmsplice")
	goal_sizes("pipe.splice")
	goal_sizes("pipe.tee")
	goal("mem.queue.512", "<=", 0.90)
	goal("mem.queue.512.records", ">=", 8.00)
	goal("device.event.single", "<=", 0.10)
	beside["device.event.single"] = "uevent.single"
}

function goal(row, kind, bound)
{
	order[++nr] = row
	limit(row, "goal", kind, bound)
}

# Ordinary pipes, for which two decimals count.
function goal_sizes(row,    size, i)
{
	split("16 256 4096 65536", size)
	for (i = 1; i in size; i++) {
		goal(row "." size[i], "<=", 1.00)
		rounded[row "." size[i]]
	}
}

function limit(row, of, kind, bound)
{
	class[row] = of
	kinds[row] = kind
	bounds[row] = bound
	nr_limits++
}

# All other rows that both kernels have and that cost instructions.
function guards(    i, row)
{
	for (i = 1; i <= nr; i++) {
		row = order[i]
		if (row in bounds || unit[row] != "insn" ||
		    !(("base", row) in value) || !(("ours", row) in value))
			continue
		limit(row, "guard", "<=", 1.00)
		rounded[row]
	}
}

# What rows are, in words; wq_bench.c says it in full.
function words()
{
	what["key.post.unwatched"] = "KEYCTL_SETPERM, unwatched"
	what["key.post.watched"] = "KEYCTL_SETPERM, watched"
	what["key.post"] = "post a key record to one watcher"
	what["key.post.10"] = "post to 10 watchers"
	what["key.post.100"] = "post to 100 watchers"
	what["key.post.1000"] = "post to 1000 watchers"
	what["key.post.full"] = "post to a full queue"
	what["key.post.filtered"] = "post what the filter refuses"
	what["key.post.allowed"] = "post, Smack allows it"
	what["key.post.refused"] = "post, Smack refuses it"
	what["key.read.bulk"] = "read 512 queued records at once, each"
	what["key.post_read.single"] = "post and read one record"
	what["key.wake"] = "post to a blocked reader"
	what["key.poll"] = "poll a queue"
	what["key.poll.empty"] = "poll an empty queue"
	what["key.epoll"] = "epoll_wait on a queue"
	what["key.epoll.empty"] = "epoll_wait on an empty queue"
	what["key.loop.poll"] = "event loop: post, poll, read"
	what["key.loop.epoll"] = "event loop: post, epoll_wait, read"
	what["key.fionread"] = "FIONREAD of a queue"
	what["key.create"] = "make and close a queue of depth 512"
	what["pipe.wake"] = "pipe: write to a blocked reader, answer"
	what["pipe.poll"] = "poll a pipe"
	what["pipe.poll.empty"] = "poll an empty pipe"
	what["pipe.epoll"] = "epoll_wait on a pipe"
	what["pipe.epoll.empty"] = "epoll_wait on an empty pipe"
	what["pipe.loop.poll"] = "event loop: write, poll, read"
	what["pipe.loop.epoll"] = "event loop: write, epoll_wait, read"
	what["pipe.fionread"] = "FIONREAD of a pipe"
	what["pipe.create"] = "make and close a pipe"
	what["pipe.pingpong"] = "pipe: a byte to a process and back"
	what["pipe.hackbench"] = "pipe: a message between 16 processes"
	what["mem.queue.default"] = "memory of a new queue"
	what["mem.pipe"] = "memory of a pipe"
	what["device.post.0"] = "a read that fails, unwatched"
	what["device.post.1"] = "post a device record to one watcher"
	what["device.post.10"] = "post a device record to 10 watchers"
	what["device.post.1000"] = "post a device record to 1000 watchers"
	what["device.post.allowed"] = "post a device record, Smack allows it"
	what["device.post.refused"] = "post a device record, Smack refuses it"
	what["device.post.refused.audited"] = "the same, audited"
	what["device.event.single"] = "device event read / uevent received"
	what["uevent.single"] = "uevent made and received"
	what["inotify.post"] = "inotify: post an event"
	what["inotify.read.bulk"] = "inotify: read 512 events at once, each"
	what["inotify.post_read.single"] = "inotify: fchmod and read one event"
	what["fanotify.post"] = "fanotify: post an event"
	what["fanotify.read.bulk"] = "fanotify: read 512 events at once, each"
	what["fanotify.post_read.single"] = "fanotify: fchmod and read one event"
	what["eventfd.write"] = "eventfd: write"
	what["eventfd.write_read"] = "eventfd: write, read"
	what["trace.post"] = "trace point: trace an event"
	what["trace.read.bulk"] = "trace point: read 512 events, each"
	what["trace.event.single"] = "trace point: event traced and read"
	what["trace.event.text"] = "trace point: event traced, read as text"
	what["bpf.post"] = "BPF ring buffer: post a record"
	what["bpf.read.bulk"] = "BPF ring buffer: read 512 records, each"
	what["bpf.post_read.single"] = "BPF ring buffer: post and read a record"
	sizes("key.read", "read records by %s bytes, each")
	sizes("pipe.rw", "pipe: write, read, %s bytes")
	sizes("pipe.vmsplice", "pipe: vmsplice, read, %s bytes")
	sizes("pipe.splice", "pipe: write, splice, read, %s bytes")
	sizes("pipe.tee", "pipe: write, tee, read twice, %s bytes")
	depths("1 32 512 8192")
}

function sizes(row, format,    size, i)
{
	split("16 128 256 433 4096 65536 1048576", size)
	for (i = 1; i in size; i++)
		what[row "." size[i]] = sprintf(format, size[i])
}

function depths(list,    depth, row, i)
{
	split(list, depth)
	for (i = 1; i in depth; i++) {
		row = "mem.queue." depth[i]
		what[row] = "memory of a queue of depth " depth[i]
		what[row ".records"] = "key records in a queue of depth " depth[i]
	}
}

function fail(text)
{
	print "report: " text > "/dev/stderr"
	exit 2
}

function load(file, side,    line, f, complete)
{
	while ((getline line < file) > 0) {
		if (line ~ /^# kernel: /)
			kernel[side] = substr(line, 11)
		if (line == "# complete")
			complete = 1
		if (line ~ /^#/ || split(line, f, " ") != 6)
			continue
		if (f[3] == "tick")
			fail(file ": not counted in instructions, see wq_bench.c")
		if ((side, f[1]) in value)
			fail(file ": there is a second row " f[1])
		if (!(f[1] in unit) && !(f[1] in bounds))
			order[++nr] = f[1]
		unit[f[1]] = f[3]
		value[side, f[1]] = f[2]
		unsteady[f[1]] += f[4] > 1
	}
	if (!complete)
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

# As JSON has it; what does not exist is null.
function string(text)
{
	if (text == "-")
		return "null"
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\""
}

function number(text)
{
	return text == "-" ? "null" : text
}

function print_row(row,    v, u, w, c)
{
	v = verdict(row)
	u = row in unit ? unit[row] : "-"
	w = row in what ? what[row] : row
	c = row in class ? class[row] : "-"
	kept += v == "ok"

	printf "%-40s %10s %10s  %-7s %6s  %-7s  %s\n", w, figure("base", row, "%.1f"),
		figure("ours", row, "%.1f"), u, ratio(row, "%.2f"), bound(row, " "), v

	printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row, u, figure("base", row, "%.2f"),
		figure("ours", row, "%.2f"), ratio(row, "%.4f"), bound(row, ""), v, c,
		w > tsv

	printf "%s\n\t\t{ \"row\": %s, \"class\": %s, \"what\": %s, \"unit\": %s,\n" \
		"\t\t  \"base\": %s, \"ours\": %s, \"ratio\": %s, \"limit\": %s, " \
		"\"verdict\": %s }", printed++ ? "," : "", string(row), string(c),
		string(w), string(u), number(figure("base", row, "%.2f")),
		number(figure("ours", row, "%.2f")), number(ratio(row, "%.4f")),
		string(bound(row, "")), string(v) > json
}

# The rows of one class, under a title.
function print_rows(of, title,    i)
{
	print title
	for (i = 1; i <= nr; i++)
		if ((order[i] in class ? class[order[i]] : "-") == of)
			print_row(order[i])
}

BEGIN {
	tsv = ARGV[1] ".tsv"
	json = ARGV[1] ".json"
	goals()
	words()
	side = "base"
	for (i = 2; i < ARGC; i++) {
		if (ARGV[i] == "vs")
			side = "ours"
		else
			load(ARGV[i], side)
	}
	guards()

	printf "{\n\t\"kernels\": { \"base\": %s,\n\t\t     \"ours\": %s },\n" \
		"\t\"unit\": \"insn\",\n\t\"rows\": [", string(kernel["base"]),
		string(kernel["ours"]) > json
	print "row\tunit\tbase\tours\tratio\tlimit\tverdict\tclass\twhat" > tsv
	printf "base: %s\nours: %s\n\n", kernel["base"], kernel["ours"]
	printf "%-40s %10s %10s  %-7s %6s  %-7s\n", "what", "base", "ours", "unit",
		"ratio", "limit"
	print_rows("goal", "goals of the design")
	print_rows("guard", "\nno dearer than on the base")
	print_rows("-", "\nwithout a limit")
	print "\n\t]\n}" > json
	printf "\n%d of %d limits kept\n", kept, nr_limits
	exit kept != nr_limits
}' "$@" < /dev/null
