/* SPDX-License-Identifier: MIT */
/*
 * What every daemon does the same way: its command line, pid file and lock,
 * going to the background, signals, privileges, readiness. Main thread only.
 *
 *   PROGRAM CONF              foreground, logs to stderr and the log file
 *   PROGRAM CONF start        background; returns when the daemon is ready,
 *                             non-zero with the reason when it did not start
 *   PROGRAM CONF stop|restart|status
 *   PROGRAM -t CONF           check and print the effective configuration
 *   PROGRAM -h, -V
 */
#ifndef BASE_DAEMON_H
#define BASE_DAEMON_H

#include <stdbool.h>
#include <stdio.h>

enum daemon_verb {
	DAEMON_RUN,
	DAEMON_START,
	DAEMON_STOP,
	DAEMON_RESTART,
	DAEMON_STATUS,
	DAEMON_TEST,
	DAEMON_HELP,
	DAEMON_VERSION
};

struct daemon_args {
	enum daemon_verb verb;
	const char *conf; /* absolute; owned by the struct's buffer */
	char conf_buf[4096];
};

#define FDFS_SUITE_VERSION "0.1.0"
/* What we tell trackers and clients that we speak (client-protocol 3.7). */
#define FDFS_PROTOCOL_VERSION "6.16.1"

/* 0, or -EINVAL after one sentence and the usage on stderr. */
int daemon_parse(int argc, char **argv, const char *program,
    struct daemon_args *out);
void daemon_usage(FILE *out, const char *program);

/* Takes <base_path>/data/NAME.pid (FastDFS's place), locked for as long as
 * the daemon lives: a second daemon on the same base path gets -EBUSY. */
int daemon_lock(const char *base_path, const char *name, int *lock_fd);
int daemon_write_pid(int lock_fd);
/* Pid of the running daemon, 0 when none runs, -EAGAIN while one starts, or
 * -errno. */
int daemon_running_pid(const char *base_path, const char *name);
/* SIGTERM and waits up to timeout_ms. 0, -ESRCH when none runs, -ETIMEDOUT. */
int daemon_stop(const char *base_path, const char *name, int timeout_ms);

/* Forks into the background; the parent waits until the child calls
 * daemon_ready or ends, and exits with 0 or 1. Call before any thread. */
int daemon_detach(void);
/* Tells the waiting parent and systemd that the daemon serves; a daemon in
 * the background stops logging to stderr. */
void daemon_ready(void);

/* run_by_group, run_by_user: names or empty. -ENOENT unknown name. */
int daemon_become(const char *user, const char *group);
/* Raises the descriptor limit to at least n; -EPERM when refused. */
int daemon_raise_fds(unsigned n);

#endif
