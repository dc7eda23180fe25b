/* SPDX-License-Identifier: MIT */
/*
 * Status samples: one wide row for each subject every ten seconds, rolled up
 * to a minute, an hour, a day, each bounded in age. Counters keep their last
 * value of a bucket, gauges their largest or smallest. Insert and roll-up run
 * in the thread that owns the writing handle; reading with any handle.
 */
#ifndef META_SAMPLE_H
#define META_SAMPLE_H

#include <stdint.h>

#include "base/clock.h"
#include "meta/db.h"

#define SAMPLE_MAX 80 /* columns */

/* Names must be columns of the sample tables (schema); others are refused
 * with -EINVAL. Absent columns are NULL. names must be static. */
struct sample {
	wall_t at;
	char subject[64]; /* "100001", "group1", "group1/10.0.0.1", "self" */
	size_t n;
	const char *names[SAMPLE_MAX];
	int64_t values[SAMPLE_MAX];
};

void sample_add(struct sample *s, const char *name, int64_t value);
int sample_insert(struct db *db, const struct sample *s);
/* Rolls up and drops what is too old; cheap to call often, does work only
 * when a bucket is complete. Keeps 10 s for 1 day, 1 min for 14 days, 1 h for
 * 400 days, 1 day for 10 years. */
int sample_roll(struct db *db, wall_t now);
/* The newest sample of a subject: fills values by name; -ENOENT none. */
int sample_last(struct db *db, const char *subject, struct sample *out);
/* step_ms 10000, 60000, 3600000, 86400000. each returns 0 to go on. */
int sample_read(struct db *db, const char *subject, int64_t step_ms,
    wall_t from, wall_t to, int (*each)(void *arg, const struct sample *s),
    void *arg);

#endif
