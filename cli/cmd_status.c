/* SPDX-License-Identifier: MIT */
/*
 * status: one screen, is all well. Rows are subjects (cluster, trackers,
 * groups, storages), each with how bad it is and why; people get a summary
 * and the subjects that have a problem.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/dbs.h"
#include "cli/meta.h"
#include "meta/recovery.h"

#define MB              1048576
#define STORAGE_ACTIVE  7
#define STORAGE_DELETED 4
#define BEAT_LATE_S     60
#define SPACE_LOW       10 /* per cent of the capacity */

struct status_options {
	bool problems;
	bool exit_code;
};
static_assert(sizeof(struct status_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .letter = 'x',
	    .name = "problems",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct status_options, problems),
	    .help = "only what is wrong; nothing when all is well" },
	{ .name = "exit-code",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct status_options, exit_code),
	    .help = "status 0 ok, 1 warnings, 2 critical" },
};

const struct opt_table meta_status_table = { "status", rows, ARRAY_LEN(rows),
	0 };

enum severity { OK, WARN, CRIT };
static const char *const severity_words[] = { "ok", "WARN", "CRIT" };

enum {
	COL_SEVERITY,
	COL_KIND,
	COL_SUBJECT,
	COL_STATE,
	COL_PROBLEM,
	COL_DO,
	COL_TOTAL,
	COL_FREE,
	COL_USABLE,
	COL_BEAT
};

static const struct out_column columns[] = {
	{ "severity", OUT_TEXT, OUT_KEEP, 0, "ok, WARN or CRIT" },
	{ "kind", OUT_TEXT, 0, 4, "tracker, group, storage or path" },
	{ "subject", OUT_TEXT, OUT_KEEP, 0, "which one" },
	{ "state", OUT_TEXT, 0, 1, "its state" },
	{ "problem", OUT_TEXT, OUT_CUT, 1, "what is wrong" },
	{ "do", OUT_TEXT, OUT_CUT, 2, "what helps" },
	{ "total", OUT_BYTES, OUT_EXTRA, 5, "capacity" },
	{ "free", OUT_BYTES, OUT_EXTRA, 5, "free" },
	{ "usable", OUT_BYTES, OUT_EXTRA, 5, "free above the reserve" },
	{ "beat", OUT_SECONDS, OUT_EXTRA, 5, "time since it was heard of" },
};

static const struct out_layout layout = { "fdfs-meta.status/1", columns,
	ARRAY_LEN(columns), false, NULL };

/* One subject with its finding. */
struct finding {
	enum severity severity;
	const char *kind;
	char subject[80];
	const char *state;
	char problem[200];
	char todo[200];
	int64_t total_mb, free_mb, usable_mb; /* -1: not known */
	int64_t beat_s;                       /* -1: not known */
};

struct findings {
	struct finding *items;
	size_t n;
	size_t count[3]; /* by severity */
};

static struct finding *add(struct findings *f, const char *kind,
    const char *subject)
{
	struct finding *n;

	f->items = xrealloc(f->items, f->n + 1, sizeof(*f->items));
	n = &f->items[f->n++];
	memset(n, 0, sizeof(*n));
	n->kind = kind;
	n->total_mb = n->free_mb = n->usable_mb = n->beat_s = -1;
	str_copy(n->subject, sizeof(n->subject), subject);
	return n;
}

static ATTR_PRINTF(3, 4) void blame(struct finding *f, enum severity s,
    const char *fmt, ...)
{
	va_list ap;

	if (s < f->severity)
		return;
	f->severity = s;
	va_start(ap, fmt);
	if (vsnprintf(f->problem, sizeof(f->problem), fmt, ap) < 0)
		f->problem[0] = '\0';
	va_end(ap);
}

static void check_trackers(const struct cluster *c, struct findings *f)
{
	bool leader = false;

	for (size_t i = 0; i < c->n_trackers; i++) {
		const struct cluster_tracker *t = &c->trackers[i];
		struct finding *n = add(f, "tracker", t->address);
		char words[128];

		leader = leader || t->is_leader;
		n->state =
		    t->rc == 0 ? t->is_leader ? "leader" : "follower" : "down";
		if (t->rc != 0) {
			blame(n, WARN, "%s",
			    err_words(t->rc, words, sizeof(words)));
			snprintf(n->todo, sizeof(n->todo),
			    "start fdfs-trackerd on that host");
		}
	}
	if (c->n_trackers > 0 && !leader)
		blame(&f->items[f->n - 1], WARN, "no tracker is the leader");
}

static void check_group(const struct msg_group_record *g, struct findings *f)
{
	struct finding *n = add(f, "group", g->name);

	n->total_mb = g->total_mb;
	n->free_mb = g->free_mb;
	n->usable_mb = cluster_usable(g->free_mb, g->reserved_mb);
	n->state = g->writable_count > 0   ? "writable"
	           : g->readable_count > 0 ? "readable"
	                                   : "down";
	if (g->total_mb > 0 && n->usable_mb * 100 < g->total_mb * SPACE_LOW) {
		char usable[16];

		blame(n, n->usable_mb == 0 ? CRIT : WARN, "%s usable",
		    n->usable_mb == 0 ? "nothing"
		                      : str_bytes(usable, sizeof(usable),
		                            (uint64_t)n->usable_mb * MB));
		snprintf(n->todo, sizeof(n->todo),
		    "add store paths to its storages, or open a new group");
	}
	if (g->writable_count == 0) {
		blame(n, CRIT, "%s",
		    g->readable_count > 0 ? "takes no uploads"
		                          : "no storage serves it");
		snprintf(n->todo, sizeof(n->todo),
		    "start its storages: fdfs list storages -g %s", g->name);
	}
}

static void check_storage(const struct cluster_storage *s, struct findings *f,
    int64_t now)
{
	char subject[64];
	struct finding *n;

	snprintf(subject, sizeof(subject), "%s/%s", s->group, s->r.id);
	n = add(f, "storage", subject);
	n->state = cluster_status_name(s->r.status);
	n->total_mb = s->r.total_mb;
	n->free_mb = s->r.free_mb;
	n->usable_mb = cluster_usable(s->r.free_mb, s->r.reserved_mb);
	if (s->r.stats.last_heart_beat_time > 0)
		n->beat_s = now - s->r.stats.last_heart_beat_time;
	if (s->r.status == STORAGE_DELETED)
		return;
	if (n->beat_s > BEAT_LATE_S) {
		char age[16];

		blame(n, WARN, "not heard of for %s",
		    str_duration(age, sizeof(age), n->beat_s));
	}
	if (s->r.status != STORAGE_ACTIVE)
		blame(n, WARN, "%s", n->state);
	if (n->severity != OK)
		snprintf(n->todo, sizeof(n->todo),
		    "see that fdfs-storaged runs on %s and reaches the "
		    "trackers",
		    s->r.ip);
}

static void check_all(const struct cluster *c, int64_t age, struct findings *f)
{
	/* Old news is judged as of then. */
	const int64_t now = clock_wall_sec() - (age > 0 ? age : 0);

	check_trackers(c, f);
	for (size_t i = 0; i < c->n_groups; i++)
		check_group(&c->groups[i], f);
	for (size_t i = 0; i < c->n_storages; i++)
		check_storage(&c->storages[i], f, now);
	for (size_t i = 0; i < f->n; i++)
		f->count[f->items[i].severity]++;
}

/* A log that was named may tell of a store path that is being filled. */
static enum status check_log(void *arg, struct db *log, const char *path)
{
	struct findings *f = arg;
	char text[RECOVERY_TEXT_SIZE];
	char subject[64];
	struct recovery r;
	struct finding *n;
	const int rc = recovery_read(log, &r);

	if (rc <= 0)
		return rc < 0 ? dbs_fail(path, log, rc) : STATUS_OK;
	snprintf(subject, sizeof(subject), "%s/%s/M%02X", r.group, r.id,
	    r.path);
	n = add(f, "path", subject);
	n->state = "recovering";
	blame(n, WARN, "%s", recovery_text(&r, text, sizeof(text)));
	f->count[WARN]++;
	return STATUS_OK;
}

static struct out_cell mb_cell(int64_t mb)
{
	return mb >= 0 ? out_number(mb * MB) : out_unknown();
}

/* As people read it: what, then what to do about it. */
static void print_problem(const struct finding *n)
{
	char subject[4 * sizeof(n->subject)];
	char text[4 * sizeof(n->problem)];

	str_escape(subject, sizeof(subject), n->subject, strlen(n->subject));
	str_escape(text, sizeof(text), n->problem, strlen(n->problem));
	printf("%s  %-7s  %s  %s\n", severity_words[n->severity], n->kind,
	    subject, text);
	str_escape(text, sizeof(text), n->todo, strlen(n->todo));
	if (text[0])
		printf("      do  %s\n", text);
}

static bool out_finding(struct out *out, const struct finding *n)
{
	const bool bad = n->severity != OK;
	struct out_cell c[ARRAY_LEN(columns)];

	c[COL_SEVERITY] = out_text(severity_words[n->severity]);
	c[COL_KIND] = out_text(n->kind);
	c[COL_SUBJECT] = out_text(n->subject);
	c[COL_STATE] = out_text(n->state);
	c[COL_PROBLEM] = bad ? out_text(n->problem) : out_unknown();
	c[COL_DO] = n->todo[0] ? out_text(n->todo) : out_unknown();
	c[COL_TOTAL] = mb_cell(n->total_mb);
	c[COL_FREE] = mb_cell(n->free_mb);
	c[COL_USABLE] = mb_cell(n->usable_mb);
	c[COL_BEAT] = n->beat_s >= 0 ? out_number(n->beat_s) : out_unknown();
	return out_row(out, c);
}

static enum status print_rows(struct cli *cli, const struct findings *f,
    const struct status_options *o, const struct cluster_origin *from)
{
	const struct out_source source = { from->name, from->age_s };
	struct out_end end = { .complete = true,
		.sources = &source,
		.n_sources = 1 };
	const bool as_rows = !out_for_people(&cli->out) || cli->out.columns;
	struct out *out = NULL;
	enum status st = STATUS_OK;

	if (as_rows)
		st = out_open(&cli->out, &layout, &out);
	if (st != STATUS_OK)
		return st;
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *n = &f->items[i];

		if (n->severity == OK && (o->problems || !as_rows))
			continue;
		if (!as_rows)
			print_problem(n);
		else if (!out_finding(out, n))
			break;
	}
	if (!as_rows)
		return STATUS_OK;
	end.total = (int64_t)out_rows(out);
	return out_close(out, &end);
}

static void summarize_trackers(const struct cluster *c)
{
	size_t up = 0;
	char leader[4 * ADDR_TEXT_MAX] = "none";

	for (size_t i = 0; i < c->n_trackers; i++) {
		const char *at = c->trackers[i].address;

		up += c->trackers[i].rc == 0;
		if (c->trackers[i].is_leader)
			str_escape(leader, sizeof(leader), at, strlen(at));
	}
	if (c->n_trackers > 0)
		printf("  trackers  %zu of %zu answer, leader %s\n", up,
		    c->n_trackers, leader);
}

static void summarize_storages(const struct cluster *c)
{
	size_t states[256] = { 0 };

	printf("  storages  %zu in %zu group%s", c->n_storages, c->n_groups,
	    c->n_groups == 1 ? "" : "s");
	for (size_t i = 0; i < c->n_storages; i++)
		states[c->storages[i].r.status]++;
	for (size_t i = 0, shown = 0; i < ARRAY_LEN(states); i++)
		if (states[i] > 0)
			printf("%s%zu %s", shown++ ? ", " : ": ", states[i],
			    cluster_status_name((int)i));
	putchar('\n');
}

static void summarize_space(const struct cluster *c)
{
	int64_t total = 0;
	int64_t free_mb = 0;
	int64_t usable = 0;
	char a[16];
	char b[16];
	char d[16];

	for (size_t i = 0; i < c->n_groups; i++) {
		const struct msg_group_record *g = &c->groups[i];

		total += g->total_mb;
		free_mb += g->free_mb;
		usable += cluster_usable(g->free_mb, g->reserved_mb);
	}
	printf("  space     %s of %s used, %s usable\n",
	    str_bytes(a, sizeof(a), (uint64_t)(total - free_mb) * MB),
	    str_bytes(b, sizeof(b), (uint64_t)total * MB),
	    str_bytes(d, sizeof(d), (uint64_t)usable * MB));
}

static void summarize_traffic(const struct cluster *c)
{
	int64_t up = 0;
	int64_t down = 0;
	int64_t gone = 0;
	char a[16];
	char b[16];
	char d[16];

	for (size_t i = 0; i < c->n_storages; i++) {
		const struct stats *s = &c->storages[i].r.stats;

		up += s->success_upload_count;
		down += s->success_download_count;
		gone += s->success_delete_count;
	}
	printf("  so far    %s uploads, %s downloads, %s deletes\n",
	    str_count(a, sizeof(a), (uint64_t)up),
	    str_count(b, sizeof(b), (uint64_t)down),
	    str_count(d, sizeof(d), (uint64_t)gone));
}

static void summarize(const struct cluster *c, const struct findings *f,
    const struct cluster_origin *from)
{
	const size_t problems = f->count[WARN] + f->count[CRIT];
	const enum severity worst = f->count[CRIT]   ? CRIT
	                            : f->count[WARN] ? WARN
	                                             : OK;
	char age[16];

	printf("%s  ", worst == OK ? "OK" : severity_words[worst]);
	if (problems == 0)
		printf("no problems");
	else
		printf("%zu problem%s", problems, problems > 1 ? "s" : "");
	if (from->age_s > 0)
		printf("  as of %s ago",
		    str_duration(age, sizeof(age), from->age_s));
	putchar('\n');
	summarize_trackers(c);
	summarize_storages(c);
	summarize_space(c);
	summarize_traffic(c);
	if (problems > 0)
		putchar('\n');
}

enum status meta_run_status(struct cli *cli, const void *options)
{
	const struct status_options *o = options;
	struct findings f = { NULL, 0, { 0, 0, 0 } };
	struct cluster_origin from;
	struct cluster c;
	struct source s;
	struct out *out;
	size_t logs;
	enum status st;

	if (cli->out.list_columns)
		return out_open(&cli->out, &layout, &out);
	memset(&c, 0, sizeof(c));
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = cluster_load_any(&s, &c, &from);
	if (st == STATUS_OK) {
		if (!s.db_given)
			cluster_load_trackers(&s, &c);
		check_all(&c, from.age_s, &f);
		if (s.db_given)
			st = dbs_each_log(&s, check_log, &f, &logs);
	}
	if (st == STATUS_OK) {
		if (out_for_people(&cli->out) && !o->problems)
			summarize(&c, &f, &from);
		st = print_rows(cli, &f, o, &from);
		if (st == STATUS_OK && o->exit_code)
			st = f.count[CRIT]   ? STATUS_USAGE
			     : f.count[WARN] ? STATUS_NO
			                     : STATUS_OK;
	}
	free(f.items);
	cluster_free(&c);
	source_close(&s);
	return st;
}
