/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "meta/migrate.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	err[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tmp_remove(&tmp);
	return 0;
}

static struct db *make(enum db_kind kind, const char *name)
{
	struct db *db = NULL;

	assert_int_equal(db_open(kind, tmp_path(&tmp, name), false, &db, err),
	    0);
	return db;
}

/* Runs SQL as another program would, past our own functions. */
static void outside(const char *name, const char *sql)
{
	sqlite3 *h = NULL;

	assert_int_equal(sqlite3_open(tmp_path(&tmp, name), &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static void test_new_database_has_identity_version_and_wal(void **state)
{
	static const unsigned ids[] = { 0x46444c47, 0x46444341, 0x46445452 };
	(void)state;

	for (int kind = DB_LOG; kind <= DB_TRACKER; kind++) {
		struct db *db = make((enum db_kind)kind, "a.db");
		unsigned char head[100];
		const int fd = open(tmp_path(&tmp, "a.db"), O_RDONLY);

		assert_int_equal(db_checkpoint(db, true, NULL), 0);
		assert_int_equal(pread(fd, head, 100, 0), 100);
		close(fd);
		assert_int_equal(head[18], 2); /* WAL */
		assert_int_equal(head[63],     /* user_version */
		    migrate_latest((enum db_kind)kind));
		for (int i = 0; i < 4; i++)
			assert_int_equal(head[68 + i],
			    (ids[kind] >> (24 - 8 * i)) & 0xff);
		db_close(db);
		assert_int_equal(unlink(tmp_path(&tmp, "a.db")), 0);
		unlink(tmp_path(&tmp, "a.db-wal"));
		unlink(tmp_path(&tmp, "a.db-shm"));
	}
}

static void test_all_tables_are_strict(void **state)
{
	(void)state;
	for (int kind = DB_LOG; kind <= DB_TRACKER; kind++) {
		char name[16];
		sqlite3 *h;
		sqlite3_stmt *st;

		snprintf(name, sizeof(name), "%d.db", kind);
		db_close(make((enum db_kind)kind, name));
		assert_int_equal(sqlite3_open(tmp_path(&tmp, name), &h), 0);
		assert_int_equal(
		    sqlite3_prepare_v2(h,
		        "SELECT group_concat(name) FROM pragma_table_list "
		        "WHERE type = 'table' AND NOT strict "
		        "AND name NOT LIKE 'sqlite_%'",
		        -1, &st, NULL),
		    0);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_int_equal(sqlite3_column_type(st, 0), SQLITE_NULL);
		sqlite3_finalize(st);
		sqlite3_close(h);
	}
}

static void test_second_writer_is_refused(void **state)
{
	struct db *first = make(DB_LOG, "a.db");
	struct db *second = NULL;
	(void)state;

	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &second, err),
	    -EBUSY);
	assert_non_null(strstr(err, "stop"));
	db_close(first);
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &second, err), 0);
	db_close(second);
}

static void test_newer_version_is_refused_naming_both(void **state)
{
	struct db *db = NULL;
	char known[32];
	(void)state;

	db_close(make(DB_LOG, "a.db"));
	outside("a.db", "PRAGMA user_version = 99");
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), -ENOTSUP);
	assert_non_null(strstr(err, "99"));
	snprintf(known, sizeof(known), "up to %d", migrate_latest(DB_LOG));
	assert_non_null(strstr(err, known));
	assert_int_equal(db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &db, err),
	    -ENOTSUP);
}

static void test_database_of_somebody_else_is_refused(void **state)
{
	struct db *db = NULL;
	(void)state;

	outside("a.db", "CREATE TABLE t (a)");
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err),
	    -EMEDIUMTYPE);
	db_close(make(DB_TRACKER, "t.db"));
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "t.db"), false, &db, err),
	    -EMEDIUMTYPE);
	assert_non_null(strstr(err, "base_path"));
}

static void write_over(const char *name, off_t at, size_t n)
{
	const int fd = open(tmp_path(&tmp, name), O_RDWR | O_CREAT, 0644);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(pwrite(fd, "\xa5", 1, at + (off_t)i), 1);
	close(fd);
}

static void test_garbage_is_refused_and_says_how_to_rebuild(void **state)
{
	struct db *db = NULL;
	(void)state;

	write_over("a.db", 0, 5000);
	assert_int_equal(
	    db_open(DB_CATALOGUE, tmp_path(&tmp, "a.db"), false, &db, err),
	    -EUCLEAN);
	assert_non_null(strstr(err, "fdfs-meta adopt"));
	assert_int_equal(
	    db_open_read(DB_CATALOGUE, tmp_path(&tmp, "a.db"), &db, err),
	    -EUCLEAN);
}

static void test_damaged_page_is_found_by_check(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	(void)state;

	for (int i = 0; i < 2000; i++)
		assert_int_equal(
		    op_append(db, op_make(OP_CREATE, "M00/00/00/x", 1)), i + 1);
	assert_int_equal(db_check(db, err), 0);
	db_close(db);
	write_over("a.db", 20 * 4096 + 8, 2000);
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(db_check(db, err), -EUCLEAN);
	assert_true(strlen(err) > 0);
	db_close(db);
}

static void test_empty_file_becomes_a_database(void **state)
{
	(void)state;
	write_over("a.db", 0, 0);
	db_close(make(DB_LOG, "a.db"));
}

static void test_reader_of_missing_file_says_so(void **state)
{
	struct db *db = NULL;
	(void)state;

	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "no.db"), &db, err), -ENOENT);
	assert_non_null(strstr(err, "does not exist"));
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "no/no.db"), false, &db, err),
	    -ENOENT);
}

static void test_reader_sees_commits_beside_the_writer(void **state)
{
	struct db *writer = make(DB_LOG, "a.db");
	struct db *reader = NULL;
	(void)state;

	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &reader, err), 0);
	assert_int_equal(oplog_last(reader, NULL), 0);
	op_append(writer, op_make(OP_CREATE, "M00/00/00/x", 7));
	assert_int_equal(oplog_last(reader, NULL), 1);
	db_close(reader);
	db_close(writer);
}

static void test_reader_cannot_write(void **state)
{
	struct db *reader = NULL;
	(void)state;

	db_close(make(DB_LOG, "a.db"));
	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &reader, err), 0);
	assert_int_equal(db_mark_set(reader, "a", "b"), -EROFS);
	assert_int_equal(op_append(reader, op_make(OP_CREATE, "x", 1)), -EROFS);
	db_close(reader);
}

static void test_wal_files_stay_after_a_clean_stop(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	(void)state;

	op_append(db, op_make(OP_CREATE, "M00/00/00/x", 7));
	db_close(db);
	assert_int_equal(access(tmp_path(&tmp, "a.db-wal"), F_OK), 0);
	assert_int_equal(access(tmp_path(&tmp, "a.db-shm"), F_OK), 0);
}

/* As a user who may read everything and write nothing. */
static int read_as_nobody(void)
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct db *db = NULL;
		char text[DB_ERR_MAX] = "";

		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(99);
		if (db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &db, text)) {
			fprintf(stderr, "%s\n", text);
			_exit(98);
		}
		_exit((int)oplog_last(db, NULL));
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void test_folder_without_write_permission_can_be_read(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	(void)state;

	if (geteuid() != 0) {
		db_close(db);
		skip();
	}
	chmod(tmp.dir, 0555);
	op_append(db, op_make(OP_CREATE, "M00/00/00/x", 7));
	assert_int_equal(read_as_nobody(), 1); /* beside the writer */
	db_close(db);
	assert_int_equal(read_as_nobody(), 1); /* after a clean stop */
	unlink(tmp_path(&tmp, "a.db-wal"));
	unlink(tmp_path(&tmp, "a.db-shm"));
	assert_int_equal(read_as_nobody(), 1); /* a copy of the file alone */
}

static void test_folder_without_write_permission_refuses_writer(void **state)
{
	const char *path = tmp_path(&tmp, "a.db");
	(void)state;

	if (geteuid() != 0)
		skip();
	chmod(tmp.dir, 0555);

	const pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct db *db = NULL;

		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(99);
		_exit(-db_open(DB_LOG, path, false, &db, err));
	}
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), EACCES);
}

static void test_full_disk_fails_the_commit_and_recovers(void **state)
{
	struct db *db = NULL;
	int64_t rc = 0;
	int64_t last = 0;
	(void)state;

	if (mount("none", tmp.dir, "tmpfs", 0, "size=512k") != 0)
		skip();
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	while ((rc = op_append(db, op_make(OP_CREATE, "M00/00/00/x", 1))) > 0)
		last = rc;
	assert_int_equal(rc, -ENOSPC);
	assert_true(last > 0);
	assert_int_equal(mount("none", tmp.dir, "tmpfs", MS_REMOUNT, "size=4m"),
	    0);
	assert_int_equal(op_append(db, op_make(OP_CREATE, "M00/00/00/y", 1)),
	    last + 1);
	assert_int_equal(db_check(db, err), 0);
	db_close(db);
	assert_int_equal(umount(tmp.dir), 0);
}

static void test_rollback_undoes(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	char value[8];
	(void)state;

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_mark_set(db, "clean_stop", "1"), 0);
	db_rollback(db);
	assert_int_equal(db_mark_get(db, "clean_stop", value, 8), -ENOENT);
	assert_int_equal(db_mark_set(db, "clean_stop", "1"), 0);
	assert_int_equal(db_mark_set(db, "clean_stop", "2"), 0);
	assert_int_equal(db_mark_get(db, "clean_stop", value, 8), 0);
	assert_string_equal(value, "2");
	db_close(db);
}

static void test_checkpoint_empties_the_wal(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	struct stat st;
	int left = -1;
	(void)state;

	for (int i = 0; i < 100; i++)
		op_append(db, op_make(OP_CREATE, "M00/00/00/x", 7));
	assert_int_equal(db_checkpoint(db, false, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(db_checkpoint(db, true, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(stat(tmp_path(&tmp, "a.db-wal"), &st), 0);
	assert_int_equal(st.st_size, 0);
	db_close(db);
}

static void test_reader_keeps_checkpoint_from_finishing(void **state)
{
	struct db *db = make(DB_LOG, "a.db");
	struct db *reader = NULL;
	int left = 0;
	(void)state;

	op_append(db, op_make(OP_CREATE, "M00/00/00/x", 7));
	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &reader, err), 0);
	assert_int_equal(db_begin(reader), 0);
	assert_int_equal(oplog_last(reader, NULL), 1);
	op_append(db, op_make(OP_CREATE, "M00/00/00/y", 7));
	assert_int_equal(db_checkpoint(db, false, &left), 0);
	assert_true(left > 0);
	db_rollback(reader);
	assert_int_equal(db_checkpoint(db, false, &left), 0);
	assert_int_equal(left, 0);
	db_close(reader);
	db_close(db);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_new_database_has_identity_version_and_wal),
		TEST(test_all_tables_are_strict),
		TEST(test_second_writer_is_refused),
		TEST(test_newer_version_is_refused_naming_both),
		TEST(test_database_of_somebody_else_is_refused),
		TEST(test_garbage_is_refused_and_says_how_to_rebuild),
		TEST(test_damaged_page_is_found_by_check),
		TEST(test_empty_file_becomes_a_database),
		TEST(test_reader_of_missing_file_says_so),
		TEST(test_reader_sees_commits_beside_the_writer),
		TEST(test_reader_cannot_write),
		TEST(test_wal_files_stay_after_a_clean_stop),
		TEST(test_folder_without_write_permission_can_be_read),
		TEST(test_folder_without_write_permission_refuses_writer),
		TEST(test_full_disk_fails_the_commit_and_recovers),
		TEST(test_rollback_undoes),
		TEST(test_checkpoint_empties_the_wal),
		TEST(test_reader_keeps_checkpoint_from_finishing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
