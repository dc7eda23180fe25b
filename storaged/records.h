/* SPDX-License-Identifier: MIT */
/*
 * What a storage records: the log, opened, repaired after a crash and given to
 * its writer, with all that must be known before (who we are, the store
 * paths); the catalogue that follows it; their ends. For service.c, in the
 * main thread.
 */
#ifndef STORAGED_RECORDS_H
#define STORAGED_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "storaged/storaged.h"

struct records {
	const char **indexed_keys;
	char *key_text; /* what they point into */
};

/* Opens the log, learns who we are, opens the store paths, recovers, starts
 * the writer. On failure -errno and a sentence; nothing is left open. stop is
 * asked while trackers are awaited. */
int records_start_log(struct storage *st, bool (*stop)(void), char *err,
    size_t cap);
int records_start_catalogue(struct storage *st, struct records *r, char *err,
    size_t cap);
/* After the loops and senders have ended. */
void records_stop_catalogue(struct storage *st);
/* ended: every connection did; then the stop is a clean one, unless a change
 * is recorded but not applied. */
void records_stop_log(struct storage *st, bool ended);
void records_free(struct records *r);

/* A read-only handle of the log or the catalogue, the caller's own; any
 * thread. As db_open_read. */
int records_read(const struct storage *st, enum db_kind kind, struct db **out,
    char err[DB_ERR_MAX]);

#endif
