/* SPDX-License-Identifier: MIT */
/*
 * Who is who: what storages and clients ask before anything else (commands
 * 60, 69, 70, 71, 75, 109; cluster-protocol 1.2 to 1.5).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "proto/wire.h"
#include "trackerd/handlers.h"
#include "trackerd/params.h"

#define IDS_REPLY_MAX ((size_t)60 * 1024)

/* Never fails: a storage that gets an error here ends itself. */
void handle_get_my_ip(struct request *rq, const void *in)
{
	const struct msg_get_my_ip *m = in;
	const struct ids_entry *e =
	    ids_by_addr(rq->t->ids, m->group, rq->peer, (uint16_t)m->port);
	char text[2 * ADDR_IP_MAX];
	struct strbuf b = strbuf_over(text, sizeof(text));

	if (e)
		ids_print_addrs(e->addrs, e->n_addrs, &b);
	else
		ids_print_addrs(rq->peer, 1, &b);
	reply_bytes(rq, text, b.len);
}

void handle_parameters(struct request *rq, const void *in)
{
	char text[PARAMS_MAX];
	struct strbuf b = strbuf_over(text, sizeof(text));

	(void)in;
	params_print(&rq->t->conf, rq->t->ip_width, &b);
	reply_bytes(rq, text, b.len);
}

void handle_storage_ids(struct request *rq, const void *in)
{
	const struct msg_fetch_ids *m = in;
	const struct ids *ids = rq->t->ids;
	struct out *o = out_start(rq);
	size_t count = 0;

	if (!ids) {
		if (!m->allow_empty) {
			reply_status(rq, EOPNOTSUPP);
			return;
		}
		out_number(o, 0, 8);
		reply_out(rq);
		return;
	}
	if (m->start < 0 || (size_t)m->start >= ids->n) {
		reply_status(rq, EINVAL);
		return;
	}
	out_number(o, ids->n, 4);
	out_number(o, 0, 4);
	for (size_t i = (size_t)m->start; i < ids->n && o->n < IDS_REPLY_MAX;
	     i++) {
		char line[192];
		struct strbuf b = strbuf_over(line, sizeof(line));

		ids_print(&ids->items[i], &b);
		out_bytes(o, line, b.len);
		count++;
	}
	for (size_t i = 0; i < 4; i++)
		o->p[4 + i] = (uint8_t)(count >> (8 * (3 - i)));
	reply_out(rq);
}

int parse_host_list(struct span text, struct addr addrs[2], size_t *n,
    uint16_t *port)
{
	static const char digits[] = "0123456789abcdefABCDEF.:[],";
	char copy[128];
	int rc;

	if (!str_copy_span(copy, sizeof(copy), text))
		return -EINVAL;
	/* Numbers only: a name would make the loop wait for a resolver. */
	if (copy[strspn(copy, digits)] != 0)
		return -EINVAL;
	rc = ids_parse_addrs(span_of(copy), addrs, n, port);
	return rc < 0 || *port == 0 ? -EINVAL : 0;
}

/* The number that the text begins with; 0: none, or no port. */
static uint16_t leading_port(struct span text)
{
	uint32_t n = 0;

	for (size_t i = 0; i < text.n && n <= UINT16_MAX; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			break;
		n = n * 10 + (uint32_t)(text.p[i] - '0');
	}
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* "ip:port" or "[v6]:port". -EINVAL: one of them is not there. -ENOENT: not
 * an address, so nobody's. */
static int parse_host(struct span text, struct addr *out)
{
	const struct span s = text_field(text);
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	const size_t n = colon ? (size_t)(colon - s.p) : 0;
	struct span host = { s.p, n };

	if (n == 0 || n + 1 == s.n)
		return -EINVAL;
	if (host.p[0] == '[' && host.p[n - 1] == ']')
		host = (struct span){ host.p + 1, n - 2 };
	if (addr_parse_ip(host, out) < 0)
		return -ENOENT;
	out->port = leading_port((struct span){ colon + 1, s.n - n - 1 });
	return 0;
}

void handle_server_id(struct request *rq, const void *in)
{
	const struct msg_group_address *m = in;
	struct addr a;
	char ip[ADDR_IP_MAX];
	const int rc = parse_host(m->address, &a);

	if (rc < 0) {
		reply_rc(rq, rc);
		return;
	}
	if (rq->t->ids) {
		const struct ids_entry *e =
		    ids_by_addr(rq->t->ids, m->group, &a, a.port);

		if (e)
			reply_text(rq, e->id);
		else
			reply_status(rq, ENOENT);
		return;
	}
	if (a.family != 4) { /* IPv6 storages need storage ids */
		reply_status(rq, EOPNOTSUPP);
		return;
	}
	reply_text(rq, addr_ip(&a, ip, sizeof(ip)));
}

void handle_storage_status(struct request *rq, const void *in)
{
	const struct msg_group_address *m = in;
	struct msg_brief b = { 0 };
	const struct group *g = want_group(rq, m->group);
	const struct storage *s = NULL;
	struct addr a;
	int rc;

	if (!g)
		return;
	rc = parse_host(m->address, &a);
	/* Without storage ids the address alone is the id. */
	if (rc == 0)
		s = group_storage_at(g, &a, rq->t->ids ? a.port : 0);
	if (!s) {
		reply_status(rq, rc == -EINVAL ? EINVAL : ENOENT);
		return;
	}
	b.status = (uint8_t)s->status;
	b.port = (int32_t)s->port;
	str_copy(b.id, sizeof(b.id), s->id);
	addr_ip(&s->addrs[0], b.ip, sizeof(b.ip));
	reply_msg(rq, &MSG(brief), &b);
}

void handle_group_name(struct request *rq, const void *in)
{
	const size_t n = rq->body.n - 4;
	struct wire_in w = wire_in(rq->body.p + n, 4);
	const uint64_t port = wire_get_n(&w, 4);
	struct wire_in text = wire_in(rq->body.p, n);
	const struct span ip = wire_get_pad(&text, n);
	struct msg_group_name name = { 0 };
	const struct ids_entry *e;
	struct addr a = *rq->peer;

	(void)in;
	if (ip.n >= ADDR_IP_MAX) {
		reply_status(rq, ENAMETOOLONG);
		return;
	}
	if (ip.n > 0 && addr_parse_ip(ip, &a) < 0) {
		reply_status(rq, ENOENT);
		return;
	}
	e = port <= 65535 ? ids_by_addr(rq->t->ids, "", &a, (uint16_t)port)
	                  : NULL;
	if (!e) {
		reply_status(rq, ENOENT);
		return;
	}
	str_copy(name.group, sizeof(name.group), e->group);
	reply_msg(rq, &MSG(group_name), &name);
}
