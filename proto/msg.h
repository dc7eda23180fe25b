/* SPDX-License-Identifier: MIT */
/*
 * Message bodies as structs and tables, both made from messages.def; four
 * ordinary functions walk the tables. `struct msg_upload` is what
 * `msg_decode(&MSG(upload), ...)` fills. Decode borrows from the body and
 * never allocates. Pure, any thread.
 */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "proto/messages.def"

/* Connections and counters of a storage, 348 bytes on the wire. */
struct stats {
	int32_t alloc_conns;
	int32_t current_conns;
	int32_t max_conns;
#define STAT(name) int64_t name;
#include "proto/stats.def"
#undef STAT
};

enum stat_index {
#define STAT(name) STAT_##name,
#include "proto/stats.def"
#undef STAT
	N_STATS
};
#define STATS_SIZE (3 * 4 + N_STATS * 8)

extern const char *const stat_names[N_STATS];
int64_t stats_get(const struct stats *s, size_t i);
void stats_set(struct stats *s, size_t i, int64_t v);

#define MSG_FIELD_u8(name, arg)    uint8_t name;
#define MSG_FIELD_i32(name, arg)   int32_t name;
#define MSG_FIELD_i64(name, arg)   int64_t name;
#define MSG_FIELD_pad(name, arg)   char name[(arg) + 1];
#define MSG_FIELD_str(name, arg)   struct span name;
#define MSG_FIELD_rest(name, arg)  struct span name;
#define MSG_FIELD_list(name, arg)  struct span name;
#define MSG_FIELD_stats(name, arg) struct stats name;
#define MSG_FIELD_stream(name, arg)
#define MSG_FIELD_content(name, arg)
#define MSG_FIELD(S, kind, name, arg) MSG_FIELD_##kind(name, arg)

/* A message that is only content has no fields: it gets one that says so. */
#define MSG_STRUCT(name, alt)                                \
	struct msg_##name {                                  \
		MSG_##name(MSG_FIELD, name) uint8_t msg_end; \
	};
MSG_ALL(MSG_STRUCT)

/* Room for any of them. */
union msg_any {
#define MSG_MEMBER(name, alt) struct msg_##name name;
	MSG_ALL(MSG_MEMBER)
#undef MSG_MEMBER
};

enum field_kind {
	KIND_u8,
	KIND_i32,
	KIND_i64,
	KIND_pad,
	KIND_str,
	KIND_rest,
	KIND_list,
	KIND_stats,
	KIND_stream,
	KIND_content
};

struct message;

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* in the struct */
	size_t arg;    /* pad: width; str, stream: offset of the length */
	const struct message *record; /* list */
};

struct message {
	const char *name;
	const struct field *fields;
	size_t n_fields;
	size_t struct_size;
	size_t fixed_size;         /* bytes of the fields before any str, rest,
	                              list, stream */
	const struct message *alt; /* the other dialect, or itself */
};

#define MSG(name)              msg_desc_##name
#define MSG_DECLARE(name, alt) extern const struct message msg_desc_##name;
MSG_ALL(MSG_DECLARE)
extern const struct message msg_desc_none; /* no fields at all */

/* Does it end in a stream or content field? */
bool msg_has_content(const struct message *m);
/* Decodes what stands before a stream or content field. 0, or -EBADMSG for
 * overrun, negative or absurd lengths, bytes left over (a stream's announced
 * size is not checked against anything: the caller knows the body length).
 * *used (may be NULL): bytes taken, = body length when nothing streams. */
int msg_decode(const struct message *m, const void *body, size_t n, void *out,
    size_t *used);
/* Bytes of the held part of a streamed message can depend on a length field
 * inside it: given the first n bytes, gives the size of the part before the
 * content, or 0 when more bytes are needed to tell, or -EBADMSG. max bounds
 * it. For messages without stream: -EINVAL. */
ssize_t msg_held_size(const struct message *m, const void *p, size_t n,
    size_t max);
/* The size of the content as the fixed part at p announces it (huge when
 * negative); false when the message does not announce one. */
bool msg_stream_size(const struct message *m, const void *p, uint64_t *size);
/* Gives the size, or -EMSGSIZE. Pad fields are zero-filled. The number that
 * counts a str field is written from the span: the caller need not set it.
 * Content is not written: it follows what stands before it. */
ssize_t msg_encode(const struct message *m, const void *in, void *buf,
    size_t cap);
/* Next record of a list field: 1 and *list moved on, 0 at the end,
 * -EBADMSG when the list is no whole number of records. */
int msg_next(const struct message *record, struct span *list, void *out);
/* The dialect that fits a body of n bytes (lists: whole records; else exact
 * size), or m itself. */
const struct message *msg_for_length(const struct message *m, size_t n);
/* One line of text: name{field=value, ...}; never fails, cuts at the cap. */
void msg_dump(const struct message *m, const void *in, struct strbuf *out);

/* Store replies (client-protocol 3.2, 3.3): servers, then the path index. */
struct store_server {
	char ip[46];
	uint16_t port;
};
struct store {
	char group[17];
	size_t n;
	struct store_server servers[32];
	uint8_t path;
};
/* ipw: width of the address field, 15 or 45; decode finds it by length. */
int store_decode(const void *body, size_t n, struct store *out);
ssize_t store_encode(const struct store *s, size_t ipw, void *buf, size_t cap);

#endif
