/* SPDX-License-Identifier: MIT */
/*
 * Options may stand anywhere; "--" ends them; "-" is a word. Long options are
 * not abbreviated: a script that works today must not become ambiguous with
 * tomorrow's option. An option that takes an argument takes the next word
 * whatever it looks like ("--size -4k").
 */
#include "cli/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct found {
	const struct opt_row *row;
	void *target;
};

struct cursor {
	int argc;
	char **argv;
	int at; /* next word */
};

static bool row_has_name(const struct opt_row *r, const char *name, size_t n)
{
	return r->name && strlen(r->name) == n &&
	       strncmp(r->name, name, n) == 0;
}

/* By name when name is given, else by letter. */
static struct found find(const struct opt_parse *p, const char *name, size_t n,
    char letter)
{
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct opt_target *t = &p->targets[i];

		for (size_t k = 0; k < t->table->n; k++) {
			const struct opt_row *r = &t->table->rows[k];

			if (name ? row_has_name(r, name, n)
			         : r->letter == letter)
				return (struct found){ r,
					(char *)t->target + r->offset };
		}
	}
	return (struct found){ NULL, NULL };
}

static bool takes_argument(const struct opt_row *r)
{
	return r->type != OPT_FLAG && r->type != OPT_SET &&
	       r->type != OPT_COUNT;
}

static int word_index(const char *words, const char *text)
{
	for (int i = 0;; i++) {
		const size_t n = strcspn(words, "|");

		if (strlen(text) == n && strncmp(words, text, n) == 0)
			return i;
		if (words[n] == '\0')
			return -EINVAL;
		words += n + 1;
	}
}

static void list_add(struct opt_list *l, const char *text)
{
	l->items = xrealloc(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n++] = text;
}

/* Puts the option's argument where it belongs: 0 or -errno. */
static int store(struct found f, const char *arg)
{
	uint64_t number = 0;
	int rc = 0;

	switch (f.row->type) {
	case OPT_FLAG:
		*(bool *)f.target = true;
		break;
	case OPT_SET:
		*(int *)f.target = f.row->value;
		break;
	case OPT_COUNT:
		++*(int *)f.target;
		break;
	case OPT_TEXT:
		*(const char **)f.target = arg;
		break;
	case OPT_LIST:
		list_add(f.target, arg);
		break;
	case OPT_NUMBER:
		rc = str_to_u64(arg, &number);
		if (rc == 0 && f.row->max > 0 &&
		    (number < f.row->min || number > f.row->max))
			rc = -ERANGE;
		if (rc == 0)
			*(uint64_t *)f.target = number;
		break;
	case OPT_SIZE:
		rc = str_to_size(arg, f.target);
		break;
	case OPT_DURATION:
		rc = str_to_duration(arg, f.target);
		break;
	case OPT_WORD:
		rc = word_index(f.row->arg, arg);
		if (rc >= 0) {
			*(int *)f.target = rc;
			rc = 0;
		}
		break;
	}
	return rc;
}

static enum status bad_argument(const struct opt_row *r, const char *arg,
    int rc)
{
	static const char *const wants[] = {
		[OPT_NUMBER] = "a whole number",
		[OPT_SIZE] = "a size such as 4k, 10M or 1G",
		[OPT_DURATION] = "a time such as 30s, 5m, 2h or 7d",
	};
	char title[80];

	opt_title(r, title, sizeof(title));
	if (r->type == OPT_WORD)
		return err_usage(NULL, "%s does not know \"%s\"", title, arg);
	if (rc == -ERANGE && r->max > 0)
		return err_usage(NULL, "%s: %s is not in %llu to %llu", title,
		    arg, (unsigned long long)r->min,
		    (unsigned long long)r->max);
	return err_usage(NULL, "%s wants %s, not \"%s\"", title,
	    wants[r->type] ? wants[r->type] : "something else", arg);
}

/* `attached`: text that stands with the option ("--n=5", "-n5") or NULL. */
static enum status take(struct found f, const char *attached, struct cursor *c)
{
	const char *arg = attached;
	int rc;

	if (takes_argument(f.row) && !arg) {
		if (c->at >= c->argc) {
			char title[80];

			opt_title(f.row, title, sizeof(title));
			return err_usage(NULL, "%s wants an argument", title);
		}
		arg = c->argv[c->at++];
	}
	rc = store(f, arg);
	return rc < 0 ? bad_argument(f.row, arg, rc) : STATUS_OK;
}

static enum status unknown_long(const struct opt_parse *p, const char *name,
    size_t n)
{
	const char *best = NULL;
	char text[64];

	str_copy_span(text, sizeof(text), (struct span){ name, n });
	for (size_t i = 0; i < p->n_targets && !best; i++)
		best = err_nearest(text, &p->targets[i].table->rows->name,
		    p->targets[i].table->n, sizeof(struct opt_row));
	if (best)
		return err_usage(NULL, "no option --%s; did you mean --%s?",
		    text, best);
	return err_usage("--help lists the options", "no option --%s", text);
}

static enum status long_option(const struct opt_parse *p, const char *word,
    struct cursor *c)
{
	const char *name = word + 2;
	const size_t n = strcspn(name, "=");
	const char *attached = name[n] == '=' ? name + n + 1 : NULL;
	const struct found f = find(p, name, n, 0);

	if (!f.row)
		return unknown_long(p, name, n);
	if (attached && !takes_argument(f.row))
		return err_usage(NULL, "--%s takes no argument", f.row->name);
	return take(f, attached, c);
}

static enum status letters(const struct opt_parse *p, const char *word,
    struct cursor *c)
{
	for (const char *l = word + 1; *l; l++) {
		const struct found f = find(p, NULL, 0, *l);
		enum status st;

		if (!f.row)
			return err_usage("--help lists the options",
			    "no option -%c", *l);
		if (takes_argument(f.row))
			return take(f, l[1] ? l + 1 : NULL, c);
		st = take(f, NULL, c);
		if (st != STATUS_OK)
			return st;
	}
	return STATUS_OK;
}

enum status opt_parse(struct opt_parse *p, int argc, char **argv)
{
	struct cursor c = { argc, argv, 0 };
	bool ended = false;

	while (c.at < argc) {
		const char *word = argv[c.at];
		enum status st = STATUS_OK;

		if (ended || word[0] != '-' || word[1] == '\0') {
			if (p->stop_at_word)
				break;
			p->words[p->n_words++] = word;
			c.at++;
			continue;
		}
		c.at++;
		if (strcmp(word, "--") == 0)
			ended = true;
		else if (word[1] == '-')
			st = long_option(p, word, &c);
		else
			st = letters(p, word, &c);
		if (st != STATUS_OK)
			return st;
	}
	p->used = c.at;
	return STATUS_OK;
}

void opt_title(const struct opt_row *r, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);

	if (r->letter)
		strbuf_addf(&b, "-%c%s", r->letter, r->name ? ", " : "");
	if (r->name)
		strbuf_addf(&b, "--%s", r->name);
	if (r->arg)
		strbuf_addf(&b, " %s", r->arg);
}

void opt_print(FILE *out, const struct opt_table *t)
{
	fprintf(out, "\n%s:\n", t->title);
	for (size_t i = 0; i < t->n; i++) {
		char title[80];

		opt_title(&t->rows[i], title, sizeof(title));
		fprintf(out, "  %-28s %s\n", title, t->rows[i].help);
	}
}

int opt_store_path(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	uint64_t n;

	if (text[0] == 'M' && strlen(text) == 3 && strchr(hex, text[1]) &&
	    strchr(hex, text[2]))
		return (int)(16 * (strchr(hex, text[1]) - hex) +
		             (strchr(hex, text[2]) - hex));
	if (str_to_u64(text, &n) < 0 || n > 255)
		return -EINVAL;
	return (int)n;
}
