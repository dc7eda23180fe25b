/* SPDX-License-Identifier: MIT */
/*
 * Files and directories: whole reads and writes, directories, space, sync.
 * Every function may block on the disk; never call one from an event loop
 * that serves other people.
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All n bytes or -errno. Interrupted and short writes are continued. */
int fs_write_all(int fd, const void *p, size_t n);
int fs_pwrite_all(int fd, const void *p, size_t n, off_t at);
/* Up to n bytes (short only at the end of the file), or -errno. */
ssize_t fs_pread_all(int fd, void *p, size_t n, off_t at);
/* Checksum and length of the whole file behind fd. 0 or -errno. */
int fs_crc32(int fd, uint32_t *crc, uint64_t *size);
/* Whole file, at most max bytes, NUL added. Gives *out (free). -EFBIG. */
ssize_t fs_read_file(const char *path, size_t max, char **out);
/* Temporary file in the same directory, optional fsync, rename. */
int fs_replace_file(const char *path, const void *p, size_t n, bool sync);
/* mkdir -p with mode 0755 & ~umask. An existing directory is fine. */
int fs_make_dirs(const char *path);
/* Bytes in all, and available to non-root. */
int fs_space(const char *path, uint64_t *total, uint64_t *avail);
int fs_sync_dir(int dirfd);
/* Exclusive lock held as long as fd is open; -EWOULDBLOCK when taken. Gives
 * the fd. */
int fs_lock_file(const char *path);

#endif
