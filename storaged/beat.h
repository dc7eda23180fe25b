/* SPDX-License-Identifier: MIT */
/*
 * The sessions with the trackers: one thread each, walking through the report
 * loop of cluster-protocol 1.21 with blocking calls and deadlines: join,
 * notify, beat, disk usage, sync report, change status. A dead tracker costs
 * a pause, nothing else.
 */
#ifndef STORAGED_BEAT_H
#define STORAGED_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/msg.h"

struct storage;
struct beat;

/* Starts the threads; the daemon must be listening already. */
int beat_start(struct storage *st, struct beat **out);
/* Ends every wait, joins; within a second or two. */
void beat_stop(struct beat *b);

/* What SIGHUP changes, in seconds. Any thread. */
void beat_set_intervals(struct beat *b, int64_t heart_beat,
    int64_t stat_report);

/* For status displays: the session of tracker i. Any thread. */
struct beat_state {
	bool joined;
	int status;        /* ours, as that tracker sees it; -1 not told yet */
	int64_t last_beat; /* unix */
	int last_error;    /* -errno or status; 0 */
};
size_t beat_states(struct beat *b, struct beat_state *out, size_t cap);

/* The members of our group as last told by the leader. Any thread; gives how
 * many. */
size_t beat_members(struct beat *b, struct msg_brief *out, size_t cap);

#endif
