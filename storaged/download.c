/* SPDX-License-Identifier: MIT */
/*
 * Download (client-protocol 4.9). A short answer is read into a block behind
 * its header and leaves in one write; a long one is sent by sendfile in
 * windows. Bytes in the page cache are served by the loop; what is not there
 * is brought in by a disk worker first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/msg.h"
#include "storaged/beat.h"
#include "storaged/handlers.h"
#include "storaged/op.h"

#define PREFETCH_BLOCK ((size_t)262144)

static void download_count(struct op_flow *op, int rc)
{
	struct counters *n = &op->ctx->counters;

	count_op(n, STAT_total_file_open_count, rc);
	count_op(n, STAT_total_file_read_count, rc);
	count_add(n, STAT_total_download_bytes, (int64_t)op->result);
	if (rc == 0)
		count_add(n, STAT_success_download_bytes, (int64_t)op->result);
}

/*
 * Clients cannot download an empty file (4.9). A member that fills a lost
 * store path asks in the same way, and FastDFS's begins again for ever when it
 * is refused.
 */
static bool is_empty_for_member(const struct op_flow *op, const struct stat *sb)
{
	return sb->st_size == 0 && op->offset == 0 && op->size == 0 &&
	       beat_is_member_ip(conn_peer_ip(op->conn));
}

/* Opens and settles how much is sent: op->result. */
static int open_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	struct stat sb;
	uint64_t left;
	int rc = op_disk_path(op, "", file);

	if (rc < 0)
		return rc;
	op->fd =
	    openat(op->path->data_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (op->fd < 0)
		return -errno;
	if (fstat(op->fd, &sb) < 0)
		return -errno;
	if (!S_ISREG(sb.st_mode))
		return -EISDIR;
	if (op->offset >= (uint64_t)sb.st_size && !is_empty_for_member(op, &sb))
		return -EINVAL;
	left = (uint64_t)sb.st_size - op->offset;
	op->result = op->size == 0 || op->size > left ? left : op->size;
	return 0;
}

/* -EAGAIN: not all in the page cache. -EOPNOTSUPP: this file system cannot
 * tell (tmpfs). */
static int read_room(struct op_flow *op, int flags)
{
	uint8_t *room = conn_room(op->conn, (size_t)op->result);
	struct iovec iov = { room, (size_t)op->result };
	ssize_t n = preadv2(op->fd, &iov, 1, (off_t)op->offset, flags);

	if (n == (ssize_t)op->result)
		return 0;
	if (n < 0)
		return -errno;
	return flags ? -EAGAIN : -EIO;
}

static int read_step(struct op_flow *op)
{
	return read_room(op, 0);
}

static void short_answer(struct op_flow *op)
{
	struct conn *c = op->conn;
	size_t n = (size_t)op->result;

	download_count(op, op->rc);
	if (op->rc < 0) {
		conn_drop_room(c);
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	op_finish(op, 0);
	conn_reply_room(c, n);
}

static void file_answer(struct op_flow *op)
{
	struct conn *c = op->conn;
	int fd = op->fd;
	off_t at = (off_t)op->offset;
	uint64_t n = op->result;

	download_count(op, 0);
	op->fd = -1;
	op_finish(op, 0);
	conn_reply_file(c, fd, at, n);
}

static void opened(struct op_flow *op)
{
	if (op->rc < 0) {
		op->result = 0;
		download_count(op, op->rc);
		op_reply(op, op->rc, NULL, 0);
		return;
	}
	if (op->result > CONN_REPLY_ROOM ||
	    !conn_room(op->conn, (size_t)op->result)) {
		file_answer(op);
		return;
	}
	op->rc = read_room(op, RWF_NOWAIT);
	if (op->rc == -EAGAIN)
		op_disk(op, OP_HEAVY, read_step, short_answer);
	else if (op->rc == -EOPNOTSUPP)
		op_disk(op, OP_LIGHT, read_step, short_answer);
	else
		short_answer(op);
}

/* "M00/00/00/." and "..": well formed but for the dots. */
static bool names_directory(struct op_flow *op, struct span name)
{
	char file[OP_NAME_SIZE];
	const char *slash = memrchr(name.p, '/', name.n);
	const size_t at = slash ? (size_t)(slash - name.p) + 1 : name.n;
	const struct span last = { name.p + at, name.n - at };

	if (name.p[0] != 'M' || !(span_eq(last, ".") || span_eq(last, "..")) ||
	    !str_copy_span(file, sizeof(file), name))
		return false;
	file[at] = 'x';
	return op_set_name(op, span_of(file), 1, FILE_NAME_MAX) == 0;
}

static int download_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_download m;

	if (msg_decode(&MSG(download), f->held.p, f->held.n, &m, NULL) < 0 ||
	    op_check_group(op, m.group) < 0 || m.offset < 0 || m.size < 0)
		return -EINVAL;
	if (op_set_name(op, m.name, 1, FILE_NAME_MAX) < 0)
		return names_directory(op, m.name) ? -EISDIR : -EINVAL;
	op->offset = (uint64_t)m.offset;
	op->size = (uint64_t)m.size;
	op_disk(op, OP_LIGHT, open_step, opened);
	return 0;
}

/* --- windows of a long answer --- */

struct prefetch {
	struct job job;
	struct conn *conn;
	int fd;
	off_t at;
	size_t n;
};

static bool in_cache(int fd, off_t at)
{
	char byte;
	struct iovec iov = { &byte, 1 };

	return preadv2(fd, &iov, 1, at, RWF_NOWAIT) == 1 || errno == EOPNOTSUPP;
}

/* Looks at a byte of every 256 KiB: reading ahead leaves no smaller holes. */
static bool window_in_cache(int fd, off_t at, size_t n)
{
	for (size_t i = 0; i < n; i += PREFETCH_BLOCK)
		if (!in_cache(fd, at + (off_t)i))
			return false;
	return in_cache(fd, at + (off_t)n - 1);
}

static void prefetch_run(struct job *job)
{
	struct prefetch *p = container_of(job, struct prefetch, job);
	char *buf = malloc(PREFETCH_BLOCK);
	size_t done = 0;

	(void)posix_fadvise(p->fd, p->at, (off_t)p->n, POSIX_FADV_WILLNEED);
	while (buf && done < p->n) {
		ssize_t n =
		    pread(p->fd, buf, PREFETCH_BLOCK, p->at + (off_t)done);

		/* An error shows again, and is handled, in sendfile. */
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	free(buf);
	job_go_home(job);
}

static void prefetch_done(struct job *job)
{
	struct prefetch *p = container_of(job, struct prefetch, job);
	struct conn *c = p->conn;

	free(p);
	conn_give_back(c);
}

enum conn_take download_window(struct conn *c, int fd, off_t at, size_t n)
{
	struct op_flow *op = op_of(c);
	struct prefetch *p;

	if (window_in_cache(fd, at, n))
		return CONN_TAKEN;
	p = xcalloc(1, sizeof(*p));
	*p = (struct prefetch){ .conn = c, .fd = fd, .at = at, .n = n };
	p->job.run = prefetch_run;
	p->job.done = prefetch_done;
	p->job.home = loop_mailbox(op->ctx->loop);
	crew_submit(op->path->crew, &p->job);
	return CONN_LENT;
}

const struct handler handle_download = { download_decoded, NULL,
	STAT_total_download_count };
