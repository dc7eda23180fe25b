/* SPDX-License-Identifier: MIT */
/* df: capacity of groups or storages, live or from a tracker's database. */
#include <assert.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/dbs.h"
#include "cli/meta.h"

#define MB 1048576

struct df_options {
	const char *groups;
};
static_assert(sizeof(struct df_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .letter = 'g',
	    .name = "group",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct df_options, groups),
	    .arg = "LIST",
	    .help = "only these groups" },
};

const struct opt_table meta_df_table = { "df", rows, ARRAY_LEN(rows), 0 };

enum {
	COL_GROUP,
	COL_STORAGE,
	COL_TOTAL,
	COL_USED,
	COL_FREE,
	COL_RESERVE,
	COL_USABLE,
	COL_COPIES,
	COL_LIMITED
};

static const struct out_column group_columns[] = {
	{ "group", OUT_TEXT, OUT_KEEP, 0, "its name" },
	{ "storage", OUT_TEXT, OUT_EXTRA, 9, "not known for a whole group" },
	{ "total", OUT_BYTES, 0, 1, "capacity of its smallest storage" },
	{ "used_percent", OUT_PERCENT, 0, 1, "of that in use" },
	{ "free", OUT_BYTES, 0, 1, "free there" },
	{ "reserve", OUT_BYTES, 0, 2, "kept free" },
	{ "usable", OUT_BYTES, OUT_KEEP, 0, "free above the reserve" },
	{ "active", OUT_COUNT, 0, 2, "storages that are active" },
	{ "limited_by", OUT_TEXT, 0, 3, "the storage with the least free" },
};

static const struct out_column storage_columns[] = {
	{ "group", OUT_TEXT, OUT_KEEP, 0, "its group" },
	{ "storage", OUT_TEXT, OUT_KEEP, 0, "its id" },
	{ "total", OUT_BYTES, 0, 1, "capacity" },
	{ "used_percent", OUT_PERCENT, 0, 1, "of that in use" },
	{ "free", OUT_BYTES, 0, 1, "free" },
	{ "reserve", OUT_BYTES, 0, 2, "kept free" },
	{ "usable", OUT_BYTES, OUT_KEEP, 0, "free above the reserve" },
	{ "paths", OUT_COUNT, 0, 2, "store paths" },
	{ "state", OUT_TEXT, 0, 3, "as its tracker sees it" },
};

static const struct out_layout group_layout = { "fdfs-meta.df/1", group_columns,
	ARRAY_LEN(group_columns), false, "there are no groups" };
static const struct out_layout storage_layout = { "fdfs-meta.df-storage/1",
	storage_columns, ARRAY_LEN(storage_columns), false,
	"there are no storages" };

static void space(struct out_cell *c, int64_t total, int64_t free_mb,
    int64_t reserved)
{
	c[COL_TOTAL] = out_number(total * MB);
	c[COL_USED] =
	    total > 0
	        ? out_number(((total - free_mb) * 100 + total / 2) / total)
	        : out_unknown();
	c[COL_FREE] = out_number(free_mb * MB);
	c[COL_RESERVE] = out_number(reserved * MB);
	c[COL_USABLE] = out_number(cluster_usable(free_mb, reserved) * MB);
}

static const char *limited_by(const struct cluster *c, const char *group)
{
	const struct cluster_storage *least = NULL;

	for (size_t i = 0; i < c->n_storages; i++) {
		const struct cluster_storage *s = &c->storages[i];

		if (strcmp(s->group, group) == 0 &&
		    (!least || s->r.free_mb < least->r.free_mb))
			least = s;
	}
	return least ? least->r.id : NULL;
}

static void print_groups(const struct cluster *c, const char *groups,
    struct out *out)
{
	for (size_t i = 0; i < c->n_groups; i++) {
		const struct msg_group_record *g = &c->groups[i];
		struct out_cell cells[ARRAY_LEN(group_columns)];

		if (groups && !dbs_in_list(groups, g->name))
			continue;
		cells[COL_GROUP] = out_text(g->name);
		cells[COL_STORAGE] = out_unknown();
		space(cells, g->total_mb, g->free_mb, g->reserved_mb);
		cells[COL_COPIES] = out_number(g->readable_count);
		cells[COL_LIMITED] = out_text(limited_by(c, g->name));
		out_row(out, cells);
	}
}

static void print_storages(const struct cluster *c, const char *groups,
    struct out *out)
{
	for (size_t i = 0; i < c->n_storages; i++) {
		const struct cluster_storage *s = &c->storages[i];
		struct out_cell cells[ARRAY_LEN(storage_columns)];

		if (groups && !dbs_in_list(groups, s->group))
			continue;
		cells[COL_GROUP] = out_text(s->group);
		cells[COL_STORAGE] = out_text(s->r.id);
		space(cells, s->r.total_mb, s->r.free_mb, s->r.reserved_mb);
		cells[COL_COPIES] = out_number(s->r.store_path_count);
		cells[COL_LIMITED] = out_text(cluster_status_name(s->r.status));
		out_row(out, cells);
	}
}

enum status meta_run_df(struct cli *cli, const void *options)
{
	const struct df_options *o = options;
	const char *what = cli->n_words > 0 ? cli->words[0] : "group";
	const bool by_group = strcmp(what, "group") == 0;
	const struct out_layout *layout =
	    by_group ? &group_layout : &storage_layout;
	struct cluster c;
	struct cluster_origin origin;
	struct out_end end = { .complete = true, .n_sources = 1 };
	struct source s;
	struct out *out = NULL;
	enum status st;

	if (!by_group && strcmp(what, "storage") != 0)
		return err_usage("group or storage", "df does not know \"%s\"",
		    what);
	if (cli->out.list_columns)
		return out_open(&cli->out, layout, &out);
	memset(&c, 0, sizeof(c));
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = cluster_load_any(&s, &c, &origin);
	if (st == STATUS_OK)
		st = out_open(&cli->out, layout, &out);
	if (out) {
		const struct out_source from = { origin.name, origin.age_s };

		if (by_group)
			print_groups(&c, o->groups, out);
		else
			print_storages(&c, o->groups, out);
		end.sources = &from;
		end.total = (int64_t)out_rows(out);
		st = err_worse(st, out_close(out, &end));
	}
	cluster_free(&c);
	source_close(&s);
	return st;
}
