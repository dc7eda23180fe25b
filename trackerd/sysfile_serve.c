/* SPDX-License-Identifier: MIT */
/*
 * Handing the system files to another tracker: 61, 63, 62 (cluster-protocol
 * 4.6). One connection at a time has them lent; what it reads is the cluster
 * as it was at 61, however long it takes.
 */
#include <errno.h>

#include "base/log.h"
#include "trackerd/handlers.h"
#include "trackerd/keeper.h"

#define PIECE_MAX 8173

void sysfiles_release(struct tracker *t, const struct session *session)
{
	if (t->lent_to != session)
		return;
	t->lent_to = NULL;
	sysfiles_free(&t->lent);
}

void handle_sys_files_start(struct request *rq, const void *in)
{
	struct tracker *t = rq->t;

	(void)in;
	if (t->cluster.n == 0) {
		reply_status(rq, ENOENT);
		return;
	}
	if (t->lent_to && t->lent_to != rq->session) {
		reply_status(rq, EBUSY);
		return;
	}
	sysfiles_free(&t->lent);
	sysfiles_write(&t->cluster, t->ids != NULL, &t->lent);
	t->lent_to = rq->session;
	keeper_save(t->keeper, "another tracker asked for them");
	log_info("sysfiles_lent", "client=%s", conn_peer_ip(rq->c));
	reply_status(rq, 0);
}

void handle_get_sys_file(struct request *rq, const void *in)
{
	const struct msg_get_sys_file *m = in;
	const struct tracker *t = rq->t;
	const bool lent = t->lent_to == rq->session;
	struct sysfiles now = { 0 };
	const struct sysfiles *f = lent ? &t->lent : &now;

	if (!lent)
		sysfiles_write(&t->cluster, t->ids != NULL, &now);
	if (m->index >= N_SYSFILES || m->offset < 0 ||
	    (uint64_t)m->offset > f->n[m->index]) {
		reply_status(rq, EINVAL);
	} else {
		const size_t at = (size_t)m->offset;
		const size_t left = f->n[m->index] - at;
		struct out *o = out_start(rq);

		out_number(o, f->n[m->index], 8);
		out_bytes(o, f->text[m->index] + at,
		    left < PIECE_MAX ? left : PIECE_MAX);
		reply_out(rq);
	}
	sysfiles_free(&now);
}

void handle_sys_files_end(struct request *rq, const void *in)
{
	(void)in;
	sysfiles_release(rq->t, rq->session);
	reply_status(rq, 0);
}
