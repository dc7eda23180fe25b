/* SPDX-License-Identifier: MIT */
/*
 * stat: one file from the catalogue, or from its tombstone, or with --log what
 * was done to it. --decode lives in cmd_decode.c and needs no source.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/files.h"
#include "cli/meta.h"
#include "cli/stop.h"
#include "proto/fileid.h"

struct stat_options {
	bool decode;
	bool log;
	const char *groups;
};
static_assert(sizeof(struct stat_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .name = "decode",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct stat_options, decode),
	    .help = "what the id itself says; no source is asked" },
	{ .name = "log",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct stat_options, log),
	    .help = "what the log still knows of it, oldest first" },
	{ .letter = 'g',
	    .name = "group",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct stat_options, groups),
	    .arg = "GROUP",
	    .help = "group of the database to ask" },
};

const struct opt_table meta_stat_table = { "stat", rows, ARRAY_LEN(rows), 0 };

static const struct out_layout layout = { "fdfs-meta.stat/1", files_columns,
	FILES_COLUMNS, true, NULL };

enum {
	LOG_AT,
	LOG_WHAT,
	LOG_WHERE,
	LOG_CLIENT,
	LOG_SIZE,
	LOG_BYTES,
	LOG_CRC,
	LOG_REMOTE,
	LOG_SEQ
};

static const struct out_column log_columns[] = {
	{ "time", OUT_TIME, OUT_KEEP, 0, "when it was recorded" },
	{ "what", OUT_TEXT, OUT_KEEP, 0, "the operation" },
	{ "where", OUT_TEXT, 0, 4, "here, or replica: from a peer" },
	{ "client", OUT_TEXT, 0, 1, "who asked" },
	{ "size", OUT_BYTES, 0, 1, "of the file afterwards" },
	{ "bytes", OUT_BYTES, 0, 2, "content of the operation" },
	{ "crc", OUT_CRC, 0, 3, "crc32 it left" },
	{ "remote", OUT_TEXT, OUT_CUT, 5, "name of the file then" },
	{ "seq", OUT_INT, 0, 4, "sequence number" },
};

static const struct out_layout log_layout = { "fdfs-meta.stat-log/1",
	log_columns, ARRAY_LEN(log_columns), false,
	"the log knows nothing of it (any more)" };

struct print {
	struct out *out;
	struct db *db;
};

static int print_file(void *arg, const struct file_row *row)
{
	const struct print *p = arg;

	return files_print(p->out, p->db, row) ? 0 : 1;
}

static int print_op(void *arg, const struct op *op)
{
	const struct print *p = arg;
	struct out_cell c[ARRAY_LEN(log_columns)];

	c[LOG_AT] = out_number(op->at / 1000);
	c[LOG_WHAT] = out_text(op_code_name(op->code));
	c[LOG_WHERE] = out_text(op->replica ? "replica" : "here");
	c[LOG_CLIENT] = op->client.n ? out_span(op->client) : out_unknown();
	c[LOG_SIZE] = op->code == OP_SET_META ? out_unknown()
	                                      : out_number((int64_t)op->size);
	c[LOG_BYTES] = out_number((int64_t)op->bytes);
	c[LOG_CRC] =
	    strchr("CAMR", (int)op->code) ? out_number(op->crc) : out_unknown();
	c[LOG_REMOTE] = out_span(op->name);
	c[LOG_SEQ] = out_number((int64_t)op->seq);
	return out_row(p->out, c) ? 0 : 1;
}

/* "group/M00/..." out of an id, a URL or a name without group. */
static enum status clean_id(const char *text, const char *group, char *out,
    size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);
	struct fileid_name parsed;
	struct span g = { "", 0 };
	struct span name = span_of(text);
	size_t at = 0;

	if (fileid_parse(name, &parsed) == 0) {
		strbuf_addf(&b, "%s/%s", group, text);
	} else if (fileid_split(text, &g, &name, &at) == 0) {
		strbuf_add(&b, g.p, g.n);
		strbuf_add(&b, "/", 1);
		strbuf_add(&b, name.p, name.n);
	} else {
		return err_caret(text, at, "this is no file id");
	}
	return b.failed ? err_usage(NULL, "%s is too long for an id", text)
	                : STATUS_OK;
}

static enum status not_known(const struct dbs *d, const char *id)
{
	char when[64] = "";
	struct span group;
	struct span name;
	struct fileid_name parsed;
	size_t at;

	if (fileid_split(id, &group, &name, &at) == 0 &&
	    !(group.n == strlen(d->group) &&
	        strncmp(group.p, d->group, group.n) == 0))
		return err_say(
		    (struct err){ .status = STATUS_NO, .subject = id },
		    "never seen here: this database is of %s", d->group);
	if (fileid_split(id, &group, &name, &at) == 0 &&
	    fileid_parse(name, &parsed) == 0 && parsed.has_record) {
		const time_t t = (time_t)parsed.id.time;
		struct tm tm;

		if (localtime_r(&t, &tm))
			(void)strftime(when, sizeof(when),
			    "; its id says it was made %Y-%m-%d %H:%M:%S", &tm);
	}
	return err_say((struct err){ .status = STATUS_NO, .subject = id },
	    "%s: never seen here%s%s", id, when,
	    d->waiting > 0 ? "; the catalogue is behind the log" : "");
}

static enum status stat_one(const struct dbs *d, struct out *out,
    const char *text)
{
	struct print p = { out, d->catalogue };
	char id[256];
	enum status st = clean_id(text, d->group, id, sizeof(id));
	int rc;

	if (st != STATUS_OK)
		return st;
	rc = query_file(d->catalogue, id, false, print_file, &p);
	if (rc == 0)
		rc = query_file(d->catalogue, id, true, print_file, &p);
	if (rc < 0)
		return dbs_fail(d->catalogue_path, d->catalogue, rc);
	return rc == 0 ? not_known(d, id) : STATUS_OK;
}

static enum status log_one(const struct dbs *d, struct out *out,
    const char *text)
{
	struct print p = { out, d->log };
	char id[256];
	enum status st = clean_id(text, d->group, id, sizeof(id));
	int rc;

	if (st == STATUS_OK && !d->log)
		return err_say((struct err){ .status = STATUS_NO_SOURCE,
		                   .subject = d->log_path },
		    "there is no log to ask at %s", d->log_path);
	if (st != STATUS_OK)
		return st;
	rc = query_ops_of(d->log, strchr(id, '/') + 1, 0, print_op, &p);
	return rc < 0 ? dbs_fail(d->log_path, d->log, rc) : STATUS_OK;
}

static enum status run(struct cli *cli, const struct stat_options *o,
    const struct dbs *d)
{
	const struct out_source source = { d->catalogue_path, d->age_s };
	struct out_end end = { .complete = true,
		.sources = &source,
		.n_sources = 1 };
	struct out *out;
	enum status st =
	    out_open(&cli->out, o->log ? &log_layout : &layout, &out);

	for (size_t i = 0; out && i < cli->n_words && !stop_asked(); i++)
		st = err_worse(st, o->log ? log_one(d, out, cli->words[i])
		                          : stat_one(d, out, cli->words[i]));
	if (!out)
		return st;
	end.complete = !stop_asked();
	end.total = (int64_t)out_rows(out);
	return err_worse(st, out_close(out, &end));
}

enum status meta_run_stat(struct cli *cli, const void *options)
{
	const struct stat_options *o = options;
	struct source s;
	struct dbs d;
	struct out *out;
	enum status st;

	if (o->decode)
		return meta_run_decode(cli, NULL);
	if (cli->out.list_columns)
		return out_open(&cli->out, o->log ? &log_layout : &layout,
		    &out);
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = dbs_open_catalogue(&s, o->groups, &d);
	if (st == STATUS_OK) {
		st = run(cli, o, &d);
		dbs_close(&d);
	}
	source_close(&s);
	return st;
}
