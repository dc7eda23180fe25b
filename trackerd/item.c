/* SPDX-License-Identifier: MIT */
/* Which text and number of an item mean what stands at each call below. */
#include "trackerd/item.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"
#include "base/str.h"
#include "meta/db.h"
#include "meta/event.h"

void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

struct item *queue_add(struct queue *q, enum item_kind kind, size_t row)
{
	struct item *i = xcalloc(1, sizeof(*i) + row);

	i->kind = kind;
	i->at = clock_wall();
	*q->tail = i;
	q->tail = &i->next;
	return i;
}

void item_free(struct item *i)
{
	for (size_t k = 0; k < ARRAY_LEN(i->text); k++)
		free(i->text[k]);
	free(i);
}

void queue_clear(struct queue *q)
{
	while (q->head) {
		struct item *i = q->head;

		q->head = i->next;
		item_free(i);
	}
	q->tail = &q->head;
}

static int apply_event(struct db *db, const struct item *i)
{
	const struct event e = { .at = i->at,
		.code = i->text[0],
		.severity = (enum event_severity)i->a,
		.subject = i->text[1],
		.text = i->text[2] };

	return event_insert(db, &e);
}

int item_apply(struct db *db, const struct item *i)
{
	char *const *t = i->text;

	switch (i->kind) {
	case ITEM_GROUP:
		return cluster_put_group(db, &i->row[0].group);
	case ITEM_STORAGE:
		return cluster_put_storage(db, &i->row[0].storage);
	case ITEM_STAMP:
		return cluster_put_stamp(db, t[0], t[1], t[2], i->a);
	case ITEM_DROP_STORAGE:
		return cluster_drop_storage(db, t[0], t[1]);
	case ITEM_DROP_GROUP:
		return cluster_drop_group(db, t[0]);
	case ITEM_STATUS:
		return cluster_log_status(db, i->at, t[0], t[1], (int)i->a,
		    (int)i->b, t[2]);
	case ITEM_CHANGE:
		return cluster_add_change(db, t[0]);
	case ITEM_DROP_CHANGES:
		return cluster_drop_changes(db);
	case ITEM_EVENT:
		return apply_event(db, i);
	case ITEM_MARK:
		return db_mark_set(db, t[0], t[1]);
	case ITEM_SAMPLE:
		return sample_insert(db, &i->row[0].sample);
	}
	return -EINVAL;
}
