/* SPDX-License-Identifier: MIT */
/*
 * States on load (cluster-protocol 2.2): INIT, WAIT_SYNC and SYNCING stay,
 * everything else is OFFLINE until it joins; tombstones are forgotten.
 */
#include "trackerd/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/cluster.h"
#include "meta/db.h"

struct pending {
	struct storage *storage;
	char source[STORAGE_ID_SIZE + 1];
};

struct restore {
	struct persist *persist;
	struct cluster *cluster;
	const struct ids *ids;
	struct pending *pending;
	size_t n, room;
};

static int load_group(void *arg, const struct group_row *row)
{
	struct restore *r = arg;
	struct group *g = cluster_add_group(r->cluster, row->name);

	if (!g)
		return -ENOSPC;
	g->port = row->storage_port;
	g->path_count = row->store_path_count;
	g->subdir_count = row->subdir_count_per_path;
	g->dirty = 0;
	return 0;
}

/* What the storage is called now: by the list of ids, or by its address. */
static const char *name_now(const struct restore *r, const char *group,
    const struct storage_row *row, const struct addr *a,
    const struct ids_entry **entry)
{
	*entry = ids_by_id(r->ids, span_of(row->id));
	if (!*entry)
		*entry = ids_by_addr(r->ids, group, a, (uint16_t)row->port);
	if (*entry)
		return (*entry)->id;
	return r->ids ? row->id : row->ip;
}

static void load_paths(struct storage *s, const struct storage_row *row)
{
	s->n_paths = row->n_paths < STORE_PATHS ? row->n_paths : STORE_PATHS;
	memcpy(s->path_total_mb, row->path_total_mb,
	    s->n_paths * sizeof(s->path_total_mb[0]));
	memcpy(s->path_free_mb, row->path_free_mb,
	    s->n_paths * sizeof(s->path_free_mb[0]));
	cluster_space(s);
}

static void load_counters(struct restore *r, struct storage *s)
{
	struct sample last = { 0 };
	char subject[64];
	struct strbuf b = strbuf_over(subject, sizeof(subject));

	strbuf_addf(&b, "%s/%s", s->group->name, s->id);
	if (sample_last(persist_db(r->persist), subject, &last) < 0)
		return;
	for (size_t i = 0; i < last.n; i++)
		for (size_t k = 0; k < N_STATS; k++)
			if (strcmp(last.names[i], stat_names[k]) == 0)
				stats_set(&s->stats, k, last.values[i]);
}

static void remember_source(struct restore *r, struct storage *s,
    const char *source)
{
	if (!source[0])
		return;
	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 32;
		r->pending =
		    xrealloc(r->pending, r->room, sizeof(r->pending[0]));
	}
	r->pending[r->n].storage = s;
	str_copy(r->pending[r->n].source, sizeof(r->pending[0].source), source);
	r->n++;
}

static int load_storage(void *arg, const struct storage_row *row)
{
	struct restore *r = arg;
	struct group *g = cluster_group(r->cluster, row->group);
	const struct ids_entry *entry;
	struct addr a = { 0 };
	const char *id;
	struct storage *s;

	if (!g || addr_parse_ip(span_of(row->ip), &a) < 0) {
		log_warn("restore_skipped", "group=%s storage=%s ip=%s",
		    row->group, row->id, row->ip);
		return 0;
	}
	id = name_now(r, row->group, row, &a, &entry);
	if (group_storage(g, span_of(id)))
		return 0;
	s = group_load_storage(g, id);
	if (!s)
		return -ENOSPC;
	s->stored = true;
	s->addrs[0] = a;
	s->n_addrs = 1;
	if (entry) {
		memcpy(s->addrs, entry->addrs, sizeof(s->addrs));
		s->n_addrs = entry->n_addrs;
		s->rw = entry->rw;
	}
	s->status = status_is_known(row->status)
	                ? (enum storage_status)row->status
	                : ST_OFFLINE;
	str_copy(s->version, sizeof(s->version), row->version);
	s->port = row->port;
	s->path_count = row->store_path_count;
	s->subdir_count = row->subdir_count_per_path;
	s->priority = row->upload_priority;
	s->join_time = row->join_time;
	s->sync_until = row->sync_until;
	s->last_synced = row->last_synced;
	s->last_beat = row->last_heart_beat;
	s->changelog_at = (size_t)row->changelog_offset;
	load_paths(s, row);
	load_counters(r, s);
	remember_source(r, s, row->src_id);
	if (strcmp(id, row->id) != 0) {
		persist_drop_storage(r->persist, g->name, row->id);
		storage_touch(s, DIRTY_SOON);
		log_info("storage_renamed", "group=%s old=%s new=%s", g->name,
		    row->id, id);
	}
	return 0;
}

static int load_stamp(void *arg, const char *group, const char *from,
    const char *to, int64_t time)
{
	const struct restore *r = arg;
	const struct group *g = cluster_group(r->cluster, group);
	const struct storage *src = g ? group_storage(g, span_of(from)) : NULL;
	struct storage *dst = g ? group_storage(g, span_of(to)) : NULL;

	if (src && dst)
		dst->synced_from[src->slot] = time;
	return 0;
}

static int load_change(void *arg, const char *line)
{
	const struct restore *r = arg;
	const struct cluster_watch watch = r->cluster->watch;

	r->cluster->watch = (struct cluster_watch){ 0 };
	cluster_add_line(r->cluster, line);
	r->cluster->watch = watch;
	return 0;
}

/* Nobody is connected yet. */
static void settle(struct restore *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct pending *p = &r->pending[i];

		p->storage->source =
		    group_storage(p->storage->group, span_of(p->source));
	}
	for (size_t i = 0; i < r->cluster->n; i++) {
		struct group *g = r->cluster->groups[i];

		for (size_t k = g->n; k-- > 0;) {
			struct storage *s = g->storages[k];

			if (s->changelog_at > r->cluster->changelog_len)
				s->changelog_at = r->cluster->changelog_len;
			if (storage_is_tombstone(s))
				group_drop_storage(r->cluster, s);
			else if (s->status != ST_INIT &&
			         s->status != ST_WAIT_SYNC &&
			         s->status != ST_SYNCING)
				cluster_enter(r->cluster, s, ST_OFFLINE,
				    "tracker started");
		}
		group_figures(g);
	}
}

int restore_cluster(struct persist *p, struct cluster *c, const struct ids *ids,
    int64_t *last_alive)
{
	struct restore r = { .persist = p, .cluster = c, .ids = ids };
	const struct cluster_loader to = { .arg = &r,
		.group = load_group,
		.storage = load_storage,
		.stamp = load_stamp,
		.change = load_change };
	char mark[32] = "";
	int rc = cluster_load(persist_db(p), &to);

	*last_alive = 0;
	if (rc == 0 &&
	    db_mark_get(persist_db(p), "last_alive", mark, sizeof(mark)) == 0)
		(void)str_to_i64(mark, last_alive);
	if (rc == 0) {
		persist_quiet(p, true);
		settle(&r);
		persist_quiet(p, false);
	}
	free(r.pending);
	return rc;
}
