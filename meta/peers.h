/* SPDX-License-Identifier: MIT */
/*
 * The peers as followers of the log: how far each is, what it could not take,
 * how much it waits for (architecture 6, cluster-protocol 3.8: what FastDFS
 * keeps in its mark files). Writing happens inside a transaction of the log's
 * writer (a struct write's apply), reading with any handle of the log.
 */
#ifndef META_PEERS_H
#define META_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "meta/db.h"
#include "meta/oplog.h"

#define PEER_ID_SIZE   17
#define PEER_NAME_SIZE 160
#define PEER_TEXT_SIZE 200

enum peer_phase {
	PEER_DOWN,  /* not connected: retries */
	PEER_WAIT,  /* connected or not needed yet: its state forbids sending */
	PEER_FILL,  /* the older files, from the catalogue */
	PEER_LOG,   /* operations wait */
	PEER_SYNCED /* nothing waits, nothing is parked */
};
const char *peer_phase_name(enum peer_phase p); /* "down" ... */

struct peer_row {
	char id[PEER_ID_SIZE];
	char address[64];
	bool source; /* we fill it with the older files */
	bool filled;
	enum peer_phase phase;
	wall_t phase_since;
	uint64_t seq; /* everything up to it is acknowledged or parked */
	wall_t moved;
	int64_t until; /* unix, of the tracker */
	uint64_t fill_files, fill_files_all, fill_bytes, fill_bytes_all;
	uint64_t sent_ops, sent_bytes;
	uint64_t rate_ops, rate_bytes; /* a second */
	uint64_t errors;
	wall_t error_at;
	int error; /* errno, 0 none yet */
	char error_text[PEER_TEXT_SIZE];
	char fill_after[PEER_NAME_SIZE];
};

/* Inserts or replaces the whole row. 0 or -errno. */
int peers_put(struct db *db, const struct peer_row *p);
/* -ENOENT: never seen. */
int peers_get(struct db *db, const char *id, struct peer_row *out);
/* All but the catalogue, by id. each returns 0 to go on. Gives how many. */
int peers_each(struct db *db, int (*each)(void *arg, const struct peer_row *p),
    void *arg);
/* With what is parked for it: a member that was deleted. */
int peers_drop(struct db *db, const char *id);
/* Its address, and with it its id, changed (changelog status 3). */
int peers_rename(struct db *db, const char *from, const char *to);

struct parked_row {
	char follower[PEER_ID_SIZE];
	uint64_t seq; /* of the first operation that failed; 0 while filling */
	char name[PEER_NAME_SIZE];
	enum op_code op;
	int64_t source_time;
	int error;
	char error_text[PEER_TEXT_SIZE];
	uint32_t tries;
	wall_t since, next;
};
/* One row a file: replaces an earlier one, keeping seq and since. */
int parked_put(struct db *db, const struct parked_row *p);
int parked_drop(struct db *db, const char *follower, const char *name);
/* No parked file waits longer for its next try, in ms. */
#define PARKED_WAIT_MAX 300000
/* Is the next try due? One further ahead than any was planned before the clock
 * was set back. */
bool parked_is_due(wall_t next, wall_t now);
/* In order of `next`, those that are due then (due 0: all), at most max. */
int parked_each(struct db *db, const char *follower, wall_t due, size_t max,
    int (*each)(void *arg, const struct parked_row *p), void *arg);
/* How many; *first_time: least source_time, 0 none. */
int parked_count(struct db *db, const char *follower, uint64_t *n,
    int64_t *first_time);

/* What waits for a peer: own operations after its cursor, plus while it is
 * being filled the files not yet walked. files: different names among them,
 * counted only when asked for (cost grows with the backlog), of a first copy
 * always. oldest is of the operations, also while filling. Parked ones are
 * not in it. */
struct peer_backlog {
	uint64_t ops, bytes, files;
	wall_t oldest; /* 0: nothing waits */
};
int peers_backlog(struct db *db, const struct peer_row *p, bool count_files,
    struct peer_backlog *out);

#endif
