/* SPDX-License-Identifier: MIT */
/*
 * The catalogue (metadata.md section 4): the follower of the log that answers
 * questions about files. One thread of low priority owns the only writing
 * handle; it reads the log from the cursor kept in the catalogue itself and
 * moves it in the same transaction, so every operation counts exactly once.
 */
#ifndef META_CATALOGUE_H
#define META_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "meta/oplog.h"
#include "meta/sample.h"

/* What a file name says, decoded by the caller's layer (meta knows no wire):
 * type 0 normal, 1 appender, 2 slave, 3 trunk. */
struct name_facts {
	int type;
	uint64_t size; /* from the name; slaves, appenders: unknown = 0 */
	uint32_t crc;
	int64_t created; /* unix seconds in the name, 0 unknown */
	char source[47]; /* storage id or ip, "" unknown */
	char ext[8];     /* lower case */
	unsigned path;   /* store path index */
	char dir[6];     /* "HH/HH" */
};
typedef int (*name_reader)(struct span name, struct name_facts *out);

struct catalogue_conf {
	const char *log_path;
	const char *path; /* catalogue.db */
	name_reader read_name;
	const char *group;    /* for full ids in views */
	const char *name_key; /* metadata key of the original name, "" off */
	const char *const *indexed_keys; /* metadata keys with an index */
	size_t n_indexed_keys;
	int64_t tombstone_keep_ms;
	struct writer *log_writer; /* moves our row in `follower` */
};

struct catalogue;

/* Opens (creates, migrates) and starts the thread. */
int catalogue_start(const struct catalogue_conf *conf, struct catalogue **out,
    char *err);
/* Any thread: operations were committed. Cheap when it is awake already. */
void catalogue_wake(struct catalogue *c);
/* Any thread: copied; written by the catalogue's thread soon. */
void catalogue_sample(struct catalogue *c, const struct sample *s);
void catalogue_event(struct catalogue *c, const char *code, int severity,
    const char *subject, const char *text);

struct catalogue_state {
	uint64_t applied;  /* sequence number */
	uint64_t waiting;  /* operations */
	int64_t behind_ms; /* age of the oldest operation not applied, 0 none */
	uint64_t batches;
	int last_error; /* 0 or -errno; it retries. -ESTALE: operations are
	                   missing, only fdfs-meta adopt helps */
};
void catalogue_get_state(struct catalogue *c, struct catalogue_state *out);
/* Applies what is in the log now (bounded), stops, closes. Before the
 * log_writer is stopped. */
void catalogue_stop(struct catalogue *c);

/* --- rebuild (fdfs-meta adopt): not while a daemon has it open --- */
struct adopt_conf {
	const char *catalogue_path; /* written under a temporary name */
	const char *log_path; /* replayed after the walk; may be missing */
	const char *const *store_paths;
	size_t n_store_paths;
	name_reader read_name;
	const char *group;
	const char *name_key;
	void (*progress)(void *arg, uint64_t files);
	void *arg;
};
struct adopt_result {
	uint64_t files, bytes, meta, not_ours, replayed;
};
/* Walks <store path>/data/HH/HH, reads -m files, loads in sorted order, then
 * replays the log over it; renames into place. -errno with a sentence. */
int catalogue_adopt(const struct adopt_conf *conf, struct adopt_result *out,
    char *err);

#endif
