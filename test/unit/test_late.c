/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "storaged/late.h"

static void test_older_connection_of_a_peer_is_late(void **state)
{
	(void)state;
	assert_false(late_is("10.0.0.1", "100001", 5));
	assert_false(late_is("10.0.0.1", "100001", 5));
	assert_false(late_is("10.0.0.1", "100001", 9));
	assert_true(late_is("10.0.0.1", "100001", 5));
	assert_false(late_is("10.0.0.1", "100001", 9));
}

static void test_peers_are_not_late_for_one_another(void **state)
{
	(void)state;
	assert_false(late_is("10.0.0.2", "100002", 20));
	assert_false(late_is("10.0.0.3", "100003", 19));
	assert_false(late_is("10.0.0.2", "100004", 18));
}

static void test_connection_may_not_say_whose_it_is(void **state)
{
	(void)state;
	assert_false(late_is("10.0.0.5", "100005", 30));
	assert_false(late_is("10.0.0.5", "", 31));
	assert_true(late_is("10.0.0.5", "100005", 30));
	assert_false(late_is("10.0.0.5", "100005", 32));
	assert_true(late_is("10.0.0.5", "", 31));
}

static void test_as_many_peers_as_there_are_are_known(void **state)
{
	char id[16];
	(void)state;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		assert_false(late_is("10.0.0.6", id, 1000 + i));
	}
	assert_true(late_is("10.0.0.6", "999", 1500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_older_connection_of_a_peer_is_late),
		cmocka_unit_test(test_peers_are_not_late_for_one_another),
		cmocka_unit_test(test_connection_may_not_say_whose_it_is),
		cmocka_unit_test(test_as_many_peers_as_there_are_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
