/* SPDX-License-Identifier: MIT */
/* LAYERS: tui base */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tui/table.h"

struct fruit {
	const char *name;
	double weight; /* bytes */
	double age;    /* seconds */
};

static const struct fruit fruits[] = {
	{ "apple", 2048, 60 },
	{ "banana", 512, 3600 },
	{ "cherry", NAN, 5 },
	{ "date", 4096, 86400 },
};

static enum role cell_name(const void *row, char *buf)
{
	str_copy(buf, TABLE_CELL, ((const struct fruit *)row)->name);
	return ROLE_TEXT;
}

static enum role cell_weight(const void *row, char *buf)
{
	const double w = ((const struct fruit *)row)->weight;

	if (isnan(w))
		str_copy(buf, TABLE_CELL, "?");
	else
		str_bytes(buf, TABLE_CELL, (uint64_t)w);
	return ROLE_TEXT;
}

static double value_weight(const void *row)
{
	return ((const struct fruit *)row)->weight;
}

static enum role cell_age(const void *row, char *buf)
{
	str_duration(buf, TABLE_CELL,
	    (int64_t)((const struct fruit *)row)->age);
	return ROLE_TEXT;
}

static double value_age(const void *row)
{
	return ((const struct fruit *)row)->age;
}

/* clang-format off */
static const struct column columns[] = {
	{ "NAME", "name", COL_TEXT, 4, 0, false, true, cell_name, NULL },
	{ "WEIGHT", "weight", COL_BYTES, 6, 1, true, false, cell_weight,
	    value_weight },
	{ "AGE", "age", COL_TIME, 6, 2, true, false, cell_age, value_age },
};
/* clang-format on */

static struct table t;
static struct canvas c;

static void key(const void *row, char *buf)
{
	str_copy(buf, TABLE_CELL, ((const struct fruit *)row)->name);
}

static void load(void)
{
	table_load(&t, fruits, ARRAY_LEN(fruits), sizeof(fruits[0]));
}

static int setup(void **state)
{
	(void)state;
	setlocale(LC_ALL, "C.UTF-8");
	table_init(&t, columns, ARRAY_LEN(columns), key);
	canvas_init(&c, GLYPHS_BLOCK, false);
	load();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	table_fini(&t);
	canvas_fini(&c);
	return 0;
}

static const char *row(int y)
{
	static char buf[256];

	canvas_row_text(&c, y, buf, sizeof(buf));
	return buf;
}

static size_t shown_with(const char *filter)
{
	char err[128];

	assert_int_equal(table_set_filter(&t, filter, err, sizeof(err)), 0);
	load();
	return t.n_shown;
}

static const char *first(void)
{
	return ((const struct fruit *)t.shown[0])->name;
}

static void test_columns_are_drawn_as_wide_as_their_widest_name(void **state)
{
	(void)state;
	canvas_reset(&c, 6, 30);
	table_draw(&t, &c, 0, 6, false);
	assert_string_equal(row(0), " NAME   WEIGHT    AGE");
	assert_string_equal(row(1), "▸apple    2.0k  1m00s");
	assert_string_equal(row(3), " cherry      ?     5s");
}

static void test_the_least_important_columns_are_left_out_first(void **state)
{
	(void)state;
	canvas_reset(&c, 6, 16);
	table_draw(&t, &c, 0, 6, false);
	assert_string_equal(row(0), " NAME   WEIGHT");
	assert_int_equal(t.left_out, 1);
	canvas_reset(&c, 6, 9);
	table_draw(&t, &c, 0, 6, false);
	assert_string_equal(row(0), " NAME");
	assert_int_equal(t.left_out, 2);
}

static void test_the_cursor_stays_on_its_row_when_the_order_changes(
    void **state)
{
	(void)state;
	table_move(&t, 1);
	assert_string_equal(t.cursor, "banana");
	assert_int_equal(table_set_sort(&t, "weight-"), 0);
	load();
	assert_string_equal(first(), "date");
	assert_string_equal(((const struct fruit *)table_current(&t))->name,
	    "banana");
}

static void test_unknown_sorts_last_both_ways(void **state)
{
	(void)state;
	table_set_sort(&t, "weight-");
	load();
	assert_string_equal(((const struct fruit *)t.shown[3])->name, "cherry");
	table_set_sort(&t, "weight");
	load();
	assert_string_equal(first(), "banana");
	assert_string_equal(((const struct fruit *)t.shown[3])->name, "cherry");
	assert_int_equal(table_set_sort(&t, "colour"), -ENOENT);
}

static void test_rows_scroll_with_the_cursor(void **state)
{
	(void)state;
	canvas_reset(&c, 3, 30);
	table_move(&t, 100);
	table_draw(&t, &c, 0, 3, false);
	assert_string_equal(row(2), "▸date     4.0k    1 d");
	table_move(&t, -100);
	canvas_reset(&c, 3, 30);
	table_draw(&t, &c, 0, 3, false);
	assert_string_equal(row(1), "▸apple    2.0k  1m00s");
}

static void test_words_match_any_column(void **state)
{
	(void)state;
	assert_int_equal(shown_with("an"), 1);
	assert_int_equal(shown_with("AN"), 1);
	assert_int_equal(shown_with("!an"), 3);
	assert_int_equal(shown_with("2.0k"), 1);
	assert_int_equal(shown_with(""), 4);
}

static void test_fields_compare_by_their_kind(void **state)
{
	(void)state;
	assert_int_equal(shown_with("weight>1k"), 2);
	assert_int_equal(shown_with("weight>=2k"), 2);
	assert_int_equal(shown_with("weight<1000"), 1);
	assert_int_equal(shown_with("age>1h"), 1);
	assert_int_equal(shown_with("age>=1h"), 2);
	assert_int_equal(shown_with("weight=2k"), 1);
	assert_int_equal(shown_with("name=a*,b*"), 2);
	assert_int_equal(shown_with("name!=a*"), 3);
}

static void test_or_binds_weaker_than_and(void **state)
{
	(void)state;
	assert_int_equal(shown_with("weight>1k age>1h or name=cherry"), 2);
	assert_int_equal(shown_with("name=cherry or weight>1k age>1h"), 2);
	assert_int_equal(shown_with("name=x or name=y"), 0);
}

static void test_a_wrong_filter_keeps_the_old_one(void **state)
{
	char err[128];

	(void)state;
	assert_int_equal(shown_with("apple"), 1);
	assert_int_equal(table_set_filter(&t, "colour=red", err, sizeof(err)),
	    -EINVAL);
	assert_string_equal(err, "there is no column colour");
	assert_int_equal(table_set_filter(&t, "name>3", err, sizeof(err)),
	    -EINVAL);
	assert_int_equal(table_set_filter(&t, "age>soon", err, sizeof(err)),
	    -EINVAL);
	load();
	assert_int_equal(t.n_shown, 1);
}

static void test_an_empty_table_has_no_current_row(void **state)
{
	char status[128];

	(void)state;
	assert_int_equal(shown_with("nothing"), 0);
	assert_null(table_current(&t));
	table_move(&t, 1);
	table_status(&t, "fruit", status, sizeof(status));
	assert_string_equal(status, "no fruit (4 in all) · filter nothing");
	canvas_reset(&c, 3, 30);
	assert_int_equal(table_draw(&t, &c, 0, 3, false), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_columns_are_drawn_as_wide_as_their_widest_name),
		T(test_the_least_important_columns_are_left_out_first),
		T(test_the_cursor_stays_on_its_row_when_the_order_changes),
		T(test_unknown_sorts_last_both_ways),
		T(test_rows_scroll_with_the_cursor),
		T(test_words_match_any_column),
		T(test_fields_compare_by_their_kind),
		T(test_or_binds_weaker_than_and),
		T(test_a_wrong_filter_keeps_the_old_one),
		T(test_an_empty_table_has_no_current_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
