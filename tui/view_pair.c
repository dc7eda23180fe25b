/* SPDX-License-Identifier: MIT */
/* The chosen pair of the Sync view in words. */
#include <inttypes.h>
#include <stdio.h>

#include "tui/num.h"
#include "tui/view_sync.h"

int sync_percent(const struct sync_pair *p)
{
	const struct peer_row *r = &p->pair.peer;

	if (!p->exact || r->filled || r->fill_bytes_all == 0)
		return -1;
	return r->fill_bytes < r->fill_bytes_all
	           ? (int)((double)r->fill_bytes / (double)r->fill_bytes_all *
	                   100)
	           : 100;
}

uint64_t sync_sent(const struct sync_pair *p)
{
	return p->pair.stopped ? 0 : p->pair.peer.rate_bytes;
}

int64_t sync_eta(const struct sync_pair *p)
{
	const uint64_t bytes = p->pair.backlog.bytes;

	if (!p->exact || bytes == 0)
		return -1;
	return pairs_drained(bytes, sync_sent(p), p->pair.arrival);
}

static void draw_bound(struct canvas *c, int y, const struct sync_pair *p)
{
	char text[NUM_MAX];

	if (p->behind == UNKNOWN)
		canvas_printf(c, y++, 1, ROLE_TEXT,
		    "waiting   not known: nothing was received yet, or the "
		    "report is old");
	else if (p->behind == 0)
		canvas_printf(c, y++, 1, ROLE_TEXT, "waiting   nothing");
	else
		canvas_printf(c, y++, 1, ROLE_TEXT,
		    "waiting   at most %s; trackers keep one time for all "
		    "senders",
		    str_duration(text, sizeof(text), p->behind));
	canvas_printf(c, y, 1, ROLE_DIM,
	    "the log of %s is not in reach of this console (--db)", p->from);
}

static void draw_waiting(struct canvas *c, int y, const struct sync_pair *p,
    wall_t now)
{
	const struct peer_backlog *b = &p->pair.backlog;
	char count[NUM_MAX];
	char bytes[NUM_MAX];
	char at[NUM_MAX];
	char age[NUM_MAX];
	int x = canvas_printf(c, y, 1, ROLE_TEXT,
	    "waiting   %s operations · %s", num_grouped(count, (int64_t)b->ops),
	    num_bytes(bytes, (int64_t)b->bytes));

	if (b->oldest > 0)
		x = canvas_printf(c, y, x, ROLE_TEXT, " · oldest %s (%s)",
		    num_time(at, b->oldest, now),
		    str_duration(age, sizeof(age), (now - b->oldest) / 1000));
	if (p->pair.parked > 0)
		canvas_printf(c, y, x, ROLE_WARN, " · %s parked",
		    num_grouped(count, (int64_t)p->pair.parked));
}

static void draw_speed(struct canvas *c, int y, const struct sync_pair *p)
{
	const struct peer_row *r = &p->pair.peer;
	const int64_t eta = sync_eta(p);
	char text[NUM_MAX];
	char in[NUM_MAX];
	int x = canvas_printf(c, y, 1, ROLE_TEXT,
	    "speed     %s/s, %" PRIu64 " operations/s   arrivals %s/s",
	    num_bytes(text, (int64_t)sync_sent(p)),
	    p->pair.stopped ? 0 : r->rate_ops,
	    num_bytes(in, (int64_t)p->pair.arrival));

	if (eta >= 0)
		canvas_printf(c, y, x, ROLE_TEXT, "   drained in ~%s",
		    str_duration(text, sizeof(text), eta));
}

static void draw_place(struct canvas *c, int y, const struct sync_pair *p,
    wall_t now)
{
	const struct peer_row *r = &p->pair.peer;
	char at[NUM_MAX];
	char one[NUM_MAX];
	char two[NUM_MAX];
	int x = canvas_printf(c, y, 1, ROLE_TEXT, "position  operation %s",
	    num_grouped(one, (int64_t)r->seq));

	if (sync_percent(p) >= 0)
		x = canvas_printf(c, y, x, ROLE_TEXT,
		    "   first copy %s of %s files",
		    num_grouped(one, (int64_t)r->fill_files),
		    num_grouped(two, (int64_t)r->fill_files_all));
	if (r->error_at > 0)
		canvas_printf(c, y, x, ROLE_TEXT, "   last error %s %s",
		    num_time(at, r->error_at, now), r->error_text);
	else
		canvas_printf(c, y, x, ROLE_TEXT, "   no error yet");
}

static void draw_state(struct canvas *c, int y, const struct sync_pair *p,
    wall_t now)
{
	const struct peer_row *r = &p->pair.peer;
	char why[320];
	char at[NUM_MAX];
	int x = canvas_printf(c, y, 1, ROLE_TEXT, "phase     %s",
	    p->pair.stopped ? "stopped" : peer_phase_name(r->phase));

	if (r->phase_since > 0)
		x = canvas_printf(c, y, x, ROLE_TEXT, " since %s",
		    num_time(at, r->phase_since, now));
	pairs_why(&p->pair, why, sizeof(why));
	if (why[0])
		canvas_printf(c, y, x, ROLE_TEXT, "   why: %s", why);
}

void view_pair(struct canvas *c, struct area a, const struct ui *ui,
    const struct sync_pair *p)
{
	char name[48];
	int y = a.y;

	snprintf(name, sizeof(name), "%s → %s", p->from, p->to);
	canvas_rule(c, y++, 0, a.w, name, "");
	if (!p->exact) {
		draw_bound(c, y, p);
		return;
	}
	draw_waiting(c, y++, p, ui->s->at);
	draw_speed(c, y++, p);
	draw_place(c, y++, p, ui->s->at);
	draw_state(c, y, p, ui->s->at);
}
