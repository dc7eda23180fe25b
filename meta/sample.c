/* SPDX-License-Identifier: MIT */
/*
 * The columns are those of table sample_10s, read from the database when first
 * needed, so the schema is the only list of them. How a column is rolled up is
 * "the last value of the bucket" unless the table below says otherwise.
 *
 * A bucket is rolled up once it is over; mark "sample_rolled_<step>" is the end
 * of the last one. Buckets are found per subject by the primary key.
 */
#include "meta/sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

#define NAME_MAX_LEN 32
#define SQL_MAX      16384

static const struct {
	const char *name;
	const char *function;
} gauges[] = {
	{ "current_conns", "max" },
	{ "behind_ops", "max" },
	{ "behind_bytes", "max" },
	{ "behind_ms", "max" },
	{ "catalogue_waiting", "max" },
	{ "catalogue_behind_ms", "max" },
	{ "commit_queued", "max" },
	{ "rss_kb", "max" },
	{ "open_files", "max" },
	{ "free_mb", "min" },
	{ "usable_mb", "min" },
	{ "active_count", "min" },
};

static const struct step {
	int64_t ms;
	const char *table;
	int64_t keep_ms;
	const char *mark; /* NULL: not made from another */
	const char *drop;
} steps[] = {
	{ 10000, "sample_10s", INT64_C(86400000), NULL,
	    "DELETE FROM sample_10s WHERE subject = ?1 AND at_ms < ?2" },
	{ 60000, "sample_1m", 14 * INT64_C(86400000), "sample_rolled_60000",
	    "DELETE FROM sample_1m WHERE subject = ?1 AND at_ms < ?2" },
	{ 3600000, "sample_1h", 400 * INT64_C(86400000),
	    "sample_rolled_3600000",
	    "DELETE FROM sample_1h WHERE subject = ?1 AND at_ms < ?2" },
	{ 86400000, "sample_1d", 3653 * INT64_C(86400000),
	    "sample_rolled_86400000",
	    "DELETE FROM sample_1d WHERE subject = ?1 AND at_ms < ?2" },
};

struct sample_columns {
	size_t n;
	char names[SAMPLE_MAX][NAME_MAX_LEN];
	char insert[SQL_MAX]; /* kept as long as its statement */
	char roll[ARRAY_LEN(steps)][SQL_MAX];
	char read[ARRAY_LEN(steps)][SQL_MAX / 4];
	char last[SQL_MAX / 4];
};

/* --- SQL from the columns ------------------------------------------------ */

static const char *gauge_function(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
		if (!strcmp(gauges[i].name, name))
			return gauges[i].function;
	return NULL;
}

static void list_columns(struct strbuf *b, const struct sample_columns *c)
{
	for (size_t i = 0; i < c->n; i++)
		strbuf_addf(b, ", %s", c->names[i]);
}

static void make_insert(struct sample_columns *c)
{
	struct strbuf b = strbuf_over(c->insert, sizeof(c->insert));

	strbuf_addf(&b, "INSERT OR REPLACE INTO sample_10s (subject, at_ms");
	list_columns(&b, c);
	strbuf_addf(&b, ") VALUES (?1, ?2");
	for (size_t i = 0; i < c->n; i++)
		strbuf_addf(&b, ", ?%zu", i + 3);
	strbuf_addf(&b, ")");
}

/* From `from` into `to`: ?1 subject, ?2 and ?3 the range. Counters come from
 * the last row of the bucket, gauges from all of it. */
static void make_roll(struct sample_columns *c, char *sql,
    const struct step *to, const struct step *from)
{
	struct strbuf b = strbuf_over(sql, SQL_MAX);

	strbuf_addf(&b, "INSERT OR REPLACE INTO %s (subject, at_ms", to->table);
	list_columns(&b, c);
	strbuf_addf(&b, ") SELECT l.subject, b.bucket");
	for (size_t i = 0; i < c->n; i++)
		strbuf_addf(&b, ", %s.%s",
		    gauge_function(c->names[i]) ? "b" : "l", c->names[i]);
	strbuf_addf(&b,
	    " FROM (SELECT at_ms - at_ms %% %lld AS bucket, "
	    "max(at_ms) AS last",
	    (long long)to->ms);
	for (size_t i = 0; i < c->n; i++)
		if (gauge_function(c->names[i]))
			strbuf_addf(&b, ", %s(%s) AS %s",
			    gauge_function(c->names[i]), c->names[i],
			    c->names[i]);
	strbuf_addf(&b,
	    " FROM %s WHERE subject = ?1 AND at_ms >= ?2 AND at_ms < ?3 "
	    "GROUP BY 1) b JOIN %s l ON l.subject = ?1 AND l.at_ms = b.last",
	    from->table, from->table);
}

static void make_reads(struct sample_columns *c)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct strbuf b = strbuf_over(c->read[i], sizeof(c->read[i]));

		strbuf_addf(&b, "SELECT subject, at_ms");
		list_columns(&b, c);
		strbuf_addf(&b,
		    " FROM %s WHERE subject = ?1 AND at_ms >= ?2 "
		    "AND at_ms < ?3 ORDER BY at_ms",
		    steps[i].table);
	}
	struct strbuf b = strbuf_over(c->last, sizeof(c->last));

	strbuf_addf(&b, "SELECT subject, at_ms");
	list_columns(&b, c);
	strbuf_addf(&b,
	    " FROM sample_10s WHERE subject = ?1 ORDER BY at_ms DESC LIMIT 1");
}

/* The columns of this database, or NULL. */
static struct sample_columns *columns(struct db *db)
{
	if (db->samples)
		return db->samples;

	sqlite3_stmt *st =
	    db_stmt(db, "SELECT name FROM pragma_table_info('sample_10s') "
	                "WHERE name NOT IN ('subject', 'at_ms') ORDER BY cid");
	struct sample_columns *c = xcalloc(1, sizeof(*c));

	while (c->n < SAMPLE_MAX && db_step(st) == 1)
		db_col_copy(st, 0, c->names[c->n++], NAME_MAX_LEN);
	if (st)
		sqlite3_reset(st);
	if (c->n == 0) {
		free(c);
		return NULL;
	}
	make_insert(c);
	make_reads(c);
	for (size_t i = 1; i < ARRAY_LEN(steps); i++)
		make_roll(c, c->roll[i], &steps[i], &steps[i - 1]);
	db->samples = c;
	return c;
}

/* --- insert, read -------------------------------------------------------- */

void sample_add(struct sample *s, const char *name, int64_t value)
{
	if (s->n == SAMPLE_MAX)
		return;
	s->names[s->n] = name;
	s->values[s->n++] = value;
}

int sample_insert(struct db *db, const struct sample *s)
{
	struct sample_columns *c = columns(db);
	sqlite3_stmt *st = c ? db_stmt(db, c->insert) : NULL;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_clear_bindings(st);
	db_bind_text(st, 1, s->subject);
	sqlite3_bind_int64(st, 2, s->at);
	for (size_t i = 0; i < s->n; i++) {
		size_t at = 0;

		while (at < c->n && strcmp(c->names[at], s->names[i]) != 0)
			at++;
		if (at == c->n)
			return -EINVAL;
		sqlite3_bind_int64(st, (int)at + 3, s->values[i]);
	}
	return db_run(st);
}

static void sample_of_row(const struct sample_columns *c, sqlite3_stmt *st,
    struct sample *s)
{
	db_col_copy(st, 0, s->subject, sizeof(s->subject));
	s->at = sqlite3_column_int64(st, 1);
	s->n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (sqlite3_column_type(st, (int)i + 2) != SQLITE_NULL)
			sample_add(s, c->names[i],
			    sqlite3_column_int64(st, (int)i + 2));
}

int sample_last(struct db *db, const char *subject, struct sample *out)
{
	struct sample_columns *c = columns(db);
	sqlite3_stmt *st = c ? db_stmt(db, c->last) : NULL;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, subject);

	const int rc = db_step(st);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	sample_of_row(c, st, out);
	sqlite3_reset(st);
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): seven plain facts */
int sample_read(struct db *db, const char *subject, int64_t step_ms,
    wall_t from, wall_t to, int (*each)(void *arg, const struct sample *s),
    void *arg)
{
	struct sample_columns *c = columns(db);
	struct sample s;
	size_t step = 0;
	int rc;

	while (step < ARRAY_LEN(steps) && steps[step].ms != step_ms)
		step++;
	if (step == ARRAY_LEN(steps))
		return -EINVAL;

	sqlite3_stmt *st = c ? db_stmt(db, c->read[step]) : NULL;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, subject);
	sqlite3_bind_int64(st, 2, from);
	sqlite3_bind_int64(st, 3, to);
	while ((rc = db_step(st)) == 1) {
		sample_of_row(c, st, &s);
		rc = each(arg, &s);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : 0;
		}
	}
	return rc;
}

/* --- roll up ------------------------------------------------------------- */

/* The next subject after `subject`: 1, 0 none, or -errno. */
static int next_subject(struct db *db, char *subject, size_t cap)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT min(s) FROM ("
	    "SELECT min(subject) AS s FROM sample_10s WHERE subject > ?1 "
	    "UNION ALL SELECT min(subject) FROM sample_1m WHERE subject > ?1 "
	    "UNION ALL SELECT min(subject) FROM sample_1h WHERE subject > ?1 "
	    "UNION ALL SELECT min(subject) FROM sample_1d WHERE subject > ?1)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_text(st, 1, subject, -1, SQLITE_TRANSIENT);

	int rc = db_step(st);

	if (rc == 1) {
		if (sqlite3_column_type(st, 0) == SQLITE_NULL)
			rc = 0;
		else
			db_col_copy(st, 0, subject, cap);
		sqlite3_reset(st);
	}
	return rc;
}

static int run_range(struct db *db, const char *sql, const char *subject,
    int64_t from, int64_t to)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, subject);
	sqlite3_bind_int64(st, 2, from);
	sqlite3_bind_int64(st, 3, to);
	return db_run(st);
}

static int roll_subjects(struct db *db, size_t step, wall_t from, wall_t to,
    wall_t now)
{
	char subject[64] = "";
	int rc;

	while ((rc = next_subject(db, subject, sizeof(subject))) == 1) {
		rc = run_range(db, db->samples->roll[step], subject, from, to);
		if (!rc)
			rc = run_range(db, steps[step].drop, subject,
			    now - steps[step].keep_ms, 0);
		if (!rc && step == 1)
			rc = run_range(db, steps[0].drop, subject,
			    now - steps[0].keep_ms, 0);
		if (rc)
			return rc;
	}
	return rc;
}

int sample_roll(struct db *db, wall_t now)
{
	if (!columns(db))
		return db_errno(sqlite3_errcode(db->h));
	for (size_t i = 1; i < ARRAY_LEN(steps); i++) {
		/* a sample may be written a little after its time */
		const wall_t end = (now - 5000) / steps[i].ms * steps[i].ms;
		char text[32] = "0";
		int64_t rolled = 0;
		int rc = db_mark_get(db, steps[i].mark, text, sizeof(text));

		if (rc && rc != -ENOENT)
			return rc;
		rolled = strtoll(text, NULL, 10);
		if (end <= rolled)
			continue;
		rc = roll_subjects(db, i, rolled, end, now);
		if (rc)
			return rc;
		snprintf(text, sizeof(text), "%lld", (long long)end);
		rc = db_mark_set(db, steps[i].mark, text);
		if (rc)
			return rc;
	}
	return 0;
}
