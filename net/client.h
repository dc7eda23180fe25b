/* SPDX-License-Identifier: MIT */
/*
 * The asking side of the protocol: a blocking connection with deadlines, for
 * threads that may wait (tracker sessions, tools). One thread at a time; only
 * client_abort may come from another.
 *
 * Results: 0 success; positive: the status the peer answered with; negative:
 * -errno of our own side (-ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, -EPROTO for
 * an answer that is none). After a negative result only close is useful.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "proto/command.h"
#include "proto/msg.h"

struct client;

/* from: source address or NULL. Gives *out. */
int client_open(const struct addr *to, const struct addr *from,
    unsigned connect_ms, unsigned io_ms, struct client **out);
void client_close(struct client *c); /* NULL is fine */
void client_abort(struct client *c); /* any thread: ends a wait */
/* From now on a wait also ends, within a fifth of a second, when *quit (set
 * by another thread, atomically) is true: -ECANCELED. NULL: no more. */
void client_set_quit(struct client *c, const bool *quit);
const struct addr *client_peer(const struct client *c);
const struct addr *client_local(const struct client *c);

/* Where a whole reply goes. */
struct client_reply {
	void *buf;
	size_t cap;
	size_t n; /* the body's length, out */
};

/* Request with a whole body; the whole reply. One that is longer than cap is
 * -EMSGSIZE. */
int client_call(struct client *c, uint8_t command, const void *body, size_t n,
    struct client_reply *reply);
/* Request and reply as messages; reply NULL: must be empty (a body is
 * drained). The reply's spans point into the client's own buffer, valid until
 * the next call. Dialects are told by length. */
int client_ask(struct client *c, uint8_t command, const struct message *req,
    const void *in, const struct message *reply, void *out);
/* The message that `client_ask` decoded with (its dialect). */
const struct message *client_dialect(const struct client *c);

/* In parts: head announces the whole body length. */
int client_send_head(struct client *c, uint8_t command, uint8_t status,
    uint64_t length, const void *part, size_t n);
int client_send(struct client *c, const void *p, size_t n);
int client_send_file(struct client *c, int fd, off_t at, uint64_t n);
int client_recv_head(struct client *c, uint64_t *length);
int client_recv(struct client *c, void *p, size_t n);
/* What is there, at most cap bytes; 0 at the end of the connection. */
ssize_t client_recv_some(struct client *c, void *p, size_t cap);
/* The same, but waits ms at most: -EAGAIN when nothing came. */
ssize_t client_recv_soon(struct client *c, void *p, size_t cap, unsigned ms);
/* Whole body of at most max into the client's buffer (grows). */
int client_recv_body(struct client *c, uint64_t length, size_t max,
    const void **body);

#endif
