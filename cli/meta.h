/* SPDX-License-Identifier: MIT */
/* The commands of `fdfs-meta`: what meta_main.c lists. Main thread only. */
#ifndef CLI_META_H
#define CLI_META_H

#include "cli/run.h"

/* Room for every option struct of this program. */
#define META_OPTIONS_SIZE 512

#define META_VERBS(V) \
	V(status)     \
	V(find)       \
	V(stat) V(df) V(lag) V(verify) V(adopt) V(release) V(decode) V(sql)
#define META_DECLARE(name) \
	enum status meta_run_##name(struct cli *cli, const void *options);
META_VERBS(META_DECLARE)

extern const struct program meta_program;

extern const struct opt_table meta_find_table, meta_find_filters,
    meta_stat_table, meta_status_table, meta_df_table, meta_lag_table,
    meta_sql_table, meta_decode_table, meta_adopt_table, meta_adopt_stores,
    meta_verify_table, meta_verify_stores;

#endif
