/* SPDX-License-Identifier: MIT */
/*
 * What peers have done and tell us (cluster-protocol 3.4): decoding and the
 * checks that all commands have in common. On the loop of the operation.
 */
#ifndef STORAGED_APPLY_H
#define STORAGED_APPLY_H

#include "storaged/op.h"

/* A message's common fields: the time of the record and the group. */
struct apply_head {
	int32_t time;
	const char *group;
};

/* Checks the group and the name; then the operation is a replica and has that
 * name. 0 or -EINVAL, which closes the connection. */
int apply_begin(struct op_flow *op, struct apply_head head, struct span name);
/* Checks a further name and has it in op->other; *fn points into that. Before
 * apply_begin. 0 or -EINVAL. */
int apply_other(struct op_flow *op, struct span name, struct fileid_name *fn);
/* Is what stands under a name sure to be recorded? */
bool apply_has_row(const struct op_flow *op);

#endif
