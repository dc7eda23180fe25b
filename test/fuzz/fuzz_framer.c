/* SPDX-License-Identifier: MIT */
/*
 * Byte 0: side; byte 1: how the rest, a stream of requests, is cut up. The
 * events must not depend on the cuts, and each must keep its promises.
 */
#include <string.h>

#include "base/macros.h"
#include "base/sum.h"
#include "proto/framer.h"
#include "proto/msg.h"
#include "test/fuzz/fuzz.h"

#define EVENTS_MAX 64

/* An event, and the content that came with it, without regard to pieces. */
struct seen {
	enum framer_event event;
	const struct command *cmd;
	uint32_t held_sum, content_sum;
	size_t held_n, content_n;
	uint64_t end; /* where the body ends in the stream */
};

struct log {
	struct seen seen[EVENTS_MAX];
	size_t n;
};

static void check_request(const struct framer *f)
{
	promise(f->cmd && (f->cmd->by & f->side), "a request is ours");
	promise(f->header.command == f->cmd->code, "the row is the code's");
	promise(f->held.n <= f->cmd->held_max, "held part within its limit");
	promise(f->held.n + f->left == (uint64_t)f->header.length,
	    "held part and content are the body");
	if (f->cmd->streamed) {
		uint64_t size;

		promise(f->held.n >= f->cmd->request->fixed_size,
		    "the fixed part is held");
		if (msg_stream_size(f->cmd->request, f->held.p, &size))
			promise(size == f->left, "content as announced");
	} else {
		promise(f->left == 0, "plain requests have no content");
	}
}

static void note(struct log *l, const struct framer *f, enum framer_event event,
    uint64_t at)
{
	struct seen *s;

	if (event == FRAMER_CONTENT) {
		promise(l->n > 0, "content follows something");
		s = &l->seen[l->n - 1];
		promise(f->piece.n > 0, "content is not empty");
		if (s->event == FRAMER_REQUEST) {
			s->content_sum =
			    sum_crc32(s->content_sum, f->piece.p, f->piece.n);
			s->content_n += f->piece.n;
		}
		promise(at + f->left == s->end, "content ends with the body");
		return;
	}
	s = &l->seen[l->n++];
	*s = (struct seen){ .event = event, .cmd = f->cmd };
	s->end = at + f->left;
	if (event == FRAMER_BAD)
		return;
	s->held_n = f->held.n;
	s->held_sum = sum_crc32(0, f->held.p, f->held.n);
	if (event == FRAMER_REQUEST)
		check_request(f);
}

/* The next piece of 1 to 32 bytes, from a small generator. */
static size_t next_cut(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return 1 + (*seed >> 27);
}

static void run(enum served_by side, const uint8_t *data, size_t n,
    uint32_t seed, struct log *l)
{
	enum framer_event event = FRAMER_MORE;
	struct framer f;
	size_t at = 0;

	l->n = 0;
	framer_init(&f, side);
	while (at < n && l->n < EVENTS_MAX && event != FRAMER_BAD) {
		const size_t want = seed ? next_cut(&seed) : n;
		const size_t end = at + size_min(want, n - at);

		do {
			/* a copy of just that size shows reads beyond it */
			const size_t size = end - at;
			uint8_t *piece = malloc(size ? size : 1);
			size_t taken;

			promise(piece != NULL, "there is memory");
			memcpy(piece, data + at, size);
			taken = framer_feed(&f, piece, size, &event);
			promise(taken <= size, "takes no more than there is");
			promise(event != FRAMER_MORE || taken == size,
			    "MORE has taken all");
			at += taken;
			if (event != FRAMER_MORE)
				note(l, &f, event, at);
			free(piece);
		} while (at < end && l->n < EVENTS_MAX && event != FRAMER_BAD);
	}
	if (event == FRAMER_BAD) {
		promise(framer_feed(&f, "x", 1, &event) == 0 &&
		            event == FRAMER_BAD,
		    "BAD is final");
	}
	promise(f.cap <= TRACKER_BODY_MAX, "the buffer is bounded");
	framer_fini(&f);
}

static bool same(const struct seen *a, const struct seen *b)
{
	return a->event == b->event && a->cmd == b->cmd &&
	       a->held_sum == b->held_sum && a->held_n == b->held_n &&
	       a->content_sum == b->content_sum &&
	       a->content_n == b->content_n && a->end == b->end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct log whole;
	static struct log split;
	enum served_by side;

	if (n < 2)
		return 0;
	side = data[0] & 1 ? BY_TRACKER : BY_STORAGE;
	run(side, data + 2, n - 2, 0, &whole);
	run(side, data + 2, n - 2, data[1] + 1U, &split);
	promise(whole.n == split.n, "as many events however it is cut");
	for (size_t i = 0; i < whole.n; i++)
		promise(same(&whole.seen[i], &split.seen[i]),
		    "the same events however it is cut");
	return 0;
}
