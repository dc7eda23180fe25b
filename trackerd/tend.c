/* SPDX-License-Identifier: MIT */
/*
 * One timer a second counts everything else down. Counters of a group are the
 * sums over its storages, its space is that of its fullest writable storage
 * (what an upload can use).
 */
#include "trackerd/tend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "meta/writer.h"
#include "trackerd/alive.h"

#define LOG_SECONDS   60
#define ALIVE_SECONDS 300

struct tend {
	struct tracker *tracker;
	struct timer *timer;
	mono_t next_sweep, next_sample, next_log, next_alive;
};

/* --- samples ------------------------------------------------------------- */

static struct sample sample_of(wall_t at, const char *subject)
{
	struct sample s = { .at = at };

	str_copy(s.subject, sizeof(s.subject), subject);
	return s;
}

static void add_stats(struct sample *s, const struct stats *st)
{
	for (size_t i = 0; i < N_STATS; i++)
		sample_add(s, stat_names[i], stats_get(st, i));
	sample_add(s, "alloc_conns", st->alloc_conns);
	sample_add(s, "current_conns", st->current_conns);
	sample_add(s, "max_conns", st->max_conns);
}

static void add_space(const struct tracker *t, struct sample *s, int64_t total,
    int64_t free_mb)
{
	const int64_t usable = free_mb - cf_reserved_mb(&t->conf, total);

	sample_add(s, "total_mb", total);
	sample_add(s, "free_mb", free_mb);
	sample_add(s, "usable_mb", usable > 0 ? usable : 0);
}

static void sample_storage(struct tracker *t, const struct storage *st,
    wall_t at, struct stats *sum)
{
	char subject[64];
	struct strbuf b = strbuf_over(subject, sizeof(subject));
	struct stats now = st->stats;
	struct sample s;

	strbuf_addf(&b, "%s/%s", st->group->name, st->id);
	now.last_synced_timestamp = st->last_synced;
	now.last_heart_beat_time = st->last_beat;
	s = sample_of(at, subject);
	add_stats(&s, &now);
	sample_add(&s, "status", st->status);
	sample_add(&s, "path_count", st->path_count);
	add_space(t, &s, st->total_mb, st->free_mb);
	persist_sample(t->persist, &s);
	for (size_t i = 0; i < N_STATS; i++) {
		const int64_t v = stats_get(&now, i);
		const int64_t had = stats_get(sum, i);

		/* The last four are times: the latest counts. */
		if (i < STAT_last_source_update)
			stats_set(sum, i, had + v);
		else if (v > had)
			stats_set(sum, i, v);
	}
	sum->alloc_conns += now.alloc_conns;
	sum->current_conns += now.current_conns;
	sum->max_conns += now.max_conns;
}

static void sample_group(struct tracker *t, const struct group *g, wall_t at)
{
	struct stats sum = { 0 };
	struct sample s = sample_of(at, g->name);
	int64_t count = 0;
	int64_t active = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (storage_is_tombstone(g->storages[i]))
			continue;
		sample_storage(t, g->storages[i], at, &sum);
		count++;
		active += g->storages[i]->status == ST_ACTIVE;
	}
	add_stats(&s, &sum);
	sample_add(&s, "storage_count", count);
	sample_add(&s, "active_count", active);
	sample_add(&s, "path_count", g->path_count);
	add_space(t, &s, g->total_mb, g->free_mb);
	persist_sample(t->persist, &s);
}

static int64_t to_ms(struct timeval tv)
{
	return (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

/* The second number of statm. */
static int64_t resident_kb(void)
{
	char *text = NULL;
	uint64_t pages = 0;
	char *at;

	if (fs_read_file("/proc/self/statm", 256, &text) < 0)
		return 0;
	at = strchr(text, ' ');
	if (at) {
		char *end = strchr(++at, ' ');

		if (end)
			*end = 0;
		(void)str_to_u64(at, &pages);
	}
	free(text);
	return (int64_t)pages * sysconf(_SC_PAGESIZE) / 1024;
}

static void sample_self(struct tracker *t, wall_t at)
{
	struct sample s = sample_of(at, "self");
	struct conn_counts conns;
	struct writer_stats w = { 0 };
	struct rusage ru = { 0 };

	conn_counts_get(&conns);
	persist_stats(t->persist, &w);
	getrusage(RUSAGE_SELF, &ru);
	sample_add(&s, "requests", (int64_t)t->requests);
	sample_add(&s, "errors", (int64_t)t->errors);
	sample_add(&s, "alloc_conns", conns.alloc);
	sample_add(&s, "current_conns", conns.current);
	sample_add(&s, "max_conns", conns.max);
	sample_add(&s, "commits", (int64_t)w.commits);
	sample_add(&s, "commit_writes", (int64_t)w.writes);
	sample_add(&s, "commit_failed", (int64_t)w.failed);
	sample_add(&s, "commit_ns", (int64_t)w.commit_ns);
	sample_add(&s, "commit_queued", (int64_t)w.queued);
	sample_add(&s, "cpu_user_ms", to_ms(ru.ru_utime));
	sample_add(&s, "cpu_system_ms", to_ms(ru.ru_stime));
	sample_add(&s, "rss_kb", resident_kb());
	persist_sample(t->persist, &s);
}

static void take_samples(struct tracker *t)
{
	const wall_t at = clock_wall();

	for (size_t i = 0; i < t->cluster.n; i++)
		sample_group(t, t->cluster.groups[i], at);
	sample_self(t, at);
	tend_mark(t);
	persist_flush(t->persist, true);
}

void tend_mark(struct tracker *t)
{
	char text[32];
	struct strbuf b = strbuf_over(text, sizeof(text));

	strbuf_addf(&b, "%" PRId64, clock_wall_sec());
	persist_mark(t->persist, "last_alive", text);
}

/* --- the clock ----------------------------------------------------------- */

/* To the nearest tick: ticks come a little late. */
static bool due(mono_t *next, mono_t now, int64_t seconds)
{
	if (now + MONO_SEC / 2 < *next)
		return false;
	*next += (mono_t)seconds * MONO_SEC;
	if (*next <= now) /* late, or the interval became shorter */
		*next = now + (mono_t)seconds * MONO_SEC;
	return true;
}

static void on_second(void *arg)
{
	struct tend *d = arg;
	struct tracker *t = d->tracker;
	const mono_t now = clock_mono();
	const int64_t wall = clock_wall_sec();

	if (t->stopping)
		return;
	if (due(&d->next_sweep, now, t->conf.check_active_interval))
		cluster_sweep(&t->cluster, wall, t->conf.check_active_interval);
	if (due(&d->next_sample, now, t->conf.sample_interval))
		take_samples(t);
	if (due(&d->next_alive, now, ALIVE_SECONDS))
		alive_send(t);
	if (due(&d->next_log, now, LOG_SECONDS))
		log_tend();
}

int tend_start(struct tracker *t, struct tend **out)
{
	struct tend *d = xcalloc(1, sizeof(*d));
	const mono_t now = clock_mono();

	d->tracker = t;
	d->next_sweep = now + (mono_t)t->conf.check_active_interval * MONO_SEC;
	d->next_sample = now + (mono_t)t->conf.sample_interval * MONO_SEC;
	d->next_alive = now + (mono_t)ALIVE_SECONDS * MONO_SEC;
	d->timer = loop_every(t->loop, 1000, on_second, d);
	if (!d->timer) {
		free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void tend_stop(struct tend *d)
{
	if (!d)
		return;
	timer_free(d->timer);
	free(d);
}
