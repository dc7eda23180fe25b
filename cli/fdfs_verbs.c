/* SPDX-License-Identifier: MIT */
/* fdfs: files in and out of a FastDFS cluster. The rows of its commands. */
#include "cli/fdfs.h"

static const struct opt_table *const put_tables[] = { &fdfs_put_table, NULL };
static const struct opt_table *const get_tables[] = { &fdfs_get_table, NULL };
static const struct opt_table *const cat_tables[] = { &fdfs_cat_table, NULL };
static const struct opt_table *const rm_tables[] = { &fdfs_rm_table, NULL };
static const struct opt_table *const modify_tables[] = { &fdfs_modify_table,
	NULL };
static const struct opt_table *const list_tables[] = { &fdfs_list_table, NULL };

static const char *const put_examples[] = {
	"fdfs put IMG_0412.jpg --meta author=lin",
	"tar cz src | fdfs put - --ext tar.gz --name src.tar.gz",
	NULL,
};
static const char *const get_examples[] = {
	"fdfs get group1/M00/0A/3F/oYYBAGsC9TOAY_70AByYAW8MK5E031.jpg",
	NULL,
};
static const char *const rm_examples[] = {
	"fdfs-meta find --ext tmp --age +7d -0 | fdfs rm -0 --yes -",
	NULL,
};
static const char *const meta_examples[] = {
	"fdfs meta group1/M00/00/00/oYYBAGsC9TOAY_70AByYAW8MK5E031.jpg merge "
	"dept=finance",
	NULL,
};
static const char *const list_examples[] = {
	"fdfs list storages --json",
	NULL,
};

/* Room for every option struct of this program. */
#define OPTIONS_SIZE 256
#define MANY         ((size_t)-1)

static const struct verb verbs[] = {
	{ "put", NULL, "FILE...", "upload files; prints the id of each",
	    "- is standard input; without --size it is read to its end before "
	    "anything is sent. With several files a line is the id, a tab "
	    "and the file. The original name is recorded as metadata "
	    "\"filename\". The checksum in the id that comes back is compared "
	    "with what was sent",
	    put_examples, put_tables, OPTIONS_SIZE, 1, MANY, fdfs_run_put },
	{ "get", NULL, "ID...", "download files",
	    "Without -O a file gets its original name when one is recorded, "
	    "else the last part of its id. It appears under its name only when "
	    "it is complete and its size and checksum are those of the id. "
	    "When one copy fails the others are tried",
	    get_examples, get_tables, OPTIONS_SIZE, 1, MANY, fdfs_run_get },
	{ "cat", NULL, "ID...", "write the content of files to standard output",
	    NULL, NULL, cat_tables, OPTIONS_SIZE, 1, MANY, fdfs_run_cat },
	{ "rm", NULL, "ID...", "delete files",
	    "- reads ids from standard input, a line each, or ended by NUL "
	    "with -0. More than one is asked about, and refused without --yes "
	    "when there is nobody to ask",
	    rm_examples, rm_tables, OPTIONS_SIZE, 1, MANY, fdfs_run_rm },
	{ "stat", NULL, "ID...", "what each storage says of a file", NULL, NULL,
	    NULL, OPTIONS_SIZE, 1, MANY, fdfs_run_stat },
	{ "append", NULL, "ID FILE", "append a file to an appender file", NULL,
	    NULL, NULL, OPTIONS_SIZE, 2, 2, fdfs_run_append },
	{ "modify", NULL, "ID FILE", "overwrite part of an appender file", NULL,
	    NULL, modify_tables, OPTIONS_SIZE, 2, 2, fdfs_run_modify },
	{ "truncate", NULL, "ID SIZE", "set the size of an appender file", NULL,
	    NULL, NULL, OPTIONS_SIZE, 2, 2, fdfs_run_truncate },
	{ "regen", NULL, "ID",
	    "make an appender file a normal one; prints its new id", NULL, NULL,
	    NULL, OPTIONS_SIZE, 1, 1, fdfs_run_regen },
	{ "meta", NULL, "ID [get | set K=V... | merge K=V... | clear]",
	    "read or write a file's metadata",
	    "set replaces all of it, merge changes and adds, clear removes it",
	    meta_examples, NULL, OPTIONS_SIZE, 1, MANY, fdfs_run_meta },
	{ "list", NULL, "[groups | storages | trackers]",
	    "what the cluster is made of; storages when nothing is said", NULL,
	    list_examples, list_tables, OPTIONS_SIZE, 0, 1, fdfs_run_list },
	{ "ping", NULL, "[all | HOST:PORT]",
	    "time to connect and to answer, of every server", NULL, NULL, NULL,
	    OPTIONS_SIZE, 0, 1, fdfs_run_ping },
};

static const char *const examples[] = {
	"fdfs -t 10.20.0.11 put report.pdf",
	"fdfs -t 10.20.0.11 list groups",
	NULL,
};

const struct program fdfs_program = {
	.name = "fdfs",
	.about = "files in and out of a FastDFS cluster",
	.more = "It speaks the FastDFS protocol only and works against any "
	        "cluster of release 6. An id is written as it was printed, "
	        "group1/M00/00/00/NAME.ext, or as a URL that ends so.",
	.examples = examples,
	.verbs = verbs,
	.n_verbs = ARRAY_LEN(verbs),
	.has_db = false,
	.see = ".Xr fdfs-meta 1 ,\n.Xr fdfs-top 1\n",
};
