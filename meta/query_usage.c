/* SPDX-License-Identifier: MIT */
/* Sums, totals and lag: from the roll-ups where they say it, else by a scan. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "meta/query_impl.h"
#include "meta/usage.h"

/* Each SELECT gives: text, number, files, bytes, then for clients what they
 * did. @ is where conditions on f go. */
static const struct {
	const char *cheap; /* NULL: there is none */
	const char *scan;
	bool by_filter; /* the roll-up has path and ext */
} sources[] = {
	[USAGE_PATH] = { "SELECT '', f.path, sum(files), sum(bytes) "
	                 "FROM usage_day f@ GROUP BY f.path ORDER BY 4 DESC",
	    "SELECT '', f.path, count(*), sum(f.size) FROM file f@ "
	    "GROUP BY f.path ORDER BY 4 DESC",
	    true },
	[USAGE_EXT] = { "SELECT f.ext, 0, sum(files), sum(bytes) "
	                "FROM usage_day f@ GROUP BY f.ext ORDER BY 4 DESC",
	    "SELECT f.ext, 0, count(*), sum(f.size) FROM file f@ "
	    "GROUP BY f.ext ORDER BY 4 DESC",
	    true },
	[USAGE_DAY] = { "SELECT '', f.day, sum(files), sum(bytes) "
	                "FROM usage_day f@ GROUP BY f.day ORDER BY f.day",
	    "SELECT '', f.created_ms / 86400000, count(*), sum(f.size) "
	    "FROM file f@ GROUP BY 2 ORDER BY 2",
	    true },
	[USAGE_SIZE] = { "SELECT '', class, files, bytes FROM usage_size f@ "
	                 "ORDER BY class",
	    "SELECT '', size_class(f.size), count(*), sum(f.size) "
	    "FROM file f@ GROUP BY 2 ORDER BY 2",
	    false },
	[USAGE_CLIENT] = { "SELECT client, 0, sum(files), sum(bytes), "
	                   "sum(uploads), sum(upload_bytes), sum(changes), "
	                   "sum(change_bytes), sum(deletes) "
	                   "FROM usage_client f@ GROUP BY client "
	                   "ORDER BY 4 DESC, 1",
	    "SELECT f.client, 0, count(*), sum(f.size) FROM file f@ "
	    "GROUP BY f.client ORDER BY 4 DESC",
	    false },
	[USAGE_DIR] = { "SELECT printf('%02X/%02X', dir / 256, dir % 256), "
	                "path, files, bytes FROM usage_dir f@ "
	                "ORDER BY bytes DESC",
	    "SELECT printf('%02X/%02X', f.dir / 256, f.dir % 256), f.path, "
	    "count(*), sum(f.size) FROM file f@ GROUP BY f.path, f.dir "
	    "ORDER BY 4 DESC",
	    false },
	[USAGE_TYPE] = { NULL,
	    "SELECT '', f.type, count(*), sum(f.size) FROM file f@ "
	    "GROUP BY f.type ORDER BY 4 DESC",
	    false },
	[USAGE_SOURCE] = { NULL,
	    "SELECT f.source, 0, count(*), sum(f.size) FROM file f@ "
	    "GROUP BY f.source ORDER BY 4 DESC",
	    false },
};

/* Only these conditions, which table usage_day can answer. */
static bool has_only_path_and_ext(const struct file_filter *f)
{
	struct file_filter rest = *f;

	rest.exts = (struct query_list){ NULL, 0 };
	rest.exts_not = false;
	rest.paths = NULL;
	rest.n_paths = 0;
	rest.order = FILE_BY_CREATED;
	rest.ascending = false;
	rest.limit = 0;
	rest.after = NULL;

	struct where w;
	bool none;

	where_make(&w, &rest);
	none = w.len == 0 && w.rc == 0 && !rest.deleted;
	where_fini(&w);
	return none;
}

static bool has_none(const struct file_filter *f)
{
	return f->exts.n == 0 && f->n_paths == 0 && has_only_path_and_ext(f);
}

bool query_usage_is_cheap(enum usage_by by, const struct file_filter *f)
{
	if (!sources[by].cheap)
		return false;
	if (!f || has_none(f))
		return true;
	return sources[by].by_filter && has_only_path_and_ext(f);
}

static void size_class(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_int(ctx,
	    (int)usage_class((uint64_t)sqlite3_value_int64(v[0])));
}

static void fill(enum usage_by by, sqlite3_stmt *st, char day[16],
    struct usage_row *r)
{
	memset(r, 0, sizeof(*r));
	r->text = db_col_text(st, 0);
	r->number = sqlite3_column_int64(st, 1);
	r->files = (uint64_t)sqlite3_column_int64(st, 2);
	r->bytes = (uint64_t)sqlite3_column_int64(st, 3);
	if (sqlite3_column_count(st) > 4) {
		r->uploads = (uint64_t)sqlite3_column_int64(st, 4);
		r->upload_bytes = (uint64_t)sqlite3_column_int64(st, 5);
		r->changes = (uint64_t)sqlite3_column_int64(st, 6);
		r->change_bytes = (uint64_t)sqlite3_column_int64(st, 7);
		r->deletes = (uint64_t)sqlite3_column_int64(st, 8);
	}
	if (by == USAGE_SIZE && r->number > 0) {
		r->from = UINT64_C(1) << (r->number - 1);
		r->to = r->from + (r->from - 1);
	}
	if (by == USAGE_DAY) {
		const time_t t = (time_t)(r->number * 86400);
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(day, 16, "%Y-%m-%d", &tm);
		r->text = day;
	}
}

int query_usage(struct db *db, enum usage_by by, const struct file_filter *f,
    int (*each)(void *arg, const struct usage_row *row), void *arg)
{
	static const struct file_filter all;
	const bool cheap = query_usage_is_cheap(by, f);
	struct where w;
	sqlite3_stmt *st = NULL;
	char day[16];
	int rc;

	if (f && f->deleted)
		return -EINVAL;
	sqlite3_create_function(db->h, "size_class", 1,
	    SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, size_class, NULL, NULL);
	where_make(&w, f ? f : &all);
	rc = where_prepare(db, &w, cheap ? sources[by].cheap : sources[by].scan,
	    &st);
	while (!rc && (rc = db_step(st)) == 1) {
		struct usage_row r;

		fill(by, st, day, &r);
		rc = each(arg, &r);
	}
	sqlite3_finalize(st);
	where_fini(&w);
	return rc < 0 ? rc : 0;
}

int query_totals(struct db *db, uint64_t *files, uint64_t *bytes)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT coalesce(sum(files), 0), coalesce(sum(bytes), 0) "
	    "FROM usage_size");
	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*files = (uint64_t)sqlite3_column_int64(st, 0);
	*bytes = (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

int query_lag(struct db *catalogue, struct db *log, struct query_lag *out)
{
	char id[40] = "";
	char ours[40] = "";
	sqlite3_stmt *st = db_stmt(catalogue,
	    "SELECT seq, moved_ms, log_id FROM cursor WHERE id = 1");
	int rc = db_step(st);

	memset(out, 0, sizeof(*out));
	if (rc != 1)
		return rc ? rc : -EUCLEAN;
	out->applied = (uint64_t)sqlite3_column_int64(st, 0);
	out->moved = sqlite3_column_int64(st, 1);
	db_col_copy(st, 2, ours, sizeof(ours));
	sqlite3_reset(st);
	rc = db_mark_get(log, "log_id", id, sizeof(id));
	if (rc)
		return rc;
	out->last = oplog_last(log, NULL);
	out->same_log =
	    !ours[0] || (!strcmp(id, ours) && out->last >= out->applied);
	if (!out->same_log)
		return 0;
	return oplog_backlog(log, out->applied, &out->waiting,
	    &out->waiting_bytes, &out->oldest);
}

/* --- the story of a file ------------------------------------------------- */

struct story {
	const char *name; /* as it is called at the end */
	int (*each)(void *arg, const struct op *op);
	void *arg;
	int n;
	char names[8][160]; /* what it was called, newest first */
	size_t n_names;
};

static bool is_called(const struct story *s, struct span name)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (span_eq(name, s->names[i]))
			return true;
	return false;
}

/* Earlier names: those from which renames lead to one we know. */
static int find_names(struct story *s, struct db *log, uint64_t from)
{
	sqlite3_stmt *st =
	    db_stmt(log, "SELECT CAST(extra AS TEXT) FROM operation "
	                 "WHERE seq >= ?1 AND op = 'R' AND name = ?2 LIMIT 1");
	int rc = 1;

	str_copy(s->names[0], sizeof(s->names[0]), s->name);
	s->n_names = 1;
	while (rc == 1 && s->n_names < ARRAY_LEN(s->names)) {
		if (!st)
			return db_errno(sqlite3_errcode(log->h));
		db_bind_u64(st, 1, from);
		db_bind_text(st, 2, s->names[s->n_names - 1]);
		rc = db_step(st);
		if (rc == 1) {
			db_col_copy(st, 0, s->names[s->n_names++],
			    sizeof(s->names[0]));
			sqlite3_reset(st);
		}
	}
	return rc < 0 ? rc : 0;
}

static int tell(void *arg, const struct op *op)
{
	struct story *s = arg;

	if (!is_called(s, op->name) &&
	    !(op->code == OP_RENAME && is_called(s, op->extra)))
		return 0;
	s->n++;
	return s->each(s->arg, op);
}

int query_ops_of(struct db *log, const char *remote, uint64_t from,
    int (*each)(void *arg, const struct op *op), void *arg)
{
	struct story s = { .name = query_remote(remote),
		.each = each,
		.arg = arg };
	int rc = find_names(&s, log, from);

	if (!rc)
		rc = oplog_read(log, from ? from - 1 : 0, INT32_MAX, tell, &s);
	return rc < 0 ? rc : s.n;
}
