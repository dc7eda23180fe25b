/* SPDX-License-Identifier: MIT */
/*
 * The frozen values are atomics, so a test may freeze the clocks while other
 * threads read them.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic mono_t frozen_mono;
static _Atomic wall_t frozen_wall;

mono_t clock_mono(void)
{
	const mono_t frozen =
	    atomic_load_explicit(&frozen_mono, memory_order_relaxed);
	struct timespec ts;

	if (frozen)
		return frozen;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t)ts.tv_sec * MONO_SEC + (mono_t)ts.tv_nsec;
}

wall_t clock_wall(void)
{
	const wall_t frozen =
	    atomic_load_explicit(&frozen_wall, memory_order_relaxed);
	struct timespec ts;

	if (frozen)
		return frozen;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall_sec(void)
{
	return clock_wall() / 1000;
}

void clock_set(mono_t mono, wall_t wall)
{
	atomic_store_explicit(&frozen_mono, mono, memory_order_relaxed);
	atomic_store_explicit(&frozen_wall, wall, memory_order_relaxed);
}
