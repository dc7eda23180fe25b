/* SPDX-License-Identifier: MIT */
/* LAYERS: tui base */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tui/chart.h"

static struct canvas c;

static int setup(void **state)
{
	(void)state;
	setlocale(LC_ALL, "C.UTF-8");
	canvas_init(&c, GLYPHS_BLOCK, false);
	canvas_reset(&c, 1, 10);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	canvas_fini(&c);
	return 0;
}

static const char *row(void)
{
	static char buf[256];

	canvas_row_text(&c, 0, buf, sizeof(buf));
	return buf;
}

static void test_a_bar_shows_eighths(void **state)
{
	(void)state;
	chart_bar(&c, 0, 0, 8, (struct bar){ 0.5, 0 });
	assert_string_equal(row(), "████····");
	chart_bar(&c, 0, 0, 8, (struct bar){ 33.0 / 64, 0 });
	assert_string_equal(row(), "████▏···");
}

static void test_reserve_stands_at_the_right_end(void **state)
{
	(void)state;
	chart_bar(&c, 0, 0, 10, (struct bar){ 0.3, 0.2 });
	assert_string_equal(row(), "███·····▒▒");
	chart_bar(&c, 0, 0, 10, (struct bar){ 0.95, 0.2 });
	assert_string_equal(row(), "█████████▌");
}

static void test_a_little_is_not_nothing_and_nearly_full_is_not_full(
    void **state)
{
	(void)state;
	chart_bar(&c, 0, 0, 4, (struct bar){ 0.0001, 0 });
	assert_string_equal(row(), "▏···");
	chart_bar(&c, 0, 0, 4, (struct bar){ 0.9999, 0 });
	assert_string_equal(row(), "███▉");
	chart_bar(&c, 0, 0, 4, (struct bar){ 1, 0 });
	assert_string_equal(row(), "████");
	chart_bar(&c, 0, 0, 4, (struct bar){ 0, 0 });
	assert_string_equal(row(), "····");
}

static void test_a_line_scales_to_its_largest_value(void **state)
{
	const double v[] = { 0, 50, 100, 25 };

	(void)state;
	chart_spark(&c, 0, 0, 4, (struct series){ v, 4, 1 });
	assert_string_equal(row(), "▁▄█▂");
}

static void test_noise_below_the_floor_stays_low(void **state)
{
	const double v[] = { 0.1, 0.2 };

	(void)state;
	chart_spark(&c, 0, 0, 2, (struct series){ v, 2, 10 });
	assert_string_equal(row(), "▁▁");
}

static void test_what_is_not_known_is_a_gap(void **state)
{
	const double v[] = { 1, NAN, 1 };

	(void)state;
	chart_spark(&c, 0, 0, 3, (struct series){ v, 3, 1 });
	assert_string_equal(row(), "█ █");
}

static void test_only_the_newest_values_are_shown_at_the_right(void **state)
{
	const double v[] = { 9, 1, 2, 2 };

	(void)state;
	chart_spark(&c, 0, 0, 3, (struct series){ v, 4, 1 });
	assert_string_equal(row(), "▄██");
	canvas_reset(&c, 1, 10);
	chart_spark(&c, 0, 0, 6, (struct series){ v + 2, 2, 1 });
	assert_string_equal(row(), "    ██");
}

static void test_ascii_has_eight_levels_and_whole_cells(void **state)
{
	const double v[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	c.glyphs = GLYPHS_ASCII;
	chart_spark(&c, 0, 0, 8, (struct series){ v, 8, 1 });
	assert_string_equal(row(), "_.-=+*#@");
	chart_bar(&c, 0, 0, 8, (struct bar){ 0.5, 0.25 });
	assert_string_equal(row(), "####..xx");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_bar_shows_eighths),
		T(test_reserve_stands_at_the_right_end),
		T(test_a_little_is_not_nothing_and_nearly_full_is_not_full),
		T(test_a_line_scales_to_its_largest_value),
		T(test_noise_below_the_floor_stays_low),
		T(test_what_is_not_known_is_a_gap),
		T(test_only_the_newest_values_are_shown_at_the_right),
		T(test_ascii_has_eight_levels_and_whole_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
