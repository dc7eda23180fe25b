/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "storaged/busy.h"

static int turns[64];
static size_t n_turns;

struct holder {
	struct busy_hold hold;
	int number;
};

static void on_turn(struct job *job)
{
	struct busy_hold *h = container_of(job, struct busy_hold, job);

	turns[n_turns++] = container_of(h, struct holder, hold)->number;
}

static struct mailbox box;
static struct busy b;

static int set_up(void **state)
{
	(void)state;
	n_turns = 0;
	busy_init(&b);
	return mailbox_init(&box);
}

static int tear_down(void **state)
{
	(void)state;
	busy_fini(&b);
	mailbox_fini(&box);
	return 0;
}

static bool take(struct holder *h, int number, const char *name)
{
	memset(h, 0, sizeof(*h));
	h->number = number;
	h->hold.job.done = on_turn;
	h->hold.job.home = &box;
	return busy_take(&b, &h->hold, span_of(name));
}

static void test_other_names_do_not_wait(void **state)
{
	static char names[1000][24];
	static struct holder h[1000];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof(names[i]), "name %d", i);
		assert_true(take(&h[i], i, names[i]));
	}
	for (int i = 0; i < 1000; i++)
		busy_drop(&b, &h[(i * 7) % 1000].hold);
	assert_int_equal(mailbox_run(&box), 0);
	assert_true(take(&h[0], 0, names[0]));
	busy_drop(&b, &h[0].hold);
}

static void test_same_name_is_handed_on_in_order_of_arrival(void **state)
{
	struct holder h[4];
	struct holder other;

	(void)state;
	assert_true(take(&h[0], 0, "name"));
	assert_true(take(&other, 9, "other"));
	for (int i = 1; i < 4; i++)
		assert_false(take(&h[i], i, "name"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mailbox_run(&box), 0);
		busy_drop(&b, &h[i].hold);
		assert_int_equal(mailbox_run(&box), 1);
		assert_int_equal(turns[i], i + 1);
	}
	busy_drop(&b, &h[3].hold);
	assert_int_equal(mailbox_run(&box), 0);
	busy_drop(&b, &other.hold);
	assert_true(take(&h[0], 0, "name"));
	busy_drop(&b, &h[0].hold);
}

static void test_metadata_and_their_file_are_one_name(void **state)
{
	struct holder h[2];

	(void)state;
	assert_true(take(&h[0], 0, "name"));
	assert_false(take(&h[1], 1, "name-m"));
	busy_drop(&b, &h[0].hold);
	assert_int_equal(mailbox_run(&box), 1);
	busy_drop(&b, &h[1].hold);
}

static void test_who_comes_behind_an_heir_waits_behind_all(void **state)
{
	struct holder h[4];

	(void)state;
	assert_true(take(&h[0], 0, "name"));
	assert_false(take(&h[1], 1, "name"));
	busy_drop(&b, &h[0].hold);
	assert_false(take(&h[2], 2, "name"));
	assert_false(take(&h[3], 3, "name"));
	for (int i = 1; i < 4; i++) {
		assert_int_equal(mailbox_run(&box), 1);
		busy_drop(&b, &h[i].hold);
	}
	assert_int_equal(n_turns, 3);
	assert_int_equal(turns[2], 3);
}

/* --- from many threads --- */

#define THREADS 4
#define ROUNDS  2000

struct racer {
	pthread_t thread;
	struct mailbox box;
	struct holder h;
	bool mine;
};

static int inside; /* guarded by the name */
static int total;

static void on_mine(struct job *job)
{
	struct busy_hold *h = container_of(job, struct busy_hold, job);
	struct holder *holder = container_of(h, struct holder, hold);

	container_of(holder, struct racer, h)->mine = true;
}

static void *race(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < ROUNDS; i++) {
		memset(&r->h, 0, sizeof(r->h));
		r->h.hold.job.done = on_mine;
		r->h.hold.job.home = &r->box;
		r->mine = busy_take(&b, &r->h.hold, span_of("name"));
		while (!r->mine)
			mailbox_run(&r->box);
		if (inside++ != 0)
			abort();
		total++;
		inside--;
		busy_drop(&b, &r->h.hold);
	}
	return NULL;
}

static void test_one_holder_at_a_time_among_threads(void **state)
{
	static struct racer r[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		mailbox_init(&r[i].box);
		pthread_create(&r[i].thread, NULL, race, &r[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		mailbox_fini(&r[i].box);
	}
	assert_int_equal(total, THREADS * ROUNDS);
}

/* --- waiting only --- */

static void test_a_name_that_nobody_holds_is_not_waited_for(void **state)
{
	struct holder other;

	(void)state;
	assert_true(take(&other, 0, "other"));
	busy_wait(&b, span_of("name"), &box);
	busy_drop(&b, &other.hold);
}

struct keeper {
	pthread_t thread;
	struct holder h;
	int *done;
};

static void *keep_and_drop(void *arg)
{
	struct keeper *k = arg;

	__atomic_store_n(k->done, 1, __ATOMIC_SEQ_CST);
	busy_drop(&b, &k->h.hold);
	return NULL;
}

static void test_who_waits_returns_when_the_holder_is_done(void **state)
{
	struct holder next;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct keeper k;
		int done = 0;

		k.done = &done;
		assert_true(take(&k.h, 0, "name"));
		pthread_create(&k.thread, NULL, keep_and_drop, &k);
		busy_wait(&b, span_of("name"), &box);
		assert_int_equal(__atomic_load_n(&done, __ATOMIC_SEQ_CST), 1);
		pthread_join(k.thread, NULL);
		/* it kept nothing */
		assert_true(take(&next, 0, "name"));
		busy_drop(&b, &next.hold);
	}
}

#define busy_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		busy_test(test_other_names_do_not_wait),
		busy_test(test_same_name_is_handed_on_in_order_of_arrival),
		busy_test(test_metadata_and_their_file_are_one_name),
		busy_test(test_who_comes_behind_an_heir_waits_behind_all),
		busy_test(test_one_holder_at_a_time_among_threads),
		busy_test(test_a_name_that_nobody_holds_is_not_waited_for),
		busy_test(test_who_waits_returns_when_the_holder_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
