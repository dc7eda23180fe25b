/* SPDX-License-Identifier: MIT */
#include "tui/view_sync.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MS 4000

const unsigned ui_intervals_ms[UI_INTERVALS] = { 500, 1000, 2000, 5000, 10000,
	30000, 60000 };

void ui_init(struct ui *ui, const char *cluster)
{
	*ui = (struct ui){ .interval = UI_INTERVAL_1S, .retry_in = -1 };
	str_copy(ui->cluster, sizeof(ui->cluster), cluster);
	table_init(&ui->storages, storage_columns, n_storage_columns,
	    storage_key);
	table_init(&ui->waiting, waiting_columns, n_waiting_columns,
	    waiting_key);
	table_init(&ui->hits, file_columns, n_file_columns, file_key);
}

void ui_fini(struct ui *ui)
{
	table_fini(&ui->storages);
	table_fini(&ui->waiting);
	table_fini(&ui->hits);
}

void ui_say(struct ui *ui, bool bad, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ui->message, sizeof(ui->message), fmt, ap);
	va_end(ap);
	ui->message_until = ui->now + MESSAGE_MS;
	ui->message_bad = bad;
}

static struct table *table_of(struct ui *ui)
{
	if (ui->view == VIEW_STORAGES)
		return &ui->storages;
	if (ui->view == VIEW_WAITING)
		return &ui->waiting;
	return ui->view == VIEW_FILES ? &ui->hits : NULL;
}

static void go_to(struct ui *ui, enum view_id view)
{
	if (view == ui->view)
		return;
	ui->last_view = ui->view;
	ui->view = view;
	if (view == VIEW_FILES)
		ui->wants |= WANT_SEARCH;
}

/* --- prompts --- */
static void open_prompt(struct ui *ui, enum prompt prompt, const char *text)
{
	ui->prompt = prompt;
	str_copy(ui->input, sizeof(ui->input), text);
	str_copy(ui->before, sizeof(ui->before), text);
}

/* Filters as it is typed; what is no filter yet leaves the last one. */
static void apply_filter(struct ui *ui)
{
	char err[128];

	(void)table_set_filter(&ui->storages, ui->input, err, sizeof(err));
}

/* What is no filter when it is done leaves the one before the prompt. */
static void accept_filter(struct ui *ui)
{
	char err[128];

	if (table_set_filter(&ui->storages, ui->input, err, sizeof(err)) == 0)
		return;
	ui_say(ui, true, "%s", err);
	str_copy(ui->input, sizeof(ui->input), ui->before);
	apply_filter(ui);
}

static void prompt_done(struct ui *ui)
{
	const enum prompt prompt = ui->prompt;

	ui->prompt = PROMPT_NONE;
	if (prompt == PROMPT_FILTER) {
		accept_filter(ui);
	} else if (prompt == PROMPT_FIND) {
		str_copy(ui->find, sizeof(ui->find), str_trim(ui->input));
		ui->hits.cursor[0] = '\0';
		ui->hits.at = 0;
		ui->wants |= WANT_SEARCH;
	} else if (prompt == PROMPT_TRACKER) {
		char *text = str_trim(ui->input);

		if (*text == '\0') {
			ui->prompt = PROMPT_TRACKER;
			return;
		}
		str_copy(ui->tracker, sizeof(ui->tracker), text);
		ui->wants |= WANT_TRACKER;
	}
}

static void prompt_leave(struct ui *ui)
{
	if (ui->prompt == PROMPT_TRACKER) {
		ui->wants |= WANT_QUIT;
		return;
	}
	if (ui->prompt == PROMPT_FILTER) {
		str_copy(ui->input, sizeof(ui->input), ui->before);
		apply_filter(ui);
	}
	ui->prompt = PROMPT_NONE;
}

/* Takes the last character away, whole. */
static void rub_out(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		text[n - 1] = '\0';
}

static void prompt_key(struct ui *ui, int key)
{
	char utf8[8];

	if (key == TK_ENTER) {
		prompt_done(ui);
		return;
	}
	if (key == TK_ESC || key == TK_CTRL('c')) {
		prompt_leave(ui);
		return;
	}
	if (key == TK_BACKSPACE || key == TK_DELETE) {
		rub_out(ui->input);
	} else if (key == TK_CTRL('u')) {
		ui->input[0] = '\0';
	} else if (key >= ' ' && key < TK_UP && key != 0x7f) {
		const size_t n = strlen(ui->input);

		canvas_utf8(utf8, (uint32_t)key);
		if (n + strlen(utf8) < sizeof(ui->input))
			str_copy(ui->input + n, sizeof(ui->input) - n, utf8);
	}
	if (ui->prompt == PROMPT_FILTER)
		apply_filter(ui);
}

/* --- moving --- */
static void move_group(struct ui *ui, long by)
{
	const long n = ui->s ? (long)ui->s->n_groups : 0;
	long at = 0;

	if (n == 0)
		return;
	for (long i = 0; i < n; i++) {
		if (strcmp(ui->s->groups[i].name, ui->group) == 0)
			at = i;
	}
	at = at + by < 0 ? 0 : at + by >= n ? n - 1 : at + by;
	str_copy(ui->group, sizeof(ui->group), ui->s->groups[at].name);
}

static void move_rows(struct ui *ui, long by)
{
	struct table *t = table_of(ui);

	if (t)
		table_move(t, by);
	else if (ui->view == VIEW_OVERVIEW)
		move_group(ui, by);
	else if (ui->view == VIEW_SYNC)
		sync_move(ui, by, 0);
}

static void page_rows(struct ui *ui, int direction)
{
	const struct table *t = table_of(ui);

	move_rows(ui, direction * (t ? (long)t->page : 8));
}

static void show_storage(struct ui *ui, const struct storage *st)
{
	if (!st)
		return;
	str_copy(ui->subject_group, sizeof(ui->subject_group), st->group);
	str_copy(ui->subject_id, sizeof(ui->subject_id), st->id);
	go_to(ui, VIEW_STORAGE);
}

static void open_row(struct ui *ui)
{
	char filter[40];
	char err[64];

	if (ui->view == VIEW_STORAGES) {
		show_storage(ui, table_current(&ui->storages));
	} else if (ui->view == VIEW_SYNC && sync_selected(ui)) {
		ui->waiting.cursor[0] = '\0';
		ui->waiting.at = 0;
		ui->wants |= WANT_WAITING;
		go_to(ui, VIEW_WAITING);
	} else if (ui->view == VIEW_OVERVIEW && ui->group[0]) {
		snprintf(filter, sizeof(filter), "group=%s", ui->group);
		if (ui->s && ui->s->n_groups > 1)
			table_set_filter(&ui->storages, filter, err,
			    sizeof(err));
		go_to(ui, VIEW_STORAGES);
	}
}

static void go_back(struct ui *ui)
{
	char err[64];
	struct table *t = table_of(ui);

	if (ui->help) {
		ui->help = false;
	} else if (t && t->filter_text[0]) {
		table_set_filter(t, "", err, sizeof(err));
	} else if (ui->view == VIEW_STORAGE) {
		go_to(ui, VIEW_STORAGES);
	} else if (ui->view == VIEW_WAITING) {
		go_to(ui, VIEW_SYNC);
	} else if (ui->view != VIEW_OVERVIEW) {
		go_to(ui, VIEW_OVERVIEW);
	}
}

/* The storage before or after in the order of the table; of the matrix the
 * cell beside. */
static void step(struct ui *ui, long by)
{
	if (ui->view == VIEW_SYNC) {
		sync_move(ui, 0, by);
		return;
	}
	view_storages_load(ui);
	table_move(&ui->storages, by);
	show_storage(ui, table_current(&ui->storages));
}

/* --- the rest --- */
static void filter_or_find(struct ui *ui)
{
	if (ui->view == VIEW_STORAGES)
		open_prompt(ui, PROMPT_FILTER, ui->storages.filter_text);
	else
		open_prompt(ui, PROMPT_FIND, ui->find);
}

static void clear_filter(struct ui *ui)
{
	char err[64];

	if (ui->view == VIEW_STORAGES) {
		table_set_filter(&ui->storages, "", err, sizeof(err));
	} else {
		ui->find[0] = '\0';
		ui->wants |= WANT_SEARCH;
	}
}

static void change_interval(struct ui *ui, int by)
{
	const int at = (int)ui->interval + by;
	const unsigned ms =
	    ui_intervals_ms[at < 0              ? 0
	                    : at < UI_INTERVALS ? at
	                                        : UI_INTERVALS - 1];

	if (at >= 0 && at < UI_INTERVALS)
		ui->interval = (unsigned)at;
	if (ms < 1000)
		ui_say(ui, false, "draws every half second");
	else
		ui_say(ui, false, "draws every %u s", ms / 1000);
}

static void change_order(struct ui *ui, enum action action)
{
	struct table *t = table_of(ui);

	if (!t)
		return;
	if (action == ACT_REVERSE)
		t->reverse = !t->reverse;
	else
		table_sort_step(t, action == ACT_SORT_LEFT ? -1 : 1);
}

static bool move_action(struct ui *ui, enum action action)
{
	switch (action) {
	case ACT_UP:
		move_rows(ui, -1);
		return true;
	case ACT_DOWN:
		move_rows(ui, 1);
		return true;
	case ACT_PAGE_UP:
		page_rows(ui, -1);
		return true;
	case ACT_PAGE_DOWN:
		page_rows(ui, 1);
		return true;
	case ACT_FIRST:
		move_rows(ui, -1000000);
		return true;
	case ACT_LAST:
		move_rows(ui, 1000000);
		return true;
	case ACT_OPEN:
		open_row(ui);
		return true;
	case ACT_BACK:
		go_back(ui);
		return true;
	case ACT_PREVIOUS:
		step(ui, -1);
		return true;
	case ACT_NEXT:
		step(ui, 1);
		return true;
	default:
		return false;
	}
}

static bool sync_action(struct ui *ui, enum action action)
{
	if (action == ACT_VALUE)
		ui->sync_value =
		    (enum sync_value)((ui->sync_value + 1) % N_SYNC_VALUES);
	else if (action == ACT_GROUP)
		sync_next_group(ui);
	else
		return false;
	return true;
}

static void other_action(struct ui *ui, enum action action)
{
	switch (action) {
	case ACT_LAST_VIEW:
		go_to(ui, ui->last_view);
		break;
	case ACT_OVERVIEW:
		go_to(ui, VIEW_OVERVIEW);
		break;
	case ACT_STORAGES:
		go_to(ui, VIEW_STORAGES);
		break;
	case ACT_SYNC:
		go_to(ui, VIEW_SYNC);
		break;
	case ACT_FILES:
		go_to(ui, VIEW_FILES);
		break;
	case ACT_FILTER:
		filter_or_find(ui);
		break;
	case ACT_CLEAR:
		clear_filter(ui);
		break;
	case ACT_PAUSE:
		ui->paused = !ui->paused;
		ui->paused_at = ui->now;
		break;
	case ACT_SLOWER:
		change_interval(ui, 1);
		break;
	case ACT_FASTER:
		change_interval(ui, -1);
		break;
	case ACT_REFRESH:
		ui->wants |= WANT_REFRESH;
		ui_say(ui, false, "asking again");
		break;
	case ACT_REDRAW:
		ui->wants |= WANT_REDRAW;
		break;
	case ACT_HELP:
		ui->help = !ui->help;
		break;
	case ACT_SUSPEND:
		ui->wants |= WANT_SUSPEND;
		break;
	case ACT_QUIT:
		ui->wants |= WANT_QUIT;
		break;
	default:
		change_order(ui, action);
		break;
	}
}

void ui_key(struct ui *ui, int key)
{
	enum action action;

	if (ui->prompt != PROMPT_NONE) {
		prompt_key(ui, key);
		return;
	}
	action = key_action(key, ui->view);
	if (action == ACT_NONE) {
		if (key > ' ' && key < 0x7f)
			ui_say(ui, false, "%c: no action here, ? lists keys",
			    key);
		return;
	}
	/* The help page hides the view: q and any view key leave it. */
	if (ui->help && action == ACT_QUIT) {
		ui->help = false;
		return;
	}
	if (ui->help && action != ACT_HELP && action != ACT_BACK)
		ui->help = false;
	if (!move_action(ui, action) && !sync_action(ui, action))
		other_action(ui, action);
}
