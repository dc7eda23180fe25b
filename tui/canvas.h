/* SPDX-License-Identifier: MIT */
/*
 * A screen in memory: a grid of cells, each a character and a role. Views draw
 * on it, term.c shows it, batch mode and the golden tests print it. It knows
 * no terminal. Text from outside is made harmless here: control characters,
 * bidirectional controls and broken UTF-8 become visible escapes, so no view
 * can pass them on. Coordinates outside the grid are fine: nothing is drawn
 * there. One thread at a time; widths depend on the LC_CTYPE locale.
 */
#ifndef TUI_CANVAS_H
#define TUI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"
#include "base/str.h"

/* What a cell means; a theme in term.c decides how that looks. */
enum role {
	ROLE_TEXT,
	ROLE_DIM,
	ROLE_TITLE,
	ROLE_CRUMB,
	ROLE_TAB,
	ROLE_TAB_NOW,
	ROLE_RULE,
	ROLE_HEADER,
	ROLE_OK,
	ROLE_INFO,
	ROLE_WARN,
	ROLE_CRIT,
	ROLE_STALE,
	ROLE_UNKNOWN,
	ROLE_UP,
	ROLE_DOWN,
	ROLE_BAR_USED,
	ROLE_BAR_FREE,
	ROLE_BAR_RESERVE,
	ROLE_SPARK,
	ROLE_KEY,
	ROLE_HINT,
	ROLE_PROMPT,
	ROLE_MATCH,
	N_ROLES
};

enum glyph_set { GLYPHS_BLOCK, GLYPHS_ASCII };

struct cell {
	uint32_t ch; /* 0: the right half of a wide character */
	uint8_t role;
	bool reverse; /* the row of the cursor */
};

struct canvas {
	int rows, cols;
	struct cell *cells;
	enum glyph_set glyphs;
	bool ascii_only;        /* the terminal's character set is not UTF-8 */
	int cursor_y, cursor_x; /* where a prompt stands, or -1 */
};

void canvas_init(struct canvas *c, enum glyph_set glyphs, bool ascii_only);
void canvas_fini(struct canvas *c);
/* Gives it a size and blanks it. Sizes are held within 1x1 and 1000x2000. */
void canvas_reset(struct canvas *c, int rows, int cols);

/* Writes text into at most w cells from x; longer text ends in an ellipsis.
 * Gives the cells used. */
int canvas_text(struct canvas *c, int y, int x, int w, enum role role,
    const char *text);
/* The same, right-aligned within w. */
void canvas_right(struct canvas *c, int y, int x, int w, enum role role,
    const char *text);
/* printf to the end of the row. Gives the next free column. */
int canvas_printf(struct canvas *c, int y, int x, enum role role,
    const char *fmt, ...) ATTR_PRINTF(5, 6);
/* One character of the block set, or what stands for it. */
void canvas_put(struct canvas *c, int y, int x, enum role role, uint32_t ch);
/* A rule with a name at its left and a note at its right (either ""). */
void canvas_rule(struct canvas *c, int y, int x, int w, const char *name,
    const char *note);
/* The cells of a row from x on shown in reverse. */
void canvas_reverse(struct canvas *c, int y, int x, int w);
/* All cells of a row take a role. */
void canvas_role(struct canvas *c, int y, int x, int w, enum role role);

/* Cells that a text takes when shown. */
int canvas_width(const struct canvas *c, const char *text);

/* Row y as UTF-8 without trailing blanks, terminated. Gives the length. */
size_t canvas_row_text(const struct canvas *c, int y, char *buf, size_t cap);
/* All rows, one a line. Trailing empty rows are left out when trim is set. */
void canvas_print(const struct canvas *c, FILE *out, bool trim);

/* UTF-8 of a character, terminated; buf >= 5. Gives the length. */
size_t canvas_utf8(char *buf, uint32_t ch);

#endif
