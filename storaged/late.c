/* SPDX-License-Identifier: MIT */
#include "storaged/late.h"

#include <pthread.h>
#include <string.h>

#include "base/addr.h"
#include "base/str.h"
#include "proto/command.h"

#define SENDERS 128 /* more than a group has members; the oldest makes room */

struct sender {
	char ip[ADDR_IP_MAX];
	char id[STORAGE_ID_SIZE + 1];
	uint64_t newest;
};

static struct {
	pthread_mutex_t lock;
	size_t n;
	size_t next;
	struct sender all[SENDERS];
} senders = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The lock is held. */
static struct sender *add(const char *ip, const char *id)
{
	struct sender *s = &senders.all[senders.next++ % SENDERS];

	if (senders.n < SENDERS)
		senders.n++;
	str_copy(s->ip, sizeof(s->ip), ip);
	str_copy(s->id, sizeof(s->id), id);
	s->newest = 0;
	return s;
}

bool late_is(const char *ip, const char *id, uint64_t number)
{
	struct sender *mine = NULL;
	bool late = false;

	pthread_mutex_lock(&senders.lock);
	for (size_t i = 0; i < senders.n; i++) {
		struct sender *s = &senders.all[i];
		const bool same = strcmp(s->id, id) == 0;

		if (strcmp(s->ip, ip) != 0 || !(same || !id[0] || !s->id[0]))
			continue;
		if (same)
			mine = s;
		late = late || s->newest > number;
	}
	if (!late) {
		if (!mine)
			mine = add(ip, id);
		mine->newest = number;
	}
	pthread_mutex_unlock(&senders.lock);
	return late;
}
