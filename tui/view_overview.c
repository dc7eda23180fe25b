/* SPDX-License-Identifier: MIT */
/*
 * The overview: is all well, and what goes on. Panels from top to bottom are
 * capacity, traffic, storages, trackers, events; on a wide screen trackers
 * stand beside traffic. Each panel is told how many lines it may use and
 * gives how many it used.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/chart.h"
#include "tui/num.h"
#include "tui/ui.h"

#define WIDE        120
#define BLOCKS_MOST 8

/* A word on a rule that ends before column x. */
static void label_end(struct canvas *c, int y, int x, const char *text)
{
	const int w = canvas_width(c, text);

	canvas_text(c, y, x - w - 1, 1, ROLE_RULE, " ");
	canvas_text(c, y, x - w, w, ROLE_DIM, text);
	canvas_text(c, y, x, 1, ROLE_RULE, " ");
}

/* --- traffic --- */
static const enum flow traffic_flows[] = { FLOW_UPLOAD, FLOW_DOWNLOAD,
	FLOW_DELETE, FLOW_SYNC_IN, FLOW_APPEND, FLOW_SET_META, FLOW_GET_META,
	FLOW_MODIFY, FLOW_TRUNCATE };
/* In this order they are given lines; in that order they are shown. */
static const enum flow traffic_order[] = { FLOW_UPLOAD, FLOW_DOWNLOAD,
	FLOW_APPEND, FLOW_MODIFY, FLOW_TRUNCATE, FLOW_DELETE, FLOW_SET_META,
	FLOW_GET_META, FLOW_SYNC_IN };

static void traffic_row(struct canvas *c, struct area a, const struct ui *ui,
    enum flow flow)
{
	const struct snapshot *s = ui->s;
	const struct rate *r = &s->all.rates[flow];
	const int spark = a.w - 43;
	char buf[NUM_MAX];
	char text[NUM_MAX + 4];
	int x = a.x + a.w - 30;

	canvas_text(c, a.y, a.x + 1, 10, ROLE_TEXT, flow_rows[flow].name);
	if (spark >= 8)
		chart_spark(c, a.y, a.x + 11, spark,
		    (struct series){ s->history[flow], s->n_history, 1 });
	if (flow_rows[flow].good >= 0) {
		num_rate(buf, r->ops);
		snprintf(text, sizeof(text), "%s%s", buf,
		    strcmp(buf, "·") == 0 || strcmp(buf, "?") == 0 ? "" : "/s");
	} else {
		str_copy(text, sizeof(text), "-");
	}
	canvas_right(c, a.y, x, 9, ROLE_TEXT, text);
	if (flow_rows[flow].bytes >= 0) {
		num_byte_rate(buf, r->bytes);
		snprintf(text, sizeof(text), "%s%s", buf,
		    strcmp(buf, "·") == 0 || strcmp(buf, "?") == 0 ? "" : "/s");
	} else {
		str_copy(text, sizeof(text), "-");
	}
	canvas_right(c, a.y, x + 10, 9, ROLE_TEXT, text);
	if (flow_rows[flow].good >= 0)
		num_failed(text, r);
	canvas_right(c, a.y, x + 20, 9,
	    !isnan(r->failed) && r->failed > 0.001 ? ROLE_WARN : ROLE_TEXT,
	    flow_rows[flow].good >= 0 ? text : "-");
}

static void span_text(int cells, char *buf, size_t cap)
{
	const int seconds =
	    (cells < HISTORY_MAX ? cells : HISTORY_MAX) * HISTORY_STEP;

	if (seconds < 120)
		snprintf(buf, cap, "Traffic, last %d s", seconds);
	else
		snprintf(buf, cap, "Traffic, last %d min", seconds / 60);
}

static int draw_traffic(struct canvas *c, struct area a, struct ui *ui)
{
	const size_t n =
	    size_min(ARRAY_LEN(traffic_flows), a.h > 1 ? (size_t)a.h - 1 : 0);
	unsigned chosen = 0;
	char name[48] = "Traffic";
	int y = a.y;

	if (a.h < 3)
		return 0;
	if (a.w - 43 >= 8)
		span_text(a.w - 43, name, sizeof(name));
	canvas_rule(c, y, a.x, a.w, name, "");
	label_end(c, y, a.x + a.w - 21, "ops");
	label_end(c, y, a.x + a.w - 11, "bytes");
	label_end(c, y, a.x + a.w - 1, "failed");
	y++;
	for (size_t i = 0; i < n; i++)
		chosen |= BIT(traffic_flows[i]);
	for (size_t i = 0; i < ARRAY_LEN(traffic_order); i++) {
		if (chosen & BIT(traffic_order[i]))
			traffic_row(c, (struct area){ y++, a.x, 1, a.w }, ui,
			    traffic_order[i]);
	}
	return y - a.y;
}

/* --- storages --- */
static int count_line(struct canvas *c, int y, int x, const struct snapshot *s)
{
	size_t counts[10] = { 0 };
	size_t up = 0;

	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		up += storage_is_up(st);
		if (st->status >= 0 && st->status < 10)
			counts[st->status]++;
	}
	x = canvas_printf(c, y, x, up < s->n_storages ? ROLE_WARN : ROLE_TEXT,
	    "%zu of %zu up", up, s->n_storages);
	x += 1;
	for (int status = 9; status >= 0; status--) {
		if (counts[status] > 0)
			x = canvas_printf(c, y, x + 2, ROLE_TEXT, "%zu %s",
			    counts[status], model_status_name(status));
	}
	return x;
}

static double ops_of(const struct storage *st)
{
	double sum = 0;

	for (size_t f = 0; f <= FLOW_UNLINK; f++)
		sum += st->rates[f].ops;
	return sum;
}

static void facts_line(struct canvas *c, int y, int x, const struct snapshot *s)
{
	const struct storage *busiest = NULL;
	const struct storage *fullest = NULL;
	const struct storage *behind = NULL;
	char buf[NUM_MAX];

	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		if (ops_of(st) > (busiest ? ops_of(busiest) : 0))
			busiest = st;
		if (num_used_share(&st->space) >
		    (fullest ? num_used_share(&fullest->space) : 0))
			fullest = st;
		if (st->behind > (behind ? behind->behind : 0))
			behind = st;
	}
	if (busiest) {
		x = canvas_printf(c, y, x, ROLE_DIM, "busiest ");
		x = canvas_printf(c, y, x, ROLE_TEXT, "%s %s op/s", busiest->id,
		        num_rate(buf, ops_of(busiest))) +
		    4;
	}
	if (fullest) {
		x = canvas_printf(c, y, x, ROLE_DIM, "fullest ");
		x = canvas_printf(c, y, x, ROLE_TEXT, "%s %s", fullest->id,
		        num_percent(buf,
		            fullest->space.total - fullest->space.free,
		            fullest->space.total)) +
		    4;
	}
	if (behind) {
		x = canvas_printf(c, y, x, ROLE_DIM, "behind ");
		canvas_printf(c, y, x, ROLE_TEXT, "%s %s%s", behind->id,
		    behind->behind_bound ? "≤" : "",
		    str_duration(buf, sizeof(buf), behind->behind));
	}
}

static uint32_t block_of(const struct storage *st)
{
	if (st->status == ST_SYNCING || st->status == ST_WAIT_SYNC ||
	    st->status == ST_INIT || st->status == ST_RECOVERY)
		return 0x25cc;
	return st->severity == SEV_CRIT   ? 0x2716
	       : st->severity == SEV_WARN ? 0x25b2
	                                  : 0x25a0;
}

/* Blocks of one group, one glyph and id each. */
static int block_lines(struct canvas *c, struct area a,
    const struct snapshot *s, const struct group *g)
{
	int x = a.x + 11;
	int y = a.y;

	canvas_text(c, y, a.x + 1, 9, ROLE_TEXT, g->name);
	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];
		const int need = canvas_width(c, st->id) + 5;

		if (strcmp(st->group, g->name) != 0)
			continue;
		if (x + need > a.x + a.w) {
			x = a.x + 11;
			if (++y >= a.y + a.h)
				break;
		}
		canvas_put(c, y, x, role_of(st->severity), block_of(st));
		canvas_text(c, y, x + 2, need, ROLE_TEXT, st->id);
		x += need;
	}
	return y - a.y + 1;
}

static int draw_storages(struct canvas *c, struct area a,
    const struct snapshot *s, bool blocks)
{
	int y = a.y;

	if (a.h < 2)
		return 0;
	canvas_rule(c, y++, a.x, a.w, "Storages",
	    blocks ? "■ ok  ▲ warn  ✖ crit  ◌ first copy" : "");
	count_line(c, y++, a.x + 1, s);
	if (y < a.y + a.h)
		facts_line(c, y++, a.x + 1, s);
	for (size_t i = 0; blocks && i < s->n_groups && y < a.y + a.h; i++)
		y += block_lines(c, (struct area){ y, a.x, a.y + a.h - y, a.w },
		    s, &s->groups[i]);
	return y - a.y;
}

/* --- trackers --- */
static void tracker_line(struct canvas *c, struct area a,
    const struct snapshot *s, size_t i)
{
	const struct tracker *t = &s->trackers[i];
	char up[NUM_MAX];
	int x = a.x + 1;

	canvas_text(c, a.y, x, 3, ROLE_TEXT, t->name);
	canvas_text(c, a.y, x + 4, 22, ROLE_TEXT, t->address);
	x += 27;
	if (t->asked && !t->answers) {
		canvas_text(c, a.y, x, a.x + a.w - x,
		    t->waiting ? ROLE_DIM : ROLE_CRIT,
		    t->waiting ? "connecting …" : t->error);
		return;
	}
	canvas_text(c, a.y, x, 9, ROLE_TEXT,
	    t->leader      ? "leader"
	    : s->leader[0] ? "follower"
	                   : "?");
	canvas_text(c, a.y, x + 9, 8, ROLE_TEXT,
	    t->version[0] ? t->version : "?");
	if (t->up_time > 0)
		str_duration(up, sizeof(up), s->at / 1000 - t->up_time);
	else
		str_copy(up, sizeof(up), "?");
	canvas_right(c, a.y, x + 17, 9, ROLE_TEXT, up);
	if (t->answer_us >= 0)
		snprintf(up, sizeof(up), "%.1fms", (double)t->answer_us / 1000);
	else
		str_copy(up, sizeof(up), t->asked ? "?" : "not asked");
	canvas_right(c, a.y, x + 27, 9, ROLE_TEXT, up);
}

static int draw_trackers(struct canvas *c, struct area a,
    const struct snapshot *s)
{
	int y = a.y;

	if (a.h < 2)
		return 0;
	canvas_rule(c, y, a.x, a.w, "Trackers", "");
	label_end(c, y, a.x + 32, "role");
	label_end(c, y, a.x + 44, "version");
	label_end(c, y, a.x + 54, "up");
	label_end(c, y, a.x + 64, "answer");
	y++;
	for (size_t i = 0; i < s->n_trackers && y < a.y + a.h; i++)
		tracker_line(c, (struct area){ y++, a.x, 1, a.w }, s, i);
	return y - a.y;
}

/* --- events --- */
static int draw_events(struct canvas *c, struct area a,
    const struct snapshot *s)
{
	char since[NUM_MAX];
	char name[64];
	int where = 8;
	int y = a.y;

	if (a.h < 2)
		return 0;
	for (size_t i = 0; i < s->n_events && i < (size_t)a.h; i++) {
		const int w = canvas_width(c, s->events[i].where);

		where = w > where ? w : where;
	}
	snprintf(name, sizeof(name), "Events seen since %s",
	    num_time(since, s->watching_since, s->at));
	canvas_rule(c, y++, a.x, a.w, name, "");
	if (s->n_events == 0)
		canvas_printf(c, y++, a.x + 1, ROLE_DIM, "none");
	for (size_t i = 0; i < s->n_events && y < a.y + a.h; i++) {
		const struct happening *e = &s->events[i];
		char at[NUM_MAX];
		int x = a.x + 1;

		num_time(at, e->at, s->at);
		x = canvas_printf(c, y, x, ROLE_TEXT, "%s ", at);
		canvas_text(c, y, x, 4, role_of(e->severity),
		    word_of(e->severity));
		x += 5;
		canvas_text(c, y, x, where, ROLE_TEXT, e->where);
		x += where + 2;
		canvas_text(c, y, x, a.x + a.w - x, ROLE_TEXT, e->text);
		y++;
	}
	return y - a.y;
}

/* --- all of it --- */
static int draw_middle(struct canvas *c, struct area a, struct ui *ui)
{
	const bool wide = a.w >= WIDE;
	const int right = 66;
	struct area left = a;
	int used;
	int other;

	if (!wide)
		return draw_traffic(c, a, ui);
	left.w = a.w - right - 3;
	used = draw_traffic(c, left, ui);
	other = draw_trackers(c, (struct area){ a.y, a.w - right, a.h, right },
	    ui->s);
	if (other > used)
		used = other;
	for (int y = a.y; y < a.y + used; y++)
		canvas_put(c, y, left.w + 1, ROLE_RULE, 0x2502);
	return used;
}

static struct area below(struct area a, int used, int most)
{
	a.y += used;
	a.h -= used;
	if (a.h > most)
		a.h = most;
	return a;
}

/* Lines that the panel of trackers may have on a narrow screen: none unless
 * everything else fits, for the title tells of them already. */
static int tracker_lines(const struct snapshot *s, struct area a)
{
	const int groups = (int)size_min(s->n_groups, 8);
	const int others = groups + 2 + (groups > 1) + 5 + 3 + 3;
	const int need = (int)s->n_trackers + 1;

	return a.w < WIDE && a.h >= others + need ? need : 0;
}

static void draw_live(struct canvas *c, struct area a, struct ui *ui)
{
	const struct snapshot *s = ui->s;
	const bool wide = a.w >= WIDE;
	const int gap = a.h >= 28;
	const int trackers = tracker_lines(s, a);
	/* What stands below keeps its lines while groups are many. */
	const int spare = a.h - 5 - 3 - 2 - trackers;
	int used;

	used = view_capacity(c, below(a, 0, spare < 4 ? 4 : spare), ui);
	used += gap;
	used += draw_middle(c,
	    below(a, used, a.h >= 24 ? ARRAY_LEN(traffic_flows) + 1 : 5), ui);
	used += gap;
	used += draw_storages(c, below(a, used, wide ? 3 + BLOCKS_MOST : 3), s,
	    wide);
	if (trackers > 0)
		used +=
		    gap + draw_trackers(c, below(a, used + gap, trackers), s);
	used += gap;
	draw_events(c, below(a, used, a.h), s);
}

static void draw_dead(struct canvas *c, struct area a, struct ui *ui)
{
	const struct snapshot *s = ui->s;
	char at[NUM_MAX];
	int used = 1 + view_trackers(c, below(a, 1, a.h), ui);

	if (s->data_at > 0 && a.h - used > 6) {
		used++;
		canvas_printf(c, a.y + used, 1, ROLE_TEXT,
		    "What you see below is the last known state, %s. "
		    "Nothing on it is live.",
		    num_time(at, s->data_at, s->at));
		used++;
		used += view_capacity(c, below(a, used, a.h), ui);
	}
	if (ui->files && ui->files->n_dbs > 0 && a.h - used > 3) {
		used++;
		canvas_printf(c, a.y + used++, 1, ROLE_HEADER,
		    "Still possible without the trackers");
		canvas_printf(c, a.y + used, 3, ROLE_TEXT,
		    "6  look up files and decode ids   (%s)",
		    ui->files->paths[0]);
	}
	snprintf(ui->status, sizeof(ui->status),
	    "r tries at once; it never stops trying");
}

void view_overview(struct canvas *c, struct area a, struct ui *ui)
{
	const struct snapshot *s = ui->s;

	if (!s || s->n_asked == 0) {
		canvas_printf(c, a.y + 1, 1, ROLE_TEXT,
		    "No tracker is asked. Give one with --tracker; 6 shows "
		    "files.");
		return;
	}
	if (s->n_groups > 0 && ui->group[0] == '\0')
		str_copy(ui->group, sizeof(ui->group), s->groups[0].name);
	if (!s->live && !s->complete)
		return;
	if (!s->live) {
		draw_dead(c, a, ui);
	} else if (s->n_storages == 0) {
		view_no_storages(c, a, ui);
	} else {
		snprintf(ui->status, sizeof(ui->status),
		    "%zu %s, %zu %s · rates from heartbeats", s->n_groups,
		    s->n_groups == 1 ? "group" : "groups", s->n_storages,
		    s->n_storages == 1 ? "storage" : "storages");
		draw_live(c, a, ui);
	}
}
