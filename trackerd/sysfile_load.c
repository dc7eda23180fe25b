/* SPDX-License-Identifier: MIT */
/*
 * The texts come from another program or another machine, so everything is
 * checked and built aside; only a cluster that is whole takes the place of
 * the one before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/macros.h"
#include "trackerd/sysfile.h"

#define PORT_MAX  65535
#define COUNT_MAX STORE_PATHS

/* What the sections say, before it is checked. */
struct group_text {
	char name[GROUP_NAME_SIZE + 1];
	char trunk[STORAGE_ID_SIZE + 1];
	int64_t port, paths, subdirs, trunk_file;
};

struct server_text {
	char id[STORAGE_ID_SIZE + 1];
	char group[GROUP_NAME_SIZE + 1];
	char ip[ADDR_IP_MAX];
	char version[9];
	char source[STORAGE_ID_SIZE + 1];
	int64_t status, join_time, port, until, total_mb, free_mb;
	int64_t changelog_at, paths, subdirs, priority;
	struct stats stats;
};

/* How a member is called in the texts, perhaps by another rule than ours. */
struct member {
	struct storage *storage; /* NULL: another one has its name */
	const struct group *group;
	char name[STORAGE_ID_SIZE + 1];
	char source[STORAGE_ID_SIZE + 1];
};

enum part { PART_NONE, PART_GLOBAL, PART_GROUP, PART_SERVER };

struct loading {
	struct cluster made;
	const struct ids *ids;
	struct member *members; /* in the order of the text */
	size_t n, room;
	char trunks[CLUSTER_GROUPS][STORAGE_ID_SIZE + 1];
	/* the section being read */
	enum part part;
	struct group_text group;
	struct server_text server;
	int64_t count; /* as [Global] says, -1 not seen */
	/* for messages */
	enum sysfile which;
	size_t line;
	char *err;
	size_t cap;
};

static int ATTR_PRINTF(2, 3) bad(const struct loading *l, const char *fmt, ...)
{
	struct strbuf b = strbuf_over(l->err, l->cap);
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	strbuf_addf(&b, "%s:%zu: %s", sysfile_names[l->which], l->line, why);
	return -EINVAL;
}

/* --- one key ------------------------------------------------------------- */

struct key {
	const char *name;
	size_t at, size; /* size 0: a number */
};

#define TEXT(type, field)                   \
	.at = offsetof(struct type, field), \
	.size = sizeof(((struct type *)NULL)->field)
#define NUMBER(type, field) .at = offsetof(struct type, field), .size = 0

static const struct key group_keys[] = {
	{ "group_name", TEXT(group_text, name) },
	{ "trunk_server", TEXT(group_text, trunk) },
	{ "storage_port", NUMBER(group_text, port) },
	{ "store_path_count", NUMBER(group_text, paths) },
	{ "subdir_count_per_path", NUMBER(group_text, subdirs) },
	{ "current_trunk_file_id", NUMBER(group_text, trunk_file) },
};

static const struct key server_keys[] = {
	{ "id", TEXT(server_text, id) },
	{ "group_name", TEXT(server_text, group) },
	{ "ip_addr", TEXT(server_text, ip) },
	{ "version", TEXT(server_text, version) },
	{ "sync_src_server", TEXT(server_text, source) },
	{ "status", NUMBER(server_text, status) },
	{ "join_time", NUMBER(server_text, join_time) },
	{ "storage_port", NUMBER(server_text, port) },
	{ "sync_until_timestamp", NUMBER(server_text, until) },
	{ "total_mb", NUMBER(server_text, total_mb) },
	{ "free_mb", NUMBER(server_text, free_mb) },
	{ "changelog_offset", NUMBER(server_text, changelog_at) },
	{ "store_path_count", NUMBER(server_text, paths) },
	{ "subdir_count_per_path", NUMBER(server_text, subdirs) },
	{ "upload_priority", NUMBER(server_text, priority) },
};

static int take_key(const struct loading *l, const struct key *k, void *into,
    const char *value)
{
	char *at = (char *)into + k->at;
	int64_t number;

	if (k->size > 0) {
		if (!str_copy(at, k->size, value))
			return bad(l, "%s is longer than %zu bytes", k->name,
			    k->size - 1);
		return 0;
	}
	if (str_to_i64(value, &number) < 0)
		return bad(l, "%s is no number", k->name);
	memcpy(at, &number, sizeof(number));
	return 0;
}

static int find_key(const struct loading *l, const struct key *keys, size_t n,
    const char *name, void *into, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].name, name) == 0)
			return take_key(l, &keys[i], into, value);
	return 1; /* not one of these */
}

static int server_key(struct loading *l, const char *name, const char *value)
{
	int rc = find_key(l, server_keys, ARRAY_LEN(server_keys), name,
	    &l->server, value);
	int64_t number;

	for (size_t i = 0; rc == 1 && i < N_STATS; i++) {
		if (strcmp(stat_names[i], name) != 0)
			continue;
		if (str_to_i64(value, &number) < 0)
			return bad(l, "%s is no number", name);
		stats_set(&l->server.stats, i, number);
		rc = 0;
	}
	return rc < 0 ? rc : 0;
}

static int one_key(struct loading *l, const char *name, const char *value)
{
	const char *count =
	    l->which == SYSFILE_GROUPS ? "group_count" : "storage_count";
	int rc = 0;

	switch (l->part) {
	case PART_GROUP:
		rc = find_key(l, group_keys, ARRAY_LEN(group_keys), name,
		    &l->group, value);
		break;
	case PART_SERVER:
		rc = server_key(l, name, value);
		break;
	case PART_GLOBAL:
		if (strcmp(name, count) == 0 &&
		    str_to_i64(value, &l->count) < 0)
			rc = bad(l, "%s is no number", name);
		break;
	case PART_NONE:
		rc = bad(l, "a key outside of a section");
		break;
	}
	return rc < 0 ? rc : 0;
}

/* --- the end of a section ------------------------------------------------ */

static int end_group(struct loading *l)
{
	const struct group_text *t = &l->group;
	struct group *g;

	if (!str_is_word(span_of(t->name), ""))
		return bad(l, "the group before this line has no valid name");
	if (t->port < -1 || t->port > PORT_MAX || t->paths < 0 ||
	    t->paths > COUNT_MAX || t->subdirs < 0 || t->subdirs > COUNT_MAX)
		return bad(l, "port or counts of group %s cannot be", t->name);
	if (cluster_group(&l->made, t->name))
		return bad(l, "group %s stands twice", t->name);
	if (l->made.n == CLUSTER_GROUPS)
		return bad(l, "more than %d groups", CLUSTER_GROUPS);
	str_copy(l->trunks[l->made.n], sizeof(l->trunks[0]), t->trunk);
	g = cluster_add_group(&l->made, t->name);
	g->port = t->port;
	g->path_count = t->paths;
	g->subdir_count = t->subdirs;
	g->trunk_file = (int32_t)t->trunk_file;
	return 0;
}

static void note_member(struct loading *l, const struct group *g,
    struct storage *s)
{
	const struct server_text *t = &l->server;
	struct member *m;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 32;
		l->members =
		    xrealloc(l->members, l->room, sizeof(l->members[0]));
	}
	m = &l->members[l->n++];
	m->storage = s;
	m->group = g;
	str_copy(m->name, sizeof(m->name), t->id[0] ? t->id : t->ip);
	str_copy(m->source, sizeof(m->source), t->source);
}

static enum storage_status status_now(int64_t was)
{
	return was == ST_INIT || was == ST_WAIT_SYNC || was == ST_SYNCING
	           ? (enum storage_status)was
	           : ST_OFFLINE;
}

static void fill(const struct server_text *t, struct storage *s)
{
	s->status = status_now(t->status);
	str_copy(s->version, sizeof(s->version), t->version);
	s->join_time = t->join_time;
	s->port = t->port;
	s->sync_until = t->until;
	s->total_mb = t->total_mb;
	s->free_mb = t->free_mb;
	s->changelog_at = (size_t)t->changelog_at;
	s->path_count = t->paths;
	s->subdir_count = t->subdirs;
	s->priority = t->priority;
	s->stats = t->stats;
	s->last_synced = t->stats.last_synced_timestamp;
	s->last_beat = t->stats.last_heart_beat_time;
	storage_touch(s, DIRTY_SOON);
}

static int check_server(const struct loading *l, struct addr *a)
{
	const struct server_text *t = &l->server;

	if (!cluster_group(&l->made, t->group))
		return bad(l, "group \"%s\" of the storage is not known",
		    t->group);
	if (addr_parse_ip(span_of(t->ip), a) < 0)
		return bad(l, "ip_addr \"%s\" is no address", t->ip);
	if (!status_is_known((int)t->status) || t->status != (int)t->status)
		return bad(l, "status %" PRId64 " of %s is not known",
		    t->status, t->ip);
	if (t->port < 0 || t->port > PORT_MAX || t->paths < 0 ||
	    t->paths > COUNT_MAX || t->subdirs < 0 || t->subdirs > COUNT_MAX ||
	    t->changelog_at < 0)
		return bad(l, "port, counts or offset of %s cannot be", t->ip);
	return 0;
}

static int end_server(struct loading *l)
{
	const struct server_text *t = &l->server;
	const struct ids_entry *e = ids_by_id(l->ids, span_of(t->id));
	struct addr a = { 0 };
	const char *id = t->ip;
	struct group *g;
	struct storage *s;
	int rc = check_server(l, &a);

	if (rc < 0)
		return rc;
	g = cluster_group(&l->made, t->group);
	if (!e)
		e = ids_by_addr(l->ids, t->group, &a, (uint16_t)t->port);
	if (e)
		id = e->id;
	else if (l->ids && t->id[0])
		id = t->id;
	if (!l->ids && a.family != 4)
		return bad(l, "%s needs use_storage_id = true", id);
	if (group_storage(g, span_of(id))) {
		log_warn("sysfile_member_twice", "group=%s storage=%s", g->name,
		    id);
		note_member(l, g, NULL);
		return 0;
	}
	s = group_load_storage(g, id);
	if (!s)
		return bad(l, "group %s has more than %d members", g->name,
		    GROUP_STORAGES);
	s->addrs[0] = a;
	s->n_addrs = 1;
	if (e) {
		memcpy(s->addrs, e->addrs, sizeof(s->addrs));
		s->n_addrs = e->n_addrs;
		s->rw = e->rw;
	}
	fill(t, s);
	note_member(l, g, s);
	return 0;
}

static int end_section(struct loading *l)
{
	const enum part was = l->part;
	int rc = 0;

	if (was == PART_GROUP)
		rc = end_group(l);
	else if (was == PART_SERVER)
		rc = end_server(l);
	l->part = PART_NONE;
	return rc;
}

static int begin_section(struct loading *l, const char *name)
{
	int rc = end_section(l);

	if (rc < 0)
		return rc;
	memset(&l->group, 0, sizeof(l->group));
	memset(&l->server, 0, sizeof(l->server));
	if (strcmp(name, "[Global]") == 0)
		l->part = PART_GLOBAL;
	else if (l->which == SYSFILE_GROUPS && strncmp(name, "[Group", 6) == 0)
		l->part = PART_GROUP;
	else if (l->which == SYSFILE_SERVERS &&
	         strncmp(name, "[Storage", 8) == 0)
		l->part = PART_SERVER;
	else
		return bad(l, "a section that does not belong here");
	return 0;
}

/* --- lines --------------------------------------------------------------- */

static int section_line(struct loading *l, char *line)
{
	char *name = str_trim(line);
	char *value = strchr(name, '=');

	if (!name[0] || name[0] == '#')
		return 0;
	if (name[0] == '[')
		return begin_section(l, name);
	if (!value)
		return bad(l, "neither a section nor key = value");
	*value++ = 0;
	return one_key(l, str_trim(name), str_trim(value));
}

static const struct member *find_member(const struct loading *l,
    const char *group, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->members[i].group->name, group) == 0 &&
		    strcmp(l->members[i].name, name) == 0)
			return &l->members[i];
	return NULL;
}

/* "group,source,t1,t2...": a time for each member, in the order of the text. */
static int stamp_line(struct loading *l, char *line)
{
	char *rest = line;
	const char *group = strsep(&rest, ",");
	const char *name = strsep(&rest, ",");
	const struct member *from;

	if (!line[0])
		return 0;
	from = name ? find_member(l, group, name) : NULL;
	if (!from)
		return bad(l, "a row of a storage that is not known");
	for (size_t i = 0; i < l->n; i++) {
		const struct member *to = &l->members[i];
		const char *text;
		int64_t time;

		if (to->group != from->group)
			continue;
		text = strsep(&rest, ",");
		if (!text || str_to_i64(text, &time) < 0)
			return bad(l, "not a time for each member of %s",
			    group);
		if (!to->storage || !from->storage || time == 0)
			continue;
		to->storage->synced_from[from->storage->slot] = time;
		to->storage->synced_dirty |= BIT(from->storage->slot);
	}
	return rest ? bad(l, "more times than group %s has members", group) : 0;
}

static int change_line(struct loading *l, char *line)
{
	if (line[0])
		cluster_add_line(&l->made, line);
	return 0;
}

static int each_line(struct loading *l, const struct sysfiles *f,
    enum sysfile which, int (*fn)(struct loading *l, char *line))
{
	const size_t n = f->n[which];
	char *copy = xcalloc(n + 1, 1);
	char *rest = copy;
	int rc = 0;

	l->which = which;
	l->line = 0;
	l->part = PART_NONE;
	l->count = -1;
	if (n > 0)
		memcpy(copy, f->text[which], n);
	if (memchr(copy, 0, n))
		rc = bad(l, "there is a NUL byte in it");
	while (rc == 0 && rest && rest[0]) {
		l->line++;
		/* A line that was cut off was not written yet. */
		if (which == SYSFILE_CHANGELOG && !strchr(rest, '\n'))
			break;
		rc = fn(l, strsep(&rest, "\n"));
	}
	free(copy);
	return rc;
}

static int check_count(const struct loading *l, size_t n)
{
	if (l->count != (int64_t)n)
		return bad(l, "it is not whole: %zu of %" PRId64 " sections", n,
		    l->count);
	return 0;
}

/* --- all of it ----------------------------------------------------------- */

/* Groups stand in the order of their names, here as in the text; a text that
 * is ordered otherwise loses its trunk servers, which are chosen anew. */
static void settle(struct loading *l)
{
	struct cluster *c = &l->made;

	for (size_t i = 0; i < l->n; i++) {
		const struct member *m = &l->members[i];
		const struct member *from =
		    find_member(l, m->group->name, m->source);

		if (!m->storage)
			continue;
		m->storage->source = from ? from->storage : NULL;
		if (m->storage->changelog_at > c->changelog_len)
			m->storage->changelog_at = c->changelog_len;
	}
	for (size_t i = 0; i < c->n; i++) {
		struct group *g = c->groups[i];
		const struct member *m = find_member(l, g->name, l->trunks[i]);

		if (m && m->storage)
			cluster_set_trunk(c, g, m->storage);
		group_figures(g);
	}
}

static int load_all(struct loading *l, const struct sysfiles *f)
{
	int rc = each_line(l, f, SYSFILE_GROUPS, section_line);

	if (rc == 0)
		rc = end_section(l);
	if (rc == 0)
		rc = check_count(l, l->made.n);
	if (rc == 0)
		rc = each_line(l, f, SYSFILE_SERVERS, section_line);
	if (rc == 0)
		rc = end_section(l);
	if (rc == 0)
		rc = check_count(l, l->n);
	if (rc == 0)
		rc = each_line(l, f, SYSFILE_STAMPS, stamp_line);
	if (rc == 0)
		rc = each_line(l, f, SYSFILE_CHANGELOG, change_line);
	return rc;
}

static void take_changes(struct cluster *c, struct cluster *from)
{
	char *rest = from->changelog;

	free(c->changelog);
	c->changelog = NULL;
	c->changelog_len = 0;
	if (c->watch.drop_changes)
		c->watch.drop_changes(c->watch.arg);
	/* Each line has its end. */
	for (size_t left = from->changelog_len; left > 0;) {
		char *end = memchr(rest, '\n', left);

		*end = 0;
		cluster_add_line(c, rest);
		left -= (size_t)(end + 1 - rest);
		rest = end + 1;
	}
}

/* c holds what `from` held, and nothing else. */
static void take(struct cluster *c, struct cluster *from)
{
	while (c->n > 0) {
		struct group *g = c->groups[c->n - 1];

		while (g->n > 0)
			group_drop_storage(c, g->storages[g->n - 1]);
		cluster_delete_group(c, g->name);
	}
	memcpy(c->groups, from->groups, sizeof(c->groups));
	c->n = from->n;
	c->write_group = 0;
	from->n = 0;
	take_changes(c, from);
}

int sysfiles_load(struct cluster *c, const struct ids *ids,
    const struct sysfiles *f, char *err, size_t cap)
{
	struct loading *l = xcalloc(1, sizeof(*l));
	int rc;

	l->ids = ids;
	l->err = err;
	l->cap = cap;
	cluster_init(&l->made, NULL);
	rc = load_all(l, f);
	if (rc == 0) {
		settle(l);
		take(c, &l->made);
	}
	cluster_fini(&l->made);
	free(l->members);
	free(l);
	return rc;
}
