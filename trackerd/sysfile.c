/* SPDX-License-Identifier: MIT */
/* Written byte by byte as FastDFS 6.16 writes them: its trackers read them. */
#include "trackerd/sysfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

const char *const sysfile_names[N_SYSFILES] = {
	[SYSFILE_GROUPS] = "storage_groups_new.dat",
	[SYSFILE_SERVERS] = "storage_servers_new.dat",
	[SYSFILE_STAMPS] = "storage_sync_timestamp.dat",
	[SYSFILE_CHANGELOG] = "storage_changelog.dat",
};

/* Living members by slot. */
static size_t in_order(const struct group *g,
    const struct storage *out[GROUP_STORAGES])
{
	size_t n = 0;

	for (unsigned slot = 0; slot < GROUP_STORAGES; slot++) {
		for (size_t i = 0; i < g->n; i++) {
			const struct storage *s = g->storages[i];

			if (s->slot == slot && !storage_is_tombstone(s))
				out[n++] = s;
		}
	}
	return n;
}

static void write_groups(FILE *f, const struct cluster *c)
{
	fprintf(f, "[Global]\n\tgroup_count=%zu\n\n", c->n);
	for (size_t i = 0; i < c->n; i++) {
		const struct group *g = c->groups[i];
		const char *trunk = g->trunk_server ? g->trunk_server->id : "";

		fprintf(f,
		    "# group: %s\n"
		    "[Group%03zu]\n"
		    "\tgroup_name=%s\n"
		    "\tstorage_port=%" PRId64 "\n"
		    "\tstore_path_count=%" PRId64 "\n"
		    "\tsubdir_count_per_path=%" PRId64 "\n"
		    "\tcurrent_trunk_file_id=%" PRId32 "\n"
		    "\ttrunk_server=%s\n"
		    "\tlast_trunk_server=%s\n\n",
		    g->name, i + 1, g->name, g->port, g->path_count,
		    g->subdir_count, g->trunk_file, trunk, trunk);
	}
}

/* FastDFS does not keep these. */
static bool is_kept(size_t stat)
{
	switch (stat) {
	case STAT_total_modify_count:
	case STAT_success_modify_count:
	case STAT_total_truncate_count:
	case STAT_success_truncate_count:
	case STAT_total_modify_bytes:
	case STAT_success_modify_bytes:
		return false;
	default:
		return true;
	}
}

static void write_stats(FILE *f, const struct storage *s)
{
	struct stats st = s->stats;

	st.last_synced_timestamp = s->last_synced;
	st.last_heart_beat_time = s->last_beat;
	for (size_t i = 0; i < N_STATS; i++)
		if (is_kept(i))
			fprintf(f, "\t%s=%" PRId64 "\n", stat_names[i],
			    stats_get(&st, i));
}

static void write_server(FILE *f, const struct storage *s, size_t number,
    bool with_ids)
{
	const struct storage *source = s->source;
	struct addr at = s->addrs[0];
	char ip[ADDR_IP_MAX];
	char text[ADDR_TEXT_MAX];

	at.port = (uint16_t)s->port;
	if (source && storage_is_tombstone(source))
		source = NULL;
	fprintf(f, "# storage: %s\n[Storage%03zu]\n",
	    addr_text(&at, text, sizeof(text)), number);
	if (with_ids)
		fprintf(f, "\tid=%s\n", s->id);
	fprintf(f,
	    "\tgroup_name=%s\n"
	    "\tip_addr=%s\n"
	    "\tstatus=%d\n"
	    "\tversion=%s\n"
	    "\tjoin_time=%" PRId64 "\n"
	    "\tstorage_port=%" PRId64 "\n"
	    "\tsync_src_server=%s\n"
	    "\tsync_until_timestamp=%" PRId64 "\n"
	    "\ttotal_mb=%" PRId64 "\n"
	    "\tfree_mb=%" PRId64 "\n"
	    "\tchangelog_offset=%zu\n"
	    "\tstore_path_count=%" PRId64 "\n"
	    "\tsubdir_count_per_path=%" PRId64 "\n"
	    "\tupload_priority=%" PRId64 "\n",
	    s->group->name, addr_ip(&s->addrs[0], ip, sizeof(ip)),
	    (int)s->status, s->version, s->join_time, s->port,
	    source ? source->id : "", source ? s->sync_until : 0, s->total_mb,
	    s->free_mb, s->changelog_at, s->path_count, s->subdir_count,
	    s->priority);
	write_stats(f, s);
	fputc('\n', f);
}

static void write_servers(FILE *f, const struct cluster *c, bool with_ids)
{
	size_t count = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct storage *list[GROUP_STORAGES];
		const size_t n = in_order(c->groups[i], list);

		for (size_t k = 0; k < n; k++)
			write_server(f, list[k], ++count, with_ids);
	}
	fprintf(f, "\n[Global]\n\tstorage_count=%zu\n", count);
}

static void write_stamps(FILE *f, const struct cluster *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct storage *list[GROUP_STORAGES];
		const size_t n = in_order(c->groups[i], list);

		for (size_t k = 0; k < n; k++) {
			fprintf(f, "%s,%s", c->groups[i]->name, list[k]->id);
			for (size_t to = 0; to < n; to++)
				fprintf(f, ",%" PRId64,
				    list[to]->synced_from[list[k]->slot]);
			fputc('\n', f);
		}
	}
}

static FILE *open_text(struct sysfiles *out, enum sysfile which)
{
	FILE *f = open_memstream(&out->text[which], &out->n[which]);

	if (!f)
		abort(); /* as all small allocations do */
	return f;
}

void sysfiles_write(const struct cluster *c, bool with_ids,
    struct sysfiles *out)
{
	FILE *f = open_text(out, SYSFILE_GROUPS);

	write_groups(f, c);
	fclose(f);
	f = open_text(out, SYSFILE_SERVERS);
	write_servers(f, c, with_ids);
	fclose(f);
	f = open_text(out, SYSFILE_STAMPS);
	write_stamps(f, c);
	fclose(f);
	f = open_text(out, SYSFILE_CHANGELOG);
	if (c->changelog_len > 0)
		fwrite(c->changelog, 1, c->changelog_len, f);
	fclose(f);
}

void sysfiles_free(struct sysfiles *f)
{
	for (size_t i = 0; i < N_SYSFILES; i++)
		free(f->text[i]);
	memset(f, 0, sizeof(*f));
}
