/* SPDX-License-Identifier: MIT */
/*
 * fdfs-meta: questions to the metadata databases and the trackers. The rows
 * of its commands.
 */
#include "cli/meta.h"

#define TABLES(name, ...) \
	static const struct opt_table *const name[] = { __VA_ARGS__, NULL }

TABLES(status_tables, &meta_status_table);
TABLES(find_tables, &meta_find_filters, &meta_find_table);
TABLES(stat_tables, &meta_stat_table);
TABLES(df_tables, &meta_df_table);
TABLES(lag_tables, &meta_lag_table);
TABLES(verify_tables, &meta_verify_table, &meta_verify_stores);
TABLES(adopt_tables, &meta_adopt_table, &meta_adopt_stores);
TABLES(decode_tables, &meta_decode_table);
TABLES(sql_tables, &meta_sql_table);

static const char *const find_examples[] = {
	"fdfs-meta find -g group1 --ext pdf --size +100k --meta 'author=li*'",
	"fdfs-meta find --created yesterday --sum",
	"fdfs-meta find --ext tmp --age +7d -0 | xargs -0 -n1 fdfs rm",
	NULL,
};
static const char *const stat_examples[] = {
	"fdfs-meta stat group1/M00/00/00/oYYBAGsC9NSAOeeSAALgExHOkPM402.pdf",
	NULL,
};
static const char *const verify_examples[] = {
	"fdfs-meta verify /etc/fdfs/storage.conf",
	"fdfs-meta verify --peers --crc /etc/fdfs/storage.conf",
	NULL,
};
static const char *const adopt_examples[] = {
	"fdfs-meta adopt plan /etc/fdfs/storage.conf",
	"fdfs-meta adopt run paths /data/fdfs0 /data/fdfs1 "
	"--db /var/lib/fdfs/meta -g group1",
	NULL,
};
static const char *const release_examples[] = {
	"fdfs-meta release plan /etc/fdfs/storage.conf",
	NULL,
};
static const char *const lag_examples[] = {
	"fdfs-meta --config /etc/fdfs/storage.conf lag",
	"fdfs-meta lag 100001 --wait --timeout 30m && systemctl stop "
	"fdfs-storaged",
	NULL,
};
static const char *const sql_examples[] = {
	"fdfs-meta sql 'select ext, count(*), sum(size) from files group by 1'",
	NULL,
};

#define SIZE META_OPTIONS_SIZE
#define MANY ((size_t)-1)

static const struct verb verbs[] = {
	{ "status", NULL, "", "one screen: is all well",
	    "It asks the trackers, or with --db a tracker's database as of "
	    "its last samples",
	    NULL, status_tables, SIZE, 0, 0, meta_run_status },
	{ "find", NULL, "", "files by anything",
	    "All filters must hold. The newest come first. When a limit cut "
	    "the answer, the JSON field next and a note on stderr give the "
	    "cursor of the next page",
	    find_examples, find_tables, SIZE, 0, 0, meta_run_find },
	{ "stat", "lookup", "ID...", "one file, as recorded",
	    "A deleted file is shown from its tombstone", stat_examples,
	    stat_tables, SIZE, 1, MANY, meta_run_stat },
	{ "df", NULL, "[group | storage]", "capacity, reserve, what is usable",
	    "It asks the trackers, or with --db a tracker's database as of "
	    "its last samples",
	    NULL, df_tables, SIZE, 0, 1, meta_run_df },
	{ "lag", NULL, "[STORAGE | GROUP | FROM,TO]",
	    "who waits for what from whom",
	    "What the storages in reach send is counted exactly in their logs "
	    "(storage.db). Of every other pair the trackers tell how far it "
	    "is behind at most, marked as such. People see the pairs in "
	    "which something waits, programs all of them",
	    lag_examples, lag_tables, SIZE, 0, 1, meta_run_lag },
	{ "verify", NULL, "STORAGE_CONF | paths DIR...",
	    "compare records with files, both ways",
	    "Run it on the storage's host. Nothing is changed. The status is "
	    "1 when there are findings. What waits in the log for a peer is "
	    "counted, and is no finding",
	    verify_examples, verify_tables, SIZE, 1, MANY, meta_run_verify },
	{ "adopt", "import", "plan | run STORAGE_CONF | paths DIR...",
	    "make the catalogue from the disks and the log",
	    "plan counts and changes nothing. run replaces catalogue.db; it "
	    "is refused while the storage's daemon runs. No content is read "
	    "and no file is touched. On the base path of a FastDFS storage "
	    "it also takes the operations that peers wait for, and how far "
	    "each peer is, from the binlog and the mark files, once",
	    adopt_examples, adopt_tables, SIZE, 2, MANY, meta_run_adopt },
	{ "release", NULL, "plan | run STORAGE_CONF",
	    "give a storage back to FastDFS",
	    "Writes the binlog and the mark files that a FastDFS storage "
	    "needs to go on from where ours stopped, each peer from its "
	    "place. The databases stay as a record; adopt run takes the "
	    "storage over again",
	    release_examples, NULL, SIZE, 2, 2, meta_run_release },
	{ "decode", NULL, "ID | HEX...", "an id, or a packet, as text",
	    "Asks nobody", NULL, decode_tables, SIZE, 1, MANY,
	    meta_run_decode },
	{ "sql", NULL, "[QUERY]", "read-only SQL",
	    "The views files, meta, deleted, events and samples are kept "
	    "stable, with --on log operations, peers and waiting, with --on "
	    "tracker storages",
	    sql_examples, sql_tables, SIZE, 0, 1, meta_run_sql },
};

static const char *const examples[] = {
	"fdfs-meta --db /var/lib/fdfs/meta find --name '*invoice*'",
	"fdfs-meta -t 10.20.0.11 status",
	NULL,
};

const struct program meta_program = {
	.name = "fdfs-meta",
	.about = "questions to the metadata of a FastDFS cluster",
	.more = "Files are looked up in the catalogue of a storage on this "
	        "host, the cluster at its trackers. Databases are opened "
	        "read-only; only adopt run writes.",
	.examples = examples,
	.verbs = verbs,
	.n_verbs = ARRAY_LEN(verbs),
	.has_db = true,
	.see = ".Xr fdfs 1 ,\n.Xr fdfs-top 1\n",
};
