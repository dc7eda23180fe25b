/* SPDX-License-Identifier: MIT */
/*
 * Who this storage is: its address as the trackers see it, its id, what the
 * cluster's parameters say, and the small state files FastDFS keeps below
 * base_path/data (.data_init_flag) and in each store path (.fastdfs_vars).
 * cluster-protocol 1.1-1.5, chapter 7.
 *
 * Filled at start by the main thread; afterwards read by all, changed only by
 * the functions marked "any thread" (they lock).
 */
#ifndef STORAGED_IDENTITY_H
#define STORAGED_IDENTITY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "meta/db.h"
#include "proto/msg.h"
#include "storaged/conf.h"

struct id_entry { /* a line of the cluster's storage ids */
	char id[17];
	char group[17];
	struct addr addrs[2];
	size_t n;
};

struct cluster_params {
	bool use_storage_id;
	bool id_in_filename;
	bool trust_storage_server_id;
	unsigned ip_size; /* 16 or 46 */
	bool ip_changed_auto_adjust;
	int64_t sync_file_max_delay;
	int64_t store_path; /* 0 round robin, 2 load balance */
	struct conf_reserve reserved;
	bool use_trunk_file;
	bool slave_use_link;
};

struct identity {
	char group[17];
	char id[17];        /* the ip in ip mode */
	struct addr ips[2]; /* as trackers see us */
	size_t n_ips;
	uint32_t name_source; /* for new file names (client-protocol 5.2) */
	bool from_memory;     /* no tracker answered at this start */
	bool first_run;       /* there was no .data_init_flag */
	struct cluster_params params;
	struct id_entry *ids; /* all of the cluster; NULL in ip mode */
	size_t n_ids;

	/* .data_init_flag; the lock is for those who write it */
	pthread_mutex_t lock;
	int64_t join_time;
	bool sync_old_done;
	char sync_src[17];
	int64_t sync_until;
	char old_ip[ADDR_IP_MAX]; /* of the last run, when it was another */
};

/* Asks the trackers (60, 75, 69, 70, 109), in turn, until one answers; when
 * none does and the log remembers an earlier answer, goes on with that.
 * stop() is asked between tries. -ECANCELED when it says so; -EINVAL with a
 * sentence when a tracker will not have this storage. */
int identity_learn(struct identity *id, const struct storage_conf *conf,
    struct db *log, bool (*stop)(void), char *err, size_t cap);
void identity_fini(struct identity *id);

/* .data_init_flag: loads or makes it; checks the marks of the store paths
 * (check_store_path_mark), makes missing ones. The message says which path
 * belongs to whom. */
int identity_load_flag(struct identity *id, const struct storage_conf *conf,
    char *err, size_t cap);
/* Any thread (locked inside): have we been filled, or need not be? */
bool identity_is_settled(struct identity *id);
/* Any thread (locked inside): remembers the sync source; rewrites the file.
 * The members are changed first and stay so when the file cannot be. */
int identity_set_source(struct identity *id, const struct storage_conf *conf,
    bool old_done, const char *src, int64_t until);
/* Any thread: a tracker knows of the change from old_ip; the file forgets
 * it. */
int identity_settle_address(struct identity *id,
    const struct storage_conf *conf);

/* The text of PARAMETER_REQ; missing lines have the protocol's defaults. 0 or
 * -EBADMSG. */
int identity_parse_params(const char *text, struct cluster_params *out);
/* The answer to GET_MY_IP: one or two addresses with a comma between. How
 * many, or -EINVAL. */
int identity_parse_ips(struct span text, struct addr out[2]);
/* Is it, as a tracker sees us, the address we know? */
bool identity_is_mine(const struct identity *id, const struct addr *ips,
    size_t n);

/* GET_STATUS (71) about ourselves; text holds the address. */
void identity_fill_question(const struct identity *id, int64_t port,
    char text[ADDR_TEXT_MAX], struct msg_group_address *out);

/* The address text for QUERY_FILE_INFO from the source field of a name: the
 * ip, or that of the id chosen for this peer's class (2.5); "" unknown. */
void identity_source_ip(const struct identity *id, uint32_t source,
    const struct addr *peer, char *out, size_t cap);

#endif
