/* SPDX-License-Identifier: MIT */
/*
 * The operations and peers of a FastDFS storage, from its binlog and mark
 * files into a log of ours (cluster-protocol 3.3, 3.8, 7.4): what every peer
 * still waits for becomes rows, and each peer a follower whose cursor stands
 * where its mark stood. Main thread only.
 */
#ifndef CLI_TAKEOVER_H
#define CLI_TAKEOVER_H

#include "cli/binlog.h"
#include "cli/stores.h"
#include "meta/db.h"

/* Facts kept in table mark of the log. */
#define TAKEOVER_MARK "takeover" /* "<unix> <file> <offset> <last seq>" */
#define RELEASED_MARK "released" /* "<unix>": FastDFS has the storage now */

/* The numbers of a mark, one space between; cut in place. 0, or -EINVAL when
 * there are not n of them. */
int mark_numbers(char *text, uint64_t *out, size_t n);

/* Where the binlog ended when it was taken over, and the last row made of
 * it. */
struct takeover_end {
	int64_t at; /* unix */
	struct binlog_pos pos;
	uint64_t seq;
};
/* 0, -ENOENT: this log was not made of a binlog. */
int takeover_end(struct db *log, struct takeover_end *out);

struct takeover_peer {
	struct binlog_peer p;
	uint64_t seq;     /* the cursor: rows up to here it has */
	uint64_t waiting; /* own operations after it */
	bool placed;
	bool beyond; /* its mark stood behind the end */
};

struct takeover {
	const struct stores *stores;
	char sync[BINLOG_PATH_MAX];
	struct takeover_peer *peers;
	size_t n_peers;
	uint64_t lines;   /* read */
	uint64_t broken;  /* of these, not understood */
	uint64_t skipped; /* of these, what the disk shows is over */
	uint64_t rows, own;
	struct binlog_pos end;
	struct db *log; /* NULL: only counts */
};

/* Is there a binlog below this base path? */
bool takeover_possible(const struct stores *s);
/* Reads marks and binlog; with `log` (new and empty) writes the rows, the
 * peers and the mark. 0, or -errno with a sentence in err. Free in any
 * case. */
int takeover_read(struct takeover *t, const struct stores *s, struct db *log,
    char *err, size_t cap);
/* Makes the log of the storage that way, under a temporary name until it is
 * whole; what was there is set aside under a name with the time. Holding the
 * daemon's lock. */
int takeover_make_log(struct takeover *t, const struct stores *s, char *err,
    size_t cap);
/* Is there a binlog that this storage's log was not made of yet? Not when the
 * log has operations of its own; force: also then. Says it when it leaves one
 * out. STATUS_OK or says what is wrong with the log. */
enum status takeover_wanted(const struct stores *s, bool force, bool *wanted);
void takeover_free(struct takeover *t);

#endif
