/* SPDX-License-Identifier: MIT */
/*
 * Rows are written whole; what a storage reports of its paths stands in
 * storage_path, one row a path, and goes with the storage.
 */
#include "meta/cluster.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

/* A statement with its first texts bound; runs it. */
static int run_texts(struct db *db, const char *sql, const char *const *texts,
    size_t n)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	for (size_t i = 0; i < n; i++)
		db_bind_text(st, (int)i + 1, texts[i]);
	return db_run(st);
}

int cluster_put_group(struct db *db, const struct group_row *g)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT OR REPLACE INTO grp (name, storage_port, "
	    "store_path_count, subdir_count_per_path) VALUES (?1, ?2, ?3, ?4)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, g->name);
	sqlite3_bind_int64(st, 2, g->storage_port);
	sqlite3_bind_int64(st, 3, g->store_path_count);
	sqlite3_bind_int64(st, 4, g->subdir_count_per_path);
	return db_run(st);
}

int cluster_drop_group(struct db *db, const char *name)
{
	int rc = run_texts(db, "DELETE FROM stamp WHERE grp = ?1", &name, 1);

	if (!rc)
		rc = run_texts(db, "DELETE FROM storage WHERE grp = ?1", &name,
		    1);
	if (!rc)
		rc = run_texts(db, "DELETE FROM grp WHERE name = ?1", &name, 1);
	return rc;
}

static int put_path(struct db *db, const struct storage_row *s, size_t i)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO storage_path (grp, id, path, total_mb, free_mb) "
	    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (grp, id, path) "
	    "DO UPDATE SET total_mb = excluded.total_mb, "
	    "free_mb = excluded.free_mb");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, s->group);
	db_bind_text(st, 2, s->id);
	db_bind_u64(st, 3, i);
	sqlite3_bind_int64(st, 4, s->path_total_mb[i]);
	sqlite3_bind_int64(st, 5, s->path_free_mb[i]);
	return db_run(st);
}

static int drop_paths_from(struct db *db, const struct storage_row *s)
{
	sqlite3_stmt *st =
	    db_stmt(db, "DELETE FROM storage_path WHERE grp = ?1 AND id = ?2 "
	                "AND path >= ?3");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, s->group);
	db_bind_text(st, 2, s->id);
	db_bind_u64(st, 3, s->n_paths);
	return db_run(st);
}

int cluster_put_storage(struct db *db, const struct storage_row *s)
{
	const int64_t numbers[] = { s->status, s->port, s->store_path_count,
		s->subdir_count_per_path, s->upload_priority, s->join_time,
		s->up_time, s->sync_until, s->last_synced, s->last_heart_beat,
		s->changelog_offset };
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO storage (grp, id, ip, version, src_id, status, port, "
	    "store_path_count, subdir_count_per_path, upload_priority, "
	    "join_time, up_time, sync_until, last_synced, last_heart_beat, "
	    "changelog_offset) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
	    "?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT (grp, id) "
	    "DO UPDATE SET ip = ?3, version = ?4, src_id = ?5, status = ?6, "
	    "port = ?7, store_path_count = ?8, subdir_count_per_path = ?9, "
	    "upload_priority = ?10, join_time = ?11, up_time = ?12, "
	    "sync_until = ?13, last_synced = ?14, last_heart_beat = ?15, "
	    "changelog_offset = ?16");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	if (s->n_paths > ARRAY_LEN(s->path_total_mb))
		return -EINVAL;
	db_bind_text(st, 1, s->group);
	db_bind_text(st, 2, s->id);
	db_bind_text(st, 3, s->ip);
	db_bind_text(st, 4, s->version);
	db_bind_text(st, 5, s->src_id);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(st, (int)i + 6, numbers[i]);
	rc = db_run(st);
	for (size_t i = 0; !rc && i < s->n_paths; i++)
		rc = put_path(db, s, i);
	return rc ? rc : drop_paths_from(db, s);
}

int cluster_drop_storage(struct db *db, const char *group, const char *id)
{
	const char *const texts[] = { group, id };
	int rc = run_texts(db,
	    "DELETE FROM stamp WHERE grp = ?1 AND (src = ?2 OR dst = ?2)",
	    texts, 2);

	if (!rc)
		rc = run_texts(db,
		    "DELETE FROM storage WHERE grp = ?1 AND id = ?2", texts, 2);
	return rc;
}

int cluster_put_stamp(struct db *db, const char *group, const char *from,
    const char *to, int64_t time)
{
	sqlite3_stmt *st =
	    db_stmt(db, "INSERT OR REPLACE INTO stamp (grp, src, dst, time) "
	                "VALUES (?1, ?2, ?3, ?4)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, group);
	db_bind_text(st, 2, from);
	db_bind_text(st, 3, to);
	sqlite3_bind_int64(st, 4, time);
	return db_run(st);
}

/* NOLINTNEXTLINE(readability-function-size): seven plain facts */
int cluster_log_status(struct db *db, wall_t at, const char *group,
    const char *id, int from, int to, const char *reason)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO status_log (grp, id, reason, at_ms, old, new) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, group);
	db_bind_text(st, 2, id);
	db_bind_text(st, 3, reason);
	sqlite3_bind_int64(st, 4, at);
	sqlite3_bind_int(st, 5, from);
	sqlite3_bind_int(st, 6, to);
	return db_run(st);
}

int cluster_add_change(struct db *db, const char *line)
{
	return run_texts(db, "INSERT INTO change_log (line) VALUES (?1)", &line,
	    1);
}

int cluster_drop_changes(struct db *db)
{
	return run_texts(db, "DELETE FROM change_log", NULL, 0);
}

/* --- loading ------------------------------------------------------------- */

static int load_groups(struct db *db, const struct cluster_loader *to)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT name, storage_port, store_path_count, "
	                "subdir_count_per_path FROM grp ORDER BY name");
	int rc;

	while ((rc = db_step(st)) == 1) {
		struct group_row g = {
			.storage_port = sqlite3_column_int64(st, 1),
			.store_path_count = sqlite3_column_int64(st, 2),
			.subdir_count_per_path = sqlite3_column_int64(st, 3),
		};

		db_col_copy(st, 0, g.name, sizeof(g.name));
		rc = to->group(to->arg, &g);
		if (rc < 0)
			break;
	}
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

static int load_paths(struct db *db, struct storage_row *s)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT path, total_mb, free_mb FROM storage_path "
	                "WHERE grp = ?1 AND id = ?2 ORDER BY path");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_text(st, 1, s->group);
	db_bind_text(st, 2, s->id);
	while ((rc = db_step(st)) == 1) {
		const size_t i = (size_t)sqlite3_column_int64(st, 0);

		if (i >= ARRAY_LEN(s->path_total_mb))
			continue;
		s->path_total_mb[i] = sqlite3_column_int64(st, 1);
		s->path_free_mb[i] = sqlite3_column_int64(st, 2);
		s->n_paths = i + 1;
	}
	return rc;
}

static void storage_of_row(sqlite3_stmt *st, struct storage_row *s)
{
	int64_t *const numbers[] = { &s->port, &s->store_path_count,
		&s->subdir_count_per_path, &s->upload_priority, &s->join_time,
		&s->up_time, &s->sync_until, &s->last_synced,
		&s->last_heart_beat, &s->changelog_offset };

	memset(s, 0, sizeof(*s));
	db_col_copy(st, 0, s->group, sizeof(s->group));
	db_col_copy(st, 1, s->id, sizeof(s->id));
	db_col_copy(st, 2, s->ip, sizeof(s->ip));
	db_col_copy(st, 3, s->version, sizeof(s->version));
	db_col_copy(st, 4, s->src_id, sizeof(s->src_id));
	s->status = sqlite3_column_int(st, 5);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		*numbers[i] = sqlite3_column_int64(st, (int)i + 6);
}

static int load_storages(struct db *db, const struct cluster_loader *to)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT grp, id, ip, version, src_id, status, port, "
	    "store_path_count, subdir_count_per_path, upload_priority, "
	    "join_time, up_time, sync_until, last_synced, last_heart_beat, "
	    "changelog_offset FROM storage ORDER BY grp, id");
	struct storage_row s;
	int rc;

	while ((rc = db_step(st)) == 1) {
		storage_of_row(st, &s);
		rc = load_paths(db, &s);
		if (!rc)
			rc = to->storage(to->arg, &s);
		if (rc < 0)
			break;
	}
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

static int load_stamps(struct db *db, const struct cluster_loader *to)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT grp, src, dst, time FROM stamp ORDER BY grp, src, dst");
	int rc;

	while ((rc = db_step(st)) == 1) {
		rc = to->stamp(to->arg, db_col_text(st, 0), db_col_text(st, 1),
		    db_col_text(st, 2), sqlite3_column_int64(st, 3));
		if (rc < 0)
			break;
	}
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

static int load_changes(struct db *db, const struct cluster_loader *to)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT line FROM change_log ORDER BY seq");
	int rc;

	while ((rc = db_step(st)) == 1) {
		rc = to->change(to->arg, db_col_text(st, 0));
		if (rc < 0)
			break;
	}
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

int cluster_load(struct db *db, const struct cluster_loader *to)
{
	int rc = load_groups(db, to);

	if (!rc)
		rc = load_storages(db, to);
	if (!rc)
		rc = load_stamps(db, to);
	if (!rc)
		rc = load_changes(db, to);
	return rc;
}
