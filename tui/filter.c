/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tui/table.h"

static int find_column(const struct column *columns, size_t n, const char *name,
    size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(columns[i].field) == len &&
		    strncasecmp(columns[i].field, name, len) == 0)
			return (int)i;
	}
	return -1;
}

/* A number as people write it for this kind of column. */
static int parse_number(enum column_kind kind, const char *text, double *out)
{
	char *end;
	uint64_t size;
	int64_t seconds;

	if (kind == COL_TIME && str_to_duration(text, &seconds) == 0) {
		*out = (double)seconds;
		return 0;
	}
	if (kind == COL_BYTES && str_to_size(text, &size) == 0) {
		*out = (double)size;
		return 0;
	}
	*out = strtod(text, &end);
	if (end == text || isnan(*out))
		return -EINVAL;
	if (*end == 'k' && kind == COL_COUNT && end[1] == '\0')
		*out *= 1000;
	else if (*end != '\0' && !(*end == '%' && end[1] == '\0'))
		return -EINVAL;
	return 0;
}

static int parse_term(char *word, const struct column *columns, size_t n,
    struct filter_term *t, char *err, size_t cap)
{
	size_t len = strcspn(word, "=<>!");

	*t = (struct filter_term){ .column = -1 };
	if (*word == '!') {
		t->negate = true;
		word++;
		len = strcspn(word, "=<>!");
	}
	if (word[len] == '\0' || len == 0) {
		str_copy(t->text, sizeof(t->text), word);
		return 0;
	}
	t->column = find_column(columns, n, word, len);
	if (t->column < 0) {
		snprintf(err, cap, "there is no column %.*s", (int)len, word);
		return -EINVAL;
	}
	word += len;
	t->op[0] = *word++;
	if (*word == '=')
		t->op[1] = *word++;
	if (strcmp(t->op, "!") == 0 || strcmp(t->op, "==") == 0) {
		snprintf(err, cap, "%s is no comparison; = != < <= > >= are",
		    t->op);
		return -EINVAL;
	}
	str_copy(t->text, sizeof(t->text), word);
	if (t->op[0] == '<' || t->op[0] == '>') {
		if (!columns[t->column].value ||
		    parse_number(columns[t->column].kind, word, &t->number)) {
			snprintf(err, cap, "%s cannot be compared with '%s'",
			    columns[t->column].field, word);
			return -EINVAL;
		}
	}
	return 0;
}

int filter_parse(const char *text, const struct column *columns, size_t n,
    struct filter *out, char *err, size_t cap)
{
	char copy[FILTER_MAX];
	char *save = NULL;
	bool after_or = false;
	struct filter f = { 0 };

	str_copy(copy, sizeof(copy), text);
	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		int rc;

		if (strcmp(word, "or") == 0) {
			after_or = f.n > 0;
			continue;
		}
		if (f.n == FILTER_TERMS) {
			snprintf(err, cap, "a filter has at most %d terms",
			    FILTER_TERMS);
			return -EINVAL;
		}
		rc = parse_term(word, columns, n, &f.terms[f.n], err, cap);
		if (rc < 0)
			return rc;
		f.terms[f.n++].after_or = after_or;
		after_or = false;
	}
	*out = f;
	return 0;
}

static bool any_glob(const char *globs, const char *text)
{
	char copy[FILTER_MAX];
	char *save = NULL;

	str_copy(copy, sizeof(copy), globs);
	for (char *g = strtok_r(copy, ",", &save); g;
	     g = strtok_r(NULL, ",", &save)) {
		if (fnmatch(g, text, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

static bool compare(const struct filter_term *t, double v)
{
	if (isnan(v))
		return false;
	if (t->op[0] == '<')
		return t->op[1] ? v <= t->number : v < t->number;
	return t->op[1] ? v >= t->number : v > t->number;
}

static bool equals(const struct filter_term *t, const struct column *col,
    const void *row)
{
	char cell[TABLE_CELL];
	double number;

	if (col->value && parse_number(col->kind, t->text, &number) == 0 &&
	    col->value(row) == number)
		return true;
	col->text(row, cell);
	return any_glob(t->text, cell);
}

static bool term_match(const struct filter_term *t,
    const struct column *columns, size_t n, const void *row)
{
	char cell[TABLE_CELL];

	if (t->column >= 0) {
		const struct column *col = &columns[t->column];

		if (t->op[0] == '<' || t->op[0] == '>')
			return compare(t, col->value(row));
		return equals(t, col, row) == (t->op[0] == '=');
	}
	for (size_t i = 0; i < n; i++) {
		columns[i].text(row, cell);
		if (strcasestr(cell, t->text))
			return true;
	}
	return false;
}

bool filter_match(const struct filter *f, const struct column *columns,
    size_t n, const void *row)
{
	bool all = true;

	for (size_t i = 0; i < f->n; i++) {
		const struct filter_term *t = &f->terms[i];

		if (t->after_or) {
			if (all)
				return true;
			all = true;
		}
		if (all && term_match(t, columns, n, row) == t->negate)
			all = false;
	}
	return all;
}
