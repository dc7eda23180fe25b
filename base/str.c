/* SPDX-License-Identifier: MIT */
/*
 * Text that comes in is bounded by its span or its NUL; text that goes out is
 * always terminated. Numbers are parsed by hand: strtoull and friends accept
 * blanks, signs and locales that a strict reader must refuse.
 */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

bool span_eq(struct span s, const char *text)
{
	const size_t n = strlen(text);

	return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}

uint64_t span_hash(struct span s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * UINT64_C(1099511628211);
	return h;
}

struct strbuf strbuf_over(char *buf, size_t cap)
{
	struct strbuf b = { buf, cap, 0, cap == 0 };

	if (cap > 0)
		buf[0] = '\0';
	return b;
}

void strbuf_add(struct strbuf *b, const char *p, size_t n)
{
	if (b->failed || n >= b->cap - b->len) {
		b->failed = true;
		return;
	}
	if (n > 0)
		memcpy(b->buf + b->len, p, n);
	b->len += n;
	b->buf[b->len] = '\0';
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (b->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->buf + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= b->cap - b->len) {
		b->buf[b->len] = '\0';
		b->failed = true;
		return;
	}
	b->len += (size_t)n;
}

bool str_copy_span(char *dst, size_t cap, struct span src)
{
	size_t n;

	if (cap == 0)
		return false;
	n = size_min(src.n, cap - 1);
	if (n > 0)
		memcpy(dst, src.p, n);
	dst[n] = '\0';
	return n == src.n;
}

bool str_copy(char *dst, size_t cap, const char *src)
{
	return str_copy_span(dst, cap, span_of(src));
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char *str_trim(char *s)
{
	size_t n;

	while (is_blank(*s))
		s++;
	n = strlen(s);
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

bool str_is_word(struct span s, const char *extra)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		const bool plain = (c >= 'A' && c <= 'Z') ||
		                   (c >= 'a' && c <= 'z') ||
		                   (c >= '0' && c <= '9');

		if (!plain && (c == '\0' || !strchr(extra, c)))
			return false;
	}
	return s.n > 0;
}

size_t str_distance(const char *a, const char *b)
{
	const size_t n = strlen(b);
	size_t *row = xcalloc(n + 1, sizeof(*row));
	size_t best;

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			const size_t above = row[j + 1];
			const size_t change = diagonal + (a[i] != b[j]);

			row[j + 1] =
			    size_min(change, size_min(above, row[j]) + 1);
			diagonal = above;
		}
	}
	best = row[n];
	free(row);
	return best;
}

static ATTR_NORETURN void out_of_memory(size_t n, size_t size)
{
	fprintf(stderr, "out of memory: %zu x %zu bytes refused\n", n, size);
	abort();
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory(n, size);
	return p;
}

char *xstrdup(const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		out_of_memory(1, strlen(s) + 1);
	return copy;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size ? size : 1);

	if (!q)
		out_of_memory(n, size);
	return q;
}
