/* SPDX-License-Identifier: MIT */
/*
 * The other trackers: blocking talks with them, in one thread ("ally"), so
 * that the loop never waits. The loop owns all state; it sends the thread on
 * errands. An errand is a job: run() is called in the ally thread with what
 * the loop put beside the job, done() back in the loop with the result; run()
 * does not pass the job on itself. One errand at a time, in order of
 * submission.
 *
 * Deadlines are connect_timeout and network_timeout; connections come from
 * bind_addr when one is set, because a tracker is recognised by the address
 * it comes from (cluster-protocol 4.5). When the tracker stops every wait
 * ends within a moment with -ECANCELED; an errand should give up then.
 */
#ifndef TRACKERD_ALLY_H
#define TRACKERD_ALLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mailbox.h"
#include "net/client.h"
#include "proto/msg.h"
#include "trackerd/cluster.h"
#include "trackerd/tracker.h"

struct ally;

/* --- the loop's side --- */
/* After the loop was made. 0 or -errno. */
int ally_start(struct tracker *t, struct ally **out);
/* Set run and done first. done is called in any case, also while the tracker
 * stops. */
void ally_submit(struct ally *a, struct job *errand);
/* Ends the waits, now and from now on; does not wait itself. */
void ally_stop(struct ally *a);
/* No errand is under way or has still to come home. */
bool ally_idle(const struct ally *a);
/* Joins the thread. NULL is fine. */
void ally_free(struct ally *a);

/* Of a list as storages send it, those that are not this tracker: own port
 * and a local address, or `at` (what the storage calls this tracker; NULL:
 * not known). out holds n. Gives how many. (4.1) */
size_t ally_others(const struct tracker *t, const struct tracker_name *list,
    size_t n, const struct addr *at, struct tracker_name *out);

/* --- for errands, in the ally thread --- */
bool ally_stopping(struct ally *a);
/* Connects, to the second address if the first does not answer. 0 or -errno.
 * Close it with ally_close, in the same thread; it may stay open from one
 * errand to another. */
int ally_open(struct ally *a, const struct tracker_name *to,
    struct client **out);
/* The same for questions that are answered from memory: a tracker that is
 * silent for QUICK_SECONDS, or network_timeout when that is less, is taken
 * for dead. */
#define QUICK_SECONDS 5
int ally_open_quick(struct ally *a, const struct tracker_name *to,
    struct client **out);
void ally_close(struct ally *a, struct client *c); /* NULL is fine */
/* 64 on a quick connection of its own. 0; positive: its answer, 2 without
 * groups; negative: no answer. */
int ally_ask_status(struct ally *a, const struct tracker_name *to,
    struct msg_tracker_status *out);

#endif
