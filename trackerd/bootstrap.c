/* SPDX-License-Identifier: MIT */
/*
 * A JOIN that waits owes its answer, so its connection stays until it has one
 * (net/conn.h), even when the storage is gone; its body is copied.
 */
#include "trackerd/bootstrap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/ally.h"
#include "trackerd/elect.h"
#include "trackerd/sysfile.h"

#define STALE_SECONDS 600 /* a tracker that was away this long asks others */
#define TEXT_MAX      ((int64_t)64 << 20)
#define PIECE_ROOM    ((size_t)64 << 10)
#define BUSY_TRIES    20
#define BUSY_MS       100

struct waiting {
	struct waiting *next;
	struct conn *conn;
	size_t n;
	char body[];
};

/* What the ally thread works with while the loop leaves it alone. */
struct errand {
	struct job job;
	struct ally *ally;
	struct tracker_name others[CLUSTER_TRACKERS];
	size_t n;
	bool knows;             /* this tracker has groups of its own */
	struct elect_view self; /* when it knows */
	/* the result; job.rc: 0 go on, else try again with the next JOIN */
	struct sysfiles files;
	bool fetched;
	char from[ADDR_TEXT_MAX];
	char why[160];
};

struct bootstrap {
	struct tracker *t;
	bool settled; /* nothing to ask any more */
	bool asking;
	struct waiting *first;
	struct waiting **last;
	struct errand errand;
};

/* --- in the ally thread -------------------------------------------------- */

static struct addr address_of(const struct tracker_name *t)
{
	struct addr a = t->addrs[0];

	a.port = t->port;
	return a;
}

static void ATTR_PRINTF(2, 3) explain(struct errand *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->why, sizeof(e->why), fmt, ap);
	va_end(ap);
}

/* Index of the best that has groups, -1 when none is asked; -EAGAIN when it
 * cannot be said. */
static int find_best(struct errand *e)
{
	struct elect_view views[CLUSTER_TRACKERS];
	size_t of[CLUSTER_TRACKERS];
	size_t n = 0;
	size_t silent = 0;
	size_t best;

	for (size_t i = 0; i < e->n; i++) {
		struct msg_tracker_status st = { 0 };
		struct addr at = address_of(&e->others[i]);
		char text[ADDR_TEXT_MAX];
		const int rc = ally_ask_status(e->ally, &e->others[i], &st);

		if (rc == 0) {
			views[n] = (struct elect_view){
				.leads = st.is_leader != 0,
				.running = st.running_time,
				.interval = st.restart_interval,
				.at = at,
			};
			of[n++] = i;
		} else if (rc < 0) {
			silent++;
			explain(e,
			    "tracker %s does not answer (%s); start it, or "
			    "remove it from tracker_server",
			    addr_text(&at, text, sizeof(text)), errstr(rc));
		}
	}
	if (n == 0)
		return silent > 0 && !e->knows ? -EAGAIN : -1;
	best = elect_best(views, n);
	e->self.at = views[best].at; /* the address alone makes none better */
	if (e->knows && elect_compare(&views[best], &e->self) <= 0)
		return -1;
	return (int)of[best];
}

static void pause_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* Another tracker may be fetching from it just now. */
static int begin(const struct errand *e, struct client *c)
{
	int rc = EBUSY;

	for (int i = 0; rc == EBUSY && i < BUSY_TRIES; i++) {
		if (ally_stopping(e->ally))
			return -ECANCELED;
		if (i > 0)
			pause_ms(BUSY_MS);
		rc = client_ask(c, CMD_get_sys_files_start, &MSG(none), NULL,
		    NULL, NULL);
	}
	return rc;
}

static int fetch_one(struct errand *e, struct client *c, enum sysfile which)
{
	struct msg_get_sys_file q = { .index = (uint8_t)which };
	struct msg_sys_file r = { 0 };
	size_t *n = &e->files.n[which];

	do {
		int rc;

		q.offset = (int64_t)*n;
		rc = client_ask(c, CMD_get_one_sys_file, &MSG(get_sys_file), &q,
		    &MSG(sys_file), &r);
		if (rc != 0)
			return rc;
		if (r.size < 0 || r.size > TEXT_MAX ||
		    r.data.n > (size_t)r.size - *n ||
		    (r.data.n == 0 && *n < (size_t)r.size))
			return -EPROTO;
		e->files.text[which] =
		    xrealloc(e->files.text[which], *n + r.data.n + 1, 1);
		if (r.data.n > 0)
			memcpy(e->files.text[which] + *n, r.data.p, r.data.n);
		*n += r.data.n;
		e->files.text[which][*n] = 0;
	} while (*n < (size_t)r.size);
	return 0;
}

static int fetch(struct errand *e, const struct tracker_name *from)
{
	struct client *c = NULL;
	int rc = ally_open(e->ally, from, &c);

	if (rc < 0)
		return rc;
	rc = begin(e, c);
	for (int i = 0; rc == 0 && i < N_SYSFILES; i++)
		rc = fetch_one(e, c, (enum sysfile)i);
	if (rc == 0)
		rc = client_ask(c, CMD_get_sys_files_end, &MSG(none), NULL,
		    NULL, NULL);
	ally_close(e->ally, c);
	return rc;
}

static void run_errand(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);
	const int best = find_best(e);
	struct addr at;
	int rc = 0;

	if (best >= 0) {
		at = address_of(&e->others[best]);
		addr_text(&at, e->from, sizeof(e->from));
		rc = fetch(e, &e->others[best]);
		e->fetched = rc == 0;
		if (rc != 0)
			explain(e, "cannot take the cluster from %s: %s",
			    e->from, errstr(rc > 0 ? -rc : rc));
	} else if (best == -EAGAIN) {
		rc = -EAGAIN;
	}
	if (ally_stopping(e->ally))
		rc = -ECANCELED;
	job->rc = rc;
}

/* --- in the loop --------------------------------------------------------- */

static bool anyone_joined(const struct cluster *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->groups[i]->n; k++)
			if (c->groups[i]->storages[k]->session)
				return true;
	return false;
}

static int take_files(struct bootstrap *b)
{
	struct tracker *t = b->t;
	struct errand *e = &b->errand;
	char err[512] = "";
	char text[160];
	struct strbuf s = strbuf_over(text, sizeof(text));
	size_t members = 0;

	if (anyone_joined(&t->cluster))
		return 0;
	if (sysfiles_load(&t->cluster, t->ids, &e->files, err, sizeof(err)) <
	    0) {
		log_error("bootstrap_failed",
		    "the system files of tracker %s cannot be used: %s",
		    e->from, err);
		return -EAGAIN;
	}
	for (size_t i = 0; i < t->cluster.n; i++)
		members += t->cluster.groups[i]->n;
	strbuf_addf(&s, "%zu groups and %zu storages from tracker %s",
	    t->cluster.n, members, e->from);
	log_info("bootstrap_done", "%s", text);
	persist_event(t->persist, "FD-TRK-01", EVENT_INFO, "tracker", text);
	return 0;
}

static void let_go(struct bootstrap *b, struct waiting *w)
{
	struct msg_join m;
	struct request rq = { .t = b->t,
		.c = w->conn,
		.session = conn_data(w->conn),
		.joined = ((struct session *)conn_data(w->conn))->joined,
		.peer = conn_peer(w->conn),
		.body = { w->body, w->n },
		.now = clock_wall_sec() };

	if (!b->settled || b->t->stopping || conn_dead(w->conn) ||
	    msg_decode(&MSG(join), w->body, w->n, &m, NULL) < 0)
		reply_status(&rq, EAGAIN);
	else
		handle_join(&rq, &m);
	free(w);
}

static void errand_done(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);
	struct bootstrap *b = container_of(e, struct bootstrap, errand);
	struct waiting *w = b->first;

	if (job->rc == 0 && e->fetched)
		job->rc = take_files(b);
	else if (job->rc != 0 && job->rc != -ECANCELED)
		log_warn("bootstrap_waits", "storages are told to wait: %s",
		    e->why);
	sysfiles_free(&e->files);
	b->asking = false;
	b->settled = job->rc == 0;
	b->first = NULL;
	b->last = &b->first;
	while (w) {
		struct waiting *next = w->next;

		let_go(b, w);
		w = next;
	}
}

static void hold(struct bootstrap *b, const struct request *rq)
{
	struct waiting *w = xcalloc(1, sizeof(*w) + rq->body.n);

	w->conn = rq->c;
	w->n = rq->body.n;
	memcpy(w->body, rq->body.p, rq->body.n);
	*b->last = w;
	b->last = &w->next;
}

static bool must_ask(const struct tracker *t)
{
	return t->cluster.n == 0 ||
	       (t->last_alive > 0 &&
	           t->started - t->last_alive > STALE_SECONDS);
}

static void ask(struct bootstrap *b)
{
	const struct tracker *t = b->t;
	struct errand *e = &b->errand;

	e->fetched = false;
	e->why[0] = 0;
	e->ally = t->ally;
	e->knows = t->cluster.n > 0;
	e->self = (struct elect_view){
		.leads = t->cluster.leader,
		.running = tracker_running(t),
		.interval = tracker_interval(t),
	};
	e->job.run = run_errand;
	e->job.done = errand_done;
	b->asking = true;
	ally_submit(t->ally, &e->job);
}

bool bootstrap_holds(struct request *rq, const struct tracker_name *list,
    size_t n, const struct addr *at)
{
	struct tracker *t = rq->t;
	struct bootstrap *b = t->bootstrap;

	if (b->settled)
		return false;
	if (!b->asking) {
		b->errand.n =
		    must_ask(t) ? ally_others(t, list, n, at, b->errand.others)
		                : 0;
		if (b->errand.n == 0 || anyone_joined(&t->cluster)) {
			b->settled = true;
			return false;
		}
		ask(b);
	}
	hold(b, rq);
	return true;
}

/* --- start and end ------------------------------------------------------- */

struct bootstrap *bootstrap_new(struct tracker *t)
{
	struct bootstrap *b = xcalloc(1, sizeof(*b));

	b->t = t;
	b->last = &b->first;
	return b;
}

void bootstrap_free(struct bootstrap *b)
{
	if (!b)
		return;
	for (struct waiting *w = b->first; w;) {
		struct waiting *next = w->next;

		free(w);
		w = next;
	}
	sysfiles_free(&b->errand.files);
	free(b);
}
