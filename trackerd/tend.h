/* SPDX-License-Identifier: MIT */
/*
 * What trackerd does by the clock: liveness sweep, samples, log rotation,
 * election of itself, the mark that says when it was last alive. The loop's
 * thread.
 */
#ifndef TRACKERD_TEND_H
#define TRACKERD_TEND_H

#include "trackerd/tracker.h"

struct tend;

int tend_start(struct tracker *t, struct tend **out);
void tend_stop(struct tend *d); /* NULL is fine */
/* Queues the mark; for the end of the program. */
void tend_mark(struct tracker *t);

#endif
