/* SPDX-License-Identifier: MIT */
/* stat: every storage of the file's group is asked, one row a copy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fdfs.h"
#include "cli/stop.h"

#define FLAG_SILENT    2 /* do not log a missing file */
#define STORAGE_ACTIVE 7

enum {
	COL_ID,
	COL_STORAGE,
	COL_ADDRESS,
	COL_STATE,
	COL_SIZE,
	COL_MODIFIED,
	COL_CRC,
	COL_SOURCE,
	COL_TYPE,
	COL_CREATED
};

static const struct out_column columns[] = {
	{ "id", OUT_TEXT, OUT_KEEP, 0, "the file's id" },
	{ "storage", OUT_TEXT, 0, 2, "id of the storage asked" },
	{ "address", OUT_TEXT, 0, 4, "its address" },
	{ "state", OUT_TEXT, OUT_KEEP, 0,
	    "good, missing, differs (from its id), or why it did not answer" },
	{ "size", OUT_BYTES, 0, 0, "bytes there" },
	{ "modified", OUT_TIME, 0, 1, "modification time there" },
	{ "crc", OUT_CRC, 0, 2, "crc32 as the storage says" },
	{ "source", OUT_TEXT, 0, 3, "address of the storage that took it" },
	{ "type", OUT_TEXT, OUT_EXTRA, 5, "normal, appender, slave or trunk" },
	{ "created", OUT_TIME, OUT_EXTRA, 5, "time in the id" },
};

static const struct out_layout layout = { "fdfs.stat/1", columns,
	ARRAY_LEN(columns), false, NULL };

static const char *const type_names[] = { "normal", "appender", "slave",
	"trunk" };

/* Storages that did not answer. */
struct names {
	char **items; /* owned, and the texts */
	size_t n;
};

struct asked {
	int rc;
	int64_t size, mtime;
	uint32_t crc;
	char source[47];
};

static void ask(struct source *s, const struct fid *id, const struct member *m,
    struct asked *a)
{
	struct msg_file_ref req;
	uint8_t body[16 + FILE_NAME_MAX + 1];
	uint8_t reply[128];
	struct msg_file_info46 wide;
	struct msg_file_info info;
	struct client *c;
	size_t got = 0;
	ssize_t n;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	a->rc = source_connect(s, &m->addr, &c);
	if (a->rc < 0)
		return;
	n = msg_encode(&MSG(file_ref), &req, body, sizeof(body));
	/* Flags stand in the status byte of the request. */
	a->rc = n < 0 ? (int)n
	              : client_send_head(c, CMD_query_file_info, FLAG_SILENT,
	                    (uint64_t)n, body, (size_t)n);
	if (a->rc == 0) {
		uint64_t length;

		a->rc = client_recv_head(c, &length);
		got = (size_t)length;
		if (a->rc == 0)
			a->rc = length > sizeof(reply)
			            ? -EPROTO
			            : client_recv(c, reply, got);
	}
	source_disconnect(c);
	if (a->rc != 0)
		return;
	if (msg_decode(&MSG(file_info46), reply, got, &wide, NULL) == 0) {
		a->size = wide.size;
		a->mtime = wide.mtime;
		a->crc = (uint32_t)wide.crc;
		str_copy(a->source, sizeof(a->source), wide.ip);
	} else if (msg_decode(&MSG(file_info), reply, got, &info, NULL) == 0) {
		a->size = info.size;
		a->mtime = info.mtime;
		a->crc = (uint32_t)info.crc;
		str_copy(a->source, sizeof(a->source), info.ip);
	} else {
		a->rc = -EPROTO;
	}
}

/* Does the answer contradict the id? Only names of normal files tell. */
static bool differs(const struct fid *id, const struct asked *a)
{
	if (!id->parsed.has_record ||
	    (id->parsed.type != FILE_NORMAL && id->parsed.type != FILE_TRUNK))
		return false;
	return (uint64_t)a->size != fileid_size(&id->parsed.id) ||
	       a->crc != id->parsed.id.crc;
}

static void row(struct out *out, const struct fid *id, const struct member *m,
    const struct asked *a)
{
	struct out_cell cells[ARRAY_LEN(columns)];
	char address[ADDR_TEXT_MAX];
	char words[128];
	const bool there = a->rc == 0;

	cells[COL_ID] = out_text(id->text);
	cells[COL_STORAGE] = out_text(m->id);
	cells[COL_ADDRESS] =
	    out_text(addr_text(&m->addr, address, sizeof(address)));
	cells[COL_STATE] = out_text(
	    there             ? differs(id, a) ? "differs" : "good"
	    : a->rc == ENOENT ? "missing"
	                      : err_words(a->rc, words, sizeof(words)));
	cells[COL_SIZE] = there ? out_number(a->size) : out_unknown();
	cells[COL_MODIFIED] = there ? out_number(a->mtime) : out_unknown();
	cells[COL_CRC] = there ? out_number(a->crc) : out_unknown();
	cells[COL_SOURCE] =
	    there && a->source[0] ? out_text(a->source) : out_unknown();
	cells[COL_TYPE] = out_text(type_names[id->parsed.type]);
	cells[COL_CREATED] = id->parsed.has_record
	                         ? out_number(id->parsed.id.time)
	                         : out_unknown();
	out_row(out, cells);
}

/* Storages that never held or no longer hold the group's files. */
static bool is_worth_asking(const struct member *m)
{
	return m->status != 4 && m->status != 3 && m->status != 0;
}

static enum status stat_one(struct source *s, struct out *out, const char *text,
    struct names *missing)
{
	struct members all = { .n = 0 };
	struct fid id;
	size_t found = 0;
	size_t failed = 0;
	size_t different = 0;
	enum status st = fdfs_parse_id(text, &id);

	if (st == STATUS_OK)
		st = fdfs_members(s, id.group, &all);
	if (st != STATUS_OK)
		return st;
	for (size_t i = 0; i < all.n && !stop_asked(); i++) {
		struct asked a = { .rc = 0 };

		if (!is_worth_asking(&all.items[i]))
			continue;
		ask(s, &id, &all.items[i], &a);
		found += a.rc == 0;
		different += a.rc == 0 && differs(&id, &a);
		if (a.rc < 0) {
			failed++;
			missing->items = xrealloc(missing->items,
			    missing->n + 1, sizeof(*missing->items));
			missing->items[missing->n++] = xstrdup(all.items[i].id);
		}
		row(out, &id, &all.items[i], &a);
	}
	if (failed > 0)
		return found > 0 ? STATUS_PART : STATUS_NO_SOURCE;
	if (found == 0)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = ENOENT,
		                   .subject = id.text },
		    "no storage has %s", id.text);
	return different > 0 ? STATUS_NO : STATUS_OK;
}

enum status fdfs_run_stat(struct cli *cli, const void *options)
{
	struct names missing = { NULL, 0 };
	struct out_end end = { .complete = true, .total = -1 };
	struct source s;
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	(void)options;
	if (!out)
		return st;
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = source_need_tracker(&s);
	for (size_t i = 0; st != STATUS_USAGE && st != STATUS_NO_SOURCE &&
	                   i < cli->n_words && !stop_asked();
	     i++)
		st = err_worse(st, stat_one(&s, out, cli->words[i], &missing));
	end.complete =
	    missing.n == 0 && !stop_asked() && st != STATUS_NO_SOURCE;
	end.missing = (const char *const *)missing.items;
	end.n_missing = missing.n;
	end.total = (int64_t)out_rows(out);
	st = err_worse(st, out_close(out, &end));
	source_close(&s);
	for (size_t i = 0; i < missing.n; i++)
		free(missing.items[i]);
	free(missing.items);
	return st;
}
