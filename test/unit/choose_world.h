/* SPDX-License-Identifier: MIT */
/* A cluster in memory for the tests of choice. */
#ifndef TEST_CHOOSE_WORLD_H
#define TEST_CHOOSE_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trackerd/choose.h"

#define NOW 1795330000
#define DAY 86400

struct world {
	struct cluster c;
	struct tracker_conf cf;
};

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	cluster_init(&w->c, NULL);
	w->cf.store_group = "";
	w->cf.reserve.bytes = UINT64_C(100) << 20; /* 100 MB */
	w->cf.sync_max_delay = DAY;
	w->cf.sync_max_time = 300;
}

/* An ACTIVE storage with one path. */
static inline struct storage *add(struct world *w, const char *group,
    const char *ip, int64_t free_mb)
{
	struct group *g = cluster_add_group(&w->c, group);
	struct storage *s = group_load_storage(g, ip);

	g->port = 23000;
	g->path_count = 1;
	s->port = 23000;
	s->path_count = 1;
	s->status = ST_ACTIVE;
	s->priority = 10;
	addr_parse_ip(span_of(ip), &s->addrs[0]);
	s->n_addrs = 1;
	s->n_paths = 1;
	s->path_total_mb[0] = 1000;
	s->path_free_mb[0] = free_mb;
	cluster_space(s);
	return s;
}

#endif
