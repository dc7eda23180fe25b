/* SPDX-License-Identifier: MIT */
/* For recovery: where in the log its two passes begin. Main thread. */
#ifndef STORAGED_RECOVER_TAIL_H
#define STORAGED_RECOVER_TAIL_H

#include <stdint.h>

#include "base/clock.h"
#include "meta/db.h"

/* Each pass reads the rows after the one it names. */
struct tail {
	uint64_t noted;
	uint64_t redone;
};

/* last: the last row; since: the first moment of the tail; after: the row
 * before those of the run. */
struct tail tail_of(struct db *log, uint64_t last, wall_t since,
    uint64_t after);
/* When the last row was made; 0: there is none. */
wall_t tail_end(struct db *log, uint64_t last);
/* The first row that is known not to have been applied; 0: none. */
uint64_t tail_unapplied(struct db *log);

#endif
