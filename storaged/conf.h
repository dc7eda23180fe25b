/* SPDX-License-Identifier: MIT */
/*
 * storage.conf as a struct (configuration.md sections 2, 4 and 8, and our own
 * section [meta]). Filled once by the main thread, which alone applies reloads;
 * other threads read only what no reload changes.
 */
#ifndef STORAGED_CONF_H
#define STORAGED_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/conf.h"
#include "base/log.h"

#define MAX_STORE_PATHS 256
#define MAX_TRACKERS    16

struct tracker_entry {
	struct addr addrs[2]; /* inner, outer */
	size_t n;
};

/* One place where the rotation of the log can be said. */
struct storage_rotation {
	bool everyday;
	int64_t minute;
	uint64_t on_size;
	int64_t keep_days;
};

struct storage_conf {
	/* as in the file */
	bool disabled;
	const char *base_path;
	const char *bind_addr, *inner_bind_addr, *outer_bind_addr;
	int64_t family; /* auto, IPv4, IPv6, both */
	int64_t port;
	int64_t connect_timeout;
	int64_t network_timeout; /* seconds; atomic, for it is live */
	int64_t max_connections;
	int64_t work_threads; /* 0: half the cores */
	const char *run_by_group, *run_by_user;
	struct conf_list allow_hosts;
	const char *log_level;
	const char *group_name;
	const char *server_id;
	bool client_bind;
	struct conf_list tracker_server;
	int64_t store_path_count;
	int64_t subdir_count_per_path;
	int64_t file_distribute_path_mode;
	int64_t file_distribute_rotate_count;
	bool check_store_path_mark;
	int64_t heart_beat_interval;            /* seconds */
	int64_t stat_report_interval;           /* seconds */
	int64_t sync_stat_file_interval;        /* seconds */
	int64_t sync_interval;                  /* ms between two operations */
	int64_t sync_start_time, sync_end_time; /* minutes of the day */
	int64_t disk_recovery_threads;
	int64_t upload_priority;
	struct storage_rotation log_global, log_section, log_old;

	/* [meta] */
	int64_t durability;       /* 0 process, 1 full */
	const char *name_key;     /* metadata key with the original name */
	const char *indexed_keys; /* comma separated */
	int64_t sample_interval;  /* seconds */
	int64_t log_keep_days;
	uint64_t log_keep_bytes;
	int64_t tombstone_keep_days;
	int64_t disk_threads; /* per store path */

	/* made from it */
	const char *store_paths[MAX_STORE_PATHS];
	bool path_readonly[MAX_STORE_PATHS];
	struct tracker_entry trackers[MAX_TRACKERS];
	size_t n_trackers;
	struct addr_list *allow;
	struct addr binds[2]; /* where to listen; 0.0.0.0 and :: for all */
	size_t n_binds;
	struct log_rotation rotation;
	char *path_texts[MAX_STORE_PATHS]; /* what store_paths points to */
	struct conf_file *file;            /* owns the other strings */
	char path[4096];
};

/* Reads, checks, resolves names (may block). 0, or -errno with one sentence in
 * err and nothing to free. */
int storage_conf_load(const char *path, struct storage_conf *out, char *err,
    size_t cap);
/* Are the store paths there, and each a directory of its own? For those who
 * will use them; stopping a daemon must not depend on a disk. 0, or -errno
 * with one sentence in err. */
int storage_conf_check_paths(struct storage_conf *c, char *err, size_t cap);
void storage_conf_free(struct storage_conf *c);
void storage_conf_print(FILE *out, const struct storage_conf *c);
void storage_conf_help(FILE *out);
/* Takes the freshly read one, which is on the heap, and applies of it what
 * SIGHUP may change (the rows that say so); names what needs a restart. Main
 * thread. */
void storage_conf_reload(struct storage_conf *now, struct storage_conf *fresh);

/* The address that connections to `to` come from, or NULL: the system's
 * choice (client_bind, bind_addr). */
const struct addr *storage_conf_from(const struct storage_conf *c,
    const struct addr *to);

#endif
