/* SPDX-License-Identifier: MIT */
/*
 * The log that a takeover makes, and the question whether one is due. The log
 * gets its name only when it is whole, so a takeover that was cut off leaves
 * nothing, and can be run again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/takeover.h"
#include "meta/oplog.h"

static const char *const tails[] = { "", "-wal", "-shm", "-lock" };

static void with_tail(const char *path, const char *tail, char *out, size_t cap)
{
	struct strbuf b = strbuf_over(out, cap);

	strbuf_addf(&b, "%s%s", path, tail);
}

static void remove_log(const char *path)
{
	char name[4200];

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		with_tail(path, tails[i], name, sizeof(name));
		unlink(name);
	}
}

/* Together with its WAL, which belongs to it. */
static int set_aside(const char *path)
{
	char to[4200];
	char stamp[32];
	const time_t now = time(NULL);
	struct tm tm;

	if (access(path, F_OK) != 0)
		return 0;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), ".%Y%m%dT%H%M%SZ", &tm);
	with_tail(path, stamp, to, sizeof(to));
	if (access(to, F_OK) == 0)
		return -EEXIST;
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		char from[4200];
		char name[4300];

		with_tail(path, tails[i], from, sizeof(from));
		with_tail(to, tails[i], name, sizeof(name));
		if (rename(from, name) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int complete(struct db *log, const char *path, int rc)
{
	if (rc == 0)
		rc = db_checkpoint(log, true, NULL);
	db_close(log);
	if (rc < 0)
		remove_log(path);
	return rc;
}

int takeover_make_log(struct takeover *t, const struct stores *s, char *err,
    size_t cap)
{
	char path[4096];
	char made[4200];
	struct db *log;
	int rc;

	stores_meta_path(s, "storage.db", path, sizeof(path));
	with_tail(path, ".adopt", made, sizeof(made));
	memset(t, 0, sizeof(*t));
	remove_log(made);
	rc = db_open(DB_LOG, made, true, &log, err);
	if (rc < 0)
		return rc;
	rc = complete(log, made, takeover_read(t, s, log, err, cap));
	t->log = NULL;
	if (rc < 0) {
		if (!err[0])
			snprintf(err, cap, "cannot write %s: %s", made,
			    errstr(rc));
		return rc;
	}
	rc = set_aside(path);
	if (rc == 0 && rename(made, path) < 0)
		rc = -errno;
	if (rc < 0)
		snprintf(err, cap, "cannot replace %s: %s", path, errstr(rc));
	remove_log(made);
	return rc;
}

/* What the log there is says about itself. */
struct log_state {
	bool taken_over; /* made of a binlog */
	bool released;   /* and given back */
	uint64_t rows;
};

static int look(const char *path, struct log_state *out, char *err)
{
	struct takeover_end end;
	char text[64];
	struct db *log;
	int rc;

	memset(out, 0, sizeof(*out));
	if (access(path, F_OK) != 0)
		return 0;
	rc = db_open_read(DB_LOG, path, &log, err);
	if (rc < 0)
		return rc;
	out->taken_over = takeover_end(log, &end) == 0;
	out->released =
	    db_mark_get(log, RELEASED_MARK, text, sizeof(text)) == 0 && text[0];
	out->rows = oplog_last(log, NULL);
	db_close(log);
	return 0;
}

enum status takeover_wanted(const struct stores *s, bool force, bool *wanted)
{
	struct log_state state;
	char path[4096];
	char err[DB_ERR_MAX];
	int rc;

	*wanted = false;
	if (!takeover_possible(s))
		return force ? err_usage("leave --force away",
		                   "there is no binlog of FastDFS in "
		                   "%s/data/sync",
		                   s->base_path)
		             : STATUS_OK;
	stores_meta_path(s, "storage.db", path, sizeof(path));
	rc = look(path, &state, err);
	if (rc < 0)
		return err_unusable(rc, path, err);
	*wanted =
	    force || state.released || (!state.taken_over && state.rows == 0);
	if (!*wanted && !state.taken_over)
		err_note("the binlog of FastDFS in %s/data/sync is left alone: "
		         "the log has operations of its own, up to %" PRIu64
		         "; with --force the log is set aside and the binlog "
		         "taken over",
		    s->base_path, state.rows);
	return STATUS_OK;
}
