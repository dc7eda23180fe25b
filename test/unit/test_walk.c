/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>

#include "base/log.h"
#include "base/macros.h"
#include "meta/catalogue.h"
#include "meta/walk.h"
#include "meta_names.h"
#include "meta_tmp.h"

#define T0 INT64_C(1795331773)
#define N  300

static struct tmp tmp;
static char err[DB_ERR_MAX];
static char cat_path[128];
static struct db *cat;

/* File i: path i%3 (M00, M01, M0A), size i, metadata for every tenth. */
static void name_of(int i, char *out)
{
	static const unsigned paths[] = { 0, 1, 10 };

	snprintf(out, 64, "M%02X/00/%02X/n%d-%lld-%04d.txt", paths[i % 3],
	    i % 5, i, (long long)T0 + i, i);
}

static void fill(struct db *db)
{
	char name[64];

	for (int i = 0; i < N; i++) {
		struct op op;

		name_of(i, name);
		op = op_make(OP_CREATE, name, (uint64_t)i);
		op.at = (T0 + i) * 1000;
		assert_true(op_append(db, op) > 0);
		op.code = OP_SET_META;
		op.extra = span_of("author\2lin");
		if (i % 10 == 0)
			assert_true(op_append(db, op) > 0);
	}
	name_of(0, name);
	assert_true(op_append(db, op_make(OP_DELETE, name, 0)) > 0);
}

static int set_up(void **state)
{
	struct catalogue *c = NULL;
	char log_path[128];
	struct db *db = NULL;
	(void)state;

	log_set_level(LOG_LEVEL_ERROR);
	tmp_make(&tmp);
	snprintf(log_path, sizeof(log_path), "%s/storage.db", tmp.dir);
	snprintf(cat_path, sizeof(cat_path), "%s/catalogue.db", tmp.dir);
	assert_int_equal(db_open(DB_LOG, log_path, false, &db, err), 0);
	fill(db);
	db_close(db);

	const struct catalogue_conf conf = { .log_path = log_path,
		.path = cat_path,
		.read_name = test_read_name,
		.group = "group1",
		.name_key = "filename" };

	assert_int_equal(catalogue_start(&conf, &c, err), 0);
	catalogue_stop(c);
	return db_open_read(DB_CATALOGUE, cat_path, &cat, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(cat);
	tmp_remove(&tmp);
	return 0;
}

struct got {
	char last[64];
	size_t n, with_meta, stop_at;
	uint64_t bytes;
};

static int take(void *arg, const struct walk_file *f)
{
	struct got *g = arg;
	char name[64];

	assert_true(str_copy_span(name, sizeof(name), f->name));
	assert_true(strcmp(name, g->last) > 0);
	str_copy(g->last, sizeof(g->last), name);
	name_of((int)f->size, name);
	assert_string_equal(g->last, name);
	assert_int_equal(f->created, T0 + (int64_t)f->size);
	assert_int_equal(f->modified, T0 + (int64_t)f->size);
	assert_int_equal(f->type, 0);
	assert_int_equal(f->has_meta, f->size % 10 == 0);
	g->with_meta += f->has_meta;
	g->bytes += f->size;
	return ++g->n == g->stop_at;
}

static void test_every_file_comes_once_in_order_of_names(void **state)
{
	static const size_t pages[] = { 1, 7, 299, 1000 };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct got g = { .n = 0 };
		char after[64] = "";
		int n;

		while (
		    (n = walk_files(cat, after, -1, pages[i], take, &g)) > 0) {
			assert_true((size_t)n <= pages[i]);
			str_copy(after, sizeof(after), g.last);
		}
		assert_int_equal(n, 0);
		assert_int_equal(g.n, N - 1);
		assert_int_equal(g.with_meta, N / 10 - 1);
	}
}

static void test_one_store_path_can_be_walked(void **state)
{
	static const struct {
		int path;
		size_t files;
	} want[] = { { 0, 99 }, { 1, 100 }, { 10, 100 }, { 2, 0 }, { 255, 0 } };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct got g = { .n = 0 };
		char after[64] = "";

		while (walk_files(cat, after, want[i].path, 30, take, &g) > 0)
			str_copy(after, sizeof(after), g.last);
		assert_int_equal(g.n, want[i].files);
	}
}

static void test_walk_ends_when_the_caller_has_enough(void **state)
{
	struct got g = { .stop_at = 5 };
	(void)state;

	assert_int_equal(walk_files(cat, "", -1, 100, take, &g), 5);
	assert_int_equal(g.n, 5);
}

static void test_position_and_totals_are_those_of_the_catalogue(void **state)
{
	uint64_t seq = 0;
	uint64_t files = 0;
	uint64_t bytes = 0;
	struct got g = { .n = 0 };
	(void)state;

	assert_int_equal(walk_position(cat, &seq), 0);
	assert_int_equal(seq, N + N / 10 + 1);
	assert_int_equal(walk_totals(cat, &files, &bytes), 0);
	assert_true(walk_files(cat, "", -1, 1000, take, &g) > 0);
	assert_int_equal(files, g.n);
	assert_int_equal(bytes, g.bytes);
}

static void test_one_file_is_found_by_its_name(void **state)
{
	struct walk_file f;
	char name[64];

	(void)state;
	name_of(20, name);
	assert_int_equal(walk_find(cat, span_of(name), &f), 0);
	assert_int_equal(f.size, 20);
	assert_true(f.has_meta);
	name_of(21, name);
	assert_int_equal(walk_find(cat, span_of(name), &f), 0);
	assert_int_equal(f.size, 21);
	assert_false(f.has_meta);
	assert_int_equal(walk_find(cat, span_of("M00/00/00/none"), &f),
	    -ENOENT);
}

static void test_pages_are_found_by_the_index_of_names(void **state)
{
	sqlite3 *h = NULL;
	sqlite3_stmt *st = NULL;
	(void)state;

	assert_int_equal(sqlite3_open(cat_path, &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(h,
	        "EXPLAIN QUERY PLAN SELECT name FROM file WHERE name > ?1 AND "
	        "name < ?2 ORDER BY name LIMIT 10",
	        -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_non_null(strstr((const char *)sqlite3_column_text(st, 3),
	    "INDEX sqlite_autoindex_file_1 (name>? AND name<?)"));
	assert_int_equal(sqlite3_step(st), SQLITE_DONE); /* and no sorting */
	sqlite3_finalize(st);
	sqlite3_close(h);
}

int main(void)
{
#define TEST(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		TEST(test_every_file_comes_once_in_order_of_names),
		TEST(test_one_store_path_can_be_walked),
		TEST(test_walk_ends_when_the_caller_has_enough),
		TEST(test_position_and_totals_are_those_of_the_catalogue),
		TEST(test_one_file_is_found_by_its_name),
		TEST(test_pages_are_found_by_the_index_of_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
