/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* What a disk refused: here a directory in the place of the file refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/sum.h"
#include "storaged/op.h"
#include "storaged/recover.h"
#include "storaged/redo.h"
#include "test/unit/meta_tmp.h"
#include "test/unit/scratch.h"

static const char A[] = "M00/00/01/CgAAAWsCjlmADTSwAAAADg4Qul0191.txt";
static const char B[] = "M00/00/01/CgAAAWsCjlmADTSwAAAADg4Qul0192.txt";

static struct storage *st;
static int data;

/* Rows are put in before the writer takes the log. */
static struct db *open_all(void **state)
{
	static const char *dirs[1];
	const bool readonly[1] = { false };
	const struct store_dirs paths = { dirs, readonly, 1 };
	const struct store_conf conf = { .subdirs = 2,
		.rotate_count = 100,
		.disk_threads = 1 };
	char why[DB_ERR_MAX];
	struct db *log;

	dirs[0] = *state;
	st = xcalloc(1, sizeof(*st));
	st->conf.base_path = *state;
	assert_int_equal(mkdir(scratch_path(state, "meta"), 0755), 0);
	assert_int_equal(
	    store_open(&st->store, &conf, &paths, why, sizeof(why)), 0);
	assert_int_equal(db_open(DB_LOG, scratch_path(state, "meta/storage.db"),
	                     false, &log, why),
	    0);
	data = st->store.paths[0].data_fd;
	busy_init(&st->busy);
	st->redo = redo_new(st);
	return log;
}

static void serve(struct db *log)
{
	assert_int_equal(writer_start(log, NULL, NULL, &st->log), 0);
}

static void close_all(void)
{
	writer_stop(st->log);
	redo_free(st->redo);
	busy_fini(&st->busy);
	store_close(&st->store);
	free(st);
}

static void put_file(const char *path, const char *text)
{
	int fd =
	    openat(data, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void expect_file(const char *path, const char *text)
{
	char buf[256] = "";
	int fd = openat(data, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(fs_pread_all(fd, buf, sizeof(buf) - 1, 0) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

static bool is_there(const char *path)
{
	return faccessat(data, path, F_OK, 0) == 0;
}

static uint64_t row(struct db *log, struct op op)
{
	int64_t seq;

	op.at = clock_wall();
	op.client = span_of("127.0.0.1");
	seq = op_append(log, op);
	assert_true(seq > 0);
	return (uint64_t)seq;
}

/* extra: the content after "=", or the name of the staged file. */
static uint64_t append_row(struct db *log, const char *name, uint64_t at,
    const char *extra, const char *text)
{
	return row(log, (struct op){ .code = OP_APPEND,
	                    .name = span_of(name),
	                    .size = at + strlen(text),
	                    .offset = at,
	                    .bytes = strlen(text),
	                    .crc = sum_crc32(0, text, strlen(text)),
	                    .extra = span_of(extra) });
}

static void refused(uint64_t seq, const char *name)
{
	redo_add(st->redo, seq, (struct redo_names){ name, "" }, -EIO);
}

static int read_mark(struct write *w, struct db *db)
{
	char text[32] = "";
	int64_t seq = 0;

	(void)w;
	(void)db_mark_get(db, MARK_UNAPPLIED, text, sizeof(text));
	(void)str_to_i64(text, &seq);
	return -(int)seq - 1000; /* a refused write only tells this */
}

/* What is submitted before is written before. */
static uint64_t mark(void)
{
	struct write w = { .apply = read_mark };

	return (uint64_t)(-writer_call(st->log, &w) - 1000);
}

static void test_name_is_closed_until_its_change_is_carried_out(void **state)
{
	char side[64];
	char text[200];
	struct db *log = open_all(state);
	const uint64_t seq = append_row(log, A, 4, "=more", "more");

	serve(log);
	assert_int_equal(mkdirat(data, A + 4, 0755), 0);
	assert_int_equal(redo_first(st->redo), 0);
	refused(seq, A);
	snprintf(side, sizeof(side), "%s-m", A);
	assert_true(redo_has(st->redo, A));
	assert_true(redo_has(st->redo, side));
	assert_false(redo_has(st->redo, B));
	assert_int_equal(redo_first(st->redo), seq);
	assert_int_equal(mark(), seq);
	assert_true(st->unapplied);
	redo_text(st->redo, text, sizeof(text));
	assert_non_null(
	    strstr(text, "operation 1 is recorded but not applied"));
	assert_non_null(strstr(text, A));

	assert_int_equal(redo_now(st->redo, B), 0);
	assert_int_equal(redo_now(st->redo, A), -EIO);
	assert_true(redo_has(st->redo, A));

	assert_int_equal(unlinkat(data, A + 4, AT_REMOVEDIR), 0);
	put_file(A + 4, "0123");
	assert_int_equal(redo_now(st->redo, A), 0);
	expect_file(A + 4, "0123more");
	assert_false(redo_has(st->redo, A));
	assert_int_equal(redo_first(st->redo), 0);
	assert_int_equal(mark(), 0);
	assert_false(st->unapplied);
	redo_text(st->redo, text, sizeof(text));
	assert_string_equal(text, "");
	close_all();
}

static void test_first_is_the_lowest_that_still_waits(void **state)
{
	struct db *log = open_all(state);
	const uint64_t a = append_row(log, A, 0, "=aa", "aa");
	const uint64_t b = append_row(log, B, 0, "=bb", "bb");

	serve(log);
	put_file(A + 4, "");
	put_file(B + 4, "");
	refused(b, B);
	assert_int_equal(redo_first(st->redo), b);
	refused(a, A);
	assert_int_equal(redo_first(st->redo), a);
	assert_int_equal(redo_now(st->redo, A), 0);
	assert_int_equal(redo_first(st->redo), b);
	assert_int_equal(mark(), b);
	assert_int_equal(redo_now(st->redo, B), 0);
	expect_file(A + 4, "aa");
	expect_file(B + 4, "bb");
	close_all();
}

static void test_rows_of_a_name_are_carried_out_in_their_order(void **state)
{
	struct db *log = open_all(state);
	const uint64_t one = append_row(log, A, 0, "=first", "first");
	const uint64_t two = append_row(log, A, 3, "=second", "second");

	serve(log);
	put_file(A + 4, "");
	refused(two, A);
	refused(one, A);
	assert_int_equal(redo_now(st->redo, A), 0);
	expect_file(A + 4, "firsecond");
	assert_false(st->unapplied);
	close_all();
}

static void test_lost_content_holds_nobody_up(void **state)
{
	struct db *log = open_all(state);
	const uint64_t gone = append_row(log, A, 2, ".incoming/1", "cdef");
	const uint64_t torn = append_row(log, B, 2, ".incoming/2", "cdef");

	serve(log);
	put_file(A + 4, "ab");
	put_file(B + 4, "ab");
	put_file(".incoming/2", "cd");
	refused(gone, A);
	refused(torn, B);
	assert_int_equal(redo_now(st->redo, A), 0);
	assert_int_equal(redo_now(st->redo, B), 0);
	expect_file(A + 4, "ab");
	expect_file(B + 4, "ab");
	assert_false(is_there(".incoming/2"));
	assert_int_equal(redo_first(st->redo), 0);
	close_all();
}

static void test_applied_content_that_is_no_longer_staged_is_fine(void **state)
{
	struct db *log = open_all(state);
	const uint64_t seq = append_row(log, A, 2, ".incoming/1", "cdef");

	serve(log);
	put_file(A + 4, "abcdef");
	refused(seq, A);
	assert_int_equal(redo_now(st->redo, A), 0);
	expect_file(A + 4, "abcdef");
	close_all();
}

static void test_change_of_a_file_that_is_gone_holds_nobody_up(void **state)
{
	struct db *log = open_all(state);
	const uint64_t seq = append_row(log, A, 2, "=cdef", "cdef");

	serve(log);
	refused(seq, A);
	refused(seq + 7, B); /* and a row that is not in the log any more */
	assert_int_equal(redo_now(st->redo, A), 0);
	assert_int_equal(redo_now(st->redo, B), 0);
	assert_false(st->unapplied);
	assert_false(is_there(A + 4));
	close_all();
}

static void test_rename_is_not_carried_out_under_one_name(void **state)
{
	struct db *log = open_all(state);
	const uint64_t seq = row(log, (struct op){ .code = OP_RENAME,
	                                  .name = span_of(B),
	                                  .extra = span_of(A) });

	serve(log);
	put_file(A + 4, "text");
	redo_add(st->redo, seq, (struct redo_names){ A, B }, -EIO);
	assert_true(redo_has(st->redo, A));
	assert_true(redo_has(st->redo, B));
	assert_int_equal(redo_now(st->redo, A), -EIO);
	assert_int_equal(redo_now(st->redo, B), -EIO);
	expect_file(A + 4, "text");
	close_all();
}

static void test_new_file_that_stays_holds_no_sender_up(void **state)
{
	struct db *log = open_all(state);

	serve(log);
	assert_int_equal(mkdirat(data, A + 4, 0755), 0);
	redo_add_removal(st->redo, &st->store.paths[0], A + 4, A);
	assert_true(st->unapplied);
	assert_true(redo_has(st->redo, A));
	assert_int_equal(redo_first(st->redo), 0);
	assert_int_equal(redo_now(st->redo, A), -EIO);
	assert_int_equal(unlinkat(data, A + 4, AT_REMOVEDIR), 0);
	put_file(A + 4, "half");
	assert_int_equal(redo_now(st->redo, A), 0);
	assert_false(is_there(A + 4));
	assert_false(st->unapplied);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(
		    test_name_is_closed_until_its_change_is_carried_out),
		scratch_test(test_first_is_the_lowest_that_still_waits),
		scratch_test(
		    test_rows_of_a_name_are_carried_out_in_their_order),
		scratch_test(test_lost_content_holds_nobody_up),
		scratch_test(
		    test_applied_content_that_is_no_longer_staged_is_fine),
		scratch_test(
		    test_change_of_a_file_that_is_gone_holds_nobody_up),
		scratch_test(test_rename_is_not_carried_out_under_one_name),
		scratch_test(test_new_file_that_stays_holds_no_sender_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
