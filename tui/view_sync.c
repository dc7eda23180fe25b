/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what from whom: the members of one group as a matrix, the
 * other groups in a line each, and the pair under the cursor in words.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/num.h"
#include "tui/view_sync.h"

#define LABEL       18 /* columns of a sender's name with its arrow */
#define SENT        18 /* of the sums at the right */
#define CELL_MIN    9
#define CELL_MAX    20
#define DETAIL_ROWS 6
#define LATE_S      60 /* behind for longer than this is marked */

static const char *const value_names[N_SYNC_VALUES] = { "age", "files", "bytes",
	"eta" };

/* --- what there is ------------------------------------------------------- */

static void add_member(struct members *m, const char *id)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->ids[i], id) == 0)
			return;
	if (m->n < SYNC_MEMBERS)
		m->ids[m->n++] = id;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void sync_members(const struct snapshot *s, const char *group,
    struct members *out)
{
	out->n = 0;
	for (size_t i = 0; i < s->n_pairs; i++) {
		if (strcmp(s->pairs[i].group, group) != 0)
			continue;
		add_member(out, s->pairs[i].from);
		add_member(out, s->pairs[i].to);
	}
	if (out->n > 1)
		qsort(out->ids, out->n, sizeof(*out->ids), by_text);
}

/* The pair of a group that most needs to be looked at. */
static const struct sync_pair *worst_of(const struct snapshot *s,
    const char *group)
{
	const struct sync_pair *worst = NULL;

	for (size_t i = 0; i < s->n_pairs; i++) {
		const struct sync_pair *p = &s->pairs[i];

		if (strcmp(p->group, group) != 0)
			continue;
		if (!worst || (sync_pair_waits(p) && !sync_pair_waits(worst)) ||
		    (sync_pair_waits(p) && p->behind > worst->behind))
			worst = p;
	}
	return worst;
}

/* The first group in which something waits, else the first. */
static const char *group_to_show(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_pairs; i++)
		if (sync_pair_waits(&s->pairs[i]))
			return s->pairs[i].group;
	return s->pairs[0].group;
}

static void choose(struct ui *ui, const struct sync_pair *p)
{
	str_copy(ui->sync_group, sizeof(ui->sync_group), p->group);
	str_copy(ui->sync_from, sizeof(ui->sync_from), p->from);
	str_copy(ui->sync_to, sizeof(ui->sync_to), p->to);
}

const struct sync_pair *sync_selected(struct ui *ui)
{
	const struct snapshot *s = ui->s;
	const struct sync_pair *p;

	if (!s || s->n_pairs == 0)
		return NULL;
	p = snapshot_pair(s, ui->sync_group, ui->sync_from, ui->sync_to);
	if (p)
		return p;
	p = worst_of(s, ui->sync_group);
	if (!p)
		p = worst_of(s, group_to_show(s));
	choose(ui, p);
	return p;
}

void sync_next_group(struct ui *ui)
{
	const struct sync_pair *p = sync_selected(ui);
	const struct snapshot *s = ui->s;
	size_t at = 0;

	if (!p)
		return;
	while (
	    at < s->n_pairs && strcmp(s->pairs[at].group, ui->sync_group) != 0)
		at++;
	while (
	    at < s->n_pairs && strcmp(s->pairs[at].group, ui->sync_group) == 0)
		at++;
	choose(ui, worst_of(s, s->pairs[at < s->n_pairs ? at : 0].group));
}

static long index_of(const struct members *m, const char *id)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->ids[i], id) == 0)
			return (long)i;
	return 0;
}

/* Steps over the diagonal, stays within the matrix. */
void sync_move(struct ui *ui, long down, long right)
{
	struct members m;
	long row;
	long column;

	if (!sync_selected(ui))
		return;
	sync_members(ui->s, ui->sync_group, &m);
	row = index_of(&m, ui->sync_from) + down;
	column = index_of(&m, ui->sync_to) + right;
	if (row == column) {
		row += down;
		column += right;
	}
	if (row < 0 || column < 0 || row >= (long)m.n || column >= (long)m.n ||
	    !snapshot_pair(ui->s, ui->sync_group, m.ids[row], m.ids[column]))
		return;
	str_copy(ui->sync_from, sizeof(ui->sync_from), m.ids[row]);
	str_copy(ui->sync_to, sizeof(ui->sync_to), m.ids[column]);
}

/* --- cells --------------------------------------------------------------- */

static void age_text(const struct sync_pair *p, char *buf, size_t cap)
{
	char text[NUM_MAX];
	const int percent = sync_percent(p);

	if (percent >= 0)
		snprintf(buf, cap, "copy %d%%", percent);
	else if (p->behind == UNKNOWN)
		str_copy(buf, cap, "?");
	else
		snprintf(buf, cap, "%s%s", p->bound ? "≤" : "",
		    str_duration(text, sizeof(text), p->behind));
}

static void exact_text(const struct sync_pair *p, enum sync_value value,
    char *buf, size_t cap)
{
	char text[NUM_MAX];
	int64_t eta;

	if (!p->exact) {
		str_copy(buf, cap, "?");
		return;
	}
	if (value == SYNC_FILES_N) {
		num_count(text,
		    (int64_t)(p->pair.backlog.ops + p->pair.parked));
		str_copy(buf, cap, text);
	} else if (value == SYNC_BYTES) {
		num_bytes(text, (int64_t)p->pair.backlog.bytes);
		str_copy(buf, cap, text);
	} else {
		eta = sync_eta(p);
		if (eta < 0)
			str_copy(buf, cap, "?");
		else
			snprintf(buf, cap, "~%s",
			    str_duration(text, sizeof(text), eta));
	}
}

static enum role cell_text(const struct sync_pair *p, enum sync_value value,
    char *buf, size_t cap)
{
	char text[48];
	bool bad;

	if (!sync_pair_waits(p)) {
		str_copy(buf, cap, "in sync");
		return ROLE_TEXT;
	}
	if (value == SYNC_AGE)
		age_text(p, text, sizeof(text));
	else
		exact_text(p, value, text, sizeof(text));
	bad = p->exact && (p->pair.parked > 0 ||
	                      (sync_percent(p) < 0 && p->behind > LATE_S));
	snprintf(buf, cap, "%s%s", bad ? "!" : "", text);
	return bad                      ? ROLE_WARN
	       : strcmp(text, "?") == 0 ? ROLE_UNKNOWN
	                                : ROLE_TEXT;
}

/* --- the matrix ---------------------------------------------------------- */

struct matrix {
	const struct snapshot *s;
	const struct ui *ui;
	struct members m;
	int x, cell; /* where the cells begin, and how wide one is */
	bool sums;
	bool heat; /* one sign a pair */
};

static void lay_out(struct matrix *m, int w)
{
	const int n = (int)m->m.n;
	int widest = CELL_MIN;

	for (size_t i = 0; i < m->m.n; i++)
		if ((int)strlen(m->m.ids[i]) + 2 > widest)
			widest = (int)strlen(m->m.ids[i]) + 2;
	m->x = LABEL;
	m->sums = w - LABEL - SENT >= n * widest;
	m->cell = (w - LABEL - (m->sums ? SENT : 1)) / (n > 0 ? n : 1);
	m->heat = m->cell < widest;
	if (m->cell > CELL_MAX)
		m->cell = CELL_MAX;
	if (m->heat)
		m->cell = 2;
}

static const struct storage *storage_of(const struct matrix *m, size_t i)
{
	return snapshot_storage(m->s, m->ui->sync_group, m->m.ids[i]);
}

/* Bytes a second of a member; NaN not known. */
static double rate_of(const struct matrix *m, size_t i, enum flow flow)
{
	const struct storage *st = storage_of(m, i);

	return st ? st->rates[flow].bytes : NAN;
}

/* The logs know what a member sends now, the tracker what it sent. */
static double sent_by(const struct matrix *m, size_t row)
{
	double sum = NAN;

	for (size_t i = 0; i < m->m.n; i++) {
		const struct sync_pair *p = snapshot_pair(m->s,
		    m->ui->sync_group, m->m.ids[row], m->m.ids[i]);

		if (p && !p->exact)
			return rate_of(m, row, FLOW_SYNC_OUT);
		if (p)
			sum = (isnan(sum) ? 0 : sum) + (double)sync_sent(p);
	}
	return sum;
}

static void draw_sum(struct canvas *c, int y, int x, double bytes)
{
	char text[NUM_MAX];
	char full[NUM_MAX + 8];

	num_byte_rate(text, bytes);
	snprintf(full, sizeof(full), "%s%s", text,
	    strcmp(text, "?") == 0 || strcmp(text, "·") == 0 ? "" : "/s");
	canvas_right(c, y, x, SENT - 8,
	    strcmp(text, "?") == 0 ? ROLE_UNKNOWN : ROLE_TEXT, full);
}

static void draw_heads(struct canvas *c, int y, const struct matrix *m)
{
	char head[24];

	if (m->heat) {
		canvas_printf(c, y, m->x, ROLE_HEADER, "→ in the same order");
		return;
	}
	for (size_t i = 0; i < m->m.n; i++) {
		snprintf(head, sizeof(head), "→%s", m->m.ids[i]);
		canvas_right(c, y, m->x + (int)i * m->cell, m->cell,
		    ROLE_HEADER, head);
	}
	if (m->sums)
		canvas_right(c, y, m->x + (int)m->m.n * m->cell, SENT - 8,
		    ROLE_HEADER, "sent");
}

static uint32_t heat_sign(const struct sync_pair *p)
{
	if (!sync_pair_waits(p))
		return '.';
	if (p->behind == UNKNOWN)
		return '?';
	return p->behind > LATE_S ? 0x2588 : 0x2592;
}

static void draw_cell(struct canvas *c, int y, int x, const struct matrix *m,
    const struct sync_pair *p)
{
	const bool here = strcmp(p->from, m->ui->sync_from) == 0 &&
	                  strcmp(p->to, m->ui->sync_to) == 0;
	const bool cursor = here && !m->ui->batch;
	char text[64];
	char marked[72];
	const enum role role =
	    cell_text(p, m->ui->sync_value, text, sizeof(text));

	snprintf(marked, sizeof(marked), "%s%s", cursor ? "▸" : "", text);
	if (m->heat)
		canvas_put(c, y, x, role, heat_sign(p));
	else
		canvas_right(c, y, x, m->cell, role, marked);
	if (cursor)
		canvas_reverse(c, y, m->heat ? x : x + 1,
		    m->heat ? 1 : m->cell - 1);
}

static void draw_row(struct canvas *c, int y, const struct matrix *m,
    size_t row)
{
	canvas_printf(c, y, 1, ROLE_TEXT, "%s", m->m.ids[row]);
	if (!m->heat)
		canvas_printf(c, y, LABEL - 1, ROLE_DIM, "→");
	for (size_t i = 0; i < m->m.n; i++) {
		const int x = m->x + (int)i * m->cell;
		const struct sync_pair *p = snapshot_pair(m->s,
		    m->ui->sync_group, m->m.ids[row], m->m.ids[i]);

		if (p)
			draw_cell(c, y, x, m, p);
		else if (m->heat)
			canvas_put(c, y, x, ROLE_DIM, ' ');
		else
			canvas_right(c, y, x, m->cell, ROLE_DIM,
			    i == row ? "·" : "-");
	}
	if (m->sums)
		draw_sum(c, y, m->x + (int)m->m.n * m->cell, sent_by(m, row));
}

static void draw_received(struct canvas *c, int y, const struct matrix *m)
{
	char text[NUM_MAX];

	canvas_printf(c, y, 1, ROLE_DIM, "received");
	for (size_t i = 0; i < m->m.n; i++) {
		num_byte_rate(text, rate_of(m, i, FLOW_SYNC_IN));
		canvas_right(c, y, m->x + (int)i * m->cell, m->cell,
		    strcmp(text, "?") == 0 ? ROLE_UNKNOWN : ROLE_DIM, text);
	}
}

static void draw_title(struct canvas *c, int y, const struct ui *ui)
{
	int x = canvas_printf(c, y, 1, ROLE_HEADER, "%s",
	    ui->sync_group[0] ? ui->sync_group : "?");

	x = canvas_printf(c, y, x, ROLE_TEXT,
	    " waits to be copied, FROM row TO column");
	if (ui->batch)
		return;
	x = canvas_printf(c, y, x, ROLE_KEY, "   v:");
	for (int v = 0; v < N_SYNC_VALUES; v++)
		x = canvas_printf(c, y, x,
		    v == (int)ui->sync_value ? ROLE_TAB_NOW : ROLE_DIM, " %s",
		    value_names[v]);
}

static int draw_matrix(struct canvas *c, struct area a, const struct ui *ui)
{
	struct matrix m = { .s = ui->s, .ui = ui };
	int y = a.y;

	sync_members(ui->s, ui->sync_group, &m.m);
	lay_out(&m, a.w);
	draw_title(c, y++, ui);
	draw_heads(c, y++, &m);
	for (size_t i = 0; i < m.m.n && y < a.y + a.h; i++)
		draw_row(c, y++, &m, i);
	if (!m.heat && ui->s->n_storages > 0 && y < a.y + a.h)
		draw_received(c, y++, &m);
	return y - a.y;
}

/* --- the other groups ---------------------------------------------------- */

static void draw_group(struct canvas *c, int y, const struct snapshot *s,
    const char *group)
{
	const struct sync_pair *p = worst_of(s, group);
	char text[64];
	enum role role;

	canvas_printf(c, y, 1, ROLE_DIM, "%s", group[0] ? group : "?");
	if (!sync_pair_waits(p)) {
		canvas_printf(c, y, LABEL, ROLE_TEXT, "all in sync");
		return;
	}
	role = cell_text(p, SYNC_AGE, text, sizeof(text));
	canvas_printf(c, y, LABEL, role, "%s→%s  %s", p->from, p->to, text);
}

static int draw_others(struct canvas *c, struct area a, const struct ui *ui)
{
	const struct snapshot *s = ui->s;
	int y = a.y;

	for (size_t i = 0; i < s->n_pairs && y < a.y + a.h; i++) {
		const char *group = s->pairs[i].group;

		if ((i > 0 && strcmp(group, s->pairs[i - 1].group) == 0) ||
		    strcmp(group, ui->sync_group) == 0)
			continue;
		draw_group(c, y++, s, group);
	}
	return y - a.y;
}

/* --- the view ------------------------------------------------------------- */

static void draw_nothing(struct canvas *c, struct area a, struct ui *ui)
{
	canvas_printf(c, a.y + 1, 1, ROLE_TEXT,
	    "No two storages of a group are known: nothing is copied.");
	if (ui->sync && ui->sync->error[0])
		canvas_printf(c, a.y + 3, 1, ROLE_WARN, "%s", ui->sync->error);
	snprintf(ui->status, sizeof(ui->status), "no pair");
}

void view_sync(struct canvas *c, struct area a, struct ui *ui)
{
	const struct sync_pair *p = sync_selected(ui);
	const bool detail = a.h >= DETAIL_ROWS + 6;
	struct area rest = a;
	int used;

	if (ui->s && ui->s->n_asked > 0 && !ui->s->live &&
	    ui->s->data_at == 0 && !p) {
		view_overview(c, a, ui);
		return;
	}
	if (!p || !ui->s) {
		draw_nothing(c, a, ui);
		return;
	}
	rest.h = detail ? a.h - DETAIL_ROWS : a.h;
	used = draw_matrix(c, rest, ui);
	rest.y += used + 1;
	rest.h -= used + 1;
	used = draw_others(c, rest, ui);
	/* at the bottom of a screen, right behind the rest in text */
	rest.y =
	    ui->batch ? rest.y + used + (used > 0) : a.y + a.h - DETAIL_ROWS;
	rest.h = DETAIL_ROWS;
	if (detail)
		view_pair(c, rest, ui, p);
	if (ui->sync && ui->sync->error[0])
		str_copy(ui->status, sizeof(ui->status), ui->sync->error);
	else
		snprintf(ui->status, sizeof(ui->status), "%s to %s · %s",
		    p->from, p->to,
		    p->exact ? "exact: counted by the sender"
		             : "at most: as the trackers tell");
}
