/* SPDX-License-Identifier: MIT */
/*
 * A storage on this host as the tools for its disks see it: where its store
 * paths and its databases are; named by its configuration, or by hand. And a
 * walk over its files. Main thread only.
 */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "cli/err.h"
#include "cli/opt.h"

#define STORES_MAX    256
#define STORES_DAEMON "fdfs_storaged" /* its pid file is its lock */

struct stores_options {
	const char *db; /* the caller's --db; no row of its own */
	const char *group;
	const char *name_key;
};

#define STORES_ROWS 2
extern const struct opt_row stores_rows[STORES_ROWS];

struct stores {
	char base_path[4096]; /* of the storage, "" when not known */
	char bind_addr[64];   /* where it listens, "" anywhere */
	uint16_t port;        /* 0 when not known */
	char server_id[17];   /* as configured, or "" */
	char meta_dir[4096];
	char group[17];
	char name_key[65];
	char *paths[STORES_MAX];
	size_t n;
};

/* words: "STORAGE_CONF", or "paths DIR..." with db and group. */
enum status stores_open(const char *const *words, size_t n,
    const struct stores_options *o, struct stores *out);
void stores_close(struct stores *s);
/* Is a daemon at work on it? Its pid, -EAGAIN starting, 0 no. */
int stores_daemon(const struct stores *s);

/* What stands in data/HH/LL of a store path. */
struct stores_file {
	char remote[200]; /* "M00/00/00/name" */
	const char *name; /* the last part, in remote */
	bool is_meta;     /* name ends in -m: remote is without it */
	bool is_ours;     /* a file name that FastDFS could have made */
	int64_t size;
};
/* A FastDFS storage at work on the base path, which locks nothing: its pid
 * lives under its name, or something answers on the configured port. The pid,
 * -EADDRINUSE for the port, 0 no. May wait for a second. */
int stores_stock_daemon(const struct stores *s);
/* A command that writes holds the daemon's lock meanwhile. Gives it in *fd, -1
 * when there is no base path; STATUS_OK, or says that a daemon runs. */
enum status stores_take_lock(const struct stores *s, int *fd);
/* Path of a file below the metadata directory. */
void stores_meta_path(const struct stores *s, const char *file, char *out,
    size_t cap);
/* Calls each (0 to go on) for every file. 0, what each gave, or -errno with
 * the directory in `where` (cap bytes). */
int stores_walk(const struct stores *s,
    int (*each)(void *arg, const struct stores_file *f), void *arg, char *where,
    size_t cap);
/* Path on disk of a remote name (with "-m" when meta); -errno. */
int stores_path(const struct stores *s, const char *remote, bool meta,
    char *out, size_t cap);

#endif
