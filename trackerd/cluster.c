/* SPDX-License-Identifier: MIT */
/*
 * Membership: groups by name, storages by id, both in short sorted arrays.
 * A storage keeps its slot for life, so that the matrix of stamps does not
 * move when a member comes between. Records of deleted storages stay until
 * the group is deleted, the tracker restarts or the room is needed, because
 * lists show them (client-protocol 3.8).
 */
#include "trackerd/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

void cluster_init(struct cluster *c, const struct cluster_watch *watch)
{
	memset(c, 0, sizeof(*c));
	c->self = -1;
	c->leader_at = -1;
	c->trunk_changes = 1;
	if (watch)
		c->watch = *watch;
}

void cluster_fini(struct cluster *c)
{
	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < c->groups[i]->n; k++)
			free(c->groups[i]->storages[k]);
		free(c->groups[i]);
	}
	free(c->changelog);
	memset(c, 0, sizeof(*c));
}

/* --- finding ------------------------------------------------------------- */

struct group *cluster_group(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->groups[i]->name, name) == 0)
			return c->groups[i];
	return NULL;
}

struct storage *group_storage(const struct group *g, struct span id)
{
	for (size_t i = 0; i < g->n; i++)
		if (span_eq(id, g->storages[i]->id))
			return g->storages[i];
	return NULL;
}

struct storage *group_storage_at(const struct group *g, const struct addr *a,
    int64_t port)
{
	struct storage *gone = NULL;

	for (size_t i = 0; i < g->n; i++) {
		struct storage *s = g->storages[i];

		if (port != 0 && s->port != port)
			continue;
		for (size_t k = 0; k < s->n_addrs; k++) {
			if (!addr_same_ip(a, &s->addrs[k]))
				continue;
			if (!storage_is_tombstone(s))
				return s;
			gone = s;
		}
	}
	return gone;
}

/* --- membership ---------------------------------------------------------- */

struct group *cluster_add_group(struct cluster *c, const char *name)
{
	struct group *g = cluster_group(c, name);
	size_t at = 0;

	if (g)
		return g;
	if (c->n == CLUSTER_GROUPS)
		return NULL;
	g = xcalloc(1, sizeof(*g));
	str_copy(g->name, sizeof(g->name), name);
	g->dirty = DIRTY_SOON;
	while (at < c->n && strcmp(c->groups[at]->name, name) < 0)
		at++;
	for (size_t i = c->n; i > at; i--)
		c->groups[i] = c->groups[i - 1];
	c->groups[at] = g;
	c->n++;
	c->trunk_changes++;
	return g;
}

static void group_insert(struct group *g, struct storage *s)
{
	size_t at = 0;

	while (at < g->n && strcmp(g->storages[at]->id, s->id) < 0)
		at++;
	for (size_t i = g->n; i > at; i--)
		g->storages[i] = g->storages[i - 1];
	g->storages[at] = s;
	g->n++;
}

static void group_remove(struct group *g, const struct storage *s)
{
	size_t at = 0;

	while (g->storages[at] != s)
		at++;
	g->n--;
	for (; at < g->n; at++)
		g->storages[at] = g->storages[at + 1];
	g->storages[at] = NULL;
}

static bool make_room(struct cluster *c, struct group *g)
{
	if (g->n < GROUP_STORAGES)
		return true;
	for (size_t i = 0; i < g->n; i++) {
		struct storage *s = g->storages[i];

		/* What was freed was taken out of the array before:
		 * NOLINTNEXTLINE(clang-analyzer-*) */
		if (storage_is_tombstone(s) && !s->session) {
			group_drop_storage(c, s);
			return true;
		}
	}
	return false;
}

struct storage *group_load_storage(struct group *g, const char *id)
{
	struct storage *s;
	unsigned slot = 0;

	if (g->n == GROUP_STORAGES)
		return NULL;
	while (g->slots & BIT(slot))
		slot++;
	s = xcalloc(1, sizeof(*s));
	s->group = g;
	s->slot = slot;
	s->rw = RW_BOTH;
	str_copy(s->id, sizeof(s->id), id);
	g->slots |= BIT(slot);
	group_insert(g, s);
	group_bump(g);
	return s;
}

struct storage *group_add_storage(struct cluster *c, struct group *g,
    const char *id, enum storage_status status, const char *reason)
{
	struct storage *s;

	if (!make_room(c, g))
		return NULL;
	s = group_load_storage(g, id);
	s->status = status;
	storage_touch(s, DIRTY_SOON);
	if (c->watch.status)
		c->watch.status(c->watch.arg, s, -1, reason);
	return s;
}

/* Nobody may point to s any more. */
static void forget(struct group *g, const struct storage *s)
{
	for (size_t i = 0; i < g->n; i++) {
		struct storage *m = g->storages[i];

		m->synced_from[s->slot] = 0;
		m->synced_dirty &= ~BIT(s->slot);
		if (m->source == s) {
			m->source = NULL;
			m->sync_until = 0;
			storage_touch(m, DIRTY_SOON);
		}
	}
}

void group_drop_storage(struct cluster *c, struct storage *s)
{
	struct group *g = s->group;

	forget(g, s);
	if (g->trunk_server == s)
		cluster_set_trunk(c, g, NULL);
	group_remove(g, s);
	g->slots &= ~BIT(s->slot);
	group_bump(g);
	if (c->watch.drop_storage)
		c->watch.drop_storage(c->watch.arg, g->name, s->id);
	free(s);
}

int cluster_delete_group(struct cluster *c, const char *name)
{
	struct group *g = cluster_group(c, name);
	size_t at = 0;

	if (!g)
		return -ENOENT;
	for (size_t i = 0; i < g->n; i++)
		if (!storage_is_tombstone(g->storages[i]) ||
		    g->storages[i]->session)
			return -EBUSY;
	for (size_t i = g->n; i-- > 0;)
		group_drop_storage(c, g->storages[i]);
	while (c->groups[at] != g)
		at++;
	c->n--;
	for (; at < c->n; at++)
		c->groups[at] = c->groups[at + 1];
	c->groups[at] = NULL;
	c->trunk_changes++;
	if (c->write_group >= c->n)
		c->write_group = 0;
	if (c->watch.drop_group)
		c->watch.drop_group(c->watch.arg, g->name);
	free(g);
	return 0;
}

static void changelog_line(struct cluster *c, const struct storage *s,
    const char *old_id, int status, const char *new_id, int64_t now)
{
	char line[128];
	struct strbuf b = strbuf_over(line, sizeof(line));

	strbuf_addf(&b, "%" PRId64 " %s %s %d %s", now, s->group->name, old_id,
	    status, new_id);
	cluster_add_line(c, line);
}

/* A deleted member starts afresh if it ever returns. */
static void clear_history(struct storage *s)
{
	s->source = NULL;
	s->sync_until = 0;
	s->n_paths = 0;
	s->total_mb = 0;
	s->free_mb = 0;
	s->last_synced = 0;
	s->last_beat = 0;
	s->up_time = 0;
	memset(&s->stats, 0, sizeof(s->stats));
	memset(s->synced_from, 0, sizeof(s->synced_from));
	s->synced_dirty = 0;
}

int cluster_delete_storage(struct cluster *c, struct storage *s, int64_t now)
{
	switch (s->status) {
	case ST_ONLINE:
	case ST_ACTIVE:
	case ST_RECOVERY:
		return -EBUSY;
	case ST_DELETED:
		return -EALREADY;
	case ST_INIT:
	case ST_WAIT_SYNC:
	case ST_SYNCING:
	case ST_OFFLINE:
		break;
	case ST_IP_CHANGED:
	case ST_NONE:
		return -ENOENT;
	}
	cluster_enter(c, s, ST_DELETED, "deleted by request");
	if (s->group->trunk_server == s)
		cluster_set_trunk(c, s->group, NULL);
	forget(s->group, s);
	clear_history(s);
	group_bump(s->group);
	changelog_line(c, s, s->id, ST_DELETED, "", now);
	return 0;
}

int cluster_move_storage(struct cluster *c, struct storage *s,
    const struct addr *to, int64_t now)
{
	struct group *g = s->group;
	struct storage *old;
	char old_id[STORAGE_ID_SIZE + 1];
	char new_id[ADDR_IP_MAX];
	struct addr from = s->addrs[0];

	addr_ip(to, new_id, sizeof(new_id));
	old = group_storage(g, span_of(new_id));
	if (old)
		group_drop_storage(c, old); /* a tombstone at the new place */
	if (!make_room(c, g))
		return -ENOSPC;
	str_copy(old_id, sizeof(old_id), s->id);
	group_remove(g, s);
	str_copy(s->id, sizeof(s->id), new_id);
	s->addrs[0] = *to;
	s->n_addrs = 1;
	group_insert(g, s);
	/* Rows of the old id go, those of the new one are written. */
	if (c->watch.drop_storage)
		c->watch.drop_storage(c->watch.arg, g->name, old_id);
	storage_touch(s, DIRTY_SOON);
	for (size_t i = 0; i < g->n; i++) {
		s->synced_dirty |= BIT(g->storages[i]->slot);
		g->storages[i]->synced_dirty |= BIT(s->slot);
		if (g->storages[i]->source == s)
			storage_touch(g->storages[i], DIRTY_SOON);
	}
	old = group_add_storage(c, g, old_id, ST_IP_CHANGED, "address changed");
	if (old) {
		old->addrs[0] = from;
		old->n_addrs = 1;
	}
	if (c->watch.status)
		c->watch.status(c->watch.arg, s, -1, "address changed");
	changelog_line(c, s, old_id, ST_IP_CHANGED, new_id, now);
	return 0;
}

/* --- trackers, leader, trunk server, changelog --------------------------- */

static bool same_tracker(const struct tracker_name *a,
    const struct tracker_name *b)
{
	if (a->port != b->port)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		for (size_t k = 0; k < b->n_addrs; k++)
			if (addr_same_ip(&a->addrs[i], &b->addrs[k]))
				return true;
	return false;
}

int cluster_find_tracker(const struct cluster *c,
    const struct tracker_name *name)
{
	for (size_t i = 0; i < c->n_trackers; i++)
		if (same_tracker(&c->trackers[i], name))
			return (int)i;
	return -ENOENT;
}

static int tracker_learn(struct cluster *c, const struct tracker_name *t)
{
	const int at = cluster_find_tracker(c, t);

	if (at >= 0) {
		if (t->n_addrs > c->trackers[at].n_addrs)
			c->trackers[at] = *t;
		return at;
	}
	if (c->n_trackers == CLUSTER_TRACKERS)
		return -1;
	c->trackers[c->n_trackers] = *t;
	return (int)c->n_trackers++;
}

int cluster_trackers(struct cluster *c, const struct tracker_name *list,
    size_t n, const struct addr *at, uint16_t own_port)
{
	const bool first = c->n_trackers == 0;
	const struct tracker_name me = { .addrs = { *at },
		.n_addrs = 1,
		.port = own_port };

	for (size_t i = 0; i < n; i++)
		tracker_learn(c, &list[i]);
	if (c->self < 0)
		c->self = cluster_find_tracker(c, &me);
	if (c->self >= 0)
		return 0;
	if (first)
		return -ENOENT;
	c->self = tracker_learn(c, &me);
	return 0;
}

/* Followers tell nobody, so only their own changes count (1.7). */
bool cluster_set_leader(struct cluster *c, int at)
{
	const bool leads = at >= 0 && at == c->self;

	if (c->leader_at == at && c->leader == leads)
		return false;
	if (c->leader != leads)
		c->leader_changes++;
	c->leader = leads;
	c->leader_at = at;
	return true;
}

void cluster_set_trunk(struct cluster *c, struct group *g, struct storage *s)
{
	if (g->trunk_server == s)
		return;
	g->trunk_server = s;
	g->trunk_changes++;
	c->trunk_changes++;
}

void cluster_add_line(struct cluster *c, const char *line)
{
	const size_t n = strlen(line);

	c->changelog = xrealloc(c->changelog, c->changelog_len + n + 1, 1);
	memcpy(c->changelog + c->changelog_len, line, n);
	c->changelog[c->changelog_len + n] = '\n';
	c->changelog_len += n + 1;
	if (c->watch.change)
		c->watch.change(c->watch.arg, line);
}

const struct addr *addr_for_peer(const struct addr *addrs, size_t n,
    const struct addr *peer)
{
	return n > 1 && addr_class(peer) == addr_class(&addrs[1]) ? &addrs[1]
	                                                          : &addrs[0];
}
