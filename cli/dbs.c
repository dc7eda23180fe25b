/* SPDX-License-Identifier: MIT */
/*
 * --db may name a file, a directory with our files in it, or a base path with
 * the directory meta in it. A file is tried as what is wanted; one that is
 * something else of ours is passed over.
 */
#include "cli/dbs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/stop.h"

static const char *const file_names[] = {
	[DB_LOG] = "storage.db",
	[DB_CATALOGUE] = "catalogue.db",
	[DB_TRACKER] = "tracker.db",
};

static const char *const kind_names[] = {
	[DB_LOG] = "log (storage.db)",
	[DB_CATALOGUE] = "catalogue (catalogue.db)",
	[DB_TRACKER] = "tracker database (tracker.db)",
};

bool dbs_in_list(const char *list, const char *text)
{
	const size_t len = strlen(text);

	while (*list) {
		const size_t n = strcspn(list, ",");

		if (n == len && strncmp(list, text, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static bool join(char *out, size_t cap, const char *dir, const char *sub,
    const char *file)
{
	struct strbuf b = strbuf_over(out, cap);

	strbuf_addf(&b, "%s/%s%s", dir, sub, file);
	return !b.failed;
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file of that kind at a source; false when there is none. */
static bool locate(const char *source, enum db_kind kind, char *out, size_t cap)
{
	struct stat st;

	if (stat(source, &st) == 0 && !S_ISDIR(st.st_mode))
		return str_copy(out, cap, source);
	return (join(out, cap, source, "", file_names[kind]) && is_file(out)) ||
	       (join(out, cap, source, "meta/", file_names[kind]) &&
	           is_file(out));
}

static enum status open_failed(const char *path, int rc, const char *err)
{
	const char *todo = NULL;

	if (rc == -EACCES)
		todo = "run it as the daemon's user, or join its group";
	else if (rc == -EUCLEAN)
		todo =
		    "stop the daemon, then: fdfs-meta adopt run STORAGE_CONF";
	return err_say((struct err){ .status = rc == -EACCES ? STATUS_REFUSED
	                                                     : STATUS_NO_SOURCE,
	                   .rc = rc,
	                   .subject = path,
	                   .todo = todo },
	    "%s", err);
}

static enum status none_found(const struct source *s, enum db_kind kind)
{
	char list[2048];
	struct strbuf b = strbuf_over(list, sizeof(list));
	struct stat st;

	if (s->n_db == 0)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .todo = "name it: --db BASE_PATH/meta, or "
		                           "--config STORAGE_CONF" },
		    "no metadata database is known%s%s",
		    s->looked_at[0] ? "; looked at " : "", s->looked_at);
	for (size_t i = 0; i < s->n_db; i++) {
		const int rc = stat(s->db[i], &st) < 0 ? -errno : 0;

		strbuf_addf(&b, "%s%s%s%s", i > 0 ? ", " : "", s->db[i],
		    rc < 0 ? ": " : "", rc < 0 ? errstr(rc) : "");
	}
	return err_say(
	    (struct err){ .status = STATUS_NO_SOURCE,
	        .subject = s->db[0],
	        .todo = kind == DB_TRACKER
	                    ? "name the tracker's directory: --db "
	                      "BASE_PATH/meta"
	                    : "start fdfs-storaged once, or index what is "
	                      "there: fdfs-meta adopt run STORAGE_CONF" },
	    "there is no %s in %s", kind_names[kind], list);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

struct wanted {
	enum db_kind kind;
	const char *groups; /* NULL: any */
	const char *not_of; /* name of a group that was passed over */
	char group[17];
};

static bool is_wanted(struct wanted *w, struct db *db)
{
	char group[17];

	if (w->kind != DB_CATALOGUE)
		return true;
	if (db_mark_get(db, "group", group, sizeof(group)) != 0)
		group[0] = '\0';
	str_copy(w->group, sizeof(w->group), group);
	return !w->groups || dbs_in_list(w->groups, group);
}

static enum status two_found(const struct wanted *w, const char *a,
    const char *b)
{
	return err_usage(
	    w->kind == DB_CATALOGUE
	        ? "name one of them: --db PATH, or its group: -g GROUP"
	        : "name one of them: --db PATH",
	    "there are two databases to ask: %s and %s", a, b);
}

static enum status open_one(const struct source *s, struct wanted *w,
    struct db **out, char *path)
{
	char other_group[17] = "";
	char at[DBS_PATH_MAX];
	char group[17] = "";
	enum status st = STATUS_OK;

	*out = NULL;
	for (size_t i = 0; i < s->n_db && st == STATUS_OK; i++) {
		char err[DB_ERR_MAX];
		struct db *db;
		int rc;

		if (!locate(s->db[i], w->kind, at, sizeof(at)) ||
		    (*out && same_file(at, path)))
			continue;
		rc = db_open_read(w->kind, at, &db, err);
		if (rc == -EMEDIUMTYPE && s->n_db > 1)
			continue;
		if (rc < 0) {
			st = open_failed(at, rc, err);
		} else if (!is_wanted(w, db)) {
			str_copy(other_group, sizeof(other_group), w->group);
			db_close(db);
		} else if (*out) {
			db_close(db);
			st = two_found(w, path, at);
		} else {
			*out = db;
			str_copy(path, DBS_PATH_MAX, at);
			str_copy(group, sizeof(group), w->group);
		}
	}
	str_copy(w->group, sizeof(w->group), group);
	if (st == STATUS_OK && !*out && other_group[0])
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .subject = w->groups },
		    "the database at hand is of %s, not of %s", other_group,
		    w->groups);
	return st == STATUS_OK && !*out ? none_found(s, w->kind) : st;
}

static void interrupt(void *arg)
{
	query_interrupt(arg);
}

static void read_lag(struct dbs *d)
{
	struct query_lag lag;

	d->age_s = -1;
	if (!d->log || query_lag(d->catalogue, d->log, &lag) < 0 ||
	    !lag.same_log)
		return;
	d->waiting = lag.waiting;
	d->age_s = lag.waiting > 0 && lag.oldest > 0
	               ? (clock_wall() - lag.oldest) / 1000
	               : 0;
}

enum status dbs_open_catalogue(const struct source *s, const char *groups,
    struct dbs *d)
{
	struct wanted w = { .kind = DB_CATALOGUE, .groups = groups };
	char err[DB_ERR_MAX];
	char dir[DBS_PATH_MAX];
	char *slash;
	enum status st;

	memset(d, 0, sizeof(*d));
	st = open_one(s, &w, &d->catalogue, d->catalogue_path);
	if (st != STATUS_OK) {
		dbs_close(d);
		return st;
	}
	str_copy(d->group, sizeof(d->group), w.group);
	str_copy(dir, sizeof(dir), d->catalogue_path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	if (!join(d->log_path, sizeof(d->log_path), slash ? dir : ".", "",
	        file_names[DB_LOG]) ||
	    db_open_read(DB_LOG, d->log_path, &d->log, err) < 0)
		d->log = NULL;
	read_lag(d);
	stop_call(interrupt, d->catalogue);
	return STATUS_OK;
}

enum status dbs_open_tracker(const struct source *s, struct dbs *d)
{
	struct wanted w = { .kind = DB_TRACKER };
	enum status st;

	memset(d, 0, sizeof(*d));
	d->age_s = -1;
	st = open_one(s, &w, &d->tracker, d->tracker_path);
	if (st == STATUS_OK)
		stop_call(interrupt, d->tracker);
	else
		dbs_close(d);
	return st;
}

/* Was it met at an earlier source already? */
static bool is_repeated(const struct source *s, size_t at, const char *path)
{
	char other[DBS_PATH_MAX];

	for (size_t i = 0; i < at; i++)
		if (locate(s->db[i], DB_LOG, other, sizeof(other)) &&
		    same_file(other, path))
			return true;
	return false;
}

enum status dbs_each_log(const struct source *s,
    enum status (*each)(void *arg, struct db *log, const char *path), void *arg,
    size_t *n)
{
	char at[DBS_PATH_MAX];
	enum status st = STATUS_OK;

	*n = 0;
	for (size_t i = 0; i < s->n_db && st == STATUS_OK; i++) {
		char err[DB_ERR_MAX];
		struct db *db;
		int rc;

		if (!locate(s->db[i], DB_LOG, at, sizeof(at)) ||
		    is_repeated(s, i, at))
			continue;
		rc = db_open_read(DB_LOG, at, &db, err);
		if (rc == -EMEDIUMTYPE) /* a catalogue or a tracker's */
			continue;
		if (rc < 0)
			return open_failed(at, rc, err);
		++*n;
		stop_call(interrupt, db);
		st = each(arg, db, at);
		stop_call(NULL, NULL);
		db_close(db);
	}
	return st;
}

bool dbs_has_tracker(const struct source *s)
{
	char at[DBS_PATH_MAX];

	for (size_t i = 0; i < s->n_db; i++) {
		char err[DB_ERR_MAX];
		struct db *db;

		if (!locate(s->db[i], DB_TRACKER, at, sizeof(at)) ||
		    db_open_read(DB_TRACKER, at, &db, err) < 0)
			continue;
		db_close(db);
		return true;
	}
	return false;
}

void dbs_close(struct dbs *d)
{
	stop_call(NULL, NULL);
	if (d->catalogue)
		db_close(d->catalogue);
	if (d->log)
		db_close(d->log);
	if (d->tracker)
		db_close(d->tracker);
	d->catalogue = NULL;
	d->log = NULL;
	d->tracker = NULL;
}

enum status dbs_fail(const char *path, struct db *db, int64_t rc)
{
	if (stop_asked())
		return stop_status();
	if (rc == -EUCLEAN)
		return open_failed(path, (int)rc, db_error(db));
	return err_say(
	    (struct err){ .status = STATUS_NO_SOURCE,
	        .rc = (int)rc,
	        .subject = path,
	        .todo = rc == -EBUSY ? "a writer held it; try again" : NULL },
	    "cannot read %s: %s", path, db_error(db));
}
