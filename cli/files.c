/* SPDX-License-Identifier: MIT */
#include "cli/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/kv.h"

const struct out_column files_columns[FILES_COLUMNS] = {
	[FILES_ID] = { "id", OUT_TEXT, OUT_KEEP, 0, "the file's id" },
	[FILES_SIZE] = { "size", OUT_BYTES, 0, 0, "bytes" },
	[FILES_CREATED] = { "created", OUT_TIME, 0, 2, "when it was uploaded" },
	[FILES_NAME] = { "name", OUT_TEXT, OUT_CUT, 1,
	    "original name, when one was recorded" },
	[FILES_STATUS] = { "status", OUT_TEXT, OUT_EXTRA, 5, "ok or deleted" },
	[FILES_TYPE] = { "type", OUT_TEXT, OUT_EXTRA, 5,
	    "normal, appender, slave, trunk or link" },
	[FILES_EXT] = { "ext", OUT_TEXT, OUT_EXTRA, 5,
	    "extension in lower case" },
	[FILES_CRC] = { "crc", OUT_CRC, OUT_EXTRA, 5,
	    "crc32, when the content has not changed since" },
	[FILES_MODIFIED] = { "modified", OUT_TIME, OUT_EXTRA, 5,
	    "last change of the content" },
	[FILES_SOURCE] = { "source", OUT_TEXT, OUT_EXTRA, 5,
	    "storage that took the upload" },
	[FILES_CLIENT] = { "client", OUT_TEXT, OUT_EXTRA, 5,
	    "address that uploaded it" },
	[FILES_GROUP] = { "group", OUT_TEXT, OUT_EXTRA, 6, "its group" },
	[FILES_PATH] = { "path", OUT_INT, OUT_EXTRA, 6,
	    "number of the store path" },
	[FILES_DIR] = { "dir", OUT_TEXT, OUT_EXTRA, 6,
	    "directories below the store path" },
	[FILES_VERIFIED] = { "verified", OUT_TIME, OUT_EXTRA, 6,
	    "when its content was checked" },
	[FILES_VERIFY_RESULT] = { "verify_result", OUT_INT, OUT_EXTRA, 7,
	    "0 as it should be, else an errno" },
	[FILES_DELETED] = { "deleted", OUT_TIME, OUT_EXTRA, 7,
	    "when it was deleted" },
	[FILES_DELETED_BY] = { "deleted_by", OUT_TEXT, OUT_EXTRA, 7,
	    "address that deleted it" },
	[FILES_SEQ] = { "seq", OUT_INT, OUT_EXTRA, 8,
	    "sequence number of the operation that made it" },
	[FILES_META] = { "meta", OUT_PAIRS, OUT_EXTRA, 9, "user metadata" },
};

static const char *const types[] = { "normal", "appender", "slave", "trunk",
	"link" };

static struct out_cell ms_cell(int64_t ms)
{
	return ms > 0 ? out_number(ms / 1000) : out_unknown();
}

static struct out_cell text_cell(const char *s)
{
	return s && *s ? out_text(s) : out_unknown();
}

struct packer {
	char *text;
	size_t n, cap;
};

static void pack(struct packer *p, const char *s, size_t n, char end)
{
	if (p->n + n + 1 > p->cap) {
		p->cap = 2 * (p->n + n + 1);
		p->text = xrealloc(p->text, p->cap, 1);
	}
	memcpy(p->text + p->n, s, n);
	p->text[p->n + n] = end;
	p->n += n + 1;
}

static int pack_attr(void *arg, const char *key, const char *value)
{
	struct packer *p = arg;

	pack(p, key, strlen(key), KV_FIELD_SEP);
	pack(p, value, strlen(value), KV_RECORD_SEP);
	return 0;
}

bool files_print(struct out *out, struct db *db, const struct file_row *r)
{
	struct packer meta = { NULL, 0, 0 };
	struct out_cell c[FILES_COLUMNS];
	char group[32];
	bool go_on;

	str_copy_span(group, sizeof(group),
	    (struct span){ r->id, strcspn(r->id, "/") });
	c[FILES_ID] = out_text(r->id);
	c[FILES_SIZE] = out_number((int64_t)r->size);
	c[FILES_CREATED] = ms_cell(r->created);
	c[FILES_NAME] = text_cell(r->name);
	c[FILES_STATUS] = out_text(r->deleted ? "deleted" : "ok");
	c[FILES_TYPE] = r->type >= 0 && (size_t)r->type < ARRAY_LEN(types)
	                    ? out_text(types[r->type])
	                    : out_unknown();
	c[FILES_EXT] = text_cell(r->ext);
	c[FILES_CRC] = r->has_crc ? out_number(r->crc) : out_unknown();
	c[FILES_MODIFIED] = ms_cell(r->modified);
	c[FILES_SOURCE] = text_cell(r->source);
	c[FILES_CLIENT] = text_cell(r->client);
	c[FILES_GROUP] = text_cell(group);
	c[FILES_PATH] = out_number(r->path);
	c[FILES_DIR] = text_cell(r->dir);
	c[FILES_VERIFIED] = ms_cell(r->verified);
	c[FILES_VERIFY_RESULT] =
	    r->verified > 0 ? out_number(r->verify_result) : out_unknown();
	c[FILES_DELETED] = ms_cell(r->deleted ? r->deleted_at : 0);
	c[FILES_DELETED_BY] = text_cell(r->deleted ? r->deleted_by : NULL);
	c[FILES_SEQ] = out_number(r->seq);
	c[FILES_META] = out_unknown();
	if (out_wants(out, FILES_META) && !r->deleted &&
	    query_attrs(db, r->seq, pack_attr, &meta) >= 0)
		c[FILES_META] = out_span(
		    (struct span){ meta.text ? meta.text : "", meta.n });
	go_on = out_row(out, c);
	free(meta.text);
	return go_on;
}
