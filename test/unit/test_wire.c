/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"

static void test_numbers_are_read_big_endian(void **state)
{
	const uint8_t b[] = { 7, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 1, 2 };
	struct wire_in in = wire_in(b, sizeof(b));

	(void)state;
	assert_int_equal(wire_get_n(&in, 1), 7);
	assert_int_equal(wire_get_n(&in, 4), 0x01020304);
	assert_int_equal(wire_get_n(&in, 8), 0x102);
	assert_int_equal(wire_left(&in), 0);
	assert_false(in.failed);
}

static void test_reading_past_the_end_fails_and_sticks(void **state)
{
	const uint8_t b[] = { 1, 2, 3 };
	struct wire_in in = wire_in(b, sizeof(b));

	(void)state;
	assert_int_equal(wire_get_n(&in, 4), 0);
	assert_true(in.failed);
	assert_int_equal(wire_get(&in, 1).n, 0);
	assert_true(in.failed);
	assert_int_equal(wire_left(&in), 3);
}

static void test_padded_text_ends_at_its_nul_or_fills_the_field(void **state)
{
	struct wire_in in = wire_in("ab\0xabcd", 8);

	(void)state;
	assert_true(span_eq(wire_get_pad(&in, 4), "ab"));
	assert_true(span_eq(wire_get_pad(&in, 4), "abcd"));
	assert_false(in.failed);
}

static void test_writing_past_the_room_fails_and_sticks(void **state)
{
	uint8_t b[5] = { 0 };
	struct wire_out out = wire_out(b, sizeof(b));

	(void)state;
	wire_put_n(&out, 0x01020304, 4);
	wire_put_n(&out, 1, 4);
	assert_true(out.failed);
	wire_put(&out, "x", 1);
	assert_int_equal(wire_len(&out), 4);
	assert_memory_equal(b, "\1\2\3\4\0", 5);
}

static void test_padded_text_is_zero_filled_and_never_cut(void **state)
{
	uint8_t b[8];
	struct wire_out out = wire_out(b, sizeof(b));

	(void)state;
	memset(b, 0xff, sizeof(b));
	wire_put_pad(&out, "ab", 2, 4);
	assert_memory_equal(b, "ab\0\0", 4);
	wire_put_pad(&out, "abcd", 4, 4);
	assert_false(out.failed);
	out = wire_out(b, sizeof(b));
	wire_put_pad(&out, "abcde", 5, 4);
	assert_true(out.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_read_big_endian),
		cmocka_unit_test(test_reading_past_the_end_fails_and_sticks),
		cmocka_unit_test(
		    test_padded_text_ends_at_its_nul_or_fills_the_field),
		cmocka_unit_test(test_writing_past_the_room_fails_and_sticks),
		cmocka_unit_test(test_padded_text_is_zero_filled_and_never_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
