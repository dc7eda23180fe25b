/* SPDX-License-Identifier: MIT */
/*
 * Time: mono_t for distances, wall_t for records. Any thread. A test may set
 * both clocks; the daemons never do.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t mono_t; /* nanoseconds since some start */
typedef int64_t wall_t;  /* milliseconds since 1970, UTC */

#define MONO_MS  UINT64_C(1000000)
#define MONO_SEC UINT64_C(1000000000)

mono_t clock_mono(void);
wall_t clock_wall(void);
int64_t clock_wall_sec(void);

/* Freezes both clocks (tests); 0, 0 lets them run again. */
void clock_set(mono_t mono, wall_t wall);

#endif
