/* SPDX-License-Identifier: MIT */
/*
 * Opening a database and saying in one sentence why it cannot be opened.
 *
 * A writing handle holds an exclusive lock on "<path>-lock" as long as it
 * lives, so a second daemon (or `fdfs-meta adopt` beside a daemon) is refused
 * at once, instead of two programs taking turns.
 */
#include "meta/db_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/migrate.h"

static const struct kind {
	const char *folder; /* of schema/ */
	const char *words;
	int application_id;
	const char *remedy; /* when it is damaged */
	const char *pragmas;
} kinds[] = {
	[DB_LOG] = { "storage", "log of a storage", 0x46444c47,
	    "move it away and start again with a new log; the files on disk "
	    "are not touched, then run fdfs-meta adopt",
	    "PRAGMA page_size = 4096; PRAGMA journal_size_limit = 67108864" },
	[DB_CATALOGUE] = { "catalogue", "catalogue of a storage", 0x46444341,
	    "stop the storage and make it again with fdfs-meta adopt",
	    "PRAGMA page_size = 4096; PRAGMA journal_size_limit = 67108864; "
	    "PRAGMA cache_size = -32768" },
	[DB_TRACKER] = { "tracker", "database of a tracker", 0x46445452,
	    "move it away; a new one fills from what storages report",
	    "PRAGMA page_size = 4096; PRAGMA journal_size_limit = 16777216" },
};

const char *db_kind_name(enum db_kind kind)
{
	return kinds[kind].folder;
}

int db_application_id(enum db_kind kind)
{
	return kinds[kind].application_id;
}

/* A sentence for a failure whose reason is an errno and SQLite's words. */
static int explain(const struct db *db, int rc, char *err)
{
	const char *path = db->path;

	switch (rc) {
	case -EUCLEAN:
		snprintf(err, DB_ERR_MAX,
		    "%s is damaged or not a SQLite file (%s): %s", path,
		    db->h ? db_error(db) : "?", kinds[db->kind].remedy);
		break;
	case -EBUSY:
		snprintf(err, DB_ERR_MAX,
		    "%s is in use by another program that writes to it: stop "
		    "that one first",
		    path);
		break;
	case -ENOSPC:
		snprintf(err, DB_ERR_MAX,
		    "no space left to open %s: free some on its disk", path);
		break;
	case -EACCES:
	case -EROFS:
		snprintf(err, DB_ERR_MAX,
		    "no permission to %s %s and its folder: %s",
		    db->writing ? "write" : "read", path,
		    "check owner, mode and mount of the folder");
		break;
	case -ENOENT:
		snprintf(err, DB_ERR_MAX, "%s does not exist: check base_path",
		    path);
		break;
	default:
		snprintf(err, DB_ERR_MAX, "cannot open %s: %s", path,
		    db->h && sqlite3_errcode(db->h) ? db_error(db)
		                                    : errstr(rc));
	}
	return rc;
}

/* Is it ours, and of a version we know? empty: nothing in it yet. */
static int check_identity(struct db *db, bool *empty, char *err)
{
	int64_t id = 0;
	int64_t version = 0;
	int64_t objects = 0;
	int rc = db_number(db, "SELECT count(*) FROM sqlite_schema", &objects);

	if (!rc)
		rc = db_number(db, "PRAGMA application_id", &id);
	if (!rc)
		rc = db_number(db, "PRAGMA user_version", &version);
	if (rc)
		return explain(db, rc, err);
	*empty = objects == 0 && version == 0 && id == 0;
	if (*empty)
		return 0;
	if (id != kinds[db->kind].application_id) {
		snprintf(err, DB_ERR_MAX,
		    "%s is not the %s (application id %08x): check base_path, "
		    "or move the file away",
		    db->path, kinds[db->kind].words, (unsigned)id);
		return -EMEDIUMTYPE;
	}
	if (version > migrate_latest(db->kind)) {
		snprintf(err, DB_ERR_MAX,
		    "%s has schema version %d, this program knows up to %d: "
		    "use the newer program that wrote it",
		    db->path, (int)version, migrate_latest(db->kind));
		return -ENOTSUP;
	}
	return 0;
}

static int set_up(struct db *db, bool full)
{
	int keep = 1;
	int rc;

	db->full = full;
	rc = db_exec(db, kinds[db->kind].pragmas);

	if (!rc)
		rc = db_exec(db,
		    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; "
		    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
		    "PRAGMA temp_store = MEMORY");
	if (!rc)
		rc = db_exec(db, full ? "PRAGMA synchronous = FULL"
		                      : "PRAGMA synchronous = NORMAL");
	if (!rc)
		rc = db_errno(sqlite3_file_control(db->h, "main",
		    SQLITE_FCNTL_PERSIST_WAL, &keep));
	return rc;
}

static int identify(struct db *db)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d",
	    kinds[db->kind].application_id);
	return db_exec(db, sql);
}

static struct db *db_new(enum db_kind kind, const char *path, bool writing)
{
	struct db *db = xcalloc(1, sizeof(*db));

	db->kind = kind;
	db->path = xstrdup(path);
	db->writing = writing;
	db->lock_fd = -1;
	return db;
}

/* SQLITE_CANTOPEN says little; errno of a plain look at it says more. */
static int cant_open(const char *path, bool writing)
{
	if (access(path, writing ? R_OK | W_OK : R_OK) == 0)
		return -EACCES; /* then it is the folder */
	return errno == ENOENT && writing ? -EACCES : -errno;
}

static int open_handle(struct db *db, const char *uri, int flags)
{
	int rc = sqlite3_open_v2(uri, &db->h,
	    flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if ((rc & 0xff) == SQLITE_CANTOPEN)
		return cant_open(db->path, db->writing);
	if (rc != SQLITE_OK)
		return db_errno(rc);
	sqlite3_busy_timeout(db->h, db->writing ? 5000 : 250);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

static int take_lock(struct db *db)
{
	char lock[4096];

	snprintf(lock, sizeof(lock), "%s-lock", db->path);
	db->lock_fd = fs_lock_file(lock);
	if (db->lock_fd == -EWOULDBLOCK)
		return -EBUSY;
	return db->lock_fd < 0 ? db->lock_fd : 0;
}

bool db_is_full(const struct db *db)
{
	return db->full;
}

int db_open(enum db_kind kind, const char *path, bool full, struct db **out,
    char *err)
{
	struct db *db = db_new(kind, path, true);
	bool empty = false;
	int rc = take_lock(db);

	if (!rc)
		rc = open_handle(db, path,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	if (!rc && sqlite3_db_readonly(db->h, "main") == 1)
		rc = -EACCES;
	if (rc) {
		explain(db, rc, err);
		goto fail;
	}
	rc = check_identity(db, &empty, err);
	if (rc)
		goto fail;
	rc = set_up(db, full);
	if (!rc && empty)
		rc = identify(db);
	if (rc) {
		explain(db, rc, err);
		goto fail;
	}
	rc = migrate_run(db, err);
	if (rc)
		goto fail;
	*out = db;
	return 0;

fail:
	db_close(db);
	return rc;
}

/* "file:..." of a path, with what URIs reserve written as %XX. */
static void make_uri(const char *path, const char *query, char *out, size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);

	strbuf_addf(&b, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr("%?#", *p))
			strbuf_addf(&b, "%%%02X", (unsigned)*p);
		else
			strbuf_add(&b, p, 1);
	}
	strbuf_addf(&b, "?%s", query);
}

/* In a folder where -wal and -shm neither exist nor can be made, a database
 * that was closed cleanly is complete in itself. */
static bool is_complete_alone(const char *path)
{
	char wal[4096];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	return stat(wal, &st) != 0 || st.st_size == 0;
}

static int open_for_reading(struct db *db, bool *empty, char *err)
{
	char uri[8192];
	int64_t n;
	int rc;

	make_uri(db->path, "mode=ro", uri, sizeof(uri));
	rc = open_handle(db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	if (!rc)
		rc = db_number(db, "SELECT count(*) FROM sqlite_schema", &n);
	if ((rc == -ENOENT || rc == -EACCES || rc == -EROFS) &&
	    access(db->path, R_OK) == 0 && is_complete_alone(db->path)) {
		sqlite3_close(db->h);
		db->h = NULL;
		make_uri(db->path, "mode=ro&immutable=1", uri, sizeof(uri));
		rc = open_handle(db, uri,
		    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	}
	if (rc == -ENOENT && access(db->path, F_OK) == 0)
		rc = -EACCES;
	if (rc)
		return explain(db, rc, err);
	return check_identity(db, empty, err);
}

/* The log beside a catalogue, for the view `operations`; nice to have. */
static void attach_log(struct db *db)
{
	char path[4096];
	char uri[8192];
	const char *slash = strrchr(db->path, '/');
	sqlite3_stmt *st = NULL;

	snprintf(path, sizeof(path), "%.*sstorage.db",
	    slash ? (int)(slash - db->path) + 1 : 0, db->path);
	if (access(path, R_OK) != 0)
		return;
	make_uri(path, "mode=ro", uri, sizeof(uri));
	if (sqlite3_prepare_v2(db->h, "ATTACH ?1 AS log", -1, &st, NULL) ==
	    SQLITE_OK) {
		db_bind_text(st, 1, uri);
		sqlite3_step(st);
	}
	sqlite3_finalize(st);
}

int db_open_read(enum db_kind kind, const char *path, struct db **out,
    char *err)
{
	struct db *db = db_new(kind, path, false);
	bool empty = false;
	int rc = open_for_reading(db, &empty, err);

	if (!rc && empty) {
		snprintf(err, DB_ERR_MAX,
		    "%s is empty: start the daemon that owns it once", path);
		rc = -ENODATA;
	}
	if (!rc && kind == DB_CATALOGUE)
		attach_log(db);
	if (!rc) {
		rc = db_exec(db,
		    "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; "
		    "PRAGMA foreign_keys = ON");
		if (rc)
			explain(db, rc, err);
	}
	if (rc) {
		db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}
