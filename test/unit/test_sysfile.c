/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "trackerd/sysfile.h"

#define OTHER_STATS                       \
	"\ttotal_append_count=0\n"        \
	"\tsuccess_append_count=0\n"      \
	"\ttotal_set_meta_count=0\n"      \
	"\tsuccess_set_meta_count=0\n"    \
	"\ttotal_delete_count=0\n"        \
	"\tsuccess_delete_count=0\n"      \
	"\ttotal_download_count=0\n"      \
	"\tsuccess_download_count=0\n"    \
	"\ttotal_get_meta_count=0\n"      \
	"\tsuccess_get_meta_count=0\n"    \
	"\ttotal_create_link_count=0\n"   \
	"\tsuccess_create_link_count=0\n" \
	"\ttotal_delete_link_count=0\n"   \
	"\tsuccess_delete_link_count=0\n" \
	"\ttotal_upload_bytes=0\n"        \
	"\tsuccess_upload_bytes=0\n"      \
	"\ttotal_append_bytes=0\n"        \
	"\tsuccess_append_bytes=0\n"      \
	"\ttotal_download_bytes=0\n"      \
	"\tsuccess_download_bytes=0\n"    \
	"\ttotal_sync_in_bytes=0\n"       \
	"\tsuccess_sync_in_bytes=0\n"     \
	"\ttotal_sync_out_bytes=0\n"      \
	"\tsuccess_sync_out_bytes=0\n"    \
	"\ttotal_file_open_count=0\n"     \
	"\tsuccess_file_open_count=0\n"   \
	"\ttotal_file_read_count=0\n"     \
	"\tsuccess_file_read_count=0\n"   \
	"\ttotal_file_write_count=0\n"    \
	"\tsuccess_file_write_count=0\n"

#define MIDDLE                        \
	"\tstore_path_count=1\n"      \
	"\tsubdir_count_per_path=4\n" \
	"\tupload_priority=10\n"

/* As a FastDFS 6.16 tracker wrote them. */
static const char groups[] = "[Global]\n"
                             "\tgroup_count=1\n"
                             "\n"
                             "# group: group1\n"
                             "[Group001]\n"
                             "\tgroup_name=group1\n"
                             "\tstorage_port=23000\n"
                             "\tstore_path_count=1\n"
                             "\tsubdir_count_per_path=4\n"
                             "\tcurrent_trunk_file_id=0\n"
                             "\ttrunk_server=\n"
                             "\tlast_trunk_server=\n"
                             "\n";

#define SERVERS(id_a, id_b, status_a, status_b, source)                     \
	"# storage: 127.77.0.12:23000\n"                                    \
	"[Storage001]\n" id_a "\tgroup_name=group1\n"                       \
	"\tip_addr=127.77.0.12\n"                                           \
	"\tstatus=" status_a "\n"                                           \
	"\tversion=6.16.1\n"                                                \
	"\tjoin_time=1795352858\n"                                          \
	"\tstorage_port=23000\n"                                            \
	"\tsync_src_server=\n"                                              \
	"\tsync_until_timestamp=0\n"                                        \
	"\ttotal_mb=258019\n"                                               \
	"\tfree_mb=71271\n"                                                 \
	"\tchangelog_offset=0\n" MIDDLE "\ttotal_upload_count=9\n"          \
	"\tsuccess_upload_count=8\n" OTHER_STATS                            \
	"\tlast_source_update=1795352860\n"                                 \
	"\tlast_sync_update=0\n"                                            \
	"\tlast_synced_timestamp=0\n"                                       \
	"\tlast_heart_beat_time=1795352871\n"                               \
	"\n"                                                                \
	"# storage: 127.77.0.11:23000\n"                                    \
	"[Storage002]\n" id_b "\tgroup_name=group1\n"                       \
	"\tip_addr=127.77.0.11\n"                                           \
	"\tstatus=" status_b "\n"                                           \
	"\tversion=6.16.1\n"                                                \
	"\tjoin_time=1795352861\n"                                          \
	"\tstorage_port=23000\n"                                            \
	"\tsync_src_server=" source "\n"                                    \
	"\tsync_until_timestamp=1795352862\n"                               \
	"\ttotal_mb=258019\n"                                               \
	"\tfree_mb=71270\n"                                                 \
	"\tchangelog_offset=29\n" MIDDLE "\ttotal_upload_count=0\n"         \
	"\tsuccess_upload_count=0\n" OTHER_STATS "\tlast_source_update=0\n" \
	"\tlast_sync_update=1795352863\n"                                   \
	"\tlast_synced_timestamp=1795352864\n"                              \
	"\tlast_heart_beat_time=1795352871\n"                               \
	"\n"                                                                \
	"\n"                                                                \
	"[Global]\n"                                                        \
	"\tstorage_count=2\n"

static const char servers[] = SERVERS("", "", "7", "1", "127.77.0.12");
static const char servers_after[] = SERVERS("", "", "5", "1", "127.77.0.12");
static const char servers_ids[] =
    SERVERS("\tid=100009\n", "\tid=100001\n", "5", "2", "100009");
static const char stamps[] = "group1,127.77.0.12,0,1795352864\n"
                             "group1,127.77.0.11,0,0\n";
static const char changelog[] = "1795330250 group1 10.88.0.23 4 \n"
                                "1795330322 group1 10.88.0.23 3 10.88.0.33\n";

static struct sysfiles files_of(const char *g, const char *s, const char *t,
    const char *c)
{
	const char *const texts[] = { g, s, t, c };
	struct sysfiles f = { 0 };

	for (size_t i = 0; i < N_SYSFILES; i++) {
		f.text[i] = xstrdup(texts[i]);
		f.n[i] = strlen(texts[i]);
	}
	return f;
}

static int load(struct cluster *c, struct sysfiles f, char err[256])
{
	int rc;

	err[0] = 0;
	rc = sysfiles_load(c, NULL, &f, err, 256);
	sysfiles_free(&f);
	return rc;
}

static void loaded(struct cluster *c, const char *s)
{
	char err[256];

	cluster_init(c, NULL);
	assert_int_equal(load(c, files_of(groups, s, stamps, changelog), err),
	    0);
	assert_string_equal(err, "");
}

static void test_texts_of_fastdfs_are_loaded(void **state)
{
	struct cluster c;
	const struct group *g;
	struct storage *a;
	struct storage *b;

	(void)state;
	loaded(&c, servers);
	assert_int_equal(c.n, 1);
	g = c.groups[0];
	assert_int_equal(g->port, 23000);
	assert_int_equal(g->path_count, 1);
	assert_int_equal(g->subdir_count, 4);
	assert_int_equal(g->n, 2);
	a = group_storage(g, span_of("127.77.0.12"));
	b = group_storage(g, span_of("127.77.0.11"));
	assert_int_equal(a->status, ST_OFFLINE);
	assert_int_equal(b->status, ST_WAIT_SYNC);
	assert_ptr_equal(b->source, a);
	assert_null(a->source);
	assert_int_equal(b->sync_until, 1795352862);
	assert_int_equal(b->changelog_at, 29);
	assert_int_equal(a->join_time, 1795352858);
	assert_int_equal(a->stats.success_upload_count, 8);
	assert_int_equal(a->stats.last_source_update, 1795352860);
	assert_int_equal(b->last_synced, 1795352864);
	assert_int_equal(b->last_beat, 1795352871);
	assert_int_equal(b->synced_from[a->slot], 1795352864);
	assert_int_equal(a->synced_from[b->slot], 0);
	assert_int_equal(a->total_mb, 258019);
	assert_int_equal(g->free_mb, 71270);
	assert_int_equal(c.changelog_len, strlen(changelog));
	/* all of it has to be remembered */
	assert_true(g->dirty & DIRTY_SOON);
	assert_true(a->dirty & b->dirty & DIRTY_SOON);
	assert_int_equal(b->synced_dirty, BIT(a->slot));
	cluster_fini(&c);
}

static void test_what_is_written_is_what_fastdfs_writes(void **state)
{
	struct cluster c;
	struct sysfiles f;

	(void)state;
	loaded(&c, servers);
	sysfiles_write(&c, false, &f);
	assert_string_equal(f.text[SYSFILE_GROUPS], groups);
	assert_string_equal(f.text[SYSFILE_SERVERS], servers_after);
	assert_string_equal(f.text[SYSFILE_STAMPS], stamps);
	assert_string_equal(f.text[SYSFILE_CHANGELOG], changelog);
	for (size_t i = 0; i < N_SYSFILES; i++)
		assert_int_equal(f.n[i], strlen(f.text[i]));
	sysfiles_free(&f);
	cluster_fini(&c);
}

static void test_an_empty_cluster_has_texts_too(void **state)
{
	struct cluster c;
	struct sysfiles f;
	char err[256];

	(void)state;
	cluster_init(&c, NULL);
	sysfiles_write(&c, false, &f);
	assert_string_equal(f.text[SYSFILE_GROUPS],
	    "[Global]\n\tgroup_count=0\n\n");
	assert_string_equal(f.text[SYSFILE_SERVERS],
	    "\n[Global]\n\tstorage_count=0\n");
	assert_string_equal(f.text[SYSFILE_STAMPS], "");
	assert_string_equal(f.text[SYSFILE_CHANGELOG], "");
	assert_int_equal(sysfiles_load(&c, NULL, &f, err, sizeof(err)), 0);
	assert_int_equal(c.n, 0);
	sysfiles_free(&f);
	cluster_fini(&c);
}

static void test_deleted_members_and_their_columns_are_left_out(void **state)
{
	struct cluster c;
	struct sysfiles f;
	struct storage *a;
	struct storage *b;

	(void)state;
	loaded(&c, servers);
	a = group_storage(c.groups[0], span_of("127.77.0.12"));
	b = group_storage(c.groups[0], span_of("127.77.0.11"));
	b->synced_from[b->slot] = 7;
	a->status = ST_DELETED;
	sysfiles_write(&c, false, &f);
	assert_string_equal(f.text[SYSFILE_STAMPS], "group1,127.77.0.11,7\n");
	assert_null(strstr(f.text[SYSFILE_SERVERS], "127.77.0.12"));
	assert_non_null(strstr(f.text[SYSFILE_SERVERS], "storage_count=1\n"));
	assert_non_null(strstr(f.text[SYSFILE_SERVERS], "sync_src_server=\n"));
	sysfiles_free(&f);
	cluster_fini(&c);
}

/* --- names --------------------------------------------------------------- */

static const char id_lines[] = "100009 group1 127.77.0.12\n"
                               "100001 group1 127.77.0.11\n";

static struct ids *some_ids(void)
{
	char text[sizeof(id_lines)];
	char err[256];
	struct ids *ids = NULL;

	memcpy(text, id_lines, sizeof(text));
	assert_int_equal(ids_parse(text, "ids", &ids, err, sizeof(err)), 0);
	return ids;
}

static void load_with(struct cluster *c, const struct ids *ids, const char *s,
    const char *t)
{
	struct sysfiles f = files_of(groups, s, t, "");
	char err[256] = "";

	cluster_init(c, NULL);
	assert_int_equal(sysfiles_load(c, ids, &f, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	sysfiles_free(&f);
}

static void test_ids_take_the_place_of_addresses(void **state)
{
	struct ids *ids = some_ids();
	struct cluster c;
	struct sysfiles f;
	struct storage *a;
	struct storage *b;

	(void)state;
	load_with(&c, ids, servers, stamps);
	a = group_storage(c.groups[0], span_of("100009"));
	b = group_storage(c.groups[0], span_of("100001"));
	assert_non_null(a);
	assert_ptr_equal(b->source, a);
	assert_int_equal(b->synced_from[a->slot], 1795352864);
	sysfiles_write(&c, true, &f);
	assert_string_equal(f.text[SYSFILE_STAMPS],
	    "group1,100009,0,1795352864\ngroup1,100001,0,0\n");
	assert_non_null(strstr(f.text[SYSFILE_SERVERS],
	    "[Storage001]\n\tid=100009\n\tgroup_name=group1\n"
	    "\tip_addr=127.77.0.12\n"));
	sysfiles_free(&f);
	cluster_fini(&c);
	ids_free(ids);
}

static void test_ids_are_read_with_and_without_a_list(void **state)
{
	static const char by_id[] = "group1,100009,0,5\ngroup1,100001,0,0\n";
	struct ids *ids = some_ids();
	struct cluster c;
	struct storage *a;
	struct storage *b;

	(void)state;
	load_with(&c, ids, servers_ids, by_id);
	a = group_storage(c.groups[0], span_of("100009"));
	b = group_storage(c.groups[0], span_of("100001"));
	assert_int_equal(b->synced_from[a->slot], 5);
	assert_ptr_equal(b->source, a);
	cluster_fini(&c);
	load_with(&c, NULL, servers_ids, by_id);
	a = group_storage(c.groups[0], span_of("127.77.0.12"));
	b = group_storage(c.groups[0], span_of("127.77.0.11"));
	assert_int_equal(b->synced_from[a->slot], 5);
	assert_ptr_equal(b->source, a);
	assert_int_equal(b->status, ST_SYNCING);
	cluster_fini(&c);
	ids_free(ids);
}

/* --- what is replaced, what is refused ----------------------------------- */

struct heard {
	int storages, groups, lists, lines;
};

static void on_drop(void *arg, const char *group, const char *id)
{
	struct heard *h = arg;

	(void)group;
	(void)id;
	h->storages++;
}

static void on_drop_group(void *arg, const char *group)
{
	struct heard *h = arg;

	(void)group;
	h->groups++;
}

static void on_drop_changes(void *arg)
{
	struct heard *h = arg;

	h->lists++;
}

static void on_change(void *arg, const char *line)
{
	struct heard *h = arg;

	(void)line;
	h->lines++;
}

static void test_loading_replaces_and_tells_the_watcher(void **state)
{
	struct heard h = { 0 };
	const struct cluster_watch watch = { .arg = &h,
		.drop_storage = on_drop,
		.drop_group = on_drop_group,
		.drop_changes = on_drop_changes,
		.change = on_change };
	struct cluster c;
	struct group *g;
	char err[256];

	(void)state;
	cluster_init(&c, &watch);
	g = cluster_add_group(&c, "old");
	group_load_storage(g, "10.0.0.1");
	group_load_storage(g, "10.0.0.2");
	cluster_add_line(&c, "1 old 10.0.0.3 4 ");
	assert_int_equal(
	    load(&c, files_of(groups, servers, stamps, changelog), err), 0);
	assert_int_equal(h.storages, 2);
	assert_int_equal(h.groups, 1);
	assert_int_equal(h.lists, 1);
	assert_int_equal(h.lines, 3);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.groups[0]->name, "group1");
	assert_int_equal(c.changelog_len, strlen(changelog));
	cluster_fini(&c);
}

static void test_a_torn_line_of_the_changelog_is_left_out(void **state)
{
	struct cluster c;
	char err[256];

	(void)state;
	cluster_init(&c, NULL);
	assert_int_equal(load(&c,
	                     files_of(groups, servers, stamps,
	                         "1 group1 1.2.3.4 4 \n2 group1 1.2"),
	                     err),
	    0);
	assert_int_equal(c.changelog_len, 20);
	/* and nobody has read more than there is */
	assert_int_equal(
	    group_storage(c.groups[0], span_of("127.77.0.11"))->changelog_at,
	    20);
	cluster_fini(&c);
}

static const struct {
	const char *groups, *servers, *stamps, *says;
} refused[] = {
	{ "", servers, stamps, "storage_groups_new.dat:0: it is not whole" },
	{ "[Global]\n\tgroup_count=2\n", servers, stamps,
	    "storage_groups_new.dat:2: it is not whole: 0 of 2" },
	{ "nonsense\n", servers, stamps,
	    "storage_groups_new.dat:1: neither a section" },
	{ "a=1\n", servers, stamps, ":1: a key outside of a section" },
	{ "[Storage001]\n", servers, stamps,
	    ":1: a section that does not belong here" },
	{ "[Global]\ngroup_count=1\n[Group001]\ngroup_name=a b\n", servers,
	    stamps, "has no valid name" },
	{ "[Global]\ngroup_count=1\n[Group001]\ngroup_name=a\n"
	  "storage_port=x\n",
	    servers, stamps, ":5: storage_port is no number" },
	{ "[Global]\ngroup_count=1\n[Group001]\ngroup_name=a\n"
	  "store_path_count=257\n",
	    servers, stamps, "port or counts of group a" },
	{ "[Group001]\ngroup_name=a\n[Group002]\ngroup_name=a\n", servers,
	    stamps, "group a stands twice" },
	{ groups, "[Storage001]\ngroup_name=group2\n", stamps,
	    "group \"group2\" of the storage is not known" },
	{ groups, "[Storage001]\ngroup_name=group1\nip_addr=here\n", stamps,
	    "ip_addr \"here\" is no address" },
	{ groups,
	    "[Storage001]\ngroup_name=group1\nip_addr=1.2.3.4\n"
	    "status=8\n",
	    stamps, "status 8 of 1.2.3.4 is not known" },
	{ groups, "[Storage001]\ngroup_name=group1\nip_addr=fd88::1\n", stamps,
	    "fd88::1 needs use_storage_id = true" },
	{ groups,
	    "[Storage001]\ngroup_name=group1\nip_addr=1.2.3.4\n"
	    "[Global]\nstorage_count=7\n",
	    stamps, "it is not whole: 1 of 7" },
	{ groups, servers, "group1,1.1.1.1,0,0\n",
	    "storage_sync_timestamp.dat:1: a row of a storage" },
	{ groups, servers, "group1,127.77.0.12,0\n",
	    ":1: not a time for each member of group1" },
	{ groups, servers, "group1,127.77.0.12,0,x\n",
	    ":1: not a time for each member of group1" },
	{ groups, servers, "\ngroup1,127.77.0.12,0,1,2\n",
	    ":2: more times than group group1 has members" },
	{ groups, servers, "group1\n", ":1: a row of a storage" },
};

static void test_what_cannot_be_is_refused_with_its_line(void **state)
{
	struct cluster c;
	char err[256];

	(void)state;
	loaded(&c, servers);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(
		    load(&c,
		        files_of(refused[i].groups, refused[i].servers,
		            refused[i].stamps, ""),
		        err),
		    -EINVAL);
		if (!strstr(err, refused[i].says))
			fail_msg("row %zu: \"%s\"", i, err);
		/* nothing was touched */
		assert_int_equal(c.n, 1);
		assert_int_equal(c.groups[0]->n, 2);
	}
	cluster_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_of_fastdfs_are_loaded),
		cmocka_unit_test(test_what_is_written_is_what_fastdfs_writes),
		cmocka_unit_test(test_an_empty_cluster_has_texts_too),
		cmocka_unit_test(
		    test_deleted_members_and_their_columns_are_left_out),
		cmocka_unit_test(test_ids_take_the_place_of_addresses),
		cmocka_unit_test(test_ids_are_read_with_and_without_a_list),
		cmocka_unit_test(test_loading_replaces_and_tells_the_watcher),
		cmocka_unit_test(test_a_torn_line_of_the_changelog_is_left_out),
		cmocka_unit_test(test_what_cannot_be_is_refused_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
