/* SPDX-License-Identifier: MIT */
/*
 * Names compare by unsigned byte value, a shorter one first. The sort is a
 * stable merge sort: FastDFS keeps records of one name in their order.
 */
#include "proto/kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int name_cmp(const struct span *a, const struct span *b)
{
	const size_t n = size_min(a->n, b->n);
	const int c = n ? memcmp(a->p, b->p, n) : 0;

	if (c)
		return c;
	return (a->n > b->n) - (a->n < b->n);
}

static struct span cut(const char *p, size_t n, size_t max)
{
	return (struct span){ p, size_min(n, max) };
}

static size_t count_records(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == KV_RECORD_SEP;
	return n + 1;
}

int kv_parse(struct span text, struct kv_list *out)
{
	const char *nul = text.n ? memchr(text.p, 0, text.n) : NULL;
	const char *p = text.p;
	const char *end;

	out->items = NULL;
	out->n = 0;
	if (nul)
		text.n = (size_t)(nul - text.p);
	if (text.n == 0)
		return 0;
	out->items = calloc(count_records(text), sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	for (end = p + text.n; p < end;) {
		const size_t left = (size_t)(end - p);
		const char *sep = memchr(p, KV_RECORD_SEP, left);
		const size_t n = sep ? (size_t)(sep - p) : left;
		const char *eq = memchr(p, KV_FIELD_SEP, n);

		if (eq) {
			const size_t name = (size_t)(eq - p);
			struct kv *kv = &out->items[out->n++];

			kv->name = cut(p, name, KV_NAME_MAX);
			kv->value = cut(eq + 1, n - name - 1, KV_VALUE_MAX);
		}
		p += n + (sep ? 1 : 0);
	}
	return 0;
}

/* Slow for long lists, but needs no memory. */
static void insertion_sort(struct kv *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct kv kv = v[i];
		size_t k = i;

		for (; k > 0 && name_cmp(&v[k - 1].name, &kv.name) > 0; k--)
			v[k] = v[k - 1];
		v[k] = kv;
	}
}

/* Merges the sorted halves [0, mid) and [mid, n) of from into to. */
static void merge_halves(const struct kv *from, size_t mid, size_t n,
    struct kv *to)
{
	size_t a = 0;
	size_t b = mid;

	for (size_t i = 0; i < n; i++) {
		if (b == n ||
		    (a < mid && name_cmp(&from[a].name, &from[b].name) <= 0))
			to[i] = from[a++];
		else
			to[i] = from[b++];
	}
}

#define SMALL 16

void kv_sort(struct kv_list *l)
{
	struct kv *from = l->items;
	struct kv *to = NULL;

	if (l->n > SMALL)
		to = calloc(l->n, sizeof(*to));
	if (!to) {
		insertion_sort(l->items, l->n);
		return;
	}
	for (size_t at = 0; at < l->n; at += SMALL)
		insertion_sort(from + at, size_min(SMALL, l->n - at));
	for (size_t run = SMALL; run < l->n; run *= 2) {
		struct kv *swap = from;

		for (size_t at = 0; at < l->n; at += 2 * run) {
			const size_t n = size_min(2 * run, l->n - at);

			merge_halves(from + at, size_min(run, n), n, to + at);
		}
		from = to;
		to = swap;
	}
	if (from != l->items) {
		memcpy(l->items, from, l->n * sizeof(*from));
		to = from;
	}
	free(to);
}

/* Both sorted: the first new record of a name takes the place of the first
 * old one, the second of the second, and so on. */
static size_t merge_sorted(const struct kv_list *old, const struct kv_list *add,
    struct kv *out)
{
	size_t o = 0;
	size_t a = 0;
	size_t n = 0;

	while (o < old->n && a < add->n) {
		const int cmp =
		    name_cmp(&old->items[o].name, &add->items[a].name);

		out[n++] = cmp < 0 ? old->items[o] : add->items[a];
		o += cmp <= 0;
		a += cmp >= 0;
	}
	while (o < old->n)
		out[n++] = old->items[o++];
	while (a < add->n)
		out[n++] = add->items[a++];
	return n;
}

int kv_merge(const struct kv_list *old, const struct kv_list *add,
    struct kv_list *out)
{
	const size_t n = old->n + add->n;
	struct kv_list o = { NULL, old->n };
	struct kv_list a = { NULL, add->n };

	*out = (struct kv_list){ NULL, 0 };
	if (n == 0)
		return 0;
	o.items = calloc(n, sizeof(*o.items));
	out->items = calloc(n, sizeof(*out->items));
	if (!o.items || !out->items) {
		free(o.items);
		free(out->items);
		out->items = NULL;
		return -ENOMEM;
	}
	a.items = o.items + o.n;
	if (o.n)
		memcpy(o.items, old->items, o.n * sizeof(*o.items));
	if (a.n)
		memcpy(a.items, add->items, a.n * sizeof(*a.items));
	kv_sort(&o);
	kv_sort(&a);
	out->n = merge_sorted(&o, &a, out->items);
	free(o.items);
	return 0;
}

size_t kv_packed_size(const struct kv_list *l)
{
	size_t n = l->n ? l->n - 1 : 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->items[i].name.n + 1 + l->items[i].value.n;
	return n;
}

static char *put(char *to, struct span s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

void kv_pack(const struct kv_list *l, char *out)
{
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			*out++ = KV_RECORD_SEP;
		out = put(out, l->items[i].name);
		*out++ = KV_FIELD_SEP;
		out = put(out, l->items[i].value);
	}
}

void kv_list_fini(struct kv_list *l)
{
	free(l->items);
	l->items = NULL;
	l->n = 0;
}
