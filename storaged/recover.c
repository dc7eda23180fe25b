/* SPDX-License-Identifier: MIT */
/*
 * Two passes: the first notes for each name (by a 64-bit hash) the last
 * operation that made or removed it, changed its length, or set its metadata;
 * the second carries out those last ones of the tail again. Each is idempotent.
 *
 * The first pass goes back a million rows, however old: it decides which files
 * are nobody's, and the clock may have been set while the daemon ran. A file
 * made before the oldest row it has read is left alone.
 */
#include "storaged/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/oplog.h"
#include "storaged/op.h"
#include "storaged/orphans.h"
#include "storaged/recover_row.h"
#include "storaged/recover_tail.h"

#define TAIL_MS  INT64_C(600000)
#define SLACK_MS INT64_C(60000) /* rows are not quite in order of time */
#define PAGE     1000

struct recovery {
	struct stores *stores;
	struct db *log;
	struct names names;
	struct recover_result *result;
	uint64_t last; /* sequence number of the row just read */
	wall_t first_at;
	uint64_t after; /* the last row before the run */
	wall_t least;   /* when the run's first row was made, by the clock */
	uint64_t first_failed; /* 0: none */
	uint64_t refused;      /* the first that a disk refused; 0: none */
	uint32_t source;       /* in the names made here */
};

/* --- pass 1 --- */

/* What was done to an earlier file of that name is over; but a file that a
 * peer has sent again keeps its metadata. */
static void note_presence(struct recovery *r, struct span name,
    const struct op *op, bool gone)
{
	struct name_note *n = names_note(&r->names, name);

	n->presence = op->seq;
	n->gone = gone;
	n->length = 0;
	if (op->code != OP_CREATE || !recover_is_staged(op))
		n->meta = 0;
}

static int note(void *arg, const struct op *op)
{
	struct recovery *r = arg;

	if (r->result->rows++ == 0)
		r->first_at = op->at;
	r->last = op->seq;
	switch (op->code) {
	case OP_CREATE:
	case OP_LINK:
	case OP_DELETE:
		note_presence(r, op->name, op, op->code == OP_DELETE);
		break;
	case OP_RENAME:
		note_presence(r, op->name, op, false);
		note_presence(r, op->extra, op, true);
		break;
	case OP_APPEND:
	case OP_MODIFY:
	case OP_TRUNCATE:
		names_note(&r->names, op->name)->length = op->seq;
		break;
	case OP_SET_META:
		names_note(&r->names, op->name)->meta = op->seq;
		break;
	}
	return 0;
}

/* --- pass 2 --- */

/* Is it the last one of its kind? Pass 1 has made a note of each. */
static bool is_last(struct recovery *r, const struct op *op)
{
	const struct name_note *n = names_note(&r->names, op->name);
	bool gone = n->gone;

	switch (op->code) {
	case OP_CREATE:
	case OP_DELETE:
		return n->presence == op->seq;
	case OP_RENAME:
		return !gone &&
		       names_note(&r->names, op->extra)->presence == op->seq;
	case OP_SET_META:
		return n->meta == op->seq && !gone;
	case OP_TRUNCATE:
	case OP_APPEND:
	case OP_MODIFY:
		return n->length == op->seq && !gone;
	default:
		return false;
	}
}

static void note_failure(struct recovery *r, const struct op *op, int rc)
{
	const bool moves = op->code == OP_RENAME;
	struct recover_result *out = r->result;
	struct recover_left *left;

	out->left = xrealloc(out->left, out->failed + 1, sizeof(*out->left));
	left = &out->left[out->failed++];
	*left = (struct recover_left){ .seq = op->seq, .error = rc };
	str_copy_span(left->name, sizeof(left->name),
	    moves ? op->extra : op->name);
	if (moves)
		str_copy_span(left->other, sizeof(left->other), op->name);
	if (!r->first_failed)
		r->first_failed = op->seq;
	log_error("recover_failed", "seq=%llu op=%c name=%.*s: %s",
	    (unsigned long long)op->seq, (char)op->code, (int)op->name.n,
	    op->name.p, errstr(rc));
}

/* Was it refused, as far as that can be told? Of a file that was changed later
 * its first content is not what it holds. */
static bool was_refused(struct recovery *r, const struct op *op)
{
	return r->refused && op->seq >= r->refused &&
	       (op->code != OP_CREATE ||
	           names_note(&r->names, op->name)->length == 0);
}

static int redo(void *arg, const struct op *op)
{
	struct recovery *r = arg;
	int rc = 0;

	r->last = op->seq;
	if (op->seq > r->after && (r->least == 0 || op->at < r->least))
		r->least = op->at;
	if (is_last(r, op))
		rc = recover_row(r->stores, op, was_refused(r, op));
	if (rc > 0)
		r->result->redone++;
	if (rc < 0)
		note_failure(r, op, rc);
	return 0;
}

/* --- both passes --- */

static int walk(struct recovery *r, uint64_t after,
    int (*each)(void *arg, const struct op *op))
{
	int n;

	r->last = after;
	do {
		n = oplog_read(r->log, r->last, PAGE, each, r);
	} while (n > 0);
	return n;
}

/* What still cannot be carried out is tried again (redo.h), also at the next
 * start. */
static int mark_failed(struct recovery *r)
{
	char text[32] = "";

	if (r->first_failed)
		snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)r->first_failed);
	else if (tail_unapplied(r->log) == 0)
		return 0;
	return db_mark_set(r->log, MARK_UNAPPLIED, text);
}

/* A file made elsewhere was a peer's to send, and is not sent on. */
static int record_orphan(void *arg, const struct orphan *o)
{
	struct recovery *r = arg;
	struct op_write w = { .op = { .code = OP_CREATE,
		                  .at = clock_wall(),
		                  .replica = o->source != r->source,
		                  .source_time = o->time,
		                  .name = span_of(o->name),
		                  .size = o->size,
		                  .bytes = o->size,
		                  .crc = o->crc,
		                  .client = span_of("recovery") } };
	int rc = db_begin(r->log);

	if (rc < 0)
		return rc;
	op_write_init(&w);
	rc = w.write.apply(&w.write, r->log);
	if (rc == 0)
		rc = db_commit(r->log);
	if (rc < 0)
		db_rollback(r->log);
	return rc;
}

static void sweep(struct recovery *r, wall_t since)
{
	struct stores *s = r->stores;
	struct orphan_sweep orphans = {
		.known = &r->names,
		.since = since,
		.record = record_orphan,
		.arg = r,
	};

	for (size_t i = 0; i < s->n; i++) {
		struct store_path *p = &s->paths[i];

		if (p->readonly)
			continue;
		/* Content staged for an operation that failed is kept. */
		if (!r->first_failed)
			r->result->dropped += orphans_empty_incoming(p);
		orphans_settle(p, s->conf.subdirs, &orphans);
	}
	r->result->orphans = orphans.moved;
	r->result->recorded = orphans.recorded;
}

int recover_run(struct stores *s, struct db *log,
    const struct recover_from *from, struct recover_result *out)
{
	struct recovery r = { .stores = s,
		.log = log,
		.result = out,
		.source = from->source,
		.after = from->after };
	uint64_t total;
	uint64_t last = oplog_last(log, &total);
	wall_t since = tail_end(log, last) - TAIL_MS;
	struct tail tail;
	int rc;

	memset(out, 0, sizeof(*out));
	if (since < from->since_ms)
		since = from->since_ms;
	tail = tail_of(log, last, since, from->after);
	r.refused = tail_unapplied(log);
	names_init(&r.names);
	rc = walk(&r, tail.noted, note);
	if (rc == 0)
		rc = walk(&r, tail.redone, redo);
	/* The clock was set back meanwhile. */
	if (r.least && r.least < from->since_ms)
		since = r.least;
	/* Rows before these are not known, or no longer there. */
	if (tail.noted > 0 && since < r.first_at + SLACK_MS)
		since = r.first_at + SLACK_MS;
	if (rc == 0)
		sweep(&r, since);
	if (rc == 0)
		rc = mark_failed(&r);
	names_fini(&r.names);
	return rc;
}

void recover_clean(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->paths[i].readonly)
			(void)orphans_empty_incoming(&s->paths[i]);
}
