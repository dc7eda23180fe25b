/* SPDX-License-Identifier: MIT */
/*
 * A SQLite database of ours: open, migrate, identity, statements, transactions,
 * checkpoints, errors as errno. The only header through which other layers
 * see a database. A struct db belongs to one thread at a time.
 */
#ifndef META_DB_H
#define META_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum db_kind { DB_LOG, DB_CATALOGUE, DB_TRACKER };

struct db;

#define DB_ERR_MAX 512

/* Opens for writing; creates and migrates it (schema/<kind>/NNNN_*.sql).
 * full: synchronous=FULL, else NORMAL. Gives *out. On failure -errno and one
 * sentence in err that says what to do: -EUCLEAN damaged (and how to rebuild),
 * -ENOTSUP written by a newer version (both numbers), -EMEDIUMTYPE not ours,
 * -EBUSY, -EACCES, -ENOSPC ... */
int db_open(enum db_kind kind, const char *path, bool full, struct db **out,
    char *err);
/* Read-only, query_only, waits at most 250 ms for a writer; works beside a
 * running daemon, after a clean stop, and in a directory that cannot be
 * written to. Does not migrate. */
int db_open_read(enum db_kind kind, const char *path, struct db **out,
    char *err);
/* Keeps -wal and -shm so that read-only users can open it later. */
void db_close(struct db *db);

const char *db_path(const struct db *db);
/* Does a commit wait for the disk (synchronous = FULL)? */
bool db_is_full(const struct db *db);
/* The last error of this handle in SQLite's words. */
const char *db_error(const struct db *db);

int db_begin(struct db *db); /* IMMEDIATE on a writing handle */
int db_commit(struct db *db);
void db_rollback(struct db *db);

/* One passive or truncating checkpoint on its own connection; for a thread
 * of its own. *wal_pages: pages left in the WAL. */
int db_checkpoint(struct db *db, bool truncate, int *wal_pages);
/* PRAGMA integrity_check; 0 or -EUCLEAN with the first finding in err. */
int db_check(struct db *db, char *err);

/* Small facts kept in table `mark`: clean stop, identities, counters. */
int db_mark_get(struct db *db, const char *key, char *value, size_t cap);
int db_mark_set(struct db *db, const char *key, const char *value);

#endif
