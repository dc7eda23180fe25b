/* SPDX-License-Identifier: MIT */
/*
 * Questions about files to metadata databases, asked in a thread of its own
 * with read-only handles of its own. The main loop calls everything here;
 * results come back through a mailbox whose descriptor it polls. One question
 * runs at a time; a newer one stops it.
 */
#ifndef TUI_FILES_H
#define TUI_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define FILES_SHOWN 500 /* rows of an answer */
#define FILES_DBS   8
#define FIND_MAX    512

struct file_hit {
	char id[192];
	char name[128]; /* original name, "" none */
	char ext[16];
	char source[48];
	char client[64];
	int64_t seq;
	uint64_t size;
	bool has_crc;
	uint32_t crc;
	int type; /* 0 normal, 1 appender, 2 slave, 3 trunk, 4 link */
	wall_t created, modified, verified;
	int verify_result;
	bool deleted;
	wall_t deleted_at;
	char deleted_by[64];
	size_t db; /* which database told it */
};

struct file_attr {
	char key[65];
	char value[257];
};

struct file_op {
	wall_t at;
	char code; /* letter of the operation */
	bool replica;
	uint64_t bytes;
	char client[64];
};

#define ATTRS_SHOWN 16
#define OPS_SHOWN   24

enum files_state { FILES_IDLE, FILES_SEARCHING, FILES_READY, FILES_FAILED };

/* What the view shows. Belongs to the main loop. */
struct files_view {
	size_t n_dbs; /* 0: there is none to ask */
	char paths[FILES_DBS][256];
	enum files_state state;
	char find[FIND_MAX]; /* what the rows answer */
	char error[512];
	struct file_hit *hits;
	size_t n_hits;
	bool more; /* there are more than are shown */
	bool have_sum;
	bool sum_old; /* of an earlier answer to the same question */
	uint64_t sum_files, sum_bytes;
	uint64_t took_us, sum_us;
	mono_t started;
	/* how far the catalogue is behind its log; worst of all databases */
	bool have_lag;
	int64_t behind_s;
	uint64_t waiting;
	/* about one file */
	char detail_id[192];
	bool have_detail;
	size_t n_attrs, n_ops;
	struct file_attr attrs[ATTRS_SHOWN];
	struct file_op ops[OPS_SHOWN];
};

struct files;

/* Finds catalogue.db in each of dbs: a file, a directory that holds it, or a
 * base path (<dir>/meta/catalogue.db). A path where there is none is told in
 * view.error when asked. n may be 0. */
int files_start(const char *const *dbs, size_t n, struct files **out);
int files_fd(const struct files *f);
/* True when the view changed. */
bool files_take(struct files *f);
const struct files_view *files_get(const struct files *f);
/* A file id, a URL that ends in one, or terms (find.h). "": newest files. */
void files_search(struct files *f, const char *text);
/* Metadata and story of one of the hits. */
void files_detail(struct files *f, const struct file_hit *hit);
/* Does a question run? */
bool files_busy(const struct files *f);
void files_cancel(struct files *f);
void files_stop(struct files *f); /* NULL is fine */

#endif
