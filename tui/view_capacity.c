/* SPDX-License-Identifier: MIT */
/*
 * The capacity panel: a row for each group, at most eight at a time, and their
 * sum. Values of a cluster that no longer answers carry a star.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/chart.h"
#include "tui/num.h"
#include "tui/ui.h"

#define WIDE        120
#define NARROW      60
#define GROUPS_MOST 8

struct capacity_layout {
	bool wide, narrow;
	int name; /* cells of the longest name */
	int bar;  /* cells of the bar */
};

static struct capacity_layout capacity_layout(const struct snapshot *s, int w)
{
	struct capacity_layout l = { .wide = w >= WIDE,
		.narrow = w < NARROW,
		.name = 8 };

	for (size_t i = 0; i < s->n_groups; i++) {
		if ((int)strlen(s->groups[i].name) > l.name)
			l.name = (int)strlen(s->groups[i].name);
	}
	/* Everything but the bar. */
	l.bar = w - l.name - (l.wide ? 76 : l.narrow ? 24 : 42);
	if (l.bar < 6)
		l.bar = 0;
	return l;
}

static void capacity_head(struct canvas *c, struct area a,
    struct capacity_layout l)
{
	int x = l.name + 2;

	canvas_text(c, a.y, 1, l.name, ROLE_HEADER, "GROUP");
	if (l.bar) {
		canvas_text(c, a.y, x, l.bar, ROLE_HEADER, "USED");
		x += l.bar + 1;
	}
	canvas_right(c, a.y, x, 6, ROLE_HEADER, "USED%");
	if (!l.narrow)
		canvas_right(c, a.y, x + 7, 7, ROLE_HEADER, "TOTAL");
	x -= l.narrow ? 8 : 0;
	canvas_right(c, a.y, x + 15, 8, ROLE_HEADER, "USABLE");
	x += 24;
	if (l.wide) {
		canvas_right(c, a.y, x, 8, ROLE_HEADER, "RESERVE");
		canvas_right(c, a.y, x + 9, 7, ROLE_HEADER, "UP/s");
		canvas_right(c, a.y, x + 17, 7, ROLE_HEADER, "DN/s");
		canvas_right(c, a.y, x + 25, 8, ROLE_HEADER, "BEHIND");
		x += 34;
	}
	if (!l.narrow)
		canvas_right(c, a.y, x, 9, ROLE_HEADER, "READABLE");
}

static enum role usable_role(const struct space *sp)
{
	double share;

	if (sp->usable == UNKNOWN || sp->total <= 0)
		return ROLE_UNKNOWN;
	share = (double)sp->usable / (double)sp->total;
	return share < 0.03 ? ROLE_CRIT : share < 0.10 ? ROLE_WARN : ROLE_TEXT;
}

static void group_rates(struct canvas *c, int y, int x, const struct group *g)
{
	char buf[NUM_MAX];
	char text[NUM_MAX - 4];

	canvas_right(c, y, x, 7, ROLE_TEXT,
	    num_rate(buf, g->rates[FLOW_UPLOAD].ops));
	canvas_right(c, y, x + 8, 7, ROLE_TEXT,
	    num_rate(buf, g->rates[FLOW_DOWNLOAD].ops));
	if (g->n_storages < 2)
		str_copy(buf, sizeof(buf), "-");
	else if (g->behind == UNKNOWN)
		str_copy(buf, sizeof(buf), "?");
	else
		snprintf(buf, sizeof(buf), "%s%s", g->behind_bound ? "≤" : "",
		    str_duration(text, sizeof(text), g->behind));
	canvas_right(c, y, x + 16, 8, ROLE_TEXT, buf);
}

static void capacity_row(struct canvas *c, int y, struct capacity_layout l,
    const struct group *g, bool old)
{
	const struct space *sp = &g->space;
	const double used = num_used_share(sp);
	const enum role plain = old ? ROLE_STALE : ROLE_TEXT;
	char buf[NUM_MAX];
	char text[NUM_MAX + 4];
	int x = l.name + 2;

	canvas_text(c, y, 1, l.name, plain, g->name);
	if (l.bar && used >= 0)
		chart_bar(c, y, x, l.bar,
		    (struct bar){ used, sp->reserve > 0 ? (double)sp->reserve /
		                                              (double)sp->total
		                                        : 0 });
	x += l.bar ? l.bar + 1 : 0;
	num_percent(buf, sp->free < 0 ? UNKNOWN : sp->total - sp->free,
	    sp->total);
	snprintf(text, sizeof(text), "%s%s", buf, old ? "*" : "");
	canvas_right(c, y, x, 6, plain, text);
	if (!l.narrow)
		canvas_right(c, y, x + 7, 7, plain, num_bytes(buf, sp->total));
	x -= l.narrow ? 8 : 0;
	snprintf(text, sizeof(text), "%s%s%s",
	    usable_role(sp) == ROLE_TEXT || usable_role(sp) == ROLE_UNKNOWN
	        ? ""
	        : "!",
	    num_bytes(buf, sp->usable), old ? "*" : "");
	canvas_right(c, y, x + 15, 8, old ? ROLE_STALE : usable_role(sp), text);
	x += 24;
	if (l.wide) {
		canvas_right(c, y, x, 8, plain, num_bytes(buf, sp->reserve));
		group_rates(c, y, x + 9, g);
		x += 34;
	}
	if (l.narrow)
		return;
	snprintf(text, sizeof(text), "%" PRId64 "/%" PRId64 "%s", g->readable,
	    g->n_storages, old ? "*" : "");
	canvas_right(c, y, x, 9,
	    old                           ? ROLE_STALE
	    : g->readable < g->n_storages ? ROLE_WARN
	                                  : ROLE_TEXT,
	    text);
}

/* Which group is the first shown, so that the cursor's is among them. */
static size_t first_group(const struct ui *ui, size_t shown)
{
	const struct snapshot *s = ui->s;

	for (size_t i = 0; i < s->n_groups; i++) {
		if (strcmp(s->groups[i].name, ui->group) == 0)
			return i < shown ? 0 : i - shown + 1;
	}
	return 0;
}

int view_capacity(struct canvas *c, struct area a, struct ui *ui)
{
	const struct snapshot *s = ui->s;
	size_t shown = size_min(s->n_groups, GROUPS_MOST);
	const bool sum = s->n_groups > 1;
	const struct capacity_layout l = capacity_layout(s, a.w);
	size_t first;
	char note[64];
	char age[NUM_MAX];
	int y = a.y;

	if (a.h < 4)
		return 0;
	if ((size_t)a.h < shown + 2 + sum)
		shown = (size_t)a.h - 2 - sum;
	first = first_group(ui, shown);
	if (s->live)
		snprintf(note, sizeof(note), "usable = free − reserved");
	else
		snprintf(note, sizeof(note), "%s old*",
		    num_age(age, (s->at - s->data_at) / 1000));
	canvas_rule(c, y++, a.x, a.w, "Capacity", note);
	capacity_head(c, (struct area){ y, a.x, 1, a.w }, l);
	y++;
	for (size_t i = 0; i < shown; i++) {
		const struct group *g = &s->groups[first + i];

		capacity_row(c, y, l, g, !s->live);
		if (!ui->batch && strcmp(g->name, ui->group) == 0) {
			canvas_put(c, y, 0, ROLE_KEY, 0x25b8);
			canvas_reverse(c, y, 0, l.name + 2);
		}
		y++;
	}
	if (sum)
		capacity_row(c, y++, l, &s->all, !s->live);
	if (shown < s->n_groups)
		snprintf(ui->status, sizeof(ui->status),
		    "groups %zu to %zu of %zu", first + 1, first + shown,
		    s->n_groups);
	return y - a.y;
}
