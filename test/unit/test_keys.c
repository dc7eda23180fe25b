/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tui/keys.h"

static void test_no_key_means_two_things_in_one_view(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_key_rows; i++) {
		for (size_t k = 0; k < 4 && key_rows[i].keys[k]; k++) {
			const int key = key_rows[i].keys[k];

			for (int v = 0; v < N_VIEWS; v++) {
				if (!(key_rows[i].views & ON(v)))
					continue;
				assert_int_equal(
				    key_action(key, (enum view_id)v),
				    key_rows[i].action);
			}
		}
	}
}

static void test_quit_and_help_work_everywhere(void **state)
{
	static const enum view_id views[] = { VIEW_OVERVIEW, VIEW_STORAGES,
		VIEW_FILES, VIEW_STORAGE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		assert_int_equal(key_action('q', views[i]), ACT_QUIT);
		assert_int_equal(key_action('?', views[i]), ACT_HELP);
		assert_int_equal(key_action(TK_CTRL('c'), views[i]), ACT_QUIT);
		assert_int_equal(key_action('2', views[i]), ACT_NONE);
	}
}

static void test_every_row_says_what_it_does_in_a_few_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_key_rows; i++) {
		assert_non_null(key_rows[i].help);
		/* The help page gives a column no more than that. */
		assert_in_range(strlen(key_rows[i].help), 1, 18);
		assert_true(key_rows[i].views != 0);
		assert_true(key_rows[i].action != ACT_NONE);
	}
}

static void test_the_manual_page_lists_every_row(void **state)
{
	char *page = NULL;

	(void)state;
	assert_true(fs_read_file("docs/fdfs-top.1", 262144, &page) > 0);
	for (size_t i = 0; i < n_key_rows; i++) {
		char line[128];

		snprintf(line, sizeof(line), "\n%s\n", key_rows[i].help);
		if (!strstr(page, line))
			fail_msg("docs/fdfs-top.1 has no line '%s'",
			    key_rows[i].help);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_key_means_two_things_in_one_view),
		cmocka_unit_test(test_quit_and_help_work_everywhere),
		cmocka_unit_test(
		    test_every_row_says_what_it_does_in_a_few_words),
		cmocka_unit_test(test_the_manual_page_lists_every_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
