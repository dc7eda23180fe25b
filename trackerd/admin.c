/* SPDX-License-Identifier: MIT */
/*
 * What people do to the cluster: 93, 94, 108 (client-protocol 3.8 to 3.10).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/choose.h"
#include "trackerd/handlers.h"

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
