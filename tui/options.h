/* SPDX-License-Identifier: MIT */
/*
 * The command line of fdfs-top and where it finds a cluster when none is
 * named. Main thread, once at start.
 */
#ifndef TUI_OPTIONS_H
#define TUI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "tui/files.h"
#include "tui/ui.h"

enum exit_status {
	EXIT_FINE = 0,
	EXIT_USAGE = 2,
	EXIT_NOTHING = 3,
	EXIT_INCOMPLETE = 4,
	EXIT_INTERNAL = 70
};

struct options {
	char cluster[64];
	size_t n_trackers;
	const char *trackers[TRACKERS_MAX];
	char tracker_text[FIND_MAX]; /* what they point into, cut */
	size_t n_dbs;
	const char *dbs[FILES_DBS];
	const char *config;
	struct conf_file *conf; /* trackers may point into it */
	unsigned interval_ms;
	bool interval_given;
	unsigned count; /* iterations in batch mode, 0 no end */
	unsigned timeout_ms;
	int width; /* batch: 0 as wide as needed */
	bool batch, once, json, wait, mono, ascii, block, no_clock;
	const char *sort, *filter;
	enum view_id view;
	const char *subject;
	size_t n_looked;
	struct looked looked[LOOKED_MAX];
};

/* 0 to go on; 1: all is said, exit fine; -EINVAL: a sentence and the usage
 * are on stderr. */
int options_parse(int argc, char **argv, struct options *o);
/* Finds trackers and databases that the command line did not name. -EINVAL
 * with a sentence in err when a file that was named cannot be used. */
int options_find_cluster(struct options *o, char *err, size_t cap);
/* Trackers from "host[:port],…". */
void options_set_trackers(struct options *o, const char *list);

#endif
