/* SPDX-License-Identifier: MIT */
#include "storaged/busy.h"

#include <string.h>

#include "proto/fileid.h"

static uint64_t hash_of(struct span s)
{
	const uint64_t h = span_hash(s);

	return h ^ h >> 32;
}

static pthread_mutex_t *lock_of(struct busy *b, uint64_t hash)
{
	return &b->locks[hash % ARRAY_LEN(b->locks)];
}

static struct busy_hold **bucket_of(struct busy *b, uint64_t hash)
{
	return &b->buckets[hash % BUSY_BUCKETS];
}

void busy_init(struct busy *b)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < ARRAY_LEN(b->locks); i++)
		pthread_mutex_init(&b->locks[i], NULL);
}

void busy_fini(struct busy *b)
{
	for (size_t i = 0; i < ARRAY_LEN(b->locks); i++)
		pthread_mutex_destroy(&b->locks[i]);
}

static bool same_name(const struct busy_hold *a, const struct busy_hold *h)
{
	return a->hash == h->hash && a->name.n == h->name.n &&
	       memcmp(a->name.p, h->name.p, a->name.n) == 0;
}

static void name_hold(struct busy_hold *hold, struct span name)
{
	hold->name = fileid_owner(name);
	hold->hash = hash_of(hold->name);
}

bool busy_take(struct busy *b, struct busy_hold *hold, struct span name)
{
	struct busy_hold **at;

	name_hold(hold, name);
	hold->next = hold->queue = hold->last = NULL;
	pthread_mutex_lock(lock_of(b, hold->hash));
	at = bucket_of(b, hold->hash);
	while (*at && !same_name(*at, hold))
		at = &(*at)->next;
	if (*at) {
		struct busy_hold *holder = *at;

		if (holder->last)
			holder->last->queue = hold;
		else
			holder->queue = hold;
		holder->last = hold;
	} else {
		*at = hold;
		at = NULL;
	}
	pthread_mutex_unlock(lock_of(b, hold->hash));
	return at == NULL;
}

void busy_drop(struct busy *b, struct busy_hold *hold)
{
	struct busy_hold *heir;
	struct busy_hold **at = bucket_of(b, hold->hash);

	pthread_mutex_lock(lock_of(b, hold->hash));
	heir = hold->queue;
	while (*at != hold)
		at = &(*at)->next;
	if (heir) {
		heir->next = hold->next;
		heir->last = heir == hold->last ? NULL : hold->last;
		*at = heir;
	} else {
		*at = hold->next;
	}
	pthread_mutex_unlock(lock_of(b, hold->hash));
	if (heir)
		job_go_home(&heir->job);
}

static bool is_held(struct busy *b, const struct busy_hold *like)
{
	const struct busy_hold *at;

	pthread_mutex_lock(lock_of(b, like->hash));
	at = *bucket_of(b, like->hash);
	while (at && !same_name(at, like))
		at = at->next;
	pthread_mutex_unlock(lock_of(b, like->hash));
	return at != NULL;
}

static void is_mine(struct job *job)
{
	job->rc = 1;
}

void busy_take_wait(struct busy *b, struct busy_hold *hold, struct span name,
    struct mailbox *mine)
{
	hold->job.home = mine;
	hold->job.done = is_mine;
	hold->job.rc = busy_take(b, hold, name);
	while (!hold->job.rc) {
		mailbox_wait(mine);
		(void)mailbox_run(mine);
	}
}

/* Takes the name in its turn and passes it on at once. */
void busy_wait(struct busy *b, struct span name, struct mailbox *mine)
{
	struct busy_hold hold;

	name_hold(&hold, name);
	if (!is_held(b, &hold))
		return;
	busy_take_wait(b, &hold, name, mine);
	busy_drop(b, &hold);
}
