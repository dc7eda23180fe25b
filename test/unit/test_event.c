/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meta/event.h"
#include "meta_tmp.h"

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

static void put(wall_t at, const char *text)
{
	const struct event e = { .at = at,
		.code = "FD-STATE-01",
		.severity = EVENT_WARN,
		.subject = "100001",
		.text = text };

	assert_int_equal(event_insert(db, &e), 0);
}

static int take(void *arg, const struct event *e)
{
	struct strbuf *b = arg;

	assert_string_equal(e->code, "FD-STATE-01");
	assert_string_equal(e->subject, "100001");
	assert_int_equal(e->severity, EVENT_WARN);
	strbuf_addf(b, "%s ", e->text);
	return b->len > 30;
}

static const char *read_from(wall_t from, size_t n)
{
	static char text[64];
	struct strbuf b = strbuf_over(text, sizeof(text));

	text[0] = '\0';
	assert_int_equal(event_read(db, from, n, take, &b), 0);
	return text;
}

static void test_newest_first_or_all_in_order(void **state)
{
	(void)state;
	put(1000, "a");
	put(2000, "b");
	put(3000, "c");
	assert_string_equal(read_from(0, 2), "c b ");
	assert_string_equal(read_from(2000, 0), "b c ");
	assert_string_equal(read_from(2000, 10), "c b ");
	assert_string_equal(read_from(4000, 10), "");
}

static void test_trim_keeps_the_newest(void **state)
{
	(void)state;
	assert_int_equal(event_trim(db, 2), 0);
	for (int i = 0; i < 5; i++)
		put(i, i % 2 ? "odd" : "even");
	assert_int_equal(event_trim(db, 2), 0);
	assert_string_equal(read_from(0, 0), "odd even ");
	assert_int_equal(event_trim(db, 2), 0);
	assert_string_equal(read_from(0, 0), "odd even ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_newest_first_or_all_in_order),
		TEST(test_trim_keeps_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
