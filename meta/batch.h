/* SPDX-License-Identifier: MIT */
/*
 * Operations copied out of the log, so that the snapshot of the log is given
 * up before they are applied. Belongs to one thread.
 */
#ifndef META_BATCH_H
#define META_BATCH_H

#include <stddef.h>

#include "meta/oplog.h"

struct batch_chunk;

struct batch {
	struct op *ops; /* spans point into the chunks */
	size_t n;
	size_t cap;
	struct batch_chunk *chunks;
};

void batch_init(struct batch *b);
void batch_fini(struct batch *b);
/* Reads at most max operations after `after`; what was there is dropped. How
 * many, or -errno. */
int batch_read(struct batch *b, struct db *log, uint64_t after, size_t max);
/* By name, then number: neighbours in the tables are applied together. Not
 * when a rename ties two names together. */
void batch_sort(struct batch *b);

#endif
