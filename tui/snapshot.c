/* SPDX-License-Identifier: MIT */
/*
 * The snapshot: a model's knowledge at a moment, as values that no longer
 * change.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tui/model_impl.h"

#define MIB INT64_C(1048576)

void rate_add(struct rate *to, const struct rate *r)
{
	to->ops += r->ops;
	to->tried += r->tried;
	to->bytes += r->bytes;
}

void rate_finish(struct rate *r)
{
	r->failed = r->tried * 10 >= 20 ? (r->tried - r->ops) / r->tried : NAN;
}

static int64_t bytes_of_mb(int64_t mb)
{
	return mb < 0 || mb > INT64_MAX / MIB ? UNKNOWN : mb * MIB;
}

static struct space space_of(int64_t total, int64_t free_mb, int64_t reserved)
{
	struct space sp = { bytes_of_mb(total), bytes_of_mb(free_mb),
		bytes_of_mb(reserved), UNKNOWN };

	if (sp.free != UNKNOWN && sp.reserve != UNKNOWN)
		sp.usable = sp.free > sp.reserve ? sp.free - sp.reserve : 0;
	return sp;
}

static void fill_storage(struct storage *st, const struct storage_fact *f,
    const struct snapshot *s)
{
	const struct msg_storage_record46 *r = &f->r;

	*st = (struct storage){ .status = r->status,
		.rw_mode = r->rw_mode,
		.port = r->storage_port,
		.join_time = r->join_time,
		.up_time = r->up_time > 0 ? r->up_time : UNKNOWN,
		.space = space_of(r->total_mb, r->free_mb, r->reserved_mb),
		.paths = r->store_path_count,
		.write_path = r->current_write_path,
		.priority = r->upload_priority,
		.subdirs = r->subdir_count_per_path,
		.trunk_server = r->is_trunk_server,
		.stats = r->stats,
		.beat = r->stats.last_heart_beat_time,
		.beat_age = UNKNOWN,
		.behind = UNKNOWN,
		.filling = -1 };
	str_copy(st->group, sizeof(st->group), f->group);
	str_copy(st->id, sizeof(st->id), r->id);
	str_copy(st->ip, sizeof(st->ip), r->ip);
	str_copy(st->source, sizeof(st->source), r->src_id);
	str_copy(st->version, sizeof(st->version), r->version);
	if (st->beat > 0) {
		st->beat_age = s->at / 1000 - st->beat;
		if (st->beat_age < 0)
			st->beat_age = 0;
	}
	st->stale =
	    !s->live || st->beat_age == UNKNOWN || st->beat_age > BEAT_STALE;
}

static void fill_rates(struct model *m, struct storage *st)
{
	const struct known *k = known_find(m, st->group, st->id);
	static const struct meter none;

	st->rate_span = meter_rates(
	    k && !st->stale && st->status == ST_ACTIVE ? &k->meter : &none,
	    st->rates);
	/* A stock storage never counts what it sends: zero says nothing. */
	if (st->stats.total_sync_out_bytes == 0)
		st->rates[FLOW_SYNC_OUT].bytes = NAN;
}

/* What each tracker says of it, and whether they agree. */
static void fill_seen(const struct model *m, struct storage *st)
{
	int first = -1;

	for (size_t i = 0; i < m->n; i++) {
		const struct answer *a = &m->answers[i];

		st->seen[i] = -1;
		for (size_t j = 0; m->trackers[i].answers && j < a->n_storages;
		     j++) {
			const struct storage_fact *f = &a->storages[j];

			if (strcmp(f->r.id, st->id) == 0 &&
			    strcmp(f->group, st->group) == 0)
				st->seen[i] = f->r.status;
		}
		if (st->seen[i] >= 0 && first >= 0 && st->seen[i] != first)
			st->disagree = true;
		if (first < 0)
			first = st->seen[i];
	}
}

static enum severity severity_of(const struct storage *st)
{
	if (st->status == ST_OFFLINE)
		return SEV_CRIT;
	if (st->status == ST_DELETED || st->status == ST_IP_CHANGED)
		return SEV_OK;
	if (st->status != ST_ACTIVE)
		return SEV_INFO;
	if (st->beat_age == UNKNOWN || st->beat_age > BEAT_STALE)
		return st->beat_age > BEAT_DEAD ? SEV_CRIT : SEV_WARN;
	return st->disagree ? SEV_WARN : SEV_OK;
}

static void fill_storages(struct model *m, struct snapshot *s,
    const struct answer *a)
{
	s->n_storages = a->n_storages;
	s->storages = xcalloc(a->n_storages, sizeof(*s->storages));
	s->worst_age = UNKNOWN;
	for (size_t i = 0; i < a->n_storages; i++) {
		struct storage *st = &s->storages[i];

		fill_storage(st, &a->storages[i], s);
		fill_rates(m, st);
		fill_seen(m, st);
		st->severity = severity_of(st);
		if (storage_is_up(st) && st->beat_age > s->worst_age)
			s->worst_age = st->beat_age;
	}
}

static void sum_rates(const struct snapshot *s, const char *group,
    struct rate rates[N_FLOWS])
{
	size_t serving = 0;

	memset(rates, 0, N_FLOWS * sizeof(*rates));
	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		if ((group && strcmp(st->group, group) != 0) ||
		    st->status != ST_ACTIVE)
			continue;
		serving++;
		for (size_t f = 0; f < N_FLOWS; f++)
			rate_add(&rates[f], &st->rates[f]);
	}
	for (size_t f = 0; f < N_FLOWS; f++) {
		if (serving == 0)
			rates[f] = (struct rate){ NAN, NAN, NAN, NAN };
		else
			rate_finish(&rates[f]);
	}
}

static int64_t add_known(int64_t a, int64_t b)
{
	return a == UNKNOWN || b == UNKNOWN ? UNKNOWN : a + b;
}

static void fill_group(struct snapshot *s, struct group *g,
    const struct msg_group_record *r)
{
	*g = (struct group){
		.space = space_of(r->total_mb, r->free_mb, r->reserved_mb),
		.n_storages = r->storage_count,
		.readable = r->readable_count,
		.writable = r->writable_count,
		.port = r->storage_port,
		.paths = r->store_path_count,
		.subdirs = r->subdir_count_per_path,
		.trunk_file = r->current_trunk_file_id,
		.behind = UNKNOWN,
	};
	str_copy(g->name, sizeof(g->name), r->name);
	sum_rates(s, g->name, g->rates);
	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		if (strcmp(st->group, g->name) == 0 && st->behind > g->behind) {
			g->behind = st->behind;
			g->behind_bound = st->behind_bound;
		}
	}
}

static void fill_groups(struct snapshot *s, const struct answer *a)
{
	struct group *all = &s->all;

	s->n_groups = a->n_groups;
	s->groups = xcalloc(a->n_groups, sizeof(*s->groups));
	*all = (struct group){ .behind = UNKNOWN };
	str_copy(all->name, sizeof(all->name), "all");
	for (size_t i = 0; i < a->n_groups; i++) {
		struct group *g = &s->groups[i];

		fill_group(s, g, &a->groups[i]);
		all->space.total = add_known(all->space.total, g->space.total);
		all->space.free = add_known(all->space.free, g->space.free);
		all->space.reserve =
		    add_known(all->space.reserve, g->space.reserve);
		all->space.usable =
		    add_known(all->space.usable, g->space.usable);
		all->n_storages += g->n_storages;
		all->readable += g->readable;
		all->writable += g->writable;
		if (g->behind > all->behind) {
			all->behind = g->behind;
			all->behind_bound = g->behind_bound;
		}
	}
	sum_rates(s, NULL, all->rates);
}

/* The row of ours that a tracker of the leader's list is, or NULL. */
static struct tracker *same_tracker(const struct model *m, struct snapshot *s,
    const struct answer *a, size_t j)
{
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->answers[i].address, a->trackers[j].address) ==
		        0 ||
		    strcmp(m->trackers[i].address, a->trackers[j].address) == 0)
			return &s->trackers[i];
	}
	/* One that we know by another address than it knows itself. */
	return m->n == 1 && a->n_trackers == 1 ? &s->trackers[0] : NULL;
}

static void fill_trackers(const struct model *m, struct snapshot *s,
    const struct answer *a)
{
	s->n_trackers = s->n_asked = m->n;
	memcpy(s->trackers, m->trackers, sizeof(m->trackers));
	for (size_t i = 0; i < m->n; i++) {
		s->n_answering += s->trackers[i].answers;
		s->complete = s->complete && !s->trackers[i].waiting;
		s->trackers[i].leader =
		    s->trackers[i].answers && known_is_leader(m, i);
	}
	for (size_t j = 0; a && j < a->n_trackers; j++) {
		const struct msg_tracker_record *r = &a->trackers[j];
		struct tracker *t = same_tracker(m, s, a, j);

		if (!t) {
			if (s->n_trackers == TRACKERS_MAX)
				continue;
			t = &s->trackers[s->n_trackers++];
			*t = (struct tracker){ .answer_us = UNKNOWN };
			snprintf(t->name, sizeof(t->name), "t%zu",
			    s->n_trackers);
			str_copy(t->address, sizeof(t->address), r->address);
		}
		t->leader = r->is_leader;
		str_copy(t->version, sizeof(t->version), r->version);
		t->up_time = r->up_time > 0 ? r->up_time : UNKNOWN;
		t->conns = r->current_conns;
	}
}

struct snapshot *model_snapshot(struct model *m, wall_t now)
{
	const struct answer *a =
	    m->source < m->n ? &m->answers[m->source] : NULL;
	struct snapshot *s = xcalloc(1, sizeof(*s));

	s->at = now;
	s->complete = true;
	s->worst_age = UNKNOWN;
	s->watching_since = m->since;
	fill_trackers(m, s, a);
	s->live = s->n_answering > 0;
	str_copy(s->leader, sizeof(s->leader), m->leader);
	if (a) {
		s->data_at = m->trackers[m->source].last_answer;
		fill_storages(m, s, a);
	}
	model_pairs(s, m->pairs, m->n_pairs);
	if (a)
		fill_groups(s, a);
	model_check(s, m->problems, m->n_problems);
	m->n_problems = s->n_problems + s->n_pending;
	memcpy(m->problems, s->problems, sizeof(m->problems));
	s->n_events = m->n_events;
	s->events_total = m->events_total;
	memcpy(s->events, m->events, sizeof(s->events));
	s->n_history = m->n_history;
	memcpy(s->history, m->history, sizeof(s->history));
	return s;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	free(s->groups);
	free(s->storages);
	free(s->pairs);
	free(s);
}

const struct storage *snapshot_storage(const struct snapshot *s,
    const char *group, const char *id)
{
	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *st = &s->storages[i];

		if (strcmp(st->id, id) == 0 && strcmp(st->group, group) == 0)
			return st;
	}
	return NULL;
}
