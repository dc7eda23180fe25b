/* SPDX-License-Identifier: MIT */
#include "storaged/early.h"

#include <pthread.h>
#include <string.h>

#include "base/str.h"
#include "proto/command.h"

#define EARLY_MAX 256 /* more than all members send at the same time */

static struct {
	pthread_mutex_t lock;
	unsigned n;    /* atomic: how many are kept */
	unsigned next; /* when all places are taken, this one is */
	char names[EARLY_MAX][FILE_NAME_MAX + 1];
} early = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The lock is held. NULL: it is not there. "" finds a free place. */
static char *find(const char *name)
{
	for (size_t i = 0; i < EARLY_MAX; i++)
		if (strcmp(early.names[i], name) == 0)
			return early.names[i];
	return NULL;
}

/* The lock is held. */
static char *new_place(void)
{
	char *at = find("");

	if (!at)
		return early.names[early.next++ % EARLY_MAX];
	__atomic_fetch_add(&early.n, 1, __ATOMIC_RELAXED);
	return at;
}

void early_note(const char *name)
{
	pthread_mutex_lock(&early.lock);
	if (!find(name))
		str_copy(new_place(), sizeof(early.names[0]), name);
	pthread_mutex_unlock(&early.lock);
}

bool early_take(const char *name)
{
	char *at;

	if (__atomic_load_n(&early.n, __ATOMIC_RELAXED) == 0)
		return false;
	pthread_mutex_lock(&early.lock);
	at = find(name);
	if (at) {
		at[0] = 0;
		__atomic_fetch_sub(&early.n, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&early.lock);
	return at != NULL;
}
