/* SPDX-License-Identifier: MIT */
/*
 * adopt: makes the catalogue again from the disks and the log. plan counts,
 * run writes. While it runs it holds the daemon's lock, so that no daemon
 * starts on a catalogue that is about to be replaced.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/meta.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/stores.h"
#include "meta/names.h"

static_assert(sizeof(struct stores_options) <= META_OPTIONS_SIZE, "room");

const struct opt_table meta_adopt_table = { "adopt", stores_rows, STORES_ROWS,
	0 };

enum {
	COL_FILES,
	COL_BYTES,
	COL_META,
	COL_NOT_OURS,
	COL_REPLAYED,
	COL_CATALOGUE
};

static const struct out_column columns[] = {
	{ "files", OUT_COUNT, OUT_KEEP, 0, "files found on the store paths" },
	{ "bytes", OUT_BYTES, 0, 0, "their bytes" },
	{ "meta", OUT_COUNT, 0, 0, "metadata files" },
	{ "not_ours", OUT_COUNT, 0, 0, "names that are no file id" },
	{ "replayed", OUT_COUNT, 0, 0, "operations of the log applied" },
	{ "catalogue", OUT_TEXT, 0, 1, "the database" },
};

static const struct out_layout layout = { "fdfs-meta.adopt/1", columns,
	ARRAY_LEN(columns), true, NULL };

static void path_of(const struct stores *s, const char *file, char *out,
    size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);

	strbuf_addf(&b, "%s/%s", s->meta_dir, file);
}

static enum status report(struct cli *cli, const struct adopt_result *r,
    const char *path, bool replayed)
{
	struct out_end end = { .complete = true, .total = 1 };
	const struct out_cell c[] = { out_number((int64_t)r->files),
		out_number((int64_t)r->bytes), out_number((int64_t)r->meta),
		out_number((int64_t)r->not_ours),
		replayed ? out_number((int64_t)r->replayed) : out_unknown(),
		out_text(path) };
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	if (!out)
		return st;
	out_row(out, c);
	return out_close(out, &end);
}

struct count {
	struct adopt_result r;
	struct progress p;
};

static int count_file(void *arg, const struct stores_file *f)
{
	struct count *c = arg;

	if (!f->is_ours) {
		c->r.not_ours++;
	} else if (f->is_meta) {
		c->r.meta++;
	} else {
		c->r.files++;
		c->r.bytes += (uint64_t)f->size;
		progress_at(&c->p, c->r.files);
	}
	return stop_asked() ? -EINTR : 0;
}

static enum status plan(struct cli *cli, const struct stores *s)
{
	struct count c;
	char where[4096];
	char catalogue[4096];
	enum status st;
	int rc;

	memset(&c, 0, sizeof(c));
	progress_count(&c.p, "files", cli->out.quiet > 0);
	rc = stores_walk(s, count_file, &c, where, sizeof(where));
	progress_end(&c.p);
	if (stop_asked())
		return stop_status();
	if (rc < 0)
		return err_say((struct err){ .status = rc == -EACCES
		                                           ? STATUS_REFUSED
		                                           : STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = where },
		    "cannot read %s: %s", where, errstr(rc));
	path_of(s, "catalogue.db", catalogue, sizeof(catalogue));
	st = report(cli, &c.r, catalogue, false);
	if (st == STATUS_OK && !cli->out.quiet)
		err_note("nothing has been changed; adopt run makes the "
		         "catalogue");
	return st;
}

static void on_progress(void *arg, uint64_t files)
{
	progress_at(arg, files);
}

static enum status daemon_runs(const struct stores *s, int pid)
{
	char todo[4300] = "wait until it is up, then stop it";

	if (pid > 0)
		snprintf(todo, sizeof(todo),
		    "stop it first: fdfs-storaged STORAGE_CONF stop");
	return err_say((struct err){ .status = STATUS_REFUSED,
	                   .rc = -EBUSY,
	                   .subject = s->base_path,
	                   .todo = todo },
	    "refused: fdfs-storaged (pid %d) has %s open", pid > 0 ? pid : 0,
	    s->meta_dir);
}

/* Gives the lock in *fd, -1 when there is no base path to lock. Only the lock
 * is taken: what stands in the file may be the pid of a stock daemon, which
 * does not lock it and does not mind us. */
static enum status take_lock(const struct stores *s, int *fd)
{
	const int pid = stores_daemon(s);
	char path[4200];
	struct strbuf b = strbuf_over(path, sizeof(path));
	int rc;

	*fd = -1;
	if (pid > 0 || pid == -EAGAIN)
		return daemon_runs(s, pid);
	if (!s->base_path[0])
		return STATUS_OK;
	strbuf_addf(&b, "%s/data", s->base_path);
	rc = fs_make_dirs(path);
	strbuf_addf(&b, "/%s.pid", STORES_DAEMON);
	if (rc == 0)
		rc = fs_lock_file(path);
	if (rc == -EWOULDBLOCK)
		return daemon_runs(s, 0);
	if (rc < 0)
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .rc = rc,
		                   .subject = path,
		                   .todo = "run it as the daemon's user" },
		    "cannot lock %s: %s", path, errstr(rc));
	*fd = rc;
	return STATUS_OK;
}

static enum status adopt(struct cli *cli, const struct stores *s)
{
	struct progress p;
	struct adopt_result r;
	char catalogue[4096];
	char log[4096];
	char err[DB_ERR_MAX];
	const struct adopt_conf conf = {
		.catalogue_path = catalogue,
		.log_path = log,
		.store_paths = (const char *const *)s->paths,
		.n_store_paths = s->n,
		.read_name = names_read,
		.group = s->group,
		.name_key = s->name_key,
		.progress = on_progress,
		.arg = &p,
	};
	int rc = fs_make_dirs(s->meta_dir);

	if (rc < 0)
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .rc = rc,
		                   .subject = s->meta_dir },
		    "cannot make %s: %s", s->meta_dir, errstr(rc));
	path_of(s, "catalogue.db", catalogue, sizeof(catalogue));
	path_of(s, "storage.db", log, sizeof(log));
	progress_count(&p, "files", cli->out.quiet > 0);
	/* Nothing in it waits for us: a signal leaves at once, and what was
	 * written under its temporary name is overwritten the next time. */
	stop_at_once(true);
	rc = catalogue_adopt(&conf, &r, err);
	stop_at_once(false);
	progress_end(&p);
	if (rc < 0)
		return err_say((struct err){ .status = rc == -EACCES
		                                           ? STATUS_REFUSED
		                                           : STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = catalogue },
		    "%s", err);
	return report(cli, &r, catalogue, true);
}

enum status meta_run_adopt(struct cli *cli, const void *options)
{
	struct stores_options o = *(const struct stores_options *)options;
	const bool run = cli->n_words > 0 && strcmp(cli->words[0], "run") == 0;
	struct stores s;
	struct out *out;
	int lock = -1;
	enum status st;

	if (cli->out.list_columns)
		return out_open(&cli->out, &layout, &out);
	if (!run && strcmp(cli->words[0], "plan") != 0)
		return err_usage("adopt plan STORAGE_CONF shows, adopt run "
		                 "STORAGE_CONF does it",
		    "adopt does not know \"%s\"", cli->words[0]);
	if (cli->sources.db.n > 0)
		o.db = cli->sources.db.items[cli->sources.db.n - 1];
	st = stores_open(cli->words + 1, cli->n_words - 1, &o, &s);
	if (st != STATUS_OK)
		return st;
	if (run)
		st = take_lock(&s, &lock);
	if (st == STATUS_OK)
		st = run ? adopt(cli, &s) : plan(cli, &s);
	if (lock >= 0)
		close(lock);
	stores_close(&s);
	return st;
}
