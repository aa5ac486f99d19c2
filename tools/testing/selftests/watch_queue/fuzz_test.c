// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can be done with queues, by many threads and processes at once and
 * in an order that chance chooses.  Whatever is read has to make sense, whatever fails
 * has to fail as documented, and in the end nothing may be left; the rest is for the
 * kernel's own checks to say.
 *
 * A run consists of rounds, of which each has the next seed.  What each thread tries
 * in a round depends on the seed alone.  Before each round the seed is told in the
 * kernel's log.
 *
 *   WQ_SEED          the seed of the first round
 *   WQ_FUZZ_SECONDS  how long each test lasts; WQ_SECONDS if that is not set, or 3
 *   WQ_THREADS       how many threads there are, 1 to 16
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/securebits.h>

#include "../kselftest_harness.h"
#include "watch_queue_block.h"
#include "watch_queue_fuzz.h"

#define DISK_INDEX	28
#define DISK_NAME	"nullb28"

/* ---- Queues ---- */

/* Two ends of a new queue take the places of two others. */
static long fuzz_pipe(struct fz_thread *t)
{
	static const int extra[] = { 0, 0, 0, O_DIRECT, O_CLOEXEC, O_TMPFILE, 0x10000000 };
	int flags = fz(t, 4) ? O_NONBLOCK : 0, fds[2], ret;
	int to = FZ_FIRST + 2 * fz(t, FZ_QUEUES);

	flags |= fz_pick(t, extra);
	ret = wq_pipe(fds, flags);
	if (ret)
		return ret;
	fz_install(fds[0], to);
	return fz_install(fds[1], to + 1);
}

static long fuzz_set_size(struct fz_thread *t)
{
	static const unsigned long odd[] = {
		0, 1, 32, 512, 4096, WQ_MAX_DEPTH + 1, 0x80000000, -1ul,
	};
	unsigned long depth = fz(t, 3) ? 1 + fz(t, 64) : fz_pick(t, odd);

	return wq_set_size(fz_some_fd(t), depth);
}

static long fuzz_set_filter(struct fz_thread *t)
{
	unsigned int n = fz(t, 8) ? 1 : 64;
	int fd = fz_some_fd(t);
	struct fz_filter *f;
	long ret;

	switch (fz(t, 8)) {
	case 0 ... 2:
		return wq_set_filter(fd, NULL);
	case 3:
		return wq_set_filter(fd, t->edge - fz(t, sizeof(*f)));
	case 4:
		return wq_set_filter(fd, t->world->shared + fz(t, FZ_BUF));
	}
	f = (void *)(t->edge - sizeof(*f));
	fz_make_filter(f, &t->random);
	if (!fz(t, 3))
		fz_spoil_filter(f, &t->random);
	do {
		ret = wq_set_filter(fd, n % 2 ? f : NULL);
	} while (--n);
	return ret;
}

static long fuzz_get_info(struct fz_thread *t)
{
	static const unsigned int sizes[] = { 0, 4, 7, 8, 20, 40, 48, 49, 100, 4096, 4097, -1 };
	const unsigned int size = fz_pick(t, sizes), known = sizeof(struct watch_queue_info);
	size_t room = fz(t, 8) ? size : fz(t, 12);
	struct watch_queue_info info;
	unsigned int i;
	char *at;
	long ret;

	if (room < 4 || room > 4096)
		room = 4;
	at = t->edge - room;
	memset(at, 0xaa, room);
	memcpy(at, &size, 4);

	ret = wq_ioctl(fz_some_fd(t), _IOC(fz(t, 4), 'W', 0x63, fz(t, 1 << 14)),
		       (unsigned long)at);
	if (ret)
		return ret;

	memset(&info, 0, sizeof(info));
	memcpy(&info, at, size < known ? size : known);
	if (info.size != known || info.version != WATCH_QUEUE_ABI_VERSION ||
	    (size >= known && (info.capacity != info.depth * WQ_BYTES_PER_RECORD ||
			       info.queued > info.capacity + WQ_LOSS_RECORD ||
			       info.queued % 8 || info.max_depth < info.depth)))
		fz_fail(t, "get_info of %u: size %u version %u capacity %llu queued %llu depth %u",
			size, info.size, info.version, (unsigned long long)info.capacity,
			(unsigned long long)info.queued, info.depth);
	for (i = known; i < size; i++)
		if (at[i])
			fz_fail(t, "get_info of %u: byte %u is not zeroed", size, i);
	return 0;
}

static long fuzz_fionread(struct fz_thread *t)
{
	int bytes = -1, *at = fz(t, 8) ? &bytes : (int *)(t->edge - fz(t, 4));
	long ret = wq_ioctl(fz_end(t), FIONREAD, (unsigned long)at);

	if (!ret && at == &bytes && (bytes < 0 || bytes % 8))
		fz_fail(t, "FIONREAD says %d", bytes);
	return ret;
}

static long fuzz_unknown_ioctl(struct fz_thread *t)
{
	static const unsigned int numbers[] = { 0, 0x5f, 0x62, 0x64, 0xff };
	unsigned int number = fz_pick(t, numbers);

	return wq_ioctl(fz_end(t), _IOC(fz(t, 4), 'W', number, fz(t, 64)),
			(unsigned long)t->edge - fz(t, 64));
}

/* Whose watch has what tag is what the records are checked by. */
static int some_tag(struct fz_thread *t, unsigned int object)
{
	static const int bad[] = { -2, 256, 0x10000, -0x7fffffff - 1, 0x7fffffff };

	if (!fz(t, 16))
		return fz_pick(t, bad);
	return fz(t, 4) ? (int)object : -1;
}

static long fuzz_watch(struct fz_thread *t)
{
	unsigned int object = fz(t, FZ_OBJECTS);
	int key = fz_key(t->world, object), fd = fz_some_fd(t);
	unsigned int n = fz(t, 8) ? 1 : 32;
	int tag = some_tag(t, object);
	long ret;

	/* Which may be another one's for each of the threads. */
	if (object == FZ_SESSION)
		key = KEY_SPEC_SESSION_KEYRING;
	do {
		ret = wq_watch_key(key, fd, n % 2 ? tag : -1);
	} while (--n);
	return ret;
}

static long fuzz_watch_wrong_key(struct fz_thread *t)
{
	static const int keys[] = { 0, 1, -100, -6, 0x7fffffff };

	return wq_watch_key(fz_pick(t, keys), fz_end(t), fz(t, 2) ? 255 : -1);
}

static long fuzz_watch_devices(struct fz_thread *t)
{
	int tag = some_tag(t, FZ_DEVICES), fd = fz_some_fd(t);

	return wq_watch_devices(fd, tag, fz(t, 16) ? 0 : 1 << fz(t, 32));
}

/*
 * Where to read to, and how much of it is certainly not there.  Only what nobody else
 * writes to can be looked at afterwards.
 */
static char *some_memory(struct fz_thread *t, size_t size, size_t *good, bool *private)
{
	*good = size;
	*private = true;
	switch (fz(t, 10)) {
	case 0:
		*good = fz(t, size + 1);
		return t->edge - *good;
	case 1:
		*good = 0;
		return t->constant;
	case 2:
	case 3:
		*private = false;
		return t->world->shared + fz(t, 4096);
	}
	return t->edge - size;
}

static long fuzz_read(struct fz_thread *t)
{
	size_t size = fz(t, 4) ? fz_random_size(&t->random) : fz(t, FZ_BUF), good, split;
	int fd = fz_end(t), how = fz(t, 8);
	struct iovec iov[2];
	bool private;
	ssize_t len;
	char *buf;

	buf = some_memory(t, size, &good, &private);
	split = fz(t, size + 1);
	iov[0] = (struct iovec){ buf, split };
	iov[1] = (struct iovec){ buf + split, size - split };
	if (how == 0)
		len = wq_errno(preadv2(fd, iov, 2, -1, RWF_NOWAIT));
	else if (how <= 2)
		len = wq_errno(readv(fd, iov, 2));
	else
		len = wq_read(fd, buf, size);

	if (len > (ssize_t)good || len % 8 > 0)
		fz_fail(t, "read of %zu bytes into %zu returns %zd", size, good, len);
	else if (len > 0 && private)
		fz_check_batch(t, buf, len, NULL);
	return len;
}

static long fuzz_write(struct fz_thread *t)
{
	size_t size = fz_random_size(&t->random);
	struct iovec iov = { t->edge - size, size };
	int fd = fz_end(t);

	switch (fz(t, 4)) {
	case 0:
		/* Nothing is written at once. */
		iov.iov_len = size ? size : 8;
		return wq_errno(writev(fd, &iov, 1));
	case 1:
		return wq_errno(pwrite(fd, iov.iov_base, size, 0));
	}
	return wq_errno(write(fd, iov.iov_base, size));
}

static long fuzz_splice(struct fz_thread *t)
{
	int end = fz_end(t), out = fz(t, 3) ? FZ_PLAIN + 1 : fz(t, 2) ? fz_end(t) : FZ_FILE;
	int in = fz(t, 3) ? FZ_PLAIN + 2 : fz(t, 2) ? fz_end(t) : FZ_FILE;
	struct iovec iov = { t->edge - 4096, 4096 };
	int flags = SPLICE_F_NONBLOCK | fz(t, 16);
	off_t off = 0, *at = fz(t, 2) ? &off : NULL;

	switch (fz(t, 9)) {
	case 0:
		return wq_errno(splice(end, NULL, out, NULL, 16, flags));
	case 1:
		return wq_errno(splice(in, NULL, end, NULL, 16, flags));
	case 2:
		return wq_errno(splice(end, at, out, NULL, 16, flags));
	case 3:
		return wq_errno(tee(end, out, 16, flags));
	case 4:
		return wq_errno(tee(in, end, 16, flags));
	case 5:
		return wq_errno(vmsplice(end, &iov, 1, flags));
	case 6:
		return wq_errno(sendfile(out, end, at, 16));
	case 7:
		return wq_errno(sendfile(end, in, NULL, 16));
	}
	return wq_errno(syscall(__NR_copy_file_range, end, NULL, FZ_FILE, NULL, 16, 0));
}

static long fuzz_setpipe_sz(struct fz_thread *t)
{
	static const int sizes[] = { 0, 1, 4096, 65536, 1 << 20, -1 };

	return wq_errno(fcntl(fz_end(t), F_SETPIPE_SZ, fz_pick(t, sizes)));
}

static long fuzz_getpipe_sz(struct fz_thread *t)
{
	long size = wq_errno(fcntl(fz_end(t), F_GETPIPE_SZ));

	if (size >= 0 && (size < 2 * getpagesize() || size % getpagesize()))
		fz_fail(t, "F_GETPIPE_SZ says %ld", size);
	return size;
}

/* Nobody is ever told to write. */
static long fuzz_poll(struct fz_thread *t)
{
	struct pollfd pfds[4];
	unsigned int i;
	long ret;

	for (i = 0; i < ARRAY_SIZE(pfds); i++)
		pfds[i] = (struct pollfd){ .fd = fz_end(t), .events = fz(t, 0x800) };
	ret = wq_errno(poll(pfds, 1 + fz(t, ARRAY_SIZE(pfds)), fz(t, 4) ? 0 : 1));
	for (i = 0; ret > 0 && i < ARRAY_SIZE(pfds); i++)
		if (pfds[i].revents & (POLLOUT | POLLWRNORM | POLLWRBAND | POLLPRI))
			fz_fail(t, "poll says %#x", pfds[i].revents);
	return ret;
}

static long fuzz_epoll_ctl(struct fz_thread *t)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	static const unsigned int modes[] = {
		0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET,
		EPOLLET | EPOLLONESHOT, EPOLLEXCLUSIVE | EPOLLONESHOT,
	};
	int op = fz_pick(t, ops), ep = FZ_EPOLL + fz(t, FZ_EPOLLS), fd = fz_some_fd(t);
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	event.events |= fz_pick(t, modes);
	return wq_errno(epoll_ctl(ep, op, fd, fz(t, 16) ? &event : (void *)t->edge));
}

static long fuzz_epoll_wait(struct fz_thread *t)
{
	struct epoll_event events[8];
	int ep = FZ_EPOLL + fz(t, FZ_EPOLLS), i, ret;

	ret = wq_errno(epoll_wait(ep, events, 1 + fz(t, 8), fz(t, 4) ? 0 : 1));
	for (i = 0; i < ret; i++)
		if (events[i].events & EPOLLWRNORM)
			fz_fail(t, "epoll says %#x", events[i].events);
	return ret;
}

static long fuzz_fcntl(struct fz_thread *t)
{
	static const int signals[] = { 0, SIGIO, SIGUSR1, -1, 1000 };
	struct f_owner_ex owner = { F_OWNER_TID, syscall(__NR_gettid) };
	unsigned int flags = 0;
	int fd = fz_end(t);

	switch (fz(t, 6)) {
	case 0:
		return wq_errno(fcntl(fd, F_SETOWN, fz(t, 4) ? getpid() : 0));
	case 1:
		return wq_errno(fcntl(fd, F_SETOWN_EX, &owner));
	case 2:
		return wq_errno(fcntl(fd, F_SETSIG, fz_pick(t, signals)));
	case 3:
		return wq_errno(fcntl(fd, F_SETFD, fz(t, 2)));
	}
	flags |= fz(t, 8) ? O_NONBLOCK : 0;
	flags |= fz(t, 3) ? 0 : O_ASYNC;
	flags |= fz(t, 8) ? 0 : O_DIRECT | O_APPEND;
	return wq_errno(fcntl(fd, F_SETFL, flags));
}

static long fuzz_dup(struct fz_thread *t)
{
	return wq_errno(dup3(fz_end(t), fz_end(t), fz(t, 8) ? O_CLOEXEC : fz(t, 4)));
}

static long fuzz_close(struct fz_thread *t)
{
	return wq_errno(close(fz_end(t)));
}

static long fuzz_reopen(struct fz_thread *t)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY, O_PATH, O_RDWR | O_TRUNC };
	int flag = fz_pick(t, flags) | (fz(t, 4) ? O_NONBLOCK : 0), ret;

	ret = wq_reopen(fz_end(t), flag);
	return ret < 0 ? ret : fz_install(ret, fz_end(t));
}

static long fuzz_fdinfo(struct fz_thread *t)
{
	struct wq_fdinfo info;
	int ret = wq_fdinfo(0, fz_end(t), &info);

	/* Nothing was found where it was opened with O_PATH only. */
	if (ret == -EBADMSG || (!ret && info.found && info.found != 4) ||
	    info.queued > info.capacity + WQ_LOSS_RECORD)
		fz_fail(t, "fdinfo is odd: %d figures, %u of %u bytes", info.found,
			info.queued, info.capacity);
	return ret ? ret : info.found;
}

static long fuzz_stat(struct fz_thread *t)
{
	struct stat st;

	return wq_errno(fstat(fz_end(t), &st));
}

/* What no pipe has. */
static long fuzz_file(struct fz_thread *t)
{
	int fd = fz_end(t);
	void *map;

	switch (fz(t, 6)) {
	case 0:
		return wq_errno(lseek(fd, fz(t, 100), fz(t, 3)));
	case 1:
		return wq_errno(ftruncate(fd, fz(t, 100)));
	case 2:
		return wq_errno(fsync(fd));
	case 3:
		return wq_errno(pread(fd, t->edge - 100, 100, fz(t, 100)));
	case 4:
		return wq_errno(fallocate(fd, 0, 0, 4096));
	}
	map = mmap(NULL, 4096, PROT_READ, fz(t, 2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	return map == MAP_FAILED ? -errno : 0;
}

/* ---- Keys ---- */

static unsigned int some_object(struct fz_thread *t)
{
	return fz(t, FZ_SESSION);
}

static int some_key(struct fz_thread *t)
{
	return fz_key(t->world, some_object(t));
}

static int some_ring(struct fz_thread *t)
{
	return fz(t, 8) ? fz_key(t->world, FZ_KEYS + fz(t, FZ_RINGS)) : some_key(t);
}

/* Updates it, or makes it anew where it is revoked. */
static long fuzz_add_key(struct fz_thread *t)
{
	unsigned int object = some_object(t);
	char desc[16];

	snprintf(desc, sizeof(desc), "wq:%u", object);
	return fz_set_key(t->world, object, object < FZ_KEYS ?
			  wq_add_user_key(desc, KEY_SPEC_SESSION_KEYRING) :
			  wq_add_keyring(desc, KEY_SPEC_SESSION_KEYRING));
}

/* Now and then for so long that the others can do a lot meanwhile. */
static long fuzz_touch(struct fz_thread *t)
{
	unsigned int n = 1 + fz(t, 8);

	return wq_touch_n(some_key(t), fz(t, 4) ? n : 64 * n);
}

static long fuzz_update(struct fz_thread *t)
{
	return wq_update_key(some_key(t));
}

static long fuzz_link(struct fz_thread *t)
{
	return wq_link_key(some_key(t), some_ring(t));
}

/* By turns there is certainly something to unlink. */
static long fuzz_unlink(struct fz_thread *t)
{
	int key = some_key(t), ring = some_ring(t);

	if (fz(t, 2))
		wq_link_key(key, ring);
	return wq_unlink_key(key, ring);
}

static long fuzz_move(struct fz_thread *t)
{
	return wq_keyctl(KEYCTL_MOVE, some_key(t), some_ring(t), some_ring(t),
			 fz(t, 2) * KEYCTL_MOVE_EXCL);
}

static long fuzz_clear(struct fz_thread *t)
{
	return wq_clear_keyring(some_ring(t));
}

static long fuzz_revoke(struct fz_thread *t)
{
	return wq_revoke_key(some_key(t));
}

static long fuzz_invalidate(struct fz_thread *t)
{
	return wq_invalidate_key(some_key(t));
}

static long fuzz_key_attr(struct fz_thread *t)
{
	static const unsigned int perms[] = { 0, 0x3f000000, 0x01010101, 0x3f3f3f3f, ~0u };

	switch (fz(t, 4)) {
	case 0:
		return wq_keyctl(KEYCTL_SETPERM, some_key(t), fz_pick(t, perms), 0, 0);
	case 1:
		return wq_keyctl(KEYCTL_CHOWN, some_key(t), -1, fz(t, 2) ? getgid() : 1, 0);
	case 2:
		return wq_keyctl(KEYCTL_RESTRICT_KEYRING, some_ring(t), 0, 0, 0);
	}
	return wq_keyctl(KEYCTL_SET_TIMEOUT, some_key(t), fz(t, 4) ? 0 : 1 + fz(t, 3), 0, 0);
}

/* Only this thread's; what it adds from now on goes there. */
static long fuzz_session(struct fz_thread *t)
{
	return fz_set_key(t->world, FZ_SESSION, wq_join_session());
}

/* ---- Causes and circumstances ---- */

static long fuzz_disk(struct fz_thread *t)
{
	long ret;

	if (t->world->disk.fd < 0)
		return -ENODEV;
	ret = wq_disk_read(t->world->disk.fd, WQ_NULL_BAD, WQ_IO_SECTORS);
	return ret == -EIO ? 0 : ret;
}

/* Watches have the same limit as files. */
static long fuzz_rlimit(struct fz_thread *t)
{
	static const rlim_t limits[] = { 20, FZ_FIRST + 8, FZ_LAST, FZ_NOFILE, FZ_NOFILE };
	struct rlimit lim = { fz_pick(t, limits), FZ_NOFILE };

	return wq_errno(setrlimit(RLIMIT_NOFILE, &lim));
}

/* Takes away and gives back some of the memory that others may be reading into. */
static long fuzz_mprotect(struct fz_thread *t)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	char *at = t->world->shared + 4096 * fz(t, 2 * FZ_BUF / 4096);

	if (!fz(t, 4))
		return mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS |
			    MAP_FIXED, -1, 0) == MAP_FAILED ? -errno : 0;
	return wq_errno(mprotect(at, 4096, fz_pick(t, prots)));
}

/* An end goes through a socket, or is closed with it. */
static long fuzz_scm_rights(struct fz_thread *t)
{
	int from = fz_end(t), to = fz_end(t), sock[2], ret;
	bool receive = fz(t, 3);
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { t->edge - 1, 1 };
	struct msghdr msg = {
		.msg_iov	= &iov,
		.msg_iovlen	= 1,
		.msg_control	= &control,
		.msg_controllen	= sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
		return -errno;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &from, sizeof(int));
	ret = wq_errno(sendmsg(sock[0], &msg, MSG_DONTWAIT));
	if (ret > 0 && receive) {
		ret = wq_errno(recvmsg(sock[1], &msg, MSG_DONTWAIT));
		/* Where there is no room for it, it is dropped. */
		if (ret > 0 && msg.msg_controllen >= CMSG_LEN(sizeof(int))) {
			memcpy(&from, CMSG_DATA(cmsg), sizeof(int));
			ret = fz_install(from, to);
		}
	}
	close(sock[0]);
	close(sock[1]);
	return ret;
}

static long fuzz_pidfd_getfd(struct fz_thread *t)
{
	int from = fz_end(t), to = fz_end(t), pidfd, ret;

	pidfd = wq_errno(syscall(__NR_pidfd_open, getpid(), 0));
	if (pidfd < 0)
		return pidfd;
	ret = wq_errno(syscall(__NR_pidfd_getfd, pidfd, from, 0));
	close(pidfd);
	return ret < 0 ? ret : fz_install(ret, to);
}

/* A read and a poll that may be under way when the ring is closed. */
static long fuzz_io_uring(struct fz_thread *t)
{
	struct io_uring_params p = {};
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int i, head;
	long ret;
	char *map;
	int fd;

	fd = wq_errno(syscall(__NR_io_uring_setup, 2, &p));
	if (fd < 0)
		return fd;
	sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	ret = -ENOMEM;
	if (sqe == MAP_FAILED || map == MAP_FAILED)
		goto out;

	for (i = 0; i < 2; i++) {
		memset(&sqe[i], 0, sizeof(*sqe));
		sqe[i].fd = fz_end(t);
		sqe[i].user_data = i;
		if (fz(t, 2)) {
			sqe[i].opcode = IORING_OP_READ;
			sqe[i].off = -1;
			sqe[i].addr = (unsigned long)t->world->shared + FZ_BUF;
			sqe[i].len = fz(t, FZ_BUF);
			sqe[i].rw_flags = fz(t, 3) ? 0 : RWF_NOWAIT;
		} else {
			sqe[i].opcode = IORING_OP_POLL_ADD;
			sqe[i].len = fz(t, 2) * IORING_POLL_ADD_MULTI;
			sqe[i].poll32_events = POLLIN | POLLOUT;
		}
		sqe[i].flags = fz(t, 4) ? 0 : IOSQE_ASYNC;
		((unsigned int *)(map + p.sq_off.array))[i] = i;
	}
	__atomic_store_n((unsigned int *)(map + p.sq_off.tail), 2, __ATOMIC_RELEASE);
	ret = wq_errno(syscall(__NR_io_uring_enter, fd, 2, fz(t, 3), IORING_ENTER_GETEVENTS,
			       NULL, 0));

	cqe = (void *)(map + p.cq_off.cqes);
	head = __atomic_load_n((unsigned int *)(map + p.cq_off.tail), __ATOMIC_ACQUIRE);
	for (i = 0; i < head && i < 4; i++)
		if (cqe[i].res > 0 && !(cqe[i].flags & IORING_CQE_F_MORE) &&
		    sqe[cqe[i].user_data].opcode == IORING_OP_READ && cqe[i].res % 8)
			fz_fail(t, "io_uring reads %d bytes", cqe[i].res);
out:
	if (sqe != MAP_FAILED)
		munmap(sqe, 4096);
	if (map != MAP_FAILED)
		munmap(map, 4096);
	close(fd);
	return ret;
}

/* ---- The queue of one's own ---- */

/* What is lost is told, by and by; see also check_own(). */
static long fuzz_own_read(struct fz_thread *t)
{
	struct watch_queue_info info;
	char *buf = t->edge - 4096;
	ssize_t len;
	int i;

	/* Nobody else reads it: what is there stays there. */
	if (!t->injected && wq_fionread(t->own.fds[1]) > 0 &&
	    (!wq_readable(t->own.fds[0]) || !wq_read(t->own.fds[0], buf, 1) ||
	     errno == EAGAIN))
		fz_fail(t, "own queue: FIONREAD, poll and read contradict each other");
	for (i = 0; i < 8; i++) {
		len = wq_read(t->own.fds[0], buf, 4096);
		if (len <= 0)
			break;
		fz_check_batch(t, buf, len, &t->own);
	}
	if (len < 0 && len != -EAGAIN)
		return len;
	if (!wq_get_info(t->own.fds[1], &info) && info.lost < t->own.lost)
		fz_fail(t, "own queue: lost %llu, told %llu", (unsigned long long)info.lost,
			(unsigned long long)t->own.lost);
	return 0;
}

static long fuzz_own_watch(struct fz_thread *t)
{
	unsigned int object = fz(t, FZ_SESSION + 2);
	bool devices = object == FZ_SESSION + 1;
	int key = devices ? 0 : fz_key(t->world, object), ret;
	struct fz_watch *watch;
	bool begin = fz(t, 3);

	if (devices) {
		object = FZ_DEVICES;
		ret = wq_watch_devices(t->own.fds[0], begin ? FZ_DEVICES : -1, 0);
	} else {
		ret = wq_watch_key(key, t->own.fds[0], begin ? (int)object : -1);
	}
	if (!ret && begin) {
		watch = fz_own_watch(&t->own, object, key);
		if (watch)
			watch->watches++;
	}
	return ret;
}

static long fuzz_own_set(struct fz_thread *t)
{
	struct fz_filter f;

	if (fz(t, 2))
		return wq_set_size(t->own.fds[0], 1 + fz(t, 256));
	fz_make_filter(&f, &t->random);
	return wq_set_filter(t->own.fds[1], fz(t, 2) ? &f.head : NULL);
}

static long fuzz_child(struct fz_thread *t);

/* ---- The operations ---- */

#define REFUSED		0x01	/* never succeeds */
#define OWN		0x02	/* is for threads, not for their children */
#define FAULTS		0x04	/* does not sleep, so that it can be made to fail */
#define KEY		0x08	/* is about a key that may be none any more */

/* @errors are what the call may fail with; EINTR is none, and EBADF of no merit. */
static const struct op {
	const char *name;
	unsigned int weight;
	long (*fn)(struct fz_thread *t);
	unsigned int flags;
	int errors[12];
} ops[] = {
	{ "pipe2", 25, fuzz_pipe, FAULTS, { EINVAL, EMFILE, ENFILE, EBUSY, EBADF } },
	{ "SET_SIZE", 20, fuzz_set_size, FAULTS, { EBADF, EINVAL, EPERM, EBUSY, ENOTTY } },
	{ "SET_FILTER", 15, fuzz_set_filter, FAULTS, { EBADF, EINVAL, EFAULT, ENOTTY } },
	{ "GET_INFO", 10, fuzz_get_info, FAULTS, { EBADF, EINVAL, E2BIG, EFAULT, ENOTTY } },
	{ "FIONREAD", 10, fuzz_fionread, FAULTS, { EBADF, EFAULT } },
	{ "ioctl", 5, fuzz_unknown_ioctl, REFUSED, { EBADF, ENOTTY } },
	{ "watch_key", 60, fuzz_watch, FAULTS | KEY,
	  { EBADF, EINVAL, EBUSY, EBADSLT, EAGAIN } },
	{ "no key", 3, fuzz_watch_wrong_key, REFUSED, { EINVAL, ENOKEY, EBADF } },
	{ "watch_devices", 20, fuzz_watch_devices, FAULTS,
	  { EBADF, EINVAL, EBUSY, EBADSLT, EAGAIN } },
	{ "read", 60, fuzz_read, 0, { EBADF, EAGAIN, ENOBUFS, EFAULT, EOPNOTSUPP } },
	{ "write", 5, fuzz_write, REFUSED, { EBADF, EXDEV, ESPIPE } },
	{ "splice", 10, fuzz_splice, REFUSED, { EBADF, EINVAL, EXDEV, ESPIPE, EAGAIN } },
	{ "F_SETPIPE_SZ", 4, fuzz_setpipe_sz, REFUSED, { EBADF, EBUSY } },
	{ "F_GETPIPE_SZ", 4, fuzz_getpipe_sz, 0, { EBADF } },
	{ "poll", 10, fuzz_poll, 0, { EINVAL } },
	{ "epoll_ctl", 15, fuzz_epoll_ctl, FAULTS,
	  { EBADF, EEXIST, ENOENT, EINVAL, EPERM, EFAULT, ELOOP } },
	{ "epoll_wait", 10, fuzz_epoll_wait, 0, { } },
	{ "fcntl", 15, fuzz_fcntl, FAULTS, { EBADF, EINVAL } },
	{ "dup3", 10, fuzz_dup, 0, { EBADF, EINVAL, EBUSY, EMFILE } },
	{ "close", 25, fuzz_close, 0, { EBADF } },
	{ "open", 10, fuzz_reopen, 0, { ENOENT, ENXIO, EMFILE, EACCES, EBADF, EBUSY } },
	{ "fdinfo", 5, fuzz_fdinfo, 0, { ENOENT, EMFILE, EACCES } },
	{ "fstat", 2, fuzz_stat, 0, { EBADF } },
	{ "file", 5, fuzz_file, REFUSED, { EBADF, ESPIPE, EINVAL, ENODEV, EACCES } },
	{ "add_key", 30, fuzz_add_key, KEY, { EDQUOT } },
	{ "KEYCTL_SETPERM", 60, fuzz_touch, KEY, { } },
	{ "KEYCTL_UPDATE", 20, fuzz_update, KEY, { EOPNOTSUPP, EDQUOT } },
	{ "KEYCTL_LINK", 20, fuzz_link, KEY, { ENOTDIR, EDQUOT, EDEADLK, ELOOP, EPERM } },
	{ "KEYCTL_UNLINK", 15, fuzz_unlink, KEY, { ENOTDIR, ENOENT } },
	{ "KEYCTL_MOVE", 15, fuzz_move, KEY,
	  { ENOTDIR, ENOENT, EEXIST, EDEADLK, ELOOP, EPERM, EDQUOT } },
	{ "KEYCTL_CLEAR", 4, fuzz_clear, KEY, { ENOTDIR } },
	{ "KEYCTL_REVOKE", 2, fuzz_revoke, KEY, { } },
	{ "KEYCTL_INVALIDATE", 4, fuzz_invalidate, KEY, { } },
	{ "key attributes", 6, fuzz_key_attr, KEY, { EINVAL, EPERM, EEXIST, ENOTDIR } },
	{ "new session", 2, fuzz_session, 0, { EDQUOT } },
	{ "disk error", 10, fuzz_disk, 0, { ENODEV } },
	{ "setrlimit", 2, fuzz_rlimit, 0, { EPERM } },
	{ "mprotect", 10, fuzz_mprotect, 0, { } },
	{ "SCM_RIGHTS", 4, fuzz_scm_rights, 0,
	  { EBADF, EMFILE, EBUSY, EAGAIN, ETOOMANYREFS } },
	{ "pidfd_getfd", 4, fuzz_pidfd_getfd, 0, { EBADF, EMFILE, EBUSY } },
	{ "io_uring", 4, fuzz_io_uring, 0, { EMFILE, ENOMEM, EBADF, EPERM } },
	{ "own read", 20, fuzz_own_read, OWN | FAULTS, { EFAULT } },
	{ "own watch", 20, fuzz_own_watch, OWN | FAULTS | KEY, { EBUSY, EBADSLT, EAGAIN } },
	{ "own set", 8, fuzz_own_set, OWN | FAULTS, { EBUSY, EPERM } },
	{ "fork", 1, fuzz_child, OWN, { EAGAIN } },
};

static unsigned int some_op(struct fz_thread *t)
{
	unsigned int i, all = 0, nr;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		all += ops[i].weight;
	nr = fz(t, all);
	for (i = 0; nr >= ops[i].weight; i++)
		nr -= ops[i].weight;
	return i;
}

static bool error_is_known(const struct fz_thread *t, const struct op *op, int error)
{
	static const int of_faults[] = { ENOMEM, EFAULT, ENFILE, EAGAIN };
	static const int of_keys[] = { ENOKEY, EKEYREVOKED, EKEYEXPIRED, EACCES };
	unsigned int i;

	if (error == EINTR)
		return true;
	for (i = 0; (op->flags & KEY) && i < ARRAY_SIZE(of_keys); i++)
		if (of_keys[i] == error)
			return true;
	for (i = 0; t->injected && i < ARRAY_SIZE(of_faults); i++)
		if (of_faults[i] == error)
			return true;
	for (i = 0; i < ARRAY_SIZE(op->errors) && op->errors[i]; i++)
		if (op->errors[i] == error)
			return true;
	return false;
}

/* ---- Signals ---- */

static const int signals[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGIO };

static void kicked(int sig)
{
}

/* A handler, without SA_RESTART, interrupts what sleeps; SIG_IGN outlasts exec(). */
static void set_signals(void (*handler)(int sig))
{
	const struct sigaction sa = { .sa_handler = handler };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

/* A process does not survive it if there is no memory for a signal's frame. */
static void block_signals(int how)
{
	unsigned int i;
	sigset_t set;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(how, &set, NULL);
}

/* ---- Doing them ---- */

/* The n'th allocation or the like that this thread does from now on is to fail. */
static void inject_fault(struct fz_thread *t, unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	/* It may be this that fails, but not twice. */
	if (write(t->fail_fd, text, strlen(text)) < 0 &&
	    write(t->fail_fd, text, strlen(text)) < 0)
		fz_fail(t, "fail-nth cannot be written: %s", strerror(errno));
}

static void do_op(struct fz_thread *t)
{
	const struct op *op;
	struct fz_count *count;
	bool inject;
	long ret;

	t->op = some_op(t);
	op = &ops[t->op];
	count = &t->world->counts[t->op];
	inject = fz(t, 2) && (op->flags & FAULTS) && t->fail_fd >= 0;
	if (t->child && (op->flags & OWN))
		return;

	t->injected = inject;
	if (inject) {
		block_signals(SIG_BLOCK);
		inject_fault(t, 1 + fz(t, 10));
	}
	ret = op->fn(t);
	if (inject) {
		inject_fault(t, 0);
		block_signals(SIG_UNBLOCK);
	}

	if (ret >= 0 && (op->flags & REFUSED))
		fz_fail(t, "%s succeeds", op->name);
	if (ret < 0 && !error_is_known(t, op, -ret))
		fz_fail(t, "%s: %s", op->name, strerror(-ret));

	__atomic_fetch_add(&count->tried, 1, __ATOMIC_RELAXED);
	if (op->flags & REFUSED ? ret != -EBADF : ret >= 0)
		__atomic_fetch_add(&count->succeeded, 1, __ATOMIC_RELAXED);
}

/* ---- A process with some of the files ---- */

/* What the program is started as by exec(), to do nothing. */
#define EXEC_ARG	"--exec"

static int child_main(struct fz_thread *t)
{
	const struct itimerval tick = { { 0, 20000 }, { 0, 20000 } };
	unsigned int i, end = fz(t, FZ_ENDS), n = fz(t, 12);
	bool leave_user = fz(t, 2), exec = fz(t, 2);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setitimer(ITIMER_REAL, &tick, NULL);
	t->child = true;
	t->fail_fd = -1;
	t->nr += FZ_THREADS_MAX;
	syscall(__NR_close_range, FZ_FIRST + end, FZ_FIRST + FZ_ENDS - 1, 0);
	if (leave_user)
		syscall(__NR_setresuid, FZ_UID_CHILD, FZ_UID_CHILD, FZ_UID_CHILD);

	for (i = 0; i < n; i++) {
		fz_reseed(t, t->random);
		do_op(t);
	}
	set_signals(SIG_IGN);
	if (exec)
		execl("/proc/self/exe", "fuzz_test", EXEC_ARG, NULL);
	return 0;
}

static long fuzz_child(struct fz_thread *t)
{
	unsigned int seed = fz(t, 65536);
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		t->random = seed;
		_exit(child_main(t));
	}
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return -errno;
	if (status)
		fz_fail(t, "child ends with status %#x", status);
	return 0;
}

/* ---- A round ---- */

#define OPS_PER_ROUND	250
#define KICK_MS		20

static void *fuzz_thread(void *arg)
{
	struct fz_thread *t = arg;
	unsigned int i;

	if (t->world->faults) {
		t->fail_fd = FZ_FAIL + t->nr;
		if (fz_install(open("/proc/thread-self/fail-nth", O_RDWR), t->fail_fd) < 0)
			fz_fail(t, "fail-nth cannot be opened: %s", strerror(errno));
	}
	/* From here on nobody can rely on getting a file. */
	pthread_barrier_wait(&t->world->start);
	for (i = 0; i < OPS_PER_ROUND && !fz_failed(t->world); i++) {
		fz_reseed(t, i);
		do_op(t);
	}
	__atomic_fetch_sub(&t->world->running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static long make_objects(struct fz_thread *t)
{
	unsigned int object;
	char desc[16];
	long ret;

	ret = fz_set_key(t->world, FZ_SESSION, wq_join_session());
	for (object = 0; ret > 0 && object < FZ_SESSION; object++) {
		snprintf(desc, sizeof(desc), "wq:%u", object);
		ret = fz_set_key(t->world, object, fz_add_object(desc, object >= FZ_KEYS));
		wq_touch(ret);
	}
	return ret < 0 ? ret : 0;
}

static int make_files(struct fz_thread *t)
{
	int fds[2], i, ret = 0;

	for (i = 0; !ret && i < FZ_QUEUES; i++) {
		ret = wq_pipe(fds, O_NONBLOCK);
		fz_install(fds[0], FZ_FIRST + 2 * i);
		fz_install(fds[1], FZ_FIRST + 2 * i + 1);
	}
	for (i = 0; !ret && i < FZ_PLAINS; i += 2) {
		ret = wq_errno(pipe2(fds, O_NONBLOCK));
		fz_install(fds[0], FZ_PLAIN + i);
		fz_install(fds[1], FZ_PLAIN + i + 1);
	}
	/* Splicing from the second one should find something. */
	if (!ret && write(FZ_PLAIN + 3, t->edge - 4096, 4096) < 0)
		ret = -errno;
	for (i = 0; !ret && i < FZ_EPOLLS; i++)
		if (fz_install(epoll_create1(0), FZ_EPOLL + i) < 0)
			ret = -errno;
	if (!ret && (fz_install(memfd_create("wq", 0), FZ_FILE) < 0 ||
		     ftruncate(FZ_FILE, 4096)))
		ret = -errno;
	return ret;
}

static int make_thread(struct fz_thread *t)
{
	int fds[2], ret;

	t->fail_fd = -1;
	t->edge = wq_map_edge(FZ_BUF / 4096 + 1, 17);
	t->constant = mmap(NULL, FZ_BUF, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!t->edge || t->constant == MAP_FAILED)
		return -ENOMEM;
	ret = wq_pipe(fds, O_NONBLOCK);
	if (ret)
		return ret;
	t->own.fds[0] = FZ_OWN + 2 * t->nr;
	t->own.fds[1] = t->own.fds[0] + 1;
	fz_install(fds[0], t->own.fds[0]);
	return fz_install(fds[1], t->own.fds[1]) < 0 ? -errno : 0;
}

/*
 * Nobody does anything any more: what is lost has to have been told, and the watches
 * that there are have to be the ones without a REMOVAL, unless one of these is lost.
 */
static void check_own(struct fz_thread *t)
{
	unsigned int i, watches = 0;
	struct watch_queue_info info;
	struct wq_fdinfo fdinfo;
	char buf[4096];
	ssize_t len;

	/* Keys that go by themselves are not waited for. */
	while ((len = wq_read(t->own.fds[0], buf, sizeof(buf))) > 0)
		fz_check_batch(t, buf, len, &t->own);
	wq_get_info(t->own.fds[0], &info);
	if (len != -EAGAIN || info.lost < t->own.lost ||
	    (info.lost != t->own.lost && !info.queued))
		fz_fail(t, "own queue at the end: %zd, lost %llu, told %llu", len,
			(unsigned long long)info.lost, (unsigned long long)t->own.lost);

	wq_fdinfo(0, t->own.fds[0], &fdinfo);
	for (i = 0; i < t->own.nr; i++)
		watches += t->own.watches[i].watches;
	if (!info.lost && watches < (unsigned int)fdinfo.nr_watches)
		fz_fail(t, "own queue at the end: %u watches, %u of them known",
			fdinfo.nr_watches, watches);
}

/* Whether nothing at all was done for a long time. */
struct patience {
	__u64 done;
	long end;
};

static bool is_over(struct patience *p, const struct fz_world *world, long ms)
{
	__u64 done = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		done += __atomic_load_n(&world->counts[i].tried, __ATOMIC_RELAXED);
	if (!p->end || done != p->done)
		*p = (struct patience){ done, wq_now_ms() + ms };
	return wq_now_ms() > p->end;
}

/* System calls that sleep are interrupted, all the time. */
static void kick_until_done(struct fz_world *world, struct fz_thread *threads)
{
	struct patience patience = {};
	unsigned int i;

	while (__atomic_load_n(&world->running, __ATOMIC_SEQ_CST)) {
		usleep(1000 * KICK_MS);
		if (is_over(&patience, world, WQ_PATIENCE_MS)) {
			for (i = 0; i < world->threads; i++)
				fz_fail(&threads[i], "stuck: thread %u in %s", i,
					ops[threads[i].op].name);
			_exit(1);
		}
		for (i = 0; i < world->threads; i++)
			pthread_kill(threads[i].thread, SIGUSR2);
	}
}

static void set_nofile(rlim_t limit)
{
	const struct rlimit lim = { limit, FZ_NOFILE };

	setrlimit(RLIMIT_NOFILE, &lim);
}

/* Becomes a user of whom it is known what he has. */
static int become_user(uid_t uid, bool privileged)
{
	if (privileged && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
		return -errno;
	return wq_become(uid);
}

static void round_main(struct fz_world *world)
{
	static struct fz_thread threads[FZ_THREADS_MAX];
	unsigned int i;
	long ret;

	set_signals(kicked);
	set_nofile(FZ_NOFILE);
	ret = become_user(FZ_UID, world->privileged);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < world->threads && !ret; i++) {
		threads[i].world = world;
		threads[i].nr = i;
		ret = make_thread(&threads[i]);
	}
	if (!ret)
		ret = make_objects(&threads[0]);
	if (!ret)
		ret = make_files(&threads[0]);
	world->running = world->threads;
	pthread_barrier_init(&world->start, NULL, world->threads);
	for (i = 0; i < world->threads && !ret; i++)
		ret = -pthread_create(&threads[i].thread, NULL, fuzz_thread, &threads[i]);
	if (ret) {
		fz_fail(&threads[0], "a round cannot be prepared: %s", strerror(-ret));
		_exit(1);
	}

	kick_until_done(world, threads);
	for (i = 0; i < world->threads; i++)
		pthread_join(threads[i].thread, NULL);
	set_nofile(FZ_NOFILE);
	for (i = 0; i < world->threads; i++)
		check_own(&threads[i]);
	_exit(0);
}

/* ---- What is left ---- */

/*
 * While soft limit and number of watches are as here, a user who has nothing can have
 * exactly so much.
 */
#define SOFT_PAGES	200
#define PROBE_PIPES	20
#define PROBE_KEYS	3
#define PROBE_WATCHES	50

/* Exits with 0, 1 if there are pages, 2 if there are watches, or more. */
static void probe_main(uid_t uid)
{
	int fds[PROBE_PIPES][2], keys[PROBE_KEYS], i, nr = 0;
	struct watch_queue_info info;

	if (become_user(uid, false) || wq_pipe(fds[0], 0) || wq_get_info(fds[0][0], &info))
		_exit(3);
	if (wq_pages(info.max_depth) > SOFT_PAGES || wq_pages(info.max_depth + 1) <= SOFT_PAGES)
		_exit(1);

	for (i = 1; i < PROBE_PIPES; i++)
		if (wq_pipe(fds[i], 0))
			_exit(4);
	if (wq_join_session() < 0)
		_exit(5);
	for (i = 0; i < PROBE_KEYS; i++) {
		keys[i] = wq_add_keyring((char[]){ 'a' + i, 0 }, KEY_SPEC_SESSION_KEYRING);
		if (keys[i] < 0)
			_exit(6);
	}
	set_nofile(PROBE_WATCHES);
	for (i = 0; i < PROBE_PIPES * PROBE_KEYS; i++)
		nr += !wq_watch_key(keys[i / PROBE_PIPES], fds[i % PROBE_PIPES][0], 0);
	_exit(nr == PROBE_WATCHES ? 0 : 2);
}

/* Waits until nothing of a user's is left.  Returns as probe_main(). */
static int await_nothing(uid_t uid)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;
	int status;
	pid_t pid;

	do {
		pid = fork();
		if (pid == 0)
			probe_main(uid);
		if (waitpid(pid, &status, 0) != pid)
			return -errno;
	} while (status && wq_now_ms() < end && !usleep(10000));
	return status >> 8;
}

/* A round in a process of its own, which is killed if it does not end. */
static void run_round(struct fz_world *world)
{
	static const char * const things[] = { "nothing", "pages", "watches", "others" };
	struct fz_thread t = { .world = world };
	struct patience patience = {};
	int status = 0, left;
	pid_t pid, done;

	memset(world->serials, 0, sizeof(world->serials));
	pid = fork();
	if (pid == 0)
		round_main(world);
	/* It looks after its threads itself, so this is for what comes after them. */
	while (!(done = waitpid(pid, &status, WNOHANG)) &&
	       !is_over(&patience, world, 2 * WQ_PATIENCE_MS))
		usleep(1000);
	if (!done) {
		fz_fail(&t, "the round does not end");
		kill(pid, SIGKILL);
		return;
	}
	if (done < 0 || status)
		fz_fail(&t, "the round ends with status %#x", status);
	left = await_nothing(FZ_UID);
	if (!left)
		left = await_nothing(FZ_UID_CHILD);
	if (left)
		fz_fail(&t, "there are %s left over", things[left < 3 ? left : 3]);
}

/*
 * ---- Tests ----
 */

/* So often tried, anything should have succeeded. */
#define ENOUGH		200

/* What is changed for the time of the tests, and what it was. */
struct setting {
	const char *path;
	const char *text;
	char old[32];
};

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"
#define FAIL_USERCOPY	"/sys/kernel/debug/fail_usercopy/"

static const struct setting settings[] = {
	{ "/proc/sys/fs/pipe-user-pages-soft", "200" },
	{ FAILSLAB "ignore-gfp-wait", "N" },
	{ FAILSLAB "verbose", "0" },
	{ FAIL_PAGE "ignore-gfp-wait", "N" },
	{ FAIL_PAGE "ignore-gfp-highmem", "N" },
	{ FAIL_PAGE "min-order", "0" },
	{ FAIL_PAGE "verbose", "0" },
	{ FAIL_USERCOPY "verbose", "0" },
};

FIXTURE(fuzz)
{
	struct setting settings[ARRAY_SIZE(settings)];
	bool has_disk;
};

FIXTURE_SETUP(fuzz)
{
	size_t i;

	WQ_REQUIRE_KEYS();
	WQ_REQUIRE_ROOT();
	wq_mount("configfs", WQ_CONFIGFS);
	wq_mount("debugfs", "/sys/kernel/debug");
	self->has_disk = !wq_null_begin(DISK_INDEX, "2", true);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		struct setting *s = &self->settings[i];

		*s = settings[i];
		if (wq_read_from(s->path, s->old, sizeof(s->old)) < 0)
			s->old[0] = 0;
		else
			ASSERT_EQ(0, wq_file_write(s->path, s->text));
	}
}

FIXTURE_TEARDOWN_PARENT(fuzz)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (self->settings[i].old[0])
			wq_file_write(self->settings[i].path, self->settings[i].old);
	if (self->has_disk)
		wq_null_remove(DISK_INDEX);
}

static void fuzz(struct __test_metadata *_metadata, bool has_disk, bool faults)
{
	const unsigned int first = wq_env("WQ_SEED", 1);
	unsigned int seed = first, i;
	long end = fz_end_of_test();
	struct fz_world *world;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, world);
	world->shared = mmap(NULL, 2 * FZ_BUF + 4096, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, world->shared);
	world->disk.fd = -1;
	if (has_disk)
		ASSERT_EQ(0, wq_disk_open(&world->disk, DISK_NAME));
	world->faults = faults;
	world->threads = wq_env("WQ_THREADS", FZ_THREADS);
	ASSERT_LE(ARRAY_SIZE(ops), ARRAY_SIZE(world->counts));
	ASSERT_LE(1, world->threads);
	ASSERT_LE(world->threads, FZ_THREADS_MAX);

	do {
		world->seed = seed;
		/* By turns; but faults cannot be had without. */
		world->privileged = seed % 2 || faults;
		fz_announce(seed);
		run_round(world);
		ASSERT_FALSE(world->failed) {
			TH_LOG("%s", world->failure);
			TH_LOG("WQ_SEED=%u WQ_FUZZ_SECONDS=0 reproduces it", seed);
		}
		seed++;
	} while (wq_now_ms() < end);

	TH_LOG("%u rounds; operations, and how many of them did something:", seed - first);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct fz_count *count = &world->counts[i];

		TH_LOG("%-18s %8llu %8llu", ops[i].name, count->tried, count->succeeded);
		/* What only ever fails tests nothing. */
		if (count->tried >= ENOUGH && (has_disk || ops[i].fn != fuzz_disk))
			EXPECT_LT(0, count->succeeded) {
				TH_LOG("%s never succeeds", ops[i].name);
			}
	}
}

/* Many threads and processes at once. */
TEST_F_TIMEOUT(fuzz, threads, FZ_NO_TIMEOUT)
{
	fuzz(_metadata, self->has_disk, false);
}

/* The same while memory cannot be had, or not be accessed, now and then. */
TEST_F_TIMEOUT(fuzz, faults, FZ_NO_TIMEOUT)
{
	if (access(FAILSLAB, F_OK) || access("/proc/self/fail-nth", F_OK))
		SKIP(return, "CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_DEBUG_FS are not set");
	fuzz(_metadata, self->has_disk, true);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], EXEC_ARG))
		return 0;
	return test_harness_run(argc, argv);
}
