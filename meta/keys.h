/* SPDX-License-Identifier: MIT */
/*
 * The indexes on user metadata: one for each configured key, made and dropped
 * to follow the configuration. For who holds the writing handle.
 */
#ifndef META_KEYS_H
#define META_KEYS_H

#include <stddef.h>

#include "meta/db.h"

/* 0 or -errno. Making one on a large catalogue takes seconds. */
int keys_follow(struct db *db, const char *const *keys, size_t n);

#endif
