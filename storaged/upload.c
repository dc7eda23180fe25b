/* SPDX-License-Identifier: MIT */
/*
 * New files: normal, appender and slave uploads (client-protocol 4.2-4.4).
 *
 * A body that is here in one piece is written under its final name at once:
 * its checksum is known, so no rename is needed. A longer one is collected in
 * a temporary file and renamed when the last byte is there. Either way the row
 * is committed next, then the client is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sum.h"
#include "proto/msg.h"
#include "storaged/handlers.h"
#include "storaged/op.h"

#define NAME_TRIES  10
#define HEAVY_PIECE 65536

/* op->flag */
#define IS_APPENDER   'a'
#define NO_SLAVE_NAME 'n' /* refused when its master is there */

/* The clock that file times are taken from, so that the time in the name is
 * the file's. */
static int64_t file_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts.tv_sec;
}

static bool is_slave(const struct op_flow *op)
{
	return op->other[0] != 0;
}

/* Makes op->name for content of op->done bytes with op->crc. */
static void make_name(struct op_flow *op)
{
	uint64_t random = store_random();
	struct fileid id = {
		.source = op->ctx->st->me.name_source,
		.time = (uint32_t)op->mtime,
		.size_field = fileid_size_field(op->done,
		    op->flag == IS_APPENDER, (uint32_t)random),
		.crc = op->crc,
	};

	fileid_make(&id, op->place, span_of(op->ext), (uint32_t)(random >> 32),
	    op->name);
	(void)fileid_parse(span_of(op->name), &op->fn);
}

/* The name's time and the file's shall be the same second. */
static void settle_mtime(const struct op_flow *op, int fd)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { (time_t)op->mtime, 0 } };

	if (file_clock() != op->mtime)
		(void)futimens(fd, t);
}

static int create_final(struct op_flow *op, char *file)
{
	int fd = -1;

	for (int i = 0; i < NAME_TRIES; i++) {
		if (!is_slave(op))
			make_name(op);
		op_disk_path(op, "", file);
		fd = openat(op->path->data_fd, file,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd >= 0 || errno != EEXIST || is_slave(op))
			break;
	}
	return fd < 0 ? -errno : fd;
}

/* In one piece: straight under the final name. */
static int write_whole(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int fd;
	int rc = 0;

	op->mtime = file_clock();
	op->crc = sum_crc32(0, op->piece, op->piece_n);
	op->done = op->piece_n;
	fd = create_final(op, file);
	if (fd < 0)
		return fd;
	if (op->piece_n)
		rc = fs_write_all(fd, op->piece, op->piece_n);
	if (rc == 0) {
		settle_mtime(op, fd);
		rc = op_sync_new(op, fd, file);
	}
	close(fd);
	if (rc < 0)
		op_remove_new(op, file);
	return rc;
}

/* Never over another file; not every file system knows the flag. */
static int move_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (linkat(dir, from, dir, to, 0) < 0)
		return -errno;
	(void)unlinkat(dir, from, 0);
	return 0;
}

static int publish_temp(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int rc = -EEXIST;

	op->mtime = file_clock();
	for (int i = 0; i < NAME_TRIES && rc == -EEXIST; i++) {
		if (!is_slave(op))
			make_name(op);
		op_disk_path(op, "", file);
		rc = move_new(op->path->data_fd, op->temp, file);
		if (is_slave(op))
			break;
	}
	if (rc < 0)
		return rc;
	op->temp[0] = 0;
	settle_mtime(op, op->fd);
	rc = op_sync_new(op, op->fd, file);
	close(op->fd);
	op->fd = -1;
	if (rc < 0)
		op_remove_new(op, file);
	return rc;
}

static int write_part(struct op_flow *op)
{
	int rc = op_write_temp(op);

	return rc == 0 && op->last ? publish_temp(op) : rc;
}

/* Of a slave: the master, and a name that can be made of its name. */
static int master_missing(const struct op_flow *op)
{
	struct fileid_name master;
	struct store_path *p;
	char file[FILEID_DISK_MAX];
	struct stat sb;

	(void)fileid_parse(span_of(op->other), &master);
	p = store_at(&op->ctx->st->store, master.path);
	if (!p || fileid_disk_path(&master, "", file, sizeof(file)) < 0)
		return -EINVAL;
	if (fstatat(p->data_fd, file, &sb, 0) < 0)
		return -errno;
	return op->flag == NO_SLAVE_NAME ? -EINVAL : 0;
}

/* One step for each piece; the first looks for a slave's master. */
static int upload_step(struct op_flow *op)
{
	int rc = 0;

	if (is_slave(op) && op->done == 0)
		rc = master_missing(op);
	if (rc < 0)
		return rc;
	/* The name of a slave can be guessed: it appears when it is whole. */
	return op->last && op->done == 0 && !is_slave(op) ? write_whole(op)
	                                                  : write_part(op);
}

static void upload_answer(struct op_flow *op)
{
	struct counters *n = &op->ctx->counters;
	int rc = op->rc;

	if (rc < 0) {
		char file[FILEID_DISK_MAX];

		op_disk_path(op, "", file);
		op_remove_new(op, file);
	}
	count_add(n, STAT_total_upload_bytes, (int64_t)op->size);
	if (rc == 0) {
		count_add(n, STAT_success_upload_bytes, (int64_t)op->size);
		count_set(n, STAT_last_source_update, op->mtime);
	}
	op_reply_name(op, rc, op->name);
}

static void upload_next(struct op_flow *op)
{
	struct op *row = &op->log.op;
	int rc = op->rc;

	count_op(&op->ctx->counters, STAT_total_file_write_count, rc);
	if (op->done <= op->piece_n)
		count_op(&op->ctx->counters, STAT_total_file_open_count, rc);
	if (rc < 0) {
		op_reply(op, rc, NULL, 0);
		return;
	}
	op_piece_done(op);
	if (!op->last)
		return;
	row->code = OP_CREATE;
	row->name = span_of(op->name);
	row->size = row->bytes = op->done;
	row->crc = op->crc;
	row->extra = span_of(op->other);
	op_commit(op, upload_answer);
}

static void upload_piece(struct op_flow *op)
{
	bool whole = op->last && op->done == 0;
	bool heavy = !whole && op->piece_n >= HEAVY_PIECE;

	op_disk(op, heavy ? OP_HEAVY : OP_WRITE, upload_step, upload_next);
}

static int upload_content(struct op_flow *op)
{
	/* A slave's name is known to others: nobody may change it meanwhile. */
	if (op->last && is_slave(op))
		op_hold(op, upload_piece);
	else
		upload_piece(op);
	return 0;
}

static int upload_begin(struct op_flow *op, int64_t size)
{
	if (size < 0 || (uint64_t)size != op->size)
		return -EINVAL;
	if (op->size == 0) {
		op->last = true;
		return upload_content(op);
	}
	return 0;
}

static int upload_decoded(struct op_flow *op, const struct framer *f)
{
	struct storage *st = op->ctx->st;
	struct msg_upload m;
	int rc = msg_decode(&MSG(upload), f->held.p, f->held.n, &m, NULL);

	if (rc < 0 || !fileid_ext_ok(span_of(m.ext)) || m.size < 0)
		return -EINVAL;
	rc = store_pick(&st->store, m.path, op->size, &op->path);
	if (rc < 0)
		return rc;
	str_copy(op->ext, sizeof(op->ext), m.ext);
	op->place = store_place(&st->store, op->path);
	return upload_begin(op, m.size);
}

static int appender_decoded(struct op_flow *op, const struct framer *f)
{
	op->flag = IS_APPENDER;
	return upload_decoded(op, f);
}

static int slave_room(struct op_flow *op)
{
	struct store_path *picked;

	return store_pick(&op->ctx->st->store, op->path->index, op->size,
	    &picked);
}

static int name_slave(struct op_flow *op, struct span prefix, struct span ext)
{
	char name[FILE_NAME_MAX + 1];

	if (fileid_slave_name(span_of(op->other), prefix, ext, name,
	        sizeof(name)) < 0)
		return -EINVAL;
	return op_set_name(op, span_of(name), 1, FILE_NAME_MAX);
}

static int slave_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_upload_slave m;
	struct span prefix;
	struct span ext;
	int rc;

	if (msg_decode(&MSG(upload_slave), f->held.p, f->held.n, &m, NULL) < 0)
		return -EINVAL;
	prefix = span_of(m.prefix);
	ext = span_of(m.ext);
	if (!str_is_word(prefix, "._-") || !fileid_ext_ok(ext))
		return -EINVAL;
	if (op_set_name(op, m.master, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	str_copy(op->other, sizeof(op->other), op->name);
	if (name_slave(op, prefix, ext) < 0)
		op->flag = NO_SLAVE_NAME;
	rc = slave_room(op);
	return rc < 0 ? rc : upload_begin(op, m.size);
}

const struct handler handle_upload = { upload_decoded, upload_content,
	STAT_total_upload_count };
const struct handler handle_upload_appender = { appender_decoded,
	upload_content, STAT_total_upload_count };
const struct handler handle_upload_slave = { slave_decoded, upload_content,
	STAT_total_upload_count };
