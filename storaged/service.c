/* SPDX-License-Identifier: MIT */
/*
 * Order of start: log database, who we are, store paths, recovery, writer,
 * disk workers, catalogue, loops, listening, tracker sessions. Stop is the
 * reverse; the mark of a clean stop is the last row the log gets.
 */
#include "storaged/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/log.h"
#include "meta/event.h"
#include "storaged/beat.h"
#include "storaged/housekeep.h"
#include "storaged/op.h"
#include "storaged/rebuild.h"
#include "storaged/records.h"
#include "storaged/redo.h"
#include "storaged/replicate.h"

#define BLOCKS_IN_ALL 512 /* of 256 KiB: 128 MiB */
#define STOP_ROUNDS   60
#define STOP_ROUND_US 50000

struct service {
	struct storage *st;
	struct loop *main_loop;
	struct listener *listeners[2];
	size_t n_listeners;
	struct housekeeper *keeper;
	struct records records;
};

/* --- loops and connections --- */

static size_t loops_wanted(const struct storage_conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = (size_t)(cores > 4 ? cores / 2 : 2);

	if (conf->work_threads > 0)
		n = (size_t)conf->work_threads;
	return n < MAX_LOOPS ? n : MAX_LOOPS;
}

static int start_loop(struct storage *st, size_t of)
{
	struct loop_ctx *ctx = xcalloc(1, sizeof(*ctx));
	struct hub_conf hc = {
		.side = BY_STORAGE,
		.app = &op_app,
		.arg = ctx,
		.network_timeout = (unsigned)st->conf.network_timeout,
		.blocks = BLOCKS_IN_ALL / of,
		.data_size = OP_DATA_SIZE,
		.close_after_einval = true,
	};
	char name[16];
	int rc;

	ctx->st = st;
	rc = loop_new(&ctx->loop);
	if (rc == 0)
		rc = hub_new(ctx->loop, &hc, &ctx->hub);
	if (rc == 0)
		loop_at_turn_end(ctx->loop, op_turn_end, ctx);
	snprintf(name, sizeof(name), "net-%u", (unsigned)st->n_loops & 0xff);
	if (rc == 0)
		rc = loop_start(ctx->loop, name);
	if (rc < 0) {
		hub_free(ctx->hub);
		loop_free(ctx->loop);
		free(ctx);
		return rc;
	}
	st->loops[st->n_loops++] = ctx;
	return 0;
}

static int start_loops(struct storage *st, char *err, size_t cap)
{
	size_t n = loops_wanted(&st->conf);
	int rc = store_start_workers(&st->store);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = start_loop(st, n);
	if (rc < 0)
		snprintf(err, cap, "cannot start threads: %s", errstr(rc));
	return rc;
}

static size_t connections(const struct storage *st, struct loop_ctx **least)
{
	size_t sum = 0;

	*least = st->loops[0];
	for (size_t i = 0; i < st->n_loops; i++) {
		sum += hub_load(st->loops[i]->hub);
		if (hub_load(st->loops[i]->hub) < hub_load((*least)->hub))
			*least = st->loops[i];
	}
	return sum;
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct service *s = arg;
	struct storage *st = s->st;
	struct loop_ctx *least;
	char ip[ADDR_IP_MAX];

	if (!addr_list_has(st->conf.allow, peer)) {
		log_warn("connection_refused",
		    "client=%s is not in "
		    "allow_hosts",
		    addr_ip(peer, ip, sizeof(ip)));
		close(fd);
		return;
	}
	if (connections(st, &least) >= (size_t)st->conf.max_connections) {
		log_warn("connection_refused",
		    "client=%s: max_connections=%lld "
		    "are open",
		    addr_ip(peer, ip, sizeof(ip)),
		    (long long)st->conf.max_connections);
		close(fd);
		return;
	}
	hub_take(least->hub, fd, peer);
}

static int listen_on(struct service *s, struct loop *loop, size_t i,
    struct listener **out, char *err, size_t cap)
{
	struct addr at = s->st->conf.binds[i];
	char text[ADDR_TEXT_MAX];
	int rc;

	at.port = (uint16_t)s->st->conf.port;
	rc = loop_listen(loop, &at, on_accept, s, out);
	if (rc < 0)
		snprintf(err, cap,
		    "cannot listen on %s: %s; check bind_addr and port",
		    addr_text(&at, text, sizeof(text)), errstr(rc));
	return rc;
}

/* A wrong address or a taken port is said before anything is begun. */
static int try_addresses(struct service *s, char *err, size_t cap)
{
	struct loop *loop = NULL;
	int rc = loop_new(&loop);

	for (size_t i = 0; i < s->st->conf.n_binds && rc == 0; i++) {
		struct listener *ln;

		rc = listen_on(s, loop, i, &ln, err, cap);
		if (rc == 0)
			listener_free(ln);
	}
	loop_free(loop);
	return rc;
}

static int start_listening(struct service *s, char *err, size_t cap)
{
	const struct storage_conf *c = &s->st->conf;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->n_binds; i++) {
		int rc =
		    listen_on(s, s->main_loop, i, &s->listeners[i], err, cap);

		if (rc < 0)
			return rc;
		s->n_listeners++;
		log_info("listening", "address=%s port=%lld group=%s id=%s",
		    addr_ip(&c->binds[i], text, sizeof(text)),
		    (long long)c->port, s->st->me.group, s->st->me.id);
	}
	return 0;
}

/* --- start, run, stop --- */

static void on_stop(void *arg)
{
	struct service *s = arg;

	log_info("stopping", "a signal asked for it");
	loop_stop(s->main_loop);
}

static void on_reload(void *arg)
{
	struct service *s = arg;

	housekeep_reload(s->keeper);
}

static int start_main_loop(struct service *s)
{
	int rc = loop_new(&s->main_loop);

	if (rc == 0)
		rc = loop_on_signal(s->main_loop, SIGTERM, on_stop, s);
	if (rc == 0)
		rc = loop_on_signal(s->main_loop, SIGINT, on_stop, s);
	if (rc == 0)
		rc = loop_on_signal(s->main_loop, SIGHUP, on_reload, s);
	return rc;
}

static int start_parts(struct service *s, bool (*stop)(void), char *err,
    size_t cap)
{
	struct storage *st = s->st;
	int rc = records_start_catalogue(st, &s->records, err, cap);

	if (rc == 0)
		rc = rebuild_run(st, stop, err, cap);
	if (rc == 0)
		rc = start_loops(st, err, cap);
	if (rc == 0)
		rc = redo_start(st->redo);
	if (rc == 0)
		rc = start_main_loop(s);
	if (rc == 0)
		rc = start_listening(s, err, cap);
	if (rc == 0)
		rc = housekeep_start(st, s->main_loop, &s->keeper);
	if (rc == 0)
		rc = replicate_with_beat(st);
	if (rc < 0 && !err[0])
		snprintf(err, cap, "cannot start: %s", errstr(rc));
	return rc;
}

int service_start(struct storage *st, bool (*stop)(void), struct service **out,
    char *err, size_t cap)
{
	struct service *s = xcalloc(1, sizeof(*s));
	int rc;

	s->st = st;
	st->up_time = clock_wall_sec();
	busy_init(&st->busy);
	synced_init(&st->synced);
	st->redo = redo_new(st);
	rc = try_addresses(s, err, cap);
	if (rc == 0)
		rc = records_start_log(st, stop, err, cap);
	if (rc < 0) {
		redo_free(st->redo);
		free(s);
		return rc;
	}
	housekeep_load(st);
	rc = start_parts(s, stop, err, cap);
	if (rc < 0) {
		service_stop(s);
		return rc;
	}
	log_info("started",
	    "version=%s pid=%d loops=%zu paths=%zu "
	    "durability=%s",
	    FDFS_SUITE_VERSION, (int)getpid(), st->n_loops, st->store.n,
	    st->store.conf.full ? "full" : "process");
	catalogue_event(st->catalogue, "FD-START-01",
	    st->unclean ? EVENT_WARN : EVENT_INFO, st->me.id,
	    st->unclean ? "storage started; the last run did not stop cleanly"
	                : "storage started");
	*out = s;
	return 0;
}

void service_run(struct service *s)
{
	loop_run(s->main_loop);
}

struct close_job {
	struct job job;
	struct hub *hub;
};

static void on_close_all(struct job *job)
{
	struct close_job *j = container_of(job, struct close_job, job);

	hub_close_all(j->hub);
	free(j);
}

/* Did all of them end in time? */
static bool close_connections(struct storage *st)
{
	struct loop_ctx *least;

	for (size_t i = 0; i < st->n_loops; i++) {
		struct close_job *j = xcalloc(1, sizeof(*j));

		j->hub = st->loops[i]->hub;
		j->job.done = on_close_all;
		j->job.home = loop_mailbox(st->loops[i]->loop);
		job_go_home(&j->job);
	}
	for (int i = 0;
	     i < STOP_ROUNDS && st->n_loops > 0 && connections(st, &least) > 0;
	     i++)
		usleep(STOP_ROUND_US);
	return st->n_loops == 0 || connections(st, &least) == 0;
}

static bool stop_loops(struct storage *st)
{
	bool ended = close_connections(st);

	for (size_t i = 0; i < st->n_loops; i++) {
		loop_stop(st->loops[i]->loop);
		loop_join(st->loops[i]->loop);
	}
	store_stop_workers(&st->store);
	return ended;
}

static void free_loops(struct storage *st)
{
	for (size_t i = 0; i < st->n_loops; i++)
		hub_free(st->loops[i]->hub);
	for (size_t i = 0; i < st->n_loops; i++) {
		loop_free(st->loops[i]->loop);
		free(st->loops[i]);
	}
	st->n_loops = 0;
}

void service_stop(struct service *s)
{
	struct storage *st = s->st;
	bool ended;

	for (size_t i = 0; i < s->n_listeners; i++)
		listener_free(s->listeners[i]);
	redo_stop(st->redo);
	replicate_end(st->replicate);
	if (st->beat)
		beat_stop(st->beat);
	ended = stop_loops(st);
	records_stop_catalogue(st);
	records_stop_log(st, ended);
	/* Its trim may have been at the writer until now. */
	housekeep_stop(s->keeper);
	housekeep_save(st);
	replicate_free(st->replicate);
	redo_free(st->redo);
	free_loops(st);
	loop_free(s->main_loop);
	store_close(&st->store);
	busy_fini(&st->busy);
	synced_fini(&st->synced);
	identity_fini(&st->me);
	records_free(&s->records);
	free(s);
}
