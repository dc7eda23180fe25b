/* SPDX-License-Identifier: MIT */
/*
 * Three things can be wrong between a catalogue and a log:
 *
 *   a gap      the log was trimmed beyond the cursor, or the catalogue is new
 *              and the log does not start at 1. What the log has is applied,
 *              what is missing stays missing; mark "incomplete" says so until
 *              adopt makes another catalogue.
 *   another    the log was replaced (its id differs, or it ends before the
 *   log        cursor). Its numbers mean other operations; nothing is applied.
 *   unknown    operations on files the catalogue lacks: a data directory that
 *   files      was never adopted. They are applied as far as they say enough.
 */
#include "meta/follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meta/db_impl.h"

#define BURY_EVERY_MS 60000

static int load_cursor(struct follow *f)
{
	sqlite3_stmt *st =
	    db_stmt(f->apply.db, "SELECT seq, log_id FROM cursor WHERE id = 1");
	const int rc = db_step(st);

	if (rc != 1)
		return rc ? rc : -EUCLEAN;
	f->applied = (uint64_t)sqlite3_column_int64(st, 0);
	db_col_copy(st, 1, f->log_id, sizeof(f->log_id));
	sqlite3_reset(st);
	return 0;
}

static int save_cursor(struct follow *f, uint64_t seq)
{
	sqlite3_stmt *st = db_stmt(f->apply.db,
	    "UPDATE cursor SET seq = ?1, log_id = ?2, moved_ms = ?3 "
	    "WHERE id = 1");

	if (!st)
		return db_errno(sqlite3_errcode(f->apply.db->h));
	db_bind_u64(st, 1, seq);
	db_bind_text(st, 2, f->log_id);
	sqlite3_bind_int64(st, 3, clock_wall());
	return db_run(st);
}

static int note_gap(struct follow *f, uint64_t first,
    void (*note)(void *arg, const char *text), void *arg)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "operations %llu to %llu are not in the log any more: the "
	    "catalogue lacks what they did; stop the storage and run "
	    "fdfs-meta adopt",
	    (unsigned long long)f->applied + 1, (unsigned long long)first - 1);
	f->incomplete = true;
	note(arg, text);
	return db_mark_set(f->apply.db, "incomplete", text);
}

int follow_init(struct follow *f, void (*note)(void *arg, const char *text),
    void *arg)
{
	char id[40] = "";
	char text[256];
	const uint64_t first = oplog_first(f->log);
	const uint64_t last = oplog_last(f->log, NULL);
	int rc = load_cursor(f);

	batch_init(&f->batch);
	if (rc)
		return rc;
	rc = db_mark_get(f->log, "log_id", id, sizeof(id));
	if (rc)
		return rc;
	if (db_mark_get(f->apply.db, "incomplete", text, sizeof(text)) == 0) {
		f->incomplete = true;
		note(arg, text);
	}
	if (f->log_id[0] && (strcmp(f->log_id, id) != 0 || last < f->applied)) {
		f->foreign = true;
		note(arg,
		    "the log was replaced: the catalogue cannot follow it; "
		    "stop the storage and run fdfs-meta adopt");
		return 0;
	}
	str_copy(f->log_id, sizeof(f->log_id), id);
	if (!f->incomplete && first > f->applied + 1)
		return note_gap(f, first, note, arg);
	return 0;
}

void follow_fini(struct follow *f)
{
	batch_fini(&f->batch);
}

static int bury_old(struct follow *f)
{
	const wall_t now = clock_wall();
	sqlite3_stmt *st;

	if (f->tombstone_keep_ms <= 0 || now < f->next_bury)
		return 0;
	f->next_bury = now + BURY_EVERY_MS;
	/* in the order of deletion: the oldest ones, a bounded number */
	st = db_stmt(f->apply.db,
	    "DELETE FROM tombstone WHERE id IN (SELECT id FROM (SELECT id, "
	    "deleted_ms FROM tombstone ORDER BY id LIMIT 10000) "
	    "WHERE deleted_ms < ?1)");
	if (!st)
		return db_errno(sqlite3_errcode(f->apply.db->h));
	sqlite3_bind_int64(st, 1, now - f->tombstone_keep_ms);
	return db_run(st);
}

static int apply_batch(struct follow *f)
{
	int rc = 0;

	batch_sort(&f->batch);
	for (size_t i = 0; !rc && i < f->batch.n; i++)
		rc = apply_op(&f->apply, &f->batch.ops[i]);
	return rc ? rc : usage_flush(f->apply.usage, f->apply.db);
}

int follow_step(struct follow *f, int (*more)(void *arg, struct db *db),
    void *arg)
{
	const uint64_t unknown = f->apply.unknown;
	uint64_t last = f->applied;
	int n = f->foreign
	            ? 0
	            : batch_read(&f->batch, f->log, f->applied, FOLLOW_BATCH);
	int rc;

	if (n < 0 || (n == 0 && !more))
		return n;
	if (n > 0)
		last = f->batch.ops[n - 1].seq;
	rc = db_begin(f->apply.db);
	if (!rc && n > 0)
		rc = apply_batch(f);
	if (!rc && n > 0)
		rc = save_cursor(f, last);
	if (!rc)
		rc = bury_old(f);
	if (!rc && more)
		rc = more(arg, f->apply.db);
	if (!rc)
		rc = db_commit(f->apply.db);
	if (rc) {
		db_rollback(f->apply.db);
		usage_drop(f->apply.usage);
		f->apply.unknown = unknown;
		return rc;
	}
	f->applied = last;
	return n;
}
