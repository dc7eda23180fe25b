/* SPDX-License-Identifier: MIT */
/*
 * Asks trackers, one worker thread each, so that one that hangs delays no
 * other and never the screen. The main loop calls everything here; answers
 * come back through a mailbox whose descriptor it polls. Only reading commands
 * are sent (91, 92, 95, 96); a connection that is given up says QUIT.
 */
#ifndef TUI_SOURCE_H
#define TUI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "tui/model.h"

struct source;

/* trackers: "host", "host:port"; n may be 0. timeout_ms bounds a connect and
 * each wait for bytes. 0 and gives *out, or -errno. */
int source_start(const char *const *trackers, size_t n, unsigned timeout_ms,
    struct source **out);
/* Readable when source_take has something to do. */
int source_fd(const struct source *s);
/* Feeds the model with what came; true when something did. */
bool source_take(struct source *s, struct model *m);
/* Asks those whose time has come; interval_ms between two polls of one that
 * answers, growing pauses for one that does not. Also tells the model of
 * exchanges that last too long. True when it did. */
bool source_tick(struct source *s, struct model *m, mono_t now,
    unsigned interval_ms);
/* When source_tick has work next. */
mono_t source_next(const struct source *s);
/* Asks all of them at the next tick. */
void source_poll_now(struct source *s);
/* Seconds until the first that failed is tried again, -1 none waits. */
int source_retry_in(const struct source *s, mono_t now);
/* Ends. A worker that waits for a tracker is left behind: the program is
 * about to exit, and must not wait for it. NULL is fine. */
void source_stop(struct source *s);

#endif
