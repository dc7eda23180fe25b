/* SPDX-License-Identifier: MIT */
/*
 * Columns are laid out anew at each drawing: all those that are always shown,
 * then the others by rank as long as they fit, each with one blank before it.
 */
#include "tui/table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, const struct column *columns, size_t n,
    void (*key)(const void *row, char *buf))
{
	*t = (struct table){ .columns = columns,
		.n_columns = size_min(n, TABLE_COLUMNS),
		.key = key,
		.sort = -1,
		.page = 1 };
}

void table_fini(struct table *t)
{
	free(t->shown);
	t->shown = NULL;
	t->n_shown = 0;
}

static int compare_values(const struct column *col, const void *a,
    const void *b)
{
	const double x = col->value(a);
	const double y = col->value(b);

	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	return x < y ? -1 : x > y;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct table *t = arg;
	const struct column *col = &t->columns[t->sort];
	const void *x = *(const void *const *)a;
	const void *y = *(const void *const *)b;
	char left[TABLE_CELL];
	char right[TABLE_CELL];
	int order;

	if (col->value) {
		order = compare_values(col, x, y);
		/* Unknown stays last in both directions. */
		if (isnan(col->value(x)) || isnan(col->value(y)))
			return order;
	} else {
		col->text(x, left);
		col->text(y, right);
		order = strverscmp(left, right);
	}
	if (order == 0)
		return x < y ? -1 : x > y;
	return t->reverse ? -order : order;
}

void table_load(struct table *t, const void *rows, size_t n, size_t size)
{
	char key[TABLE_CELL];

	t->shown = xrealloc(t->shown, n + 1, sizeof(*t->shown));
	t->n_all = n;
	t->n_shown = 0;
	for (size_t i = 0; i < n; i++) {
		const void *row = (const char *)rows + i * size;

		if (filter_match(&t->filter, t->columns, t->n_columns, row))
			t->shown[t->n_shown++] = row;
	}
	if (t->sort >= 0)
		qsort_r(t->shown, t->n_shown, sizeof(*t->shown), compare_rows,
		    t);
	for (size_t i = 0; t->cursor[0] && i < t->n_shown; i++) {
		t->key(t->shown[i], key);
		if (strcmp(key, t->cursor) == 0)
			t->at = i;
	}
	if (t->at >= t->n_shown)
		t->at = t->n_shown > 0 ? t->n_shown - 1 : 0;
	if (t->n_shown > 0)
		t->key(t->shown[t->at], t->cursor);
}

int table_set_filter(struct table *t, const char *text, char *err, size_t cap)
{
	const int rc =
	    filter_parse(text, t->columns, t->n_columns, &t->filter, err, cap);

	if (rc == 0)
		str_copy(t->filter_text, sizeof(t->filter_text), text);
	return rc;
}

int table_set_sort(struct table *t, const char *spec)
{
	const size_t n = strlen(spec);
	const bool reverse = n > 0 && spec[n - 1] == '-';

	for (size_t i = 0; i < t->n_columns; i++) {
		const char *field = t->columns[i].field;

		if (strlen(field) == n - reverse &&
		    strncasecmp(field, spec, n - reverse) == 0) {
			t->sort = (int)i;
			t->reverse = reverse;
			return 0;
		}
	}
	return -ENOENT;
}

/* Numbers are first shown with the largest on top. */
void table_sort_step(struct table *t, int by)
{
	const int n = (int)t->n_columns;

	/* One more place: the order in which the rows came. */
	t->sort = (t->sort + 1 + by + n + 1) % (n + 1) - 1;
	t->reverse = t->sort >= 0 && t->columns[t->sort].value != NULL;
}

void table_move(struct table *t, long by)
{
	const long last = (long)t->n_shown - 1;
	long at = (long)t->at + by;

	if (t->n_shown == 0)
		return;
	at = at < 0 ? 0 : at > last ? last : at;
	t->at = (size_t)at;
	t->key(t->shown[t->at], t->cursor);
}

const void *table_current(const struct table *t)
{
	return t->at < t->n_shown ? t->shown[t->at] : NULL;
}

static int column_width(const struct table *t, const struct canvas *c, size_t i,
    bool full)
{
	const struct column *col = &t->columns[i];
	int width = canvas_width(c, col->head);
	char cell[TABLE_CELL];

	if (col->width > width)
		width = col->width;
	if (!col->grow && !full)
		return width;
	for (size_t r = 0; r < t->n_shown; r++) {
		int w;

		col->text(t->shown[r], cell);
		w = canvas_width(c, cell);
		if (w > width)
			width = w;
	}
	return width;
}

int table_width(const struct table *t, const struct canvas *c)
{
	int sum = 1;

	for (size_t i = 0; i < t->n_columns; i++)
		sum += column_width(t, c, i, true) + 1;
	return sum;
}

/* Widths of the columns that are shown, 0 for those left out. */
static void lay_out(struct table *t, const struct canvas *c, bool full,
    int *widths)
{
	int room = c->cols - 1;
	uint8_t rank = 0;
	uint8_t last = 0;

	t->left_out = 0;
	for (size_t i = 0; i < t->n_columns; i++) {
		widths[i] = 0;
		if (t->columns[i].rank > last)
			last = t->columns[i].rank;
	}
	for (rank = 0; rank <= last; rank++) {
		for (size_t i = 0; i < t->n_columns; i++) {
			const int w = column_width(t, c, i, full);

			if (t->columns[i].rank != rank)
				continue;
			if (rank > 0 && room < w + 1) {
				t->left_out++;
				continue;
			}
			widths[i] = w;
			room -= w + 1;
		}
	}
}

static void draw_head(const struct table *t, struct canvas *c, int y,
    const int *widths)
{
	int x = 1;
	char head[32];

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *col = &t->columns[i];

		if (widths[i] == 0)
			continue;
		str_copy(head, sizeof(head), col->head);
		if (col->right)
			canvas_right(c, y, x, widths[i], ROLE_HEADER, head);
		else
			canvas_text(c, y, x, widths[i], ROLE_HEADER, head);
		/* The sign stands in the blank before or behind the word. */
		if ((int)i == t->sort)
			canvas_put(c, y,
			    col->right
			        ? x - 1 + widths[i] - canvas_width(c, head)
			        : x + canvas_width(c, head),
			    ROLE_MATCH, t->reverse ? 0x2193 : 0x2191);
		x += widths[i] + 1;
	}
}

static void draw_row(const struct table *t, struct canvas *c, int y,
    const void *row, const int *widths)
{
	int x = 1;
	char cell[TABLE_CELL];

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *col = &t->columns[i];
		enum role role;

		if (widths[i] == 0)
			continue;
		role = col->text(row, cell);
		if (col->right)
			canvas_right(c, y, x, widths[i], role, cell);
		else
			canvas_text(c, y, x, widths[i], role, cell);
		x += widths[i] + 1;
	}
}

int table_draw(struct table *t, struct canvas *c, int y, int h, bool batch)
{
	int widths[TABLE_COLUMNS];
	size_t rows = h > 1 ? (size_t)h - 1 : 0;

	lay_out(t, c, batch, widths);
	if (h < 1)
		return 0;
	draw_head(t, c, y, widths);
	t->page = size_max(rows, 1);
	if (t->at < t->top)
		t->top = t->at;
	if (t->at >= t->top + t->page)
		t->top = t->at - t->page + 1;
	if (t->n_shown <= t->page)
		t->top = 0;
	rows = size_min(rows, t->n_shown - size_min(t->n_shown, t->top));
	for (size_t i = 0; i < rows; i++) {
		const int at = y + 1 + (int)i;

		draw_row(t, c, at, t->shown[t->top + i], widths);
		if (!batch && t->top + i == t->at) {
			canvas_put(c, at, 0, ROLE_KEY, 0x25b8);
			canvas_reverse(c, at, 0, c->cols);
		}
	}
	return (int)rows + 1;
}

void table_status(const struct table *t, const char *what, char *buf,
    size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);

	if (t->n_shown > 0)
		strbuf_addf(&b, "%s %zu of %zu", what, t->at + 1, t->n_shown);
	else
		strbuf_addf(&b, "no %s", what);
	if (t->n_shown != t->n_all)
		strbuf_addf(&b, " (%zu in all)", t->n_all);
	if (t->sort >= 0)
		strbuf_addf(&b, " · sorted by %s", t->columns[t->sort].head);
	if (t->filter_text[0])
		strbuf_addf(&b, " · filter %s", t->filter_text);
	if (t->left_out > 0)
		strbuf_addf(&b, " · %zu columns left out", t->left_out);
}
