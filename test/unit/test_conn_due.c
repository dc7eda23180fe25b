/* SPDX-License-Identifier: MIT */
/* LAYERS: net proto base */
/* Connections: answers that are put off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/conn_test.h"

#define COMMAND CMD_regenerate_appender_filename

static struct daemon d;

static void begin(void)
{
	start(&d, &(struct plan){ .request = DEFER });
}

/* So many requests that are put off, in one write. */
static void put_deferred(int fd, size_t n)
{
	uint8_t *buf = calloc(n, HEADER_SIZE + 1);

	for (size_t i = 0; i < n; i++) {
		uint8_t *at = buf + i * (HEADER_SIZE + 1);

		header_put(at, 1, COMMAND, 0);
		at[HEADER_SIZE] = '+';
	}
	put(fd, buf, n * (HEADER_SIZE + 1));
	free(buf);
}

static bool is_closing(void *arg)
{
	struct conn *c = TAILQ_FIRST(&((struct daemon *)arg)->hub->conns);

	return c && c->state == CONN_CLOSING;
}

static bool will_close(void *arg)
{
	struct conn *c = TAILQ_FIRST(&((struct daemon *)arg)->hub->conns);

	return c && c->close_after;
}

static size_t wanted;

static bool all_came(void *arg)
{
	return ((struct daemon *)arg)->n_dues == wanted;
}

static void until_came(size_t n)
{
	wanted = n;
	until(d.loop, all_came, &d);
}

static bool echo_came(void *arg)
{
	return ((struct daemon *)arg)->requests == (int)wanted;
}

static void until_requests(size_t n)
{
	wanted = n;
	until(d.loop, echo_came, &d);
}

/* The last first: none may be answered before the others are. */
static void settle_backwards(void *arg)
{
	size_t first = d.told;

	(void)arg;
	for (size_t i = d.n_dues; i-- > first;) {
		assert_int_equal(d.told, first);
		conn_settle(d.deferring, &d.dues[i], 0);
	}
	assert_int_equal(d.told, d.n_dues);
}

static void settle_all(void)
{
	in_loop(d.loop, settle_backwards, NULL);
}

static void test_answers_of_a_turn_go_out_together_and_in_order(void **state)
{
	uint8_t buf[512];
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 20);
	until_came(20);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	settle_all();
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 20 * HEADER_SIZE);
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 20);
	assert_int_equal(d.closed, 1);
}

static void settle_with_failures(void *arg)
{
	static const int status[] = { 0, ENOSPC, EINVAL, 0 };

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(status); i++)
		conn_settle(d.deferring, &d.dues[i], status[i]);
}

static void test_one_that_fails_leaves_the_others_alone(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 4);
	until_came(4);
	in_loop(d.loop, settle_with_failures, NULL);
	assert_int_equal(take_status(fd), 0);
	assert_int_equal(take_status(fd), ENOSPC);
	assert_int_equal(take_status(fd), EINVAL);
	assert_int_equal(take_status(fd), 0);
	put_request(fd, COMMAND, "next", 4);
	expect_answer(fd, "next");
	close(fd);
	end(&d);
}

static void settle_one(void *arg)
{
	(void)arg;
	conn_settle(d.deferring, &d.dues[d.told], 0);
}

static void test_each_is_answered_when_those_before_it_are(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 3);
	until_came(3);
	for (int i = 0; i < 3; i++) {
		in_loop(d.loop, settle_one, NULL);
		assert_int_equal(take_status(fd), 0);
	}
	close(fd);
	end(&d);
}

static void test_other_answers_wait_for_those_put_off(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 1);
	put_request(fd, COMMAND, "short", 5);
	put_deferred(fd, 1);
	put_request(fd, CMD_active_test, NULL, 0);
	until_requests(2);
	settle_all();
	assert_int_equal(take_status(fd), 0);
	expect_answer(fd, "short");
	until_came(2);
	settle_all();
	assert_int_equal(take_status(fd), 0);
	assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);
	assert_int_equal(d.requests, 3);
}

static void test_more_than_may_be_put_off_wait(void **state)
{
	const size_t n = CONN_DUE_MAX + 44;
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, n);
	until_came(CONN_DUE_MAX);
	settle_all();
	until_came(n);
	settle_all();
	for (size_t i = 0; i < n; i++)
		assert_int_equal(take_status(fd), 0);
	close(fd);
	end(&d);
	assert_int_equal(d.requests, n);
}

static void test_gone_meanwhile_ends_when_all_are_settled(void **state)
{
	struct linger hard = { 1, 0 };
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 3);
	until_came(3);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	until(d.loop, is_closing, &d);
	assert_int_equal(d.closed, 0);
	settle_all();
	gate_wait(&d.gone);
	end(&d);
	assert_int_equal(d.closed, 1);
	assert_int_equal(d.told, 3);
}

static void test_closed_by_the_hub_ends_when_all_are_settled(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 3);
	until_came(3);
	in_loop(d.loop, close_all, &d);
	expect_gone(fd);
	settle_all();
	gate_wait(&d.gone);
	close(fd);
	end(&d);
	assert_int_equal(d.closed, 1);
}

static void test_who_has_asked_all_gets_the_answers(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 3);
	until_came(3);
	shutdown(fd, SHUT_WR);
	until(d.loop, will_close, &d);
	settle_all();
	for (int i = 0; i < 3; i++)
		assert_int_equal(take_status(fd), 0);
	expect_end(fd);
	close(fd);
	gate_wait(&d.gone);
	end(&d);
}

static void test_quit_comes_after_the_answers(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 2);
	put_request(fd, CMD_quit, NULL, 0);
	until(d.loop, will_close, &d);
	settle_all();
	assert_int_equal(take_status(fd), 0);
	assert_int_equal(take_status(fd), 0);
	expect_end(fd);
	close(fd);
	gate_wait(&d.gone);
	end(&d);
}

static void test_bytes_that_are_no_request_close_at_once(void **state)
{
	uint8_t head[HEADER_SIZE];
	int fd;

	(void)state;
	begin();
	fd = dial(d.port, 0);
	put_deferred(fd, 2);
	header_put(head, UINT64_MAX, COMMAND, 0);
	put(fd, head, sizeof(head));
	until(d.loop, is_closing, &d);
	settle_all();
	expect_gone(fd);
	close(fd);
	gate_wait(&d.gone);
	end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_answers_of_a_turn_go_out_together_and_in_order),
		cmocka_unit_test(test_one_that_fails_leaves_the_others_alone),
		cmocka_unit_test(
		    test_each_is_answered_when_those_before_it_are),
		cmocka_unit_test(test_other_answers_wait_for_those_put_off),
		cmocka_unit_test(test_more_than_may_be_put_off_wait),
		cmocka_unit_test(test_gone_meanwhile_ends_when_all_are_settled),
		cmocka_unit_test(
		    test_closed_by_the_hub_ends_when_all_are_settled),
		cmocka_unit_test(test_who_has_asked_all_gets_the_answers),
		cmocka_unit_test(test_quit_comes_after_the_answers),
		cmocka_unit_test(test_bytes_that_are_no_request_close_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
