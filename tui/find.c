/* SPDX-License-Identifier: MIT */
#include "tui/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/fileid.h"

struct term {
	char *field;
	char op[3]; /* "" alone, "=", "!=", "<", "<=", ">", ">=" */
	char *value;
	wall_t now;
};

static const char *const type_names[] = { "normal", "appender", "slave",
	"trunk", "link" };

bool find_is_id(const char *text, struct span *group, struct span *name)
{
	struct fileid_name parsed;
	size_t at;

	return fileid_split(text, group, name, &at) == 0 &&
	       fileid_parse(*name, &parsed) == 0;
}

/* Cuts at commas. Gives how many, at most FIND_LIST. */
static size_t cut_list(char *value, const char *items[FIND_LIST])
{
	size_t n = 0;
	char *save = NULL;

	for (char *item = strtok_r(value, ",", &save); item && n < FIND_LIST;
	     item = strtok_r(NULL, ",", &save))
		items[n++] = item;
	return n;
}

typedef int (*parse_value)(const char *text, int64_t *out);

static int parse_size(const char *text, int64_t *out)
{
	uint64_t v;
	const int rc = str_to_size(text, &v);

	if (rc < 0 || v > INT64_MAX / 2)
		return -EINVAL;
	*out = (int64_t)v;
	return 0;
}

/* op value, or a..b, as a range [min, max). */
static int to_range(const struct term *t, parse_value parse,
    struct query_range *r)
{
	char *dots = strstr(t->value, "..");
	int64_t v;

	if (t->op[0] == '=' && dots) {
		*dots = '\0';
		r->has_min = t->value[0] != '\0';
		r->has_max = dots[2] != '\0';
		if (r->has_min && parse(t->value, &r->min) < 0)
			return -EINVAL;
		if (r->has_max && parse(dots + 2, &r->max) < 0)
			return -EINVAL;
		r->max += r->has_max;
		return 0;
	}
	if (t->op[0] == '!' || t->op[0] == '\0' || parse(t->value, &v) < 0)
		return -EINVAL;
	if (t->op[0] != '<') {
		r->has_min = true;
		r->min = v + (t->op[0] == '>' && !t->op[1]);
	}
	if (t->op[0] != '>') {
		r->has_max = true;
		r->max = v + (t->op[0] == '=' || t->op[1] == '=');
	}
	return 0;
}

static int add_size(struct find *f, const struct term *t)
{
	return to_range(t, parse_size, &f->filter.size);
}

static int add_age(struct find *f, const struct term *t)
{
	struct query_range *r = &f->filter.created;
	int64_t seconds;

	if (str_to_duration(t->value, &seconds) < 0)
		return -EINVAL;
	if (t->op[0] == '<') {
		r->has_min = true;
		r->min = t->now - seconds * 1000;
	} else if (t->op[0] == '>') {
		r->has_max = true;
		r->max = t->now - seconds * 1000;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int add_ext(struct find *f, const struct term *t)
{
	if (t->op[0] != '=' && t->op[0] != '!')
		return -EINVAL;
	f->filter.exts.n = cut_list(t->value, f->exts);
	f->filter.exts.items = f->exts;
	f->filter.exts_not = t->op[0] == '!';
	return 0;
}

static int add_source(struct find *f, const struct term *t)
{
	f->filter.sources.n = cut_list(t->value, f->sources);
	f->filter.sources.items = f->sources;
	return t->op[0] == '=' && t->op[1] == '\0' ? 0 : -EINVAL;
}

static int add_client(struct find *f, const struct term *t)
{
	f->filter.clients.n = cut_list(t->value, f->clients);
	f->filter.clients.items = f->clients;
	return t->op[0] == '=' ? 0 : -EINVAL;
}

static int add_path(struct find *f, const struct term *t)
{
	const char *items[FIND_LIST];
	const size_t n = cut_list(t->value, items);

	for (size_t i = 0; i < n; i++) {
		char *end;
		const char *p = items[i] + (items[i][0] == 'M');

		f->paths[i] = (unsigned)strtoul(p, &end, 16);
		if (end == p || *end != '\0' || f->paths[i] > 255)
			return -EINVAL;
	}
	f->filter.paths = f->paths;
	f->filter.n_paths = n;
	return t->op[0] == '=' ? 0 : -EINVAL;
}

static int add_type(struct find *f, const struct term *t)
{
	const char *items[FIND_LIST];
	const size_t n = cut_list(t->value, items);

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(type_names) &&
		       strcmp(type_names[k], items[i]) != 0)
			k++;
		if (k == ARRAY_LEN(type_names))
			return -EINVAL;
		f->filter.types |= BIT(k);
	}
	return t->op[0] == '=' && n > 0 ? 0 : -EINVAL;
}

static int add_crc(struct find *f, const struct term *t)
{
	char *end;

	f->filter.has_crc = true;
	f->filter.crc = (uint32_t)strtoul(t->value, &end, 16);
	return t->op[0] == '=' && end != t->value && *end == '\0' ? 0 : -EINVAL;
}

static int add_name(struct find *f, const struct term *t)
{
	f->filter.name_iglob = t->value;
	return t->op[0] == '=' ? 0 : -EINVAL;
}

static int add_id(struct find *f, const struct term *t)
{
	f->filter.id_prefix = t->value;
	return t->op[0] == '=' ? 0 : -EINVAL;
}

static int add_dir(struct find *f, const struct term *t)
{
	f->filter.dir = t->value;
	return t->op[0] == '=' ? 0 : -EINVAL;
}

static const struct {
	const char *name;
	int (*add)(struct find *f, const struct term *t);
	const char *form;
} find_fields[] = {
	{ "name", add_name, "name=GLOB" },
	{ "ext", add_ext, "ext=jpg,png or ext!=tmp" },
	{ "size", add_size, "size>10M, size<4k or size=1M..2M" },
	{ "age", add_age, "age<7d or age>1h" },
	{ "type", add_type, "type=normal,appender,slave,trunk,link" },
	{ "source", add_source, "source=ID" },
	{ "client", add_client, "client=ADDRESS" },
	{ "path", add_path, "path=M00" },
	{ "dir", add_dir, "dir=C4 or dir=C4/07" },
	{ "id", add_id, "id=group1/M00/0A" },
	{ "crc", add_crc, "crc=11ce90f3" },
};

static bool is_glob(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

static int add_meta(struct find *f, const struct term *t, bool absent)
{
	struct meta_condition *m = &f->meta[f->filter.n_meta];

	if (f->filter.n_meta == FIND_LIST || t->field[5] == '\0')
		return -EINVAL;
	*m = (struct meta_condition){ .key = t->field + 5, .value = t->value };
	if (t->op[0] == '\0')
		m->test = absent ? META_ABSENT : META_EXISTS;
	else if (strcmp(t->op, "=") == 0)
		m->test = is_glob(t->value) ? META_GLOB : META_EQUALS;
	else if (strcmp(t->op, "!=") == 0)
		m->test = META_DIFFERS;
	else if (t->op[0] == '<')
		m->test = t->op[1] ? META_AT_MOST : META_LESS;
	else
		m->test = t->op[1] ? META_AT_LEAST : META_MORE;
	f->filter.meta = f->meta;
	f->filter.n_meta++;
	return 0;
}

static int add_word(struct find *f, const char *word, char *err, size_t cap)
{
	if (strcmp(word, "deleted") == 0) {
		f->filter.deleted = true;
		return 0;
	}
	if (f->filter.name_contains) {
		snprintf(err, cap, "only one word of a name at a time: '%s'",
		    word);
		return -EINVAL;
	}
	f->filter.name_contains = word;
	return 0;
}

static int add_term(struct find *f, char *word, wall_t now, char *err,
    size_t cap)
{
	const bool absent = *word == '!';
	struct term t = { .field = word + absent,
		.value = word + strlen(word),
		.now = now };
	char *at = strpbrk(t.field, "=<>!");

	if (at) {
		t.op[0] = *at;
		*at++ = '\0';
		if (*at == '=') {
			t.op[1] = '=';
			at++;
		}
		t.value = at;
	}
	if (strncmp(t.field, "meta.", 5) == 0) {
		if (add_meta(f, &t, absent) == 0)
			return 0;
		snprintf(err, cap, "meta: write meta.KEY=VALUE");
		return -EINVAL;
	}
	if (!at && !absent)
		return add_word(f, t.field, err, cap);
	for (size_t i = 0; at && !absent && i < ARRAY_LEN(find_fields); i++) {
		if (strcmp(find_fields[i].name, t.field) != 0)
			continue;
		if (find_fields[i].add(f, &t) == 0)
			return 0;
		snprintf(err, cap, "%s: write %s", t.field,
		    find_fields[i].form);
		return -EINVAL;
	}
	snprintf(err, cap, "there is no field %s", t.field);
	return -EINVAL;
}

int find_parse(const char *text, wall_t now, struct find *out, char *err,
    size_t cap)
{
	char *save = NULL;

	*out = (struct find){ 0 };
	if (!str_copy(out->text, sizeof(out->text), text)) {
		snprintf(err, cap, "this is too long");
		return -EINVAL;
	}
	for (char *word = strtok_r(out->text, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		const int rc = add_term(out, word, now, err, cap);

		if (rc < 0)
			return rc;
	}
	return 0;
}
