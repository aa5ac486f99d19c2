// SPDX-License-Identifier: GPL-2.0
/* Runs a command for an event, which it finds in its environment. */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wqmon.h"

/* "key_type" is WQ_KEY_TYPE there. */
static void put_variable(struct sink *sink, const char *name, const char *value)
{
	char variable[64] = "WQ_";
	size_t i = strlen(variable);

	(void)sink;
	for (; *name && i < sizeof(variable) - 1; name++)
		variable[i++] = toupper((unsigned char)*name);
	setenv(variable, value, 1);
}

/* What we were given might be taken for the event's. */
static void clear_variables(void)
{
	char **from, **to = environ;

	for (from = environ; *from; from++) {
		if (strncmp(*from, "WQ_", 3))
			*to++ = *from;
	}
	*to = NULL;
}

/* What we changed for ourselves is not for the command. */
static void become_ordinary(void)
{
	sigset_t none;
	int fd;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);

	/* It is not to take what is typed for somebody else. */
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

/**
 * command_start - run a command
 * @command: What sh is to run.
 * @e: The event.
 *
 * Return: The process, 0 if there is none, which was said.
 */
pid_t command_start(const char *command, const struct event *e)
{
	struct sink sink = { .text = put_variable, .literal = put_variable };
	pid_t pid = fork();

	if (pid < 0) {
		warn("cannot run the command at event %llu: %s", e->seq, strerror(errno));
		return 0;
	}
	/* A group of its own, made by whoever is first, so that it can be stopped. */
	setpgid(pid, 0);
	if (pid)
		return pid;
	become_ordinary();
	clear_variables();
	put_fields(&sink, e);
	execl("/bin/sh", "sh", "-c", command, NULL);
	warn("cannot run /bin/sh: %s", strerror(errno));
	_exit(127);
}

/**
 * command_stop - ask the command, and what it has started, to end
 * @pid: The process.
 * @at_once: It is not asked.
 */
void command_stop(pid_t pid, bool at_once)
{
	kill(-pid, at_once ? SIGKILL : SIGTERM);
	/* One that is stopped would not hear of it. */
	kill(-pid, SIGCONT);
}

/**
 * command_ended - say so if it has failed
 * @status: As waitpid() has it.
 * @seq: The event's number.
 */
void command_ended(int status, unsigned long long seq)
{
	if (WIFSIGNALED(status))
		warn("the command was killed by signal %d (%s) at event %llu",
		     WTERMSIG(status), strsignal(WTERMSIG(status)), seq);
	else if (WEXITSTATUS(status))
		warn("the command failed with status %d at event %llu",
		     WEXITSTATUS(status), seq);
}
