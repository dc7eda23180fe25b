/* SPDX-License-Identifier: MIT */
/*
 * What the files of the tracker sessions share: beat.c threads, connections
 * and the loop; beat_join.c JOIN and whom we are filled by; beat_report.c what
 * is told again and again; beat_members.c what the trackers tell back.
 *
 * beat->lock guards what several sessions see; it is never held while waiting
 * for a tracker. beat->dest_lock is, by design: one session alone asks who
 * shall fill us (cluster-protocol 1.11).
 */
#ifndef STORAGED_BEAT_IMPL_H
#define STORAGED_BEAT_IMPL_H

#include <pthread.h>

#include "net/client.h"
#include "proto/msg.h"
#include "storaged/beat.h"
#include "storaged/storaged.h"

#define MEMBERS_MAX        32
#define CHANGELOG_LINE_MAX 128

enum session_state { SESSION_DOWN, SESSION_JOINING, SESSION_ACTIVE };

/* A connection for one question, shown to beat_stop. */
struct line {
	struct client *client; /* NULL while connecting */
	struct line *next;
};

/* How far the other members have been received from, at some moment. */
struct progress {
	struct synced_entry entries[SYNCED_MAX];
	size_t n;
	unsigned changes;
};

/* Lines of the trackers' list of changes as they come, in any pieces. */
struct changelog {
	char carry[CHANGELOG_LINE_MAX]; /* a line that came in half */
	size_t carried;
};

struct session {
	struct beat *beat;
	size_t index; /* in the list of trackers */
	const struct tracker_entry *tracker;
	pthread_t thread;

	/* of the session's own thread */
	enum session_state state;
	bool knows_address; /* this tracker sees us as we see ourselves */
	bool knows_params;  /* they were compared with those in memory */
	bool told_address;  /* the change of it (78) */
	bool settled;       /* opinions were compared since the JOIN (59) */
	bool sent_stats;
	unsigned stats_at; /* stat_changes of the last block */
	int said;          /* the failure that was logged last */
	struct changelog changes;
	bool read_changes;      /* those of before this start (77) */
	bool is_complete;       /* to be told: nobody needs to fill us */
	struct progress before; /* of the last round */
	unsigned reported;      /* progress.changes of the last SYNC_REPORT */

	/* under beat->lock */
	struct client *client;
	bool answered; /* any JOIN, if only with an error */
	bool rejoin;
	int notify_result; /* of the last SYNC_NOTIFY; -1 none yet */
	struct beat_state shown;
};

struct beat {
	struct storage *st;
	pthread_mutex_t dest_lock;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* stopping */
	bool stopping;
	int64_t heart_beat, stat_report; /* seconds */
	int64_t second_ms;               /* what a second lasts */
	int leader;                      /* index; -1 unknown */
	struct msg_brief members[MEMBERS_MAX];
	size_t n_members;
	struct line *lines; /* of single questions, of any thread */
	struct session sessions[MAX_TRACKERS];
	size_t n;
};

/* beat.c */
/* beat_start with seconds of that length: tests have shorter ones. */
int beat_start_paced(struct storage *st, int64_t second_ms, struct beat **out);
/* Waits; false when it was ended by beat_stop. */
bool beat_pause(struct beat *b, int64_t ms);
bool beat_stopping(struct beat *b);
/* As beat_pause, and false when *quit became true (NULL: never does). */
bool beat_pause_until(struct beat *b, int64_t ms, const bool *quit);
/* One question on a connection of its own to any tracker (0.4), QUIT, close;
 * any thread. The reply's spans live as long as took runs. As client_ask;
 * -ECANCELED when *quit became true. */
struct question {
	uint8_t command;
	const struct message *req;
	const void *in;
	const struct message *reply;
	void *out;
	void (*took)(void *arg, const void *out); /* or NULL; after success */
	void *arg;
	const bool *quit; /* or NULL */
};
int beat_ask_once(struct beat *b, size_t tracker, const struct question *q);
/* Our status in that tracker's records (71), MEMBER_UNKNOWN when it does not
 * tell. Blocks like the above. */
int beat_ask_own_status(struct beat *b, size_t tracker);
void session_set_status(struct session *s, int status);
int session_status(struct session *s);
const char *session_name(const struct session *s, char *buf, size_t cap);

/* beat_join.c: 0, positive: a refusal, negative: the connection is of no
 * use. */
int session_join(struct session *s);

/* beat_report.c, as above */
int session_beat(struct session *s);
int session_disk_usage(struct session *s);
/* Once a round; due: enough time has passed since the last one that was
 * *sent. */
int session_sync_report(struct session *s, bool due, bool *sent);
/* CHANGE_STATUS when this tracker, which is not the leader, thinks otherwise;
 * *rejoin: it was sent, JOIN again. */
int session_settle(struct session *s, bool *rejoin);

/* beat_changes.c: 77. On the joined connection after each beat, and with our
 * id on one of its own; refusals are none. */
int session_changelog(struct session *s);
int changes_read(struct beat *b, size_t tracker, const bool *quit);

/* beat_members.c */
/* Tells the watcher; without a lock. */
void members_tell(struct beat *b);
/* The body of a change notification (1.7). */
int members_take(struct session *s, const void *body, size_t n);
/* A tracker has us as a new member: what we were before does not count any
 * more. Lock held by the caller. */
void members_begin_again(struct beat *b);
/* Our status in the list, or MEMBER_UNKNOWN; lock held by the caller. */
int members_own_status(const struct beat *b);
const char *member_status_name(int status);
/* Asks until a tracker says that it leads (64); remembers it. */
void members_find_leader(struct session *s);

#endif
