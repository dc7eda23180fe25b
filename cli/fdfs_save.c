/* SPDX-License-Identifier: MIT */
/* Where the content of get and cat goes, and what is said of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/fdfs_get.h"
#include "cli/stop.h"

enum {
	COL_ID,
	COL_FILE,
	COL_SIZE,
	COL_FROM,
	COL_CHECKED,
	COL_CRC,
	COL_ELAPSED
};

static const struct out_column columns[] = {
	{ "id", OUT_TEXT, OUT_KEEP, 0, "the file's id" },
	{ "file", OUT_TEXT, OUT_CUT, 1, "where it was written" },
	{ "size", OUT_BYTES, 0, 1, "bytes received" },
	{ "from", OUT_TEXT, 0, 2, "the storage that sent it" },
	{ "checked", OUT_BOOL, 0, 2, "size and checksum were compared" },
	{ "crc", OUT_CRC, 0, 3, "crc32 of what was received" },
	{ "elapsed_us", OUT_MICROS, 0, 4, "time it took" },
};

static const struct out_layout layout = { "fdfs.get/1", columns,
	ARRAY_LEN(columns), false, NULL };

static void report(const struct get *g, mono_t start)
{
	char from[ADDR_TEXT_MAX];
	char size[16];
	char line[2048];
	char safe[4096];
	struct strbuf b;
	struct out_cell cells[ARRAY_LEN(columns)];
	const int64_t us = (int64_t)((clock_mono() - start) / 1000);

	addr_text(&g->from, from, sizeof(from));
	if (g->out) {
		cells[COL_ID] = out_text(g->id.text);
		cells[COL_FILE] = out_text(g->path);
		cells[COL_SIZE] = out_number((int64_t)g->got);
		cells[COL_FROM] = out_text(from);
		cells[COL_CHECKED] = out_number(g->result == GET_CRC_OK);
		cells[COL_CRC] = out_number(g->crc);
		cells[COL_ELAPSED] = out_number(us);
		out_row(g->out, cells);
		return;
	}
	if (g->cli->out.quiet)
		return;
	b = strbuf_over(line, sizeof(line));
	strbuf_addf(&b, "%s  %s  from %s", g->path ? g->path : "-",
	    str_bytes(size, sizeof(size), g->got), from);
	if (g->failed.len > 0)
		strbuf_addf(&b, " (%s)", g->failed_text);
	strbuf_addf(&b, "%s  %lld ms",
	    g->result == GET_CRC_OK ? "  crc ok" : "", (long long)us / 1000);
	str_escape(safe, sizeof(safe), line, b.len);
	/* Not where the content goes. */
	fprintf(g->path ? stdout : stderr, "%s\n", safe);
}

enum status get_to_stdout(struct get *g, const struct members *copies)
{
	const mono_t start = clock_mono();
	enum status st;

	g->fd = STDOUT_FILENO;
	g->seekable = false;
	g->path = NULL;
	st = get_content(g, copies);
	if (st == STATUS_OK && g->cli->out.verbose)
		report(g, start);
	return st;
}

static enum status cannot_create(const char *path, int rc)
{
	const char *todo = NULL;

	if (rc == -EEXIST)
		todo = "--force overwrites it, -O FILE writes another one";
	return err_say((struct err){ .status = rc == -EEXIST || rc == -EACCES
	                                           ? STATUS_REFUSED
	                                           : STATUS_NO,
	                   .rc = rc,
	                   .subject = path,
	                   .todo = todo },
	    "cannot write %s: %s", path,
	    rc == -EEXIST ? "it exists" : errstr(rc));
}

/* Gives the file its name. Without force never over another one. */
static int publish(const char *tmp, const char *path, bool force)
{
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path,
	        force ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without RENAME_NOREPLACE. */
	if (link(tmp, path) < 0)
		return -errno;
	unlink(tmp);
	return 0;
}

static int check_place(const char *path, bool force)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return force ? 0 : -EEXIST;
}

/* "DIR/.fdfs-XXXXXX" beside path. */
static int make_temporary(const char *path, char *tmp, size_t cap)
{
	const char *slash = strrchr(path, '/');
	struct strbuf b = strbuf_over(tmp, cap);
	int fd;

	strbuf_add(&b, path, slash ? (size_t)(slash - path) + 1 : 0);
	strbuf_addf(&b, ".fdfs-XXXXXX");
	if (b.failed)
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	stop_remove(tmp);
	return fd;
}

enum status get_to_file(struct get *g, const struct members *copies)
{
	const mono_t start = clock_mono();
	const char *path = g->o->output ? g->o->output : g->name;
	char tmp[4096];
	enum status st;
	int rc = check_place(path, g->o->force);

	if (rc < 0)
		return cannot_create(path, rc);
	g->path = path;
	g->fd = make_temporary(path, tmp, sizeof(tmp));
	if (g->fd < 0)
		return cannot_create(path, g->fd);
	g->seekable = true;
	st = get_content(g, copies);
	if (close(g->fd) < 0 && st == STATUS_OK)
		st = cannot_create(path, -errno);
	if (st == STATUS_OK) {
		rc = publish(tmp, path, g->o->force);
		if (rc < 0)
			st = cannot_create(path, rc);
	}
	if (st == STATUS_OK)
		report(g, start);
	else
		unlink(tmp);
	stop_remove(NULL);
	return st;
}

static enum status run(struct cli *cli, const struct get_options *o, bool cat)
{
	struct source source;
	struct get g = { .cli = cli, .o = o, .source = &source };
	struct out_end end = { .complete = true, .total = -1 };
	const bool rows = !out_for_people(&cli->out) || cli->out.columns ||
	                  cli->out.list_columns;
	enum status st;

	g.to_stdout = cat || (o->output && strcmp(o->output, "-") == 0);
	if (o->output && cli->n_words > 1)
		return err_usage(NULL,
		    "-O takes one file, and there are %zu "
		    "ids",
		    cli->n_words);
	if (g.to_stdout && rows)
		return err_usage(NULL, "the content goes to standard output: "
		                       "there is no room for rows");
	if (rows) {
		st = out_open(&cli->out, &layout, &g.out);
		if (!g.out)
			return st;
	}
	st = source_open(&cli->sources, &source);
	if (st == STATUS_OK)
		st = source_need_tracker(&source);
	for (size_t i = 0; st != STATUS_NO_SOURCE && st != STATUS_USAGE &&
	                   i < cli->n_words && !stop_asked();
	     i++)
		st = err_worse(st, get_one(&g, cli->words[i]));
	end.complete = st == STATUS_OK;
	if (g.out)
		st = err_worse(st, out_close(g.out, &end));
	source_close(&source);
	return st;
}

enum status fdfs_run_get(struct cli *cli, const void *options)
{
	return run(cli, options, false);
}

enum status fdfs_run_cat(struct cli *cli, const void *options)
{
	return run(cli, options, true);
}
