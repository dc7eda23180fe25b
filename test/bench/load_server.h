/* SPDX-License-Identifier: MIT */
/*
 * The servers a thread talks to, and connecting to them. Place 0 is the
 * tracker, the others are storages, given by option or learnt from a tracker.
 */
#ifndef TEST_BENCH_LOAD_SERVER_H
#define TEST_BENCH_LOAD_SERVER_H

#include "test/bench/load_wire.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define MAX_SERVERS    17
#define SERVER_TRACKER 0

struct server {
	struct sockaddr_storage addr;
	socklen_t addr_len;     /* 0: not known */
	struct wire_server key; /* as a tracker names it */
	char text[80];          /* for messages */
};

struct server_table {
	struct server servers[MAX_SERVERS];
	size_t n; /* at least 1: the place of the tracker */
};

void servers_init(struct server_table *t);

/* Sets the tracker's place from HOST:PORT; -EINVAL or -ENOENT. */
int servers_set_tracker(struct server_table *t, const char *text);

/*
 * Finds or adds the storage that a tracker named. Returns its place, -ENOSPC
 * when there are too many, -ENOENT when its host is unknown.
 */
int servers_find(struct server_table *t, const struct wire_server *key);

/* Reads HOST:PORT[/Mxx]; the path is LOAD_ANY_PATH when not given. */
int server_parse_text(const char *text, struct wire_server *key);

/*
 * Gives a non-blocking socket; a connection that is still on its way is not
 * an error, *pending tells. Negative errno otherwise.
 */
int server_connect(const struct server *s, bool *pending);

#endif
