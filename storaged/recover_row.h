/* SPDX-License-Identifier: MIT */
/*
 * One row of the log is carried out on the disk again, whether all, some or
 * nothing of it was done before. For recovery (recover.h), and for what a disk
 * refused while the daemon runs (redo.h), whose caller holds the name.
 */
#ifndef STORAGED_RECOVER_ROW_H
#define STORAGED_RECOVER_ROW_H

#include "meta/oplog.h"
#include "storaged/store.h"

/* Does the row name a staged file? Others have a master there, or nothing. */
bool recover_is_staged(const struct op *op);
/* refused: it is known that it was not carried out. 1 done now, 0 there was
 * nothing to do, -ENODATA: what is needed for it is gone for good (the file,
 * or what was staged), other -errno: the disk refuses. */
int recover_row(struct stores *s, const struct op *op, bool refused);
/* What was staged for it is of no use. */
void recover_drop_staged(struct stores *s, const struct op *op);

#endif
