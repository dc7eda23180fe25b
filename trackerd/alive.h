/* SPDX-License-Identifier: MIT */
/*
 * <base_path>/data/.tracker_status: when this tracker was started and when it
 * was last seen alive, in the form that FastDFS's trackers read and write
 * (cluster-protocol 4.8), so that either may follow the other on the same
 * base_path. The time between two lives decides elections.
 */
#ifndef TRACKERD_ALIVE_H
#define TRACKERD_ALIVE_H

#include <stdint.h>

#include "trackerd/tracker.h"

/* When the previous life was last seen, unix; 0: there was none. Main
 * thread. */
int64_t alive_read(const char *base_path);
/* Writes the file now; main thread, before and after the loop runs. */
void alive_write(const struct tracker *t);
/* The same from the loop, which does not wait for it. */
void alive_send(struct tracker *t);

#endif
