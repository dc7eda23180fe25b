/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/macros.h"
#include "meta/sample.h"
#include "meta_tmp.h"

#define T0 INT64_C(1795305600000) /* a midnight, UTC */

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return db_open(DB_TRACKER, tmp_path(&tmp, "a.db"), false, &db, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	tmp_remove(&tmp);
	return 0;
}

static void put(const char *subject, int64_t at, int64_t counter, int64_t free)
{
	struct sample s = { .at = at };

	str_copy(s.subject, sizeof(s.subject), subject);
	sample_add(&s, "total_upload_count", counter);
	sample_add(&s, "free_mb", free);
	sample_add(&s, "behind_ms", free * 2);
	assert_int_equal(sample_insert(db, &s), 0);
}

static int64_t value(const struct sample *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->names[i], name))
			return s->values[i];
	return -1;
}

struct got {
	size_t n;
	struct sample first, last;
};

static int take(void *arg, const struct sample *s)
{
	struct got *g = arg;

	if (g->n++ == 0)
		g->first = *s;
	g->last = *s;
	return 0;
}

static struct got *steps(const char *subject, int64_t step)
{
	static struct got g;

	memset(&g, 0, sizeof(g));
	assert_int_equal(sample_read(db, subject, step, 0, INT64_MAX, take, &g),
	    0);
	return &g;
}

static void test_every_counter_of_the_wire_is_a_column(void **state)
{
	static const char *const names[] = {
#define STAT(name) #name,
#include "proto/stats.def"
#undef STAT
		"alloc_conns", "current_conns", "max_conns", "total_mb",
		"free_mb", "status", "behind_ops", "behind_bytes", "behind_ms",
		"catalogue_waiting", "catalogue_behind_ms", "path_count",
		"files", "bytes"
	};
	struct sample s = { .at = T0, .subject = "self" };
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		sample_add(&s, names[i], (int64_t)i);
	assert_int_equal(sample_insert(db, &s), 0);
	assert_int_equal(sample_last(db, "self", &s), 0);
	assert_int_equal(s.n, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(value(&s, names[i]), i);
}

static void test_unknown_column_is_refused(void **state)
{
	struct sample s = { .at = T0, .subject = "self" };
	(void)state;

	sample_add(&s, "no_such_thing", 1);
	assert_int_equal(sample_insert(db, &s), -EINVAL);
	assert_int_equal(sample_last(db, "self", &s), -ENOENT);
}

static void test_last_is_the_newest_of_its_subject(void **state)
{
	struct sample s;
	(void)state;

	put("100001", T0, 1, 10);
	put("100001", T0 + 10000, 2, 10);
	put("100002", T0 + 20000, 3, 10);
	assert_int_equal(sample_last(db, "100001", &s), 0);
	assert_int_equal(value(&s, "total_upload_count"), 2);
	assert_string_equal(s.subject, "100001");
	assert_int_equal(value(&s, "max_conns"), -1); /* NULL is absent */
}

static void test_minute_keeps_last_counter_and_worst_gauge(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) /* two minutes */
		put("a", T0 + i * 10000, 100 + i, i == 2 ? 5 : 50);
	assert_int_equal(sample_roll(db, T0 + 60000 + 1000), 0);
	assert_int_equal(steps("a", 60000)->n, 0); /* not over for sure yet */
	assert_int_equal(sample_roll(db, T0 + 60000 + 9000), 0);

	struct got *g = steps("a", 60000);

	assert_int_equal(g->n, 1);
	assert_int_equal(g->first.at, T0);
	assert_int_equal(value(&g->first, "total_upload_count"), 105);
	assert_int_equal(value(&g->first, "free_mb"), 5);
	assert_int_equal(value(&g->first, "behind_ms"), 100);
	assert_int_equal(sample_roll(db, T0 + 130000), 0);
	assert_int_equal(steps("a", 60000)->n, 2);
	assert_int_equal(steps("a", 10000)->n, 12);
}

static void test_day_comes_from_hours_and_each_step_is_bounded(void **state)
{
	int64_t at = T0;
	(void)state;

	db_begin(db);
	for (int i = 0; i < 3 * 1440; i++, at += 60000) {
		put("a", at, i, i);
		put("b", at, -i, i);
		assert_int_equal(sample_roll(db, at + 10000), 0);
	}
	assert_int_equal(sample_roll(db, at + 10000), 0);
	assert_int_equal(db_commit(db), 0);
	for (int i = 0; i < 2; i++) {
		const char *subject = i ? "b" : "a";

		assert_int_equal(steps(subject, 86400000)->n, 3);
		assert_int_equal(steps(subject, 3600000)->n, 72);
		assert_int_equal(steps(subject, 60000)->n, 3 * 1440);
		assert_in_range(steps(subject, 10000)->n, 1430, 1445);
	}
	assert_int_equal(
	    value(&steps("a", 86400000)->last, "total_upload_count"),
	    3 * 1440 - 1);
	assert_int_equal(value(&steps("a", 86400000)->last, "free_mb"),
	    2 * 1440);
}

static void test_range_and_unknown_step(void **state)
{
	struct got g = { 0 };
	(void)state;

	for (int i = 0; i < 10; i++)
		put("a", T0 + i * 10000, i, i);
	assert_int_equal(
	    sample_read(db, "a", 10000, T0 + 20000, T0 + 50000, take, &g), 0);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.first.at, T0 + 20000);
	assert_int_equal(sample_read(db, "a", 5000, 0, 1, take, &g), -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_counter_of_the_wire_is_a_column),
		TEST(test_unknown_column_is_refused),
		TEST(test_last_is_the_newest_of_its_subject),
		TEST(test_minute_keeps_last_counter_and_worst_gauge),
		TEST(test_day_comes_from_hours_and_each_step_is_bounded),
		TEST(test_range_and_unknown_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
