/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what from whom. The log of a sender in reach is exact. For
 * every other pair there are two times that trackers keep: the last change at
 * the sender, and up to where the receiver has what it gets from all of them.
 * That is an upper bound, and only nothing is exact.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tui/model.h"

static struct sync_pair *add_pair(struct snapshot *s, const char *group,
    const char *from, const char *to)
{
	struct sync_pair *p;

	s->pairs = xrealloc(s->pairs, s->n_pairs + 1, sizeof(*s->pairs));
	p = &s->pairs[s->n_pairs++];
	*p = (struct sync_pair){ .behind = UNKNOWN };
	str_copy(p->group, sizeof(p->group), group);
	str_copy(p->from, sizeof(p->from), from);
	str_copy(p->to, sizeof(p->to), to);
	return p;
}

static int64_t age(const struct snapshot *s, wall_t then)
{
	return s->at > then ? (s->at - then) / 1000 : 0;
}

/* The oldest that waits, be it in the log or parked. */
static int64_t age_of_pair(const struct snapshot *s, const struct pair *p)
{
	int64_t oldest = 0;

	if (p->backlog.oldest > 0)
		oldest = age(s, p->backlog.oldest);
	if (p->parked > 0 && age(s, p->parked_first * 1000) > oldest)
		oldest = age(s, p->parked_first * 1000);
	if (p->backlog.ops > 0 && p->backlog.oldest == 0)
		return UNKNOWN; /* a first copy: files of any age */
	return oldest;
}

static void add_known(struct snapshot *s, const struct pair *known)
{
	struct sync_pair *p =
	    add_pair(s, known->group, known->from, known->peer.id);

	p->exact = true;
	p->pair = *known;
	p->behind = age_of_pair(s, known);
}

/* Seconds, UNKNOWN, or 0 when there is nothing that could wait. */
static int64_t bound_of(const struct storage *from, const struct storage *to)
{
	const int64_t changed = from->stats.last_source_update;
	const int64_t synced = to->stats.last_synced_timestamp;

	if (to->stale || to->status == ST_OFFLINE)
		return UNKNOWN;
	if (changed <= 0)
		return 0;
	if (synced <= 0)
		return UNKNOWN;
	return changed > synced ? changed - synced : 0;
}

static bool is_member(const struct storage *st)
{
	return st->status != ST_DELETED && st->status != ST_IP_CHANGED;
}

/* Only the logs' pairs can stand there already: the first n. */
static bool is_exact(const struct snapshot *s, size_t n,
    const struct storage *from, const struct storage *to)
{
	for (size_t i = 0; i < n; i++) {
		const struct sync_pair *p = &s->pairs[i];

		if (strcmp(p->to, to->id) == 0 &&
		    strcmp(p->from, from->id) == 0 &&
		    strcmp(p->group, from->group) == 0)
			return true;
	}
	return false;
}

static void add_bounds(struct snapshot *s)
{
	const size_t exact = s->n_pairs;

	for (size_t i = 0; i < s->n_storages; i++) {
		const struct storage *from = &s->storages[i];

		for (size_t j = 0; j < s->n_storages; j++) {
			const struct storage *to = &s->storages[j];
			struct sync_pair *p;

			if (i == j || strcmp(from->group, to->group) != 0 ||
			    !is_member(from) || !is_member(to) ||
			    is_exact(s, exact, from, to))
				continue;
			p = add_pair(s, from->group, from->id, to->id);
			p->behind = bound_of(from, to);
			p->bound = p->behind > 0;
		}
	}
}

static int8_t filling_of(const struct sync_pair *p)
{
	const struct peer_row *r = &p->pair.peer;

	if (!p->exact || r->filled || r->fill_bytes_all == 0)
		return -1;
	return (int8_t)(r->fill_bytes < r->fill_bytes_all
	                    ? (double)r->fill_bytes /
	                          (double)r->fill_bytes_all * 100
	                    : 100);
}

/* The worst over those that send to it and are up, or whose log says that
 * something waits. */
static void fill_behind(const struct snapshot *s, struct storage *st)
{
	bool unknown = false;
	size_t senders = 0;

	st->behind = 0;
	for (size_t i = 0; i < s->n_pairs; i++) {
		const struct sync_pair *p = &s->pairs[i];
		const struct storage *from;

		if (strcmp(p->to, st->id) != 0 ||
		    strcmp(p->group, st->group) != 0)
			continue;
		from = snapshot_storage(s, p->group, p->from);
		if ((!from || !storage_is_up(from)) &&
		    !(p->exact && sync_pair_waits(p)))
			continue;
		senders++;
		if (filling_of(p) >= 0)
			st->filling = filling_of(p);
		if (p->behind == UNKNOWN) {
			unknown = true;
		} else if (p->behind > st->behind) {
			st->behind = p->behind;
			st->behind_bound = p->bound;
		}
	}
	st->alone = senders == 0;
	if (unknown || st->alone) {
		st->behind = UNKNOWN;
		st->behind_bound = false;
	}
}

static int in_order(const void *a, const void *b)
{
	const struct sync_pair *x = a;
	const struct sync_pair *y = b;
	int d = strcmp(x->group, y->group);

	if (d == 0)
		d = strcmp(x->from, y->from);
	return d ? d : strcmp(x->to, y->to);
}

void model_pairs(struct snapshot *s, const struct pair *known, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (known[i].from[0])
			add_known(s, &known[i]);
	add_bounds(s);
	if (s->n_pairs > 1)
		qsort(s->pairs, s->n_pairs, sizeof(*s->pairs), in_order);
	for (size_t i = 0; i < s->n_storages; i++)
		fill_behind(s, &s->storages[i]);
}

const struct sync_pair *snapshot_pair(const struct snapshot *s,
    const char *group, const char *from, const char *to)
{
	for (size_t i = 0; i < s->n_pairs; i++) {
		const struct sync_pair *p = &s->pairs[i];

		if (strcmp(p->to, to) == 0 && strcmp(p->from, from) == 0 &&
		    strcmp(p->group, group) == 0)
			return p;
	}
	return NULL;
}

bool sync_pair_waits(const struct sync_pair *p)
{
	if (!p->exact)
		return p->behind != 0;
	return p->pair.backlog.ops > 0 || p->pair.parked > 0;
}
