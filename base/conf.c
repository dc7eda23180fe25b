/* SPDX-License-Identifier: MIT */
/*
 * Items meet the table of keys. What a file says and what is used may differ
 * in a dozen ways; each difference is one line in the log that names the
 * place, the text and the value in force.
 */
#include "base/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_file.h"
#include "base/log.h"
#include "base/str.h"

#define SHOWN_MAX (CONF_VALUE_MAX + 1)

/* One run of conf_apply. */
struct apply {
	struct conf_file *cf;
	const struct conf_key *keys;
	size_t n;
	char *err;
	size_t cap;
};

static bool is_named(const struct conf_item *it, const char *section,
    const char *name)
{
	return strcmp(it->section, section) == 0 && strcmp(it->name, name) == 0;
}

struct conf_item *conf_find(const struct conf_file *cf, const char *section,
    const char *name)
{
	struct conf_item *found = NULL;

	for (size_t i = 0; i < cf->n_items; i++) {
		if (is_named(&cf->items[i], section, name))
			found = &cf->items[i];
	}
	return found;
}

static void mark_known(struct conf_file *cf, const char *section,
    const char *name)
{
	for (size_t i = 0; i < cf->n_items; i++) {
		if (is_named(&cf->items[i], section, name))
			cf->items[i].known = true;
	}
}

const char *conf_get(struct conf_file *cf, const char *section,
    const char *name)
{
	const struct conf_item *it = conf_find(cf, section, name);

	mark_known(cf, section, name);
	return it ? it->value : NULL;
}

void conf_know(struct conf_file *cf, const char *section, const char *pattern)
{
	cf->patterns =
	    xrealloc(cf->patterns, cf->n_patterns + 1, sizeof(*cf->patterns));
	cf->patterns[cf->n_patterns++] = (struct conf_pattern){
		.section = conf_own(cf, xstrdup(section)),
		.text = conf_own(cf, xstrdup(pattern)),
	};
}

/* Is name the pattern with digits in place of '#'? */
static bool fits(const char *name, const char *pattern)
{
	const char *hash = strchr(pattern, '#');
	const size_t head = hash ? (size_t)(hash - pattern) : 0;
	size_t digits;

	if (!hash)
		return strcmp(name, pattern) == 0;
	if (strncmp(name, pattern, head) != 0)
		return false;
	digits = strspn(name + head, "0123456789");
	return digits > 0 && strcmp(name + head + digits, hash + 1) == 0;
}

bool conf_is_numbered(const struct conf_file *cf, const struct conf_item *it)
{
	for (size_t i = 0; i < cf->n_patterns; i++) {
		if (strcmp(it->section, cf->patterns[i].section) == 0 &&
		    fits(it->name, cf->patterns[i].text))
			return true;
	}
	return false;
}

/* --- one key ------------------------------------------------------------ */

static ATTR_PRINTF(3, 4) int bad(struct apply *ap, const struct conf_item *it,
    const char *fmt, ...)
{
	struct strbuf b = strbuf_over(ap->err, ap->cap);
	va_list args;

	if (it)
		strbuf_addf(&b, "%s:%u: ", it->file, it->line);
	else
		strbuf_addf(&b, "%s: ", ap->cf->path);
	va_start(args, fmt);
	if (!b.failed)
		vsnprintf(b.buf + b.len, b.cap - b.len, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* The same name in a section where nobody looks for it. */
static const struct conf_item *find_astray(const struct conf_file *cf,
    const struct conf_key *k)
{
	for (size_t i = 0; i < cf->n_items; i++) {
		if (strcmp(cf->items[i].name, k->name) == 0 &&
		    strcmp(cf->items[i].section, k->section) != 0)
			return &cf->items[i];
	}
	return NULL;
}

static int missing(struct apply *ap, const struct conf_key *k)
{
	const struct conf_item *it = find_astray(ap->cf, k);

	if (it && k->section[0] == '\0')
		return bad(ap, it,
		    "%s stands below [%s], where it is not read; move it above "
		    "the first section",
		    k->name, it->section);
	return bad(ap, NULL, "%s is missing: %s", k->name, k->help);
}

static void *field_of(const struct conf_key *k, void *target)
{
	return (char *)target + k->offset;
}

static int apply_value(struct apply *ap, const struct conf_key *k,
    const struct conf_item *it, void *field)
{
	const bool secret = k->flags & CONF_SECRET;
	char note[160] = "";
	char used[SHOWN_MAX];
	const int rc = conf_value_read(k, it->value, field, note, sizeof(note));

	if (rc < 0)
		return bad(ap, it, "%s = %s: %s", k->name,
		    secret ? "********" : it->value, note);
	if (rc > 0)
		log_always(LOG_LEVEL_WARN, "conf_value",
		    "at=%s:%u name=%s value='%s' used='%s': %s", it->file,
		    it->line, k->name, secret ? "********" : it->value,
		    conf_value_print(k, field, used, sizeof(used)), note);
	return 0;
}

static int apply_single(struct apply *ap, const struct conf_key *k, void *field)
{
	const struct conf_item *it = conf_find(ap->cf, k->section, k->name);
	const bool empty = it && it->value[0] == '\0';

	if (empty && ((k->flags & CONF_REQUIRED) || k->type == CONF_TIME ||
	                 k->type == CONF_RESERVE))
		return bad(ap, it, "%s has no value: %s", k->name, k->help);
	if (!it && (k->flags & CONF_REQUIRED))
		return missing(ap, k);
	if (it && !empty)
		return apply_value(ap, k, it, field);
	conf_value_default(k, field);
	return 0;
}

static int apply_list(struct apply *ap, const struct conf_key *k, void *field)
{
	struct conf_list *out = field;
	const struct conf_file *cf = ap->cf;
	const char **values =
	    conf_own(ap->cf, xcalloc(cf->n_items + 1, sizeof(*values)));
	size_t n = 0;

	for (size_t i = 0; i < cf->n_items; i++) {
		const struct conf_item *it = &cf->items[i];

		if (is_named(it, k->section, k->name) && it->value[0] != '\0')
			values[n++] = it->value;
	}
	if (n == 0 && (k->flags & CONF_REQUIRED))
		return missing(ap, k);
	*out = (struct conf_list){ values, n };
	return 0;
}

/* --- items nobody asked for --------------------------------------------- */

static bool has_key(const struct apply *ap, const char *section,
    const char *name)
{
	for (size_t i = 0; i < ap->n; i++) {
		if (strcmp(ap->keys[i].section, section) == 0 &&
		    strcmp(ap->keys[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The key most like the name; NULL when none is near. */
static const struct conf_key *nearest(const struct apply *ap,
    const struct conf_item *it)
{
	const struct conf_key *best = NULL;
	size_t limit = 2 + strlen(it->name) / 4;

	for (size_t i = 0; i < ap->n; i++) {
		const struct conf_key *k = &ap->keys[i];
		/* One of another section only when it is much nearer. */
		const size_t far = str_distance(it->name, k->name) +
		                   (strcmp(it->section, k->section) != 0);

		if (far < limit) {
			limit = far;
			best = k;
		}
	}
	return best;
}

static void warn_stranger(const struct apply *ap, const struct conf_item *it)
{
	const struct conf_key *near;

	if (it->section[0] != '\0' && has_key(ap, "", it->name)) {
		log_always(LOG_LEVEL_WARN, "conf_key_hidden",
		    "at=%s:%u name=%s section=%s: not read here; move it above "
		    "the first section",
		    it->file, it->line, it->name, it->section);
		return;
	}
	near = nearest(ap, it);
	if (!near)
		log_always(LOG_LEVEL_WARN, "conf_key_unknown",
		    "at=%s:%u name=%s: has no effect", it->file, it->line,
		    it->name);
	else if (near->section[0] != '\0')
		log_always(LOG_LEVEL_WARN, "conf_key_unknown",
		    "at=%s:%u name=%s: has no effect; did you mean %s in [%s]?",
		    it->file, it->line, it->name, near->name, near->section);
	else
		log_always(LOG_LEVEL_WARN, "conf_key_unknown",
		    "at=%s:%u name=%s: has no effect; did you mean %s?",
		    it->file, it->line, it->name, near->name);
}

static void warn_strangers(const struct apply *ap)
{
	for (size_t i = 0; i < ap->cf->n_items; i++) {
		struct conf_item *it = &ap->cf->items[i];

		if (it->known || it->warned || conf_is_numbered(ap->cf, it))
			continue;
		it->warned = true;
		warn_stranger(ap, it);
	}
}

int conf_apply(struct conf_file *cf, const struct conf_key *keys, size_t n,
    void *target, char *err, size_t cap)
{
	struct apply ap = { cf, keys, n, err, cap };

	for (size_t i = 0; i < n; i++) {
		const struct conf_key *k = &keys[i];
		void *field = field_of(k, target);
		int rc = 0;

		mark_known(cf, k->section, k->name);
		if (k->type == CONF_LIST)
			rc = apply_list(&ap, k, field);
		else if (k->type != CONF_OBSOLETE)
			rc = apply_single(&ap, k, field);
		if (rc < 0)
			return rc;
	}
	warn_strangers(&ap);
	return 0;
}
