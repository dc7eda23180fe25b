/* SPDX-License-Identifier: MIT */
/*
 * name{field=value, ...}: numbers in decimal, text quoted and escaped, long
 * text cut, counters only when not 0, records of lists in brackets. Whatever
 * the body is, the output is one line of printable text that ends at the cap.
 */
#include "proto/dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire.h"

#define TEXT_MAX   160 /* bytes of a text that are shown */
#define RECORD_MAX 16  /* records of a list that are shown */
#define HEX_MAX    64  /* bytes of a body that are shown as hex */
#define SCRATCH    1024

/* As much as fits. */
static void add(struct strbuf *out, const char *text)
{
	const size_t n = strlen(text);
	size_t room;

	if (out->failed)
		return;
	room = out->cap - out->len - 1;
	strbuf_add(out, text, size_min(n, room));
	out->failed = n > room;
}

static void add_number(struct strbuf *out, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, v);
	add(out, text);
}

/* Quotes and backslashes are marked so that the end of the text is plain. */
static void add_text(struct strbuf *out, struct span s)
{
	char raw[TEXT_MAX * 2] = "";
	char text[sizeof(raw) * 4 + 1];
	size_t n = 0;

	for (size_t i = 0; i < s.n && i < TEXT_MAX; i++) {
		if (s.p[i] == '"')
			raw[n++] = '\\';
		raw[n++] = s.p[i];
	}
	str_escape(text, sizeof(text), raw, n);
	add(out, "\"");
	add(out, text);
	add(out, s.n > TEXT_MAX ? "\"..." : "\"");
}

static void add_hex(struct strbuf *out, const uint8_t *p, size_t n)
{
	char text[HEX_MAX * 2 + 1] = "";

	for (size_t i = 0; i < n && i < HEX_MAX; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", p[i]);
	add(out, text);
	add(out, n > HEX_MAX ? "..." : "");
}

static void add_stats(struct strbuf *out, const struct stats *s)
{
	add(out, "{conns=");
	add_number(out, s->alloc_conns);
	add(out, "/");
	add_number(out, s->current_conns);
	add(out, "/");
	add_number(out, s->max_conns);
	for (size_t i = 0; i < N_STATS; i++) {
		const int64_t v = stats_get(s, i);

		if (v == 0)
			continue;
		add(out, ", ");
		add(out, stat_names[i]);
		add(out, "=");
		add_number(out, v);
	}
	add(out, "}");
}

static void add_fields(struct strbuf *out, const struct message *m,
    const char *in);

static void add_list(struct strbuf *out, const struct message *record,
    struct span list)
{
	union msg_any item;
	const char *sep = "";

	add(out, "[");
	for (size_t i = 0; msg_next(record, &list, &item) == 1; i++) {
		add(out, sep);
		sep = ", ";
		if (i == RECORD_MAX) {
			add(out, "...");
			break;
		}
		add_fields(out, record, (const char *)&item);
	}
	add(out, "]");
}

static void add_value(struct strbuf *out, const struct field *f, const char *at)
{
	struct span s;
	struct stats stats;
	int64_t i64;
	int32_t i32;

	switch (f->kind) {
	case KIND_u8:
		add_number(out, (uint8_t)*at);
		break;
	case KIND_i32:
		memcpy(&i32, at, sizeof(i32));
		add_number(out, i32);
		break;
	case KIND_i64:
		memcpy(&i64, at, sizeof(i64));
		add_number(out, i64);
		break;
	case KIND_pad:
		add_text(out, span_of(at));
		break;
	case KIND_str:
	case KIND_rest:
		memcpy(&s, at, sizeof(s));
		add_text(out, s);
		break;
	case KIND_list:
		memcpy(&s, at, sizeof(s));
		add_list(out, f->record, s);
		break;
	case KIND_stats:
		memcpy(&stats, at, sizeof(stats));
		add_stats(out, &stats);
		break;
	case KIND_stream:
	case KIND_content:
		add(out, "(follows)");
		break;
	}
}

static void add_fields(struct strbuf *out, const struct message *m,
    const char *in)
{
	add(out, "{");
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];

		add(out, i ? ", " : "");
		add(out, f->name);
		add(out, "=");
		add_value(out, f, in + f->offset);
	}
	add(out, "}");
}

void msg_dump(const struct message *m, const void *in, struct strbuf *out)
{
	add(out, m->name);
	add_fields(out, m, in);
}

/* The one body whose end the table cannot describe. */
static void add_store(struct strbuf *out, const struct store *s)
{
	add(out, "store{group=");
	add_text(out, span_of(s->group));
	add(out, ", servers=[");
	for (size_t i = 0; i < s->n; i++) {
		add(out, i ? ", {ip=" : "{ip=");
		add_text(out, span_of(s->servers[i].ip));
		add(out, ", port=");
		add_number(out, s->servers[i].port);
		add(out, "}");
	}
	add(out, "], path=");
	add_number(out, s->path);
	add(out, "}");
}

static void add_body(struct strbuf *out, const struct message *m,
    const uint8_t *p, size_t n)
{
	union msg_any body;
	struct store store;

	m = msg_for_length(m, n);
	add(out, " ");
	if (m == &MSG(store_reply) && store_decode(p, n, &store) == 0) {
		add_store(out, &store);
		return;
	}
	if (msg_decode(m, p, n, &body, NULL) == 0) {
		msg_dump(m, &body, out);
		return;
	}
	add(out, "malformed ");
	add(out, m->name);
	add(out, " ");
	add_hex(out, p, n);
}

void dump_packet(const void *packet, size_t n, bool reply, uint8_t of,
    struct strbuf *out)
{
	const uint8_t *p = packet;
	const struct command *cmd;
	struct header h;

	if (n < HEADER_SIZE) {
		add(out, "short packet ");
		add_hex(out, p, n);
		return;
	}
	h = header_get(p);
	cmd = command_find(reply ? of : h.command);
	p += HEADER_SIZE;
	n -= HEADER_SIZE;
	if (cmd) {
		add(out, cmd->name);
	} else {
		add(out, "command ");
		add_number(out, reply ? of : h.command);
	}
	add(out, reply ? " reply" : " request");
	add(out, " status=");
	add_number(out, h.status);
	add(out, " length=");
	add_number(out, h.length);
	if (n == 0)
		return;
	if (cmd) {
		add_body(out, reply ? cmd->reply : cmd->request, p, n);
	} else {
		add(out, " ");
		add_hex(out, p, n);
	}
}
