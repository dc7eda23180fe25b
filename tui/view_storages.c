/* SPDX-License-Identifier: MIT */
/*
 * All storages as a table, and a few lines about the one under the cursor.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/num.h"
#include "tui/ui.h"

#define DETAIL_ROWS 7
#define TABLE_ROWS  6 /* at least, with its header */

/* The role of plain text of a storage: dim when it is old. */
static enum role plain(const struct storage *st)
{
	return st->stale ? ROLE_STALE : ROLE_TEXT;
}

static enum role cell_id(const void *row, char *buf)
{
	const struct storage *st = row;

	str_copy(buf, TABLE_CELL, st->id);
	return plain(st);
}

static enum role cell_group(const void *row, char *buf)
{
	const struct storage *st = row;

	str_copy(buf, TABLE_CELL, st->group);
	return plain(st);
}

static enum role cell_address(const void *row, char *buf)
{
	const struct storage *st = row;

	snprintf(buf, TABLE_CELL,
	    strchr(st->ip, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64, st->ip,
	    st->port);
	return plain(st);
}

static enum role cell_state(const void *row, char *buf)
{
	const struct storage *st = row;

	snprintf(buf, TABLE_CELL, "%s%s", model_status_name(st->status),
	    st->disagree ? "≠" : "");
	if (st->severity > SEV_OK)
		return role_of(st->severity);
	return plain(st);
}

static enum role cell_version(const void *row, char *buf)
{
	const struct storage *st = row;

	str_copy(buf, TABLE_CELL, st->version[0] ? st->version : "?");
	return plain(st);
}

static enum role cell_beat(const void *row, char *buf)
{
	const struct storage *st = row;
	char age[NUM_MAX];
	const bool late = st->beat_age > BEAT_STALE;

	snprintf(buf, TABLE_CELL, "%s%s", late ? "!" : "",
	    num_age(age, st->beat_age));
	if (st->beat_age == UNKNOWN)
		return ROLE_UNKNOWN;
	return !late                      ? ROLE_TEXT
	       : st->beat_age > BEAT_DEAD ? ROLE_CRIT
	                                  : ROLE_WARN;
}

static double value_beat(const void *row)
{
	const struct storage *st = row;

	return st->beat_age == UNKNOWN ? NAN : (double)st->beat_age;
}

static enum role cell_used(const void *row, char *buf)
{
	const struct storage *st = row;
	char text[NUM_MAX];

	num_percent(text,
	    st->space.free < 0 ? UNKNOWN : st->space.total - st->space.free,
	    st->space.total);
	snprintf(buf, TABLE_CELL, "%s%s", text, st->stale ? "*" : "");
	return plain(st);
}

static double value_used(const void *row)
{
	const double share =
	    num_used_share(&((const struct storage *)row)->space);

	return share < 0 ? NAN : share * 100;
}

static enum role cell_total(const void *row, char *buf)
{
	const struct storage *st = row;

	num_bytes(buf, st->space.total);
	return plain(st);
}

static double value_total(const void *row)
{
	const struct storage *st = row;

	return st->space.total == UNKNOWN ? NAN : (double)st->space.total;
}

/* The tracker tells sums over the paths only: with several paths the usable
 * space is an estimate, since each path keeps its own reserve. */
static enum role cell_usable(const void *row, char *buf)
{
	const struct storage *st = row;
	char text[NUM_MAX];

	num_bytes(text, st->space.usable);
	snprintf(buf, TABLE_CELL, "%s%s%s",
	    st->paths > 1 && st->space.usable != UNKNOWN ? "~" : "", text,
	    st->stale ? "*" : "");
	return plain(st);
}

static double value_usable(const void *row)
{
	const struct storage *st = row;

	return st->space.usable == UNKNOWN ? NAN : (double)st->space.usable;
}

static enum role rate_role(const struct storage *st, const char *text)
{
	if (strcmp(text, "?") == 0)
		return ROLE_UNKNOWN;
	return plain(st);
}

static enum role cell_up(const void *row, char *buf)
{
	const struct storage *st = row;

	return rate_role(st, num_rate(buf, st->rates[FLOW_UPLOAD].ops));
}

static double value_up(const void *row)
{
	return ((const struct storage *)row)->rates[FLOW_UPLOAD].ops;
}

static enum role cell_down(const void *row, char *buf)
{
	const struct storage *st = row;

	return rate_role(st, num_rate(buf, st->rates[FLOW_DOWNLOAD].ops));
}

static double value_down(const void *row)
{
	return ((const struct storage *)row)->rates[FLOW_DOWNLOAD].ops;
}

static enum role cell_up_bytes(const void *row, char *buf)
{
	const struct storage *st = row;

	return rate_role(st, num_byte_rate(buf, st->rates[FLOW_UPLOAD].bytes));
}

static double value_up_bytes(const void *row)
{
	return ((const struct storage *)row)->rates[FLOW_UPLOAD].bytes;
}

static enum role cell_down_bytes(const void *row, char *buf)
{
	const struct storage *st = row;

	return rate_role(st,
	    num_byte_rate(buf, st->rates[FLOW_DOWNLOAD].bytes));
}

static double value_down_bytes(const void *row)
{
	return ((const struct storage *)row)->rates[FLOW_DOWNLOAD].bytes;
}

static enum role cell_sync(const void *row, char *buf)
{
	const struct storage *st = row;

	return rate_role(st, num_byte_rate(buf, st->rates[FLOW_SYNC_IN].bytes));
}

static double value_sync(const void *row)
{
	return ((const struct storage *)row)->rates[FLOW_SYNC_IN].bytes;
}

static enum role cell_behind(const void *row, char *buf)
{
	const struct storage *st = row;
	char text[NUM_MAX];

	if (st->alone) {
		str_copy(buf, TABLE_CELL, "-");
		return ROLE_DIM;
	}
	if (st->filling >= 0) {
		snprintf(buf, TABLE_CELL, "%d%%", st->filling);
		return ROLE_INFO;
	}
	if (st->behind == UNKNOWN) {
		str_copy(buf, TABLE_CELL, "?");
		return ROLE_UNKNOWN;
	}
	snprintf(buf, TABLE_CELL, "%s%s", st->behind_bound ? "≤" : "",
	    str_duration(text, sizeof(text), st->behind));
	return ROLE_TEXT;
}

static double value_behind(const void *row)
{
	const struct storage *st = row;

	return st->behind == UNKNOWN ? NAN : (double)st->behind;
}

static enum role cell_conns(const void *row, char *buf)
{
	const struct storage *st = row;

	snprintf(buf, TABLE_CELL, "%" PRId32 "%s", st->stats.current_conns,
	    st->stale ? "*" : "");
	return plain(st);
}

static double value_conns(const void *row)
{
	return ((const struct storage *)row)->stats.current_conns;
}

/* All that clients ask for, together. */
static struct rate client_ops(const struct storage *st)
{
	struct rate sum = { 0 };

	for (size_t f = 0; f <= FLOW_UNLINK; f++) {
		sum.ops += st->rates[f].ops;
		sum.tried += st->rates[f].tried;
	}
	sum.failed = sum.tried * st->rate_span >= 20
	                 ? (sum.tried - sum.ops) / sum.tried
	                 : NAN;
	return sum;
}

static enum role cell_fail(const void *row, char *buf)
{
	const struct storage *st = row;
	const struct rate r = client_ops(st);

	num_failed(buf, &r);
	if (!isnan(r.failed) && r.failed > 0.001)
		return r.failed > 0.01 ? ROLE_CRIT : ROLE_WARN;
	return rate_role(st, buf);
}

static double value_fail(const void *row)
{
	return client_ops(row).failed * 100;
}

/* clang-format off */
const struct column storage_columns[] = {
	{ "ID", "id", COL_TEXT, 8, 0, false, true, cell_id, NULL },
	{ "GROUP", "group", COL_TEXT, 7, 1, false, true, cell_group, NULL },
	{ "ADDRESS", "address", COL_TEXT, 15, 12, false, true, cell_address,
	    NULL },
	{ "STATE", "state", COL_TEXT, 9, 0, false, false, cell_state, NULL },
	{ "VERSION", "version", COL_TEXT, 7, 13, false, false, cell_version,
	    NULL },
	{ "HB", "hb", COL_TIME, 4, 2, true, false, cell_beat, value_beat },
	{ "USED%", "used%", COL_PERCENT, 5, 3, true, false, cell_used,
	    value_used },
	{ "TOTAL", "total", COL_BYTES, 7, 14, true, false, cell_total,
	    value_total },
	{ "USABLE", "usable", COL_BYTES, 7, 3, true, false, cell_usable,
	    value_usable },
	{ "UP/s", "up", COL_COUNT, 5, 4, true, false, cell_up, value_up },
	{ "DN/s", "dn", COL_COUNT, 5, 4, true, false, cell_down, value_down },
	{ "UP B/s", "upb", COL_BYTES, 6, 10, true, false, cell_up_bytes,
	    value_up_bytes },
	{ "DN B/s", "dnb", COL_BYTES, 6, 10, true, false, cell_down_bytes,
	    value_down_bytes },
	{ "SYNC↓B/s", "sync", COL_BYTES, 8, 8, true, false, cell_sync,
	    value_sync },
	{ "BEHIND", "behind", COL_TIME, 6, 5, true, false, cell_behind,
	    value_behind },
	{ "CONN", "conn", COL_COUNT, 4, 6, true, false, cell_conns,
	    value_conns },
	{ "FAIL", "fail", COL_PERCENT, 5, 7, true, false, cell_fail,
	    value_fail },
};
/* clang-format on */
const size_t n_storage_columns = ARRAY_LEN(storage_columns);

void storage_key(const void *row, char *buf)
{
	const struct storage *st = row;

	snprintf(buf, TABLE_CELL, "%s/%s", st->group, st->id);
}

void view_storages_load(struct ui *ui)
{
	if (ui->s)
		table_load(&ui->storages, ui->s->storages, ui->s->n_storages,
		    sizeof(*ui->s->storages));
}

void view_sync_line(struct canvas *c, int y, const struct storage *st)
{
	char text[NUM_MAX];
	int x = canvas_printf(c, y, 1, ROLE_TEXT, "last change here %s",
	    num_stamp(text, st->stats.last_source_update));

	if (st->stats.last_synced_timestamp > 0)
		canvas_printf(c, y, x, ROLE_TEXT, "   received up to %s",
		    num_stamp(text, st->stats.last_synced_timestamp));
	else
		canvas_printf(c, y, x, ROLE_TEXT,
		    "   nothing received from peers yet");
}

/* Whom it is behind, the worst; what the sender's log counts is exact. */
void view_behind_line(struct canvas *c, int y, const struct snapshot *s,
    const struct storage *st)
{
	const struct sync_pair *worst = NULL;
	char text[NUM_MAX];
	char bytes[NUM_MAX];
	int x;

	for (size_t i = 0; i < s->n_pairs; i++) {
		const struct sync_pair *p = &s->pairs[i];

		if (strcmp(p->to, st->id) == 0 &&
		    strcmp(p->group, st->group) == 0 && sync_pair_waits(p) &&
		    (!worst || p->behind > worst->behind))
			worst = p;
	}
	if (!worst) {
		canvas_printf(c, y, 1, ROLE_TEXT,
		    st->alone ? "no other storage of its group is up"
		              : "behind nobody: everything has arrived");
		return;
	}
	x = canvas_printf(c, y, 1, ROLE_TEXT, "behind %s   ", worst->from);
	if (worst->behind == UNKNOWN)
		x = canvas_printf(c, y, x, ROLE_UNKNOWN, "?");
	else
		x = canvas_printf(c, y, x, ROLE_TEXT, "%s%s",
		    worst->bound ? "≤" : "",
		    str_duration(text, sizeof(text), worst->behind));
	if (!worst->exact)
		return;
	x = canvas_printf(c, y, x, ROLE_TEXT, "   %s operations   %s",
	    num_grouped(text, (int64_t)worst->pair.backlog.ops),
	    num_bytes(bytes, (int64_t)worst->pair.backlog.bytes));
	if (worst->pair.parked > 0)
		x = canvas_printf(c, y, x, ROLE_WARN, "   %s parked",
		    num_grouped(text, (int64_t)worst->pair.parked));
	if (st->filling >= 0)
		canvas_printf(c, y, x, ROLE_TEXT, "   first copy %d %%",
		    st->filling);
}

static const char *rw_name(int mode)
{
	return mode == 6   ? "both"
	       : mode == 4 ? "read only"
	       : mode == 2 ? "write only"
	                   : "none";
}

static int seen_line(struct canvas *c, int y, const struct ui *ui,
    const struct storage *st)
{
	const struct snapshot *s = ui->s;
	int x = canvas_printf(c, y, 1, ROLE_DIM, "trackers");

	for (size_t i = 0; i < s->n_asked; i++) {
		if (st->seen[i] >= 0)
			x = canvas_printf(c, y, x, ROLE_TEXT, "  %s %s",
			    s->trackers[i].name,
			    model_status_name(st->seen[i]));
		else
			x = canvas_printf(c, y, x, ROLE_UNKNOWN, "  %s ?",
			    s->trackers[i].name);
	}
	if (s->n_answering > 1)
		x = canvas_printf(c, y, x, st->disagree ? ROLE_WARN : ROLE_TEXT,
		    "   %s", st->disagree ? "they disagree" : "all agree");
	return x;
}

static void draw_detail(struct canvas *c, struct area a, const struct ui *ui,
    const struct storage *st)
{
	const int64_t now = ui->s->at / 1000;
	char name[96];
	char up[NUM_MAX];
	char joined[NUM_MAX];
	int y = a.y;

	snprintf(name, sizeof(name), "%s  %s:%" PRId64, st->id, st->ip,
	    st->port);
	canvas_rule(c, y++, a.x, a.w, name, "");
	if (st->up_time > 0)
		str_duration(up, sizeof(up), now - st->up_time);
	else
		str_copy(up, sizeof(up), "?");
	num_stamp(joined, st->join_time);
	joined[10] = '\0';
	canvas_printf(c, y++, 1, ROLE_TEXT,
	    "version %s   up %s   joined %s   rw %s   priority %" PRId64,
	    st->version[0] ? st->version : "?", up, joined,
	    rw_name(st->rw_mode), st->priority);
	canvas_printf(c, y++, 1, ROLE_TEXT,
	    "connections %" PRId32 " of %" PRId32 " allocated, peak %" PRId32
	    "   store paths %" PRId64 "   next upload to M%02" PRIX64,
	    st->stats.current_conns, st->stats.alloc_conns, st->stats.max_conns,
	    st->paths, st->write_path);
	view_sync_line(c, y++, st);
	view_behind_line(c, y++, ui->s, st);
	seen_line(c, y++, ui, st);
	if (st->stale)
		canvas_printf(c, y, 1, ROLE_DIM,
		    "* older than it should be      ? not known now");
}

void view_storages(struct canvas *c, struct area a, struct ui *ui)
{
	const struct storage *st;
	int rows = a.h;

	if (!ui->s || (!ui->s->live && ui->s->data_at == 0)) {
		view_overview(c, a, ui);
		return;
	}
	if (ui->s->n_storages == 0) {
		view_no_storages(c, a, ui);
		return;
	}
	view_storages_load(ui);
	st = table_current(&ui->storages);
	if (a.h >= TABLE_ROWS + DETAIL_ROWS && st) {
		rows = a.h - DETAIL_ROWS;
		draw_detail(c, (struct area){ a.y + rows, 0, DETAIL_ROWS, a.w },
		    ui, st);
	}
	table_draw(&ui->storages, c, a.y, rows, false);
	table_status(&ui->storages, "storage", ui->status, sizeof(ui->status));
}
