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
#include "test/transcript.h"

#define DUMPS "test/golden/dumps.txt"

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

/* The first dump of each command and direction, to be compared with those
 * that somebody has looked at. */
static struct {
	bool seen[2][256];
	char text[262144];
	size_t n;
} kept;

static void keep(const struct entry *e, bool reply, const char *text)
{
	bool *seen = &kept.seen[reply][(reply ? e->of : e->cmd) & 255];

	if (*seen || e->status > 0 || e->n == HEADER_SIZE)
		return;
	*seen = true;
	kept.n += (size_t)snprintf(kept.text + kept.n,
	    sizeof(kept.text) - kept.n, "%s\n", text);
	assert_true(kept.n < sizeof(kept.text));
}

static void test_dumps_say_what_was_recorded(void **state)
{
	static char want[sizeof(kept.text)];
	const bool accept = getenv("GOLDEN_ACCEPT") != NULL;
	FILE *f = fopen(DUMPS, accept ? "we" : "re");
	size_t n;

	(void)state;
	assert_non_null(f);
	if (accept)
		n = fwrite(kept.text, 1, kept.n, f);
	else
		n = fread(want, 1, sizeof(want) - 1, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(n, kept.n);
	if (!accept)
		assert_string_equal(kept.text, want);
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
	keep(e, reply, text);
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
		cmocka_unit_test(test_dumps_say_what_was_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
