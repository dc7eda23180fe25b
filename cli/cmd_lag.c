/* SPDX-License-Identifier: MIT */
/*
 * lag: who waits for what (cli.md 7.9). A row a pair of storages; --files the
 * very files; --watch again and again; --wait until nothing waits.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/dbs.h"
#include "cli/lag.h"
#include "cli/meta.h"
#include "cli/stop.h"

#define WAIT_MS 500 /* between two looks of --wait */

struct lag_options {
	bool files;
	bool wait;
	int64_t watch; /* seconds, 0 once */
	int64_t below;
	uint64_t limit;
};
static_assert(sizeof(struct lag_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .name = "files",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct lag_options, files),
	    .help = "the files that wait, those that could not be sent first" },
	{ .letter = 'n',
	    .name = "limit",
	    .type = OPT_NUMBER,
	    .offset = offsetof(struct lag_options, limit),
	    .max = INT64_MAX,
	    .arg = "N",
	    .help = "with --files: not more than N of each pair" },
	{ .name = "watch",
	    .type = OPT_DURATION,
	    .offset = offsetof(struct lag_options, watch),
	    .arg = "DUR",
	    .help = "again after this time, until it is interrupted" },
	{ .name = "wait",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct lag_options, wait),
	    .help = "print nothing; end with status 0 when nothing waits and "
	            "nothing is parked, with 1 when --timeout is over; pairs "
	            "that only "
	            "trackers know count when there are no others" },
	{ .name = "below",
	    .type = OPT_DURATION,
	    .offset = offsetof(struct lag_options, below),
	    .arg = "DUR",
	    .help = "with --wait: what waits for less than this is fine" },
};

const struct opt_table meta_lag_table = { "lag", rows, ARRAY_LEN(rows), 0 };

enum {
	COL_FROM,
	COL_TO,
	COL_WAITING,
	COL_SIZE,
	COL_OLDEST,
	COL_SENT,
	COL_ARRIVES,
	COL_DRAINED,
	COL_WHY,
	COL_GROUP,
	COL_PHASE,
	COL_PARKED,
	COL_PERCENT,
	COL_ERROR,
	COL_ERROR_AT,
	COL_EXACT
};

static const struct out_column columns[] = {
	{ "from", OUT_TEXT, OUT_KEEP, 0, "who sends" },
	{ "to", OUT_TEXT, OUT_KEEP, 0, "who receives" },
	{ "waiting", OUT_COUNT, OUT_KEEP, 0,
	    "operations that wait, and files of a first copy" },
	{ "size", OUT_BYTES, 0, 1, "content bytes of these" },
	{ "oldest", OUT_SECONDS, OUT_KEEP, 0,
	    "since when the oldest operation waits" },
	{ "sent", OUT_BYTES, 0, 2, "content bytes sent a second" },
	{ "arrives", OUT_BYTES, 0, 3,
	    "content bytes a second that come to wait" },
	{ "drained", OUT_SECONDS, 0, 2, "time until nothing waits" },
	{ "why", OUT_TEXT, OUT_CUT, 1, "what is known about the reason" },
	{ "group", OUT_TEXT, OUT_EXTRA, 4, "their group" },
	{ "phase", OUT_TEXT, OUT_EXTRA, 4, "down, wait, fill, log, synced" },
	{ "parked", OUT_COUNT, OUT_EXTRA, 4,
	    "files that could not be sent and are tried again" },
	{ "percent", OUT_PERCENT, OUT_EXTRA, 4, "of the first copy" },
	{ "last_error", OUT_TEXT, OUT_EXTRA | OUT_CUT, 4, "in words" },
	{ "last_error_at", OUT_TIME, OUT_EXTRA, 4, "when that was" },
	{ "exact", OUT_BOOL, OUT_EXTRA, 4,
	    "counted by the sender; else oldest is an upper bound" },
};

static const struct out_layout layout = { "fdfs-meta.lag/1", columns,
	ARRAY_LEN(columns), false, "nothing waits" };

enum {
	FILE_FROM,
	FILE_TO,
	FILE_ID,
	FILE_WHAT,
	FILE_WAITS,
	FILE_SIZE,
	FILE_PARKED,
	FILE_TRIES,
	FILE_ERROR,
	FILE_NEXT,
	FILE_OPS,
	FILE_BYTES
};

static const struct out_column file_columns[] = {
	{ "from", OUT_TEXT, 0, 3, "who sends" },
	{ "to", OUT_TEXT, OUT_KEEP, 0, "who receives" },
	{ "id", OUT_TEXT, OUT_KEEP, 0, "of the file" },
	{ "what", OUT_TEXT, 0, 1, "create, append, delete ..." },
	{ "waits", OUT_SECONDS, OUT_KEEP, 0, "since when" },
	{ "size", OUT_BYTES, 0, 2, "of the file" },
	{ "parked", OUT_BOOL, OUT_EXTRA, 4,
	    "it could not be sent and is tried again" },
	{ "tries", OUT_COUNT, 0, 2, "how often it was tried" },
	{ "error", OUT_TEXT, OUT_CUT, 1, "of the last try" },
	{ "next_try", OUT_TIME, OUT_EXTRA, 4, "when it is tried next" },
	{ "operations", OUT_COUNT, OUT_EXTRA, 4, "of this file that wait" },
	{ "bytes", OUT_BYTES, OUT_EXTRA, 4, "content bytes of these" },
};

static const struct out_layout file_layout = { "fdfs-meta.lag-files/1",
	file_columns, ARRAY_LEN(file_columns), false, "no file waits" };

/* --- pairs --------------------------------------------------------------- */

static struct out_cell seconds_cell(int64_t s)
{
	return s < 0 ? out_unknown() : out_number(s);
}

/* Seconds since then; a clock that was set back is no negative age. */
static int64_t age_of(const struct lag *l, wall_t then)
{
	return l->at > then ? (l->at - then) / 1000 : 0;
}

static struct out_cell percent_cell(const struct peer_row *r)
{
	if (r->filled || r->fill_bytes_all == 0)
		return out_unknown();
	return out_number(
	    r->fill_bytes < r->fill_bytes_all
	        ? (int64_t)(r->fill_bytes * 100 / r->fill_bytes_all)
	        : 100);
}

static void exact_cells(const struct lag *l, const struct lag_pair *p,
    struct out_cell *c)
{
	const struct peer_backlog *b = &p->pair.backlog;
	const struct peer_row *r = &p->pair.peer;
	const uint64_t sent = p->pair.stopped ? 0 : r->rate_bytes;

	c[COL_WAITING] = out_number((int64_t)b->ops);
	c[COL_SIZE] = out_number((int64_t)b->bytes);
	c[COL_OLDEST] =
	    b->oldest > 0 ? out_number(age_of(l, b->oldest)) : out_unknown();
	c[COL_SENT] = out_number((int64_t)sent);
	c[COL_ARRIVES] = out_number((int64_t)p->pair.arrival);
	c[COL_DRAINED] =
	    seconds_cell(b->ops > 0 && b->bytes == 0
	                     ? -1
	                     : pairs_drained(b->bytes, sent, p->pair.arrival));
	c[COL_PHASE] = out_text(peer_phase_name(r->phase));
	c[COL_PARKED] = out_number((int64_t)p->pair.parked);
	c[COL_PERCENT] = percent_cell(r);
	if (r->error_text[0])
		c[COL_ERROR] = out_text(r->error_text);
	if (r->error_at > 0)
		c[COL_ERROR_AT] = out_number(r->error_at / 1000);
}

static bool print_pair(struct out *out, const struct lag *l,
    const struct lag_pair *p)
{
	struct out_cell c[ARRAY_LEN(columns)];
	char why[320] = "";

	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		c[i] = out_unknown();
	c[COL_FROM] = out_text(p->from[0] ? p->from : NULL);
	c[COL_TO] = out_text(p->to);
	c[COL_GROUP] = out_text(p->group[0] ? p->group : NULL);
	c[COL_EXACT] = out_number(p->exact);
	if (p->exact) {
		exact_cells(l, p, c);
		pairs_why(&p->pair, why, sizeof(why));
	} else {
		if (p->behind >= 0)
			c[COL_OLDEST] = p->behind > 0 ? out_at_most(p->behind)
			                              : out_number(0);
		str_copy(why, sizeof(why), p->note);
	}
	c[COL_WHY] = why[0] ? out_text(why) : out_unknown();
	return out_row(out, c);
}

/* People see the pairs in which something waits, unless they named some;
 * programs all of them. */
static void print_pairs(const struct cli *cli, const struct lag *l,
    struct out *out, char *summary, size_t cap)
{
	const bool all = !out_for_people(&cli->out) || cli->n_words > 0;
	size_t others = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct lag_pair *p = &l->pairs[i];

		if (!p->shown)
			continue;
		if (!all && !lag_waits(l, p, 0))
			others++;
		else if (!print_pair(out, l, p))
			return;
	}
	if (others > 0)
		snprintf(summary, cap, "%zu other pair%s in sync", others,
		    others > 1 ? "s" : "");
}

/* --- files --------------------------------------------------------------- */

struct listing {
	struct out *out;
	const struct lag *lag;
	const struct lag_pair *pair;
};

static int print_file(void *arg, const struct pair_file *f)
{
	const struct listing *l = arg;
	struct out_cell c[ARRAY_LEN(file_columns)];
	char id[PAIR_GROUP_SIZE + PEER_NAME_SIZE];

	snprintf(id, sizeof(id), "%s%s%s", l->pair->group,
	    l->pair->group[0] ? "/" : "", f->name);
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		c[i] = out_unknown();
	c[FILE_FROM] = out_text(l->pair->from[0] ? l->pair->from : NULL);
	c[FILE_TO] = out_text(l->pair->to);
	c[FILE_ID] = out_text(id);
	c[FILE_WHAT] = out_text(op_code_name(f->op));
	c[FILE_WAITS] = out_number(age_of(l->lag, f->at));
	c[FILE_PARKED] = out_number(f->parked);
	if (f->parked) {
		c[FILE_TRIES] = out_number(f->tries);
		c[FILE_ERROR] = out_text(f->error);
		c[FILE_NEXT] = out_number(f->next / 1000);
	} else {
		c[FILE_SIZE] = out_number((int64_t)f->size);
		c[FILE_OPS] = out_number((int64_t)f->ops);
		c[FILE_BYTES] = out_number((int64_t)f->bytes);
	}
	return out_row(l->out, c) ? 0 : 1;
}

static void interrupt(void *arg)
{
	query_interrupt(arg);
}

static enum status list_pair(struct listing *l, uint64_t limit)
{
	const struct lag_pair *p = l->pair;
	const struct peer_row *r = &p->pair.peer;
	char err[DB_ERR_MAX];
	struct db *log;
	enum status st = STATUS_OK;
	int rc = db_open_read(DB_LOG, p->path, &log, err);

	if (rc < 0)
		return err_say(
		    (struct err){ .status = STATUS_NO_SOURCE, .rc = rc }, "%s",
		    err);
	stop_call(interrupt, log);
	rc = pairs_files(log, p->to, 0, (size_t)limit, print_file, l);
	stop_call(NULL, NULL);
	if (rc < 0 && rc != -ENOENT)
		st = dbs_fail(p->path, log, rc);
	db_close(log);
	if (st == STATUS_OK && !r->filled && r->fill_files_all > r->fill_files)
		err_note("%s to %s: and %llu files of a first copy that were "
		         "not looked at yet",
		    p->from, p->to,
		    (unsigned long long)(r->fill_files_all - r->fill_files));
	return st;
}

/* What only trackers know of cannot be listed. */
static enum status print_files(const struct lag *l, struct out *out,
    uint64_t limit)
{
	enum status st = STATUS_OK;

	for (size_t i = 0; i < l->n && st == STATUS_OK && !stop_asked(); i++) {
		struct listing li = { out, l, &l->pairs[i] };

		if (!li.pair->shown || !lag_waits(l, li.pair, 0))
			continue;
		if (li.pair->exact) {
			st = list_pair(&li, limit);
		} else {
			err_note("%s to %s: the log of %s is not in reach "
			         "(--db)",
			    li.pair->from, li.pair->to, li.pair->from);
			st = STATUS_PART;
		}
	}
	return st;
}

/* --- runs ---------------------------------------------------------------- */

/* Who is being filled waits for more than any pair shows. */
static void print_recoveries(const struct lag *l)
{
	char text[RECOVERY_TEXT_SIZE];
	char safe[4 * sizeof(text)];

	for (size_t i = 0; i < l->n_recoveries; i++) {
		recovery_text(&l->recoveries[i], text, sizeof(text));
		str_escape(safe, sizeof(safe), text, strlen(text));
		puts(safe);
	}
}

static enum status print_once(struct cli *cli, const struct lag_options *o,
    struct source *s, bool again)
{
	struct out_options how = cli->out;
	struct lag l;
	struct out *out = NULL;
	char summary[64] = "";
	enum status st =
	    lag_load(s, cli->n_words > 0 ? cli->words[0] : NULL, &l);

	how.no_header = how.no_header || (again && !out_for_people(&how));
	if (out_for_people(&how) && !o->files)
		print_recoveries(&l);
	if (st == STATUS_OK || st == STATUS_PART)
		st = err_worse(st,
		    out_open(&how, o->files ? &file_layout : &layout, &out));
	if (out) {
		struct out_end end = { .missing = &l.missing,
			.n_missing = l.missing != NULL,
			.sources = l.sources,
			.n_sources = l.n_sources };

		if (o->files)
			st = err_worse(st, print_files(&l, out, o->limit));
		else
			print_pairs(cli, &l, out, summary, sizeof(summary));
		end.complete = st == STATUS_OK;
		end.total = (int64_t)out_rows(out);
		end.summary = summary[0] ? summary : NULL;
		st = err_worse(st, out_close(out, &end));
	}
	lag_free(&l);
	return st;
}

/* Until a time, or a signal. */
static void sleep_until(mono_t until)
{
	while (!stop_asked()) {
		const mono_t now = clock_mono();
		const mono_t left = until > now ? until - now : 0;
		const struct timespec ts = { (time_t)(left / MONO_SEC),
			(long)(left % MONO_SEC) };

		if (left == 0)
			return;
		nanosleep(&ts, NULL);
	}
}

static enum status watch(struct cli *cli, const struct lag_options *o,
    struct source *s)
{
	enum status st = STATUS_OK;

	for (bool again = false; !stop_asked(); again = true) {
		const mono_t next = clock_mono() + (mono_t)o->watch * MONO_SEC;

		if (again && out_for_people(&cli->out))
			putchar('\n');
		st = print_once(cli, o, s, again);
		if (st != STATUS_OK && st != STATUS_PART)
			return st;
		sleep_until(next);
	}
	return stop_status();
}

/* Trackers keep one time for all that a storage receives: in a group of three
 * the bound may never come to nothing. So it counts only where nothing is
 * exact. Gives how many pairs are left out. */
static size_t left_out(const struct lag *l)
{
	size_t exact = 0;
	size_t bounds = 0;

	for (size_t i = 0; i < l->n; i++) {
		exact += l->pairs[i].shown && l->pairs[i].exact;
		bounds += l->pairs[i].shown && !l->pairs[i].exact;
	}
	return exact > 0 ? bounds : 0;
}

static bool any_waits(const struct lag *l, int64_t below)
{
	const bool exact_only = left_out(l) > 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct lag_pair *p = &l->pairs[i];

		if (p->shown && (p->exact || !exact_only) &&
		    lag_waits(l, p, below))
			return true;
	}
	return false;
}

static void say_left_out(const struct cli *cli, const struct lag *l)
{
	const size_t n = left_out(l);

	if (n > 0 && !cli->out.quiet)
		err_note("%zu pair%s whose log is not in reach %s not waited "
		         "for",
		    n, n > 1 ? "s" : "", n > 1 ? "are" : "is");
}

static enum status wait_for_it(struct cli *cli, const struct lag_options *o,
    struct source *s)
{
	const mono_t end =
	    clock_mono() + (mono_t)cli->sources.timeout * MONO_SEC;
	const char *subject = cli->n_words > 0 ? cli->words[0] : NULL;

	for (bool first = true; !stop_asked(); first = false) {
		struct lag l;
		const enum status st = lag_load(s, subject, &l);
		const bool waits = any_waits(&l, o->below);

		if (first && st == STATUS_OK)
			say_left_out(cli, &l);
		lag_free(&l);
		if (st != STATUS_OK)
			return st;
		if (!waits)
			return STATUS_OK;
		if (cli->sources.timeout > 0 && clock_mono() >= end)
			return STATUS_NO;
		sleep_until(clock_mono() + WAIT_MS * MONO_MS);
	}
	return stop_status();
}

static enum status check_options(const struct cli *cli,
    const struct lag_options *o)
{
	if (o->below > 0 && !o->wait)
		return err_usage("fdfs-meta lag --wait --below 10s",
		    "--below belongs to --wait");
	if (o->limit > 0 && !o->files)
		return err_usage("fdfs-meta lag --files -n 100",
		    "--limit belongs to --files");
	if (o->wait && (o->files || o->watch > 0))
		return err_usage(NULL,
		    "--wait prints nothing: leave out --files and --watch");
	if (o->watch > 0 && cli->out.format == OUT_JSON)
		return err_usage("--ndjson",
		    "--json is one object, --watch gives many");
	return STATUS_OK;
}

enum status meta_run_lag(struct cli *cli, const void *options)
{
	const struct lag_options *o = options;
	struct source s;
	struct out *out;
	enum status st = check_options(cli, o);

	if (st != STATUS_OK)
		return st;
	if (cli->out.list_columns)
		return out_open(&cli->out, o->files ? &file_layout : &layout,
		    &out);
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK && o->wait)
		st = wait_for_it(cli, o, &s);
	else if (st == STATUS_OK && o->watch > 0)
		st = watch(cli, o, &s);
	else if (st == STATUS_OK)
		st = print_once(cli, o, &s, false);
	source_close(&s);
	return st;
}
