/* SPDX-License-Identifier: MIT */
/*
 * From a fresh connection to a joined one: our address, JOIN, who fills us.
 *
 * The status that a tracker holds for us is known from its JOIN reply and from
 * what 87 and 88 do to it there (cluster-protocol 2.2); session_set_status
 * follows that, since only the leader ever tells it again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/log.h"
#include "storaged/beat_impl.h"

#define TRACKER_LINE_MAX 100
#define IPS_SHOWN        92

/* A refusal is told when it is another than the last. */

static ATTR_PRINTF(3, 4) int refused(struct session *s, int status,
    const char *fmt, ...)
{
	char name[ADDR_TEXT_MAX];
	char text[512];
	va_list args;

	if (s->said == status)
		return status;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("tracker_refuses", "tracker=%s status=%d: %s",
	    session_name(s, name, sizeof(name)), status, text);
	return status;
}

static void own_source(struct beat *b, struct msg_sync_source *out, bool *done)
{
	struct identity *me = &b->st->me;

	pthread_mutex_lock(&me->lock);
	memset(out, 0, sizeof(*out));
	str_copy(out->id, sizeof(out->id), me->sync_src);
	out->until = me->sync_until;
	*done = me->sync_old_done;
	pthread_mutex_unlock(&me->lock);
}

static void keep_source(struct beat *b, bool done,
    const struct msg_sync_source *src)
{
	int rc = identity_set_source(&b->st->me, &b->st->conf, done, src->id,
	    src->until);

	if (rc < 0)
		log_error("flag_file",
		    "%s/data/.data_init_flag cannot be written: %s",
		    b->st->conf.base_path, errstr(rc));
}

/* --- our address --- */

static int check_address(struct session *s)
{
	struct storage *st = s->beat->st;
	struct msg_get_my_ip m = { .port = (int32_t)st->conf.port };
	struct msg_text reply;
	struct addr ips[2];
	int n;
	int rc;

	if (s->knows_address)
		return 0;
	str_copy(m.group, sizeof(m.group), st->me.group);
	rc = client_ask(s->client, CMD_get_my_ip, &MSG(get_my_ip), &m,
	    &MSG(text), &reply);
	if (rc > 0)
		return refused(s, rc, "it cannot tell our address");
	if (rc < 0)
		return rc;
	n = identity_parse_ips(reply.text, ips);
	if (n < 0 || !identity_is_mine(&st->me, ips, (size_t)n))
		return refused(s, EINVAL,
		    "it sees this storage as %.*s, which is not the address "
		    "that the first tracker told; set bind_addr with "
		    "client_bind = true, or restart if the address changed",
		    (int)size_min(reply.text.n, IPS_SHOWN), reply.text.p);
	s->knows_address = true;
	return 0;
}

static bool same_params(const struct cluster_params *a,
    const struct cluster_params *b)
{
	return a->use_storage_id == b->use_storage_id &&
	       a->id_in_filename == b->id_in_filename &&
	       a->trust_storage_server_id == b->trust_storage_server_id &&
	       a->ip_size == b->ip_size &&
	       a->ip_changed_auto_adjust == b->ip_changed_auto_adjust &&
	       a->sync_file_max_delay == b->sync_file_max_delay &&
	       a->store_path == b->store_path &&
	       a->reserved.percent == b->reserved.percent &&
	       a->reserved.bytes == b->reserved.bytes &&
	       a->use_trunk_file == b->use_trunk_file &&
	       a->slave_use_link == b->slave_use_link;
}

/* What was remembered at the start may be old. */
static int check_params(struct session *s)
{
	const struct identity *me = &s->beat->st->me;
	struct cluster_params now;
	char name[ADDR_TEXT_MAX];
	struct msg_text reply;
	char *text;
	int rc;

	if (!me->from_memory || s->knows_params)
		return 0;
	rc = client_ask(s->client, CMD_parameter_req, NULL, NULL, &MSG(text),
	    &reply);
	if (rc)
		return rc;
	text = xcalloc(reply.text.n + 1, 1);
	str_copy_span(text, reply.text.n + 1, reply.text);
	if (identity_parse_params(text, &now) < 0 ||
	    !same_params(&now, &me->params))
		log_error("parameters_changed",
		    "tracker=%s has other cluster parameters than at the last "
		    "start with a tracker; restart this storage",
		    session_name(s, name, sizeof(name)));
	free(text);
	s->knows_params = true;
	return 0;
}

/* 78: before JOIN, or the tracker would make a new record. */
static int tell_address(struct session *s)
{
	struct storage *st = s->beat->st;
	struct msg_ip_changed m;
	char name[ADDR_TEXT_MAX];
	int rc;

	if (s->told_address || !st->me.old_ip[0])
		return 0;
	memset(&m, 0, sizeof(m));
	str_copy(m.group, sizeof(m.group), st->me.group);
	str_copy(m.old_ip, sizeof(m.old_ip), st->me.old_ip);
	addr_ip(&st->me.ips[0], m.new_ip, sizeof(m.new_ip));
	rc = beat_ask_once(s->beat, s->index,
	    &(struct question){ .command = CMD_report_ip_changed,
	        .req = &MSG(ip_changed),
	        .in = &m });
	if (rc < 0)
		return rc;
	if (rc != 0 && rc != EALREADY && rc != ENOENT && rc != EEXIST &&
	    rc != EBUSY)
		return refused(s, rc,
		    "it does not take the change of our address from %s to %s",
		    m.old_ip, m.new_ip);
	log_info("address_changed", "tracker=%s from=%s to=%s status=%d",
	    session_name(s, name, sizeof(name)), m.old_ip, m.new_ip, rc);
	s->told_address = true;
	rc = identity_settle_address(&st->me, &st->conf);
	if (rc < 0)
		log_error("flag_file",
		    "%s/data/.data_init_flag cannot be written: %s",
		    st->conf.base_path, errstr(rc));
	return 0;
}

/* What happened to others while we were away, before we hear of their new
 * addresses (1.23.1). */
static int read_changes(struct session *s)
{
	const struct identity *me = &s->beat->st->me;
	int rc;

	if (s->read_changes || me->first_run || me->params.use_storage_id ||
	    !me->params.ip_changed_auto_adjust)
		return 0;
	rc = changes_read(s->beat, s->index, NULL);
	s->read_changes = rc == 0;
	return rc > 0 ? 0 : rc;
}

/* --- JOIN --- */

static void print_tracker(struct strbuf *b, const struct tracker_entry *t)
{
	char text[ADDR_TEXT_MAX];
	char ip[ADDR_IP_MAX];

	if (t->n == 1) {
		strbuf_addf(b, "%s\n",
		    addr_text(&t->addrs[0], text, sizeof(text)));
		return;
	}
	strbuf_addf(b, "%s,", addr_ip(&t->addrs[0], ip, sizeof(ip)));
	strbuf_addf(b, "%s\n", addr_text(&t->addrs[1], text, sizeof(text)));
}

static uint8_t status_to_send(struct beat *b)
{
	int status;
	bool all_answered = true;

	pthread_mutex_lock(&b->lock);
	status = members_own_status(b);
	for (size_t i = 0; i < b->st->conf.n_trackers; i++)
		all_answered = all_answered && b->sessions[i].answered;
	if (status < 0 && (b->st->conf.n_trackers == 1 || all_answered))
		status = MEMBER_INIT;
	pthread_mutex_unlock(&b->lock);
	return (uint8_t)status;
}

static int refuse_join(struct session *s, int status)
{
	const struct storage *st = s->beat->st;

	if (status == ENOENT && st->me.params.use_storage_id)
		return refused(s, status,
		    "its list of storage ids has no %s, or it is not among the "
		    "trackers of our list",
		    st->me.id);
	if (status == ENOENT)
		return refused(s, status,
		    "it does not find itself in our list of trackers; check "
		    "tracker_server");
	if (status == EFAULT)
		return refused(s, status,
		    "it lost its record of us; trying on until every tracker "
		    "answered");
	if (status == EINVAL)
		return refused(s, status,
		    "port, store_path_count or subdir_count_per_path are not "
		    "those of the other storages of group %s",
		    st->me.group);
	return refused(s, status, "it does not let us join");
}

static int send_join(struct session *s, bool *first, char src[17])
{
	struct beat *b = s->beat;
	const struct storage *st = b->st;
	char trackers[MAX_TRACKERS * TRACKER_LINE_MAX];
	struct strbuf list = strbuf_over(trackers, sizeof(trackers));
	struct msg_sync_source source;
	struct msg_join_reply reply;
	struct msg_join m;
	bool done;
	int rc;

	own_source(b, &source, &done);
	*first = !done;
	for (size_t i = 0; i < st->conf.n_trackers; i++)
		print_tracker(&list, &st->conf.trackers[i]);
	memset(&m, 0, sizeof(m));
	str_copy(m.group, sizeof(m.group), st->me.group);
	m.storage_port = st->conf.port;
	m.store_path_count = st->conf.store_path_count;
	m.subdir_count_per_path = st->conf.subdir_count_per_path;
	m.upload_priority = st->conf.upload_priority;
	m.join_time = st->me.join_time;
	m.up_time = st->up_time;
	str_copy(m.version, sizeof(m.version), FDFS_PROTOCOL_VERSION);
	m.init_flag = !done;
	m.status = status_to_send(b);
	if (st->me.params.use_storage_id)
		str_copy(m.storage_id, sizeof(m.storage_id), st->me.id);
	addr_ip(client_peer(s->client), m.tracker_ip, sizeof(m.tracker_ip));
	m.tracker_count = (int64_t)st->conf.n_trackers;
	m.trackers = (struct span){ list.buf, list.len };
	rc = client_ask(s->client, CMD_join, &MSG(join), &m, &MSG(join_reply),
	    &reply);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&b->lock);
	s->answered = true;
	if (rc == 0)
		s->shown.status = reply.status;
	if (rc == 0 && reply.status == MEMBER_INIT)
		members_begin_again(b);
	pthread_mutex_unlock(&b->lock);
	str_copy(src, 17, rc == 0 ? reply.src_id : "");
	return rc ? refuse_join(s, rc) : 0;
}

/* --- who fills us --- */

/* What 88 does to our status on the tracker. */
static void follow_notify(struct session *s, bool has_source)
{
	int status = session_status(s);

	if (has_source && status == MEMBER_INIT)
		session_set_status(s, MEMBER_WAIT_SYNC);
	else if (!has_source &&
	         (status == MEMBER_INIT || status == MEMBER_WAIT_SYNC ||
	             status == MEMBER_SYNCING))
		session_set_status(s, MEMBER_ONLINE);
}

/* The highest status that any tracker has of us, or -1. */
static int ask_highest_status(struct session *s)
{
	int highest = MEMBER_UNKNOWN;

	for (size_t i = 0; i < s->beat->st->conf.n_trackers; i++) {
		const int status = beat_ask_own_status(s->beat, i);

		if (status > highest)
			highest = status;
	}
	return highest;
}

static int take_source_reply(struct beat *b, bool done,
    struct msg_source_reply *reply, struct msg_sync_source *out)
{
	memset(out, 0, sizeof(*out));
	if (msg_next(&MSG(sync_source), &reply->source, out) < 0)
		return -EPROTO;
	keep_source(b, done, out);
	return 0;
}

/* Every tracker refuses the source we name (1.12, step 3). */
static int ask_source_again(struct session *s)
{
	struct beat *b = s->beat;
	int highest = ask_highest_status(s);
	struct msg_source_reply reply;
	struct msg_sync_source src;
	bool done;
	int rc;

	if (highest < 0)
		return 0;
	rc = client_ask(s->client, CMD_sync_dest_query, NULL, NULL,
	    &MSG(source_reply), &reply);
	own_source(b, &src, &done);
	if (rc == 0)
		rc = take_source_reply(b, done, &reply, &src);
	if (rc < 0)
		return rc;
	if (highest < MEMBER_OFFLINE && done)
		keep_source(b, false, &src);
	return 0;
}

static bool all_refuse(struct beat *b)
{
	bool all = true;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->st->conf.n_trackers; i++)
		all = all && b->sessions[i].notify_result == ENOENT;
	pthread_mutex_unlock(&b->lock);
	return all;
}

static bool is_leader(struct session *s)
{
	bool leads;

	pthread_mutex_lock(&s->beat->lock);
	leads = s->beat->leader == (int)s->index;
	pthread_mutex_unlock(&s->beat->lock);
	return leads;
}

/* Status 2 to SYNC_NOTIFY: the source we name is gone (1.12). */
static int repair_source(struct session *s, const struct msg_sync_source *src)
{
	struct beat *b = s->beat;
	const struct msg_sync_source none = { .until = 0 };
	struct msg_sync_source now;
	bool done;
	int rc = 0;

	members_find_leader(s);
	own_source(b, &now, &done);
	if (is_leader(s) && strcmp(now.id, src->id) == 0)
		keep_source(b, done, &none);
	if (all_refuse(b))
		rc = ask_source_again(s);
	return rc < 0 ? rc
	              : refused(s, ENOENT,
	                    "it does not know %s as the source of our files; "
	                    "asking again",
	                    src->id);
}

static int sync_notify(struct session *s)
{
	struct beat *b = s->beat;
	struct msg_sync_source src;
	bool done;
	int rc;

	own_source(b, &src, &done);
	if (s->is_complete && done)
		memset(&src, 0, sizeof(src));
	rc = client_ask(s->client, CMD_sync_notify, &MSG(sync_source), &src,
	    NULL, NULL);
	if (rc >= 0) {
		pthread_mutex_lock(&b->lock);
		s->notify_result = rc;
		pthread_mutex_unlock(&b->lock);
	}
	if (rc == 0)
		follow_notify(s, src.id[0] != 0);
	if (rc == ENOENT)
		return repair_source(s, &src);
	if (rc > 0)
		return refused(s, rc, "it refuses SYNC_NOTIFY");
	return rc;
}

/* SYNC_DEST_REQ, by the first session that comes here (1.11). */
static int ask_source(struct session *s)
{
	struct msg_source_reply reply;
	struct msg_sync_source src;
	int rc = client_ask(s->client, CMD_sync_dest_req, NULL, NULL,
	    &MSG(source_reply), &reply);

	if (rc == ENOENT)
		return refused(s, rc,
		    "no storage of group %s is active that could give us its "
		    "files; trying on",
		    s->beat->st->me.group);
	if (rc > 0)
		return refused(s, rc,
		    "it does not say who gives us the files "
		    "of the group");
	if (rc == 0)
		rc = take_source_reply(s->beat, true, &reply, &src);
	if (rc < 0)
		return rc;
	session_set_status(s, src.id[0] ? MEMBER_WAIT_SYNC : MEMBER_ONLINE);
	log_info("sync_source", "source=%s until=%lld", src.id,
	    (long long)src.until);
	return 0;
}

static int settle_source(struct session *s)
{
	struct beat *b = s->beat;
	struct msg_sync_source src;
	bool done;
	int rc;

	pthread_mutex_lock(&b->dest_lock);
	own_source(b, &src, &done);
	rc = done ? sync_notify(s) : ask_source(s);
	pthread_mutex_unlock(&b->dest_lock);
	return rc;
}

int session_join(struct session *s)
{
	struct msg_sync_source src;
	char tracker_src[17];
	bool first;
	bool done;
	int rc = check_address(s);

	s->settled = false;
	s->sent_stats = false;
	s->changes.carried = 0;
	s->reported = 0;
	if (rc == 0)
		rc = check_params(s);
	if (rc == 0)
		rc = tell_address(s);
	if (rc == 0)
		rc = read_changes(s);
	if (rc == 0)
		rc = send_join(s, &first, tracker_src);
	if (rc)
		return rc;
	own_source(s->beat, &src, &done);
	if (!tracker_src[0] && src.id[0])
		rc = sync_notify(s);
	if (rc == 0 && first)
		rc = settle_source(s);
	if (rc == 0)
		rc = sync_notify(s);
	if (rc == 0)
		s->is_complete = false;
	return rc;
}
