/* SPDX-License-Identifier: MIT */
/* LAYERS: cli net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/opt.h"

struct values {
	bool flag;
	int format;
	int loud;
	const char *text;
	struct opt_list list;
	uint64_t number;
	uint64_t size;
	int64_t duration;
	int word;
};

#define AT(member) .offset = offsetof(struct values, member)

static const struct opt_row rows[] = {
	{ .letter = 'f', .name = "flag", .type = OPT_FLAG, AT(flag) },
	{ .name = "json", .type = OPT_SET, .value = 1, AT(format) },
	{ .name = "csv", .type = OPT_SET, .value = 2, AT(format) },
	{ .letter = 'v', .name = "verbose", .type = OPT_COUNT, AT(loud) },
	{ .letter = 't', .name = "text", .type = OPT_TEXT, AT(text) },
	{ .letter = 'l', .name = "list", .type = OPT_LIST, AT(list) },
	{ .letter = 'n',
	    .name = "number",
	    .type = OPT_NUMBER,
	    .min = 1,
	    .max = 9,
	    AT(number) },
	{ .name = "size", .type = OPT_SIZE, AT(size) },
	{ .name = "every", .type = OPT_DURATION, AT(duration) },
	{ .name = "word", .type = OPT_WORD, .arg = "ok|deleted", AT(word) },
};

static const struct opt_table table = { "test", rows, ARRAY_LEN(rows), 0 };

struct parsed {
	struct values v;
	const char *words[16];
	struct opt_parse p;
	enum status st;
};

/* The parser lends argv out as main has it, but does not change it. */
static struct parsed parse(const char *const *argv, bool stop_at_word)
{
	static struct parsed r;
	struct opt_target target = { &table, &r.v };
	int argc = 0;

	while (argv[argc])
		argc++;
	memset(&r, 0, sizeof(r));
	r.p = (struct opt_parse){ .targets = &target,
		.n_targets = 1,
		.stop_at_word = stop_at_word,
		.words = r.words };
	r.st = opt_parse(&r.p, argc, (char **)(uintptr_t)argv);
	return r;
}

#define ARGS(...) ((const char *[]){ __VA_ARGS__, NULL })

static void test_options_stand_anywhere_until_two_dashes(void **state)
{
	const struct parsed r =
	    parse(ARGS("a", "-f", "b", "--", "--json", "-"), false);

	(void)state;
	assert_int_equal(r.st, STATUS_OK);
	assert_true(r.v.flag);
	assert_int_equal(r.v.format, 0);
	assert_int_equal(r.p.n_words, 4);
	assert_string_equal(r.words[0], "a");
	assert_string_equal(r.words[2], "--json");
	assert_string_equal(r.words[3], "-");
}

static void test_letters_may_share_a_dash_and_carry_their_argument(void **state)
{
	const struct parsed r = parse(ARGS("-fvvn7", "-t", "x"), false);

	(void)state;
	assert_int_equal(r.st, STATUS_OK);
	assert_int_equal(r.v.loud, 2);
	assert_int_equal(r.v.number, 7);
	assert_string_equal(r.v.text, "x");
}

static void test_last_of_exclusive_options_wins(void **state)
{
	(void)state;
	assert_int_equal(parse(ARGS("--json", "--csv"), false).v.format, 2);
	assert_int_equal(parse(ARGS("--csv", "--json"), false).v.format, 1);
}

static void test_argument_may_look_like_an_option(void **state)
{
	const struct parsed r =
	    parse(ARGS("--text", "-4k", "--text=--json"), false);

	(void)state;
	assert_int_equal(r.st, STATUS_OK);
	assert_string_equal(r.v.text, "--json");
	assert_int_equal(r.p.n_words, 0);
}

static void test_list_collects_every_one(void **state)
{
	struct parsed r = parse(ARGS("-l", "a", "--list=b", "-lc"), false);

	(void)state;
	assert_int_equal(r.v.list.n, 3);
	assert_string_equal(r.v.list.items[1], "b");
	assert_string_equal(r.v.list.items[2], "c");
	free(r.v.list.items);
}

static void test_numbers_sizes_times_and_words_are_checked(void **state)
{
	struct parsed r = parse(
	    ARGS("--size", "4k", "--every", "2m", "--word", "deleted"), false);

	(void)state;
	assert_int_equal(r.st, STATUS_OK);
	assert_int_equal(r.v.size, 4096);
	assert_int_equal(r.v.duration, 120);
	assert_int_equal(r.v.word, 1);
	assert_int_equal(parse(ARGS("-n", "10"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("-n", "x"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("--size", "4q"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("--every", "5"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("--word", "o"), false).st, STATUS_USAGE);
}

static void test_unknown_abbreviated_and_empty_options_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse(ARGS("--jso"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("-x"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("--text"), false).st, STATUS_USAGE);
	assert_int_equal(parse(ARGS("--json=1"), false).st, STATUS_USAGE);
}

static void test_first_pass_ends_at_the_command(void **state)
{
	const struct parsed r =
	    parse(ARGS("-v", "--text", "a", "find", "-f"), true);

	(void)state;
	assert_int_equal(r.st, STATUS_OK);
	assert_int_equal(r.p.used, 3);
	assert_false(r.v.flag);
}

static void test_nearest_word_is_offered_only_when_near(void **state)
{
	static const char *const words[] = { "find", "status", "df" };

	(void)state;
	assert_string_equal(err_nearest("fnd", words, 3, sizeof(words[0])),
	    "find");
	assert_string_equal(err_nearest("statsu", words, 3, sizeof(words[0])),
	    "status");
	assert_null(err_nearest("xyzzy", words, 3, sizeof(words[0])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_stand_anywhere_until_two_dashes),
		cmocka_unit_test(
		    test_letters_may_share_a_dash_and_carry_their_argument),
		cmocka_unit_test(test_last_of_exclusive_options_wins),
		cmocka_unit_test(test_argument_may_look_like_an_option),
		cmocka_unit_test(test_list_collects_every_one),
		cmocka_unit_test(
		    test_numbers_sizes_times_and_words_are_checked),
		cmocka_unit_test(
		    test_unknown_abbreviated_and_empty_options_are_refused),
		cmocka_unit_test(test_first_pass_ends_at_the_command),
		cmocka_unit_test(test_nearest_word_is_offered_only_when_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
