/* SPDX-License-Identifier: MIT */
/*
 * Metadata that came before its file. FastDFS sends neighbouring records at the
 * same time over two connections (cluster-protocol 3.10), so "<name>-m" may
 * be here first; the catalogue has no row yet that it could belong to. The
 * names are kept in mind, and when the file comes its metadata is recorded
 * once more. One list for the process; any thread.
 */
#ifndef STORAGED_EARLY_H
#define STORAGED_EARLY_H

#include <stdbool.h>

/* The metadata of that file is here, the file is not. */
void early_note(const char *name);
/* Was it so? Then it is forgotten. Costs nothing when nobody waits. */
bool early_take(const char *name);

#endif
