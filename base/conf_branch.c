/* SPDX-License-Identifier: MIT */
/*
 * The directives that choose or repeat lines:
 *
 *   #@if %{LOCAL_IP} in [10.0.0.1, 10.1.0.0/16]    or %{LOCAL_HOST}
 *   #@else
 *   #@endif
 *   #@for i from 1 to 4 step 1                      step may be left out
 *   #@endfor
 *
 * Blocks nest. A condition that is not understood stops the start, for either
 * branch could be the wrong one; any other #@ is warned of.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/conf_file.h"
#include "base/log.h"
#include "base/str.h"

#define BLOCKS_MAX      16
#define LOCAL_ADDRS_MAX 256

struct block {
	size_t middle; /* index of #@else, or that of the end */
	size_t end;    /* index of the line that ends it */
};

/* Is the first word of text that directive? Gives what follows it. */
static const char *after_word(const char *text, const char *word)
{
	const size_t n = strlen(word);

	if (strncmp(text, word, n) != 0)
		return NULL;
	if (text[n] == '\0')
		return text + n;
	if (text[n] != ' ' && text[n] != '\t')
		return NULL;
	return text + n + strspn(text + n, " \t");
}

/* Finds the end of the block that opens at line `at`. */
static int find_block(struct conf_reader *rd, const struct conf_source *src,
    size_t at, size_t to, const char *const words[3], struct block *out)
{
	unsigned depth = 0;

	out->middle = 0;
	for (size_t i = at + 1; i < to; i++) {
		const char *text = src->lines[i].text;

		if (after_word(text, words[0])) {
			depth++;
		} else if (depth == 0 && words[1] &&
		           after_word(text, words[1])) {
			if (out->middle)
				return conf_fail(rd, -EINVAL, src,
				    src->lines[i].number, "a second %s",
				    words[1]);
			out->middle = i;
		} else if (after_word(text, words[2]) && depth-- == 0) {
			out->end = i;
			if (!out->middle)
				out->middle = i;
			return 0;
		}
	}
	return conf_fail(rd, -EINVAL, src, src->lines[at].number,
	    "%s without %s", words[0], words[2]);
}

/* --- #@if --------------------------------------------------------------- */

static int has_local_ip(const char *list, char *why, size_t cap)
{
	struct addr own[LOCAL_ADDRS_MAX];
	const int n = addr_local(own, ARRAY_LEN(own));
	struct addr_list *l;
	bool found = false;
	int rc;

	if (n < 0) {
		snprintf(why, cap, "cannot list this host's addresses: %s",
		    errstr(n));
		return n;
	}
	/* An empty list of hosts lets everyone in; here it is nobody. */
	if (list[strspn(list, " \t,")] == '\0')
		return 0;
	rc = addr_list_parse(&list, 1, &l, why, cap);
	if (rc < 0)
		return rc;
	for (int i = 0; i < n && !found; i++)
		found = addr_list_has(l, &own[i]);
	addr_list_free(l);
	return found;
}

static int has_local_host(char *list)
{
	char host[256] = "";
	char *rest = list;
	char *item;

	if (gethostname(host, sizeof(host) - 1) < 0)
		return -errno;
	while ((item = strsep(&rest, ","))) {
		if (strcasecmp(str_trim(item), host) == 0)
			return 1;
	}
	return 0;
}

/* "%{NAME} in [a, b]": 1, 0, or -errno with the reason. */
static int condition(const char *text, char *why, size_t cap)
{
	char buf[1024];
	char *open;
	char *close;
	const char *rest;

	snprintf(why, cap, "write #@if %%{LOCAL_IP} in [list], or LOCAL_HOST");
	if (!str_copy(buf, sizeof(buf), text))
		return -EINVAL;
	open = strchr(buf, '[');
	close = strrchr(buf, ']');
	if (!open || !close || close < open || close[1] != '\0')
		return -EINVAL;
	*open = '\0';
	*close = '\0';
	rest = after_word(str_trim(buf), "%{LOCAL_IP}");
	if (rest && strcmp(rest, "in") == 0)
		return has_local_ip(open + 1, why, cap);
	rest = after_word(str_trim(buf), "%{LOCAL_HOST}");
	if (rest && strcmp(rest, "in") == 0)
		return has_local_host(open + 1);
	return -EINVAL;
}

static int run_if(struct conf_reader *rd, const struct conf_source *src,
    size_t *at, size_t to)
{
	static const char *const words[3] = { "#@if", "#@else", "#@endif" };
	const struct conf_line *line = &src->lines[*at];
	struct block b = { 0 };
	char why[256];
	int rc = find_block(rd, src, *at, to, words, &b);

	if (rc < 0)
		return rc;
	rc = condition(after_word(line->text, words[0]), why, sizeof(why));
	if (rc < 0)
		return conf_fail(rd, rc, src, line->number, "%s", why);
	rc = rc ? conf_run_lines(rd, src, *at + 1, b.middle)
	        : conf_run_lines(rd, src, b.middle + (b.middle < b.end), b.end);
	*at = b.end + 1;
	return rc;
}

/* --- #@for -------------------------------------------------------------- */

/* "i from A to B [step C]" */
static bool parse_for(char *text, char *name, size_t cap, int64_t range[3])
{
	static const char *const words[] = { "from", "to", "step" };
	char *rest = text;
	char *word = strsep(&rest, " \t");

	range[2] = 1;
	if (!str_is_word(span_of(word), "_") || !str_copy(name, cap, word))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		while (rest && rest[0] != '\0' && strchr(" \t", rest[0]))
			rest++;
		if (!rest || *rest == '\0')
			return i == 2;
		word = strsep(&rest, " \t");
		if (strcmp(word, words[i]) != 0 || !rest)
			return false;
		rest += strspn(rest, " \t");
		word = strsep(&rest, " \t");
		if (str_to_i64(word, &range[i]) < 0 || range[i] > INT32_MAX ||
		    range[i] < INT32_MIN)
			return false;
	}
	return range[2] != 0 && (!rest || *rest == '\0');
}

static int run_for(struct conf_reader *rd, const struct conf_source *src,
    size_t *at, size_t to)
{
	static const char *const words[3] = { "#@for", NULL, "#@endfor" };
	const struct conf_line *line = &src->lines[*at];
	char text[256];
	char name[CONF_NAME_MAX + 1];
	struct conf_var var = { .name = name, .outer = rd->vars };
	struct block b = { 0 };
	int64_t range[3] = { 0 };
	int rc = find_block(rd, src, *at, to, words, &b);

	if (rc < 0)
		return rc;
	if (!str_copy(text, sizeof(text), after_word(line->text, words[0])) ||
	    !parse_for(text, name, sizeof(name), range))
		return conf_fail(rd, -EINVAL, src, line->number,
		    "write #@for NAME from A to B step C");
	rd->vars = &var;
	for (int64_t i = range[0];
	     rc == 0 && (range[2] > 0 ? i <= range[1] : i >= range[1]);
	     i += range[2]) {
		var.value = i;
		rc = conf_run_lines(rd, src, *at + 1, b.end);
		/* An empty body counts too, so that it ends. */
		rd->steps += b.end == *at + 1;
		if (rc == 0 && rd->steps > CONF_STEPS_MAX)
			rc = conf_fail(rd, -E2BIG, src, line->number,
			    "the loop does not end soon enough");
	}
	rd->vars = var.outer;
	*at = b.end + 1;
	return rc;
}

int conf_branch(struct conf_reader *rd, const struct conf_source *src,
    size_t *at, size_t to)
{
	static const char *const strays[] = { "#@else", "#@endif", "#@endfor" };
	const struct conf_line *line = &src->lines[*at];
	const bool is_if = after_word(line->text, "#@if") != NULL;
	const bool is_for = after_word(line->text, "#@for") != NULL;
	int rc;

	if (is_if || is_for) {
		if (rd->blocks >= BLOCKS_MAX)
			return conf_fail(rd, -ELOOP, src, line->number,
			    "more than %d blocks inside one another",
			    BLOCKS_MAX);
		rd->blocks++;
		rc = is_if ? run_if(rd, src, at, to) : run_for(rd, src, at, to);
		rd->blocks--;
		return rc;
	}
	for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
		if (after_word(line->text, strays[i]))
			return conf_fail(rd, -EINVAL, src, line->number,
			    "%s without its beginning", strays[i]);
	}
	log_always(LOG_LEVEL_WARN, "conf_directive_unknown",
	    "at=%s:%u: '%.80s' has no effect", src->file, line->number,
	    line->text);
	(*at)++;
	return 0;
}
