/* SPDX-License-Identifier: MIT */
/*
 * One operation of the log applied to the tables of the catalogue. For the
 * thread that holds the writing handle, inside its transaction; used by the
 * catalogue's thread and by adopt.
 */
#ifndef META_APPLY_H
#define META_APPLY_H

#include <stdint.h>

#include "meta/catalogue.h"
#include "meta/usage.h"

struct apply {
	struct db *db;
	name_reader read_name;
	const char *name_key; /* metadata key of the original name, or "" */
	struct usage *usage;
	uint64_t unknown; /* own operations on files the catalogue lacks; a
	                     peer may well send such ones */
};

/* A file found on disk, for adopt. */
struct found_file {
	int64_t id; /* of its row: negative */
	struct span name;
	struct name_facts facts;
	uint64_t size;
	wall_t created;
	wall_t modified;
};

/* 0 or -errno; an operation that the file's row has had already is passed
 * over. Counts in usage; who commits calls usage_flush before. */
int apply_op(struct apply *a, const struct op *op);
int apply_found(struct apply *a, const struct found_file *f);
/* Replaces the metadata of a row by a packed text (records ended by 0x01,
 * name and value split by 0x02); sets the original name. */
int apply_attrs(struct apply *a, int64_t id, struct span text);

#endif
