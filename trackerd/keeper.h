/* SPDX-License-Identifier: MIT */
/*
 * The system files below <base_path>/data, in FastDFS's own format, so that
 * its tracker can take the place of this one and this one that of it
 * (cluster-protocol 4.8). tracker.db is what this tracker relies on; the files
 * follow it within KEEPER_SECONDS of a change of membership or state, every
 * five minutes with the counters, and at the end. The loop's thread, but for
 * keeper_adopt; a thread of its own writes.
 */
#ifndef TRACKERD_KEEPER_H
#define TRACKERD_KEEPER_H

#include "trackerd/tracker.h"

#define KEEPER_SECONDS 2

struct keeper;

/* Main thread, after tracker.db was read and before there is a loop: takes
 * the cluster from the files when tracker.db knows none, or when another
 * tracker has written them since. -errno with a sentence in err. */
int keeper_adopt(struct tracker *t, char *err, size_t cap);
int keeper_start(struct tracker *t, struct keeper **out);
/* Writes them soon. Why: for the log. NULL is fine. */
void keeper_save(struct keeper *k, const char *why);
/* Writes them once more, waits for it, and ends. NULL is fine. */
void keeper_stop(struct keeper *k);

#endif
