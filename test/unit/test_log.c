/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "test/unit/scratch.h"

/* 2026-11-22T14:03:27.123Z */
#define NOON_ISH INT64_C(1795356207123)
#define DAY_MS   INT64_C(86400000)

static int set_up(void **state)
{
	const struct log_rotation off = { 0 };

	if (scratch_new(state) < 0)
		return -1;
	clock_set(1000 * MONO_SEC, NOON_ISH);
	log_set_level(LOG_LEVEL_INFO);
	log_set_rotation(&off);
	return log_open(scratch_path(state, "x.log"));
}

static int tear_down(void **state)
{
	log_close();
	clock_set(0, 0);
	return scratch_free(state);
}

static void log_is(void **state, const char *text)
{
	char *got = scratch_read(state, "x.log");

	assert_string_equal(got, text);
	free(got);
}

static size_t count_files(void **state)
{
	DIR *d = opendir(*state);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_line_has_time_level_event_and_text(void **state)
{
	log_warn("upload_failed", "client=%s size=%d", "127.0.0.1", 7);
	log_error("alone", "%s", "");
	log_is(state,
	    "2026-11-22T14:03:27.123Z WARN upload_failed client=127.0.0.1 "
	    "size=7\n"
	    "2026-11-22T14:03:27.123Z ERROR alone\n");
}

static void test_lines_below_the_level_are_dropped(void **state)
{
	log_debug("quiet", "a=%d", 1);
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("quiet", "a=%d", 2);
	log_is(state, "");
}

static void test_foreign_text_cannot_make_a_second_line(void **state)
{
	log_info("name", "value=%s", "a\nb\x1b[31m\xff");
	log_is(state, "2026-11-22T14:03:27.123Z INFO name "
	              "value=a\\x0ab\\x1b[31m\\xff\n");
}

static void test_endless_text_is_cut_to_one_line(void **state)
{
	char big[9000];
	char *got;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("big", "%s", big);
	memset(big, '\n', sizeof(big) - 1);
	log_info("big", "%s", big);
	got = scratch_read(state, "x.log");
	assert_int_equal(strlen(strchr(got, '\n') + 1) > 3000, 1);
	assert_true(strlen(got) <= (size_t)2 * 4096);
	assert_int_equal(got[strlen(got) - 1], '\n');
	free(got);
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	errno = EXDEV;
	log_info("event", "a=%d", 1);
	assert_int_equal(errno, EXDEV);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void test_event_that_repeats_is_counted_and_said_once(void **state)
{
	char *got;

	for (int i = 0; i < 50; i++)
		log_warn("again", "n=%d", i);
	log_warn("other", "n=%d", 1);
	got = scratch_read(state, "x.log");
	assert_int_equal(count_lines(got), 21);
	free(got);
	clock_set(1001 * MONO_SEC, NOON_ISH);
	log_warn("again", "n=%d", 50);
	got = scratch_read(state, "x.log");
	assert_int_equal(count_lines(got), 23);
	assert_non_null(strstr(got, "WARN again repeated=30\n"));
	free(got);
}

static void test_lines_that_always_matter_are_not_counted(void **state)
{
	char *got;

	for (int i = 0; i < 50; i++)
		log_always(LOG_LEVEL_WARN, "conf_value", "n=%d", i);
	got = scratch_read(state, "x.log");
	assert_int_equal(count_lines(got), 50);
	free(got);
}

static void test_tend_tells_of_repeats_that_stopped(void **state)
{
	char *got;

	for (int i = 0; i < 21; i++)
		log_info("burst", "n=%d", i);
	clock_set(1060 * MONO_SEC, NOON_ISH);
	log_tend();
	got = scratch_read(state, "x.log");
	assert_non_null(strstr(got, "INFO burst repeated=1\n"));
	free(got);
}

static void test_reopen_follows_an_outside_rename(void **state)
{
	char *got;

	log_info("one", "n=%d", 1);
	assert_int_equal(
	    rename(scratch_path(state, "x.log"), scratch_path(state, "old")),
	    0);
	log_info("two", "n=%d", 2);
	assert_int_equal(log_reopen(), 0);
	log_info("three", "n=%d", 3);
	log_is(state, "2026-11-22T14:03:27.123Z INFO three n=3\n");
	got = scratch_read(state, "old");
	assert_int_equal(count_lines(got), 2);
	free(got);
}

static void test_open_tells_why_it_cannot(void **state)
{
	assert_int_equal(log_open(scratch_path(state, "no/x.log")), -ENOENT);
	assert_int_equal(log_open(scratch_path(state, "x.log")), 0);
}

static void test_file_is_rotated_by_size(void **state)
{
	const struct log_rotation r = { .on_size = 20 };

	log_tend();
	log_set_rotation(&r);
	log_tend();
	assert_int_equal(count_files(state), 1);
	log_info("filling", "n=%d", 1);
	log_tend();
	log_is(state, "");
	log_info("filling", "n=%d", 2);
	log_tend();
	/* The second of the same second must not overwrite the first. */
	assert_int_equal(count_files(state), 3);
	assert_int_equal(
	    access(scratch_path(state, "x.log.20261122-140327"), F_OK), 0);
	assert_int_equal(
	    access(scratch_path(state, "x.log.20261122-140327-1"), F_OK), 0);
}

static void set_mtime(const char *path, wall_t when)
{
	const struct timespec at = { .tv_sec = (time_t)(when / 1000) };
	const struct timespec both[2] = { at, at };

	assert_int_equal(utimensat(-1, path, both, 0), 0);
}

static void test_file_is_rotated_once_a_day_at_its_minute(void **state)
{
	/* The lines are of 14:03; it rotates at 15:00. */
	const struct log_rotation r = { .everyday = true,
		.minute_of_day = 15 * 60 };

	log_info("yesterday", "n=%d", 1);
	set_mtime(scratch_path(state, "x.log"), NOON_ISH);
	log_set_rotation(&r);
	log_tend();
	assert_int_equal(count_files(state), 1);
	clock_set(1, NOON_ISH + 3600 * 1000);
	log_tend();
	assert_int_equal(count_files(state), 2);
	log_info("today", "n=%d", 2);
	log_tend();
	assert_int_equal(count_files(state), 2);
	clock_set(1, NOON_ISH + 3600 * 1000 + DAY_MS);
	log_tend();
	assert_int_equal(count_files(state), 3);
}

static void test_file_left_from_before_is_rotated_at_once(void **state)
{
	const struct log_rotation r = { .everyday = true };

	log_info("last_week", "n=%d", 1);
	set_mtime(scratch_path(state, "x.log"), NOON_ISH - 7 * DAY_MS);
	log_set_rotation(&r);
	log_tend();
	assert_int_equal(count_files(state), 2);
	log_is(state, "");
}

static void test_old_rotated_files_go_and_others_stay(void **state)
{
	const struct log_rotation r = { .keep_days = 3 };

	scratch_write(state, "x.log.20261101-000000", "");
	scratch_write(state, "x.log.20261101-000000-1", "");
	scratch_write(state, "x.log.20261121-000000", "");
	scratch_write(state, "x.log.keep", "");
	scratch_write(state, "y.log.20261101-000000", "");
	log_set_rotation(&r);
	log_tend();
	assert_int_equal(count_files(state), 4);
	assert_int_equal(
	    access(scratch_path(state, "x.log.20261121-000000"), F_OK), 0);
	assert_int_equal(
	    access(scratch_path(state, "y.log.20261101-000000"), F_OK), 0);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 200; i++) {
		char event[16];

		snprintf(event, sizeof(event), "%s%d", (char *)arg, i);
		log_info(event, "text=%s", "0123456789012345678901234567890");
	}
	return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
	char name[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	char *got;
	char *rest;
	char *line;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, log_many, name[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	got = scratch_read(state, "x.log");
	assert_int_equal(count_lines(got), 800);
	rest = got;
	while ((line = strsep(&rest, "\n")) && *line != '\0') {
		assert_memory_equal(line, "2026-11-22T14:03:27.123Z INFO ", 30);
		assert_string_equal(strchr(line, '='),
		    "=0123456789012345678901234567890");
	}
	free(got);
}

static void test_level_words_are_read_as_users_write_them(void **state)
{
	static const struct {
		const char *word;
		enum log_level level;
	} words[] = {
		{ "emerg", LOG_LEVEL_ERROR },
		{ "CRIT", LOG_LEVEL_ERROR },
		{ "err", LOG_LEVEL_ERROR },
		{ "warning", LOG_LEVEL_WARN },
		{ "Warn", LOG_LEVEL_WARN },
		{ "notice", LOG_LEVEL_INFO },
		{ "LOG_INFO", LOG_LEVEL_INFO },
		{ "debug", LOG_LEVEL_DEBUG },
	};
	enum log_level level;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(log_level_parse(words[i].word, &level), 0);
		assert_int_equal(level, words[i].level);
	}
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_level_parse("LOG_", &level), -EINVAL);
}

static void test_errors_have_words(void **state)
{
	(void)state;
	assert_string_equal(errstr(-ENOENT), "No such file or directory");
	assert_string_equal(errstr(0), "Success");
	assert_string_equal(errstr(-99999), "unknown error");
}

#define log_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		log_test(test_line_has_time_level_event_and_text),
		log_test(test_lines_below_the_level_are_dropped),
		log_test(test_foreign_text_cannot_make_a_second_line),
		log_test(test_endless_text_is_cut_to_one_line),
		log_test(test_errno_is_kept),
		log_test(test_event_that_repeats_is_counted_and_said_once),
		log_test(test_lines_that_always_matter_are_not_counted),
		log_test(test_tend_tells_of_repeats_that_stopped),
		log_test(test_reopen_follows_an_outside_rename),
		log_test(test_open_tells_why_it_cannot),
		log_test(test_file_is_rotated_by_size),
		log_test(test_file_is_rotated_once_a_day_at_its_minute),
		log_test(test_file_left_from_before_is_rotated_at_once),
		log_test(test_old_rotated_files_go_and_others_stay),
		log_test(test_lines_of_threads_do_not_mix),
		cmocka_unit_test(test_level_words_are_read_as_users_write_them),
		cmocka_unit_test(test_errors_have_words),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	log_to_stderr(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
