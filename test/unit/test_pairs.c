/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>

#include "base/macros.h"
#include "meta/pairs.h"
#include "meta_tmp.h"

#define NOW INT64_C(1795331773123)

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	tmp_remove(&tmp);
	return 0;
}

static void add(enum op_code code, const char *name, uint64_t size, wall_t at,
    bool replica)
{
	struct op op = op_make(code, name, size);

	op.at = at;
	op.replica = replica;
	assert_true(op_append(db, op) > 0);
}

static void add_peer(const char *id, uint64_t seq)
{
	struct peer_row p = { .seq = seq,
		.phase = PEER_LOG,
		.filled = true,
		.error_text = "input/output error" };

	str_copy(p.id, sizeof(p.id), id);
	assert_int_equal(peers_put(db, &p), 0);
}

static void park(const char *follower, const char *name)
{
	struct parked_row p = { .seq = 1,
		.op = OP_CREATE,
		.source_time = 1795331000,
		.error = EIO,
		.error_text = "input/output error",
		.tries = 4,
		.next = NOW + 5000 };

	str_copy(p.follower, sizeof(p.follower), follower);
	str_copy(p.name, sizeof(p.name), name);
	assert_int_equal(parked_put(db, &p), 0);
}

struct got {
	size_t n;
	struct pair rows[4];
};

static int take(void *arg, const struct pair *p)
{
	struct got *g = arg;

	g->rows[g->n++] = *p;
	return 0;
}

static void test_pairs_have_names_backlog_and_parked(void **state)
{
	struct got g = { .n = 0 };
	(void)state;

	assert_int_equal(db_mark_set(db, "identity_group", "group1"), 0);
	assert_int_equal(db_mark_set(db, "identity_own_id", "100001"), 0);
	assert_int_equal(oplog_follower_set(db, "catalogue", 1, NOW), 0);
	add(OP_CREATE, "M00/00/00/a", 100, NOW - 1000000, false);
	add(OP_CREATE, "M00/00/00/b", 600, NOW - 30000, true);
	add(OP_CREATE, "M00/00/00/c", 6000, NOW - 20000, false);
	add_peer("100003", 1);
	add_peer("100002", 3);
	park("100002", "M00/00/00/x");
	assert_int_equal(pairs_each(db, NOW, take, &g), 2);
	assert_string_equal(g.rows[0].group, "group1");
	assert_string_equal(g.rows[0].from, "100001");
	assert_string_equal(g.rows[0].peer.id, "100002");
	assert_int_equal(g.rows[0].backlog.ops, 0);
	assert_int_equal(g.rows[0].parked, 1);
	assert_int_equal(g.rows[0].parked_first, 1795331000);
	assert_string_equal(g.rows[1].peer.id, "100003");
	assert_int_equal(g.rows[1].backlog.ops, 1);
	assert_int_equal(g.rows[1].backlog.bytes, 6000);
	assert_int_equal(g.rows[1].backlog.oldest, NOW - 20000);
	assert_int_equal(g.rows[1].parked, 0);
	assert_int_equal(g.rows[1].arrival, 100); /* 6000 in a minute */
}

static void test_storage_without_an_id_is_called_by_its_address(void **state)
{
	struct got g = { .n = 0 };
	(void)state;

	assert_int_equal(db_mark_set(db, "identity_own_id", ""), 0);
	assert_int_equal(
	    db_mark_set(db, "identity_ips", "10.0.0.1,192.168.0.1"), 0);
	add_peer("10.0.0.2", 0);
	assert_int_equal(pairs_each(db, NOW, take, &g), 1);
	assert_string_equal(g.rows[0].from, "10.0.0.1");
	assert_false(g.rows[0].stopped);
	assert_int_equal(db_mark_set(db, "state", "clean"), 0);
	g.n = 0;
	assert_int_equal(pairs_each(db, NOW, take, &g), 1);
	assert_true(g.rows[0].stopped);
	assert_string_equal(g.rows[0].group, "");
}

static void test_arrival_is_that_of_the_last_minute(void **state)
{
	struct got g = { .n = 0 };
	(void)state;

	add_peer("100002", 0);
	assert_int_equal(pairs_each(db, NOW, take, &g), 1);
	assert_int_equal(g.rows[0].arrival, 0); /* empty log */
	for (int i = 600; i > 0; i--)
		add(OP_CREATE, "M00/00/00/a", 10, NOW - i * 1000, false);
	g.n = 0;
	assert_int_equal(pairs_each(db, NOW, take, &g), 1);
	assert_int_equal(g.rows[0].arrival, 10);
	g.n = 0;
	assert_int_equal(pairs_each(db, NOW + 600000, take, &g), 1);
	assert_int_equal(g.rows[0].arrival, 0);
	g.n = 0; /* all of the log is younger than a minute */
	assert_int_equal(pairs_each(db, NOW - 570000, take, &g), 1);
	assert_int_equal(g.rows[0].arrival, 100);
}

struct files {
	char text[512];
	size_t stop_at, n;
};

static int list(void *arg, const struct pair_file *f)
{
	struct files *l = arg;
	const size_t at = strlen(l->text);

	if (f->parked)
		snprintf(l->text + at, sizeof(l->text) - at,
		    "%s:%c:parked:%s:%u ", f->name, (char)f->op, f->error,
		    f->tries);
	else
		snprintf(l->text + at, sizeof(l->text) - at,
		    "%s:%c:%llu:%llu:%llu:%lld ", f->name, (char)f->op,
		    (unsigned long long)f->size, (unsigned long long)f->bytes,
		    (unsigned long long)f->ops, (long long)(NOW - f->at));
	return ++l->n == l->stop_at;
}

static void test_files_that_wait_are_listed_once_oldest_first(void **state)
{
	struct files l = { .n = 0 };
	(void)state;

	add(OP_CREATE, "sent", 1, NOW - 9, false);
	add_peer("100002", 1);
	park("100002", "bad");
	add(OP_CREATE, "z", 100, NOW - 8, false);
	add(OP_CREATE, "theirs", 1, NOW - 7, true);
	add(OP_CREATE, "a", 5, NOW - 6, false);
	add(OP_APPEND, "z", 50, NOW - 5, false);
	add(OP_CREATE, "gone", 7, NOW - 4, false);
	add(OP_DELETE, "gone", 0, NOW - 3, false);
	assert_int_equal(pairs_files(db, "100002", 0, 0, list, &l), 4);
	assert_string_equal(l.text,
	    "bad:C:parked:input/output error:4 z:C:50:150:2:8 a:C:5:5:1:6 "
	    "gone:D:0:7:2:4 ");
	memset(&l, 0, sizeof(l));
	assert_int_equal(pairs_files(db, "100002", 2, 0, list, &l), 3);
	memset(&l, 0, sizeof(l));
	assert_int_equal(pairs_files(db, "100002", 0, 2, list, &l), 2);
	assert_string_equal(l.text,
	    "bad:C:parked:input/output error:4 z:C:50:150:2:8 ");
	memset(&l, 0, sizeof(l));
	assert_int_equal(pairs_files(db, "100002", 0, 1, list, &l), 1);
	l = (struct files){ .stop_at = 1 };
	assert_int_equal(pairs_files(db, "100002", 0, 0, list, &l), 1);
	assert_int_equal(pairs_files(db, "100009", 0, 0, list, &l), -ENOENT);
}

static void test_log_of_an_older_storage_is_refused(void **state)
{
	struct got g = { .n = 0 };
	sqlite3 *h = NULL;
	struct db *old = NULL;
	(void)state;

	assert_int_equal(sqlite3_open(tmp_path(&tmp, "b.db"), &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(h,
	        "PRAGMA application_id = 1178881095; PRAGMA user_version = 1; "
	        "CREATE TABLE t (a)",
	        NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(h);
	assert_int_equal(
	    db_open_read(DB_LOG, tmp_path(&tmp, "b.db"), &old, err), 0);
	assert_int_equal(pairs_each(old, NOW, take, &g), -ENOTSUP);
	db_close(old);
}

static void test_time_to_drain_comes_from_both_rates(void **state)
{
	(void)state;
	assert_int_equal(pairs_drained(0, 0, 100), 0);
	assert_int_equal(pairs_drained(1000, 100, 0), 11);
	assert_int_equal(pairs_drained(1000, 100, 50), 21);
	assert_int_equal(pairs_drained(1000, 100, 100), -1);
	assert_int_equal(pairs_drained(1000, 0, 0), -1);
}

static void test_why_says_what_is_recorded(void **state)
{
	struct pair p = { .peer = { .phase = PEER_SYNCED, .filled = true } };
	char buf[256];
	(void)state;

	assert_string_equal(pairs_why(&p, buf, sizeof(buf)), "");
	p.peer.phase = PEER_DOWN;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)), "not connected");
	str_copy(p.peer.error_text, sizeof(p.peer.error_text),
	    "connection refused");
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "not connected: connection refused");
	p.parked = 3;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "not connected: connection refused; 3 parked");
	p.peer.phase = PEER_LOG;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "3 parked: connection refused");
	p.parked = 0;
	p.peer.phase = PEER_FILL;
	p.peer.filled = false;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)), "first copy");
	p.peer.fill_files = 1;
	p.peer.fill_files_all = 4;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "first copy, 25 %");
	p.peer.fill_bytes = 63;
	p.peer.fill_bytes_all = 100;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "first copy, 63 %");
	p.stopped = true;
	assert_string_equal(pairs_why(&p, buf, sizeof(buf)),
	    "first copy, 63 %; the sender is stopped");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_pairs_have_names_backlog_and_parked),
		TEST(test_storage_without_an_id_is_called_by_its_address),
		TEST(test_arrival_is_that_of_the_last_minute),
		TEST(test_files_that_wait_are_listed_once_oldest_first),
		TEST(test_log_of_an_older_storage_is_refused),
		TEST(test_time_to_drain_comes_from_both_rates),
		TEST(test_why_says_what_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
