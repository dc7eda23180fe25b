/* SPDX-License-Identifier: MIT */
/*
 * The binlog is continued, never rewritten. Its parts, in this order:
 *
 *   files       what the binlog there does not have and the log has no more:
 *               every file when there was none, else those whose time of
 *               change on the disk is after the takeover. Nobody waits for
 *               them: they are for a member that joins later.
 *   operations  the rows of the log; a peer's mark stands before the first one
 *               it has not taken
 *   parked      files that a peer could not take. In-sync peers' marks stand
 *               behind them.
 *
 * A line too many is harmless (a peer answers that it has the file); one too
 * few is not.
 */
#include "cli/release.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/takeover.h"
#include "meta/oplog.h"
#include "meta/query.h"
#include "proto/fileid.h"

#define PAGE        2000
#define MARK_BEGUN  "releasing" /* "<file> <offset>": where it began */
#define SIDE_SUFFIX "-m"

/* --- lines --------------------------------------------------------------- */

static int put(struct release *r, const struct binlog_line *l)
{
	char line[BINLOG_LINE_MAX + 1];
	int rc;

	if (binlog_format(l, line, sizeof(line)) < 0) {
		r->unfit++;
		log_warn("release_line",
		    "name=%.*s: no line of FastDFS's "
		    "binlog can hold it",
		    (int)l->name.n, l->name.p);
		return 0;
	}
	r->lines++;
	rc = r->dry ? 0 : binlog_append(r->w, l);
	return rc;
}

/* The same for the metadata file of a name. */
static int put_side(struct release *r, const struct binlog_line *of, char op)
{
	char name[512];
	struct strbuf b = strbuf_over(name, sizeof(name));
	struct binlog_line l = *of;

	strbuf_add(&b, of->name.p, of->name.n);
	strbuf_addf(&b, SIDE_SUFFIX);
	l.op = op;
	l.name = (struct span){ name, b.len };
	return put(r, &l);
}

/* --- files --------------------------------------------------------------- */

static bool stat_of(const struct release *r, const char *remote, bool side,
    struct stat *st)
{
	char path[BINLOG_PATH_MAX];

	return stores_path(r->stores, remote, side, path, sizeof(path)) == 0 &&
	       stat(path, st) == 0;
}

static bool is_mine(const struct release *r, const char *source)
{
	const char *at = strstr(r->own, source);
	const size_t n = strlen(source);

	return n > 0 && at && (at == r->own || at[-1] == ',') &&
	       (at[n] == ',' || at[n] == '\0');
}

static int list_file(void *arg, const struct file_row *row)
{
	struct release *r = arg;
	struct binlog_line l = { .time = row->created / 1000,
		.op = 'C',
		.replica = !is_mine(r, row->source),
		.name = span_of(row->remote) };
	struct stat st;
	int rc = 0;

	/* A file that has a row comes with the operations. */
	if (row->type == FILE_TRUNK ||
	    (row->seq > 0 && (uint64_t)row->seq > r->base) ||
	    !stat_of(r, row->remote, false, &st))
		return 0;
	if (st.st_ctime >= r->since) {
		r->files++;
		rc = put(r, &l);
	}
	if (rc == 0 && stat_of(r, row->remote, true, &st) &&
	    st.st_ctime >= r->since) {
		l.time = (int64_t)st.st_mtime;
		rc = put_side(r, &l, 'C');
	}
	return rc;
}

static int list_files(struct release *r)
{
	const struct file_filter all = { .order = FILE_BY_CREATED,
		.ascending = true };
	const int64_t n = query_files(r->catalogue, &all, list_file, r);

	return n < 0 ? (int)n : 0;
}

/* --- operations ---------------------------------------------------------- */

static void place(struct release *r, uint64_t seq, bool own)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		struct release_peer *p = &r->peers[i];

		if (seq <= p->row.seq)
			continue;
		p->waiting += own;
		if (!p->placed && !r->dry)
			p->pos = r->w->at;
		p->placed = true;
	}
}

static int put_row(void *arg, const struct op *op)
{
	struct release *r = arg;
	struct binlog_line l = { .time = op->source_time,
		.op = (char)op->code,
		.replica = op->replica,
		.name = op->name,
		.other = op->extra,
		.a = op->offset,
		.b = op->bytes };
	int rc;

	place(r, op->seq, !op->replica);
	r->last_seq = op->seq;
	r->rows++;
	switch (op->code) {
	case OP_SET_META:
		return put_side(r, &l, op->extra.n > 0 ? 'U' : 'D');
	case OP_DELETE:
		rc = put(r, &l);
		return rc ? rc : put_side(r, &l, 'D');
	case OP_TRUNCATE:
		l.b = op->size;
		break;
	case OP_LINK: /* FastDFS cannot pass a link on */
		l.op = 'C';
		break;
	default:
		break;
	}
	return put(r, &l);
}

static int put_rows(struct release *r)
{
	int n;

	r->last_seq = r->base;
	do {
		n = oplog_read(r->log, r->last_seq, PAGE, put_row, r);
	} while (n > 0);
	return n;
}

/* --- parked -------------------------------------------------------------- */

/* To make the peer's file as ours is now. */
static int put_parked(void *arg, const struct parked_row *p)
{
	struct release *r = arg;
	struct binlog_line l = { .time = p->source_time,
		.op = 'C',
		.name = span_of(p->name) };
	struct fileid_name n;
	struct stat st;
	int rc;

	r->parked++;
	if (!stat_of(r, p->name, false, &st)) {
		l.op = 'D';
		rc = put(r, &l);
		return rc ? rc : put_side(r, &l, 'D');
	}
	/* An appender may be there in an older state of the same size. */
	if (fileid_parse(l.name, &n) == 0 && n.type == FILE_APPENDER)
		l.op = 'U';
	rc = put(r, &l);
	if (rc == 0)
		rc =
		    put_side(r, &l, stat_of(r, p->name, true, &st) ? 'U' : 'D');
	return rc;
}

static int put_all_parked(struct release *r)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < r->n_peers; i++) {
		struct release_peer *p = &r->peers[i];

		if (p->parked == 0)
			continue;
		if (!p->placed && !r->dry)
			p->pos = r->w->at;
		p->placed = true;
		rc = parked_each(r->log, p->row.id, 0, SIZE_MAX / 2, put_parked,
		    r);
	}
	for (size_t i = 0; i < r->n_peers && !r->dry; i++)
		if (!r->peers[i].placed)
			r->peers[i].pos = r->w->at;
	return rc < 0 ? rc : 0;
}

/* --- marks --------------------------------------------------------------- */

static void mark_name(const struct release *r, const struct binlog_peer *there,
    size_t n, const char *id, char *out, size_t cap)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(there[i].id, id) == 0) {
			str_copy(out, cap, there[i].file);
			return;
		}
	}
	/* by address in ip mode, else by id */
	if (strchr(id, '.'))
		snprintf(out, cap, "%s_%u.mark", id, (unsigned)r->stores->port);
	else
		snprintf(out, cap, "%s.mark", id);
}

static int write_mark(const struct release *r, const struct release_peer *p,
    const char *file)
{
	const bool filling = p->row.source && !p->row.filled;
	const struct binlog_mark m = {
		.pos = filling ? (struct binlog_pos){ 0, 0 } : p->pos,
		.need_sync_old = p->row.source,
		.sync_old_done = p->row.source && p->row.filled,
		.until = p->row.until,
		.scanned = p->row.sent_ops,
		.synced = p->row.sent_ops,
	};
	char path[BINLOG_PATH_MAX];
	char text[BINLOG_MARK_MAX];
	struct strbuf b = strbuf_over(path, sizeof(path));
	const size_t n = binlog_mark_format(&m, text);

	strbuf_addf(&b, "%s/%s", r->sync, file);
	return fs_replace_file(path, text, n, true);
}

/* As FastDFS does it with the marks of members that are gone. */
static int retire(const struct release *r, const char *file)
{
	char from[BINLOG_PATH_MAX];
	char to[BINLOG_PATH_MAX + 32];
	char stamp[32];
	const time_t now = time(NULL);
	struct tm tm;
	struct strbuf b = strbuf_over(from, sizeof(from));

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &tm);
	strbuf_addf(&b, "%s/%s", r->sync, file);
	snprintf(to, sizeof(to), "%s.%s", from, stamp);
	return rename(from, to) < 0 ? -errno : 0;
}

static bool has_mark(const struct release *r, const char *id)
{
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peers[i].marked && strcmp(r->peers[i].row.id, id) == 0)
			return true;
	return false;
}

static int write_marks(struct release *r, char *err, size_t cap)
{
	struct binlog_peer *there = NULL;
	const ssize_t n = binlog_peers(r->sync, &there, err, cap);
	int rc = n < 0 ? (int)n : 0;

	for (ssize_t i = 0; rc == 0 && i < n; i++)
		if (!has_mark(r, there[i].id))
			rc = retire(r, there[i].file);
	for (size_t i = 0; rc == 0 && i < r->n_peers; i++) {
		char file[300];

		mark_name(r, there, (size_t)n, r->peers[i].row.id, file,
		    sizeof(file));
		if (r->peers[i].marked)
			rc = write_mark(r, &r->peers[i], file);
	}
	free(there);
	return rc;
}

/* --- the whole ----------------------------------------------------------- */

static int add_peer(void *arg, const struct peer_row *row)
{
	struct release *r = arg;
	struct release_peer *p;

	r->peers = xrealloc(r->peers, r->n_peers + 1, sizeof(*r->peers));
	p = &r->peers[r->n_peers++];
	/* A peer whose source is not settled yet is asked for again. */
	*p = (struct release_peer){ .row = *row,
		.marked = row->source || row->filled };
	return 0;
}

/* "last_ip_addr" of .data_init_flag, by which FastDFS knows itself. */
static void own_address(struct release *r)
{
	static const char key[] = "last_ip_addr=";
	char path[BINLOG_PATH_MAX];
	char *text = NULL;
	const char *at;
	struct strbuf b = strbuf_over(path, sizeof(path));

	strbuf_addf(&b, "%s/data/.data_init_flag", r->stores->base_path);
	if (fs_read_file(path, 65536, &text) >= 0 &&
	    (at = strstr(text, key)) != NULL) {
		at += sizeof(key) - 1;
		str_copy_span(r->own, sizeof(r->own),
		    (struct span){ at, strcspn(at, "\r\n") });
	}
	if (r->stores->server_id[0]) {
		struct strbuf o = strbuf_over(r->own, sizeof(r->own));

		o.len = strlen(r->own);
		strbuf_addf(&o, "%s%s", o.len ? "," : "", r->stores->server_id);
	}
	free(text);
}

/* The rows that were made of the binlog are in it already. But where in it
 * each of them came from is not known, so those that a peer still waits for
 * are written once more. */
static uint64_t first_wanted(const struct release *r, uint64_t made)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct peer_row *p = &r->peers[i].row;

		if (p->filled && p->seq < made)
			made = p->seq;
	}
	return made;
}

/* The binlog from which the log was made must end where it ended then. */
static int find_start(struct release *r, char *err, size_t cap)
{
	struct takeover_end end;
	struct binlog_pos now = { 0, 0 };
	const uint64_t first = oplog_first(r->log);
	char text[64] = "";
	int rc = takeover_end(r->log, &end);

	r->base = first ? first - 1 : 0;
	r->list = true;
	if (rc < 0 || !takeover_possible(r->stores))
		return 0; /* there never was one, or it was thrown away */
	if (db_mark_get(r->log, MARK_BEGUN, text, sizeof(text)) < 0 ||
	    !text[0]) {
		rc = binlog_end(r->sync, &now);
		if (rc < 0) {
			snprintf(err, cap, "cannot read the binlog in %s: %s",
			    r->sync, errstr(rc));
			return rc;
		}
		if (binlog_cmp(&now, &end.pos) != 0) {
			snprintf(err, cap,
			    "the binlog in %s does not end where it did when "
			    "it was taken over: FastDFS has run on it since; "
			    "fdfs-meta adopt run --force takes it over again",
			    r->sync);
			return -ESTALE;
		}
	}
	r->list = r->base > end.seq;
	if (r->list)
		r->since = end.at;
	else
		r->base = first_wanted(r, end.seq);
	return 0;
}

int release_open(struct release *r, char *err, size_t cap)
{
	struct strbuf b = strbuf_over(r->sync, sizeof(r->sync));
	int rc;

	strbuf_addf(&b, "%s/data/sync", r->stores->base_path);
	r->w = xcalloc(1, sizeof(*r->w));
	r->w->fd = -1;
	own_address(r);
	rc = peers_each(r->log, add_peer, r);
	for (size_t i = 0; rc >= 0 && i < r->n_peers; i++) {
		int64_t first;

		rc = parked_count(r->log, r->peers[i].row.id,
		    &r->peers[i].parked, &first);
	}
	if (rc < 0) {
		snprintf(err, cap, "cannot read the log: %s", errstr(rc));
		return rc;
	}
	return find_start(r, err, cap);
}

/* Where this begins; a release that was cut off is begun again there. */
static int begin(struct release *r, char *err, size_t cap)
{
	char text[64] = "";
	uint64_t n[2] = { 0 };
	int rc = db_mark_get(r->log, MARK_BEGUN, text, sizeof(text));

	if (rc == 0 && mark_numbers(text, n, ARRAY_LEN(n)) == 0)
		rc = binlog_cut(r->sync,
		    &(struct binlog_pos){ (unsigned)n[0], n[1] });
	else
		rc = 0;
	if (rc < 0) {
		snprintf(err, cap, "cannot cut the binlog in %s back: %s",
		    r->sync, errstr(rc));
		return rc;
	}
	rc = binlog_append_open(r->w, r->sync, err, cap);
	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text), "%u %" PRIu64, r->w->at.index,
	    r->w->at.offset);
	return db_mark_set(r->log, MARK_BEGUN, text);
}

static int finish(struct release *r, char *err, size_t cap)
{
	char now[32];
	int rc = write_marks(r, err, cap);

	snprintf(now, sizeof(now), "%lld", (long long)(clock_wall() / 1000));
	if (rc == 0)
		rc = db_mark_set(r->log, RELEASED_MARK, now);
	if (rc == 0)
		rc = db_mark_set(r->log, MARK_BEGUN, "");
	return rc;
}

int release_run(struct release *r, char *err, size_t cap)
{
	int rc = r->dry ? 0 : begin(r, err, cap);
	int closed;

	if (rc == 0 && r->list)
		rc = list_files(r);
	if (rc == 0)
		rc = put_rows(r);
	if (rc == 0)
		rc = put_all_parked(r);
	closed = binlog_append_close(r->w);
	if (rc == 0)
		rc = closed;
	if (rc == 0 && !r->dry)
		rc = finish(r, err, cap);
	if (rc < 0 && !err[0])
		snprintf(err, cap, "cannot write %s: %s", r->sync, errstr(rc));
	return rc;
}

void release_close(struct release *r)
{
	if (r->w)
		(void)binlog_append_close(r->w);
	free(r->w);
	free(r->peers);
	r->w = NULL;
	r->peers = NULL;
}
