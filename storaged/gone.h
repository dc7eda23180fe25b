/* SPDX-License-Identifier: MIT */
/*
 * Files that were deleted or renamed here, by clients or by peers. A peer that
 * never got an answer for a file sends it again (a cut, a restart), and by then
 * another may have deleted it: stored once more it would stay for ever, because
 * the peer is told of the deletion and deletes its own. The names of normal and
 * appender files are never given twice, so what is gone stays gone; slaves may
 * be made again and are not kept in mind. Who deleted it himself may send it
 * again. The last few ten thousand names; one list for the process; any thread,
 * but by who holds the name.
 */
#ifndef STORAGED_GONE_H
#define STORAGED_GONE_H

#include <stdbool.h>

struct db;

#define GONE_OWN "." /* by a client of ours */

/* by: the peer's id, or GONE_OWN. */
void gone_note(const char *name, const char *by);
/* It is there again: a rename was taken back. */
void gone_forget(const char *name);
/* Was it deleted by another than this peer? */
bool gone_for(const char *name, const char *peer);
/* At start: what clients have done at the end of the log. 0 or -errno. */
int gone_load(struct db *log);

#endif
