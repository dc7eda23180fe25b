/* SPDX-License-Identifier: MIT */
/*
 * Changes of appender files: append, modify, truncate, regenerate
 * (client-protocol 4.5-4.7, 4.13).
 *
 * The content is first staged, whoever sends it and however slowly: up to
 * OP_INLINE_MAX bytes in the row itself, more in a temporary file that the row
 * names. Only when it is complete the name is held, the row committed, and the
 * content applied. After a crash recovery applies what the row holds or names
 * and drops staged files without a row. op.h says how a row tells the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "proto/msg.h"
#include "storaged/handlers.h"
#include "storaged/op.h"

#define HEAVY_PIECE 65536

static int set_name(struct op_flow *op, struct span name)
{
	return op_set_name(op, name, FILEID_NAME_LEN, FILE_NAME_MAX);
}

static bool names_appender(const struct op_flow *op)
{
	return op->fn.has_record && fileid_is_appender(&op->fn.id);
}

/* A missing file is told before its name is found to be no appender's. */
static int open_file(const struct op_flow *op, int flags, struct stat *sb)
{
	char file[FILEID_DISK_MAX];
	int fd;
	int rc = op_disk_path(op, "", file);

	memset(sb, 0, sizeof(*sb));
	if (rc < 0)
		return rc;
	fd = openat(op->path->data_fd, file, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == EISDIR ? -EINVAL : -errno;
	rc = fstat(fd, sb) < 0 ? -errno : 0;
	if (rc == 0 && (!S_ISREG(sb->st_mode) || !names_appender(op)))
		rc = -EINVAL;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static void fill_row(struct op_flow *op, enum op_code code)
{
	struct op *row = &op->log.op;

	row->code = code;
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

	return open_file(op, O_RDONLY, &sb);
}

static int stage_step(struct op_flow *op)
{
	int rc;

	if (!names_appender(op))
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

/* Where does it go, and how large will the file be? */
static int check_step(struct op_flow *op)
{
	struct stat sb;
	uint64_t end;
	int rc = 0;
	int fd = open_file(op, O_WRONLY, &sb);

	if (fd < 0)
		return fd;
	if (op->handler == &handle_append)
		op->offset = (uint64_t)sb.st_size;
	else if (op->offset > (uint64_t)sb.st_size)
		rc = -EINVAL;
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
	int fd = open_file(op, O_WRONLY, &sb);

	if (fd < 0)
		return fd;
	if (op->text)
		rc = fs_pwrite_all(fd, op->text + 1, op->text_n - 1,
		    (off_t)op->offset);
	else
		rc = copy_staged(op, fd);
	if (rc == 0 && op->ctx->st->store.conf.full)
		rc = fsync(fd) < 0 ? -errno : 0;
	if (rc < 0)
		cut_back(fd, &sb);
	close(fd);
	return rc;
}

static void change_answer(struct op_flow *op)
{
	struct counters *n = &op->ctx->counters;
	enum stat_index bytes = op->handler == &handle_append
	                            ? STAT_total_append_bytes
	                            : STAT_total_modify_bytes;

	if (op->rc < 0)
		op_not_applied(op);
	count_op(n, STAT_total_file_write_count, op->rc);
	count_add(n, bytes, (int64_t)op->size);
	if (op->rc == 0) {
		count_add(n, (enum stat_index)(bytes + 1), (int64_t)op->size);
		count_set(n, STAT_last_source_update, clock_wall_sec());
	}
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
	bool append = op->handler == &handle_append;

	if (op->rc < 0 || op->size == 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	fill_row(op, append ? OP_APPEND : OP_MODIFY);
	op_commit(op, change_apply);
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

static int change_content(struct op_flow *op)
{
	op_disk(op, op->piece_n >= HEAVY_PIECE ? OP_HEAVY : OP_WRITE,
	    stage_step, staged);
	return 0;
}

static int change_begin(struct op_flow *op, int64_t size)
{
	if (size < 0 || (uint64_t)size != op->size)
		return -EINVAL;
	if (op->size == 0)
		op_hold(op, change_check);
	return 0;
}

static int append_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_append m;

	if (msg_decode(&MSG(append), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0)
		return -EINVAL;
	return change_begin(op, m.size);
}

static int modify_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_modify m;

	if (msg_decode(&MSG(modify), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0 || m.offset < 0)
		return -EINVAL;
	op->offset = (uint64_t)m.offset;
	return change_begin(op, m.size);
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

static int truncate_check(struct op_flow *op)
{
	struct stat sb;
	int fd = open_file(op, O_RDONLY, &sb);

	if (fd < 0)
		return fd;
	close(fd);
	op->offset = (uint64_t)sb.st_size;
	return op->result > op->offset ? can_be_so_large(op) : 0;
}

static int truncate_step(struct op_flow *op)
{
	struct stat sb;
	int fd = open_file(op, O_WRONLY, &sb);
	int rc;

	if (fd < 0)
		return fd;
	rc = ftruncate(fd, (off_t)op->result) < 0 ? -errno : 0;
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
	fill_row(op, OP_TRUNCATE);
	op_commit(op, truncate_apply);
}

static void truncate_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, truncate_check, truncate_commit);
}

static int truncate_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_truncate m;

	if (msg_decode(&MSG(truncate), f->held.p, f->held.n, &m, NULL) < 0 ||
	    set_name(op, m.name) < 0 || m.size < 0)
		return -EINVAL;
	op->result = (uint64_t)m.size;
	op_hold(op, truncate_held);
	return 0;
}

/* --- regenerate --- */

/* Reads the whole file and makes the new name (4.13). */
static int remake_step(struct op_flow *op)
{
	struct stat sb;
	struct fileid id = { .source = op->ctx->st->me.name_source };
	int fd = open_file(op, O_RDONLY, &sb);
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
	str_copy(op->other, sizeof(op->other), op->name);
	fileid_remake(span_of(op->other), &id, op->fresh);
	return 0;
}

/* The file or, with a suffix, its metadata, if any. */
static int rename_one(const struct op_flow *op, const char *suffix, bool back)
{
	char old[FILEID_DISK_MAX];
	char fresh[FILEID_DISK_MAX];
	struct fileid_name new_name;
	const int d = op->path->data_fd;
	int rc;

	(void)fileid_parse(span_of(op->fresh), &new_name);
	op_disk_path(op, suffix, old);
	fileid_disk_path(&new_name, suffix, fresh, sizeof(fresh));
	rc = back ? renameat(d, fresh, d, old) : renameat(d, old, d, fresh);
	if (rc < 0 && !(suffix[0] && errno == ENOENT))
		return -errno;
	return rc == 0 && op->ctx->st->store.conf.full
	           ? op_sync_dir(op->path, back ? old : fresh)
	           : 0;
}

/* All or nothing: a client that is told an error does not know the new name. */
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

static void regenerate_undone(struct op_flow *op)
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
 * one back. */
static void regenerate_answer(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc == 0) {
		op_reply_name(op, 0, op->fresh);
		return;
	}
	op->undo.rc = op->rc;
	op->undo.seq = row->seq;
	row->name = span_of(op->name);
	row->extra = span_of(op->fresh);
	op_commit(op, regenerate_undone);
}

static void regenerate_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, OP_WRITE, rename_step, regenerate_answer);
}

static void regenerate_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	row->code = OP_RENAME;
	row->name = span_of(op->fresh);
	row->extra = span_of(op->name);
	row->size = op->result;
	row->crc = op->crc;
	op_commit(op, regenerate_apply);
}

static void regenerate_held(struct op_flow *op)
{
	op_disk(op, OP_HEAVY, remake_step, regenerate_commit);
}

static int regenerate_decoded(struct op_flow *op, const struct framer *f)
{
	if (set_name(op, f->held) < 0)
		return -EINVAL;
	op_hold(op, regenerate_held);
	return 0;
}

const struct handler handle_append = { append_decoded, change_content,
	STAT_total_append_count };
const struct handler handle_modify = { modify_decoded, change_content,
	STAT_total_modify_count };
const struct handler handle_truncate = { truncate_decoded, NULL,
	STAT_total_truncate_count };
const struct handler handle_regenerate = { regenerate_decoded, NULL, N_STATS };
