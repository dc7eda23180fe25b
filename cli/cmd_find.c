/* SPDX-License-Identifier: MIT */
/*
 * find. Rows come in the order of an index, so the first ones stand there at
 * once; a cursor leads to the next page.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"
#include "cli/filter.h"
#include "cli/meta.h"
#include "cli/stop.h"

#define TERMINAL_LIMIT 1000

struct find_options {
	struct filter_options filter;
	const char *limit_text;
	const char *sort;
	const char *after;
	bool count;
	bool sum;
	bool exit_code;
};

static_assert(sizeof(struct find_options) <= META_OPTIONS_SIZE, "room");

#define ROW(l, nm, ty, member, ...)                                          \
	{                                                                    \
		.letter = (l), .name = (nm), .type = (ty),                   \
		.offset = offsetof(struct find_options, member), __VA_ARGS__ \
	}

static const struct opt_row rows[] = {
	ROW('n', "limit", OPT_TEXT, limit_text, .arg = "N",
	    .help = "at most N files; 1000 on a terminal, else all"),
	ROW('s', "sort", OPT_TEXT, sort, .arg = "COL[-]",
	    .help = "order by created, modified, size or name; - largest or "
	            "newest first; as always: created-"),
	ROW(0, "after", OPT_TEXT, after, .arg = "CURSOR",
	    .help = "the page after the one that ended with this cursor"),
	ROW(0, "count", OPT_FLAG, count, .help = "only the number of files"),
	ROW(0, "sum", OPT_FLAG, sum, .help = "only the sum of their bytes"),
	ROW(0, "exit-code", OPT_FLAG, exit_code,
	    .help = "status 1 when no file matches"),
};

const struct opt_table meta_find_filters = { "filters", filter_rows,
	FILTER_ROWS, offsetof(struct find_options, filter) };
const struct opt_table meta_find_table = { "find", rows, ARRAY_LEN(rows), 0 };

static const struct out_layout layout = { "fdfs-meta.find/1", files_columns,
	FILES_COLUMNS, false, "no files match" };

static const struct out_column sum_columns[] = {
	{ "files", OUT_COUNT, OUT_KEEP, 0, "files that match" },
	{ "bytes", OUT_BYTES, OUT_KEEP, 0, "their bytes" },
};

static const struct out_layout sum_layout = { "fdfs-meta.find-sum/1",
	sum_columns, ARRAY_LEN(sum_columns), false, NULL };

static const struct sort_row {
	const char *name;
	enum file_order order;
} sorts[] = {
	{ "created", FILE_BY_CREATED },
	{ "modified", FILE_BY_MODIFIED },
	{ "size", FILE_BY_SIZE },
	{ "name", FILE_BY_NAME },
};

static enum status make_order(const struct find_options *o,
    struct file_filter *f)
{
	const char *text = o->sort ? o->sort : "created-";
	const size_t n = strlen(text);
	const bool down = n > 0 && text[n - 1] == '-';
	uint64_t limit = isatty(STDOUT_FILENO) ? TERMINAL_LIMIT : 0;
	size_t i = 0;

	while (i < ARRAY_LEN(sorts) &&
	       (strlen(sorts[i].name) != n - down ||
	           strncmp(sorts[i].name, text, n - down) != 0))
		i++;
	if (i == ARRAY_LEN(sorts))
		return err_usage("created, modified, size or name; - after it "
		                 "turns the order around",
		    "cannot sort by \"%s\"", text);
	if (o->limit_text && str_to_u64(o->limit_text, &limit) < 0)
		return err_usage("0 is no limit",
		    "-n wants a number, not "
		    "\"%s\"",
		    o->limit_text);
	f->order = sorts[i].order;
	f->ascending = !down;
	f->limit = (size_t)limit;
	f->after = o->after;
	return STATUS_OK;
}

struct find {
	struct out *out;
	struct db *db;
	const struct file_filter *f;
	uint64_t rows;
	char cursor[FILE_CURSOR_MAX];
};

static int print_row(void *arg, const struct file_row *row)
{
	struct find *find = arg;

	find->rows++;
	if (find->f->limit > 0 && find->rows == find->f->limit)
		query_cursor(find->f, row, find->cursor);
	return files_print(find->out, find->db, row) ? 0 : 1;
}

static enum status print_sum(struct cli *cli, const struct find_options *o,
    const struct dbs *d, const struct filter *f)
{
	struct out_end end = { .complete = true, .total = 1 };
	uint64_t files;
	uint64_t bytes;
	struct out *out;
	enum status st;
	const int rc = query_files_sum(d->catalogue, &f->f, &files, &bytes);

	if (rc < 0)
		return dbs_fail(d->catalogue_path, d->catalogue, rc);
	if (out_for_people(&cli->out)) {
		printf("%" PRIu64 "\n", o->count ? files : bytes);
	} else {
		const struct out_cell cells[] = { out_number((int64_t)files),
			out_number((int64_t)bytes) };

		st = out_open(&cli->out, &sum_layout, &out);
		if (!out)
			return st;
		out_row(out, cells);
		st = out_close(out, &end);
		if (st != STATUS_OK)
			return st;
	}
	return files == 0 && o->exit_code ? STATUS_NO : STATUS_OK;
}

/* How many there are in all is worth a second look only when it is shown. */
static bool wants_total(const struct cli *cli)
{
	return cli->out.format == OUT_JSON || cli->out.verbose ||
	       (isatty(STDERR_FILENO) && out_for_people(&cli->out));
}

static void summarize(const struct cli *cli, const struct dbs *d,
    const struct find *find, struct out_end *end, char *text, size_t cap)
{
	struct strbuf b = strbuf_over(text, cap);
	uint64_t files = find->rows;
	uint64_t bytes = 0;
	char sum[16];
	const bool cut = find->cursor[0] != '\0';

	if (!wants_total(cli) || stop_asked() ||
	    query_files_sum(d->catalogue, find->f, &files, &bytes) < 0) {
		end->total = cut ? -1 : (int64_t)find->rows;
		return;
	}
	end->total = (int64_t)files;
	strbuf_addf(&b, "%" PRIu64 " of %" PRIu64 " files, %s in all",
	    find->rows, files, str_bytes(sum, sizeof(sum), bytes));
	if (cut)
		strbuf_addf(&b, "; the next: --after %s", find->cursor);
	if (d->waiting > 0)
		strbuf_addf(&b, "; %" PRIu64 " operations not yet in",
		    d->waiting);
	end->summary = text;
}

static enum status print_files(struct cli *cli, const struct find_options *o,
    const struct dbs *d, const struct filter *f)
{
	struct find find = { .db = d->catalogue, .f = &f->f };
	const struct out_source source = { d->catalogue_path, d->age_s };
	struct out_end end = { .complete = true,
		.sources = &source,
		.n_sources = 1,
		.total = -1 };
	char summary[512];
	int64_t rc;
	enum status st = out_open(&cli->out, &layout, &find.out);

	if (!find.out)
		return st;
	rc = query_files(d->catalogue, &f->f, print_row, &find);
	if (rc < 0 && !stop_asked())
		st = rc == -EINVAL && o->after
		         ? err_usage(NULL, "--after: this is no cursor of find")
		         : dbs_fail(d->catalogue_path, d->catalogue, rc);
	end.complete = rc >= 0 && !stop_asked();
	if (end.complete)
		summarize(cli, d, &find, &end, summary, sizeof(summary));
	end.next = end.complete && find.cursor[0] &&
	                   (end.total < 0 || (uint64_t)end.total > find.rows ||
	                       o->after)
	               ? find.cursor
	               : NULL;
	st = err_worse(st, out_close(find.out, &end));
	if (st == STATUS_OK && find.rows == 0 && o->exit_code)
		st = STATUS_NO;
	return st;
}

enum status meta_run_find(struct cli *cli, const void *options)
{
	const struct find_options *o = options;
	struct source s;
	struct filter f;
	struct dbs d;
	struct out *out;
	enum status st = filter_make(&o->filter, clock_wall_sec(), &f);

	if (cli->out.list_columns) {
		filter_free(&f);
		return out_open(&cli->out, &layout, &out);
	}
	if (st == STATUS_OK && o->count && o->sum)
		st = err_usage(NULL, "--count and --sum print one number; "
		                     "give one of them");
	if (st == STATUS_OK)
		st = make_order(o, &f.f);
	if (st == STATUS_OK) {
		st = source_open(&cli->sources, &s);
		if (st == STATUS_OK)
			st = dbs_open_catalogue(&s, o->filter.groups, &d);
		if (st == STATUS_OK) {
			st = o->count || o->sum ? print_sum(cli, o, &d, &f)
			                        : print_files(cli, o, &d, &f);
			dbs_close(&d);
		}
		source_close(&s);
	}
	filter_free(&f);
	return st;
}
