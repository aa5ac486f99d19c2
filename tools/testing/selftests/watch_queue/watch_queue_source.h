/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pipe that watches numbered events, of which each has its record or is told as
 * lost.  Include it after watch_queue_keys.h.
 */
#ifndef WATCH_QUEUE_SOURCE_H
#define WATCH_QUEUE_SOURCE_H

/*
 * @next is the number of the event whose record or loss is to be read next, and
 * @posted that of the one to be made next.
 */
struct wq_source {
	int fds[2];
	struct wq_seq seq;
	uint64_t posted;
	uint64_t next;
};

/* Makes the keys, in a session keyring of their own, and a pipe for them. */
static inline int wq_source_make(struct wq_source *src, unsigned long depth)
{
	int ret;

	ret = wq_join_session();
	if (ret < 0)
		return ret;
	ret = wq_seq_make(&src->seq, KEY_SPEC_SESSION_KEYRING);
	if (!ret)
		ret = wq_pipe(src->fds, O_NONBLOCK);
	if (!ret)
		ret = wq_set_size(src->fds[0], depth);
	if (!ret)
		ret = wq_seq_watch(&src->seq, src->fds[0]);
	return ret;
}

/* Lets another pipe take the place of the source's. */
static inline int wq_source_remake(struct wq_source *src)
{
	int ret;

	wq_close(src->fds);
	ret = wq_pipe(src->fds, O_NONBLOCK);
	if (!ret)
		ret = wq_seq_watch(&src->seq, src->fds[0]);
	return ret;
}

/* Makes the next @n events. */
static inline int wq_source_post(struct wq_source *src, unsigned long n)
{
	int ret = wq_seq_post(&src->seq, src->posted, n);

	src->posted += n;
	return ret;
}

/* Whether the @nbytes at @buf are the records that are next, without a loss. */
static inline bool wq_source_next(struct wq_source *src, const void *buf,
				  size_t nbytes)
{
	return wq_seq_check(&src->seq, buf, nbytes, &src->next, NULL) ==
	       (long)(nbytes / WQ_KEY_RECORD);
}

/*
 * How many of the events there is room for: overfills the queue and drains it.
 * Returns that, or an error.
 */
static inline int wq_source_room(struct wq_source *src)
{
	struct key_notification n;
	ssize_t len;
	int room = 0, before, now = 0, ret;

	/* Until two in a row do not make it more: the first may begin a loss. */
	do {
		before = now;
		ret = wq_source_post(src, 2);
		if (ret)
			return ret;
		now = wq_fionread(src->fds[0]);
	} while (now > before);

	while ((len = wq_read(src->fds[0], &n, sizeof(n))) > 0)
		if (n.watch.type == WATCH_TYPE_KEY_NOTIFY)
			room++;
	src->next = src->posted;
	return len == -EAGAIN ? room : len;
}

#endif /* WATCH_QUEUE_SOURCE_H */
