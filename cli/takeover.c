/* SPDX-License-Identifier: MIT */
/*
 * A line becomes a row when a sender could still do something with it: its
 * file is there (it is gone, for a delete). What stock's sender would skip is
 * skipped here, and so the catalogue, which replays the rows over what it
 * found on the disk, never learns of a file that is not there. Cursors count
 * rows, so a skipped line moves none.
 */
#include "cli/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "meta/oplog.h"
#include "meta/peers.h"
#include "proto/fileid.h"

#define ROWS_A_COMMIT 20000
#define META_MAX      ((size_t)1024 * 1024)

int mark_numbers(char *text, uint64_t *out, size_t n)
{
	size_t i = 0;
	char *save = NULL;

	for (char *word = strtok_r(text, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (i == n || str_to_u64(word, &out[i++]) < 0)
			return -EINVAL;
	}
	return i == n ? 0 : -EINVAL;
}

int takeover_end(struct db *log, struct takeover_end *out)
{
	char text[160];
	uint64_t n[4] = { 0 };
	int rc = db_mark_get(log, TAKEOVER_MARK, text, sizeof(text));

	if (rc == 0)
		rc = mark_numbers(text, n, ARRAY_LEN(n));
	if (rc < 0)
		return rc;
	out->at = (wall_t)n[0];
	out->pos.index = (unsigned)n[1];
	out->pos.offset = n[2];
	out->seq = n[3];
	return 0;
}

static void sync_dir(const struct stores *s, char out[BINLOG_PATH_MAX])
{
	struct strbuf b = strbuf_over(out, BINLOG_PATH_MAX);

	strbuf_addf(&b, "%s/data/sync", s->base_path);
}

bool takeover_possible(const struct stores *s)
{
	char sync[BINLOG_PATH_MAX];
	unsigned index;

	if (!s->base_path[0])
		return false;
	sync_dir(s, sync);
	return binlog_current(sync, &index);
}

/* --- one line ------------------------------------------------------------ */

/* Rows up to now are before the marks that stand at or before this place. */
static void place_peers(struct takeover *t, const struct binlog_pos *at)
{
	for (size_t i = 0; i < t->n_peers; i++) {
		struct takeover_peer *p = &t->peers[i];

		if (!p->placed && binlog_cmp(&p->p.mark.pos, at) <= 0) {
			p->placed = true;
			p->seq = t->rows;
			p->waiting = t->own; /* turned round at the end */
		}
	}
}

/* Size of the file of a name; -1 when it is not there. */
static int64_t size_of(const struct takeover *t, const char *name, bool meta)
{
	char path[BINLOG_PATH_MAX];
	struct stat st;

	if (stores_path(t->stores, name, meta, path, sizeof(path)) < 0 ||
	    stat(path, &st) < 0)
		return -1;
	return (int64_t)st.st_size;
}

static int add_row(struct takeover *t, const struct binlog_line *l,
    struct op *op)
{
	struct op_write w = { .op = *op };
	int rc;

	t->rows++;
	t->own += !l->replica;
	if (!t->log)
		return 0;
	w.op.at = l->time * 1000;
	w.op.source_time = l->time;
	w.op.replica = l->replica;
	op_write_init(&w);
	rc = w.write.apply(&w.write, t->log);
	if (rc == 0 && t->rows % ROWS_A_COMMIT == 0) {
		rc = db_commit(t->log);
		if (rc == 0)
			rc = db_begin(t->log);
	}
	return rc;
}

/* The text of the side file now is what a peer must get. */
static int add_meta(struct takeover *t, const struct binlog_line *l,
    const char *name)
{
	struct op op = { .code = OP_SET_META, .name = span_of(name) };
	const int64_t size = size_of(t, name, false);
	char path[BINLOG_PATH_MAX];
	char *text = NULL;
	ssize_t n = -ENOENT;
	int rc;

	if (stores_path(t->stores, name, true, path, sizeof(path)) == 0)
		n = fs_read_file(path, META_MAX, &text);
	if ((l->op == 'D') != (n < 0) || (n >= 0 && size < 0)) {
		free(text);
		t->skipped++; /* it came or went afterwards, or its file did */
		return 0;
	}
	op.size = size < 0 ? 0 : (uint64_t)size;
	if (n >= 0)
		op.extra = (struct span){ text, (size_t)n };
	rc = add_row(t, l, &op);
	free(text);
	return rc;
}

/* A rename whose new name has gone since leaves the old one to be deleted. */
static int add_rename(struct takeover *t, const struct binlog_line *l,
    int64_t size, struct op *op)
{
	char old[BINLOG_NAME_MAX + 1];

	if (size >= 0) {
		op->extra = l->other;
		return add_row(t, l, op);
	}
	str_copy_span(old, sizeof(old), l->other);
	op->code = OP_DELETE;
	op->name = l->other;
	op->size = 0;
	if (size_of(t, old, false) < 0)
		return add_row(t, l, op);
	t->skipped++;
	return 0;
}

static void describe(const struct binlog_line *l, uint64_t size, struct op *op)
{
	struct fileid_name n;

	op->name = l->name;
	op->size = size;
	op->code = (enum op_code)l->op;
	switch (l->op) {
	case 'A':
	case 'M':
		op->offset = l->a;
		op->bytes = l->b;
		break;
	case 'T':
		op->offset = l->a;
		break;
	case 'U': /* the whole file was written anew */
		op->code = OP_MODIFY;
		op->bytes = size;
		break;
	case 'C':
		op->bytes = size;
		if (fileid_parse(l->name, &n) == 0 && n.has_record &&
		    n.type == FILE_NORMAL)
			op->crc = n.id.crc;
		break;
	case 'L':
		op->extra = l->other;
		break;
	default:
		break;
	}
}

static int add_line(struct takeover *t, const struct binlog_line *l)
{
	char name[BINLOG_NAME_MAX + 1];
	struct op op = { .client = { "", 0 } };
	int64_t size;

	str_copy_span(name, sizeof(name), fileid_owner(l->name));
	if (fileid_is_side(l->name))
		return strchr("CUD", l->op) ? add_meta(t, l, name) : 0;
	size = size_of(t, name, false);
	describe(l, size < 0 ? 0 : (uint64_t)size, &op);
	if (l->op == 'R')
		return add_rename(t, l, size, &op);
	if ((l->op == 'D') != (size < 0)) {
		t->skipped++;
		return 0;
	}
	return add_row(t, l, &op);
}

static int on_line(void *arg, const struct binlog_pos *at,
    const struct binlog_line *l)
{
	struct takeover *t = arg;

	place_peers(t, at);
	t->lines++;
	if (!l) {
		t->broken++;
		if (t->broken <= 20)
			log_warn("takeover_line",
			    "binlog.%03u at %" PRIu64
			    ": not understood, left out",
			    at->index, at->offset);
		return 0;
	}
	return add_line(t, l);
}

/* --- the whole ----------------------------------------------------------- */

static int load_peers(struct takeover *t, char *err, size_t cap)
{
	struct binlog_peer *found = NULL;
	const ssize_t n = binlog_peers(t->sync, &found, err, cap);

	if (n < 0)
		return (int)n;
	t->peers = xcalloc((size_t)n + 1, sizeof(*t->peers));
	t->n_peers = (size_t)n;
	for (size_t i = 0; i < t->n_peers; i++)
		t->peers[i].p = found[i];
	free(found);
	return 0;
}

/* Where to read from: the smallest mark, or only the end. */
static int first_needed(const struct takeover *t, struct binlog_pos *from)
{
	bool found = false;

	memset(from, 0, sizeof(*from));
	for (size_t i = 0; i < t->n_peers; i++) {
		const struct binlog_pos *at = &t->peers[i].p.mark.pos;

		if (!found || binlog_cmp(at, from) < 0)
			*from = *at;
		found = true;
	}
	if (!found)
		(void)binlog_current(t->sync, &from->index);
	return found;
}

static int on_nothing(void *arg, const struct binlog_pos *at,
    const struct binlog_line *l)
{
	(void)arg;
	(void)at;
	(void)l;
	return 0;
}

static int read_rows(struct takeover *t, char *err, size_t cap)
{
	struct binlog_pos from;
	const bool any = first_needed(t, &from);
	const struct binlog_reader r = { any ? on_line : on_nothing, t };
	int rc = binlog_read(t->sync, &from, &r, &t->end, err, cap);

	if (rc < 0 && !err[0])
		snprintf(err, cap, "cannot write the log: %s", errstr(rc));
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < t->n_peers; i++)
		t->peers[i].beyond =
		    binlog_cmp(&t->peers[i].p.mark.pos, &t->end) > 0;
	for (size_t i = 0; i < t->n_peers; i++) {
		struct takeover_peer *p = &t->peers[i];

		if (!p->placed) {
			p->seq = t->rows;
			p->waiting = t->own;
		}
		p->waiting = t->own - p->waiting;
	}
	return 0;
}

static int write_peers(struct takeover *t)
{
	const wall_t now = clock_wall();
	char text[160];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n_peers; i++) {
		const struct takeover_peer *p = &t->peers[i];
		const struct binlog_mark *m = &p->p.mark;
		struct peer_row row = {
			.seq = p->seq,
			.moved = now,
			.phase = PEER_DOWN,
			.phase_since = now,
			.source = m->need_sync_old,
			.filled = !m->need_sync_old || m->sync_old_done,
			.until = m->until,
			.sent_ops = m->synced,
		};

		str_copy(row.id, sizeof(row.id), p->p.id);
		if (p->p.has_port)
			snprintf(row.address, sizeof(row.address), "%s:%u",
			    p->p.id, (unsigned)t->stores->port);
		rc = peers_put(t->log, &row);
	}
	snprintf(text, sizeof(text), "%" PRId64 " %u %" PRIu64 " %" PRIu64,
	    now / 1000, t->end.index, t->end.offset, t->rows);
	if (rc == 0)
		rc = db_mark_set(t->log, TAKEOVER_MARK, text);
	/* Nothing of it was begun here that recovery could have to end. */
	return rc ? rc : db_mark_set(t->log, "state", "clean");
}

int takeover_read(struct takeover *t, const struct stores *s, struct db *log,
    char *err, size_t cap)
{
	int rc;

	memset(t, 0, sizeof(*t));
	t->stores = s;
	t->log = log;
	err[0] = '\0';
	sync_dir(s, t->sync);
	rc = load_peers(t, err, cap);
	if (rc == 0 && log)
		rc = db_begin(log);
	if (rc == 0)
		rc = read_rows(t, err, cap);
	if (rc == 0 && log) {
		rc = write_peers(t);
		if (rc == 0)
			rc = db_commit(log);
	}
	if (rc < 0 && log)
		db_rollback(log);
	if (rc < 0 && !err[0])
		snprintf(err, cap, "cannot write the log: %s", errstr(rc));
	return rc;
}

void takeover_free(struct takeover *t)
{
	free(t->peers);
	t->peers = NULL;
	t->n_peers = 0;
}
