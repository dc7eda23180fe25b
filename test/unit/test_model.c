/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include <math.h>

#include "test/unit/screen.h"

static const struct storage *find(const struct screen *s, const char *id)
{
	for (size_t i = 0; i < s->ui.s->n_storages; i++) {
		if (strcmp(s->ui.s->storages[i].id, id) == 0)
			return &s->ui.s->storages[i];
	}
	return NULL;
}

static bool has_problem(const struct screen *s, const char *code,
    const char *where)
{
	for (size_t i = 0; i < s->ui.s->n_problems; i++) {
		if (strcmp(s->ui.s->problems[i].code, code) == 0 &&
		    strcmp(s->ui.s->problems[i].where, where) == 0)
			return true;
	}
	return false;
}

/* One tracker, one answer whose first storage a test may change. */
static void feed_one(struct screen *s, size_t tracker, int64_t beat,
    void (*change)(struct storage_fact *f))
{
	struct answer a;

	screen_answer(&a, tracker, beat, SCREEN_START + beat * 10);
	if (change)
		change(&a.storages[0]);
	s->now = a.at;
	model_feed(s->model, tracker, &a);
}

static void offline(struct storage_fact *f)
{
	f->r.status = ST_OFFLINE;
}

static void restarted(struct storage_fact *f)
{
	f->r.stats.success_upload_count = 3;
	f->r.stats.total_upload_count = 3;
}

static void same_beat(struct storage_fact *f)
{
	f->r.stats.last_heart_beat_time = SCREEN_START + 10 - 3;
	f->r.stats.success_upload_count += 5;
}

static void test_a_rate_is_the_difference_over_heartbeat_times(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, NULL);
	feed_one(&s, 0, 1, NULL);
	screen_take(&s, 0);
	/* 980 * 11 / 10 uploads in ten seconds */
	assert_true(
	    fabs(find(&s, "100001")->rates[FLOW_UPLOAD].ops - 107.8) < 0.01);
	assert_true(find(&s, "100001")->rate_span == 10);
	assert_true(find(&s, "100021")->rates[FLOW_UPLOAD].ops == 0);
	screen_close(&s);
}

static void test_one_reading_gives_no_rate(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, NULL);
	screen_take(&s, 0);
	assert_true(isnan(find(&s, "100001")->rates[FLOW_UPLOAD].ops));
	assert_true(isnan(s.ui.s->all.rates[FLOW_UPLOAD].ops));
	screen_close(&s);
}

static void test_a_rate_is_held_between_heartbeats(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, NULL);
	feed_one(&s, 0, 1, NULL);
	feed_one(&s, 0, 2, same_beat);
	screen_take(&s, 0);
	assert_true(
	    fabs(find(&s, "100001")->rates[FLOW_UPLOAD].ops - 107.8) < 0.01);
	screen_close(&s);
}

static void test_a_counter_that_went_down_makes_the_rate_unknown(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, NULL);
	feed_one(&s, 0, 1, NULL);
	feed_one(&s, 0, 2, restarted);
	screen_take(&s, 0);
	assert_true(isnan(find(&s, "100001")->rates[FLOW_UPLOAD].ops));
	assert_true(isnan(find(&s, "100002")->rates[FLOW_UPLOAD].ops) == 0);
	screen_close(&s);
}

static void test_fast_heartbeats_are_averaged_over_ten_seconds(void **state)
{
	struct meter m = { 0 };
	struct stats st = { 0 };
	struct rate rates[N_FLOWS];

	(void)state;
	for (int64_t t = 1; t <= 300; t++) {
		st.success_upload_count = st.total_upload_count = t * 7;
		meter_feed(&m, t, &st);
		assert_in_range(m.n, 1, READINGS);
	}
	assert_in_range((uint64_t)meter_rates(&m, rates), 10, 20);
	assert_true(rates[FLOW_UPLOAD].ops == 7);
}

static void test_failures_are_a_share_of_enough_operations(void **state)
{
	struct meter m = { 0 };
	struct stats st = { 0 };
	struct rate rates[N_FLOWS];

	(void)state;
	meter_feed(&m, 100, &st);
	st.total_download_count = 40;
	st.success_download_count = 30;
	st.total_upload_count = 5;
	st.success_upload_count = 4;
	meter_feed(&m, 110, &st);
	meter_rates(&m, rates);
	assert_true(rates[FLOW_DOWNLOAD].failed == 0.25);
	assert_true(isnan(rates[FLOW_UPLOAD].failed));
}

static void test_an_offline_storage_is_a_problem(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, NULL);
	feed_one(&s, 0, 1, offline);
	screen_take(&s, 0);
	assert_true(has_problem(&s, "FD-STATE-01", "100001"));
	assert_true(isnan(find(&s, "100001")->rates[FLOW_UPLOAD].ops));
	assert_int_equal(s.ui.s->n_events, 1);
	assert_string_equal(s.ui.s->events[0].text, "OFFLINE, was ACTIVE");
	screen_close(&s);
}

static void test_a_problem_keeps_the_time_it_began(void **state)
{
	struct screen s;
	wall_t since;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, offline);
	screen_take(&s, 0);
	since = s.ui.s->problems[0].since;
	feed_one(&s, 0, 3, offline);
	screen_take(&s, 0);
	for (size_t i = 0; i < s.ui.s->n_problems; i++)
		assert_true(s.ui.s->problems[i].since == since);
	screen_close(&s);
}

static void test_little_usable_space_is_told_by_degree(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	/* 819 GiB of 32 TiB: 2.5 percent */
	assert_true(has_problem(&s, "FD-SPACE-01", "group2"));
	assert_int_equal(s.ui.s->problems[0].severity, SEV_CRIT);
	/* 6.6 TiB of 64 TiB: 10.3 percent */
	assert_false(has_problem(&s, "FD-SPACE-01", "group1"));
	screen_close(&s);
}

static void test_an_old_heartbeat_is_a_problem_and_makes_values_stale(
    void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_take(&s, 50000);
	assert_true(has_problem(&s, "FD-HB-01", "100001"));
	assert_true(find(&s, "100001")->stale);
	assert_true(isnan(find(&s, "100001")->rates[FLOW_UPLOAD].ops));
	screen_close(&s);
}

static void test_trackers_that_disagree_are_told_after_a_minute(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 2);
	for (int64_t beat = 0; beat < 7; beat++) {
		feed_one(&s, 0, beat, NULL);
		feed_one(&s, 1, beat, offline);
		screen_take(&s, 0);
		assert_true(find(&s, "100001")->disagree);
		assert_int_equal(has_problem(&s, "FD-TRK-03", "100001"),
		    beat >= 6);
	}
	assert_int_equal(find(&s, "100001")->seen[0], ST_ACTIVE);
	assert_int_equal(find(&s, "100001")->seen[1], ST_OFFLINE);
	screen_close(&s);
}

static void test_counters_come_from_the_leader(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 2);
	/* The second tracker answers first and says otherwise. */
	feed_one(&s, 1, 0, offline);
	feed_one(&s, 0, 0, NULL);
	screen_take(&s, 0);
	assert_int_equal(find(&s, "100001")->status, ST_ACTIVE);
	assert_true(s.ui.s->trackers[0].leader);
	screen_fail(&s, 0, "Connection refused");
	screen_take(&s, 0);
	assert_int_equal(find(&s, "100001")->status, ST_OFFLINE);
	assert_true(s.ui.s->live);
	screen_close(&s);
}

static void test_silence_of_all_trackers_is_critical(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 2);
	screen_take(&s, 0);
	assert_int_equal(s.ui.s->n_problems, 0);
	assert_false(s.ui.s->complete);
	screen_fail(&s, 0, "Connection refused");
	screen_fail(&s, 1, "Connection timed out");
	screen_take(&s, 0);
	assert_true(has_problem(&s, "FD-TRK-01", "cluster"));
	assert_int_equal(s.ui.s->verdict, SEV_CRIT);
	assert_true(s.ui.s->complete);
	screen_close(&s);
}

static void test_one_silent_tracker_is_a_warning_after_ten_seconds(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 2);
	feed_one(&s, 0, 0, NULL);
	screen_fail(&s, 1, "Connection refused");
	screen_take(&s, 0);
	assert_false(has_problem(&s, "FD-TRK-01", "t2"));
	feed_one(&s, 0, 1, NULL);
	screen_take(&s, 0);
	assert_true(has_problem(&s, "FD-TRK-01", "t2"));
	screen_close(&s);
}

static void test_how_far_behind_is_a_bound_or_unknown(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	assert_int_equal(find(&s, "100003")->behind, 251);
	assert_true(find(&s, "100003")->behind_bound);
	assert_int_equal(find(&s, "100001")->behind, 0);
	assert_true(find(&s, "100021")->alone);
	assert_true(find(&s, "100021")->behind == UNKNOWN);
	screen_close(&s);
}

static void no_reserve(struct storage_fact *f)
{
	f->r.reserved_mb = -1;
	f->r.free_mb = -1;
}

static void test_absurd_space_is_unknown_not_zero(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	feed_one(&s, 0, 0, no_reserve);
	screen_take(&s, 0);
	assert_true(find(&s, "100001")->space.free == UNKNOWN);
	assert_true(find(&s, "100001")->space.usable == UNKNOWN);
	screen_close(&s);
}

static void test_history_has_gaps_where_nothing_was_known(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 1);
	for (int64_t beat = 0; beat < 4; beat++)
		feed_one(&s, 0, beat, NULL);
	feed_one(&s, 0, 8, NULL);
	feed_one(&s, 0, 9, NULL);
	screen_take(&s, 0);
	assert_int_equal(s.ui.s->n_history, 9);
	assert_true(isnan(s.ui.s->history[FLOW_UPLOAD][0]));
	assert_true(isnan(s.ui.s->history[FLOW_UPLOAD][2]) == 0);
	assert_true(isnan(s.ui.s->history[FLOW_UPLOAD][5]));
	assert_true(isnan(s.ui.s->history[FLOW_UPLOAD][8]) == 0);
	screen_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_rate_is_the_difference_over_heartbeat_times),
		cmocka_unit_test(test_one_reading_gives_no_rate),
		cmocka_unit_test(test_a_rate_is_held_between_heartbeats),
		cmocka_unit_test(
		    test_a_counter_that_went_down_makes_the_rate_unknown),
		cmocka_unit_test(
		    test_fast_heartbeats_are_averaged_over_ten_seconds),
		cmocka_unit_test(
		    test_failures_are_a_share_of_enough_operations),
		cmocka_unit_test(test_an_offline_storage_is_a_problem),
		cmocka_unit_test(test_a_problem_keeps_the_time_it_began),
		cmocka_unit_test(test_little_usable_space_is_told_by_degree),
		cmocka_unit_test(
		    test_an_old_heartbeat_is_a_problem_and_makes_values_stale),
		cmocka_unit_test(
		    test_trackers_that_disagree_are_told_after_a_minute),
		cmocka_unit_test(test_counters_come_from_the_leader),
		cmocka_unit_test(test_silence_of_all_trackers_is_critical),
		cmocka_unit_test(
		    test_one_silent_tracker_is_a_warning_after_ten_seconds),
		cmocka_unit_test(test_how_far_behind_is_a_bound_or_unknown),
		cmocka_unit_test(test_absurd_space_is_unknown_not_zero),
		cmocka_unit_test(test_history_has_gaps_where_nothing_was_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
