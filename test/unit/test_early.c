/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "storaged/early.h"

static void test_a_name_is_taken_once(void **state)
{
	(void)state;
	assert_false(early_take("M00/00/00/a"));
	early_note("M00/00/00/a");
	early_note("M00/00/00/b");
	early_note("M00/00/00/a");
	assert_true(early_take("M00/00/00/a"));
	assert_false(early_take("M00/00/00/a"));
	assert_true(early_take("M00/00/00/b"));
	assert_false(early_take("M00/00/00/b"));
}

static void test_later_names_take_the_place_of_earlier_ones(void **state)
{
	char name[32];
	int kept = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "M00/00/00/%d", i);
		early_note(name);
	}
	assert_true(early_take("M00/00/00/299"));
	for (int i = 0; i < 299; i++) {
		snprintf(name, sizeof(name), "M00/00/00/%d", i);
		kept += early_take(name);
	}
	assert_int_equal(kept, 255);
	early_note("M00/00/00/again");
	assert_true(early_take("M00/00/00/again"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_taken_once),
		cmocka_unit_test(
		    test_later_names_take_the_place_of_earlier_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
