/* SPDX-License-Identifier: MIT */
/* The files that one storage waits for from another. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/num.h"
#include "tui/view_sync.h"

static enum role plain(const struct sync_file *f)
{
	return f->parked ? ROLE_WARN : ROLE_TEXT;
}

static enum role cell_name(const void *row, char *buf)
{
	const struct sync_file *f = row;

	str_copy(buf, TABLE_CELL, f->name);
	return plain(f);
}

static enum role cell_since(const void *row, char *buf)
{
	const struct sync_file *f = row;

	num_time(buf, f->at, clock_wall());
	return plain(f);
}

static double value_since(const void *row)
{
	return (double)((const struct sync_file *)row)->at;
}

static enum role cell_what(const void *row, char *buf)
{
	const struct sync_file *f = row;

	str_copy(buf, TABLE_CELL, op_code_name(f->op));
	return plain(f);
}

static enum role cell_size(const void *row, char *buf)
{
	const struct sync_file *f = row;

	if (f->parked)
		str_copy(buf, TABLE_CELL, "-");
	else
		num_bytes(buf, (int64_t)f->size);
	return f->parked ? ROLE_DIM : ROLE_TEXT;
}

static double value_size(const void *row)
{
	const struct sync_file *f = row;

	return f->parked ? NAN : (double)f->size;
}

static enum role cell_tries(const void *row, char *buf)
{
	const struct sync_file *f = row;

	if (f->parked)
		snprintf(buf, TABLE_CELL, "%u", f->tries);
	else
		str_copy(buf, TABLE_CELL, "-");
	return f->parked ? ROLE_WARN : ROLE_DIM;
}

static double value_tries(const void *row)
{
	const struct sync_file *f = row;

	return f->parked ? (double)f->tries : NAN;
}

static enum role cell_error(const void *row, char *buf)
{
	const struct sync_file *f = row;

	str_copy(buf, TABLE_CELL, f->error);
	return ROLE_WARN;
}

/* clang-format off */
const struct column waiting_columns[] = {
	{ "SINCE", "since", COL_TIME, 12, 1, false, false, cell_since,
	    value_since },
	{ "FILE", "file", COL_TEXT, 44, 0, false, true, cell_name, NULL },
	{ "WHAT", "what", COL_TEXT, 8, 2, false, false, cell_what, NULL },
	{ "SIZE", "size", COL_BYTES, 6, 0, true, false, cell_size,
	    value_size },
	{ "TRIES", "tries", COL_COUNT, 5, 4, true, false, cell_tries,
	    value_tries },
	{ "LAST ERROR", "error", COL_TEXT, 30, 3, false, false, cell_error,
	    NULL },
};
/* clang-format on */
const size_t n_waiting_columns = ARRAY_LEN(waiting_columns);

/* A parked file may wait again under the same name. */
void waiting_key(const void *row, char *buf)
{
	const struct sync_file *f = row;

	snprintf(buf, TABLE_CELL, "%s%s", f->parked ? "!" : "", f->name);
}

/* Are the files at hand those of the chosen pair? */
static bool is_here(const struct ui *ui)
{
	return ui->sync && strcmp(ui->sync->from, ui->sync_from) == 0 &&
	       strcmp(ui->sync->to, ui->sync_to) == 0;
}

void view_waiting_load(struct ui *ui)
{
	if (is_here(ui))
		table_load(&ui->waiting, ui->sync->files, ui->sync->n_files,
		    sizeof(*ui->sync->files));
	else
		table_load(&ui->waiting, NULL, 0, sizeof(struct sync_file));
}

static void draw_reason(struct canvas *c, int y, const struct ui *ui,
    const struct sync_pair *p)
{
	if (p && !p->exact)
		canvas_printf(c, y, 1, ROLE_TEXT,
		    "The log of %s is not in reach: only its host can list "
		    "them (--db).",
		    p->from);
	else if (!is_here(ui))
		canvas_printf(c, y, 1, ROLE_DIM, "reading the log …");
	else if (p && p->pair.backlog.ops > 0)
		canvas_printf(c, y, 1, ROLE_TEXT,
		    "Files of a first copy that were not looked at yet.");
	else
		canvas_printf(c, y, 1, ROLE_TEXT, "Nothing waits.");
}

static void draw_parked(struct canvas *c, int y, const struct sync_file *f)
{
	char at[NUM_MAX];

	canvas_printf(c, y, 1, ROLE_WARN,
	    "could not be sent, %u tries, next %s: %s", f->tries,
	    num_time(at, f->next, clock_wall()), f->error);
}

void view_waiting(struct canvas *c, struct area a, struct ui *ui)
{
	const struct sync_pair *p = sync_selected(ui);
	const struct sync_file *f;
	char what[80];

	view_waiting_load(ui);
	f = table_current(&ui->waiting);
	snprintf(what, sizeof(what), "%s → %s", ui->sync_from, ui->sync_to);
	canvas_rule(c, a.y, 0, a.w, what, "");
	if (ui->waiting.n_all == 0)
		draw_reason(c, a.y + 2, ui, p);
	else
		table_draw(&ui->waiting, c, a.y + 1, a.h - 2, ui->batch);
	if (f && f->parked && a.h > 4)
		draw_parked(c, a.y + a.h - 1, f);
	table_status(&ui->waiting, "file", ui->status, sizeof(ui->status));
}
