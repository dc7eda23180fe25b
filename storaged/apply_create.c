/* SPDX-License-Identifier: MIT */
/*
 * Files that a peer sends whole: new ones (16), and ones that replace what may
 * be here (18). Their metadata "<name>-m" comes the same way and becomes a row
 * of the file, like metadata that a client sets.
 *
 * A small file that is not there yet is written under its name at once, as
 * uploads are, and then recorded. A longer one, and one that replaces, is
 * staged; its row names the staged file, and then it takes its name. Recovery
 * renames it when a crash came in between.
 *
 * A file of the same size that is here already is the one that is meant: it is
 * not recorded again. That it has a row is certain: recovery records or moves
 * away what a crash has left without one, and nobody asks before that. Only a
 * disk that refuses to take a new file back leaves one; from then on to the
 * next start files that are here already are stored and recorded again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sum.h"
#include "proto/msg.h"
#include "storaged/apply.h"
#include "storaged/change.h"
#include "storaged/early.h"
#include "storaged/gone.h"
#include "storaged/handlers.h"

#define HEAVY_PIECE 65536
#define GATHER_MAX  65536 /* put together in memory when it comes in pieces */

/* The header's status: it is there already, there is no content. */
#define STATUS_THERE EEXIST

/* op->flag */
#define IS_META  'm' /* metadata of op->name */
#define IS_KNOWN 'k' /* what comes is here, and not looked at */

/* Was it deleted here? Then the peer is told so, too, or was, and this comes
 * late. */
static bool stays_gone(const struct op_flow *op)
{
	char file[FILEID_DISK_MAX];

	return gone_for(op->name, op_who(op)) &&
	       op_disk_path(op, "", file) == 0 &&
	       faccessat(op->path->data_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) <
	           0 &&
	       errno == ENOENT;
}

/* A new file that is here in the same size is left as it is. */
static int look(const struct op_flow *op, const char *suffix)
{
	char file[FILEID_DISK_MAX];
	struct stat sb;
	int rc = op_disk_path(op, suffix, file);

	if (rc == 0 && stays_gone(op))
		return -EEXIST;
	if (rc < 0 || op->handler != &handle_sync_create)
		return rc;
	if (fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(sb.st_mode) && (uint64_t)sb.st_size == op->size ? -EEXIST
	                                                               : 0;
}

/* --- recorded, and under its name --- */

static int publish_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	const int d = op->path->data_fd;
	int rc = op_disk_path(op, "", file);

	if (rc < 0)
		return rc;
	if (renameat(d, op->temp, d, file) < 0)
		return -errno;
	op->temp[0] = 0;
	return op->ctx->st->store.conf.full ? op_sync_dir(op->path, file) : 0;
}

static void create_answer(struct op_flow *op)
{
	if (op->rc < 0)
		op_not_applied(op);
	attr_settle(op);
}

static void create_publish(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];

	if (op->rc == 0 && op->temp[0]) {
		op_disk(op, OP_WRITE, publish_step, create_answer);
		return;
	}
	op_disk_path(op, "", file);
	if (op->rc < 0 && !op->temp[0])
		op_remove_new(op, file);
	attr_settle(op);
}

static void create_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc != -EEXIST)
		count_op(&op->ctx->counters, STAT_total_file_write_count,
		    op->rc);
	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	op_piece_done(op);
	row->code = OP_CREATE;
	row->name = span_of(op->name);
	row->size = row->bytes = op->done;
	row->crc = op->crc;
	row->extra = span_of(op->temp);
	if (op->temp[0])
		op_commit(op, create_publish);
	else
		op_commit_apart(op, create_publish);
}

/* --- small files --- */

/* The content is staged and whole. */
static int settle_temp(const struct op_flow *op)
{
	op_set_mtime(op, op->fd);
	if (op->ctx->st->store.conf.full && fsync(op->fd) < 0)
		return -errno;
	return 0;
}

static int replace_step(struct op_flow *op)
{
	int rc = look(op, "");

	if (rc == 0)
		rc = op_write_temp(op);
	return rc == 0 ? settle_temp(op) : rc;
}

static int whole_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int rc = op_disk_path(op, "", file);
	int fd;

	if (rc < 0)
		return rc;
	if (stays_gone(op))
		return -EEXIST;
	fd = openat(op->path->data_fd, file,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? replace_step(op) : -errno;
	rc = fs_write_all(fd, op->piece, op->piece_n);
	if (rc == 0) {
		op_set_mtime(op, fd);
		rc = op_sync_new(op, fd, file);
	}
	close(fd);
	if (rc < 0)
		op_remove_new(op, file);
	op->crc = sum_crc32(0, op->piece, op->piece_n);
	op->done = op->piece_n;
	return rc;
}

static void whole_held(struct op_flow *op)
{
	op_disk(op, op->piece_n >= HEAVY_PIECE ? OP_HEAVY : OP_WRITE,
	    whole_step, create_commit);
}

/* --- long files --- */

static int staged_step(struct op_flow *op)
{
	return look(op, "");
}

static void staged_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, staged_step, create_commit);
}

/* The first piece finds out whether the others are needed. */
static int part_step(struct op_flow *op)
{
	int rc = op->done == 0 ? look(op, "") : 0;

	if (rc == -EEXIST) {
		op->flag = IS_KNOWN;
		return 0;
	}
	if (rc == 0)
		rc = op_write_temp(op);
	return rc == 0 && op->last ? settle_temp(op) : rc;
}

static void part_next(struct op_flow *op)
{
	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	op_piece_done(op);
	if (op->last)
		op_hold(op, staged_held);
}

/* --- metadata --- */

static int meta_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int rc = look(op, "-m");

	if (rc == 0)
		rc = op_disk_path(op, "", file);
	if (rc < 0)
		return rc;
	if (faccessat(op->path->data_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		early_note(op->name);
	return attr_reserve(op);
}

static void meta_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, meta_step, attr_commit);
}

/* --- content --- */

/* Puts small content together that comes in pieces, and metadata, which must
 * last until it is recorded. 1: it is whole; 0: more must come. */
static int gather(struct op_flow *op)
{
	if (op->last && !op->text && op->flag != IS_META)
		return 1;
	if (!op->text)
		op->text = malloc((size_t)op->size + 1);
	if (!op->text)
		return -ENOMEM;
	if (op->piece_n)
		memcpy(op->text + op->text_n, op->piece, op->piece_n);
	op->text_n += op->piece_n;
	if (!op->last)
		return 0;
	op->piece = (const uint8_t *)op->text;
	op->piece_n = op->text_n;
	return 1;
}

static bool is_long(const struct op_flow *op)
{
	return op->text == NULL && !(op->last && op->done == 0) &&
	       op->size > GATHER_MAX && op->flag != IS_META;
}

static int create_content(struct op_flow *op)
{
	int rc;

	if (op->flag == IS_KNOWN)
		return op->last ? -EEXIST : 0;
	if (is_long(op)) {
		/* One connection a peer, so this holds up nobody for long, and
		 * twice as much gets through as by way of a worker. */
		op_disk(op, OP_WRITE, part_step, part_next);
		return 0;
	}
	rc = gather(op);
	if (rc <= 0)
		return rc;
	if (op->flag == IS_META)
		op->piece = NULL;
	else if (op->size <= GATHER_MAX)
		rc = op_apart_if_slow(op);
	if (rc < 0)
		return rc;
	op_hold(op, op->flag == IS_META ? meta_held : whole_held);
	return 0;
}

/* "<name>-m": the operation is one of <name>. */
static int name_meta(struct op_flow *op)
{
	char name[OP_NAME_SIZE];

	if (!fileid_is_side(span_of(op->name)))
		return 0;
	str_copy(name, sizeof(name), op->name);
	op->flag = IS_META;
	if (op_set_name(op, fileid_owner(span_of(name)), 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	return op->size > ATTR_MAX ? -EFBIG : 0;
}

static int create_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_sync_create m;
	bool there = f->header.status == STATUS_THERE &&
	             op->handler == &handle_sync_create;
	int rc;

	if (msg_decode(&MSG(sync_create), f->held.p, f->held.n, &m, NULL) < 0 ||
	    m.size < 0 || op->size != (there ? 0 : (uint64_t)m.size))
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	if (rc == 0)
		rc = there ? -EEXIST : name_meta(op);
	if (rc == 0 && op->size == 0) {
		op->last = true;
		rc = create_content(op);
	}
	return rc;
}

const struct handler handle_sync_create = { create_decoded, create_content,
	N_STATS };
const struct handler handle_sync_update = { create_decoded, create_content,
	N_STATS };
