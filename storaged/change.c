/* SPDX-License-Identifier: MIT */
/*
 * The steps of append, modify and truncate (client-protocol 4.5-4.7,
 * cluster-protocol 3.4), the same for clients and peers but for what is asked
 * of the file.
 *
 * The content is first staged, whoever sends it and however slowly: up to
 * OP_INLINE_MAX bytes in the row itself, more in a temporary file that the row
 * names. Only when it is complete the name is held, the row committed, and the
 * content applied. After a crash recovery applies what the row holds or names
 * and drops staged files without a row. op.h says how a row tells the two.
 */
#include "storaged/change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"

#define HEAVY_PIECE 65536

static bool names_appender(const struct op_flow *op)
{
	return op->fn.has_record && fileid_is_appender(&op->fn.id);
}

/* What a client may not change, and what a peer changes elsewhere. */
static int check_kind(const struct op_flow *op, const struct stat *sb)
{
	if (op->replica)
		return S_ISREG(sb->st_mode) ? 0 : -EEXIST;
	return S_ISREG(sb->st_mode) && names_appender(op) ? 0 : -EINVAL;
}

/* A missing file is told before its name is found to be no appender's. */
int change_open(const struct op_flow *op, int flags, struct stat *sb)
{
	char file[FILEID_DISK_MAX];
	int fd;
	int rc = op_disk_path(op, "", file);

	memset(sb, 0, sizeof(*sb));
	if (rc < 0)
		return rc;
	if (op->replica)
		flags |= O_NOFOLLOW;
	fd = openat(op->path->data_fd, file, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && op->replica && (errno == EISDIR || errno == ELOOP))
		return -EEXIST;
	if (fd < 0)
		return errno == EISDIR ? -EINVAL : -errno;
	rc = fstat(fd, sb) < 0 ? -errno : check_kind(op, sb);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static void fill_row(struct op_flow *op)
{
	struct op *row = &op->log.op;

	row->code = op->code;
	row->name = span_of(op->name);
	row->size = op->result;
	row->offset = op->offset;
	row->bytes = op->size;
	row->crc = op->crc;
	row->extra = op->text ? (struct span){ op->text, op->text_n }
	                      : span_of(op->temp);
}

/* --- append, modify --- */

static bool fits_row(const struct op_flow *op)
{
	return op->size <= OP_INLINE_MAX && op->done == 0 && op->last;
}

/* The row carries the content: a letter, then the bytes. */
static int stage_in_row(struct op_flow *op)
{
	op->text = malloc(op->piece_n + 1);
	if (!op->text)
		return -ENOMEM;
	op->text[0] = OP_CONTENT_INLINE;
	memcpy(op->text + 1, op->piece, op->piece_n);
	op->text_n = op->piece_n + 1;
	op->crc = sum_crc32(0, op->piece, op->piece_n);
	op->done = op->piece_n;
	return 0;
}

/* Content for what cannot take it: is the file missing, or no appender? */
static int refuse_step(struct op_flow *op)
{
	struct stat sb;

	return change_open(op, O_RDONLY, &sb);
}

static int stage_step(struct op_flow *op)
{
	int rc;

	if (!op->replica && !names_appender(op))
		return refuse_step(op);
	if (fits_row(op))
		return stage_in_row(op);
	rc = op_write_temp(op);

	if (rc == 0 && op->last && op->ctx->st->store.conf.full)
		rc = fsync(op->fd) < 0 ? -errno : 0;
	return rc;
}

/* What is committed must fit: a full disk is found out before. */
static int reserve_range(int fd, const struct op_flow *op)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)op->offset,
	        (off_t)op->size) == 0 ||
	    errno == EOPNOTSUPP)
		return 0;
	return -errno;
}

static int check_client(struct op_flow *op, uint64_t size)
{
	if (op->code == OP_APPEND)
		op->offset = size;
	return op->offset > size ? -EINVAL : 0;
}

/* Is the file as it was at the peer, or is the change in it already? When
 * neither, the peer is told that it is missing and sends the whole file. */
static int check_peer(const struct op_flow *op, uint64_t size)
{
	if (op->code == OP_MODIFY)
		return size >= op->offset ? 0 : -ENOENT;
	if (size == op->offset)
		return 0;
	return size >= op->offset + op->size ? -EEXIST : -ENOENT;
}

/* Where does it go, and how large will the file be? */
static int check_step(struct op_flow *op)
{
	struct stat sb;
	uint64_t end;
	int rc;
	int fd = change_open(op, O_WRONLY, &sb);

	if (fd < 0)
		return fd;
	rc = op->replica ? check_peer(op, (uint64_t)sb.st_size)
	                 : check_client(op, (uint64_t)sb.st_size);
	if (rc == 0 && op->size > 0 && store_tight(op->path))
		rc = reserve_range(fd, op);
	close(fd);
	end = op->offset + op->size;
	op->result = end > (uint64_t)sb.st_size ? end : (uint64_t)sb.st_size;
	return rc;
}

static int copy_staged(const struct op_flow *op, int to)
{
	off_t from = 0;
	off_t at = (off_t)op->offset;
	uint64_t left = op->size;

	while (left > 0) {
		ssize_t n =
		    copy_file_range(op->fd, &from, to, &at, (size_t)left, 0);

		if (n <= 0)
			return n ? -errno : -EIO;
		left -= (uint64_t)n;
	}
	return 0;
}

/* What the disk refused leaves nothing behind the old end. */
static void cut_back(int fd, const struct stat *before)
{
	struct stat sb;

	if (fstat(fd, &sb) == 0 && sb.st_size > before->st_size &&
	    ftruncate(fd, before->st_size) < 0)
		log_warn("cut_back_failed", "size=%lld: %s",
		    (long long)before->st_size, errstr(-errno));
}

static int apply_step(struct op_flow *op)
{
	struct stat sb;
	int rc;
	int fd = change_open(op, O_WRONLY, &sb);

	if (fd < 0)
		return fd;
	if (op->text)
		rc = fs_pwrite_all(fd, op->text + 1, op->text_n - 1,
		    (off_t)op->offset);
	else
		rc = copy_staged(op, fd);
	op_set_mtime(op, fd);
	if (rc == 0 && op->ctx->st->store.conf.full)
		rc = fsync(fd) < 0 ? -errno : 0;
	if (rc < 0)
		cut_back(fd, &sb);
	close(fd);
	return rc;
}

static void count_client(struct op_flow *op)
{
	struct counters *n = &op->ctx->counters;
	enum stat_index bytes = op->code == OP_APPEND ? STAT_total_append_bytes
	                                              : STAT_total_modify_bytes;

	count_add(n, bytes, (int64_t)op->size);
	if (op->rc < 0)
		return;
	count_add(n, (enum stat_index)(bytes + 1), (int64_t)op->size);
	count_set(n, STAT_last_source_update, clock_wall_sec());
}

static void change_answer(struct op_flow *op)
{
	if (op->rc < 0)
		op_not_applied(op);
	count_op(&op->ctx->counters, STAT_total_file_write_count, op->rc);
	if (!op->replica)
		count_client(op);
	op_reply(op, op->rc, NULL, 0);
}

static void change_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, op->size >= HEAVY_PIECE ? OP_HEAVY : OP_WRITE,
		    apply_step, change_answer);
}

static void change_commit(struct op_flow *op)
{
	if (op->rc < 0 || op->size == 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	fill_row(op);
	op_commit_apart(op, change_apply);
}

static void change_check(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, check_step, change_commit);
}

static void staged(struct op_flow *op)
{
	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	op_piece_done(op);
	if (op->last)
		op_hold(op, change_check);
}

int change_content(struct op_flow *op)
{
	op_disk(op, op->piece_n >= HEAVY_PIECE ? OP_HEAVY : OP_WRITE,
	    stage_step, staged);
	return 0;
}

int change_begin(struct op_flow *op, enum op_code code, int64_t size)
{
	if (size < 0 || (uint64_t)size != op->size)
		return -EINVAL;
	op->code = code;
	if (op->size == 0)
		op_hold(op, change_check);
	return 0;
}

/* --- truncate --- */

/* File systems have a largest size, known only to them: asked for before the
 * row is committed, of a file without a name. */
static int can_be_so_large(const struct op_flow *op)
{
	int fd = openat(op->path->data_fd, STORE_INCOMING,
	    O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	rc = ftruncate(fd, (off_t)op->result) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* What a peer has truncated is that long only where it was as long before. A
 * file that is missing comes whole (cluster-protocol 3.6). */
static int truncate_check(struct op_flow *op)
{
	struct stat sb;
	int fd = change_open(op, O_RDONLY, &sb);

	if (fd < 0)
		return op->replica && fd == -ENOENT ? -EEXIST : fd;
	close(fd);
	if (op->replica && op->offset != (uint64_t)sb.st_size)
		return -EEXIST;
	op->offset = (uint64_t)sb.st_size;
	return op->result > op->offset ? can_be_so_large(op) : 0;
}

static int truncate_step(struct op_flow *op)
{
	struct stat sb;
	int fd = change_open(op, O_WRONLY, &sb);
	int rc;

	if (fd < 0)
		return fd;
	rc = ftruncate(fd, (off_t)op->result) < 0 ? -errno : 0;
	op_set_mtime(op, fd);
	if (rc == 0 && op->ctx->st->store.conf.full)
		rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static void truncate_answer(struct op_flow *op)
{
	if (op->rc < 0)
		op_not_applied(op);
	op_reply(op, op->rc, NULL, 0);
}

static void truncate_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, OP_WRITE, truncate_step, truncate_answer);
}

static void truncate_commit(struct op_flow *op)
{
	if (op->rc < 0 || op->result == op->offset) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	fill_row(op);
	op_commit_apart(op, truncate_apply);
}

static void truncate_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, truncate_check, truncate_commit);
}

void change_truncate(struct op_flow *op)
{
	op->code = OP_TRUNCATE;
	op_hold(op, truncate_held);
}
