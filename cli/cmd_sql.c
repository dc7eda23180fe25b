/* SPDX-License-Identifier: MIT */
/*
 * sql: a statement of the user on one database. The handle is read-only and
 * what would write is refused before it runs. Columns are known only when the
 * statement is compiled, so the layout is made then.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cli/dbs.h"
#include "cli/meta.h"
#include "cli/stop.h"

#define SQL_MAX ((size_t)1024 * 1024)

struct sql_options {
	const char *file;
	int on;
	const char *groups;
};
static_assert(sizeof(struct sql_options) <= META_OPTIONS_SIZE, "room");

enum { ON_CATALOGUE, ON_LOG, ON_TRACKER };

static const struct opt_row rows[] = {
	{ .letter = 'f',
	    .name = "file",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct sql_options, file),
	    .arg = "FILE",
	    .help = "read the statement from FILE; - is standard input" },
	{ .name = "on",
	    .type = OPT_WORD,
	    .offset = offsetof(struct sql_options, on),
	    .arg = "catalogue|log|tracker",
	    .help = "which database; the catalogue when nothing is said" },
	{ .letter = 'g',
	    .name = "group",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct sql_options, groups),
	    .arg = "GROUP",
	    .help = "group of the database to ask" },
};

const struct opt_table meta_sql_table = { "sql", rows, ARRAY_LEN(rows), 0 };

struct sql {
	struct cli *cli;
	struct out *out;
	struct out_column *columns;
	struct out_layout layout;
	char **names;
	size_t n;
	struct out_source source;
	enum status st;
};

static void forget(struct sql *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->names[i]);
	free(q->names);
	free(q->columns);
	q->names = NULL;
	q->columns = NULL;
	q->n = 0;
}

static enum status finish(struct sql *q, bool complete)
{
	struct out_end end = { .complete = complete,
		.sources = &q->source,
		.n_sources = 1 };
	enum status st = STATUS_OK;

	if (q->out) {
		end.total = (int64_t)out_rows(q->out);
		st = out_close(q->out, &end);
	}
	q->out = NULL;
	forget(q);
	return st;
}

/* Called for each statement: the one before is complete. */
static int on_columns(void *arg, size_t n, const char *const *names)
{
	struct sql *q = arg;

	if (q->out) {
		q->st = finish(q, true);
		if (q->st == STATUS_OK && q->cli->out.format == OUT_JSON)
			q->st = err_usage("--ndjson, or one statement at a "
			                  "time",
			    "--json is one object: it takes one statement");
		if (q->st != STATUS_OK)
			return -ECANCELED;
	}
	q->n = n;
	q->names = xcalloc(n, sizeof(*q->names));
	q->columns = xcalloc(n, sizeof(*q->columns));
	for (size_t i = 0; i < n; i++) {
		q->names[i] = xstrdup(names[i]);
		q->columns[i] = (struct out_column){ q->names[i], OUT_TEXT,
			OUT_KEEP, 0, "" };
	}
	q->layout = (struct out_layout){ "fdfs-meta.sql/1", q->columns, n,
		false, NULL };
	q->st = out_open(&q->cli->out, &q->layout, &q->out);
	return q->out ? 0 : -ECANCELED;
}

static struct out_cell value_cell(struct out_column *c,
    const struct query_value *v, char *buf, size_t cap)
{
	switch (v->type) {
	case QUERY_NULL:
		return out_unknown();
	case QUERY_INTEGER:
		c->type = OUT_INT;
		return out_number(v->integer);
	case QUERY_REAL:
		c->type = OUT_REAL;
		if (!isfinite(v->real))
			return out_unknown();
		snprintf(buf, cap, "%.15g", v->real);
		return out_text(buf);
	default:
		c->type = OUT_TEXT;
		return out_span(v->text);
	}
}

static int on_row(void *arg, size_t n, const struct query_value *values)
{
	struct sql *q = arg;
	struct out_cell *cells = xcalloc(n, sizeof(*cells));
	char *reals = xcalloc(n, 32);
	bool go_on;

	/* A column of SQLite has a type in each row. */
	for (size_t i = 0; i < n; i++)
		cells[i] =
		    value_cell(&q->columns[i], &values[i], reals + 32 * i, 32);
	go_on = out_row(q->out, cells);
	free(reals);
	free(cells);
	return go_on ? 0 : 1;
}

static enum status run(struct cli *cli, struct db *db, const char *path,
    int64_t age, const char *text)
{
	struct sql q = { .cli = cli, .source = { path, age } };
	char err[DB_ERR_MAX] = "";
	const int64_t rc = query_sql(db, text, on_columns, on_row, &q, err);
	enum status st = q.st;

	st = err_worse(st, finish(&q, rc >= 0 && !stop_asked()));
	if (stop_asked())
		return stop_status();
	if (rc >= 0 || q.st != STATUS_OK || rc == -ECANCELED)
		return st;
	if (rc == -EACCES)
		return err_say(
		    (struct err){ .status = STATUS_REFUSED, .rc = (int)rc },
		    "%s", err);
	if (rc == -EINVAL)
		return err_usage("the views are files, meta, deleted, "
		                 "operations, peers, waiting, events, samples, "
		                 "storages",
		    "%s", err);
	return dbs_fail(path, db, rc);
}

static enum status read_text(const struct cli *cli, const struct sql_options *o,
    char **out)
{
	const char *path = o->file;
	ssize_t n;

	if ((path != NULL) == (cli->n_words > 0))
		return err_usage("fdfs-meta sql 'select count(*) from files'",
		    "sql wants a statement, or -f FILE");
	if (!path) {
		*out = xstrdup(cli->words[0]);
		return STATUS_OK;
	}
	n = fs_read_file(strcmp(path, "-") == 0 ? "/dev/stdin" : path, SQL_MAX,
	    out);
	if (n >= 0)
		return STATUS_OK;
	return err_say(
	    (struct err){ .status = STATUS_NO, .rc = (int)n, .subject = path },
	    "cannot read %s", path);
}

enum status meta_run_sql(struct cli *cli, const void *options)
{
	const struct sql_options *o = options;
	char *text = NULL;
	struct source s;
	struct dbs d = { .catalogue = NULL };
	enum status st = read_text(cli, o, &text);

	if (st != STATUS_OK)
		return st;
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK && o->on == ON_TRACKER)
		st = dbs_open_tracker(&s, &d);
	else if (st == STATUS_OK)
		st = dbs_open_catalogue(&s, o->groups, &d);
	if (st == STATUS_OK && o->on == ON_LOG && !d.log)
		st = err_say((struct err){ .status = STATUS_NO_SOURCE },
		    "there is no log at %s", d.log_path);
	else if (st == STATUS_OK && o->on == ON_LOG)
		st = run(cli, d.log, d.log_path, 0, text);
	else if (st == STATUS_OK && o->on == ON_TRACKER)
		st = run(cli, d.tracker, d.tracker_path, -1, text);
	else if (st == STATUS_OK)
		st = run(cli, d.catalogue, d.catalogue_path, d.age_s, text);
	dbs_close(&d);
	source_close(&s);
	free(text);
	return st;
}
