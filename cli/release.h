/* SPDX-License-Identifier: MIT */
/*
 * A storage of ours given back to FastDFS: the binlog and mark files that a
 * stock storage on the same base path goes on from (cluster-protocol 3.3,
 * 3.8, 7.4). Main thread only.
 */
#ifndef CLI_RELEASE_H
#define CLI_RELEASE_H

#include "cli/binlog.h"
#include "cli/stores.h"
#include "meta/peers.h"

struct release_peer {
	struct peer_row row;
	uint64_t waiting; /* own operations after its cursor */
	uint64_t parked;
	bool marked; /* it gets a mark file */
	bool placed;
	struct binlog_pos pos;
};

struct release {
	const struct stores *stores;
	struct db *log, *catalogue;
	bool dry; /* only counts */
	char sync[BINLOG_PATH_MAX];
	char own[128]; /* my id or address; "a,b" when two */
	struct release_peer *peers;
	size_t n_peers;
	uint64_t base;  /* rows after it become lines */
	int64_t since;  /* unix: files older than that are in the binlog */
	bool list;      /* files have to be listed */
	uint64_t files; /* listed */
	uint64_t lines, rows, parked;
	uint64_t unfit; /* names that FastDFS's binlog cannot hold */
	struct binlog_writer *w;
	uint64_t last_seq;
};

/* Reads where the peers stand and what has to be written. log and catalogue
 * are open; the daemon's lock is held. 0, or -errno with a sentence. */
int release_open(struct release *r, char *err, size_t cap);
/* Writes it (not when dry). Can be repeated after a crash. */
int release_run(struct release *r, char *err, size_t cap);
void release_close(struct release *r);

#endif
