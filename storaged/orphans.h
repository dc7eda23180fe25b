/* SPDX-License-Identifier: MIT */
/*
 * For recovery: what the log's tail knows about names, and the files it knows
 * nothing of. Main thread.
 */
#ifndef STORAGED_ORPHANS_H
#define STORAGED_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "storaged/store.h"

/* Sequence numbers of the last operation of each kind; 0 none. */
struct name_note {
	uint64_t hash; /* 0: free */
	uint64_t presence;
	uint64_t length;
	uint64_t meta;
	bool gone; /* the last presence took it away */
};

struct names {
	struct name_note *slots;
	size_t cap, used;
};

void names_init(struct names *t);
void names_fini(struct names *t);
struct name_note *names_note(struct names *t, struct span name);
struct name_note *names_find(struct names *t, struct span name);

/* Removes what is left in .incoming; gives how many. */
uint64_t orphans_empty_incoming(struct store_path *p);
/* Moves files made since then that no row knows to data/.orphans; only
 * directories changed since are read. Gives how many. */
uint64_t orphans_move(struct store_path *p, unsigned subdirs,
    struct names *known, wall_t since);

#endif
