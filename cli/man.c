/* SPDX-License-Identifier: MIT */
/*
 * The manual page from the rows, so that it cannot say anything else than the
 * parser does. Text is made safe for roff: backslashes, and dots or quotes
 * that begin a line.
 */
#include <string.h>

#include "cli/run.h"

/* Lines are broken at blanks near 72 columns, never before a dot or a quote,
 * which would make the next one a request. */
static void text(FILE *out, const char *s)
{
	size_t column = 0;

	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++, column++) {
		const size_t word = strcspn(s + 1, " ");

		if (*s == ' ' && column + word > 72 && s[1] != '.' &&
		    s[1] != '\'') {
			fputc('\n', out);
			column = 0;
		} else if (*s == '\\') {
			fputs("\\e", out);
		} else if (*s == '-') {
			fputs("\\-", out);
		} else {
			fputc(*s, out);
		}
	}
}

/* As text(), for the argument of a macro: quoted when it has blanks. */
static void word(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"')
			fputs("\\(dq", out);
		else if (*s == '\\')
			fputs("\\e", out);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

/* A line as it is typed. */
static void literal(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else if (*s == '\'')
			fputs("\\(aq", out);
		else
			fputc(*s, out);
	}
	fputc('\n', out);
}

static void sentences(FILE *out, const char *s)
{
	/* New sentence, new line, as mdoc asks. */
	while (*s) {
		const char *end = strstr(s, ". ");
		char line[512];
		const size_t n = end ? (size_t)(end - s) + 1 : strlen(s);

		str_copy_span(line, sizeof(line), (struct span){ s, n });
		for (char *p = line; *p; p++)
			*p = (char)(*p == '\n' ? ' ' : *p);
		text(out, line);
		fputs(line[0] && line[strlen(line) - 1] == '.' ? "\n" : ".\n",
		    out);
		s += n;
		while (*s == ' ' || *s == '\n')
			s++;
	}
}

static void option_item(FILE *out, const struct opt_row *r)
{
	fputs(".It", out);
	if (r->letter)
		fprintf(out, " Fl %c", r->letter);
	if (r->letter && r->name)
		fputs(" ,", out);
	if (r->name)
		fprintf(out, " Fl \\-%s", r->name);
	if (r->arg) {
		fputs(" Ar ", out);
		word(out, r->arg);
	}
	fputc('\n', out);
	text(out, r->help);
	fputs(".\n", out);
}

static void option_list(FILE *out, const struct opt_table *t)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < t->n; i++)
		option_item(out, &t->rows[i]);
	fputs(".El\n", out);
}

static void verb_page(FILE *out, const struct program *p, const struct verb *v)
{
	fputs(".It Cm ", out);
	fputs(v->name, out);
	if (v->args[0]) {
		fputs(" Ar ", out);
		word(out, v->args);
	}
	fputc('\n', out);
	text(out, v->help);
	fputs(".\n", out);
	if (v->more)
		sentences(out, v->more);
	if (v->alias)
		fprintf(out, "Also called\n.Cm %s .\n", v->alias);
	for (size_t i = 0; v->tables && v->tables[i]; i++)
		option_list(out, v->tables[i]);
	(void)p;
}

static const struct exit_row {
	int status;
	const char *meaning;
} exit_rows[] = {
	{ STATUS_OK, "answered completely, also when the answer is empty" },
	{ STATUS_NO, "answered: no, not found, findings, differs" },
	{ STATUS_USAGE, "unknown option or malformed argument" },
	{ STATUS_NO_SOURCE, "no source could answer" },
	{ STATUS_PART, "answered in part; what is missing is named" },
	{ STATUS_REFUSED, "refused: permission, lock held, --yes missing" },
	{ STATUS_INTERNAL, "internal error" },
	{ STATUS_TIMEOUT, "--timeout was over before any answer" },
	{ STATUS_INTERRUPTED, "interrupted" },
	{ STATUS_TERMINATED, "terminated" },
};

static void exit_list(FILE *out)
{
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < ARRAY_LEN(exit_rows); i++) {
		fprintf(out, ".It %d\n", exit_rows[i].status);
		text(out, exit_rows[i].meaning);
		fputs(".\n", out);
	}
	fputs(".El\n", out);
}

static void surroundings(FILE *out, const struct program *p)
{
	fputs(".Sh ENVIRONMENT\n.Bl -tag -width FDFS_TRACKERS\n"
	      ".It Ev FDFS_TRACKERS\n"
	      "Trackers to ask when no option names any.\n"
	      ".It Ev COLUMNS\n"
	      "Width of tables when the terminal does not tell.\n"
	      ".It Ev TZ\nZone of the times in tables.\n.El\n"
	      ".Sh FILES\n.Bl -tag -width Ds\n"
	      ".It Pa /etc/fdfs/client.conf\n"
	      ".It Pa /etc/fdfs/storage.conf\n"
	      ".It Pa /etc/fdfs/tracker.conf\n"
	      "Looked at in this order when no option and no environment\n"
	      "variable names a source.\n.El\n",
	    out);
	exit_list(out);
	fputs(".Sh EXAMPLES\n.Bd -literal -offset indent\n", out);
	for (size_t i = 0; p->examples && p->examples[i]; i++) {
		literal(out, p->examples[i]);
	}
	for (size_t i = 0; i < p->n_verbs; i++) {
		const char *const *e = p->verbs[i].examples;

		for (; e && *e; e++) {
			literal(out, *e);
		}
	}
	fprintf(out, ".Ed\n.Sh SEE ALSO\n%s", p->see);
}

void man_print(FILE *out, const struct program *p)
{
	char title[32];

	str_copy(title, sizeof(title), p->name);
	for (char *c = title; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	fprintf(out,
	    ".\\\" SPDX-License-Identifier: MIT\n"
	    ".\\\" Made from the option rows: %s help man\n"
	    ".Dd November 22, 2026\n.Dt %s 1\n.Os\n"
	    ".Sh NAME\n.Nm %s\n.Nd ",
	    p->name, title, p->name);
	text(out, p->about);
	fprintf(out, "\n.Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Ar command\n"
	             ".Op Ar options\n.Op Ar arguments\n.Sh DESCRIPTION\n");
	sentences(out, p->more);
	fputs("Options may stand before or after the command and among the "
	      "arguments;\n.Fl \\-\nends them.\n"
	      ".Ss Commands\n.Bl -tag -width Ds\n",
	    out);
	for (size_t i = 0; i < p->n_verbs; i++)
		verb_page(out, p, &p->verbs[i]);
	fputs(".It Cm help Op Ar command | Cm man\n"
	      "Print help, or this page.\n.El\n"
	      ".Ss Sources\n",
	    out);
	option_list(out, p->has_db ? &source_table : &source_net_table);
	fputs(".Ss Output\n", out);
	option_list(out, &out_opt_table);
	fputs("Options known everywhere are\n.Fl h , \\-help\nand\n"
	      ".Fl V , \\-version .\n",
	    out);
	surroundings(out, p);
}
