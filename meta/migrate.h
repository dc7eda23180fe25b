/* SPDX-License-Identifier: MIT */
/*
 * Brings a database to the schema this program was built with: runs the
 * numbered files of schema/ that it has not had, each in its own transaction.
 * For the thread that opens the database.
 */
#ifndef META_MIGRATE_H
#define META_MIGRATE_H

#include "meta/db.h"

/* The number of the last file for a kind. */
int migrate_latest(enum db_kind kind);
/* 0, or -errno with a sentence in err (DB_ERR_MAX). The handle writes. */
int migrate_run(struct db *db, char *err);

#endif
