/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/event.h"
#include "meta_names.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct writer *writer;
static struct catalogue *cat;
static const char *const keys[] = { "author", "it's \"odd\"" };

static struct catalogue_conf conf(void)
{
	static char log_path[128];
	static char cat_path[128];

	snprintf(log_path, sizeof(log_path), "%s/storage.db", tmp.dir);
	snprintf(cat_path, sizeof(cat_path), "%s/catalogue.db", tmp.dir);
	return (struct catalogue_conf){ .log_path = log_path,
		.path = cat_path,
		.read_name = test_read_name,
		.group = "group1",
		.name_key = "filename",
		.indexed_keys = keys,
		.n_indexed_keys = ARRAY_LEN(keys),
		.log_writer = writer };
}

static void start_writer(void)
{
	struct db *db = NULL;

	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "storage.db"), false, &db, err), 0);
	assert_int_equal(writer_start(db, NULL, NULL, &writer), 0);
}

static void start(void)
{
	struct catalogue_conf c = conf();
	const int rc = catalogue_start(&c, &cat, err);

	if (rc)
		fail_msg("%s", err);
}

static void stop(void)
{
	catalogue_stop(cat);
	cat = NULL;
}

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	start_writer();
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop();
	writer_stop(writer);
	writer = NULL;
	tmp_remove(&tmp);
	return 0;
}

static uint64_t put(struct op op)
{
	struct op_write w = { .op = op };

	op_write_init(&w);
	assert_int_equal(writer_call(writer, &w.write), 0);
	if (cat)
		catalogue_wake(cat);
	return w.op.seq;
}

/* Until everything in the log is applied. */
static void settle(void)
{
	struct catalogue_state st;
	struct db *log = NULL;
	uint64_t last;

	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "storage.db"), &log, err), 0);
	last = oplog_last(log, NULL);
	db_close(log);
	for (int i = 0; i < 30000; i++) {
		catalogue_get_state(cat, &st);
		if (st.applied >= last)
			return;
		usleep(1000);
	}
	fail_msg("applied %d of %d", (int)st.applied, (int)last);
}

/* The one value of a query, as text; "" for NULL. */
static const char *ask(const char *sql)
{
	static char answers[4][65536];
	static unsigned next;
	char *out = answers[next++ % 4];
	sqlite3 *h = NULL;
	sqlite3_stmt *st = NULL;

	assert_int_equal(sqlite3_open_v2(tmp_path(&tmp, "catalogue.db"), &h,
	                     SQLITE_OPEN_READONLY, NULL),
	    SQLITE_OK);
	if (sqlite3_prepare_v2(h, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(h));

	const int rc = sqlite3_step(st);
	const char *text =
	    rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;

	snprintf(out, 65536, "%s", text ? text : "");
	sqlite3_finalize(st);
	sqlite3_close(h);
	return out;
}

static const char *const a_file = "M00/0A/0B/n1000-1795331773-x.jpg";

static void test_uploaded_file_is_found_in_the_view(void **state)
{
	(void)state;
	start();
	put(op_make(OP_CREATE, a_file, 1000));
	settle();
	assert_string_equal(
	    ask("SELECT id || '|' || name || '|' || size || '|' || created || "
	        "'|' || type || '|' || ext || '|' || crc || '|' || source || "
	        "'|' || client || '|' || path || '|' || dir || '|' || "
	        "created_ms FROM files"),
	    "group1/M00/0A/0B/n1000-1795331773-x.jpg|n1000-1795331773-x.jpg|"
	    "1000|2026-11-22T07:16:13Z|normal|jpg|11223344|100001|10.0.0.9|0|"
	    "0A/0B|1795331773123");
}

static void test_metadata_replaces_and_names_the_file(void **state)
{
	struct op op = op_make(OP_SET_META, a_file, 0);
	(void)state;

	start();
	put(op_make(OP_CREATE, a_file, 1000));
	op.extra = span_of("author\2lin\1filename\2IMG 1.jpg\1broken\1\2x");
	put(op);
	settle();
	assert_string_equal(ask("SELECT name FROM files"), "IMG 1.jpg");
	assert_string_equal(
	    ask("SELECT group_concat(key || '=' || value, ';') FROM meta"),
	    "=x;author=lin;filename=IMG 1.jpg");
	op.extra = span_of("author\2wu");
	put(op);
	settle();
	assert_string_equal(
	    ask("SELECT group_concat(key || '=' || value, ';') FROM meta"),
	    "author=wu");
	assert_string_equal(ask("SELECT original FROM files"), "");
	op.extra = span_of("");
	put(op);
	settle();
	assert_string_equal(ask("SELECT count(*) FROM meta"), "0");
}

static void test_appends_change_size_and_forget_the_crc(void **state)
{
	static const char *name = "M00/00/00/a0-1795331773-x.log";
	struct op op = op_make(OP_APPEND, name, 30);
	(void)state;

	start();
	put(op_make(OP_CREATE, name, 10));
	settle();
	assert_string_equal(ask("SELECT crc FROM files"), "6f0c2b91");
	op.at += 5000;
	op.bytes = 20;
	put(op);
	settle();
	assert_string_equal(
	    ask("SELECT size || '|' || coalesce(crc, '-') || '|' || "
	        "(modified_ms - created_ms) FROM files"),
	    "30|-|5000");
	assert_string_equal(
	    ask("SELECT changes || ' ' || change_bytes || ' ' || uploads || ' '"
	        " || upload_bytes || ' ' || files || ' ' || bytes "
	        "FROM usage_client"),
	    "1 20 1 10 1 30");
}

static void test_deleted_file_leaves_a_tombstone(void **state)
{
	struct op meta = op_make(OP_SET_META, a_file, 0);
	struct op gone = op_make(OP_DELETE, a_file, 0);
	(void)state;

	start();
	put(op_make(OP_CREATE, a_file, 1000));
	meta.extra = span_of("filename\2a.jpg");
	put(meta);
	gone.client = span_of("10.0.0.7");
	put(gone);
	settle();
	assert_string_equal(ask("SELECT count(*) FROM files"), "0");
	assert_string_equal(ask("SELECT count(*) FROM attr"), "0");
	assert_string_equal(
	    ask("SELECT name || '|' || size || '|' || deleted_by || '|' || "
	        "client || '|' || seq FROM deleted"),
	    "a.jpg|1000|10.0.0.7|10.0.0.9|3");
	assert_string_equal(ask("SELECT count(*) FROM usage_day"), "0");
	assert_string_equal(ask("SELECT count(*) FROM usage_size"), "0");
	assert_string_equal(ask("SELECT count(*) FROM usage_dir"), "0");
}

static void test_old_tombstones_go(void **state)
{
	struct catalogue_conf c = conf();
	(void)state;

	put(op_make(OP_DELETE, a_file, 0));
	c.tombstone_keep_ms = 1000;
	clock_set(0, 0);
	assert_int_equal(catalogue_start(&c, &cat, err), 0);
	settle();
	/* buried in the very transaction that made it, if it is old enough */
	const int64_t age = clock_wall() - INT64_C(1795331773123);

	assert_string_equal(ask("SELECT count(*) FROM deleted"),
	    age > 1000 ? "0" : "1");
}

static void test_rename_keeps_metadata(void **state)
{
	static const char *old = "M00/00/00/a0-1795331773-x.log";
	static const char *new = "M00/00/00/n10-1795331773-x.log";
	struct op meta = op_make(OP_SET_META, old, 0);
	struct op move = op_make(OP_RENAME, new, 10);
	(void)state;

	start();
	put(op_make(OP_CREATE, old, 10));
	meta.extra = span_of("author\2lin");
	put(meta);
	move.extra = span_of(old);
	put(move);
	settle();
	assert_string_equal(
	    ask("SELECT m.remote || '|' || value || '|' || f.type || '|' || "
	        "f.seq FROM meta m JOIN files f USING (remote)"),
	    "M00/00/00/n10-1795331773-x.log|lin|normal|1");
}

static void test_replica_is_not_counted_for_a_client(void **state)
{
	struct op op = op_make(OP_CREATE, a_file, 1000);
	(void)state;

	start();
	op.replica = true;
	op.at += 60000;
	put(op);
	settle();
	assert_string_equal(
	    ask("SELECT client || '|' || uploads || '|' || files "
	        "FROM usage_client"),
	    "|0|1");
	assert_string_equal(ask("SELECT created_ms FROM files"),
	    "1795331773000");
}

static void test_file_that_a_peer_sends_again_counts_once(void **state)
{
	static const char *name = "M00/00/00/a0-1795331773-x.log";
	struct op op = op_make(OP_CREATE, name, 10);
	struct op meta = op_make(OP_SET_META, name, 0);
	(void)state;

	start();
	op.replica = true;
	op.client = span_of("10.0.0.22"); /* the peer */
	put(op);
	meta.extra = span_of("author\2lin");
	put(meta);
	put(op);
	settle();
	assert_string_equal(ask("SELECT source || '|' || created_ms || '|' || "
	                        "modified_ms || '|' || client FROM files"),
	    "100001|1795331773000|1795331773000|");
	op.source_time += 60;
	op.size = 25;
	put(op);
	settle();
	assert_string_equal(ask("SELECT count(*) || '|' || sum(size) || '|' || "
	                        "max(created_ms) || '|' || max(modified_ms) "
	                        "FROM files"),
	    "1|25|1795331773000|1795331833000");
	assert_string_equal(
	    ask("SELECT sum(files) || '|' || sum(bytes) FROM usage_day"),
	    "1|25");
	assert_string_equal(ask("SELECT value FROM meta"), "lin");
}

static void test_client_of_a_file_sent_back_by_a_peer_stays(void **state)
{
	static const char *name = "M00/00/00/a0-1795331773-x.log";
	struct op op = op_make(OP_CREATE, name, 10);
	(void)state;

	start();
	put(op);
	op.replica = true;
	op.size = 30;
	op.client = span_of("10.0.0.22");
	put(op);
	settle();
	assert_string_equal(
	    ask("SELECT client || '|' || size || '|' || created_ms FROM files"),
	    "10.0.0.9|30|1795331773123");
}

static void test_name_that_cannot_be_read_is_still_a_row(void **state)
{
	(void)state;
	start();
	put(op_make(OP_CREATE, "M00/00/00/?\"'strange", 7));
	settle();
	assert_string_equal(ask("SELECT size FROM files"), "7");
}

static void test_indexed_keys_follow_the_configuration(void **state)
{
	struct catalogue_conf c = conf();
	static const char *const other[] = { "dept" };
	(void)state;

	start();
	assert_string_equal(
	    ask("SELECT group_concat(name) FROM (SELECT name FROM "
	        "sqlite_schema WHERE name GLOB 'attr_by:*' ORDER BY 1)"),
	    "attr_by:author,attr_by:it's \"odd\"");
	assert_non_null(strstr(
	    ask("SELECT sql FROM sqlite_schema WHERE name = 'attr_by:author'"),
	    "WHERE key = 'author'"));
	stop();
	c.indexed_keys = other;
	c.n_indexed_keys = 1;
	assert_int_equal(catalogue_start(&c, &cat, err), 0);
	assert_string_equal(ask("SELECT group_concat(name) FROM sqlite_schema "
	                        "WHERE name GLOB 'attr_by:*'"),
	    "attr_by:dept");
}

static void test_follower_row_of_the_log_moves(void **state)
{
	struct db *log = NULL;
	uint64_t seq = 0;
	(void)state;

	start();
	put(op_make(OP_CREATE, a_file, 1000));
	stop();
	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "storage.db"), &log, err), 0);
	assert_int_equal(oplog_follower_get(log, "catalogue", &seq), 0);
	assert_int_equal(seq, 1);
	db_close(log);
}

static int trim_apply(struct write *w, struct db *db)
{
	(void)w;
	oplog_follower_set(db, "catalogue", 1000, 1);
	return oplog_trim(db, INT64_MAX / 2, 0, 0, 1000) > 0 ? 0 : -EINVAL;
}

static void test_gap_in_the_log_is_reported_and_stays(void **state)
{
	struct write trim = { .apply = trim_apply };
	struct catalogue_state st;
	(void)state;

	for (int i = 0; i < 5; i++) {
		char name[64];

		snprintf(name, sizeof(name), "M00/00/00/n1-1795331773-%d", i);
		put(op_make(OP_CREATE, name, 1));
	}
	assert_int_equal(writer_call(writer, &trim), 0);
	log_to_stderr(false);
	start();
	settle();
	catalogue_get_state(cat, &st);
	assert_int_equal(st.last_error, -ESTALE);
	assert_string_equal(ask("SELECT count(*) FROM files"), "1");
	assert_string_equal(
	    ask("SELECT count(*) FROM events WHERE code = 'FD-META-01' "
	        "AND text LIKE '%1 to 4%fdfs-meta adopt%'"),
	    "1");
	stop();
	start();
	catalogue_get_state(cat, &st);
	assert_int_equal(st.last_error, -ESTALE);
	log_to_stderr(true);
}

static void test_replaced_log_is_not_followed(void **state)
{
	struct catalogue_state st;
	(void)state;

	start();
	put(op_make(OP_CREATE, a_file, 1000));
	stop();
	writer_stop(writer);
	unlink(tmp_path(&tmp, "storage.db"));
	unlink(tmp_path(&tmp, "storage.db-wal"));
	unlink(tmp_path(&tmp, "storage.db-shm"));
	start_writer();
	log_to_stderr(false);
	start();
	put(op_make(OP_CREATE, "M00/00/00/n1-1795331773-other", 1));
	stop();
	start();
	log_to_stderr(true);
	catalogue_get_state(cat, &st);
	assert_int_equal(st.last_error, -ESTALE);
	assert_string_equal(ask("SELECT remote FROM files"), a_file);
}

static void test_samples_and_events_are_written(void **state)
{
	struct sample s = { .at = clock_wall(), .subject = "self" };
	(void)state;

	start();
	sample_add(&s, "total_upload_count", 17);
	sample_add(&s, "behind_ms", 3);
	catalogue_sample(cat, &s);
	catalogue_event(cat, "FD-STATE-01", EVENT_INFO, "100001", "started");
	stop();
	assert_string_equal(
	    ask("SELECT subject || ' ' || total_upload_count || ' ' || "
	        "behind_ms FROM samples WHERE step_ms = 10000"),
	    "self 17 3");
	assert_string_equal(
	    ask("SELECT code || ' ' || severity || ' ' || text FROM events"),
	    "FD-STATE-01 info started");
}

/* --- random operations --------------------------------------------------- */

#define FILES 200

struct model {
	bool there;
	bool renamed;
	uint64_t size;
	unsigned generation;
	char name[64];
	char attr[32];
};

static unsigned seed;

static unsigned roll(unsigned n)
{
	seed = seed * 1103515245U + 12345U;
	return (seed >> 8) % n;
}

static struct op random_create(struct model *m, unsigned i)
{
	static const char *const exts[] = { "jpg", "log", "" };

	m->there = true;
	m->renamed = false;
	m->size = (uint64_t)1 << roll(24);
	m->attr[0] = '\0';
	snprintf(m->name, sizeof(m->name), "M%02X/00/%02X/%c%llu-%u-%u-%u%s%s",
	    i % 2, i % 7, roll(2) ? 'a' : 's', (unsigned long long)m->size,
	    1795331773U + (i % 5) * 86400U, i, m->generation++,
	    i % 3 < 2 ? "." : "", exts[i % 3]);
	return op_make(OP_CREATE, m->name, m->size);
}

static struct op random_change(struct model *m)
{
	static const enum op_code codes[] = { OP_APPEND, OP_MODIFY,
		OP_TRUNCATE };
	struct op op = op_make(codes[roll(3)], m->name, 0);

	m->size = roll(3) ? m->size + roll(1000) : roll(1000);
	op.size = m->size;
	op.at += roll(1000000);
	return op;
}

static struct op random_op(struct model *files)
{
	static const char *const clients[] = { "10.0.0.1", "10.0.0.2" };
	static char old[64];
	static char text[64];
	const unsigned i = roll(FILES);
	struct model *m = &files[i];
	struct op op;

	if (!m->there) {
		op = random_create(m, i);
	} else if (roll(6) == 0) {
		op = op_make(OP_DELETE, m->name, 0);
		m->there = false;
	} else if (roll(3) == 0) {
		op = op_make(OP_SET_META, m->name, 0);
		snprintf(m->attr, sizeof(m->attr), "%u", roll(1000));
		snprintf(text, sizeof(text), "author\2%s", m->attr);
		op.extra = span_of(text);
	} else if (!m->renamed && roll(8) == 0) {
		str_copy(old, sizeof(old), m->name);
		m->name[10] = 's'; /* keeps its size free */
		str_copy(m->name + strlen(m->name),
		    sizeof(m->name) - strlen(m->name), "r");
		m->renamed = true;
		op = op_make(OP_RENAME, m->name, m->size);
		op.extra = span_of(old);
	} else {
		op = random_change(m);
	}
	op.client = span_of(clients[roll(2)]);
	op.replica = roll(4) == 0;
	return op;
}

/* Each roll-up against the files it sums; "" when they agree. */
static void check_rollups(void)
{
	static const char *const pairs[][2] = {
		{ "SELECT path, ext, day, files, bytes FROM usage_day",
		    "SELECT path, ext, created_ms / 86400000, count(*), "
		    "sum(size) FROM file GROUP BY 1, 2, 3" },
		{ "SELECT path, dir, files, bytes FROM usage_dir",
		    "SELECT path, dir, count(*), sum(size) FROM file "
		    "GROUP BY 1, 2" },
		{ "SELECT sum(files), sum(bytes) FROM usage_size",
		    "SELECT count(*), sum(size) FROM file" },
		{ "SELECT class, files, bytes FROM usage_size",
		    "SELECT CASE WHEN size = 0 THEN 0 "
		    "ELSE 1 + CAST(log2(size) AS INTEGER) END, count(*), "
		    "sum(size) FROM file GROUP BY 1" },
		{ "SELECT client, day, files, bytes FROM usage_client "
		  "WHERE files <> 0",
		    "SELECT client, created_ms / 86400000, count(*), sum(size) "
		    "FROM file GROUP BY 1, 2" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		char sql[1024];

		for (int side = 0; side < 2; side++) {
			snprintf(sql, sizeof(sql),
			    "SELECT count(*) FROM (%s EXCEPT %s)",
			    pairs[i][side], pairs[i][1 - side]);
			assert_string_equal(ask(sql), "0");
		}
	}
}

static void check_model(const struct model *files)
{
	char want[65536] = "";
	size_t n = 0;

	for (size_t i = 0; i < FILES; i++) {
		if (!files[i].there)
			continue;
		char sql[256];
		char line[128];

		n++;
		snprintf(sql, sizeof(sql),
		    "SELECT size || ' ' || coalesce((SELECT value FROM meta m "
		    "WHERE m.remote = f.remote), '') FROM files f "
		    "WHERE remote = '%s'",
		    files[i].name);
		snprintf(line, sizeof(line), "%llu %s",
		    (unsigned long long)files[i].size, files[i].attr);
		assert_string_equal(ask(sql), line);
	}
	snprintf(want, sizeof(want), "%zu", n);
	assert_string_equal(ask("SELECT count(*) FROM files"), want);
}

static void test_random_operations_leave_true_rows_and_rollups(void **state)
{
	static struct model files[FILES];
	(void)state;

	for (seed = 1; seed < 4; seed++) {
		const unsigned round = seed;

		memset(files, 0, sizeof(files));
		start();
		for (int i = 0; i < 3000; i++)
			put(random_op(files));
		settle();
		check_model(files);
		check_rollups();
		stop();
		writer_stop(writer);
		tmp_remove(&tmp);
		tmp_make(&tmp);
		start_writer();
		seed = round;
	}
}

/* Everything the catalogue says, as one text. */
static const char *dump(void)
{
	return ask(
	    "SELECT group_concat(x, char(10)) FROM ("
	    "SELECT name || size || coalesce(crc, '-') || created_ms || "
	    "modified_ms || client || last_seq || id AS x FROM file "
	    "UNION ALL SELECT file || key || value FROM attr "
	    "UNION ALL SELECT name || id || size FROM tombstone "
	    "UNION ALL SELECT client || day || files || bytes || uploads || "
	    "upload_bytes || changes || change_bytes || others || deletes "
	    "FROM usage_client ORDER BY 1)");
}

static void make_load_until_killed(void)
{
	struct model files[FILES];

	memset(files, 0, sizeof(files));
	seed = (unsigned)getpid();
	start_writer();
	start();
	for (unsigned i = 0;; i++) {
		struct model *m = &files[i % FILES];

		m->generation = seed;
		put(random_op(files));
	}
}

static void test_killed_at_any_moment_every_operation_counts_once(void **state)
{
	(void)state;
	writer_stop(writer);
	for (int round = 0; round < 6; round++) {
		const pid_t child = fork();

		if (child == 0)
			make_load_until_killed();
		usleep((unsigned)(60000 + round * 37000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	start_writer();
	start();
	settle();
	check_rollups();

	const char *followed = dump();

	stop();
	unlink(tmp_path(&tmp, "catalogue.db"));
	unlink(tmp_path(&tmp, "catalogue.db-wal"));
	unlink(tmp_path(&tmp, "catalogue.db-shm"));
	start();
	settle();
	assert_true(strlen(followed) > 1000);
	assert_string_equal(dump(), followed);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_uploaded_file_is_found_in_the_view),
		TEST(test_metadata_replaces_and_names_the_file),
		TEST(test_appends_change_size_and_forget_the_crc),
		TEST(test_deleted_file_leaves_a_tombstone),
		TEST(test_old_tombstones_go),
		TEST(test_rename_keeps_metadata),
		TEST(test_replica_is_not_counted_for_a_client),
		TEST(test_file_that_a_peer_sends_again_counts_once),
		TEST(test_client_of_a_file_sent_back_by_a_peer_stays),
		TEST(test_name_that_cannot_be_read_is_still_a_row),
		TEST(test_indexed_keys_follow_the_configuration),
		TEST(test_follower_row_of_the_log_moves),
		TEST(test_gap_in_the_log_is_reported_and_stays),
		TEST(test_replaced_log_is_not_followed),
		TEST(test_samples_and_events_are_written),
		TEST(test_random_operations_leave_true_rows_and_rollups),
		TEST(test_killed_at_any_moment_every_operation_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
