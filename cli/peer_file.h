/* SPDX-License-Identifier: MIT */
/*
 * One file of ours, and what a peer answers when it is asked for it. Sending
 * and receiving are apart, so that several connections can be kept busy.
 * Main thread only.
 */
#ifndef CLI_PEER_FILE_H
#define CLI_PEER_FILE_H

#include "cli/stores.h"
#include "meta/query.h"
#include "net/client.h"
#include "proto/fileid.h"

enum peer_ask {
	PEER_ASK_INFO,   /* 22: there, its size, its checksum */
	PEER_ASK_META,   /* 15 */
	PEER_ASK_CONTENT /* 14: the whole file, for its checksum */
};

struct peer_file {
	const struct stores *stores;
	char remote[FILE_NAME_MAX + 1];
	bool known; /* it is a file of ours */
	bool has_meta;
	int type;
	uint64_t size;
	bool has_crc;
	uint32_t crc;
	enum peer_ask ask;
};

/* state: NULL as it should be, or missing, extra, size, crc, metadata. */
struct peer_answer {
	const char *state;
	char expected[64], found[64];
};

/* From its record; the size and the metadata from the disk. */
void peer_file_describe(struct peer_file *f, const struct stores *s,
    const struct file_row *row);
/* 0 or -errno. */
int peer_file_send(struct client *c, const char *group,
    const struct peer_file *f);
/* The answer to it, compared. 0, the peer's refusal, or -errno. */
int peer_file_receive(struct client *c, const struct peer_file *f,
    struct peer_answer *a);

#endif
