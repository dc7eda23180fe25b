/* SPDX-License-Identifier: MIT */
/*
 * Who should lead, and what a tracker answers to those that decide it:
 * cluster-protocol 4.3 and 4.4 as functions without state. Pure, any thread.
 */
#ifndef TRACKERD_ELECT_H
#define TRACKERD_ELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "trackerd/cluster.h"

/* What is known of one tracker: its answer to 64. */
struct elect_view {
	int64_t running;  /* seconds, in steps */
	int64_t interval; /* between its lives, seconds, in steps */
	struct addr at;   /* with its port */
	bool leads;
};

/* > 0: a is the better leader; 0 only for the same tracker. (4.3) */
int elect_compare(const struct elect_view *a, const struct elect_view *b);
/* The index of the best of n > 0. */
size_t elect_best(const struct elect_view *views, size_t n);

/* Ages are told in steps of 300 seconds (4.2). */
int64_t elect_steps(int64_t seconds);

/* The tracker that a body of 66 or 67 names: its index in the list; -EINVAL
 * for a text without a port or too long, -ENOENT when it is not listed. */
int elect_named(const struct cluster *c, struct span text);

/* What 66 and 67 lead to (4.4). */
enum elect_act {
	ELECT_REFUSE,   /* nothing changes */
	ELECT_GIVE_UP,  /* this tracker leads no more */
	ELECT_REMEMBER, /* the one named is next */
	ELECT_COMMIT    /* the one named leads */
};
struct elect_verdict {
	int status; /* of the reply, an errno */
	enum elect_act act;
};

/* named: what elect_named gave. next: index remembered from 66, or -1. */
struct elect_verdict elect_notified(const struct cluster *c, int named);
struct elect_verdict elect_committed(int named, int next);

/* Pause after the n-th failure in a row with the leader, in seconds; 0: it is
 * forgotten (4.5). */
unsigned elect_patience(unsigned failures);

#endif
