/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* Where an upload goes, rule by rule (client-protocol 3.2.1). */
#include "choose_world.h"

static void set_paths(struct storage *s, const int64_t *free_mb, size_t n)
{
	s->n_paths = n;
	s->path_count = (int64_t)n;
	s->group->path_count = (int64_t)n;
	for (size_t i = 0; i < n; i++) {
		s->path_total_mb[i] = 1000;
		s->path_free_mb[i] = free_mb[i];
	}
	cluster_space(s);
}

static void expect_store(struct world *w, const char *group, const char *id,
    int64_t path)
{
	struct choice ch;

	assert_int_equal(choose_store(&w->c, &w->cf, group, false, &ch), 0);
	assert_string_equal(ch.servers[0]->id, id);
	assert_int_equal(ch.path, path);
}

static int store_rc(struct world *w, const char *group)
{
	struct choice ch;

	return choose_store(&w->c, &w->cf, group, false, &ch);
}

/* --- group --------------------------------------------------------------- */

static void test_no_group_at_all_is_enoent(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(store_rc(&w, NULL), -ENOENT);
	assert_int_equal(store_rc(&w, "group1"), -ENOENT);
	cluster_fini(&w.c);
}

static void test_named_group_without_writable_storage_is_enoent(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "group1", "10.0.0.1", 500);
	s->status = ST_OFFLINE;
	assert_int_equal(store_rc(&w, "group1"), -ENOENT);
	s->status = ST_ACTIVE;
	s->rw = RW_READ;
	assert_int_equal(store_rc(&w, "group1"), -ENOENT);
	s->rw = RW_WRITE;
	expect_store(&w, "group1", "10.0.0.1", 0);
	cluster_fini(&w.c);
}

static void test_free_space_must_be_above_the_reserve(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "group1", "10.0.0.1", 100);
	assert_int_equal(store_rc(&w, "group1"), -ENOSPC);
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	w.cf.reserve.bytes = UINT64_C(99) << 20;
	expect_store(&w, "group1", "10.0.0.1", 0);
	w.cf.reserve = (struct conf_reserve){ .percent = 10 };
	assert_int_equal(store_rc(&w, "group1"), -ENOSPC);
	w.cf.reserve.percent = 9.99;
	expect_store(&w, "group1", "10.0.0.1", 0);
	cluster_fini(&w.c);
}

static void test_a_percentage_of_nothing_is_no_space(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	w.cf.reserve = (struct conf_reserve){ .percent = 1 };
	s = add(&w, "group1", "10.0.0.1", 100);
	s->path_total_mb[0] = 0;
	cluster_space(s);
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	cluster_fini(&w.c);
}

static void test_groups_take_turns(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	add(&w, "b", "10.0.0.2", 500);
	add(&w, "c", "10.0.0.3", 500);
	expect_store(&w, NULL, "10.0.0.1", 0);
	expect_store(&w, NULL, "10.0.0.2", 0);
	expect_store(&w, NULL, "10.0.0.3", 0);
	expect_store(&w, NULL, "10.0.0.1", 0);
	cluster_fini(&w.c);
}

static void test_a_full_group_is_passed_over(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 50);
	add(&w, "b", "10.0.0.2", 500);
	expect_store(&w, NULL, "10.0.0.2", 0);
	assert_int_equal(w.c.write_group, 0);
	expect_store(&w, NULL, "10.0.0.2", 0);
	cluster_fini(&w.c);
}

static void test_the_configured_group_takes_all(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	add(&w, "b", "10.0.0.2", 500);
	w.cf.store_lookup = LOOKUP_GROUP;
	w.cf.store_group = "b";
	expect_store(&w, NULL, "10.0.0.2", 0);
	expect_store(&w, NULL, "10.0.0.2", 0);
	expect_store(&w, "a", "10.0.0.1", 0);
	w.cf.store_group = "nosuch";
	assert_int_equal(store_rc(&w, NULL), -ENOENT);
	cluster_fini(&w.c);
}

static void test_most_free_space_is_chosen_at_each_report(void **state)
{
	struct world w;
	struct storage *b;

	(void)state;
	world_init(&w);
	w.cf.store_lookup = LOOKUP_MOST_FREE;
	add(&w, "a", "10.0.0.1", 500);
	b = add(&w, "b", "10.0.0.2", 600);
	add(&w, "c", "10.0.0.3", 600);
	choose_best_group(&w.c, &w.cf);
	expect_store(&w, NULL, "10.0.0.2", 0); /* a tie goes to the first */
	expect_store(&w, NULL, "10.0.0.2", 0);
	b->path_free_mb[0] = 300;
	cluster_space(b);
	choose_best_group(&w.c, &w.cf);
	expect_store(&w, NULL, "10.0.0.3", 0);
	cluster_fini(&w.c);
}

static void test_free_trunk_space_counts_when_trunk_files_are_used(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 50);
	w.c.groups[0]->trunk_free_mb = 60;
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	w.cf.trunk.use = true;
	w.cf.store_server = SERVER_FIRST;
	expect_store(&w, NULL, "10.0.0.1", 0);
	expect_store(&w, "a", "10.0.0.1", 0);
	w.c.groups[0]->trunk_free_mb = 50;
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	cluster_fini(&w.c);
}

static void test_trunk_space_leads_when_no_group_has_plain_space(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.cf.trunk.use = true;
	w.cf.store_server = SERVER_FIRST;
	w.cf.store_lookup = LOOKUP_MOST_FREE;
	add(&w, "a", "10.0.0.1", 90);
	add(&w, "b", "10.0.0.2", 80);
	w.c.groups[1]->trunk_free_mb = 500;
	choose_best_group(&w.c, &w.cf);
	expect_store(&w, NULL, "10.0.0.2", 0);
	cluster_fini(&w.c);
}

static void test_a_group_without_store_paths_is_enoent(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	w.c.groups[0]->path_count = 0;
	assert_int_equal(store_rc(&w, "a"), -ENOENT);
	assert_int_equal(store_rc(&w, NULL), -ENOENT);
	cluster_fini(&w.c);
}

/* --- storage ------------------------------------------------------------- */

static void test_storages_take_turns_by_id(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.77.1.2", 500);
	add(&w, "a", "10.77.1.11", 500);
	expect_store(&w, NULL, "10.77.1.11", 0); /* byte order */
	assert_int_equal(w.c.groups[0]->write_server, 1);
	expect_store(&w, NULL, "10.77.1.2", 0);
	expect_store(&w, NULL, "10.77.1.11", 0);
	cluster_fini(&w.c);
}

static void test_one_storage_moves_no_index(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	expect_store(&w, NULL, "10.0.0.1", 0);
	assert_int_equal(w.c.groups[0]->write_server, 0);
	cluster_fini(&w.c);
}

static void test_store_server_1_is_the_first_and_2_the_lowest_priority(
    void **state)
{
	struct world w;
	struct storage *b;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	b = add(&w, "a", "10.0.0.2", 500);
	add(&w, "a", "10.0.0.3", 500)->priority = 5;
	b->priority = 5;
	w.cf.store_server = SERVER_FIRST;
	expect_store(&w, NULL, "10.0.0.1", 0);
	expect_store(&w, NULL, "10.0.0.1", 0);
	w.cf.store_server = SERVER_PRIORITY;
	expect_store(&w, NULL, "10.0.0.2", 0);
	assert_string_equal(choose_store_server(&w.cf, w.c.groups[0])->id,
	    "10.0.0.2");
	cluster_fini(&w.c);
}

static void test_all_lists_writable_storages_by_id(void **state)
{
	struct world w;
	struct choice ch;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.3", 500);
	add(&w, "a", "10.0.0.1", 500);
	add(&w, "a", "10.0.0.2", 500)->status = ST_OFFLINE;
	assert_int_equal(choose_store(&w.c, &w.cf, NULL, true, &ch), 0);
	assert_int_equal(ch.n, 2);
	assert_string_equal(ch.servers[0]->id, "10.0.0.1");
	assert_string_equal(ch.servers[1]->id, "10.0.0.3");
	assert_int_equal(w.c.groups[0]->write_server, 0);
	cluster_fini(&w.c);
}

static void test_the_fullest_writable_storage_speaks_for_its_group(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add(&w, "a", "10.0.0.1", 500);
	add(&w, "a", "10.0.0.2", 300);
	assert_int_equal(w.c.groups[0]->free_mb, 300);
	w.c.groups[0]->storages[1]->status = ST_OFFLINE;
	group_figures(w.c.groups[0]);
	assert_int_equal(w.c.groups[0]->free_mb, 500);
	cluster_fini(&w.c);
}

/* --- store path ---------------------------------------------------------- */

static void test_store_paths_take_turns(void **state)
{
	static const int64_t free_mb[] = { 500, 500, 500 };
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "a", "10.0.0.1", 500);
	set_paths(s, free_mb, 3);
	expect_store(&w, NULL, "10.0.0.1", 0);
	expect_store(&w, NULL, "10.0.0.1", 1);
	expect_store(&w, NULL, "10.0.0.1", 2);
	expect_store(&w, NULL, "10.0.0.1", 0);
	cluster_fini(&w.c);
}

static void test_a_full_path_is_passed_over(void **state)
{
	/* The reserve of 100 MB is 33 for each of three paths. */
	static const int64_t free_mb[] = { 33, 34, 500 };
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "a", "10.0.0.1", 500);
	set_paths(s, free_mb, 3);
	expect_store(&w, NULL, "10.0.0.1", 1);
	expect_store(&w, NULL, "10.0.0.1", 2);
	expect_store(&w, NULL, "10.0.0.1", 1);
	cluster_fini(&w.c);
}

static void test_no_path_with_space_is_enospc(void **state)
{
	static const int64_t free_mb[] = { 55, 55 };
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	w.cf.reserve = (struct conf_reserve){ .percent = 5 };
	s = add(&w, "a", "10.0.0.1", 500);
	set_paths(s, free_mb, 2);
	expect_store(&w, NULL, "10.0.0.1", 0);
	s->path_free_mb[0] = 50;
	s->path_free_mb[1] = 50;
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	cluster_fini(&w.c);
}

static void test_trunk_space_opens_the_current_path(void **state)
{
	static const int64_t free_mb[] = { 40, 40 };
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	w.cf.trunk.use = true;
	w.cf.store_server = SERVER_FIRST;
	s = add(&w, "a", "10.0.0.1", 500);
	set_paths(s, free_mb, 2);
	w.c.groups[0]->trunk_free_mb = 30;
	expect_store(&w, NULL, "10.0.0.1", 0);
	w.c.groups[0]->trunk_free_mb = 10;
	assert_int_equal(store_rc(&w, NULL), -ENOSPC);
	cluster_fini(&w.c);
}

static void test_store_path_2_follows_the_most_free_path(void **state)
{
	static const int64_t free_mb[] = { 400, 700, 500 };
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	w.cf.store_path = PATH_MOST_FREE;
	s = add(&w, "a", "10.0.0.1", 500);
	set_paths(s, free_mb, 3);
	choose_best_path(&w.cf, s);
	expect_store(&w, NULL, "10.0.0.1", 1);
	expect_store(&w, NULL, "10.0.0.1", 1);
	cluster_fini(&w.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_group_at_all_is_enoent),
		cmocka_unit_test(
		    test_named_group_without_writable_storage_is_enoent),
		cmocka_unit_test(test_free_space_must_be_above_the_reserve),
		cmocka_unit_test(test_a_percentage_of_nothing_is_no_space),
		cmocka_unit_test(test_groups_take_turns),
		cmocka_unit_test(test_a_full_group_is_passed_over),
		cmocka_unit_test(test_the_configured_group_takes_all),
		cmocka_unit_test(test_most_free_space_is_chosen_at_each_report),
		cmocka_unit_test(
		    test_free_trunk_space_counts_when_trunk_files_are_used),
		cmocka_unit_test(
		    test_trunk_space_leads_when_no_group_has_plain_space),
		cmocka_unit_test(test_a_group_without_store_paths_is_enoent),
		cmocka_unit_test(test_storages_take_turns_by_id),
		cmocka_unit_test(test_one_storage_moves_no_index),
		cmocka_unit_test(
		    test_store_server_1_is_the_first_and_2_the_lowest_priority),
		cmocka_unit_test(test_all_lists_writable_storages_by_id),
		cmocka_unit_test(
		    test_the_fullest_writable_storage_speaks_for_its_group),
		cmocka_unit_test(test_store_paths_take_turns),
		cmocka_unit_test(test_a_full_path_is_passed_over),
		cmocka_unit_test(test_no_path_with_space_is_enospc),
		cmocka_unit_test(test_trunk_space_opens_the_current_path),
		cmocka_unit_test(test_store_path_2_follows_the_most_free_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
