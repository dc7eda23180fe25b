/* SPDX-License-Identifier: MIT */
/* LAYERS: tui net meta proto base */
#include <errno.h>

#include "test/unit/screen.h"
#include "tui/find.h"

#define ID "group1/M00/00/00/fwAAAWkfgSmAQY0uAAAAGZXhg-E745.pdf"

static struct file_hit hits[] = {
	{ .id = ID,
	    .name = "Q3 invoice 00412.pdf",
	    .ext = "pdf",
	    .source = "127.0.0.1",
	    .client = "10.20.9.31",
	    .seq = 7,
	    .size = 25,
	    .has_crc = true,
	    .crc = 0x95e183e1,
	    .created = INT64_C(1763672361000) },
	{ .id = "group1/M00/00/01/fwAAAWkfgSmAQY0uAAAAGZXhg-E746.pdf",
	    .name = "evil\x1b[2J\xff\xe2\x80\xae"
	            "fdp.exe",
	    .size = 1887436,
	    .created = (SCREEN_START - 90000) * 1000 },
	{ .id = "group1/M01/5E/D2/fwAAAWkfgSmAQY0uAAAAGZXhg-E908.zip",
	    .name = "发票_2026-11-21.zip",
	    .size = 20971520,
	    .created = (SCREEN_START - 86400 * 300) * 1000 },
};

static struct files_view view = {
	.n_dbs = 1,
	.paths = { "/srv/fdfs/meta/catalogue.db" },
	.state = FILES_READY,
	.hits = hits,
	.n_hits = ARRAY_LEN(hits),
	.have_sum = true,
	.sum_files = ARRAY_LEN(hits),
	.sum_bytes = 22858981,
	.took_us = 9400,
	.have_lag = true,
	.detail_id = ID,
	.have_detail = true,
	.n_attrs = 2,
	.attrs = { { "author", "lin" }, { "dept", "fin\nance" } },
	.n_ops = 2,
	.ops = { { (SCREEN_START - 400) * 1000, 'C', false, 25, "10.20.9.31" },
	    { (SCREEN_START - 399) * 1000, 'U', false, 0, "10.20.9.31" } },
};

static void open_files(struct screen *s)
{
	screen_open_busy(s);
	s->ui.files = &view;
	screen_type(s, "6");
}

static void test_files_look_as_agreed(void **state)
{
	struct screen s;

	(void)state;
	open_files(&s);
	str_copy(s.ui.find, sizeof(s.ui.find), "ext=pdf,zip");
	screen_golden(&s, "files");
	screen_close(&s);
}

static void test_hostile_names_reach_no_terminal(void **state)
{
	struct screen s;
	char row[8192];

	(void)state;
	open_files(&s);
	frame_draw(&s.canvas, 40, 140, &s.ui);
	for (int y = 0; y < 40; y++) {
		canvas_row_text(&s.canvas, y, row, sizeof(row));
		assert_null(strchr(row, '\x1b'));
		assert_null(strstr(row, "\xe2\x80\xae"));
	}
	assert_true(screen_has(&s.canvas, "evil\\x1b[2J\\xff\\u202efdp.exe") ||
	            screen_has(&s.canvas, "evil\\x1b[2J\\xff\\u202e"));
	assert_true(screen_has(&s.canvas, "fin\\x0aance"));
	screen_close(&s);
}

static void test_an_id_is_decoded_without_any_database(void **state)
{
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	screen_type(&s, "6/" ID "\n");
	assert_true(s.ui.wants & WANT_SEARCH);
	assert_string_equal(s.ui.find, ID);
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "127.0.0.1"));
	assert_true(screen_has(&s.canvas, "25 bytes"));
	assert_true(screen_has(&s.canvas, "0x95e183e1"));
	screen_golden(&s, "files-decode");
	screen_close(&s);
}

static void test_a_failed_question_says_why(void **state)
{
	static struct files_view failed = { .n_dbs = 1,
		.state = FILES_FAILED,
		.error = "/srv/x: this file is damaged" };
	struct screen s;

	(void)state;
	screen_open_busy(&s);
	s.ui.files = &failed;
	screen_type(&s, "6");
	frame_draw(&s.canvas, 24, 80, &s.ui);
	assert_true(screen_has(&s.canvas, "this file is damaged"));
	screen_close(&s);
}

static void test_words_become_conditions(void **state)
{
	struct find f;
	char err[128] = "";

	(void)state;
	assert_int_equal(
	    find_parse("ext=pdf,doc size>10k size<=1M age<1d meta.author=li* "
	               "path=M01,0A type=appender invoice",
	        SCREEN_START * 1000, &f, err, sizeof(err)),
	    0);
	assert_int_equal(f.filter.exts.n, 2);
	assert_string_equal(f.filter.exts.items[1], "doc");
	assert_false(f.filter.exts_not);
	assert_int_equal(f.filter.size.max, 1048577);
	assert_int_equal(f.filter.created.min, (SCREEN_START - 86400) * 1000);
	assert_int_equal(f.filter.meta[0].test, META_GLOB);
	assert_string_equal(f.filter.meta[0].key, "author");
	assert_int_equal(f.filter.n_paths, 2);
	assert_int_equal(f.filter.paths[1], 10);
	assert_int_equal(f.filter.types, BIT(1));
	assert_string_equal(f.filter.name_contains, "invoice");
}

static void test_both_ends_of_a_size_may_be_given_apart(void **state)
{
	struct find f;
	char err[128];

	(void)state;
	assert_int_equal(find_parse("size>10 size<20", 0, &f, err, sizeof(err)),
	    0);
	assert_true(f.filter.size.has_min && f.filter.size.has_max);
	assert_int_equal(f.filter.size.min, 11);
	assert_int_equal(f.filter.size.max, 20);
	assert_int_equal(find_parse("size=1k..2k", 0, &f, err, sizeof(err)), 0);
	assert_int_equal(f.filter.size.min, 1024);
	assert_int_equal(f.filter.size.max, 2049);
}

static void test_nonsense_is_refused_with_the_right_form(void **state)
{
	static const char *const wrong[] = { "size>lots", "nofield=3", "age=3",
		"type=zebra", "path=XX", "crc=zz", "meta.=x", "a b",
		"!ext=pdf" };
	struct find f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char err[128] = "";

		assert_int_equal(find_parse(wrong[i], 0, &f, err, sizeof(err)),
		    -EINVAL);
		assert_true(err[0] != '\0');
	}
}

static void test_a_url_is_an_id(void **state)
{
	struct span group;
	struct span name;

	(void)state;
	assert_true(find_is_id("http://img.example/" ID, &group, &name));
	assert_true(span_eq(group, "group1"));
	assert_false(find_is_id("ext=pdf", &group, &name));
	assert_false(find_is_id("", &group, &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_look_as_agreed),
		cmocka_unit_test(test_hostile_names_reach_no_terminal),
		cmocka_unit_test(test_an_id_is_decoded_without_any_database),
		cmocka_unit_test(test_a_failed_question_says_why),
		cmocka_unit_test(test_words_become_conditions),
		cmocka_unit_test(test_both_ends_of_a_size_may_be_given_apart),
		cmocka_unit_test(test_nonsense_is_refused_with_the_right_form),
		cmocka_unit_test(test_a_url_is_an_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
