/* SPDX-License-Identifier: MIT */
/*
 * The table is in code order; a byte per code says which row is whose, so
 * that a look-up is one read. Whether a request has content is counted from
 * its fields in messages.def: no row says it again.
 */
#include "proto/command.h"

#include "base/macros.h"
#include "proto/msg.h"
#include "proto/wire.h"

#define CONTENT_u8      0
#define CONTENT_i32     0
#define CONTENT_i64     0
#define CONTENT_pad     0
#define CONTENT_str     0
#define CONTENT_rest    0
#define CONTENT_list    0
#define CONTENT_stats   0
#define CONTENT_stream  1
#define CONTENT_content 1

/* NOLINTNEXTLINE(bugprone-macro-parentheses): it ends in its operator */
#define CONTENT_FIELD(S, kind, name, arg) CONTENT_##kind +
#define CONTENT_MSG(name, alt) \
	CONTENT_IN_##name = MSG_##name(CONTENT_FIELD, name) 0,

enum { MSG_ALL(CONTENT_MSG) CONTENT_IN_none = 0 };

static const struct command commands[] = {
#define CMD(code, name, by, request, reply, held)                        \
	{ #name, &msg_desc_##request, &msg_desc_##reply, by, held, code, \
		CONTENT_IN_##request != 0 },
#include "proto/commands.def"
#undef CMD
};

/* Row + 1 of each code; 0: nobody's. */
enum row {
	ROW_nobody,
#define CMD(code, name, by, request, reply, held) ROW_##name,
#include "proto/commands.def"
#undef CMD
};

static const uint8_t rows[256] = {
#define CMD(code, name, by, request, reply, held) [code] = ROW_##name,
#include "proto/commands.def"
#undef CMD
};

struct header header_get(const void *p)
{
	struct wire_in in = wire_in(p, HEADER_SIZE);
	struct header h;

	h.length = (int64_t)wire_get_n(&in, 8);
	h.command = (uint8_t)wire_get_n(&in, 1);
	h.status = (uint8_t)wire_get_n(&in, 1);
	return h;
}

void header_put(void *p, uint64_t length, uint8_t command, uint8_t status)
{
	struct wire_out out = wire_out(p, HEADER_SIZE);

	wire_put_n(&out, length, 8);
	wire_put_n(&out, command, 1);
	wire_put_n(&out, status, 1);
}

const struct command *command_find(uint8_t code)
{
	const size_t row = rows[code];

	return row ? &commands[row - 1] : NULL;
}

const struct command *command_at(size_t i)
{
	return i < ARRAY_LEN(commands) ? &commands[i] : NULL;
}
