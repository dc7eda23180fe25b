/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mailbox.h"

struct numbered {
	struct job job;
	int number;
	_Atomic int runs;
	char thread[16];
	int term_blocked;
};

static int order[8];
static size_t order_n;

static void note_order(struct job *job)
{
	order[order_n++] = container_of(job, struct numbered, job)->number;
}

static int readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

static void test_jobs_come_out_in_the_order_they_went_in(void **state)
{
	struct numbered jobs[3] = { { .number = 1 }, { .number = 2 },
		{ .number = 3 } };
	struct mailbox m;

	(void)state;
	assert_int_equal(mailbox_init(&m), 0);
	order_n = 0;
	for (size_t i = 0; i < 3; i++) {
		jobs[i].job.done = note_order;
		mailbox_post(&m, &jobs[i].job);
	}
	assert_int_equal(mailbox_run(&m), 3);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(order[2], 3);
	assert_int_equal(mailbox_run(&m), 0);
	mailbox_fini(&m);
}

static void test_owner_is_woken_once_for_a_burst(void **state)
{
	struct numbered jobs[2];
	struct mailbox m;
	uint64_t count = 0;

	(void)state;
	memset(jobs, 0, sizeof(jobs));
	assert_int_equal(mailbox_init(&m), 0);
	assert_int_equal(readable(m.fd, 0), 0);
	mailbox_post(&m, &jobs[0].job);
	mailbox_post(&m, &jobs[1].job);
	assert_int_equal(readable(m.fd, 0), 1);
	assert_int_equal(read(m.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_ptr_equal(mailbox_take(&m), &jobs[0].job);
	assert_ptr_equal(jobs[0].job.next, &jobs[1].job);
	assert_null(jobs[1].job.next);
	mailbox_fini(&m);
}

static void test_take_clears_the_signal_and_the_next_post_sets_it(void **state)
{
	struct numbered one;
	struct mailbox m;

	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(mailbox_init(&m), 0);
	mailbox_post(&m, &one.job);
	assert_ptr_equal(mailbox_take(&m), &one.job);
	assert_int_equal(readable(m.fd, 0), 0);
	mailbox_post(&m, &one.job);
	assert_int_equal(readable(m.fd, 0), 1);
	mailbox_fini(&m);
}

static void run_and_go_home(struct job *job)
{
	struct numbered *n = container_of(job, struct numbered, job);
	sigset_t blocked;

	pthread_getname_np(pthread_self(), n->thread, sizeof(n->thread));
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	n->term_blocked = sigismember(&blocked, SIGTERM);
	atomic_fetch_add(&n->runs, 1);
	job_go_home(job);
}

static void count_home(struct job *job)
{
	(void)job;
	order_n++;
}

static void test_jobs_run_in_workers_and_come_home(void **state)
{
	enum { JOBS = 1000 };
	struct numbered *jobs = calloc(JOBS, sizeof(*jobs));
	struct mailbox home;
	struct crew *c = NULL;

	(void)state;
	assert_int_equal(mailbox_init(&home), 0);
	assert_int_equal(crew_new(4, "disk", &c), 0);
	order_n = 0;
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i].job.run = run_and_go_home;
		jobs[i].job.done = count_home;
		jobs[i].job.home = &home;
		crew_submit(c, &jobs[i].job);
	}
	while (order_n < JOBS) {
		assert_int_equal(readable(home.fd, 10000), 1);
		mailbox_run(&home);
	}
	for (size_t i = 0; i < JOBS; i++) {
		assert_int_equal(jobs[i].runs, 1);
		assert_int_equal(jobs[i].term_blocked, 1);
		assert_memory_equal(jobs[i].thread, "disk-", 5);
	}
	crew_free(c);
	mailbox_fini(&home);
	free(jobs);
}

/* Workers that wait for one another prove that they run side by side. */
static pthread_barrier_t barrier;

static void meet(struct job *job)
{
	pthread_barrier_wait(&barrier);
	job_go_home(job);
}

static void test_as_many_workers_wake_as_there_are_jobs(void **state)
{
	struct numbered jobs[4];
	struct mailbox home;
	struct crew *c = NULL;

	(void)state;
	memset(jobs, 0, sizeof(jobs));
	pthread_barrier_init(&barrier, NULL, 4);
	assert_int_equal(mailbox_init(&home), 0);
	assert_int_equal(crew_new(4, "a-name-that-is-too-long", &c), 0);
	for (int round = 0; round < 100; round++) {
		order_n = 0;
		for (size_t i = 0; i < 4; i++) {
			jobs[i].job.run = meet;
			jobs[i].job.done = count_home;
			jobs[i].job.home = &home;
			crew_submit(c, &jobs[i].job);
		}
		while (order_n < 4) {
			assert_int_equal(readable(home.fd, 10000), 1);
			mailbox_run(&home);
		}
	}
	crew_free(c);
	mailbox_fini(&home);
	pthread_barrier_destroy(&barrier);
}

static void just_count(struct job *job)
{
	atomic_fetch_add(&container_of(job, struct numbered, job)->runs, 1);
}

static void test_crew_finishes_its_queue_before_it_ends(void **state)
{
	enum { JOBS = 500 };
	struct numbered *jobs = calloc(JOBS, sizeof(*jobs));
	struct crew *c = NULL;

	(void)state;
	assert_int_equal(crew_new(1, "one", &c), 0);
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i].job.run = just_count;
		crew_submit(c, &jobs[i].job);
	}
	crew_free(c);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(jobs[i].runs, 1);
	free(jobs);
	crew_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_come_out_in_the_order_they_went_in),
		cmocka_unit_test(test_owner_is_woken_once_for_a_burst),
		cmocka_unit_test(
		    test_take_clears_the_signal_and_the_next_post_sets_it),
		cmocka_unit_test(test_jobs_run_in_workers_and_come_home),
		cmocka_unit_test(test_as_many_workers_wake_as_there_are_jobs),
		cmocka_unit_test(test_crew_finishes_its_queue_before_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
