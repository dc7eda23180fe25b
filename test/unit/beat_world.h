/* SPDX-License-Identifier: MIT */
/*
 * A storage whose identity is settled, with two trackers that answer from a
 * script, for tests of the sessions with trackers. A second lasts 20 ms.
 */
#ifndef TEST_UNIT_BEAT_WORLD_H
#define TEST_UNIT_BEAT_WORLD_H

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

static ATTR_UNUSED void start_meta(void **state)
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

static ATTR_UNUSED void answer_join(struct fake_tracker *f, int status,
    const char *src)
{
	uint8_t body[17] = { (uint8_t)status };

	memcpy(body + 1, src, strlen(src));
	fake_answers(f, CMD_join, 0, body, sizeof(body));
}

static ATTR_UNUSED struct fake_tracker *willing_tracker(void)
{
	struct fake_tracker *f = fake_start();

	fake_says(f, CMD_get_my_ip, "10.0.0.9");
	answer_join(f, MEMBER_INIT, "");
	fake_answers(f, CMD_beat, 0, "", 1);
	fake_answers(f, CMD_report_disk_usage, 0, "", 1);
	return f;
}

/* What identity.c would have found out. */
static ATTR_UNUSED void be_somebody(const char *base)
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

static ATTR_UNUSED int world_new(void **state)
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
	synced_init(&st.synced);
	start_meta(state);
	for (size_t i = 0; i < FAKES; i++) {
		fakes[i] = willing_tracker();
		st.conf.trackers[i] =
		    (struct tracker_entry){ { fakes[i]->at }, 1 };
	}
	st.conf.n_trackers = 1;
	return 0;
}

static ATTR_UNUSED int world_free(void **state)
{
	if (st.beat)
		beat_stop(st.beat);
	for (size_t i = 0; i < FAKES; i++)
		fake_end(fakes[i]);
	catalogue_stop(st.catalogue);
	writer_stop(st.log);
	identity_fini(&st.me);
	synced_fini(&st.synced);
	return tear_down(state);
}

static ATTR_UNUSED void start(void)
{
	assert_int_equal(beat_start_paced(&st, SECOND_MS, &st.beat), 0);
}

static ATTR_UNUSED void be_settled(const char *src, int64_t until)
{
	assert_int_equal(
	    identity_set_source(&st.me, &st.conf, true, src, until), 0);
}

/* Until the session with tracker i is joined with that status. */
static ATTR_UNUSED void wait_status(size_t i, int status)
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
static ATTR_UNUSED void said(struct fake_tracker *f, const uint8_t *commands,
    size_t n)
{
	(void)fake_wait(f, commands[n - 1], 1);
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(f->seen[i].command, commands[i]);
		assert_int_equal(f->seen[i].conn, f->seen[0].conn);
	}
	pthread_mutex_unlock(&f->lock);
}

static ATTR_UNUSED struct msg_join join_of(struct fake_question *q)
{
	struct msg_join m;

	assert_int_equal(msg_decode(&MSG(join), q->body, q->n, &m, NULL), 0);
	return m;
}

static ATTR_UNUSED void flag_file_has(void **state, const char *text)
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

static ATTR_UNUSED void notice_add(struct notice *nt, const char *id,
    int status, int port)
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

static ATTR_UNUSED struct notice notice_of(const struct fake_tracker *leader)
{
	struct notice nt = { { leader ? 5 : 4 }, 1 };

	if (leader)
		notice_add(&nt, "127.0.0.1", 0, leader->at.port);
	return nt;
}

static ATTR_UNUSED void send_notice(struct fake_tracker *f,
    const struct notice *nt)
{
	fake_answers(f, CMD_beat, 0, nt->body, nt->n);
}

#endif
