/* SPDX-License-Identifier: MIT */
#include "tui/chart.h"

#include <math.h>

static const char spark_ascii[] = "_.-=+*#@";

static uint32_t spark_char(const struct canvas *c, double share)
{
	int level = (int)ceil(share * 8);

	level = level < 1 ? 1 : level > 8 ? 8 : level;
	if (c->glyphs == GLYPHS_ASCII)
		return (uint32_t)spark_ascii[level - 1];
	return 0x2580U + (uint32_t)level;
}

void chart_spark(struct canvas *c, int y, int x, int w, struct series s)
{
	const size_t shown = size_min(s.n, w > 0 ? (size_t)w : 0);
	const double *v = s.values + (s.n - shown);
	double top = s.floor;

	for (size_t i = 0; i < shown; i++) {
		if (v[i] > top)
			top = v[i];
	}
	for (size_t i = 0; i < shown; i++) {
		const int at = x + w - (int)shown + (int)i;

		if (!isnan(v[i]))
			canvas_put(c, y, at, ROLE_SPARK,
			    spark_char(c, v[i] / top));
	}
}

/* Cells x eighths for a share, so that some is never none, nor less than all
 * of it everything. */
static int eighths(double share, int w, int unit)
{
	int n = (int)lround(share * w * unit);

	if (!(share > 0))
		return 0;
	if (n == 0)
		return 1;
	if (n >= w * unit)
		return share < 1 ? w * unit - 1 : w * unit;
	return n;
}

void chart_bar(struct canvas *c, int y, int x, int w, struct bar bar)
{
	const bool ascii = c->glyphs == GLYPHS_ASCII;
	const int unit = ascii ? 1 : 8;
	const int used = eighths(bar.used, w, unit);
	int reserve = eighths(bar.reserve, w, 1);

	if (reserve > w - (used + unit - 1) / unit)
		reserve = w - (used + unit - 1) / unit;
	for (int i = 0; i < w; i++) {
		const int part = used - i * unit;

		if (part >= unit)
			canvas_put(c, y, x + i, ROLE_BAR_USED, 0x2588);
		else if (part > 0)
			canvas_put(c, y, x + i, ROLE_BAR_USED,
			    0x2590U - (uint32_t)part);
		else if (i >= w - reserve)
			canvas_put(c, y, x + i, ROLE_BAR_RESERVE, 0x2592);
		else
			canvas_put(c, y, x + i, ROLE_BAR_FREE, 0x00b7);
	}
}
