/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "storaged/stats.h"
#include "test/unit/scratch.h"

static void test_counters_of_loops_add_up_on_earlier_runs(void **state)
{
	struct stats base = { .total_upload_count = 100,
		.success_upload_bytes = 5000 };
	struct counters a = { { 0 } };
	struct counters b = { { 0 } };
	const struct counters *blocks[] = { &a, &b };
	struct stats sum;

	(void)state;
	count_op(&a, STAT_total_upload_count, 0);
	count_op(&b, STAT_total_upload_count, -EIO);
	count_add(&b, STAT_success_upload_bytes, 7);
	stats_sum(&base, blocks, 2, &sum);
	assert_int_equal(sum.total_upload_count, 102);
	assert_int_equal(sum.success_upload_count, 1);
	assert_int_equal(sum.success_upload_bytes, 5007);
}

static void test_the_latest_time_counts_not_the_sum(void **state)
{
	struct stats base = { .last_source_update = 50,
		.last_sync_update = 90 };
	struct counters a = { { 0 } };
	struct counters b = { { 0 } };
	const struct counters *blocks[] = { &a, &b };
	struct stats sum;

	(void)state;
	count_set(&a, STAT_last_source_update, 70);
	count_set(&b, STAT_last_source_update, 60);
	stats_sum(&base, blocks, 2, &sum);
	assert_int_equal(sum.last_source_update, 70);
	assert_int_equal(sum.last_sync_update, 90);
}

static void test_what_is_saved_is_loaded(void **state)
{
	const char *path = scratch_path(state, "storage_stat.dat");
	const struct rotation_state rot = { 3, 17, 99 };
	struct rotation_state back;
	struct stats s = { 0 };
	struct stats loaded;

	for (size_t i = 0; i < N_STATS; i++)
		stats_set(&s, i, (int64_t)(i * i + 1));
	assert_int_equal(stats_save(path, &s, &rot), 0);
	assert_int_equal(stats_load(path, &loaded, &back), 0);
	assert_int_equal(back.high, 3);
	assert_int_equal(back.low, 17);
	assert_int_equal(back.count, 99);
	/* The last two are the tracker's and stand in no file. */
	s.last_synced_timestamp = 0;
	s.last_heart_beat_time = 0;
	for (size_t i = 0; i < N_STATS; i++)
		assert_int_equal(stats_get(&loaded, i), stats_get(&s, i));
}

/* As FastDFS writes it (cluster-protocol 7.3). */
static void test_the_order_in_the_file_is_the_one_of_fastdfs(void **state)
{
	static const char *const order[] = { "total_upload_count=0",
		"success_upload_count=0", "total_append_count=0",
		"success_append_count=0", "total_modify_count=0",
		"success_modify_count=0", "total_truncate_count=0",
		"success_truncate_count=0", "total_download_count=0",
		"success_download_count=0", "last_source_update=0",
		"last_sync_update=0", "total_set_meta_count=0" };
	const char *path = scratch_path(state, "storage_stat.dat");
	const struct rotation_state rot = { 0, 0, 0 };
	const struct stats s = { 0 };
	char *text;
	char *save = NULL;
	char *line;
	size_t n = 0;

	assert_int_equal(stats_save(path, &s, &rot), 0);
	text = scratch_read(state, "storage_stat.dat");
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (n < ARRAY_LEN(order))
			assert_string_equal(line, order[n]);
		if (n == 42)
			assert_string_equal(line, "dist_write_file_count=0");
		n++;
	}
	assert_int_equal(n, 43);
	free(text);
}

static void test_a_missing_file_is_zeros(void **state)
{
	struct rotation_state rot = { 1, 1, 1 };
	struct stats s = { .total_upload_count = 1 };

	assert_int_equal(stats_load(scratch_path(state, "none"), &s, &rot), 0);
	assert_int_equal(s.total_upload_count, 0);
	assert_int_equal(rot.count, 0);
}

static void test_a_value_that_is_no_number_is_told_and_zeros(void **state)
{
	const char *path = scratch_write(state, "storage_stat.dat",
	    "total_upload_count=7\nsuccess_upload_count=x\n");
	struct rotation_state rot;
	struct stats s;

	assert_int_equal(stats_load(path, &s, &rot), -EBADMSG);
	assert_int_equal(s.total_upload_count, 0);
	path =
	    scratch_write(state, "storage_stat.dat", "total_upload_count=-7\n");
	assert_int_equal(stats_load(path, &s, &rot), -EBADMSG);
}

static void test_unknown_lines_and_blanks_do_no_harm(void **state)
{
	const char *path = scratch_write(state, "storage_stat.dat",
	    "\n# of another version\nnew_counter=3\n"
	    " total_upload_count = 7 \r\ndist_path_index_low=2");
	struct rotation_state rot;
	struct stats s;

	assert_int_equal(stats_load(path, &s, &rot), 0);
	assert_int_equal(s.total_upload_count, 7);
	assert_int_equal(rot.low, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_of_loops_add_up_on_earlier_runs),
		cmocka_unit_test(test_the_latest_time_counts_not_the_sum),
		scratch_test(test_what_is_saved_is_loaded),
		scratch_test(test_the_order_in_the_file_is_the_one_of_fastdfs),
		scratch_test(test_a_missing_file_is_zeros),
		scratch_test(test_a_value_that_is_no_number_is_told_and_zeros),
		scratch_test(test_unknown_lines_and_blanks_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
