/* SPDX-License-Identifier: MIT */
/* The order of files means nothing: the last one fills the place of one taken.
 */
#include "test/bench/load_pool.h"

#include "test/bench/load_content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAKE_TRIES 8

struct file *file_new(const void *name, size_t len)
{
	struct file *f = calloc(1, sizeof(*f) + len);

	if (!f)
		return NULL;
	f->name_len = (uint8_t)len;
	memcpy(f->name, name, len);
	return f;
}

int pool_put(struct pool *p, struct file *f)
{
	if (p->n == p->cap) {
		const size_t cap = p->cap ? p->cap * 2 : 1024;
		struct file **files =
		    reallocarray(p->files, cap, sizeof(struct file *));

		if (!files) {
			free(f);
			return -ENOMEM;
		}
		p->files = files;
		p->cap = cap;
	}
	p->files[p->n++] = f;
	return 0;
}

struct file *pool_pick(struct pool *p, uint64_t *random)
{
	return p->files[random_below(random, p->n)];
}

struct file *pool_take(struct pool *p, uint64_t *random)
{
	for (int i = 0; i < TAKE_TRIES && p->n > 0; i++) {
		const size_t at =
		    random ? random_below(random, p->n) : p->n - 1;
		struct file *f = p->files[at];

		if (f->readers > 0)
			continue;
		p->files[at] = p->files[--p->n];
		return f;
	}
	return NULL;
}

void pool_free(struct pool *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->files[i]);
	free(p->files);
	memset(p, 0, sizeof(*p));
}
