/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* What senders of replication ask through the sessions: the members and who
 * is told of them, statuses (76), sources (86), changes (77). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/beat_world.h"

static int changed;

static void on_change(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

static int count_changes(void)
{
	return __atomic_load_n(&changed, __ATOMIC_RELAXED);
}

static int peers_world(void **state)
{
	if (world_new(state) < 0)
		return -1;
	changed = 0;
	beat_set_watch(&st, on_change, &changed);
	st.conf.n_trackers = 2;
	be_settled("", 0);
	for (size_t i = 0; i < FAKES; i++)
		answer_join(fakes[i], MEMBER_ONLINE, "");
	return 0;
}

/* The first tracker leads and tells of one peer. */
static void start_with_peer(int status)
{
	struct notice nt = notice_of(fakes[0]);

	notice_add(&nt, "10.0.0.7", status, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
}

/* --- members --- */

static void test_a_member_has_the_status_the_leader_tells(void **state)
{
	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"),
	    MEMBER_ACTIVE);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.8"),
	    MEMBER_UNKNOWN);
	assert_int_equal(count_changes(), 1);
}

static void test_the_same_list_again_is_no_change(void **state)
{
	size_t beats;

	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 2);
	assert_int_equal(count_changes(), 1);
}

static void test_a_sender_changes_a_status(void **state)
{
	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	fake_answers(fakes[0], CMD_beat, 0, "", 1);
	beat_set_member_status(st.beat, "10.0.0.7", MEMBER_SYNCING);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"),
	    MEMBER_SYNCING);
	assert_int_equal(count_changes(), 2);
	beat_set_member_status(st.beat, "10.0.0.7", MEMBER_SYNCING);
	beat_set_member_status(st.beat, "10.0.0.8", MEMBER_SYNCING);
	assert_int_equal(count_changes(), 2);
}

static void test_a_member_whose_sender_ended_stays_ended(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct msg_brief m[4];
	size_t beats;

	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	notice_add(&nt, "10.0.0.7", MEMBER_DELETED, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 2);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"),
	    MEMBER_DELETED);
	beat_set_member_status(st.beat, "10.0.0.7", MEMBER_NONE);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 2);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"), MEMBER_NONE);
	assert_int_equal(fake_count(fakes[0], CMD_replica_chg), 0);
	/* The tracker forgets it: so do we. */
	nt = notice_of(NULL);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 2);
	assert_int_equal(beat_members(st.beat, m, 4), 1);
	assert_int_equal(fake_count(fakes[0], CMD_replica_chg), 0);
}

static void test_an_ended_member_that_returns_is_one_again(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	size_t beats;

	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	fake_answers(fakes[0], CMD_beat, 0, "", 1);
	(void)fake_wait(fakes[0], CMD_beat, fake_count(fakes[0], CMD_beat) + 1);
	beat_set_member_status(st.beat, "10.0.0.7", MEMBER_NONE);
	notice_add(&nt, "10.0.0.7", MEMBER_WAIT_SYNC, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 2);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"),
	    MEMBER_WAIT_SYNC);
}

/* --- 76 --- */

static void test_a_status_is_told_to_every_tracker_apart(void **state)
{
	struct fake_question q;

	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	assert_int_equal(
	    beat_report_status(st.beat, "10.0.0.7", MEMBER_SYNCING, NULL), 0);
	for (size_t i = 0; i < FAKES; i++) {
		q = fake_wait(fakes[i], CMD_report_status, 1);
		assert_int_equal(q.n, 83);
		assert_string_equal((char *)q.body, "group1");
		assert_memory_equal(q.body + 16, "\2\0\0\0", 5);
		assert_string_equal((char *)q.body + 21, "10.0.0.7");
		assert_string_equal((char *)q.body + 37, "10.0.0.7");
		assert_int_not_equal(q.conn,
		    fake_wait(fakes[i], CMD_join, 1).conn);
	}
}

static void test_a_status_is_told_three_times_to_a_dead_tracker(void **state)
{
	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	fake_answers(fakes[1], CMD_report_status, FAKE_HANGS_UP, NULL, 0);
	assert_int_equal(
	    beat_report_status(st.beat, "10.0.0.7", MEMBER_SYNCING, NULL), 0);
	assert_int_equal(fake_count(fakes[0], CMD_report_status), 1);
	assert_int_equal(fake_count(fakes[1], CMD_report_status), 3);
}

static void test_a_status_nobody_takes_is_a_failure(void **state)
{
	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	for (size_t i = 0; i < FAKES; i++)
		fake_answers(fakes[i], CMD_report_status, ENOENT, NULL, 0);
	assert_int_equal(
	    beat_report_status(st.beat, "10.0.0.7", MEMBER_SYNCING, NULL),
	    ENOENT);
	assert_int_equal(fake_count(fakes[0], CMD_report_status), 1);
}

/* --- waits end --- */

static bool quit;

static void *report_until_quit(void *arg)
{
	int *rc = arg;

	*rc = beat_report_status(st.beat, "10.0.0.7", MEMBER_SYNCING, &quit);
	return NULL;
}

static void set_quit(bool to)
{
	__atomic_store_n(&quit, to, __ATOMIC_RELAXED);
}

/* network_timeout is an hour: only the wish to end ends this. */
static void test_a_wait_for_a_silent_tracker_ends_by_quit(void **state)
{
	pthread_t thread;
	int rc = 0;

	(void)state;
	set_quit(false);
	start_with_peer(MEMBER_WAIT_SYNC);
	fake_answers(fakes[0], CMD_report_status, FAKE_IS_SILENT, NULL, 0);
	assert_int_equal(pthread_create(&thread, NULL, report_until_quit, &rc),
	    0);
	(void)fake_wait(fakes[0], CMD_report_status, 1);
	set_quit(true);
	pthread_join(thread, NULL);
	assert_int_equal(rc, -ECANCELED);
}

static void test_nothing_is_told_before_we_are_settled(void **state)
{
	pthread_t thread;
	int rc = 0;

	(void)state;
	set_quit(false);
	assert_int_equal(identity_set_source(&st.me, &st.conf, false, "", 0),
	    0);
	for (size_t i = 0; i < FAKES; i++)
		fake_answers(fakes[i], CMD_sync_dest_req, ENOENT, NULL, 0);
	start();
	assert_int_equal(pthread_create(&thread, NULL, report_until_quit, &rc),
	    0);
	(void)fake_wait(fakes[0], CMD_sync_dest_req, 3);
	assert_int_equal(fake_count(fakes[0], CMD_report_status), 0);
	for (size_t i = 0; i < FAKES; i++)
		fake_answers(fakes[i], CMD_sync_dest_req, 0, NULL, 0);
	pthread_join(thread, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(fake_count(fakes[0], CMD_report_status), 1);
}

/* --- 86 --- */

static void test_the_leader_says_who_fills_a_member(void **state)
{
	struct msg_sync_source src;
	struct fake_question q;

	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	fake_answers(fakes[0], CMD_sync_src_req, 0,
	    "10.0.0.9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x4d", 24);
	assert_int_equal(beat_ask_source(st.beat, "10.0.0.7", &src, NULL), 0);
	assert_string_equal(src.id, "10.0.0.9");
	assert_int_equal(src.until, 77);
	q = fake_wait(fakes[0], CMD_sync_src_req, 1);
	assert_int_equal(q.n, 32);
	assert_string_equal((char *)q.body, "group1");
	assert_string_equal((char *)q.body + 16, "10.0.0.7");
	fake_answers(fakes[0], CMD_sync_src_req, 0, NULL, 0);
	assert_int_equal(beat_ask_source(st.beat, "10.0.0.7", &src, NULL), 0);
	assert_string_equal(src.id, "");
	fake_answers(fakes[0], CMD_sync_src_req, ENOENT, NULL, 0);
	assert_int_equal(beat_ask_source(st.beat, "10.0.0.7", &src, NULL),
	    ENOENT);
	assert_int_equal(fake_count(fakes[1], CMD_sync_src_req), 0);
}

static void test_the_next_tracker_is_asked_when_one_is_dead(void **state)
{
	struct msg_sync_source src;

	(void)state;
	start_with_peer(MEMBER_WAIT_SYNC);
	fake_answers(fakes[0], CMD_sync_src_req, FAKE_HANGS_UP, NULL, 0);
	assert_int_equal(beat_ask_source(st.beat, "10.0.0.7", &src, NULL), 0);
	assert_int_equal(fake_count(fakes[1], CMD_sync_src_req), 1);
}

/* --- 77 --- */

static void test_changes_are_read_from_every_tracker(void **state)
{
	struct fake_question q;

	be_settled("10.0.0.6", 5);
	start_with_peer(MEMBER_ACTIVE);
	fake_says_once(fakes[1], CMD_changelog_req,
	    "1795330250 group1 10.0.0.6 4 \n");
	assert_int_equal(beat_read_changes(st.beat, "10.0.0.6", NULL), 0);
	flag_file_has(state, "sync_src_server=\n");
	for (size_t i = 0; i < FAKES; i++) {
		size_t asked = fake_count(fakes[i], CMD_changelog_req);

		q = fake_wait(fakes[i], CMD_changelog_req, asked);
		for (size_t k = asked; q.n != 32 && k > 0; k--)
			q = fake_wait(fakes[i], CMD_changelog_req, k);
		assert_int_equal(q.n, 32);
		assert_string_equal((char *)q.body, "group1");
		assert_string_equal((char *)q.body + 16, "10.0.0.9");
	}
}

#define W(f) cmocka_unit_test_setup_teardown(f, peers_world, world_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		W(test_a_member_has_the_status_the_leader_tells),
		W(test_the_same_list_again_is_no_change),
		W(test_a_sender_changes_a_status),
		W(test_a_member_whose_sender_ended_stays_ended),
		W(test_an_ended_member_that_returns_is_one_again),
		W(test_a_status_is_told_to_every_tracker_apart),
		W(test_a_status_is_told_three_times_to_a_dead_tracker),
		W(test_a_status_nobody_takes_is_a_failure),
		W(test_a_wait_for_a_silent_tracker_ends_by_quit),
		W(test_nothing_is_told_before_we_are_settled),
		W(test_the_leader_says_who_fills_a_member),
		W(test_the_next_tracker_is_asked_when_one_is_dead),
		W(test_changes_are_read_from_every_tracker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
