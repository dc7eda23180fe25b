/* SPDX-License-Identifier: MIT */
/*
 * Rows of the log as requests (cluster-protocol 3.6), and what a reply means.
 *
 * A row is a hint: sent is the file as it is now. Why the peer's file is ours
 * in the end, also when rows are sent again after a crash or a repair:
 *
 * Each byte of the peer's file is the value that ours had at some moment t.
 * When ours changed later, a row later than t says so, and its treatment
 * brings the byte up to date: a modify always writes it; an append writes it,
 * or is answered 2 and the whole file is sent, or is answered 17 because the
 * peer's file is longer already. In the last case the byte existed at t and
 * yet was appended after t, so a truncation lies between. That truncation was
 * either carried out by the peer, which took the byte away there too, or it
 * was not answered 0, and then the files are compared by their checksums and
 * the whole file sent if they differ. A range that is gone from our file means
 * the whole file is sent instead of the range. The length follows in the same
 * way: rows after t are carried out in step, or the whole file is sent.
 *
 * A row about a file that we no longer have is passed over; what took the file
 * away has a row later on. If that is a rename, the rename would move on what
 * was never brought up to date: so after such a row the file is sent whole
 * after every rename that the log held then (moved_until). The same rename
 * would move on what the peer has refused before: so a rename is sent when
 * everything before it was answered and repaired, and while something is
 * parked the file is sent whole after it.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/msg.h"
#include "proto/wire.h"
#include "storaged/redo.h"

#define SCAN_ROWS 4096

/* --- what a reply means --- */

static bool info_differs(const struct peer *p, const struct sent *s)
{
	return p->link.body_n < 8 || wire_number(p->link.body, 8) != s->size;
}

static enum peer_cure cure_of(const struct peer *p, const struct sent *s,
    int status)
{
	const bool exists = status == EEXIST;
	const bool none = status == ENOENT;

	switch (s->command) {
	case CMD_active_test:
		return CURE_NONE;
	case CMD_sync_create:
		if (exists && !file_proven(s->item.name))
			return CURE_COMPARE;
		break;
	case CMD_sync_delete:
		if (none)
			return CURE_NONE;
		break;
	case CMD_sync_truncate:
		if (exists || none)
			return CURE_COMPARE;
		break;
	case CMD_sync_rename:
		if (exists)
			return CURE_COMPARE;
		break;
	case CMD_query_file_info:
		if (status == 0 && info_differs(p, s))
			return CURE_REPAIR;
		break;
	default:
		break;
	}
	return status == 0 || exists ? CURE_NONE : CURE_REPAIR;
}

void peer_reply(struct peer *p, const struct sent *s, int status)
{
	const enum peer_cure cure = cure_of(p, s, status);

	if (s->command == CMD_sync_create)
		p->has_much = status == EEXIST;
	else if (s->command == CMD_query_file_info && cure)
		p->has_much = false;
	if (s->command != CMD_active_test)
		peer_sent(p, s->bytes, cure != CURE_REPAIR);
	if (cure)
		peer_fix(p, &s->item, cure, status);
	if (s->pass)
		p->acked = s->pass;
	if (s->pass_name[0])
		str_copy(p->acked_name, sizeof(p->acked_name), s->pass_name);
}

/* --- rows --- */

/* Was the change of that row refused by a disk here, or of one before it? */
static bool is_refused(const struct peer *p, uint64_t seq)
{
	const uint64_t first = redo_first(p->st->redo);

	return first && seq >= first;
}

/* What is looked at must have had the change of the row: it is refused or
 * applied before its name is let go of. false: the row has to wait. */
static bool is_settled(struct peer *p, const char *name)
{
	busy_wait(&p->st->busy, span_of(name), &p->box);
	p->stuck = p->stuck || is_refused(p, p->at);
	return !p->stuck;
}

static int gone(struct peer *p)
{
	p->moved_until = oplog_last(p->log, NULL);
	return 0;
}

static int send_create(struct peer *p, const struct peer_item *item)
{
	int rc;

	if (!file_proven(item->name) && !is_settled(p, item->name))
		return 0;
	rc = put_file(p, CMD_sync_create, item);
	return rc == -ENOENT ? gone(p) : rc;
}

static int send_range(struct peer *p, const struct peer_op *op,
    const struct peer_item *item)
{
	uint8_t command =
	    op->code == OP_APPEND ? CMD_sync_append : CMD_sync_modify;
	int rc;

	if (!is_settled(p, item->name))
		return 0;
	rc = put_range(p, command, item, op->offset, op->bytes);
	if (rc == -ERANGE)
		rc = put_file(p, CMD_sync_update, item);
	return rc == -ENOENT ? gone(p) : rc;
}

static int send_truncate(struct peer *p, const struct peer_op *op,
    const struct peer_item *item)
{
	if (!is_settled(p, item->name))
		return 0;
	if (!file_exists(p, item->name))
		return gone(p);
	return put_truncate(p, item, op->offset, op->size);
}

/* As it is now. */
static int send_meta_of(struct peer *p, const struct peer_item *m)
{
	const int rc = put_file(p, CMD_sync_update, m);

	return rc == -ENOENT ? put_delete(p, m) : rc;
}

/* A slave may have been made again under its name; then the metadata of the
 * one before may be at the peer, and nothing else takes them away. */
static int send_delete(struct peer *p, const struct peer_op *op,
    const struct peer_item *item)
{
	const bool with_meta = op->extra_n == 1 && op->extra[0] == 'm';
	const struct peer_item m = item_of_meta(item, item->name);
	int rc;

	if (!is_settled(p, item->name))
		return 0;
	if (file_exists(p, item->name))
		return with_meta ? send_meta_of(p, &m) : 0;
	rc = put_delete(p, item);
	return rc == 0 && with_meta ? put_delete(p, &m) : rc;
}

static int send_meta(struct peer *p, const struct peer_op *op,
    const struct peer_item *item)
{
	const struct peer_item m = item_of_meta(item, item->name);

	/* What the peer does not take is repaired by a look at our disk. */
	if (!is_settled(p, item->name))
		return 0;
	return op->extra_n > 0 ? put_text(p, &m, op->extra, op->extra_n)
	                       : put_delete(p, &m);
}

static int send_moved_meta(struct peer *p, const struct peer_item *item)
{
	const struct peer_item fresh = item_of_meta(item, item->name);
	const struct peer_item old = item_of_meta(item, item->other);
	int rc = put_file(p, CMD_sync_update, &fresh);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	return file_exists(p, old.name) ? 0 : put_delete(p, &old);
}

/* false: what the peer has refused is repaired first. */
static bool is_answered(struct peer *p)
{
	p->stuck = link_drain(p) < 0 || p->n_fixes > 0;
	return !p->stuck;
}

static int send_rename(struct peer *p, const struct peer_op *op,
    struct peer_item *item)
{
	struct peer_item old = *item;
	int rc;

	str_copy_span(item->other, sizeof(item->other),
	    (struct span){ op->extra, op->extra_n });
	str_copy(old.name, sizeof(old.name), item->other);
	if (!is_settled(p, item->name) || !is_settled(p, item->other) ||
	    !is_answered(p))
		return 0;
	if (!file_exists(p, item->name)) {
		/* moved on or deleted: that has its row */
		if (file_exists(p, item->other))
			return 0;
		gone(p);
		return put_delete(p, &old);
	}
	rc = put_rename(p, item);
	if (rc == 0 && (op->seq <= p->moved_until || p->parked > 0))
		rc = put_file(p, CMD_sync_update, item);
	return rc < 0 ? rc : send_moved_meta(p, item);
}

static int send_row(struct peer *p, const struct peer_op *op,
    struct peer_item *item)
{
	switch (op->code) {
	case OP_CREATE:
	case OP_LINK:
		return send_create(p, item);
	case OP_APPEND:
	case OP_MODIFY:
		return send_range(p, op, item);
	case OP_TRUNCATE:
		return send_truncate(p, op, item);
	case OP_DELETE:
		return send_delete(p, op, item);
	case OP_SET_META:
		return send_meta(p, op, item);
	case OP_RENAME:
		return send_rename(p, op, item);
	}
	log_error("sync_row", "seq=%llu op=%d: no such operation; passed over",
	    (unsigned long long)op->seq, (int)op->code);
	return 0;
}

/* A replica's append, modify and truncate come with the state of the file. */
static int send_state(struct peer *p, const struct peer_item *item)
{
	int rc;

	rc = put_file(p, CMD_sync_update, item);
	return rc == -ENOENT ? gone(p) : rc;
}

static bool is_change(enum op_code code)
{
	return code == OP_APPEND || code == OP_MODIFY || code == OP_TRUNCATE;
}

static bool is_wanted(const struct peer *p, const struct peer_op *op)
{
	/* Later replicas have other senders, whatever their clocks say. */
	return !op->replica || (p->row.source && !p->row.filled &&
	                           op->source_time <= p->row.until);
}

static int treat(struct peer *p, const struct peer_op *op)
{
	struct peer_item item = {
		.seq = op->seq,
		.op = op->code,
		.time = op->source_time,
	};
	int rc = 0;

	str_copy(item.name, sizeof(item.name), op->name);
	if (op->code == OP_CREATE)
		item.time = file_time(item.name, item.time);
	p->at = op->seq;
	p->stuck = is_refused(p, op->seq) || (is_wanted(p, op) && op->replica &&
	                                         !is_settled(p, item.name));
	if (!p->stuck && is_wanted(p, op))
		rc = op->replica && is_change(op->code)
		         ? send_state(p, &item)
		         : send_row(p, op, &item);
	if (p->link.dead)
		return p->link.dead;
	if (rc < 0)
		peer_fix(p, &item, CURE_REPAIR, -rc);
	if (!p->stuck)
		peer_pass(p, op->seq, NULL);
	return 0;
}

/* --- pages --- */

static bool needs_extra(enum op_code code)
{
	return code == OP_DELETE || code == OP_SET_META || code == OP_RENAME;
}

/* Offsets until the page is complete: the arena may move. */
static size_t arena_add(struct peer *p, struct span s)
{
	const size_t at = p->arena_n;

	if (at + s.n > p->arena_cap) {
		p->arena_cap = (at + s.n) * 2;
		p->arena = xrealloc(p->arena, p->arena_cap, 1);
	}
	if (s.n > 0)
		memcpy(p->arena + at, s.p, s.n);
	p->arena_n += s.n;
	return at;
}

static int copy_row(void *arg, const struct op *op)
{
	struct peer *p = arg;
	struct peer_op *o = &p->page[p->page_n++];

	o->seq = op->seq;
	o->code = op->code;
	o->replica = op->replica;
	o->source_time = op->source_time;
	o->size = op->size;
	o->offset = op->offset;
	o->bytes = op->bytes;
	str_copy_span(o->name, sizeof(o->name), op->name);
	o->extra = NULL;
	o->extra_n = 0;
	if (needs_extra(op->code)) {
		o->extra_n = op->extra.n;
		o->bytes = arena_add(p, op->extra);
	}
	return 0;
}

static int read_page(struct peer *p)
{
	int n;

	p->page_n = p->page_at = p->arena_n = 0;
	n = oplog_read(p->log, p->read, PAGE_ROWS, copy_row, p);
	if (n < 0)
		return n;
	for (size_t i = 0; i < p->page_n; i++) {
		struct peer_op *o = &p->page[i];

		if (needs_extra(o->code) && o->extra_n > 0)
			o->extra = p->arena + o->bytes;
	}
	if (p->page_n > 0)
		p->read = p->page[p->page_n - 1].seq;
	return n;
}

int log_step(struct peer *p)
{
	int rc = 0;

	p->stuck = false;
	if (p->page_at == p->page_n)
		rc = read_page(p);
	if (rc < 0)
		return rc;
	if (p->page_n == 0)
		return 0;
	/* What was not taken is repaired before more is sent. */
	while (p->page_at < p->page_n && p->n_fixes == 0) {
		rc = treat(p, &p->page[p->page_at]);
		if (rc < 0)
			return rc;
		if (p->stuck)
			return p->n_fixes > 0;
		p->page_at++;
		if (p->link.window == 1)
			break;
	}
	return 1;
}

/* --- where to begin --- */

struct scan {
	int64_t from;
	uint64_t last, found;
	bool first_is_late, any;
};

static int look_at(void *arg, const struct op *op)
{
	struct scan *s = arg;
	const bool late = op->source_time >= s->from;

	s->last = op->seq;
	if (op->replica)
		return 0;
	if (!s->any)
		s->first_is_late = late;
	s->any = true;
	if (!late)
		return 0;
	s->found = op->seq;
	return 1;
}

int log_find(struct peer *p, int64_t from, uint64_t *seq)
{
	struct scan s = { .from = from };
	const uint64_t first = oplog_first(p->log);
	int n;

	do {
		n = oplog_read(p->log, s.last, SCAN_ROWS, look_at, &s);
	} while (n > 0 && !s.found && !peer_quits(p));
	if (n < 0)
		return n;
	/* What was trimmed may be of that time, too. */
	if (first > 1 && (!s.any || s.first_is_late))
		return -ESTALE;
	*seq = s.found ? s.found - 1 : s.last;
	log_step_back(p, seq);
	return 0;
}

bool log_step_back(const struct peer *p, uint64_t *seq)
{
	const bool back = is_refused(p, *seq);

	if (back)
		*seq = redo_first(p->st->redo) - 1;
	return back;
}
