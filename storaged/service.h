/* SPDX-License-Identifier: MIT */
/*
 * The daemon's parts brought up in order and taken down in reverse. Main
 * thread only.
 */
#ifndef STORAGED_SERVICE_H
#define STORAGED_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "storaged/storaged.h"

struct service;

/* Everything up to listening: databases, identity, store paths, recovery,
 * threads. st->conf is filled. stop() is asked while trackers are awaited. On
 * failure -errno and one sentence in err; what was started is stopped. */
int service_start(struct storage *st, bool (*stop)(void), struct service **out,
    char *err, size_t cap);
/* Serves until SIGTERM or SIGINT; SIGHUP reloads. */
void service_run(struct service *s);
/* Ends connections (at most 3 s), commits, marks a clean stop. */
void service_stop(struct service *s);

#endif
