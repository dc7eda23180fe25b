/* SPDX-License-Identifier: MIT */
/*
 * A store path that lost its files gets them back from the other members
 * (cluster-protocol 3.12). The main thread, while the storage starts:
 * rebuild_look before the missing directories are made, rebuild_run before the
 * storage listens. The serving side, FETCH_ONE_PATH_BINLOG (26), is
 * rebuild_serve.c.
 *
 * What a run has done is kept in the store path, in FastDFS's own files, so
 * that either can go on with what the other began: data/.recovery.flag,
 * data/.binlog.recovery.<k>, data/.recovery.mark.<k>.
 */
#ifndef STORAGED_REBUILD_H
#define STORAGED_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "storaged/storaged.h"

/* Leaves the flag file in each store path whose tree is not there (but not at
 * the first start, when there is nothing to miss). Before store_open. 0, or
 * -errno and a sentence that names the path. */
int rebuild_look(const struct storage *st, char *err, size_t cap);
/* Fills every store path that has a flag file. After the log's writer and the
 * catalogue have started, before anybody else uses the store paths. Waits for
 * trackers and members as long as it takes; stop() ends it: -ECANCELED. */
int rebuild_run(struct storage *st, bool (*stop)(void), char *err, size_t cap);

#endif
