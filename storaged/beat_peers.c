/* SPDX-License-Identifier: MIT */
/*
 * What the senders of replication know and ask through the tracker sessions
 * (cluster-protocol 1.14, 1.15, 3.8), in the sender's own thread, on
 * connections of their own.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "storaged/beat_impl.h"

#define TRIES      3
#define RETRY_SECS 5

static struct msg_brief *find_member(struct beat *b, const char *id)
{
	for (size_t i = 0; i < b->n_members; i++) {
		if (strcmp(b->members[i].id, id) == 0)
			return &b->members[i];
	}
	return NULL;
}

int beat_member_status(struct beat *b, const char *id)
{
	const struct msg_brief *m;
	int status = MEMBER_UNKNOWN;

	pthread_mutex_lock(&b->lock);
	m = find_member(b, id);
	if (m)
		status = m->status;
	pthread_mutex_unlock(&b->lock);
	return status;
}

void beat_set_member_status(struct beat *b, const char *id, int status)
{
	struct msg_brief *m;
	int from = status;

	pthread_mutex_lock(&b->lock);
	m = find_member(b, id);
	if (m) {
		from = m->status;
		m->status = (uint8_t)status;
	}
	pthread_mutex_unlock(&b->lock);
	if (from == status)
		return;
	log_info("member_status", "id=%s from=%s to=%s", id,
	    member_status_name(from), member_status_name(status));
	members_tell(b);
}

void beat_set_watch(struct storage *st, void (*changed)(void *arg), void *arg)
{
	st->members_arg = arg;
	st->members_changed = changed;
}

/* --- 71 --- */

int beat_ask_own_status(struct beat *b, size_t tracker)
{
	const struct storage *st = b->st;
	char text[ADDR_TEXT_MAX];
	struct msg_group_address m;
	struct msg_brief reply = { 0 };
	const struct question q = {
		.command = CMD_get_storage_status,
		.req = &MSG(group_address),
		.in = &m,
		.reply = &MSG(brief),
		.out = &reply,
	};

	identity_fill_question(&st->me, st->conf.port, text, &m);
	return beat_ask_once(b, tracker, &q) == 0 ? (int)reply.status
	                                          : MEMBER_UNKNOWN;
}

/* --- 76 --- */

static void brief_of(struct beat *b, const char *id, int status,
    struct msg_report_status *out)
{
	const struct msg_brief *m;

	memset(out, 0, sizeof(*out));
	str_copy(out->group, sizeof(out->group), b->st->me.group);
	out->status = (uint8_t)status;
	str_copy(out->id, sizeof(out->id), id);
	pthread_mutex_lock(&b->lock);
	m = find_member(b, id);
	if (m)
		str_copy(out->ip, sizeof(out->ip), m->ip);
	else if (!b->st->me.params.use_storage_id)
		str_copy(out->ip, sizeof(out->ip), id);
	pthread_mutex_unlock(&b->lock);
}

/* We speak of others when we know that we are complete ourselves. */
static int wait_settled(struct beat *b, const bool *quit)
{
	bool done;

	do {
		done = identity_is_settled(&b->st->me);
	} while (!done && beat_pause_until(b, b->second_ms, quit));
	return done ? 0 : -ECANCELED;
}

/* Every tracker that has not answered yet; gives the last failure. */
static int report_round(struct beat *b, const struct question *q,
    bool answered[MAX_TRACKERS], size_t *taken)
{
	int last = 0;

	for (size_t i = 0; i < b->st->conf.n_trackers; i++) {
		int rc = answered[i] ? 0 : beat_ask_once(b, i, q);

		if (rc == -ECANCELED)
			return rc;
		if (!answered[i] && rc == 0)
			(*taken)++;
		answered[i] = rc >= 0;
		if (rc)
			last = rc;
	}
	return last;
}

static bool all_answered(const struct beat *b,
    const bool answered[MAX_TRACKERS])
{
	for (size_t i = 0; i < b->st->conf.n_trackers; i++) {
		if (!answered[i])
			return false;
	}
	return true;
}

int beat_report_status(struct beat *b, const char *id, int status,
    const bool *quit)
{
	struct msg_report_status m;
	const struct question q = {
		.command = CMD_report_status,
		.req = &MSG(report_status),
		.in = &m,
		.quit = quit,
	};
	bool answered[MAX_TRACKERS] = { false };
	size_t taken = 0;
	int rc = wait_settled(b, quit);

	if (rc < 0)
		return rc;
	brief_of(b, id, status, &m);
	for (int try = 1; try <= TRIES; try++) {
		rc = report_round(b, &q, answered, &taken);
		if (rc == -ECANCELED)
			return rc;
		if (all_answered(b, answered) || try == TRIES)
			break;
		if (!beat_pause_until(b, RETRY_SECS * b->second_ms, quit))
			return -ECANCELED;
	}
	log_info("status_reported", "id=%s status=%s trackers=%zu", id,
	    member_status_name(status), taken);
	return taken > 0 ? 0 : rc;
}

/* --- 86 --- */

static void take_source(void *arg, const void *out)
{
	struct msg_sync_source *source = arg;
	struct msg_source_reply reply = *(const struct msg_source_reply *)out;

	if (msg_next(&MSG(sync_source), &reply.source, source) <= 0)
		memset(source, 0, sizeof(*source));
}

int beat_ask_source(struct beat *b, const char *id, struct msg_sync_source *out,
    const bool *quit)
{
	const size_t n = b->st->conf.n_trackers;
	struct msg_group_id m;
	struct msg_source_reply reply;
	const struct question q = {
		.command = CMD_sync_src_req,
		.req = &MSG(group_id),
		.in = &m,
		.reply = &MSG(source_reply),
		.out = &reply,
		.took = take_source,
		.arg = out,
		.quit = quit,
	};
	size_t first;
	int rc = -ENOTCONN;

	memset(out, 0, sizeof(*out));
	memset(&m, 0, sizeof(m));
	str_copy(m.group, sizeof(m.group), b->st->me.group);
	str_copy(m.id, sizeof(m.id), id);
	pthread_mutex_lock(&b->lock);
	first = b->leader >= 0 ? (size_t)b->leader : 0;
	pthread_mutex_unlock(&b->lock);
	/* A tracker that does not answer is followed by the next. */
	for (size_t i = 0; i < n && rc < 0 && rc != -ECANCELED; i++)
		rc = beat_ask_once(b, (first + i) % n, &q);
	return rc;
}

/* --- 77 --- */

int beat_read_changes(struct beat *b, const char *id, const bool *quit)
{
	int last = 0;
	size_t taken = 0;

	log_info("member_gone", "id=%s: asking every tracker for changes", id);
	for (size_t i = 0; i < b->st->conf.n_trackers; i++) {
		int rc = changes_read(b, i, quit);

		if (rc == -ECANCELED)
			return rc;
		if (rc == 0)
			taken++;
		else
			last = rc;
	}
	return taken > 0 ? 0 : last;
}
