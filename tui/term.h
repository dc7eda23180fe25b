/* SPDX-License-Identifier: MIT */
/*
 * The terminal: keys in, canvas out; the only file that sees ncurses. The
 * terminal is given back on stop, on suspend, at exit and when the program
 * crashes. Main thread only; one terminal a process.
 */
#ifndef TUI_TERM_H
#define TUI_TERM_H

#include <stdbool.h>

#include "tui/canvas.h"

/* Takes the terminal. mono: no colours. 0, or -errno when TERM is no terminal
 * we can draw on. */
int term_start(bool mono);
void term_stop(void);
void term_size(int *rows, int *cols);
/* Next key that waits (keys.h or a character), TK_NONE when none does. */
int term_key(void);
/* Shows what changed since the last time; all of it when full is set. */
void term_show(const struct canvas *c, bool full);
/* Gives the terminal back, stops the process, takes it again. */
void term_suspend(void);

#endif
