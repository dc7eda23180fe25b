/* SPDX-License-Identifier: MIT */
/* LAYERS: tui base */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tui/canvas.h"

static struct canvas c;

static int setup(void **state)
{
	(void)state;
	setlocale(LC_ALL, "C.UTF-8");
	canvas_init(&c, GLYPHS_BLOCK, false);
	canvas_reset(&c, 3, 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	canvas_fini(&c);
	return 0;
}

static const char *row(int y)
{
	static char buf[256];

	canvas_row_text(&c, y, buf, sizeof(buf));
	return buf;
}

static void test_text_is_put_where_it_belongs(void **state)
{
	(void)state;
	assert_int_equal(canvas_text(&c, 1, 2, 10, ROLE_TEXT, "abc"), 3);
	assert_string_equal(row(1), "  abc");
	assert_string_equal(row(0), "");
}

static void test_text_that_does_not_fit_ends_in_an_ellipsis(void **state)
{
	(void)state;
	assert_int_equal(canvas_text(&c, 0, 0, 5, ROLE_TEXT, "abcdefgh"), 5);
	assert_string_equal(row(0), "abcd…");
	assert_int_equal(canvas_text(&c, 1, 0, 5, ROLE_TEXT, "abcde"), 5);
	assert_string_equal(row(1), "abcde");
}

static void test_wide_characters_take_two_cells(void **state)
{
	(void)state;
	assert_int_equal(canvas_width(&c, "发票x"), 5);
	assert_int_equal(canvas_text(&c, 0, 0, 10, ROLE_TEXT, "发票x"), 5);
	assert_string_equal(row(0), "发票x");
	/* The second does not fit into three cells beside the ellipsis. */
	assert_int_equal(canvas_text(&c, 1, 0, 4, ROLE_TEXT, "发票x"), 3);
	assert_string_equal(row(1), "发…");
}

static void test_half_of_a_wide_character_is_never_left(void **state)
{
	(void)state;
	canvas_text(&c, 0, 0, 10, ROLE_TEXT, "发票");
	canvas_text(&c, 0, 1, 1, ROLE_TEXT, "x");
	assert_string_equal(row(0), " x票");
	canvas_text(&c, 0, 2, 1, ROLE_TEXT, "y");
	assert_string_equal(row(0), " xy");
}

static void test_what_could_drive_a_terminal_is_escaped(void **state)
{
	(void)state;
	canvas_text(&c, 0, 0, 20, ROLE_TEXT, "a\x1b[2J\n\x7f");
	assert_string_equal(row(0), "a\\x1b[2J\\x0a\\x7f");
	canvas_text(&c, 1, 0, 20, ROLE_TEXT, "\xff\xc0\x80");
	assert_string_equal(row(1), "\\xff\\xc0\\x80");
	canvas_text(&c, 2, 0, 20, ROLE_TEXT, "\u202ex\u0301\xc2\x9b");
	assert_string_equal(row(2), "\\u202ex\\u0301\\u009b");
}

static void test_writing_outside_the_grid_does_nothing(void **state)
{
	(void)state;
	canvas_text(&c, -1, 0, 10, ROLE_TEXT, "x");
	canvas_text(&c, 3, 0, 10, ROLE_TEXT, "x");
	canvas_text(&c, 0, 18, 10, ROLE_TEXT, "abcdef");
	canvas_text(&c, 1, -2, 10, ROLE_TEXT, "abc");
	canvas_text(&c, 2, 19, 10, ROLE_TEXT, "发");
	canvas_put(&c, 99, 99, ROLE_TEXT, 'x');
	assert_string_equal(row(0), "                  ab");
	assert_string_equal(row(1), "c");
	assert_string_equal(row(2), "");
}

static void test_right_alignment_ends_at_the_edge(void **state)
{
	(void)state;
	canvas_right(&c, 0, 0, 8, ROLE_TEXT, "42");
	assert_string_equal(row(0), "      42");
	canvas_right(&c, 1, 0, 3, ROLE_TEXT, "12345");
	assert_string_equal(row(1), "12…");
}

static void test_ascii_glyphs_stand_for_those_of_the_block_set(void **state)
{
	(void)state;
	c.glyphs = GLYPHS_ASCII;
	c.ascii_only = true;
	canvas_put(&c, 0, 0, ROLE_TEXT, 0x2588);
	canvas_text(&c, 0, 1, 10, ROLE_TEXT, "·▸…≤");
	assert_string_equal(row(0), "#.>~<");
	canvas_text(&c, 1, 0, 20, ROLE_TEXT, "é");
	assert_string_equal(row(1), "\\u00e9");
}

static void test_a_rule_carries_name_and_note(void **state)
{
	(void)state;
	canvas_rule(&c, 0, 0, 20, "Cap", "note");
	assert_string_equal(row(0), "─ Cap ──────── note");
	canvas_rule(&c, 1, 0, 8, "Cap", "too long");
	assert_string_equal(row(1), "─ Cap ──");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_text_is_put_where_it_belongs),
		T(test_text_that_does_not_fit_ends_in_an_ellipsis),
		T(test_wide_characters_take_two_cells),
		T(test_half_of_a_wide_character_is_never_left),
		T(test_what_could_drive_a_terminal_is_escaped),
		T(test_writing_outside_the_grid_does_nothing),
		T(test_right_alignment_ends_at_the_edge),
		T(test_ascii_glyphs_stand_for_those_of_the_block_set),
		T(test_a_rule_carries_name_and_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
