/* SPDX-License-Identifier: MIT */
/*
 * Layout of a store path, FastDFS's own (client-protocol 6.1):
 *
 *	<dir>/data/HH/LL/<name>		files, HH and LL below the sub-directory
 *					count in upper-case hex
 *	<dir>/data/.incoming/<n>	ours: what is still arriving, and
 *content of changes until they are applied
 */
#include "storaged/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"

/* A step that took longer keeps the path off the loops for a while: 8 ms the
 * first time (the thread may only have lost the processor), twice as long
 * each time it happens again, half as long after each step that was quick. */
#define SLOW_STEP (3 * MONO_MS)
#define PAUSE_MIN (8 * MONO_MS)
#define PAUSE_MAX (2 * MONO_SEC)

#define MAX_SUBDIRS 256
#define TIGHT_SPACE (UINT64_C(256) << 20)

static bool is_dir_at(int fd, const char *name)
{
	struct stat sb;

	return fstatat(fd, name, &sb, 0) == 0 && S_ISDIR(sb.st_mode);
}

static int make_dir_at(int fd, const char *name)
{
	return mkdirat(fd, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* All N x N directories, unless the first and the last are there. */
static int make_subdirs(int data_fd, unsigned n)
{
	char name[24];
	int rc = 0;

	snprintf(name, sizeof(name), "%02X/%02X", n - 1, n - 1);
	if (is_dir_at(data_fd, "00/00") && is_dir_at(data_fd, name))
		return 0;
	for (unsigned high = 0; high < n && rc == 0; high++) {
		snprintf(name, sizeof(name), "%02X", high);
		rc = make_dir_at(data_fd, name);
		for (unsigned low = 0; low < n && rc == 0; low++) {
			snprintf(name, sizeof(name), "%02X/%02X", high, low);
			rc = make_dir_at(data_fd, name);
		}
	}
	return rc;
}

/* The count whose directories are there, or 0: not more than n. */
static unsigned larger_count(int data_fd, unsigned n)
{
	char name[24];

	for (unsigned i = MAX_SUBDIRS; i > n; i--) {
		snprintf(name, sizeof(name), "%02X/%02X", i - 1, i - 1);
		if (is_dir_at(data_fd, name))
			return i;
	}
	return 0;
}

static int fail_path(char *err, size_t cap, const char *dir, const char *what,
    int rc)
{
	snprintf(err, cap, "store path %s: %s: %s", dir, what, errstr(rc));
	return rc;
}

/* Files beyond the count would not be found when the path is read again. */
static int refuse_to_shrink(const struct store_path *p, unsigned subdirs,
    char *err, size_t cap)
{
	unsigned had = larger_count(p->data_fd, subdirs);

	if (!had)
		return 0;
	snprintf(err, cap,
	    "store path %s: has the directories of subdir_count_per_path = "
	    "%u, which may grow but not shrink to %u; set it back",
	    p->dir, had, subdirs);
	return -EINVAL;
}

static int open_path(struct store_path *p, unsigned subdirs, char *err,
    size_t cap)
{
	char data[4096];
	int rc;

	if (snprintf(data, sizeof(data), "%s/data", p->dir) >=
	    (int)sizeof(data))
		return fail_path(err, cap, p->dir, "name", -ENAMETOOLONG);
	if (access(p->dir, F_OK) < 0)
		return fail_path(err, cap, p->dir,
		    "does not exist; mount or create it", -errno);
	if (mkdir(data, 0755) < 0 && errno != EEXIST && !p->readonly)
		return fail_path(err, cap, p->dir, "cannot make data", -errno);
	p->data_fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->data_fd < 0)
		return fail_path(err, cap, p->dir, "cannot open data", -errno);
	rc = refuse_to_shrink(p, subdirs, err, cap);
	if (rc < 0 || p->readonly)
		return rc;
	rc = make_subdirs(p->data_fd, subdirs);
	if (rc == 0)
		rc = make_dir_at(p->data_fd, STORE_INCOMING);
	return rc < 0 ? fail_path(err, cap, p->dir,
	                    "cannot make the sub-directories", rc)
	              : 0;
}

int store_open(struct stores *s, const struct store_conf *conf,
    const struct store_dirs *paths, char *err, size_t cap)
{
	size_t n = paths->n;

	memset(s, 0, sizeof(*s));
	s->conf = *conf;
	s->paths = xcalloc(n, sizeof(*s->paths));
	for (size_t i = 0; i < n; i++)
		s->paths[i].data_fd = -1;
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		struct store_path *p = &s->paths[i];
		int rc;

		p->index = (unsigned)i;
		p->dir = paths->dirs[i];
		p->readonly = paths->readonly[i];
		/* Rows name staged files: no number is used twice. */
		atomic_store(&p->temp, (uint64_t)clock_wall() * 1000);
		rc = open_path(p, conf->subdirs, err, cap);
		if (rc < 0) {
			store_close(s);
			return rc;
		}
	}
	store_look(s);
	return 0;
}

int store_start_workers(struct stores *s)
{
	char name[16];

	for (size_t i = 0; i < s->n; i++) {
		int rc;

		snprintf(name, sizeof(name), "disk-%02X", (unsigned)i & 0xff);
		rc = crew_new(s->conf.disk_threads, name, &s->paths[i].crew);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void store_stop_workers(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++) {
		crew_free(s->paths[i].crew);
		s->paths[i].crew = NULL;
	}
}

void store_close(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->paths[i].data_fd >= 0)
			close(s->paths[i].data_fd);
	free(s->paths);
	s->paths = NULL;
	s->n = 0;
}

/* Is the directory we opened still the one with that name? An unmounted disk
 * leaves an empty mount point behind, which must not take files. */
static int check_data_dir(const struct store_path *p)
{
	char data[4096];
	struct stat a;
	struct stat b;

	snprintf(data, sizeof(data), "%s/data", p->dir);
	if (fstat(p->data_fd, &a) < 0 || stat(data, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -ESTALE;
}

static void look_at(struct store_path *p)
{
	uint64_t total = 0;
	uint64_t avail = 0;
	int rc = check_data_dir(p);
	int before = atomic_load(&p->last_error);

	if (rc == 0)
		rc = fs_space(p->dir, &total, &avail);
	if (rc != before && rc < 0)
		log_error("store_path_lost",
		    "path=%s: %s; no new files go "
		    "there until it is back",
		    p->dir, errstr(rc));
	else if (rc != before)
		log_warn("store_path_back", "path=%s", p->dir);
	atomic_store(&p->last_error, rc);
	atomic_store(&p->total, total);
	atomic_store(&p->avail, avail);
}

void store_look(struct stores *s)
{
	for (size_t i = 0; i < s->n; i++)
		look_at(&s->paths[i]);
}

uint64_t store_reserve(const struct stores *s, const struct store_path *p)
{
	const struct conf_reserve *r = &s->conf.reserved;

	if (r->percent > 0)
		return (uint64_t)((double)atomic_load(&p->total) * r->percent /
		                  100.0);
	return s->n ? r->bytes / s->n : r->bytes;
}

/* Strictly more than the reserve must stay free (client-protocol 3.2.1). */
static bool has_room(const struct stores *s, const struct store_path *p,
    uint64_t size)
{
	uint64_t avail = atomic_load(&p->avail);

	return !p->readonly && atomic_load(&p->last_error) == 0 &&
	       avail > size && avail - size > store_reserve(s, p);
}

static struct store_path *most_room(struct stores *s, uint64_t size)
{
	struct store_path *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct store_path *p = &s->paths[i];

		if (has_room(s, p, size) &&
		    (!best ||
		        atomic_load(&p->avail) > atomic_load(&best->avail)))
			best = p;
	}
	return best;
}

static struct store_path *next_with_room(struct stores *s, uint64_t size)
{
	uint64_t from = atomic_fetch_add(&s->rotor, 1);

	for (size_t i = 0; i < s->n; i++) {
		struct store_path *p = &s->paths[(from + i) % s->n];

		if (has_room(s, p, size))
			return p;
	}
	return NULL;
}

/* Two loops may want the last room at once. */
static bool take_room(struct store_path *p, uint64_t size)
{
	uint64_t avail = atomic_load(&p->avail);

	while (avail >= size)
		if (atomic_compare_exchange_weak(&p->avail, &avail,
		        avail - size))
			return true;
	return false;
}

int store_pick(struct stores *s, unsigned wanted, uint64_t size,
    struct store_path **out)
{
	struct store_path *p = NULL;

	if (wanted != 0xFF) {
		p = store_at(s, wanted);
		if (!p)
			return -EINVAL;
		if (!p->readonly && !has_room(s, p, size))
			return -ENOSPC;
	}
	if (!p || p->readonly)
		p = s->conf.balance ? most_room(s, size)
		                    : next_with_room(s, size);
	if (!p || !take_room(p, size))
		return -ENOSPC;
	*out = p;
	return 0;
}

bool store_tight(const struct store_path *p)
{
	return atomic_load(&p->avail) < TIGHT_SPACE;
}

struct fileid_place store_place(struct stores *s, const struct store_path *p)
{
	uint64_t n = s->conf.subdirs;
	uint64_t at;

	if (s->conf.hash_dirs)
		at = store_random() >> 16;
	else
		at = atomic_fetch_add(&s->files, 1) / s->conf.rotate_count;
	at %= n * n;
	return (struct fileid_place){ p->index, (unsigned)(at / n),
		(unsigned)(at % n) };
}

struct store_path *store_at(struct stores *s, unsigned index)
{
	return index < s->n ? &s->paths[index] : NULL;
}

void store_temp(struct store_path *p, char out[STORE_TEMP_MAX])
{
	uint64_t n = atomic_fetch_add(&p->temp, 1);

	snprintf(out, STORE_TEMP_MAX, STORE_INCOMING "/%llu",
	    (unsigned long long)n);
}

uint64_t store_random(void)
{
	static _Thread_local uint64_t state;

	while (state == 0)
		if (getrandom(&state, sizeof(state), 0) < 0)
			state = clock_mono();
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

bool store_quick(const struct store_path *p, mono_t now)
{
	return atomic_load_explicit(&p->slow_until, memory_order_relaxed) < now;
}

void store_took(struct store_path *p, mono_t from, mono_t to)
{
	uint64_t pause = atomic_load_explicit(&p->pause, memory_order_relaxed);

	if (to - from <= SLOW_STEP) {
		if (pause)
			atomic_store_explicit(&p->pause, pause / 2,
			    memory_order_relaxed);
		return;
	}
	pause = pause < PAUSE_MIN ? PAUSE_MIN : pause * 2;
	if (pause > PAUSE_MAX)
		pause = PAUSE_MAX;
	atomic_store_explicit(&p->pause, pause, memory_order_relaxed);
	atomic_store_explicit(&p->slow_until, to + pause, memory_order_relaxed);
}
