/* SPDX-License-Identifier: MIT */
/*
 * adopt: makes the catalogue again from the disks and the log. plan counts,
 * run writes. While it runs it holds the daemon's lock, so that no daemon
 * starts on a catalogue that is about to be replaced. On the base path of a
 * FastDFS storage it first makes the log, from the binlog and the mark files.
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
#include "cli/takeover.h"
#include "meta/names.h"

struct adopt_options {
	struct stores_options stores;
	bool force;
};
static_assert(sizeof(struct adopt_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .name = "force",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct adopt_options, force),
	    .help = "take the binlog of FastDFS over again: the log there is "
	            "is set aside" },
};

const struct opt_table meta_adopt_table = { "adopt", rows, ARRAY_LEN(rows), 0 };
const struct opt_table meta_adopt_stores = { "disks", stores_rows, STORES_ROWS,
	offsetof(struct adopt_options, stores) };

enum {
	COL_FILES,
	COL_BYTES,
	COL_META,
	COL_NOT_OURS,
	COL_REPLAYED,
	COL_OPERATIONS,
	COL_SKIPPED,
	COL_BROKEN,
	COL_PEERS,
	COL_CATALOGUE
};

static const struct out_column columns[] = {
	{ "files", OUT_COUNT, OUT_KEEP, 0, "files found on the store paths" },
	{ "bytes", OUT_BYTES, 0, 0, "their bytes" },
	{ "meta", OUT_COUNT, 0, 0, "metadata files" },
	{ "not_ours", OUT_COUNT, 0, 0, "names that are no file id" },
	{ "replayed", OUT_COUNT, 0, 0, "operations of the log applied" },
	{ "operations", OUT_COUNT, 0, 0,
	    "operations taken over from the binlog of FastDFS" },
	{ "skipped", OUT_COUNT, OUT_EXTRA, 0,
	    "of its lines: over since, as the disk shows" },
	{ "broken", OUT_COUNT, 0, 0, "of its lines: not understood" },
	{ "peers", OUT_COUNT, 0, 0, "peers whose place was taken over" },
	{ "catalogue", OUT_TEXT, 0, 1, "the database" },
};

static const struct out_layout layout = { "fdfs-meta.adopt/1", columns,
	ARRAY_LEN(columns), true, NULL };

/* t: what was taken over, or NULL. */
static enum status report(struct cli *cli, const struct adopt_result *r,
    const struct takeover *t, const char *path)
{
	struct out_end end = { .complete = true, .total = 1 };
	const struct out_cell none = out_unknown();
	const struct out_cell c[] = {
		[COL_FILES] = out_number((int64_t)r->files),
		[COL_BYTES] = out_number((int64_t)r->bytes),
		[COL_META] = out_number((int64_t)r->meta),
		[COL_NOT_OURS] = out_number((int64_t)r->not_ours),
		[COL_REPLAYED] = cli->words[0][0] == 'r'
		                     ? out_number((int64_t)r->replayed)
		                     : none,
		[COL_OPERATIONS] = t ? out_number((int64_t)t->rows) : none,
		[COL_SKIPPED] = t ? out_number((int64_t)t->skipped) : none,
		[COL_BROKEN] = t ? out_number((int64_t)t->broken) : none,
		[COL_PEERS] = t ? out_number((int64_t)t->n_peers) : none,
		[COL_CATALOGUE] = out_text(path),
	};
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	if (!out)
		return st;
	out_row(out, c);
	return out_close(out, &end);
}

/* How the peers stand, a line each. */
static void tell_peers(const struct cli *cli, const struct takeover *t)
{
	for (size_t i = 0; i < t->n_peers && !cli->out.quiet; i++) {
		const struct takeover_peer *p = &t->peers[i];
		const struct binlog_mark *m = &p->p.mark;

		err_note("peer %s: operations that wait for it: %" PRIu64
		         "%s%s",
		    p->p.id, p->waiting,
		    m->need_sync_old && !m->sync_old_done
		        ? ", and it is still being filled"
		        : "",
		    p->beyond ? "; its mark stands behind the end of the "
		                "binlog"
		              : "");
	}
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

static enum status refuse(const struct takeover *t, int rc, const char *err)
{
	return err_say((struct err){ .status = rc == -EACCES ? STATUS_REFUSED
	                                                     : STATUS_NO_SOURCE,
	                   .rc = rc,
	                   .subject = t->sync },
	    "the binlog of FastDFS cannot be taken over: %s", err);
}

static enum status plan_report(struct cli *cli, const struct stores *s,
    const struct adopt_result *r, bool force)
{
	struct takeover t;
	char catalogue[4096];
	char err[DB_ERR_MAX];
	enum status st;
	bool wanted;
	int rc = 0;

	st = takeover_wanted(s, force, &wanted);
	if (st != STATUS_OK)
		return st;
	memset(&t, 0, sizeof(t));
	if (wanted)
		rc = takeover_read(&t, s, NULL, err, sizeof(err));
	stores_meta_path(s, "catalogue.db", catalogue, sizeof(catalogue));
	st = rc < 0 ? refuse(&t, rc, err)
	            : report(cli, r, wanted ? &t : NULL, catalogue);
	if (rc == 0)
		tell_peers(cli, &t);
	takeover_free(&t);
	return st;
}

static enum status plan(struct cli *cli, const struct stores *s, bool force)
{
	struct count c;
	char where[4096];
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
	st = plan_report(cli, s, &c.r, force);
	if (st == STATUS_OK && !cli->out.quiet)
		err_note("nothing has been changed; adopt run makes the "
		         "catalogue");
	return st;
}

static void on_progress(void *arg, uint64_t files)
{
	progress_at(arg, files);
}

static enum status make_catalogue(struct cli *cli, const struct stores *s,
    const struct takeover *t)
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
	int rc;

	stores_meta_path(s, "catalogue.db", catalogue, sizeof(catalogue));
	stores_meta_path(s, "storage.db", log, sizeof(log));
	progress_count(&p, "files", cli->out.quiet > 0);
	/* Nothing in it waits for us: a signal leaves at once, and what was
	 * written under its temporary name is overwritten the next time. */
	stop_at_once(true);
	rc = catalogue_adopt(&conf, &r, err);
	stop_at_once(false);
	progress_end(&p);
	if (rc < 0)
		return err_unusable(rc, catalogue, err);
	return report(cli, &r, t, catalogue);
}

static enum status adopt(struct cli *cli, const struct stores *s, bool force)
{
	struct takeover t;
	char err[DB_ERR_MAX] = "";
	bool wanted = false;
	enum status st;
	int rc = fs_make_dirs(s->meta_dir);

	if (rc < 0)
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .rc = rc,
		                   .subject = s->meta_dir },
		    "cannot make %s: %s", s->meta_dir, errstr(rc));
	memset(&t, 0, sizeof(t));
	st = takeover_wanted(s, force, &wanted);
	if (st != STATUS_OK)
		return st;
	if (wanted) {
		stop_at_once(true);
		rc = takeover_make_log(&t, s, err, sizeof(err));
		stop_at_once(false);
	}
	st = rc < 0 ? refuse(&t, rc, err)
	            : make_catalogue(cli, s, wanted ? &t : NULL);
	if (st == STATUS_OK)
		tell_peers(cli, &t);
	takeover_free(&t);
	return st;
}

enum status meta_run_adopt(struct cli *cli, const void *options)
{
	const struct adopt_options *options_in = options;
	struct stores_options o = options_in->stores;
	const bool force = options_in->force;
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
		st = stores_take_lock(&s, &lock);
	if (st == STATUS_OK)
		st = run ? adopt(cli, &s, force) : plan(cli, &s, force);
	if (lock >= 0)
		close(lock);
	stores_close(&s);
	return st;
}
