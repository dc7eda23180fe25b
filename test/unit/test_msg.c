/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/command.h"
#include "proto/msg.h"

/* A literal without its NUL. */
#define BYTES(s) (s), sizeof(s) - 1

static void test_upload_decodes_up_to_the_content(void **state)
{
	struct msg_upload m;
	size_t used;

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(upload),
	        BYTES("\xff\0\0\0\0\0\0\0\x0etxt\0\0\0hello fastdfs\n"), &m,
	        &used),
	    0);
	assert_int_equal(used, 15);
	assert_int_equal(m.path, 255);
	assert_int_equal(m.size, 14);
	assert_string_equal(m.ext, "txt");
}

static void test_a_short_body_is_refused(void **state)
{
	struct msg_upload m;
	struct msg_file_ref ref;

	(void)state;
	assert_int_equal(msg_decode(&MSG(upload), "\0\0\0", 3, &m, NULL),
	    -EBADMSG);
	assert_int_equal(msg_decode(&MSG(file_ref), NULL, 0, &ref, NULL),
	    -EBADMSG);
}

static void test_bytes_left_over_are_refused(void **state)
{
	struct msg_one_status m;

	(void)state;
	assert_int_equal(msg_decode(&MSG(one_status), "\7", 1, &m, NULL), 0);
	assert_int_equal(m.status, 7);
	assert_int_equal(msg_decode(&MSG(one_status), "\7x", 2, &m, NULL),
	    -EBADMSG);
}

static void test_negative_and_absurd_lengths_are_refused(void **state)
{
	struct msg_truncate m;

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(truncate),
	        BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0name"),
	        &m, NULL),
	    -EBADMSG);
	assert_int_equal(msg_decode(&MSG(truncate),
	                     BYTES("\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0name"), &m,
	                     NULL),
	    -EBADMSG);
	assert_int_equal(msg_decode(&MSG(truncate),
	                     BYTES("\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\7nametail"),
	                     &m, NULL),
	    0);
	assert_true(span_eq(m.name, "name"));
	assert_int_equal(m.size, 7);
	assert_true(span_eq(m.ignored, "tail"));
}

static void test_a_negative_content_size_is_refused(void **state)
{
	struct msg_upload m;

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(upload),
	        BYTES("\0\xff\xff\xff\xff\xff\xff\xff\xfftxt\0\0\0"), &m, NULL),
	    -EBADMSG);
}

static void test_text_that_fills_its_field_has_no_nul_on_the_wire(void **state)
{
	struct msg_group_name m;
	char out[16];

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(group_name), "abcdefghijklmnop", 16, &m, NULL), 0);
	assert_string_equal(m.group, "abcdefghijklmnop");
	assert_int_equal(msg_encode(&MSG(group_name), &m, out, 16), 16);
	assert_memory_equal(out, "abcdefghijklmnop", 16);
}

static void test_garbage_behind_a_nul_is_not_seen_and_not_sent(void **state)
{
	struct msg_group_name m;
	char out[16];

	(void)state;
	assert_int_equal(msg_decode(&MSG(group_name),
	                     BYTES("group1\0\xbf\xbf.0.12\0\0"), &m, NULL),
	    0);
	assert_string_equal(m.group, "group1");
	assert_int_equal(msg_encode(&MSG(group_name), &m, out, 16), 16);
	assert_memory_equal(out, "group1\0\0\0\0\0\0\0\0\0\0", 16);
}

static void test_encode_counts_the_texts_itself(void **state)
{
	const struct msg_sync_link m = { .name_len = 77,
		.other_len = -1,
		.time = 5,
		.group = "g",
		.name = { "new", 3 },
		.other = { "old", 3 } };
	char out[64];

	(void)state;
	assert_int_equal(msg_encode(&MSG(sync_link), &m, out, sizeof(out)), 42);
	assert_memory_equal(out,
	    "\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\3\0\0\0\5g\0\0\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\0newold",
	    42);
}

static void test_encode_never_writes_past_its_room(void **state)
{
	const struct msg_sync_source m = { .id = "10.0.0.1", .until = 7 };
	char out[25];

	(void)state;
	for (size_t cap = 0; cap < 24; cap++) {
		memset(out, 'x', sizeof(out));
		assert_int_equal(msg_encode(&MSG(sync_source), &m, out, cap),
		    -EMSGSIZE);
		assert_int_equal(out[cap], 'x');
	}
	assert_int_equal(msg_encode(&MSG(sync_source), &m, out, 24), 24);
}

static void test_held_size_follows_the_inner_lengths(void **state)
{
	static const char append[] = "\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\5";
	static const char wrong[] = "\xff\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\5";

	(void)state;
	assert_int_equal(msg_held_size(&MSG(append), append, 15, 143), 0);
	assert_int_equal(msg_held_size(&MSG(append), append, 16, 143), 60);
	assert_int_equal(msg_held_size(&MSG(append), append, 16, 60), 60);
	assert_int_equal(msg_held_size(&MSG(append), append, 16, 59), -EBADMSG);
	assert_int_equal(msg_held_size(&MSG(append), wrong, 16, 143), -EBADMSG);
	assert_int_equal(msg_held_size(&MSG(truncate), append, 16, 143),
	    -EINVAL);
}

static void test_only_some_messages_announce_their_content(void **state)
{
	uint64_t size = 0;

	(void)state;
	assert_true(msg_stream_size(&MSG(append),
	    "\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\1\5", &size));
	assert_int_equal(size, 261);
	assert_false(msg_stream_size(&MSG(sync_create), "", &size));
	assert_false(msg_stream_size(&MSG(text), "", &size));
	assert_true(msg_has_content(&MSG(sync_create)));
	assert_false(msg_has_content(&msg_desc_none));
}

static void test_lists_are_walked_record_by_record(void **state)
{
	struct msg_disk_usage m;
	struct msg_disk_path path;

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(disk_usage),
	        BYTES("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"
	              "\0\0\0\0\0\0\0\3\xff\xff\xff\xff\xff\xff\xff\xff"),
	        &m, NULL),
	    0);
	assert_int_equal(msg_next(&MSG(disk_path), &m.paths, &path), 1);
	assert_int_equal(path.total_mb, 1);
	assert_int_equal(path.free_mb, 2);
	assert_int_equal(msg_next(&MSG(disk_path), &m.paths, &path), 1);
	assert_int_equal(path.total_mb, 3);
	assert_int_equal(path.free_mb, -1);
	assert_int_equal(msg_next(&MSG(disk_path), &m.paths, &path), 0);
}

static void test_a_list_of_broken_records_is_refused(void **state)
{
	struct msg_disk_usage m;
	struct msg_disk_path path;
	struct span list = { "123", 3 };

	(void)state;
	assert_int_equal(
	    msg_decode(&MSG(disk_usage), "0123456789", 10, &m, NULL), -EBADMSG);
	assert_int_equal(msg_next(&MSG(disk_path), &list, &path), -EBADMSG);
}

static void test_the_dialect_is_chosen_by_length(void **state)
{
	(void)state;
	assert_ptr_equal(msg_for_length(&MSG(file_info), 40), &MSG(file_info));
	assert_ptr_equal(msg_for_length(&MSG(file_info), 70),
	    &MSG(file_info46));
	assert_ptr_equal(msg_for_length(&MSG(file_info46), 40),
	    &MSG(file_info));
	assert_ptr_equal(msg_for_length(&MSG(file_info), 50), &MSG(file_info));
	assert_ptr_equal(msg_for_length(&MSG(storage_list), 2 * 487),
	    &MSG(storage_list));
	assert_ptr_equal(msg_for_length(&MSG(storage_list), 2 * 517),
	    &MSG(storage_list46));
	assert_ptr_equal(msg_for_length(&MSG(fetch_reply), 62),
	    &MSG(fetch_reply));
	assert_ptr_equal(msg_for_length(&MSG(fetch_reply), 122),
	    &MSG(fetch_reply46));
}

static void test_records_have_the_sizes_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(STATS_SIZE, 348);
	assert_int_equal(MSG(group_record).fixed_size, 113);
	assert_int_equal(MSG(storage_record).fixed_size, 487);
	assert_int_equal(MSG(storage_record46).fixed_size, 517);
	assert_int_equal(MSG(tracker_record).fixed_size, 90);
	assert_int_equal(MSG(storage_stat_record).fixed_size, 106);
	assert_int_equal(MSG(volume_record).fixed_size, 59);
	assert_int_equal(MSG(tracker_status).fixed_size, 17);
	assert_int_equal(MSG(brief).fixed_size, 67);
	assert_int_equal(MSG(join).fixed_size, 145);
	assert_int_equal(MSG(join_reply).fixed_size, 17);
	assert_int_equal(MSG(sync_source).fixed_size, 24);
	assert_int_equal(MSG(report_status).fixed_size, 83);
	assert_int_equal(MSG(ip_changed).fixed_size, 108);
	assert_int_equal(MSG(join_leader).fixed_size, 24);
	assert_int_equal(MSG(conn_counts).fixed_size, 12);
	assert_int_equal(MSG(trunk_alloc).fixed_size, 21);
	assert_int_equal(MSG(trunk_space).fixed_size, 31);
	assert_int_equal(MSG(get_my_ip).fixed_size, 21);
	assert_int_equal(MSG(sync_create).fixed_size, 36);
	assert_int_equal(MSG(sync_write).fixed_size, 44);
}

static void test_counters_are_reached_by_number_and_name(void **state)
{
	struct stats s = { 0 };

	(void)state;
	stats_set(&s, STAT_success_upload_count, 5);
	assert_int_equal(s.success_upload_count, 5);
	s.last_heart_beat_time = 9;
	assert_int_equal(stats_get(&s, N_STATS - 1), 9);
	assert_string_equal(stat_names[STAT_total_upload_bytes],
	    "total_upload_bytes");
	assert_int_equal(N_STATS, 42);
}

static void test_store_replies_of_both_widths(void **state)
{
	static const size_t widths[] = { 15, 45 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		const struct store in = { .group = "group1",
			.n = 2,
			.servers = { { "255.255.255.255", 23000 },
			    { "10.77.1.12", 1 } },
			.path = 3 };
		struct store out;
		char b[256];
		const ssize_t n = store_encode(&in, widths[i], b, sizeof(b));

		assert_int_equal(n, 17 + 2 * (widths[i] + 8));
		assert_int_equal(store_decode(b, (size_t)n, &out), 0);
		assert_string_equal(out.group, "group1");
		assert_int_equal(out.n, 2);
		assert_string_equal(out.servers[0].ip, "255.255.255.255");
		assert_int_equal(out.servers[0].port, 23000);
		assert_string_equal(out.servers[1].ip, "10.77.1.12");
		assert_int_equal(out.path, 3);
		assert_int_equal(store_encode(&in, widths[i], b, (size_t)n - 1),
		    -EMSGSIZE);
	}
}

static void test_store_replies_of_wrong_length_are_refused(void **state)
{
	static const char zeros[40];
	struct store s;

	(void)state;
	assert_int_equal(store_decode(zeros, 40, &s), 0);
	assert_int_equal(store_decode(zeros, 39, &s), -EBADMSG);
	assert_int_equal(store_decode(zeros, 17, &s), -EBADMSG);
	assert_int_equal(store_decode(NULL, 0, &s), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upload_decodes_up_to_the_content),
		cmocka_unit_test(test_a_short_body_is_refused),
		cmocka_unit_test(test_bytes_left_over_are_refused),
		cmocka_unit_test(test_negative_and_absurd_lengths_are_refused),
		cmocka_unit_test(test_a_negative_content_size_is_refused),
		cmocka_unit_test(
		    test_text_that_fills_its_field_has_no_nul_on_the_wire),
		cmocka_unit_test(
		    test_garbage_behind_a_nul_is_not_seen_and_not_sent),
		cmocka_unit_test(test_encode_counts_the_texts_itself),
		cmocka_unit_test(test_encode_never_writes_past_its_room),
		cmocka_unit_test(test_held_size_follows_the_inner_lengths),
		cmocka_unit_test(
		    test_only_some_messages_announce_their_content),
		cmocka_unit_test(test_lists_are_walked_record_by_record),
		cmocka_unit_test(test_a_list_of_broken_records_is_refused),
		cmocka_unit_test(test_the_dialect_is_chosen_by_length),
		cmocka_unit_test(
		    test_records_have_the_sizes_of_the_specification),
		cmocka_unit_test(test_counters_are_reached_by_number_and_name),
		cmocka_unit_test(test_store_replies_of_both_widths),
		cmocka_unit_test(
		    test_store_replies_of_wrong_length_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
