/* SPDX-License-Identifier: MIT */
/*
 * The writer thread of a database: group commit. Any thread submits a write;
 * the writer takes everything that waits (at most 512), applies each inside
 * one transaction, commits, and only then sends each home. No timer: the queue
 * that fills while a commit runs is the next batch. A second thread makes the
 * checkpoints (passive often, restart when idle or when the WAL is long), so
 * that no write waits for one.
 */
#ifndef META_WRITER_H
#define META_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "meta/db.h"

struct write {
	struct job job; /* job.home and job.done are the submitter's; job.rc:
	                   0, or -errno when it is NOT recorded */
	/* In the writer thread, inside the transaction. A failure undoes only
	 * this write (savepoint-free: a statement that fails changes nothing;
	 * multi-statement applies must check before they change). */
	int (*apply)(struct write *w, struct db *db);
};

struct writer;

struct writer_stats {
	uint64_t commits, writes, failed;
	uint64_t queued;    /* waiting now */
	uint64_t commit_ns; /* sum */
};

/* Takes db. after_commit (may be NULL) runs in the writer thread after each
 * commit, before the writes go home. */
int writer_start(struct db *db, void (*after_commit)(void *arg), void *arg,
    struct writer **out);
void writer_submit(struct writer *w, struct write *wr);
/* For a thread that submits many in a row: queues without waking the writer;
 * writer_turn must follow before the thread waits for anything. */
void writer_queue(struct writer *w, struct write *wr);
/* Commits what is queued (one batch) in the calling thread when that is cheap:
 * synchronous is not FULL, nobody else commits just now, and the last commits
 * here were quick; else wakes the writer. Writes whose home is `mine` are done
 * before it returns. Call it only after writer_queue. */
void writer_turn(struct writer *w, struct mailbox *mine);
/* Submits and waits for the commit; for start-up, tests and slow paths. */
int writer_call(struct writer *w, struct write *wr);
/* Any thread: a number that moves with every commit that holds operations of
 * our own, rather than replicas; seen at the latest by after_commit. */
uint64_t writer_own_total(const struct writer *w);
void writer_get_stats(struct writer *w, struct writer_stats *out);
/* Commits what is queued, sends it home, closes the database. */
void writer_stop(struct writer *w);

#endif
