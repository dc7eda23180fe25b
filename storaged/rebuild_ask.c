/* SPDX-License-Identifier: MIT */
/*
 * What disk recovery asks the trackers, before there are sessions with them:
 * each question on a connection of its own.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "storaged/beat_impl.h"
#include "storaged/rebuild_impl.h"

#define SLICE_MS     200
#define ASK_MS       10000
#define RETRY_SEC    5
#define STATUS_TRIES 12
#define TELL_TRIES   3

bool rebuild_stopped(const struct rebuild *rb)
{
	return __atomic_load_n(&rb->quit, __ATOMIC_RELAXED);
}

bool rebuild_pause(const struct rebuild *rb, unsigned seconds)
{
	const struct timespec slice = { 0, SLICE_MS * 1000000L };

	for (unsigned i = 0; i < seconds * 1000 / SLICE_MS; i++) {
		if (rebuild_stopped(rb))
			return false;
		nanosleep(&slice, NULL);
	}
	return !rebuild_stopped(rb);
}

int rebuild_connect(const struct rebuild *rb, const struct addr *to,
    unsigned io_ms, struct client **out)
{
	const struct storage_conf *conf = &rb->st->conf;
	int64_t left = conf->connect_timeout;
	int rc;

	do {
		if (rebuild_stopped(rb))
			return -ECANCELED;
		rc = client_open(to, storage_conf_from(conf, to), 1000, io_ms,
		    out);
	} while (rc == -ETIMEDOUT && --left > 0);
	if (rc == 0)
		client_set_quit(*out, &rb->quit);
	return rc;
}

/* A question, and what is done with its answer while it is there. */
struct asking {
	uint8_t command;
	const struct message *req;
	const void *in;
	const struct message *reply;
	void *out;
	void (*took)(struct rebuild *rb, const struct asking *a,
	    const struct message *dialect);
};

static int ask_tracker(struct rebuild *rb, size_t tracker,
    const struct asking *a)
{
	const struct tracker_entry *t = &rb->st->conf.trackers[tracker];
	struct client *c = NULL;
	int rc = -ENOTCONN;

	for (size_t i = 0; i < t->n && rc < 0 && rc != -ECANCELED; i++)
		rc = rebuild_connect(rb, &t->addrs[i], ASK_MS, &c);
	if (rc < 0)
		return rc;
	rc = client_ask(c, a->command, a->req, a->in, a->reply, a->out);
	if (rc == 0 && a->took)
		a->took(rb, a, client_dialect(c));
	if (rc >= 0)
		(void)client_send_head(c, CMD_quit, 0, 0, NULL, 0);
	client_close(c);
	return rc;
}

/* --- 71 --- */

/* *silent: how many trackers did not answer. */
static int highest_status(struct rebuild *rb, size_t *silent)
{
	const struct storage *st = rb->st;
	char text[ADDR_TEXT_MAX];
	struct msg_group_address m;
	struct msg_brief reply = { 0 };
	const struct asking a = {
		.command = CMD_get_storage_status,
		.req = &MSG(group_address),
		.in = &m,
		.reply = &MSG(brief),
		.out = &reply,
	};
	int highest = MEMBER_UNKNOWN;

	identity_fill_question(&st->me, st->conf.port, text, &m);
	*silent = 0;
	for (size_t i = 0; i < st->conf.n_trackers; i++) {
		int rc = ask_tracker(rb, i, &a);

		if (rc < 0)
			(*silent)++;
		if (rc == 0 && (int)reply.status > highest)
			highest = reply.status;
	}
	return highest;
}

int rebuild_own_status(struct rebuild *rb, int *status)
{
	const size_t trackers = rb->st->conf.n_trackers;
	size_t silent;
	unsigned tries = 0;

	for (;;) {
		*status = highest_status(rb, &silent);
		if (rebuild_stopped(rb))
			return -ECANCELED;
		if (*status >= 0 || silent == 0)
			return 0;
		/* One that is silent for long may be silent for ever. */
		if (silent < trackers && ++tries >= STATUS_TRIES)
			return 0;
		log_warn("recovery_waits",
		    "path=%s: %zu of %zu trackers do not answer; trying on",
		    rb->path->dir, silent, trackers);
		if (!rebuild_pause(rb, RETRY_SEC))
			return -ECANCELED;
	}
}

/* --- 92 --- */

struct members {
	size_t others; /* that are not gone */
};

static void take_member(struct rebuild *rb, struct members *m, int status,
    const char *id, const char *ip, int64_t port)
{
	struct rebuild_source *to = &rb->sources[rb->n_sources];

	if (strcmp(id, rb->st->me.id) == 0 || status == MEMBER_DELETED ||
	    status == MEMBER_IP_CHANGED)
		return;
	m->others++;
	if (status != MEMBER_ACTIVE || rb->n_sources == REBUILD_SOURCES ||
	    port <= 0 || port > UINT16_MAX ||
	    addr_parse_ip(span_of(ip), &to->at) < 0)
		return;
	to->at.port = (uint16_t)port;
	str_copy(to->id, sizeof(to->id), id);
	rb->n_sources++;
}

struct member_list {
	struct msg_storage_list list;
	struct members *members;
};

static void take_members(struct rebuild *rb, const struct asking *a,
    const struct message *dialect)
{
	const struct member_list *ml = a->out;
	struct span left = ml->list.storages;
	struct msg_storage_record m;
	struct msg_storage_record46 m46;

	rb->n_sources = 0;
	ml->members->others = 0;
	if (dialect == &MSG(storage_list)) {
		while (msg_next(&MSG(storage_record), &left, &m) > 0)
			take_member(rb, ml->members, m.status, m.id, m.ip,
			    m.storage_port);
		return;
	}
	while (msg_next(&MSG(storage_record46), &left, &m46) > 0)
		take_member(rb, ml->members, m46.status, m46.id, m46.ip,
		    m46.storage_port);
}

static int ask_members(struct rebuild *rb, struct members *members)
{
	struct member_list ml = { .members = members };
	struct msg_group_and_id m;
	const struct asking a = {
		.command = CMD_list_storage,
		.req = &MSG(group_and_id),
		.in = &m,
		.reply = &MSG(storage_list),
		.out = &ml,
		.took = take_members,
	};
	int rc = -ENOTCONN;

	memset(&m, 0, sizeof(m));
	str_copy(m.group, sizeof(m.group), rb->st->me.group);
	for (size_t i = 0; i < rb->st->conf.n_trackers && rc != 0; i++)
		rc = ask_tracker(rb, i, &a);
	return rc;
}

int rebuild_find_sources(struct rebuild *rb)
{
	struct members members = { 0 };

	for (;;) {
		int rc = ask_members(rb, &members);

		if (rebuild_stopped(rb))
			return -ECANCELED;
		if (rc == 0 && members.others == 0)
			return -ENOENT;
		if (rc == 0 && rb->n_sources > 0)
			return 0;
		log_warn("recovery_waits",
		    "path=%s: no other storage of group %s is active; "
		    "trying on",
		    rb->path->dir, rb->st->me.group);
		if (!rebuild_pause(rb, RETRY_SEC))
			return -ECANCELED;
	}
}

/* --- 76 --- */

int rebuild_tell_status(struct rebuild *rb, int status)
{
	const struct storage *st = rb->st;
	struct msg_report_status m;
	const struct asking a = {
		.command = CMD_report_status,
		.req = &MSG(report_status),
		.in = &m,
	};
	bool answered[MAX_TRACKERS] = { false };
	size_t left = st->conf.n_trackers;
	int last = 0;

	memset(&m, 0, sizeof(m));
	str_copy(m.group, sizeof(m.group), st->me.group);
	m.status = (uint8_t)status;
	str_copy(m.id, sizeof(m.id), st->me.id);
	addr_ip(&st->me.ips[0], m.ip, sizeof(m.ip));
	for (int try = 1; left > 0; try++) {
		for (size_t i = 0; i < st->conf.n_trackers; i++) {
			int rc = answered[i] ? 0 : ask_tracker(rb, i, &a);

			if (rc != 0)
				last = rc;
			left -= !answered[i] && rc >= 0;
			answered[i] = rc >= 0;
		}
		if (try == TELL_TRIES || left == 0)
			break;
		if (!rebuild_pause(rb, RETRY_SEC))
			return -ECANCELED;
	}
	return left < st->conf.n_trackers ? 0 : last;
}
