/* SPDX-License-Identifier: MIT */
/*
 * One small write to tracker.db with its own copy of the data, and queues of
 * them. Made in the loop, applied in the writer thread; a queue belongs to one
 * thread at a time. Inside of persist.
 */
#ifndef TRACKERD_ITEM_H
#define TRACKERD_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "meta/cluster.h"
#include "meta/sample.h"

enum item_kind {
	ITEM_GROUP,
	ITEM_STORAGE,
	ITEM_STAMP,
	ITEM_DROP_STORAGE,
	ITEM_DROP_GROUP,
	ITEM_STATUS,
	ITEM_CHANGE,
	ITEM_DROP_CHANGES,
	ITEM_EVENT,
	ITEM_MARK,
	ITEM_SAMPLE
};

struct item {
	struct item *next;
	enum item_kind kind;
	wall_t at;
	int64_t a, b;
	char *text[4]; /* owned */
	union item_row {
		struct group_row group;
		struct storage_row storage;
		struct sample sample;
	} row[]; /* none or one */
};

struct queue {
	struct item *head;
	struct item **tail;
};

void queue_init(struct queue *q);
/* A new item at the end, dated now; row: bytes of row[] it needs. */
struct item *queue_add(struct queue *q, enum item_kind kind, size_t row);
void queue_clear(struct queue *q);
void item_free(struct item *i);
/* In the writer thread, inside its transaction. 0 or -errno. */
int item_apply(struct db *db, const struct item *i);

#endif
