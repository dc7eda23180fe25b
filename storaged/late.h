/* SPDX-License-Identifier: MIT */
/*
 * A peer of ours sends over one connection at a time, and the order on it is
 * the order of its log. When it has connected again (a cut, a kill), what was
 * under way on the connection before may still come out of the network, after
 * what the new one brought: a file after its deletion, an old content over a
 * new one. So from the first operation on a newer connection on, none is taken
 * from an older one. Any thread.
 */
#ifndef STORAGED_LATE_H
#define STORAGED_LATE_H

#include <stdbool.h>
#include <stdint.h>

/* An operation came over that connection (conn_number): was there one over a
 * newer connection of the same peer? id: "" when it has not said who it is. */
bool late_is(const char *ip, const char *id, uint64_t number);

#endif
