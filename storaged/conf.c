/* SPDX-License-Identifier: MIT */
/*
 * The rows are the reference: -t, -h and storage.conf(5) come from them. Keys
 * of FastDFS without a counterpart here are rows without a target, so that
 * they are known and listed; conf_lost.c tells of those that would be missed.
 * store_path0 ... have no rows: conf_check.c reads them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "storaged/conf_impl.h"

#define AT(field) offsetof(struct storage_conf, field)
#define SOME      INT64_MAX
#define DAY       INT64_C(86400)
#define KB        INT64_C(1024)
#define GB        INT64_C(1073741824)

/* A positive number that falls back to its default. */
#define KEY_COUNT(name, field, dflt, flags, help)                   \
	{                                                           \
		"", name, CONF_INT, AT(field), dflt, 1, SOME, NULL, \
		    CONF_DEFAULT | (flags), help                    \
	}
#define KEY_BOOL(name, field, dflt, help)                                 \
	{                                                                 \
		"", name, CONF_BOOL, AT(field), dflt, 0, 0, NULL, 0, help \
	}
#define KEY_STR(name, field, dflt, flags, help)                              \
	{                                                                    \
		"", name, CONF_STR, AT(field), dflt, 0, 0, NULL, flags, help \
	}
#define KEY_META(name, field, dflt, lo, hi, flags, help)                      \
	{                                                                     \
		"meta", name, CONF_INT, AT(field), dflt, lo, hi, NULL, flags, \
		    help                                                      \
	}
#define KEY_OLD(section, name, help)                                       \
	{                                                                  \
		section, name, CONF_OBSOLETE, 0, NULL, 0, 0, NULL, 0, help \
	}
/* NOLINTBEGIN(bugprone-macro-parentheses): a field cannot have any */
#define KEYS_ROTATION(section, target)                                         \
	{ section, "log_file_rotate_everyday", CONF_BOOL, AT(target.everyday), \
		"true", 0, 0, NULL, CONF_LIVE,                                 \
		"start a new log file every day" },                            \
	    { section, "log_file_rotate_time", CONF_TIME, AT(target.minute),   \
		    "00:00", 0, 0, NULL, CONF_LIVE, "time of day of that" },   \
	    { section, "log_file_rotate_on_size", CONF_BYTES,                  \
		    AT(target.on_size), "0", 0, 64 * GB, NULL, CONF_LIVE,      \
		    "start a new log file beyond this size, "                  \
		    "0 = never" },                                             \
	{                                                                      \
		section, "log_file_keep_days", CONF_INT, AT(target.keep_days), \
		    "15", 0, 36500, NULL, CONF_LIVE,                           \
		    "delete older log files, 0 = keep"                         \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
#define KEYS_OLD_ROTATION(section, help)                             \
	KEY_OLD(section, "log_file_rotate_everyday", help),          \
	    KEY_OLD(section, "log_file_rotate_time", help),          \
	    KEY_OLD(section, "log_file_rotate_on_size", help),       \
	    KEY_OLD(section, "log_file_keep_days", help),            \
	    KEY_OLD(section, "log_file_compress_old", help),         \
	    KEY_OLD(section, "log_file_compress_days_before", help), \
	    KEY_OLD(section, "log_file_delete_old_time", help),      \
	    KEY_OLD(section, "sync_log_buff_interval", help)

static const char buffers[] = "FastDFS's threads and buffers; work_threads "
                              "and [meta] disk_threads size this daemon";
static const char no_pool[] = "each tracker has one lasting connection";
static const char at_once[] = "operations go to the other storages at once, "
                              "several under way on one connection";
static const char place_kept[] = "how far each other storage is stands in the "
                                 "operation log, four times a second";
static const char own_rows[] = "the operation log has no lines that cannot be "
                               "read";
static const char direct_log[] = "log lines are written at once, old files "
                                 "are not compressed";
static const char no_access[] = "no access log: the operation log in SQLite "
                                "holds every change";
static const char fastdht[] = "needs FastDHT, which is not supported";
static const char gone[] = "of an older FastDFS or of another program";

const struct conf_key storage_keys[] = {
	KEY_BOOL("disabled", disabled, "false",
	    "true: the daemon ends with status 125"),
	KEY_STR("base_path", base_path, NULL, CONF_REQUIRED,
	    "directory of data, meta and logs; made when absent"),
	KEY_STR("group_name", group_name, NULL, 0,
	    "group of this storage; left out: the tracker tells, which needs "
	    "storage ids"),
	KEY_STR("server_id", server_id, NULL, 0,
	    "own id when the trackers use storage ids"),
	{ "", "tracker_server", CONF_LIST, AT(tracker_server), NULL, 0, 0, NULL,
	    CONF_REQUIRED,
	    "tracker as host:port or inner,outer:port; up to 16 "
	    "lines" },
	KEY_STR("bind_addr", bind_addr, NULL, 0,
	    "address to listen on, or IPv4,IPv6; empty = all"),
	KEY_STR("inner_bind_addr", inner_bind_addr, NULL, 0,
	    "address on the inner network"),
	KEY_STR("outer_bind_addr", outer_bind_addr, NULL, 0,
	    "address on the outer network"),
	{ "", "address_family", CONF_WORD, AT(family), "auto", 0, 0,
	    "auto|IPv4|IPv6|both", 0,
	    "families to listen on when no address is given" },
	KEY_COUNT("port", port, "23000", 0, "port to listen on"),
	KEY_BOOL("client_bind", client_bind, "true",
	    "make outgoing connections from bind_addr too"),
	KEY_COUNT("connect_timeout", connect_timeout, "10", 0,
	    "seconds to wait for a tracker to take a connection"),
	KEY_COUNT("network_timeout", network_timeout, "30", CONF_LIVE,
	    "seconds without progress before a connection is closed"),
	KEY_COUNT("max_connections", max_connections, "256", 0,
	    "connections at a time; more are closed at once"),
	{ "", "work_threads", CONF_INT, AT(work_threads), "0", 0, 64, NULL, 0,
	    "threads that serve connections; 0 = half the cores" },
	KEY_STR("run_by_group", run_by_group, NULL, 0, "group to run as"),
	KEY_STR("run_by_user", run_by_user, NULL, 0, "user to run as"),
	{ "", "allow_hosts", CONF_LIST, AT(allow_hosts), NULL, 0, 0, NULL,
	    CONF_LIVE,
	    "who may connect: addresses, CIDR, a.b.c.[0-15,20], names; * = "
	    "everyone" },

	{ "", "store_path_count", CONF_INT, AT(store_path_count), "1", 1,
	    MAX_STORE_PATHS, NULL, CONF_FATAL,
	    "store paths: store_path0 (left out: base_path), store_path1 ...; "
	    "store_path1_readonly = true keeps new files out" },
	{ "", "subdir_count_per_path", CONF_INT, AT(subdir_count_per_path),
	    "256", 1, 256, NULL, CONF_FATAL,
	    "directories of each of the two levels; must not shrink" },
	{ "", "file_distribute_path_mode", CONF_INT,
	    AT(file_distribute_path_mode), "0", 0, 1, NULL, CONF_DEFAULT,
	    "0 fill a directory, then the next; 1 by hash" },
	KEY_COUNT("file_distribute_rotate_count", file_distribute_rotate_count,
	    "100", 0, "files that fill a directory"),
	KEY_BOOL("check_store_path_mark", check_store_path_mark, "true",
	    "refuse a store path of another storage or place"),
	KEY_COUNT("heart_beat_interval", heart_beat_interval, "30", CONF_LIVE,
	    "seconds between two heartbeats"),
	KEY_COUNT("stat_report_interval", stat_report_interval, "300",
	    CONF_LIVE, "seconds between two reports of disk space"),
	KEY_COUNT("sync_stat_file_interval", sync_stat_file_interval, "60",
	    CONF_LIVE, "seconds between two savings of the counters"),
	{ "", "disk_recovery_threads", CONF_INT, AT(disk_recovery_threads), "4",
	    1, 256, NULL, CONF_FATAL,
	    "connections that bring the files of a lost store path back" },
	{ "", "sync_interval", CONF_INT, AT(sync_interval), "0", 0, 3600000,
	    NULL, 0,
	    "milliseconds of rest after each operation sent to another "
	    "storage; above 0, one is under way at a time" },
	{ "", "sync_start_time", CONF_TIME, AT(sync_start_time), "00:00", 0, 0,
	    NULL, 0,
	    "time of day from which on operations are sent to the other "
	    "storages" },
	{ "", "sync_end_time", CONF_TIME, AT(sync_end_time), "23:59", 0, 0,
	    NULL, 0, "time of day up to which they are sent" },
	{ "", "upload_priority", CONF_INT, AT(upload_priority), "10", 0, 0,
	    NULL, 0, "the lowest takes the uploads of store_server = 2" },
	KEY_STR("log_level", log_level, "info", CONF_LIVE,
	    "finest level to log: emerg alert crit error warn notice info "
	    "debug"),
	KEYS_ROTATION("", log_global),
	KEYS_ROTATION("error-log", log_section),
	{ "", "rotate_error_log", CONF_BOOL, AT(log_old.everyday), "false", 0,
	    0, NULL, CONF_LIVE, "old name of log_file_rotate_everyday" },
	{ "", "error_log_rotate_time", CONF_TIME, AT(log_old.minute), "00:00",
	    0, 0, NULL, CONF_LIVE, "old name of log_file_rotate_time" },
	{ "", "rotate_error_log_size", CONF_BYTES, AT(log_old.on_size), "0", 0,
	    64 * GB, NULL, CONF_LIVE, "old name of log_file_rotate_on_size" },

	{ "meta", "durability", CONF_WORD, AT(durability), "process", 0, 0,
	    "process|full", 0,
	    "a reply means safe from: process, a crash of the daemon; full, a "
	    "loss of power" },
	{ "meta", "name_key", CONF_STR, AT(name_key), "filename", 0, 0, NULL, 0,
	    "metadata key with a file's original name" },
	{ "meta", "indexed_keys", CONF_STR, AT(indexed_keys), NULL, 0, 0, NULL,
	    0, "metadata keys to search by, with commas between" },
	KEY_META("sample_interval", sample_interval, "10", 1, DAY, CONF_LIVE,
	    "seconds between two status samples"),
	KEY_META("log_keep_days", log_keep_days, "7", 0, 36500, CONF_LIVE,
	    "days that the operation log is kept"),
	{ "meta", "log_keep_bytes", CONF_BYTES, AT(log_keep_bytes), "1GB",
	    1024 * KB, 1024 * GB, NULL, CONF_LIVE,
	    "the operation log is cut at this size even if younger" },
	KEY_META("tombstone_keep_days", tombstone_keep_days, "90", 0, 36500, 0,
	    "days that deleted files are remembered"),
	KEY_META("disk_threads", disk_threads, "16", 1, 256, 0,
	    "threads of each store path"),

	KEY_OLD("", "inner_port", "one port on every address"),
	KEY_OLD("", "outer_port", "one port on every address"),
	KEY_OLD("", "accept_threads", buffers),
	KEY_OLD("", "buff_size", buffers),
	KEY_OLD("", "min_buff_size", buffers),
	KEY_OLD("", "max_buff_size", buffers),
	KEY_OLD("", "thread_stack_size", buffers),
	KEY_OLD("", "tcp_quick_ack", buffers),
	KEY_OLD("", "use_io_uring", buffers),
	KEY_OLD("", "use_send_zc", buffers),
	KEY_OLD("", "disk_rw_separated", buffers),
	KEY_OLD("", "disk_reader_threads", buffers),
	KEY_OLD("", "disk_writer_threads", buffers),
	KEY_OLD("", "fsync_after_written_bytes",
	    "[meta] durability = full syncs every file"),
	KEY_OLD("", "use_connection_pool", no_pool),
	KEY_OLD("", "connection_pool_max_idle_time", no_pool),
	KEY_OLD("", "if_alias_prefix", "the trackers tell the own address"),
	KEY_OLD("", "sync_wait_msec", at_once),
	KEY_OLD("", "sync_min_threads", at_once),
	KEY_OLD("", "sync_max_threads", at_once),
	KEY_OLD("", "write_mark_file_freq", place_kept),
	KEY_OLD("", "sync_binlog_buff_interval",
	    "the operation log is written with each reply"),
	KEY_OLD("", "file_sync_skip_invalid_record", own_rows),
	KEY_OLD("", "compress_binlog", "[meta] log_keep_bytes bounds the log"),
	KEY_OLD("", "compress_binlog_time",
	    "[meta] log_keep_bytes bounds the log"),
	KEY_OLD("", "check_file_duplicate", fastdht),
	KEY_OLD("", "file_signature_method", fastdht),
	KEY_OLD("", "key_namespace", fastdht),
	KEY_OLD("", "keep_alive", fastdht),
	KEY_OLD("", "group_count", fastdht),
	KEY_OLD("", "use_proxy", fastdht),
	KEY_OLD("", "proxy_addr", fastdht),
	KEY_OLD("", "proxy_port", fastdht),
	KEY_OLD("", "sync_log_buff_interval", direct_log),
	KEY_OLD("", "log_file_compress_old", direct_log),
	KEY_OLD("", "log_file_compress_days_before", direct_log),
	KEY_OLD("", "log_file_delete_old_time", direct_log),
	KEY_OLD("error-log", "sync_log_buff_interval", direct_log),
	KEY_OLD("error-log", "log_file_compress_old", direct_log),
	KEY_OLD("error-log", "log_file_compress_days_before", direct_log),
	KEY_OLD("error-log", "log_file_delete_old_time", direct_log),
	KEY_OLD("", "compress_old_error_log", direct_log),
	KEY_OLD("", "compress_error_log_days_before", direct_log),
	KEY_OLD("access-log", "enabled", no_access),
	KEY_OLD("access-log", "time_precision", no_access),
	KEYS_OLD_ROTATION("access-log", no_access),
	KEY_OLD("", "use_access_log", no_access),
	KEY_OLD("", "rotate_access_log", no_access),
	KEY_OLD("", "access_log_rotate_time", no_access),
	KEY_OLD("", "rotate_access_log_size", no_access),
	KEY_OLD("", "compress_old_access_log", no_access),
	KEY_OLD("", "compress_access_log_days_before", no_access),
	KEY_OLD("", "http.server_port", gone),
	KEY_OLD("", "http.disabled", gone),
	KEY_OLD("", "http.domain_name", gone),
};
const size_t storage_keys_n = ARRAY_LEN(storage_keys);

/* --- from file to struct --- */

int storage_conf_load(const char *path, struct storage_conf *out, char *err,
    size_t cap)
{
	int rc;

	memset(out, 0, sizeof(*out));
	if (!str_copy(out->path, sizeof(out->path), path)) {
		str_copy(err, cap, "the path of the configuration is too long");
		return -ENAMETOOLONG;
	}
	rc = conf_read(path, &out->file, err, cap);
	if (rc < 0)
		return rc;
	conf_know(out->file, "", "store_path#");
	conf_know(out->file, "", "store_path#_readonly");
	rc = conf_apply(out->file, storage_keys, ARRAY_LEN(storage_keys), out,
	    err, cap);
	if (rc == 0)
		rc = storage_conf_check(out, err, cap);
	if (rc == 0)
		storage_conf_tell_lost(out->file);
	else
		storage_conf_free(out);
	return rc;
}

void storage_conf_free(struct storage_conf *c)
{
	for (size_t i = 0; i < MAX_STORE_PATHS; i++) {
		free(c->path_texts[i]);
		c->path_texts[i] = NULL;
	}
	addr_list_free(c->allow);
	c->allow = NULL;
	conf_free(c->file);
	c->file = NULL;
}

void storage_conf_print(FILE *out, const struct storage_conf *c)
{
	conf_print(out, c->file, storage_keys, ARRAY_LEN(storage_keys), c);
}

void storage_conf_help(FILE *out)
{
	conf_print_help(out, storage_keys, ARRAY_LEN(storage_keys));
}

/* --- reload --- */

static const char *value_of(const struct storage_conf *c,
    const struct conf_key *k)
{
	const char *v = conf_get(c->file, k->section, k->name);

	return v ? v : k->dflt ? k->dflt : "";
}

static bool same_list(const struct conf_list *a, const struct conf_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	}
	return true;
}

static bool same_paths(const struct storage_conf *a,
    const struct storage_conf *b)
{
	if (a->store_path_count != b->store_path_count)
		return false;
	for (size_t i = 0; i < (size_t)a->store_path_count; i++) {
		if (strcmp(a->store_paths[i], b->store_paths[i]) != 0 ||
		    a->path_readonly[i] != b->path_readonly[i])
			return false;
	}
	return true;
}

static void tell_restart(const char *name)
{
	log_always(LOG_LEVEL_WARN, "conf_needs_restart",
	    "name=%s: the new value takes effect at the next start", name);
}

static void name_restarts(const struct storage_conf *now,
    const struct storage_conf *fresh)
{
	for (size_t i = 0; i < ARRAY_LEN(storage_keys); i++) {
		const struct conf_key *k = &storage_keys[i];

		if (k->type == CONF_OBSOLETE || k->type == CONF_LIST ||
		    (k->flags & CONF_LIVE))
			continue;
		if (strcmp(value_of(now, k), value_of(fresh, k)) != 0)
			tell_restart(k->name);
	}
	if (!same_list(&now->tracker_server, &fresh->tracker_server))
		tell_restart("tracker_server");
	if (!same_paths(now, fresh))
		tell_restart("store_path0 ...");
}

static void apply_log(struct storage_conf *now,
    const struct storage_conf *fresh)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)log_level_parse(fresh->log_level, &level);
	log_set_level(level);
	now->rotation = fresh->rotation;
	log_set_rotation(&now->rotation);
}

void storage_conf_reload(struct storage_conf *now, struct storage_conf *fresh)
{
	struct addr_list *old = now->allow;

	name_restarts(now, fresh);
	apply_log(now, fresh);
	now->allow = fresh->allow;
	fresh->allow = old;
	__atomic_store_n(&now->network_timeout, fresh->network_timeout,
	    __ATOMIC_RELAXED);
	now->heart_beat_interval = fresh->heart_beat_interval;
	now->stat_report_interval = fresh->stat_report_interval;
	now->sync_stat_file_interval = fresh->sync_stat_file_interval;
	now->sample_interval = fresh->sample_interval;
	now->log_keep_days = fresh->log_keep_days;
	now->log_keep_bytes = fresh->log_keep_bytes;
	storage_conf_free(fresh);
	free(fresh);
}

const struct addr *storage_conf_from(const struct storage_conf *c,
    const struct addr *to)
{
	static const struct addr any;

	for (size_t i = 0; c->client_bind && i < c->n_binds; i++) {
		const struct addr *a = &c->binds[i];

		if (a->family == to->family &&
		    memcmp(a->ip, any.ip, sizeof(a->ip)) != 0)
			return a;
	}
	return NULL;
}
