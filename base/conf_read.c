/* SPDX-License-Identifier: MIT */
/*
 * From files to items. A file is cut into trimmed lines; a line is empty, a
 * comment, a directive, a section or "name = value". Included text is done in
 * the place of its #include. Every line done is counted, so loops and includes
 * that multiply end with an error instead of filling the memory.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/conf_file.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#define FILE_MAX     ((size_t)1024 * 1024)
#define FILES_MAX    256
#define INCLUDES_MAX 10
#define LINE_MAX_LEN 4096

void *conf_own(struct conf_file *cf, void *p)
{
	if (cf->n_owned == cf->cap_owned) {
		cf->cap_owned = cf->cap_owned ? 2 * cf->cap_owned : 32;
		cf->owned =
		    xrealloc(cf->owned, cf->cap_owned, sizeof(*cf->owned));
	}
	cf->owned[cf->n_owned++] = p;
	return p;
}

int conf_fail(struct conf_reader *rd, int rc, const struct conf_source *src,
    unsigned line, const char *fmt, ...)
{
	struct strbuf b = strbuf_over(rd->err, rd->err_cap);
	va_list ap;

	strbuf_addf(&b, "%s:%u: ", src->file, line);
	va_start(ap, fmt);
	if (!b.failed)
		vsnprintf(b.buf + b.len, b.cap - b.len, fmt, ap);
	va_end(ap);
	return rc;
}

/* A copy of at most max bytes that lives as long as cf. */
static const char *keep_cut(struct conf_reader *rd,
    const struct conf_source *src, unsigned line, const char *text, size_t max)
{
	char *copy = conf_own(rd->cf, xstrdup(text));

	if (strlen(copy) > max) {
		copy[max] = '\0';
		log_always(LOG_LEVEL_WARN, "conf_text_cut",
		    "at=%s:%u: only the first %zu bytes of '%.80s...' count",
		    src->file, line, max, copy);
	}
	return copy;
}

static void add_item(struct conf_reader *rd, const struct conf_source *src,
    unsigned line, char *text)
{
	struct conf_file *cf = rd->cf;
	char *equals = strchr(text, '=');
	const char *name;
	const char *value;

	if (!equals)
		return;
	*equals = '\0';
	name = keep_cut(rd, src, line, str_trim(text), CONF_NAME_MAX);
	value = keep_cut(rd, src, line, str_trim(equals + 1), CONF_VALUE_MAX);
	if (name[0] == '\0') {
		log_always(LOG_LEVEL_WARN, "conf_no_name",
		    "at=%s:%u: nothing before the '='", src->file, line);
		return;
	}
	if (cf->n_items == cf->cap_items) {
		cf->cap_items = cf->cap_items ? 2 * cf->cap_items : 64;
		cf->items =
		    xrealloc(cf->items, cf->cap_items, sizeof(*cf->items));
	}
	cf->items[cf->n_items++] = (struct conf_item){
		.section = rd->section,
		.name = name,
		.value = value,
		.file = src->file,
		.line = line,
	};
}

/* "[name]": false when the line is no section after all. */
static bool take_section(struct conf_reader *rd, const struct conf_source *src,
    unsigned line, char *text)
{
	const size_t n = strlen(text);

	if (text[0] != '[' || text[n - 1] != ']')
		return false;
	text[n - 1] = '\0';
	rd->section =
	    keep_cut(rd, src, line, str_trim(text + 1), CONF_NAME_MAX);
	return true;
}

/* --- files -------------------------------------------------------------- */

/* Cuts text into trimmed lines, in place. */
static struct conf_line *split_lines(char *text, size_t *n)
{
	size_t cap = 64;
	struct conf_line *lines = xcalloc(cap, sizeof(*lines));
	char *next = text;

	for (*n = 0; next; (*n)++) {
		char *end = strchr(next, '\n');

		if (*n == cap) {
			cap *= 2;
			lines = xrealloc(lines, cap, sizeof(*lines));
		}
		if (end)
			*end = '\0';
		lines[*n] =
		    (struct conf_line){ str_trim(next), (unsigned)*n + 1 };
		next = end ? end + 1 : NULL;
	}
	return lines;
}

/* Does one file; the caller has seen to the limits. */
static int run_file(struct conf_reader *rd, const char *path,
    const struct conf_source *from, unsigned line)
{
	struct conf_source src = {
		.file = conf_own(rd->cf, xstrdup(path)),
	};
	char *text = NULL;
	const ssize_t n = fs_read_file(path, FILE_MAX, &text);
	int rc = (int)n;

	if (n < 0 && from)
		return conf_fail(rd, rc, from, line,
		    "cannot read %s, which is included here: %s", path,
		    errstr(rc));
	if (n < 0) {
		snprintf(rd->err, rd->err_cap, "cannot read %s: %s", path,
		    errstr(rc));
		return rc;
	}
	if (memchr(text, '\0', (size_t)n)) {
		rc = conf_fail(rd, -EINVAL, &src, 1,
		    "the file holds a NUL byte, so it is no text");
		goto free_text;
	}
	src.lines = split_lines(
	    text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0), &src.n);
	rd->section = "";
	rc = conf_run_lines(rd, &src, 0, src.n);
	rd->section = "";
	free(src.lines);
free_text:
	free(text);
	return rc;
}

/* Names are relative to the directory of the main file. */
static int include_path(const struct conf_reader *rd, const char *name,
    char *buf, size_t cap)
{
	const char *main_path = rd->cf->path;
	const char *slash = strrchr(main_path, '/');
	struct strbuf b = strbuf_over(buf, cap);

	if (name[0] != '/' && slash)
		strbuf_add(&b, main_path, (size_t)(slash - main_path) + 1);
	strbuf_addf(&b, "%s", name);
	return b.failed ? -ENAMETOOLONG : 0;
}

static int include(struct conf_reader *rd, const struct conf_source *src,
    unsigned line, const char *name)
{
	const struct conf_var *vars = rd->vars;
	char path[PATH_MAX];
	int rc;

	if (name[0] == '\0')
		return conf_fail(rd, -EINVAL, src, line,
		    "#include needs the name of a file");
	if (strncasecmp(name, "http://", 7) == 0 ||
	    strncasecmp(name, "https://", 8) == 0 ||
	    strncasecmp(name, "file://", 7) == 0)
		return conf_fail(rd, -EINVAL, src, line,
		    "#include %s: URLs are not read; put the file beside this "
		    "one and include it by its name",
		    name);
	if (rd->includes >= INCLUDES_MAX || rd->files >= FILES_MAX)
		return conf_fail(rd, -ELOOP, src, line,
		    "#include %s: nested too deeply, does a file include "
		    "itself?",
		    name);
	if (include_path(rd, name, path, sizeof(path)) < 0)
		return conf_fail(rd, -ENAMETOOLONG, src, line,
		    "#include: the path is too long");
	if (rd->section[0] != '\0')
		log_always(LOG_LEVEL_WARN, "conf_include_in_section",
		    "at=%s:%u: what follows the include is in the global part, "
		    "no longer in [%s]",
		    src->file, line, rd->section);
	rd->includes++;
	rd->files++;
	rd->vars = NULL;
	rc = run_file(rd, path, src, line);
	rd->vars = vars;
	rd->includes--;
	return rc;
}

/* --- lines -------------------------------------------------------------- */

/* Puts the loop variables into the text: "{$i}". */
static void expand(const struct conf_reader *rd, const char *text,
    struct strbuf *out)
{
	while (*text != '\0') {
		const struct conf_var *v = rd->vars;
		const char *end =
		    strncmp(text, "{$", 2) == 0 ? strchr(text, '}') : NULL;
		const struct span name = { text + 2,
			end ? (size_t)(end - text) - 2 : 0 };

		while (end && v && !span_eq(name, v->name))
			v = v->outer;
		if (end && v) {
			strbuf_addf(out, "%lld", v->value);
			text = end + 1;
		} else {
			strbuf_add(out, text++, 1);
		}
	}
}

static bool is_include(const char *text)
{
	return strncasecmp(text, "#include", 8) == 0 &&
	       (text[8] == ' ' || text[8] == '\t' || text[8] == '\0');
}

static int run_line(struct conf_reader *rd, const struct conf_source *src,
    const struct conf_line *line)
{
	char buf[LINE_MAX_LEN];
	struct strbuf b = strbuf_over(buf, sizeof(buf));
	char *text;

	expand(rd, line->text, &b);
	if (b.failed)
		return conf_fail(rd, -EINVAL, src, line->number,
		    "the line has more than %d bytes", LINE_MAX_LEN - 1);
	text = str_trim(buf);
	if (is_include(text))
		return include(rd, src, line->number, str_trim(text + 8));
	if (text[0] != '\0' && text[0] != '#' &&
	    !take_section(rd, src, line->number, text))
		add_item(rd, src, line->number, text);
	return 0;
}

int conf_run_lines(struct conf_reader *rd, const struct conf_source *src,
    size_t from, size_t to)
{
	while (from < to) {
		const struct conf_line *line = &src->lines[from];
		int rc;

		if (++rd->steps > CONF_STEPS_MAX)
			return conf_fail(rd, -E2BIG, src, line->number,
			    "more than %d lines with all includes and loops",
			    CONF_STEPS_MAX);
		if (strncmp(line->text, "#@", 2) == 0) {
			rc = conf_branch(rd, src, &from, to);
		} else {
			rc = run_line(rd, src, line);
			from++;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int conf_read(const char *path, struct conf_file **out, char *err, size_t cap)
{
	struct conf_file *cf = xcalloc(1, sizeof(*cf));
	struct conf_reader rd = {
		.cf = cf,
		.section = "",
		.err = err,
		.err_cap = cap,
	};
	int rc;

	cf->path = conf_own(cf, xstrdup(path));
	rc = run_file(&rd, path, NULL, 0);
	if (rc < 0) {
		conf_free(cf);
		return rc;
	}
	*out = cf;
	return 0;
}

void conf_free(struct conf_file *cf)
{
	if (!cf)
		return;
	for (size_t i = 0; i < cf->n_owned; i++)
		free(cf->owned[i]);
	free(cf->owned);
	free(cf->items);
	free(cf->patterns);
	free(cf);
}
