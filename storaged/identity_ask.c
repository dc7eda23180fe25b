/* SPDX-License-Identifier: MIT */
/* One tracker, one connection, everything there is to ask before JOIN. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/client.h"
#include "proto/fileid.h"
#include "proto/wire.h"
#include "storaged/identity_impl.h"

#define REFUSED          1
#define CONNECT_SLICE_MS 1000

struct ask {
	struct client *client;
	const struct storage_conf *conf;
	struct answers *a;
	char *err;
	size_t cap;
};

void answers_fini(struct answers *a)
{
	free(a->params);
	free(a->ids);
	memset(a, 0, sizeof(*a));
}

static ATTR_PRINTF(3, 4) int say(const struct ask *q, int rc, const char *fmt,
    ...)
{
	struct strbuf b = strbuf_over(q->err, q->cap);
	char text[ADDR_TEXT_MAX];
	va_list args;

	strbuf_addf(&b, "tracker %s ",
	    addr_text(client_peer(q->client), text, sizeof(text)));
	va_start(args, fmt);
	if (!b.failed)
		vsnprintf(b.buf + b.len, b.cap - b.len, fmt, args);
	va_end(args);
	return rc;
}

/* A result that nobody expects: not now. */
static int odd(const struct ask *q, const char *what, int rc)
{
	if (rc > 0)
		return say(q, -EPROTO, "answers %s with status %d", what, rc);
	return say(q, rc, "does not answer %s: %s", what, errstr(rc));
}

static char *span_dup(struct span s)
{
	char *copy = xcalloc(s.n + 1, 1);

	if (s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}

static int ask_group(const struct ask *q)
{
	uint8_t port[4];
	struct wire_out w = wire_out(port, sizeof(port));
	struct msg_address_port m = { .ip_and_port = { (char *)port, 4 } };
	struct msg_group_name reply;
	int rc;

	if (q->conf->group_name[0]) {
		str_copy(q->a->group, sizeof(q->a->group), q->conf->group_name);
		return 0;
	}
	wire_put_n(&w, (uint64_t)q->conf->port, 4);
	rc = client_ask(q->client, CMD_get_group_name, &MSG(address_port), &m,
	    &MSG(group_name), &reply);
	if (rc == EOPNOTSUPP)
		return say(q, REFUSED,
		    "has no list of storage ids, so it cannot tell the group; "
		    "set group_name");
	if (rc == ENOENT)
		return say(q, REFUSED,
		    "has no line for this host and port %lld in its list of "
		    "storage ids; add one, or set group_name",
		    (long long)q->conf->port);
	if (rc)
		return odd(q, "GET_GROUP_NAME", rc);
	if (!fileid_group_ok(span_of(reply.group)))
		return say(q, -EPROTO, "names a group that is none");
	str_copy(q->a->group, sizeof(q->a->group), reply.group);
	return 0;
}

static int ask_ip(const struct ask *q)
{
	struct msg_get_my_ip m = { .port = (int32_t)q->conf->port };
	struct msg_text reply;
	int rc;

	str_copy(m.group, sizeof(m.group), q->a->group);
	rc = client_ask(q->client, CMD_get_my_ip, &MSG(get_my_ip), &m,
	    &MSG(text), &reply);
	if (rc)
		return odd(q, "GET_MY_IP", rc);
	if (!str_copy_span(q->a->ips, sizeof(q->a->ips), reply.text))
		return say(q, -EPROTO, "answers GET_MY_IP with nonsense");
	return 0;
}

static int ask_params(const struct ask *q)
{
	struct msg_text reply;
	int rc = client_ask(q->client, CMD_parameter_req, NULL, NULL,
	    &MSG(text), &reply);

	if (rc)
		return odd(q, "PARAMETER_REQ", rc);
	q->a->params = span_dup(reply.text);
	return 0;
}

/* Pages follow one another until the total is reached. */
static int ask_ids(const struct ask *q)
{
	struct msg_fetch_ids m = { .start = 0 };
	struct msg_storage_ids reply;
	struct strbuf b;

	q->a->ids = xcalloc(IDS_TEXT_MAX, 1);
	b = strbuf_over(q->a->ids, IDS_TEXT_MAX);
	do {
		int rc = client_ask(q->client, CMD_fetch_storage_ids,
		    &MSG(fetch_ids), &m, &MSG(storage_ids), &reply);

		if (rc)
			return odd(q, "FETCH_STORAGE_IDS", rc);
		if (reply.count <= 0 || reply.total < reply.count)
			return say(q, -EPROTO,
			    "sends %d of %d storage ids, which is nonsense",
			    reply.count, reply.total);
		strbuf_add(&b, reply.lines.p, reply.lines.n);
		m.start += reply.count;
	} while (m.start < reply.total && !b.failed);
	return b.failed ? say(q, -EMSGSIZE, "has too many storage ids") : 0;
}

/* GET_SERVER_ID, unless the configured id is to be believed. */
static int ask_own_id(const struct ask *q, const struct cluster_params *p)
{
	struct msg_group_address m;
	struct msg_text reply;
	struct addr ips[2];
	char text[ADDR_TEXT_MAX];
	int rc = identity_parse_ips(span_of(q->a->ips), ips);

	if (rc < 0)
		return say(q, -EPROTO, "answers GET_MY_IP with %s", q->a->ips);
	if (p->trust_storage_server_id && q->conf->server_id[0])
		return 0;
	ips[0].port = (uint16_t)q->conf->port;
	addr_text(&ips[0], text, sizeof(text));
	str_copy(m.group, sizeof(m.group), q->a->group);
	m.address = span_of(text);
	rc = client_ask(q->client, CMD_get_server_id, &MSG(group_address), &m,
	    &MSG(text), &reply);
	if (rc == ENOENT)
		return say(q, REFUSED,
		    "has no line for group %s and address %s in its list of "
		    "storage ids; add one",
		    q->a->group, text);
	if (rc)
		return odd(q, "GET_SERVER_ID", rc);
	if (!str_copy_span(q->a->own_id, sizeof(q->a->own_id), reply.text))
		return say(q, -EPROTO, "sends an id that is too long");
	return 0;
}

static int ask_all(const struct ask *q)
{
	struct cluster_params p;
	int rc = ask_group(q);

	if (rc == 0)
		rc = ask_ip(q);
	if (rc == 0)
		rc = ask_params(q);
	if (rc == 0 && identity_parse_params(q->a->params, &p) < 0)
		rc = say(q, -EPROTO, "sends parameters that cannot be read");
	if (rc == 0 && p.use_storage_id)
		rc = ask_ids(q);
	if (rc == 0 && p.use_storage_id)
		rc = ask_own_id(q, &p);
	if (rc == 0 && !q->a->ids)
		q->a->ids = xstrdup("");
	return rc;
}

/* In pieces of a second, so that a signal need not wait for all of it. A
 * question is answered from memory: who takes longer than connecting may take
 * is not to be waited for. */
static int connect_to(const struct storage_conf *conf, const struct addr *to,
    bool (*stop)(void), struct client **out)
{
	int64_t io = conf->network_timeout < conf->connect_timeout
	                 ? conf->network_timeout
	                 : conf->connect_timeout;
	int64_t left = conf->connect_timeout;
	int rc;

	do {
		rc = client_open(to, storage_conf_from(conf, to),
		    CONNECT_SLICE_MS, (unsigned)io * 1000, out);
	} while (rc == -ETIMEDOUT && --left > 0 && !stop());
	return rc;
}

int identity_ask(const struct tracker_entry *tracker,
    const struct storage_conf *conf, struct answers *a, bool (*stop)(void),
    char *err, size_t cap)
{
	struct ask q = { .conf = conf, .a = a, .err = err, .cap = cap };
	int rc = -ENOTCONN;

	for (size_t i = 0; i < tracker->n && rc < 0; i++) {
		const struct addr *to = &tracker->addrs[i];
		char text[ADDR_TEXT_MAX];

		memset(a, 0, sizeof(*a));
		rc = connect_to(conf, to, stop, &q.client);
		if (rc < 0) {
			snprintf(err, cap, "tracker %s: %s",
			    addr_text(to, text, sizeof(text)), errstr(rc));
			continue;
		}
		rc = ask_all(&q);
		client_close(q.client);
		if (rc != 0)
			answers_fini(a);
	}
	return rc;
}
