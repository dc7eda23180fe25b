/* SPDX-License-Identifier: MIT */
/*
 * The part of base/str.h that makes foreign bytes harmless. One walk over the
 * text yields characters; a byte that begins no valid UTF-8 character is a
 * character of its own and marked as broken.
 */
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct glyph {
	uint32_t code;
	size_t len; /* bytes it took, never 0 */
	bool broken;
};

/* How many bytes the first byte announces; 0 when it may not be first. */
static size_t utf8_len(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	if (c >= 0xf0 && c <= 0xf4)
		return 4;
	return 0;
}

/* The first character of n > 0 bytes. */
static struct glyph glyph_at(const char *s, size_t n)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	const struct glyph broken = { p[0], 1, true };
	const size_t len = utf8_len(p[0]);
	uint32_t code;

	if (len == 0 || len > n)
		return broken;
	code = len == 1 ? p[0] : p[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return broken;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < smallest[len] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return broken;
	return (struct glyph){ code, len, false };
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

/* Characters that change the direction of the text around them. */
static bool is_bidi(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t str_escape(char *dst, size_t cap, const char *src, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;
	size_t out = 0;

	if (cap == 0)
		return 0;
	while (at < n) {
		const struct glyph g = glyph_at(src + at, n - at);
		const bool bad =
		    g.broken || is_control(g.code) || is_bidi(g.code);
		const size_t need = bad ? 4 * g.len : g.len;

		if (need >= cap - out)
			break;
		for (size_t i = 0; i < g.len; i++) {
			const unsigned char c = (unsigned char)src[at + i];

			if (!bad) {
				dst[out++] = (char)c;
				continue;
			}
			dst[out++] = '\\';
			dst[out++] = 'x';
			dst[out++] = hex[c >> 4];
			dst[out++] = hex[c & 15];
		}
		at += g.len;
	}
	dst[out] = '\0';
	return out;
}

static void json_glyph(struct strbuf *b, const char *p, struct glyph g)
{
	static const char plain[] = "\"\\\b\f\n\r\t";
	static const char letter[] = "\"\\bfnrt";
	const char *at =
	    g.code != 0 && g.code < 0x80 ? strchr(plain, (int)g.code) : NULL;

	if (g.broken)
		strbuf_add(b, "\xef\xbf\xbd", 3);
	else if (at)
		strbuf_addf(b, "\\%c", letter[at - plain]);
	else if (is_control(g.code) || is_bidi(g.code))
		strbuf_addf(b, "\\u%04x", (unsigned)g.code);
	else
		strbuf_add(b, p, g.len);
}

void str_json(struct strbuf *b, const char *src, size_t n)
{
	size_t at = 0;

	while (at < n && !b->failed) {
		const struct glyph g = glyph_at(src + at, n - at);

		json_glyph(b, src + at, g);
		at += g.len;
	}
}
