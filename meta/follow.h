/* SPDX-License-Identifier: MIT */
/*
 * The catalogue's place in the log and one step of following it: a batch and
 * the cursor in one transaction. For the catalogue's thread and adopt.
 */
#ifndef META_FOLLOW_H
#define META_FOLLOW_H

#include "meta/apply.h"
#include "meta/batch.h"

/* Operations in a transaction at most. */
#define FOLLOW_BATCH 4096

struct follow {
	struct apply apply; /* apply.db is the catalogue */
	struct db *log;
	struct batch batch;
	uint64_t applied; /* the cursor */
	char log_id[40];
	bool incomplete;  /* operations are missing between log and catalogue:
	                     only adopt makes it whole */
	bool foreign;     /* the cursor belongs to another log: nothing is
	                     applied until adopt has run */
	wall_t next_bury; /* when tombstones are looked at again */
	int64_t tombstone_keep_ms; /* 0: for ever */
};

/* Takes its place: reads the cursor and finds out whether the log goes on
 * where it stands. note: called with a sentence when it does not. Lends all
 * handles. */
int follow_init(struct follow *f, void (*note)(void *arg, const char *text),
    void *arg);
void follow_fini(struct follow *f);
/* Reads and applies one batch, together with what `more` writes in the same
 * transaction (NULL: nothing; it returns 0 or -errno). How many operations,
 * or -errno and nothing of it is there. */
int follow_step(struct follow *f, int (*more)(void *arg, struct db *db),
    void *arg);

#endif
