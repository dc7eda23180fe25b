/* SPDX-License-Identifier: MIT */
/*
 * Configuration files in FastDFS's own grammar (configuration.md section 1),
 * read against a table of keys. The table is the only place where a key, its
 * type, default, range and help are written; reading, checking, printing the
 * effective configuration and the manual pages use it. Used by the main
 * thread before other threads start, and by reload.
 *
 * Our own parser, not an ini library: the grammar has no trailing comments,
 * no continuation lines, ':' is no separator, and '#include' is a directive.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"

#define CONF_NAME_MAX  63
#define CONF_VALUE_MAX 255

enum conf_type {
	CONF_BOOL,    /* bool */
	CONF_INT,     /* int64_t; leading digits, a tail is warned of */
	CONF_BYTES,   /* uint64_t; K M G T of 1024 */
	CONF_STR,     /* const char *, owned by the conf_file; "" when absent */
	CONF_LIST,    /* struct conf_list: every line of that key */
	CONF_TIME,    /* int64_t minutes of the day; HH:MM[:SS] */
	CONF_RESERVE, /* struct conf_reserve: "20%" or bytes */
	CONF_WORD, /* int64_t index into the '|'-separated words of `words` */
	CONF_OBSOLETE /* accepted, listed, no effect; no target */
};

#define CONF_REQUIRED BIT(0) /* absent or empty is fatal */
#define CONF_LIVE     BIT(1) /* SIGHUP applies it */
#define CONF_FATAL    BIT(2) /* out of range is fatal, else clamped/default */
#define CONF_DEFAULT                                                          \
	BIT(3)              /* out of range means the default, with a warning \
	                     */
#define CONF_SECRET  BIT(4) /* printed as stars */
#define CONF_CLUSTER BIT(5) /* the tracker's value is obeyed */

struct conf_list {
	const char *const *values;
	size_t count;
};

/* Space kept free: percent of the path when percent > 0, else bytes. */
struct conf_reserve {
	double percent;
	uint64_t bytes;
};

/* A row in the order in which people read it.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct conf_key {
	const char *section; /* "" = the global part */
	const char *name;
	enum conf_type type;
	size_t offset;     /* of the target in the struct given to conf_apply */
	const char *dflt;  /* as it would stand in a file; NULL = none */
	int64_t min, max;  /* CONF_INT, CONF_BYTES; min == max: no range */
	const char *words; /* CONF_WORD */
	unsigned flags;
	const char *help; /* one line */
};

struct conf_file;

/* Reads `path` and what it includes. Gives *out. On failure -errno and one
 * sentence in err (with file:line). Directives #include, #@if/#@else/#@endif
 * on LOCAL_IP and LOCAL_HOST, #@for; any other #@ is warned of. */
int conf_read(const char *path, struct conf_file **out, char *err, size_t cap);
void conf_free(struct conf_file *cf);

/* Last value of a key, or NULL; marks it as known. */
const char *conf_get(struct conf_file *cf, const char *section,
    const char *name);

/* Fills target from the file or the defaults. Unknown keys, values with a
 * tail, clamped values and globals hidden below a section are warned of in
 * the log, one line each, with the nearest known name. Strings and lists
 * stay owned by cf. -EINVAL with a sentence in err for a bad value. */
int conf_apply(struct conf_file *cf, const struct conf_key *keys, size_t n,
    void *target, char *err, size_t cap);
/* One value, for texts in the same grammar that come from elsewhere. Reads it
 * as the key's type into field. 0; 1 when it was taken with a reservation
 * that `note` names; -EINVAL with the reason in note. */
int conf_value_read(const struct conf_key *k, const char *text, void *field,
    char *note, size_t cap);
/* The key's default into field. */
void conf_value_default(const struct conf_key *k, void *field);
/* For keys that come in numbers (store_path0 ...): tells that any name
 * matching the pattern ("store_path#", "store_path#_readonly") is known. */
void conf_know(struct conf_file *cf, const char *section, const char *pattern);

/* The effective configuration, one "name = value  # file:line|default" a
 * line, grouped by section, in table order; obsolete and unknown keys last. */
void conf_print(FILE *out, const struct conf_file *cf,
    const struct conf_key *keys, size_t n, const void *target);
/* The rows as help: name, type, default, help. */
void conf_print_help(FILE *out, const struct conf_key *keys, size_t n);

#endif
