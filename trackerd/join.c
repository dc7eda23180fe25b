/* SPDX-License-Identifier: MIT */
/*
 * JOIN (cluster-protocol 1.6): everything is checked before anything changes.
 * A new storage or group is committed before it is told so.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/bootstrap.h"
#include "trackerd/handlers.h"
#include "trackerd/lead.h"

#define TRACKER_LINE_MAX 100
#define COUNT_MAX        256
#define HELD             (-1) /* no answer yet; no status is negative */

/* Who joins, as found by the checks. */
struct joiner {
	const struct msg_join *m;
	struct group *group; /* NULL: new */
	struct storage *storage;
	const struct ids_entry *entry; /* with storage ids */
	char id[STORAGE_ID_SIZE + 1];
	struct addr addrs[2];
	size_t n_addrs;
	int first_status;                       /* of a new storage */
	int64_t port, path_count, subdir_count; /* of the group from now on */
};

static int refuse(struct request *rq, const struct msg_join *m, int error,
    const char *why)
{
	log_warn("join_refused", "client=%s group=%s port=%" PRId64 ": %s",
	    conn_peer_ip(rq->c), m->group, m->storage_port, why);
	return error;
}

static int check_fields(struct request *rq, const struct msg_join *m)
{
	if (m->tracker_count < 1 || m->tracker_count > CLUSTER_TRACKERS)
		return refuse(rq, m, EINVAL, "tracker count is not 1 to 16");
	if (m->trackers.n > (size_t)m->tracker_count * TRACKER_LINE_MAX)
		return refuse(rq, m, EINVAL, "tracker list is too long");
	if (strlen(m->group) > GROUP_NAME_SIZE ||
	    !str_is_word(span_of(m->group), ""))
		return refuse(rq, m, EINVAL,
		    "group name is not 1 to 16 letters and digits");
	if (m->storage_port <= 0 || m->storage_port > 65535)
		return refuse(rq, m, EINVAL, "port is not 1 to 65535");
	if (m->store_path_count < 1 || m->store_path_count > COUNT_MAX ||
	    m->subdir_count_per_path < 1 ||
	    m->subdir_count_per_path > COUNT_MAX)
		return refuse(rq, m, EINVAL,
		    "store path or sub-directory count is not 1 to 256");
	return 0;
}

static int parse_trackers(struct request *rq, const struct msg_join *m,
    struct tracker_name *list)
{
	struct span rest = m->trackers;

	for (int64_t i = 0; i < m->tracker_count; i++) {
		const char *nl = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
		struct span line = { rest.p, 0 };

		if (!nl)
			return refuse(rq, m, EINVAL,
			    "a line of the tracker list has no end");
		line.n = (size_t)(nl - rest.p);
		rest.p += line.n + 1;
		rest.n -= line.n + 1;
		if (parse_host_list(line, list[i].addrs, &list[i].n_addrs,
		        &list[i].port) < 0)
			return refuse(rq, m, EINVAL,
			    "a line of the tracker list is no address");
	}
	return 0;
}

/* Item 6: is this tracker among those the storage knows? Item 5: HELD when
 * the others have to be asked first. */
static int check_trackers(struct request *rq, const struct msg_join *m)
{
	struct tracker *t = rq->t;
	struct tracker_name list[CLUSTER_TRACKERS] = { 0 };
	struct addr at = { 0 };
	int rc = parse_trackers(rq, m, list);

	if (rc != 0)
		return rc;
	if (addr_parse_ip(span_of(m->tracker_ip), &at) < 0)
		at = list[0].addrs[0];
	if (cluster_trackers(&t->cluster, list, (size_t)m->tracker_count, &at,
	        (uint16_t)t->conf.port) < 0)
		return refuse(rq, m, ENOENT,
		    "its tracker list does not hold this tracker's address "
		    "and port; correct tracker_server there or port here");
	lead_learnt(t->lead);
	return bootstrap_holds(rq, list, (size_t)m->tracker_count, &at) ? HELD
	                                                                : 0;
}

/* Item 7. */
static int check_identity(struct request *rq, struct joiner *j)
{
	const struct msg_join *m = j->m;
	const struct tracker *t = rq->t;

	if (!t->ids) {
		if (rq->peer->family != 4)
			return refuse(rq, m, EOPNOTSUPP,
			    "IPv6 storages need use_storage_id = true");
		addr_ip(rq->peer, j->id, sizeof(j->id));
		j->addrs[0] = *rq->peer;
		j->n_addrs = 1;
		return 0;
	}
	if (m->storage_id[0] && t->conf.trust_storage_id)
		j->entry = ids_by_id(t->ids, span_of(m->storage_id));
	else
		j->entry = ids_by_addr(t->ids, m->group, rq->peer,
		    (uint16_t)m->storage_port);
	if (!j->entry)
		return refuse(rq, m, ENOENT,
		    "it is not in storage_ids_filename; add a line for it");
	if (strcmp(j->entry->group, m->group) != 0)
		return refuse(rq, m, EINVAL,
		    "its id belongs to another group in storage_ids_filename");
	str_copy(j->id, sizeof(j->id), j->entry->id);
	memcpy(j->addrs, j->entry->addrs, sizeof(j->addrs));
	j->n_addrs = j->entry->n_addrs;
	return 0;
}

/* Would all members but the joining one, and it, have the same value? */
#define AGREE(j, field, value)                  \
	members_agree((j)->group, (j)->storage, \
	    offsetof(struct storage, field), value)

static bool members_agree(const struct group *g, const struct storage *but,
    size_t field, int64_t value)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct storage *s = g->storages[i];
		int64_t has;

		memcpy(&has, (const char *)s + field, sizeof(has));
		if (s != but && !storage_is_tombstone(s) && has != value)
			return false;
	}
	return true;
}

/* Items 8 to 11. */
static int check_group(struct request *rq, struct joiner *j)
{
	const struct msg_join *m = j->m;
	const struct tracker_conf *cf = &rq->t->conf;
	const struct group *g = j->group;

	j->port = m->storage_port;
	j->path_count = m->store_path_count;
	j->subdir_count = m->subdir_count_per_path;
	if (g && g->port != 0 && g->port != j->port &&
	    !AGREE(j, port, j->port)) {
		if (!cf->use_storage_id || cf->id_type != ID_TYPE_ID)
			return refuse(rq, m, EINVAL,
			    "its port differs from that of its group");
		j->port = -1;
	}
	if (!j->storage) {
		j->first_status =
		    cluster_first_status(m->init_flag, (int8_t)m->status);
		if (j->first_status < 0)
			return refuse(rq, m, EFAULT,
			    "it says that it is known, but is not");
	}
	if (g && g->path_count != 0 && !AGREE(j, path_count, j->path_count)) {
		if (j->path_count < g->path_count)
			return refuse(rq, m, EINVAL,
			    "it has fewer store paths than its group");
		if (j->path_count > g->path_count)
			log_warn("join_more_paths",
			    "client=%s group=%s: it has more store paths than "
			    "its group; its disk reports are refused until "
			    "all members have as many",
			    conn_peer_ip(rq->c), m->group);
		j->path_count = g->path_count;
	}
	if (g && g->subdir_count != 0 && g->subdir_count != j->subdir_count &&
	    !AGREE(j, subdir_count, j->subdir_count))
		return refuse(rq, m, EINVAL,
		    "its sub-directory count differs from that of its group");
	return 0;
}

static void update_group(const struct joiner *j, struct group *g)
{
	if (g->port == j->port && g->path_count == j->path_count &&
	    g->subdir_count == j->subdir_count)
		return;
	g->port = j->port;
	g->path_count = j->path_count;
	g->subdir_count = j->subdir_count;
	g->dirty |= DIRTY_SOON;
}

static void update_storage(const struct joiner *j, struct storage *s)
{
	const struct msg_join *m = j->m;

	memcpy(s->addrs, j->addrs, sizeof(s->addrs));
	s->n_addrs = j->n_addrs;
	s->rw = j->entry ? j->entry->rw : RW_BOTH;
	s->port = m->storage_port;
	s->path_count = m->store_path_count;
	s->subdir_count = m->subdir_count_per_path;
	s->priority = m->upload_priority;
	s->join_time = m->join_time;
	s->up_time = m->up_time;
	str_copy(s->version, sizeof(s->version), m->version);
	storage_touch(s, DIRTY_SOON);
}

/* The connection now speaks for s, and no other one does. */
static void bind_session(struct request *rq, struct storage *s)
{
	struct storage *before = rq->session->joined;
	struct session *other = s->session;

	if (before && before != s && before->session == rq->session) {
		before->session = NULL;
		cluster_lost(&rq->t->cluster, before, "joined as another");
	}
	if (other && other != rq->session)
		other->joined = NULL;
	s->session = rq->session;
	rq->session->joined = s;
	rq->joined = s;
	conn_keep(rq->c);
}

static void answer(struct request *rq, const struct storage *s, bool commit)
{
	struct msg_join_reply r = { .status = (uint8_t)s->status };
	struct out *o = out_start(rq);

	if (s->source)
		str_copy(r.src_id, sizeof(r.src_id), s->source->id);
	out_msg(o, &MSG(join_reply), &r);
	if (commit)
		reply_committed(rq, o->p, o->n);
	else
		reply_out(rq);
}

static int admit(struct request *rq, struct joiner *j)
{
	struct cluster *c = &rq->t->cluster;
	struct group *g = cluster_add_group(c, j->m->group);
	struct storage *s = j->storage;

	if (!g)
		return refuse(rq, j->m, ENOSPC, "there are 512 groups");
	if (!s)
		s = group_add_storage(c, g, j->id,
		    (enum storage_status)j->first_status, "join");
	if (!s)
		return refuse(rq, j->m, ENOSPC, "its group has 32 members");
	update_group(j, g);
	update_storage(j, s);
	cluster_joined(c, s);
	if (s->status == ST_INIT)
		s->changelog_at = c->changelog_len;
	bind_session(rq, s);
	log_info("storage_joined",
	    "client=%s group=%s storage=%s status=%s version=%s",
	    conn_peer_ip(rq->c), g->name, s->id, status_name((int)s->status),
	    s->version);
	answer(rq, s, !s->stored);
	return 0;
}

void handle_join(struct request *rq, const void *in)
{
	struct joiner j = { .m = in };
	int rc = check_fields(rq, j.m);

	if (rc == 0)
		rc = check_trackers(rq, j.m);
	if (rc == 0)
		rc = check_identity(rq, &j);
	if (rc == 0) {
		j.group = cluster_group(&rq->t->cluster, j.m->group);
		if (j.group)
			j.storage = group_storage(j.group, span_of(j.id));
		rc = check_group(rq, &j);
	}
	if (rc == 0)
		rc = admit(rq, &j);
	if (rc != 0 && rc != HELD)
		reply_status(rq, rc);
}
