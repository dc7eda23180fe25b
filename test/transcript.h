/* SPDX-License-Identifier: MIT */
/*
 * Reads the recorded dialogues of test/golden/transcripts: one JSON object a
 * line, in the two spellings of the client and the cluster recordings. For
 * tests, which end when something cannot be read.
 */
#ifndef TEST_TRANSCRIPT_H
#define TEST_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/command.h"

#define DIRECTORY "test/golden/transcripts"

static inline void transcript_need(const void *p)
{
	if (!p) {
		fputs("a transcript cannot be read\n", stderr);
		abort();
	}
}

struct entry {
	long line, conn;
	int cmd, status, of; /* -1: absent */
	enum served_by side;
	bool truncated, answered;
	char *hex;
	uint8_t *p;
	size_t n;
};

struct value {
	const char *p; /* of a string: without the quotes */
	size_t n;
	bool is_string;
};

/* The files are flat objects; a string is cut out as it stands, because none
 * that we need has escapes. An array is taken as a whole. */
static inline const char *read_value(const char *p, struct value *v)
{
	const char *end;

	v->is_string = *p == '"';
	if (v->is_string) {
		for (end = ++p; *end && *end != '"'; end++)
			end += *end == '\\' && end[1];
		*v = (struct value){ p, (size_t)(end - p), true };
		return *end ? end + 1 : end;
	}
	end = p + (*p == '[' ? strcspn(p, "]") + 1 : strcspn(p, ",}"));
	*v = (struct value){ p, (size_t)(end - p), false };
	return end;
}

static inline const char *skip_set(const char *p, const char *set)
{
	return p + strspn(p, set);
}

static inline bool is(const struct value *v, const char *text)
{
	return v->n == strlen(text) && memcmp(v->p, text, v->n) == 0;
}

static inline int number_of(const struct value *v)
{
	return is(v, "null") ? -1 : (int)strtol(v->p, NULL, 10);
}

static inline void set(struct entry *e, const struct value *key,
    const struct value *v)
{
	if (is(key, "conn"))
		e->conn = number_of(v);
	else if (is(key, "cmd"))
		e->cmd = number_of(v);
	else if (is(key, "status"))
		e->status = number_of(v);
	else if (is(key, "req_cmd") || is(key, "re"))
		e->of = number_of(v);
	else if (is(key, "hex_truncated") || is(key, "truncated"))
		e->truncated = is(v, "true");
	else if (is(key, "peer") || is(key, "to"))
		e->side = is(v, "tracker") ? BY_TRACKER : BY_STORAGE;
	else if (is(key, "hex"))
		e->hex = strndup(v->p, v->n);
}

static inline void unhex(struct entry *e)
{
	e->n = e->hex ? strlen(e->hex) / 2 : 0;
	e->p = malloc(e->n + 1);
	transcript_need(e->p);
	for (size_t i = 0; i < e->n; i++) {
		const char two[3] = { e->hex[2 * i], e->hex[2 * i + 1], 0 };

		e->p[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static inline struct entry read_line(const char *line)
{
	struct entry e = { .cmd = -1, .status = -1, .of = -1 };
	const char *p = skip_set(line, "{ ");

	while (*p == '"') {
		struct value key;
		struct value v;

		p = skip_set(read_value(p, &key), ": ");
		p = skip_set(read_value(p, &v), ", ");
		set(&e, &key, &v);
	}
	unhex(&e);
	return e;
}

struct file {
	const char *name;
	struct entry *entries;
	size_t n;
};

static inline struct file read_file(const char *name)
{
	struct file f = { .name = name };
	char path[512];
	char *line = NULL;
	size_t cap = 0;
	FILE *in;

	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	in = fopen(path, "re");
	transcript_need(in);
	while (getline(&line, &cap, in) > 0) {
		f.entries = realloc(f.entries, (f.n + 1) * sizeof(*f.entries));
		transcript_need(f.entries);
		f.entries[f.n] = read_line(line);
		f.entries[f.n].line = (long)f.n + 1;
		f.n++;
	}
	free(line);
	fclose(in);
	return f;
}

static inline void free_file(struct file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->entries[i].hex);
		free(f->entries[i].p);
	}
	free(f->entries);
}

/* The recorded answer to entry i, or NULL: the server closed or the client
 * went away. */
static inline const struct entry *answer_to(struct file *f, size_t i)
{
	const struct entry *e = &f->entries[i];

	for (size_t k = i + 1; k < f->n; k++) {
		struct entry *r = &f->entries[k];

		if (r->conn == e->conn && r->of == e->cmd && !r->answered) {
			r->answered = true;
			return r;
		}
	}
	return NULL;
}

#endif
