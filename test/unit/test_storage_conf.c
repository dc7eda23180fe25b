/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* storage.conf: what stock files mean here, what is refused, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "storaged/conf_impl.h"
#include "test/unit/conf_test.h"

static struct storage_conf c;

/* base_path is "base" in the directory of the test; more: further lines. */
static int load(void **state, const char *more)
{
	char text[8192];

	snprintf(text, sizeof(text),
	    "group_name = group1\ntracker_server = 10.0.0.1:22122\n"
	    "base_path = %s/base\n%s",
	    (const char *)*state, more);
	return storage_conf_load(scratch_write(state, "s.conf", text), &c, err,
	    sizeof(err));
}

static void refused(void **state, const char *more, const char *why)
{
	assert_true(load(state, more) < 0);
	if (!strstr(err, why))
		fail_msg("'%s' says nothing of '%s'", err, why);
}

/* By what looks at the disk. */
static void path_refused(void **state, const char *more, const char *why)
{
	assert_int_equal(load(state, more), 0);
	assert_true(storage_conf_check_paths(&c, err, sizeof(err)) < 0);
	if (!strstr(err, why))
		fail_msg("'%s' says nothing of '%s'", err, why);
	storage_conf_free(&c);
}

static const char *made(void **state, const char *name)
{
	const char *path = scratch_path(state, name);

	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

/* --- defaults and numbers --- */

static void test_absent_keys_have_the_code_defaults(void **state)
{
	assert_int_equal(load(state, ""), 0);
	assert_int_equal(c.port, 23000);
	assert_int_equal(c.connect_timeout, 10);
	assert_int_equal(c.network_timeout, 30);
	assert_int_equal(c.max_connections, 256);
	assert_int_equal(c.subdir_count_per_path, 256);
	assert_int_equal(c.heart_beat_interval, 30);
	assert_int_equal(c.stat_report_interval, 300);
	assert_int_equal(c.upload_priority, 10);
	assert_true(c.client_bind);
	assert_true(c.check_store_path_mark);
	assert_int_equal(c.durability, 0);
	assert_string_equal(c.name_key, "filename");
	assert_string_equal(c.indexed_keys, "");
	assert_int_equal(c.disk_threads, 16);
	assert_int_equal(c.log_keep_bytes, UINT64_C(1) << 30);
	storage_conf_free(&c);
}

static void test_a_path_without_a_name_is_base_path_itself(void **state)
{
	char base[256];

	assert_int_equal(load(state, ""), 0);
	snprintf(base, sizeof(base), "%s/base", (const char *)*state);
	assert_int_equal(c.store_path_count, 1);
	assert_string_equal(c.store_paths[0], base);
	storage_conf_free(&c);
}

static void test_meta_section_is_read(void **state)
{
	assert_int_equal(load(state, "[meta]\ndurability = full\n"
	                             "name_key = title\nlog_keep_bytes = 2MB\n"
	                             "indexed_keys = author, year\n"),
	    0);
	assert_int_equal(c.durability, 1);
	assert_string_equal(c.name_key, "title");
	assert_string_equal(c.indexed_keys, "author, year");
	assert_int_equal(c.log_keep_bytes, 2 << 20);
	storage_conf_free(&c);
}

static void test_bad_numbers_are_refused_or_replaced(void **state)
{
	refused(state, "subdir_count_per_path = 0\n", "subdir_count_per_path");
	refused(state, "subdir_count_per_path = 257\n",
	    "subdir_count_per_path");
	refused(state, "store_path_count = 257\n", "store_path_count");
	refused(state, "port = 65536\n", "port");
	refused(state, "server_id = abc\n", "server_id");
	refused(state, "server_id = 16777216\n", "server_id");
	assert_int_equal(load(state, "heart_beat_interval = 0\n"
	                             "server_id = 100001\n"),
	    0);
	assert_int_equal(c.heart_beat_interval, 30);
	assert_true(warned(state, "heart_beat_interval"));
	storage_conf_free(&c);
}

static void test_group_name_may_be_absent_but_not_wrong(void **state)
{
	const char *path;
	char text[512];

	snprintf(text, sizeof(text),
	    "tracker_server = 10.0.0.1\nbase_path = %s\n",
	    (const char *)*state);
	path = scratch_write(state, "s.conf", text);
	assert_int_equal(storage_conf_load(path, &c, err, sizeof(err)), 0);
	assert_string_equal(c.group_name, "");
	storage_conf_free(&c);
	refused(state, "group_name =\n", "group_name");
	refused(state, "group_name = no-dash\n", "group_name");
	refused(state, "group_name = a2345678901234567\n", "group_name");
}

/* --- store paths --- */

static void test_store_paths_lose_their_trailing_slashes(void **state)
{
	char more[1024];
	const char *one = made(state, "one");

	snprintf(more, sizeof(more),
	    "store_path_count = 2\nstore_path1 = %s//\n"
	    "store_path1_readonly = yes\n",
	    one);
	assert_int_equal(load(state, more), 0);
	assert_string_equal(c.store_paths[1], one);
	assert_false(c.path_readonly[0]);
	assert_true(c.path_readonly[1]);
	assert_false(warned(state, "store_path1"));
	storage_conf_free(&c);
}

static void test_a_missing_directory_is_told_with_its_key(void **state)
{
	char more[1024];

	snprintf(more, sizeof(more), "store_path0 = %s/none\n",
	    (const char *)*state);
	path_refused(state, more, "store_path0");
	refused(state, "store_path_count = 2\n", "store_path1 is missing");
	refused(state, "store_path0 = relative/path\n", "store_path0");
	snprintf(more, sizeof(more), "store_path0 = %s\n",
	    scratch_path(state, "s.conf"));
	path_refused(state, more, "not a directory");
}

static void test_one_directory_cannot_be_two_store_paths(void **state)
{
	char more[2048];
	char link[256];
	const char *one = made(state, "one");

	snprintf(link, sizeof(link), "%s/link", (const char *)*state);
	assert_int_equal(symlink(one, link), 0);
	snprintf(more, sizeof(more),
	    "store_path_count = 2\nstore_path0 = %s\nstore_path1 = %s\n", one,
	    link);
	path_refused(state, more, "give each its own");
}

static void test_a_path_beyond_the_count_is_warned_of(void **state)
{
	assert_int_equal(load(state, "store_path1 = /srv/disk1\n"), 0);
	assert_true(warned(state, "store_path1: beyond"));
	storage_conf_free(&c);
}

/* --- trackers --- */

static void test_trackers_have_one_or_two_addresses(void **state)
{
	assert_int_equal(load(state,
	                     "tracker_server = 10.0.0.2\n"
	                     "tracker_server = 10.0.0.3,203.0.113.3:22300\n"
	                     "tracker_server = [2001:db8::1]:22301\n"),
	    0);
	assert_int_equal(c.n_trackers, 4);
	assert_int_equal(c.trackers[1].addrs[0].port, 22122);
	assert_int_equal(c.trackers[2].n, 2);
	assert_int_equal(c.trackers[2].addrs[0].port, 22300);
	assert_int_equal(c.trackers[2].addrs[1].port, 22300);
	assert_int_equal(c.trackers[3].addrs[0].family, 6);
	assert_int_equal(c.trackers[3].addrs[0].port, 22301);
	storage_conf_free(&c);
}

static void test_the_outer_address_of_a_tracker_comes_second(void **state)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(
	    load(state, "tracker_server = 203.0.113.3,192.168.0.3:1\n"), 0);
	assert_string_equal(
	    addr_text(&c.trackers[1].addrs[0], text, sizeof(text)),
	    "192.168.0.3:1");
	storage_conf_free(&c);
}

static void test_two_addresses_of_one_network_are_two_trackers(void **state)
{
	refused(state, "tracker_server = 10.0.0.3,10.0.0.4:22122\n",
	    "its own line");
	refused(state, "tracker_server = 10.0.0.3,192.168.0.1,1.2.3.4:1\n",
	    "two addresses at most");
	refused(state, "tracker_server = :22122\n", "host:port");
}

static void test_a_tracker_named_twice_counts_once(void **state)
{
	assert_int_equal(load(state, "tracker_server = 10.0.0.1:22122\n"), 0);
	assert_int_equal(c.n_trackers, 1);
	assert_true(warned(state, "named twice"));
	storage_conf_free(&c);
}

static void test_a_loopback_tracker_is_taken_and_warned_of(void **state)
{
	assert_int_equal(load(state, "tracker_server = 127.0.0.1:22122\n"), 0);
	assert_int_equal(c.n_trackers, 2);
	assert_true(warned(state, "loopback"));
	storage_conf_free(&c);
}

static void test_no_tracker_is_no_configuration(void **state)
{
	const char *path = scratch_write(state, "s.conf",
	    "group_name = group1\nbase_path = /tmp\n");

	assert_true(storage_conf_load(path, &c, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "tracker_server"));
}

/* --- addresses to listen on --- */

static void test_connections_come_from_the_bind_address(void **state)
{
	const struct addr v4 = { .family = 4, .ip = { 10, 0, 0, 1 } };
	const struct addr v6 = { .family = 6, .ip = { 0x20 } };
	char ip[ADDR_IP_MAX];

	assert_int_equal(load(state, "bind_addr = 10.0.0.9,2001:db8::9\n"), 0);
	assert_int_equal(c.n_binds, 2);
	assert_string_equal(addr_ip(storage_conf_from(&c, &v4), ip, sizeof(ip)),
	    "10.0.0.9");
	assert_string_equal(addr_ip(storage_conf_from(&c, &v6), ip, sizeof(ip)),
	    "2001:db8::9");
	storage_conf_free(&c);
	assert_int_equal(
	    load(state, "bind_addr = 10.0.0.9\nclient_bind = false\n"), 0);
	assert_null(storage_conf_from(&c, &v4));
	storage_conf_free(&c);
}

static void test_no_bind_address_is_every_address(void **state)
{
	const struct addr v4 = { .family = 4, .ip = { 10, 0, 0, 1 } };

	assert_int_equal(load(state, "address_family = both\n"), 0);
	assert_int_equal(c.n_binds, 2);
	assert_int_equal(c.binds[0].family, 4);
	assert_int_equal(c.binds[1].family, 6);
	assert_null(storage_conf_from(&c, &v4));
	storage_conf_free(&c);
	assert_int_equal(load(state, "address_family = IPv4\n"), 0);
	assert_int_equal(c.n_binds, 1);
	storage_conf_free(&c);
	refused(state, "bind_addr = 10.0.0.1,10.0.0.2,10.0.0.3\n", "bind_addr");
	refused(state, "bind_addr = eth0\n", "bind_addr");
}

/* --- what is known without effect --- */

static void test_settings_that_would_be_missed_are_told(void **state)
{
	assert_int_equal(load(state, "check_file_duplicate = 1\n"
	                             "fsync_after_written_bytes = 1MB\n"
	                             "use_access_log = true\n"
	                             "[access-log]\nenabled = true\n"),
	    0);
	assert_true(warned(state, "name=check_file_duplicate"));
	assert_true(warned(state, "name=fsync_after_written_bytes"));
	assert_true(warned(state, "name=use_access_log"));
	assert_true(warned(state, "name=access-log/enabled"));
	storage_conf_free(&c);
}

static void test_the_window_and_the_rest_of_senders_are_read(void **state)
{
	assert_int_equal(load(state, "sync_interval = 7\n"
	                             "sync_start_time = 01:30\n"
	                             "sync_end_time = 4:05\n"),
	    0);
	assert_int_equal(c.sync_interval, 7);
	assert_int_equal(c.sync_start_time, 90);
	assert_int_equal(c.sync_end_time, 245);
	storage_conf_free(&c);
	assert_int_equal(load(state, ""), 0);
	assert_int_equal(c.sync_interval, 0);
	assert_int_equal(c.sync_start_time, 0);
	assert_int_equal(c.sync_end_time, 23 * 60 + 59);
	storage_conf_free(&c);
}

/* The keys of FastDFS's own sample, with its values. */
static void test_a_stock_file_is_taken_without_a_warning(void **state)
{
	assert_int_equal(load(state,
	                     "disabled = false\nbind_addr =\n"
	                     "client_bind = true\nport = 23000\n"
	                     "address_family = auto\nconnect_timeout = 5\n"
	                     "network_timeout = 60\nmax_connections = 1024\n"
	                     "accept_threads = 1\nwork_threads = 4\n"
	                     "buff_size = 256KB\nthread_stack_size = 512KB\n"
	                     "disk_rw_separated = true\n"
	                     "disk_reader_threads = 2\n"
	                     "disk_writer_threads = 1\n"
	                     "disk_recovery_threads = 4\n"
	                     "heart_beat_interval = 30\n"
	                     "stat_report_interval = 60\n"
	                     "sync_wait_msec = 10\nsync_interval = 0\n"
	                     "sync_start_time = 00:00\n"
	                     "sync_end_time = 23:59\n"
	                     "write_mark_file_freq = 500\n"
	                     "sync_min_threads = 1\nsync_max_threads = auto\n"
	                     "subdir_count_per_path = 256\n"
	                     "log_level = info\nrun_by_group =\n"
	                     "run_by_user =\nallow_hosts = *\n"
	                     "file_distribute_path_mode = 0\n"
	                     "file_distribute_rotate_count = 100\n"
	                     "fsync_after_written_bytes = 0\n"
	                     "sync_binlog_buff_interval = 1\n"
	                     "sync_stat_file_interval = 300\n"
	                     "upload_priority = 10\nif_alias_prefix =\n"
	                     "check_file_duplicate = 0\n"
	                     "file_signature_method = hash\n"
	                     "key_namespace = FastDFS\nkeep_alive = 0\n"
	                     "use_connection_pool = true\n"
	                     "connection_pool_max_idle_time = 3600\n"
	                     "compress_binlog = true\n"
	                     "compress_binlog_time = 01:30\n"
	                     "check_store_path_mark = true\n"
	                     "use_io_uring = false\nuse_send_zc = true\n"
	                     "[error-log]\n"
	                     "log_file_rotate_everyday = true\n"
	                     "log_file_compress_old = false\n"
	                     "[access-log]\nenabled = false\n"
	                     "time_precision = us\n"
	                     "log_file_keep_days = 15\n"),
	    0);
	assert_false(warned(state, "WARN"));
	storage_conf_free(&c);
}

static void test_old_and_new_names_of_log_rotation_meet(void **state)
{
	assert_int_equal(load(state, "rotate_error_log = false\n"
	                             "rotate_error_log_size = 5MB\n"
	                             "log_file_rotate_time = 03:00\n"
	                             "[error-log]\nlog_file_keep_days = 3\n"),
	    0);
	assert_false(c.rotation.everyday);
	assert_int_equal(c.rotation.on_size, 5 << 20);
	assert_int_equal(c.rotation.minute_of_day, 180);
	assert_int_equal(c.rotation.keep_days, 3);
	storage_conf_free(&c);
}

/* --- reload, print --- */

static void test_reload_applies_what_is_live_and_names_the_rest(void **state)
{
	const struct addr peer = { .family = 4, .ip = { 10, 9, 9, 9 } };
	struct storage_conf *fresh = xcalloc(1, sizeof(*fresh));
	struct storage_conf now;

	assert_int_equal(load(state, "heart_beat_interval = 5\n"), 0);
	now = c;
	assert_int_equal(load(state, "heart_beat_interval = 7\n"
	                             "network_timeout = 9\nport = 23001\n"
	                             "allow_hosts = 10.1.1.1\n"
	                             "tracker_server = 10.0.0.7\n"
	                             "[meta]\nsample_interval = 1\n"),
	    0);
	*fresh = c;
	assert_true(addr_list_has(now.allow, &peer));
	storage_conf_reload(&now, fresh);
	assert_int_equal(now.heart_beat_interval, 7);
	assert_int_equal(now.network_timeout, 9);
	assert_int_equal(now.sample_interval, 1);
	assert_false(addr_list_has(now.allow, &peer));
	assert_int_equal(now.port, 23000);
	assert_int_equal(now.n_trackers, 1);
	assert_true(warned(state, "name=port"));
	assert_true(warned(state, "name=tracker_server"));
	assert_false(warned(state, "name=heart_beat_interval"));
	assert_false(warned(state, "name=store_path"));
	storage_conf_free(&now);
}

static void test_print_shows_values_and_their_places(void **state)
{
	FILE *f;
	char *text;

	assert_int_equal(load(state, "port = 23005\nno_such_key = 1\n"), 0);
	f = fopen(scratch_path(state, "printed"), "w");
	assert_non_null(f);
	storage_conf_print(f, &c);
	fclose(f);
	text = scratch_read(state, "printed");
	assert_non_null(strstr(text, "port = 23005  # "));
	assert_non_null(strstr(text, "s.conf:4"));
	assert_non_null(strstr(text, "durability = process  # default"));
	assert_non_null(strstr(text, "no_such_key = 1"));
	free(text);
	storage_conf_free(&c);
}

/* --- the manual and the sample --- */

static char *whole_file(const char *path)
{
	char *text = NULL;

	assert_true(fs_read_file(path, 1 << 20, &text) > 0);
	return text;
}

/* Is it there with a blank or the end of the line behind? */
static bool has_word(const char *text, const char *word)
{
	const size_t n = strlen(word);

	for (size_t i = 0; text[i]; i++) {
		if (strncmp(text + i, word, n) == 0 &&
		    (text[i + n] == ' ' || text[i + n] == '\n'))
			return true;
	}
	return false;
}

static void test_the_manual_names_every_key(void **state)
{
	char *text = whole_file("docs/storage.conf.5");

	(void)state;
	for (size_t i = 0; i < storage_keys_n; i++) {
		const struct conf_key *k = &storage_keys[i];
		const bool prefixed =
		    k->type == CONF_OBSOLETE && k->section[0] != '\0';
		char line[128];

		snprintf(line, sizeof(line), "Ic %s%s%s",
		    prefixed ? k->section : "", prefixed ? "/" : "", k->name);
		if (!has_word(text, line))
			fail_msg("the manual lacks %s", line);
	}
	free(text);
}

static void test_the_sample_is_taken_without_a_warning(void **state)
{
	assert_int_equal(
	    storage_conf_load("conf/storage.conf", &c, err, sizeof(err)), 0);
	assert_false(warned(state, "WARN"));
	assert_int_equal(c.n_trackers, 1);
	storage_conf_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_absent_keys_have_the_code_defaults),
		T(test_a_path_without_a_name_is_base_path_itself),
		T(test_meta_section_is_read),
		T(test_bad_numbers_are_refused_or_replaced),
		T(test_group_name_may_be_absent_but_not_wrong),
		T(test_store_paths_lose_their_trailing_slashes),
		T(test_a_missing_directory_is_told_with_its_key),
		T(test_one_directory_cannot_be_two_store_paths),
		T(test_a_path_beyond_the_count_is_warned_of),
		T(test_trackers_have_one_or_two_addresses),
		T(test_the_outer_address_of_a_tracker_comes_second),
		T(test_two_addresses_of_one_network_are_two_trackers),
		T(test_a_tracker_named_twice_counts_once),
		T(test_a_loopback_tracker_is_taken_and_warned_of),
		T(test_no_tracker_is_no_configuration),
		T(test_connections_come_from_the_bind_address),
		T(test_no_bind_address_is_every_address),
		T(test_settings_that_would_be_missed_are_told),
		T(test_the_window_and_the_rest_of_senders_are_read),
		T(test_a_stock_file_is_taken_without_a_warning),
		T(test_old_and_new_names_of_log_rotation_meet),
		T(test_reload_applies_what_is_live_and_names_the_rest),
		T(test_print_shows_values_and_their_places),
		T(test_the_manual_names_every_key),
		T(test_the_sample_is_taken_without_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
