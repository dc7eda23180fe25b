/* SPDX-License-Identifier: MIT */
#include "storaged/recover_tail.h"

#include <stdbool.h>

#include "meta/oplog.h"
#include "storaged/recover.h"

#define TAIL_ROWS 1000000
/* More than can have been under way at a time: redone whatever the clock
 * said. */
#define LAST_ROWS 20000

static int take_time(void *arg, const struct op *op)
{
	*(wall_t *)arg = op->at;
	return 1;
}

/* The sequence number before the first row not older than `since`, between
 * the two given. */
static uint64_t row_before(struct db *log, uint64_t low, uint64_t high,
    wall_t since)
{
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		wall_t at = 0;

		if (oplog_read(log, mid, 1, take_time, &at) < 0)
			return low;
		if (at < since)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t tail_unapplied(struct db *log)
{
	char text[32] = "";
	int64_t seq = 0;

	if (db_mark_get(log, MARK_UNAPPLIED, text, sizeof(text)) < 0 ||
	    str_to_i64(text, &seq) < 0 || seq < 0)
		return 0;
	return (uint64_t)seq;
}

struct tail tail_of(struct db *log, uint64_t last, wall_t since, uint64_t after)
{
	uint64_t late = less(last, LAST_ROWS);
	uint64_t floor = less(oplog_first(log), 1);
	uint64_t missed = tail_unapplied(log);
	struct tail t = { less(last, TAIL_ROWS), 0 };

	if (t.noted < floor)
		t.noted = floor;
	t.redone = row_before(log, t.noted, last, since);
	if (late < after)
		late = after;
	if (t.redone > late)
		t.redone = late;
	if (missed && t.redone >= missed)
		t.redone = missed - 1;
	if (t.redone < floor)
		t.redone = floor;
	if (t.noted > t.redone)
		t.noted = t.redone;
	return t;
}

wall_t tail_end(struct db *log, uint64_t last)
{
	wall_t at = 0;

	if (last > 0)
		(void)oplog_read(log, last - 1, 1, take_time, &at);
	return at;
}
