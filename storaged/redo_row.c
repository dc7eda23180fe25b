/* SPDX-License-Identifier: MIT */
/*
 * A rename is not carried out later: who wanted it was told that the file has
 * kept its name, and does not know the new one. A row takes it back, as
 * rename.c does at once when the log is well.
 */
#include "storaged/redo_row.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "meta/event.h"
#include "storaged/records.h"
#include "storaged/recover_row.h"

struct attempt {
	struct storage *st;
	const struct redo_entry *e;
	int rc;
	bool found, replica;
	struct op row; /* of a rename, without its texts */
};

/* Under durability = full nothing is done before it is on the disk. */
static int sync_all(struct stores *s)
{
	for (size_t i = 0; s->conf.full && i < s->n; i++)
		if (!s->paths[i].readonly && syncfs(s->paths[i].data_fd) < 0)
			return -errno;
	return 0;
}

static int try_row(void *arg, const struct op *op)
{
	struct attempt *a = arg;
	struct stores *s = &a->st->store;

	a->found = op->seq == a->e->seq;
	if (!a->found)
		return 1;
	a->replica = op->replica;
	a->row = *op;
	if (op->code == OP_RENAME)
		return 1;
	a->rc = recover_row(s, op, true);
	if (a->rc >= 0 && sync_all(s) < 0)
		a->rc = -EIO;
	if (a->rc == -ENODATA)
		recover_drop_staged(s, op);
	return 1;
}

static int open_log(const struct storage *st, struct redo_log *log)
{
	char err[DB_ERR_MAX];

	return log->db ? 0 : records_read(st, DB_LOG, &log->db, err);
}

static bool is_there(struct storage *st, const char *name)
{
	struct fileid_name fn;
	char file[FILEID_DISK_MAX];
	struct store_path *p;

	if (fileid_parse(span_of(name), &fn) < 0 ||
	    fileid_disk_path(&fn, "", file, sizeof(file)) < 0)
		return false;
	p = store_at(&st->store, fn.path);
	return p && faccessat(p->data_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A rename that was not done is taken back in the log; e->other is the new
 * name (redo.h). */
static int take_back(struct storage *st, const struct attempt *a)
{
	const struct redo_entry *e = a->e;
	struct op_write w = { .op = a->row };

	if (is_there(st, e->other) || !is_there(st, e->name))
		return 0;
	op_write_init(&w);
	w.op.at = clock_wall();
	w.op.name = span_of(e->name);
	w.op.extra = span_of(e->other);
	w.op.client = span_of("redo");
	return writer_call(st->log, &w.write);
}

static int try_removal(const struct redo_entry *e)
{
	if (unlinkat(e->path->data_fd, e->file, 0) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

static int carry_out(struct redo_log *log, struct attempt *a)
{
	int rc;

	if (!a->e->seq)
		return try_removal(a->e);
	pthread_mutex_lock(&log->lock);
	rc = open_log(a->st, log);
	if (rc == 0)
		rc = oplog_read(log->db, a->e->seq - 1, 1, try_row, a);
	pthread_mutex_unlock(&log->lock);
	if (rc < 0)
		return rc;
	if (!a->found)
		return -ENODATA;
	return a->row.code == OP_RENAME ? take_back(a->st, a) : a->rc;
}

static void tell_end(const struct attempt *a, bool lost)
{
	const struct redo_entry *e = a->e;
	char text[240];

	if (!e->seq)
		return;
	if (lost)
		snprintf(text, sizeof(text),
		    "operation %llu%s cannot be carried out any more: the file "
		    "or the content that was kept for it is gone; fdfs-meta "
		    "verify --peers compares it with the peers' files",
		    (unsigned long long)e->seq, a->replica ? " of a peer" : "");
	else
		snprintf(text, sizeof(text), "operation %llu is applied now",
		    (unsigned long long)e->seq);
	if (lost)
		log_error("redo_lost", "name=%s: %s", e->name, text);
	else
		log_info("redone", "name=%s: %s", e->name, text);
	if (a->st->catalogue)
		catalogue_event(a->st->catalogue,
		    lost ? "FD-APPLY-02" : "FD-APPLY-01",
		    lost ? EVENT_CRIT : EVENT_INFO, e->name, text);
}

int redo_carry_out(struct storage *st, struct redo_log *log,
    const struct redo_entry *e)
{
	struct attempt a = { .st = st, .e = e };
	const int rc = carry_out(log, &a);

	if (rc >= 0 || rc == -ENODATA)
		tell_end(&a, rc < 0);
	return rc < 0 ? rc : 0;
}
