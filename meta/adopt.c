/* SPDX-License-Identifier: MIT */
/*
 * A catalogue made from the disks. Four steps, in a file of its own name until
 * the last:
 *
 *   1. walk data/HH/HH of each store path into a table of candidates (the
 *      temporary database "<catalogue>.adopt-list", not synced, thrown away),
 *      so that memory stays bounded whatever the number of files;
 *   2. read them back in order of creation, give them ids -n .. -1, insert, and
 *      read the metadata file NAME-m of each;
 *   3. replay the log from its first operation: what it has is more exact
 *      (client, milliseconds), and what the disk already shows changes nothing;
 *   4. sync and rename over the catalogue.
 *
 * The catalogue's lock is held throughout, so no daemon can be running on it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "meta/catalogue.h"
#include "meta/db_impl.h"
#include "meta/follow.h"
#include "proto/fileid.h"

#define PATH_CAP      4096
#define META_MAX      ((size_t)1024 * 1024)
#define COMMIT_EVERY  20000
#define PROGRESS_EACH 1000

struct adopt {
	const struct adopt_conf *conf;
	struct adopt_result *result;
	char *err;
	sqlite3 *list; /* step 1 */
	sqlite3_stmt *add;
	struct follow follow; /* steps 2 and 3 */
	uint64_t seen;
};

static int fail(struct adopt *a, int rc, const char *what, const char *path)
{
	snprintf(a->err, DB_ERR_MAX, "cannot %s %.300s: %s", what, path,
	    errstr(rc));
	return rc;
}

static void progress(struct adopt *a)
{
	if (++a->seen % PROGRESS_EACH == 0 && a->conf->progress)
		a->conf->progress(a->conf->arg, a->seen);
}

/* --- 1: the list --------------------------------------------------------- */

static int list_open(struct adopt *a, const char *path)
{
	int rc;

	unlink(path);
	rc = sqlite3_open(path, &a->list);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(a->list,
		    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
		    "PRAGMA locking_mode = EXCLUSIVE; "
		    "CREATE TABLE found (name TEXT, size INTEGER, "
		    "created INTEGER, modified INTEGER, has_meta INTEGER); "
		    "BEGIN",
		    NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(a->list,
		    "INSERT INTO found VALUES (?1, ?2, ?3, ?4, ?5)", -1,
		    &a->add, NULL);
	return rc == SQLITE_OK ? 0 : fail(a, db_errno(rc), "make", path);
}

static void list_close(struct adopt *a, const char *path)
{
	sqlite3_finalize(a->add);
	sqlite3_close(a->list);
	unlink(path);
}

static int64_t ms_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

/* The name carries the time, but that of a slave is its master's. */
static int64_t created_ms(const struct name_facts *f, const struct stat *st)
{
	return f->type == 2 || f->created <= 0 ? ms_of(&st->st_mtim)
	                                       : f->created * 1000;
}

static int list_add(struct adopt *a, const char *remote,
    const struct name_facts *f, const struct stat *st, bool has_meta)
{
	db_bind_text(a->add, 1, remote);
	sqlite3_bind_int64(a->add, 2, st->st_size);
	sqlite3_bind_int64(a->add, 3, created_ms(f, st));
	sqlite3_bind_int64(a->add, 4, ms_of(&st->st_mtim));
	sqlite3_bind_int(a->add, 5, has_meta);
	return db_run(a->add);
}

/* One entry of a leaf directory. */
static int look_at(struct adopt *a, int dirfd, const char *dir,
    const char *name)
{
	char remote[512];
	char side[300];
	struct name_facts f;
	struct stat st;
	struct stat meta;

	if (fileid_is_side(span_of(name)))
		return 0; /* looked for with its file */
	snprintf(remote, sizeof(remote), "%s/%s", dir, name);
	memset(&f, 0, sizeof(f));
	if (fstatat(dirfd, name, &st, 0) != 0 || !S_ISREG(st.st_mode) ||
	    strlen(name) > 250 ||
	    a->conf->read_name(span_of(remote), &f) != 0) {
		a->result->not_ours++;
		return 0;
	}
	snprintf(side, sizeof(side), "%s-m", name);
	progress(a);
	return list_add(a, remote, &f, &st,
	    fstatat(dirfd, side, &meta, 0) == 0);
}

/* dir: "M00/AA/BB"; path: where it is on disk. */
static int walk_leaf(struct adopt *a, const char *path, const char *dir)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : fail(a, -errno, "read", path);
	while (!rc && (errno = 0, e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		rc = look_at(a, dirfd(d), dir, e->d_name);
	}
	if (!rc && errno)
		rc = fail(a, -errno, "read", path);
	closedir(d);
	return rc;
}

static bool is_hex_dir(const char *name)
{
	return strlen(name) == 2 && strspn(name, "0123456789ABCDEF") == 2;
}

/* The directories HH of one level below path, in order. n <= 256. */
static int list_dirs(struct adopt *a, const char *path, char names[256][3],
    size_t *n)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	*n = 0;
	if (!d)
		return fail(a, -errno, "read", path);
	while ((e = readdir(d)) != NULL && *n < 256)
		if (is_hex_dir(e->d_name))
			memcpy(names[(*n)++], e->d_name, 3);
	closedir(d);
	qsort(names, *n, 3, (int (*)(const void *, const void *))strcmp);
	return 0;
}

static int walk_path(struct adopt *a, size_t index)
{
	char high[256][3];
	char low[256][3];
	char data[PATH_CAP];
	size_t n_high = 0;
	int rc;

	snprintf(data, sizeof(data), "%s/data", a->conf->store_paths[index]);
	rc = list_dirs(a, data, high, &n_high);
	for (size_t i = 0; !rc && i < n_high; i++) {
		char path[PATH_CAP + 8];
		size_t n_low = 0;

		snprintf(path, sizeof(path), "%s/%.2s", data, high[i]);
		rc = list_dirs(a, path, low, &n_low);
		for (size_t j = 0; !rc && j < n_low; j++) {
			char leaf[PATH_CAP + 16];
			char dir[16];

			snprintf(leaf, sizeof(leaf), "%s/%.2s", path, low[j]);
			snprintf(dir, sizeof(dir), "M%02X/%.2s/%.2s",
			    (unsigned)index & 0xff, high[i], low[j]);
			rc = walk_leaf(a, leaf, dir);
		}
	}
	return rc;
}

static int make_list(struct adopt *a)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < a->conf->n_store_paths; i++)
		rc = walk_path(a, i);
	if (!rc)
		rc =
		    db_errno(sqlite3_exec(a->list, "COMMIT", NULL, NULL, NULL));
	if (rc && !a->err[0])
		fail(a, rc, "write", "the list of files");
	return rc;
}

/* --- 2: the rows --------------------------------------------------------- */

/* Reads the side file of a remote name "M00/AA/BB/NAME" and applies it. */
static int load_meta(struct adopt *a, int64_t id, const char *remote)
{
	char path[PATH_CAP];
	char *text = NULL;
	const unsigned index = (unsigned)strtoul(remote + 1, NULL, 16);
	int rc;

	snprintf(path, sizeof(path), "%s/data/%s-m",
	    a->conf->store_paths[index], remote + 4);

	const ssize_t n = fs_read_file(path, META_MAX, &text);

	if (n < 0) {
		log_warn("adopt_meta_skipped", "path=%s: %s", path,
		    errstr((int)n));
		return 0;
	}
	rc =
	    apply_attrs(&a->follow.apply, id, (struct span){ text, (size_t)n });
	a->result->meta++;
	free(text);
	return rc;
}

static int load_one(struct adopt *a, sqlite3_stmt *st, int64_t id)
{
	struct found_file f = { .id = id,
		.name = db_col_span(st, 0),
		.size = (uint64_t)sqlite3_column_int64(st, 1),
		.created = sqlite3_column_int64(st, 2),
		.modified = sqlite3_column_int64(st, 3) };
	int rc;

	a->conf->read_name(f.name, &f.facts);
	rc = apply_found(&a->follow.apply, &f);
	a->result->files++;
	a->result->bytes += f.size;
	if (!rc && sqlite3_column_int(st, 4))
		rc = load_meta(a, id, db_col_text(st, 0));
	progress(a);
	return rc;
}

static int flush(struct adopt *a)
{
	struct apply *ap = &a->follow.apply;
	int rc = usage_flush(ap->usage, ap->db);

	if (!rc)
		rc = db_commit(ap->db);
	if (!rc)
		rc = db_checkpoint(ap->db, false, NULL);
	return rc;
}

static int load_rows(struct adopt *a)
{
	sqlite3_stmt *st = NULL;
	struct db *db = a->follow.apply.db;
	int64_t n = 0;
	int64_t id;
	int rc = db_errno(sqlite3_prepare_v2(a->list,
	    "SELECT name, size, created, modified, has_meta, "
	    "(SELECT count(*) FROM found) FROM found ORDER BY created, name",
	    -1, &st, NULL));

	if (!rc)
		rc = db_begin(db);
	while (!rc && (rc = db_step(st)) == 1) {
		id = n++ - sqlite3_column_int64(st, 5);
		rc = load_one(a, st, id);
		if (!rc && n % COMMIT_EVERY == 0) {
			rc = flush(a);
			if (!rc)
				rc = db_begin(db);
		}
	}
	if (!rc)
		rc = flush(a);
	sqlite3_finalize(st);
	if (rc)
		fail(a, rc, "fill", db_path(db));
	return rc;
}

/* --- 3: the log ---------------------------------------------------------- */

static void no_note(void *arg, const char *text)
{
	(void)arg;
	(void)text; /* a log that was trimmed is what the walk is for */
}

static int replay(struct adopt *a)
{
	struct follow *f = &a->follow;
	struct db *db = f->apply.db;
	int n = FOLLOW_BATCH;
	int rc;

	if (!a->conf->log_path || access(a->conf->log_path, F_OK) != 0)
		return 0;
	rc = db_open_read(DB_LOG, a->conf->log_path, &f->log, a->err);
	if (rc)
		return rc;
	rc = follow_init(f, no_note, NULL);
	while (!rc && n > 0) {
		n = follow_step(f, NULL, NULL);
		if (n < 0)
			rc = n;
		else
			a->result->replayed += (uint64_t)n;
		if (!rc && n > 0)
			rc = db_checkpoint(db, false, NULL);
	}
	if (!rc)
		rc = db_exec(db, "DELETE FROM mark WHERE key = 'incomplete'");
	return rc ? fail(a, rc, "replay", a->conf->log_path) : 0;
}

/* --- 4: into place ------------------------------------------------------- */

static void remove_database(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	char name[PATH_CAP + 16];

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		unlink(name);
	}
}

static int sync_file(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* The old catalogue goes first, with its WAL: a WAL beside another database
 * than its own would damage that. Cut off between the two, the storage starts
 * with an empty catalogue, and adopt can be run again. */
static int put_in_place(struct adopt *a, const char *from)
{
	const char *to = a->conf->catalogue_path;
	char folder[PATH_CAP];
	char *slash;
	int rc = sync_file(from, O_RDWR);

	if (rc)
		return fail(a, rc, "sync", from);
	remove_database(to);
	if (rename(from, to) != 0)
		return fail(a, -errno, "replace", to);
	snprintf(folder, sizeof(folder), "%s", to);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	return sync_file(slash ? folder : ".", O_RDONLY | O_DIRECTORY);
}

/* Steps 2 and 3 into `path`; closed and complete in one file afterwards. */
static int build(struct adopt *a, const char *path)
{
	struct follow *f = &a->follow;
	int rc;

	remove_database(path);
	rc = db_open(DB_CATALOGUE, path, false, &f->apply.db, a->err);
	if (rc)
		return rc;
	f->apply.usage = usage_new();
	f->apply.read_name = a->conf->read_name;
	f->apply.name_key = a->conf->name_key ? a->conf->name_key : "";
	rc = db_mark_set(f->apply.db, "group",
	    a->conf->group ? a->conf->group : "");
	if (rc)
		fail(a, rc, "write", path);
	if (!rc)
		rc = load_rows(a);
	if (!rc)
		rc = replay(a);
	if (!rc) {
		rc = db_checkpoint(f->apply.db, true, NULL);
		if (rc)
			fail(a, rc, "complete", path);
	}
	follow_fini(f);
	usage_free(f->apply.usage);
	db_close(f->log);
	db_close(f->apply.db);
	return rc;
}

int catalogue_adopt(const struct adopt_conf *conf, struct adopt_result *out,
    char *err)
{
	struct adopt a = { .conf = conf, .result = out, .err = err };
	char lock[PATH_CAP];
	char list[PATH_CAP];
	char path[PATH_CAP];
	int lock_fd;
	int rc;

	memset(out, 0, sizeof(*out));
	err[0] = '\0';
	snprintf(lock, sizeof(lock), "%s-lock", conf->catalogue_path);
	snprintf(list, sizeof(list), "%s.adopt-list", conf->catalogue_path);
	snprintf(path, sizeof(path), "%s.adopt", conf->catalogue_path);
	lock_fd = fs_lock_file(lock);
	if (lock_fd == -EWOULDBLOCK) {
		snprintf(err, DB_ERR_MAX,
		    "%s is in use: stop the storage first",
		    conf->catalogue_path);
		return -EBUSY;
	}
	if (lock_fd < 0)
		return fail(&a, lock_fd, "lock", lock);
	rc = list_open(&a, list);
	if (!rc)
		rc = make_list(&a);
	if (!rc)
		rc = build(&a, path);
	if (!rc)
		rc = put_in_place(&a, path);
	list_close(&a, list);
	remove_database(path);
	snprintf(path, sizeof(path), "%s.adopt-lock", conf->catalogue_path);
	unlink(path);
	close(lock_fd);
	return rc;
}
