/* SPDX-License-Identifier: MIT */
/*
 * Files in the middle of a change: one changing operation at a time for each
 * file, in order of arrival; its metadata "<name>-m" count as the file. Holders
 * and waiters may live in different loops.
 */
#ifndef STORAGED_BUSY_H
#define STORAGED_BUSY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "base/str.h"

#define BUSY_BUCKETS 256

/* Embedded in the operation. */
struct busy_hold {
	struct busy_hold *next;  /* in the bucket */
	struct busy_hold *queue; /* who waits for this name */
	struct busy_hold *last;
	struct span name; /* of the file; lives as long as the hold */
	uint64_t hash;
	struct job job; /* done: called at home when the name is ours */
};

struct busy {
	pthread_mutex_t locks[16];
	struct busy_hold *buckets[BUSY_BUCKETS];
};

void busy_init(struct busy *b);
void busy_fini(struct busy *b);
/* true: the name is ours now. false: hold->job.done will be called at
 * hold->job.home when it is. */
bool busy_take(struct busy *b, struct busy_hold *hold, struct span name);
void busy_drop(struct busy *b, struct busy_hold *hold);
/* The same for a thread that may wait: returns when the name is ours. mine: the
 * thread's own mailbox, otherwise empty. */
void busy_take_wait(struct busy *b, struct busy_hold *hold, struct span name,
    struct mailbox *mine);
/* For a thread that only has to see the name settled: returns when those who
 * held or waited for it at the call are done. mine: as above. At once, for a
 * lock and a look, when nobody holds it. */
void busy_wait(struct busy *b, struct span name, struct mailbox *mine);

#endif
