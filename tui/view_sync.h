/* SPDX-License-Identifier: MIT */
/*
 * What ui.c and the drawing share about the Sync view: which pair is chosen,
 * and moving from one to the next. The main loop's thread.
 */
#ifndef TUI_VIEW_SYNC_H
#define TUI_VIEW_SYNC_H

#include "tui/ui.h"

#define SYNC_MEMBERS 64

/* The storages of a group that send or receive, by id; lent by s. */
struct members {
	size_t n;
	const char *ids[SYNC_MEMBERS];
};
void sync_members(const struct snapshot *s, const char *group,
    struct members *out);
/* The chosen pair; chooses one when the last is gone. NULL: there is none. */
const struct sync_pair *sync_selected(struct ui *ui);
void sync_move(struct ui *ui, long down, long right);
void sync_next_group(struct ui *ui);

/* Percent of a first copy, -1 none is made. */
int sync_percent(const struct sync_pair *p);
/* Bytes a second now. */
uint64_t sync_sent(const struct sync_pair *p);
/* Seconds until nothing waits, -1 not known. */
int64_t sync_eta(const struct sync_pair *p);
/* A pair in words, in six lines. */
void view_pair(struct canvas *c, struct area a, const struct ui *ui,
    const struct sync_pair *p);

#endif
