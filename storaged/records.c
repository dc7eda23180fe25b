/* SPDX-License-Identifier: MIT */
#include "storaged/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/names.h"
#include "storaged/gone.h"
#include "storaged/handover.h"
#include "storaged/rebuild.h"
#include "storaged/recover.h"
#include "storaged/redo.h"
#include "storaged/replicate.h"

#define MARK_STATE  "state"
#define MARK_AFTER  "run_after" /* the last row before this run */
#define STATE_CLEAN "clean"

static void meta_path(const struct storage *st, const char *name, char *out,
    size_t cap)
{
	snprintf(out, cap, "%s/meta/%s", st->conf.base_path, name);
}

/* When the last run began, if it did not end cleanly; else 0. */
static int64_t unclean_since(struct db *log)
{
	char state[64];
	int64_t since = 0;

	if (db_mark_get(log, MARK_STATE, state, sizeof(state)) < 0 ||
	    strcmp(state, STATE_CLEAN) == 0)
		return 0;
	(void)str_to_i64(state, &since);
	return since;
}

/* The last row before that run; without a mark no row is known to be of it. */
static uint64_t unclean_after(struct db *log)
{
	const uint64_t last = oplog_last(log, NULL);
	char text[32] = "";
	int64_t seq = 0;

	if (db_mark_get(log, MARK_AFTER, text, sizeof(text)) < 0 ||
	    str_to_i64(text, &seq) < 0 || seq < 0)
		return last;
	return (uint64_t)seq;
}

static int mark_running(struct db *log)
{
	char text[32];
	int rc;

	snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)oplog_last(log, NULL));
	rc = db_mark_set(log, MARK_AFTER, text);
	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text), "%lld", (long long)clock_wall());
	return db_mark_set(log, MARK_STATE, text);
}

static int open_stores(struct storage *st, char *err, size_t cap)
{
	const struct storage_conf *c = &st->conf;
	struct store_conf sc = {
		.subdirs = (unsigned)c->subdir_count_per_path,
		.rotate_count = (unsigned)c->file_distribute_rotate_count,
		.hash_dirs = c->file_distribute_path_mode == 1,
		.balance = st->me.params.store_path == 2,
		.reserved = st->me.params.reserved,
		.disk_threads = (size_t)c->disk_threads,
		.full = c->durability == 1,
	};
	const struct store_dirs paths = { c->store_paths, c->path_readonly,
		(size_t)c->store_path_count };

	return store_open(&st->store, &sc, &paths, err, cap);
}

static int recover(struct storage *st, struct db *log, char *err, size_t cap)
{
	struct recover_result r;
	const struct recover_from from = { unclean_since(log),
		st->me.name_source, unclean_after(log) };
	int rc;

	if (from.since_ms == 0) {
		recover_clean(&st->store);
		return 0;
	}
	st->unclean = true;
	rc = recover_run(&st->store, log, &from, &r);
	if (rc < 0) {
		snprintf(err, cap, "recovery cannot read the log: %s",
		    errstr(rc));
		return rc;
	}
	for (uint64_t i = 0; i < r.failed; i++)
		redo_add(st->redo, r.left[i].seq,
		    (struct redo_names){ r.left[i].name, r.left[i].other },
		    r.left[i].error);
	free(r.left);
	log_warn("recovered",
	    "rows=%llu redone=%llu dropped=%llu orphans=%llu recorded=%llu "
	    "failed=%llu: the last run did not stop cleanly",
	    (unsigned long long)r.rows, (unsigned long long)r.redone,
	    (unsigned long long)r.dropped, (unsigned long long)r.orphans,
	    (unsigned long long)r.recorded, (unsigned long long)r.failed);
	return 0;
}

static void after_commit(void *arg)
{
	struct storage *st = arg;
	struct catalogue *c = __atomic_load_n(&st->catalogue, __ATOMIC_ACQUIRE);
	struct replicate *r = __atomic_load_n(&st->replicate, __ATOMIC_ACQUIRE);

	/* The peers first: somebody may wait for them. What came from one of
	 * them is no news to the others. */
	if (r)
		replicate_wake(r, writer_own_total(st->log));
	if (c)
		catalogue_wake(c);
}

int records_start_log(struct storage *st, bool (*stop)(void), char *err,
    size_t cap)
{
	char path[4096];
	char why[DB_ERR_MAX];
	struct db *log;
	int rc;

	meta_path(st, "storage.db", path, sizeof(path));
	rc = db_open(DB_LOG, path, st->conf.durability == 1, &log, why);
	if (rc < 0) {
		snprintf(err, cap, "%s", why);
		return rc;
	}
	rc = handover_check(log, st->conf.base_path, err, cap);
	if (rc == 0)
		rc = identity_learn(&st->me, &st->conf, log, stop, err, cap);
	if (rc == 0)
		rc = identity_load_flag(&st->me, &st->conf, err, cap);
	if (rc == 0)
		rc = rebuild_look(st, err, cap);
	if (rc == 0)
		rc = open_stores(st, err, cap);
	if (rc < 0)
		goto close_log;
	rc = recover(st, log, err, cap);
	if (rc == 0)
		rc = gone_load(log);
	if (rc == 0)
		rc = mark_running(log);
	if (rc == 0)
		rc = writer_start(log, after_commit, st, &st->log);
	if (rc < 0)
		goto close_stores;
	return 0;

close_stores:
	if (!err[0])
		snprintf(err, cap, "cannot start the log: %s", errstr(rc));
	store_close(&st->store);
close_log:
	db_close(log);
	return rc;
}

/* "a, b" -> { "a", "b" }, cut in place. */
static size_t split_keys(char *text, const char ***out)
{
	const char **keys = NULL;
	size_t n = 0;
	char *save = NULL;

	for (char *k = strtok_r(text, ", ", &save); k;
	     k = strtok_r(NULL, ", ", &save)) {
		keys = xrealloc(keys, n + 1, sizeof(*keys));
		keys[n++] = k;
	}
	*out = keys;
	return n;
}

int records_start_catalogue(struct storage *st, struct records *r, char *err,
    size_t cap)
{
	char path[4096];
	char log_path[4096];
	char why[DB_ERR_MAX];
	struct catalogue *catalogue;
	struct catalogue_conf cc = {
		.log_path = log_path,
		.path = path,
		.read_name = names_read,
		.group = st->me.group,
		.name_key = st->conf.name_key,
		.tombstone_keep_ms = st->conf.tombstone_keep_days * 86400000,
		.log_writer = st->log,
	};
	int rc;

	meta_path(st, "storage.db", log_path, sizeof(log_path));
	meta_path(st, "catalogue.db", path, sizeof(path));
	r->key_text = xstrdup(st->conf.indexed_keys);
	cc.n_indexed_keys = split_keys(r->key_text, &r->indexed_keys);
	cc.indexed_keys = r->indexed_keys;
	rc = catalogue_start(&cc, &catalogue, why);
	if (rc < 0)
		snprintf(err, cap, "%s", why);
	else
		__atomic_store_n(&st->catalogue, catalogue, __ATOMIC_RELEASE);
	return rc;
}

/* --- the end --- */

static int apply_clean(struct write *w, struct db *db)
{
	(void)w;
	return db_mark_set(db, MARK_STATE, STATE_CLEAN);
}

static int apply_nothing(struct write *w, struct db *db)
{
	(void)w;
	(void)db;
	return 0;
}

/* The writer's thread looks at st->catalogue after each commit: when a write
 * that was submitted afterwards is back, it has seen that there is none. */
void records_stop_catalogue(struct storage *st)
{
	struct catalogue *c = st->catalogue;
	struct write w = { .apply = apply_nothing };

	if (!c)
		return;
	__atomic_store_n(&st->catalogue, NULL, __ATOMIC_RELEASE);
	(void)writer_call(st->log, &w);
	catalogue_stop(c);
}

/* An operation that is recorded but was not carried out is left to recovery:
 * then the stop is not a clean one. */
void records_stop_log(struct storage *st, bool ended)
{
	struct write w = { .apply = apply_clean };
	bool clean =
	    ended && !__atomic_load_n(&st->unapplied, __ATOMIC_RELAXED);
	int rc;

	if (!st->log)
		return;
	rc = clean ? writer_call(st->log, &w) : 0;
	if (!clean)
		log_warn("stop_unclean",
		    "%s; the next start makes disk and log agree",
		    ended ? "operations are recorded but not applied"
		          : "connections did not end in time");
	if (rc < 0)
		log_error("stop_failed", "cannot mark the clean stop: %s",
		    errstr(rc));
	writer_stop(st->log);
	st->log = NULL;
}

void records_free(struct records *r)
{
	free(r->indexed_keys);
	free(r->key_text);
}

int records_read(const struct storage *st, enum db_kind kind, struct db **out,
    char err[DB_ERR_MAX])
{
	char path[4096];

	meta_path(st, kind == DB_LOG ? "storage.db" : "catalogue.db", path,
	    sizeof(path));
	return db_open_read(kind, path, out, err);
}
