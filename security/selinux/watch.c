// SPDX-License-Identifier: GPL-2.0-only
/*
 * SELinux' say in who is told of devices.
 *
 * One permission decides both whether a watch may be set and whether a record
 * may be posted to it.  What happens to a device is the system's doing, so only
 * the watcher is asked about, not who happens to run.
 */

#include <linux/audit.h>
#include <linux/cred.h>
#include <linux/lsm_watch.h>
#include <linux/slab.h>

#include "avc.h"
#include "objsec.h"
#include "watch.h"

static void log_context(struct audit_buffer *ab, const char *name, u32 sid)
{
	char *context;
	u32 len;

	if (security_sid_to_context(sid, &context, &len)) {
		audit_log_format(ab, " %csid=%u", name[0], sid);
		return;
	}
	audit_log_format(ab, " %s=%s", name, context);
	kfree(context);
}

/* As slow_avc_audit() does, but for the task. */
static void log_verdict(struct audit_buffer *ab,
			const struct lsm_watch_verdict *verdict)
{
	audit_log_format(ab, "avc:  %s  { watch_devices } for ",
			 verdict->denied ? "denied" : "granted");
	log_context(ab, "scontext", verdict->subject);
	log_context(ab, "tcontext", verdict->object);
	audit_log_format(ab, " tclass=system");
	if (verdict->denied)
		audit_log_format(ab, " permissive=%u", verdict->permissive);
}

/**
 * selinux_watch_devices - whether the current task may watch devices
 *
 * Return: 0 or -EACCES.
 */
int selinux_watch_devices(void)
{
	return avc_has_perm(current_sid(), SECINITSID_KERNEL, SECCLASS_SYSTEM,
			    SYSTEM__WATCH_DEVICES, NULL);
}

/**
 * selinux_post_notification - whether a watcher may be told of something
 * @w_cred: The watcher.
 * @cred: Who caused it.
 * @n: The record.
 *
 * Of keys nothing is asked beyond what was when the watch was set, so that a
 * policy that knows nothing of notifications silences nobody.
 *
 * Context: As post_watch_notification(); the cache of access vectors can be used
 * with interrupts off.
 * Return: 0 or -EACCES.
 */
int selinux_post_notification(const struct cred *w_cred,
			      const struct cred *cred,
			      const struct watch_notification *n)
{
	u32 sid = selinux_cred(w_cred)->sid;
	struct av_decision avd;
	u32 audited, denied;
	int ret;

	if (!lsm_watch_of_devices(n))
		return 0;

	ret = avc_has_perm_noaudit(sid, SECINITSID_KERNEL, SECCLASS_SYSTEM,
				   SYSTEM__WATCH_DEVICES, 0, &avd);
	audited = avc_audit_required(SYSTEM__WATCH_DEVICES, &avd, ret, 0,
				     &denied);
	if (unlikely(audited)) {
		const struct lsm_watch_verdict verdict = {
			.log		= log_verdict,
			.subject	= sid,
			.object		= SECINITSID_KERNEL,
			.type		= n->type,
			.subtype	= n->subtype,
			.denied		= denied,
			.permissive	= denied && !ret,
		};

		lsm_watch_audit(&verdict);
	}
	return ret;
}
