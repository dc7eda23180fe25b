/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/macros.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct writer *writer;
static struct mailbox box;
static atomic_int commits_seen;

static void on_commit(void *arg)
{
	(void)arg;
	atomic_fetch_add(&commits_seen, 1);
}

static void start(void)
{
	struct db *db = NULL;

	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "a.db"), false, &db, err), 0);
	assert_int_equal(writer_start(db, on_commit, NULL, &writer), 0);
}

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	atomic_store(&commits_seen, 0);
	assert_int_equal(mailbox_init(&box), 0);
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writer_stop(writer);
	writer = NULL;
	mailbox_fini(&box);
	tmp_remove(&tmp);
	return 0;
}

static struct db *reader(void)
{
	struct db *db = NULL;

	assert_int_equal(db_open_read(DB_LOG, tmp_path(&tmp, "a.db"), &db, err),
	    0);
	return db;
}

/* --- writes of this test ------------------------------------------------- */

static size_t n_home;
static struct op_write *home[4096];

static void came_home(struct job *job)
{
	struct write *wr = container_of(job, struct write, job);

	assert_true(n_home < ARRAY_LEN(home));
	home[n_home++] = container_of(wr, struct op_write, write);
}

static void wait_home(size_t n)
{
	while (n_home < n) {
		struct pollfd p = { .fd = box.fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 60000), 1);
		mailbox_run(&box);
	}
}

static void submit(struct op_write *w, const char *name)
{
	op_write_init(w);
	w->op = op_make(OP_CREATE, name, 10);
	w->write.job.home = &box;
	w->write.job.done = came_home;
	writer_submit(writer, &w->write);
}

static int fail_apply(struct write *w, struct db *db)
{
	(void)w;
	(void)db;
	return -EEXIST;
}

static int other_table_apply(struct write *w, struct db *db)
{
	(void)w;
	return db_mark_set(db, "what", "this");
}

/* --- tests --------------------------------------------------------------- */

static void test_call_waits_for_the_commit(void **state)
{
	struct op_write w = { .op = op_make(OP_CREATE, "M00/00/00/a", 5) };
	struct db *db = reader();
	(void)state;

	op_write_init(&w);
	assert_int_equal(writer_call(writer, &w.write), 0);
	assert_int_equal(w.op.seq, 1);
	assert_int_equal(oplog_last(db, NULL), 1);
	assert_int_equal(commits_seen, 1);
	db_close(db);
}

static void test_writes_come_home_in_order_of_submission(void **state)
{
	static struct op_write w[3000];
	struct writer_stats st;
	(void)state;

	n_home = 0;
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		submit(&w[i], "M00/00/00/a");
	wait_home(ARRAY_LEN(w));
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		assert_ptr_equal(home[i], &w[i]);
		assert_int_equal(w[i].write.job.rc, 0);
		assert_int_equal(w[i].op.seq, i + 1);
	}
	writer_get_stats(writer, &st);
	assert_int_equal(st.writes, 3000);
	assert_int_equal(st.failed, 0);
	assert_int_equal(st.queued, 0);
	assert_true(st.commits >= 6); /* 512 at most */
	assert_int_equal(st.commits, commits_seen);
}

static void test_failed_write_leaves_the_others(void **state)
{
	static struct op_write w[5];
	struct writer_stats st;
	(void)state;

	n_home = 0;
	for (size_t i = 0; i < 5; i++) {
		op_write_init(&w[i]);
		w[i].op = op_make(OP_CREATE, "M00/00/00/a", 10);
		w[i].write.job.home = &box;
		w[i].write.job.done = came_home;
		if (i == 2)
			w[i].write.apply = fail_apply;
		writer_submit(writer, &w[i].write);
	}
	wait_home(5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(w[i].write.job.rc, i == 2 ? -EEXIST : 0);
	writer_get_stats(writer, &st);
	assert_int_equal(st.writes, 4);
	assert_int_equal(st.failed, 1);

	struct db *db = reader();

	assert_int_equal(oplog_last(db, NULL), 4);
	db_close(db);
}

static void test_stop_commits_what_is_queued(void **state)
{
	static struct op_write w[2000];
	(void)state;

	n_home = 0;
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		submit(&w[i], "M00/00/00/a");
	writer_stop(writer);
	wait_home(ARRAY_LEN(w));
	start();

	struct db *db = reader();

	assert_int_equal(oplog_last(db, NULL), ARRAY_LEN(w));
	db_close(db);
}

static void test_numbers_go_on_after_restart(void **state)
{
	struct op_write w = { .op = op_make(OP_CREATE, "M00/00/00/a", 5) };
	struct write other = { .apply = other_table_apply };
	struct db *db;
	uint64_t bytes = 0;
	(void)state;

	op_write_init(&w);
	assert_int_equal(writer_call(writer, &w.write), 0);
	assert_int_equal(writer_call(writer, &other), 0);
	writer_stop(writer);
	start();
	assert_int_equal(writer_call(writer, &w.write), 0);
	assert_int_equal(w.op.seq, 2);
	db = reader();
	assert_int_equal(oplog_last(db, &bytes), 2);
	assert_int_equal(bytes, 10);
	db_close(db);
}

struct caller {
	pthread_t thread;
	unsigned n;
	int rc;
};

static void *call_many(void *arg)
{
	struct caller *c = arg;

	for (unsigned i = 0; i < c->n && !c->rc; i++) {
		struct op_write w = { .op = op_make(OP_CREATE, "a", 1) };

		op_write_init(&w);
		c->rc = writer_call(writer, &w.write);
	}
	return NULL;
}

static void test_many_threads_lose_nothing(void **state)
{
	struct caller c[8] = { 0 };
	uint64_t bytes = 0;
	struct db *db;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		c[i].n = 500;
		assert_int_equal(
		    pthread_create(&c[i].thread, NULL, call_many, &c[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		pthread_join(c[i].thread, NULL);
		assert_int_equal(c[i].rc, 0);
	}
	db = reader();
	assert_int_equal(oplog_last(db, &bytes), 4000);
	assert_int_equal(bytes, 4000);
	db_close(db);
}

static void test_wal_starts_over_under_steady_writing(void **state)
{
	struct caller c[4] = { 0 };
	struct stat st;
	(void)state;

	/* some 12 pages a commit of 4: 60,000 pages = 240 MB of WAL if it
	 * never started over */
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		c[i].n = 15000;
		pthread_create(&c[i].thread, NULL, call_many, &c[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		pthread_join(c[i].thread, NULL);
	assert_int_equal(stat(tmp_path(&tmp, "a.db-wal"), &st), 0);
	assert_true(st.st_size < 80 * 1000 * 1000);
}

static void test_full_disk_fails_the_batch_and_recovers(void **state)
{
	struct op_write w = { .op = op_make(OP_CREATE, "M00/00/00/a", 5) };
	uint64_t last = 0;
	(void)state;

	writer_stop(writer);
	if (mount("none", tmp.dir, "tmpfs", 0, "size=512k") != 0) {
		start();
		skip();
	}
	start();
	op_write_init(&w);
	while (writer_call(writer, &w.write) == 0)
		last = w.op.seq;
	assert_int_equal(w.write.job.rc, -ENOSPC);
	assert_int_equal(mount("none", tmp.dir, "tmpfs", MS_REMOUNT, "size=8m"),
	    0);
	assert_int_equal(writer_call(writer, &w.write), 0);
	assert_int_equal(w.op.seq, last + 1);
	writer_stop(writer);
	assert_int_equal(umount(tmp.dir), 0);
	start();
}

/* The child promises by raising a shared number after each commit; whatever
 * was promised when it is killed must be there, each number once. */
static void run_until_killed(atomic_ulong *promised)
{
	struct db *db = NULL;
	static struct op_write w[64];

	if (db_open(DB_LOG, tmp_path(&tmp, "k.db"), false, &db, err) ||
	    writer_start(db, NULL, NULL, &writer))
		_exit(1);
	for (;;) {
		for (size_t i = 0; i < ARRAY_LEN(w); i++)
			submit(&w[i], "M00/00/00/a");
		n_home = 0;
		while (n_home < ARRAY_LEN(w)) {
			struct pollfd p = { .fd = box.fd, .events = POLLIN };

			poll(&p, 1, -1);
			mailbox_run(&box);
		}
		atomic_store(promised, w[ARRAY_LEN(w) - 1].op.seq);
	}
}

static int count_rows(void *arg, const struct op *op)
{
	uint64_t *next = arg;

	if (op->seq != *next)
		return -EBADMSG;
	++*next;
	return 0;
}

static void test_promised_writes_survive_kill(void **state)
{
	atomic_ulong *promised = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)state;

	assert_true(promised != MAP_FAILED);
	writer_stop(writer); /* no threads of ours across the fork */
	for (unsigned round = 0; round < 10; round++) {
		const unsigned long before = atomic_load(promised);
		const pid_t child = fork();
		struct db *db = NULL;
		uint64_t next = 1;
		uint64_t bytes = 0;

		if (child == 0)
			run_until_killed(promised);
		while (atomic_load(promised) < before + 64 * (round + 1))
			usleep(200);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);

		assert_int_equal(
		    db_open(DB_LOG, tmp_path(&tmp, "k.db"), false, &db, err),
		    0);
		assert_int_equal(db_check(db, err), 0);
		assert_true(oplog_last(db, &bytes) >= atomic_load(promised));
		assert_true(
		    oplog_read(db, 0, SIZE_MAX / 2, count_rows, &next) > 0);
		assert_int_equal(next, oplog_last(db, NULL) + 1);
		assert_int_equal(bytes, (next - 1) * 10);
		db_close(db);
	}
	munmap(promised, 4096);
	start();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_call_waits_for_the_commit),
		TEST(test_writes_come_home_in_order_of_submission),
		TEST(test_failed_write_leaves_the_others),
		TEST(test_stop_commits_what_is_queued),
		TEST(test_numbers_go_on_after_restart),
		TEST(test_many_threads_lose_nothing),
		TEST(test_wal_starts_over_under_steady_writing),
		TEST(test_full_disk_fails_the_batch_and_recovers),
		TEST(test_promised_writes_survive_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
