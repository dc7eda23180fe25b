/* SPDX-License-Identifier: MIT */
/*
 * Lists for people and tools: 90, 91, 92, 96, 97, 98 (client-protocol 3.6,
 * 3.7, 3.12, 3.13).
 */
#include <errno.h>
#include <string.h>

#include "base/daemon.h"
#include "base/macros.h"
#include "trackerd/choose.h"
#include "trackerd/handlers.h"
#include "trackerd/lead.h"

#define HOST_FIELD 52

/* --- groups -------------------------------------------------------------- */

static void put_group(const struct request *rq, struct out *o,
    const struct group *g)
{
	const struct tracker_conf *cf = &rq->t->conf;
	struct msg_group_record r = { .total_mb = g->total_mb,
		.free_mb = g->free_mb,
		.reserved_mb = cf_reserved_mb(cf, g->total_mb),
		.trunk_free_mb = g->trunk_free_mb,
		.storage_count = (int64_t)g->n,
		.storage_port = g->port,
		.readable_count = (int64_t)group_readable(g),
		.writable_count = (int64_t)group_writable(g),
		.current_write_server = (int64_t)g->write_server,
		.store_path_count = g->path_count,
		.subdir_count_per_path = g->subdir_count,
		.current_trunk_file_id = cf->trunk.use ? g->trunk_file : -1 };

	str_copy(r.name, sizeof(r.name), g->name);
	out_msg(o, &MSG(group_record), &r);
}

void handle_list_group(struct request *rq, const void *in)
{
	const struct msg_group_name *m = in;
	const struct group *g = want_group(rq, m->group);

	if (!g)
		return;
	put_group(rq, out_start(rq), g);
	reply_out(rq);
}

void handle_list_groups(struct request *rq, const void *in)
{
	const struct cluster *c = &rq->t->cluster;
	struct out *o = out_start(rq);

	(void)in;
	for (size_t i = 0; i < c->n; i++)
		put_group(rq, o, c->groups[i]);
	reply_out(rq);
}

/* --- storages ------------------------------------------------------------ */

/* Fields of both dialects but the address. */
#define FILL_STORAGE(r, rq, s)                                            \
	do {                                                              \
		(r).status = (uint8_t)(s)->status;                        \
		(r).rw_mode = (uint8_t)(s)->rw;                           \
		str_copy((r).id, sizeof((r).id), (s)->id);                \
		str_copy((r).src_id, sizeof((r).src_id),                  \
		    (s)->source ? (s)->source->id : "");                  \
		str_copy((r).version, sizeof((r).version), (s)->version); \
		(r).join_time = (s)->join_time;                           \
		(r).up_time = (s)->up_time;                               \
		(r).total_mb = (s)->total_mb;                             \
		(r).free_mb = (s)->free_mb;                               \
		(r).reserved_mb =                                         \
		    cf_reserved_mb(&(rq)->t->conf, (s)->total_mb);        \
		(r).upload_priority = (s)->priority;                      \
		(r).store_path_count = (s)->path_count;                   \
		(r).subdir_count_per_path = (s)->subdir_count;            \
		(r).current_write_path = (s)->write_path;                 \
		(r).storage_port = (s)->port;                             \
		(r).stats = (s)->stats;                                   \
		(r).stats.last_synced_timestamp = (s)->last_synced;       \
		(r).stats.last_heart_beat_time = (s)->last_beat;          \
		(r).is_trunk_server = (s)->group->trunk_server == (s);    \
	} while (0)

static void put_storage(const struct request *rq, struct out *o,
    const struct storage *s)
{
	char ip[ADDR_IP_MAX];

	storage_ip(rq, s, ip, sizeof(ip));
	if (rq->t->ip_width == 46) {
		struct msg_storage_record46 r = { 0 };

		FILL_STORAGE(r, rq, s);
		str_copy(r.ip, sizeof(r.ip), ip);
		out_msg(o, &MSG(storage_record46), &r);
	} else {
		struct msg_storage_record r = { 0 };

		FILL_STORAGE(r, rq, s);
		str_copy(r.ip, sizeof(r.ip), ip);
		out_msg(o, &MSG(storage_record), &r);
	}
}

void handle_list_storages(struct request *rq, const void *in)
{
	const struct msg_group_and_id *m = in;
	const struct group *g = want_group(rq, m->group);
	const struct span id = text_field(m->id);
	const struct storage *one;
	struct out *o;

	if (!g)
		return;
	o = out_start(rq);
	if (m->id.n > 0) {
		one = group_storage(g, id);
		if (!one) {
			reply_status(rq, ENOENT);
			return;
		}
		put_storage(rq, o, one);
	}
	for (size_t i = 0; m->id.n == 0 && i < g->n; i++)
		put_storage(rq, o, g->storages[i]);
	reply_out(rq);
}

/* --- states of the cluster ----------------------------------------------- */

enum { BY_TRUNK = 1, BY_STATUS = 2 };

static bool storage_wanted(const struct request *rq,
    const struct msg_storage_filter *m, const struct storage *s)
{
	const bool trunk = s->group->trunk_server == s;
	const bool same = (uint8_t)s->status == m->status;

	if ((m->filter & BY_TRUNK) && rq->t->conf.trunk.use &&
	    trunk != (m->is_trunk_server != 0))
		return false;
	if (!(m->filter & BY_STATUS))
		return true;
	return (m->op == '=' && same) || (m->op == '!' && !same);
}

static void put_storage_stat(const struct request *rq, struct out *o,
    const struct storage *s)
{
	struct msg_storage_stat_record r = { .status = (uint8_t)s->status,
		.is_trunk_server = s->group->trunk_server == s,
		.alloc_conns = s->stats.alloc_conns,
		.current_conns = s->stats.current_conns,
		.max_conns = s->stats.max_conns,
		.up_time = s->up_time,
		.last_heart_beat_time = s->last_beat };
	struct addr a = *addr_for_peer(s->addrs, s->n_addrs, rq->peer);
	char text[ADDR_TEXT_MAX];

	a.port = (uint16_t)s->port;
	str_copy(r.id, sizeof(r.id), s->id);
	str_copy(r.address, HOST_FIELD, addr_text(&a, text, sizeof(text)));
	str_copy(r.version, sizeof(r.version), s->version);
	out_msg(o, &MSG(storage_stat_record), &r);
}

static void set_count(struct out *o, size_t at, size_t count)
{
	for (size_t i = 0; i < 4; i++)
		o->p[at + i] = (uint8_t)(count >> (8 * (3 - i)));
}

void handle_storage_stat(struct request *rq, const void *in)
{
	const struct msg_storage_filter *m = in;
	const struct cluster *c = &rq->t->cluster;
	struct out *o = out_start(rq);
	size_t count = 0;

	out_number(o, rq->t->conf.use_storage_id, 1);
	out_number(o, rq->t->conf.trunk.use, 1);
	out_number(o, 0, 4);
	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];

		for (size_t k = 0; k < g->n; k++) {
			if (!storage_wanted(rq, m, g->storages[k]))
				continue;
			put_storage_stat(rq, o, g->storages[k]);
			count++;
		}
	}
	set_count(o, 2, count);
	reply_out(rq);
}

enum { BY_DISK = 1, BY_TRUNK_SPACE = 2, BY_EITHER = 4 };

/* What is wanted is 0 or 1; any other number matches nothing. */
static bool volume_wanted(const struct tracker_conf *cf,
    const struct msg_volume_filter *m, bool disk, bool trunk)
{
	if ((m->filter & BY_DISK) && disk != m->disk)
		return false;
	if ((m->filter & BY_TRUNK_SPACE) && cf->trunk.use && trunk != m->trunk)
		return false;
	return !(m->filter & BY_EITHER) || (disk || trunk) == m->either;
}

void handle_volume_stat(struct request *rq, const void *in)
{
	const struct msg_volume_filter *m = in;
	const struct tracker_conf *cf = &rq->t->conf;
	const struct cluster *c = &rq->t->cluster;
	struct out *o = out_start(rq);
	size_t count = 0;

	out_number(o, cf->trunk.use, 1);
	out_number(o, 0, 4);
	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];
		const bool disk = choose_has_space(cf, g, false);
		const bool trunk =
		    cf->trunk.use && choose_has_space(cf, g, true);
		struct msg_volume_record r = { .total_mb = g->total_mb,
			.free_mb = g->free_mb,
			.reserved_mb = cf_reserved_mb(cf, g->total_mb),
			.trunk_free_mb = g->trunk_free_mb,
			.disk_available = disk,
			.trunk_available = trunk };

		if (!volume_wanted(cf, m, disk, trunk))
			continue;
		if (disk && r.free_mb > r.reserved_mb)
			r.available_mb = r.free_mb - r.reserved_mb;
		str_copy(r.group, sizeof(r.group), g->name);
		out_msg(o, &MSG(volume_record), &r);
		count++;
	}
	set_count(o, 1, count);
	reply_out(rq);
}

/* --- trackers ------------------------------------------------------------ */

#define HEARD_SECONDS 3 /* a follower pings every second */

enum { BY_ACTIVE = 1, BY_LEADER = 2 };

/* The leader's own record. */
static void fill_self(const struct request *rq, struct msg_tracker_record *r)
{
	struct conn_counts n;

	conn_counts_get(&n);
	r->is_leader = 1;
	r->is_active = 1;
	r->alloc_conns = n.alloc;
	r->current_conns = n.current;
	r->max_conns = n.max;
	r->up_time = rq->t->started;
	str_copy(r->version, sizeof(r->version), FDFS_PROTOCOL_VERSION);
}

static void fill_follower(const struct request *rq, size_t i,
    struct msg_tracker_record *r)
{
	const struct follower *f = lead_follower(rq->t->lead, i);

	r->is_active = f->session && rq->now - f->last_ping <= HEARD_SECONDS;
	r->alloc_conns = f->conns.alloc_conns;
	r->current_conns = f->conns.current_conns;
	r->max_conns = f->conns.max_conns;
	r->up_time = f->up_time;
	r->last_heart_beat_time = f->last_ping;
	str_copy(r->version, sizeof(r->version), f->version);
}

static bool put_tracker(const struct request *rq,
    const struct msg_tracker_filter *m, struct out *o, size_t i)
{
	const struct tracker_name *t = &rq->t->cluster.trackers[i];
	struct msg_tracker_record r = { 0 };
	struct addr a = t->addrs[0];
	char text[ADDR_TEXT_MAX];

	if ((int)i == rq->t->cluster.self)
		fill_self(rq, &r);
	else
		fill_follower(rq, i, &r);
	if (((m->filter & BY_ACTIVE) && r.is_active != m->is_active) ||
	    ((m->filter & BY_LEADER) && r.is_leader != m->is_leader))
		return false;
	a.port = t->port;
	str_copy(r.address, HOST_FIELD, addr_text(&a, text, sizeof(text)));
	out_msg(o, &MSG(tracker_record), &r);
	return true;
}

void handle_tracker_stat(struct request *rq, const void *in)
{
	const struct msg_tracker_filter *m = in;
	const struct cluster *c = &rq->t->cluster;
	struct out *o = out_start(rq);
	uint8_t count = 0;

	if (!c->leader) {
		reply_status(rq, EOPNOTSUPP);
		return;
	}
	out_number(o, 0, 1);
	for (size_t i = 0; i < c->n_trackers; i++)
		count += put_tracker(rq, m, o, i);
	o->p[0] = count;
	reply_out(rq);
}
