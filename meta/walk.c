/* SPDX-License-Identifier: MIT */
/*
 * The names are unique and indexed, so a page goes on behind the last name of
 * the one before; what came or went meanwhile is met or not, and is in the log.
 */
#include "meta/walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meta/db_impl.h"

#define COLUMNS                                                       \
	"f.name, f.size, f.type, f.created_ms, f.modified_ms, f.id, " \
	"EXISTS (SELECT 1 FROM attr a WHERE a.file = f.id) FROM file f "

/* Of a store path: all names begin with "Mpp/", and '0' follows '/'. */
static sqlite3_stmt *page(struct db *db, const char *after, int path,
    size_t max)
{
	char first[16] = "";
	char end[16] = "~"; /* behind every name */
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT " COLUMNS
	    "WHERE f.name > ?1 AND f.name < ?2 ORDER BY f.name LIMIT ?3");

	if (!st)
		return NULL;
	if (path >= 0) {
		snprintf(first, sizeof(first), "M%02X/", (unsigned)path & 0xff);
		snprintf(end, sizeof(end), "M%02X0", (unsigned)path & 0xff);
	}
	if (strcmp(after, first) < 0)
		after = first;
	sqlite3_bind_text(st, 1, after, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, end, -1, SQLITE_TRANSIENT);
	db_bind_u64(st, 3, max);
	return st;
}

/* Seconds, also before 1970, as the file system has them. */
static int64_t seconds(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0);
}

static struct walk_file of_row(sqlite3_stmt *st)
{
	return (struct walk_file){
		.name = db_col_span(st, 0),
		.size = (uint64_t)sqlite3_column_int64(st, 1),
		.type = sqlite3_column_int(st, 2),
		.created = seconds(sqlite3_column_int64(st, 3)),
		.modified = seconds(sqlite3_column_int64(st, 4)),
		.id = sqlite3_column_int64(st, 5),
		.has_meta = sqlite3_column_int(st, 6) != 0,
	};
}

int walk_files(struct db *catalogue, const char *after, int path, size_t max,
    int (*each)(void *arg, const struct walk_file *f), void *arg)
{
	sqlite3_stmt *st = page(catalogue, after, path, max);
	int n = 0;
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(catalogue->h));
	while ((rc = db_step(st)) == 1) {
		const struct walk_file f = of_row(st);

		n++;
		rc = each(arg, &f);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : n;
		}
	}
	return rc < 0 ? rc : n;
}

int walk_find(struct db *catalogue, struct span name, struct walk_file *out)
{
	sqlite3_stmt *st =
	    db_stmt(catalogue, "SELECT " COLUMNS "WHERE f.name = ?1");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(catalogue->h));
	db_bind_span(st, 1, name);
	rc = db_step(st);
	if (rc != 1)
		return rc ? rc : -ENOENT;
	*out = of_row(st);
	out->name = name;
	sqlite3_reset(st);
	return 0;
}

/* A row of one or two numbers. */
static int numbers(struct db *db, const char *sql, uint64_t *a, uint64_t *b)
{
	sqlite3_stmt *st = db_stmt(db, sql);
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	rc = db_step(st);
	if (rc != 1)
		return rc ? rc : -EUCLEAN;
	*a = (uint64_t)sqlite3_column_int64(st, 0);
	if (b)
		*b = (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

int walk_position(struct db *catalogue, uint64_t *seq)
{
	return numbers(catalogue, "SELECT seq FROM cursor WHERE id = 1", seq,
	    NULL);
}

int walk_totals(struct db *catalogue, uint64_t *files, uint64_t *bytes)
{
	return numbers(catalogue,
	    "SELECT coalesce(sum(files), 0), coalesce(sum(bytes), 0) "
	    "FROM usage_size",
	    files, bytes);
}
