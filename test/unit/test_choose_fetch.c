/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* Who may be read from or updated (client-protocol 3.4, cluster-protocol
 * 2.5). */
#include "choose_world.h"

#include "base/macros.h"
#include "proto/fileid.h"

/* --- reading ------------------------------------------------------------- */

static struct choose_file file_of(const char *name)
{
	return choose_file(span_of(name));
}

static void test_a_file_name_tells_source_time_and_kind(void **state)
{
	struct choose_file f;

	(void)state;
	f = file_of("M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt");
	assert_true(f.known);
	assert_false(f.special);
	assert_int_equal(f.time, 1795331415);
	assert_int_equal(f.source, 0x0b014d0a);
	f = file_of("M00/00/02/Ck0BC2sCjniEerbLAAAAAGgTEBY389.txt");
	assert_true(f.special); /* appender */
	f = file_of("M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136_small.txt");
	assert_true(f.special); /* slave */
	f = file_of("M00/00/00/Ck0BC2sClFeIStQwAAAADg4Qul0AAAAAQAAAQAAAAEA620"
	            ".txt");
	assert_false(f.special);               /* trunk */
	f = file_of("M00/02/03/Ck0BC2sClVeA"); /* cut: 22 characters do */
	assert_true(f.known);
	assert_int_equal(f.source, 0x0b014d0a);
	assert_int_equal(f.time, 1795331415);
	f = file_of("M00/02/03/********************");
	assert_false(f.known);
}

struct readers {
	struct world w;
	struct storage *a, *b, *c; /* a is the source */
	struct choose_file f;
};

static void readers_init(struct readers *r, int64_t age)
{
	world_init(&r->w);
	r->a = add(&r->w, "g", "10.0.0.1", 500);
	r->b = add(&r->w, "g", "10.0.0.2", 500);
	r->c = add(&r->w, "g", "10.0.0.3", 500);
	r->f = (struct choose_file){ .known = true,
		.source = fileid_source_of_ip((const uint8_t[]){ 10, 0, 0, 1 }),
		.time = NOW - age };
}

static const char *fetch(struct readers *r)
{
	struct storage *s = NULL;

	if (choose_fetch_one(&r->w.cf, r->w.c.groups[0], &r->f, NOW, &s) < 0)
		return "none";
	return s->id;
}

static void test_who_has_a_file_follows_from_times(void **state)
{
	static const struct {
		int64_t age, synced; /* synced: seconds after the file */
		bool has;
	} rows[] = {
		{ DAY + 1, -1000, true }, /* old enough for everybody */
		{ DAY, -1000, false },
		{ 10, 1, true }, /* strictly newer */
		{ 10, 0, false },
		{ 301, -1, true }, /* idle source, after the margin */
		{ 300, -1, false },
		{ 301, -2, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct readers r;

		readers_init(&r, rows[i].age);
		r.a->status = ST_OFFLINE;
		r.b->last_synced = r.f.time + rows[i].synced;
		assert_int_equal(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW),
		    rows[i].has);
		assert_true(choose_has_file(&r.w.cf, r.a, r.a, &r.f, NOW));
		cluster_fini(&r.w.c);
	}
}

static void test_the_cell_of_the_source_beats_the_minimum(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 10);
	r.b->last_synced = r.f.time + 5;
	r.b->synced_from[r.a->slot] = r.f.time - 5;
	assert_false(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW));
	r.b->last_synced = 0;
	r.b->synced_from[r.a->slot] = r.f.time + 1;
	assert_true(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW));
	assert_false(choose_has_file(&r.w.cf, NULL, r.b, &r.f, NOW));
	cluster_fini(&r.w.c);
}

/* Each branch of the rule with the cell of [source][member] in place of the
 * minimum. A cell of 0 says that nothing has come from there yet; only when
 * the source cannot be read does the minimum decide. */
static void test_the_branches_with_a_cell(void **state)
{
	static const struct {
		int64_t age, cell, least; /* seconds after the file */
		bool has;
	} rows[] = {
		{ DAY + 1, -1000, -1000, true },
		{ 10, 1, -1000, true },
		{ 10, 0, 1000, false },
		{ 301, -1, -1000, true },
		{ 300, -1, 1000, false },
		{ 301, -2, 1000, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct readers r;

		readers_init(&r, rows[i].age);
		r.b->last_synced = r.f.time + rows[i].least;
		r.b->synced_from[r.a->slot] = r.f.time + rows[i].cell;
		assert_int_equal(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW),
		    rows[i].has);
		/* what came from another member does not count */
		r.b->synced_from[r.c->slot] = r.f.time + 1000;
		assert_int_equal(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW),
		    rows[i].has);
		r.b->synced_from[r.a->slot] = 0;
		r.b->last_synced = r.f.time + rows[i].cell;
		assert_int_equal(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW),
		    rows[i].age > DAY);
		r.a->status = ST_OFFLINE;
		assert_int_equal(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW),
		    rows[i].has);
		cluster_fini(&r.w.c);
	}
}

static void test_a_real_name_is_looked_up_in_the_matrix(void **state)
{
	/* from 10.77.1.11, written at 1795331415 */
	struct choose_file f =
	    file_of("M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt");
	const int64_t now = 1795331415 + 20;
	struct world w;
	struct storage *a;
	struct storage *b;
	struct choice ch;

	(void)state;
	world_init(&w);
	a = add(&w, "g", "10.77.1.11", 500);
	b = add(&w, "g", "10.77.1.12", 500);
	assert_int_equal(choose_fetch_all(&w.cf, w.c.groups[0], &f, now, &ch),
	    0);
	assert_int_equal(ch.n, 1);
	assert_ptr_equal(ch.servers[0], a);
	b->synced_from[a->slot] = 1795331416;
	assert_int_equal(choose_fetch_all(&w.cf, w.c.groups[0], &f, now, &ch),
	    0);
	assert_int_equal(ch.n, 2);
	/* A source that is no member any more: the minimum of all. */
	f.source = fileid_source_of_ip((const uint8_t[]){ 10, 9, 9, 9 });
	assert_int_equal(choose_fetch_all(&w.cf, w.c.groups[0], &f, now, &ch),
	    0);
	assert_int_equal(ch.n, 1); /* the store server, as a last resort */
	b->last_synced = 1795331416;
	assert_int_equal(choose_fetch_all(&w.cf, w.c.groups[0], &f, now, &ch),
	    0);
	assert_int_equal(ch.n, 1);
	assert_ptr_equal(ch.servers[0], b);
	cluster_fini(&w.c);
}

static void test_only_an_active_member_is_ever_chosen(void **state)
{
	static const enum storage_status not_yet[] = { ST_INIT, ST_WAIT_SYNC,
		ST_SYNCING, ST_IP_CHANGED, ST_DELETED, ST_OFFLINE, ST_ONLINE,
		ST_RECOVERY };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not_yet); i++) {
		struct readers r;
		struct storage *s;
		struct choice ch;
		struct group *g;

		readers_init(&r, 2 * DAY);
		g = r.w.c.groups[0];
		r.a->status = not_yet[i]; /* the source, and first by id */
		for (int turn = 0; turn < 4; turn++) {
			assert_string_not_equal(fetch(&r), r.a->id);
			assert_int_equal(choose_update(&r.w.cf, g, &r.f, &s),
			    0);
			assert_ptr_not_equal(s, r.a);
		}
		r.f.special = true;
		assert_string_not_equal(fetch(&r), r.a->id);
		r.f.special = false;
		assert_int_equal(choose_fetch_all(&r.w.cf, g, &r.f, NOW, &ch),
		    0);
		assert_int_equal(ch.n, 2);
		assert_int_equal(choose_store(&r.w.c, &r.w.cf, "g", true, &ch),
		    0);
		assert_int_equal(ch.n, 2);
		cluster_fini(&r.w.c);
	}
}

/* It is ACTIVE before it has caught up; times protect readers. */
static void test_a_member_that_restarts_has_what_it_had(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 100);
	r.b->synced_from[r.a->slot] = r.f.time - 50;
	cluster_lost(&r.w.c, r.b, "test");
	cluster_joined(&r.w.c, r.b);
	assert_int_equal(r.b->status, ST_ONLINE);
	cluster_activate(&r.w.c, r.b, "test");
	assert_int_equal(r.b->status, ST_ACTIVE);
	assert_false(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW));
	r.f.time -= 51;
	assert_true(choose_has_file(&r.w.cf, r.a, r.b, &r.f, NOW));
	cluster_fini(&r.w.c);
}

static void test_readers_of_a_synced_file_take_turns(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 2 * DAY);
	assert_string_equal(fetch(&r), "10.0.0.1");
	assert_string_equal(fetch(&r), "10.0.0.2");
	assert_string_equal(fetch(&r), "10.0.0.3");
	assert_string_equal(fetch(&r), "10.0.0.1");
	cluster_fini(&r.w.c);
}

static void test_a_fresh_file_is_only_at_its_source(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 1);
	r.w.c.groups[0]->read_server = 1;
	assert_string_equal(fetch(&r), "10.0.0.1");
	assert_string_equal(fetch(&r), "10.0.0.1");
	cluster_fini(&r.w.c);
}

static void test_special_files_come_from_their_source(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 2 * DAY);
	r.f.special = true;
	r.w.c.groups[0]->read_server = 2;
	assert_string_equal(fetch(&r), "10.0.0.1");
	assert_string_equal(fetch(&r), "10.0.0.1");
	/* Without it: the store server, untested. */
	r.a->status = ST_OFFLINE;
	assert_string_equal(fetch(&r), "10.0.0.2");
	r.w.cf.store_server = SERVER_PRIORITY;
	r.c->priority = 1;
	assert_string_equal(fetch(&r), "10.0.0.3");
	cluster_fini(&r.w.c);
}

static void test_download_server_1_prefers_the_source(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 2 * DAY);
	r.w.cf.download_server = DOWNLOAD_SOURCE;
	assert_string_equal(fetch(&r), "10.0.0.1");
	assert_string_equal(fetch(&r), "10.0.0.1");
	r.a->rw = RW_WRITE; /* not readable: by turns */
	assert_string_equal(fetch(&r), "10.0.0.2");
	assert_string_equal(fetch(&r), "10.0.0.3");
	cluster_fini(&r.w.c);
}

static void test_nobody_readable_is_enoent(void **state)
{
	struct readers r;
	struct choice ch;

	(void)state;
	readers_init(&r, 2 * DAY);
	r.a->status = ST_OFFLINE;
	r.b->rw = RW_WRITE;
	r.c->status = ST_ONLINE;
	assert_string_equal(fetch(&r), "none");
	assert_int_equal(
	    choose_fetch_all(&r.w.cf, r.w.c.groups[0], &r.f, NOW, &ch),
	    -ENOENT);
	cluster_fini(&r.w.c);
}

static void test_the_fallback_must_be_readable(void **state)
{
	struct readers r;

	(void)state;
	readers_init(&r, 1);
	r.a->status = ST_OFFLINE; /* the only one that has it */
	assert_string_equal(fetch(&r), "10.0.0.2");
	r.b->rw = RW_WRITE; /* store server, cannot be read */
	assert_string_equal(fetch(&r), "none");
	cluster_fini(&r.w.c);
}

static void test_fetch_all_lists_who_has_it(void **state)
{
	struct readers r;
	struct choice ch;
	struct group *g;

	(void)state;
	readers_init(&r, 10);
	g = r.w.c.groups[0];
	r.b->last_synced = r.f.time + 1;
	r.c->synced_from[r.a->slot] = r.f.time + 1;
	assert_int_equal(choose_fetch_all(&r.w.cf, g, &r.f, NOW, &ch), 0);
	assert_int_equal(ch.n, 2);
	assert_string_equal(ch.servers[0]->id, "10.0.0.1");
	assert_string_equal(ch.servers[1]->id, "10.0.0.3");
	r.f.special = true;
	assert_int_equal(choose_fetch_all(&r.w.cf, g, &r.f, NOW, &ch), 0);
	assert_int_equal(ch.n, 1);
	assert_string_equal(ch.servers[0]->id, "10.0.0.1");
	r.a->status = ST_OFFLINE;
	assert_int_equal(choose_fetch_all(&r.w.cf, g, &r.f, NOW, &ch), 0);
	assert_int_equal(ch.n, 1);
	assert_string_equal(ch.servers[0]->id, "10.0.0.2");
	cluster_fini(&r.w.c);
}

static void test_updates_go_to_the_source_or_by_turns(void **state)
{
	struct readers r;
	struct storage *s;
	struct group *g;

	(void)state;
	readers_init(&r, 10);
	g = r.w.c.groups[0];
	assert_int_equal(choose_update(&r.w.cf, g, &r.f, &s), 0);
	assert_ptr_equal(s, r.a);
	r.a->rw = RW_READ;
	assert_int_equal(choose_update(&r.w.cf, g, &r.f, &s), 0);
	assert_ptr_equal(s, r.b);
	assert_int_equal(choose_update(&r.w.cf, g, &r.f, &s), 0);
	assert_ptr_equal(s, r.c);
	r.b->status = ST_OFFLINE;
	r.c->status = ST_OFFLINE;
	assert_int_equal(choose_update(&r.w.cf, g, &r.f, &s), -ENOENT);
	cluster_fini(&r.w.c);
}

static void test_a_source_id_is_looked_up_with_storage_ids_only(void **state)
{
	struct world w;
	struct choose_file f = { .known = true, .source = 100003 };
	struct storage *s;

	(void)state;
	world_init(&w);
	s = add(&w, "g", "10.0.0.1", 500);
	str_copy(s->id, sizeof(s->id), "100003");
	assert_null(choose_source(&w.cf, w.c.groups[0], &f));
	w.cf.use_storage_id = true;
	assert_ptr_equal(choose_source(&w.cf, w.c.groups[0], &f), s);
	f.source = fileid_source_of_ip((const uint8_t[]){ 10, 0, 0, 1 });
	assert_ptr_equal(choose_source(&w.cf, w.c.groups[0], &f), s);
	w.c.groups[0]->port = -1; /* different ports in the group */
	assert_ptr_equal(choose_source(&w.cf, w.c.groups[0], &f), s);
	cluster_fini(&w.c);
}

static void test_a_peer_gets_the_address_of_its_own_network(void **state)
{
	struct addr both[2] = { 0 };
	struct addr inner = { 0 };
	struct addr outer = { 0 };

	(void)state;
	addr_parse_ip(span_of("10.77.1.11"), &both[0]);
	addr_parse_ip(span_of("203.0.113.11"), &both[1]);
	addr_parse_ip(span_of("10.77.1.1"), &inner);
	addr_parse_ip(span_of("198.51.100.7"), &outer);
	assert_ptr_equal(addr_for_peer(both, 2, &inner), &both[0]);
	assert_ptr_equal(addr_for_peer(both, 2, &outer), &both[1]);
	assert_ptr_equal(addr_for_peer(both, 1, &outer), &both[0]);
	addr_parse_ip(span_of("172.16.0.1"), &inner);
	assert_ptr_equal(addr_for_peer(both, 2, &inner), &both[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_name_tells_source_time_and_kind),
		cmocka_unit_test(test_who_has_a_file_follows_from_times),
		cmocka_unit_test(test_the_branches_with_a_cell),
		cmocka_unit_test(test_a_real_name_is_looked_up_in_the_matrix),
		cmocka_unit_test(test_only_an_active_member_is_ever_chosen),
		cmocka_unit_test(test_a_member_that_restarts_has_what_it_had),
		cmocka_unit_test(test_the_cell_of_the_source_beats_the_minimum),
		cmocka_unit_test(test_readers_of_a_synced_file_take_turns),
		cmocka_unit_test(test_a_fresh_file_is_only_at_its_source),
		cmocka_unit_test(test_special_files_come_from_their_source),
		cmocka_unit_test(test_download_server_1_prefers_the_source),
		cmocka_unit_test(test_nobody_readable_is_enoent),
		cmocka_unit_test(test_the_fallback_must_be_readable),
		cmocka_unit_test(test_fetch_all_lists_who_has_it),
		cmocka_unit_test(test_updates_go_to_the_source_or_by_turns),
		cmocka_unit_test(
		    test_a_source_id_is_looked_up_with_storage_ids_only),
		cmocka_unit_test(
		    test_a_peer_gets_the_address_of_its_own_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
