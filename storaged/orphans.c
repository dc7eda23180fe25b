/* SPDX-License-Identifier: MIT */
#include "storaged/orphans.h"

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
#include "proto/fileid.h"

#define ORPHANS_DIR ".orphans"
#define FIRST_CAP   1024

/* --- what is known of names --- */

/* 0 marks a free slot. */
static uint64_t hash_name(struct span s)
{
	const uint64_t h = span_hash(s);

	return h ? h : 1;
}

void names_init(struct names *t)
{
	t->cap = FIRST_CAP;
	t->used = 0;
	t->slots = xcalloc(t->cap, sizeof(*t->slots));
}

void names_fini(struct names *t)
{
	free(t->slots);
	t->slots = NULL;
}

static struct name_note *slot_of(struct names *t, uint64_t hash)
{
	size_t i = hash & (t->cap - 1);

	while (t->slots[i].hash != 0 && t->slots[i].hash != hash)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void grow(struct names *t)
{
	struct names bigger = { NULL, t->cap * 2, t->used };

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < t->cap; i++)
		if (t->slots[i].hash)
			*slot_of(&bigger, t->slots[i].hash) = t->slots[i];
	free(t->slots);
	*t = bigger;
}

struct name_note *names_note(struct names *t, struct span name)
{
	uint64_t hash = hash_name(name);
	struct name_note *n;

	if (t->used * 2 >= t->cap)
		grow(t);
	n = slot_of(t, hash);
	if (n->hash == 0) {
		n->hash = hash;
		t->used++;
	}
	return n;
}

struct name_note *names_find(struct names *t, struct span name)
{
	struct name_note *n = slot_of(t, hash_name(name));

	return n->hash ? n : NULL;
}

/* --- files --- */

static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

uint64_t orphans_empty_incoming(struct store_path *p)
{
	DIR *d = open_dir(p->data_fd, STORE_INCOMING);
	struct dirent *e;
	uint64_t n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' &&
		    unlinkat(dirfd(d), e->d_name, 0) == 0)
			n++;
	closedir(d);
	return n;
}

static wall_t stamp_ms(const struct statx_timestamp *t)
{
	return (wall_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

/* Was the file made since then? By its birth, or by the time in its name. */
static bool made_since(int dirfd_, const char *file,
    const struct fileid_name *fn, wall_t since)
{
	struct statx sx;

	if (fn->has_record && fn->type != FILE_SLAVE &&
	    (wall_t)fn->id.time * 1000 >= since)
		return true;
	if (statx(dirfd_, file, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &sx) < 0)
		return false;
	return (sx.stx_mask & STATX_BTIME) && stamp_ms(&sx.stx_btime) >= since;
}

static bool is_orphan(struct store_path *p, struct names *known,
    const char *dir, const char *file, wall_t since)
{
	char name[512];
	struct fileid_name fn;
	struct name_note *n;

	snprintf(name, sizeof(name), "M%02X/%s/%s", p->index, dir, file);
	if (fileid_is_side(span_of(file)) ||
	    fileid_parse(span_of(name), &fn) < 0 || !fn.has_record)
		return false;
	n = names_find(known, span_of(name));
	if (n && n->presence && !n->gone)
		return false;
	/* Known, but not when it was made: older than the tail. */
	if (n && !n->presence)
		return false;
	return made_since(p->data_fd, name + 4, &fn, since);
}

static bool move_away(struct store_path *p, const char *dir, const char *file)
{
	char from[FILEID_DISK_MAX];
	char to[FILEID_DISK_MAX];

	if (mkdirat(p->data_fd, ORPHANS_DIR, 0755) < 0 && errno != EEXIST)
		return false;
	snprintf(from, sizeof(from), "%.5s/%.127s", dir, file);
	snprintf(to, sizeof(to), ORPHANS_DIR "/%.127s", file);
	if (renameat(p->data_fd, from, p->data_fd, to) < 0)
		return false;
	log_warn("orphan_moved",
	    "path=%s file=%s to=%s: no client was told "
	    "of it",
	    p->dir, from, to);
	return true;
}

static bool sum_matches(int fd, uint32_t crc)
{
	uint32_t sum;
	uint64_t size;

	return fs_crc32(fd, &sum, &size) == 0 && sum == crc;
}

/* Is the content what the name says? Only normal files say it. */
static bool is_whole(const struct store_path *p, const char *dir,
    const char *file, struct orphan *o)
{
	char path[FILEID_DISK_MAX];
	struct fileid_name fn;
	struct stat sb;
	int fd;
	bool whole;

	snprintf(o->name, sizeof(o->name), "M%02X/%.5s/%.117s", p->index, dir,
	    file);
	if (fileid_parse(span_of(o->name), &fn) < 0 || fn.type != FILE_NORMAL)
		return false;
	snprintf(path, sizeof(path), "%.5s/%.127s", dir, file);
	fd = openat(p->data_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	o->size = fileid_size(&fn.id);
	o->crc = fn.id.crc;
	o->time = fn.id.time;
	o->source = fn.id.source;
	whole = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) &&
	        (uint64_t)sb.st_size == o->size && sum_matches(fd, o->crc);
	close(fd);
	return whole;
}

static void judge(struct store_path *p, const char *dir, const char *file,
    struct orphan_sweep *sweep)
{
	struct orphan o;

	if (!is_orphan(p, sweep->known, dir, file, sweep->since))
		return;
	if (is_whole(p, dir, file, &o) && sweep->record(sweep->arg, &o) == 0)
		sweep->recorded++;
	else if (move_away(p, dir, file))
		sweep->moved++;
}

static void scan_dir(struct store_path *p, const char *name,
    struct orphan_sweep *sweep)
{
	DIR *d = open_dir(p->data_fd, name);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			judge(p, name, e->d_name, sweep);
	closedir(d);
}

void orphans_settle(struct store_path *p, unsigned subdirs,
    struct orphan_sweep *sweep)
{
	char name[24];
	struct stat sb;

	for (unsigned i = 0; i < subdirs * subdirs; i++) {
		snprintf(name, sizeof(name), "%02X/%02X", i / subdirs,
		    i % subdirs);
		if (fstatat(p->data_fd, name, &sb, 0) == 0 &&
		    (wall_t)(sb.st_mtime + 1) * 1000 >= sweep->since)
			scan_dir(p, name, sweep);
	}
}
