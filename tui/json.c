/* SPDX-License-Identifier: MIT */
/*
 * The snapshot as JSON, schema fdfs-top.snapshot/1: fields are added, never
 * changed. What is not known is null and is named in "unknown" of its object.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/num.h"
#include "tui/ui.h"

/* One object being written: commas, and the names that are unknown. */
struct object {
	FILE *out;
	bool some;
	struct strbuf unknown;
	char text[512];
};

static void open_object(struct object *o, FILE *out)
{
	*o = (struct object){ .out = out };
	o->unknown = strbuf_over(o->text, sizeof(o->text));
	fputc('{', out);
}

static void name(struct object *o, const char *key)
{
	fprintf(o->out, "%s\"%s\":", o->some ? "," : "", key);
	o->some = true;
}

static void text(struct object *o, const char *key, const char *value)
{
	char buf[1024];
	struct strbuf b = strbuf_over(buf, sizeof(buf));

	str_json(&b, value, strlen(value));
	name(o, key);
	fprintf(o->out, "\"%s\"", buf);
}

static void null(struct object *o, const char *key)
{
	name(o, key);
	fputs("null", o->out);
	strbuf_addf(&o->unknown, "%s\"%s\"", o->unknown.len ? "," : "", key);
}

static void number(struct object *o, const char *key, int64_t v)
{
	if (v == UNKNOWN) {
		null(o, key);
		return;
	}
	name(o, key);
	fprintf(o->out, "%" PRId64, v);
}

static void real(struct object *o, const char *key, double v)
{
	if (isnan(v)) {
		null(o, key);
		return;
	}
	name(o, key);
	fprintf(o->out, "%.3f", v);
}

static void boolean(struct object *o, const char *key, bool v)
{
	name(o, key);
	fputs(v ? "true" : "false", o->out);
}

static void close_object(struct object *o)
{
	if (o->unknown.len > 0)
		fprintf(o->out, "%s\"unknown\":[%s]", o->some ? "," : "",
		    o->text);
	fputc('}', o->out);
}

static void stamp(struct object *o, const char *key, wall_t at)
{
	char buf[NUM_MAX];

	if (at <= 0) {
		null(o, key);
		return;
	}
	num_rfc3339(buf, at);
	text(o, key, buf);
}

static void print_verdict(FILE *out, const struct snapshot *s)
{
	static const char *const words[] = { "ok", "info", "warn", "crit" };

	fprintf(out, "{\"severity\":\"%s\",\"count\":%zu,\"problems\":[",
	    words[s->verdict], s->n_problems);
	for (size_t i = 0; i < s->n_problems; i++) {
		const struct problem *p = &s->problems[i];
		struct object o;

		fputs(i ? "," : "", out);
		open_object(&o, out);
		text(&o, "code", p->code);
		text(&o, "severity", words[p->severity]);
		text(&o, "where", p->where);
		stamp(&o, "since", p->since);
		text(&o, "text", p->text);
		name(&o, "remedy");
		fprintf(out, "[\"%s\"]", p->remedy);
		close_object(&o);
	}
	fputs("]}", out);
}

static void print_tracker(FILE *out, const struct snapshot *s,
    const struct tracker *t)
{
	struct object o;

	open_object(&o, out);
	text(&o, "id", t->name);
	text(&o, "address", t->address);
	boolean(&o, "asked", t->asked);
	boolean(&o, "answers", t->answers);
	if (t->error[0])
		text(&o, "error", t->error);
	if (t->leader || s->leader[0])
		text(&o, "role", t->leader ? "leader" : "follower");
	else
		null(&o, "role");
	if (t->version[0])
		text(&o, "version", t->version);
	else
		null(&o, "version");
	number(&o, "up_s",
	    t->up_time > 0 ? s->at / 1000 - t->up_time : UNKNOWN);
	real(&o, "answer_ms",
	    t->answer_us >= 0 ? (double)t->answer_us / 1000 : NAN);
	close_object(&o);
}

static void print_space(struct object *parent, const struct space *sp)
{
	struct object o;

	name(parent, "bytes");
	open_object(&o, parent->out);
	number(&o, "total", sp->total);
	number(&o, "free", sp->free);
	number(&o, "reserved", sp->reserve);
	number(&o, "usable", sp->usable);
	close_object(&o);
}

static void print_rates(struct object *parent, const struct rate rates[N_FLOWS])
{
	struct object o;

	name(parent, "rates");
	open_object(&o, parent->out);
	for (size_t f = 0; f < N_FLOWS; f++) {
		if (flow_rows[f].good >= 0)
			real(&o, flow_rows[f].field, rates[f].ops);
	}
	close_object(&o);
	name(parent, "bytes_per_s");
	open_object(&o, parent->out);
	for (size_t f = 0; f < N_FLOWS; f++) {
		if (flow_rows[f].bytes >= 0)
			real(&o, flow_rows[f].field, rates[f].bytes);
	}
	close_object(&o);
}

static void print_group(FILE *out, const struct group *g)
{
	struct object o;

	open_object(&o, out);
	text(&o, "name", g->name);
	number(&o, "storages", g->n_storages);
	number(&o, "readable", g->readable);
	number(&o, "writable", g->writable);
	print_space(&o, &g->space);
	number(&o, "behind_s", g->behind);
	print_rates(&o, g->rates);
	close_object(&o);
}

static void print_behind(struct object *parent, const struct storage *st)
{
	struct object o;

	name(parent, "behind");
	if (st->alone) {
		fputs("null", parent->out);
		return;
	}
	open_object(&o, parent->out);
	number(&o, "seconds", st->behind);
	text(&o, "bound", st->behind_bound ? "upper" : "exact");
	close_object(&o);
}

static void print_seen(struct object *parent, const struct snapshot *s,
    const struct storage *st)
{
	struct object o;

	name(parent, "states_by_tracker");
	open_object(&o, parent->out);
	for (size_t i = 0; i < s->n_asked; i++) {
		if (st->seen[i] >= 0)
			text(&o, s->trackers[i].name,
			    model_status_name(st->seen[i]));
		else
			null(&o, s->trackers[i].name);
	}
	close_object(&o);
}

static void print_storage(FILE *out, const struct snapshot *s,
    const struct storage *st)
{
	char address[64];
	struct object o;
	struct object counters;

	open_object(&o, out);
	text(&o, "id", st->id);
	text(&o, "group", st->group);
	snprintf(address, sizeof(address),
	    strchr(st->ip, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64, st->ip,
	    st->port);
	text(&o, "address", address);
	text(&o, "state", model_status_name(st->status));
	print_seen(&o, s, st);
	text(&o, "version", st->version);
	number(&o, "heartbeat_age_s", st->beat_age);
	boolean(&o, "stale", st->stale);
	print_space(&o, &st->space);
	print_rates(&o, st->rates);
	name(&o, "counters");
	open_object(&counters, out);
	for (size_t i = 0; i < N_STATS; i++)
		number(&counters, stat_names[i], stats_get(&st->stats, i));
	close_object(&counters);
	print_behind(&o, st);
	close_object(&o);
}

static void print_pair(FILE *out, const struct sync_pair *p)
{
	const struct peer_backlog *b = &p->pair.backlog;
	struct object o;

	open_object(&o, out);
	text(&o, "group", p->group);
	text(&o, "from", p->from);
	text(&o, "to", p->to);
	number(&o, "behind_s", p->behind);
	text(&o, "bound", p->bound ? "upper" : "exact");
	number(&o, "waiting", p->exact ? (int64_t)b->ops : UNKNOWN);
	number(&o, "waiting_bytes", p->exact ? (int64_t)b->bytes : UNKNOWN);
	number(&o, "parked", p->exact ? (int64_t)p->pair.parked : UNKNOWN);
	number(&o, "bytes_per_s",
	    p->exact ? (int64_t)p->pair.peer.rate_bytes : UNKNOWN);
	if (p->exact)
		text(&o, "phase", peer_phase_name(p->pair.peer.phase));
	else
		null(&o, "phase");
	close_object(&o);
}

/* A source that did not answer is named: what is shown lacks its word. */
static void print_missing(FILE *out, const struct snapshot *s)
{
	const char *comma = "";

	fputc('[', out);
	for (size_t i = 0; i < s->n_asked; i++) {
		if (s->trackers[i].answers)
			continue;
		fprintf(out, "%s\"%s\"", comma, s->trackers[i].name);
		comma = ",";
	}
	fputc(']', out);
}

void json_print(FILE *out, const struct ui *ui)
{
	const struct snapshot *s = ui->s;
	struct object o;

	open_object(&o, out);
	text(&o, "schema", "fdfs-top.snapshot/1");
	text(&o, "cluster", ui->cluster);
	stamp(&o, "at", s->at);
	text(&o, "source", s->live ? "heartbeat" : "none");
	number(&o, "age_s", s->worst_age);
	boolean(&o, "complete", s->complete && s->n_answering == s->n_asked);
	name(&o, "missing");
	print_missing(out, s);
	name(&o, "verdict");
	print_verdict(out, s);
	name(&o, "trackers");
	fputc('[', out);
	for (size_t i = 0; i < s->n_trackers; i++) {
		fputs(i ? "," : "", out);
		print_tracker(out, s, &s->trackers[i]);
	}
	fputs("],\"groups\":[", out);
	for (size_t i = 0; i < s->n_groups; i++) {
		fputs(i ? "," : "", out);
		print_group(out, &s->groups[i]);
	}
	fputs("],\"storages\":[", out);
	for (size_t i = 0; i < s->n_storages; i++) {
		fputs(i ? "," : "", out);
		print_storage(out, s, &s->storages[i]);
	}
	fputs("],\"pairs\":[", out);
	for (size_t i = 0; i < s->n_pairs; i++) {
		fputs(i ? "," : "", out);
		print_pair(out, &s->pairs[i]);
	}
	fputc(']', out);
	close_object(&o);
}
