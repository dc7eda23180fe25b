/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "storaged/store.h"
#include "test/unit/scratch.h"

#define MIB UINT64_C(1048576)

static struct stores s;
static char err[512];
static char dirs[3][512];

/* Three paths below the scratch directory. */
static void open_three(void **state, const struct store_conf *conf,
    const bool *readonly)
{
	const char *list[3];
	const struct store_dirs paths = { list, readonly, 3 };

	for (int i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		str_copy(dirs[i], sizeof(dirs[i]), scratch_path(state, name));
		mkdir(dirs[i], 0755);
		list[i] = dirs[i];
	}
	assert_int_equal(store_open(&s, conf, &paths, err, sizeof(err)), 0);
}

static void set_space(unsigned path, uint64_t total_mib, uint64_t avail_mib)
{
	atomic_store(&s.paths[path].total, total_mib * MIB);
	atomic_store(&s.paths[path].avail, avail_mib * MIB);
}

static const bool all_writable[3];
static const struct store_conf small = { .subdirs = 2, .rotate_count = 3 };

static unsigned picked(unsigned wanted, uint64_t size)
{
	struct store_path *p = NULL;
	int rc = store_pick(&s, wanted, size, &p);

	return rc < 0 ? (unsigned)-rc + 1000 : p->index;
}

#define NO_ROOM (1000 + ENOSPC)
#define NO_PATH (1000 + EINVAL)

static void test_open_makes_what_is_missing(void **state)
{
	struct stat sb;

	open_three(state, &small, all_writable);
	assert_int_equal(stat(scratch_path(state, "p0/data/01/01"), &sb), 0);
	assert_int_equal(stat(scratch_path(state, "p2/data/.incoming"), &sb),
	    0);
	assert_int_equal(stat(scratch_path(state, "p0/data/02"), &sb), -1);
	assert_true(atomic_load(&s.paths[0].total) > 0);
	store_close(&s);
	/* Again over what is there. */
	open_three(state, &small, all_writable);
	store_close(&s);
}

static void test_missing_path_is_told_by_name(void **state)
{
	const char *list[1] = { scratch_path(state, "nowhere") };
	const struct store_dirs paths = { list, all_writable, 1 };

	assert_int_equal(store_open(&s, &small, &paths, err, sizeof(err)),
	    -ENOENT);
	assert_non_null(strstr(err, "nowhere"));
}

static void test_sub_directories_may_grow_but_not_shrink(void **state)
{
	const struct store_conf larger = { .subdirs = 3, .rotate_count = 3 };
	const char *list[1] = { dirs[0] };
	const struct store_dirs paths = { list, all_writable, 1 };

	open_three(state, &small, all_writable);
	store_close(&s);
	open_three(state, &larger, all_writable);
	store_close(&s);
	assert_int_equal(store_open(&s, &small, &paths, err, sizeof(err)),
	    -EINVAL);
	assert_non_null(strstr(err, dirs[0]));
	assert_non_null(strstr(err, "subdir_count_per_path = 3"));
	assert_non_null(strstr(err, "shrink to 2"));
	open_three(state, &larger, all_writable);
	store_close(&s);
}

static void test_paths_take_turns(void **state)
{
	open_three(state, &small, all_writable);
	for (unsigned i = 0; i < 3; i++)
		set_space(i, 1000, 500);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(picked(0xFF, MIB), i % 3);
	/* A full one is left out. */
	set_space(1, 1000, 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_not_equal(picked(0xFF, MIB), 1);
	store_close(&s);
}

static void test_wanted_path_is_taken(void **state)
{
	open_three(state, &small, all_writable);
	for (unsigned i = 0; i < 3; i++)
		set_space(i, 1000, 500);
	assert_int_equal(picked(2, MIB), 2);
	assert_int_equal(picked(2, MIB), 2);
	assert_int_equal(picked(3, MIB), NO_PATH);
	assert_int_equal(picked(0xFE, MIB), NO_PATH);
	set_space(2, 1000, 0);
	assert_int_equal(picked(2, MIB), NO_ROOM);
	store_close(&s);
}

static void test_read_only_path_is_replaced(void **state)
{
	const bool readonly[3] = { false, true, true };

	open_three(state, &small, all_writable);
	store_close(&s);
	open_three(state, &small, readonly);
	for (unsigned i = 0; i < 3; i++)
		set_space(i, 1000, 500);
	assert_int_equal(picked(1, MIB), 0);
	assert_int_equal(picked(0xFF, MIB), 0);
	assert_int_equal(picked(0xFF, MIB), 0);
	store_close(&s);
}

static void test_balance_prefers_the_emptiest(void **state)
{
	struct store_conf conf = small;

	conf.balance = true;
	open_three(state, &conf, all_writable);
	set_space(0, 1000, 300);
	set_space(1, 1000, 500);
	set_space(2, 1000, 400);
	assert_int_equal(picked(0xFF, 150 * MIB), 1);
	/* What was promised counts before the next look at the disk. */
	assert_int_equal(picked(0xFF, MIB), 2);
	store_close(&s);
}

static void test_reserve_stays_free(void **state)
{
	struct store_conf conf = small;

	conf.reserved.percent = 10;
	open_three(state, &conf, all_writable);
	set_space(0, 1000, 150);
	assert_int_equal(store_reserve(&s, &s.paths[0]), 100 * MIB);
	assert_int_equal(picked(0, 50 * MIB), NO_ROOM);
	assert_int_equal(picked(0, 49 * MIB), 0);
	assert_int_equal(picked(0, 2 * MIB), NO_ROOM);
	assert_int_equal(picked(0, UINT64_C(1) << 62), NO_ROOM);
	store_close(&s);

	/* Bytes are for all paths together. */
	conf.reserved.percent = 0;
	conf.reserved.bytes = 300 * MIB;
	open_three(state, &conf, all_writable);
	assert_int_equal(store_reserve(&s, &s.paths[0]), 100 * MIB);
	store_close(&s);
}

static void test_directory_changes_after_so_many_files(void **state)
{
	open_three(state, &small, all_writable);
	for (unsigned i = 0; i < 3 * 4 * 2; i++) {
		struct fileid_place at = store_place(&s, &s.paths[1]);
		unsigned dir = i / 3 % 4;

		assert_int_equal(at.path, 1);
		assert_int_equal(at.high, dir / 2);
		assert_int_equal(at.low, dir % 2);
	}
	store_close(&s);
}

static void test_directories_may_be_random(void **state)
{
	struct store_conf conf = small;
	unsigned seen = 0;

	conf.hash_dirs = true;
	open_three(state, &conf, all_writable);
	for (int i = 0; i < 1000; i++) {
		struct fileid_place at = store_place(&s, &s.paths[0]);

		assert_true(at.high < 2 && at.low < 2);
		seen |= 1U << (at.high * 2 + at.low);
	}
	assert_int_equal(seen, 15);
	store_close(&s);
}

static void test_temporary_names_are_never_the_same(void **state)
{
	char a[STORE_TEMP_MAX];
	char c[STORE_TEMP_MAX];

	open_three(state, &small, all_writable);
	store_temp(&s.paths[0], a);
	store_temp(&s.paths[0], c);
	assert_string_not_equal(a, c);
	assert_memory_equal(a, STORE_INCOMING "/", 10);
	store_close(&s);
}

static void test_slow_disk_is_kept_off_the_loops(void **state)
{
	mono_t now = 1000 * MONO_SEC;
	struct store_path *p;

	open_three(state, &small, all_writable);
	p = &s.paths[0];
	assert_true(store_quick(p, now));
	store_took(p, now, now + MONO_MS);
	assert_true(store_quick(p, now + MONO_MS));
	store_took(p, now, now + 20 * MONO_MS);
	assert_false(store_quick(p, now + 20 * MONO_MS));
	assert_true(store_quick(&s.paths[1], now + 20 * MONO_MS));
	assert_true(store_quick(p, now + 10 * MONO_SEC));
	store_close(&s);
}

static void test_lost_path_takes_no_files_until_it_is_back(void **state)
{
	char away[512];
	char data[512];

	open_three(state, &small, all_writable);
	str_copy(away, sizeof(away), scratch_path(state, "away"));
	str_copy(data, sizeof(data), scratch_path(state, "p1/data"));
	assert_int_equal(rename(data, away), 0);
	store_look(&s);
	assert_int_equal(picked(1, 1), NO_ROOM);
	/* An empty mount point is not the disk. */
	assert_int_equal(mkdir(data, 0755), 0);
	store_look(&s);
	assert_int_equal(picked(1, 1), NO_ROOM);
	assert_int_equal(rmdir(data), 0);
	assert_int_equal(rename(away, data), 0);
	store_look(&s);
	assert_int_equal(picked(1, 1), 1);
	store_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_open_makes_what_is_missing),
		scratch_test(test_missing_path_is_told_by_name),
		scratch_test(test_sub_directories_may_grow_but_not_shrink),
		scratch_test(test_paths_take_turns),
		scratch_test(test_wanted_path_is_taken),
		scratch_test(test_read_only_path_is_replaced),
		scratch_test(test_balance_prefers_the_emptiest),
		scratch_test(test_reserve_stays_free),
		scratch_test(test_directory_changes_after_so_many_files),
		scratch_test(test_directories_may_be_random),
		scratch_test(test_temporary_names_are_never_the_same),
		scratch_test(test_slow_disk_is_kept_off_the_loops),
		scratch_test(test_lost_path_takes_no_files_until_it_is_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
