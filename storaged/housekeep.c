/* SPDX-License-Identifier: MIT */
#include "storaged/housekeep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/event.h"
#include "meta/oplog.h"
#include "meta/sample.h"
#include "storaged/beat.h"
#include "storaged/replicate.h"
#include "storaged/watch_peers.h"

#define TICK_MS   1000
#define LOOK_SEC  2
#define TEND_SEC  60
#define TRIM_SEC  10
#define TRIM_ROWS 1000
#define DAY_MS    INT64_C(86400000)
#define MIB       UINT64_C(1048576)
#define JUMP_MS   5000

struct housekeeper {
	struct storage *st;
	struct timer *tick;
	uint64_t seconds;
	unsigned saved_changes;
	int64_t ahead; /* of the wall clock before the other, ms */
	struct write trim;
	bool trimming;
	bool more_to_trim;
	struct watch_peers peers;
};

static void stat_path(const struct storage *st, char *out, size_t cap)
{
	snprintf(out, cap, "%s/data/storage_stat.dat", st->conf.base_path);
}

/* --- counters --- */

void storage_stats(const struct storage *st, struct stats *out)
{
	const struct counters *blocks[MAX_LOOPS + PEERS_MAX];
	const struct replicate *r =
	    __atomic_load_n(&st->replicate, __ATOMIC_ACQUIRE);
	struct conn_counts conns;
	size_t n = 0;

	for (; n < st->n_loops; n++)
		blocks[n] = &st->loops[n]->counters;
	if (r)
		n += replicate_counters(r, blocks + n, PEERS_MAX);
	stats_sum(&st->base_stats, blocks, n, out);
	conn_counts_get(&conns);
	out->alloc_conns = conns.alloc;
	out->current_conns = conns.current;
	out->max_conns = conns.max;
}

static uint64_t rotation_to_files(const struct storage_conf *c,
    const struct rotation_state *r)
{
	uint64_t n = (uint64_t)c->subdir_count_per_path;
	uint64_t per = (uint64_t)c->file_distribute_rotate_count;
	uint64_t dirs = ((uint64_t)r->high % n) * n + (uint64_t)r->low % n;

	return dirs * per + (uint64_t)r->count % per;
}

static struct rotation_state files_to_rotation(const struct storage_conf *c,
    uint64_t files)
{
	uint64_t n = (uint64_t)c->subdir_count_per_path;
	uint64_t per = (uint64_t)c->file_distribute_rotate_count;
	uint64_t dir = files / per % (n * n);

	return (struct rotation_state){ (int64_t)(dir / n), (int64_t)(dir % n),
		(int64_t)(files % per) };
}

static struct rotation_state load_stats(struct storage *st)
{
	struct rotation_state rot = { 0, 0, 0 };
	char path[4096];
	int rc;

	stat_path(st, path, sizeof(path));
	rc = stats_load(path, &st->base_stats, &rot);
	if (rc < 0)
		log_warn("stat_file", "path=%s: %s; counters start at zero",
		    path, errstr(rc));
	return rot;
}

void housekeep_load(struct storage *st)
{
	struct rotation_state rot = load_stats(st);

	atomic_store(&st->store.files, rotation_to_files(&st->conf, &rot));
}

void housekeep_save(struct storage *st)
{
	uint64_t files = atomic_load(&st->store.files);
	struct rotation_state rot = files_to_rotation(&st->conf, files);
	struct stats s;
	char path[4096];
	int rc;

	storage_stats(st, &s);
	stat_path(st, path, sizeof(path));
	rc = stats_save(path, &s, &rot);
	if (rc < 0)
		log_warn("stat_file", "path=%s: %s", path, errstr(rc));
}

/* --- the log's length --- */

static int apply_trim(struct write *w, struct db *db)
{
	struct housekeeper *k = container_of(w, struct housekeeper, trim);
	const struct storage_conf *c = &k->st->conf;
	int n = oplog_trim(db, clock_wall(), c->log_keep_days * DAY_MS,
	    c->log_keep_bytes, TRIM_ROWS);

	k->more_to_trim = n == TRIM_ROWS;
	return n < 0 ? n : 0;
}

static void submit_trim(struct housekeeper *k);

static void trimmed(struct job *job)
{
	struct write *w = container_of(job, struct write, job);
	struct housekeeper *k = container_of(w, struct housekeeper, trim);

	k->trimming = false;
	if (job->rc < 0)
		log_warn("log_trim_failed", "%s", errstr(job->rc));
	else if (k->more_to_trim)
		submit_trim(k);
}

static void submit_trim(struct housekeeper *k)
{
	k->trimming = true;
	writer_submit(k->st->log, &k->trim);
}

/* --- samples --- */

static void sample_space(struct storage *st, struct sample *s)
{
	uint64_t total = 0;
	uint64_t avail = 0;

	for (size_t i = 0; i < st->store.n; i++) {
		total += atomic_load(&st->store.paths[i].total);
		avail += atomic_load(&st->store.paths[i].avail);
	}
	sample_add(s, "total_mb", (int64_t)(total / MIB));
	sample_add(s, "free_mb", (int64_t)(avail / MIB));
	sample_add(s, "path_count", (int64_t)st->store.n);
}

static void take_sample(struct housekeeper *k)
{
	struct storage *st = k->st;
	struct sample s = { .at = clock_wall() };
	struct catalogue_state cat;
	struct stats stats;

	storage_stats(st, &stats);
	str_copy(s.subject, sizeof(s.subject), st->me.id);
	for (size_t i = 0; i < N_STATS; i++)
		sample_add(&s, stat_names[i], stats_get(&stats, i));
	sample_add(&s, "alloc_conns", stats.alloc_conns);
	sample_add(&s, "current_conns", stats.current_conns);
	sample_add(&s, "max_conns", stats.max_conns);
	sample_space(st, &s);
	catalogue_get_state(st->catalogue, &cat);
	sample_add(&s, "catalogue_waiting", (int64_t)cat.waiting);
	sample_add(&s, "catalogue_behind_ms", cat.behind_ms);
	watch_peers(&k->peers, st, &s);
	catalogue_sample(st->catalogue, &s);
}

/* --- the tick --- */

static bool every(const struct housekeeper *k, int64_t seconds)
{
	return seconds > 0 && k->seconds % (uint64_t)seconds == 0;
}

static void save_if_changed(struct housekeeper *k)
{
	unsigned now = __atomic_load_n(&k->st->stat_changes, __ATOMIC_RELAXED);

	if (now == k->saved_changes)
		return;
	k->saved_changes = now;
	housekeep_save(k->st);
}

/* What was done then has times out of order; files and samples show it. */
static void look_at_clock(struct housekeeper *k)
{
	const int64_t ahead = clock_wall() - (int64_t)(clock_mono() / MONO_MS);
	const int64_t jump = ahead - k->ahead;
	char text[80];

	k->ahead = ahead;
	if (jump > -JUMP_MS && jump < JUMP_MS)
		return;
	snprintf(text, sizeof(text), "the clock jumped %s by %lld s",
	    jump < 0 ? "back" : "ahead",
	    (long long)((jump < 0 ? -jump : jump) + 500) / 1000);
	log_warn("clock_jumped", "%s", text);
	catalogue_event(k->st->catalogue, "FD-CLOCK-01", EVENT_WARN,
	    k->st->me.id, text);
}

static void on_tick(void *arg)
{
	struct housekeeper *k = arg;
	const struct storage_conf *c = &k->st->conf;

	k->seconds++;
	look_at_clock(k);
	if (every(k, LOOK_SEC))
		store_look(&k->st->store);
	if (every(k, TEND_SEC))
		log_tend();
	if (every(k, TRIM_SEC) && !k->trimming)
		submit_trim(k);
	if (every(k, c->sync_stat_file_interval))
		save_if_changed(k);
	if (every(k, c->sample_interval))
		take_sample(k);
}

int housekeep_start(struct storage *st, struct loop *loop,
    struct housekeeper **out)
{
	struct housekeeper *k = xcalloc(1, sizeof(*k));

	k->st = st;
	k->ahead = clock_wall() - (int64_t)(clock_mono() / MONO_MS);
	k->trim.apply = apply_trim;
	k->trim.job.done = trimmed;
	k->trim.job.home = loop_mailbox(loop);
	k->tick = loop_every(loop, TICK_MS, on_tick, k);
	if (!k->tick) {
		free(k);
		return -ENOMEM;
	}
	*out = k;
	return 0;
}

void housekeep_reload(struct housekeeper *k)
{
	struct storage *st = k->st;
	struct storage_conf *fresh = xcalloc(1, sizeof(*fresh));
	char err[1024] = "";

	(void)log_reopen();
	if (storage_conf_load(st->conf.path, fresh, err, sizeof(err)) < 0) {
		log_error("reload_failed", "%s; the old configuration stays",
		    err);
		free(fresh);
		return;
	}
	storage_conf_reload(&st->conf, fresh);
	for (size_t i = 0; i < st->n_loops; i++)
		hub_set_timeout(st->loops[i]->hub,
		    (unsigned)st->conf.network_timeout);
	beat_set_intervals(st->beat, st->conf.heart_beat_interval,
	    st->conf.stat_report_interval);
	log_info("reloaded", "conf=%s", st->conf.path);
	catalogue_event(st->catalogue, "FD-CONF-01", EVENT_INFO, st->me.id,
	    "configuration reloaded");
}

void housekeep_stop(struct housekeeper *k)
{
	if (!k)
		return;
	timer_free(k->tick);
	watch_peers_end(&k->peers);
	free(k);
}
