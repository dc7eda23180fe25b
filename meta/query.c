/* SPDX-License-Identifier: MIT */
/*
 * Files. Rows are copied out a page at a time and given to the caller after
 * the statement is done, so that a caller who waits (for a pager, a socket)
 * holds no snapshot; the next page goes on behind the last row by its key.
 * Pages grow, because an order without an index is sorted again for each.
 */
#include "meta/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "meta/query_impl.h"

#define PAGE_FIRST 256
#define PAGE_LAST  16384

#define FILE_COLUMNS                                                          \
	"f.id, f.name, f.orig, f.ext, f.source, f.client, f.size, f.crc, "    \
	"f.type, f.path, f.dir, f.created_ms, f.modified_ms, f.verified_ms, " \
	"f.verify_result, f.last_seq, 0, 0, ''"
#define TOMBSTONE_COLUMNS                                                     \
	"f.id, f.name, f.orig, coalesce(f.ext, ''), coalesce(f.source, ''), " \
	"coalesce(f.client, ''), coalesce(f.size, 0), f.crc, "                \
	"coalesce(f.type, 0), 0, 0, coalesce(f.created_ms, 0), "              \
	"coalesce(f.created_ms, 0), NULL, NULL, f.id, 1, f.deleted_ms, "      \
	"f.deleted_by"

/* One row with its texts behind it. */
struct copied {
	struct file_row row;
	char texts[];
};

const char *query_remote(const char *id)
{
	const char *slash = strchr(id, '/');

	/* "M00/..." is a remote name; a group comes before "/M" */
	return slash && slash[1] == 'M' ? slash + 1 : id;
}

int query_group(struct db *db, char *out, size_t cap)
{
	const int rc = db_mark_get(db, "group", out, cap);

	if (rc == -ENOENT)
		out[0] = '\0';
	return rc == -ENOENT ? 0 : rc;
}

/* --- rows ---------------------------------------------------------------- */

static const char *append(char **at, struct span a, const char *b)
{
	const char *start = *at;
	const size_t n = strlen(b);

	memcpy(*at, a.p, a.n);
	memcpy(*at + a.n, b, n + 1);
	*at += a.n + n + 1;
	return start;
}

/* A remote name "M00/HH/LL/..." says what a tombstone does not keep. */
static void place_of_name(struct file_row *r)
{
	const bool long_enough = strlen(r->remote) > 9;
	const int path = long_enough ? query_hex2(r->remote + 1) : -1;

	if (path < 0)
		return;
	r->path = (unsigned)path;
	snprintf(r->dir, sizeof(r->dir), "%.5s", r->remote + 4);
}

static void numbers_of_row(sqlite3_stmt *st, struct file_row *r)
{
	const unsigned dir = (unsigned)sqlite3_column_int(st, 10);

	r->seq = sqlite3_column_int64(st, 0);
	r->size = (uint64_t)sqlite3_column_int64(st, 6);
	r->has_crc = sqlite3_column_type(st, 7) != SQLITE_NULL;
	r->crc = (uint32_t)sqlite3_column_int64(st, 7);
	r->type = sqlite3_column_int(st, 8);
	r->path = (unsigned)sqlite3_column_int(st, 9);
	snprintf(r->dir, sizeof(r->dir), "%02X/%02X", (dir >> 8) & 0xff,
	    dir & 0xff);
	r->created = sqlite3_column_int64(st, 11);
	r->modified = sqlite3_column_int64(st, 12);
	r->verified = sqlite3_column_int64(st, 13);
	r->verify_result = sqlite3_column_int(st, 14);
	r->last_seq = (uint64_t)sqlite3_column_int64(st, 15);
	r->deleted = sqlite3_column_int(st, 16) != 0;
	r->deleted_at = sqlite3_column_int64(st, 17);
}

static struct copied *copy_row(sqlite3_stmt *st, const char *group)
{
	const struct span none = { "", 0 };
	size_t n = strlen(group) + 2 + 7;

	for (int i = 1; i <= 5; i++)
		n += (size_t)sqlite3_column_bytes(st, i);
	n += (size_t)sqlite3_column_bytes(st, 1);
	n += (size_t)sqlite3_column_bytes(st, 18);

	struct copied *c = xcalloc(1, sizeof(*c) + n);
	struct file_row *r = &c->row;
	char *at = c->texts;

	numbers_of_row(st, r);
	r->id = append(&at, span_of(group), group[0] ? "/" : "");
	at--; /* the remote name follows without a NUL between */
	r->remote = append(&at, none, db_col_text(st, 1));
	r->name = append(&at, none, db_col_text(st, 2));
	r->ext = append(&at, none, db_col_text(st, 3));
	r->source = append(&at, none, db_col_text(st, 4));
	r->client = append(&at, none, db_col_text(st, 5));
	r->deleted_by = append(&at, none, db_col_text(st, 18));
	if (r->deleted)
		place_of_name(r);
	return c;
}

/* --- order and cursor ---------------------------------------------------- */

static const char *order_column(const struct file_filter *f)
{
	if (f->deleted && f->order == FILE_BY_CREATED)
		return "f.deleted_ms";
	if (f->deleted && f->order == FILE_BY_SIZE)
		return "coalesce(f.size, 0)";
	switch (f->order) {
	case FILE_BY_SIZE:
		return "f.size";
	case FILE_BY_NAME:
		return "f.name";
	case FILE_BY_MODIFIED:
		return f->deleted ? "f.deleted_ms" : "f.modified_ms";
	default:
		return "f.created_ms";
	}
}

static int64_t order_value(const struct file_filter *f,
    const struct file_row *row)
{
	if (f->order == FILE_BY_SIZE)
		return (int64_t)row->size;
	if (f->deleted)
		return row->deleted_at;
	return f->order == FILE_BY_MODIFIED ? row->modified : row->created;
}

void query_cursor(const struct file_filter *f, const struct file_row *row,
    char *out)
{
	if (f->order == FILE_BY_NAME)
		snprintf(out, FILE_CURSOR_MAX, "%s:%lld", row->remote,
		    (long long)row->seq);
	else
		snprintf(out, FILE_CURSOR_MAX, "%lld:%lld",
		    (long long)order_value(f, row), (long long)row->seq);
}

/* Rows behind the cursor. */
static int add_cursor(struct where *w, const struct file_filter *f,
    const char *cursor)
{
	char sql[80];
	const char *colon = strrchr(cursor, ':');
	char *end = NULL;
	const long long id = colon ? strtoll(colon + 1, &end, 10) : 0;

	if (!colon || end == colon + 1 || *end)
		return -EINVAL;
	snprintf(sql, sizeof(sql), "(%s, f.id) %c (?, ?)", order_column(f),
	    f->ascending ? '>' : '<');
	where_add(w, sql);
	if (f->order == FILE_BY_NAME) {
		where_text(w, cursor, (size_t)(colon - cursor));
	} else {
		const long long key = strtoll(cursor, &end, 10);

		if (end != colon)
			return -EINVAL;
		where_number(w, key);
	}
	where_number(w, id);
	return 0;
}

/* --- pages --------------------------------------------------------------- */

struct page {
	struct copied **rows;
	size_t n;
	size_t cap;
};

static void page_clear(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->rows[i]);
	p->n = 0;
}

static int page_read(struct db *db, const struct file_filter *f,
    const char *cursor, struct page *p)
{
	const char *way = f->ascending ? "ASC" : "DESC";
	char group[32];
	char sql[1024];
	struct where w;
	sqlite3_stmt *st = NULL;
	int rc = query_group(db, group, sizeof(group));

	snprintf(sql, sizeof(sql),
	    "SELECT %s FROM %s f@ ORDER BY %s %s, f.id %s LIMIT %zu",
	    f->deleted ? TOMBSTONE_COLUMNS : FILE_COLUMNS,
	    f->deleted ? "tombstone" : "file", order_column(f), way, way,
	    p->cap);
	where_make(&w, f);
	if (!rc && cursor)
		rc = add_cursor(&w, f, cursor);
	if (!rc)
		rc = where_prepare(db, &w, sql, &st);
	while (!rc && (rc = db_step(st)) == 1) {
		p->rows[p->n++] = copy_row(st, group);
		rc = 0;
	}
	sqlite3_finalize(st);
	where_fini(&w);
	return rc;
}

/* Gives the rows on; 0 to go on, 1 to stop, or -errno. */
static int page_give(const struct page *p, int64_t *given, file_each each,
    void *arg)
{
	for (size_t i = 0; i < p->n; i++) {
		const int rc = each(arg, &p->rows[i]->row);

		++*given;
		if (rc)
			return rc < 0 ? rc : 1;
	}
	return 0;
}

static size_t page_size(size_t before, size_t left)
{
	const size_t n = before ? size_min(before * 4, PAGE_LAST) : PAGE_FIRST;

	return left ? size_min(n, left) : n;
}

int64_t query_files(struct db *db, const struct file_filter *f, file_each each,
    void *arg)
{
	struct page p = { 0 };
	char cursor[FILE_CURSOR_MAX];
	const char *after = f->after;
	int64_t given = 0;
	size_t size = 0;
	int rc = 0;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	p.rows = xcalloc(PAGE_LAST, sizeof(struct copied *));
	while (!rc && (!f->limit || (uint64_t)given < f->limit)) {
		size = page_size(size, f->limit ? f->limit - (size_t)given : 0);
		p.cap = size;
		rc = page_read(db, f, after, &p);
		if (!rc)
			rc = page_give(&p, &given, each, arg);
		if (p.n < size)
			break;
		query_cursor(f, &p.rows[p.n - 1]->row, cursor);
		after = cursor;
		page_clear(&p);
	}
	page_clear(&p);
	free(p.rows);
	return rc < 0 ? rc : given;
}

int query_files_sum(struct db *db, const struct file_filter *f, uint64_t *files,
    uint64_t *bytes)
{
	struct where w;
	sqlite3_stmt *st = NULL;
	int rc;

	where_make(&w, f);
	rc = where_prepare(db, &w,
	    f->deleted ? "SELECT count(*), coalesce(sum(f.size), 0) "
	                 "FROM tombstone f@"
	               : "SELECT count(*), coalesce(sum(f.size), 0) "
	                 "FROM file f@",
	    &st);
	if (!rc)
		rc = db_step(st);
	if (rc == 1) {
		*files = (uint64_t)sqlite3_column_int64(st, 0);
		*bytes = (uint64_t)sqlite3_column_int64(st, 1);
		rc = 0;
	}
	sqlite3_finalize(st);
	where_fini(&w);
	return rc;
}

int query_file(struct db *db, const char *id, bool deleted, file_each each,
    void *arg)
{
	const struct file_filter f = { .ids = { &id, 1 },
		.deleted = deleted,
		.limit = 1 };
	const int64_t n = query_files(db, &f, each, arg);

	return (int)n;
}

int query_attrs(struct db *db, int64_t seq,
    int (*each)(void *arg, const char *key, const char *value), void *arg)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT key, value FROM attr WHERE file = ?1 ORDER BY key");
	int n = 0;
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, seq);
	while ((rc = db_step(st)) == 1) {
		n++;
		rc = each(arg, db_col_text(st, 0), db_col_text(st, 1));
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : n;
		}
	}
	return rc < 0 ? rc : n;
}

void query_interrupt(struct db *db)
{
	sqlite3_interrupt(db->h);
}
