/* SPDX-License-Identifier: MIT */
/*
 * Batch output: a view on a canvas that is as wide as the view needs and as
 * long as it has rows, printed as text.
 */
#include <stdio.h>
#include <string.h>

#include "tui/num.h"
#include "tui/ui.h"

#define LINES_MAX      900
#define OVERVIEW_WIDTH 132

static void print_head(FILE *out, const struct ui *ui)
{
	const struct snapshot *s = ui->s;
	char at[NUM_MAX];
	char pill[48];

	num_rfc3339(at, ui->now);
	frame_pill(ui, pill, sizeof(pill));
	fprintf(out, "== %s %s %s", at, ui->cluster,
	    s && s->n_asked > 0 ? word_of(s->verdict) : "-");
	if (s && s->n_problems > 0)
		fprintf(out, " %zu", s->n_problems);
	fprintf(out, " %s\n", pill);
	for (size_t i = 0; s && i < s->n_problems; i++)
		fprintf(out, "%s %s %s\n", word_of(s->problems[i].severity),
		    s->problems[i].code, s->problems[i].text);
}

static void draw_table_batch(struct canvas *c, struct table *t, int width)
{
	const int rows = (int)size_min(t->n_shown + 1, LINES_MAX);

	canvas_reset(c, rows, width > 0 ? width : table_width(t, c));
	t->top = t->at = 0;
	table_draw(t, c, 0, rows, true);
}

void batch_print(FILE *out, struct ui *ui, struct canvas *c, int width)
{
	ui->batch = true;
	print_head(out, ui);
	if (ui->view == VIEW_STORAGES && ui->s && ui->s->data_at > 0) {
		view_storages_load(ui);
		draw_table_batch(c, &ui->storages, width);
	} else if (ui->view == VIEW_FILES && ui->files &&
	           ui->files->state == FILES_READY) {
		view_files_load(ui);
		draw_table_batch(c, &ui->hits, width);
	} else {
		const struct area a = { 0, 0, 46,
			width > 0 ? width : OVERVIEW_WIDTH };

		canvas_reset(c, a.h, a.w);
		if (ui->view == VIEW_FILES)
			view_files(c, a, ui);
		else if (ui->view == VIEW_STORAGE)
			view_storage(c, a, ui);
		else if (ui->view == VIEW_SYNC)
			view_sync(c, a, ui);
		else
			view_overview(c, a, ui);
	}
	canvas_print(c, out, true);
	fputc('\n', out);
	fflush(out);
}
