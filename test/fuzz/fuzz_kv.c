/* SPDX-License-Identifier: MIT */
/*
 * Byte 0 cuts the rest into the metadata a file has and the one that is
 * merged: packing what was parsed parses to the same, sorting is stable, and
 * a merge loses nothing.
 */
#include <string.h>

#include "base/macros.h"
#include "proto/kv.h"
#include "test/fuzz/fuzz.h"

static bool same_span(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static int order(struct span a, struct span b)
{
	const size_t n = size_min(a.n, b.n);
	const int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static void check_sorted(const struct kv_list *l)
{
	for (size_t i = 1; i < l->n; i++)
		promise(order(l->items[i - 1].name, l->items[i].name) <= 0,
		    "sorted by name");
}

/* Among names of one text, those that are equal stand in its order. */
static void check_stable(const struct kv_list *l)
{
	for (size_t i = 1; i < l->n; i++) {
		const struct kv *a = &l->items[i - 1];
		const struct kv *b = &l->items[i];

		promise(order(a->name, b->name) != 0 || a->name.p < b->name.p,
		    "equal names keep their order");
	}
}

static void check_pack(const struct kv_list *l)
{
	const size_t n = kv_packed_size(l);
	char *text = malloc(n + 1);
	struct kv_list again;

	promise(text != NULL, "there is memory");
	text[n] = 0x5a;
	kv_pack(l, text);
	promise(text[n] == 0x5a, "packing stays in its size");
	promise(kv_parse((struct span){ text, n }, &again) == 0,
	    "there is memory");
	promise(again.n == l->n, "packed text parses to as many records");
	for (size_t i = 0; i < l->n; i++)
		promise(same_span(again.items[i].name, l->items[i].name) &&
		            same_span(again.items[i].value, l->items[i].value),
		    "and to the same");
	kv_list_fini(&again);
	free(text);
}

static size_t count(const struct kv_list *l, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += same_span(l->items[i].name, name);
	return n;
}

static void check_merge(const struct kv_list *old, const struct kv_list *add)
{
	struct kv_list out;
	size_t added = 0;

	promise(kv_merge(old, add, &out) == 0, "there is memory");
	check_sorted(&out);
	check_pack(&out);
	for (size_t i = 0; i < add->n; i++) {
		added += count(old, add->items[i].name) == 0;
		promise(count(&out, add->items[i].name) > 0,
		    "what is merged is there");
	}
	promise(out.n == old->n + added, "a merge loses nothing");
	kv_list_fini(&out);
}

static void check_limits(const struct kv_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		promise(l->items[i].name.n <= KV_NAME_MAX &&
		            l->items[i].value.n <= KV_VALUE_MAX,
		    "names and values are cut");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kv_list old;
	struct kv_list add;
	const char *text = (const char *)data + 1;
	size_t cut;

	if (n < 1 || n > 4096)
		return 0;
	cut = (n - 1) * data[0] / 256;
	promise(kv_parse((struct span){ text, cut }, &old) == 0 &&
	            kv_parse((struct span){ text + cut, n - 1 - cut }, &add) ==
	                0,
	    "there is memory");
	check_limits(&old);
	check_pack(&old);
	check_merge(&old, &add);
	kv_sort(&old);
	check_sorted(&old);
	check_stable(&old);
	kv_list_fini(&old);
	kv_list_fini(&add);
	return 0;
}
