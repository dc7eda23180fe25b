/* SPDX-License-Identifier: MIT */
/*
 * An item is one small write with its own copy of the data. `queue` grows in
 * the loop; a flush moves it to `out`, which the writer thread owns until its
 * job comes home. A failed `out` goes back to the front of the queue and is
 * tried again a second later; rows of storages and samples are left out of it
 * (the storages are dirty again), so that a full disk cannot make the queue
 * grow without bound.
 */
#include "trackerd/persist.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/db.h"
#include "meta/writer.h"
#include "trackerd/item.h"

#define RETRY_MS    1000
#define EVENTS_KEPT 100000

struct reply {
	struct reply *next;
	struct conn *conn;
	size_t n;
	uint8_t body[PERSIST_BODY];
};

struct persist {
	struct cluster *cluster;
	struct db *db; /* until the writer takes it */
	struct writer *writer;
	struct timer *retry;
	struct loop *loop;
	struct queue queue;
	struct reply *waiting;
	bool want_all;
	/* the submission */
	struct write write;
	struct queue out;
	struct reply *answering;
	bool busy;
	bool failing;
	bool quiet; /* states change because this tracker starts or stops */
};

/* --- in the writer thread ------------------------------------------------ */

/* Old samples and events may stay a little longer when this fails. */
static void tidy(struct db *db)
{
	int rc = event_trim(db, EVENTS_KEPT);

	if (rc == 0)
		rc = sample_roll(db, clock_wall());
	if (rc < 0)
		log_warn("tracker_db_tidy_failed", "%s", errstr(rc));
}

static int batch_apply(struct write *w, struct db *db)
{
	struct persist *p = container_of(w, struct persist, write);
	bool sampled = false;

	for (const struct item *i = p->out.head; i; i = i->next) {
		const int rc = item_apply(db, i);

		if (rc == -EINVAL) /* would fail for ever */
			log_error("tracker_db_item_refused", "kind=%d",
			    (int)i->kind);
		else if (rc < 0)
			return rc;
		sampled |= i->kind == ITEM_SAMPLE;
	}
	if (sampled)
		tidy(db);
	return 0;
}

/* --- back home ----------------------------------------------------------- */

static void answer(struct reply *list, int rc)
{
	struct reply *next;

	for (struct reply *r = list; r; r = next) {
		next = r->next;
		if (rc < 0)
			conn_reply(r->conn, -rc, NULL, 0);
		else
			conn_reply(r->conn, 0, r->body, r->n);
		free(r);
	}
}

/* Can be made again from the cluster, or is not worth keeping? */
static bool forget_item(struct persist *p, const struct item *i)
{
	const bool row = i->kind == ITEM_STORAGE;
	const char *name = row ? i->row[0].storage.group : i->text[0];
	const char *id = row ? i->row[0].storage.id : i->text[2];
	const struct group *g;
	struct storage *s;

	if (i->kind == ITEM_SAMPLE || i->kind == ITEM_MARK)
		return true;
	if (!row && i->kind != ITEM_STAMP)
		return false;
	g = cluster_group(p->cluster, name);
	s = g ? group_storage(g, span_of(id)) : NULL;
	if (!s)
		return true;
	storage_touch(s, DIRTY_SOON);
	for (size_t k = 0; !row && k < g->n; k++)
		if (strcmp(g->storages[k]->id, i->text[1]) == 0)
			s->synced_dirty |= BIT(g->storages[k]->slot);
	return true;
}

static void note_stored(struct persist *p)
{
	for (const struct item *i = p->out.head; i; i = i->next) {
		const struct storage_row *row = &i->row[0].storage;
		const struct group *g =
		    i->kind == ITEM_STORAGE
		        ? cluster_group(p->cluster, row->group)
		        : NULL;
		struct storage *s =
		    g ? group_storage(g, span_of(row->id)) : NULL;

		if (s)
			s->stored = true;
	}
}

/* What could not be written is next again. */
static void requeue(struct persist *p)
{
	struct item **at = &p->out.head;

	while (*at) {
		struct item *i = *at;

		if (forget_item(p, i)) {
			*at = i->next;
			item_free(i);
		} else {
			at = &i->next;
		}
	}
	*at = p->queue.head;
	if (!p->queue.head)
		p->queue.tail = at == &p->out.head ? &p->queue.head : at;
	p->queue.head = p->out.head;
	queue_init(&p->out);
}

static void batch_done(struct job *job)
{
	struct write *w = container_of(job, struct write, job);
	struct persist *p = container_of(w, struct persist, write);
	struct reply *answering = p->answering;

	p->busy = false;
	p->answering = NULL;
	if (job->rc < 0) {
		log_error("tracker_db_write_failed",
		    "%s; it is tried again every second", errstr(job->rc));
		p->failing = true;
		requeue(p);
	} else {
		if (p->failing)
			log_info("tracker_db_write_works", "again");
		p->failing = false;
		note_stored(p);
		queue_clear(&p->out);
	}
	answer(answering, job->rc);
	if (!p->failing && (p->queue.head || p->waiting || p->want_all))
		persist_flush(p, false);
}

/* --- collecting ---------------------------------------------------------- */

static void collect_group(struct persist *p, struct group *g)
{
	struct item *i =
	    queue_add(&p->queue, ITEM_GROUP, sizeof(struct group_row));
	struct group_row *row = &i->row[0].group;

	str_copy(row->name, sizeof(row->name), g->name);
	row->storage_port = g->port;
	row->store_path_count = g->path_count;
	row->subdir_count_per_path = g->subdir_count;
	g->dirty = 0;
}

static void collect_storage(struct persist *p, struct storage *s)
{
	struct item *i =
	    queue_add(&p->queue, ITEM_STORAGE, sizeof(struct storage_row));
	struct storage_row *row = &i->row[0].storage;

	str_copy(row->group, sizeof(row->group), s->group->name);
	str_copy(row->id, sizeof(row->id), s->id);
	addr_ip(&s->addrs[0], row->ip, sizeof(row->ip));
	row->status = (int)s->status;
	str_copy(row->version, sizeof(row->version), s->version);
	row->port = s->port;
	row->store_path_count = s->path_count;
	row->subdir_count_per_path = s->subdir_count;
	row->upload_priority = s->priority;
	row->join_time = s->join_time;
	row->up_time = s->up_time;
	str_copy(row->src_id, sizeof(row->src_id),
	    s->source ? s->source->id : "");
	row->sync_until = s->sync_until;
	row->last_synced = s->last_synced;
	row->last_heart_beat = s->last_beat;
	row->changelog_offset = (int64_t)s->changelog_at;
	row->n_paths = s->n_paths;
	memcpy(row->path_total_mb, s->path_total_mb,
	    s->n_paths * sizeof(s->path_total_mb[0]));
	memcpy(row->path_free_mb, s->path_free_mb,
	    s->n_paths * sizeof(s->path_free_mb[0]));
}

static void collect_stamps(struct persist *p, struct storage *s)
{
	for (size_t i = 0; i < s->group->n; i++) {
		const struct storage *from = s->group->storages[i];
		struct item *it;

		if (!(s->synced_dirty & BIT(from->slot)) ||
		    s->synced_from[from->slot] == 0)
			continue;
		it = queue_add(&p->queue, ITEM_STAMP, 0);
		it->text[0] = xstrdup(s->group->name);
		it->text[1] = xstrdup(from->id);
		it->text[2] = xstrdup(s->id);
		it->a = s->synced_from[from->slot];
	}
	s->synced_dirty = 0;
}

/* Tombstones are not kept: they vanish with a restart (2.2), so that the
 * return of a deleted member starts from nothing. */
static void collect(struct persist *p, unsigned which)
{
	for (size_t i = 0; i < p->cluster->n; i++) {
		struct group *g = p->cluster->groups[i];

		if (g->dirty & which)
			collect_group(p, g);
		for (size_t k = 0; k < g->n; k++) {
			struct storage *s = g->storages[k];

			if (!(s->dirty & which))
				continue;
			s->dirty = 0;
			if (storage_is_tombstone(s)) {
				persist_drop_storage(p, g->name, s->id);
				continue;
			}
			collect_storage(p, s);
			collect_stamps(p, s);
		}
	}
}

static void submit(struct persist *p)
{
	collect(p, DIRTY_SOON | (p->want_all ? DIRTY_LATER : 0));
	p->want_all = false;
	if (!p->queue.head) {
		struct reply *done = p->waiting;

		p->waiting = NULL;
		answer(done, 0); /* nothing had to be written */
		return;
	}
	p->out.head = p->queue.head;
	p->out.tail = p->queue.tail;
	queue_init(&p->queue);
	p->answering = p->waiting;
	p->waiting = NULL;
	p->busy = true;
	writer_submit(p->writer, &p->write);
}

void persist_flush(struct persist *p, bool all)
{
	p->want_all |= all;
	if (!p->busy && !p->failing && p->writer)
		submit(p);
}

static void retry(void *arg)
{
	struct persist *p = arg;

	if (p->failing && !p->busy)
		submit(p);
}

bool persist_idle(const struct persist *p)
{
	return !p->busy && !p->waiting && (!p->queue.head || p->failing);
}

/* --- what happened ------------------------------------------------------- */

void persist_reply(struct persist *p, struct conn *c, const void *body,
    size_t n)
{
	struct reply *r = xcalloc(1, sizeof(*r));
	struct reply **at = &p->waiting;

	assert(n <= sizeof(r->body));
	r->conn = c;
	r->n = n;
	if (n > 0)
		memcpy(r->body, body, n);
	while (*at)
		at = &(*at)->next;
	*at = r;
}

static void subject_of(const struct storage *s, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);

	strbuf_addf(&b, "%s/%s", s->group->name, s->id);
}

static void status_event(struct persist *p, const struct storage *s, int from,
    const char *reason)
{
	const char *code = "FD-STATE-01";
	enum event_severity severity = EVENT_INFO;
	char subject[64];
	char text[160];
	struct strbuf b = strbuf_over(text, sizeof(text));

	/* The end of a first copy passes OFFLINE, too. */
	if (s->status == ST_OFFLINE && from >= ST_OFFLINE && !p->quiet)
		severity =
		    group_readable(s->group) <= 1 ? EVENT_CRIT : EVENT_WARN;
	else if (s->status == ST_IP_CHANGED)
		code = "FD-STATE-04";
	else if (s->status == ST_RECOVERY)
		code = "FD-STATE-06";
	else if (s->status == ST_WAIT_SYNC || s->status == ST_SYNCING)
		code = "FD-STATE-05";
	subject_of(s, subject, sizeof(subject));
	strbuf_addf(&b, "%s -> %s (%s)", from < 0 ? "new" : status_name(from),
	    status_name((int)s->status), reason);
	persist_event(p, code, severity, subject, text);
}

void persist_status(void *arg, const struct storage *s, int from,
    const char *reason)
{
	struct persist *p = arg;
	struct item *i = queue_add(&p->queue, ITEM_STATUS, 0);

	i->text[0] = xstrdup(s->group->name);
	i->text[1] = xstrdup(s->id);
	i->text[2] = xstrdup(reason);
	i->a = from;
	i->b = (int64_t)s->status;
	log_info("storage_status",
	    "group=%s storage=%s from=%s to=%s reason=\"%s\"", s->group->name,
	    s->id, from < 0 ? "new" : status_name(from),
	    status_name((int)s->status), reason);
	status_event(p, s, from, reason);
}

void persist_drop_storage(void *arg, const char *group, const char *id)
{
	struct persist *p = arg;
	struct item *i = queue_add(&p->queue, ITEM_DROP_STORAGE, 0);

	i->text[0] = xstrdup(group);
	i->text[1] = xstrdup(id);
}

void persist_drop_group(void *arg, const char *group)
{
	struct persist *p = arg;

	queue_add(&p->queue, ITEM_DROP_GROUP, 0)->text[0] = xstrdup(group);
}

void persist_change(void *arg, const char *line)
{
	struct persist *p = arg;

	queue_add(&p->queue, ITEM_CHANGE, 0)->text[0] = xstrdup(line);
}

void persist_drop_changes(void *arg)
{
	struct persist *p = arg;

	queue_add(&p->queue, ITEM_DROP_CHANGES, 0);
}

void persist_event(struct persist *p, const char *code,
    enum event_severity severity, const char *subject, const char *text)
{
	struct item *i = queue_add(&p->queue, ITEM_EVENT, 0);

	i->a = (int64_t)severity;
	i->text[0] = xstrdup(code);
	i->text[1] = xstrdup(subject);
	i->text[2] = xstrdup(text);
}

void persist_mark(struct persist *p, const char *key, const char *value)
{
	struct item *i = queue_add(&p->queue, ITEM_MARK, 0);

	i->text[0] = xstrdup(key);
	i->text[1] = xstrdup(value);
}

void persist_sample(struct persist *p, const struct sample *s)
{
	struct item *i;

	if (p->failing)
		return;
	i = queue_add(&p->queue, ITEM_SAMPLE, sizeof(struct sample));
	i->row[0].sample = *s;
}

void persist_stats(struct persist *p, struct writer_stats *out)
{
	writer_get_stats(p->writer, out);
}

void persist_quiet(struct persist *p, bool quiet)
{
	p->quiet = quiet;
}

/* --- start and end ------------------------------------------------------- */

int persist_open(const char *base_path, struct cluster *c, struct persist **out,
    char *err, size_t cap)
{
	struct persist *p = xcalloc(1, sizeof(*p));
	char dir[4096];
	char text[DB_ERR_MAX] = "";
	struct strbuf path = strbuf_over(dir, sizeof(dir));
	struct strbuf b = strbuf_over(err, cap);
	int rc;

	queue_init(&p->queue);
	queue_init(&p->out);
	p->cluster = c;
	strbuf_addf(&path, "%s/meta/tracker.db", base_path);
	rc = path.failed ? -ENAMETOOLONG
	                 : db_open(DB_TRACKER, dir, false, &p->db, text);
	if (rc == 0) {
		*out = p;
		return 0;
	}
	strbuf_addf(&b, "%s", text[0] ? text : errstr(rc));
	if (rc == -ENOTSUP || rc == -EMEDIUMTYPE)
		strbuf_addf(&b,
		    "; without it the cluster is learnt again from its "
		    "storages within a heartbeat");
	free(p);
	return rc;
}

struct db *persist_db(struct persist *p)
{
	return p->db;
}

int persist_start(struct persist *p, struct loop *l)
{
	int rc;

	p->loop = l;
	p->write.apply = batch_apply;
	p->write.job.done = batch_done;
	p->write.job.home = loop_mailbox(l);
	rc = writer_start(p->db, NULL, NULL, &p->writer);
	if (rc < 0)
		return rc;
	p->db = NULL;
	p->retry = loop_every(l, RETRY_MS, retry, p);
	return 0;
}

void persist_close(struct persist *p)
{
	if (!p)
		return;
	if (p->retry)
		timer_free(p->retry);
	if (p->writer)
		writer_stop(p->writer);
	else
		db_close(p->db);
	queue_clear(&p->queue);
	queue_clear(&p->out);
	free(p);
}
