/* SPDX-License-Identifier: MIT */
/*
 * Counters: each loop counts into its own block without locks; whoever asks
 * gets the sum, together with the totals of earlier runs (storage_stat.dat).
 */
#ifndef STORAGED_STATS_H
#define STORAGED_STATS_H

#include <stdint.h>

#include "proto/msg.h"

struct counters {
	int64_t v[N_STATS]; /* written by one thread, read by any: atomic */
};

/* Single writer: no lock prefix needed. */
static inline void count_add(struct counters *c, enum stat_index i, int64_t n)
{
	__atomic_store_n(&c->v[i],
	    __atomic_load_n(&c->v[i], __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void count_set(struct counters *c, enum stat_index i, int64_t n)
{
	__atomic_store_n(&c->v[i], n, __ATOMIC_RELAXED);
}

/* total_x, and success_x when ok: the pairs stand side by side. */
static inline void count_op(struct counters *c, enum stat_index total, int rc)
{
	count_add(c, total, 1);
	if (rc == 0)
		count_add(c, (enum stat_index)(total + 1), 1);
}

/* out = base + sum of n blocks (times: the latest); connections are the
 * caller's. */
void stats_sum(const struct stats *base, const struct counters *const *blocks,
    size_t n, struct stats *out);

/* storage_stat.dat (cluster-protocol 7.3) with the directory rotation. A
 * missing file is zeros and no error; one with a value that is no number is
 * -EBADMSG, and all zeros. May block on the disk. */
struct rotation_state {
	int64_t high, low, count;
};
int stats_load(const char *path, struct stats *out, struct rotation_state *rot);
int stats_save(const char *path, const struct stats *s,
    const struct rotation_state *rot);

#endif
