/* SPDX-License-Identifier: MIT */
/*
 * A tracker that knows nothing, or slept for long, takes the cluster from
 * another one before it answers its first JOIN (cluster-protocol 4.6). The
 * loop's thread; the talk itself is an errand of the ally thread.
 */
#ifndef TRACKERD_BOOTSTRAP_H
#define TRACKERD_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "trackerd/handlers.h"

struct bootstrap;

struct bootstrap *bootstrap_new(struct tracker *t);
void bootstrap_free(struct bootstrap *b); /* NULL is fine */

/* To be asked by each JOIN whose tracker list was accepted. true: the request
 * is kept; it is handled again, or answered 11, when the other trackers have
 * been asked. list, at: the trackers the storage knows, and what it calls this
 * one. */
bool bootstrap_holds(struct request *rq, const struct tracker_name *list,
    size_t n, const struct addr *at);

#endif
