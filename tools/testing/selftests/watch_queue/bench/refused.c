// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to post where an LSM has its say, Smack, and where it refuses.
 *
 * The queue is watched by a process with a label of its own.  The poster is the
 * system, "_", or this process, which has that label too: what a rule lets it do
 * to the watcher's label is what it may post.
 */

#include "bench.h"
#include "watch_queue_devices.h"
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define SMACKFS		"/sys/fs/smackfs"
#define LABEL		"Wq-Bench"
#define KEY		KEY_SPEC_SESSION_KEYRING

/* Places and rounds of what is posted while nobody reads. */
#define PLACES		32
#define ROUNDS		15

/**
 * struct refused - a source and its watcher
 * @fds: The queue.
 * @watch: Sets the watch.
 * @op: Posts.
 * @record: The size of the records.
 * @audits_few: What is refused is audited, but not each of them.
 */
struct refused {
	int	fds[2];
	int	(*watch)(int fd);
	void	(*op)(void *arg);
	size_t	record;
	bool	audits_few;
};

static bool smack_is_active(void)
{
	return !access(SMACKFS, F_OK);
}

/* What the poster may do to the watcher: "w", or "-" for nothing. */
static void set_rule(const char *access)
{
	char rule[64];

	snprintf(rule, sizeof(rule), "_ " LABEL " %s", access);
	no_error(SMACKFS "/load2", wq_file_write(SMACKFS "/load2", rule));
}

/* Whether what is refused is audited. */
static void set_logging(bool on)
{
	no_error(SMACKFS "/logging", wq_file_write(SMACKFS "/logging", on ? "1" : "0"));
}

/* Takes the watcher's label, and gives up being above the rules. */
static void become_watcher(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	no_error("/proc/self/attr/current",
		 wq_file_write("/proc/self/attr/current", LABEL));
	no_error("capget", wq_errno(syscall(__NR_capget, &head, data)));
	data[CAP_TO_INDEX(CAP_MAC_OVERRIDE)].effective &= ~CAP_TO_MASK(CAP_MAC_OVERRIDE);
	no_error("capset", wq_errno(syscall(__NR_capset, &head, data)));
}

/* The watch has the credentials of the process that set it. */
static void watch_as_watcher(struct refused *r)
{
	int status;
	pid_t pid;

	pid = no_error("fork", wq_errno(fork()));
	if (!pid) {
		become_watcher();
		no_error("watch", r->watch(r->fds[0]));
		_exit(0);
	}
	no_error("waitpid", wq_errno(waitpid(pid, &status, 0)));
	expect("the watcher's status", status, 0);
}

static int watch_key(int fd)
{
	return wq_watch_key(KEY, fd, 1);
}

static int watch_devices(int fd)
{
	return wq_watch_devices(fd, 1, 0);
}

static void op_touch(void *arg)
{
	expect("KEYCTL_SETPERM", wq_touch(KEY), 0);
}

/* How many records there are. */
static unsigned int drain(struct refused *r)
{
	unsigned int bytes = 0;
	char buffer[4096];
	ssize_t len;

	while ((len = wq_read(r->fds[0], buffer, sizeof(buffer))) > 0)
		bytes += len;
	expect("read", len, -EAGAIN);
	return bytes / r->record;
}

static double cost(struct refused *r)
{
	struct work work = {
		.op = r->op, .arg = r, .places = PLACES, .rounds = ROUNDS,
	};

	return measure(&work);
}

static void row(const char *of, const char *name, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s.post.%s", of, name);
	add(text, clock_unit(), value);
}

static void rows(struct refused *r, const char *of)
{
	double unwatched = cost(r);

	no_error("pipe2(O_NOTIFICATION_PIPE)", wq_pipe(r->fds, O_NONBLOCK));
	no_error("IOC_WATCH_QUEUE_SET_SIZE", wq_set_size(r->fds[0], BENCH_DEPTH));
	set_rule("w");
	watch_as_watcher(r);

	row(of, "allowed", cost(r) - unwatched);
	expect("records allowed", drain(r), PLACES * ROUNDS);

	set_rule("-");
	set_logging(false);
	row(of, "refused", cost(r) - unwatched);
	set_logging(true);
	/* Elsewhere it is audit's queue and its thread that would be measured. */
	if (r->audits_few)
		row(of, "refused.audited", cost(r) - unwatched);
	expect("records refused", drain(r), 0);
	wq_close(r->fds);
}

void bench_refused(void)
{
	struct refused keys = {
		.watch = watch_key, .op = op_touch, .record = WQ_KEY_RECORD,
	};
	struct refused devices = {
		.watch = watch_devices, .op = op_disk_fail,
		.record = sizeof(struct block_notification), .audits_few = true,
	};

	if (!smack_is_active()) {
		printf("# refused: Smack is not active, lsm=smack is needed\n");
		return;
	}
	mount("smackfs", SMACKFS, "smackfs", 0, NULL);

	no_error("KEYCTL_JOIN_SESSION_KEYRING", wq_join_session());
	rows(&keys, "key");
	if (disk_is_told_of() && disk_make()) {
		rows(&devices, "device");
		disk_remove();
	}
}
