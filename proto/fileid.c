/* SPDX-License-Identifier: MIT */
/*
 * A remote file name is "MPP/HH/LL/" and a file; the file of a name made by a
 * storage starts with 27 base64 characters of a 20-byte record (5.2), for a
 * trunk file 16 more of its slot (5.6), and ends in a tail of 7 (5.1).
 */
#include "proto/fileid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire.h"

#define RECORD_SIZE 20
#define SLOT_SIZE   12
#define SLOT_LEN    16
#define TAIL_LEN    7
#define M_LEN       4                  /* "MPP/" */
#define DIR_LEN     6                  /* "HH/LL/" */
#define RANDOM_MASK UINT32_C(0x7fffff) /* 23 bits */
#define ID_SOURCES  (UINT32_C(1) << 24)
#define LOW_32(v)   ((v)&UINT32_MAX)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz"
                               "0123456789-_";

/* --- base64 -------------------------------------------------------------- */

static int digit64(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

static void encode64(const uint8_t *p, size_t n, char *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		*out = alphabet[bits << (6 - have) & 63];
}

/* Of len characters; the bits behind the last whole byte are not looked at. */
static int decode64(const char *text, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < len; i++) {
		const int d = digit64(text[i]);

		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*out++ = (uint8_t)(bits >> have);
		}
	}
	return 0;
}

/* --- the record ---------------------------------------------------------- */

bool fileid_source_is_id(uint32_t source)
{
	return source > 0 && source < ID_SOURCES;
}

static uint32_t little_endian(const uint8_t b[4])
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

uint32_t fileid_source_of_ip(const uint8_t ip[4])
{
	return little_endian(ip);
}

bool fileid_is_appender(const struct fileid *f)
{
	return (f->size_field & FILEID_APPENDER) != 0;
}

bool fileid_is_trunk(const struct fileid *f)
{
	return (f->size_field & FILEID_TRUNK) != 0;
}

uint64_t fileid_size(const struct fileid *f)
{
	return f->size_field & (FILEID_SMALL | FILEID_TRUNK)
	           ? LOW_32(f->size_field)
	           : f->size_field;
}

uint64_t fileid_size_field(uint64_t size, bool appender, uint32_t random)
{
	const uint64_t noise = (uint64_t)(random & RANDOM_MASK) << 32;

	if (appender)
		return FILEID_SMALL | FILEID_APPENDER | noise;
	if (size > UINT32_MAX)
		return size;
	return FILEID_SMALL | noise | size;
}

void fileid_encode(const struct fileid *f, char out[FILEID_RECORD_LEN])
{
	uint8_t record[RECORD_SIZE];
	struct wire_out w = wire_out(record, sizeof(record));

	for (unsigned i = 0; i < 32; i += 8)
		wire_put_n(&w, f->source >> i & 255, 1);
	wire_put_n(&w, f->time, 4);
	wire_put_n(&w, f->size_field, 8);
	wire_put_n(&w, f->crc, 4);
	encode64(record, sizeof(record), out);
}

int fileid_decode(const char text[FILEID_RECORD_LEN], struct fileid *f)
{
	uint8_t record[RECORD_SIZE];
	struct wire_in in = wire_in(record + 4, sizeof(record) - 4);

	if (decode64(text, FILEID_RECORD_LEN, record) < 0)
		return -EINVAL;
	f->source = little_endian(record);
	f->time = (uint32_t)wire_get_n(&in, 4);
	f->size_field = wire_get_n(&in, 8);
	f->crc = (uint32_t)wire_get_n(&in, 4);
	return 0;
}

/* --- new names ----------------------------------------------------------- */

/* An extension longer than six characters is cut, as the wire would. */
static void make_tail(struct span ext, uint32_t digits, char out[TAIL_LEN + 1])
{
	char number[16];
	const size_t e = size_min(ext.n, EXT_SIZE);
	const size_t n = e ? EXT_SIZE - e : TAIL_LEN;

	(void)snprintf(number, sizeof(number), "%010u", digits);
	memcpy(out, number + 10 - n, n);
	if (e) {
		out[n] = '.';
		memcpy(out + n + 1, ext.p, e);
	}
	out[TAIL_LEN] = 0;
}

void fileid_make(const struct fileid *f, struct fileid_place place,
    struct span ext, uint32_t digits, char out[FILEID_NAME_LEN + 1])
{
	char dirs[M_LEN + DIR_LEN + 1];

	(void)snprintf(dirs, sizeof(dirs), "M%02X/%02X/%02X/", place.path & 255,
	    place.high & 255, place.low & 255);
	memcpy(out, dirs, M_LEN + DIR_LEN);
	fileid_encode(f, out + M_LEN + DIR_LEN);
	make_tail(ext, digits, out + M_LEN + DIR_LEN + FILEID_RECORD_LEN);
}

/* --- parsing ------------------------------------------------------------- */

static int hex_digit(char c, bool lower_too)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (lower_too && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Does c stand for the pattern's h (hex, both cases), H (upper-case) or itself?
 */
static bool matches(char c, char pattern)
{
	if (pattern == 'h')
		return hex_digit(c, true) >= 0;
	if (pattern == 'H')
		return hex_digit(c, false) >= 0;
	return c == pattern;
}

/* How many characters of the name follow the rules; *file: where the last
 * part begins. The name is good when that is all of it, and more than *file. */
static size_t good_length(struct span name, size_t *file)
{
	const bool has_m = name.n && name.p[0] == 'M';
	const char *pattern = has_m ? "Mhh/HH/HH/" : "HH/HH/";
	size_t at = 0;

	*file = strlen(pattern);
	for (; at < *file; at++) {
		if (at == name.n || !matches(name.p[at], pattern[at]))
			return at;
	}
	for (; at < name.n; at++) {
		const unsigned char c = (unsigned char)name.p[at];

		if (c < ' ' || c == 0x7f || c == '/')
			return at;
	}
	return at;
}

static bool is_dots(struct span file)
{
	return (file.n == 1 && file.p[0] == '.') ||
	       (file.n == 2 && file.p[0] == '.' && file.p[1] == '.');
}

static enum file_type type_of(size_t name_len, const struct fileid_name *n)
{
	if (!n->has_record)
		return FILE_NORMAL;
	if (fileid_is_slave(name_len, &n->id))
		return FILE_SLAVE;
	if (fileid_is_trunk(&n->id) && name_len == FILEID_TRUNK_LEN)
		return FILE_TRUNK;
	return fileid_is_appender(&n->id) ? FILE_APPENDER : FILE_NORMAL;
}

/* 0, or -EINVAL and the offset of the first wrong character. */
static int check_name(struct span name, size_t *file, size_t *at)
{
	*at = good_length(name, file);
	if (*at < name.n || *at <= *file)
		return -EINVAL;
	if (is_dots((struct span){ name.p + *file, name.n - *file })) {
		*at = *file;
		return -EINVAL;
	}
	return 0;
}

int fileid_parse(struct span name, struct fileid_name *out)
{
	size_t file;
	size_t at;

	memset(out, 0, sizeof(*out));
	if (check_name(name, &file, &at) < 0)
		return -EINVAL;
	out->file = (struct span){ name.p + file, name.n - file };
	out->rest =
	    (struct span){ out->file.p - DIR_LEN, out->file.n + DIR_LEN };
	if (out->rest.p > name.p)
		out->path = (unsigned)(hex_digit(name.p[1], true) * 16 +
		                       hex_digit(name.p[2], true));
	if (out->file.n >= FILEID_RECORD_LEN)
		out->has_record = fileid_decode(out->file.p, &out->id) == 0;
	out->type = type_of(name.n, out);
	return 0;
}

int fileid_disk_path(const struct fileid_name *n, const char *suffix, char *out,
    size_t cap)
{
	const size_t tail = strlen(suffix);

	if (n->rest.n + tail >= cap)
		return -ENAMETOOLONG;
	memcpy(out, n->rest.p, n->rest.n);
	memcpy(out + n->rest.n, suffix, tail + 1);
	return 0;
}

/* --- names made of names -------------------------------------------------- */

/* The tail of 7, or the whole of a shorter name. */
static struct span tail_of(struct span name)
{
	const size_t n = size_min(name.n, TAIL_LEN);

	return (struct span){ name.p + name.n - n, n };
}

void fileid_remake(struct span old_name, const struct fileid *f,
    char out[FILEID_NAME_LEN + 1])
{
	const bool has_m = old_name.n && old_name.p[0] == 'M';
	const char *dirs = old_name.p + (has_m ? M_LEN : 0);
	const struct span tail = tail_of(old_name);
	char *p = out;

	memcpy(p, "M00/", M_LEN);
	for (size_t i = 1; has_m && i < 3; i++)
		p[i] = "0123456789ABCDEF"[hex_digit(old_name.p[i], true) & 15];
	p += M_LEN;
	memcpy(p, dirs, DIR_LEN);
	p += DIR_LEN;
	fileid_encode(f, p);
	p += FILEID_RECORD_LEN;
	memcpy(p, tail.p, tail.n);
	p[tail.n] = 0;
}

bool fileid_is_slave(size_t name_len, const struct fileid *f)
{
	return name_len > FILEID_TRUNK_LEN ||
	       (name_len > FILEID_NAME_LEN && !fileid_is_trunk(f));
}

struct span fileid_ext(struct span name)
{
	const struct span tail = tail_of(name);
	const char *dot = tail.n ? memrchr(tail.p, '.', tail.n) : NULL;

	if (!dot)
		return (struct span){ "", 0 };
	return (struct span){ dot + 1, tail.n - (size_t)(dot + 1 - tail.p) };
}

bool fileid_is_side(struct span name)
{
	return name.n > 2 &&
	       span_eq((struct span){ name.p + name.n - 2, 2 }, "-m");
}

struct span fileid_owner(struct span name)
{
	if (fileid_is_side(name))
		name.n -= 2;
	return name;
}

int fileid_slave_name(struct span master, struct span prefix, struct span ext,
    char *out, size_t cap)
{
	const struct span tail = tail_of(master);
	const char *dot = tail.n ? memchr(tail.p, '.', tail.n) : NULL;
	const size_t stem = dot ? (size_t)(dot - master.p) : master.n;
	const size_t n = stem + prefix.n + (ext.n ? 1 + ext.n : 0);

	if (prefix.n > PREFIX_SIZE || !str_is_word(prefix, "._-") ||
	    !fileid_ext_ok(ext))
		return -EINVAL;
	if (ext.n == 0 && span_eq(prefix, "-m")) /* that is metadata */
		return -EINVAL;
	if (n > FILE_NAME_MAX || n >= cap)
		return -ENAMETOOLONG;
	memcpy(out, master.p, stem);
	memcpy(out + stem, prefix.p, prefix.n);
	if (ext.n) {
		out[stem + prefix.n] = '.';
		memcpy(out + stem + prefix.n + 1, ext.p, ext.n);
	}
	out[n] = 0;
	return (int)n;
}

int fileid_trunk_slot(struct span name, struct trunk_slot *out)
{
	uint8_t slot[SLOT_SIZE];
	struct wire_in in = wire_in(slot, sizeof(slot));
	struct fileid_name n;

	if (fileid_parse(name, &n) < 0 || !n.has_record ||
	    !fileid_is_trunk(&n.id) || name.n < FILEID_TRUNK_LEN)
		return -EINVAL;
	if (n.file.n < FILEID_RECORD_LEN + SLOT_LEN ||
	    decode64(n.file.p + FILEID_RECORD_LEN, SLOT_LEN, slot) < 0)
		return -EINVAL;
	out->file = (uint32_t)wire_get_n(&in, 4);
	out->offset = (uint32_t)wire_get_n(&in, 4);
	out->size = (uint32_t)wire_get_n(&in, 4);
	return 0;
}

/* --- checks --------------------------------------------------------------- */

bool fileid_group_ok(struct span group)
{
	return group.n <= GROUP_NAME_SIZE && str_is_word(group, "");
}

bool fileid_ext_ok(struct span ext)
{
	return ext.n == 0 || (ext.n <= EXT_SIZE && str_is_word(ext, "._-"));
}

/* How many characters of a group are good ones; at most the longest name. */
static size_t word_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && n < GROUP_NAME_SIZE &&
	       str_is_word((struct span){ s.p + n, 1 }, ""))
		n++;
	return n;
}

/* Where the group of a URL begins: the part before the last one that looks
 * like "Mhh". Without such a part, behind the host. */
static size_t group_of_url(const char *text, size_t host, size_t end)
{
	size_t group = host;
	size_t before = host;
	size_t at = host;

	while (at < end) {
		const char *slash = memchr(text + at, '/', end - at);
		const size_t n = slash ? (size_t)(slash - text) - at : end - at;

		if (n == M_LEN - 1 && text[at] == 'M' &&
		    hex_digit(text[at + 1], true) >= 0 &&
		    hex_digit(text[at + 2], true) >= 0)
			group = before;
		before = at;
		at += n + 1;
	}
	return group;
}

int fileid_split(const char *text, struct span *group, struct span *name,
    size_t *at)
{
	const char *scheme = strstr(text, "://");
	size_t end = strlen(text);
	size_t start = 0;
	size_t file;
	const char *slash;

	if (scheme) {
		const size_t host = (size_t)(scheme - text) + 3;
		const size_t path = host + strcspn(text + host, "/");

		end = host + strcspn(text + host, "?#");
		if (path >= end) {
			*at = end;
			return -EINVAL;
		}
		start = group_of_url(text, path + 1, end);
	}
	slash = memchr(text + start, '/', end - start);
	*group = (struct span){ text + start,
		slash ? (size_t)(slash - text) - start : end - start };
	if (!slash || !fileid_group_ok(*group)) {
		*at = start + word_length(*group);
		return -EINVAL;
	}
	*name = (struct span){ slash + 1, end - (size_t)(slash + 1 - text) };
	if (check_name(*name, &file, at) < 0) {
		*at += (size_t)(name->p - text);
		return -EINVAL;
	}
	return 0;
}
