/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/macros.h"
#include "meta/recovery.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	tmp_remove(&tmp);
	return 0;
}

static int read_mark(const char *text, struct recovery *r)
{
	assert_int_equal(db_mark_set(db, RECOVERY_MARK, text), 0);
	return recovery_read(db, r);
}

static void test_without_a_mark_there_is_none(void **state)
{
	struct recovery r;

	(void)state;
	assert_int_equal(recovery_read(db, &r), 0);
}

static void test_one_that_runs_is_told_in_words(void **state)
{
	char text[RECOVERY_TEXT_SIZE];
	struct recovery r;

	(void)state;
	assert_int_equal(db_mark_set(db, "identity_group", "g1"), 0);
	assert_int_equal(db_mark_set(db, "identity_ips", "10.0.0.5"), 0);
	assert_int_equal(
	    read_mark("path=0 state=running lines=1234/20000 files=1200 "
	              "bytes=99 lost=0 at=1795331773 from=10.0.0.4",
	        &r),
	    1);
	assert_string_equal(r.group, "g1");
	assert_string_equal(recovery_text(&r, text, sizeof(text)),
	    "10.0.0.5 M00 recovering: 1,234 of 20,000 files (6 %) from "
	    "10.0.0.4");
}

static void test_nobody_and_nothing_are_told_too(void **state)
{
	char text[RECOVERY_TEXT_SIZE];
	struct recovery r;

	(void)state;
	assert_int_equal(read_mark("path=255 state=running lines=0/0", &r), 1);
	assert_string_equal(recovery_text(&r, text, sizeof(text)),
	    "this storage MFF recovering: 0 of 0 files (0 %)");
}

static void test_one_that_has_ended_is_none(void **state)
{
	struct recovery r;

	(void)state;
	assert_int_equal(
	    read_mark("path=0 state=done lines=5/5 files=5 bytes=1 lost=0 "
	              "at=1795331773",
	        &r),
	    0);
}

static void test_another_text_is_an_error(void **state)
{
	static const char *const bad[] = { "", "hello", "state=running",
		"path=0 state=running lines=5",
		"path=x state=running lines=1/2",
		"path=256 state=running lines=1/2",
		"path=0 state=running lines=-1/2",
		"path=0 state=gone lines=1/2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct recovery r;

		assert_int_equal(read_mark(bad[i], &r), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_without_a_mark_there_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_one_that_runs_is_told_in_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_nobody_and_nothing_are_told_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_has_ended_is_none,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_text_is_an_error,
		    set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
