/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "test/unit/scratch.h"

static void test_written_bytes_are_read_back(void **state)
{
	const int fd = open(scratch_path(state, "f"), O_RDWR | O_CREAT, 0600);
	char buf[16] = "";

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, "hello", 5), 0);
	assert_int_equal(fs_pwrite_all(fd, "J", 1, 0), 0);
	assert_int_equal(fs_pread_all(fd, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "Jello", 5);
	assert_int_equal(fs_pread_all(fd, buf, 2, 3), 2);
	assert_memory_equal(buf, "lo", 2);
	assert_int_equal(fs_pread_all(fd, buf, 2, 99), 0);
	close(fd);
	assert_int_equal(fs_write_all(fd, "x", 1), -EBADF);
	assert_int_equal(fs_pread_all(fd, buf, 1, 0), -EBADF);
}

static void test_write_all_goes_on_through_a_full_pipe(void **state)
{
	enum { SIZE = 300000 };
	char *data = calloc(1, SIZE);
	size_t got = 0;
	char buf[4096];
	int fds[2];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		_exit(fs_write_all(fds[1], data, SIZE) == 0 ? 0 : 1);
	close(fds[1]);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		got += (size_t)n;
	assert_int_equal(got, SIZE);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	free(data);
}

static void test_read_file_is_terminated_and_bounded(void **state)
{
	const char *path = scratch_write(state, "f", "12345");
	char *text;

	assert_int_equal(fs_read_file(path, 5, &text), 5);
	assert_string_equal(text, "12345");
	free(text);
	assert_int_equal(fs_read_file(path, 4, &text), -EFBIG);
	assert_int_equal(fs_read_file(scratch_path(state, "none"), 5, &text),
	    -ENOENT);
	assert_int_equal(fs_read_file(*state, 5, &text), -EISDIR);
	assert_true(fs_read_file("/proc/self/stat", 1 << 16, &text) > 0);
	free(text);
}

static size_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_replace_changes_the_file_and_leaves_no_other(void **state)
{
	const char *path = scratch_path(state, "f");
	char *text;

	assert_int_equal(fs_replace_file(path, "one", 3, false), 0);
	assert_int_equal(fs_replace_file(path, "two!", 4, true), 0);
	text = scratch_read(state, "f");
	assert_string_equal(text, "two!");
	free(text);
	assert_int_equal(count_entries(*state), 1);
}

static void test_failed_replace_keeps_the_old_and_cleans_up(void **state)
{
	const char *dir = scratch_path(state, "d");

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(fs_replace_file(dir, "x", 1, false), -EISDIR);
	assert_int_equal(count_entries(*state), 1);
	assert_int_equal(
	    fs_replace_file(scratch_path(state, "no/f"), "x", 1, false),
	    -ENOENT);
}

static void test_make_dirs_makes_all_levels_and_likes_old_ones(void **state)
{
	struct stat st;

	assert_int_equal(fs_make_dirs(scratch_path(state, "a//b/c/")), 0);
	assert_int_equal(stat(scratch_path(state, "a/b/c"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(fs_make_dirs(scratch_path(state, "a/b/c")), 0);
	assert_int_equal(fs_make_dirs("/"), 0);
	assert_int_equal(fs_make_dirs(""), -ENOENT);
}

static void test_make_dirs_refuses_a_file_in_the_way(void **state)
{
	scratch_write(state, "f", "");
	assert_int_equal(fs_make_dirs(scratch_path(state, "f")), -ENOTDIR);
	assert_int_equal(fs_make_dirs(scratch_path(state, "f/g")), -ENOTDIR);
}

static void test_space_is_told_for_a_directory(void **state)
{
	uint64_t total = 0;
	uint64_t avail = 0;

	assert_int_equal(fs_space(*state, &total, &avail), 0);
	assert_true(total > 0);
	assert_true(avail <= total);
	assert_int_equal(fs_space(scratch_path(state, "none"), &total, &avail),
	    -ENOENT);
}

static void test_directories_can_be_synced(void **state)
{
	const int fd = open(*state, O_RDONLY | O_DIRECTORY);

	assert_int_equal(fs_sync_dir(fd), 0);
	close(fd);
	assert_int_equal(fs_sync_dir(fd), -EBADF);
}

static void test_second_lock_is_refused_until_the_first_closes(void **state)
{
	const char *path = scratch_path(state, "lock");
	const int first = fs_lock_file(path);
	int second;

	assert_true(first >= 0);
	assert_int_equal(fs_lock_file(path), -EWOULDBLOCK);
	close(first);
	second = fs_lock_file(path);
	assert_true(second >= 0);
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_written_bytes_are_read_back),
		scratch_test(test_write_all_goes_on_through_a_full_pipe),
		scratch_test(test_read_file_is_terminated_and_bounded),
		scratch_test(test_replace_changes_the_file_and_leaves_no_other),
		scratch_test(test_failed_replace_keeps_the_old_and_cleans_up),
		scratch_test(
		    test_make_dirs_makes_all_levels_and_likes_old_ones),
		scratch_test(test_make_dirs_refuses_a_file_in_the_way),
		scratch_test(test_space_is_told_for_a_directory),
		scratch_test(test_directories_can_be_synced),
		scratch_test(
		    test_second_lock_is_refused_until_the_first_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
