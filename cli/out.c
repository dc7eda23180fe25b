/* SPDX-License-Identifier: MIT */
/*
 * Tables. Cells are formatted and escaped when they come, kept for a block of
 * rows, and laid out when the block is full: memory does not grow with the
 * number of rows. The first block decides which columns fit; later blocks
 * only widen. libsmartcols aligns and prints.
 */
#include "cli/out.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/log.h"
#include "cli/out_impl.h"
#include "cli/stop.h"

#define BLOCK_ROWS  1000
#define PIPE_WIDTH  132
#define GAP         2
#define CUT_WIDTH   16 /* a column that may be cut keeps this much */
#define CELL_CUT_AT 60 /* wider cells than this are cut when they may be */

#define ROW(l, nm, ty, member, ...)                                         \
	{                                                                   \
		.letter = (l), .name = (nm), .type = (ty),                  \
		.offset = offsetof(struct out_options, member), __VA_ARGS__ \
	}

static const struct opt_row rows[] = {
	ROW(0, "json", OPT_SET, format, .value = OUT_JSON,
	    .help = "one JSON object: rows and what they cover"),
	ROW(0, "ndjson", OPT_SET, format, .value = OUT_NDJSON,
	    .help = "one JSON object a line"),
	ROW(0, "csv", OPT_SET, format, .value = OUT_CSV,
	    .help = "comma-separated values"),
	ROW(0, "tsv", OPT_SET, format, .value = OUT_TSV,
	    .help = "tab-separated values, escaped"),
	ROW('0', "print0", OPT_SET, format, .value = OUT_PRINT0,
	    .help = "the first column of each row, ended by NUL"),
	ROW('o', "columns", OPT_TEXT, columns, .arg = "LIST",
	    .help = "columns to show; +NAME and -NAME change the default set"),
	ROW(0, "list-columns", OPT_FLAG, list_columns,
	    .help = "list the columns and what they mean"),
	ROW('H', "no-header", OPT_FLAG, no_header, .help = "no heading line"),
	ROW(0, "wide", OPT_FLAG, wide,
	    .help = "all columns, whatever the width of the terminal"),
	ROW(0, "width", OPT_NUMBER, width, .arg = "N",
	    .help = "width of tables; 0 is unlimited"),
	ROW('B', "bytes", OPT_FLAG, bytes,
	    .help = "sizes in bytes, not rounded"),
	ROW('q', "quiet", OPT_COUNT, quiet, .help = "no notes on stderr"),
	ROW('v', "verbose", OPT_COUNT, verbose,
	    .help = "say on stderr what was asked and how many rows there are"),
};

const struct opt_table out_opt_table = { "output", rows, ARRAY_LEN(rows), 0 };

bool out_for_people(const struct out_options *o)
{
	return o->format == OUT_TABLE;
}

/* Pipes fail in one way only. */
static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

enum status out_flush(void)
{
	static bool said;
	int rc = 0;

	errno = 0;
	if (fflush(stdout) != 0)
		rc = -errno;
	else if (ferror(stdout))
		rc = is_pipe(STDOUT_FILENO) ? -EPIPE : -EIO;
	if (rc == 0 || rc == -EPIPE)
		return STATUS_OK;
	if (said)
		return STATUS_PART;
	said = true;
	return err_say((struct err){ .status = STATUS_PART, .rc = rc },
	    "cannot write the output: %s; it is incomplete", errstr(rc));
}

static size_t display_width(const char *s)
{
	wchar_t wide[256];
	size_t sum = 0;

	while (*s) {
		mbstate_t state;
		size_t n;
		int w;

		memset(&state, 0, sizeof(state));
		n = mbsnrtowcs(wide, &s, strlen(s), ARRAY_LEN(wide), &state);
		if (n == (size_t)-1)
			return sum + strlen(s);
		w = wcswidth(wide, n);
		sum += w > 0 ? (size_t)w : n;
		if (!s)
			break;
	}
	return sum;
}

static size_t terminal_width(const struct out_options *o)
{
	struct winsize ws;
	const char *columns = getenv("COLUMNS");
	uint64_t n;

	if (o->wide || o->width == 0)
		return SIZE_MAX;
	if (o->width != OUT_WIDTH_AUTO)
		return (size_t)o->width;
	if (!isatty(STDOUT_FILENO))
		return PIPE_WIDTH;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	if (columns && str_to_u64(columns, &n) == 0 && n > 0)
		return (size_t)n;
	return 80;
}

static const struct out_column *column_at(const struct out *out, size_t i)
{
	return &out->layout.columns[out->shown[i]];
}

/* What people see: without the unit, blanks for underscores. */
static void title_of(const struct out_column *c, char *buf, size_t cap)
{
	size_t n;

	str_copy(buf, cap, c->name);
	n = strlen(buf);
	if (n > 3 && strcmp(buf + n - 3, "_us") == 0)
		buf[n - 3] = '\0';
	for (char *p = buf; *p; p++)
		*p = (char)(*p == '_' ? ' ' : *p);
}

static void measure(struct out *out)
{
	for (size_t i = 0; i < out->n_shown; i++) {
		char title[64];
		size_t w;

		title_of(column_at(out, i), title, sizeof(title));
		w = strlen(title);

		for (size_t r = 0; r < out->n_block; r++)
			w = size_max(w,
			    display_width(
			        out->block[r * out->layout.n + out->shown[i]]));
		out->widths[i] = size_max(out->widths[i], w);
	}
}

static size_t total_width(const struct out *out)
{
	size_t sum = 0;

	for (size_t i = 0; i < out->n_shown; i++)
		sum += out->widths[i] + (i > 0 ? GAP : 0);
	return sum;
}

static void shrink(struct out *out, size_t room)
{
	for (size_t i = 0; i < out->n_shown; i++) {
		const size_t total = total_width(out);
		size_t over;

		if (!(column_at(out, i)->flags & OUT_CUT))
			continue;
		if (room != SIZE_MAX)
			out->widths[i] = size_min(out->widths[i], CELL_CUT_AT);
		over = total > room ? total - room : 0;
		if (over == 0 || out->widths[i] <= CUT_WIDTH)
			continue;
		out->widths[i] = size_max(CUT_WIDTH,
		    out->widths[i] - size_min(over, out->widths[i]));
	}
}

/* Takes the least important column out; false when none may go. */
static bool drop_one(struct out *out)
{
	size_t worst = SIZE_MAX;

	for (size_t i = 0; i < out->n_shown; i++) {
		const struct out_column *c = column_at(out, i);

		if (c->flags & OUT_KEEP)
			continue;
		if (worst == SIZE_MAX || c->rank >= column_at(out, worst)->rank)
			worst = i;
	}
	if (worst == SIZE_MAX || out->n_shown == 1)
		return false;
	out->dropped[out->n_dropped++] = column_at(out, worst)->name;
	for (size_t i = worst; i + 1 < out->n_shown; i++) {
		out->shown[i] = out->shown[i + 1];
		out->widths[i] = out->widths[i + 1];
	}
	out->n_shown--;
	return true;
}

static void lay_out(struct out *out)
{
	const size_t room = terminal_width(&out->options);

	measure(out);
	shrink(out, room);
	if (out->laid_out)
		return;
	out->laid_out = true;
	while (
	    !out->options.columns && total_width(out) > room && drop_one(out)) {
		measure(out);
		shrink(out, room);
	}
}

static bool is_right(const struct out_column *c)
{
	return c->type != OUT_TEXT && c->type != OUT_PAIRS &&
	       c->type != OUT_TIME && c->type != OUT_BOOL && c->type != OUT_CRC;
}

/* Cuts a text to a width of w, with an ellipsis. */
static void cut(char **cell, size_t w)
{
	const char *dots = MB_CUR_MAX > 1 ? "\xe2\x80\xa6" : "~";
	char *s = *cell;
	size_t at = 0;
	size_t used = 0;

	if (display_width(s) <= w)
		return;
	for (;;) {
		const size_t n = size_max(1, out_utf8(s + at, strlen(s + at)));
		char one[8];

		memcpy(one, s + at, n);
		one[n] = '\0';
		if (used + display_width(one) + 1 > w)
			break;
		used += display_width(one);
		at += n;
	}
	s = xrealloc(s, at + strlen(dots) + 1, 1);
	memcpy(s + at, dots, strlen(dots) + 1);
	*cell = s;
}

static void fill(struct out *out, struct libscols_table *tb)
{
	for (size_t r = 0; r < out->n_block; r++) {
		struct libscols_line *line = scols_table_new_line(tb, NULL);

		for (size_t i = 0; line && i < out->n_shown; i++) {
			char **cell =
			    &out->block[r * out->layout.n + out->shown[i]];

			if (column_at(out, i)->flags & OUT_CUT)
				cut(cell, out->widths[i]);
			scols_line_set_data(line, i, *cell);
		}
	}
}

static void add_column(const struct out *out, struct libscols_table *tb,
    size_t i)
{
	char title[64];
	struct libscols_column *c;

	title_of(column_at(out, i), title, sizeof(title));
	for (char *p = title; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
	c = scols_table_new_column(tb, title, 1,
	    is_right(column_at(out, i)) ? SCOLS_FL_RIGHT : 0);
	if (c && i + 1 < out->n_shown)
		scols_column_set_whint(c, (double)out->widths[i]);
}

static void print_block(struct out *out)
{
	struct libscols_table *tb;

	lay_out(out);
	tb = scols_new_table();
	if (!tb)
		return;
	scols_table_enable_noencoding(tb, 1);
	scols_table_enable_nowrap(tb, 1);
	scols_table_enable_noheadings(tb,
	    out->options.no_header || out->rows > out->n_block);
	scols_table_set_column_separator(tb, "  ");
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	for (size_t i = 0; i < out->n_shown; i++)
		add_column(out, tb, i);
	fill(out, tb);
	scols_table_set_stream(tb, stdout);
	scols_print_table(tb);
	scols_unref_table(tb);
}

static void print_record(struct out *out)
{
	size_t w = 0;

	for (size_t i = 0; i < out->n_shown; i++)
		w = size_max(w, strlen(column_at(out, i)->name));
	if (out->rows > out->n_block)
		putchar('\n');
	for (size_t i = 0; i < out->n_shown; i++)
		if (strcmp(out->block[out->shown[i]], "-") != 0)
			printf("%-*s  %s\n", (int)w, column_at(out, i)->name,
			    out->block[out->shown[i]]);
}

static void flush_block(struct out *out)
{
	if (out->n_block > 0 && out->layout.records)
		print_record(out);
	else if (out->n_block > 0)
		print_block(out);
	for (size_t i = 0; i < out->n_block * out->layout.n; i++)
		free(out->block[i]);
	out->n_block = 0;
}

enum status out_open(const struct out_options *o, const struct out_layout *l,
    struct out **result)
{
	struct out *out;
	enum status st;

	*result = NULL;
	if (l->n > OUT_COLUMNS_MAX)
		return err_usage(NULL, "more than %d columns cannot be shown",
		    OUT_COLUMNS_MAX);
	if (o->list_columns || (o->columns && strcmp(o->columns, "?") == 0)) {
		out_print_columns(l);
		return STATUS_OK;
	}
	out = xcalloc(1, sizeof(*out));
	out->options = *o;
	out->layout = *l;
	st = out_choose(out, o->columns);
	if (st != STATUS_OK) {
		free(out);
		return st;
	}
	if (out_for_people(o))
		out->block = xcalloc((l->records ? 1 : BLOCK_ROWS) * l->n,
		    sizeof(*out->block));
	else
		out_machine_open(out);
	*result = out;
	return STATUS_OK;
}

bool out_wants(const struct out *out, size_t column)
{
	for (size_t i = 0; i < out->n_shown; i++)
		if (out->shown[i] == column)
			return true;
	return false;
}

uint64_t out_rows(const struct out *out)
{
	return out->rows;
}

bool out_row(struct out *out, const struct out_cell *cells)
{
	const size_t n = out->layout.n;

	if (!out_for_people(&out->options)) {
		out_machine_row(out, cells);
		out->rows++;
	} else {
		char **row = out->block + out->n_block * n;

		for (size_t i = 0; i < n; i++)
			row[i] = out_wants(out, i)
			             ? out_value(out, &out->layout.columns[i],
			                   &cells[i])
			             : NULL;
		out->n_block++;
		out->rows++;
		if (out->n_block == (out->layout.records ? 1 : BLOCK_ROWS))
			flush_block(out);
	}
	return !ferror(stdout) && !stop_asked();
}

static void say_dropped(const struct out *out)
{
	char list[1024];
	struct strbuf b = strbuf_over(list, sizeof(list));

	for (size_t i = 0; i < out->n_dropped; i++)
		strbuf_addf(&b, "%s%s", i > 0 ? ", " : "", out->dropped[i]);
	if (out->n_dropped > 0 && !out->options.quiet)
		err_note("%zu column%s hidden: %s (--wide or --columns)",
		    out->n_dropped, out->n_dropped > 1 ? "s" : "", list);
}

enum status out_close(struct out *out, const struct out_end *end)
{
	enum status st;
	const bool talk = isatty(STDERR_FILENO) || out->options.verbose;

	if (out_for_people(&out->options))
		flush_block(out);
	else
		out_machine_close(out, end);
	st = out_flush();
	if (out_for_people(&out->options)) {
		say_dropped(out);
		if (out->rows == 0 && out->layout.empty && !out->options.quiet)
			err_note("%s", out->layout.empty);
	}
	if (end->summary && out->rows > 0 && talk && !out->options.quiet)
		err_note("%s", end->summary);
	free(out->block);
	free(out);
	return st;
}
