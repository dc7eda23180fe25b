/* SPDX-License-Identifier: MIT */
/*
 * storage_stat.dat holds the counters in an order of its own (cluster-protocol
 * 7.3), which is the order of the array below, one key=value a line.
 */
#include "storaged/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"

#define FILE_MAX 65536

#define PAIR(name) STAT_total_##name, STAT_success_##name

static const enum stat_index file_order[] = {
	PAIR(upload_count),
	PAIR(append_count),
	PAIR(modify_count),
	PAIR(truncate_count),
	PAIR(download_count),
	STAT_last_source_update,
	STAT_last_sync_update,
	PAIR(set_meta_count),
	PAIR(delete_count),
	PAIR(get_meta_count),
	PAIR(create_link_count),
	PAIR(delete_link_count),
	PAIR(upload_bytes),
	PAIR(append_bytes),
	PAIR(modify_bytes),
	PAIR(download_bytes),
	PAIR(sync_in_bytes),
	PAIR(sync_out_bytes),
	PAIR(file_open_count),
	PAIR(file_read_count),
	PAIR(file_write_count),
};

static const char rot_high[] = "dist_path_index_high";
static const char rot_low[] = "dist_path_index_low";
static const char rot_count[] = "dist_write_file_count";

/* Points in time: the latest counts, not the sum. */
static bool is_time(size_t i)
{
	return i == STAT_last_source_update || i == STAT_last_sync_update ||
	       i == STAT_last_synced_timestamp ||
	       i == STAT_last_heart_beat_time;
}

static int64_t join_value(size_t i, int64_t a, int64_t b)
{
	if (is_time(i))
		return a > b ? a : b;
	return a + b;
}

void stats_sum(const struct stats *base, const struct counters *const *blocks,
    size_t n, struct stats *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < N_STATS; i++) {
		int64_t v = stats_get(base, i);

		for (size_t b = 0; b < n; b++)
			v = join_value(i, v,
			    __atomic_load_n(&blocks[b]->v[i],
			        __ATOMIC_RELAXED));
		stats_set(out, i, v);
	}
}

/* --- storage_stat.dat --- */

static void take_value(const char *key, int64_t v, struct stats *out,
    struct rotation_state *rot)
{
	if (strcmp(key, rot_high) == 0)
		rot->high = v;
	else if (strcmp(key, rot_low) == 0)
		rot->low = v;
	else if (strcmp(key, rot_count) == 0)
		rot->count = v;
	for (size_t i = 0; i < ARRAY_LEN(file_order); i++) {
		if (strcmp(key, stat_names[file_order[i]]) == 0)
			stats_set(out, file_order[i], v);
	}
}

static int take_line(char *line, struct stats *out, struct rotation_state *rot)
{
	char *value = strchr(line, '=');
	int64_t v;

	if (!value)
		return 0;
	*value++ = 0;
	if (str_to_i64(str_trim(value), &v) < 0 || v < 0)
		return -EBADMSG;
	take_value(str_trim(line), v, out, rot);
	return 0;
}

int stats_load(const char *path, struct stats *out, struct rotation_state *rot)
{
	char *text;
	char *save = NULL;
	ssize_t n = fs_read_file(path, FILE_MAX, &text);
	int rc = 0;

	memset(out, 0, sizeof(*out));
	memset(rot, 0, sizeof(*rot));
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;
	for (char *line = strtok_r(text, "\n", &save); line && rc == 0;
	     line = strtok_r(NULL, "\n", &save))
		rc = take_line(line, out, rot);
	free(text);
	if (rc < 0) {
		memset(out, 0, sizeof(*out));
		memset(rot, 0, sizeof(*rot));
	}
	return rc;
}

int stats_save(const char *path, const struct stats *s,
    const struct rotation_state *rot)
{
	char buf[4096];
	struct strbuf b = strbuf_over(buf, sizeof(buf));

	for (size_t i = 0; i < ARRAY_LEN(file_order); i++)
		strbuf_addf(&b, "%s=%" PRId64 "\n", stat_names[file_order[i]],
		    stats_get(s, file_order[i]));
	strbuf_addf(&b, "%s=%" PRId64 "\n", rot_high, rot->high);
	strbuf_addf(&b, "%s=%" PRId64 "\n", rot_low, rot->low);
	strbuf_addf(&b, "%s=%" PRId64 "\n", rot_count, rot->count);
	return b.failed ? -EMSGSIZE : fs_replace_file(path, buf, b.len, false);
}
