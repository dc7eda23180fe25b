/* SPDX-License-Identifier: MIT */
/*
 * Replication to the other members of the group: one sender for each, a
 * thread with a connection of its own that follows the log from the cursor
 * kept in it (meta/peers.h), woken by each commit (cluster-protocol 3.6-3.9).
 */
#ifndef STORAGED_REPLICATE_H
#define STORAGED_REPLICATE_H

#include <stddef.h>

#include "meta/peers.h"

struct storage;
struct replicate;

/* After the log's writer and beat have started. Peers appear by
 * replicate_members. */
int replicate_start(struct storage *st, struct replicate **out);
/* Ends every wait, joins, leaves the cursors at what was acknowledged. Before
 * beat and the log's writer are stopped. NULL is fine. */
void replicate_stop(struct replicate *r);
/* Any thread: operations were committed. Costs next to nothing when every
 * sender is awake. */
void replicate_wake(struct replicate *r);
/* Any thread: the members or their states changed (beat_set_watch); starts
 * senders for new ones, wakes those that wait for a state. */
void replicate_members(struct replicate *r);
/* A copy of the state of every pair, for samples and displays. */
size_t replicate_states(struct replicate *r, struct peer_row *out, size_t cap);

#endif
