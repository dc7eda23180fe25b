/* SPDX-License-Identifier: MIT */
/*
 * What storages report: beats, disk usage, progress, states of others, changed
 * addresses (cluster-protocol 1.8 to 1.10, 1.15 to 1.20).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/choose.h"
#include "trackerd/handlers.h"

#define CHANGELOG_PIECE 8182

/* --- beats, space, progress ---------------------------------------------- */

void handle_beat(struct request *rq, const void *in)
{
	const struct msg_beat *m = in;
	struct span list = m->stats;
	struct msg_beat_stats b;
	struct storage *s = rq->joined;

	if (list.n > 0) {
		if (msg_next(&MSG(beat_stats), &list, &b) != 1) {
			reply_status(rq, EINVAL);
			return;
		}
		s->stats = b.stats;
	}
	s->last_beat = rq->now;
	storage_touch(s, DIRTY_LATER);
	cluster_activate(&rq->t->cluster, s, "beat");
	reply_changes(rq);
}

void handle_disk_usage(struct request *rq, const void *in)
{
	const struct msg_disk_usage *m = in;
	struct storage *s = rq->joined;
	const size_t n = (size_t)s->group->path_count;
	struct span list = m->paths;
	struct msg_disk_path p;

	if (rq->body.n != n * MSG(disk_path).fixed_size || n > STORE_PATHS) {
		reply_status(rq, EINVAL);
		return;
	}
	for (size_t i = 0; i < n && msg_next(&MSG(disk_path), &list, &p) == 1;
	     i++) {
		s->path_total_mb[i] = p.total_mb;
		s->path_free_mb[i] = p.free_mb;
	}
	s->n_paths = n;
	cluster_space(s);
	storage_touch(s, DIRTY_LATER);
	cluster_activate(&rq->t->cluster, s, "disk usage");
	choose_best_path(&rq->t->conf, s);
	choose_best_group(&rq->t->cluster, &rq->t->conf);
	reply_changes(rq);
}

/* Combines the accepted entries into last_synced (1.10). */
struct progress {
	int64_t least, most;
	size_t n;
};

static void take_stamp(struct storage *s, const struct msg_sync_stamp *m,
    struct progress *p)
{
	const struct storage *from = group_storage(s->group, span_of(m->id));

	if (m->time <= 0 || !from || from == s || from->status != ST_ACTIVE)
		return;
	if (s->synced_from[from->slot] != m->time) {
		s->synced_from[from->slot] = m->time;
		s->synced_dirty |= BIT(from->slot);
		storage_touch(s, DIRTY_LATER);
	}
	if (p->n == 0 || m->time < p->least)
		p->least = m->time;
	if (p->n == 0 || m->time > p->most)
		p->most = m->time;
	p->n++;
}

void handle_sync_report(struct request *rq, const void *in)
{
	const struct msg_sync_report *m = in;
	struct span list = m->stamps;
	struct storage *s = rq->joined;
	struct progress p = { 0 };
	struct msg_sync_stamp stamp;

	if (list.n % MSG(sync_stamp).fixed_size != 0) {
		reply_status(rq, EINVAL);
		return;
	}
	while (msg_next(&MSG(sync_stamp), &list, &stamp) == 1)
		take_stamp(s, &stamp, &p);
	if (p.n > 0 && rq->t->conf.store_server == SERVER_ROUND_ROBIN)
		s->last_synced = p.least;
	else if (p.n > 0 && p.most > s->last_synced)
		s->last_synced = p.most;
	reply_changes(rq);
}

/* --- states -------------------------------------------------------------- */

void handle_change_status(struct request *rq, const void *in)
{
	const struct msg_one_status *m = in;
	struct storage *s = rq->joined;
	enum storage_status to;

	if (!status_is_known(m->status) || m->status == ST_DELETED ||
	    m->status == ST_IP_CHANGED) {
		reply_status(rq, EINVAL);
		return;
	}
	to = m->status == ST_ONLINE || m->status == ST_ACTIVE
	         ? ST_OFFLINE
	         : (enum storage_status)m->status;
	if (to != ST_OFFLINE ||
	    (s->status != ST_ONLINE && s->status != ST_ACTIVE))
		cluster_enter(&rq->t->cluster, s, to, "its own correction");
	reply_status(rq, 0);
}

/* A member that only others have spoken of. */
static struct storage *make_member(struct request *rq, struct group *g,
    const char *id, int status)
{
	const struct ids_entry *e = ids_by_id(rq->t->ids, span_of(id));
	struct addr a = { 0 };
	struct storage *s;

	if (status != ST_INIT && status != ST_WAIT_SYNC &&
	    status != ST_SYNCING && status != ST_OFFLINE &&
	    status != ST_RECOVERY)
		return NULL;
	if (rq->t->ids ? !e || strcmp(e->group, g->name) != 0
	               : addr_parse_ip(span_of(id), &a) < 0 || a.family != 4)
		return NULL;
	s = group_add_storage(&rq->t->cluster, g, id,
	    (enum storage_status)status, "reported by another");
	if (!s)
		return NULL;
	s->addrs[0] = a;
	s->n_addrs = 1;
	s->port = e ? e->port : g->port;
	if (e) {
		memcpy(s->addrs, e->addrs, sizeof(s->addrs));
		s->n_addrs = e->n_addrs;
		s->rw = e->rw;
	}
	s->path_count = g->path_count;
	s->subdir_count = g->subdir_count;
	return s;
}

static void take_report(struct request *rq, struct group *g, const char *id,
    int status)
{
	struct storage *s = group_storage(g, span_of(id));

	if (s)
		cluster_reported(&rq->t->cluster, s, status,
		    "reported by a member");
	else
		make_member(rq, g, id, status);
}

void handle_report_status(struct request *rq, const void *in)
{
	const struct msg_report_status *m = in;
	struct group *g = want_group(rq, m->group);

	if (!g)
		return;
	take_report(rq, g, m->id, m->status);
	reply_committed(rq, NULL, 0);
}

void handle_replica_chg(struct request *rq, const void *in)
{
	const struct msg_briefs *m = in;
	struct span list = m->members;
	struct msg_brief b;

	if (list.n % MSG(brief).fixed_size != 0) {
		reply_status(rq, EINVAL);
		return;
	}
	while (!rq->t->cluster.leader && msg_next(&MSG(brief), &list, &b) == 1)
		take_report(rq, rq->joined->group, b.id, b.status);
	reply_committed(rq, NULL, 0);
}

/* --- addresses ----------------------------------------------------------- */

static int check_move(const struct request *rq, const struct msg_ip_changed *m,
    struct storage **out, struct addr *to)
{
	const struct group *g = cluster_group(&rq->t->cluster, m->group);
	const struct storage *at;
	struct storage *s;

	if (rq->t->ids)
		return EOPNOTSUPP;
	if (addr_parse_ip(span_of(m->new_ip), to) < 0 || to->family != 4 ||
	    !addr_same_ip(to, rq->peer))
		return EINVAL;
	s = g ? group_storage(g, span_of(m->old_ip)) : NULL;
	if (!s || s->status == ST_DELETED)
		return ENOENT;
	if (s->status == ST_ONLINE || s->status == ST_ACTIVE ||
	    s->status == ST_RECOVERY)
		return EBUSY;
	if (s->status == ST_IP_CHANGED)
		return EALREADY;
	at = group_storage(g, span_of(m->new_ip));
	if (at && (at->status != ST_DELETED || at->session))
		return EEXIST;
	*out = s;
	return 0;
}

void handle_ip_changed(struct request *rq, const void *in)
{
	const struct msg_ip_changed *m = in;
	struct storage *s = NULL;
	struct addr to = { 0 };
	int rc = check_move(rq, m, &s, &to);

	if (rc == 0)
		rc = -cluster_move_storage(&rq->t->cluster, s, &to, rq->now);
	if (rc != 0)
		reply_status(rq, rc);
	else
		reply_committed(rq, NULL, 0);
}

void handle_changelog(struct request *rq, const void *in)
{
	const struct msg_changelog_req *m = in;
	const struct cluster *c = &rq->t->cluster;
	struct storage *s = rq->joined;
	struct span list = m->of;
	struct msg_group_id of;
	const char *from;
	size_t n;

	if (list.n > 0) {
		const struct group *g;

		if (msg_next(&MSG(group_id), &list, &of) != 1) {
			reply_status(rq, EINVAL);
			return;
		}
		g = cluster_group(c, of.group);
		s = g ? group_storage(g, span_of(of.id)) : NULL;
	}
	if (!s) {
		reply_status(rq, list.p == m->of.p ? EINVAL : ENOENT);
		return;
	}
	from = c->changelog + s->changelog_at;
	n = c->changelog_len - s->changelog_at;
	while (n > CHANGELOG_PIECE || (n > 0 && from[n - 1] != '\n'))
		n--;
	if (n > 0) {
		s->changelog_at += n;
		storage_touch(s, DIRTY_LATER);
	}
	reply_bytes(rq, from, n);
}

/* --- trunk server's reports (1.20) --------------------------------------- */

void handle_fetch_trunk_fid(struct request *rq, const void *in)
{
	const struct msg_one_i32 m = { .value = rq->joined->group->trunk_file };

	(void)in;
	reply_msg(rq, &MSG(one_i32), &m);
}

void handle_trunk_fid(struct request *rq, const void *in)
{
	const struct msg_one_i32 *m = in;
	struct group *g = rq->joined->group;

	if (g->trunk_server != rq->joined) {
		reply_status(rq, EINVAL);
		return;
	}
	if (m->value > g->trunk_file)
		g->trunk_file = m->value;
	reply_status(rq, 0);
}

void handle_trunk_free(struct request *rq, const void *in)
{
	const struct msg_one_i64 *m = in;
	struct group *g = rq->joined->group;

	if (g->trunk_server != rq->joined) {
		reply_status(rq, EINVAL);
		return;
	}
	g->trunk_free_mb = m->value;
	choose_best_group(&rq->t->cluster, &rq->t->conf);
	reply_status(rq, 0);
}
