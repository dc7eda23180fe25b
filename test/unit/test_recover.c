/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* Recovery: what the log says and the disk has not, and the other way round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/sum.h"
#include "storaged/op.h"
#include "storaged/recover.h"
#include "test/unit/meta_tmp.h"
#include "test/unit/scratch.h"

#define SUBDIRS 2

struct site {
	struct stores s;
	struct db *log;
	int data;       /* descriptor of data/ */
	wall_t now;     /* of the rows made next */
	wall_t since;   /* when the run began */
	uint64_t after; /* the last row before it */
	unsigned made;  /* names */
	struct recover_result r;
};

static void site_open(struct site *t, void **state)
{
	static const char *dirs[1];
	const bool readonly[1] = { false };
	const struct store_dirs paths = { dirs, readonly, 1 };
	const struct store_conf conf = { .subdirs = SUBDIRS,
		.rotate_count = 100,
		.disk_threads = 1 };
	char why[DB_ERR_MAX];

	memset(t, 0, sizeof(*t));
	dirs[0] = *state;
	assert_int_equal(store_open(&t->s, &conf, &paths, why, sizeof(why)), 0);
	assert_int_equal(db_open(DB_LOG, scratch_path(state, "storage.db"),
	                     false, &t->log, why),
	    0);
	t->data = t->s.paths[0].data_fd;
	t->now = clock_wall();
	t->since = t->now - 5000;
}

static void site_close(struct site *t)
{
	store_close(&t->s);
	db_close(t->log);
	free(t->r.left);
}

/* A name as this daemon makes it, made at that time. */
static void new_name(struct site *t, wall_t at, bool appender,
    char out[FILEID_NAME_LEN + 1])
{
	struct fileid id = { .source = 0x0100000a,
		.time = (uint32_t)(at / 1000),
		.size_field = fileid_size_field(5, appender, 7),
		.crc = t->made };

	fileid_make(&id, (struct fileid_place){ 0, 1, 1 }, span_of("txt"),
	    ++t->made, out);
}

static void put_file(struct site *t, const char *path, const char *text)
{
	int fd = openat(t->data, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0644);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* A side file when suffix is "-m". */
static void put_named(struct site *t, const char *name, const char *suffix,
    const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s%s", name + 4, suffix);
	put_file(t, path, text);
}

static bool is_there(struct site *t, const char *path)
{
	return faccessat(t->data, path, F_OK, 0) == 0;
}

/* NULL: there is no such file. */
static void expect_file(struct site *t, const char *name, const char *suffix,
    const char *text)
{
	char path[160];
	char buf[256] = "";
	int fd;

	snprintf(path, sizeof(path), "%s%s", name + 4, suffix);
	fd = openat(t->data, path, O_RDONLY | O_CLOEXEC);
	if (!text) {
		assert_int_equal(fd, -1);
		return;
	}
	assert_true(fd >= 0);
	assert_true(fs_pread_all(fd, buf, sizeof(buf) - 1, 0) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

static uint64_t row(struct site *t, struct op op)
{
	int64_t seq;

	op.at = t->now++;
	op.source_time = op.at / 1000;
	op.client = span_of("127.0.0.1");
	seq = op_append(t->log, op);
	assert_true(seq > 0);
	return (uint64_t)seq;
}

static void row_of(struct site *t, enum op_code code, const char *name)
{
	row(t, (struct op){ .code = code, .name = span_of(name) });
}

static void recover(struct site *t)
{
	const struct recover_from from = { t->since, 0x0100000a, t->after };

	free(t->r.left);
	assert_int_equal(recover_run(&t->s, t->log, &from, &t->r), 0);
}

/* Recovers twice: the second time there is nothing left to do. */
static void recover_to(struct site *t, uint64_t redone)
{
	recover(t);
	assert_int_equal(t->r.redone, redone);
	assert_int_equal(t->r.failed, 0);
	recover(t);
	assert_int_equal(t->r.redone, 0);
	assert_int_equal(t->r.dropped, 0);
	assert_int_equal(t->r.orphans, 0);
}

/* A file with its row, as after an upload. */
static void uploaded(struct site *t, bool appender, const char *text,
    char name[FILEID_NAME_LEN + 1])
{
	new_name(t, t->now, appender, name);
	put_named(t, name, "", text);
	row(t, (struct op){ .code = OP_CREATE,
	           .name = span_of(name),
	           .size = strlen(text) });
}

static void test_empty_log_and_disk_need_nothing(void **state)
{
	struct site t;

	site_open(&t, state);
	recover_to(&t, 0);
	assert_int_equal(t.r.rows, 0);
	site_close(&t);
}

static void test_committed_delete_is_carried_out(void **state)
{
	char name[FILEID_NAME_LEN + 1];
	char kept[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, false, "gone", name);
	uploaded(&t, false, "kept", kept);
	put_named(&t, name, "-m", "a\2b");
	row_of(&t, OP_DELETE, name);
	recover_to(&t, 1);
	expect_file(&t, name, "", NULL);
	expect_file(&t, name, "-m", NULL);
	expect_file(&t, kept, "", "kept");
	site_close(&t);
}

static void test_file_made_again_after_its_delete_stays(void **state)
{
	const char *slave = "M00/01/01/CgAAAWsCjlmADTSwAAAADg4Qul0199_s.txt";
	struct site t;

	site_open(&t, state);
	row_of(&t, OP_CREATE, slave);
	row(&t, (struct op){ .code = OP_SET_META,
	            .name = span_of(slave),
	            .extra = span_of("old\2meta") });
	row_of(&t, OP_DELETE, slave);
	put_named(&t, slave, "", "again");
	row_of(&t, OP_CREATE, slave);
	recover_to(&t, 0);
	expect_file(&t, slave, "", "again");
	/* The metadata was that of the first one. */
	expect_file(&t, slave, "-m", NULL);
	site_close(&t);
}

static void test_committed_rename_is_carried_out(void **state)
{
	char old[FILEID_NAME_LEN + 1];
	char name[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "text", old);
	put_named(&t, old, "-m", "a\2b");
	new_name(&t, t.now, false, name);
	row(&t, (struct op){ .code = OP_RENAME,
	            .name = span_of(name),
	            .extra = span_of(old) });
	recover_to(&t, 1);
	expect_file(&t, old, "", NULL);
	expect_file(&t, old, "-m", NULL);
	expect_file(&t, name, "", "text");
	expect_file(&t, name, "-m", "a\2b");
	site_close(&t);
}

static void test_half_of_a_rename_is_completed(void **state)
{
	char old[FILEID_NAME_LEN + 1];
	char name[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	new_name(&t, t.now, true, old);
	new_name(&t, t.now, false, name);
	put_named(&t, name, "", "text");
	put_named(&t, old, "-m", "a\2b");
	row(&t, (struct op){ .code = OP_RENAME,
	            .name = span_of(name),
	            .extra = span_of(old) });
	recover_to(&t, 1);
	expect_file(&t, old, "-m", NULL);
	expect_file(&t, name, "-m", "a\2b");
	site_close(&t);
}

static void test_metadata_in_force_is_written(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char b[FILEID_NAME_LEN + 1];
	struct site t;
	const char *texts[] = { "x\2first", "x\2last" };

	site_open(&t, state);
	uploaded(&t, false, "a", a);
	uploaded(&t, false, "b", b);
	put_named(&t, a, "-m", "x\2first and more");
	put_named(&t, b, "-m", "y\2z");
	for (size_t i = 0; i < 2; i++)
		row(&t, (struct op){ .code = OP_SET_META,
		            .name = span_of(a),
		            .extra = span_of(texts[i]) });
	row_of(&t, OP_SET_META, b);
	recover_to(&t, 2);
	expect_file(&t, a, "-m", "x\2last");
	expect_file(&t, b, "-m", NULL);
	site_close(&t);
}

static void test_committed_truncate_is_carried_out(void **state)
{
	char cut[FILEID_NAME_LEN + 1];
	char grown[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123456789", cut);
	uploaded(&t, true, "0123", grown);
	row(&t, (struct op){ .code = OP_TRUNCATE,
	            .name = span_of(cut),
	            .size = 3,
	            .offset = 10 });
	row(&t, (struct op){ .code = OP_TRUNCATE,
	            .name = span_of(grown),
	            .size = 4,
	            .offset = 1 });
	recover_to(&t, 1);
	expect_file(&t, cut, "", "012");
	expect_file(&t, grown, "", "0123");
	site_close(&t);
}

static void stage(struct site *t, const char *name, enum op_code code,
    const char *temp, uint64_t offset, const char *text)
{
	if (strchr(temp, '/'))
		put_file(t, temp, text);
	row(t, (struct op){ .code = code,
	           .name = span_of(name),
	           .size = offset + strlen(text),
	           .offset = offset,
	           .bytes = strlen(text),
	           .crc = sum_crc32(0, text, strlen(text)),
	           .extra = span_of(temp) });
}

static void test_staged_content_is_applied(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char m[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	uploaded(&t, true, "0123", m);
	stage(&t, a, OP_APPEND, ".incoming/7", 4, "45678");
	stage(&t, m, OP_MODIFY, ".incoming/8", 1, "xy");
	/* Half of it had been applied. */
	put_named(&t, a, "", "012345");
	recover_to(&t, 2);
	expect_file(&t, a, "", "012345678");
	expect_file(&t, m, "", "0xy3");
	assert_false(is_there(&t, ".incoming/7"));
	assert_false(is_there(&t, ".incoming/8"));
	site_close(&t);
}

static void test_content_in_the_row_is_applied(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	struct site t;
	const char *text = "45";

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	row(&t, (struct op){ .code = OP_APPEND,
	            .name = span_of(a),
	            .size = 6,
	            .offset = 4,
	            .bytes = 2,
	            .crc = sum_crc32(0, text, 2),
	            .extra = span_of("=45") });
	recover_to(&t, 1);
	expect_file(&t, a, "", "012345");
	site_close(&t);
}

#define PEER_TIME 1700000000

/* What a peer has done. */
static void peer_row(struct site *t, struct op op)
{
	op.at = t->now++;
	op.source_time = PEER_TIME;
	op.replica = true;
	op.client = span_of("10.0.0.22");
	assert_true(op_append(t->log, op) > 0);
}

static void peer_content(struct site *t, enum op_code code, const char *name,
    const char *token, const char *text)
{
	put_file(t, token, text);
	peer_row(t, (struct op){ .code = code,
	                .name = span_of(name),
	                .size = strlen(text),
	                .bytes = strlen(text),
	                .crc = sum_crc32(0, text, strlen(text)),
	                .extra = span_of(token) });
}

static void expect_time(struct site *t, const char *name, const char *suffix)
{
	char path[160];
	struct stat sb;

	snprintf(path, sizeof(path), "%s%s", name + 4, suffix);
	assert_int_equal(fstatat(t->data, path, &sb, 0), 0);
	assert_int_equal(sb.st_mtime, PEER_TIME);
}

static void test_staged_file_of_a_peer_gets_its_name(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char b[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	new_name(&t, t.now, true, a);
	peer_content(&t, OP_CREATE, a, ".incoming/1", "new");
	uploaded(&t, true, "replaced", b);
	row(&t, (struct op){ .code = OP_SET_META,
	            .name = span_of(b),
	            .extra = span_of("k\2v") });
	peer_content(&t, OP_CREATE, b, ".incoming/2", "by this");
	recover_to(&t, 3);
	expect_file(&t, a, "", "new");
	expect_time(&t, a, "");
	expect_file(&t, b, "", "by this");
	expect_file(&t, b, "-m", "k\2v");
	site_close(&t);
}

static void test_staged_file_of_a_peer_that_is_not_whole_is_kept(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "before", a);
	peer_content(&t, OP_CREATE, a, ".incoming/1", "after");
	put_file(&t, ".incoming/1", "aft");
	recover(&t);
	assert_int_equal(t.r.failed, 1);
	expect_file(&t, a, "", "before");
	assert_true(is_there(&t, ".incoming/1"));
	site_close(&t);
}

static void test_changes_of_a_peer_are_carried_out(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char b[FILEID_NAME_LEN + 1];
	char c[FILEID_NAME_LEN + 1];
	char d[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	peer_row(&t, (struct op){ .code = OP_APPEND,
	                 .name = span_of(a),
	                 .size = 6,
	                 .offset = 4,
	                 .bytes = 2,
	                 .crc = sum_crc32(0, "45", 2),
	                 .extra = span_of("=45") });
	uploaded(&t, true, "0123456789", b);
	peer_row(&t, (struct op){ .code = OP_TRUNCATE,
	                 .name = span_of(b),
	                 .size = 3,
	                 .offset = 10 });
	uploaded(&t, true, "moves", c);
	new_name(&t, t.now, false, d);
	peer_row(&t, (struct op){ .code = OP_RENAME,
	                 .name = span_of(d),
	                 .extra = span_of(c) });
	peer_row(&t, (struct op){ .code = OP_SET_META,
	                 .name = span_of(a),
	                 .extra = span_of("b\2a\1a\2b") });
	recover_to(&t, 4);
	expect_file(&t, a, "", "012345");
	expect_file(&t, a, "-m", "b\2a\1a\2b");
	expect_file(&t, b, "", "012");
	expect_file(&t, c, "", NULL);
	expect_file(&t, d, "", "moves");
	expect_time(&t, a, "");
	expect_time(&t, a, "-m");
	expect_time(&t, b, "");
	site_close(&t);
}

/* A peer deletes the target of a link by its own name. */
static void test_delete_of_a_link_by_a_peer_leaves_the_target(void **state)
{
	char link[FILEID_NAME_LEN + 1];
	char target[FILEID_NAME_LEN + 1];
	char path[512];
	struct site t;

	site_open(&t, state);
	uploaded(&t, false, "target", target);
	new_name(&t, t.now, false, link);
	snprintf(path, sizeof(path), "%s/data/%s", (char *)*state, target + 4);
	assert_int_equal(symlinkat(path, t.data, link + 4), 0);
	peer_row(&t, (struct op){ .code = OP_DELETE, .name = span_of(link) });
	recover_to(&t, 1);
	expect_file(&t, link, "", NULL);
	expect_file(&t, target, "", "target");
	site_close(&t);
}

static void test_content_without_a_row_is_dropped(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	put_file(&t, ".incoming/1", "an upload");
	put_file(&t, ".incoming/2", "an append");
	recover(&t);
	assert_int_equal(t.r.dropped, 2);
	assert_false(is_there(&t, ".incoming/1"));
	expect_file(&t, a, "", "0123");
	put_file(&t, ".incoming/3", "left by a stop");
	recover_clean(&t.s);
	assert_false(is_there(&t, ".incoming/3"));
	site_close(&t);
}

static void test_staged_content_that_is_not_whole_is_kept_and_told(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	stage(&t, a, OP_APPEND, ".incoming/7", 4, "45678");
	put_file(&t, ".incoming/7", "456");
	recover(&t);
	assert_int_equal(t.r.failed, 1);
	expect_file(&t, a, "", "0123");
	/* It is tried again later, when ten minutes and a run have gone by. */
	t.now += 3600000;
	t.since = t.now - 1000;
	row_of(&t, OP_CREATE, "M00/01/01/another");
	put_file(&t, ".incoming/7", "45678");
	recover_to(&t, 1);
	expect_file(&t, a, "", "012345678");
	site_close(&t);
}

static void test_what_is_left_is_told_by_name(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char b[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	new_name(&t, t.now, true, a);
	new_name(&t, t.now, false, b);
	/* A directory in its place refuses each. */
	assert_int_equal(mkdirat(t.data, a + 4, 0755), 0);
	stage(&t, a, OP_APPEND, "=45", 4, "45");
	row_of(&t, OP_DELETE, b);
	row_of(&t, OP_DELETE, a);
	row(&t, (struct op){ .code = OP_TRUNCATE,
	            .name = span_of("M00/01/01/missing"),
	            .size = 3 });
	recover(&t);
	assert_int_equal(t.r.failed, 2);
	assert_int_equal(t.r.left[0].seq, 3);
	assert_string_equal(t.r.left[0].name, a);
	assert_string_equal(t.r.left[0].other, "");
	assert_int_equal(t.r.left[0].error, -EISDIR);
	assert_string_equal(t.r.left[1].name, "M00/01/01/missing");
	assert_int_equal(t.r.left[1].error, -ENODATA);
	site_close(&t);
}

static void test_lost_content_of_a_refused_change_is_told(void **state)
{
	char a[FILEID_NAME_LEN + 1];
	char b[FILEID_NAME_LEN + 1];
	char c[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, true, "0123", a);
	uploaded(&t, true, "012345", b);
	uploaded(&t, true, "0123", c);
	stage(&t, c, OP_APPEND, ".incoming/1", 4, "45");
	assert_int_equal(unlinkat(t.data, ".incoming/1", 0), 0);
	/* Not refused, so it was applied before its content went. */
	recover_to(&t, 0);
	stage(&t, a, OP_APPEND, ".incoming/1", 4, "45");
	stage(&t, b, OP_APPEND, ".incoming/2", 4, "45");
	assert_int_equal(unlinkat(t.data, ".incoming/1", 0), 0);
	assert_int_equal(unlinkat(t.data, ".incoming/2", 0), 0);
	assert_int_equal(db_mark_set(t.log, MARK_UNAPPLIED, "5"), 0);
	recover(&t);
	assert_int_equal(t.r.failed, 1);
	assert_string_equal(t.r.left[0].name, a);
	assert_int_equal(t.r.left[0].error, -ENODATA);
	site_close(&t);
}

static void test_new_file_without_a_row_is_an_orphan(void **state)
{
	char known[FILEID_NAME_LEN + 1];
	char orphan[FILEID_NAME_LEN + 1];
	struct site t;
	char path[160];

	site_open(&t, state);
	uploaded(&t, false, "known", known);
	new_name(&t, t.now, false, orphan);
	put_named(&t, orphan, "", "half");
	recover(&t);
	assert_int_equal(t.r.orphans, 1);
	expect_file(&t, known, "", "known");
	expect_file(&t, orphan, "", NULL);
	snprintf(path, sizeof(path), ".orphans/%s", orphan + 10);
	assert_true(is_there(&t, path));
	recover_to(&t, 0);
	site_close(&t);
}

static int see_replica(void *arg, const struct op *op)
{
	int *seen = arg;

	if (op->code == OP_CREATE)
		seen[op->replica]++;
	return 0;
}

static void test_whole_file_made_elsewhere_gets_a_row_not_sent_on(void **state)
{
	struct fileid id = { .size_field = fileid_size_field(5, false, 7),
		.crc = sum_crc32(0, "whole", 5) };
	char name[FILEID_NAME_LEN + 1];
	int seen[2] = { 0, 0 };
	struct site t;

	site_open(&t, state);
	id.time = (uint32_t)(t.now / 1000);
	for (uint32_t i = 0; i < 3; i++) {
		id.source = i ? 0x0100000a + i : 0x0100000a;
		fileid_make(&id, (struct fileid_place){ 0, 1, 1 },
		    span_of("txt"), i, name);
		put_named(&t, name, "", "whole");
	}
	recover_to(&t, 0);
	assert_int_equal(oplog_read(t.log, 0, 10, see_replica, seen), 3);
	assert_int_equal(seen[0], 1); /* made here */
	assert_int_equal(seen[1], 2);
	site_close(&t);
}

static int count_rows(void *arg, const struct op *op)
{
	*(int *)arg += op->code == OP_CREATE;
	return 0;
}

static void test_whole_new_file_without_a_row_gets_one(void **state)
{
	char known[FILEID_NAME_LEN + 1];
	char whole[FILEID_NAME_LEN + 1];
	struct fileid id = { .source = 0x0100000a };
	struct site t;
	int rows = 0;

	site_open(&t, state);
	uploaded(&t, false, "known", known);
	id.time = (uint32_t)(t.now / 1000);
	id.size_field = fileid_size_field(5, false, 7);
	id.crc = sum_crc32(0, "whole", 5);
	fileid_make(&id, (struct fileid_place){ 0, 1, 1 }, span_of("txt"), 9,
	    whole);
	put_named(&t, whole, "", "whole");
	recover(&t);
	assert_int_equal(t.r.recorded, 1);
	assert_int_equal(t.r.orphans, 0);
	expect_file(&t, whole, "", "whole");
	assert_true(oplog_read(t.log, 0, 10, count_rows, &rows) >= 0);
	assert_int_equal(rows, 2);
	recover_to(&t, 0);
	assert_int_equal(t.r.recorded, 0);
	site_close(&t);
}

static void test_upload_cut_off_after_a_long_quiet_is_an_orphan(void **state)
{
	char old[FILEID_NAME_LEN + 1];
	char orphan[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	t.now -= 7200000;
	t.since = t.now - 1000;
	uploaded(&t, false, "old", old);
	new_name(&t, clock_wall(), false, orphan);
	put_named(&t, orphan, "", "half");
	recover(&t);
	assert_int_equal(t.r.orphans, 1);
	expect_file(&t, orphan, "", NULL);
	site_close(&t);
}

/* Names older than the run, files whose birth is told by the disk only. */
static void test_old_files_are_never_touched(void **state)
{
	char old[FILEID_NAME_LEN + 1];
	char changed[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	new_name(&t, t.now - 86400000, false, old);
	new_name(&t, t.now - 86400000, true, changed);
	put_named(&t, old, "", "old");
	put_named(&t, changed, "", "old and changed");
	put_named(&t, old, "-m", "a\2b");
	put_file(&t, "01/01/readme", "a stranger");
	/* They were born before the run that crashed. */
	t.since = clock_wall() + 3600000;
	t.now = t.since + 1000;
	row(&t, (struct op){ .code = OP_MODIFY, .name = span_of(changed) });
	recover_to(&t, 0);
	expect_file(&t, old, "", "old");
	expect_file(&t, old, "-m", "a\2b");
	expect_file(&t, changed, "", "old and changed");
	assert_true(is_there(&t, "01/01/readme"));
	site_close(&t);
}

/* The clock was put back an hour in the middle of the run. */
static void test_acknowledged_files_survive_a_clock_set_back(void **state)
{
	char name[50][FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	t.now += 3600000;
	for (int i = 0; i < 50; i++) {
		if (i == 30)
			t.now -= 3600000;
		uploaded(&t, false, "text", name[i]);
	}
	recover_to(&t, 0);
	for (int i = 0; i < 50; i++)
		expect_file(&t, name[i], "", "text");
	site_close(&t);
}

/* It was an hour behind when the run was killed. */
static void test_run_is_recovered_whose_clock_was_set_back(void **state)
{
	char name[FILEID_NAME_LEN + 1];
	char lost[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	t.since = t.now + 3600000;
	uploaded(&t, false, "text", name);
	row_of(&t, OP_DELETE, name);
	new_name(&t, t.now + 1000, false, lost);
	put_named(&t, lost, "", "tex");
	recover(&t);
	assert_int_equal(t.r.redone, 1);
	assert_int_equal(t.r.orphans, 1);
	expect_file(&t, name, "", NULL);
	expect_file(&t, lost, "", NULL);
	site_close(&t);
}

/* The log keeps few rows: those of files just made are gone already. */
static void test_acknowledged_files_survive_a_short_log(void **state)
{
	char name[20][FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	for (int i = 0; i < 20; i++)
		uploaded(&t, false, "text", name[i]);
	assert_int_equal(db_begin(t.log), 0);
	assert_int_equal(oplog_follower_set(t.log, "catalogue", 20, t.now), 0);
	assert_int_equal(oplog_trim(t.log, t.now, 86400000, 5 * 96, 100), 15);
	assert_int_equal(db_commit(t.log), 0);
	recover_to(&t, 0);
	for (int i = 0; i < 20; i++)
		expect_file(&t, name[i], "", "text");
	site_close(&t);
}

static void test_operations_before_the_run_are_not_done_again(void **state)
{
	char name[FILEID_NAME_LEN + 1];
	struct site t;

	site_open(&t, state);
	uploaded(&t, false, "text", name);
	row_of(&t, OP_DELETE, name);
	/* Somebody brought it back, then the daemon was started. */
	t.now += 60000;
	t.since = t.now;
	t.after = oplog_last(t.log, NULL);
	row_of(&t, OP_CREATE, "M00/01/01/another");
	recover_to(&t, 0);
	expect_file(&t, name, "", "text");
	site_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_empty_log_and_disk_need_nothing),
		scratch_test(test_committed_delete_is_carried_out),
		scratch_test(test_file_made_again_after_its_delete_stays),
		scratch_test(test_committed_rename_is_carried_out),
		scratch_test(test_half_of_a_rename_is_completed),
		scratch_test(test_metadata_in_force_is_written),
		scratch_test(test_committed_truncate_is_carried_out),
		scratch_test(test_staged_content_is_applied),
		scratch_test(test_content_in_the_row_is_applied),
		scratch_test(test_staged_file_of_a_peer_gets_its_name),
		scratch_test(
		    test_staged_file_of_a_peer_that_is_not_whole_is_kept),
		scratch_test(test_changes_of_a_peer_are_carried_out),
		scratch_test(test_delete_of_a_link_by_a_peer_leaves_the_target),
		scratch_test(
		    test_whole_file_made_elsewhere_gets_a_row_not_sent_on),
		scratch_test(test_content_without_a_row_is_dropped),
		scratch_test(
		    test_staged_content_that_is_not_whole_is_kept_and_told),
		scratch_test(test_what_is_left_is_told_by_name),
		scratch_test(test_lost_content_of_a_refused_change_is_told),
		scratch_test(test_new_file_without_a_row_is_an_orphan),
		scratch_test(test_whole_new_file_without_a_row_gets_one),
		scratch_test(
		    test_upload_cut_off_after_a_long_quiet_is_an_orphan),
		scratch_test(test_old_files_are_never_touched),
		scratch_test(test_acknowledged_files_survive_a_clock_set_back),
		scratch_test(test_run_is_recovered_whose_clock_was_set_back),
		scratch_test(test_acknowledged_files_survive_a_short_log),
		scratch_test(test_operations_before_the_run_are_not_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
