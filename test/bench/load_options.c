/* SPDX-License-Identifier: MIT */
/* One row an option: name, kind, place in struct options, help. */
#include "test/bench/load_options.h"

#include "test/bench/load_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum value_kind { V_FLAG, V_TEXT, V_COUNT, V_SIZE, V_SECONDS, V_OP, V_PIDS };

struct option_row {
	const char *name;
	const char *arg; /* NULL for a flag */
	enum value_kind kind;
	size_t at;
	const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct option_row rows[] = {
	{ "--tracker", "HOST:PORT", V_TEXT, AT(tracker),
	    "ask this tracker for the storage, once" },
	{ "--storage", "HOST:PORT[/Mxx]", V_TEXT, AT(storage),
	    "use this storage (and store path) directly" },
	{ "--group", "NAME", V_TEXT, AT(group),
	    "ask for this group; group of --storage (group1)" },
	{ "--via-tracker", NULL, V_FLAG, AT(via_tracker),
	    "ask the tracker before every operation" },
	{ "--op", "OPERATION", V_OP, AT(op), "see below (upload)" },
	{ "-c", "N", V_COUNT, AT(connections), "connections (16)" },
	{ "--threads", "N", V_COUNT, AT(threads),
	    "threads the connections are divided among (1)" },
	{ "--new-connections", NULL, V_FLAG, AT(new_connections),
	    "a new connection for every operation" },
	{ "--size", "BYTES", V_SIZE, AT(size),
	    "size of files, with k, m or g (4k)" },
	{ "--mix", NULL, V_FLAG, AT(mix),
	    "sizes of photos: 40 % 4-16 KiB, 35 % 16-128 KiB,\n"
	    "20 % 128-512 KiB, 5 % 512 KiB-4 MiB; mean 164 KiB" },
	{ "--count", "N", V_COUNT, AT(count), "stop after N operations" },
	{ "--seconds", "S", V_SECONDS, AT(seconds),
	    "stop after S seconds (5, when no --count is given)" },
	{ "--prepare", "N", V_COUNT, AT(prepare),
	    "files uploaded first and not counted" },
	{ "--cleanup", NULL, V_FLAG, AT(cleanup),
	    "delete the files of this run at its end" },
	{ "--verify", NULL, V_FLAG, AT(verify),
	    "check contents and file ids by crc32" },
	{ "--extension", "EXT", V_TEXT, AT(extension),
	    "extension of uploaded files (bin)" },
	{ "--pid", "PID,...", V_PIDS, AT(pids),
	    "daemons whose CPU time and memory are reported" },
	{ "--settle", "S", V_SECONDS, AT(settle),
	    "wait up to S seconds, before and after, until these\n"
	    "daemons are idle; their work until then is reported too" },
	{ "--timeout", "S", V_SECONDS, AT(timeout),
	    "give an operation up after S seconds (30)" },
	{ "--seed", "N", V_COUNT, AT(seed), "of contents and choices (1)" },
	{ "--allow-errors", NULL, V_FLAG, AT(allow_errors),
	    "errors do not make the run fail" },
	{ "--json", NULL, V_FLAG, AT(json), "one line of JSON" },
	{ "--help", NULL, V_FLAG, AT(help), "this text" },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static bool parse_count(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	const char *unit;
	unsigned int shift;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0)
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, *end | 0x20);
	if (!unit || (end[1] != '\0' && strcasecmp(end + 1, "ib") != 0))
		return false;
	shift = 10U * (unsigned int)(unit - units + 1);
	if (*out > (uint64_t)INT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static bool parse_seconds(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= 0 && *out < 1e9;
}

static bool parse_pids(const char *text, struct options *opt)
{
	char *end;

	do {
		const long v = strtol(text, &end, 10);

		if (v <= 0 || end == text || opt->n_pids == LOAD_MAX_PIDS)
			return false;
		opt->pids[opt->n_pids++] = (pid_t)v;
		text = end + 1;
	} while (*end == ',');
	return *end == '\0';
}

static bool parse_value(const struct option_row *row, const char *text,
    struct options *opt)
{
	void *at = (char *)opt + row->at;

	if (!text && row->kind == V_FLAG)
		*(bool *)at = true;
	if (!text)
		return row->kind == V_FLAG;
	switch (row->kind) {
	case V_FLAG:
		return false;
	case V_TEXT:
		*(const char **)at = text;
		return *text != '\0';
	case V_COUNT:
		return parse_count(text, at);
	case V_SIZE:
		return parse_size(text, at);
	case V_SECONDS:
		return parse_seconds(text, at);
	case V_OP:
		opt->op = op_find(text);
		return opt->op != N_OPS;
	case V_PIDS:
		return parse_pids(text, opt);
	}
	return false;
}

static void print_help(void)
{
	(void)printf("Usage: load --tracker HOST:PORT|--storage HOST:PORT "
	             "[options]\n\nOptions:\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		const char *help = rows[i].help;
		const char *line = strchr(help, '\n');
		char left[40];

		(void)snprintf(left, sizeof(left), "%s %s", rows[i].name,
		    rows[i].arg ? rows[i].arg : "");
		(void)printf("  %-26s ", left);
		for (; line; help = line + 1, line = strchr(help, '\n'))
			(void)printf("%.*s\n%29s", (int)(line - help), help,
			    "");
		(void)printf("%s\n", help);
	}
	(void)printf("\nOperations:\n");
	for (unsigned int i = 0; i < N_OPS; i++)
		(void)printf("  %-26s %s\n", op_name((enum op_kind)i),
		    op_help((enum op_kind)i));
}

static const struct option_row *find_row(const char *arg, const char **value)
{
	const size_t len = strcspn(arg, "=");

	*value = arg[len] == '=' ? arg + len + 1 : NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		if (strlen(rows[i].name) == len &&
		    memcmp(rows[i].name, arg, len) == 0)
			return &rows[i];
	}
	return NULL;
}

/* A sentence that says what to change, or NULL. */
static const char *find_conflict(const struct options *o)
{
	if (!o->tracker && !o->storage)
		return "name a server with --tracker or --storage";
	if (!o->tracker && (o->via_tracker || op_tracker_only(o->op)))
		return "this needs --tracker";
	if (o->connections == 0 || o->connections > 100000)
		return "-c must be 1 to 100000";
	if (o->threads == 0 || o->threads > o->connections)
		return "--threads must be 1 to the number of connections";
	if (o->timeout <= 0)
		return "--timeout must be more than 0";
	if (o->group && strlen(o->group) > 16)
		return "--group has at most 16 characters";
	if (strlen(o->extension) > 6)
		return "--extension has at most 6 characters";
	if (o->prepare == 0 && op_needs(o->op).files && o->op != OP_MIXED)
		return "this operation needs files: --prepare must not be 0";
	return NULL;
}

int options_parse(int argc, char **argv, struct options *opt)
{
	const char *conflict;

	*opt = (struct options){
		.connections = 16,
		.threads = 1,
		.size = 4096,
		.timeout = 30,
		.prepare = UINT64_MAX,
		.seed = 1,
		.extension = "bin",
	};
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct option_row *row = find_row(argv[i], &value);

		if (row && row->arg && !value && i + 1 < argc)
			value = argv[++i];
		if (!row || !parse_value(row, value, opt)) {
			(void)fprintf(stderr,
			    "load: cannot use %s; see --help\n", argv[i]);
			return 2;
		}
	}
	if (opt->help) {
		print_help();
		return 0;
	}
	if (opt->count == 0 && opt->seconds == 0 && !op_needs(opt->op).once)
		opt->seconds = 5;
	conflict = find_conflict(opt);
	if (conflict)
		(void)fprintf(stderr, "load: %s\n", conflict);
	return conflict ? 2 : 0;
}
