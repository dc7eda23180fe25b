/* SPDX-License-Identifier: MIT */
/*
 * What model.c and snapshot.c share: the model's own memory. Nobody else
 * includes it. The thread that owns the model.
 */
#ifndef TUI_MODEL_IMPL_H
#define TUI_MODEL_IMPL_H

#include "tui/model.h"

struct known { /* a storage as it was at the last feed of the source */
	char group[17], id[17];
	int status;
	struct meter meter;
	bool present;
};

struct model {
	size_t n;
	struct tracker trackers[TRACKERS_MAX];
	struct answer answers[TRACKERS_MAX];
	size_t source; /* index, or n: none has ever answered */
	char leader[64];
	size_t n_known;
	struct known *known;
	size_t n_pairs;
	struct pair *pairs; /* of the logs in reach */
	size_t n_problems;  /* with those that do not count yet */
	struct problem problems[PROBLEMS_MAX + 1];
	size_t n_events, events_total;
	struct happening events[EVENTS_MAX];
	wall_t since;
	/* the point of the spark lines that is being filled */
	int64_t step; /* number of the point, 0 none */
	double sum[N_FLOWS];
	unsigned counted[N_FLOWS];
	size_t n_history;
	double history[N_FLOWS][HISTORY_MAX];
};

struct known *known_find(struct model *m, const char *group, const char *id);
bool known_is_leader(const struct model *m, size_t i);
/* Sums of rates: unknown and known is unknown. */
void rate_add(struct rate *to, const struct rate *r);
void rate_finish(struct rate *r); /* the share that failed */

#endif
