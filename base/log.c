/* SPDX-License-Identifier: MIT */
/*
 * One struct holds the log of the process; its mutex is held while a line is
 * written, so lines never mix and rotation cannot pull the file away. A line
 * is made on the stack and leaves in one write(2) for each sink.
 *
 * The repeat limiter keeps a small table of events by name. Two events that
 * share a slot push each other out, which only makes the limiter milder.
 */
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define LINE_MAX_BYTES 4096
#define EVENT_MAX      48
#define REPEAT_SLOTS   64
#define REPEAT_LIMIT   20
#define STAMP_LEN      15 /* YYYYMMDD-HHMMSS */

struct repeat {
	char event[EVENT_MAX];
	enum log_level level;
	mono_t second;
	unsigned count;
	unsigned hidden;
};

static struct {
	pthread_mutex_t lock;
	int fd;
	bool quiet; /* not to stderr */
	enum log_level level;
	char path[PATH_MAX];
	struct log_rotation rotation;
	time_t rotate_at; /* 0: not by time */
	struct repeat repeats[REPEAT_SLOTS];
} the_log = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.fd = -1,
	.level = LOG_LEVEL_INFO,
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "ERROR",
	[LOG_LEVEL_WARN] = "WARN",
	[LOG_LEVEL_INFO] = "INFO",
	[LOG_LEVEL_DEBUG] = "DEBUG",
};

const char *errstr(int rc)
{
	const char *words = strerrordesc_np(rc < 0 ? -rc : rc);

	return words ? words : "unknown error";
}

/* --- lines, with the lock held ------------------------------------------ */

static void put_line(const char *line, size_t n)
{
	/* There is nobody to tell when a log cannot be written. */
	if (!the_log.quiet)
		(void)fs_write_all(STDERR_FILENO, line, n);
	if (the_log.fd >= 0)
		(void)fs_write_all(the_log.fd, line, n);
}

static void put_event(enum log_level level, const char *event, const char *text)
{
	const wall_t now = clock_wall();
	const time_t seconds = (time_t)(now / 1000);
	char line[LINE_MAX_BYTES];
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03dZ %s ",
	    (int)(now % 1000), level_names[level]);
	n += str_escape(line + n, 256, event, strlen(event));
	if (text[0] != '\0')
		line[n++] = ' ';
	n += str_escape(line + n, sizeof(line) - 1 - n, text, strlen(text));
	line[n++] = '\n';
	put_line(line, n);
}

static void repeat_flush(struct repeat *r)
{
	char text[32];

	if (r->hidden == 0)
		return;
	snprintf(text, sizeof(text), "repeated=%u", r->hidden);
	put_event(r->level, r->event, text);
	r->hidden = 0;
}

static void repeat_flush_old(mono_t second)
{
	for (size_t i = 0; i < REPEAT_SLOTS; i++) {
		if (the_log.repeats[i].second != second)
			repeat_flush(&the_log.repeats[i]);
	}
}

/* Is this one too many of its kind in this second? */
static bool repeat_hides(enum log_level level, const char *event)
{
	const mono_t second = clock_mono() / MONO_SEC;
	char name[EVENT_MAX];
	unsigned hash = 5381;
	struct repeat *r;

	str_copy(name, sizeof(name), event);
	for (const char *p = name; *p != '\0'; p++)
		hash = hash * 33 + (unsigned char)*p;
	r = &the_log.repeats[hash % REPEAT_SLOTS];
	if (strcmp(r->event, name) != 0 || r->second != second) {
		repeat_flush(r);
		str_copy(r->event, sizeof(r->event), name);
		r->second = second;
		r->count = 0;
	}
	r->level = level;
	if (++r->count <= REPEAT_LIMIT)
		return false;
	r->hidden++;
	return true;
}

/* --- rotation, with the lock held --------------------------------------- */

/* The first time after `from` at which the file is to be rotated. */
static time_t next_rotation(time_t from)
{
	const unsigned minute = the_log.rotation.minute_of_day;
	struct tm tm;
	time_t at;

	if (!the_log.rotation.everyday)
		return 0;
	localtime_r(&from, &tm);
	tm.tm_hour = (int)(minute / 60);
	tm.tm_min = (int)(minute % 60);
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	at = mktime(&tm);
	if (at > from)
		return at;
	tm.tm_mday++;
	tm.tm_hour = (int)(minute / 60);
	tm.tm_min = (int)(minute % 60);
	tm.tm_isdst = -1;
	return mktime(&tm);
}

/* A file last written before the last rotation time is due at once. */
static void plan_rotation(void)
{
	struct stat st;

	the_log.rotate_at = 0;
	if (the_log.fd < 0 || fstat(the_log.fd, &st) < 0)
		return;
	if (st.st_size > 0)
		the_log.rotate_at = next_rotation(st.st_mtime);
	else
		the_log.rotate_at = next_rotation(clock_wall_sec());
}

static int open_file(void)
{
	const int fd = open(the_log.path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0)
		return -errno;
	if (the_log.fd >= 0)
		close(the_log.fd);
	the_log.fd = fd;
	plan_rotation();
	return 0;
}

static void rotate(time_t now)
{
	char old[PATH_MAX + 32];
	char stamp[STAMP_LEN + 1];
	struct tm tm;
	int rc;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	snprintf(old, sizeof(old), "%s.%s", the_log.path, stamp);
	for (int i = 1; access(old, F_OK) == 0 && i < 1000; i++)
		snprintf(old, sizeof(old), "%s.%s-%d", the_log.path, stamp, i);
	rc = rename(the_log.path, old) < 0 ? -errno : open_file();
	if (rc < 0)
		put_event(LOG_LEVEL_ERROR, "log_rotate_failed", errstr(rc));
	the_log.rotate_at = next_rotation(now);
}

/* The time in a rotated file's name, or -1 when it is none of ours. */
static time_t rotated_at(const char *name, const char *base)
{
	const size_t n = strlen(base);
	struct tm tm = { .tm_isdst = -1 };
	const char *end;

	if (strncmp(name, base, n) != 0 || name[n] != '.')
		return -1;
	end = strptime(name + n + 1, "%Y%m%d-%H%M%S", &tm);
	if (end != name + n + 1 + STAMP_LEN || (*end != '\0' && *end != '-'))
		return -1;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

static void remove_old(time_t now)
{
	const time_t keep = (time_t)the_log.rotation.keep_days * 86400;
	char dir[PATH_MAX];
	const char *base;
	char *slash;
	struct dirent *e;
	DIR *d;

	str_copy(dir, sizeof(dir), the_log.path);
	slash = strrchr(dir, '/');
	base = slash ? slash + 1 : the_log.path;
	if (slash)
		*slash = '\0';
	d = opendir(!slash ? "." : dir[0] == '\0' ? "/" : dir);
	if (!d)
		return;
	while ((e = readdir(d))) {
		const time_t at = rotated_at(e->d_name, base);

		if (at != -1 && now - at > keep)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

/* --- public --------------------------------------------------------------*/

int log_open(const char *path)
{
	int rc;

	pthread_mutex_lock(&the_log.lock);
	rc = str_copy(the_log.path, sizeof(the_log.path), path) ? open_file()
	                                                        : -ENAMETOOLONG;
	pthread_mutex_unlock(&the_log.lock);
	return rc;
}

int log_reopen(void)
{
	int rc = 0;

	pthread_mutex_lock(&the_log.lock);
	if (the_log.fd >= 0)
		rc = open_file();
	pthread_mutex_unlock(&the_log.lock);
	return rc;
}

void log_close(void)
{
	pthread_mutex_lock(&the_log.lock);
	for (size_t i = 0; i < REPEAT_SLOTS; i++)
		repeat_flush(&the_log.repeats[i]);
	if (the_log.fd >= 0)
		close(the_log.fd);
	the_log.fd = -1;
	pthread_mutex_unlock(&the_log.lock);
}

void log_to_stderr(bool on)
{
	pthread_mutex_lock(&the_log.lock);
	the_log.quiet = !on;
	pthread_mutex_unlock(&the_log.lock);
}

void log_set_level(enum log_level level)
{
	__atomic_store_n(&the_log.level, level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *word, enum log_level *out)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "emerg", LOG_LEVEL_ERROR },
		{ "alert", LOG_LEVEL_ERROR },
		{ "crit", LOG_LEVEL_ERROR },
		{ "error", LOG_LEVEL_ERROR },
		{ "warn", LOG_LEVEL_WARN },
		{ "notice", LOG_LEVEL_INFO },
		{ "info", LOG_LEVEL_INFO },
		{ "debug", LOG_LEVEL_DEBUG },
	};

	if (strncasecmp(word, "LOG_", 4) == 0)
		word += 4;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const size_t n = strlen(names[i].name);
		const size_t m = strlen(word);

		/* "warning" begins with a level, "err" begins one. */
		if (m >= 3 &&
		    strncasecmp(word, names[i].name, size_min(m, n)) == 0) {
			*out = names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_rotation(const struct log_rotation *r)
{
	pthread_mutex_lock(&the_log.lock);
	the_log.rotation = *r;
	plan_rotation();
	pthread_mutex_unlock(&the_log.lock);
}

void log_tend(void)
{
	const time_t now = clock_wall_sec();
	const struct log_rotation *r = &the_log.rotation;
	struct stat st;

	pthread_mutex_lock(&the_log.lock);
	repeat_flush_old(clock_mono() / MONO_SEC);
	if (the_log.fd >= 0 && fstat(the_log.fd, &st) == 0) {
		const bool due = the_log.rotate_at && now >= the_log.rotate_at;

		if (due && st.st_size == 0)
			the_log.rotate_at = next_rotation(now);
		else if (due ||
		         (r->on_size && (uint64_t)st.st_size >= r->on_size))
			rotate(now);
		if (r->keep_days)
			remove_old(now);
	}
	pthread_mutex_unlock(&the_log.lock);
}

static ATTR_PRINTF(4, 0) void write_line(enum log_level level,
    const char *event, bool limited, const char *fmt, va_list ap)
{
	const int kept = errno;
	char text[LINE_MAX_BYTES];

	if (level > __atomic_load_n(&the_log.level, __ATOMIC_RELAXED))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	pthread_mutex_lock(&the_log.lock);
	if (!limited || !repeat_hides(level, event))
		put_event(level, event, text);
	pthread_mutex_unlock(&the_log.lock);
	errno = kept;
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(level, event, true, fmt, ap);
	va_end(ap);
}

void log_always(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(level, event, false, fmt, ap);
	va_end(ap);
}
