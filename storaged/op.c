/* SPDX-License-Identifier: MIT */
#include "storaged/op.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/wire.h"
#include "storaged/gone.h"
#include "storaged/handlers.h"
#include "storaged/redo.h"

/* "M00/00/00/" and a letter; a name without the M part has as many. */
#define SHORTEST_NAME 11
#define LONG_TEMP     (UINT64_C(16) << 20)

struct op_flow *op_of(struct conn *c)
{
	struct op_conn *data = conn_data(c);

	return data->op;
}

void op_set_peer(struct op_flow *op, const char *id)
{
	struct op_conn *data = conn_data(op->conn);

	str_copy(data->peer, sizeof(data->peer), id);
}

void op_is_replica(struct op_flow *op)
{
	const struct op_conn *data = conn_data(op->conn);

	op->replica = true;
	str_copy(op->by, sizeof(op->by), data->peer);
}

const char *op_who(const struct op_flow *op)
{
	return op->replica ? op->by : GONE_OWN;
}

static struct op_flow *op_new(struct conn *c)
{
	struct op_conn *data = conn_data(c);
	struct op_flow *op = data->op;

	if (!op)
		op = data->own.apart ? xcalloc(1, sizeof(*op)) : &data->own;
	data->op = op;
	memset(op, 0, sizeof(*op));
	op->conn = c;
	op->ctx = hub_arg(conn_hub(c));
	op->fd = -1;
	op->begun = true;
	return op;
}

static void op_free(struct op_conn *data, struct op_flow *op)
{
	if (op == &data->own)
		op->apart = false;
	else
		free(op);
}

/* A temporary file so long that removing it takes a worker. */
struct removal {
	struct job job;
	struct store_path *path;
	char temp[STORE_TEMP_MAX];
};

static void run_removal(struct job *job)
{
	struct removal *r = container_of(job, struct removal, job);

	(void)unlinkat(r->path->data_fd, r->temp, 0);
	free(r);
}

static void remove_temp(struct op_flow *op)
{
	struct removal *r;

	if (op->done < LONG_TEMP) {
		(void)unlinkat(op->path->data_fd, op->temp, 0);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->path = op->path;
	memcpy(r->temp, op->temp, sizeof(r->temp));
	r->job.run = run_removal;
	crew_submit(op->path->crew, &r->job);
}

/* Lets go of files, temporary names and the hold. */
static void op_release(struct op_flow *op)
{
	if (op->fd >= 0)
		close(op->fd);
	op->fd = -1;
	if (op->temp[0])
		remove_temp(op);
	op->temp[0] = 0;
	free(op->text);
	op->text = NULL;
	if (op->second.has)
		busy_drop(&op->ctx->st->busy, &op->second.hold);
	op->second.has = false;
	if (op->has_hold)
		busy_drop(&op->ctx->st->busy, &op->hold);
	op->has_hold = false;
}

static void log_failure(const struct op_flow *op, int rc)
{
	if (rc == -EINVAL || rc == -ENOENT || rc == -EEXIST)
		return;
	log_warn("operation_failed", "client=%s name=%s size=%llu: %s",
	    conn_peer_ip(op->conn), op->name, (unsigned long long)op->size,
	    errstr(rc));
}

/* What is here already is as good as done (cluster-protocol 3.11). What a peer
 * sends behind an operation that was refused must not count: that one is not
 * here yet. A peer connects again after it has repaired that. */
static void count_replica(struct op_flow *op, int rc)
{
	struct counters *n = &op->ctx->counters;
	struct op_conn *c = conn_data(op->conn);

	count_add(n, STAT_total_sync_in_bytes, (int64_t)op->size);
	if (rc < 0 && rc != -EEXIST) {
		if (rc != -ENOENT)
			c->peer[0] = 0;
		return;
	}
	count_add(n, STAT_success_sync_in_bytes, (int64_t)op->size);
	if (rc == 0)
		count_set(n, STAT_last_sync_update, clock_wall_sec());
	if (op->apart)
		op->received = true;
	else if (conn_has_due(op->conn))
		c->received = op->time;
	else if (c->peer[0])
		synced_note(&op->ctx->st->synced, c->peer, op->time);
}

/* Operations count as received in the order in which they came. */
static void on_told(struct conn_due *due, struct conn *c)
{
	struct op_flow *op = container_of(due, struct op_flow, due);
	struct synced *synced = &op->ctx->st->synced;
	struct op_conn *data = conn_data(c);

	if (op->received && data->peer[0])
		synced_note(synced, data->peer, op->time);
	op_free(data, op);
	if (data->received == 0 || conn_has_due(c))
		return;
	if (data->peer[0])
		synced_note(synced, data->peer, data->received);
	data->received = 0;
}

static void op_count(struct op_flow *op, int rc)
{
	struct storage *st = op->ctx->st;

	if (op->replica)
		count_replica(op, rc);
	if (op->handler->total != N_STATS)
		count_op(&op->ctx->counters, op->handler->total, rc);
	__atomic_fetch_add(&st->stat_changes, 1, __ATOMIC_RELAXED);
}

void op_finish(struct op_flow *op, int rc)
{
	op_count(op, rc);
	if (rc < 0)
		log_failure(op, rc);
	op_release(op);
	op->begun = false;
}

void op_reply(struct op_flow *op, int rc, const void *body, size_t n)
{
	struct conn *c = op->conn;
	bool lent = op->lent;

	op_finish(op, rc);
	op->lent = false;
	if (op->apart) {
		conn_settle(c, &op->due, -rc);
		return;
	}
	/* What is lent stops the connection from using op for the next
	 * request before it is given back. */
	conn_reply(c, -rc, body, rc ? 0 : n);
	if (lent)
		conn_give_back(c);
}

void op_reply_name(struct op_flow *op, int rc, const char *name)
{
	char body[GROUP_NAME_SIZE + OP_NAME_SIZE];
	struct wire_out out = wire_out(body, sizeof(body));
	const char *group = op->ctx->st->me.group;

	wire_put_pad(&out, group, strlen(group), GROUP_NAME_SIZE);
	wire_put(&out, name, strlen(name));
	op_reply(op, rc, body, wire_len(&out));
}

void op_not_applied(struct op_flow *op)
{
	struct redo_names names = { op->name, "" };

	if (op->log.op.extra.p == op->temp)
		op->temp[0] = 0;
	if (op->log.op.code == OP_RENAME && op->replica)
		names = (struct redo_names){ op->other, op->name };
	else if (op->log.op.code == OP_RENAME)
		names.other = op->fresh;
	redo_add(op->ctx->st->redo, op->log.op.seq, names, op->rc);
}

void op_remove_new(struct op_flow *op, const char *file)
{
	if (unlinkat(op->path->data_fd, file, 0) == 0 || errno == ENOENT)
		return;
	log_warn("remove_failed", "file=%s: %s; it is tried again", file,
	    errstr(-errno));
	redo_add_removal(op->ctx->st->redo, op->path, file, op->name);
}

void op_piece_done(struct op_flow *op)
{
	op->keep = false;
	if (!op->lent)
		return;
	op->lent = false;
	conn_give_back(op->conn);
}

static void on_request(struct conn *c, const struct framer *f)
{
	struct op_flow *op = op_new(c);
	int rc;

	op->handler = handler_of(f->header.command);
	if (!op->handler) {
		op->begun = false;
		conn_reply(c, EINVAL, NULL, 0);
		return;
	}
	op->size = f->left;
	rc = op->handler->request(op, f);
	if (rc < 0)
		op_reply(op, rc, NULL, 0);
}

static enum conn_take on_content(struct conn *c, const void *p, size_t n,
    bool last)
{
	struct op_flow *op = op_of(c);
	int rc;

	op->piece = p;
	op->piece_n = n;
	op->last = last;
	op->keep = false;
	rc = op->handler->content(op);
	if (op_of(c) != op) /* apart, perhaps done with */
		return CONN_TAKEN;
	if (rc < 0) {
		op_reply(op, rc, NULL, 0);
		return CONN_TAKEN;
	}
	if (!op->begun || !op->keep)
		return CONN_TAKEN;
	op->lent = true;
	return CONN_LENT;
}

/* The peer left in the middle of its content, or between two requests. */
static void on_closed(struct conn *c)
{
	struct op_flow *op = op_of(c);

	if (!op)
		return;
	if (op->begun) {
		op_count(op, -ECONNRESET);
		op_release(op);
	}
	op->begun = false;
	op_free(conn_data(c), op);
}

const struct conn_app op_app = {
	.request = on_request,
	.content = on_content,
	.window = download_window,
	.closed = on_closed,
};

/* --- disk steps --- */

static void run_step(struct job *job)
{
	struct op_flow *op = container_of(job, struct op_flow, job);

	op->rc = op->step(op);
	job_go_home(job);
}

static void step_done(struct job *job)
{
	struct op_flow *op = container_of(job, struct op_flow, job);

	/* Gone in the middle of its content: closing releases it. */
	if (conn_dead(op->conn) && op->lent && !op->last) {
		op->lent = false;
		conn_give_back(op->conn);
		return;
	}
	op->next(op);
}

static bool may_run_here(const struct op_flow *op, enum op_weight weight,
    mono_t now)
{
	if (weight == OP_HEAVY ||
	    (weight == OP_WRITE && op->ctx->st->store.conf.full))
		return false;
	return store_quick(op->path, now);
}

void op_disk(struct op_flow *op, enum op_weight weight,
    int (*step)(struct op_flow *op), void (*next)(struct op_flow *op))
{
	mono_t now = clock_mono();

	if (may_run_here(op, weight, now)) {
		op->rc = step(op);
		store_took(op->path, now, clock_mono());
		next(op);
		return;
	}
	op->step = step;
	op->next = next;
	op->keep = op->piece != NULL;
	op->job.run = run_step;
	op->job.done = step_done;
	op->job.home = loop_mailbox(op->ctx->loop);
	crew_submit(op->path->crew, &op->job);
}

/* --- names held --- */

static void on_held(struct job *job)
{
	struct op_flow *op = container_of(
	    container_of(job, struct busy_hold, job), struct op_flow, hold);

	op->has_hold = true;
	op->held(op);
}

static void on_second(struct job *job)
{
	struct op_flow *op =
	    container_of(container_of(job, struct busy_hold, job),
	        struct op_flow, second.hold);

	op->second.has = true;
	op->second.held(op);
}

static void hold_name(struct op_flow *op, struct span name,
    void (*held)(struct op_flow *op))
{
	op->held = held;
	op->hold.job.done = on_held;
	op->hold.job.home = loop_mailbox(op->ctx->loop);
	if (busy_take(&op->ctx->st->busy, &op->hold, name)) {
		op->has_hold = true;
		held(op);
	} else {
		op->keep = op->piece != NULL;
	}
}

/* Before a name is changed it gets what a disk has refused (redo.h). */
static int settle_step(struct op_flow *op)
{
	int rc = redo_now(op->ctx->st->redo, op->name);

	if (rc == 0 && op->second.has)
		rc = redo_now(op->ctx->st->redo, op->other);
	return rc;
}

static void settle_next(struct op_flow *op)
{
	if (op->rc < 0)
		op_reply(op, op->rc, NULL, 0);
	else
		op->enter(op);
}

static void enter(struct op_flow *op)
{
	struct redo *redo = op->ctx->st->redo;

	if (!__atomic_load_n(&op->ctx->st->unapplied, __ATOMIC_SEQ_CST) ||
	    op->handler == &handle_get_metadata ||
	    !(redo_has(redo, op->name) ||
	        (op->second.has && redo_has(redo, op->other))))
		op->enter(op);
	else
		op_disk(op, OP_HEAVY, settle_step, settle_next);
}

void op_hold(struct op_flow *op, void (*held)(struct op_flow *op))
{
	op->enter = held;
	hold_name(op, span_of(op->name), enter);
}

static void hold_second(struct op_flow *op)
{
	struct busy_hold *h = &op->second.hold;

	h->job.done = on_second;
	h->job.home = loop_mailbox(op->ctx->loop);
	if (!busy_take(&op->ctx->st->busy, h, op->second.name))
		return;
	op->second.has = true;
	op->second.held(op);
}

static int compare(struct span a, struct span b)
{
	int c = memcmp(a.p, b.p, size_min(a.n, b.n));

	return c ? c : (int)a.n - (int)b.n;
}

/* All take the lesser name first, so no two wait for each other. */
void op_hold_both(struct op_flow *op, void (*held)(struct op_flow *op))
{
	struct span a = fileid_owner(span_of(op->name));
	struct span b = fileid_owner(span_of(op->other));
	int c = compare(a, b);

	op->enter = held;
	op->second.held = enter;
	op->second.name = c < 0 ? b : a;
	hold_name(op, c < 0 ? a : b, c ? hold_second : enter);
}

/* --- the log --- */

static void on_committed(struct job *job)
{
	struct op_flow *op = container_of(job, struct op_flow, log.write.job);

	op->rc = job->rc;
	op->next(op);
}

void op_commit(struct op_flow *op, void (*next)(struct op_flow *op))
{
	struct op *row = &op->log.op;
	struct op_write *w = &op->log;

	op_write_init(w);
	row->at = clock_wall();
	row->replica = op->replica;
	row->source_time = op->replica ? op->time : row->at / 1000;
	row->client = span_of(conn_peer_ip(op->conn));
	op->next = next;
	w->write.job.done = on_committed;
	w->write.job.home = loop_mailbox(op->ctx->loop);
	op->ctx->queued = true;
	writer_queue(op->ctx->st->log, &w->write);
}

static bool may_go_apart(const struct op_flow *op)
{
	return op->replica && !op->apart && !op->lent && !conn_dead(op->conn);
}

static void go_apart(struct op_flow *op)
{
	struct op_conn *data = conn_data(op->conn);

	op->apart = true;
	op->due.told = on_told;
	data->op = NULL;
	conn_defer(op->conn, &op->due);
}

int op_apart_if_slow(struct op_flow *op)
{
	if (!may_go_apart(op) || may_run_here(op, OP_WRITE, clock_mono()))
		return 0;
	if (op->piece_n > 0 && !op->text) {
		op->text = malloc(op->piece_n);
		if (!op->text)
			return -ENOMEM;
		memcpy(op->text, op->piece, op->piece_n);
		op->piece = (const uint8_t *)op->text;
	}
	go_apart(op);
	return 0;
}

void op_commit_apart(struct op_flow *op, void (*next)(struct op_flow *op))
{
	op_commit(op, next);
	if (may_go_apart(op))
		go_apart(op);
}

void op_turn_end(void *arg)
{
	struct loop_ctx *ctx = arg;

	/* Answers may begin the next request of a client that sends ahead. */
	while (ctx->queued) {
		ctx->queued = false;
		writer_turn(ctx->st->log, loop_mailbox(ctx->loop));
		hub_flush(ctx->hub);
	}
}

/* --- what several commands need --- */

int op_check_group(const struct op_flow *op, const char *group)
{
	return strcmp(group, op->ctx->st->me.group) == 0 ? 0 : -EINVAL;
}

int op_set_name(struct op_flow *op, struct span name, size_t min, size_t max)
{
	if (name.n < min || name.n < SHORTEST_NAME || name.n > max ||
	    name.n >= sizeof(op->name))
		return -EINVAL;
	if (fileid_parse(name, &op->fn) < 0 ||
	    snprintf(op->name, sizeof(op->name), "M%02X/%.*s", op->fn.path,
	        (int)op->fn.rest.n, op->fn.rest.p) >= (int)sizeof(op->name))
		return -EINVAL;
	(void)fileid_parse(span_of(op->name), &op->fn);
	op->path = store_at(&op->ctx->st->store, op->fn.path);
	return op->path ? 0 : -EINVAL;
}

int op_disk_path(const struct op_flow *op, const char *suffix, char *out)
{
	return fileid_disk_path(&op->fn, suffix, out, FILEID_DISK_MAX);
}
