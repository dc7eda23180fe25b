/* SPDX-License-Identifier: MIT */
/*
 * Handles, statements, transactions, checkpoints. Opening stands in
 * meta/db_open.c.
 *
 * SQLite itself is used without its mutexes: a handle belongs to one thread
 * at a time. The checkpointer is a second connection inside the same struct
 * that only db_checkpoint touches; it belongs to the thread that calls that.
 */
#include "meta/db_impl.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int db_errno(int sqlite_rc)
{
	switch (sqlite_rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_INTERRUPT:
		return -EINTR;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -EFBIG;
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
	case SQLITE_MISUSE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static size_t stmt_slot(const char *sql)
{
	const uint64_t n = (uint64_t)(uintptr_t)sql;

	return (size_t)((n * UINT64_C(0x9e3779b97f4a7c15)) >> 40) &
	       (DB_STMTS - 1);
}

sqlite3_stmt *db_stmt(struct db *db, const char *sql)
{
	size_t at = stmt_slot(sql);

	for (size_t i = 0; i < DB_STMTS; i++, at = (at + 1) & (DB_STMTS - 1)) {
		if (db->stmts[at].sql == sql)
			return db->stmts[at].stmt;
		if (!db->stmts[at].sql)
			break;
	}
	sqlite3_stmt *st = NULL;

	if (db->stmts[at].sql)
		return NULL; /* as many statements as slots: a bug */
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st,
	        NULL) != SQLITE_OK)
		return NULL;
	db->stmts[at].sql = sql;
	db->stmts[at].stmt = st;
	return st;
}

int db_step(sqlite3_stmt *st)
{
	if (!st)
		return -EINVAL;

	const int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	return db_errno(rc);
}

int db_run(sqlite3_stmt *st)
{
	int rc = 1;

	while (rc == 1)
		rc = db_step(st);
	return rc;
}

int db_exec(struct db *db, const char *sql)
{
	return db_errno(sqlite3_exec(db->h, sql, NULL, NULL, NULL));
}

int db_number(struct db *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			*out = sqlite3_column_int64(st, 0);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? -ENOENT : db_errno(rc);
}

bool db_lost_transaction(const struct db *db)
{
	return sqlite3_get_autocommit(db->h) != 0;
}

void db_bind_span(sqlite3_stmt *st, int at, struct span s)
{
	sqlite3_bind_text(st, at, s.p ? s.p : "", (int)s.n, SQLITE_STATIC);
}

void db_bind_blob(sqlite3_stmt *st, int at, struct span s)
{
	if (s.n > 0)
		sqlite3_bind_blob(st, at, s.p, (int)s.n, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

void db_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text ? text : "", -1, SQLITE_STATIC);
}

void db_bind_u64(sqlite3_stmt *st, int at, uint64_t n)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

struct span db_col_span(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);

	return (struct span){ p ? p : "",
		p ? (size_t)sqlite3_column_bytes(st, at) : 0 };
}

const char *db_col_text(sqlite3_stmt *st, int at)
{
	const char *p = (const char *)sqlite3_column_text(st, at);

	return p ? p : "";
}

void db_col_copy(sqlite3_stmt *st, int at, char *dst, size_t cap)
{
	str_copy_span(dst, cap, db_col_span(st, at));
}

const char *db_path(const struct db *db)
{
	return db->path;
}

const char *db_error(const struct db *db)
{
	return sqlite3_errmsg(db->h);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < DB_STMTS; i++)
		sqlite3_finalize(db->stmts[i].stmt);
	sqlite3_close(db->checkpointer);
	sqlite3_close(db->h);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	free(db->samples);
	free(db->path);
	free(db);
}

int db_begin(struct db *db)
{
	db->committed = db->tail;
	return db_run(db_stmt(db, db->writing ? "BEGIN IMMEDIATE" : "BEGIN"));
}

int db_commit(struct db *db)
{
	const int rc = db_run(db_stmt(db, "COMMIT"));

	if (!rc)
		db->committed = db->tail;
	return rc;
}

void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->h))
		db_run(db_stmt(db, "ROLLBACK"));
	db->tail = db->committed;
}

static int open_checkpointer(struct db *db)
{
	int keep = 1;
	int rc = sqlite3_open_v2(db->path, &db->checkpointer,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	/* No busy wait: a truncating checkpoint would hold up commits. The
	 * look at the schema is what tells SQLite that there is a WAL. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db->checkpointer,
		    "PRAGMA wal_autocheckpoint = 0; PRAGMA schema_version",
		    NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(db->checkpointer, "main",
		    SQLITE_FCNTL_PERSIST_WAL, &keep);
	if (rc != SQLITE_OK) {
		sqlite3_close(db->checkpointer);
		db->checkpointer = NULL;
	}
	return db_errno(rc);
}

int db_checkpoint(struct db *db, bool truncate, int *wal_pages)
{
	int pages = 0;
	int done = 0;

	if (!db->checkpointer) {
		const int rc = open_checkpointer(db);

		if (rc)
			return rc;
	}
	const int rc = sqlite3_wal_checkpoint_v2(db->checkpointer, "main",
	    truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
	    &pages, &done);

	if (wal_pages)
		*wal_pages = pages - done;
	return db_errno(rc);
}

int db_check(struct db *db, char *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, "PRAGMA integrity_check(1)", -1, &st,
	    NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		rc = db_errno(rc);
		snprintf(err, DB_ERR_MAX, "%s: %s", db->path, db_error(db));
	} else if (strcmp(db_col_text(st, 0), "ok") != 0) {
		rc = -EUCLEAN;
		snprintf(err, DB_ERR_MAX, "%s: %s", db->path,
		    db_col_text(st, 0));
	} else {
		rc = 0;
	}
	sqlite3_finalize(st);
	return rc;
}

int db_mark_get(struct db *db, const char *key, char *value, size_t cap)
{
	sqlite3_stmt *st = db_stmt(db, "SELECT value FROM mark WHERE key = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, key);

	const int rc = db_step(st);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	db_col_copy(st, 0, value, cap);
	sqlite3_reset(st);
	return 0;
}

int db_mark_set(struct db *db, const char *key, const char *value)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO mark (key, value) VALUES (?1, ?2) "
	    "ON CONFLICT (key) DO UPDATE SET value = excluded.value");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, key);
	db_bind_text(st, 2, value);
	return db_run(st);
}
