/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* The sessions with the trackers, against trackers that answer from a script:
 * what is said in which order, what is done with the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/beat_world.h"

/* --- joining --- */

static void test_a_first_storage_says_what_the_protocol_says(void **state)
{
	static const uint8_t order[] = { CMD_get_my_ip, CMD_join,
		CMD_sync_dest_req, CMD_sync_notify, CMD_beat, CMD_changelog_req,
		CMD_report_disk_usage };

	start();
	said(fakes[0], order, ARRAY_LEN(order));
	wait_status(0, MEMBER_ACTIVE);
	flag_file_has(state, "sync_old_done=1\nsync_src_server=\n");
}

static void test_join_tells_who_we_are(void **state)
{
	struct fake_question q;
	struct msg_join m;
	char tracker[64];

	(void)state;
	start();
	q = fake_wait(fakes[0], CMD_join, 1);
	m = join_of(&q);
	snprintf(tracker, sizeof(tracker), "127.0.0.1:%u\n", fakes[0]->at.port);
	assert_string_equal(m.group, "group1");
	assert_int_equal(m.storage_port, 23000);
	assert_int_equal(m.store_path_count, 1);
	assert_int_equal(m.subdir_count_per_path, 4);
	assert_int_equal(m.upload_priority, 10);
	assert_int_equal(m.join_time, st.me.join_time);
	assert_int_equal(m.up_time, 1795330001);
	assert_string_equal(m.version, "6.16.1");
	assert_int_equal(m.init_flag, 1);
	assert_int_equal(m.status, 0);
	assert_string_equal(m.storage_id, "");
	assert_string_equal(m.tracker_ip, "127.0.0.1");
	assert_int_equal(m.tracker_count, 1);
	assert_true(span_eq(m.trackers, tracker));
}

static void test_the_id_is_told_where_storages_have_ids(void **state)
{
	struct fake_question q;

	(void)state;
	st.me.params.use_storage_id = true;
	str_copy(st.me.id, sizeof(st.me.id), "100001");
	start();
	q = fake_wait(fakes[0], CMD_join, 1);
	assert_string_equal(join_of(&q).storage_id, "100001");
}

static void test_a_settled_storage_names_its_source(void **state)
{
	static const uint8_t order[] = { CMD_get_my_ip, CMD_join,
		CMD_sync_notify, CMD_beat };
	struct fake_question q;

	(void)state;
	be_settled("10.0.0.7", 77);
	answer_join(fakes[0], MEMBER_ONLINE, "10.0.0.7");
	start();
	said(fakes[0], order, ARRAY_LEN(order));
	q = fake_wait(fakes[0], CMD_join, 1);
	assert_int_equal(join_of(&q).init_flag, 0);
	q = fake_wait(fakes[0], CMD_sync_notify, 1);
	assert_int_equal(q.n, 24);
	assert_memory_equal(q.body,
	    "10.0.0.7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x4d", 24);
	assert_int_equal(fake_count(fakes[0], CMD_sync_dest_req), 0);
}

static void test_a_tracker_without_our_source_is_told_twice(void **state)
{
	static const uint8_t order[] = { CMD_get_my_ip, CMD_join,
		CMD_sync_notify, CMD_sync_notify, CMD_beat };

	(void)state;
	be_settled("10.0.0.7", 77);
	start();
	said(fakes[0], order, ARRAY_LEN(order));
	wait_status(0, MEMBER_WAIT_SYNC);
}

static void test_one_tracker_alone_is_asked_for_the_source(void **state)
{
	struct fake_question q;

	for (size_t i = 0; i < FAKES; i++)
		fake_answers(fakes[i], CMD_sync_dest_req, 0,
		    "10.0.0.7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x4d", 24);
	st.conf.n_trackers = 2;
	start();
	wait_status(0, MEMBER_WAIT_SYNC);
	wait_status(1, MEMBER_WAIT_SYNC);
	assert_int_equal(fake_count(fakes[0], CMD_sync_dest_req) +
	                     fake_count(fakes[1], CMD_sync_dest_req),
	    1);
	for (size_t i = 0; i < FAKES; i++) {
		q = fake_wait(fakes[i], CMD_sync_notify, 1);
		assert_string_equal((char *)q.body, "10.0.0.7");
	}
	flag_file_has(state, "sync_old_done=1\nsync_src_server=10.0.0.7\n"
	                     "sync_until_timestamp=77\n");
}

static void test_status_is_unknown_until_every_tracker_answered(void **state)
{
	struct fake_question q;

	(void)state;
	st.conf.n_trackers = 2;
	fake_answers(fakes[1], CMD_join, FAKE_HANGS_UP, NULL, 0);
	fake_answers(fakes[0], CMD_join, EFAULT, NULL, 0);
	start();
	q = fake_wait(fakes[0], CMD_join, 1);
	assert_int_equal(join_of(&q).status, 0xff);
	q = fake_wait(fakes[0], CMD_join, 2);
	assert_int_equal(join_of(&q).status, 0xff);
	/* An error is an answer. */
	fake_answers(fakes[1], CMD_join, EFAULT, NULL, 0);
	(void)fake_wait(fakes[1], CMD_join, fake_count(fakes[1], CMD_join) + 2);
	q = fake_wait(fakes[0], CMD_join, fake_count(fakes[0], CMD_join) + 2);
	assert_int_equal(join_of(&q).status, MEMBER_INIT);
}

static void test_a_source_that_is_not_there_yet_is_asked_for_again(void **state)
{
	(void)state;
	fake_answers(fakes[0], CMD_sync_dest_req, ENOENT, NULL, 0);
	start();
	(void)fake_wait(fakes[0], CMD_sync_dest_req, 2);
	assert_int_equal(fake_count(fakes[0], CMD_beat), 0);
	fake_answers(fakes[0], CMD_sync_dest_req, 0, NULL, 0);
	wait_status(0, MEMBER_ACTIVE);
}

static void test_a_tracker_that_sees_another_address_is_not_joined(void **state)
{
	(void)state;
	fake_says(fakes[0], CMD_get_my_ip, "10.0.0.99");
	start();
	(void)fake_wait(fakes[0], CMD_get_my_ip, 2);
	assert_int_equal(fake_count(fakes[0], CMD_join), 0);
	assert_true(warned(state, "10.0.0.99"));
	fake_says(fakes[0], CMD_get_my_ip, "10.0.0.9");
	wait_status(0, MEMBER_ACTIVE);
}

static void test_a_new_address_is_told_before_joining(void **state)
{
	struct fake_question q;
	unsigned conn;

	str_copy(st.me.old_ip, sizeof(st.me.old_ip), "10.0.0.8");
	fake_answers(fakes[0], CMD_report_ip_changed, EIO, NULL, 0);
	start();
	(void)fake_wait(fakes[0], CMD_report_ip_changed, 2);
	assert_int_equal(fake_count(fakes[0], CMD_join), 0);
	fake_answers(fakes[0], CMD_report_ip_changed, EALREADY, NULL, 0);
	conn = fake_wait(fakes[0], CMD_join, 1).conn;
	q = fake_wait(fakes[0], CMD_report_ip_changed, 1);
	assert_int_not_equal(q.conn, conn);
	assert_int_equal(q.n, 108);
	assert_string_equal((char *)q.body, "group1");
	assert_string_equal((char *)q.body + 16, "10.0.0.8");
	assert_string_equal((char *)q.body + 62, "10.0.0.9");
	flag_file_has(state, "last_ip_addr=10.0.0.9\n");
}

/* --- a source that is gone --- */

static void test_a_source_the_leader_does_not_know_is_forgotten(void **state)
{
	struct notice brief = { .n = 0 };
	struct fake_question q;

	notice_add(&brief, "10.0.0.9", MEMBER_WAIT_SYNC, 23000);
	be_settled("10.0.0.7", 77);
	fake_answers(fakes[0], CMD_sync_notify, ENOENT, NULL, 0);
	fake_answers(fakes[0], CMD_tracker_get_status, 0,
	    "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
	fake_answers(fakes[0], CMD_get_storage_status, 0, brief.body, brief.n);
	start();
	(void)fake_wait(fakes[0], CMD_sync_dest_query, 1);
	fake_answers(fakes[0], CMD_sync_notify, 0, NULL, 0);
	q = fake_wait(fakes[0], CMD_join, 2);
	assert_int_equal(join_of(&q).init_flag, 1);
	wait_status(0, MEMBER_ACTIVE);
	flag_file_has(state, "sync_old_done=1\nsync_src_server=\n");
}

static void test_a_deleted_source_in_the_changelog_is_forgotten(void **state)
{
	be_settled("10.0.0.7", 77);
	/* The line comes in two halves; other groups do not count. */
	fake_says_once(fakes[0], CMD_changelog_req,
	    "1795330250 group2 10.0.0.7 4 \n1795330250 group1 10.0.");
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	flag_file_has(state, "sync_src_server=10.0.0.7\n");
	fake_says_once(fakes[0], CMD_changelog_req, "0.7 4 \n");
	(void)fake_wait(fakes[0], CMD_changelog_req,
	    fake_count(fakes[0], CMD_changelog_req) + 2);
	flag_file_has(state, "sync_src_server=\n");
}

static void test_a_source_with_a_new_address_is_followed(void **state)
{
	be_settled("10.0.0.7", 77);
	fake_says(fakes[0], CMD_changelog_req,
	    "1795330300 group1 10.0.0.7 3 10.0.0.17\n");
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	flag_file_has(state,
	    "sync_src_server=10.0.0.17\nsync_until_timestamp=77\n");
}

/* --- reports --- */

static size_t blocks_sent(struct fake_tracker *f)
{
	size_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n_seen; i++)
		n += f->seen[i].command == CMD_beat && f->seen[i].n == 348;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void test_statistics_come_when_they_moved(void **state)
{
	struct fake_tracker *f = fakes[0];

	(void)state;
	start();
	assert_int_equal(fake_wait(f, CMD_beat, 1).n, 348);
	assert_int_equal(fake_wait(f, CMD_beat, 2).n, 0);
	assert_int_equal(blocks_sent(f), 1);
	__atomic_fetch_add(&st.stat_changes, 1, __ATOMIC_RELAXED);
	(void)fake_wait(f, CMD_beat, fake_count(f, CMD_beat) + 3);
	assert_int_equal(blocks_sent(f), 2);
}

static void test_space_is_told_in_mebibytes(void **state)
{
	struct fake_question q;

	(void)state;
	start();
	q = fake_wait(fakes[0], CMD_report_disk_usage, 1);
	assert_int_equal(q.n, 16);
	assert_memory_equal(q.body, "\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\x28", 16);
}

static void test_no_changelog_where_addresses_do_not_change(void **state)
{
	(void)state;
	st.me.params.ip_changed_auto_adjust = false;
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	assert_int_equal(fake_count(fakes[0], CMD_changelog_req), 0);
}

static void test_a_lost_connection_is_made_again(void **state)
{
	fake_answers(fakes[0], CMD_beat, FAKE_HANGS_UP, NULL, 0);
	start();
	(void)fake_wait(fakes[0], CMD_beat, 1);
	fake_answers(fakes[0], CMD_beat, 0, "", 1);
	(void)fake_wait(fakes[0], CMD_join, 2);
	wait_status(0, MEMBER_ACTIVE);
	assert_true(warned(state, "tracker_lost"));
}

static void test_an_answer_of_odd_length_ends_the_session(void **state)
{
	(void)state;
	fake_answers(fakes[0], CMD_beat, 0, "\4odd", 4);
	start();
	(void)fake_wait(fakes[0], CMD_join, 2);
}

/* --- what trackers tell back --- */

static void test_members_are_kept_and_ended_ones_ignored(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct msg_brief m[4];

	(void)state;
	notice_add(&nt, "10.0.0.7", MEMBER_ACTIVE, 23000);
	notice_add(&nt, "10.0.0.8", MEMBER_DELETED, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	assert_int_equal(beat_members(st.beat, m, 4), 2);
	assert_string_equal(m[0].id, "10.0.0.7");
	assert_int_equal(m[0].status, MEMBER_ACTIVE);
	assert_string_equal(m[1].id, "10.0.0.9");
	assert_int_equal(beat_members(st.beat, m, 1), 1);
}

static void test_an_older_opinion_of_a_tracker_is_answered(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct fake_question q;

	(void)state;
	notice_add(&nt, "10.0.0.7", MEMBER_ACTIVE, 23000);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	nt = notice_of(NULL);
	notice_add(&nt, "10.0.0.9", MEMBER_WAIT_SYNC, 23000);
	send_notice(fakes[0], &nt);
	q = fake_wait(fakes[0], CMD_replica_chg, 1);
	/* Ours, and the one that the list lacks. */
	assert_int_equal(q.n, 2 * 67);
	assert_int_equal(q.body[0], MEMBER_ACTIVE);
	assert_string_equal((char *)q.body + 5, "10.0.0.9");
	assert_string_equal((char *)q.body + 67 + 5, "10.0.0.7");
	fake_answers(fakes[0], CMD_beat, 0, "", 1);
	q = fake_wait(fakes[0], CMD_join, 2);
	assert_int_equal(join_of(&q).status, MEMBER_ACTIVE);
}

static void test_a_follower_is_told_what_the_leader_thinks(void **state)
{
	struct notice nt = notice_of(fakes[0]);
	struct fake_question q;

	(void)state;
	st.conf.n_trackers = 2;
	be_settled("10.0.0.7", 77);
	notice_add(&nt, "10.0.0.9", MEMBER_ACTIVE, 23000);
	send_notice(fakes[0], &nt);
	answer_join(fakes[0], MEMBER_ONLINE, "10.0.0.7");
	answer_join(fakes[1], MEMBER_WAIT_SYNC, "10.0.0.7");
	start();
	q = fake_wait(fakes[1], CMD_change_status, 1);
	assert_int_equal(q.n, 1);
	assert_int_equal(q.body[0], MEMBER_ACTIVE);
	answer_join(fakes[1], MEMBER_ONLINE, "10.0.0.7");
	(void)fake_wait(fakes[1], CMD_join, 2);
	wait_status(1, MEMBER_ACTIVE);
	assert_int_equal(fake_count(fakes[0], CMD_change_status), 0);
}

static void test_two_leaders_are_told_to_choose(void **state)
{
	struct notice first = notice_of(fakes[0]);
	struct notice second = notice_of(fakes[1]);

	(void)state;
	st.conf.n_trackers = 2;
	first.body[0] = 1;
	second.body[0] = 1;
	fake_answers(fakes[0], CMD_tracker_get_status, 0,
	    "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
	send_notice(fakes[0], &first);
	start();
	(void)fake_wait(fakes[0], CMD_report_disk_usage, 1);
	send_notice(fakes[1], &second);
	(void)fake_wait(fakes[0], CMD_notify_reselect_leader, 1);
	(void)fake_wait(fakes[1], CMD_notify_reselect_leader, 1);
}

/* --- the end --- */

/* network_timeout is an hour: only an early end of the wait ends this. */
static void test_stop_ends_a_wait_for_an_answer(void **state)
{
	(void)state;
	fake_answers(fakes[0], CMD_join, FAKE_IS_SILENT, NULL, 0);
	start();
	(void)fake_wait(fakes[0], CMD_join, 1);
	beat_stop(st.beat);
	st.beat = NULL;
}

static void test_stop_ends_a_pause(void **state)
{
	(void)state;
	st.conf.heart_beat_interval = 3600;
	fake_answers(fakes[0], CMD_join, EINVAL, NULL, 0);
	start();
	(void)fake_wait(fakes[0], CMD_join, 1);
	beat_stop(st.beat);
	st.beat = NULL;
}

#define W(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		W(test_a_first_storage_says_what_the_protocol_says),
		W(test_join_tells_who_we_are),
		W(test_the_id_is_told_where_storages_have_ids),
		W(test_a_settled_storage_names_its_source),
		W(test_a_tracker_without_our_source_is_told_twice),
		W(test_one_tracker_alone_is_asked_for_the_source),
		W(test_status_is_unknown_until_every_tracker_answered),
		W(test_a_source_that_is_not_there_yet_is_asked_for_again),
		W(test_a_tracker_that_sees_another_address_is_not_joined),
		W(test_a_new_address_is_told_before_joining),
		W(test_a_source_the_leader_does_not_know_is_forgotten),
		W(test_a_deleted_source_in_the_changelog_is_forgotten),
		W(test_a_source_with_a_new_address_is_followed),
		W(test_statistics_come_when_they_moved),
		W(test_space_is_told_in_mebibytes),
		W(test_no_changelog_where_addresses_do_not_change),
		W(test_a_lost_connection_is_made_again),
		W(test_an_answer_of_odd_length_ends_the_session),
		W(test_members_are_kept_and_ended_ones_ignored),
		W(test_an_older_opinion_of_a_tracker_is_answered),
		W(test_a_follower_is_told_what_the_leader_thinks),
		W(test_two_leaders_are_told_to_choose),
		W(test_stop_ends_a_wait_for_an_answer),
		W(test_stop_ends_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
