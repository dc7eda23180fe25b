/* SPDX-License-Identifier: MIT */
/* Addresses as the kernel wants them, and socket options. For net/ only. */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <sys/socket.h>

#include "base/addr.h"

socklen_t sock_from_addr(const struct addr *a, struct sockaddr_storage *out);
void sock_to_addr(const struct sockaddr_storage *sa, struct addr *out);
void sock_nodelay(int fd);
/* What was read is acknowledged at once, this time. */
void sock_ack_now(int fd);
/* An idle connection may stay for ever; the kernel finds out when its peer
 * is gone without a word. */
void sock_keepalive(int fd);
/* For a peer whose life is watched by its connection: one that is gone
 * without a word, idle or not, is noticed in SOCK_WATCH_SEC seconds. */
#define SOCK_WATCH_SEC 8
void sock_watch(int fd);
/* A non-blocking, close-on-exec stream socket for that family, or -errno. */
int sock_stream(const struct addr *a);

#endif
