/* SPDX-License-Identifier: MIT */
/*
 * Filters on files as options (cli.md section 6), turned into the struct that
 * meta/query.h takes. Main thread only.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include "cli/opt.h"
#include "meta/query.h"

struct filter_options {
	struct opt_list ids;
	const char *id_prefix;
	const char *name;
	const char *iname;
	const char *name_contains;
	struct opt_list meta;
	const char *size;
	const char *age;
	const char *created;
	const char *modified;
	struct opt_list exts;
	bool no_ext;
	const char *types;
	const char *groups;
	struct opt_list paths;
	const char *dir;
	struct opt_list sources;
	struct opt_list clients;
	const char *crc;
	int status; /* 0 ok, 1 deleted */
};

#define FILTER_ROWS 20
extern const struct opt_row filter_rows[FILTER_ROWS];

/* A query_list that owns its array and, when `texts`, its texts. */
struct filter_list {
	char **items;
	size_t n;
};

struct filter {
	struct file_filter f;
	/* what f points to */
	struct filter_list ids, exts, sources, clients, keys;
	struct meta_condition *meta;
	unsigned *paths;
};

/* now: unix seconds. STATUS_OK, or STATUS_USAGE after saying which filter is
 * wrong. Free in any case. */
enum status filter_make(const struct filter_options *o, int64_t now,
    struct filter *out);
void filter_free(struct filter *f);

/* "+10M", "-4k", "1M..1G", "0" as bytes; for tests and for other filters. */
int filter_size(const char *text, struct query_range *out);
/* "+90d": made more than 90 days before now; ms. */
int filter_age(const char *text, int64_t now, struct query_range *out);
/* "today", "2026-11-01..2026-11-08", "-7d"; ms. */
int filter_time(const char *text, int64_t now, struct query_range *out);

#endif
