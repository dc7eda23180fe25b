/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
/* Who we are: what trackers say of it, what the log remembers, what stands in
 * FastDFS's own state files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/clock.h"
#include "storaged/identity_impl.h"
#include "test/unit/conf_test.h"
#include "test/unit/fake_tracker.h"

#define IP_MODE \
	"use_storage_id=0\nreserved_storage_space=20.00%\nstore_path=2\n"
#define ID_MODE                                                 \
	"use_storage_id=1\nid_type_in_filename=id\n"            \
	"trust_storage_server_id=1\nresponse_ip_addr_size=16\n" \
	"storage_ip_changed_auto_adjust=1\n"                    \
	"reserved_storage_space=1024MB\n"

static struct storage_conf conf;
static struct identity me;
static struct db *log_db;

static bool never(void)
{
	return false;
}

/* Lets one round of questions pass. */
static bool soon(void)
{
	static int asked;

	return ++asked > 8;
}

static void open_log(void **state)
{
	char why[DB_ERR_MAX];

	assert_int_equal(db_open(DB_LOG, scratch_path(state, "storage.db"),
	                     false, &log_db, why),
	    0);
}

/* A configuration with one tracker; the directory of the test is base_path. */
static void make_conf(void **state, const struct addr *tracker)
{
	static const char *paths[1];

	memset(&conf, 0, sizeof(conf));
	conf.base_path = *state;
	conf.group_name = "group1";
	conf.server_id = "";
	conf.port = 23000;
	conf.connect_timeout = 5;
	conf.network_timeout = 30;
	conf.heart_beat_interval = 1;
	conf.store_path_count = 1;
	conf.check_store_path_mark = true;
	paths[0] = *state;
	conf.store_paths[0] = paths[0];
	conf.n_trackers = 1;
	conf.trackers[0].n = 1;
	if (tracker)
		conf.trackers[0].addrs[0] = *tracker;
	memset(&me, 0, sizeof(me));
}

static struct fake_tracker *ip_tracker(void)
{
	struct fake_tracker *f = fake_start();

	fake_says(f, CMD_get_my_ip, "10.0.0.9");
	fake_says(f, CMD_parameter_req, IP_MODE);
	return f;
}

static struct fake_tracker *id_tracker(const char *lines)
{
	struct fake_tracker *f = fake_start();
	uint8_t ids[FAKE_ROOM] = { 0, 0, 0, 2, 0, 0, 0, 2 };

	fake_says(f, CMD_get_my_ip, "10.0.0.9");
	fake_says(f, CMD_parameter_req, ID_MODE);
	memcpy(ids + 8, lines, strlen(lines));
	fake_answers(f, CMD_fetch_storage_ids, 0, ids, 8 + strlen(lines));
	return f;
}

/* --- parameters --- */

static void test_parameters_of_a_stock_tracker_are_understood(void **state)
{
	struct cluster_params p;

	(void)state;
	assert_int_equal(identity_parse_params(ID_MODE, &p), 0);
	assert_true(p.use_storage_id);
	assert_true(p.id_in_filename);
	assert_true(p.trust_storage_server_id);
	assert_true(p.ip_changed_auto_adjust);
	assert_int_equal(p.ip_size, 16);
	assert_int_equal(p.reserved.bytes, UINT64_C(1) << 30);
	assert_int_equal(identity_parse_params(IP_MODE, &p), 0);
	assert_true(p.reserved.percent > 19.99 && p.reserved.percent < 20.01);
	assert_int_equal(p.store_path, 2);
	assert_false(p.use_storage_id);
}

static void test_missing_parameters_have_the_defaults_of_the_protocol(
    void **state)
{
	struct cluster_params p;

	(void)state;
	assert_int_equal(identity_parse_params("", &p), 0);
	assert_false(p.use_storage_id);
	assert_false(p.id_in_filename);
	assert_false(p.trust_storage_server_id);
	assert_false(p.ip_changed_auto_adjust);
	assert_int_equal(p.ip_size, 46);
	assert_int_equal(p.sync_file_max_delay, 86400);
	assert_int_equal(p.reserved.bytes, UINT64_C(1) << 30);
}

static void test_ids_in_names_need_storage_ids(void **state)
{
	struct cluster_params p;

	(void)state;
	assert_int_equal(identity_parse_params(
	                     "use_storage_id=0\nid_type_in_filename=id\n", &p),
	    0);
	assert_false(p.id_in_filename);
}

static void test_parameters_that_make_no_sense_are_refused(void **state)
{
	struct cluster_params p;

	(void)state;
	assert_int_equal(
	    identity_parse_params("reserved_storage_space=1.5GB\n", &p),
	    -EBADMSG);
}

/* --- the list of ids, addresses --- */

static void test_lines_of_storage_ids_in_all_their_forms(void **state)
{
	struct id_entry *ids;
	char ip[ADDR_IP_MAX];

	(void)state;
	assert_int_equal(
	    identity_parse_ids("100001 group1 10.0.0.1:23000\n"
	                       "100002 group1 10.0.0.2 rw=read\n"
	                       "100003 group2 10.0.0.3,203.0.113.3:23000\n"
	                       "100004 group2 [2001:db8::4]:23000\n",
	        &ids),
	    4);
	assert_string_equal(ids[0].id, "100001");
	assert_string_equal(ids[1].group, "group1");
	assert_int_equal(ids[2].n, 2);
	assert_string_equal(addr_ip(&ids[2].addrs[1], ip, sizeof(ip)),
	    "203.0.113.3");
	assert_string_equal(addr_ip(&ids[3].addrs[0], ip, sizeof(ip)),
	    "2001:db8::4");
	free(ids);
	assert_int_equal(identity_parse_ids("100001 group1\n", &ids), -EBADMSG);
	assert_int_equal(
	    identity_parse_ids("1 g 1.1.1.1,2.2.2.2,3.3.3.3\n", &ids),
	    -EBADMSG);
}

static void test_answers_to_get_my_ip(void **state)
{
	struct addr ips[2];

	(void)state;
	assert_int_equal(identity_parse_ips(span_of("10.0.0.9"), ips), 1);
	assert_int_equal(identity_parse_ips(span_of("10.0.0.9,1.2.3.4"), ips),
	    2);
	assert_int_equal(ips[1].ip[0], 1);
	assert_int_equal(identity_parse_ips(span_of("fd88::21"), ips), 1);
	assert_int_equal(identity_parse_ips(span_of(""), ips), -EINVAL);
	assert_int_equal(identity_parse_ips(span_of("10.0.0.9,"), ips),
	    -EINVAL);
	assert_int_equal(identity_parse_ips(span_of("storage"), ips), -EINVAL);
}

/* --- learning --- */

static void test_in_ip_mode_the_id_is_the_address(void **state)
{
	struct fake_tracker *f = ip_tracker();
	struct fake_question q;

	make_conf(state, &f->at);
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_string_equal(me.id, "10.0.0.9");
	assert_string_equal(me.group, "group1");
	/* Bytes of the address, the first lowest. */
	assert_int_equal(me.name_source, 0x0900000a);
	assert_false(me.from_memory);
	q = fake_wait(f, CMD_get_my_ip, 1);
	assert_int_equal(q.n, 21);
	assert_memory_equal(q.body, "group1\0\0\0\0\0\0\0\0\0\0\0\0\0\x59\xd8",
	    21);
	assert_int_equal(fake_count(f, CMD_fetch_storage_ids), 0);
	identity_fini(&me);
	db_close(log_db);
	fake_end(f);
}

static void test_a_trusted_server_id_is_used_without_asking(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 group1 10.0.0.9:23000\n");

	make_conf(state, &f->at);
	conf.server_id = "100002";
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_string_equal(me.id, "100002");
	assert_int_equal(me.name_source, 100002);
	assert_int_equal(me.n_ids, 2);
	assert_int_equal(fake_count(f, CMD_get_server_id), 0);
	identity_fini(&me);
	db_close(log_db);
	fake_end(f);
}

static void test_without_server_id_the_tracker_is_asked_by_address(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 group1 10.0.0.9:23000\n");
	struct fake_question q;

	fake_says(f, CMD_get_server_id, "100002");
	make_conf(state, &f->at);
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_string_equal(me.id, "100002");
	q = fake_wait(f, CMD_get_server_id, 1);
	assert_int_equal(q.n, 30);
	assert_memory_equal(q.body + 16, "10.0.0.9:23000", 14);
	identity_fini(&me);
	db_close(log_db);
	fake_end(f);
}

static void test_the_group_can_be_asked_for(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 media 10.0.0.9:23000\n");

	fake_answers(f, CMD_get_group_name, 0, "media\0\0\0\0\0\0\0\0\0\0\0",
	    16);
	make_conf(state, &f->at);
	conf.group_name = "";
	conf.server_id = "100002";
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_string_equal(me.group, "media");
	identity_fini(&me);
	db_close(log_db);
	fake_end(f);
}

static void will_not_start(void **state, struct fake_tracker *f,
    const char *why)
{
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)),
	    -EINVAL);
	if (!strstr(err, why))
		fail_msg("'%s' says nothing of '%s'", err, why);
	identity_fini(&me);
	db_close(log_db);
	fake_end(f);
	(void)state;
}

static void test_no_group_and_no_ids_is_told(void **state)
{
	struct fake_tracker *f = ip_tracker();

	fake_answers(f, CMD_get_group_name, EOPNOTSUPP, NULL, 0);
	make_conf(state, &f->at);
	conf.group_name = "";
	open_log(state);
	will_not_start(state, f, "set group_name");
}

static void test_an_id_of_another_group_is_refused(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 group2 10.0.0.9:23000\n");

	make_conf(state, &f->at);
	conf.server_id = "100002";
	open_log(state);
	will_not_start(state, f, "100002");
}

static void test_an_address_without_a_line_is_refused(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 group1 10.0.0.2:23000\n");

	fake_answers(f, CMD_get_server_id, ENOENT, NULL, 0);
	make_conf(state, &f->at);
	open_log(state);
	will_not_start(state, f, "10.0.0.9:23000");
}

static void test_ipv6_needs_storage_ids(void **state)
{
	struct fake_tracker *f = ip_tracker();

	fake_says(f, CMD_get_my_ip, "fd88::21");
	make_conf(state, &f->at);
	open_log(state);
	will_not_start(state, f, "use_storage_id");
}

/* A port nobody listens on: bound, not listening. */
static int dead_end(struct addr *at)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	getsockname(fd, (struct sockaddr *)&sa, &n);
	*at = (struct addr){ .family = 4, .ip = { 127, 0, 0, 1 } };
	at->port = ntohs(sa.sin_port);
	return fd;
}

static void test_a_start_without_trackers_goes_on_from_memory(void **state)
{
	struct fake_tracker *f = id_tracker("100001 group1 10.0.0.1:23000\n"
	                                    "100002 group1 10.0.0.9:23000\n");
	int dead;

	make_conf(state, &f->at);
	conf.server_id = "100002";
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	identity_fini(&me);
	fake_end(f);
	dead = dead_end(&conf.trackers[0].addrs[0]);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_true(me.from_memory);
	assert_string_equal(me.id, "100002");
	assert_int_equal(me.n_ids, 2);
	assert_true(me.params.id_in_filename);
	identity_fini(&me);
	close(dead);
	db_close(log_db);
}

static void test_memory_of_another_group_is_not_used(void **state)
{
	struct fake_tracker *f = ip_tracker();
	int dead;

	make_conf(state, &f->at);
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	identity_fini(&me);
	fake_end(f);
	dead = dead_end(&conf.trackers[0].addrs[0]);
	conf.group_name = "group2";
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, soon, err, sizeof(err)),
	    -ECANCELED);
	close(dead);
	db_close(log_db);
}

static void test_the_second_tracker_is_asked_when_the_first_is_dead(
    void **state)
{
	struct fake_tracker *f = ip_tracker();
	int dead;

	make_conf(state, NULL);
	dead = dead_end(&conf.trackers[0].addrs[0]);
	conf.trackers[1] = (struct tracker_entry){ { f->at }, 1 };
	conf.n_trackers = 2;
	open_log(state);
	assert_int_equal(
	    identity_learn(&me, &conf, log_db, never, err, sizeof(err)), 0);
	assert_false(me.from_memory);
	assert_string_equal(me.id, "10.0.0.9");
	identity_fini(&me);
	close(dead);
	db_close(log_db);
	fake_end(f);
}

/* --- sources of names --- */

static void test_the_source_of_a_name_is_an_address_for_the_peer(void **state)
{
	const struct addr inner = { .family = 4, .ip = { 10, 1, 1, 1 } };
	const struct addr outer = { .family = 4, .ip = { 198, 51, 100, 1 } };
	char ip[ADDR_IP_MAX];

	(void)state;
	memset(&me, 0, sizeof(me));
	me.n_ids = (size_t)identity_parse_ids(
	    "100003 group2 10.0.0.3,203.0.113.3:23000\n", &me.ids);
	identity_source_ip(&me, 100003, &inner, ip, sizeof(ip));
	assert_string_equal(ip, "10.0.0.3");
	identity_source_ip(&me, 100003, &outer, ip, sizeof(ip));
	assert_string_equal(ip, "203.0.113.3");
	identity_source_ip(&me, 100004, &inner, ip, sizeof(ip));
	assert_string_equal(ip, "");
	identity_source_ip(&me, 0x0900000a, &inner, ip, sizeof(ip));
	assert_string_equal(ip, "10.0.0.9");
	free(me.ids);
}

/* --- state files --- */

/* An identity as learnt, without asking anybody. */
static void settle(void **state, const char *ips)
{
	char path[512];

	make_conf(state, NULL);
	pthread_mutex_init(&me.lock, NULL);
	me.n_ips = (size_t)identity_parse_ips(span_of(ips), me.ips);
	str_copy(me.group, sizeof(me.group), "group1");
	str_copy(me.id, sizeof(me.id), ips);
	snprintf(path, sizeof(path), "%s/data", (const char *)*state);
	(void)mkdir(path, 0755);
}

static int load_flag(void)
{
	return identity_load_flag(&me, &conf, err, sizeof(err));
}

static void file_has(void **state, const char *name, const char *text)
{
	char *got = scratch_read(state, name);

	if (!strstr(got, text))
		fail_msg("%s lacks '%s':\n%s", name, text, got);
	free(got);
}

static void test_a_first_start_makes_the_files(void **state)
{
	clock_set(1, INT64_C(1795330000) * 1000);
	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	assert_true(me.first_run);
	assert_int_equal(me.join_time, 1795330000);
	assert_false(me.sync_old_done);
	file_has(state, "data/.data_init_flag",
	    "storage_join_time=1795330000\nsync_old_done=0\n"
	    "sync_src_server=\nsync_until_timestamp=0\n"
	    "last_ip_addr=10.0.0.9\nlast_server_port=23000\n"
	    "current_trunk_file_id=0\ntrunk_last_compress_time=0\n"
	    "trunk_binlog_compress_stage=0\nstore_path_mark0=");
	clock_set(0, 0);
	identity_fini(&me);
}

/* The mark of a FastDFS storage 10.88.0.21, port 23200, made at 1795329500. */
static void test_a_mark_has_the_bytes_of_fastdfs(void **state)
{
	clock_set(1, INT64_C(1795329500) * 1000);
	settle(state, "10.88.0.21");
	conf.port = 23200;
	assert_int_equal(load_flag(), 0);
	file_has(state, "data/.fastdfs_vars",
	    "store_path_mark=MTAuODguMC4yMQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAKBaAAAAANyNAms\n");
	clock_set(0, 0);
	identity_fini(&me);
}

static void test_a_second_start_finds_what_the_first_made(void **state)
{
	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	assert_int_equal(identity_set_source(&me, &conf, true, "10.0.0.7", 77),
	    0);
	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	assert_false(me.first_run);
	assert_true(me.sync_old_done);
	assert_string_equal(me.sync_src, "10.0.0.7");
	assert_int_equal(me.sync_until, 77);
	assert_string_equal(me.old_ip, "");
	identity_fini(&me);
}

static void test_a_flag_file_without_its_keys_is_refused(void **state)
{
	settle(state, "10.0.0.9");
	scratch_write(state, "data/.data_init_flag",
	    "storage_join_time=1\nsync_old_done=1\n");
	assert_int_equal(load_flag(), -EBADMSG);
	assert_non_null(strstr(err, ".data_init_flag"));
	scratch_write(state, "data/.data_init_flag",
	    "storage_join_time=soon\nsync_old_done=1\nsync_src_server=\n");
	assert_int_equal(load_flag(), -EBADMSG);
	identity_fini(&me);
}

static void test_a_path_of_another_storage_is_refused_by_name(void **state)
{
	settle(state, "10.0.0.9");
	scratch_write(state, "data/.fastdfs_vars",
	    "store_path_mark=MTAuODguMC4yMQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAKBaAAAAANyNAms\n");
	assert_int_equal(load_flag(), -EEXIST);
	assert_non_null(strstr(err, "10.88.0.21:23200"));
	assert_non_null(strstr(err, "store_path0"));
	conf.check_store_path_mark = false;
	assert_int_equal(load_flag(), 0);
	identity_fini(&me);
}

static void test_a_lost_mark_is_written_again(void **state)
{
	char *before;
	char *after;

	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	before = scratch_read(state, "data/.fastdfs_vars");
	assert_int_equal(unlink(scratch_path(state, "data/.fastdfs_vars")), 0);
	assert_int_equal(load_flag(), 0);
	after = scratch_read(state, "data/.fastdfs_vars");
	assert_string_equal(before, after);
	free(before);
	free(after);
	identity_fini(&me);
}

static void test_another_address_is_kept_until_a_tracker_knows(void **state)
{
	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	settle(state, "10.0.0.10");
	me.params.ip_changed_auto_adjust = true;
	assert_int_equal(load_flag(), 0);
	assert_string_equal(me.old_ip, "10.0.0.9");
	file_has(state, "data/.data_init_flag", "last_ip_addr=10.0.0.9\n");
	assert_int_equal(identity_settle_address(&me, &conf), 0);
	file_has(state, "data/.data_init_flag", "last_ip_addr=10.0.0.10\n");
	identity_fini(&me);
}

static void test_a_source_known_by_address_gets_its_id(void **state)
{
	settle(state, "10.0.0.9");
	assert_int_equal(load_flag(), 0);
	assert_int_equal(identity_set_source(&me, &conf, true, "10.0.0.7", 77),
	    0);
	settle(state, "10.0.0.9");
	me.params.use_storage_id = true;
	me.n_ids = (size_t)identity_parse_ids("100001 group2 10.0.0.7:23000\n"
	                                      "100007 group1 10.0.0.7:23000\n",
	    &me.ids);
	assert_int_equal(load_flag(), 0);
	assert_string_equal(me.sync_src, "100007");
	identity_fini(&me);
}

static void test_what_a_trunk_storage_left_is_kept(void **state)
{
	settle(state, "10.0.0.9");
	scratch_write(state, "data/.data_init_flag",
	    "storage_join_time=5\nsync_old_done=1\nsync_src_server=\n"
	    "last_ip_addr=10.0.0.9\ncurrent_trunk_file_id=12\n");
	assert_int_equal(load_flag(), 0);
	assert_int_equal(me.join_time, 5);
	file_has(state, "data/.data_init_flag", "current_trunk_file_id=12\n");
	identity_fini(&me);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_parameters_of_a_stock_tracker_are_understood),
		T(test_missing_parameters_have_the_defaults_of_the_protocol),
		T(test_ids_in_names_need_storage_ids),
		T(test_parameters_that_make_no_sense_are_refused),
		T(test_lines_of_storage_ids_in_all_their_forms),
		T(test_answers_to_get_my_ip),
		T(test_in_ip_mode_the_id_is_the_address),
		T(test_a_trusted_server_id_is_used_without_asking),
		T(test_without_server_id_the_tracker_is_asked_by_address),
		T(test_the_group_can_be_asked_for),
		T(test_no_group_and_no_ids_is_told),
		T(test_an_id_of_another_group_is_refused),
		T(test_an_address_without_a_line_is_refused),
		T(test_ipv6_needs_storage_ids),
		T(test_a_start_without_trackers_goes_on_from_memory),
		T(test_memory_of_another_group_is_not_used),
		T(test_the_second_tracker_is_asked_when_the_first_is_dead),
		T(test_the_source_of_a_name_is_an_address_for_the_peer),
		T(test_a_first_start_makes_the_files),
		T(test_a_mark_has_the_bytes_of_fastdfs),
		T(test_a_second_start_finds_what_the_first_made),
		T(test_a_flag_file_without_its_keys_is_refused),
		T(test_a_path_of_another_storage_is_refused_by_name),
		T(test_a_lost_mark_is_written_again),
		T(test_another_address_is_kept_until_a_tracker_knows),
		T(test_a_source_known_by_address_gets_its_id),
		T(test_what_a_trunk_storage_left_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
