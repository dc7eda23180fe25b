/* SPDX-License-Identifier: MIT */
/* LAYERS: net proto base */
/* Connections: requests, content, answers. How they end: test_conn_end.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/conn_test.h"

static struct daemon d;

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	uint8_t buf[512];
	size_t n = 0;
	char text[16];
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = ECHO });
	fd = dial(d.port, 0);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "r%04d", i);
		header_put(buf + n, 5, CMD_regenerate_appender_filename, 0);
		memcpy(buf + n + HEADER_SIZE, text, 5);
		n += HEADER_SIZE + 5;
	}
	put(fd, buf, n);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "r%04d", i);
		expect_answer(fd, text);
	}
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 20);
	assert_int_equal(d.closed, 1);
}

static void test_pipelined_requests_wait_for_a_late_answer(void **state)
{
	uint8_t buf[3 * (HEADER_SIZE + 3)];
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = OWE, .blocks = 1 });
	fd = dial(d.port, 0);
	for (size_t i = 0; i < 3; i++) {
		uint8_t *at = buf + i * (HEADER_SIZE + 3);

		header_put(at, 3, CMD_regenerate_appender_filename, 0);
		memcpy(at + HEADER_SIZE, "abc", 3);
	}
	put(fd, buf, sizeof(buf));
	for (int i = 0; i < 3; i++) {
		gate_wait(&d.came);
		until(d.loop, no_block_is_out, &d);
		in_loop(d.loop, answer_owed, &d);
		expect_answer(fd, "late");
	}
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 3);
}

static void test_request_may_come_byte_by_byte(void **state)
{
	uint8_t buf[HEADER_SIZE + 9];
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = ECHO });
	fd = dial(d.port, 0);
	header_put(buf, 9, CMD_regenerate_appender_filename, 0);
	memcpy(buf + HEADER_SIZE, "some name", 9);
	for (size_t i = 0; i < sizeof(buf); i++)
		put(fd, buf + i, 1);
	expect_answer(fd, "some name");
	for (size_t i = 0; i < sizeof(buf); i++)
		put(fd, buf + i, 1);
	expect_answer(fd, "some name");
	close(fd);
	end(&d);
}

static void send_content(enum on_content how, size_t n)
{
	uint8_t *bytes = some_bytes(n);
	int fd;

	start(&d, &(struct plan){ .content = how, .blocks = 2 });
	fd = dial(d.port, 0);
	for (int i = 0; i < 2; i++) {
		put_upload_head(fd, n);
		put(fd, bytes, n);
		expect_answer(fd, how == LEND ? "lent" : "kept");
	}
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 2);
	assert_int_equal(d.content, 2 * n);
	assert_int_equal(d.sum, sum_of(sum_of(0, bytes, n), bytes, n));
	free(bytes);
}

static void test_content_reaches_the_daemon_whole(void **state)
{
	(void)state;
	send_content(KEEP, 1);
	send_content(KEEP, 3 * CONN_BLOCK_SIZE + 17);
}

static void test_lent_content_stays_as_it_was(void **state)
{
	(void)state;
	send_content(LEND, 1);
	send_content(LEND, 3 * CONN_BLOCK_SIZE + 17);
	assert_true(d.lent >= 6);
}

static void test_early_answer_is_followed_by_a_drain(void **state)
{
	uint8_t *bytes = some_bytes(1000000);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = FULL });
	fd = dial(d.port, 0);
	put_upload_head(fd, 1000000);
	assert_int_equal(take_status(fd), ENOSPC);
	put(fd, bytes, 1000000);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);
	assert_int_equal(d.content, 0);
	free(bytes);
}

static void test_early_answer_to_a_huge_body_closes(void **state)
{
	uint8_t *bytes = some_bytes(65536);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = FULL });
	fd = dial(d.port, 0);
	put_upload_head(fd, UINT64_C(1) << 40);
	assert_int_equal(take_status(fd), ENOSPC);
	while (send(fd, bytes, 65536, MSG_NOSIGNAL) > 0)
		;
	gate_wait(&d.gone);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
	free(bytes);
}

/* Answers of n bytes, read by a peer who first does not and then slowly. */
static void read_slowly(const struct plan *plan, const uint8_t *bytes, size_t n)
{
	uint8_t *got = malloc(n);
	size_t length;
	int fd;

	start(&d, plan);
	fd = dial(d.port, 4096);
	put_request(fd, CMD_download_file, bytes, 33);
	until(d.loop, is_stuck, &d);
	assert_int_equal(take_head(fd, &length), 0);
	assert_int_equal(length, n);
	for (size_t at = 0; at < n;) {
		ssize_t k = recv(fd, got + at, size_min(n - at, 10007), 0);

		assert_true(k > 0);
		at += (size_t)k;
	}
	assert_memory_equal(got, bytes, n);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);
	free(got);
}

static void test_slow_reader_gets_a_large_file_whole(void **state)
{
	const size_t n = 3 * CONN_WINDOW + 4711;
	uint8_t *bytes = some_bytes(n);
	int file = some_file(bytes, n);

	(void)state;
	read_slowly(&(struct plan){ .request = SEND_FILE,
	                .file = file,
	                .file_size = n },
	    bytes, n);
	assert_int_equal(d.windows, 4);
	close(file);
	free(bytes);
}

static void test_windows_may_be_lent(void **state)
{
	const size_t n = 3 * CONN_WINDOW + 4711;
	uint8_t *bytes = some_bytes(n);
	int file = some_file(bytes, n);

	(void)state;
	read_slowly(&(struct plan){ .request = SEND_FILE,
	                .file = file,
	                .file_size = n,
	                .lend_windows = true },
	    bytes, n);
	assert_int_equal(d.windows, 4);
	assert_int_equal(d.lent, 4);
	close(file);
	free(bytes);
}

static void test_slow_reader_gets_a_large_text_whole(void **state)
{
	uint8_t *bytes = malloc(BIG_SIZE);

	(void)state;
	memset(bytes, 'b', BIG_SIZE);
	read_slowly(&(struct plan){ .request = BIG }, bytes, BIG_SIZE);
	free(bytes);
}

static void test_file_that_became_shorter_closes(void **state)
{
	uint8_t *bytes = some_bytes(100000);
	int file = some_file(bytes, 100000);
	size_t n;
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = SEND_FILE,
	              .file = file,
	              .file_size = 200000 });
	fd = dial(d.port, 0);
	put_request(fd, CMD_download_file, bytes, 33);
	assert_int_equal(take_head(fd, &n), 0);
	assert_int_equal(n, 200000);
	assert_int_equal(take(fd, bytes, 100000), 100000);
	expect_end(fd);
	close(fd);
	end(&d);
	close(file);
	free(bytes);
}

static void test_answer_in_a_room_goes_out_in_one_piece(void **state)
{
	char *body = malloc(CONN_REPLY_ROOM);
	size_t n;
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = ROOM, .blocks = 2 });
	fd = dial(d.port, 0);
	for (int i = 0; i < 3; i++) {
		put_request(fd, CMD_get_metadata, "0123456789abcdefg", 17);
		assert_int_equal(take_head(fd, &n), 0);
		assert_int_equal(n, CONN_REPLY_ROOM);
		assert_int_equal(take(fd, body, n), n);
		assert_int_equal(body[n - 1], 'r');
	}
	close(fd);
	end(&d);
	free(body);
}

static void test_who_finds_no_block_is_served_when_one_is_back(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int first;
	int others[5];

	(void)state;
	start(&d,
	    &(struct plan){ .content = LEND, .held_back = true, .blocks = 1 });
	first = dial(d.port, 0);
	put_upload_head(first, 100);
	put(first, bytes, 100);
	gate_wait(&d.came);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		others[i] = dial(d.port, 0);
		put_request(others[i], CMD_active_test, NULL, 0);
	}
	until(d.loop, waits_for_block, &d);
	/* One who waits may give up. */
	close(others[2]);
	/* Whatever came in the first piece, the worker is let go for all. */
	for (int i = 0; i < 3; i++)
		sem_post(&d.gate);
	expect_answer(first, "lent");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (i == 2)
			continue;
		assert_int_equal(take_status(others[i]), 0);
		close(others[i]);
	}
	close(first);
	end(&d);
	assert_int_equal(d.closed, 6);
	free(bytes);
}

static void test_active_test_is_answered_by_both_daemons(void **state)
{
	int fd;

	(void)state;
	start(&d,
	    &(struct plan){ .side = BY_TRACKER, .keep_after_einval = true });
	fd = dial(d.port, 0);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	put_request(fd, CMD_active_test, "x", 1);
	assert_int_equal(take_status(fd), EINVAL);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);

	start(&d, &(struct plan){ .side = BY_STORAGE });
	fd = dial(d.port, 0);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	put_request(fd, CMD_active_test, "x", 1);
	assert_int_equal(take_status(fd), EINVAL);
	expect_end(fd);
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 0);
}

static void test_refused_commands_get_einval(void **state)
{
	static const uint8_t codes[] = { 0, 10, 99, 110, 255, CMD_upload_file };
	int fd;

	(void)state;
	start(&d,
	    &(struct plan){ .side = BY_TRACKER, .keep_after_einval = true });
	fd = dial(d.port, 0);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		put_request(fd, codes[i], "body", 4);
		assert_int_equal(take_status(fd), EINVAL);
	}
	/* The daemon may say why. */
	put_request(fd, CMD_sync_dest_req, "body", 4);
	assert_int_equal(take_status(fd), EACCES);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);

	for (size_t i = 0; i + 1 < ARRAY_LEN(codes); i++) {
		start(&d, &(struct plan){ .side = BY_STORAGE });
		fd = dial(d.port, 0);
		put_request(fd, codes[i], "body", 4);
		assert_int_equal(take_status(fd), EINVAL);
		expect_end(fd);
		close(fd);
		end(&d);
	}
	assert_int_equal(d.requests, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
		cmocka_unit_test(
		    test_pipelined_requests_wait_for_a_late_answer),
		cmocka_unit_test(test_request_may_come_byte_by_byte),
		cmocka_unit_test(test_content_reaches_the_daemon_whole),
		cmocka_unit_test(test_lent_content_stays_as_it_was),
		cmocka_unit_test(test_early_answer_is_followed_by_a_drain),
		cmocka_unit_test(test_early_answer_to_a_huge_body_closes),
		cmocka_unit_test(test_slow_reader_gets_a_large_file_whole),
		cmocka_unit_test(test_windows_may_be_lent),
		cmocka_unit_test(test_slow_reader_gets_a_large_text_whole),
		cmocka_unit_test(test_file_that_became_shorter_closes),
		cmocka_unit_test(test_answer_in_a_room_goes_out_in_one_piece),
		cmocka_unit_test(
		    test_who_finds_no_block_is_served_when_one_is_back),
		cmocka_unit_test(test_active_test_is_answered_by_both_daemons),
		cmocka_unit_test(test_refused_commands_get_einval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
