/* SPDX-License-Identifier: MIT */
#include "cli/verify_peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cluster.h"
#include "cli/stop.h"

#define STATUS_IP_CHANGED 3
#define STATUS_DELETED    4
#define LOCAL_MAX         64

static void add_peer(struct verify_peers *v, const struct addr *at,
    const char *id)
{
	struct verify_peer *p;

	if (v->n_peers == VERIFY_PEERS_MAX)
		return;
	p = &v->peers[v->n_peers++];
	memset(p, 0, sizeof(*p));
	p->addr = *at;
	str_copy(p->id, sizeof(p->id), id);
	addr_text(at, p->text, sizeof(p->text));
}

/* The storage whose disks these are. */
static bool is_me(const struct stores *s, const struct addr *at)
{
	struct addr local[LOCAL_MAX];
	struct addr bound;
	int n;

	if (at->port != s->port)
		return false;
	if (s->bind_addr[0] &&
	    addr_parse_ip(span_of(s->bind_addr), &bound) == 0)
		return addr_same_ip(at, &bound);
	n = addr_local(local, LOCAL_MAX);
	for (int i = 0; i < n; i++)
		if (addr_same_ip(at, &local[i]))
			return true;
	return false;
}

static enum status find_named(struct verify_peers *v,
    const struct opt_list *named)
{
	for (size_t i = 0; i < named->n; i++) {
		struct addr at;

		if (addr_parse(named->items[i], 23000, &at) < 0)
			return err_usage("--peer 10.20.0.12:23000",
			    "\"%s\" is no address of a storage",
			    named->items[i]);
		add_peer(v, &at, "");
	}
	return STATUS_OK;
}

static void take_storage(struct verify_peers *v,
    const struct cluster_storage *st)
{
	struct addr at;

	if (strcmp(st->group, v->stores->group) != 0 ||
	    st->r.status == STATUS_IP_CHANGED || st->r.status == STATUS_DELETED)
		return;
	if (addr_parse_ip(span_of(st->r.ip), &at) < 0)
		return;
	at.port = (uint16_t)st->r.storage_port;
	if (!is_me(v->stores, &at))
		add_peer(v, &at, st->r.id);
}

enum status verify_peers_find(struct verify_peers *v,
    const struct opt_list *named)
{
	struct cluster c;
	enum status st;

	if (named->n > 0)
		return find_named(v, named);
	memset(&c, 0, sizeof(c));
	st = source_need_tracker(v->net);
	if (st == STATUS_OK)
		st = cluster_load_groups(v->net, &c);
	if (st == STATUS_OK)
		st = cluster_load_storages(v->net, &c, v->stores->group);
	for (size_t i = 0; st == STATUS_OK && i < c.n_storages; i++)
		take_storage(v, &c.storages[i]);
	cluster_free(&c);
	return st;
}

enum status verify_peers_run(struct verify_peers *v)
{
	enum status st = STATUS_OK;

	for (size_t i = 0; i < v->n_peers && !stop_asked(); i++) {
		struct verify_peer *p = &v->peers[i];
		const char *what = "reach it";
		char words[128];
		const int rc = verify_peer_run(v, p, &what);

		p->compared = rc == 0;
		v->bad += p->missing + p->extra + p->differs;
		v->waiting += p->waiting;
		if (stop_asked())
			break;
		if (rc != 0)
			st = err_worse(st,
			    err_say((struct err){ .status = STATUS_PART,
			                .rc = rc,
			                .subject = p->text,
			                .todo = "fdfs-meta status" },
			        "not compared with %s: cannot %s: %s", p->text,
			        what, err_words(rc, words, sizeof(words))));
		else if (!p->listed)
			st = err_worse(st,
			    err_say((struct err){ .status = STATUS_PART,
			                .subject = p->text },
			        "%s does not tell its list of files: whether "
			        "it has others than these is not known",
			        p->text));
	}
	return stop_asked() ? stop_status() : st;
}
