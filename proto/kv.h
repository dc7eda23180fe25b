/* SPDX-License-Identifier: MIT */
/*
 * Metadata text (client-protocol 4.10): records ended by 0x01, name and value
 * split by 0x02. Pure, any thread. Parsing borrows from the text.
 */
#ifndef PROTO_KV_H
#define PROTO_KV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define KV_RECORD_SEP '\x01'
#define KV_FIELD_SEP  '\x02'
#define KV_NAME_MAX   64
#define KV_VALUE_MAX  256

struct kv {
	struct span name;
	struct span value;
};

struct kv_list {
	struct kv *items; /* owned; free with kv_list_fini */
	size_t n;
};

/* Follows the observed rules: a record without 0x02 is dropped, names and
 * values are cut at 64 and 256 bytes, a NUL ends the text. 0 or -ENOMEM. */
int kv_parse(struct span text, struct kv_list *out);
/* Sorts by name in byte order; equal names keep their order. */
void kv_sort(struct kv_list *l);
/* M: the first new record of a name replaces the first old one, the second
 * the second ...; the rest is added. The result is sorted and borrows from
 * both. 0 or -ENOMEM. */
int kv_merge(const struct kv_list *old, const struct kv_list *add,
    struct kv_list *out);
/* Bytes of the packed text; no trailing separator. */
size_t kv_packed_size(const struct kv_list *l);
void kv_pack(const struct kv_list *l, char *out);
void kv_list_fini(struct kv_list *l);

#endif
