/* SPDX-License-Identifier: MIT */
#include "storaged/synced.h"

#include <string.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"

void synced_init(struct synced *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
}

void synced_fini(struct synced *s)
{
	pthread_mutex_destroy(&s->lock);
}

/* The lock is held. A group has no more members than entries (0.7.3): the one
 * that was heard of longest ago makes room, it must have left. */
static struct synced_entry *entry_of(struct synced *s, const char *id)
{
	struct synced_entry *e = s->entries;
	struct synced_entry *oldest = e;

	for (size_t i = 0; i < s->n; i++, e++) {
		if (strcmp(e->id, id) == 0)
			return e;
		if (e->time < oldest->time)
			oldest = e;
	}
	if (s->n < SYNCED_MAX)
		oldest = &s->entries[s->n++];
	else
		log_warn("synced_full",
		    "id=%s: more than %d members send here; %s is forgotten",
		    id, SYNCED_MAX, oldest->id);
	str_copy(oldest->id, sizeof(oldest->id), id);
	oldest->time = 0;
	return oldest;
}

void synced_note(struct synced *s, const char *id, int64_t time)
{
	struct synced_entry *e;

	pthread_mutex_lock(&s->lock);
	e = entry_of(s, id);
	if (time > e->time) {
		e->time = time;
		s->changes++;
	}
	pthread_mutex_unlock(&s->lock);
}

size_t synced_get(struct synced *s, struct synced_entry *out, size_t cap,
    unsigned *changes)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = size_min(s->n, cap);
	memcpy(out, s->entries, n * sizeof(*out));
	*changes = s->changes;
	pthread_mutex_unlock(&s->lock);
	return n;
}
