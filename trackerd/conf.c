/* SPDX-License-Identifier: MIT */
/*
 * The rows are the reference: -t, -h and tracker.conf(5) come from them. Keys
 * of FastDFS that describe its threads and buffers have no counterpart in a
 * tracker of one loop; they are rows without a target, so that they are known
 * and listed but change nothing.
 */
#include "trackerd/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define AT(field) offsetof(struct tracker_conf, field)
#define SOME      INT64_MAX
#define DAY       INT64_C(86400)
#define MB        INT64_C(1048576)
#define TRUNK_MIN INT64_C(4194304)
#define LOG_MAX   INT64_C(68719476736) /* 64 GB */

/* A positive number that falls back to its default. */
#define KEY_COUNT(name, field, dflt, flags, help)                   \
	{                                                           \
		"", name, CONF_INT, AT(field), dflt, 1, SOME, NULL, \
		    CONF_DEFAULT | (flags), help                    \
	}
#define KEY_BOOL(name, field, dflt, flags, help)                              \
	{                                                                     \
		"", name, CONF_BOOL, AT(field), dflt, 0, 0, NULL, flags, help \
	}
#define KEY_STR(name, field, flags, help)                                    \
	{                                                                    \
		"", name, CONF_STR, AT(field), NULL, 0, 0, NULL, flags, help \
	}
#define KEY_CHOICE(name, field, max, flags, help)                             \
	{                                                                     \
		"", name, CONF_INT, AT(field), "0", 0, max, NULL, flags, help \
	}
#define KEY_BYTES(name, field, dflt, lo, hi, help)                   \
	{                                                            \
		"", name, CONF_BYTES, AT(field), dflt, lo, hi, NULL, \
		    CONF_CLUSTER, help                               \
	}
#define KEY_TIME(name, field, dflt, help)                         \
	{                                                         \
		"", name, CONF_TIME, AT(field), dflt, 0, 0, NULL, \
		    CONF_CLUSTER, help                            \
	}
#define KEY_NUMBER(name, field, dflt, help)                         \
	{                                                           \
		"", name, CONF_INT, AT(field), dflt, 0, SOME, NULL, \
		    CONF_DEFAULT | CONF_CLUSTER, help               \
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
		    "00:00", 0, 0, NULL, CONF_LIVE, "when" },                  \
	    { section, "log_file_rotate_on_size", CONF_BYTES,                  \
		    AT(target.on_size), "0", 0, LOG_MAX, NULL, CONF_LIVE,      \
		    "start a new log file beyond this size, "                  \
		    "0 = never" },                                             \
	{                                                                      \
		section, "log_file_keep_days", CONF_INT, AT(target.keep_days), \
		    "15", 0, 36500, NULL, CONF_LIVE,                           \
		    "delete older log files, 0 = keep"                         \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

static const char not_here[] = "FastDFS's threads and buffers; this tracker "
                               "has one loop and does not need it";
static const char no_pool[] = "a pool of connections; a tracker keeps one to "
                              "its leader and opens others when needed";
static const char direct_log[] = "log lines are written at once, old files "
                                 "are not compressed";
static const char gone[] = "of an older FastDFS or of another program";

static const struct conf_key keys[] = {
	KEY_BOOL("disabled", disabled, "false", 0,
	    "true: the daemon ends with status 125"),
	KEY_STR("base_path", base_path, CONF_REQUIRED,
	    "directory of data, meta and logs; made when absent"),
	KEY_STR("bind_addr", bind_addr, 0,
	    "address to listen on and to ask other trackers from, or "
	    "IPv4,IPv6; "
	    "empty = all"),
	KEY_STR("inner_bind_addr", inner_bind_addr, 0,
	    "address on the inner network"),
	KEY_STR("outer_bind_addr", outer_bind_addr, 0,
	    "address on the outer network"),
	KEY_COUNT("port", port, "22122", 0, "port to listen on"),
	{ "", "inner_port", CONF_INT, AT(inner_port), "0", 0, 65535, NULL,
	    CONF_DEFAULT, "port on the inner address; 0 = port" },
	{ "", "outer_port", CONF_INT, AT(outer_port), "0", 0, 65535, NULL,
	    CONF_DEFAULT, "port on the outer address; 0 = port" },
	{ "", "address_family", CONF_WORD, AT(family), "auto", 0, 0,
	    "auto|IPv4|IPv6|both", 0,
	    "families to listen on when no address is given" },
	KEY_COUNT("connect_timeout", connect_timeout, "10", 0,
	    "seconds to wait for another tracker to accept a connection"),
	KEY_COUNT("network_timeout", network_timeout, "60", CONF_LIVE,
	    "seconds without progress before a connection is closed"),
	KEY_COUNT("max_connections", max_connections, "256", 0,
	    "connections at a time; more are closed at once"),
	KEY_STR("run_by_group", run_by_group, 0, "group to run as"),
	KEY_STR("run_by_user", run_by_user, 0, "user to run as"),
	{ "", "allow_hosts", CONF_LIST, AT(allow_hosts), NULL, 0, 0, NULL,
	    CONF_LIVE,
	    "who may connect: addresses, CIDR, a.b.c.[0-15,20], names; * = "
	    "everyone" },
	{ "", "log_level", CONF_STR, AT(log_level_word), "info", 0, 0, NULL,
	    CONF_LIVE, "emerg alert crit error warn notice info debug" },
	KEYS_ROTATION("", log_global),
	KEYS_ROTATION("error-log", log_section),
	{ "", "rotate_error_log", CONF_BOOL, AT(log_old.everyday), "false", 0,
	    0, NULL, CONF_LIVE, "old name of log_file_rotate_everyday" },
	{ "", "error_log_rotate_time", CONF_TIME, AT(log_old.minute), "00:00",
	    0, 0, NULL, CONF_LIVE, "old name of log_file_rotate_time" },
	{ "", "rotate_error_log_size", CONF_BYTES, AT(log_old.on_size), "0", 0,
	    LOG_MAX, NULL, CONF_LIVE, "old name of log_file_rotate_on_size" },

	KEY_CHOICE("store_lookup", store_lookup, 2, CONF_FATAL,
	    "group of an upload: 0 in turn, 1 store_group, 2 most free"),
	KEY_STR("store_group", store_group, 0, "the group of store_lookup 1"),
	KEY_CHOICE("store_server", store_server, 2, CONF_DEFAULT,
	    "storage in the group: 0 in turn, 1 first, 2 lowest priority"),
	KEY_CHOICE("store_path", store_path, 2, CONF_DEFAULT | CONF_CLUSTER,
	    "store path on the storage: 0 in turn, 2 most free"),
	KEY_CHOICE("download_server", download_server, 1, CONF_DEFAULT,
	    "0 any storage that has the file, 1 its source first"),
	{ "", "reserved_storage_space", CONF_RESERVE, AT(reserve), "1GB", 0, 0,
	    NULL, CONF_CLUSTER, "space kept free: a percentage or bytes" },
	KEY_COUNT("check_active_interval", check_active_interval, "100",
	    CONF_LIVE, "seconds of silence before a storage is OFFLINE"),
	KEY_BOOL("storage_ip_changed_auto_adjust", ip_changed_auto_adjust,
	    "true", CONF_CLUSTER,
	    "accept a storage that comes back with another address"),
	KEY_COUNT("storage_sync_file_max_delay", sync_max_delay, "86400",
	    CONF_LIVE | CONF_CLUSTER,
	    "seconds after which a file is on every member"),
	KEY_COUNT("storage_sync_file_max_time", sync_max_time, "300", CONF_LIVE,
	    "seconds that copying one file takes at most"),
	KEY_BOOL("use_storage_id", use_storage_id, "false", CONF_CLUSTER,
	    "storages are known by the ids of storage_ids_filename"),
	KEY_STR("storage_ids_filename", ids_filename, 0,
	    "the list of ids; relative to this file"),
	{ "", "id_type_in_filename", CONF_WORD, AT(id_type), "ip", 0, 0,
	    "ip|id", CONF_CLUSTER, "what file ids carry as their source" },
	KEY_BOOL("trust_storage_server_id", trust_storage_id, "true",
	    CONF_CLUSTER, "believe the id a storage declares"),
	{ "", "response_ip_addr_size", CONF_STR, AT(response_ip_size), "auto",
	    0, 0, NULL, CONF_CLUSTER,
	    "width of address fields: auto, or any other word for IPv6" },
	KEY_BOOL("store_slave_file_use_link", slave_use_link, "false",
	    CONF_CLUSTER, "slave files are links to ordinary files"),

	KEY_BOOL("use_trunk_file", trunk.use, "false", CONF_CLUSTER,
	    "small files go into slots of large ones"),
	KEY_BYTES("slot_min_size", trunk.slot_min, "256", 0, 65536,
	    "smallest slot"),
	KEY_BYTES("slot_max_size", trunk.slot_max, NULL, 0, SOME,
	    "largest file in a slot; an eighth of trunk_file_size"),
	KEY_NUMBER("trunk_alloc_alignment_size", trunk.alignment, "0",
	    "slot sizes are multiples of it"),
	KEY_BYTES("trunk_file_size", trunk.file_size, "64MB", TRUNK_MIN, SOME,
	    "size of a trunk file"),
	KEY_BOOL("trunk_free_space_merge", trunk.merge, "false", CONF_CLUSTER,
	    "neighbouring free slots become one"),
	KEY_BOOL("delete_unused_trunk_files", trunk.delete_unused, "false",
	    CONF_CLUSTER, "remove trunk files without content"),
	KEY_BOOL("trunk_create_file_advance", trunk.create_advance, "false",
	    CONF_CLUSTER, "make trunk files ahead of need"),
	KEY_TIME("trunk_create_file_time_base", trunk.create_time, "02:00",
	    "when to make them"),
	KEY_NUMBER("trunk_create_file_interval", trunk.create_interval, "86400",
	    "seconds between"),
	KEY_BYTES("trunk_create_file_space_threshold", trunk.create_threshold,
	    "0", 0, SOME, "free trunk space to have"),
	KEY_BOOL("trunk_init_check_occupying", trunk.init_check, "false",
	    CONF_CLUSTER, "check slots at start"),
	KEY_BOOL("trunk_init_reload_from_binlog", trunk.init_reload, "false",
	    CONF_CLUSTER, "read trunk space from the log at start"),
	KEY_NUMBER("trunk_compress_binlog_min_interval",
	    trunk.compress_min_interval, "0",
	    "seconds between two compressions; 0 = never"),
	KEY_NUMBER("trunk_compress_binlog_interval", trunk.compress_interval,
	    "0", "seconds between compressions"),
	KEY_TIME("trunk_compress_binlog_time_base", trunk.compress_time,
	    "03:00", "when to compress"),
	KEY_NUMBER("trunk_binlog_max_backups", trunk.max_backups, "0",
	    "old trunk logs kept"),

	{ "meta", "sample_interval", CONF_INT, AT(sample_interval), "10", 1,
	    DAY, NULL, CONF_LIVE,
	    "seconds between two status samples in tracker.db" },

	KEY_OLD("", "use_connection_pool", no_pool),
	KEY_OLD("", "connection_pool_max_idle_time", no_pool),
	KEY_OLD("", "accept_threads", not_here),
	KEY_OLD("", "work_threads", not_here),
	KEY_OLD("", "buff_size", not_here),
	KEY_OLD("", "min_buff_size", not_here),
	KEY_OLD("", "max_buff_size", not_here),
	KEY_OLD("", "thread_stack_size", not_here),
	KEY_OLD("", "tcp_quick_ack", not_here),
	KEY_OLD("", "use_io_uring", not_here),
	KEY_OLD("", "use_send_zc", not_here),
	KEY_OLD("", "sync_log_buff_interval", direct_log),
	KEY_OLD("", "log_file_compress_old", direct_log),
	KEY_OLD("", "log_file_compress_days_before", direct_log),
	KEY_OLD("", "log_file_delete_old_time", direct_log),
	KEY_OLD("error-log", "sync_log_buff_interval", direct_log),
	KEY_OLD("error-log", "log_file_compress_old", direct_log),
	KEY_OLD("error-log", "log_file_compress_days_before", direct_log),
	KEY_OLD("error-log", "log_file_delete_old_time", direct_log),
	KEY_OLD("", "compress_old_error_log", gone),
	KEY_OLD("", "compress_error_log_days_before", gone),
	KEY_OLD("", "http.server_port", gone),
	KEY_OLD("", "http.disabled", gone),
	KEY_OLD("", "http.check_alive_interval", gone),
	KEY_OLD("", "http.check_alive_type", gone),
	KEY_OLD("", "http.check_alive_uri", gone),
};

/* --- checks of more than one key ----------------------------------------- */

static int refuse(char *err, size_t cap, const char *text)
{
	str_copy(err, cap, text);
	return -EINVAL;
}

/* [error-log] wins over the global key, that over the key's old name. */
static void finish_rotation(struct tracker_conf *cf)
{
	struct cf_rotation r = cf->log_global;
	const struct cf_rotation *own = &cf->log_section;
	const struct cf_rotation *old = &cf->log_old;
	struct conf_file *f = cf->file;

	if (conf_get(f, "error-log", "log_file_rotate_everyday"))
		r.everyday = own->everyday;
	else if (!conf_get(f, "", "log_file_rotate_everyday") &&
	         conf_get(f, "", "rotate_error_log"))
		r.everyday = old->everyday;
	if (conf_get(f, "error-log", "log_file_rotate_time"))
		r.minute = own->minute;
	else if (!conf_get(f, "", "log_file_rotate_time") &&
	         conf_get(f, "", "error_log_rotate_time"))
		r.minute = old->minute;
	if (conf_get(f, "error-log", "log_file_rotate_on_size"))
		r.on_size = own->on_size;
	else if (!conf_get(f, "", "log_file_rotate_on_size") &&
	         conf_get(f, "", "rotate_error_log_size"))
		r.on_size = old->on_size;
	if (conf_get(f, "error-log", "log_file_keep_days"))
		r.keep_days = own->keep_days;
	cf->rotation = (struct log_rotation){ .everyday = r.everyday,
		.minute_of_day = (unsigned)r.minute,
		.on_size = r.on_size,
		.keep_days = (unsigned)r.keep_days };
}

static int finish_trunk(struct tracker_conf *cf, char *err, size_t cap)
{
	struct cf_trunk *t = &cf->trunk;

	if (t->alignment > 0 && t->slot_min < (uint64_t)t->alignment)
		t->slot_min = (uint64_t)t->alignment;
	if (t->slot_min == 0)
		return refuse(err, cap, "slot_min_size must be above 0");
	if (t->slot_max == 0)
		t->slot_max = t->file_size / 8;
	if (t->slot_max > t->file_size / 2) {
		log_warn("conf_clamped",
		    "slot_max_size=%" PRIu64 " used=%" PRIu64
		    ": at most half of trunk_file_size",
		    t->slot_max, t->file_size / 2);
		t->slot_max = t->file_size / 2;
	}
	if (t->slot_max <= t->slot_min)
		return refuse(err, cap,
		    "slot_max_size must be above slot_min_size");
	if (t->use && cf->store_server == SERVER_ROUND_ROBIN) {
		log_warn("conf_changed",
		    "store_server=0 used=1: use_trunk_file needs a fixed "
		    "storage");
		cf->store_server = SERVER_FIRST;
	}
	return 0;
}

static int finish_ids(struct tracker_conf *cf, const char *path, char *err,
    size_t cap)
{
	const char *name = cf->ids_filename;
	const char *slash = strrchr(path, '/');
	struct strbuf b = strbuf_over(cf->ids_path, sizeof(cf->ids_path));

	if (!cf->use_storage_id) {
		cf->id_type = ID_TYPE_IP;
		return 0;
	}
	if (!name[0])
		return refuse(err, cap,
		    "use_storage_id needs storage_ids_filename: name the file "
		    "with the ids, or set use_storage_id = false");
	if (name[0] != '/' && slash)
		strbuf_add(&b, path, (size_t)(slash - path) + 1);
	strbuf_add(&b, name, strlen(name));
	if (b.failed)
		return refuse(err, cap, "storage_ids_filename is too long");
	return 0;
}

static int finish(struct tracker_conf *cf, const char *path, char *err,
    size_t cap)
{
	int rc;

	if (cf->store_lookup == LOOKUP_GROUP && !cf->store_group[0])
		return refuse(err, cap,
		    "store_lookup = 1 needs store_group: name the group that "
		    "takes uploads");
	if (cf->store_path == 1) {
		log_warn("conf_changed", "store_path=1 used=0: 0 or 2");
		cf->store_path = PATH_ROUND_ROBIN;
	}
	if (cf->port > 65535)
		return refuse(err, cap, "port must be below 65536");
	if (cf->reserve.percent <= 0 && cf->reserve.bytes / (uint64_t)MB == 0)
		log_warn("conf_no_reserve",
		    "reserved_storage_space is below 1 MB: storages may fill "
		    "their disks to the last byte");
	if (log_level_parse(cf->log_level_word, &cf->log_level) < 0) {
		log_warn("conf_changed", "log_level=%s used=info: unknown word",
		    cf->log_level_word);
		cf->log_level = LOG_LEVEL_INFO;
	}
	finish_rotation(cf);
	rc = finish_ids(cf, path, err, cap);
	if (rc == 0)
		rc = finish_trunk(cf, err, cap);
	if (rc == 0 && cf->family == FAMILY_V6 &&
	    (!cf->use_storage_id || cf->id_type != ID_TYPE_ID))
		rc = refuse(err, cap,
		    "address_family = IPv6 needs use_storage_id = true and "
		    "id_type_in_filename = id");
	if (rc == 0)
		rc = addr_list_parse(cf->allow_hosts.values,
		    cf->allow_hosts.count, &cf->allow, err, cap);
	return rc;
}

int cf_load(const char *path, struct tracker_conf *out, char *err, size_t cap)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = conf_read(path, &out->file, err, cap);
	if (rc < 0)
		return rc;
	rc = conf_apply(out->file, keys, ARRAY_LEN(keys), out, err, cap);
	if (rc == 0)
		rc = finish(out, path, err, cap);
	if (rc < 0)
		conf_free(out->file);
	return rc;
}

void cf_free(struct tracker_conf *cf)
{
	addr_list_free(cf->allow);
	conf_free(cf->file);
}

static const char *value_of(struct tracker_conf *cf, const struct conf_key *k)
{
	const char *v = conf_get(cf->file, k->section, k->name);

	return v ? v : k->dflt ? k->dflt : "";
}

void cf_apply_live(struct tracker_conf *cf, struct tracker_conf *fresh)
{
	struct addr_list *old = cf->allow;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct conf_key *k = &keys[i];

		if (k->type == CONF_OBSOLETE || (k->flags & CONF_LIVE))
			continue;
		if (strcmp(value_of(cf, k), value_of(fresh, k)) != 0)
			log_warn("conf_needs_restart",
			    "key=%s: the new value takes effect at the next "
			    "start",
			    k->name);
	}
	cf->allow = fresh->allow;
	fresh->allow = old;
	__atomic_store_n(&cf->network_timeout, fresh->network_timeout,
	    __ATOMIC_RELAXED);
	cf->check_active_interval = fresh->check_active_interval;
	cf->sync_max_delay = fresh->sync_max_delay;
	cf->sync_max_time = fresh->sync_max_time;
	cf->sample_interval = fresh->sample_interval;
	cf->log_level = fresh->log_level;
	cf->rotation = fresh->rotation;
}

void cf_print(FILE *out, const struct tracker_conf *cf)
{
	conf_print(out, cf->file, keys, ARRAY_LEN(keys), cf);
}

void cf_print_help(FILE *out)
{
	conf_print_help(out, keys, ARRAY_LEN(keys));
}

/* --- what follows from the keys ------------------------------------------ */

struct listen_list {
	struct addr *to;
	size_t n;
	char *err;
	size_t cap;
};

/* "v4", "v6" or "v4,v6". */
static int listen_add(struct listen_list *l, const char *text, uint16_t port)
{
	struct span rest = span_of(text);

	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		struct span one = { rest.p,
			comma ? (size_t)(comma - rest.p) : rest.n };
		const size_t used = one.n + (comma ? 1 : 0);
		struct addr a = { 0 };

		while (one.n > 0 && (*one.p == ' ' || *one.p == '[')) {
			one.p++;
			one.n--;
		}
		while (one.n > 0 &&
		       (one.p[one.n - 1] == ' ' || one.p[one.n - 1] == ']'))
			one.n--;
		if (l->n == CF_LISTEN_MAX || addr_parse_ip(one, &a) < 0) {
			struct strbuf b = strbuf_over(l->err, l->cap);

			strbuf_addf(&b,
			    "\"%s\" is no list of addresses to listen on",
			    text);
			return -EINVAL;
		}
		a.port = port;
		l->to[l->n++] = a;
		rest.p += used;
		rest.n -= used;
	}
	return 0;
}

static void listen_any(struct listen_list *l, const struct tracker_conf *cf,
    bool has_ipv6, uint16_t port)
{
	const bool v6 = cf->family == FAMILY_V6 || cf->family == FAMILY_BOTH ||
	                (cf->family == FAMILY_AUTO && has_ipv6);

	if (cf->family != FAMILY_V6 && l->n < CF_LISTEN_MAX)
		l->to[l->n++] = (struct addr){ .family = 4, .port = port };
	if (v6 && l->n < CF_LISTEN_MAX)
		l->to[l->n++] = (struct addr){ .family = 6, .port = port };
}

int cf_listen(const struct tracker_conf *cf, bool has_ipv6,
    struct addr out[CF_LISTEN_MAX], char *err, size_t cap)
{
	const uint16_t port = (uint16_t)cf->port;
	const uint16_t inner = cf->inner_port ? (uint16_t)cf->inner_port : port;
	const uint16_t outer = cf->outer_port ? (uint16_t)cf->outer_port : port;
	struct listen_list l = { .to = out, .err = err, .cap = cap };
	int rc;

	if (cf->inner_bind_addr[0] || cf->outer_bind_addr[0]) {
		rc = listen_add(&l, cf->inner_bind_addr, inner);
		if (rc == 0)
			rc = listen_add(&l, cf->outer_bind_addr, outer);
	} else if (cf->bind_addr[0]) {
		rc = listen_add(&l, cf->bind_addr, port);
	} else {
		rc = 0;
		listen_any(&l, cf, has_ipv6, inner);
		if (outer != inner)
			listen_any(&l, cf, has_ipv6, outer);
	}
	return rc < 0 ? rc : (int)l.n;
}

size_t cf_sources(const struct tracker_conf *cf, struct addr out[CF_LISTEN_MAX])
{
	static const uint8_t any[16];
	char err[128];
	const int n = cf_listen(cf, false, out, err, sizeof(err));
	size_t kept = 0;

	for (int i = 0; i < n; i++)
		if (memcmp(out[i].ip, any, sizeof(any)) != 0)
			out[kept++] = out[i];
	return kept;
}

unsigned cf_ip_width(const struct tracker_conf *cf, bool has_ipv6)
{
	if (strcasecmp(cf->response_ip_size, "auto") != 0)
		return 46;
	return cf->use_storage_id && has_ipv6 ? 46 : 16;
}

int64_t cf_reserved_mb(const struct tracker_conf *cf, int64_t total_mb)
{
	if (cf->reserve.percent > 0)
		return (int64_t)((double)total_mb * cf->reserve.percent / 100);
	return (int64_t)(cf->reserve.bytes / (uint64_t)MB);
}
