/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include "test/unit/screen.h"

#include "tui/view_sync.h"

static struct pair known[4];

static struct pair *add_pair(size_t at, const char *group, const char *from,
    const char *to)
{
	struct pair *p = &known[at];

	*p = (struct pair){ .peer = { .phase = PEER_SYNCED, .filled = true } };
	str_copy(p->group, sizeof(p->group), group);
	str_copy(p->from, sizeof(p->from), from);
	str_copy(p->peer.id, sizeof(p->peer.id), to);
	return p;
}

/* The log of 100001 is in reach: one peer is behind, one is not; that of
 * 100011 makes a first copy. */
static void feed_logs(struct screen *s)
{
	struct pair *p = add_pair(0, "group1", "100001", "100003");

	p->peer.phase = PEER_LOG;
	p->peer.phase_since = s->now - 1000 * 1000;
	p->peer.seq = 412008114;
	p->peer.rate_bytes = 68 << 20;
	p->peer.rate_ops = 236;
	p->backlog.ops = 61402;
	p->backlog.bytes = UINT64_C(17) << 30;
	p->backlog.oldest = s->now - 252 * 1000;
	p->arrival = 52 << 20;
	p->parked = 2;
	p->parked_first = s->now / 1000 - 900;
	p->peer.error_at = s->now - 60 * 1000;
	str_copy(p->peer.error_text, sizeof(p->peer.error_text),
	    "no space left on device");
	add_pair(1, "group1", "100001", "100002");
	p = add_pair(2, "group2", "100011", "100012");
	p->peer.phase = PEER_FILL;
	p->peer.filled = false;
	p->peer.rate_bytes = 185 << 20;
	p->peer.fill_files = 19700000;
	p->peer.fill_files_all = 31200000;
	p->peer.fill_bytes = UINT64_C(17600) << 30;
	p->peer.fill_bytes_all = UINT64_C(27900) << 30;
	p->backlog.ops = 11500000;
	p->backlog.bytes = UINT64_C(10300) << 30;
	model_feed_pairs(s->model, known, 3);
}

static void open_with_logs(struct screen *s)
{
	screen_open_busy(s);
	feed_logs(s);
	screen_take(s, 0);
}

static void test_sync_looks_as_agreed(void **state)
{
	struct screen s;

	(void)state;
	open_with_logs(&s);
	screen_type(&s, "5");
	screen_golden(&s, "sync");
	screen_close(&s);
}

static void test_a_stock_cluster_has_bounds_only(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "5");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "≤4m11s"));
	assert_true(screen_has(&s.canvas, "at most: as the trackers tell"));
	screen_compare(&s.canvas, "sync-bounds-80x24");
	screen_close(&s);
}

static void test_the_log_makes_behind_exact(void **state)
{
	struct screen s;
	const struct storage *st;
	(void)state;

	screen_open_busy(&s);
	st = snapshot_storage(s.snapshot, "group1", "100003");
	assert_true(st->behind_bound);
	feed_logs(&s);
	screen_take(&s, 0);
	/* what is parked waits for longer than what is in the log */
	st = snapshot_storage(s.snapshot, "group1", "100003");
	assert_int_equal(st->behind, 900);
	assert_false(st->behind_bound);
	assert_int_equal(st->filling, -1);
	st = snapshot_storage(s.snapshot, "group2", "100012");
	assert_int_equal(st->filling, 63);
	assert_int_equal(st->behind, UNKNOWN);
	screen_type(&s, "3jj");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "behind 100001   15m"));
	assert_true(screen_has(&s.canvas, "61,402 operations"));
	assert_true(screen_has(&s.canvas, "2 parked"));
	assert_true(screen_has(&s.canvas, "63%"));
	screen_close(&s);
}

static void test_arrows_move_over_the_diagonal_and_stay_inside(void **state)
{
	struct screen s;
	(void)state;

	open_with_logs(&s);
	screen_type(&s, "5");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_string_equal(s.ui.sync_from, "100001");
	assert_string_equal(s.ui.sync_to, "100003");
	ui_key(&s.ui, TK_RIGHT);
	assert_string_equal(s.ui.sync_to, "100003");
	ui_key(&s.ui, TK_LEFT);
	assert_string_equal(s.ui.sync_to, "100002");
	ui_key(&s.ui, TK_LEFT);
	assert_string_equal(s.ui.sync_to, "100002");
	ui_key(&s.ui, TK_DOWN);
	assert_string_equal(s.ui.sync_from, "100003");
	assert_string_equal(s.ui.sync_to, "100002");
	ui_key(&s.ui, TK_LEFT);
	ui_key(&s.ui, TK_UP);
	assert_string_equal(s.ui.sync_from, "100002");
	assert_string_equal(s.ui.sync_to, "100001");
	screen_close(&s);
}

static void test_cells_turn_and_groups_follow_each_other(void **state)
{
	static const char *const cells[] = { "!15m", "!61.4k", "!17.0G",
		"!~18m" };
	struct screen s;
	(void)state;

	open_with_logs(&s);
	screen_type(&s, "5");
	for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
		frame_draw(&s.canvas, 24, 80, &s.ui);
		if (!screen_has(&s.canvas, cells[i]))
			fail_msg("no %s", cells[i]);
		screen_type(&s, "v");
	}
	screen_type(&s, "g");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_string_equal(s.ui.sync_group, "group2");
	assert_string_equal(s.ui.sync_to, "100012");
	assert_true(screen_has(&s.canvas, "copy 63%"));
	assert_true(screen_has(&s.canvas, "19,700,000 of 31,200,000 files"));
	screen_type(&s, "g");
	assert_string_equal(s.ui.sync_group, "group1");
	screen_close(&s);
}

static void test_enter_lists_the_files_that_wait(void **state)
{
	static struct sync_file files[2] = {
		{ .name = "M00/00/00/oYYBAGsC9TOAOdWkAALgExHOkPQ117.pdf",
		    .op = OP_CREATE,
		    .at = (SCREEN_START - 500) * 1000,
		    .parked = true,
		    .error = "no space left on device",
		    .tries = 4,
		    .next = (SCREEN_START + 900) * 1000 },
		{ .name = "M00/0A/3F/oYYBAGsC9TOAY_70AByYAW8MK5E031.jpg",
		    .op = OP_CREATE,
		    .at = (SCREEN_START - 252) * 1000,
		    .size = 1887437,
		    .bytes = 1887437,
		    .ops = 2 },
	};
	struct sync_view sync = { .n_dbs = 1,
		.files = files,
		.n_files = ARRAY_LEN(files) };
	struct screen s;
	(void)state;

	open_with_logs(&s);
	s.ui.sync = &sync;
	screen_type(&s, "5\n");
	assert_int_equal(s.ui.view, VIEW_WAITING);
	assert_true(s.ui.wants & WANT_WAITING);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "reading the log"));
	str_copy(sync.from, sizeof(sync.from), "100001");
	str_copy(sync.to, sizeof(sync.to), "100003");
	screen_golden(&s, "waiting");
	ui_key(&s.ui, TK_ESC);
	assert_int_equal(s.ui.view, VIEW_SYNC);
	screen_type(&s, "j\n");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "The log of 100002 is not in reach"));
	screen_close(&s);
}

static void test_logs_alone_are_enough(void **state)
{
	struct screen s;
	(void)state;

	screen_open(&s, 0);
	feed_logs(&s);
	screen_take(&s, 0);
	screen_type(&s, "5");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "61,402 operations"));
	assert_true(screen_has(&s.canvas, "exact: counted by the sender"));
	model_feed_pairs(s.model, NULL, 0);
	screen_take(&s, 0);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "nothing is copied"));
	screen_close(&s);
}

static void test_a_large_group_has_a_sign_a_pair(void **state)
{
	static struct pair many[20 * 19];
	struct screen s;
	size_t n = 0;
	(void)state;

	screen_open(&s, 0);
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < 20; j++) {
			char from[17];
			char to[17];

			if (i == j)
				continue;
			snprintf(from, sizeof(from), "1000%02d", i);
			snprintf(to, sizeof(to), "1000%02d", j);
			many[n] = *add_pair(3, "group1", from, to);
			if (i == 3 && j == 7) {
				many[n].backlog.ops = 5;
				many[n].backlog.oldest = s.now - 600 * 1000;
			}
			n++;
		}
	}
	model_feed_pairs(s.model, many, n);
	screen_take(&s, 0);
	screen_type(&s, "5");
	frame_draw(&s.canvas, 40, 80, &s.ui);
	screen_check_width(&s.canvas);
	assert_string_equal(s.ui.sync_from, "100003");
	assert_string_equal(s.ui.sync_to, "100007");
	assert_true(screen_has(&s.canvas, "█"));
	assert_true(screen_has(&s.canvas, "100003 → 100007"));
	screen_close(&s);
}

static void test_every_size_is_drawn(void **state)
{
	struct screen s;
	(void)state;

	open_with_logs(&s);
	for (int rows = 1; rows < 45; rows += 3) {
		for (int cols = 1; cols < 150; cols += 7) {
			s.ui.view = VIEW_SYNC;
			frame_draw(&s.canvas, rows, cols, &s.ui);
			screen_check_width(&s.canvas);
			s.ui.view = VIEW_WAITING;
			frame_draw(&s.canvas, rows, cols, &s.ui);
			screen_check_width(&s.canvas);
		}
	}
	screen_close(&s);
}

static void test_json_has_the_pairs(void **state)
{
	struct screen s;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	(void)state;

	open_with_logs(&s);
	json_print(out, &s.ui);
	fclose(out);
	assert_non_null(strstr(text,
	    "{\"group\":\"group1\",\"from\":\"100001\",\"to\":\"100003\","
	    "\"behind_s\":900,\"bound\":\"exact\",\"waiting\":61402,"));
	assert_non_null(strstr(text, "\"phase\":\"fill\""));
	assert_non_null(strstr(text, "\"bound\":\"upper\",\"waiting\":null"));
	free(text);
	screen_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sync_looks_as_agreed),
		cmocka_unit_test(test_a_stock_cluster_has_bounds_only),
		cmocka_unit_test(test_the_log_makes_behind_exact),
		cmocka_unit_test(
		    test_arrows_move_over_the_diagonal_and_stay_inside),
		cmocka_unit_test(test_cells_turn_and_groups_follow_each_other),
		cmocka_unit_test(test_enter_lists_the_files_that_wait),
		cmocka_unit_test(test_logs_alone_are_enough),
		cmocka_unit_test(test_a_large_group_has_a_sign_a_pair),
		cmocka_unit_test(test_every_size_is_drawn),
		cmocka_unit_test(test_json_has_the_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
