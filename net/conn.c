/* SPDX-License-Identifier: MIT */
/*
 * The input side: socket to block, block to framer, framer to the daemon. One
 * block is taken when the socket is readable and given back as soon as its
 * bytes are parsed, so an idle connection holds none; a piece of content at a
 * worker keeps its block, and the kernel's socket buffer fills meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn_impl.h"
#include "net/sock.h"

#define SPAN_MAX_KIB (UINT64_C(1) << 32) /* 4 TiB; as seconds: for ever */
#define ACK_BELOW    4096 /* bytes read at once; more are acknowledged anyway */

static const uint8_t conn_next[] = {
	[CONN_HEADER] =
	    BIT(CONN_CONTENT) | BIT(CONN_RUNNING) | BIT(CONN_CLOSING),
	[CONN_CONTENT] =
	    BIT(CONN_RUNNING) | BIT(CONN_REPLY) | BIT(CONN_CLOSING),
	[CONN_RUNNING] = BIT(CONN_REPLY) | BIT(CONN_HEADER) | BIT(CONN_CLOSING),
	[CONN_REPLY] = BIT(CONN_HEADER) | BIT(CONN_DRAIN) | BIT(CONN_CLOSING),
	[CONN_DRAIN] = BIT(CONN_HEADER) | BIT(CONN_CLOSING),
	[CONN_CLOSING] = 0,
};

void conn_enter(struct conn *c, enum conn_state to)
{
	if (!(conn_next[c->state] & BIT(to))) {
		log_error("conn_state", "from=%d to=%d", (int)c->state,
		    (int)to);
		abort();
	}
	c->state = to;
}

static void on_block(struct pool_waiter *w)
{
	struct conn *c = container_of(w, struct conn, waiter);

	conn_watch_read(c, true);
}

struct conn *conn_new(struct hub *h, int fd, const struct addr *peer)
{
	struct conn *c = xcalloc(1, sizeof(*c) + h->conf.data_size);

	c->hub = h;
	c->fd = fd;
	c->file = -1;
	c->peer = *peer;
	c->since = c->moved = clock_mono();
	c->waiter.ready = on_block;
	c->due_tail = &c->due;
	addr_ip(peer, c->peer_ip, sizeof(c->peer_ip));
	framer_init(&c->fr, h->conf.side);
	event_assign(&c->rd, loop_base(h->loop), fd, EV_READ | EV_PERSIST,
	    conn_on_readable, c);
	event_assign(&c->wr, loop_base(h->loop), fd, EV_WRITE | EV_PERSIST,
	    conn_on_writable, c);
	return c;
}

void conn_watch_read(struct conn *c, bool on)
{
	if (on == c->reading || (on && c->state == CONN_CLOSING))
		return;
	c->reading = on;
	if (on)
		(void)event_add(&c->rd, NULL);
	else
		(void)event_del(&c->rd);
}

void conn_watch_write(struct conn *c, bool on)
{
	if (on == c->writing)
		return;
	c->writing = on;
	if (on)
		(void)event_add(&c->wr, NULL);
	else
		(void)event_del(&c->wr);
}

void conn_release_block(struct conn *c)
{
	uint8_t *block = c->block;

	c->block = NULL;
	c->pos = c->end = 0;
	if (c->spilled)
		free(block);
	else if (block)
		pool_put(&c->hub->pool, block);
	c->spilled = false;
}

/* Requests sent ahead wait for the present answer, which may take its time:
 * they must not keep a block from others meanwhile. */
static void spill(struct conn *c)
{
	size_t n = c->end - c->pos;
	uint8_t *copy = c->spilled ? NULL : malloc(n);

	if (!copy)
		return;
	memcpy(copy, c->block + c->pos, n);
	conn_release_block(c);
	c->block = copy;
	c->spilled = true;
	c->end = n;
}

void conn_free_if_idle(struct conn *c)
{
	struct hub *h = c->hub;

	if (c->lent || c->buried || c->state != CONN_CLOSING || c->owed ||
	    c->due)
		return;
	c->buried = true;
	if (c->is_late)
		TAILQ_REMOVE(&h->late, c, late_link);
	TAILQ_REMOVE(&h->conns, c, link);
	TAILQ_INSERT_TAIL(&h->dead, c, link);
	if (h->conf.app->closed)
		h->conf.app->closed(c);
	conn_release_block(c);
	conn_drop_output(c);
	framer_fini(&c->fr);
	hub_uncount(h);
}

void conn_shut(struct conn *c)
{
	conn_watch_read(c, false);
	conn_watch_write(c, false);
	pool_unwait(&c->hub->pool, &c->waiter);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	/* While content comes nothing but a lent piece can be under way. */
	if (c->state == CONN_CONTENT)
		c->owed = false;
	conn_enter(c, CONN_CLOSING);
	conn_free_if_idle(c);
}

/* Has the connection something to wait for before it may read on? */
static bool must_wait(const struct conn *c)
{
	return c->lent || c->state == CONN_RUNNING || c->state == CONN_REPLY ||
	       c->state == CONN_CLOSING ||
	       (c->state == CONN_HEADER &&
	           (conn_due_full(c) || c->close_after));
}

static void begin_wait(struct conn *c, uint64_t span)
{
	c->since = c->moved;
	c->span = span;
}

/* Closed instead of answered (client-protocol 1.5), but not before what was
 * asked earlier is answered. */
static void got_quit(struct conn *c)
{
	c->owed = false;
	if (conn_is_behind(c) && c->state == CONN_RUNNING) {
		c->close_after = true;
		conn_enter(c, CONN_HEADER);
		return;
	}
	conn_shut(c);
}

static void got_request(struct conn *c)
{
	const struct conn_app *app = c->hub->conf.app;

	c->mid_header = false;
	c->owed = true;
	c->started = c->moved;
	begin_wait(c, c->fr.left);
	conn_enter(c, c->fr.left ? CONN_CONTENT : CONN_RUNNING);
	if (!c->spoken)
		c->greeted = c->fr.header.command == CMD_active_test;
	c->spoken = true;
	if (c->fr.header.command == CMD_quit)
		got_quit(c);
	else if (c->fr.header.command == CMD_active_test)
		conn_reply(c, 0, NULL, 0);
	else
		app->request(c, &c->fr);
}

static void got_refused(struct conn *c)
{
	const struct conn_app *app = c->hub->conf.app;

	c->mid_header = false;
	c->owed = true;
	c->started = c->moved;
	begin_wait(c, c->fr.left);
	conn_enter(c, CONN_RUNNING);
	if (c->fr.header.command == CMD_quit)
		got_quit(c);
	else
		conn_reply(c, app->refusal ? app->refusal(c, &c->fr) : EINVAL,
		    NULL, 0);
}

static void got_content(struct conn *c)
{
	const struct conn_app *app = c->hub->conf.app;
	struct span piece = c->fr.piece;
	bool last = c->fr.left == 0;

	if (c->state == CONN_DRAIN) {
		c->drained += piece.n;
		if (c->drained > CONN_DRAIN_MAX) {
			conn_shut(c);
		} else if (last) {
			conn_enter(c, CONN_HEADER);
			begin_wait(c, 0);
		}
		return;
	}
	if (last)
		conn_enter(c, CONN_RUNNING);
	if (app->content(c, piece.p, piece.n, last) == CONN_LENT)
		c->lent = true;
}

static void on_event(struct conn *c, enum framer_event ev)
{
	switch (ev) {
	case FRAMER_REQUEST:
		got_request(c);
		break;
	case FRAMER_REFUSED:
		got_refused(c);
		break;
	case FRAMER_CONTENT:
		got_content(c);
		break;
	case FRAMER_BAD:
		conn_shut(c);
		break;
	case FRAMER_MORE:
		break;
	}
}

/* Parses what the block holds as far as the connection may go. */
void conn_input(struct conn *c)
{
	enum framer_event ev;

	c->inside = true;
	while (c->pos < c->end && !must_wait(c)) {
		if (c->state == CONN_HEADER && !c->mid_header) {
			c->mid_header = true;
			begin_wait(c, 0);
		}
		c->pos += framer_feed(&c->fr, c->block + c->pos,
		    c->end - c->pos, &ev);
		on_event(c, ev);
	}
	c->inside = false;
	if (c->state == CONN_CLOSING)
		return;
	if (c->pos == c->end && !c->lent)
		conn_release_block(c);
	else if (c->pos < c->end && !c->lent)
		spill(c);
	if (!must_wait(c))
		conn_watch_read(c, true);
}

/* In the middle of a request. */
static bool wants_more(const struct conn *c)
{
	return (c->state == CONN_HEADER && c->mid_header) ||
	       c->state == CONN_CONTENT;
}

static void swallow(struct conn *c)
{
	uint8_t buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n > 0)
		c->drained += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
	    c->drained > CONN_DRAIN_MAX)
		conn_shut(c);
}

/* It has asked all it wanted to ask. */
static bool waits_for_answers(const struct conn *c)
{
	return c->state == CONN_HEADER && !c->mid_header && conn_is_behind(c);
}

void conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n;

	(void)what;
	if (c->lingering) {
		swallow(c);
		return;
	}
	if (must_wait(c) || c->block) {
		conn_watch_read(c, false);
		return;
	}
	c->block = pool_get(&c->hub->pool);
	if (!c->block) {
		conn_watch_read(c, false);
		pool_wait(&c->hub->pool, &c->waiter);
		return;
	}
	n = recv(fd, c->block, CONN_BLOCK_SIZE, 0);
	if (n <= 0) {
		conn_release_block(c);
		if (n == 0 && waits_for_answers(c))
			c->close_after = true;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			conn_shut(c);
		return;
	}
	c->moved = clock_mono();
	c->pos = 0;
	c->end = (size_t)n;
	conn_input(c);
	/* FastDFS's programs send what comes after a head only once the head
	 * is acknowledged (Nagle), which we would put off for 40 ms. */
	if (n < ACK_BELOW && wants_more(c))
		sock_ack_now(fd);
}

void conn_give_back(struct conn *c)
{
	c->lent = false;
	if (c->state == CONN_CLOSING) {
		conn_free_if_idle(c);
		return;
	}
	c->moved = clock_mono();
	if (c->state == CONN_REPLY)
		conn_output(c);
	else if (!c->inside)
		conn_input(c);
}

void conn_answered(struct conn *c)
{
	c->proven = true;
	if (c->close_after) {
		/* The peer must read the answer before a reset can reach it. */
		(void)shutdown(c->fd, SHUT_WR);
		c->lingering = true;
		c->drained = 0;
		c->since = clock_mono();
		conn_enter(c, CONN_DRAIN);
		conn_release_block(c);
		conn_watch_read(c, true);
		return;
	}
	if (c->fr.left > 0) {
		c->drained = 0;
		conn_enter(c, CONN_DRAIN);
	} else {
		conn_enter(c, CONN_HEADER);
	}
	begin_wait(c, c->fr.left);
	if (!c->inside)
		conn_input(c);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSING)
		return;
	c->close_after = true;
	if (!c->owed && c->state != CONN_REPLY && !c->lingering &&
	    !conn_is_behind(c))
		conn_shut(c);
}

void conn_defer(struct conn *c, struct conn_due *due)
{
	due->next = NULL;
	due->status = -1;
	*c->due_tail = due;
	c->due_tail = &due->next;
	c->n_due++;
	c->owed = false;
	conn_enter(c, CONN_HEADER);
	begin_wait(c, 0);
	if (!c->inside)
		conn_input(c);
}

/* 10 waits, and for long bodies at least a kilobyte a second. */
static bool overdue(const struct conn *c, mono_t now)
{
	mono_t limit =
	    __atomic_load_n(&c->hub->conf.network_timeout, __ATOMIC_RELAXED) *
	    MONO_SEC;
	uint64_t kib = c->span / 1024;
	mono_t total =
	    10 * limit + (kib < SPAN_MAX_KIB ? kib : SPAN_MAX_KIB) * MONO_SEC;

	if (c->state == CONN_HEADER)
		total = 2 * limit;
	return now - c->moved > limit || now - c->since > total;
}

/* Has the peer sent what we have not taken yet? Then we are the late ones: no
 * block was free, or the machine is busy. */
static bool bytes_wait(const struct conn *c)
{
	char byte;

	return c->state != CONN_REPLY &&
	       recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void conn_check_deadline(struct conn *c, mono_t now)
{
	if (c->lent || c->due || c->state == CONN_RUNNING ||
	    c->state == CONN_CLOSING)
		return;
	if (c->lingering) {
		if (now - c->since > CONN_LINGER_SEC * MONO_SEC)
			conn_shut(c);
		return;
	}
	if (c->state == CONN_HEADER && !c->mid_header && c->proven &&
	    c->late_n == 0)
		return;
	if (overdue(c, now) && !bytes_wait(c))
		conn_shut(c);
}

void *conn_data(struct conn *c)
{
	return c->data;
}

struct hub *conn_hub(struct conn *c)
{
	return c->hub;
}

const struct addr *conn_peer(const struct conn *c)
{
	return &c->peer;
}

uint64_t conn_number(const struct conn *c)
{
	return c->number;
}

bool conn_greeted(const struct conn *c)
{
	return c->greeted;
}

const char *conn_peer_ip(const struct conn *c)
{
	return c->peer_ip;
}

bool conn_dead(const struct conn *c)
{
	return c->state == CONN_CLOSING;
}

mono_t conn_started(const struct conn *c)
{
	return c->started;
}

void conn_keep(struct conn *c)
{
	c->proven = true;
	sock_watch(c->fd);
}
