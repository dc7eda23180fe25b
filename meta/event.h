/* SPDX-License-Identifier: MIT */
/* Events with codes: what changed, when, to whom, why. */
#ifndef META_EVENT_H
#define META_EVENT_H

#include "base/clock.h"
#include "meta/db.h"

enum event_severity { EVENT_INFO, EVENT_WARN, EVENT_CRIT };

struct event {
	int64_t id;
	wall_t at;
	const char *code; /* "FD-STATE-01" */
	enum event_severity severity;
	const char *subject; /* storage id, group, path, "cluster" */
	const char *text;
};

int event_insert(struct db *db, const struct event *e);
/* Newest first when n > 0 from the end; each returns 0 to go on. */
int event_read(struct db *db, wall_t from, size_t n,
    int (*each)(void *arg, const struct event *e), void *arg);
/* Drops the oldest beyond keep rows. */
int event_trim(struct db *db, size_t keep);

#endif
