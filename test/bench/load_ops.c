/* SPDX-License-Identifier: MIT */
/*
 * One row an operation. A row names the query that finds its server when
 * operations go via the tracker, how it uses files of the pool, the function
 * that builds its request and the one that reads its reply.
 */
#include "test/bench/load_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum file_use {
	USE_NONE,
	USE_SHARED, /* any file, read by several at once */
	USE_ONCE,   /* each file of the pool one time, in order */
	USE_OWN,    /* the client's own, if there are enough */
	USE_TAKEN   /* leaves the pool */
};

struct op_row {
	const char *name;
	const char *help;
	enum wire_cmd query;
	enum file_use use;
	bool tracker_only;
	struct op_needs needs;
	void (*build)(struct client *c);
	int (*reply)(struct client *c);
};

static struct wire_file file_on_wire(const struct client *c)
{
	const struct file *f = c->task.file;
	const struct server *s = &c->bench->servers.servers[f->server];

	return (struct wire_file){ s->key.group, f->name, f->name_len };
}

static size_t reply_body_len(const struct exchange *x)
{
	return (size_t)(x->expect - WIRE_HEADER);
}

static int reply_empty(struct client *c)
{
	return reply_body_len(&c->x) == 0 ? STEP_SUCCESS : ERR_REPLY;
}

static void make_content(struct client *c)
{
	content_make(&c->x.content, c->task.size, c->bench->opt->seed,
	    c->task.number);
}

static void build_upload_as(struct client *c, enum wire_cmd cmd)
{
	make_content(c);
	wire_upload(&c->x.out, cmd, c->task.path, c->bench->opt->extension,
	    c->task.size);
}

static void build_upload(struct client *c)
{
	build_upload_as(c, CMD_UPLOAD);
}

static void build_upload_appender(struct client *c)
{
	build_upload_as(c, CMD_UPLOAD_APPENDER);
}

/* With --verify: does the name say what was sent? */
static int check_name(const struct client *c, const char *name, size_t len,
    uint32_t *crc)
{
	struct wire_name said;

	*crc = content_crc(&c->x.content);
	if (!wire_name_parse(name, len, &said) || said.crc != *crc)
		return ERR_CONTENT;
	if (!said.appender && said.size != c->task.size)
		return ERR_CONTENT;
	return STEP_SUCCESS;
}

static int reply_upload(struct client *c)
{
	struct bench *b = c->bench;
	const size_t len = reply_body_len(&c->x);
	const char *name = (const char *)c->x.in + WIRE_HEADER + WIRE_GROUP;
	struct file *f;
	uint32_t crc = 0;

	if (len <= WIRE_GROUP || len > WIRE_GROUP + WIRE_NAME_MAX)
		return ERR_REPLY;
	b->stats->bytes += c->task.size;
	if (b->opt->verify &&
	    check_name(c, name, len - WIRE_GROUP, &crc) != STEP_SUCCESS)
		return ERR_CONTENT;
	if (!b->phase.keep)
		return STEP_SUCCESS;
	f = file_new(name, len - WIRE_GROUP);
	if (!f)
		return ERR_MEMORY;
	f->size = c->task.size;
	f->crc = crc;
	f->server = (uint16_t)c->task.server;
	return pool_put(&b->pool, f) < 0 ? ERR_MEMORY : STEP_SUCCESS;
}

static void build_download(struct client *c)
{
	const struct wire_file f = file_on_wire(c);

	wire_download(&c->x.out, &f);
	c->x.bulk = true;
}

static int reply_download(struct client *c)
{
	const struct file *f = c->task.file;
	const uint64_t len = c->x.expect - WIRE_HEADER;

	c->bench->stats->bytes += len;
	if (len != f->size)
		return ERR_CONTENT;
	if (c->bench->opt->verify && c->x.crc != f->crc)
		return ERR_CONTENT;
	return STEP_SUCCESS;
}

static void build_append(struct client *c)
{
	const struct wire_file f = file_on_wire(c);

	make_content(c);
	wire_append(&c->x.out, &f, c->task.size);
}

static int reply_append(struct client *c)
{
	c->bench->stats->bytes += c->task.size;
	return reply_empty(c);
}

/* Names in byte order, as a server gives them back. */
static size_t metadata_text(char *buf, size_t cap, uint64_t note)
{
	const int n = snprintf(buf, cap,
	    "author\002load generator\001height\0021536\001"
	    "note\002%016" PRIx64 "\001width\0022048",
	    note);

	return (size_t)n;
}

static void build_set_metadata(struct client *c)
{
	const struct wire_file f = file_on_wire(c);
	char text[256];
	const size_t len = metadata_text(text, sizeof(text), c->task.number);

	wire_set_metadata(&c->x.out, &f, text, len);
}

static int reply_set_metadata(struct client *c)
{
	c->task.file->note = c->task.number;
	return reply_empty(c);
}

static void build_get_metadata(struct client *c)
{
	const struct wire_file f = file_on_wire(c);

	wire_named(&c->x.out, CMD_GET_METADATA, &f);
}

static int reply_get_metadata(struct client *c)
{
	char text[256];
	const size_t len =
	    metadata_text(text, sizeof(text), c->task.file->note);

	if (reply_body_len(&c->x) != len ||
	    memcmp(c->x.in + WIRE_HEADER, text, len) != 0)
		return ERR_CONTENT;
	return STEP_SUCCESS;
}

static void build_delete(struct client *c)
{
	const struct wire_file f = file_on_wire(c);

	wire_named(&c->x.out, CMD_DELETE, &f);
}

static void build_info(struct client *c)
{
	const struct wire_file f = file_on_wire(c);

	wire_named(&c->x.out, CMD_FILE_INFO, &f);
}

static int reply_info(struct client *c)
{
	const size_t len = reply_body_len(&c->x);
	uint64_t size = 0;

	if (len != 40 && len != 70)
		return ERR_REPLY;
	for (size_t i = 0; i < 8; i++)
		size = size << 8 | c->x.in[WIRE_HEADER + i];
	return size == c->task.file->size ? STEP_SUCCESS : ERR_CONTENT;
}

#define NEEDS_FILES           \
	{                     \
		.files = true \
	}
#define NEEDS_METADATA                          \
	{                                       \
		.files = true, .metadata = true \
	}
#define NEEDS_MANY                          \
	{                                   \
		.files = true, .once = true \
	}
#define NEEDS_APPENDER                           \
	{                                        \
		.files = true, .appenders = true \
	}
#define NEEDS_NOTHING          \
	{                      \
		.files = false \
	}

static const struct op_row ops[N_OPS] = {
	[OP_UPLOAD] = { "upload", "new files", CMD_STORE_ANY, USE_NONE, false,
	    NEEDS_NOTHING, build_upload, reply_upload },
	[OP_UPLOAD_APPENDER] = { "upload-appender", "new appender files",
	    CMD_STORE_ANY, USE_NONE, false, NEEDS_NOTHING,
	    build_upload_appender, reply_upload },
	[OP_DOWNLOAD] = { "download", "whole files, at random", CMD_FETCH_ONE,
	    USE_SHARED, false, NEEDS_FILES, build_download, reply_download },
	[OP_APPEND] = { "append", "--size bytes to appender files", CMD_UPDATE,
	    USE_OWN, false, NEEDS_APPENDER, build_append, reply_append },
	[OP_META_SET] = { "meta-set", "metadata of files that had none",
	    CMD_UPDATE, USE_ONCE, false, NEEDS_MANY, build_set_metadata,
	    reply_set_metadata },
	[OP_META_OVERWRITE] = { "meta-overwrite", "metadata replaced",
	    CMD_UPDATE, USE_SHARED, false, NEEDS_METADATA, build_set_metadata,
	    reply_set_metadata },
	[OP_META_GET] = { "meta-get", "metadata read", CMD_FETCH_ONE,
	    USE_SHARED, false, NEEDS_METADATA, build_get_metadata,
	    reply_get_metadata },
	[OP_DELETE] = { "delete", "each prepared file once", CMD_UPDATE,
	    USE_TAKEN, false, NEEDS_MANY, build_delete, reply_empty },
	[OP_INFO] = { "info", "query file info", CMD_FETCH_ONE, USE_SHARED,
	    false, NEEDS_FILES, build_info, reply_info },
	[OP_QUERY_STORE] = { "query-store", "tracker: where to upload",
	    CMD_STORE_ANY, USE_NONE, true, NEEDS_NOTHING, NULL, NULL },
	[OP_QUERY_FETCH] = { "query-fetch", "tracker: where to download",
	    CMD_FETCH_ONE, USE_SHARED, true, NEEDS_FILES, NULL, NULL },
	[OP_MIXED] = { "mixed", "50 % download, 45 % upload, 5 % delete",
	    CMD_STORE_ANY, USE_NONE, false, NEEDS_FILES, NULL, NULL },
};

const char *op_name(enum op_kind op)
{
	return ops[op].name;
}

const char *op_help(enum op_kind op)
{
	return ops[op].help;
}

enum op_kind op_find(const char *name)
{
	unsigned int i = 0;

	while (i < N_OPS && strcmp(ops[i].name, name) != 0)
		i++;
	return (enum op_kind)i;
}

struct op_needs op_needs(enum op_kind op)
{
	return ops[op].needs;
}

bool op_tracker_only(enum op_kind op)
{
	return ops[op].tracker_only;
}

static enum op_kind choose_mixed(struct bench *b)
{
	const uint64_t percent = random_below(&b->random, 100);

	if (b->pool.n == 0 || (percent >= 50 && percent < 95))
		return OP_UPLOAD;
	return percent < 50 ? OP_DOWNLOAD : OP_DELETE;
}

static struct file *choose_file(struct client *c, enum file_use use)
{
	struct bench *b = c->bench;

	if (b->pool.n == 0)
		return NULL;
	switch (use) {
	case USE_ONCE:
		if (b->cursor == b->pool.n)
			return NULL;
		return b->pool.files[b->cursor++];
	case USE_OWN:
		return b->pool.files[c->index % b->pool.n];
	case USE_TAKEN:
		return pool_take(&b->pool,
		    b->phase.op == OP_MIXED ? &b->random : NULL);
	case USE_SHARED:
	case USE_NONE:
		break;
	}
	return pool_pick(&b->pool, &b->random);
}

bool task_plan(struct client *c)
{
	struct bench *b = c->bench;
	struct task *t = &c->task;
	enum op_kind op = b->phase.op;

	memset(t, 0, sizeof(*t));
	if (op == OP_MIXED)
		op = choose_mixed(b);
	t->row = &ops[op];
	if (t->row->use != USE_NONE) {
		t->file = choose_file(c, t->row->use);
		/* A mix whose files are all being read uploads instead. */
		if (!t->file && b->phase.op == OP_MIXED)
			t->row = &ops[OP_UPLOAD];
		else if (!t->file)
			return false;
	}
	if (t->file && t->row->use != USE_TAKEN)
		t->file->readers++;
	t->number = b->next_number++;
	t->size = b->opt->mix ? random_photo_size(&b->random) : b->opt->size;
	t->server = t->file ? t->file->server : b->storage;
	t->path = b->servers.servers[t->server].key.path;
	return true;
}

static void build_query(struct client *c)
{
	struct wire_file f;

	if (c->task.row->query == CMD_STORE_ANY) {
		wire_query_store(&c->x.out, c->bench->group);
		return;
	}
	f = file_on_wire(c);
	wire_named(&c->x.out, c->task.row->query, &f);
}

int task_request(struct client *c)
{
	struct task *t = &c->task;

	c->x.bulk = false;
	if (!t->asked && (t->row->tracker_only || c->bench->opt->via_tracker)) {
		build_query(c);
		return exchange_start(c, SERVER_TRACKER);
	}
	t->asked = true;
	t->row->build(c);
	return exchange_start(c, t->server);
}

static int reply_query(struct client *c)
{
	struct task *t = &c->task;
	const size_t len = reply_body_len(&c->x);
	struct wire_server server;
	int at;

	if (len > IN_KEEP - WIRE_HEADER ||
	    !wire_server_parse(c->x.in + WIRE_HEADER, len,
	        t->row->query == CMD_STORE_ANY, &server))
		return ERR_REPLY;
	at = servers_find(&c->bench->servers, &server);
	if (at < 0)
		return ERR_REPLY;
	t->asked = true;
	t->server = at;
	t->path = server.path;
	if (c->bench->storage == 0)
		c->bench->storage = at;
	return t->row->tracker_only ? STEP_SUCCESS : STEP_AGAIN;
}

int task_reply(struct client *c)
{
	if (c->x.status != 0)
		return c->x.status;
	if (!c->task.asked)
		return reply_query(c);
	return c->task.row->reply(c);
}

void task_release(struct client *c)
{
	struct file *f = c->task.file;

	c->task.file = NULL;
	if (!f)
		return;
	if (c->task.row->use == USE_TAKEN)
		free(f);
	else
		f->readers--;
}
