/* SPDX-License-Identifier: MIT */
#include "meta/event.h"

#include <errno.h>

#include "meta/db_impl.h"

int event_insert(struct db *db, const struct event *e)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO event (at_ms, code, severity, subject, text) "
	    "VALUES (?1, ?2, ?3, ?4, ?5)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, e->at);
	db_bind_text(st, 2, e->code);
	sqlite3_bind_int(st, 3, (int)e->severity);
	db_bind_text(st, 4, e->subject);
	db_bind_text(st, 5, e->text);
	return db_run(st);
}

int event_read(struct db *db, wall_t from, size_t n,
    int (*each)(void *arg, const struct event *e), void *arg)
{
	sqlite3_stmt *st =
	    n > 0 ? db_stmt(db, "SELECT id, at_ms, code, severity, subject, "
	                        "text FROM event "
	                        "WHERE at_ms >= ?1 ORDER BY id DESC LIMIT ?2")
	          : db_stmt(db, "SELECT id, at_ms, code, severity, subject, "
	                        "text FROM event "
	                        "WHERE at_ms >= ?1 ORDER BY id");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, from);
	if (n > 0)
		db_bind_u64(st, 2, n);
	while ((rc = db_step(st)) == 1) {
		const struct event e = { .id = sqlite3_column_int64(st, 0),
			.at = sqlite3_column_int64(st, 1),
			.code = db_col_text(st, 2),
			.severity =
			    (enum event_severity)sqlite3_column_int(st, 3),
			.subject = db_col_text(st, 4),
			.text = db_col_text(st, 5) };

		rc = each(arg, &e);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : 0;
		}
	}
	return rc;
}

int event_trim(struct db *db, size_t keep)
{
	sqlite3_stmt *st =
	    db_stmt(db, "DELETE FROM event WHERE id <= (SELECT id FROM event "
	                "ORDER BY id DESC LIMIT 1 OFFSET ?1)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	db_bind_u64(st, 1, keep);
	return db_run(st);
}
