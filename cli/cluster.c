/* SPDX-License-Identifier: MIT */
#include "cli/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/stop.h"

static const struct status_name {
	int status;
	const char *name;
} status_names[] = {
	{ 0, "INIT" },
	{ 1, "WAIT_SYNC" },
	{ 2, "SYNCING" },
	{ 3, "IP_CHANGED" },
	{ 4, "DELETED" },
	{ 5, "OFFLINE" },
	{ 6, "ONLINE" },
	{ 7, "ACTIVE" },
	{ 9, "RECOVERY" },
	{ 99, "NONE" },
};

const char *cluster_status_name(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_names); i++)
		if (status_names[i].status == status)
			return status_names[i].name;
	return "?";
}

enum status cluster_load_groups(struct source *s, struct cluster *c)
{
	struct msg_group_list reply;
	struct msg_group_record g;
	struct span list;
	int rc = source_ask(s, CMD_list_all_groups, &msg_desc_none, NULL,
	    &MSG(group_list), &reply);

	if (rc != 0)
		return source_complain(s, rc, "list the groups");
	list = reply.groups;
	while ((rc = msg_next(&MSG(group_record), &list, &g)) == 1) {
		c->groups = xrealloc(c->groups, c->n_groups + 1, sizeof(g));
		c->groups[c->n_groups++] = g;
	}
	return rc < 0 ? source_complain(s, rc, "list the groups") : STATUS_OK;
}

struct load {
	struct cluster *c;
	const char *group;
	struct msg_storage_record46 record;
};

static int add_storage(void *arg)
{
	struct load *l = arg;
	struct cluster *c = l->c;
	struct cluster_storage *st;

	c->storages =
	    xrealloc(c->storages, c->n_storages + 1, sizeof(*c->storages));
	st = &c->storages[c->n_storages++];
	str_copy(st->group, sizeof(st->group), l->group);
	st->r = l->record;
	return 0;
}

static enum status load_group(struct source *s, struct cluster *c,
    const char *group)
{
	struct msg_group_and_id req;
	struct msg_storage_list reply;
	struct load l = { .c = c, .group = group };
	int rc;

	memset(&req, 0, sizeof(req));
	str_copy(req.group, sizeof(req.group), group);
	rc = source_ask(s, CMD_list_storage, &MSG(group_and_id), &req,
	    &MSG(storage_list), &reply);
	if (rc == 0)
		rc = source_each(&source_storages, reply.storages, &l.record,
		    add_storage, &l);
	return rc == 0 ? STATUS_OK
	               : source_complain(s, rc, "list the storages");
}

enum status cluster_load_storages(struct source *s, struct cluster *c,
    const char *group)
{
	enum status st = STATUS_OK;

	for (size_t i = 0; i < c->n_groups && st == STATUS_OK; i++)
		if (!group || strcmp(group, c->groups[i].name) == 0)
			st = load_group(s, c, c->groups[i].name);
	return st;
}

/* Gives the leader's address in `leader`. */
static void ask_tracker(struct source *s, const struct addr *at,
    struct cluster_tracker *t, char *leader, size_t cap)
{
	struct msg_text reply;
	struct client *c;
	mono_t start;

	t->rc = source_connect(s, at, &c);
	if (t->rc != 0)
		return;
	start = clock_mono();
	t->rc =
	    client_ask(c, CMD_active_test, &msg_desc_none, NULL, NULL, NULL);
	t->answer_us = (int64_t)((clock_mono() - start) / 1000);
	if (t->rc == 0 && !leader[0] &&
	    client_ask(c, CMD_get_leader, &msg_desc_none, NULL, &MSG(text),
	        &reply) == 0)
		str_copy_span(leader, cap, reply.text);
	source_disconnect(c);
}

static struct cluster_tracker *find_tracker(struct cluster *c,
    const char *address)
{
	for (size_t i = 0; i < c->n_trackers; i++)
		if (strcmp(c->trackers[i].address, address) == 0)
			return &c->trackers[i];
	if (c->n_trackers == SOURCE_TRACKERS)
		return NULL;
	str_copy(c->trackers[c->n_trackers].address, ADDR_TEXT_MAX, address);
	return &c->trackers[c->n_trackers++];
}

/* Only the leader knows all trackers. */
static void ask_leader(struct source *s, struct cluster *c, const char *leader)
{
	const struct msg_tracker_filter req = { .filter = 0 };
	struct msg_tracker_stat reply;
	struct msg_tracker_record r;
	struct span list;
	struct addr a;
	struct client *peer;

	if (addr_parse(leader, 22122, &a) < 0 ||
	    source_connect(s, &a, &peer) < 0)
		return;
	if (client_ask(peer, CMD_tracker_cluster_stat, &MSG(tracker_filter),
	        &req, &MSG(tracker_stat), &reply) == 0) {
		list = reply.trackers;
		while (msg_next(&MSG(tracker_record), &list, &r) == 1) {
			struct cluster_tracker *t = find_tracker(c, r.address);

			if (!t)
				break;
			t->r = r;
			t->has_record = true;
			t->is_leader = r.is_leader;
		}
	}
	source_disconnect(peer);
}

void cluster_load_trackers(struct source *s, struct cluster *c)
{
	char leader[ADDR_TEXT_MAX] = "";
	struct addr at;

	for (size_t i = 0; i < s->n_trackers && !stop_asked(); i++) {
		struct cluster_tracker *t = &c->trackers[c->n_trackers++];

		addr_text(&s->trackers[i], t->address, sizeof(t->address));
		ask_tracker(s, &s->trackers[i], t, leader, sizeof(leader));
		s->why[i] = t->rc;
	}
	for (size_t i = 0; i < c->n_trackers; i++)
		c->trackers[i].is_leader =
		    leader[0] && strcmp(c->trackers[i].address, leader) == 0;
	if (leader[0] && !stop_asked())
		ask_leader(s, c, leader);
	/* those that only the leader has told us of */
	for (size_t i = s->n_trackers; i < c->n_trackers && !stop_asked(); i++)
		if (addr_parse(c->trackers[i].address, 22122, &at) == 0)
			ask_tracker(s, &at, &c->trackers[i], leader,
			    sizeof(leader));
}

void cluster_free(struct cluster *c)
{
	free(c->groups);
	free(c->storages);
	free(c->stamps);
	memset(c, 0, sizeof(*c));
}
