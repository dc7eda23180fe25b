/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_mono_never_goes_back(void **state)
{
	mono_t last = clock_mono();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const mono_t now = clock_mono();

		assert_true(now >= last);
		last = now;
	}
}

static void test_wall_counts_milliseconds_and_seconds_alike(void **state)
{
	const int64_t before = clock_wall_sec();
	const wall_t now = clock_wall();

	(void)state;
	assert_true(now / 1000 >= before);
	/* Later than the day this was written, in milliseconds. */
	assert_true(now > INT64_C(1700000000000));
}

static void test_frozen_clocks_stand_until_they_are_let_go(void **state)
{
	(void)state;
	clock_set(5 * MONO_SEC, 1234567);
	assert_true(clock_mono() == 5 * MONO_SEC);
	assert_int_equal(clock_wall(), 1234567);
	assert_int_equal(clock_wall_sec(), 1234);
	clock_set(0, 0);
	assert_true(clock_wall() > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mono_never_goes_back),
		cmocka_unit_test(
		    test_wall_counts_milliseconds_and_seconds_alike),
		cmocka_unit_test(
		    test_frozen_clocks_stand_until_they_are_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
