/* SPDX-License-Identifier: MIT */
/*
 * One connection on which up to `window` requests are under way: they are
 * collected in one buffer and sent together, the replies come in the same
 * order and are matched by a ring. As the peer carries out what comes over one
 * connection in its order, the order of operations on a file is kept.
 *
 * FastDFS's own storages look at a connection once for each arrival of bytes:
 * of several requests that arrive together they answer the first and wait. So
 * a new connection begins with a few ACTIVE_TESTs sent at once; a peer that
 * does not answer them all gets one request at a time.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define PROBES    4
#define PROBE_MS  100 /* and four times what the first answer took */
#define LOW_WATER (LINK_WINDOW / 2)
#define LAST_MS   200 /* for what a peer said before it closed */

static int parse(struct peer *p);

/* A peer may refuse content before it has all of it, and close. */
static void hear_last_words(struct peer *p)
{
	struct peer_link *l = &p->link;
	ssize_t got;

	do {
		got = client_recv_soon(l->client, l->in + l->in_n,
		    LINK_IN - l->in_n, LAST_MS);
		if (got > 0)
			l->in_n += (size_t)got;
	} while (got > 0 && parse(p) == 0);
}

static int died(struct peer *p, int rc)
{
	struct peer_link *l = &p->link;

	if (!l->dead) {
		l->dead = rc;
		if (l->n > 0)
			p->suspect = l->ring[l->first].item;
	}
	return l->dead;
}

/* 1: takes several requests at once, 0: one at a time, or -errno. */
static int probe(struct client *c)
{
	uint8_t out[PROBES * HEADER_SIZE];
	uint8_t in[PROBES * HEADER_SIZE];
	size_t n = HEADER_SIZE;
	mono_t began = clock_mono();
	unsigned ms;
	int rc;

	for (size_t i = 0; i < PROBES; i++)
		header_put(out + i * HEADER_SIZE, 0, CMD_active_test, 0);
	rc = client_send(c, out, sizeof(out));
	if (rc == 0)
		rc = client_recv(c, in, n);
	if (rc < 0)
		return rc;
	ms = PROBE_MS + 4 * (unsigned)((clock_mono() - began) / MONO_MS);
	while (n < sizeof(in)) {
		ssize_t got = client_recv_soon(c, in + n, sizeof(in) - n, ms);

		if (got == -EAGAIN)
			return 0;
		if (got <= 0)
			return got < 0 ? (int)got : -ECONNRESET;
		n += (size_t)got;
	}
	return 1;
}

static int handshake(struct peer *p, struct client *c)
{
	uint8_t id[STORAGE_ID_SIZE] = { 0 };
	struct client_reply reply = { NULL, 0, 0 };
	int rc;

	memcpy(id, p->st->me.id, strnlen(p->st->me.id, sizeof(id)));
	rc = client_call(c, CMD_report_server_id, id, sizeof(id), &reply);
	return rc > 0 ? -EPROTO : rc;
}

static int connect_to(struct peer *p, const struct addr *to,
    struct client **out)
{
	const struct storage_conf *c = &p->st->conf;
	int64_t io = __atomic_load_n(&c->network_timeout, __ATOMIC_RELAXED);
	int rc = client_open(to, storage_conf_from(c, to),
	    (unsigned)c->connect_timeout * 1000, (unsigned)io * 1000, out);

	if (rc == 0)
		client_set_quit(*out, &p->quit);
	return rc;
}

static int open_once(struct peer *p, const struct addr *to, bool named,
    struct client **out)
{
	int rc = connect_to(p, to, out);

	if (rc == 0 && named)
		rc = handshake(p, *out);
	if (rc == 0)
		return 0;
	client_close(*out);
	*out = NULL;
	return rc;
}

int link_open(struct peer *p, const struct addr *to, bool named)
{
	struct peer_link *l = &p->link;
	struct client *c = NULL;
	int rc;

	/* Another program may be there by now: asked each time. */
	p->one_by_one = false;
	rc = connect_to(p, to, &c);
	if (rc == 0)
		rc = probe(c);
	if (rc == 1)
		rc = named ? handshake(p, c) : 0;
	else if (rc == 0)
		p->one_by_one = true;
	if (rc < 0 || p->one_by_one) {
		client_close(c);
		c = NULL;
	}
	if (rc < 0)
		return rc;
	rc = c ? 0 : open_once(p, to, named, &c);
	if (rc < 0)
		return rc;
	l->client = c;
	l->named = named;
	l->window =
	    p->one_by_one || p->st->conf.sync_interval > 0 || p->lost >= 3
	        ? 1
	        : LINK_WINDOW;
	return 0;
}

void link_close(struct peer *p)
{
	struct peer_link *l = &p->link;

	client_close(l->client);
	l->client = NULL;
	l->first = l->n = l->out_n = l->in_n = 0;
	l->bytes = l->skip = 0;
	l->dead = 0;
	l->asking = false;
}

/* Nothing more can be sent. */
static int failed(struct peer *p, int rc)
{
	if (!p->link.dead && rc != -ECANCELED)
		hear_last_words(p);
	return died(p, rc);
}

int link_flush(struct peer *p)
{
	struct peer_link *l = &p->link;
	int rc = 0;

	if (l->dead)
		return l->dead;
	if (l->out_n > 0)
		rc = client_send(l->client, l->out, l->out_n);
	l->out_n = 0;
	return rc < 0 ? failed(p, rc) : 0;
}

/* --- replies --- */

/* For when the connection is lost with it. */
static void note_refusal(struct peer *p, const struct sent *s, int status)
{
	const bool refused = status_of_peer(status);

	if (refused)
		p->refused_item = s->item;
	p->refused = refused ? status : 0;
}

static void take_one(struct peer *p, int status, const uint8_t *body, size_t n)
{
	struct peer_link *l = &p->link;
	const struct sent *s = &l->ring[l->first];

	l->body_n = size_min(n, sizeof(l->body));
	memcpy(l->body, body, l->body_n);
	/* After a refusal the peer counts no timestamps of this connection
	 * (op.c, count_replica): another one follows when it is repaired. */
	if (status != 0 && status != EEXIST && status != ENOENT)
		l->named = false;
	note_refusal(p, s, status);
	if (s->asked)
		l->status = status;
	else
		peer_reply(p, s, status);
	l->bytes -= s->bytes;
	l->first = (l->first + 1) % LINK_WINDOW;
	l->n--;
}

/* Takes whole replies off the front; -EPROTO for what is none. A long body
 * (FastDFS answers a rename with its request) is skipped. */
static int parse(struct peer *p)
{
	struct peer_link *l = &p->link;
	size_t at = 0;

	for (;;) {
		struct header h;
		size_t have;

		have =
		    (size_t)(l->skip < l->in_n - at ? l->skip : l->in_n - at);
		at += have;
		l->skip -= have;
		if (l->skip > 0 || l->in_n - at < HEADER_SIZE)
			break;
		h = header_get(l->in + at);
		if (h.command != CMD_RESPONSE || h.length < 0 || l->n == 0)
			return -EPROTO;
		have =
		    (size_t)h.length < LINK_BODY ? (size_t)h.length : LINK_BODY;
		if (l->in_n - at < HEADER_SIZE + have)
			break;
		take_one(p, h.status, l->in + at + HEADER_SIZE, have);
		at += HEADER_SIZE;
		l->skip = (uint64_t)h.length;
	}
	l->in_n -= at;
	memmove(l->in, l->in + at, l->in_n);
	return 0;
}

int link_take(struct peer *p)
{
	struct peer_link *l = &p->link;
	ssize_t got;
	int rc = link_flush(p);

	if (rc < 0)
		return rc;
	got = client_recv_some(l->client, l->in + l->in_n, LINK_IN - l->in_n);
	if (got <= 0)
		return died(p, got < 0 ? (int)got : -ECONNRESET);
	l->in_n += (size_t)got;
	rc = parse(p);
	return rc < 0 ? died(p, rc) : 0;
}

int link_drain(struct peer *p)
{
	int rc = link_flush(p);

	while (rc == 0 && p->link.n > 0)
		rc = link_take(p);
	return rc;
}

/* --- requests --- */

int link_room(struct peer *p, uint64_t bytes)
{
	struct peer_link *l = &p->link;
	const size_t low = l->window > LOW_WATER ? LOW_WATER : l->window - 1;
	int rc = l->dead;

	if (rc < 0 ||
	    (l->n < l->window && (l->n == 0 || l->bytes + bytes <= LINK_BYTES)))
		return rc;
	do {
		rc = link_take(p);
	} while (rc == 0 &&
	         (l->n > low || (l->n > 0 && l->bytes + bytes > LINK_BYTES)));
	return rc;
}

struct sent *link_add(struct peer *p, uint8_t command,
    const struct peer_item *item)
{
	struct peer_link *l = &p->link;
	struct sent *s = &l->ring[(l->first + l->n) % LINK_WINDOW];

	memset(s, 0, offsetof(struct sent, pass_name) + 1);
	s->item = *item;
	s->command = command;
	s->asked = l->asking;
	l->n++;
	return s;
}

uint8_t *link_space(struct peer *p, size_t n)
{
	struct peer_link *l = &p->link;

	if (l->out_n + n > LINK_OUT && link_flush(p) < 0)
		return NULL;
	return l->out + l->out_n;
}

int link_put(struct peer *p, const void *bytes, size_t n)
{
	struct peer_link *l = &p->link;
	uint8_t *at;
	int rc;

	if (n > LINK_OUT) {
		rc = link_flush(p);
		if (rc == 0)
			rc = client_send(l->client, bytes, n);
		return rc < 0 ? failed(p, rc) : 0;
	}
	at = link_space(p, n);
	if (!at)
		return l->dead;
	memcpy(at, bytes, n);
	l->out_n += n;
	return 0;
}

int link_send_file(struct peer *p, int fd, uint64_t at, uint64_t n)
{
	int rc = link_flush(p);

	if (rc == 0)
		rc = client_send_file(p->link.client, fd, (off_t)at, n);
	return rc < 0 ? failed(p, rc) : 0;
}
