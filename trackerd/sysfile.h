/* SPDX-License-Identifier: MIT */
/*
 * The cluster as the four texts in which FastDFS's trackers keep it and hand
 * it to one another (cluster-protocol 4.6, 4.8). Functions of the model; the
 * loop's thread, or the main thread before there is a loop.
 *
 * Deleted members and old addresses are left out. Members of a group stand in
 * the order of their slots, in which rows and columns of the stamps stand,
 * too.
 */
#ifndef TRACKERD_SYSFILE_H
#define TRACKERD_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "trackerd/cluster.h"
#include "trackerd/ids.h"

enum sysfile {
	SYSFILE_GROUPS,
	SYSFILE_SERVERS,
	SYSFILE_STAMPS,
	SYSFILE_CHANGELOG,
	N_SYSFILES
};

/* Names below <base_path>/data. */
extern const char *const sysfile_names[N_SYSFILES];

struct sysfiles {
	char *text[N_SYSFILES]; /* owned, terminated, NULL: none */
	size_t n[N_SYSFILES];
};

/* with_ids: members carry their id beside the address. */
void sysfiles_write(const struct cluster *c, bool with_ids,
    struct sysfiles *out);
void sysfiles_free(struct sysfiles *f); /* all NULL afterwards */

/* Replaces what c holds by what the texts say; nobody may have joined yet.
 * Names follow `ids` (NULL: addresses). Everything loaded is dirty; members
 * are OFFLINE unless they were still being filled (4.8). -EINVAL: c is as it
 * was, err has one sentence with the name of the text and the line. */
int sysfiles_load(struct cluster *c, const struct ids *ids,
    const struct sysfiles *f, char *err, size_t cap);

#endif
