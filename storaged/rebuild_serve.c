/* SPDX-License-Identifier: MIT */
/*
 * FETCH_ONE_PATH_BINLOG (26): the names of all files of a store path, for a
 * member that lost them (cluster-protocol 3.12). A disk worker writes the
 * answer into a file without a name, from where it is sent like a download:
 * a slow reader holds up nobody and costs no memory.
 *
 * The catalogue follows the log; what the log has beyond it is listed too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "meta/walk.h"
#include "proto/msg.h"
#include "proto/wire.h"
#include "storaged/handlers.h"
#include "storaged/records.h"

#define PAGE      1000
#define NAME_SIZE 160
#define OUT_SIZE  ((size_t)65536)
#define LINE_ROOM (NAME_SIZE + 32)

struct listing {
	const struct store_path *path;
	struct db *catalogue, *log;
	int fd;
	uint64_t bytes, files;
	uint64_t seq;         /* of the last row that was read */
	char last[NAME_SIZE]; /* of the catalogue */
	char start[8];        /* names of this path begin so: "M00/" */
	size_t n;
	char out[OUT_SIZE];
};

static int listing_flush(struct listing *l)
{
	int rc = fs_write_all(l->fd, l->out, l->n);

	l->bytes += l->n;
	l->n = 0;
	return rc;
}

/* A line, if the file is there. time < 0: of its last change. */
static int list_file(struct listing *l, struct span name, const char *suffix,
    int64_t time)
{
	char file[FILEID_DISK_MAX];
	struct fileid_name fn;
	struct stat sb;
	int n;

	if (fileid_parse(name, &fn) < 0 || fn.path != l->path->index ||
	    fileid_disk_path(&fn, suffix, file, sizeof(file)) < 0 ||
	    fstatat(l->path->data_fd, file, &sb, 0) < 0 || !S_ISREG(sb.st_mode))
		return 0;
	if (l->n + LINE_ROOM > sizeof(l->out)) {
		int rc = listing_flush(l);

		if (rc < 0)
			return rc;
	}
	n = snprintf(l->out + l->n, LINE_ROOM, "%lld C %.*s%s\n",
	    (long long)(time < 0 ? sb.st_mtime : time), (int)name.n, name.p,
	    suffix);
	l->n += (size_t)n;
	l->files++;
	return 0;
}

static int list_known(void *arg, const struct walk_file *f)
{
	struct listing *l = arg;
	int rc = list_file(l, f->name, "", f->created);

	if (rc == 0 && f->has_meta)
		rc = list_file(l, f->name, "-m", -1);
	if (!str_copy_span(l->last, sizeof(l->last), f->name))
		return -ENAMETOOLONG;
	return rc;
}

static bool starts_with(struct span s, const char *start)
{
	size_t n = strlen(start);

	return s.n > n && memcmp(s.p, start, n) == 0;
}

static int list_logged(void *arg, const struct op *op)
{
	struct listing *l = arg;

	l->seq = op->seq;
	if (!starts_with(op->name, l->start))
		return 0;
	if (op->code == OP_SET_META)
		return list_file(l, op->name, "-m", op->source_time);
	if (op->code == OP_CREATE || op->code == OP_RENAME)
		return list_file(l, op->name, "", op->source_time);
	return 0;
}

/* In pages: each is a short transaction. */
static int list_all(struct listing *l)
{
	int n = walk_position(l->catalogue, &l->seq);

	while (n >= 0) {
		n = walk_files(l->catalogue, l->last, (int)l->path->index, PAGE,
		    list_known, l);
		if (n < PAGE)
			break;
	}
	while (n >= 0) {
		n = oplog_read(l->log, l->seq, PAGE, list_logged, l);
		if (n < PAGE)
			break;
	}
	return n < 0 ? n : 0;
}

/* The count of bytes ends the answer. */
static int list_end(struct listing *l)
{
	uint8_t count[8];
	struct wire_out w = wire_out(count, sizeof(count));
	int rc = listing_flush(l);

	wire_put_n(&w, l->bytes, sizeof(count));
	return rc < 0 ? rc : fs_write_all(l->fd, count, sizeof(count));
}

static int open_databases(struct listing *l, const struct storage *st)
{
	char why[DB_ERR_MAX];
	int rc = records_read(st, DB_LOG, &l->log, why);

	if (rc == 0)
		rc = records_read(st, DB_CATALOGUE, &l->catalogue, why);
	if (rc < 0)
		log_error("file_list", "%s", why);
	return rc;
}

static int open_nameless(const struct storage *st)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/data/.list.%016llx.tmp",
	    st->conf.base_path, (unsigned long long)store_random());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

static int list_step(struct op_flow *op)
{
	const struct storage *st = op->ctx->st;
	struct listing *l = xcalloc(1, sizeof(*l));
	int rc = open_databases(l, st);

	l->path = op->path;
	l->fd = -1;
	snprintf(l->start, sizeof(l->start), "M%02X/", op->path->index & 0xff);
	if (rc == 0)
		rc = l->fd = open_nameless(st);
	if (rc >= 0)
		rc = list_all(l);
	if (rc == 0)
		rc = list_end(l);
	op->fd = l->fd;
	op->result = l->bytes + 8;
	log_info("file_list", "client=%s path=%s files=%llu: %s",
	    conn_peer_ip(op->conn), op->path->dir, (unsigned long long)l->files,
	    rc < 0 ? errstr(rc) : "for the disk recovery of a member");
	if (l->catalogue)
		db_close(l->catalogue);
	if (l->log)
		db_close(l->log);
	free(l);
	return rc;
}

static void list_answer(struct op_flow *op)
{
	struct conn *c = op->conn;
	int fd = op->fd;
	uint64_t n = op->result;

	if (op->rc < 0) {
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	op->fd = -1;
	op_finish(op, 0);
	conn_reply_endless(c, fd, n);
}

static int list_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_fetch_path_binlog m;

	if (msg_decode(&MSG(fetch_path_binlog), f->held.p, f->held.n, &m,
	        NULL) < 0 ||
	    op_check_group(op, m.group) < 0)
		return -EINVAL;
	op->path = store_at(&op->ctx->st->store, m.path);
	if (!op->path)
		return -EINVAL;
	op_disk(op, OP_HEAVY, list_step, list_answer);
	return 0;
}

const struct handler handle_path_binlog = { list_decoded, NULL, N_STATS };
