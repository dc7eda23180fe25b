/* SPDX-License-Identifier: MIT */
#include "cli/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/fileid.h"

#define ROW(l, nm, ty, member, ...)                                            \
	{                                                                      \
		.letter = (l), .name = (nm), .type = (ty),                     \
		.offset = offsetof(struct filter_options, member), __VA_ARGS__ \
	}

const struct opt_row filter_rows[FILTER_ROWS] = {
	ROW(0, "id", OPT_LIST, ids, .arg = "ID",
	    .help = "this file; may be given several times"),
	ROW(0, "id-prefix", OPT_TEXT, id_prefix, .arg = "TEXT",
	    .help = "ids that begin so, group1/M00/0A"),
	ROW(0, "name", OPT_TEXT, name, .arg = "GLOB",
	    .help = "original name, with * ? and [a-z]"),
	ROW(0, "iname", OPT_TEXT, iname, .arg = "GLOB",
	    .help = "the same, upper or lower case"),
	ROW(0, "name-contains", OPT_TEXT, name_contains, .arg = "TEXT",
	    .help = "original name has TEXT in it"),
	ROW(0, "meta", OPT_LIST, meta, .arg = "COND",
	    .help = "metadata: KEY, !KEY, KEY=VALUE or KEY=GLOB, KEY!=VALUE, "
	            "KEY>=N, KEY>N, KEY<=N, KEY<N"),
	ROW(0, "size", OPT_TEXT, size, .arg = "RANGE",
	    .help = "+10M larger, -4k smaller, 1M..1G between, 0 exactly"),
	ROW(0, "age", OPT_TEXT, age, .arg = "RANGE",
	    .help = "+90d older, -7d younger, 1d..7d between"),
	ROW(0, "created", OPT_TEXT, created, .arg = "WHEN",
	    .help = "today, yesterday, a date, a month, DATE..DATE (the last "
	            "one excluded), -7d for since then"),
	ROW(0, "modified", OPT_TEXT, modified, .arg = "WHEN",
	    .help = "last change, written like --created"),
	ROW(0, "ext", OPT_LIST, exts, .arg = "LIST",
	    .help = "extensions, upper or lower case: jpg,png"),
	ROW(0, "no-ext", OPT_FLAG, no_ext, .help = "without extension"),
	ROW(0, "type", OPT_TEXT, types, .arg = "LIST",
	    .help = "normal, appender, slave, trunk, link"),
	ROW('g', "group", OPT_TEXT, groups, .arg = "LIST", .help = "groups"),
	ROW('P', "path", OPT_LIST, paths, .arg = "LIST",
	    .help = "store paths, M02 or 2"),
	ROW(0, "dir", OPT_TEXT, dir, .arg = "A[/B]",
	    .help = "directory below the store path"),
	ROW('S', "storage", OPT_LIST, sources, .arg = "LIST",
	    .help = "storages that took the upload, by id or address"),
	ROW(0, "client", OPT_LIST, clients, .arg = "LIST",
	    .help = "addresses that uploaded; * is allowed"),
	ROW(0, "crc", OPT_TEXT, crc, .arg = "HEX", .help = "crc32 of content"),
	ROW(0, "status", OPT_WORD, status, .arg = "ok|deleted",
	    .help = "files that are there (as always), or that were deleted"),
};

static const char *const type_words[] = { "normal", "appender", "slave",
	"trunk", "link" };

static void list_add(struct filter_list *l, const char *p, size_t n)
{
	char *text = xcalloc(n + 1, 1);

	memcpy(text, p, n);
	l->items = xrealloc(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n++] = text;
}

static void list_free(struct filter_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static struct query_list as_query(const struct filter_list *l)
{
	return (struct query_list){ (const char *const *)l->items, l->n };
}

/* Every comma-separated word of every text. */
static void list_add_words(struct filter_list *l, const struct opt_list *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const char *p = from->items[i];

		for (;;) {
			const size_t n = strcspn(p, ",");

			list_add(l, p, n);
			if (p[n] == '\0')
				break;
			p += n + 1;
		}
	}
}

static enum status make_ids(const struct filter_options *o, struct filter *f)
{
	for (size_t i = 0; i < o->ids.n; i++) {
		struct span group;
		struct span name;
		size_t at;
		const char *text = o->ids.items[i];

		if (fileid_split(text, &group, &name, &at) == 0)
			list_add(&f->ids, group.p,
			    (size_t)(name.p + name.n - group.p));
		else if (text[0] == 'M')
			list_add(&f->ids, text, strlen(text));
		else
			return err_usage("an id looks like "
			                 "group1/M00/00/0A/NAME.ext",
			    "--id \"%s\" is no file id", text);
	}
	f->f.ids = as_query(&f->ids);
	return STATUS_OK;
}

static void make_exts(const struct filter_options *o, struct filter *f)
{
	list_add_words(&f->exts, &o->exts);
	for (size_t i = 0; i < f->exts.n; i++)
		for (char *c = f->exts.items[i]; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
	if (o->no_ext)
		list_add(&f->exts, "", 0);
	f->f.exts = as_query(&f->exts);
}

static enum status make_types(const struct filter_options *o, struct filter *f)
{
	const char *p = o->types;

	while (p && *p) {
		const size_t n = strcspn(p, ",");
		size_t i = 0;

		while (i < ARRAY_LEN(type_words) &&
		       (strlen(type_words[i]) != n ||
		           strncmp(type_words[i], p, n) != 0))
			i++;
		if (i == ARRAY_LEN(type_words))
			return err_usage("normal, appender, slave, trunk, link",
			    "--type does not know \"%.*s\"", (int)n, p);
		f->f.types |= BIT(i);
		p += n + (p[n] == ',');
	}
	return STATUS_OK;
}

static enum status make_paths(const struct filter_options *o, struct filter *f)
{
	struct filter_list words = { NULL, 0 };
	enum status st = STATUS_OK;

	list_add_words(&words, &o->paths);
	f->paths = xcalloc(words.n, sizeof(*f->paths));
	for (size_t i = 0; i < words.n && st == STATUS_OK; i++) {
		const char *w = words.items[i];
		const int n = opt_store_path(w);

		if (n < 0)
			st = err_usage("write M02 or 2",
			    "-P: \"%s\" is no store path", w);
		f->paths[f->f.n_paths++] = (unsigned)n;
	}
	f->f.paths = f->paths;
	list_free(&words);
	return st;
}

static const struct meta_operator {
	const char *text;
	enum meta_test test;
} operators[] = {
	{ "!=", META_DIFFERS },
	{ ">=", META_AT_LEAST },
	{ "<=", META_AT_MOST },
	{ ">", META_MORE },
	{ "<", META_LESS },
	{ "=", META_EQUALS },
};

static bool is_number(const char *s)
{
	char *end;

	(void)strtod(s, &end);
	return end != s && *end == '\0';
}

/* The earliest operator in the text; of those that begin there the longest,
 * which stands first in the table. */
static const struct meta_operator *find_operator(const char *text,
    const char **at)
{
	const char *p = strpbrk(text[0] == '!' ? text + 1 : text, "!<>=");

	for (size_t i = 0; p && i < ARRAY_LEN(operators); i++)
		if (strncmp(p, operators[i].text, strlen(operators[i].text)) ==
		    0) {
			*at = p;
			return &operators[i];
		}
	return NULL;
}

static enum status make_condition(const char *text, struct filter *f,
    struct meta_condition *c)
{
	const char *at = NULL;
	const struct meta_operator *op = find_operator(text, &at);

	if (!op) {
		c->test = text[0] == '!' ? META_ABSENT : META_EXISTS;
		list_add(&f->keys, text + (text[0] == '!'),
		    strlen(text) - (text[0] == '!'));
	} else {
		c->test = op->test;
		c->value = at + strlen(op->text);
		list_add(&f->keys, text, (size_t)(at - text));
		if (c->test == META_EQUALS && strpbrk(c->value, "*?["))
			c->test = META_GLOB;
		if (c->test >= META_LESS && !is_number(c->value))
			return err_usage(NULL,
			    "--meta \"%s\": %s compares numbers, and \"%s\" "
			    "is none",
			    text, op->text, c->value);
	}
	c->key = f->keys.items[f->keys.n - 1];
	if (c->key[0] == '\0')
		return err_usage(NULL, "--meta \"%s\": the key is empty", text);
	return STATUS_OK;
}

static enum status make_meta(const struct filter_options *o, struct filter *f)
{
	enum status st = STATUS_OK;

	f->meta = xcalloc(o->meta.n, sizeof(*f->meta));
	for (size_t i = 0; i < o->meta.n && st == STATUS_OK; i++)
		st = make_condition(o->meta.items[i], f, &f->meta[i]);
	f->f.meta = f->meta;
	f->f.n_meta = o->meta.n;
	return st;
}

static enum status bad_range(const char *option, const char *text,
    const char *todo)
{
	return err_usage(todo, "--%s: \"%s\" is no range", option, text);
}

static enum status make_ranges(const struct filter_options *o, int64_t now,
    struct filter *f)
{
	static const char when[] = "write today, 2026-11-01, "
	                           "2026-11-01..2026-11-08 or -7d";

	if (o->age && o->created)
		return err_usage(NULL, "--age and --created say the same "
		                       "thing; give one of them");
	if (o->size && filter_size(o->size, &f->f.size) < 0)
		return bad_range("size", o->size,
		    "write +10M, -4k, 1M..1G or 0");
	if (o->age && filter_age(o->age, now, &f->f.created) < 0)
		return bad_range("age", o->age, "write +90d, -7d or 1d..7d");
	if (o->created && filter_time(o->created, now, &f->f.created) < 0)
		return bad_range("created", o->created, when);
	if (o->modified && filter_time(o->modified, now, &f->f.modified) < 0)
		return bad_range("modified", o->modified, when);
	return STATUS_OK;
}

static enum status make_crc(const struct filter_options *o, struct filter *f)
{
	const char *p = o->crc;
	char *end;
	unsigned long n;

	if (!p)
		return STATUS_OK;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	n = strtoul(p, &end, 16);
	if (!*p || *end || strspn(p, "0123456789abcdefABCDEF") != strlen(p) ||
	    n > UINT32_MAX)
		return err_usage("write eight hexadecimal digits",
		    "--crc: \"%s\" is no crc32", o->crc);
	f->f.has_crc = true;
	f->f.crc = (uint32_t)n;
	return STATUS_OK;
}

enum status filter_make(const struct filter_options *o, int64_t now,
    struct filter *out)
{
	enum status st;

	memset(out, 0, sizeof(*out));
	out->f.id_prefix = o->id_prefix;
	out->f.name_glob = o->name;
	out->f.name_iglob = o->iname;
	out->f.name_contains = o->name_contains;
	out->f.dir = o->dir;
	out->f.deleted = o->status == 1;
	make_exts(o, out);
	list_add_words(&out->sources, &o->sources);
	list_add_words(&out->clients, &o->clients);
	out->f.sources = as_query(&out->sources);
	out->f.clients = as_query(&out->clients);
	st = make_ids(o, out);
	if (st == STATUS_OK)
		st = make_types(o, out);
	if (st == STATUS_OK)
		st = make_paths(o, out);
	if (st == STATUS_OK)
		st = make_meta(o, out);
	if (st == STATUS_OK)
		st = make_ranges(o, now, out);
	return st == STATUS_OK ? make_crc(o, out) : st;
}

void filter_free(struct filter *f)
{
	list_free(&f->ids);
	list_free(&f->exts);
	list_free(&f->sources);
	list_free(&f->clients);
	list_free(&f->keys);
	free(f->meta);
	free(f->paths);
}
