/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, collected: exactly from the logs of the storages in
 * reach, and for every other pair of the cluster as far as trackers know.
 * Main thread only.
 */
#ifndef CLI_LAG_H
#define CLI_LAG_H

#include "cli/out.h"
#include "cli/source.h"
#include "meta/pairs.h"
#include "meta/recovery.h"

struct lag_pair {
	char group[PAIR_GROUP_SIZE];
	char from[PEER_ID_SIZE], to[PEER_ID_SIZE];
	bool exact;       /* pair and path are set */
	struct pair pair; /* as the sender's log tells it */
	const char *path; /* of that log */
	int64_t behind;   /* not exact: at most, seconds; -1 not known */
	bool shown;       /* matches what was asked for */
	char note[24];    /* not exact: state of the receiver, "" active */
};

struct lag {
	struct lag_pair *pairs;
	size_t n;
	wall_t at;
	struct recovery *recoveries; /* of the logs; under way */
	size_t n_recoveries;
	/* where it comes from */
	struct out_source *sources;
	size_t n_sources;
	char **names;        /* of the sources; owned */
	const char *missing; /* what could not be asked, NULL nothing */
};

/* Everything that the sources tell about pairs that `subject` names: a
 * storage, a group, "FROM,TO"; NULL all. Says what went wrong; STATUS_PART
 * when the trackers did not answer and logs did. Free it in any case. */
enum status lag_load(struct source *s, const char *subject, struct lag *lag);
void lag_free(struct lag *lag);
/* Does anything wait, or is it not known? below: seconds; younger than that
 * does not count, 0 all counts. */
bool lag_waits(const struct lag *lag, const struct lag_pair *p, int64_t below);

#endif
