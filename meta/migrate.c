/* SPDX-License-Identifier: MIT */
/*
 * user_version is the number of the last file that ran. A file and the new
 * number are one transaction, so a crash leaves either version, never half.
 */
#include "meta/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

/* A whole schema is one literal, longer than ISO C promises to take. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

static const struct {
	const char *database;
	int number;
	const char *name;
	const char *sql;
} rows[] = {
#include <schema_sql.h> /* made by the Makefile */
};

int migrate_latest(enum db_kind kind)
{
	int latest = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].database, db_kind_name(kind)) &&
		    rows[i].number > latest)
			latest = rows[i].number;
	return latest;
}

static int run_one(struct db *db, size_t i, char *err)
{
	char version[64];
	int rc = db_begin(db);

	snprintf(version, sizeof(version), "PRAGMA user_version = %d",
	    rows[i].number);
	if (!rc)
		rc = db_exec(db, rows[i].sql);
	if (!rc)
		rc = db_exec(db, version);
	if (!rc)
		rc = db_commit(db);
	if (!rc)
		return 0;
	snprintf(err, DB_ERR_MAX, "cannot migrate %s to %s: %s", db_path(db),
	    rows[i].name, db_error(db));
	db_rollback(db);
	return rc;
}

int migrate_run(struct db *db, char *err)
{
	int64_t version = 0;
	int rc = db_number(db, "PRAGMA user_version", &version);

	for (size_t i = 0; !rc && i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].database, db_kind_name(db->kind)) != 0 ||
		    rows[i].number <= version)
			continue;
		rc = run_one(db, i, err);
	}
	return rc;
}
