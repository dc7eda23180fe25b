/* SPDX-License-Identifier: MIT */
/*
 * fdfs-trackerd: start, stop, reload. Whatever can be wrong is found before
 * the daemon says that it is ready, and said in one sentence.
 *
 * Stop: no new connections, every connection closed (their storages become
 * OFFLINE), what is queued is committed, at most STOP_MS.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/alive.h"
#include "trackerd/ally.h"
#include "trackerd/bootstrap.h"
#include "trackerd/handlers.h"
#include "trackerd/keeper.h"
#include "trackerd/lead.h"
#include "trackerd/restore.h"
#include "trackerd/tend.h"

#define PROGRAM    "fdfs-trackerd"
#define PID_NAME   "fdfs_trackerd"
#define ERR_MAX    1024
#define STOP_MS    4000
#define WAIT_MS    10000 /* stop and restart wait this long */
#define OTHER_FDS  64
#define HUB_BLOCKS 64
#define DISABLED   125

struct server {
	struct tracker t;
	struct tend *tend;
	struct listener *listeners[CF_LISTEN_MAX];
	struct addr at[CF_LISTEN_MAX];
	int n_listeners;
	struct timer *stop_timer;
	mono_t stop_by;
	const char *conf_path;
	int lock_fd;
	char err[ERR_MAX];
};

static int ATTR_PRINTF(2, 3) fail(struct server *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->err, sizeof(s->err), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- accepting ----------------------------------------------------------- */

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct server *s = arg;
	struct tracker *t = &s->t;
	char text[ADDR_TEXT_MAX];

	if (!addr_list_has(t->conf.allow, peer)) {
		log_warn("client_refused", "client=%s: not in allow_hosts",
		    addr_text(peer, text, sizeof(text)));
		close(fd);
		return;
	}
	if (hub_load(t->hub) >= (size_t)t->conf.max_connections) {
		log_warn("client_refused",
		    "client=%s: max_connections=%lld are open",
		    addr_text(peer, text, sizeof(text)),
		    (long long)t->conf.max_connections);
		close(fd);
		return;
	}
	if (hub_take(t->hub, fd, peer) < 0)
		close(fd);
}

static int start_listening(struct server *s)
{
	for (int i = 0; i < s->n_listeners; i++) {
		char text[ADDR_TEXT_MAX];
		const int rc = loop_listen(s->t.loop, &s->at[i], on_accept, s,
		    &s->listeners[i]);

		if (rc < 0)
			return fail(s, "cannot listen on %s: %s",
			    addr_text(&s->at[i], text, sizeof(text)),
			    errstr(rc));
		log_info("listening", "address=%s",
		    addr_text(&s->at[i], text, sizeof(text)));
	}
	return 0;
}

/* --- signals ------------------------------------------------------------- */

static void stop_listening(struct server *s)
{
	for (int i = 0; i < s->n_listeners; i++) {
		if (s->listeners[i])
			listener_free(s->listeners[i]);
		s->listeners[i] = NULL;
	}
}

static void on_stopping(void *arg)
{
	struct server *s = arg;
	const bool late = clock_mono() >= s->stop_by;

	persist_flush(s->t.persist, true);
	if (!late && (hub_load(s->t.hub) > 0 || !ally_idle(s->t.ally) ||
	                 !persist_idle(s->t.persist)))
		return;
	if (late)
		log_warn("stop_late", "connections=%zu", hub_load(s->t.hub));
	loop_stop(s->t.loop);
}

static void on_term(void *arg)
{
	struct server *s = arg;

	if (s->t.stopping)
		return;
	s->t.stopping = true;
	log_info("stopping", "signal received");
	stop_listening(s);
	ally_stop(s->t.ally);
	hub_close_all(s->t.hub);
	tend_mark(&s->t);
	s->stop_by = clock_mono() + STOP_MS * MONO_MS;
	s->stop_timer = loop_every(s->t.loop, 10, on_stopping, s);
	if (!s->stop_timer)
		loop_stop(s->t.loop);
}

/* Storages get the addresses and modes of the new list. */
static void take_ids(struct tracker *t, struct ids *fresh)
{
	ids_free(t->ids);
	t->ids = fresh;
	t->ip_width = cf_ip_width(&t->conf, fresh->has_ipv6);
	for (size_t i = 0; i < t->cluster.n; i++) {
		struct group *g = t->cluster.groups[i];

		for (size_t k = 0; k < g->n; k++) {
			struct storage *s = g->storages[k];
			const struct ids_entry *e =
			    ids_by_id(fresh, span_of(s->id));

			if (!e)
				continue;
			memcpy(s->addrs, e->addrs, sizeof(s->addrs));
			s->n_addrs = e->n_addrs;
			if (s->rw != e->rw)
				group_bump(g);
			s->rw = e->rw;
			storage_touch(s, DIRTY_LATER);
		}
		group_figures(g);
	}
}

static void reload(struct server *s)
{
	struct tracker *t = &s->t;
	struct tracker_conf fresh;
	struct ids *ids = NULL;

	if (cf_load(s->conf_path, &fresh, s->err, sizeof(s->err)) < 0) {
		log_error("reload_failed", "%s; the old settings stay", s->err);
		return;
	}
	cf_apply_live(&t->conf, &fresh);
	cf_free(&fresh);
	log_set_level(t->conf.log_level);
	log_set_rotation(&t->conf.rotation);
	hub_set_timeout(t->hub, (unsigned)t->conf.network_timeout);
	if (t->ids &&
	    ids_load(t->conf.ids_path, &ids, s->err, sizeof(s->err)) < 0)
		log_error("reload_failed", "%s; the old ids stay", s->err);
	else if (ids)
		take_ids(t, ids);
	log_info("reloaded", "conf=%s", s->conf_path);
}

static void on_hup(void *arg)
{
	struct server *s = arg;
	const int rc = log_reopen();

	if (rc < 0)
		log_error("log_reopen_failed", "%s", errstr(rc));
	reload(s);
}

static void on_turn_end(void *arg)
{
	struct server *s = arg;

	persist_flush(s->t.persist, false);
}

/* --- start --------------------------------------------------------------- */

/* The directories, owned by whom the daemon will run as. */
static int make_dirs(struct server *s)
{
	static const char *const dirs[] = { "", "/data", "/logs", "/meta" };
	const struct tracker_conf *cf = &s->t.conf;
	const struct passwd *pw =
	    cf->run_by_user[0] ? getpwnam(cf->run_by_user) : NULL;
	char path[4096];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int rc;

		snprintf(path, sizeof(path), "%s%s", cf->base_path, dirs[i]);
		rc = fs_make_dirs(path);
		if (rc < 0)
			return fail(s,
			    "cannot make %s: %s; correct base_path or make "
			    "it writable",
			    path, errstr(rc));
		if (pw && geteuid() == 0 &&
		    chown(path, pw->pw_uid, pw->pw_gid) < 0)
			return fail(s, "cannot give %s to %s: %s", path,
			    cf->run_by_user, errstr(-errno));
	}
	return 0;
}

static int open_log(struct server *s)
{
	char path[4096];
	int rc;

	snprintf(path, sizeof(path), "%s/logs/trackerd.log",
	    s->t.conf.base_path);
	rc = log_open(path);
	if (rc < 0)
		return fail(s, "cannot write the log %s: %s", path, errstr(rc));
	log_set_level(s->t.conf.log_level);
	log_set_rotation(&s->t.conf.rotation);
	return 0;
}

static int take_lock(struct server *s)
{
	const char *base = s->t.conf.base_path;
	int rc = daemon_lock(base, PID_NAME, &s->lock_fd);

	if (rc == -EBUSY)
		return fail(s,
		    "another tracker runs on base_path %s; stop it or use "
		    "another base_path",
		    base);
	if (rc == 0)
		rc = daemon_write_pid(s->lock_fd);
	if (rc < 0)
		return fail(s, "cannot write %s/data/%s.pid: %s", base,
		    PID_NAME, errstr(rc));
	return 0;
}

static int open_cluster(struct server *s)
{
	struct tracker *t = &s->t;
	struct cluster_watch watch = { .status = persist_status,
		.drop_storage = persist_drop_storage,
		.drop_group = persist_drop_group,
		.change = persist_change,
		.drop_changes = persist_drop_changes };
	int64_t in_file;
	int rc = persist_open(t->conf.base_path, &t->cluster, &t->persist,
	    s->err, sizeof(s->err));

	if (rc < 0)
		return rc;
	watch.arg = t->persist;
	cluster_init(&t->cluster, &watch);
	rc = restore_cluster(t->persist, &t->cluster, t->ids, &t->last_alive);
	if (rc < 0)
		return fail(s,
		    "cannot read %s/meta/tracker.db: %s; move it with its -wal "
		    "and -shm files away: the cluster is learnt again from "
		    "its storages within a heartbeat",
		    t->conf.base_path, errstr(rc));
	rc = keeper_adopt(t, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	in_file = alive_read(t->conf.base_path);
	if (in_file > t->last_alive)
		t->last_alive = in_file;
	log_info("cluster_restored", "groups=%zu", t->cluster.n);
	return 0;
}

static int open_network(struct server *s)
{
	struct tracker *t = &s->t;
	const struct hub_conf hc = { .side = BY_TRACKER,
		.app = &tracker_app,
		.arg = t,
		.network_timeout = (unsigned)t->conf.network_timeout,
		.blocks = HUB_BLOCKS,
		.data_size = sizeof(struct session) };
	int rc =
	    daemon_raise_fds((unsigned)t->conf.max_connections + OTHER_FDS);

	if (rc < 0)
		return fail(s,
		    "cannot have max_connections = %lld descriptors: %s; "
		    "raise the limit (ulimit -n) or lower max_connections",
		    (long long)t->conf.max_connections, errstr(rc));
	rc = loop_new(&t->loop);
	if (rc == 0)
		rc = hub_new(t->loop, &hc, &t->hub);
	if (rc < 0)
		return fail(s, "cannot start the event loop: %s", errstr(rc));
	return start_listening(s);
}

static int start_loop(struct server *s)
{
	struct tracker *t = &s->t;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	loop_at_turn_end(t->loop, on_turn_end, s);
	t->bootstrap = bootstrap_new(t);
	rc = persist_start(t->persist, t->loop);
	if (rc == 0)
		rc = ally_start(t, &t->ally);
	if (rc == 0)
		rc = lead_start(t, &t->lead);
	if (rc == 0)
		rc = keeper_start(t, &t->keeper);
	if (rc == 0)
		rc = tend_start(t, &s->tend);
	if (rc == 0)
		rc = loop_on_signal(t->loop, SIGTERM, on_term, s);
	if (rc == 0)
		rc = loop_on_signal(t->loop, SIGINT, on_term, s);
	if (rc == 0)
		rc = loop_on_signal(t->loop, SIGHUP, on_hup, s);
	if (rc < 0)
		return fail(s, "cannot start: %s", errstr(rc));
	return 0;
}

static int start(struct server *s)
{
	struct tracker *t = &s->t;
	int rc = make_dirs(s);

	t->started = clock_wall_sec();
	if (rc == 0)
		rc = take_lock(s);
	if (rc == 0)
		rc = open_network(s);
	if (rc == 0 &&
	    daemon_become(t->conf.run_by_user, t->conf.run_by_group) < 0)
		rc = fail(s,
		    "cannot run as user \"%s\" group \"%s\": correct "
		    "run_by_user and run_by_group, or start as root",
		    t->conf.run_by_user, t->conf.run_by_group);
	if (rc == 0)
		rc = open_log(s);
	if (rc == 0)
		rc = open_cluster(s);
	if (rc == 0)
		rc = start_loop(s);
	return rc;
}

static void close_all(struct server *s)
{
	struct tracker *t = &s->t;

	stop_listening(s);
	tend_stop(s->tend);
	timer_free(s->stop_timer);
	ally_free(t->ally);
	keeper_stop(t->keeper);
	bootstrap_free(t->bootstrap);
	lead_free(t->lead);
	persist_close(t->persist);
	if (t->hub)
		hub_free(t->hub);
	sysfiles_free(&t->lent);
	if (t->loop)
		loop_free(t->loop);
	cluster_fini(&t->cluster);
	ids_free(t->ids);
	free(t->out.p);
	cf_free(&t->conf);
	log_close();
}

static int serve(struct server *s)
{
	int rc = start(s);

	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", PROGRAM, s->err);
	} else {
		log_info("started", "version=%s pid=%ld base_path=%s",
		    FDFS_SUITE_VERSION, (long)getpid(), s->t.conf.base_path);
		persist_event(s->t.persist, "FD-TRK-01", EVENT_INFO, "tracker",
		    "the tracker started");
		daemon_ready();
		loop_run(s->t.loop);
		alive_write(&s->t);
		log_info("stopped", "pid=%ld", (long)getpid());
	}
	close_all(s);
	return rc < 0 ? 1 : 0;
}

/* --- verbs --------------------------------------------------------------- */

static int stop_running(const struct server *s)
{
	const char *base = s->t.conf.base_path;
	const int rc = daemon_stop(base, PID_NAME, WAIT_MS);

	if (rc < 0 && rc != -ESRCH)
		fprintf(stderr, "%s: cannot stop the tracker on %s: %s\n",
		    PROGRAM, base, errstr(rc));
	return rc;
}

static int show_status(const struct server *s)
{
	const int pid = daemon_running_pid(s->t.conf.base_path, PID_NAME);

	if (pid > 0)
		printf("%s runs, pid %d\n", PROGRAM, pid);
	else
		printf("%s does not run\n", PROGRAM);
	return pid > 0 ? 0 : 3;
}

/* Reads the configuration and what it names. */
static int load(struct server *s, const char *path)
{
	struct tracker *t = &s->t;
	int rc = cf_load(path, &t->conf, s->err, sizeof(s->err));

	if (rc < 0)
		return rc;
	if (t->conf.use_storage_id)
		rc =
		    ids_load(t->conf.ids_path, &t->ids, s->err, sizeof(s->err));
	if (rc == 0) {
		const bool v6 = t->ids && t->ids->has_ipv6;

		t->ip_width = cf_ip_width(&t->conf, v6);
		s->n_listeners =
		    cf_listen(&t->conf, v6, s->at, s->err, sizeof(s->err));
		rc = s->n_listeners < 0 ? s->n_listeners : 0;
	}
	if (rc < 0)
		cf_free(&t->conf);
	return rc;
}

static int run_verb(struct server *s, enum daemon_verb verb)
{
	int rc = 0;

	switch (verb) {
	case DAEMON_TEST:
		cf_print(stdout, &s->t.conf);
		return 0;
	case DAEMON_STATUS:
		return show_status(s);
	case DAEMON_STOP:
		rc = stop_running(s);
		if (rc == -ESRCH)
			fprintf(stderr, "%s does not run\n", PROGRAM);
		return rc < 0 ? 1 : 0;
	case DAEMON_RESTART:
		rc = stop_running(s);
		if (rc < 0 && rc != -ESRCH)
			return 1;
		break;
	case DAEMON_RUN:
	case DAEMON_START:
	case DAEMON_HELP:
	case DAEMON_VERSION:
		break;
	}
	if (s->t.conf.disabled) {
		fprintf(stderr, "%s: disabled = true in the configuration\n",
		    PROGRAM);
		return DISABLED;
	}
	if (verb != DAEMON_RUN) {
		rc = daemon_detach();
		if (rc < 0) {
			fprintf(stderr, "%s: cannot go to the background: %s\n",
			    PROGRAM, errstr(rc));
			return 1;
		}
	}
	return serve(s);
}

int main(int argc, char **argv)
{
	static struct server s;
	struct daemon_args args;

	if (daemon_parse(argc, argv, PROGRAM, &args) < 0)
		return 2;
	if (args.verb == DAEMON_HELP) {
		daemon_usage(stdout, PROGRAM);
		puts("\nKeys of CONF:");
		cf_print_help(stdout);
		return 0;
	}
	if (args.verb == DAEMON_VERSION) {
		printf("%s %s (protocol %s)\n", PROGRAM, FDFS_SUITE_VERSION,
		    FDFS_PROTOCOL_VERSION);
		return 0;
	}
	s.conf_path = args.conf;
	s.lock_fd = -1;
	if (load(&s, args.conf) < 0) {
		fprintf(stderr, "%s: %s\n", PROGRAM, s.err);
		return 1;
	}
	return run_verb(&s, args.verb);
}
