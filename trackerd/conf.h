/* SPDX-License-Identifier: MIT */
/*
 * tracker.conf: the table of its keys, what they become, and the checks that
 * need more than one key. Used by the main thread; a loaded configuration is
 * read by the loop only and never changes but in cf_apply_live.
 */
#ifndef TRACKERD_CONF_H
#define TRACKERD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/conf.h"
#include "base/log.h"

enum cf_lookup { LOOKUP_ROUND_ROBIN, LOOKUP_GROUP, LOOKUP_MOST_FREE };
enum cf_server { SERVER_ROUND_ROBIN, SERVER_FIRST, SERVER_PRIORITY };
enum cf_path { PATH_ROUND_ROBIN = 0, PATH_MOST_FREE = 2 };
enum cf_download { DOWNLOAD_ANY, DOWNLOAD_SOURCE };
enum cf_id_type { ID_TYPE_IP, ID_TYPE_ID };
enum cf_family { FAMILY_AUTO, FAMILY_V4, FAMILY_V6, FAMILY_BOTH };

/* Log rotation as written globally or in [error-log]. */
struct cf_rotation {
	bool everyday;
	int64_t minute;
	uint64_t on_size;
	int64_t keep_days;
};

/* Sent to storages, acted upon by them (configuration.md section 3). */
struct cf_trunk {
	bool use, merge, delete_unused, create_advance;
	bool init_check, init_reload;
	uint64_t slot_min, slot_max, file_size;
	int64_t alignment;
	int64_t create_time, create_interval;
	uint64_t create_threshold;
	int64_t compress_min_interval, compress_interval, compress_time;
	int64_t max_backups;
};

#define CF_LISTEN_MAX 4

struct tracker_conf {
	struct conf_file *file;

	bool disabled, ip_changed_auto_adjust, use_storage_id;
	bool trust_storage_id, slave_use_link;
	const char *base_path;
	const char *bind_addr, *inner_bind_addr, *outer_bind_addr;
	int64_t port, inner_port, outer_port;
	int64_t family;
	int64_t network_timeout, connect_timeout;
	int64_t max_connections;
	const char *run_by_group, *run_by_user;
	struct conf_list allow_hosts;
	const char *log_level_word;
	struct cf_rotation log_global, log_section, log_old;

	int64_t store_lookup;
	const char *store_group;
	int64_t store_server;
	int64_t store_path;
	int64_t download_server;
	struct conf_reserve reserve;
	int64_t check_active_interval;
	int64_t sync_max_delay, sync_max_time;
	const char *ids_filename;
	int64_t id_type;
	const char *response_ip_size;
	struct cf_trunk trunk;

	int64_t sample_interval; /* [meta], seconds */

	/* made from the above by cf_load */
	char ids_path[4096];
	enum log_level log_level;
	struct log_rotation rotation;
	struct addr_list *allow;
};

/* Reads and checks. On failure -errno and one sentence in err; nothing to
 * free then. */
int cf_load(const char *path, struct tracker_conf *out, char *err, size_t cap);
void cf_free(struct tracker_conf *cf);

/* SIGHUP: takes the live keys of `fresh` into cf; the rest of fresh can be
 * freed afterwards. Keys that differ but need a restart are named in the
 * log. */
void cf_apply_live(struct tracker_conf *cf, struct tracker_conf *fresh);

void cf_print(FILE *out, const struct tracker_conf *cf);
void cf_print_help(FILE *out);

/* Where to listen: the bind addresses, or every address of the families in
 * use. has_ipv6: the id list holds an IPv6 address. Gives how many. */
int cf_listen(const struct tracker_conf *cf, bool has_ipv6,
    struct addr out[CF_LISTEN_MAX], char *err, size_t cap);
/* Addresses that connections to other trackers come from: those of bind_addr
 * (or inner and outer) that are an address of this host. Gives how many; none:
 * the system chooses. */
size_t cf_sources(const struct tracker_conf *cf,
    struct addr out[CF_LISTEN_MAX]);
/* Width of address fields in replies: 16 or 46 (client-protocol 2.4). */
unsigned cf_ip_width(const struct tracker_conf *cf, bool has_ipv6);

/* Free space that is kept, in MB, of a total of total_mb. */
int64_t cf_reserved_mb(const struct tracker_conf *cf, int64_t total_mb);

#endif
