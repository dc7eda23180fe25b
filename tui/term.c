/* SPDX-License-Identifier: MIT */
/*
 * ncurses computes what to send; here only rows that changed are handed to it.
 * A crash must not leave the terminal raw: the handler restores its settings
 * and sends the strings that end full-screen mode, which were looked up at the
 * start, with nothing but async-signal-safe calls.
 */
#define NCURSES_WIDECHAR 1
#include "tui/term.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "tui/keys.h"

#define ESCAPE_MS 25

struct look {
	attr_t attr;
	short pair;
};

static struct {
	bool on;
	struct look looks[N_ROLES];
	struct canvas shown; /* what the terminal has */
	struct termios before;
	bool have_before;
	char restore[256]; /* strings that end full-screen mode */
	size_t restore_len;
} term;

/* --- themes --- */
struct theme_row {
	enum role role;
	attr_t mono;   /* without colours; also added to the colours */
	int few, many; /* foreground of 8 and of 256 colours, -1 default */
	attr_t colour; /* instead of mono when there are colours */
};

/* Okabe-Ito colours: nothing depends on telling red from green. */
static const struct theme_row theme[] = {
	{ ROLE_TEXT, A_NORMAL, -1, -1, A_NORMAL },
	{ ROLE_DIM, A_DIM, -1, 245, A_NORMAL },
	{ ROLE_TITLE, A_BOLD, -1, -1, A_BOLD },
	{ ROLE_CRUMB, A_NORMAL, -1, -1, A_NORMAL },
	{ ROLE_TAB, A_NORMAL, -1, 245, A_NORMAL },
	{ ROLE_TAB_NOW, A_REVERSE, -1, -1, A_REVERSE },
	{ ROLE_RULE, A_DIM, -1, 240, A_NORMAL },
	{ ROLE_HEADER, A_BOLD, -1, -1, A_BOLD },
	{ ROLE_OK, A_NORMAL, -1, -1, A_NORMAL },
	{ ROLE_INFO, A_NORMAL, COLOR_CYAN, 74, A_NORMAL },
	{ ROLE_WARN, A_BOLD, COLOR_YELLOW, 214, A_BOLD },
	{ ROLE_CRIT, A_BOLD | A_REVERSE, COLOR_RED, 203, A_BOLD | A_REVERSE },
	{ ROLE_STALE, A_DIM, -1, 244, A_NORMAL },
	{ ROLE_UNKNOWN, A_DIM, -1, 244, A_NORMAL },
	{ ROLE_UP, A_NORMAL, COLOR_CYAN, 74, A_NORMAL },
	{ ROLE_DOWN, A_NORMAL, COLOR_YELLOW, 214, A_NORMAL },
	{ ROLE_BAR_USED, A_NORMAL, COLOR_CYAN, 74, A_NORMAL },
	{ ROLE_BAR_FREE, A_DIM, -1, 240, A_NORMAL },
	{ ROLE_BAR_RESERVE, A_NORMAL, -1, 243, A_NORMAL },
	{ ROLE_SPARK, A_NORMAL, COLOR_CYAN, 74, A_NORMAL },
	{ ROLE_KEY, A_BOLD, -1, -1, A_BOLD },
	{ ROLE_HINT, A_NORMAL, -1, 247, A_NORMAL },
	{ ROLE_PROMPT, A_BOLD, COLOR_CYAN, 74, A_BOLD },
	{ ROLE_MATCH, A_BOLD, COLOR_CYAN, 74, A_BOLD },
};

static void load_theme(bool mono)
{
	const bool colours =
	    !mono && has_colors() && start_color() == OK && COLORS >= 8;
	short pair = 1;

	if (colours)
		use_default_colors();
	for (size_t i = 0; i < ARRAY_LEN(theme); i++) {
		const struct theme_row *row = &theme[i];
		struct look *look = &term.looks[row->role];
		const int fg = COLORS >= 256 ? row->many : row->few;

		*look = (struct look){ colours ? row->colour : row->mono, 0 };
		if (!colours)
			continue;
		/* Few colours have no greys: dim serves. */
		if (COLORS < 256 && row->few < 0)
			look->attr = row->mono;
		if (fg >= 0 && init_pair(pair, (short)fg, -1) == OK)
			look->pair = pair++;
	}
}

/* --- giving it back --- */
static void add_restore(const char *capability)
{
	const char *s = tigetstr(capability);
	size_t n;

	if (!s || (intptr_t)s == -1)
		return;
	n = strlen(s);
	if (term.restore_len + n < sizeof(term.restore)) {
		memcpy(term.restore + term.restore_len, s, n);
		term.restore_len += n;
	}
}

static void crash(int sig)
{
	static const int out = STDOUT_FILENO;

	if (term.on) {
		(void)!write(out, term.restore, term.restore_len);
		if (term.have_before)
			tcsetattr(STDIN_FILENO, TCSANOW, &term.before);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
		SIGABRT };
	struct sigaction sa = { .sa_handler = crash,
		.sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

int term_start(bool mono)
{
	int err = 0;

	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return -ENODEV;
	term.have_before = tcgetattr(STDIN_FILENO, &term.before) == 0;
	if (!initscr())
		return -ENODEV;
	add_restore("sgr0");
	add_restore("cnorm");
	add_restore("rmkx");
	add_restore("rmcup");
	raw();
	noecho();
	nonl();
	set_escdelay(ESCAPE_MS);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	meta(stdscr, TRUE);
	idlok(stdscr, FALSE);
	idcok(stdscr, FALSE);
	curs_set(0);
	load_theme(mono);
	canvas_init(&term.shown, GLYPHS_BLOCK, false);
	term.on = true;
	catch_crashes();
	return 0;
}

void term_stop(void)
{
	if (!term.on)
		return;
	term.on = false;
	endwin();
	canvas_fini(&term.shown);
}

void term_suspend(void)
{
	def_prog_mode();
	endwin();
	signal(SIGTSTP, SIG_DFL);
	raise(SIGTSTP);
	reset_prog_mode();
	refresh();
}

void term_size(int *rows, int *cols)
{
	*rows = LINES;
	*cols = COLS;
}

/* --- keys --- */
static const struct {
	wint_t code;
	int key;
} special[] = {
	{ KEY_UP, TK_UP },
	{ KEY_DOWN, TK_DOWN },
	{ KEY_LEFT, TK_LEFT },
	{ KEY_RIGHT, TK_RIGHT },
	{ KEY_PPAGE, TK_PGUP },
	{ KEY_NPAGE, TK_PGDN },
	{ KEY_HOME, TK_HOME },
	{ KEY_END, TK_END },
	{ KEY_ENTER, TK_ENTER },
	{ KEY_BACKSPACE, TK_BACKSPACE },
	{ KEY_DC, TK_DELETE },
	{ KEY_BTAB, TK_BACKTAB },
	{ KEY_F(1), TK_F1 },
	{ KEY_F(4), TK_F4 },
	{ KEY_F(6), TK_F6 },
	{ KEY_F(10), TK_F10 },
	{ KEY_RESIZE, TK_RESIZE },
};

int term_key(void)
{
	wint_t ch;
	const int rc = get_wch(&ch);

	if (rc == ERR)
		return TK_NONE;
	if (rc == KEY_CODE_YES) {
		for (size_t i = 0; i < ARRAY_LEN(special); i++) {
			if (special[i].code == ch)
				return special[i].key;
		}
		return TK_TAB; /* no action of ours */
	}
	switch (ch) {
	case '\r':
	case '\n':
		return TK_ENTER;
	case 27:
		return TK_ESC;
	case 8:
	case 127:
		return TK_BACKSPACE;
	case '\t':
		return TK_TAB;
	default:
		return (int)ch;
	}
}

/* --- drawing --- */
static bool same_look(const struct cell *a, const struct cell *b)
{
	return a->role == b->role && a->reverse == b->reverse;
}

/* Runs of cells that look alike are written together. */
static void show_row(const struct canvas *c, int y)
{
	const struct cell *row = c->cells + (size_t)y * (size_t)c->cols;
	wchar_t text[2048];

	for (int x = 0; x < c->cols;) {
		const struct look *look = &term.looks[row[x].role];
		attr_t attr = look->attr;
		const int start = x;
		int n = 0;

		while (x < c->cols && same_look(&row[x], &row[start])) {
			if (row[x].ch != 0)
				text[n++] = (wchar_t)row[x].ch;
			x++;
		}
		if (row[start].reverse)
			attr ^= A_REVERSE;
		attr_set(attr, look->pair, NULL);
		mvaddnwstr(y, start, text, n);
	}
}

static bool row_changed(const struct canvas *c, int y)
{
	const size_t at = (size_t)y * (size_t)c->cols;

	for (int x = 0; x < c->cols; x++) {
		const struct cell *a = &c->cells[at + (size_t)x];
		const struct cell *b = &term.shown.cells[at + (size_t)x];

		if (a->ch != b->ch || !same_look(a, b))
			return true;
	}
	return false;
}

void term_show(const struct canvas *c, bool full)
{
	if (c->rows != term.shown.rows || c->cols != term.shown.cols) {
		canvas_reset(&term.shown, c->rows, c->cols);
		erase();
		full = true;
	}
	if (full)
		clearok(curscr, TRUE);
	for (int y = 0; y < c->rows; y++) {
		if (full || row_changed(c, y))
			show_row(c, y);
	}
	memcpy(term.shown.cells, c->cells,
	    (size_t)c->rows * (size_t)c->cols * sizeof(*c->cells));
	if (c->cursor_y >= 0) {
		curs_set(1);
		move(c->cursor_y, c->cursor_x);
	} else {
		curs_set(0);
	}
	refresh();
}
