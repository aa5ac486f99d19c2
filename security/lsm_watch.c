// SPDX-License-Identifier: GPL-2.0
/*
 * Auditing what LSMs say of device records.
 *
 * A device record is posted wherever the event happens, often in an interrupt,
 * and many may come at once.  The interrupted task has nothing to do with it: it
 * must not be in the audit record, nor be what a filter of audit goes by.  So what
 * was said is only counted there, and reported later, by a worker: the first time
 * at once, then every five seconds for as long as there is something to report.
 * Each audit record tells how many posts it stands for.
 */

#include <linux/audit.h>
#include <linux/jiffies.h>
#include <linux/lsm_watch.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#define REPORT_INTERVAL	(5 * HZ)

/* How many different verdicts are told apart between two reports. */
#define VERDICTS_MAX	16

struct counted_verdict {
	struct lsm_watch_verdict verdict;
	unsigned long posts;
};

/* Protects all that follows, in any context. */
static DEFINE_SPINLOCK(lock);

/* What was said since the last report; unless there is none, one is pending. */
static struct counted_verdict counted[VERDICTS_MAX];
static unsigned int nr_counted;

/* How many more posts were ruled on than are counted there. */
static unsigned long other_posts;

/* When to report again at the earliest, in jiffies that never wrap. */
static u64 next_report;

static void report_one(const struct counted_verdict *c, unsigned long others)
{
	struct audit_buffer *ab;

	ab = audit_log_start(NULL, GFP_KERNEL, AUDIT_AVC);
	if (!ab)
		return;
	c->verdict.log(ab, &c->verdict);
	audit_log_format(ab, " watch_type=%u watch_subtype=%u posts=%lu",
			 c->verdict.type, c->verdict.subtype, c->posts);
	if (others)
		audit_log_format(ab, " other_posts=%lu", others);
	audit_log_end(ab);
}

static void report(struct work_struct *work)
{
	struct counted_verdict taken[VERDICTS_MAX];
	unsigned long others;
	unsigned int nr, i;

	spin_lock_irq(&lock);
	nr = nr_counted;
	others = other_posts;
	memcpy(taken, counted, nr * sizeof(*taken));
	nr_counted = 0;
	other_posts = 0;
	next_report = get_jiffies_64() + REPORT_INTERVAL;
	spin_unlock_irq(&lock);

	for (i = 0; i < nr; i++)
		report_one(&taken[i], i == nr - 1 ? others : 0);
}

static DECLARE_DELAYED_WORK(report_work, report);

/* What is left of the time between two reports. */
static unsigned long report_delay(void)
{
	u64 now = get_jiffies_64();

	lockdep_assert_held(&lock);

	return now < next_report ? next_report - now : 0;
}

static bool same_verdict(const struct lsm_watch_verdict *a,
			 const struct lsm_watch_verdict *b)
{
	return a->log == b->log &&
	       a->subject == b->subject && a->object == b->object &&
	       a->type == b->type && a->subtype == b->subtype &&
	       a->denied == b->denied && a->permissive == b->permissive;
}

/* Where posts with a verdict are counted. */
static unsigned long *find_count(const struct lsm_watch_verdict *verdict)
{
	unsigned int i;

	lockdep_assert_held(&lock);

	for (i = 0; i < nr_counted; i++)
		if (same_verdict(&counted[i].verdict, verdict))
			return &counted[i].posts;
	if (i == VERDICTS_MAX)
		return &other_posts;

	nr_counted++;
	counted[i].verdict = *verdict;
	counted[i].posts = 0;
	return &counted[i].posts;
}

/**
 * lsm_watch_audit - have it audited what was said of a device record
 * @verdict: What was said.
 *
 * Context: As post_watch_notification().
 */
void lsm_watch_audit(const struct lsm_watch_verdict *verdict)
{
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	if (!nr_counted)
		queue_delayed_work(system_long_wq, &report_work, report_delay());
	++*find_count(verdict);
	spin_unlock_irqrestore(&lock, flags);
}
