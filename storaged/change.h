/* SPDX-License-Identifier: MIT */
/*
 * What the commands of clients and those of peers have in common once they are
 * decoded: changes of a file's content, its name, its metadata, its removal.
 * Each begins with the operation's name set and ends with the answer; what
 * differs for a peer hangs on op->replica. Called on the loop of the operation.
 */
#ifndef STORAGED_CHANGE_H
#define STORAGED_CHANGE_H

#include <sys/stat.h>

#include "storaged/op.h"

/* change.c. Append or modify: op->offset is where (append of a client: found
 * out), size what the message says the content is; -EINVAL when that is not
 * what comes. */
int change_begin(struct op_flow *op, enum op_code code, int64_t size);
/* handler.content of both. */
int change_content(struct op_flow *op);
/* To op->result bytes; of a peer: from op->offset bytes. */
void change_truncate(struct op_flow *op);

/* The file of op->name, if it is one that may be changed: a descriptor, or
 * -ENOENT, -EINVAL (of a peer: -EEXIST). For steps. */
int change_open(const struct op_flow *op, int flags, struct stat *sb);

/* rename.c. Of a peer: op->other becomes op->name, both on op->path. */
void rename_begin(struct op_flow *op);

#define ATTR_MAX 262144 /* bytes of metadata of a file */

/* attr.c. With the name held: op->text, when op->rc is 0, is committed as the
 * metadata of op->name and written; the answer. */
void attr_commit(struct op_flow *op);
/* A step before it: a disk that is nearly full must take the text first. */
int attr_reserve(struct op_flow *op);
/* The answer to a peer whose file is there now, op->rc: metadata that came
 * before it is recorded once more (early.h). */
void attr_settle(struct op_flow *op);

/* remove.c */
void remove_begin(struct op_flow *op);

#endif
