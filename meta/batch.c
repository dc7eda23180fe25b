/* SPDX-License-Identifier: MIT */
#include "meta/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define CHUNK_MIN ((size_t)256 * 1024)

struct batch_chunk {
	struct batch_chunk *next;
	size_t used;
	size_t cap;
	char bytes[];
};

void batch_init(struct batch *b)
{
	memset(b, 0, sizeof(*b));
}

/* Keeps one chunk for the next time. */
static void clear(struct batch *b)
{
	b->n = 0;
	while (b->chunks && b->chunks->next) {
		struct batch_chunk *old = b->chunks;

		b->chunks = old->next;
		free(old);
	}
	if (b->chunks)
		b->chunks->used = 0;
}

void batch_fini(struct batch *b)
{
	clear(b);
	free(b->chunks);
	free(b->ops);
	batch_init(b);
}

/* Room for n bytes that stays where it is, or NULL. */
static char *take(struct batch *b, size_t n)
{
	struct batch_chunk *c = b->chunks;

	if (!c || c->cap - c->used < n) {
		const size_t cap = size_max(n, CHUNK_MIN);

		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->next = b->chunks;
		c->used = 0;
		c->cap = cap;
		b->chunks = c;
	}
	c->used += n;
	return c->bytes + c->used - n;
}

static struct span copy(char **at, struct span s)
{
	const struct span out = { *at, s.n };

	memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

static int add(void *arg, const struct op *op)
{
	struct batch *b = arg;
	char *at = take(b, op->name.n + op->client.n + op->extra.n);

	if (!at)
		return -ENOMEM;
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1024;
		b->ops = xrealloc(b->ops, b->cap, sizeof(*b->ops));
	}

	struct op *o = &b->ops[b->n++];

	*o = *op;
	o->name = copy(&at, op->name);
	o->client = copy(&at, op->client);
	o->extra = copy(&at, op->extra);
	return 0;
}

int batch_read(struct batch *b, struct db *log, uint64_t after, size_t max)
{
	clear(b);
	return oplog_read(log, after, max, add, b);
}

static int by_name(const void *x, const void *y)
{
	const struct op *a = x;
	const struct op *b = y;
	const int c =
	    memcmp(a->name.p, b->name.p, size_min(a->name.n, b->name.n));

	if (c)
		return c;
	if (a->name.n != b->name.n)
		return a->name.n < b->name.n ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

void batch_sort(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->ops[i].code == OP_RENAME)
			return;
	qsort(b->ops, b->n, sizeof(*b->ops), by_name);
}
