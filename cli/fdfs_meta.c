/* SPDX-License-Identifier: MIT */
/* meta: metadata of a file, read and written at a storage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fdfs.h"
#include "proto/kv.h"

static const struct out_column columns[] = {
	{ "key", OUT_TEXT, OUT_KEEP, 0, "name of the entry" },
	{ "value", OUT_TEXT, OUT_KEEP, 0, "its value" },
};

static const struct out_layout layout = { "fdfs.meta/1", columns,
	ARRAY_LEN(columns), false, NULL };

static enum status print_pairs(struct cli *cli, struct span text)
{
	struct out_end end = { .complete = true };
	struct kv_list l;
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	if (!out)
		return st;
	if (kv_parse(text, &l) < 0)
		l = (struct kv_list){ NULL, 0 };
	for (size_t i = 0; i < l.n; i++) {
		const struct out_cell cells[] = { out_span(l.items[i].name),
			out_span(l.items[i].value) };

		out_row(out, cells);
	}
	end.total = (int64_t)l.n;
	kv_list_fini(&l);
	return out_close(out, &end);
}

/* Stock storages have no answer for "exists, but without metadata" other than
 * "not found"; the file itself tells which it is. */
static enum status nothing_there(struct cli *cli, const struct source *s,
    const struct fid *id, struct client *c)
{
	struct msg_file_ref req;
	union {
		struct msg_file_info narrow;
		struct msg_file_info46 wide;
	} info;
	int rc;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	rc = client_ask(c, CMD_query_file_info, &MSG(file_ref), &req,
	    &MSG(file_info), &info);
	if (rc != 0)
		return fdfs_fail(s, "read the metadata of", id->text,
		    client_peer(c), rc);
	return print_pairs(cli, (struct span){ "", 0 });
}

static enum status get(struct cli *cli, struct source *s, const struct fid *id)
{
	struct msg_file_ref req;
	struct msg_metadata_text reply;
	struct client *c;
	enum status st = fdfs_open_update(s, id, "read the metadata of", &c);
	int rc;

	if (st != STATUS_OK)
		return st;
	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), id->group);
	req.name = span_of(id->name);
	rc = client_ask(c, CMD_get_metadata, &MSG(file_ref), &req,
	    &MSG(metadata_text), &reply);
	if (rc == 0)
		st = print_pairs(cli, reply.text);
	else if (rc == ENOENT)
		st = nothing_there(cli, s, id, c);
	else
		st = fdfs_fail(s, "read the metadata of", id->text,
		    client_peer(c), rc);
	source_disconnect(c);
	return st;
}

static enum status set(struct cli *cli, struct source *s, const struct fid *id,
    char flag)
{
	const struct opt_list pairs = { cli->words + 2,
		cli->n_words > 2 ? cli->n_words - 2 : 0 };
	struct client *c;
	char *text;
	size_t n;
	enum status st = fdfs_pack_meta(&pairs, NULL, &text, &n);
	int rc;

	if (st == STATUS_OK)
		st = fdfs_open_update(s, id, "set the metadata of", &c);
	if (st == STATUS_OK) {
		rc = fdfs_set_meta(c, id, flag, (struct span){ text, n });
		if (rc != 0)
			st = fdfs_fail(s, "set the metadata of", id->text,
			    client_peer(c), rc);
		source_disconnect(c);
	}
	free(text);
	return st;
}

static const struct meta_verb {
	const char *name;
	char flag; /* 0: get */
	bool pairs;
} meta_verbs[] = {
	{ "get", 0, false },
	{ "set", 'O', true },
	{ "merge", 'M', true },
	{ "clear", 'O', false },
};

enum status fdfs_run_meta(struct cli *cli, const void *options)
{
	const char *verb = cli->n_words > 1 ? cli->words[1] : "get";
	const struct meta_verb *v = NULL;
	struct source s;
	struct fid id;
	struct out *out;
	enum status st;

	(void)options;
	if (cli->out.list_columns)
		return out_open(&cli->out, &layout, &out);
	for (size_t i = 0; i < ARRAY_LEN(meta_verbs); i++)
		if (strcmp(meta_verbs[i].name, verb) == 0)
			v = &meta_verbs[i];
	if (!v)
		return err_usage("get, set, merge or clear",
		    "meta cannot \"%s\"", verb);
	if (v->pairs != (cli->n_words > 2))
		return err_usage(NULL, "%s takes %s", verb,
		    v->pairs ? "at least one KEY=VALUE" : "no pairs");
	st = fdfs_parse_id(cli->words[0], &id);
	if (st != STATUS_OK)
		return st;
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = source_need_tracker(&s);
	if (st == STATUS_OK)
		st = v->flag ? set(cli, &s, &id, v->flag) : get(cli, &s, &id);
	source_close(&s);
	return st;
}
