/* SPDX-License-Identifier: MIT */
/*
 * The older files of a new peer, out of the catalogue in order of name. The
 * place in the log that the catalogue had reached before is the cursor
 * meanwhile; what happens during the walk stands behind it. Only a name that
 * holds the checksum of its content lets the peer keep what it has.
 *
 * A member that was deleted and comes back with its old disk also has what was
 * deleted and renamed since; no file here says so, but the log does, as far as
 * it reaches back. So that comes first, up to the same place in the log.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/walk.h"
#include "proto/msg.h"
#include "storaged/records.h"

#define WALK_FILES 128
#define SWEEP_ROWS 4096
#define ASK_FROM   16384 /* smaller content is sent rather than asked for */

struct found {
	char name[PEER_NAME_SIZE];
	int64_t time;
	uint64_t size;
	int64_t id;
	bool has_meta;
};

struct walk_page {
	struct found files[WALK_FILES];
	size_t n;
};

static int copy_file(void *arg, const struct walk_file *f)
{
	struct walk_page *page = arg;
	struct found *to = &page->files[page->n++];

	str_copy_span(to->name, sizeof(to->name), f->name);
	to->time = file_time(to->name, f->modified);
	to->size = f->size;
	to->id = f->id;
	to->has_meta = f->has_meta;
	return 0;
}

static int send_content(struct peer *p, const struct peer_item *item,
    uint64_t size)
{
	if (!file_proven(item->name)) {
		busy_wait(&p->st->busy, span_of(item->name), &p->box);
		return put_file(p, CMD_sync_update, item);
	}
	if (p->has_much && size >= ASK_FROM && file_exists(p, item->name))
		return put_info(p, item, 1, size);
	return put_file(p, CMD_sync_create, item);
}

/* Created behind the cursor: the log has it. Else a walk would not end while
 * clients upload faster. */
static bool is_newer(const struct peer *p, const struct found *f)
{
	return f->id > 0 && (uint64_t)f->id > p->row.seq;
}

static int send_found(struct peer *p, const struct found *f)
{
	struct peer_item item = { .op = OP_CREATE, .time = f->time };
	struct peer_item meta;
	int rc;

	str_copy(item.name, sizeof(item.name), f->name);
	rc = send_content(p, &item, f->size);
	if (rc == 0 || rc == -ENOENT) {
		meta = item_of_meta(&item, item.name);
		meta.op = OP_SET_META;
		rc = put_file(p, CMD_sync_update, &meta);
	}
	if (p->link.dead)
		return p->link.dead;
	if (rc < 0 && rc != -ENOENT)
		peer_fix(p, &item, CURE_REPAIR, -rc);
	/* What it has not got yet has its row behind the cursor. */
	if (log_step_back(p, &p->row.seq)) {
		p->read = p->acked = p->row.seq;
		p->dirty = true;
	}
	p->row.fill_files++;
	p->row.fill_bytes += f->size;
	str_copy(p->read_name, sizeof(p->read_name), f->name);
	peer_pass(p, 0, f->name);
	return 0;
}

static int pass_or_send(struct peer *p, const struct found *f)
{
	if (!is_newer(p, f))
		return send_found(p, f);
	str_copy(p->read_name, sizeof(p->read_name), f->name);
	peer_pass(p, 0, f->name);
	return 0;
}

static int open_catalogue(struct peer *p)
{
	char err[DB_ERR_MAX];
	int rc;

	if (p->catalogue)
		return 0;
	rc = records_read(p->st, DB_CATALOGUE, &p->catalogue, err);
	if (rc < 0)
		peer_error(p, -rc, "the catalogue cannot be read: %s", err);
	return rc;
}

int fill_position(struct peer *p, struct peer_row *row)
{
	int rc = open_catalogue(p);

	if (rc == 0)
		rc = walk_position(p->catalogue, &row->seq);
	(void)log_step_back(p, &row->seq);
	if (rc == 0)
		rc = walk_totals(p->catalogue, &row->fill_files_all,
		    &row->fill_bytes_all);
	return rc < 0 ? rc : 0;
}

static int send_page(struct peer *p, const struct walk_page *page)
{
	int rc = 0;

	for (size_t i = 0; i < page->n && rc == 0 && p->n_fixes == 0; i++)
		rc = pass_or_send(p, &page->files[i]);
	return rc;
}

/* --- what is gone --- */

struct gone {
	uint64_t seq;
	int64_t time;
	char name[PEER_NAME_SIZE];
	bool has_meta;
};

struct gone_page {
	struct gone names[WALK_FILES];
	size_t n;
	uint64_t last, until;
};

static int copy_gone(void *arg, const struct op *op)
{
	struct gone_page *page = arg;
	struct gone *to = &page->names[page->n];
	const bool moved = op->code == OP_RENAME;

	if (op->seq > page->until || page->n == ARRAY_LEN(page->names))
		return 1;
	page->last = op->seq;
	if (op->code != OP_DELETE && !moved)
		return 0;
	to->seq = op->seq;
	to->time = op->source_time;
	str_copy_span(to->name, sizeof(to->name), moved ? op->extra : op->name);
	to->has_meta = moved || op->extra.n > 0;
	page->n++;
	return 0;
}

static int send_gone(struct peer *p, const struct gone *g)
{
	struct peer_item item = { .op = OP_DELETE, .time = g->time };
	struct peer_item meta;
	int rc;

	str_copy(item.name, sizeof(item.name), g->name);
	if (file_exists(p, item.name))
		return 0;
	rc = put_delete(p, &item);
	if (rc == 0 && g->has_meta) {
		meta = item_of_meta(&item, item.name);
		(void)put_delete(p, &meta);
	}
	return p->link.dead;
}

static bool is_sweeping(const struct peer *p)
{
	return p->row.source && !p->read_name[0] && p->swept < p->row.seq;
}

static int sweep_step(struct peer *p)
{
	struct gone_page *page = xcalloc(1, sizeof(*page));
	int rc;

	page->until = p->row.seq;
	page->last = p->swept;
	rc = oplog_read(p->log, p->swept, SWEEP_ROWS, copy_gone, page);
	for (size_t i = 0; i < page->n && rc >= 0 && p->n_fixes == 0; i++) {
		rc = send_gone(p, &page->names[i]);
		p->swept = page->names[i].seq;
	}
	if (rc >= 0 && p->n_fixes == 0)
		p->swept = page->last > p->swept ? page->last : page->until;
	free(page);
	return rc < 0 ? rc : 1;
}

/* --- steps --- */

static int walk_step(struct peer *p)
{
	struct walk_page *page = xcalloc(1, sizeof(*page));
	int rc = open_catalogue(p);
	int n = 0;

	if (rc == 0)
		n = walk_files(p->catalogue, p->read_name, -1,
		    p->link.window == 1 ? 1 : WALK_FILES, copy_file, page);
	if (n < 0)
		rc = n;
	if (rc == 0 && n > 0)
		rc = send_page(p, page);
	free(page);
	return rc < 0 ? rc : n > 0;
}

int fill_step(struct peer *p)
{
	return is_sweeping(p) ? sweep_step(p) : walk_step(p);
}
