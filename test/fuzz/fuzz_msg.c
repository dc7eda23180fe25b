/* SPDX-License-Identifier: MIT */
/*
 * Byte 0 chooses a message, the rest is its body. What decodes encodes to the
 * same bytes (except behind the NUL of a pad), and every body dumps as one
 * printable line.
 */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "proto/command.h"
#include "proto/dump.h"
#include "proto/msg.h"
#include "test/fuzz/fuzz.h"
#include "test/pads.h"

#define BODY_MAX 8192

#define MSG_ADDRESS(name, alt) &msg_desc_##name,
static const struct message *const messages[] = { MSG_ALL(MSG_ADDRESS) };

static void check_line(const struct strbuf *out)
{
	promise(strlen(out->buf) == out->len, "a dump has no NUL");
	for (size_t i = 0; i < out->len; i++)
		promise((unsigned char)out->buf[i] >= ' ' &&
		            out->buf[i] != 0x7f,
		    "a dump is one printable line");
}

/* Small rooms too: a dump is cut, never more. */
static void check_dump(const struct message *m, const union msg_any *any,
    const uint8_t *body, size_t n)
{
	static const size_t caps[] = { 1, 17, 256, 65536 };
	static char text[65536];
	uint8_t packet[HEADER_SIZE + BODY_MAX];

	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		struct strbuf out = strbuf_over(text, caps[i]);

		msg_dump(m, any, &out);
		check_line(&out);
	}
	header_put(packet, n, body[0], 0);
	memcpy(packet + HEADER_SIZE, body, n);
	for (int reply = 0; reply < 2; reply++) {
		struct strbuf out = strbuf_over(text, sizeof(text));

		dump_packet(packet, HEADER_SIZE + n, reply, body[0], &out);
		check_line(&out);
	}
}

static void check_encode(const struct message *m, const union msg_any *any,
    const uint8_t *body, size_t used)
{
	uint8_t want[BODY_MAX];
	uint8_t got[BODY_MAX + 1];
	union msg_any again;

	got[used] = 0x5a;
	promise(msg_encode(m, any, got, used) == (ssize_t)used,
	    "encode gives the size that was decoded");
	promise(got[used] == 0x5a, "encode stays in its room");
	promise(used == 0 || msg_encode(m, any, got, used - 1) == -EMSGSIZE,
	    "encode says when there is no room");
	msg_encode(m, any, got, used);
	promise(msg_decode(m, got, used, &again, NULL) == 0,
	    "what was encoded decodes");
	memcpy(want, body, used);
	if (m->n_fields && m->fields[m->n_fields - 1].kind == KIND_list) {
		pads_clean(m, want, used);
		pads_clean(m, got, used);
	}
	pads_clean(m, want, used);
	promise(memcmp(want, got, used) == 0, "the same bytes come out");
}

static void check_lists(const struct message *m, const union msg_any *any)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		union msg_any record;
		struct span list;
		int rc;

		if (f->kind != KIND_list)
			continue;
		memcpy(&list, (const char *)any + f->offset, sizeof(list));
		while ((rc = msg_next(f->record, &list, &record)) == 1)
			check_encode(f->record, &record,
			    (const uint8_t *)list.p - f->record->fixed_size,
			    f->record->fixed_size);
		promise(rc == 0, "a decoded list has whole records");
	}
}

static void check_store(const uint8_t *body, size_t n)
{
	struct store s;
	uint8_t got[BODY_MAX];
	uint8_t again[BODY_MAX];

	for (size_t ipw = 15; ipw <= 45; ipw += 30) {
		ssize_t size;

		if (store_decode(body, n, &s) < 0)
			return;
		size = store_encode(&s, ipw, got, sizeof(got));
		if (size < 0)
			continue; /* an address too long for 15 bytes */
		promise(store_decode(got, (size_t)size, &s) == 0,
		    "an encoded store reply decodes");
		promise(store_encode(&s, ipw, again, sizeof(again)) == size &&
		            memcmp(got, again, (size_t)size) == 0,
		    "and encodes to the same bytes");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct message *m;
	union msg_any any;
	size_t used = 0;

	if (n < 2 || n > BODY_MAX)
		return 0;
	m = messages[data[0] % ARRAY_LEN(messages)];
	data++;
	n--;
	promise(msg_for_length(m, n) == m || msg_for_length(m, n) == m->alt,
	    "a dialect is the message or its other one");
	check_store(data, n);
	if (msg_decode(m, data, n, &any, &used) < 0)
		return 0;
	promise(used <= n && (used == n || msg_has_content(m)),
	    "decode takes all, or all but the content");
	if (msg_has_content(m) && m->fixed_size)
		promise(msg_held_size(m, data, n, n) == (ssize_t)used,
		    "the held part is what decode takes");
	check_encode(m, &any, data, used);
	check_lists(m, &any);
	check_dump(m, &any, data, n);
	return 0;
}
