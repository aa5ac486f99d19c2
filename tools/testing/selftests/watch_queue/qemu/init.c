// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of a guest that has no shell, for it is of another architecture than the
 * machine's packages: as init.sh does, it tells what KUnit found and runs all test
 * programs, on the second channel.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest.h"

#define CHANNEL		"/dev/vport0p1"
#define TESTS		"/tests"

/* As many seconds as a program may take. */
#define PATIENCE	1800

static const struct {
	const char *type;
	const char *where;
} mounts[] = {
	{ "proc",	"/proc" },
	{ "sysfs",	"/sys" },
	{ "devtmpfs",	"/dev" },
	{ "debugfs",	"/sys/kernel/debug" },
	{ "configfs",	"/sys/kernel/config" },
	{ "tmpfs",	"/tmp" },
};

static const char * const suites[] = { "watch_queue", "blk_watch", "usb_watch" };

static void mount_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++)
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL))
			perror(mounts[i].where);
	mkdir("/dev/shm", 01777);
}

/* What the program says goes to the channel, which is standard output. */
static int run(const char *name)
{
	char path[300];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), TESTS "/%s", name);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		alarm(PATIENCE);
		execl(path, name, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void run_all(void)
{
	struct dirent *entry;
	int status;
	DIR *dir;

	dir = opendir(TESTS);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		printf("# program %s\n", entry->d_name);
		status = run(entry->d_name);
		if (status && (!WIFEXITED(status) || WEXITSTATUS(status) != KSFT_SKIP))
			printf("not ok ended with status %#x\n", status);
	}
}

static void tell_kunit(const char *suite)
{
	char path[100], line[1000];
	FILE *results;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kunit/%s/results", suite);
	results = fopen(path, "r");
	if (!results) {
		printf("    not ok the suite %s did not run\n", suite);
		return;
	}
	while (fgets(line, sizeof(line), results))
		fputs(line, stdout);
	fclose(results);
}

int main(void)
{
	unsigned int i;

	mount_all();
	if (!freopen(CHANNEL, "w", stdout)) {
		perror(CHANNEL);
		return 1;
	}
	setlinebuf(stdout);
	/* There may be no console to read from. */
	if (!freopen("/dev/null", "r", stdin))
		perror("/dev/null");

	printf("# KUnit\n");
	for (i = 0; i < ARRAY_SIZE(suites); i++)
		tell_kunit(suites[i]);
	run_all();
	printf("wq-finished\n");
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
