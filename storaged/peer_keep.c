/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of a peer. The row goes through the log's writer four
 * times a second at most while the cursor moves, at once when the phase
 * changes or something failed, and never holds a place whose operations were
 * neither acknowledged nor parked in the same transaction.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "meta/event.h"
#include "proto/msg.h"

#define SAVE_EVERY (250 * MONO_MS)
#define DAY_SEC    86400

bool peer_quits(const struct peer *p)
{
	return __atomic_load_n(&p->quit, __ATOMIC_RELAXED);
}

/* --- the writer --- */

struct row_write {
	struct write write;
	const struct peer *p;
	const struct peer_row *row; /* NULL: the peer is dropped */
	bool fresh;                 /* drop what there was before */
	const struct parked_row *park;
	size_t n_park;
	const char *unpark;
};

static int apply_row(struct write *w, struct db *db)
{
	struct row_write *r = container_of(w, struct row_write, write);
	int rc = 0;

	if (!r->row || r->fresh)
		rc = peers_drop(db, r->p->id);
	if (rc == 0 && r->row)
		rc = peers_put(db, r->row);
	for (size_t i = 0; i < r->n_park && rc == 0; i++)
		rc = parked_put(db, &r->park[i]);
	if (rc == 0 && r->unpark)
		rc = parked_drop(db, r->p->id, r->unpark);
	return rc;
}

void peer_show(struct peer *p)
{
	pthread_mutex_lock(&p->lock);
	p->shown = p->row;
	if (!p->known)
		p->shown.id[0] = 0;
	pthread_mutex_unlock(&p->lock);
}

static int write_row(struct peer *p, struct row_write *r)
{
	int rc;

	r->p = p;
	r->write.apply = apply_row;
	rc = writer_call(p->st->log, &r->write);
	if (rc < 0)
		log_error("sync_row", "peer=%s: its place is not recorded: %s",
		    p->id, errstr(rc));
	peer_show(p);
	p->saved = clock_mono();
	return rc;
}

static void write_now(struct peer *p, const struct parked_row *park,
    size_t n_park, const char *unpark)
{
	struct row_write r = {
		.row = &p->row,
		.park = park,
		.n_park = n_park,
		.unpark = unpark,
	};

	if (!p->known)
		return;
	p->dirty = p->urgent = write_row(p, &r) < 0;
}

void peer_save(struct peer *p, bool now)
{
	const mono_t since = clock_mono() - p->saved;

	if (p->dirty && (now || p->urgent || since >= SAVE_EVERY))
		write_now(p, NULL, 0, NULL);
}

int peer_begin(struct peer *p, const struct peer_row *row)
{
	struct row_write r = { .row = row, .fresh = true };
	int rc;

	p->known = row != NULL;
	if (row)
		p->row = *row;
	rc = write_row(p, &r);
	p->parked = 0;
	return rc;
}

/* --- parked --- */

static wall_t next_try(uint32_t tries)
{
	int64_t pause = 1000;

	while (tries-- > 0 && pause < PARKED_WAIT_MAX)
		pause *= 2;
	return clock_wall() +
	       (pause < PARKED_WAIT_MAX ? pause : PARKED_WAIT_MAX);
}

void peer_park(struct peer *p, const struct peer_item *item, int error,
    const char *text, uint32_t tries)
{
	struct parked_row rows[2];
	struct parked_row *row = &rows[0];

	*row = (struct parked_row){
		.seq = item->seq,
		.op = item->op,
		.source_time = item->time,
		.error = error,
		.tries = tries + 1,
		.since = clock_wall(),
		.next = next_try(tries),
	};
	str_copy(row->follower, sizeof(row->follower), p->id);
	str_copy(row->name, sizeof(row->name), item->name);
	str_copy(row->error_text, sizeof(row->error_text), text);
	/* The peer has the file under its old name, too. */
	rows[1] = *row;
	str_copy(rows[1].name, sizeof(rows[1].name), item->other);
	write_now(p, rows, item->other[0] ? 2 : 1, NULL);
	peer_count_parked(p);
}

void peer_unpark(struct peer *p, const char *name)
{
	write_now(p, NULL, 0, name);
	log_info("sync_parked", "peer=%s name=%s: the peer has it now", p->id,
	    name);
}

static int take_next(void *arg, const struct parked_row *row)
{
	*(wall_t *)arg = row->next;
	return 1;
}

void peer_count_parked(struct peer *p)
{
	int64_t first;

	p->parked_next = 0;
	if (parked_count(p->log, p->id, &p->parked, &first) < 0)
		return;
	if (p->parked > 0)
		(void)parked_each(p->log, p->id, 0, 1, take_next,
		    &p->parked_next);
}

/* --- phase, errors, counts --- */

void peer_phase(struct peer *p, enum peer_phase phase)
{
	if (p->row.phase == phase)
		return;
	p->row.phase = phase;
	p->row.phase_since = clock_wall();
	p->dirty = true;
	/* "log" and "synced" take turns with every operation. */
	p->urgent |= phase != PEER_LOG && phase != PEER_SYNCED;
}

void peer_error(struct peer *p, int error, const char *fmt, ...)
{
	struct peer_row *r = &p->row;
	const int before = r->error;
	const wall_t now = clock_wall();
	const bool again = before == error && now - r->error_at < 60000;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error_text, sizeof(r->error_text), fmt, ap);
	va_end(ap);
	r->error = error;
	r->error_at = now;
	r->errors++;
	p->dirty = true;
	p->urgent |= !again;
	if (!again)
		log_warn("sync_failed", "peer=%s: %s", p->id, r->error_text);
}

void peer_sent(struct peer *p, uint64_t bytes, bool taken)
{
	p->ops[p->bucket]++;
	p->sent_bytes[p->bucket] += bytes;
	p->row.sent_ops += taken;
	p->row.sent_bytes += taken ? bytes : 0;
	p->dirty = true;
	count_add(&p->counters, STAT_total_sync_out_bytes, (int64_t)bytes);
	if (taken)
		count_add(&p->counters, STAT_success_sync_out_bytes,
		    (int64_t)bytes);
	__atomic_add_fetch(&p->st->stat_changes, 1, __ATOMIC_RELAXED);
}

/* Once a second: the rates over the last ten. */
void peer_tick(struct peer *p)
{
	const mono_t now = clock_mono();
	uint64_t ops = 0;
	uint64_t bytes = 0;

	if (now - p->second < MONO_SEC)
		return;
	for (size_t i = 0; i < RATE_SPAN; i++) {
		ops += p->ops[i];
		bytes += p->sent_bytes[i];
	}
	p->dirty |= p->row.rate_ops != ops / RATE_SPAN ||
	            p->row.rate_bytes != bytes / RATE_SPAN;
	p->row.rate_ops = ops / RATE_SPAN;
	p->row.rate_bytes = bytes / RATE_SPAN;
	for (size_t i = 0; i < RATE_SPAN && now - p->second >= MONO_SEC; i++) {
		p->bucket = (p->bucket + 1) % RATE_SPAN;
		p->ops[p->bucket] = p->sent_bytes[p->bucket] = 0;
		p->second += MONO_SEC;
	}
	if (now - p->second >= MONO_SEC)
		p->second = now;
}

/* --- waits --- */

static struct timespec after_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool has_news(const struct peer *p, const uint64_t *commits)
{
	if (peer_quits(p) ||
	    __atomic_load_n(&p->changes, __ATOMIC_SEQ_CST) != p->changes_seen)
		return true;
	return commits &&
	       __atomic_load_n(&p->commits, __ATOMIC_SEQ_CST) != *commits;
}

/* Who wakes first counts and then looks whether it sleeps; here it is the
 * other way round, so no wake-up is lost. */
bool peer_sleep(struct peer *p, int64_t ms, const uint64_t *commits)
{
	const struct timespec until = after_ms(ms);
	bool news;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&p->asleep, true, __ATOMIC_SEQ_CST);
	while (!(news = has_news(p, commits)) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&p->cond, &p->lock, &until);
	__atomic_store_n(&p->asleep, false, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&p->lock);
	return news;
}

/* Part-time, when the window is not the whole day; an end before the start is
 * on the next day. */
bool peer_in_window(const struct peer *p, int64_t *ms)
{
	const struct storage_conf *c = &p->st->conf;
	const int64_t start = c->sync_start_time * 60;
	const int64_t end = c->sync_end_time * 60 + 60;
	const time_t now = clock_wall_sec();
	struct tm tm;
	int64_t at;

	*ms = 0;
	if (start == 0 && end == DAY_SEC)
		return true;
	localtime_r(&now, &tm);
	at = tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
	if (start < end ? at >= start && at < end : at >= start || at < end)
		return true;
	*ms = ((start - at + DAY_SEC) % DAY_SEC) * 1000;
	return false;
}
