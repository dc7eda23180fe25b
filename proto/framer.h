/* SPDX-License-Identifier: MIT */
/*
 * Incremental parser of one direction of a connection, server side: bytes in;
 * events out. It knows nothing of sockets: the daemons, the golden replays
 * and the fuzzers drive the same function. One thread per framer.
 *
 * States: HEADER -> (HELD ->) (CONTENT ->) HEADER; any -> BAD (final).
 */
#ifndef PROTO_FRAMER_H
#define PROTO_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/command.h"

enum framer_event {
	FRAMER_MORE,    /* all bytes taken, nothing complete */
	FRAMER_REQUEST, /* header and held part are complete: cmd, held, left */
	FRAMER_REFUSED, /* answer EINVAL; left bytes of body follow as content
	                 */
	FRAMER_CONTENT, /* a piece of content: piece; last when left == 0 */
	FRAMER_BAD      /* negative or oversized length, or no memory: close */
};

struct framer {
	/* out: valid until the next framer_feed */
	struct header header;
	const struct command *cmd; /* NULL: unknown code */
	struct span held;          /* body (plain) or part before the content */
	struct span piece;
	uint64_t left; /* content bytes still to come after this event */
	/* what the server at hand accepts */
	enum served_by side;
	/* own */
	int state;
	uint8_t head[HEADER_SIZE]; /* partial header */
	size_t head_len;
	uint8_t *buf; /* partial held part; grows to the need */
	size_t cap, len, need;
};

void framer_init(struct framer *f, enum served_by side);
void framer_fini(struct framer *f);

/* Takes bytes up to and with the next event; gives how many were taken. A
 * request whose bytes are all in p is not copied (held points into p); one
 * that arrives in pieces is collected in a buffer of just its size.
 *
 * FRAMER_REFUSED comes at once, before any content, for: an unknown command
 * or one of the other daemon (cmd == NULL); a plain command whose body is
 * longer than its row allows; a streamed command whose body is shorter than
 * its fixed part or whose inner lengths are negative, above the row's limit or
 * do not add up to the body length. What is left of its body comes as
 * FRAMER_CONTENT so that the caller can answer first and then drain.
 * A body of zero length gives FRAMER_REQUEST with held.n == 0. A streamed
 * request with no content gives only FRAMER_REQUEST with left == 0.
 * A tracker (side BY_TRACKER) gives FRAMER_BAD for bodies longer than
 * TRACKER_BODY_MAX; both sides for negative lengths. */
size_t framer_feed(struct framer *f, const void *p, size_t n,
    enum framer_event *event);

#endif
