/* SPDX-License-Identifier: MIT */
/*
 * Every file of the catalogue in order of its name, in pages: for filling a
 * new peer and for the file lists of disk recovery (cluster-protocol 3.12).
 * Any thread with its own read-only handle of the catalogue (db_open_read
 * DB_CATALOGUE); one page is one short transaction.
 */
#ifndef META_WALK_H
#define META_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "meta/db.h"

struct walk_file {
	struct span name; /* "M00/00/00/..." */
	int64_t id; /* place of its creation in the log; negative: adopted */
	uint64_t size;
	int type;         /* 0 normal, 1 appender, 2 slave, 3 trunk, 4 link */
	int64_t created;  /* unix seconds */
	int64_t modified; /* unix seconds */
	bool has_meta;
};
/* Files with names > after ("" from the beginning), of one store path or of
 * all (path < 0), at most max. each returns 0 to go on. Gives how many. */
int walk_files(struct db *catalogue, const char *after, int path, size_t max,
    int (*each)(void *arg, const struct walk_file *f), void *arg);
/* One of them by its name; 0 or -ENOENT. out->name is the name given. */
int walk_find(struct db *catalogue, struct span name, struct walk_file *out);
/* The sequence number of the log that the catalogue has applied: read it
 * before the first page; what came later is in the log after it. */
int walk_position(struct db *catalogue, uint64_t *seq);
int walk_totals(struct db *catalogue, uint64_t *files, uint64_t *bytes);

#endif
