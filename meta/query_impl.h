/* SPDX-License-Identifier: MIT */
/*
 * The condition of a struct file_filter as SQL with its values beside it;
 * shared by the files of meta/query*.c. One thread.
 */
#ifndef META_QUERY_IMPL_H
#define META_QUERY_IMPL_H

#include "meta/db_impl.h"
#include "meta/query.h"

struct where_value {
	enum { WHERE_NUMBER, WHERE_TEXT } type;
	int64_t number;
	char *text; /* owned */
};

struct where {
	char *sql; /* owned: " WHERE ..." or "" */
	size_t len;
	size_t cap;
	struct where_value *values; /* owned */
	size_t n;
	int rc; /* -EINVAL: the filter makes no sense */
};

/* Conditions on table f (file or tombstone). where_fini in any case. */
void where_make(struct where *w, const struct file_filter *f);
/* One more condition, "?" for each value that is then added. */
void where_add(struct where *w, const char *condition);
void where_number(struct where *w, int64_t n);
void where_text(struct where *w, const char *text, size_t len);
void where_fini(struct where *w);
/* Compiles sql with the conditions in place of its '@' and binds. Gives *out
 * (finalize). */
int where_prepare(struct db *db, const struct where *w, const char *sql,
    sqlite3_stmt **out);

/* The remote name in a full id or remote name. */
const char *query_remote(const char *id);
/* Two hex digits: 0 to 255, or -1. */
int query_hex2(const char *p);
int query_group(struct db *db, char *out, size_t cap);

#endif
