/* SPDX-License-Identifier: MIT */
/*
 * Delete (client-protocol 4.8, cluster-protocol 3.4): the row is committed
 * first, then the file goes with its metadata. A crash in between is finished
 * by recovery. The row says whether there was metadata, for the peers that
 * delete it by its own name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/msg.h"
#include "storaged/change.h"
#include "storaged/gone.h"
#include "storaged/handlers.h"

/* op->flag: what the name turned out to be. */
enum { IS_FILE, IS_LINK, IS_META };

static bool names_metadata(const struct op_flow *op)
{
	return fileid_is_side(span_of(op->name));
}

static int look_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	struct stat sb;
	int rc = op_disk_path(op, "", file);

	if (rc < 0)
		return rc;
	if (fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(sb.st_mode))
		return -EINVAL;
	op->result = (uint64_t)sb.st_size;
	if (names_metadata(op))
		op->flag = IS_META;
	else
		op->flag = S_ISLNK(sb.st_mode) ? IS_LINK : IS_FILE;
	op->has_meta =
	    op->flag != IS_META && op_disk_path(op, "-m", file) == 0 &&
	    fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) == 0;
	return 0;
}

/* A slave made as a link: its target is a file of its own that goes, too. (A
 * peer deletes both by name.) */
static void remove_target(const struct op_flow *op, const char *file)
{
	char target[PATH_MAX];
	ssize_t n =
	    readlinkat(op->path->data_fd, file, target, sizeof(target) - 1);

	if (n <= 0)
		return;
	target[n] = 0;
	(void)unlink(target);
}

static int remove_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int rc = op_disk_path(op, "", file);

	if (rc < 0)
		return rc;
	if (op->flag == IS_LINK && !op->replica)
		remove_target(op, file);
	if (unlinkat(op->path->data_fd, file, 0) < 0 && errno != ENOENT)
		return -errno;
	if (op->flag != IS_META && op_disk_path(op, "-m", file) == 0 &&
	    unlinkat(op->path->data_fd, file, 0) < 0 && errno != ENOENT)
		return -errno;
	return op->ctx->st->store.conf.full ? op_sync_dir(op->path, file) : 0;
}

static void remove_answer(struct op_flow *op)
{
	if (op->rc == 0 && op->flag != IS_META)
		gone_note(op->name, op_who(op));
	if (op->rc < 0)
		op_not_applied(op);
	else if (!op->replica)
		count_set(&op->ctx->counters, STAT_last_source_update,
		    clock_wall_sec());
	op_reply(op, op->rc, NULL, 0);
}

static void remove_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, OP_WRITE, remove_step, remove_answer);
}

static void remove_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	/* The catalogue has files that a lost disk had and nobody gave: they
	 * may have been deleted elsewhere meanwhile, and this is the news. */
	if (op->replica && op->rc == -ENOENT && !names_metadata(op) &&
	    op->ctx->st->lost_files) {
		op->flag = IS_FILE;
		op->rc = 0;
	}
	if (op->rc < 0) {
		/* It may be still on its way from another peer. */
		if (op->replica && op->rc == -ENOENT && !names_metadata(op))
			gone_note(op->name, op_who(op));
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	row->code = OP_DELETE;
	row->name = span_of(op->name);
	row->size = op->result;
	if (op->has_meta)
		row->extra = span_of(OP_WITH_META);
	if (op->flag == IS_META) {
		/* The metadata of the file without "-m" is set to nothing. */
		row->code = OP_SET_META;
		row->name.n -= 2;
		row->size = 0;
	}
	op_commit_apart(op, remove_apply);
}

static void remove_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, look_step, remove_commit);
}

void remove_begin(struct op_flow *op)
{
	op_hold(op, remove_held);
}

static int remove_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_file_ref m;

	if (msg_decode(&MSG(file_ref), f->held.p, f->held.n, &m, NULL) < 0 ||
	    op_check_group(op, m.group) < 0 ||
	    op_set_name(op, m.name, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	remove_begin(op);
	return 0;
}

const struct handler handle_delete = { remove_decoded, NULL,
	STAT_total_delete_count };
