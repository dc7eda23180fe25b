/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/dump.h"

#define BYTES(s) (s), sizeof(s) - 1

static void dumps_as(const char *packet, size_t n, bool reply, uint8_t of,
    const char *want)
{
	char text[1024];
	struct strbuf out = strbuf_over(text, sizeof(text));

	dump_packet(packet, n, reply, of, &out);
	assert_string_equal(text, want);
}

static void test_a_request_is_one_readable_line(void **state)
{
	(void)state;
	dumps_as(BYTES("\0\0\0\0\0\0\0\x14\x0b\0\xff\0\0\0\0\0\0\0\5txt\0\0\0"
	               "hello"),
	    false, 0,
	    "upload_file request status=0 length=20 upload{path=255, size=5, "
	    "ext=\"txt\", content=(follows)}");
	dumps_as(BYTES("\0\0\0\0\0\0\0\0\x6f\0"), false, 0,
	    "active_test request status=0 length=0");
}

static void test_a_reply_is_read_as_the_answer_to_its_command(void **state)
{
	(void)state;
	dumps_as(
	    BYTES("\0\0\0\0\0\0\0\x15\x64\0group1\0\0\0\0\0\0\0\0\0\0M00/x"),
	    true, CMD_upload_file,
	    "upload_file reply status=0 length=21 file_ref{group=\"group1\", "
	    "name=\"M00/x\"}");
	dumps_as(BYTES("\0\0\0\0\0\0\0\0\x64\2"), true, CMD_delete_file,
	    "delete_file reply status=2 length=0");
}

static void test_lists_show_their_records(void **state)
{
	(void)state;
	dumps_as(BYTES(
	             "\0\0\0\0\0\0\0\x20\x54\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"
	             "\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4"),
	    false, 0,
	    "report_disk_usage request status=0 length=32 disk_usage{paths="
	    "[{total_mb=1, free_mb=2}, {total_mb=3, free_mb=4}]}");
}

static void test_malformed_and_unknown_bodies_are_hex(void **state)
{
	(void)state;
	dumps_as(BYTES("\0\0\0\0\0\0\0\2\x3b\0\1\xff"), false, 0,
	    "change_status request status=0 length=2 malformed one_status "
	    "01ff");
	dumps_as(BYTES("\0\0\0\0\0\0\0\2\x0a\0ab"), false, 0,
	    "command 10 request status=0 length=2 6162");
	dumps_as(BYTES("\0\1"), false, 0, "short packet 0001");
}

static void test_control_bytes_do_not_reach_the_line(void **state)
{
	(void)state;
	dumps_as(BYTES("\0\0\0\0\0\0\0\3\x42\0a\n\""), false, 0,
	    "notify_next_leader request status=0 length=3 text{text="
	    "\"a\\x0a\\\"\"}");
}

static void test_a_long_line_is_cut_at_the_room(void **state)
{
	char text[24];
	struct strbuf out = strbuf_over(text, sizeof(text));

	(void)state;
	dump_packet("\0\0\0\0\0\0\0\0\x6f\0", 10, false, 0, &out);
	assert_string_equal(text, "active_test request sta");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_one_readable_line),
		cmocka_unit_test(
		    test_a_reply_is_read_as_the_answer_to_its_command),
		cmocka_unit_test(test_lists_show_their_records),
		cmocka_unit_test(test_malformed_and_unknown_bodies_are_hex),
		cmocka_unit_test(test_control_bytes_do_not_reach_the_line),
		cmocka_unit_test(test_a_long_line_is_cut_at_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
