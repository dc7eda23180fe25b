/* SPDX-License-Identifier: MIT */
/*
 * What the files of meta/ share about a database handle. Nobody outside meta/
 * includes this. Same threads as meta/db.h.
 */
#ifndef META_DB_IMPL_H
#define META_DB_IMPL_H

#include <sqlite3.h>

#include "base/str.h"
#include "meta/db.h"

#define DB_STMTS 256 /* slots; power of two */

/* Where the log stands; kept so that an append needs no query. */
struct db_tail {
	bool known;
	uint64_t seq;
	uint64_t bytes_total;
	uint64_t own_total; /* operations that are not replicas, and bytes */
	uint64_t own_bytes;
};

struct sample_columns; /* meta/sample.c; one allocation */

struct db {
	sqlite3 *h;
	sqlite3 *checkpointer; /* made by and for db_checkpoint */
	enum db_kind kind;
	char *path;
	bool writing;
	bool full; /* a commit waits for the disk */
	int lock_fd;
	struct sample_columns *samples; /* read when first needed */
	struct db_tail tail;            /* DB_LOG, writing */
	struct db_tail committed;       /* the same, without this transaction */
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} stmts[DB_STMTS];
};

/* errno for a SQLite result: 0 for OK, ROW, DONE. */
int db_errno(int sqlite_rc);
/* The statement for a text that lives for ever, reset and without bindings
 * of importance; NULL when it does not compile (db_error says why). */
sqlite3_stmt *db_stmt(struct db *db, const char *sql);
/* Runs to its end, resets. 0 or -errno. */
int db_run(sqlite3_stmt *st);
/* 1 row, 0 end, or -errno; resets when there is no row. */
int db_step(sqlite3_stmt *st);
int db_exec(struct db *db, const char *sql);
/* Runs a statement that gives one number; -ENOENT when it gives none. */
int db_number(struct db *db, const char *sql, int64_t *out);
/* SQLite gave up the whole transaction (disk full, I/O error). */
bool db_lost_transaction(const struct db *db);

/* Text borrowed for the time of the statement. */
void db_bind_span(sqlite3_stmt *st, int at, struct span s);
void db_bind_blob(sqlite3_stmt *st, int at, struct span s);
void db_bind_text(sqlite3_stmt *st, int at, const char *text);
void db_bind_u64(sqlite3_stmt *st, int at, uint64_t n);
/* Never NULL; lives until the next step. */
struct span db_col_span(sqlite3_stmt *st, int at);
const char *db_col_text(sqlite3_stmt *st, int at);
/* Copies text to a buffer of its size. */
void db_col_copy(sqlite3_stmt *st, int at, char *dst, size_t cap);

/* The name of the folder of its SQL, and of a database in a message. */
const char *db_kind_name(enum db_kind kind);
int db_application_id(enum db_kind kind);

#endif
