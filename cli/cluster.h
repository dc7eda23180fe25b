/* SPDX-License-Identifier: MIT */
/*
 * The cluster as the trackers tell it now: groups, storages, trackers. For
 * the lists of `fdfs` and for status and df of `fdfs-meta`. Main thread only.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/source.h"

struct cluster_storage {
	char group[17];
	struct msg_storage_record46 r;
};

struct cluster_tracker {
	char address[ADDR_TEXT_MAX];
	bool is_leader;
	int rc; /* 0: answered */
	int64_t answer_us;
	/* from the leader; has_record false when it did not say */
	bool has_record;
	struct msg_tracker_record r;
};

/* Up to which moment one storage has everything of another. */
struct cluster_stamp {
	char group[17];
	char from[17], to[17];
	int64_t time; /* unix */
};

struct cluster {
	struct msg_group_record *groups;
	size_t n_groups;
	struct cluster_storage *storages;
	size_t n_storages;
	struct cluster_tracker trackers[SOURCE_TRACKERS];
	size_t n_trackers;
	/* from a tracker's database only; trackers do not tell them */
	struct cluster_stamp *stamps;
	size_t n_stamps;
};

/* STATUS_OK, or says why no tracker could tell. */
enum status cluster_load_groups(struct source *s, struct cluster *c);
/* Of one group, or of all (NULL); groups must be loaded. */
enum status cluster_load_storages(struct source *s, struct cluster *c,
    const char *group);
/* Asks each tracker, configured or named by the leader, whether it lives and
 * who leads. Never fails:
 * what did not answer stands in rc. */
void cluster_load_trackers(struct source *s, struct cluster *c);
void cluster_free(struct cluster *c);

struct db;
/* The same from a tracker's database as of its last samples. Gives their age
 * in *age_s, -1 when there are none. STATUS_OK or says why not. */
enum status cluster_load_db(struct db *db, const char *path, struct cluster *c,
    int64_t *age_s);

struct cluster_origin {
	char name[4096]; /* address of the tracker, or path of the database */
	int64_t age_s;   /* 0: live */
};
/* Groups and storages: from the database when --db names one or no tracker is
 * known, else live. */
enum status cluster_load_any(struct source *s, struct cluster *c,
    struct cluster_origin *from);

/* Free bytes above the reserve, never negative. */
int64_t cluster_usable(int64_t free_mb, int64_t reserved_mb);

/* "ACTIVE", ...; "?" for a number nobody knows. */
const char *cluster_status_name(int status);

#endif
