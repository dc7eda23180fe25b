/* SPDX-License-Identifier: MIT */
/*
 * The metadata databases that the sources name, opened for reading. Main
 * thread only.
 */
#ifndef CLI_DBS_H
#define CLI_DBS_H

#include "cli/source.h"
#include "meta/db.h"
#include "meta/query.h"

#define DBS_PATH_MAX 4096

struct dbs {
	char catalogue_path[DBS_PATH_MAX];
	char log_path[DBS_PATH_MAX];
	char tracker_path[DBS_PATH_MAX];
	struct db *catalogue;
	struct db *log; /* beside the catalogue; NULL when not there */
	struct db *tracker;
	char group[17];   /* of the catalogue */
	int64_t age_s;    /* of the catalogue's youngest fact; -1 not known */
	uint64_t waiting; /* operations it has not applied */
};

/* The one catalogue among the sources (of a group in the comma-separated list
 * `groups`, unless that is NULL), and the log beside it. A signal interrupts
 * its queries. */
enum status dbs_open_catalogue(const struct source *s, const char *groups,
    struct dbs *d);
/* The one tracker database. */
enum status dbs_open_tracker(const struct source *s, struct dbs *d);
/* Does any source hold a tracker database? Nothing is said. */
bool dbs_has_tracker(const struct source *s);
/* Every log among the sources, once; each gives STATUS_OK to go on. A database
 * that cannot be read ends it with a message, none at all does not: *n says
 * how many there were. A signal interrupts queries. */
enum status dbs_each_log(const struct source *s,
    enum status (*each)(void *arg, struct db *log, const char *path), void *arg,
    size_t *n);
void dbs_close(struct dbs *d);
/* Says that a query failed; gives the status. */
enum status dbs_fail(const char *path, struct db *db, int64_t rc);
/* Is text one of the comma-separated words of list? */
bool dbs_in_list(const char *list, const char *text);

#endif
