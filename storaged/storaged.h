/* SPDX-License-Identifier: MIT */
/*
 * The daemon's context: what its threads share. Made by main.c before any
 * thread starts; members are immutable afterwards unless they lock or are
 * atomic themselves.
 */
#ifndef STORAGED_STORAGED_H
#define STORAGED_STORAGED_H

#include "meta/catalogue.h"
#include "meta/writer.h"
#include "net/conn.h"
#include "net/loop.h"
#include "storaged/busy.h"
#include "storaged/conf.h"
#include "storaged/identity.h"
#include "storaged/stats.h"
#include "storaged/store.h"
#include "storaged/synced.h"

#define MAX_LOOPS 64

struct storage;

/* What belongs to one event loop. */
struct loop_ctx {
	struct storage *st;
	struct loop *loop;
	struct hub *hub;
	struct counters counters;
	bool queued; /* rows for the log, committed when the turn ends */
};

struct storage {
	struct storage_conf conf;
	struct identity me;
	struct stores store;
	struct busy busy;
	struct writer *log;
	struct catalogue *catalogue;
	struct loop_ctx *loops[MAX_LOOPS];
	size_t n_loops;
	struct stats base_stats; /* of earlier runs */
	int64_t up_time;         /* unix */
	struct beat *beat;
	bool unclean;    /* the last run did not stop cleanly; set at start */
	bool lost_files; /* a disk recovery has not brought all; set at start */
	struct replicate *replicate;
	bool replicating; /* atomic: beat may tell it of members */
	struct synced synced;
	void (*members_changed)(void *arg); /* beat_set_watch */
	void *members_arg;
	unsigned stat_changes; /* atomic; moves with every operation */
	struct redo *redo;
	bool unapplied; /* atomic: something waits there */
};

/* Counters of this run and before, with connections. Any thread. */
void storage_stats(const struct storage *st, struct stats *out);

#endif
