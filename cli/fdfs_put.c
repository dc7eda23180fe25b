/* SPDX-License-Identifier: MIT */
/*
 * put. What is uploaded is never sent a second time: once the content has
 * left, a lost answer is reported, because the file may exist.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/fdfs.h"
#include "cli/stop.h"

struct put_options {
	const char *group;
	const char *path;
	const char *to;
	bool appender;
	const char *slave_of;
	const char *prefix;
	const char *name;
	bool no_name;
	struct opt_list meta;
	const char *ext;
	const char *size;
};

#define ROW(l, nm, ty, member, ...)                                         \
	{                                                                   \
		.letter = (l), .name = (nm), .type = (ty),                  \
		.offset = offsetof(struct put_options, member), __VA_ARGS__ \
	}

static const struct opt_row rows[] = {
	ROW('g', "group", OPT_TEXT, group, .arg = "GROUP",
	    .help = "group that takes the file; else the tracker chooses"),
	ROW('P', "path", OPT_TEXT, path, .arg = "N",
	    .help = "store path, 0 or M00 being the first"),
	ROW(0, "to", OPT_TEXT, to, .arg = "STORAGE",
	    .help = "storage that takes the file, by id or address"),
	ROW(0, "appender", OPT_FLAG, appender,
	    .help = "a file that can be appended to later"),
	ROW(0, "slave-of", OPT_TEXT, slave_of, .arg = "ID",
	    .help = "a slave of that file; wants --prefix"),
	ROW(0, "prefix", OPT_TEXT, prefix, .arg = "TEXT",
	    .help = "what the slave's name adds to its master's"),
	ROW(0, "name", OPT_TEXT, name, .arg = "NAME",
	    .help = "original name to record, instead of the file's own"),
	ROW(0, "no-name", OPT_FLAG, no_name, .help = "record no original name"),
	ROW(0, "meta", OPT_LIST, meta, .arg = "KEY=VALUE",
	    .help = "metadata to set; may be given several times"),
	ROW(0, "ext", OPT_TEXT, ext, .arg = "EXT",
	    .help = "extension of the id, at most 6 characters; empty for "
	            "none"),
	ROW(0, "size", OPT_TEXT, size, .arg = "SIZE",
	    .help = "with -: how much standard input has; it is sent as it "
	            "comes, and must end there"),
};

const struct opt_table fdfs_put_table = { "put", rows, ARRAY_LEN(rows), 0 };

enum { COL_ID, COL_FILE, COL_SIZE, COL_CRC, COL_STORAGE, COL_ELAPSED };

static const struct out_column columns[] = {
	{ "id", OUT_TEXT, OUT_KEEP, 0, "the file's id" },
	{ "file", OUT_TEXT, OUT_CUT, 3, "what was uploaded" },
	{ "size", OUT_BYTES, 0, 1, "bytes sent" },
	{ "crc", OUT_CRC, 0, 2, "crc32 of what was sent" },
	{ "storage", OUT_TEXT, 0, 2, "the storage that took it" },
	{ "elapsed_us", OUT_MICROS, 0, 4, "time from connect to answer" },
};

static const struct out_layout layout = { "fdfs.put/1", columns,
	ARRAY_LEN(columns), false, NULL };

struct put {
	struct cli *cli;
	const struct put_options *o;
	struct source *source;
	struct fid master;
	uint8_t path;
	uint64_t size;   /* of standard input, with --size */
	struct out *out; /* NULL: plain lines */
};

/* Where the file goes. */
struct target {
	struct addr addr;
	uint8_t path;
};

static enum status parse_path(const char *text, uint8_t *out)
{
	int n;

	*out = 0xff;
	if (!text)
		return STATUS_OK;
	n = opt_store_path(text);
	if (n < 0 || n > 127)
		return err_usage("write 0 or M00 for the first",
		    "\"%s\" is no store path", text);
	*out = (uint8_t)n;
	return STATUS_OK;
}

/* Extension of a file name as clients take it: after the last dot (tar.gz
 * with what stands before), nothing when it does not fit. */
static struct span extension_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');
	struct span ext = { "", 0 };

	if (!dot || dot == base)
		return ext;
	if (dot - base > 4 && strncmp(dot - 4, ".tar", 4) == 0 &&
	    strlen(dot) <= 3)
		dot -= 4;
	ext = span_of(dot + 1);
	if (ext.n > EXT_SIZE || !fileid_ext_ok(ext))
		ext.n = 0;
	return ext;
}

static enum status ask_store(const struct put *p, struct target *t)
{
	struct msg_group_name req;
	struct msg_store_reply reply;
	struct store store;
	char body[2048];
	const char *group = p->o->group;
	int rc;

	memset(&req, 0, sizeof(req));
	if (group)
		str_copy(req.group, sizeof(req.group), group);
	rc = source_ask(p->source,
	    group ? CMD_query_store_group_one : CMD_query_store_one,
	    group ? &MSG(group_name) : &msg_desc_none, &req, &MSG(store_reply),
	    &reply);
	if (rc == ENOENT && group)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .subject = group,
		                   .todo = "fdfs list groups shows what there "
		                           "is" },
		    "there is no group %s, or none of its storages takes "
		    "uploads",
		    group);
	if (rc == ENOENT)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .todo = "fdfs list storages" },
		    "no storage takes uploads now");
	if (rc == ENOSPC)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .todo = "fdfs list groups" },
		    "no group has room above its reserve");
	if (rc != 0)
		return source_complain(p->source, rc, "find a storage");
	memset(body, 0, 16);
	memcpy(body, reply.group, strlen(reply.group));
	if (reply.servers_and_path.n > sizeof(body) - 16)
		return source_complain(p->source, -EPROTO, "find a storage");
	memcpy(body + 16, reply.servers_and_path.p, reply.servers_and_path.n);
	if (store_decode(body, 16 + reply.servers_and_path.n, &store) < 0 ||
	    store.n == 0 ||
	    addr_parse_ip(span_of(store.servers[0].ip), &t->addr) < 0)
		return source_complain(p->source, -EPROTO, "find a storage");
	t->addr.port = store.servers[0].port;
	t->path = store.path;
	return STATUS_OK;
}

static enum status find_target(const struct put *p, struct target *t)
{
	struct member m;
	enum status st;

	memset(t, 0, sizeof(*t));
	if (p->o->slave_of)
		return fdfs_locate(p->source, CMD_query_update, &p->master,
		    &t->addr);
	if (!p->o->to) {
		st = ask_store(p, t);
		if (p->path != 0xff)
			t->path = p->path;
		return st;
	}
	st = fdfs_find_storage(p->source, p->o->group ? p->o->group : "",
	    p->o->to, &m);
	t->addr = m.addr;
	t->path = p->path;
	return st;
}

/* The id that came back, checked to be one. */
static int read_id(struct client *c, uint64_t length, struct fid *out)
{
	const void *body;
	struct msg_file_ref ref;
	char text[200];
	struct strbuf b = strbuf_over(text, sizeof(text));
	struct span group;
	struct span name;
	size_t at;
	int rc = client_recv_body(c, length, 16 + FILE_NAME_MAX, &body);

	if (rc != 0)
		return rc;
	if (msg_decode(&MSG(file_ref), body, (size_t)length, &ref, NULL) < 0)
		return -EPROTO;
	strbuf_addf(&b, "%s/", ref.group);
	strbuf_add(&b, ref.name.p, ref.name.n);
	if (b.failed || strlen(text) != b.len ||
	    fileid_split(text, &group, &name, &at) < 0 ||
	    fdfs_parse_id(text, out) != STATUS_OK)
		return -EPROTO;
	return 0;
}

static int upload(const struct put *p, struct client *c, const struct target *t,
    struct fdfs_upload *u, struct span ext)
{
	struct msg_upload plain;
	struct msg_upload_slave slave;
	int rc;

	memset(&plain, 0, sizeof(plain));
	memset(&slave, 0, sizeof(slave));
	memcpy(p->o->slave_of ? slave.ext : plain.ext, ext.p, ext.n);
	u->command =
	    p->o->appender ? CMD_upload_appender_file : CMD_upload_file;
	u->message = &MSG(upload);
	u->in = &plain;
	plain.path = t->path;
	plain.size = (int64_t)u->size;
	if (p->o->slave_of) {
		u->command = CMD_upload_slave_file;
		u->message = &MSG(upload_slave);
		u->in = &slave;
		slave.size = (int64_t)u->size;
		slave.master = span_of(p->master.name);
		str_copy(slave.prefix, sizeof(slave.prefix), p->o->prefix);
	}
	rc = fdfs_send(c, u);
	u->in = NULL;
	return rc;
}

static enum status check_crc(const struct put *p, const struct fid *id,
    const struct fdfs_upload *u)
{
	char todo[200];

	/* A slave's name carries its master's checksum. */
	if (p->o->slave_of || !id->parsed.has_record ||
	    id->parsed.id.crc == u->crc)
		return STATUS_OK;
	snprintf(todo, sizeof(todo), "fdfs rm %s", id->text);
	return err_say((struct err){ .status = STATUS_NO,
	                   .subject = id->text,
	                   .todo = todo },
	    "%s arrived damaged as %s: crc32 %08x was sent, %08x stored",
	    u->label, id->text, u->crc, id->parsed.id.crc);
}

static void report(const struct put *p, const char *path, const struct fid *id,
    const struct fdfs_upload *u, const struct target *t, mono_t start)
{
	char storage[ADDR_TEXT_MAX];
	struct out_cell cells[ARRAY_LEN(columns)];

	if (!p->out) {
		char safe[4096];

		str_escape(safe, sizeof(safe), path, strlen(path));
		if (p->cli->n_words > 1)
			printf("%s\t%s\n", id->text, safe);
		else
			printf("%s\n", id->text);
		fflush(stdout);
		return;
	}
	cells[COL_ID] = out_text(id->text);
	cells[COL_FILE] = out_text(path);
	cells[COL_SIZE] = out_number((int64_t)u->size);
	cells[COL_CRC] = out_number(u->crc);
	cells[COL_STORAGE] =
	    out_text(addr_text(&t->addr, storage, sizeof(storage)));
	cells[COL_ELAPSED] =
	    out_number((int64_t)((clock_mono() - start) / 1000));
	out_row(p->out, cells);
}

static enum status put_failed(const struct put *p, const struct fdfs_upload *u,
    const struct target *t, int rc)
{
	char todo[200];

	if (u->stream && (rc == -ESTALE || rc == -EOVERFLOW))
		return err_say((struct err){ .status = STATUS_NO,
		                   .subject = u->label,
		                   .todo = "leave --size out: it is then read "
		                           "to its end first" },
		    "cannot put %s: it %s the %llu bytes of --size", u->label,
		    rc == -ESTALE ? "ends before" : "has more than",
		    (unsigned long long)u->size);
	if (rc == -ESTALE)
		return err_say((struct err){ .status = STATUS_NO,
		                   .subject = u->label,
		                   .todo = "try again when it is complete" },
		    "cannot put %s: it became shorter while it was read",
		    u->label);
	if (rc == ENOENT && p->o->slave_of)
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .subject = p->master.text },
		    "cannot put %s: its master %s does not exist", u->label,
		    p->master.text);
	if (rc == EEXIST && p->o->slave_of) {
		snprintf(todo, sizeof(todo), "choose another --prefix");
		return err_say((struct err){ .status = STATUS_NO,
		                   .rc = rc,
		                   .subject = u->label,
		                   .todo = todo },
		    "cannot put %s: %s has a slave of that prefix already",
		    u->label, p->master.text);
	}
	return fdfs_fail(p->source, "put", u->label, &t->addr, rc);
}

static enum status put_open(const struct put *p, const char *path,
    struct fdfs_upload *u, const char *meta, size_t meta_n)
{
	const mono_t start = clock_mono();
	const struct span ext =
	    p->o->ext ? span_of(p->o->ext) : extension_of(path);
	struct target t;
	struct fid id;
	struct client *c = NULL;
	enum status st = find_target(p, &t);
	int rc;

	if (st != STATUS_OK)
		return st;
	rc = source_connect(p->source, &t.addr, &c);
	if (rc == 0)
		rc = upload(p, c, &t, u, ext);
	if (rc == 0)
		rc = read_id(c, u->reply_length, &id);
	if (rc != 0) {
		source_disconnect(c);
		return put_failed(p, u, &t, rc);
	}
	st = check_crc(p, &id, u);
	if (st == STATUS_OK)
		report(p, path, &id, u, &t, start);
	if (st == STATUS_OK && meta_n > 0) {
		rc = fdfs_set_meta(c, &id, 'O', (struct span){ meta, meta_n });
		if (rc != 0)
			st = err_worse(STATUS_PART,
			    fdfs_fail(p->source, "set the metadata of", id.text,
			        &t.addr, rc));
	}
	source_disconnect(c);
	return st;
}

static const char *name_of(const struct put *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (p->o->name)
		return p->o->name;
	if (p->o->no_name || p->o->slave_of || strcmp(path, "-") == 0)
		return NULL;
	if (strpbrk(base, "\x01\x02") || strlen(base) > 255) {
		err_note("the name of %s cannot be recorded as metadata", path);
		return NULL;
	}
	return base;
}

static enum status put_one(const struct put *p, const char *path)
{
	struct fdfs_upload u = { .fd = -1,
		.label = strcmp(path, "-") == 0 ? "standard input" : path,
		.quiet = p->cli->out.quiet > 0 };
	char *meta = NULL;
	size_t meta_n = 0;
	enum status st =
	    fdfs_pack_meta(&p->o->meta, name_of(p, path), &meta, &meta_n);

	if (st == STATUS_OK && p->o->size) {
		u.fd = dup(STDIN_FILENO);
		u.size = p->size;
		u.stream = true;
	} else if (st == STATUS_OK) {
		st = fdfs_open_input(path, &u.fd, &u.size);
	}
	if (st == STATUS_OK)
		st = put_open(p, path, &u, meta, meta_n);
	if (u.fd >= 0)
		close(u.fd);
	free(meta);
	return st;
}

static enum status check_options(struct put *p)
{
	const struct put_options *o = p->o;
	enum status st = STATUS_OK;

	if (o->group && !fileid_group_ok(span_of(o->group)))
		return err_usage(NULL, "\"%s\" cannot be a group's name",
		    o->group);
	if (o->ext &&
	    (strlen(o->ext) > EXT_SIZE || !fileid_ext_ok(span_of(o->ext))))
		return err_usage("at most 6 of A-Z a-z 0-9 . _ -",
		    "\"%s\" cannot be an extension", o->ext);
	if ((o->slave_of != NULL) != (o->prefix != NULL))
		return err_usage(NULL, "--slave-of and --prefix go together");
	if (o->slave_of && (o->appender || o->to || o->group || o->path))
		return err_usage(NULL, "a slave goes where its master is: "
		                       "--slave-of stands without --appender, "
		                       "--to, -g and -P");
	if (o->prefix && (!o->prefix[0] || strlen(o->prefix) > PREFIX_SIZE ||
	                     !fileid_ext_ok(span_of(o->prefix))))
		return err_usage("1 to 16 of A-Z a-z 0-9 . _ -",
		    "\"%s\" cannot be a prefix", o->prefix);
	if (o->name && (strlen(o->name) > 256 || strpbrk(o->name, "\x01\x02")))
		return err_usage(NULL, "--name is too long or has bytes 1 or "
		                       "2 in it");
	if (o->size &&
	    (p->cli->n_words != 1 || strcmp(p->cli->words[0], "-") != 0))
		return err_usage(NULL, "--size stands with -, standard input, "
		                       "and no other file");
	if (o->size &&
	    (str_to_size(o->size, &p->size) < 0 || p->size > INT64_MAX))
		return err_usage("write 4096 or 10M", "\"%s\" is no size",
		    o->size);
	if (o->slave_of)
		st = fdfs_parse_id(o->slave_of, &p->master);
	return st == STATUS_OK ? parse_path(o->path, &p->path) : st;
}

enum status fdfs_run_put(struct cli *cli, const void *options)
{
	struct source source;
	struct put p = { .cli = cli, .o = options, .source = &source };
	struct out_end end = { .complete = true, .total = -1 };
	enum status st = check_options(&p);

	if (st != STATUS_OK)
		return st;
	if (!out_for_people(&cli->out) || cli->out.columns ||
	    cli->out.list_columns) {
		st = out_open(&cli->out, &layout, &p.out);
		if (!p.out)
			return st;
	}
	st = source_open(&cli->sources, &source);
	if (st == STATUS_OK)
		st = source_need_tracker(&source);
	for (size_t i = 0; i < cli->n_words && !stop_asked(); i++) {
		if (st == STATUS_NO_SOURCE || st == STATUS_USAGE)
			break;
		st = err_worse(st, put_one(&p, cli->words[i]));
	}
	end.complete = st == STATUS_OK;
	if (p.out)
		st = err_worse(st, out_close(p.out, &end));
	source_close(&source);
	return st;
}
