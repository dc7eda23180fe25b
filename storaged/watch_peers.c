/* SPDX-License-Identifier: MIT */
#include "storaged/watch_peers.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "meta/event.h"
#include "meta/sample.h"
#include "storaged/records.h"

#define LATE_MS 60000

struct behind {
	int64_t ops, bytes, ms;
};

static bool is_open(struct watch_peers *w, const struct storage *st)
{
	char err[DB_ERR_MAX];

	if (w->log || records_read(st, DB_LOG, &w->log, err) == 0)
		return true;
	log_warn("sync_sample", "the log cannot be read: %s", err);
	return false;
}

/* What is parked waits, too: since when its first file does. */
static int since_when(void *arg, const struct parked_row *row)
{
	wall_t *first = arg;

	if (*first == 0 || row->since < *first)
		*first = row->since;
	return 0;
}

static int look(struct watch_peers *w, const struct peer_row *p,
    struct behind *out)
{
	const wall_t now = clock_wall();
	struct peer_backlog b;
	wall_t oldest;
	int n;
	int rc = peers_backlog(w->log, p, false, &b);

	if (rc < 0)
		return rc;
	oldest = b.oldest;
	n = parked_each(w->log, p->id, 0, 1000, since_when, &oldest);
	if (n < 0)
		return n;
	out->ops = (int64_t)b.ops + n;
	out->bytes = (int64_t)b.bytes;
	out->ms = oldest > 0 && now > oldest ? now - oldest : 0;
	return 0;
}

static void add_columns(struct sample *s, const struct behind *b)
{
	sample_add(s, "behind_ops", b->ops);
	sample_add(s, "behind_bytes", b->bytes);
	sample_add(s, "behind_ms", b->ms);
}

static struct late_peer *late_of(struct watch_peers *w, const char *id)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->late[i].id, id) == 0)
			return &w->late[i];
	}
	if (w->n == ARRAY_LEN(w->late))
		return NULL;
	str_copy(w->late[w->n].id, sizeof(w->late[w->n].id), id);
	return &w->late[w->n++];
}

static void tell(struct watch_peers *w, struct storage *st, const char *id,
    const struct behind *b)
{
	struct late_peer *l = late_of(w, id);
	char text[160];

	if (!l)
		return;
	if (!l->told && b->ms > LATE_MS) {
		snprintf(text, sizeof(text), "more than 1 min behind %s",
		    st->me.id);
		catalogue_event(st->catalogue, "FD-SYNC-01", EVENT_WARN, id,
		    text);
		l->told = true;
	} else if (l->told && b->ops == 0) {
		snprintf(text, sizeof(text), "in sync with %s again",
		    st->me.id);
		catalogue_event(st->catalogue, "FD-SYNC-01", EVENT_INFO, id,
		    text);
		l->told = false;
	}
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void watch_peers(struct watch_peers *w, struct storage *st, struct sample *self)
{
	struct peer_row rows[PEERS_MAX];
	struct behind worst = { 0, 0, 0 };
	size_t n = replicate_states(st->replicate, rows, ARRAY_LEN(rows));

	if (n == 0 || !is_open(w, st))
		return;
	for (size_t i = 0; i < n; i++) {
		struct sample s = { .at = self->at };
		struct behind b;

		if (look(w, &rows[i], &b) < 0)
			continue;
		snprintf(s.subject, sizeof(s.subject), "%.16s>%.16s", st->me.id,
		    rows[i].id);
		add_columns(&s, &b);
		catalogue_sample(st->catalogue, &s);
		tell(w, st, rows[i].id, &b);
		worst.ops = larger(worst.ops, b.ops);
		worst.bytes = larger(worst.bytes, b.bytes);
		worst.ms = larger(worst.ms, b.ms);
	}
	add_columns(self, &worst);
}

void watch_peers_end(struct watch_peers *w)
{
	if (w->log)
		db_close(w->log);
	w->log = NULL;
}
