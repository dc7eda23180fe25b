/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, as one storage's log tells it to people: for the tools
 * and the console. With a handle of the log of their own (db_open_read DB_LOG,
 * also of a storage that runs); any thread.
 */
#ifndef META_PAIRS_H
#define META_PAIRS_H

#include "meta/peers.h"

#define PAIR_GROUP_SIZE 17

struct pair {
	char group[PAIR_GROUP_SIZE]; /* "" not known */
	char from[PEER_ID_SIZE];     /* whose log it is; "" not known */
	struct peer_row peer;        /* peer.id: to whom */
	struct peer_backlog backlog; /* without files */
	uint64_t parked;
	int64_t parked_first; /* unix; 0 none */
	uint64_t arrival;     /* own bytes a second, of the last minute */
	bool stopped;         /* its storage was stopped cleanly: phase and
	                         rates are those of its end */
};

/* Every pair of this sender, by peer; all from one moment. each returns 0 to
 * go on. Gives how many, or -errno: -ENOTSUP a log that was written before
 * there were peers (its storage migrates it when it starts). */
int pairs_each(struct db *log, wall_t now,
    int (*each)(void *arg, const struct pair *p), void *arg);

/* Whose log it is: group, from and stopped; the rest is left alone. */
void pairs_owner(struct db *log, struct pair *p);

struct pair_file {
	const char *name; /* remote name */
	enum op_code op;  /* D when that is the last, else the first */
	wall_t at;        /* of the first operation that waits */
	uint64_t size;    /* of the file after the last */
	uint64_t bytes;   /* content bytes that wait */
	uint64_t ops;
	/* of a parked file; ops is 0 */
	bool parked;
	const char *error;
	uint32_t tries;
	wall_t next;
};
/* The files that wait for a peer: the parked ones, then those of the log, the
 * oldest first. Looks at no more than `scan` operations behind the cursor and
 * gives no more than max of them (0: all). Files of a first copy that were
 * not walked yet are not among them. Gives how many. */
int pairs_files(struct db *log, const char *peer, size_t scan, size_t max,
    int (*each)(void *arg, const struct pair_file *f), void *arg);

/* Seconds until a backlog of so many bytes is sent at one rate while more
 * arrives at the other; -1: never, or not known. */
int64_t pairs_drained(uint64_t bytes, uint64_t sent, uint64_t arrival);

/* In words, from what is recorded: "first copy, 63 %; 3 parked: no space
 * left on device". "" when there is nothing to say. Gives buf. */
const char *pairs_why(const struct pair *p, char *buf, size_t cap);

#endif
