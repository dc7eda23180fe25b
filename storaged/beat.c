/* SPDX-License-Identifier: MIT */
/*
 * One thread for each tracker, the loop of cluster-protocol 1.21:
 *
 *   DOWN -> JOINING -> ACTIVE -> DOWN
 *
 * session_enter is the only place that changes the state. A lost connection is
 * made again after a second, a refusal tried again after a heart beat. Waits
 * end early when beat_stop aborts the connection or wakes the condition;
 * connecting is cut into pieces of a second for that.
 */
#include "storaged/beat_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "meta/event.h"

#define CONNECT_SLICE_MS 1000
#define SECOND_MS        1000
#define QUIT_SLICE_MS    200

/* --- waiting and stopping --- */

bool beat_stopping(struct beat *b)
{
	bool stopping;

	pthread_mutex_lock(&b->lock);
	stopping = b->stopping;
	pthread_mutex_unlock(&b->lock);
	return stopping;
}

bool beat_pause(struct beat *b, int64_t ms)
{
	struct timespec until;
	bool stopping;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&b->lock);
	while (!b->stopping && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&b->wake, &b->lock, &until);
	stopping = b->stopping;
	pthread_mutex_unlock(&b->lock);
	return !stopping;
}

bool beat_pause_until(struct beat *b, int64_t ms, const bool *quit)
{
	while (ms > 0 && !(quit && __atomic_load_n(quit, __ATOMIC_RELAXED))) {
		int64_t slice = ms < QUIT_SLICE_MS ? ms : QUIT_SLICE_MS;

		if (!beat_pause(b, slice))
			return false;
		ms -= slice;
	}
	return !(quit && __atomic_load_n(quit, __ATOMIC_RELAXED));
}

static int64_t interval_ms(struct beat *b, const int64_t *seconds)
{
	int64_t ms;

	pthread_mutex_lock(&b->lock);
	ms = *seconds * b->second_ms;
	pthread_mutex_unlock(&b->lock);
	return ms;
}

/* --- connections --- */

/* Shows the connection to beat_stop; too late: closes it. */
static int publish(struct beat *b, struct client **slot, struct client *c)
{
	bool stopping;

	pthread_mutex_lock(&b->lock);
	stopping = b->stopping;
	if (!stopping)
		*slot = c;
	pthread_mutex_unlock(&b->lock);
	if (!stopping)
		return 0;
	client_close(c);
	return -ECANCELED;
}

static void unpublish(struct beat *b, struct client **slot)
{
	struct client *c;

	pthread_mutex_lock(&b->lock);
	c = *slot;
	*slot = NULL;
	pthread_mutex_unlock(&b->lock);
	client_close(c);
}

static bool is_over(struct beat *b, const bool *quit)
{
	return (quit && __atomic_load_n(quit, __ATOMIC_RELAXED)) ||
	       beat_stopping(b);
}

static int connect_one(struct beat *b, const struct addr *to, const bool *quit,
    struct client **slot)
{
	const struct storage_conf *conf = &b->st->conf;
	int64_t left = conf->connect_timeout;
	int64_t io = __atomic_load_n(&conf->network_timeout, __ATOMIC_RELAXED);
	struct client *c;
	int rc;

	do {
		if (is_over(b, quit))
			return -ECANCELED;
		rc = client_open(to, storage_conf_from(conf, to),
		    CONNECT_SLICE_MS, (unsigned)io * 1000, &c);
	} while (rc == -ETIMEDOUT && --left > 0);
	if (rc < 0)
		return rc;
	client_set_quit(c, quit);
	return publish(b, slot, c);
}

static int connect_any(struct beat *b, const struct tracker_entry *t,
    const bool *quit, struct client **slot)
{
	int rc = -ENOTCONN;

	for (size_t i = 0; i < t->n && rc < 0 && rc != -ECANCELED; i++)
		rc = connect_one(b, &t->addrs[i], quit, slot);
	return rc;
}

/* --- single questions --- */

static void line_show(struct beat *b, struct line *line)
{
	pthread_mutex_lock(&b->lock);
	line->next = b->lines;
	b->lines = line;
	pthread_mutex_unlock(&b->lock);
}

static void line_hide(struct beat *b, struct line *line)
{
	struct line **at = &b->lines;

	pthread_mutex_lock(&b->lock);
	while (*at != line)
		at = &(*at)->next;
	*at = line->next;
	pthread_mutex_unlock(&b->lock);
}

int beat_ask_once(struct beat *b, size_t tracker, const struct question *q)
{
	struct line line = { .client = NULL };
	int rc;

	line_show(b, &line);
	rc = connect_any(b, &b->st->conf.trackers[tracker], q->quit,
	    &line.client);
	if (rc == 0) {
		rc = client_ask(line.client, q->command, q->req, q->in,
		    q->reply, q->out);
		if (rc == 0 && q->took)
			q->took(q->arg, q->out);
		if (rc >= 0)
			(void)client_send_head(line.client, CMD_quit, 0, 0,
			    NULL, 0);
		unpublish(b, &line.client);
	}
	line_hide(b, &line);
	return rc < 0 && is_over(b, q->quit) ? -ECANCELED : rc;
}

/* --- states --- */

const char *session_name(const struct session *s, char *buf, size_t cap)
{
	return addr_text(&s->tracker->addrs[0], buf, cap);
}

void session_set_status(struct session *s, int status)
{
	pthread_mutex_lock(&s->beat->lock);
	s->shown.status = status;
	pthread_mutex_unlock(&s->beat->lock);
}

int session_status(struct session *s)
{
	int status;

	pthread_mutex_lock(&s->beat->lock);
	status = s->shown.status;
	pthread_mutex_unlock(&s->beat->lock);
	return status;
}

static void keep_event(const struct session *s, int severity, const char *what)
{
	const struct storage *st = s->beat->st;
	char name[ADDR_TEXT_MAX];
	char text[ADDR_TEXT_MAX + 32];

	snprintf(text, sizeof(text), "%s: %s", what,
	    session_name(s, name, sizeof(name)));
	catalogue_event(st->catalogue, "FD-TRK-01", severity, st->me.id, text);
}

/* One line a cause: the same failure again is not told again. */
static void tell_down(struct session *s, int rc)
{
	char name[ADDR_TEXT_MAX];

	session_name(s, name, sizeof(name));
	if (rc == -ECANCELED || beat_stopping(s->beat))
		return;
	if (s->state == SESSION_ACTIVE && rc == 0)
		log_info("tracker_rejoin", "tracker=%s", name);
	if (s->state == SESSION_ACTIVE && rc < 0) {
		log_warn("tracker_lost", "tracker=%s: %s", name, errstr(rc));
		keep_event(s, EVENT_WARN, "tracker lost");
	} else if (rc < 0 && rc != s->said) {
		log_warn("tracker_silent", "tracker=%s: %s; trying on", name,
		    errstr(rc));
	}
	s->said = rc;
}

static void tell_active(struct session *s)
{
	struct identity *me = &s->beat->st->me;
	char name[ADDR_TEXT_MAX];
	char src[sizeof(me->sync_src)];

	pthread_mutex_lock(&me->lock);
	str_copy(src, sizeof(src), me->sync_src);
	pthread_mutex_unlock(&me->lock);
	log_info("tracker_joined", "tracker=%s status=%s source=%s",
	    session_name(s, name, sizeof(name)),
	    member_status_name(session_status(s)), src);
	keep_event(s, EVENT_INFO, "tracker joined");
	s->said = 0;
}

/* rc: why it goes down. */
static void session_enter(struct session *s, enum session_state to, int rc)
{
	struct beat *b = s->beat;

	if (to == SESSION_DOWN)
		tell_down(s, rc);
	if (to == SESSION_ACTIVE)
		tell_active(s);
	s->state = to;
	pthread_mutex_lock(&b->lock);
	s->shown.joined = to == SESSION_ACTIVE;
	if (to != SESSION_JOINING)
		s->shown.last_error = rc;
	pthread_mutex_unlock(&b->lock);
}

/* --- the loop --- */

static bool take_rejoin(struct session *s)
{
	bool rejoin;

	pthread_mutex_lock(&s->beat->lock);
	rejoin = s->rejoin;
	s->rejoin = false;
	pthread_mutex_unlock(&s->beat->lock);
	return rejoin;
}

static bool is_due(mono_t now, mono_t last, int64_t ms)
{
	return last == 0 || now - last >= (uint64_t)ms * MONO_MS;
}

/* Reports until something ends it: 0 to join again. */
static int session_report(struct session *s)
{
	struct beat *b = s->beat;
	mono_t last_beat = 0;
	mono_t last_disk = 0;
	mono_t last_sync = 0;
	int rc = 0;

	do {
		mono_t now = clock_mono();
		bool rejoin = false;
		bool sent = false;

		if (is_due(now, last_beat, interval_ms(b, &b->heart_beat))) {
			rc = session_beat(s);
			last_beat = now;
		}
		if (rc == 0)
			rc = session_sync_report(s,
			    is_due(now, last_sync,
			        interval_ms(b, &b->heart_beat)),
			    &sent);
		if (sent)
			last_sync = now;
		if (rc == 0 &&
		    is_due(now, last_disk, interval_ms(b, &b->stat_report))) {
			rc = session_disk_usage(s);
			last_disk = now;
		}
		if (rc == 0)
			rc = session_settle(s, &rejoin);
		if (rc == 0 && (take_rejoin(s) || rejoin))
			return 0;
	} while (rc == 0 && beat_pause(b, b->second_ms));
	return rc;
}

/* From the connection to its end; gives why. */
static int session_run(struct session *s)
{
	int rc = connect_any(s->beat, s->tracker, NULL, &s->client);

	if (rc < 0)
		return rc;
	session_enter(s, SESSION_JOINING, 0);
	(void)take_rejoin(s);
	rc = session_join(s);
	if (rc == 0) {
		session_enter(s, SESSION_ACTIVE, 0);
		rc = session_report(s);
	}
	unpublish(s->beat, &s->client);
	return rc;
}

static void *session_thread(void *arg)
{
	struct session *s = arg;
	struct beat *b = s->beat;
	int64_t ms = 0;

	do {
		int rc = session_run(s);
		const bool was_active = s->state == SESSION_ACTIVE;

		session_enter(s, SESSION_DOWN, rc);
		/* 14: it does not know us yet, as may be while the other
		 * sessions of a first start are on their way. */
		ms = (rc <= 0 && was_active) || rc == EFAULT
		         ? b->second_ms
		         : interval_ms(b, &b->heart_beat);
	} while (beat_pause(b, ms));
	return NULL;
}

/* --- public --- */

static void init_locks(struct beat *b)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->dest_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static void init_session(struct beat *b, size_t i)
{
	struct session *s = &b->sessions[i];

	s->beat = b;
	s->index = i;
	s->tracker = &b->st->conf.trackers[i];
	s->notify_result = -1;
	s->shown.status = MEMBER_UNKNOWN;
}

int beat_start_paced(struct storage *st, int64_t second_ms, struct beat **out)
{
	struct beat *b = xcalloc(1, sizeof(*b));
	int rc = 0;

	b->st = st;
	b->second_ms = second_ms;
	b->heart_beat = st->conf.heart_beat_interval;
	b->stat_report = st->conf.stat_report_interval;
	b->leader = -1;
	init_locks(b);
	for (size_t i = 0; i < st->conf.n_trackers; i++)
		init_session(b, i);
	*out = b;
	while (b->n < st->conf.n_trackers && rc == 0) {
		struct session *s = &b->sessions[b->n];

		rc = -pthread_create(&s->thread, NULL, session_thread, s);
		if (rc == 0)
			b->n++;
	}
	if (rc < 0) {
		beat_stop(b);
		*out = NULL;
	}
	return rc;
}

int beat_start(struct storage *st, struct beat **out)
{
	return beat_start_paced(st, SECOND_MS, out);
}

void beat_stop(struct beat *b)
{
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	for (size_t i = 0; i < b->n; i++) {
		if (b->sessions[i].client)
			client_abort(b->sessions[i].client);
	}
	for (struct line *l = b->lines; l; l = l->next) {
		if (l->client)
			client_abort(l->client);
	}
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
	for (size_t i = 0; i < b->n; i++)
		pthread_join(b->sessions[i].thread, NULL);
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->dest_lock);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void beat_set_intervals(struct beat *b, int64_t heart_beat, int64_t stat_report)
{
	pthread_mutex_lock(&b->lock);
	b->heart_beat = heart_beat;
	b->stat_report = stat_report;
	pthread_mutex_unlock(&b->lock);
}

size_t beat_states(struct beat *b, struct beat_state *out, size_t cap)
{
	size_t n = size_min(b->n, cap);

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < n; i++)
		out[i] = b->sessions[i].shown;
	pthread_mutex_unlock(&b->lock);
	return n;
}

size_t beat_members(struct beat *b, struct msg_brief *out, size_t cap)
{
	size_t n;

	pthread_mutex_lock(&b->lock);
	n = size_min(b->n_members, cap);
	memcpy(out, b->members, n * sizeof(*out));
	pthread_mutex_unlock(&b->lock);
	return n;
}
