/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C and SIGTERM. The first one asks the command to end: it ends the wait
 * on the watched connection and raises a flag; the second leaves at once. The
 * temporary file that was named is removed either way. Main thread only.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdbool.h>

#include "cli/err.h"

struct client;

void stop_init(void);
/* Was it asked to end? */
bool stop_asked(void);
/* STATUS_INTERRUPTED or STATUS_TERMINATED. */
enum status stop_status(void);
/* While on, already the first signal leaves at once: for a wait that nothing
 * can end (a connection being made). */
void stop_at_once(bool on);
/* The connection whose wait a signal ends; NULL: none. */
void stop_watch(struct client *c);
/* Called from the signal handler; must be safe there. NULL: none. */
void stop_call(void (*call)(void *arg), void *arg);
/* The file to remove when the program is left early; NULL: none. Copied. */
void stop_remove(const char *name);

#endif
