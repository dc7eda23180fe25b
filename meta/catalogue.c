/* SPDX-License-Identifier: MIT */
/*
 * The thread of the catalogue. It sleeps until it is woken, lets a batch
 * collect for COLLECT_MS (nobody waits for it), then applies until the log has
 * nothing more. Samples and events of the daemon ride in the same
 * transactions. A failure changes nothing and is tried again every second.
 *
 * lock guards what other threads touch: the two lists, the flags, the state.
 * The handles belong to the thread alone.
 */
#include "meta/catalogue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/db_impl.h"
#include "meta/event.h"
#include "meta/follow.h"
#include "meta/keys.h"
#include "meta/writer.h"

#define COLLECT_MS       50
#define TICK_MS          1000
#define SLICE_MS         200  /* of following without a look around */
#define STOP_MS          3000 /* for catching up before the end */
#define NICE             5
#define NOTES_MAX        1024 /* samples and events that wait */
#define EVENTS_KEPT      100000
#define TELL_EVERY       (3600 * MONO_SEC)
#define CHECKPOINT_PAGES 2000

/* A sample or an event on its way. */
struct note {
	struct note *next;
	bool is_event;
	struct sample sample;
	struct event event;
	char code[32];
	char subject[128];
	char text[512];
};

struct catalogue {
	char *group;
	char *name_key;
	struct writer *log_writer;
	struct follow follow;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t work;
	atomic_bool woken;
	bool stopping;
	struct note *notes;
	struct note **notes_end;
	size_t n_notes;
	struct catalogue_state state;
	wall_t oldest; /* of the operations that wait, 0 none */

	/* of the thread */
	struct note *taken; /* notes in the transaction being made */
	uint64_t told;      /* the place the log knows of us */
	uint64_t unknown_told;
	mono_t unknown_at; /* when, 0 never */
	int wal_pages;
	bool behind; /* there is more in the log than was applied */
};

/* --- notes --------------------------------------------------------------- */

static void add_note(struct catalogue *c, struct note *n)
{
	pthread_mutex_lock(&c->lock);
	if (c->n_notes < NOTES_MAX) {
		*c->notes_end = n;
		c->notes_end = &n->next;
		c->n_notes++;
		n = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (n) {
		log_warn("catalogue_full", "a sample or event was dropped");
		free(n);
		return;
	}
	catalogue_wake(c);
}

void catalogue_sample(struct catalogue *c, const struct sample *s)
{
	struct note *n = xcalloc(1, sizeof(*n));

	n->sample = *s;
	add_note(c, n);
}

void catalogue_event(struct catalogue *c, const char *code, int severity,
    const char *subject, const char *text)
{
	struct note *n = xcalloc(1, sizeof(*n));

	n->is_event = true;
	str_copy(n->code, sizeof(n->code), code);
	str_copy(n->subject, sizeof(n->subject), subject);
	str_copy(n->text, sizeof(n->text), text);
	n->event = (struct event){ .at = clock_wall(),
		.code = n->code,
		.severity = (enum event_severity)severity,
		.subject = n->subject,
		.text = n->text };
	add_note(c, n);
}

/* Takes all that wait; those of a failed transaction are still there. */
static bool take_notes(struct catalogue *c)
{
	struct note **end = &c->taken;

	while (*end)
		end = &(*end)->next;
	pthread_mutex_lock(&c->lock);
	*end = c->notes;
	c->notes = NULL;
	c->notes_end = &c->notes;
	c->n_notes = 0;
	pthread_mutex_unlock(&c->lock);
	return c->taken != NULL;
}

static void free_taken(struct catalogue *c)
{
	while (c->taken) {
		struct note *n = c->taken;

		c->taken = n->next;
		free(n);
	}
}

static int write_notes(void *arg, struct db *db)
{
	struct catalogue *c = arg;
	bool sampled = false;
	int rc = 0;

	for (const struct note *n = c->taken; n && !rc; n = n->next) {
		if (n->is_event) {
			rc = event_insert(db, &n->event);
			continue;
		}
		rc = sample_insert(db, &n->sample);
		sampled = true;
		if (rc == -EINVAL) {
			log_warn("sample_refused", "subject=%s: unknown column",
			    n->sample.subject);
			rc = 0;
		}
	}
	if (!rc && sampled)
		rc = sample_roll(db, clock_wall());
	return rc ? rc : event_trim(db, EVENTS_KEPT);
}

/* --- following ----------------------------------------------------------- */

/* Tells the log how far we are, so that it may be trimmed. */
struct told {
	struct write write;
	uint64_t seq;
};

static int told_apply(struct write *w, struct db *db)
{
	return oplog_follower_set(db, "catalogue",
	    container_of(w, struct told, write)->seq, clock_wall());
}

static void tell_log(struct catalogue *c)
{
	struct told t = { .write.apply = told_apply, .seq = c->follow.applied };

	if (!c->log_writer || c->told == t.seq || c->follow.foreign)
		return;

	const int rc = writer_call(c->log_writer, &t.write);

	if (rc)
		log_warn("follower_not_moved", "follower=catalogue: %s",
		    errstr(rc));
	else
		c->told = t.seq;
}

static int standing_error(const struct catalogue *c)
{
	return c->follow.foreign || c->follow.incomplete ? -ESTALE : 0;
}

static void set_state(struct catalogue *c, int rc, bool batch)
{
	uint64_t ops = 0;
	uint64_t bytes = 0;
	wall_t oldest = 0;

	if (!c->follow.foreign)
		oplog_backlog(c->follow.log, c->follow.applied, &ops, &bytes,
		    &oldest);
	pthread_mutex_lock(&c->lock);
	c->state.applied = c->follow.applied;
	c->state.waiting = ops;
	c->state.batches += batch;
	c->state.last_error = rc ? rc : standing_error(c);
	c->oldest = oldest;
	pthread_mutex_unlock(&c->lock);
}

static void tell_unknown(struct catalogue *c)
{
	const uint64_t n = c->follow.apply.unknown - c->unknown_told;
	const mono_t now = clock_mono();
	char text[256];

	if (n == 0 || (c->unknown_at && now - c->unknown_at < TELL_EVERY))
		return;
	c->unknown_at = now;
	c->unknown_told = c->follow.apply.unknown;
	snprintf(text, sizeof(text),
	    "%llu operations on files the catalogue did not know: stop the "
	    "storage and run fdfs-meta adopt to have all of them in it",
	    (unsigned long long)n);
	log_warn("catalogue_unknown_files", "%s", text);
	catalogue_event(c, "FD-META-02", EVENT_WARN, c->group, text);
}

/* Applies until nothing is left or `until` has come. */
static void catch_up(struct catalogue *c, mono_t until)
{
	int n;

	do {
		const bool notes = take_notes(c);

		n = follow_step(&c->follow, notes ? write_notes : NULL, c);
		if (n >= 0)
			free_taken(c);
		if (n != 0)
			set_state(c, n < 0 ? n : 0, n > 0);
		if (c->wal_pages >= CHECKPOINT_PAGES &&
		    db_checkpoint(c->follow.apply.db, false, NULL) == 0)
			c->wal_pages = 0;
	} while (n == FOLLOW_BATCH && clock_mono() < until);
	c->behind = n == FOLLOW_BATCH;
	if (n < 0)
		log_error("catalogue_failed", "database=%s: %s (%s)",
		    db_path(c->follow.apply.db), errstr(n),
		    db_error(c->follow.apply.db));
	tell_unknown(c);
}

static struct timespec from_now(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Sleeps until woken or for a tick, then lets more come. False: stop. */
static bool wait_for_work(struct catalogue *c)
{
	struct timespec until = from_now(TICK_MS);
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping && !c->behind && !atomic_load(&c->woken) && !rc)
		rc = pthread_cond_timedwait(&c->work, &c->lock, &until);
	until = from_now(COLLECT_MS);
	while (!c->stopping && !c->behind && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&c->work, &c->lock, &until);
	atomic_store(&c->woken, false);

	const bool go_on = !c->stopping;

	pthread_mutex_unlock(&c->lock);
	return go_on;
}

static int on_wal(void *arg, sqlite3 *h, const char *name, int pages)
{
	struct catalogue *c = arg;

	(void)h;
	(void)name;
	c->wal_pages = pages;
	return SQLITE_OK;
}

static void *catalogue_main(void *arg)
{
	struct catalogue *c = arg;
	mono_t told = clock_mono();

	/* Clients first; refused or not, it works. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	do {
		catch_up(c, clock_mono() + SLICE_MS * MONO_MS);
		if (clock_mono() - told >= 2 * MONO_SEC) {
			tell_log(c);
			told = clock_mono();
			if (c->wal_pages > 0 &&
			    db_checkpoint(c->follow.apply.db, false, NULL) == 0)
				c->wal_pages = 0;
		}
	} while (wait_for_work(c));
	catch_up(c, clock_mono() + STOP_MS * MONO_MS);
	tell_log(c);
	return NULL;
}

/* --- start and stop ------------------------------------------------------ */

static void note_trouble(void *arg, const char *text)
{
	struct catalogue *c = arg;

	log_error("catalogue_incomplete", "%s", text);
	catalogue_event(c, "FD-META-01", EVENT_CRIT, c->group, text);
}

static void free_all(struct catalogue *c)
{
	take_notes(c);
	free_taken(c);
	follow_fini(&c->follow);
	usage_free(c->follow.apply.usage);
	db_close(c->follow.log);
	db_close(c->follow.apply.db);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	free(c->group);
	free(c->name_key);
	free(c);
}

static struct catalogue *catalogue_new(const struct catalogue_conf *conf)
{
	struct catalogue *c = xcalloc(1, sizeof(*c));
	pthread_condattr_t attr;

	c->group = xstrdup(conf->group ? conf->group : "");
	c->name_key = xstrdup(conf->name_key ? conf->name_key : "");
	c->log_writer = conf->log_writer;
	c->notes_end = &c->notes;
	c->told = UINT64_MAX;
	c->follow.apply.read_name = conf->read_name;
	c->follow.apply.name_key = c->name_key;
	c->follow.apply.usage = usage_new();
	c->follow.tombstone_keep_ms = conf->tombstone_keep_ms;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

static int open_both(struct catalogue *c, const struct catalogue_conf *conf,
    char *err)
{
	int rc =
	    db_open(DB_CATALOGUE, conf->path, false, &c->follow.apply.db, err);

	if (!rc)
		rc = db_open_read(DB_LOG, conf->log_path, &c->follow.log, err);
	if (rc)
		return rc;

	struct db *db = c->follow.apply.db;

	sqlite3_wal_hook(db->h, on_wal, c);
	rc = db_mark_set(db, "group", c->group);
	if (!rc)
		rc = keys_follow(db, conf->indexed_keys, conf->n_indexed_keys);
	if (!rc)
		rc = follow_init(&c->follow, note_trouble, c);
	if (rc)
		snprintf(err, DB_ERR_MAX, "cannot start the catalogue %s: %s",
		    conf->path, errstr(rc));
	return rc;
}

int catalogue_start(const struct catalogue_conf *conf, struct catalogue **out,
    char *err)
{
	struct catalogue *c = catalogue_new(conf);
	int rc = open_both(c, conf, err);

	if (!rc) {
		tell_log(c);
		set_state(c, 0, false);
		rc = -pthread_create(&c->thread, NULL, catalogue_main, c);
		if (rc)
			snprintf(err, DB_ERR_MAX, "no thread: %s", errstr(rc));
	}
	if (rc) {
		free_all(c);
		return rc;
	}
	pthread_setname_np(c->thread, "catalogue");
	*out = c;
	return 0;
}

void catalogue_wake(struct catalogue *c)
{
	if (atomic_exchange(&c->woken, true))
		return;
	pthread_mutex_lock(&c->lock);
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

void catalogue_get_state(struct catalogue *c, struct catalogue_state *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->state;
	out->behind_ms = c->oldest ? clock_wall() - c->oldest : 0;
	pthread_mutex_unlock(&c->lock);
	if (out->behind_ms < 0)
		out->behind_ms = 0;
}

void catalogue_stop(struct catalogue *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	free_all(c);
}
