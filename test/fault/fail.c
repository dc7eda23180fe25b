/* SPDX-License-Identifier: MIT */
/*
 * A preloaded library that lets system calls on files fail. FAULT_CONTROL
 * names a file of "key=value" lines, read again whenever it is replaced, which
 * also starts counting anew; what it does not say is taken from the
 * environment (FAULT_DIR for dir, and so on):
 *	dir    only files whose path begins so
 *	name   only those whose path holds this
 *	call   names of calls split by commas, or "all" that change something
 *	nth    the first call that fails, from 1; 0 none
 *	every  0: no other does; k: each k-th after it fails, too
 *	errno  with this number
 *	short  1: a write puts half of its bytes down, then fails
 *	clock  seconds that the wall clock is ahead
 * A line with call and path is appended to "<control>.hits" for each failure.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WORD 512

static struct {
	char dir[WORD];
	char name[WORD];
	char call[WORD];
	long nth;
	long every;
	long error;
	long half;
	long clock;
	long seen;
	struct timespec stamp;
	ino_t inode;
} plan;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *next_of(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		abort();
	return f;
}

/* The function of that name behind this one. */
#define NEXT(type, name)                                                       \
	__extension__({                                                        \
		static type (*behind)();                                       \
		void *f = __atomic_load_n((void **)&behind, __ATOMIC_RELAXED); \
		if (!f)                                                        \
			f = next_of(name);                                     \
		__atomic_store_n((void **)&behind, f, __ATOMIC_RELAXED);       \
		(type(*)()) f;                                                 \
	})

/* --- the plan --- */

static void find(const char *text, const char *key, char *out)
{
	char env[32];
	const char *from = NULL;
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, n) == 0 && p[n] == '=')
			from = p + n + 1;
	}
	if (!from) {
		snprintf(env, sizeof(env), "FAULT_%s", key);
		for (char *p = env; *p; p++)
			if (*p >= 'a' && *p <= 'z')
				*p = (char)(*p - 'a' + 'A');
		from = getenv(env);
	}
	n = from ? strcspn(from, "\n") : 0;
	if (n >= WORD)
		n = WORD - 1;
	if (from)
		memcpy(out, from, n);
	out[n] = 0;
}

static long number(const char *text, const char *key)
{
	char value[WORD];

	find(text, key, value);
	return strtol(value, NULL, 10);
}

static void take_plan(const char *text)
{
	find(text, "dir", plan.dir);
	find(text, "name", plan.name);
	find(text, "call", plan.call);
	plan.nth = number(text, "nth");
	plan.every = number(text, "every");
	plan.error = number(text, "errno");
	plan.half = number(text, "short");
	plan.clock = number(text, "clock");
	plan.seen = 0;
}

/* lock is held. System calls by number: the functions are ours. */
static void read_plan(void)
{
	const char *control = getenv("FAULT_CONTROL");
	char text[4 * WORD];
	struct stat sb;
	ssize_t n = 0;
	long fd;

	if (!control || stat(control, &sb) < 0) {
		if (plan.inode != 1) {
			take_plan("");
			plan.inode = 1;
		}
		return;
	}
	if (sb.st_ino == plan.inode &&
	    memcmp(&sb.st_mtim, &plan.stamp, sizeof(plan.stamp)) == 0)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = syscall(SYS_read, fd, text, sizeof(text) - 1);
		syscall(SYS_close, fd);
	}
	text[n > 0 ? n : 0] = 0;
	take_plan(text);
	plan.inode = sb.st_ino;
	plan.stamp = sb.st_mtim;
}

static bool wanted_call(const char *call)
{
	const char *p = plan.call;
	size_t n = strlen(call);
	bool reads = strcmp(call, "read") == 0 || strcmp(call, "sendfile") == 0;

	if (strcmp(p, "all") == 0)
		return !reads;
	while (*p) {
		size_t k = strcspn(p, ",");

		if (k == n && memcmp(p, call, n) == 0)
			return true;
		p += k + (p[k] == ',');
	}
	return false;
}

static void tell(const char *call, const char *path)
{
	const char *control = getenv("FAULT_CONTROL");
	char line[PATH_MAX + WORD];
	long fd;
	int n;

	if (!control)
		return;
	snprintf(line, sizeof(line), "%s.hits", control);
	fd = syscall(SYS_openat, AT_FDCWD, line,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %s\n", call, path);
	syscall(SYS_write, fd, line, n);
	syscall(SYS_close, fd);
}

/* lock is held. */
static bool counts(const char *call, const char *path)
{
	long past;

	/* A file that is there can be opened on a full disk. */
	if (strcmp(call, "reopen") == 0) {
		if (plan.error == ENOSPC)
			return false;
		call = "openat";
	}
	if (plan.nth == 0 || !wanted_call(call) ||
	    strncmp(path, plan.dir, strlen(plan.dir)) != 0 ||
	    !strstr(path, plan.name))
		return false;
	past = ++plan.seen - plan.nth;
	if (past < 0 || (past > 0 && (plan.every == 0 || past % plan.every)))
		return false;
	tell(call, path);
	return true;
}

/* Sets errno and gives true when this call shall fail. */
static bool fails_at(const char *call, int dirfd, const char *path)
{
	char proc[32];
	char full[2 * PATH_MAX] = "";
	int saved = errno;
	size_t n = 0;
	bool hit;

	if (dirfd != AT_FDCWD && (!path || path[0] != '/')) {
		ssize_t k;

		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dirfd);
		k = readlink(proc, full, PATH_MAX);
		n = k > 0 ? (size_t)k : 0;
	}
	if (path)
		snprintf(full + n, sizeof(full) - n, "%s%s", n ? "/" : "",
		    path);
	pthread_mutex_lock(&lock);
	read_plan();
	hit = counts(call, full);
	errno = hit ? (int)plan.error : saved;
	pthread_mutex_unlock(&lock);
	return hit;
}

static bool fails(const char *call, int fd)
{
	return fails_at(call, fd, NULL);
}

/* --- the calls --- */

ssize_t write(int fd, const void *p, size_t n)
{
	if (!fails("write", fd))
		return NEXT(ssize_t, "write")(fd, p, n);
	if (plan.half)
		syscall(SYS_write, fd, p, n / 2);
	errno = (int)plan.error;
	return -1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (!fails("pwrite", fd))
		return NEXT(ssize_t, "pwrite")(fd, p, n, at);
	if (plan.half)
		syscall(SYS_pwrite64, fd, p, n / 2, at);
	errno = (int)plan.error;
	return -1;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	return fails("read", fd) ? -1 : NEXT(ssize_t, "pread")(fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
	return pread(fd, p, n, at);
}

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	return fails("read", fd)
	           ? -1
	           : NEXT(ssize_t, "preadv2")(fd, v, n, at, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	return preadv2(fd, v, n, at, flags);
}

ssize_t sendfile(int to, int from, off_t *at, size_t n)
{
	return fails("sendfile", from)
	           ? -1
	           : NEXT(ssize_t, "sendfile")(to, from, at, n);
}

ssize_t sendfile64(int to, int from, off_t *at, size_t n)
{
	return sendfile(to, from, at, n);
}

/* Of open, a sanitizer that follows descriptors must know; not of openat. */
static int open_with(int dir, const char *path, int flags, mode_t mode)
{
	const bool makes =
	    (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;

	if (fails_at(makes ? "openat" : "reopen", dir, path))
		return -1;
	return dir == AT_FDCWD ? NEXT(int, "open")(path, flags, mode)
	                       : NEXT(int, "openat")(dir, path, flags, mode);
}

static mode_t mode_of(int flags, va_list list)
{
	if (!(flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE)
		return 0;
	return va_arg(list, mode_t);
}

#define OPEN(name, params, dir)                           \
	int name params                                   \
	{                                                 \
		va_list list;                             \
		mode_t mode;                              \
		va_start(list, flags);                    \
		mode = mode_of(flags, list);              \
		va_end(list);                             \
		return open_with(dir, path, flags, mode); \
	}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

/* What fortified programs call. */
int __openat_2(int at, const char *path, int flags);
int __openat_2(int at, const char *path, int flags)
{
	return open_with(at, path, flags, 0);
}

int __openat64_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags)
{
	return open_with(at, path, flags, 0);
}

int renameat(int from, const char *old, int to, const char *new)
{
	return fails_at("rename", to, new)
	           ? -1
	           : NEXT(int, "renameat")(from, old, to, new);
}

int renameat2(int from, const char *old, int to, const char *new,
    unsigned flags)
{
	return fails_at("rename", to, new)
	           ? -1
	           : NEXT(int, "renameat2")(from, old, to, new, flags);
}

int rename(const char *old, const char *new)
{
	return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int unlinkat(int dir, const char *path, int flags)
{
	return fails_at("unlink", dir, path)
	           ? -1
	           : NEXT(int, "unlinkat")(dir, path, flags);
}

int fsync(int fd)
{
	return fails("fsync", fd) ? -1 : NEXT(int, "fsync")(fd);
}

int fdatasync(int fd)
{
	return fails("fsync", fd) ? -1 : NEXT(int, "fdatasync")(fd);
}

int ftruncate(int fd, off_t n)
{
	return fails("ftruncate", fd) ? -1 : NEXT(int, "ftruncate")(fd, n);
}

int ftruncate64(int fd, off_t n)
{
	return ftruncate(fd, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fails("fallocate", fd) ? -1
	                              : NEXT(int, "fallocate")(fd, mode, at, n);
}

int fallocate64(int fd, int mode, off_t at, off_t n)
{
	return fallocate(fd, mode, at, n);
}

ssize_t copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t n,
    unsigned flags)
{
	if (!fails("copy", to))
		return NEXT(ssize_t, "copy_file_range")(from, at, to, to_at, n,
		    flags);
	if (plan.half)
		syscall(SYS_copy_file_range, from, at, to, to_at, n / 2, flags);
	errno = (int)plan.error;
	return -1;
}

/* --- the wall clock --- */

static long ahead(void)
{
	int saved = errno;
	long seconds;

	pthread_mutex_lock(&lock);
	read_plan();
	seconds = plan.clock;
	pthread_mutex_unlock(&lock);
	errno = saved;
	return seconds;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = NEXT(int, "clock_gettime")(id, t);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += ahead();
	return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	int rc = NEXT(int, "gettimeofday")(t, zone);

	if (rc == 0)
		t->tv_sec += ahead();
	return rc;
}

time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
