/* SPDX-License-Identifier: MIT */
/*
 * What the files of disk recovery share: rebuild.c says when and in which
 * order; rebuild_text.c reads and writes its files; rebuild_ask.c asks the
 * trackers; rebuild_list.c gets the names; rebuild_fetch.c the content;
 * rebuild_record.c rows for what is new.
 */
#ifndef STORAGED_REBUILD_IMPL_H
#define STORAGED_REBUILD_IMPL_H

#include <pthread.h>

#include "net/client.h"
#include "storaged/rebuild.h"

#define REBUILD_NAME_MAX 127
#define REBUILD_LINE_MAX 256
#define REBUILD_FILE_MAX 64
#define REBUILD_FLAG     ".recovery.flag"
#define REBUILD_LIST     ".binlog.recovery.%u"
#define REBUILD_MARK     ".recovery.mark.%u"

/* --- rebuild_text.c, pure --- */

/* A line of the list: "<time> C <name>", c alike; "L <name> <target>" is a
 * link, whose content is wanted; other letters are refused. */
struct rebuild_line {
	int64_t time; /* unix */
	char name[REBUILD_NAME_MAX + 1];
};
/* Without its '\n'. 0, or -EBADMSG: not a line of store path `path`. */
int rebuild_parse_line(struct span line, unsigned path,
    struct rebuild_line *out);

/* data/.recovery.flag, as FastDFS writes it. */
struct rebuild_flag {
	int saved_status; /* -1 not known */
	bool listed;      /* the list of names is complete */
	unsigned lists;   /* how many work lists it was split into, >= 1 */
};
int rebuild_parse_flag(const char *text, struct rebuild_flag *out);
size_t rebuild_print_flag(const struct rebuild_flag *f, char *out, size_t cap);

/* Has the tree below data_fd lost directories? Not one whose count of
 * sub-directories was raised: its first row ends early. */
bool rebuild_is_missing(int data_fd, unsigned subdirs);

/* --- one path being filled --- */

struct rebuild_source {
	char id[17];
	struct addr at;
};

#define REBUILD_SOURCES 32

struct rebuild_gone {
	char *name;
	uint64_t seq; /* of the deletion; 0: there is a new file of the name */
};

struct rebuild {
	struct storage *st;
	bool quit; /* atomic: the start was called off */
	struct store_path *path;
	struct rebuild_flag flag;
	char *err;
	size_t cap;

	/* under lock: who may give files; asked again when one fails */
	pthread_mutex_t lock;
	struct rebuild_source sources[REBUILD_SOURCES];
	size_t n_sources;

	/* names that were deleted here and that a member may still have;
	 * sorted */
	struct rebuild_gone *gone;
	size_t n_gone;

	uint64_t files, bytes;     /* brought, atomic */
	uint64_t skipped, refused; /* gone; not given; atomic */
	uint64_t lost;             /* known here, given by nobody */
	uint64_t lines, lines_all; /* of the lists, for the progress */
	int64_t told;              /* when the progress was kept last, unix */
};

bool rebuild_stopped(const struct rebuild *rb);
/* Sleeps; false when the start was called off. */
bool rebuild_pause(const struct rebuild *rb, unsigned seconds);
/* The sentence about why the path cannot be filled; gives rc. */
int rebuild_say(const struct rebuild *rb, int rc, const char *what);
/* Keeps how far it is in the log's mark "recovery". */
void rebuild_progress(struct rebuild *rb, bool ended);

/* --- rebuild_ask.c --- */

/* The highest status that a tracker has of us, -1 none has any; waits until
 * one answers. -ECANCELED. */
int rebuild_own_status(struct rebuild *rb, int *status);
/* The ACTIVE members other than us become the sources; waits until there is
 * one. -ECANCELED; -ENOENT: the group has nobody else. rb->lock is held or
 * nobody else is there yet. */
int rebuild_find_sources(struct rebuild *rb);
/* 76 about ourselves; 0 when a tracker took it. */
int rebuild_tell_status(struct rebuild *rb, int status);
/* A connection to a source, ended by rb->quit. */
int rebuild_connect(const struct rebuild *rb, const struct addr *to,
    unsigned io_ms, struct client **out);

/* --- rebuild_list.c --- */

/* FETCH_ONE_PATH_BINLOG from a source into data/.binlog.recovery.0. */
int rebuild_fetch_list(struct rebuild *rb);
/* What was deleted of this path and members may still list. */
int rebuild_read_deleted(struct rebuild *rb);
void rebuild_drop_deleted(struct rebuild *rb);
bool rebuild_was_deleted(const struct rebuild *rb, const char *name);

/* --- rebuild_fetch.c --- */

/* Every file of work list k, from its mark on. */
int rebuild_fetch_files(struct rebuild *rb, unsigned k);
/* What the catalogue has and the path has not, from any source; counts what
 * nobody gives. Without sources: only counts. Then rows for what the catalogue
 * has not. */
int rebuild_fetch_missing(struct rebuild *rb);

/* --- rebuild_record.c --- */

/* Rows for the files of work list k that the catalogue lacks, or has with
 * another size. 0 or -errno with a sentence. */
int rebuild_record_files(struct rebuild *rb, struct db *catalogue, unsigned k);

#endif
