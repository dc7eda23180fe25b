/* SPDX-License-Identifier: MIT */
/*
 * A set of file names in memory, each with a flag. For comparing lists of
 * some millions. One thread at a time.
 */
#ifndef CLI_NAMESET_H
#define CLI_NAMESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct name_entry {
	bool seen;
	char name[];
};

/* Zeroed: empty. */
struct nameset {
	struct name_entry **slots;
	size_t n, cap;
};

/* The entry of the name, new or not. */
struct name_entry *nameset_add(struct nameset *s, struct span name);
/* NULL: not in it. */
struct name_entry *nameset_find(const struct nameset *s, struct span name);
void nameset_fini(struct nameset *s);

#endif
