/* SPDX-License-Identifier: MIT */
/*
 * Metadata and file information (client-protocol 4.10-4.12). The metadata in
 * force stands whole in the log's row, so the side file "<name>-m" is written
 * in place after the commit and written again from the row after a crash;
 * readers and writers of one name take turns. An empty side file is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "proto/kv.h"
#include "proto/msg.h"
#include "storaged/change.h"
#include "storaged/early.h"
#include "storaged/handlers.h"

#define FLAG_OVERWRITE 'O'
#define FLAG_MERGE     'M'
#define FLAG_NO_CRC    1 /* in the header's status byte (4.12) */

static int stat_file(const struct op_flow *op, struct stat *sb)
{
	char file[FILEID_DISK_MAX];
	int rc = op_disk_path(op, "", file);

	if (rc < 0)
		return rc;
	return fstatat(op->path->data_fd, file, sb, 0) < 0 ? -errno : 0;
}

static int side_file_ok(const struct stat *sb)
{
	if (!S_ISREG(sb->st_mode) || sb->st_size > ATTR_MAX)
		return -EIO;
	return sb->st_size == 0 ? -ENOENT : 0;
}

/* The side file's text; gives *out (free). -ENOENT: none. */
static int read_meta(const struct op_flow *op, char **out, size_t *n)
{
	char file[FILEID_DISK_MAX];
	struct stat sb;
	ssize_t got;
	char *buf;
	int fd;
	int rc = op_disk_path(op, "-m", file);

	if (rc < 0)
		return rc;
	fd = openat(op->path->data_fd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &sb) < 0 ? -errno : side_file_ok(&sb);
	buf = rc == 0 ? malloc((size_t)sb.st_size + 1) : NULL;
	got = buf ? fs_pread_all(fd, buf, (size_t)sb.st_size, 0) : -ENOMEM;
	close(fd);
	if (rc == 0 && got < 0)
		rc = (int)got;
	if (rc < 0) {
		free(buf);
		return rc;
	}
	*out = buf;
	*n = (size_t)got;
	return 0;
}

/* --- set --- */

static int pack(struct op_flow *op, const struct kv_list *l)
{
	size_t n = kv_packed_size(l);
	char *text = malloc(n + 1);

	if (!text)
		return -ENOMEM;
	kv_pack(l, text);
	free(op->text);
	op->text = text;
	op->text_n = n;
	return n > ATTR_MAX ? -EFBIG : 0;
}

/* op->text: as received, in; as it shall stand, out. */
static int merge_text(struct op_flow *op, struct kv_list *add)
{
	struct kv_list old = { 0 };
	struct kv_list all = { 0 };
	char *text = NULL;
	size_t n = 0;
	int rc = read_meta(op, &text, &n);

	if (rc == 0)
		rc = kv_parse((struct span){ text, n }, &old);
	else if (rc == -ENOENT)
		rc = 0;
	if (rc == 0)
		rc = kv_merge(&old, add, &all);
	if (rc == 0)
		rc = pack(op, &all);
	kv_list_fini(&old);
	kv_list_fini(&all);
	free(text);
	return rc;
}

static int settle_text(struct op_flow *op)
{
	struct kv_list add = { 0 };
	int rc = kv_parse((struct span){ op->text, op->text_n }, &add);

	if (rc < 0)
		return rc;
	kv_sort(&add);
	rc = op->flag == FLAG_MERGE ? merge_text(op, &add) : pack(op, &add);
	kv_list_fini(&add);
	return rc;
}

int attr_reserve(struct op_flow *op)
{
	int rc;

	if (op->text_n == 0 || !store_tight(op->path))
		return 0;
	op->piece = (const uint8_t *)op->text;
	op->piece_n = op->text_n;
	rc = op_write_temp(op);
	op->piece = NULL;
	return rc;
}

/* op->size: bytes received; nothing received in a merge changes nothing. */
static int prepare_step(struct op_flow *op)
{
	struct stat sb;
	int rc = stat_file(op, &sb);

	if (rc < 0 || (op->size == 0 && op->flag == FLAG_MERGE))
		return rc;
	rc = settle_text(op);
	return rc < 0 ? rc : attr_reserve(op);
}

static int write_side_file(const struct op_flow *op, const char *file)
{
	int fd = openat(op->path->data_fd, file, O_WRONLY | O_CREAT | O_CLOEXEC,
	    0644);
	struct stat sb;
	int rc;

	if (fd < 0)
		return -errno;
	rc = fs_pwrite_all(fd, op->text, op->text_n, 0);
	if (rc == 0 && fstat(fd, &sb) < 0)
		rc = -errno;
	if (rc == 0 && sb.st_size > (off_t)op->text_n &&
	    ftruncate(fd, (off_t)op->text_n) < 0)
		rc = -errno;
	op_set_mtime(op, fd);
	close(fd);
	return rc;
}

static int replace_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	int dir = op->path->data_fd;
	int rc = op_disk_path(op, "-m", file);

	if (rc < 0)
		return rc;
	if (op->text_n == 0)
		return unlinkat(dir, file, 0) < 0 && errno != ENOENT ? -errno
		                                                     : 0;
	if (!op->temp[0])
		return write_side_file(op, file);
	op_set_mtime(op, op->fd);
	if (renameat(dir, op->temp, dir, file) < 0)
		return -errno;
	op->temp[0] = 0;
	return 0;
}

static void set_answer(struct op_flow *op)
{
	if (op->rc < 0)
		op_not_applied(op);
	op_reply(op, op->rc, NULL, 0);
}

static void set_apply(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op_disk(op, OP_WRITE, replace_step, set_answer);
}

void attr_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	row->code = OP_SET_META;
	row->name = span_of(op->name);
	row->bytes = op->text_n;
	row->extra = (struct span){ op->text, op->text_n };
	op_commit_apart(op, set_apply);
}

static void set_commit(struct op_flow *op)
{
	if (op->rc == 0 && op->size == 0 && op->flag == FLAG_MERGE)
		op_reply(op, 0, NULL, 0);
	else
		attr_commit(op);
}

static void set_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, prepare_step, set_commit);
}

static int set_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_set_metadata m;

	if (msg_decode(&MSG(set_metadata), f->held.p, f->held.n, &m, NULL) < 0)
		return -EINVAL;
	if ((m.flag != FLAG_OVERWRITE && m.flag != FLAG_MERGE) ||
	    op_check_group(op, m.group) < 0 ||
	    op_set_name(op, m.name, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	op->flag = m.flag;
	op->size = m.meta.n;
	op->text = malloc(m.meta.n + 1);
	if (!op->text)
		return -ENOMEM;
	memcpy(op->text, m.meta.p, m.meta.n);
	op->text_n = m.meta.n;
	op_hold(op, set_held);
	return 0;
}

/* --- get --- */

static int get_step(struct op_flow *op)
{
	return read_meta(op, &op->text, &op->text_n);
}

static void get_answer(struct op_flow *op)
{
	char *text = op->text;

	op->text = NULL;
	op_reply(op, op->rc, text, op->text_n);
	free(text);
}

static void get_held(struct op_flow *op)
{
	op_disk(op, OP_LIGHT, get_step, get_answer);
}

static int get_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_file_ref m;

	if (msg_decode(&MSG(file_ref), f->held.p, f->held.n, &m, NULL) < 0 ||
	    op_check_group(op, m.group) < 0 ||
	    op_set_name(op, m.name, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	op_hold(op, get_held);
	return 0;
}

/* --- before its file --- */

static void settle_answer(struct op_flow *op)
{
	op_reply(op, op->rc, NULL, 0);
}

static void settle_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc < 0) { /* gone again */
		op_reply(op, op->rc == -ENOENT ? 0 : op->rc, NULL, 0);
		return;
	}
	memset(row, 0, sizeof(*row));
	row->code = OP_SET_META;
	row->name = span_of(op->name);
	row->bytes = op->text_n;
	row->extra = (struct span){ op->text, op->text_n };
	op_commit(op, settle_answer);
}

void attr_settle(struct op_flow *op)
{
	if (op->rc < 0 || !early_take(op->name)) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	free(op->text);
	op->text = NULL;
	op->text_n = 0;
	op_disk(op, OP_LIGHT, get_step, settle_commit);
}

/* --- file information --- */

static int sum_file(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	uint64_t size;
	int fd;
	int rc;

	op_disk_path(op, "", file);
	fd = openat(op->path->data_fd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fs_crc32(fd, &op->crc, &size);
	close(fd);
	return rc;
}

/* Is the checksum in the name that of the content? */
static bool crc_in_name(const struct op_flow *op)
{
	return op->fn.has_record && op->fn.type == FILE_NORMAL;
}

static int info_step(struct op_flow *op)
{
	struct stat sb;
	int rc = stat_file(op, &sb);

	if (rc < 0)
		return rc;
	/* Too short to carry a record (4.12). */
	if (!op->fn.has_record)
		return -EINVAL;
	op->result = (uint64_t)sb.st_size;
	op->mtime = sb.st_mtime;
	if (crc_in_name(op))
		op->crc = op->fn.id.crc;
	else if (!(op->flag & FLAG_NO_CRC))
		return sum_file(op);
	return 0;
}

static void info_answer(struct op_flow *op)
{
	const struct identity *me = &op->ctx->st->me;
	struct msg_file_info46 m = {
		.size = (int64_t)op->result,
		.mtime = op->mtime,
		.crc = (int32_t)op->crc,
	};
	uint8_t body[24 + 46];

	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	identity_source_ip(me, op->fn.id.source, conn_peer(op->conn), m.ip,
	    sizeof(m.ip));
	(void)msg_encode(&MSG(file_info46), &m, body, sizeof(body));
	op_reply(op, 0, body, 24 + me->params.ip_size);
}

static int info_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_file_ref m;
	bool reads;

	if (msg_decode(&MSG(file_ref), f->held.p, f->held.n, &m, NULL) < 0 ||
	    op_check_group(op, m.group) < 0 ||
	    op_set_name(op, m.name, 1, OP_NAME_MAX) < 0)
		return -EINVAL;
	op->flag = f->header.status;
	reads = !crc_in_name(op) && !(op->flag & FLAG_NO_CRC);
	op_disk(op, reads ? OP_HEAVY : OP_LIGHT, info_step, info_answer);
	return 0;
}

const struct handler handle_set_metadata = { set_decoded, NULL,
	STAT_total_set_meta_count };
const struct handler handle_get_metadata = { get_decoded, NULL,
	STAT_total_get_meta_count };
const struct handler handle_file_info = { info_decoded, NULL, N_STATS };
