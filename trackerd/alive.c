/* SPDX-License-Identifier: MIT */
/* Lost or unreadable, it costs nothing but the better place in an election. */
#include "trackerd/alive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "trackerd/ally.h"

#define FILE_MAX 4096
#define LAST_KEY "last_check_time"

struct note {
	struct job job;
	char path[4096];
	char text[96];
	size_t n;
};

static bool path_of(const char *base_path, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);

	strbuf_addf(&b, "%s/data/.tracker_status", base_path);
	return !b.failed;
}

/* The number after "key =", at the start of a line. */
static int64_t value_of(const char *text, const char *key)
{
	const size_t n = strlen(key);
	int64_t v = 0;

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		at += strspn(at, " \t");
		if (strncmp(at, key, n) != 0)
			continue;
		at += n;
		at += strspn(at, " \t");
		if (*at != '=')
			continue;
		v = strtoll(at + 1, NULL, 10);
	}
	return v;
}

int64_t alive_read(const char *base_path)
{
	char path[4096];
	char *text = NULL;
	int64_t last;

	if (!path_of(base_path, path, sizeof(path)) ||
	    fs_read_file(path, FILE_MAX, &text) < 0)
		return 0;
	last = value_of(text, LAST_KEY);
	free(text);
	return last > 0 ? last : 0;
}

static bool note_fill(const struct tracker *t, struct note *note)
{
	struct strbuf b = strbuf_over(note->text, sizeof(note->text));

	strbuf_addf(&b, "up_time=%" PRId64 "\n" LAST_KEY "=%" PRId64 "\n",
	    t->started, clock_wall_sec());
	note->n = b.len;
	return path_of(t->conf.base_path, note->path, sizeof(note->path));
}

static void note_write(struct job *job)
{
	const struct note *note = container_of(job, struct note, job);
	const int rc = fs_replace_file(note->path, note->text, note->n, false);

	if (rc < 0)
		log_warn("tracker_status_failed", "cannot write %s: %s",
		    note->path, errstr(rc));
}

static void note_free(struct job *job)
{
	free(container_of(job, struct note, job));
}

void alive_write(const struct tracker *t)
{
	struct note note = { 0 };

	if (note_fill(t, &note))
		note_write(&note.job);
}

void alive_send(struct tracker *t)
{
	struct note *note = xcalloc(1, sizeof(*note));

	if (!note_fill(t, note)) {
		free(note);
		return;
	}
	note->job.run = note_write;
	note->job.done = note_free;
	ally_submit(t->ally, &note->job);
}
