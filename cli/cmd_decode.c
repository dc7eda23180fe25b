/* SPDX-License-Identifier: MIT */
/*
 * decode: an id, or a packet in hexadecimal, as text. Asks nobody. A reply
 * does not say what it answers, so a packet that is one wants --reply-to.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/meta.h"
#include "meta/names.h"
#include "proto/dump.h"
#include "proto/fileid.h"

struct decode_options {
	const char *reply_to;
};
static_assert(sizeof(struct decode_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .name = "reply-to",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct decode_options, reply_to),
	    .arg = "COMMAND",
	    .help = "the command that a reply answers, by name or number" },
};

const struct opt_table meta_decode_table = { "decode", rows, ARRAY_LEN(rows),
	0 };

enum {
	COL_ID,
	COL_GROUP,
	COL_PATH,
	COL_DIR,
	COL_FILE,
	COL_TYPE,
	COL_SOURCE,
	COL_CREATED,
	COL_SIZE,
	COL_CRC,
	COL_EXT,
	COL_TRUNK_FILE,
	COL_TRUNK_AT,
	COL_TRUNK_SIZE,
	COL_PACKET
};

static const struct out_column columns[] = {
	[COL_ID] = { "id", OUT_TEXT, 0, 0, "the id" },
	[COL_GROUP] = { "group", OUT_TEXT, 0, 0, "its group" },
	[COL_PATH] = { "path", OUT_INT, 0, 0, "number of the store path" },
	[COL_DIR] = { "dir", OUT_TEXT, 0, 0, "directories below it" },
	[COL_FILE] = { "file", OUT_TEXT, 0, 0, "name on disk" },
	[COL_TYPE] = { "type", OUT_TEXT, 0, 0,
	    "normal, appender, slave or trunk" },
	[COL_SOURCE] = { "source", OUT_TEXT, 0, 0,
	    "storage that took the upload, id or address" },
	[COL_CREATED] = { "created", OUT_TIME, 0, 0, "time in the id" },
	[COL_SIZE] = { "size", OUT_BYTES, 0, 0,
	    "bytes; not in ids of appenders and slaves" },
	[COL_CRC] = { "crc", OUT_CRC, 0, 0,
	    "crc32 of the content uploaded first" },
	[COL_EXT] = { "ext", OUT_TEXT, 0, 0, "extension" },
	[COL_TRUNK_FILE] = { "trunk_file", OUT_INT, 0, 0,
	    "number of the trunk file" },
	[COL_TRUNK_AT] = { "trunk_offset", OUT_INT, 0, 0, "slot in it" },
	[COL_TRUNK_SIZE] = { "trunk_size", OUT_INT, 0, 0, "size of the slot" },
	[COL_PACKET] = { "packet", OUT_TEXT, 0, 0, "a packet as text" },
};

static const struct out_layout layout = { "fdfs-meta.decode/1", columns,
	ARRAY_LEN(columns), true, NULL };

static const char *const types[] = { "normal", "appender", "slave", "trunk" };

static void print_id(struct out *out, struct span group,
    const struct fileid_name *n, struct span name)
{
	struct out_cell c[ARRAY_LEN(columns)];
	struct name_facts facts;
	struct trunk_slot slot;
	char id[256];
	struct strbuf b = strbuf_over(id, sizeof(id));
	const bool known = names_read(name, &facts) == 0 && n->has_record;

	strbuf_add(&b, group.p, group.n);
	strbuf_add(&b, "/", group.n > 0);
	strbuf_add(&b, name.p, name.n);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		c[i] = out_unknown();
	c[COL_ID] = out_text(id);
	if (group.n > 0)
		c[COL_GROUP] = out_span(group);
	c[COL_PATH] = out_number(n->path);
	c[COL_DIR] = out_span((struct span){ n->rest.p, 5 });
	c[COL_FILE] = out_span(n->file);
	if (known) {
		c[COL_TYPE] = out_text(types[n->type]);
		c[COL_SOURCE] = out_text(facts.source);
		c[COL_CREATED] = out_number(n->id.time);
		c[COL_CRC] = out_number(n->id.crc);
		if (n->type == FILE_NORMAL || n->type == FILE_TRUNK)
			c[COL_SIZE] = out_number((int64_t)fileid_size(&n->id));
	}
	if (facts.ext[0])
		c[COL_EXT] = out_span(fileid_ext(name));
	if (known && n->type == FILE_TRUNK &&
	    fileid_trunk_slot(name, &slot) == 0) {
		c[COL_TRUNK_FILE] = out_number(slot.file);
		c[COL_TRUNK_AT] = out_number(slot.offset);
		c[COL_TRUNK_SIZE] = out_number(slot.size);
	}
	out_row(out, c);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Bytes of a text of hexadecimal digits and blanks; -EINVAL when it is none.
 * bytes has room for half the text. */
static ssize_t from_hex(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	while (*text) {
		if (*text == ' ' || *text == ':' || *text == '\n') {
			text++;
			continue;
		}
		if (hex_digit(text[0]) < 0 || hex_digit(text[1]) < 0)
			return -EINVAL;
		bytes[n++] =
		    (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		text += 2;
	}
	return (ssize_t)n;
}

static enum status find_command(const char *text, uint8_t *code)
{
	uint64_t n;

	if (str_to_u64(text, &n) == 0 && n < 256 && command_find((uint8_t)n)) {
		*code = (uint8_t)n;
		return STATUS_OK;
	}
	for (size_t i = 0; command_at(i); i++)
		if (strcmp(command_at(i)->name, text) == 0) {
			*code = command_at(i)->code;
			return STATUS_OK;
		}
	return err_usage("write a number such as 101 or a name such as "
	                 "query_store_one",
	    "no command \"%s\"", text);
}

static enum status print_packet(struct out *out, const char *reply_to,
    const uint8_t *bytes, size_t n)
{
	const size_t cap = 8 * n + 65536;
	struct out_cell c[ARRAY_LEN(columns)];
	const struct header h = header_get(bytes);
	struct strbuf b;
	uint8_t of = 0;
	char *text;
	enum status st = STATUS_OK;

	if (reply_to)
		st = find_command(reply_to, &of);
	else if (h.command == CMD_RESPONSE)
		st = err_usage("--reply-to COMMAND",
		    "this is a reply, and it does not say to what");
	if (st != STATUS_OK)
		return st;
	text = xcalloc(cap, 1);
	b = strbuf_over(text, cap);
	dump_packet(bytes, n, h.command == CMD_RESPONSE, of, &b);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		c[i] = out_unknown();
	c[COL_PACKET] = out_text(text);
	out_row(out, c);
	free(text);
	return STATUS_OK;
}

static enum status decode(struct out *out, const char *text,
    const char *reply_to)
{
	struct span group = { "", 0 };
	struct span name = span_of(text);
	struct fileid_name parsed;
	size_t at = 0;
	uint8_t *bytes;
	ssize_t n;
	enum status st;

	if (fileid_split(text, &group, &name, &at) < 0)
		name = span_of(text);
	if (fileid_parse(name, &parsed) == 0) {
		print_id(out, group, &parsed, name);
		return STATUS_OK;
	}
	bytes = xcalloc(strlen(text) / 2 + 1, 1);
	n = from_hex(text, bytes);
	if (n >= HEADER_SIZE) {
		st = print_packet(out, reply_to, bytes, (size_t)n);
	} else {
		st = err_caret(text, at,
		    "this is neither a file id nor a packet in hexadecimal");
	}
	free(bytes);
	return st;
}

enum status meta_run_decode(struct cli *cli, const void *options)
{
	const struct decode_options *o = options;
	struct out_end end = { .complete = true };
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	if (!out)
		return st;
	for (size_t i = 0; i < cli->n_words; i++)
		st = err_worse(st,
		    decode(out, cli->words[i], o ? o->reply_to : NULL));
	end.total = (int64_t)out_rows(out);
	return err_worse(st, out_close(out, &end));
}
