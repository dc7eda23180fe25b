/* SPDX-License-Identifier: MIT */
/*
 * What a peer has appended (25), overwritten (35) or cut off (37); change.c has
 * the steps.
 */
#include <errno.h>

#include "proto/msg.h"
#include "storaged/apply.h"
#include "storaged/change.h"
#include "storaged/handlers.h"

static int write_decoded(struct op_flow *op, const struct framer *f,
    enum op_code code)
{
	struct msg_sync_write m;
	int rc;

	if (msg_decode(&MSG(sync_write), f->held.p, f->held.n, &m, NULL) < 0 ||
	    m.offset < 0)
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	op->offset = (uint64_t)m.offset;
	return rc < 0 ? rc : change_begin(op, code, m.size);
}

static int append_decoded(struct op_flow *op, const struct framer *f)
{
	return write_decoded(op, f, OP_APPEND);
}

static int modify_decoded(struct op_flow *op, const struct framer *f)
{
	return write_decoded(op, f, OP_MODIFY);
}

static int truncate_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_sync_truncate m;
	int rc =
	    msg_decode(&MSG(sync_truncate), f->held.p, f->held.n, &m, NULL);

	if (rc < 0 || m.old_size < 0 || m.new_size < 0)
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	op->offset = (uint64_t)m.old_size;
	op->result = (uint64_t)m.new_size;
	if (rc == 0)
		change_truncate(op);
	return rc;
}

const struct handler handle_sync_append = { append_decoded, change_content,
	N_STATS };
const struct handler handle_sync_modify = { modify_decoded, change_content,
	N_STATS };
const struct handler handle_sync_truncate = { truncate_decoded, NULL, N_STATS };
