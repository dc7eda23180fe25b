/* SPDX-License-Identifier: MIT */
/*
 * What the main loop does now and then: looks at free space, keeps counters
 * and directory rotation in storage_stat.dat, takes status samples, trims the
 * log, tends the log file, reloads the configuration. Main thread.
 */
#ifndef STORAGED_HOUSEKEEP_H
#define STORAGED_HOUSEKEEP_H

#include "storaged/storaged.h"

struct housekeeper;

/* Counters and rotation of earlier runs, before anything counts. */
void housekeep_load(struct storage *st);
/* Writes them. */
void housekeep_save(struct storage *st);

int housekeep_start(struct storage *st, struct loop *loop,
    struct housekeeper **out);
void housekeep_reload(struct housekeeper *k);
/* After the loop and the log's writer have stopped. */
void housekeep_stop(struct housekeeper *k);

#endif
