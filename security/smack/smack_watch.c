// SPDX-License-Identifier: GPL-2.0-only
/*
 * Smack's say in whether a watcher is told of what happened to a device.
 *
 * As for other records, a post is a write from who caused it to the watcher.
 * This one is the system's, not that of whatever task happens to run.
 */

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/lsm_watch.h>

#include "smack.h"

/* As smack_log() does, but for the task. */
static void log_verdict(struct audit_buffer *ab,
			const struct lsm_watch_verdict *verdict)
{
	audit_log_format(ab, "lsm=SMACK fn=smack_post_notification action=%s",
			 verdict->denied ? "denied" : "granted");
	audit_log_format(ab, " subject=");
	audit_log_untrustedstring(ab, smack_from_secid(verdict->subject)->smk_known);
	audit_log_format(ab, " object=");
	audit_log_untrustedstring(ab, smack_from_secid(verdict->object)->smk_known);
	audit_log_format(ab, " requested=w");
}

/**
 * smack_post_device_notification - Smack access to post a device record
 * @w_cred: The credentials of the watcher.
 * @cred: The system's credentials.
 * @n: The record.
 *
 * A watcher that was allowed to watch for its CAP_MAC_OVERRIDE is told.
 *
 * Context: As post_watch_notification().
 * Return: 0 or -EACCES.
 */
int smack_post_device_notification(const struct cred *w_cred,
				   const struct cred *cred,
				   const struct watch_notification *n)
{
	struct smack_known *subject = smk_of_task(smack_cred(cred));
	struct smack_known *object = smk_of_task(smack_cred(w_cred));
	int ret;

	/* What is above 0 was noted when the watch was set, see smk_bu_note(). */
	ret = min(smk_access(subject, object, MAY_WRITE, NULL), 0);
	if (ret && smack_privileged_cred(CAP_MAC_OVERRIDE, w_cred))
		ret = 0;

	if (log_policy & (ret ? SMACK_AUDIT_DENIED : SMACK_AUDIT_ACCEPT)) {
		const struct lsm_watch_verdict verdict = {
			.log		= log_verdict,
			.subject	= subject->smk_secid,
			.object		= object->smk_secid,
			.type		= n->type,
			.subtype	= n->subtype,
			.denied		= ret,
		};

		lsm_watch_audit(&verdict);
	}
	return ret;
}
