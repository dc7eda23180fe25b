/* SPDX-License-Identifier: MIT */
/* The inside of a connection, shared by conn.c, conn_out.c and hub.c only. */
#ifndef NET_CONN_IMPL_H
#define NET_CONN_IMPL_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/pool.h"
#include "net/conn.h"

/*
 *            request          last content
 *   HEADER ----------> CONTENT -----------> RUNNING
 *     ^  \______________________________________^  |
 *     |        request without content             | answer given
 *     |                                            v
 *     +------------------- answer sent --------- REPLY <--- CONTENT (early)
 *     |                                            |
 *     +---- rest of the content swallowed -- DRAIN <+
 *
 * A request that is put off goes from RUNNING to HEADER; its answer is kept in
 * the list of dues and then in `late`. A REPLY goes out when both are empty.
 *
 * any -> CLOSING: freed as soon as nothing is lent and no answer is owed by
 * the daemon.
 */
enum conn_state {
	CONN_HEADER,
	CONN_CONTENT,
	CONN_RUNNING,
	CONN_REPLY,
	CONN_DRAIN,
	CONN_CLOSING
};

#define CONN_DRAIN_MAX  ((size_t)1024 * 1024)
#define CONN_SMALL_OUT  512
#define CONN_LINGER_SEC 2
#define CONN_LATE_SIZE  ((size_t)CONN_DUE_MAX * HEADER_SIZE)

struct conn {
	TAILQ_ENTRY(conn) link;
	struct hub *hub;
	int fd;
	uint64_t number;
	bool greeted; /* its first request was ACTIVE_TEST */
	bool spoken;  /* there was a request */
	enum conn_state state;
	struct event rd, wr;
	bool reading;     /* rd is added */
	bool writing;     /* wr is added */
	bool inside;      /* conn_input is on the stack */
	bool buried;      /* on the hub's dead list until the turn ends */
	bool owed;        /* the daemon owes an answer */
	bool lent;        /* a piece or window is at a worker */
	bool close_after; /* when the answer is out */
	bool lingering;   /* write side shut, waiting for the peer's FIN */
	bool mid_header;  /* a request has begun to arrive */
	bool proven;      /* answered one request: may idle for ever */
	struct framer fr;

	uint8_t *block; /* bytes [pos, end) wait to be parsed */
	size_t pos, end;
	bool spilled; /* block is not of the pool but allocated */
	struct pool_waiter waiter;

	uint8_t *room;
	uint8_t *out; /* small or allocated */
	size_t out_pos, out_end;
	uint8_t small[CONN_SMALL_OUT];
	int file;
	off_t file_at;
	uint64_t file_left;
	uint64_t window_left;
	uint64_t drained;

	TAILQ_ENTRY(conn) late_link;
	bool is_late; /* on the hub's list of those to flush */
	struct conn_due *due, **due_tail;
	size_t n_due;
	uint8_t *late; /* answers of dues, CONN_LATE_SIZE bytes */
	size_t late_n;

	mono_t since; /* the present wait began */
	mono_t moved; /* last byte in or out */
	mono_t started;
	uint64_t span; /* bytes the present wait is about */
	struct addr peer;
	char peer_ip[ADDR_IP_MAX];
	_Alignas(16) uint8_t data[];
};

struct hub {
	struct loop *loop;
	struct hub_conf conf;
	struct pool pool;
	TAILQ_HEAD(conn_list, conn) conns;
	struct conn_list dead; /* freed when the turn ends */
	struct conn_list late; /* with answers to send when it ends */
	struct timer *tick;
	size_t count;
	bool closing;
};

void conn_enter(struct conn *c, enum conn_state to);
void conn_input(struct conn *c);
void conn_output(struct conn *c);
/* The answer is out: what comes next. */
void conn_answered(struct conn *c);
/* The socket is done for: CLOSING, and buried if nothing holds it. A conn
 * stays readable until the turn of the loop ends. */
void conn_shut(struct conn *c);
void conn_free_if_idle(struct conn *c);
void conn_watch_read(struct conn *c, bool on);
void conn_watch_write(struct conn *c, bool on);
void conn_on_readable(evutil_socket_t fd, short what, void *arg);
void conn_on_writable(evutil_socket_t fd, short what, void *arg);
void conn_check_deadline(struct conn *c, mono_t now);
void conn_drop_output(struct conn *c);
/* Must a reply wait for those that were put off? */
bool conn_is_behind(const struct conn *c);
bool conn_due_full(const struct conn *c);
void conn_flush_late(struct conn *c);
void conn_release_block(struct conn *c);
void hub_uncount(struct hub *h);
struct conn *conn_new(struct hub *h, int fd, const struct addr *peer);

#endif
