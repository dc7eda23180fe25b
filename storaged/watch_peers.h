/* SPDX-License-Identifier: MIT */
/*
 * How far the peers are behind, as samples and events: one sample for each
 * pair ("<me>><peer>") and the worst of them for the storage's own. Main
 * thread.
 */
#ifndef STORAGED_WATCH_PEERS_H
#define STORAGED_WATCH_PEERS_H

#include "storaged/replicate.h"
#include "storaged/storaged.h"

struct watch_peers {
	struct db *log; /* opened when it is needed first */
	struct late_peer {
		char id[PEER_ID_SIZE];
		bool told; /* that it is late */
	} late[PEERS_MAX];
	size_t n;
};

/* Adds the worst to self and gives a sample of each pair to the catalogue. */
void watch_peers(struct watch_peers *w, struct storage *st,
    struct sample *self);
void watch_peers_end(struct watch_peers *w);

#endif
