/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/framer.h"
#include "proto/msg.h"

#define BYTES(s) (s), sizeof(s) - 1

#define UPLOAD_HEAD                                       \
	"\0\0\0\0\0\0\0\x14\x0b\0" /* header, 20 bytes */ \
	"\xff\0\0\0\0\0\0\0\5txt\0\0\0"
#define UPLOAD      UPLOAD_HEAD "hello"
#define ACTIVE_TEST "\0\0\0\0\0\0\0\0\x6f\0"

/* Feeds one time; the event must be that and take that many. */
static void feed(struct framer *f, const void *p, size_t n,
    enum framer_event want, size_t want_taken)
{
	enum framer_event event;
	const size_t taken = framer_feed(f, p, n, &event);

	assert_int_equal(event, want);
	assert_int_equal(taken, want_taken);
}

static void test_a_whole_request_is_not_copied(void **state)
{
	static const char bytes[] = UPLOAD;
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	feed(&f, bytes, 30, FRAMER_REQUEST, 25);
	assert_int_equal(f.cmd->code, CMD_upload_file);
	assert_ptr_equal(f.held.p, bytes + 10);
	assert_int_equal(f.held.n, 15);
	assert_int_equal(f.left, 5);
	assert_null(f.buf);
	feed(&f, bytes + 25, 5, FRAMER_CONTENT, 5);
	assert_ptr_equal(f.piece.p, bytes + 25);
	assert_int_equal(f.piece.n, 5);
	assert_int_equal(f.left, 0);
	feed(&f, NULL, 0, FRAMER_MORE, 0);
	framer_fini(&f);
}

static void test_byte_by_byte_is_the_same(void **state)
{
	static const char bytes[] = UPLOAD;
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	for (size_t i = 0; i < 24; i++)
		feed(&f, bytes + i, 1, FRAMER_MORE, 1);
	feed(&f, bytes + 24, 1, FRAMER_REQUEST, 1);
	assert_memory_equal(f.held.p, bytes + 10, 15);
	assert_true(f.cap <= 15);
	for (size_t i = 0; i < 5; i++) {
		feed(&f, bytes + 25 + i, 1, FRAMER_CONTENT, 1);
		assert_int_equal(f.left, 4 - i);
	}
	framer_fini(&f);
}

static void test_pipelined_requests_come_one_after_the_other(void **state)
{
	static const char bytes[] = ACTIVE_TEST UPLOAD ACTIVE_TEST;
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	feed(&f, bytes, 50, FRAMER_REQUEST, 10);
	assert_int_equal(f.held.n, 0);
	assert_int_equal(f.left, 0);
	feed(&f, bytes + 10, 40, FRAMER_REQUEST, 25);
	feed(&f, bytes + 35, 15, FRAMER_CONTENT, 5);
	feed(&f, bytes + 40, 10, FRAMER_REQUEST, 10);
	assert_int_equal(f.cmd->code, CMD_active_test);
	framer_fini(&f);
}

static void test_upload_of_nothing_is_only_a_request(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	feed(&f,
	    BYTES("\0\0\0\0\0\0\0\x0f\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	    FRAMER_REQUEST, 25);
	assert_int_equal(f.left, 0);
	feed(&f, BYTES(ACTIVE_TEST), FRAMER_REQUEST, 10);
	framer_fini(&f);
}

static void test_unknown_and_foreign_commands_are_refused(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	feed(&f, BYTES("\0\0\0\0\0\0\0\3\x0a\0abc"), FRAMER_REFUSED, 10);
	assert_null(f.cmd);
	assert_int_equal(f.left, 3);
	feed(&f, "abc", 3, FRAMER_CONTENT, 3);
	assert_int_equal(f.left, 0);
	feed(&f, BYTES("\0\0\0\0\0\0\0\0\x65\0"), FRAMER_REFUSED, 10);
	assert_null(f.cmd);
	assert_int_equal(f.left, 0);
	feed(&f, BYTES(ACTIVE_TEST), FRAMER_REQUEST, 10);
	framer_fini(&f);
}

static void test_a_plain_body_over_its_limit_is_refused_at_once(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_TRACKER);
	feed(&f, BYTES("\0\0\0\0\0\0\0\1\x6f\0x"), FRAMER_REFUSED, 10);
	assert_int_equal(f.cmd->code, CMD_active_test);
	assert_int_equal(f.left, 1);
	feed(&f, "x", 1, FRAMER_CONTENT, 1);
	framer_fini(&f);
}

static void test_inner_lengths_that_do_not_add_up_are_refused(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		/* shorter than the fixed part */
		{ BYTES("\0\0\0\0\0\0\0\x0e\x0b\0") },
		/* content larger, smaller, negative */
		{ BYTES(
		    "\0\0\0\0\0\0\0\x14\x0b\0\0\0\0\0\0\0\0\0\6txt\0\0\0") },
		{ BYTES(
		    "\0\0\0\0\0\0\0\x14\x0b\0\0\0\0\0\0\0\0\0\4txt\0\0\0") },
		{ BYTES("\0\0\0\0\0\0\0\x14\x0b\0\0\xff\xff\xff\xff\xff\xff"
		        "\xff\xfbtxt\0\0\0") },
		/* append: name longer than the body, above 127, negative */
		{ BYTES("\0\0\0\0\0\0\0\x14\x18\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0"
		        "\0") },
		{ BYTES("\0\0\0\0\0\0\1\0\x18\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0"
		        "\x70") },
		{ BYTES("\0\0\0\0\0\0\0\x14\x18\0\xff\xff\xff\xff\xff\xff\xff"
		        "\xff\0\0\0\0\0\0\0\5") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct framer f;
		enum framer_event event;
		size_t at = 0;

		framer_init(&f, BY_STORAGE);
		at += framer_feed(&f, bad[i].p, bad[i].n, &event);
		assert_int_equal(event, FRAMER_REFUSED);
		assert_int_equal(f.left + at,
		    (uint64_t)f.header.length + HEADER_SIZE);
		framer_fini(&f);
	}
}

static void test_sync_create_takes_what_is_left_as_content(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	/* status 17: no content, though the size says 9 */
	feed(&f,
	    BYTES("\0\0\0\0\0\0\0\x25\x10\x11\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x09"
	          "\0\0\0\1g\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x"),
	    FRAMER_REQUEST, 47);
	assert_int_equal(f.header.status, 17);
	assert_int_equal(f.left, 0);
	feed(&f,
	    BYTES("\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"
	          "\0\0\0\1g\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0xab"),
	    FRAMER_REQUEST, 47);
	assert_int_equal(f.left, 2);
	framer_fini(&f);
}

static void test_impossible_lengths_end_the_connection(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	feed(&f, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\x6f\0"), FRAMER_BAD,
	    10);
	feed(&f, BYTES(ACTIVE_TEST), FRAMER_BAD, 0);
	framer_fini(&f);
	framer_init(&f, BY_TRACKER);
	feed(&f, BYTES("\0\0\0\1\0\0\0\0\x6f\0"), FRAMER_BAD, 10);
	framer_fini(&f);
	framer_init(&f, BY_TRACKER);
	feed(&f, BYTES("\0\0\0\0\0\3\xff\xf7\x6f\0"), FRAMER_BAD, 10);
	framer_fini(&f);
	framer_init(&f, BY_TRACKER);
	feed(&f, BYTES("\0\0\0\0\0\3\xff\xf6\x6f\0"), FRAMER_REFUSED, 10);
	framer_fini(&f);
	framer_init(&f, BY_STORAGE);
	feed(&f, BYTES("\0\0\0\1\0\0\0\0\x6f\0"), FRAMER_REFUSED, 10);
	assert_true(f.left == UINT64_C(1) << 32);
	framer_fini(&f);
}

static void test_memory_grows_with_what_came_not_with_what_is_said(void **state)
{
	static const char zeros[5000];
	struct framer f;

	(void)state;
	framer_init(&f, BY_STORAGE);
	/* set_metadata of 262133 bytes */
	feed(&f, BYTES("\0\0\0\0\0\3\xff\xf5\x0d\0x"), FRAMER_MORE, 11);
	assert_true(f.cap < 1024);
	for (unsigned i = 0; i < 52; i++)
		feed(&f, zeros, 5000, FRAMER_MORE, 5000);
	feed(&f, zeros, 5000, FRAMER_REQUEST, 2132);
	assert_int_equal(f.held.n, 262133);
	assert_true(f.cap <= 262133);
	/* and is given back */
	feed(&f, BYTES(ACTIVE_TEST), FRAMER_REQUEST, 10);
	assert_int_equal(f.cap, 0);
	framer_fini(&f);
}

static void test_quit_may_have_a_body(void **state)
{
	struct framer f;

	(void)state;
	framer_init(&f, BY_TRACKER);
	feed(&f, BYTES("\0\0\0\0\0\0\0\3\x52\0abc"), FRAMER_REQUEST, 13);
	framer_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_request_is_not_copied),
		cmocka_unit_test(test_byte_by_byte_is_the_same),
		cmocka_unit_test(
		    test_pipelined_requests_come_one_after_the_other),
		cmocka_unit_test(test_upload_of_nothing_is_only_a_request),
		cmocka_unit_test(test_unknown_and_foreign_commands_are_refused),
		cmocka_unit_test(
		    test_a_plain_body_over_its_limit_is_refused_at_once),
		cmocka_unit_test(
		    test_inner_lengths_that_do_not_add_up_are_refused),
		cmocka_unit_test(
		    test_sync_create_takes_what_is_left_as_content),
		cmocka_unit_test(test_impossible_lengths_end_the_connection),
		cmocka_unit_test(
		    test_memory_grows_with_what_came_not_with_what_is_said),
		cmocka_unit_test(test_quit_may_have_a_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
