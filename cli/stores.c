/* SPDX-License-Identifier: MIT */
#include "cli/stores.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/str.h"
#include "proto/fileid.h"

#define ROW(l, nm, member, a, h)                                               \
	{                                                                      \
		.letter = (l), .name = (nm), .type = OPT_TEXT,                 \
		.offset = offsetof(struct stores_options, member), .arg = (a), \
		.help = (h)                                                    \
	}

const struct opt_row stores_rows[STORES_ROWS] = {
	ROW('g', "group", group, "GROUP", "group of the files, with paths"),
	ROW(0, "name-key", name_key, "KEY",
	    "metadata key of the original name, with paths; filename when "
	    "nothing is said"),
};

struct conf_values {
	const char *base_path;
	const char *group_name;
	int64_t store_path_count;
	const char *name_key;
	const char *bind_addr;
	const char *server_id;
	int64_t port;
};

static const struct conf_key keys[] = {
	{ .section = "",
	    .name = "base_path",
	    .type = CONF_STR,
	    .offset = offsetof(struct conf_values, base_path),
	    .dflt = "" },
	{ .section = "",
	    .name = "group_name",
	    .type = CONF_STR,
	    .offset = offsetof(struct conf_values, group_name),
	    .dflt = "" },
	{ .section = "",
	    .name = "store_path_count",
	    .type = CONF_INT,
	    .offset = offsetof(struct conf_values, store_path_count),
	    .dflt = "1" },
	{ .section = "",
	    .name = "bind_addr",
	    .type = CONF_STR,
	    .offset = offsetof(struct conf_values, bind_addr),
	    .dflt = "" },
	{ .section = "",
	    .name = "server_id",
	    .type = CONF_STR,
	    .offset = offsetof(struct conf_values, server_id),
	    .dflt = "" },
	{ .section = "",
	    .name = "port",
	    .type = CONF_INT,
	    .offset = offsetof(struct conf_values, port),
	    .dflt = "23000" },
	{ .section = "meta",
	    .name = "name_key",
	    .type = CONF_STR,
	    .offset = offsetof(struct conf_values, name_key),
	    .dflt = "filename" },
};

static void add_path(struct stores *s, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (s->n < STORES_MAX) {
		s->paths[s->n] = xcalloc(n + 1, 1);
		memcpy(s->paths[s->n++], dir, n);
	}
}

static enum status take_conf(struct stores *s, struct conf_file *cf,
    const struct conf_values *v, const char *path)
{
	struct strbuf b = strbuf_over(s->meta_dir, sizeof(s->meta_dir));

	if (!v->group_name[0] || !v->base_path[0])
		return err_usage("name the configuration of a storage",
		    "%s has no group_name or no base_path: it is no storage's",
		    path);
	str_copy(s->base_path, sizeof(s->base_path), v->base_path);
	str_copy(s->group, sizeof(s->group), v->group_name);
	str_copy(s->name_key, sizeof(s->name_key), v->name_key);
	str_copy(s->server_id, sizeof(s->server_id), v->server_id);
	str_copy_span(s->bind_addr, sizeof(s->bind_addr),
	    (struct span){ v->bind_addr, strcspn(v->bind_addr, ",") });
	s->port = v->port > 0 && v->port <= UINT16_MAX ? (uint16_t)v->port : 0;
	strbuf_addf(&b, "%s/meta", v->base_path);
	for (int64_t i = 0; i < v->store_path_count && i < STORES_MAX; i++) {
		char name[32];
		const char *dir;

		snprintf(name, sizeof(name), "store_path%d", (int)i);
		dir = conf_get(cf, "", name);
		if ((!dir || !*dir) && i == 0)
			dir = v->base_path;
		if (!dir || !*dir)
			return err_usage("fdfs-storaged -t CONF checks it",
			    "%s has no %s", path, name);
		add_path(s, dir);
	}
	return STATUS_OK;
}

static enum status open_conf(struct stores *s, const char *path)
{
	struct conf_file *cf;
	struct conf_values v;
	char err[512];
	enum status st;
	int rc = conf_read(path, &cf, err, sizeof(err));

	if (rc < 0)
		return err_unusable(rc, path, err);
	memset(&v, 0, sizeof(v));
	rc = conf_apply(cf, keys, ARRAY_LEN(keys), &v, err, sizeof(err));
	st = rc < 0 ? err_usage(NULL, "%s", err) : take_conf(s, cf, &v, path);
	conf_free(cf);
	return st;
}

static enum status open_paths(struct stores *s, const char *const *dirs,
    size_t n, const struct stores_options *o)
{
	const char *slash;

	if (n == 0 || !o->db || !o->group)
		return err_usage("paths DIR... --db BASE_PATH/meta -g GROUP",
		    "paths wants the store paths in their order, --db and -g");
	if (!fileid_group_ok(span_of(o->group)))
		return err_usage(NULL, "\"%s\" cannot be a group's name",
		    o->group);
	str_copy(s->meta_dir, sizeof(s->meta_dir), o->db);
	str_copy(s->group, sizeof(s->group), o->group);
	str_copy(s->name_key, sizeof(s->name_key),
	    o->name_key ? o->name_key : "filename");
	/* .../meta belongs to the daemon of the base path above it. */
	slash = strrchr(s->meta_dir, '/');
	if (slash && strcmp(slash, "/meta") == 0)
		str_copy_span(s->base_path, sizeof(s->base_path),
		    (struct span){ s->meta_dir,
		        (size_t)(slash - s->meta_dir) });
	for (size_t i = 0; i < n; i++)
		add_path(s, dirs[i]);
	return STATUS_OK;
}

enum status stores_open(const char *const *words, size_t n,
    const struct stores_options *o, struct stores *out)
{
	enum status st;

	memset(out, 0, sizeof(*out));
	if (n > 0 && strcmp(words[0], "paths") == 0) {
		st = open_paths(out, words + 1, n - 1, o);
	} else if (n != 1) {
		st = err_usage(NULL, "name one storage configuration, or: "
		                     "paths DIR...");
	} else if (o->db || o->group || o->name_key) {
		st = err_usage(NULL, "--db, -g and --name-key go with paths; a "
		                     "configuration says them itself");
	} else {
		st = open_conf(out, words[0]);
	}
	if (st != STATUS_OK)
		stores_close(out);
	return st;
}

void stores_close(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->paths[i]);
	s->n = 0;
}

static bool is_hex_dir(const char *name)
{
	static const char hex[] = "0123456789ABCDEF";

	return name[0] && name[1] && !name[2] && strchr(hex, name[0]) &&
	       strchr(hex, name[1]);
}

struct walk {
	int (*each)(void *arg, const struct stores_file *f);
	void *arg;
	char *where;
	size_t cap;
	size_t path; /* number of the store path */
	char high[3];
};

static int walk_file(const struct walk *w, const char *low, int dirfd,
    const char *name)
{
	struct stores_file f;
	struct stat st;
	struct fileid_name parsed;
	const size_t n = strlen(name);
	struct strbuf b = strbuf_over(f.remote, sizeof(f.remote));

	if (fstatat(dirfd, name, &st, 0) < 0 &&
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno; /* it just went */
	if (S_ISDIR(st.st_mode))
		return 0;
	f.is_meta = fileid_is_side((struct span){ name, n });
	f.size = (int64_t)st.st_size;
	strbuf_addf(&b, "M%02zX/%s/%s/", w->path, w->high, low);
	f.name = f.remote + b.len;
	strbuf_add(&b, name, n - (f.is_meta ? 2 : 0));
	/* Trunk files have six digits, ids a record of 27 characters. */
	f.is_ours = !b.failed &&
	            fileid_parse(span_of(f.remote), &parsed) == 0 &&
	            parsed.has_record;
	return w->each(w->arg, &f);
}

/* Calls `each` for the entries of a directory; missing ones are empty. */
static int walk_dir(const struct walk *w, const char *path,
    int (*each)(const struct walk *w, const char *path, int fd,
        const char *name))
{
	DIR *d = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (!d) {
		rc = -errno;
		str_copy(w->where, w->cap, path);
		return rc == -ENOENT ? 0 : rc;
	}
	while (rc == 0 && (errno = 0, e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			rc = each(w, path, dirfd(d), e->d_name);
	if (rc == 0 && errno != 0)
		rc = -errno;
	closedir(d);
	return rc;
}

static int walk_low_file(const struct walk *w, const char *path, int fd,
    const char *name)
{
	return walk_file(w, strrchr(path, '/') + 1, fd, name);
}

static int walk_low(const struct walk *w, const char *path, int fd,
    const char *name)
{
	char sub[4096];
	struct strbuf b = strbuf_over(sub, sizeof(sub));

	(void)fd;
	strbuf_addf(&b, "%s/%s", path, name);
	return is_hex_dir(name) && !b.failed ? walk_dir(w, sub, walk_low_file)
	                                     : 0;
}

static int walk_high(const struct walk *w, const char *path, int fd,
    const char *name)
{
	struct walk in = *w;
	char sub[4096];
	struct strbuf b = strbuf_over(sub, sizeof(sub));

	(void)fd;
	if (!is_hex_dir(name))
		return 0;
	str_copy(in.high, sizeof(in.high), name);
	strbuf_addf(&b, "%s/%s", path, name);
	return b.failed ? -ENAMETOOLONG : walk_dir(&in, sub, walk_low);
}

int stores_walk(const struct stores *s,
    int (*each)(void *arg, const struct stores_file *f), void *arg, char *where,
    size_t cap)
{
	int rc = 0;

	where[0] = '\0';
	for (size_t i = 0; i < s->n && rc == 0; i++) {
		struct walk w = { each, arg, where, cap, i, "" };
		char data[4096];
		struct strbuf b = strbuf_over(data, sizeof(data));
		struct stat st;

		strbuf_addf(&b, "%s/data", s->paths[i]);
		str_copy(where, cap, data);
		/* A store path without data is a disk that is not there. */
		if (b.failed || stat(data, &st) < 0)
			return b.failed ? -ENAMETOOLONG : -errno;
		rc = walk_dir(&w, data, walk_high);
	}
	return rc;
}

int stores_path(const struct stores *s, const char *remote, bool meta,
    char *out, size_t cap)
{
	struct fileid_name n;
	char rest[FILEID_DISK_MAX];
	struct strbuf b = strbuf_over(out, cap);
	int rc = fileid_parse(span_of(remote), &n);

	if (rc == 0)
		rc = fileid_disk_path(&n, meta ? "-m" : "", rest, sizeof(rest));
	if (rc < 0)
		return rc;
	if (n.path >= s->n)
		return -ENODEV;
	strbuf_addf(&b, "%s/data/%s", s->paths[n.path], rest);
	return b.failed ? -ENAMETOOLONG : 0;
}
