/* SPDX-License-Identifier: MIT */
/*
 * What the two programs do the same way: find the command, parse the options,
 * help, version, signals, exit status. Main thread only.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdio.h>

#include "cli/opt.h"
#include "cli/out.h"
#include "cli/source.h"

struct cli {
	const struct program *program;
	const struct verb *verb;
	struct out_options out;
	struct source_options sources;
	const char **words; /* what is no option, after the command's name */
	size_t n_words;
};

/* The whole program; gives the exit status. */
int run_program(const struct program *p, int argc, char **argv);

/* Is there a person to ask, and did they type y? */
bool run_ask(const char *fmt, ...) ATTR_PRINTF(1, 2);
bool run_can_ask(void);

/* The manual page of the program, mdoc, made from the rows. */
void man_print(FILE *out, const struct program *p);

#endif
