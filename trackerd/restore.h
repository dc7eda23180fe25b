/* SPDX-License-Identifier: MIT */
/*
 * The cluster as it was before this tracker started, read from tracker.db.
 * Main thread, before the writer starts.
 */
#ifndef TRACKERD_RESTORE_H
#define TRACKERD_RESTORE_H

#include "trackerd/cluster.h"
#include "trackerd/conf.h"
#include "trackerd/persist.h"

/* Fills the empty cluster. *last_alive: unix time at which the previous life
 * was last seen, 0 none. ids: NULL without storage ids; records are renamed
 * when the way of naming has changed. 0 or -errno. */
int restore_cluster(struct persist *p, struct cluster *c, const struct ids *ids,
    int64_t *last_alive);

#endif
