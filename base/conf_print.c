/* SPDX-License-Identifier: MIT */
/*
 * The configuration for people: what is in force and where it comes from, and
 * the table of keys as help. A section is printed once, in the order in which
 * the table first names it.
 */
#include <stdio.h>
#include <string.h>

#include "base/conf_file.h"
#include "base/str.h"

#define SHOWN_MAX  (CONF_VALUE_MAX + 1)
#define NAME_SHOWN (2 * CONF_NAME_MAX + 8) /* with its section */
#define REMARK_MAX (SHOWN_MAX + 32)

struct print {
	FILE *out;
	const struct conf_file *cf;
	const struct conf_key *keys;
	size_t n;
	const char *target;
};

static const struct conf_key *find_key(const struct print *pr,
    const struct conf_item *it)
{
	for (size_t i = 0; i < pr->n; i++) {
		if (strcmp(pr->keys[i].section, it->section) == 0 &&
		    strcmp(pr->keys[i].name, it->name) == 0)
			return &pr->keys[i];
	}
	return NULL;
}

/* Does an earlier row stand in the same section? */
static bool section_done(const struct conf_key *keys, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (strcmp(keys[j].section, keys[i].section) == 0)
			return true;
	}
	return false;
}

static bool section_known(const struct print *pr, const char *section)
{
	for (size_t i = 0; i < pr->n; i++) {
		if (strcmp(pr->keys[i].section, section) == 0)
			return true;
	}
	return false;
}

/* Any byte may stand in a file; only harmless ones go to the terminal. */
static void print_row(const struct print *pr, const char *name,
    const char *value, const struct conf_item *it, const char *remark)
{
	char safe_name[4 * NAME_SHOWN];
	char safe[4 * CONF_VALUE_MAX + 1];
	char safe_remark[4 * REMARK_MAX];

	str_escape(safe_name, sizeof(safe_name), name, strlen(name));
	str_escape(safe, sizeof(safe), value, strlen(value));
	str_escape(safe_remark, sizeof(safe_remark), remark, strlen(remark));
	fprintf(pr->out, "%s = %s  # ", safe_name, safe);
	if (it)
		fprintf(pr->out, "%s:%u", it->file, it->line);
	else
		fputs("default", pr->out);
	fprintf(pr->out, "%s\n", safe_remark);
}

static void print_head(const struct print *pr, const char *section)
{
	char safe[4 * CONF_NAME_MAX + 1];

	str_escape(safe, sizeof(safe), section, strlen(section));
	fprintf(pr->out, "\n[%s]\n", safe);
}

static const char *shown(const struct conf_key *k, const char *text)
{
	return (k->flags & CONF_SECRET) && text[0] != '\0' ? "********" : text;
}

static void print_list(const struct print *pr, const struct conf_key *k)
{
	bool any = false;

	for (size_t i = 0; i < pr->cf->n_items; i++) {
		const struct conf_item *it = &pr->cf->items[i];

		if (strcmp(it->section, k->section) != 0 ||
		    strcmp(it->name, k->name) != 0 || it->value[0] == '\0')
			continue;
		print_row(pr, k->name, shown(k, it->value), it, "");
		any = true;
	}
	if (!any)
		print_row(pr, k->name, k->dflt ? k->dflt : "", NULL, "");
}

static void print_key(const struct print *pr, const struct conf_key *k)
{
	const struct conf_item *it = conf_find(pr->cf, k->section, k->name);
	char value[SHOWN_MAX];
	char remark[REMARK_MAX] = "";
	char note[160];
	union {
		bool b;
		int64_t i;
		uint64_t u;
		const char *s;
		struct conf_reserve r;
	} again;

	if (k->type == CONF_OBSOLETE)
		return;
	if (k->type == CONF_LIST) {
		print_list(pr, k);
		return;
	}
	if (it && it->value[0] == '\0')
		it = NULL;
	conf_value_print(k, pr->target + k->offset, value, sizeof(value));
	if (it &&
	    conf_value_read(k, it->value, &again, note, sizeof(note)) != 0)
		snprintf(remark, sizeof(remark), ", which says '%s'",
		    shown(k, it->value));
	print_row(pr, k->name, value, it, remark);
}

/* Items of a section that came by conf_get or conf_know. */
static void print_others(const struct print *pr, const char *section)
{
	for (size_t i = 0; i < pr->cf->n_items; i++) {
		const struct conf_item *it = &pr->cf->items[i];

		if (strcmp(it->section, section) == 0 && !find_key(pr, it) &&
		    (it->known || conf_is_numbered(pr->cf, it)))
			print_row(pr, it->name, it->value, it, "");
	}
}

static void print_section(const struct print *pr, const char *section)
{
	if (section[0] != '\0')
		print_head(pr, section);
	for (size_t i = 0; i < pr->n; i++) {
		if (strcmp(pr->keys[i].section, section) == 0)
			print_key(pr, &pr->keys[i]);
	}
	print_others(pr, section);
}

/* Sections that only conf_get or conf_know speak of. */
static void print_other_sections(const struct print *pr)
{
	const char *last = "";

	for (size_t i = 0; i < pr->cf->n_items; i++) {
		const struct conf_item *it = &pr->cf->items[i];

		if (section_known(pr, it->section) ||
		    !(it->known || conf_is_numbered(pr->cf, it)))
			continue;
		if (strcmp(it->section, last) != 0)
			print_head(pr, it->section);
		last = it->section;
		print_row(pr, it->name, it->value, it, "");
	}
}

static void print_idle(const struct print *pr)
{
	bool any = false;

	for (size_t i = 0; i < pr->cf->n_items; i++) {
		const struct conf_item *it = &pr->cf->items[i];
		const struct conf_key *k = find_key(pr, it);
		const bool obsolete = k && k->type == CONF_OBSOLETE;
		char name[NAME_SHOWN];

		if (!obsolete && (it->known || conf_is_numbered(pr->cf, it)))
			continue;
		if (!any)
			fputs("\n# without effect:\n", pr->out);
		any = true;
		snprintf(name, sizeof(name), "# %s%s%s", it->section,
		    it->section[0] ? "/" : "", it->name);
		print_row(pr, name, k ? shown(k, it->value) : it->value, it,
		    obsolete ? ", obsolete" : ", unknown");
	}
}

void conf_print(FILE *out, const struct conf_file *cf,
    const struct conf_key *keys, size_t n, const void *target)
{
	const struct print pr = { out, cf, keys, n, target };

	for (size_t i = 0; i < n; i++) {
		if (!section_done(keys, i))
			print_section(&pr, keys[i].section);
	}
	print_other_sections(&pr);
	print_idle(&pr);
}

static void print_help_row(FILE *out, const struct conf_key *k)
{
	static const char *const types[] = {
		[CONF_BOOL] = "true or false",
		[CONF_INT] = "number",
		[CONF_BYTES] = "size",
		[CONF_STR] = "text",
		[CONF_LIST] = "text, repeatable",
		[CONF_TIME] = "HH:MM",
		[CONF_RESERVE] = "percent or size",
		[CONF_WORD] = "word",
		[CONF_OBSOLETE] = "no effect",
	};

	fprintf(out, "  %s\n      %s (%s", k->name, k->help,
	    k->type == CONF_WORD ? k->words : types[k->type]);
	if (k->flags & CONF_REQUIRED)
		fputs(", required", out);
	else if (k->dflt && k->dflt[0] != '\0')
		fprintf(out, ", default %s", k->dflt);
	if (k->flags & CONF_LIVE)
		fputs(", applied by SIGHUP", out);
	if (k->flags & CONF_CLUSTER)
		fputs(", the tracker's value is obeyed", out);
	fputs(")\n", out);
}

void conf_print_help(FILE *out, const struct conf_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (section_done(keys, i))
			continue;
		if (keys[i].section[0] != '\0')
			fprintf(out, "[%s]\n", keys[i].section);
		for (size_t j = i; j < n; j++) {
			if (strcmp(keys[j].section, keys[i].section) == 0)
				print_help_row(out, &keys[j]);
		}
	}
}
