/* SPDX-License-Identifier: MIT */
/*
 * What a storage is told in the reply to BEAT, DISK_USAGE and SYNC_REPORT
 * (cluster-protocol 1.7): only what it has not been told yet, and only by the
 * leader.
 */
#include <string.h>

#include "base/macros.h"
#include "trackerd/handlers.h"

enum change_flag { CHANGE_LEADER = 1, CHANGE_TRUNK = 2, CHANGE_MEMBERS = 4 };

static void put_leader(const struct request *rq, struct out *o)
{
	struct msg_brief b = { 0 };
	struct addr me;
	char ip[ADDR_IP_MAX];

	if (own_address(rq, &me)) {
		addr_ip(&me, ip, sizeof(ip));
		str_copy(b.ip, sizeof(b.ip), ip);
		str_copy(b.id, STORAGE_ID_SIZE, ip); /* cut to 15 */
		b.port = me.port;
	}
	out_msg(o, &MSG(brief), &b);
}

static void put_storage(const struct request *rq, struct out *o,
    const struct storage *s)
{
	struct msg_brief b = { 0 };
	char ip[ADDR_IP_MAX];

	if (s) {
		b.status = (uint8_t)s->status;
		b.port = s->status == ST_IP_CHANGED ? 0 : (int32_t)s->port;
		str_copy(b.id, sizeof(b.id), s->id);
		str_copy(b.ip, sizeof(b.ip), storage_ip(rq, s, ip, sizeof(ip)));
	}
	out_msg(o, &MSG(brief), &b);
}

void reply_changes(struct request *rq)
{
	const struct cluster *c = &rq->t->cluster;
	struct storage *s = rq->joined;
	const struct group *g = s->group;
	struct out *o = out_start(rq);
	unsigned flags = 0;

	if (c->leader && rq->session->told_leader != c->leader_changes)
		flags |= CHANGE_LEADER;
	if (c->leader && s->told_trunk != g->trunk_changes)
		flags |= CHANGE_TRUNK;
	if (c->leader && s->told_members != g->member_changes)
		flags |= CHANGE_MEMBERS;
	out_number(o, flags, 1);
	if (flags & CHANGE_LEADER) {
		put_leader(rq, o);
		rq->session->told_leader = c->leader_changes;
	}
	if (flags & CHANGE_TRUNK) {
		put_storage(rq, o, g->trunk_server);
		s->told_trunk = g->trunk_changes;
	}
	for (size_t i = 0; (flags & CHANGE_MEMBERS) && i < g->n; i++)
		put_storage(rq, o, g->storages[i]);
	if (flags & CHANGE_MEMBERS)
		s->told_members = g->member_changes;
	reply_out(rq);
}
