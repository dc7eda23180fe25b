/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "test/unit/conf_test.h"

struct settings {
	bool on;
	bool quick;
	int64_t port;
	int64_t threads;
	int64_t timeout;
	uint64_t buffer;
	const char *name;
	struct conf_list servers;
	int64_t start;
	struct conf_reserve reserve;
	int64_t mode;
	const char *secret;
	bool log_on;
};

#define AT(field) offsetof(struct settings, field)

static const struct conf_key keys[] = {
	{ "", "group_name", CONF_STR, AT(name), NULL, 0, 0, NULL, CONF_REQUIRED,
	    "name of the group" },
	{ "", "disabled", CONF_BOOL, AT(on), "false", 0, 0, NULL, 0, "off" },
	{ "", "tcp_quick_ack", CONF_BOOL, AT(quick), "true", 0, 0, NULL, 0,
	    "quick" },
	{ "", "port", CONF_INT, AT(port), "23000", 1, INT64_MAX, NULL,
	    CONF_DEFAULT, "port" },
	{ "", "work_threads", CONF_INT, AT(threads), "4", 1, INT64_MAX, NULL,
	    CONF_FATAL, "threads" },
	{ "", "heart_beat_interval", CONF_INT, AT(timeout), "30", 1, 256, NULL,
	    CONF_LIVE, "seconds" },
	{ "", "buff_size", CONF_BYTES, AT(buffer), "256KB", 8192, 1 << 20, NULL,
	    0, "buffer" },
	{ "", "tracker_server", CONF_LIST, AT(servers), NULL, 0, 0, NULL, 0,
	    "trackers" },
	{ "", "sync_start_time", CONF_TIME, AT(start), "00:00", 0, 0, NULL, 0,
	    "window" },
	{ "", "reserved_storage_space", CONF_RESERVE, AT(reserve), "1GB", 0, 0,
	    NULL, 0, "reserve" },
	{ "", "file_signature_method", CONF_WORD, AT(mode), "hash", 0, 0,
	    "hash|md5", 0, "word" },
	{ "", "secret_key", CONF_STR, AT(secret), NULL, 0, 0, NULL, CONF_SECRET,
	    "key" },
	{ "", "if_alias_prefix", CONF_OBSOLETE, 0, NULL, 0, 0, NULL, 0,
	    "nothing" },
	{ "access-log", "enabled", CONF_BOOL, AT(log_on), "false", 0, 0, NULL,
	    0, "log" },
};

static int apply(struct conf_file *cf, struct settings *s)
{
	memset(s, 0, sizeof(*s));
	return conf_apply(cf, keys, ARRAY_LEN(keys), s, err, sizeof(err));
}

/* Reads and applies "group_name=g" and the text; frees what can be. */
static int apply_text(void **state, const char *text, struct settings *s)
{
	char all[4096];
	struct conf_file *cf;
	int rc;

	snprintf(all, sizeof(all), "group_name=g\n%s", text);
	cf = good(state, all);
	rc = apply(cf, s);
	s->name = s->secret = NULL;
	conf_free(cf);
	return rc;
}

/* --- values ------------------------------------------------------------- */

static void test_absent_keys_have_their_defaults(void **state)
{
	struct settings s;

	assert_int_equal(apply_text(state, "", &s), 0);
	assert_false(s.on);
	assert_true(s.quick);
	assert_int_equal(s.port, 23000);
	assert_int_equal(s.buffer, 262144);
	assert_int_equal(s.servers.count, 0);
	assert_int_equal(s.reserve.bytes, 1 << 30);
	assert_int_equal(s.mode, 0);
	assert_false(warned(state, "WARN"));
}

static void test_empty_values_are_as_absent_or_fatal(void **state)
{
	struct settings s;

	assert_int_equal(apply_text(state,
	                     "tcp_quick_ack=\nport=\nbuff_size=\n"
	                     "file_signature_method=\n",
	                     &s),
	    0);
	assert_true(s.quick);
	assert_int_equal(s.port, 23000);
	assert_int_equal(s.buffer, 262144);
	assert_int_equal(apply_text(state, "sync_start_time=\n", &s), -EINVAL);
	assert_int_equal(apply_text(state, "reserved_storage_space=\n", &s),
	    -EINVAL);
	assert_non_null(strstr(err, "x.conf:2: reserved_storage_space has no"));
	assert_int_equal(apply_text(state, "group_name=\n", &s), -EINVAL);
}

static void test_only_four_words_are_true(void **state)
{
	static const char *const yes[] = { "true", "YES", "On", "1" };
	static const char *const no[] = { "false", "No", "off", "0" };
	static const char *const odd[] = { "enable", "2", "true # x" };
	struct settings s;
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		snprintf(text, sizeof(text), "disabled=%s\n", yes[i]);
		assert_int_equal(apply_text(state, text, &s), 0);
		assert_true(s.on);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		snprintf(text, sizeof(text), "tcp_quick_ack=%s\n", no[i]);
		assert_int_equal(apply_text(state, text, &s), 0);
		assert_false(s.quick);
	}
	assert_false(warned(state, "WARN"));
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		snprintf(text, sizeof(text), "tcp_quick_ack=%s\n", odd[i]);
		assert_int_equal(apply_text(state, text, &s), 0);
		assert_false(s.quick);
	}
	assert_true(warned(state,
	    "x.conf:2 name=tcp_quick_ack value='true # x' used='false'"));
}

static void test_ints_are_their_leading_digits(void **state)
{
	struct settings s;

	assert_int_equal(apply_text(state, "heart_beat_interval=2m\n", &s), 0);
	assert_int_equal(s.timeout, 2);
	assert_true(warned(state,
	    "x.conf:2 name=heart_beat_interval value='2m' used='2': "));
	assert_int_equal(apply_text(state, "port=99999999999999999999\n", &s),
	    0);
	assert_true(s.port == INT64_MAX);
}

static void test_ranges_clamp_or_take_the_default_or_are_fatal(void **state)
{
	struct settings s;

	assert_int_equal(
	    apply_text(state, "heart_beat_interval=1000\nport=-5\n", &s), 0);
	assert_int_equal(s.timeout, 256);
	assert_int_equal(s.port, 23000);
	assert_true(warned(state, "value='1000' used='256'"));
	assert_true(warned(state, "value='-5' used='23000'"));
	assert_int_equal(apply_text(state, "port=abc\n", &s), 0);
	assert_int_equal(s.port, 23000);
	assert_int_equal(apply_text(state, "work_threads=0\n", &s), -EINVAL);
	assert_non_null(
	    strstr(err, "x.conf:2: work_threads = 0: must be at least 1"));
	assert_int_equal(apply_text(state, "buff_size=1\n", &s), 0);
	assert_int_equal(s.buffer, 8192);
}

static void test_bytes_have_units_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} fine[] = {
		{ "9000", 9000 },
		{ "64K", 65536 },
		{ "64 KB", 65536 },
		{ "64kb", 65536 },
		{ "1m", 1048576 },
	};
	static const char *const bad[] = { "1.5GB", "5GiB", "-1", "10 X", "K",
		"64KBB", "99999999999T", "64 K B" };
	struct settings s;
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		snprintf(text, sizeof(text), "buff_size=%s\n", fine[i].text);
		assert_int_equal(apply_text(state, text, &s), 0);
		assert_int_equal(s.buffer, fine[i].bytes);
	}
	assert_false(warned(state, "WARN"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "buff_size=%s\n", bad[i]);
		assert_int_equal(apply_text(state, text, &s), -EINVAL);
	}
}

static void test_reserve_is_percent_or_whole_megabytes(void **state)
{
	static const char *const bad[] = { "10 %", "0%", "100%", "150%", "%",
		"1.%", ".5%", "1.2.3%", "-1%", "0.0%", "x" };
	struct settings s;
	char text[64];

	assert_int_equal(apply_text(state, "reserved_storage_space=20%\n", &s),
	    0);
	assert_true(s.reserve.percent > 19.99 && s.reserve.percent < 20.01);
	assert_int_equal(apply_text(state, "reserved_storage_space=1.5%\n", &s),
	    0);
	assert_true(s.reserve.percent > 1.49 && s.reserve.percent < 1.51);
	assert_int_equal(
	    apply_text(state, "reserved_storage_space=1500K\n", &s), 0);
	assert_int_equal(s.reserve.bytes, 1 << 20);
	assert_false(warned(state, "WARN"));
	assert_int_equal(apply_text(state, "reserved_storage_space=500\n", &s),
	    0);
	assert_int_equal(s.reserve.bytes, 0);
	assert_true(warned(state, "nothing is reserved"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "reserved_storage_space=%s\n",
		    bad[i]);
		assert_int_equal(apply_text(state, text, &s), -EINVAL);
	}
}

static void test_times_of_day_are_minutes(void **state)
{
	static const char *const bad[] = { "24:00", "12:60", "12", "12:", ":5",
		"1:2:60", "012:00", "12:00x", "a:b" };
	struct settings s;
	char text[64];

	assert_int_equal(apply_text(state, "sync_start_time=3:5\n", &s), 0);
	assert_int_equal(s.start, 185);
	assert_int_equal(apply_text(state, "sync_start_time=23:59:59\n", &s),
	    0);
	assert_int_equal(s.start, 1439);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "sync_start_time=%s\n", bad[i]);
		assert_int_equal(apply_text(state, text, &s), -EINVAL);
	}
}

static void test_words_are_found_in_any_case(void **state)
{
	struct settings s;

	assert_int_equal(apply_text(state, "file_signature_method=MD5\n", &s),
	    0);
	assert_int_equal(s.mode, 1);
	assert_int_equal(apply_text(state, "file_signature_method=md\n", &s),
	    0);
	assert_int_equal(s.mode, 0);
	assert_true(warned(state, "value='md' used='hash'"));
}

/* --- keys --------------------------------------------------------------- */

static void test_last_of_a_repeated_key_wins_and_lists_collect(void **state)
{
	struct conf_file *cf = good(state, "group_name = a\n"
	                                   "tracker_server = t1\n"
	                                   "tracker_server = t2\n"
	                                   "tracker_server =\n"
	                                   "group_name = b\n"
	                                   "tracker_server = t1\n");
	struct settings s;

	assert_int_equal(apply(cf, &s), 0);
	assert_string_equal(s.name, "b");
	assert_int_equal(s.servers.count, 3);
	assert_string_equal(s.servers.values[0], "t1");
	assert_string_equal(s.servers.values[1], "t2");
	assert_string_equal(s.servers.values[2], "t1");
	conf_free(cf);
}

static void test_missing_required_key_is_named(void **state)
{
	struct conf_file *cf = good(state, "port = 1\n");
	struct settings s;

	assert_int_equal(apply(cf, &s), -EINVAL);
	assert_non_null(
	    strstr(err, "x.conf: group_name is missing: name of the group"));
	conf_free(cf);
}

static void test_required_key_below_a_section_is_pointed_at(void **state)
{
	struct conf_file *cf =
	    good(state, "[access-log]\nenabled=1\ngroup_name = g\n");
	struct settings s;

	assert_int_equal(apply(cf, &s), -EINVAL);
	assert_non_null(
	    strstr(err, "x.conf:3: group_name stands below [access-log]"));
	conf_free(cf);
}

static void test_strangers_are_warned_of_with_the_nearest_name(void **state)
{
	struct settings s;

	assert_int_equal(apply_text(state,
	                     "traker_server = x\n"
	                     "zzzzzzzzzzzzzzzzz = 1\n"
	                     "if_alias_prefix = eth\n"
	                     "enabled = 1\n"
	                     "[access-log]\n"
	                     "port = 1\n",
	                     &s),
	    0);
	assert_true(warned(state,
	    "x.conf:2 name=traker_server: has no effect; did you mean "
	    "tracker_server?\n"));
	assert_true(
	    warned(state, "x.conf:3 name=zzzzzzzzzzzzzzzzz: has no effect\n"));
	assert_false(warned(state, "if_alias_prefix"));
	assert_true(warned(state,
	    "x.conf:5 name=enabled: has no effect; did you mean enabled in "
	    "[access-log]?\n"));
	assert_true(warned(state, "conf_key_hidden at="));
	assert_true(warned(state, "x.conf:7 name=port section=access-log"));
}

static void test_numbered_and_asked_keys_are_no_strangers(void **state)
{
	struct conf_file *cf = good(state,
	    "group_name = g\nstore_path0 = /a\nstore_path12_readonly = 1\n"
	    "asked = 1\nstore_pathX = /b\n");
	struct settings s;

	conf_know(cf, "", "store_path#");
	conf_know(cf, "", "store_path#_readonly");
	value_is(cf, "", "asked", "1");
	assert_int_equal(apply(cf, &s), 0);
	assert_false(warned(state, "store_path0"));
	assert_false(warned(state, "store_path12"));
	assert_false(warned(state, "asked"));
	assert_true(warned(state, "name=store_pathX"));
	conf_free(cf);
}

static void test_print_shows_values_and_where_they_come_from(void **state)
{
	struct conf_file *cf = good(state, "group_name = g\n"
	                                   "heart_beat_interval = 2m\n"
	                                   "buff_size = 64 KB\n"
	                                   "tracker_server = t1\n"
	                                   "tracker_server = t2\n"
	                                   "reserved_storage_space = 10%\n"
	                                   "secret_key = hush\n"
	                                   "if_alias_prefix = eth\n"
	                                   "store_path0 = /a\x1b\n"
	                                   "what = 1\n"
	                                   "[access-log]\n"
	                                   "enabled = yes\n");
	struct settings s;
	char want[4096];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	const char *p;

	conf_know(cf, "", "store_path#");
	assert_int_equal(apply(cf, &s), 0);
	conf_print(out, cf, keys, ARRAY_LEN(keys), &s);
	fclose(out);
	p = strdup(scratch_path(state, "x.conf"));
	snprintf(want, sizeof(want),
	    "group_name = g  # %s:1\n"
	    "disabled = false  # default\n"
	    "tcp_quick_ack = true  # default\n"
	    "port = 23000  # default\n"
	    "work_threads = 4  # default\n"
	    "heart_beat_interval = 2  # %s:2, which says '2m'\n"
	    "buff_size = 64KB  # %s:3\n"
	    "tracker_server = t1  # %s:4\n"
	    "tracker_server = t2  # %s:5\n"
	    "sync_start_time = 00:00  # default\n"
	    "reserved_storage_space = 10%%  # %s:6\n"
	    "file_signature_method = hash  # default\n"
	    "secret_key = ********  # %s:7\n"
	    "store_path0 = /a\\x1b  # %s:9\n"
	    "\n"
	    "[access-log]\n"
	    "enabled = true  # %s:12\n"
	    "\n"
	    "# without effect:\n"
	    "# if_alias_prefix = eth  # %s:8, obsolete\n"
	    "# what = 1  # %s:10, unknown\n",
	    p, p, p, p, p, p, p, p, p, p, p);
	assert_string_equal(text, want);
	free(text);
	free((void *)(uintptr_t)p);
	conf_free(cf);
}

static void test_help_lists_every_row(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	conf_print_help(out, keys, ARRAY_LEN(keys));
	fclose(out);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_non_null(strstr(text, keys[i].name));
	assert_non_null(strstr(text,
	    "  heart_beat_interval\n"
	    "      seconds (number, default 30, applied by SIGHUP)\n"));
	assert_non_null(strstr(text, "[access-log]\n  enabled\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_absent_keys_have_their_defaults),
		T(test_empty_values_are_as_absent_or_fatal),
		T(test_only_four_words_are_true),
		T(test_ints_are_their_leading_digits),
		T(test_ranges_clamp_or_take_the_default_or_are_fatal),
		T(test_bytes_have_units_of_1024),
		T(test_reserve_is_percent_or_whole_megabytes),
		T(test_times_of_day_are_minutes),
		T(test_words_are_found_in_any_case),
		T(test_last_of_a_repeated_key_wins_and_lists_collect),
		T(test_missing_required_key_is_named),
		T(test_required_key_below_a_section_is_pointed_at),
		T(test_strangers_are_warned_of_with_the_nearest_name),
		T(test_numbered_and_asked_keys_are_no_strangers),
		T(test_print_shows_values_and_where_they_come_from),
		T(test_help_lists_every_row),
	};

	log_to_stderr(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
