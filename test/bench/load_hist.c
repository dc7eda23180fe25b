/* SPDX-License-Identifier: MIT */
/*
 * Slot of v: below 64 v itself; otherwise its top seven bits, of which the
 * first is always set, select power and slice.
 */
#include "test/bench/load_hist.h"

#include <stddef.h>

#define N_SLOTS ((size_t)HIST_POWERS * HIST_SLICES)

static size_t slot_of(uint64_t v)
{
	unsigned int shift;
	size_t i;

	if (v < HIST_SLICES)
		return (size_t)v;
	shift = 57U - (unsigned int)__builtin_clzll(v);
	i = ((size_t)shift << 6) + (size_t)(v >> shift);
	return i < N_SLOTS ? i : N_SLOTS - 1;
}

/* The middle of slot i. */
static uint64_t value_of(size_t i)
{
	const size_t shift = i / HIST_SLICES;

	if (shift < 2)
		return i;
	return ((uint64_t)(i % HIST_SLICES + HIST_SLICES) << (shift - 1)) +
	       (1ULL << (shift - 2));
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->slot[slot_of(ns)]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (size_t i = 0; i < N_SLOTS; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t hist_quantile(const struct hist *h, double share)
{
	const uint64_t want = (uint64_t)((double)h->count * share);
	uint64_t seen = 0;

	for (size_t i = 0; i < N_SLOTS; i++) {
		seen += h->slot[i];
		if (h->slot[i] && (seen > want || seen == h->count)) {
			const uint64_t v = value_of(i);

			return v < h->max ? v : h->max;
		}
	}
	return 0;
}
