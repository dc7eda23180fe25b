/* SPDX-License-Identifier: MIT */
/*
 * The index of key K is "attr_by:K" on attr (value) where key = 'K'. SQLite
 * uses it for a condition key = 'K' on top of one on value.
 */
#include "meta/keys.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

static bool is_wanted(const char *index, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(index + strlen("attr_by:"), keys[i]))
			return true;
	return false;
}

static int run_text(struct db *db, char *sql)
{
	const int rc = sql ? db_exec(db, sql) : -ENOMEM;

	sqlite3_free(sql);
	return rc;
}

/* The first index nobody wants; 1, 0 none, or -errno. */
static int find_unwanted(struct db *db, const char *const *keys, size_t n,
    char *name, size_t cap)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT name FROM sqlite_schema WHERE type = 'index' "
	                "AND name GLOB 'attr_by:*'");
	int rc;

	while ((rc = db_step(st)) == 1) {
		db_col_copy(st, 0, name, cap);
		if (!is_wanted(name, keys, n)) {
			sqlite3_reset(st);
			return 1;
		}
	}
	return rc;
}

int keys_follow(struct db *db, const char *const *keys, size_t n)
{
	char name[512];
	int rc;

	while ((rc = find_unwanted(db, keys, n, name, sizeof(name))) == 1) {
		rc = run_text(db, sqlite3_mprintf("DROP INDEX \"%w\"", name));
		if (rc)
			return rc;
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = run_text(db,
		    sqlite3_mprintf("CREATE INDEX IF NOT EXISTS \"attr_by:%w\" "
		                    "ON attr (value) WHERE key = %Q",
		        keys[i], keys[i]));
	return rc;
}
