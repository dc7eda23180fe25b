/* SPDX-License-Identifier: MIT */
/*
 * When a store path is rebuilt, and in which order (cluster-protocol 3.12):
 *
 *	what trackers hold of us -> who can give -> RECOVERY -> the names ->
 *	the files -> what the catalogue still misses -> the old status
 *
 * The dialogue runs in a thread of its own, so that the main thread can see
 * that the start is called off.
 */
#include "storaged/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/fs.h"
#include "base/log.h"
#include "meta/event.h"
#include "meta/recovery.h"
#include "storaged/beat_impl.h"
#include "storaged/rebuild_impl.h"
#include "storaged/records.h"

#define PROGRESS_SEC 5
#define LOOK_MS      100

/* --- the flag file --- */

static void data_name(const char *dir, const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "%s/data/%s", dir, name);
}

static int write_flag(const char *dir, const struct rebuild_flag *f)
{
	char path[4096];
	char text[256];
	size_t n = rebuild_print_flag(f, text, sizeof(text));

	data_name(dir, REBUILD_FLAG, path, sizeof(path));
	return fs_replace_file(path, text, n, true);
}

/* 1 there is one, 0 none. */
static int read_flag(const char *dir, struct rebuild_flag *f)
{
	char path[4096];
	char *text;
	ssize_t n;
	int rc;

	data_name(dir, REBUILD_FLAG, path, sizeof(path));
	n = fs_read_file(path, 4096, &text);
	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return (int)n;
	rc = rebuild_parse_flag(text, f);
	free(text);
	return rc < 0 ? rc : 1;
}

static void remove_files(const struct rebuild *rb)
{
	const int fd = rb->path->data_fd;
	char name[REBUILD_FILE_MAX];

	for (unsigned k = 0; k < rb->flag.lists; k++) {
		snprintf(name, sizeof(name), REBUILD_LIST, k);
		(void)unlinkat(fd, name, 0);
		snprintf(name, sizeof(name), REBUILD_MARK, k);
		(void)unlinkat(fd, name, 0);
	}
	(void)unlinkat(fd, REBUILD_FLAG, 0);
}

/* --- is it needed? --- */

static int look_at_path(const struct storage_conf *conf, size_t i)
{
	const struct rebuild_flag fresh = { .saved_status = -1, .lists = 1 };
	struct rebuild_flag old;
	char data[4096];
	bool missing;
	int fd;

	if (conf->path_readonly[i] || access(conf->store_paths[i], F_OK) < 0 ||
	    read_flag(conf->store_paths[i], &old) != 0)
		return 0;
	snprintf(data, sizeof(data), "%s/data", conf->store_paths[i]);
	if (mkdir(data, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	missing = rebuild_is_missing(fd, (unsigned)conf->subdir_count_per_path);
	close(fd);
	if (!missing)
		return 0;
	log_warn("recovery_needed",
	    "path=%s has no directories for files: its files are asked for "
	    "from the other storages of the group",
	    conf->store_paths[i]);
	return write_flag(conf->store_paths[i], &fresh);
}

int rebuild_look(const struct storage *st, char *err, size_t cap)
{
	const struct storage_conf *conf = &st->conf;

	if (st->me.first_run || !st->me.sync_old_done)
		return 0;
	for (size_t i = 0; i < (size_t)conf->store_path_count; i++) {
		int rc = look_at_path(conf, i);

		if (rc < 0) {
			snprintf(err, cap,
			    "store path %s: cannot prepare its recovery: %s",
			    conf->store_paths[i], errstr(rc));
			return rc;
		}
	}
	return 0;
}

/* --- telling --- */

int rebuild_say(const struct rebuild *rb, int rc, const char *what)
{
	if (!rb->err[0])
		snprintf(rb->err, rb->cap,
		    "the recovery of store path %s stopped: %s: %s; it goes on "
		    "at the next start",
		    rb->path->dir, what, errstr(rc));
	return rc;
}

struct mark_write {
	struct write write;
	char value[256];
};

static int apply_mark(struct write *w, struct db *db)
{
	struct mark_write *m = container_of(w, struct mark_write, write);

	return db_mark_set(db, RECOVERY_MARK, m->value);
}

void rebuild_progress(struct rebuild *rb, bool ended)
{
	struct mark_write m = { .write.apply = apply_mark };
	int64_t now = clock_wall_sec();

	if (!ended && now - rb->told < PROGRESS_SEC)
		return;
	rb->told = now;
	snprintf(m.value, sizeof(m.value),
	    "path=%u state=%s lines=%llu/%llu files=%llu bytes=%llu lost=%llu "
	    "at=%lld%s%s",
	    rb->path->index, ended ? "done" : "running",
	    (unsigned long long)rb->lines, (unsigned long long)rb->lines_all,
	    (unsigned long long)rb->files, (unsigned long long)rb->bytes,
	    (unsigned long long)rb->lost, (long long)now,
	    rb->n_sources ? " from=" : "",
	    rb->n_sources ? rb->sources[0].id : "");
	(void)writer_call(rb->st->log, &m.write);
	log_info("recovery", "%s dir=%s", m.value, rb->path->dir);
}

static void event(const struct rebuild *rb, const char *code, int severity,
    const char *text)
{
	catalogue_event(rb->st->catalogue, code, severity, rb->path->dir, text);
}

static void tell_begin(const struct rebuild *rb)
{
	char text[160];

	snprintf(text, sizeof(text),
	    "disk recovery begins: %llu names, %zu storages can give files",
	    (unsigned long long)rb->lines_all, rb->n_sources);
	log_warn("recovery_begin", "path=%s: %s", rb->path->dir, text);
	event(rb, "FD-REC-01", EVENT_WARN, text);
}

static void tell_lost(const struct rebuild *rb)
{
	char text[256];

	if (rb->lost == 0)
		return;
	rb->st->lost_files = true;
	snprintf(text, sizeof(text),
	    "%llu files of the catalogue are not on the disk and no other "
	    "storage gives them: they were only here, or were deleted "
	    "elsewhere meanwhile",
	    (unsigned long long)rb->lost);
	log_error("recovery_lost", "path=%s: %s", rb->path->dir, text);
	event(rb, "FD-REC-02", EVENT_CRIT, text);
}

static void tell_end(const struct rebuild *rb)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "disk recovery ended: %llu files, %llu bytes came back; %llu were "
	    "deleted meanwhile, %llu refused",
	    (unsigned long long)rb->files, (unsigned long long)rb->bytes,
	    (unsigned long long)rb->skipped, (unsigned long long)rb->refused);
	log_warn("recovery_end", "path=%s: %s", rb->path->dir, text);
	event(rb, "FD-REC-01", EVENT_INFO, text);
}

/* --- the steps --- */

static void count_lines(struct rebuild *rb)
{
	char path[4096];
	char name[REBUILD_FILE_MAX];
	char line[REBUILD_LINE_MAX];

	rb->lines_all = 0;
	for (unsigned k = 0; k < rb->flag.lists; k++) {
		FILE *list;

		snprintf(name, sizeof(name), REBUILD_LIST, k);
		data_name(rb->path->dir, name, path, sizeof(path));
		list = fopen(path, "re");
		while (list && fgets(line, sizeof(line), list))
			rb->lines_all++;
		if (list)
			(void)fclose(list);
	}
}

/* Steps 1 and 2. 1: nobody can give us anything. */
static int find_help(struct rebuild *rb)
{
	int status;
	int rc = rebuild_own_status(rb, &status);

	if (rc < 0)
		return rc;
	if (rb->flag.saved_status < 0)
		rb->flag.saved_status = status;
	if (status <= MEMBER_INIT || status == MEMBER_DELETED ||
	    status == MEMBER_IP_CHANGED)
		return 1;
	rc = rebuild_find_sources(rb);
	return rc == -ENOENT ? 1 : rc;
}

/* Steps 3 to 5. */
static int bring(struct rebuild *rb)
{
	int rc = 0;

	/* Who is being filled stays so: it must not become ACTIVE early. */
	if (rb->flag.saved_status >= MEMBER_OFFLINE)
		(void)rebuild_tell_status(rb, MEMBER_RECOVERY);
	if (!rb->flag.listed) {
		rb->flag.lists = 1;
		rc = rebuild_fetch_list(rb);
		rb->flag.listed = rc == 0;
		if (rc == 0)
			rc = write_flag(rb->path->dir, &rb->flag);
	}
	if (rc == 0)
		rc = rebuild_read_deleted(rb);
	if (rc < 0)
		return rc;
	count_lines(rb);
	tell_begin(rb);
	rebuild_progress(rb, false);
	for (unsigned k = 0; k < rb->flag.lists && rc == 0; k++)
		rc = rebuild_fetch_files(rb, k);
	return rc == 0 ? rebuild_fetch_missing(rb) : rc;
}

static int rebuild_path(struct rebuild *rb)
{
	int rc = find_help(rb);
	const bool alone = rc == 1;

	if (alone) {
		rb->n_sources = 0;
		log_warn("recovery_alone",
		    "path=%s: no other storage has its files", rb->path->dir);
		rc = rebuild_read_deleted(rb);
		if (rc == 0)
			rc = rebuild_fetch_missing(rb);
	} else if (rc == 0) {
		rc = bring(rb);
	}
	rebuild_drop_deleted(rb);
	if (rc < 0)
		return rc;
	tell_lost(rb);
	if (!alone) {
		tell_end(rb);
		(void)rebuild_tell_status(rb, rb->flag.saved_status);
	}
	rebuild_progress(rb, true);
	remove_files(rb);
	return 0;
}

/* --- the thread --- */

struct run {
	struct rebuild rb;
	pthread_t thread;
	int rc;
	bool ended; /* atomic */
};

static void *run_main(void *arg)
{
	struct run *run = arg;

	run->rc = rebuild_path(&run->rb);
	__atomic_store_n(&run->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static int watch_run(struct run *run, bool (*stop)(void))
{
	const struct timespec slice = { 0, LOOK_MS * 1000000L };
	int rc = -pthread_create(&run->thread, NULL, run_main, run);

	if (rc < 0)
		return rebuild_say(&run->rb, rc, "no thread");
	while (!__atomic_load_n(&run->ended, __ATOMIC_ACQUIRE)) {
		if (stop())
			__atomic_store_n(&run->rb.quit, true, __ATOMIC_RELAXED);
		nanosleep(&slice, NULL);
	}
	pthread_join(run->thread, NULL);
	if (run->rc < 0)
		(void)rebuild_say(&run->rb, run->rc, "it was called off");
	return run->rc;
}

struct sentence { /* what went wrong, for the start's error */
	char *text;
	size_t cap;
};

static int run_path(struct storage *st, struct store_path *path,
    const struct rebuild_flag *flag, bool (*stop)(void), struct sentence err)
{
	struct run *run = xcalloc(1, sizeof(*run));
	int rc;

	run->rb.st = st;
	run->rb.path = path;
	run->rb.flag = *flag;
	run->rb.err = err.text;
	run->rb.cap = err.cap;
	pthread_mutex_init(&run->rb.lock, NULL);
	rc = watch_run(run, stop);
	pthread_mutex_destroy(&run->rb.lock);
	free(run);
	return rc;
}

/* Earlier starts may have found out. */
static bool has_lost_files(struct storage *st)
{
	char why[DB_ERR_MAX];
	char text[256] = "";
	struct db *log;

	if (records_read(st, DB_LOG, &log, why) < 0)
		return false;
	(void)db_mark_get(log, RECOVERY_MARK, text, sizeof(text));
	db_close(log);
	return strstr(text, " lost=") && !strstr(text, " lost=0");
}

int rebuild_run(struct storage *st, bool (*stop)(void), char *err, size_t cap)
{
	int rc = 0;

	st->lost_files = has_lost_files(st);
	if (st->me.first_run || !st->me.sync_old_done)
		return 0;
	for (size_t i = 0; i < st->store.n && rc == 0; i++) {
		struct store_path *path = &st->store.paths[i];
		struct rebuild_flag flag;

		rc = path->readonly ? 0 : read_flag(path->dir, &flag);
		if (rc < 0)
			snprintf(err, cap,
			    "%s/data/" REBUILD_FLAG
			    " cannot be read: %s; remove it to start without "
			    "recovery",
			    path->dir, errstr(rc));
		if (rc <= 0)
			continue;
		/* It may take hours; whoever waits for the start need not. */
		daemon_ready();
		rc = run_path(st, path, &flag, stop,
		    (struct sentence){ err, cap });
	}
	return rc;
}
