/* SPDX-License-Identifier: MIT */
/*
 * How far a storage is that fills a lost store path (cluster-protocol 3.12),
 * as its log tells it to people: for the tools and the console. With a handle
 * of the log of their own; any thread.
 */
#ifndef META_RECOVERY_H
#define META_RECOVERY_H

#include "meta/pairs.h"

#define RECOVERY_MARK      "recovery" /* written by the storage */
#define RECOVERY_TEXT_SIZE 160

struct recovery {
	char group[PAIR_GROUP_SIZE]; /* "" not known */
	char id[PEER_ID_SIZE];       /* who fills it; "" not known */
	char from[PEER_ID_SIZE]; /* who gives, the first of them; "" nobody */
	unsigned path;
	uint64_t done, all; /* names of the list */
};

/* 1: one is under way, or waits for the next start; 0: there is none; -errno.
 * -EBADMSG: the mark is not one. */
int recovery_read(struct db *log, struct recovery *out);
/* "127.0.0.5 M00 recovering: 1,234 of 20,000 files (6 %) from 127.0.0.4".
 * Gives buf. */
const char *recovery_text(const struct recovery *r, char *buf, size_t cap);

#endif
