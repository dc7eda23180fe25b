/* SPDX-License-Identifier: MIT */
/*
 * Appender files become normal ones: a name with the checksum of what is in
 * them (client-protocol 4.13), made here for a client or elsewhere, told by a
 * peer. The row is committed before the file moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "storaged/change.h"
#include "storaged/gone.h"
#include "storaged/handlers.h"

static const char *old_name(const struct op_flow *op)
{
	return op->replica ? op->other : op->name;
}

static const char *new_name(const struct op_flow *op)
{
	return op->replica ? op->name : op->fresh;
}

/* Reads the whole file and makes the new name (4.13). */
static int remake_step(struct op_flow *op)
{
	struct stat sb;
	struct fileid id = { .source = op->ctx->st->me.name_source };
	int fd = change_open(op, O_RDONLY, &sb);
	int rc;

	if (fd < 0)
		return fd;
	rc = fs_crc32(fd, &op->crc, &op->result);
	close(fd);
	if (rc < 0)
		return rc;
	id.time = (uint32_t)clock_wall_sec();
	id.size_field =
	    fileid_size_field(op->result, false, (uint32_t)store_random());
	id.crc = op->crc;
	fileid_remake(span_of(op->name), &id, op->fresh);
	return 0;
}

static void disk_path(const char *name, const char *suffix,
    char out[FILEID_DISK_MAX])
{
	struct fileid_name fn;

	(void)fileid_parse(span_of(name), &fn);
	(void)fileid_disk_path(&fn, suffix, out, FILEID_DISK_MAX);
}

/* Of a peer: is the new name free and the old one there? (cluster-protocol
 * 3.4) */
static int look_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	struct stat sb;

	disk_path(new_name(op), "", file);
	if (fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	disk_path(old_name(op), "", file);
	if (fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	op->result = (uint64_t)sb.st_size;
	op->crc = op->fn.has_record ? op->fn.id.crc : 0;
	return 0;
}

static bool is_there(const struct op_flow *op, const char *file)
{
	return faccessat(op->path->data_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) ==
	       0;
}

/* The file or, with a suffix, its metadata, if any. A peer may have sent the
 * metadata of the new name before: then they are the later ones. */
static int rename_one(const struct op_flow *op, const char *suffix, bool back)
{
	char from[FILEID_DISK_MAX];
	char to[FILEID_DISK_MAX];
	const int d = op->path->data_fd;
	int rc;

	disk_path(back ? new_name(op) : old_name(op), suffix, from);
	disk_path(back ? old_name(op) : new_name(op), suffix, to);
	if (op->replica && suffix[0] && !back && is_there(op, to))
		rc = unlinkat(d, from, 0);
	else
		rc = renameat(d, from, d, to);
	if (rc < 0 && !(suffix[0] && errno == ENOENT))
		return -errno;
	return rc == 0 && op->ctx->st->store.conf.full
	           ? op_sync_dir(op->path, to)
	           : 0;
}

/* All or nothing: who is told an error does not know the new name. */
static int rename_step(struct op_flow *op)
{
	int rc = rename_one(op, "-m", false);

	if (rc == 0)
		rc = rename_one(op, "", false);
	if (rc == 0)
		return 0;
	(void)rename_one(op, "", true);
	(void)rename_one(op, "-m", true);
	return rc;
}

static void rename_undone(struct op_flow *op)
{
	const int rc = op->undo.rc;

	if (op->rc < 0) {
		op->log.op.seq = op->undo.seq;
		op->rc = rc;
		op_not_applied(op);
	}
	op_reply(op, rc, NULL, 0);
}

/* The file has kept its name: the log is told so by a row that takes the first
 * one back. FastDFS answers a peer with the request, which no peer can use;
 * ours are told nothing (cluster-protocol chapter 8, 3). */
static void rename_answer(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc == 0) {
		gone_note(old_name(op), op_who(op));
		gone_forget(new_name(op));
	}
	if (op->rc == 0 && op->replica) {
		attr_settle(op);
		return;
	}
	if (op->rc == 0) {
		op_reply_name(op, 0, op->fresh);
		return;
	}
	op->undo.rc = op->rc;
	op->undo.seq = row->seq;
	row->name = span_of(old_name(op));
	row->extra = span_of(new_name(op));
	op_commit(op, rename_undone);
}

static void rename_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, OP_WRITE, rename_step, rename_answer);
}

static void rename_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	row->code = OP_RENAME;
	row->name = span_of(new_name(op));
	row->extra = span_of(old_name(op));
	row->size = op->result;
	row->crc = op->crc;
	op_commit(op, rename_apply);
}

static void regenerate_held(struct op_flow *op)
{
	op_disk(op, OP_HEAVY, remake_step, rename_commit);
}

static int regenerate_decoded(struct op_flow *op, const struct framer *f)
{
	if (op_set_name(op, f->held, FILEID_NAME_LEN, FILE_NAME_MAX) < 0)
		return -EINVAL;
	op_hold(op, regenerate_held);
	return 0;
}

static void both_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, look_step, rename_commit);
}

void rename_begin(struct op_flow *op)
{
	op_hold_both(op, both_held);
}

const struct handler handle_regenerate = { regenerate_decoded, NULL, N_STATS };
