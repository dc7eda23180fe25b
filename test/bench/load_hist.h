/* SPDX-License-Identifier: MIT */
/*
 * A histogram of durations with a constant relative error: each power of two
 * of nanoseconds is cut into 64 slices, so a percentile is right within 1.6 %.
 * Belongs to one thread; histograms of several are merged after they ended.
 */
#ifndef TEST_BENCH_LOAD_HIST_H
#define TEST_BENCH_LOAD_HIST_H

#include <stdint.h>

#define HIST_SLICES 64
#define HIST_POWERS 36 /* up to 2^41 ns, over half an hour */

struct hist {
	uint64_t slot[HIST_POWERS * HIST_SLICES];
	uint64_t count;
	uint64_t max;
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *into, const struct hist *from);

/* Nanoseconds below which the given share (0..1) of the values lies. */
uint64_t hist_quantile(const struct hist *h, double share);

#endif
