/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/command.h"
#include "proto/msg.h"

static void test_header_is_length_command_status(void **state)
{
	uint8_t b[HEADER_SIZE];
	struct header h;

	(void)state;
	header_put(b, 29, CMD_upload_file, 2);
	assert_memory_equal(b, "\0\0\0\0\0\0\0\x1d\x0b\x02", HEADER_SIZE);
	h = header_get(b);
	assert_int_equal(h.length, 29);
	assert_int_equal(h.command, CMD_upload_file);
	assert_int_equal(h.status, 2);
}

static void test_a_header_can_say_a_negative_length(void **state)
{
	(void)state;
	assert_int_equal(
	    header_get("\xff\xff\xff\xff\xff\xff\xff\xff\x6f\0").length, -1);
}

static void test_rows_are_in_code_order_and_found_by_code(void **state)
{
	const struct command *c;
	int last = -1;
	size_t n = 0;

	(void)state;
	for (; (c = command_at(n)); n++) {
		assert_true(c->code > last);
		last = c->code;
		assert_ptr_equal(command_find(c->code), c);
		assert_non_null(c->request);
		assert_non_null(c->reply);
		assert_true(c->by >= BY_TRACKER && c->by <= BY_BOTH);
		assert_true(c->held_max >= c->request->fixed_size);
		assert_true(c->held_max < TRACKER_BODY_MAX);
		assert_int_equal(c->streamed, msg_has_content(c->request));
	}
	assert_true(n > 70);
	assert_null(command_at(n + 1));
}

static void test_unassigned_numbers_are_unknown(void **state)
{
	static const uint8_t codes[] = { 0, 10, 39, 80, 99, 100, 110, 112,
		255 };

	(void)state;
	for (size_t i = 0; i < sizeof(codes); i++)
		assert_null(command_find(codes[i]));
}

static void test_commands_with_content_are_streamed(void **state)
{
	(void)state;
	assert_true(command_find(CMD_upload_file)->streamed);
	assert_true(command_find(CMD_sync_create)->streamed);
	assert_false(command_find(CMD_download_file)->streamed);
	assert_false(command_find(CMD_truncate_file)->streamed);
	assert_string_equal(command_find(11)->name, "upload_file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_is_length_command_status),
		cmocka_unit_test(test_a_header_can_say_a_negative_length),
		cmocka_unit_test(test_rows_are_in_code_order_and_found_by_code),
		cmocka_unit_test(test_unassigned_numbers_are_unknown),
		cmocka_unit_test(test_commands_with_content_are_streamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
