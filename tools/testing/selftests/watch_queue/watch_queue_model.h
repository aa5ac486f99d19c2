/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of a queue: what has to be read from one, by what was posted to it and
 * what was set.  It knows no pages and no locks, only records in a row.  Include
 * it after watch_queue_devices.h.
 */
#ifndef WATCH_QUEUE_MODEL_H
#define WATCH_QUEUE_MODEL_H

/* The largest depth to be modelled, and more records than that can hold. */
#define WQ_MODEL_DEPTH		64
#define WQ_MODEL_RECORDS	2048

/*
 * @queued are the bytes of the records in the row, @lost those records that are
 * still to be told as lost.  @news is whether anything came since it was cleared.
 */
struct wq_model {
	unsigned int	depth;
	unsigned int	queued;
	__u64		lost;
	__u64		lost_total;
	bool		news;
	unsigned int	head;
	unsigned int	tail;
	union wq_any_record row[WQ_MODEL_RECORDS];
	int		nr_filters;
	struct watch_notification_type_filter filters[WQ_FILTER_MAX];
};

static inline void wq_model_init(struct wq_model *m)
{
	memset(m, 0, sizeof(*m));
	m->depth = WQ_DEFAULT_DEPTH;
}

static inline unsigned int wq_model_len(const union wq_any_record *r)
{
	return r->watch.info & WATCH_INFO_LENGTH;
}

static inline unsigned int wq_model_capacity(const struct wq_model *m)
{
	return m->depth * WQ_BYTES_PER_RECORD;
}

/* What FIONREAD, GET_INFO and fdinfo say, and poll() if it is not 0. */
static inline unsigned int wq_model_readable(const struct wq_model *m)
{
	return m->queued + (m->lost ? WQ_LOSS_RECORD : 0);
}

static inline void wq_model_append(struct wq_model *m, const union wq_any_record *r)
{
	m->row[m->head++ % WQ_MODEL_RECORDS] = *r;
	m->queued += wq_model_len(r);
}

static inline void wq_model_tell_loss(struct wq_model *m)
{
	const union wq_any_record r = {
		.loss = {
			.watch.type	= WATCH_TYPE_META,
			.watch.subtype	= WATCH_META_LOSS_NOTIFICATION,
			.watch.info	= WQ_LOSS_RECORD,
			.lost		= m->lost,
		},
	};

	wq_model_append(m, &r);
	m->lost = 0;
}

static inline bool wq_model_accepts(const struct wq_model *m,
				    const union wq_any_record *r)
{
	const struct watch_notification_type_filter *f;

	if (!m->nr_filters || r->watch.type == WATCH_TYPE_META)
		return true;
	for (f = m->filters; f < m->filters + m->nr_filters; f++)
		if (f->type == r->watch.type &&
		    (f->subtype_filter[r->watch.subtype / 32] >>
		     r->watch.subtype % 32 & 1) &&
		    (r->watch.info & f->info_mask) == f->info_filter)
			return true;
	return false;
}

/* The record, tagged already, is queued, or counted as lost, or passed over. */
static inline void wq_model_post(struct wq_model *m, const union wq_any_record *r)
{
	unsigned int room = wq_model_capacity(m) - m->queued;

	if (!wq_model_accepts(m, r))
		return;

	if (wq_model_len(r) + (m->lost ? WQ_LOSS_RECORD : 0) > room) {
		m->news |= !m->lost;
		m->lost++;
		m->lost_total++;
		return;
	}
	if (m->lost)
		wq_model_tell_loss(m);
	wq_model_append(m, r);
	m->news = true;
}

/*
 * A read() of @size bytes, of which @good can be stored, into @to.  Returns what
 * it has to return where the write end is open.
 */
static inline ssize_t wq_model_read(struct wq_model *m, char *to, size_t size,
				    size_t good)
{
	const union wq_any_record *r;
	size_t limit, len, done = 0;

	if (!size)
		return 0;

	limit = size < wq_model_readable(m) ? size : wq_model_readable(m);
	while (done < limit) {
		if (!m->queued)
			wq_model_tell_loss(m);
		r = &m->row[m->tail % WQ_MODEL_RECORDS];
		len = wq_model_len(r);
		if (done + len > limit)
			return done ? (ssize_t)done : -ENOBUFS;
		if (done + len > good)
			return done ? (ssize_t)done : -EFAULT;
		memcpy(to + done, r, len);
		done += len;
		m->queued -= len;
		m->tail++;
	}
	return done ? (ssize_t)done : -EAGAIN;
}

static inline int wq_model_set_size(struct wq_model *m, unsigned int depth)
{
	if (m->queued > depth * WQ_BYTES_PER_RECORD)
		return -EBUSY;
	m->depth = depth;
	return 0;
}

/* @f is one that the kernel takes, or NULL; rules of unknown types are left out. */
static inline void wq_model_set_filter(struct wq_model *m,
				       const struct watch_notification_filter *f)
{
	unsigned int i;

	m->nr_filters = 0;
	for (i = 0; f && i < f->nr_filters; i++)
		if (f->filters[i].type < WATCH_TYPE__NR)
			m->filters[m->nr_filters++] = f->filters[i];
}

#endif /* WATCH_QUEUE_MODEL_H */
