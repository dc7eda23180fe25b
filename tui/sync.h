/* SPDX-License-Identifier: MIT */
/*
 * What the logs of the storages in reach (storage.db) say about who waits for
 * what, read in a thread of its own with read-only handles of its own. The
 * main loop calls everything here; results come back through a mailbox whose
 * descriptor it polls.
 */
#ifndef TUI_SYNC_H
#define TUI_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "meta/pairs.h"
#include "meta/recovery.h"
#include "tui/model.h"

#define SYNC_DBS   8
#define SYNC_FILES 500   /* that are listed */
#define SYNC_SCAN  20000 /* operations behind the cursor that are looked at */

/* A file that one storage waits for. */
struct sync_file {
	char name[PEER_NAME_SIZE]; /* remote name */
	enum op_code op;
	wall_t at;
	uint64_t size, bytes, ops;
	bool parked;
	char error[PEER_TEXT_SIZE];
	uint32_t tries;
	wall_t next;
};

/* The files of one pair. Belongs to the main loop. */
struct sync_view {
	size_t n_dbs;          /* 0: there is none to read */
	char from[17], to[17]; /* whose files these are, "" none yet */
	struct sync_file *files;
	size_t n_files;
	char error[DB_ERR_MAX]; /* why a log cannot be read, "" */
	size_t n_recoveries;    /* store paths that are being filled */
	struct recovery recoveries[SYNC_DBS];
};

struct sync;

/* dbs: as in files.h; those without a storage.db beside are passed over. */
int sync_start(const char *const *dbs, size_t n, struct sync **out);
int sync_fd(const struct sync *s);
/* Feeds the model with what came; true when something did. */
bool sync_take(struct sync *s, struct model *m);
/* Reads again when it is time. from, to: also the files of that pair, NULL
 * none. */
void sync_tick(struct sync *s, mono_t now, unsigned interval_ms,
    const char *from, const char *to);
/* Reads at the next tick. */
void sync_now(struct sync *s);
/* Has everything been read once? */
bool sync_ready(const struct sync *s);
const struct sync_view *sync_get(const struct sync *s);
void sync_stop(struct sync *s); /* NULL is fine */

#endif
