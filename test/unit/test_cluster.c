/* SPDX-License-Identifier: MIT */
/* LAYERS: meta base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meta/cluster.h"
#include "meta/query.h"
#include "meta_tmp.h"

static struct tmp tmp;
static char err[DB_ERR_MAX];
static struct db *db;

static int set_up(void **state)
{
	(void)state;
	tmp_make(&tmp);
	return db_open(DB_TRACKER, tmp_path(&tmp, "a.db"), false, &db, err);
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	tmp_remove(&tmp);
	return 0;
}

static struct storage_row a_storage(const char *group, const char *id)
{
	struct storage_row s = { .ip = "10.0.0.1",
		.status = 7,
		.version = "6.16.1",
		.port = 23000,
		.store_path_count = 2,
		.subdir_count_per_path = 256,
		.upload_priority = 10,
		.join_time = 1795331000,
		.up_time = 1795331001,
		.src_id = "100002",
		.sync_until = 1795331002,
		.last_synced = 1795331003,
		.last_heart_beat = 1795331004,
		.changelog_offset = 1795331005,
		.n_paths = 2 };

	str_copy(s.group, sizeof(s.group), group);
	str_copy(s.id, sizeof(s.id), id);
	for (size_t i = 0; i < s.n_paths; i++) {
		s.path_total_mb[i] = 1000 + (int64_t)i;
		s.path_free_mb[i] = 500 + (int64_t)i;
	}
	return s;
}

struct got {
	char text[1024];
	struct strbuf b;
	struct storage_row storage;
	size_t n_storages;
};

static int take_group(void *arg, const struct group_row *g)
{
	strbuf_addf(&((struct got *)arg)->b, "g:%s,%lld,%lld,%lld ", g->name,
	    (long long)g->storage_port, (long long)g->store_path_count,
	    (long long)g->subdir_count_per_path);
	return 0;
}

static int take_storage(void *arg, const struct storage_row *s)
{
	struct got *g = arg;

	g->storage = *s;
	g->n_storages++;
	strbuf_addf(&g->b, "s:%s/%s ", s->group, s->id);
	return 0;
}

static int take_stamp(void *arg, const char *group, const char *from,
    const char *to, int64_t time)
{
	strbuf_addf(&((struct got *)arg)->b, "t:%s/%s>%s=%lld ", group, from,
	    to, (long long)time);
	return 0;
}

static int take_change(void *arg, const char *line)
{
	strbuf_addf(&((struct got *)arg)->b, "c:%s ", line);
	return 0;
}

static struct got *load(void)
{
	static struct got g;
	const struct cluster_loader to = { &g, take_group, take_storage,
		take_stamp, take_change };

	memset(&g, 0, sizeof(g));
	g.b = strbuf_over(g.text, sizeof(g.text));
	assert_int_equal(cluster_load(db, &to), 0);
	return &g;
}

static void test_cluster_loads_as_it_was_put(void **state)
{
	const struct group_row group = { "group1", 23000, 2, 256 };
	const struct storage_row s = a_storage("group1", "100001");
	(void)state;

	assert_int_equal(cluster_put_group(db, &group), 0);
	assert_int_equal(cluster_put_storage(db, &s), 0);
	assert_int_equal(cluster_put_stamp(db, "group1", "100001", "100002", 5),
	    0);
	assert_int_equal(cluster_put_stamp(db, "group1", "100001", "100002", 6),
	    0);
	assert_int_equal(cluster_add_change(db, "line one"), 0);
	assert_int_equal(cluster_add_change(db, "line two"), 0);

	struct got *g = load();

	assert_string_equal(g->text,
	    "g:group1,23000,2,256 s:group1/100001 "
	    "t:group1/100001>100002=6 c:line one c:line two ");
	assert_memory_equal(&g->storage, &s, sizeof(s));
}

static void test_putting_again_replaces_and_drops_lost_paths(void **state)
{
	struct storage_row s = a_storage("group1", "100001");
	(void)state;

	assert_int_equal(cluster_put_storage(db, &s), 0);
	s.status = 5;
	s.n_paths = 1;
	s.path_total_mb[1] = s.path_free_mb[1] = 0;
	s.path_free_mb[0] = 17;
	assert_int_equal(cluster_put_storage(db, &s), 0);

	struct got *g = load();

	assert_int_equal(g->n_storages, 1);
	assert_memory_equal(&g->storage, &s, sizeof(s));
	s.n_paths = 257;
	assert_true(cluster_put_storage(db, &s) < 0);
}

static void test_dropping_takes_everything_along(void **state)
{
	const struct group_row group = { "group1", 23000, 2, 256 };
	const struct storage_row a = a_storage("group1", "100001");
	const struct storage_row b = a_storage("group1", "100002");
	(void)state;

	cluster_put_group(db, &group);
	cluster_put_storage(db, &a);
	cluster_put_storage(db, &b);
	cluster_put_stamp(db, "group1", "100001", "100002", 5);
	assert_int_equal(cluster_drop_storage(db, "group1", "100001"), 0);
	assert_string_equal(load()->text,
	    "g:group1,23000,2,256 s:group1/100002 ");
	cluster_put_stamp(db, "group1", "100003", "100002", 5);
	assert_int_equal(cluster_drop_group(db, "group1"), 0);
	assert_string_equal(load()->text, "");
}

static int any_columns(void *arg, size_t n, const char *const *names)
{
	(void)arg;
	(void)n;
	(void)names;
	return 0;
}

static int take_text(void *arg, size_t n, const struct query_value *v)
{
	(void)n;
	strbuf_addf(arg, "%.*s;", (int)v->text.n, v->text.p);
	return 0;
}

static void test_status_changes_are_kept_in_order(void **state)
{
	char text[128];
	struct strbuf b = strbuf_over(text, sizeof(text));
	(void)state;

	assert_int_equal(
	    cluster_log_status(db, 1000, "group1", "100001", -1, 0, "join"), 0);
	assert_int_equal(
	    cluster_log_status(db, 2000, "group1", "100001", 0, 7, "beat"), 0);
	assert_int_equal(
	    query_sql(db,
	        "SELECT at_ms || grp || id || old || new || reason "
	        "FROM status_log ORDER BY seq",
	        any_columns, take_text, &b, err),
	    2);
	assert_string_equal(text,
	    "1000group1100001-10join;2000group110000107beat;");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_cluster_loads_as_it_was_put),
		TEST(test_putting_again_replaces_and_drops_lost_paths),
		TEST(test_dropping_takes_everything_along),
		TEST(test_status_changes_are_kept_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
