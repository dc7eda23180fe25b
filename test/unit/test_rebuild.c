/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* Disk recovery: its texts, and when it is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storaged/rebuild_impl.h"
#include "test/unit/scratch.h"

#define NAME "M00/00/03/ClgAFWsClr2AUt4cAAAAFvJ-ZBQ563.txt"

static struct rebuild_line line;

static int parse(const char *text)
{
	memset(&line, 0, sizeof(line));
	return rebuild_parse_line(span_of(text), 0, &line);
}

static void test_a_created_file_is_wanted(void **state)
{
	(void)state;
	assert_int_equal(parse("1795331773 C " NAME), 0);
	assert_int_equal(line.time, 1795331773);
	assert_string_equal(line.name, NAME);
	assert_int_equal(parse("1795331773 c " NAME "-m"), 0);
	assert_string_equal(line.name, NAME "-m");
}

static void test_a_link_is_wanted_as_the_file_it_shows(void **state)
{
	(void)state;
	assert_int_equal(parse("1795331773 L " NAME " M00/00/00/other"), 0);
	assert_string_equal(line.name, NAME);
}

static void test_lines_that_name_no_file_of_the_path_are_refused(void **state)
{
	static const char *const bad[] = { "", "1795331773", "1795331773 C",
		"1795331773 C ", "1795331773 l ", "1795331773 D " NAME,
		"x C " NAME, "-1 C " NAME, "1795331773 CC " NAME,
		"1795331773 C M01" /* another path */
		"/00/03/ClgAFWsClr2AUt4cAAAAFvJ-ZBQ563.txt",
		"1795331773 C M00/00/../../../etc/passwd",
		"1795331773 C /etc/passwd", "1795331773 C M00/00/03/../x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(bad[i]) != -EBADMSG)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void test_the_flag_file_is_fastdfs_own(void **state)
{
	struct rebuild_flag f;
	char text[256];

	(void)state;
	assert_int_equal(rebuild_parse_flag("saved_storage_status=5\n"
	                                    "fetch_binlog_done=1\n"
	                                    "recovery_threads=4\n",
	                     &f),
	    0);
	assert_int_equal(f.saved_status, 5);
	assert_true(f.listed);
	assert_int_equal(f.lists, 4);
	assert_true(rebuild_print_flag(&f, text, sizeof(text)) > 0);
	assert_string_equal(text, "saved_storage_status=5\n"
	                          "fetch_binlog_done=1\n"
	                          "recovery_threads=4\n");
}

static void test_a_flag_file_that_has_not_begun_begins(void **state)
{
	struct rebuild_flag f;

	(void)state;
	/* As FastDFS leaves it when it is killed before it asked anybody. */
	assert_int_equal(rebuild_parse_flag("saved_storage_status=99\n"
	                                    "fetch_binlog_done=0\n"
	                                    "recovery_threads=-1\n",
	                     &f),
	    0);
	assert_int_equal(f.saved_status, -1);
	assert_false(f.listed);
	assert_int_equal(f.lists, 1);
	assert_int_equal(rebuild_parse_flag("", &f), 0);
	assert_false(f.listed);
	assert_int_equal(rebuild_parse_flag("recovery_threads=many\n", &f),
	    -EBADMSG);
}

/* --- the decision --- */

static void make_dir(void **state, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", (const char *)*state, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_tree(void **state, unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%02X", i);
		make_dir(state, name);
		for (unsigned k = 0; k < n; k++) {
			snprintf(name, sizeof(name), "%02X/%02X", i, k);
			make_dir(state, name);
		}
	}
}

static void drop_dir(void **state, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", (const char *)*state, name);
	assert_int_equal(rmdir(path), 0);
}

static bool is_missing(void **state, unsigned subdirs)
{
	int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool missing;

	assert_true(fd >= 0);
	missing = rebuild_is_missing(fd, subdirs);
	close(fd);
	return missing;
}

static void test_an_empty_path_is_missing(void **state)
{
	assert_true(is_missing(state, 4));
	make_tree(state, 4);
	assert_false(is_missing(state, 4));
}

static void test_a_tree_without_its_first_or_last_is_missing(void **state)
{
	make_tree(state, 4);
	drop_dir(state, "03/03");
	assert_true(is_missing(state, 4));
	make_dir(state, "03/03");
	drop_dir(state, "00/00");
	assert_true(is_missing(state, 4));
}

static void test_a_larger_count_of_directories_is_no_loss(void **state)
{
	make_tree(state, 4);
	assert_false(is_missing(state, 8));
}

#define S(f) cmocka_unit_test_setup_teardown(f, scratch_new, scratch_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_created_file_is_wanted),
		cmocka_unit_test(test_a_link_is_wanted_as_the_file_it_shows),
		cmocka_unit_test(
		    test_lines_that_name_no_file_of_the_path_are_refused),
		cmocka_unit_test(test_the_flag_file_is_fastdfs_own),
		cmocka_unit_test(test_a_flag_file_that_has_not_begun_begins),
		S(test_an_empty_path_is_missing),
		S(test_a_tree_without_its_first_or_last_is_missing),
		S(test_a_larger_count_of_directories_is_no_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
