/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>

#include "base/fs.h"
#include "base/macros.h"
#include "meta/migrate.h"
#include "meta/peers.h"
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

/* --- a log of the first version --------------------------------------------
 */

static void make_version_1(void)
{
	char *sql = NULL;

	assert_true(
	    fs_read_file("test/golden/db/storage_v1.sql", 65536, &sql) > 0);
	outside(sql);
	free(sql);
}

struct seen {
	size_t n;
	char codes[16];
	uint64_t bytes;
	bool meta;
};

static int see(void *arg, const struct op *op)
{
	struct seen *s = arg;

	s->codes[s->n++] = (char)op->code;
	s->bytes += op->bytes;
	s->meta = s->meta || span_eq(op->extra, "author\2lin");
	return 0;
}

static void test_log_of_the_first_version_keeps_its_rows(void **state)
{
	struct seen seen = { .n = 0 };
	char value[32] = "";
	uint64_t bytes = 0;
	uint64_t seq = 0;
	struct db *db = NULL;
	(void)state;

	make_version_1();
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(oplog_first(db), 5);
	assert_int_equal(oplog_last(db, &bytes), 12);
	assert_int_equal(bytes, 3860); /* 700 of them before the first row */
	assert_int_equal(oplog_read(db, 0, 100, see, &seen), 8);
	assert_string_equal(seen.codes, "CCUACDCT");
	assert_int_equal(seen.bytes, 3160);
	assert_true(seen.meta);
	assert_int_equal(oplog_follower_get(db, "catalogue", &seq), 0);
	assert_int_equal(seq, 11);
	assert_int_equal(db_mark_get(db, "log_id", value, sizeof(value)), 0);
	assert_string_equal(value, "00112233aabbccdd");
	assert_int_equal(op_append(db, op_make(OP_CREATE, "a", 5)), 13);
	assert_int_equal(oplog_last(db, &bytes), 13);
	assert_int_equal(bytes, 3865);
	db_close(db);
}

static void test_own_totals_of_the_first_version_are_made(void **state)
{
	static const struct {
		uint64_t after, ops, bytes;
		wall_t oldest;
	} want[] = {
		{ 0, 5, 160, 1795331773123 }, /* the whole log */
		{ 4, 5, 160, 1795331773123 },
		{ 5, 4, 60, 1795331775123 }, /* 6 is a replica */
		{ 10, 1, 10, 1795331779123 },
		{ 11, 0, 0, 0 }, /* 12 is a replica */
		{ 12, 0, 0, 0 },
	};
	struct peer_backlog b;
	struct db *db = NULL;
	(void)state;

	make_version_1();
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct peer_row p = { .id = "100002",
			.seq = want[i].after };

		assert_int_equal(peers_backlog(db, &p, false, &b), 0);
		assert_int_equal(b.ops, want[i].ops);
		assert_int_equal(b.bytes, want[i].bytes);
		assert_int_equal(b.oldest, want[i].oldest);
	}
	db_close(db);
}

static void test_log_of_the_first_version_can_be_read(void **state)
{
	struct seen seen = { .n = 0 };
	uint64_t ops = 0;
	uint64_t bytes = 0;
	wall_t oldest = 0;
	struct db *db = NULL;
	(void)state;

	make_version_1();
	assert_int_equal(db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &db, err),
	    0);
	assert_int_equal(oplog_read(db, 0, 100, see, &seen), 8);
	assert_int_equal(oplog_backlog(db, 11, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops, 1);
	db_close(db);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind_has_a_first_version),
		TEST(test_migrating_twice_changes_nothing),
		TEST(test_creation_cut_off_after_identity_is_completed),
		TEST(test_failed_migration_leaves_the_old_version),
		TEST(test_log_of_the_first_version_keeps_its_rows),
		TEST(test_own_totals_of_the_first_version_are_made),
		TEST(test_log_of_the_first_version_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
