/* SPDX-License-Identifier: MIT */
/* For redo.c: what waits for a disk, and one attempt at it. By who holds the
 * names of the entry. */
#ifndef STORAGED_REDO_ROW_H
#define STORAGED_REDO_ROW_H

#include "storaged/op.h"

struct redo_entry {
	struct redo_entry *next; /* in the order of the log */
	uint64_t seq;            /* 0: a removal */
	int error;
	mono_t due, pause;
	uint64_t hash[2]; /* of the names, as they are held */
	char name[OP_NAME_SIZE];
	char other[OP_NAME_SIZE];      /* of a rename, else "" */
	const struct store_path *path; /* of a removal, with its file */
	char file[FILEID_DISK_MAX];
};

/* The handle, for who reads a row. */
struct redo_log {
	pthread_mutex_t lock;
	struct db *db;
};

/* 0: done; -ENODATA: it cannot be done any more; both were told. Other -errno:
 * the disk refuses again. */
int redo_carry_out(struct storage *st, struct redo_log *log,
    const struct redo_entry *e);

#endif
