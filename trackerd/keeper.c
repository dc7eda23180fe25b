/* SPDX-License-Identifier: MIT */
/*
 * Whether anything changed that a restart must know is told by a hash over
 * it, taken every two seconds: a cluster has few members and nobody who
 * changes one has to think of the files. Our own servers file begins with a
 * comment, which FastDFS skips and does not write: one without it, younger
 * than our last life, comes from another tracker.
 */
#include "trackerd/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/sysfile.h"

#define FULL_SECONDS  300
#define RETRY_SECONDS 60
#define TEXT_MAX      ((size_t)64 << 20)
#define SIGNATURE     "# by fdfs-trackerd\n"

struct keeper {
	struct tracker *t;
	struct timer *timer;
	struct crew *crew;
	struct job job;
	bool busy;
	bool wanted;      /* with the next tick, whatever the hash says */
	bool exists;      /* files were written once */
	uint64_t seen;    /* hash of what matters when written last */
	mono_t next_full; /* the counters grow old then */
	/* the job's */
	struct sysfiles files;
};

/* --- a hash -------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	return (h ^ span_hash((struct span){ p, n })) *
	       UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t mix_number(uint64_t h, int64_t v)
{
	return mix(h, &v, sizeof(v));
}

static uint64_t mix_text(uint64_t h, const char *text)
{
	return mix(h, text, strlen(text));
}

static uint64_t hash_storage(uint64_t h, const struct storage *s)
{
	h = mix_text(h, s->id);
	h = mix_number(h, (int64_t)s->status);
	h = mix(h, s->addrs[0].ip, sizeof(s->addrs[0].ip));
	h = mix_number(h, s->port);
	h = mix_number(h, s->join_time);
	h = mix_number(h, s->path_count);
	h = mix_number(h, s->priority);
	h = mix_text(h, s->source ? s->source->id : "");
	return mix_number(h, s->sync_until);
}

static uint64_t hash_cluster(const struct cluster *c)
{
	uint64_t h = c->changelog_len;

	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];

		h = mix_text(h, g->name);
		h = mix_number(h, g->port);
		h = mix_number(h, g->path_count);
		h = mix_number(h, g->trunk_file);
		h = mix_text(h, g->trunk_server ? g->trunk_server->id : "");
		for (size_t k = 0; k < g->n; k++)
			h = hash_storage(h, g->storages[k]);
	}
	return h;
}

/* --- writing ------------------------------------------------------------- */

static void path_of(const struct tracker *t, const char *name, char *out,
    size_t cap)
{
	snprintf(out, cap, "%s/data/%s", t->conf.base_path, name);
}

static int write_one(const struct tracker *t, const char *name,
    const char *text, size_t n)
{
	char path[4096];

	path_of(t, name, path, sizeof(path));
	return fs_replace_file(path, text, n, false);
}

static void write_files(struct job *job)
{
	struct keeper *k = container_of(job, struct keeper, job);

	job->rc = 0;
	for (size_t i = 0; job->rc == 0 && i < N_SYSFILES; i++)
		job->rc = write_one(k->t, sysfile_names[i], k->files.text[i],
		    k->files.n[i]);
}

static void run_job(struct job *job)
{
	write_files(job);
	job_go_home(job);
}

static void written(struct keeper *k)
{
	if (k->job.rc < 0) {
		log_error("sysfiles_not_written",
		    "%s/data: %s; this tracker goes on, but another program "
		    "that takes its place finds old files",
		    k->t->conf.base_path, errstr(k->job.rc));
		/* A full disk is not told every two seconds. */
		k->next_full = clock_mono() + RETRY_SECONDS * MONO_SEC;
	}
	k->exists = true;
	sysfiles_free(&k->files);
}

static void job_done(struct job *job)
{
	struct keeper *k = container_of(job, struct keeper, job);

	k->busy = false;
	written(k);
}

static void sign(struct sysfiles *f)
{
	const size_t n = strlen(SIGNATURE);
	char **text = &f->text[SYSFILE_SERVERS];
	const size_t had = f->n[SYSFILE_SERVERS];

	*text = xrealloc(*text, had + n + 1, 1);
	memmove(*text + n, *text, had + 1);
	memcpy(*text, SIGNATURE, n);
	f->n[SYSFILE_SERVERS] += n;
}

static void prepare(struct keeper *k)
{
	const struct tracker *t = k->t;

	sysfiles_write(&t->cluster, t->ids != NULL, &k->files);
	sign(&k->files);
	k->seen = hash_cluster(&t->cluster);
	k->next_full = clock_mono() + FULL_SECONDS * MONO_SEC;
	k->wanted = false;
}

static void on_tick(void *arg)
{
	struct keeper *k = arg;
	const struct cluster *c = &k->t->cluster;

	if (k->busy || k->t->stopping || (c->n == 0 && !k->exists))
		return;
	if (!k->wanted && k->seen == hash_cluster(c) &&
	    clock_mono() < k->next_full)
		return;
	prepare(k);
	k->busy = true;
	crew_submit(k->crew, &k->job);
}

void keeper_save(struct keeper *k, const char *why)
{
	if (!k)
		return;
	log_debug("sysfiles_wanted", "%s", why);
	k->wanted = true;
	on_tick(k);
}

/* --- taking over --------------------------------------------------------- */

/* 1: there are some. 0: none. */
static int read_files(const struct tracker *t, struct sysfiles *f, char *err,
    size_t cap)
{
	struct strbuf b = strbuf_over(err, cap);
	char path[4096];

	for (size_t i = 0; i < N_SYSFILES; i++) {
		ssize_t n;

		path_of(t, sysfile_names[i], path, sizeof(path));
		n = fs_read_file(path, TEXT_MAX, &f->text[i]);
		if (n == -ENOENT && i == SYSFILE_GROUPS)
			return 0;
		if (n == -ENOENT) { /* an old one may lack the last two */
			f->text[i] = xstrdup("");
			n = 0;
		}
		if (n < 0) {
			strbuf_addf(&b, "cannot read %s: %s", path,
			    errstr((int)n));
			return (int)n;
		}
		f->n[i] = (size_t)n;
	}
	return 1;
}

static int adopt(struct tracker *t, const struct sysfiles *f, char *err,
    size_t cap)
{
	const bool known = t->cluster.n > 0;
	char why[512] = "";
	struct strbuf b = strbuf_over(err, cap);
	size_t members = 0;
	const int rc = sysfiles_load(&t->cluster, t->ids, f, why, sizeof(why));

	if (rc < 0 && known) {
		log_warn("sysfiles_not_taken",
		    "%s/data/%s; what tracker.db knows is used",
		    t->conf.base_path, why);
		return 0;
	}
	if (rc < 0) {
		strbuf_addf(&b,
		    "cannot take the cluster from %s/data/%s; correct it, or "
		    "move the storage_*.dat files away: the cluster is learnt "
		    "again from its storages within a heartbeat",
		    t->conf.base_path, why);
		return rc;
	}
	for (size_t i = 0; i < t->cluster.n; i++)
		members += t->cluster.groups[i]->n;
	log_info("sysfiles_taken", "%s/data: %zu groups, %zu storages, %s",
	    t->conf.base_path, t->cluster.n, members,
	    known ? "written by another tracker since this one stopped"
	          : "of the tracker that was here before");
	persist_event(t->persist, "FD-TRK-01", EVENT_INFO, "tracker",
	    "the cluster was taken from the system files in data");
	return 0;
}

/* Written by another tracker after this one ended? */
static bool are_news(const struct tracker *t, const struct sysfiles *f)
{
	char path[4096];
	struct stat st;

	if (strncmp(f->text[SYSFILE_SERVERS], SIGNATURE, strlen(SIGNATURE)) ==
	    0)
		return false;
	path_of(t, sysfile_names[SYSFILE_SERVERS], path, sizeof(path));
	return stat(path, &st) == 0 && st.st_mtime > t->last_alive;
}

int keeper_adopt(struct tracker *t, char *err, size_t cap)
{
	struct keeper first = { .t = t };
	struct sysfiles f = { 0 };
	int rc = read_files(t, &f, err, cap);

	if (rc == 1)
		rc = t->cluster.n == 0 || are_news(t, &f)
		         ? adopt(t, &f, err, cap)
		         : 0;
	sysfiles_free(&f);
	if (rc == 0 && t->cluster.n > 0) {
		prepare(&first);
		write_files(&first.job);
		written(&first);
	}
	return rc;
}

/* --- start and end ------------------------------------------------------- */

int keeper_start(struct tracker *t, struct keeper **out)
{
	struct keeper *k = xcalloc(1, sizeof(*k));
	int rc;

	k->t = t;
	k->job.run = run_job;
	k->job.done = job_done;
	k->job.home = loop_mailbox(t->loop);
	k->seen = hash_cluster(&t->cluster);
	k->next_full = clock_mono() + FULL_SECONDS * MONO_SEC;
	rc = crew_new(1, "files", &k->crew);
	if (rc == 0) {
		k->timer =
		    loop_every(t->loop, KEEPER_SECONDS * 1000, on_tick, k);
		rc = k->timer ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		keeper_stop(k);
		return rc;
	}
	*out = k;
	return 0;
}

/* The loop has ended: nobody calls done any more. */
void keeper_stop(struct keeper *k)
{
	if (!k)
		return;
	crew_free(k->crew);
	sysfiles_free(&k->files);
	if (k->timer) {
		timer_free(k->timer);
		if (k->t->cluster.n > 0 || k->exists) {
			prepare(k);
			write_files(&k->job);
			written(k);
		}
	}
	free(k);
}
