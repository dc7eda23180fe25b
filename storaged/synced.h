/* SPDX-License-Identifier: MIT */
/*
 * How far each member of the group has been received from: the largest time
 * of an operation that came over a connection with a handshake from it and is
 * durable here (cluster-protocol 3.11). In memory only, 0 at start. Any
 * thread.
 */
#ifndef STORAGED_SYNCED_H
#define STORAGED_SYNCED_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define SYNCED_MAX 32

struct synced_entry {
	char id[17];
	int64_t time; /* unix, at the source */
};

struct synced {
	pthread_mutex_t lock;
	struct synced_entry entries[SYNCED_MAX];
	size_t n;
	unsigned changes; /* moves with every advance */
};

void synced_init(struct synced *s);
void synced_fini(struct synced *s);
void synced_note(struct synced *s, const char *id, int64_t time);
/* A copy; *changes: the counter that goes with it. Gives how many. */
size_t synced_get(struct synced *s, struct synced_entry *out, size_t cap,
    unsigned *changes);

#endif
