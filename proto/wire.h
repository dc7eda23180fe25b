/* SPDX-License-Identifier: MIT */
/*
 * Cursors over bytes. Reading past the end or writing past the room sets
 * `failed`, which sticks: check once, at the end. Pure, any thread.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct wire_in {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

struct wire_out {
	uint8_t *p;
	uint8_t *end;
	uint8_t *start;
	bool failed;
};

static inline struct wire_in wire_in(const void *p, size_t n)
{
	const uint8_t *b = p;

	return (struct wire_in){ b, b + n, false };
}

static inline struct wire_out wire_out(void *p, size_t n)
{
	uint8_t *b = p;

	return (struct wire_out){ b, b + n, b, false };
}

static inline size_t wire_left(const struct wire_in *in)
{
	return (size_t)(in->end - in->p);
}

static inline size_t wire_len(const struct wire_out *out)
{
	return (size_t)(out->p - out->start);
}

/* n bytes of the input, or an empty span and failed. */
static inline struct span wire_get(struct wire_in *in, size_t n)
{
	struct span s = { (const char *)in->p, n };

	if (in->failed || n > wire_left(in)) {
		in->failed = true;
		return (struct span){ "", 0 };
	}
	in->p += n;
	return s;
}

/* Big-endian number of n bytes (1, 4, 8) that are there. */
static inline uint64_t wire_number(const void *p, size_t n)
{
	const uint8_t *at = p;
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | at[i];
	return v;
}

/* The same from the input; 0 and failed at its end. */
static inline uint64_t wire_get_n(struct wire_in *in, size_t n)
{
	struct span s = wire_get(in, n);

	return wire_number(s.p, s.n);
}

/* A field of w bytes; the text in it up to the first NUL. */
static inline struct span wire_get_pad(struct wire_in *in, size_t w)
{
	struct span s = wire_get(in, w);
	const char *nul = s.n ? memchr(s.p, 0, s.n) : NULL;

	if (nul)
		s.n = (size_t)(nul - s.p);
	return s;
}

static inline void wire_put(struct wire_out *out, const void *p, size_t n)
{
	if (out->failed || n > (size_t)(out->end - out->p)) {
		out->failed = true;
		return;
	}
	if (n)
		memcpy(out->p, p, n);
	out->p += n;
}

static inline void wire_put_n(struct wire_out *out, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	wire_put(out, b, n);
}

/* Text in a field of w bytes, zero-filled; longer text fails. */
static inline void wire_put_pad(struct wire_out *out, const char *p, size_t n,
    size_t w)
{
	if (out->failed || n > w || w > (size_t)(out->end - out->p)) {
		out->failed = true;
		return;
	}
	memset(out->p, 0, w);
	memcpy(out->p, p, n);
	out->p += w;
}

#endif
