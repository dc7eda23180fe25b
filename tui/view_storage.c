/* SPDX-License-Identifier: MIT */
/*
 * One storage with every counter that the protocol has.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/chart.h"
#include "tui/num.h"
#include "tui/ui.h"

static void draw_facts(struct canvas *c, int y, const struct storage *st,
    const struct snapshot *s)
{
	char text[NUM_MAX];
	int x = 1;

	x = canvas_printf(c, y, x, ROLE_TEXT, "%s:%" PRId64 "  ", st->ip,
	    st->port);
	x = canvas_printf(c, y, x,
	    st->severity > SEV_OK ? role_of(st->severity) : ROLE_TEXT, "%s",
	    model_status_name(st->status));
	x = canvas_printf(c, y, x, ROLE_TEXT, "  %s",
	    st->version[0] ? st->version : "?");
	if (st->up_time > 0)
		str_duration(text, sizeof(text), s->at / 1000 - st->up_time);
	else
		str_copy(text, sizeof(text), "?");
	x = canvas_printf(c, y, x, ROLE_TEXT, "  up %s", text);
	x = canvas_printf(c, y, x, ROLE_TEXT,
	    "  conn %" PRId32 "/%" PRId32 " peak %" PRId32,
	    st->stats.current_conns, st->stats.alloc_conns,
	    st->stats.max_conns);
	canvas_printf(c, y, x,
	    st->beat_age > BEAT_STALE ? ROLE_WARN : ROLE_TEXT, "  heartbeat %s",
	    num_age(text, st->beat_age));
}

static void draw_space(struct canvas *c, int y, int w, const struct storage *st)
{
	const struct space *sp = &st->space;
	const double used = num_used_share(sp);
	const int bar = w > 100 ? 40 : 24;
	char a[NUM_MAX];
	char b[NUM_MAX];
	char d[NUM_MAX];
	char e[NUM_MAX];
	int x = 1;

	if (used >= 0) {
		chart_bar(c, y, x, bar,
		    (struct bar){ used, sp->reserve > 0 ? (double)sp->reserve /
		                                              (double)sp->total
		                                        : 0 });
		x += bar + 1;
	}
	canvas_printf(c, y, x, st->stale ? ROLE_STALE : ROLE_TEXT,
	    "%s of %s used, usable %s%s (free %s)",
	    num_percent(a, sp->free < 0 ? UNKNOWN : sp->total - sp->free,
	        sp->total),
	    num_bytes(b, sp->total), st->paths > 1 ? "~" : "",
	    num_bytes(d, sp->usable), num_bytes(e, sp->free));
}

/* As its log tells, if that is in reach; gives how many lines. */
static int draw_recovery(struct canvas *c, int y, const struct ui *ui,
    const struct storage *st)
{
	char text[RECOVERY_TEXT_SIZE];

	for (size_t i = 0; ui->sync && i < ui->sync->n_recoveries; i++) {
		const struct recovery *r = &ui->sync->recoveries[i];

		if (strcmp(r->id, st->id) != 0 ||
		    strcmp(r->group, st->group) != 0)
			continue;
		canvas_printf(c, y, 1, ROLE_WARN, "%s",
		    recovery_text(r, text, sizeof(text)));
		return 1;
	}
	return 0;
}

static void counter_head(struct canvas *c, int y)
{
	canvas_text(c, y, 1, 12, ROLE_HEADER, "OPERATION");
	canvas_right(c, y, 13, 7, ROLE_HEADER, "/s");
	canvas_right(c, y, 21, 15, ROLE_HEADER, "done");
	canvas_right(c, y, 37, 11, ROLE_HEADER, "failed");
	canvas_right(c, y, 49, 9, ROLE_HEADER, "bytes/s");
	canvas_right(c, y, 59, 9, ROLE_HEADER, "bytes");
	canvas_right(c, y, 69, 8, ROLE_HEADER, "failing");
}

static const char *num_zero(char *buf, int64_t n)
{
	return n == 0 ? "·" : num_grouped(buf, n);
}

static enum role number_role(const char *text)
{
	return strcmp(text, "?") == 0   ? ROLE_UNKNOWN
	       : strcmp(text, "·") == 0 ? ROLE_DIM
	                                : ROLE_TEXT;
}

static void put(struct canvas *c, int y, int x, int w, const char *text)
{
	canvas_right(c, y, x, w, number_role(text), text);
}

static void counter_row(struct canvas *c, int y, const struct storage *st,
    enum flow f)
{
	const struct flow_row *row = &flow_rows[f];
	const struct rate *r = &st->rates[f];
	const bool counted = row->good >= 0;
	const bool sized = row->bytes >= 0;
	/* A stock storage never counts what it sends: zero says nothing. */
	const bool told =
	    f != FLOW_SYNC_OUT || st->stats.total_sync_out_bytes > 0;
	const int64_t all =
	    counted ? stats_get(&st->stats, (size_t)row->total) : 0;
	const int64_t good =
	    counted ? stats_get(&st->stats, (size_t)row->good) : 0;
	const int64_t bytes =
	    sized ? stats_get(&st->stats, (size_t)row->bytes) : 0;
	char buf[NUM_MAX];

	canvas_text(c, y, 1, 12, ROLE_TEXT, row->name);
	put(c, y, 13, 7, counted ? num_rate(buf, r->ops) : "-");
	put(c, y, 21, 15, counted ? num_zero(buf, good) : "-");
	put(c, y, 37, 11, counted ? num_zero(buf, all - good) : "-");
	put(c, y, 49, 9, sized ? num_byte_rate(buf, r->bytes) : "-");
	put(c, y, 59, 9,
	    !sized       ? "-"
	    : !told      ? "?"
	    : bytes == 0 ? "·"
	                 : num_bytes(buf, bytes));
	put(c, y, 69, 8, counted ? num_failed(buf, r) : "-");
}

static void draw_sync(struct canvas *c, struct area a, const struct ui *ui,
    const struct storage *st)
{
	char one[NUM_MAX];
	int y = a.y;

	canvas_rule(c, y++, 0, a.w, "Sync and state", "");
	view_sync_line(c, y++, st);
	if (st->alone)
		canvas_printf(c, y++, 1, ROLE_TEXT,
		    "no other storage of %s is up to receive from", st->group);
	else if (st->filling >= 0 || !st->behind_bound)
		view_behind_line(c, y++, ui->s, st);
	else if (st->behind == UNKNOWN)
		canvas_printf(c, y++, 1, ROLE_TEXT,
		    "how far behind is not known: nothing was received yet, or "
		    "the report is old");
	else
		canvas_printf(c, y++, 1, ROLE_TEXT, "behind %s%s%s",
		    st->behind_bound ? "at most " : "",
		    str_duration(one, sizeof(one), st->behind),
		    st->behind_bound
		        ? "; the trackers keep one time for all sources"
		        : "");
	canvas_printf(c, y, 1, ROLE_TEXT, "trackers:");
	for (size_t i = 0; i < ui->s->n_asked; i++)
		canvas_printf(c, y, 11 + (int)i * 16, ROLE_TEXT, "%s %s",
		    ui->s->trackers[i].name,
		    st->seen[i] < 0 ? "?" : model_status_name(st->seen[i]));
}

void view_storage(struct canvas *c, struct area a, struct ui *ui)
{
	const struct storage *st =
	    ui->s ? snapshot_storage(ui->s, ui->subject_group, ui->subject_id)
	          : NULL;
	int y = a.y;
	int rows;

	if (!st) {
		canvas_printf(c, a.y + 1, 1, ROLE_TEXT,
		    "Storage %s is no longer listed in %s.", ui->subject_id,
		    ui->subject_group);
		return;
	}
	draw_facts(c, y++, st, ui->s);
	draw_space(c, y++, a.w, st);
	y += draw_recovery(c, y, ui, st);
	counter_head(c, y++);
	rows = a.y + a.h - y;
	for (int f = 0; f < N_FLOWS && f < rows; f++)
		counter_row(c, y++, st, (enum flow)f);
	if (a.y + a.h - y >= 5)
		draw_sync(c,
		    (struct area){ y + (a.y + a.h - y > 6), 0, 5, a.w }, ui,
		    st);
	if (st->rate_span > 0)
		snprintf(ui->status, sizeof(ui->status),
		    "%s of %s · totals since it first joined; /s over %.0f s "
		    "of heartbeats",
		    st->id, st->group, st->rate_span);
	else
		snprintf(ui->status, sizeof(ui->status),
		    "%s of %s · rates are known after two heartbeats", st->id,
		    st->group);
}
