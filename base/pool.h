/* SPDX-License-Identifier: MIT */
/*
 * Blocks of one size with a cap, for the I/O of one event loop. Not locked:
 * a pool and its blocks are taken and put back by the thread that owns the
 * pool; a block may be lent to a worker together with a job. Who finds no
 * block waits in line and is called when one comes back.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool_waiter {
	struct pool_waiter *next;
	void (*ready)(struct pool_waiter *w); /* may call pool_get */
	int queued;
};

struct pool {
	size_t block_size;
	size_t cap;  /* blocks at most */
	size_t made; /* blocks that exist */
	size_t out;  /* of these, taken */
	void *free_list;
	struct pool_waiter *first;
	struct pool_waiter **last;
};

void pool_init(struct pool *p, size_t block_size, size_t cap);
void pool_fini(struct pool *p);
/* A block, last returned first (it is warm), or NULL at the cap. */
void *pool_get(struct pool *p);
/* Puts it back, then calls the first waiter if there is one. */
void pool_put(struct pool *p, void *block);
void pool_wait(struct pool *p, struct pool_waiter *w);
void pool_unwait(struct pool *p, struct pool_waiter *w);

#endif
