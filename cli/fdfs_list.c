/* SPDX-License-Identifier: MIT */
/* list: groups, storages or trackers as the trackers tell them. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/fdfs.h"

#define MB 1048576

struct list_options {
	const char *group;
};

static const struct opt_row rows[] = {
	{ .letter = 'g',
	    .name = "group",
	    .type = OPT_TEXT,
	    .offset = offsetof(struct list_options, group),
	    .arg = "GROUP",
	    .help = "only this group" },
};

const struct opt_table fdfs_list_table = { "list", rows, ARRAY_LEN(rows), 0 };

/* What the three lists have in common. */
struct list {
	const struct out_layout *layout;
	enum status (*load)(struct source *s, struct cluster *c,
	    const struct list_options *o);
	size_t (*count)(const struct cluster *c);
	void (
	    *cells)(const struct cluster *c, size_t i, struct out_cell *cells);
};

static const struct out_column group_columns[] = {
	{ "group", OUT_TEXT, OUT_KEEP, 0, "name" },
	{ "total", OUT_BYTES, 0, 0, "capacity of its smallest storage" },
	{ "free", OUT_BYTES, 0, 0, "free there" },
	{ "reserved", OUT_BYTES, 0, 2, "kept free" },
	{ "storages", OUT_COUNT, 0, 1, "members" },
	{ "readable", OUT_COUNT, 0, 2, "that serve downloads" },
	{ "writable", OUT_COUNT, 0, 2, "that take uploads" },
	{ "paths", OUT_COUNT, 0, 3, "store paths of each" },
	{ "subdirs", OUT_INT, 0, 5, "directories a level" },
	{ "port", OUT_INT, 0, 4, "of the storages, -1 when they differ" },
	{ "trunk_free", OUT_BYTES, 0, 6, "free in trunk files" },
};

static void group_cells(const struct cluster *c, size_t i,
    struct out_cell *cells)
{
	const struct msg_group_record *g = &c->groups[i];

	cells[0] = out_text(g->name);
	cells[1] = out_number(g->total_mb * MB);
	cells[2] = out_number(g->free_mb * MB);
	cells[3] = out_number(g->reserved_mb * MB);
	cells[4] = out_number(g->storage_count);
	cells[5] = out_number(g->readable_count);
	cells[6] = out_number(g->writable_count);
	cells[7] = out_number(g->store_path_count);
	cells[8] = out_number(g->subdir_count_per_path);
	cells[9] = out_number(g->storage_port);
	cells[10] = out_number(g->trunk_free_mb * MB);
}

static size_t group_count(const struct cluster *c)
{
	return c->n_groups;
}

/* Keeps the wanted group only; there may be none of that name. */
static enum status load_groups(struct source *s, struct cluster *c,
    const struct list_options *o)
{
	enum status st = cluster_load_groups(s, c);

	if (st != STATUS_OK || !o->group)
		return st;
	for (size_t i = 0; i < c->n_groups; i++)
		if (strcmp(c->groups[i].name, o->group) == 0) {
			c->groups[0] = c->groups[i];
			c->n_groups = 1;
			return STATUS_OK;
		}
	return err_say((struct err){ .status = STATUS_NO,
	                   .subject = o->group,
	                   .todo = "fdfs list groups shows what there is" },
	    "there is no group %s", o->group);
}

static const struct out_column storage_columns[] = {
	{ "group", OUT_TEXT, OUT_KEEP, 0, "its group" },
	{ "id", OUT_TEXT, OUT_KEEP, 0, "its id" },
	{ "address", OUT_TEXT, 0, 2, "its address" },
	{ "port", OUT_INT, 0, 3, "its port" },
	{ "state", OUT_TEXT, OUT_KEEP, 0, "as its tracker sees it" },
	{ "version", OUT_TEXT, 0, 6, "of the protocol" },
	{ "up", OUT_SECONDS, 0, 4, "time since its start" },
	{ "beat", OUT_SECONDS, 0, 3, "time since it was heard of" },
	{ "total", OUT_BYTES, 0, 1, "capacity" },
	{ "free", OUT_BYTES, 0, 1, "free" },
	{ "conns", OUT_COUNT, 0, 5, "connections now" },
	{ "uploads", OUT_COUNT, 0, 4, "successful uploads" },
	{ "downloads", OUT_COUNT, 0, 4, "successful downloads" },
	{ "deletes", OUT_COUNT, OUT_EXTRA, 6, "successful deletes" },
	{ "failed", OUT_COUNT, 0, 5, "uploads, downloads and deletes refused" },
	{ "bytes_in", OUT_BYTES, OUT_EXTRA, 6, "uploaded bytes" },
	{ "bytes_out", OUT_BYTES, OUT_EXTRA, 6, "downloaded bytes" },
	{ "joined", OUT_TIME, OUT_EXTRA, 7, "first joined" },
	{ "synced", OUT_TIME, OUT_EXTRA, 7, "everything up to then is here" },
	{ "source", OUT_TEXT, OUT_EXTRA, 7, "it synchronises from" },
	{ "paths", OUT_COUNT, OUT_EXTRA, 7, "store paths" },
	{ "trunk", OUT_BOOL, OUT_EXTRA, 8, "is the group's trunk server" },
};

static struct out_cell since(int64_t unix_s)
{
	return unix_s > 0 ? out_number(clock_wall_sec() - unix_s)
	                  : out_unknown();
}

static void storage_cells(const struct cluster *c, size_t i,
    struct out_cell *cells)
{
	const struct cluster_storage *cs = &c->storages[i];
	const struct msg_storage_record46 *r = &cs->r;
	const struct stats *n = &r->stats;
	const struct out_cell row[] = {
		out_text(cs->group),
		out_text(r->id),
		out_text(r->ip),
		out_number(r->storage_port),
		out_text(cluster_status_name(r->status)),
		out_text(r->version),
		since(r->up_time),
		since(n->last_heart_beat_time),
		out_number(r->total_mb * MB),
		out_number(r->free_mb * MB),
		out_number(n->current_conns),
		out_number(n->success_upload_count),
		out_number(n->success_download_count),
		out_number(n->success_delete_count),
		out_number(n->total_upload_count - n->success_upload_count +
		           n->total_download_count - n->success_download_count +
		           n->total_delete_count - n->success_delete_count),
		out_number(n->success_upload_bytes),
		out_number(n->success_download_bytes),
		r->join_time > 0 ? out_number(r->join_time) : out_unknown(),
		n->last_synced_timestamp > 0
		    ? out_number(n->last_synced_timestamp)
		    : out_unknown(),
		r->src_id[0] ? out_text(r->src_id) : out_unknown(),
		out_number(r->store_path_count),
		out_number(r->is_trunk_server),
	};

	memcpy(cells, row, sizeof(row));
}

static size_t storage_count(const struct cluster *c)
{
	return c->n_storages;
}

static enum status load_storages(struct source *s, struct cluster *c,
    const struct list_options *o)
{
	enum status st = load_groups(s, c, o);

	return st == STATUS_OK ? cluster_load_storages(s, c, o->group) : st;
}

static const struct out_column tracker_columns[] = {
	{ "address", OUT_TEXT, OUT_KEEP, 0, "host and port" },
	{ "state", OUT_TEXT, OUT_KEEP, 0, "up, or why it did not answer" },
	{ "leader", OUT_BOOL, 0, 0, "leads the trackers" },
	{ "answer_us", OUT_MICROS, 0, 1, "time of an active test" },
	{ "version", OUT_TEXT, 0, 3, "of the protocol" },
	{ "up", OUT_SECONDS, 0, 2, "time since its start" },
	{ "conns", OUT_COUNT, 0, 3, "connections now" },
};

static void tracker_cells(const struct cluster *c, size_t i,
    struct out_cell *cells)
{
	const struct cluster_tracker *t = &c->trackers[i];
	static char words[128];

	cells[0] = out_text(t->address);
	if (t->rc == -EAGAIN)
		cells[1] = out_text(t->r.is_active ? "up, says the leader"
		                                   : "down, says the leader");
	else
		cells[1] = out_text(
		    t->rc == 0 ? "up" : err_words(t->rc, words, sizeof(words)));
	cells[2] = out_number(t->is_leader);
	cells[3] = t->rc == 0 ? out_number(t->answer_us) : out_unknown();
	cells[4] = t->has_record ? out_text(t->r.version) : out_unknown();
	cells[5] = t->has_record ? since(t->r.up_time) : out_unknown();
	cells[6] =
	    t->has_record ? out_number(t->r.current_conns) : out_unknown();
}

static size_t tracker_count(const struct cluster *c)
{
	return c->n_trackers;
}

static enum status load_trackers(struct source *s, struct cluster *c,
    const struct list_options *o)
{
	size_t down = 0;

	if (o->group)
		return err_usage(NULL, "trackers belong to no group");
	cluster_load_trackers(s, c);
	for (size_t i = 0; i < c->n_trackers; i++)
		down += c->trackers[i].rc != 0 && c->trackers[i].rc != -EAGAIN;
	if (down == s->n_trackers)
		return source_complain(s, s->why[0], "list the trackers");
	return down > 0 ? STATUS_PART : STATUS_OK;
}

static const struct out_layout layouts[] = {
	{ "fdfs.groups/1", group_columns, ARRAY_LEN(group_columns), false,
	    "there are no groups" },
	{ "fdfs.storages/1", storage_columns, ARRAY_LEN(storage_columns), false,
	    "there are no storages" },
	{ "fdfs.trackers/1", tracker_columns, ARRAY_LEN(tracker_columns), false,
	    "there are no trackers" },
};

static const struct named_list {
	const char *name;
	struct list list;
} lists[] = {
	{ "groups", { &layouts[0], load_groups, group_count, group_cells } },
	{ "storages",
	    { &layouts[1], load_storages, storage_count, storage_cells } },
	{ "trackers",
	    { &layouts[2], load_trackers, tracker_count, tracker_cells } },
};

static enum status print_list(struct cli *cli, struct source *s,
    const struct list *l, const struct list_options *o)
{
	struct cluster c;
	struct out_cell cells[ARRAY_LEN(storage_columns)];
	struct out_end end = { .complete = true, .total = -1 };
	struct out *out;
	enum status st;

	memset(&c, 0, sizeof(c));
	st = l->load(s, &c, o);
	if (st == STATUS_OK || st == STATUS_PART) {
		st = err_worse(st, out_open(&cli->out, l->layout, &out));
		for (size_t i = 0; out && i < l->count(&c); i++) {
			l->cells(&c, i, cells);
			out_row(out, cells);
		}
		end.complete = st == STATUS_OK;
		end.total = (int64_t)l->count(&c);
		if (out)
			st = err_worse(st, out_close(out, &end));
	}
	cluster_free(&c);
	return st;
}

enum status fdfs_run_list(struct cli *cli, const void *options)
{
	const char *what = cli->n_words > 0 ? cli->words[0] : "storages";
	const struct list *l = NULL;
	struct source s;
	struct out *out;
	enum status st;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (strcmp(lists[i].name, what) == 0)
			l = &lists[i].list;
	if (!l)
		return err_usage("groups, storages or trackers",
		    "cannot list \"%s\"", what);
	if (cli->out.list_columns)
		return out_open(&cli->out, l->layout, &out);
	st = source_open(&cli->sources, &s);
	if (st == STATUS_OK)
		st = source_need_tracker(&s);
	if (st == STATUS_OK)
		st = print_list(cli, &s, l, options);
	source_close(&s);
	return st;
}
