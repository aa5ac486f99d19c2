/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of reading share: numbered events, calls that are expected to
 * block, and limits of time.  Include it after watch_queue_util.h.
 */
#ifndef WATCH_QUEUE_KEYS_H
#define WATCH_QUEUE_KEYS_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- Memory ---- */

/* A page of addresses at which nothing can be stored; NULL if there is none. */
static inline void *wq_hole(void)
{
	void *hole = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return hole == MAP_FAILED ? NULL : hole;
}

/* ---- Numbered events ---- */

/*
 * Event number i comes from key i % WQ_SEQ_KEYS, whose watch has that number for
 * its tag, and is a SETATTR or an UPDATED by turns.  A record out of its place is
 * noticed unless it is off by a multiple of WQ_SEQ_PERIOD.
 */
#define WQ_SEQ_KEYS	97
#define WQ_SEQ_PERIOD	(2 * WQ_SEQ_KEYS)

struct wq_seq {
	int keys[WQ_SEQ_KEYS];
};

/* Makes the keys, in @ring. */
static inline int wq_seq_make(struct wq_seq *seq, int ring)
{
	char desc[32];
	int i;

	for (i = 0; i < WQ_SEQ_KEYS; i++) {
		snprintf(desc, sizeof(desc), "wq:%d", i);
		seq->keys[i] = wq_add_user_key(desc, ring);
		if (seq->keys[i] < 0)
			return seq->keys[i];
	}
	return 0;
}

static inline int wq_seq_watch(const struct wq_seq *seq, int fd)
{
	int i, ret = 0;

	for (i = 0; !ret && i < WQ_SEQ_KEYS; i++)
		ret = wq_watch_key(seq->keys[i], fd, i);
	return ret;
}

static inline unsigned int wq_seq_subtype(__u64 nr)
{
	return nr / WQ_SEQ_KEYS % 2 ? NOTIFY_KEY_UPDATED : NOTIFY_KEY_SETATTR;
}

/* Makes events number @nr to @nr + @n - 1. */
static inline int wq_seq_post(const struct wq_seq *seq, __u64 nr,
			      unsigned long n)
{
	int ret = 0;

	for (; !ret && n; n--, nr++) {
		int key = seq->keys[nr % WQ_SEQ_KEYS];

		if (wq_seq_subtype(nr) == NOTIFY_KEY_UPDATED)
			ret = wq_update_key(key);
		else
			ret = wq_touch(key);
	}
	return ret;
}

/* Whether @r is the record of event number @nr, to the last bit. */
static inline bool wq_seq_is(const struct wq_seq *seq, const struct wq_record *r,
			     __u64 nr)
{
	return wq_is_key(r, wq_seq_subtype(nr), seq->keys[nr % WQ_SEQ_KEYS]) &&
	       r->len == WQ_KEY_RECORD && r->tag == nr % WQ_SEQ_KEYS &&
	       !r->type_info && !r->aux;
}

static inline bool wq_is_loss_of(const struct wq_record *r, __u64 lost)
{
	return wq_is_loss(r) && r->len == WQ_LOSS_RECORD && !r->tag &&
	       !r->type_info && r->lost == lost;
}

/*
 * Goes through a batch in which only numbered events and losses may stand.
 * @*next is the number to come first, and then the one after the last.  Returns
 * how many records were no LOSS records, or -EBADMSG; adds to @*lost if not NULL.
 */
static inline long wq_seq_check(const struct wq_seq *seq, const void *buf,
				size_t nbytes, uint64_t *next, uint64_t *lost)
{
	struct wq_record r;
	long records = 0;
	size_t pos;

	wq_for_each_record(r, pos, buf, nbytes) {
		if (wq_is_loss_of(&r, r.lost)) {
			*next += r.lost;
			if (lost)
				*lost += r.lost;
			continue;
		}
		if (!wq_seq_is(seq, &r, *next))
			break;
		(*next)++;
		records++;
	}
	return pos == nbytes ? records : -EBADMSG;
}

/* ---- Calls that block ---- */

/*
 * A function that is run by a thread of its own and is expected to sleep in a
 * system call.
 */
struct wq_call {
	pthread_t	thread;
	long		(*fn)(void *arg);
	void		*arg;
	long		ret;
	pid_t		tid;
	bool		started;
	bool		done;
};

static inline void wq_call_kicked(int sig)
{
	(void)sig;
}

static inline void *wq_call_thread(void *arg)
{
	struct wq_call *call = arg;

	call->tid = syscall(__NR_gettid);
	__atomic_store_n(&call->started, true, __ATOMIC_RELEASE);
	call->ret = call->fn(call->arg);
	__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static inline int wq_call_start(struct wq_call *call, long (*fn)(void *),
				void *arg)
{
	/* Without SA_RESTART: a call that does not return can be made to. */
	const struct sigaction sa = { .sa_handler = wq_call_kicked };

	if (sigaction(SIGUSR2, &sa, NULL))
		return -errno;
	memset(call, 0, sizeof(*call));
	call->fn = fn;
	call->arg = arg;
	return -pthread_create(&call->thread, NULL, wq_call_thread, call);
}

/* What state the kernel says thread @tid of this process is in, or 0. */
static inline char wq_thread_state(pid_t tid)
{
	char path[64], line[256], *p;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	line[len] = 0;
	p = strrchr(line, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

/* Waits until the call sleeps.  Returns 0; -EALREADY if it has returned. */
static inline int wq_call_blocked(struct wq_call *call)
{
	long end = wq_now_ms() + WQ_PATIENCE_MS;

	while (wq_now_ms() < end) {
		if (__atomic_load_n(&call->done, __ATOMIC_ACQUIRE))
			return -EALREADY;
		if (__atomic_load_n(&call->started, __ATOMIC_ACQUIRE) &&
		    wq_thread_state(call->tid) == 'S')
			return 0;
		sched_yield();
	}
	return -ETIMEDOUT;
}

static inline int wq_call_start_blocked(struct wq_call *call,
					long (*fn)(void *), void *arg)
{
	int ret = wq_call_start(call, fn, arg);

	return ret ? ret : wq_call_blocked(call);
}

/*
 * Waits until the call returns.  Returns what it returned; -ETIMEDOUT if that
 * did not happen without a signal.
 */
static inline long wq_call_end(struct wq_call *call)
{
	const long end = wq_now_ms() + WQ_PATIENCE_MS;
	bool kicked = false;

	while (pthread_tryjoin_np(call->thread, NULL)) {
		if (wq_now_ms() >= end) {
			kicked = true;
			pthread_kill(call->thread, SIGUSR2);
		}
		sched_yield();
	}
	return kicked ? -ETIMEDOUT : call->ret;
}

/* One read(), to be used as a call. */
struct wq_reader {
	int	fd;
	void	*buf;
	size_t	size;
};

static inline long wq_reader_read(void *arg)
{
	const struct wq_reader *reader = arg;

	return wq_read(reader->fd, reader->buf, reader->size);
}

/* ---- Threads that run until told to stop ---- */

struct wq_worker {
	pthread_t	thread;
	int		(*fn)(void *arg);	/* does one round; not 0: stop */
	void		*arg;
	const bool	*stop;
	__u64	rounds;
	int		ret;
};

static inline void *wq_worker_thread(void *arg)
{
	struct wq_worker *w = arg;

	while (!w->ret && !__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
		w->ret = w->fn(w->arg);
		if (!w->ret)
			__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static inline int wq_worker_start(struct wq_worker *w, int (*fn)(void *),
				  void *arg, const bool *stop)
{
	memset(w, 0, sizeof(*w));
	w->fn = fn;
	w->arg = arg;
	w->stop = stop;
	return -pthread_create(&w->thread, NULL, wq_worker_thread, w);
}

static inline int wq_worker_end(struct wq_worker *w)
{
	pthread_join(w->thread, NULL);
	return w->ret;
}

static inline void wq_stop(bool *stop)
{
	__atomic_store_n(stop, true, __ATOMIC_RELAXED);
}

#endif /* WATCH_QUEUE_KEYS_H */
