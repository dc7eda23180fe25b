/* SPDX-License-Identifier: MIT */
/*
 * Two passes: the first notes for each name (by a 64-bit hash) the last
 * operation that made or removed it, changed its length, or set its metadata;
 * the second carries out those last ones of the tail again. Each is idempotent.
 *
 * The first pass goes back a million rows, however old: it decides which files
 * are nobody's, and the clock may have been set while the daemon ran. A file
 * made before the oldest row it has read is left alone.
 */
#include "storaged/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "meta/oplog.h"
#include "storaged/op.h"
#include "storaged/orphans.h"
#include "storaged/recover_tail.h"

#define TAIL_MS  INT64_C(600000)
#define SLACK_MS INT64_C(60000) /* rows are not quite in order of time */
#define PAGE     1000

struct recovery {
	struct stores *stores;
	struct db *log;
	struct names names;
	struct recover_result *result;
	uint64_t last; /* sequence number of the row just read */
	wall_t first_at;
	uint64_t first_failed; /* 0: none */
	uint32_t source;       /* in the names made here */
};

/* Where a name lives; NULL when the name or its path is none of ours. */
static struct store_path *locate(struct recovery *r, struct span name,
    const char *suffix, char *file)
{
	struct fileid_name fn;

	if (fileid_parse(name, &fn) < 0 ||
	    fileid_disk_path(&fn, suffix, file, FILEID_DISK_MAX) < 0)
		return NULL;
	return store_at(r->stores, fn.path);
}

/* --- pass 1 --- */

/* Does the row name a staged file? Others have a master there, or nothing. */
static bool is_staged(struct span extra)
{
	const struct span dir = span_of(STORE_INCOMING "/");

	return extra.n > dir.n && memcmp(extra.p, dir.p, dir.n) == 0;
}

/* What was done to an earlier file of that name is over; but a file that a
 * peer has sent again keeps its metadata. */
static void note_presence(struct recovery *r, struct span name,
    const struct op *op, bool gone)
{
	struct name_note *n = names_note(&r->names, name);

	n->presence = op->seq;
	n->gone = gone;
	n->length = 0;
	if (op->code != OP_CREATE || !is_staged(op->extra))
		n->meta = 0;
}

static int note(void *arg, const struct op *op)
{
	struct recovery *r = arg;

	if (r->result->rows++ == 0)
		r->first_at = op->at;
	r->last = op->seq;
	switch (op->code) {
	case OP_CREATE:
	case OP_LINK:
	case OP_DELETE:
		note_presence(r, op->name, op, op->code == OP_DELETE);
		break;
	case OP_RENAME:
		note_presence(r, op->name, op, false);
		note_presence(r, op->extra, op, true);
		break;
	case OP_APPEND:
	case OP_MODIFY:
	case OP_TRUNCATE:
		names_note(&r->names, op->name)->length = op->seq;
		break;
	case OP_SET_META:
		names_note(&r->names, op->name)->meta = op->seq;
		break;
	}
	return 0;
}

/* --- pass 2 --- */

/* A slave made as a link: its target is a file of its own that goes, too. */
static void remove_target(const struct store_path *p, const char *file)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(p->data_fd, file, target, sizeof(target) - 1);

	if (n <= 0)
		return;
	target[n] = 0;
	(void)unlink(target);
}

static int redo_delete(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(r, op->name, "", file);
	int removed = 0;

	if (!p)
		return 0;
	if (!op->replica)
		remove_target(p, file);
	if (unlinkat(p->data_fd, file, 0) == 0)
		removed = 1;
	else if (errno != ENOENT)
		return -errno;
	if (!locate(r, op->name, "-m", file))
		return removed;
	if (unlinkat(p->data_fd, file, 0) == 0)
		removed = 1;
	else if (errno != ENOENT)
		return -errno;
	return removed;
}

/* 1 moved, 0 nothing there or the new name is taken. */
static int move_to(const struct store_path *p, const char *from, const char *to)
{
	if (renameat2(p->data_fd, from, p->data_fd, to, RENAME_NOREPLACE) == 0)
		return 1;
	return errno == ENOENT || errno == EEXIST ? 0 : -errno;
}

static int redo_rename(struct recovery *r, const struct op *op)
{
	char from[FILEID_DISK_MAX];
	char to[FILEID_DISK_MAX];
	struct store_path *p = locate(r, op->extra, "", from);
	struct store_path *q = locate(r, op->name, "", to);

	int moved;

	if (!p || p != q)
		return 0;
	moved = move_to(p, from, to);
	if (moved < 0)
		return moved;
	/* The file may have gone and its metadata not. */
	if (locate(r, op->extra, "-m", from) && locate(r, op->name, "-m", to) &&
	    move_to(p, from, to) > 0)
		moved = 1;
	return moved;
}

static bool same_text(int dirfd, const char *file, struct span text)
{
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	char *buf;
	ssize_t n;
	bool same;

	if (fd < 0)
		return text.n == 0;
	buf = xcalloc(1, text.n + 1);
	n = fs_pread_all(fd, buf, text.n + 1, 0);
	same = text.n > 0 && n == (ssize_t)text.n &&
	       memcmp(buf, text.p, text.n) == 0;
	free(buf);
	close(fd);
	return same;
}

static int redo_meta(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(r, op->name, "-m", file);
	int fd;
	int rc;

	if (!p || same_text(p->data_fd, file, op->extra))
		return 0;
	if (op->extra.n == 0)
		return unlinkat(p->data_fd, file, 0) < 0 ? -errno : 1;
	store_temp(p, temp);
	fd = openat(p->data_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0644);
	if (fd < 0)
		return -errno;
	rc = fs_write_all(fd, op->extra.p, op->extra.n);
	close(fd);
	if (rc == 0 && renameat(p->data_fd, temp, p->data_fd, file) < 0)
		rc = -errno;
	return rc < 0 ? rc : 1;
}

static int redo_truncate(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(r, op->name, "", file);
	struct stat sb;
	int fd;
	int rc;

	if (!p)
		return 0;
	fd = openat(p->data_fd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &sb) < 0 ? -errno : 0;
	if (rc == 0 && (uint64_t)sb.st_size != op->size)
		rc = ftruncate(fd, (off_t)op->size) < 0 ? -errno : 1;
	close(fd);
	return rc;
}

/* Is what was staged all of it? A machine that went down may have lost some. */
static bool is_whole(int fd, const struct op *op)
{
	char buf[65536];
	off_t done = 0;
	uint32_t crc = 0;
	ssize_t n;

	while ((n = fs_pread_all(fd, buf, sizeof(buf), done)) > 0) {
		crc = sum_crc32(crc, buf, (size_t)n);
		done += n;
	}
	return n == 0 && (uint64_t)done == op->bytes && crc == op->crc;
}

static int copy_all(int from, int to, off_t at)
{
	char buf[65536];
	off_t done = 0;
	ssize_t n;
	int rc = 0;

	while (
	    rc == 0 && (n = fs_pread_all(from, buf, sizeof(buf), done)) != 0) {
		if (n < 0)
			return (int)n;
		rc = fs_pwrite_all(to, buf, (size_t)n, at + done);
		done += n;
	}
	return rc;
}

/* The row carries the content. */
static int redo_inline(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char now[OP_INLINE_MAX];
	struct store_path *p = locate(r, op->name, "", file);
	size_t n = op->extra.n - 1;
	int fd;
	int rc = 0;

	if (!p || n > sizeof(now))
		return 0;
	fd = openat(p->data_fd, file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fs_pread_all(fd, now, n, (off_t)op->offset) != (ssize_t)n ||
	    memcmp(now, op->extra.p + 1, n) != 0)
		rc = fs_pwrite_all(fd, op->extra.p + 1, n, (off_t)op->offset);
	else
		n = 0;
	close(fd);
	return rc < 0 ? rc : n > 0;
}

/* Content staged under the name in the row, if it is still there. */
static int redo_staged(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(r, op->name, "", file);
	int from;
	int to;
	int rc;

	if (!p || !str_copy_span(temp, sizeof(temp), op->extra))
		return 0;
	from = openat(p->data_fd, temp, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_whole(from, op)) {
		close(from);
		return -EBADMSG;
	}
	to = openat(p->data_fd, file, O_WRONLY | O_CLOEXEC);
	rc = to < 0 ? -errno : copy_all(from, to, (off_t)op->offset);
	if (rc == 0 && fsync(to) < 0)
		rc = -errno;
	if (to >= 0)
		close(to);
	close(from);
	if (rc == 0)
		(void)unlinkat(p->data_fd, temp, 0);
	return rc < 0 ? rc : 1;
}

static int redo_content(struct recovery *r, const struct op *op)
{
	if (op->extra.n == 0)
		return 0;
	return op->extra.p[0] == OP_CONTENT_INLINE ? redo_inline(r, op)
	                                           : redo_staged(r, op);
}

/* A file that a peer has sent is staged and has not got its name yet. */
static int redo_create(struct recovery *r, const struct op *op)
{
	char file[FILEID_DISK_MAX];
	char temp[STORE_TEMP_MAX];
	struct store_path *p = locate(r, op->name, "", file);
	bool whole;
	int fd;

	if (!p || !is_staged(op->extra) ||
	    !str_copy_span(temp, sizeof(temp), op->extra))
		return 0;
	fd = openat(p->data_fd, temp, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	whole = is_whole(fd, op);
	close(fd);
	if (!whole)
		return -EBADMSG;
	return renameat(p->data_fd, temp, p->data_fd, file) < 0 ? -errno : 1;
}

static int redo_one(struct recovery *r, const struct op *op)
{
	/* Pass 1 has made a note of each. */
	const struct name_note *n = names_note(&r->names, op->name);
	const struct name_note *old;
	bool gone = n->gone;

	switch (op->code) {
	case OP_CREATE:
		return n->presence == op->seq ? redo_create(r, op) : 0;
	case OP_DELETE:
		return n->presence == op->seq ? redo_delete(r, op) : 0;
	case OP_RENAME:
		old = names_note(&r->names, op->extra);
		return old->presence == op->seq && !gone ? redo_rename(r, op)
		                                         : 0;
	case OP_SET_META:
		return n->meta == op->seq && !gone ? redo_meta(r, op) : 0;
	case OP_TRUNCATE:
		return n->length == op->seq && !gone ? redo_truncate(r, op) : 0;
	case OP_APPEND:
	case OP_MODIFY:
		return n->length == op->seq && !gone ? redo_content(r, op) : 0;
	default:
		return 0;
	}
}

/* A peer's file has the time of its last operation there. */
static void settle_time(struct recovery *r, const struct op *op)
{
	const struct timespec t[2] = { { 0, UTIME_OMIT },
		{ (time_t)op->source_time, 0 } };
	bool side = op->code == OP_SET_META;
	char file[FILEID_DISK_MAX];
	struct store_path *p = locate(r, op->name, side ? "-m" : "", file);

	if (p && op->replica && op->code != OP_RENAME)
		(void)utimensat(p->data_fd, file, t, AT_SYMLINK_NOFOLLOW);
}

static int redo(void *arg, const struct op *op)
{
	struct recovery *r = arg;
	int rc;

	r->last = op->seq;
	rc = redo_one(r, op);
	if (rc > 0) {
		r->result->redone++;
		settle_time(r, op);
	}
	if (rc < 0) {
		r->result->failed++;
		if (!r->first_failed)
			r->first_failed = op->seq;
		log_error("recover_failed", "seq=%llu op=%c name=%.*s: %s",
		    (unsigned long long)op->seq, (char)op->code,
		    (int)op->name.n, op->name.p, errstr(rc));
	}
	return 0;
}

/* --- both passes --- */

static int walk(struct recovery *r, uint64_t after,
    int (*each)(void *arg, const struct op *op))
{
	int n;

	r->last = after;
	do {
		n = oplog_read(r->log, r->last, PAGE, each, r);
	} while (n > 0);
	return n;
}

/* What still cannot be carried out is tried again at the next start. */
static int mark_failed(struct recovery *r)
{
	char text[32] = "";

	if (r->first_failed)
		snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)r->first_failed);
	else if (tail_unapplied(r->log) == 0)
		return 0;
	return db_mark_set(r->log, MARK_UNAPPLIED, text);
}

/* A file made elsewhere was a peer's to send, and is not sent on. */
static int record_orphan(void *arg, const struct orphan *o)
{
	struct recovery *r = arg;
	struct op_write w = { .op = { .code = OP_CREATE,
		                  .at = clock_wall(),
		                  .replica = o->source != r->source,
		                  .source_time = o->time,
		                  .name = span_of(o->name),
		                  .size = o->size,
		                  .bytes = o->size,
		                  .crc = o->crc,
		                  .client = span_of("recovery") } };
	int rc = db_begin(r->log);

	if (rc < 0)
		return rc;
	op_write_init(&w);
	rc = w.write.apply(&w.write, r->log);
	if (rc == 0)
		rc = db_commit(r->log);
	if (rc < 0)
		db_rollback(r->log);
	return rc;
}

static void sweep(struct recovery *r, wall_t since)
{
	struct stores *s = r->stores;
	struct orphan_sweep orphans = {
		.known = &r->names,
		.since = since,
		.record = record_orphan,
		.arg = r,
	};

	for (size_t i = 0; i < s->n; i++) {
		struct store_path *p = &s->paths[i];

		if (p->readonly)
			continue;
		/* Content staged for an operation that failed is kept. */
		if (!r->first_failed)
			r->result->dropped += orphans_empty_incoming(p);
		orphans_settle(p, s->conf.subdirs, &orphans);
	}
	r->result->orphans = orphans.moved;
	r->result->recorded = orphans.recorded;
}

int recover_run(struct stores *s, struct db *log,
    const struct recover_from *from, struct recover_result *out)
{
	struct recovery r = { .stores = s,
		.log = log,
		.result = out,
		.source = from->source };
	uint64_t total;
	uint64_t last = oplog_last(log, &total);
	wall_t since = tail_end(log, last) - TAIL_MS;
	struct tail tail;
	int rc;

	memset(out, 0, sizeof(*out));
	if (since < from->since_ms)
		since = from->since_ms;
	tail = tail_of(log, last, since);
	names_init(&r.names);
	rc = walk(&r, tail.noted, note);
	/* Rows before these are not known, or no longer there. */
	if (tail.noted > 0 && since < r.first_at + SLACK_MS)
		since = r.first_at + SLACK_MS;
	if (rc == 0)
		rc = walk(&r, tail.redone, redo);
	if (rc == 0)
		sweep(&r, since);
	if (rc == 0)
		rc = mark_failed(&r);
	names_fini(&r.names);
	return rc;
}

void recover_clean(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->paths[i].readonly)
			(void)orphans_empty_incoming(&s->paths[i]);
}
