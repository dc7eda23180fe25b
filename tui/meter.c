/* SPDX-License-Identifier: MIT */
/*
 * Rates. A storage's counters are known once a heartbeat, and the tracker
 * stamps it in whole seconds. So a rate is the difference of two readings
 * divided by the difference of their stamps: the newest reading and the newest
 * of those at least SPAN_MIN older; with a heartbeat of ten seconds or more
 * that is one interval. Between heartbeats nothing changes, so the rate is
 * held. A counter that went down means the storage began anew: everything
 * before is forgotten, and the rate is not known until the next reading.
 */
#include <math.h>
#include <string.h>

#include "tui/model.h"

#define SPAN_MIN 10
#define OPS_MIN  20 /* below that a share of failures says nothing */

#define COUNTED(name) STAT_total_##name##_count, STAT_success_##name##_count
#define BYTES(name)   STAT_success_##name##_bytes

const struct flow_row flow_rows[N_FLOWS] = {
	[FLOW_UPLOAD] = { "upload", "upload", COUNTED(upload), BYTES(upload) },
	[FLOW_DOWNLOAD] = { "download", "download", COUNTED(download),
	    BYTES(download) },
	[FLOW_APPEND] = { "append", "append", COUNTED(append), BYTES(append) },
	[FLOW_MODIFY] = { "modify", "modify", COUNTED(modify), BYTES(modify) },
	[FLOW_TRUNCATE] = { "truncate", "truncate", COUNTED(truncate), -1 },
	[FLOW_DELETE] = { "delete", "delete", COUNTED(delete), -1 },
	[FLOW_SET_META] = { "set meta", "set_metadata", COUNTED(set_meta), -1 },
	[FLOW_GET_META] = { "get meta", "get_metadata", COUNTED(get_meta), -1 },
	[FLOW_LINK] = { "make link", "create_link", COUNTED(create_link), -1 },
	[FLOW_UNLINK] = { "drop link", "delete_link", COUNTED(delete_link),
	    -1 },
	[FLOW_SYNC_IN] = { "sync in", "sync_in", -1, -1, BYTES(sync_in) },
	[FLOW_SYNC_OUT] = { "sync out", "sync_out", -1, -1, BYTES(sync_out) },
	[FLOW_FILE_OPEN] = { "file open", "file_open", COUNTED(file_open), -1 },
	[FLOW_FILE_READ] = { "file read", "file_read", COUNTED(file_read), -1 },
	[FLOW_FILE_WRITE] = { "file write", "file_write", COUNTED(file_write),
	    -1 },
};

/* Did any counter go down from a to b? The last four are times. */
static bool went_down(const struct stats *a, const struct stats *b)
{
	for (size_t i = 0; i < STAT_last_source_update; i++) {
		if (stats_get(b, i) < stats_get(a, i))
			return true;
	}
	return false;
}

void meter_feed(struct meter *m, int64_t beat, const struct stats *stats)
{
	struct reading *r = m->readings;

	if (beat <= 0 || (m->n > 0 && beat == r[0].beat))
		return;
	if (m->n > 0 && (beat < r[0].beat || went_down(&r[0].stats, stats)))
		m->n = 0;
	/* Keep one old enough, and none that are not needed any more. */
	while (m->n >= 2 && beat - r[m->n - 2].beat >= SPAN_MIN)
		m->n--;
	if (m->n == READINGS) {
		/* Beats come faster than this keeps: drop every other. */
		for (size_t i = 0; i < READINGS / 2; i++)
			r[i] = r[2 * i + 1];
		m->n = READINGS / 2;
	}
	memmove(r + 1, r, m->n * sizeof(*r));
	r[0] = (struct reading){ beat, *stats };
	m->n++;
}

static double delta(const struct reading *a, const struct reading *b, int i)
{
	return (double)(stats_get(&b->stats, (size_t)i) -
	                stats_get(&a->stats, (size_t)i));
}

double meter_rates(const struct meter *m, struct rate rates[N_FLOWS])
{
	const struct reading *now = &m->readings[0];
	const struct reading *old = m->n > 1 ? &m->readings[m->n - 1] : NULL;
	const double span = old ? (double)(now->beat - old->beat) : 0;

	for (size_t f = 0; f < N_FLOWS; f++) {
		const struct flow_row *row = &flow_rows[f];
		struct rate *rate = &rates[f];

		*rate = (struct rate){ NAN, NAN, NAN, NAN };
		if (!old)
			continue;
		if (row->good >= 0) {
			const double all = delta(old, now, row->total);
			const double good = delta(old, now, row->good);

			rate->ops = good / span;
			rate->tried = all / span;
			if (all >= OPS_MIN)
				rate->failed = (all - good) / all;
		}
		if (row->bytes >= 0)
			rate->bytes = delta(old, now, row->bytes) / span;
	}
	return span;
}
