/* SPDX-License-Identifier: MIT */
/*
 * Text of errors holds names that strangers chose, so the whole line is
 * escaped once, here, and never used as a format again.
 */
#include "cli/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

#define TEXT_MAX 4096

static const char *program = "fdfs";
static bool as_json;

static const struct status_word {
	enum status status;
	const char *word;
} status_words[] = {
	{ STATUS_NO, "no" },
	{ STATUS_USAGE, "usage" },
	{ STATUS_NO_SOURCE, "unreachable" },
	{ STATUS_PART, "partial" },
	{ STATUS_OLD, "old" },
	{ STATUS_REFUSED, "refused" },
	{ STATUS_INTERNAL, "internal" },
	{ STATUS_TIMEOUT, "timeout" },
	{ STATUS_INTERRUPTED, "interrupted" },
	{ STATUS_TERMINATED, "interrupted" },
};

void err_program(const char *name)
{
	program = name;
}

void err_as_json(bool on)
{
	as_json = on;
}

static const char *status_word(enum status s)
{
	for (size_t i = 0; i < ARRAY_LEN(status_words); i++)
		if (status_words[i].status == s)
			return status_words[i].word;
	return "error";
}

static void put_escaped(const char *text, size_t n)
{
	char line[TEXT_MAX];

	str_escape(line, sizeof(line), text, n);
	fputs(line, stderr);
}

/* Calls each with the lines of todo in turn. */
static void each_line(const char *todo, void (*each)(const char *, size_t, int))
{
	for (int i = 0; todo && *todo; i++) {
		const size_t n = strcspn(todo, "\n");

		each(todo, n, i);
		todo += n + (todo[n] == '\n');
	}
}

static void do_line(const char *p, size_t n, int i)
{
	(void)i;
	fputs("  do    ", stderr);
	put_escaped(p, n);
	fputc('\n', stderr);
}

static void json_text(const char *p, size_t n)
{
	char buf[TEXT_MAX];
	struct strbuf b = strbuf_over(buf, sizeof(buf));

	str_json(&b, p, n);
	fprintf(stderr, "\"%s\"", buf);
}

static void show_line(const char *p, size_t n, int i)
{
	(void)i;
	fputs("  ", stderr);
	put_escaped(p, n);
	fputc('\n', stderr);
}

static void do_json(const char *p, size_t n, int i)
{
	if (i > 0)
		fputc(',', stderr);
	json_text(p, n);
}

static void say_json(struct err e, const char *text)
{
	const char *subject = e.subject ? e.subject : "";

	fprintf(stderr,
	    "{\"error\":{\"code\":\"%s\",\"subject\":", status_word(e.status));
	json_text(subject, strlen(subject));
	fputs(",\"reason\":", stderr);
	json_text(text, strlen(text));
	if (e.rc != 0)
		fprintf(stderr, ",\"errno\":%d", e.rc < 0 ? -e.rc : e.rc);
	fputs(",\"do\":[", stderr);
	each_line(e.todo, do_json);
	fprintf(stderr, "],\"exit\":%d}}\n", e.status);
}

static ATTR_PRINTF(2, 0) void say(struct err e, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	if (as_json) {
		say_json(e, text);
		return;
	}
	fprintf(stderr, "%s: ", program);
	put_escaped(text, strlen(text));
	fputc('\n', stderr);
	each_line(e.show, show_line);
	each_line(e.todo, do_line);
}

enum status err_say(struct err e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(e, fmt, ap);
	va_end(ap);
	return e.status;
}

enum status err_unusable(int rc, const char *subject, const char *sentence)
{
	return err_say((struct err){ .status = rc == -EACCES ? STATUS_REFUSED
	                                                     : STATUS_NO_SOURCE,
	                   .rc = rc,
	                   .subject = subject },
	    "%s", sentence);
}

enum status err_usage(const char *todo, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say((struct err){ .status = STATUS_USAGE, .todo = todo }, fmt, ap);
	va_end(ap);
	return STATUS_USAGE;
}

enum status err_caret(const char *text, size_t at, const char *sentence)
{
	char safe[512];
	char lines[1200];
	struct strbuf b = strbuf_over(lines, sizeof(lines));
	/* The caret stands below the character as it is shown. */
	const size_t shown =
	    str_escape(safe, sizeof(safe), text, size_min(at, strlen(text)));

	strbuf_addf(&b, "%.500s\n%*s", text, (int)shown + 1, "^");
	return err_say(
	    (struct err){ .status = STATUS_USAGE,
	        .subject = text,
	        .show = lines,
	        .todo = "an id looks like group1/M00/00/0A/NAME.ext" },
	    "%s", sentence);
}

void err_note(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	put_escaped(text, strlen(text));
	fputc('\n', stderr);
}

enum status err_worse(enum status a, enum status b)
{
	return a > b ? a : b;
}

const char *err_words(int rc, char *buf, size_t cap)
{
	switch (rc < 0 ? -rc : rc) {
	case ECONNREFUSED:
		return "refused the connection";
	case ETIMEDOUT:
		return "did not answer in time";
	case ECONNRESET:
	case EPIPE:
		return "closed the connection";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "cannot be reached";
	case EPROTO:
	case EBADMSG:
	case EMSGSIZE:
		return "gave an answer that is not FastDFS's";
	default:
		break;
	}
	if (rc > 0)
		snprintf(buf, cap, "answered status %d (%s)", rc, errstr(-rc));
	else
		snprintf(buf, cap, "failed: %s", errstr(rc));
	return buf;
}

const char *err_nearest(const char *word, const void *first, size_t n,
    size_t stride)
{
	const char *best = NULL;
	size_t best_distance = 3;

	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)first + i * stride;
		const char *other;
		size_t d;

		memcpy(&other, at, sizeof(other));
		if (!other)
			continue;
		d = str_distance(word, other);
		if (d < best_distance && d < strlen(other)) {
			best_distance = d;
			best = other;
		}
	}
	return best;
}
