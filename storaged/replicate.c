/* SPDX-License-Identifier: MIT */
/*
 * The list of senders. It only grows, up to the members a group can have, so
 * that those who wake them after a commit need no lock; a sender whose peer
 * left the group sleeps until that one comes back.
 */
#include "storaged/replicate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "storaged/beat.h"
#include "storaged/peer.h"

struct replicate {
	struct storage *st;
	pthread_mutex_t lock; /* whoever adds */
	bool ending;
	struct peer *peers[PEERS_MAX];
	size_t n;     /* atomic */
	uint64_t own; /* atomic: at the last wake-up */
};

static size_t count_of(const struct replicate *r)
{
	return __atomic_load_n(&r->n, __ATOMIC_ACQUIRE);
}

static void signal_it(struct peer *p)
{
	if (!__atomic_load_n(&p->asleep, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

static void announce(struct peer *p)
{
	__atomic_add_fetch(&p->changes, 1, __ATOMIC_SEQ_CST);
	signal_it(p);
}

static struct peer *find(struct replicate *r, const char *id)
{
	for (size_t i = 0; i < count_of(r); i++) {
		if (strcmp(r->peers[i]->id, id) == 0)
			return r->peers[i];
	}
	return NULL;
}

/* --- one sender --- */

static int init_cond(struct peer *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->cond, &attr);
	pthread_condattr_destroy(&attr);
	return mailbox_init(&p->box);
}

static void free_peer(struct peer *p)
{
	mailbox_fini(&p->box);
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
	free(p->link.out);
	free(p->link.in);
	free(p->arena);
	free(p);
}

static int add(struct replicate *r, const char *id)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	int rc = init_cond(p);

	p->st = r->st;
	str_copy(p->id, sizeof(p->id), id);
	str_copy(p->row.id, sizeof(p->row.id), id);
	p->link.out = xcalloc(1, LINK_OUT);
	p->link.in = xcalloc(1, LINK_IN);
	if (rc == 0)
		rc = -pthread_create(&p->thread, NULL, peer_run, p);
	if (rc < 0) {
		log_error("sync_start", "peer=%s: no thread for it: %s", id,
		    errstr(rc));
		free_peer(p);
		return rc;
	}
	r->peers[r->n] = p;
	__atomic_store_n(&r->n, r->n + 1, __ATOMIC_RELEASE);
	return 0;
}

/* --- all of them --- */

int replicate_start(struct storage *st, struct replicate **out)
{
	struct replicate *r = xcalloc(1, sizeof(*r));

	r->st = st;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void replicate_end(struct replicate *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < r->n; i++) {
		__atomic_store_n(&r->peers[i]->quit, true, __ATOMIC_SEQ_CST);
		announce(r->peers[i]);
	}
	for (size_t i = 0; i < r->n; i++)
		pthread_join(r->peers[i]->thread, NULL);
}

void replicate_free(struct replicate *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free_peer(r->peers[i]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void replicate_go_on(struct replicate *r)
{
	const size_t n = count_of(r);

	for (size_t i = 0; i < n; i++) {
		__atomic_add_fetch(&r->peers[i]->commits, 1, __ATOMIC_SEQ_CST);
		signal_it(r->peers[i]);
	}
}

void replicate_wake(struct replicate *r, uint64_t own)
{
	if (__atomic_load_n(&r->own, __ATOMIC_SEQ_CST) != own &&
	    __atomic_exchange_n(&r->own, own, __ATOMIC_SEQ_CST) != own)
		replicate_go_on(r);
}

static bool is_me(const struct storage *st, const struct msg_brief *b)
{
	return strcmp(b->id, st->me.id) == 0;
}

static bool is_tombstone(const struct msg_brief *b)
{
	return b->status == MEMBER_IP_CHANGED || b->status == MEMBER_DELETED;
}

void replicate_members(struct replicate *r)
{
	struct msg_brief *all = xcalloc(PEERS_MAX + 1, sizeof(*all));
	size_t n;

	pthread_mutex_lock(&r->lock);
	n = r->ending ? 0 : beat_members(r->st->beat, all, PEERS_MAX + 1);
	for (size_t i = 0; i < n; i++) {
		if (!all[i].id[0] || is_me(r->st, &all[i]) ||
		    is_tombstone(&all[i]) || find(r, all[i].id))
			continue;
		if (r->n < PEERS_MAX)
			(void)add(r, all[i].id);
		else
			log_warn("sync_start",
			    "peer=%s: beyond the %d members that a group can "
			    "have; it is not sent to",
			    all[i].id, PEERS_MAX);
	}
	pthread_mutex_unlock(&r->lock);
	free(all);
	for (size_t i = 0; i < count_of(r); i++)
		announce(r->peers[i]);
}

/* For a peer without a sender: the row is changed here and now. */
struct change {
	struct write write;
	const char *id, *to;
};

static int apply_change(struct write *w, struct db *db)
{
	struct change *c = container_of(w, struct change, write);
	int rc = c->to ? peers_rename(db, c->id, c->to) : peers_drop(db, c->id);

	return rc == -ENOENT ? 0 : rc;
}

static void change_row(struct replicate *r, const char *id, const char *to)
{
	struct change c = { .write = { .apply = apply_change },
		.id = id,
		.to = to };
	const int rc = writer_call(r->st->log, &c.write);

	if (rc < 0)
		log_error("sync_row", "peer=%s: %s", id, errstr(rc));
	if (to)
		replicate_reload(r, to);
}

void replicate_forget(struct replicate *r, const char *id)
{
	struct peer *p = find(r, id);

	if (!p) {
		change_row(r, id, NULL);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->forget = true;
	pthread_mutex_unlock(&p->lock);
	announce(p);
}

void replicate_renamed(struct replicate *r, const char *from, const char *to)
{
	struct peer *p = find(r, from);

	if (!p) {
		change_row(r, from, to);
		return;
	}
	pthread_mutex_lock(&p->lock);
	str_copy(p->renamed, sizeof(p->renamed), to);
	pthread_mutex_unlock(&p->lock);
	announce(p);
}

void replicate_look_again(struct replicate *r, const char *id)
{
	struct peer *p = find(r, id);

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->look_again = true;
	pthread_mutex_unlock(&p->lock);
	announce(p);
}

void replicate_reload(struct replicate *r, const char *id)
{
	struct peer *p = find(r, id);

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->reload = true;
	pthread_mutex_unlock(&p->lock);
	announce(p);
}

size_t replicate_states(struct replicate *r, struct peer_row *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < count_of(r) && n < cap; i++) {
		struct peer *p = r->peers[i];

		pthread_mutex_lock(&p->lock);
		out[n] = p->shown;
		pthread_mutex_unlock(&p->lock);
		n += out[n].id[0] != 0;
	}
	return n;
}

size_t replicate_counters(const struct replicate *r,
    const struct counters **out, size_t cap)
{
	size_t n = 0;

	for (; n < count_of(r) && n < cap; n++)
		out[n] = &r->peers[n]->counters;
	return n;
}

/* --- together with beat --- */

static void members_changed(void *arg)
{
	struct storage *st = arg;

	/* The first list may come before beat_start has returned. */
	if (__atomic_load_n(&st->replicating, __ATOMIC_ACQUIRE))
		replicate_members(st->replicate);
}

int replicate_with_beat(struct storage *st)
{
	struct replicate *r;
	int rc = replicate_start(st, &r);

	if (rc < 0)
		return rc;
	__atomic_store_n(&st->replicate, r, __ATOMIC_RELEASE);
	beat_set_watch(st, members_changed, st);
	rc = beat_start(st, &st->beat);
	if (rc < 0)
		return rc;
	__atomic_store_n(&st->replicating, true, __ATOMIC_RELEASE);
	replicate_members(r);
	return 0;
}
