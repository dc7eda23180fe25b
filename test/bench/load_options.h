/* SPDX-License-Identifier: MIT */
/* The command line of the load generator. Called once, by main. */
#ifndef TEST_BENCH_LOAD_OPTIONS_H
#define TEST_BENCH_LOAD_OPTIONS_H

#include "test/bench/load.h"

/*
 * Fills *opt; strings are lent by argv. Returns the exit status to end with:
 * 0 to go on (or after help, see opt->help), 2 after a message on stderr.
 */
int options_parse(int argc, char **argv, struct options *opt);

#endif
