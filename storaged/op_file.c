/* SPDX-License-Identifier: MIT */
/* What the steps of several commands do with files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sum.h"
#include "storaged/op.h"

int op_write_temp(struct op_flow *op)
{
	int rc;

	if (op->fd < 0) {
		char temp[STORE_TEMP_MAX];

		store_temp(op->path, temp);
		op->fd = openat(op->path->data_fd, temp,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (op->fd < 0)
			return -errno;
		memcpy(op->temp, temp, sizeof(temp));
	}
	rc = fs_write_all(op->fd, op->piece, op->piece_n);
	if (rc < 0)
		return rc;
	op->crc = sum_crc32(op->crc, op->piece, op->piece_n);
	op->done += op->piece_n;
	return 0;
}

int op_sync_dir(const struct store_path *p, const char *file)
{
	char dir[FILEID_DISK_MAX];
	const char *slash = strrchr(file, '/');
	size_t n = slash ? (size_t)(slash - file) : 0;
	int fd;
	int rc;

	memcpy(dir, file, n);
	dir[n] = 0;
	fd = openat(p->data_fd, n ? dir : ".",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fs_sync_dir(fd);
	close(fd);
	return rc;
}

int op_sync_new(const struct op_flow *op, int fd, const char *file)
{
	if (!op->ctx->st->store.conf.full)
		return 0;
	if (fsync(fd) < 0)
		return -errno;
	return op_sync_dir(op->path, file);
}

void op_set_mtime(const struct op_flow *op, int fd)
{
	const struct timespec t[2] = { { 0, UTIME_OMIT },
		{ (time_t)op->time, 0 } };

	if (op->replica)
		(void)futimens(fd, t);
}
