/* SPDX-License-Identifier: MIT */
/*
 * Who fills a new member, and up to which moment: commands 79, 86, 87, 88
 * (cluster-protocol 1.11 to 1.14).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/handlers.h"

static void put_source(struct request *rq, const struct storage *s)
{
	struct msg_sync_source m = { .until = s->sync_until };

	if (!s->source)
		return;
	str_copy(m.id, sizeof(m.id), s->source->id);
	out_msg(&rq->t->out, &MSG(sync_source), &m);
}

void handle_sync_dest_query(struct request *rq, const void *in)
{
	(void)in;
	out_start(rq);
	put_source(rq, rq->joined);
	reply_out(rq);
}

static bool has_others(const struct storage *s)
{
	const struct group *g = s->group;

	for (size_t i = 0; i < g->n; i++) {
		const struct storage *m = g->storages[i];

		if (m != s &&
		    (m->status == ST_OFFLINE || m->status == ST_ONLINE ||
		        m->status == ST_ACTIVE))
			return true;
	}
	return false;
}

static struct storage *find_source(const struct storage *s)
{
	const struct group *g = s->group;

	for (size_t i = 0; i < g->n; i++)
		if (g->storages[i] != s && storage_writable(g->storages[i]))
			return g->storages[i];
	return NULL;
}

void handle_sync_dest_req(struct request *rq, const void *in)
{
	struct cluster *c = &rq->t->cluster;
	struct storage *s = rq->joined;
	struct storage *source = find_source(s);

	(void)in;
	if (!has_others(s)) {
		cluster_enter(c, s, ST_ONLINE, "nobody to be filled from");
		group_bump(s->group);
		reply_committed(rq, NULL, 0);
		return;
	}
	if (!source) {
		log_info("no_sync_source", "group=%s storage=%s: it asks again",
		    s->group->name, s->id);
		reply_status(rq, ENOENT);
		return;
	}
	s->source = source;
	s->sync_until = rq->now;
	storage_touch(s, DIRTY_SOON);
	cluster_enter(c, s, ST_WAIT_SYNC, "source assigned");
	group_bump(s->group);
	out_start(rq);
	put_source(rq, s);
	reply_committed(rq, rq->t->out.p, rq->t->out.n);
}

static void notify_without_source(struct request *rq, struct storage *s)
{
	if (s->status == ST_INIT || s->status == ST_WAIT_SYNC ||
	    s->status == ST_SYNCING) {
		cluster_enter(&rq->t->cluster, s, ST_ONLINE, "needs no source");
		group_bump(s->group);
	}
	reply_status(rq, 0);
}

void handle_sync_notify(struct request *rq, const void *in)
{
	const struct msg_sync_source *m = in;
	struct storage *s = rq->joined;
	struct storage *source;

	if (!m->id[0]) {
		notify_without_source(rq, s);
		return;
	}
	if (s->status == ST_INIT) {
		cluster_enter(&rq->t->cluster, s, ST_WAIT_SYNC, "has a source");
		group_bump(s->group);
	}
	if (!s->source) {
		source = group_storage(s->group, span_of(m->id));
		if (!source || storage_is_tombstone(source)) {
			reply_status(rq, ENOENT);
			return;
		}
		s->source = source;
		s->sync_until = m->until;
		storage_touch(s, DIRTY_SOON);
	}
	reply_status(rq, 0);
}

void handle_sync_src_req(struct request *rq, const void *in)
{
	const struct msg_group_id *m = in;
	const struct group *g = cluster_group(&rq->t->cluster, m->group);
	struct storage *s = g ? group_storage(g, span_of(m->id)) : NULL;

	if (!s || s->status == ST_INIT || storage_is_tombstone(s)) {
		reply_status(rq, ENOENT);
		return;
	}
	if (s->source && s->source->status != ST_OFFLINE &&
	    s->source->status != ST_ONLINE && s->source->status != ST_ACTIVE &&
	    s->source->status != ST_RECOVERY) {
		s->source = NULL;
		s->sync_until = 0;
		storage_touch(s, DIRTY_SOON);
	}
	out_start(rq);
	put_source(rq, s);
	reply_out(rq);
}
