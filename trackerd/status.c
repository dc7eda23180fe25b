/* SPDX-License-Identifier: MIT */
/*
 * The state machine of a storage as a tracker sees it (cluster-protocol
 * chapter 2), in cluster.h:
 *
 *        JOIN            87, 88            76 from its source
 *   (new) ----> INIT ----------> WAIT_SYNC ----------> SYNCING
 *                 | 87, 88 without source                 | 76
 *                 v              BEAT, DISK_USAGE         v
 *              ONLINE -----------------> ACTIVE        OFFLINE
 *                 ^                        | close, sweep |
 *                 |         JOIN           v              |
 *                 +--------------------- OFFLINE <--------+
 *
 * 93 makes DELETED of what does not serve, 78 makes IP_CHANGED, JOIN brings
 * both back to INIT; RECOVERY is reported by the storage itself (76) and ends
 * with JOIN or BEAT; 59 lets a storage correct this tracker's opinion.
 */
#include "trackerd/cluster.h"

#include <errno.h>

#include "base/log.h"
#include "base/macros.h"

#define B(status) BIT(ST_##status)

static const struct {
	const char *name;
	uint16_t next; /* bits of the states that may follow */
} states[] = {
	[ST_INIT] = { "INIT", B(WAIT_SYNC) | B(SYNCING) | B(DELETED) |
	                          B(OFFLINE) | B(ONLINE) | B(RECOVERY) },
	[ST_WAIT_SYNC] = { "WAIT_SYNC",
	    B(INIT) | B(SYNCING) | B(IP_CHANGED) | B(DELETED) | B(OFFLINE) |
	        B(ONLINE) | B(ACTIVE) | B(RECOVERY) },
	[ST_SYNCING] = { "SYNCING", B(INIT) | B(WAIT_SYNC) | B(IP_CHANGED) |
	                                B(DELETED) | B(OFFLINE) | B(ONLINE) |
	                                B(ACTIVE) | B(RECOVERY) },
	[ST_IP_CHANGED] = { "IP_CHANGED", B(INIT) | B(DELETED) | B(OFFLINE) |
	                                      B(ONLINE) | B(ACTIVE) |
	                                      B(RECOVERY) },
	[ST_DELETED] = { "DELETED", B(INIT) | B(IP_CHANGED) | B(OFFLINE) |
	                                B(ONLINE) | B(ACTIVE) | B(RECOVERY) },
	[ST_OFFLINE] = { "OFFLINE", B(INIT) | B(WAIT_SYNC) | B(SYNCING) |
	                                B(IP_CHANGED) | B(DELETED) | B(ONLINE) |
	                                B(ACTIVE) | B(RECOVERY) },
	[ST_ONLINE] = { "ONLINE", B(INIT) | B(WAIT_SYNC) | B(SYNCING) |
	                              B(OFFLINE) | B(ACTIVE) | B(RECOVERY) },
	[ST_ACTIVE] = { "ACTIVE", B(INIT) | B(WAIT_SYNC) | B(SYNCING) |
	                              B(OFFLINE) | B(ONLINE) | B(RECOVERY) },
	[8] = { NULL, 0 },
	[ST_RECOVERY] = { "RECOVERY", B(INIT) | B(WAIT_SYNC) | B(SYNCING) |
	                                  B(OFFLINE) | B(ONLINE) | B(ACTIVE) },
};

const char *status_name(int status)
{
	return status_is_known(status) ? states[status].name : "NONE";
}

bool status_is_known(int status)
{
	return status >= 0 && status < (int)ARRAY_LEN(states) &&
	       states[status].name;
}

bool cluster_may(enum storage_status from, enum storage_status to)
{
	return status_is_known((int)from) && status_is_known((int)to) &&
	       (states[from].next & BIT(to));
}

bool storage_readable(const struct storage *s)
{
	return s->status == ST_ACTIVE && (s->rw & RW_READ);
}

bool storage_writable(const struct storage *s)
{
	return s->status == ST_ACTIVE && (s->rw & RW_WRITE);
}

bool storage_is_tombstone(const struct storage *s)
{
	return s->status == ST_DELETED || s->status == ST_IP_CHANGED;
}

size_t group_readable(const struct group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += storage_readable(g->storages[i]);
	return n;
}

size_t group_writable(const struct group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += storage_writable(g->storages[i]);
	return n;
}

void group_bump(struct group *g)
{
	g->member_changes++;
}

void storage_touch(struct storage *s, unsigned dirty)
{
	s->dirty |= dirty;
}

/* The fullest writable storage counts; with none, what was known stays, and
 * after a restart the fullest of all that may come back. */
void group_figures(struct group *g)
{
	const bool any = group_writable(g) > 0;
	const struct storage *least = NULL;

	if (!any && g->total_mb != 0)
		return;
	for (size_t i = 0; i < g->n; i++) {
		const struct storage *s = g->storages[i];

		if (any ? !storage_writable(s) : s->total_mb == 0)
			continue;
		if (!least || s->free_mb < least->free_mb)
			least = s;
	}
	g->total_mb = least ? least->total_mb : 0;
	g->free_mb = least ? least->free_mb : 0;
}

void cluster_space(struct storage *s)
{
	s->total_mb = 0;
	s->free_mb = 0;
	for (size_t i = 0; i < s->n_paths; i++) {
		s->total_mb += s->path_total_mb[i];
		s->free_mb += s->path_free_mb[i];
	}
	group_figures(s->group);
}

bool cluster_enter(struct cluster *c, struct storage *s, enum storage_status to,
    const char *reason)
{
	const enum storage_status from = s->status;

	if (from == to)
		return false;
	if (!cluster_may(from, to)) {
		log_warn("status_refused",
		    "group=%s storage=%s from=%s to=%s reason=\"%s\"",
		    s->group->name, s->id, status_name((int)from),
		    status_name((int)to), reason);
		return false;
	}
	s->status = to;
	if (from == ST_ACTIVE || to == ST_ACTIVE) {
		group_bump(s->group);
		group_figures(s->group);
	}
	storage_touch(s, DIRTY_SOON);
	if (c->watch.status)
		c->watch.status(c->watch.arg, s, (int)from, reason);
	return true;
}

int cluster_first_status(bool init, int claimed)
{
	if (!init && (claimed == -1 || claimed == ST_DELETED ||
	                 claimed == ST_IP_CHANGED || claimed == ST_NONE))
		return -EFAULT;
	if (init || claimed <= 0)
		return ST_INIT;
	if (!status_is_known(claimed))
		return -EFAULT;
	if (claimed == ST_ACTIVE || claimed == ST_OFFLINE ||
	    claimed == ST_RECOVERY)
		return ST_ONLINE;
	return claimed;
}

void cluster_joined(struct cluster *c, struct storage *s)
{
	if (storage_is_tombstone(s)) {
		cluster_enter(c, s, ST_INIT, "join");
		group_bump(s->group);
	} else if (s->status == ST_OFFLINE || s->status == ST_RECOVERY) {
		cluster_enter(c, s, ST_ONLINE, "join");
	}
	/* A new connection is told everything once. */
	s->told_members = 0;
	s->told_trunk = 0;
}

void cluster_activate(struct cluster *c, struct storage *s, const char *reason)
{
	if (s->status == ST_OFFLINE || s->status == ST_ONLINE ||
	    s->status == ST_RECOVERY)
		cluster_enter(c, s, ST_ACTIVE, reason);
}

static void deactivate(struct cluster *c, struct storage *s, const char *reason)
{
	cluster_enter(c, s, ST_OFFLINE, reason);
	s->told_members = 0;
	s->told_trunk = 0;
}

void cluster_lost(struct cluster *c, struct storage *s, const char *reason)
{
	s->up_time = 0;
	storage_touch(s, DIRTY_LATER);
	if (s->status == ST_ONLINE || s->status == ST_ACTIVE ||
	    s->status == ST_OFFLINE)
		deactivate(c, s, reason);
}

size_t cluster_sweep(struct cluster *c, int64_t now, int64_t allowed)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];

		for (size_t k = 0; k < g->n; k++) {
			struct storage *s = g->storages[k];

			if (s->status != ST_ACTIVE ||
			    now - s->last_beat <= allowed)
				continue;
			deactivate(c, s, "no beat");
			n++;
		}
	}
	return n;
}

void cluster_reported(struct cluster *c, struct storage *s, int status,
    const char *reason)
{
	switch (s->status) {
	case ST_INIT:
	case ST_ONLINE:
	case ST_ACTIVE:
	case ST_RECOVERY:
		return;
	case ST_WAIT_SYNC:
	case ST_SYNCING:
	case ST_OFFLINE:
	case ST_DELETED:
	case ST_IP_CHANGED:
	case ST_NONE:
		break;
	}
	if (!status_is_known(status) ||
	    (status != ST_DELETED && status != ST_IP_CHANGED &&
	        status < (int)s->status))
		return;
	if (cluster_enter(c, s, (enum storage_status)status, reason))
		group_bump(s->group);
}
