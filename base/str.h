/* SPDX-License-Identifier: MIT */
/*
 * Text without surprises: bounded copy, strict numbers, sizes and durations,
 * numbers for people, escaping. Pure functions, any thread.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* Borrowed bytes; not terminated. */
struct span {
	const char *p;
	size_t n;
};

struct span span_of(const char *text);
bool span_eq(struct span s, const char *text);

/* FNV-1a, for tables in memory; never stored. */
uint64_t span_hash(struct span s);

/* A text that grows inside a given buffer; `failed` sticks on overflow. */
struct strbuf {
	char *buf;
	size_t cap;
	size_t len;
	bool failed;
};

struct strbuf strbuf_over(char *buf, size_t cap);
void strbuf_add(struct strbuf *b, const char *p, size_t n);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Copies as much as fits and terminates; false when it was cut. */
bool str_copy(char *dst, size_t cap, const char *src);
bool str_copy_span(char *dst, size_t cap, struct span src);
/* Trims blanks at both ends in place; gives the new start. */
char *str_trim(char *s);
/* Is every byte of s in the set [A-Za-z0-9] plus extra? Empty: false. */
bool str_is_word(struct span s, const char *extra);

/* The whole text must be the number. 0 or -EINVAL / -ERANGE. */
int str_to_u64(const char *s, uint64_t *out);
int str_to_i64(const char *s, int64_t *out);
/* "512", "4k", "10M", "1.5G" of 1024; "10MB" of 1000 (cli.md section 6). */
int str_to_size(const char *s, uint64_t *out);
/* "10s 5m 2h 3d 4w 6mo 1y", combined "1d12h"; seconds. */
int str_to_duration(const char *s, int64_t *out);

/* Numbers for people (console.md section 8): four significant characters.
 * Bytes in powers of 1024, counts in powers of 1000. buf >= 16. */
const char *str_bytes(char *buf, size_t cap, uint64_t n);
const char *str_count(char *buf, size_t cap, uint64_t n);
const char *str_duration(char *buf, size_t cap, int64_t seconds);

/* Escapes control bytes, bidirectional controls and broken UTF-8 as \xNN.
 * Always terminates; gives the length written. */
size_t str_escape(char *dst, size_t cap, const char *src, size_t n);
/* JSON string content without the quotes; invalid UTF-8 becomes U+FFFD. */
void str_json(struct strbuf *b, const char *src, size_t n);

/* Smallest edit distance; for "did you mean". */
size_t str_distance(const char *a, const char *b);

/* Allocation that ends the program when there is no memory; for small things
 * whose size no peer decides. */
void *xcalloc(size_t n, size_t size);
char *xstrdup(const char *s);
void *xrealloc(void *p, size_t n, size_t size);

#endif
