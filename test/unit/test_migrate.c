/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>

#include "meta/migrate.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tmp_remove(&tmp);
	return 0;
}

static void outside(const char *sql)
{
	sqlite3 *h = NULL;

	assert_int_equal(sqlite3_open(tmp_path(&tmp, "a.db"), &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static void test_every_kind_has_a_first_version(void **state)
{
	(void)state;
	assert_true(migrate_latest(DB_LOG) >= 1);
	assert_true(migrate_latest(DB_CATALOGUE) >= 1);
	assert_true(migrate_latest(DB_TRACKER) >= 1);
}

static void test_migrating_twice_changes_nothing(void **state)
{
	struct db *db = NULL;
	(void)state;

	assert_int_equal(
	    db_open(DB_TRACKER, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(db_mark_set(db, "kept", "yes"), 0);
	assert_int_equal(migrate_run(db, err), 0);
	db_close(db);

	char value[8] = "";

	assert_int_equal(
	    db_open(DB_TRACKER, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(db_mark_get(db, "kept", value, sizeof(value)), 0);
	assert_string_equal(value, "yes");
	db_close(db);
}

static void test_creation_cut_off_after_identity_is_completed(void **state)
{
	struct db *db = NULL;
	(void)state;

	outside("PRAGMA application_id = 1178881095"); /* FDLG, no tables */
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(op_append(db, op_make(OP_CREATE, "a", 1)), 1);
	db_close(db);
}

static void test_failed_migration_leaves_the_old_version(void **state)
{
	struct db *db = NULL;
	sqlite3 *h = NULL;
	sqlite3_stmt *st = NULL;
	(void)state;

	/* an object in the way of the first migration */
	outside("PRAGMA application_id = 1178881095; CREATE TABLE mark (a)");
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), -EINVAL);
	assert_non_null(strstr(err, "0001_initial"));
	assert_int_equal(sqlite3_open(tmp_path(&tmp, "a.db"), &h), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(h,
	                     "SELECT count(*), (SELECT user_version FROM "
	                     "pragma_user_version) FROM sqlite_schema",
	                     -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 1);
	assert_int_equal(sqlite3_column_int(st, 1), 0);
	sqlite3_finalize(st);
	sqlite3_close(h);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind_has_a_first_version),
		TEST(test_migrating_twice_changes_nothing),
		TEST(test_creation_cut_off_after_identity_is_completed),
		TEST(test_failed_migration_leaves_the_old_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
