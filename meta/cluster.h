/* SPDX-License-Identifier: MIT */
/*
 * The cluster as a tracker remembers it: groups, storages, synchronisation
 * stamps, status history (tracker.db). Writing happens in the writer thread
 * (from a struct write's apply), loading at start.
 */
#ifndef META_CLUSTER_H
#define META_CLUSTER_H

#include <stdint.h>

#include "base/clock.h"
#include "meta/db.h"

struct group_row {
	char name[17];
	int64_t storage_port;
	int64_t store_path_count;
	int64_t subdir_count_per_path;
};

struct storage_row {
	char group[17];
	char id[17];
	char ip[47];
	int status;
	char version[9];
	int64_t port;
	int64_t store_path_count;
	int64_t subdir_count_per_path;
	int64_t upload_priority;
	int64_t join_time, up_time; /* unix */
	char src_id[17];
	int64_t sync_until; /* unix */
	int64_t last_synced;
	int64_t last_heart_beat;
	int64_t changelog_offset;
	size_t n_paths;
	int64_t path_total_mb[256];
	int64_t path_free_mb[256];
};

int cluster_put_group(struct db *db, const struct group_row *g);
int cluster_drop_group(struct db *db, const char *name);
int cluster_put_storage(struct db *db, const struct storage_row *s);
int cluster_drop_storage(struct db *db, const char *group, const char *id);
int cluster_put_stamp(struct db *db, const char *group, const char *from,
    const char *to, int64_t time);
/* from/to: status numbers, -1 none; reason: a few words, "join", "beat". */
int cluster_log_status(struct db *db, wall_t at, const char *group,
    const char *id, int from, int to, const char *reason);
/* changelog lines (cluster-protocol 1.19), append only */
int cluster_add_change(struct db *db, const char *line);
/* All of them: another tracker's list takes their place. */
int cluster_drop_changes(struct db *db);

struct cluster_loader {
	void *arg;
	int (*group)(void *arg, const struct group_row *g);
	int (*storage)(void *arg, const struct storage_row *s);
	int (*stamp)(void *arg, const char *group, const char *from,
	    const char *to, int64_t time);
	int (*change)(void *arg, const char *line);
};
int cluster_load(struct db *db, const struct cluster_loader *to);

#endif
