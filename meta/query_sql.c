/* SPDX-License-Identifier: MIT */
/*
 * SQL of a person. Three fences: the handle is read-only, query_only is on,
 * and an authorizer lets only reading compile, so that the refusal is a clear
 * sentence before anything runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "meta/query_impl.h"

/* Pragmas that say something and set nothing. */
static const char *const pragmas[] = { "table_info", "table_xinfo",
	"table_list", "index_list", "index_info", "index_xinfo",
	"database_list", "user_version", "application_id", "page_count",
	"page_size", "freelist_count", "foreign_key_list", "compile_options",
	"function_list", "integrity_check", "quick_check" };

static int allow_pragma(const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(pragmas); i++)
		if (!strcmp(pragmas[i], name))
			return strstr(name, "_version") ||
			               strstr(name, "_id") ||
			               !strcmp(name, "page_size")
			           ? (value ? SQLITE_DENY : SQLITE_OK)
			           : SQLITE_OK;
	return SQLITE_DENY;
}

static int authorize(void *arg, int action, const char *a, const char *b,
    const char *database, const char *view)
{
	bool *refused = arg;
	int rc = SQLITE_DENY;

	(void)database;
	(void)view;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		rc =
		    b && !strcmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
		break;
	case SQLITE_PRAGMA:
		rc = allow_pragma(a, b);
		break;
	default:
		break;
	}
	if (rc != SQLITE_OK)
		*refused = true;
	return rc;
}

static void value_of(sqlite3_stmt *st, int i, struct query_value *v)
{
	memset(v, 0, sizeof(*v));
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		v->type = QUERY_INTEGER;
		v->integer = sqlite3_column_int64(st, i);
		break;
	case SQLITE_FLOAT:
		v->type = QUERY_REAL;
		v->real = sqlite3_column_double(st, i);
		break;
	case SQLITE_TEXT:
		v->type = QUERY_TEXT;
		v->text = db_col_span(st, i);
		break;
	case SQLITE_BLOB:
		v->type = QUERY_BLOB;
		v->text = db_col_span(st, i);
		break;
	default:
		v->type = QUERY_NULL;
	}
}

struct asked {
	int (*columns)(void *arg, size_t n, const char *const *names);
	int (*row)(void *arg, size_t n, const struct query_value *values);
	void *arg;
	int64_t rows;
};

static int give_columns(struct asked *q, sqlite3_stmt *st, size_t n)
{
	const char **names = xcalloc(n, sizeof(*names));
	int rc;

	for (size_t i = 0; i < n; i++)
		names[i] = sqlite3_column_name(st, (int)i);
	rc = q->columns(q->arg, n, names);
	free(names);
	return rc;
}

static int run_one(struct asked *q, sqlite3_stmt *st)
{
	const size_t n = (size_t)sqlite3_column_count(st);
	struct query_value *values = xcalloc(n, sizeof(*values));
	int rc = n > 0 ? give_columns(q, st, n) : 0;

	while (!rc && (rc = db_step(st)) == 1) {
		for (size_t i = 0; i < n; i++)
			value_of(st, (int)i, &values[i]);
		q->rows++;
		rc = q->row(q->arg, n, values);
	}
	free(values);
	return rc;
}

static int explain(struct db *db, bool refused, int rc, char *err)
{
	if (refused) {
		snprintf(err, DB_ERR_MAX,
		    "only statements that read are allowed here");
		return -EACCES;
	}
	snprintf(err, DB_ERR_MAX, "%s", sqlite3_errmsg(db->h));
	return rc;
}

int64_t query_sql(struct db *db, const char *sql,
    int (*columns)(void *arg, size_t n, const char *const *names),
    int (*row)(void *arg, size_t n, const struct query_value *values),
    void *arg, char *err)
{
	struct asked q = { columns, row, arg, 0 };
	bool refused = false;
	int rc = 0;

	sqlite3_set_authorizer(db->h, authorize, &refused);
	while (!rc && *sql) {
		sqlite3_stmt *st = NULL;

		rc = db_errno(sqlite3_prepare_v2(db->h, sql, -1, &st, &sql));
		if (!rc && st && !sqlite3_stmt_readonly(st))
			refused = true;
		if (rc || refused) {
			rc = explain(db, refused, rc, err);
		} else if (st) {
			rc = run_one(&q, st);
			if (rc < 0)
				explain(db, refused, rc, err);
		}
		sqlite3_finalize(st);
	}
	sqlite3_set_authorizer(db->h, NULL, NULL);
	return rc < 0 ? rc : q.rows;
}
