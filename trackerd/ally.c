/* SPDX-License-Identifier: MIT */
/*
 * A crew of one. An errand travels in a parcel of ours, so that what is out
 * can be counted. A connect is tried in slices of a second, because nothing
 * can end a connect that waits; every other wait looks at `ending`.
 */
#include "trackerd/ally.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/macros.h"

#define CONNECT_SLICE_MS 1000
#define LOCAL_MAX        256

struct ally {
	struct tracker *t;
	struct crew *crew;
	size_t out; /* errands not home yet; the loop's */
	bool ending;
	/* Of the configuration, which the loop may reload. */
	struct addr from[CF_LISTEN_MAX];
	size_t n_from;
};

struct parcel {
	struct job job;
	struct job *errand;
	struct ally *ally;
};

/* --- the loop's side ----------------------------------------------------- */

int ally_start(struct tracker *t, struct ally **out)
{
	struct ally *a = xcalloc(1, sizeof(*a));
	int rc;

	a->t = t;
	a->n_from = cf_sources(&t->conf, a->from);
	rc = crew_new(1, "ally", &a->crew);
	if (rc < 0) {
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

static void parcel_run(struct job *job)
{
	struct parcel *p = container_of(job, struct parcel, job);

	p->errand->run(p->errand);
	job_go_home(job);
}

static void parcel_done(struct job *job)
{
	struct parcel *p = container_of(job, struct parcel, job);
	struct job *errand = p->errand;

	p->ally->out--;
	free(p);
	errand->done(errand);
}

void ally_submit(struct ally *a, struct job *errand)
{
	struct parcel *p = xcalloc(1, sizeof(*p));

	p->errand = errand;
	p->ally = a;
	p->job.run = parcel_run;
	p->job.done = parcel_done;
	p->job.home = loop_mailbox(a->t->loop);
	errand->home = p->job.home;
	a->out++;
	crew_submit(a->crew, &p->job);
}

void ally_stop(struct ally *a)
{
	__atomic_store_n(&a->ending, true, __ATOMIC_RELAXED);
}

bool ally_idle(const struct ally *a)
{
	return a->out == 0;
}

void ally_free(struct ally *a)
{
	if (!a)
		return;
	ally_stop(a);
	crew_free(a->crew);
	free(a);
}

static bool any_same_ip(const struct tracker_name *name, const struct addr *at)
{
	for (size_t i = 0; i < name->n_addrs; i++)
		if (addr_same_ip(&name->addrs[i], at))
			return true;
	return false;
}

size_t ally_others(const struct tracker *t, const struct tracker_name *list,
    size_t n, const struct addr *at, struct tracker_name *out)
{
	struct addr local[LOCAL_MAX];
	const int n_local = addr_local(local, LOCAL_MAX);
	size_t others = 0;

	for (size_t i = 0; i < n; i++) {
		bool mine = at && any_same_ip(&list[i], at);

		for (int k = 0; k < n_local && !mine; k++)
			mine = any_same_ip(&list[i], &local[k]);
		if (!mine || list[i].port != t->conf.port)
			out[others++] = list[i];
	}
	return others;
}

/* --- in the ally thread -------------------------------------------------- */

bool ally_stopping(struct ally *a)
{
	return __atomic_load_n(&a->ending, __ATOMIC_RELAXED);
}

static const struct addr *source_for(const struct ally *a,
    const struct addr *to)
{
	for (size_t i = 0; i < a->n_from; i++)
		if (a->from[i].family == to->family)
			return &a->from[i];
	return NULL;
}

static int connect_one(struct ally *a, struct addr to, int64_t io,
    struct client **out)
{
	int64_t left = a->t->conf.connect_timeout;
	int rc;

	do {
		if (ally_stopping(a))
			return -ECANCELED;
		rc = client_open(&to, source_for(a, &to), CONNECT_SLICE_MS,
		    (unsigned)io * 1000, out);
	} while (rc == -ETIMEDOUT && --left > 0);
	if (rc == 0)
		client_set_quit(*out, &a->ending);
	return rc;
}

static int open_for(struct ally *a, const struct tracker_name *to, int64_t most,
    struct client **out)
{
	const int64_t io =
	    __atomic_load_n(&a->t->conf.network_timeout, __ATOMIC_RELAXED);
	int rc = -ENOTCONN;

	*out = NULL;
	for (size_t i = 0; i < to->n_addrs && rc < 0 && rc != -ECANCELED; i++) {
		struct addr at = to->addrs[i];

		at.port = to->port;
		rc = connect_one(a, at, io < most ? io : most, out);
	}
	return rc;
}

int ally_open(struct ally *a, const struct tracker_name *to,
    struct client **out)
{
	return open_for(a, to, INT32_MAX, out);
}

int ally_open_quick(struct ally *a, const struct tracker_name *to,
    struct client **out)
{
	return open_for(a, to, QUICK_SECONDS, out);
}

void ally_close(struct ally *a, struct client *c)
{
	(void)a;
	client_close(c);
}

int ally_ask_status(struct ally *a, const struct tracker_name *to,
    struct msg_tracker_status *out)
{
	struct client *c;
	int rc = ally_open_quick(a, to, &c);

	if (rc < 0)
		return rc;
	rc = client_ask(c, CMD_tracker_get_status, NULL, NULL,
	    &MSG(tracker_status), out);
	ally_close(a, c);
	return rc;
}
