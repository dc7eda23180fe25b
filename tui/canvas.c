/* SPDX-License-Identifier: MIT */
/*
 * Text goes through next_shown(), which turns bytes into characters that are
 * safe to show: what must not reach a terminal comes out as the characters of
 * its escape. Wide characters take two cells, the second of which is empty; a
 * half that is overwritten blanks its other half.
 */
#include "tui/canvas.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define ROWS_MAX 1000
#define COLS_MAX 2000
#define TEXT_MAX 4096

/* What stands for a character of the block set among ASCII glyphs. */
static const struct {
	uint32_t ch;
	char ascii;
} ascii_of[] = {
	{ 0x2588, '#' }, /* full block */
	{ 0x2591, '.' },
	{ 0x2592, 'x' }, /* reserve */
	{ 0x00b7, '.' }, /* middle dot */
	{ 0x2500, '-' },
	{ 0x2502, '|' },
	{ 0x25b8, '>' }, /* cursor row */
	{ 0x203a, '/' }, /* crumb */
	{ 0x25a0, '#' },
	{ 0x25b2, '^' },
	{ 0x2716, 'X' },
	{ 0x25cc, 'o' },
	{ 0x2192, '>' },
	{ 0x2190, '<' },
	{ 0x2191, '^' },
	{ 0x2193, 'v' },
	{ 0x2264, '<' },
	{ 0x2260, '!' },
	{ 0x2026, '~' }, /* ellipsis */
	{ 0x2605, '*' }, /* leader */
	{ 0x25bc, 'v' },
	{ 0x23ce, '^' },
	{ 0x258f, '_' }, /* prompt cursor */
	{ 0x2212, '-' },
	{ 0x2013, '-' },
};

void canvas_init(struct canvas *c, enum glyph_set glyphs, bool ascii_only)
{
	*c = (struct canvas){ .glyphs = glyphs,
		.ascii_only = ascii_only,
		.cursor_y = -1,
		.cursor_x = -1 };
}

void canvas_fini(struct canvas *c)
{
	free(c->cells);
	c->cells = NULL;
	c->rows = c->cols = 0;
}

static int clamp(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

void canvas_reset(struct canvas *c, int rows, int cols)
{
	rows = clamp(rows, 1, ROWS_MAX);
	cols = clamp(cols, 1, COLS_MAX);
	if (rows != c->rows || cols != c->cols) {
		free(c->cells);
		c->cells =
		    xcalloc((size_t)rows * (size_t)cols, sizeof(*c->cells));
		c->rows = rows;
		c->cols = cols;
	}
	for (size_t i = 0; i < (size_t)rows * (size_t)cols; i++)
		c->cells[i] = (struct cell){ ' ', ROLE_TEXT, false };
	c->cursor_y = c->cursor_x = -1;
}

static struct cell *cell_at(const struct canvas *c, int y, int x)
{
	if (y < 0 || x < 0 || y >= c->rows || x >= c->cols)
		return NULL;
	return &c->cells[(size_t)y * (size_t)c->cols + (size_t)x];
}

/* Bytes of the UTF-8 character at p, its code in *ch; 0 when it is broken. */
static size_t decode(const unsigned char *p, uint32_t *ch)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;
	uint32_t v;

	if (p[0] < 0x80) {
		*ch = p[0];
		return 1;
	}
	n = p[0] >= 0xf8 ? 0 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || n == 0)
		return 0;
	v = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fU);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*ch = v;
	return n;
}

size_t canvas_utf8(char *buf, uint32_t ch)
{
	size_t n = 0;

	if (ch < 0x80) {
		buf[n++] = (char)ch;
	} else if (ch < 0x800) {
		buf[n++] = (char)(0xc0 | ch >> 6);
		buf[n++] = (char)(0x80 | (ch & 0x3f));
	} else if (ch < 0x10000) {
		buf[n++] = (char)(0xe0 | ch >> 12);
		buf[n++] = (char)(0x80 | (ch >> 6 & 0x3f));
		buf[n++] = (char)(0x80 | (ch & 0x3f));
	} else {
		buf[n++] = (char)(0xf0 | ch >> 18);
		buf[n++] = (char)(0x80 | (ch >> 12 & 0x3f));
		buf[n++] = (char)(0x80 | (ch >> 6 & 0x3f));
		buf[n++] = (char)(0x80 | (ch & 0x3f));
	}
	buf[n] = '\0';
	return n;
}

/* Characters that change how others are shown. */
static bool is_unseen(uint32_t ch)
{
	return ch < 0x20 || (ch >= 0x7f && ch < 0xa0) || ch == 0xad ||
	       ch == 0x61c || (ch >= 0x200b && ch <= 0x200f) ||
	       (ch >= 0x2028 && ch <= 0x202e) ||
	       (ch >= 0x2060 && ch <= 0x206f) || ch == 0xfeff;
}

static bool block_glyph(uint32_t ch, char *ascii)
{
	for (size_t i = 0; i < ARRAY_LEN(ascii_of); i++) {
		if (ascii_of[i].ch == ch) {
			*ascii = ascii_of[i].ascii;
			return true;
		}
	}
	return false;
}

/* The reader of a text: characters that may be shown, one at a time. */
struct shown {
	const unsigned char *p;
	char escape[12]; /* of what may not be shown; read before p goes on */
	size_t at;
};

static int width_of(uint32_t ch)
{
	return ch < 0x7f ? 1 : wcwidth((wchar_t)ch);
}

/* Next character and its width; false at the end. */
static bool next_shown(const struct canvas *c, struct shown *s, uint32_t *ch,
    int *width)
{
	size_t n;
	char ascii;

	*width = 1;
	if (s->escape[s->at] != '\0') {
		*ch = (uint32_t)s->escape[s->at++];
		return true;
	}
	if (*s->p == '\0')
		return false;
	n = decode(s->p, ch);
	if (n > 0 && c->glyphs == GLYPHS_ASCII && block_glyph(*ch, &ascii)) {
		*ch = (uint32_t)ascii;
		s->p += n;
		return true;
	}
	if (n > 0 && !is_unseen(*ch) && (n == 1 || !c->ascii_only)) {
		*width = width_of(*ch);
		if (*width > 0) {
			s->p += n;
			return true;
		}
	}
	if (n > 1)
		snprintf(s->escape, sizeof(s->escape), "\\u%04x",
		    (unsigned)*ch);
	else
		snprintf(s->escape, sizeof(s->escape), "\\x%02x", *s->p);
	s->p += n > 0 ? n : 1;
	s->at = 1;
	*ch = '\\';
	*width = 1;
	return true;
}

static struct shown shown_of(const char *text)
{
	return (struct shown){ .p = (const unsigned char *)text };
}

int canvas_width(const struct canvas *c, const char *text)
{
	struct shown s = shown_of(text);
	uint32_t ch;
	int width;
	int sum = 0;

	while (next_shown(c, &s, &ch, &width) && sum < TEXT_MAX)
		sum += width;
	return sum;
}

static void set_cell(struct canvas *c, int y, int x, enum role role,
    uint32_t ch)
{
	struct cell *cell = cell_at(c, y, x);
	struct cell *next = cell_at(c, y, x + 1);
	struct cell *prev = cell_at(c, y, x - 1);

	if (!cell)
		return;
	if (cell->ch == 0 && prev)
		prev->ch = ' ';
	if (next && next->ch == 0 && ch != 0)
		next->ch = ' ';
	cell->ch = ch;
	cell->role = (uint8_t)role;
}

void canvas_put(struct canvas *c, int y, int x, enum role role, uint32_t ch)
{
	char ascii;

	if (c->glyphs == GLYPHS_ASCII && block_glyph(ch, &ascii))
		ch = (uint32_t)ascii;
	set_cell(c, y, x, role, ch);
}

/* A wide character whose right half falls off the row is left out. */
static void put_wide(struct canvas *c, int y, int x, enum role role,
    uint32_t ch)
{
	if (!cell_at(c, y, x + 1))
		return;
	set_cell(c, y, x, role, ch);
	set_cell(c, y, x + 1, role, 0);
}

int canvas_text(struct canvas *c, int y, int x, int w, enum role role,
    const char *text)
{
	struct shown s = shown_of(text);
	uint32_t ch;
	int width;
	int used = 0;
	int room = w;

	if (w <= 0)
		return 0;
	if (canvas_width(c, text) > w)
		room = w - 1;
	while (next_shown(c, &s, &ch, &width) && used + width <= room) {
		if (width == 2)
			put_wide(c, y, x + used, role, ch);
		else
			set_cell(c, y, x + used, role, ch);
		used += width;
	}
	if (room < w)
		canvas_put(c, y, x + used++, role, 0x2026);
	return used;
}

void canvas_right(struct canvas *c, int y, int x, int w, enum role role,
    const char *text)
{
	const int need = canvas_width(c, text);

	canvas_text(c, y, need < w ? x + w - need : x, w, role, text);
}

int canvas_printf(struct canvas *c, int y, int x, enum role role,
    const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return x + canvas_text(c, y, x, c->cols - x, role, text);
}

void canvas_rule(struct canvas *c, int y, int x, int w, const char *name,
    const char *note)
{
	const int note_w = canvas_width(c, note);
	int at;

	for (int i = 0; i < w; i++)
		canvas_put(c, y, x + i, ROLE_RULE, 0x2500);
	if (*name && w > 4) {
		canvas_text(c, y, x + 1, 1, ROLE_RULE, " ");
		at = canvas_text(c, y, x + 2, w - 4, ROLE_HEADER, name);
		canvas_text(c, y, x + 2 + at, 1, ROLE_RULE, " ");
		w -= at + 4;
		x += at + 4;
	}
	if (*note && note_w + 4 <= w) {
		at = x + w - note_w - 1;
		canvas_text(c, y, at - 1, 1, ROLE_RULE, " ");
		canvas_text(c, y, at, note_w, ROLE_DIM, note);
		canvas_text(c, y, at + note_w, 1, ROLE_RULE, " ");
	}
}

void canvas_reverse(struct canvas *c, int y, int x, int w)
{
	for (int i = 0; i < w; i++) {
		struct cell *cell = cell_at(c, y, x + i);

		if (cell)
			cell->reverse = true;
	}
}

void canvas_role(struct canvas *c, int y, int x, int w, enum role role)
{
	for (int i = 0; i < w; i++) {
		struct cell *cell = cell_at(c, y, x + i);

		if (cell)
			cell->role = (uint8_t)role;
	}
}

size_t canvas_row_text(const struct canvas *c, int y, char *buf, size_t cap)
{
	size_t n = 0;
	size_t end = 0;

	for (int x = 0; x < c->cols && n + 5 < cap; x++) {
		const struct cell *cell = cell_at(c, y, x);

		if (!cell || cell->ch == 0)
			continue;
		n += canvas_utf8(buf + n, cell->ch);
		if (cell->ch != ' ')
			end = n;
	}
	buf[end] = '\0';
	return end;
}

void canvas_print(const struct canvas *c, FILE *out, bool trim)
{
	const size_t cap = (size_t)c->cols * 4 + 8;
	char *buf = xcalloc(1, cap);
	int rows = c->rows;

	while (trim && rows > 0 && canvas_row_text(c, rows - 1, buf, cap) == 0)
		rows--;
	for (int y = 0; y < rows; y++) {
		canvas_row_text(c, y, buf, cap);
		fprintf(out, "%s\n", buf);
	}
	free(buf);
}
