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
#include "meta/peers.h"
#include "meta_tmp.h"

#define T0 INT64_C(1795331773123)

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

/* n operations, a second apart, of 100 bytes each. */
static void add(size_t n, bool replica)
{
	static char name[32];

	for (size_t i = 0; i < n; i++) {
		const uint64_t seq = oplog_last(db, NULL) + 1;
		struct op op;

		snprintf(name, sizeof(name), "M00/00/00/f%llu",
		    (unsigned long long)seq % 3);
		op = op_make(OP_CREATE, name, 100);
		op.at = T0 + (int64_t)seq * 1000;
		op.replica = replica;
		assert_int_equal(op_append(db, op), seq);
	}
}

static struct peer_row full_row(const char *id)
{
	struct peer_row p = { .address = "10.0.0.2:23000",
		.seq = 7,
		.moved = T0,
		.phase = PEER_FILL,
		.phase_since = T0 + 1,
		.source = true,
		.filled = false,
		.until = 1795331773,
		.fill_after = "M00/00/0A/abc",
		.fill_files = 1,
		.fill_files_all = 2,
		.fill_bytes = 3,
		.fill_bytes_all = UINT64_C(1) << 50,
		.sent_ops = 4,
		.sent_bytes = 5,
		.rate_ops = 6,
		.rate_bytes = 8,
		.errors = 9,
		.error = ECONNREFUSED,
		.error_text = "connection refused",
		.error_at = T0 + 2 };

	str_copy(p.id, sizeof(p.id), id);
	return p;
}

static void test_row_reads_back_as_written(void **state)
{
	struct peer_row p = full_row("100002");
	struct peer_row got;
	(void)state;

	memset(&got, 0, sizeof(got));
	assert_int_equal(peers_get(db, "100002", &got), -ENOENT);
	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_get(db, "100002", &got), 0);
	assert_string_equal(got.id, p.id);
	assert_string_equal(got.address, p.address);
	assert_string_equal(got.fill_after, p.fill_after);
	assert_string_equal(got.error_text, p.error_text);
	assert_int_equal(got.seq, p.seq);
	assert_int_equal(got.moved, p.moved);
	assert_int_equal(got.phase, p.phase);
	assert_int_equal(got.phase_since, p.phase_since);
	assert_true(got.source);
	assert_false(got.filled);
	assert_int_equal(got.until, p.until);
	assert_int_equal(got.fill_files, p.fill_files);
	assert_int_equal(got.fill_files_all, p.fill_files_all);
	assert_int_equal(got.fill_bytes, p.fill_bytes);
	assert_int_equal(got.fill_bytes_all, p.fill_bytes_all);
	assert_int_equal(got.sent_ops, p.sent_ops);
	assert_int_equal(got.sent_bytes, p.sent_bytes);
	assert_int_equal(got.rate_ops, p.rate_ops);
	assert_int_equal(got.rate_bytes, p.rate_bytes);
	assert_int_equal(got.errors, p.errors);
	assert_int_equal(got.error, p.error);
	assert_int_equal(got.error_at, p.error_at);

	p.phase = PEER_SYNCED;
	p.filled = true;
	p.error_text[0] = '\0';
	p.error_at = 0;
	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_get(db, "100002", &got), 0);
	assert_int_equal(got.phase, PEER_SYNCED);
	assert_true(got.filled);
	assert_string_equal(got.error_text, "");
	assert_int_equal(got.error_at, 0);
}

static int list(void *arg, const struct peer_row *p)
{
	char *to = arg;

	snprintf(to + strlen(to), 64 - strlen(to), "%s ", p->id);
	return 0;
}

static void test_catalogue_is_no_peer(void **state)
{
	const struct peer_row a = full_row("100003");
	const struct peer_row b = full_row("100002");
	struct peer_row got;
	char ids[64] = "";
	(void)state;

	assert_int_equal(oplog_follower_set(db, "catalogue", 3, T0), 0);
	assert_int_equal(peers_put(db, &a), 0);
	assert_int_equal(peers_put(db, &b), 0);
	assert_int_equal(peers_each(db, list, ids), 2);
	assert_string_equal(ids, "100002 100003 ");
	assert_int_equal(peers_get(db, "catalogue", &got), -ENOENT);
}

static struct parked_row parked(const char *follower, const char *name,
    wall_t next)
{
	struct parked_row p = { .seq = 3,
		.op = OP_CREATE,
		.source_time = 1795331773,
		.error = EIO,
		.error_text = "input/output error",
		.tries = 1,
		.since = T0,
		.next = next };

	str_copy(p.follower, sizeof(p.follower), follower);
	str_copy(p.name, sizeof(p.name), name);
	return p;
}

struct parked_list {
	size_t n;
	struct parked_row rows[8];
};

static int keep(void *arg, const struct parked_row *p)
{
	struct parked_list *l = arg;

	l->rows[l->n++] = *p;
	return 0;
}

static struct parked_list parked_of(const char *follower, wall_t due,
    size_t max)
{
	struct parked_list l = { .n = 0 };

	assert_true(parked_each(db, follower, due, max, keep, &l) >= 0);
	return l;
}

static void test_parked_file_keeps_where_and_when_it_began(void **state)
{
	const struct peer_row peer = full_row("100002");
	struct parked_row p = parked("100002", "M00/00/00/a", T0 + 10);
	struct parked_list l;
	(void)state;

	assert_int_equal(parked_put(db, &p), -EEXIST); /* no such peer */
	assert_int_equal(peers_put(db, &peer), 0);
	assert_int_equal(parked_put(db, &p), 0);
	p.seq = 9;
	p.since = T0 + 500;
	p.tries = 2;
	p.error = ENOSPC;
	p.op = OP_DELETE;
	str_copy(p.error_text, sizeof(p.error_text), "no space left");
	assert_int_equal(parked_put(db, &p), 0);
	l = parked_of("100002", 0, 8);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.rows[0].seq, 3);
	assert_int_equal(l.rows[0].since, T0);
	assert_int_equal(l.rows[0].tries, 2);
	assert_int_equal(l.rows[0].error, ENOSPC);
	assert_int_equal(l.rows[0].op, OP_DELETE);
	assert_string_equal(l.rows[0].error_text, "no space left");
	assert_string_equal(l.rows[0].follower, "100002");
	assert_string_equal(l.rows[0].name, "M00/00/00/a");
	/* a change of the peer's row leaves them alone */
	assert_int_equal(peers_put(db, &peer), 0);
	assert_int_equal(parked_of("100002", 0, 8).n, 1);
	assert_int_equal(parked_drop(db, "100002", "M00/00/00/a"), 0);
	assert_int_equal(parked_of("100002", 0, 8).n, 0);
}

static void test_parked_files_come_when_they_are_due(void **state)
{
	static const char *const names[] = { "c", "a", "b" };
	const struct peer_row peer = full_row("100002");
	const struct peer_row other = full_row("100003");
	uint64_t n = 9;
	int64_t first = 9;
	struct parked_list l;
	(void)state;

	assert_int_equal(peers_put(db, &peer), 0);
	assert_int_equal(peers_put(db, &other), 0);
	assert_int_equal(parked_count(db, "100002", &n, &first), 0);
	assert_int_equal(n, 0);
	assert_int_equal(first, 0);
	for (int i = 0; i < 3; i++) {
		struct parked_row p = parked("100002", names[i], T0 + i);

		p.source_time += 10 - i;
		assert_int_equal(parked_put(db, &p), 0);
		str_copy(p.follower, sizeof(p.follower), "100003");
		p.source_time = 1;
		assert_int_equal(parked_put(db, &p), 0);
	}
	l = parked_of("100002", T0 + 1, 8);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.rows[0].name, "c");
	assert_string_equal(l.rows[1].name, "a");
	assert_int_equal(parked_of("100002", 0, 8).n, 3);
	assert_int_equal(parked_of("100002", 0, 1).n, 1);
	assert_int_equal(parked_of("100002", T0 - 1, 8).n, 0);
	assert_int_equal(parked_count(db, "100002", &n, &first), 0);
	assert_int_equal(n, 3);
	assert_int_equal(first, 1795331773 + 8);
	assert_int_equal(peers_drop(db, "100002"), 0);
	assert_int_equal(parked_of("100002", 0, 8).n, 0);
	assert_int_equal(parked_of("100003", 0, 8).n, 3);
}

static void test_parked_file_is_due_when_the_clock_was_set_back(void **state)
{
	const struct peer_row peer = full_row("100002");
	const struct parked_row p = parked("100002", "a", T0 + 1000);
	(void)state;

	assert_int_equal(peers_put(db, &peer), 0);
	assert_int_equal(parked_put(db, &p), 0);
	assert_int_equal(parked_of("100002", T0, 8).n, 0);
	assert_false(parked_is_due(T0 + 1000, T0));
	assert_int_equal(parked_of("100002", T0 + 1000, 8).n, 1);
	assert_true(parked_is_due(T0 + 1000, T0 + 1000));
	assert_int_equal(parked_of("100002", T0 - 3600000, 8).n, 1);
	assert_true(parked_is_due(T0 + 1000, T0 - 3600000));
}

static void test_peer_that_changes_its_name_keeps_what_it_lacks(void **state)
{
	const struct peer_row old = full_row("10.0.0.2");
	const struct parked_row a = parked("10.0.0.2", "a", T0);
	const struct parked_row b = parked("10.0.0.9", "a", T0);
	struct peer_row ahead = full_row("10.0.0.3");
	struct peer_row got;
	(void)state;

	assert_int_equal(peers_rename(db, "10.0.0.2", "10.0.0.9"), -ENOENT);
	assert_int_equal(peers_put(db, &old), 0);
	assert_int_equal(parked_put(db, &a), 0);
	assert_int_equal(peers_rename(db, "10.0.0.2", "10.0.0.2"), 0);
	assert_int_equal(peers_rename(db, "10.0.0.2", "10.0.0.9"), 0);
	assert_int_equal(peers_get(db, "10.0.0.2", &got), -ENOENT);
	assert_int_equal(peers_get(db, "10.0.0.9", &got), 0);
	assert_int_equal(got.seq, 7);
	assert_int_equal(parked_of("10.0.0.9", 0, 8).n, 1);

	/* to a name that is known: what either lacks, it lacks */
	ahead.seq = 90;
	assert_int_equal(peers_put(db, &ahead), 0);
	assert_int_equal(parked_put(db, &b), 0);
	assert_int_equal(peers_rename(db, "10.0.0.9", "10.0.0.3"), 0);
	assert_int_equal(peers_get(db, "10.0.0.9", &got), -ENOENT);
	assert_int_equal(peers_get(db, "10.0.0.3", &got), 0);
	assert_int_equal(got.seq, 7);
	assert_int_equal(parked_of("10.0.0.3", 0, 8).n, 1);
	assert_int_equal(parked_of("10.0.0.9", 0, 8).n, 0);
}

/* --- what waits ---------------------------------------------------------- */

/* The backlog as counting says it, and as the view does. */
static void check_view(const struct peer_row *p, const struct peer_backlog *b)
{
	sqlite3 *h = NULL;
	sqlite3_stmt *st = NULL;

	assert_int_equal(sqlite3_open(tmp_path(&tmp, "a.db"), &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(h,
	        "SELECT waiting_ops, waiting_bytes, coalesce(oldest_ms, 0) "
	        "FROM peers WHERE peer = ?1",
	        -1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_text(st, 1, p->id, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int64(st, 0), b->ops);
	assert_int_equal(sqlite3_column_int64(st, 1), b->bytes);
	assert_int_equal(sqlite3_column_int64(st, 2), b->oldest);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	sqlite3_close(h);
}

static struct peer_backlog backlog(uint64_t seq)
{
	struct peer_row p = { .id = "100002", .seq = seq };
	struct peer_backlog b;

	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_backlog(db, &p, true, &b), 0);
	check_view(&p, &b);
	return b;
}

/* Counted row by row. */
struct sum {
	uint64_t after;
	struct peer_backlog b;
};

static int sum_op(void *arg, const struct op *op)
{
	struct sum *s = arg;

	if (op->seq <= s->after || op->replica)
		return 0;
	s->b.ops++;
	s->b.bytes += op->bytes;
	if (!s->b.oldest)
		s->b.oldest = op->at;
	return 0;
}

static void check_backlogs(uint64_t last)
{
	for (uint64_t seq = 0; seq <= last; seq++) {
		const struct peer_backlog b = backlog(seq);
		struct sum s = { .after = seq };

		assert_true(oplog_read(db, 0, 1000, sum_op, &s) >= 0);
		assert_int_equal(b.ops, s.b.ops);
		assert_int_equal(b.bytes, s.b.bytes);
		assert_int_equal(b.oldest, s.b.oldest);
	}
}

static void test_backlog_is_what_counting_gives(void **state)
{
	(void)state;
	check_backlogs(0);
	add(3, false);
	add(2, true);
	add(1, false);
	add(40, true);
	add(2, false);
	add(1, true);
	check_backlogs(50);
}

static void test_backlog_is_exact_behind_a_trimmed_cursor(void **state)
{
	(void)state;
	add(10, false);
	add(3, true);
	add(10, false);
	backlog(23);
	assert_int_equal(oplog_trim(db, INT64_MAX / 2, 0, 0, 12), 12);
	check_backlogs(23);
	assert_int_equal(oplog_first(db), 13); /* a replica */
}

static void test_different_names_are_counted_when_asked_for(void **state)
{
	struct peer_row p = { .id = "100002" };
	struct peer_backlog b;
	(void)state;

	add(7, false);
	add(9, true);
	assert_int_equal(backlog(0).files, 3);
	assert_int_equal(backlog(6).files, 1);
	assert_int_equal(backlog(7).files, 0);
	assert_int_equal(peers_backlog(db, &p, false, &b), 0);
	assert_int_equal(b.ops, 7);
	assert_int_equal(b.files, 0);
}

static void test_files_not_yet_walked_wait_too(void **state)
{
	struct peer_row p = { .id = "100002",
		.seq = 2,
		.phase = PEER_FILL,
		.source = true,
		.fill_files = 30,
		.fill_files_all = 100,
		.fill_bytes = 500,
		.fill_bytes_all = 1500 };
	struct peer_backlog b;
	(void)state;

	add(5, false);
	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_backlog(db, &p, true, &b), 0);
	check_view(&p, &b);
	assert_int_equal(b.ops, 73);
	assert_int_equal(b.bytes, 1300);
	assert_int_equal(b.files, 73);
	assert_int_equal(b.oldest, T0 + 3000);
	/* more came than there were at its start */
	p.fill_files = 101;
	p.fill_bytes = 1600;
	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_backlog(db, &p, true, &b), 0);
	check_view(&p, &b);
	assert_int_equal(b.ops, 3);
	p.filled = true;
	p.fill_files = 0;
	assert_int_equal(peers_put(db, &p), 0);
	assert_int_equal(peers_backlog(db, &p, true, &b), 0);
	check_view(&p, &b);
	assert_int_equal(b.ops, 3);
	assert_int_equal(b.bytes, 300);
}

static void test_backlog_of_a_cursor_beyond_the_log_is_empty(void **state)
{
	struct peer_backlog b;
	(void)state;

	add(3, false);
	b = backlog(900);
	assert_int_equal(b.ops + b.bytes, 0);
	assert_int_equal(b.oldest, 0);
}

static void test_totals_go_on_after_restart_and_rollback(void **state)
{
	struct op_write w = { .op = op_make(OP_CREATE, "a", 50) };
	(void)state;

	add(2, false);
	add(2, true);
	op_write_init(&w);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(w.write.apply(&w.write, db), 0);
	db_rollback(db);
	db_close(db);
	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	add(3, false);
	check_backlogs(7);
	assert_int_equal(backlog(0).ops, 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_row_reads_back_as_written),
		TEST(test_catalogue_is_no_peer),
		TEST(test_parked_file_keeps_where_and_when_it_began),
		TEST(test_parked_files_come_when_they_are_due),
		TEST(test_parked_file_is_due_when_the_clock_was_set_back),
		TEST(test_peer_that_changes_its_name_keeps_what_it_lacks),
		TEST(test_backlog_is_what_counting_gives),
		TEST(test_backlog_is_exact_behind_a_trimmed_cursor),
		TEST(test_different_names_are_counted_when_asked_for),
		TEST(test_files_not_yet_walked_wait_too),
		TEST(test_backlog_of_a_cursor_beyond_the_log_is_empty),
		TEST(test_totals_go_on_after_restart_and_rollback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
