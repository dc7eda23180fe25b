/* SPDX-License-Identifier: MIT */
/*
 * Changes of appender files by clients: append, modify, truncate
 * (client-protocol 4.5-4.7). change.c has the steps.
 */
#include <errno.h>

#include "proto/msg.h"
#include "storaged/change.h"
#include "storaged/handlers.h"

static int set_name(struct op_flow *op, struct span name)
{
	return op_set_name(op, name, FILEID_NAME_LEN, FILE_NAME_MAX);
}

static int append_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_append m;

	if (msg_decode(&MSG(append), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0)
		return -EINVAL;
	return change_begin(op, OP_APPEND, m.size);
}

static int modify_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_modify m;

	if (msg_decode(&MSG(modify), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0 || m.offset < 0)
		return -EINVAL;
	op->offset = (uint64_t)m.offset;
	return change_begin(op, OP_MODIFY, m.size);
}

static int truncate_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_truncate m;

	if (msg_decode(&MSG(truncate), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0 || m.size < 0)
		return -EINVAL;
	op->result = (uint64_t)m.size;
	change_truncate(op);
	return 0;
}

const struct handler handle_append = { append_decoded, change_content,
	STAT_total_append_count };
const struct handler handle_modify = { modify_decoded, change_content,
	STAT_total_modify_count };
const struct handler handle_truncate = { truncate_decoded, NULL,
	STAT_total_truncate_count };
