/* SPDX-License-Identifier: MIT */
/*
 * The log of operations (design: metadata.md section 3): append, read from a
 * cursor, followers, trim. Appending happens in the writer thread; reading in
 * any thread with its own read-only handle.
 */
#ifndef META_OPLOG_H
#define META_OPLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "meta/writer.h"

/* The letters are FastDFS's binlog letters (cluster-protocol 3.3). */
enum op_code {
	OP_CREATE = 'C',
	OP_APPEND = 'A',
	OP_MODIFY = 'M',
	OP_TRUNCATE = 'T',
	OP_DELETE = 'D',
	OP_SET_META = 'U', /* extra: the metadata text now in force */
	OP_RENAME = 'R',   /* name: the new one; extra: the old one */
	OP_LINK = 'L'      /* extra: the target */
};

/* "create", "append" ... for people; "?" for a letter that is none. */
const char *op_code_name(enum op_code code);

struct op {
	uint64_t seq; /* given by the log */
	wall_t at;    /* ms */
	enum op_code code;
	bool replica;        /* came from a peer */
	int64_t source_time; /* unix seconds at the source; = at/1000 if own */
	struct span name;    /* remote file name "M00/00/00/..." */
	uint64_t size;       /* of the file afterwards */
	uint64_t offset;     /* append, modify: where; truncate: old size */
	uint64_t bytes;      /* content bytes the operation carried */
	uint32_t crc;        /* of the file (create, rename) or of the bytes */
	struct span client;  /* address text of who asked */
	struct span extra;
};

/* A write that appends one operation. The spans must live until it is home. */
struct op_write {
	struct write write;
	struct op op; /* op.seq is set when home */
};
/* Sets write.apply; the caller fills op and write.job. */
void op_write_init(struct op_write *w);

/* Reading. The handle is the reader's own (db_open_read DB_LOG). */
uint64_t oplog_last(struct db *db, uint64_t *bytes_total);
uint64_t oplog_first(struct db *db);
/* Calls each for every operation with seq > after, in order, at most max;
 * spans live for the call. each returns 0 to go on. Gives how many, or
 * -errno. One short read transaction. */
int oplog_read(struct db *db, uint64_t after, size_t max,
    int (*each)(void *arg, const struct op *op), void *arg);
/* Operations and bytes after a sequence number, whoever they are from, by two
 * running totals; what waits for a peer, meta/peers.h tells. */
int oplog_backlog(struct db *db, uint64_t after, uint64_t *ops, uint64_t *bytes,
    wall_t *oldest);

/* How far the catalogue is, and a peer (meta/peers.h has the rest of its row).
 * In the writer thread. */
int oplog_follower_set(struct db *db, const char *name, uint64_t seq,
    wall_t at);
int oplog_follower_get(struct db *db, const char *name, uint64_t *seq);
/* Removes at most max rows that every follower has passed, older than keep_ms
 * and, beyond keep_bytes of log, any. Gives how many. */
int oplog_trim(struct db *db, wall_t now, int64_t keep_ms, uint64_t keep_bytes,
    size_t max);

#endif
