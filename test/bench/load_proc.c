/* SPDX-License-Identifier: MIT */
/*
 * CPU time comes from the process clock, which counts nanoseconds and keeps
 * the time of threads that ended; /proc/PID/stat splits it into user and
 * system time by clock ticks. Context switches are counted by thread.
 */
#include "test/bench/load_proc.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t timespec_ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000U + (uint64_t)ts->tv_nsec;
}

/* Fields 14 and 15, counted after the command's closing bracket. */
static int read_stat(pid_t pid, struct usage *u)
{
	const uint64_t tick_us = 1000000U / (uint64_t)sysconf(_SC_CLK_TCK);
	char path[64];
	char line[1024];
	char *p;
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	n = fread(line, 1, sizeof(line) - 1, f);
	(void)fclose(f);
	line[n] = '\0';
	p = strrchr(line, ')');
	for (int field = 2; p && field < 14; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (!p)
		return -ESRCH;
	u->user_us += strtoull(p, &p, 10) * tick_us;
	u->system_us += strtoull(p, &p, 10) * tick_us;
	return 0;
}

/* Adds up the values of the lines of a status file that hold this word. */
static uint64_t status_sum(const char *path, const char *word)
{
	char line[256];
	uint64_t sum = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');

		if (colon && strstr(line, word))
			sum += strtoull(colon + 1, NULL, 10);
	}
	(void)fclose(f);
	return sum;
}

static uint64_t count_switches(pid_t pid)
{
	char path[320];
	uint64_t sum = 0;
	const struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status",
		    (int)pid, e->d_name);
		sum += status_sum(path, "ctxt_switches");
	}
	(void)closedir(d);
	return sum;
}

static int add_process(pid_t pid, struct usage *u)
{
	struct timespec ts;
	clockid_t clock;
	char path[64];
	int rc = read_stat(pid, u);

	if (rc < 0)
		return rc;
	if (clock_getcpuclockid(pid, &clock) == 0 &&
	    clock_gettime(clock, &ts) == 0)
		u->cpu_ns += timespec_ns(&ts);
	u->switches += count_switches(pid);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	u->peak_kib += status_sum(path, "VmHWM");
	return 0;
}

int usage_read(const pid_t *pids, size_t n, struct usage *out, pid_t *gone)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		const int rc = add_process(pids[i], out);

		if (rc < 0) {
			*gone = pids[i];
			return rc;
		}
	}
	return 0;
}

static uint64_t cpu_now(const pid_t *pids, size_t n)
{
	struct usage u;
	pid_t gone;

	if (usage_read(pids, n, &u, &gone) < 0)
		return 0;
	return u.cpu_ns;
}

void usage_settle(const pid_t *pids, size_t n, double seconds)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	const uint64_t idle_ns = 3000000;
	uint64_t before = cpu_now(pids, n);

	for (int left = (int)(seconds * 10); n > 0 && left > 0; left--) {
		uint64_t after;

		(void)nanosleep(&pause, NULL);
		after = cpu_now(pids, n);
		if (after - before < idle_ns)
			return;
		before = after;
	}
}
