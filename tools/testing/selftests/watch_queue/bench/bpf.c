// SPDX-License-Identifier: GPL-2.0
/*
 * What the BPF ring buffer costs, another way for the kernel to tell a program
 * that something happened; see rivals.c for more of them.
 *
 * A program that posts a record is run by BPF_PROG_TEST_RUN, and so is one that
 * only lacks the call that posts: how much longer the first takes is the posting.
 */

#include "bench.h"
#include <assert.h>
#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define RECORDS		BENCH_RECORDS

/* As many bytes as a key record has. */
#define RECORD		16
#define RECORD_WORD_0	0x01020304
#define RECORD_WORD_1	0x05060708
static_assert(RECORD == WQ_KEY_RECORD);

/* Room for all records and their heads; a power of two. */
#define RING_SIZE	16384

/* What a program of the type that is used here is run on: at least this. */
#define PACKET		14

/**
 * struct ring - a ring buffer and what posts to it
 * @map: The map that it is.
 * @post: The program that posts a record.
 * @idle: The same without the call that posts.
 * @epoll: An epoll that has the ring buffer, once there is one.
 * @runs: How often op_run_post() and op_run_idle() have a program run.
 * @consumer: Up to where we have read; for us to write.
 * @producer: Up to where the kernel has written.
 * @data: The records, twice in a row, so that none is ever in two pieces.
 * @page: The size of a page, of which @consumer and @producer have one each.
 * @got: How many bytes the last op_read() has put into the buffer.
 */
struct ring {
	int		map;
	int		post;
	int		idle;
	int		epoll;
	unsigned int	runs;
	unsigned long	*consumer;
	unsigned long	*producer;
	char		*data;
	size_t		page;
	size_t		got;
};

static char buffer[RECORDS * RECORD];

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return wq_errno(syscall(__NR_bpf, cmd, attr, sizeof(*attr)));
}

/* ---- What is timed ---- */

/* @runs times within one system call. */
static void run(int prog, unsigned int runs)
{
	static const char packet[PACKET];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = prog;
	attr.test.data_in = (unsigned long)packet;
	attr.test.data_size_in = sizeof(packet);
	attr.test.repeat = runs;
	expect("BPF_PROG_TEST_RUN", sys_bpf(BPF_PROG_TEST_RUN, &attr), 0);
	expect("bpf_ringbuf_output", (int)attr.test.retval, 0);
}

static void op_run_post(void *arg)
{
	struct ring *ring = arg;

	run(ring->post, ring->runs);
}

static void op_run_idle(void *arg)
{
	struct ring *ring = arg;

	run(ring->idle, ring->runs);
}

/* All that there is, as libbpf does it, but that it calls a function for each. */
static void op_read(void *arg)
{
	struct ring *ring = arg;
	unsigned long pos, end;
	uint32_t *head, len;
	size_t size = 0;

	pos = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	while (pos < end) {
		head = (uint32_t *)(ring->data + (pos & (RING_SIZE - 1)));
		len = __atomic_load_n(head, __ATOMIC_ACQUIRE);
		/* Not there yet. */
		if (len & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(len & BPF_RINGBUF_DISCARD_BIT)) {
			if (len > sizeof(buffer) - size)
				die("length of a record", len);
			memcpy(buffer + size, (char *)head + BPF_RINGBUF_HDR_SZ, len);
			size += len;
		}
		len &= ~BPF_RINGBUF_DISCARD_BIT;
		pos += (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		__atomic_store_n(ring->consumer, pos, __ATOMIC_RELEASE);
		if (pos == end)
			end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	}
	ring->got = size;
}

static void op_post_read(void *arg)
{
	struct ring *ring = arg;
	struct epoll_event event;

	op_run_post(ring);
	expect("epoll_wait", epoll_wait(ring->epoll, &event, 1, -1), 1);
	op_read(ring);
	expect("bytes read", ring->got, RECORD);
}

/* ---- Untimed ---- */

static void check_records(void *arg)
{
	static const uint64_t record[] = { RECORD_WORD_0, RECORD_WORD_1 };
	struct ring *ring = arg;
	size_t pos;

	expect("bytes read", ring->got, sizeof(buffer));
	for (pos = 0; pos < sizeof(buffer); pos += RECORD)
		if (memcmp(buffer + pos, record, RECORD))
			die("not the record that was posted", pos / RECORD);
	memset(buffer, 0, sizeof(buffer));
}

static void read_and_check_records(void *arg)
{
	op_read(arg);
	check_records(arg);
}

/* ---- Making it ---- */

#define INSN(c, dst, src, o, i)						\
	((struct bpf_insn){ .code = (c), .dst_reg = (dst), .src_reg = (src), \
			    .off = (o), .imm = (i) })
#define SET(reg, value)							\
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value)

/* Returns 0, or what bpf_ringbuf_output() returns if it @posts. */
static int load_program(int map, bool posts)
{
	static const char license[] = "GPL";
	struct bpf_insn insns[] = {
		/* The record, on the stack */
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -RECORD, RECORD_WORD_0),
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -RECORD + 8,
		     RECORD_WORD_1),
		/* The arguments: the map, which takes two, the record, its size, no flags */
		INSN(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -RECORD),
		SET(BPF_REG_3, RECORD),
		SET(BPF_REG_4, 0),
		SET(BPF_REG_0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	unsigned int nr = ARRAY_SIZE(insns);
	union bpf_attr attr;

	if (!posts) {
		insns[nr - 2] = insns[nr - 1];
		nr--;
	}
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = nr;
	attr.license = (unsigned long)license;
	return no_error("BPF_PROG_LOAD", sys_bpf(BPF_PROG_LOAD, &attr));
}

/* Returns whether there is such a thing. */
static bool make_map(struct ring *ring)
{
	union bpf_attr attr;
	int ret;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = RING_SIZE;
	ret = sys_bpf(BPF_MAP_CREATE, &attr);
	if (ret == -ENOSYS)
		return false;
	ring->map = no_error("BPF_MAP_CREATE", ret);
	return true;
}

static void *map_pages(struct ring *ring, size_t len, int prot, size_t offset)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, ring->map, offset);

	if (p == MAP_FAILED)
		die("mmap of a ring buffer", -errno);
	return p;
}

static void make_ring(struct ring *ring)
{
	ring->page = sysconf(_SC_PAGESIZE);
	ring->consumer = map_pages(ring, ring->page, PROT_READ | PROT_WRITE, 0);
	ring->producer = map_pages(ring, ring->page + 2 * RING_SIZE, PROT_READ,
				   ring->page);
	ring->data = (char *)ring->producer + ring->page;
	ring->post = load_program(ring->map, true);
	ring->idle = load_program(ring->map, false);
}

static void remove_ring(struct ring *ring)
{
	munmap(ring->consumer, ring->page);
	munmap(ring->producer, ring->page + 2 * RING_SIZE);
	close(ring->post);
	close(ring->idle);
	close(ring->map);
}

/* ---- The rows ---- */

/* All of a ring buffer's records at once. */
static void bulk_rows(struct ring *ring)
{
	struct work post = {
		.op = op_run_post, .after = read_and_check_records, .arg = ring,
		.places = 1, .rounds = 15,
	};
	struct work idle = {
		.op = op_run_idle, .arg = ring, .places = 1, .rounds = 15,
	};
	struct work read = {
		.op = op_read, .before = op_run_post, .after = check_records,
		.arg = ring, .places = 1, .rounds = 15,
	};

	ring->runs = RECORDS;
	add("bpf.post", clock_unit(), (measure(&post) - measure(&idle)) / RECORDS);
	add("bpf.read.bulk", clock_unit(), measure(&read) / RECORDS);
}

static void single_row(struct ring *ring)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct work work = { .arg = ring, .places = 64, .rounds = 15 };
	double all;

	ring->runs = 1;
	ring->epoll = no_error("epoll_create1", wq_errno(epoll_create1(0)));
	no_error("epoll_ctl", wq_errno(epoll_ctl(ring->epoll, EPOLL_CTL_ADD,
						 ring->map, &event)));
	work.op = op_post_read;
	all = measure(&work);
	work.op = op_run_idle;
	add("bpf.post_read.single", clock_unit(), all - measure(&work));
	close(ring->epoll);
}

void bench_bpf(void)
{
	struct ring ring = { 0 };

	if (!make_map(&ring)) {
		printf("# rivals: CONFIG_BPF_SYSCALL is not set\n");
		return;
	}
	make_ring(&ring);
	bulk_rows(&ring);
	single_row(&ring);
	remove_ring(&ring);
}
