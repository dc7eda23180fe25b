/* SPDX-License-Identifier: MIT */
/* What the files of cli/out share; no one else includes it. */
#ifndef CLI_OUT_IMPL_H
#define CLI_OUT_IMPL_H

#include <stdio.h>

#include "cli/out.h"

#define OUT_COLUMNS_MAX 2048 /* more than SQLite gives */

struct out {
	struct out_options options;
	struct out_layout layout;
	size_t shown[OUT_COLUMNS_MAX]; /* indices of columns, in order */
	size_t n_shown;
	uint64_t rows;
	bool dead; /* stdout is gone */
	/* tables: a block of formatted cells */
	char **block;
	size_t n_block; /* rows */
	bool laid_out;
	size_t widths[OUT_COLUMNS_MAX]; /* of shown columns */
	const char *dropped[OUT_COLUMNS_MAX];
	size_t n_dropped;
};

/* out_column.c: -o, --list-columns, values as text */
enum status out_choose(struct out *out, const char *list);
void out_print_columns(const struct out_layout *l);
/* For people; gives a text (free). */
char *out_value(const struct out *out, const struct out_column *c,
    const struct out_cell *cell);
/* RFC 3339 in UTC; buf >= 32. */
const char *out_time_utc(int64_t unix_s, char *buf, size_t cap);
/* Numbers as plain integers, times in UTC; false for text, pairs, unknown. */
bool out_plain(const struct out_column *c, const struct out_cell *cell,
    char *buf, size_t cap);
/* Bytes of a well-formed UTF-8 character at p, 0 when it is none. */
size_t out_utf8(const char *p, size_t n);

/* out_machine.c */
void out_machine_open(struct out *out);
void out_machine_row(struct out *out, const struct out_cell *cells);
void out_machine_close(struct out *out, const struct out_end *end);

#endif
