/* SPDX-License-Identifier: MIT */
/* What the tests of meta/ share: a folder of their own, operations to log. */
#ifndef TEST_META_TMP_H
#define TEST_META_TMP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meta/oplog.h"

struct tmp {
	char dir[64];
};

static inline void tmp_make(struct tmp *t)
{
	memset(t, 0, sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), "/tmp/fdfs-test-XXXXXX");
	if (!mkdtemp(t->dir))
		abort();
}

static inline const char *tmp_path(struct tmp *t, const char *name)
{
	static char paths[8][128]; /* round robin */
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", t->dir, name);
	return p;
}

static inline void tmp_remove(struct tmp *t)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", t->dir);
	if (system(cmd) != 0)
		abort();
}

/* An operation with the usual facts. */
static inline struct op op_make(enum op_code code, const char *name,
    uint64_t size)
{
	return (struct op){ .at = 1795331773123,
		.code = code,
		.source_time = 1795331773,
		.name = span_of(name),
		.size = size,
		.bytes = size,
		.crc = 0x6f0c2b91,
		.client = span_of("10.0.0.9") };
}

/* Appends in a transaction of its own. Gives the sequence number or -errno. */
static inline int64_t op_append(struct db *db, struct op op)
{
	struct op_write w = { .op = op };
	int rc = db_begin(db);

	if (rc)
		return rc;
	op_write_init(&w);
	rc = w.write.apply(&w.write, db);
	if (!rc)
		rc = db_commit(db);
	if (rc) {
		db_rollback(db);
		return rc;
	}
	return (int64_t)w.op.seq;
}

#endif
