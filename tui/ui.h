/* SPDX-License-Identifier: MIT */
/*
 * What the person in front of the screen has chosen: view, cursor, filters,
 * prompts. Keys change it (ui.c), views draw it (frame.c, view_*.c). No I/O
 * and no clock: what must be done outside is left in `wants`, so tests drive
 * the console with keys and look at a canvas. The main loop's thread.
 */
#ifndef TUI_UI_H
#define TUI_UI_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/canvas.h"
#include "tui/files.h"
#include "tui/keys.h"
#include "tui/model.h"
#include "tui/sync.h"
#include "tui/table.h"

enum prompt { PROMPT_NONE, PROMPT_FILTER, PROMPT_FIND, PROMPT_TRACKER };

/* What a cell of the matrix of pairs tells. */
enum sync_value { SYNC_AGE, SYNC_FILES_N, SYNC_BYTES, SYNC_ETA, N_SYNC_VALUES };

/* Left for the main loop, which clears them. */
#define WANT_QUIT    BIT(0)
#define WANT_REFRESH BIT(1) /* ask trackers and databases now */
#define WANT_REDRAW  BIT(2) /* every cell */
#define WANT_SUSPEND BIT(3)
#define WANT_SEARCH  BIT(4) /* ui.find */
#define WANT_TRACKER BIT(5) /* ui.tracker was entered */
#define WANT_WAITING BIT(6) /* the files of the chosen pair */

/* Where a configuration was looked for (first run). */
struct looked {
	char where[96];
	char found[96];
};
#define LOOKED_MAX 8

struct ui {
	char cluster[64];
	enum view_id view, last_view;
	bool help;
	unsigned wants;
	const struct snapshot *s;       /* shown; lent */
	const struct files_view *files; /* lent; NULL: no such source */
	wall_t now;                     /* of the drawing */
	int retry_in;                   /* seconds to the next try, -1 none */
	unsigned interval;              /* index into ui_intervals_ms */
	bool paused;
	wall_t paused_at;
	char group[17]; /* under the cursor of the overview */
	char subject_group[17], subject_id[17]; /* of the storage view */
	const struct sync_view *sync;           /* lent; NULL: no log is read */
	enum sync_value sync_value;             /* what the matrix shows */
	char sync_group[17], sync_from[17], sync_to[17]; /* chosen pair */
	struct table storages;
	struct table waiting;
	struct table hits;
	char find[FIND_MAX]; /* what the files view asks */
	enum prompt prompt;
	char input[FIND_MAX];
	char before[FIND_MAX]; /* what it was when the prompt opened */
	char message[160];     /* replaces the status line for a while */
	wall_t message_until;
	bool message_bad;
	bool no_clock;
	bool batch; /* no cursor */
	/* set by the view that was drawn */
	char status[256];
	/* first run */
	struct looked looked[LOOKED_MAX];
	size_t n_looked;
	char tracker[FIND_MAX];
};

extern const unsigned ui_intervals_ms[];
#define UI_INTERVALS   7
#define UI_INTERVAL_1S 1

void ui_init(struct ui *ui, const char *cluster);
void ui_fini(struct ui *ui);
/* One key. */
void ui_key(struct ui *ui, int key);
void ui_say(struct ui *ui, bool bad, const char *fmt, ...) ATTR_PRINTF(3, 4);

struct area {
	int y, x, h, w;
};

/* The whole screen of that size. */
void frame_draw(struct canvas *c, int rows, int cols, struct ui *ui);
/* One line: verdict and worst problems; also under 40x10. */
void frame_verdict(struct canvas *c, int y, const struct ui *ui,
    bool with_cluster);
enum role role_of(enum severity severity);
const char *word_of(enum severity severity); /* "WARN" */
/* "HB 2s": source and age of what is shown. */
void frame_pill(const struct ui *ui, char *buf, size_t cap);

/* Content of a view; fills ui->status. */
void view_overview(struct canvas *c, struct area a, struct ui *ui);
void view_storages(struct canvas *c, struct area a, struct ui *ui);
void view_storage(struct canvas *c, struct area a, struct ui *ui);
void view_sync(struct canvas *c, struct area a, struct ui *ui);
void view_waiting(struct canvas *c, struct area a, struct ui *ui);
void view_files(struct canvas *c, struct area a, struct ui *ui);
void view_help(struct canvas *c, struct area a, struct ui *ui);
void view_setup(struct canvas *c, struct area a, struct ui *ui);
/* The capacity panel; gives the lines used. */
int view_capacity(struct canvas *c, struct area a, struct ui *ui);
/* No answer from any tracker; gives the lines used. */
int view_trackers(struct canvas *c, struct area a, const struct ui *ui);
void view_no_storages(struct canvas *c, struct area a, struct ui *ui);

/* Two times of synchronisation, in words. */
void view_sync_line(struct canvas *c, int y, const struct storage *st);
/* Behind whom, and how much waits. */
void view_behind_line(struct canvas *c, int y, const struct snapshot *s,
    const struct storage *st);

/* The rows a table shows, loaded from the snapshot or the last answer. */
void view_storages_load(struct ui *ui);
void view_files_load(struct ui *ui);
void view_waiting_load(struct ui *ui);
extern const struct column storage_columns[];
extern const size_t n_storage_columns;
extern const struct column file_columns[];
extern const size_t n_file_columns;
extern const struct column waiting_columns[];
extern const size_t n_waiting_columns;
void waiting_key(const void *row, char *buf);
void storage_key(const void *row, char *buf);
void file_key(const void *row, char *buf);

/* Batch: a view as plain text, as wide as it needs (width 0) or cut. */
void batch_print(FILE *out, struct ui *ui, struct canvas *c, int width);
/* One JSON object (schema fdfs-top.snapshot/1), without a newline. */
void json_print(FILE *out, const struct ui *ui);

#endif
