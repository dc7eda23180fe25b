/* SPDX-License-Identifier: MIT */
/*
 * After an unclean stop, before the daemon serves: makes disk and log agree.
 * The tail of the log (ten minutes or a million rows, whichever is less, and
 * from the first change that a disk refused) is applied again where it was
 * committed but not carried out; what was still arriving is dropped; of new
 * files without a row the whole ones are recorded (after a power cut under
 * durability = process a client may have been told of them), the others moved
 * to data/.orphans. Main thread, no other thread runs.
 */
#ifndef STORAGED_RECOVER_H
#define STORAGED_RECOVER_H

#include <stdint.h>

#include "meta/db.h"
#include "storaged/op.h"
#include "storaged/store.h"

/* In the log's marks: the first row of this run that is recorded but was not
 * applied, "" none. Recovery begins there if that is before the tail. */
#define MARK_UNAPPLIED "unapplied"

/* What could not be carried out. */
struct recover_left {
	uint64_t seq;
	int error; /* -errno */
	char name[OP_NAME_SIZE];
	char other[OP_NAME_SIZE]; /* of a rename the new one, else "" */
};

struct recover_result {
	uint64_t rows;     /* of the log looked at */
	uint64_t redone;   /* operations carried out now */
	uint64_t dropped;  /* temporary files removed */
	uint64_t orphans;  /* files moved to .orphans */
	uint64_t recorded; /* whole new files without a row that got one */
	uint64_t failed;   /* operations that still cannot be carried out */
	struct recover_left *left; /* so many; free() */
};

struct recover_from {
	int64_t since_ms; /* when the run that did not stop cleanly began; files
	                     older than that are never touched */
	uint32_t source;  /* in the names of files that were made here */
	/* The last row before that run. Its own rows are the run's whatever
	 * the clock said, which may have been set. */
	uint64_t after;
};

/* 0 or -errno. */
int recover_run(struct stores *s, struct db *log,
    const struct recover_from *from, struct recover_result *out);
/* After a clean stop: only empties .incoming. */
void recover_clean(struct stores *s);

#endif
