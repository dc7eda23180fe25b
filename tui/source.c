/* SPDX-License-Identifier: MIT */
/*
 * A session belongs to the main loop while `out` is false and to a worker
 * while it is true; the mailbox passes it to and fro. Its fields `out`, `due`
 * and `told` are the main loop's at all times.
 */
#include "tui/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "net/client.h"

#define TRACKER_PORT   22122
#define PAUSE_MAX_MS   30000
#define REQUESTS_PER_S 20 /* at most, to one tracker */
#define SLOW_FACTOR    3  /* times the timeout until we call it silent */
#define GROUPS_MAX     4096
#define STORAGES_MAX   65536

struct session {
	struct job job;
	/* the main loop's */
	bool out;
	bool told; /* the model knows that this exchange takes too long */
	mono_t due, sent;
	unsigned failures;
	/* whose the session is */
	const char *text; /* address as given */
	unsigned timeout_ms;
	struct client *client;
	char refused_by[64]; /* leader in whose time 96 was refused */
	unsigned requests;   /* of the last exchange */
	struct answer answer;
};

struct source {
	struct mailbox home;
	struct crew *crew;
	size_t n;
	unsigned timeout_ms;
	struct session sessions[TRACKERS_MAX];
};

static int fail(struct session *s, int rc, const char *what)
{
	struct answer *a = &s->answer;

	a->rc = rc;
	if (rc == -EPROTO || rc == -EBADMSG)
		snprintf(a->error, sizeof(a->error),
		    "%s in a layout this program does not read", what);
	else if (rc > 0)
		snprintf(a->error, sizeof(a->error), "%s answered: %s", what,
		    errstr(-rc));
	else
		snprintf(a->error, sizeof(a->error), "%s", errstr(rc));
	return rc;
}

static int open_client(struct session *s)
{
	struct addr to;
	int rc = addr_parse(s->text, TRACKER_PORT, &to);

	if (rc < 0) {
		s->answer.rc = rc;
		snprintf(s->answer.error, sizeof(s->answer.error),
		    rc == -ENOENT ? "the name has no address"
		                  : "this is no address");
		return rc;
	}
	addr_text(&to, s->answer.address, sizeof(s->answer.address));
	if (s->client)
		return 0;
	rc = client_open(&to, NULL, s->timeout_ms, s->timeout_ms, &s->client);
	return rc < 0 ? fail(s, rc, "connect") : 0;
}

/* 95: who leads. No leader is an answer too. */
static int ask_leader(struct session *s)
{
	struct msg_text reply = { 0 };
	const mono_t start = clock_mono();
	const int rc = client_ask(s->client, CMD_get_leader, NULL, NULL,
	    &MSG(text), &reply);

	s->requests++;
	s->answer.ns = clock_mono() - start;
	if (rc < 0)
		return fail(s, rc, "leader");
	s->answer.has_leader = rc == 0 && reply.text.n > 0;
	if (s->answer.has_leader)
		str_copy_span(s->answer.leader, sizeof(s->answer.leader),
		    reply.text);
	return 0;
}

static int ask_groups(struct session *s)
{
	struct answer *a = &s->answer;
	struct msg_group_list reply = { 0 };
	struct msg_group_record r;
	int rc = client_ask(s->client, CMD_list_all_groups, NULL, NULL,
	    &MSG(group_list), &reply);

	s->requests++;
	while (rc == 0 && a->n_groups < GROUPS_MAX) {
		rc = msg_next(&MSG(group_record), &reply.groups, &r);
		if (rc <= 0)
			break;
		a->groups =
		    xrealloc(a->groups, a->n_groups + 1, sizeof(*a->groups));
		a->groups[a->n_groups++] = r;
		rc = 0;
	}
	return rc != 0 ? fail(s, rc, "the list of groups") : 0;
}

/* The narrow record as the wide one, field by field. */
#define WIDEN_u8(name, arg)       to->name = from->name;
#define WIDEN_i64(name, arg)      to->name = from->name;
#define WIDEN_stats(name, arg)    to->name = from->name;
#define WIDEN_pad(name, arg)      str_copy(to->name, sizeof(to->name), from->name);
#define WIDEN(S, kind, name, arg) WIDEN_##kind(name, arg)

static void widen(struct msg_storage_record46 *to,
    const struct msg_storage_record *from)
{
	MSG_STORAGE_RECORD(WIDEN, S, 16)
}

static int take_storages(struct session *s, const char *group, struct span list)
{
	struct answer *a = &s->answer;
	const bool wide = client_dialect(s->client) == &MSG(storage_list46);
	struct storage_fact f = { 0 };
	struct msg_storage_record narrow;
	int rc = 1;

	str_copy(f.group, sizeof(f.group), group);
	while (a->n_storages < STORAGES_MAX) {
		if (wide)
			rc = msg_next(&MSG(storage_record46), &list, &f.r);
		else
			rc = msg_next(&MSG(storage_record), &list, &narrow);
		if (rc <= 0)
			break;
		if (!wide)
			widen(&f.r, &narrow);
		a->storages = xrealloc(a->storages, a->n_storages + 1,
		    sizeof(*a->storages));
		a->storages[a->n_storages++] = f;
	}
	return rc < 0 ? fail(s, rc, "a list of storages") : 0;
}

static int ask_storages(struct session *s, const char *group)
{
	struct msg_group_and_id req = { .id = { "", 0 } };
	struct msg_storage_list reply = { 0 };
	int rc;

	str_copy(req.group, sizeof(req.group), group);
	rc = client_ask(s->client, CMD_list_storage, &MSG(group_and_id), &req,
	    &MSG(storage_list), &reply);
	s->requests++;
	if (rc == ENOENT) /* the group went away meanwhile */
		return 0;
	if (rc != 0)
		return fail(s, rc, "a list of storages");
	return take_storages(s, group, reply.storages);
}

/* 96 is answered by the leader alone. One that refused is not asked again
 * under the same leader: it would write an error to its log each time. */
static int ask_trackers(struct session *s)
{
	struct answer *a = &s->answer;
	const struct msg_tracker_filter all = { 0 };
	struct msg_tracker_stat reply = { 0 };
	struct msg_tracker_record r;
	int rc;

	if (!a->has_leader || strcmp(s->refused_by, a->leader) == 0)
		return 0;
	rc = client_ask(s->client, CMD_tracker_cluster_stat,
	    &MSG(tracker_filter), &all, &MSG(tracker_stat), &reply);
	s->requests++;
	if (rc > 0 || rc == -EPROTO) {
		str_copy(s->refused_by, sizeof(s->refused_by), a->leader);
		return 0;
	}
	if (rc < 0)
		return fail(s, rc, "the list of trackers");
	while (a->n_trackers < TRACKERS_MAX &&
	       msg_next(&MSG(tracker_record), &reply.trackers, &r) == 1) {
		a->trackers = xrealloc(a->trackers, a->n_trackers + 1,
		    sizeof(*a->trackers));
		a->trackers[a->n_trackers++] = r;
	}
	return 0;
}

static int exchange(struct session *s)
{
	int rc = open_client(s);

	if (rc == 0)
		rc = ask_leader(s);
	if (rc == 0)
		rc = ask_groups(s);
	for (size_t i = 0; rc == 0 && i < s->answer.n_groups; i++)
		rc = ask_storages(s, s->answer.groups[i].name);
	return rc == 0 ? ask_trackers(s) : rc;
}

/* In a worker. A connection that was idle may have been closed by the other
 * side meanwhile: that alone is no failure. */
static void poll_run(struct job *job)
{
	struct session *s = container_of(job, struct session, job);
	const bool kept = s->client != NULL;
	int rc;

	s->requests = 0;
	rc = exchange(s);
	if (rc != 0) {
		client_close(s->client);
		s->client = NULL;
	}
	if (kept && (rc == -ECONNRESET || rc == -EPIPE)) {
		answer_clear(&s->answer);
		rc = exchange(s);
		if (rc != 0) {
			client_close(s->client);
			s->client = NULL;
		}
	}
	s->answer.at = clock_wall();
	job_go_home(job);
}

int source_start(const char *const *trackers, size_t n, unsigned timeout_ms,
    struct source **out)
{
	struct source *s = xcalloc(1, sizeof(*s));
	int rc = mailbox_init(&s->home);

	if (rc < 0)
		goto free_source;
	s->n = size_min(n, TRACKERS_MAX);
	s->timeout_ms = timeout_ms;
	for (size_t i = 0; i < s->n; i++) {
		s->sessions[i].text = trackers[i];
		s->sessions[i].timeout_ms = timeout_ms;
		s->sessions[i].job.run = poll_run;
		s->sessions[i].job.home = &s->home;
	}
	if (s->n > 0)
		rc = crew_new(s->n, "ask", &s->crew);
	if (rc < 0)
		goto close_mailbox;
	*out = s;
	return 0;

close_mailbox:
	mailbox_fini(&s->home);
free_source:
	free(s);
	return rc;
}

int source_fd(const struct source *s)
{
	return s->home.fd;
}

/* 1, 2, 4 ... 30 s, a fifth more or less, so that many consoles do not ask a
 * tracker that comes back all at once. */
static mono_t pause_after(const struct session *s, mono_t now)
{
	const unsigned shift = s->failures < 6 ? s->failures - 1 : 5;
	uint64_t ms = UINT64_C(1000) << shift;

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	ms = ms * (80 + now / 1000 % 41) / 100;
	return now + ms * MONO_MS;
}

bool source_take(struct source *s, struct model *m)
{
	struct job *job = mailbox_take(&s->home);
	const mono_t now = clock_mono();
	bool any = false;

	while (job) {
		struct session *se = container_of(job, struct session, job);

		job = job->next;
		se->out = false;
		se->told = false;
		if (se->answer.rc != 0) {
			se->failures++;
			se->due = pause_after(se, now);
		} else {
			se->failures = 0;
		}
		model_feed(m, (size_t)(se - s->sessions), &se->answer);
		any = true;
	}
	return any;
}

static void tell_slow(struct source *s, struct model *m, struct session *se)
{
	struct answer a = { .rc = -ETIMEDOUT, .at = clock_wall() };

	snprintf(a.error, sizeof(a.error), "no complete answer in %u s",
	    SLOW_FACTOR * s->timeout_ms / 1000);
	se->told = true;
	model_feed(m, (size_t)(se - s->sessions), &a);
}

bool source_tick(struct source *s, struct model *m, mono_t now,
    unsigned interval_ms)
{
	bool told = false;

	for (size_t i = 0; i < s->n; i++) {
		struct session *se = &s->sessions[i];

		if (se->out && !se->told &&
		    now - se->sent >
		        (mono_t)SLOW_FACTOR * s->timeout_ms * MONO_MS) {
			tell_slow(s, m, se);
			told = true;
		}
		if (se->out || now < se->due)
			continue;
		se->out = true;
		se->sent = now;
		se->due = now + interval_ms * MONO_MS;
		if (se->requests > interval_ms * REQUESTS_PER_S / 1000)
			se->due =
			    now + se->requests * MONO_SEC / REQUESTS_PER_S;
		crew_submit(s->crew, &se->job);
	}
	return told;
}

mono_t source_next(const struct source *s)
{
	mono_t next = UINT64_MAX;

	for (size_t i = 0; i < s->n; i++) {
		const struct session *se = &s->sessions[i];
		mono_t at = se->due;

		if (se->out)
			at = se->told ? UINT64_MAX
			              : se->sent + (mono_t)SLOW_FACTOR *
			                               s->timeout_ms * MONO_MS;
		if (at < next)
			next = at;
	}
	return next;
}

void source_poll_now(struct source *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->sessions[i].due = 0;
}

int source_retry_in(const struct source *s, mono_t now)
{
	int best = -1;

	for (size_t i = 0; i < s->n; i++) {
		const struct session *se = &s->sessions[i];
		int in;

		if (se->failures == 0)
			continue;
		in = se->out || se->due <= now
		         ? 0
		         : (int)((se->due - now) / MONO_SEC + 1);
		if (best < 0 || in < best)
			best = in;
	}
	return best;
}

void source_stop(struct source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (s->sessions[i].out)
			return;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct session *se = &s->sessions[i];

		if (se->client)
			client_send_head(se->client, CMD_quit, 0, 0, NULL, 0);
		client_close(se->client);
		answer_clear(&se->answer);
	}
	crew_free(s->crew);
	mailbox_fini(&s->home);
	free(s);
}
