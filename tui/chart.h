/* SPDX-License-Identifier: MIT */
/*
 * Charts of one row: spark lines and bars, with eighths of a cell in the
 * block set and whole characters in the ASCII set. Pure drawing on a canvas;
 * the thread that owns the canvas.
 */
#ifndef TUI_CHART_H
#define TUI_CHART_H

#include "tui/canvas.h"

struct series {
	const double *values; /* oldest first, NaN: not known */
	size_t n;
	double floor; /* the least that a full cell stands for */
};

/* The last w values, oldest left, scaled from 0 to the largest of those shown
 * but never to less than floor, so that noise does not look like load. What is
 * not known stays blank; fewer than w values stand at the right. */
void chart_spark(struct canvas *c, int y, int x, int w, struct series s);

/* Parts of a whole, 0..1 each: used from the left in eighths, reserve from the
 * right, what is between is free. A part that is more than nothing is never
 * drawn as nothing, one less than all never as all. */
struct bar {
	double used;
	double reserve;
};
void chart_bar(struct canvas *c, int y, int x, int w, struct bar bar);

#endif
