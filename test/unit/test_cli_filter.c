/* SPDX-License-Identifier: MIT */
/* LAYERS: cli net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/filter.h"

#define NOW INT64_C(1795343633) /* 2026-11-22T10:33:53Z */
#define DAY INT64_C(86400)

static void assert_range(const struct query_range *r, bool has_min, int64_t min,
    bool has_max, int64_t max)
{
	assert_int_equal(r->has_min, has_min);
	assert_int_equal(r->has_max, has_max);
	if (has_min)
		assert_int_equal(r->min, min);
	if (has_max)
		assert_int_equal(r->max, max);
}

static void test_sizes_are_more_less_between_or_exact(void **state)
{
	struct query_range r;

	(void)state;
	assert_int_equal(filter_size("+10k", &r), 0);
	assert_range(&r, true, 10241, false, 0);
	assert_int_equal(filter_size("-4k", &r), 0);
	assert_range(&r, false, 0, true, 4096);
	assert_int_equal(filter_size("1k..2k", &r), 0);
	assert_range(&r, true, 1024, true, 2049);
	assert_int_equal(filter_size("..2k", &r), 0);
	assert_range(&r, false, 0, true, 2049);
	assert_int_equal(filter_size("0", &r), 0);
	assert_range(&r, true, 0, true, 1);
}

static void test_bad_sizes_are_refused(void **state)
{
	struct query_range r;

	(void)state;
	assert_true(filter_size("", &r) < 0);
	assert_true(filter_size("..", &r) < 0);
	assert_true(filter_size("+", &r) < 0);
	assert_true(filter_size("1x", &r) < 0);
	assert_true(filter_size("1k..x", &r) < 0);
	assert_true(filter_size("99999999999999999999", &r) < 0);
}

static void test_ages_count_back_from_now(void **state)
{
	struct query_range r;

	(void)state;
	assert_int_equal(filter_age("+90d", NOW, &r), 0);
	assert_range(&r, false, 0, true, (NOW - 90 * DAY) * 1000);
	assert_int_equal(filter_age("-7d", NOW, &r), 0);
	assert_range(&r, true, (NOW - 7 * DAY) * 1000, false, 0);
	assert_int_equal(filter_age("1d..7d", NOW, &r), 0);
	assert_range(&r, true, (NOW - 7 * DAY) * 1000, true,
	    (NOW - DAY) * 1000);
	assert_true(filter_age("7d", NOW, &r) < 0);
	assert_true(filter_age("+7", NOW, &r) < 0);
}

static void test_a_date_stands_for_its_whole_day(void **state)
{
	struct query_range r;
	const int64_t day = INT64_C(1795305600) * 1000; /* 2026-11-22 UTC */

	(void)state;
	assert_int_equal(filter_time("2026-11-22", NOW, &r), 0);
	assert_range(&r, true, day, true, day + DAY * 1000);
	assert_int_equal(filter_time("today", NOW, &r), 0);
	assert_range(&r, true, day, true, day + DAY * 1000);
	assert_int_equal(filter_time("yesterday", NOW, &r), 0);
	assert_range(&r, true, day - DAY * 1000, true, day);
	assert_int_equal(filter_time("2026-11", NOW, &r), 0);
	assert_range(&r, true, day - 21 * DAY * 1000, true,
	    day + 9 * DAY * 1000);
}

static void test_a_range_of_dates_leaves_the_last_one_out(void **state)
{
	struct query_range r;
	const int64_t day = INT64_C(1795305600) * 1000;

	(void)state;
	assert_int_equal(filter_time("2026-11-21..2026-11-22", NOW, &r), 0);
	assert_range(&r, true, day - DAY * 1000, true, day);
	assert_int_equal(filter_time("2026-11-22T10:00..", NOW, &r), 0);
	assert_range(&r, true, day + 36000 * 1000, false, 0);
	assert_int_equal(filter_time("-1d", NOW, &r), 0);
	assert_range(&r, true, (NOW - DAY) * 1000, false, 0);
	assert_int_equal(filter_time("@1795305600", NOW, &r), 0);
	assert_range(&r, true, day, true, day + 1000);
	assert_true(filter_time("2026-13-01", NOW, &r) < 0);
	assert_true(filter_time("soon", NOW, &r) < 0);
}

static const char *one[1];

static struct opt_list list_of(const char *text)
{
	one[0] = text;
	return (struct opt_list){ one, 1 };
}

static void assert_condition(const char *text, const char *key,
    enum meta_test test, const char *value)
{
	struct filter_options o = { .meta = list_of(text) };
	struct filter f;

	assert_int_equal(filter_make(&o, NOW, &f), STATUS_OK);
	assert_int_equal(f.f.n_meta, 1);
	assert_string_equal(f.f.meta[0].key, key);
	assert_int_equal(f.f.meta[0].test, test);
	if (value)
		assert_string_equal(f.f.meta[0].value, value);
	filter_free(&f);
}

static void test_metadata_conditions_have_their_operator(void **state)
{
	(void)state;
	assert_condition("author", "author", META_EXISTS, NULL);
	assert_condition("!author", "author", META_ABSENT, NULL);
	assert_condition("author=lin", "author", META_EQUALS, "lin");
	assert_condition("author=li*", "author", META_GLOB, "li*");
	assert_condition("author!=lin", "author", META_DIFFERS, "lin");
	assert_condition("width>=1024", "width", META_AT_LEAST, "1024");
	assert_condition("width>10", "width", META_MORE, "10");
	assert_condition("width<=1e3", "width", META_AT_MOST, "1e3");
	assert_condition("width<5", "width", META_LESS, "5");
	assert_condition("eq=a=b", "eq", META_EQUALS, "a=b");
	assert_condition("empty=", "empty", META_EQUALS, "");
}

static void test_bad_conditions_are_refused(void **state)
{
	static const char *const bad[] = { "=x", "!", "width>x", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct filter_options o = { .meta = list_of(bad[i]) };
		struct filter f;

		assert_int_equal(filter_make(&o, NOW, &f), STATUS_USAGE);
		filter_free(&f);
	}
}

static void test_lists_are_split_and_extensions_lowered(void **state)
{
	struct filter_options o = { .exts = list_of("JPG,png"),
		.no_ext = true,
		.types = "slave,appender" };
	struct filter f;

	(void)state;
	assert_int_equal(filter_make(&o, NOW, &f), STATUS_OK);
	assert_int_equal(f.f.exts.n, 3);
	assert_string_equal(f.f.exts.items[0], "jpg");
	assert_string_equal(f.f.exts.items[2], "");
	assert_int_equal(f.f.types, BIT(1) | BIT(2));
	filter_free(&f);
}

static void test_store_paths_are_read_as_numbers_or_names(void **state)
{
	struct filter_options o = { .paths = list_of("M0A,3") };
	struct filter f;

	(void)state;
	assert_int_equal(filter_make(&o, NOW, &f), STATUS_OK);
	assert_int_equal(f.f.n_paths, 2);
	assert_int_equal(f.f.paths[0], 10);
	assert_int_equal(f.f.paths[1], 3);
	filter_free(&f);
	o.paths = list_of("M1,x");
	assert_int_equal(filter_make(&o, NOW, &f), STATUS_USAGE);
	filter_free(&f);
}

static int in_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_more_less_between_or_exact),
		cmocka_unit_test(test_bad_sizes_are_refused),
		cmocka_unit_test(test_ages_count_back_from_now),
		cmocka_unit_test(test_a_date_stands_for_its_whole_day),
		cmocka_unit_test(test_a_range_of_dates_leaves_the_last_one_out),
		cmocka_unit_test(test_metadata_conditions_have_their_operator),
		cmocka_unit_test(test_bad_conditions_are_refused),
		cmocka_unit_test(test_lists_are_split_and_extensions_lowered),
		cmocka_unit_test(test_store_paths_are_read_as_numbers_or_names),
	};

	return cmocka_run_group_tests(tests, in_utc, NULL);
}
