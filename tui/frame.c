/* SPDX-License-Identifier: MIT */
/*
 * What every view has around it: title, verdict, list of views, status, keys.
 * A small screen loses the list of views first, then the status line; what a
 * view drops is its own business.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tui/num.h"
#include "tui/ui.h"

#define TINY_ROWS 10 /* below: one line */
#define TINY_COLS 40
#define TABS_ROWS 16 /* below: no list of views */
#define WIDE      120

static const struct {
	const char *key;
	const char *name, *upper;
	const char *crumb; /* "" the top */
	bool tab;
} views[N_VIEWS] = {
	[VIEW_OVERVIEW] = { "1", "Overview", "OVERVIEW", "", true },
	[VIEW_STORAGES] = { "3", "Storages", "STORAGES", "storages", true },
	[VIEW_SYNC] = { "5", "Sync", "SYNC", "sync", true },
	[VIEW_FILES] = { "6", "Files", "FILES", "files", true },
	[VIEW_STORAGE] = { "3", "Storages", "STORAGES", "storages", false },
	[VIEW_WAITING] = { "5", "Sync", "SYNC", "sync › waiting", false },
	[VIEW_SETUP] = { "", "Setup", "SETUP", "", false },
};

enum role role_of(enum severity severity)
{
	static const enum role roles[] = { ROLE_OK, ROLE_INFO, ROLE_WARN,
		ROLE_CRIT };

	return roles[severity];
}

const char *word_of(enum severity severity)
{
	static const char *const words[] = { "ok", "info", "WARN", "CRIT" };

	return words[severity];
}

static void pill_age(const char *source, int64_t seconds, char *buf, size_t cap)
{
	char age[NUM_MAX];

	snprintf(buf, cap, "%s %s", source, num_age(age, seconds));
}

void frame_pill(const struct ui *ui, char *buf, size_t cap)
{
	const struct snapshot *s = ui->s;
	const bool tracked = s && s->n_asked > 0;

	if (ui->paused) {
		pill_age("PAUSED", (ui->now - ui->paused_at) / 1000, buf, cap);
	} else if ((ui->view == VIEW_FILES || !tracked) && ui->files &&
	           ui->files->n_dbs > 0) {
		if (ui->files->have_lag)
			pill_age("DB", ui->files->behind_s, buf, cap);
		else
			snprintf(buf, cap, "DB");
	} else if (!tracked) {
		buf[0] = '\0';
	} else if (!s->live) {
		snprintf(buf, cap, "%s",
		    s->complete ? "NO LINK" : "CONNECTING");
	} else if (s->worst_age > BEAT_STALE) {
		pill_age("STALE", s->worst_age, buf, cap);
	} else if (s->worst_age != UNKNOWN) {
		pill_age("HB", s->worst_age, buf, cap);
	} else {
		snprintf(buf, cap, "HB");
	}
}

static void clock_text(const struct ui *ui, bool wide, char *buf, size_t cap)
{
	const time_t t = (time_t)(ui->now / 1000);
	struct tm tm;

	buf[0] = '\0';
	if (ui->no_clock || !localtime_r(&t, &tm))
		return;
	if (wide)
		strftime(buf, cap, "%a %d %b %H:%M:%S", &tm);
	else
		strftime(buf, cap, "%H:%M:%S", &tm);
}

/* "trk 3/3 ★t1", and with the leader's address when there is room. */
static void tracker_text(const struct ui *ui, bool wide, char *buf, size_t cap)
{
	const struct snapshot *s = ui->s;
	struct strbuf b = strbuf_over(buf, cap);

	if (!s || s->n_asked == 0)
		return;
	strbuf_addf(&b, "%s %zu/%zu", wide ? "trackers" : "trk", s->n_answering,
	    s->n_asked);
	for (size_t i = 0; s->live && i < s->n_trackers; i++) {
		const struct tracker *t = &s->trackers[i];

		if (!t->leader)
			continue;
		strbuf_addf(&b, " ★%s", t->name);
		if (wide)
			strbuf_addf(&b, " %s", t->address);
		break;
	}
}

static void draw_title(struct canvas *c, const struct ui *ui)
{
	const bool wide = c->cols >= WIDE;
	char trackers[128] = "";
	char pill[48];
	char clock[40];
	int right = c->cols - 1;
	int x;

	clock_text(ui, wide, clock, sizeof(clock));
	tracker_text(ui, wide, trackers, sizeof(trackers));
	frame_pill(ui, pill, sizeof(pill));
	canvas_right(c, 0, 0, right, ROLE_TITLE, clock);
	right -= clock[0] ? canvas_width(c, clock) + 3 : 0;
	canvas_right(c, 0, 0, right,
	    strncmp(pill, "HB", 2) == 0 || strncmp(pill, "DB", 2) == 0
	        ? ROLE_TITLE
	        : ROLE_WARN,
	    pill);
	/* The pill changes its width: what is left of it must not move. */
	right -= 13;
	if (right - canvas_width(c, trackers) > 16) {
		canvas_right(c, 0, 0, right, ROLE_TITLE, trackers);
		right -= canvas_width(c, trackers) + 1;
	}
	x = 1 + canvas_text(c, 0, 1, right - 1, ROLE_TITLE, ui->cluster);
	if (views[ui->view].crumb[0] && right - x > 6) {
		x += canvas_text(c, 0, x, right - x, ROLE_DIM, " › ");
		x += canvas_text(c, 0, x, right - x, ROLE_CRUMB,
		    views[ui->view].crumb);
	}
	if (ui->view == VIEW_STORAGE && right - x > 6) {
		x += canvas_text(c, 0, x, right - x, ROLE_DIM, " › ");
		canvas_text(c, 0, x, right - x, ROLE_CRUMB, ui->subject_id);
	}
}

static void no_link_text(const struct ui *ui, char *buf, size_t cap)
{
	const struct snapshot *s = ui->s;
	struct strbuf b = strbuf_over(buf, cap);
	char age[NUM_MAX];

	strbuf_addf(&b, "no tracker answers");
	if (s->data_at > 0)
		strbuf_addf(&b, " for %s",
		    num_age(age, (s->at - s->data_at) / 1000));
	if (ui->retry_in > 0)
		strbuf_addf(&b, "; trying again in %d s", ui->retry_in);
	else if (ui->retry_in == 0)
		strbuf_addf(&b, "; trying again now");
	if (s->n_trackers > 0)
		strbuf_addf(&b, " (attempt %u)", s->trackers[0].failures + 1);
}

void frame_verdict(struct canvas *c, int y, const struct ui *ui,
    bool with_cluster)
{
	const struct snapshot *s = ui->s;
	char text[160];
	int x = 1;

	if (with_cluster)
		x = canvas_printf(c, y, x, ROLE_TITLE, "%s ", ui->cluster);
	if (!s || s->n_asked == 0) {
		canvas_printf(c, y, x, ROLE_DIM,
		    "no tracker is asked; metadata files only");
		return;
	}
	if (!s->live && !s->complete) {
		canvas_printf(c, y, x, ROLE_DIM, "connecting to %s …",
		    s->trackers[0].address);
		return;
	}
	if (s->verdict < SEV_WARN) {
		canvas_printf(c, y, x, ROLE_OK,
		    "ok    no problems among what the trackers can tell");
		return;
	}
	if (!s->live) {
		no_link_text(ui, text, sizeof(text));
		x = canvas_printf(c, y, x, ROLE_CRIT, "CRIT");
		canvas_printf(c, y, x + 2, ROLE_TEXT, "%s", text);
		return;
	}
	x = canvas_printf(c, y, x, role_of(s->verdict), "%s %zu",
	    word_of(s->verdict), s->n_problems);
	x += 2;
	for (size_t i = 0; i < s->n_problems && x < c->cols - 8; i++) {
		const struct problem *p = &s->problems[i];

		if (i > 0)
			x = canvas_printf(c, y, x, ROLE_DIM, " · ");
		if (c->cols >= WIDE)
			x = canvas_printf(c, y, x, ROLE_DIM, "%s ", p->code);
		x += canvas_text(c, y, x, c->cols - 1 - x, ROLE_TEXT, p->text);
	}
}

static void draw_tabs(struct canvas *c, int y, const struct ui *ui)
{
	int x = 1;

	for (size_t v = 0; v < N_VIEWS; v++) {
		const bool now =
		    !ui->help && strcmp(views[v].key, views[ui->view].key) == 0;

		if (!views[v].tab)
			continue;
		x = canvas_printf(c, y, x, now ? ROLE_TAB_NOW : ROLE_TAB,
		    "%s %s", views[v].key,
		    now ? views[v].upper : views[v].name);
		x += c->cols >= WIDE ? 3 : 2;
	}
	canvas_right(c, y, c->cols - 8, 7, ui->help ? ROLE_TAB_NOW : ROLE_TAB,
	    ui->help ? "? HELP" : "? Help");
}

static const char *prompt_label(enum prompt prompt)
{
	return prompt == PROMPT_FILTER ? "filter" : "find";
}

static void draw_status(struct canvas *c, int y, const struct ui *ui)
{
	int x = 1;

	if (ui->prompt == PROMPT_FILTER || ui->prompt == PROMPT_FIND) {
		x = canvas_printf(c, y, x, ROLE_PROMPT, "%s ",
		    prompt_label(ui->prompt));
		x = canvas_printf(c, y, x, ROLE_TEXT, "%s", ui->input);
		c->cursor_y = y;
		c->cursor_x = x < c->cols ? x : c->cols - 1;
		canvas_put(c, y, x, ROLE_PROMPT, 0x258f);
	} else if (ui->message[0] && ui->now < ui->message_until) {
		canvas_printf(c, y, x, ui->message_bad ? ROLE_WARN : ROLE_INFO,
		    "%s", ui->message);
	} else {
		canvas_printf(c, y, x, ROLE_DIM, "%s", ui->status);
	}
}

/* A hint: the key apart from its word. */
static int draw_hint(struct canvas *c, int y, int x, const char *hint)
{
	const char *blank = strchr(hint, ' ');
	char key[32];

	if (!blank)
		return canvas_printf(c, y, x, ROLE_HINT, "%s", hint);
	str_copy_span(key, sizeof(key),
	    (struct span){ hint, (size_t)(blank - hint) });
	x = canvas_printf(c, y, x, ROLE_KEY, "%s", key);
	return canvas_printf(c, y, x, ROLE_HINT, "%s", blank);
}

static void draw_keys(struct canvas *c, int y, const struct ui *ui)
{
	const bool top = ui->view == VIEW_OVERVIEW && !ui->help;
	const char *last = top ? "q quit" : "Esc back";
	const int end = c->cols - 2 - canvas_width(c, last);
	int x = 1;

	if (ui->prompt != PROMPT_NONE) {
		x = draw_hint(c, y, x, "⏎ done");
		draw_hint(c, y, x + 2, "Esc leave");
		return;
	}
	for (size_t i = 0; !ui->help && i < n_key_rows; i++) {
		const struct key_row *row = &key_rows[i];

		if (!row->hint || !(row->views & ON(ui->view)))
			continue;
		if (x + canvas_width(c, row->hint) + 2 > end)
			break;
		x = draw_hint(c, y, x, row->hint) + 2;
	}
	if (end > 1)
		draw_hint(c, y, end + 1, last);
}

static void draw_view(struct canvas *c, struct area a, struct ui *ui)
{
	static void (*const draw[N_VIEWS])(struct canvas *, struct area,
	    struct ui *) = {
		[VIEW_OVERVIEW] = view_overview,
		[VIEW_STORAGES] = view_storages,
		[VIEW_SYNC] = view_sync,
		[VIEW_WAITING] = view_waiting,
		[VIEW_FILES] = view_files,
		[VIEW_STORAGE] = view_storage,
		[VIEW_SETUP] = view_setup,
	};

	ui->status[0] = '\0';
	if (ui->help)
		view_help(c, a, ui);
	else
		draw[ui->view](c, a, ui);
}

void frame_draw(struct canvas *c, int rows, int cols, struct ui *ui)
{
	struct area a;
	int top = 2;

	canvas_reset(c, rows, cols);
	rows = c->rows;
	cols = c->cols;
	if (ui->view == VIEW_SETUP) {
		view_setup(c, (struct area){ 0, 0, rows, cols }, ui);
		return;
	}
	if (rows < TINY_ROWS || cols < TINY_COLS) {
		frame_verdict(c, 0, ui, true);
		return;
	}
	draw_title(c, ui);
	frame_verdict(c, 1, ui, false);
	if (rows >= TABS_ROWS)
		draw_tabs(c, top++, ui);
	a = (struct area){ top, 0, rows - top - 2, cols };
	draw_view(c, a, ui);
	draw_status(c, rows - 2, ui);
	draw_keys(c, rows - 1, ui);
}
