/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* Membership and states as a tracker sees them (cluster-protocol chapter 2,
 * 1.7, 1.15, 1.18, 1.19). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "trackerd/cluster.h"

#define NOW 1795330000

static const enum storage_status all[] = { ST_INIT, ST_WAIT_SYNC, ST_SYNCING,
	ST_IP_CHANGED, ST_DELETED, ST_OFFLINE, ST_ONLINE, ST_ACTIVE,
	ST_RECOVERY };

/* What the watcher was told last. */
struct told {
	int from, to;
	char reason[64];
	char line[128];
	char dropped[64];
	unsigned status_calls;
};

static void on_status(void *arg, const struct storage *s, int from,
    const char *reason)
{
	struct told *t = arg;

	t->from = from;
	t->to = (int)s->status;
	t->status_calls++;
	str_copy(t->reason, sizeof(t->reason), reason);
}

static void on_drop(void *arg, const char *group, const char *id)
{
	struct told *t = arg;
	struct strbuf b = strbuf_over(t->dropped, sizeof(t->dropped));

	strbuf_addf(&b, "%s/%s", group, id);
}

static void on_change(void *arg, const char *line)
{
	struct told *t = arg;

	str_copy(t->line, sizeof(t->line), line);
}

struct world {
	struct cluster c;
	struct group *g;
	struct told told;
};

static void world_init(struct world *w)
{
	const struct cluster_watch watch = { .arg = &w->told,
		.status = on_status,
		.drop_storage = on_drop,
		.change = on_change };

	memset(&w->told, 0, sizeof(w->told));
	cluster_init(&w->c, &watch);
	w->g = cluster_add_group(&w->c, "group1");
}

static struct storage *add(struct world *w, const char *ip,
    enum storage_status status)
{
	struct storage *s = group_add_storage(&w->c, w->g, ip, ST_INIT, "t");

	addr_parse_ip(span_of(ip), &s->addrs[0]);
	s->n_addrs = 1;
	s->port = 23000;
	s->status = status;
	return s;
}

/* --- JOIN ---------------------------------------------------------------- */

static void test_first_status_of_an_unknown_storage(void **state)
{
	static const struct {
		bool init;
		int claimed;
		int expect;
	} rows[] = {
		{ true, -1, ST_INIT },
		{ true, ST_ACTIVE, ST_INIT },
		{ true, ST_DELETED, ST_INIT },
		{ false, -1, -EFAULT },
		{ false, ST_IP_CHANGED, -EFAULT },
		{ false, ST_DELETED, -EFAULT },
		{ false, ST_NONE, -EFAULT },
		{ false, 8, -EFAULT },
		{ false, ST_INIT, ST_INIT },
		{ false, ST_WAIT_SYNC, ST_WAIT_SYNC },
		{ false, ST_SYNCING, ST_SYNCING },
		{ false, ST_OFFLINE, ST_ONLINE },
		{ false, ST_ONLINE, ST_ONLINE },
		{ false, ST_ACTIVE, ST_ONLINE },
		{ false, ST_RECOVERY, ST_ONLINE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
		    cluster_first_status(rows[i].init, rows[i].claimed),
		    rows[i].expect);
}

static void joined(struct world *w, struct storage *s)
{
	cluster_joined(&w->c, s);
}

static void activated(struct world *w, struct storage *s)
{
	cluster_activate(&w->c, s, "beat");
}

static void lost(struct world *w, struct storage *s)
{
	cluster_lost(&w->c, s, "closed");
}

static void swept(struct world *w, struct storage *s)
{
	s->last_beat = NOW - 101;
	cluster_sweep(&w->c, NOW, 100);
}

static void deleted(struct world *w, struct storage *s)
{
	cluster_delete_storage(&w->c, s, NOW);
}

/* Table 2.2: what each event makes of each state. */
static void test_every_event_in_every_state(void **state)
{
	static const struct {
		void (*event)(struct world *w, struct storage *s);
		enum storage_status to[ARRAY_LEN(all)];
	} rows[] = {
		/* from: INIT, WAIT_SYNC, SYNCING, IP_CHANGED, DELETED,
		 * OFFLINE, ONLINE, ACTIVE, RECOVERY */
		{ joined, { ST_INIT, ST_WAIT_SYNC, ST_SYNCING, ST_INIT, ST_INIT,
		              ST_ONLINE, ST_ONLINE, ST_ACTIVE, ST_ONLINE } },
		{ activated, { ST_INIT, ST_WAIT_SYNC, ST_SYNCING, ST_IP_CHANGED,
		                 ST_DELETED, ST_ACTIVE, ST_ACTIVE, ST_ACTIVE,
		                 ST_ACTIVE } },
		{ lost, { ST_INIT, ST_WAIT_SYNC, ST_SYNCING, ST_IP_CHANGED,
		            ST_DELETED, ST_OFFLINE, ST_OFFLINE, ST_OFFLINE,
		            ST_RECOVERY } },
		{ swept, { ST_INIT, ST_WAIT_SYNC, ST_SYNCING, ST_IP_CHANGED,
		             ST_DELETED, ST_OFFLINE, ST_ONLINE, ST_OFFLINE,
		             ST_RECOVERY } },
		{ deleted, { ST_DELETED, ST_DELETED, ST_DELETED, ST_IP_CHANGED,
		               ST_DELETED, ST_DELETED, ST_ONLINE, ST_ACTIVE,
		               ST_RECOVERY } },
	};

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		for (size_t i = 0; i < ARRAY_LEN(all); i++) {
			struct world w;
			struct storage *s;

			world_init(&w);
			s = add(&w, "10.0.0.1", all[i]);
			rows[r].event(&w, s);
			assert_int_equal(s->status, rows[r].to[i]);
			cluster_fini(&w.c);
		}
	}
}

static void test_delete_answers_by_state(void **state)
{
	static const int rc[ARRAY_LEN(all)] = { 0, 0, 0, -ENOENT, -EALREADY, 0,
		-EBUSY, -EBUSY, -EBUSY };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct world w;

		world_init(&w);
		assert_int_equal(cluster_delete_storage(&w.c,
		                     add(&w, "10.0.0.1", all[i]), NOW),
		    rc[i]);
		cluster_fini(&w.c);
	}
}

/* 1.15, for all pairs. */
static void test_reports_by_others_only_move_forward(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (size_t k = 0; k < ARRAY_LEN(all); k++) {
			const enum storage_status from = all[i];
			const enum storage_status said = all[k];
			const bool deaf =
			    from == ST_INIT || from == ST_ONLINE ||
			    from == ST_ACTIVE || from == ST_RECOVERY;
			const bool taken =
			    !deaf && (said == ST_DELETED ||
			                 said == ST_IP_CHANGED || said > from);
			struct world w;
			struct storage *s;

			world_init(&w);
			s = add(&w, "10.0.0.1", from);
			cluster_reported(&w.c, s, (int)said, "t");
			assert_int_equal(s->status, taken ? said : from);
			cluster_fini(&w.c);
		}
	}
}

static void test_status_none_is_never_taken_from_others(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "10.0.0.1", ST_OFFLINE);
	cluster_reported(&w.c, s, ST_NONE, "t");
	cluster_reported(&w.c, s, 8, "t");
	assert_int_equal(s->status, ST_OFFLINE);
	cluster_fini(&w.c);
}

static void test_each_change_is_told_with_its_reason(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "10.0.0.1", ST_ONLINE);
	assert_int_equal(w.told.from, -1);
	cluster_activate(&w.c, s, "beat");
	assert_int_equal(w.told.from, ST_ONLINE);
	assert_int_equal(w.told.to, ST_ACTIVE);
	assert_string_equal(w.told.reason, "beat");
	assert_true(s->dirty & DIRTY_SOON);
	assert_int_equal(w.told.status_calls, 2);
	cluster_activate(&w.c, s, "beat");
	assert_int_equal(w.told.status_calls, 2); /* no change, no line */
	cluster_fini(&w.c);
}

static void test_a_forbidden_move_changes_nothing(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "10.0.0.1", ST_ACTIVE);
	assert_false(cluster_enter(&w.c, s, ST_DELETED, "t"));
	assert_int_equal(s->status, ST_ACTIVE);
	assert_false(cluster_may(ST_INIT, ST_ACTIVE));
	assert_false(cluster_may(ST_ACTIVE, ST_NONE));
	cluster_fini(&w.c);
}

/* --- members learn of members -------------------------------------------- */

static void test_what_bumps_the_member_list(void **state)
{
	struct world w;
	struct storage *s;
	uint32_t before;

	(void)state;
	world_init(&w);
	before = w.g->member_changes;
	s = add(&w, "10.0.0.1", ST_OFFLINE);
	assert_int_not_equal(w.g->member_changes, before);
	before = w.g->member_changes;
	cluster_joined(&w.c, s); /* OFFLINE -> ONLINE: not told */
	assert_int_equal(w.g->member_changes, before);
	cluster_activate(&w.c, s, "beat");
	assert_int_not_equal(w.g->member_changes, before);
	before = w.g->member_changes;
	s->told_members = before;
	cluster_lost(&w.c, s, "closed");
	assert_int_not_equal(w.g->member_changes, before);
	assert_int_equal(s->told_members, 0); /* all again after a rejoin */
	assert_int_equal(s->up_time, 0);
	before = w.g->member_changes;
	cluster_delete_storage(&w.c, s, NOW);
	assert_int_not_equal(w.g->member_changes, before);
	cluster_fini(&w.c);
}

static void test_traffic_needs_active_and_the_mode(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "10.0.0.1", ST_ACTIVE);
	assert_true(storage_readable(s) && storage_writable(s));
	s->rw = RW_READ;
	assert_true(storage_readable(s) && !storage_writable(s));
	s->rw = RW_WRITE;
	assert_true(!storage_readable(s) && storage_writable(s));
	s->rw = RW_NONE;
	assert_true(!storage_readable(s) && !storage_writable(s));
	s->rw = RW_BOTH;
	s->status = ST_ONLINE;
	assert_true(!storage_readable(s) && !storage_writable(s));
	assert_int_equal(group_readable(w.g), 0);
	cluster_fini(&w.c);
}

static void test_a_silent_storage_goes_offline_and_others_stay(void **state)
{
	struct world w;
	struct storage *a;
	struct storage *b;

	(void)state;
	world_init(&w);
	a = add(&w, "10.0.0.1", ST_ACTIVE);
	b = add(&w, "10.0.0.2", ST_ACTIVE);
	a->last_beat = NOW - 101;
	b->last_beat = NOW - 100;
	assert_int_equal(cluster_sweep(&w.c, NOW, 100), 1);
	assert_int_equal(a->status, ST_OFFLINE);
	assert_int_equal(b->status, ST_ACTIVE);
	cluster_fini(&w.c);
}

/* --- deleting and moving ------------------------------------------------- */

static void test_a_deleted_storage_loses_its_history(void **state)
{
	struct world w;
	struct storage *a;
	struct storage *b;

	(void)state;
	world_init(&w);
	a = add(&w, "10.88.0.23", ST_OFFLINE);
	b = add(&w, "10.88.0.24", ST_ACTIVE);
	b->source = a;
	b->sync_until = NOW;
	b->synced_from[a->slot] = NOW;
	a->stats.total_upload_count = 5;
	assert_int_equal(cluster_delete_storage(&w.c, a, 1795330250), 0);
	assert_null(b->source);
	assert_int_equal(b->sync_until, 0);
	assert_int_equal(b->synced_from[a->slot], 0);
	assert_int_equal(a->stats.total_upload_count, 0);
	assert_string_equal(w.told.line, "1795330250 group1 10.88.0.23 4 ");
	assert_memory_equal(w.c.changelog, "1795330250 group1 10.88.0.23 4 \n",
	    w.c.changelog_len);
	assert_int_equal(w.g->n, 2); /* the record stays */
	cluster_fini(&w.c);
}

static void test_a_moved_storage_keeps_its_history(void **state)
{
	struct world w;
	struct storage *s;
	struct storage *old;
	struct addr to = { 0 };

	(void)state;
	world_init(&w);
	s = add(&w, "10.88.0.23", ST_OFFLINE);
	s->stats.total_upload_count = 5;
	addr_parse_ip(span_of("10.88.0.33"), &to);
	assert_int_equal(cluster_move_storage(&w.c, s, &to, 1795330300), 0);
	assert_string_equal(s->id, "10.88.0.33");
	assert_int_equal(s->stats.total_upload_count, 5);
	assert_int_equal(s->status, ST_OFFLINE);
	old = group_storage(w.g, span_of("10.88.0.23"));
	assert_non_null(old);
	assert_int_equal(old->status, ST_IP_CHANGED);
	assert_int_equal(old->port, 0);
	assert_string_equal(w.told.line,
	    "1795330300 group1 10.88.0.23 3 10.88.0.33");
	assert_string_equal(w.told.dropped, "group1/10.88.0.23");
	assert_ptr_equal(group_storage_at(w.g, &to, 23000), s);
	cluster_fini(&w.c);
}

static void test_a_group_is_deleted_when_only_tombstones_are_left(void **state)
{
	struct world w;
	struct storage *s;

	(void)state;
	world_init(&w);
	assert_int_equal(cluster_delete_group(&w.c, "nosuch"), -ENOENT);
	s = add(&w, "10.0.0.1", ST_OFFLINE);
	assert_int_equal(cluster_delete_group(&w.c, "group1"), -EBUSY);
	cluster_delete_storage(&w.c, s, NOW);
	assert_int_equal(cluster_delete_group(&w.c, "group1"), 0);
	assert_int_equal(w.c.n, 0);
	cluster_fini(&w.c);
}

static void test_members_are_sorted_and_slots_are_used_again(void **state)
{
	struct world w;
	char ip[20];

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < GROUP_STORAGES; i++) {
		struct strbuf b = strbuf_over(ip, sizeof(ip));

		strbuf_addf(&b, "10.0.0.%u", 40 - i);
		assert_non_null(add(&w, ip, ST_ACTIVE));
	}
	for (size_t i = 1; i < w.g->n; i++)
		assert_true(
		    strcmp(w.g->storages[i - 1]->id, w.g->storages[i]->id) < 0);
	assert_null(group_add_storage(&w.c, w.g, "10.0.1.1", ST_INIT, "join"));
	w.g->storages[3]->status = ST_DELETED;
	assert_non_null(
	    group_add_storage(&w.c, w.g, "10.0.1.1", ST_INIT, "join"));
	assert_int_equal(w.g->n, GROUP_STORAGES);
	cluster_fini(&w.c);
}

static void test_groups_are_sorted_and_bounded(void **state)
{
	struct world w;
	char name[20];

	(void)state;
	world_init(&w);
	for (unsigned i = 1; i < CLUSTER_GROUPS; i++) {
		struct strbuf b = strbuf_over(name, sizeof(name));

		strbuf_addf(&b, "g%u", 1000 - i);
		assert_non_null(cluster_add_group(&w.c, name));
	}
	assert_null(cluster_add_group(&w.c, "onemore"));
	assert_ptr_equal(cluster_add_group(&w.c, "group1"), w.g);
	for (size_t i = 1; i < w.c.n; i++)
		assert_true(
		    strcmp(w.c.groups[i - 1]->name, w.c.groups[i]->name) < 0);
	cluster_fini(&w.c);
}

/* --- trackers ------------------------------------------------------------ */

static struct tracker_name tracker(const char *ip, uint16_t port)
{
	struct tracker_name t = { .n_addrs = 1, .port = port };

	addr_parse_ip(span_of(ip), &t.addrs[0]);
	return t;
}

static void test_a_first_list_without_this_tracker_is_refused_once(void **state)
{
	struct world w;
	struct tracker_name list[2] = { tracker("10.88.0.11", 22122),
		tracker("10.88.0.12", 22122) };
	struct addr at = { 0 };

	(void)state;
	world_init(&w);
	addr_parse_ip(span_of("10.88.0.13"), &at);
	assert_int_equal(cluster_trackers(&w.c, list, 2, &at, 22122), -ENOENT);
	assert_int_equal(w.c.n_trackers, 2);
	assert_int_equal(cluster_trackers(&w.c, list, 2, &at, 22122), 0);
	assert_int_equal(w.c.self, 2);
	cluster_fini(&w.c);
}

static void test_a_tracker_finds_itself_and_learns_others(void **state)
{
	struct world w;
	struct tracker_name list[2] = { tracker("10.88.0.11", 22122),
		tracker("10.88.0.12", 22122) };
	struct addr at = { 0 };

	(void)state;
	world_init(&w);
	addr_parse_ip(span_of("10.88.0.12"), &at);
	assert_int_equal(cluster_trackers(&w.c, list, 2, &at, 22122), 0);
	assert_int_equal(w.c.self, 1);
	list[0] = tracker("10.88.0.14", 22122);
	assert_int_equal(cluster_trackers(&w.c, list, 2, &at, 22122), 0);
	assert_int_equal(w.c.n_trackers, 3);
	assert_int_equal(w.c.self, 1);
	assert_true(cluster_set_leader(&w.c, 1));
	assert_false(cluster_set_leader(&w.c, 1));
	assert_true(w.c.leader);
	assert_int_equal(w.c.leader_changes, 1);
	assert_true(cluster_set_leader(&w.c, -1));
	assert_false(w.c.leader);
	assert_int_equal(w.c.leader_changes, 2);
	/* Storages are told of this tracker only. */
	assert_true(cluster_set_leader(&w.c, 0));
	assert_true(cluster_set_leader(&w.c, 2));
	assert_int_equal(w.c.leader_changes, 2);
	cluster_fini(&w.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_status_of_an_unknown_storage),
		cmocka_unit_test(test_every_event_in_every_state),
		cmocka_unit_test(test_delete_answers_by_state),
		cmocka_unit_test(test_reports_by_others_only_move_forward),
		cmocka_unit_test(test_status_none_is_never_taken_from_others),
		cmocka_unit_test(test_each_change_is_told_with_its_reason),
		cmocka_unit_test(test_a_forbidden_move_changes_nothing),
		cmocka_unit_test(test_what_bumps_the_member_list),
		cmocka_unit_test(test_traffic_needs_active_and_the_mode),
		cmocka_unit_test(
		    test_a_silent_storage_goes_offline_and_others_stay),
		cmocka_unit_test(test_a_deleted_storage_loses_its_history),
		cmocka_unit_test(test_a_moved_storage_keeps_its_history),
		cmocka_unit_test(
		    test_a_group_is_deleted_when_only_tombstones_are_left),
		cmocka_unit_test(
		    test_members_are_sorted_and_slots_are_used_again),
		cmocka_unit_test(test_groups_are_sorted_and_bounded),
		cmocka_unit_test(
		    test_a_first_list_without_this_tracker_is_refused_once),
		cmocka_unit_test(test_a_tracker_finds_itself_and_learns_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
