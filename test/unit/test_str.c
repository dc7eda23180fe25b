/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void test_copy_cuts_and_terminates(void **state)
{
	char buf[4];

	(void)state;
	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, 0, ""));
	assert_true(str_copy_span(buf, sizeof(buf), (struct span){ "xyz", 2 }));
	assert_string_equal(buf, "xy");
}

static void test_strbuf_keeps_what_fitted_and_fails_for_good(void **state)
{
	char buf[8];
	struct strbuf b = strbuf_over(buf, sizeof(buf));

	(void)state;
	strbuf_add(&b, "abc", 3);
	strbuf_addf(&b, "%d", 1234);
	assert_string_equal(buf, "abc1234");
	assert_false(b.failed);
	strbuf_addf(&b, "%s", "x");
	assert_true(b.failed);
	assert_string_equal(buf, "abc1234");
	strbuf_add(&b, "", 0);
	assert_true(b.failed);
	assert_int_equal(b.len, 7);
}

static void test_trim_takes_blanks_from_both_ends_only(void **state)
{
	char text[] = " \t a b \r\n";
	char blank[] = " \t ";

	(void)state;
	assert_string_equal(str_trim(text), "a b");
	assert_string_equal(str_trim(blank), "");
}

static void test_word_is_letters_digits_and_the_given_extra(void **state)
{
	(void)state;
	assert_true(str_is_word(span_of("group1"), ""));
	assert_true(str_is_word(span_of("a-b.c"), "-."));
	assert_false(str_is_word(span_of("a b"), "-."));
	assert_false(str_is_word(span_of(""), "-."));
	assert_false(str_is_word((struct span){ "a\0b", 3 }, "-."));
}

static void test_numbers_must_be_the_whole_text(void **state)
{
	uint64_t u;
	int64_t i;

	(void)state;
	assert_int_equal(str_to_u64("18446744073709551615", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(str_to_u64("18446744073709551616", &u), -ERANGE);
	assert_int_equal(str_to_u64("", &u), -EINVAL);
	assert_int_equal(str_to_u64(" 1", &u), -EINVAL);
	assert_int_equal(str_to_u64("+1", &u), -EINVAL);
	assert_int_equal(str_to_u64("-1", &u), -EINVAL);
	assert_int_equal(str_to_u64("1x", &u), -EINVAL);
	assert_int_equal(str_to_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(str_to_i64("-", &i), -EINVAL);
	assert_int_equal(str_to_i64("--1", &i), -EINVAL);
}

static void test_sizes_know_both_kinds_of_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "512B", 512 },
		{ "4k", 4096 },
		{ "4K", 4096 },
		{ "4KiB", 4096 },
		{ "10M", 10485760 },
		{ "10MB", 10000000 },
		{ "10kB", 10000 },
		{ "1.5G", 1610612736 },
		{ "1.5GB", 1500000000 },
		{ "0.1k", 102 },
		{ "2T", UINT64_C(2199023255552) },
		{ "1P", UINT64_C(1125899906842624) },
	};
	static const char *const bad[] = { "", "k", "1.5", "1.k", ".5k", "-1",
		"1 k", "1x", "1kb", "1kBx", "1k5", "1.5.5k" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(str_to_size(good[i].text, &v), 0);
		assert_true(v == good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(str_to_size(bad[i], &v), -EINVAL);
	assert_int_equal(str_to_size("16384P", &v), -ERANGE);
}

static void test_durations_combine_from_large_to_small(void **state)
{
	int64_t s;

	(void)state;
	assert_int_equal(str_to_duration("10s", &s), 0);
	assert_int_equal(s, 10);
	assert_int_equal(str_to_duration("1d12h", &s), 0);
	assert_int_equal(s, 129600);
	assert_int_equal(str_to_duration("6mo", &s), 0);
	assert_int_equal(s, 6 * 30 * 86400);
	assert_int_equal(str_to_duration("1y4w5m", &s), 0);
	assert_int_equal(s, 365 * 86400 + 28 * 86400 + 300);
	assert_int_equal(str_to_duration("", &s), -EINVAL);
	assert_int_equal(str_to_duration("10", &s), -EINVAL);
	assert_int_equal(str_to_duration("12h1d", &s), -EINVAL);
	assert_int_equal(str_to_duration("1s1s", &s), -EINVAL);
	assert_int_equal(str_to_duration("9223372036854775807y", &s), -ERANGE);
}

static void test_numbers_for_people_have_four_characters(void **state)
{
	char b[16];

	(void)state;
	assert_string_equal(str_bytes(b, sizeof(b), 0), "0");
	assert_string_equal(str_bytes(b, sizeof(b), 1023), "1023");
	assert_string_equal(str_bytes(b, sizeof(b), 1024), "1.0k");
	assert_string_equal(str_bytes(b, sizeof(b), 1229), "1.2k");
	assert_string_equal(str_bytes(b, sizeof(b), 123456789), "118M");
	assert_string_equal(str_bytes(b, sizeof(b), 1048575), "1.0M");
	assert_string_equal(str_bytes(b, sizeof(b), UINT64_MAX), "16.0E");
	assert_string_equal(str_count(b, sizeof(b), 999), "999");
	assert_string_equal(str_count(b, sizeof(b), 1200), "1.2k");
	assert_string_equal(str_count(b, sizeof(b), 61400), "61.4k");
	assert_string_equal(str_count(b, sizeof(b), 999999), "1.0M");
	assert_string_equal(str_count(b, sizeof(b), 14800000), "14.8M");
}

static void test_durations_for_people_have_two_units_at_most(void **state)
{
	char b[24];

	(void)state;
	assert_string_equal(str_duration(b, sizeof(b), 0), "0s");
	assert_string_equal(str_duration(b, sizeof(b), 59), "59s");
	assert_string_equal(str_duration(b, sizeof(b), 252), "4m12s");
	assert_string_equal(str_duration(b, sizeof(b), 11100), "3h05m");
	assert_string_equal(str_duration(b, sizeof(b), 12 * 86400), "12 d");
	assert_string_equal(str_duration(b, sizeof(b), 1168 * 86400), "3.2 y");
	assert_string_equal(str_duration(b, sizeof(b), -5), "-5s");
}

static void escape_is(const char *from, size_t n, const char *to)
{
	char b[64];

	assert_int_equal(str_escape(b, sizeof(b), from, n), strlen(to));
	assert_string_equal(b, to);
}

static void test_escape_disarms_controls_and_broken_text(void **state)
{
	(void)state;
	escape_is("plain \xc3\xa4", 8, "plain \xc3\xa4");
	escape_is("a\x1b[2J\n\0", 7, "a\\x1b[2J\\x0a\\x00");
	escape_is("\x7f", 1, "\\x7f");
	escape_is("\xc2\x9b", 2, "\\xc2\\x9b");
	escape_is("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");
	escape_is("\xe2\x80", 2, "\\xe2\\x80");
	escape_is("\xc0\xaf", 2, "\\xc0\\xaf");
	escape_is("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
	escape_is("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	escape_is("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
}

static void test_escape_never_cuts_a_character(void **state)
{
	char b[6];

	(void)state;
	assert_int_equal(str_escape(b, sizeof(b), "abc\xe2\x82\xac", 6), 3);
	assert_string_equal(b, "abc");
	assert_int_equal(str_escape(b, sizeof(b), "ab\n", 3), 2);
	assert_string_equal(b, "ab");
	assert_int_equal(str_escape(b, 0, "ab", 2), 0);
}

static void test_json_is_valid_whatever_comes_in(void **state)
{
	char buf[64];
	struct strbuf b = strbuf_over(buf, sizeof(buf));

	(void)state;
	str_json(&b, "a\"\\\n\x01\0\xff\xc3\xa4", 9);
	assert_false(b.failed);
	assert_string_equal(buf,
	    "a\\\"\\\\\\n\\u0001\\u0000\xef\xbf\xbd\xc3\xa4");
}

static void test_distance_counts_single_edits(void **state)
{
	(void)state;
	assert_int_equal(str_distance("", ""), 0);
	assert_int_equal(str_distance("abc", ""), 3);
	assert_int_equal(str_distance("", "abc"), 3);
	assert_int_equal(str_distance("kitten", "sitting"), 3);
	assert_int_equal(str_distance("tracker_sever", "tracker_server"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_cuts_and_terminates),
		cmocka_unit_test(
		    test_strbuf_keeps_what_fitted_and_fails_for_good),
		cmocka_unit_test(test_trim_takes_blanks_from_both_ends_only),
		cmocka_unit_test(
		    test_word_is_letters_digits_and_the_given_extra),
		cmocka_unit_test(test_numbers_must_be_the_whole_text),
		cmocka_unit_test(test_sizes_know_both_kinds_of_units),
		cmocka_unit_test(test_durations_combine_from_large_to_small),
		cmocka_unit_test(test_numbers_for_people_have_four_characters),
		cmocka_unit_test(
		    test_durations_for_people_have_two_units_at_most),
		cmocka_unit_test(test_escape_disarms_controls_and_broken_text),
		cmocka_unit_test(test_escape_never_cuts_a_character),
		cmocka_unit_test(test_json_is_valid_whatever_comes_in),
		cmocka_unit_test(test_distance_counts_single_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
