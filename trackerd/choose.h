/* SPDX-License-Identifier: MIT */
/*
 * Which group, which storage, which store path: the rules of client-protocol
 * 3.2.1, 3.4, 3.5 and cluster-protocol 2.5. Functions of the model and the
 * settings; they move the model's rotating indexes and nothing else. The
 * loop's thread.
 */
#ifndef TRACKERD_CHOOSE_H
#define TRACKERD_CHOOSE_H

#include "base/str.h"
#include "trackerd/cluster.h"
#include "trackerd/conf.h"

struct choice {
	struct group *group;
	struct storage *servers[GROUP_STORAGES];
	size_t n;
	int64_t path; /* store path of the first */
};

/* group: a name, or NULL for the one that store_lookup says. all: every
 * writable storage instead of one. 0, -ENOENT or -ENOSPC. */
int choose_store(struct cluster *c, const struct tracker_conf *cf,
    const char *group, bool all, struct choice *out);

/* What a remote file name tells (client-protocol 3.4); never fails. */
struct choose_file {
	bool known;   /* its record could be read */
	bool special; /* appender or slave: only its source surely has it */
	uint32_t source;
	int64_t time; /* unix, 0 when not known */
};
struct choose_file choose_file(struct span name);
/* The storage that the name's source is, or NULL. */
struct storage *choose_source(const struct tracker_conf *cf,
    const struct group *g, const struct choose_file *f);

/* Has m everything that f needs? (2.5) */
bool choose_has_file(const struct tracker_conf *cf,
    const struct storage *source, const struct storage *m,
    const struct choose_file *f, int64_t now);

/* 0 or -ENOENT. */
int choose_fetch_one(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, int64_t now, struct storage **out);
int choose_fetch_all(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, int64_t now, struct choice *out);
int choose_update(const struct tracker_conf *cf, struct group *g,
    const struct choose_file *f, struct storage **out);

/* The group's store server: the fallback of reads. NULL: no writable one. */
struct storage *choose_store_server(const struct tracker_conf *cf,
    const struct group *g);
/* Enough space for uploads? trunk: counting free trunk space too. */
bool choose_has_space(const struct tracker_conf *cf, const struct group *g,
    bool trunk);

/* After a disk report (store_lookup 2, store_path 2). */
void choose_best_group(struct cluster *c, const struct tracker_conf *cf);
void choose_best_path(const struct tracker_conf *cf, struct storage *s);

#endif
