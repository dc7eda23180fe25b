/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
/*
 * Replays the recorded dialogues of test/golden/transcripts: every message of
 * a known command must come through the framer in one piece and byte by byte,
 * decode, dump, and encode to the same bytes, except for what stands behind
 * a NUL in a pad field. What we refuse must have been refused by the recorded
 * server too, and the other way round for malformed bodies.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/dump.h"
#include "proto/framer.h"
#include "proto/msg.h"
#include "test/pads.h"

#define DIRECTORY "test/golden/transcripts"

/* --- one line of a transcript --------------------------------------------- */

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
static const char *read_value(const char *p, struct value *v)
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

static const char *skip_set(const char *p, const char *set)
{
	return p + strspn(p, set);
}

static bool is(const struct value *v, const char *text)
{
	return v->n == strlen(text) && memcmp(v->p, text, v->n) == 0;
}

static int number_of(const struct value *v)
{
	return is(v, "null") ? -1 : (int)strtol(v->p, NULL, 10);
}

static void set(struct entry *e, const struct value *key, const struct value *v)
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

static void unhex(struct entry *e)
{
	e->n = e->hex ? strlen(e->hex) / 2 : 0;
	e->p = malloc(e->n + 1);
	assert_non_null(e->p);
	for (size_t i = 0; i < e->n; i++) {
		const char two[3] = { e->hex[2 * i], e->hex[2 * i + 1], 0 };

		e->p[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static struct entry read_line(const char *line)
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

static struct file read_file(const char *name)
{
	struct file f = { .name = name };
	char path[512];
	char *line = NULL;
	size_t cap = 0;
	FILE *in;

	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	in = fopen(path, "re");
	assert_non_null(in);
	while (getline(&line, &cap, in) > 0) {
		f.entries = realloc(f.entries, (f.n + 1) * sizeof(*f.entries));
		assert_non_null(f.entries);
		f.entries[f.n] = read_line(line);
		f.entries[f.n].line = (long)f.n + 1;
		f.n++;
	}
	free(line);
	fclose(in);
	return f;
}

static void free_file(struct file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->entries[i].hex);
		free(f->entries[i].p);
	}
	free(f->entries);
}

/* The recorded answer to entry i, or NULL: the server closed or the client
 * went away. */
static const struct entry *answer_to(struct file *f, size_t i)
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

/* --- the account -----------------------------------------------------------
 */

enum reason { TRUNCATED, UNASSIGNED, ECHO, OVERLONG, N_REASONS };

static const char *const reasons[N_REASONS] = {
	[TRUNCATED] = "recorded only in part",
	[UNASSIGNED] = "unassigned number",
	[ECHO] = "the recorded server echoed the request",
	[OVERLONG] = "the recorded server cut the length to 32 bits",
};

static struct {
	size_t covered, refused, wrong;
	size_t left_out[N_REASONS][256];
} account;

static void wrong(const struct file *f, const struct entry *e, const char *what)
{
	fprintf(stderr, "%s:%ld: cmd %d status %d of %d: %s\n", f->name,
	    e->line, e->cmd, e->status, e->of, what);
	account.wrong++;
}

static void leave_out(const struct entry *e, enum reason why)
{
	account.left_out[why][(e->of >= 0 ? e->of : e->cmd) & 255]++;
}

static void print_account(void)
{
	const char *sep = ": ";
	size_t sum = 0;

	for (size_t i = 0; i < N_REASONS * 256; i++)
		sum += account.left_out[i / 256][i % 256];
	printf("golden: %zu messages covered, %zu malformed ones refused as "
	       "recorded, %zu left out",
	    account.covered, account.refused, sum);
	for (size_t i = 0; i < N_REASONS * 256; i++) {
		if (!account.left_out[i / 256][i % 256])
			continue;
		printf("%scmd %zu x%zu (%s)", sep, i % 256,
		    account.left_out[i / 256][i % 256], reasons[i / 256]);
		sep = ", ";
	}
	printf("\n");
}

/* --- the checks ------------------------------------------------------------
 */

/* What a framer made of one message. */
struct framed {
	enum framer_event event;
	const struct command *cmd;
	uint8_t held[262144];
	size_t held_n;
	size_t content_n;
	uint64_t left;
	bool content_same; /* its bytes are the last ones of the message */
};

static void frame(const struct entry *e, size_t step, struct framed *out)
{
	struct framer f;
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	out->event = FRAMER_MORE;
	out->content_same = true;
	framer_init(&f, e->side);
	while (at < e->n && out->event != FRAMER_BAD) {
		enum framer_event event;

		at += framer_feed(&f, e->p + at, size_min(step, e->n - at),
		    &event);
		if (event == FRAMER_CONTENT) {
			out->content_n += f.piece.n;
			out->content_same &=
			    memcmp(f.piece.p, e->p + at - f.piece.n,
			        f.piece.n) == 0;
		} else if (event != FRAMER_MORE) {
			out->event = event;
			out->cmd = f.cmd;
			out->held_n = f.held.n;
			memcpy(out->held, f.held.p, f.held.n);
		}
	}
	out->left = f.left;
	framer_fini(&f);
}

static bool same_frame(const struct framed *a, const struct framed *b)
{
	if (a->event != b->event || a->cmd != b->cmd || a->left != b->left ||
	    !a->content_same || !b->content_same)
		return false;
	return a->event != FRAMER_REQUEST ||
	       (a->held_n == b->held_n && a->content_n == b->content_n &&
	           memcmp(a->held, b->held, a->held_n) == 0);
}

/* Puts records that were decoded and encoded in the place of a list. */
static const char *renew_list(const struct message *m, union msg_any *any,
    uint8_t *buf, size_t cap)
{
	const struct field *last =
	    m->n_fields ? &m->fields[m->n_fields - 1] : NULL;
	union msg_any record;
	struct span list;
	size_t at = 0;
	int rc;

	if (!last || last->kind != KIND_list)
		return NULL;
	memcpy(&list, (char *)any + last->offset, sizeof(list));
	while ((rc = msg_next(last->record, &list, &record)) == 1) {
		const ssize_t n =
		    msg_encode(last->record, &record, buf + at, cap - at);

		if (n < 0)
			return "a record does not encode";
		at += (size_t)n;
	}
	list = (struct span){ (const char *)buf, at };
	memcpy((char *)any + last->offset, &list, sizeof(list));
	return rc < 0 ? "a record does not decode" : NULL;
}

/* NULL, or what is wrong. */
static const char *round_trip(const struct message *m, const uint8_t *body,
    size_t n)
{
	static uint8_t want[262144];
	static uint8_t got[262144];
	static uint8_t records[262144];
	const char *what;
	union msg_any any;
	size_t used;
	ssize_t rc;

	m = msg_for_length(m, n);
	if (msg_decode(m, body, n, &any, &used) < 0)
		return "does not decode";
	what = renew_list(m, &any, records, sizeof(records));
	if (what)
		return what;
	rc = msg_encode(m, &any, got, sizeof(got));
	if (rc < 0 || (size_t)rc != used)
		return "encodes to another size";
	memcpy(want, body, used);
	pads_clean(m, want, used);
	return memcmp(want, got, used) ? "encodes to other bytes" : NULL;
}

static bool dumps(const struct entry *e, bool reply)
{
	static char text[65536];
	struct strbuf out = strbuf_over(text, sizeof(text));

	dump_packet(e->p, e->n, reply, (uint8_t)e->of, &out);
	for (size_t i = 0; i < out.len; i++) {
		if ((unsigned char)text[i] < ' ')
			return false;
	}
	return !out.failed && out.len > 0 && !strstr(text, "malformed");
}

/* Refused by us: then the recorded server answered EINVAL (or, before it
 * looked at the body, EACCES) or just closed. */
static void check_refused(const struct file *f, const struct entry *e,
    const struct entry *answer, const char *what)
{
	if (answer && answer->status != EINVAL && answer->status != EACCES)
		wrong(f, e, what);
	else
		account.refused++;
}

static void check_request(struct file *f, size_t i)
{
	static struct framed whole;
	static struct framed split;
	struct entry *e = &f->entries[i];
	const struct entry *answer = answer_to(f, i);
	const char *what;

	frame(e, e->n, &whole);
	frame(e, 1, &split);
	if (!same_frame(&whole, &split)) {
		wrong(f, e, "byte by byte gives something else");
	} else if (whole.event == FRAMER_REFUSED && !whole.cmd &&
	           !command_find((uint8_t)e->cmd)) {
		check_refused(f, e, answer, "unassigned, yet answered");
		account.refused--;
		leave_out(e, UNASSIGNED);
	} else if (whole.event == FRAMER_BAD &&
	           header_get(e->p).length > UINT32_MAX) {
		leave_out(e, OVERLONG);
	} else if (whole.event != FRAMER_REQUEST) {
		check_refused(f, e, answer, "the framer refuses it");
	} else if ((what = round_trip(whole.cmd->request, whole.held,
	                whole.held_n))) {
		check_refused(f, e, answer, what);
	} else if (whole.left != 0 ||
	           whole.held_n + whole.content_n + HEADER_SIZE != e->n) {
		wrong(f, e, "bytes are missing or left over");
	} else if (!dumps(e, false)) {
		wrong(f, e, "does not dump");
	} else {
		account.covered++;
	}
}

static bool is_store_reply(const struct command *cmd)
{
	return cmd->reply == &MSG(store_reply);
}

static const char *store_round_trip(const uint8_t *body, size_t n)
{
	const size_t ipw = (n - 17) % 23 == 0 ? 15 : 45;
	struct store s;
	uint8_t out[4096];
	uint8_t want[4096];
	ssize_t rc;

	if (n > sizeof(want) || store_decode(body, n, &s) < 0)
		return "is no store reply";
	memcpy(want, body, n);
	pads_clean(&MSG(group_name), want, 16);
	for (size_t i = 0; i < s.n; i++)
		pads_clean(ipw == 15 ? &MSG(server15) : &MSG(server45),
		    want + 16 + i * (ipw + 8), ipw + 8);
	rc = store_encode(&s, ipw, out, sizeof(out));
	return rc == (ssize_t)n && memcmp(out, want, n) == 0
	           ? NULL
	           : "store reply encodes to other bytes";
}

/* The request that reply i answers has the same body (client-protocol 9,
 * cluster-protocol 3.4). */
static bool is_echo(const struct file *f, size_t i)
{
	const struct entry *e = &f->entries[i];

	for (size_t k = i; k-- > 0;) {
		const struct entry *q = &f->entries[k];

		if (q->conn == e->conn && q->cmd == e->of)
			return q->n >= e->n &&
			       memcmp(q->p + HEADER_SIZE, e->p + HEADER_SIZE,
			           e->n - HEADER_SIZE) == 0;
	}
	return false;
}

static void check_reply(const struct file *f, size_t i)
{
	const struct entry *e = &f->entries[i];
	const struct command *cmd = command_find((uint8_t)e->of);
	const uint8_t *body = e->p + HEADER_SIZE;
	const size_t n = e->n - HEADER_SIZE;
	const char *what = NULL;

	if (!cmd) {
		if (e->status != EINVAL || n > 0)
			wrong(f, e, "an unassigned number was answered");
		leave_out(e, UNASSIGNED);
		return;
	}
	if (cmd->reply == &msg_desc_none && n > 0 && is_echo(f, i)) {
		leave_out(e, ECHO);
		return;
	}
	if (e->status != 0 && n > 0)
		what = "an error with a body";
	else if (e->status == 0)
		what = round_trip(cmd->reply, body, n);
	if (!what && e->status == 0 && is_store_reply(cmd))
		what = store_round_trip(body, n);
	if (!what && !dumps(e, true))
		what = "does not dump";
	if (what)
		wrong(f, e, what);
	else
		account.covered++;
}

static void check_file(const char *name)
{
	struct file f = read_file(name);

	for (size_t i = 0; i < f.n; i++) {
		const struct entry *e = &f.entries[i];

		if (e->cmd < 0)
			continue; /* an event */
		if (e->n < HEADER_SIZE)
			wrong(&f, e, "no header");
		else if (e->truncated)
			leave_out(e, TRUNCATED);
		else if (e->cmd == CMD_RESPONSE)
			check_reply(&f, i);
		else
			check_request(&f, i);
	}
	free_file(&f);
}

static int is_transcript(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && strcmp(dot, ".jsonl") == 0;
}

static void test_every_recorded_message_round_trips(void **state)
{
	struct dirent **names;
	const int n = scandir(DIRECTORY, &names, is_transcript, alphasort);

	(void)state;
	if (n <= 0)
		fail_msg("run this in the top directory: no transcripts in "
		         "%s",
		    DIRECTORY);
	for (int i = 0; i < n; i++) {
		check_file(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	print_account();
	assert_int_equal(account.wrong, 0);
	assert_true(account.covered > 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_recorded_message_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
