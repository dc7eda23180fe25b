/* SPDX-License-Identifier: MIT */
/* LAYERS: cli net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cli/fdfs.h"
#include "cli/meta.h"

/* The page in docs is what the rows say now; else: fdfs help man > PAGE. */
static void assert_page_is_current(const char *path, const struct program *p)
{
	char *made = NULL;
	char *kept = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&made, &n);

	assert_non_null(out);
	man_print(out, p);
	fclose(out);
	assert_true(fs_read_file(path, 1 << 20, &kept) > 0);
	assert_string_equal(kept, made);
	free(kept);
	free(made);
}

static void test_page_of_fdfs_is_made_from_its_rows(void **state)
{
	(void)state;
	assert_page_is_current("docs/fdfs.1", &fdfs_program);
}

static void test_page_of_fdfs_meta_is_made_from_its_rows(void **state)
{
	(void)state;
	assert_page_is_current("docs/fdfs-meta.1", &meta_program);
}

/* A letter or a name means one thing within a command. */
static void assert_no_row_twice(const struct program *p)
{
	for (size_t i = 0; i < p->n_verbs; i++) {
		const struct opt_table *all[16] = { &out_opt_table,
			&source_table };
		size_t n = 2;
		bool letters[256] = { false };

		for (size_t t = 0; p->verbs[i].tables && p->verbs[i].tables[t];
		     t++)
			all[n++] = p->verbs[i].tables[t];
		letters['h'] = letters['V'] = true;
		for (size_t t = 0; t < n; t++)
			for (size_t k = 0; k < all[t]->n; k++) {
				const unsigned char c =
				    (unsigned char)all[t]->rows[k].letter;

				assert_false(c != 0 && letters[c]);
				letters[c] = true;
			}
	}
}

static void test_no_letter_means_two_things_in_a_command(void **state)
{
	(void)state;
	assert_no_row_twice(&fdfs_program);
	assert_no_row_twice(&meta_program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_of_fdfs_is_made_from_its_rows),
		cmocka_unit_test(test_page_of_fdfs_meta_is_made_from_its_rows),
		cmocka_unit_test(test_no_letter_means_two_things_in_a_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
