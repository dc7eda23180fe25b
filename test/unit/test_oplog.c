/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/macros.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	tmp_remove(&tmp);
	return 0;
}

static void add(size_t n, uint64_t size)
{
	for (size_t i = 0; i < n; i++)
		assert_true(
		    op_append(db, op_make(OP_CREATE, "M00/00/00/a", size)) > 0);
}

static int same_op(void *arg, const struct op *op)
{
	const struct op *want = arg;

	assert_int_equal(op->at, want->at);
	assert_int_equal(op->code, want->code);
	assert_int_equal(op->replica, want->replica);
	assert_int_equal(op->source_time, want->source_time);
	assert_int_equal(op->size, want->size);
	assert_int_equal(op->offset, want->offset);
	assert_int_equal(op->bytes, want->bytes);
	assert_int_equal(op->crc, want->crc);
	assert_int_equal(op->name.n, want->name.n);
	assert_memory_equal(op->name.p, want->name.p, op->name.n);
	assert_int_equal(op->client.n, want->client.n);
	assert_memory_equal(op->client.p, want->client.p, op->client.n);
	assert_int_equal(op->extra.n, want->extra.n);
	assert_memory_equal(op->extra.p, want->extra.p, op->extra.n);
	return 0;
}

static void test_operation_reads_back_as_written(void **state)
{
	struct op op = op_make(OP_SET_META, "M00/00/0A/x.jpg", 1);
	(void)state;

	op.replica = true;
	op.size = UINT64_C(1) << 40;
	op.offset = 17;
	op.crc = 0xffffffff;
	op.extra = (struct span){ "a\2b\0\1c\2d", 8 };
	assert_int_equal(op_append(db, op), 1);
	assert_int_equal(oplog_read(db, 0, 10, same_op, &op), 1);
}

static int count_ops(void *arg, const struct op *op)
{
	uint64_t *last = arg;

	assert_true(op->seq > *last);
	*last = op->seq;
	return 0;
}

static int stop_at_three(void *arg, const struct op *op)
{
	(void)arg;
	return op->seq == 3;
}

static void test_reading_goes_on_from_a_cursor(void **state)
{
	uint64_t last = 0;
	(void)state;

	add(10, 1);
	assert_int_equal(oplog_read(db, 0, 4, count_ops, &last), 4);
	assert_int_equal(oplog_read(db, last, 100, count_ops, &last), 6);
	assert_int_equal(last, 10);
	assert_int_equal(oplog_read(db, last, 100, count_ops, &last), 0);
	assert_int_equal(oplog_read(db, 0, 100, stop_at_three, NULL), 3);
}

static void test_backlog_counts_operations_and_bytes(void **state)
{
	uint64_t ops = 9;
	uint64_t bytes = 9;
	wall_t oldest = 9;
	(void)state;

	assert_int_equal(oplog_backlog(db, 0, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops + bytes, 0);
	assert_int_equal(oldest, 0);
	add(3, 100);
	add(2, 1000);
	assert_int_equal(oplog_backlog(db, 0, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops, 5);
	assert_int_equal(bytes, 2300);
	assert_int_equal(oldest, 1795331773123);
	assert_int_equal(oplog_backlog(db, 2, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops, 3);
	assert_int_equal(bytes, 2100);
	assert_int_equal(oplog_backlog(db, 5, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops + bytes, 0);
}

static void test_rolled_back_append_gives_its_number_back(void **state)
{
	struct op_write w = { .op = op_make(OP_CREATE, "a", 50) };
	uint64_t bytes = 0;
	(void)state;

	add(1, 1);
	op_write_init(&w);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(w.write.apply(&w.write, db), 0);
	assert_int_equal(w.op.seq, 2);
	db_rollback(db);
	add(1, 1);
	assert_int_equal(oplog_last(db, &bytes), 2);
	assert_int_equal(bytes, 2);
}

static void test_follower_keeps_its_place(void **state)
{
	uint64_t seq = 0;
	(void)state;

	assert_int_equal(oplog_follower_get(db, "catalogue", &seq), -ENOENT);
	assert_int_equal(oplog_follower_set(db, "catalogue", 5, 1), 0);
	assert_int_equal(oplog_follower_set(db, "catalogue", 7, 2), 0);
	assert_int_equal(oplog_follower_get(db, "catalogue", &seq), 0);
	assert_int_equal(seq, 7);
}

#define LATE (1795331773123 + 1000000)

static void test_trim_waits_for_the_slowest_follower(void **state)
{
	(void)state;
	add(10, 1);
	/* nobody follows: nobody would ever have seen it */
	assert_int_equal(oplog_trim(db, LATE, 1000, 1 << 30, 100), 0);
	oplog_follower_set(db, "catalogue", 8, 1);
	oplog_follower_set(db, "100002", 5, 1);
	assert_int_equal(oplog_trim(db, LATE, 1000, 1 << 30, 3), 3);
	assert_int_equal(oplog_first(db), 4);
	assert_int_equal(oplog_trim(db, LATE, 1000, 1 << 30, 100), 2);
	assert_int_equal(oplog_trim(db, LATE, 1000, 1 << 30, 100), 0);
	assert_int_equal(oplog_first(db), 6);
}

static void test_trim_keeps_what_is_young_and_within_size(void **state)
{
	(void)state;
	add(1000, 1);
	oplog_follower_set(db, "catalogue", 1000, 1);
	assert_int_equal(oplog_trim(db, LATE, 2000000, 1 << 30, 100), 0);
	assert_int_equal(oplog_trim(db, LATE, 2000000, UINT64_C(96) * 400, 100),
	    100);
	assert_int_equal(
	    oplog_trim(db, LATE, 2000000, UINT64_C(96) * 400, 1000), 500);
	assert_int_equal(oplog_first(db), 601);
}

static void test_numbers_and_totals_survive_a_whole_trim(void **state)
{
	uint64_t bytes = 0;
	uint64_t ops = 0;
	wall_t oldest = 0;
	(void)state;

	add(10, 7);
	oplog_follower_set(db, "catalogue", 10, 1);
	assert_int_equal(oplog_trim(db, LATE, 0, 0, 100), 9);
	db_close(db);
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	add(1, 7);
	assert_int_equal(oplog_last(db, &bytes), 11);
	assert_int_equal(bytes, 77);
	assert_int_equal(oplog_backlog(db, 10, &ops, &bytes, &oldest), 0);
	assert_int_equal(ops, 1);
	assert_int_equal(bytes, 7);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_operation_reads_back_as_written),
		TEST(test_reading_goes_on_from_a_cursor),
		TEST(test_backlog_counts_operations_and_bytes),
		TEST(test_rolled_back_append_gives_its_number_back),
		TEST(test_follower_keeps_its_place),
		TEST(test_trim_waits_for_the_slowest_follower),
		TEST(test_trim_keeps_what_is_young_and_within_size),
		TEST(test_numbers_and_totals_survive_a_whole_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
