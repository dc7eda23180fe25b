/* SPDX-License-Identifier: MIT */
/*
 * One line on stderr that tells how far a transfer is: only on a terminal,
 * only for what is large, at most five times a second, gone at the end. Main
 * thread only.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define PROGRESS_MIN_BYTES (UINT64_C(8) << 20)

struct progress {
	bool on;
	bool bytes; /* amounts are bytes, else counts */
	bool shown;
	const char *what;
	uint64_t done, total; /* total 0: not known */
	mono_t start, drawn;
};

/* Bytes: nothing is shown for less than PROGRESS_MIN_BYTES in all. */
void progress_bytes(struct progress *p, const char *what, uint64_t total,
    bool quiet);
void progress_count(struct progress *p, const char *what, bool quiet);
void progress_at(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

#endif
