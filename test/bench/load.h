/* SPDX-License-Identifier: MIT */
/*
 * What the files of the load generator share: the options of a run and the
 * list of operations. The generator speaks the protocol from its own few
 * lines (load_wire.c), so that it measures any server of this protocol and
 * does not repeat a mistake of ours. Options are written by main before any
 * thread starts and only read afterwards.
 */
#ifndef TEST_BENCH_LOAD_H
#define TEST_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_MAX_PIDS 16
#define LOAD_ANY_PATH 0xff

enum op_kind {
	OP_UPLOAD,
	OP_UPLOAD_APPENDER,
	OP_DOWNLOAD,
	OP_APPEND,
	OP_META_SET,
	OP_META_OVERWRITE,
	OP_META_GET,
	OP_DELETE,
	OP_INFO,
	OP_QUERY_STORE,
	OP_QUERY_FETCH,
	OP_MIXED,
	N_OPS
};

struct options {
	const char *tracker; /* HOST:PORT or NULL */
	const char *storage; /* HOST:PORT[/Mxx] or NULL */
	const char *group;   /* NULL: the tracker's choice, or group1 */
	const char *extension;
	enum op_kind op;
	uint64_t connections;
	uint64_t threads;
	uint64_t size;
	uint64_t count;   /* 0: bounded by seconds alone */
	double seconds;   /* 0: bounded by count alone */
	double timeout;   /* of one operation */
	double settle;    /* longest wait for daemons to fall idle */
	uint64_t prepare; /* UINT64_MAX: what the operation needs */
	uint64_t seed;
	bool mix;
	bool via_tracker;
	bool new_connections;
	bool verify;
	bool cleanup;
	bool json;
	bool allow_errors;
	bool help;
	pid_t pids[LOAD_MAX_PIDS];
	size_t n_pids;
};

#endif
