/* SPDX-License-Identifier: MIT */
/*
 * Plain system calls made whole: interrupted calls go on, short ones are
 * continued, and an error comes back as a negative errno.
 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sum.h"

#define SUM_BLOCK 262144

int fs_write_all(int fd, const void *p, size_t n)
{
	const char *from = p;

	while (n > 0) {
		const ssize_t k = write(fd, from, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		from += k;
		n -= (size_t)k;
	}
	return 0;
}

int fs_pwrite_all(int fd, const void *p, size_t n, off_t at)
{
	const char *from = p;

	while (n > 0) {
		const ssize_t k = pwrite(fd, from, n, at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		from += k;
		n -= (size_t)k;
		at += k;
	}
	return 0;
}

ssize_t fs_pread_all(int fd, void *p, size_t n, off_t at)
{
	char *to = p;
	size_t got = 0;

	while (got < n) {
		const ssize_t k = pread(fd, to + got, n - got, at + (off_t)got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

/* Reads to the end, so that files of unknown size (/proc) work too. */
static ssize_t read_to_end(int fd, size_t max, char **out)
{
	size_t cap = 4096;
	size_t n = 0;
	char *buf = xcalloc(cap + 1, 1);

	for (;;) {
		const ssize_t k = read(fd, buf + n, cap - n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 || n + (size_t)k > max) {
			const int rc = k < 0 ? -errno : -EFBIG;

			free(buf);
			return rc;
		}
		if (k == 0)
			break;
		n += (size_t)k;
		if (n == cap) {
			cap *= 2;
			buf = xrealloc(buf, cap + 1, 1);
		}
	}
	buf[n] = '\0';
	*out = buf;
	return (ssize_t)n;
}

int fs_crc32(int fd, uint32_t *crc, uint64_t *size)
{
	uint8_t *buf = xcalloc(1, SUM_BLOCK);
	off_t at = 0;
	ssize_t n;

	*crc = 0;
	while ((n = fs_pread_all(fd, buf, SUM_BLOCK, at)) > 0) {
		*crc = sum_crc32(*crc, buf, (size_t)n);
		at += n;
	}
	free(buf);
	*size = (uint64_t)at;
	return n < 0 ? (int)n : 0;
}

ssize_t fs_read_file(const char *path, size_t max, char **out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_to_end(fd, max, out);
	close(fd);
	return n;
}

/* Opens the directory that holds path. */
static int open_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd;

	if (!slash)
		str_copy(dir, sizeof(dir), ".");
	else if (slash == path)
		str_copy(dir, sizeof(dir), "/");
	else if (!str_copy_span(dir, sizeof(dir),
	             (struct span){ path, (size_t)(slash - path) }))
		return -ENAMETOOLONG;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A new file beside path; its name goes to tmp. The umask decides its mode,
 * which mkstemp would not let it. */
static int open_temporary(const char *path, char *tmp, size_t cap)
{
	static _Atomic unsigned counter;
	int fd;

	do {
		const unsigned n = atomic_fetch_add(&counter, 1);

		if (snprintf(tmp, cap, "%s.%ld-%u.tmp", path, (long)getpid(),
		        n) >= (int)cap)
			return -ENAMETOOLONG;
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	} while (fd < 0 && errno == EEXIST);
	return fd < 0 ? -errno : fd;
}

static int sync_parent(const char *path)
{
	const int fd = open_parent(path);
	int rc;

	if (fd < 0)
		return fd;
	rc = fs_sync_dir(fd);
	close(fd);
	return rc;
}

int fs_replace_file(const char *path, const void *p, size_t n, bool sync)
{
	char tmp[PATH_MAX];
	const int fd = open_temporary(path, tmp, sizeof(tmp));
	int rc;

	if (fd < 0)
		return fd;
	rc = fs_write_all(fd, p, n);
	if (rc == 0 && sync && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(tmp, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(tmp);
		return rc;
	}
	return sync ? sync_parent(path) : 0;
}

static int make_dir(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return 0;
	/* On a read-only file system an existing one gives EROFS. */
	if (errno != EEXIST && errno != EROFS && errno != EACCES)
		return -errno;
	const int rc = -errno;

	if (stat(path, &st) < 0)
		return rc;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fs_make_dirs(const char *path)
{
	char dir[PATH_MAX];

	if (path[0] == '\0')
		return -ENOENT;
	if (!str_copy(dir, sizeof(dir), path))
		return -ENAMETOOLONG;
	for (char *p = dir + 1; *p != '\0'; p++) {
		int rc;

		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		rc = make_dir(dir);
		*p = '/';
		if (rc < 0)
			return rc;
	}
	return make_dir(dir);
}

int fs_space(const char *path, uint64_t *total, uint64_t *avail)
{
	struct statvfs v;

	while (statvfs(path, &v) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	*total = (uint64_t)v.f_blocks * v.f_frsize;
	*avail = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

int fs_sync_dir(int dirfd)
{
	return fsync(dirfd) < 0 ? -errno : 0;
}

int fs_lock_file(const char *path)
{
	/* Of the open file, not of the process: it survives fork, and another
	 * open in this process is refused like any other. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	rc = errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
	close(fd);
	return rc;
}
