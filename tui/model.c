/* SPDX-License-Identifier: MIT */
/*
 * Every tracker's last good answer is kept. Lists and counters are taken from
 * one of them, the source: the leader if it answers, else the first that does,
 * else the one that answered last, whose values are then old. The others are
 * compared with it, state by state.
 */
#include "tui/model_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const char *model_status_name(int status)
{
	static const char *const names[] = { "INIT", "WAIT_SYNC", "SYNCING",
		"IP_CHANGED", "DELETED", "OFFLINE", "ONLINE", "ACTIVE", "?",
		"RECOVERY" };

	return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status]
	                                                        : "?";
}

bool storage_is_up(const struct storage *st)
{
	return st->status == ST_ACTIVE || st->status == ST_ONLINE;
}

bool storage_readable(const struct storage *st)
{
	return st->status == ST_ACTIVE && (st->rw_mode & 4);
}

void answer_clear(struct answer *a)
{
	free(a->groups);
	free(a->storages);
	free(a->trackers);
	*a = (struct answer){ 0 };
}

struct model *model_new(const char *const *trackers, size_t n, wall_t now)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->n = size_min(n, TRACKERS_MAX);
	m->source = m->n;
	m->since = now;
	for (size_t i = 0; i < m->n; i++) {
		struct tracker *t = &m->trackers[i];

		*t = (struct tracker){ .asked = true,
			.waiting = true,
			.up_time = UNKNOWN,
			.conns = UNKNOWN,
			.answer_us = UNKNOWN };
		snprintf(t->name, sizeof(t->name), "t%zu", i + 1);
		str_copy(t->address, sizeof(t->address), trackers[i]);
	}
	return m;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		answer_clear(&m->answers[i]);
	free(m->known);
	free(m->pairs);
	free(m);
}

/* --- what happened --- */
static void tell(struct model *m, wall_t at, enum severity severity,
    const char *where, const char *fmt, ...) ATTR_PRINTF(5, 6);

static void tell(struct model *m, wall_t at, enum severity severity,
    const char *where, const char *fmt, ...)
{
	struct happening *e = &m->events[0];
	va_list ap;

	m->n_events = size_min(m->n_events, EVENTS_MAX - 1);
	memmove(e + 1, e, m->n_events * sizeof(*e));
	m->n_events++;
	m->events_total++;
	*e = (struct happening){ .at = at, .severity = severity };
	str_copy(e->where, sizeof(e->where), where);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

struct known *known_find(struct model *m, const char *group, const char *id)
{
	for (size_t i = 0; i < m->n_known; i++) {
		struct known *k = &m->known[i];

		if (strcmp(k->id, id) == 0 && strcmp(k->group, group) == 0)
			return k;
	}
	return NULL;
}

static struct known *known_add(struct model *m, const char *group,
    const char *id)
{
	struct known *k;

	m->known = xrealloc(m->known, m->n_known + 1, sizeof(*m->known));
	k = &m->known[m->n_known++];
	*k = (struct known){ .status = -1 };
	str_copy(k->group, sizeof(k->group), group);
	str_copy(k->id, sizeof(k->id), id);
	return k;
}

static void tell_status(struct model *m, const struct known *k, int status,
    wall_t at, bool first)
{
	const enum severity severity =
	    status == ST_OFFLINE ? SEV_WARN : SEV_INFO;

	if (k->status < 0 && !first)
		tell(m, at, severity, k->id, "appeared in %s as %s", k->group,
		    model_status_name(status));
	else if (k->status >= 0 && k->status != status)
		tell(m, at, severity, k->id, "%s, was %s",
		    model_status_name(status), model_status_name(k->status));
}

/* The source's storages: readings for the rates, and what changed. */
static void take_storages(struct model *m, const struct answer *a, bool first)
{
	for (size_t i = 0; i < m->n_known; i++)
		m->known[i].present = false;
	for (size_t i = 0; i < a->n_storages; i++) {
		const struct storage_fact *f = &a->storages[i];
		struct known *k = known_find(m, f->group, f->r.id);

		if (!k)
			k = known_add(m, f->group, f->r.id);
		tell_status(m, k, f->r.status, a->at, first);
		k->status = f->r.status;
		k->present = true;
		meter_feed(&k->meter, f->r.stats.last_heart_beat_time,
		    &f->r.stats);
	}
	for (size_t i = 0; i < m->n_known;) {
		if (m->known[i].present) {
			i++;
			continue;
		}
		tell(m, a->at, SEV_INFO, m->known[i].id, "left %s",
		    m->known[i].group);
		m->known[i] = m->known[--m->n_known];
	}
}

static void take_leader(struct model *m, const struct answer *a)
{
	const char *leader = a->has_leader ? a->leader : "";

	if (strcmp(leader, m->leader) == 0)
		return;
	if (m->leader[0] && leader[0])
		tell(m, a->at, SEV_INFO, "cluster", "leader is %s, was %s",
		    leader, m->leader);
	else if (m->leader[0])
		tell(m, a->at, SEV_WARN, "cluster", "leader %s is gone",
		    m->leader);
	str_copy(m->leader, sizeof(m->leader), leader);
}

/* --- feeding --- */
bool known_is_leader(const struct model *m, size_t i)
{
	const struct answer *a = &m->answers[i];

	return a->n_trackers > 0 ||
	       (a->has_leader && strcmp(a->leader, a->address) == 0);
}

static size_t choose_source(const struct model *m)
{
	size_t best = m->n;

	for (size_t i = 0; i < m->n; i++) {
		if (m->trackers[i].answers && known_is_leader(m, i))
			return i;
	}
	for (size_t i = 0; i < m->n; i++) {
		if (m->trackers[i].answers)
			return i;
		if (m->trackers[i].last_answer > 0 &&
		    (best == m->n || m->trackers[i].last_answer >
		                         m->trackers[best].last_answer))
			best = i;
	}
	return best;
}

static void feed_failure(struct model *m, struct tracker *t, struct answer *a)
{
	if (t->answers)
		tell(m, a->at, SEV_WARN, t->name, "%s stopped answering: %s",
		    t->address, a->error);
	t->answers = false;
	t->failures++;
	str_copy(t->error, sizeof(t->error), a->error);
	answer_clear(a);
}

static void feed_success(struct model *m, size_t i, struct answer *a)
{
	struct tracker *t = &m->trackers[i];

	if (!t->answers && t->failures > 0)
		tell(m, a->at, SEV_INFO, t->name, "%s answers%s", t->address,
		    t->last_answer > 0 ? " again" : "");
	t->answers = true;
	t->failures = 0;
	t->error[0] = '\0';
	t->last_answer = a->at;
	t->answer_us = (int64_t)(a->ns / 1000);
	answer_clear(&m->answers[i]);
	m->answers[i] = *a;
	*a = (struct answer){ 0 };
}

static void history_add(struct model *m, wall_t now);

void model_feed(struct model *m, size_t tracker, struct answer *a)
{
	const bool first = m->source == m->n;
	const wall_t at = a->at;
	size_t source;

	m->trackers[tracker].waiting = false;
	if (a->rc != 0)
		feed_failure(m, &m->trackers[tracker], a);
	else
		feed_success(m, tracker, a);
	source = choose_source(m);
	if (source != m->source) {
		/* Another tracker stamps heartbeats by another clock. */
		for (size_t i = 0; i < m->n_known; i++)
			m->known[i].meter.n = 0;
		m->source = source;
	}
	if (source == tracker && m->trackers[tracker].answers) {
		take_leader(m, &m->answers[source]);
		take_storages(m, &m->answers[source], first);
		history_add(m, at);
	}
}

void model_feed_pairs(struct model *m, const struct pair *pairs, size_t n)
{
	free(m->pairs);
	m->pairs = xcalloc(n, sizeof(*m->pairs));
	if (n > 0)
		memcpy(m->pairs, pairs, n * sizeof(*pairs));
	m->n_pairs = n;
}

/* --- the lines of the past --- */
static void history_push(struct model *m, bool empty)
{
	if (m->n_history == HISTORY_MAX) {
		for (size_t f = 0; f < N_FLOWS; f++)
			memmove(m->history[f], m->history[f] + 1,
			    (HISTORY_MAX - 1) * sizeof(double));
		m->n_history--;
	}
	for (size_t f = 0; f < N_FLOWS; f++)
		m->history[f][m->n_history] = empty || m->counted[f] == 0
		                                  ? NAN
		                                  : m->sum[f] / m->counted[f];
	m->n_history++;
}

static void history_add(struct model *m, wall_t now)
{
	const int64_t step = now / 1000 / HISTORY_STEP;
	struct rate sums[N_FLOWS] = { 0 };

	if (m->step > 0 && step > m->step) {
		history_push(m, false);
		for (int64_t i = m->step + 1;
		     i < step && i < m->step + HISTORY_MAX; i++)
			history_push(m, true);
	}
	if (step != m->step) {
		memset(m->sum, 0, sizeof(m->sum));
		memset(m->counted, 0, sizeof(m->counted));
		m->step = step;
	}
	for (size_t i = 0; i < m->n_known; i++) {
		struct rate rates[N_FLOWS];

		if (m->known[i].status != ST_ACTIVE)
			continue;
		meter_rates(&m->known[i].meter, rates);
		for (size_t f = 0; f < N_FLOWS; f++)
			rate_add(&sums[f], &rates[f]);
	}
	for (size_t f = 0; f < N_FLOWS; f++) {
		const double v =
		    flow_rows[f].good >= 0 ? sums[f].ops : sums[f].bytes;

		if (!isnan(v)) {
			m->sum[f] += v;
			m->counted[f]++;
		}
	}
}
