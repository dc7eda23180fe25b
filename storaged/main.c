/* SPDX-License-Identifier: MIT */
/* fdfs-storaged: the command line; service.c does the rest. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/fs.h"
#include "base/log.h"
#include "storaged/service.h"

#define PROGRAM       "fdfs-storaged"
#define PID_NAME      "fdfs_storaged"
#define EXIT_DISABLED 125
#define STOP_MS       30000

static volatile sig_atomic_t wants_stop;

static void on_early_signal(int signo)
{
	(void)signo;
	wants_stop = 1;
}

static bool stop_wanted(void)
{
	return wants_stop != 0;
}

/* Before the event loop takes the signals over. */
static void watch_early_signals(void)
{
	struct sigaction sa = { .sa_handler = on_early_signal };

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

static int fail(const char *what)
{
	fprintf(stderr, PROGRAM ": %s\n", what);
	return 1;
}

/* Made by root they are given to the user who will write them. */
static int make_base_dirs(const struct storage_conf *conf, char *err,
    size_t cap)
{
	static const char *const subs[] = { "data", "logs", "meta" };
	const char *base = conf->base_path;
	const struct passwd *owner =
	    geteuid() == 0 && conf->run_by_user && conf->run_by_user[0]
	        ? getpwnam(conf->run_by_user)
	        : NULL;
	char path[1024];

	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		int rc;

		snprintf(path, sizeof(path), "%s/%s", base, subs[i]);
		rc = fs_make_dirs(path);
		if (rc == 0 && owner &&
		    chown(path, owner->pw_uid, owner->pw_gid) < 0)
			rc = -errno;
		if (rc < 0) {
			snprintf(err, cap,
			    "cannot make %s: %s; check "
			    "base_path and its owner",
			    path, errstr(rc));
			return rc;
		}
	}
	return 0;
}

static int open_log_file(const struct storage_conf *conf, bool foreground,
    char *err, size_t cap)
{
	char path[1024];
	enum log_level level = LOG_LEVEL_INFO;
	int rc;

	snprintf(path, sizeof(path), "%s/logs/storaged.log", conf->base_path);
	rc = log_open(path);
	if (rc < 0) {
		snprintf(err, cap, "cannot write %s: %s", path, errstr(rc));
		return rc;
	}
	if (log_level_parse(conf->log_level, &level) < 0)
		log_warn("conf_value", "log_level=%s is no level; info is used",
		    conf->log_level);
	log_set_level(level);
	log_set_rotation(&conf->rotation);
	log_to_stderr(foreground);
	return 0;
}

static int prepare(const struct storage_conf *conf, bool foreground,
    int *lock_fd, char *err, size_t cap)
{
	unsigned fds = (unsigned)conf->max_connections * 2 + 256;
	int rc = make_base_dirs(conf, err, cap);

	if (rc < 0)
		return rc;
	rc = daemon_lock(conf->base_path, PID_NAME, lock_fd);
	if (rc < 0) {
		snprintf(err, cap,
		    rc == -EBUSY ? "another storage daemon runs on base_path "
		                   "%s (pid %d); "
		                   "stop it or use another base_path"
		                 : "cannot lock %s/data (pid %d)",
		    conf->base_path,
		    daemon_running_pid(conf->base_path, PID_NAME));
		return rc;
	}
	rc = daemon_raise_fds(fds);
	if (rc < 0) {
		snprintf(err, cap,
		    "cannot open %u files: %s; lower "
		    "max_connections or raise the limit (ulimit -n)",
		    fds, errstr(rc));
		return rc;
	}
	rc = daemon_become(conf->run_by_user, conf->run_by_group);
	if (rc < 0) {
		snprintf(err, cap, "cannot run as %s:%s: %s", conf->run_by_user,
		    conf->run_by_group, errstr(rc));
		return rc;
	}
	return open_log_file(conf, foreground, err, cap);
}

static int run(struct storage *st, bool background)
{
	struct service *service;
	char err[2048] = "";
	int lock_fd = -1;

	umask(022);
	if (background && daemon_detach() < 0)
		return fail("cannot go to the background");
	if (prepare(&st->conf, !background, &lock_fd, err, sizeof(err)) < 0)
		return fail(err);
	watch_early_signals();
	(void)daemon_write_pid(lock_fd);
	if (service_start(st, stop_wanted, &service, err, sizeof(err)) < 0) {
		if (stop_wanted())
			return 0;
		log_error("start_failed", "%s", err);
		return background ? fail(err) : 1;
	}
	daemon_ready();
	/* A signal that came while parts started is no longer told. */
	if (!stop_wanted())
		service_run(service);
	service_stop(service);
	log_info("stopped", "pid=%d", (int)getpid());
	log_close();
	close(lock_fd);
	return 0;
}

static int say_status(const char *base)
{
	int pid = daemon_running_pid(base, PID_NAME);

	if (pid > 0)
		printf(PROGRAM " runs, pid %d, base_path %s\n", pid, base);
	else
		printf(PROGRAM " does not run on base_path %s\n", base);
	return pid > 0 ? 0 : 3;
}

static int stop(const char *base, bool must_run)
{
	int rc = daemon_stop(base, PID_NAME, STOP_MS);

	if (rc == -ESRCH && !must_run)
		return 0;
	if (rc == 0)
		return 0;
	fprintf(stderr, PROGRAM ": %s (base_path %s)\n",
	    rc == -ESRCH ? "does not run" : errstr(rc), base);
	return 1;
}

static bool uses_store(enum daemon_verb verb)
{
	return verb != DAEMON_STATUS && verb != DAEMON_STOP;
}

static int obey(const struct daemon_args *args, struct storage *st)
{
	const char *base = st->conf.base_path;
	char err[2048] = "";

	if (uses_store(args->verb) &&
	    storage_conf_check_paths(&st->conf, err, sizeof(err)) < 0)
		return fail(err);
	switch (args->verb) {
	case DAEMON_TEST:
		storage_conf_print(stdout, &st->conf);
		return 0;
	case DAEMON_STATUS:
		return say_status(base);
	case DAEMON_STOP:
		return stop(base, true);
	case DAEMON_RESTART:
		return stop(base, false) ? 1 : run(st, true);
	case DAEMON_START:
		return run(st, true);
	default:
		return run(st, false);
	}
}

int main(int argc, char **argv)
{
	struct daemon_args args;
	struct storage *st;
	char err[2048] = "";
	int rc;

	if (daemon_parse(argc, argv, PROGRAM, &args) < 0)
		return 2;
	if (args.verb == DAEMON_HELP) {
		printf("usage: " PROGRAM " CONF [start|stop|restart|status]\n"
		       "       " PROGRAM " -t CONF | -h | -V\n\n");
		storage_conf_help(stdout);
		return 0;
	}
	if (args.verb == DAEMON_VERSION) {
		printf(PROGRAM " " FDFS_SUITE_VERSION
		               " (protocol " FDFS_PROTOCOL_VERSION ")\n");
		return 0;
	}
	st = xcalloc(1, sizeof(*st));
	rc = storage_conf_load(args.conf, &st->conf, err, sizeof(err));
	if (rc < 0) {
		rc = fail(err);
	} else if (st->conf.disabled) {
		fprintf(stderr, PROGRAM ": %s says disabled = true\n",
		    args.conf);
		rc = EXIT_DISABLED;
	} else {
		rc = obey(&args, st);
	}
	storage_conf_free(&st->conf);
	free(st);
	return rc;
}
