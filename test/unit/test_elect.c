/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* Who should lead, and what 66 and 67 are answered (cluster-protocol 4.3 to
 * 4.5), row by row. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "trackerd/elect.h"

#define PORT 22122

static struct addr at(const char *ip, uint16_t port)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse_ip(span_of(ip), &a), 0);
	a.port = port;
	return a;
}

static struct elect_view view(bool leads, int64_t running, int64_t interval,
    const char *ip)
{
	return (struct elect_view){ running, interval, at(ip, PORT), leads };
}

/* a is better than b, however they are asked for. */
static void better(const struct elect_view *a, const struct elect_view *b)
{
	const struct elect_view both[] = { *b, *a };
	const struct elect_view turned[] = { *a, *b };

	assert_true(elect_compare(a, b) > 0);
	assert_true(elect_compare(b, a) < 0);
	assert_int_equal(elect_best(both, 2), 1);
	assert_int_equal(elect_best(turned, 2), 0);
}

static void test_who_leads_already_is_best_whatever_its_age(void **state)
{
	const struct elect_view a = view(true, 0, 900, "10.88.0.11");
	const struct elect_view b = view(false, 86400, 0, "10.88.0.12");

	(void)state;
	better(&a, &b);
}

static void test_who_runs_longer_is_better(void **state)
{
	const struct elect_view a = view(false, 600, 900, "10.88.0.11");
	const struct elect_view b = view(false, 300, 0, "10.88.0.12");

	(void)state;
	better(&a, &b);
}

static void test_a_shorter_break_between_two_lives_is_better(void **state)
{
	const struct elect_view a = view(false, 300, 0, "10.88.0.11");
	const struct elect_view b = view(false, 300, 300, "10.88.0.12");

	(void)state;
	better(&a, &b);
}

static void test_then_the_text_of_the_address_decides(void **state)
{
	const struct elect_view a = view(false, 0, 0, "10.88.0.12");
	const struct elect_view b = view(false, 0, 0, "10.88.0.11");
	const struct elect_view nine = view(false, 0, 0, "10.88.0.9");
	const struct elect_view ten = view(false, 0, 0, "10.88.0.10");

	(void)state;
	better(&a, &b);
	better(&nine, &ten); /* as text, not as numbers */
}

static void test_the_port_is_what_is_left(void **state)
{
	struct elect_view a = view(false, 0, 0, "10.88.0.11");
	struct elect_view b = a;

	(void)state;
	a.at.port = 22123;
	better(&a, &b);
	b.at.port = 22123;
	assert_int_equal(elect_compare(&a, &b), 0);
}

static void test_the_best_of_many_is_found_at_any_place(void **state)
{
	struct elect_view v[4] = { view(false, 300, 0, "10.88.0.11"),
		view(false, 600, 0, "10.88.0.12"),
		view(false, 600, 300, "10.88.0.14"),
		view(false, 300, 0, "10.88.0.13") };

	(void)state;
	assert_int_equal(elect_best(v, 4), 1);
	assert_int_equal(elect_best(v, 1), 0);
	v[3].leads = true;
	assert_int_equal(elect_best(v, 4), 3);
}

static void test_ages_go_in_steps_of_five_minutes(void **state)
{
	(void)state;
	assert_int_equal(elect_steps(-5), 0);
	assert_int_equal(elect_steps(0), 0);
	assert_int_equal(elect_steps(299), 0);
	assert_int_equal(elect_steps(300), 300);
	assert_int_equal(elect_steps(1199), 900);
}

static void test_two_failures_are_borne_the_third_is_the_last(void **state)
{
	(void)state;
	assert_int_equal(elect_patience(1), 2);
	assert_int_equal(elect_patience(2), 4);
	assert_int_equal(elect_patience(3), 0);
}

/* --- 66 and 67 ----------------------------------------------------------- */

static void make(struct cluster *c, int self, int leader)
{
	cluster_init(c, NULL);
	c->trackers[0].addrs[0] = at("10.88.0.11", 0);
	c->trackers[1].addrs[0] = at("10.88.0.12", 0);
	c->trackers[2].addrs[0] = at("fd88::13", 0);
	c->trackers[2].addrs[1] = at("10.88.0.13", 0);
	c->n_trackers = 3;
	for (size_t i = 0; i < 3; i++) {
		c->trackers[i].n_addrs = 1 + (i == 2);
		c->trackers[i].port = PORT;
	}
	c->self = self;
	cluster_set_leader(c, leader);
}

static void test_the_tracker_named_is_found_by_any_of_its_addresses(
    void **state)
{
	struct cluster c;

	(void)state;
	make(&c, 0, -1);
	assert_int_equal(elect_named(&c, span_of("10.88.0.11:22122")), 0);
	assert_int_equal(elect_named(&c, span_of("10.88.0.12:22122")), 1);
	assert_int_equal(elect_named(&c, span_of("[fd88::13]:22122")), 2);
	assert_int_equal(elect_named(&c, span_of("10.88.0.13:22122")), 2);
	cluster_fini(&c);
}

static void test_a_name_without_a_port_or_too_long_is_malformed(void **state)
{
	static const char *const bad[] = { "", "10.88.0.11",
		"10.88.0.11:", "10.88.0.11:0", "10.88.0.11:65536",
		"10.88.0.11:x", ":",
		"00000000000000000000000000000000000000010.88.0.11:22122" };
	struct cluster c;

	(void)state;
	make(&c, 0, -1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(elect_named(&c, span_of(bad[i])), -EINVAL);
	cluster_fini(&c);
}

static void test_a_tracker_that_is_not_listed_is_unknown(void **state)
{
	static const char *const strange[] = { "10.88.0.14:22122",
		"10.88.0.11:22123", "tracker:22122", ":22122" };
	struct cluster c;

	(void)state;
	make(&c, 0, -1);
	for (size_t i = 0; i < ARRAY_LEN(strange); i++)
		assert_int_equal(elect_named(&c, span_of(strange[i])), -ENOENT);
	cluster_fini(&c);
}

static void gives(struct elect_verdict v, int status, enum elect_act act)
{
	assert_int_equal(v.status, status);
	assert_int_equal(v.act, act);
}

static void test_the_announcement_of_a_leader_is_remembered(void **state)
{
	struct cluster c;

	(void)state;
	make(&c, 0, -1);
	gives(elect_notified(&c, 1), 0, ELECT_REMEMBER);
	gives(elect_notified(&c, 0), 0, ELECT_REMEMBER);
	gives(elect_notified(&c, -EINVAL), EINVAL, ELECT_REFUSE);
	gives(elect_notified(&c, -ENOENT), ENOENT, ELECT_REFUSE);
	cluster_fini(&c);
}

static void test_a_leader_that_hears_of_another_gives_up(void **state)
{
	struct cluster c;

	(void)state;
	make(&c, 0, 0);
	gives(elect_notified(&c, 1), EINVAL, ELECT_GIVE_UP);
	gives(elect_notified(&c, 0), 0, ELECT_REMEMBER);
	/* Nonsense does not make it give up. */
	gives(elect_notified(&c, -ENOENT), ENOENT, ELECT_REFUSE);
	cluster_fini(&c);
}

static void test_a_follower_lets_another_be_announced(void **state)
{
	struct cluster c;

	(void)state;
	make(&c, 0, 1);
	gives(elect_notified(&c, 2), 0, ELECT_REMEMBER);
	cluster_fini(&c);
}

static void test_only_who_was_announced_is_committed(void **state)
{
	(void)state;
	gives(elect_committed(1, 1), 0, ELECT_COMMIT);
	gives(elect_committed(1, 0), EINVAL, ELECT_REFUSE);
	gives(elect_committed(1, -1), EINVAL, ELECT_REFUSE);
	gives(elect_committed(-EINVAL, 1), EINVAL, ELECT_REFUSE);
	gives(elect_committed(-ENOENT, 1), ENOENT, ELECT_REFUSE);
	gives(elect_committed(-ENOENT, -1), ENOENT, ELECT_REFUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_who_leads_already_is_best_whatever_its_age),
		cmocka_unit_test(test_who_runs_longer_is_better),
		cmocka_unit_test(
		    test_a_shorter_break_between_two_lives_is_better),
		cmocka_unit_test(test_then_the_text_of_the_address_decides),
		cmocka_unit_test(test_the_port_is_what_is_left),
		cmocka_unit_test(test_the_best_of_many_is_found_at_any_place),
		cmocka_unit_test(test_ages_go_in_steps_of_five_minutes),
		cmocka_unit_test(
		    test_two_failures_are_borne_the_third_is_the_last),
		cmocka_unit_test(
		    test_the_tracker_named_is_found_by_any_of_its_addresses),
		cmocka_unit_test(
		    test_a_name_without_a_port_or_too_long_is_malformed),
		cmocka_unit_test(test_a_tracker_that_is_not_listed_is_unknown),
		cmocka_unit_test(
		    test_the_announcement_of_a_leader_is_remembered),
		cmocka_unit_test(test_a_leader_that_hears_of_another_gives_up),
		cmocka_unit_test(test_a_follower_lets_another_be_announced),
		cmocka_unit_test(test_only_who_was_announced_is_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
