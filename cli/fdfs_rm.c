/* SPDX-License-Identifier: MIT */
/*
 * rm. Ids come from the command line or, with "-", from standard input. More
 * than one is asked about on a terminal and refused without --yes elsewhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fdfs.h"
#include "cli/stop.h"

struct rm_options {
	bool yes;
	bool dry_run;
};

static const struct opt_row rows[] = {
	{ .letter = 'y',
	    .name = "yes",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct rm_options, yes),
	    .help = "do not ask" },
	{ .letter = 'n',
	    .name = "dry-run",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct rm_options, dry_run),
	    .help = "say which files exist and would be deleted; delete "
	            "nothing" },
};

const struct opt_table fdfs_rm_table = { "rm", rows, ARRAY_LEN(rows), 0 };

struct id_list {
	char **items;
	size_t n;
};

static void add_id(struct id_list *l, const char *text)
{
	l->items = xrealloc(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n++] = xstrdup(text);
}

/* Lines, or with -0 texts ended by NUL. */
static void read_ids(struct id_list *l, bool zero)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getdelim(&line, &cap, zero ? '\0' : '\n', stdin)) > 0) {
		if (!zero && line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (line[0])
			add_id(l, line);
	}
	free(line);
}

static enum status confirm(const struct rm_options *o, const struct id_list *l,
    bool from_stdin)
{
	if (o->yes || o->dry_run || l->n < 2)
		return STATUS_OK;
	if (from_stdin || !run_can_ask())
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .todo = "--yes deletes them, --dry-run "
		                           "shows them" },
		    "refused to delete %zu files without being asked to", l->n);
	if (run_ask("delete %zu files, the first one %s?", l->n, l->items[0]))
		return STATUS_OK;
	err_note("nothing was deleted");
	return STATUS_REFUSED;
}

static enum status remove_one(struct cli *cli, struct source *s,
    const char *text, bool dry)
{
	struct msg_file_ref req;
	struct fid id;
	struct client *c;
	struct addr at;
	union {
		struct msg_file_info narrow;
		struct msg_file_info46 wide;
	} info;
	enum status st = fdfs_parse_id(text, &id);
	int rc;

	if (st == STATUS_OK)
		st = fdfs_open_update(s, &id, "delete", &c);
	if (st != STATUS_OK)
		return st;
	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), id.group);
	req.name = span_of(id.name);
	if (dry)
		rc = client_ask(c, CMD_query_file_info, &MSG(file_ref), &req,
		    &MSG(file_info), &info);
	else
		rc = client_ask(c, CMD_delete_file, &MSG(file_ref), &req, NULL,
		    NULL);
	at = *client_peer(c);
	source_disconnect(c);
	if (rc != 0)
		return fdfs_fail(s, "delete", id.text, &at, rc);
	if (dry)
		printf("would delete %s\n", id.text);
	else if (cli->out.verbose)
		err_note("deleted %s", id.text);
	return STATUS_OK;
}

enum status fdfs_run_rm(struct cli *cli, const void *options)
{
	const struct rm_options *o = options;
	const bool from_stdin =
	    cli->n_words == 1 && strcmp(cli->words[0], "-") == 0;
	struct id_list l = { NULL, 0 };
	struct source s;
	enum status st;

	if (!out_for_people(&cli->out) && cli->out.format != OUT_PRINT0)
		return err_usage(NULL, "rm prints no rows; -0 reads ids ended "
		                       "by NUL");
	if (from_stdin)
		read_ids(&l, cli->out.format == OUT_PRINT0);
	for (size_t i = 0; i < cli->n_words && !from_stdin; i++)
		add_id(&l, cli->words[i]);
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = source_need_tracker(&s);
	if (st == STATUS_OK)
		st = confirm(o, &l, from_stdin);
	if (st == STATUS_OK)
		for (size_t i = 0; i < l.n && !stop_asked(); i++)
			st = err_worse(st,
			    remove_one(cli, &s, l.items[i], o->dry_run));
	source_close(&s);
	for (size_t i = 0; i < l.n; i++)
		free(l.items[i]);
	free(l.items);
	return st;
}
