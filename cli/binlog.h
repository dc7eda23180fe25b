/* SPDX-License-Identifier: MIT */
/*
 * What a FastDFS storage keeps to replicate (cluster-protocol 3.3, 3.8): the
 * binlog, a text of one line an operation in files binlog.000, binlog.001 ...
 * below <base_path>/data/sync, and a mark file for each peer that says where
 * in it the peer stands. Reading for takeover, writing for release. The line
 * and mark functions are pure; the others block on the disk. Main thread only.
 */
#ifndef CLI_BINLOG_H
#define CLI_BINLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

#define BINLOG_LINE_MAX  255                 /* with its newline */
#define BINLOG_NAME_MAX  127                 /* a name, and what follows it */
#define BINLOG_FILE_SIZE ((uint64_t)1 << 30) /* then comes the next one */
#define BINLOG_MARK_MAX  512
#define BINLOG_PATH_MAX  4096

struct binlog_line {
	int64_t time; /* unix seconds at the source of the operation */
	char op;      /* C D U A M T L R */
	bool replica; /* in lower case: it came from a peer */
	struct span name;
	struct span other; /* L: the target; R: the old name */
	uint64_t a, b;     /* A, M: offset, length; T: old size, new size */
};

/* One line without its newline. 0, or -EINVAL for what stock's reader would
 * stop at (and for a link without a name, which stock writes). */
int binlog_parse(struct span line, struct binlog_line *out);
/* With its newline and a NUL. The length, or -EINVAL when it would not be
 * read again: a name or line too long, an operation nobody knows. */
ssize_t binlog_format(const struct binlog_line *l, char *buf, size_t cap);

/* A byte in the binlog: file number and offset. */
struct binlog_pos {
	unsigned index;
	uint64_t offset;
};
int binlog_cmp(const struct binlog_pos *a, const struct binlog_pos *b);

struct binlog_mark {
	struct binlog_pos pos; /* of the next line for the peer */
	bool need_sync_old;    /* this storage fills the peer */
	bool sync_old_done;    /* it has been filled */
	int64_t until;
	uint64_t scanned, synced; /* lines, informative */
};
/* All seven keys must be there. 0, or -EINVAL with the key in *missing. */
int binlog_mark_parse(struct span text, struct binlog_mark *out,
    const char **missing);
size_t binlog_mark_format(const struct binlog_mark *m,
    char buf[BINLOG_MARK_MAX]);

/* One mark file of a directory; retired ones are left out. */
struct binlog_peer {
	char id[17];    /* the name up to '_' or ".mark" */
	char file[300]; /* its name */
	bool has_port;  /* <ip>_<port>.mark */
	struct binlog_mark mark;
};
/* Every mark file in `sync`, by id: *out (free) and how many; -errno with a
 * sentence in err. No directory: none. */
ssize_t binlog_peers(const char *sync, struct binlog_peer **out, char *err,
    size_t cap);

struct binlog_reader {
	/* Each line: l is NULL when it is broken. 0 to go on, else -errno. */
	int (*each)(void *arg, const struct binlog_pos *at,
	    const struct binlog_line *l);
	void *arg;
};
/* Every line from `from` on; a file that was compressed is read through
 * gzip -dc. A last line without its newline is left out. *end: the byte after
 * the last whole line. -errno with a sentence in err; -ENOENT: from's file is
 * gone. */
int binlog_read(const char *sync, const struct binlog_pos *from,
    const struct binlog_reader *r, struct binlog_pos *end, char *err,
    size_t cap);
/* The file that is written to: of binlog_index.dat, binlog.index, or 0. Is
 * there a binlog at all? */
bool binlog_current(const char *sync, unsigned *index);

/* Where the next line goes: the byte after the last whole line. */
int binlog_end(const char *sync, struct binlog_pos *end);
/* Ends the binlog at `at`, which was its end once. 0 or -errno. */
int binlog_cut(const char *sync, const struct binlog_pos *at);

/* Appending. What stands behind the last newline (a crash) is cut off. */
struct binlog_writer {
	char sync[BINLOG_PATH_MAX];
	struct binlog_pos at; /* where the next line goes */
	uint64_t file_size;   /* BINLOG_FILE_SIZE */
	uint64_t lines;
	int fd;
	size_t n;
	char buf[16 * 1024];
};
int binlog_append_open(struct binlog_writer *w, const char *sync, char *err,
    size_t cap);
/* 0, -EINVAL for a line that stock could not read, or -errno of the disk. */
int binlog_append(struct binlog_writer *w, const struct binlog_line *l);
/* Writes and syncs what is left, and the file that names the current number.
 * In any case closes. */
int binlog_append_close(struct binlog_writer *w);

#endif
