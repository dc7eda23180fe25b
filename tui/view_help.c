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

/* Where each group stands on a screen of at least 78 columns, and the room for
 * it there. */
static const struct {
	int x, w;
} places[N_KEY_GROUPS] = {
	[KEYS_MOVE] = { 1, 24 },
	[KEYS_LOOK] = { 26, 26 },
	[KEYS_FIND] = { 53, 27 },
};

static int draw_signs(struct canvas *c, int y, int end)
{
	for (size_t i = 0; i < ARRAY_LEN(signs) && y < end; i++)
		canvas_printf(c, y++, 1, ROLE_TEXT, "%s", signs[i]);
	return y;
}

void view_help(struct canvas *c, struct area a, struct ui *ui)
{
	const bool beside = a.w >= 78;
	int most = 0;
	int y = a.y;

	for (int g = 0; g < N_KEY_GROUPS; g++) {
		const struct area at = { y, beside ? places[g].x : 1,
			a.y + a.h - y, beside ? places[g].w : a.w - 2 };
		const int used = draw_group(c, at, (enum key_group)g);

		if (!beside)
			y += used + 1;
		if (used > most)
			most = used;
	}
	draw_signs(c, beside ? a.y + most + 1 : y, a.y + a.h);
	snprintf(ui->status, sizeof(ui->status), "fdfs-top(1) has all of it");
}
