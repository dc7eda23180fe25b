/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include "test/unit/screen.h"

static void test_storages_look_as_agreed(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3jj");
	screen_golden(&s, "storages");
	screen_close(&s);
}

static void test_enter_opens_the_storage_under_the_cursor(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3jj\n");
	assert_int_equal(s.ui.view, VIEW_STORAGE);
	assert_string_equal(s.ui.subject_id, "100003");
	screen_golden(&s, "storage");
	screen_close(&s);
}

static void test_a_storage_that_recovers_tells_how_far(void **state)
{
	const struct sync_view view = { .n_recoveries = 1,
		.recoveries = { { .group = "group1",
		    .id = "100003",
		    .from = "100001",
		    .path = 0,
		    .done = 1234,
		    .all = 20000 } } };
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	s.ui.sync = &view;
	screen_type(&s, "3jj\n");
	screen_golden(&s, "storage-recovering");
	assert_true(screen_has(&s.canvas,
	    "100003 M00 recovering: 1,234 of 20,000 files (6 %) from 100001"));
	ui_key(&s.ui, TK_LEFT);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_false(screen_has(&s.canvas, "recovering"));
	s.ui.sync = NULL;
	screen_close(&s);
}

static void test_arrows_step_through_storages_in_table_order(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3\n");
	ui_key(&s.ui, TK_RIGHT);
	assert_string_equal(s.ui.subject_id, "100002");
	ui_key(&s.ui, TK_LEFT);
	assert_string_equal(s.ui.subject_id, "100001");
	ui_key(&s.ui, TK_ESC);
	assert_int_equal(s.ui.view, VIEW_STORAGES);
	screen_close(&s);
}

static void test_a_silent_storage_is_marked_and_its_rates_unknown(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_take(&s, 70000);
	screen_type(&s, "3");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "!1m"));
	assert_true(screen_has(&s.canvas, "80%*"));
	assert_true(screen_has(&s.canvas, "STALE"));
	screen_compare(&s.canvas, "storages-stale-80x24");
	screen_close(&s);
}

static void test_the_filter_works_while_it_is_typed(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3/group=group2");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_int_equal(s.ui.storages.n_shown, 2);
	ui_key(&s.ui, TK_ESC);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_int_equal(s.ui.storages.n_shown, 6);
	screen_type(&s, "/up>70\n");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_int_equal(s.ui.storages.n_shown, 2);
	screen_type(&s, "\\");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_int_equal(s.ui.storages.n_shown, 6);
	screen_close(&s);
}

static void test_a_wrong_filter_is_told_and_leaves_the_old_one(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3/group=group2\n/\x15nonsense>3\n");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "there is no column nonsense"));
	assert_int_equal(s.ui.storages.n_shown, 2);
	screen_close(&s);
}

static void test_sorting_by_load_puts_the_busiest_on_top(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "3");
	assert_int_equal(table_set_sort(&s.ui.storages, "up-"), 0);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_string_equal(
	    ((const struct storage *)s.ui.storages.shown[0])->id, "100001");
	screen_type(&s, "I");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_string_equal(
	    ((const struct storage *)s.ui.storages.shown[0])->id, "100021");
	screen_close(&s);
}

static void test_batch_prints_every_column_and_no_cursor(void **state)
{
	struct screen s;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	screen_open_busy(&s);
	s.ui.view = VIEW_STORAGES;
	batch_print(out, &s.ui, &s.canvas, 0);
	fclose(out);
	assert_non_null(
	    strstr(text, "== 2026-11-23T14:10:01Z media-prod CRIT 1 HB 4s"));
	assert_non_null(strstr(text, "FD-SPACE-01"));
	assert_non_null(strstr(text, "10.20.1.13:23000"));
	assert_non_null(strstr(text, "FAIL"));
	assert_null(strstr(text, "▸"));
	free(text);
	screen_close(&s);
}

static void test_json_names_what_is_unknown(void **state)
{
	struct screen s;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	screen_open(&s, 3);
	screen_feed(&s, 0);
	screen_take(&s, 0);
	json_print(out, &s.ui);
	fclose(out);
	assert_non_null(strstr(text, "\"schema\":\"fdfs-top.snapshot/1\""));
	assert_non_null(strstr(text, "\"upload\":null"));
	assert_non_null(strstr(text, "\"unknown\":[\"upload\""));
	assert_non_null(strstr(text, "\"state\":\"ACTIVE\""));
	assert_null(strchr(text, '\n'));
	free(text);
	screen_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storages_look_as_agreed),
		cmocka_unit_test(test_enter_opens_the_storage_under_the_cursor),
		cmocka_unit_test(test_a_storage_that_recovers_tells_how_far),
		cmocka_unit_test(
		    test_arrows_step_through_storages_in_table_order),
		cmocka_unit_test(
		    test_a_silent_storage_is_marked_and_its_rates_unknown),
		cmocka_unit_test(test_the_filter_works_while_it_is_typed),
		cmocka_unit_test(
		    test_a_wrong_filter_is_told_and_leaves_the_old_one),
		cmocka_unit_test(test_sorting_by_load_puts_the_busiest_on_top),
		cmocka_unit_test(test_batch_prints_every_column_and_no_cursor),
		cmocka_unit_test(test_json_names_what_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
