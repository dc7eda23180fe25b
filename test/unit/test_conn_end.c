/* SPDX-License-Identifier: MIT */
/* LAYERS: net proto base */
/* Connections: how they end, deadlines, peers that vanish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/conn_test.h"

#define NAME "0123456789abcdefg"

static struct daemon d;

/* Goes away by a reset. */
static void vanish(int fd)
{
	struct linger hard = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static void test_quit_closes_without_an_answer(void **state)
{
	static const char longer[] =
	    "a body that is longer than any server would hold for this one "
	    "command, which has none";
	static const char *const bodies[] = { "", "abc", longer };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		int fd;

		start(&d, &(struct plan){ .request = ECHO });
		fd = dial(d.port, 0);
		put_request(fd, CMD_active_test, NULL, 0);
		assert_int_equal(take_status(fd), 0);
		put_request(fd, CMD_quit, bodies[i], strlen(bodies[i]));
		expect_gone(fd);
		close(fd);
		end(&d);
		assert_int_equal(d.closed, 1);
		assert_int_equal(d.requests, 0);
	}
}

static void test_einval_is_read_before_the_end(void **state)
{
	uint8_t *bytes = some_bytes(500000);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = REFUSE });
	fd = dial(d.port, 0);
	/* All of it is under way before the answer is read: a reset would
	 * take the answer away. */
	put_upload_head(fd, 500000);
	put(fd, bytes, 500000);
	assert_int_equal(take_status(fd), EINVAL);
	expect_end(fd);
	close(fd);
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.content, 0);
	free(bytes);
}

static void test_impossible_lengths_close_at_once(void **state)
{
	uint8_t head[HEADER_SIZE];
	int fd;

	(void)state;
	start(&d, &(struct plan){ .side = BY_TRACKER });
	fd = dial(d.port, 0);
	header_put(head, TRACKER_BODY_MAX + 1, CMD_active_test, 0);
	put(fd, head, sizeof(head));
	expect_gone(fd);
	close(fd);
	fd = dial(d.port, 0);
	header_put(head, UINT64_C(1) << 63, CMD_active_test, 0);
	put(fd, head, sizeof(head));
	expect_gone(fd);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 2);
}

static void test_close_waits_for_the_answer(void **state)
{
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = CLOSE });
	fd = dial(d.port, 0);
	put_request(fd, CMD_get_metadata, NAME, 17);
	expect_answer(fd, "bye");
	expect_end(fd);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void close_owed(void *arg)
{
	conn_close(((struct daemon *)arg)->owed);
}

static void test_close_while_an_answer_is_owed_comes_after_it(void **state)
{
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = OWE });
	fd = dial(d.port, 0);
	put_request(fd, CMD_get_metadata, NAME, 17);
	gate_wait(&d.came);
	in_loop(d.loop, close_owed, &d);
	assert_int_equal(d.closed, 0);
	in_loop(d.loop, answer_owed, &d);
	expect_answer(fd, "late");
	expect_end(fd);
	/* Closing once more, when the end is only awaited, does no harm. */
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void close_first(void *arg)
{
	conn_close(TAILQ_FIRST(&((struct daemon *)arg)->hub->conns));
}

static void test_close_of_an_idle_connection_is_at_once(void **state)
{
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = ECHO });
	fd = dial(d.port, 0);
	put_request(fd, CMD_get_metadata, NAME, 17);
	expect_answer(fd, NAME);
	in_loop(d.loop, close_first, &d);
	expect_end(fd);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void test_peer_may_vanish_while_its_content_is_lent(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .content = LEND, .held_back = true });
	fd = dial(d.port, 0);
	put_upload_head(fd, 1000);
	put(fd, bytes, 100);
	gate_wait(&d.came);
	vanish(fd);
	until(d.loop, sees_the_end, &d);
	assert_int_equal(d.closed, 0);
	sem_post(&d.gate);
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.closed, 1);
	assert_int_equal(d.lent, 1);
	free(bytes);
}

static void test_peer_may_vanish_while_an_answer_is_owed(void **state)
{
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = OWE });
	fd = dial(d.port, 0);
	put_request(fd, CMD_get_metadata, NAME, 17);
	gate_wait(&d.came);
	vanish(fd);
	until(d.loop, sees_the_end, &d);
	assert_int_equal(d.closed, 0);
	in_loop(d.loop, answer_owed, &d);
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void test_peer_may_vanish_in_the_middle_of_a_file(void **state)
{
	const size_t n = 2 * CONN_WINDOW;
	uint8_t *bytes = some_bytes(n);
	int file = some_file(bytes, n);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = SEND_FILE,
	              .file = file,
	              .file_size = n });
	fd = dial(d.port, 4096);
	put_request(fd, CMD_download_file, bytes, 33);
	until(d.loop, is_stuck, &d);
	vanish(fd);
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.closed, 1);
	close(file);
	free(bytes);
}

static void test_peer_may_vanish_while_a_window_is_lent(void **state)
{
	uint8_t *bytes = some_bytes(100000);
	int file = some_file(bytes, 100000);
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = SEND_FILE,
	              .file = file,
	              .file_size = 100000,
	              .lend_windows = true,
	              .held_back = true });
	fd = dial(d.port, 0);
	put_request(fd, CMD_download_file, bytes, 33);
	gate_wait(&d.came);
	vanish(fd);
	until(d.loop, sees_the_end, &d);
	sem_post(&d.gate);
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.closed, 1);
	close(file);
	free(bytes);
}

static void test_closing_all_waits_for_what_is_out(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int lent;
	int owed;

	(void)state;
	start(&d, &(struct plan){ .request = ECHO,
	              .content = LEND,
	              .held_back = true });
	lent = dial(d.port, 0);
	put_upload_head(lent, 1000);
	put(lent, bytes, 100);
	gate_wait(&d.came);
	in_loop(d.loop, close_all, &d);
	expect_gone(lent);
	assert_int_equal(d.closed, 0);
	sem_post(&d.gate);
	gate_wait(&d.gone);
	assert_true(d.died_lent);
	/* Who comes now is sent away. */
	owed = dial(d.port, 0);
	expect_gone(owed);
	close(owed);
	close(lent);
	end(&d);
	assert_int_equal(d.closed, 1);
	free(bytes);
}

static void test_answer_to_a_closed_connection_lets_it_go(void **state)
{
	int fd;

	(void)state;
	start(&d, &(struct plan){ .request = OWE });
	fd = dial(d.port, 0);
	put_request(fd, CMD_get_metadata, NAME, 17);
	gate_wait(&d.came);
	in_loop(d.loop, close_all, &d);
	expect_gone(fd);
	assert_int_equal(d.closed, 0);
	in_loop(d.loop, answer_owed, &d);
	gate_wait(&d.gone);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void test_a_hub_ends_though_something_is_still_out(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int lent;
	int owed;

	(void)state;
	start(&d, &(struct plan){ .request = OWE, .blocks = 1 });
	owed = dial(d.port, 0);
	put_request(owed, CMD_get_metadata, NAME, 17);
	gate_wait(&d.came);
	lent = dial(d.port, 0);
	until(d.loop, is_connected, &d);
	end_threads(&d);
	assert_int_equal(d.closed, 0);
	close(lent);
	close(owed);
	free(bytes);
}

/* --- deadlines, of 10 seconds --- */

#define AT(sec) clock_set((mono_t)(1000 + (sec)) * MONO_SEC, 1)

static int dial_timed(const struct plan *plan)
{
	AT(0);
	start(&d, plan);
	return dial(d.port, 0);
}

static void check_at(int sec)
{
	AT(sec);
	in_loop(d.loop, check_deadlines, &d);
}

static void test_who_says_nothing_is_sent_away(void **state)
{
	int fd = dial_timed(&(struct plan){ .timeout = 10 });

	(void)state;
	until(d.loop, is_connected, &d);
	check_at(10);
	assert_int_equal(d.closed, 0);
	check_at(11);
	assert_int_equal(d.closed, 1);
	expect_end(fd);
	close(fd);
	end(&d);
}

static void test_who_was_answered_may_stay_silent(void **state)
{
	int fd = dial_timed(&(struct plan){ .timeout = 10 });

	(void)state;
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	check_at(100000);
	put_request(fd, CMD_active_test, NULL, 0);
	assert_int_equal(take_status(fd), 0);
	/* ... but not in the middle of a header. */
	put(fd, "\0\0", 2);
	until(d.loop, mid_request, &d);
	check_at(100010);
	assert_int_equal(d.closed, 0);
	check_at(100011);
	assert_int_equal(d.closed, 1);
	close(fd);
	end(&d);
}

static void test_content_that_stops_is_not_awaited_for_ever(void **state)
{
	int fd = dial_timed(&(struct plan){ .timeout = 10 });

	(void)state;
	put_upload_head(fd, 1000);
	until(d.loop, mid_request, &d);
	AT(9);
	put(fd, "x", 1);
	until(d.loop, has_content, &d);
	check_at(19);
	assert_int_equal(d.closed, 0);
	check_at(20);
	assert_int_equal(d.closed, 1);
	expect_end(fd);
	close(fd);
	end(&d);
}

static void test_our_own_delay_is_nobodys_fault(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int fd = dial_timed(&(
	    struct plan){ .timeout = 10, .content = LEND, .held_back = true });

	(void)state;
	put_upload_head(fd, 100);
	put(fd, bytes, 100);
	gate_wait(&d.came);
	check_at(100000);
	assert_int_equal(d.closed, 0);
	sem_post(&d.gate);
	sem_post(&d.gate);
	expect_answer(fd, "lent");
	close(fd);
	end(&d);
	free(bytes);
}

static void test_who_waits_for_our_block_is_not_sent_away(void **state)
{
	uint8_t *bytes = some_bytes(100);
	int fd = dial_timed(&(struct plan){ .timeout = 10,
	    .content = LEND,
	    .held_back = true,
	    .blocks = 1 });
	int second;

	(void)state;
	put_upload_head(fd, 100);
	put(fd, bytes, 100);
	gate_wait(&d.came);
	second = dial(d.port, 0);
	put_request(second, CMD_active_test, NULL, 0);
	until(d.loop, waits_for_block, &d);
	check_at(100000);
	assert_int_equal(d.closed, 0);
	sem_post(&d.gate);
	sem_post(&d.gate);
	expect_answer(fd, "lent");
	assert_int_equal(take_status(second), 0);
	close(second);
	close(fd);
	end(&d);
	free(bytes);
}

static void test_who_does_not_read_is_sent_away(void **state)
{
	int fd;

	(void)state;
	AT(0);
	start(&d, &(struct plan){ .request = BIG, .timeout = 10 });
	fd = dial(d.port, 4096);
	put_request(fd, CMD_get_metadata, NAME, 17);
	until(d.loop, is_stuck, &d);
	check_at(10);
	assert_int_equal(d.closed, 0);
	/* The kernel may still have taken some at the tenth second. */
	for (int sec = 21; sec < 1000 && d.closed == 0; sec += 11)
		check_at(sec);
	assert_int_equal(d.closed, 1);
	close(fd);
	end(&d);
}

static void test_who_ignores_the_end_is_cut_off(void **state)
{
	int fd = dial_timed(&(struct plan){ .request = REFUSE, .timeout = 10 });

	(void)state;
	put_request(fd, CMD_get_metadata, NAME, 17);
	assert_int_equal(take_status(fd), EINVAL);
	expect_end(fd);
	until(d.loop, is_lingering, &d);
	check_at(2);
	assert_int_equal(d.closed, 0);
	in_loop(d.loop, close_first, &d);
	assert_int_equal(d.closed, 0);
	check_at(3);
	assert_int_equal(d.closed, 1);
	close(fd);
	end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quit_closes_without_an_answer),
		cmocka_unit_test(test_einval_is_read_before_the_end),
		cmocka_unit_test(test_impossible_lengths_close_at_once),
		cmocka_unit_test(test_close_waits_for_the_answer),
		cmocka_unit_test(
		    test_close_while_an_answer_is_owed_comes_after_it),
		cmocka_unit_test(test_close_of_an_idle_connection_is_at_once),
		cmocka_unit_test(
		    test_peer_may_vanish_while_its_content_is_lent),
		cmocka_unit_test(test_peer_may_vanish_while_an_answer_is_owed),
		cmocka_unit_test(test_peer_may_vanish_in_the_middle_of_a_file),
		cmocka_unit_test(test_peer_may_vanish_while_a_window_is_lent),
		cmocka_unit_test(test_closing_all_waits_for_what_is_out),
		cmocka_unit_test(test_answer_to_a_closed_connection_lets_it_go),
		cmocka_unit_test(test_a_hub_ends_though_something_is_still_out),
		cmocka_unit_test(test_who_says_nothing_is_sent_away),
		cmocka_unit_test(test_who_was_answered_may_stay_silent),
		cmocka_unit_test(
		    test_content_that_stops_is_not_awaited_for_ever),
		cmocka_unit_test(test_our_own_delay_is_nobodys_fault),
		cmocka_unit_test(test_who_waits_for_our_block_is_not_sent_away),
		cmocka_unit_test(test_who_does_not_read_is_sent_away),
		cmocka_unit_test(test_who_ignores_the_end_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
