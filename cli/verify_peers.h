/* SPDX-License-Identifier: MIT */
/*
 * verify --peers: the files of this storage against those of every other
 * storage of its group, with commands that FastDFS knows (cluster-protocol
 * 3.5, 3.12, client-protocol 4.11). Main thread only.
 */
#ifndef CLI_VERIFY_PEERS_H
#define CLI_VERIFY_PEERS_H

#include "cli/dbs.h"
#include "cli/run.h"
#include "cli/stores.h"

#define VERIFY_PEERS_MAX 32
#define VERIFY_CONNS_MAX 64

struct verify_peer {
	struct addr addr;
	char id[17];              /* "" when only its address is known */
	char text[ADDR_TEXT_MAX]; /* for people */
	bool compared;
	bool listed; /* it told all its files */
	uint64_t missing, extra, differs, waiting;
};

struct verify_peers {
	const struct stores *stores;
	const struct dbs *dbs;
	struct source *net;
	bool crc;
	bool quiet;
	size_t connections;
	/* A finding: state, remote name, as it should be, as it is, peer.
	 * False: stdout takes no more. */
	bool (*tell)(void *arg, const char *const finding[5]);
	void *arg;
	struct verify_peer peers[VERIFY_PEERS_MAX];
	size_t n_peers;
	uint64_t files; /* compared with each of them */
	uint64_t bad, waiting;
};

/* Who they are: `named`, "HOST:PORT", or what the tracker says of the group.
 * STATUS_OK or says why that is not known. */
enum status verify_peers_find(struct verify_peers *v,
    const struct opt_list *named);
/* Compares with each. STATUS_OK, or STATUS_PART after saying which of them
 * could not be compared with. Findings are no failure. */
enum status verify_peers_run(struct verify_peers *v);

/* --- one peer (verify_peer.c) --- */
/* Reads the peer's list of files, asks it for each of ours, looks again at
 * what seemed wrong. 0, a positive status of the peer, or -errno; *what: what
 * it was doing. */
int verify_peer_run(struct verify_peers *v, struct verify_peer *p,
    const char **what);

#endif
