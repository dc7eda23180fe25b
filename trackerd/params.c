/* SPDX-License-Identifier: MIT */
/* Order and spelling are the protocol; storages refuse to start without. */
#include "trackerd/params.h"

#include <inttypes.h>

static void put_num(struct strbuf *out, const char *name, int64_t v)
{
	strbuf_addf(out, "%s=%" PRId64 "\n", name, v);
}

static void put_time(struct strbuf *out, const char *name, int64_t minute)
{
	strbuf_addf(out, "%s=%02d:%02d\n", name, (int)(minute / 60),
	    (int)(minute % 60));
}

static void put_reserve(struct strbuf *out, const struct tracker_conf *cf)
{
	if (cf->reserve.percent > 0)
		strbuf_addf(out, "reserved_storage_space=%.2f%%\n",
		    cf->reserve.percent);
	else
		strbuf_addf(out, "reserved_storage_space=%" PRId64 "MB\n",
		    cf_reserved_mb(cf, 0));
}

void params_print(const struct tracker_conf *cf, unsigned ip_width,
    struct strbuf *out)
{
	const struct cf_trunk *t = &cf->trunk;

	put_num(out, "use_storage_id", cf->use_storage_id);
	strbuf_addf(out, "id_type_in_filename=%s\n",
	    cf->id_type == ID_TYPE_ID ? "id" : "ip");
	put_num(out, "trust_storage_server_id", cf->trust_storage_id);
	put_num(out, "response_ip_addr_size", ip_width);
	put_num(out, "storage_ip_changed_auto_adjust",
	    cf->ip_changed_auto_adjust);
	put_num(out, "storage_sync_file_max_delay", cf->sync_max_delay);
	put_num(out, "store_path", cf->store_path);
	put_reserve(out, cf);
	put_num(out, "use_trunk_file", t->use);
	put_num(out, "slot_min_size", (int64_t)t->slot_min);
	put_num(out, "slot_max_size", (int64_t)t->slot_max);
	put_num(out, "trunk_alloc_alignment_size", t->alignment);
	put_num(out, "trunk_file_size", (int64_t)t->file_size);
	put_num(out, "trunk_create_file_advance", t->create_advance);
	put_time(out, "trunk_create_file_time_base", t->create_time);
	put_num(out, "trunk_create_file_interval", t->create_interval);
	put_num(out, "trunk_create_file_space_threshold",
	    (int64_t)t->create_threshold);
	put_num(out, "trunk_init_check_occupying", t->init_check);
	put_num(out, "trunk_init_reload_from_binlog", t->init_reload);
	put_num(out, "trunk_free_space_merge", t->merge);
	put_num(out, "delete_unused_trunk_files", t->delete_unused);
	put_num(out, "trunk_compress_binlog_min_interval",
	    t->compress_min_interval);
	put_num(out, "trunk_compress_binlog_interval", t->compress_interval);
	put_time(out, "trunk_compress_binlog_time_base", t->compress_time);
	put_num(out, "trunk_binlog_max_backups", t->max_backups);
	put_num(out, "store_slave_file_use_link", cf->slave_use_link);
}
