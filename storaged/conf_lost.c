/* SPDX-License-Identifier: MIT */
/*
 * Settings of FastDFS that are known but without effect, where the effect is
 * one that somebody relies on. Pure tuning is not told of.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "storaged/conf_impl.h"

struct lost {
	const char *section;
	const char *name;
	bool (*set)(const char *value);
	const char *instead;
};

static bool is_on(const char *v)
{
	return strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0 ||
	       strcasecmp(v, "on") == 0 || strcmp(v, "1") == 0;
}

static bool is_number(const char *v)
{
	return strtoll(v, NULL, 10) > 0;
}

static const char access_log[] = "there is no access log; the operation log "
                                 "holds every change: fdfs-meta sql";
static const char not_packed[] = "rotated log files are not compressed; "
                                 "log_file_keep_days bounds them";

static const struct lost lost_keys[] = {
	{ "access-log", "enabled", is_on, access_log },
	{ "", "use_access_log", is_on, access_log },
	{ "", "check_file_duplicate", is_on,
	    "FastDHT is not supported; equal files are stored each for "
	    "itself" },
	{ "", "fsync_after_written_bytes", is_number,
	    "set durability = full in [meta] to sync every file" },
	{ "", "inner_port", is_number, "port is the port of every address" },
	{ "", "outer_port", is_number, "port is the port of every address" },
	{ "", "log_file_compress_old", is_on, not_packed },
	{ "error-log", "log_file_compress_old", is_on, not_packed },
	{ "", "compress_old_error_log", is_on, not_packed },
};

void storage_conf_tell_lost(struct conf_file *cf)
{
	for (size_t i = 0; i < ARRAY_LEN(lost_keys); i++) {
		const struct lost *l = &lost_keys[i];
		const char *v = conf_get(cf, l->section, l->name);

		if (!v || !v[0] || !l->set(v))
			continue;
		log_always(LOG_LEVEL_WARN, "conf_no_effect",
		    "name=%s%s%s value='%s': %s", l->section,
		    l->section[0] ? "/" : "", l->name, v, l->instead);
	}
}
