/* SPDX-License-Identifier: MIT */
/*
 * Commands and options as rows. The parser, the help and the manual pages all
 * come from the same rows. Main thread only.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/err.h"

enum opt_type {
	OPT_FLAG,     /* bool: true */
	OPT_SET,      /* int: the row's value; the last one given wins */
	OPT_COUNT,    /* int: how often */
	OPT_TEXT,     /* const char * */
	OPT_LIST,     /* struct opt_list: every one given */
	OPT_NUMBER,   /* uint64_t in min..max */
	OPT_SIZE,     /* uint64_t bytes: 10M */
	OPT_DURATION, /* int64_t seconds: 5m */
	OPT_WORD      /* int: index into the '|'-separated words of arg */
};

struct opt_list {
	const char **items; /* owned; the texts are argv's */
	size_t n;
};

struct opt_row {
	const char *name; /* without dashes; NULL: none */
	const char *arg;  /* what help calls the argument */
	const char *help; /* one sentence, no full stop */
	size_t offset;    /* of the target in the struct of its table */
	uint64_t min, max;
	enum opt_type type;
	int value;   /* OPT_SET */
	char letter; /* 0: none */
};

struct opt_table {
	const char *title; /* "filters" */
	const struct opt_row *rows;
	size_t n;
	size_t base; /* where its struct stands in the command's options */
};

struct cli;

struct verb {
	const char *name;
	const char *alias;                     /* or NULL */
	const char *args;                      /* "FILE...", or "" */
	const char *help;                      /* one line */
	const char *more;                      /* sentences for its own help */
	const char *const *examples;           /* NULL at the end, or NULL */
	const struct opt_table *const *tables; /* NULL at the end, or NULL */
	size_t options_size;
	size_t min_args, max_args;
	enum status (*run)(struct cli *cli, const void *options);
};

struct program {
	const char *name;
	const char *about; /* one line */
	const char *more;  /* sentences */
	const char *const *examples;
	const struct verb *verbs;
	size_t n_verbs;
	bool has_db;     /* knows --db */
	const char *see; /* mdoc lines of SEE ALSO */
};

/* One table and the struct its options go to. */
struct opt_target {
	const struct opt_table *table;
	void *target;
};

struct opt_parse {
	const struct opt_target *targets;
	size_t n_targets;
	bool stop_at_word;  /* end before the first word that is no option */
	const char **words; /* room for argc */
	size_t n_words;
	int used; /* arguments taken */
};

/* Parses argv[0..argc). STATUS_OK, or STATUS_USAGE after saying why. */
enum status opt_parse(struct opt_parse *p, int argc, char **argv);

/* "M0A" or "10" as the number of a store path: 0..255, or -EINVAL. */
int opt_store_path(const char *text);

/* Option rows as help text. */
void opt_print(FILE *out, const struct opt_table *t);
/* "-o, --columns LIST" */
void opt_title(const struct opt_row *r, char *buf, size_t cap);

#endif
