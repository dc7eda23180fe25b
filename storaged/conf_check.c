/* SPDX-License-Identifier: MIT */
/*
 * What no single row can say: which addresses, which trackers, which store
 * paths. A store path must be there already: one that is missing is most often
 * a disk that is not mounted, and making the directory would hide that. Only
 * base_path itself is made.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "proto/fileid.h"
#include "storaged/conf_impl.h"

#define TRACKER_PORT 22122
#define ID_MAX       ((1 << 24) - 1)
#define NAME_MAX_LEN 48

enum { FAMILY_AUTO, FAMILY_V4, FAMILY_V6, FAMILY_BOTH };

struct check {
	struct storage_conf *c;
	char *err;
	size_t cap;
};

static ATTR_PRINTF(3, 4) int refuse(const struct check *ck, int rc,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ck->err, ck->cap, fmt, args);
	va_end(args);
	return rc;
}

/* Takes the next item of a list with commas; false at its end. */
static bool next_item(struct span *rest, struct span *item)
{
	const char *comma;

	if (!rest->p)
		return false;
	comma = memchr(rest->p, ',', rest->n);
	*item = (struct span){ rest->p,
		comma ? (size_t)(comma - rest->p) : rest->n };
	if (comma)
		*rest = (struct span){ comma + 1, rest->n - item->n - 1 };
	else
		rest->p = NULL;
	while (item->n > 0 && item->p[0] == ' ') {
		item->p++;
		item->n--;
	}
	while (item->n > 0 && item->p[item->n - 1] == ' ')
		item->n--;
	return true;
}

/* --- where to listen --- */

static int add_binds(const struct check *ck, const char *key, const char *text)
{
	struct storage_conf *c = ck->c;
	struct span rest = span_of(text);
	struct span item;

	while (text[0] && next_item(&rest, &item)) {
		struct addr a = { 0 };

		if (item.n > 1 && item.p[0] == '[' && item.p[item.n - 1] == ']')
			item = (struct span){ item.p + 1, item.n - 2 };
		if (addr_parse_ip(item, &a) < 0)
			return refuse(ck, -EINVAL,
			    "%s = %s: give addresses, one or IPv4,IPv6", key,
			    text);
		if (c->n_binds == ARRAY_LEN(c->binds))
			return refuse(ck, -EINVAL,
			    "%s = %s: a storage has two addresses at most", key,
			    text);
		c->binds[c->n_binds++] = a;
	}
	return 0;
}

/* Has this host an IPv6 address that others can reach? */
static bool host_has_v6(void)
{
	struct addr all[64];
	int n = addr_local(all, ARRAY_LEN(all));

	for (int i = 0; i < n; i++) {
		const struct addr *a = &all[i];
		const bool link_local =
		    a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;

		if (a->family == 6 && a->ip[0] != 0 && !link_local)
			return true;
	}
	return false;
}

static int check_binds(const struct check *ck)
{
	struct storage_conf *c = ck->c;
	int rc = add_binds(ck, "bind_addr", c->bind_addr);

	if (rc == 0)
		rc = add_binds(ck, "inner_bind_addr", c->inner_bind_addr);
	if (rc == 0)
		rc = add_binds(ck, "outer_bind_addr", c->outer_bind_addr);
	if (rc < 0 || c->n_binds > 0)
		return rc;
	if (c->family != FAMILY_V6)
		c->binds[c->n_binds++].family = 4;
	if (c->family == FAMILY_V6 || c->family == FAMILY_BOTH ||
	    (c->family == FAMILY_AUTO && host_has_v6()))
		c->binds[c->n_binds++].family = 6;
	return 0;
}

/* --- trackers --- */

static bool is_loopback(const struct addr *a)
{
	static const uint8_t v4[4] = { 127, 0, 0, 1 };
	static const uint8_t v6[16] = { [15] = 1 };

	return a->family == 4 ? memcmp(a->ip, v4, sizeof(v4)) == 0
	                      : memcmp(a->ip, v6, sizeof(v6)) == 0;
}

static int resolve(const struct check *ck, struct span item, const char *line,
    struct addr *out)
{
	char host[CONF_VALUE_MAX + 1];
	int rc = -EINVAL;

	out->port = 0;
	if (item.n > 0 && str_copy_span(host, sizeof(host), item))
		rc = addr_parse(host, 0, out);
	if (rc == -ENOENT)
		return refuse(ck, rc,
		    "tracker_server = %s: %s has no address; check the name "
		    "and the resolver",
		    line, host);
	if (rc < 0)
		return refuse(ck, rc,
		    "tracker_server = %s: give host:port or inner,outer:port",
		    line);
	return 0;
}

/* "a:1", "a,b:1", "a:1,b:1": the last port counts for those without. */
static int parse_tracker(const struct check *ck, const char *line,
    struct tracker_entry *out)
{
	struct span rest = span_of(line);
	struct span item;
	uint16_t port = 0;

	while (next_item(&rest, &item)) {
		int rc;

		if (out->n == ARRAY_LEN(out->addrs))
			return refuse(ck, -EINVAL,
			    "tracker_server = %s: a tracker has two addresses "
			    "at most; give each tracker its own line",
			    line);
		rc = resolve(ck, item, line, &out->addrs[out->n]);
		if (rc < 0)
			return rc;
		if (out->addrs[out->n].port)
			port = out->addrs[out->n].port;
		out->n++;
	}
	for (size_t i = 0; i < out->n; i++) {
		if (!out->addrs[i].port)
			out->addrs[i].port = port ? port : TRACKER_PORT;
	}
	if (out->n == 2 &&
	    addr_class(&out->addrs[0]) == addr_class(&out->addrs[1]))
		return refuse(ck, -EINVAL,
		    "tracker_server = %s: the two addresses of one tracker "
		    "are of different networks (10/8, 172.16/12, 192.168/16, "
		    "public); give each tracker its own line",
		    line);
	return 0;
}

static bool has_tracker(const struct storage_conf *c,
    const struct tracker_entry *t)
{
	for (size_t i = 0; i < c->n_trackers; i++) {
		if (addr_equal(&c->trackers[i].addrs[0], &t->addrs[0]))
			return true;
	}
	return false;
}

/* An outer address stands second (cluster-protocol 6.1). */
static void order_addresses(struct tracker_entry *t)
{
	struct addr first = t->addrs[0];

	if (t->n == 2 && addr_class(&first) == ADDR_CLASS_OTHER) {
		t->addrs[0] = t->addrs[1];
		t->addrs[1] = first;
	}
}

static int add_tracker(const struct check *ck, const char *line)
{
	struct storage_conf *c = ck->c;
	struct tracker_entry t = { .n = 0 };
	int rc = parse_tracker(ck, line, &t);

	if (rc < 0)
		return rc;
	order_addresses(&t);
	if (has_tracker(c, &t)) {
		log_always(LOG_LEVEL_WARN, "conf_value",
		    "name=tracker_server value='%s': named twice", line);
		return 0;
	}
	if (c->n_trackers == MAX_TRACKERS) {
		log_always(LOG_LEVEL_WARN, "conf_value",
		    "name=tracker_server value='%s': beyond the %d trackers "
		    "that a cluster can have, not used",
		    line, MAX_TRACKERS);
		return 0;
	}
	if (is_loopback(&t.addrs[0]))
		log_always(LOG_LEVEL_WARN, "conf_value",
		    "name=tracker_server value='%s': clients of other hosts "
		    "would be sent to the loopback address; FastDFS's own "
		    "storages refuse it",
		    line);
	c->trackers[c->n_trackers++] = t;
	return 0;
}

static int check_trackers(const struct check *ck)
{
	const struct conf_list *l = &ck->c->tracker_server;

	for (size_t i = 0; i < l->count; i++) {
		int rc = add_tracker(ck, l->values[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- store paths --- */

static char *without_slashes(const char *path)
{
	char *copy = xstrdup(path);
	size_t n = strlen(copy);

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	return copy;
}

/* store_path<i> and store_path<i>_readonly, as rows made for this one. */
static int read_path(const struct check *ck, size_t i)
{
	struct storage_conf *c = ck->c;
	char name[NAME_MAX_LEN];
	char readonly[NAME_MAX_LEN];
	const struct conf_key rows[] = {
		{ "", name, CONF_STR,
		    offsetof(struct storage_conf, store_paths) +
		        i * sizeof(c->store_paths[0]),
		    NULL, 0, 0, NULL, i > 0 ? CONF_REQUIRED : 0,
		    "store_path_count says that there is one; name its "
		    "directory" },
		{ "", readonly, CONF_BOOL,
		    offsetof(struct storage_conf, path_readonly) +
		        i * sizeof(c->path_readonly[0]),
		    "false", 0, 0, NULL, 0, "takes no new files" },
	};
	int rc;

	snprintf(name, sizeof(name), "store_path%zu", i);
	snprintf(readonly, sizeof(readonly), "store_path%zu_readonly", i);
	rc = conf_apply(c->file, rows, ARRAY_LEN(rows), c, ck->err, ck->cap);
	if (rc < 0)
		return rc;
	if (!c->store_paths[i][0])
		c->store_paths[i] = c->base_path;
	if (c->store_paths[i][0] != '/')
		return refuse(ck, -EINVAL,
		    "%s = %s: give the whole path from / on", name,
		    c->store_paths[i]);
	c->path_texts[i] = without_slashes(c->store_paths[i]);
	c->store_paths[i] = c->path_texts[i];
	return 0;
}

static bool same_directory(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int look_at_path(const struct check *ck, size_t i, struct stat *seen)
{
	const struct storage_conf *c = ck->c;
	const char *path = c->store_paths[i];
	char *base = without_slashes(c->base_path);
	const bool is_base = strcmp(path, base) == 0;
	const int rc = stat(path, &seen[i]) < 0 ? -errno : 0;

	free(base);
	if (rc == -ENOENT && is_base)
		return 0;
	if (rc < 0)
		return refuse(ck, rc,
		    "store_path%zu = %s: %s; is the disk mounted? Make the "
		    "directory if it is new",
		    i, path, errstr(rc));
	if (!S_ISDIR(seen[i].st_mode))
		return refuse(ck, -ENOTDIR,
		    "store_path%zu = %s: not a directory", i, path);
	for (size_t j = 0; j < i; j++) {
		if (same_directory(&seen[i], &seen[j]))
			return refuse(ck, -EEXIST,
			    "store_path%zu = %s: is the directory of "
			    "store_path%zu too; give each its own",
			    i, path, j);
	}
	return 0;
}

static int name_paths(const struct check *ck)
{
	const size_t n = (size_t)ck->c->store_path_count;
	char beyond[NAME_MAX_LEN];
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_path(ck, i);
	snprintf(beyond, sizeof(beyond), "store_path%zu", n);
	if (rc == 0 && conf_get(ck->c->file, "", beyond))
		log_always(LOG_LEVEL_WARN, "conf_no_effect",
		    "name=%s: beyond store_path_count = %zu", beyond, n);
	return rc;
}

int storage_conf_check_paths(struct storage_conf *c, char *err, size_t cap)
{
	const struct check ck = { c, err, cap };
	const size_t n = (size_t)c->store_path_count;
	struct stat *seen = xcalloc(n, sizeof(*seen));
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = look_at_path(&ck, i, seen);
	free(seen);
	return rc;
}

/* --- names and numbers --- */

static int check_names(const struct check *ck)
{
	struct storage_conf *c = ck->c;
	const char *group = conf_get(c->file, "", "group_name");
	int64_t id = 0;

	if (group && !fileid_group_ok(span_of(group)))
		return refuse(ck, -EINVAL,
		    "group_name = %s: give 1 to 16 letters and digits", group);
	if (c->server_id[0] &&
	    (str_to_i64(c->server_id, &id) < 0 || id < 1 || id > ID_MAX))
		return refuse(ck, -EINVAL,
		    "server_id = %s: give a number from 1 to %d, as in "
		    "storage_ids.conf",
		    c->server_id, ID_MAX);
	if (c->base_path[0] != '/')
		return refuse(ck, -EINVAL,
		    "base_path = %s: give the whole path from / on",
		    c->base_path);
	if (c->port > UINT16_MAX)
		return refuse(ck, -EINVAL,
		    "port = %lld: give a number below 65536",
		    (long long)c->port);
	return 0;
}

/* [error-log] wins over the global key, that over the key's old name. */
static void finish_rotation(struct storage_conf *c)
{
	struct storage_rotation r = c->log_global;
	struct conf_file *f = c->file;

	if (conf_get(f, "error-log", "log_file_rotate_everyday"))
		r.everyday = c->log_section.everyday;
	else if (!conf_get(f, "", "log_file_rotate_everyday") &&
	         conf_get(f, "", "rotate_error_log"))
		r.everyday = c->log_old.everyday;
	if (conf_get(f, "error-log", "log_file_rotate_time"))
		r.minute = c->log_section.minute;
	else if (!conf_get(f, "", "log_file_rotate_time") &&
	         conf_get(f, "", "error_log_rotate_time"))
		r.minute = c->log_old.minute;
	if (conf_get(f, "error-log", "log_file_rotate_on_size"))
		r.on_size = c->log_section.on_size;
	else if (!conf_get(f, "", "log_file_rotate_on_size") &&
	         conf_get(f, "", "rotate_error_log_size"))
		r.on_size = c->log_old.on_size;
	if (conf_get(f, "error-log", "log_file_keep_days"))
		r.keep_days = c->log_section.keep_days;
	c->rotation = (struct log_rotation){ .everyday = r.everyday,
		.minute_of_day = (unsigned)r.minute,
		.on_size = r.on_size,
		.keep_days = (unsigned)r.keep_days };
}

int storage_conf_check(struct storage_conf *c, char *err, size_t cap)
{
	const struct check ck = { c, err, cap };
	int rc = check_names(&ck);

	if (rc == 0)
		rc = name_paths(&ck);
	if (rc == 0)
		rc = check_binds(&ck);
	if (rc == 0)
		rc = check_trackers(&ck);
	if (rc == 0)
		rc = addr_list_parse(c->allow_hosts.values,
		    c->allow_hosts.count, &c->allow, err, cap);
	if (rc == 0)
		finish_rotation(c);
	return rc;
}
