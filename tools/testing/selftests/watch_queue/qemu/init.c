// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of the guest that the tests run in:
 *
 *	init [-i] COMMAND [ARGUMENT...]
 *
 * It mounts what is usually mounted, runs the command and ends the machine.
 * Two virtio ports lead out of the guest.  What the command prints goes to the
 * first.  The second is init's alone and gets the word "success", but only
 * after the command has ended with status 0: neither a guest that ends early
 * nor anything that a command prints can be taken for a pass.
 *
 * With -i the command gets the console instead, for a person to type at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_PORT	"/dev/vport0p1"
#define SUCCESS_PORT	"/dev/vport0p2"
#define SUCCESS_WORD	"success\n"

/* A port appears when the host has answered; it is given this long. */
#define PORT_TRIES	1000
#define PORT_WAIT_NS	(10 * 1000 * 1000)

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* The youngest age, in seconds, at which kmemleak calls an object lost. */
#define KMEMLEAK_AGE	6

static const struct {
	const char *type;
	const char *dir;
	const char *data;
	bool optional;
} mounts[] = {
	{ "devtmpfs",	"/dev",			NULL,		false },
	{ "proc",	"/proc",		NULL,		false },
	{ "sysfs",	"/sys",			NULL,		false },
	{ "tmpfs",	"/tmp",			"mode=1777",	false },
	{ "tmpfs",	"/run",			"mode=755",	false },
	{ "devpts",	"/dev/pts",		NULL,		true },
	{ "tmpfs",	"/dev/shm",		"mode=1777",	true },
	{ "debugfs",	"/sys/kernel/debug",	NULL,		true },
	{ "configfs",	"/sys/kernel/config",	NULL,		true },
	{ "securityfs",	"/sys/kernel/security",	NULL,		true },
	{ "selinuxfs",	"/sys/fs/selinux",	NULL,		true },
	{ "smackfs",	"/sys/fs/smackfs",	NULL,		true },
	{ "cgroup2",	"/sys/fs/cgroup",	NULL,		true },
	{ }
};

static _Noreturn void end_machine(void)
{
	tcdrain(STDERR_FILENO);
	sync();
	reboot(RB_AUTOBOOT);
	fprintf(stderr, "init: reboot: %m\n");
	for (;;)
		pause();
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "init: %s: %m\n", what);
	end_machine();
}

static void mount_all(void)
{
	int i;

	for (i = 0; mounts[i].type; i++) {
		if (mkdir(mounts[i].dir, 0755) && errno != EEXIST &&
		    mounts[i].optional)
			continue;
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0,
			  mounts[i].data) && !mounts[i].optional)
			fail(mounts[i].dir);
	}
}

/* The initramfs has a console, but the kernel opens it before it is there. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int open_port(const char *path)
{
	const struct timespec wait = { .tv_nsec = PORT_WAIT_NS };
	int fd, tries;

	for (tries = 0; tries < PORT_TRIES; tries++) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		nanosleep(&wait, NULL);
	}
	return -1;
}

/* The terminal behind /dev/console, which cannot be one that controls. */
static void take_terminal(void)
{
	char name[64], path[sizeof(name) + 5];
	FILE *f;
	int fd;

	f = fopen("/sys/class/tty/console/active", "r");
	if (!f || fscanf(f, "%63s", name) != 1)
		fail("no console");
	fclose(f);
	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 1))
		fail(path);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}

static pid_t start(char **argv, int output)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;

	setsid();
	if (output < 0) {
		take_terminal();
	} else {
		fd = open("/dev/null", O_RDONLY);
		dup2(fd, STDIN_FILENO);
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "init: %s: %m\n", argv[0]);
	_exit(127);
}

/* Waits for @pid, and on the way for all that were left without a parent. */
static int wait_for(pid_t pid)
{
	int status = -1;
	pid_t ret;

	do {
		ret = wait(&status);
	} while (ret >= 0 && ret != pid);
	return status;
}

static void end_others(void)
{
	kill(-1, SIGKILL);
	while (wait(NULL) >= 0)
		;
}

/*
 * Prints to the console what the kernel has lost track of.  What was in use a
 * moment ago has to come of age first; a second look rules out what only one
 * found, for instance because a pointer was being moved.
 */
static void report_leaks(void)
{
	char buf[4096];
	int i, in, out;
	ssize_t n;

	out = open(KMEMLEAK, O_WRONLY);
	if (out < 0)
		return;
	for (i = 0; i < 2; i++) {
		sleep(KMEMLEAK_AGE);
		if (write(out, "scan\n", 5) != 5)
			fail(KMEMLEAK);
	}
	close(out);

	in = open(KMEMLEAK, O_RDONLY);
	if (in < 0)
		fail(KMEMLEAK);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, stderr);
	close(in);
}

int main(int argc, char **argv)
{
	int status, success, output = -1;
	bool interactive = false;

	if (getpid() != 1) {
		fprintf(stderr, "init: not the first process\n");
		return 1;
	}

	setenv("PATH", "/bin:/sbin:/tests", 1);
	setenv("HOME", "/root", 1);
	mount_all();
	open_console();

	argv++;
	argc--;
	if (argc > 0 && !strcmp(argv[0], "-i")) {
		interactive = true;
		argv++;
		argc--;
	}
	if (argc < 1) {
		errno = EINVAL;
		fail("no command");
	}

	success = open_port(SUCCESS_PORT);
	if (success < 0)
		fail(SUCCESS_PORT);
	if (!interactive) {
		output = open_port(OUTPUT_PORT);
		if (output < 0)
			fail(OUTPUT_PORT);
	}

	status = wait_for(start(argv, output));
	end_others();
	report_leaks();

	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		if (write(success, SUCCESS_WORD, strlen(SUCCESS_WORD)) !=
		    (ssize_t)strlen(SUCCESS_WORD))
			fail(SUCCESS_PORT);
	} else if (WIFSIGNALED(status)) {
		fprintf(stderr, "init: %s: ended by signal %d\n", argv[0],
			WTERMSIG(status));
	} else {
		fprintf(stderr, "init: %s: ended with status %d\n", argv[0],
			WEXITSTATUS(status));
	}
	end_machine();
}
