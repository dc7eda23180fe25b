/* SPDX-License-Identifier: MIT */
/*
 *	HEADER --10 bytes--> HELD --held part--> CONTENT --last byte--> HEADER
 *	   |                  |  (no content: HEADER)
 *	   |                  +--inner lengths wrong--> CONTENT (refused)
 *	   +--not ours, too long or too short--> CONTENT (refused)
 *	   +--impossible length--> BAD
 *
 * HELD of a streamed request has two steps: first the fixed part, whose
 * numbers tell how long the whole held part is. `need` is the step's size,
 * `len` of it are in buf.
 */
#include "proto/framer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"

#define FIRST_CAP 512  /* bytes of a buffer that still grows */
#define KEEP_CAP  4096 /* a larger one is given back after its request */

enum state { HEADER, HELD, CONTENT, BAD };

void framer_init(struct framer *f, enum served_by side)
{
	memset(f, 0, sizeof(*f));
	f->side = side;
	f->state = HEADER;
	f->held = (struct span){ "", 0 };
	f->piece = f->held;
}

void framer_fini(struct framer *f)
{
	free(f->buf);
	f->buf = NULL;
	f->cap = 0;
}

static enum framer_event bad(struct framer *f)
{
	f->state = BAD;
	return FRAMER_BAD;
}

/* What is left of the body comes as content, if there is any. */
static void expect_content(struct framer *f, uint64_t left)
{
	f->left = left;
	f->state = left ? CONTENT : HEADER;
}

static enum framer_event refuse(struct framer *f, uint64_t left)
{
	f->held = (struct span){ "", 0 };
	expect_content(f, left);
	return FRAMER_REFUSED;
}

/* Grows with what has come, so that a peer who announces much and sends
 * little costs little. */
static bool reserve(struct framer *f, size_t len)
{
	size_t cap = f->cap ? f->cap : FIRST_CAP;
	uint8_t *p;

	if (len <= f->cap)
		return true;
	while (cap < len)
		cap *= 2;
	cap = size_min(cap, size_max(f->need, len));
	p = realloc(f->buf, cap);
	if (!p)
		return false;
	f->buf = p;
	f->cap = cap;
	return true;
}

static bool begin(struct framer *f)
{
	const struct command *cmd = command_find(f->header.command);
	const uint64_t length = (uint64_t)f->header.length;

	f->cmd = cmd && (cmd->by & f->side) ? cmd : NULL;
	f->len = 0;
	if (f->cap > KEEP_CAP)
		framer_fini(f);
	if (!f->cmd)
		return false;
	if (!f->cmd->streamed) {
		f->need = (size_t)length;
		return length <= f->cmd->held_max;
	}
	f->need = f->cmd->request->fixed_size;
	return length >= f->need;
}

/* Takes bytes of the header; when it is whole, decides what comes next. */
static enum framer_event feed_header(struct framer *f, const char *p, size_t n,
    size_t *taken)
{
	const size_t take = size_min(n, HEADER_SIZE - f->head_len);

	memcpy(f->head + f->head_len, p, take);
	f->head_len += take;
	*taken = take;
	if (f->head_len < HEADER_SIZE)
		return FRAMER_MORE;
	f->head_len = 0;
	f->header = header_get(f->head);
	f->piece = (struct span){ "", 0 };
	f->held = f->piece;
	f->left = 0;
	if (f->header.length < 0)
		return bad(f);
	if (f->side == BY_TRACKER && f->header.length > TRACKER_BODY_MAX)
		return bad(f);
	if (!begin(f))
		return refuse(f, (uint64_t)f->header.length);
	f->state = HELD;
	return FRAMER_MORE;
}

/* The first `need` bytes of the body are at p. Gives 0 when the request is
 * whole with that, 1 when the held part is longer (need grew), -1 when it is
 * wrong. */
static int check_held(struct framer *f, const char *p)
{
	const struct message *m = f->cmd->request;
	const uint64_t length = (uint64_t)f->header.length;
	uint64_t content;
	ssize_t held;

	if (!f->cmd->streamed)
		return 0;
	held = msg_held_size(m, p, f->need, f->cmd->held_max);
	if (held < 0 || (uint64_t)held > length)
		return -1;
	if (msg_stream_size(m, p, &content) &&
	    content != length - (uint64_t)held)
		return -1;
	if ((size_t)held == f->need)
		return 0;
	f->need = (size_t)held;
	return 1;
}

static enum framer_event request(struct framer *f, const char *held)
{
	f->held = (struct span){ held, f->need };
	expect_content(f, (uint64_t)f->header.length - f->need);
	return FRAMER_REQUEST;
}

/* The held part stands in p as a whole, or is collected in buf. */
static enum framer_event feed_held(struct framer *f, const char *p, size_t n,
    size_t *taken)
{
	int more = 1;

	while (f->len == 0 && n >= f->need && more > 0)
		more = check_held(f, p);
	if (more == 0) {
		*taken = f->need;
		return request(f, p);
	}
	while (more > 0 && *taken < n) {
		const size_t take = size_min(n - *taken, f->need - f->len);

		if (!reserve(f, f->len + take))
			return bad(f);
		memcpy(f->buf + f->len, p + *taken, take);
		f->len += take;
		*taken += take;
		if (f->len < f->need)
			return FRAMER_MORE;
		more = check_held(f, (const char *)f->buf);
	}
	if (more > 0)
		return FRAMER_MORE;
	if (more == 0)
		return request(f, (const char *)f->buf);
	return refuse(f, (uint64_t)f->header.length - f->len);
}

static enum framer_event feed_content(struct framer *f, const char *p, size_t n,
    size_t *taken)
{
	if (n == 0)
		return FRAMER_MORE;
	if (n > f->left)
		n = (size_t)f->left;
	*taken = n;
	f->piece = (struct span){ p, n };
	expect_content(f, f->left - n);
	return FRAMER_CONTENT;
}

size_t framer_feed(struct framer *f, const void *p, size_t n,
    enum framer_event *event)
{
	const char *bytes = n ? p : "";
	size_t head = 0;
	size_t taken = 0;

	*event = FRAMER_BAD;
	if (f->state == HEADER) {
		*event = feed_header(f, bytes, n, &head);
		bytes += head;
		n -= head;
	}
	if (f->state == HELD)
		*event = feed_held(f, bytes, n, &taken);
	else if (f->state == CONTENT && head == 0)
		*event = feed_content(f, bytes, n, &taken);
	return head + taken;
}
