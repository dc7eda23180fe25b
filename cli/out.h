/* SPDX-License-Identifier: MIT */
/*
 * Rows to stdout in the format the user chose (cli.md section 5): tables for
 * people, JSON, CSV, TSV and NUL-separated for programs. A command describes
 * its columns once and gives rows of cells; everything else is done here.
 * Main thread only.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/err.h"
#include "cli/opt.h"

enum out_format {
	OUT_TABLE,
	OUT_JSON,
	OUT_NDJSON,
	OUT_CSV,
	OUT_TSV,
	OUT_PRINT0
};

struct out_options {
	int format;
	const char *columns;
	bool list_columns;
	bool no_header;
	bool wide;
	uint64_t width; /* OUT_WIDTH_AUTO: the terminal's */
	bool bytes;
	int quiet;
	int verbose;
};
#define OUT_WIDTH_AUTO UINT64_MAX
extern const struct opt_table out_opt_table;

enum out_type {
	OUT_TEXT,
	OUT_INT,
	OUT_REAL, /* text: a decimal number */
	OUT_BYTES,
	OUT_COUNT,
	OUT_PERCENT,
	OUT_SECONDS, /* a distance */
	OUT_MICROS,  /* a distance */
	OUT_TIME,    /* unix seconds */
	OUT_BOOL,
	OUT_CRC,  /* 8 hex digits */
	OUT_PAIRS /* packed metadata (proto/kv.h) */
};

#define OUT_EXTRA BIT(0) /* not in the default set */
#define OUT_KEEP  BIT(1) /* never dropped for want of width, never cut */
#define OUT_CUT   BIT(2) /* may be cut */

struct out_column {
	const char *name;
	enum out_type type;
	unsigned flags;
	unsigned rank; /* the larger, the earlier it is dropped */
	const char *help;
};

struct out_cell {
	bool known;
	bool bound; /* at most n: people see it as such */
	int64_t n;
	struct span text;
};

static inline struct out_cell out_number(int64_t n)
{
	return (struct out_cell){ true, false, n, { "", 0 } };
}

static inline struct out_cell out_at_most(int64_t n)
{
	return (struct out_cell){ true, true, n, { "", 0 } };
}

static inline struct out_cell out_span(struct span s)
{
	return (struct out_cell){ true, false, 0, s };
}

static inline struct out_cell out_text(const char *s)
{
	return (struct out_cell){ s != NULL, false, 0,
		s ? span_of(s) : (struct span){ "", 0 } };
}

static inline struct out_cell out_unknown(void)
{
	return (struct out_cell){ false, false, 0, { "", 0 } };
}

struct out_layout {
	const char *schema; /* "fdfs-meta.find/1" */
	const struct out_column *columns;
	size_t n;
	bool records;      /* for people: a line a field instead of a table */
	const char *empty; /* said on stderr when there is no row, or NULL */
};

struct out;

/* Gives *result. STATUS_USAGE for a bad -o; STATUS_OK with it NULL when only
 * the columns were asked for (they are printed). The layout is lent. */
enum status out_open(const struct out_options *o, const struct out_layout *l,
    struct out **result);
/* n cells in the order of the layout's columns; copied or written. False
 * when stdout takes no more: stop. */
bool out_row(struct out *out, const struct out_cell *cells);
/* Is the column shown? What is not shown need not be computed. */
bool out_wants(const struct out *out, size_t column);
uint64_t out_rows(const struct out *out);

struct out_source {
	const char *name;
	int64_t age_s; /* negative: not known */
};

struct out_end {
	bool complete;
	const char *const *missing; /* what did not answer */
	size_t n_missing;
	const struct out_source *sources;
	size_t n_sources;
	int64_t total;       /* negative: not known */
	const char *next;    /* cursor, or NULL */
	const char *summary; /* for people on stderr, or NULL */
};

/* Writes what is left, takes out. STATUS_OK, or STATUS_PART when stdout could
 * not take it all. A closed pipe is no error. */
enum status out_close(struct out *out, const struct out_end *end);

/* stdout is flushed; a failure other than a closed pipe is said once. */
enum status out_flush(void);
bool out_for_people(const struct out_options *o);

#endif
