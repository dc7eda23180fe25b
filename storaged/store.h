/* SPDX-License-Identifier: MIT */
/*
 * The store paths: directories, room, which path and directory a new file
 * goes to, temporary names (client-protocol 3.2.1, 5.7, 6.1), and the disk
 * workers of each path. Picking and names: any thread. Space is looked at by
 * the main thread.
 */
#ifndef STORAGED_STORE_H
#define STORAGED_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/mailbox.h"
#include "proto/fileid.h"

#define STORE_INCOMING ".incoming"

struct store_path {
	unsigned index;
	const char *dir; /* as configured */
	int data_fd;     /* <dir>/data */
	bool readonly;
	struct crew *crew;
	atomic_uint_least64_t total; /* bytes */
	atomic_uint_least64_t avail; /* bytes, less what came since the look */
	atomic_uint_least64_t slow_until; /* mono_t: keep off the loops */
	atomic_uint_least64_t pause; /* ns, how long when it is slow again */
	atomic_int last_error;       /* -errno of the last look, 0 fine */
	atomic_uint_least64_t temp;  /* next temporary number */
};

struct store_conf {
	unsigned subdirs;
	unsigned rotate_count;
	bool hash_dirs; /* file_distribute_path_mode = 1 */
	bool balance;   /* store_path = 2 */
	struct conf_reserve reserved;
	size_t disk_threads;
	bool full; /* durability = full: sync before the reply */
};

struct stores {
	struct store_conf conf;
	struct store_path *paths;
	size_t n;
	atomic_uint_least64_t rotor; /* path round robin */
	atomic_uint_least64_t files; /* directory rotation */
};

/* The store paths, in their order. */
struct store_dirs {
	const char *const *dirs; /* used as long as the stores */
	const bool *readonly;
	size_t n;
};

/* Opens every path, makes missing directories (an existing tree is only
 * looked at), empties nothing. One sentence in err names the path. */
int store_open(struct stores *s, const struct store_conf *conf,
    const struct store_dirs *paths, char *err, size_t cap);
int store_start_workers(struct stores *s);
void store_stop_workers(struct stores *s);
void store_close(struct stores *s);

/* Looks at the free space of every path (statvfs). */
void store_look(struct stores *s);

/* wanted: index, or 0xFF for any. Gives the path; -EINVAL no such path,
 * -ENOSPC when the reserve is reached, -EROFS never: a read-only path is
 * replaced by another. */
int store_pick(struct stores *s, unsigned wanted, uint64_t size,
    struct store_path **out);
/* Reserve in bytes of a path (the tracker's value applied to it). */
uint64_t store_reserve(const struct stores *s, const struct store_path *p);
/* So little is free that a change must reserve its room before it is
 * committed. */
bool store_tight(const struct store_path *p);
/* Directory for the next new file. */
struct fileid_place store_place(struct stores *s, const struct store_path *p);
/* NULL when the index is none of ours. */
struct store_path *store_at(struct stores *s, unsigned index);

/* ".incoming/<n>" relative to data_fd. */
#define STORE_TEMP_MAX 40
void store_temp(struct store_path *p, char out[STORE_TEMP_MAX]);

/* 64 random bits of this thread. */
uint64_t store_random(void);

/* May a step on this path run on the loop, or is the disk slow just now? */
bool store_quick(const struct store_path *p, mono_t now);
/* A step on the loop took that long. */
void store_took(struct store_path *p, mono_t from, mono_t to);

#endif
