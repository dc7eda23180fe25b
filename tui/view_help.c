/* SPDX-License-Identifier: MIT */
/*
 * The key page: all rows of the key table, in columns by group, and the signs.
 */
#include <stdio.h>
#include <string.h>

#include "tui/ui.h"

static const char *const signs[] = {
	"k M G T: powers of 1024 for bytes, of 1000 for counts",
	"·  zero   -  does not apply   ?  source cannot tell   ≤  upper bound",
	"~  estimate   *  older than it should be   !  over a threshold",
	"Source   HB tracker's record of heartbeats · DB metadata file",
};

/* The same action under another key of another view is one line. */
static bool said_before(size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (key_rows[j].action == key_rows[i].action &&
		    strcmp(key_rows[j].label, key_rows[i].label) == 0 &&
		    strcmp(key_rows[j].help, key_rows[i].help) == 0)
			return true;
	}
	return false;
}

static int draw_group(struct canvas *c, struct area a, enum key_group group)
{
	int y = a.y;

	canvas_text(c, y++, a.x, a.w, ROLE_HEADER, key_group_names[group]);
	for (size_t i = 0; i < n_key_rows && y < a.y + a.h; i++) {
		const struct key_row *row = &key_rows[i];

		if (row->group != group || said_before(i))
			continue;
		canvas_text(c, y, a.x, 9, ROLE_KEY, row->label);
		canvas_text(c, y++, a.x + 9, a.w - 9, ROLE_TEXT, row->help);
	}
	return y - a.y;
}

void view_help(struct canvas *c, struct area a, struct ui *ui)
{
	const bool two = a.w >= 78;
	const int half = a.w > 100 ? 50 : (a.w - 2) / 2;
	struct area at = { a.y, 1, a.h, two ? half - 1 : a.w - 1 };
	int left;
	int right = 0;
	int y;

	left = draw_group(c, at, KEYS_MOVE);
	if (two)
		at.x = half + 2;
	else
		at.y = a.y + left + 1;
	at.h = a.y + a.h - at.y;
	right = draw_group(c, at, KEYS_LOOK);
	if (two) {
		at = (struct area){ a.y + left + 1, 1, a.h - left - 1,
			half - 1 };
		left += 1 + draw_group(c, at, KEYS_FIND);
	}
	y = a.y + (left > right ? left : right) + 1;
	for (size_t i = 0; two && i < ARRAY_LEN(signs) && y < a.y + a.h; i++)
		canvas_printf(c, y++, 1, ROLE_TEXT, "%s", signs[i]);
	snprintf(ui->status, sizeof(ui->status), "fdfs-top(1) has all of it");
}
