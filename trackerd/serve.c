/* SPDX-License-Identifier: MIT */
/*
 * From a framed request to its handler and back. Checks that are the same for
 * all commands stand here: is it ours, does it need a JOIN, has its body the
 * right length. A tracker answers every error and keeps the connection
 * (client-protocol 1.4).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/handlers.h"
#include "trackerd/lead.h"

#define JOINED NEEDS_JOIN
#define ANYONE NEEDS_NOTHING

static const struct handler_row rows[] = {
	{ CMD_join_leader, ANYONE, 0, 0, handle_join_leader },
	{ CMD_change_status, JOINED, 0, 0, handle_change_status },
	{ CMD_get_my_ip, ANYONE, 0, 0, handle_get_my_ip },
	{ CMD_get_sys_files_start, ANYONE, 0, 0, handle_sys_files_start },
	{ CMD_get_sys_files_end, ANYONE, 0, 0, handle_sys_files_end },
	{ CMD_get_one_sys_file, ANYONE, 0, 0, handle_get_sys_file },
	{ CMD_tracker_get_status, ANYONE, 0, 0, handle_tracker_status },
	{ CMD_ping_leader, ANYONE, 0, 12, handle_ping_leader },
	{ CMD_notify_next_leader, ANYONE, 0, 0, handle_next_leader },
	{ CMD_commit_next_leader, ANYONE, 0, 0, handle_commit_leader },
	{ CMD_notify_reselect_leader, ANYONE, 0, 0, handle_reselect },
	{ CMD_fetch_storage_ids, ANYONE, 0, 0, handle_storage_ids },
	{ CMD_get_server_id, ANYONE, 17, 68, handle_server_id },
	{ CMD_get_storage_status, ANYONE, 17, 68, handle_storage_status },
	{ CMD_fetch_trunk_fid, JOINED, 0, 0, handle_fetch_trunk_fid },
	{ CMD_report_trunk_fid, JOINED, 0, 0, handle_trunk_fid },
	{ CMD_report_trunk_free, JOINED, 0, 0, handle_trunk_free },
	{ CMD_parameter_req, ANYONE, 0, 0, handle_parameters },
	{ CMD_report_status, ANYONE, 0, 0, handle_report_status },
	{ CMD_changelog_req, ANYONE, 0, 0, handle_changelog },
	{ CMD_report_ip_changed, ANYONE, 0, 0, handle_ip_changed },
	{ CMD_sync_dest_query, NEEDS_JOIN_LATER, 0, 0, handle_sync_dest_query },
	{ CMD_join, ANYONE, 145, 1745, handle_join },
	{ CMD_beat, JOINED, 0, 0, handle_beat },
	{ CMD_report_disk_usage, JOINED, 0, 0, handle_disk_usage },
	{ CMD_replica_chg, JOINED, 67, 2144, handle_replica_chg },
	{ CMD_sync_src_req, ANYONE, 0, 0, handle_sync_src_req },
	{ CMD_sync_dest_req, JOINED, 0, 0, handle_sync_dest_req },
	{ CMD_sync_notify, NEEDS_JOIN_LATER, 0, 0, handle_sync_notify },
	{ CMD_sync_report, JOINED, 20, 20480, handle_sync_report },
	{ CMD_list_one_group, ANYONE, 0, 0, handle_list_group },
	{ CMD_list_all_groups, ANYONE, 0, 0, handle_list_groups },
	{ CMD_list_storage, ANYONE, 16, 31, handle_list_storages },
	{ CMD_delete_storage, ANYONE, 17, 31, handle_delete_storage },
	{ CMD_set_trunk_server, ANYONE, 16, 31, handle_set_trunk },
	{ CMD_get_leader, ANYONE, 0, 0, handle_get_leader },
	{ CMD_tracker_cluster_stat, ANYONE, 0, 0, handle_tracker_stat },
	{ CMD_storage_cluster_stat, ANYONE, 0, 0, handle_storage_stat },
	{ CMD_storage_volume_stat, ANYONE, 0, 0, handle_volume_stat },
	{ CMD_query_store_one, ANYONE, 0, 0, handle_store_one },
	{ CMD_query_fetch_one, ANYONE, 38, 143, handle_fetch_one },
	{ CMD_query_update, ANYONE, 38, 143, handle_update },
	{ CMD_query_store_group_one, ANYONE, 0, 0, handle_store_group_one },
	{ CMD_query_fetch_all, ANYONE, 38, 143, handle_fetch_all },
	{ CMD_query_store_all, ANYONE, 0, 0, handle_store_all },
	{ CMD_query_store_group_all, ANYONE, 0, 0, handle_store_group_all },
	{ CMD_delete_group, ANYONE, 0, 0, handle_delete_group },
	{ CMD_get_group_name, NEEDS_IDS, 4, 128, handle_group_name },
	{ CMD_active_test, ANYONE, 0, 0, handle_active_test },
};

const struct handler_row *handler_find(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

/* --- answering ----------------------------------------------------------- */

void reply_status(struct request *rq, int status)
{
	rq->t->errors += status != 0;
	conn_reply(rq->c, status, NULL, 0);
}

void reply_rc(struct request *rq, int rc)
{
	reply_status(rq, rc < 0 ? -rc : 0);
}

void reply_bytes(struct request *rq, const void *p, size_t n)
{
	conn_reply(rq->c, 0, p, n);
}

void reply_text(struct request *rq, const char *text)
{
	reply_bytes(rq, text, strlen(text));
}

void reply_msg(struct request *rq, const struct message *m, const void *in)
{
	out_msg(out_start(rq), m, in);
	reply_out(rq);
}

void reply_committed(struct request *rq, const void *body, size_t n)
{
	persist_reply(rq->t->persist, rq->c, body, n);
}

struct out *out_start(struct request *rq)
{
	rq->t->out.n = 0;
	return &rq->t->out;
}

static void out_room(struct out *o, size_t n)
{
	if (o->n + n <= o->cap)
		return;
	o->cap = size_max(2 * o->cap, o->n + n);
	o->p = xrealloc(o->p, o->cap, 1);
}

void out_bytes(struct out *o, const void *p, size_t n)
{
	out_room(o, n);
	if (n > 0)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

void out_number(struct out *o, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	out_bytes(o, b, width);
}

void out_msg(struct out *o, const struct message *m, const void *in)
{
	ssize_t n;

	out_room(o, m->fixed_size + 4096);
	n = msg_encode(m, in, o->p + o->n, o->cap - o->n);
	assert(n >= 0);
	o->n += (size_t)n;
}

void reply_out(struct request *rq)
{
	reply_bytes(rq, rq->t->out.p, rq->t->out.n);
}

/* --- what several handlers need ------------------------------------------ */

struct group *want_group(struct request *rq, const char *name)
{
	struct group *g = cluster_group(&rq->t->cluster, name);

	if (!g)
		reply_status(rq, ENOENT);
	return g;
}

const char *storage_ip(const struct request *rq, const struct storage *s,
    char *buf, size_t cap)
{
	return addr_ip(addr_for_peer(s->addrs, s->n_addrs, rq->peer), buf, cap);
}

static bool tracker_address(const struct request *rq, int i, struct addr *out)
{
	const struct tracker_name *t;

	if (i < 0)
		return false;
	t = &rq->t->cluster.trackers[i];
	*out = *addr_for_peer(t->addrs, t->n_addrs, rq->peer);
	out->port = t->port;
	return true;
}

bool own_address(const struct request *rq, struct addr *out)
{
	return tracker_address(rq, rq->t->cluster.self, out);
}

bool leader_address(const struct request *rq, struct addr *out)
{
	return tracker_address(rq, rq->t->cluster.leader_at, out);
}

struct span text_field(struct span s)
{
	s.n = s.n > 0 ? strnlen(s.p, s.n) : 0;
	return s;
}

void storage_subject(const struct storage *s, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);

	strbuf_addf(&b, "%s/%s", s->group->name, s->id);
}

void handle_active_test(struct request *rq, const void *in)
{
	(void)in;
	reply_status(rq, 0);
}

/* --- the hub's callbacks ------------------------------------------------- */

/* Any request message of ours; spans point into the body. */
union decoded {
#define DECODED(name, alt) struct msg_##name name;
	MSG_ALL(DECODED)
#undef DECODED
};

static int lacks(const struct tracker *t, const struct storage *joined,
    enum handler_needs needs)
{
	if (needs == NEEDS_JOIN || needs == NEEDS_JOIN_LATER)
		return joined ? 0 : EACCES;
	return needs == NEEDS_IDS && !t->ids ? EOPNOTSUPP : 0;
}

static int decode(const struct handler_row *row, const struct framer *f,
    union decoded *in)
{
	const size_t n = f->held.n;

	if (!f->cmd || (row->max != 0 && (n < row->min || n > row->max)) ||
	    msg_decode(f->cmd->request, f->held.p, n, in, NULL) < 0)
		return EINVAL;
	return 0;
}

static void dispatch(struct request *rq, const struct framer *f)
{
	const struct handler_row *row = handler_find(f->header.command);
	union decoded in;
	int status = EINVAL;

	if (row && row->needs == NEEDS_JOIN_LATER) {
		status = decode(row, f, &in);
		if (status == 0)
			status = lacks(rq->t, rq->joined, row->needs);
	} else if (row) {
		status = lacks(rq->t, rq->joined, row->needs);
		if (status == 0)
			status = decode(row, f, &in);
	}
	if (status != 0)
		reply_status(rq, status);
	else
		row->run(rq, &in);
}

static void on_request(struct conn *c, const struct framer *f)
{
	struct tracker *t = hub_arg(conn_hub(c));
	struct session *session = conn_data(c);
	struct request rq = { .t = t,
		.c = c,
		.session = session,
		.joined = session->joined,
		.peer = conn_peer(c),
		.body = f->held,
		.now = clock_wall_sec() };

	t->requests++;
	if (f->cmd && f->header.command == CMD_quit) {
		conn_close(c);
		return;
	}
	dispatch(&rq, f);
}

/* A body that cannot be right does not hide what the command lacks. */
static int on_refused(struct conn *c, const struct framer *f)
{
	struct tracker *t = hub_arg(conn_hub(c));
	const struct session *session = conn_data(c);
	const struct handler_row *row = handler_find(f->header.command);
	int status = 0;

	t->requests++;
	t->errors++;
	if (row && row->needs != NEEDS_JOIN_LATER)
		status = lacks(t, session->joined, row->needs);
	return status ? status : EINVAL;
}

/* Closing a joined connection is how a storage says good-bye (2.3). */
static void on_closed(struct conn *c)
{
	struct tracker *t = hub_arg(conn_hub(c));
	struct session *session = conn_data(c);
	struct storage *s = session->joined;

	if (session->follower)
		lead_lost(t->lead, session);
	sysfiles_release(t, session);
	session->joined = NULL;
	if (!s || s->session != session)
		return;
	s->session = NULL;
	persist_quiet(t->persist, t->stopping);
	cluster_lost(&t->cluster, s,
	    t->stopping ? "tracker stopped" : "connection closed");
	persist_quiet(t->persist, false);
}

const struct conn_app tracker_app = {
	.request = on_request,
	.refusal = on_refused,
	.closed = on_closed,
};
