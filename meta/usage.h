/* SPDX-License-Identifier: MIT */
/*
 * Roll-ups of the catalogue: changes are summed in memory while a batch is
 * applied and written once at its end, in the order of the tables' keys. For
 * the thread that applies.
 */
#ifndef META_USAGE_H
#define META_USAGE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "meta/db.h"

#define DAY_MS INT64_C(86400000)

struct usage;

/* What of a file decides where it counts. */
struct usage_file {
	unsigned path;
	unsigned dir;
	struct span ext;
	struct span client;
	wall_t created;
	uint64_t size;
};

/* What a client did in a day. */
struct usage_acts {
	int64_t uploads, upload_bytes, changes, change_bytes, others, deletes;
};

/* Binary digits of a size: its class in usage_size. */
unsigned usage_class(uint64_t size);

struct usage *usage_new(void);
void usage_free(struct usage *u);
/* sign: 1 the file is there now, -1 it is not any more. */
void usage_count(struct usage *u, const struct usage_file *f, int sign);
void usage_act(struct usage *u, struct span client, wall_t at,
    const struct usage_acts *acts);
/* Inside the transaction of the batch; empties it. */
int usage_flush(struct usage *u, struct db *db);
/* Forgets what was counted, after a rollback. */
void usage_drop(struct usage *u);

#endif
