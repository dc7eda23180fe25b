/* SPDX-License-Identifier: MIT */
/* LAYERS: cli net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cli/binlog.h"
#include "cli/takeover.h"
#include "meta/oplog.h"
#include "meta/peers.h"
#include "test/unit/scratch.h"

#define NAME "M00/00/01/fwoKZWsCjlmAAAAAAAAAAAAAAAA389.txt"
#define LOG  "M00/00/00/f3uLZWsC6YaEdnMnAAAAADYQpoY067.log"
#define BASE "test/golden/stock-base"

static int parse(const char *text, struct binlog_line *l)
{
	return binlog_parse(span_of(text), l);
}

static void test_each_kind_of_line_is_understood(void **state)
{
	struct binlog_line l;

	(void)state;
	assert_int_equal(parse("1795331773 c " NAME, &l), 0);
	assert_int_equal(l.time, 1795331773);
	assert_int_equal(l.op, 'C');
	assert_true(l.replica);
	assert_true(span_eq(l.name, NAME));
	assert_int_equal(parse("1795331773 A " LOG " 14 5", &l), 0);
	assert_false(l.replica);
	assert_int_equal(l.a, 14);
	assert_int_equal(l.b, 5);
	assert_int_equal(parse("1 R " NAME " " LOG, &l), 0);
	assert_true(span_eq(l.name, NAME));
	assert_true(span_eq(l.other, LOG));
}

static void test_lines_that_stop_a_fastdfs_sender_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1795331773",
		"1795331773 C",
		"1795331773 C ",
		"1795331773 l ", /* what FastDFS writes for a link */
		"1795331773 X " NAME,
		"1795331773 CC " NAME,
		"time C " NAME,
		"1795331773 C /etc/passwd",
		"1795331773 C M00/00/00/../../x",
		"1795331773 C " NAME " left over",
		"1795331773 A " LOG,
		"1795331773 A " LOG " 14",
		"1795331773 A " LOG " 14 5 6",
		"1795331773 A " LOG " 14 -5",
		"1795331773 R " NAME,
		"1795331773 R " NAME " x",
		"-1 C " NAME,
	};
	struct binlog_line l;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(bad[i], &l) != -EINVAL)
			fail_msg("taken: \"%s\"", bad[i]);
}

static uint64_t next_random(uint64_t *s)
{
	*s = *s * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return *s >> 33;
}

static void test_what_is_written_is_read_again(void **state)
{
	static const char ops[] = "CDUAMTLR";
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char name[128];
		char buf[BINLOG_LINE_MAX + 1];
		struct binlog_line in = { .time = (int64_t)next_random(&seed),
			.op = ops[next_random(&seed) % 8],
			.replica = next_random(&seed) % 2 };
		struct binlog_line out;
		ssize_t n;

		n = snprintf(name, sizeof(name), "M%02X/%02X/%02X/%.*s",
		    (unsigned)next_random(&seed) % 256,
		    (unsigned)next_random(&seed) % 256,
		    (unsigned)next_random(&seed) % 256,
		    (int)(28 + next_random(&seed) % 70),
		    "fwoKZWsCjlmAAAAAAAAAAAAAAAA389_slave_of_a_long_name_that_"
		    "goes_on_and_on_and_on_and_on_and_on_and_on_and_on.txt-m");
		in.name = (struct span){ name, (size_t)n };
		if (strchr("LR", in.op))
			in.other = span_of(LOG);
		if (strchr("AMT", in.op)) {
			in.a = next_random(&seed) << 20;
			in.b = next_random(&seed);
		}
		n = binlog_format(&in, buf, sizeof(buf));
		assert_true(n > 0);
		assert_int_equal(buf[n - 1], '\n');
		assert_int_equal(
		    binlog_parse((struct span){ buf, (size_t)n - 1 }, &out), 0);
		assert_int_equal(out.time, in.time);
		assert_int_equal(out.op, in.op);
		assert_int_equal(out.replica, in.replica);
		assert_true(span_eq(out.name, name));
		assert_int_equal(out.other.n, in.other.n);
		assert_int_equal(out.a, in.a);
		assert_int_equal(out.b, in.b);
	}
}

static void test_a_name_that_no_line_can_hold_is_refused(void **state)
{
	char name[160] = "M00/00/00/";
	char buf[BINLOG_LINE_MAX + 1];
	struct binlog_line l = { .time = 1, .op = 'C' };

	(void)state;
	memset(name + 10, 'a', sizeof(name) - 10);
	l.name = (struct span){ name, BINLOG_NAME_MAX };
	assert_true(binlog_format(&l, buf, sizeof(buf)) > 0);
	l.name.n++;
	assert_int_equal(binlog_format(&l, buf, sizeof(buf)), -EINVAL);
	l.name = span_of("M00/00/00/a\nb");
	assert_int_equal(binlog_format(&l, buf, sizeof(buf)), -EINVAL);
}

static void test_a_mark_is_read_as_it_was_written(void **state)
{
	const struct binlog_mark in = { { 12, 3456789012 }, true, false,
		1795352964, 77, 66 };
	struct binlog_mark out;
	char text[BINLOG_MARK_MAX];
	const char *missing = NULL;
	size_t n = binlog_mark_format(&in, text);

	(void)state;
	assert_int_equal(
	    binlog_mark_parse((struct span){ text, n }, &out, &missing), 0);
	assert_int_equal(binlog_cmp(&in.pos, &out.pos), 0);
	assert_true(out.need_sync_old);
	assert_false(out.sync_old_done);
	assert_int_equal(out.until, in.until);
	assert_int_equal(out.scanned, 77);
	assert_int_equal(out.synced, 66);
}

static void test_a_mark_with_a_key_missing_says_which(void **state)
{
	static const char text[] = "binlog_index=0\nbinlog_offset=9\n"
	                           "need_sync_old=0\nsync_old_done=0\n";
	struct binlog_mark out;
	const char *missing = NULL;

	(void)state;
	assert_int_equal(binlog_mark_parse(span_of(text), &out, &missing),
	    -EINVAL);
	assert_string_equal(missing, "until_timestamp");
}

/* --- files --------------------------------------------------------------- */

struct seen {
	unsigned lines, broken;
	struct binlog_pos last;
};

static int see(void *arg, const struct binlog_pos *at,
    const struct binlog_line *l)
{
	struct seen *s = arg;

	s->lines++;
	s->broken += l == NULL;
	s->last = *at;
	return 0;
}

static struct seen read_all(void **state, struct binlog_pos from,
    struct binlog_pos *end)
{
	struct seen s = { 0, 0, { 0, 0 } };
	const struct binlog_reader r = { see, &s };
	char err[512] = "";

	if (binlog_read(*state, &from, &r, end, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	return s;
}

static void test_reading_goes_on_in_the_next_file(void **state)
{
	struct binlog_pos end;
	struct seen s;

	scratch_write(state, "binlog_index.dat",
	    "current_write=1\ncurrent_compress=0\n");
	scratch_write(state, "binlog.000",
	    "1 C " NAME "\nbroken\n2 D " NAME "\n");
	scratch_write(state, "binlog.001", "3 C " NAME "\n4 C M00/00");
	s = read_all(state, (struct binlog_pos){ 0, 0 }, &end);
	assert_int_equal(s.lines, 4);
	assert_int_equal(s.broken, 1);
	assert_int_equal(s.last.index, 1);
	assert_int_equal(s.last.offset, 0);
	assert_int_equal(end.index, 1);
	assert_int_equal(end.offset, strlen("3 C " NAME "\n"));
	/* from behind the first line */
	s = read_all(state, (struct binlog_pos){ 0, strlen("1 C " NAME "\n") },
	    &end);
	assert_int_equal(s.lines, 3);
}

static void test_a_compressed_file_is_read_as_it_was(void **state)
{
	char command[600];
	struct binlog_pos end;
	struct seen s;

	scratch_write(state, "binlog_index.dat",
	    "current_write=1\ncurrent_compress=1\n");
	scratch_write(state, "binlog.000", "1 C " NAME "\n2 D " NAME "\n");
	scratch_write(state, "binlog.001", "");
	snprintf(command, sizeof(command), "gzip %s",
	    scratch_path(state, "binlog.000"));
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	s = read_all(state, (struct binlog_pos){ 0, strlen("1 C " NAME "\n") },
	    &end);
	assert_int_equal(s.lines, 1);
	assert_int_equal(s.broken, 0);
	assert_int_equal(end.index, 1);
}

static void test_a_file_that_is_gone_is_told(void **state)
{
	const struct binlog_pos from = { 0, 0 };
	struct seen s = { 0, 0, { 0, 0 } };
	const struct binlog_reader r = { see, &s };
	struct binlog_pos end;
	char err[512] = "";

	scratch_write(state, "binlog_index.dat", "current_write=1\n");
	scratch_write(state, "binlog.001", "1 C " NAME "\n");
	assert_int_equal(binlog_read(*state, &from, &r, &end, err, sizeof(err)),
	    -ENOENT);
	assert_non_null(strstr(err, "binlog.000"));
}

static void append(void **state, uint64_t file_size, int n)
{
	const struct binlog_line l = { .time = 5,
		.op = 'C',
		.name = { NAME, sizeof(NAME) - 1 } };
	struct binlog_writer *w = calloc(1, sizeof(*w));
	char err[512] = "";

	if (binlog_append_open(w, *state, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	w->file_size = file_size;
	for (int i = 0; i < n; i++)
		assert_int_equal(binlog_append(w, &l), 0);
	assert_int_equal(binlog_append_close(w), 0);
	free(w);
}

static void test_appending_cuts_a_torn_line_and_goes_on(void **state)
{
	char *text;

	scratch_write(state, "binlog.000", "1 C " NAME "\n2 C M00/0");
	append(state, BINLOG_FILE_SIZE, 1);
	text = scratch_read(state, "binlog.000");
	assert_string_equal(text, "1 C " NAME "\n5 C " NAME "\n");
	free(text);
	text = scratch_read(state, "binlog_index.dat");
	assert_string_equal(text, "current_write=0\ncurrent_compress=0\n");
	free(text);
}

static void test_a_full_file_is_followed_by_the_next(void **state)
{
	const struct binlog_pos old = { 0, strlen("5 C " NAME "\n") };
	struct binlog_pos end;

	append(state, 300, 30);
	assert_int_equal(
	    read_all(state, (struct binlog_pos){ 0, 0 }, &end).lines, 30);
	assert_true(end.index > 2);
	assert_int_equal(binlog_cut(*state, &old), 0);
	assert_int_equal(
	    read_all(state, (struct binlog_pos){ 0, 0 }, &end).lines, 1);
	assert_int_equal(binlog_cmp(&end, &old), 0);
}

/* --- a recorded base path ------------------------------------------------ */

static void recorded(void **state, struct stores *s)
{
	static char disk[] = BASE "/path0";

	memset(s, 0, sizeof(*s));
	str_copy(s->base_path, sizeof(s->base_path), BASE);
	str_copy(s->meta_dir, sizeof(s->meta_dir), *state);
	str_copy(s->group, sizeof(s->group), "group1");
	s->port = 25610;
	s->paths[0] = disk;
	s->n = 1;
}

struct rows {
	char codes[64];
	unsigned n;
};

static int take_row(void *arg, const struct op *op)
{
	struct rows *r = arg;

	assert_int_equal(op->seq, r->n + 1);
	assert_int_equal(op->at, op->source_time * 1000);
	r->codes[r->n++] =
	    (char)(op->replica ? (char)op->code - 'A' + 'a' : (char)op->code);
	return 0;
}

static void test_a_recorded_storage_is_taken_over(void **state)
{
	struct takeover t;
	struct takeover_end end;
	struct stores s;
	struct rows r = { "", 0 };
	struct peer_row peer;
	struct db *log;
	char err[DB_ERR_MAX] = "";
	bool wanted = false;

	recorded(state, &s);
	assert_int_equal(takeover_wanted(&s, false, &wanted), STATUS_OK);
	assert_true(wanted);
	assert_int_equal(takeover_make_log(&t, &s, err, sizeof(err)), 0);
	assert_int_equal(t.lines, 4); /* behind the peer's mark */
	assert_int_equal(t.skipped, 1);
	assert_int_equal(t.n_peers, 1);
	takeover_free(&t);
	assert_int_equal(
	    db_open_read(DB_LOG, scratch_path(state, "storage.db"), &log, err),
	    0);
	assert_int_equal(oplog_read(log, 0, 100, take_row, &r), 3);
	assert_string_equal(r.codes, "CCD");
	assert_int_equal(peers_get(log, "127.123.139.102", &peer), 0);
	assert_int_equal(peer.seq, 0);
	assert_string_equal(peer.address, "127.123.139.102:25610");
	assert_true(peer.source);
	assert_true(peer.filled);
	assert_int_equal(peer.until, 1795352964);
	assert_int_equal(takeover_end(log, &end), 0);
	assert_int_equal(end.pos.offset, 1641);
	assert_int_equal(end.seq, 3);
	db_close(log);
	/* and not twice */
	assert_int_equal(takeover_wanted(&s, false, &wanted), STATUS_OK);
	assert_false(wanted);
	assert_int_equal(takeover_wanted(&s, true, &wanted), STATUS_OK);
	assert_true(wanted);
}

static void test_lines_that_are_over_become_no_rows(void **state)
{
	struct takeover t;
	struct stores s;
	struct binlog_peer *p;
	struct rows r = { "", 0 };
	struct db *log;
	char err[DB_ERR_MAX] = "";
	char command[1200];

	/* the same with the mark at the beginning */
	recorded(state, &s);
	snprintf(command, sizeof(command),
	    "cp -r " BASE "/data %s && sed -i s/binlog_offset=.*/"
	    "binlog_offset=0/ %s/data/sync/*.mark",
	    (const char *)*state, (const char *)*state);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	str_copy(s.base_path, sizeof(s.base_path), *state);
	assert_int_equal(binlog_peers(scratch_path(state, "data/sync"), &p, err,
	                     sizeof(err)),
	    1);
	assert_int_equal(p->mark.pos.offset, 0);
	free(p);
	assert_int_equal(takeover_make_log(&t, &s, err, sizeof(err)), 0);
	assert_int_equal(t.lines, 27);
	takeover_free(&t);
	assert_int_equal(
	    db_open_read(DB_LOG, scratch_path(state, "storage.db"), &log, err),
	    0);
	assert_true(oplog_read(log, 0, 100, take_row, &r) > 0);
	assert_string_equal(r.codes, "CCCAMTUCDUDRUccuCCD");
	db_close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_of_line_is_understood),
		cmocka_unit_test(
		    test_lines_that_stop_a_fastdfs_sender_are_refused),
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_a_name_that_no_line_can_hold_is_refused),
		cmocka_unit_test(test_a_mark_is_read_as_it_was_written),
		cmocka_unit_test(test_a_mark_with_a_key_missing_says_which),
		scratch_test(test_reading_goes_on_in_the_next_file),
		scratch_test(test_a_compressed_file_is_read_as_it_was),
		scratch_test(test_a_file_that_is_gone_is_told),
		scratch_test(test_appending_cuts_a_torn_line_and_goes_on),
		scratch_test(test_a_full_file_is_followed_by_the_next),
		scratch_test(test_a_recorded_storage_is_taken_over),
		scratch_test(test_lines_that_are_over_become_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
