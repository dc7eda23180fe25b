/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "storaged/synced.h"

static struct synced s;

static int set_up(void **state)
{
	(void)state;
	synced_init(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	synced_fini(&s);
	return 0;
}

/* The time of a member, -1 when there is none. */
static int64_t time_of(const char *id)
{
	struct synced_entry e[SYNCED_MAX];
	unsigned changes;
	size_t n = synced_get(&s, e, SYNCED_MAX, &changes);

	for (size_t i = 0; i < n; i++)
		if (strcmp(e[i].id, id) == 0)
			return e[i].time;
	return -1;
}

static unsigned changes_now(void)
{
	struct synced_entry e;
	unsigned changes = 0;

	(void)synced_get(&s, &e, 1, &changes);
	return changes;
}

static void test_nobody_is_known_at_first(void **state)
{
	struct synced_entry e;
	unsigned changes = 7;

	(void)state;
	assert_int_equal(synced_get(&s, &e, 1, &changes), 0);
	assert_int_equal(changes, 0);
}

static void test_the_largest_time_counts(void **state)
{
	(void)state;
	synced_note(&s, "10.0.0.1", 100);
	synced_note(&s, "10.0.0.2", 7);
	synced_note(&s, "10.0.0.1", 90);
	assert_int_equal(time_of("10.0.0.1"), 100);
	assert_int_equal(time_of("10.0.0.2"), 7);
	synced_note(&s, "10.0.0.1", 101);
	assert_int_equal(time_of("10.0.0.1"), 101);
}

static void test_only_an_advance_is_a_change(void **state)
{
	(void)state;
	synced_note(&s, "a", 5);
	assert_int_equal(changes_now(), 1);
	synced_note(&s, "a", 5);
	synced_note(&s, "a", 4);
	assert_int_equal(changes_now(), 1);
	synced_note(&s, "a", 6);
	assert_int_equal(changes_now(), 2);
}

static void test_a_small_array_gets_the_first_members(void **state)
{
	struct synced_entry e[2];
	unsigned changes;

	(void)state;
	synced_note(&s, "a", 1);
	synced_note(&s, "b", 2);
	synced_note(&s, "c", 3);
	assert_int_equal(synced_get(&s, e, 2, &changes), 2);
	assert_string_equal(e[0].id, "a");
	assert_string_equal(e[1].id, "b");
	assert_int_equal(changes, 3);
}

static void test_who_is_behind_most_makes_room(void **state)
{
	char id[24];

	(void)state;
	for (int i = 0; i < SYNCED_MAX; i++) {
		snprintf(id, sizeof(id), "member %d", i);
		synced_note(&s, id, 1000 - (i == 5) * 900 + i);
	}
	synced_note(&s, "new", 50);
	assert_int_equal(time_of("member 5"), -1);
	assert_int_equal(time_of("new"), 50);
	assert_int_equal(time_of("member 6"), 1006);
	assert_int_equal(time_of("member 31"), 1031);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_is_known_at_first,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_largest_time_counts,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_only_an_advance_is_a_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_small_array_gets_the_first_members, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_who_is_behind_most_makes_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
