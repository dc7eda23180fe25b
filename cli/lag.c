/* SPDX-License-Identifier: MIT */
#include "cli/lag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/dbs.h"

#define STORAGE_IP_CHANGED 3
#define STORAGE_DELETED    4
#define STORAGE_ACTIVE     7
#define STORAGE_NONE       99

static const char *add_source(struct lag *l, const char *name, int64_t age_s)
{
	l->sources =
	    xrealloc(l->sources, l->n_sources + 1, sizeof(*l->sources));
	l->names = xrealloc(l->names, l->n_sources + 1, sizeof(*l->names));
	l->names[l->n_sources] = xstrdup(name);
	l->sources[l->n_sources] =
	    (struct out_source){ l->names[l->n_sources], age_s };
	return l->names[l->n_sources++];
}

static struct lag_pair *add_pair(struct lag *l)
{
	struct lag_pair *p;

	l->pairs = xrealloc(l->pairs, l->n + 1, sizeof(*l->pairs));
	p = &l->pairs[l->n++];
	memset(p, 0, sizeof(*p));
	p->behind = -1;
	return p;
}

/* --- from logs ----------------------------------------------------------- */

struct reading {
	struct lag *lag;
	const char *path;
};

static int take_pair(void *arg, const struct pair *from)
{
	struct reading *r = arg;
	struct lag_pair *p = add_pair(r->lag);

	str_copy(p->group, sizeof(p->group), from->group);
	str_copy(p->from, sizeof(p->from), from->from);
	str_copy(p->to, sizeof(p->to), from->peer.id);
	p->exact = true;
	p->pair = *from;
	p->path = r->path;
	return 0;
}

static int take_recovery(struct lag *l, struct db *log)
{
	struct recovery r;
	int rc = recovery_read(log, &r);

	if (rc != 1)
		return rc;
	l->recoveries = xrealloc(l->recoveries, l->n_recoveries + 1,
	    sizeof(*l->recoveries));
	l->recoveries[l->n_recoveries++] = r;
	return 0;
}

static enum status read_log(void *arg, struct db *log, const char *path)
{
	struct lag *l = arg;
	struct reading r = { l, add_source(l, path, 0) };
	int rc = pairs_each(log, l->at, take_pair, &r);

	if (rc >= 0)
		rc = take_recovery(l, log);

	if (rc == -ENOTSUP)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = path,
		                   .todo = "start fdfs-storaged once" },
		    "%s was written by an older version, which kept no peers",
		    path);
	return rc < 0 ? dbs_fail(path, log, rc) : STATUS_OK;
}

/* --- from trackers ------------------------------------------------------- */

static bool is_member(const struct cluster_storage *s)
{
	return s->r.status != STORAGE_DELETED &&
	       s->r.status != STORAGE_IP_CHANGED && s->r.status != STORAGE_NONE;
}

static bool have(const struct lag *l, const struct cluster_storage *a,
    const struct cluster_storage *b)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct lag_pair *p = &l->pairs[i];

		if (strcmp(p->from, a->r.id) == 0 &&
		    strcmp(p->to, b->r.id) == 0 &&
		    (!p->group[0] || strcmp(p->group, a->group) == 0))
			return true;
	}
	return false;
}

/* Up to when b has everything of a: a tracker's database knows it of each
 * pair, trackers tell one time for all that b receives. */
static int64_t synced_up_to(const struct cluster *c,
    const struct cluster_storage *a, const struct cluster_storage *b)
{
	for (size_t i = 0; i < c->n_stamps; i++) {
		const struct cluster_stamp *st = &c->stamps[i];

		if (strcmp(st->group, a->group) == 0 &&
		    strcmp(st->from, a->r.id) == 0 &&
		    strcmp(st->to, b->r.id) == 0)
			return st->time;
	}
	return c->n_stamps > 0 ? 0 : b->r.stats.last_synced_timestamp;
}

/* An upper bound: what b has of a may be newer than the tracker knows. */
static int64_t behind(const struct cluster *c, const struct cluster_storage *a,
    const struct cluster_storage *b)
{
	const int64_t changed = a->r.stats.last_source_update;
	const int64_t synced = synced_up_to(c, a, b);

	if (changed <= 0)
		return 0;
	if (synced <= 0)
		return -1;
	return changed > synced ? changed - synced : 0;
}

static void add_bound(struct lag *l, const struct cluster *c,
    const struct cluster_storage *a, const struct cluster_storage *b)
{
	struct lag_pair *p = add_pair(l);

	str_copy(p->group, sizeof(p->group), a->group);
	str_copy(p->from, sizeof(p->from), a->r.id);
	str_copy(p->to, sizeof(p->to), b->r.id);
	p->behind = behind(c, a, b);
	if (b->r.status != STORAGE_ACTIVE)
		str_copy(p->note, sizeof(p->note),
		    cluster_status_name(b->r.status));
}

static void add_bounds(struct lag *l, const struct cluster *c)
{
	for (size_t i = 0; i < c->n_storages; i++) {
		const struct cluster_storage *a = &c->storages[i];

		for (size_t j = 0; j < c->n_storages; j++) {
			const struct cluster_storage *b = &c->storages[j];

			if (i != j && strcmp(a->group, b->group) == 0 &&
			    is_member(a) && is_member(b) && !have(l, a, b))
				add_bound(l, c, a, b);
		}
	}
}

static enum status read_cluster(struct source *s, struct lag *l)
{
	struct cluster_origin from;
	struct cluster c;
	enum status st;

	memset(&c, 0, sizeof(c));
	st = cluster_load_any(s, &c, &from);
	if (st == STATUS_OK) {
		add_source(l, from.name, from.age_s);
		add_bounds(l, &c);
	} else if (l->n_sources > 0 && st == STATUS_NO_SOURCE) {
		l->missing = "trackers";
		st = STATUS_PART;
	}
	cluster_free(&c);
	return st;
}

/* --- what was asked for -------------------------------------------------- */

/* "A,B", "A->B", "A→B": the two names; false when it is one name. */
static bool split(const char *subject, struct span *from, struct span *to)
{
	static const char *const between[] = { ",", "->", "→" };

	for (size_t i = 0; i < ARRAY_LEN(between); i++) {
		const char *at = strstr(subject, between[i]);

		if (!at)
			continue;
		*from = (struct span){ subject, (size_t)(at - subject) };
		*to = span_of(at + strlen(between[i]));
		return true;
	}
	return false;
}

static bool is_about(const struct lag_pair *p, const char *subject)
{
	struct span from;
	struct span to;

	if (!subject)
		return true;
	if (split(subject, &from, &to))
		return span_eq(from, p->from) && span_eq(to, p->to);
	return strcmp(subject, p->from) == 0 || strcmp(subject, p->to) == 0 ||
	       strcmp(subject, p->group) == 0;
}

static enum status choose(struct lag *l, const char *subject)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		l->pairs[i].shown = is_about(&l->pairs[i], subject);
		n += l->pairs[i].shown;
	}
	if (n > 0 || !subject)
		return STATUS_OK;
	return err_say((struct err){ .status = STATUS_NO,
	                   .subject = subject,
	                   .todo = "name a storage, a group, or two storages: "
	                           "FROM,TO" },
	    "no pair of storages is known by the name %s", subject);
}

static int in_order(const void *a, const void *b)
{
	const struct lag_pair *x = a;
	const struct lag_pair *y = b;
	int d = strcmp(x->group, y->group);

	if (d == 0)
		d = strcmp(x->from, y->from);
	return d ? d : strcmp(x->to, y->to);
}

enum status lag_load(struct source *s, const char *subject, struct lag *l)
{
	const bool live = !s->db_given && s->n_trackers > 0;
	size_t logs = 0;
	enum status st;
	enum status chosen;

	memset(l, 0, sizeof(*l));
	l->at = clock_wall();
	st = dbs_each_log(s, read_log, l, &logs);
	if (st != STATUS_OK)
		return st;
	if (live || dbs_has_tracker(s))
		st = read_cluster(s, l);
	else if (logs == 0)
		return err_say(
		    (struct err){ .status = STATUS_NO_SOURCE,
		        .todo = "name one: --db BASE_PATH/meta, or --tracker "
		                "HOST, or --config FILE" },
		    "neither a log (storage.db) nor a tracker is known%s%s",
		    s->looked_at[0] ? "; looked at " : "", s->looked_at);
	if (st != STATUS_OK && st != STATUS_PART)
		return st;
	if (l->n > 1)
		qsort(l->pairs, l->n, sizeof(*l->pairs), in_order);
	chosen = choose(l, subject);
	return chosen == STATUS_OK ? st : chosen;
}

void lag_free(struct lag *l)
{
	for (size_t i = 0; i < l->n_sources; i++)
		free(l->names[i]);
	free(l->recoveries);
	free(l->names);
	free(l->sources);
	free(l->pairs);
	memset(l, 0, sizeof(*l));
}

bool lag_waits(const struct lag *l, const struct lag_pair *p, int64_t below)
{
	const struct peer_backlog *b = &p->pair.backlog;

	if (!p->exact)
		return p->behind < 0 || (p->behind > 0 && p->behind >= below);
	if (p->pair.parked > 0)
		return true;
	if (b->ops == 0)
		return false;
	/* a first copy has no oldest operation: it is not young */
	return below == 0 || b->oldest == 0 || !p->pair.peer.filled ||
	       l->at - b->oldest >= below * 1000;
}
