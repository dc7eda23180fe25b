/* SPDX-License-Identifier: MIT */
/*
 * Indexes rotate as FastDFS rotates them, because clients and tests see the
 * order: the group's write index moves on only after a pick, a single
 * writable storage moves no index, the write path moves after each pick.
 */
#include "trackerd/choose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/fileid.h"

/* --- space --------------------------------------------------------------- */

static bool enough(const struct tracker_conf *cf, int64_t total, int64_t mb,
    int64_t paths)
{
	if (cf->reserve.percent > 0)
		return total != 0 &&
		       (double)mb / (double)total > cf->reserve.percent / 100;
	return mb > cf_reserved_mb(cf, total) / paths;
}

bool choose_has_space(const struct tracker_conf *cf, const struct group *g,
    bool trunk)
{
	return enough(cf, g->total_mb,
	    g->free_mb + (trunk ? g->trunk_free_mb : 0), 1);
}

/* Either test, when trunk files are in use. */
static bool has_any_space(const struct tracker_conf *cf, const struct group *g)
{
	return choose_has_space(cf, g, false) ||
	       (cf->trunk.use && choose_has_space(cf, g, true));
}

/* --- group --------------------------------------------------------------- */

static int named_group(struct cluster *c, const struct tracker_conf *cf,
    const char *name, struct group **out)
{
	struct group *g = cluster_group(c, name);

	if (!g || group_writable(g) == 0)
		return -ENOENT;
	if (!has_any_space(cf, g))
		return -ENOSPC;
	*out = g;
	return 0;
}

/* First group from `from` on, wrapping, of `count`, that can take a file. */
static bool scan_groups(struct cluster *c, const struct tracker_conf *cf,
    size_t from, size_t count, bool trunk)
{
	for (size_t i = 0; i < count; i++) {
		const size_t at = (from + i) % c->n;
		const struct group *g = c->groups[at];

		if (group_writable(g) > 0 && choose_has_space(cf, g, trunk)) {
			c->write_group = at;
			return true;
		}
	}
	return false;
}

static int any_group(struct cluster *c, const struct tracker_conf *cf,
    struct group **out)
{
	const bool most_free = cf->store_lookup == LOOKUP_MOST_FREE;
	const struct group *g;
	bool found;

	if (c->n == 0)
		return -ENOENT;
	if (c->write_group >= c->n)
		c->write_group = 0;
	g = c->groups[c->write_group];
	found =
	    group_writable(g) > 0 &&
	    (choose_has_space(cf, g, false) ||
	        (most_free && cf->trunk.use && choose_has_space(cf, g, true)));
	if (!found)
		found = scan_groups(c, cf, c->write_group + 1, c->n - 1, false);
	if (!found && cf->trunk.use)
		found = scan_groups(c, cf, 0, c->n, true);
	if (!found) {
		for (size_t i = 0; i < c->n; i++)
			if (group_writable(c->groups[i]) > 0)
				return -ENOSPC;
		return -ENOENT;
	}
	*out = c->groups[c->write_group];
	if (!most_free)
		c->write_group = (c->write_group + 1) % c->n;
	return 0;
}

static int pick_group(struct cluster *c, const struct tracker_conf *cf,
    const char *name, struct group **out)
{
	int rc;

	if (name)
		rc = named_group(c, cf, name, out);
	else if (cf->store_lookup == LOOKUP_GROUP)
		rc = named_group(c, cf, cf->store_group, out);
	else
		rc = any_group(c, cf, out);
	return rc == 0 && (*out)->path_count == 0 ? -ENOENT : rc;
}

/* --- storage ------------------------------------------------------------- */

static size_t list_writable(const struct group *g,
    struct storage *out[GROUP_STORAGES])
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (storage_writable(g->storages[i]))
			out[n++] = g->storages[i];
	return n;
}

static size_t list_readable(const struct group *g,
    struct storage *out[GROUP_STORAGES])
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		if (storage_readable(g->storages[i]))
			out[n++] = g->storages[i];
	return n;
}

static struct storage *lowest_priority(struct storage *const *list, size_t n)
{
	struct storage *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!best || list[i]->priority < best->priority)
			best = list[i];
	return best;
}

struct storage *choose_store_server(const struct tracker_conf *cf,
    const struct group *g)
{
	struct storage *list[GROUP_STORAGES];
	const size_t n = list_writable(g, list);

	if (n == 0)
		return NULL;
	return cf->store_server == SERVER_PRIORITY ? lowest_priority(list, n)
	                                           : list[0];
}

static struct storage *pick_writable(const struct tracker_conf *cf,
    struct group *g)
{
	struct storage *list[GROUP_STORAGES];
	const size_t n = list_writable(g, list);
	struct storage *s;

	if (n <= 1 || cf->store_server != SERVER_ROUND_ROBIN)
		return choose_store_server(cf, g);
	if (g->write_server >= n)
		g->write_server = 0;
	s = list[g->write_server];
	g->write_server = (g->write_server + 1) % n;
	return s;
}

/* --- store path ---------------------------------------------------------- */

static bool path_fits(const struct tracker_conf *cf, const struct storage *s,
    int64_t path, int64_t extra_mb)
{
	const size_t i = (size_t)path;

	return i < s->n_paths &&
	       enough(cf, s->path_total_mb[i], s->path_free_mb[i] + extra_mb,
	           s->path_count);
}

static int64_t scan_paths(const struct tracker_conf *cf,
    const struct storage *s, int64_t extra_mb)
{
	for (int64_t i = 0; i < s->path_count; i++) {
		const int64_t p = (s->write_path + i) % s->path_count;

		if (path_fits(cf, s, p, extra_mb))
			return p;
	}
	return -1;
}

static int pick_path(const struct tracker_conf *cf, struct storage *s,
    int64_t *out)
{
	int64_t p;

	if (s->path_count <= 0)
		return -ENOENT;
	if (s->write_path >= s->path_count)
		s->write_path = 0;
	p = scan_paths(cf, s, 0);
	if (p >= 0)
		s->write_path = p;
	else if (cf->trunk.use)
		p = scan_paths(cf, s, s->group->trunk_free_mb);
	if (p < 0)
		return -ENOSPC;
	*out = p;
	if (cf->store_path == PATH_ROUND_ROBIN)
		s->write_path = (s->write_path + 1) % s->path_count;
	return 0;
}

int choose_store(struct cluster *c, const struct tracker_conf *cf,
    const char *group, bool all, struct choice *out)
{
	int rc = pick_group(c, cf, group, &out->group);

	if (rc < 0)
		return rc;
	if (all) {
		out->n = list_writable(out->group, out->servers);
	} else {
		out->servers[0] = pick_writable(cf, out->group);
		out->n = out->servers[0] ? 1 : 0;
	}
	if (out->n == 0)
		return -ENOENT;
	return pick_path(cf, out->servers[0], &out->path);
}

void choose_best_group(struct cluster *c, const struct tracker_conf *cf)
{
	size_t best = c->n;
	size_t trunk = c->n;

	if (cf->store_lookup != LOOKUP_MOST_FREE)
		return;
	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];

		if (group_writable(g) == 0)
			continue;
		if (best == c->n || g->free_mb > c->groups[best]->free_mb)
			best = i;
		if (trunk == c->n ||
		    g->trunk_free_mb > c->groups[trunk]->trunk_free_mb)
			trunk = i;
	}
	if (best == c->n)
		return;
	if (cf->trunk.use && !choose_has_space(cf, c->groups[best], false))
		best = trunk;
	c->write_group = best;
}

void choose_best_path(const struct tracker_conf *cf, struct storage *s)
{
	int64_t best = 0;

	if (cf->store_path != PATH_MOST_FREE)
		return;
	for (size_t i = 1; i < s->n_paths; i++)
		if (s->path_free_mb[i] > s->path_free_mb[best])
			best = (int64_t)i;
	s->write_path = best;
}

/* --- reading ------------------------------------------------------------- */

/* The record starts after "Mxx/HH/LL/", in old names after "HH/LL/"; what a
 * cut name lacks counts as zero bits. */
struct choose_file choose_file(struct span name)
{
	const size_t at =
	    name.n > 3 && name.p[0] == 'M' && name.p[3] == '/' ? 10 : 6;
	char record[FILEID_RECORD_LEN];
	struct choose_file f = { 0 };
	struct fileid id = { 0 };
	size_t n;

	if (name.n <= at)
		return f;
	n = size_min(name.n - at, sizeof(record));
	memset(record, 'A', sizeof(record));
	memcpy(record, name.p + at, n);
	if (fileid_decode(record, &id) < 0)
		return f;
	f.known = true;
	f.source = id.source;
	f.time = (int64_t)id.time;
	f.special = fileid_is_appender(&id) || fileid_is_slave(name.n, &id);
	return f;
}

struct storage *choose_source(const struct tracker_conf *cf,
    const struct group *g, const struct choose_file *f)
{
	struct addr a = { .family = 4 };
	struct storage *s;

	if (!f->known || f->source == 0)
		return NULL;
	if (fileid_source_is_id(f->source)) {
		char text[16];
		struct strbuf b = strbuf_over(text, sizeof(text));

		if (!cf->use_storage_id)
			return NULL;
		strbuf_addf(&b, "%u", f->source);
		return group_storage(g, (struct span){ text, b.len });
	}
	for (size_t i = 0; i < 4; i++)
		a.ip[i] = (uint8_t)(f->source >> (8 * i));
	s = g->port > 0 ? group_storage_at(g, &a, g->port) : NULL;
	return s ? s : group_storage_at(g, &a, 0);
}

bool choose_has_file(const struct tracker_conf *cf,
    const struct storage *source, const struct storage *m,
    const struct choose_file *f, int64_t now)
{
	int64_t synced = m->last_synced;

	if (m == source || f->time < now - cf->sync_max_delay)
		return true;
	/* What m has of this very source says more than the minimum. */
	if (source && m->synced_from[source->slot] != 0)
		synced = m->synced_from[source->slot];
	else if (source && storage_readable(source))
		return false; /* m has had nothing of it yet */
	return synced > f->time ||
	       (synced + 1 >= f->time && now - f->time > cf->sync_max_time);
}

static int fallback(const struct tracker_conf *cf, const struct group *g,
    struct storage **out)
{
	struct storage *s = choose_store_server(cf, g);

	if (!s || !storage_readable(s))
		return -ENOENT;
	*out = s;
	return 0;
}

int choose_fetch_one(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, int64_t now, struct storage **out)
{
	struct storage *list[GROUP_STORAGES];
	const size_t n = list_readable(g, list);
	struct storage *source = choose_source(cf, g, f);

	if (n == 0)
		return -ENOENT;
	if ((f->special || cf->download_server == DOWNLOAD_SOURCE) && source &&
	    storage_readable(source)) {
		*out = source;
		return 0;
	}
	if (g->read_server >= n)
		g->read_server = 0;
	for (size_t i = 0; !f->special && i < n; i++) {
		const size_t at = (g->read_server + i) % n;

		if (choose_has_file(cf, source, list[at], f, now)) {
			*out = list[at];
			g->read_server = (at + 1) % n;
			return 0;
		}
	}
	return fallback(cf, g, out);
}

int choose_fetch_all(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, int64_t now, struct choice *out)
{
	struct storage *list[GROUP_STORAGES];
	const size_t n = list_readable(g, list);
	struct storage *source = choose_source(cf, g, f);

	out->group = g;
	out->n = 0;
	if (n == 0)
		return -ENOENT;
	if (f->special) {
		if (source && storage_readable(source))
			out->servers[out->n++] = source;
	} else {
		for (size_t i = 0; i < n; i++)
			if (choose_has_file(cf, source, list[i], f, now))
				out->servers[out->n++] = list[i];
	}
	if (out->n == 0) {
		if (fallback(cf, g, &out->servers[0]) < 0)
			return -ENOENT;
		out->n = 1;
	}
	return 0;
}

int choose_update(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, struct storage **out)
{
	struct storage *source = choose_source(cf, g, f);

	if (source && storage_writable(source)) {
		*out = source;
		return 0;
	}
	*out = pick_writable(cf, g);
	return *out ? 0 : -ENOENT;
}
