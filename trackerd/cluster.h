/* SPDX-License-Identifier: MIT */
/*
 * The cluster in memory: groups, storages, their states, who has told whom
 * what. No I/O and no clock: the caller gives the time, and a watcher hears
 * of what has to be remembered. Owned by trackerd's loop.
 *
 * States are cluster-protocol chapter 2; only cluster_enter assigns one.
 */
#ifndef TRACKERD_CLUSTER_H
#define TRACKERD_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "proto/command.h"
#include "proto/msg.h"
#include "trackerd/ids.h"

#define CLUSTER_GROUPS   512
#define CLUSTER_TRACKERS 16
#define GROUP_STORAGES   32
#define STORE_PATHS      256

enum storage_status {
	ST_INIT = 0,
	ST_WAIT_SYNC = 1,
	ST_SYNCING = 2,
	ST_IP_CHANGED = 3,
	ST_DELETED = 4,
	ST_OFFLINE = 5,
	ST_ONLINE = 6,
	ST_ACTIVE = 7,
	ST_RECOVERY = 9,
	ST_NONE = 99
};

/* What must be written to tracker.db. */
#define DIRTY_SOON  BIT(0) /* status, membership: at the end of the turn */
#define DIRTY_LATER BIT(1) /* times, space: with the next sample */

struct group;

struct storage {
	struct group *group;
	unsigned slot; /* place in the matrix, stable */
	char id[STORAGE_ID_SIZE + 1];
	struct addr addrs[2];
	size_t n_addrs;
	int64_t port;
	enum storage_status status;
	enum rw_mode rw;
	char version[9];
	int64_t join_time, up_time; /* unix */
	int64_t priority;
	int64_t path_count, subdir_count;
	int64_t write_path; /* where the next upload goes */
	size_t n_paths;     /* with known space */
	int64_t path_total_mb[STORE_PATHS], path_free_mb[STORE_PATHS];
	int64_t total_mb, free_mb; /* sums */
	struct stats stats;
	struct storage *source; /* who fills it, or NULL */
	int64_t sync_until;     /* unix */
	int64_t last_synced, last_beat;
	int64_t synced_from[GROUP_STORAGES]; /* by slot of the source */
	uint32_t synced_dirty;               /* slots not written yet */
	size_t changelog_at;                 /* bytes it has read */
	/* The group's change counts it has been told of (1.7). */
	uint32_t told_members, told_trunk;
	void *session; /* its joined connection, or NULL */
	unsigned dirty;
	bool stored; /* the database knows it */
};

struct group {
	char name[GROUP_NAME_SIZE + 1];
	int64_t port; /* -1: its storages use different ones */
	int64_t path_count, subdir_count;
	struct storage *storages[GROUP_STORAGES]; /* by id */
	size_t n;
	uint32_t slots;            /* taken */
	int64_t total_mb, free_mb; /* of its fullest writable storage */
	int64_t trunk_free_mb;
	int32_t trunk_file;
	struct storage *trunk_server;
	uint32_t member_changes, trunk_changes;
	size_t write_server, read_server; /* rotating indexes */
	unsigned dirty;
};

/* A tracker as storages name it when they join. */
struct tracker_name {
	struct addr addrs[2];
	size_t n_addrs;
	uint16_t port;
};

/* Hears of changes that must be remembered; any may be NULL. */
struct cluster_watch {
	void *arg;
	/* from: -1 for a new storage. Called after the change. */
	void (*status)(void *arg, const struct storage *s, int from,
	    const char *reason);
	void (*drop_storage)(void *arg, const char *group, const char *id);
	void (*drop_group)(void *arg, const char *group);
	void (*change)(void *arg, const char *line);
	void (*drop_changes)(void *arg); /* the list begins anew */
};

struct cluster {
	struct group *groups[CLUSTER_GROUPS]; /* by name */
	size_t n;
	size_t write_group; /* rotating index */
	char *changelog;
	size_t changelog_len;
	struct tracker_name trackers[CLUSTER_TRACKERS];
	size_t n_trackers;
	int self;      /* index of this tracker, -1 not known yet */
	bool leader;   /* this tracker leads */
	int leader_at; /* index of the leader, -1 none known */
	uint32_t leader_changes;
	uint32_t trunk_changes; /* of all groups, and which groups there are */
	struct cluster_watch watch;
};

void cluster_init(struct cluster *c, const struct cluster_watch *watch);
void cluster_fini(struct cluster *c);

/* --- finding --- */
struct group *cluster_group(const struct cluster *c, const char *name);
struct storage *group_storage(const struct group *g, struct span id);
/* A tombstone only when nobody else is there. */
struct storage *group_storage_at(const struct group *g, const struct addr *a,
    int64_t port); /* port 0: any */

/* --- growing and shrinking --- */
/* Finds or makes it; NULL when there are CLUSTER_GROUPS. */
struct group *cluster_add_group(struct cluster *c, const char *name);
/* A new storage in the given state. A tombstone makes room when the group is
 * full; NULL when there is none. Tells the watcher (from -1). */
struct storage *group_add_storage(struct cluster *c, struct group *g,
    const char *id, enum storage_status status, const char *reason);
/* The same for loading: nobody is told, nothing is dirty. */
struct storage *group_load_storage(struct group *g, const char *id);
/* Takes it out of lists and memory; for a deleted group and for records that
 * make room. */
void group_drop_storage(struct cluster *c, struct storage *s);
/* -ENOENT, or -EBUSY while it has storages that are not deleted. */
int cluster_delete_group(struct cluster *c, const char *name);
/* DELETE_STORAGE (client-protocol 3.8): 0, -ENOENT, -EBUSY, -EALREADY. */
int cluster_delete_storage(struct cluster *c, struct storage *s, int64_t now);
/* REPORT_IP_CHANGED (cluster-protocol 1.18) once its checks passed: s gets
 * the new id and address; a tombstone keeps the old one. 0 or -ENOSPC. */
int cluster_move_storage(struct cluster *c, struct storage *s,
    const struct addr *to, int64_t now);

/* --- states --- */
const char *status_name(int status);
bool status_is_known(int status);
/* May a storage in state `from` become `to`? */
bool cluster_may(enum storage_status from, enum storage_status to);
/* The only place that changes a state: keeps counts, figures and the record
 * of it. False when the table forbids the move or nothing changes. */
bool cluster_enter(struct cluster *c, struct storage *s, enum storage_status to,
    const char *reason);
/* JOIN (2.2): the state a known record moves to. */
void cluster_joined(struct cluster *c, struct storage *s);
/* JOIN of an unknown storage: its first state, or -EFAULT. */
int cluster_first_status(bool init, int claimed);
/* BEAT or DISK_USAGE (2.2). */
void cluster_activate(struct cluster *c, struct storage *s, const char *reason);
/* The joined connection is gone (2.2). */
void cluster_lost(struct cluster *c, struct storage *s, const char *reason);
/* Liveness sweep (2.3). Gives how many went OFFLINE. */
size_t cluster_sweep(struct cluster *c, int64_t now, int64_t allowed);
/* REPORT_STATUS and REPLICA_CHG (1.15). */
void cluster_reported(struct cluster *c, struct storage *s, int status,
    const char *reason);
/* A member change that the others must be told of. */
void group_bump(struct group *g);
void storage_touch(struct storage *s, unsigned dirty);

/* --- what may take traffic --- */
bool storage_readable(const struct storage *s);
bool storage_writable(const struct storage *s);
size_t group_readable(const struct group *g);
size_t group_writable(const struct group *g);
bool storage_is_tombstone(const struct storage *s); /* DELETED, IP_CHANGED */

/* New space figures of s: sums, group figures. */
void cluster_space(struct storage *s);
/* From the storages of the group. */
void group_figures(struct group *g);

/* The address of the server that a peer should use (client-protocol 2.5). */
const struct addr *addr_for_peer(const struct addr *addrs, size_t n,
    const struct addr *peer);

/* --- trackers and leader --- */
/* The list of a JOIN: learns new trackers. at: address of this tracker as the
 * storage has it. 0, or -ENOENT when this is the first list and this tracker
 * is not in it. */
int cluster_trackers(struct cluster *c, const struct tracker_name *list,
    size_t n, const struct addr *at, uint16_t own_port);
/* Index of that tracker, or -ENOENT. */
int cluster_find_tracker(const struct cluster *c,
    const struct tracker_name *name);
/* Index of the leader, -1: none is known. What this tracker is follows.
 * False when nothing changes. */
bool cluster_set_leader(struct cluster *c, int at);
void cluster_set_trunk(struct cluster *c, struct group *g, struct storage *s);

/* A line without its newline for the storages (1.19). */
void cluster_add_line(struct cluster *c, const char *line);

#endif
