/* SPDX-License-Identifier: MIT */
/*
 * Options that every command knows may stand before the command. So there are
 * two passes: the shared rows up to the first word, then the shared rows and
 * the command's own over the rest.
 */
#include "cli/run.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/log.h"
#include "cli/stop.h"

struct shared_options {
	bool help;
	bool version;
};

static const struct opt_row shared_rows[] = {
	{ .letter = 'h',
	    .name = "help",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct shared_options, help),
	    .help = "print help; after a command, its own" },
	{ .letter = 'V',
	    .name = "version",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct shared_options, version),
	    .help = "print the version" },
};

static const struct opt_table shared_table = { "everywhere", shared_rows,
	ARRAY_LEN(shared_rows), 0 };

#define TARGETS_MAX 12

struct targets {
	struct opt_target items[TARGETS_MAX];
	size_t n;
};

static const struct opt_table *sources_of(const struct program *p)
{
	return p->has_db ? &source_table : &source_net_table;
}

static void print_program_help(FILE *out, const struct program *p)
{
	fprintf(out,
	    "usage: %s [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n%s\n",
	    p->name, p->about);
	fprintf(out, "\ncommands:\n");
	for (size_t i = 0; i < p->n_verbs; i++)
		fprintf(out, "  %-9s %s\n", p->verbs[i].name, p->verbs[i].help);
	opt_print(out, sources_of(p));
	opt_print(out, &out_opt_table);
	opt_print(out, &shared_table);
	fprintf(out,
	    "\nhelp COMMAND says more of a command; help man prints the "
	    "manual page.\n");
}

static void print_examples(FILE *out, const char *const *examples)
{
	for (size_t i = 0; examples && examples[i]; i++)
		fprintf(out, "  %s\n", examples[i]);
}

static void print_verb_help(FILE *out, const struct program *p,
    const struct verb *v)
{
	fprintf(out, "usage: %s %s%s%s%s\n\n%s.\n", p->name, v->name,
	    v->tables ? " [OPTIONS]" : "", v->args[0] ? " " : "", v->args,
	    v->help);
	if (v->more)
		fprintf(out, "%s\n", v->more);
	if (v->alias)
		fprintf(out, "\n%s is another name of %s.\n", v->alias,
		    v->name);
	for (size_t i = 0; v->tables && v->tables[i]; i++)
		opt_print(out, v->tables[i]);
	if (v->examples) {
		fputs("\nexamples:\n", out);
		print_examples(out, v->examples);
	}
	fprintf(out, "\n%s --help lists the options of every command.\n",
	    p->name);
}

static const struct verb *find_verb(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->n_verbs; i++) {
		const struct verb *v = &p->verbs[i];

		if (strcmp(v->name, name) == 0 ||
		    (v->alias && strcmp(v->alias, name) == 0))
			return v;
	}
	return NULL;
}

static enum status unknown_verb(const struct program *p, const char *name)
{
	const char *best = err_nearest(name, &p->verbs[0].name, p->n_verbs,
	    sizeof(struct verb));
	char todo[64];

	snprintf(todo, sizeof(todo), "%s --help lists the commands", p->name);
	if (best)
		return err_usage(todo, "no command \"%s\"; did you mean %s?",
		    name, best);
	return err_usage(todo, "no command \"%s\"", name);
}

static enum status help(const struct program *p, const char *topic)
{
	const struct verb *v;

	if (!topic) {
		print_program_help(stdout, p);
		return STATUS_OK;
	}
	if (strcmp(topic, "man") == 0) {
		man_print(stdout, p);
		return STATUS_OK;
	}
	v = find_verb(p, topic);
	if (!v)
		return unknown_verb(p, topic);
	print_verb_help(stdout, p, v);
	return STATUS_OK;
}

static enum status short_greeting(const struct program *p)
{
	fprintf(stderr, "%s: %s\n", p->name, p->about);
	print_examples(stderr, p->examples);
	fprintf(stderr, "%s --help lists the commands and options\n", p->name);
	return STATUS_USAGE;
}

static void add_target(struct targets *t, const struct opt_table *table,
    void *target)
{
	if (t->n < TARGETS_MAX)
		t->items[t->n++] = (struct opt_target){ table, target };
}

static enum status check_words(const struct cli *cli)
{
	const struct verb *v = cli->verb;
	char todo[128];

	snprintf(todo, sizeof(todo), "%s help %s", cli->program->name, v->name);
	if (cli->out.list_columns ||
	    (cli->out.columns && strcmp(cli->out.columns, "?") == 0))
		return STATUS_OK;
	if (cli->n_words < v->min_args)
		return err_usage(todo, "%s wants %s", v->name, v->args);
	if (cli->n_words > v->max_args)
		return err_usage(todo, "%s: \"%s\" is one argument too many",
		    v->name, cli->words[v->max_args]);
	return STATUS_OK;
}

static void free_lists(const struct targets *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct opt_table *table = t->items[i].table;

		for (size_t k = 0; k < table->n; k++) {
			struct opt_list *l;

			if (table->rows[k].type != OPT_LIST)
				continue;
			l = (struct opt_list *)(void *)((char *)t->items[i]
			                                    .target +
			                                table->rows[k].offset);
			free(l->items);
			*l = (struct opt_list){ NULL, 0 };
		}
	}
}

/* The second pass and the command itself. */
static enum status run_verb(struct cli *cli, struct targets *t, int argc,
    char **argv)
{
	const struct verb *v = cli->verb;
	const struct shared_options *shared = t->items[0].target;
	char *options = xcalloc(1, v->options_size);
	struct opt_parse p = { .words = cli->words };
	enum status st;

	for (size_t i = 0; v->tables && v->tables[i]; i++)
		add_target(t, v->tables[i], options + v->tables[i]->base);
	p.targets = t->items;
	p.n_targets = t->n;
	st = opt_parse(&p, argc, argv);
	cli->n_words = p.n_words;
	err_as_json(
	    cli->out.format == OUT_JSON || cli->out.format == OUT_NDJSON);
	if (st == STATUS_OK && shared->help)
		print_verb_help(stdout, cli->program, v);
	else if (st == STATUS_OK)
		st = check_words(cli);
	if (st == STATUS_OK && !shared->help)
		st = v->run(cli, options);
	free_lists(t);
	free(options);
	return st;
}

static enum status run_words(const struct program *p, int argc, char **argv)
{
	struct shared_options shared = { false, false };
	struct cli cli = { .program = p };
	struct targets t = { .n = 0 };
	struct opt_parse first = { .stop_at_word = true };
	enum status st;

	cli.out.width = OUT_WIDTH_AUTO;
	add_target(&t, &shared_table, &shared);
	add_target(&t, &out_opt_table, &cli.out);
	add_target(&t, sources_of(p), &cli.sources);
	first.targets = t.items;
	first.n_targets = t.n;
	st = opt_parse(&first, argc - 1, argv + 1);
	argc -= 1 + first.used;
	argv += 1 + first.used;
	if (st != STATUS_OK)
		return st;
	if (shared.version) {
		printf("%s %s\n", p->name, FDFS_SUITE_VERSION);
		return STATUS_OK;
	}
	if (argc <= 0)
		return shared.help ? help(p, NULL) : short_greeting(p);
	if (strcmp(argv[0], "help") == 0)
		return help(p, argc > 1 ? argv[1] : NULL);
	cli.verb = find_verb(p, argv[0]);
	if (!cli.verb)
		return unknown_verb(p, argv[0]);
	cli.words = xcalloc((size_t)argc, sizeof(*cli.words));
	st = run_verb(&cli, &t, argc - 1, argv + 1);
	free(cli.words);
	return st;
}

int run_program(const struct program *p, int argc, char **argv)
{
	enum status st;

	setlocale(LC_CTYPE, "");
	err_program(p->name);
	log_set_level(LOG_LEVEL_ERROR);
	stop_init();
	st = run_words(p, argc, argv);
	st = err_worse(st, out_flush());
	if (stop_asked())
		return (int)stop_status();
	return (int)st;
}

bool run_can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool run_ask(const char *fmt, ...)
{
	char answer[16];
	char text[512];
	char safe[1024];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	str_escape(safe, sizeof(safe), text, strlen(text));
	fprintf(stderr, "%s [y/N] ", safe);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}
