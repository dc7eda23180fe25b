/* SPDX-License-Identifier: MIT */
/*
 * How the command lines fail: one sentence on stderr, then a line `do` for
 * each thing the reader can do about it; with --json the same as one JSON
 * object. And the exit statuses. Main thread only.
 */
#ifndef CLI_ERR_H
#define CLI_ERR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

enum status {
	STATUS_OK = 0,
	STATUS_NO = 1,        /* answered: no, not found, findings */
	STATUS_USAGE = 2,     /* unknown option, malformed argument */
	STATUS_NO_SOURCE = 3, /* nothing could answer */
	STATUS_PART = 4,      /* answered in part */
	STATUS_OLD = 5,       /* answered, but older than wanted */
	STATUS_REFUSED = 6,   /* permission, lock held, --yes missing */
	STATUS_INTERNAL = 70,
	STATUS_TIMEOUT = 124,
	STATUS_INTERRUPTED = 130,
	STATUS_TERMINATED = 143
};

struct err {
	enum status status;
	int rc;              /* negative errno, a peer's positive one, or 0 */
	const char *subject; /* what it was about, or NULL */
	const char *show;    /* lines to look at, as they are, or NULL */
	const char *todo;    /* remedies, one a line, or NULL */
};

/* Before anything else: the name that starts the line. */
void err_program(const char *name);
void err_as_json(bool on);

/* Prints (bytes that could do harm escaped), gives e.status. */
enum status err_say(struct err e, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* The same for what cannot be read or written: STATUS_REFUSED when it is
 * forbidden (rc -EACCES), else STATUS_NO_SOURCE. */
enum status err_unusable(int rc, const char *subject, const char *sentence);
/* The same for STATUS_USAGE with one remedy or NULL. */
enum status err_usage(const char *todo, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* The same for a text that is wrong at one of its characters. */
enum status err_caret(const char *text, size_t at, const char *sentence);
/* A line that is no error: "fdfs: ...". */
void err_note(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* Which of two statuses a command ends with. */
enum status err_worse(enum status a, enum status b);
/* What a peer's answer or our own failure means, in words. buf is used when
 * the words have to be made. */
const char *err_words(int rc, char *buf, size_t cap);

/* The nearest of n words (with this stride in bytes between the pointers to
 * them), or NULL when none is near. */
const char *err_nearest(const char *word, const void *first, size_t n,
    size_t stride);

#endif
