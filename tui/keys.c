/* SPDX-License-Identifier: MIT */
#include "tui/keys.h"

const char *const key_group_names[N_KEY_GROUPS] = {
	[KEYS_MOVE] = "MOVE",
	[KEYS_LOOK] = "LOOK",
	[KEYS_FIND] = "FIND",
};

/* clang-format off */
const struct key_row key_rows[] = {
	{ "↑ k", { TK_UP, 'k' }, ON_LISTS | ON(VIEW_SYNC), ACT_UP, KEYS_MOVE,
	    "row up", NULL },
	{ "↓ j", { TK_DOWN, 'j' }, ON_LISTS | ON(VIEW_SYNC), ACT_DOWN, KEYS_MOVE,
	    "row down", NULL },
	{ "PgUp ^B", { TK_PGUP, TK_CTRL('b') }, ON_LISTS, ACT_PAGE_UP,
	    KEYS_MOVE, "page up", NULL },
	{ "PgDn ^F", { TK_PGDN, TK_CTRL('f') }, ON_LISTS, ACT_PAGE_DOWN,
	    KEYS_MOVE, "page down", NULL },
	{ "g Home", { 'g', TK_HOME }, ON_LISTS, ACT_FIRST, KEYS_MOVE,
	    "first row", NULL },
	{ "G End", { 'G', TK_END }, ON_LISTS, ACT_LAST, KEYS_MOVE,
	    "last row", NULL },
	{ "⏎ l →", { TK_ENTER, 'l', TK_RIGHT },
	    ON(VIEW_OVERVIEW) | ON(VIEW_STORAGES), ACT_OPEN, KEYS_MOVE,
	    "open the row", "⏎ open" },
	{ "⏎", { TK_ENTER }, ON(VIEW_SYNC), ACT_OPEN, KEYS_MOVE,
	    "files that wait", "⏎ files" },
	{ "h ←", { 'h', TK_LEFT }, ON(VIEW_SYNC), ACT_PREVIOUS, KEYS_MOVE,
	    "storage before", NULL },
	{ "l →", { 'l', TK_RIGHT }, ON(VIEW_SYNC), ACT_NEXT, KEYS_MOVE,
	    "storage after", NULL },
	{ "g", { 'g' }, ON(VIEW_SYNC), ACT_GROUP, KEYS_MOVE,
	    "next group", "g group" },
	{ "h ←", { 'h', TK_LEFT }, ON(VIEW_STORAGE), ACT_PREVIOUS, KEYS_MOVE,
	    "storage before", "←→ other storages" },
	{ "l →", { 'l', TK_RIGHT }, ON(VIEW_STORAGE), ACT_NEXT, KEYS_MOVE,
	    "storage after", NULL },
	{ "Esc", { TK_ESC, TK_BACKSPACE }, ON_ANY, ACT_BACK, KEYS_MOVE,
	    "back", NULL },
	{ "`", { '`' }, ON_ANY, ACT_LAST_VIEW, KEYS_MOVE,
	    "last view", NULL },

	{ "1", { '1' }, ON_ANY, ACT_OVERVIEW, KEYS_LOOK,
	    "Overview", NULL },
	{ "3", { '3' }, ON_ANY, ACT_STORAGES, KEYS_LOOK,
	    "Storages", NULL },
	{ "5", { '5' }, ON_ANY, ACT_SYNC, KEYS_LOOK,
	    "Sync", NULL },
	{ "v", { 'v' }, ON(VIEW_SYNC), ACT_VALUE, KEYS_LOOK,
	    "age, files, eta", "v value" },
	{ "6", { '6' }, ON_ANY, ACT_FILES, KEYS_LOOK,
	    "Files", NULL },
	{ "/ F4", { '/', TK_F4 }, ON(VIEW_FILES), ACT_FILTER, KEYS_FIND,
	    "find files, an id", "/ find" },
	{ "/ F4", { '/', TK_F4 }, ON(VIEW_STORAGES), ACT_FILTER, KEYS_FIND,
	    "matching rows only", "/ filter" },
	{ "\\", { '\\' }, ON_TABLES, ACT_CLEAR, KEYS_FIND,
	    "all rows again", NULL },
	{ "s F6 >", { 's', TK_F6, '>' }, ON_ROWS, ACT_SORT, KEYS_FIND,
	    "sort, next column", "s sort" },
	{ "<", { '<' }, ON_ROWS, ACT_SORT_LEFT, KEYS_FIND,
	    "column before", NULL },
	{ "I", { 'I' }, ON_ROWS, ACT_REVERSE, KEYS_FIND,
	    "reverse the order", NULL },
	{ "p", { 'p' }, ON_ANY, ACT_PAUSE, KEYS_LOOK,
	    "pause drawing", "p pause" },
	{ "+", { '+', '=' }, ON_ANY, ACT_SLOWER, KEYS_LOOK,
	    "draw less often", NULL },
	{ "-", { '-' }, ON_ANY, ACT_FASTER, KEYS_LOOK,
	    "draw more often", NULL },
	{ "r", { 'r' }, ON_ANY, ACT_REFRESH, KEYS_LOOK,
	    "ask again now", "r refresh" },
	{ "^L", { TK_CTRL('l') }, ON_ANY, ACT_REDRAW, KEYS_LOOK,
	    "draw everything", NULL },
	{ "? F1", { '?', TK_F1 }, ON_ANY, ACT_HELP, KEYS_LOOK,
	    "this page", "? help" },
	{ "^Z", { TK_CTRL('z') }, ON_ANY, ACT_SUSPEND, KEYS_LOOK,
	    "suspend", NULL },
	{ "q F10 ^C", { 'q', TK_F10, TK_CTRL('c') }, ON_ANY | ON(VIEW_SETUP),
	    ACT_QUIT, KEYS_LOOK, "quit", NULL },
};
/* clang-format on */
const size_t n_key_rows = ARRAY_LEN(key_rows);

enum action key_action(int key, enum view_id view)
{
	for (size_t i = 0; i < n_key_rows; i++) {
		const struct key_row *row = &key_rows[i];

		if (!(row->views & ON(view)))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(row->keys) && row->keys[k];
		     k++) {
			if (row->keys[k] == key)
				return row->action;
		}
	}
	return ACT_NONE;
}
