/* SPDX-License-Identifier: MIT */
/*
 * Who sends (9), deletions (17), names (19, 40), and what all commands of peers
 * share. The answers are those of the table in cluster-protocol 3.4.
 */
#include "storaged/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/msg.h"
#include "storaged/beat.h"
#include "storaged/change.h"
#include "storaged/handlers.h"
#include "storaged/late.h"
#include "storaged/replicate.h"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* Peers send names in full; clients may leave the path out. */
static bool has_path(struct span name)
{
	return name.n > 3 && name.p[0] == 'M' && is_hex(name.p[1]) &&
	       is_hex(name.p[2]) && name.p[3] == '/';
}

/* Is it the address of one member and no other? */
static bool is_members(const struct storage *st, const char *ip)
{
	struct msg_brief *all = xcalloc(PEERS_MAX + 1, sizeof(*all));
	const size_t n =
	    st->beat ? beat_members(st->beat, all, PEERS_MAX + 1) : 0;
	size_t same = 0;

	for (size_t i = 0; i < n; i++)
		same += strcmp(all[i].ip, ip) == 0;
	free(all);
	return same == 1;
}

/* FastDFS sends over several connections at a time; ours, which begin with
 * ACTIVE_TEST (peer_link.c), one after the other. */
static bool is_late(const struct op_flow *op)
{
	struct op_conn *data = conn_data(op->conn);
	const char *ip = conn_peer_ip(op->conn);

	if (!data->known) {
		data->known = true;
		data->named = conn_greeted(op->conn) &&
		              (data->peer[0] || is_members(op->ctx->st, ip));
	}
	return data->named && late_is(ip, data->peer, conn_number(op->conn));
}

int apply_begin(struct op_flow *op, struct apply_head head, struct span name)
{
	if (op_check_group(op, head.group) < 0 || !has_path(name) ||
	    op_set_name(op, name, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	op_is_replica(op);
	if (is_late(op)) {
		conn_close(op->conn);
		return -EBUSY;
	}
	/* As in file names: seconds up to 2106. */
	op->time = (uint32_t)head.time;
	return 0;
}

int apply_other(struct op_flow *op, struct span name, struct fileid_name *fn)
{
	if (!has_path(name) || op_set_name(op, name, 1, FILE_NAME_MAX) < 0)
		return -EINVAL;
	str_copy(op->other, sizeof(op->other), op->name);
	return fileid_parse(span_of(op->other), fn);
}

bool apply_has_row(const struct op_flow *op)
{
	return !__atomic_load_n(&op->ctx->st->unapplied, __ATOMIC_RELAXED);
}

/* --- 9: who sends --- */

static int peer_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_server_id m;

	if (msg_decode(&MSG(server_id), f->held.p, f->held.n, &m, NULL) < 0 ||
	    !m.id[0])
		return -EINVAL;
	op_set_peer(op, m.id);
	conn_keep(op->conn);
	op_reply(op, 0, NULL, 0);
	return 0;
}

/* --- 17: deleted --- */

static int delete_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_sync_delete m;
	int rc;

	if (msg_decode(&MSG(sync_delete), f->held.p, f->held.n, &m, NULL) < 0)
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	if (rc == 0)
		remove_begin(op);
	return rc;
}

/* --- 40: renamed --- */

static int rename_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_sync_link m;
	struct fileid_name old;
	int rc;

	if (msg_decode(&MSG(sync_link), f->held.p, f->held.n, &m, NULL) < 0 ||
	    apply_other(op, m.other, &old) < 0)
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	if (rc == 0 && old.path != op->fn.path)
		return -EXDEV;
	if (rc == 0)
		rename_begin(op);
	return rc;
}

/* --- 19: a link --- */

/* Of op->other, in full, as the links of FastDFS are. -EINVAL: no path. */
static int target_path(const struct op_flow *op, char out[PATH_MAX])
{
	struct fileid_name fn;
	const struct store_path *p;

	(void)fileid_parse(span_of(op->other), &fn);
	p = store_at(&op->ctx->st->store, fn.path);
	if (!p)
		return -EINVAL;
	if (snprintf(out, PATH_MAX, "%s/data/%.*s", p->dir, (int)fn.rest.n,
	        fn.rest.p) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

static bool is_link(const struct op_flow *op, const char *file)
{
	struct stat sb;

	return fstatat(op->path->data_fd, file, &sb, AT_SYMLINK_NOFOLLOW) ==
	           0 &&
	       S_ISLNK(sb.st_mode);
}

/* 1: the target is missing, or the name taken: there is nothing to do. */
static int link_step(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];
	char target[PATH_MAX];
	struct stat sb;
	int rc = target_path(op, target);

	if (rc < 0)
		return rc;
	if (stat(target, &sb) < 0)
		return errno == ENOENT ? 1 : -errno;
	op->result = (uint64_t)sb.st_size;
	op_disk_path(op, "", file);
	if (symlinkat(target, op->path->data_fd, file) < 0) {
		if (errno != EEXIST)
			return -errno;
		return apply_has_row(op) || !is_link(op, file) ? 1 : 0;
	}
	rc = op->ctx->st->store.conf.full ? op_sync_dir(op->path, file) : 0;
	if (rc < 0)
		op_remove_new(op, file);
	return rc;
}

static void link_answer(struct op_flow *op)
{
	char file[FILEID_DISK_MAX];

	op_disk_path(op, "", file);
	if (op->rc < 0)
		op_remove_new(op, file);
	op_reply(op, op->rc, NULL, 0);
}

static void link_commit(struct op_flow *op)
{
	struct op *row = &op->log.op;

	if (op->rc != 0) {
		op_reply(op, op->rc < 0 ? op->rc : 0, NULL, 0);
		return;
	}
	row->code = OP_LINK;
	row->name = span_of(op->name);
	row->size = op->result;
	row->extra = span_of(op->other);
	op_commit(op, link_answer);
}

static void link_held(struct op_flow *op)
{
	op_disk(op, OP_WRITE, link_step, link_commit);
}

static int link_decoded(struct op_flow *op, const struct framer *f)
{
	struct msg_sync_link m;
	struct fileid_name target;
	int rc;

	if (msg_decode(&MSG(sync_link), f->held.p, f->held.n, &m, NULL) < 0 ||
	    apply_other(op, m.other, &target) < 0)
		return -EINVAL;
	rc = apply_begin(op, (struct apply_head){ m.time, m.group }, m.name);
	/* Its target may still be on its way to the disk. */
	if (rc == 0)
		op_hold_both(op, link_held);
	return rc;
}

const struct handler handle_server_id = { peer_decoded, NULL, N_STATS };
const struct handler handle_sync_delete = { delete_decoded, NULL, N_STATS };
const struct handler handle_sync_rename = { rename_decoded, NULL, N_STATS };
const struct handler handle_sync_link = { link_decoded, NULL, N_STATS };
