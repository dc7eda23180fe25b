/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* The sessions with the trackers, against trackers that answer from a script:
 * what is said in which order, what is done with the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/stat.h>

#include "storaged/beat_impl.h"
#include "test/unit/conf_test.h"
#include "test/unit/fake_tracker.h"
#include "test/unit/meta_names.h"

#define FAKES     2
#define SECOND_MS 20

static struct storage st;
static struct store_path store_path;
static struct fake_tracker *fakes[FAKES];

/* --- the world of a test --- */

static void start_meta(void **state)
{
	static char log_path[256];
	static char path[256];
	struct catalogue_conf cc = { .log_path = log_path,
		.path = path,
		.read_name = test_read_name,
		.group = "group1",
		.name_key = "filename" };
	char why[DB_ERR_MAX];
	struct db *db;

	snprintf(log_path, sizeof(log_path), "%s/storage.db",
	    (const char *)*state);
	snprintf(path, sizeof(path), "%s/catalogue.db", (const char *)*state);
	assert_int_equal(db_open(DB_LOG, log_path, false, &db, why), 0);
	assert_int_equal(writer_start(db, NULL, NULL, &st.log), 0);
	cc.log_writer = st.log;
	assert_int_equal(catalogue_start(&cc, &st.catalogue, why), 0);
}

static void answer_join(struct fake_tracker *f, int status, const char *src)
{
	uint8_t body[17] = { (uint8_t)status };

	memcpy(body + 1, src, strlen(src));
	fake_answers(f, CMD_join, 0, body, sizeof(body));
}

static struct fake_tracker *willing_tracker(void)
{
	struct fake_tracker *f = fake_start();

	fake_says(f, CMD_get_my_ip, "10.0.0.9");
	answer_join(f, MEMBER_INIT, "");
	fake_answers(f, CMD_beat, 0, "", 1);
	fake_answers(f, CMD_report_disk_usage, 0, "", 1);
	return f;
}

/* What identity.c would have found out. */
static void be_somebody(const char *base)
{
	static const char *paths[1];
	char path[512];

	snprintf(path, sizeof(path), "%s/data", base);
	assert_int_equal(mkdir(path, 0755), 0);
	paths[0] = base;
	st.conf.base_path = base;
	st.conf.port = 23000;
	st.conf.connect_timeout = 5;
	st.conf.network_timeout = 3600;
	st.conf.heart_beat_interval = 1;
	st.conf.stat_report_interval = 1;
	st.conf.store_path_count = 1;
	st.conf.subdir_count_per_path = 4;
	st.conf.upload_priority = 10;
	st.conf.store_paths[0] = paths[0];
	pthread_mutex_init(&st.me.lock, NULL);
	st.me.n_ips =
	    (size_t)identity_parse_ips(span_of("10.0.0.9"), st.me.ips);
	str_copy(st.me.group, sizeof(st.me.group), "group1");
	str_copy(st.me.id, sizeof(st.me.id), "10.0.0.9");
	st.me.params.ip_changed_auto_adjust = true;
	assert_int_equal(identity_load_flag(&st.me, &st.conf, err, sizeof(err)),
	    0);
}

static int world_new(void **state)
{
	if (set_up(state) < 0)
		return -1;
	memset(&st, 0, sizeof(st));
	be_somebody(*state);
	st.up_time = 1795330001;
	st.store.paths = &store_path;
	st.store.n = 1;
	atomic_store(&store_path.total, UINT64_C(100) << 20);
	atomic_store(&store_path.avail, UINT64_C(40) << 20);
	start_meta(state);
	for (size_t i = 0; i < FAKES; i++) {
		fakes[i] = willing_tracker();
		st.conf.trackers[i] =
		    (struct tracker_entry){ { fakes[i]->at }, 1 };
	}
	st.conf.n_trackers = 1;
	return 0;
}

static int world_free(void **state)
{
	if (st.beat)
		beat_stop(st.beat);
	for (size_t i = 0; i < FAKES; i++)
		fake_end(fakes[i]);
	catalogue_stop(st.catalogue);
	writer_stop(st.log);
	identity_fini(&st.me);
	return tear_down(state);
}

static void start(void)
{
	assert_int_equal(beat_start_paced(&st, SECOND_MS, &st.beat), 0);
}

static void be_settled(const char *src, int64_t until)
{
	assert_int_equal(
	    identity_set_source(&st.me, &st.conf, true, src, until), 0);
}

/* Until the session with tracker i is joined with that status. */
static void wait_status(size_t i, int status)
{
	struct beat_state states[FAKES];
	time_t begin = time(NULL);

	do {
		if (time(NULL) - begin > FAKE_GIVE_UP)
			fail_msg("tracker %zu never had us as %d", i, status);
		sched_yield();
		beat_states(st.beat, states, FAKES);
	} while (!states[i].joined || states[i].status != status);
}

/* The commands of a connection, in order, up to those n. */
static void said(struct fake_tracker *f, const uint8_t *commands, size_t n)
{
	(void)fake_wait(f, commands[n - 1], 1);
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(f->seen[i].command, commands[i]);
		assert_int_equal(f->seen[i].conn, f->seen[0].conn);
	}
	pthread_mutex_unlock(&f->lock);
}

static struct msg_join join_of(struct fake_question *q)
{
	struct msg_join m;

	assert_int_equal(msg_decode(&MSG(join), q->body, q->n, &m, NULL), 0);
	return m;
}

static void flag_file_has(void **state, const char *text)
{
	char *got = scratch_read(state, "data/.data_init_flag");

	if (!strstr(got, text))
		fail_msg("the flag file lacks '%s':\n%s", text, got);
	free(got);
}

/* A change notification: the leader, then members "id status". */
struct notice {
	uint8_t body[FAKE_ROOM];
	size_t n;
};

static void notice_add(struct notice *nt, const char *id, int status, int port)
{
	struct msg_brief m = { .status = (uint8_t)status, .port = port };
	ssize_t n;

	str_copy(m.id, sizeof(m.id), id);
	str_copy(m.ip, sizeof(m.ip), id);
	n = msg_encode(&MSG(brief), &m, nt->body + nt->n,
	    sizeof(nt->body) - nt->n);
	assert_int_equal(n, 67);
	nt->n += (size_t)n;
}

static struct notice notice_of(const struct fake_tracker *leader)
{
	struct notice nt = { { leader ? 5 : 4 }, 1 };

	if (leader)
		notice_add(&nt, "127.0.0.1", 0, leader->at.port);
	return nt;
}

static void send_notice(struct fake_tracker *f, const struct notice *nt)
{
	fake_answers(f, CMD_beat, 0, nt->body, nt->n);
}

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
