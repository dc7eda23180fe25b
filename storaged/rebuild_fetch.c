/* SPDX-License-Identifier: MIT */
/*
 * The content: names in batches, each batch by some workers, each with its own
 * connections. A file arrives beside its place and is renamed, so what has its
 * name is whole. When a batch is done the mark says so: a start that was
 * called off, or died, goes on there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "meta/walk.h"
#include "storaged/rebuild_impl.h"
#include "storaged/records.h"

#define BATCH       1024
#define PIECE       ((size_t)262144)
#define RETRY_SEC   5
#define TEMP_SUFFIX ".recovery.tmp"
#define TEMP_MAX    (FILEID_DISK_MAX + sizeof(TEMP_SUFFIX))
#define MARK_KEY    "binlog_offset="

struct batch {
	struct rebuild *rb;
	struct rebuild_line lines[BATCH];
	size_t n;
	size_t next; /* atomic */
	bool insist; /* ask every source before a file is given up */
	int rc;      /* atomic; of our own disk, ends everything */
};

/* One thread's connections: to a copy of the sources. */
struct fetcher {
	struct batch *batch;
	size_t index;
	pthread_t thread;
	bool running;
	struct rebuild_source sources[REBUILD_SOURCES];
	struct client *clients[REBUILD_SOURCES];
	size_t n;
	char *piece;
};

/* --- one file --- */

struct arrival {
	char file[FILEID_DISK_MAX];
	char temp[TEMP_MAX];
	int fd;
	int disk; /* -errno of our own disk */
};

static int make_dirs(int data_fd, const char *file)
{
	char dir[8];

	str_copy_span(dir, sizeof(dir), (struct span){ file, 2 });
	if (mkdirat(data_fd, dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	str_copy_span(dir, sizeof(dir), (struct span){ file, 5 });
	return mkdirat(data_fd, dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int arrival_open(struct arrival *a, int data_fd)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	int rc = 0;

	a->fd = openat(data_fd, a->temp, flags, 0644);
	if (a->fd < 0 && errno == ENOENT) {
		rc = make_dirs(data_fd, a->file);
		if (rc == 0)
			a->fd = openat(data_fd, a->temp, flags, 0644);
	}
	if (a->fd < 0 && rc == 0)
		rc = -errno;
	return a->disk = rc;
}

static int arrival_keep(struct arrival *a, const struct rebuild *rb,
    int64_t time)
{
	const struct timespec when[2] = { { time, 0 }, { time, 0 } };
	const int data_fd = rb->path->data_fd;
	int rc = 0;

	(void)futimens(a->fd, when);
	if (rb->st->store.conf.full && fsync(a->fd) < 0)
		rc = -errno;
	if (close(a->fd) < 0 && rc == 0)
		rc = -errno;
	a->fd = -1;
	if (rc == 0 && renameat(data_fd, a->temp, data_fd, a->file) < 0)
		rc = -errno;
	return a->disk = rc;
}

static int receive(struct client *c, struct arrival *a, uint64_t n, char *piece)
{
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t part = n < PIECE ? (size_t)n : PIECE;

		rc = client_recv(c, piece, part);
		if (rc == 0)
			rc = a->disk = fs_write_all(a->fd, piece, part);
		n -= part;
	}
	return rc;
}

/* 0; positive: not given; negative: the connection, or a->disk, failed. */
static int download(struct rebuild *rb, struct client *c, struct arrival *a,
    const struct rebuild_line *line, char *piece)
{
	struct msg_download m = { .name = span_of(line->name) };
	uint8_t body[256];
	uint64_t length;
	ssize_t n;
	int rc;

	str_copy(m.group, sizeof(m.group), rb->st->me.group);
	n = msg_encode(&MSG(download), &m, body, sizeof(body));
	if (n < 0)
		return EINVAL;
	rc = client_send_head(c, CMD_download_file, 0, (uint64_t)n, body,
	    (size_t)n);
	if (rc == 0)
		rc = client_recv_head(c, &length);
	if (rc == 0)
		rc = arrival_open(a, rb->path->data_fd);
	if (rc)
		return rc;
	rc = receive(c, a, length, piece);
	if (rc == 0)
		rc = arrival_keep(a, rb, line->time);
	if (a->fd >= 0)
		close(a->fd);
	if (rc < 0) {
		(void)unlinkat(rb->path->data_fd, a->temp, 0);
		return rc;
	}
	__atomic_fetch_add(&rb->files, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rb->bytes, length, __ATOMIC_RELAXED);
	return 0;
}

/*
 * A download of an empty file has nothing to begin at and is refused with 22,
 * so that refusal needs a second question. As download.
 */
static int take_empty(struct rebuild *rb, struct client *c, struct arrival *a,
    const struct rebuild_line *line)
{
	struct msg_file_ref m = { .name = span_of(line->name) };
	struct msg_file_info46 info;
	int rc;

	str_copy(m.group, sizeof(m.group), rb->st->me.group);
	rc = client_ask(c, CMD_query_file_info, &MSG(file_ref), &m,
	    &MSG(file_info46), &info);
	if (rc)
		return rc;
	/* Both dialects begin with the size. */
	if (info.size != 0)
		return EINVAL;
	rc = arrival_open(a, rb->path->data_fd);
	if (rc == 0)
		rc = arrival_keep(a, rb, line->time);
	if (rc == 0)
		__atomic_fetch_add(&rb->files, 1, __ATOMIC_RELAXED);
	return rc;
}

/* --- from whom --- */

static void hang_up(struct fetcher *f, size_t i)
{
	client_close(f->clients[i]);
	f->clients[i] = NULL;
}

static void copy_sources(struct fetcher *f)
{
	struct rebuild *rb = f->batch->rb;

	for (size_t i = 0; i < f->n; i++)
		hang_up(f, i);
	pthread_mutex_lock(&rb->lock);
	f->n = rb->n_sources;
	memcpy(f->sources, rb->sources, sizeof(f->sources));
	pthread_mutex_unlock(&rb->lock);
}

/* None of the sources can be reached. */
static int find_others(struct fetcher *f)
{
	struct rebuild *rb = f->batch->rb;
	int rc;

	if (!rebuild_pause(rb, RETRY_SEC))
		return -ECANCELED;
	pthread_mutex_lock(&rb->lock);
	rc = rebuild_find_sources(rb);
	pthread_mutex_unlock(&rb->lock);
	if (rc == 0)
		copy_sources(f);
	return rc;
}

static int reach(struct fetcher *f, size_t i)
{
	struct rebuild *rb = f->batch->rb;
	int64_t io = rb->st->conf.network_timeout;

	return f->clients[i] ? 0
	                     : rebuild_connect(rb, &f->sources[i].at,
	                           (unsigned)io * 1000, &f->clients[i]);
}

static int fetch_from(struct fetcher *f, size_t i, struct arrival *a,
    const struct rebuild_line *line)
{
	struct rebuild *rb = f->batch->rb;
	int rc = reach(f, i);

	if (rc == 0)
		rc = download(rb, f->clients[i], a, line, f->piece);
	if (rc == EINVAL) {
		/* Storages close after 22 (0.4). */
		hang_up(f, i);
		rc = reach(f, i);
		if (rc == 0)
			rc = take_empty(rb, f->clients[i], a, line);
	}
	if (rc < 0 || rc == EINVAL)
		hang_up(f, i);
	return rc;
}

/* 0 it is here; positive: nobody that was to be asked gives it; negative:
 * -EHOSTUNREACH nobody was reached; else the disk. */
static int fetch_once(struct fetcher *f, struct arrival *a,
    const struct rebuild_line *line)
{
	int refusal = 0;

	for (size_t k = 0; k < f->n; k++) {
		int rc = fetch_from(f, (f->index + k) % f->n, a, line);

		if (rc == 0 || a->disk < 0 || rc == -ECANCELED)
			return a->disk < 0 ? a->disk : rc;
		if (rc > 0)
			refusal = rc;
		if (refusal == ENOENT && !f->batch->insist)
			break;
	}
	return refusal ? refusal : -EHOSTUNREACH;
}

static int fetch_file(struct fetcher *f, const struct rebuild_line *line)
{
	struct rebuild *rb = f->batch->rb;
	struct arrival a = { .fd = -1 };
	struct fileid_name fn;
	int rc;

	if (fileid_parse(span_of(line->name), &fn) < 0 ||
	    fileid_disk_path(&fn, "", a.file, sizeof(a.file)) < 0)
		return 0;
	snprintf(a.temp, sizeof(a.temp), "%s" TEMP_SUFFIX, a.file);
	do {
		rc = f->n > 0 ? fetch_once(f, &a, line) : -EHOSTUNREACH;
		if (rc == -EHOSTUNREACH) {
			rc = find_others(f);
			if (rc == 0)
				rc = -EHOSTUNREACH;
		}
	} while (rc == -EHOSTUNREACH);
	if (rc > 0 && f->batch->insist)
		__atomic_fetch_add(&rb->lost, 1, __ATOMIC_RELAXED);
	else if (rc == ENOENT)
		__atomic_fetch_add(&rb->skipped, 1, __ATOMIC_RELAXED);
	else if (rc > 0)
		__atomic_fetch_add(&rb->refused, 1, __ATOMIC_RELAXED);
	if (rc > 0 && rc != ENOENT)
		log_warn("recovery_refused", "file=%s: %s", line->name,
		    errstr(-rc));
	return rc < 0 ? rc : 0;
}

/* --- a batch --- */

static void *fetcher_main(void *arg)
{
	struct fetcher *f = arg;
	struct batch *b = f->batch;
	int rc = 0;

	f->piece = xcalloc(PIECE, 1);
	while (rc == 0 && __atomic_load_n(&b->rc, __ATOMIC_RELAXED) == 0) {
		size_t i = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED);

		if (i >= b->n)
			break;
		if (!rebuild_was_deleted(b->rb, b->lines[i].name))
			rc = fetch_file(f, &b->lines[i]);
	}
	if (rc < 0)
		__atomic_store_n(&b->rc, rc, __ATOMIC_RELAXED);
	free(f->piece);
	return NULL;
}

/* The workers of all batches; their connections stay. */
struct crowd {
	struct fetcher *all;
	size_t n;
};

static struct crowd crowd_new(struct batch *b)
{
	struct crowd crowd = {
		.n = (size_t)b->rb->st->conf.disk_recovery_threads,
	};

	crowd.all = xcalloc(crowd.n, sizeof(*crowd.all));
	for (size_t i = 0; i < crowd.n; i++) {
		crowd.all[i].batch = b;
		crowd.all[i].index = i;
		copy_sources(&crowd.all[i]);
	}
	return crowd;
}

static void crowd_free(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->n; i++) {
		for (size_t k = 0; k < crowd->all[i].n; k++)
			hang_up(&crowd->all[i], k);
	}
	free(crowd->all);
}

static int crowd_run(struct crowd *crowd)
{
	struct batch *b = crowd->all[0].batch;
	size_t n = size_min(crowd->n, b->n);
	size_t started = 0;

	b->next = 0;
	b->rc = 0;
	while (started < n && pthread_create(&crowd->all[started].thread, NULL,
	                          fetcher_main, &crowd->all[started]) == 0)
		started++;
	if (started == 0 && n > 0)
		(void)fetcher_main(&crowd->all[0]);
	for (size_t i = 0; i < started; i++)
		pthread_join(crowd->all[i].thread, NULL);
	if (b->rc == -ECANCELED || b->rc == 0)
		return b->rc;
	if (b->rc == -ENOENT)
		return rebuild_say(b->rb, b->rc, "the other storages are gone");
	return rebuild_say(b->rb, b->rc, "its files cannot be written");
}

/* --- a work list --- */

static uint64_t read_mark(const char *path)
{
	char *text;
	char *at;
	int64_t offset = 0;

	if (fs_read_file(path, 4096, &text) < 0)
		return 0;
	at = strstr(text, MARK_KEY);
	if (at) {
		at += strlen(MARK_KEY);
		at[strcspn(at, "\r\n")] = 0;
		if (str_to_i64(at, &offset) < 0 || offset < 0)
			offset = 0;
	}
	free(text);
	return (uint64_t)offset;
}

static int write_mark(const char *path, uint64_t offset)
{
	char text[64];
	int n = snprintf(text, sizeof(text), MARK_KEY "%llu\n",
	    (unsigned long long)offset);

	return fs_replace_file(path, text, (size_t)n, false);
}

static void take_line(struct batch *b, const char *line, size_t n)
{
	struct rebuild_line *to = &b->lines[b->n];
	struct span s = { line, n };

	b->rb->lines++;
	if (rebuild_parse_line(s, b->rb->path->index, to) == 0)
		b->n++;
	else
		log_warn("recovery_line", "'%.*s' names no file of %s",
		    (int)size_min(n, 100), line, b->rb->path->dir);
}

/* The next lines; *n_lines: how many were read, good or not. */
static ssize_t read_batch(FILE *list, struct batch *b, size_t *n_lines)
{
	char line[REBUILD_LINE_MAX];

	b->n = 0;
	*n_lines = 0;
	while (*n_lines < BATCH && fgets(line, sizeof(line), list)) {
		(*n_lines)++;
		take_line(b, line, strcspn(line, "\r\n"));
	}
	return ferror(list) ? -EIO : ftello(list);
}

static int run_list(struct rebuild *rb, FILE *list, const char *mark)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct crowd crowd;
	size_t n_lines;
	int rc = 0;

	b->rb = rb;
	crowd = crowd_new(b);
	while (rc == 0) {
		ssize_t at = read_batch(list, b, &n_lines);

		rc = at < 0 ? (int)at : 0;
		if (n_lines == 0)
			break;
		if (rc == 0)
			rc = crowd_run(&crowd);
		if (rc == 0)
			rc = write_mark(mark, (uint64_t)at);
		rebuild_progress(rb, false);
	}
	crowd_free(&crowd);
	free(b);
	return rc;
}

/* To where an earlier start has come. */
static void pass_lines(struct rebuild *rb, FILE *list, uint64_t to)
{
	char line[REBUILD_LINE_MAX];
	uint64_t at = 0;

	while (at < to && fgets(line, sizeof(line), list)) {
		at += strlen(line);
		rb->lines++;
	}
}

int rebuild_fetch_files(struct rebuild *rb, unsigned k)
{
	char name[REBUILD_FILE_MAX];
	char path[4096];
	char mark[4096];
	FILE *list;
	int rc;

	snprintf(name, sizeof(name), REBUILD_MARK, k);
	snprintf(mark, sizeof(mark), "%s/data/%s", rb->path->dir, name);
	snprintf(name, sizeof(name), REBUILD_LIST, k);
	snprintf(path, sizeof(path), "%s/data/%s", rb->path->dir, name);
	list = fopen(path, "re");
	if (!list)
		return errno == ENOENT ? 0
		                       : rebuild_say(rb, -errno,
		                             "a work list cannot be read");
	pass_lines(rb, list, read_mark(mark));
	rc = run_list(rb, list, mark);
	(void)fclose(list);
	return rc;
}

/* --- what the catalogue has --- */

struct missing {
	struct batch *batch;
	char last[REBUILD_NAME_MAX + 1];
};

static bool is_here(const struct rebuild *rb, const char *name)
{
	char file[FILEID_DISK_MAX];
	struct fileid_name fn;
	struct stat sb;

	return fileid_parse(span_of(name), &fn) < 0 ||
	       fileid_disk_path(&fn, "", file, sizeof(file)) < 0 ||
	       fstatat(rb->path->data_fd, file, &sb, 0) == 0;
}

static void want(struct batch *b, const char *name, int64_t time)
{
	struct rebuild_line *to = &b->lines[b->n];

	if (is_here(b->rb, name) || rebuild_was_deleted(b->rb, name))
		return;
	str_copy(to->name, sizeof(to->name), name);
	to->time = time;
	b->n++;
}

static int note_missing(void *arg, const struct walk_file *f)
{
	struct missing *m = arg;
	char meta[REBUILD_NAME_MAX + 3];

	if (!str_copy_span(m->last, sizeof(m->last), f->name))
		return 0;
	want(m->batch, m->last, f->created);
	if (f->has_meta && f->name.n + 2 <= REBUILD_NAME_MAX) {
		snprintf(meta, sizeof(meta), "%s-m", m->last);
		want(m->batch, meta, f->modified);
	}
	return 0;
}

static int run_missing(struct rebuild *rb, struct db *catalogue)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct missing m = { .batch = b };
	struct crowd crowd;
	int rc = 0;
	int n;

	b->rb = rb;
	b->insist = true;
	crowd = crowd_new(b);
	do {
		b->n = 0;
		/* Each file may be two lines. */
		n = walk_files(catalogue, m.last, (int)rb->path->index,
		    BATCH / 2, note_missing, &m);
		if (n < 0)
			rc = rebuild_say(rb, n, "the catalogue cannot be read");
		else if (rb->n_sources > 0)
			rc = crowd_run(&crowd);
		else
			rb->lost += b->n;
		if (rebuild_stopped(rb))
			rc = -ECANCELED;
	} while (rc == 0 && n == BATCH / 2);
	crowd_free(&crowd);
	free(b);
	return rc;
}

/* After a crash it follows the log for a while. */
static int wait_catalogue(const struct rebuild *rb)
{
	struct catalogue_state state;

	do {
		catalogue_get_state(rb->st->catalogue, &state);
	} while (
	    state.waiting > 0 && state.last_error == 0 && rebuild_pause(rb, 1));
	return rebuild_stopped(rb) ? -ECANCELED : 0;
}

int rebuild_fetch_missing(struct rebuild *rb)
{
	char why[DB_ERR_MAX];
	struct db *catalogue;
	int rc = wait_catalogue(rb);

	if (rc < 0)
		return rc;
	rc = records_read(rb->st, DB_CATALOGUE, &catalogue, why);
	if (rc < 0)
		return rebuild_say(rb, rc, why);
	rc = run_missing(rb, catalogue);
	for (unsigned k = 0; k < rb->flag.lists && rc == 0; k++)
		rc = rebuild_record_files(rb, catalogue, k);
	db_close(catalogue);
	return rc;
}
