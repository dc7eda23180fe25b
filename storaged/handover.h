/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is: a base path that FastDFS wrote last is not started on
 * before `fdfs-meta adopt` has taken over what its peers wait for. Before any
 * other thread runs.
 */
#ifndef STORAGED_HANDOVER_H
#define STORAGED_HANDOVER_H

#include <stddef.h>

#include "meta/db.h"

/* 0, or -EPERM with a sentence that says what to do: the storage was released
 * to FastDFS, or the log is new and FastDFS's binlog beside it is not empty
 * (cluster-protocol 7.4). Other -errno when the log cannot be read. */
int handover_check(struct db *log, const char *base_path, char *err,
    size_t cap);

#endif
