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

/* cluster-protocol 2.1 */
enum member_status {
	MEMBER_UNKNOWN = -1,
	MEMBER_INIT = 0,
	MEMBER_WAIT_SYNC = 1,
	MEMBER_SYNCING = 2,
	MEMBER_IP_CHANGED = 3,
	MEMBER_DELETED = 4,
	MEMBER_OFFLINE = 5,
	MEMBER_ONLINE = 6,
	MEMBER_ACTIVE = 7,
	MEMBER_RECOVERY = 9,
	MEMBER_NONE = 99 /* its sender has ended; no tracker knows it */
};

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
/* Is that the address (text) of a member, or of ourselves? Any thread, whether
 * beat runs or not. */
bool beat_is_member_ip(const char *ip);

/* --- for replication (cluster-protocol 1.22, 3.8). Any thread. --- */

/* A member's status in our own list, -1 unknown. */
int beat_member_status(struct beat *b, const char *id);
/* The sender itself changes it: SYNCING, OFFLINE, NONE (99). The watcher is
 * told, too. */
void beat_set_member_status(struct beat *b, const char *id, int status);
/* changed(arg) is called, without a lock held, whenever the list or a status
 * in it changed. Set once, before beat_start. */
void beat_set_watch(struct storage *st, void (*changed)(void *arg), void *arg);
/* The three below block (connect and network timeouts, at most) and end with
 * -ECANCELED by beat_stop or when *quit becomes true (NULL: never); beat_stop
 * must not free what they use: end their threads before it.
 * 76: a member's status to every tracker; 0 when at least one took it. */
int beat_report_status(struct beat *b, const char *id, int status,
    const bool *quit);
/* 86: who fills that member, and up to when; out->id "" for nobody. A
 * positive status is the tracker's refusal (2: unknown there). */
int beat_ask_source(struct beat *b, const char *id, struct msg_sync_source *out,
    const bool *quit);
/* 77 because that member is gone, to every tracker (3.8); what they say is
 * carried out before it returns. */
int beat_read_changes(struct beat *b, const char *id, const bool *quit);

#endif
