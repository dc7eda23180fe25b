/* SPDX-License-Identifier: MIT */
/*
 * Tables made from column rows: which columns fit, order, filter, cursor and
 * scrolling. The cursor stays on its row by identity, not by position. Rows
 * are borrowed and only valid until the next load. One thread.
 */
#ifndef TUI_TABLE_H
#define TUI_TABLE_H

#include "tui/canvas.h"

#define TABLE_CELL    256 /* text of a cell with its NUL */
#define TABLE_COLUMNS 24
#define FILTER_MAX    160
#define FILTER_TERMS  16

enum column_kind { COL_TEXT, COL_COUNT, COL_BYTES, COL_TIME, COL_PERCENT };

struct column {
	const char *head;
	const char *field;     /* in filters and --sort */
	enum column_kind kind; /* of value(); text is compared as text */
	uint8_t width;         /* at least */
	uint8_t rank; /* 0 is always shown; the largest is left out first */
	bool right;
	bool grow; /* as wide as its widest value: identifiers are never cut */
	/* Writes the cell and gives its role. */
	enum role (*text)(const void *row, char *buf);
	/* For sorting and comparing; NaN sorts last. NULL: by text. */
	double (*value)(const void *row);
};

/* A filter: terms joined by "and" (a blank) or "or"; `or` binds weaker.
 * word, !word, field=glob, field!=glob, field<n, field<=n, field>n, field>=n;
 * glob may be several with commas. */
struct filter_term {
	bool after_or;
	bool negate;
	int column; /* -1: any */
	char op[3];
	char text[FILTER_MAX];
	double number;
};
struct filter {
	size_t n;
	struct filter_term terms[FILTER_TERMS];
};
/* 0, or -EINVAL with a sentence in err. */
int filter_parse(const char *text, const struct column *columns, size_t n,
    struct filter *out, char *err, size_t cap);
bool filter_match(const struct filter *f, const struct column *columns,
    size_t n, const void *row);

struct table {
	const struct column *columns;
	size_t n_columns;
	/* Identity of a row, at most TABLE_CELL bytes. */
	void (*key)(const void *row, char *buf);
	/* state */
	int sort; /* column, -1: the order the rows came in */
	bool reverse;
	char filter_text[FILTER_MAX];
	struct filter filter;
	char cursor[TABLE_CELL];
	size_t at; /* of the cursor among those shown */
	size_t top;
	size_t page; /* rows the last drawing had room for */
	/* the load */
	const void **shown;
	size_t n_shown, n_all;
	size_t left_out; /* columns, in the last drawing */
};

void table_init(struct table *t, const struct column *columns, size_t n,
    void (*key)(const void *row, char *buf));
void table_fini(struct table *t);
/* Takes rows of `size` bytes each: filters, sorts, finds the cursor again. */
void table_load(struct table *t, const void *rows, size_t n, size_t size);
/* Keeps the old filter and gives -EINVAL with a sentence in err when text is
 * none. "" shows all. */
int table_set_filter(struct table *t, const char *text, char *err, size_t cap);
/* By field name, "-" behind it reverses. -ENOENT. */
int table_set_sort(struct table *t, const char *spec);
void table_sort_step(struct table *t, int by);
void table_move(struct table *t, long by);
/* Row under the cursor, or NULL. */
const void *table_current(const struct table *t);

/* Header and rows in h lines; full: all columns as wide as needed, no cursor
 * (batch). Gives the lines used. */
int table_draw(struct table *t, struct canvas *c, int y, int h, bool batch);
/* "2 of 8 · sorted by USED% · filter ..." */
void table_status(const struct table *t, const char *what, char *buf,
    size_t cap);
/* Cells a batch table needs. */
int table_width(const struct table *t, const struct canvas *c);

#endif
