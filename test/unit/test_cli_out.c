/* SPDX-License-Identifier: MIT */
/* LAYERS: cli net meta proto base */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/fdfs_get.h"
#include "cli/out.h"

static const struct out_column columns[] = {
	{ "id", OUT_TEXT, OUT_KEEP, 0, "" },
	{ "size", OUT_BYTES, 0, 1, "" },
	{ "name", OUT_TEXT, OUT_CUT, 2, "" },
	{ "meta", OUT_PAIRS, OUT_EXTRA, 3, "" },
	{ "made", OUT_TIME, OUT_EXTRA, 4, "" },
};

static const struct out_layout layout = { "test/1", columns, ARRAY_LEN(columns),
	false, NULL };

/* What the rows look like in a format. */
static char printed[8192];

static void print(struct out_options o, const struct out_cell *cells, size_t n)
{
	const struct out_end end = { .complete = true, .total = (int64_t)n };
	struct out *out;
	FILE *file = tmpfile();
	int was = dup(STDOUT_FILENO);
	size_t got;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	assert_int_equal(out_open(&o, &layout, &out), STATUS_OK);
	for (size_t i = 0; i < n; i++)
		out_row(out, cells + i * ARRAY_LEN(columns));
	out_close(out, &end);
	dup2(was, STDOUT_FILENO);
	close(was);
	rewind(file);
	got = fread(printed, 1, sizeof(printed) - 1, file);
	printed[got] = '\0';
	fclose(file);
}

#define ROW(id, size, name, meta)                              \
	out_text(id), out_number(size), name,                  \
	    out_span((struct span){ meta, sizeof(meta) - 1 }), \
	    out_number(1795343633)

static void test_csv_quotes_only_what_needs_it(void **state)
{
	const struct out_cell cells[] = {
		ROW("a", 1, out_text("plain"), ""),
		ROW("b,c", 2, out_text("say \"hi\"\n"), ""),
		ROW("d", 3, out_unknown(), ""),
	};

	(void)state;
	print((struct out_options){ .format = OUT_CSV }, cells, 3);
	assert_string_equal(printed, "id,size,name\n"
	                             "a,1,plain\n"
	                             "\"b,c\",2,\"say \"\"hi\"\"\n\"\n"
	                             "d,3,\n");
}

static void test_tsv_escapes_tabs_newlines_and_backslashes(void **state)
{
	const struct out_cell cells[] = {
		ROW("a", 1, out_text("x\ty\nz\\"), ""),
	};

	(void)state;
	print((struct out_options){ .format = OUT_TSV, .no_header = true },
	    cells, 1);
	assert_string_equal(printed, "a\t1\tx\\ty\\nz\\\\\n");
}

static void test_json_escapes_and_keeps_broken_bytes_beside(void **state)
{
	const struct out_cell cells[] = {
		ROW("a\"\x1b", 1, out_text("\xff"), "k\x02v\x01q\x02\""),
	};

	(void)state;
	print((struct out_options){ .format = OUT_NDJSON }, cells, 1);
	assert_string_equal(printed,
	    "{\"id\":\"a\\\"\\u001b\",\"size\":1,\"name\":\"\xef\xbf\xbd\","
	    "\"name_b64\":\"/w==\",\"meta\":{\"k\":\"v\",\"q\":\"\\\"\"},"
	    "\"made\":\"2026-11-22T10:33:53Z\"}\n");
}

static void test_json_envelope_stands_around_the_rows(void **state)
{
	const struct out_cell cells[] = { ROW("a", 1, out_unknown(), "") };

	(void)state;
	print((struct out_options){ .format = OUT_JSON, .columns = "id" },
	    cells, 1);
	assert_non_null(strstr(printed, "{\"schema\":\"test/1\",\"at\":\""));
	assert_non_null(strstr(printed, "\"rows\":[\n{\"id\":\"a\"}],\n"
	                                "\"complete\":true,\"missing\":[],"
	                                "\"sources\":[],\"total\":1}\n"));
}

static void test_print0_ends_the_first_column_with_nul(void **state)
{
	const struct out_cell cells[] = {
		ROW("a\nb", 1, out_unknown(), ""),
		ROW("c", 2, out_unknown(), ""),
	};

	(void)state;
	print((struct out_options){ .format = OUT_PRINT0 }, cells, 2);
	assert_memory_equal(printed, "a\nb\0c\0", 6);
}

static void test_table_escapes_what_a_terminal_would_obey(void **state)
{
	const struct out_cell cells[] = {
		ROW("id1", 2048, out_text("\x1b[31mred\r"), ""),
	};

	(void)state;
	print((struct out_options){ .width = 0 }, cells, 1);
	assert_string_equal(printed, "ID   SIZE  NAME\n"
	                             "id1  2.0k  \\x1b[31mred\\x0d\n");
}

static void test_table_drops_columns_and_never_cuts_ids(void **state)
{
	const struct out_cell cells[] = {
		ROW("a-rather-long-id-0123456789", 2048,
		    out_text("name that is longer than its column"), ""),
	};

	(void)state;
	print((struct out_options){ .width = 36, .quiet = 1 }, cells, 1);
	assert_string_equal(printed, "ID                           SIZE\n"
	                             "a-rather-long-id-0123456789  2.0k\n");
	print((struct out_options){ .width = 55, .quiet = 1 }, cells, 1);
	assert_non_null(strstr(printed, "a-rather-long-id-0123456789"));
	assert_null(strstr(printed, "its column"));
}

static void test_columns_are_chosen_added_and_removed(void **state)
{
	const struct out_cell cells[] = {
		ROW("a", 1, out_text("n"), "k\x02v"),
	};
	struct out_options o = { .format = OUT_CSV, .columns = "size,id" };

	(void)state;
	print(o, cells, 1);
	assert_string_equal(printed, "size,id\n1,a\n");
	o.columns = "+meta,-size";
	print(o, cells, 1);
	assert_string_equal(printed, "id,name,meta\na,n,k=v\n");
}

static void test_unknown_column_is_refused(void **state)
{
	struct out_options o = { .columns = "sise" };
	struct out *out;

	(void)state;
	assert_int_equal(out_open(&o, &layout, &out), STATUS_USAGE);
	assert_null(out);
}

static void test_rows_beyond_a_block_keep_one_heading(void **state)
{
	const size_t n = 1003;
	struct out_cell *cells = calloc(n * ARRAY_LEN(columns), sizeof(*cells));
	const struct out_cell row[] = { ROW("a", 1, out_unknown(), "") };
	size_t headings = 0;

	(void)state;
	for (size_t i = 0; i < n; i++)
		memcpy(cells + i * ARRAY_LEN(columns), row, sizeof(row));
	print((struct out_options){ .width = 0, .columns = "id" }, cells, n);
	for (const char *p = printed; (p = strstr(p, "ID")) != NULL; p++)
		headings++;
	assert_int_equal(headings, 1);
	assert_int_equal(strlen(printed), 3 + 2 * n);
	free(cells);
}

static void test_recorded_names_are_used_only_when_harmless(void **state)
{
	char out[256];

	(void)state;
	assert_true(get_safe_name(span_of("a b.txt"), out, sizeof(out)));
	assert_string_equal(out, "a b.txt");
	assert_true(
	    get_safe_name(span_of("C:\\docs\\a.txt"), out, sizeof(out)));
	assert_string_equal(out, "a.txt");
	assert_true(get_safe_name(span_of("../../x"), out, sizeof(out)));
	assert_string_equal(out, "x");
	assert_false(get_safe_name(span_of(".."), out, sizeof(out)));
	assert_false(get_safe_name(span_of("x/"), out, sizeof(out)));
	assert_false(get_safe_name(span_of(".bashrc"), out, sizeof(out)));
	assert_false(get_safe_name(span_of("-rf"), out, sizeof(out)));
	assert_false(get_safe_name(span_of("a\nb"), out, sizeof(out)));
	assert_false(get_safe_name(span_of("a\x1b[2J"), out, sizeof(out)));
	assert_false(get_safe_name(span_of("\xff"), out, sizeof(out)));
	assert_false(
	    get_safe_name((struct span){ "a\0b", 3 }, out, sizeof(out)));
}

static int with_utf8(void **state)
{
	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv_quotes_only_what_needs_it),
		cmocka_unit_test(
		    test_tsv_escapes_tabs_newlines_and_backslashes),
		cmocka_unit_test(
		    test_json_escapes_and_keeps_broken_bytes_beside),
		cmocka_unit_test(test_json_envelope_stands_around_the_rows),
		cmocka_unit_test(test_print0_ends_the_first_column_with_nul),
		cmocka_unit_test(test_table_escapes_what_a_terminal_would_obey),
		cmocka_unit_test(test_table_drops_columns_and_never_cuts_ids),
		cmocka_unit_test(test_columns_are_chosen_added_and_removed),
		cmocka_unit_test(test_unknown_column_is_refused),
		cmocka_unit_test(test_rows_beyond_a_block_keep_one_heading),
		cmocka_unit_test(
		    test_recorded_names_are_used_only_when_harmless),
	};

	return cmocka_run_group_tests(tests, with_utf8, NULL);
}
