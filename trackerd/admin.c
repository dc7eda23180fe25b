/* SPDX-License-Identifier: MIT */
/*
 * What people do to the cluster, and who leads it: 64, 68, 93, 94, 95, 108
 * (client-protocol 3.8 to 3.11, 3.14; cluster-protocol 4.2, 4.7).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/choose.h"
#include "trackerd/handlers.h"

#define STATUS_STEP 300 /* seconds; ages are told in these steps */

void handle_delete_storage(struct request *rq, const void *in)
{
	const struct msg_group_and_id *m = in;
	struct group *g = want_group(rq, m->group);
	struct storage *s;
	int rc;

	if (!g)
		return;
	s = group_storage(g, text_field(m->id));
	rc = s ? cluster_delete_storage(&rq->t->cluster, s, rq->now) : -ENOENT;
	if (rc < 0) {
		reply_rc(rq, rc);
		return;
	}
	log_info("storage_deleted", "client=%s group=%s storage=%s",
	    conn_peer_ip(rq->c), g->name, s->id);
	reply_committed(rq, NULL, 0);
}

void handle_delete_group(struct request *rq, const void *in)
{
	const struct msg_group_name *m = in;
	const int rc = cluster_delete_group(&rq->t->cluster, m->group);

	if (rc < 0) {
		reply_rc(rq, rc);
		return;
	}
	log_info("group_deleted", "client=%s group=%s", conn_peer_ip(rq->c),
	    m->group);
	persist_event(rq->t->persist, "FD-STATE-01", EVENT_INFO, m->group,
	    "the group was deleted by request");
	reply_committed(rq, NULL, 0);
}

/* --- trunk server -------------------------------------------------------- */

static int pick_trunk(struct request *rq, struct group *g, struct span id)
{
	struct storage *now = g->trunk_server;
	struct storage *s;

	if (id.n == 0) {
		if (now && now->status == ST_ACTIVE)
			return 0;
		s = choose_store_server(&rq->t->conf, g);
		if (!s)
			return ENOENT;
		cluster_set_trunk(&rq->t->cluster, g, s);
		return 0;
	}
	if (now && now->status == ST_ACTIVE)
		return span_eq(id, now->id) ? EALREADY : EEXIST;
	s = group_storage(g, id);
	if (!s)
		return ENOENT;
	if (s->status != ST_ACTIVE)
		return ENONET;
	if (!storage_writable(s))
		return EACCES;
	cluster_set_trunk(&rq->t->cluster, g, s);
	return 0;
}

void handle_set_trunk(struct request *rq, const void *in)
{
	const struct msg_group_and_id *m = in;
	struct group *g = want_group(rq, m->group);
	int rc;

	if (!g)
		return;
	if (!rq->t->conf.trunk.use || !rq->t->cluster.leader) {
		reply_status(rq, EOPNOTSUPP);
		return;
	}
	rc = pick_trunk(rq, g, text_field(m->id));
	if (rc != 0)
		reply_status(rq, rc);
	else
		reply_bytes(rq, g->trunk_server->id,
		    strlen(g->trunk_server->id) + 1);
}

/* --- leader -------------------------------------------------------------- */

void handle_get_leader(struct request *rq, const void *in)
{
	struct addr me;
	char text[ADDR_TEXT_MAX];

	(void)in;
	if (!rq->t->cluster.leader || !own_address(rq, &me))
		reply_status(rq, ENOENT);
	else
		reply_text(rq, addr_text(&me, text, sizeof(text)));
}

static int64_t in_steps(int64_t seconds)
{
	return seconds <= 0 ? 0 : seconds - seconds % STATUS_STEP;
}

void handle_tracker_status(struct request *rq, const void *in)
{
	const struct tracker *t = rq->t;
	const struct msg_tracker_status m = { .is_leader = t->cluster.leader,
		.running_time = in_steps(rq->now - t->started),
		.restart_interval =
		    t->last_alive ? in_steps(t->started - t->last_alive) : 0 };

	(void)in;
	if (t->cluster.n == 0)
		reply_status(rq, ENOENT);
	else
		reply_msg(rq, &MSG(tracker_status), &m);
}

/* A lone tracker that gives up leading is elected again a second later. */
void handle_reselect(struct request *rq, const void *in)
{
	struct tracker *t = rq->t;

	(void)in;
	if (!t->cluster.leader) {
		reply_status(rq, EOPNOTSUPP);
		return;
	}
	log_warn("leader_given_up", "client=%s: a storage hears two leaders",
	    conn_peer_ip(rq->c));
	cluster_lead(&t->cluster, false);
	t->elect_at = rq->now + 1;
	reply_status(rq, 0);
}
