/* SPDX-License-Identifier: MIT */
#include "storaged/recover_row.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sum.h"
#include "storaged/op.h"

/* Where a name lives; NULL when the name or its path is none of ours. */
static struct store_path *locate(struct stores *s, struct span name,
    const char *suffix, char *file)
{
	struct fileid_name fn;

	if (fileid_parse(name, &fn) < 0 ||
	    fileid_disk_path(&fn, suffix, file, FILEID_DISK_MAX) < 0)
		return NULL;
	return store_at(s, fn.path);
}

bool recover_is_staged(const struct op *op)
{
	const struct span dir = span_of(STORE_INCOMING "/");

	return op->extra.n > dir.n && memcmp(op->extra.p, dir.p, dir.n) == 0;
}

/* A change of a file that is gone cannot be carried out any more. */
static int open_target(const struct store_path *p, const char *file, int flags)
{
	int fd = openat(p->data_fd, file, flags | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ENODATA : -errno;
}

/* A slave made as a link: its target is a file of its own that goes, too. */
static void remove_target(const struct store_path *p, const char *file)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(p->data_fd, file, target, sizeof(target) - 1);

	if (n <= 0)
		return;
	target[n] = 0;
	(void)unlink(target);
}

static int redo_delete(struct stores *s, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(s, op->name, "", file);
	int removed = 0;

	if (!p)
		return 0;
	if (!op->replica)
		remove_target(p, file);
	if (unlinkat(p->data_fd, file, 0) == 0)
		removed = 1;
	else if (errno != ENOENT)
		return -errno;
	if (!locate(s, op->name, "-m", file))
		return removed;
	if (unlinkat(p->data_fd, file, 0) == 0)
		removed = 1;
	else if (errno != ENOENT)
		return -errno;
	return removed;
}

/* 1 moved, 0 nothing there or the new name is taken. */
static int move_to(const struct store_path *p, const char *from, const char *to)
{
	if (renameat2(p->data_fd, from, p->data_fd, to, RENAME_NOREPLACE) == 0)
		return 1;
	return errno == ENOENT || errno == EEXIST ? 0 : -errno;
}

static int redo_rename(struct stores *s, const struct op *op)
{
	char from[FILEID_DISK_MAX];
	char to[FILEID_DISK_MAX];
	struct store_path *p = locate(s, op->extra, "", from);
	struct store_path *q = locate(s, op->name, "", to);

	int moved;

	if (!p || p != q)
		return 0;
	moved = move_to(p, from, to);
	if (moved < 0)
		return moved;
	/* The file may have gone and its metadata not. */
	if (locate(s, op->extra, "-m", from) && locate(s, op->name, "-m", to) &&
	    move_to(p, from, to) > 0)
		moved = 1;
	return moved;
}

static bool same_text(int dirfd, const char *file, struct span text)
{
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	char *buf;
	ssize_t n;
	bool same;

	if (fd < 0)
		return text.n == 0;
	buf = xcalloc(1, text.n + 1);
	n = fs_pread_all(fd, buf, text.n + 1, 0);
	same = text.n > 0 && n == (ssize_t)text.n &&
	       memcmp(buf, text.p, text.n) == 0;
	free(buf);
	close(fd);
	return same;
}

static int redo_meta(struct stores *s, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(s, op->name, "-m", file);
	int fd;
	int rc;

	if (!p || same_text(p->data_fd, file, op->extra))
		return 0;
	if (op->extra.n == 0)
		return unlinkat(p->data_fd, file, 0) < 0 ? -errno : 1;
	store_temp(p, temp);
	fd = openat(p->data_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0644);
	if (fd < 0)
		return -errno;
	rc = fs_write_all(fd, op->extra.p, op->extra.n);
	close(fd);
	if (rc == 0 && renameat(p->data_fd, temp, p->data_fd, file) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(p->data_fd, temp, 0);
	return rc < 0 ? rc : 1;
}

static int redo_truncate(struct stores *s, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(s, op->name, "", file);
	struct stat sb;
	int fd;
	int rc;

	if (!p)
		return 0;
	fd = open_target(p, file, O_WRONLY);
	if (fd < 0)
		return fd;
	rc = fstat(fd, &sb) < 0 ? -errno : 0;
	if (rc == 0 && (uint64_t)sb.st_size != op->size)
		rc = ftruncate(fd, (off_t)op->size) < 0 ? -errno : 1;
	close(fd);
	return rc;
}

/* Is there all of the content at that place? 0: a machine that went down may
 * have lost some. */
static int is_whole(int fd, off_t at, const struct op *op)
{
	char buf[65536];
	uint64_t left = op->bytes;
	uint32_t crc = 0;
	ssize_t n = 0;

	while (left > 0) {
		n = fs_pread_all(fd, buf, size_min(sizeof(buf), left), at);
		if (n <= 0)
			break;
		crc = sum_crc32(crc, buf, (size_t)n);
		left -= (uint64_t)n;
		at += n;
	}
	if (n < 0)
		return (int)n;
	return left == 0 && crc == op->crc;
}

/* What was staged: whole, lost (-ENODATA), or -errno. */
static int check_staged(int fd, const struct op *op)
{
	struct stat sb;
	int rc;

	if (fstat(fd, &sb) < 0)
		return -errno;
	if ((uint64_t)sb.st_size != op->bytes)
		return -ENODATA;
	rc = is_whole(fd, 0, op);
	return rc > 0 ? 0 : rc < 0 ? rc : -ENODATA;
}

static int copy_all(int from, int to, off_t at)
{
	char buf[65536];
	off_t done = 0;
	ssize_t n;
	int rc = 0;

	while (
	    rc == 0 && (n = fs_pread_all(from, buf, sizeof(buf), done)) != 0) {
		if (n < 0)
			return (int)n;
		rc = fs_pwrite_all(to, buf, (size_t)n, at + done);
		done += n;
	}
	return rc;
}

/* The row carries the content. */
static int redo_inline(struct stores *s, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char now[OP_INLINE_MAX];
	struct store_path *p = locate(s, op->name, "", file);
	size_t n = op->extra.n - 1;
	int fd;
	int rc = 0;

	if (!p || n > sizeof(now))
		return 0;
	fd = open_target(p, file, O_RDWR);
	if (fd < 0)
		return fd;
	if (fs_pread_all(fd, now, n, (off_t)op->offset) != (ssize_t)n ||
	    memcmp(now, op->extra.p + 1, n) != 0)
		rc = fs_pwrite_all(fd, op->extra.p + 1, n, (off_t)op->offset);
	else
		n = 0;
	close(fd);
	return rc < 0 ? rc : n > 0;
}

/* Nothing is staged any more: it was applied, or lost. */
static int look_at_range(const struct store_path *p, const char *file,
    const struct op *op)
{
	int fd = open_target(p, file, O_RDONLY);
	int rc;

	if (fd < 0)
		return fd;
	rc = is_whole(fd, (off_t)op->offset, op);
	close(fd);
	return rc > 0 ? 0 : rc < 0 ? rc : -ENODATA;
}

/* What a disk took of an append only in part is cut off again. */
static int put_staged(int from, int to, off_t at)
{
	struct stat was;
	struct stat is;
	int rc = fstat(to, &was) < 0 ? -errno : copy_all(from, to, at);

	if (rc == 0 && fsync(to) < 0)
		rc = -errno;
	if (rc < 0 && fstat(to, &is) == 0 && is.st_size > was.st_size)
		(void)!ftruncate(to, was.st_size);
	return rc;
}

/* Content staged under the name in the row, if it is still there. */
static int redo_staged(struct stores *s, const struct op *op, bool refused)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(s, op->name, "", file);
	int from;
	int to;
	int rc;

	if (!p || !str_copy_span(temp, sizeof(temp), op->extra))
		return 0;
	from = openat(p->data_fd, temp, O_RDONLY | O_CLOEXEC);
	if (from < 0 && errno == ENOENT)
		return refused ? look_at_range(p, file, op) : 0;
	if (from < 0)
		return -errno;
	rc = check_staged(from, op);
	to = rc == 0 ? open_target(p, file, O_WRONLY) : -1;
	if (rc == 0)
		rc = to < 0 ? to : put_staged(from, to, (off_t)op->offset);
	if (to >= 0)
		close(to);
	close(from);
	if (rc == 0)
		(void)unlinkat(p->data_fd, temp, 0);
	return rc < 0 ? rc : 1;
}

static int redo_content(struct stores *s, const struct op *op, bool refused)
{
	if (op->extra.n == 0)
		return 0;
	return op->extra.p[0] == OP_CONTENT_INLINE
	           ? redo_inline(s, op)
	           : redo_staged(s, op, refused);
}

/* A file that a peer has sent is staged and has not got its name yet. */
static int redo_create(struct stores *s, const struct op *op, bool refused)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(s, op->name, "", file);
	int fd;
	int rc;

	if (!p || !recover_is_staged(op) ||
	    !str_copy_span(temp, sizeof(temp), op->extra))
		return 0;
	fd = openat(p->data_fd, temp, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return refused ? look_at_range(p, file, op) : 0;
	if (fd < 0)
		return -errno;
	rc = check_staged(fd, op);
	close(fd);
	if (rc == 0)
		rc = renameat(p->data_fd, temp, p->data_fd, file) < 0 ? -errno
		                                                      : 1;
	return rc;
}

/* A peer's file has the time of its last operation there. */
static void settle_time(struct stores *s, const struct op *op)
{
	const struct timespec t[2] = { { 0, UTIME_OMIT },
		{ (time_t)op->source_time, 0 } };
	bool side = op->code == OP_SET_META;
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(s, op->name, side ? "-m" : "", file);

	if (p && op->replica && op->code != OP_RENAME)
		(void)utimensat(p->data_fd, file, t, AT_SYMLINK_NOFOLLOW);
}

static int redo_row(struct stores *s, const struct op *op, bool refused)
{
	switch (op->code) {
	case OP_CREATE:
		return redo_create(s, op, refused);
	case OP_DELETE:
		return redo_delete(s, op);
	case OP_RENAME:
		return redo_rename(s, op);
	case OP_SET_META:
		return redo_meta(s, op);
	case OP_TRUNCATE:
		return redo_truncate(s, op);
	case OP_APPEND:
	case OP_MODIFY:
		return redo_content(s, op, refused);
	default:
		return 0;
	}
}

int recover_row(struct stores *s, const struct op *op, bool refused)
{
	int rc = redo_row(s, op, refused);

	if (rc > 0)
		settle_time(s, op);
	return rc;
}

void recover_drop_staged(struct stores *s, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(s, op->name, "", file);

	if (p && recover_is_staged(op) &&
	    str_copy_span(temp, sizeof(temp), op->extra))
		(void)unlinkat(p->data_fd, temp, 0);
}
