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

static size_t count_with_id(struct fake_tracker *f)
{
	size_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n_seen; i++)
		n += f->seen[i].command == CMD_changelog_req &&
		     f->seen[i].n == 32;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void test_a_restart_reads_the_changes_before_joining(void **state)
{
	unsigned conn;

	be_settled("10.0.0.6", 5);
	st.me.first_run = false;
	fake_says_once(fakes[0], CMD_changelog_req,
	    "1795330250 group1 10.0.0.6 3 10.0.0.66\n");
	start();
	conn = fake_wait(fakes[0], CMD_join, 1).conn;
	assert_int_not_equal(fake_wait(fakes[0], CMD_changelog_req, 1).conn,
	    conn);
	assert_int_equal(count_with_id(fakes[0]), 1);
	flag_file_has(state, "sync_src_server=10.0.0.66\n");
	/* Once a start, not once a connection. */
	fake_answers(fakes[0], CMD_beat, FAKE_HANGS_UP, NULL, 0);
	(void)fake_wait(fakes[0], CMD_join, 2);
	assert_int_equal(count_with_id(fakes[0]), 1);
}

static void test_a_first_run_has_no_changes_to_read(void **state)
{
	(void)state;
	st.me.first_run = true;
	start();
	(void)fake_wait(fakes[0], CMD_join, 1);
	assert_int_equal(count_with_id(fakes[0]), 0);
}

/* --- 89 --- */

static void test_progress_is_told_a_round_late_for_every_member(void **state)
{
	struct fake_question q;

	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	assert_int_equal(fake_count(fakes[0], CMD_sync_report), 0);
	synced_note(&st.synced, "10.0.0.7", 0x6b028e24);
	synced_note(&st.synced, "10.0.0.5", 0x6b028e25);
	q = fake_wait(fakes[0], CMD_sync_report, 1);
	assert_int_equal(q.n, 40);
	assert_memory_equal(q.body,
	    "10.0.0.7\0\0\0\0\0\0\0\0\x6b\x02\x8e\x24"
	    "10.0.0.9\0\0\0\0\0\0\0\0\0\0\0\0",
	    40);
	assert_int_equal(fake_wait(fakes[1], CMD_sync_report, 1).n, 40);
}

static void test_progress_that_did_not_move_is_not_told_again(void **state)
{
	size_t beats;

	(void)state;
	synced_note(&st.synced, "10.0.0.7", 1795330250);
	start_with_peer(MEMBER_ACTIVE);
	(void)fake_wait(fakes[0], CMD_sync_report, 1);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 4);
	assert_int_equal(fake_count(fakes[0], CMD_sync_report), 1);
	/* A tracker that is joined again may have lost it. */
	fake_answers(fakes[0], CMD_report_disk_usage, FAKE_HANGS_UP, NULL, 0);
	(void)fake_wait(fakes[0], CMD_sync_report, 2);
}

/* --- hazard 8 --- */

static void test_a_complete_storage_repairs_a_stale_status(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct fake_question q;
	size_t told;

	be_settled("10.0.0.7", 77);
	start_with_peer(MEMBER_ACTIVE);
	told = fake_count(fakes[0], CMD_sync_notify);
	notice_add(&nt, "10.0.0.7", MEMBER_ACTIVE, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_WAIT_SYNC, 23000);
	answer_join(fakes[0], MEMBER_WAIT_SYNC, "10.0.0.7");
	send_notice(fakes[0], &nt);
	q = fake_wait(fakes[0], CMD_sync_notify, told + 1);
	assert_int_equal(q.body[0], 0);
	fake_answers(fakes[0], CMD_beat, 0, "", 1);
	wait_status(0, MEMBER_ACTIVE);
	flag_file_has(state, "sync_src_server=10.0.0.7\n");
	/* Said once: later it names its source as before. */
	answer_join(fakes[0], MEMBER_ONLINE, "10.0.0.7");
	told = fake_count(fakes[0], CMD_sync_notify);
	fake_answers(fakes[0], CMD_beat, FAKE_HANGS_UP, NULL, 0);
	do {
		q = fake_wait(fakes[0], CMD_sync_notify, ++told);
	} while (q.body[0] == 0 && told < 100);
	assert_string_equal((char *)q.body, "10.0.0.7");
}

static void test_a_storage_taken_as_new_waits_to_be_filled(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct fake_question q;
	size_t told;
	size_t beats;

	(void)state;
	be_settled("10.0.0.7", 77);
	start_with_peer(MEMBER_ACTIVE);
	/* It was deleted meanwhile: its JOIN makes it new. */
	answer_join(fakes[0], MEMBER_INIT, "");
	notice_add(&nt, "10.0.0.7", MEMBER_ACTIVE, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_WAIT_SYNC, 23000);
	told = fake_count(fakes[0], CMD_sync_notify);
	fake_answers(fakes[0], CMD_beat, FAKE_HANGS_UP, NULL, 0);
	q = fake_wait(fakes[0], CMD_sync_notify, told + 1);
	assert_string_equal((char *)q.body, "10.0.0.7");
	answer_join(fakes[0], MEMBER_WAIT_SYNC, "10.0.0.7");
	send_notice(fakes[0], &nt);
	wait_status(0, MEMBER_WAIT_SYNC);
	beats = fake_count(fakes[0], CMD_beat);
	(void)fake_wait(fakes[0], CMD_beat, beats + 3);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.9"),
	    MEMBER_WAIT_SYNC);
	told = fake_count(fakes[0], CMD_sync_notify);
	assert_string_equal(
	    (char *)fake_wait(fakes[0], CMD_sync_notify, told).body,
	    "10.0.0.7");
}

/* --- trackers die and return --- */

static void set_dead(struct fake_tracker *f, bool dead)
{
	static const uint8_t commands[] = { CMD_get_my_ip, CMD_join, CMD_beat,
		CMD_sync_notify, CMD_changelog_req, CMD_report_disk_usage };

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fake_answers(f, commands[i], dead ? FAKE_HANGS_UP : 0, NULL, 0);
	if (dead)
		return;
	fake_says(f, CMD_get_my_ip, "10.0.0.9");
	answer_join(f, MEMBER_ONLINE, "");
	fake_answers(f, CMD_beat, 0, "", 1);
}

static void test_another_leader_is_followed_when_the_first_dies(void **state)
{
	struct notice nt = notice_of(fakes[1]);
	size_t beats;

	(void)state;
	start_with_peer(MEMBER_ACTIVE);
	wait_status(1, MEMBER_ACTIVE);
	set_dead(fakes[0], true);
	fake_answers(fakes[0], CMD_tracker_get_status, FAKE_HANGS_UP, NULL, 0);
	notice_add(&nt, "10.0.0.7", MEMBER_OFFLINE, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[1], &nt);
	beats = fake_count(fakes[1], CMD_beat);
	(void)fake_wait(fakes[1], CMD_beat, beats + 2);
	assert_int_equal(beat_member_status(st.beat, "10.0.0.7"),
	    MEMBER_OFFLINE);
	assert_int_equal(fake_count(fakes[1], CMD_join), 1);
	set_dead(fakes[0], false);
	wait_status(0, MEMBER_ACTIVE);
	assert_int_equal(fake_count(fakes[0], CMD_notify_reselect_leader), 0);
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
		W(test_a_restart_reads_the_changes_before_joining),
		W(test_a_first_run_has_no_changes_to_read),
		W(test_progress_is_told_a_round_late_for_every_member),
		W(test_progress_that_did_not_move_is_not_told_again),
		W(test_a_complete_storage_repairs_a_stale_status),
		W(test_a_storage_taken_as_new_waits_to_be_filled),
		W(test_another_leader_is_followed_when_the_first_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
