/* SPDX-License-Identifier: MIT */
/*
 * What is shown when there is nothing to show: no tracker answers, no storage
 * has joined, no cluster is configured.
 */
#include <stdio.h>
#include <string.h>

#include "tui/num.h"
#include "tui/ui.h"

int view_trackers(struct canvas *c, struct area a, const struct ui *ui)
{
	const struct snapshot *s = ui->s;
	char at[NUM_MAX];
	int y = a.y;

	if (a.h < 2)
		return 0;
	canvas_text(c, y, 1, 24, ROLE_HEADER, "TRACKER");
	canvas_text(c, y, 28, 12, ROLE_HEADER, "LAST ANSWER");
	canvas_text(c, y, 42, 12, ROLE_HEADER, "NOW");
	y++;
	for (size_t i = 0; i < s->n_asked && y < a.y + a.h; i++) {
		const struct tracker *t = &s->trackers[i];

		canvas_printf(c, y, 1, ROLE_TEXT, "%s", t->name);
		canvas_text(c, y, 4, 23, ROLE_TEXT, t->address);
		canvas_text(c, y, 28, 13, ROLE_TEXT,
		    t->last_answer > 0 ? num_time(at, t->last_answer, s->at)
		                       : "never");
		canvas_text(c, y, 42, a.w - 43,
		    t->answers ? ROLE_TEXT : ROLE_CRIT,
		    t->waiting   ? "connecting …"
		    : t->answers ? "answers"
		                 : t->error);
		y++;
	}
	return y - a.y;
}

void view_no_storages(struct canvas *c, struct area a, struct ui *ui)
{
	const struct snapshot *s = ui->s;
	const struct tracker *t = &s->trackers[0];
	char up[NUM_MAX] = "?";
	int y = a.y + 1;

	for (size_t i = 0; i < s->n_asked; i++) {
		if (s->trackers[i].answers) {
			t = &s->trackers[i];
			break;
		}
	}
	canvas_printf(c, y, 1, ROLE_TEXT,
	    "No storage server has joined this tracker.");
	y += 2;
	if (t->up_time > 0)
		str_duration(up, sizeof(up), s->at / 1000 - t->up_time);
	canvas_printf(c, y, 1, ROLE_TEXT, "%s %s is up for %s, version %s%s.",
	    t->name, t->address, up, t->version[0] ? t->version : "?",
	    t->leader ? ", leader" : "");
	y += 2;
	canvas_printf(c, y++, 1, ROLE_TEXT,
	    "A storage appears here within seconds of its start. If one was "
	    "started:");
	canvas_printf(c, y++, 3, ROLE_TEXT,
	    "1  its storage.conf names this tracker:  tracker_server = %s",
	    t->address);
	canvas_printf(c, y++, 3, ROLE_TEXT,
	    "2  it can reach that address from its host");
	canvas_printf(c, y, 3, ROLE_TEXT,
	    "3  its log says why not:  <base_path>/logs/storaged.log");
	snprintf(ui->status, sizeof(ui->status),
	    "waiting for the first storage…");
}

void view_setup(struct canvas *c, struct area a, struct ui *ui)
{
	int y = a.y + 2;
	int x;

	canvas_printf(c, a.y, 1, ROLE_TITLE, "fdfs-top");
	canvas_printf(c, y++, 3, ROLE_TEXT,
	    "No cluster is configured yet. Looked at:");
	y++;
	for (size_t i = 0; i < ui->n_looked; i++, y++) {
		canvas_text(c, y, 5, 34, ROLE_TEXT, ui->looked[i].where);
		canvas_printf(c, y, 40, ROLE_DIM, "%s", ui->looked[i].found);
	}
	y++;
	canvas_printf(c, y++, 3, ROLE_TEXT,
	    "Tracker address (host or host:port, several with commas)");
	x = canvas_printf(c, y, 3, ROLE_PROMPT, "› ");
	x = canvas_printf(c, y, x, ROLE_TEXT, "%s", ui->input);
	canvas_put(c, y, x, ROLE_PROMPT, 0x258f);
	c->cursor_y = y;
	c->cursor_x = x;
	y += 2;
	if (ui->message[0] && ui->now < ui->message_until)
		canvas_printf(c, y, 3, ROLE_WARN, "%s", ui->message);
	y += 2;
	canvas_printf(c, y, 3, ROLE_TEXT,
	    "or look at a metadata file alone:   fdfs-top --db FILE");
	canvas_right(c, a.y + a.h - 1, 0, a.w - 1, ROLE_HINT,
	    "⏎ open      Esc or ^C quits");
}
