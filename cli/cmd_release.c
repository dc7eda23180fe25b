/* SPDX-License-Identifier: MIT */
/*
 * release: gives the base path of a storage of ours back to FastDFS. plan
 * counts, run writes, holding the daemon's lock.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/meta.h"
#include "cli/release.h"
#include "cli/stop.h"
#include "cli/takeover.h"
#include "meta/query.h"

enum {
	COL_OPERATIONS,
	COL_FILES,
	COL_PARKED,
	COL_LINES,
	COL_UNFIT,
	COL_PEERS,
	COL_BINLOG
};

static const struct out_column columns[] = {
	{ "operations", OUT_COUNT, OUT_KEEP, 0, "operations of the log" },
	{ "files", OUT_COUNT, 0, 0,
	    "files listed for members that join later" },
	{ "parked", OUT_COUNT, 0, 0, "files that peers could not take yet" },
	{ "lines", OUT_COUNT, 0, 0, "lines for the binlog in all" },
	{ "unfit", OUT_COUNT, 0, 0, "names that no line can hold" },
	{ "peers", OUT_COUNT, 0, 0, "peers that get a mark file" },
	{ "binlog", OUT_TEXT, 0, 1, "where it is" },
};

static const struct out_layout layout = { "fdfs-meta.release/1", columns,
	ARRAY_LEN(columns), true, NULL };

static enum status report(struct cli *cli, const struct release *r)
{
	struct out_end end = { .complete = true, .total = 1 };
	struct out_cell c[ARRAY_LEN(columns)];
	uint64_t marked = 0;
	struct out *out;
	enum status st = out_open(&cli->out, &layout, &out);

	if (!out)
		return st;
	for (size_t i = 0; i < r->n_peers; i++)
		marked += r->peers[i].marked;
	c[COL_OPERATIONS] = out_number((int64_t)r->rows);
	c[COL_FILES] = out_number((int64_t)r->files);
	c[COL_PARKED] = out_number((int64_t)r->parked);
	c[COL_LINES] = out_number((int64_t)r->lines);
	c[COL_UNFIT] = out_number((int64_t)r->unfit);
	c[COL_PEERS] = out_number((int64_t)marked);
	c[COL_BINLOG] = out_text(r->sync);
	out_row(out, c);
	st = out_close(out, &end);
	for (size_t i = 0; i < r->n_peers && !cli->out.quiet; i++) {
		const struct release_peer *p = &r->peers[i];

		err_note("peer %s: operations that wait for it: %" PRIu64
		         ", parked files: %" PRIu64 "%s",
		    p->row.id, p->waiting, p->parked,
		    !p->marked ? "; it gets no mark file, FastDFS asks the "
		                 "tracker who fills it"
		    : p->row.source && !p->row.filled
		        ? "; it is not filled yet, FastDFS begins again"
		        : "");
	}
	return st;
}

static enum status no_log(const struct stores *s, const char *path, int rc,
    const char *why)
{
	const struct err e = { .status = rc == -EACCES ? STATUS_REFUSED
		                                       : STATUS_NO_SOURCE,
		.rc = rc,
		.subject = path };

	if (rc == -ENOENT)
		return err_say(e, "no fdfs-storaged has ever run on %s: %s",
		    s->base_path, why);
	return err_say(e, "%s", why);
}

static enum status open_dbs(struct release *r)
{
	char path[4096];
	char err[DB_ERR_MAX] = "";
	int rc;

	stores_meta_path(r->stores, "storage.db", path, sizeof(path));
	rc = access(path, F_OK) < 0 ? -errno : 0;
	if (rc < 0)
		snprintf(err, sizeof(err), "%.400s: %s", path, errstr(rc));
	else if (r->dry)
		rc = db_open_read(DB_LOG, path, &r->log, err);
	else
		rc = db_open(DB_LOG, path, true, &r->log, err);
	if (rc < 0)
		return no_log(r->stores, path, rc, err);
	stores_meta_path(r->stores, "catalogue.db", path, sizeof(path));
	rc = db_open_read(DB_CATALOGUE, path, &r->catalogue, err);
	return rc < 0 ? no_log(r->stores, path, rc, err) : STATUS_OK;
}

/* Both databases and the disk must agree before somebody else goes on. */
static enum status check(const struct release *r)
{
	struct err e = { .status = STATUS_REFUSED,
		.subject = r->stores->meta_dir };
	struct query_lag lag;
	char text[64] = "";
	int rc;

	if (db_mark_get(r->log, RELEASED_MARK, text, sizeof(text)) == 0 &&
	    text[0])
		return err_say(e, "%s has been released already",
		    r->stores->base_path);
	text[0] = '\0';
	(void)db_mark_get(r->log, "state", text, sizeof(text));
	e.todo = "start fdfs-storaged and stop it: fdfs-storaged "
	         "STORAGE_CONF stop";
	if (text[0] && strcmp(text, "clean") != 0)
		return err_say(e, "fdfs-storaged on %s did not stop cleanly",
		    r->stores->base_path);
	rc = query_lag(r->catalogue, r->log, &lag);
	if (rc < 0)
		return err_say(e, "cannot read %s: %s", r->stores->meta_dir,
		    errstr(rc));
	if (lag.waiting > 0 || (!lag.same_log && lag.last > 0)) {
		e.todo = "fdfs-meta adopt run STORAGE_CONF";
		return err_say(e,
		    "the catalogue in %s does not have all that "
		    "the log has",
		    r->stores->meta_dir);
	}
	return STATUS_OK;
}

static enum status release(struct cli *cli, struct release *r)
{
	char err[DB_ERR_MAX] = "";
	enum status st = open_dbs(r);
	int rc;

	if (st == STATUS_OK)
		st = check(r);
	if (st != STATUS_OK)
		return st;
	rc = release_open(r, err, sizeof(err));
	if (rc == 0) {
		stop_at_once(true); /* it can be run again */
		rc = release_run(r, err, sizeof(err));
		stop_at_once(false);
	}
	if (rc < 0)
		return err_say((struct err){ .status = STATUS_REFUSED,
		                   .rc = rc,
		                   .subject = r->sync },
		    "%s", err);
	st = report(cli, r);
	if (!cli->out.quiet && st == STATUS_OK)
		err_note(
		    r->dry
		        ? "nothing has been changed; release run writes it"
		        : "FastDFS can be started on it; %s stays as a record, "
		          "and before fdfs-storaged runs here again: fdfs-meta "
		          "adopt run",
		    r->stores->meta_dir);
	return err_worse(st, r->unfit > 0 ? STATUS_PART : STATUS_OK);
}

enum status meta_run_release(struct cli *cli, const void *options)
{
	const bool run = cli->n_words > 0 && strcmp(cli->words[0], "run") == 0;
	const struct stores_options none = { NULL, NULL, NULL };
	struct release r;
	struct stores s;
	struct out *out;
	int lock = -1;
	enum status st;

	(void)options;
	if (cli->out.list_columns)
		return out_open(&cli->out, &layout, &out);
	if (!run && strcmp(cli->words[0], "plan") != 0)
		return err_usage("release plan STORAGE_CONF shows, release run "
		                 "STORAGE_CONF does it",
		    "release does not know \"%s\"", cli->words[0]);
	st = stores_open(cli->words + 1, cli->n_words - 1, &none, &s);
	if (st != STATUS_OK)
		return st;
	memset(&r, 0, sizeof(r));
	r.stores = &s;
	r.dry = !run;
	st = stores_take_lock(&s, &lock);
	if (st == STATUS_OK)
		st = release(cli, &r);
	release_close(&r);
	db_close(r.log);
	db_close(r.catalogue);
	if (lock >= 0)
		close(lock);
	stores_close(&s);
	return st;
}
