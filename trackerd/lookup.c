/* SPDX-License-Identifier: MIT */
/* Where clients go: commands 101 to 107 (client-protocol 3.2 to 3.5). */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "trackerd/choose.h"
#include "trackerd/handlers.h"

#define FULL_SECONDS 60 /* between two records of "no space" */

static void tell_full(struct request *rq, const char *group)
{
	struct tracker *t = rq->t;

	if (rq->now - t->full_told < FULL_SECONDS)
		return;
	t->full_told = rq->now;
	log_warn("upload_refused", "group=%s: no space beyond the reserve",
	    group ? group : "any");
	persist_event(t->persist, "FD-SPACE-02", EVENT_CRIT,
	    group ? group : "cluster",
	    "an upload was refused: no storage has space beyond "
	    "reserved_storage_space");
}

static void store(struct request *rq, const char *group, bool all)
{
	struct choice ch;
	struct store s = { 0 };
	uint8_t body[sizeof(s)];
	ssize_t n;
	int rc = choose_store(&rq->t->cluster, &rq->t->conf, group, all, &ch);

	if (rc == -ENOSPC)
		tell_full(rq, group);
	if (rc < 0) {
		reply_rc(rq, rc);
		return;
	}
	str_copy(s.group, sizeof(s.group), ch.group->name);
	s.path = (uint8_t)ch.path;
	s.n = ch.n;
	for (size_t i = 0; i < ch.n; i++) {
		storage_ip(rq, ch.servers[i], s.servers[i].ip,
		    sizeof(s.servers[i].ip));
		s.servers[i].port = (uint16_t)ch.servers[i]->port;
	}
	n = store_encode(&s, rq->t->ip_width - 1, body, sizeof(body));
	if (n < 0)
		reply_rc(rq, (int)n);
	else
		reply_bytes(rq, body, (size_t)n);
}

void handle_store_one(struct request *rq, const void *in)
{
	(void)in;
	store(rq, NULL, false);
}

void handle_store_all(struct request *rq, const void *in)
{
	(void)in;
	store(rq, NULL, true);
}

void handle_store_group_one(struct request *rq, const void *in)
{
	const struct msg_group_name *m = in;

	store(rq, m->group, false);
}

void handle_store_group_all(struct request *rq, const void *in)
{
	const struct msg_group_name *m = in;

	store(rq, m->group, true);
}

static void reply_servers(struct request *rq, const struct group *g,
    struct storage *const *list, size_t n)
{
	const bool wide = rq->t->ip_width == 46;
	struct out *o = out_start(rq);
	struct msg_group_name name = { 0 };

	str_copy(name.group, sizeof(name.group), g->name);
	out_msg(o, &MSG(group_name), &name);
	for (size_t i = 0; i < n; i++) {
		char ip[ADDR_IP_MAX];

		storage_ip(rq, list[i], ip, sizeof(ip));
		if (wide) {
			struct msg_server45 s = { .port = list[i]->port };

			str_copy(s.ip, sizeof(s.ip), ip);
			out_msg(o, &MSG(server45), &s);
		} else {
			struct msg_server15 s = { .port = list[i]->port };

			str_copy(s.ip, sizeof(s.ip), ip);
			out_msg(o, &MSG(server15), &s);
		}
	}
	reply_out(rq);
}

void handle_fetch_one(struct request *rq, const void *in)
{
	const struct msg_file_ref *m = in;
	const struct choose_file f = choose_file(m->name);
	struct group *g = want_group(rq, m->group);
	struct storage *s;
	int rc;

	if (!g)
		return;
	rc = choose_fetch_one(&rq->t->conf, g, &f, rq->now, &s);
	if (rc < 0)
		reply_rc(rq, rc);
	else
		reply_servers(rq, g, &s, 1);
}

void handle_fetch_all(struct request *rq, const void *in)
{
	const struct msg_file_ref *m = in;
	const struct choose_file f = choose_file(m->name);
	struct group *g = want_group(rq, m->group);
	struct choice ch;
	int rc;

	if (!g)
		return;
	rc = choose_fetch_all(&rq->t->conf, g, &f, rq->now, &ch);
	if (rc < 0)
		reply_rc(rq, rc);
	else
		reply_servers(rq, g, ch.servers, ch.n);
}

void handle_update(struct request *rq, const void *in)
{
	const struct msg_file_ref *m = in;
	const struct choose_file f = choose_file(m->name);
	struct group *g = want_group(rq, m->group);
	struct storage *s;
	int rc;

	if (!g)
		return;
	rc = choose_update(&rq->t->conf, g, &f, &s);
	if (rc < 0)
		reply_rc(rq, rc);
	else
		reply_servers(rq, g, &s, 1);
}
