/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* tracker.conf and the text that storages obey (cluster-protocol 1.3). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/macros.h"
#include "trackerd/conf.h"
#include "trackerd/params.h"

struct loaded {
	struct tracker_conf cf;
	char path[64];
	char err[512];
	int rc;
};

static void load(struct loaded *l, const char *text)
{
	int fd;

	str_copy(l->path, sizeof(l->path), "/tmp/fdfs-test-tracker.XXXXXX");
	fd = mkstemp(l->path);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
	log_set_level(LOG_LEVEL_ERROR);
	l->rc = cf_load(l->path, &l->cf, l->err, sizeof(l->err));
	unlink(l->path);
}

static void expect_refused(const char *text, const char *word)
{
	struct loaded l;

	load(&l, text);
	assert_true(l.rc < 0);
	assert_non_null(strstr(l.err, word));
}

static void test_the_stock_sample_gives_the_recorded_text(void **state)
{
	static const char expect[] = "use_storage_id=0\n"
	                             "id_type_in_filename=ip\n"
	                             "trust_storage_server_id=1\n"
	                             "response_ip_addr_size=16\n"
	                             "storage_ip_changed_auto_adjust=1\n"
	                             "storage_sync_file_max_delay=86400\n"
	                             "store_path=0\n"
	                             "reserved_storage_space=1.00%\n"
	                             "use_trunk_file=0\n"
	                             "slot_min_size=256\n"
	                             "slot_max_size=1048576\n"
	                             "trunk_alloc_alignment_size=256\n"
	                             "trunk_file_size=67108864\n"
	                             "trunk_create_file_advance=0\n"
	                             "trunk_create_file_time_base=02:00\n"
	                             "trunk_create_file_interval=86400\n"
	                             "trunk_create_file_space_threshold="
	                             "21474836480\n"
	                             "trunk_init_check_occupying=0\n"
	                             "trunk_init_reload_from_binlog=0\n"
	                             "trunk_free_space_merge=1\n"
	                             "delete_unused_trunk_files=0\n"
	                             "trunk_compress_binlog_min_interval="
	                             "86400\n"
	                             "trunk_compress_binlog_interval=86400\n"
	                             "trunk_compress_binlog_time_base=03:00\n"
	                             "trunk_binlog_max_backups=7\n"
	                             "store_slave_file_use_link=0\n";
	struct loaded l;
	char text[PARAMS_MAX];
	struct strbuf b = strbuf_over(text, sizeof(text));

	(void)state;
	load(&l, "base_path = /var/lib/fdfs\n"
	         "reserved_storage_space = 1%\n"
	         "id_type_in_filename = id\n"
	         "slot_max_size = 1MB\n"
	         "trunk_alloc_alignment_size = 256\n"
	         "trunk_free_space_merge = true\n"
	         "trunk_create_file_space_threshold = 20G\n"
	         "trunk_compress_binlog_min_interval = 86400\n"
	         "trunk_compress_binlog_interval = 86400\n"
	         "trunk_binlog_max_backups = 7\n");
	assert_int_equal(l.rc, 0);
	params_print(&l.cf, cf_ip_width(&l.cf, false), &b);
	assert_int_equal(b.len, 739);
	assert_int_equal(sizeof(expect) - 1, 739);
	assert_memory_equal(text, expect, b.len);
	cf_free(&l.cf);
}

static void test_absent_keys_have_the_code_defaults(void **state)
{
	struct loaded l;
	char text[PARAMS_MAX];
	struct strbuf b = strbuf_over(text, sizeof(text));

	(void)state;
	load(&l, "base_path = /x\n");
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.cf.port, 22122);
	assert_int_equal(l.cf.network_timeout, 60);
	assert_int_equal(l.cf.max_connections, 256);
	assert_int_equal(l.cf.check_active_interval, 100);
	assert_int_equal(l.cf.sample_interval, 10);
	assert_int_equal(l.cf.trunk.slot_max, 8388608);
	assert_int_equal(cf_reserved_mb(&l.cf, 0), 1024);
	params_print(&l.cf, 16, &b);
	text[b.len] = 0;
	assert_non_null(strstr(text, "reserved_storage_space=1024MB\n"));
	assert_non_null(strstr(text, "slot_max_size=8388608\n"));
	assert_true(addr_list_has(l.cf.allow,
	    &(struct addr){ .family = 4, .ip = { 8, 8, 8, 8 } }));
	cf_free(&l.cf);
}

static void test_reserve_in_all_its_forms(void **state)
{
	static const struct {
		const char *value;
		int64_t of_1000;
	} rows[] = {
		{ "20%", 200 },
		{ "1.5%", 15 },
		{ "500MB", 500 },
		{ "2G", 2048 },
		{ "1048576", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct loaded l;
		char text[128];

		snprintf(text, sizeof(text),
		    "base_path = /x\nreserved_storage_space = %s\n",
		    rows[i].value);
		load(&l, text);
		assert_int_equal(l.rc, 0);
		assert_int_equal(cf_reserved_mb(&l.cf, 1000), rows[i].of_1000);
		cf_free(&l.cf);
	}
	expect_refused("base_path = /x\nreserved_storage_space = 100%\n", "");
	expect_refused("base_path = /x\nreserved_storage_space = 10 %\n", "");
}

static void test_what_stops_the_start(void **state)
{
	(void)state;
	expect_refused("port = 22122\n", "base_path");
	expect_refused("base_path = /x\nstore_lookup = 3\n", "store_lookup");
	expect_refused("base_path = /x\nstore_lookup = 1\n", "store_group");
	expect_refused("base_path = /x\nuse_storage_id = true\n",
	    "storage_ids_filename");
	expect_refused("base_path = /x\nslot_max_size = 128\n",
	    "slot_max_size");
	expect_refused("base_path = /x\nslot_min_size = 0\n", "slot_min_size");
	expect_refused("base_path = /x\naddress_family = IPv6\n", "IPv6");
	expect_refused("base_path = /x\nport = 70000\n", "port");
}

static void test_values_that_are_put_right(void **state)
{
	struct loaded l;

	(void)state;
	load(&l, "base_path = /x\nstore_server = 7\nstore_path = 1\n"
	         "download_server = 9\ncheck_active_interval = -1\n"
	         "trunk_file_size = 1MB\nmax_connections = 0\n");
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.cf.store_server, 0);
	assert_int_equal(l.cf.store_path, 0);
	assert_int_equal(l.cf.download_server, 0);
	assert_int_equal(l.cf.check_active_interval, 100);
	assert_int_equal(l.cf.trunk.file_size, 4194304);
	assert_int_equal(l.cf.max_connections, 256);
	cf_free(&l.cf);
	load(&l, "base_path = /x\nuse_trunk_file = true\n");
	assert_int_equal(l.cf.store_server, SERVER_FIRST);
	cf_free(&l.cf);
}

static void test_the_id_type_needs_storage_ids(void **state)
{
	struct loaded l;

	(void)state;
	load(&l, "base_path = /x\nid_type_in_filename = id\n");
	assert_int_equal(l.cf.id_type, ID_TYPE_IP);
	cf_free(&l.cf);
	load(&l, "base_path = /x\nid_type_in_filename = id\n"
	         "use_storage_id = true\nstorage_ids_filename = ids.conf\n");
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.cf.id_type, ID_TYPE_ID);
	assert_string_equal(l.cf.ids_path, "/tmp/ids.conf");
	assert_int_equal(cf_ip_width(&l.cf, false), 16);
	assert_int_equal(cf_ip_width(&l.cf, true), 46);
	cf_free(&l.cf);
}

static void test_every_word_but_auto_means_wide_addresses(void **state)
{
	struct loaded l;

	(void)state;
	load(&l, "base_path = /x\nresponse_ip_addr_size = IPv4\n");
	assert_int_equal(cf_ip_width(&l.cf, false), 46);
	cf_free(&l.cf);
	load(&l, "base_path = /x\nresponse_ip_addr_size = AUTO\n");
	assert_int_equal(cf_ip_width(&l.cf, true), 16);
	cf_free(&l.cf);
}

static void test_where_it_listens(void **state)
{
	static const struct {
		const char *keys;
		const char *expect;
	} rows[] = {
		{ "", "0.0.0.0:22122 " },
		{ "address_family = both\n", "0.0.0.0:22122 [::]:22122 " },
		{ "bind_addr = 127.0.0.2\nport = 5\n", "127.0.0.2:5 " },
		{ "bind_addr = 127.0.0.2,::1\n",
		    "127.0.0.2:22122 [::1]:22122 " },
		{ "inner_bind_addr = 10.0.0.1\nouter_bind_addr = 1.2.3.4\n"
		  "outer_port = 7\n",
		    "10.0.0.1:22122 1.2.3.4:7 " },
		{ "inner_port = 7\nouter_port = 8\n", "0.0.0.0:7 0.0.0.0:8 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct loaded l;
		struct addr at[CF_LISTEN_MAX] = { 0 };
		char text[256];
		char got[256] = "";
		struct strbuf b = strbuf_over(got, sizeof(got));
		int n;

		snprintf(text, sizeof(text), "base_path = /x\n%s",
		    rows[i].keys);
		load(&l, text);
		assert_int_equal(l.rc, 0);
		n = cf_listen(&l.cf, false, at, l.err, sizeof(l.err));
		for (int k = 0; k < n; k++) {
			char one[ADDR_TEXT_MAX];

			strbuf_addf(&b, "%s ",
			    addr_text(&at[k], one, sizeof(one)));
		}
		assert_string_equal(got, rows[i].expect);
		cf_free(&l.cf);
	}
}

static void test_a_bad_bind_address_is_named(void **state)
{
	struct loaded l;
	struct addr at[CF_LISTEN_MAX];

	(void)state;
	load(&l, "base_path = /x\nbind_addr = 1.2.3\n");
	assert_int_equal(cf_listen(&l.cf, false, at, l.err, sizeof(l.err)),
	    -EINVAL);
	assert_non_null(strstr(l.err, "1.2.3"));
	cf_free(&l.cf);
}

static void test_log_keys_of_a_section_win_and_old_names_count(void **state)
{
	struct loaded l;

	(void)state;
	load(&l, "base_path = /x\nlog_file_keep_days = 3\n"
	         "log_file_rotate_time = 01:00\n[error-log]\n"
	         "log_file_keep_days = 9\n");
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.cf.rotation.keep_days, 9);
	assert_int_equal(l.cf.rotation.minute_of_day, 60);
	cf_free(&l.cf);
	load(&l, "base_path = /x\nrotate_error_log = false\n"
	         "error_log_rotate_time = 02:30\n");
	assert_false(l.cf.rotation.everyday);
	assert_int_equal(l.cf.rotation.minute_of_day, 150);
	cf_free(&l.cf);
}

static void test_reload_takes_live_keys_only(void **state)
{
	struct loaded a;
	struct loaded b;

	(void)state;
	load(&a, "base_path = /x\nport = 1\nallow_hosts = 10.0.0.1\n");
	load(&b, "base_path = /x\nport = 2\nallow_hosts = 10.0.0.2\n"
	         "check_active_interval = 7\n[meta]\nsample_interval = 60\n");
	assert_int_equal(a.rc, 0);
	assert_int_equal(b.rc, 0);
	cf_apply_live(&a.cf, &b.cf);
	cf_free(&b.cf);
	assert_int_equal(a.cf.port, 1);
	assert_int_equal(a.cf.check_active_interval, 7);
	assert_int_equal(a.cf.sample_interval, 60);
	assert_true(addr_list_has(a.cf.allow,
	    &(struct addr){ .family = 4, .ip = { 10, 0, 0, 2 } }));
	assert_false(addr_list_has(a.cf.allow,
	    &(struct addr){ .family = 4, .ip = { 10, 0, 0, 1 } }));
	cf_free(&a.cf);
}

static void test_the_manual_page_has_every_key(void **state)
{
	char *page = NULL;
	char *help = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&help, &n);
	char *save = NULL;

	(void)state;
	if (fs_read_file("docs/tracker.conf.5", 1 << 20, &page) < 0) {
		fclose(out);
		free(help);
		skip(); /* not run from the top of the source */
	}
	cf_print_help(out);
	fclose(out);
	for (char *line = strtok_r(help, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char item[80];

		if (strncmp(line, "  ", 2) != 0 || line[2] == ' ')
			continue;
		snprintf(item, sizeof(item), ".It Ic %s\n", line + 2);
		if (!strstr(page, item))
			fail_msg("no \"%s\" in docs/tracker.conf.5", line + 2);
	}
	free(help);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_stock_sample_gives_the_recorded_text),
		cmocka_unit_test(test_absent_keys_have_the_code_defaults),
		cmocka_unit_test(test_reserve_in_all_its_forms),
		cmocka_unit_test(test_what_stops_the_start),
		cmocka_unit_test(test_values_that_are_put_right),
		cmocka_unit_test(test_the_id_type_needs_storage_ids),
		cmocka_unit_test(test_every_word_but_auto_means_wide_addresses),
		cmocka_unit_test(test_where_it_listens),
		cmocka_unit_test(test_a_bad_bind_address_is_named),
		cmocka_unit_test(
		    test_log_keys_of_a_section_win_and_old_names_count),
		cmocka_unit_test(test_reload_takes_live_keys_only),
		cmocka_unit_test(test_the_manual_page_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
