/* SPDX-License-Identifier: MIT */
/* LAYERS: meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/query.h"
#include "meta_names.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static char paths[2][96];
static const char *path_list[] = { paths[0], paths[1] };
static struct adopt_result result;

static void make_file(const char *path, const void *bytes, size_t n)
{
	char dir[256];

	str_copy(dir, sizeof(dir), path);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(fs_make_dirs(dir), 0);
	assert_int_equal(fs_replace_file(path, bytes, n, false), 0);
}

static void on_disk(unsigned path, const char *name, size_t n, const char *meta)
{
	static const char bytes[4096];
	char full[300];

	snprintf(full, sizeof(full), "%s/data/%s", paths[path], name);
	make_file(full, bytes, n);
	if (!meta)
		return;
	snprintf(full, sizeof(full), "%s/data/%s-m", paths[path], name);
	make_file(full, meta, strlen(meta));
}

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	for (size_t i = 0; i < 2; i++) {
		char data[300];

		snprintf(paths[i], sizeof(paths[i]), "%s/p%zu", tmp.dir, i);
		snprintf(data, sizeof(data), "%s/data", paths[i]);
		assert_int_equal(fs_make_dirs(data), 0);
	}
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tmp_remove(&tmp);
	return 0;
}

static int adopt(void)
{
	static char cat[128];
	static char log[128];
	const struct adopt_conf conf = { .catalogue_path = cat,
		.log_path = log,
		.store_paths = path_list,
		.n_store_paths = 2,
		.read_name = test_read_name,
		.group = "group1",
		.name_key = "filename" };

	snprintf(cat, sizeof(cat), "%s/catalogue.db", tmp.dir);
	snprintf(log, sizeof(log), "%s/storage.db", tmp.dir);
	return catalogue_adopt(&conf, &result, err);
}

static int take_value(void *arg, size_t n, const struct query_value *v)
{
	(void)n;
	if (v[0].type == QUERY_INTEGER)
		snprintf(arg, 4096, "%lld", (long long)v[0].integer);
	else
		snprintf(arg, 4096, "%.*s", (int)v[0].text.n, v[0].text.p);
	return 0;
}

static int no_columns(void *arg, size_t n, const char *const *names)
{
	(void)arg;
	(void)n;
	(void)names;
	return 0;
}

static const char *ask(const char *sql)
{
	static char out[4096];
	struct db *db = NULL;

	out[0] = '\0';
	assert_int_equal(db_open_read(DB_CATALOGUE,
	                     tmp_path(&tmp, "catalogue.db"), &db, err),
	    0);
	if (query_sql(db, sql, no_columns, take_value, out, err) < 0)
		fail_msg("%s: %s", sql, err);
	db_close(db);
	return out;
}

static struct db *open_log(void)
{
	struct db *db = NULL;

	assert_int_equal(
	    db_open(DB_LOG, tmp_path(&tmp, "storage.db"), false, &db, err), 0);
	return db;
}

static void test_files_on_disk_become_rows(void **state)
{
	(void)state;
	on_disk(0, "00/01/n100-1795331773-a.jpg", 100,
	    "filename\2a b.jpg\1author\2lin");
	on_disk(1, "FF/0A/n7-1795331700-b", 7, NULL);
	on_disk(0, "00/01/s0-1795331773-a-small.jpg", 50, NULL);
	on_disk(0, "00/02/garbage", 1, NULL);
	on_disk(0, "zz/02/n1-1795331773-elsewhere", 1, NULL);
	assert_int_equal(adopt(), 0);
	assert_int_equal(result.files, 3);
	assert_int_equal(result.bytes, 157);
	assert_int_equal(result.meta, 1);
	assert_int_equal(result.not_ours, 1);
	assert_int_equal(result.replayed, 0);
	assert_string_equal(
	    ask("SELECT group_concat(x, ' ') FROM (SELECT id || ',' || size "
	        "|| ',' || seq || ',' || type AS x FROM files ORDER BY seq "
	        "LIMIT 2)"),
	    "group1/M01/FF/0A/n7-1795331700-b,7,-3,normal "
	    "group1/M00/00/01/n100-1795331773-a.jpg,100,-2,normal");
	assert_string_equal(ask("SELECT name FROM files WHERE seq = -2"),
	    "a b.jpg");
	assert_string_equal(ask("SELECT sum(files) || ' ' || sum(bytes) "
	                        "FROM usage_day"),
	    "3 157");
	/* nothing is left lying about */
	assert_int_equal(access(tmp_path(&tmp, "catalogue.db.adopt"), F_OK),
	    -1);
	assert_int_equal(
	    access(tmp_path(&tmp, "catalogue.db.adopt-list"), F_OK), -1);
}

static void test_log_is_replayed_over_the_files(void **state)
{
	static const char *const kept = "M00/00/01/n100-1795331773-a.jpg";
	static const char *const gone = "M00/00/01/n200-1795331773-b.jpg";
	static const char *const grown = "M01/00/01/a0-1795331773-c.log";
	struct db *db = open_log();
	struct op op = op_make(OP_SET_META, kept, 0);
	(void)state;

	on_disk(0, kept + 4, 100, "author\2wu");
	on_disk(1, grown + 4, 30, NULL);
	op_append(db, op_make(OP_CREATE, kept, 100));
	op.extra = span_of("author\2lin");
	op_append(db, op);
	op.extra = span_of("author\2wu");
	op_append(db, op);
	op_append(db, op_make(OP_CREATE, gone, 200));
	op_append(db, op_make(OP_DELETE, gone, 0));
	op_append(db, op_make(OP_CREATE, grown, 10));
	op_append(db, op_make(OP_APPEND, grown, 20));
	op_append(db, op_make(OP_APPEND, grown, 30));
	db_close(db);
	assert_int_equal(adopt(), 0);
	assert_int_equal(result.files, 2);
	assert_int_equal(result.replayed, 8);
	assert_string_equal(
	    ask("SELECT group_concat(x, ' ') FROM (SELECT seq || ',' || size "
	        "|| ',' || client AS x FROM files ORDER BY seq)"),
	    "1,100,10.0.0.9 6,30,10.0.0.9");
	assert_string_equal(ask("SELECT group_concat(key || value) FROM meta"),
	    "authorwu");
	assert_string_equal(ask("SELECT remote FROM deleted"), gone);
	assert_string_equal(ask("SELECT sum(files) || ' ' || sum(bytes) "
	                        "FROM usage_size"),
	    "2 130");
	assert_string_equal(ask("SELECT uploads || ' ' || deletes "
	                        "FROM usage_client WHERE client <> ''"),
	    "3 1");
}

static void test_rename_in_the_log_finds_both_names(void **state)
{
	static const char *const old = "M00/00/01/a0-1795331773-c.log";
	static const char *const new = "M00/00/01/n20-1795331773-c.log";
	struct db *db = open_log();
	struct op op = op_make(OP_RENAME, new, 20);
	(void)state;

	on_disk(0, new + 4, 20, "author\2wu");
	/* its creation was trimmed long ago */
	op_append(db, op_make(OP_APPEND, old, 20));
	op.extra = span_of(old);
	op_append(db, op);
	db_close(db);
	assert_int_equal(adopt(), 0);
	assert_string_equal(
	    ask("SELECT group_concat(remote || size) FROM files"),
	    "M00/00/01/n20-1795331773-c.log20");
	assert_string_equal(ask("SELECT value FROM meta"), "wu");
	assert_string_equal(ask("SELECT sum(files) FROM usage_dir"), "1");
}

static void test_catalogue_follows_on_after_adopt(void **state)
{
	struct db *db = open_log();
	struct catalogue *c = NULL;
	struct catalogue_state st;
	char log[128];
	char cat[128];
	(void)state;

	on_disk(0, "00/01/n100-1795331773-a.jpg", 100, NULL);
	op_append(db,
	    op_make(OP_CREATE, "M00/00/01/n100-1795331773-a.jpg", 100));
	assert_int_equal(adopt(), 0);
	op_append(db, op_make(OP_CREATE, "M00/00/01/n5-1795331775-b.jpg", 5));
	db_close(db);

	snprintf(log, sizeof(log), "%s/storage.db", tmp.dir);
	snprintf(cat, sizeof(cat), "%s/catalogue.db", tmp.dir);
	const struct catalogue_conf conf = { .log_path = log,
		.path = cat,
		.read_name = test_read_name,
		.group = "group1" };

	assert_int_equal(catalogue_start(&conf, &c, err), 0);
	assert_int_equal(adopt(), -EBUSY);
	assert_non_null(strstr(err, "stop the storage"));
	catalogue_get_state(c, &st);
	assert_int_equal(st.last_error, 0);
	catalogue_stop(c);
	assert_string_equal(ask("SELECT count(*) || ' ' || sum(size) "
	                        "FROM files"),
	    "2 105");
}

static void test_adopt_replaces_a_damaged_catalogue(void **state)
{
	char garbage[8192];
	(void)state;

	memset(garbage, 0x5a, sizeof(garbage));
	make_file(tmp_path(&tmp, "catalogue.db"), garbage, sizeof(garbage));
	make_file(tmp_path(&tmp, "catalogue.db-wal"), garbage, 4096);
	on_disk(0, "00/01/n100-1795331773-a.jpg", 100, NULL);
	assert_int_equal(adopt(), 0);
	assert_string_equal(ask("SELECT count(*) FROM files"), "1");
}

static void test_missing_store_path_stops_it_and_keeps_the_old(void **state)
{
	char data[300];
	(void)state;

	on_disk(0, "00/01/n100-1795331773-a.jpg", 100, NULL);
	assert_int_equal(adopt(), 0);
	snprintf(data, sizeof(data), "%s/data", paths[1]);
	assert_int_equal(rmdir(data), 0);
	assert_int_equal(adopt(), -ENOENT);
	assert_non_null(strstr(err, data));
	assert_string_equal(ask("SELECT count(*) FROM files"), "1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_files_on_disk_become_rows),
		TEST(test_log_is_replayed_over_the_files),
		TEST(test_rename_in_the_log_finds_both_names),
		TEST(test_catalogue_follows_on_after_adopt),
		TEST(test_adopt_replaces_a_damaged_catalogue),
		TEST(test_missing_store_path_stops_it_and_keeps_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
