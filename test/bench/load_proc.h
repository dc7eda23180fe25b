/* SPDX-License-Identifier: MIT */
/*
 * What processes have used so far, read from the kernel. Called by the main
 * thread between phases.
 */
#ifndef TEST_BENCH_LOAD_PROC_H
#define TEST_BENCH_LOAD_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	uint64_t cpu_ns;  /* user and system, of all threads */
	uint64_t user_us; /* in steps of a clock tick */
	uint64_t system_us;
	uint64_t switches; /* voluntary and involuntary, of living threads */
	uint64_t peak_kib; /* sum of the peak resident sizes */
};

/*
 * Sums the usage of n processes into *out. -ESRCH when one of them is gone;
 * *gone then tells which.
 */
int usage_read(const pid_t *pids, size_t n, struct usage *out, pid_t *gone);

/*
 * Waits until the processes together use less than 3 % of a core over 100 ms,
 * at most so many seconds.
 */
void usage_settle(const pid_t *pids, size_t n, double seconds);

#endif
