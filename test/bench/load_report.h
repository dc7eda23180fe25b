/* SPDX-License-Identifier: MIT */
/* Prints what a run found. Called by the main thread at the end. */
#ifndef TEST_BENCH_LOAD_REPORT_H
#define TEST_BENCH_LOAD_REPORT_H

#include "test/bench/load_bench.h"
#include "test/bench/load_proc.h"

struct report {
	const struct options *opt;
	const struct stats *stats; /* of all threads */
	struct usage daemons;      /* used during the phase */
	struct usage settled;      /* and until the daemons were idle again */
	struct usage client;       /* the generator itself */
};

void stats_merge(struct stats *into, const struct stats *from);
uint64_t stats_errors(const struct stats *s);
void report_text(const struct report *r);

/* One line. Times are microseconds, sizes bytes unless the name says more. */
void report_json(const struct report *r);

#endif
