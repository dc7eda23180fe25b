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
/* A new file that no row knows, whose content is what its name says. */
struct orphan {
	char name[FILE_NAME_MAX + 1]; /* remote name */
	uint64_t size;
	uint32_t crc;
	int64_t time;    /* unix, from the name */
	uint32_t source; /* from the name */
};

struct orphan_sweep {
	struct names *known;
	wall_t since; /* files made before are left alone */
	/* Gives it a row; 0, or it is moved away like the others. */
	int (*record)(void *arg, const struct orphan *o);
	void *arg;
	uint64_t recorded, moved;
};

/* Files made since then that no row knows: whole ones are recorded (a client
 * may have been told of them, and a power cut taken the row), the others moved
 * to data/.orphans. Only directories changed since are read. */
void orphans_settle(struct store_path *p, unsigned subdirs,
    struct orphan_sweep *sweep);

#endif
