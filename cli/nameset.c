/* SPDX-License-Identifier: MIT */
#include "cli/nameset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 1024

/* Where the name is, or where it would go. */
static size_t slot_of(const struct nameset *s, struct span name)
{
	size_t i = (size_t)span_hash(name) & (s->cap - 1);

	while (s->slots[i] && !span_eq(name, s->slots[i]->name))
		i = (i + 1) & (s->cap - 1);
	return i;
}

static void grow(struct nameset *s)
{
	struct nameset larger = { .cap = s->cap ? s->cap * 2 : FIRST_CAP };

	larger.slots = xcalloc(larger.cap, sizeof(struct name_entry *));
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			larger.slots[slot_of(&larger,
			    span_of(s->slots[i]->name))] = s->slots[i];
	larger.n = s->n;
	free(s->slots);
	*s = larger;
}

struct name_entry *nameset_add(struct nameset *s, struct span name)
{
	struct name_entry *e;
	size_t i;

	if (s->n * 2 >= s->cap)
		grow(s);
	i = slot_of(s, name);
	if (s->slots[i])
		return s->slots[i];
	e = xcalloc(1, sizeof(*e) + name.n + 1);
	memcpy(e->name, name.p, name.n);
	s->slots[i] = e;
	s->n++;
	return e;
}

struct name_entry *nameset_find(const struct nameset *s, struct span name)
{
	return s->cap ? s->slots[slot_of(s, name)] : NULL;
}

void nameset_fini(struct nameset *s)
{
	for (size_t i = 0; i < s->cap; i++)
		free(s->slots[i]);
	free(s->slots);
	*s = (struct nameset){ NULL, 0, 0 };
}
