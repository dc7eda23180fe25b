/* SPDX-License-Identifier: MIT */
/*
 * One timer and one errand at a time:
 *
 *            first list        I am the best
 *   (idle) ------------> ASK --------------> TELL ---> lead
 *                         ^ \                  | refused
 *     1 to 11 s, or told  |  \ another leads   |
 *                         +---\----------------+
 *                         ^    v
 *     3 failures, 1 s     +-- PING, every second ---> follow
 *
 * While an errand is away another tracker may name a leader (66, 67); what
 * comes home is then held against what is so by now.
 */
#include "trackerd/lead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/alive.h"
#include "trackerd/ally.h"
#include "trackerd/elect.h"

#define SECOND 1000
#define TABLE_MAX                                                  \
	((size_t)CLUSTER_GROUPS * 32) /* bytes of the answer to 65 \
	                               */

enum errand_kind { ERRAND_ASK, ERRAND_TELL, ERRAND_PING, ERRAND_HANG_UP };

/* Another tracker, and what it answered. */
struct other {
	struct tracker_name name;
	int index;
	int rc;
	struct msg_tracker_status status;
};

struct errand {
	struct job job;
	struct lead *lead;
	enum errand_kind kind;
	struct other others[CLUSTER_TRACKERS]; /* PING: only the leader */
	size_t n;
	char text[ADDR_TEXT_MAX]; /* TELL */
	struct msg_join_leader join;
	struct msg_conn_counts conns;
	int rc;
	uint8_t table[TABLE_MAX]; /* PING: trunk servers */
	size_t table_n;
};

struct lead {
	struct tracker *t;
	struct timer *timer;
	bool awake; /* the first list is here */
	bool away;  /* the errand is */
	int next;   /* remembered from 66, -1 none */
	bool lined; /* the line below was in use */
	unsigned failures;
	unsigned seed;
	struct errand errand;
	struct follower followers[CLUSTER_TRACKERS];
	/* The ally thread's. */
	struct client *line; /* to the leader, joined */
	int line_to;
};

/* --- in the ally thread -------------------------------------------------- */

static void ask_all(struct errand *e)
{
	struct ally *a = e->lead->t->ally;

	for (size_t i = 0; i < e->n; i++)
		e->others[i].rc = ally_ask_status(a, &e->others[i].name,
		    &e->others[i].status);
}

/* 0 also when it cannot be reached. */
static int tell_one(struct errand *e, const struct other *o, uint8_t command)
{
	struct ally *a = e->lead->t->ally;
	const struct msg_text m = { .text = span_of(e->text) };
	struct client *c;
	int rc = ally_open_quick(a, &o->name, &c);

	if (rc < 0)
		return rc == -ECANCELED ? rc : 0;
	rc = client_ask(c, command, &MSG(text), &m, NULL, NULL);
	ally_close(a, c);
	return rc < 0 && rc != -ECANCELED ? 0 : rc;
}

static void tell_all(struct errand *e)
{
	static const uint8_t commands[] = { CMD_notify_next_leader,
		CMD_commit_next_leader };

	e->rc = 0;
	for (size_t k = 0; k < ARRAY_LEN(commands); k++)
		for (size_t i = 0; i < e->n && e->rc == 0; i++)
			e->rc = tell_one(e, &e->others[i], commands[k]);
}

static void hang_up(struct lead *l)
{
	ally_close(l->t->ally, l->line);
	l->line = NULL;
}

static int join_leader(struct errand *e)
{
	struct lead *l = e->lead;
	const struct other *o = &e->others[0];
	int rc;

	if (l->line && l->line_to == o->index)
		return 0;
	hang_up(l);
	rc = ally_open_quick(l->t->ally, &o->name, &l->line);
	if (rc == 0)
		rc = client_ask(l->line, CMD_join_leader, &MSG(join_leader),
		    &e->join, NULL, NULL);
	l->line_to = o->index;
	return rc;
}

static void ping_leader(struct errand *e)
{
	struct lead *l = e->lead;
	uint8_t body[12];
	struct client_reply reply = { .buf = e->table,
		.cap = sizeof(e->table) };

	e->table_n = 0;
	e->rc = join_leader(e);
	if (e->rc == 0) {
		(void)msg_encode(&MSG(conn_counts), &e->conns, body,
		    sizeof(body));
		e->rc = client_call(l->line, CMD_ping_leader, body,
		    sizeof(body), &reply);
		e->table_n = reply.n;
	}
	if (e->rc == 0 && e->table_n % MSG(group_id).fixed_size != 0)
		e->rc = -EPROTO;
	if (e->rc != 0)
		hang_up(l);
}

static void errand_run(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);

	/* Who follows no more need not keep the line. */
	if (e->kind != ERRAND_PING)
		hang_up(e->lead);
	switch (e->kind) {
	case ERRAND_ASK:
		ask_all(e);
		break;
	case ERRAND_TELL:
		tell_all(e);
		break;
	case ERRAND_PING:
		ping_leader(e);
		break;
	case ERRAND_HANG_UP:
		break;
	}
}

/* --- sending ------------------------------------------------------------- */

static void pause_for(struct lead *l, unsigned ms)
{
	timer_set(l->timer, ms);
}

static void pause_at_random(struct lead *l)
{
	pause_for(l, SECOND + (unsigned)rand_r(&l->seed) % (10 * SECOND));
}

static const char *name_of(const struct cluster *c, int i, char *buf,
    size_t cap)
{
	struct addr a = c->trackers[i].addrs[0];

	a.port = c->trackers[i].port;
	return addr_text(&a, buf, cap);
}

static void send_off(struct lead *l, enum errand_kind kind)
{
	l->errand.kind = kind;
	l->errand.lead = l;
	l->away = true;
	l->lined = kind == ERRAND_PING;
	ally_submit(l->t->ally, &l->errand.job);
}

static void add_other(struct lead *l, int i)
{
	struct other *o = &l->errand.others[l->errand.n++];

	o->name = l->t->cluster.trackers[i];
	o->index = i;
	o->rc = 0;
}

static void send_ask(struct lead *l)
{
	const struct cluster *c = &l->t->cluster;

	l->errand.n = 0;
	for (size_t i = 0; i < c->n_trackers; i++)
		if ((int)i != c->self)
			add_other(l, (int)i);
	send_off(l, ERRAND_ASK);
}

/* Those that did not answer a moment ago are left out. */
static void send_tell(struct lead *l)
{
	struct errand *e = &l->errand;
	const size_t asked = e->n;

	e->n = 0;
	for (size_t i = 0; i < asked; i++)
		if (e->others[i].rc >= 0)
			add_other(l, e->others[i].index);
	name_of(&l->t->cluster, l->t->cluster.self, e->text, sizeof(e->text));
	send_off(l, ERRAND_TELL);
}

static void send_ping(struct lead *l)
{
	struct errand *e = &l->errand;
	struct conn_counts n;

	conn_counts_get(&n);
	e->conns = (struct msg_conn_counts){ .alloc_conns = n.alloc,
		.current_conns = n.current,
		.max_conns = n.max };
	e->join = (struct msg_join_leader){ .up_time = l->t->started,
		.port = l->t->conf.port };
	str_copy(e->join.version, sizeof(e->join.version),
	    FDFS_PROTOCOL_VERSION);
	e->n = 0;
	add_other(l, l->t->cluster.leader_at);
	send_off(l, ERRAND_PING);
}

/* --- coming home --------------------------------------------------------- */

static struct elect_view view_of(const struct cluster *c, int i, bool leads,
    int64_t running, int64_t interval)
{
	struct elect_view v = { .leads = leads,
		.running = running,
		.interval = interval,
		.at = c->trackers[i].addrs[0] };

	v.at.port = c->trackers[i].port;
	return v;
}

static void record(struct lead *l, int before)
{
	const struct cluster *c = &l->t->cluster;
	char name[ADDR_TEXT_MAX];
	char text[160];
	struct strbuf b = strbuf_over(text, sizeof(text));

	if (c->leader_at >= 0)
		strbuf_addf(&b, "leader is %s%s",
		    name_of(c, c->leader_at, name, sizeof(name)),
		    c->leader ? ", this tracker" : "");
	else
		strbuf_addf(&b, "leader %s is lost, another is elected",
		    name_of(c, before, name, sizeof(name)));
	log_info("leader", "%s", text);
	persist_event(l->t->persist, "FD-TRK-02",
	    c->leader_at < 0 ? EVENT_WARN : EVENT_INFO, "cluster", text);
}

static void adopt(struct lead *l, int leader)
{
	const int before = l->t->cluster.leader_at;

	l->failures = 0;
	l->next = -1;
	if (cluster_set_leader(&l->t->cluster, leader))
		record(l, before);
	pause_for(l, SECOND);
}

static void asked(struct lead *l)
{
	struct tracker *t = l->t;
	const struct cluster *c = &t->cluster;
	const struct errand *e = &l->errand;
	struct elect_view views[CLUSTER_TRACKERS];
	int index[CLUSTER_TRACKERS];
	size_t n = 1;
	size_t best;

	views[0] =
	    view_of(c, c->self, false, tracker_running(t), tracker_interval(t));
	index[0] = c->self;
	for (size_t i = 0; i < e->n; i++) {
		const struct other *o = &e->others[i];

		if (o->rc != 0)
			continue;
		index[n] = o->index;
		views[n++] = view_of(c, o->index, o->status.is_leader,
		    o->status.running_time, o->status.restart_interval);
	}
	best = elect_best(views, n);
	if (best == 0) {
		l->next = c->self;
		send_tell(l);
	} else if (views[best].leads) {
		adopt(l, index[best]);
	} else {
		pause_at_random(l);
	}
}

static void told(struct lead *l)
{
	const struct cluster *c = &l->t->cluster;

	if (l->errand.rc == 0 && l->next == c->self) {
		adopt(l, c->self);
		return;
	}
	log_info("election_refused", "status=%d next=%d", l->errand.rc,
	    l->next);
	pause_at_random(l);
}

static void take_table(struct lead *l)
{
	struct cluster *c = &l->t->cluster;
	struct span list = { (const char *)l->errand.table, l->errand.table_n };
	struct msg_group_id row;

	while (msg_next(&MSG(group_id), &list, &row) == 1) {
		struct group *g = cluster_group(c, row.group);

		if (g)
			cluster_set_trunk(c, g,
			    group_storage(g, span_of(row.id)));
	}
}

static void pinged(struct lead *l)
{
	struct cluster *c = &l->t->cluster;
	const struct errand *e = &l->errand;
	char name[ADDR_TEXT_MAX];
	unsigned patience;

	if (e->others[0].index != c->leader_at) {
		pause_for(l, SECOND); /* another leads by now */
		return;
	}
	if (e->rc == 0) {
		l->failures = 0;
		take_table(l);
		pause_for(l, SECOND);
		return;
	}
	patience = elect_patience(++l->failures);
	log_warn("leader_silent", "leader=%s failures=%u: %s",
	    name_of(c, c->leader_at, name, sizeof(name)), l->failures,
	    errstr(e->rc > 0 ? -e->rc : e->rc));
	if (patience == 0)
		adopt(l, -1);
	else
		pause_for(l, patience * SECOND);
}

static void errand_done(struct job *job)
{
	struct errand *e = container_of(job, struct errand, job);
	struct lead *l = e->lead;

	l->away = false;
	if (l->t->stopping)
		return;
	if (e->kind != ERRAND_PING && l->t->cluster.leader_at >= 0)
		pause_for(l, SECOND); /* settled by another meanwhile */
	else if (e->kind == ERRAND_ASK)
		asked(l);
	else if (e->kind == ERRAND_TELL)
		told(l);
	else if (e->kind == ERRAND_PING)
		pinged(l);
}

/* --- the clock ----------------------------------------------------------- */

static void on_time(void *arg)
{
	struct lead *l = arg;
	struct cluster *c = &l->t->cluster;

	if (l->t->stopping || l->away || c->self < 0)
		return;
	if (c->leader && l->lined)
		send_off(l, ERRAND_HANG_UP);
	else if (c->leader)
		return;
	else if (c->leader_at >= 0)
		send_ping(l);
	else if (c->n_trackers == 1)
		adopt(l, c->self);
	else
		send_ask(l);
}

/* --- what others say ----------------------------------------------------- */

void lead_learnt(struct lead *l)
{
	const struct cluster *c = &l->t->cluster;

	if (l->awake || c->self < 0)
		return;
	l->awake = true;
	alive_send(l->t);
	if (c->n_trackers == 1)
		adopt(l, c->self);
	else
		pause_for(l, SECOND);
}

bool lead_give_up(struct lead *l, const char *why)
{
	if (!l->t->cluster.leader)
		return false;
	log_warn("leader_given_up", "%s", why);
	adopt(l, -1);
	return true;
}

int lead_notified(struct lead *l, struct span text)
{
	const struct cluster *c = &l->t->cluster;
	const int named = elect_named(c, text);
	const struct elect_verdict v = elect_notified(c, named);

	if (v.act == ELECT_GIVE_UP)
		lead_give_up(l, "another tracker is about to lead");
	else if (v.act == ELECT_REMEMBER)
		l->next = named;
	return v.status;
}

int lead_committed(struct lead *l, struct span text)
{
	const int named = elect_named(&l->t->cluster, text);
	const struct elect_verdict v = elect_committed(named, l->next);

	if (v.act == ELECT_COMMIT)
		adopt(l, named);
	return v.status;
}

/* --- followers ----------------------------------------------------------- */

struct follower *lead_follower(struct lead *l, size_t i)
{
	return &l->followers[i];
}

void lead_follows(struct lead *l, size_t i, const struct session *s)
{
	const struct cluster *c = &l->t->cluster;
	char name[ADDR_TEXT_MAX];

	l->followers[i].session = s;
	log_info("follower_joined", "tracker=%s version=%s",
	    name_of(c, (int)i, name, sizeof(name)), l->followers[i].version);
	persist_event(l->t->persist, "FD-TRK-01", EVENT_INFO, name,
	    "it follows this tracker");
}

void lead_lost(struct lead *l, const struct session *s)
{
	const struct cluster *c = &l->t->cluster;
	const size_t i = (size_t)s->follower - 1;
	char name[ADDR_TEXT_MAX];

	if (l->followers[i].session != s)
		return;
	l->followers[i].session = NULL;
	if (!c->leader || l->t->stopping)
		return;
	log_warn("follower_lost", "tracker=%s",
	    name_of(c, (int)i, name, sizeof(name)));
	persist_event(l->t->persist, "FD-TRK-01", EVENT_WARN, name,
	    "its connection ended, it follows no more");
}

/* --- start and end ------------------------------------------------------- */

int lead_start(struct tracker *t, struct lead **out)
{
	struct lead *l = xcalloc(1, sizeof(*l));

	l->t = t;
	l->next = -1;
	l->seed = (unsigned)clock_mono() ^ (unsigned)t->conf.port;
	l->errand.job.run = errand_run;
	l->errand.job.done = errand_done;
	l->timer = loop_every(t->loop, SECOND, on_time, l);
	if (!l->timer) {
		free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void lead_free(struct lead *l)
{
	if (!l)
		return;
	timer_free(l->timer);
	client_close(l->line);
	free(l);
}
