/* SPDX-License-Identifier: MIT */
/*
 * Sets of four names by hash, of which the oldest makes room. Whole names are
 * compared: to take another file for one that is gone would lose it.
 */
#include "storaged/gone.h"

#include <pthread.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "meta/oplog.h"
#include "proto/fileid.h"

#define SETS      16384
#define WAYS      4
#define NAME_SIZE 64 /* names of files that are no slaves are shorter */
#define ID_SIZE   17
#define LOAD_ROWS 100000
#define PAGE      1000

struct entry {
	char name[NAME_SIZE];
	char by[ID_SIZE];
};

static struct {
	pthread_mutex_t lock;
	bool any; /* atomic */
	unsigned char next[SETS];
	struct entry sets[SETS][WAYS];
} gone = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_given_once(const char *name)
{
	struct fileid_name fn;

	return strlen(name) < NAME_SIZE &&
	       fileid_parse(span_of(name), &fn) == 0 && fn.has_record &&
	       fn.type != FILE_SLAVE;
}

static size_t set_of(const char *name)
{
	const uint64_t h = span_hash(span_of(name));

	return (h ^ h >> 32) % SETS;
}

/* The lock is held. */
static struct entry *find(size_t set, const char *name)
{
	for (size_t i = 0; i < WAYS; i++)
		if (strcmp(gone.sets[set][i].name, name) == 0)
			return &gone.sets[set][i];
	return NULL;
}

void gone_note(const char *name, const char *by)
{
	const size_t set = set_of(name);
	struct entry *at;

	if (!is_given_once(name))
		return;
	pthread_mutex_lock(&gone.lock);
	at = find(set, name);
	if (!at)
		at = &gone.sets[set][gone.next[set]++ % WAYS];
	str_copy(at->name, sizeof(at->name), name);
	str_copy(at->by, sizeof(at->by), by);
	__atomic_store_n(&gone.any, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&gone.lock);
}

void gone_forget(const char *name)
{
	struct entry *at;

	pthread_mutex_lock(&gone.lock);
	at = find(set_of(name), name);
	if (at)
		at->name[0] = 0;
	pthread_mutex_unlock(&gone.lock);
}

bool gone_for(const char *name, const char *peer)
{
	const struct entry *at;
	bool is;

	if (!__atomic_load_n(&gone.any, __ATOMIC_RELAXED))
		return false;
	pthread_mutex_lock(&gone.lock);
	at = find(set_of(name), name);
	is = at && (strcmp(at->by, GONE_OWN) == 0 || strcmp(at->by, peer) != 0);
	pthread_mutex_unlock(&gone.lock);
	return is;
}

/* --- from the log --- */

static bool take_name(struct span s, char out[NAME_SIZE])
{
	return s.n < NAME_SIZE && str_copy_span(out, NAME_SIZE, s);
}

/* Whose a replica was the log does not tell. */
static int take_row(void *arg, const struct op *op)
{
	const bool moved = op->code == OP_RENAME;
	char name[NAME_SIZE];

	*(uint64_t *)arg = op->seq;
	if ((moved || op->code == OP_CREATE) && take_name(op->name, name))
		gone_forget(name);
	if (!op->replica && (moved || op->code == OP_DELETE) &&
	    take_name(moved ? op->extra : op->name, name))
		gone_note(name, GONE_OWN);
	return 0;
}

int gone_load(struct db *log)
{
	uint64_t last = oplog_last(log, NULL);
	int n;

	last = last > LOAD_ROWS ? last - LOAD_ROWS : 0;
	do {
		n = oplog_read(log, last, PAGE, take_row, &last);
	} while (n > 0);
	return n;
}
