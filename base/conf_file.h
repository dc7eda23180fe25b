/* SPDX-License-Identifier: MIT */
/*
 * What the files of the configuration module share and nobody else includes:
 * conf_read.c turns text into items, conf_branch.c decides #@if and #@for,
 * conf_value.c reads one value, conf.c applies items to a table of keys.
 */
#ifndef BASE_CONF_FILE_H
#define BASE_CONF_FILE_H

#include <stdarg.h>

#include "base/conf.h"

/* Lines done, with all includes and loops. */
#define CONF_STEPS_MAX 200000

struct conf_item {
	const char *section;
	const char *name;
	const char *value;
	const char *file;
	unsigned line;
	bool known;  /* somebody asked for it */
	bool warned; /* that nobody did */
};

struct conf_pattern {
	const char *section;
	const char *text;
};

struct conf_file {
	const char *path;
	struct conf_item *items; /* in the order of the files */
	size_t n_items;
	size_t cap_items;
	struct conf_pattern *patterns;
	size_t n_patterns;
	void **owned; /* freed with the file */
	size_t n_owned;
	size_t cap_owned;
};

struct conf_line {
	char *text; /* trimmed */
	unsigned number;
};

struct conf_source {
	const char *file;
	struct conf_line *lines;
	size_t n;
};

/* A variable of an enclosing #@for. */
struct conf_var {
	const char *name;
	long long value;
	const struct conf_var *outer;
};

struct conf_reader {
	struct conf_file *cf;
	const char *section;
	const struct conf_var *vars;
	unsigned includes; /* nested now */
	unsigned blocks;   /* nested now */
	unsigned files;    /* in all */
	unsigned steps;    /* lines done, in all */
	char *err;
	size_t err_cap;
};

/* Makes p live as long as cf; gives it back. */
void *conf_own(struct conf_file *cf, void *p);

/* Writes "file:line: ..." to err; gives rc. */
int conf_fail(struct conf_reader *rd, int rc, const struct conf_source *src,
    unsigned line, const char *fmt, ...) ATTR_PRINTF(5, 6);
/* Does lines from..to-1. */
int conf_run_lines(struct conf_reader *rd, const struct conf_source *src,
    size_t from, size_t to);

/* Line *at is "#@..."; does it, with its block, and moves *at behind it. */
int conf_branch(struct conf_reader *rd, const struct conf_source *src,
    size_t *at, size_t to);

/* The field as it would stand in a file. */
const char *conf_value_print(const struct conf_key *k, const void *field,
    char *buf, size_t cap);

/* The last item of that name with a value, else the last one, or NULL. */
struct conf_item *conf_find(const struct conf_file *cf, const char *section,
    const char *name);
/* Does a pattern given to conf_know fit? */
bool conf_is_numbered(const struct conf_file *cf, const struct conf_item *it);

#endif
