/* SPDX-License-Identifier: MIT */
#include "tui/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/log.h"

#define INTERVAL_MIN 0.5
#define INTERVAL_MAX 3600

/* One row an option: the parser and the help read it. */
static const struct option_row {
	const char *name;
	char letter; /* or a number below ' ' when there is none */
	const char *arg;
	const char *help;
} rows[] = {
	{ "tracker", 't', "LIST", "host[:port],… to ask (default port 22122)" },
	{ "config", 1, "FILE", "client.conf or storage.conf of the cluster" },
	{ "db", 2, "FILE|DIR",
	    "metadata file, or a base path; may be repeated" },
	{ "interval", 'd', "SEC", "draw every SEC seconds, 0.5 to 3600 (1)" },
	{ "count", 'n', "N", "batch: stop after N pictures" },
	{ "sort", 's', "COLUMN", "sort tables by a column, COLUMN- reverses" },
	{ "filter", 'f', "EXPR", "show only matching rows, or find files" },
	{ "batch", 'b', NULL, "plain text, no screen" },
	{ "once", 3, NULL, "one picture as soon as data is there, and out" },
	{ "json", 'J', NULL, "one JSON object a picture" },
	{ "width", 'w', "N", "batch: cells a line; 0 as wide as needed (0)" },
	{ "no-wait", 4, NULL, "batch: do not wait until rates are known" },
	{ "timeout", 5, "SEC", "deadline of each network wait (2)" },
	{ "mono", 'M', NULL, "no colours (also NO_COLOR)" },
	{ "ascii", 6, NULL, "the same as --glyphs ascii" },
	{ "glyphs", 7, "SET", "block or ascii" },
	{ "no-clock", 8, NULL, "no clock in the title" },
	{ "list-keys", 9, NULL, "all keys" },
	{ "list-columns", 10, NULL, "columns of the tables, for -s and -f" },
	{ "help", 'h', NULL, "this" },
	{ "version", 'V', NULL, "version" },
};

static const struct {
	const char *name;
	enum view_id view;
} view_names[] = {
	{ "overview", VIEW_OVERVIEW },
	{ "storages", VIEW_STORAGES },
	{ "sync", VIEW_SYNC },
	{ "files", VIEW_FILES },
};

static void print_help(FILE *out)
{
	fprintf(out, "fdfs-top [options] [overview | storages [FILTER] | "
	             "sync | files [QUERY]]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char form[40];

		snprintf(form, sizeof(form), "--%s%s%s", rows[i].name,
		    rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		if (rows[i].letter > ' ')
			fprintf(out, "  -%c, %-20s %s\n", rows[i].letter, form,
			    rows[i].help);
		else
			fprintf(out, "      %-20s %s\n", form, rows[i].help);
	}
}

static void print_keys(void)
{
	for (size_t i = 0; i < n_key_rows; i++)
		printf("%-10s %s\n", key_rows[i].label, key_rows[i].help);
}

static void print_columns(void)
{
	printf("storages");
	for (size_t i = 0; i < n_storage_columns; i++)
		printf(" %s", storage_columns[i].field);
	printf("\nfiles   ");
	for (size_t i = 0; i < n_file_columns; i++)
		printf(" %s", file_columns[i].field);
	printf("\n");
}

void options_set_trackers(struct options *o, const char *list)
{
	char *save = NULL;

	str_copy(o->tracker_text, sizeof(o->tracker_text), list);
	o->n_trackers = 0;
	for (char *item = strtok_r(o->tracker_text, ", ", &save); item;
	     item = strtok_r(NULL, ", ", &save)) {
		if (o->n_trackers < TRACKERS_MAX)
			o->trackers[o->n_trackers++] = item;
	}
	if (o->n_trackers > 0)
		str_copy(o->cluster, sizeof(o->cluster), o->trackers[0]);
}

static int bad(const char *option, const char *value, const char *form)
{
	fprintf(stderr, "fdfs-top: --%s %s: write %s\n", option, value, form);
	return -EINVAL;
}

static int parse_seconds(const char *option, const char *text, unsigned *ms)
{
	char *end;
	const double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= INTERVAL_MIN) ||
	    v > INTERVAL_MAX)
		return bad(option, text, "seconds from 0.5 to 3600");
	*ms = (unsigned)(v * 1000);
	return 0;
}

static int parse_count(const char *option, const char *text, uint64_t max,
    uint64_t *out)
{
	if (str_to_u64(text, out) < 0 || *out > max)
		return bad(option, text, "a number");
	return 0;
}

static int set_glyphs(struct options *o, const char *set)
{
	o->ascii = strcmp(set, "ascii") == 0;
	o->block = strcmp(set, "block") == 0;
	return o->ascii || o->block ? 0 : bad("glyphs", set, "block or ascii");
}

static int add_db(struct options *o, const char *path)
{
	if (o->n_dbs == FILES_DBS)
		return bad("db", path, "at most 8 of them");
	o->dbs[o->n_dbs++] = path;
	return 0;
}

/* Options that take a value. */
static int set_value(struct options *o, int letter, const char *value)
{
	uint64_t n = 0;
	int rc = 0;

	switch (letter) {
	case 't':
		options_set_trackers(o, value);
		break;
	case 1:
		o->config = value;
		break;
	case 2:
		rc = add_db(o, value);
		break;
	case 'd':
		o->interval_given = true;
		rc = parse_seconds("interval", value, &o->interval_ms);
		break;
	case 'n':
		rc = parse_count("count", value, 1000000000, &n);
		o->count = (unsigned)n;
		break;
	case 'w':
		rc = parse_count("width", value, 2000, &n);
		o->width = (int)n;
		break;
	case 5:
		rc = parse_seconds("timeout", value, &o->timeout_ms);
		break;
	case 7:
		rc = set_glyphs(o, value);
		break;
	case 's':
		o->sort = value;
		break;
	default:
		o->filter = value;
		break;
	}
	return rc;
}

/* Options without; 1 when the program has said all it should. */
static int set_flag(struct options *o, int letter)
{
	switch (letter) {
	case 'b':
		o->batch = true;
		return 0;
	case 3:
		o->once = o->batch = true;
		return 0;
	case 'J':
		o->json = o->batch = true;
		return 0;
	case 4:
		o->wait = false;
		return 0;
	case 'M':
		o->mono = true;
		return 0;
	case 6:
		o->ascii = true;
		return 0;
	case 8:
		o->no_clock = true;
		return 0;
	case 9:
		print_keys();
		return 1;
	case 10:
		print_columns();
		return 1;
	case 'V':
		printf("fdfs-top %s\n", FDFS_SUITE_VERSION);
		return 1;
	default:
		print_help(stdout);
		return 1;
	}
}

static int parse_view(struct options *o, int argc, char **argv)
{
	size_t i = 0;

	if (optind >= argc)
		return 0;
	while (i < ARRAY_LEN(view_names) &&
	       strcmp(view_names[i].name, argv[optind]) != 0)
		i++;
	if (i == ARRAY_LEN(view_names)) {
		fprintf(stderr,
		    "fdfs-top: there is no view %s; overview, storages, "
		    "sync and files are\n",
		    argv[optind]);
		return -EINVAL;
	}
	o->view = view_names[i].view;
	if (optind + 1 < argc)
		o->subject = argv[optind + 1];
	if (optind + 2 < argc) {
		fprintf(stderr, "fdfs-top: %s is one word too many\n",
		    argv[optind + 2]);
		return -EINVAL;
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *o)
{
	struct option longs[ARRAY_LEN(rows) + 1] = { 0 };
	char shorts[2 * ARRAY_LEN(rows) + 1];
	size_t n = 0;
	int letter;

	*o = (struct options){ .interval_ms = 1000,
		.timeout_ms = 2000,
		.wait = true };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		longs[i] = (struct option){ rows[i].name,
			rows[i].arg ? required_argument : no_argument, NULL,
			rows[i].letter };
		if (rows[i].letter <= ' ')
			continue;
		shorts[n++] = rows[i].letter;
		if (rows[i].arg)
			shorts[n++] = ':';
	}
	shorts[n] = '\0';
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int rc = -EINVAL;

		if (letter != '?')
			rc = optarg ? set_value(o, letter, optarg)
			            : set_flag(o, letter);
		if (rc == -EINVAL)
			fprintf(stderr, "fdfs-top -h lists the options\n");
		if (rc != 0)
			return rc;
	}
	return parse_view(o, argc, argv);
}

/* --- where a cluster is found --- */
struct found {
	struct conf_list trackers;
	const char *base_path;
};

static const struct conf_key keys[] = {
	{ "", "tracker_server", CONF_LIST, offsetof(struct found, trackers),
	    NULL, 0, 0, NULL, 0, "tracker to ask" },
	{ "", "base_path", CONF_STR, offsetof(struct found, base_path), "", 0,
	    0, NULL, 0, "where a storage keeps its metadata" },
};

/* The cluster is named after the directory of the file. */
static void name_after(struct options *o, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *start = slash;

	if (!slash || slash == path) {
		str_copy(o->cluster, sizeof(o->cluster), "cluster");
		return;
	}
	while (start > path && start[-1] != '/')
		start--;
	str_copy_span(o->cluster, sizeof(o->cluster),
	    (struct span){ start, (size_t)(slash - start) });
}

static int read_config(struct options *o, const char *path, char *err,
    size_t cap)
{
	struct found found = { 0 };
	char db[512];
	int rc = conf_read(path, &o->conf, err, cap);

	if (rc < 0)
		return rc;
	/* Its other keys are no business of ours. */
	log_to_stderr(false);
	rc = conf_apply(o->conf, keys, ARRAY_LEN(keys), &found, err, cap);
	log_to_stderr(true);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < found.trackers.count; i++) {
		if (o->n_trackers < TRACKERS_MAX)
			o->trackers[o->n_trackers++] = found.trackers.values[i];
	}
	name_after(o, path);
	if (o->n_dbs == 0 && found.base_path && found.base_path[0]) {
		snprintf(db, sizeof(db), "%s/meta/catalogue.db",
		    found.base_path);
		if (access(db, F_OK) == 0)
			o->dbs[o->n_dbs++] = found.base_path;
	}
	return 0;
}

static void look(struct options *o, const char *where, const char *found)
{
	struct looked *l = &o->looked[o->n_looked];

	if (o->n_looked == LOOKED_MAX)
		return;
	o->n_looked++;
	str_copy(l->where, sizeof(l->where), where);
	str_copy(l->found, sizeof(l->found), found);
}

static void try_config(struct options *o, const char *path)
{
	char err[256];

	if (o->n_trackers > 0 || access(path, F_OK) < 0) {
		look(o, path, "not there");
		return;
	}
	if (read_config(o, path, err, sizeof(err)) < 0)
		look(o, path, err);
	else if (o->n_trackers == 0)
		look(o, path, "has no tracker_server line");
}

int options_find_cluster(struct options *o, char *err, size_t cap)
{
	const char *env = getenv("FDFS_TRACKERS");
	const char *dir = getenv("FDFS_CONFIG_DIR");
	const char *home = getenv("HOME");
	char path[512];
	int rc;

	if (o->n_trackers > 0)
		return 0;
	if (o->config) {
		rc = read_config(o, o->config, err, cap);
		if (rc == 0 && o->n_trackers == 0 && o->n_dbs == 0) {
			snprintf(err, cap, "%s has no tracker_server line",
			    o->config);
			return -EINVAL;
		}
		return rc < 0 ? -EINVAL : 0;
	}
	if (o->n_dbs > 0 && !env) {
		str_copy(o->cluster, sizeof(o->cluster), "metadata");
		return 0;
	}
	look(o, "--tracker, --config, --db", "not given");
	if (env && *env) {
		options_set_trackers(o, env);
		return 0;
	}
	look(o, "FDFS_TRACKERS", "not set");
	if (dir)
		snprintf(path, sizeof(path), "%s/client.conf", dir);
	else
		snprintf(path, sizeof(path), "%s/.config/fdfs/client.conf",
		    home ? home : "");
	try_config(o, path);
	if (o->n_trackers == 0)
		try_config(o, "/etc/fdfs/client.conf");
	if (o->n_trackers == 0)
		try_config(o, "/etc/fdfs/storage.conf");
	return 0;
}
