/* SPDX-License-Identifier: MIT */
/*
 * What trackerd remembers in <base_path>/meta/tracker.db: the cluster, its
 * history of states, samples, events. Called by the loop only; the writes run
 * in meta's writer thread on copies.
 *
 * Changes collect in memory and are submitted together at the end of a turn,
 * one submission at a time, so that they reach the database in order and a
 * failed one is repeated before anything newer. Who must not answer before
 * the change is durable hangs its answer on the next submission.
 */
#ifndef TRACKERD_PERSIST_H
#define TRACKERD_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "meta/event.h"
#include "meta/sample.h"
#include "net/conn.h"
#include "net/loop.h"
#include "trackerd/cluster.h"

struct db;
struct persist;

/* Opens the database. -errno and one sentence that says what to do. */
int persist_open(const char *base_path, struct cluster *c, struct persist **out,
    char *err, size_t cap);
/* For restore.h, before persist_start. */
struct db *persist_db(struct persist *p);
/* Starts the writer; from here on the loop owns it. */
int persist_start(struct persist *p, struct loop *l);
/* Hooks for cluster_watch; arg is the struct persist. */
void persist_status(void *arg, const struct storage *s, int from,
    const char *reason);
void persist_drop_storage(void *arg, const char *group, const char *id);
void persist_drop_group(void *arg, const char *group);
void persist_change(void *arg, const char *line);
void persist_drop_changes(void *arg);

/* While this tracker starts or stops, OFFLINE is no alarm. */
void persist_quiet(struct persist *p, bool quiet);
void persist_event(struct persist *p, const char *code,
    enum event_severity severity, const char *subject, const char *text);
void persist_mark(struct persist *p, const char *key, const char *value);
/* Writer's counters, for samples. */
struct writer_stats;
void persist_stats(struct persist *p, struct writer_stats *out);
/* Takes a copy. */
void persist_sample(struct persist *p, const struct sample *s);

/* Answers c with a success and this body (at most PERSIST_BODY bytes) once
 * everything changed so far is committed; with the error when it is not. */
#define PERSIST_BODY 32
void persist_reply(struct persist *p, struct conn *c, const void *body,
    size_t n);

/* Collects what is dirty (DIRTY_SOON, with `all` also DIRTY_LATER) and
 * submits it, unless a submission is under way: then when that is home. */
void persist_flush(struct persist *p, bool all);
/* Nothing is queued or under way. */
bool persist_idle(const struct persist *p);
/* Commits what is queued and closes. NULL is fine. */
void persist_close(struct persist *p);

#endif
