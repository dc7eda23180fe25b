/* SPDX-License-Identifier: MIT */
/*
 * Changes that are recorded but that a disk refused. A thread tries them again
 * every few seconds until they are carried out; no restart is needed.
 *
 * A name with such a change is closed: whoever wants to change it next must
 * carry out first what is waiting (redo_now), and is refused when that fails.
 * So nothing is ever done to a file on top of a change it has not got, and the
 * rows of each name are carried out in the order of the log, here and, from
 * the log, by the peers: that is why both end with the same bytes. For the
 * same reason a sender passes no row from the first refused one on
 * (redo_first) before it is carried out: what follows from a row is found by a
 * look at the file, which must have the change by then.
 *
 * What cannot be carried out any more, because the file or the staged content
 * is gone, is told once (FD-APPLY-02) and given up; then peers get the file as
 * it is. Any thread may call all of it, unless said otherwise.
 */
#ifndef STORAGED_REDO_H
#define STORAGED_REDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct redo;
struct storage;
struct store_path;

/* Before the log's writer starts; never fails. */
struct redo *redo_new(struct storage *st);
/* The thread; needs the writer and the catalogue. 0 or -errno. */
int redo_start(struct redo *r);
/* Ends the thread; additions still count. While the loops run. */
void redo_stop(struct redo *r);
/* NULL is fine. */
void redo_free(struct redo *r);

/* The change of that row was refused (-errno): by who holds the name, before
 * he drops it; or while starting. Of a rename: name the old one, other the new
 * one; else other is "". */
struct redo_names {
	const char *name, *other;
};
void redo_add(struct redo *r, uint64_t seq, struct redo_names names, int error);
/* A new file without a row could not be removed: path below data/, and the
 * name it has. */
void redo_add_removal(struct redo *r, const struct store_path *p,
    const char *file, const char *name);
/* Is anything waiting for the name? */
bool redo_has(struct redo *r, const char *name);
/* By who holds the name, in a disk worker: carries out what waits for it.
 * 0: nothing waits any more; -EIO. */
int redo_now(struct redo *r, const char *name);

/* The first row that was refused and still waits; 0: none. */
uint64_t redo_first(const struct redo *r);
/* One sentence that says so, for who waits for it. */
void redo_text(struct redo *r, char *out, size_t cap);

#endif
