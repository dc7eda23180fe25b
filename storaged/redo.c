/* SPDX-License-Identifier: MIT */
/*
 * An entry is worked on only by who holds its names, so no two carry out the
 * same row, and an entry found under a held name stays until its holder drops
 * it. The lock protects the list and is not held while a disk works.
 */
#include "storaged/redo.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "meta/event.h"
#include "storaged/op.h"
#include "storaged/recover.h"
#include "storaged/redo_row.h"
#include "storaged/replicate.h"

#define PAUSE_MIN MONO_SEC
#define PAUSE_MAX (30 * MONO_SEC)
#define IDLE      (3600 * MONO_SEC)

struct redo {
	struct storage *st;
	uint64_t first; /* atomic */
	pthread_t thread;
	bool running;

	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool quit;
	bool mark_old; /* the mark in the log could not be written */
	struct redo_entry *list;

	struct redo_log log;
	struct mailbox box; /* the thread's */
};

static bool same(const char *text, struct span name)
{
	const struct span s = fileid_owner(span_of(text));

	return s.n == name.n && memcmp(s.p, name.p, s.n) == 0;
}

static bool concerns(const struct redo_entry *e, uint64_t hash,
    struct span name)
{
	return (e->hash[0] == hash && same(e->name, name)) ||
	       (e->other[0] && e->hash[1] == hash && same(e->other, name));
}

struct redo *redo_new(struct storage *st)
{
	struct redo *r = xcalloc(1, sizeof(*r));
	pthread_condattr_t attr;

	r->st = st;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->log.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->cond, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

void redo_free(struct redo *r)
{
	struct redo_entry *e;

	if (!r)
		return;
	while ((e = r->list)) {
		r->list = e->next;
		free(e);
	}
	if (r->log.db)
		db_close(r->log.db);
	pthread_cond_destroy(&r->cond);
	pthread_mutex_destroy(&r->log.lock);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* --- the mark --- */

struct mark_write {
	struct write write;
	struct redo *r;
};

/* As it is when it is written: no earlier one can come after a later one. */
static int apply_mark(struct write *w, struct db *db)
{
	struct redo *r = container_of(w, struct mark_write, write)->r;
	const uint64_t first = redo_first(r);
	char text[32] = "";

	if (first)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)first);
	return db_mark_set(db, MARK_UNAPPLIED, text);
}

static void mark_done(struct job *job)
{
	struct write *w = container_of(job, struct write, job);
	struct mark_write *m = container_of(w, struct mark_write, write);

	if (job->rc < 0) {
		pthread_mutex_lock(&m->r->lock);
		m->r->mark_old = true;
		pthread_mutex_unlock(&m->r->lock);
	}
	free(m);
}

static void write_mark(struct redo *r)
{
	struct mark_write *m;

	/* While starting, recovery writes it. */
	if (!r->st->log)
		return;
	m = xcalloc(1, sizeof(*m));
	m->r = r;
	m->write.apply = apply_mark;
	m->write.job.done = mark_done;
	writer_submit(r->st->log, &m->write);
}

/* --- the list --- */

/* lock is held. */
static void list_changed(struct redo *r)
{
	const struct redo_entry *e = r->list;

	while (e && !e->seq)
		e = e->next;
	__atomic_store_n(&r->first, e ? e->seq : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&r->st->unapplied, r->list != NULL, __ATOMIC_SEQ_CST);
}

static void tell_refused(const struct redo *r, const struct redo_entry *e)
{
	char text[200];

	if (!r->st->catalogue || !e->seq)
		return;
	snprintf(text, sizeof(text),
	    "operation %llu is recorded but not applied: %s; it is tried "
	    "again until the disk takes it",
	    (unsigned long long)e->seq, errstr(e->error));
	catalogue_event(r->st->catalogue, "FD-APPLY-01", EVENT_CRIT, e->name,
	    text);
}

static void insert(struct redo *r, struct redo_entry *e)
{
	struct redo_entry **at = &r->list;

	e->hash[0] = span_hash(fileid_owner(span_of(e->name)));
	e->hash[1] = span_hash(fileid_owner(span_of(e->other)));
	e->pause = PAUSE_MIN;
	e->due = clock_mono() + PAUSE_MIN;
	tell_refused(r, e);
	pthread_mutex_lock(&r->lock);
	while (*at && (*at)->seq <= e->seq)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	list_changed(r);
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
	write_mark(r);
}

void redo_add(struct redo *r, uint64_t seq, struct redo_names names, int error)
{
	struct redo_entry *e = xcalloc(1, sizeof(*e));

	e->seq = seq;
	e->error = error;
	str_copy(e->name, sizeof(e->name), names.name);
	str_copy(e->other, sizeof(e->other), names.other);
	insert(r, e);
}

void redo_add_removal(struct redo *r, const struct store_path *p,
    const char *file, const char *name)
{
	struct redo_entry *e = xcalloc(1, sizeof(*e));

	e->path = p;
	str_copy(e->file, sizeof(e->file), file);
	str_copy(e->name, sizeof(e->name), name);
	insert(r, e);
}

static struct redo_entry *find(struct redo *r, const char *text)
{
	const struct span name = fileid_owner(span_of(text));
	const uint64_t hash = span_hash(name);
	struct redo_entry *e;

	pthread_mutex_lock(&r->lock);
	e = r->list;
	while (e && !concerns(e, hash, name))
		e = e->next;
	pthread_mutex_unlock(&r->lock);
	return e;
}

bool redo_has(struct redo *r, const char *name)
{
	return find(r, name) != NULL;
}

uint64_t redo_first(const struct redo *r)
{
	return __atomic_load_n(&r->first, __ATOMIC_SEQ_CST);
}

void redo_text(struct redo *r, char *out, size_t cap)
{
	const struct redo_entry *e;

	pthread_mutex_lock(&r->lock);
	e = r->list;
	while (e && !e->seq)
		e = e->next;
	if (e)
		snprintf(out, cap,
		    "operation %llu is recorded but not applied here: %s: %s",
		    (unsigned long long)e->seq, e->name, errstr(e->error));
	else
		str_copy(out, cap, "");
	pthread_mutex_unlock(&r->lock);
}

/* --- one entry, its names held --- */

static void take_out(struct redo *r, struct redo_entry *e)
{
	struct replicate *peers =
	    __atomic_load_n(&r->st->replicate, __ATOMIC_ACQUIRE);
	struct redo_entry **at = &r->list;

	pthread_mutex_lock(&r->lock);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_changed(r);
	pthread_mutex_unlock(&r->lock);
	free(e);
	write_mark(r);
	if (peers)
		replicate_go_on(peers);
}

/* Whatever else waits for the name waits for this one. */
static void postpone(struct redo *r, struct redo_entry *e, int rc)
{
	const mono_t now = clock_mono();

	pthread_mutex_lock(&r->lock);
	e->error = rc;
	for (struct redo_entry *x = r->list; x; x = x->next) {
		if (x != e && x->hash[0] != e->hash[0])
			continue;
		x->due = now + x->pause;
		x->pause = x->pause * 2 < PAUSE_MAX ? x->pause * 2 : PAUSE_MAX;
	}
	pthread_mutex_unlock(&r->lock);
}

static int work_on(struct redo *r, struct redo_entry *e)
{
	int rc = redo_carry_out(r->st, &r->log, e);

	if (rc < 0 && rc != -ENODATA) {
		postpone(r, e, rc);
		return rc;
	}
	take_out(r, e);
	return 0;
}

int redo_now(struct redo *r, const char *name)
{
	struct redo_entry *e;
	int rc = 0;

	/* For a rename another name is held, too, and the log is written. */
	while (rc == 0 && (e = find(r, name)))
		rc = e->other[0] ? -EIO : work_on(r, e);
	return rc < 0 ? -EIO : 0;
}

/* --- the thread --- */

static void take_name(struct redo *r, struct busy_hold *h, const char *text)
{
	busy_take_wait(&r->st->busy, h, span_of(text), &r->box);
}

/* An older rename of another pair of names comes first. */
static int put_off(struct redo *r, const struct redo_entry *like)
{
	pthread_mutex_lock(&r->lock);
	for (struct redo_entry *e = r->list; e; e = e->next)
		if (e->seq == like->seq)
			e->due = clock_mono() + PAUSE_MIN;
	pthread_mutex_unlock(&r->lock);
	return -EAGAIN;
}

/* Of two names the lesser first, as op_hold_both does. */
static void with_names(struct redo *r, const struct redo_entry *like)
{
	struct busy_hold first;
	struct busy_hold second;
	const bool two = like->other[0] && strcmp(like->name, like->other) != 0;
	const bool turn = two && strcmp(like->other, like->name) < 0;
	struct redo_entry *e;
	int rc = 0;

	take_name(r, &first, turn ? like->other : like->name);
	if (two)
		take_name(r, &second, turn ? like->name : like->other);
	/* Who held it may have done it; what is older comes first. */
	while (rc == 0 && (e = find(r, like->name)))
		rc = e->other[0] && e->seq != like->seq ? put_off(r, like)
		                                        : work_on(r, e);
	if (two)
		busy_drop(&r->st->busy, &second);
	busy_drop(&r->st->busy, &first);
}

static struct redo_entry *next_due(struct redo *r, mono_t *at)
{
	struct redo_entry *next = r->list;

	for (struct redo_entry *e = r->list; e; e = e->next)
		if (e->due < next->due)
			next = e;
	*at = next ? next->due : clock_mono() + IDLE;
	return next;
}

static void sleep_until(struct redo *r, mono_t at)
{
	const struct timespec t = { (time_t)(at / MONO_SEC),
		(long)(at % MONO_SEC) };

	(void)pthread_cond_timedwait(&r->cond, &r->lock, &t);
}

/* lock is held. */
static void go_round(struct redo *r)
{
	const bool mark = r->mark_old;
	struct redo_entry *e;
	struct redo_entry like;
	mono_t at;

	r->mark_old = false;
	e = next_due(r, &at);
	if (!mark && (!e || at > clock_mono())) {
		sleep_until(r, at);
		return;
	}
	if (e)
		like = *e;
	pthread_mutex_unlock(&r->lock);
	if (mark)
		write_mark(r);
	if (e && at <= clock_mono())
		with_names(r, &like);
	pthread_mutex_lock(&r->lock);
}

static void *run(void *arg)
{
	struct redo *r = arg;

	pthread_setname_np(pthread_self(), "redo");
	pthread_mutex_lock(&r->lock);
	while (!r->quit)
		go_round(r);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int redo_start(struct redo *r)
{
	int rc = mailbox_init(&r->box);

	if (rc < 0)
		return rc;
	for (const struct redo_entry *e = r->list; e; e = e->next)
		tell_refused(r, e);
	rc = -pthread_create(&r->thread, NULL, run, r);
	r->running = rc == 0;
	if (rc < 0)
		mailbox_fini(&r->box);
	return rc;
}

void redo_stop(struct redo *r)
{
	if (!r->running)
		return;
	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	mailbox_fini(&r->box);
	r->running = false;
}
