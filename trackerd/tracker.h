/* SPDX-License-Identifier: MIT */
/*
 * The one tracker of the process: what its parts share. Everything here is
 * owned by the loop's thread.
 */
#ifndef TRACKERD_TRACKER_H
#define TRACKERD_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "net/loop.h"
#include "trackerd/cluster.h"
#include "trackerd/conf.h"
#include "trackerd/ids.h"
#include "trackerd/persist.h"
#include "trackerd/sysfile.h"

/* A body under construction; grows, is used again for each reply. */
struct out {
	uint8_t *p;
	size_t n, cap;
};

struct tracker {
	struct tracker_conf conf;
	struct ids *ids; /* NULL without storage ids */
	struct cluster cluster;
	struct persist *persist;
	struct loop *loop;
	struct hub *hub;
	struct ally *ally; /* talks with the other trackers */
	struct lead *lead;
	struct bootstrap *bootstrap;
	struct keeper *keeper;
	struct sysfiles lent; /* to the connection that asked with 61 */
	const struct session *lent_to;
	struct out out;
	unsigned ip_width;  /* 16 or 46 in replies */
	int64_t started;    /* unix */
	int64_t last_alive; /* of the previous life, 0 none */
	int64_t full_told;  /* when FD-SPACE-02 was recorded last */
	uint64_t requests, errors;
	bool stopping;
};

/* What 64 tells: seconds in steps of 300 (cluster-protocol 4.2); leader.c. */
int64_t tracker_running(const struct tracker *t);
int64_t tracker_interval(const struct tracker *t); /* between its lives */

/* What is kept for each connection. */
struct session {
	struct storage *joined; /* JOIN succeeded on this connection */
	uint32_t told_leader;   /* leader changes it has heard of */
	int follower;           /* 58 succeeded: index of the tracker + 1 */
	uint32_t told_trunks;   /* trunk_changes of the last answer to 65 */
};

#endif
