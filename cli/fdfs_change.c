/* SPDX-License-Identifier: MIT */
/* append, modify, truncate, regen: what can be done to appender files. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/fdfs.h"

struct modify_options {
	const char *offset;
};

static const struct opt_row modify_rows[] = {
	{ .name = "offset",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct modify_options, offset),
	    .arg = "N",
	    .help = "first byte to overwrite; its end is the file's size" },
};

const struct opt_table fdfs_modify_table = { "modify", modify_rows,
	ARRAY_LEN(modify_rows), 0 };

/* The file a command changes, and a session to the storage that does it. */
struct change {
	struct source source;
	struct fid id;
	struct client *c;
	const char *what;
};

static enum status change_open(struct change *ch, struct cli *cli,
    const char *what)
{
	enum status st;

	memset(ch, 0, sizeof(*ch));
	ch->what = what;
	st = source_open(&cli->sources, &ch->source);
	if (st == STATUS_OK)
		st = fdfs_parse_id(cli->words[0], &ch->id);
	if (st == STATUS_OK && ch->id.parsed.has_record &&
	    !fileid_is_appender(&ch->id.parsed.id))
		st = err_say((struct err){ .status = STATUS_NO,
		                 .rc = EINVAL,
		                 .subject = ch->id.text,
		                 .todo = "upload such files with fdfs put "
		                         "--appender" },
		    "cannot %s %s: it is no appender file", what, ch->id.text);
	if (st == STATUS_OK)
		st = source_need_tracker(&ch->source);
	if (st == STATUS_OK)
		st = fdfs_open_update(&ch->source, &ch->id, what, &ch->c);
	return st;
}

static enum status change_close(struct change *ch, enum status st, int rc)
{
	if (st == STATUS_OK && rc == -ESTALE)
		st = err_say(
		    (struct err){ .status = STATUS_NO, .subject = ch->id.text },
		    "cannot %s %s: the input became shorter while it was read",
		    ch->what, ch->id.text);
	else if (st == STATUS_OK && rc != 0)
		st = fdfs_fail(&ch->source, ch->what, ch->id.text,
		    client_peer(ch->c), rc);
	source_disconnect(ch->c);
	source_close(&ch->source);
	return st;
}

/* Sends the input; *size is the field of the request that tells its size. */
static enum status send_file(struct change *ch, struct cli *cli,
    struct fdfs_upload *u, int64_t *size, int *rc)
{
	const char *path = cli->words[1];
	enum status st = fdfs_open_input(path, &u->fd, &u->size);

	if (st != STATUS_OK)
		return st;
	*size = (int64_t)u->size;
	u->label = path;
	u->quiet = cli->out.quiet > 0;
	*rc = fdfs_send(ch->c, u);
	close(u->fd);
	return STATUS_OK;
}

enum status fdfs_run_append(struct cli *cli, const void *options)
{
	struct change ch;
	struct msg_append req;
	struct fdfs_upload u = { .command = CMD_append_file,
		.message = &MSG(append),
		.in = &req };
	enum status st = change_open(&ch, cli, "append to");
	int rc = 0;

	(void)options;
	memset(&req, 0, sizeof(req));
	req.name = span_of(ch.id.name);
	if (st == STATUS_OK)
		st = send_file(&ch, cli, &u, &req.size, &rc);
	return change_close(&ch, st, rc);
}

enum status fdfs_run_modify(struct cli *cli, const void *options)
{
	const struct modify_options *o = options;
	struct change ch;
	struct msg_modify req;
	struct fdfs_upload u = { .command = CMD_modify_file,
		.message = &MSG(modify),
		.in = &req };
	uint64_t offset = 0;
	enum status st;
	int rc = 0;

	if (!o->offset || str_to_size(o->offset, &offset) < 0 ||
	    offset > INT64_MAX)
		return err_usage(NULL, "modify wants --offset N, where to "
		                       "begin");
	st = change_open(&ch, cli, "modify");
	memset(&req, 0, sizeof(req));
	req.name = span_of(ch.id.name);
	req.offset = (int64_t)offset;
	if (st == STATUS_OK)
		st = send_file(&ch, cli, &u, &req.size, &rc);
	return change_close(&ch, st, rc);
}

enum status fdfs_run_truncate(struct cli *cli, const void *options)
{
	struct change ch;
	struct msg_truncate req;
	uint64_t size;
	enum status st;
	int rc = 0;

	(void)options;
	if (str_to_size(cli->words[1], &size) < 0 || size > INT64_MAX)
		return err_usage("a size is 0, 4096, 10M ...",
		    "\"%s\" is no size", cli->words[1]);
	st = change_open(&ch, cli, "truncate");
	memset(&req, 0, sizeof(req));
	req.name = span_of(ch.id.name);
	req.size = (int64_t)size;
	if (st == STATUS_OK)
		rc = client_ask(ch.c, CMD_truncate_file, &MSG(truncate), &req,
		    NULL, NULL);
	return change_close(&ch, st, rc);
}

enum status fdfs_run_regen(struct cli *cli, const void *options)
{
	struct change ch;
	struct msg_name_only req;
	struct msg_file_ref reply;
	enum status st = change_open(&ch, cli, "regenerate");
	int rc = 0;

	(void)options;
	memset(&req, 0, sizeof(req));
	req.name = span_of(ch.id.name);
	if (st == STATUS_OK)
		rc = client_ask(ch.c, CMD_regenerate_appender_filename,
		    &MSG(name_only), &req, &MSG(file_ref), &reply);
	if (st == STATUS_OK && rc == 0) {
		struct fid id;
		char text[200];
		struct strbuf b = strbuf_over(text, sizeof(text));

		strbuf_addf(&b, "%s/", reply.group);
		strbuf_add(&b, reply.name.p, reply.name.n);
		st = b.failed ? STATUS_NO : fdfs_parse_id(text, &id);
		if (st == STATUS_OK)
			printf("%s\n", id.text);
	}
	return change_close(&ch, st, rc);
}
