/* SPDX-License-Identifier: MIT */
/*
 * Sequence numbers and running totals are given in memory (struct db_tail) and
 * read from the last row once; a rollback puts them back. The last row is
 * never trimmed, so both go on after any trim and any restart.
 */
#include "meta/oplog.h"

#include <errno.h>

#include "base/macros.h"
#include "meta/db_impl.h"

#define OP_COLUMNS                                                          \
	"seq, at_ms, op, replica, source_time, name, size, offset, bytes, " \
	"crc, client, extra"

const char *op_code_name(enum op_code code)
{
	switch (code) {
	case OP_CREATE:
		return "create";
	case OP_APPEND:
		return "append";
	case OP_MODIFY:
		return "modify";
	case OP_TRUNCATE:
		return "truncate";
	case OP_DELETE:
		return "delete";
	case OP_SET_META:
		return "metadata";
	case OP_RENAME:
		return "rename";
	case OP_LINK:
		return "link";
	}
	return "?";
}

static int load_tail(struct db *db)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT seq, bytes_total, own_total, own_bytes FROM operation "
	    "ORDER BY seq DESC LIMIT 1");
	const int rc = db_step(st);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		db->tail.seq = (uint64_t)sqlite3_column_int64(st, 0);
		db->tail.bytes_total = (uint64_t)sqlite3_column_int64(st, 1);
		db->tail.own_total = (uint64_t)sqlite3_column_int64(st, 2);
		db->tail.own_bytes = (uint64_t)sqlite3_column_int64(st, 3);
		sqlite3_reset(st);
	}
	db->tail.known = true;
	db->committed = db->tail;
	return 0;
}

static int append(struct write *wr, struct db *db)
{
	struct op *op = &container_of(wr, struct op_write, write)->op;
	const char code = (char)op->code;
	int rc = db->tail.known ? 0 : load_tail(db);

	if (rc)
		return rc;

	struct db_tail next = db->tail;

	next.seq++;
	next.bytes_total += op->bytes;
	next.own_total += !op->replica;
	next.own_bytes += op->replica ? 0 : op->bytes;
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO operation (" OP_COLUMNS
	    ", bytes_total, own_total, own_bytes) VALUES (?1, ?2, ?3, ?4, ?5, "
	    "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)");
	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_u64(st, 1, next.seq);
	sqlite3_bind_int64(st, 2, op->at);
	sqlite3_bind_text(st, 3, &code, 1, SQLITE_STATIC);
	sqlite3_bind_int(st, 4, op->replica);
	sqlite3_bind_int64(st, 5, op->source_time);
	db_bind_span(st, 6, op->name);
	db_bind_u64(st, 7, op->size);
	db_bind_u64(st, 8, op->offset);
	db_bind_u64(st, 9, op->bytes);
	sqlite3_bind_int64(st, 10, op->crc);
	db_bind_span(st, 11, op->client);
	db_bind_blob(st, 12, op->extra);
	db_bind_u64(st, 13, next.bytes_total);
	db_bind_u64(st, 14, next.own_total);
	db_bind_u64(st, 15, next.own_bytes);
	rc = db_run(st);
	if (rc)
		return rc;
	op->seq = next.seq;
	db->tail = next;
	return 0;
}

void op_write_init(struct op_write *w)
{
	w->write.apply = append;
}

static void op_of_row(sqlite3_stmt *st, struct op *op)
{
	const struct span code = db_col_span(st, 2);

	op->seq = (uint64_t)sqlite3_column_int64(st, 0);
	op->at = sqlite3_column_int64(st, 1);
	op->code = (enum op_code)(code.n ? code.p[0] : 0);
	op->replica = sqlite3_column_int(st, 3) != 0;
	op->source_time = sqlite3_column_int64(st, 4);
	op->name = db_col_span(st, 5);
	op->size = (uint64_t)sqlite3_column_int64(st, 6);
	op->offset = (uint64_t)sqlite3_column_int64(st, 7);
	op->bytes = (uint64_t)sqlite3_column_int64(st, 8);
	op->crc = (uint32_t)sqlite3_column_int64(st, 9);
	op->client = db_col_span(st, 10);
	op->extra = db_col_span(st, 11);
}

/* A number and, when asked for, a second one of a row of the log. */
static uint64_t two_numbers(struct db *db, const char *sql, uint64_t *second)
{
	sqlite3_stmt *st = db_stmt(db, sql);
	uint64_t first = 0;

	if (second)
		*second = 0;
	if (db_step(st) != 1)
		return 0;
	first = (uint64_t)sqlite3_column_int64(st, 0);
	if (second)
		*second = (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return first;
}

uint64_t oplog_last(struct db *db, uint64_t *bytes_total)
{
	return two_numbers(db,
	    "SELECT seq, bytes_total FROM operation ORDER BY seq DESC LIMIT 1",
	    bytes_total);
}

uint64_t oplog_first(struct db *db)
{
	return two_numbers(db, "SELECT seq FROM operation ORDER BY seq LIMIT 1",
	    NULL);
}

static int read_rows(sqlite3_stmt *st,
    int (*each)(void *arg, const struct op *op), void *arg)
{
	int n = 0;
	int rc;

	while ((rc = db_step(st)) == 1) {
		struct op op;

		op_of_row(st, &op);
		n++;
		rc = each(arg, &op);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : n;
		}
	}
	return rc < 0 ? rc : n;
}

int oplog_read(struct db *db, uint64_t after, size_t max,
    int (*each)(void *arg, const struct op *op), void *arg)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT " OP_COLUMNS
	                " FROM operation WHERE seq > ?1 ORDER BY seq LIMIT ?2");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_u64(st, 1, after);
	db_bind_u64(st, 2, max);
	return read_rows(st, each, arg);
}

int oplog_backlog(struct db *db, uint64_t after, uint64_t *ops, uint64_t *bytes,
    wall_t *oldest)
{
	/* The row after the cursor: its total without its own bytes is the
	 * total at the cursor, also when the cursor's own row was trimmed. */
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT l.seq - f.seq + 1, l.bytes_total - f.bytes_total + "
	    "f.bytes, "
	    "f.at_ms FROM (SELECT * FROM operation WHERE seq > ?1 ORDER BY seq "
	    "LIMIT 1) f, (SELECT * FROM operation ORDER BY seq DESC LIMIT 1) "
	    "l");

	*ops = *bytes = 0;
	*oldest = 0;
	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_u64(st, 1, after);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*ops = (uint64_t)sqlite3_column_int64(st, 0);
	*bytes = (uint64_t)sqlite3_column_int64(st, 1);
	*oldest = sqlite3_column_int64(st, 2);
	sqlite3_reset(st);
	return 0;
}

int oplog_follower_set(struct db *db, const char *name, uint64_t seq, wall_t at)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO follower (name, seq, moved_ms) VALUES (?1, ?2, ?3) "
	    "ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, "
	    "moved_ms = excluded.moved_ms");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, name);
	db_bind_u64(st, 2, seq);
	sqlite3_bind_int64(st, 3, at);
	return db_run(st);
}

int oplog_follower_get(struct db *db, const char *name, uint64_t *seq)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT seq FROM follower WHERE name = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, name);

	const int rc = db_step(st);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	*seq = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

/* Bytes of log: content totals say nothing about rows, so it is rows times
 * what a row takes on disk (82 bytes of facts and names, measured). */
#define ROW_BYTES 96

int oplog_trim(struct db *db, wall_t now, int64_t keep_ms, uint64_t keep_bytes,
    size_t max)
{
	sqlite3_stmt *st = db_stmt(db,
	    "DELETE FROM operation WHERE seq IN (SELECT seq FROM "
	    "(SELECT seq, at_ms FROM operation "
	    "WHERE seq <= (SELECT min(seq) FROM follower) "
	    "AND seq < (SELECT max(seq) FROM operation) "
	    "ORDER BY seq LIMIT ?3) "
	    "WHERE at_ms < ?1 OR seq <= (SELECT max(seq) FROM operation) - "
	    "?2)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, now - keep_ms);
	db_bind_u64(st, 2, keep_bytes / ROW_BYTES);
	db_bind_u64(st, 3, max);

	const int rc = db_run(st);

	return rc ? rc : sqlite3_changes(db->h);
}
