/* SPDX-License-Identifier: MIT */
/*
 * One connection's worth of sending: files while filling, then the log, with
 * repairs in between; asleep at the end of the log until a commit wakes it.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "meta/event.h"
#include "proto/msg.h"
#include "storaged/beat.h"
#include "storaged/redo.h"

#define SAVE_MS 250

void peer_pass(struct peer *p, uint64_t seq, const char *name)
{
	struct peer_link *l = &p->link;
	struct sent *tail;

	if (l->n == 0) {
		if (seq)
			p->acked = seq;
		if (name)
			str_copy(p->acked_name, sizeof(p->acked_name), name);
		return;
	}
	tail = &l->ring[(l->first + l->n - 1) % LINK_WINDOW];
	if (seq)
		tail->pass = seq;
	if (name)
		str_copy(tail->pass_name, sizeof(tail->pass_name), name);
}

void peer_fix(struct peer *p, const struct peer_item *item, enum peer_cure cure,
    int status)
{
	struct peer_fix *last = p->n_fixes ? &p->fixes[p->n_fixes - 1] : NULL;

	if (last && last->cure == cure &&
	    strcmp(last->item.name, item->name) == 0 &&
	    strcmp(last->item.other, item->other) == 0)
		return;
	if (p->n_fixes == ARRAY_LEN(p->fixes)) {
		/* None may be passed over: all is sent again. */
		p->link.dead = -EOVERFLOW;
		return;
	}
	p->fixes[p->n_fixes++] =
	    (struct peer_fix){ .item = *item, .cure = cure, .status = status };
}

void peer_settle(struct peer *p)
{
	struct peer_row *r = &p->row;

	if (p->n_fixes > 0)
		return;
	if (p->acked > r->seq) {
		r->seq = p->acked;
		r->moved = clock_wall();
		p->dirty = true;
	}
	if (strcmp(p->acked_name, r->fill_after) > 0) {
		r->moved = clock_wall();
		str_copy(r->fill_after, sizeof(r->fill_after), p->acked_name);
		p->dirty = true;
	}
	if (p->lost > 0 && (r->seq != p->lost_seq ||
	                       strcmp(r->fill_after, p->lost_name) != 0)) {
		p->lost = 0;
		if (!p->one_by_one && p->st->conf.sync_interval == 0)
			p->link.window = LINK_WINDOW;
	}
}

bool peer_is_walking(const struct peer *p)
{
	return !p->row.filled && strcmp(p->row.fill_after, FILL_DONE) != 0;
}

/* Not while something is parked that a timestamp would pass (3.11). Nor, when
 * readers are sent to the peer already, while files come in order of names. */
bool peer_counts(const struct peer *p)
{
	return p->parked == 0 && (p->row.source || !peer_is_walking(p));
}

/* All files were walked, or the end of the log was reached while filling. */
static void next_stage(struct peer *p)
{
	if (peer_is_walking(p)) {
		str_copy(p->acked_name, sizeof(p->acked_name), FILL_DONE);
		peer_settle(p);
		return;
	}
	p->row.filled = true;
	p->dirty = p->urgent = true;
	catalogue_event(p->st->catalogue, "FD-SYNC-04", EVENT_INFO, p->id,
	    "has all older files");
	log_info("sync_filled", "peer=%s files=%llu: has all older files",
	    p->id, (unsigned long long)p->row.fill_files);
}

static int still_there(struct peer *p)
{
	static const struct peer_item none = { .seq = 0 };
	uint8_t head[HEADER_SIZE];
	int rc;

	header_put(head, 0, CMD_active_test, 0);
	(void)link_add(p, CMD_active_test, &none);
	rc = link_put(p, head, sizeof(head));
	return rc < 0 ? rc : link_drain(p);
}

static int64_t time_to_sleep(const struct peer *p, int64_t beat)
{
	int64_t ms = beat;

	if (p->dirty && ms > SAVE_MS)
		ms = SAVE_MS;
	if (p->row.rate_ops > 0 && ms > 1000)
		ms = 1000;
	if (p->parked_next > 0 && p->parked_next - clock_wall() < ms)
		ms = p->parked_next - clock_wall();
	return ms > 0 ? ms : 0;
}

/* A change that a disk here has refused comes first. The error is later than
 * the phase: pairs_why tells it by that. */
static void tell_stuck(struct peer *p)
{
	char text[PEER_TEXT_SIZE];

	redo_text(p->st->redo, text, sizeof(text));
	if (!text[0])
		return;
	if (p->row.phase == PEER_WAIT && strcmp(text, p->row.error_text) == 0)
		return;
	peer_phase(p, PEER_WAIT);
	peer_error(p, EIO, "%s", text);
}

/* Nothing is to be sent. */
static int rest(struct peer *p, uint64_t commits, mono_t *spoke)
{
	const int64_t beat = __atomic_load_n(&p->st->conf.heart_beat_interval,
	                         __ATOMIC_RELAXED) *
	                     1000;

	if (p->stuck)
		tell_stuck(p);
	else
		peer_phase(p, p->parked ? PEER_LOG : PEER_SYNCED);
	peer_save(p, false);
	if (peer_sleep(p, time_to_sleep(p, beat), &commits))
		return 0;
	if (clock_mono() - *spoke < (mono_t)beat * MONO_MS)
		return 0;
	*spoke = clock_mono();
	return still_there(p);
}

static int repair(struct peer *p)
{
	int rc = link_drain(p);

	if (rc == 0)
		rc = repair_fixes(p);
	peer_settle(p);
	return rc;
}

static bool is_due(const struct peer *p)
{
	return p->parked > 0 && parked_is_due(p->parked_next, clock_wall());
}

static int retry(struct peer *p)
{
	int rc = link_drain(p);

	/* First what this turned up; what is parked comes round again. */
	return rc < 0 || p->n_fixes > 0 ? rc : repair_parked(p);
}

/* A pause after each operation (sync_interval). */
static int pause_after(struct peer *p)
{
	const int64_t ms = p->st->conf.sync_interval;
	int rc;

	if (ms == 0)
		return 0;
	rc = link_drain(p);
	if (rc == 0)
		(void)peer_sleep(p, ms, NULL);
	return rc;
}

static int send_more(struct peer *p, mono_t *spoke)
{
	const uint64_t commits = __atomic_load_n(&p->commits, __ATOMIC_SEQ_CST);
	const bool walking = peer_is_walking(p);
	int rc = walking ? fill_step(p) : log_step(p);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		*spoke = clock_mono();
		if (walking || p->row.phase != PEER_FILL)
			peer_phase(p, walking ? PEER_FILL : PEER_LOG);
		return pause_after(p);
	}
	if (p->link.n > 0)
		return link_take(p);
	if (!p->row.filled && !p->stuck) {
		next_stage(p);
		return 0;
	}
	return rest(p, commits, spoke);
}

/* Does replicate.c want something that peer.c does? */
static bool is_wanted(struct peer *p)
{
	bool wanted;

	pthread_mutex_lock(&p->lock);
	wanted = p->forget || p->reload || p->look_again || p->renamed[0];
	pthread_mutex_unlock(&p->lock);
	return wanted;
}

/* May it go on? 0, 1: the pair's state says no, or another connection is
 * needed. */
static int look_around(struct peer *p)
{
	const unsigned changes = __atomic_load_n(&p->changes, __ATOMIC_SEQ_CST);
	int64_t ms;

	if (peer_quits(p))
		return 1;
	if (changes != p->changes_seen) {
		p->changes_seen = changes;
		if (is_wanted(p) || !peer_may_send(p))
			return 1;
	}
	return p->link.named != peer_counts(p) || !peer_in_window(p, &ms);
}

/* What was refused with 22 is parked though its connection is gone: true. */
static bool end(struct peer *p)
{
	const size_t fixes = p->n_fixes;
	size_t kept = 0;

	for (size_t i = 0; i < p->n_fixes; i++) {
		const struct peer_fix *f = &p->fixes[i];

		if (f->status == EINVAL && kept == 0) {
			peer_error(p, EINVAL, "%s: %s", f->item.name,
			    errstr(-EINVAL));
			peer_park(p, &f->item, EINVAL, errstr(-EINVAL), 0);
		} else {
			kept++;
		}
	}
	if (kept == 0)
		p->n_fixes = 0;
	peer_settle(p);
	p->n_fixes = 0;
	peer_save(p, true);
	return kept < fixes;
}

int peer_session(struct peer *p)
{
	const bool walking = peer_is_walking(p);
	const bool filled = p->row.filled;
	mono_t spoke = clock_mono();
	int rc = 0;

	p->read = p->acked = p->row.seq;
	str_copy(p->read_name, sizeof(p->read_name), p->row.fill_after);
	str_copy(p->acked_name, sizeof(p->acked_name), p->row.fill_after);
	p->page_n = p->page_at = p->n_fixes = 0;
	p->stuck = false;
	p->suspect.name[0] = 0;
	p->refused = 0;
	p->moved_until = oplog_last(p->log, NULL);
	while (rc == 0 && look_around(p) == 0 && p->row.filled == filled &&
	       peer_is_walking(p) == walking) {
		peer_tick(p);
		peer_settle(p);
		peer_save(p, false);
		if (p->n_fixes > 0)
			rc = repair(p);
		else if (is_due(p))
			rc = retry(p);
		else
			rc = send_more(p, &spoke);
	}
	if (rc == 0)
		rc = link_drain(p);
	if (rc == 0 && p->n_fixes > 0)
		rc = peer_quits(p) ? 0 : repair(p);
	return end(p) && rc != -ECANCELED ? 1 : rc;
}
