/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "test/unit/conf_test.h"

/* --- grammar ------------------------------------------------------------ */

static void test_lines_are_trimmed_and_split_at_the_first_equals(void **state)
{
	struct conf_file *cf = good(state, "\xef\xbb\xbf"
	                                   "first = 1\r\n"
	                                   "\t a = b = c \r\n"
	                                   "\n"
	                                   "no equals here\n"
	                                   "x.y-z=\n"
	                                   "last=no newline");

	value_is(cf, "", "first", "1");
	value_is(cf, "", "a", "b = c");
	value_is(cf, "", "x.y-z", "");
	value_is(cf, "", "last", "no newline");
	value_is(cf, "", "no equals here", NULL);
	value_is(cf, "", "A", NULL);
	conf_free(cf);
}

static void test_only_a_leading_hash_makes_a_comment(void **state)
{
	struct conf_file *cf = good(state, "# a = 1\n"
	                                   "  # b = 1\n"
	                                   "c = true # note\n"
	                                   "##include missing.conf\n"
	                                   "#includes = 3\n");

	value_is(cf, "", "a", NULL);
	value_is(cf, "", "b", NULL);
	value_is(cf, "", "c", "true # note");
	conf_free(cf);
}

static void test_sections_merge_and_empty_brackets_return(void **state)
{
	struct conf_file *cf = good(state,
	    "a = 0\n[ one ]\na = 1\n[two]\na = 2\n[one]\nb = 1\n[]\nb = 0\n");

	value_is(cf, "", "a", "0");
	value_is(cf, "one", "a", "1");
	value_is(cf, "two", "a", "2");
	value_is(cf, "one", "b", "1");
	value_is(cf, "", "b", "0");
	conf_free(cf);
}

static void test_long_names_and_values_are_cut_with_a_warning(void **state)
{
	char text[600];
	char name[CONF_NAME_MAX + 1];
	char value[CONF_VALUE_MAX + 1];
	struct conf_file *cf;

	memset(name, 'n', CONF_NAME_MAX);
	name[CONF_NAME_MAX] = '\0';
	memset(value, 'v', CONF_VALUE_MAX);
	value[CONF_VALUE_MAX] = '\0';
	snprintf(text, sizeof(text), "%s = %s\n", name, value);
	cf = good(state, text);
	value_is(cf, "", name, value);
	conf_free(cf);
	assert_false(warned(state, "conf_text_cut"));
	snprintf(text, sizeof(text), "\n%sN = %sV\n", name, value);
	cf = good(state, text);
	value_is(cf, "", name, value);
	conf_free(cf);
	assert_true(warned(state, "x.conf:2: only the first 63 bytes"));
	assert_true(warned(state, "x.conf:2: only the first 255 bytes"));
}

static void test_file_with_nul_or_absent_file_is_refused(void **state)
{
	const char *path = scratch_path(state, "nul.conf");
	struct conf_file *cf = NULL;

	assert_int_equal(fs_replace_file(path, "a=1\0b=2", 7, false), 0);
	assert_int_equal(conf_read(path, &cf, err, sizeof(err)), -EINVAL);
	assert_int_equal(
	    conf_read(scratch_path(state, "none"), &cf, err, sizeof(err)),
	    -ENOENT);
	assert_non_null(strstr(err, "/none: No such file or directory"));
}

/* --- includes ----------------------------------------------------------- */

static void test_include_is_done_in_its_place_from_the_main_directory(
    void **state)
{
	struct conf_file *cf;

	assert_int_equal(fs_make_dirs(scratch_path(state, "sub")), 0);
	scratch_write(state, "sub/a.conf", "a = sub\n#include b.conf\n");
	scratch_write(state, "b.conf", "b = main\n[s]\nc = 1");
	cf = good(state,
	    "a = before\n#INCLUDE\tsub/a.conf\nd = global\nb = after\n");
	value_is(cf, "", "a", "sub");
	value_is(cf, "", "b", "after");
	value_is(cf, "s", "c", "1");
	value_is(cf, "", "d", "global");
	conf_free(cf);
}

static void test_include_below_a_section_goes_back_to_the_global_part(
    void **state)
{
	struct conf_file *cf;

	scratch_write(state, "b.conf", "b = 1\n");
	cf = good(state, "[s]\na = 1\n#include b.conf\nc = 1\n");
	value_is(cf, "s", "a", "1");
	value_is(cf, "", "b", "1");
	value_is(cf, "", "c", "1");
	assert_true(warned(state, "conf_include_in_section at="));
	conf_free(cf);
}

static void test_missing_include_names_file_and_line(void **state)
{
	struct conf_file *cf = NULL;

	assert_int_equal(read_text(state, "a = 1\n#include gone.conf\n", &cf),
	    -ENOENT);
	assert_non_null(strstr(err, "x.conf:2: cannot read "));
	assert_non_null(strstr(err, "/gone.conf"));
}

static void test_urls_and_empty_includes_are_refused(void **state)
{
	static const char *const lines[] = { "#include http://h/x.conf",
		"#include HTTPS://h/x.conf", "#include file:///x.conf",
		"#include", "#include  " };
	struct conf_file *cf = NULL;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		assert_int_equal(read_text(state, lines[i], &cf), -EINVAL);
		assert_non_null(strstr(err, "x.conf:1: #include"));
	}
}

static void test_file_that_includes_itself_is_refused(void **state)
{
	struct conf_file *cf = NULL;

	assert_int_equal(
	    read_text(state, "#include x.conf\n#include x.conf\n", &cf),
	    -ELOOP);
	assert_non_null(strstr(err, "does a file include itself?"));
}

/* --- branches ----------------------------------------------------------- */

static void test_if_takes_the_branch_of_this_host(void **state)
{
	struct conf_file *cf =
	    good(state, "#@if %{LOCAL_IP} in [203.0.113.1, 127.0.0.0/8]\n"
	                "a = here\n"
	                "#@else\n"
	                "a = there\n"
	                "#@endif\n"
	                "#@if %{LOCAL_IP} in [203.0.113.1]\n"
	                "b = here\n"
	                "#@else\n"
	                "b = there\n"
	                "#@endif\n"
	                "#@if %{LOCAL_IP} in []\n"
	                "c = here\n"
	                "#@endif\n"
	                "d = 1\n");

	value_is(cf, "", "a", "here");
	value_is(cf, "", "b", "there");
	value_is(cf, "", "c", NULL);
	value_is(cf, "", "d", "1");
	conf_free(cf);
}

static void test_if_knows_the_name_of_this_host(void **state)
{
	char host[256] = "";
	char text[600];
	struct conf_file *cf;

	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	snprintf(text, sizeof(text),
	    "#@if %%{LOCAL_HOST} in [other, %s]\na = 1\n#@else\na = 2\n"
	    "#@endif\n",
	    host);
	cf = good(state, text);
	value_is(cf, "", "a", "1");
	conf_free(cf);
}

static void test_blocks_nest_and_a_skipped_block_has_no_effect(void **state)
{
	struct conf_file *cf = good(state, "#@if %{LOCAL_IP} in [203.0.113.1]\n"
	                                   "#@if %{LOCAL_IP} in [127.0.0.1]\n"
	                                   "a = 1\n"
	                                   "#@else\n"
	                                   "#include gone.conf\n"
	                                   "#@endif\n"
	                                   "#@else\n"
	                                   "#@if %{LOCAL_IP} in [127.0.0.1]\n"
	                                   "a = 3\n"
	                                   "#@endif\n"
	                                   "#@endif\n");

	value_is(cf, "", "a", "3");
	conf_free(cf);
}

static void test_for_repeats_lines_with_its_number(void **state)
{
	struct conf_file *cf = good(state, "#@for i from 0 to 2\n"
	                                   "path{$i} = /d/{$i}/{$j}\n"
	                                   "#@endfor\n"
	                                   "#@for i from 10 to 4 step -5\n"
	                                   "#@for k from 1 to 2 step 1\n"
	                                   "n{$i}_{$k} = {$i}\n"
	                                   "#@endfor\n"
	                                   "#@endfor\n"
	                                   "plain = {$i}\n");

	value_is(cf, "", "path0", "/d/0/{$j}");
	value_is(cf, "", "path2", "/d/2/{$j}");
	value_is(cf, "", "path3", NULL);
	value_is(cf, "", "n10_1", "10");
	value_is(cf, "", "n5_2", "5");
	value_is(cf, "", "n4_1", NULL);
	value_is(cf, "", "plain", "{$i}");
	conf_free(cf);
}

static void test_bad_blocks_are_refused_with_their_line(void **state)
{
	static const char *const texts[] = {
		"#@if %{LOCAL_IP} in [a]\na = 1\n",
		"#@if %{OTHER} in [a]\n#@endif\n",
		"#@if %{LOCAL_IP} == a\n#@endif\n",
		"#@if %{LOCAL_IP} in [10.0.0.300]\n#@endif\n",
		"#@if\n#@endif\n",
		"#@if %{LOCAL_IP} in [::]\n#@else\n#@else\n#@endif\n",
		"#@else\n",
		"#@endif\n",
		"#@endfor\n",
		"#@for i from 1 to 3\n",
		"#@for i from 1 to 3 step 0\n#@endfor\n",
		"#@for i from 1 to x\n#@endfor\n",
		"#@for i from 1\n#@endfor\n",
		"#@for\n#@endfor\n",
	};
	struct conf_file *cf = NULL;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(read_text(state, texts[i], &cf), -EINVAL);
		assert_non_null(strstr(err, "x.conf:"));
	}
}

static void test_endless_loops_end_with_an_error(void **state)
{
	struct conf_file *cf = NULL;

	assert_int_equal(
	    read_text(state, "#@for i from 1 to 2000000000\n#@endfor\n", &cf),
	    -E2BIG);
	assert_int_equal(read_text(state,
	                     "#@for i from 1 to 100000\n"
	                     "#@for j from 1 to 100000\n"
	                     "nothing\n"
	                     "#@endfor\n"
	                     "#@endfor\n",
	                     &cf),
	    -E2BIG);
}

static void test_deep_nesting_is_refused(void **state)
{
	char text[20 * 40] = "";
	struct conf_file *cf = NULL;

	for (int i = 0; i < 17; i++)
		strcat(text, "#@for i from 1 to 1\n");
	for (int i = 0; i < 17; i++)
		strcat(text, "#@endfor\n");
	assert_int_equal(read_text(state, text, &cf), -ELOOP);
}

static void test_unknown_directive_is_one_warning(void **state)
{
	struct conf_file *cf = good(state, "\n#@set a = 1\nb = 1\n");

	value_is(cf, "", "b", "1");
	assert_true(warned(state, "x.conf:2: '#@set a = 1' has no effect"));
	conf_free(cf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lines_are_trimmed_and_split_at_the_first_equals),
		T(test_only_a_leading_hash_makes_a_comment),
		T(test_sections_merge_and_empty_brackets_return),
		T(test_long_names_and_values_are_cut_with_a_warning),
		T(test_file_with_nul_or_absent_file_is_refused),
		T(test_include_is_done_in_its_place_from_the_main_directory),
		T(test_include_below_a_section_goes_back_to_the_global_part),
		T(test_missing_include_names_file_and_line),
		T(test_urls_and_empty_includes_are_refused),
		T(test_file_that_includes_itself_is_refused),
		T(test_if_takes_the_branch_of_this_host),
		T(test_if_knows_the_name_of_this_host),
		T(test_blocks_nest_and_a_skipped_block_has_no_effect),
		T(test_for_repeats_lines_with_its_number),
		T(test_bad_blocks_are_refused_with_their_line),
		T(test_endless_loops_end_with_an_error),
		T(test_deep_nesting_is_refused),
		T(test_unknown_directive_is_one_warning),
	};

	log_to_stderr(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
