/* SPDX-License-Identifier: MIT */
/*
 * What each operation needs, asks and expects. Runs in the thread of the
 * bench.
 */
#ifndef TEST_BENCH_LOAD_OPS_H
#define TEST_BENCH_LOAD_OPS_H

#include "test/bench/load_bench.h"

/* Name and help of an operation, for options and reports. */
const char *op_name(enum op_kind op);
const char *op_help(enum op_kind op);

/* N_OPS when there is none of that name. */
enum op_kind op_find(const char *name);

/* What must be there before the operation is measured. */
struct op_needs {
	bool files;     /* uploaded ones */
	bool appenders; /* of the appender kind */
	bool metadata;  /* and set already */
	bool once;      /* one for each operation */
};
struct op_needs op_needs(enum op_kind op);

/* True when the operation is made of tracker requests only. */
bool op_tracker_only(enum op_kind op);

/* Chooses the next operation; false when there is nothing left to do. */
bool task_plan(struct client *c);

/* Starts the next exchange; STEP_PENDING or an error. */
int task_request(struct client *c);

/* Reads a complete reply; STEP_SUCCESS, STEP_AGAIN or an error. */
int task_reply(struct client *c);

/* Gives back what the operation held, whatever became of it. */
void task_release(struct client *c);

#endif
