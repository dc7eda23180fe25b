/* SPDX-License-Identifier: MIT */
/*
 * Blocks are aligned to pages and made when first needed; a free block holds
 * the link to the next free one in its first bytes.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/macros.h"

#define BLOCK_ALIGN 4096

void pool_init(struct pool *p, size_t block_size, size_t cap)
{
	assert(block_size >= sizeof(void *));
	*p = (struct pool){ .block_size = block_size, .cap = cap };
	p->last = &p->first;
}

void pool_fini(struct pool *p)
{
	assert(p->out == 0);
	while (p->free_list) {
		void *block = p->free_list;

		p->free_list = *(void **)block;
		free(block);
	}
	p->made = 0;
}

void *pool_get(struct pool *p)
{
	void *block = p->free_list;

	if (block) {
		p->free_list = *(void **)block;
	} else {
		if (p->made >= p->cap ||
		    posix_memalign(&block, BLOCK_ALIGN, p->block_size) != 0)
			return NULL;
		p->made++;
	}
	p->out++;
	return block;
}

static struct pool_waiter *pop_waiter(struct pool *p)
{
	struct pool_waiter *w = p->first;

	p->first = w->next;
	if (!p->first)
		p->last = &p->first;
	w->next = NULL;
	w->queued = 0;
	return w;
}

void pool_put(struct pool *p, void *block)
{
	struct pool_waiter **end = p->last;
	bool more = p->first != NULL;

	*(void **)block = p->free_list;
	p->free_list = block;
	p->out--;
	/* A waiter that no longer wants a block must not leave those behind
	 * it asleep. Who waits again in ready() is not called again here. */
	while (more && p->first && p->out < p->cap) {
		struct pool_waiter *w = pop_waiter(p);

		more = &w->next != end;
		w->ready(w);
	}
}

void pool_wait(struct pool *p, struct pool_waiter *w)
{
	if (w->queued)
		return;
	w->next = NULL;
	w->queued = 1;
	*p->last = w;
	p->last = &w->next;
}

void pool_unwait(struct pool *p, struct pool_waiter *w)
{
	struct pool_waiter **at = &p->first;

	if (!w->queued)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (!w->next)
		p->last = at;
	w->next = NULL;
	w->queued = 0;
}
