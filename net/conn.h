/* SPDX-License-Identifier: MIT */
/*
 * A server connection: bytes in through the framer, the daemon's handlers,
 * replies and files out, deadlines. A connection belongs to the loop of its
 * hub; every function here is for that thread, but hub_take.
 *
 * A hub is one loop's set of connections with its pool of blocks. Per request
 * the daemon is called with `request`, then for content with `content` until
 * `last`; it answers exactly once with one of the conn_reply functions, at once
 * or later. Until then nothing more is read for it. An answer may be given
 * before all content came: the rest is drained (up to 1 MiB or the deadline,
 * else the connection is closed after the answer was sent).
 *
 * A request that only waits for something may be put off (conn_defer): then
 * the next ones of the connection begin meanwhile. Answers go out in the order
 * of the requests all the same, those of a turn together.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/clock.h"
#include "net/loop.h"
#include "proto/framer.h"

#define CONN_BLOCK_SIZE ((size_t)256 * 1024)

struct conn;
struct hub;

/* What a handler did with the piece or window it was given. */
enum conn_take {
	CONN_TAKEN, /* consumed, go on */
	CONN_LENT   /* still in use by a worker: conn_give_back when done */
};

struct conn_app {
	/* Header and held part are here; f->header, f->cmd, f->held, f->left.
	 * The span is valid until the function returns. */
	void (*request)(struct conn *c, const struct framer *f);
	/* The status for what the framer refuses: not a command of this side,
	 * or a body too long or too short. NULL: EINVAL. */
	int (*refusal)(struct conn *c, const struct framer *f);
	/* A piece of the request's content (never called after the answer).
	 * With CONN_LENT the bytes stay valid and no more is read until
	 * conn_give_back. */
	enum conn_take (
	    *content)(struct conn *c, const void *p, size_t n, bool last);
	/* Before a window of a file reply is sent: have it in memory. NULL:
	 * always is. With CONN_LENT: conn_give_back when it is. */
	enum conn_take (*window)(struct conn *c, int fd, off_t at, size_t n);
	/* The peer is gone in the middle of a request or between two, or the
	 * hub closed it. Called once, when nothing is lent any more; frees
	 * what the daemon keeps at conn_data. */
	void (*closed)(struct conn *c);
};

struct hub_conf {
	enum served_by side;
	const struct conn_app *app;
	void *arg;                /* hub_arg */
	unsigned network_timeout; /* seconds, client-protocol 1.6 */
	size_t blocks;            /* of CONN_BLOCK_SIZE, at most */
	size_t data_size;         /* bytes at conn_data, zeroed for each conn */
	/* Storage: close after a reply with status EINVAL (1.4). */
	bool close_after_einval;
};

/* Connections of all hubs of a process, shared. Relaxed atomics. */
struct conn_counts {
	int alloc, current, max;
};

int hub_new(struct loop *l, const struct hub_conf *conf, struct hub **out);
void *hub_arg(struct hub *h);
struct loop *hub_loop(struct hub *h);
/* Any thread: gives the descriptor to the hub. */
int hub_take(struct hub *h, int fd, const struct addr *peer);
size_t hub_load(const struct hub *h); /* any thread: connections now */
void hub_set_timeout(struct hub *h, unsigned network_timeout); /* any thread */
/* Closes every connection; those with something lent go when it is back. */
void hub_close_all(struct hub *h);
/* After the loop has ended, and with it every worker that could give something
 * back. Connections still held are freed without a word to the daemon. */
void hub_free(struct hub *h);
void conn_counts_get(struct conn_counts *out); /* any thread */

void *conn_data(struct conn *c);
struct hub *conn_hub(struct conn *c);
const struct addr *conn_peer(const struct conn *c);
const char *conn_peer_ip(const struct conn *c); /* text, made once */
/* One taken later (hub_take) has a greater one. */
uint64_t conn_number(const struct conn *c);
/* Did it begin with ACTIVE_TEST? */
bool conn_greeted(const struct conn *c);
/* Is the peer gone while something is lent? Then work may stop early. */
bool conn_dead(const struct conn *c);
/* When the request now running was complete up to its content. */
mono_t conn_started(const struct conn *c);

/* Header and body in one write. The body is copied if it cannot be sent at
 * once. status is an errno (positive) or 0; with status n must be 0. */
void conn_reply(struct conn *c, int status, const void *body, size_t n);
/* A place for a reply's body of at most n <= CONN_REPLY_ROOM bytes, without a
 * copy: fill it, then conn_reply_room. NULL when no block is free. */
#define CONN_REPLY_ROOM ((size_t)64 * 1024)
void *conn_room(struct conn *c, size_t n);
void conn_reply_room(struct conn *c, size_t n);
void conn_drop_room(struct conn *c);
/* Header, then n bytes of the file from `at` by sendfile, in windows of
 * CONN_WINDOW. Takes fd. A file that turns out shorter closes the connection
 * (client-protocol 1.4). */
#define CONN_WINDOW ((size_t)2 * 1024 * 1024)
void conn_reply_file(struct conn *c, int fd, off_t at, uint64_t n);
/* The first n bytes of the file, so too, but the header announces
 * CONN_ENDLESS bytes, which means until the connection ends; it is closed then
 * (cluster-protocol 3.12). */
#define CONN_ENDLESS (UINT64_C(1) << 58)
void conn_reply_endless(struct conn *c, int fd, uint64_t n);
/* An answer that is put off; embedded in what the daemon keeps. */
struct conn_due {
	struct conn_due *next;
	/* The answer is on its way, or its connection is gone: from now on
	 * nothing of the due is used. */
	void (*told)(struct conn_due *due, struct conn *c);
	int status; /* -1: not known yet */
};
/* The present request came whole, nothing of it is lent, and it will be
 * answered by conn_settle: with a status alone, which never closes the
 * connection. The next request may begin before this returns. When
 * CONN_DUE_MAX are put off, the next one waits. */
#define CONN_DUE_MAX 256
void conn_defer(struct conn *c, struct conn_due *due);
/* status: an errno (positive) or 0. Calls `told` of each answer that has its
 * turn now. */
void conn_settle(struct conn *c, struct conn_due *due, int status);
/* Do answers wait that were put off? */
bool conn_has_due(const struct conn *c);
/* Sends what was settled. The hub does so when a turn of the loop ends; for
 * what is settled later in that. */
void hub_flush(struct hub *h);
/* The piece or window that a handler said it borrowed. */
void conn_give_back(struct conn *c);
/* After the answer, if one is owed, or at once. */
void conn_close(struct conn *c);
/* The request may be of any age, the connection idle: a peer that joined. */
void conn_keep(struct conn *c);

#endif
