/* SPDX-License-Identifier: MIT */
/*
 * Layouts follow sections 1, 3.2, 3.4, 4 and 5 of the protocol description.
 * Every put_ function appends to request.head, whose size covers the longest
 * request head this file makes: header, fixed part, one name and the metadata
 * text of load_ops.c.
 */
#include "test/bench/load_wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static void put_bytes(struct request *q, const void *p, size_t n)
{
	assert(q->head_len + n <= sizeof(q->head));
	memcpy(q->head + q->head_len, p, n);
	q->head_len += n;
}

static void put_u8(struct request *q, uint8_t v)
{
	put_bytes(q, &v, 1);
}

static void put_u64(struct request *q, uint64_t v)
{
	const uint64_t be = htobe64(v);

	put_bytes(q, &be, sizeof(be));
}

static void begin(struct request *q, enum wire_cmd cmd)
{
	q->head_len = 0;
	q->content_len = 0;
	put_u64(q, 0);
	put_u8(q, (uint8_t)cmd);
	put_u8(q, 0);
}

/* Writes the body length, once everything before the content stands. */
static void finish(struct request *q, uint64_t content_len)
{
	const uint64_t be = htobe64(q->head_len - WIRE_HEADER + content_len);

	q->content_len = content_len;
	memcpy(q->head, &be, sizeof(be));
}

void wire_query_store(struct request *q, const uint8_t *group)
{
	begin(q, group ? CMD_STORE_GROUP : CMD_STORE_ANY);
	if (group)
		put_bytes(q, group, WIRE_GROUP);
	finish(q, 0);
}

void wire_named(struct request *q, enum wire_cmd cmd, const struct wire_file *f)
{
	begin(q, cmd);
	put_bytes(q, f->group, WIRE_GROUP);
	put_bytes(q, f->name, f->name_len);
	finish(q, 0);
}

void wire_download(struct request *q, const struct wire_file *f)
{
	begin(q, CMD_DOWNLOAD);
	put_u64(q, 0);
	put_u64(q, 0);
	put_bytes(q, f->group, WIRE_GROUP);
	put_bytes(q, f->name, f->name_len);
	finish(q, 0);
}

void wire_upload(struct request *q, enum wire_cmd cmd, uint8_t path,
    const char *ext, uint64_t size)
{
	uint8_t field[WIRE_EXT] = { 0 };

	memcpy(field, ext, strnlen(ext, WIRE_EXT));
	begin(q, cmd);
	put_u8(q, path);
	put_u64(q, size);
	put_bytes(q, field, sizeof(field));
	finish(q, size);
}

void wire_append(struct request *q, const struct wire_file *f, uint64_t size)
{
	begin(q, CMD_APPEND);
	put_u64(q, f->name_len);
	put_u64(q, size);
	put_bytes(q, f->name, f->name_len);
	finish(q, size);
}

void wire_set_metadata(struct request *q, const struct wire_file *f,
    const char *text, size_t len)
{
	begin(q, CMD_SET_METADATA);
	put_u64(q, f->name_len);
	put_u64(q, len);
	put_u8(q, 'O');
	put_bytes(q, f->group, WIRE_GROUP);
	put_bytes(q, f->name, f->name_len);
	put_bytes(q, text, len);
	finish(q, 0);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t be;

	memcpy(&be, p, sizeof(be));
	return be64toh(be);
}

bool wire_reply_header(const uint8_t in[WIRE_HEADER], uint64_t *body_len,
    uint8_t *status)
{
	*body_len = get_u64(in);
	*status = in[9];
	return in[8] == CMD_RESPONSE && *body_len <= INT64_MAX;
}

bool wire_server_parse(const uint8_t *body, size_t len, bool with_path,
    struct wire_server *out)
{
	const size_t rest = WIRE_GROUP + 8 + (with_path ? 1 : 0);
	const size_t host = len - rest;
	uint64_t port;

	if (len < rest || (host != 15 && host != 45))
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->group, body, WIRE_GROUP);
	memcpy(out->host, body + WIRE_GROUP, host);
	port = get_u64(body + WIRE_GROUP + host);
	if (port == 0 || port > UINT16_MAX)
		return false;
	out->port = (uint16_t)port;
	if (with_path)
		out->path = body[len - 1];
	return true;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

bool wire_name_parse(const char *name, size_t len, struct wire_name *out)
{
	const uint64_t short_size = 1ULL << 63;
	const uint64_t appender = 1ULL << 58;
	uint8_t record[21] = { 0 };
	uint32_t be;
	uint64_t size;

	if (len < 37)
		return false;
	for (size_t i = 0; i < 27; i++) {
		const int v = base64_value(name[10 + i]);
		const size_t bit = i * 6;

		if (v < 0)
			return false;
		record[bit / 8] |=
		    (uint8_t)(((unsigned int)v << 2) >> (bit % 8));
		if (bit % 8 > 2)
			record[bit / 8 + 1] |=
			    (uint8_t)((unsigned int)v << (10 - bit % 8));
	}
	size = get_u64(record + 8);
	memcpy(&be, record + 16, sizeof(be));
	out->crc = be32toh(be);
	out->appender = (size & appender) != 0;
	out->size = size & short_size ? size & UINT32_MAX : size;
	return true;
}
