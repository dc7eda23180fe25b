/* SPDX-License-Identifier: MIT */
/*
 * The checks that can be made from what trackers tell. Codes, thresholds and
 * wording are those of all tools of the suite. Problems are kept worst first,
 * then oldest.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tui/model.h"

#define USABLE_WARN 10 /* percent of total */
#define USABLE_CRIT 3
#define ABSURD      (INT64_C(1) << 60)

static const struct {
	const char *code;
	int64_t hold_ms; /* how long it must be true before it counts */
	const char *remedy;
} checks[] = {
	{ "FD-TRK-01", 10000, "start it, or remove it from tracker_server" },
	{ "FD-TRK-02", 10000, "look at the trackers' logs and clocks" },
	{ "FD-TRK-03", 60000,
	    "compare heartbeats; restart the tracker that is wrong" },
	{ "FD-HB-01", 0,
	    "look at network and load between storage and tracker" },
	{ "FD-STATE-01", 0, "start it; its log says why it stopped" },
	{ "FD-SPACE-01", 0,
	    "add store paths or a group, or reserve less space" },
	{ "FD-SPACE-09", 0,
	    "look at the file systems and the daemons' versions" },
};

static size_t check_of(const char *code)
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(checks) && strcmp(checks[i].code, code) != 0)
		i++;
	return i;
}

static void raise_problem(struct snapshot *s, const char *code,
    enum severity severity, const char *where, const char *fmt, ...)
    ATTR_PRINTF(5, 6);

static void raise_problem(struct snapshot *s, const char *code,
    enum severity severity, const char *where, const char *fmt, ...)
{
	struct problem *p = &s->problems[s->n_problems];
	va_list ap;

	if (s->n_problems < PROBLEMS_MAX)
		s->n_problems++;
	*p = (struct problem){ .severity = severity,
		.since = s->at,
		.remedy = checks[check_of(code)].remedy };
	str_copy(p->code, sizeof(p->code), code);
	str_copy(p->where, sizeof(p->where), where);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

static void check_trackers(struct snapshot *s)
{
	size_t silent = 0;

	for (size_t i = 0; i < s->n_trackers; i++) {
		const struct tracker *t = &s->trackers[i];

		if (!t->asked || t->answers || t->waiting)
			continue;
		silent++;
		if (s->n_answering > 0)
			raise_problem(s, "FD-TRK-01", SEV_WARN, t->name,
			    "%s does not answer", t->address);
	}
	if (silent > 0 && silent == s->n_asked)
		raise_problem(s, "FD-TRK-01", SEV_CRIT, "cluster",
		    "no tracker answers");
	if (s->n_answering > 0 && s->leader[0] == '\0')
		raise_problem(s, "FD-TRK-02", SEV_CRIT, "cluster",
		    "the trackers have no leader");
}

/* Storages of the group that may be read from. */
static size_t readable_in(const struct snapshot *s, const char *group)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_storages; i++) {
		if (strcmp(s->storages[i].group, group) == 0 &&
		    storage_readable(&s->storages[i]))
			n++;
	}
	return n;
}

static void check_state(struct snapshot *s, const struct storage *st)
{
	if (st->status == ST_OFFLINE) {
		const size_t left = readable_in(s, st->group);

		raise_problem(s, "FD-STATE-01", left <= 1 ? SEV_CRIT : SEV_WARN,
		    st->id, "%s offline, %zu readable left in %s", st->id, left,
		    st->group);
	} else if (storage_is_up(st) && st->stale) {
		raise_problem(s, "FD-HB-01",
		    st->beat_age > BEAT_DEAD ? SEV_CRIT : SEV_WARN, st->id,
		    "%s heartbeat %" PRId64 " s old", st->id, st->beat_age);
	}
	if (st->disagree)
		raise_problem(s, "FD-TRK-03", SEV_WARN, st->id,
		    "trackers disagree on the state of %s", st->id);
}

static void check_group_space(struct snapshot *s, const struct group *g)
{
	const struct space *sp = &g->space;
	char usable[16];
	double percent;

	if (sp->total == UNKNOWN || sp->free == UNKNOWN)
		return;
	if (sp->total < 0 || sp->free < 0 || sp->free > sp->total ||
	    sp->total > ABSURD) {
		raise_problem(s, "FD-SPACE-09", SEV_WARN, g->name,
		    "%s tells impossible space", g->name);
		return;
	}
	if (sp->total == 0 || sp->usable == UNKNOWN)
		return;
	percent = 100.0 * (double)sp->usable / (double)sp->total;
	if (percent >= USABLE_WARN)
		return;
	str_bytes(usable, sizeof(usable), (uint64_t)sp->usable);
	raise_problem(s, "FD-SPACE-01",
	    percent < USABLE_CRIT ? SEV_CRIT : SEV_WARN, g->name,
	    "%s usable %s (%.1f%%)", g->name, usable, percent);
}

/* Has it been true for long enough? */
static bool counts(const struct snapshot *s, const struct problem *p)
{
	return s->at - p->since >= checks[check_of(p->code)].hold_ms ||
	       p->severity == SEV_CRIT;
}

static int by_weight(const void *a, const void *b)
{
	const struct problem *x = a;
	const struct problem *y = b;

	if (x->severity != y->severity)
		return x->severity > y->severity ? -1 : 1;
	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return strcmp(x->where, y->where);
}

static bool same_problem(const struct problem *a, const struct problem *b)
{
	return strcmp(a->code, b->code) == 0 && strcmp(a->where, b->where) == 0;
}

/* Moves what does not count yet behind the rest, keeping the order. */
static void set_pending_apart(struct snapshot *s)
{
	struct problem late[PROBLEMS_MAX];
	size_t n = 0;
	size_t n_late = 0;

	for (size_t i = 0; i < s->n_problems; i++) {
		if (counts(s, &s->problems[i]))
			s->problems[n++] = s->problems[i];
		else
			late[n_late++] = s->problems[i];
	}
	for (size_t i = 0; i < n_late; i++)
		s->problems[n + i] = late[i];
	s->n_problems = n;
	s->n_pending = n_late;
}

void model_check(struct snapshot *s, const struct problem *before, size_t n)
{
	s->n_problems = 0;
	check_trackers(s);
	if (s->n_answering > 0 && s->n_storages == 0)
		raise_problem(s, "FD-STATE-01", SEV_CRIT, "cluster",
		    "no storages: uploads are refused");
	for (size_t i = 0; i < s->n_storages; i++)
		check_state(s, &s->storages[i]);
	for (size_t i = 0; i < s->n_groups; i++)
		check_group_space(s, &s->groups[i]);
	for (size_t i = 0; i < s->n_problems; i++) {
		for (size_t j = 0; j < n; j++) {
			if (same_problem(&s->problems[i], &before[j]))
				s->problems[i].since = before[j].since;
		}
	}
	qsort(s->problems, s->n_problems, sizeof(s->problems[0]), by_weight);
	set_pending_apart(s);
	s->verdict = s->n_problems > 0 ? s->problems[0].severity : SEV_OK;
}
