/* SPDX-License-Identifier: MIT */
/*
 * Every key of the console, once: what it is called, where it works, what it
 * does, what help says. The dispatcher, the key line, the help screen,
 * --list-keys and (checked by a test) the manual page read this table. Const
 * data, any thread.
 */
#ifndef TUI_KEYS_H
#define TUI_KEYS_H

#include <stddef.h>

#include "base/macros.h"

/* Keys that are no character. */
enum {
	TK_NONE = -1,
	TK_UP = 0x110000,
	TK_DOWN,
	TK_LEFT,
	TK_RIGHT,
	TK_PGUP,
	TK_PGDN,
	TK_HOME,
	TK_END,
	TK_ENTER,
	TK_ESC,
	TK_BACKSPACE,
	TK_TAB,
	TK_BACKTAB,
	TK_DELETE,
	TK_F1,
	TK_F4 = TK_F1 + 3,
	TK_F6 = TK_F1 + 5,
	TK_F10 = TK_F1 + 9,
	TK_RESIZE
};
#define TK_CTRL(c) ((c)&0x1f)

enum view_id {
	VIEW_OVERVIEW,
	VIEW_STORAGES,
	VIEW_SYNC,
	VIEW_FILES,
	VIEW_STORAGE,
	VIEW_WAITING,
	VIEW_SETUP,
	N_VIEWS
};

#define ON(view)  BIT(view)
#define ON_TABLES (ON(VIEW_STORAGES) | ON(VIEW_FILES))
#define ON_ROWS   (ON_TABLES | ON(VIEW_WAITING))
#define ON_LISTS  (ON_ROWS | ON(VIEW_OVERVIEW))
#define ON_ANY    (ON_LISTS | ON(VIEW_STORAGE) | ON(VIEW_SYNC))

enum action {
	ACT_NONE,
	ACT_UP,
	ACT_DOWN,
	ACT_PAGE_UP,
	ACT_PAGE_DOWN,
	ACT_FIRST,
	ACT_LAST,
	ACT_OPEN,
	ACT_BACK,
	ACT_PREVIOUS,
	ACT_NEXT,
	ACT_LAST_VIEW,
	ACT_OVERVIEW,
	ACT_STORAGES,
	ACT_SYNC,
	ACT_VALUE,
	ACT_GROUP,
	ACT_FILES,
	ACT_FILTER,
	ACT_CLEAR,
	ACT_SORT,
	ACT_SORT_LEFT,
	ACT_REVERSE,
	ACT_PAUSE,
	ACT_SLOWER,
	ACT_FASTER,
	ACT_REFRESH,
	ACT_REDRAW,
	ACT_HELP,
	ACT_SUSPEND,
	ACT_QUIT
};

enum key_group { KEYS_MOVE, KEYS_LOOK, KEYS_FIND, N_KEY_GROUPS };
extern const char *const key_group_names[N_KEY_GROUPS];

struct key_row {
	const char *label; /* as help and the manual write it */
	int keys[4];       /* 0 ends */
	unsigned views;    /* ON(view) bits */
	enum action action;
	enum key_group group;
	const char *help;
	const char *hint; /* on the key line of its views, NULL: not there */
};

extern const struct key_row key_rows[];
extern const size_t n_key_rows;

/* What the key does in a view, or ACT_NONE. */
enum action key_action(int key, enum view_id view);

#endif
