/* SPDX-License-Identifier: MIT */
/*
 * What the console knows of a cluster. Trackers' answers go in; out comes a
 * snapshot, a value that no longer changes: groups, storages with their rates,
 * trackers, problems and the verdict. No I/O and no clock here: times come
 * with the answers, so tests feed made-up ones. The thread that owns the model
 * (the main loop); a snapshot may be read by whoever holds it.
 *
 * Not known is never zero: numbers that nobody told are UNKNOWN, rates NaN.
 */
#ifndef TUI_MODEL_H
#define TUI_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "meta/pairs.h"
#include "proto/msg.h"

#define UNKNOWN      INT64_MIN
#define TRACKERS_MAX 16
#define HISTORY_MAX  144 /* points of a spark line */
#define HISTORY_STEP 10  /* seconds a point */
#define EVENTS_MAX   64
#define PROBLEMS_MAX 64

/* Heartbeat ages in seconds (checks FD-HB-01). */
#define BEAT_STALE 45
#define BEAT_DEAD  120

enum {
	ST_INIT,
	ST_WAIT_SYNC,
	ST_SYNCING,
	ST_IP_CHANGED,
	ST_DELETED,
	ST_OFFLINE,
	ST_ONLINE,
	ST_ACTIVE,
	ST_RECOVERY = 9
};
const char *model_status_name(int status);

/* What a storage does, each with its counters. */
enum flow {
	FLOW_UPLOAD,
	FLOW_DOWNLOAD,
	FLOW_APPEND,
	FLOW_MODIFY,
	FLOW_TRUNCATE,
	FLOW_DELETE,
	FLOW_SET_META,
	FLOW_GET_META,
	FLOW_LINK,
	FLOW_UNLINK,
	FLOW_SYNC_IN,
	FLOW_SYNC_OUT,
	FLOW_FILE_OPEN,
	FLOW_FILE_READ,
	FLOW_FILE_WRITE,
	N_FLOWS
};

struct flow_row {
	const char *name;
	const char *field;  /* in JSON */
	int8_t total, good; /* indexes into the counters, or -1 */
	int8_t bytes;       /* successful bytes, or -1 */
};
extern const struct flow_row flow_rows[N_FLOWS];

struct rate {
	double ops;    /* successful a second, NaN unknown */
	double tried;  /* also those that failed */
	double bytes;  /* a second, NaN unknown or not counted */
	double failed; /* share of at least 20 operations, else NaN */
};

enum severity { SEV_OK, SEV_INFO, SEV_WARN, SEV_CRIT };

/* --- what one tracker said --- */
struct storage_fact {
	char group[17];
	struct msg_storage_record46 r;
};

struct answer {
	int rc; /* of the exchange: 0, or the reason there is no more */
	char error[128];  /* in words when rc is not 0 */
	wall_t at;        /* when it was complete */
	uint64_t ns;      /* time of the first exchange */
	char address[60]; /* ip:port asked, "" when the name has none */
	bool has_leader;
	char leader[64];
	size_t n_groups;
	struct msg_group_record *groups;
	size_t n_storages;
	struct storage_fact *storages;
	size_t n_trackers; /* its list of trackers; only a leader gives one */
	struct msg_tracker_record *trackers;
};
void answer_clear(struct answer *a); /* frees the lists, zeroes */

/* --- the snapshot --- */
struct tracker {
	char name[24]; /* "t1" */
	char address[64];
	bool asked; /* one of ours, not only heard of */
	bool answers;
	bool waiting; /* no exchange has ended yet */
	bool leader;
	char version[9]; /* "" unknown */
	int64_t up_time; /* unix, UNKNOWN */
	int64_t conns;
	int64_t answer_us;
	wall_t last_answer; /* 0 never */
	char error[128];
	unsigned failures; /* in a row */
};

struct space {
	int64_t total, free, reserve, usable; /* bytes */
};

struct group {
	char name[17];
	struct space space;
	int64_t n_storages, readable, writable, port, paths, subdirs;
	int64_t trunk_file; /* -1 off */
	int64_t behind;     /* seconds, the worst of its storages */
	bool behind_bound;  /* an upper bound only */
	struct rate rates[N_FLOWS];
};

struct storage {
	char group[17], id[17], ip[47], source[17], version[9];
	int status, rw_mode;
	int64_t port, join_time, up_time;
	struct space space;
	int64_t paths, write_path, priority, subdirs;
	bool trunk_server;
	struct stats stats;
	int64_t beat;      /* unix, 0 never */
	int64_t beat_age;  /* seconds at the snapshot's time, UNKNOWN never */
	bool stale;        /* values are older than they should be */
	int64_t behind;    /* seconds, UNKNOWN */
	bool behind_bound; /* an upper bound only */
	bool alone;        /* nobody to be behind of */
	int8_t filling;    /* percent of its first copy, -1 none is made */
	double rate_span;  /* seconds the rates are the mean of, 0 none yet */
	struct rate rates[N_FLOWS];
	int16_t seen[TRACKERS_MAX]; /* status each tracker tells, -1 none */
	bool disagree;
	enum severity severity;
};

/* What one member of a group waits for from another. */
struct sync_pair {
	char group[17], from[17], to[17];
	int64_t behind;   /* seconds, UNKNOWN */
	bool bound;       /* an upper bound, as trackers tell */
	bool exact;       /* counted in the sender's log; else the rest is 0 */
	struct pair pair; /* what that log says */
};

struct problem {
	char code[16];
	enum severity severity;
	char where[40];
	wall_t since;
	char text[96];
	const char *remedy;
};

struct happening {
	wall_t at;
	enum severity severity;
	char where[40];
	char code[16];
	char text[96];
};

struct snapshot {
	wall_t at;
	wall_t data_at;    /* of the answer that is shown, 0 none ever */
	bool live;         /* some tracker answers now */
	bool complete;     /* every asked tracker has answered or failed */
	int64_t worst_age; /* oldest heartbeat among storages in use, UNKNOWN */
	char leader[64];
	size_t n_trackers, n_answering, n_asked;
	struct tracker trackers[TRACKERS_MAX];
	size_t n_groups;
	struct group *groups;
	struct group all; /* sums; name "all" */
	size_t n_storages;
	struct storage *storages;
	size_t n_pairs; /* by group, sender, receiver */
	struct sync_pair *pairs;
	size_t n_problems; /* worst first */
	size_t n_pending;  /* behind those: not yet true for long enough */
	struct problem problems[PROBLEMS_MAX + 1];
	enum severity verdict;
	size_t n_events, events_total;
	struct happening events[EVENTS_MAX]; /* newest first */
	wall_t watching_since;
	size_t n_history;
	double history[N_FLOWS][HISTORY_MAX]; /* oldest first, NaN gaps */
};

struct model;

/* addresses as given by the user; at most TRACKERS_MAX. */
struct model *model_new(const char *const *trackers, size_t n, wall_t now);
void model_free(struct model *m);
/* Takes what is in the answer; leaves it empty. */
void model_feed(struct model *m, size_t tracker, struct answer *a);
/* What the logs in reach say about pairs now; copied. */
void model_feed_pairs(struct model *m, const struct pair *pairs, size_t n);
/* Gives a snapshot as of now; free with snapshot_free. */
struct snapshot *model_snapshot(struct model *m, wall_t now);
void snapshot_free(struct snapshot *s); /* NULL is fine */

const struct storage *snapshot_storage(const struct snapshot *s,
    const char *group, const char *id);
/* NULL: there is no such pair. */
const struct sync_pair *snapshot_pair(const struct snapshot *s,
    const char *group, const char *from, const char *to);
/* Does anything wait, or has anything failed? */
bool sync_pair_waits(const struct sync_pair *p);
/* Is this storage expected to serve? */
bool storage_is_up(const struct storage *st);
bool storage_readable(const struct storage *st);

/* --- between the files of the model --- */
/* Rates of one storage from readings of its counters at heartbeat times. */
struct reading {
	int64_t beat;
	struct stats stats;
};
#define READINGS 16
struct meter {
	size_t n; /* newest first */
	struct reading readings[READINGS];
};
void meter_feed(struct meter *m, int64_t beat, const struct stats *stats);
/* Fills rates; gives the span in seconds, 0 when not known. */
double meter_rates(const struct meter *m, struct rate rates[N_FLOWS]);

/* Pairs from the logs and, for the others, from the trackers' times; corrects
 * how far each storage is behind. */
void model_pairs(struct snapshot *s, const struct pair *known, size_t n);

/* The checks that trackers' data allows; fills problems (since is kept from
 * `before` for those that stood there). */
void model_check(struct snapshot *s, const struct problem *before, size_t n);

#endif
