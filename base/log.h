/* SPDX-License-Identifier: MIT */
/*
 * The log of a program: one line an event, "time level event key=value ...",
 * to stderr and, when opened, to a file. Any thread may log; opening,
 * reopening and levels belong to the main thread. errno is kept.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Rotation as FastDFS users configure it (configuration.md section 2). */
struct log_rotation {
	bool everyday;
	unsigned minute_of_day;
	uint64_t on_size;   /* bytes, 0 = off */
	unsigned keep_days; /* 0 = for ever */
};

/* Before log_open everything goes to stderr at level info. */
int log_open(const char *path); /* 0 or -errno */
int log_reopen(void);           /* after an outside rename */
void log_close(void);
void log_to_stderr(bool on);
void log_set_level(enum log_level level);
/* "emerg alert crit error warn notice info debug", any case, prefix match,
 * also LOG_INFO form. 0, or -EINVAL when the word is none of them. */
int log_level_parse(const char *word, enum log_level *out);
void log_set_rotation(const struct log_rotation *r);
/* Rotates, removes old files; call about once a minute from one thread. */
void log_tend(void);

/* One line. Control bytes in the text are escaped. The same event more than
 * 20 times in a second is counted and said once ("repeated=N"). */
void log_write(enum log_level level, const char *event, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

/* The same without the limit, for start-up and reload, where each line tells
 * something else. */
void log_always(enum log_level level, const char *event, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* The system's words for a negative errno (or 0). Thread-safe. */
const char *errstr(int rc);

#endif
