/* SPDX-License-Identifier: MIT */
/*
 * Questions to the catalogue and the log: which files, how much, what
 * happened, how far behind. Reading only, with any handle (db_open_read) in
 * the thread that owns it; query_interrupt from any thread or a signal
 * handler. Every value of a filter is bound, none becomes SQL.
 */
#ifndef META_QUERY_H
#define META_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "meta/db.h"
#include "meta/oplog.h"

/* From min (included) to max (excluded). All zero: no condition. */
struct query_range {
	bool has_min, has_max;
	int64_t min, max;
};

/* A list of texts, any of which will do. n = 0: no condition. */
struct query_list {
	const char *const *items;
	size_t n;
};

enum meta_test {
	META_EXISTS,
	META_ABSENT,
	META_EQUALS,
	META_DIFFERS, /* there, with another value */
	META_GLOB,    /* * ? [a-z], case counts */
	META_LESS,    /* these four compare as numbers; value is a number */
	META_AT_MOST,
	META_AT_LEAST,
	META_MORE
};

struct meta_condition {
	const char *key;
	enum meta_test test;
	const char *value; /* EXISTS, ABSENT: not used */
};

enum file_order {
	FILE_BY_CREATED,
	FILE_BY_SIZE,
	FILE_BY_NAME,
	FILE_BY_MODIFIED
};

#define FILE_CURSOR_MAX 320

/* All conditions hold together. Zeroed: every file, newest first. */
struct file_filter {
	struct query_list ids;  /* full ids or remote names */
	const char *id_prefix;  /* "group1/M00/0A" or "M00/0A" */
	const char *name_glob;  /* original name; the file's own without one */
	const char *name_iglob; /* the same without case (ASCII) */
	const char *name_contains;   /* case counts */
	struct query_list exts;      /* lower case; "" = none */
	bool exts_not;               /* any but these */
	unsigned types;              /* BIT(0 normal, 1 appender, 2 slave,
	                                3 trunk, 4 link); 0 all */
	struct query_range size;     /* bytes */
	struct query_range created;  /* ms */
	struct query_range modified; /* ms */
	struct query_range verified; /* ms */
	bool never_verified;
	const unsigned *paths; /* store path numbers */
	size_t n_paths;
	const char *dir; /* "C4" or "C4/07" */
	struct query_list sources;
	struct query_list clients; /* an item with * ? [ is a pattern */
	bool has_crc;
	uint32_t crc;
	const struct meta_condition *meta;
	size_t n_meta;
	bool deleted; /* tombstones instead of files; `created` and the rest
	                 are those of the deleted file */
	struct query_range deleted_at; /* ms; with deleted */

	enum file_order order; /* deleted: FILE_BY_CREATED is by deletion */
	bool ascending;        /* else largest, newest, last first */
	size_t limit;          /* 0: none */
	const char *after;     /* cursor of the last row of the page before */
};

/* Texts live for the call of each. */
struct file_row {
	int64_t seq;        /* row id: sequence number of its creation */
	const char *id;     /* "group1/M00/..." */
	const char *remote; /* "M00/..." */
	const char *name;   /* original name, "" when there is none */
	const char *ext;
	const char *source;
	const char *client;
	uint64_t size;
	bool has_crc;
	uint32_t crc;
	int type;
	unsigned path;
	char dir[6]; /* "HH/LL" */
	wall_t created;
	wall_t modified;
	wall_t verified; /* 0 never */
	int verify_result;
	uint64_t last_seq;
	bool deleted;
	wall_t deleted_at;
	const char *deleted_by;
};

typedef int (*file_each)(void *arg, const struct file_row *row);

/* Rows in order; each returns 0 to go on, > 0 to stop, -errno to fail. Gives
 * how many rows were passed on, or -errno (-EINTR interrupted, -EINVAL a bad
 * cursor). Reads in pages: no snapshot is held while each runs for long. */
int64_t query_files(struct db *db, const struct file_filter *f, file_each each,
    void *arg);
/* Number and bytes; limit, order and cursor do not count. */
int query_files_sum(struct db *db, const struct file_filter *f, uint64_t *files,
    uint64_t *bytes);
/* The cursor that goes on after a row; out >= FILE_CURSOR_MAX. */
void query_cursor(const struct file_filter *f, const struct file_row *row,
    char *out);
/* One file by its remote name or full id: 1 called, 0 not known, or -errno.
 * deleted: the newest tombstone of that name instead. */
int query_file(struct db *db, const char *id, bool deleted, file_each each,
    void *arg);
/* Metadata of a file (file_row.seq), by key. How many, or -errno. */
int query_attrs(struct db *db, int64_t seq,
    int (*each)(void *arg, const char *key, const char *value), void *arg);

/* The story of a file from the log, through renames, oldest first; log is a
 * handle of DB_LOG. from: sequence number to start at (file_row.seq when
 * positive, else 0); it reads every operation after that. */
int query_ops_of(struct db *log, const char *remote, uint64_t from,
    int (*each)(void *arg, const struct op *op), void *arg);

enum usage_by {
	USAGE_PATH,   /* number: store path */
	USAGE_EXT,    /* text: extension */
	USAGE_DAY,    /* number: days since 1970; text: "2026-11-22" */
	USAGE_SIZE,   /* number: class; from, to: its sizes */
	USAGE_CLIENT, /* text: address */
	USAGE_DIR,    /* number: path; text: "HH/LL" */
	USAGE_TYPE,   /* number: type; a scan */
	USAGE_SOURCE  /* text; a scan */
};

struct usage_row {
	const char *text;
	int64_t number;
	uint64_t from, to; /* USAGE_SIZE: sizes, to included */
	uint64_t files, bytes;
	/* USAGE_CLIENT without a filter: what it did */
	uint64_t uploads, upload_bytes, changes, change_bytes, deletes;
};

/* Sums by one thing, largest first (days, classes: in order). f may be NULL;
 * conditions on exts and paths and none else are answered from the roll-ups
 * for path, ext and day, others by a scan. */
int query_usage(struct db *db, enum usage_by by, const struct file_filter *f,
    int (*each)(void *arg, const struct usage_row *row), void *arg);
/* True when query_usage would answer from a roll-up. */
bool query_usage_is_cheap(enum usage_by by, const struct file_filter *f);
/* Files and bytes that exist; from a roll-up. */
int query_totals(struct db *db, uint64_t *files, uint64_t *bytes);

struct query_lag {
	uint64_t applied; /* sequence number the catalogue has reached */
	uint64_t last;    /* of the log */
	uint64_t waiting; /* operations */
	uint64_t waiting_bytes;
	wall_t oldest; /* when the oldest of these was recorded, 0 none */
	wall_t moved;  /* when the catalogue moved last */
	bool same_log; /* it follows this log; else fdfs-meta adopt */
};
/* log: a handle of DB_LOG. */
int query_lag(struct db *catalogue, struct db *log, struct query_lag *out);

/* One statement of a person: anything that only reads, refused otherwise. */
enum query_type {
	QUERY_NULL,
	QUERY_INTEGER,
	QUERY_REAL,
	QUERY_TEXT,
	QUERY_BLOB
};
struct query_value {
	enum query_type type;
	int64_t integer;
	double real;
	struct span text; /* TEXT, BLOB */
};
/* columns is called once before the rows (also when there are none). Rows or
 * -errno with a sentence in err (DB_ERR_MAX): -EACCES it would write,
 * -EINVAL it does not compile. Several statements: one after the other. */
int64_t query_sql(struct db *db, const char *sql,
    int (*columns)(void *arg, size_t n, const char *const *names),
    int (*row)(void *arg, size_t n, const struct query_value *values),
    void *arg, char *err);

/* The query that runs ends with -EINTR within milliseconds. */
void query_interrupt(struct db *db);

#endif
