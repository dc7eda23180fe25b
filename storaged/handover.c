/* SPDX-License-Identifier: MIT */
#include "storaged/handover.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "meta/oplog.h"
#include "meta/peers.h"

#define MARK_TAKEOVER "takeover" /* the log was made of a binlog */
#define MARK_RELEASED "released" /* and given back */

static bool has_binlog(const char *base_path)
{
	static const char *const files[] = { "binlog.000", "binlog.000.gz",
		"binlog.001" };
	char path[4200];
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/data/sync/%s", base_path,
		    files[i]);
		if (stat(path, &st) == 0 && st.st_size > 0)
			return true;
	}
	return false;
}

static int none(void *arg, const struct peer_row *p)
{
	(void)arg;
	(void)p;
	return 1;
}

int handover_check(struct db *log, const char *base_path, char *err, size_t cap)
{
	char text[160] = "";
	int peers;

	if (db_mark_get(log, MARK_RELEASED, text, sizeof(text)) == 0 &&
	    text[0]) {
		snprintf(err, cap,
		    "%s was released to FastDFS; to run here again: stop "
		    "fdfs_storaged, then fdfs-meta adopt run STORAGE_CONF",
		    base_path);
		return -EPERM;
	}
	if (db_mark_get(log, MARK_TAKEOVER, text, sizeof(text)) == 0 ||
	    oplog_last(log, NULL) > 0)
		return 0;
	peers = peers_each(log, none, NULL);
	if (peers < 0)
		snprintf(err, cap, "cannot read the peers in the log: %s",
		    errstr(peers));
	if (peers != 0 || !has_binlog(base_path))
		return peers < 0 ? peers : 0;
	snprintf(err, cap,
	    "FastDFS ran on %s, and its peers may wait for operations in its "
	    "binlog: first fdfs-meta adopt run STORAGE_CONF, which takes them "
	    "over; or move data/sync away to leave them",
	    base_path);
	return -EPERM;
}
