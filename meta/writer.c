/* SPDX-License-Identifier: MIT */
/*
 * Two threads share a struct writer.
 *
 * The writer: takes up to BATCH_MAX writes from the queue in the order in which
 * they came, begins, applies, commits, sends them home in that order. While it
 * commits, the next batch collects; so batches are as large as the disk is
 * slow, and a lone write waits for nobody.
 *
 * The checkpointer: woken when the WAL may have grown by PASSIVE_PAGES, and
 * once more when writes have stopped. It makes passive checkpoints only, which
 * take no lock that a commit needs; after one that has copied everything the
 * next commit starts the WAL over. Under steady writing there is always a rest;
 * so when LONG_PAGES have gone by, the gate is closed for the moment that a
 * second one needs to copy what the first one left.
 *
 * Where a commit needs no fsync it may also run in the thread that submits
 * (writer_turn): an event loop that has queued the writes of a whole turn
 * commits them at its end, and no thread has to be woken. A commit there that
 * took long sends the work to the writer for a while, twice as long each time.
 *
 * A commit that failed may stand in the WAL all the same, when it was the sync
 * that failed; a crash would bring it to life though all were told that it has
 * not happened. So something else is committed over it at once, or as soon as
 * the disk is well, or at the latest when the writer is stopped.
 *
 * lock guards the queue, the flags and the statistics; gate is held by the
 * writer from begin to commit and by the checkpointer for that moment.
 */
#include "meta/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"
#include "meta/db_impl.h"

#define BATCH_MAX     512
#define PASSIVE_PAGES 1000
#define LONG_PAGES    8192
#define IDLE_MS       1000
#define SLOW_TURN     (3 * MONO_MS)
#define PAUSE_MIN     (8 * MONO_MS)
#define PAUSE_MAX     (2 * MONO_SEC)

struct writer {
	struct db *db;
	uint64_t own_total; /* atomic: own operations that are committed */
	void (*after_commit)(void *arg);
	void *arg;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;   /* the writer sleeps here */
	pthread_cond_t called; /* writer_call sleeps here */
	struct job *head;
	struct job **tail;
	bool asleep;
	bool stopping;
	struct writer_stats stats;

	pthread_t checkpoint_thread;
	pthread_mutex_t gate;
	mono_t no_turn_until; /* the gate guards these three */
	mono_t turn_pause;
	bool ghost; /* a failed commit may stand at the WAL's end */
	pthread_mutex_t checkpoint_lock;
	pthread_cond_t checkpoint_work;
	atomic_uint dirty; /* writes since the last checkpoint, about pages */
	bool checkpoint_stop;

	struct mailbox call_box; /* only its address is used */
};

/* --- the writer ---------------------------------------------------------- */

/* lock is held. */
static struct job *cut_batch(struct writer *w)
{
	struct job *first = w->head;
	struct job *last = first;
	size_t n = first ? 1 : 0;

	while (last && last->next && n < BATCH_MAX) {
		last = last->next;
		n++;
	}
	if (last) {
		w->head = last->next;
		if (!w->head)
			w->tail = &w->head;
		last->next = NULL;
	}
	w->stats.queued -= n;
	return first;
}

/* False when the writer is stopped and nothing is left. */
static bool wait_for_work(struct writer *w)
{
	bool more;

	pthread_mutex_lock(&w->lock);
	while (!w->head && !w->stopping) {
		w->asleep = true;
		pthread_cond_wait(&w->work, &w->lock);
	}
	w->asleep = false;
	more = w->head != NULL;
	pthread_mutex_unlock(&w->lock);
	return more;
}

/* gate is held: batches are committed in the order in which they are cut. */
static struct job *take_batch(struct writer *w)
{
	struct job *first;

	pthread_mutex_lock(&w->lock);
	first = cut_batch(w);
	pthread_mutex_unlock(&w->lock);
	return first;
}

static void fail_all(struct job *first, int rc)
{
	for (struct job *j = first; j; j = j->next)
		j->rc = rc;
}

/* Applies every write of the batch; 0, or the reason why SQLite has given up
 * the whole transaction. */
static int apply_all(struct writer *w, struct job *first)
{
	for (struct job *j = first; j; j = j->next) {
		struct write *wr = container_of(j, struct write, job);

		j->rc = wr->apply(wr, w->db);
		if (j->rc < 0 && db_lost_transaction(w->db))
			return j->rc;
	}
	return 0;
}

/* gate is held. The value differs each time: pages like those in the WAL would
 * leave the rest of it valid. */
static void lay_ghost(struct writer *w)
{
	char text[32];
	int rc;

	if (!w->ghost)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)clock_mono());
	rc = db_begin(w->db);
	if (!rc)
		rc = db_mark_set(w->db, "commit_failed", text);
	if (!rc)
		rc = db_commit(w->db);
	if (rc)
		db_rollback(w->db);
	else
		w->ghost = false;
}

/* gate is held. */
static void commit_batch(struct writer *w, struct job *first)
{
	int rc;

	rc = db_begin(w->db);
	if (!rc)
		rc = apply_all(w, first);
	if (!rc)
		rc = db_commit(w->db);
	if (rc) {
		log_error("commit_failed", "database=%s: %s (%s)",
		    db_path(w->db), errstr(rc), db_error(w->db));
		db_rollback(w->db);
		fail_all(first, rc);
		w->ghost = true;
		lay_ghost(w);
	} else {
		w->ghost = false;
		__atomic_store_n(&w->own_total, w->db->committed.own_total,
		    __ATOMIC_RELEASE);
	}
}

/* mine: a mailbox whose owner calls, or NULL. */
static void send_home(struct writer *w, struct job *first,
    const struct mailbox *mine)
{
	struct job *next;

	for (struct job *j = first; j; j = next) {
		next = j->next;
		j->next = NULL;
		if (j->home == &w->call_box) {
			pthread_mutex_lock(&w->lock);
			j->home = NULL;
			pthread_cond_broadcast(&w->called);
			pthread_mutex_unlock(&w->lock);
		} else if (j->home && j->home != mine) {
			job_go_home(j);
		} else if (j->done) {
			j->done(j);
		}
	}
}

static void count(struct writer *w, struct job *first, mono_t took)
{
	uint64_t n = 0;
	uint64_t failed = 0;

	for (struct job *j = first; j; j = j->next) {
		n++;
		failed += j->rc < 0;
	}
	pthread_mutex_lock(&w->lock);
	w->stats.commits++;
	w->stats.writes += n - failed;
	w->stats.failed += failed;
	w->stats.commit_ns += took;
	pthread_mutex_unlock(&w->lock);

	/* A write touches a page of its own in small batches and shares one
	 * in large ones; three for the ends of the tables. */
	const unsigned pages = (unsigned)(n / 16) + 3;
	const unsigned before =
	    atomic_fetch_add_explicit(&w->dirty, pages, memory_order_relaxed);

	if (before / PASSIVE_PAGES != (before + pages) / PASSIVE_PAGES) {
		pthread_mutex_lock(&w->checkpoint_lock);
		pthread_cond_signal(&w->checkpoint_work);
		pthread_mutex_unlock(&w->checkpoint_lock);
	}
}

static void finish_batch(struct writer *w, struct job *first, mono_t took,
    const struct mailbox *mine)
{
	if (!first)
		return;
	count(w, first, took);
	if (w->after_commit)
		w->after_commit(w->arg);
	send_home(w, first, mine);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	while (wait_for_work(w)) {
		const mono_t start = clock_mono();
		struct job *first;

		pthread_mutex_lock(&w->gate);
		first = take_batch(w);
		if (first)
			commit_batch(w, first);
		pthread_mutex_unlock(&w->gate);
		finish_batch(w, first, clock_mono() - start, NULL);
	}
	return NULL;
}

static void wake_writer(struct writer *w)
{
	bool wake;

	pthread_mutex_lock(&w->lock);
	wake = w->asleep && w->head;
	w->asleep = w->asleep && !wake;
	pthread_mutex_unlock(&w->lock);
	if (wake)
		pthread_cond_signal(&w->work);
}

/* gate is held. A commit in a thread of others shall be quick; when it was
 * not, the writer does it for a while. */
static void judge_turn(struct writer *w, mono_t start, mono_t end)
{
	if (end - start <= SLOW_TURN) {
		w->turn_pause /= 2;
		return;
	}
	w->turn_pause =
	    w->turn_pause < PAUSE_MIN ? PAUSE_MIN : w->turn_pause * 2;
	if (w->turn_pause > PAUSE_MAX)
		w->turn_pause = PAUSE_MAX;
	w->no_turn_until = end + w->turn_pause;
}

/* --- the checkpointer ---------------------------------------------------- */

/* Copies the WAL into the database; closed: while no commit runs, so that
 * nothing being left (true) means that the next one starts the WAL over. */
static bool checkpoint(struct writer *w, bool closed)
{
	int left = 0;
	int rc;

	if (closed)
		pthread_mutex_lock(&w->gate);
	rc = db_checkpoint(w->db, false, &left);
	if (closed)
		pthread_mutex_unlock(&w->gate);
	if (rc && rc != -EBUSY)
		log_warn("checkpoint_failed", "database=%s: %s", db_path(w->db),
		    errstr(rc));
	return !rc && left == 0;
}

/* True when it was woken or stopped, false when IDLE_MS went by. */
static bool checkpoint_wait(struct writer *w)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_MS / 1000;
	return pthread_cond_timedwait(&w->checkpoint_work, &w->checkpoint_lock,
	           &until) == 0;
}

/* Not while a commit runs, which does the same. */
static void lay_ghost_later(struct writer *w)
{
	if (pthread_mutex_trylock(&w->gate) != 0)
		return;
	lay_ghost(w);
	pthread_mutex_unlock(&w->gate);
}

static void *checkpoint_main(void *arg)
{
	struct writer *w = arg;
	unsigned seen = 0;   /* of dirty, at the last look */
	unsigned copied = 0; /* of dirty, at the last checkpoint */
	unsigned fresh = 0;  /* of dirty, when the WAL last started over */

	pthread_mutex_lock(&w->checkpoint_lock);
	while (!w->checkpoint_stop) {
		const bool woken = checkpoint_wait(w);
		const unsigned now = atomic_load(&w->dirty);
		const bool idle = !woken && now == seen;

		seen = now;
		if (!woken)
			lay_ghost_later(w);
		if (now - copied < PASSIVE_PAGES && !(idle && now != fresh))
			continue;
		pthread_mutex_unlock(&w->checkpoint_lock);
		checkpoint(w, false);
		if ((idle || now - fresh >= LONG_PAGES) && checkpoint(w, true))
			fresh = now;
		copied = now;
		pthread_mutex_lock(&w->checkpoint_lock);
	}
	pthread_mutex_unlock(&w->checkpoint_lock);
	return NULL;
}

/* --- public -------------------------------------------------------------- */

static void init_locks(struct writer *w)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->gate, NULL);
	pthread_mutex_init(&w->checkpoint_lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->called, NULL);
	pthread_cond_init(&w->checkpoint_work, &attr);
	pthread_condattr_destroy(&attr);
}

static void writer_free(struct writer *w)
{
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->gate);
	pthread_mutex_destroy(&w->checkpoint_lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->called);
	pthread_cond_destroy(&w->checkpoint_work);
	free(w);
}

static void stop_checkpoints(struct writer *w)
{
	pthread_mutex_lock(&w->checkpoint_lock);
	w->checkpoint_stop = true;
	pthread_cond_signal(&w->checkpoint_work);
	pthread_mutex_unlock(&w->checkpoint_lock);
	pthread_join(w->checkpoint_thread, NULL);
}

int writer_start(struct db *db, void (*after_commit)(void *arg), void *arg,
    struct writer **out)
{
	struct writer *w = xcalloc(1, sizeof(*w));
	int rc;

	w->db = db;
	w->after_commit = after_commit;
	w->arg = arg;
	w->tail = &w->head;
	init_locks(w);
	rc = pthread_create(&w->checkpoint_thread, NULL, checkpoint_main, w);
	if (rc)
		goto free_writer;
	rc = pthread_create(&w->thread, NULL, writer_main, w);
	if (rc)
		goto stop_checkpointer;
	pthread_setname_np(w->thread, "writer");
	pthread_setname_np(w->checkpoint_thread, "checkpoint");
	*out = w;
	return 0;

stop_checkpointer:
	stop_checkpoints(w);
free_writer:
	writer_free(w);
	return -rc;
}

void writer_submit(struct writer *w, struct write *wr)
{
	bool wake;

	wr->job.next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->tail = &wr->job;
	w->tail = &wr->job.next;
	w->stats.queued++;
	wake = w->asleep;
	w->asleep = false;
	pthread_mutex_unlock(&w->lock);
	if (wake)
		pthread_cond_signal(&w->work);
}

void writer_queue(struct writer *w, struct write *wr)
{
	wr->job.next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->tail = &wr->job;
	w->tail = &wr->job.next;
	w->stats.queued++;
	pthread_mutex_unlock(&w->lock);
}

void writer_turn(struct writer *w, struct mailbox *mine)
{
	const mono_t start = clock_mono();
	struct job *first = NULL;
	mono_t end;

	if (db_is_full(w->db) || pthread_mutex_trylock(&w->gate) != 0) {
		wake_writer(w);
		return;
	}
	if (start >= w->no_turn_until)
		first = take_batch(w);
	if (first)
		commit_batch(w, first);
	end = clock_mono();
	judge_turn(w, start, end);
	pthread_mutex_unlock(&w->gate);
	finish_batch(w, first, end - start, mine);
	wake_writer(w);
}

int writer_call(struct writer *w, struct write *wr)
{
	wr->job.home = &w->call_box;
	writer_submit(w, wr);
	pthread_mutex_lock(&w->lock);
	while (wr->job.home)
		pthread_cond_wait(&w->called, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return wr->job.rc;
}

uint64_t writer_own_total(const struct writer *w)
{
	return __atomic_load_n(&w->own_total, __ATOMIC_ACQUIRE);
}

void writer_get_stats(struct writer *w, struct writer_stats *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->stats;
	pthread_mutex_unlock(&w->lock);
}

void writer_stop(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	stop_checkpoints(w);
	lay_ghost(w);
	db_close(w->db);
	writer_free(w);
}
