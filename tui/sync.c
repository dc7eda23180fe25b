/* SPDX-License-Identifier: MIT */
/*
 * The job belongs to the main loop while `out` is false and to the worker
 * while it is true; the mailbox passes it to and fro.
 */
#include "tui/sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mailbox.h"

struct sync {
	struct mailbox home;
	struct crew *crew;
	struct sync_view view;
	/* the main loop's */
	bool out, ready;
	mono_t due;
	/* the worker's while out */
	struct job job;
	char paths[SYNC_DBS][300];
	struct db *logs[SYNC_DBS];
	size_t n;
	char from[17], to[17];
	struct pair *pairs;
	size_t n_pairs;
	struct sync_file *files;
	size_t n_files;
	char error[DB_ERR_MAX];
	size_t n_recoveries;
	struct recovery recoveries[SYNC_DBS];
};

/* storage.db of a base path, in a directory, or beside the file given. */
static bool find_log(const char *given, char *path, size_t cap)
{
	static const char *const places[] = { "/meta/storage.db",
		"/storage.db" };
	const char *slash = strrchr(given, '/');

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, cap, "%s%s", given, places[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	snprintf(path, cap, "%.*sstorage.db",
	    slash ? (int)(slash - given) + 1 : 0, given);
	return access(path, F_OK) == 0;
}

/* --- the worker ---------------------------------------------------------- */

static int take_file(void *arg, const struct pair_file *f)
{
	struct sync *s = arg;
	struct sync_file *to;

	s->files = xrealloc(s->files, s->n_files + 1, sizeof(*s->files));
	to = &s->files[s->n_files++];
	*to = (struct sync_file){ .op = f->op,
		.at = f->at,
		.size = f->size,
		.bytes = f->bytes,
		.ops = f->ops,
		.parked = f->parked,
		.tries = f->tries,
		.next = f->next };
	str_copy(to->name, sizeof(to->name), f->name);
	if (f->parked)
		str_copy(to->error, sizeof(to->error), f->error);
	return 0;
}

static int take_pair(void *arg, const struct pair *p)
{
	struct sync *s = arg;

	s->pairs = xrealloc(s->pairs, s->n_pairs + 1, sizeof(*s->pairs));
	s->pairs[s->n_pairs++] = *p;
	return 0;
}

/* Whose log it is shows in its pairs. */
static bool is_sender(const struct sync *s, size_t first)
{
	for (size_t i = first; i < s->n_pairs; i++)
		if (strcmp(s->pairs[i].from, s->from) == 0 &&
		    strcmp(s->pairs[i].peer.id, s->to) == 0)
			return true;
	return false;
}

static void read_log(struct sync *s, size_t i)
{
	const size_t first = s->n_pairs;
	int rc = 0;

	if (!s->logs[i])
		rc = db_open_read(DB_LOG, s->paths[i], &s->logs[i], s->error);
	if (rc < 0)
		return;
	rc = pairs_each(s->logs[i], clock_wall(), take_pair, s);
	if (rc >= 0)
		rc = recovery_read(s->logs[i], &s->recoveries[s->n_recoveries]);
	if (rc > 0)
		s->n_recoveries++;
	if (rc >= 0 && s->from[0] && is_sender(s, first))
		rc = pairs_files(s->logs[i], s->to, SYNC_SCAN, SYNC_FILES,
		    take_file, s);
	if (rc < 0)
		snprintf(s->error, sizeof(s->error), "%s: %s", s->paths[i],
		    rc == -ENOTSUP ? "written by an older version, which kept "
		                     "no peers"
		                   : errstr(rc));
	/* The file may have been replaced: look again. */
	if (rc < 0) {
		db_close(s->logs[i]);
		s->logs[i] = NULL;
	}
}

static void sync_run(struct job *job)
{
	struct sync *s = container_of(job, struct sync, job);

	s->error[0] = '\0';
	s->n_pairs = s->n_files = s->n_recoveries = 0;
	for (size_t i = 0; i < s->n; i++)
		read_log(s, i);
	job_go_home(job);
}

/* --- the main loop ------------------------------------------------------- */

int sync_start(const char *const *dbs, size_t n, struct sync **out)
{
	struct sync *s = xcalloc(1, sizeof(*s));
	int rc = mailbox_init(&s->home);

	if (rc < 0)
		goto free_sync;
	for (size_t i = 0; i < n && s->n < SYNC_DBS; i++)
		s->n += find_log(dbs[i], s->paths[s->n], sizeof(s->paths[0]));
	s->view.n_dbs = s->n;
	s->ready = s->n == 0;
	s->job.run = sync_run;
	s->job.home = &s->home;
	if (s->n > 0)
		rc = crew_new(1, "sync", &s->crew);
	if (rc < 0)
		goto close_mailbox;
	*out = s;
	return 0;

close_mailbox:
	mailbox_fini(&s->home);
free_sync:
	free(s);
	return rc;
}

int sync_fd(const struct sync *s)
{
	return s->home.fd;
}

bool sync_take(struct sync *s, struct model *m)
{
	struct sync_view *v = &s->view;

	if (!mailbox_take(&s->home))
		return false;
	s->out = false;
	s->ready = true;
	model_feed_pairs(m, s->pairs, s->n_pairs);
	free(v->files);
	v->files = s->files;
	v->n_files = s->n_files;
	s->files = NULL;
	s->n_files = 0;
	str_copy(v->from, sizeof(v->from), s->from);
	str_copy(v->to, sizeof(v->to), s->to);
	str_copy(v->error, sizeof(v->error), s->error);
	v->n_recoveries = s->n_recoveries;
	memcpy(v->recoveries, s->recoveries, sizeof(v->recoveries));
	return true;
}

void sync_tick(struct sync *s, mono_t now, unsigned interval_ms,
    const char *from, const char *to)
{
	if (s->out || s->n == 0 || now < s->due)
		return;
	str_copy(s->from, sizeof(s->from), from ? from : "");
	str_copy(s->to, sizeof(s->to), to ? to : "");
	s->due = now + interval_ms * MONO_MS;
	s->out = true;
	crew_submit(s->crew, &s->job);
}

void sync_now(struct sync *s)
{
	s->due = 0;
}

bool sync_ready(const struct sync *s)
{
	return s->ready;
}

const struct sync_view *sync_get(const struct sync *s)
{
	return &s->view;
}

void sync_stop(struct sync *s)
{
	if (!s || s->out)
		return; /* the program is about to exit and must not wait */
	crew_free(s->crew);
	for (size_t i = 0; i < s->n; i++)
		if (s->logs[i])
			db_close(s->logs[i]);
	mailbox_fini(&s->home);
	free(s->view.files);
	free(s->files);
	free(s->pairs);
	free(s);
}
