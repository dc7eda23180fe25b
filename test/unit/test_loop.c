/* SPDX-License-Identifier: MIT */
/* LAYERS: net proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "test/unit/net_test.h"

struct seen {
	struct loop *loop;
	int times, turns;
	int fd;
	struct addr peer;
	sem_t sem;
};

static void stop_at_three(void *arg)
{
	struct seen *s = arg;

	if (++s->times == 3)
		loop_stop(s->loop);
}

static void count_turn(void *arg)
{
	((struct seen *)arg)->turns++;
}

static void test_timer_comes_again_until_the_loop_is_stopped(void **state)
{
	struct seen s = { 0 };
	struct timer *t;

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	t = loop_every(s.loop, 1, stop_at_three, &s);
	assert_non_null(t);
	loop_at_turn_end(s.loop, count_turn, &s);
	loop_run(s.loop);
	assert_int_equal(s.times, 3);
	assert_true(s.turns >= 3);
	timer_free(t);
	loop_free(s.loop);
}

static void stop_twice(void *arg)
{
	struct seen *s = arg;

	s->times++;
	loop_stop(s->loop);
	loop_stop(s->loop);
}

/* Two signals in one turn once made the mailbox a ring. */
static void test_loop_may_be_stopped_twice_in_a_turn(void **state)
{
	struct seen s = { 0 };
	struct timer *t;

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	t = loop_every(s.loop, 1, stop_twice, &s);
	loop_run(s.loop);
	assert_int_equal(s.times, 1);
	timer_free(t);
	loop_free(s.loop);
}

static void test_signal_is_told_in_the_loop(void **state)
{
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_on_signal(s.loop, SIGUSR1, stop_at_three, &s), 0);
	s.times = 2;
	raise(SIGUSR1);
	loop_run(s.loop);
	assert_int_equal(s.times, 3);
	loop_free(s.loop);
}

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void test_loop_of_a_thread_takes_jobs_from_others(void **state)
{
	struct loop *l;
	pthread_t there = pthread_self();

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	assert_int_equal(loop_start(l, "test"), 0);
	in_loop(l, note_thread, &there);
	assert_false(pthread_equal(there, pthread_self()));
	loop_stop(l);
	loop_join(l);
	loop_free(l);
}

static void on_guest(void *arg, int fd, const struct addr *peer)
{
	struct seen *s = arg;

	s->fd = fd;
	s->peer = *peer;
	s->times++;
	sem_post(&s->sem);
}

static void test_listener_says_who_came(void **state)
{
	struct addr at = { .family = 4, .ip = { 127, 0, 0, 1 } };
	struct seen s = { 0 };
	struct listener *ln;
	struct listener *other;
	char ip[ADDR_IP_MAX];
	char text[5];
	int fd;

	(void)state;
	sem_init(&s.sem, 0, 0);
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_listen(s.loop, &at, on_guest, &s, &ln), 0);
	assert_true(listener_port(ln) > 0);
	at.port = listener_port(ln);
	assert_int_equal(loop_listen(s.loop, &at, on_guest, &s, &other),
	    -EADDRINUSE);
	assert_int_equal(loop_start(s.loop, "test"), 0);
	fd = dial(listener_port(ln), 0);
	gate_wait(&s.sem);
	assert_string_equal(addr_ip(&s.peer, ip, sizeof(ip)), "127.0.0.1");
	assert_true(s.peer.port > 0);
	put(s.fd, "hello", 5);
	close(s.fd);
	assert_int_equal(take(fd, text, 5), 5);
	assert_memory_equal(text, "hello", 5);
	expect_end(fd);
	close(fd);
	loop_stop(s.loop);
	loop_join(s.loop);
	listener_free(ln);
	loop_free(s.loop);
	sem_destroy(&s.sem);
}

static void test_both_families_may_listen_on_one_port(void **state)
{
	struct addr at = { .family = 4 };
	struct seen s = { 0 };
	struct listener *v4;
	struct listener *v6 = NULL;
	int rc;

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_listen(s.loop, &at, on_guest, &s, &v4), 0);
	at = (struct addr){ .family = 6, .port = listener_port(v4) };
	rc = loop_listen(s.loop, &at, on_guest, &s, &v6);
	/* A host without IPv6 says so. */
	assert_true(rc == 0 || rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL);
	listener_free(v6);
	listener_free(v4);
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_timer_comes_again_until_the_loop_is_stopped),
		cmocka_unit_test(test_loop_may_be_stopped_twice_in_a_turn),
		cmocka_unit_test(test_signal_is_told_in_the_loop),
		cmocka_unit_test(test_loop_of_a_thread_takes_jobs_from_others),
		cmocka_unit_test(test_listener_says_who_came),
		cmocka_unit_test(test_both_families_may_listen_on_one_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
