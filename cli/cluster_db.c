/* SPDX-License-Identifier: MIT */
/*
 * A tracker's database read into the records that a tracker would send, so
 * that status and df need not know where they come from. Numbers come from
 * the newest sample of each subject.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/dbs.h"
#include "meta/cluster.h"
#include "meta/sample.h"

#define STORAGE_ACTIVE 7

struct load {
	struct db *db;
	struct cluster *c;
	wall_t newest;
};

static int64_t sample_value(const struct sample *s, const char *name,
    int64_t otherwise)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->names[i], name) == 0)
			return s->values[i];
	return otherwise;
}

static int add_group(void *arg, const struct group_row *row)
{
	struct load *l = arg;
	struct cluster *c = l->c;
	struct msg_group_record *g;

	c->groups = xrealloc(c->groups, c->n_groups + 1, sizeof(*c->groups));
	g = &c->groups[c->n_groups++];
	memset(g, 0, sizeof(*g));
	str_copy(g->name, sizeof(g->name), row->name);
	g->storage_port = row->storage_port;
	g->store_path_count = row->store_path_count;
	g->subdir_count_per_path = row->subdir_count_per_path;
	return 0;
}

static void take_stats(const struct sample *s, struct stats *out)
{
	for (size_t i = 0; i < N_STATS; i++)
		stats_set(out, i, sample_value(s, stat_names[i], 0));
	out->current_conns = (int32_t)sample_value(s, "current_conns", 0);
	out->alloc_conns = (int32_t)sample_value(s, "alloc_conns", 0);
	out->max_conns = (int32_t)sample_value(s, "max_conns", 0);
}

static int add_storage(void *arg, const struct storage_row *row)
{
	struct load *l = arg;
	struct cluster *c = l->c;
	struct cluster_storage *st;
	struct sample s;

	c->storages =
	    xrealloc(c->storages, c->n_storages + 1, sizeof(*c->storages));
	st = &c->storages[c->n_storages++];
	memset(st, 0, sizeof(*st));
	str_copy(st->group, sizeof(st->group), row->group);
	st->r.status = (uint8_t)row->status;
	str_copy(st->r.id, sizeof(st->r.id), row->id);
	str_copy(st->r.ip, sizeof(st->r.ip), row->ip);
	str_copy(st->r.version, sizeof(st->r.version), row->version);
	str_copy(st->r.src_id, sizeof(st->r.src_id), row->src_id);
	st->r.storage_port = row->port;
	st->r.join_time = row->join_time;
	st->r.up_time = row->up_time;
	st->r.store_path_count = row->store_path_count;
	for (size_t i = 0; i < row->n_paths; i++) {
		st->r.total_mb += row->path_total_mb[i];
		st->r.free_mb += row->path_free_mb[i];
	}
	if (sample_last(l->db, row->id, &s) == 0) {
		take_stats(&s, &st->r.stats);
		st->r.reserved_mb =
		    st->r.free_mb -
		    sample_value(&s, "usable_mb", st->r.free_mb);
		l->newest = s.at > l->newest ? s.at : l->newest;
	}
	st->r.stats.last_heart_beat_time = row->last_heart_beat;
	st->r.stats.last_synced_timestamp = row->last_synced;
	return 0;
}

static int add_stamp(void *arg, const char *group, const char *from,
    const char *to, int64_t time)
{
	struct load *l = arg;
	struct cluster *c = l->c;
	struct cluster_stamp *st;

	c->stamps = xrealloc(c->stamps, c->n_stamps + 1, sizeof(*c->stamps));
	st = &c->stamps[c->n_stamps++];
	memset(st, 0, sizeof(*st));
	str_copy(st->group, sizeof(st->group), group);
	str_copy(st->from, sizeof(st->from), from);
	str_copy(st->to, sizeof(st->to), to);
	st->time = time;
	return 0;
}

static int skip_change(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	return 0;
}

/* A group is as large as its smallest storage. */
static void add_up(struct load *l)
{
	struct cluster *c = l->c;

	for (size_t g = 0; g < c->n_groups; g++) {
		struct msg_group_record *group = &c->groups[g];
		struct sample s;

		for (size_t i = 0; i < c->n_storages; i++) {
			const struct cluster_storage *st = &c->storages[i];
			const bool active = st->r.status == STORAGE_ACTIVE;

			if (strcmp(st->group, group->name) != 0)
				continue;
			group->storage_count++;
			group->readable_count += active;
			group->writable_count += active;
			if (group->total_mb == 0 ||
			    st->r.free_mb < group->free_mb) {
				group->total_mb = st->r.total_mb;
				group->free_mb = st->r.free_mb;
				group->reserved_mb = st->r.reserved_mb;
			}
		}
		if (sample_last(l->db, group->name, &s) != 0)
			continue;
		group->total_mb = sample_value(&s, "total_mb", group->total_mb);
		group->free_mb = sample_value(&s, "free_mb", group->free_mb);
		group->reserved_mb =
		    group->free_mb - sample_value(&s, "usable_mb",
		                         group->free_mb - group->reserved_mb);
		l->newest = s.at > l->newest ? s.at : l->newest;
	}
}

enum status cluster_load_db(struct db *db, const char *path, struct cluster *c,
    int64_t *age_s)
{
	struct load l = { db, c, 0 };
	const struct cluster_loader to = { &l, add_group, add_storage,
		add_stamp, skip_change };
	const int rc = cluster_load(db, &to);

	*age_s = -1;
	if (rc < 0)
		return dbs_fail(path, db, rc);
	add_up(&l);
	if (l.newest > 0)
		*age_s = (clock_wall() - l.newest) / 1000;
	return STATUS_OK;
}

int64_t cluster_usable(int64_t free_mb, int64_t reserved_mb)
{
	return free_mb > reserved_mb ? free_mb - reserved_mb : 0;
}

static enum status load_from_db(struct source *s, struct cluster *c,
    struct cluster_origin *from)
{
	struct dbs d;
	enum status st = dbs_open_tracker(s, &d);

	if (st != STATUS_OK)
		return st;
	st = cluster_load_db(d.tracker, d.tracker_path, c, &from->age_s);
	str_copy(from->name, sizeof(from->name), d.tracker_path);
	dbs_close(&d);
	return st;
}

enum status cluster_load_any(struct source *s, struct cluster *c,
    struct cluster_origin *from)
{
	enum status st;

	memset(from, 0, sizeof(*from));
	if (s->db_given || (s->n_trackers == 0 && dbs_has_tracker(s)))
		return load_from_db(s, c, from);
	st = source_need_tracker(s);
	if (st == STATUS_OK)
		st = cluster_load_groups(s, c);
	if (st == STATUS_OK)
		st = cluster_load_storages(s, c, NULL);
	addr_text(&s->trackers[s->tracker_at], from->name, sizeof(from->name));
	return st;
}
