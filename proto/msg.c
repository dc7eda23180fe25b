/* SPDX-License-Identifier: MIT */
/*
 * messages.def expands to tables of fields here; the functions walk them. A
 * kind is one row of functions in `kinds`. Numbers are copied in and out of
 * the structs by memcpy, so nothing depends on their alignment.
 */
#include "proto/msg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"
#include "proto/command.h"
#include "proto/wire.h"

/* --- tables -------------------------------------------------------------- */

#define ROW_u8(S, name, arg) \
	{ #name, KIND_u8, offsetof(struct msg_##S, name), 0, NULL },
#define ROW_i32(S, name, arg) \
	{ #name, KIND_i32, offsetof(struct msg_##S, name), 0, NULL },
#define ROW_i64(S, name, arg) \
	{ #name, KIND_i64, offsetof(struct msg_##S, name), 0, NULL },
#define ROW_pad(S, name, arg) \
	{ #name, KIND_pad, offsetof(struct msg_##S, name), arg, NULL },
#define ROW_str(S, name, arg)                              \
	{ #name, KIND_str, offsetof(struct msg_##S, name), \
		offsetof(struct msg_##S, arg), NULL },
#define ROW_rest(S, name, arg) \
	{ #name, KIND_rest, offsetof(struct msg_##S, name), 0, NULL },
#define ROW_list(S, name, arg)                                 \
	{ #name, KIND_list, offsetof(struct msg_##S, name), 0, \
		&msg_desc_##arg },
#define ROW_stats(S, name, arg) \
	{ #name, KIND_stats, offsetof(struct msg_##S, name), 0, NULL },
#define ROW_stream(S, name, arg) \
	{ #name, KIND_stream, 0, offsetof(struct msg_##S, arg), NULL },
#define ROW_content(S, name, arg) { #name, KIND_content, 0, 0, NULL },
#define ROW(S, kind, name, arg)   ROW_##kind(S, name, arg)

#define SIZE_u8(arg)      1
#define SIZE_i32(arg)     4
#define SIZE_i64(arg)     8
#define SIZE_pad(arg)     (arg)
#define SIZE_str(arg)     0
#define SIZE_rest(arg)    0
#define SIZE_list(arg)    0
#define SIZE_stats(arg)   STATS_SIZE
#define SIZE_stream(arg)  0
#define SIZE_content(arg) 0
/* NOLINTNEXTLINE(bugprone-macro-parentheses): it ends in its operator */
#define SIZE(S, kind, name, arg) SIZE_##kind(arg) +

#define MSG_TABLE(name, alt)                                                   \
	static const struct field fields_##name[] = { MSG_##name(ROW, name) }; \
	const struct message msg_desc_##name = { #name, fields_##name,         \
		ARRAY_LEN(fields_##name), sizeof(struct msg_##name),           \
		MSG_##name(SIZE, name) 0, &msg_desc_##alt };
MSG_ALL(MSG_TABLE)

const struct message msg_desc_none = { "none", NULL, 0, 0, 0, &msg_desc_none };

const char *const stat_names[N_STATS] = {
#define STAT(name) #name,
#include "proto/stats.def"
#undef STAT
};

static const size_t stat_offsets[N_STATS] = {
#define STAT(name) offsetof(struct stats, name),
#include "proto/stats.def"
#undef STAT
};

int64_t stats_get(const struct stats *s, size_t i)
{
	int64_t v;

	memcpy(&v, (const char *)s + stat_offsets[i], sizeof(v));
	return v;
}

void stats_set(struct stats *s, size_t i, int64_t v)
{
	memcpy((char *)s + stat_offsets[i], &v, sizeof(v));
}

/* --- kinds: get reads into the struct, put writes from it ---------------- */

static int64_t load_i64(const char *in, size_t offset)
{
	int64_t v;

	memcpy(&v, in + offset, sizeof(v));
	return v;
}

static struct span load_span(const char *in, size_t offset)
{
	struct span s;

	memcpy(&s, in + offset, sizeof(s));
	return s;
}

static void get_u8(const struct field *f, struct wire_in *in, char *out)
{
	const uint8_t v = (uint8_t)wire_get_n(in, 1);

	memcpy(out + f->offset, &v, sizeof(v));
}

static void get_i32(const struct field *f, struct wire_in *in, char *out)
{
	const int32_t v = (int32_t)wire_get_n(in, 4);

	memcpy(out + f->offset, &v, sizeof(v));
}

static void get_i64(const struct field *f, struct wire_in *in, char *out)
{
	const int64_t v = (int64_t)wire_get_n(in, 8);

	memcpy(out + f->offset, &v, sizeof(v));
}

static void get_pad(const struct field *f, struct wire_in *in, char *out)
{
	const struct span s = wire_get_pad(in, f->arg);

	memcpy(out + f->offset, s.p, s.n);
	out[f->offset + s.n] = 0;
}

static void get_span(const struct field *f, struct wire_in *in, char *out,
    uint64_t n)
{
	const struct span s = wire_get(in, n);

	memcpy(out + f->offset, &s, sizeof(s));
}

/* A negative count is a huge one here and fails the same way. */
static void get_str(const struct field *f, struct wire_in *in, char *out)
{
	get_span(f, in, out, (uint64_t)load_i64(out, f->arg));
}

static void get_rest(const struct field *f, struct wire_in *in, char *out)
{
	get_span(f, in, out, wire_left(in));
}

static void get_list(const struct field *f, struct wire_in *in, char *out)
{
	if (wire_left(in) % f->record->fixed_size != 0)
		in->failed = true;
	get_span(f, in, out, wire_left(in));
}

static void get_stats(const struct field *f, struct wire_in *in, char *out)
{
	struct stats s;

	s.alloc_conns = (int32_t)wire_get_n(in, 4);
	s.current_conns = (int32_t)wire_get_n(in, 4);
	s.max_conns = (int32_t)wire_get_n(in, 4);
	for (size_t i = 0; i < N_STATS; i++)
		stats_set(&s, i, (int64_t)wire_get_n(in, 8));
	memcpy(out + f->offset, &s, sizeof(s));
}

/* Content is the caller's: only an announced size below zero is wrong. */
static void get_stream(const struct field *f, struct wire_in *in, char *out)
{
	if (load_i64(out, f->arg) < 0)
		in->failed = true;
}

static void get_content(const struct field *f, struct wire_in *in, char *out)
{
	(void)f;
	(void)in;
	(void)out;
}

static void put_u8(const struct field *f, const char *in, struct wire_out *out)
{
	wire_put(out, in + f->offset, 1);
}

static void put_i32(const struct field *f, const char *in, struct wire_out *out)
{
	int32_t v;

	memcpy(&v, in + f->offset, sizeof(v));
	wire_put_n(out, (uint32_t)v, 4);
}

static void put_i64(const struct field *f, const char *in, struct wire_out *out)
{
	wire_put_n(out, (uint64_t)load_i64(in, f->offset), 8);
}

static void put_pad(const struct field *f, const char *in, struct wire_out *out)
{
	const char *text = in + f->offset;

	wire_put_pad(out, text, strnlen(text, f->arg), f->arg);
}

static void put_span(const struct field *f, const char *in,
    struct wire_out *out)
{
	const struct span s = load_span(in, f->offset);

	wire_put(out, s.p, s.n);
}

static void put_stats(const struct field *f, const char *in,
    struct wire_out *out)
{
	struct stats s;

	memcpy(&s, in + f->offset, sizeof(s));
	wire_put_n(out, (uint32_t)s.alloc_conns, 4);
	wire_put_n(out, (uint32_t)s.current_conns, 4);
	wire_put_n(out, (uint32_t)s.max_conns, 4);
	for (size_t i = 0; i < N_STATS; i++)
		wire_put_n(out, (uint64_t)stats_get(&s, i), 8);
}

static void put_content(const struct field *f, const char *in,
    struct wire_out *out)
{
	(void)f;
	(void)in;
	(void)out;
}

static const struct {
	void (*get)(const struct field *, struct wire_in *, char *);
	void (*put)(const struct field *, const char *, struct wire_out *);
} kinds[] = {
	[KIND_u8] = { get_u8, put_u8 },
	[KIND_i32] = { get_i32, put_i32 },
	[KIND_i64] = { get_i64, put_i64 },
	[KIND_pad] = { get_pad, put_pad },
	[KIND_str] = { get_str, put_span },
	[KIND_rest] = { get_rest, put_span },
	[KIND_list] = { get_list, put_span },
	[KIND_stats] = { get_stats, put_stats },
	[KIND_stream] = { get_stream, put_content },
	[KIND_content] = { get_content, put_content },
};

/* Bytes of the fixed part. */
static size_t field_width(const struct field *f)
{
	switch (f->kind) {
	case KIND_u8:
		return 1;
	case KIND_i32:
		return 4;
	case KIND_i64:
		return 8;
	case KIND_pad:
		return f->arg;
	case KIND_stats:
		return STATS_SIZE;
	default:
		return 0;
	}
}

static bool is_content(const struct field *f)
{
	return f->kind == KIND_stream || f->kind == KIND_content;
}

/* The field that ends the message, or NULL for one without fields. */
static const struct field *last_field(const struct message *m)
{
	return m->n_fields ? &m->fields[m->n_fields - 1] : NULL;
}

bool msg_has_content(const struct message *m)
{
	const struct field *last = last_field(m);

	return last && is_content(last);
}

/* --- what others call ---------------------------------------------------- */

int msg_decode(const struct message *m, const void *body, size_t n, void *out,
    size_t *used)
{
	struct wire_in in = wire_in(n ? body : "", n);

	if (m->struct_size)
		memset(out, 0, m->struct_size);
	for (size_t i = 0; i < m->n_fields; i++)
		kinds[m->fields[i].kind].get(&m->fields[i], &in, out);
	if (used)
		*used = n - wire_left(&in);
	if (in.failed || (wire_left(&in) && !msg_has_content(m)))
		return -EBADMSG;
	return 0;
}

/* Every count stands in the fixed part, in front of what it counts. */
static uint64_t count_on_wire(const struct message *m, const struct field *f,
    const void *p)
{
	struct wire_in in = wire_in(p, m->fixed_size);
	const struct field *count = m->fields;

	for (; count->kind != KIND_i64 || count->offset != f->arg; count++)
		wire_get(&in, field_width(count));
	return wire_get_n(&in, 8);
}

ssize_t msg_held_size(const struct message *m, const void *p, size_t n,
    size_t max)
{
	size_t total = m->fixed_size;

	if (!msg_has_content(m))
		return -EINVAL;
	if (total > max)
		return -EBADMSG;
	if (n < total)
		return 0;
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		uint64_t count;

		if (f->kind != KIND_str)
			continue;
		count = count_on_wire(m, f, p);
		if (count > max - total)
			return -EBADMSG;
		total += count;
	}
	return (ssize_t)total;
}

bool msg_stream_size(const struct message *m, const void *p, uint64_t *size)
{
	const struct field *last = last_field(m);

	if (!last || last->kind != KIND_stream)
		return false;
	*size = count_on_wire(m, last, p);
	return true;
}

/* The str whose length the number at m->fields[i] is, or NULL. */
static const struct field *counted_by(const struct message *m, size_t i)
{
	for (size_t k = i + 1; k < m->n_fields; k++) {
		if (m->fields[k].kind == KIND_str &&
		    m->fields[k].arg == m->fields[i].offset)
			return &m->fields[k];
	}
	return NULL;
}

ssize_t msg_encode(const struct message *m, const void *in, void *buf,
    size_t cap)
{
	struct wire_out out = wire_out(buf, cap);

	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		const struct field *str = NULL;

		if (f->kind == KIND_i64)
			str = counted_by(m, i);
		if (str)
			wire_put_n(&out, load_span(in, str->offset).n, 8);
		else
			kinds[f->kind].put(f, in, &out);
	}
	return out.failed ? -EMSGSIZE : (ssize_t)wire_len(&out);
}

int msg_next(const struct message *record, struct span *list, void *out)
{
	const size_t n = record->fixed_size;

	if (list->n == 0)
		return 0;
	if (list->n < n || msg_decode(record, list->p, n, out, NULL) < 0)
		return -EBADMSG;
	list->p += n;
	list->n -= n;
	return 1;
}

static bool fits(const struct message *m, size_t n)
{
	const struct field *last = last_field(m);

	if (n < m->fixed_size)
		return false;
	if (!last)
		return n == 0;
	if (last->kind == KIND_list)
		return (n - m->fixed_size) % last->record->fixed_size == 0;
	if (field_width(last))
		return n == m->fixed_size;
	return true;
}

const struct message *msg_for_length(const struct message *m, size_t n)
{
	return !fits(m, n) && fits(m->alt, n) ? m->alt : m;
}

/* --- store replies ------------------------------------------------------- */

#define STORE_FIXED (GROUP_NAME_SIZE + 1)
#define PORT_SIZE   8

/* Width of the address field, or 0 when no width gives that length. */
static size_t store_ip_width(size_t n)
{
	static const size_t widths[] = { 15, 45 };

	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		if (n > STORE_FIXED &&
		    (n - STORE_FIXED) % (widths[i] + PORT_SIZE) == 0)
			return widths[i];
	}
	return 0;
}

int store_decode(const void *body, size_t n, struct store *out)
{
	const size_t ipw = store_ip_width(n);
	struct wire_in in = wire_in(n ? body : "", n);
	struct span group;

	*out = (struct store){ .n = 0 };
	if (!ipw)
		return -EBADMSG;
	out->n = (n - STORE_FIXED) / (ipw + PORT_SIZE);
	if (out->n > ARRAY_LEN(out->servers))
		return -EBADMSG;
	group = wire_get_pad(&in, GROUP_NAME_SIZE);
	memcpy(out->group, group.p, group.n);
	for (size_t i = 0; i < out->n; i++) {
		const struct span ip = wire_get_pad(&in, ipw);
		const uint64_t port = wire_get_n(&in, PORT_SIZE);

		if (port > UINT16_MAX)
			return -EBADMSG;
		memcpy(out->servers[i].ip, ip.p, ip.n);
		out->servers[i].port = (uint16_t)port;
	}
	out->path = (uint8_t)wire_get_n(&in, 1);
	return 0;
}

ssize_t store_encode(const struct store *s, size_t ipw, void *buf, size_t cap)
{
	struct wire_out out = wire_out(buf, cap);

	wire_put_pad(&out, s->group, strnlen(s->group, sizeof(s->group)),
	    GROUP_NAME_SIZE);
	for (size_t i = 0; i < s->n; i++) {
		const struct store_server *v = &s->servers[i];

		wire_put_pad(&out, v->ip, strnlen(v->ip, sizeof(v->ip)), ipw);
		wire_put_n(&out, v->port, PORT_SIZE);
	}
	wire_put_n(&out, s->path, 1);
	return out.failed ? -EMSGSIZE : (ssize_t)wire_len(&out);
}
