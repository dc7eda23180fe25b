/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>

#include "base/log.h"
#include "base/macros.h"
#include "meta/query.h"
#include "meta_names.h"
#include "meta_tmp.h"

#define T0 INT64_C(1795331773)
#define N  1000

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *cat;
static struct db *log_db;

/* File i: path i%2, directory i%5, ext by i%3, size i, created T0+i. */
static void name_of(int i, char *out)
{
	static const char *const exts[] = { ".jpg", ".pdf", "" };

	snprintf(out, 64, "M%02X/00/%02X/n%d-%lld-%04d%s", i % 2, i % 5, i,
	    (long long)T0 + i, i, exts[i % 3]);
}

static void fill_log(struct db *db)
{
	char name[64];
	char text[64];

	for (int i = 0; i < N; i++) {
		name_of(i, name);
		struct op op = op_make(OP_CREATE, name, (uint64_t)i);

		op.at = (T0 + i) * 1000;
		op.client = span_of(i % 4 ? "10.0.0.1" : "10.0.1.2");
		assert_true(op_append(db, op) > 0);
		if (i % 10 == 0) {
			op.code = OP_SET_META;
			snprintf(text, sizeof(text),
			    "author\2a%d\1width\2%d\1filename\2Img %d.JPG",
			    i % 7, i, i);
			op.extra = span_of(text);
			assert_true(op_append(db, op) > 0);
		}
	}
	for (int i = 990; i < N; i++) { /* the last ten are deleted again */
		name_of(i, name);
		struct op op = op_make(OP_DELETE, name, 0);

		op.at = (T0 + 5000 + i) * 1000;
		assert_true(op_append(db, op) > 0);
	}
}

static int group_set_up(void **state)
{
	static const char *const keys[] = { "author" };
	struct catalogue *c = NULL;
	char log_path[128];
	char path[128];
	struct db *db = NULL;
	(void)state;

	log_set_level(LOG_LEVEL_ERROR);
	tmp_make(&tmp);
	snprintf(log_path, sizeof(log_path), "%s/storage.db", tmp.dir);
	snprintf(path, sizeof(path), "%s/catalogue.db", tmp.dir);
	assert_int_equal(db_open(DB_LOG, log_path, false, &db, err), 0);
	fill_log(db);
	db_close(db);

	const struct catalogue_conf conf = { .log_path = log_path,
		.path = path,
		.read_name = test_read_name,
		.group = "group1",
		.name_key = "filename",
		.indexed_keys = keys,
		.n_indexed_keys = 1 };

	assert_int_equal(catalogue_start(&conf, &c, err), 0);
	catalogue_stop(c);
	assert_int_equal(db_open_read(DB_CATALOGUE, path, &cat, err), 0);
	assert_int_equal(db_open_read(DB_LOG, log_path, &log_db, err), 0);
	return 0;
}

static int group_tear_down(void **state)
{
	(void)state;
	db_close(cat);
	db_close(log_db);
	tmp_remove(&tmp);
	return 0;
}

/* --- what came --------------------------------------------------------- */

struct got {
	size_t n;
	uint64_t size[N + 1];
	struct file_row last;
	char id[128];
	char name[128];
	char deleted_by[64];
	char cursor[FILE_CURSOR_MAX];
	const struct file_filter *filter;
};

static int take(void *arg, const struct file_row *row)
{
	struct got *g = arg;

	assert_true(g->n <= N);
	g->size[g->n++] = row->size;
	g->last = *row;
	str_copy(g->id, sizeof(g->id), row->id);
	str_copy(g->name, sizeof(g->name), row->name);
	str_copy(g->deleted_by, sizeof(g->deleted_by), row->deleted_by);
	if (g->filter)
		query_cursor(g->filter, row, g->cursor);
	return 0;
}

static struct got *find(const struct file_filter *f)
{
	static struct got g;

	memset(&g, 0, sizeof(g));
	g.filter = f;

	const int64_t n = query_files(cat, f, take, &g);

	assert_int_equal(n, g.n);
	return &g;
}

static size_t count(const struct file_filter *f)
{
	uint64_t files = 0;
	uint64_t bytes = 0;
	const size_t n = find(f)->n;

	assert_int_equal(query_files_sum(cat, f, &files, &bytes), 0);
	assert_int_equal(files, n);
	return n;
}

/* --- files ----------------------------------------------------------------*/

static void test_no_filter_gives_all_newest_first(void **state)
{
	const struct file_filter f = { 0 };
	struct got *g = find(&f);
	(void)state;

	assert_int_equal(g->n, 990);
	for (size_t i = 0; i < g->n; i++)
		assert_int_equal(g->size[i], 989 - i);
	assert_string_equal(g->id, "group1/M00/00/00/n0-1795331773-0000.jpg");
	assert_string_equal(g->last.dir, "00/00");
}

static void test_every_order_pages_without_loss_or_repeat(void **state)
{
	(void)state;
	for (int order = FILE_BY_CREATED; order <= FILE_BY_MODIFIED; order++) {
		for (int way = 0; way < 2; way++) {
			struct file_filter f = { .order =
				                     (enum file_order)order,
				.ascending = way,
				.limit = 37 };
			char after[FILE_CURSOR_MAX];
			bool seen[N] = { 0 };
			size_t n = 0;
			struct got *g;

			while ((g = find(&f))->n > 0) {
				for (size_t i = 0; i < g->n; i++) {
					assert_false(seen[g->size[i]]);
					seen[g->size[i]] = true;
				}
				n += g->n;
				str_copy(after, sizeof(after), g->cursor);
				f.after = after;
			}
			assert_int_equal(n, 990);
		}
	}
}

static void test_bad_cursor_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "1", "1:", ":", "a:1",
		"1:1x" };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct file_filter f = { .after = bad[i] };
		struct got g = { 0 };

		assert_int_equal(query_files(cat, &f, take, &g), -EINVAL);
	}
}

static void test_filters_by_facts(void **state)
{
	static const char *const exts[] = { "pdf", "" };
	static const char *const hosts[] = { "10.0.1.*" };
	static const char *const sources[] = { "100001" };
	const unsigned one = 1;
	(void)state;

	assert_int_equal(count(&(struct file_filter){ .exts = { exts, 1 } }),
	    330);
	assert_int_equal(count(&(struct file_filter){ .exts = { exts, 2 } }),
	    660);
	assert_int_equal(count(&(struct file_filter){ .exts = { exts, 2 },
	                     .exts_not = true }),
	    330);
	assert_int_equal(
	    count(&(struct file_filter){ .size = { true, true, 10, 20 } }), 10);
	assert_int_equal(
	    count(&(struct file_filter){
	        .created = { true, false, (T0 + 980) * 1000, 0 } }),
	    10);
	assert_int_equal(count(&(struct file_filter){
	                     .modified = { false, true, 0, (T0 + 5) * 1000 } }),
	    5);
	assert_int_equal(
	    count(&(struct file_filter){ .paths = &one, .n_paths = 1 }), 495);
	assert_int_equal(count(&(struct file_filter){ .dir = "00/03" }), 198);
	assert_int_equal(count(&(struct file_filter){ .dir = "00" }), 990);
	assert_int_equal(count(&(struct file_filter){ .dir = "01" }), 0);
	assert_int_equal(
	    count(&(struct file_filter){ .clients = { hosts, 1 } }), 248);
	assert_int_equal(
	    count(&(struct file_filter){ .sources = { sources, 1 } }), 990);
	assert_int_equal(count(&(struct file_filter){ .types = BIT(0) }), 990);
	assert_int_equal(count(&(struct file_filter){ .types = BIT(1) }), 0);
	assert_int_equal(
	    count(&(struct file_filter){ .has_crc = true, .crc = 0x11223344 }),
	    990);
	assert_int_equal(count(&(struct file_filter){ .never_verified = true }),
	    990);
}

static void test_filters_by_name(void **state)
{
	static const char *const ids[] = {
		"group1/M00/00/00/n0-1795331773-0000.jpg",
		"M01/00/01/n1-1795331774-0001.pdf", "M00/00/00/no"
	};
	(void)state;

	assert_int_equal(count(&(struct file_filter){ .ids = { ids, 3 } }), 2);
	assert_int_equal(
	    count(&(struct file_filter){ .id_prefix = "group1/M01/00/03" }),
	    99);
	assert_int_equal(count(&(struct file_filter){ .id_prefix = "M01" }),
	    495);
	assert_int_equal(
	    count(&(struct file_filter){ .name_glob = "Img 1?.JPG" }), 1);
	assert_int_equal(
	    count(&(struct file_filter){ .name_glob = "img 1?.jpg" }), 0);
	assert_int_equal(
	    count(&(struct file_filter){ .name_iglob = "iMG 1?.jpg" }), 1);
	assert_int_equal(count(&(struct file_filter){ .name_contains = "%" }),
	    0);
	assert_int_equal(
	    count(&(struct file_filter){ .name_contains = "mg 98" }),
	    1); /* Img 980.JPG */
}

static size_t with_meta(const char *key, enum meta_test test, const char *value)
{
	const struct meta_condition m = { key, test, value };

	return count(&(struct file_filter){ .meta = &m, .n_meta = 1 });
}

static void test_filters_by_metadata(void **state)
{
	(void)state;
	assert_int_equal(with_meta("author", META_EXISTS, NULL), 99);
	assert_int_equal(with_meta("author", META_ABSENT, NULL), 891);
	assert_int_equal(with_meta("author", META_EQUALS, "a0"), 15);
	assert_int_equal(with_meta("author", META_DIFFERS, "a0"), 84);
	assert_int_equal(with_meta("author", META_GLOB, "a[01]"), 29);
	assert_int_equal(with_meta("width", META_LESS, "100"), 10);
	assert_int_equal(with_meta("width", META_AT_MOST, "100"), 11);
	assert_int_equal(with_meta("width", META_AT_LEAST, "900"), 9);
	assert_int_equal(with_meta("width", META_MORE, "900"), 8);
	assert_int_equal(with_meta("author", META_AT_LEAST, "0"), 0);
	assert_int_equal(with_meta("'; DROP TABLE file; --", META_EXISTS, NULL),
	    0);
}

static void test_deleted_files_are_found_by_what_is_kept(void **state)
{
	const unsigned one = 1;
	struct file_filter f = { .deleted = true, .limit = 3 };
	struct got *g = find(&f);
	(void)state;

	assert_int_equal(g->n, 3);
	assert_int_equal(g->size[0], 999);
	assert_true(g->last.deleted);
	assert_string_equal(g->deleted_by, "10.0.0.9");
	f.limit = 0;
	f.paths = &one;
	f.n_paths = 1;
	assert_int_equal(count(&f), 5);
	f.dir = "00/04";
	assert_int_equal(count(&f), 1);
	f.never_verified = true;

	struct got none = { 0 };

	assert_int_equal(query_files(cat, &f, take, &none), -EINVAL);
}

static int stop_at_ten(void *arg, const struct file_row *row)
{
	(void)row;
	return ++*(int *)arg == 10;
}

static void test_caller_can_stop(void **state)
{
	const struct file_filter f = { 0 };
	int n = 0;
	(void)state;

	assert_int_equal(query_files(cat, &f, stop_at_ten, &n), 10);
	assert_int_equal(n, 10);
}

static int take_attr(void *arg, const char *key, const char *value)
{
	struct strbuf *b = arg;

	strbuf_addf(b, "%s=%s;", key, value);
	return 0;
}

static void test_one_file_with_its_metadata(void **state)
{
	char text[128];
	struct strbuf b = strbuf_over(text, sizeof(text));
	struct got g = { 0 };
	(void)state;

	assert_int_equal(query_file(cat,
	                     "group1/M00/00/00/n10-1795331783-0010.pdf", false,
	                     take, &g),
	    1);
	assert_string_equal(g.name, "Img 10.JPG");
	assert_int_equal(query_attrs(cat, g.last.seq, take_attr, &b), 3);
	assert_string_equal(text, "author=a3;filename=Img 10.JPG;width=10;");
	assert_int_equal(
	    query_file(cat, "group1/M00/00/00/no", false, take, &g), 0);
	char name[64];

	name_of(995, name);
	assert_int_equal(query_file(cat, name, false, take, &g), 0);
	assert_int_equal(query_file(cat, name, true, take, &g), 1);
}

/* --- story, usage, lag --------------------------------------------------- */

static int take_op(void *arg, const struct op *op)
{
	struct strbuf *b = arg;

	strbuf_addf(b, "%c", (char)op->code);
	return 0;
}

static void test_story_of_a_file(void **state)
{
	char name[64];
	char text[32];
	struct strbuf b = strbuf_over(text, sizeof(text));
	(void)state;

	name_of(990, name);
	assert_int_equal(query_ops_of(log_db, name, 0, take_op, &b), 3);
	assert_string_equal(text, "CUD");
}

struct sums {
	char text[512];
	struct strbuf b;
	uint64_t files, bytes;
};

static int take_usage(void *arg, const struct usage_row *r)
{
	struct sums *s = arg;

	s->files += r->files;
	s->bytes += r->bytes;
	if (s->b.len < 300)
		strbuf_addf(&s->b, "%s/%lld:%llu ", r->text,
		    (long long)r->number, (unsigned long long)r->files);
	return 0;
}

static void usage(enum usage_by by, const struct file_filter *f, struct sums *s)
{
	memset(s, 0, sizeof(*s));
	s->b = strbuf_over(s->text, sizeof(s->text));
	assert_int_equal(query_usage(cat, by, f, take_usage, s), 0);
}

static void test_usage_from_rollups_equals_the_scan(void **state)
{
	const struct file_filter scan = { .size = { true, false, 0, 0 } };
	struct sums cheap;
	struct sums slow;
	(void)state;

	for (int by = USAGE_PATH; by <= USAGE_SOURCE; by++) {
		usage((enum usage_by)by, NULL, &cheap);
		usage((enum usage_by)by, &scan, &slow);
		assert_false(query_usage_is_cheap((enum usage_by)by, &scan));
		assert_int_equal(query_usage_is_cheap((enum usage_by)by, NULL),
		    by < USAGE_TYPE);
		/* the roll-up also knows clients without files */
		if (by != USAGE_CLIENT)
			assert_string_equal(cheap.text, slow.text);
		assert_int_equal(cheap.files, 990);
		assert_int_equal(cheap.bytes, slow.bytes);
	}
}

static void test_usage_with_a_filter_the_rollup_covers(void **state)
{
	static const char *const exts[] = { "pdf" };
	const struct file_filter f = { .exts = { exts, 1 } };
	struct sums s;
	(void)state;

	assert_true(query_usage_is_cheap(USAGE_PATH, &f));
	assert_false(query_usage_is_cheap(USAGE_DIR, &f));
	usage(USAGE_PATH, &f, &s);
	assert_int_equal(s.files, 330);
	usage(USAGE_DIR, &f, &s);
	assert_int_equal(s.files, 330);
	usage(USAGE_DAY, NULL, &s);
	assert_string_equal(s.text, "2026-11-22/20779:990 ");
}

static void test_totals(void **state)
{
	uint64_t files = 0;
	uint64_t bytes = 0;
	(void)state;

	assert_int_equal(query_totals(cat, &files, &bytes), 0);
	assert_int_equal(files, 990);
	assert_int_equal(bytes, 989 * 990 / 2);
}

static void test_lag_counts_what_is_not_applied(void **state)
{
	struct query_lag lag;
	char path[128];
	struct db *db = NULL;
	struct db *more = NULL;
	(void)state;

	assert_int_equal(query_lag(cat, log_db, &lag), 0);
	assert_true(lag.same_log);
	assert_int_equal(lag.waiting, 0);
	assert_int_equal(lag.applied, lag.last);

	snprintf(path, sizeof(path), "%s/storage.db", tmp.dir);
	assert_int_equal(db_open(DB_LOG, path, false, &db, err), 0);
	op_append(db, op_make(OP_APPEND, "M00/00/00/x", 5));
	assert_int_equal(query_lag(cat, log_db, &lag), 0);
	assert_int_equal(lag.waiting, 1);
	assert_int_equal(lag.waiting_bytes, 5);
	assert_int_equal(lag.oldest, 1795331773123);
	db_close(db);

	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "other.db"), false, &more, err), 0);
	assert_int_equal(query_lag(cat, more, &lag), 0);
	assert_false(lag.same_log);
	db_close(more);
}

/* --- SQL of a person ----------------------------------------------------- */

static int no_columns(void *arg, size_t n, const char *const *names)
{
	(void)arg;
	(void)names;
	return n == 0;
}

static int take_value(void *arg, size_t n, const struct query_value *v)
{
	struct strbuf *b = arg;

	for (size_t i = 0; i < n; i++) {
		if (v[i].type == QUERY_INTEGER)
			strbuf_addf(b, "%lld;", (long long)v[i].integer);
		else if (v[i].type == QUERY_TEXT)
			strbuf_addf(b, "%.*s;", (int)v[i].text.n, v[i].text.p);
		else
			strbuf_addf(b, "?;");
	}
	return 0;
}

static int64_t sql(const char *text, char *out, size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);

	out[0] = '\0';
	return query_sql(cat, text, no_columns, take_value, &b, err);
}

static void test_sql_reads_views_of_catalogue_and_log(void **state)
{
	char out[256];
	(void)state;

	assert_int_equal(
	    sql("SELECT size, ext, NULL FROM files WHERE size = 7; "
	        "SELECT what FROM operations WHERE seq = 1",
	        out, sizeof(out)),
	    2);
	assert_string_equal(out, "7;pdf;?;create;");
	assert_int_equal(
	    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
	        "i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
	        out, sizeof(out)),
	    1);
	assert_string_equal(out, "15;");
	assert_int_equal(sql("PRAGMA table_info(file)", out, sizeof(out)) > 5,
	    1);
	assert_int_equal(sql("  -- nothing\n", out, sizeof(out)), 0);
}

static void test_sql_that_writes_is_refused(void **state)
{
	static const char *const bad[] = { "DELETE FROM file",
		"INSERT INTO mark VALUES ('a', 'b')", "DROP TABLE file",
		"CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)",
		"ATTACH '/tmp/x.db' AS x", "PRAGMA query_only = OFF",
		"PRAGMA journal_mode = DELETE", "PRAGMA user_version = 7",
		"VACUUM INTO '/tmp/x.db'", "SELECT load_extension('x')",
		"BEGIN", "SELECT 1; DELETE FROM file", "REINDEX", "ANALYZE" };
	char out[64];
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(sql(bad[i], out, sizeof(out)), -EACCES);
		assert_true(strlen(err) > 10);
	}
	assert_int_equal(sql("SELEC", out, sizeof(out)), -EINVAL);
	assert_non_null(strstr(err, "SELEC"));
	assert_int_equal(find(&(struct file_filter){ 0 })->n, 990);
}

static void *interrupt_later(void *arg)
{
	struct timespec t = { .tv_nsec = 20000000 };

	nanosleep(&t, NULL);
	query_interrupt(arg);
	return NULL;
}

static void test_query_can_be_interrupted(void **state)
{
	pthread_t t;
	char out[64];
	(void)state;

	pthread_create(&t, NULL, interrupt_later, cat);
	assert_int_equal(
	    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
	        "i + 1 FROM n) SELECT count(*) FROM n",
	        out, sizeof(out)),
	    -EINTR);
	pthread_join(t, NULL);
}

static void test_metadata_equality_uses_the_configured_index(void **state)
{
	sqlite3 *h = NULL;
	sqlite3_stmt *st = NULL;
	bool used = false;
	(void)state;

	/* as query.c asks: the key bound, not written out */
	assert_int_equal(sqlite3_open(tmp_path(&tmp, "catalogue.db"), &h), 0);
	assert_int_equal(
	    sqlite3_prepare_v2(h,
	        "EXPLAIN QUERY PLAN SELECT f.id FROM file f WHERE f.id IN "
	        "(SELECT file FROM attr WHERE key = ? AND value = ?)",
	        -1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_text(st, 1, "author", -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, "a0", -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW)
		used |= strstr((const char *)sqlite3_column_text(st, 3),
		            "attr_by:author") != NULL;
	sqlite3_finalize(st);
	sqlite3_close(h);
	assert_true(used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_filter_gives_all_newest_first),
		cmocka_unit_test(test_every_order_pages_without_loss_or_repeat),
		cmocka_unit_test(test_bad_cursor_is_refused),
		cmocka_unit_test(test_filters_by_facts),
		cmocka_unit_test(test_filters_by_name),
		cmocka_unit_test(test_filters_by_metadata),
		cmocka_unit_test(test_deleted_files_are_found_by_what_is_kept),
		cmocka_unit_test(test_caller_can_stop),
		cmocka_unit_test(test_one_file_with_its_metadata),
		cmocka_unit_test(test_story_of_a_file),
		cmocka_unit_test(test_usage_from_rollups_equals_the_scan),
		cmocka_unit_test(test_usage_with_a_filter_the_rollup_covers),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_sql_reads_views_of_catalogue_and_log),
		cmocka_unit_test(test_sql_that_writes_is_refused),
		cmocka_unit_test(test_query_can_be_interrupted),
		cmocka_unit_test(
		    test_metadata_equality_uses_the_configured_index),
		cmocka_unit_test(test_lag_counts_what_is_not_applied),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
