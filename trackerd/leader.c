/* SPDX-License-Identifier: MIT */
/*
 * What other trackers ask and say: 58, 64 to 68 (cluster-protocol 4.2 to 4.5,
 * 4.7), and who leads, for everyone: 95 (client-protocol 3.11).
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "trackerd/elect.h"
#include "trackerd/handlers.h"
#include "trackerd/lead.h"

void handle_get_leader(struct request *rq, const void *in)
{
	struct addr leader;
	char text[ADDR_TEXT_MAX];

	(void)in;
	if (!leader_address(rq, &leader))
		reply_status(rq, ENOENT);
	else
		reply_text(rq, addr_text(&leader, text, sizeof(text)));
}

int64_t tracker_running(const struct tracker *t)
{
	return elect_steps(clock_wall_sec() - t->started);
}

int64_t tracker_interval(const struct tracker *t)
{
	return t->last_alive ? elect_steps(t->started - t->last_alive) : 0;
}

void handle_tracker_status(struct request *rq, const void *in)
{
	const struct tracker *t = rq->t;
	const struct msg_tracker_status m = { .is_leader = t->cluster.leader,
		.running_time = tracker_running(t),
		.restart_interval = tracker_interval(t) };

	(void)in;
	if (t->cluster.n == 0)
		reply_status(rq, ENOENT);
	else
		reply_msg(rq, &MSG(tracker_status), &m);
}

/* --- followers ----------------------------------------------------------- */

static int check_follower(struct request *rq, const struct msg_join_leader *m)
{
	const struct cluster *c = &rq->t->cluster;
	const struct tracker_name name = { .addrs = { *rq->peer },
		.n_addrs = 1,
		.port = (uint16_t)m->port };

	if (!c->leader)
		return -EOPNOTSUPP;
	if (rq->session->follower)
		return -EEXIST;
	if (m->port <= 0 || m->port > UINT16_MAX)
		return -ENOENT;
	return cluster_find_tracker(c, &name);
}

void handle_join_leader(struct request *rq, const void *in)
{
	const struct msg_join_leader *m = in;
	const int who = check_follower(rq, m);
	struct follower *f;

	if (who < 0) {
		log_warn("follower_refused", "client=%s port=%lld: %s",
		    conn_peer_ip(rq->c), (long long)m->port,
		    who == -ENOENT ? "no storage has this tracker in its "
		                     "tracker_server with that address and port"
		                   : errstr(who));
		reply_rc(rq, who);
		return;
	}
	f = lead_follower(rq->t->lead, (size_t)who);
	f->up_time = m->up_time;
	f->last_ping = rq->now;
	str_copy(f->version, sizeof(f->version), m->version);
	rq->session->follower = who + 1;
	conn_keep(rq->c);
	lead_follows(rq->t->lead, (size_t)who, rq->session);
	reply_status(rq, 0);
}

/* The trunk server of each group, if this connection does not know it yet. */
static void answer_ping(struct request *rq)
{
	const struct cluster *c = &rq->t->cluster;
	struct out *o = out_start(rq);

	if (rq->session->told_trunks != c->trunk_changes) {
		for (size_t i = 0; i < c->n; i++) {
			const struct group *g = c->groups[i];
			struct msg_group_id row = { 0 };

			str_copy(row.group, sizeof(row.group), g->name);
			if (g->trunk_server)
				str_copy(row.id, sizeof(row.id),
				    g->trunk_server->id);
			out_msg(o, &MSG(group_id), &row);
		}
		rq->session->told_trunks = c->trunk_changes;
	}
	reply_out(rq);
}

/* Trackers older than 6.15.5 send no counts and never join (6.4). */
void handle_ping_leader(struct request *rq, const void *in)
{
	const struct msg_ping_leader *m = in;
	struct span list = m->conns;
	const struct session *s = rq->session;
	struct follower *f;

	if (list.n != 0 && list.n != MSG(conn_counts).fixed_size) {
		reply_status(rq, EINVAL);
		return;
	}
	if (!rq->t->cluster.leader) {
		reply_status(rq, EOPNOTSUPP);
		return;
	}
	if (list.n > 0) {
		if (!s->follower) {
			reply_status(rq, EINVAL);
			return;
		}
		f = lead_follower(rq->t->lead, (size_t)s->follower - 1);
		(void)msg_next(&MSG(conn_counts), &list, &f->conns);
		f->last_ping = rq->now;
	}
	answer_ping(rq);
}

/* --- election ------------------------------------------------------------ */

void handle_next_leader(struct request *rq, const void *in)
{
	const struct msg_text *m = in;

	reply_status(rq, lead_notified(rq->t->lead, m->text));
}

void handle_commit_leader(struct request *rq, const void *in)
{
	const struct msg_text *m = in;

	reply_status(rq, lead_committed(rq->t->lead, m->text));
}

void handle_reselect(struct request *rq, const void *in)
{
	(void)in;
	if (lead_give_up(rq->t->lead, "a storage hears two leaders"))
		reply_status(rq, 0);
	else
		reply_status(rq, EOPNOTSUPP);
}
