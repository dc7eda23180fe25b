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

#define PEERS_MAX 32 /* members of a group */

struct counters;
struct replicate;
struct storage;

/* After the log's writer and beat have started. Peers appear by
 * replicate_members. */
int replicate_start(struct storage *st, struct replicate **out);
/* The order of start: senders need beat, and beat tells them of members. Gives
 * st->replicate and st->beat. */
int replicate_with_beat(struct storage *st);
/* Ends every wait, joins, leaves the cursors at what was acknowledged. Before
 * beat and the log's writer are stopped; replicate_wake may go on. NULL is
 * fine. */
void replicate_end(struct replicate *r);
/* When nobody calls anything of it any more. NULL is fine. */
void replicate_free(struct replicate *r);
/* Any thread: operations were committed; own: writer_own_total. Costs next to
 * nothing when that has not moved or every sender is awake. */
void replicate_wake(struct replicate *r, uint64_t own);
/* Any thread: what kept the senders from going on is over (redo.h). */
void replicate_go_on(struct replicate *r);
/* Any thread: the members or their states changed (beat_set_watch); starts
 * senders for new ones, wakes those that wait for a state. */
void replicate_members(struct replicate *r);
/* A copy of the state of every pair, for samples and displays. */
size_t replicate_states(struct replicate *r, struct peer_row *out, size_t cap);
/* The counters of the senders, one block each. Any thread. */
size_t replicate_counters(const struct replicate *r,
    const struct counters **out, size_t cap);

/* What the changelog of a tracker says (cluster-protocol 1.19); a thread that
 * may wait for the log's writer. A member was deleted: its place in the log is
 * forgotten, so that it is filled again should it return. */
void replicate_forget(struct replicate *r, const char *id);
/* Its address and with it its id changed: the new one goes on at the place of
 * the old one. */
void replicate_renamed(struct replicate *r, const char *from, const char *to);
/* A tracker has that member, which we hold for complete, as one that waits to
 * be filled: its sender asks who fills it, and begins again if that is news. */
void replicate_look_again(struct replicate *r, const char *id);
/* The row of that peer was changed in the log by somebody else. */
void replicate_reload(struct replicate *r, const char *id);

#endif
