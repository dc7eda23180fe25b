/* SPDX-License-Identifier: MIT */
/*
 * Who leads, and this tracker's part in it: finding a leader, becoming one,
 * following one (cluster-protocol 4.3 to 4.5, 4.7). The loop's thread; what
 * may wait is an errand of the ally thread.
 */
#ifndef TRACKERD_LEAD_H
#define TRACKERD_LEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/msg.h"
#include "trackerd/tracker.h"

struct lead;

/* After the loop and the ally thread were made. */
int lead_start(struct tracker *t, struct lead **out);
/* After the ally thread has ended. NULL is fine. */
void lead_free(struct lead *l);

/* A JOIN brought a list of trackers. A tracker that is alone leads at once,
 * others are asked a second later. */
void lead_learnt(struct lead *l);
/* 66 and 67: the status of the reply, an errno. */
int lead_notified(struct lead *l, struct span text);
int lead_committed(struct lead *l, struct span text);
/* 68: false when this tracker does not lead. */
bool lead_give_up(struct lead *l, const char *why);

/* What the leader knows of a tracker that follows it (4.5). */
struct follower {
	const struct session *session; /* NULL: not connected */
	int64_t up_time, last_ping;    /* unix */
	char version[9];
	struct msg_conn_counts conns;
};
/* Of the tracker with that index. */
struct follower *lead_follower(struct lead *l, size_t i);
/* 58 succeeded on this connection; the rest of the record is filled in. */
void lead_follows(struct lead *l, size_t i, const struct session *s);
/* A connection on which it did ends. */
void lead_lost(struct lead *l, const struct session *s);

#endif
