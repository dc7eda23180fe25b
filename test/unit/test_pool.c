/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/macros.h"
#include "base/pool.h"

struct taker {
	struct pool_waiter waiter;
	struct pool *pool;
	void *block;
	int called;
	int wants;
};

static void take(struct pool_waiter *w)
{
	struct taker *t = container_of(w, struct taker, waiter);

	t->called++;
	if (t->wants)
		t->block = pool_get(t->pool);
}

static struct taker taker(struct pool *p, int wants)
{
	return (struct taker){ .waiter = { .ready = take },
		.pool = p,
		.wants = wants };
}

static void test_pool_gives_blocks_up_to_its_cap(void **state)
{
	struct pool p;
	void *a;
	void *b;

	(void)state;
	pool_init(&p, 8192, 2);
	a = pool_get(&p);
	b = pool_get(&p);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	memset(a, 1, 8192);
	memset(b, 2, 8192);
	assert_null(pool_get(&p));
	assert_int_equal(p.out, 2);
	pool_put(&p, a);
	pool_put(&p, b);
	assert_int_equal(p.out, 0);
	assert_int_equal(p.made, 2);
	pool_fini(&p);
}

static void test_block_returned_last_is_given_first(void **state)
{
	struct pool p;
	void *a;
	void *b;

	(void)state;
	pool_init(&p, 64, 2);
	a = pool_get(&p);
	b = pool_get(&p);
	pool_put(&p, a);
	pool_put(&p, b);
	assert_ptr_equal(pool_get(&p), b);
	assert_ptr_equal(pool_get(&p), a);
	pool_put(&p, a);
	pool_put(&p, b);
	pool_fini(&p);
}

static void test_waiters_are_called_in_line_one_a_block(void **state)
{
	struct pool p;
	struct taker t[2];
	void *a;

	(void)state;
	pool_init(&p, 64, 1);
	a = pool_get(&p);
	t[0] = taker(&p, 1);
	t[1] = taker(&p, 1);
	pool_wait(&p, &t[0].waiter);
	pool_wait(&p, &t[1].waiter);
	pool_wait(&p, &t[0].waiter);
	pool_put(&p, a);
	assert_int_equal(t[0].called, 1);
	assert_int_equal(t[1].called, 0);
	pool_put(&p, t[0].block);
	assert_int_equal(t[0].called, 1);
	assert_int_equal(t[1].called, 1);
	pool_put(&p, t[1].block);
	pool_fini(&p);
}

static void test_waiter_that_takes_nothing_does_not_block_the_next(void **state)
{
	struct pool p;
	struct taker t[2];
	void *a;

	(void)state;
	pool_init(&p, 64, 1);
	a = pool_get(&p);
	t[0] = taker(&p, 0);
	t[1] = taker(&p, 1);
	pool_wait(&p, &t[0].waiter);
	pool_wait(&p, &t[1].waiter);
	pool_put(&p, a);
	assert_int_equal(t[0].called, 1);
	assert_int_equal(t[1].called, 1);
	assert_ptr_equal(t[1].block, a);
	pool_put(&p, a);
	pool_fini(&p);
}

static void wait_again(struct pool_waiter *w)
{
	struct taker *t = container_of(w, struct taker, waiter);

	t->called++;
	pool_wait(t->pool, w);
}

static void test_waiter_that_waits_again_is_not_called_for_ever(void **state)
{
	struct pool p;
	struct taker t;
	void *a;

	(void)state;
	pool_init(&p, 64, 1);
	a = pool_get(&p);
	t = taker(&p, 0);
	t.waiter.ready = wait_again;
	pool_wait(&p, &t.waiter);
	pool_put(&p, a);
	assert_int_equal(t.called, 1);
	pool_unwait(&p, &t.waiter);
	pool_fini(&p);
}

static void test_waiter_that_left_the_line_is_not_called(void **state)
{
	struct pool p;
	struct taker t[3];
	void *a;

	(void)state;
	pool_init(&p, 64, 1);
	a = pool_get(&p);
	for (size_t i = 0; i < 3; i++) {
		t[i] = taker(&p, 1);
		pool_wait(&p, &t[i].waiter);
	}
	pool_unwait(&p, &t[2].waiter);
	pool_unwait(&p, &t[0].waiter);
	pool_unwait(&p, &t[0].waiter);
	pool_wait(&p, &t[0].waiter);
	pool_put(&p, a);
	assert_int_equal(t[0].called, 0);
	assert_int_equal(t[1].called, 1);
	pool_put(&p, a);
	assert_int_equal(t[0].called, 1);
	assert_int_equal(t[2].called, 0);
	pool_put(&p, a);
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_gives_blocks_up_to_its_cap),
		cmocka_unit_test(test_block_returned_last_is_given_first),
		cmocka_unit_test(test_waiters_are_called_in_line_one_a_block),
		cmocka_unit_test(
		    test_waiter_that_takes_nothing_does_not_block_the_next),
		cmocka_unit_test(
		    test_waiter_that_waits_again_is_not_called_for_ever),
		cmocka_unit_test(test_waiter_that_left_the_line_is_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
