/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include "test/unit/screen.h"

static void test_a_busy_cluster_looks_as_agreed(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_golden(&s, "overview");
	screen_close(&s);
}

static void test_ascii_glyphs_show_the_same_without_unicode(void **state)
{
	struct screen s;
	char row[1024];

	(void)state;
	screen_open_busy(&s);
	canvas_fini(&s.canvas);
	canvas_init(&s.canvas, GLYPHS_ASCII, true);
	screen_golden(&s, "overview-ascii");
	for (int y = 0; y < s.canvas.rows; y++) {
		canvas_row_text(&s.canvas, y, row, sizeof(row));
		for (const char *p = row; *p; p++)
			assert_true((unsigned char)*p < 0x80);
	}
	screen_close(&s);
}

static void test_a_silent_cluster_shows_its_last_state_marked(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	for (size_t i = 0; i < 3; i++)
		screen_fail(&s, i, "Connection refused");
	screen_take(&s, 12000);
	s.ui.retry_in = 3;
	screen_golden(&s, "overview-no-link");
	assert_true(screen_has(&s.canvas, "no tracker answers"));
	screen_close(&s);
}

static void test_a_tracker_without_storages_says_what_to_do(void **state)
{
	struct screen s;
	struct answer a = { 0 };

	(void)state;
	screen_open(&s, 1);
	a.at = s.now;
	a.has_leader = true;
	str_copy(a.address, sizeof(a.address), screen_trackers[0]);
	str_copy(a.leader, sizeof(a.leader), screen_trackers[0]);
	model_feed(s.model, 0, &a);
	screen_take(&s, 0);
	screen_golden(&s, "overview-no-storages");
	screen_close(&s);
}

static void test_before_any_answer_nothing_is_claimed(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 3);
	screen_take(&s, 0);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "connecting to 10.20.0.11:22122"));
	assert_false(screen_has(&s.canvas, "ok "));
	screen_close(&s);
}

static void test_rates_are_unknown_after_one_heartbeat(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 3);
	screen_feed(&s, 0);
	screen_take(&s, 0);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "?         ?         ?"));
	screen_close(&s);
}

static void test_every_size_is_drawn_within_its_bounds(void **state)
{
	static const enum view_id views[] = { VIEW_OVERVIEW, VIEW_STORAGES,
		VIEW_FILES, VIEW_STORAGE };
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	str_copy(s.ui.subject_group, 17, "group1");
	str_copy(s.ui.subject_id, 17, "100003");
	for (size_t v = 0; v < ARRAY_LEN(views); v++) {
		s.ui.view = views[v];
		for (int rows = 1; rows < 60; rows += 3) {
			for (int cols = 1; cols < 210; cols += 7) {
				frame_draw(&s.canvas, rows, cols, &s.ui);
				assert_int_equal(s.canvas.rows, rows);
				screen_check_width(&s.canvas);
			}
		}
	}
	screen_close(&s);
}

static void test_under_40x10_one_line_tells_the_verdict(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	frame_draw(&s.canvas, 5, 39, &s.ui);
	assert_true(screen_has(&s.canvas, "media-prod"));
	screen_compare(&s.canvas, "tiny-39x5");
	screen_close(&s);
}

static void test_help_lists_keys_of_views_that_exist(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "?");
	screen_golden(&s, "help");
	screen_type(&s, "q");
	assert_false(s.ui.help);
	assert_false(s.ui.wants & WANT_QUIT);
	screen_close(&s);
}

static void test_first_run_lists_where_it_looked(void **state)
{
	struct screen s;

	(void)state;
	screen_open(&s, 0);
	screen_take(&s, 0);
	s.ui.view = VIEW_SETUP;
	s.ui.prompt = PROMPT_TRACKER;
	s.ui.n_looked = 2;
	str_copy(s.ui.looked[0].where, 96, "FDFS_TRACKERS");
	str_copy(s.ui.looked[0].found, 96, "not set");
	str_copy(s.ui.looked[1].where, 96, "/etc/fdfs/client.conf");
	str_copy(s.ui.looked[1].found, 96, "not there");
	screen_type(&s, "10.20.0.1x");
	ui_key(&s.ui, TK_BACKSPACE);
	screen_golden(&s, "setup");
	screen_type(&s, "1\n");
	assert_true(s.ui.wants & WANT_TRACKER);
	assert_string_equal(s.ui.tracker, "10.20.0.11");
	screen_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_busy_cluster_looks_as_agreed),
		cmocka_unit_test(
		    test_ascii_glyphs_show_the_same_without_unicode),
		cmocka_unit_test(
		    test_a_silent_cluster_shows_its_last_state_marked),
		cmocka_unit_test(
		    test_a_tracker_without_storages_says_what_to_do),
		cmocka_unit_test(test_before_any_answer_nothing_is_claimed),
		cmocka_unit_test(test_rates_are_unknown_after_one_heartbeat),
		cmocka_unit_test(test_every_size_is_drawn_within_its_bounds),
		cmocka_unit_test(test_under_40x10_one_line_tells_the_verdict),
		cmocka_unit_test(test_help_lists_keys_of_views_that_exist),
		cmocka_unit_test(test_first_run_lists_where_it_looked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
